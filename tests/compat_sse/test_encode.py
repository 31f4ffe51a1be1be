import re
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat_sse.stream import PING, encode
from tests.compat_sse.whatwg import Event, Parser, parse

BREAKS = ("\r", "\n", "\r\n", "\u2028", "\u2029", "\x85", "\x0b", "\x0c")
SYNTAX = (":", " ", "\ufeff", "\0", "data: ", "id: 1", "event")
WIDE = ("é", "\U0001f600", "\ud83d", "\udc00")
NASTY = st.sampled_from([*BREAKS, *SYNTAX, *WIDE])
TEXTS = st.lists(NASTY | st.text(max_size=5), max_size=12).map("".join)
LINES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=8)


@dataclass(frozen=True)
class Written:
    data: str
    event: str | None
    id: str | None
    retry: int | None

    def encoded(self) -> bytes:
        return encode(self.data, event=self.event, id=self.id, retry=self.retry)


EVENTS = st.builds(
    Written,
    TEXTS,
    st.none() | LINES,
    st.none() | LINES,
    st.none() | st.integers(0, 10**9),
)


def carried(text: str) -> str:
    """Give the text as the format can carry it."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def expected(written: list[Written]) -> tuple[list[Event], int | None]:
    events, id, retry = [], "", None
    for one in written:
        id = id if one.id is None else one.id
        retry = retry if one.retry is None else one.retry
        events.append(Event(one.event or "message", carried(one.data), id))
    return events, retry


@given(st.lists(EVENTS, max_size=4), st.data())
def test_what_is_encoded_is_parsed_back_however_it_is_cut(
    written: list[Written], data: st.DataObject
) -> None:
    stream = b"".join(one.encoded() for one in written)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=6).map(sorted))
    parser = Parser()
    events: list[Event] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        events += parser.feed(stream[start:end])
    assert (events, parser.retry) == expected(written)


@given(EVENTS)
def test_what_is_encoded_is_parsed_back_byte_by_byte(written: Written) -> None:
    parser = Parser()
    events = [event for byte in written.encoded() for event in parser.feed(byte.to_bytes(1, "big"))]
    assert events == expected([written])[0]


@given(TEXTS)
def test_a_ping_between_events_changes_nothing(text: str) -> None:
    stream = PING + encode(text) + PING + encode(text) + PING
    assert [event.data for event in parse(stream)] == [carried(text)] * 2


@pytest.mark.parametrize("text", ["", "\n", "a\n", "\n\na", "\ufeffa", " a", ": a", "a\u2028b"])
def test_data_that_others_lose_survives(text: str) -> None:
    assert parse(encode(text)) == [Event("message", text, "")]


@pytest.mark.parametrize("id", ["1\n", "1\r", "a\0b"])
def test_an_id_that_a_client_could_not_send_back_is_refused(id: str) -> None:
    with pytest.raises(ValueError, match="must not contain"):
        encode("", id=id)


@pytest.mark.parametrize("event", ["a\nb", "a\rb"])
def test_a_type_of_more_than_one_line_is_refused(event: str) -> None:
    with pytest.raises(ValueError, match="must not contain"):
        encode("", event=event)


def test_ids_and_types_that_have_no_utf8_are_refused() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        encode("", id="\ud800")
    with pytest.raises(ValueError, match="surrogates"):
        encode("", event="\ud800")


def test_a_negative_retry_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        encode("", retry=-1)
