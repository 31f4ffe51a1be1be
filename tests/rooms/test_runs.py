"""Rules 6, 7 and 14: when the AI answers, one answer at a time, what ends it, and once more."""

from dataclasses import replace

import pytest
from pydantic import ValidationError

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
from rooms.errors import Code
from rooms.events import Control, Event, Message, SenderType, Source, Status
from rooms.runs import ASSISTANT as ACTOR
from rooms.runs import REPLY
from rooms.state import Cause, Policy, Progress, RoomState, Run, RunState, Task
from tests.rooms.kit import ANSWERING, ASSISTANT, CASE, LEE, MARIA, NOW, PRIYA, SAM, SERVICE, say
from tests.rooms.story import CHEST, NEWEST, PANIC, ROOM, decided, decision, refusal, story

WRITING = replace(ROOM, run=Run("run_1", 0, "Good ", (5,)))
THINKING = replace(ROOM, run=Run("run_1", 0))
LED = replace(
    ROOM, control=Control.HUMAN, fence=1, ai_fence=1, owner_id=PRIYA.id, owner_name="Priya"
)


def said(text: str, state: str) -> Event:
    """Give the message of an answer."""
    message = Message.model_validate(
        {
            "sender_type": SenderType.AI,
            "source": Source.CHAT,
            "text": text,
            "state": state,
            "run": "run_1",
        }
    )
    return Event("message", ACTOR, message, "message_1_1")


def ended(state: RunState, message: str | None = None, cause: Cause | None = None) -> Progress:
    return Progress("run_1", 0, state, message_id=message, cause=cause)


# Rule 6: when the AI answers, and what it may do.


@pytest.mark.parametrize("control", [Control.AI, Control.WAITING])
def test_the_ai_answers_a_patient_while_no_person_leads(control: Control) -> None:
    found = decision(replace(ROOM, control=control, fence=3), say("Hello"), MARIA, policy=ANSWERING)
    assert found.happenings[1:] == (Progress("run_1_1", 3, RunState.THINKING, begun=0),)
    assert found.tasks == (Task(REPLY, CASE, NOW, {"run": "run_1_1"}),)
    assert found.answer == 0


def test_the_ai_does_not_answer_while_a_person_leads() -> None:
    found = decision(LED, say("Hello"), MARIA, policy=ANSWERING)
    assert (len(found.happenings), found.tasks) == (1, ())


def test_where_the_ai_is_off_nothing_answers() -> None:
    found = decision(ROOM, say("Hello"), MARIA, policy=Policy())
    assert (len(found.happenings), found.tasks) == (1, ())


@pytest.mark.parametrize("by", [PRIYA, SAM, SERVICE])
def test_the_ai_answers_patients_and_nobody_else(by: Principal) -> None:
    for command in (say("Hello"), say("Hello", via=Source.SMS), WriteNote("Hm")):
        found = decision(ROOM, command, by, policy=ANSWERING)
        assert (len(found.happenings), found.tasks) == (1, ())


@pytest.mark.parametrize(
    "command",
    [
        say("Hi"),
        WriteNote("Hm"),
        SetStatus(Status.ACTIVE),
        Accept(),
        Release(),
        Stop(),
        Retry(),
        MarkRead(1),
    ],
)
@pytest.mark.parametrize("state", [ROOM, WRITING, LED])
def test_the_ai_can_do_nothing_but_answer_and_ask_for_a_person(
    state: RoomState, command: Command
) -> None:
    assert refusal(state, command, ASSISTANT).code is Code.FORBIDDEN


@pytest.mark.parametrize("by", [MARIA, PRIYA, SAM, SERVICE])
@pytest.mark.parametrize("command", [Continue("run_1", 1, "x"), Finish("run_1", "x", "final")])
def test_nobody_writes_in_the_name_of_the_ai(command: Command, by: Principal) -> None:
    assert refusal(WRITING, command, by).code is Code.FORBIDDEN


# Pieces.


def test_a_piece_is_added_to_what_was_shown() -> None:
    first = decided(THINKING, Continue("run_1", 0, "Good "), ASSISTANT)
    assert first == (Progress("run_1", 0, RunState.WRITING, 0, "Good "),)
    second = decided(WRITING, Continue("run_1", 1, "day"), ASSISTANT)
    assert second == (Progress("run_1", 0, RunState.WRITING, 1, "day"),)


