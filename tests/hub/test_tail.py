"""Following a room in the terminal."""

import asyncio
from pathlib import Path
from typing import Any

import click
import pytest

from hub import demo
from hub.tail import follow, render
from tests.kit import (
    CASE,
    MARIA,
    PRIYA,
    TENANT,
    WITHIN,
    Identity,
    hub_process,
    running_hub,
)

MESSAGE = {
    "type": "event",
    "case": "c",
    "seq": 3,
    "cursor": "3.00000000",
    "at": "2026-11-20T18:07:00.123Z",
    "kind": "message",
    "actor": {"type": "patient", "name": "Maria"},
    "data": {"text": "Hello"},
}


class Lines:
    """What was said, to be waited for."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._more = asyncio.Event()

    def say(self, line: str) -> None:
        self.lines.append(click.unstyle(line))
        self._more.set()

    async def until(self, part: str) -> None:
        async with asyncio.timeout(WITHIN):
            while not any(part in line for line in self.lines):
                self._more.clear()
                await self._more.wait()


def test_an_event_is_one_line_in_colour() -> None:
    assert click.unstyle(render(MESSAGE)) == "18:07:00     3 message  Maria: Hello"
    assert render(MESSAGE).startswith("\x1b[32m")


def test_an_event_without_a_name_or_a_text_is_told_as_it_is() -> None:
    event = {**MESSAGE, "kind": "status", "actor": {"type": "ai"}, "data": {"to": "active"}}
    assert click.unstyle(render(event)).endswith('status   ai: {"to": "active"}')


@pytest.mark.parametrize("type", ["hello", "error", "goodbye", "from_the_future"])
def test_every_other_frame_is_told_with_its_members(type: str) -> None:
    line = click.unstyle(render({"type": type, "case": "c", "message": "naïve"}))
    assert line.strip() == f'{type} {{"message": "naïve"}}'


@pytest.mark.parametrize(
    "text", ["\x1b[2J\x1b]0;x\x07", "a\r\nb", "\x00\x08\x7f\x9b", "\u202eevil", "\u2028", "\ud800"]
)
def test_no_control_character_reaches_the_terminal(text: str) -> None:
    who: dict[str, Any] = {"actor": {"type": "patient", "name": text}}
    for frame in (
        {**MESSAGE, "data": {"text": text}},
        {**MESSAGE, **who},
        {**MESSAGE, "data": {"x": text}},
        {"type": "typing", "who": text},
    ):
        assert click.unstyle(render(frame)).isprintable()


async def test_a_room_is_followed_until_it_is_archived(tmp_path: Path) -> None:
    lines = Lines()
    async with running_hub(tmp_path) as hub, asyncio.timeout(WITHIN):
        following = asyncio.create_task(follow(hub.ws, CASE, hub.token(PRIYA), "0.0", lines.say))
        await lines.until("presence")
        async with hub.enter(PRIYA) as priya:
            await priya.ask({"type": "note", "key": "n", "text": "psst"})
            await priya.send({"type": "status", "key": "s", "status": "archived"})
            await following
    assert any("note     Priya: psst" in line for line in lines.lines)
    assert lines.lines[-1].startswith("-- received 4410")


async def test_a_room_is_followed_from_a_cursor(tmp_path: Path) -> None:
    lines = Lines()
    async with running_hub(tmp_path) as hub:
        async with hub.enter(MARIA) as maria:
            cursor = maria.cursor
            await maria.ask({"type": "message", "key": "k", "text": "Hello"})
        following = asyncio.create_task(follow(hub.ws, CASE, hub.token(PRIYA), cursor, lines.say))
        await lines.until("presence")
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    assert [line for line in lines.lines if "patient " in line] == []
    assert any("Maria: Hello" in line for line in lines.lines)


async def test_whoever_may_not_enter_is_told_so(tmp_path: Path) -> None:
    lines = Lines()
    async with running_hub(tmp_path) as hub:
        await follow(hub.ws, "no-such-case", hub.token(PRIYA), None, lines.say)
        assert lines.lines[-1].startswith("-- received 4403")


async def test_a_room_is_followed_over_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.tail.BACKOFF_S", 0.05)
    lines = Lines()
    maria = Identity("user_maria", "Maria", patient_id=demo.MARIA, tenant=TENANT)
    async with hub_process(tmp_path) as hub:
        following = asyncio.create_task(
            follow(hub.ws, demo.CASE, hub.token(PRIYA), None, lines.say)
        )
        await lines.until("presence")
        assert await hub.terminate() == 0
        await lines.until("-- received 4503")
        await lines.until("Errno")
        await hub.restart()
        async with hub.rest(maria) as http:
            body = {"text": "back again"}
            await http.post(f"/cases/{demo.CASE}/messages", json=body)
        await lines.until("back again")
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    assert sum("patient  " in line for line in lines.lines) == 1
