"""Between the AI and people: who asks for a person, who takes a case over, and how it goes back.

Everything here is pure; the rules stand in `rooms.core`.
"""

from typing import Final, Literal

from auth.principal import Principal, Role
from rooms.commands import Escalate, Recall, Release, Remind
from rooms.errors import Code, Rejected
from rooms.events import (
    SHUT,
    Actor,
    Control,
    ControlChange,
    Escalation,
    Event,
    Message,
    Reason,
    SenderType,
    Source,
    Trigger,
)
from rooms.runs import interrupt
from rooms.state import Alarm, Cause, Decision, Happening, RoomState, Task, Terms

UNACCEPTED: Final = "unaccepted"
"""The task that tells staff again of a case that waits."""
OWNER_AWAY: Final = "owner_away"
"""The task that takes a case back from an owner who is gone."""
LONGEST: Final = 12
"""Between two reminders lie at most this many times the first delay."""
SYSTEM: Final = Actor(SenderType.SYSTEM, None, "Curaway")
AWAY: Final = (
    "{name} had to step away. Your conversation is back in the queue, and a colleague will be "
    "with you as soon as possible. You need not repeat anything."
)


def escalate(state: RoomState, command: Escalate, by: Actor, terms: Terms) -> Decision:
    """Ask for a person; once asked, asking again changes nothing."""
    _require_coordinators(terms)
    if state.control is not Control.AI:
        return Decision()
    escalation = Escalation(trigger=command.trigger, reason=command.reason)
    happenings = (
        Event("escalation", by, escalation),
        _control(state, Control.WAITING, Reason.ESCALATED, by),
    )
    return Decision(happenings, 1, (_remind(state, terms, state.fence + 1, 0),))


def alarmed(state: RoomState, alarm: Alarm, message_id: str, by: Actor, terms: Terms) -> Decision:
    """Give what the words of a patient's message bring about besides the message."""
    happenings: list[Happening] = []
    if alarm.safety is not None:
        happenings.append(Event("message", SYSTEM, _says(alarm.safety, urgent=True)))
    if not terms.policy.coordinators or not _is_news(state, alarm):
        return Decision(tuple(happenings))
    escalation = Escalation(trigger=alarm.trigger, reason=alarm.reason, message_id=message_id)
    happenings.append(Event("escalation", by, escalation))
    if state.control is not Control.AI:
        return Decision(tuple(happenings))
    happenings.append(_control(state, Control.WAITING, Reason.ESCALATED, by))
    return Decision(tuple(happenings), tasks=(_remind(state, terms, state.fence + 1, 0),))


def _is_news(state: RoomState, alarm: Alarm) -> bool:
    """Tell whether staff do not know yet: an emergency is told once, another one anew."""
    if alarm.trigger is Trigger.RED_FLAG:
        return alarm.reason != state.red_flag
    return state.control is Control.AI


def accept(state: RoomState, by: Principal, terms: Terms) -> Decision:
    """Let exactly one person lead; the AI's answer ends with what was shown of it."""
    _require_coordinators(terms)
    if by.role not in (Role.COORDINATOR, Role.SUPERVISOR):
        raise Rejected(Code.FORBIDDEN, "Only coordinators may do this.")
    if state.control is Control.HUMAN:
        if state.owner_id == by.id:
            return Decision()
        raise Rejected(
            Code.CONFLICT,
            f"{state.owner_name} has accepted this case already.",
            {"owner": state.owner_name},
        )
    change = ControlChange(
        control=Control.HUMAN,
        owner=by.name[:200],
        owner_id=by.id,
        fence=state.fence + 1,
        reason=Reason.ACCEPTED,
    )
    ended = interrupt(state, Cause.TAKEOVER, terms)
    happenings = (*ended, Event("control", Actor(SenderType.COORDINATOR, by.id, by.name), change))
    details = {"fence": state.fence + 1}
    away = Task(OWNER_AWAY, state.case, terms.now + terms.policy.away_after, details)
    return Decision(happenings, len(ended), (away,))


