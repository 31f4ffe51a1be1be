"""Connections break; what is said arrives once, in order, wherever and however often they do."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import connect

from rooms.commands import SendMessage, WriteNote
from rooms.events import Audience
from tests.compat_sse.whatwg import Parser
from tests.kit import CASE, MARIA, PRIYA, WITHIN, Client, Frame, Identity, RunningHub, running_hub

CUTS = 200
AHEAD = 20
"""Events that may be in the log and not yet at the last reader: so readers stay near the end."""


@dataclass
class Reader:
    """Somebody who reads in pieces; what was received is kept across connections and hubs."""

    who: Identity
    path: str = "ws"
    cursor: str = "0.0"
    events: list[Frame] = field(default_factory=list)

    async def read(self, hub: RunningHub, rest: httpx2.AsyncClient, count: int) -> None:
        """Connect after the cursor, read so many events, and drop the connection."""
        opened = self._socket(hub) if self.path == "ws" else self._stream(hub, rest)
        async with asyncio.timeout(WITHIN), opened as events:
            for _ in range(count):
                event = await anext(events)
                self.cursor = event["cursor"]
                self.events.append(event)

    @property
    def seq(self) -> int:
        return int(self.cursor.partition(".")[0])

    @property
    def audience(self) -> Audience:
        """Streams are always the patient's view."""
        sees_all = self.who is PRIYA and self.path == "ws"
        return Audience.STAFF if sees_all else Audience.PATIENT

    @asynccontextmanager
    async def _socket(self, hub: RunningHub) -> AsyncIterator[AsyncIterator[Frame]]:
        async with connect(f"{hub.ws}/api/v1/cases/{CASE}/ws") as raw:
            client = Client(raw, CASE)
            auth = {"type": "auth", "token": hub.token(self.who), "after": self.cursor}
            await client.send(auth)

            async def events() -> AsyncIterator[Frame]:
                while True:
                    yield await client.expect("event")

            yield events()
            raw.transport.abort()

    @asynccontextmanager
    async def _stream(
        self, hub: RunningHub, rest: httpx2.AsyncClient
    ) -> AsyncIterator[AsyncIterator[Frame]]:
        headers = hub.headers(self.who) | {"Last-Event-ID": self.cursor}
        url = f"{hub.http}/api/v1/cases/{CASE}/{self.path}"
        async with rest.stream("GET", url, headers=headers) as response:
            assert response.status_code == 200

            async def events() -> AsyncIterator[Frame]:
                parser = Parser()
                async for chunk in response.aiter_raw():
                    for event in parser.feed(chunk):
                        data = json.loads(event.data)
                        if "id" in data:  # no summary, and no `caught_up`
                            yield data | {"cursor": event.last_event_id}

            yield events()


@pytest.fixture
async def rest() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=WITHIN) as client:
        yield client


async def say(hub: RunningHub, *texts: str) -> None:
    """Let Priya say these texts; those that begin with `psst` are notes."""
    for text in texts:
        command = WriteNote(text) if text.startswith("psst") else SendMessage(text)
        await hub.hub.rooms.handle(CASE, command, PRIYA.principal(), text)


def texts(events: list[Frame]) -> list[str]:
    """Give what was said, of event frames and of what the message stream says."""
    said = [event.get("data", event) for event in events]
    return [data["text"] for data in said if "text" in data]


async def view(hub: RunningHub, rest: httpx2.AsyncClient, who: Identity) -> list[Frame]:
    """Read the whole log by REST."""
    events: list[Frame] = []
    page: dict[str, Any] = {"cursor": "0.0", "more": True}
    while page["more"]:
        params = {"after": page["cursor"], "limit": 500}
        url = f"{hub.http}/api/v1/cases/{CASE}/events"
        page = (await rest.get(url, params=params, headers=hub.headers(who))).json()
        events += page["events"]
    return events


async def test_messages_arrive_everywhere_and_a_note_only_at_the_staff(
    tmp_path: Path, rest: httpx2.AsyncClient
) -> None:
    maria, priya, stream = Reader(MARIA), Reader(PRIYA), Reader(MARIA, "messages/stream")
    async with running_hub(tmp_path) as hub:
        await say(hub, "one", "psst two", "three")
        await asyncio.gather(
            maria.read(hub, rest, 3), priya.read(hub, rest, 4), stream.read(hub, rest, 2)
        )
    assert texts(maria.events) == texts(stream.events) == ["one", "three"]
    assert texts(priya.events) == ["one", "psst two", "three"]
    assert [event["seq"] for event in maria.events] == [1, 2, 3]
    assert [event["seq"] for event in stream.events] == [2, 3]


