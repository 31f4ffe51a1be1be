"""What holds in a room for any sequence of commands, by whomever they are given."""

import json
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from auth.principal import Principal
from rooms.commands import (
    Accept,
    Command,
    Continue,
    Escalate,
    Finish,
    MarkRead,
    Recall,
    Release,
    Remind,
    Retry,
    SendMessage,
    SetStatus,
    Stop,
    WriteNote,
)
from rooms.cursor import START, tag_of
from rooms.encoding import event_json
from rooms.events import (
    Audience,
    Control,
    ControlChange,
    Envelope,
    SenderType,
    Source,
    Status,
)
from rooms.runs import REPLY
from rooms.state import Policy, Progress, RoomState, RunState, Seen, advance, evolve, opened
from rooms.takeover import OWNER_AWAY, UNACCEPTED
from tests.rooms.kit import (
    ASSISTANT,
    CASE,
    FOREIGNER,
    LEE,
    MARIA,
    NOW,
    PRIYA,
    SAM,
    SERVICE,
    STRANGER,
    TENANT,
    registration,
    say,
)
from tests.rooms.story import CHEST, FIRST, NEWEST, PANIC, PERSON, Story, begun

STAFF, PATIENT = Audience.STAFF, Audience.PATIENT
EVERYBODY = [MARIA, PRIYA, LEE, SAM, SERVICE, ASSISTANT, STRANGER, FOREIGNER]
SECRET = "secret"
"""Part of every text that patients must not see."""

Step = tuple[Command, Principal]

# People and what they do. What somebody does who may is as likely as what anybody does.

texts = st.sampled_from(["Hello", "Yes", "No", "¿Qué tal?", PERSON, CHEST, PANIC])
secrets = st.sampled_from([SECRET, f"{SECRET} 2"])
everybody = st.sampled_from(EVERYBODY)
coordinators = st.sampled_from([PRIYA, LEE, SAM])
runs = st.sampled_from([NEWEST, NEWEST, NEWEST, FIRST])

says = st.builds(say, texts, via=st.sampled_from([Source.CHAT, Source.CHAT, Source.SMS]))
guarded = st.builds(say, texts, seen=st.integers(0, 12), force=st.booleans())
notes = st.builds(WriteNote, secrets)
statuses = st.builds(
    SetStatus,
    st.sampled_from([Status.INTAKE, Status.ACTIVE, Status.ACTIVE, Status.CLOSED]),
)
archives = st.just(SetStatus(Status.ARCHIVED))
reads = st.builds(MarkRead, st.integers(0, 12))
escalations = st.builds(Escalate, secrets)
releases = st.builds(Release, st.sampled_from(["ai", "queue"]), st.none() | secrets)
stops = st.builds(Stop, st.none() | runs)
retries = st.builds(Retry, st.none() | runs)
pieces = st.builds(Continue, runs, st.sampled_from([0, 0, 0, 0, -1]), st.sampled_from("abc"))
ends = st.builds(
    Finish, runs, st.sampled_from(["", "the end"]), st.sampled_from(["final", "failed"])
)
reminders = st.builds(Remind, st.sampled_from([0, 0, 1]), st.integers(1, 3))
recalls = st.builds(Recall, st.sampled_from([0, 0, 1]))

commands = st.one_of(
    says, guarded, notes, statuses, archives, reads, escalations, st.just(Accept()), releases,
    stops, retries, pieces, ends, reminders, recalls,
)  # fmt: skip
sensible = st.one_of(
    st.tuples(st.one_of(st.builds(say, texts), stops, retries), st.just(MARIA)),
    st.tuples(st.one_of(pieces, pieces, ends, escalations), st.just(ASSISTANT)),
    st.tuples(st.one_of(st.just(Accept()), releases, notes, statuses, reads), coordinators),
    st.tuples(st.one_of(reminders, recalls), st.just(SERVICE)),
)
anything = st.lists(sensible | st.tuples(commands, everybody), max_size=30)
policies = st.builds(
    Policy,
    ai=st.sampled_from([True, True, True, False]),
    coordinators=st.sampled_from([True, True, True, False]),
    streaming=st.sampled_from([True, True, False]),
)


