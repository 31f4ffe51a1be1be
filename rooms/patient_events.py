"""The typed events of a patient's way: documents, record, intake, matches, consent, calls.

Other back ends tell of them by name; `REGISTRY` says of each name which kind of event it is, what
it must say, and which of its fields the patient may see.

Invariant: what a patient sees is a name, a state, a number, or a `text` that was written for
patients. Scores, providers, codes and the ids of other systems are listed for nobody but staff.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from rooms.payload import Body, Id, Name, Payload, Text

Label = Annotated[Text, Field(min_length=1, max_length=100)]
Words = Annotated[Text, Field(max_length=2_000)]
Remark = Annotated[Text, Field(max_length=1_000)]
Version = Annotated[Text, Field(max_length=50)]
Address = Annotated[Text, Field(max_length=1_024)]
Count = Annotated[int, Field(ge=0, le=100_000, strict=True)]
Share = Annotated[float, Field(ge=0, le=1, strict=True)]
Percent = Annotated[int, Field(ge=0, le=100, strict=True)]


class EventType(StrEnum):
    """The names under which other back ends know what can happen."""

    PATIENT_REGISTERED = "patient_registered"
    CONSENT_GRANTED = "consent_granted"
    CONSENT_REVOKED = "consent_revoked"
    DOCUMENT_UPLOADED = "document_uploaded"
    DOCUMENT_PARSED = "document_parsed"
    CLINICAL_ENTITIES_EXTRACTED = "clinical_entities_extracted"
    FHIR_RESOURCE_CREATED = "fhir_resource_created"
    INTAKE_PROGRESS_UPDATED = "intake_progress_updated"
    MATCH_REQUESTED = "match_requested"
    MATCH_COMPLETED = "match_completed"
    CALL_SUMMARISED = "call_summarised"
    CHAT_MESSAGE_SENT = "chat_message_sent"
    AGENT_RESPONSE_GENERATED = "agent_response_generated"


MESSAGES: Final = frozenset({EventType.CHAT_MESSAGE_SENT, EventType.AGENT_RESPONSE_GENERATED})
"""What the conversation itself tells, as events of the kind `message`: nobody else emits them."""


class PatientEvent(Payload):
    """Something that happened to a patient or their papers."""

    event: str
    """Its name in the registry."""
    correlation_id: Id | None = None
    """Made by whoever emits it, to follow one matter through several systems."""


class PatientRegistered(PatientEvent):
    """A patient was registered; the first event of the first case."""

    event: Literal["patient_registered"] = "patient_registered"
    patient_id: Id
    name: Name


class ConsentGranted(PatientEvent):
    """The patient agreed to something."""

    event: Literal["consent_granted"] = "consent_granted"
    purpose: Label
    """What was agreed to, in words for the patient."""
    version: Version | None = None
    """Of the text that was agreed to."""
    consent_id: Id | None = None


class ConsentRevoked(PatientEvent):
    """The patient took a consent back."""

    event: Literal["consent_revoked"] = "consent_revoked"
    purpose: Label
    """What is no longer agreed to, in words for the patient."""
    version: Version | None = None
    """Of the text that had been agreed to."""
    consent_id: Id | None = None


class DocumentUploaded(PatientEvent):
    """A document arrived and is being read."""

    event: Literal["document_uploaded"] = "document_uploaded"
    document_id: Id
    name: Name
    state: Literal["processing"] = "processing"
    content_type: Label | None = None
    size: Annotated[int, Field(ge=0, le=2**40, strict=True)] | None = None
    """Bytes."""
    storage_key: Address | None = None


class DocumentParsed(PatientEvent):
    """A document was read, or could not be."""

    event: Literal["document_parsed"] = "document_parsed"
    document_id: Id
    name: Name | None = None
    state: Literal["processing", "ready", "failed"] = "ready"
    """`processing`: its text is there, and more is being made of it."""
    pages: Count | None = None
    text: Words | None = None
    """What the patient and the assistant may know of what it says."""
    confidence: Share | None = None
    provider: Label | None = None
    """What read it."""
    failure: Remark | None = None
    """Why it could not be read; for staff."""


class ClinicalEntity(Payload):
    """A finding in a document, as a machine read it; nobody has reviewed it."""

    category: Label
    """Such as `condition`, `medication`, `allergy` or `procedure`."""
    text: Annotated[Text, Field(min_length=1, max_length=500)]
    system: Name | None = None
    """Of the code, such as `http://snomed.info/sct`."""
    code: Label | None = None
    confidence: Share | None = None


class ClinicalEntitiesExtracted(PatientEvent):
    """A machine found clinical facts in a document."""

    event: Literal["clinical_entities_extracted"] = "clinical_entities_extracted"
    document_id: Id
    text: Words | None = None
    """What the patient may know of them."""
    entities: Annotated[tuple[ClinicalEntity, ...], Field(max_length=100)] = ()


class FhirResourceCreated(PatientEvent):
    """The patient's health record has something new."""

    event: Literal["fhir_resource_created"] = "fhir_resource_created"
    resource_type: Annotated[Text, Field(pattern="^[A-Z][A-Za-z]{0,63}$")]
    """As FHIR names it, such as `Condition`."""
    resource_id: Id
    document_id: Id | None = None
    """The document that it was made from."""
    text: Words | None = None
    """What the patient may know of it."""


