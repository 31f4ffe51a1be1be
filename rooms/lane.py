"""The writer lane: all that waits is written together.

Batching adds no delay: an item that finds the lane idle is written at once, alone.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

BATCH: Final = 256
"""Most items in one write."""
WAITING: Final = 10_000
"""Most items that may wait; more are refused, for they would only time out."""


class Lane(Generic[T]):
    """A queue with one writer at its end; items are written in the order in which they came."""

    def __init__(self, write: Callable[[list[T]], Awaitable[None]]) -> None:
        self._write = write
        self._waiting: deque[T] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def waiting(self) -> tuple[T, ...]:
        return tuple(self._waiting)

    def put(self, item: T) -> bool:
        """Take an item; False means that too many wait already and it was not taken."""
        if len(self._waiting) >= WAITING:
            return False
        self._waiting.append(item)
        self._idle.clear()
        self._wake.set()
        return True

    async def run(self) -> None:
        """Write batches until cancelled. `write` must not raise: it answers each item itself."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                size = min(len(self._waiting), BATCH)
                await self._write([self._waiting.popleft() for _ in range(size)])
            self._idle.set()

    async def idle(self) -> None:
        """Return when nothing waits and nothing is being written."""
        await self._idle.wait()
