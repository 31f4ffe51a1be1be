"""Positions in one audience's view of a room.

Invariant: a cursor names an event, not only a number, so that a store which was rolled back or
swapped is recognised by every reader that comes back to it.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from rooms.errors import Code, Malformed

_CURSOR: Final = re.compile(r"([1-9][0-9]{0,14})\.([0-9a-f]{8})")


@dataclass(frozen=True, slots=True)
class Cursor:
    """The position after the event with this `seq`; written `<seq>.<tag>`."""

    seq: int
    tag: str
    """The first 8 hex digits of SHA-256 of the id of the event at `seq`."""

    def __str__(self) -> str:
        return f"{self.seq}.{self.tag}"


START: Final = Cursor(0, "0")
"""The position before the first event, written `0.0`."""


def tag_of(event_id: str) -> str:
    return hashlib.sha256(event_id.encode()).hexdigest()[:8]


def parse_cursor(text: str) -> Cursor:
    """Read a cursor that a client sends back.

    Raises:
        Malformed: it is not a cursor that this hub can have given out.

    """
    if text == str(START):
        return START
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise Malformed(
            Code.INVALID,
            "This is not a cursor. Send back the `cursor` or SSE `id` of the last event that you "
            "applied, or `0.0` for everything.",
        )
    return Cursor(int(match[1]), match[2])
