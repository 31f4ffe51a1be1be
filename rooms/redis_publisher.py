"""The sending half of the Redis broker: whoever publishes goes on at once, and a task sends.

What waits while a batch is on its way goes out together, as one message for each audience.

If Redis does not answer, the batch is sent again with its number: who has it drops it. After a few
failures the breaker opens: for a growing time nothing is sent, and what is published is dropped. A
number that is left out tells the others that something is missing.

Invariant: what waits is bounded, and leaves in the order in which it came.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from rooms.broker import Hint
from rooms.events import Audience
from rooms.hints import encode_batch, encode_hint
from rooms.redis_link import Link, RedisServer

logger = structlog.get_logger()

MESSAGE_BYTES: Final = 524_288
"""Most bytes of hints in one message, unless one hint alone is larger."""
WAITING: Final = 10_000
"""Most hints that wait."""
WAITING_CHARACTERS: Final = 16_777_216
"""Most characters of their frames together."""
FAILURES: Final = 3
"""After so many in a row the breaker opens."""
OPEN: Final = 0.25
"""Seconds for which it opens first; doubled each time, up to `LONGEST`."""
LONGEST: Final = 5.0
TELL_EVERY: Final = 10.0
"""Seconds between two log lines about dropped hints."""


@dataclass(frozen=True, slots=True)
class Message:
    """A batch, ready to be sent."""

    audience: Audience
    data: bytes
    hints: int


class Publisher:
    """Sends hints to the other processes while `run` runs."""

    def __init__(
        self,
        server: RedisServer,
        channels: Mapping[Audience, str],
        process: str,
        *,
        failed: Callable[[], None],
        monotonic: Callable[[], float],
        limit: float,
    ) -> None:
        """Make the publisher of a process.

        Args:
            server: where to publish.
            channels: one for each audience.
            process: which process the hints are from.
            failed: called after each failure.
            monotonic: seconds.
            limit: seconds within which Redis must answer.

        """
        self._server = server
        self._channels = channels
        self._process = process
        self._failed = failed
        self._monotonic = monotonic
        self._limit = limit
        self._waiting: deque[Hint] = deque()
        self._characters = 0
        self._numbers: Counter[Audience] = Counter()
        """The number of the last batch for each audience."""
        self._owing: set[Audience] = set()
        """Who must learn that a number was left out, by a batch without hints if need be."""
        self._sending: list[Message] = []
        self._link: Link | None = None
        self._failures = 0
        self._open = False
        self._closing = False
        self._wake = asyncio.Event()
        self._told_lost = 0
        self._tell_after = float("-inf")
        self.lost = 0
        """Hints that the other processes were not given."""
        self.receivers = 0
        """How many processes, this one included, heard the last message."""

    @property
    def working(self) -> bool:
        return self._failures < FAILURES

    def put(self, hints: Collection[Hint]) -> None:
        """Take hints, to be sent soon or dropped."""
        if self._open or self._closing:
            self._drop(hints)
            return
        self._waiting.extend(hints)
        self._characters += sum(len(hint.frame) for hint in hints)
        self._drop([self._next() for _ in range(len(self._waiting) - WAITING)])
        while self._characters > WAITING_CHARACTERS:
            self._drop([self._next()])
        self._wake.set()

    def close(self) -> None:
        """Let `run` send what waits, if Redis answers, and return."""
        self._closing = True
        self._wake.set()

    async def run(self) -> None:
        try:
            while await self._has_work():
                if not await self._attempt() and self._failures >= FAILURES:
                    self._give_up()
                    await self._stay_open()
        finally:
            await self._disconnect()

    async def _has_work(self) -> bool:
        while not (self._sending or self._waiting or (self._owing and not self._closing)):
            if self._closing:
                return False
            self._wake.clear()
            await self._wake.wait()
        return True

    async def _attempt(self) -> bool:
        try:
            if self._link is None:
                self._link = await self._server.connect()
                # What a dead server was sent would lie in a buffer: nothing before a sign of life.
                async with asyncio.timeout(self._limit):
                    await self._link.send(("PING",))
                    await self._link.answer()
            async with asyncio.timeout(self._limit):
                await self._send(self._link)
        except Exception as error:  # noqa: BLE001 - whatever it is, the breaker bounds it
            await self._fail(error)
            return False
        if not self.working:
            logger.info("broker_back", side="publisher", lost=self.lost)
        self._failures = 0
        return True

    async def _send(self, link: Link) -> None:
        self._sending = self._sending or self._take()
        await link.send(
            *(("PUBLISH", self._channels[each.audience], each.data) for each in self._sending)
        )
        for _ in self._sending:
            self.receivers = await link.answer()
        self._sending = []

    async def _fail(self, error: Exception) -> None:
        await self._disconnect()
        self._failures += 1
        if self._failures == FAILURES:
            reason = self._server.reason(error)
            logger.warning("broker_lost", side="publisher", reason=reason)
        self._failed()

    def _give_up(self) -> None:
        self._owing |= {each.audience for each in self._sending}
        self._count_lost(sum(each.hints for each in self._sending))
        self._sending = []
        self._drop([self._next() for _ in range(len(self._waiting))])

    async def _stay_open(self) -> None:
        if self._closing:
            return
        self._open = True
        self._wake.clear()
        try:
            async with asyncio.timeout(min(OPEN * 2 ** min(self._failures - FAILURES, 8), LONGEST)):
                await self._wake.wait()
        except TimeoutError:
            return
        finally:
            self._open = False

    async def _disconnect(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    def _take(self) -> list[Message]:
        """Take what waits, as far as it goes into one message for each audience."""
        batches: dict[Audience, list[bytes]] = {audience: [] for audience in self._owing}
        self._owing = set()
        sizes: Counter[Audience] = Counter()
        while self._waiting:
            hint = self._waiting[0]
            encoded = encode_hint(hint)
            batch = batches.setdefault(hint.audience, [])
            sizes[hint.audience] += len(encoded) + 1
            if batch and sizes[hint.audience] > MESSAGE_BYTES:
                break
            batch.append(encoded)
            self._next()
        return [self._message(audience, batch) for audience, batch in batches.items()]

    def _message(self, audience: Audience, encoded: list[bytes]) -> Message:
        self._numbers[audience] += 1
        data = encode_batch(self._process, audience, self._numbers[audience], encoded)
        return Message(audience, data, len(encoded))

    def _next(self) -> Hint:
        hint = self._waiting.popleft()
        self._characters -= len(hint.frame)
        return hint

    def _drop(self, hints: Collection[Hint]) -> None:
        for audience in {hint.audience for hint in hints}:
            self._numbers[audience] += 1
            self._owing.add(audience)
        self._count_lost(len(hints))

    def _count_lost(self, hints: int) -> None:
        self.lost += hints
        if self.lost > self._told_lost and self._monotonic() >= self._tell_after:
            logger.warning("hints_dropped", hints=self.lost - self._told_lost)
            self._told_lost = self.lost
            self._tell_after = self._monotonic() + TELL_EVERY