def story(steps: list[Step], policy: Policy) -> Story:
    told = begun(policy)
    for command, by in steps:
        told.give(command, by)
    return told


# Numbering.


@given(anything, policies)
def test_both_numberings_are_dense_and_each_event_names_the_one_before(
    steps: list[Step], policy: Policy
) -> None:
    told = story(steps, policy)
    for audience in Audience:
        cursors = told.cursors(audience)
        assert [cursor.seq for cursor in cursors] == list(range(1, len(cursors) + 1))
        assert told.room.head(audience) == cursors[-1]
        before = [e.previous[audience] for e in told.envelopes if audience in e.previous]
        assert before == [START, *cursors[:-1]]
    assert len(told.cursors(STAFF)) == len(told.envelopes)
    for envelope in told.envelopes:
        assert {cursor.tag for cursor in envelope.cursors.values()} == {tag_of(envelope.id)}
        assert envelope.cursors.keys() == envelope.previous.keys()
        hidden = envelope.event.kind in ("note", "escalation")
        assert (PATIENT in envelope.cursors) is not hidden


# The state.


def replayed(happened: list[Envelope | Progress | Seen]) -> RoomState:
    state = opened(CASE, registration(), TENANT, NOW)
    for each in happened:
        state = evolve(state, each) if isinstance(each, Envelope) else advance(state, each)
    return state


@given(anything, policies)
def test_what_happened_gives_the_state_back(steps: list[Step], policy: Policy) -> None:
    told = story(steps, policy)
    assert replayed(told.happened) == told.state


@given(anything, policies)
def test_the_log_alone_gives_back_all_but_the_answer_in_flight_and_what_was_read(
    steps: list[Step], policy: Policy
) -> None:
    told = story(steps, policy)
    alone = replayed([each for each in told.happened if isinstance(each, Envelope)])
    assert alone == replace(told.room, run=None, unfinished=None, unread=alone.unread)
    assert alone.unread >= told.room.unread


@given(anything, policies)
def test_the_same_commands_have_the_same_outcome(steps: list[Step], policy: Policy) -> None:
    assert story(steps, policy) == story(steps, policy)


@given(anything, policies)
def test_the_newest_message_of_somebody_else_is_what_its_definition_says(
    steps: list[Step], policy: Policy
) -> None:
    told = begun(policy)
    for command, by in steps:
        told.give(command, by)
        for reader in EVERYBODY:
            assert told.room.newest_not_by(reader.id) == told.newest_message_not_by(reader.id)


# Control.


@given(anything, policies)
def test_a_case_has_an_owner_exactly_while_a_person_leads_it(
    steps: list[Step], policy: Policy
) -> None:
    told = begun(policy)
    for command, by in steps:
        told.give(command, by)
        room = told.room
        owner = [(each.id, each.name) for each in EVERYBODY if each.id == room.owner_id]
        led = [(room.owner_id, room.owner_name)] if room.control is Control.HUMAN else []
        assert owner == led
        assert (room.waiting_since is not None) is (room.control is Control.WAITING)


@given(anything, policies)
def test_the_fence_counts_the_changes_of_control(steps: list[Step], policy: Policy) -> None:
    told = story(steps, policy)
    assert [change.fence for change in told.changes] == list(range(1, len(told.changes) + 1))
    assert told.room.fence == len(told.changes)
    taken = [change.fence for change in told.changes if change.control is Control.HUMAN]
    assert told.room.ai_fence == max(taken, default=0)


@given(anything, policies)
def test_while_a_person_leads_the_ai_says_nothing_and_shows_nothing(
    steps: list[Step], policy: Policy
) -> None:
    control, fence = Control.AI, 0
    for each in story(steps, policy).happened:
        match each:
            case Envelope() if isinstance(each.event.payload, ControlChange):
                control = each.event.payload.control
                fence = each.event.payload.fence if control is Control.HUMAN else fence
            case Envelope() if each.event.actor.type is SenderType.AI:
                assert control is not Control.HUMAN
            case Progress():
                assert control is not Control.HUMAN
                assert each.fence >= fence
            case _:
                pass


