"""A TCP proxy that breaks connections: after so many bytes, and so in the middle of a frame.

It can also be a bad line: one that is cut for everybody, lets nothing through, or little.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

How = Literal["closed", "reset", "unnoticed"]
"""`unnoticed`: the client loses the connection, and the server goes on writing into it."""


@dataclass(frozen=True)
class Cut:
    """When the next connection breaks: after so many bytes of the server, and how."""

    after: int
    how: How


class TcpProxy:
    """Stands between a client and a server."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.next: Cut | None = None
        """What becomes of the next connection; None: it is left alone."""
        self.cuts = 0
        self.bytes_per_s: float | None = None
        """How much a connection lets through in each direction; None: all."""
        self._open = asyncio.Event()
        self._open.set()
        self._handlers: set[asyncio.Task[None]] = set()

    def cut_all(self) -> None:
        """Break all connections that there are."""
        for task in self._handlers:
            task.cancel()

    def swallow(self) -> None:
        """Be a black hole: what is sent is taken, and does not arrive until `recover`."""
        self._open.clear()

    def recover(self) -> None:
        """Let everything through again, what has waited first."""
        self._open.set()
        self.bytes_per_s = None

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        cut, self.next = self.next, None
        try:
            # The server may be away, either may leave, and the test may be over.
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._forward(reader, writer, cut)
        finally:
            self._handlers.discard(task)
            writer.transport.abort()

    async def stop(self) -> None:
        handlers = list(self._handlers)
        for task in handlers:
            task.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: Cut | None
    ) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self.target)
        asking = asyncio.ensure_future(self._ask(reader, to_server))
        answering = asyncio.ensure_future(self._answer(from_server, writer, cut))
        try:
            await asyncio.wait({asking, answering}, return_when=asyncio.FIRST_COMPLETED)
            if answering.done() and not answering.exception() and cut is not None:
                _break(writer, cut)
                if cut.how == "unnoticed":
                    await _swallow(from_server)
        finally:
            to_server.transport.abort()
            for task in (asking, answering):
                task.cancel()
            await asyncio.gather(asking, answering, return_exceptions=True)

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: Cut | None
    ) -> None:
        left = None if cut is None else cut.after
        while left is None or left > 0:
            data = await reader.read(self._most if left is None else left)
            if not data:
                return
            left = None if left is None else left - len(data)
            await self._pass(data, writer)
        self.cuts += 1

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(self._most):
            await self._pass(data, writer)

    @property
    def _most(self) -> int:
        """Bytes that are taken at once: on a slow line, those of a twentieth of a second."""
        return 65_536 if self.bytes_per_s is None else max(1, int(self.bytes_per_s / 20))

    async def _pass(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        await self._open.wait()
        if self.bytes_per_s is not None:
            await asyncio.sleep(len(data) / self.bytes_per_s)
        writer.write(data)
        await writer.drain()


async def _swallow(reader: asyncio.StreamReader) -> None:
    while await reader.read(65_536):
        pass


def _break(writer: asyncio.StreamWriter, cut: Cut) -> None:
    if cut.how == "reset":
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextlib.asynccontextmanager
async def tcp_proxy(target: int) -> AsyncIterator[TcpProxy]:
    """Run a proxy to a port of this machine."""
    proxy = TcpProxy(target)
    listening = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.port = listening.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listening.close()
        await proxy.stop()
        await listening.wait_closed()
