"""The time that all processes share."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from rooms.clock import SharedClock
from rooms.database import open_database
from rooms.errors import Unavailable
from tests.rooms.kit import NOW


class Answers:
    """A database that answers with what is to come, after a while; or not at all."""

    def __init__(self) -> None:
        self.time: datetime | None = NOW
        self.queue = 0.0
        """Seconds until there is a connection."""
        self.seconds = 0.0
        self.passed = 100.0

    async def read(self, work: Any) -> Any:
        self.passed += self.queue
        return work(self)

    def exec_driver_sql(self, query: str) -> "Answers":
        self.passed += self.seconds
        return self

    def scalar_one(self) -> datetime:
        if self.time is None:
            raise Unavailable
        return self.time

    def monotonic(self) -> float:
        return self.passed


def clock_of(database: Any, behind: float = 0.0) -> SharedClock:
    return SharedClock(database, lambda: NOW - timedelta(seconds=behind), database.monotonic)


async def test_between_two_looks_time_goes_by_the_monotonic_clock() -> None:
    database = Answers()
    clock = clock_of(database)
    await clock.look()
    database.passed += 5
    assert clock() == NOW + timedelta(seconds=5)


async def test_an_answer_is_taken_for_the_middle_of_the_time_that_it_took() -> None:
    database = Answers()
    database.seconds = 0.4
    clock = clock_of(database)
    await clock.look()
    assert clock() == NOW + timedelta(seconds=0.2)


async def test_the_time_until_there_was_a_connection_is_no_part_of_the_answer() -> None:
    database = Answers()
    database.queue = 3.0
    clock = clock_of(database)
    await clock.look()
    assert clock() == NOW
    database.passed += 7
    database.time = NOW + timedelta(seconds=60)
    await clock.look()
    assert clock() == NOW + timedelta(seconds=60), "though it came late, it was prompt"


async def test_a_database_whose_clock_jumps_is_followed_and_told_of() -> None:
    database = Answers()
    clock = clock_of(database)
    await clock.look()
    database.time = NOW + timedelta(hours=1)
    with capture_logs() as logs:
        await clock.look()
    assert clock() == NOW + timedelta(hours=1)
    assert [(log["event"], log["seconds"]) for log in logs] == [("clock_differs", -3600)]


async def test_an_answer_that_was_long_on_its_way_is_no_better_than_what_is_known() -> None:
    database = Answers()
    clock = clock_of(database)
    await clock.look()
    database.seconds, database.time = 3.0, NOW + timedelta(seconds=1)
    await clock.look()
    assert clock() == NOW + timedelta(seconds=3)


async def test_a_database_that_is_away_is_no_reason_to_stop_the_clock() -> None:
    database = Answers()
    clock = clock_of(database)
    await clock.look()
    database.time = None
    with pytest.raises(Unavailable):
        await clock.look()
    assert clock() == NOW


async def test_a_clock_that_differs_is_told_once_until_it_agrees_again() -> None:
    database = Answers()
    clock = clock_of(database, behind=7)
    with capture_logs() as logs:
        await clock.look()
        await clock.look()
    assert [(log["event"], log["seconds"]) for log in logs] == [("clock_differs", -7)]
    assert clock.skew == -7


async def test_it_is_the_time_of_the_server(postgres_url: str) -> None:
    database = open_database(postgres_url)
    loop = asyncio.get_running_loop()
    clock = SharedClock(database, lambda: datetime(2000, 1, 1, tzinfo=UTC), loop.time)
    await clock.look()
    assert abs(clock() - datetime.now(UTC)) < timedelta(seconds=5)
    await database.close()
