"""A proxy between a browser and a hub that does to connections what bad networks do.

It knows just enough HTTP/1.1 to tell what a request asks for: browsers send the head of a request
at the beginning of a write, and nothing after it before the answer.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

PIECE: Final = 65_536
METHODS: Final = (b"GET ", b"POST ", b"HEAD ", b"OPTIONS ", b"PUT ", b"DELETE ")
FORBIDDEN: Final = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Asks(StrEnum):
    """What a request asks for."""

    SOCKET = "a WebSocket"
    STREAM = "a stream of Server-Sent Events"
    ANSWER = "an answer"


@dataclass(eq=False)
class Line:
    """One connection: the side of the browser, and that of the hub."""

    browser: asyncio.StreamWriter
    hub: asyncio.StreamWriter
    dead: bool = False
    """Nothing passes any more, in either direction, and neither side is told."""
    holding: bool = False
    """What the hub answers is kept back for ever."""


class FaultyProxy:
    """Stands between a browser and a hub; what is wrong with it can be changed at any time."""

    def __init__(self, target: int = 0) -> None:
        self.target = target
        """The port of the hub; it may change, as that of a hub that was started again."""
        self.port = 0
        self.forbids: set[Asks] = set()
        """Requests that are answered with 403, as by a proxy of a company."""
        self.holds: set[Asks] = set()
        """Requests whose answers are held back for ever, as by a proxy that gathers answers."""
        self.refuses = False
        """No connection is let in."""
        self.delay = 0.0
        """Seconds that each piece takes, in each direction."""
        self.heard = bytearray()
        """All that browsers were sent through here."""
        self.asked: list[str] = []
        """The first line of each request."""
        self._silent = False
        self._lines: set[Line] = set()
        self._handlers: set[asyncio.Task[None]] = set()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def lines(self) -> int:
        """Tell how many connections there are."""
        return len(self._lines)

    def cut(self) -> None:
        """Break all connections at once; both sides are told."""
        for line in self._lines:
            _reset(line.browser)
            _reset(line.hub)

    def black_hole(self) -> None:
        """Let all connections die without a word, and those that come, too."""
        self._silent = True
        for line in self._lines:
            line.dead = True

    def heal(self) -> None:
        """Be a good proxy to the connections that come; those that are dead stay dead."""
        self._silent = False
        self.refuses = False
        self.delay = 0.0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        try:
            # The hub may be away, either side may leave, and the test may be over.
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._connect(reader, writer)
        finally:
            self._handlers.discard(task)
            writer.transport.abort()

    async def stop(self) -> None:
        handlers = list(self._handlers)
        for task in handlers:
            task.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            _reset(writer)
            return
        from_hub, to_hub = await asyncio.open_connection("127.0.0.1", self.target)
        line = Line(writer, to_hub, dead=self._silent)
        self._lines.add(line)
        asking = asyncio.ensure_future(self._ask(reader, line))
        answering = asyncio.ensure_future(self._answer(from_hub, line))
        try:
            await asyncio.wait({asking, answering}, return_when=asyncio.FIRST_COMPLETED)
            await self._mourn(line, {asking, answering})
        finally:
            self._lines.discard(line)
            # First of all: the wait below may be cancelled.
            to_hub.transport.abort()
            for task in (asking, answering):
                task.cancel()
            await asyncio.gather(asking, answering, return_exceptions=True)

    async def _mourn(self, line: Line, ends: set["asyncio.Future[None]"]) -> None:
        """Keep the end of one side of a dead line from the other."""
        if line.dead:
            await asyncio.wait(ends)

    async def _ask(self, reader: asyncio.StreamReader, line: Line) -> None:
        while data := await reader.read(PIECE):
            if data.startswith(METHODS):
                data += await _rest_of_head(reader, data)
                if not self._admits(data, line):
                    line.browser.write(FORBIDDEN)
                    await line.browser.drain()
                    return
            await self._pass(data, line, line.hub)

    async def _answer(self, reader: asyncio.StreamReader, line: Line) -> None:
        while data := await reader.read(PIECE):
            if not line.holding:
                await self._pass(data, line, line.browser)

    async def _pass(self, data: bytes, line: Line, to: asyncio.StreamWriter) -> None:
        if self.delay:
            await asyncio.sleep(self.delay)
        if line.dead:
            return
        if to is line.browser:
            self.heard += data
        to.write(data)
        await to.drain()

    def _admits(self, head: bytes, line: Line) -> bool:
        self.asked.append(head.partition(b"\r\n")[0].decode())
        asks = _asks(head)
        line.holding = asks in self.holds
        return asks not in self.forbids


async def _rest_of_head(reader: asyncio.StreamReader, begun: bytes) -> bytes:
    rest = b""
    while b"\r\n\r\n" not in begun + rest and (data := await reader.read(PIECE)):
        rest += data
    return rest


def _asks(head: bytes) -> Asks:
    lines = head.partition(b"\r\n\r\n")[0].lower().split(b"\r\n")
    path = lines[0].split(b" ")[1].partition(b"?")[0]
    if b"upgrade: websocket" in lines:
        return Asks.SOCKET
    if path.endswith(b"/stream") or b"accept: text/event-stream" in lines:
        return Asks.STREAM
    return Asks.ANSWER


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):  # it may be closed already
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextlib.asynccontextmanager
async def faulty_proxy(target: int = 0) -> AsyncIterator[FaultyProxy]:
    """Run a proxy to a port of this machine; without one, it is named later."""
    proxy = FaultyProxy(target)
    listening = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.port = listening.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listening.close()
        await proxy.stop()
        await listening.wait_closed()
