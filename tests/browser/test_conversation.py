"""A patient and her coordinator, each at a page of their own, and the assistant between them."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from ai.model import Piece, Prompt, TextPiece
from tests.ai.kit import GatedModel
from tests.browser.kit import Console, Patient, Stage, stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

WATCH = """() => {
  window.watched = [];
  const look = () => {
    const led = document.querySelector('[data-kind="control"][data-control="human"]') !== null;
    const answer = [...document.querySelectorAll('article.message[data-from="ai"]')]
      .map((message) => message.querySelector(".prose")?.textContent ?? "").join("|");
    const last = window.watched.at(-1);
    if (last?.led !== led || last?.answer !== answer) window.watched.push({ led, answer });
  };
  const changes = { subtree: true, childList: true, characterData: true };
  new MutationObserver(look).observe(document, changes);
}"""
"""Notes after each change of the page what the assistant has said, and whether a person leads."""


@dataclass
class Scene:
    """Maria and Priya in front of their pages."""

    stage: Stage
    maria: Patient
    priya: Console


@asynccontextmanager
async def scene(browser: Browser, folder: Path, model: Any = None) -> AsyncIterator[Scene]:
    dependencies = {} if model is None else {"model": model}
    async with stage(browser, folder, dependencies=dependencies) as made:
        maria, priya = await asyncio.gather(made.patient(), made.console())
        await expect(maria.dot).to_have_text("Connected")
        await expect(priya.dot).to_have_text("Connected")
        yield Scene(made, maria, priya)


class Talkative:
    """A model that goes on until it is stopped."""

    name = "talkative"

    async def answer(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        for number in itertools.count(1):
            await asyncio.sleep(0.01)
            yield TextPiece(f"word{number} ")


async def test_each_side_reads_at_once_what_the_other_writes(
    browser: Browser, tmp_path: Path
) -> None:
    async with scene(browser, tmp_path) as at:
        await at.maria.write("Good morning")
        await at.priya.sees("Good morning")
        await at.priya.write("Good morning, Maria")
        await at.maria.sees("Good morning, Maria")
        said = [(message["from"], message["text"]) for message in await at.maria.messages()]
        assert said == [("patient", "Good morning"), ("coordinator", "Good morning, Maria")]
        assert [(one["from"], one["text"]) for one in await at.priya.messages()] == said


async def test_an_answer_appears_on_both_pages_while_it_is_being_written(
    browser: Browser, tmp_path: Path
) -> None:
    model = GatedModel()
    async with scene(browser, tmp_path, model) as at:
        await at.maria.write("What does it cost?")
        asked = await model.next()
        await expect(at.maria.page.get_by_text("thinking…", exact=True)).to_be_visible()
        asked.say("A price depends ")
        await at.maria.sees("A price depends ")
        await at.priya.sees("A price depends ")
        asked.end("on the treatment.")
        await at.maria.sees("A price depends on the treatment.")
        await at.priya.sees("A price depends on the treatment.")
        states = [(one["from"], one["state"]) for one in await at.maria.messages()]
        assert states == [("patient", "final"), ("ai", "final")]


async def test_from_the_takeover_on_the_patient_sees_no_further_character_of_the_assistant(
    browser: Browser, tmp_path: Path
) -> None:
    async with scene(browser, tmp_path, Talkative()) as at:
        await at.maria.page.evaluate(WATCH)
        await at.maria.write("Tell me everything")
        await expect(at.maria.page.get_by_text("word30 ")).to_be_visible()
        await at.priya.accept()
        joined = at.maria.page.locator(".entry").get_by_text("Priya from Curaway joined")
        await expect(joined).to_be_visible()
        await at.priya.write("Hello Maria, I am here")
        await at.maria.sees("Hello Maria, I am here")
        answer = next(one for one in await at.maria.messages() if one["from"] == "ai")
        assert answer["state"] == "interrupted"
        watched = await at.maria.page.evaluate("() => window.watched")
        assert {one["answer"] for one in watched if one["led"]} == {answer["text"]}
        assert all(answer["text"].startswith(one["answer"]) for one in watched)
        said = [one["data"] for one in await at.stage.log() if one["kind"] == "message"]
        assert answer["text"] == next(one["text"] for one in said if one["sender_type"] == "ai")


async def test_each_side_sees_that_the_other_types_and_nobody_sees_a_note_being_typed(
    browser: Browser, tmp_path: Path
) -> None:
    async with scene(browser, tmp_path) as at:
        await at.maria.box.press_sequentially("I have a qu")
        await expect(at.priya.page.get_by_text("Maria is typing…")).to_be_visible()
        await at.priya.page.get_by_role("tab", name="Internal note").click()
        await at.priya.note.press_sequentially("She seems worried")
        await at.priya.page.get_by_role("tab", name="Reply").click()
        await at.priya.reply.press_sequentially("Dear Mar")
        await expect(at.maria.page.get_by_text("Priya is typing…")).to_be_visible()
        typed = [
            frame for frame in at.maria.came if '"type":"typing"' in frame and '"on":true' in frame
        ]
        assert len(typed) == 1


async def test_a_note_leaves_no_trace_on_the_page_of_the_patient_and_none_on_its_wire(
    browser: Browser, tmp_path: Path
) -> None:
    async with scene(browser, tmp_path) as at:
        await at.priya.write_note("Zebrafish: the passport is missing")
        await expect(
            at.priya.page.get_by_text("Zebrafish: the passport is missing")
        ).to_be_visible()
        await at.priya.write("Hello Maria")
        await at.maria.sees("Hello Maria")
        await at.maria.page.reload()
        await at.maria.sees("Hello Maria")
        for hidden in ("Zebrafish", "passport"):
            assert hidden not in await at.maria.page.content()
            assert hidden.encode() not in at.maria.proxy.heard
            assert hidden.encode() in at.priya.proxy.heard
        assert b'"kind":"note"' not in at.maria.proxy.heard
        kept = await at.maria.page.evaluate(
            "() => JSON.stringify([{...localStorage}, {...sessionStorage}])"
        )
        assert "Zebrafish" not in kept


async def test_after_the_release_the_assistant_goes_on_and_knows_the_brief(
    browser: Browser, tmp_path: Path
) -> None:
    model = GatedModel()
    async with scene(browser, tmp_path, model) as at:
        await at.priya.accept()
        await expect(
            at.maria.page.get_by_role("heading", name="Priya from Curaway")
        ).to_be_visible()
        await at.maria.write("Are you a person?")
        await at.priya.write("Yes, I am")
        await at.maria.sees("Yes, I am")
        assert model.asked == []
        await at.priya.release("Maria wants an estimate for a knee.")
        await expect(at.maria.page.get_by_role("heading", name="Assistant")).to_be_visible()
        await at.maria.write("And what now?")
        asked = await model.next()
        assert "Maria wants an estimate for a knee." in asked.told
        asked.end("The estimate is on its way.")
        await at.maria.sees("The estimate is on its way.")
        await at.priya.sees("The estimate is on its way.")
        assert b"Maria wants an estimate" not in at.maria.proxy.heard


async def test_a_person_who_is_asked_for_is_seen_to_be_asked_for_and_to_come(
    browser: Browser, tmp_path: Path
) -> None:
    async with scene(browser, tmp_path) as at:
        await at.maria.page.get_by_role("button", name="Talk to a person").click()
        await expect(
            at.maria.page.get_by_role("heading", name="Waiting for a person")
        ).to_be_visible()
        await expect(at.priya.page.get_by_role("heading", name="Waiting")).to_be_visible()
        await at.priya.accept()
        await expect(
            at.maria.page.get_by_role("heading", name="Priya from Curaway")
        ).to_be_visible()


async def test_whoever_stops_an_answer_keeps_what_was_written_and_can_ask_again(
    browser: Browser, tmp_path: Path
) -> None:
    model = GatedModel()
    async with scene(browser, tmp_path, model) as at:
        await at.maria.write("What does it cost?")
        asked = await model.next()
        asked.say("A price ")
        await at.maria.sees("A price ")
        await at.maria.page.get_by_role("button", name="Stop the answer").click()
        await expect(at.maria.page.get_by_text("Stopped", exact=True)).to_be_visible()
        await asyncio.wait_for(asked.closed.wait(), 10)
        await at.maria.page.get_by_role("button", name="Try again").click()
        again = await model.next()
        again.end("A price depends.")
        await at.maria.sees("A price depends.")
