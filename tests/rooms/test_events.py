"""The registry: what may be stored, and what of it patients may see."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from rooms.cursor import Cursor
from rooms.events import (
    KINDS,
    STAFF_ONLY,
    Actor,
    Attachment,
    Audience,
    Card,
    Control,
    ControlChange,
    Envelope,
    Escalation,
    Event,
    Kind,
    Message,
    Note,
    Reason,
    SenderType,
    Source,
    Status,
    StatusChange,
)
from rooms.patient_events import REGISTRY, PatientRegistered
from rooms.payload import Payload
from tests.rooms.kit import CASE, NOW

STAFF, PATIENT = Audience.STAFF, Audience.PATIENT
PRIYA = Actor(SenderType.COORDINATOR, "user_priya", "Priya")
MARIA = Actor(SenderType.PATIENT, "user_maria", "Maria")
MESSAGE = Message(sender_type=SenderType.PATIENT, source=Source.CHAT, text="Hello")


def envelope(kind: str, payload: Payload, actor: Actor = PRIYA) -> Envelope:
    cursor = Cursor(1, "00000000")
    return Envelope(Event(kind, actor, payload), CASE, "event_1", NOW, {STAFF: cursor}, {})


# What patients see.


def test_patients_see_exactly_the_kinds_and_fields_that_are_listed_for_them() -> None:
    told = {payload: fields for kind in KINDS.values() for payload, fields in kind.payloads.items()}
    registered = {entry.payload: entry.patient_fields for entry in REGISTRY.values()}
    assert told == registered | {
        Message: set(Message.model_fields),
        Note: set(),
        ControlChange: {"control", "owner", "fence", "reason"},
        Escalation: set(),
        StatusChange: {"from_", "to"},
    }
    hidden = {kind.name for kind in KINDS.values() if not kind.patients_see_it}
    assert hidden == {"note", "escalation"}


def test_patients_learn_who_leads_but_neither_their_id_nor_what_the_ai_was_told() -> None:
    change = ControlChange(
        control=Control.HUMAN,
        owner="Priya",
        owner_id="user_priya",
        fence=1,
        reason=Reason.ACCEPTED,
        brief="secret",
    )
    told = json.loads(envelope("control", change).data_json(PATIENT))
    assert told == {"control": "human", "owner": "Priya", "fence": 1, "reason": "accepted"}


def test_a_new_kind_is_for_staff_only_by_construction() -> None:
    kind = Kind("new", {Note: STAFF_ONLY})
    assert not kind.patients_see_it
    assert not kind.patient_fields(Note)


def test_a_payload_that_its_kind_does_not_list_is_for_staff_only() -> None:
    assert not KINDS["message"].patient_fields(Note)
    assert json.loads(envelope("status", Note(text="psst")).data_json(PATIENT)) == {}


def test_every_field_that_is_listed_for_patients_exists() -> None:
    for kind in KINDS.values():
        for payload, fields in kind.payloads.items():
            assert fields <= set(payload.model_fields)


def test_a_field_that_nobody_listed_stays_with_the_staff(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = Kind("status", {StatusChange: frozenset({"to"})})
    monkeypatch.setattr("rooms.events.KINDS", {"status": narrow})
    change = envelope("status", StatusChange(from_=Status.INTAKE, to=Status.ACTIVE))
    assert json.loads(change.data_json(STAFF)) == {"from": "intake", "to": "active"}
    assert json.loads(change.data_json(PATIENT)) == {"to": "active"}


def test_the_registry_cannot_be_changed_at_run_time() -> None:
    with pytest.raises(TypeError):
        KINDS["new"] = Kind("new", {})  # type: ignore[index]


def test_patients_get_the_names_of_staff_and_never_their_ids() -> None:
    by_staff = envelope("message", MESSAGE)
    assert by_staff.actor(PATIENT) == {"type": "coordinator", "name": "Priya"}
    assert by_staff.actor(STAFF) == {"type": "coordinator", "id": "user_priya", "name": "Priya"}
    for type in (SenderType.AI, SenderType.SYSTEM):
        nameless = envelope("message", MESSAGE, Actor(type, "secret", None))
        assert nameless.actor(PATIENT) == {"type": type.value}


def test_patients_recognise_themselves() -> None:
    assert envelope("message", MESSAGE, MARIA).actor(PATIENT) == {
        "type": "patient",
        "id": "user_maria",
        "name": "Maria",
    }


def test_a_message_says_its_id_and_what_it_has() -> None:
    assert json.loads(envelope("message", MESSAGE).data_json(PATIENT)) == {
        "message_id": "event_1",
        "sender_type": "patient",
        "source": "chat",
        "text": "Hello",
        "cards": [],
        "attachments": [],
        "state": "final",
    }


def test_the_words_of_the_wire_are_used_and_not_those_of_python() -> None:
    change = envelope("status", StatusChange(from_=Status.INTAKE, to=Status.ON_HOLD))
    assert json.loads(change.data_json(PATIENT)) == {"from": "intake", "to": "on_hold"}
    patient = envelope("patient", PatientRegistered(patient_id="p1", name="Maria"))
    assert json.loads(patient.data_json(STAFF))["event"] == "patient_registered"


# What may be stored.


def test_a_payload_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        setattr(MESSAGE, "text", "Bye")  # noqa: B010 - mypy would refuse it, as it should


@pytest.mark.parametrize("text", ["", "x" * 10_001, "nul\0", "half \ud83d"])
def test_a_text_that_no_wire_or_database_can_carry_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        Note(text=text)
    with pytest.raises(ValidationError):
        Message(sender_type=SenderType.PATIENT, source=Source.CHAT, text=text)


@pytest.mark.parametrize(
    "text", ["x", "x" * 10_000, "\U0001f9d1\u200d\u2695\ufe0f", "\u202e", "\n"]
)
def test_every_other_text_is_kept_as_it_is(text: str) -> None:
    assert Note(text=text).text == text


@pytest.mark.parametrize(
    ("payload", "members"),
    [
        (Note, {"text": "x", "colour": "red"}),
        (Note, {"text": "x", "mentions": ["u"] * 51}),
        (Note, {"text": "x", "mentions": [""]}),
        (Card, {"kind": "ehr"}),
        (Card, {"kind": "ehr", "fallback": ""}),
        (Card, {"kind": "poem", "fallback": "x"}),
        (Card, {"kind": "ehr", "fallback": "x" * 2_001}),
        (Card, {"kind": "ehr", "fallback": "x", "title": "x" * 201}),
        (Attachment, {"id": "f", "name": "n", "content_type": "t", "size": -1}),
        (Attachment, {"id": "f", "name": "n", "content_type": "", "size": 1}),
        (Attachment, {"id": "f" * 129, "name": "n", "content_type": "t", "size": 1}),
        (PatientRegistered, {"patient_id": "p", "name": ""}),
        (PatientRegistered, {"patient_id": "p", "name": "n" * 201}),
    ],
)
def test_what_its_kind_does_not_declare_is_refused(
    payload: type[Payload], members: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError):
        payload.model_validate(members)


def test_a_message_holds_ten_cards_and_twenty_files_at_most() -> None:
    card = Card(kind="match", fallback="Three hospitals")
    file = Attachment(id="f", name="n", content_type="t", size=0)
    full = MESSAGE.model_dump() | {"cards": [card] * 10, "attachments": [file] * 20}
    assert len(Message.model_validate(full).cards) == 10
    for crowded in ({"cards": [card] * 11}, {"attachments": [file] * 21}):
        with pytest.raises(ValidationError):
            Message.model_validate(full | crowded)
