"""The registry of typed events: what each must say, and what of it the patient may see."""

import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from pydantic import ValidationError

from ai.prompt import build_prompt
from auth.principal import Principal
from rooms.commands import Emit, digest
from rooms.cursor import Cursor
from rooms.encoding import event_json
from rooms.errors import Code
from rooms.events import KINDS, Actor, Audience, Envelope, Event, SenderType, Status
from rooms.patient_events import (
    MESSAGES,
    REGISTRY,
    ConsentGranted,
    ConsentRevoked,
    EventType,
    PatientEvent,
    PatientRegistered,
    kind_of,
    read_payload,
)
from tests.rooms.kit import CASE, MARIA, NOW, PRIYA, SAM, SERVICE, open_log
from tests.rooms.story import ROOM, decided, refusal

STAFF, PATIENT = Audience.STAFF, Audience.PATIENT
BACK_END = Actor(SenderType.SYSTEM, "secret-service", "Documents")
PATIENT_ID = ROOM.patient_id
ENTITY = {
    "category": "condition",
    "text": "secret diabetes",
    "system": "http://snomed.info/sct",
    "code": "secret-44054006",
    "confidence": 0.93,
}

FULL: MappingProxyType[str, dict[str, Any]] = MappingProxyType(
    {
        "patient_registered": {"patient_id": PATIENT_ID, "name": "Maria"},
        "consent_granted": {
            "purpose": "Sharing records with hospitals",
            "version": "2",
            "consent_id": "secret-consent",
        },
        "consent_revoked": {
            "purpose": "Sharing records with hospitals",
            "version": "2",
            "consent_id": "secret-consent",
        },
        "document_uploaded": {
            "document_id": "document-1",
            "name": "scan.pdf",
            "state": "processing",
            "content_type": "application/pdf",
            "size": 120_000,
            "storage_key": "secret/scan.pdf",
        },
        "document_parsed": {
            "document_id": "document-1",
            "name": "scan.pdf",
            "state": "ready",
            "pages": 3,
            "text": "A blood count of May.",
            "confidence": 0.41,
            "provider": "secret OCR",
            "failure": "secret failure",
        },
        "clinical_entities_extracted": {
            "document_id": "document-1",
            "text": "Two findings were added to your record.",
            "entities": [ENTITY, {"category": "allergy", "text": "secret penicillin"}],
        },
        "fhir_resource_created": {
            "resource_type": "Condition",
            "resource_id": "secret-resource",
            "document_id": "document-1",
            "text": "Your record has a new entry.",
        },
        "intake_progress_updated": {
            "percent": 60,
            "step": "Your medication",
            "missing": ["Allergies", "Travel dates"],
            "remarks": "secret remark",
        },
        "match_requested": {
            "match_id": "match-1",
            "state": "processing",
            "procedure": "Knee replacement",
            "criteria": "secret budget",
        },
        "match_completed": {
            "match_id": "match-1",
            "state": "ready",
            "count": 2,
            "text": "Two hospitals may suit you.",
            "providers": [
                {"provider_id": "secret-1", "name": "secret Clinic", "score": 0.87},
                {"provider_id": "secret-2"},
            ],
            "failure": "secret failure",
        },
        "call_summarised": {
            "direction": "inbound",
            "duration_s": 312,
            "text": "You asked for another date.",
            "summary": "secret: she cannot pay",
            "call_id": "secret-CA123",
            "recording": "https://secret.example/recording",
        },
    }
)
"""A payload of each type with every field; what patients must not see speaks of a secret."""

SEEN = MappingProxyType(
    {
        "patient_registered": {"event", "patient_id", "name"},
        "consent_granted": {"event", "purpose", "version"},
        "consent_revoked": {"event", "purpose", "version"},
        "document_uploaded": {"event", "document_id", "name", "state", "content_type", "size"},
        "document_parsed": {"event", "document_id", "name", "state", "pages", "text"},
        "clinical_entities_extracted": {"event", "document_id", "text"},
        "fhir_resource_created": {"event", "resource_type", "document_id", "text"},
        "intake_progress_updated": {"event", "percent", "step", "missing"},
        "match_requested": {"event", "match_id", "state", "procedure"},
        "match_completed": {"event", "match_id", "state", "count", "text"},
        "call_summarised": {"event", "direction", "duration_s", "text"},
    }
)
EVERY_TYPE = pytest.mark.parametrize("event_type", FULL)


