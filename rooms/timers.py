"""Timers: what happens in a case because time has passed and somebody has not acted.

They are tasks, so they outlive the process that set them.

Invariant: an owner counts as gone only if no process has seen a connection or a request of theirs
for as long as the policy allows; each process notes whom it has seen. The time in which there was
no process does not count: nobody could connect.
"""

import asyncio
import json
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import Connection, delete, select, tuple_, update

from auth.principal import Principal, hub_itself
from rooms.commands import Command, Recall, Remind
from rooms.database import Database
from rooms.errors import Code, Rejected, Unavailable
from rooms.events import Control
from rooms.log import Log
from rooms.presence import Presence
from rooms.rows import table_of
from rooms.state import Policy, RoomState
from rooms.tables import CaseRow, TaskRow
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
        self._begun: datetime | None = None
        """Since when this process can see who is there."""
        self._asked: dict[tuple[str, str], datetime] = {}
        """When members of staff last asked for something, until that is in the database."""

    def serve(self, tasks: Tasks) -> None:
        """Handle the tasks that are timers."""
        tasks.on(UNACCEPTED, self.remind)
        tasks.on(OWNER_AWAY, self.recall)

    async def run(self, every: timedelta) -> None:
        """Note, `LOOKS` times in `every`, which owners are there; until cancelled."""
        self._begun = self._now()
        while True:
            await asyncio.sleep(every.total_seconds() / LOOKS)
            now = self._now()
            await self.note(self._presence.staff() | self._asked.keys())
            self._asked = {who: at for who, at in self._asked.items() if at > now}

    def notice(self, by: Principal) -> None:
        """Note that somebody asks for something, with or without a connection."""
        if by.is_staff:
            self._asked[by.tenant, by.id] = self._now()

    async def note(self, staff: Collection[tuple[str, str]]) -> None:
        """Note that these members of staff, each with the tenant, are there now."""
        if not staff:
            return
        now = self._now()
        try:
            await self._database.write(lambda connection: _note(connection, staff, now))
        except Unavailable:
            logger.warning("owners_not_noted", staff=len(staff))

    async def remind(self, claim: Claim) -> None:
        fence, reminder = claim.details["fence"], claim.details["reminder"]
        # A case that was closed for a moment has the timers of before, and those of after.
        await self._database.write(lambda connection: _forget_others(connection, claim))
        await self._give(claim, Remind(fence, reminder), await self._log.state(claim.case))

    async def recall(self, claim: Claim) -> None:
        state = await self._log.state(claim.case)
        fence = claim.details["fence"]
        if state is None or state.control is not Control.HUMAN or state.fence != fence:
            return
        away = self._policy(state.tenant).away_after
        owner = (state.tenant, state.owner_id or "")
        if self._presence.is_connected(*owner):
            raise Later(self._now() + away)
        seen = await self._database.read(lambda connection: _seen(connection, claim.case))
        known = (seen, self._begun, self._asked.get(owner))
        latest = max((at for at in known if at is not None), default=None)
        if latest is not None and latest + away > self._now():
            raise Later(latest + away)
        await self._give(claim, Recall(fence), state)

    async def _give(self, claim: Claim, command: Command, state: RoomState | None) -> None:
        if state is None:
            return
        by = hub_itself(state.tenant)
        policy = self._policy(state.tenant)
        try:
            await self._log.append(claim.case, command, by, claim.id, echo=False, policy=policy)
        except Rejected as error:
            # An archived case takes nothing, and needs nobody.
            if error.code is not Code.CLOSED:
                raise


_CASE: Final = table_of(CaseRow)
_TASK: Final = table_of(TaskRow)


def _note(connection: Connection, staff: Collection[tuple[str, str]], now: datetime) -> None:
    theirs = tuple_(_CASE.c.tenant, _CASE.c.owner_id).in_(sorted(staff))
    # In sorted order, as the log locks them, so that the two cannot lock each other.
    locked = select(_CASE.c.id).where(theirs).order_by(_CASE.c.id).with_for_update()
    ids = [row.id for row in connection.execute(locked)]
    if ids:
        connection.execute(update(_CASE).where(_CASE.c.id.in_(ids)).values(owner_seen_at=now))


def _forget_others(connection: Connection, claim: Claim) -> None:
    """Forget the other timers that would tell the same; those of a later wait stay."""
    others = select(_TASK.c.id, _TASK.c.details).where(
        _TASK.c.case_id == claim.case,
        _TASK.c.kind == claim.kind,
        _TASK.c.id != claim.id,
        _TASK.c.holder.is_(None),
        _TASK.c.dead.is_(False),
    )
    rows = connection.execute(others).all()
    same = [row.id for row in rows if json.loads(row.details)["fence"] <= claim.details["fence"]]
    if same:
        connection.execute(delete(_TASK).where(_TASK.c.id.in_(same)))


def _seen(connection: Connection, case: str) -> datetime | None:
    query = select(_CASE.c.owner_seen_at).where(_CASE.c.id == case)
    seen: datetime | None = connection.execute(query).scalar()
    return seen
