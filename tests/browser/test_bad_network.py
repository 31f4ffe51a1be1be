"""Networks break, hubs restart, tabs are loaded again: what was written arrives once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from rooms.commands import SendMessage
from tests.ai.kit import GatedModel
from tests.browser.kit import STORED_NOTE, Console, Patient, Stage, Window, stage
from tests.kit import PRIYA

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONNECTED = "Connected"
COMES_BACK_AT_OPEN = """window.WebSocket = class extends WebSocket {
  constructor(...given) {
    super(...given);
    this.addEventListener("open", () => window.dispatchEvent(new Event("online")));
  }
}"""
"""Tells of a network in the moment between the opening of a socket and its first frame."""
NOT_CONNECTED = ("Reconnecting…", "Disconnected")


@dataclass
class World:
    """Two people at their pages, the network of each, and what they have written."""

    stage: Stage
    maria: Patient
    priya: Console
    random: Random
    said: list[str] = field(default_factory=list)
    """What Maria has written, in order."""
    noted: list[str] = field(default_factory=list)
    """What Priya has noted, in order."""
    told: list[str] = field(default_factory=list)
    """What came from elsewhere, in order."""

    @property
    def windows(self) -> tuple[Window, Window]:
        return (self.maria, self.priya)

    async def write(self) -> None:
        """Let both write, whatever becomes of it."""
        number = len(self.said)
        self.said.append(f"said {number}")
        self.noted.append(f"noted {number}")
        await self.maria.write(self.said[-1])
        await self.priya.write_note(self.noted[-1])

    async def tell(self) -> None:
        """Let somebody else write, whose network is good."""
        self.told.append(f"told {len(self.told)}")
        await self.stage.do(PRIYA, SendMessage(self.told[-1]), self.told[-1])

    async def connected(self) -> None:
        """Let both networks be good, and wait until both pages have noticed."""
        for window in self.windows:
            await window.network_is_back()
        for window in self.windows:
            await expect(window.dot).to_have_text(CONNECTED)

    async def settled(self) -> None:
        """Wait until everything is where it belongs, once and in order."""
        await self.connected()
        for window in self.windows:
            await window.until(self._arrived)
        for window in self.windows:
            texts = [one["text"] for one in await window.messages()]
            assert [text for text in texts if text.startswith("said")] == self.said
            assert [text for text in texts if text.startswith("told")] == self.told
            assert {one["state"] for one in await window.messages()} == {"final"}
        assert await notes(self.priya) == self.noted
        assert await notes(self.maria) == []

    async def _arrived(self) -> bool:
        count = len(self.said) + len(self.told)
        for window in self.windows:
            if len(await window.messages()) < count or await outbox(window):
                return False
        return len(await notes(self.priya)) >= len(self.noted)


async def notes(window: Window) -> list[str]:
    return await window.page.locator(STORED_NOTE).all_text_contents()


async def outbox(window: Window) -> list[str]:
    """Give what the page has kept to be sent."""
    kept: list[str] = await window.page.evaluate(
        "() => Object.keys(localStorage).filter((key) => key.startsWith('curaway.outbox/'))"
    )
    return kept


@asynccontextmanager
async def world(browser: Browser, folder: Path, seed: int = 0) -> AsyncIterator[World]:
    async with stage(browser, folder, network_may_fail=True) as made:
        allow: dict[str, Any] = {"service_workers": "allow"}
        maria, priya = await asyncio.gather(made.patient(**allow), made.console(**allow))
        both = World(made, maria, priya, Random(seed))
        for window in both.windows:
            await expect(window.dot).to_have_text(CONNECTED)
        yield both


Fault = Callable[[World], Awaitable[None]]


async def cut(at: World) -> None:
    for window in at.windows:
        window.proxy.cut()
    await at.write()


async def cut_while_writing(at: World) -> None:
    await asyncio.gather(at.write(), *(cut_soon(at, window) for window in at.windows))


async def cut_soon(at: World, window: Window) -> None:
    for _ in range(at.random.randint(0, 20)):
        await window.page.evaluate("() => new Promise(requestAnimationFrame)")
    window.proxy.cut()


async def black_hole(at: World) -> None:
    for window in at.windows:
        window.proxy.black_hole()
    await at.write()
    await at.tell()


async def slow(at: World) -> None:
    for window in at.windows:
        window.proxy.delay = 0.15
    await at.write()
    await at.tell()


async def away(at: World) -> None:
    for window in at.windows:
        window.proxy.refuses = True
        window.proxy.cut()
    await at.tell()
    await at.write()
    for window in at.windows:
        assert await window.dot.text_content() in NOT_CONNECTED


async def restart(at: World) -> None:
    going = asyncio.create_task(at.stage.down())
    await at.write()
    await going
    await at.write()
    await at.stage.up()


async def load_again(at: World) -> None:
    for window in at.windows:
        window.proxy.refuses = True
        window.proxy.cut()
    await at.write()
    for window in at.windows:
        window.proxy.heal()
        await window.page.reload()


FAULTS: list[Fault] = [cut, cut_while_writing, black_hole, slow, away, restart, load_again]


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_becomes_of_the_network_nothing_is_lost_and_nothing_comes_twice(
    browser: Browser, tmp_path: Path, seed: int
) -> None:
    async with world(browser, tmp_path, seed) as at:
        for fault in at.random.sample(FAULTS, len(FAULTS)):
            await fault(at)
            await at.settled()
        events = await at.stage.log()
        texts = Counter(event["data"].get("text") for event in events)
        assert {text: texts[text] for text in (*at.said, *at.noted, *at.told)} == dict.fromkeys(
            (*at.said, *at.noted, *at.told), 1
        )


async def test_a_page_says_at_once_that_its_connection_is_cut_and_when_it_is_back(
    browser: Browser, tmp_path: Path
) -> None:
    async with world(browser, tmp_path) as at:
        for window in at.windows:
            window.proxy.refuses = True
            window.proxy.cut()
            await expect(window.dot).to_have_text("Reconnecting…", timeout=5_000)
            await expect(window.dot).to_have_text("Disconnected")
        await at.connected()


async def test_a_page_says_after_some_time_that_a_silent_connection_is_dead(
    browser: Browser, tmp_path: Path
) -> None:
    async with world(browser, tmp_path) as at:
        for window in at.windows:
            await window.page.clock.install()
            await window.page.reload()
            await expect(window.dot).to_have_text(CONNECTED)
            window.proxy.black_hole()
            await window.page.clock.fast_forward(41_000)
            await window.page.clock.fast_forward(4_000)
            await expect(window.dot).not_to_have_text(CONNECTED)


async def test_what_is_written_without_a_connection_is_shown_as_waiting_and_then_as_sent(
    browser: Browser, tmp_path: Path
) -> None:
    async with world(browser, tmp_path) as at:
        at.maria.proxy.refuses = True
        at.maria.proxy.cut()
        await at.maria.write("Is anybody there?")
        await at.maria.sees("Is anybody there?")
        assert [one["state"] for one in await at.maria.messages()] == ["pending"]
        assert len(await outbox(at.maria)) == 1
        await at.connected()
        await at.priya.sees("Is anybody there?")
        sent = at.maria.page.locator('article.message[data-state="final"]')
        await expect(sent).to_have_count(1)


async def test_an_interrupted_connection_does_not_tear_an_answer_in_two(
    browser: Browser, tmp_path: Path
) -> None:
    model = GatedModel()
    settings: dict[str, Any] = {"dependencies": {"model": model}, "network_may_fail": True}
    async with stage(browser, tmp_path, **settings) as made:
        maria = await made.patient()
        await maria.write("What does it cost?")
        asked = await model.next()
        asked.say("A price ")
        await maria.sees("A price ")
        maria.proxy.refuses = True
        maria.proxy.cut()
        asked.say("depends ")
        lost = maria.page.get_by_role("button", name="Connection lost. Tap to retry")
        await expect(lost).to_be_visible()
        maria.proxy.heal()
        await lost.click()
        await maria.sees("A price depends ")
        asked.end("on the treatment.")
        await maria.sees("A price depends on the treatment.")
        assert len(await maria.messages()) == 2


async def test_a_network_that_comes_back_while_a_page_connects_does_not_disturb_it(
    browser: Browser, tmp_path: Path
) -> None:
    async with world(browser, tmp_path) as at:
        for window in at.windows:
            await window.context.add_init_script(COMES_BACK_AT_OPEN)
            await window.page.reload()
            await expect(window.dot).to_have_text(CONNECTED)
