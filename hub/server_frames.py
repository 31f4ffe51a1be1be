"""The frames that the hub sends over a WebSocket.

Frames of a room (`event`, `run`, `delta`, `draft`, `typing`, `presence`, `read`) are written once
for all their readers by `rooms`; their models stand here to describe them.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from websockets.frames import Frame, Opcode

from rooms.encoding import Record, Signal, timestamp, to_json
from rooms.errors import Code, ResetReason
from rooms.events import Control, SenderType, Status, Trigger
from rooms.state import RunState


class ServerFrame(BaseModel):
    """A frame that the hub sends; a member that was not given is left out."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    type: str

    def encoded(self) -> str:
        members = self.model_dump_json(by_alias=True, exclude_unset=True, exclude={"type"})
        return f'{{"type":"{self.type}"{"," if len(members) > 2 else ""}{members[1:]}'


class Hello(ServerFrame):
    """The first frame of the hub; nothing else follows until `auth` has succeeded."""

    type: Literal["hello"] = "hello"
    v: int
    conn: str
    auth_within: int | float = Field(description="seconds")
    heartbeat: int | float = Field(description="seconds")
    max_frame: int = Field(description="bytes")
    now: str


class You(BaseModel):
    """Who the hub takes the client for."""

    id: str
    role: Literal["patient", "coordinator", "supervisor", "service"]
    name: str


class State(BaseModel):
    """The state of a case."""

    control: Control
    status: Status
    coordinator: str | None = Field(description="the name of the owner")
    run: str | None = Field(description="the answer that the AI is writing")


class Ready(ServerFrame):
    """The token was good; the events from `from` follow."""

    type: Literal["ready"] = "ready"
    case: str
    you: You
    head: str
    from_: int = Field(alias="from")
    resumed: bool
    exp: str | None = None
    state: State


class CaughtUp(ServerFrame):
    """Everything up to `seq` was sent; what follows happens now."""

    type: Literal["caught_up"] = "caught_up"
    case: str
    seq: int


class Reset(ServerFrame):
    """The cursor cannot be honoured: forget what you have; the tail follows."""

    type: Literal["reset"] = "reset"
    case: str
    reason: ResetReason


class ActorModel(BaseModel):
    """Who did it."""

    type: SenderType
    id: str | None = None
    name: str | None = None


class EventFrame(ServerFrame):
    """An event of the log, in the numbering of the reader's audience."""

    type: Literal["event"] = "event"
    case: str
    seq: int
    cursor: str
    id: str
    at: str
    kind: str
    actor: ActorModel
    data: dict[str, Any]
    key: str | None = None


class Ack(ServerFrame):
    """The command was carried out, and what it did is durable."""

    type: Literal["ack"] = "ack"
    key: str
    seq: int | None = None
    id: str | None = None
    cursor: str | None = None
    at: str | None = None
    dup: bool | None = None
    exp: str | None = Field(default=None, description="answer to `token`")


class Error(ServerFrame):
    """The command was not carried out; the socket stays open unless `goodbye` follows."""

    model_config = ConfigDict(frozen=True, extra="allow")

    type: Literal["error"] = "error"
    key: str | None = None
    code: Code
    message: str


class Page(ServerFrame):
    """Older events, in order."""

    type: Literal["page"] = "page"
    key: str | None = None
    case: str
    events: list[EventFrame]
    more: bool


class Who(BaseModel):
    """Somebody, as others may know them."""

    type: SenderType
    name: str


class RunSignalFrame(ServerFrame):
    """How far the AI is with an answer; `message` holds it when it is over."""

    type: Literal["run"] = "run"
    case: str
    run: str
    state: RunState
    message: str | None = None


class Delta(ServerFrame):
    """The next piece of an answer."""

    type: Literal["delta"] = "delta"
    case: str
    run: str
    i: int = Field(description="dense from 0")
    text: str


class Draft(ServerFrame):
    """All of an answer up to piece `i`; replaces what the client has of it."""

    type: Literal["draft"] = "draft"
    case: str
    run: str
    i: int
    text: str


class TypingSignal(ServerFrame):
    """Somebody types; forget it after 6 s."""

    type: Literal["typing"] = "typing"
    case: str
    who: Who
    on: bool
    where: Literal["message", "note"] | None = Field(
        default=None, alias="in", description="staff only"
    )


class Viewer(BaseModel):
    """A member of staff who looks at the case."""

    id: str
    name: str


