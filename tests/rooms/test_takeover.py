"""Rules 8 to 12: who asks for a person, who takes a case over, and how it goes back."""

from dataclasses import replace
from datetime import timedelta
from typing import Literal

import pytest

from auth.principal import Principal
from rooms.commands import (
    Accept,
    Command,
    Continue,
    Escalate,
    Finish,
    Recall,
    Release,
    Remind,
    SetStatus,
    WriteNote,
)
from rooms.errors import Code
from rooms.events import (
    Actor,
    Control,
    ControlChange,
    Escalation,
    Event,
    Message,
    Reason,
    SenderType,
    Status,
    Trigger,
)
from rooms.state import Alarm, Policy, RoomState, Run, Task
from rooms.takeover import OWNER_AWAY, UNACCEPTED
from tests.rooms.kit import (
    ANSWERING,
    ASSISTANT,
    CASE,
    LEE,
    MARIA,
    NOW,
    PRIYA,
    SAM,
    SERVICE,
    say,
)
from tests.rooms.story import (
    ALARMS,
    CHEST,
    NEWEST,
    PANIC,
    PERSON,
    ROOM,
    decided,
    decision,
    refusal,
    story,
)

WRITING = replace(ROOM, run=Run("run_1", 0))
WAITING = replace(ROOM, control=Control.WAITING, fence=1, escalation=Trigger.BUTTON)
LED = replace(
    WAITING, control=Control.HUMAN, fence=2, ai_fence=2, owner_id=PRIYA.id, owner_name="Priya"
)
NOBODY = Policy(ai=True, coordinators=False)


def payloads(state: RoomState, command: Command, by: Principal, **terms: object) -> list[object]:
    found = decided(state, command, by, **terms)
    return [each.payload for each in found if isinstance(each, Event)]


def change(control: Control, fence: int, reason: Reason, **members: object) -> ControlChange:
    return ControlChange.model_validate(
        {"control": control, "fence": fence, "reason": reason, **members}
    )


def reminder(after: timedelta, fence: int, number: int) -> Task:
    return Task(UNACCEPTED, CASE, NOW + after, {"fence": fence, "reminder": number})


# Rule 8: asking for a person.


@pytest.mark.parametrize("by", [MARIA, PRIYA, SAM, SERVICE, ASSISTANT])
def test_anybody_in_the_room_may_ask_for_a_person(by: Principal) -> None:
    asking = Escalate("I am stuck", Trigger.MODEL, "run_1")
    found = decision(WRITING, asking, by)
    assert payloads(WRITING, asking, by) == [
        Escalation(trigger=Trigger.MODEL, reason="I am stuck"),
        change(Control.WAITING, 1, Reason.ESCALATED),
    ]
    assert found.answer == 1, "the answer is an event that patients see"
    assert found.tasks == (reminder(timedelta(minutes=5), 1, 1),)


@pytest.mark.parametrize("state", [WAITING, LED])
@pytest.mark.parametrize("by", [MARIA, PRIYA, SAM, SERVICE])
def test_asking_again_changes_nothing(state: RoomState, by: Principal) -> None:
    found = decision(state, Escalate("Again"), by)
    assert (found.happenings, found.tasks) == ((), ())


def test_the_ai_asks_again_in_vain_and_not_at_all_once_its_answer_is_over() -> None:
    waiting = replace(WAITING, run=Run("run_1", WAITING.fence))
    found = decision(waiting, Escalate("Again", Trigger.MODEL, "run_1"), ASSISTANT)
    assert (found.happenings, found.tasks) == ((), ())
    for state in (ROOM, WAITING, LED, replace(ROOM, run=Run("run_2", 0))):
        late = Escalate("Late", Trigger.MODEL, "run_1")
        assert refusal(state, late, ASSISTANT).code is Code.CONFLICT


def test_the_ai_goes_on_while_the_patient_waits() -> None:
    told = story(
        (say("Hello"), MARIA),
        (Continue(NEWEST, 0, "Good "), ASSISTANT),
        (Escalate(), MARIA),
        (Continue(NEWEST, 0, "day"), ASSISTANT),
        (Finish(NEWEST, "!", "final"), ASSISTANT),
        (say("Still there?"), MARIA),
    )
    assert [message.text for message in told.messages(SenderType.AI)] == ["Good day!"]
    assert told.room.run is not None
    assert (told.room.control, told.room.waiting_since) == (
        Control.WAITING,
        NOW + timedelta(seconds=3),
    )


