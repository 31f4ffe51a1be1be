"""The listening half of the Redis broker: a subscription that is made anew for as long as it takes.

Redis keeps nothing for whoever is away, so each subscription begins with a gap.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Final

import structlog

from rooms.redis_link import Link, RedisServer

logger = structlog.get_logger()

ANSWER_WITHIN: Final = 2.0
"""Seconds in which Redis confirms a subscription, or answers a ping."""
RECONNECT: Final = 0.1
"""Seconds before the first attempt to subscribe again, at most; doubled each time."""
LONGEST: Final = 2.0
STEADY: Final = 5.0
"""A subscription that held so many seconds was a good one: the next begins soon."""


class Subscriber:
    """Hands on what is published while `run` runs."""

    def __init__(
        self,
        server: RedisServer,
        channels: Collection[str],
        *,
        hear: Callable[[bytes], None],
        gap: Callable[[], None],
        monotonic: Callable[[], float],
        random: Callable[[], float],
        ping_every: float,
    ) -> None:
        """Make the subscriber of a process.

        Args:
            server: where to subscribe.
            channels: what to subscribe to.
            hear: is given each message; must not raise.
            gap: is told of each new subscription; must not raise.
            monotonic: seconds.
            random: from 0 to 1.
            ping_every: seconds of silence before Redis is asked for a sign of life.

        """
        self._server = server
        self._channels = channels
        self._hear = hear
        self._gap = gap
        self._monotonic = monotonic
        self._random = random
        self._ping_every = ping_every
        self._spoke = asyncio.Event()
        self._doubted = asyncio.Event()
        self._lost = False
        self.connected = False

    def doubt(self) -> None:
        """Ask Redis for a sign of life now."""
        self._doubted.set()

    async def run(self) -> None:
        """Listen until cancelled."""
        failures = 0
        while True:
            began = self._monotonic()
            try:
                await self._listen()
            except Exception as error:  # noqa: BLE001 - whatever it is, only a new one helps
                self._lose(error)
            steady = self._monotonic() - began >= STEADY
            failures = 0 if steady else min(failures + 1, 8)
            await asyncio.sleep(self._random() * min(RECONNECT * 2**failures, LONGEST))

    async def _listen(self) -> None:
        link = await self._server.connect()
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                await link.send(("SUBSCRIBE", *self._channels))
                for _ in self._channels:
                    await link.answer()
            self._begin()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read(link))
                tasks.create_task(self._watch(link))
        finally:
            self.connected = False
            await link.close()

    def _begin(self) -> None:
        self.connected = True
        if self._lost:
            self._lost = False
            logger.info("broker_back", side="subscriber")
        self._gap()

    def _lose(self, error: Exception) -> None:
        if not self._lost:
            self._lost = True
            cause = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
            reason = self._server.reason(cause)
            logger.warning("broker_lost", side="subscriber", reason=reason)

    async def _read(self, link: Link) -> None:
        while True:
            word = await link.answer()
            self._spoke.set()
            if word[0] == b"message":
                self._hear(word[2])

    async def _watch(self, link: Link) -> None:
        """Ask for a sign of life after a silence, or in doubt; raise if none comes."""
        while True:
            self._spoke.clear()
            if not await self._is_doubted() and self._spoke.is_set():
                continue
            self._doubted.clear()
            self._spoke.clear()
            await link.send(("PING",))
            async with asyncio.timeout(ANSWER_WITHIN):
                await self._spoke.wait()

    async def _is_doubted(self) -> bool:
        """Wait for a doubt; False: there was none for a while."""
        try:
            async with asyncio.timeout(self._ping_every):
                return await self._doubted.wait()
        except TimeoutError:
            return False
