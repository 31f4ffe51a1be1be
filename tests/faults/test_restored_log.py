"""A log that went back in time: whoever has seen more is told so, and never left with a wrong view.

A restored backup has fewer events than clients have seen, and soon other ones in their places.
"""

import asyncio
import contextlib
import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from rooms.commands import SendMessage
from tests.compat_sse.whatwg import Event, Parser
from tests.kit import CASE, MARIA, PRIYA, WITHIN, Client, Frame, Identity, RunningHub, running_hub

EVERYBODY = (MARIA, PRIYA)


async def say(hub: RunningHub, *texts: str) -> None:
    for text in texts:
        await hub.hub.rooms.handle(CASE, SendMessage(text), PRIYA.principal(), text)


def texts(events: list[Frame]) -> list[str]:
    return [event["data"]["text"] for event in events if event["kind"] == "message"]


async def cursor_of(hub: RunningHub, who: Identity) -> str:
    async with hub.rest(who) as rest:
        return str((await rest.get(f"cases/{CASE}")).json()["head"])


@contextlib.asynccontextmanager
async def stream(hub: RunningHub, after: str | None = None) -> AsyncIterator[AsyncIterator[Event]]:
    """Open the message stream of Maria."""
    headers = hub.headers(MARIA) | ({} if after is None else {"Last-Event-ID": after})
    url = f"{hub.http}/api/v1/cases/{CASE}/messages/stream"
    async with (
        httpx2.AsyncClient(timeout=WITHIN) as client,
        client.stream("GET", url, headers=headers) as response,
    ):

        async def events() -> AsyncIterator[Event]:
            parser = Parser()
            async for chunk in response.aiter_raw():
                for event in parser.feed(chunk):
                    yield event

        yield events()


async def expect_reset(hub: RunningHub, cursor: str, reason: str, now: list[str]) -> None:
    """Come back with a stale cursor through every door."""
    for who in EVERYBODY:
        async with hub.enter(who, after=cursor) as client:
            kinds = [frame["type"] for frame in client.frames]
            assert kinds[:3] == ["hello", "reset", "ready"]
            assert client.frames[1]["reason"] == reason
            assert client.frames[2]["resumed"] is False
            assert texts(client.events) == now
        async with hub.rest(who) as rest:
            answer = await rest.get(f"cases/{CASE}/events", params={"after": cursor})
            assert answer.status_code == 409
            assert answer.json()["error"]["code"] == "reset"
            assert answer.json()["error"]["reason"] == reason
    async with stream(hub, cursor) as events:
        first = await anext(events)
        assert first.type == "reset"
        assert reason in first.data
        assert first.last_event_id == await cursor_of(hub, MARIA)
        await say(hub, f"after {cursor} {reason}")
        assert (await anext(events)).type == "connected"
        assert f"after {cursor} {reason}" in (await anext(events)).data


@pytest.fixture
async def stale(tmp_path: Path) -> str:
    """Restore a backup over a log that had grown since; give a cursor that it has not."""
    data, backup = tmp_path / "data", tmp_path / "backup"
    async with running_hub(data) as hub:
        await say(hub, "one", "two")
    shutil.copytree(data, backup)
    async with running_hub(data) as hub:
        await say(hub, "three", "four", "five")
        cursor = await cursor_of(hub, MARIA)
    shutil.rmtree(data)
    shutil.copytree(backup, data)
    return cursor


async def test_a_cursor_beyond_a_restored_log_is_reset_at_every_door(
    tmp_path: Path, stale: str
) -> None:
    async with running_hub(tmp_path / "data") as hub:
        await expect_reset(hub, stale, "cursor_ahead", ["one", "two"])


async def test_a_cursor_of_an_event_that_was_replaced_is_reset_at_every_door(
    tmp_path: Path, stale: str
) -> None:
    others = ["other three", "other four", "other five", "other six"]
    async with running_hub(tmp_path / "data") as hub:
        await say(hub, *others)
        await expect_reset(hub, stale, "cursor_mismatch", ["one", "two", *others])


async def test_a_cursor_that_the_backup_has_is_honoured(tmp_path: Path) -> None:
    data, backup = tmp_path / "data", tmp_path / "backup"
    async with running_hub(data) as hub:
        await say(hub, "one", "two")
        cursor = await cursor_of(hub, MARIA)
    shutil.copytree(data, backup)
    async with running_hub(data) as hub:
        await say(hub, "three")
    shutil.rmtree(data)
    shutil.copytree(backup, data)
    async with running_hub(data) as hub:
        await say(hub, "other three")
        async with hub.enter(MARIA, after=cursor) as maria:
            assert maria.frames[1]["resumed"] is True
            assert texts(maria.events) == ["other three"]


def past_the_hub(folder: Path, *statements: str) -> None:
    """Write to the database while the hub is running."""
    with contextlib.closing(sqlite3.connect(folder / "hub.db", timeout=WITHIN)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


async def expect_continuity_lost(client: Client) -> None:
    goodbye = await client.expect("goodbye")
    assert goodbye["code"] == 4510
    assert goodbye["reconnect"] is True
    assert await client.expect_close() == 4510


@pytest.mark.parametrize("replaced", [0, 1, 2, 3])
async def test_live_readers_of_a_log_that_goes_back_are_cut_and_then_reset(
    tmp_path: Path, replaced: int
) -> None:
    """Where two events were lost, so many others are written; without any, the audit notices."""
    others = [f"other {number}" for number in range(replaced)]
    async with (
        running_hub(tmp_path) as hub,
        hub.enter(MARIA) as maria,
        hub.enter(PRIYA) as priya,
        stream(hub) as events,
    ):
        assert (await anext(events)).type == "connected"
        await say(hub, "one")
        past_the_hub(tmp_path, "CREATE TABLE saved AS SELECT * FROM case_state")
        await say(hub, "two", "three")
        await maria.expect_message("three")
        await priya.expect_message("three")
        assert [text for text in ("one", "two", "three") if text in (await anext(events)).data] == [
            "one",
            "two",
            "three",
        ]
        past_the_hub(
            tmp_path,
            "DELETE FROM event WHERE staff_seq > 2",
            "REPLACE INTO case_state SELECT * FROM saved",
        )
        await say(hub, *others)
        await expect_continuity_lost(maria)
        await expect_continuity_lost(priya)
        async with asyncio.timeout(WITHIN):
            assert [event.data async for event in events] == []
        assert not set(others) & set(texts(maria.events) + texts(priya.events))
        reason = "cursor_ahead" if replaced < 2 else "cursor_mismatch"
        await expect_reset(hub, maria.cursor, reason, ["one", *others])
