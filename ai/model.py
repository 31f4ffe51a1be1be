"""What the hub asks of a language model: an answer in pieces, and one thing to do besides.

Invariant: whatever a model says, it can do two things: give text, and ask for a person.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol, TypeAlias


@dataclass(frozen=True, slots=True)
class Turn:
    """One side's part of a conversation."""

    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """All that a model is told; turns alternate, and the last one is the user's."""

    system: str
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class TextPiece:
    """The next characters of the answer; never empty."""

    text: str


@dataclass(frozen=True, slots=True)
class PersonWanted:
    """The model asks for a person to take over; its only tool."""

    reason: str
    """In the model's words, 500 characters at most; for staff only."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that an answer has cost so far."""

    tokens_in: int = 0
    tokens_out: int = 0


Piece: TypeAlias = TextPiece | PersonWanted | Usage
"""What a model gives, in any order and number; the last `Usage` counts."""


class Failure(StrEnum):
    """Why there is no answer, or no whole one."""

    OVERLOADED = "overloaded"
    """The provider is busy, or limits our rate."""
    UNREACHABLE = "unreachable"
    STALLED = "stalled"
    """Nothing came for too long."""
    CUT = "cut"
    """The stream ended in the middle."""
    REFUSED = "refused"
    """The model does not want to answer this."""
    EMPTY = "empty"
    """The answer was over and had no text."""
    TOO_LONG = "too_long"
    """The answer or the conversation does not fit the model."""
    MISCONFIGURED = "misconfigured"
    """The key, the model's name or the request is not accepted: an engineer must act."""


class ModelFailed(Exception):
    """There is no answer, or only the part that was given before this was raised."""

    def __init__(self, failure: Failure, cause: str = "") -> None:
        super().__init__(f"{failure}: {cause}" if cause else failure.value)
        self.failure = failure


class Model(Protocol):
    """A language model. `name` is what metrics and traces call it."""

    name: str

    def answer(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        """Give the answer in pieces; closing the generator stops what it costs, at once.

        Raises:
            ModelFailed: there is no whole answer; what was given before is all that there is.

        """
        ...
