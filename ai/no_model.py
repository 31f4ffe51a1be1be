"""The model of a hub whose AI is off: it ends the answers that were promised before."""

from collections.abc import AsyncGenerator

from ai.model import Failure, ModelFailed, Piece, Prompt


class NoModel:
    """Answers nothing; the patient is told so at once."""

    name = "off"

    async def answer(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        raise ModelFailed(Failure.UNREACHABLE, "the AI is off")
        yield  # a generator, as every model is
