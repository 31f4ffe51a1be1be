"""A port for a server that is started soon, or again: nobody else gets it meanwhile."""

import contextlib
import socket
from collections.abc import Iterator


@contextlib.contextmanager
def reserved_port() -> Iterator[int]:
    """Keep a port from everybody who is not told of it.

    A socket that is bound and does not listen takes the port from those that the system chooses
    from, and lets another one listen on it. Meanwhile nobody is there to be connected to.
    """
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])
