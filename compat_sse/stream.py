"""One SSE response: what is written to it, and how it is sent.

Invariant: a stream holds at most 64 KiB and one event, however slow its client; the rest waits in
the log. Whatever ends a stream, its subscription ends with it.
"""

import asyncio
import re
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Final

import structlog
from starlette.types import Message, Receive, Scope, Send

from rooms.cursor import Cursor
from rooms.encoding import Codec
from rooms.feed import Cut, Subscription
from rooms.state import Run

logger = structlog.get_logger()

LIMIT: Final = 64 * 1024
"""Bytes that may wait in an outbox before it is full."""
PING: Final = b": ping\n\n"
"""A comment: every parser ignores it, every proxy counts it as life."""
HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    # Without no-transform, a proxy may compress, and a compressor holds events back.
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
)
GONE_WITHIN: Final = 1.0
"""Seconds in which a server tells that a connection is closed."""

_NEWLINE: Final = re.compile(r"\r\n|\r|\n")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_REPLACEMENT: Final = "\ufffd"


def encode(
    data: str, *, event: str | None = None, id: str | None = None, retry: int | None = None
) -> bytes:
    r"""Write one event, so that a parser after WHATWG HTML §9.2.6 gives back the same.

    Two things that the format cannot carry come back changed: CR and CRLF in `data` become LF,
    and a lone surrogate, which has no UTF-8, becomes U+FFFD. JSON holds neither.

    Args:
        data: anything, the empty string too.
        event: the type; None and the empty string are read as `message`.
        id: what the client sends back as `Last-Event-ID`; None leaves it as it was.
        retry: milliseconds that the client waits before it connects again.

    Raises:
        ValueError: `event` or `id` cannot be written, or `retry` is negative.

    """
    fields = [] if retry is None else [_retry(retry)]
    if event is not None:
        fields.append(b"event: %s\n" % _line(event, "\r\n"))
    if id is not None:
        fields.append(b"id: %s\n" % _line(id, "\r\n\0"))
    # Only these three end a line: str.splitlines would also split at U+2028 and others.
    lines = _NEWLINE.sub("\ndata: ", data)
    fields.append(f"data: {_SURROGATE.sub(_REPLACEMENT, lines)}\n\n".encode())
    return b"".join(fields)


def encode_retry(retry: int) -> bytes:
    """Write how many milliseconds the client waits before it connects again, and nothing else."""
    return _retry(retry) + b"\n"


def _retry(milliseconds: int) -> bytes:
    if milliseconds < 0:
        raise ValueError("retry must not be negative")
    return b"retry: %d\n" % milliseconds


def _line(value: str, forbidden: str) -> bytes:
    if any(character in value for character in forbidden):
        raise ValueError(f"{value!r} must not contain any of {forbidden!r}")
    return value.encode()


class Outbox:
    """What waits to be sent on a stream; the far end (`rooms.feed.Reader`) of a subscription."""

    def __init__(self, codec: Codec, limit: int = LIMIT) -> None:
        self.codec = codec
        self.greet: Callable[[Cursor], bytes] | None = None
        """Makes what is written once, when the reader becomes live for the first time."""
        self.draft: Callable[[Run], bytes | None] = lambda run: None
        """Makes what tells how far an answer of the AI is; None: nothing does."""
        self.ended = False
        self._limit = limit
        self._waiting: list[bytes] = []
        self._size = 0
        self._filled = asyncio.Event()

    @property
    def full(self) -> bool:
        return self.ended or self._size >= self._limit

    def write(self, data: bytes) -> bool:
        if not self.ended:
            self._waiting.append(data)
            self._size += len(data)
            self._filled.set()
        return not self.full

    def live(self, position: Cursor) -> None:
        if self.greet is not None:
            # If this fills the outbox, the next write tells: it is but a few hundred bytes.
            self.write(self.greet(position))
            self.greet = None

    def answering(self, run: Run) -> None:
        data = self.draft(run)
        if data is not None:
            # As with a greeting: a draft is the size of one message.
            self.write(data)

    def cut(self, reason: Cut) -> None:
        # The client is told the reason when it comes back: by 410 or by a reset.
        self.end()

    def end(self) -> None:
        """Take nothing more; what waits is still sent."""
        self.ended = True
        self._filled.set()

    async def filled(self) -> None:
        """Return when something waits, or never will again."""
        await self._filled.wait()

    def take(self) -> bytes:
        """Give all that waits."""
        data = b"".join(self._waiting)
        self._waiting.clear()
        self._size = 0
        if not self.ended:
            self._filled.clear()
        return data


