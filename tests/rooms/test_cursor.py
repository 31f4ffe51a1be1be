"""Positions: what is written can be read, and nothing else."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rooms.cursor import START, Cursor, parse_cursor, tag_of
from rooms.errors import Code, Malformed

cursors = st.builds(
    Cursor, st.integers(1, 10**15 - 1), st.text("0123456789abcdef", min_size=8, max_size=8)
)


@given(cursors)
def test_a_cursor_is_read_as_it_was_written(cursor: Cursor) -> None:
    assert parse_cursor(str(cursor)) == cursor


def test_the_position_before_the_first_event_has_a_name() -> None:
    assert str(START) == "0.0"
    assert parse_cursor("0.0") == START


def test_a_tag_names_the_event_and_not_only_the_number() -> None:
    assert tag_of("message_1") == hashlib.sha256(b"message_1").hexdigest()[:8]
    assert tag_of("message_1") != tag_of("message_2")


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "0",
        "0.",
        "0.1",
        "0.00000000",
        "1.0",
        "01.00000000",
        "-1.00000000",
        "+1.00000000",
        "1.0000000",
        "1.000000000",
        "1.0000000G",
        "1.ABCDEF00",
        " 1.00000000",
        "1.00000000\n",
        "1.00000000.1",
        "1,00000000",
        "1e3.00000000",
        "\u0661.00000000",
        "1.0000000\u0660",
        "1000000000000000.00000000",
        "9" * 5_000 + ".00000000",
    ],
)
def test_what_the_hub_has_never_given_out_is_refused(text: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse_cursor(text)
    assert caught.value.code is Code.INVALID


@given(st.text(max_size=20))
def test_whatever_is_accepted_is_written_in_the_same_way(text: str) -> None:
    try:
        cursor = parse_cursor(text)
    except Malformed:
        return
    assert str(cursor) == text