def test_a_piece_that_is_there_already_changes_nothing() -> None:
    assert decided(WRITING, Continue("run_1", 0, "Good "), ASSISTANT) == ()


@pytest.mark.parametrize(
    "command",
    [
        Continue("run_1", 0, "other"),
        Finish("run_1", "other", "final", 0),
        Finish("run_1", "other", "final", 2),
    ],
)
def test_an_answer_is_not_put_together_from_two(command: Command) -> None:
    assert refusal(WRITING, command, ASSISTANT).code is Code.INVALID
    assert decided(WRITING, Finish("run_1", "day", "final", 1), ASSISTANT)


def test_a_piece_whose_predecessor_is_missing_is_refused() -> None:
    for i in (2, 99):
        assert refusal(WRITING, Continue("run_1", i, "x"), ASSISTANT).code is Code.INVALID


@pytest.mark.parametrize("text", ["x" * 10_001, "x" * 9_996, "nul\0", "half \ud83d"])
def test_what_could_not_become_a_message_is_not_shown(text: str) -> None:
    with pytest.raises(ValidationError):
        decided(WRITING, Continue("run_1", 1, text), ASSISTANT)


def test_an_answer_may_be_as_long_as_a_message() -> None:
    assert decided(WRITING, Continue("run_1", 1, "x" * 9_995), ASSISTANT)


# The end.


@pytest.mark.parametrize(("state", "ends"), [("final", RunState.DONE), ("failed", RunState.FAILED)])
def test_the_end_of_an_answer_is_a_message_with_all_of_it(state: str, ends: RunState) -> None:
    command = Finish("run_1", "day", "final" if state == "final" else "failed")
    found = decision(WRITING, command, ASSISTANT, policy=ANSWERING)
    assert found.happenings == (
        Progress("run_1", 0, RunState.WRITING, 1, "day"),
        said("Good day", state),
        ended(ends, "message_1_1"),
    )
    assert found.answer == 1


def test_an_end_without_a_rest_shows_nothing_more() -> None:
    found = decision(WRITING, Finish("run_1", "", "final"), ASSISTANT)
    assert found.happenings == (said("Good ", "final"), ended(RunState.DONE, "message_1_1"))
    assert found.answer == 0


def test_without_streaming_the_message_is_the_first_that_is_seen_of_an_answer() -> None:
    quiet = Policy(ai=True, streaming=False)
    found = decided(THINKING, Finish("run_1", "Good day", "final"), ASSISTANT, policy=quiet)
    assert found == (said("Good day", "final"), ended(RunState.DONE, "message_1_1"))


# Rule 7: one at a time, and what ends it.

ENDS: list[tuple[Command, Principal, Cause]] = [
    (say("One more thing"), MARIA, Cause.MESSAGE),
    (Stop(), MARIA, Cause.STOP),
    (Stop(), PRIYA, Cause.STOP),
    (Stop("run_1"), SERVICE, Cause.STOP),
    (Accept(), PRIYA, Cause.TAKEOVER),
    (SetStatus(Status.CLOSED), PRIYA, Cause.CLOSED),
    (SetStatus(Status.ARCHIVED), PRIYA, Cause.CLOSED),
]


@pytest.mark.parametrize(("command", "by", "cause"), ENDS)
def test_what_was_shown_becomes_a_message_before_anything_else(
    command: Command, by: Principal, cause: Cause
) -> None:
    found = decision(WRITING, command, by, policy=ANSWERING)
    message, end = found.happenings[:2]
    assert isinstance(message, Event)
    assert replace(message, id="message_1_1") == said("Good ", "interrupted")
    assert end == ended(RunState.STOPPED, message.id, cause)
    answer = found.happenings[found.answer]
    assert isinstance(answer, Event)
    assert isinstance(command, Stop) is (answer.actor is ACTOR), "the author's own event answers"