class IntakeProgressUpdated(PatientEvent):
    """The questions before a match are answered so far."""

    event: Literal["intake_progress_updated"] = "intake_progress_updated"
    percent: Percent
    step: Label | None = None
    """What is being asked now, in words for the patient."""
    missing: Annotated[tuple[Label, ...], Field(max_length=50)] = ()
    """What is still to come, in words for the patient."""
    remarks: Words | None = None
    """For staff."""


class MatchRequested(PatientEvent):
    """Hospitals for the patient are being looked for."""

    event: Literal["match_requested"] = "match_requested"
    match_id: Id
    """The same in the event that completes it."""
    state: Literal["processing"] = "processing"
    procedure: Name | None = None
    criteria: Words | None = None
    """What is looked for; for staff."""


class MatchedProvider(Payload):
    """A hospital that may suit; not yet proposed to anybody."""

    provider_id: Id
    name: Name | None = None
    score: Share | None = None


class MatchCompleted(PatientEvent):
    """The search for hospitals ended."""

    event: Literal["match_completed"] = "match_completed"
    match_id: Id
    state: Literal["ready", "failed"] = "ready"
    count: Count | None = None
    """How many suit."""
    text: Words | None = None
    """What the patient may know of the result."""
    providers: Annotated[tuple[MatchedProvider, ...], Field(max_length=50)] = ()
    failure: Remark | None = None
    """Why nothing was found; for staff."""


class CallSummarised(PatientEvent):
    """A telephone call ended, and somebody wrote down what was said."""

    event: Literal["call_summarised"] = "call_summarised"
    direction: Literal["inbound", "outbound"]
    """As the hub sees it: `inbound` if the patient called."""
    duration_s: Annotated[int, Field(ge=0, le=86_400, strict=True)] | None = None
    text: Words | None = None
    """What the patient may read of it."""
    summary: Body
    """For staff."""
    call_id: Id | None = None
    recording: Address | None = None
    """Where a recording is."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the registry says of a name."""

    kind: str
    payload: type[PatientEvent]
    patient_fields: frozenset[str]
    """The fields that patients may see; none: the event is for staff only."""


def _entry(kind: str, payload: type[PatientEvent], *patient_fields: str) -> Entry:
    return Entry(kind, payload, frozenset(patient_fields))


REGISTRY: Final[Mapping[str, Entry]] = MappingProxyType(
    {
        EventType.PATIENT_REGISTERED: _entry(
            "patient", PatientRegistered, "event", "patient_id", "name"
        ),
        EventType.CONSENT_GRANTED: _entry("consent", ConsentGranted, "event", "purpose", "version"),
        EventType.CONSENT_REVOKED: _entry("consent", ConsentRevoked, "event", "purpose", "version"),
        EventType.DOCUMENT_UPLOADED: _entry(
            "document",
            DocumentUploaded,
            *("event", "document_id", "name", "state", "content_type", "size"),
        ),
        EventType.DOCUMENT_PARSED: _entry(
            "document", DocumentParsed, "event", "document_id", "name", "state", "pages", "text"
        ),
        EventType.CLINICAL_ENTITIES_EXTRACTED: _entry(
            "ehr", ClinicalEntitiesExtracted, "event", "document_id", "text"
        ),
        EventType.FHIR_RESOURCE_CREATED: _entry(
            "ehr", FhirResourceCreated, "event", "resource_type", "document_id", "text"
        ),
        EventType.INTAKE_PROGRESS_UPDATED: _entry(
            "intake", IntakeProgressUpdated, "event", "percent", "step", "missing"
        ),
        EventType.MATCH_REQUESTED: _entry(
            "match", MatchRequested, "event", "match_id", "state", "procedure"
        ),
        EventType.MATCH_COMPLETED: _entry(
            "match", MatchCompleted, "event", "match_id", "state", "count", "text"
        ),
        EventType.CALL_SUMMARISED: _entry(
            "call", CallSummarised, "event", "direction", "duration_s", "text"
        ),
    }
)
"""Every event that other back ends may emit, by its name."""


def kinds() -> dict[str, dict[type[Payload], frozenset[str]]]:
    """Give the payloads of each kind, and of each the fields that patients may see."""
    found: dict[str, dict[type[Payload], frozenset[str]]] = {}
    for entry in REGISTRY.values():
        found.setdefault(entry.kind, {})[entry.payload] = entry.patient_fields
    return found


def kind_of(payload: PatientEvent) -> str:
    """Name the kind of event that says this."""
    return REGISTRY[payload.event].kind


def read_payload(event_type: str, members: Mapping[str, Any]) -> PatientEvent:
    """Read what an event of this name says.

    Raises:
        ValueError: nobody emits events of this name, or its payload is not what the registry asks
            for (then a `pydantic.ValidationError`).

    """
    if event_type in MESSAGES:
        raise ValueError(
            f"{event_type} is no event to be emitted: what is said in the conversation becomes "
            "an event of the kind `message` by itself."
        )
    entry = REGISTRY.get(event_type)
    if entry is None:
        raise ValueError(f"event_type must be one of {', '.join(REGISTRY)}.")
    return entry.payload.model_validate({"event": event_type, **members})
