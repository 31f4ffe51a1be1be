"""What can go wrong in a room, by whose fault.

RoomError
├── Malformed    the caller sent something that has not the right form; sending it again is useless
├── Rejected     well formed, but a rule of the room forbids it now
└── Unavailable  ours: nothing is known to be stored; the same key may be sent again

CursorLost stands apart: the reader must start anew from a snapshot.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Code(StrEnum):
    """The error codes of the wire."""

    BAD_FRAME = "bad_frame"
    BAD_TYPE = "bad_type"
    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    STALE = "stale"
    KEY_REUSED = "key_reused"
    RATE_LIMITED = "rate_limited"
    TOO_LARGE = "too_large"
    CLOSED = "closed"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


class RoomError(Exception):
    """An answer to the caller: a code for programs, a sentence for people, and what they need."""

    def __init__(self, code: Code, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details: Mapping[str, Any] = details or {}


class Malformed(RoomError):
    """What the caller sent has not the form that the protocol asks for."""


class Rejected(RoomError):
    """A rule of the room forbids the command; nothing was stored."""


class Unavailable(RoomError):
    """The hub cannot answer now.

    Whether a command was stored is not known: sending it again with the same key is safe.
    """

    def __init__(self, message: str = "The hub cannot store or read now. Try again.") -> None:
        super().__init__(Code.UNAVAILABLE, message)


class ResetReason(StrEnum):
    """Why a cursor cannot be honoured."""

    AHEAD = "cursor_ahead"
    MISMATCH = "cursor_mismatch"


class CursorLost(Exception):
    """The cursor does not stand in this log: the log was rolled back, or the cursor is foreign."""

    def __init__(self, reason: ResetReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


def forbidden() -> Rejected:
    """Give one answer for a case that is not yours and a case that does not exist.

    Invariant: the two are told apart nowhere, or ids of other patients' cases could be guessed.
    """
    return Rejected(Code.FORBIDDEN, "There is no such case, or you have no right to it.")


def bottom(error: BaseException) -> str:
    """Say what was at the bottom of an error: the words of the database, or of the network."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().split("\n")[0] or "it does not answer."


def unknown_upload() -> Rejected:
    """Give one answer for a file that is not yours and a file that does not exist."""
    return Rejected(Code.NOT_FOUND, "There is no such file, or you have no right to it.")
