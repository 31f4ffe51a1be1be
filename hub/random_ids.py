"""Ids that nobody can guess."""

import secrets
from typing import Final

BYTES: Final = 12
CHARACTERS: Final = 16
"""What these bytes are in base64."""
AT_ONCE: Final = 256


class RandomIds:
    """Makes ids of 96 random bits; one tells nothing of any other. For any thread."""

    def __init__(self) -> None:
        self._ready: list[str] = []

    def __call__(self, prefix: str) -> str:
        try:
            tail = self._ready.pop()
        except IndexError:
            tail, *rest = _tails()
            self._ready += rest
        return f"{prefix}_{tail}"


def _tails() -> list[str]:
    # Each call to the system lets go of the interpreter, and a busy event loop gives it back late:
    # for every event that costs more than all the rest of its id.
    text = secrets.token_urlsafe(BYTES * AT_ONCE)
    return [text[start : start + CHARACTERS] for start in range(0, len(text), CHARACTERS)]