@given(anything, policies)
def test_asking_for_a_person_who_was_asked_for_changes_nothing(
    steps: list[Step], policy: Policy
) -> None:
    told = begun(policy)
    for command, by in steps:
        before, happened, tasks = told.room, len(told.happened), len(told.tasks)
        told.give(command, by)
        if isinstance(command, Escalate) and before.control is not Control.AI:
            assert (told.room, len(told.happened), len(told.tasks)) == (before, happened, tasks)


@given(anything, policies)
def test_a_refused_command_changes_nothing(steps: list[Step], policy: Policy) -> None:
    told = begun(policy)
    for command, by in steps:
        before, happened, tasks = told.room, len(told.happened), len(told.tasks)
        told.give(command, by)
        if told.answers[-1] is not None:
            assert (told.room, len(told.happened), len(told.tasks)) == (before, happened, tasks)


@given(anything, policies)
def test_whoever_leads_or_waits_has_a_timer_and_every_answer_a_task(
    steps: list[Step], policy: Policy
) -> None:
    told = begun(policy)
    for command, by in steps:
        before, promised, happened = told.room, len(told.tasks), len(told.happened)
        told.give(command, by)
        new = [(task.kind, task.details.get("fence")) for task in told.tasks[promised:]]
        room = told.room
        if room.fence > before.fence and room.control is Control.WAITING:
            assert (UNACCEPTED, room.fence) in new
        if room.fence > before.fence and room.control is Control.HUMAN:
            assert (OWNER_AWAY, room.fence) in new
        began = [
            step.run
            for step in told.happened[happened:]
            if isinstance(step, Progress) and step.state is RunState.THINKING
        ]
        replies = [task for task in told.tasks[promised:] if task.kind == REPLY]
        assert [task.details for task in replies] == [{"run": run} for run in began]
        assert {task.case for task in told.tasks} <= {CASE}


# Answers.


@given(anything, policies)
def test_one_answer_at_a_time_is_begun_shown_in_order_and_ended_once(
    steps: list[Step], policy: Policy
) -> None:
    told = story(steps, policy)
    current, over, next_piece = None, set[str](), 0
    for step in told.steps:
        if step.state is RunState.THINKING:
            assert current is None
            assert step.run not in over
            current, next_piece = step.run, 0
            continue
        assert step.run == current
        if step.state.over:
            over.add(step.run)
            current = None
        else:
            assert step.i == next_piece
            next_piece += 1
    assert current == (None if told.room.run is None else told.room.run.id)


def may_be_given_again(told: Story, run: str | None) -> bool:
    """Define in the plainest words when the AI answers once more."""
    room, begun = told.room, [step for step in told.steps if step.state is RunState.THINKING]
    if not begun or room.control is Control.HUMAN or room.status is Status.CLOSED:
        return False
    since = told.happened[told.happened.index(begun[-1]) + 1 :]
    ends = {each.state for each in since if isinstance(each, Progress) and each.state.over}
    events = [each.event for each in since if isinstance(each, Envelope)]
    written = any(
        event.actor.type is SenderType.PATIENT for event in events if event.kind == "message"
    )
    led = any(
        event.payload.control is Control.HUMAN
        for event in events
        if isinstance(event.payload, ControlChange)
    )
    broke_off = bool(ends & {RunState.STOPPED, RunState.FAILED})
    return broke_off and not written and not led and run in (None, begun[-1].run)


@settings(max_examples=300)
@given(anything, policies)
def test_an_answer_is_given_again_exactly_if_it_broke_off_and_nothing_took_its_place(
    steps: list[Step], policy: Policy
) -> None:
    told = begun(policy)
    for command, by in steps:
        again = policy.ai and may_be_given_again(told, getattr(told.meant(command), "run", None))
        archived = told.room.status is Status.ARCHIVED
        before = len(told.steps)
        told.give(command, by)
        if isinstance(command, Retry) and by in (MARIA, PRIYA, LEE, SAM, SERVICE):
            assert (told.answers[-1] is None) is (again and not archived)
            began = [step.state for step in told.steps[before:]]
            assert began == ([RunState.THINKING] if told.answers[-1] is None else [])