@pytest.mark.parametrize(("command", "by", "cause"), ENDS)
def test_an_answer_of_which_nothing_was_shown_ends_without_a_message(
    command: Command, by: Principal, cause: Cause
) -> None:
    first, *others = decided(THINKING, command, by, policy=ANSWERING)
    assert first == ended(RunState.STOPPED, None, cause)
    assert not any(isinstance(each, Event) and each.actor is ACTOR for each in others)


def test_a_new_message_begins_a_new_answer_after_the_old_one_ended() -> None:
    found = decided(WRITING, say("Wait"), MARIA, policy=ANSWERING)
    kinds = [each.state if isinstance(each, Progress) else each for each in found]
    assert kinds[1::2] == [RunState.STOPPED, RunState.THINKING]


@pytest.mark.parametrize("text", [CHEST, PANIC])
def test_an_emergency_ends_an_answer_and_begins_none(text: str) -> None:
    told = story((say("Hello"), MARIA), (Continue(NEWEST, 0, "Good "), ASSISTANT))
    told.give(say(text), MARIA)
    assert told.room.run is None
    assert [message.text for message in told.messages(SenderType.AI)] == ["Good "]


@pytest.mark.parametrize(
    ("command", "by"),
    [
        (say("I am here"), PRIYA),
        (WriteNote("Hm"), PRIYA),
        (MarkRead(99), PRIYA),
        (SetStatus(Status.ACTIVE), PRIYA),
        (Escalate(), MARIA),
        (Escalate(run="run_1_1"), ASSISTANT),
        (Stop("run_2"), MARIA),
    ],
)
def test_nothing_else_ends_an_answer(command: Command, by: Principal) -> None:
    told = story((say("Hello"), MARIA), (Continue(NEWEST, 0, "Good "), ASSISTANT), (command, by))
    assert told.run == "run_1_1"
    assert told.messages(SenderType.AI) == []


@pytest.mark.parametrize("command", [Stop(), Stop("run_1")])
def test_stopping_what_is_over_is_no_error(command: Command) -> None:
    for by in (MARIA, PRIYA):
        assert decided(ROOM, command, by) == ()


@pytest.mark.parametrize(
    "late",
    [Continue("run_1_1", 0, "x"), Continue("run_1_1", 1, "x"), Finish("run_1_1", "x", "final")],
)
@pytest.mark.parametrize(
    "end",
    [
        (say("Wait"), MARIA),
        (Stop(), MARIA),
        (Accept(), LEE),
        (Finish(NEWEST, "!", "final"), ASSISTANT),
    ],
)
def test_nothing_is_added_to_an_answer_that_is_over(
    late: Command, end: tuple[Command, Principal]
) -> None:
    told = story((say("Hello"), MARIA), (Continue(NEWEST, 0, "Good "), ASSISTANT), end)
    assert refusal(told.room, late, ASSISTANT).code is Code.CONFLICT


@pytest.mark.parametrize(
    "late",
    [Continue("run_1", 1, "x"), Finish("run_1", "x", "final"), Finish("run_1", "", "failed")],
)
def test_the_fence_alone_keeps_an_answer_of_before_a_takeover_out(late: Command) -> None:
    fenced = replace(WRITING, fence=2, ai_fence=1)
    led = replace(LED, run=Run("run_1", 1, "Good ", (5,)))
    for state in (fenced, led):
        assert refusal(state, late, ASSISTANT).code is Code.CONFLICT


# Rule 14: once more.

BROKEN = replace(ROOM, unfinished="run_1")
"""The answer run_1 was not whole."""
PIECE = (Continue(NEWEST, 0, "Good "), ASSISTANT)
BREAKS: list[list[tuple[Command, Principal]]] = [
    [(Stop(), MARIA)],
    [PIECE, (Stop(), PRIYA)],
    [(Finish(NEWEST, "Sorry", "failed"), ASSISTANT)],
    [PIECE, (Finish(NEWEST, "", "failed"), ASSISTANT)],
    [PIECE, (SetStatus(Status.CLOSED), PRIYA), (SetStatus(Status.ACTIVE), PRIYA)],
]
"""What ends an answer before it is whole."""


