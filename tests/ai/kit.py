"""A model whose every piece the test gives."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from ai.model import Failure, ModelFailed, PersonWanted, Piece, Prompt, TextPiece, Usage
from tests.kit import WITHIN


@dataclass
class Asked:
    """One request to the model."""

    prompt: Prompt
    pieces: asyncio.Queue[Piece | Failure | None] = field(default_factory=asyncio.Queue)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    """The room wants no more of it."""

    def say(self, *texts: str) -> None:
        for text in texts:
            self.pieces.put_nowait(TextPiece(text))

    def want_person(self, reason: str) -> None:
        self.pieces.put_nowait(PersonWanted(reason))

    def fail(self, failure: Failure) -> None:
        self.pieces.put_nowait(failure)

    def end(self, *texts: str) -> None:
        self.say(*texts)
        self.pieces.put_nowait(Usage(10, len(texts)))
        self.pieces.put_nowait(None)

    @property
    def told(self) -> str:
        """All that the model was told of the conversation."""
        return "\n".join(turn.text for turn in self.prompt.turns)


class GatedModel:
    """Gives what the test gives, when it gives it."""

    name = "gated"

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._waiting: asyncio.Queue[Asked] = asyncio.Queue()

    async def next(self) -> Asked:
        """Wait for the next request."""
        async with asyncio.timeout(WITHIN):
            return await self._waiting.get()

    async def answer(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        asked = Asked(prompt)
        self.asked.append(asked)
        self._waiting.put_nowait(asked)
        try:
            while (piece := await asked.pieces.get()) is not None:
                if isinstance(piece, Failure):
                    raise ModelFailed(piece)
                yield piece
        finally:
            asked.closed.set()
