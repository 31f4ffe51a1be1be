"""A TCP proxy that does to connections what bad networks do.

It can break the next one after so many bytes, and so in the middle of a frame; or cut all that
there are, swallow what they are given, or let little through.
"""

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self

PIECE: Final = 65_536
How = Literal["closed", "reset", "unnoticed"]
"""`unnoticed`: the client loses the connection, and the server goes on writing into it."""


@dataclass(frozen=True)
class Cut:
    """When the next connection breaks: after so many bytes of the server, and how."""

    after: int
    how: How


@dataclass(eq=False)
class Line:
    """One connection: the side of the client, and that of the server."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    cut: Cut | None
    dead: bool = False
    """Nothing passes any more, in either direction, and neither side is told."""


class TcpProxy:
    """Stands between clients and a server; what is wrong with it can be changed at any time."""

    def __init__(self, target: int | Path = 0) -> None:
        self.target = target
        """The port of the server, or the path of its socket; it may change."""
        self.port = 0
        self.next: Cut | None = None
        """What becomes of the next connection; None: it is left alone."""
        self.cuts = 0
        self.refuses = False
        """No connection is let in."""
        self.bytes_per_s: float | None = None
        """How much a connection lets through in each direction; None: all."""
        self._open = asyncio.Event()
        self._open.set()
        self._lines: set[Line] = set()
        self._handlers: set[asyncio.Task[None]] = set()
        self._listening: asyncio.Server

    async def __aenter__(self) -> Self:
        self._listening = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._listening.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        self._listening.close()
        handlers = list(self._handlers)
        for task in handlers:
            task.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)
        await self._listening.wait_closed()

    @property
    def lines(self) -> int:
        """Tell how many connections there are."""
        return len(self._lines)

    def cut(self) -> None:
        """Break all connections at once; both sides are told."""
        for line in self._lines:
            _reset(line.client)
            _reset(line.server)

    def black_hole(self) -> None:
        """Let nothing through, and tell neither side, until `heal` or `recover`."""
        self._open.clear()

    def heal(self) -> None:
        """Be a good line to the connections that come; those in a black hole stay dead."""
        if not self._open.is_set():
            for line in self._lines:
                line.dead = True
        self.recover()

    def recover(self) -> None:
        """Be a good line again to all connections; what has waited arrives first."""
        self._open.set()
        self.refuses = False
        self.bytes_per_s = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        cut, self.next = self.next, None
        try:
            # The server may be away, either may leave, and the test may be over.
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._connect(reader, writer, cut)
        finally:
            self._handlers.discard(task)
            writer.transport.abort()

    async def _connect(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: Cut | None
    ) -> None:
        if self.refuses:
            _reset(writer)
            return
        from_server, to_server = await self._reach()
        line = Line(writer, to_server, cut)
        self._lines.add(line)
        asking = asyncio.ensure_future(self._ask(reader, line))
        answering = asyncio.ensure_future(self._answer(from_server, line))
        try:
            await asyncio.wait({asking, answering}, return_when=asyncio.FIRST_COMPLETED)
            if cut is not None and answering.done() and not answering.exception():
                _break(writer, cut)
                if cut.how == "unnoticed":
                    await _swallow(from_server)
            # The end of one side is kept from the other, too.
            await self._open.wait()
            if line.dead:
                await asyncio.wait({asking, answering})
        finally:
            self._lines.discard(line)
            # First of all: the wait below may be cancelled.
            to_server.transport.abort()
            for task in (asking, answering):
                task.cancel()
            await asyncio.gather(asking, answering, return_exceptions=True)

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.target, Path):
            return await asyncio.open_unix_connection(self.target)
        return await asyncio.open_connection("127.0.0.1", self.target)

    async def _ask(self, reader: asyncio.StreamReader, line: Line) -> None:
        while data := await reader.read(self._most):
            await self._pass(data, line, line.server)

    async def _answer(self, reader: asyncio.StreamReader, line: Line) -> None:
        left = None if line.cut is None else line.cut.after
        while left is None or left > 0:
            data = await reader.read(self._most if left is None else left)
            if not data:
                return
            left = None if left is None else left - len(data)
            await self._pass(data, line, line.client)
        self.cuts += 1

    @property
    def _most(self) -> int:
        """Bytes that are taken at once: on a slow line, those of a twentieth of a second."""
        return PIECE if self.bytes_per_s is None else max(1, int(self.bytes_per_s / 20))

    async def _pass(self, data: bytes, line: Line, to: asyncio.StreamWriter) -> None:
        await self._open.wait()
        if self.bytes_per_s is not None:
            await asyncio.sleep(len(data) / self.bytes_per_s)
        if not line.dead:
            to.write(data)
            await to.drain()


async def _swallow(reader: asyncio.StreamReader) -> None:
    while await reader.read(PIECE):
        pass


def _break(writer: asyncio.StreamWriter, cut: Cut) -> None:
    if cut.how == "reset":
        _reset(writer)
    else:
        writer.transport.abort()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):  # it may be closed already
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