def test_words_that_ask_for_a_person_do_so() -> None:
    told = story((say(PERSON), MARIA))
    assert told.kinds == ["patient", "message", "escalation", "control"]
    escalation = told.envelopes[2].event.payload
    assert isinstance(escalation, Escalation)
    assert (escalation.trigger, escalation.message_id) == (Trigger.PHRASE, told.envelopes[1].id)
    assert told.room.run is not None, "the AI goes on"
    assert [task.kind for task in told.tasks] == [UNACCEPTED, "reply"]


@pytest.mark.parametrize("state", [WAITING, LED])
def test_words_that_ask_for_a_person_again_change_nothing(state: RoomState) -> None:
    assert len(decided(state, say(PERSON), MARIA, alarm=ALARMS[PERSON])) == 1


@pytest.mark.parametrize("by", [MARIA, PRIYA, ASSISTANT])
def test_where_there_are_no_coordinators_nobody_is_asked_for(by: Principal) -> None:
    assert refusal(WRITING, Escalate(run="run_1"), by, policy=NOBODY).code is Code.FORBIDDEN
    for words in (PERSON, PANIC):
        assert len(decided(ROOM, say(words), MARIA, policy=NOBODY, alarm=ALARMS[words])) >= 1
        told = story((say(words), MARIA), policy=NOBODY)
        assert told.kinds == ["patient", "message"]
        assert told.room.control is Control.AI


# Rule 9: emergencies.


@pytest.mark.parametrize("state", [ROOM, WAITING, LED])
@pytest.mark.parametrize("policy", [ANSWERING, Policy(), NOBODY])
def test_an_emergency_is_answered_at_once_whoever_leads(state: RoomState, policy: Policy) -> None:
    found = decided(state, say(CHEST), MARIA, policy=policy, alarm=ALARMS[CHEST])
    answer = found[1]
    assert isinstance(answer, Event)
    assert answer.actor == Actor(SenderType.SYSTEM, None, "Curaway")
    assert isinstance(answer.payload, Message)
    assert answer.payload.text == "Call 112 now."


def test_an_emergency_makes_the_case_wait_for_a_person() -> None:
    told = story((say(CHEST), MARIA))
    assert told.kinds == ["patient", "message", "message", "escalation", "control"]
    assert (told.room.control, told.room.escalation) == (Control.WAITING, Trigger.RED_FLAG)
    assert told.room.run is None, "the fixed text is the answer"
    assert told.room.preview == CHEST, "the desk shows what the patient said"
    assert [message.urgent for message in told.messages(SenderType.SYSTEM)] == [True]


@pytest.mark.parametrize("state", [WAITING, LED])
def test_staff_are_told_of_an_emergency_although_a_person_was_asked_for(state: RoomState) -> None:
    found = payloads(state, say(CHEST), MARIA, alarm=ALARMS[CHEST])
    assert found[2:] == [
        Escalation(trigger=Trigger.RED_FLAG, reason=ALARMS[CHEST].reason, message_id="message_1_1")
    ]


def test_an_emergency_that_staff_were_told_of_is_not_told_again() -> None:
    told = story((say(CHEST), MARIA), (say(CHEST), MARIA))
    assert told.kinds.count("escalation") == 1
    assert [message.text for message in told.messages(SenderType.SYSTEM)] == ["Call 112 now."] * 2


def test_staff_cannot_set_off_an_alarm_by_their_words() -> None:
    assert len(decided(ROOM, say(CHEST), PRIYA, alarm=ALARMS[CHEST])) == 1


def test_another_emergency_is_told_to_staff_anew() -> None:
    told = story((say(PANIC), MARIA), (Accept(), PRIYA), (say(PANIC), MARIA))
    assert told.kinds.count("escalation") == 1
    other = Alarm(Trigger.RED_FLAG, "red flag: self-harm", "You are not alone.")
    (safety, escalation) = decided(told.room, say("I want to die"), MARIA, alarm=other)[1:]
    assert isinstance(safety, Event)
    assert isinstance(escalation, Event)
    assert escalation.payload == Escalation(
        trigger=Trigger.RED_FLAG, reason="red flag: self-harm", message_id="message_1_1"
    )


def test_the_text_for_an_emergency_reaches_a_patient_whose_case_is_closed() -> None:
    closed = replace(ROOM, status=Status.CLOSED)
    refused = refusal(closed, say(CHEST), MARIA, alarm=ALARMS[CHEST])
    assert refused.code is Code.CLOSED
    assert refused.message.startswith(str(ALARMS[CHEST].safety))


# Rule 10: exactly one accepts, and who may release.


