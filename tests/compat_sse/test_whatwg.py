"""The examples of WHATWG HTML §9.2.6, and the corners that its text names."""

from tests.compat_sse.whatwg import Event, Parser, parse


def data_of(stream: bytes) -> list[str]:
    return [event.data for event in parse(stream)]


def test_two_data_lines_are_one_event_with_a_newline() -> None:
    assert data_of(b"data: YHOO\ndata: +2\ndata: 10\n\n") == ["YHOO\n+2\n10"]


def test_an_id_without_a_value_resets_the_last_event_id() -> None:
    stream = (
        b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event"
    )
    assert parse(stream + b"\n\n") == [
        Event("message", "first event", "1"),
        Event("message", "second event", ""),
        Event("message", " third event", ""),
    ]


def test_an_event_that_has_no_blank_line_after_it_is_never_dispatched() -> None:
    assert data_of(b"data\n\ndata\ndata\n\ndata:") == ["", "\n"]


def test_one_space_after_the_colon_does_not_count() -> None:
    assert data_of(b"data:test\n\ndata: test\n\n") == ["test", "test"]


def test_every_line_ending_ends_a_line_once() -> None:
    assert data_of(b"data: a\r\ndata: b\rdata: c\n\r\ndata: d\r\r") == ["a\nb\nc", "d"]


def test_an_id_with_a_null_and_a_retry_that_is_no_number_are_ignored() -> None:
    parser = Parser()
    [event] = parser.feed(b"id: 1\nid: 2\0\nretry: 5\nretry: 5s\nretry: \xd9\xa3\ndata\n\n")
    assert (event.last_event_id, parser.retry) == ("1", 5)


def test_an_id_without_data_is_remembered() -> None:
    parser = Parser()
    assert parser.feed(b"id: 7\n\n") == []
    assert parser.last_event_id == "7"


def test_one_byte_order_mark_at_the_start_is_dropped() -> None:
    assert data_of(b"\xef\xbb\xbfdata: a\n\n") == ["a"]
    assert data_of(b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n") == []
