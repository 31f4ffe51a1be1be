"""What the hub sends: its frames, and the bytes that carry them."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from pydantic import BaseModel
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from hub.server_frames import (
    SERVER_FRAMES,
    Ack,
    CaughtUp,
    Error,
    Goodbye,
    PongFrame,
    Ready,
    ServerFrame,
    State,
    WebSocketCodec,
    You,
    instant,
    page_text,
    text_message,
)
from rooms.cursor import START, Cursor
from rooms.encoding import Record, Signal
from rooms.errors import Code
from rooms.events import Audience, Control, Status
from tests.hub.conftest import Room


def read_frame(data: bytes) -> Frame:
    """Read with the parser of a client."""
    reader = StreamReader()
    reader.feed_data(data)
    parser: Iterator[object] = Frame.parse(reader.read_exact, mask=False)
    try:
        next(parser)
    except StopIteration as end:
        frame: Frame = end.value
        reader.feed_eof()
        assert reader.buffer == b""
        return frame
    raise AssertionError("the frame is not whole")


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65_535, 65_536, 200_000])
def test_a_text_message_is_what_a_client_reads(length: int) -> None:
    frame = read_frame(text_message("x" * length))
    assert (frame.opcode, frame.fin, bytes(frame.data)) == (Opcode.TEXT, True, b"x" * length)


def test_a_text_message_is_utf_8() -> None:
    assert bytes(read_frame(text_message("naïve ☃ 😀")).data) == "naïve ☃ 😀".encode()


def test_the_type_comes_first_and_what_was_not_given_is_left_out() -> None:
    assert CaughtUp(case="c", seq=3).encoded() == '{"type":"caught_up","case":"c","seq":3}'
    assert PongFrame().encoded() == '{"type":"pong"}'
    assert Ack(key="k").encoded() == '{"type":"ack","key":"k"}'


def test_what_was_given_as_none_is_null() -> None:
    state = State(control=Control.AI, status=Status.INTAKE, coordinator=None, run=None)
    you = You(id="u", role="patient", name="M")
    ready = Ready.model_validate(
        {"case": "c", "you": you, "head": "0.0", "from": 1, "resumed": False, "state": state}
    )
    assert json.loads(ready.encoded()) == {
        "type": "ready",
        "case": "c",
        "you": {"id": "u", "role": "patient", "name": "M"},
        "head": "0.0",
        "from": 1,
        "resumed": False,
        "state": {"control": "ai", "status": "intake", "coordinator": None, "run": None},
    }


def test_an_error_carries_what_its_code_needs() -> None:
    error = Error.model_validate({"code": Code.RATE_LIMITED, "message": "m", "retry_after": 1.5})
    assert json.loads(error.encoded()) == {
        "type": "error",
        "code": "rate_limited",
        "message": "m",
        "retry_after": 1.5,
    }


@pytest.mark.parametrize("key", [None, "k1"])
@pytest.mark.parametrize("frames", [[], ['{"type":"event","seq":1}'], ['{"a":1}', '{"b":"]}"}']])
def test_a_page_is_made_around_frames_that_are_json_already(
    key: str | None, frames: list[str]
) -> None:
    page = json.loads(page_text(key, "case", frames, more=True))
    assert page.pop("events") == [json.loads(frame) for frame in frames]
    assert page.pop("key", None) == key
    assert page == {"type": "page", "case": "case", "more": True}


def test_the_codec_writes_frames_as_they_are() -> None:
    codec = WebSocketCodec()
    record = Record("c", Audience.STAFF, Cursor(1, "0" * 8), START, "message", '{"type":"event"}')
    assert codec.event(record) == text_message('{"type":"event"}')
    assert codec.signal(Signal("c", Audience.STAFF, "{}")) == text_message("{}")


def test_an_instant_may_be_missing() -> None:
    assert instant(None) is None
    assert instant(datetime(2026, 11, 20, 18, 7, 0, 123_999, UTC)) == "2026-11-20T18:07:00.123Z"


@pytest.mark.parametrize("type", SERVER_FRAMES)
def test_every_frame_is_described_under_its_own_type(type: str) -> None:
    assert SERVER_FRAMES[type].model_fields["type"].default == type
    assert SERVER_FRAMES[type].__doc__ != ServerFrame.__doc__


@pytest.mark.asyncio(loop_scope="module")
async def test_what_comes_over_the_wire_is_what_the_models_describe(room: Room) -> None:
    async with (
        room.enter(room.maria, after="9.00000000") as maria,
        room.enter(room.priya) as priya,
    ):
        await priya.send({"type": "typing", "on": True, "in": "note"})
        await priya.send({"type": "typing", "on": True})
        await maria.expect("typing")
        await maria.send({"type": "typing", "on": True})
        await priya.expect("typing")
        for text in ("one", "two"):
            await maria.ask({"type": "message", "key": text, "text": text})
        await maria.ask({"type": "message", "key": "two", "text": "two"})
        await priya.ask({"type": "message", "key": "p", "text": "x", "seen": 1})
        await maria.send({"type": "read", "seq": 2})
        await priya.expect("read")
        await priya.ask({"type": "history", "key": "h"})
        await priya.ask({"type": "ping", "key": "g"})
        await priya.ask({"type": "status", "key": "s", "status": "archived"})
        await priya.expect_close()
        seen = [*maria.frames, *priya.frames]
    missing = {frame["type"] for frame in seen} ^ SERVER_FRAMES.keys()
    assert missing == {"ping", "run", "delta", "draft"}
    for frame in seen:
        model = SERVER_FRAMES[frame["type"]]
        model.model_validate(frame, strict=False)
        assert model is Error or frame.keys() <= names_of(model), frame


def names_of(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def test_goodbye_tells_when_to_come_back() -> None:
    goodbye = Goodbye(code=4503, reason="r", reconnect=True, in_ms=5)
    assert json.loads(goodbye.encoded())["in_ms"] == 5