@pytest.mark.parametrize("state", [ROOM, WAITING])
@pytest.mark.parametrize("by", [PRIYA, SAM])
def test_a_coordinator_accepts_whether_or_not_somebody_asked(
    state: RoomState, by: Principal
) -> None:
    found = decision(state, Accept(), by)
    fence = state.fence + 1
    accepted = change(Control.HUMAN, fence, Reason.ACCEPTED, owner=by.name, owner_id=by.id)
    assert payloads(state, Accept(), by) == [accepted]
    away = Task(OWNER_AWAY, CASE, NOW + timedelta(minutes=10), {"fence": fence})
    assert (found.answer, found.tasks) == (0, (away,))


@pytest.mark.parametrize("by", [MARIA, SERVICE, ASSISTANT])
@pytest.mark.parametrize("state", [ROOM, WAITING, LED])
def test_nobody_but_coordinators_accepts_or_releases(state: RoomState, by: Principal) -> None:
    for command in (Accept(), Release(), Release("queue")):
        assert refusal(state, command, by).code is Code.FORBIDDEN


def test_whoever_may_have_a_token_may_accept() -> None:
    by = replace(PRIYA, id="x" * 255, name="y" * 300)
    assert payloads(WAITING, Accept(), by) == [
        change(Control.HUMAN, 2, Reason.ACCEPTED, owner="y" * 200, owner_id="x" * 255)
    ]


def test_who_comes_second_learns_who_came_first() -> None:
    for by in (LEE, SAM):
        error = refusal(LED, Accept(), by)
        assert (error.code, error.details) == (Code.CONFLICT, {"owner": "Priya"})
        assert "Priya" in error.message


def test_who_accepts_again_has_accepted_already() -> None:
    found = decision(LED, Accept(), PRIYA)
    assert (found.happenings, found.tasks) == ((), ())


def test_where_there_are_no_coordinators_nobody_accepts_but_who_leads_may_release() -> None:
    assert refusal(ROOM, Accept(), PRIYA, policy=NOBODY).code is Code.FORBIDDEN
    assert decided(LED, Release(), PRIYA, policy=NOBODY)


@pytest.mark.parametrize("by", [PRIYA, SAM])
@pytest.mark.parametrize(("to", "control"), [("ai", Control.AI), ("queue", Control.WAITING)])
def test_the_owner_or_a_supervisor_gives_the_case_back(
    by: Principal, to: Literal["ai", "queue"], control: Control
) -> None:
    found = decision(LED, Release(to, "She prefers mornings"), by)
    assert payloads(LED, Release(to, "She prefers mornings"), by) == [
        change(control, 3, Reason.RELEASED, brief="She prefers mornings")
    ]
    waits = (reminder(timedelta(minutes=5), 3, 1),) if to == "queue" else ()
    assert found.tasks == waits, "whoever waits is not forgotten"


def test_another_coordinator_does_not_release() -> None:
    error = refusal(LED, Release(), LEE)
    assert (error.code, error.details) == (Code.FORBIDDEN, {"owner": "Priya"})


@pytest.mark.parametrize("state", [ROOM, WAITING])
@pytest.mark.parametrize("by", [PRIYA, SAM])
def test_what_nobody_accepted_cannot_be_released(state: RoomState, by: Principal) -> None:
    assert refusal(state, Release(), by).code is Code.CONFLICT


def test_a_release_to_the_ai_begins_anew() -> None:
    told = story((say(CHEST), MARIA), (Accept(), PRIYA), (Release(), PRIYA), (say(PERSON), MARIA))
    assert told.room.control is Control.WAITING
    assert told.room.escalation is Trigger.PHRASE
    assert told.kinds.count("escalation") == 2


def test_a_person_who_leads_may_say_and_note_what_they_like_and_so_may_others() -> None:
    for by in (PRIYA, LEE, SAM, SERVICE):
        assert decided(LED, say("Hi"), by)
        assert decided(LED, WriteNote("Hm"), by)


# Rule 11: the fence.


def test_each_change_of_control_raises_the_fence_and_a_takeover_that_of_the_ai() -> None:
    told = story(
        (Escalate(), MARIA),
        (Accept(), PRIYA),
        (Release("queue"), PRIYA),
        (Accept(), LEE),
        (Release(), SAM),
    )
    fences = [(each.control, each.fence) for each in told.changes]
    assert fences == [
        (Control.WAITING, 1),
        (Control.HUMAN, 2),
        (Control.WAITING, 3),
        (Control.HUMAN, 4),
        (Control.AI, 5),
    ]
    assert (told.room.fence, told.room.ai_fence) == (5, 4)


# Rule 12: an owner who is gone, and a case that waits.


