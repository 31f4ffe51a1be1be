"""What a newer version wrote into the state of a case, in words that this one does not know."""

import asyncio

import pytest
from sqlalchemy import text
from structlog.typing import EventDict

from rooms.commands import Escalate, Remind
from rooms.errors import Code, Unavailable
from tests.rooms.kit import CASE, MARIA, PRIYA, SERVICE, TENANT, OpenLog, refused, say


async def write(hub: OpenLog, statement: str) -> None:
    await hub.database.write(lambda connection: connection.execute(text(statement)))


@pytest.mark.parametrize(
    ("table", "column", "word"),
    [
        ("case_state", "status", "paused"),
        ("case_state", "control", "specialist"),
        ("run", "state", "searching"),
    ],
)
async def test_a_case_that_only_a_newer_version_can_read_waits_for_it_and_hinders_no_other(
    hub: OpenLog, logged: list[EventDict], table: str, column: str, word: str
) -> None:
    await hub.open_case("case-2", 2)
    run = await hub.ask()
    await write(hub, f"UPDATE {table} SET {column} = '{word}'")  # noqa: S608
    await write(hub, "UPDATE case_state SET status = 'intake', control = 'ai' WHERE id = 'case-2'")
    refusal, receipt = await asyncio.gather(
        refused(hub.do(say("And now?"), MARIA, "key")), hub.do(say("Hello"), PRIYA, case="case-2")
    )
    assert refusal.code is Code.UNAVAILABLE
    assert receipt.id is not None
    with pytest.raises(Unavailable):
        await hub.log.state(CASE)
    if table == "run":
        with pytest.raises(Unavailable):
            await hub.log.answer(CASE, run)
    assert [state.case for state in await hub.log.open_cases([TENANT])] == ["case-2"]
    assert {line["event"] for line in logged} == {"state_unknown"}
    assert logged[0]["word"] == word


async def test_a_reason_that_only_a_newer_version_knows_is_kept_and_told_again(
    hub: OpenLog,
) -> None:
    await hub.do(Escalate(), MARIA)
    await write(hub, "UPDATE case_state SET escalation = 'mood'")
    await hub.say("Hello")
    state = await hub.log.state(CASE)
    assert state is not None
    assert state.escalation == "mood"
    assert (await hub.do(Remind(state.fence, 1), SERVICE)).id is not None
