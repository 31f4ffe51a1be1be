"""The log, the same promises on SQLite and on PostgreSQL."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace

import pytest
from structlog.typing import EventDict

from auth.principal import Principal, Role
from rooms import core
from rooms.broker import Hint
from rooms.commands import Command, SetStatus, WriteNote
from rooms.cursor import Cursor, tag_of
from rooms.database import open_database
from rooms.encoding import Record
from rooms.errors import Code, Malformed, Rejected, Unavailable
from rooms.events import Attachment, Audience, Card, Event, Note, Status
from rooms.log import Receipt
from rooms.state import Decision, RoomState, Terms
from tests.rooms.kit import (
    CASE,
    FOREIGNER,
    MARIA,
    NOW,
    PRIYA,
    SAM,
    STRANGER,
    Flaky,
    OpenLog,
    assert_dense,
    cursors,
    open_log,
    refused,
    say,
    tag,
    texts,
)
from tests.servers import Postgres

STAFF, PATIENT = Audience.STAFF, Audience.PATIENT


# Appending.


async def test_a_receipt_says_where_the_event_stands_for_its_author(hub: OpenLog) -> None:
    await hub.log.append(CASE, WriteNote("psst"), PRIYA, "n1")
    by_patient = await hub.say("Hello", MARIA)
    by_staff = await hub.say("Hi", PRIYA)
    assert by_patient.cursor == Cursor(2, tag(by_patient))
    assert by_staff.cursor == Cursor(4, tag(by_staff))
    assert (by_patient.case, by_patient.dup) == (CASE, False)
    assert by_patient.at > NOW
    (record,) = await hub.log.read(CASE, PATIENT, Cursor(1, tag_of("patient_1")), 1)
    frame = json.loads(record.frame)
    assert (frame["id"], frame["cursor"]) == (by_patient.id, str(by_patient.cursor))
    assert frame["key"] == "Hello"


async def test_a_key_is_not_shown_in_the_event_if_it_is_not_to_be(hub: OpenLog) -> None:
    await hub.log.append(CASE, say("Hello"), MARIA, "k1", echo=False)
    (record,) = await hub.log.read_before(CASE, STAFF, None, 1)
    assert "key" not in json.loads(record.frame)


async def test_each_commit_hints_at_what_each_audience_sees_of_it(hub: OpenLog) -> None:
    note = await hub.log.append(CASE, WriteNote("psst"), PRIYA, "n1")
    message = await hub.say("Hello")
    told = [(hint.audience, hint.cursor, hint.previous) for hint in hub.hints[1]]
    assert told == [(STAFF, note.cursor, Cursor(1, tag_of("patient_1")))]
    both = sorted((hint.audience, hint.cursor.seq, hint.previous) for hint in hub.hints[2])
    assert both == [
        (PATIENT, 2, Cursor(1, tag_of("patient_1"))),
        (STAFF, 3, note.cursor),
    ]
    for hint in hub.hints[2]:
        (stored,) = await hub.log.read(CASE, hint.audience, hint.previous)
        assert (stored.frame, stored.cursor, stored.kind) == (hint.frame, hint.cursor, hint.kind)
        assert hint.case == CASE
    assert tag(message) == hub.hints[2][0].cursor.tag


async def test_the_state_is_that_of_the_newest_event_for_every_process(
    hub: OpenLog, database_url: str
) -> None:
    await hub.say("Hello", MARIA)
    last = await hub.say("Hi", PRIYA)
    await hub.log.append(CASE, SetStatus(Status.ACTIVE), PRIYA, "s1")
    async with open_log(database_url, "other") as other:
        state = await other.log.state(CASE)
    assert state == await hub.log.state(CASE)
    assert state is not None
    assert (state.status, state.last_message_seq, state.last_other_seq) == (Status.ACTIVE, 3, 2)
    assert (state.last_message_by, state.last_message_at) == (PRIYA.id, last.at)
    assert (state.patient_name, state.tenant, state.patient_id) == (
        "Maria",
        MARIA.tenant,
        MARIA.patient_id,
    )


@pytest.mark.parametrize("case", ["unknown", "", "é" * 300])
async def test_an_unknown_case_and_a_foreign_one_get_the_same_answer(
    hub: OpenLog, case: str
) -> None:
    answers = [
        await refused(hub.say("Hi", MARIA, case=case)),
        await refused(hub.say("Hi", STRANGER)),
        await refused(hub.say("Hi", FOREIGNER)),
    ]
    assert len({(type(error), error.code, error.message) for error in answers}) == 1
    assert answers[0].code is Code.FORBIDDEN
    assert await texts(hub.log) == []


async def test_what_its_kind_of_event_cannot_hold_is_malformed_and_not_stored(
    hub: OpenLog,
) -> None:
    commands: list[Command] = [say(""), say("x" * 10_001), WriteNote("nul\0")]
    for number, command in enumerate(commands):
        error = await refused(hub.log.append(CASE, command, PRIYA, f"k{number}"))
        assert isinstance(error, Malformed)
        assert error.code is Code.INVALID
    await assert_dense(hub.log, CASE, 1)


async def test_every_script_and_every_card_comes_back_as_it_was_said(hub: OpenLog) -> None:
    said = "Grüße \U0001f9d1\u200d\u2695\ufe0f \u05e9\u05dc\u05d5\u05dd\n\u202e\u2028 'a' %s {}"
    card = Card(kind="ehr", fallback="120/80")
    file = Attachment(id="f", name="scan.pdf", content_type="application/pdf", size=2**40)
    await hub.log.append(CASE, say(said, cards=(card,), attachments=(file,)), MARIA, "k1")
    for audience in Audience:
        (record,) = await hub.log.read_before(CASE, audience, None, 1)
        assert record.data["text"] == said
        assert record.data["cards"] == [card.model_dump()]
        assert record.data["attachments"] == [file.model_dump()]


# The same key.


async def test_the_same_key_gets_the_first_receipt_again(hub: OpenLog) -> None:
    first = await hub.say("Hello", key="k1")
    await hub.say("More", key="k2")
    again = await hub.say("Hello", key="k1")
    assert again == replace(first, dup=True)
    assert await texts(hub.log) == ["Hello", "More"]


async def test_the_same_key_is_known_to_another_process_and_after_a_restart(
    hub: OpenLog, database_url: str
) -> None:
    first = await hub.say("Hello", PRIYA, key="k1")
    async with open_log(database_url, "other") as other:
        assert await other.say("Hello", PRIYA, key="k1") == replace(first, dup=True)
        assert other.hints == [[]], "nothing happened that anybody should hear of"


async def test_the_same_key_twice_in_one_moment_happens_once(hub: OpenLog) -> None:
    answers = await asyncio.gather(*(hub.say("Hello", key="k1") for _ in range(10)))
    assert sorted(answer.dup for answer in answers) == [False] + [True] * 9
    assert len({(answer.id, answer.cursor, answer.at) for answer in answers}) == 1
    assert len(hub.hints) <= 3, "nobody had to try again"
    await assert_dense(hub.log, CASE, 2)


async def test_a_key_with_another_content_is_refused(hub: OpenLog) -> None:
    await hub.say("Hello", PRIYA, key="k1")
    for command in (say("Bye"), WriteNote("Hello"), SetStatus(Status.ACTIVE)):
        error = await refused(hub.log.append(CASE, command, PRIYA, "k1"))
        assert error.code is Code.KEY_REUSED
    both = await asyncio.gather(
        hub.say("One", key="k2"), hub.say("Two", key="k2"), return_exceptions=True
    )
    assert isinstance(both[0], Receipt)
    assert isinstance(both[1], Rejected)
    assert both[1].code is Code.KEY_REUSED
    assert await texts(hub.log) == ["Hello", "One"]


async def test_a_retry_may_have_seen_more_than_the_first_attempt(hub: OpenLog) -> None:
    first = await hub.log.append(CASE, say("Hi", seen=1), PRIYA, "k1")
    again = await hub.log.append(CASE, say("Hi", seen=2, force=True), PRIYA, "k1")
    assert again == replace(first, dup=True)


async def test_a_retry_is_answered_also_when_the_rules_have_changed_meanwhile(
    hub: OpenLog,
) -> None:
    first = await hub.say("Hello", key="k1")
    await hub.log.append(CASE, SetStatus(Status.ARCHIVED), PRIYA, "s1")
    assert await hub.say("Hello", key="k1") == replace(first, dup=True)
    assert (await refused(hub.say("More", key="k2"))).code is Code.CLOSED


async def test_a_key_belongs_to_its_sender_and_its_case(hub: OpenLog) -> None:
    await hub.open_case("case-2", 2)
    for by, case in ((MARIA, CASE), (PRIYA, CASE), (PRIYA, "case-2")):
        assert not (await hub.say("Hello", by, "k1", case)).dup
    assert (await refused(hub.say("Hello", replace(MARIA, patient_id="p-9"), "k1"))).code is (
        Code.FORBIDDEN
    )


async def test_what_was_refused_leaves_its_key_free(hub: OpenLog) -> None:
    assert (await refused(hub.say("", key="k1"))).code is Code.INVALID
    assert not (await hub.say("Hello", key="k1")).dup


# Together.


async def test_appends_to_many_rooms_at_once_are_dense_in_each(hub: OpenLog) -> None:
    rooms = [f"room-{number}" for number in range(10)]
    await asyncio.gather(
        *(hub.open_case(case, number) for number, case in enumerate(rooms, start=10))
    )
    commits = len(hub.hints)
    receipts = await asyncio.gather(
        *(
            hub.log.append(case, command, PRIYA, f"k{number}")
            for number in range(20)
            for case in rooms
            for command in [say(f"{number}") if number % 3 else WriteNote(f"{number}")]
        )
    )
    assert len({receipt.id for receipt in receipts}) == 200
    assert len(hub.hints) - commits <= 3, "they are committed together"
    for case in rooms:
        await assert_dense(hub.log, case, 21)
        assert await texts(hub.log, case=case) == [str(number) for number in range(20)]
        hinted = [hint for hints in hub.hints for hint in hints if hint.case == case]
        for audience in Audience:
            told = [hint.cursor for hint in hinted if hint.audience is audience]
            assert told == await cursors(hub.log, audience, case), "hints come in order"


async def test_one_refusal_does_not_spoil_what_is_committed_with_it(hub: OpenLog) -> None:
    commits = len(hub.hints)
    answers = await asyncio.gather(
        hub.say("One", key="k1"),
        hub.say("Two", STRANGER, key="k2"),
        hub.say("", key="k3"),
        hub.say("Four", PRIYA, key="k4"),
        hub.log.append(CASE, WriteNote("Five"), MARIA, "k5"),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [
        Receipt,
        Rejected,
        Malformed,
        Receipt,
        Rejected,
    ]
    assert len(hub.hints) - commits <= 2
    await assert_dense(hub.log, CASE, 3)


async def test_what_the_database_cannot_store_does_not_spoil_what_others_write(
    hub: OpenLog, logged: list[EventDict]
) -> None:
    unstorable = replace(PRIYA, name="half \ud83d")
    answers = await asyncio.gather(
        hub.say("One", key="k1"),
        hub.say("Two", unstorable, key="k2"),
        hub.say("Three", SAM, key="k3"),
        return_exceptions=True,
    )
    assert [isinstance(answer, Receipt) for answer in answers] == [True, False, True]
    assert await texts(hub.log) == ["One", "Three"]
    assert [line["event"] for line in logged] == ["append_failed"]
    assert not (await hub.say("Four")).dup


async def test_a_name_that_another_process_took_spoils_one_command_only(
    hub: OpenLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        # As if another process had registered the patient a moment after this one had looked.
        patch.setattr("rooms.log._registered", lambda connection, jobs: set())
        answers = await asyncio.gather(
            hub.say("One"), hub.open_case("case-2", 1), hub.say("Two"), return_exceptions=True
        )
    assert [type(answer) for answer in answers] == [Receipt, Unavailable, Receipt]
    assert await texts(hub.log) == ["One", "Two"]
    await assert_dense(hub.log, CASE, 3)
    assert await hub.log.state("case-2") is None
    assert (await refused(hub.open_case("case-2", 1))).code is Code.CONFLICT


async def test_a_command_happens_wholly_or_not_at_all(database_url: str) -> None:
    database = Flaky(open_database(database_url))
    async with open_log(database) as hub:
        await hub.open_case()
        database.stumble = 2
        for attempt in (hub.say("One"), hub.open_case("case-2", 2)):
            with pytest.raises(ZeroDivisionError):
                await attempt
        assert len(hub.hints) == 1
        await assert_dense(hub.log, CASE, 1)
        assert await hub.log.state("case-2") is None
        await hub.open_case("case-2", 2)
        assert not (await hub.say("One")).dup


async def test_what_a_command_brings_about_is_committed_together_and_one_event_answers(
    hub: OpenLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decide(state: RoomState, command: Command, by: Principal, terms: Terms) -> Decision:
        (said,) = core.decide(state, command, by, terms).happenings
        noted = Event("note", core.actor_of(by), Note(text="It was said"))
        return Decision((noted, said, noted), 1)

    monkeypatch.setattr("rooms.log.core", SimpleNamespace(**vars(core) | {"decide": decide}))
    receipt = await hub.say("Hello", key="k1")
    assert receipt.cursor == Cursor(2, tag(receipt)), "a patient's answer is one they see"
    assert len(hub.hints) == 2
    assert [hint.audience for hint in hub.hints[1]].count(STAFF) == 3
    assert await texts(hub.log) == ["It was said", "Hello", "It was said"]
    assert await hub.say("Hello", key="k1") == replace(receipt, dup=True)
    await assert_dense(hub.log, CASE, 4)


async def test_too_much_is_refused_at_once(hub: OpenLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rooms.lane.WAITING", 20)
    answers = await asyncio.gather(
        *(hub.say("x", key=f"k{number}") for number in range(21)), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [*[Receipt] * 20, Unavailable]
    assert not (await hub.say("x", key="k20")).dup


# When it is durable.


async def test_a_receipt_waits_for_the_commit_and_so_do_the_hints(database_url: str) -> None:
    database = Flaky(open_database(database_url))
    async with open_log(database) as hub, open_log(database_url, "other") as other:
        await hub.open_case()
        database.waiting.clear()
        database.gate.clear()
        answer = asyncio.create_task(hub.say("Hello"))
        await database.waiting.wait()
        assert not answer.done()
        assert len(hub.hints) == 1
        assert await texts(other.log) == []
        database.gate.set()
        await answer
        assert len(hub.hints) == 2
        assert await texts(other.log) == ["Hello"]


async def test_hints_ring_before_any_receipt_and_everybody_can_then_read_the_event(
    database_url: str,
) -> None:
    order: list[str] = []

    def ring(hints: Sequence[Hint]) -> None:
        records = [hint for hint in hints if isinstance(hint, Record)]
        order.extend(f"hint {record.cursor.seq}" for record in records if record.audience is STAFF)

    async def tell(hub: OpenLog, number: int) -> None:
        receipt = await hub.say(str(number))
        order.append(f"receipt {receipt.cursor.seq}")

    async with (
        open_log(database_url, committed=ring) as hub,
        open_log(database_url, "other") as other,
    ):
        await hub.open_case()
        order.clear()
        await asyncio.gather(*(tell(hub, number) for number in range(5)))
        for number in range(2, 7):
            assert order.index(f"hint {number}") < order.index(f"receipt {number}")
        assert [line for line in order if line.startswith("hint")] == [
            f"hint {number}" for number in range(2, 7)
        ]
        receipt = await hub.say("Now?")
        assert await other.log.cursor_at(CASE, STAFF, receipt.cursor.seq) == receipt.cursor


async def test_who_does_not_wait_for_the_answer_has_still_said_it(hub: OpenLog) -> None:
    answer = asyncio.create_task(hub.say("Hello"))
    refusal = asyncio.create_task(hub.say(""))
    await asyncio.sleep(0)
    answer.cancel()
    refusal.cancel()
    await hub.log.idle()
    assert await texts(hub.log) == ["Hello"]


# Failures.


async def test_a_database_that_fails_is_unavailable_for_all_and_then_well_again(
    database_url: str,
) -> None:
    database = Flaky(open_database(database_url))
    async with open_log(database) as hub:
        await hub.open_case()
        database.refuse = 2
        for _ in range(2):
            answers = await asyncio.gather(
                hub.say("One"), hub.say("Two", PRIYA), return_exceptions=True
            )
            assert [type(answer) for answer in answers] == [Unavailable, Unavailable]
        assert database.writes == 4, "an outage is not tried again for each command"
        assert len(hub.hints) == 1
        assert not (await hub.say("One")).dup
        await assert_dense(hub.log, CASE, 2)


async def test_after_a_commit_whose_answer_was_lost_the_same_key_finds_it(
    database_url: str,
) -> None:
    database = Flaky(open_database(database_url))
    async with open_log(database) as hub:
        await hub.open_case()
        database.forget = 1
        assert isinstance(await refused(hub.say("Hello", key="k1")), Unavailable)
        assert (await hub.say("Hello", key="k1")).dup
        assert await texts(hub.log) == ["Hello"]


async def test_the_log_goes_on_after_the_server_was_killed(
    postgres: Postgres, postgres_url: str
) -> None:
    async with open_log(postgres_url) as hub:
        await hub.open_case()
        await hub.say("One")
        postgres.kill()
        try:
            assert isinstance(await refused(hub.say("Two")), Unavailable)
            assert isinstance(await refused(hub.log.heads([CASE])), Unavailable)
        finally:
            postgres.start()
        await hub.say("Two")
        assert await texts(hub.log) == ["One", "Two"]
        await assert_dense(hub.log, CASE, 3)


# Two processes.


async def test_two_processes_that_write_at_once_keep_one_dense_numbering(
    database_url: str,
) -> None:
    async with open_log(database_url, "a") as one, open_log(database_url, "b") as two:
        await one.open_case()
        await two.open_case("case-2", 2)
        receipts = await asyncio.gather(
            *(
                hub.say(f"{name}{number}", by, case=case)
                for number in range(25)
                for name, hub, by in (("a", one, PRIYA), ("b", two, SAM))
                for case in (CASE, "case-2")
            )
        )
        assert not any(receipt.dup for receipt in receipts)
        for case in (CASE, "case-2"):
            await assert_dense(one.log, case, 51)
            said = await texts(two.log, case=case)
            for name in "ab":
                mine = [text for text in said if text.startswith(name)]
                assert mine == [f"{name}{number}" for number in range(25)]
        hinted = sorted(
            hint.cursor.seq
            for hub in (one, two)
            for hints in hub.hints
            for hint in hints
            if hint.case == CASE and hint.audience is STAFF
        )
        assert hinted == list(range(1, 52))


async def test_one_key_given_to_two_processes_at_once_happens_once(database_url: str) -> None:
    async with open_log(database_url, "a") as one, open_log(database_url, "b") as two:
        await one.open_case()
        for number in range(10):
            key = f"k{number}"
            answers = await asyncio.gather(one.say("Hello", key=key), two.say("Hello", key=key))
            assert sorted(answer.dup for answer in answers) == [False, True]
            assert answers[0].id == answers[1].id
        await assert_dense(two.log, CASE, 11)


async def test_one_rule_decides_for_two_processes(database_url: str) -> None:
    async with open_log(database_url, "a") as one, open_log(database_url, "b") as two:
        await one.open_case()
        for status in [Status.ACTIVE, Status.ON_HOLD] * 5:
            answers = await asyncio.gather(
                one.log.append(CASE, SetStatus(status), PRIYA, f"a {len(one.hints)}"),
                two.log.append(CASE, SetStatus(status), SAM, f"b {len(two.hints)}"),
                return_exceptions=True,
            )
            refusals = [answer for answer in answers if isinstance(answer, Rejected)]
            assert [refusal.code for refusal in refusals] == [Code.CONFLICT]
        await assert_dense(two.log, CASE, 11)


async def test_a_key_of_staff_is_not_one_of_the_patient_that_they_were(hub: OpenLog) -> None:
    was_staff = replace(PRIYA, role=Role.PATIENT, patient_id=MARIA.patient_id)
    note = WriteNote("psst")
    await hub.log.append(CASE, note, PRIYA, "k")
    for key in ("k", "unknown"):
        assert (await refused(hub.log.append(CASE, note, was_staff, key))).code == Code.FORBIDDEN


async def test_whoever_waits_for_a_database_that_hangs_is_told_to_try_again(
    database_url: str, logged: list[EventDict]
) -> None:
    database = Flaky(open_database(database_url))
    async with open_log(database) as hub:
        await hub.open_case()
        database.gate.clear()
        database.waiting.clear()
        written = asyncio.create_task(refused(hub.say("written")))
        await database.waiting.wait()
        began = asyncio.get_running_loop().time()
        waiting = await refused(hub.say("waiting"))
        assert asyncio.get_running_loop().time() - began < 3
        assert (type(await written), type(waiting)) == (Unavailable, Unavailable)
        assert [(line["event"], line["commands"]) for line in logged] == [("append_unavailable", 2)]
        database.gate.set()
        assert (await hub.say("written")).dup is True
        assert (await hub.say("waiting")).dup is False
        assert await texts(hub.log) == ["written", "waiting"]