def test_an_owner_who_is_gone_loses_the_case_to_the_queue_and_everybody_is_told() -> None:
    found = decision(LED, Recall(2), SERVICE)
    message, escalation, control = payloads(LED, Recall(2), SERVICE)
    assert isinstance(message, Message)
    assert "Priya" in message.text
    assert isinstance(escalation, Escalation)
    assert escalation.trigger is Trigger.OWNER_AWAY
    assert control == change(Control.WAITING, 3, Reason.OWNER_AWAY)
    assert found.tasks == (reminder(timedelta(minutes=5), 3, 1),)


@pytest.mark.parametrize(
    "state",
    [
        ROOM,
        WAITING,
        replace(LED, fence=4),
        replace(LED, status=Status.CLOSED),
        replace(LED, control=Control.WAITING, owner_id=None),
    ],
)
def test_a_timer_of_before_takes_nothing_back(state: RoomState) -> None:
    found = decision(state, Recall(2), SERVICE)
    assert (found.happenings, found.tasks) == ((), ())


def test_staff_are_told_again_of_a_case_that_waits_and_ever_more_rarely() -> None:
    delays = []
    for number in range(1, 8):
        found = decision(WAITING, Remind(1, number), SERVICE)
        (escalation,) = payloads(WAITING, Remind(1, number), SERVICE)
        assert isinstance(escalation, Escalation)
        assert (escalation.trigger, escalation.reminder) == (Trigger.BUTTON, number)
        (task,) = found.tasks
        assert task.details == {"fence": 1, "reminder": number + 1}
        delays.append((task.due - NOW) / timedelta(minutes=5))
    assert delays == [2, 4, 8, 12, 12, 12, 12]


def test_an_emergency_stays_one_until_the_ai_leads_again() -> None:
    away = ((say(CHEST), MARIA), (Accept(), PRIYA), (Recall(0), SERVICE))
    told = story(*away)
    assert told.kinds.count("escalation") == 2
    assert (told.room.control, told.room.escalation) == (Control.WAITING, Trigger.RED_FLAG)
    assert story(*away, (Accept(), PRIYA), (Release(), PRIYA)).room.escalation is None


def test_the_state_tells_how_often_staff_were_reminded_of_this_wait() -> None:
    waits = ((Escalate(), MARIA), (Remind(0, 1), SERVICE), (Remind(0, 2), SERVICE))
    assert story(*waits).room.reminders == 2
    assert story(*waits, (say(CHEST), MARIA)).room.reminders == 2
    assert story(*waits, (Accept(), PRIYA), (Release(to="queue"), PRIYA)).room.reminders == 0


@pytest.mark.parametrize(
    "state",
    [
        ROOM,
        LED,
        replace(WAITING, fence=3),
        replace(WAITING, status=Status.CLOSED),
        replace(WAITING, control=Control.AI),
    ],
)
def test_nobody_is_reminded_of_what_does_not_wait_any_more(state: RoomState) -> None:
    found = decision(state, Remind(1, 1), SERVICE)
    assert (found.happenings, found.tasks) == ((), ())


@pytest.mark.parametrize("by", [MARIA, PRIYA, SAM, ASSISTANT])
@pytest.mark.parametrize("command", [Remind(1, 1), Recall(2)])
def test_timers_are_the_hubs_own(command: Command, by: Principal) -> None:
    for state in (WAITING, LED):
        assert refusal(state, command, by).code is Code.FORBIDDEN


@pytest.mark.parametrize(
    ("state", "kind", "after"),
    [
        (WAITING, UNACCEPTED, timedelta(minutes=5)),
        (LED, OWNER_AWAY, timedelta(minutes=10)),
    ],
)
def test_a_case_that_is_opened_again_has_its_timer_again(
    state: RoomState, kind: str, after: timedelta
) -> None:
    closed = replace(state, status=Status.CLOSED)
    (task,) = decision(closed, SetStatus(Status.ACTIVE), SAM).tasks
    assert (task.kind, task.due, task.details["fence"]) == (kind, NOW + after, state.fence)
    assert decision(state, SetStatus(Status.ACTIVE), SAM).tasks == ()
    assert decision(closed, SetStatus(Status.ARCHIVED), SAM).tasks == ()
    assert decision(replace(ROOM, status=Status.CLOSED), SetStatus(Status.ACTIVE), SAM).tasks == ()


def test_the_policy_says_how_long_people_may_take() -> None:
    policy = Policy(alert_after=timedelta(seconds=7), away_after=timedelta(seconds=9))
    (waits,) = decision(ROOM, Escalate(), MARIA, policy=policy).tasks
    (leads,) = decision(ROOM, Accept(), PRIYA, policy=policy).tasks
    assert (waits.due - NOW, leads.due - NOW) == (policy.alert_after, policy.away_after)