def full(event_type: str) -> PatientEvent:
    return read_payload(event_type, {**FULL[event_type], "correlation_id": "secret-correlation"})


def envelope(payload: PatientEvent) -> Envelope:
    cursors = {STAFF: Cursor(2, "00000002"), PATIENT: Cursor(1, "00000001")}
    event = Event(kind_of(payload), BACK_END, payload)
    return Envelope(event, CASE, "event_1", NOW, cursors, {})


def data(payload: PatientEvent, audience: Audience) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(envelope(payload).data_json(audience))
    return found


def text_fields(event_type: str) -> list[str]:
    return [name for name, value in FULL[event_type].items() if isinstance(value, str)]


def required(event_type: str) -> list[str]:
    fields = REGISTRY[event_type].payload.model_fields
    return [name for name, field in fields.items() if field.is_required()]


# The registry.


def test_every_type_has_its_payload_or_is_a_message_of_the_conversation() -> None:
    assert REGISTRY.keys() | MESSAGES == set(EventType)
    assert not REGISTRY.keys() & MESSAGES
    assert FULL.keys() == SEEN.keys() == REGISTRY.keys()


def test_every_type_has_a_payload_of_its_own_that_names_itself() -> None:
    payloads = [entry.payload for entry in REGISTRY.values()]
    assert len(set(payloads)) == len(payloads)
    for event_type, entry in REGISTRY.items():
        assert entry.payload.model_fields["event"].default == event_type


def test_every_payload_stands_in_the_kind_that_its_type_belongs_to() -> None:
    kinds = {entry.kind for entry in REGISTRY.values()}
    assert kinds == {"patient", "consent", "document", "ehr", "intake", "match", "call"}
    for kind in kinds:
        mine = {entry.payload for entry in REGISTRY.values() if entry.kind == kind}
        assert KINDS[kind].payloads.keys() == mine


@EVERY_TYPE
def test_the_example_of_each_type_has_every_field(event_type: str) -> None:
    assert {"event", "correlation_id", *FULL[event_type]} == {*full(event_type).model_fields_set}
    assert full(event_type).model_fields_set == REGISTRY[event_type].payload.model_fields.keys()


# What patients see.


@EVERY_TYPE
def test_patients_see_exactly_the_listed_fields_of_each_type(event_type: str) -> None:
    told = data(full(event_type), PATIENT)
    assert told.keys() == SEEN[event_type]
    assert told["event"] == event_type
    assert told.items() <= {**FULL[event_type], "event": event_type}.items()


@EVERY_TYPE
def test_no_secret_is_anywhere_in_what_patients_get(event_type: str) -> None:
    assert "secret" not in event_json(envelope(full(event_type)), PATIENT, "secret-key")


@EVERY_TYPE
def test_patients_see_plain_values_only_and_no_object_that_could_grow(event_type: str) -> None:
    for value in data(full(event_type), PATIENT).values():
        parts = value if isinstance(value, list) else [value]
        assert all(isinstance(part, str | int) for part in parts)


@EVERY_TYPE
def test_staff_see_all_that_was_told(event_type: str) -> None:
    told = data(full(event_type), STAFF)
    extra = {"event": event_type, "correlation_id": "secret-correlation"}
    assert told == {**FULL[event_type], **extra}


@EVERY_TYPE
def test_what_was_not_told_is_not_there(event_type: str) -> None:
    members = {name: FULL[event_type][name] for name in required(event_type)}
    for audience in Audience:
        assert None not in data(read_payload(event_type, members), audience).values()


