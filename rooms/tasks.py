"""Tasks: work that was promised in a commit, and is done after it by whichever process is there.

A claim is a lease: it sets `due` to the moment in which the work may be claimed again, and is
renewed while the work goes on. So a process that dies loses its work to another one.

Invariant: a task is done at least once; what it does must bear being done twice.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy import Connection, bindparam, delete, func, select, update
from sqlmodel import col

from rooms.database import Database
from rooms.errors import Unavailable
from rooms.rows import table_of
from rooms.tables import TaskRow

logger = structlog.get_logger()

ATTEMPTS: Final = 8
"""After so many failures a task is dead: it is kept for an engineer to look at."""
BACKOFF: Final = timedelta(seconds=2)
"""Before the second attempt; doubled before each further one, up to `LONGEST`."""
LONGEST: Final = timedelta(minutes=5)
AT_ONCE: Final = 200
"""Most tasks that one process works on at the same time."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A task that this process works on."""

    id: str
    kind: str
    case: str
    details: Mapping[str, Any]
    attempt: int
    """1 for the first."""


class Later(Exception):
    """Raised by a handler: it is too early, and the task is to be claimed again then.

    Without a moment: this process is about to stop, and another one may claim it at once.
    """

    def __init__(self, due: datetime | None = None) -> None:
        super().__init__(due)
        self.due = due


Handler = Callable[[Claim], Awaitable[None]]