class PresenceSignal(ServerFrame):
    """Who is here: `patient` and `viewers` for staff, `coordinator` and `online` for patients."""

    type: Literal["presence"] = "presence"
    case: str
    patient: Literal["online", "offline"] | None = None
    viewers: list[Viewer] | None = None
    coordinator: str | None = None
    online: bool | None = None


class ReadSignal(ServerFrame):
    """Somebody has read up to `seq` of the reader's own numbering."""

    type: Literal["read"] = "read"
    case: str
    who: Who
    seq: int


class PingFrame(ServerFrame):
    """Nothing was sent for a while; `cursor` is the head of the reader's feed."""

    type: Literal["ping"] = "ping"
    cursor: str


class PongFrame(ServerFrame):
    """The answer to a client's `ping`."""

    type: Literal["pong"] = "pong"
    key: str | None = None


class Goodbye(ServerFrame):
    """The socket is about to be closed with this code."""

    type: Literal["goodbye"] = "goodbye"
    code: int
    reason: str
    reconnect: bool = Field(description="whether to come back without changing anything first")
    in_ms: int = Field(description="how long to wait before that")


class DeskCase(BaseModel):
    """An open case, as a desk shows it."""

    case: str
    patient: str = Field(description="the name")
    control: Control
    owner: str | None = Field(description="the name")
    owner_id: str | None
    status: Status
    waiting_since: str | None
    escalation: Trigger | None = Field(description="why a person is needed")
    reminders: int = Field(description="how often staff were told again of this wait")
    last_message_at: str | None
    preview: str = Field(
        description="the beginning of the newest message that is not the text for an emergency"
    )
    unread: int = Field(description="messages of the patient that no member of staff has read")


class DeskReady(ServerFrame):
    """The token was good; these are the open cases, and `case` frames tell what changes.

    Who waits longest comes first, then who wrote last. If there are very many cases, the last of
    them follow as `case` frames.
    """

    type: Literal["ready"] = "ready"
    you: You
    exp: str | None = None
    cases: list[DeskCase]


class CaseFrame(ServerFrame, DeskCase):
    """The newest state of a case that was opened, or of which something has changed."""

    type: Literal["case"] = "case"


class CaseClosed(ServerFrame):
    """The case was closed or archived; if it is opened again, a `case` comes."""

    type: Literal["case_closed"] = "case_closed"
    case: str


class DeskPing(ServerFrame):
    """Nothing was sent to this desk for a while."""

    type: Literal["ping"] = "ping"


SERVER_FRAMES: Final[Mapping[str, type[ServerFrame]]] = MappingProxyType(
    {
        "hello": Hello,
        "ready": Ready,
        "event": EventFrame,
        "caught_up": CaughtUp,
        "reset": Reset,
        "ack": Ack,
        "error": Error,
        "page": Page,
        "run": RunSignalFrame,
        "delta": Delta,
        "draft": Draft,
        "typing": TypingSignal,
        "presence": PresenceSignal,
        "read": ReadSignal,
        "ping": PingFrame,
        "pong": PongFrame,
        "goodbye": Goodbye,
    }
)
DESK_SERVER_FRAMES: Final[Mapping[str, type[ServerFrame]]] = MappingProxyType(
    {
        "hello": Hello,
        "ready": DeskReady,
        "case": CaseFrame,
        "case_closed": CaseClosed,
        "ack": Ack,
        "error": Error,
        "ping": DeskPing,
        "pong": PongFrame,
        "goodbye": Goodbye,
    }
)
"""What the hub sends to a desk."""


def page_text(key: str | None, case: str, frames: Sequence[str], more: bool) -> str:
    """Write a `page` around event frames that are JSON already."""
    head = {"type": "page", **({} if key is None else {"key": key}), "case": case, "more": more}
    return f'{to_json(head)[:-1]},"events":[{",".join(frames)}]}}'


def desk_ready_text(you: You, exp: str | None, cases: Sequence[str]) -> str:
    """Write the `ready` of a desk around cases that are JSON already."""
    head = {"type": "ready", "you": you.model_dump(), **({} if exp is None else {"exp": exp})}
    return f'{to_json(head)[:-1]},"cases":[{",".join(cases)}]}}'


def text_message(text: str) -> bytes:
    """Write an unfragmented, unmasked text message of RFC 6455 section 5.2."""
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=False)


class WebSocketCodec:
    """The wire format of WebSocket readers: bytes that are ready for the transport."""

    def event(self, record: Record) -> bytes:
        return text_message(record.frame)

    def signal(self, signal: Signal) -> bytes:
        return text_message(signal.frame)


def instant(at: datetime | None) -> str | None:
    return None if at is None else timestamp(at)