def release(state: RoomState, command: Release, by: Principal, terms: Terms) -> Decision:
    """Give the case back to the AI, or to the queue of those that wait for a person."""
    if by.role not in (Role.COORDINATOR, Role.SUPERVISOR):
        raise Rejected(Code.FORBIDDEN, "Only coordinators may do this.")
    if state.control is not Control.HUMAN:
        raise Rejected(Code.CONFLICT, "Nobody has accepted this case. Accept it first.")
    if state.owner_id != by.id and by.role is not Role.SUPERVISOR:
        raise Rejected(
            Code.FORBIDDEN,
            f"{state.owner_name} has accepted this case. Only they or a supervisor release it.",
            {"owner": state.owner_name},
        )
    actor = Actor(SenderType.COORDINATOR, by.id, by.name)
    control = Control.AI if command.to == "ai" else Control.WAITING
    event = _control(state, control, Reason.RELEASED, actor, command.brief)
    if control is Control.AI:
        return Decision((event,))
    return Decision((event,), tasks=(_remind(state, terms, state.fence + 1, 0),))


def recall(state: RoomState, command: Recall, terms: Terms) -> Decision:
    """Take the case back from an owner who is gone; never silently, and never to the AI."""
    if state.control is not Control.HUMAN or state.fence != command.fence or state.status in SHUT:
        return Decision()
    reason = f"{state.owner_name} accepted this case and has had no connection since."
    return Decision(
        (
            Event("message", SYSTEM, _says(AWAY.format(name=state.owner_name))),
            Event("escalation", SYSTEM, Escalation(trigger=Trigger.OWNER_AWAY, reason=reason)),
            _control(state, Control.WAITING, Reason.OWNER_AWAY, SYSTEM),
        ),
        tasks=(_remind(state, terms, state.fence + 1, 0),),
    )


def remind(state: RoomState, command: Remind, terms: Terms) -> Decision:
    """Tell staff again of a case that waits; ever more rarely, and until somebody accepts."""
    if state.control is not Control.WAITING or state.fence != command.fence or state.status in SHUT:
        return Decision()
    escalation = Escalation(
        trigger=_trigger(state),
        reason="Nobody has accepted this case yet.",
        reminder=command.reminder,
    )
    task = _remind(state, terms, state.fence, command.reminder)
    return Decision((Event("escalation", SYSTEM, escalation),), tasks=(task,))


def reopened(state: RoomState, terms: Terms) -> tuple[Task, ...]:
    """Give the timers of a case that was closed, and with it its timers, and is open again."""
    if state.control is Control.WAITING:
        return (_remind(state, terms, state.fence, 0),)
    if state.control is Control.HUMAN:
        due = terms.now + terms.policy.away_after
        return (Task(OWNER_AWAY, state.case, due, {"fence": state.fence}),)
    return ()


def _control(
    state: RoomState, control: Control, reason: Reason, by: Actor, brief: str | None = None
) -> Event:
    change = ControlChange(control=control, fence=state.fence + 1, reason=reason, brief=brief)
    return Event("control", by, change)


def _trigger(state: RoomState) -> Trigger:
    """Tell why a person is needed, as well as this version can."""
    known = [trigger for trigger in Trigger if trigger == state.escalation]
    return known[0] if known else Trigger.RELEASED


def _remind(state: RoomState, terms: Terms, fence: int, told: int) -> Task:
    delay = terms.policy.alert_after * min(2**told, LONGEST)
    return Task(UNACCEPTED, state.case, terms.now + delay, {"fence": fence, "reminder": told + 1})


def _says(text: str, *, urgent: Literal[True] | None = None) -> Message:
    return Message(sender_type=SenderType.SYSTEM, source=Source.CHAT, text=text, urgent=urgent)


def _require_coordinators(terms: Terms) -> None:
    if not terms.policy.coordinators:
        raise Rejected(
            Code.FORBIDDEN,
            "There are no coordinators here: the flag `coordinator_enabled` is off.",
        )