class Tasks:
    """Claims tasks, gives each to the handler of its kind, and keeps its lease."""

    def __init__(
        self,
        database: Database,
        *,
        now: Callable[[], datetime],
        holder: str,
        lease: timedelta,
        poll: float,
    ) -> None:
        """Make a worker that is called `holder`; it looks for tasks every `poll` seconds."""
        self._database = database
        self._now = now
        self._holder = holder
        self._lease = lease
        self._poll = poll
        self._handlers: dict[str, Handler] = {}
        self._working: dict[str, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._paused = False
        self.waiting: dict[str, int] = {}
        """By kind, how many are due and not claimed; as of the last look."""
        self.dead: dict[str, int] = {}
        self.outcomes: Counter[tuple[str, str]] = Counter()
        """By kind and outcome (`done`, `later`, `retried`, `dead`, `lost`), since the start."""

    def on(self, kind: str, handler: Handler) -> None:
        """Give the tasks of a kind to a handler."""
        self._handlers[kind] = handler

    def wake(self) -> None:
        """Look for tasks now: some were promised."""
        self._wake.set()

    def pause(self) -> None:
        """Claim no more: this process is about to stop."""
        self._paused = True

    @property
    def working(self) -> int:
        return len(self._working)

    async def idle(self) -> None:
        """Return when nothing is being worked on here."""
        while self._working:
            await asyncio.wait(list(self._working.values()))

    async def run(self) -> None:
        """Work until cancelled; what is not finished then may be claimed by others at once."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._renew())
                group.create_task(self._count())
                while True:
                    await self._round(group)
        finally:
            await self._let_go()

    async def _round(self, group: asyncio.TaskGroup) -> None:
        self._wake.clear()
        try:
            claims = await self._claim()
        except Unavailable:
            logger.warning("tasks_wait_for_database")
            claims = []
        for claim in claims:
            # One whose lease could not be renewed may be claimed here while it is worked on here.
            if claim.id not in self._working:
                work = self._work(claim)
                self._working[claim.id] = group.create_task(work, name=claim.kind)
        if len(claims) < AT_ONCE:
            await self._wait()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._poll):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _claim(self) -> list[Claim]:
        room = AT_ONCE - len(self._working)
        if room <= 0 or not self._handlers or self._paused:
            return []
        now = self._now()
        # What nobody here can do is left for a process that can, one of a newer version perhaps.
        kinds = list(self._handlers)
        # Reading first spares an idle process the writing transaction.
        if not await self._database.read(lambda connection: _due(connection, kinds, now, 1)):
            return []
        until = now + self._lease
        return await self._database.write(
            lambda connection: _take(connection, kinds, now, until, self._holder, room)
        )

    async def _work(self, claim: Claim) -> None:
        try:
            await self._handlers[claim.kind](claim)
        except Later as later:
            await self._put_back(claim, later.due or self._now(), "later", attempts=0)
        except Exception as error:  # noqa: BLE001 - whatever it was, the task is tried again
            await self._fail(claim, error)
        else:
            await self._finish(claim)
        finally:
            if len(self._working) >= AT_ONCE:
                self.wake()
            self._working.pop(claim.id, None)

    async def _finish(self, claim: Claim) -> None:
        self.outcomes[claim.kind, "done"] += 1
        try:
            await self._database.write(lambda connection: _delete(connection, claim.id))
        except Unavailable:
            # It will be done again when its lease has ended, and find that nothing is left to do.
            logger.warning("task_not_deleted", task=claim.id, kind=claim.kind)

    async def _fail(self, claim: Claim, error: Exception) -> None:
        logger.warning(
            "task_failed",
            task=claim.id,
            kind=claim.kind,
            case=claim.case,
            attempt=claim.attempt,
            error=type(error).__name__,
            exc_info=not isinstance(error, Unavailable),
        )
        # A database that is away for long must not bury what it will have to do.
        if claim.attempt >= ATTEMPTS and not isinstance(error, Unavailable):
            await self._put_back(claim, self._now(), "dead", dead=True)
            return
        delay = min(BACKOFF * 2 ** min(claim.attempt - 1, 16), LONGEST)
        await self._put_back(claim, self._now() + delay, "retried")

    async def _put_back(self, claim: Claim, due: datetime, outcome: str, **columns: Any) -> None:
        self.outcomes[claim.kind, outcome] += 1
        try:
            await self._database.write(
                lambda connection: _release(
                    connection, [claim.id], self._holder, due=due, **columns
                )
            )
        except Unavailable:
            logger.warning("task_not_put_back", task=claim.id, kind=claim.kind)

    async def _renew(self) -> None:
        """Renew the leases of what is being worked on; stop what was lost."""
        while True:
            await asyncio.sleep(self._lease.total_seconds() / 4)
            held = list(self._working)
            if not held:
                continue
            due = self._now() + self._lease
            try:
                kept = await self._database.write(
                    lambda connection, held=held, due=due: _keep(  # type: ignore[misc]
                        connection, held, self._holder, due
                    )
                )
            except Unavailable:
                logger.warning("leases_not_renewed", tasks=len(held))
                continue
            for id in set(held) - kept:
                if id in self._working:
                    work = self._working[id]
                    logger.warning("lease_lost", task=id, kind=work.get_name())
                    self.outcomes[work.get_name(), "lost"] += 1
                    work.cancel()

    async def _count(self) -> None:
        while True:
            try:
                now = self._now()
                self.waiting, self.dead = await self._database.read(
                    lambda connection, now=now: _counts(connection, now)  # type: ignore[misc]
                )
            except Unavailable:
                logger.warning("tasks_wait_for_database")
            await asyncio.sleep(10)

    async def _let_go(self) -> None:
        """Let others have at once what this process will not finish."""
        try:
            now = self._now()
            await self._database.write(
                lambda connection: _release(connection, None, self._holder, due=now)
            )
        except Unavailable:
            logger.warning("leases_not_released")


_TASK: Final = table_of(TaskRow)


def _due(connection: Connection, kinds: list[str], now: datetime, limit: int) -> list[Any]:
    query = (
        select(_TASK)
        .where(col(TaskRow.dead).is_(False), col(TaskRow.due) <= now, col(TaskRow.kind).in_(kinds))
        .order_by(col(TaskRow.due))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return list(connection.execute(query))


def _take(
    connection: Connection,
    kinds: list[str],
    now: datetime,
    until: datetime,
    holder: str,
    limit: int,
) -> list[Claim]:
    rows = _due(connection, kinds, now, limit)
    if rows:
        taken = update(_TASK).where(_TASK.c.id == bindparam("task"))
        changes = [
            {"task": row.id, "due": until, "holder": holder, "attempts": row.attempts + 1}
            for row in rows
        ]
        connection.execute(taken, changes)
    return [
        Claim(row.id, row.kind, row.case_id, json.loads(row.details), row.attempts + 1)
        for row in rows
    ]


def _keep(connection: Connection, ids: list[str], holder: str, due: datetime) -> set[str]:
    """Renew the leases that are still held, and name their tasks."""
    held = (_TASK.c.id.in_(ids), _TASK.c.holder == holder)
    kept = {row.id for row in connection.execute(select(_TASK.c.id).where(*held))}
    connection.execute(update(_TASK).where(*held).values(due=due))
    return kept


def _release(connection: Connection, ids: list[str] | None, holder: str, **columns: Any) -> None:
    """Give up the leases of these tasks, or of all."""
    change = update(_TASK).where(_TASK.c.holder == holder).values(holder=None, **columns)
    connection.execute(change if ids is None else change.where(_TASK.c.id.in_(ids)))


def _delete(connection: Connection, id: str) -> None:
    connection.execute(delete(_TASK).where(_TASK.c.id == id))


def _counts(connection: Connection, now: datetime) -> tuple[dict[str, int], dict[str, int]]:
    query = select(_TASK.c.kind, _TASK.c.dead, func.count()).where(
        (_TASK.c.due <= now) | _TASK.c.dead
    )
    waiting: dict[str, int] = {}
    dead: dict[str, int] = {}
    for kind, is_dead, count in connection.execute(query.group_by(_TASK.c.kind, _TASK.c.dead)):
        (dead if is_dead else waiting)[kind] = count
    return waiting, dead
