"""The model without a key: prepared answers, which say that they are.

Invariant: the same prompt gives the same answer, and every answer begins with what this is.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final

from ai.model import Piece, Prompt, TextPiece

WORDS_PER_SECOND: Final = 25.0
"""As fast as people read along."""

DISCLOSURE: Final = "I am a demonstration assistant without a language model."

HANDED_BACK: Final = "I have read what your coordinator wrote for me."

_TOPICS: Final = tuple(
    (re.compile(rf"\b(?:{stems})", re.IGNORECASE), answer)
    for stems, answer in (
        (
            r"costs?\b|pric|pay|fees?\b|expensive|budget|quote|estimate|how much",
            "A price depends on the treatment, the hospital and the length of your stay, so I "
            "cannot name one. Your coordinator can ask hospitals for a written estimate.",
        ),
        (
            r"documents?\b|reports?\b|upload|scans?\b|x-?rays?\b|mri\b|pdf\b|files?\b|records?\b",
            "Hospitals usually want recent reports, images and a list of your medicines. Your "
            "coordinator can tell you what is still missing.",
        ),
        (
            r"visas?\b|travel|flights?\b|fly\b|passport|hotel|airport|embassy",
            "For a medical visa most embassies want an invitation letter from the hospital. Your "
            "coordinator can tell you what it takes in your case, and when to book a flight.",
        ),
        (
            r"hospital|clinic|appointment|book|schedul|dates?\b",
            "I cannot book anything myself. Your coordinator can ask a hospital for a date, so "
            "please write which days suit you.",
        ),
        (
            r"surg|operation|treatment|knees?\b|hips?\b|heart|cardiac|cancer|transplant|doctor"
            r"|pain",
            "I cannot give medical advice: that takes a doctor who knows your reports. If you feel "
            "unwell now, call your local emergency number.",
        ),
        (
            r"coordinator|human\b|real person|(?:to|with) (?:a person|someone|somebody)",
            "A coordinator can read all that you have written here, and take over.",
        ),
        (
            r"thanks?\b|thank you",
            "You are welcome. Write again whenever you have a question.",
        ),
        (
            r"hello|hi\b|hey\b|good (?:morning|afternoon|evening)|greetings",
            "Hello, and welcome. Ask me about documents, costs, travel, hospitals or a treatment.",
        ),
    )
)
"""What is asked about, and the answer: the first that fits, from the matter to the manners."""

_OTHERWISE: Final = (
    "I have no prepared answer to that. Ask me about documents, costs, travel, hospitals or a "
    "treatment, or ask for a coordinator."
)

_BRIEF: Final = "<brief>"
_AGAIN: Final = "<answer_again/>"
_SAID: Final = re.compile(r"<patient\b[^>]*>(.*?)</patient>", re.DOTALL)
_BLOCK: Final = re.compile(r"<(\w+)\b[^>]*(?<!/)>.*?</\1>|<[^>]*/>", re.DOTALL)
"""How a turn tells who said what; what others wrote in it is escaped."""


class ScriptedModel:
    """The default assistant. `sleep` is how it waits between two words."""

    name = "scripted"

    def __init__(
        self,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        words_per_second: float = WORDS_PER_SECOND,
    ) -> None:
        self._sleep = sleep
        self._pause = 1.0 / words_per_second

    async def answer(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        """Give the prepared answer to what was asked last, word by word; it never fails."""
        for word in re.findall(r"\S+\s*", _answer(prompt)):
            await self._sleep(self._pause)
            yield TextPiece(word)


def _answer(prompt: Prompt) -> str:
    turn = prompt.turns[-1].text
    asked = _asked(_whole(prompt) if _AGAIN in turn else turn)
    fitting = (answer for words, answer in _TOPICS if words.search(asked))
    handed_back = [HANDED_BACK] if _BRIEF in turn else []
    return " ".join([DISCLOSURE, *handed_back, next(fitting, _OTHERWISE)])


def _whole(prompt: Prompt) -> str:
    return "\n".join(turn.text for turn in prompt.turns if turn.role == "user")


def _asked(turn: str) -> str:
    """Find what the patient said last; what else the turn tells is not a question."""
    said = _SAID.findall(turn)
    return str(said[-1]) if said else _BLOCK.sub(" ", turn)
