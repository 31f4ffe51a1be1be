"""Flags: what a deployer set, and what supervisors changed, on every process."""

import asyncio
from typing import Any

import pytest
from structlog.typing import EventDict

from auth.principal import Principal
from rooms.database import Database, open_database
from rooms.errors import Code, Rejected, Unavailable
from rooms.flags import Flag, Flags
from rooms.state import Policy
from tests.rooms.kit import (
    ASSISTANT,
    FOREIGNER,
    MARIA,
    NOW,
    PRIYA,
    SAM,
    SERVICE,
    TENANT,
    WITHIN,
    Flaky,
)

DEFAULT = Policy(ai=True, coordinators=False, streaming=True)
NAME = "coordinator_enabled"


def flags(database: Database) -> Flags:
    return Flags(database, DEFAULT, now=lambda: NOW)


async def refusal(flags: Flags, by: Principal, name: str) -> Code:
    with pytest.raises(Rejected) as caught:
        await flags.set(by, name, True)
    return caught.value.code


async def test_without_a_change_everything_is_as_the_deployer_set_it(database: Database) -> None:
    untouched = flags(database)
    await untouched.load()
    assert untouched.policy(TENANT) == untouched.policy("tenant-2") == DEFAULT
    assert untouched.of(TENANT) == [
        Flag("coordinator_enabled", on=False, default=False),
        Flag("enable_response_streaming", on=True, default=True),
        Flag("sse_streaming", on=True, default=True),
    ]


async def test_a_supervisor_changes_a_flag_of_their_own_tenant_only(database: Database) -> None:
    changed = flags(database)
    await changed.set(SAM, NAME, True)
    assert changed.policy(TENANT) == Policy(ai=True, coordinators=True, streaming=True)
    assert changed.policy(FOREIGNER.tenant) == DEFAULT
    assert changed.of(TENANT)[0] == Flag(NAME, on=True, default=False)
    await changed.set(SAM, "enable_response_streaming", False)
    assert changed.policy(TENANT) == Policy(ai=True, coordinators=True, streaming=False)


@pytest.mark.parametrize("by", [MARIA, PRIYA, SERVICE, ASSISTANT])
async def test_nobody_else_changes_a_flag(database: Database, by: Principal) -> None:
    untouched = flags(database)
    assert await refusal(untouched, by, NAME) is Code.FORBIDDEN
    assert await refusal(untouched, by, "unknown") is Code.FORBIDDEN
    assert untouched.policy(TENANT) == DEFAULT


@pytest.mark.parametrize("name", ["unknown", "", "coordinators", "ai"])
async def test_there_is_no_flag_but_those_that_are_named(database: Database, name: str) -> None:
    assert await refusal(flags(database), SAM, name) is Code.NOT_FOUND


async def test_a_change_holds_on_other_processes_once_they_have_looked(database: Database) -> None:
    one, two = flags(database), flags(database)
    assert two.policy(TENANT) == DEFAULT
    await one.set(SAM, NAME, True)
    assert two.policy(TENANT) == DEFAULT
    await two.load()
    assert two.policy(TENANT).coordinators
    await two.set(SAM, NAME, False)
    await one.load()
    assert not one.policy(TENANT).coordinators


async def test_a_flag_that_is_given_back_follows_the_deployer_again(database: Database) -> None:
    one = flags(database)
    await one.set(SAM, NAME, True)
    await one.set(SAM, NAME, None)
    await one.set(SAM, NAME, None)
    assert one.policy(TENANT) == DEFAULT
    later = Flags(database, Policy(coordinators=True), now=lambda: NOW)
    await later.load()
    assert later.policy(TENANT).coordinators


async def test_a_flag_that_was_set_to_its_default_does_not_follow_the_deployer(
    database: Database,
) -> None:
    await flags(database).set(SAM, NAME, False)
    later = Flags(database, Policy(coordinators=True), now=lambda: NOW)
    await later.load()
    assert not later.policy(TENANT).coordinators


async def test_the_change_of_one_tenant_undoes_none_of_another(database: Database) -> None:
    one = flags(database)
    await one.set(FOREIGNER, NAME, True)
    await one.set(SAM, NAME, False)
    await one.set(SAM, NAME, None)
    assert one.policy(FOREIGNER.tenant).coordinators


async def test_something_is_on_anywhere_if_it_is_on_for_anybody(database: Database) -> None:
    one = flags(database)
    assert (one.anywhere("coordinators"), one.anywhere("streaming")) == (False, True)
    await one.set(SAM, NAME, True)
    assert one.anywhere("coordinators")
    await one.set(SAM, NAME, False)
    assert not one.anywhere("coordinators")
    await one.set(SAM, "enable_response_streaming", False)
    assert one.anywhere("streaming"), "for the tenants that changed nothing"


async def test_who_asks_to_be_told_is_told_of_changes_and_of_nothing_else(
    database: Database,
) -> None:
    one, two = flags(database), flags(database)
    told = []
    two.changed = lambda: told.append(two.policy(TENANT).coordinators)
    await two.load()
    await one.set(SAM, NAME, True)
    assert told == []
    await two.load()
    await two.load()
    assert told == [True]


async def test_a_change_that_was_not_stored_does_not_hold(database: Database) -> None:
    flaky = Flaky(database)
    one = flags(flaky)
    flaky.refuse = 1
    with pytest.raises(Unavailable):
        await one.set(SAM, NAME, True)
    await one.load()
    assert one.policy(TENANT) == DEFAULT


async def test_a_process_follows_the_others_by_itself_also_after_an_outage(
    database: Database, monkeypatch: pytest.MonkeyPatch, logged: list[EventDict]
) -> None:
    monkeypatch.setattr("rooms.flags.EVERY", 0.001)

    class Away(Flaky):
        away = 2

        async def read(self, work: Any) -> Any:
            if self.away:
                self.away -= 1
                raise Unavailable
            return await super().read(work)

    one, two = flags(database), flags(Away(database))
    heard = asyncio.Event()
    two.changed = heard.set
    following = asyncio.create_task(two.run())
    await one.set(SAM, NAME, True)
    async with asyncio.timeout(WITHIN):
        await heard.wait()
    assert two.policy(TENANT).coordinators
    following.cancel()
    await asyncio.wait([following])
    assert {line["event"] for line in logged} == {"flag_changed", "flags_wait_for_database"}


async def test_two_supervisors_who_set_one_flag_at_once_both_have_set_it(
    database: Database, database_url: str
) -> None:
    elsewhere = open_database(database_url)
    both = [flags(database), flags(elsewhere)]
    for _ in range(10):
        await asyncio.gather(*(each.set(SAM, NAME, True) for each in both))
        assert [each.policy(TENANT).coordinators for each in both] == [True, True]
        await both[0].set(SAM, NAME, None)
    await elsewhere.close()
