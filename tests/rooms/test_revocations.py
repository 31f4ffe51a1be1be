"""Revocations: whose tokens count no longer, on every process, and who cannot be hit by one."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select
from structlog.typing import EventDict

from auth.claims import LEEWAY_S, MAX_LIFETIME_S
from auth.principal import Principal
from rooms.database import Database, open_database
from rooms.errors import Code, Malformed, Rejected, Unavailable
from rooms.revocations import WHOLE_EVERY, About, Revocation, Revocations
from rooms.rows import table_of
from rooms.tables import RevocationRow
from tests.rooms.kit import (
    ASSISTANT,
    FOREIGNER,
    MARIA,
    NOW,
    PRIYA,
    SAM,
    SERVICE,
    WITHIN,
    Flaky,
)

SECOND = timedelta(seconds=1)
DAY = timedelta(seconds=MAX_LIFETIME_S + LEEWAY_S)
USER, SESSION = About.USER, About.SESSION


@dataclass
class Clock:
    time: datetime = NOW

    def __call__(self) -> datetime:
        return self.time


@dataclass
class Process:
    """A process, and whom it was told to turn out."""

    revocations: Revocations
    here: list[Principal] = field(default_factory=list)
    turned_out: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.revocations.enforce = self._enforce

    def _enforce(self, turns_out: Callable[[Principal], bool]) -> None:
        self.turned_out += [by.id for by in self.here if turns_out(by)]
        self.here = [by for by in self.here if not turns_out(by)]


def revocations(database: Database, now: Callable[[], datetime] = lambda: NOW) -> Revocations:
    return Revocations(database, now=now)


def bearing(
    by: Principal, issued_at: datetime = NOW - SECOND, session: str | None = None
) -> Principal:
    """Give somebody with a token of that moment."""
    return replace(by, issued_at=issued_at, session=session)


async def count(database: Database) -> int:
    query = select(func.count()).select_from(table_of(RevocationRow))
    return await database.read(lambda connection: connection.execute(query).scalar_one())


async def test_tokens_of_a_user_from_before_are_covered_and_later_ones_are_not(
    database: Database,
) -> None:
    one = revocations(database)
    old, new = bearing(PRIYA), bearing(PRIYA, NOW)
    assert not one.covers(old)
    await one.revoke(SAM, USER, PRIYA.id)
    assert one.covers(old)
    assert not one.covers(new)
    for other in (bearing(SAM), bearing(MARIA), replace(old, tenant="tenant-2"), SERVICE):
        assert not one.covers(other)


async def test_all_tokens_of_a_session_are_covered_and_no_other_session(
    database: Database,
) -> None:
    one = revocations(database)
    await one.revoke(SERVICE, SESSION, "sess_1")
    assert one.covers(bearing(PRIYA, session="sess_1"))
    assert one.covers(bearing(PRIYA, NOW + SECOND, session="sess_1"))
    assert not one.covers(bearing(PRIYA, session="sess_2"))
    assert not one.covers(bearing(PRIYA))
    assert not one.covers(bearing(replace(FOREIGNER, id=PRIYA.id), session="sess_1"))
    # A user who is called like a session is none.
    assert not one.covers(bearing(replace(PRIYA, id="sess_1")))


async def test_a_token_of_the_same_second_counts_as_an_older_one_and_nobody_is_turned_out_before(
    database: Database,
) -> None:
    clock = Clock(NOW + 0.4 * SECOND)
    process = Process(revocations(database, clock), [bearing(PRIYA)])
    await process.revocations.revoke(SAM, USER, PRIYA.id)
    assert process.revocations.covers(bearing(PRIYA, NOW))
    assert not process.revocations.covers(bearing(PRIYA, NOW + SECOND))
    assert process.turned_out == []
    clock.time = NOW + SECOND
    process.revocations._enforce()
    assert process.turned_out == [PRIYA.id]


@pytest.mark.parametrize("by", [MARIA, PRIYA, ASSISTANT])
async def test_nobody_else_revokes(database: Database, by: Principal) -> None:
    one = revocations(database)
    with pytest.raises(Rejected) as caught:
        await one.revoke(by, USER, SAM.id)
    assert caught.value.code is Code.FORBIDDEN
    assert await count(database) == 0


async def test_a_supervisor_reaches_nobody_of_another_tenant(database: Database) -> None:
    one = revocations(database)
    await one.revoke(FOREIGNER, USER, PRIYA.id)
    await one.revoke(FOREIGNER, SESSION, "sess_1")
    assert not one.covers(bearing(PRIYA, session="sess_1"))
    assert one.covers(bearing(replace(PRIYA, tenant=FOREIGNER.tenant)))


async def test_revoking_again_does_no_harm_and_never_takes_anything_back(
    database: Database,
) -> None:
    clock = Clock()
    one, two = revocations(database, clock), revocations(database, clock)
    first = await one.revoke(SAM, USER, PRIYA.id)
    again = await two.revoke(SERVICE, USER, PRIYA.id, NOW)
    assert first == again == Revocation(USER, PRIYA.id, NOW, NOW + DAY)
    earlier = await two.revoke(SERVICE, USER, PRIYA.id, NOW - timedelta(hours=1))
    assert earlier.issued_before == NOW
    clock.time = NOW + 5 * SECOND
    later = await one.revoke(SAM, USER, PRIYA.id)
    assert later.issued_before == clock.time
    assert one.covers(bearing(PRIYA, NOW))
    assert await count(database) == 1


async def test_what_many_processes_revoke_at_once_is_revoked_once(database_url: str) -> None:
    databases = [open_database(database_url) for _ in range(6)]
    await databases[0].create()
    many = [revocations(each) for each in databases]
    for user in (PRIYA, SAM, MARIA):
        async with asyncio.TaskGroup() as tasks:
            for each in many:
                tasks.create_task(each.revoke(SERVICE, USER, user.id))
        assert all(each.covers(bearing(user)) for each in many)
    assert await count(databases[0]) == 3
    for database in databases:
        await database.close()


async def test_only_older_tokens_than_one_says_are_covered_and_none_of_the_future(
    database: Database,
) -> None:
    one = revocations(database)
    await one.revoke(SERVICE, USER, PRIYA.id, NOW - timedelta(minutes=5))
    assert one.covers(bearing(PRIYA, NOW - timedelta(minutes=6)))
    assert not one.covers(bearing(PRIYA, NOW - timedelta(minutes=4)))
    # As far ahead as the clock of whoever issues tokens may be.
    await one.revoke(SERVICE, USER, PRIYA.id, NOW + timedelta(seconds=LEEWAY_S))
    with pytest.raises(Malformed):
        await one.revoke(SERVICE, USER, PRIYA.id, NOW + timedelta(seconds=LEEWAY_S + 1))


async def test_other_processes_follow_and_turn_out_whoever_is_covered(database: Database) -> None:
    one = Process(revocations(database), [bearing(PRIYA), bearing(MARIA)])
    two = Process(revocations(database), [bearing(PRIYA), bearing(SAM)])
    await two.revocations.load()
    await one.revocations.revoke(SAM, USER, PRIYA.id)
    assert one.turned_out == [PRIYA.id]
    assert not two.revocations.covers(bearing(PRIYA))
    await two.revocations.load()
    assert two.revocations.covers(bearing(PRIYA))
    two.revocations._enforce()
    assert two.turned_out == [PRIYA.id]
    assert [by.id for by in two.here] == [SAM.id]


async def test_who_is_let_in_while_they_are_revoked_is_turned_out_as_well(
    database: Database,
) -> None:
    process = Process(revocations(database))
    await process.revocations.revoke(SAM, USER, PRIYA.id)
    process.here.append(bearing(PRIYA))
    process.revocations._enforce()
    assert process.turned_out == [PRIYA.id]


async def test_a_process_that_starts_later_knows_what_was_revoked(database: Database) -> None:
    await revocations(database).revoke(SAM, USER, PRIYA.id)
    later = revocations(database)
    await later.load()
    assert later.covers(bearing(PRIYA))


async def test_what_no_token_can_be_covered_by_any_more_is_forgotten(database: Database) -> None:
    clock = Clock()
    one = revocations(database, clock)
    await one.revoke(SAM, USER, PRIYA.id)
    clock.time = NOW + DAY - SECOND
    await one.load()
    assert one.covers(bearing(PRIYA))
    clock.time = NOW + DAY
    for _ in range(WHOLE_EVERY):
        await one.load()
    assert not one.covers(bearing(PRIYA))
    await one.revoke(SAM, USER, MARIA.id)
    assert await count(database) == 1


async def test_a_look_reads_what_is_new_and_not_all_of_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    one, two = revocations(database, clock), revocations(database, clock)
    for number in range(20):
        await one.revoke(SAM, USER, f"user_{number}")
    clock.time += timedelta(minutes=5)
    await one.revoke(SAM, USER, PRIYA.id)
    read: list[int] = []
    find = Revocation

    def counting(*arguments: Any) -> Revocation:
        read.append(1)
        return find(*arguments)

    monkeypatch.setattr("rooms.revocations.Revocation", counting)
    await two.load()
    assert len(read) == 21
    await two.load()
    assert len(read) == 22
    assert two.covers(bearing(PRIYA))


async def test_a_revocation_by_a_clock_that_is_late_is_found_in_the_end(
    database: Database,
) -> None:
    one = revocations(database)
    late = revocations(database, lambda: NOW - timedelta(minutes=10))
    await one.revoke(SAM, USER, MARIA.id)
    await late.revoke(SAM, USER, PRIYA.id)
    priya = bearing(PRIYA, NOW - timedelta(minutes=11))
    for _ in range(WHOLE_EVERY + 1):
        await one.load()
    assert one.covers(priya)


async def test_a_revocation_is_found_at_once_also_after_one_by_a_clock_that_is_ahead(
    database: Database,
) -> None:
    one, clock = revocations(database), Clock()
    await one.load()
    ahead = revocations(database, lambda: NOW + timedelta(minutes=10))
    await ahead.revoke(SAM, USER, MARIA.id)
    await one.load()
    await revocations(database, clock).revoke(SAM, USER, PRIYA.id)
    await one.load()
    assert one.covers(bearing(PRIYA))


async def test_a_clock_that_goes_back_hides_no_revocation(database: Database) -> None:
    clock = Clock(NOW + timedelta(hours=1))
    one = revocations(database, clock)
    await one.load()
    # Another server has taken the place of the first.
    clock.time = NOW
    await revocations(database, clock).revoke(SAM, USER, PRIYA.id)
    await one.load()
    assert one.covers(bearing(PRIYA))


async def test_what_was_revoked_while_a_process_could_not_look_is_found_when_it_can(
    database: Database,
) -> None:
    clock = Clock()
    one = revocations(database, clock)
    await one.load()
    await revocations(database, clock).revoke(SAM, USER, PRIYA.id)
    clock.time += timedelta(minutes=10)
    await one.load()
    assert one.covers(bearing(PRIYA))


async def test_many_revocations_are_read_in_pages(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = revocations(database), revocations(database)
    for number in range(7):
        await one.revoke(SAM, SESSION if number % 2 else USER, f"subject_{number}")
    monkeypatch.setattr("rooms.revocations.PAGE", 3)
    await two.load()
    assert two._known == one._known
    assert len(two._known) == 7


async def test_what_only_a_newer_version_revokes_is_passed_over(database: Database) -> None:
    row = {"tenant": PRIYA.tenant, "about": "device", "subject": PRIYA.id, "changed_by": SAM.id}
    times = {"issued_before": NOW, "until": NOW + DAY, "changed_at": NOW}
    await database.write(
        lambda connection: connection.execute(insert(table_of(RevocationRow)), {**row, **times})
    )
    one = revocations(database)
    await one.load()
    assert not one.covers(bearing(PRIYA))
    await one.revoke(SAM, USER, PRIYA.id)
    assert one.covers(bearing(PRIYA))


async def test_whoever_acts_as_another_is_covered_by_what_revokes_them(database: Database) -> None:
    one = revocations(database)
    await one.revoke(SAM, USER, PRIYA.id)
    assert one.covers(replace(bearing(MARIA), acting=PRIYA.id))
    assert not one.covers(replace(bearing(MARIA), acting=SAM.id))
    assert not one.covers(replace(bearing(MARIA, NOW), acting=PRIYA.id))


async def test_a_moment_that_lies_ahead_keeps_nobody_here(database: Database) -> None:
    process = Process(revocations(database), [bearing(PRIYA)])
    # The clock of a back end may be ahead; its people must go within five seconds all the same.
    ahead = NOW + timedelta(seconds=LEEWAY_S)
    await process.revocations.revoke(SERVICE, USER, PRIYA.id, ahead)
    assert process.turned_out == [PRIYA.id]
    assert process.revocations.covers(bearing(PRIYA, ahead - SECOND))


async def test_what_was_not_stored_is_told_as_such(database: Database) -> None:
    flaky = Flaky(database)
    flaky.refuse = 1
    one = revocations(flaky)
    with pytest.raises(Unavailable):
        await one.revoke(SAM, USER, PRIYA.id)
    await one.load()
    assert not one.covers(bearing(PRIYA))


async def test_a_process_follows_by_itself_and_turns_out_also_while_the_database_is_away(
    database: Database, monkeypatch: pytest.MonkeyPatch, logged: list[EventDict]
) -> None:
    monkeypatch.setattr("rooms.revocations.EVERY", 0.001)

    class Away(Flaky):
        away = False

        async def read(self, work: Any) -> Any:
            if self.away:
                raise Unavailable
            return await super().read(work)

    away, clock = Away(database), Clock(NOW + 0.5 * SECOND)
    process = Process(revocations(away, clock), [bearing(PRIYA)])
    following = asyncio.create_task(process.revocations.run())
    await revocations(database, clock).revoke(SAM, USER, PRIYA.id)
    async with asyncio.timeout(WITHIN):
        while not process.revocations.covers(bearing(PRIYA)):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        away.away = True
        clock.time = NOW + SECOND
        while not process.turned_out:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        while not any("wait" in line["event"] for line in logged):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    following.cancel()
    await asyncio.wait([following])
    assert {line["event"] for line in logged} == {"token_revoked", "revocations_wait_for_database"}
