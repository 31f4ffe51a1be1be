"""What a client may send, and what it may not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.client_frames import (
    CLIENT_FRAMES,
    Message,
    Note,
    RetryFrame,
    SetStatusFrame,
    parse_frame,
    parse_object,
)
from rooms.commands import Retry, SendMessage, SetStatus, WriteNote
from rooms.errors import Code, Malformed
from rooms.events import Source, Status

LEAST: dict[str, dict[str, Any]] = {
    "auth": {"token": "t"},
    "token": {"token": "t"},
    "message": {"text": "Hello"},
    "note": {"text": "psst"},
    "status": {"status": "active"},
    "escalate": {},
    "accept": {},
    "release": {},
    "stop": {},
    "retry": {},
    "typing": {"on": True},
    "read": {"seq": 1},
    "history": {},
    "ping": {},
    "pong": {},
}
"""The members that each type of frame must have."""

CARD = {"kind": "ehr", "fallback": "Your record"}
FILE = {"id": "f1", "name": "scan.pdf", "content_type": "application/pdf", "size": 1}

WRONG: dict[str, dict[str, list[Any]]] = {
    "auth": {
        "token": [None, 1, True, [], {}],
        "tenant": [1, True, []],
        "after": [0, 1.5, False, {}],
        "tail": [-1, 501, 1.0, "5", True, None, 10**400],
    },
    "token": {"token": [None, 1, []]},
    "message": {
        "text": [None, "", 1, True, [], {}, "x" * 10_001, "a\0b", "\ud800"],
        "cards": [
            None,
            "x",
            {},
            [1],
            [{}],
            [{**CARD, "kind": "x"}],
            [{"kind": "ehr"}],
            [CARD] * 11,
        ],
        "attachments": [
            None,
            1,
            [{}],
            [{**FILE, "size": -1}],
            [{**FILE, "size": "big"}],
            [FILE] * 21,
        ],
        "reply_to": ["", 1, "x" * 129, "\ud800", []],
        "via": [None, "fax", 1, []],
        "seen": [-1, "1", 1.0, True, 2**53 + 1, []],
        "force": [None, 1, "true", []],
    },
    "note": {
        "text": [None, "", 1, [], "x" * 10_001, "\0"],
        "mentions": [None, 1, "user_1", [1], [""], ["x" * 129], ["x"] * 51],
    },
    "status": {"status": [None, "", "open", 1, True, []]},
    "escalate": {"reason": [None, 1, [], "x" * 1_001, "\0", "\ud800"]},
    "accept": {},
    "release": {
        "to": [None, "", "human", 1, []],
        "brief": ["", 1, [], "x" * 10_001, "\0"],
    },
    "stop": {"run": ["", 1, [], "x" * 129]},
    "retry": {"run": ["", 1, [], "x" * 129]},
    "typing": {"on": [None, 1, 0, "true", []], "in": [None, "chat", 1]},
    "read": {"seq": [None, -1, "1", 1.5, True, 2**53 + 1, 10**400, []]},
    "history": {
        "before": [-1, "1", True, 2.0, 10**30],
        "limit": [None, 0, 201, "10", True, 1.0],
    },
    "ping": {},
    "pong": {"seq": [-1, "1", True, 1.5]},
}
"""Values that a member must not have, by type of frame."""

KEYS: list[Any] = ["", "x" * 65, 1, True, [], {}, "a\0b", "\ud800"]
"""Values that no key must have."""

REFUSED = [
    *((kind, {**LEAST[kind], member: bad}) for kind in WRONG for member in WRONG[kind]
      for bad in WRONG[kind][member]),
    *((kind, {**LEAST[kind], "key": bad}) for kind in WRONG for bad in KEYS),
    *((kind, {name: LEAST[kind][name] for name in LEAST[kind] if name != missing})
      for kind in LEAST for missing in LEAST[kind]),
]  # fmt: skip
"""Frames whose members are not what their type asks for."""

NOT_JSON = [
    "", " ", "\0", "{", "}", "hello", "{'type':'ping'}", '{"type":"ping"', '{"type":"ping"}}',
    '{"type":"ping",}', '{"a":NaN}', '{"a":Infinity}', '{"a":-Infinity}', '{"a":1e999}',
    '{"a":-1e999}', '{"a":01}', '{"a":+1}', '{"a":.5}', '{"a":"\t"}', '{"a":"\\x"}', "\ufeff{}",
    '{"a":' + "9" * 5_000 + "}", "[" * 100_000, '{"a":' * 100_000, '{"a":' + "[" * 100_000,
]  # fmt: skip
NO_OBJECTS = ["[]", "1", "1.5", '"ping"', "null", "true", '["type","ping"]']


def test_the_tables_of_these_tests_name_every_frame() -> None:
    assert LEAST.keys() == WRONG.keys() == CLIENT_FRAMES.keys()


@pytest.mark.parametrize("kind", CLIENT_FRAMES)
def test_unknown_members_are_ignored(kind: str) -> None:
    frame = parse_frame(json.dumps({"type": kind, **LEAST[kind], "from_the_future": [1, {"a": 2}]}))
    assert type(frame) is CLIENT_FRAMES[kind]
    assert frame.type == kind
    assert frame.key is None


@pytest.mark.parametrize("kind", CLIENT_FRAMES)
@pytest.mark.parametrize("key", ["k", "x" * 64, "ключ", " ", "a/b'\"%"])
def test_every_frame_may_carry_a_key(kind: str, key: str) -> None:
    assert parse_frame(json.dumps({"type": kind, **LEAST[kind], "key": key})).key == key


@pytest.mark.parametrize(("kind", "members"), REFUSED)
def test_a_member_of_the_wrong_form_is_named_and_refused(
    kind: str, members: dict[str, Any]
) -> None:
    with pytest.raises(Malformed) as refusal:
        parse_frame(json.dumps({"type": kind, **members}))
    assert refusal.value.code is Code.INVALID
    wrong = {*LEAST[kind], *WRONG[kind], "key"}
    assert refusal.value.message.split(":")[0].split(".")[0] in wrong
    refusal.value.message.encode()


@pytest.mark.parametrize("text", NOT_JSON)
def test_what_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(Malformed, match="This is not JSON") as refusal:
        parse_frame(text)
    assert refusal.value.code is Code.BAD_FRAME
    assert len(refusal.value.message) < 300


@pytest.mark.parametrize("text", NO_OBJECTS)
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(Malformed, match="Send one JSON object") as refusal:
        parse_frame(text)
    assert refusal.value.code is Code.BAD_FRAME


@pytest.mark.parametrize("kind", ["", "Message", "hello", "event", 1, None, True, [], {}, "\ud800"])
def test_an_unknown_type_is_refused_with_the_known_ones(kind: object) -> None:
    with pytest.raises(Malformed) as refusal:
        parse_frame(json.dumps({"type": kind}))
    assert refusal.value.code is Code.BAD_TYPE
    assert all(known in refusal.value.message for known in CLIENT_FRAMES)


@pytest.mark.parametrize("members", [{"type": "boo"}, {"type": "message"}])
def test_a_refusal_names_the_key_of_the_frame(members: dict[str, Any]) -> None:
    with pytest.raises(Malformed) as refusal:
        parse_frame(json.dumps({**members, "key": "k1"}))
    assert refusal.value.details == {"key": "k1"}


@pytest.mark.parametrize("key", KEYS)
def test_a_refusal_does_not_repeat_a_key_that_cannot_be_one(key: object) -> None:
    with pytest.raises(Malformed) as refusal:
        parse_frame(json.dumps({"type": "boo", "key": key}))
    assert refusal.value.details == {}


@pytest.mark.parametrize("member", ["\ud800", "a\0b", "x" * 5_000, "\x1b[31m"])
def test_a_refusal_does_not_repeat_what_the_client_calls_its_members(member: str) -> None:
    card = {**CARD, "fallback": "", member: {member: 1}}
    with pytest.raises(Malformed) as refusal:
        parse_frame(json.dumps({"type": "message", "text": "x", "cards": [card], member: 1}))
    assert refusal.value.message.isprintable()
    assert refusal.value.message.startswith("cards.0.fallback: ")


def test_unknown_members_inside_a_frame_are_ignored_too() -> None:
    card, file = {**CARD, "from_the_future": 1}, {**FILE, "from_the_future": 1}
    text = json.dumps({"type": "message", "text": "x", "cards": [card], "attachments": [file]})
    frame = parse_frame(text)
    assert isinstance(frame, Message)
    assert "from_the_future" not in frame.model_dump_json()


def test_a_refusal_does_not_repeat_what_was_said() -> None:
    with pytest.raises(Malformed) as refusal:
        parse_frame(json.dumps({"type": "message", "text": ["my secret"], "via": "my secret"}))
    assert "secret" not in refusal.value.message


def test_the_number_that_a_float_can_hold_is_read() -> None:
    assert parse_object('{"a":1.5,"b":-1e308,"c":1}') == {"a": 1.5, "b": -1e308, "c": 1}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-le", "latin-1"])
def test_bytes_are_read_as_utf_8_and_as_nothing_else(encoding: str) -> None:
    with pytest.raises(Malformed):
        parse_object('{"a":"é"}'.encode(encoding))
    assert parse_object('{"a":"é"}'.encode()) == {"a": "é"}


def test_bytes_that_spell_a_lone_surrogate_are_refused() -> None:
    with pytest.raises(Malformed):
        parse_object(b'{"a":"\xed\xa0\x80"}')


def test_frames_that_write_become_commands() -> None:
    message = parse_frame(
        json.dumps(
            {
                "type": "message", "text": "Hi", "cards": [CARD], "attachments": [FILE],
                "reply_to": "m1", "via": "sms", "seen": 3, "force": True,
            }
        )
    )  # fmt: skip
    assert isinstance(message, Message)
    command = message.command()
    assert isinstance(command, SendMessage)
    assert (command.text, command.via, command.reply_to) == ("Hi", Source.SMS, "m1")
    assert (command.seen, command.force) == (3, True)
    assert [card.fallback for card in command.cards] == ["Your record"]
    assert [file.name for file in command.attachments] == ["scan.pdf"]
    note = parse_frame('{"type":"note","text":"psst","mentions":["u1"]}')
    assert isinstance(note, Note)
    assert note.command() == WriteNote("psst", ("u1",))
    status = parse_frame('{"type":"status","status":"on_hold"}')
    assert isinstance(status, SetStatusFrame)
    assert status.command() == SetStatus(Status.ON_HOLD)
    retry = parse_frame('{"type":"retry","run":"r1"}')
    assert isinstance(retry, RetryFrame)
    assert retry.command() == Retry("r1")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
MEMBERS = sorted({name for kind in WRONG for name in [*WRONG[kind], *LEAST[kind], "key"]})


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    _read(text)


@given(st.binary())
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        parse_object(data)
    except Malformed as refusal:
        refusal.message.encode()


@given(st.sampled_from(sorted(CLIENT_FRAMES)), st.dictionaries(st.sampled_from(MEMBERS), JSON))
def test_any_members_are_read_or_refused(kind: str, members: dict[str, Any]) -> None:
    _read(json.dumps({**LEAST[kind], **members, "type": kind}))


def _read(text: str) -> None:
    try:
        frame = parse_frame(text)
    except Malformed as refusal:
        json.dumps([refusal.message, refusal.details], ensure_ascii=False).encode()
    else:
        assert type(frame) is CLIENT_FRAMES[frame.type]
