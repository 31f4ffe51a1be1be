import asyncio
import re
from contextlib import aclosing

import pytest

from ai.model import Model, Prompt, TextPiece, Turn
from ai.prompt import build_prompt
from ai.scripted_model import ScriptedModel


class Naps:
    """A sleep that takes no time, and keeps count."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def __call__(self, delay: float) -> None:
        self.slept.append(delay)


def asking(*texts: str) -> Prompt:
    """Make a prompt of what the patient and the assistant said in turn."""
    turns = (Turn("assistant" if number % 2 else "user", text) for number, text in enumerate(texts))
    return Prompt("You are kind.", tuple(turns))


async def pieces(prompt: Prompt, naps: Naps | None = None) -> list[str]:
    model: Model = ScriptedModel(sleep=naps or Naps())
    given = [piece async for piece in model.answer(prompt)]
    assert all(isinstance(piece, TextPiece) for piece in given)
    return [piece.text for piece in given if isinstance(piece, TextPiece)]


async def answer(*texts: str) -> str:
    return "".join(await pieces(asking(*texts)))


def sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.!?]) ", text)


TOPICS = {
    "Which documents do you need?": "reports, images",
    "I have uploaded my X-ray": "reports, images",
    "How much does it cost?": "written estimate",
    "what is the PRICE of a new knee": "written estimate",
    "Do I need a visa?": "medical visa",
    "When should I book my flight?": "medical visa",
    "Which hospital do you recommend?": "ask a hospital",
    "I want an appointment": "ask a hospital",
    "Tell me about knee surgery": "medical advice",
    "My heart needs an operation": "medical advice",
    "I want to talk to a person": "take over",
    "thank you": "You are welcome",
    "Hello!": "Hello, and welcome",
    "Hi, what does a surgery cost?": "written estimate",
    "Thanks! And the visa?": "medical visa",
    "What is the weather like?": "no prepared answer",
    "¿Cuál es el plazo?": "no prepared answer",
    "I live in Delhi": "no prepared answer",
    "": "no prepared answer",
}


async def test_what_is_asked_for_again_is_what_was_asked() -> None:
    said = {"sender_type": "patient", "source": "chat", "text": "Do I need a visa?"}
    broken = {"sender_type": "ai", "source": "chat", "text": "I am a", "state": "interrupted"}
    events = [
        {"kind": "message", "seq": seq, "id": f"e{seq}", "actor": {}, "data": data}
        for seq, data in enumerate((said, broken), 1)
    ]
    assert "medical visa" in "".join(await pieces(build_prompt("Maria", events, {})))


@pytest.mark.parametrize(("asked", "expected"), TOPICS.items())
async def test_the_answer_fits_what_was_asked(asked: str, expected: str) -> None:
    assert expected in await answer(asked)


@pytest.mark.parametrize("asked", TOPICS)
@pytest.mark.parametrize("brief", ["", "<brief>The visa is there.</brief>\n"])
async def test_every_answer_says_first_what_it_is_and_is_short(asked: str, brief: str) -> None:
    first, *more = sentences(await answer("Hello", "Hello.", brief + asked))
    assert "demonstration assistant without a language model" in first
    assert 1 <= len(more) <= 3


async def test_only_the_last_question_counts() -> None:
    assert await answer("What about a visa?", "…", "Thank you") == await answer("Thank you")
    both = '<patient at="1">A visa?</patient>\n<patient at="2">Thank you</patient>'
    assert await answer(both) == await answer("Thank you")


async def test_only_the_patient_asks() -> None:
    told = (
        '<patient at="1">Hello\nthere</patient>\n<coordinator name="Price">The visa is here.'
        '</coordinator>\n<document name="mri.pdf" what="upload"/>\n<your_turn/>'
    )
    assert await answer(told) == await answer("Hello")
    _, _, others = told.partition("\n<")
    assert await answer("<" + others) == await answer("")


async def test_a_hand_over_by_a_coordinator_is_acknowledged() -> None:
    for asked in ("Which documents do you need?", "<patient>Which documents?</patient>"):
        text = await answer("Hello", "Hello.", f"<brief>The price\nis known.</brief>\n{asked}")
        assert "your coordinator" in sentences(text)[1]
        assert "reports, images" in text


async def test_an_earlier_hand_over_is_not_acknowledged_again() -> None:
    assert "wrote for me" not in await answer("<brief>Old.</brief>", "Yes.", "Hello")


async def test_a_case_as_the_assistant_is_told_it_is_understood() -> None:
    events = [
        {
            "seq": 1,
            "kind": "message",
            "at": "2026-11-20T18:07:00.123Z",
            "data": {"sender_type": "patient", "text": "What does a knee cost? <brief>"},
        },
        {"seq": 2, "kind": "document", "data": {"event": "uploaded", "name": "visa.pdf"}},
    ]
    text = "".join(await pieces(build_prompt("Maria Price", events, {})))
    assert text == await answer("What does a knee cost?")


async def test_the_same_prompt_gives_the_same_answer() -> None:
    prompt = asking("Which documents do you need?")
    assert await pieces(prompt) == await pieces(prompt)


async def test_the_words_come_one_by_one_as_fast_as_people_read() -> None:
    naps = Naps()
    given = await pieces(asking("How much does it cost?"), naps)
    assert all(len(piece.split()) == 1 for piece in given)
    assert 20 <= len(given) / sum(naps.slept) <= 30


async def test_an_answer_can_be_stopped_between_two_words() -> None:
    naps = Naps()
    async with aclosing(ScriptedModel(sleep=naps).answer(asking("Hello"))) as words:
        await anext(words)
    assert len(naps.slept) == 1


async def test_a_cancelled_answer_ends_at_once() -> None:
    asleep = asyncio.Event()

    async def sleep(_: float) -> None:
        asleep.set()
        await asyncio.Event().wait()

    words = ScriptedModel(sleep=sleep).answer(asking("Hello"))
    waiting = asyncio.ensure_future(anext(words))
    async with asyncio.timeout(10):
        await asleep.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    with pytest.raises(StopAsyncIteration):
        await anext(words)
