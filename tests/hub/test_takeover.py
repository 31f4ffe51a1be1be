"""Asking for a person, taking a case over, and giving it back: as clients see it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from auth.principal import Role
from rooms.takeover import AWAY
from tests.ai.kit import GatedModel
from tests.kit import CASE, MARIA, PRIYA, WITHIN, Client, Frame, Identity, RunningHub, running_hub

SAM = Identity("user_sam", "Sam", Role.SUPERVISOR)
OMAR = Identity("user_omar", "Omar", Role.COORDINATOR)


@dataclass
class Clock:
    """A clock that goes as the test says."""

    time: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.time

    def forward(self, **span: float) -> None:
        self.time += timedelta(**span)


@asynccontextmanager
async def timed_hub(folder: Path, **settings: Any) -> AsyncIterator[tuple[RunningHub, Clock]]:
    """Run a hub on a clock of the test, which looks for tasks often."""
    clock = Clock()
    dependencies = {"now": clock}
    async with running_hub(folder, lease_s=1, dependencies=dependencies, **settings) as hub:
        yield hub, clock


def controls(client: Client) -> list[str]:
    return [f["data"]["control"] for f in client.events if f["kind"] == "control"]


async def expect_control(client: Client, control: str) -> Frame:
    while True:
        frame = await client.expect("event", kind="control")
        if frame["data"]["control"] == control:
            return frame


async def safety_text(client: Client) -> str:
    """Wait for what the hub itself says."""
    while True:
        frame = await client.expect("event", kind="message")
        if frame["data"].get("urgent"):
            assert frame["data"]["sender_type"] == "system"
            return str(frame["data"]["text"])


async def put_back(hub: RunningHub, times: int) -> None:
    """Wait until the timer of an owner has rung so many times, and found that they are there."""
    outcomes = hub.hub.rooms.tasks.outcomes
    async with asyncio.timeout(WITHIN):
        while outcomes["owner_away", "later"] < times:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


async def test_asking_twice_for_a_person_is_one_escalation(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.enter(MARIA) as maria, hub.enter(PRIYA) as priya:
        first = await maria.ask({"type": "escalate", "key": "k1", "reason": "A question"})
        again = await maria.ask({"type": "escalate", "key": "k1", "reason": "A question"})
        more = await maria.ask({"type": "escalate", "key": "k2"})
        words = await maria.ask(
            {"type": "message", "key": "k3", "text": "Can I talk to a real person?"}
        )
        await priya.expect_message("Can I talk to a real person?")
    assert [frame["type"] for frame in (first, again, more, words)] == ["ack"] * 4
    assert again["dup"]
    assert again["id"] == first["id"]
    assert "id" not in more
    escalations = [f["data"] for f in priya.events if f["kind"] == "escalation"]
    assert [(e["trigger"], e["reason"]) for e in escalations] == [("button", "A question")]
    assert controls(maria) == ["waiting"]
    assert not [f for f in maria.events if f["kind"] == "escalation"]


@pytest.mark.parametrize(
    "words",
    ["I want to talk to a person", "Quiero hablar con una persona", "Je veux parler à un humain"],
)
async def test_words_that_ask_for_a_person_make_the_case_wait(tmp_path: Path, words: str) -> None:
    async with running_hub(tmp_path) as hub, hub.enter(MARIA) as maria, hub.enter(PRIYA) as priya:
        await maria.send({"type": "message", "key": "k", "text": words})
        sent = await priya.expect_message(words)
        escalation = await priya.expect("event", kind="escalation")
        await expect_control(maria, "waiting")
    assert escalation["data"]["trigger"] == "phrase"
    assert escalation["data"]["message_id"] == sent["id"]


async def test_words_of_an_emergency_are_answered_at_once_whoever_leads(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.enter(MARIA) as maria, hub.enter(PRIYA) as priya:
        await maria.send({"type": "message", "key": "k1", "text": "I have chest pain"})
        safety = await safety_text(maria)
        escalation = await priya.expect("event", kind="escalation")
        await priya.ask({"type": "accept", "key": "mine"})
        await maria.send({"type": "message", "key": "k2", "text": "I cannot breathe"})
        assert await safety_text(maria) == safety
    assert "emergency" in safety
    assert escalation["data"]["trigger"] == "red_flag"
    assert controls(maria) == ["waiting", "human"]


async def test_an_emergency_is_answered_without_coordinators_too(tmp_path: Path) -> None:
    hub_off = running_hub(tmp_path, flag_coordinator_enabled=False)
    async with hub_off as hub, hub.enter(MARIA) as maria:
        await maria.send({"type": "message", "key": "k1", "text": "I want to kill myself"})
        await safety_text(maria)
        refused = await maria.ask({"type": "escalate", "key": "k2"})
    assert refused["code"] == "forbidden"
    assert "coordinator_enabled" in refused["message"]
    assert controls(maria) == []


async def test_of_fifty_coordinators_who_accept_at_once_one_gets_the_case(tmp_path: Path) -> None:
    people = [Identity(f"user_{n}", f"Person {n}", Role.COORDINATOR) for n in range(50)]
    async with running_hub(tmp_path) as hub, AsyncExitStack() as stack:
        maria = await stack.enter_async_context(hub.enter(MARIA))
        desks = [await stack.enter_async_context(hub.enter(who)) for who in people]
        await maria.ask({"type": "escalate", "key": "help"})
        answers = await asyncio.gather(
            *(desk.ask({"type": "accept", "key": "mine"}) for desk in desks)
        )
        control = await expect_control(maria, "human")
    winners = [who for who, answer in zip(people, answers, strict=True) if answer["type"] == "ack"]
    losers = [answer for answer in answers if answer["type"] == "error"]
    assert len(winners) == 1
    assert len(losers) == 49
    assert {(loser["code"], loser["owner"]) for loser in losers} == {("conflict", winners[0].name)}
    assert control["data"]["owner"] == winners[0].name
    assert "owner_id" not in control["data"]


async def test_a_key_of_what_was_so_already_is_kept_as_well(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.enter(MARIA) as maria, hub.enter(PRIYA) as priya:
        await maria.ask({"type": "escalate", "key": "k1"})
        first = await maria.ask({"type": "escalate", "key": "k2"})
        await priya.ask({"type": "accept", "key": "a1"})
        await priya.ask({"type": "release", "key": "r1"})
        again = await maria.ask({"type": "escalate", "key": "k2"})
        other = await maria.ask({"type": "escalate", "key": "k2", "reason": "Something else"})
        await maria.ask({"type": "ping", "key": "p"})
    assert again == {**first, "dup": True}
    assert other["code"] == "key_reused"
    assert controls(maria) == ["waiting", "human", "ai"]


async def test_the_owner_may_accept_again_from_another_window(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.enter(PRIYA) as one, hub.enter(PRIYA) as two:
        assert (await one.ask({"type": "accept", "key": "k1"}))["type"] == "ack"
        again = await two.ask({"type": "accept", "key": "k2"})
    assert again["type"] == "ack"
    assert controls(one) == ["human"]


async def test_only_the_owner_or_a_supervisor_releases(tmp_path: Path) -> None:
    async with (
        running_hub(tmp_path) as hub,
        hub.enter(MARIA) as maria,
        hub.enter(PRIYA) as priya,
        hub.enter(OMAR) as omar,
        hub.enter(SAM) as sam,
    ):
        nobody = await priya.ask({"type": "release", "key": "k0"})
        await priya.ask({"type": "accept", "key": "k1"})
        others = await omar.ask({"type": "release", "key": "k2"})
        patient = await maria.ask({"type": "release", "key": "k3"})
        queue = await priya.ask({"type": "release", "key": "k4", "to": "queue"})
        await omar.ask({"type": "accept", "key": "k5"})
        above = await sam.ask({"type": "release", "key": "k6", "brief": "All is settled."})
        released = await expect_control(maria, "ai")
        told = [f["data"] for f in sam.events if f["kind"] == "control"]
    assert (nobody["code"], others["code"], patient["code"]) == (
        "conflict",
        "forbidden",
        "forbidden",
    )
    assert others["owner"] == "Priya"
    assert queue["type"] == above["type"] == "ack"
    assert controls(maria) == ["human", "waiting", "human", "ai"]
    assert "brief" not in released["data"]
    assert told[-1]["brief"] == "All is settled."
    assert [data["fence"] for data in told] == [1, 2, 3, 4]


async def test_the_patient_learns_who_leads_and_whether_they_are_there(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.enter(MARIA) as maria:
        async with hub.enter(PRIYA) as priya:
            await priya.ask({"type": "accept", "key": "k"})
            here = await maria.expect("presence")
        gone = await maria.expect("presence")
        async with hub.enter(OMAR), hub.enter(PRIYA):
            back = await maria.expect("presence")
    assert here == {"type": "presence", "case": CASE, "coordinator": "Priya", "online": True}
    assert gone == {**here, "online": False}
    assert back == here


async def test_a_case_that_nobody_accepts_alerts_again_and_again(tmp_path: Path) -> None:
    async with (
        timed_hub(tmp_path) as (hub, clock),
        hub.enter(MARIA) as maria,
        hub.enter(PRIYA) as priya,
    ):
        await maria.ask({"type": "escalate", "key": "k"})
        alerts = [await priya.expect("event", kind="escalation")]
        for minutes in (5, 10):
            clock.forward(minutes=minutes, seconds=1)
            alerts.append(await priya.expect("event", kind="escalation"))
        await priya.ask({"type": "accept", "key": "mine"})
        clock.forward(minutes=30)
        await hub.hub.rooms.tasks.idle()
        await maria.expect_nothing_but("event", "presence")
    assert [alert["data"]["reminder"] for alert in alerts] == [0, 1, 2]
    assert controls(maria) == ["waiting", "human"]
    assert [f for f in maria.events if f["kind"] == "message"] == []


async def test_an_owner_who_vanishes_loses_the_case_to_the_queue(tmp_path: Path) -> None:
    model = GatedModel()
    clock = Clock()
    dependencies = {"now": clock, "model": model}
    async with (
        running_hub(tmp_path, lease_s=1, dependencies=dependencies) as hub,
        hub.enter(MARIA) as maria,
        hub.enter(SAM) as sam,
    ):
        async with hub.enter(PRIYA) as priya:
            await priya.ask({"type": "accept", "key": "k"})
        clock.forward(minutes=9, seconds=50)
        await maria.ask({"type": "message", "key": "m1", "text": "Are you there?"})
        await maria.expect_nothing_but("event", "presence")
        clock.forward(seconds=20)
        calm = await maria.expect("event", kind="message")
        control = await expect_control(maria, "waiting")
        escalation = await sam.expect("event", kind="escalation")
    assert calm["data"]["text"] == AWAY.format(name="Priya")
    assert control["data"]["reason"] == "owner_away"
    assert escalation["data"]["trigger"] == "owner_away"
    assert not model.asked


async def test_an_owner_who_is_there_keeps_the_case(tmp_path: Path) -> None:
    async with (
        timed_hub(tmp_path) as (hub, clock),
        hub.enter(MARIA) as maria,
        hub.enter(PRIYA) as priya,
    ):
        await priya.ask({"type": "accept", "key": "k"})
        for times in range(1, 4):
            clock.forward(minutes=11)
            await put_back(hub, times)
        await maria.expect_nothing_but("event", "presence", "ping")
    assert controls(maria) == ["human"]


async def test_timers_outlive_the_process_that_set_them(tmp_path: Path) -> None:
    clock = Clock()
    async with running_hub(tmp_path, dependencies={"now": clock}) as hub, hub.enter(MARIA) as maria:
        await maria.ask({"type": "escalate", "key": "k"})
    clock.forward(minutes=6)
    restarted = running_hub(tmp_path, open_case=False, lease_s=1, dependencies={"now": clock})
    async with restarted as hub, hub.enter(PRIYA, after="0.0") as priya:
        alert = await priya.expect("event", kind="escalation")
        while not alert["data"]["reminder"]:
            alert = await priya.expect("event", kind="escalation")
    assert alert["data"]["reminder"] == 1


async def test_a_case_that_was_closed_for_a_moment_alerts_no_more_often(tmp_path: Path) -> None:
    async with (
        timed_hub(tmp_path) as (hub, clock),
        hub.enter(MARIA) as maria,
        hub.enter(PRIYA) as priya,
    ):
        await maria.ask({"type": "escalate", "key": "k"})
        for number in range(3):
            clock.forward(minutes=1)
            for status in ("closed", "active"):
                await priya.ask({"type": "status", "key": f"{status} {number}", "status": status})
        for minutes in (2, 11):
            clock.forward(minutes=minutes, seconds=1)
            await priya.expect("event", kind="escalation")
    alerts = [f["data"]["reminder"] for f in priya.events if f["kind"] == "escalation"]
    assert alerts == [0, 1, 2]


async def test_an_owner_does_not_lose_the_case_because_the_hub_was_away(tmp_path: Path) -> None:
    clock = Clock()
    async with running_hub(tmp_path, dependencies={"now": clock}) as hub, hub.enter(PRIYA) as priya:
        await priya.ask({"type": "accept", "key": "k"})
    clock.forward(hours=1)
    restarted = running_hub(tmp_path, open_case=False, lease_s=1, dependencies={"now": clock})
    async with restarted as hub, hub.enter(MARIA, after="0.0") as maria:
        await put_back(hub, 1)
        assert controls(maria) == ["human"]
        clock.forward(minutes=11)
        await expect_control(maria, "waiting")


async def test_closing_a_case_ends_the_answer_and_lets_the_timers_rest(tmp_path: Path) -> None:
    model = GatedModel()
    clock = Clock()
    dependencies = {"now": clock, "model": model}
    async with (
        running_hub(tmp_path, lease_s=1, dependencies=dependencies) as hub,
        hub.enter(MARIA) as maria,
        hub.enter(PRIYA) as priya,
    ):
        await maria.ask({"type": "escalate", "key": "k1"})
        await maria.send({"type": "message", "key": "k2", "text": "Hello"})
        asked = await model.next()
        asked.say("One moment")
        await maria.expect("delta")
        await priya.ask({"type": "status", "key": "k3", "status": "closed"})
        await asyncio.wait_for(asked.closed.wait(), 10)
        refused = await priya.ask({"type": "accept", "key": "k4"})
        clock.forward(minutes=10)
        await hub.hub.rooms.tasks.idle()
        await priya.ask({"type": "status", "key": "k5", "status": "active"})
        clock.forward(minutes=6)
        alert = await priya.expect("event", kind="escalation", seq=priya.events[-1]["seq"] + 1)
        await maria.ask({"type": "ping", "key": "p"})
    assert refused["code"] == "closed"
    assert alert["data"]["reminder"] == 1
    texts = [f["data"]["text"] for f in maria.events if f["kind"] == "message"]
    assert texts == ["Hello", "One moment"]