@given(anything, policies)
def test_a_closed_case_has_no_answer_in_flight(steps: list[Step], policy: Policy) -> None:
    told = begun(policy)
    for command, by in steps:
        told.give(command, by)
        if told.room.status in (Status.CLOSED, Status.ARCHIVED):
            assert told.room.run is None


@given(anything, policies)
def test_each_answer_ends_in_at_most_one_message_that_begins_with_what_was_shown(
    steps: list[Step], policy: Policy
) -> None:
    told = story(steps, policy)
    messages = told.messages(SenderType.AI)
    assert len({message.run for message in messages}) == len(messages)
    for message in messages:
        assert message.run is not None
        shown = told.shown(message.run)
        assert message.text.startswith(shown)
        if message.state == "interrupted" or policy.streaming:
            assert message.text == shown, "nothing is in it that nobody was shown, nor less"
    held = {message.run for message in messages}
    for step in told.steps:
        if step.state.over:
            assert (step.run in held) is (step.message_id is not None)
            assert step.run in held or not told.shown(step.run)


@given(anything, policies)
def test_an_answer_in_flight_knows_all_that_was_shown_of_it(
    steps: list[Step], policy: Policy
) -> None:
    told = begun(policy)
    for command, by in steps:
        told.give(command, by)
        run = told.room.run
        if run is not None:
            shown = [step.text for step in told.steps if step.run == run.id and step.i is not None]
            assert [run.piece(i) for i in range(run.pieces)] == shown
            assert run.text == "".join(shown)


# What patients see.


def frames_of(told: Story, audience: Audience) -> list[str]:
    return [
        event_json(envelope, audience, None)
        for envelope in told.envelopes
        if audience in envelope.cursors
    ]


@given(anything, policies)
def test_patients_see_no_note_no_escalation_no_brief_and_no_id_of_staff(
    steps: list[Step], policy: Policy
) -> None:
    told = story(steps, policy)
    for text in frames_of(told, PATIENT):
        assert SECRET not in text
        assert not any(staff.id in text for staff in (PRIYA, LEE, SAM))
        frame = json.loads(text)
        assert frame["kind"] in ("patient", "message", "control", "status")
        assert not {"owner_id", "brief"} & frame["data"].keys()


def patients_view(
    steps: list[tuple[int, Command, Principal]], policy: Policy
) -> tuple[list[str], list[Progress], list[object]]:
    """Give the bytes and the steps of answers that a patient is sent, and what it is answered."""
    told = Story(policy)
    told.give(registration(), SERVICE, 1_000)
    answers: list[object] = []
    frames: list[str] = []
    for index, command, by in steps:
        seen = len(told.envelopes)
        told.give(command, by, index)
        if not by.is_staff:
            answers.append((index, told.answers[-1]))
        for envelope in told.envelopes[seen:]:
            if PATIENT in envelope.cursors:
                fixed = replace(envelope, at=NOW + timedelta(seconds=index))
                frames.append(event_json(fixed, PATIENT, f"key_{index}"))
    # Where a run began in the staff's view is never sent.
    return frames, [replace(step, begun=None) for step in told.steps], answers


def for_staff_only(command: Command, by: Principal) -> bool:
    return by.is_staff and isinstance(command, WriteNote | MarkRead | Remind)


@settings(max_examples=200)
@given(anything, policies)
def test_a_patients_bytes_are_the_same_without_what_only_staff_may_see(
    steps: list[Step], policy: Policy
) -> None:
    # What staff say they have seen is of their own numbering, which counts the notes.
    unguarded = [
        (index, replace(command, seen=None) if isinstance(command, SendMessage) else command, by)
        for index, (command, by) in enumerate(steps)
    ]
    without = [step for step in unguarded if not for_staff_only(step[1], step[2])]
    assert patients_view(unguarded, policy) == patients_view(without, policy)
