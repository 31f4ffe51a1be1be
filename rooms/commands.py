"""Wishes to change a room, from whatever door they come."""

import hashlib
from dataclasses import dataclass, fields
from typing import Final, TypeAlias, get_args

from pydantic import BaseModel

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
    if isinstance(value, BaseModel):
        return value.model_dump_json(exclude_defaults=True)
    return repr(value)
