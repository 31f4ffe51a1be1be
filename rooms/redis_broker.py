"""The broker of many processes: hints travel through Redis, on one channel for each audience.

A room costs Redis nothing while it is silent: every process hears every hint, and passes over
those of rooms that have no reader here.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from rooms.broker import Hint
from rooms.events import Audience
from rooms.hints import Batch, decode_batch, opening
from rooms.redis_inquiries import MARK, Inquiries
from rooms.redis_link import RedisServer
from rooms.redis_publisher import Publisher
from rooms.redis_subscriber import Subscriber

logger = structlog.get_logger()

LIMIT: Final = 0.25
"""Seconds within which Redis must answer what is published."""
PING_EVERY: Final = 15.0
"""Seconds of silence before Redis is asked for a sign of life; each ping may have its price."""
REPLIES: Final = 16
"""Most questions of others that are being answered at once."""
SOURCES: Final = 1_000
"""Most processes and audiences of which the last number is remembered."""


class RedisBroker:
    """Carries hints to this process at once, and to the others while `run` runs."""

    def __init__(
        self,
        url: str,
        *,
        process: str,
        gap: Callable[[], None],
        monotonic: Callable[[], float],
        random: Callable[[], float],
        prefix: str = "hub",
        limit: float = LIMIT,
        ping_every: float = PING_EVERY,
    ) -> None:
        """Make the broker of a process.

        Args:
            url: `redis://[[user]:password@]host[:port][/db]`, or `rediss://` for TLS.
            process: an id that no other process has, nor this one had before it was restarted.
            gap: called on the event loop whenever hints of others may have been missed.
            monotonic: seconds.
            random: from 0 to 1; spreads the attempts of many processes to connect again.
            prefix: begins the names of the channels; who shares it shares the hints.
            limit: seconds within which Redis must answer what is published.
            ping_every: seconds of silence before Redis is asked for a sign of life.

        Raises:
            ValueError: `url` is not such a URL.

        """
        self._gap = gap
        self._receive: Callable[[Hint], None] | None = None
        self._own = opening(process)
        self._heard: dict[tuple[str, Audience], int] = {}
        """The number of the last batch of each process for each audience."""
        self._ended = asyncio.Event()
        self._ended.set()
        self._server = RedisServer(url)
        channels = {audience: f"{prefix}:{audience}" for audience in Audience}
        self._subscriber = Subscriber(
            self._server,
            list(channels.values()),
            hear=self._hear,
            gap=self._tell_gap,
            monotonic=monotonic,
            random=random,
            ping_every=ping_every,
        )
        self.tell: Callable[[str], str] = lambda case: ""
        """Gives what this process knows of a case to another process that asks."""
        self._inquiries = Inquiries(
            self._server, channels[Audience.STAFF], process, lambda case: self.tell(case)
        )
        self._replies: set[asyncio.Task[None]] = set()
        self._publisher = Publisher(
            self._server,
            channels,
            process,
            failed=self._subscriber.doubt,
            monotonic=monotonic,
            limit=limit,
        )

    @property
    def connected(self) -> bool:
        """Hints come and go, as far as is known."""
        return self._subscriber.connected and self._publisher.working

    @property
    def commands(self) -> Counter[str]:
        """The commands that were sent to Redis, by name."""
        return self._server.commands

    @property
    def lost(self) -> int:
        """Hints of this process that the others were not given."""
        return self._publisher.lost

    @property
    def receivers(self) -> int:
        """How many processes, this one included, heard what was published last."""
        return self._publisher.receivers

    async def ask(self, case: str) -> tuple[int, list[bytes]]:
        """Ask the others what they know of a case: how many heard it, and what they say.

        Raises:
            Exception: Redis cannot be reached, or does not answer.

        """
        return await self._inquiries.ask(case, hears_itself=self._subscriber.connected)

    def attach(self, receive: Callable[[Hint], None]) -> None:
        self._receive = receive

    def publish(self, hints: Sequence[Hint]) -> None:
        self._publisher.put(hints)
        if self._receive is not None:
            for hint in hints:
                self._receive(hint)

    async def run(self) -> None:
        """Speak with Redis until cancelled, or until `close` is called."""
        self._ended.clear()
        try:
            async with asyncio.TaskGroup() as tasks:
                listening = tasks.create_task(self._subscriber.run())
                await self._publisher.run()
                listening.cancel()
        finally:
            for reply in self._replies:
                reply.cancel()
            self._ended.set()

    async def close(self) -> None:
        """Send what waits, if Redis answers, and end `run`."""
        self._publisher.close()
        await self._ended.wait()

    def _hear(self, data: bytes) -> None:
        if data.startswith(self._own):
            return
        if data.startswith(MARK):
            self._reply_soon(data)
            return
        batch = decode_batch(data)
        if batch is None or not self._is_new(batch):
            return
        for hint in batch.hints:
            self._deliver(hint)

    def _reply_soon(self, question: bytes) -> None:
        # One who asks without end waits for what was asked before.
        if len(self._replies) < REPLIES:
            reply = asyncio.create_task(self._reply(question))
            self._replies.add(reply)
            reply.add_done_callback(self._replies.discard)

    async def _reply(self, question: bytes) -> None:
        try:
            await self._inquiries.reply(question)
        except Exception as error:  # noqa: BLE001 - it is missed by who asked, and by nobody else
            logger.info("inquiry_not_answered", reason=self._server.reason(error))

    def _is_new(self, batch: Batch) -> bool:
        """Tell whether a batch comes after all that was heard of its process, as it must."""
        source = batch.process, batch.audience
        last = self._heard.pop(source, 0)
        self._heard[source] = max(last, batch.number)
        if len(self._heard) > SOURCES:
            del self._heard[next(iter(self._heard))]
        if batch.number > last + 1:
            self._tell_gap()
        return batch.number > last

    def _deliver(self, hint: Hint) -> None:
        try:
            if self._receive is not None:
                self._receive(hint)
        except Exception:
            logger.exception("hint_failed", case=hint.case)

    def _tell_gap(self) -> None:
        try:
            self._gap()
        except Exception:
            logger.exception("gap_failed")
