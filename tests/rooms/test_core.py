"""Each rule at the top of the core by its name, and what holds for any sequence of commands."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.principal import Principal, Role
from rooms import core
from rooms.commands import Command, RegisterPatient, SetStatus, WriteNote
from rooms.core import RoomState, audience_of, decide, evolve, may_enter, number, opened
from rooms.cursor import START, Cursor, tag_of
from rooms.encoding import event_json
from rooms.errors import Code, Rejected
from rooms.events import (
    Actor,
    Audience,
    Control,
    Envelope,
    Event,
    Message,
    Note,
    PatientRegistered,
    SenderType,
    Source,
    Status,
    StatusChange,
)
from tests.rooms.kit import (
    CASE,
    FOREIGNER,
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

STAFF, PATIENT = Audience.STAFF, Audience.PATIENT
EVERYBODY = [MARIA, PRIYA, SAM, SERVICE, STRANGER, FOREIGNER]
ROOM = RoomState(CASE, TENANT, "patient-1", "Maria")


@dataclass
class Story:
    """What became of a sequence of commands."""

    state: RoomState | None = None
    envelopes: list[Envelope] = field(default_factory=list)
    answers: list[Code | None] = field(default_factory=list)
    """For each command: the code of its refusal, or None."""

    def give(self, command: Command, by: Principal, event_id: str | None = None) -> None:
        step = len(self.answers)
        try:
            events = decide(self.state, command, by)
        except Rejected as error:
            self.answers.append(error.code)
            return
        self.answers.append(None)
        if isinstance(command, RegisterPatient):
            self.state = opened(CASE, command, by.tenant)
        for event in events:
            assert self.state is not None
            at = NOW + timedelta(seconds=step)
            envelope = number(self.state, event, event_id or f"id_{step}", at)
            self.envelopes.append(envelope)
            self.state = evolve(self.state, envelope)

    def cursors(self, audience: Audience) -> list[Cursor]:
        return [e.cursors[audience] for e in self.envelopes if audience in e.cursors]

    def newest_message_not_by(self, sender: str) -> int:
        """Define in the plainest words what the state keeps in three fields."""
        return max(
            (
                envelope.cursors[STAFF].seq
                for envelope in self.envelopes
                if envelope.event.kind == "message" and envelope.event.actor.id != sender
            ),
            default=0,
        )


def story(*commands: tuple[Command, Principal]) -> Story:
    told = Story()
    told.give(registration(), SERVICE)
    for command, by in commands:
        told.give(command, by)
    return told


def refusal(state: RoomState | None, command: Command, by: Principal) -> Rejected:
    with pytest.raises(Rejected) as caught:
        decide(state, command, by)
    return caught.value


# Rule 1.


@pytest.mark.parametrize(
    ("by", "enters"),
    [
        (MARIA, True),
        (PRIYA, True),
        (SAM, True),
        (SERVICE, True),
        (STRANGER, False),
        (FOREIGNER, False),
        (replace(MARIA, patient_id=None), False),
        (replace(MARIA, tenant="tenant-2"), False),
        (replace(STRANGER, id=MARIA.id), False),
        (replace(STRANGER, patient_id=MARIA.patient_id), True),
    ],
)
def test_patients_enter_their_own_cases_and_staff_those_of_their_tenant(
    by: Principal, enters: bool
) -> None:
    assert may_enter(ROOM, by) is enters


@pytest.mark.parametrize("by", [STRANGER, FOREIGNER])
@pytest.mark.parametrize("command", [say("Hi"), WriteNote("Hm"), SetStatus(Status.ACTIVE)])
def test_a_foreign_case_answers_as_a_case_that_does_not_exist(
    command: Command, by: Principal
) -> None:
    archived = replace(ROOM, status=Status.ARCHIVED)
    answers = [refusal(state, command, by) for state in (None, ROOM, archived)]
    assert len({(error.code, error.message, str(error.details)) for error in answers}) == 1
    assert answers[0].code is Code.FORBIDDEN


# Rule 2.


@pytest.mark.parametrize(
    "command",
    [
        WriteNote("psst"),
        SetStatus(Status.CLOSED),
        *(say("Hi", via=via) for via in Source if via is not Source.CHAT),
    ],
)
def test_only_staff_write_notes_set_the_status_and_use_other_channels(command: Command) -> None:
    assert refusal(ROOM, command, MARIA).code is Code.FORBIDDEN
    for by in (PRIYA, SAM, SERVICE):
        assert decide(ROOM, command, by)


def test_a_patient_says_something_in_the_chat() -> None:
    (event,) = decide(ROOM, say("Hello", reply_to="message_1"), MARIA)
    assert event == Event(
        "message",
        Actor(SenderType.PATIENT, MARIA.id, "Maria"),
        Message(
            sender_type=SenderType.PATIENT,
            source=Source.CHAT,
            text="Hello",
            reply_to="message_1",
        ),
    )


def test_a_note_keeps_its_text_and_its_mentions() -> None:
    (event,) = decide(ROOM, WriteNote("Call her", ("user_sam",)), PRIYA)
    assert event.payload == Note(text="Call her", mentions=("user_sam",))
    assert event.kind == "note"


# Rule 3.


def test_a_closed_case_takes_notes_and_a_new_status_but_no_messages() -> None:
    closed = replace(ROOM, status=Status.CLOSED)
    for by in (MARIA, PRIYA, SERVICE):
        assert refusal(closed, say("Hi"), by).code is Code.CLOSED
    assert decide(closed, WriteNote("Done"), PRIYA)
    assert decide(closed, SetStatus(Status.ACTIVE), PRIYA)


@pytest.mark.parametrize("command", [say("Hi"), WriteNote("Hm"), SetStatus(Status.ACTIVE)])
def test_an_archived_case_takes_nothing(command: Command) -> None:
    archived = replace(ROOM, status=Status.ARCHIVED)
    for by in (MARIA, PRIYA, SAM, SERVICE):
        assert refusal(archived, command, by).code is Code.CLOSED


# Rule 4.


def test_staff_do_not_answer_past_a_message_that_they_have_not_seen() -> None:
    state = story((say("Hello"), MARIA), (say("One more thing"), MARIA)).state
    assert refusal(state, say("Hi", seen=2), PRIYA).code is Code.STALE
    assert refusal(state, say("Hi", seen=0), PRIYA).code is Code.STALE
    assert decide(state, say("Hi", seen=3), PRIYA)
    assert decide(state, say("Hi"), PRIYA), "who does not say what they saw is not held up"


def test_force_lets_staff_answer_past_what_they_have_not_seen() -> None:
    state = story((say("Hello"), MARIA)).state
    assert decide(state, say("Hi", seen=0, force=True), PRIYA)


def test_their_own_messages_and_notes_do_not_hold_staff_up() -> None:
    state = story(
        (say("Hello"), MARIA),
        (say("Hi"), PRIYA),
        (say("How are you?"), PRIYA),
        (WriteNote("Nice"), SAM),
    ).state
    assert decide(state, say("Still there?", seen=2), PRIYA)
    assert refusal(state, say("Can I help?", seen=2), SAM).code is Code.STALE


def test_a_patient_is_never_held_up_by_what_staff_wrote() -> None:
    state = story((say("Hello"), PRIYA)).state
    assert decide(state, say("Hi", seen=0), MARIA)


# Rule 5.


@pytest.mark.parametrize("status", Status)
def test_a_status_change_changes_the_status(status: Status) -> None:
    if status is ROOM.status:
        assert refusal(ROOM, SetStatus(status), PRIYA).code is Code.CONFLICT
    else:
        (event,) = decide(ROOM, SetStatus(status), PRIYA)
        assert event.payload == StatusChange(from_=ROOM.status, to=status)
        told = story((SetStatus(status), PRIYA))
        assert told.state is not None
        assert told.state.status is status


# Registration.


def test_a_registration_opens_a_case_with_its_first_event() -> None:
    told = story()
    assert told.state == replace(
        ROOM, staff=Cursor(1, tag_of("id_0")), patient=Cursor(1, tag_of("id_0"))
    )
    assert told.envelopes[0].event == Event(
        "patient",
        Actor(SenderType.SYSTEM, "service", "Intake"),
        PatientRegistered(patient_id="patient-1", name="Maria"),
    )
    assert told.envelopes[0].previous == {STAFF: START, PATIENT: START}


def test_patients_register_nobody_but_themselves() -> None:
    somebody = RegisterPatient("patient-9", "Nina", "user_nina")
    nobody = RegisterPatient("patient-9", "Nina", None)
    themselves = RegisterPatient("patient-9", "Maria", MARIA.id)
    assert refusal(None, somebody, MARIA).code is Code.FORBIDDEN
    assert refusal(None, nobody, MARIA).code is Code.FORBIDDEN
    assert decide(None, themselves, MARIA)
    for by in (PRIYA, SAM, SERVICE):
        assert decide(None, somebody, by)
        assert decide(None, nobody, by)


def test_a_case_is_opened_once() -> None:
    assert refusal(ROOM, registration(), SERVICE).code is Code.CONFLICT


# Who is who.


def test_each_role_acts_as_its_type_of_sender_and_reads_its_own_view() -> None:
    found = {by.role: (core.actor_of(by).type, audience_of(by)) for by in EVERYBODY}
    assert found == {
        Role.PATIENT: (SenderType.PATIENT, PATIENT),
        Role.COORDINATOR: (SenderType.COORDINATOR, STAFF),
        Role.SUPERVISOR: (SenderType.COORDINATOR, STAFF),
        Role.SERVICE: (SenderType.SYSTEM, STAFF),
    }
    assert core.actor_of(PRIYA) == Actor(SenderType.COORDINATOR, PRIYA.id, "Priya")


def test_a_new_case_is_led_by_the_ai_and_owned_by_nobody() -> None:
    assert (ROOM.control, ROOM.owner_id, ROOM.status) == (Control.AI, None, Status.INTAKE)


# Any sequence of commands.

texts = st.sampled_from(["Hello", "Yes", "No", "¿Qué tal?"])
unguarded = st.builds(say, texts, via=st.sampled_from([Source.CHAT, Source.CHAT, Source.SMS]))
guarded = st.builds(say, texts, seen=st.integers(0, 12), force=st.booleans())
notes = st.builds(WriteNote, texts)
statuses = st.builds(SetStatus, st.sampled_from([Status.INTAKE, Status.ACTIVE, Status.CLOSED]))
people = st.sampled_from(EVERYBODY)


def sequences(
    *kinds: st.SearchStrategy[Command],
) -> st.SearchStrategy[list[tuple[Command, Principal]]]:
    return st.lists(st.tuples(st.one_of(*kinds), people), max_size=25)


def replayed(told: Story) -> RoomState:
    state = opened(CASE, registration(), TENANT)
    for envelope in told.envelopes:
        state = evolve(state, envelope)
    return state


anything = sequences(
    unguarded, guarded, notes, notes, statuses, st.just(SetStatus(Status.ARCHIVED))
)


@given(anything)
def test_both_numberings_are_dense_and_each_event_names_the_one_before(
    commands: list[tuple[Command, Principal]],
) -> None:
    told = story(*commands)
    assert told.state is not None
    for audience in Audience:
        cursors = told.cursors(audience)
        assert [cursor.seq for cursor in cursors] == list(range(1, len(cursors) + 1))
        assert told.state.head(audience) == cursors[-1]
        before = [e.previous[audience] for e in told.envelopes if audience in e.previous]
        assert before == [START, *cursors[:-1]]
    assert len(told.cursors(STAFF)) == len(told.envelopes)
    for envelope in told.envelopes:
        assert {cursor.tag for cursor in envelope.cursors.values()} == {tag_of(envelope.id)}
        assert envelope.cursors.keys() == envelope.previous.keys()
        assert (PATIENT in envelope.cursors) is (envelope.event.kind != "note")


@given(anything)
def test_the_log_alone_gives_the_state_back(commands: list[tuple[Command, Principal]]) -> None:
    told = story(*commands)
    assert replayed(told) == told.state


@given(anything)
def test_the_same_commands_have_the_same_outcome(
    commands: list[tuple[Command, Principal]],
) -> None:
    assert story(*commands) == story(*commands)


@given(anything)
def test_the_newest_message_of_somebody_else_is_what_its_definition_says(
    commands: list[tuple[Command, Principal]],
) -> None:
    told = Story()
    told.give(registration(), SERVICE)
    for command, by in commands:
        told.give(command, by)
        assert told.state is not None
        for reader in EVERYBODY:
            assert told.state.newest_not_by(reader.id) == told.newest_message_not_by(reader.id)


def patients_view(commands: list[tuple[int, Command, Principal]]) -> tuple[list[str], list[object]]:
    """Give the bytes that a patient is sent, and the answers to what patients did."""
    told = Story()
    told.give(registration(), SERVICE, "id_first")
    answers: list[object] = []
    frames: list[str] = []
    for index, command, by in commands:
        seen = len(told.envelopes)
        told.give(command, by, f"id_{index}")
        if not by.is_staff:
            answers.append((index, told.answers[-1]))
        for envelope in told.envelopes[seen:]:
            if PATIENT in envelope.cursors:
                fixed = replace(envelope, at=NOW + timedelta(seconds=index))
                frames.append(event_json(fixed, PATIENT, f"key_{index}"))
    return frames, answers


def staff_only(command: Command) -> bool:
    return isinstance(command, WriteNote)


@given(sequences(unguarded, notes, notes, statuses, st.just(SetStatus(Status.ARCHIVED))))
def test_a_patients_bytes_are_the_same_without_what_only_staff_may_see(
    commands: list[tuple[Command, Principal]],
) -> None:
    numbered = [(index, command, by) for index, (command, by) in enumerate(commands)]
    without = [step for step in numbered if not (staff_only(step[1]) and step[2].is_staff)]
    assert patients_view(numbered) == patients_view(without)
