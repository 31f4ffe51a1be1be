"""Timers: what happens in a case because time has passed and somebody has not acted.

They are tasks, so they outlive the process that set them.

Invariant: an owner counts as gone only if no process has seen a connection of theirs for as long
as the policy allows; each process notes who is connected to it.
"""

import asyncio
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import Connection, select, tuple_, update

from auth.principal import Principal, Role
from rooms.commands import Command, Recall, Remind
from rooms.database import Database
from rooms.errors import Code, Rejected, Unavailable
from rooms.events import Control
from rooms.log import Log
from rooms.presence import Presence
from rooms.rows import table_of
from rooms.state import Policy, RoomState
from rooms.tables import CaseRow
from rooms.takeover import OWNER_AWAY, UNACCEPTED
from rooms.tasks import Claim, Later, Tasks

logger = structlog.get_logger()

LOOKS: Final = 20
"""How often in the time that an owner may be away it is noted that they are there."""


class Timers:
    """Tells staff again of cases that wait, and takes cases back from owners who are gone."""

    def __init__(
        self,
        database: Database,
        log: Log,
        presence: Presence,
        *,
        now: Callable[[], datetime],
        policy: Callable[[str], Policy],
    ) -> None:
        self._database = database
        self._log = log
        self._presence = presence
        self._now = now
        self._policy = policy

    def serve(self, tasks: Tasks) -> None:
        """Handle the tasks that are timers."""
        tasks.on(UNACCEPTED, self.remind)
        tasks.on(OWNER_AWAY, self.recall)

    async def run(self, every: timedelta) -> None:
        """Note, `LOOKS` times in `every`, whose owners are connected; until cancelled."""
        while True:
            await asyncio.sleep(every.total_seconds() / LOOKS)
            await self.note(self._presence.staff())

    async def note(self, staff: Collection[tuple[str, str]]) -> None:
        """Note that these members of staff, each with the tenant, are connected now."""
        if not staff:
            return
        now = self._now()
        try:
            await self._database.write(lambda connection: _note(connection, staff, now))
        except Unavailable:
            logger.warning("owners_not_noted", staff=len(staff))

    async def remind(self, claim: Claim) -> None:
        fence, reminder = claim.details["fence"], claim.details["reminder"]
        await self._give(claim, Remind(fence, reminder), await self._log.state(claim.case))

    async def recall(self, claim: Claim) -> None:
        state = await self._log.state(claim.case)
        fence = claim.details["fence"]
        if state is None or state.control is not Control.HUMAN or state.fence != fence:
            return
        away = self._policy(state.tenant).away_after
        if self._presence.is_connected(state.tenant, state.owner_id or ""):
            raise Later(self._now() + away)
        seen = await self._database.read(lambda connection: _seen(connection, claim.case))
        if seen is not None and seen + away > self._now():
            raise Later(seen + away)
        await self._give(claim, Recall(fence), state)

    async def _give(self, claim: Claim, command: Command, state: RoomState | None) -> None:
        if state is None:
            return
        by = Principal("hub", state.tenant, Role.SERVICE, "Curaway")
        policy = self._policy(state.tenant)
        try:
            await self._log.append(claim.case, command, by, claim.id, echo=False, policy=policy)
        except Rejected as error:
            # An archived case takes nothing, and needs nobody.
            if error.code is not Code.CLOSED:
                raise


_CASE: Final = table_of(CaseRow)


def _note(connection: Connection, staff: Collection[tuple[str, str]], now: datetime) -> None:
    theirs = tuple_(_CASE.c.tenant, _CASE.c.owner_id).in_(sorted(staff))
    connection.execute(update(_CASE).where(theirs).values(owner_seen_at=now))


def _seen(connection: Connection, case: str) -> datetime | None:
    query = select(_CASE.c.owner_seen_at).where(_CASE.c.id == case)
    seen: datetime | None = connection.execute(query).scalar()
    return seen