@pytest.mark.parametrize("by", [MARIA, PRIYA, SAM, SERVICE])
@pytest.mark.parametrize("run", [None, "run_1"])
@pytest.mark.parametrize("control", [Control.AI, Control.WAITING])
def test_an_answer_that_was_not_whole_is_begun_again_without_a_message(
    by: Principal, run: str | None, control: Control
) -> None:
    state = replace(BROKEN, control=control, fence=3)
    found = decision(state, Retry(run), by, policy=ANSWERING)
    assert found.happenings == (Progress("run_1_1", 3, RunState.THINKING, begun=0),)
    assert found.tasks == (Task(REPLY, CASE, NOW, {"run": "run_1_1"}),)


@pytest.mark.parametrize("breaks", BREAKS)
def test_every_answer_that_breaks_off_can_be_asked_for_again(
    breaks: list[tuple[Command, Principal]],
) -> None:
    told = story((say("Hello"), MARIA), *breaks, (Retry(NEWEST), MARIA))
    assert told.run == f"run_{len(breaks) + 2}_1"
    assert len(told.messages(SenderType.PATIENT)) == 1


@pytest.mark.parametrize(
    "since",
    [
        [(say("Never mind"), MARIA)],
        [(say(CHEST), MARIA)],
        [(Accept(), PRIYA), (Release(), PRIYA)],
        [(Retry(), MARIA), (Finish(NEWEST, "Good day", "final"), ASSISTANT)],
    ],
)
@pytest.mark.parametrize("breaks", BREAKS)
def test_what_came_in_its_place_ends_the_wish_for_an_answer(
    breaks: list[tuple[Command, Principal]], since: list[tuple[Command, Principal]]
) -> None:
    told = story((say("Hello"), MARIA), *breaks, *since)
    if told.room.run is not None:
        told.give(Finish(NEWEST, "Good day", "final"), ASSISTANT)
    assert refusal(told.room, Retry(), MARIA, policy=ANSWERING).code is Code.CONFLICT


def test_an_answer_that_a_takeover_ended_is_not_begun_again() -> None:
    told = story((say("Hello"), MARIA), PIECE, (Accept(), PRIYA), (Release(), PRIYA))
    assert refusal(told.room, Retry(), MARIA, policy=ANSWERING).code is Code.CONFLICT


@pytest.mark.parametrize(
    "since",
    [(say("I am here"), PRIYA), (WriteNote("Hm"), PRIYA), (Escalate(), MARIA), (MarkRead(9), SAM)],
)
def test_nothing_else_ends_the_wish_for_an_answer(since: tuple[Command, Principal]) -> None:
    told = story((say("Hello"), MARIA), (Stop(), MARIA), since, (Retry(NEWEST), MARIA))
    assert told.room.run is not None


def test_two_who_ask_again_begin_one_answer() -> None:
    told = story((say("Hello"), MARIA), (Stop(), MARIA), (Retry(NEWEST), MARIA))
    for run in (None, "run_1_1", told.run):
        assert refusal(told.room, Retry(run), PRIYA, policy=ANSWERING).code is Code.CONFLICT
    told.give(Stop(), MARIA)
    assert refusal(told.room, Retry("run_1_1"), PRIYA, policy=ANSWERING).code is Code.CONFLICT
    assert decided(told.room, Retry("run_3_1"), PRIYA, policy=ANSWERING)


@pytest.mark.parametrize(
    ("state", "policy", "code"),
    [
        (BROKEN, Policy(), Code.FORBIDDEN),
        (ROOM, ANSWERING, Code.CONFLICT),
        (WRITING, ANSWERING, Code.CONFLICT),
        (LED, ANSWERING, Code.CONFLICT),
        (replace(BROKEN, unfinished="run_0"), ANSWERING, Code.CONFLICT),
        (replace(BROKEN, status=Status.CLOSED), ANSWERING, Code.CLOSED),
        (replace(BROKEN, status=Status.ARCHIVED), ANSWERING, Code.CLOSED),
    ],
)
def test_where_nothing_can_be_answered_again_a_sentence_says_why(
    state: RoomState, policy: Policy, code: Code
) -> None:
    error = refusal(state, Retry("run_1"), MARIA, policy=policy)
    assert error.code is code
    assert error.message
    if state is LED:
        assert error.details == {"owner": "Priya"}
