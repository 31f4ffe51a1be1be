"""A hub that is killed loses nothing that it acknowledged, and doubles nothing."""

import asyncio
import contextlib
import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, WebSocketException

from auth.principal import Role
from hub.demo import CASE
from tests.kit import MARIA, WITHIN, Frame, HubProcess, Identity, hub_process

CLIENTS = 20
EACH = 100
KILLS = 3
WINDOW = 8
"""Messages that a client sends before it waits for an acknowledgement."""
STAFF = [Identity(f"user_{number}", f"Staff {number}", Role.COORDINATOR) for number in range(4)]


class Sender:
    """A client as it should be: it resumes by its cursor, and sends again what has no ack."""

    def __init__(self, number: int, who: Identity, acknowledged: asyncio.Condition) -> None:
        self.who = who
        self.waiting = {f"{number}-{part}": f"text {number}-{part}" for part in range(EACH)}
        """What has no acknowledgement yet, by key."""
        self.acks: dict[str, Frame] = {}
        self.seqs: list[int] = []
        self.ids: list[str] = []
        self.cursor = "0.0"
        self.connections = 0
        self._acknowledged = acknowledged
        self._sent: set[str] = set()

    async def run(self, hub: HubProcess, total: int) -> None:
        """Send everything and read until so many events were received."""
        while len(self.seqs) < total or self.waiting:
            with contextlib.suppress(OSError, InvalidHandshake, WebSocketException, EOFError):
                async with connect(f"{hub.ws}/api/v1/cases/{CASE}/ws", max_queue=None) as raw:
                    self.connections += 1
                    await self._talk(raw, hub.token(self.who), total)
            await asyncio.sleep(0.05)  # a client does not hammer at a hub that is away

    async def _talk(self, raw: ClientConnection, token: str, total: int) -> None:
        self._sent.clear()
        await raw.send(json.dumps({"type": "auth", "token": token, "after": self.cursor}))
        while len(self.seqs) < total or self.waiting:
            frame = json.loads(await raw.recv())
            match frame["type"]:
                case "ready":
                    assert frame["resumed"], frame
                    await self._send(raw)
                case "event":
                    self._apply(frame)
                case "ack":
                    await self._note(frame)
                    await self._send(raw)
                case "error" | "reset":
                    raise AssertionError(frame)

    async def _send(self, raw: ClientConnection) -> None:
        for key in list(self.waiting):
            if len(self._sent) >= WINDOW:
                break
            if key not in self._sent:
                self._sent.add(key)
                message = {"type": "message", "key": key, "text": self.waiting[key]}
                await raw.send(json.dumps(message))

    def _apply(self, event: Frame) -> None:
        self.seqs.append(event["seq"])
        self.ids.append(event["id"])
        self.cursor = event["cursor"]

    async def _note(self, ack: Frame) -> None:
        self._sent.discard(ack["key"])
        if self.waiting.pop(ack["key"], None) is not None:
            self.acks[ack["key"]] = ack
            async with self._acknowledged:
                self._acknowledged.notify_all()


async def stored(hub: HubProcess) -> list[dict[str, Any]]:
    """Read the whole log."""
    events: list[dict[str, Any]] = []
    page: dict[str, Any] = {"cursor": "0.0", "more": True}
    async with hub.rest(STAFF[0]) as rest:
        while page["more"]:
            params = {"after": page["cursor"], "limit": 500}
            page = (await rest.get(f"cases/{CASE}/events", params=params)).json()
            events += page["events"]
    return events


@pytest.mark.parametrize("seed", [1])
async def test_a_killed_hub_keeps_every_acknowledged_message_once_and_in_one_order(
    tmp_path: Path, seed: int
) -> None:
    total = CLIENTS * EACH
    rng = Random(seed)
    kills = sorted(rng.sample(range(total // 20, total * 9 // 10), KILLS))
    acknowledged = asyncio.Condition()
    people = [MARIA, *STAFF]
    senders = [Sender(n, people[n % len(people)], acknowledged) for n in range(CLIENTS)]
    limits = {
        "HUB_WRITES_PER_S": "100000",
        "HUB_WRITES_BURST": "100000",
        "HUB_SOCKETS_PER_USER": "1000",
    }

    def acks() -> int:
        return sum(len(sender.acks) for sender in senders)

    async with (
        hub_process(tmp_path, **limits) as hub,
        asyncio.timeout(6 * WITHIN),
        asyncio.TaskGroup() as tasks,
    ):
        for sender in senders:
            tasks.create_task(sender.run(hub, total + 1))
        for progress in kills:
            async with acknowledged:
                await acknowledged.wait_for(lambda: acks() >= progress)  # noqa: B023
            assert acks() < total, "killed when all was said"
            hub.kill()
            await hub.restart()
        async with acknowledged:
            await acknowledged.wait_for(lambda: acks() == total)
        events = await stored(hub)

    messages = [event for event in events if event["kind"] == "message"]
    assert Counter(event["key"] for event in messages) == Counter(
        key for sender in senders for key in sender.acks
    )
    by_key = {event["key"]: event for event in messages}
    for sender in senders:
        assert {ack["id"] for ack in sender.acks.values()} == {
            by_key[key]["id"] for key in sender.acks
        }
        assert sender.seqs == list(range(1, total + 2))
        assert sender.ids == [event["id"] for event in events]
        assert sender.connections >= 1 + KILLS
    assert len(messages) == total