def test_the_assistant_is_told_what_the_patient_may_know_of_a_document() -> None:
    frame = json.loads(event_json(envelope(full("document_parsed")), PATIENT, None))
    prompt = "".join(turn.text for turn in build_prompt("Maria", [frame], {}).turns)
    assert 'what="document_parsed" name="scan.pdf" state="ready"' in prompt
    assert "A blood count of May." in prompt
    assert "secret" not in prompt
    assert "document-1" not in prompt


# What each must say.


@EVERY_TYPE
def test_a_payload_lacks_nothing_that_its_type_asks_for(event_type: str) -> None:
    assert required(event_type)
    for name in required(event_type):
        members = {each: value for each, value in FULL[event_type].items() if each != name}
        with pytest.raises(ValidationError, match=name):
            read_payload(event_type, members)


@EVERY_TYPE
@pytest.mark.parametrize("name", ["note", "text_excerpt", "score", "Event", ""])
def test_a_payload_holds_nothing_that_its_type_does_not_declare(event_type: str, name: str) -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        read_payload(event_type, {**FULL[event_type], name: "x"})


@EVERY_TYPE
def test_a_payload_cannot_call_itself_something_else(event_type: str) -> None:
    for other in {*EventType, "", None} - {event_type}:
        with pytest.raises(ValidationError, match="event"):
            read_payload(event_type, {**FULL[event_type], "event": other})
    own = read_payload(event_type, {**FULL[event_type], "event": event_type})
    assert own.event == event_type


@EVERY_TYPE
@pytest.mark.parametrize("value", ["nul\0", "half \ud83d", "x" * 10_001, 7, True, ["x"], {}])
def test_a_text_is_a_bounded_string_that_every_database_can_carry(
    event_type: str, value: object
) -> None:
    for name in [*text_fields(event_type), "correlation_id"]:
        with pytest.raises(ValidationError, match=name):
            read_payload(event_type, {**FULL[event_type], name: value})


@pytest.mark.parametrize(
    ("event_type", "name"),
    [
        ("document_uploaded", "size"),
        ("document_parsed", "pages"),
        ("document_parsed", "confidence"),
        ("intake_progress_updated", "percent"),
        ("match_completed", "count"),
        ("call_summarised", "duration_s"),
    ],
)
@pytest.mark.parametrize("value", [-1, 2**41, "1", True, float("nan"), float("inf"), [1]])
def test_a_number_is_a_number_within_its_bounds(event_type: str, name: str, value: object) -> None:
    with pytest.raises(ValidationError, match=name):
        read_payload(event_type, {**FULL[event_type], name: value})


