"""What uvicorn's protocols lack: ready frames to the transport, and an end for peers that stall.

Invariant: no peer is kept for ever. The base classes close a transport politely, which waits until
the peer has read what is left for it; here every close has a deadline.
"""

import asyncio
import socket
from typing import Any, Final, Protocol

from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request
from websockets.protocol import OPEN

HANDSHAKE_S: Final = 2.0
"""How long a peer has to answer a close frame."""
HEAD_BYTES: Final = 65_536
"""Bytes that the head of a request may have."""
REQUEST_S: Final = 15.0
"""How long a request may take to arrive."""
PACE_BYTES: Final = 65_536
"""Bytes of a file that must come in each `REQUEST_S`: 35 kbit/s."""
PONGS: Final = 131_072
"""Bytes that may wait for a peer which sends pings and does not read the answers."""
NOTSENT: Final = 131_072
"""Bytes that the kernel keeps for a peer beyond what is under way; it would take megabytes."""


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

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self.handshake_initiated:
            # The head came as a whole, and the parser refused it without an event.
            self.transport.abort()

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

    def handle_close(self, event: Frame) -> None:
        super().handle_close(event)
        self._leave_soon()

    def handle_parser_exception(self) -> None:
        super().handle_parser_exception()
        self._leave_soon()

    def shutdown(self) -> None:
        super().shutdown()
        self._leave_soon()

    def _leave_soon(self) -> None:
        """Drop the peer if it does not take what is left for it in time."""
        # The base class closes the transport, which waits until the peer has read: for ever.
        if self.disconnected:
            return
        if self.close_timer is not None:
            self.close_timer.cancel()
        self.close_timer = self.loop.call_later(HANDSHAKE_S, self.transport.abort)

    def handle_ping(self) -> None:
        super().handle_ping()
        # The protocol answers by itself, past every limit of the endpoint.
        if self.transport.get_write_buffer_size() > PONGS:
            self.transport.abort()

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
    """HTTP that drops a peer which does not read, and whose endpoints can do so too."""

    stall = 10.0
    """Seconds in which a peer must take something of what waits for it."""
    _check: asyncio.TimerHandle | None = None
    _deadline: asyncio.TimerHandle | None = None
    _head: int | None = 0
    """Bytes of the head of the request that is coming; None once it is complete."""
    _allowed = 0
    """Bytes of a file that may still come at their own pace."""
    _come = 0
    """Bytes of it since the deadline was last put off."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        connected = transport.get_extra_info("socket")
        # Every WebSocket begins as HTTP.
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOTSENT)
        self._expect_request()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._head is not None:
            self._head += len(data)
            if self._head > HEAD_BYTES:
                self.transport.abort()
        elif self._allowed > 0:
            self._keep_pace(len(data))

    def expect_file(self, most: int) -> None:
        """Let the body take its time, if it keeps coming and has no more than `most` bytes."""
        self._allowed, self._come = most, 0
        self._put_off()

    def _keep_pace(self, size: int) -> None:
        self._allowed -= size
        self._come += size
        if self._come >= PACE_BYTES:
            self._come = 0
            self._put_off()

    def _put_off(self) -> None:
        if self._deadline is not None:
            self._expect_request()

    def on_headers_complete(self) -> None:
        self._head = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._expect_no_request()
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        self._expect_no_request()
        self._look_no_more()
        super().handle_websocket_upgrade()

    def _expect_request(self) -> None:
        self._expect_no_request()
        self._deadline = self.loop.call_later(REQUEST_S, self.transport.abort)

    def _expect_no_request(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._look_again()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._look_no_more()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._look_no_more()
        self._expect_no_request()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        # What is left may be too little to have paused anything.
        self._look_again()

    def _look_again(self) -> None:
        held = self.transport.get_write_buffer_size()
        self._look_no_more()
        self._check = self.loop.call_later(self.stall, self._look, held)

    def _look_no_more(self) -> None:
        if self._check is not None:
            self._check.cancel()
            self._check = None

    def _look(self, held: int) -> None:
        if self.transport.get_write_buffer_size() >= held:
            self.transport.abort()
        else:
            self._look_again()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head = 0
        self._allowed = 0
        self._expect_request()
        extensions: dict[str, Any] = {
            "hub.transport": self.transport,
            "hub.expect_file": self.expect_file,
        }
        self.scope["extensions"] = extensions
