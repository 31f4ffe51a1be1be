"""Whatever is sent, the answer is a documented one and nobody else is harmed."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame as RawFrame
from websockets.frames import Opcode

from tests.hub.conftest import Room
from tests.hub.test_client_frames import JSON, LEAST, MEMBERS, NO_OBJECTS, NOT_JSON, REFUSED
from tests.kit import MARIA, PRIYA, Client, running_hub

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOCUMENTED = {
    "bad_frame", "bad_type", "invalid", "forbidden", "not_found", "conflict", "stale",
    "key_reused", "rate_limited", "too_large", "closed", "unauthenticated",
}  # fmt: skip
"""Errors that a client can be to blame for."""

SMALL = [text for text in NOT_JSON if len(text) < 60_000]


async def still_works(client: Client, key: str = "after all that") -> None:
    answer = await client.ask({"type": "message", "key": key, "text": "I am still here"})
    assert answer["type"] == "ack", answer


async def test_frames_of_the_wrong_form_are_refused_one_by_one_and_harm_nothing(room: Room) -> None:
    async with room.enter(room.maria) as maria, room.enter(PRIYA) as priya:
        for kind, members in REFUSED:
            frame = json.dumps({"type": kind, **members})
            if len(frame) > 60_000:
                continue
            await maria.send(frame)
            answer = await maria.receive()
            assert (answer["type"], answer["code"]) == ("error", "invalid"), frame
        await still_works(maria)
        await priya.expect_message("I am still here")
        assert len(maria.events) == 2


@pytest.mark.parametrize(
    "bad", [*SMALL, *NO_OBJECTS, b"", b'{"type":"ping"}', b"\xff"], ids=lambda bad: repr(bad)[:40]
)
async def test_what_is_no_frame_is_refused_and_the_socket_stays_open(
    room: Room, bad: str | bytes
) -> None:
    async with room.enter(room.maria) as maria:
        await maria.send(bad)
        answer = await maria.receive()
        assert (answer["type"], answer["code"]) == ("error", "bad_frame")
        await still_works(maria)


async def test_the_tenth_frame_that_is_none_closes_the_socket(room: Room) -> None:
    async with room.enter(room.maria) as maria, room.enter(PRIYA) as priya:
        for number in range(9):
            await maria.send("no")
            assert (await maria.receive())["code"] == "bad_frame"
            await maria.ask({"type": "boo", "key": f"{number}"})
        await still_works(maria)
        for _ in range(50):
            await maria.send("no")
        assert await maria.expect_close() == 4400
        assert [frame["type"] for frame in maria.frames[-2:]] == ["error", "goodbye"]
        assert maria.frames[-1]["reconnect"] is False
        await still_works(priya)


async def test_invalid_utf_8_closes_the_socket_with_1007(room: Room) -> None:
    async with room.enter(room.maria) as maria, room.enter(PRIYA) as priya:
        await send_raw(maria, Opcode.TEXT, b'{"type":"\xff"}')
        assert await maria.expect_close() == 1007
        await still_works(priya)


async def send_raw(client: Client, opcode: Opcode, data: bytes) -> None:
    frame = RawFrame(opcode, data).serialize(mask=True)
    client.raw.transport.write(frame)


async def test_a_frame_larger_than_max_frame_closes_the_socket_with_1009(tmp_path: Path) -> None:
    async with running_hub(tmp_path, max_frame=2_000) as hub, hub.enter(PRIYA) as priya:
        async with hub.enter(MARIA) as maria:
            frame = '{"type":"ping","key":"k","x":"'
            await maria.send(frame + "x" * (1_998 - len(frame)) + '"}')
            await maria.expect("pong")
            await maria.send(frame + "x" * (1_999 - len(frame)) + '"}')
            assert await maria.expect_close() == 1009
        async with hub.enter(MARIA) as maria:
            await maria.raw.send(["x" * 500] * 5)
            assert await maria.expect_close() == 1009
        await still_works(priya)


async def test_a_header_that_promises_too_much_closes_the_socket_with_1009(room: Room) -> None:
    async with room.enter(room.maria) as maria, room.enter(PRIYA) as priya:
        maria.raw.transport.write(struct.pack("!BBQ4s", 0x81, 0xFF, 2**40, b"mask"))
        assert await maria.expect_close() == 1009
        await still_works(priya)


async def test_what_is_nested_without_end_is_refused(tmp_path: Path) -> None:
    async with running_hub(tmp_path, max_frame=2_000_000) as hub:
        async with hub.enter(MARIA) as maria:
            for deep in ("[" * 100_000, '{"a":' * 100_000, '{"type":"ping","a":' + "[" * 100_000):
                await maria.send(deep)
                assert (await maria.receive())["code"] == "bad_frame"
            await maria.send('{"type":"message","text":' + "[" * 900 + "]" * 900 + "}")
            assert (await maria.receive())["code"] in ("bad_frame", "invalid")
            await still_works(maria)
        async with hub.rest(MARIA) as http:
            answer = await http.post("/cases/case-1/messages", content="[" * 100_000)
            assert answer.status_code == 400
            assert answer.json()["error"]["code"] == "bad_frame"


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "\udfff!", "\ude00\ud83d"])
@pytest.mark.parametrize(
    "frame",
    [
        {"type": "message", "text": ...},
        {"type": "message", "text": "x", "reply_to": ...},
        {"type": "message", "text": "x", "cards": [{"kind": "ehr", "fallback": ...}]},
        {"type": "message", "text": "x", "cards": [{"kind": "ehr", "fallback": "x", "ref": ...}]},
        {"type": "note", "text": "x", "mentions": [...]},
        {"type": "note", "text": "x", "key": ...},
    ],
)
async def test_text_that_no_database_can_hold_is_refused(
    room: Room, frame: dict[str, Any], text: str
) -> None:
    async with room.enter(PRIYA) as priya:
        await priya.send(json.dumps(filled(frame, text)))
        answer = await priya.receive()
        assert (answer["type"], answer["code"]) == ("error", "invalid")
        await still_works(priya)


def filled(value: Any, text: str) -> Any:
    """Put the text where the gap is."""
    match value:
        case dict():
            return {name: filled(inner, text) for name, inner in value.items()}
        case list():
            return [filled(inner, text) for inner in value]
        case _:
            return text if value is ... else value


@pytest.mark.parametrize("name", ["\ud800", "a\0b", "x" * 20_000, "\x1b[2J"])
async def test_names_that_a_client_makes_up_cannot_break_the_answer(room: Room, name: str) -> None:
    card = {"kind": "ehr", "fallback": "", name: 1}
    async with room.enter(room.maria) as maria:
        await maria.send(json.dumps({"type": "message", "text": "x", "cards": [card]}))
        answer = await maria.receive()
        assert (answer["type"], answer["code"]) == ("error", "invalid")
        await maria.send(json.dumps({"type": name, name: name}))
        assert (await maria.receive())["code"] == "bad_type"
        await still_works(maria)


# Anything at all.

FUZZ = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
FRAMES = st.builds(
    lambda kind, members: json.dumps({**LEAST[kind], **members, "type": kind}),
    st.sampled_from(sorted(set(LEAST) - {"auth", "token"})),
    st.dictionaries(st.sampled_from(MEMBERS), JSON, max_size=3),
)
ANYTHING = FRAMES | FRAMES | st.text(max_size=200) | JSON.map(json.dumps) | st.binary(max_size=99)


@FUZZ
@given(st.lists(ANYTHING, max_size=12))
async def test_anything_is_answered_by_the_book(room: Room, sent: list[str | bytes]) -> None:
    for who in (room.maria, PRIYA):
        async with room.enter(who) as client:
            for frame in sent:
                await client.send(frame if isinstance(frame, bytes) else sendable(frame))
            await client.send({"type": "ping", "key": "the end"})
            code = await read_to_the_end(client)
        assert code in (None, 4400, 4410)
        errors = {frame["code"] for frame in client.frames if frame["type"] == "error"}
        assert errors <= DOCUMENTED
    async with room.enter(room.maria) as client:
        await client.expect_nothing_but()


def sendable(text: str) -> str:
    return text.encode(errors="replace").decode()


async def read_to_the_end(client: Client) -> int | None:
    """Read up to the answer of the last ping, or to a close, and give its code."""
    try:
        while (await client.receive()).get("key") != "the end":
            pass
    except ConnectionClosed:
        return client.raw.close_code
    return None