@pytest.mark.parametrize(
    ("event_type", "members"),
    [
        ("document_uploaded", {"state": "ready"}),
        ("document_parsed", {"state": "final"}),
        ("match_completed", {"state": "processing"}),
        ("call_summarised", {"direction": "sideways"}),
        ("fhir_resource_created", {"resource_type": "condition"}),
        ("fhir_resource_created", {"resource_type": "Condition\n"}),
        ("clinical_entities_extracted", {"entities": [ENTITY] * 101}),
        ("clinical_entities_extracted", {"entities": [{**ENTITY, "reviewed": True}]}),
        ("clinical_entities_extracted", {"entities": [{**ENTITY, "confidence": 2}]}),
        ("match_completed", {"providers": [{"provider_id": "p"}] * 51}),
        ("match_completed", {"providers": [{"name": "nobody"}]}),
        ("intake_progress_updated", {"missing": ["x"] * 51}),
        ("intake_progress_updated", {"missing": [""]}),
    ],
)
def test_what_does_not_fit_its_type_is_refused(event_type: str, members: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read_payload(event_type, {**FULL[event_type], **members})


@EVERY_TYPE
def test_a_payload_cannot_be_changed(event_type: str) -> None:
    with pytest.raises(ValidationError):
        setattr(full(event_type), "event", "x")  # noqa: B010 - mypy would refuse it, as it should


@pytest.mark.parametrize("event_type", sorted(MESSAGES))
def test_what_is_said_in_the_conversation_is_not_emitted(event_type: str) -> None:
    with pytest.raises(ValueError, match="kind `message`"):
        read_payload(event_type, {"text": "Hello"})


@pytest.mark.parametrize("event_type", ["", "Document_Parsed", "note", "document", "event"])
def test_a_name_that_nobody_registered_is_answered_with_those_that_are(event_type: str) -> None:
    with pytest.raises(ValueError, match="event_type must be one of patient_registered, ") as told:
        read_payload(event_type, {})
    assert all(name in str(told.value) for name in REGISTRY)


# The command.


def emit(event_type: str, patient_id: str = PATIENT_ID) -> Emit:
    return Emit(patient_id, full(event_type))


def test_two_emissions_are_the_same_command_only_if_they_tell_the_same() -> None:
    digests = [digest(emit(event_type)) for event_type in FULL]
    assert all(one != two for one, two in combinations(digests, 2))
    assert digest(emit("match_requested")) == digest(emit("match_requested"))
    assert digest(emit("match_requested")) != digest(emit("match_requested", "another"))


def test_a_consent_and_its_end_are_two_commands() -> None:
    granted, revoked = (payload(purpose="x") for payload in (ConsentGranted, ConsentRevoked))
    assert digest(Emit(PATIENT_ID, granted)) != digest(Emit(PATIENT_ID, revoked))


@EVERY_TYPE
def test_a_back_end_tells_one_event_of_the_kind_and_changes_nothing_else(event_type: str) -> None:
    (event,) = decided(ROOM, emit(event_type), SERVICE)
    assert isinstance(event, Event)
    assert event.kind == REGISTRY[event_type].kind
    assert event.payload == full(event_type)
    assert event.actor == Actor(SenderType.SYSTEM, SERVICE.id, SERVICE.name)


@pytest.mark.parametrize("by", [MARIA, PRIYA, SAM])
def test_only_back_ends_emit(by: Principal) -> None:
    assert refusal(ROOM, emit("document_parsed"), by).code is Code.FORBIDDEN


def test_a_consent_is_told_by_the_patient_and_by_back_ends_alone() -> None:
    for by in (SERVICE, MARIA):
        assert decided(ROOM, emit("consent_granted"), by)
    assert refusal(ROOM, emit("consent_granted"), PRIYA).code is Code.FORBIDDEN


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.ARCHIVED])
def test_a_document_may_finish_after_its_case_was_closed(status: Status) -> None:
    assert decided(replace(ROOM, status=status), emit("document_parsed"), SERVICE)


def test_a_case_of_another_patient_answers_as_one_that_does_not_exist() -> None:
    foreign, unknown = (
        refusal(state, emit("consent_granted", "another"), SERVICE) for state in (ROOM, None)
    )
    assert (foreign.code, foreign.message) == (unknown.code, unknown.message)


def test_nobody_is_registered_in_the_case_of_somebody_else() -> None:
    other = PatientRegistered(patient_id="another", name="Paul")
    assert refusal(ROOM, Emit(PATIENT_ID, other), SERVICE).code is Code.FORBIDDEN


# In the log.


async def test_every_event_stands_in_both_views_without_a_hole(database_url: str) -> None:
    async with open_log(database_url) as opened:
        await opened.open_case()
        for event_type in FULL:
            await opened.do(emit(event_type), SERVICE)
        state = await opened.log.state(CASE)
        assert state is not None
        assert state.staff.seq == state.patient.seq == 1 + len(FULL)
        for records in opened.hints[1:]:
            assert {record.audience for record in records} == {STAFF, PATIENT}
        assert [records[0].data["event"] for records in opened.hints[1:]] == [*FULL]


async def test_the_same_key_tells_an_event_once(tmp_path: Path) -> None:
    async with open_log(f"sqlite:///{tmp_path}/hub.db") as opened:
        await opened.open_case()
        first = await opened.do(emit("match_completed"), SERVICE, "key")
        again = await opened.do(emit("match_completed"), SERVICE, "key")
        assert again == replace(first, dup=True)
        state = await opened.log.state(CASE)
        assert state is not None
        assert state.staff.seq == 2
