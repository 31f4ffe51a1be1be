"""What the HTTP routes take and answer, as models and schemas that describe it."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from hub.api import CHANNELS, Registration
from hub.chat import ChatMessage
from hub.client_frames import (
    AcceptFrame,
    EscalateFrame,
    Message,
    Note,
    Read,
    ReleaseFrame,
    RetryFrame,
    SetStatusFrame,
    StopFrame,
    Typing,
)
from hub.consent_api import Consent
from hub.events_api import Emission
from hub.file_types import CONTENT_TYPES
from hub.flags_api import FlagChange
from hub.json_schema import Schema, wire_schemas
from hub.revocations_api import Revoke
from hub.server_frames import (
    CaughtUp,
    Delta,
    DeskCase,
    Draft,
    EventFrame,
    PresenceSignal,
    ReadSignal,
    Ready,
    Reset,
    RunSignalFrame,
    TypingSignal,
)
from hub.uploads_api import Confirmation
from hub.why import Why
from rooms.errors import Code, ResetReason
from rooms.events import Control, SenderType, Status
from rooms.payload import Id


class PatientName(BaseModel):
    """The patient of a case."""

    id: str
    name: str


class CaseSummary(BaseModel):
    """A case as the caller may know it."""

    case: str
    status: Status
    control: Control
    coordinator: Annotated[str | None, Field(description="the name of the owner")]
    patient: PatientName
    last_message_at: str | None
    head: Annotated[str, Field(description="the cursor of the last event of the caller's view")]


class EventsPage(BaseModel):
    """Events in order."""

    events: list[EventFrame]
    cursor: Annotated[
        str | None, Field(description="where to go on `after` them; null: nothing is `before` that")
    ]
    more: Annotated[bool, Field(description="there are later ones, or with `before` older ones")]


class Cases(BaseModel):
    """All open cases of the tenant, in the order of the desk."""

    cases: list[DeskCase]


class TimelineItem(BaseModel):
    """An event and the channel on which it came."""

    channel: Annotated[str, Field(json_schema_extra={"enum": [*CHANNELS]})]
    event: EventFrame


class Timeline(BaseModel):
    """What was said, the newest first."""

    entries: list[TimelineItem]
    more: bool


class Stored(BaseModel):
    """What the request did is durable; this is its event."""

    case: str
    id: Annotated[str, Field(description="absent: all was so already")] = ""
    seq: int
    cursor: str
    at: str
    dup: Annotated[bool, Field(description="the key was sent before; nothing new happened")] = False


class Registered(Stored):
    """The patient is registered, and the case is open."""

    patient_id: str


class Reply(BaseModel):
    """What the AI said, or the text for an emergency."""

    message_id: str
    text: str
    status: Literal["final", "interrupted", "failed"]
    sender_type: SenderType
    cursor: str


class ChatAnswer(Stored):
    """The message is stored; the reply to it, if there is one now."""

    reply: Reply | None
    control: Annotated[Control | None, Field(description="who leads, if no reply will come")] = None


class FileForm(BaseModel):
    """A file for a case; the fields come in this order."""

    case: Id
    file: Annotated[str, Field(json_schema_extra={"contentMediaType": "application/octet-stream"})]


class FileContent(RootModel[str]):
    """The bytes of a file."""


class Uploaded(BaseModel):
    """The file is stored, and waits to be confirmed."""

    case: str
    id: str
    name: Annotated[str, Field(description="made fit to be shown and saved")]
    content_type: Annotated[str, Field(json_schema_extra={"enum": [*CONTENT_TYPES]})]
    size: Annotated[int, Field(description="bytes")]
    dup: Annotated[bool, Field(description="the key was sent before; nothing new happened")] = False


class FlagState(BaseModel):
    """A flag of the tenant."""

    name: str
    on: bool
    default: Annotated[bool, Field(description="without a change by a supervisor")]


class Flags(BaseModel):
    """The flags of the tenant."""

    flags: list[FlagState]


class Revoked(BaseModel):
    """These tokens count no longer."""

    sub: Annotated[str, Field(description="absent: it is a session")] = ""
    sid: Annotated[str, Field(description="absent: it is a user")] = ""
    issued_before: Annotated[str, Field(description="of a user, the tokens that are older")]
    until: Annotated[str, Field(description="when it is forgotten: all of them have expired")]


class Problem(BaseModel):
    """Why the request was refused: a code for programs, a sentence for people, and details."""

    model_config = ConfigDict(extra="allow")

    code: Code | Literal["reset", "EVENT_EMIT_001"]
    message: str
    reason: Annotated[ResetReason | None, Field(description="with `reset`")] = None
    missed: Annotated[list[EventFrame] | None, Field(description="with `stale`")] = None


class Refusal(BaseModel):
    """An error of a request."""

    error: Problem


class StreamProblem(BaseModel):
    """Why a stream was not opened."""

    code: Literal["SSE_CONNECTION_001"]
    message: str


class StreamRefusal(BaseModel):
    """An error before the first byte of a stream."""

    error: StreamProblem


class StreamState(BaseModel):
    """The first event of the stream of messages: the state of the case."""

    case: str
    status: Status
    control: Control
    coordinator: Annotated[str | None, Field(description="the name of the owner")]
    resumed: bool
    from_: Annotated[int, Field(alias="from")]


class StreamThinking(BaseModel):
    """The AI begins an answer."""

    run: str


class StreamToken(BaseModel):
    """The next piece of an answer."""

    token: str
    run: str
    index: int


class StreamDone(BaseModel):
    """An answer is over."""

    message_id: str | None
    status: Literal["final", "interrupted", "failed"]


class StreamDraft(BaseModel):
    """All of an answer so far; replaces what the client has."""

    run: str | None
    index: int
    text: str


STREAM_FRAMES: Final = (
    EventFrame,
    CaughtUp,
    PresenceSignal,
    RunSignalFrame,
    Delta,
    Draft,
    TypingSignal,
    ReadSignal,
)
"""Frames of the WebSocket that the stream of a case carries as they are."""

_MODELS: Final = (
    Registration,
    CaseSummary,
    EventsPage,
    Cases,
    Timeline,
    Stored,
    Registered,
    Refusal,
    StreamRefusal,
    StreamState,
    StreamThinking,
    StreamToken,
    StreamDone,
    StreamDraft,
    ChatMessage,
    ChatAnswer,
    Emission,
    Consent,
    FileForm,
    FileContent,
    Uploaded,
    Confirmation,
    FlagChange,
    Flags,
    Revoke,
    Revoked,
    Why,
    *STREAM_FRAMES,
)
_SHORTENED: Final[dict[str, tuple[type[BaseModel], set[str]]]] = {
    # The route gives the type of a body, and a header its key.
    "MessageBody": (Message, {"type", "key"}),
    "NoteBody": (Note, {"type", "key"}),
    "StatusBody": (SetStatusFrame, {"type", "key"}),
    "EscalateBody": (EscalateFrame, {"type", "key"}),
    "AcceptBody": (AcceptFrame, {"type", "key"}),
    "ReleaseBody": (ReleaseFrame, {"type", "key"}),
    "StopBody": (StopFrame, {"type", "key"}),
    "RetryBody": (RetryFrame, {"type", "key"}),
    "TypingBody": (Typing, {"type", "key"}),
    "ReadBody": (Read, {"type", "key"}),
    # A stream does not tell who its reader is.
    "StreamReady": (Ready, {"you", "exp"}),
    "StreamReset": (Reset, {"type"}),
}


def answer_schemas() -> dict[str, Schema]:
    """Give the schemas of everything that HTTP requests and answers hold."""
    models: dict[str, type[BaseModel]] = {model.__name__: model for model in _MODELS}
    schemas = wire_schemas(models | {name: model for name, (model, _) in _SHORTENED.items()})
    for name, (_, without) in _SHORTENED.items():
        schemas[name] = _shortened(name, schemas[name], without)
    schemas["StreamMessage"] = _stream_message(schemas["data.message.patient"])
    return dict(sorted(schemas.items()))


def _shortened(name: str, schema: Schema, without: set[str]) -> Schema:
    members = schema["properties"]
    return {
        **schema,
        "title": name,
        "properties": {each: members[each] for each in members if each not in without},
        "required": [each for each in schema["required"] if each not in without],
    }


def _stream_message(data: Schema) -> Schema:
    """Describe a message of the stream of messages: its data and where it stands, in one object."""
    members = {
        **{name: {"type": "string"} for name in ("id", "case", "at")},
        "seq": {"type": "integer"},
        "sender_name": {"type": ["string", "null"]},
    }
    return {
        **data,
        "description": "An event of the stream of messages.",
        "properties": {**members, **data["properties"]},
        "required": [*members, *data["required"]],
    }