class EventStream:
    """The ASGI response that sends an outbox until the stream is over.

    It is over when its time is up, when its outbox ends, when the client hangs up, or when a
    send is not taken in time; in this last case the connection is aborted, for a peer that does
    not read would otherwise hold it for ever. All times are in seconds.
    """

    def __init__(
        self,
        outbox: Outbox,
        subscription: Subscription,
        cleanup: ExitStack,
        *,
        lasts: float,
        heartbeat: float,
        stall: float,
    ) -> None:
        """Make a response; `cleanup` is closed when it has ended, in whatever way."""
        self._outbox = outbox
        self._subscription = subscription
        self._cleanup = cleanup
        self._until = asyncio.get_running_loop().time() + lasts
        self._heartbeat = heartbeat
        self._stall = stall
        self._sending: asyncio.Timeout | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = (scope.get("extensions") or {}).get("hub.transport")
        with self._cleanup:
            async with asyncio.TaskGroup() as tasks:
                listener = tasks.create_task(self._listen(receive))
                await self._serve(send, transport, listener)
                listener.cancel()

    def end(self, within: float) -> None:
        """End the stream; a peer that does not take what is being sent is dropped `within`."""
        self._take_no_more()
        self._stall = min(self._stall, within)
        if self._sending is not None and not self._sending.expired():
            self._sending.reschedule(asyncio.get_running_loop().time() + self._stall)

    async def _serve(
        self, send: Send, transport: asyncio.Transport | None, listener: asyncio.Task[None]
    ) -> None:
        # Each send then waits until the kernel has taken all bytes of the one before, so even a
        # ping finds a peer that stopped reading, and no stream ends with bytes unsent.
        _limit_buffer(transport, 0)
        try:
            await self._pump(send)
        except OSError:  # TimeoutError is one of them
            if transport is not None:
                logger.info("sse_peer_dropped", reader=self._subscription.by)
                transport.abort()
                # A server complains of a response that ends before it knows of the hang-up.
                await asyncio.wait([listener], timeout=GONE_WITHIN)
        finally:
            _limit_buffer(transport, None)

    async def _pump(self, send: Send) -> None:
        start: Message = {"type": "http.response.start", "status": 200, "headers": [*HEADERS]}
        await self._send(send, start)
        while data := await self._next():
            await self._send(send, {"type": "http.response.body", "body": data, "more_body": True})
            self._subscription.resume()
        await self._send(send, {"type": "http.response.body", "body": b"", "more_body": False})

    async def _next(self) -> bytes:
        """Wait for what to send next; nothing means that the stream is over."""
        loop = asyncio.get_running_loop()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(min(loop.time() + self._heartbeat, self._until)):
                await self._outbox.filled()
        if loop.time() >= self._until:
            self._take_no_more()
        data = self._outbox.take()
        return data if data or self._outbox.ended else PING

    async def _send(self, send: Send, message: Message) -> None:
        try:
            async with asyncio.timeout(self._stall) as self._sending:
                await send(message)
        finally:
            self._sending = None

    async def _listen(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._take_no_more()

    def _take_no_more(self) -> None:
        self._outbox.end()
        # What comes from now on must not count as written.
        self._subscription.close()


def _limit_buffer(transport: asyncio.Transport | None, high: int | None) -> None:
    """Set the most bytes that wait before a send does; None: as it was."""
    if transport is not None and not transport.is_closing():
        transport.set_write_buffer_limits(high)
