"""The state of a room, and how what happens changes it.

Invariant: the state holds all that a decision needs, and follows from what happened alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, TypeAlias, assert_never

from auth.principal import Principal
from rooms.commands import Opening
from rooms.cursor import START, Cursor, tag_of
from rooms.events import (
    KINDS,
    Audience,
    Control,
    ControlChange,
    Envelope,
    Escalation,
    Event,
    Message,
    SenderType,
    Status,
    StatusChange,
    Trigger,
)

PREVIEW: Final = 120
"""Characters of a message that the desk shows."""


@dataclass(frozen=True, slots=True)
class Run:
    """An answer that the AI is writing, as far as it is."""

    id: str
    fence: int
    """The fence of the room when it began."""
    text: str = ""
    """Stored before anybody sees it: what a reader was shown is the beginning of this."""
    ends: tuple[int, ...] = ()
    """Where each piece of the text ends."""

    @property
    def pieces(self) -> int:
        return len(self.ends)

    def plus(self, text: str) -> "Run":
        whole = self.text + text
        return replace(self, text=whole, ends=(*self.ends, len(whole)))

    def piece(self, i: int) -> str:
        return self.text[self.ends[i - 1] if i else 0 : self.ends[i]]


@dataclass(frozen=True, slots=True)
class RoomState:
    """All that `decide` needs to know of a room."""

    case: str
    tenant: str
    patient_id: str
    patient_name: str
    opened_at: datetime | None = None
    status: Status = Status.INTAKE
    control: Control = Control.AI
    fence: int = 0
    """Grows with each change of control."""
    ai_fence: int = 0
    """The fence of the newest takeover: what an older run writes is no longer wanted."""
    owner_id: str | None = None
    owner_name: str | None = None
    waiting_since: datetime | None = None
    escalation: str | None = None
    """Why a person is needed, since the AI last led alone; an emergency outweighs all else. Mostly
    a `Trigger`; what a newer version calls otherwise is kept as it is."""
    red_flag: str | None = None
    """The newest emergency that staff were told of, since the AI last led alone."""
    reminders: int = 0
    """How often staff were told again of this wait."""
    run: Run | None = None
    unfinished: str | None = None
    """The newest answer, if it ended before it was whole, the patient has not written since, and
    no person has led the case since."""
    staff: Cursor = START
    """Head of the staff's view, which is the whole log."""
    patient: Cursor = START
    """Head of the patient's view."""
    last_message_seq: int = 0
    """Staff `seq` of the newest message."""
    last_message_by: str | None = None
    last_other_seq: int = 0
    """Staff `seq` of the newest message by anybody but `last_message_by`."""
    last_message_at: datetime | None = None
    preview: str = ""
    """The beginning of the newest message that is not the text for an emergency."""
    unread: int = 0
    """Messages of the patient that no member of staff has read."""

    def head(self, audience: Audience) -> Cursor:
        return self.patient if audience is Audience.PATIENT else self.staff

    def newest_not_by(self, sender: str) -> int:
        """Staff `seq` of the newest message that `sender` did not write; 0 if there is none."""
        return self.last_other_seq if sender == self.last_message_by else self.last_message_seq


class RunState(StrEnum):
    """How far the AI is with an answer."""

    THINKING = "thinking"
    WRITING = "writing"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def over(self) -> bool:
        return self in (RunState.DONE, RunState.STOPPED, RunState.FAILED)


class Cause(StrEnum):
    """Who ended an answer before it was whole."""

    MESSAGE = "message"
    """The patient, by writing on."""
    STOP = "stop"
    TAKEOVER = "takeover"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the AI: its text, how far it is, and the message that holds it at last."""

    run: Run
    state: RunState
    message_id: str | None


@dataclass(frozen=True, slots=True)
class Progress:
    """A step of a run; shown as a signal, and never in the log."""

    run: str
    fence: int
    state: RunState
    i: int | None = None
    """The number of the piece; None: the step has no text."""
    text: str = ""
    message_id: str | None = None
    """The message that holds the answer, when it is over."""
    cause: Cause | None = None
    """Who ended it; for metrics only."""
    begun: int | None = None
    """The head of the staff's view when the run began: it tells what is late. None: not told."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Staff have read what the patient wrote."""


Happening: TypeAlias = Event | Progress | Seen
"""What a command brings about: an event goes into the log, the others change the state only."""