async def test_whoever_comes_back_gets_exactly_what_was_missed_even_from_a_restarted_hub(
    tmp_path: Path, rest: httpx2.AsyncClient
) -> None:
    maria, priya, stream = Reader(MARIA), Reader(PRIYA), Reader(MARIA, "messages/stream")
    async with running_hub(tmp_path) as hub:
        await say(hub, "one", "psst two")
        await maria.read(hub, rest, 2)
        await priya.read(hub, rest, 3)
        await stream.read(hub, rest, 1)
        await say(hub, "three", "psst four")
        await priya.read(hub, rest, 2)
    async with running_hub(tmp_path) as hub:
        await say(hub, "five")
        await maria.read(hub, rest, 2)
        await priya.read(hub, rest, 1)
        await stream.read(hub, rest, 2)
        async with hub.enter(MARIA, after=maria.cursor) as client:
            assert client.events == []
            await say(hub, "six")
            await client.expect_message("six")
    assert texts(maria.events) == texts(stream.events) == ["one", "three", "five"]
    assert texts(priya.events) == ["one", "psst two", "three", "psst four", "five"]


@pytest.mark.parametrize("seed", range(2))
async def test_pieces_that_were_cut_anywhere_make_the_whole(
    tmp_path: Path, rest: httpx2.AsyncClient, seed: int
) -> None:
    rng = Random(seed)
    readers = [
        *(Reader(MARIA) for _ in range(4)),
        *(Reader(PRIYA) for _ in range(3)),
        *(Reader(MARIA, "messages/stream") for _ in range(2)),
        Reader(PRIYA, "stream"),
    ]
    views: dict[str, list[Frame]] = {}
    for _ in range(2):  # the hub restarts once
        async with running_hub(tmp_path, streams_per_user=50, sockets_per_user=50) as hub:
            pieces = [[rng.randrange(8) for _ in range(CUTS // 2 // len(readers))] for _ in readers]
            await _read_in_pieces(hub, rest, readers, pieces)
            views = {who.sub: await view(hub, rest, who) for who in (MARIA, PRIYA)}
            for reader in readers:
                missing = len(_expected(reader, views)) - len(reader.events)
                await reader.read(hub, rest, missing)
    for whole in views.values():
        assert [event["seq"] for event in whole] == list(range(1, len(whole) + 1))
    for reader in readers:
        expected = _expected(reader, views)
        assert [event["id"] for event in reader.events] == [event["id"] for event in expected]
        assert texts(reader.events) == texts(expected)


def _expected(reader: Reader, views: dict[str, list[Frame]]) -> list[Frame]:
    if reader.path == "messages/stream":
        return [event for event in views[MARIA.sub] if event["kind"] == "message"]
    return views[MARIA.sub if reader.audience is Audience.PATIENT else PRIYA.sub]


async def _read_in_pieces(
    hub: RunningHub, rest: httpx2.AsyncClient, readers: list[Reader], pieces: list[list[int]]
) -> None:
    """Let each read in pieces of these sizes, while more and more is said."""
    reading = set(map(id, readers))
    progress = asyncio.Condition()

    async def read(reader: Reader, counts: list[int]) -> None:
        for count in counts:
            await reader.read(hub, rest, count)
            async with progress:
                progress.notify_all()
        async with progress:
            reading.discard(id(reader))
            progress.notify_all()

    async def nobody_is_far_behind() -> None:
        heads = (await hub.hub.rooms.log.heads([CASE]))[CASE]
        async with asyncio.timeout(WITHIN), progress:
            await progress.wait_for(
                lambda: all(
                    heads[reader.audience].seq - reader.seq < AHEAD
                    for reader in readers
                    if id(reader) in reading
                )
            )

    async def write() -> None:
        for number in itertools.count():
            if not reading:
                return
            await say(hub, f"psst {number}" if number % 3 == 0 else f"text {number}")
            await nobody_is_far_behind()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(write())
        for reader, counts in zip(readers, pieces, strict=True):
            tasks.create_task(read(reader, counts))
