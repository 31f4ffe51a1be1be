"""The server: uvicorn, which drains the rooms before it closes anything."""

import signal
import socket
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any, Protocol

import uvicorn

from hub.protocols import HttpProtocol, WebSocketProtocol
from hub.settings import Settings


class Drainable(Protocol):
    """What the server stops before it stops itself."""

    failed: bool
    """A background task has died: nothing that is promised can be kept any more."""

    def begin_drain(self) -> None:
        """Turn unready, at once; called from a signal handler."""
        ...

    async def drain(self) -> None:
        """Let every reader go."""
        ...


class HubServer(uvicorn.Server):
    """A server that tells its readers to come back before it goes."""

    def __init__(
        self,
        config: uvicorn.Config,
        hub: Drainable,
        greet: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Make a server; `greet` is called once it listens."""
        super().__init__(config)
        self._hub = hub
        self.greet = greet

    @property
    def port(self) -> int:
        return int(self.servers[0].sockets[0].getsockname()[1])

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # The base class raises the signal again when all is done; a drained hub ends with 0.
        self._hub.begin_drain()
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        else:
            self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.greet is not None and self.started:
            await self.greet()

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or self._hub.failed

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Still listening: a load balancer must be told by /readyz, not by a refused connection.
        await self._hub.drain()
        await super().shutdown(sockets)


def server_config(app: Any, settings: Settings) -> uvicorn.Config:
    """Give the uvicorn settings of a hub."""

    class Http(HttpProtocol):
        stall = settings.stall_s

    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        forwarded_allow_ips=settings.forwarded_allow_ips,
        http=Http,
        ws=WebSocketProtocol,
        ws_max_size=settings.max_frame,
        ws_ping_interval=settings.heartbeat_s,
        # Deflate costs 40 KiB a socket and twice the CPU.
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=5,
        timeout_keep_alive=30,
        lifespan="on",
        access_log=False,
        server_header=False,
        log_config=None,
    )
