"""Wishes to change a room, from whatever door they come."""

import hashlib
from dataclasses import dataclass, fields
from typing import Final, TypeAlias

from rooms.events import Attachment, Card, Source, Status


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


Command: TypeAlias = SendMessage | WriteNote | SetStatus | RegisterPatient


_GUARDS: Final = frozenset({"seen", "force"})
"""Fields that are no content: a retry may have seen more than the first attempt."""


def digest(command: Command) -> str:
    """Name the content of a command, to tell a repeated key from a reused one.

    Fields at their default do not count, so that a later version may add some.
    """
    content = [type(command).__name__]
    for field in fields(command):
        value = getattr(command, field.name)
        if value != field.default and field.name not in _GUARDS:
            content.append(f"{field.name}={value!r}")
    return hashlib.sha256("\0".join(content).encode()).hexdigest()[:32]
