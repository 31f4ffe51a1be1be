"""The registry of event kinds: what may stand in a log, and what of it a patient may see.

Invariant: a patient sees an event only through the fields that its kind lists for its payload. A
payload with none is staff-only by construction, and so is a field that nobody listed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from rooms.cursor import Cursor
from rooms.patient_events import kinds as patient_kinds
from rooms.payload import Body, Id, Name, Payload, Text


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


SHUT: Final = (Status.CLOSED, Status.ARCHIVED)
"""Of a case in which nobody talks any more."""


class Control(StrEnum):
    """Who leads a case."""

    AI = "ai"
    WAITING = "waiting"
    HUMAN = "human"


class Trigger(StrEnum):
    """What made a case need a person."""

    PHRASE = "phrase"
    """The patient's words."""
    BUTTON = "button"
    MODEL = "model"
    RED_FLAG = "red_flag"
    """Words that may mean an emergency."""
    OWNER_AWAY = "owner_away"
    """The coordinator who had accepted is gone."""
    RELEASED = "released"
    """Nobody asked anew: whoever led the case gave it to the queue."""


class Reason(StrEnum):
    """Why the control of a case changed."""

    ESCALATED = "escalated"
    ACCEPTED = "accepted"
    RELEASED = "released"
    OWNER_AWAY = "owner_away"


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
    run: Id | None = None
    """The run of the AI that wrote it."""
    urgent: Literal[True] | None = None
    """The fixed text for an emergency, which no client shows like any other."""


class Note(Payload):
    """An internal note of the staff."""

    text: Body
    mentions: Annotated[tuple[Id, ...], Field(max_length=50)] = ()


class ControlChange(Payload):
    """Somebody else leads the case from here on."""

    control: Control
    owner: Name | None = None
    """The name of the coordinator who leads it."""
    owner_id: Annotated[Text, Field(min_length=1, max_length=255)] | None = None
    """As long as the subject of a token may be."""
    fence: Annotated[int, Field(ge=0)]
    """Grows with each change of control."""
    reason: Reason
    brief: Body | None = None
    """What the AI should know of the time in which a person led; for staff and the AI."""


class Escalation(Payload):
    """A person is needed; for staff."""

    trigger: Trigger
    reason: Annotated[Text, Field(max_length=1_000)] = ""
    message_id: Id | None = None
    """The message that caused it."""
    reminder: Annotated[int, Field(ge=0)] = 0
    """How often it was told before, because nobody accepted."""


class StatusChange(Payload):
    """A case moved from one status to another."""

    from_: Status = Field(alias="from")
    to: Status


STAFF_ONLY: Final[frozenset[str]] = frozenset()
"""The fields that patients see of what is for staff: none."""


@dataclass(frozen=True, slots=True)
class Kind:
    """An event kind: its payloads, and of each the fields that patients may see."""

    name: str
    payloads: Mapping[type[Payload], frozenset[str]]

    def patient_fields(self, payload: type[Payload]) -> frozenset[str]:
        """Give the fields that patients may see; none: an event that says this is staff-only."""
        return self.payloads.get(payload, STAFF_ONLY)

    @property
    def patients_see_it(self) -> bool:
        """Whether patients see any of its events."""
        return any(self.payloads.values())


MESSAGE_FIELDS: Final = frozenset(
    {"sender_type", "source", "text", "cards", "attachments", "reply_to", "state", "run", "urgent"}
)
KINDS: Final = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            Kind("message", {Message: MESSAGE_FIELDS}),
            Kind("note", {Note: STAFF_ONLY}),
            Kind("control", {ControlChange: frozenset({"control", "owner", "fence", "reason"})}),
            Kind("escalation", {Escalation: STAFF_ONLY}),
            Kind("status", {StatusChange: frozenset({"from_", "to"})}),
            *(Kind(name, payloads) for name, payloads in patient_kinds().items()),
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
    id: str | None = None
    """Given beforehand where something else refers to it."""


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
        payload = self.event.payload
        include = None
        if audience is Audience.PATIENT:
            include = set(KINDS[self.event.kind].patient_fields(type(payload)))
        data = payload.model_dump_json(by_alias=True, exclude_none=True, include=include)
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
