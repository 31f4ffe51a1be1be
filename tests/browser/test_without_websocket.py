"""Where proxies let no WebSocket pass, and no stream either, the conversation goes on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from tests.ai.kit import GatedModel
from tests.browser.kit import STORED_NOTE, Console, Patient, Stage, stage
from tests.faulty_proxy import Asks, FaultyProxy

pytestmark = pytest.mark.asyncio(loop_scope="session")


Spoil = Callable[[FaultyProxy], None]


def no_socket(proxy: FaultyProxy) -> None:
    proxy.forbids = {Asks.SOCKET}


def no_stream(proxy: FaultyProxy) -> None:
    proxy.forbids = {Asks.SOCKET, Asks.STREAM}


def held_stream(proxy: FaultyProxy) -> None:
    proxy.forbids = {Asks.SOCKET}
    proxy.holds = {Asks.STREAM}


ROUNDS = 2
PROXIES = [no_socket, no_stream, held_stream]


@dataclass
class Scene:
    """Maria and Priya behind a proxy of a company, and a model that waits for the test."""

    stage: Stage
    maria: Patient
    priya: Console
    model: GatedModel


@asynccontextmanager
async def scene(browser: Browser, folder: Path, spoil: Spoil) -> AsyncIterator[Scene]:
    model = GatedModel()
    settings: dict[str, Any] = {"dependencies": {"model": model}, "network_may_fail": True}
    async with stage(browser, folder, **settings) as made:
        for proxy in made.proxies.values():
            spoil(proxy)
        maria, priya = await asyncio.gather(made.patient(), made.console())
        for window in (maria, priya):
            await expect(window.dot).to_have_text("Connected")
        yield Scene(made, maria, priya, model)


@pytest.mark.parametrize("spoil", PROXIES)
async def test_a_whole_conversation_passes_a_proxy_that_lets_little_pass(
    browser: Browser, tmp_path: Path, spoil: Spoil
) -> None:
    async with scene(browser, tmp_path, spoil) as at:
        await at.maria.write("What does it cost?")
        await at.priya.sees("What does it cost?")
        asked = await at.model.next()
        asked.say("A price depends ")
        asked.end("on the treatment.")
        await at.maria.sees("A price depends on the treatment.")
        await at.priya.sees("A price depends on the treatment.")

        await at.priya.write_note("Zebrafish: the passport is missing")
        await at.priya.accept()
        leads = at.maria.page.get_by_role("heading", name="Priya from Curaway")
        await expect(leads).to_be_visible()
        await at.priya.write("Hello Maria")
        await at.maria.sees("Hello Maria")
        await at.maria.write("Hello Priya")
        await at.priya.sees("Hello Priya")

        await at.priya.release("Maria is well.")
        assistant = at.maria.page.get_by_role("heading", name="Assistant")
        await expect(assistant).to_be_visible()
        assert b"Zebrafish" not in at.maria.proxy.heard
        assert b"Maria is well." not in at.maria.proxy.heard
        assert at.maria.came == at.priya.came == []
        said = [
            ("patient", "What does it cost?"),
            ("ai", "A price depends on the treatment."),
            ("coordinator", "Hello Maria"),
            ("patient", "Hello Priya"),
        ]
        for window in (at.maria, at.priya):
            assert [(one["from"], one["text"]) for one in await window.messages()] == said


async def test_over_a_stream_an_answer_appears_while_it_is_being_written_and_stops_at_a_takeover(
    browser: Browser, tmp_path: Path
) -> None:
    async with scene(browser, tmp_path, no_socket) as at:
        await at.maria.write("What does it cost?")
        asked = await at.model.next()
        asked.say("A price depends ")
        await at.maria.sees("A price depends ")
        await at.priya.sees("A price depends ")
        await at.priya.accept()
        leads = at.maria.page.get_by_role("heading", name="Priya from Curaway")
        await expect(leads).to_be_visible()
        asked.say("on nothing of this")
        await at.priya.write("Hello Maria")
        await at.maria.sees("Hello Maria")
        answer = next(one for one in await at.maria.messages() if one["from"] == "ai")
        assert (answer["text"], answer["state"]) == ("A price depends ", "interrupted")
        assert b"on nothing of this" not in at.maria.proxy.heard


@pytest.mark.parametrize("spoil", [no_socket, no_stream])
async def test_behind_such_a_proxy_nothing_is_lost_when_connections_break(
    browser: Browser, tmp_path: Path, spoil: Spoil
) -> None:
    async with scene(browser, tmp_path, spoil) as at:
        for number in range(ROUNDS):
            for window in (at.maria, at.priya):
                window.proxy.refuses = True
                window.proxy.cut()
            await at.maria.write(f"said {number}")
            await at.priya.write_note(f"noted {number}")
            for window in (at.maria, at.priya):
                await window.network_is_back()
            await at.priya.sees(f"said {number}")
            await expect(at.priya.page.locator(STORED_NOTE)).to_have_count(number + 1)
        texts = [event["data"].get("text") for event in await at.stage.log()]
        for number in range(ROUNDS):
            assert texts.count(f"said {number}") == texts.count(f"noted {number}") == 1
        said = [one["text"] for one in await at.maria.messages() if one["from"] == "patient"]
        assert said == [f"said {number}" for number in range(ROUNDS)]
