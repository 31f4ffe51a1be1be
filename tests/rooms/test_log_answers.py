"""What the log promises of answers, takeovers and tasks, on SQLite and on PostgreSQL."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlmodel import SQLModel

from auth.principal import Principal
from rooms.commands import (
    Accept,
    Command,
    Continue,
    Escalate,
    Finish,
    MarkRead,
    Release,
    Retry,
    SetStatus,
    Stop,
    WriteNote,
)
from rooms.cursor import START
from rooms.database import Database, open_database
from rooms.encoding import Record, RunSignal
from rooms.errors import Code, Malformed, Rejected, Unavailable
from rooms.events import Audience, Control, Status, Trigger
from rooms.log import Log, Receipt
from rooms.rows import table_of
from rooms.runs import REPLY
from rooms.state import Alarm, Policy, RunState
from rooms.tables import EventRow, RunRow, TaskRow
from rooms.takeover import OWNER_AWAY, UNACCEPTED
from tests.rooms.kit import (
    ANSWERING,
    ASSISTANT,
    CASE,
    LEE,
    MARIA,
    PRIYA,
    SAM,
    Flaky,
    OpenLog,
    assert_dense,
    open_log,
    refused,
    say,
    texts,
)

STAFF, PATIENT = Audience.STAFF, Audience.PATIENT
TABLES: list[type[SQLModel]] = [EventRow, RunRow, TaskRow]


async def rows(database: Database) -> dict[str, int]:
    def count(connection: Any) -> dict[str, int]:
        return {
            row.__name__: connection.execute(
                select(func.count()).select_from(table_of(row))
            ).scalar_one()
            for row in TABLES
        }

    return await database.read(count)


async def tasks(database: Database) -> list[str]:
    query = select(table_of(TaskRow).c.kind).order_by(table_of(TaskRow).c.id)
    found = await database.read(lambda connection: connection.execute(query).scalars().all())
    return sorted(found)


def told(hub: OpenLog, commit: int = -1) -> list[str]:
    """Tell in words what staff were told of a commit, in its order."""
    words = []
    for hint in hub.told[commit]:
        if hint.audience is STAFF and isinstance(hint, Record):
            words.append(f"{hint.kind} {hint.data.get('text', '')}".strip())
        elif hint.audience is STAFF and isinstance(hint, RunSignal):
            words.append(f"{hint.step.state.value} {hint.step.text}".strip())
    return words


async def messages(log: Log, case: str = CASE) -> list[tuple[str, str, str]]:
    """Give sender, state and text of each message."""
    records = await log.read(case, STAFF, START, 10_000)
    data = [record.data for record in records if record.kind == "message"]
    return [(each["sender_type"], each["state"], each["text"]) for each in data]


async def in_one_moment(*commands: Awaitable[Receipt]) -> list[Receipt | BaseException]:
    return await asyncio.gather(*commands, return_exceptions=True)


# Pieces.


async def test_an_answer_grows_piece_by_piece_and_becomes_a_message(hub: OpenLog) -> None:
    run = await hub.ask()
    assert told(hub) == ["message Hello", "thinking"]
    await hub.do(Continue(run, 0, "Good "), ASSISTANT)
    assert told(hub) == ["writing", "writing Good"]
    await hub.do(Continue(run, 1, "mor"), ASSISTANT)
    assert told(hub) == ["writing mor"]
    receipt = await hub.do(Finish(run, "ning", "final"), ASSISTANT)
    assert told(hub) == ["writing ning", "message Good morning", "done"]
    assert await messages(hub.log) == [
        ("patient", "final", "Hello"),
        ("ai", "final", "Good morning"),
    ]
    answer = await hub.log.answer(CASE, run)
    assert answer is not None
    assert (answer.state, answer.message_id) == (RunState.DONE, receipt.id)
    assert [answer.run.piece(i) for i in range(answer.run.pieces)] == ["Good ", "mor", "ning"]
    state = await hub.log.state(CASE)
    assert state is not None
    assert state.run is None


async def test_both_audiences_are_told_the_same_of_an_answer(hub: OpenLog) -> None:
    run = await hub.ask()
    await hub.do(Continue(run, 0, "Good "), ASSISTANT)
    await hub.do(Finish(run, "morning", "final"), ASSISTANT)
    signals = [hint for hints in hub.told for hint in hints if isinstance(hint, RunSignal)]
    frames = {
        audience: [signal.frame for signal in signals if signal.audience is audience]
        for audience in Audience
    }
    assert frames[STAFF] == frames[PATIENT]
    assert len(frames[STAFF]) == 5


async def test_a_piece_is_durable_before_it_is_told(database_url: str) -> None:
    database = Flaky(open_database(database_url))
    async with open_log(database) as hub, open_log(database_url, "other") as other:
        await hub.open_case()
        run = await hub.ask()
        commits = len(hub.told)
        database.waiting.clear()
        database.gate.clear()
        answer = asyncio.create_task(hub.do(Continue(run, 0, "Good "), ASSISTANT))
        await database.waiting.wait()
        assert (len(hub.told), answer.done()) == (commits, False)
        before = await other.log.answer(CASE, run)
        database.gate.set()
        await answer
        after = await other.log.answer(CASE, run)
        assert before is not None
        assert after is not None
        assert (before.run.text, after.run.text) == ("", "Good ")
        assert told(hub) == ["writing", "writing Good"]


@pytest.mark.parametrize("fault", ["refuse", "stumble"])
async def test_a_piece_that_was_not_stored_is_never_told(database_url: str, fault: str) -> None:
    database = Flaky(open_database(database_url))
    async with open_log(database) as hub:
        await hub.open_case()
        run = await hub.ask()
        commits = len(hub.told)
        setattr(database, fault, 1)
        with pytest.raises((Unavailable, ZeroDivisionError)):
            await hub.do(Continue(run, 0, "lost"), ASSISTANT)
        assert len(hub.told) == commits
        await hub.do(Continue(run, 0, "kept"), ASSISTANT)
        answer = await hub.log.answer(CASE, run)
        assert answer is not None
        assert (answer.run.text, answer.run.ends) == ("kept", (4,))


async def test_a_piece_that_is_given_again_is_harmless(database_url: str) -> None:
    database = Flaky(open_database(database_url))
    async with open_log(database) as hub:
        await hub.open_case()
        run = await hub.ask()
        database.forget = 1
        piece = Continue(run, 0, "Good ")
        assert isinstance(await refused(hub.do(piece, ASSISTANT, "k")), Unavailable)
        again = await in_one_moment(*(hub.do(piece, ASSISTANT, "k") for _ in range(3)))
        assert [each.id for each in again if isinstance(each, Receipt)] == [None] * 3
        assert told(hub) == []
        await hub.do(Continue(run, 1, "day"), ASSISTANT, "k")
        answer = await hub.log.answer(CASE, run)
        assert answer is not None
        assert answer.run.text == "Good day"


async def test_an_answer_has_no_hole(hub: OpenLog) -> None:
    run = await hub.ask()
    await hub.do(Continue(run, 0, "Good "), ASSISTANT)
    assert (await refused(hub.do(Continue(run, 2, "!"), ASSISTANT))).code is Code.INVALID
    await hub.do(Continue(run, 1, "day"), ASSISTANT)
    answer = await hub.log.answer(CASE, run)
    assert answer is not None
    assert answer.run.text == "Good day"


@pytest.mark.parametrize("text", ["x" * 9_996, "nul\0", "half \ud83d"])
async def test_nothing_is_shown_that_could_not_become_a_message(hub: OpenLog, text: str) -> None:
    run = await hub.ask()
    await hub.do(Continue(run, 0, "Good "), ASSISTANT)
    for command in (Continue(run, 1, text), Finish(run, text, "final")):
        assert isinstance(await refused(hub.do(command, ASSISTANT)), Malformed)
    await hub.do(Accept(), PRIYA)
    assert (await messages(hub.log))[-1] == ("ai", "interrupted", "Good ")


async def test_without_streaming_nothing_is_shown_before_the_message(hub: OpenLog) -> None:
    run = await hub.ask()
    quiet = Policy(ai=True, streaming=False)
    await hub.do(Finish(run, "Good morning", "final"), ASSISTANT, policy=quiet)
    assert told(hub) == ["message Good morning", "done"]


async def test_an_answer_costs_three_rows_however_long_it_is(hub: OpenLog) -> None:
    before = await rows(hub.database)
    run = await hub.ask()
    for i in range(40):
        await hub.do(Continue(run, i, "word "), ASSISTANT)
    await hub.do(Finish(run, "the end", "final"), ASSISTANT)
    after = await rows(hub.database)
    assert {name: after[name] - before[name] for name in after} == {
        "EventRow": 2,  # the patient's message, and the answer
        "RunRow": 1,
        "TaskRow": 1,
    }


async def test_an_answer_that_begins_and_ends_in_one_moment_is_stored_too(hub: OpenLog) -> None:
    first, second = await in_one_moment(hub.do(say("One"), MARIA), hub.do(say("Two"), MARIA))
    assert isinstance(first, Receipt)
    assert isinstance(second, Receipt)
    assert told(hub) == ["message One", "thinking", "stopped", "message Two", "thinking"]
    assert len(hub.told) == 2, "in one commit"
    runs = [signal.step.run for signal in hub.signals if signal.step.state is RunState.THINKING]
    answers = [await hub.log.answer(CASE, run) for run in runs]
    assert [each.state for each in answers if each] == [RunState.STOPPED, RunState.THINKING]
    assert await tasks(hub.database) == [REPLY, REPLY]


async def test_an_answer_is_read_in_its_own_case_only(hub: OpenLog) -> None:
    await hub.open_case("case-2", 2)
    run = await hub.ask()
    assert await hub.log.answer("case-2", run) is None
    assert await hub.log.answer(CASE, "unknown") is None


async def test_an_end_whose_answer_was_lost_is_found_by_its_key(database_url: str) -> None:
    database = Flaky(open_database(database_url))
    async with open_log(database) as hub:
        await hub.open_case()
        run = await hub.ask()
        database.forget = 1
        finish = Finish(run, "Good morning", "final")
        assert isinstance(await refused(hub.do(finish, ASSISTANT, run)), Unavailable)
        again = await hub.do(finish, ASSISTANT, run)
        assert again.dup
        assert (await messages(hub.log))[-1] == ("ai", "final", "Good morning")


async def test_pieces_and_the_end_of_an_answer_may_have_one_key(hub: OpenLog) -> None:
    for _ in range(2):
        run = await hub.ask()
        answers = await in_one_moment(
            hub.do(Continue(run, 0, "Good "), ASSISTANT, run),
            hub.do(Continue(run, 1, "mor"), ASSISTANT, run),
            hub.do(Finish(run, "ning", "final"), ASSISTANT, run),
            hub.do(Continue(run, 1, "mor"), ASSISTANT, run),
        )
        assert [isinstance(answer, Receipt) for answer in answers] == [True, True, True, False]
        assert isinstance(answers[3], Rejected)
        assert answers[3].code is Code.CONFLICT
    assert [text for _, _, text in await messages(hub.log)] == ["Hello", "Good morning"] * 2


# What ends an answer.

ENDS: list[tuple[Command, Principal]] = [
    (Accept(), PRIYA),
    (Stop(), MARIA),
    (Stop(), PRIYA),
    (say("One more thing"), MARIA),
    (SetStatus(Status.CLOSED), PRIYA),
]


@pytest.mark.parametrize(("command", "by"), ENDS)
@pytest.mark.parametrize("shown", ["", "Good "])
async def test_nothing_is_added_to_an_answer_that_was_ended(
    hub: OpenLog, command: Command, by: Principal, shown: str
) -> None:
    run = await hub.ask()
    if shown:
        await hub.do(Continue(run, 0, shown), ASSISTANT)
    await hub.do(command, by)
    before = await rows(hub.database), await messages(hub.log)
    for late in (Continue(run, 1, "late"), Continue(run, 0, "late"), Finish(run, "late", "final")):
        error = await refused(hub.do(late, ASSISTANT))
        assert (type(error), error.code) == (Rejected, Code.CONFLICT)
    assert (await rows(hub.database), await messages(hub.log)) == before
    kept = [text for sender, _, text in before[1] if sender == "ai"]
    assert kept == ([shown] if shown else [])
    answer = await hub.log.answer(CASE, run)
    assert answer is not None
    assert answer.state is RunState.STOPPED


async def test_a_released_case_does_not_revive_the_answer_from_before(hub: OpenLog) -> None:
    run = await hub.ask()
    await hub.do(Accept(), PRIYA)
    await hub.do(Release(), PRIYA)
    for late in (Continue(run, 0, "late"), Finish(run, "late", "final")):
        assert (await refused(hub.do(late, ASSISTANT))).code is Code.CONFLICT
    assert await hub.ask("Anybody?") != run


async def test_pieces_and_a_takeover_in_one_moment_keep_their_order(hub: OpenLog) -> None:
    run = await hub.ask()
    commits = len(hub.told)
    answers = await in_one_moment(
        hub.do(Continue(run, 0, "Good "), ASSISTANT),
        hub.do(Continue(run, 1, "mor"), ASSISTANT),
        hub.do(Accept(), PRIYA),
        hub.do(Continue(run, 2, "ning"), ASSISTANT),
        hub.do(Finish(run, "ning", "final"), ASSISTANT),
    )
    assert [type(answer) for answer in answers] == [Receipt, Receipt, Receipt, Rejected, Rejected]
    assert len(hub.told) == commits + 1, "in one commit"
    assert told(hub) == [
        "writing",
        "writing Good",
        "writing mor",
        "message Good mor",
        "stopped",
        "control",
    ]
    accepted = answers[2]
    assert isinstance(accepted, Receipt)
    (record,) = await hub.log.read_before(CASE, STAFF, None, 1)
    assert (record.kind, record.cursor) == ("control", accepted.cursor)
    assert (await messages(hub.log))[-1] == ("ai", "interrupted", "Good mor")
    await assert_dense(hub.log, CASE, 4)


async def test_a_new_message_keeps_what_was_shown_before_it(hub: OpenLog) -> None:
    run = await hub.ask()
    await hub.do(Continue(run, 0, "Good "), ASSISTANT)
    receipt = await hub.do(say("Wait"), MARIA)
    assert told(hub) == ["message Good", "stopped", "message Wait", "thinking"]
    (record,) = await hub.log.read_before(CASE, PATIENT, None, 1)
    assert record.cursor == receipt.cursor, "the receipt is that of the patient's message"
    assert await hub.run_of() != run


# Once more.


@pytest.mark.parametrize("shown", ["", "Good "])
@pytest.mark.parametrize("fails", [False, True])
async def test_an_answer_that_was_not_whole_is_begun_again_also_by_another_process(
    database_url: str, shown: str, fails: bool
) -> None:
    async with open_log(database_url, "a") as one:
        await one.open_case()
        run = await one.ask()
        if shown:
            await one.do(Continue(run, 0, shown), ASSISTANT)
        if fails:
            await one.do(Finish(run, "Sorry", "failed"), ASSISTANT)
        else:
            await one.do(Stop(), MARIA)
        before = await messages(one.log)
    async with open_log(database_url, "b") as two:
        state = await two.log.state(CASE)
        assert state is not None
        assert (state.run, state.unfinished) == (None, run)
        receipt = await two.do(Retry(run), MARIA, "again")
        assert (receipt.id, receipt.cursor) == (None, state.patient)
        assert told(two) == ["thinking"]
        assert len(two.promises) == 1
        new = await two.run_of()
        assert new != run
        await two.do(Continue(new, 0, "Good day"), ASSISTANT)
        await two.do(Finish(new, "", "final"), ASSISTANT)
        assert await messages(two.log) == [*before, ("ai", "final", "Good day")]
        old = await two.log.answer(CASE, run)
        assert old is not None
        assert old.state is (RunState.FAILED if fails else RunState.STOPPED)
        state = await two.log.state(CASE)
        assert state is not None
        assert (state.run, state.unfinished) == (None, None)


async def test_the_same_key_begins_one_answer(hub: OpenLog) -> None:
    run = await hub.ask()
    await hub.do(Stop(), MARIA)
    first = await hub.do(Retry(run), MARIA, "again")
    new = await hub.run_of()
    assert await hub.do(Retry(run), MARIA, "again") == replace(first, dup=True)
    await hub.do(Stop(), MARIA)
    assert await hub.do(Retry(run), MARIA, "again") == replace(first, dup=True)
    state = await hub.log.state(CASE)
    assert state is not None
    assert (state.run, state.unfinished) == (None, new)
    assert (await refused(hub.do(Retry(new), MARIA, "again"))).code is Code.KEY_REUSED


async def test_of_many_who_ask_again_at_two_processes_one_begins_an_answer(
    database_url: str,
) -> None:
    async with open_log(database_url, "a") as one, open_log(database_url, "b") as two:
        await one.open_case()
        run = await one.ask()
        await one.do(Stop(), MARIA)
        people = [MARIA, PRIYA, LEE, SAM] * 5
        answers = await in_one_moment(
            *(hub.do(Retry(run), by) for hub, by in zip([one, two] * 10, people, strict=True))
        )
        began = [answer for answer in answers if isinstance(answer, Receipt)]
        lost = [answer.code for answer in answers if isinstance(answer, Rejected)]
        assert (len(began), lost) == (1, [Code.CONFLICT] * 19)
        assert len(await tasks(one.database)) == 2
        await assert_dense(two.log, CASE, 2)


# Takeovers.


async def test_exactly_one_of_fifty_accepts_wins_and_the_others_learn_who(hub: OpenLog) -> None:
    people = [replace(PRIYA, id=f"user_{n}", name=f"Nr. {n}") for n in range(50)]
    answers = await in_one_moment(*(hub.do(Accept(), by) for by in people))
    won = [by for by, answer in zip(people, answers, strict=True) if isinstance(answer, Receipt)]
    lost = [answer for answer in answers if isinstance(answer, Rejected)]
    assert (len(won), len(lost)) == (1, 49)
    assert {(each.code, each.details["owner"]) for each in lost} == {(Code.CONFLICT, won[0].name)}
    assert all(won[0].name in each.message for each in lost)
    state = await hub.log.state(CASE)
    assert state is not None
    assert (state.owner_id, state.control, state.fence) == (won[0].id, Control.HUMAN, 1)
    await assert_dense(hub.log, CASE, 2)
    assert await tasks(hub.database) == [OWNER_AWAY]


async def test_exactly_one_of_fifty_accepts_at_two_processes_wins(database_url: str) -> None:
    async with open_log(database_url, "a") as one, open_log(database_url, "b") as two:
        await one.open_case()
        people = [replace(PRIYA, id=f"user_{n}", name=f"Nr. {n}") for n in range(50)]
        answers = await in_one_moment(
            *(hub.do(Accept(), by) for hub, by in zip([one, two] * 25, people, strict=True))
        )
        state = await two.log.state(CASE)
        lost = [answer for answer in answers if isinstance(answer, Rejected)]
        assert state is not None
        assert (len(lost), state.fence) == (49, 1)
        owners = {(each.code, each.details["owner"]) for each in lost}
        assert owners == {(Code.CONFLICT, state.owner_name)}
        await assert_dense(two.log, CASE, 2)


async def test_a_takeover_at_another_process_ends_the_answer_wherever_it_is(
    database_url: str,
) -> None:
    async with open_log(database_url, "a") as one, open_log(database_url, "b") as two:
        for number in range(8):
            case = f"case-{number}"
            await one.open_case(case, number)
            patient = replace(MARIA, patient_id=f"patient-{number}")
            run = await one.ask(case=case, by=patient)
            pieces = [one.do(Continue(run, i, f"{i} "), ASSISTANT, case=case) for i in range(8)]
            *given, accepted = await in_one_moment(*pieces, two.do(Accept(), PRIYA, case=case))
            assert isinstance(accepted, Receipt)
            refusals = [each.code for each in given if isinstance(each, Rejected)]
            stored = "".join(f"{i} " for i, each in enumerate(given) if isinstance(each, Receipt))
            assert set(refusals) <= {Code.CONFLICT}
            said = [each for each in await messages(two.log, case) if each[0] == "ai"]
            assert said == ([("ai", "interrupted", stored)] if stored else [])
            (record,) = await two.log.read_before(case, STAFF, None, 1)
            assert record.kind == "control"


async def test_two_messages_at_two_processes_leave_one_answer_in_flight(database_url: str) -> None:
    async with open_log(database_url, "a") as one, open_log(database_url, "b") as two:
        await one.open_case()
        for number in range(5):
            await in_one_moment(one.do(say(f"a{number}"), MARIA), two.do(say(f"b{number}"), MARIA))
        query = select(table_of(RunRow).c.id, table_of(RunRow).c.state)
        found = await one.database.read(lambda connection: connection.execute(query).all())
        flying = [id for id, state in found if state == RunState.THINKING]
        assert len(found) == 10
        assert flying == [await two.run_of()]


# What happens without an event, and what does not happen.


@pytest.mark.parametrize("command", [Escalate(), Stop(), Stop("unknown"), MarkRead(1)])
async def test_what_changes_nothing_is_acknowledged_at_the_head_of_ones_own_view(
    hub: OpenLog, command: Command
) -> None:
    await hub.do(Escalate(), MARIA)
    await hub.do(WriteNote("psst"), PRIYA)
    before = await rows(hub.database)
    for by in (PRIYA,) if isinstance(command, MarkRead) else (PRIYA, MARIA):
        receipt = await hub.do(command, by)
        audience = PATIENT if by is MARIA else STAFF
        heads = await hub.log.heads([CASE])
        assert (receipt.id, receipt.cursor, receipt.dup) == (None, heads[CASE][audience], False)
        assert hub.told[-1] == []
    assert await rows(hub.database) == before


async def test_who_accepts_twice_has_accepted_once(hub: OpenLog) -> None:
    first = await hub.do(Accept(), PRIYA)
    second = await hub.do(Accept(), PRIYA)
    assert (first.id is None, second.id) == (False, None)
    assert (await refused(hub.do(Accept(), LEE))).details == {"owner": "Priya"}


async def test_reading_is_stored_without_an_event(hub: OpenLog, database_url: str) -> None:
    await hub.do(say("Hello"), MARIA, policy=Policy())
    receipt = await hub.do(MarkRead(2), PRIYA, "")
    await hub.do(MarkRead(2), SAM, "")
    assert receipt.id is None
    async with open_log(database_url, "other") as other:
        state = await other.log.state(CASE)
    assert state is not None
    assert state.unread == 0
    await assert_dense(hub.log, CASE, 2)


async def test_words_of_an_emergency_bring_about_everything_in_one_commit(hub: OpenLog) -> None:
    alarm = Alarm(Trigger.RED_FLAG, "chest pain", "Call 112 now.")
    receipt = await hub.do(say("My chest hurts"), MARIA, alarm=alarm)
    assert told(hub) == ["message My chest hurts", "message Call 112 now.", "escalation", "control"]
    (record,) = await hub.log.read(CASE, STAFF, START, 1, kind="escalation")
    assert record.data["message_id"] == receipt.id
    assert await texts(hub.log, PATIENT) == ["My chest hurts", "Call 112 now."]
    assert await tasks(hub.database) == [UNACCEPTED]


# Tasks.


@pytest.mark.parametrize("fault", ["refuse", "stumble", "forget"])
async def test_a_task_is_stored_with_its_cause_or_not_at_all(database_url: str, fault: str) -> None:
    database = Flaky(open_database(database_url))
    async with open_log(database) as hub:
        await hub.open_case()
        commands: list[Command] = [say("Hello"), Escalate()]
        for number, command in enumerate(commands):
            setattr(database, fault, 1)
            before = await rows(database)
            with pytest.raises((Unavailable, ZeroDivisionError)):
                await hub.do(command, MARIA, f"key {number}")
            after = await rows(database)
            stored = fault == "forget"
            assert (after["EventRow"] > before["EventRow"]) is stored
            assert (after["TaskRow"] - before["TaskRow"]) == stored
        assert hub.promises == []


async def test_a_repeated_command_promises_nothing_twice(hub: OpenLog) -> None:
    for _ in range(3):
        await hub.do(say("Hello"), MARIA, "k1")
    await in_one_moment(*(hub.do(Escalate(), MARIA, "k2") for _ in range(3)))
    assert await tasks(hub.database) == [REPLY, UNACCEPTED]


async def test_a_refused_command_promises_nothing(hub: OpenLog) -> None:
    await hub.do(Accept(), PRIYA)
    assert (await refused(hub.do(Accept(), LEE))).code is Code.CONFLICT
    assert (await refused(hub.do(say(""), MARIA))).code is Code.INVALID
    assert await tasks(hub.database) == [OWNER_AWAY]


async def test_whoever_works_is_woken_after_the_commit_of_a_task_and_not_without_one(
    hub: OpenLog,
) -> None:
    await hub.do(WriteNote("psst"), PRIYA)
    assert hub.promises == []
    await hub.do(say("Hello"), MARIA)
    assert hub.promises == [len(hub.told)], "after the readers were told"


@pytest.mark.parametrize("policy", [ANSWERING, Policy()])
async def test_a_task_says_what_it_is_for_and_when(hub: OpenLog, policy: Policy) -> None:
    receipt = await hub.do(say("Hello"), MARIA, policy=policy)
    escalated = await hub.do(Escalate(), MARIA, policy=policy)
    accepted = await hub.do(Accept(), PRIYA, policy=policy)
    query = select(table_of(TaskRow)).order_by(table_of(TaskRow).c.due)
    found = await hub.database.read(lambda connection: connection.execute(query).all())
    assert [(row.kind, row.case_id, row.due) for row in found] == [
        *([(REPLY, CASE, receipt.at)] if policy.ai else []),
        (UNACCEPTED, CASE, escalated.at + policy.alert_after),
        (OWNER_AWAY, CASE, accepted.at + policy.away_after),
    ]
    assert {(row.attempts, row.holder, row.dead) for row in found} == {(0, None, False)}
