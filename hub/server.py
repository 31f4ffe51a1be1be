"""The server: uvicorn, with what a hub needs and it does not do by itself.

It drains the rooms before it closes sockets, hands ready frames to the transport, and frees
peers that have stopped reading.
"""

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any, Final, Protocol

import uvicorn
from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request
from websockets.protocol import OPEN

from hub.settings import Settings

HANDSHAKE_S: Final = 2.0
"""How long a peer has to answer a close frame."""


class Listener(Protocol):
    """Who is told what becomes of the transport."""

    def paused(self) -> None: ...

    def resumed(self) -> None: ...

    def lost(self) -> None: ...


class Mailbox:
    """The few messages between a protocol and its endpoint, which alone waits for them.

    Reading pauses while a message waits, so it needs none of the 3 KiB of an `asyncio.Queue`.
    """

    __slots__ = ("_arrival", "_messages")

    def __init__(self) -> None:
        self._messages: list[ASGIReceiveEvent] = []
        self._arrival: asyncio.Future[None] | None = None

    def put_nowait(self, message: ASGIReceiveEvent) -> None:
        self._messages.append(message)
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def empty(self) -> bool:
        return not self._messages

    async def get(self) -> ASGIReceiveEvent:
        while not self._messages:
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival
        self._arrival = None
        return self._messages.pop(0)


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """A WebSocket that an endpoint can write to without a coroutine: a `hub.connection.Socket`."""

    listener: Listener | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.queue = Mailbox()  # type: ignore[assignment]

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):  # a refused handshake has none
            extensions: dict[str, Any] = {**(self.scope["extensions"] or {}), "hub.socket": self}
            self.scope["extensions"] = extensions

    def write(self, data: bytes) -> None:
        if not self.close_sent and not self.disconnected:
            self.transport.write(data)

    def buffered(self) -> int:
        return self.transport.get_write_buffer_size()

    def close(self, code: int, reason: str) -> None:
        if self.close_sent or self.disconnected or self.conn.state is not OPEN:
            return
        self.stop_keepalive()
        self.conn.send_close(code, _short(reason))
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:
            # The endpoint reads no more, and the answer of the peer must be read.
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(HANDSHAKE_S, self.transport.abort)
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})

    def abort(self) -> None:
        self.transport.abort()

    async def send(self, message: ASGISendEvent) -> None:
        await super().send(message)
        if message["type"] == "websocket.accept":
            # 5 KiB that nobody reads again, as long as the socket is open.
            del self.request, self.response
            self.scope["headers"] = []
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            # A refusal is an answer too; the base class would log that there was none.
            self.handshake_complete = True

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.listener is not None:
            self.listener.paused()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.listener is not None:
            self.listener.resumed()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.listener is not None:
            self.listener.lost()

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        # The base class waits until a dead peer has read what is left for it: for ever.
        self.transport.abort()


def _short(reason: str) -> str:
    """Cut a close reason to the 123 bytes that a control frame has for it (RFC 6455, 5.5)."""
    return reason.encode()[:123].decode(errors="ignore")


class HttpProtocol(HttpToolsProtocol):
    """HTTP whose endpoints can drop a peer that does not read."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        extensions: dict[str, Any] = {"hub.transport": self.transport}
        self.scope["extensions"] = extensions


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
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        forwarded_allow_ips=settings.forwarded_allow_ips,
        http=HttpProtocol,
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
