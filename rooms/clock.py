"""The time of the database, by which all processes go.

Leases, timers and the right of a token are judged by comparing times, and the processes of a hub
must not differ in them. So each asks the database now and then, and counts on from there by its
own monotonic clock: what its wall clock says, or jumps to, changes nothing.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import Connection

from rooms.database import Database
from rooms.errors import Unavailable

logger = structlog.get_logger()

LOOK_EVERY: Final = 10.0
"""Seconds between two looks at the database's clock."""
PROMPT: Final = 0.5
"""An answer that took longer says too little; the one before it is better."""
SKEW: Final = 2.0
"""Seconds that two clocks may differ before an engineer is told."""


class SharedClock:
    """Gives the time of a PostgreSQL database; call `look` before it is needed."""

    def __init__(
        self, database: Database, now: Callable[[], datetime], monotonic: Callable[[], float]
    ) -> None:
        self._database = database
        self._now = now
        self._monotonic = monotonic
        self._known: tuple[datetime, float] | None = None
        """A time of the database, and what the monotonic clock said then."""
        self._told = False
        self.skew = 0.0
        """By how many seconds the own clock is ahead."""

    def __call__(self) -> datetime:
        if self._known is None:
            return self._now()
        at, then = self._known
        return at + timedelta(seconds=self._monotonic() - then)

    async def look(self) -> None:
        """Ask the database what time it is.

        Raises:
            Unavailable: it does not answer.

        """
        at, before, after = await self._database.read(self._ask)
        if self._known is not None and after - before > PROMPT:
            return
        # The answer was right somewhere between the question and its arrival. To be connected, and
        # to come to one's turn, may have taken seconds, and is no part of that.
        self._known = at, (before + after) / 2
        self.skew = (self._now() - self()).total_seconds()
        self._tell()

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                await self.look()
            except Unavailable:
                # The monotonic clock is good enough for as long as that lasts.
                continue

    def _ask(self, connection: Connection) -> tuple[datetime, float, float]:
        """Give the time, and what the monotonic clock said before the question and after it."""
        before = self._monotonic()
        at: datetime = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
        return at.astimezone(UTC), before, self._monotonic()

    def _tell(self) -> None:
        differs = abs(self.skew) > SKEW
        if differs and not self._told:
            logger.warning("clock_differs", seconds=round(self.skew, 3))
        self._told = differs
