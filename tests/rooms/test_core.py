"""Rules 1 to 5 at the top of the core by their names, registration, and who is who.

The other rules: `test_runs` and `test_takeover`. Any sequence of commands: `test_core_property`.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from auth.principal import Principal, Role
from rooms import core
from rooms.commands import (
    Accept,
    Command,
    Continue,
    Emit,
    Escalate,
    Finish,
    MarkRead,
    Recall,
    RegisterPatient,
    Release,
    Remind,
    Retry,
    SetStatus,
    Stop,
    WriteNote,
)
from rooms.cursor import START, Cursor, tag_of
from rooms.errors import Code
from rooms.events import (
    Actor,
    Audience,
    Control,
    Event,
    Message,
    Note,
    SenderType,
    Source,
    Status,
    StatusChange,
)
from rooms.patient_events import ConsentGranted, PatientRegistered
from rooms.state import audience_of, may_enter
from tests.rooms.kit import (
    ASSISTANT,
    FOREIGNER,
    MARIA,
    NOW,
    PRIYA,
    SAM,
    SERVICE,
    STRANGER,
    registration,
    say,
)
from tests.rooms.story import ROOM, decided, refusal, story

STAFF, PATIENT = Audience.STAFF, Audience.PATIENT
EVERYBODY = [MARIA, PRIYA, SAM, SERVICE, ASSISTANT, STRANGER, FOREIGNER]
ANYTHING: list[Command] = [
    say("Hi"),
    WriteNote("Hm"),
    SetStatus(Status.ACTIVE),
    Emit("patient-1", ConsentGranted(purpose="Treatment")),
    Escalate(),
    Accept(),
    Release(),
    Stop(),
    Retry(),
    MarkRead(1),
    Continue("run_1", 0, "Hi"),
    Finish("run_1", "Hi", "final"),
    Remind(0, 1),
    Recall(0),
]
"""Every command but a registration."""


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


@pytest.mark.parametrize("by", [STRANGER, FOREIGNER, replace(ASSISTANT, tenant="tenant-2")])
@pytest.mark.parametrize("command", ANYTHING)
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
        assert decided(ROOM, command, by)


def test_a_patient_says_something_in_the_chat() -> None:
    (event,) = decided(ROOM, say("Hello", reply_to="message_1"), MARIA)
    assert event == Event(
        "message",
        Actor(SenderType.PATIENT, MARIA.id, "Maria"),
        Message(
            sender_type=SenderType.PATIENT,
            source=Source.CHAT,
            text="Hello",
            reply_to="message_1",
        ),
        "message_1_1",
    )


@pytest.mark.parametrize("command", [say("Hi"), say("Hi", via=Source.SMS)])
def test_what_staff_say_gets_its_id_from_the_log(command: Command) -> None:
    (event,) = decided(ROOM, command, PRIYA)
    assert isinstance(event, Event)
    assert event.id is None


def test_a_note_keeps_its_text_and_its_mentions() -> None:
    (event,) = decided(ROOM, WriteNote("Call her", ("user_sam",)), PRIYA)
    assert isinstance(event, Event)
    assert event.payload == Note(text="Call her", mentions=("user_sam",))
    assert event.kind == "note"


# Rule 3.


def test_a_closed_case_takes_notes_and_a_new_status_but_no_messages() -> None:
    closed = replace(ROOM, status=Status.CLOSED)
    for by in (MARIA, PRIYA, SERVICE):
        assert refusal(closed, say("Hi"), by).code is Code.CLOSED
    assert decided(closed, WriteNote("Done"), PRIYA)
    assert decided(closed, SetStatus(Status.ACTIVE), PRIYA)


@pytest.mark.parametrize("control", Control)
@pytest.mark.parametrize("command", [Escalate(), Accept(), Release(), Release("queue")])
def test_nobody_takes_a_closed_case_over_or_gives_it_back(
    control: Control, command: Command
) -> None:
    owner = PRIYA.id if control is Control.HUMAN else None
    closed = replace(ROOM, status=Status.CLOSED, control=control, owner_id=owner)
    for by in (MARIA, PRIYA, SAM, SERVICE):
        assert refusal(closed, command, by).code is Code.CLOSED
    assert refusal(closed, Escalate(), ASSISTANT).code is Code.CLOSED


@pytest.mark.parametrize("command", ANYTHING)
def test_an_archived_case_takes_nothing(command: Command) -> None:
    archived = replace(ROOM, status=Status.ARCHIVED)
    for by in (MARIA, PRIYA, SAM, SERVICE, ASSISTANT):
        assert refusal(archived, command, by).code is Code.CLOSED


# Rule 4.


def test_staff_do_not_answer_past_a_message_that_they_have_not_seen() -> None:
    state = story((say("Hello"), MARIA), (say("One more thing"), MARIA)).state
    assert refusal(state, say("Hi", seen=2), PRIYA).code is Code.STALE
    assert refusal(state, say("Hi", seen=0), PRIYA).code is Code.STALE
    assert decided(state, say("Hi", seen=3), PRIYA)
    assert decided(state, say("Hi"), PRIYA), "who does not say what they saw is not held up"


def test_force_lets_staff_answer_past_what_they_have_not_seen() -> None:
    state = story((say("Hello"), MARIA)).state
    assert decided(state, say("Hi", seen=0, force=True), PRIYA)


def test_their_own_messages_and_notes_do_not_hold_staff_up() -> None:
    state = story(
        (say("Hello"), MARIA),
        (say("Hi"), PRIYA),
        (say("How are you?"), PRIYA),
        (WriteNote("Nice"), SAM),
    ).state
    assert decided(state, say("Still there?", seen=2), PRIYA)
    assert refusal(state, say("Can I help?", seen=2), SAM).code is Code.STALE


def test_a_patient_is_never_held_up_by_what_staff_wrote() -> None:
    state = story((say("Hello"), PRIYA)).state
    assert decided(state, say("Hi", seen=0), MARIA)


# Rule 5.


@pytest.mark.parametrize("status", Status)
def test_a_status_change_changes_the_status(status: Status) -> None:
    if status is ROOM.status:
        assert refusal(ROOM, SetStatus(status), PRIYA).code is Code.CONFLICT
    else:
        (event,) = decided(ROOM, SetStatus(status), PRIYA)
        assert isinstance(event, Event)
        assert event.payload == StatusChange(from_=ROOM.status, to=status)
        told = story((SetStatus(status), PRIYA))
        assert told.state is not None
        assert told.state.status is status


# Registration.


def test_a_registration_opens_a_case_with_its_first_event() -> None:
    told = story()
    first = Cursor(1, tag_of("event_patient_0_1"))
    assert told.state == replace(ROOM, opened_at=NOW, staff=first, patient=first)
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
    assert decided(None, themselves, MARIA)
    for by in (PRIYA, SAM, SERVICE):
        assert decided(None, somebody, by)
        assert decided(None, nobody, by)


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
        Role.AI: (SenderType.AI, STAFF),
    }
    assert core.actor_of(PRIYA) == Actor(SenderType.COORDINATOR, PRIYA.id, "Priya")


def test_a_new_case_is_led_by_the_ai_and_owned_by_nobody() -> None:
    assert (ROOM.control, ROOM.owner_id, ROOM.status) == (Control.AI, None, Status.INTAKE)


# Unread.


def test_what_the_patient_wrote_is_unread_until_staff_have_read_it_or_answer() -> None:
    two = story((say("Hello"), MARIA), (say("Anybody?"), MARIA)).room
    assert (two.unread, two.last_message_seq) == (2, 3)
    read = story((say("Hello"), MARIA), (say("Anybody?"), MARIA), (MarkRead(3), PRIYA)).room
    answered = story((say("Hello"), MARIA), (say("Anybody?"), MARIA), (say("Hi"), PRIYA)).room
    assert (read.unread, answered.unread) == (0, 0)
    assert read == replace(two, unread=0), "reading is no event"


def test_who_has_not_read_to_the_end_has_not_read() -> None:
    told = story((say("Hello"), MARIA), (say("Anybody?"), MARIA), (MarkRead(2), PRIYA))
    assert told.room.unread == 2


def test_neither_the_ai_nor_a_patient_can_read_for_the_staff() -> None:
    state = story((say("Hello"), MARIA)).room
    for by in (MARIA, ASSISTANT):
        assert refusal(state, MarkRead(2), by).code is Code.FORBIDDEN
    assert decided(state, MarkRead(2), SERVICE)


def test_the_desk_is_shown_the_beginning_of_the_newest_message() -> None:
    room = story((say("x" * 500), MARIA), (WriteNote("secret"), PRIYA)).room
    assert (room.preview, room.last_message_at) == ("x" * 120, NOW + timedelta(seconds=1))
