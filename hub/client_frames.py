"""The frames that clients send over a WebSocket.

A frame is checked strictly against its model; members that the model does not know are ignored,
so that a newer client can talk to an older hub.
"""

import json
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, NoReturn, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from rooms.commands import (
    Accept,
    Command,
    Escalate,
    Release,
    Retry,
    SendMessage,
    SetStatus,
    Stop,
    WriteNote,
)
from rooms.errors import Code, Malformed
from rooms.events import Attachment, Card, Source, Status
from rooms.payload import Body, Id, Text

Key = Annotated[Text, Field(min_length=1, max_length=64)]
Seq = Annotated[int, Field(ge=0, le=2**53, strict=True)]
Flag = Annotated[bool, Field(strict=True)]


class ClientFrame(BaseModel):
    """A frame that a client may send; its `key` comes back in the answer."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, use_attribute_docstrings=True
    )

    key: Key | None = None


class DeskAuth(ClientFrame):
    """The first frame at a desk."""

    type: Literal["auth"]
    token: str
    tenant: str | None = None


class Auth(DeskAuth):
    """The first frame of every socket."""

    after: str | None = None
    """The cursor of the last event that was applied; `0.0` for everything."""
    tail: Annotated[int, Field(ge=0, le=500, strict=True)] = 50
    """How many events to replay without a cursor."""


class Token(ClientFrame):
    """A later token of the same subject."""

    type: Literal["token"]
    token: str


class Message(ClientFrame):
    """Say something in the conversation."""

    type: Literal["message"]
    text: Body
    cards: Annotated[tuple[Card, ...], Field(max_length=10)] = ()
    attachments: Annotated[tuple[Attachment, ...], Field(max_length=20)] = ()
    reply_to: Id | None = None
    via: Source = Source.CHAT
    seen: Seq | None = None
    """Staff: the last `seq` that was applied; the message is refused if somebody wrote since."""
    force: Flag = False

    def command(self) -> Command:
        return SendMessage(
            text=self.text,
            via=self.via,
            cards=self.cards,
            attachments=self.attachments,
            reply_to=self.reply_to,
            seen=self.seen,
            force=self.force,
        )


class Note(ClientFrame):
    """Write an internal note (staff)."""

    type: Literal["note"]
    text: Body
    mentions: Annotated[tuple[Id, ...], Field(max_length=50)] = ()

    def command(self) -> Command:
        return WriteNote(text=self.text, mentions=self.mentions)


class SetStatusFrame(ClientFrame):
    """Move the case to another status (staff)."""

    type: Literal["status"]
    status: Status

    def command(self) -> Command:
        return SetStatus(status=self.status)


class EscalateFrame(ClientFrame):
    """Ask for a person."""

    type: Literal["escalate"]
    reason: Annotated[Text, Field(max_length=1_000)] = ""

    def command(self) -> Command:
        return Escalate(reason=self.reason)


class AcceptFrame(ClientFrame):
    """Take the case over from the AI (staff); exactly one of many gets it."""

    type: Literal["accept"]

    def command(self) -> Command:
        return Accept()


class ReleaseFrame(ClientFrame):
    """Give the case back to the AI, or to the queue (its owner, or a supervisor)."""

    type: Literal["release"]
    to: Literal["ai", "queue"] = "ai"
    brief: Body | None = None
    """A text for the AI that is safe for the patient."""

    def command(self) -> Command:
        return Release(to=self.to, brief=self.brief)


class StopFrame(ClientFrame):
    """Stop the answer that the AI is writing."""

    type: Literal["stop"]
    run: Id | None = None
    """Only this answer; otherwise whichever it is."""

    def command(self) -> Command:
        return Stop(run=self.run)


class RetryFrame(ClientFrame):
    """Let the AI answer again, where its answer was not whole."""

    type: Literal["retry"]
    run: Id | None = None
    """Only in place of this answer; otherwise of whichever it is."""

    def command(self) -> Command:
        return Retry(run=self.run)


class Typing(ClientFrame):
    """Tell that a text is being typed; it expires by itself after 6 s."""

    type: Literal["typing"]
    on: Flag
    where: Literal["message", "note"] = Field(default="message", alias="in")


class Read(ClientFrame):
    """Tell how far one has read."""

    type: Literal["read"]
    seq: Seq


class History(ClientFrame):
    """Ask for older events."""

    type: Literal["history"]
    before: Seq | None = None
    limit: Annotated[int, Field(ge=1, le=200, strict=True)] = 50


class Ping(ClientFrame):
    """Ask for a sign of life."""

    type: Literal["ping"]


class Pong(ClientFrame):
    """Answer a ping; `seq` is the last event that was applied: a cumulative delivery receipt."""

    type: Literal["pong"]
    seq: Seq | None = None


WriteFrame: TypeAlias = (
    Message
    | Note
    | SetStatusFrame
    | EscalateFrame
    | AcceptFrame
    | ReleaseFrame
    | StopFrame
    | RetryFrame
)
"""Frames that change the log."""
RoomFrame: TypeAlias = WriteFrame | Typing | Read | History
"""Frames that have a meaning in a room only."""
AnyFrame: TypeAlias = RoomFrame | DeskAuth | Auth | Token | Ping | Pong

CLIENT_FRAMES: Final[Mapping[str, type[AnyFrame]]] = MappingProxyType(
    {
        "auth": Auth,
        "token": Token,
        "message": Message,
        "note": Note,
        "status": SetStatusFrame,
        "escalate": EscalateFrame,
        "accept": AcceptFrame,
        "release": ReleaseFrame,
        "stop": StopFrame,
        "retry": RetryFrame,
        "typing": Typing,
        "read": Read,
        "history": History,
        "ping": Ping,
        "pong": Pong,
    }
)
DESK_FRAMES: Final[Mapping[str, type[AnyFrame]]] = MappingProxyType(
    {"auth": DeskAuth, "token": Token, "ping": Ping, "pong": Pong}
)
"""What clients send at a desk."""


def parse_object(text: str | bytes) -> dict[str, Any]:
    """Read one JSON object (RFC 8259), without the liberties that Python's reader takes.

    Raises:
        Malformed: it is not JSON, not an object, nested too deeply, or holds NaN or Infinity.

    """
    try:
        # Given bytes, Python would guess UTF-16 and UTF-32, and let lone surrogates through.
        text = text if isinstance(text, str) else text.decode()
        value = _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Malformed(Code.BAD_FRAME, f"This is not JSON: {reason[:200]}.") from None
    if not isinstance(value, dict):
        raise Malformed(Code.BAD_FRAME, "Send one JSON object.")
    return value


def parse_frame(text: str, frames: Mapping[str, type[AnyFrame]] = CLIENT_FRAMES) -> AnyFrame:
    """Read a client's frame, which must be one of `frames`.

    Raises:
        Malformed: it is not JSON, of no known type, or its members are not what its type asks
            for; `details` names the key of the frame, if it has a usable one.

    """
    value = parse_object(text)
    kind = value.get("type")
    model = frames.get(kind) if isinstance(kind, str) else None
    if model is None:
        known = ", ".join(frames)
        raise Malformed(Code.BAD_TYPE, f"`type` must be one of {known}.", _key_of(value))
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise Malformed(Code.INVALID, explain(error), _key_of(value)) from None


def explain(error: ValidationError) -> str:
    """Say in one line which member is wrong, and why; the value itself is not repeated."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the object"
    return f"{where}: {_length(first) or first['msg']}."[:500]


def _length(error: ErrorDetails) -> str:
    """Say how long a value may be, if its length is what is wrong."""
    limits = error.get("ctx", {})
    unit = "characters" if isinstance(error["input"], str) else "items"
    match error["type"]:
        case "too_long" | "string_too_long":
            return f"must have at most {limits['max_length']} {unit}"
        case "too_short" | "string_too_short":
            return f"must have at least {limits['min_length']} {unit}"
        case _:
            return ""


def _key_of(value: dict[str, Any]) -> dict[str, str]:
    key = value.get("key")
    usable = isinstance(key, str) and 0 < len(key) <= 64 and key.isprintable()
    return {"key": str(key)} if usable else {}


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not allowed")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


_DECODER: Final = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)
