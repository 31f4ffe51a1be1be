"""From events to frames, once for each audience and wire format."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rooms.cursor import START, Cursor
from rooms.encoding import Record, Signal, event_json, timestamp, to_json
from rooms.events import Actor, Audience, Envelope, Event, Message, SenderType, Source
from tests.rooms.kit import CASE, NOW, PLAIN, Plain

STAFF, PATIENT = Audience.STAFF, Audience.PATIENT


def message(actor: Actor) -> Envelope:
    payload = Message(sender_type=actor.type, source=Source.CHAT, text="Grüße ☀")
    return Envelope(
        Event("message", actor, payload),
        CASE,
        "message_1",
        NOW,
        {STAFF: Cursor(7, "0a0b0c0d"), PATIENT: Cursor(4, "0a0b0c0d")},
        {STAFF: START, PATIENT: START},
    )


PRIYA = message(Actor(SenderType.COORDINATOR, "user_priya", "Priya"))
MARIA = message(Actor(SenderType.PATIENT, "user_maria", "Maria"))


def record(frame: str = '{"data":{"to":"closed"}}') -> Record:
    return Record(CASE, STAFF, Cursor(1, "00000000"), START, "status", frame)


def test_an_instant_is_written_in_utc_with_milliseconds() -> None:
    at = datetime(2026, 11, 20, 19, 7, 0, 123_999, timezone(timedelta(hours=1)))
    assert timestamp(at) == "2026-11-20T18:07:00.123Z"
    assert timestamp(datetime(2026, 1, 2, tzinfo=UTC)) == "2026-01-02T00:00:00.000Z"


@settings(max_examples=50)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_json_is_compact_and_says_what_it_was_given(value: object) -> None:
    assert json.loads(to_json(value)) == value


def test_json_keeps_every_script_and_has_no_blanks() -> None:
    assert to_json({"a": ["ü", 1], "b": None}) == '{"a":["ü",1],"b":null}'


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_has_no_numbers_that_json_has_not(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        to_json(value)


def test_an_event_frame_is_that_of_the_protocol() -> None:
    assert json.loads(event_json(PRIYA, STAFF, "k1")) == {
        "type": "event",
        "case": CASE,
        "seq": 7,
        "cursor": "7.0a0b0c0d",
        "id": "message_1",
        "at": "2026-11-20T18:07:00.000Z",
        "kind": "message",
        "actor": {"type": "coordinator", "id": "user_priya", "name": "Priya"},
        "data": {
            "message_id": "message_1",
            "sender_type": "coordinator",
            "source": "chat",
            "text": "Grüße ☀",
            "cards": [],
            "attachments": [],
            "state": "final",
        },
        "key": "k1",
    }


def test_each_audience_reads_its_own_numbers() -> None:
    frame = json.loads(event_json(PRIYA, PATIENT, None))
    assert (frame["seq"], frame["cursor"]) == (4, "4.0a0b0c0d")


def test_the_key_of_staff_is_not_shown_to_patients() -> None:
    frame = json.loads(event_json(PRIYA, PATIENT, "staff-key-17"))
    assert "key" not in frame
    assert "user_priya" not in str(frame)


def test_patients_recognise_their_own_message_by_its_key_and_so_do_staff() -> None:
    for audience in Audience:
        assert json.loads(event_json(MARIA, audience, "k1", by_patient=True))["key"] == "k1"
        assert "key" not in json.loads(event_json(MARIA, audience, None))


class Counting(Plain):
    """A wire format that counts what it writes."""

    def __init__(self, tell: bool = True) -> None:
        self.count = 0
        self.tell = tell

    def event(self, record: Record) -> bytes | None:
        self.count += 1
        return super().event(record) if self.tell else None

    def signal(self, signal: Signal) -> bytes | None:
        self.count += 1
        return super().signal(signal) if self.tell else None


@pytest.mark.parametrize("hint", [record(), Signal(CASE, STAFF, "{}")])
@pytest.mark.parametrize("tell", [True, False])
def test_a_hint_is_encoded_once_for_each_wire_format(hint: Record | Signal, tell: bool) -> None:
    codec = Counting(tell)
    assert {hint.encoded(codec) for _ in range(3)} == {hint.frame.encode() if tell else None}
    assert codec.count == 1
    assert hint.encoded(PLAIN) == hint.frame.encode()


def test_a_record_tells_what_the_event_says() -> None:
    assert record().data == {"to": "closed"}
