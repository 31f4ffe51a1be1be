"""The core: what a command does to a room.

Rules, all of them enforced here and in the modules that this one calls, `rooms.takeover` and
`rooms.runs`, and nowhere else:

1. A patient enters the cases of their own patient id; staff every case of their tenant. Whoever
   has no right gets the answer of a case that does not exist.
2. Only staff write notes, set the status, or send by another channel than the chat.
3. A closed case takes notes, a new status, what back ends tell of the patient, and the patient's
   consent or its end, but no messages, no files and no takeover. An archived one takes nothing.
4. A member of staff who says what they have seen (`seen`) does not answer past a newer message
   of somebody else, unless forced.
5. A status change changes the status. A further case of a patient begins at intake; only the hub
   itself opens one.
6. The AI answers a patient's message unless a person leads the case. It can do two things: write
   that one answer, and ask for a person.
7. There is one answer at a time. A new message of the patient, `stop`, a takeover and the closing
   of the case end it; what was shown of it becomes a message before anything else happens.
8. Asking for a person makes the case wait; the AI goes on until somebody accepts. Once asked,
   asking again changes nothing, save that words of an emergency are told to staff too.
9. A patient's words of an emergency are answered with a fixed text at once, whoever leads.
10. Exactly one coordinator accepts. Only they or a supervisor release, to the AI or to the queue.
11. Each change of control raises the fence. What an answer from before a takeover would add is
    refused.
12. An owner who is gone loses the case to the queue, never to the AI, and nobody is left to guess.
13. Only other back ends tell what they did for a patient, and only in that patient's own cases.
    What a patient agrees to, they or the patient tell.
14. An answer that ended before it was whole is given again if somebody asks for it: once, and only
    while the patient has not written and no person has led the case since.
15. A file becomes a part of the case if whoever sent it confirms it, once.

Everything is pure: no clock, no ids, no loop, no database; time and ids are handed in. `decide`,
`evolve` and `advance` run inside the append transaction, so two processes cannot decide on the
same state.
"""

from typing import assert_never

from auth.principal import Principal, Role
from rooms import runs, takeover
from rooms.commands import (
    Accept,
    Command,
    ConfirmUpload,
    Continue,
    Emit,
    Escalate,
    Finish,
    MarkRead,
    OpenCase,
    Opening,
    Recall,
    RegisterPatient,
    Release,
    Remind,
    Retry,
    SendMessage,
    SetStatus,
    Stop,
    WriteNote,
)
from rooms.errors import Code, Rejected, forbidden, unknown_upload
from rooms.events import (
    SHUT,
    Actor,
    Control,
    Event,
    Message,
    Note,
    SenderType,
    Source,
    Status,
    StatusChange,
    Trigger,
)
from rooms.patient_events import (
    ConsentGranted,
    ConsentRevoked,
    DocumentUploaded,
    PatientRegistered,
    kind_of,
)
from rooms.state import Cause, Decision, Happening, RoomState, Seen, Task, Terms, may_enter


def decide(state: RoomState | None, command: Command, by: Principal, terms: Terms) -> Decision:
    """Tell what happens when `by` gives the command.

    Raises:
        Rejected: a rule forbids it.

    """
    if isinstance(command, Opening):
        return Decision((_open(state, command, by),))
    state = _entered(state, by)
    if isinstance(command, Emit):
        return Decision((_emit(state, command, by),))
    if isinstance(command, Continue | Finish | Remind | Recall):
        return _of_the_hub(state, command, by, terms)
    if by.role is Role.AI and not isinstance(command, Escalate):
        raise Rejected(Code.FORBIDDEN, "The AI may not do this.")
    if isinstance(command, ConfirmUpload):
        return _confirm(state, by, terms)
    return _of_people(state, command, by, terms)


def actor_of(by: Principal) -> Actor:
    match by.role:
        case Role.PATIENT:
            return Actor(SenderType.PATIENT, by.id, by.name)
        case Role.COORDINATOR | Role.SUPERVISOR:
            return Actor(SenderType.COORDINATOR, by.id, by.name)
        case Role.SERVICE:
            return Actor(SenderType.SYSTEM, by.id, by.name)
        case Role.AI:
            return runs.ASSISTANT
        case _:
            assert_never(by.role)


def _entered(state: RoomState | None, by: Principal) -> RoomState:
    if state is None or not may_enter(state, by):
        raise forbidden()
    if state.status is Status.ARCHIVED:
        raise Rejected(Code.CLOSED, "This case is archived. Nothing can be added to it.")
    return state


def _of_people(
    state: RoomState,
    command: SendMessage
    | WriteNote
    | SetStatus
    | MarkRead
    | Stop
    | Retry
    | Escalate
    | Accept
    | Release,
    by: Principal,
    terms: Terms,
) -> Decision:
    match command:
        case SendMessage():
            return _message(state, command, by, terms)
        case WriteNote(text=text, mentions=mentions):
            _require_staff(by)
            return Decision((Event("note", actor_of(by), Note(text=text, mentions=mentions)),))
        case SetStatus(status=status):
            return _set_status(state, status, by, terms)
        case MarkRead(seq=seq):
            _require_staff(by)
            return Decision((Seen(),) if state.unread and seq >= state.last_message_seq else ())
        case Stop():
            return runs.stop(state, command, terms)
        case Retry():
            _require_open(state)
            return runs.retry(state, command, terms)
        case Escalate() | Accept() | Release():
            return _hand_over(state, command, by, terms)
        case _:
            assert_never(command)


