"""Tasks: done at least once by whoever is there, the same promises on SQLite and on PostgreSQL."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from structlog.typing import EventDict

from rooms.database import Database, open_database
from rooms.errors import Unavailable
from rooms.rows import table_of, task_row
from rooms.state import Task
from rooms.tables import TaskRow
from rooms.tasks import ATTEMPTS, Claim, Handler, Later, Tasks
from tests.rooms.kit import CASE, NOW, WITHIN, Flaky

TASK = table_of(TaskRow)
LONG = timedelta(minutes=1)
"""A lease that is not renewed while a test runs."""
SHORT = timedelta(milliseconds=40)
"""One that is renewed again and again."""


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> Any:
        return self.now

    def pass_by(self, time: timedelta) -> None:
        self.now += time


class Looking(Flaky):
    """A database that counts how often it was looked into."""

    looks = 0

    async def read(self, work: Callable[..., Any]) -> Any:
        self.looks += 1
        return await super().read(work)


@dataclass
class Worker:
    """Tasks that are being claimed, and what was made of them."""

    tasks: Tasks
    database: Looking
    claims: list[Claim] = field(default_factory=list)
    cancelled: int = 0

    async def looked(self) -> None:
        """Return when it has looked for tasks anew, and begun with what it found."""
        before = self.database.looks
        await until(lambda: self.database.looks >= before + 3)


@dataclass
class Shop:
    """A database with tasks, and the workers that share it."""

    url: str
    database: Database
    clock: Clock = field(default_factory=Clock)

    async def add(self, *ids: str, kind: str = "reply") -> None:
        tasks = [task_row(id, Task(kind, CASE, self.clock.now, {"run": id})) for id in ids]
        await self.database.write(lambda connection: connection.execute(insert(TASK), tasks))

    async def rows(self) -> list[Any]:
        query = select(TASK).order_by(TASK.c.id)
        return await self.database.read(lambda connection: list(connection.execute(query)))

    async def row(self) -> Any:
        (row,) = await self.rows()
        return row

    async def becomes(self, **columns: Any) -> None:
        """Wait until the one task that there is has these values."""
        async with asyncio.timeout(WITHIN):
            while True:
                row = await self.row()
                if all(getattr(row, name) == value for name, value in columns.items()):
                    return

    @asynccontextmanager
    async def worker(
        self,
        handler: Handler | None = None,
        *,
        name: str = "a",
        lease: timedelta = LONG,
        poll: float = 0.001,
        handles: bool = True,
    ) -> AsyncIterator[Worker]:
        """Run a worker as a process does."""
        database = Looking(open_database(self.url))
        tasks = Tasks(database, now=self.clock, holder=name, lease=lease, poll=poll)
        worker = Worker(tasks, database)

        async def work(claim: Claim) -> None:
            worker.claims.append(claim)
            try:
                if handler is not None:
                    await handler(claim)
            except asyncio.CancelledError:
                worker.cancelled += 1
                raise

        if handles:
            tasks.on("reply", work)
        running = asyncio.create_task(tasks.run())
        try:
            yield worker
        finally:
            running.cancel()
            await asyncio.wait([running])
            await database.close()


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Shop]:
    database = open_database(database_url)
    await database.create()
    yield Shop(database_url, database)
    await database.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(WITHIN):
        while True:
            if condition():
                return
            await asyncio.sleep(0.001)


async def for_ever(claim: Claim) -> None:
    await asyncio.Event().wait()


def failing(error: Exception) -> Handler:
    async def fail(claim: Claim) -> None:
        raise error

    return fail


# Done.


async def test_a_task_is_given_to_the_handler_of_its_kind_and_gone_when_it_is_done(
    shop: Shop,
) -> None:
    await shop.add("task_1")
    async with shop.worker() as worker:
        await until(lambda: worker.tasks.outcomes)
        assert worker.claims == [Claim("task_1", "reply", CASE, {"run": "task_1"}, 1)]
        await worker.tasks.idle()
        assert worker.tasks.outcomes == {("reply", "done"): 1}
    assert await shop.rows() == []


async def test_a_task_is_not_begun_before_it_is_due(shop: Shop) -> None:
    shop.clock.pass_by(timedelta(hours=1))
    await shop.add("task_1")
    shop.clock.pass_by(-timedelta(hours=1))
    async with shop.worker() as worker:
        await worker.looked()
        assert worker.claims == []
        shop.clock.pass_by(timedelta(hours=1))
        await until(lambda: worker.claims)


async def test_each_task_is_claimed_by_one_of_many_workers(shop: Shop) -> None:
    ids = [f"task_{number}" for number in range(60)]
    async with shop.worker(name="a") as one, shop.worker(name="b") as two:
        for start in range(0, 60, 6):
            await shop.add(*ids[start : start + 6])
        await until(lambda: (one.tasks.outcomes + two.tasks.outcomes).total() == 60)
        await one.tasks.idle()
        await two.tasks.idle()
    assert await shop.rows() == []
    claimed = Counter(claim.id for claim in one.claims + two.claims)
    assert claimed == Counter(ids)


async def test_who_is_woken_does_not_wait_for_the_next_look(shop: Shop) -> None:
    async with shop.worker(poll=3_600) as worker:
        await until(lambda: worker.database.looks >= 2)
        await shop.add("task_1")
        worker.tasks.wake()
        await until(lambda: worker.claims)


async def test_a_process_that_handles_nothing_claims_nothing(shop: Shop) -> None:
    await shop.add("task_1")
    async with shop.worker(handles=False), shop.worker(name="b") as other:
        await until(lambda: other.claims)
        assert other.claims[0].attempt == 1


# Leases.


async def test_the_task_of_a_dead_worker_is_claimed_when_its_lease_has_ended(shop: Shop) -> None:
    await shop.add("task_1")
    async with shop.worker(for_ever) as dying:
        await until(lambda: dying.claims)
        dying.database.refuse = 1  # so that it cannot let go
    async with shop.worker(name="b") as heir:
        await heir.looked()
        shop.clock.pass_by(LONG - timedelta(seconds=1))
        await heir.looked()
        assert heir.claims == []
        shop.clock.pass_by(timedelta(seconds=1))
        await until(lambda: heir.claims)
        assert heir.claims[0].attempt == 2


async def test_a_renewed_lease_keeps_a_task_from_others(shop: Shop) -> None:
    await shop.add("task_1")
    async with shop.worker(for_ever, lease=SHORT) as holder:
        await until(lambda: holder.claims)
        async with shop.worker(name="b") as other:
            for _ in range(5):
                shop.clock.pass_by(SHORT * 0.75)
                await shop.becomes(due=shop.clock.now + SHORT)
                await other.looked()
            assert (len(holder.claims), other.claims) == (1, [])


async def test_who_loses_a_lease_stops_the_work(shop: Shop, logged: list[EventDict]) -> None:
    await shop.add("task_1")
    async with shop.worker(for_ever, lease=SHORT) as worker:
        await until(lambda: worker.claims)
        theirs = update(TASK).values(holder="other", due=shop.clock.now + LONG)
        await shop.database.write(lambda connection: connection.execute(theirs))
        await until(lambda: worker.cancelled)
        await worker.tasks.idle()
        assert worker.tasks.outcomes == {("reply", "lost"): 1}
    assert (await shop.row()).holder == "other", "and it was left to them at the end"
    assert "lease_lost" in [line["event"] for line in logged]


async def test_a_lease_that_could_not_be_renewed_is_no_second_claim_in_one_process(
    shop: Shop,
) -> None:
    await shop.add("task_1")
    async with shop.worker(for_ever) as worker:
        await until(lambda: worker.claims)
        shop.clock.pass_by(LONG)
        await shop.becomes(due=shop.clock.now + LONG)
        await worker.looked()
        assert (len(worker.claims), worker.tasks.working) == (1, 1)


async def test_a_database_that_is_away_when_leases_are_renewed_stops_nothing(
    shop: Shop, logged: list[EventDict]
) -> None:
    await shop.add("task_1")
    async with shop.worker(for_ever, lease=SHORT) as worker:
        await until(lambda: worker.claims)
        worker.database.refuse = 2
        await until(lambda: not worker.database.refuse)
        shop.clock.pass_by(SHORT * 0.5)
        await shop.becomes(due=shop.clock.now + SHORT)
        assert worker.cancelled == 0
    assert "leases_not_renewed" in [line["event"] for line in logged]


async def test_what_is_not_finished_at_the_end_of_a_process_is_free_at_once(shop: Shop) -> None:
    await shop.add("task_1")
    async with shop.worker(for_ever) as leaving:
        await until(lambda: leaving.claims)
    assert leaving.cancelled == 1
    row = await shop.row()
    assert (row.holder, row.due) == (None, shop.clock.now)
    async with shop.worker(name="b") as heir:
        await until(lambda: heir.claims)


# Failures.


async def test_a_task_that_fails_is_tried_again_ever_later_and_is_dead_after_eight_times(
    shop: Shop, logged: list[EventDict]
) -> None:
    await shop.add("task_1")
    waits = []
    async with shop.worker(failing(ZeroDivisionError())) as worker:
        for attempt in range(1, ATTEMPTS):
            await shop.becomes(attempts=attempt, holder=None)
            waits.append(((await shop.row()).due - shop.clock.now).total_seconds())
            await worker.looked()
            assert len(worker.claims) == attempt, "not before it is due"
            shop.clock.pass_by(timedelta(seconds=waits[-1]))
        await shop.becomes(dead=True)
        shop.clock.pass_by(timedelta(days=1))
        await worker.looked()
        assert [claim.attempt for claim in worker.claims] == list(range(1, 9))
        assert worker.tasks.outcomes == {("reply", "retried"): 7, ("reply", "dead"): 1}
    assert waits == [2, 4, 8, 16, 32, 64, 128]
    row = await shop.row()
    assert (row.holder, row.attempts) == (None, ATTEMPTS), "kept for somebody to look at"
    failed = [line for line in logged if line["event"] == "task_failed"]
    assert {(line["kind"], line["case"], line["error"]) for line in failed} == {
        ("reply", CASE, "ZeroDivisionError")
    }


async def test_an_outage_kills_no_task(shop: Shop) -> None:
    await shop.add("task_1")
    tried = update(TASK).values(attempts=40)
    await shop.database.write(lambda connection: connection.execute(tried))
    async with shop.worker(failing(Unavailable())) as worker:
        await until(lambda: worker.tasks.outcomes)
        await worker.tasks.idle()
    row = await shop.row()
    assert (row.dead, row.due - shop.clock.now) == (False, timedelta(minutes=5))


async def test_the_failure_of_one_task_is_nothing_to_the_others(shop: Shop) -> None:
    async def handle(claim: Claim) -> None:
        if claim.id == "task_1":
            raise ZeroDivisionError

    await shop.add("task_1", "task_2", "task_3")
    async with shop.worker(handle) as worker:
        await until(lambda: worker.tasks.outcomes.total() == 3)
        await worker.tasks.idle()
        assert worker.tasks.outcomes == {("reply", "retried"): 1, ("reply", "done"): 2}


async def test_what_nobody_here_can_do_is_left_for_a_process_that_can(shop: Shop) -> None:
    await shop.add("task_1", kind="of a newer version")
    await shop.add("task_2")
    async with shop.worker() as worker:
        await until(lambda: worker.claims)
        await worker.tasks.idle()
        await worker.looked()
    row = await shop.row()
    assert (row.id, row.attempts, row.holder) == ("task_1", 0, None)


async def test_a_task_that_is_too_early_is_put_back_and_has_not_failed(shop: Shop) -> None:
    @contextmanager
    def span() -> Any:
        yield

    async def too_early(claim: Claim) -> None:
        with span():
            raise Later(NOW + timedelta(hours=1))

    await shop.add("task_1")
    async with shop.worker(too_early) as worker:
        await shop.becomes(due=NOW + timedelta(hours=1), holder=None, attempts=0)
        await worker.tasks.idle()
        assert worker.tasks.outcomes == {("reply", "later"): 1}
        shop.clock.pass_by(timedelta(hours=1))
        await until(lambda: len(worker.claims) >= 2)
        assert worker.claims[1].attempt == 1


async def test_a_task_whose_end_could_not_be_stored_is_done_again(
    shop: Shop, logged: list[EventDict]
) -> None:
    async def lose_the_database(claim: Claim) -> None:
        worker.database.refuse = claim.attempt == 1

    await shop.add("task_1")
    async with shop.worker(lose_the_database) as worker:
        await until(lambda: worker.tasks.outcomes)
        await worker.tasks.idle()
        shop.clock.pass_by(LONG)
        await until(lambda: len(worker.claims) == 2)
        await until(lambda: worker.tasks.outcomes["reply", "done"] == 2)
        await worker.tasks.idle()
    assert await shop.rows() == []
    assert "task_not_deleted" in [line["event"] for line in logged]


async def test_a_task_that_could_not_be_put_back_comes_back_with_its_lease(
    shop: Shop, logged: list[EventDict]
) -> None:
    async def fail(claim: Claim) -> None:
        worker.database.refuse = 1
        raise ZeroDivisionError

    await shop.add("task_1")
    async with shop.worker(fail) as worker:
        await until(lambda: worker.tasks.outcomes)
        await worker.tasks.idle()
        assert (await shop.row()).due == NOW + LONG
    assert "task_not_put_back" in [line["event"] for line in logged]


async def test_a_worker_outlives_an_outage(shop: Shop, logged: list[EventDict]) -> None:
    async with shop.worker() as worker:
        worker.database.refuse = 3
        await shop.add("task_1")
        await until(lambda: worker.claims)
    assert "tasks_wait_for_database" in [line["event"] for line in logged]


# What operators see.


async def test_the_worker_tells_what_waits_and_what_is_dead(shop: Shop) -> None:
    await shop.add("task_1", "task_2")
    shop.clock.pass_by(timedelta(hours=1))
    await shop.add("task_3", "task_4")
    dead = update(TASK).where(TASK.c.id == "task_4").values(dead=True)
    await shop.database.write(lambda connection: connection.execute(dead))
    shop.clock.pass_by(-timedelta(hours=1))
    async with shop.worker(handles=False) as worker:
        await until(lambda: worker.tasks.waiting)
        assert (worker.tasks.waiting, worker.tasks.dead) == ({"reply": 2}, {"reply": 1})
