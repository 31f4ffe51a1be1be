"""A proxy between a browser and a hub that does what those of companies and mobile networks do.

It knows just enough HTTP/1.1 to tell what a request asks for: browsers send the head of a request
at the beginning of a write, and nothing after it before the answer.
"""

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Final

from tests.tcp_proxy import PIECE, Line, TcpProxy

METHODS: Final = (b"GET ", b"POST ", b"HEAD ", b"OPTIONS ", b"PUT ", b"DELETE ")
FORBIDDEN: Final = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Asks(StrEnum):
    """What a request asks for."""

    SOCKET = "a WebSocket"
    STREAM = "a stream of Server-Sent Events"
    ANSWER = "an answer"


class FaultyProxy(TcpProxy):
    """Stands between a browser and a hub."""

    def __init__(self, target: int | Path = 0) -> None:
        super().__init__(target)
        self.forbids: set[Asks] = set()
        """Requests that are answered with 403, as by a proxy of a company."""
        self.holds: set[Asks] = set()
        """Requests whose answers are held back for ever, as by a proxy that gathers answers."""
        self.delay = 0.0
        """Seconds that each piece takes, in each direction."""
        self.heard = bytearray()
        """All that browsers were sent through here."""
        self.asked: list[str] = []
        """The first line of each request."""
        self._holding: set[Line] = set()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def recover(self) -> None:
        super().recover()
        self.delay = 0.0

    async def _ask(self, reader: asyncio.StreamReader, line: Line) -> None:
        while data := await reader.read(PIECE):
            if data.startswith(METHODS):
                data += await _rest_of_head(reader, data)
                if not self._admits(data, line):
                    line.client.write(FORBIDDEN)
                    await line.client.drain()
                    return
            await self._pass(data, line, line.server)

    async def _pass(self, data: bytes, line: Line, to: asyncio.StreamWriter) -> None:
        if self.delay:
            await asyncio.sleep(self.delay)
        if to is line.client:
            if line in self._holding:
                return
            self.heard += data
        await super()._pass(data, line, to)

    def _admits(self, head: bytes, line: Line) -> bool:
        self.asked.append(head.partition(b"\r\n")[0].decode())
        asks = _asks(head)
        if asks in self.holds:
            self._holding.add(line)
        else:
            self._holding.discard(line)
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
