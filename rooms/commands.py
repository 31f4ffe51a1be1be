"""Wishes to change a room, from whatever door they come."""

import hashlib
from dataclasses import dataclass, fields
from typing import Final, Literal, TypeAlias, get_args

from pydantic import BaseModel

from rooms.events import Attachment, Card, Source, Status, Trigger
from rooms.patient_events import PatientEvent


@dataclass(frozen=True, slots=True)
class SendMessage:
    """Say something in the conversation."""

    text: str
    via: Source = Source.CHAT
    cards: tuple[Card, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    reply_to: str | None = None
    seen: int | None = None
    """The last `seq` that its author had applied: the guard against answering past somebody."""
    force: bool = False
    """Send although something newer was not seen."""


@dataclass(frozen=True, slots=True)
class WriteNote:
    """Write an internal note."""

    text: str
    mentions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SetStatus:
    """Move the case to another status."""

    status: Status


@dataclass(frozen=True, slots=True)
class RegisterPatient:
    """Register a patient, which opens the first case."""

    patient_id: str
    name: str
    user_id: str | None


@dataclass(frozen=True, slots=True)
class OpenCase:
    """Open a further case for a registered patient."""

    patient_id: str
    name: str


Opening: TypeAlias = RegisterPatient | OpenCase
"""What brings a case into being."""


@dataclass(frozen=True, slots=True)
class Emit:
    """Tell what another back end did for a patient, or what the patient agrees to."""

    patient_id: str
    """Whose case it must be."""
    payload: PatientEvent


@dataclass(frozen=True, slots=True)
class ConfirmUpload:
    """Make a file that was received a part of the case."""

    upload: str


@dataclass(frozen=True, slots=True)
class Escalate:
    """Ask for a person."""

    reason: str = ""
    trigger: Trigger = Trigger.BUTTON
    run: str | None = None
    """The answer in which the AI asks."""


@dataclass(frozen=True, slots=True)
class Accept:
    """Take the case over from the AI."""


@dataclass(frozen=True, slots=True)
class Release:
    """Give the case back."""

    to: Literal["ai", "queue"] = "ai"
    brief: str | None = None
    """A text for the AI; safe for the patient."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop the answer that the AI is writing."""

    run: str | None = None
    """Only this one; None: whichever it is."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Let the AI answer again, where its answer was not whole."""

    run: str | None = None
    """Only in place of this answer; None: of whichever it is."""


@dataclass(frozen=True, slots=True)
class MarkRead:
    """Note that staff have read the patient's messages up to a staff `seq`."""

    seq: int


@dataclass(frozen=True, slots=True)
class Continue:
    """Add a piece to the AI's answer: it may be shown once this is durable."""

    run: str
    i: int
    """The number of the piece: repeating one changes nothing, and none is replaced."""
    text: str


@dataclass(frozen=True, slots=True)
class Finish:
    """End the AI's answer with what is left of its text."""

    run: str
    rest: str
    state: Literal["final", "failed"]
    after: int | None = None
    """How many pieces come before the rest; None: as many as there are."""


@dataclass(frozen=True, slots=True)
class Remind:
    """Tell staff again that a case waits; by a timer."""

    fence: int
    reminder: int


@dataclass(frozen=True, slots=True)
class Recall:
    """Take a case back from an owner who is gone; by a timer."""

    fence: int


Command: TypeAlias = (
    SendMessage
    | WriteNote
    | SetStatus
    | RegisterPatient
    | OpenCase
    | Emit
    | ConfirmUpload
    | Escalate
    | Accept
    | Release
    | Stop
    | Retry
    | MarkRead
    | Continue
    | Finish
    | Remind
    | Recall
)


_GUARDS: Final = frozenset({"seen", "force"})
"""Fields that are no content: a retry may have seen more than the first attempt."""
_CONTENT: Final = {
    kind: tuple((field.name, field.default) for field in fields(kind) if field.name not in _GUARDS)
    for kind in get_args(Command)
}


def digest(command: Command) -> str:
    """Name the content of a command, to tell a repeated key from a reused one.

    Fields at their default do not count, so that a later version may add some.
    """
    content = [type(command).__name__]
    for name, default in _CONTENT[type(command)]:
        value = getattr(command, name)
        if value != default:
            content.append(f"{name}={_content(value)}")
    return hashlib.sha256("\0".join(content).encode()).hexdigest()[:32]


def _content(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(_content(part) for part in value)
    if isinstance(value, PatientEvent):
        # Its name is a default, and all that tells a consent from its end.
        return f"{value.event}{value.model_dump_json(exclude_defaults=True)}"
    if isinstance(value, BaseModel):
        return value.model_dump_json(exclude_defaults=True)
    return repr(value)
