"""The registry of event kinds: what may stand in a log, and what of it a patient may see.

Invariant: a patient sees an event only through the fields that its kind lists for patients. A
kind that lists none is staff-only by construction, and so is a field that nobody listed.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from rooms.cursor import Cursor


class Audience(StrEnum):
    """Who reads: each audience has its own dense numbering of what it may see."""

    PATIENT = "patient"
    STAFF = "staff"


class SenderType(StrEnum):
    """Who says something."""

    AI = "ai"
    PATIENT = "patient"
    COORDINATOR = "coordinator"
    SYSTEM = "system"


class Source(StrEnum):
    """How it came in."""

    CHAT = "chat"
    PHONE = "phone"
    EMAIL = "email"
    WHATSAPP = "whatsapp"
    SMS = "sms"


class Status(StrEnum):
    """Where a case stands."""

    INTAKE = "intake"
    ACTIVE = "active"
    ON_HOLD = "on_hold"
    CLOSED = "closed"
    ARCHIVED = "archived"


class Control(StrEnum):
    """Who leads a case."""

    AI = "ai"
    WAITING = "waiting"
    HUMAN = "human"


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain the character U+0000")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("must not contain lone surrogates") from None
    return text


Text = Annotated[str, AfterValidator(_storable)]
"""A string that every database and every wire can carry."""
Id = Annotated[Text, Field(min_length=1, max_length=128)]
Name = Annotated[Text, Field(min_length=1, max_length=200)]
Body = Annotated[Text, Field(min_length=1, max_length=10_000)]


class Payload(BaseModel):
    """What an event says; frozen, and nothing but what its kind declares."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, use_attribute_docstrings=True
    )


class Card(Payload):
    """Something rich inside a message: a health record, matches, a document, a consent form."""

    model_config = ConfigDict(extra="ignore")

    kind: Literal["ehr", "match", "document", "consent"]
    title: Annotated[Text, Field(max_length=200)] = ""
    ref: Annotated[Text, Field(max_length=128)] = ""
    """The id of what it shows, for a client that can render it."""
    fallback: Annotated[Text, Field(min_length=1, max_length=2_000)]
    """The same in plain text, for every other client."""


class Attachment(Payload):
    """A file that was uploaded before the message that mentions it."""

    model_config = ConfigDict(extra="ignore")

    id: Id
    name: Name
    content_type: Annotated[Text, Field(min_length=1, max_length=100)]
    size: Annotated[int, Field(ge=0, le=2**40)]
    """Bytes."""


class Message(Payload):
    """What a person or the AI says in the conversation."""

    sender_type: SenderType
    source: Source
    text: Body
    cards: Annotated[tuple[Card, ...], Field(max_length=10)] = ()
    attachments: Annotated[tuple[Attachment, ...], Field(max_length=20)] = ()
    reply_to: Id | None = None
    state: Literal["final", "interrupted", "failed"] = "final"


class Note(Payload):
    """An internal note of the staff."""

    text: Body
    mentions: Annotated[tuple[Id, ...], Field(max_length=50)] = ()


class StatusChange(Payload):
    """A case moved from one status to another."""

    from_: Status = Field(alias="from")
    to: Status


class PatientRegistered(Payload):
    """A patient was registered; the first event of the first case."""

    event: Literal["patient_registered"] = "patient_registered"
    patient_id: Id
    name: Name


@dataclass(frozen=True, slots=True)
class Kind:
    """An event kind: its payload, and the fields of it that patients may see."""

    name: str
    payload: type[Payload]
    patient_fields: frozenset[str] = frozenset()

    @property
    def patients_see_it(self) -> bool:
        return bool(self.patient_fields)


KINDS: Final = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            Kind(
                "message",
                Message,
                frozenset(
                    {
                        "sender_type",
                        "source",
                        "text",
                        "cards",
                        "attachments",
                        "reply_to",
                        "state",
                    }
                ),
            ),
            Kind("note", Note),
            Kind("status", StatusChange, frozenset({"from_", "to"})),
            Kind("patient", PatientRegistered, frozenset({"event", "patient_id", "name"})),
        )
    }
)
"""Every kind of event that this hub writes, by name."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it."""

    type: SenderType
    id: str | None
    name: str | None


@dataclass(frozen=True, slots=True)
class Event:
    """A fact, before the log has given it an id and its numbers."""

    kind: str
    actor: Actor
    payload: Payload


@dataclass(frozen=True, slots=True)
class Envelope:
    """An event as it stands in the log."""

    event: Event
    case: str
    id: str
    at: datetime
    cursors: dict[Audience, Cursor]
    """Where it stands in the view of each audience that sees it."""
    previous: dict[Audience, Cursor]
    """The event before it in each of these views."""

    def data_json(self, audience: Audience) -> str:
        """Tell, as JSON, what the audience may know of the event."""
        kind = KINDS[self.event.kind]
        include = set(kind.patient_fields) if audience is Audience.PATIENT else None
        data = self.event.payload.model_dump_json(by_alias=True, exclude_none=True, include=include)
        if self.event.kind != "message":
            return data
        return f'{{"message_id":{json.dumps(self.id)},{data[1:]}'

    def actor(self, audience: Audience) -> dict[str, str]:
        """Tell who did it; patients get the names of staff, never their ids."""
        actor = self.event.actor
        hidden = audience is Audience.PATIENT and actor.type is not SenderType.PATIENT
        members = {
            "type": actor.type.value,
            "id": None if hidden else actor.id,
            "name": actor.name,
        }
        return {name: value for name, value in members.items() if value is not None}