@dataclass(frozen=True, slots=True)
class Task:
    """Work that must be done after the commit, by any process."""

    kind: str
    case: str
    due: datetime
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens, in order, and what is promised with it."""

    happenings: tuple[Happening, ...] = ()
    answer: int = 0
    """Which of the happenings is the event that answers the author of the command."""
    tasks: tuple[Task, ...] = ()


@dataclass(frozen=True, slots=True)
class Alarm:
    """What a patient's words set off."""

    trigger: Trigger
    reason: str
    """For staff."""
    safety: str | None = None
    """What the patient must be told at once; None: nothing."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was received; once it is confirmed, it belongs to the case."""

    id: str
    case: str
    sender: str
    name: str
    content_type: str
    size: int
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """What a tenant has switched on, and how long people may take."""

    ai: bool = False
    """Patients are answered by the AI while no person leads their case."""
    coordinators: bool = True
    """There are coordinators who can take cases over."""
    streaming: bool = True
    """Answers are shown while they are being written."""
    sse: bool = True
    """There are SSE streams."""
    alert_after: timedelta = timedelta(minutes=5)
    """How long a case waits before staff are told again."""
    away_after: timedelta = timedelta(minutes=10)
    """How long an owner may be without a connection."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a command meets besides the state of the room."""

    now: datetime
    new_id: Callable[[str], str]
    policy: Policy = Policy()
    alarm: Alarm | None = None
    """What the words of this message set off."""
    upload: Upload | None = None
    """The file that this command names."""


def audience_of(by: Principal) -> Audience:
    return Audience.STAFF if by.is_staff else Audience.PATIENT


def may_enter(state: RoomState, by: Principal) -> bool:
    """Tell whether somebody has a right to the case (rule 1 of the core)."""
    if by.tenant != state.tenant:
        return False
    return by.is_staff or (by.patient_id is not None and by.patient_id == state.patient_id)


def opened(case: str, command: Opening, tenant: str, at: datetime) -> RoomState:
    """Give the state of a case before its first event."""
    return RoomState(case, tenant, command.patient_id, command.name, opened_at=at)


def number(state: RoomState, event: Event, event_id: str, at: datetime) -> Envelope:
    """Give an event its place in the log: the next number in each view that has it."""
    audiences = [Audience.STAFF]
    if KINDS[event.kind].patient_fields(type(event.payload)):
        audiences.append(Audience.PATIENT)
    previous = {audience: state.head(audience) for audience in audiences}
    tag = tag_of(event_id)
    cursors = {audience: Cursor(head.seq + 1, tag) for audience, head in previous.items()}
    return Envelope(event, state.case, event_id, at, cursors, previous)


def evolve(state: RoomState, envelope: Envelope) -> RoomState:
    """Apply one event of the log."""
    changes: dict[str, Any] = {
        "staff": envelope.cursors[Audience.STAFF],
        "patient": envelope.cursors.get(Audience.PATIENT, state.patient),
    }
    match envelope.event.payload:
        case Message():
            changes |= _new_message(state, envelope, envelope.event.payload)
        case StatusChange(to=status):
            changes["status"] = status
        case ControlChange():
            changes |= _new_control(state, envelope, envelope.event.payload)
        case Escalation(trigger=trigger, reason=reason, reminder=reminder):
            # An emergency stays one, whatever else is told of the case.
            changes["escalation"] = Trigger.RED_FLAG if state.red_flag is not None else trigger
            if reminder:
                changes["reminders"] = reminder
            elif trigger is Trigger.RED_FLAG:
                changes["red_flag"] = reason
        case _:
            pass
    return replace(state, **changes)


def advance(state: RoomState, step: Progress | Seen) -> RoomState:
    """Apply something that is not in the log."""
    match step:
        case Seen():
            return replace(state, unread=0)
        case Progress():
            broken = step.state in (RunState.STOPPED, RunState.FAILED)
            unfinished = step.run if broken else None
            return replace(state, run=_next_run(state.run, step), unfinished=unfinished)
        case _:
            assert_never(step)


def _next_run(run: Run | None, step: Progress) -> Run | None:
    if step.state is RunState.THINKING:
        return Run(step.run, step.fence)
    if step.state.over or run is None:
        return None
    return run if step.i is None else run.plus(step.text)


def _new_message(state: RoomState, envelope: Envelope, message: Message) -> dict[str, Any]:
    sender = envelope.event.actor.id
    same = sender == state.last_message_by
    unread = {SenderType.PATIENT: state.unread + 1, SenderType.COORDINATOR: 0}
    return {
        "last_message_seq": envelope.cursors[Audience.STAFF].seq,
        "last_message_by": sender,
        "last_other_seq": state.last_other_seq if same else state.last_message_seq,
        "last_message_at": envelope.at,
        # The words of the patient say more than the fixed text that follows them.
        "preview": state.preview if message.urgent else message.text[:PREVIEW],
        "unread": unread.get(message.sender_type, state.unread),
        "unfinished": None if message.sender_type is SenderType.PATIENT else state.unfinished,
    }


def _new_control(state: RoomState, envelope: Envelope, change: ControlChange) -> dict[str, Any]:
    human = change.control is Control.HUMAN
    waiting = change.control is Control.WAITING
    alone = change.control is Control.AI
    return {
        "control": change.control,
        "fence": change.fence,
        "ai_fence": change.fence if human else state.ai_fence,
        "owner_id": change.owner_id if human else None,
        "owner_name": change.owner if human else None,
        "waiting_since": envelope.at if waiting else None,
        "escalation": None if alone else state.escalation,
        "red_flag": None if alone else state.red_flag,
        "reminders": 0,
        "unfinished": None if human else state.unfinished,
    }
