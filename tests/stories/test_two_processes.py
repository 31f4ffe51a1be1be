"""Two processes on one database and one Redis: their readers are in the same room."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from auth.principal import Role
from tests.ai.kit import GatedModel
from tests.hub.test_desk import desk_socket
from tests.hub.test_flags_api import SAM, switch
from tests.hub.test_revocations_api import SOON, expect_end, listening
from tests.kit import MARIA, PRIYA, WITHIN, Client, Identity, RunningHub, running_hub
from tests.valkey import Valkey, running_valkey

OMAR = Identity("user_omar", "Omar", Role.COORDINATOR)


@dataclass
class Pair:
    """Two hubs, as two processes have them."""

    one: RunningHub
    other: RunningHub
    valkey: Valkey
    model: GatedModel


@asynccontextmanager
async def pair(folder: Path, database_url: str, **settings: Any) -> AsyncIterator[Pair]:
    """Run two hubs; the AI answers in the first one."""
    with running_valkey() as valkey:
        model = GatedModel()
        shared: dict[str, Any] = {"database_url": database_url, "redis_url": valkey.url}
        shared |= settings
        async with AsyncExitStack() as stack:
            first = running_hub(folder, dependencies={"model": model}, **shared)
            one = await stack.enter_async_context(first)
            second = running_hub(folder, open_case=False, ai_model="scripted", **shared)
            other = await stack.enter_async_context(second)
            other.hub.rooms.tasks.pause()
            async with asyncio.timeout(WITHIN):
                while not (one.hub.broker.connected and other.hub.broker.connected):  # type: ignore[union-attr]  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
            yield Pair(one, other, valkey, model)


@asynccontextmanager
async def meeting(folder: Path, database_url: str) -> AsyncIterator[tuple[Pair, Client, Client]]:
    """Let Maria enter at the first hub, and Priya at the other."""
    async with (
        pair(folder, database_url) as hubs,
        hubs.one.enter(MARIA) as maria,
        hubs.other.enter(PRIYA) as priya,
    ):
        yield hubs, maria, priya


async def test_what_happens_at_one_process_is_seen_at_the_other_at_once(
    tmp_path: Path, postgres_url: str
) -> None:
    async with meeting(tmp_path, postgres_url) as (hubs, maria, priya):
        before = asyncio.get_running_loop().time()
        await maria.send({"type": "typing", "on": True})
        await priya.expect("typing")
        await maria.send({"type": "message", "key": "k", "text": "Hello"})
        await priya.expect_message("Hello")
        asked = await hubs.model.next()
        asked.say("A pass")
        piece = await priya.expect("delta")
        asked.end("port.")
        answer = await priya.expect("event", kind="message")
        await priya.ask({"type": "message", "key": "k", "text": "Good morning"})
        await maria.expect_message("Good morning")
        # The audit, which repairs what no hint tells, comes every 5 s.
        assert asyncio.get_running_loop().time() - before < 4
    assert piece["text"] == "A pass"
    assert answer["data"]["text"] == "A passport."


async def test_a_takeover_at_one_process_silences_the_ai_of_the_other(
    tmp_path: Path, postgres_url: str
) -> None:
    async with meeting(tmp_path, postgres_url) as (hubs, maria, priya):
        await maria.send({"type": "message", "key": "k", "text": "Hello"})
        asked = await hubs.model.next()
        asked.say("A pass")
        await priya.expect("delta")
        await priya.ask({"type": "accept", "key": "mine"})
        await asyncio.wait_for(asked.closed.wait(), WITHIN)
        control = await maria.expect("event", kind="control")
        await maria.expect_nothing_but("presence")
    texts = [f["data"]["text"] for f in maria.events if f["kind"] == "message"]
    assert texts == ["Hello", "A pass"]
    assert control["data"]["owner"] == "Priya"


async def test_of_those_who_accept_at_both_processes_one_gets_the_case(
    tmp_path: Path, postgres_url: str
) -> None:
    async with (
        pair(tmp_path, postgres_url) as hubs,
        hubs.one.enter(OMAR) as omar,
        hubs.other.enter(PRIYA) as priya,
    ):
        answers = await asyncio.gather(
            omar.ask({"type": "accept", "key": "k"}), priya.ask({"type": "accept", "key": "k"})
        )
    assert sorted(answer["type"] for answer in answers) == ["ack", "error"]
    (loser,) = [answer for answer in answers if answer["type"] == "error"]
    assert (loser["code"], loser["owner"] in ("Omar", "Priya")) == ("conflict", True)


async def test_an_escalation_at_one_process_is_on_the_desk_of_the_other(
    tmp_path: Path, postgres_url: str
) -> None:
    async with (
        pair(tmp_path, postgres_url) as hubs,
        hubs.one.enter(MARIA) as maria,
        desk_socket(hubs.other) as desk,
    ):
        await desk.send({"type": "auth", "token": hubs.other.token(PRIYA)})
        await desk.expect("ready")
        await maria.send({"type": "escalate", "key": "k"})
        shown = await desk.expect("case", control="waiting")
    assert shown["escalation"] == "button"


async def test_without_redis_each_process_goes_on_and_they_meet_in_the_log(
    tmp_path: Path, postgres_url: str
) -> None:
    async with meeting(tmp_path, postgres_url) as (hubs, maria, priya):
        hubs.valkey.kill()
        ack = await priya.ask({"type": "message", "key": "k1", "text": "Are you there?"})
        assert ack["type"] == "ack"
        await maria.expect_message("Are you there?")
        hubs.valkey.start()
        await priya.ask({"type": "message", "key": "k2", "text": "And now?"})
        await maria.expect_message("And now?")
        async with httpx2.AsyncClient() as http:
            metrics = (await http.get(f"{hubs.one.http}/metrics")).text
    assert "hub_broker_connected" in metrics
    assert 'hub_broker_commands_total{command="PUBLISH"}' in metrics


async def test_a_flag_reaches_the_open_desks_and_streams_of_both_processes_within_five_seconds(
    tmp_path: Path, postgres_url: str
) -> None:
    async with pair(tmp_path, postgres_url) as hubs, AsyncExitStack() as stack:
        desks, streams = [], []
        for hub in (hubs.one, hubs.other):
            desks.append(await stack.enter_async_context(desk_socket(hub)))
            await desks[-1].send({"type": "auth", "token": hub.token(PRIYA)})
            await desks[-1].expect("ready")
            streams.append(await stack.enter_async_context(listening(hub, MARIA, "stream")))
        for flag in ("coordinator_enabled", "sse_streaming"):
            assert await switch(hubs.other, SAM, flag, False) == 200
        async with asyncio.timeout(SOON):
            for stream in streams:
                await expect_end(stream)
            for desk in desks:
                assert await desk.expect_close() == 4403
