"""The core: what a command does to a room.

Rules, all of them enforced here and nowhere else:

1. A patient enters the cases of their own patient id; staff every case of their tenant. Whoever
   has no right gets the answer of a case that does not exist.
2. Only staff write notes, set the status, or send by another channel than the chat.
3. A closed case takes notes and a new status, but no messages. An archived one takes nothing.
4. A member of staff who says what they have seen (`seen`) does not answer past a newer message
   of somebody else, unless forced.
5. A status change changes the status.

Everything is pure: no clock, no ids, no loop, no database. `decide` and `evolve` run inside the
append transaction, so two processes cannot decide on the same state.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, assert_never

from auth.principal import Principal, Role
from rooms.commands import Command, RegisterPatient, SendMessage, SetStatus, WriteNote
from rooms.cursor import START, Cursor, tag_of
from rooms.errors import Code, Rejected, forbidden
from rooms.events import (
    KINDS,
    Actor,
    Audience,
    Control,
    Envelope,
    Event,
    Message,
    Note,
    PatientRegistered,
    SenderType,
    Source,
    Status,
    StatusChange,
)


@dataclass(frozen=True, slots=True)
class RoomState:
    """All that `decide` needs to know of a room."""

    case: str
    tenant: str
    patient_id: str
    patient_name: str
    status: Status = Status.INTAKE
    control: Control = Control.AI
    owner_id: str | None = None
    owner_name: str | None = None
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

    def head(self, audience: Audience) -> Cursor:
        return self.patient if audience is Audience.PATIENT else self.staff

    def newest_not_by(self, sender: str) -> int:
        """Staff `seq` of the newest message that `sender` did not write; 0 if there is none."""
        return self.last_other_seq if sender == self.last_message_by else self.last_message_seq


def audience_of(by: Principal) -> Audience:
    return Audience.STAFF if by.is_staff else Audience.PATIENT


def may_enter(state: RoomState, by: Principal) -> bool:
    """Apply rule 1."""
    if by.tenant != state.tenant:
        return False
    return by.is_staff or (by.patient_id is not None and by.patient_id == state.patient_id)


def decide(state: RoomState | None, command: Command, by: Principal) -> tuple[Event, ...]:
    """Tell what happens when `by` gives the command; the first event is the answer to its author.

    Raises:
        Rejected: a rule forbids it.

    """
    if isinstance(command, RegisterPatient):
        return _register(state, command, by)
    if state is None or not may_enter(state, by):
        raise forbidden()
    if state.status is Status.ARCHIVED:
        raise Rejected(Code.CLOSED, "This case is archived. Nothing can be added to it.")
    match command:
        case SendMessage():
            return (_message(state, command, by),)
        case WriteNote(text=text, mentions=mentions):
            _require_staff(by)
            return (Event("note", actor_of(by), Note(text=text, mentions=mentions)),)
        case SetStatus(status=status):
            return (_set_status(state, status, by),)
        case _:
            assert_never(command)


def evolve(state: RoomState, envelope: Envelope) -> RoomState:
    """Apply one event of the log."""
    changes: dict[str, Any] = {
        "staff": envelope.cursors[Audience.STAFF],
        "patient": envelope.cursors.get(Audience.PATIENT, state.patient),
    }
    match envelope.event.payload:
        case Message():
            changes |= _new_message(state, envelope)
        case StatusChange(to=status):
            changes["status"] = status
        case _:
            pass
    return replace(state, **changes)


def opened(case: str, command: RegisterPatient, tenant: str) -> RoomState:
    """Give the state of a case before its first event."""
    return RoomState(case, tenant, command.patient_id, command.name)


def number(state: RoomState, event: Event, event_id: str, at: datetime) -> Envelope:
    """Give an event its place in the log: the next number in each view that has it."""
    audiences = [Audience.STAFF]
    if KINDS[event.kind].patients_see_it:
        audiences.append(Audience.PATIENT)
    previous = {audience: state.head(audience) for audience in audiences}
    tag = tag_of(event_id)
    cursors = {audience: Cursor(head.seq + 1, tag) for audience, head in previous.items()}
    return Envelope(event, state.case, event_id, at, cursors, previous)


def actor_of(by: Principal) -> Actor:
    match by.role:
        case Role.PATIENT:
            return Actor(SenderType.PATIENT, by.id, by.name)
        case Role.COORDINATOR | Role.SUPERVISOR:
            return Actor(SenderType.COORDINATOR, by.id, by.name)
        case Role.SERVICE:
            return Actor(SenderType.SYSTEM, by.id, by.name)
        case _:
            assert_never(by.role)


def _register(state: RoomState | None, command: RegisterPatient, by: Principal) -> tuple[Event]:
    if state is not None:
        raise Rejected(Code.CONFLICT, "This case exists already.")
    if not by.is_staff and command.user_id != by.id:
        raise Rejected(Code.FORBIDDEN, "Patients register nobody but themselves.")
    payload = PatientRegistered(patient_id=command.patient_id, name=command.name)
    return (Event("patient", actor_of(by), payload),)


def _message(state: RoomState, command: SendMessage, by: Principal) -> Event:
    if state.status is Status.CLOSED:
        raise Rejected(
            Code.CLOSED, "This case is closed. A coordinator can open it again by its status."
        )
    if command.via is not Source.CHAT:
        _require_staff(by)
    if by.is_staff and command.seen is not None and not command.force:
        _require_seen(state, command.seen, by)
    actor = actor_of(by)
    payload = Message(
        sender_type=actor.type,
        source=command.via,
        text=command.text,
        cards=command.cards,
        attachments=command.attachments,
        reply_to=command.reply_to,
    )
    return Event("message", actor, payload)


def _set_status(state: RoomState, status: Status, by: Principal) -> Event:
    _require_staff(by)
    if status is state.status:
        raise Rejected(Code.CONFLICT, f"The status is {status.value} already.")
    return Event("status", actor_of(by), StatusChange(from_=state.status, to=status))


def _require_staff(by: Principal) -> None:
    if not by.is_staff:
        raise Rejected(Code.FORBIDDEN, "Only staff may do this.")


def _require_seen(state: RoomState, seen: int, by: Principal) -> None:
    if state.newest_not_by(by.id) > seen:
        raise Rejected(
            Code.STALE,
            "Somebody wrote after what you had seen. Read `missed`, then send again with the "
            "new `seen`, or with `force`.",
        )


def _new_message(state: RoomState, envelope: Envelope) -> dict[str, Any]:
    sender = envelope.event.actor.id
    same = sender == state.last_message_by
    return {
        "last_message_seq": envelope.cursors[Audience.STAFF].seq,
        "last_message_by": sender,
        "last_other_seq": state.last_other_seq if same else state.last_message_seq,
        "last_message_at": envelope.at,
    }