def _of_the_hub(
    state: RoomState,
    command: Continue | Finish | Remind | Recall,
    by: Principal,
    terms: Terms,
) -> Decision:
    """Do what no client can ask for."""
    match command:
        case Continue() if by.role is Role.AI:
            return runs.proceed(state, command, terms)
        case Finish() if by.role is Role.AI:
            return runs.finish(state, command, terms)
        case Remind() if by.role is Role.SERVICE:
            return takeover.remind(state, command, terms)
        case Recall() if by.role is Role.SERVICE:
            return takeover.recall(state, command, terms)
        case _:
            raise Rejected(Code.FORBIDDEN, "Only the hub itself may do this.")


def _hand_over(
    state: RoomState, command: Escalate | Accept | Release, by: Principal, terms: Terms
) -> Decision:
    _require_open(state)
    match command:
        case Escalate(run=run):
            if by.role is Role.AI:
                runs.writable(state, run)
            return takeover.escalate(state, command, actor_of(by), terms)
        case Accept():
            return takeover.accept(state, by, terms)
        case Release():
            return takeover.release(state, command, by, terms)
        case _:
            assert_never(command)


def _open(state: RoomState | None, command: Opening, by: Principal) -> Event:
    if state is not None:
        raise Rejected(Code.CONFLICT, "This case exists already.")
    match command:
        case RegisterPatient():
            return _register(command, by)
        case OpenCase():
            return _open_further(by)
        case _:
            assert_never(command)


def _open_further(by: Principal) -> Event:
    if by.role is not Role.SERVICE:
        raise Rejected(Code.FORBIDDEN, "Only the hub itself may do this.")
    change = StatusChange(from_=Status.INTAKE, to=Status.INTAKE)
    return Event("status", actor_of(by), change)


def _register(command: RegisterPatient, by: Principal) -> Event:
    if not by.is_staff and command.user_id != by.id:
        raise Rejected(Code.FORBIDDEN, "Patients register nobody but themselves.")
    payload = PatientRegistered(patient_id=command.patient_id, name=command.name)
    return Event("patient", actor_of(by), payload)


def _emit(state: RoomState, command: Emit, by: Principal) -> Event:
    consent = isinstance(command.payload, ConsentGranted | ConsentRevoked)
    if by.role is not Role.SERVICE and not (consent and by.role is Role.PATIENT):
        who = "the patient and other back ends" if consent else "other back ends"
        raise Rejected(Code.FORBIDDEN, f"Only {who} may do this.")
    if command.patient_id != state.patient_id:
        raise forbidden()
    payload = command.payload
    if isinstance(payload, PatientRegistered) and payload.patient_id != state.patient_id:
        raise Rejected(Code.FORBIDDEN, "The payload names another patient.")
    return Event(kind_of(payload), actor_of(by), payload)


def _confirm(state: RoomState, by: Principal, terms: Terms) -> Decision:
    upload = terms.upload
    if upload is None or upload.case != state.case or upload.sender != by.id:
        raise unknown_upload()
    if upload.confirmed:
        return Decision()
    _require_open(state)
    payload = DocumentUploaded(
        document_id=upload.id,
        name=upload.name,
        content_type=upload.content_type,
        size=upload.size,
    )
    return Decision((Event(kind_of(payload), actor_of(by), payload),))


def _message(state: RoomState, command: SendMessage, by: Principal, terms: Terms) -> Decision:
    if state.status is Status.CLOSED and terms.alarm is not None and terms.alarm.safety is not None:
        # Nothing can be put into a closed case, and yet this must be said.
        raise Rejected(Code.CLOSED, f"{terms.alarm.safety} (This case is closed.)")
    _require_open(state)
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
    if by.is_staff:
        return Decision((Event("message", actor, payload),))
    return _patient_message(state, Event("message", actor, payload, terms.new_id("message")), terms)


def _patient_message(state: RoomState, event: Event, terms: Terms) -> Decision:
    """Let a patient's message happen, with what its words set off and the answer to it."""
    ended = runs.interrupt(state, Cause.MESSAGE, terms)
    happenings: list[Happening] = [*ended, event]
    tasks: list[Task] = []
    alarm = terms.alarm
    if alarm is not None:
        assert event.id is not None  # noqa: S101 - it was given beforehand, to be referred to here
        alarmed = takeover.alarmed(state, alarm, event.id, event.actor, terms)
        happenings += alarmed.happenings
        tasks += alarmed.tasks
    emergency = alarm is not None and alarm.trigger is Trigger.RED_FLAG
    if terms.policy.ai and state.control is not Control.HUMAN and not emergency:
        step, task = runs.begin(state, terms)
        happenings.append(step)
        tasks.append(task)
    return Decision(tuple(happenings), len(ended), tuple(tasks))


def _set_status(state: RoomState, status: Status, by: Principal, terms: Terms) -> Decision:
    _require_staff(by)
    if status is state.status:
        raise Rejected(Code.CONFLICT, f"The status is {status.value} already.")
    event = Event("status", actor_of(by), StatusChange(from_=state.status, to=status))
    ended = runs.interrupt(state, Cause.CLOSED, terms) if status in SHUT else ()
    opens = state.status in SHUT and status not in SHUT
    return Decision((*ended, event), len(ended), takeover.reopened(state, terms) if opens else ())


def _require_staff(by: Principal) -> None:
    if not by.is_staff:
        raise Rejected(Code.FORBIDDEN, "Only staff may do this.")


def _require_open(state: RoomState) -> None:
    if state.status is Status.CLOSED:
        raise Rejected(
            Code.CLOSED, "This case is closed. A coordinator can open it again by its status."
        )


def _require_seen(state: RoomState, seen: int, by: Principal) -> None:
    if state.newest_not_by(by.id) > seen:
        raise Rejected(
            Code.STALE,
            "Somebody wrote after what you had seen. Read `missed`, then send again with the "
            "new `seen`, or with `force`.",
        )
