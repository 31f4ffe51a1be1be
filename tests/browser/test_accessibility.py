"""axe-core finds nothing wrong with any page in any state: light, dark, small, right to left."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from ai.model import Failure
from rooms.commands import Accept, SendMessage, SetStatus
from rooms.events import Status
from tests.ai.kit import GatedModel
from tests.browser.full_case import fill, fill_desk, open_empty
from tests.browser.kit import Console, Patient, Stage, Window, stage
from tests.faulty_proxy import Asks
from tests.kit import MARIA, PRIYA

pytestmark = pytest.mark.asyncio(loop_scope="session")

AXE: Final = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
RULES: Final = [
    *("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"),
    "best-practice",
]
RUN: Final = """async (rules) => {
  const found = await axe.run(document, { runOnly: rules, resultTypes: ["violations"] });
  return found.violations.flatMap(({ id, nodes }) =>
    nodes.map((node) => `${id}: ${node.target.join(" ")} ${node.any[0]?.message ?? ""}`));
}"""

STILL: Final = {"reduced_motion": "reduce"}
LARGE: Final[dict[str, Any]] = {**STILL, "viewport": {"width": 1440, "height": 900}}
SMALL: Final[dict[str, Any]] = {
    **STILL,
    "viewport": {"width": 390, "height": 844},
    "is_mobile": True,
    "has_touch": True,
}
MODES: Final = {
    "light": LARGE,
    "dark, small": {**SMALL, "color_scheme": "dark"},
    "right to left": {**LARGE, "locale": "ar"},
    "dark": {**LARGE, "color_scheme": "dark"},
    "small": SMALL,
}


@dataclass
class Auditor:
    """Looks at pages, and keeps what is wrong with them."""

    found: list[str] = field(default_factory=list)

    async def look(self, page: Page, state: str) -> None:
        if not await page.evaluate("() => 'axe' in window"):
            await page.evaluate(AXE.read_text())
        wrong = await page.evaluate(RUN, RULES)
        self.found += [f"{state}: {one}" for one in wrong]


@asynccontextmanager
async def audited(
    browser: Browser, folder: Path
) -> AsyncIterator[tuple[Stage, GatedModel, Auditor]]:
    """Give a hub in which a lot has happened; at last nothing may have been found."""
    model = GatedModel()
    settings: dict[str, Any] = {"dependencies": {"model": model}, "network_may_fail": True}
    async with stage(browser, folder, **settings) as made:
        await open_empty(made, "case-empty")
        await fill(made, model)
        auditor = Auditor()
        yield made, model, auditor
    assert auditor.found == [], auditor.found


async def connected(window: Window) -> None:
    await expect(window.page.locator('.dot[data-state="connected"]').first).to_be_attached()


def marked(window: Window, state: str) -> Locator:
    return window.page.locator(f'article.message[data-state="{state}"]').last


def said(window: Window, kind: str) -> Locator:
    return window.page.locator(f"[data-kind={kind}]").last


@pytest.mark.parametrize("mode", ["light", "dark, small", "right to left"])
async def test_nothing_is_wrong_with_the_page_of_a_patient_whatever_its_state(
    browser: Browser, tmp_path: Path, mode: str
) -> None:
    async with audited(browser, tmp_path) as (made, model, auditor):
        empty = await made.patient("case-empty", **MODES[mode])
        await connected(empty)
        await auditor.look(empty.page, "empty")
        maria = await made.patient(**MODES[mode])
        await connected(maria)
        await auditor.look(maria.page, "thread, cards")
        await answers(made, maria, model, auditor)
        await refusals(maria, auditor)
        await files(maria, auditor)
        await takeover(made, maria, auditor)
        await lost(made, maria, auditor)
        await made.do(PRIYA, SetStatus(Status.CLOSED), "closed")
        await expect(maria.page.locator(".closed")).to_be_visible()
        await auditor.look(maria.page, "closed")


async def answers(made: Stage, maria: Patient, model: GatedModel, auditor: Auditor) -> None:
    await maria.write("What does it cost?")
    asked = await model.next()
    await expect(marked(maria, "thinking")).to_be_visible()
    await auditor.look(maria.page, "thinking")
    asked.say("A price ")
    await maria.sees("A price ")
    await auditor.look(maria.page, "writing")
    await maria.page.locator("button.stop").click()
    await expect(marked(maria, "interrupted")).to_be_visible()
    await auditor.look(maria.page, "interrupted")
    await maria.write("And now?")
    asked = await model.next()
    asked.say("It ")
    asked.fail(Failure.OVERLOADED)
    await expect(marked(maria, "failed")).to_be_visible()
    await auditor.look(maria.page, "failed")


async def refusals(maria: Patient, auditor: Auditor) -> None:
    await maria.write("before\0after")
    await expect(marked(maria, "refused")).to_be_visible()
    await auditor.look(maria.page, "refused message")
    await marked(maria, "refused").locator("button.again").last.click()
    await maria.box.fill("x" * 10_020)
    await expect(maria.page.locator('.count-left[data-over="true"]')).to_be_visible()
    await auditor.look(maria.page, "too long")
    await maria.box.fill("")


async def files(maria: Patient, auditor: Auditor) -> None:
    field = maria.page.locator('input[type="file"]').first
    maria.proxy.holds = {Asks.ANSWER}
    pdf = {"name": "report.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7\n" * 1_000}
    await field.set_input_files(pdf)  # type: ignore[arg-type]
    await expect(maria.page.get_by_role("progressbar").last).to_be_visible()
    await auditor.look(maria.page, "upload in progress")
    await maria.page.locator(".upload button").click()
    maria.proxy.holds = set()
    odd = {"name": "virus.exe", "mimeType": "application/x-msdownload", "buffer": b"MZ"}
    await field.set_input_files(odd)  # type: ignore[arg-type]
    await expect(maria.page.locator('.upload[data-state="failed"]')).to_be_visible()
    await auditor.look(maria.page, "upload failed")
    await maria.page.locator(".upload button").last.click()


async def takeover(made: Stage, maria: Patient, auditor: Auditor) -> None:
    await maria.page.locator("button.talk").click()
    await expect(maria.page.locator('.head[data-control="waiting"]')).to_be_visible()
    await auditor.look(maria.page, "waiting for a person")
    await made.do(PRIYA, Accept(), "accepted")
    await made.do(PRIYA, SendMessage("Here I am"), "here")
    await expect(maria.page.locator('.head[data-control="human"]')).to_be_visible()
    await auditor.look(maria.page, "with a person")


async def lost(made: Stage, maria: Patient, auditor: Auditor) -> None:
    maria.proxy.refuses = True
    maria.proxy.cut()
    await maria.write("Is anybody there?")
    await expect(maria.page.locator(".notice.offline")).to_be_visible()
    await auditor.look(maria.page, "offline, message waits")
    await maria.network_is_back()
    await connected(maria)


@pytest.mark.parametrize("mode", ["light", "dark, small"])
async def test_nothing_is_wrong_with_pages_that_show_no_conversation(
    browser: Browser, tmp_path: Path, mode: str
) -> None:
    async with audited(browser, tmp_path) as (made, _, auditor):
        made.proxies["maria"].holds = {Asks.SOCKET}
        loading = await made.patient(**MODES[mode])
        await auditor.look(loading.page, "patient, loading")
        made.proxies["maria"].holds = set()
        forbidden = await made.patient("case-of-somebody-else", **MODES[mode])
        await expect(forbidden.page.locator('[data-trouble="forbidden"]')).to_be_visible()
        await auditor.look(forbidden.page, "patient, forbidden")
        stranger = await made.page("/admin", "maria", **MODES[mode])
        await expect(stranger.page.get_by_role("heading", level=1)).to_be_visible()
        await auditor.look(stranger.page, "console, a patient")
        sign_in = await made.page("/sign-in", "sam", **MODES[mode])
        await expect(sign_in.page.get_by_role("button").first).to_be_visible()
        await auditor.look(sign_in.page, "sign-in")
        start = await made.page("/", "sam", **MODES[mode])
        for frame in start.page.frames[1:]:
            await expect(frame.locator(".dot").first).to_be_attached()
        await auditor.look(start.page, "start")


@pytest.mark.parametrize("mode", ["light", "dark", "small"])
async def test_nothing_is_wrong_with_the_console_whatever_its_state(
    browser: Browser, tmp_path: Path, mode: str
) -> None:
    async with audited(browser, tmp_path) as (made, model, auditor):
        desk = await made.console(None, **MODES[mode])
        await connected(desk)
        await auditor.look(desk.page, "desk, few cases")
        await fill_desk(made)
        await expect(desk.page.locator(".desk-row")).to_have_count(7)
        await auditor.look(desk.page, "desk, full")
        await filters(desk, auditor)
        priya = await made.console(**MODES[mode])
        await connected(priya)
        await expect(priya.page.locator("article.message").first).to_be_attached()
        await auditor.look(priya.page, "case")
        await views(priya, auditor)
        await writing(made, priya, model, auditor)
        await dialogs(priya, auditor)
        priya.proxy.refuses = True
        priya.proxy.cut()
        await expect(priya.page.locator('.dot[data-state="disconnected"]').first).to_be_attached()
        await auditor.look(priya.page, "offline")
        priya.proxy.heal()
        await made.do(PRIYA, SetStatus(Status.CLOSED), "closed")


async def filters(desk: Console, auditor: Auditor) -> None:
    put_away = desk.page.get_by_role("button", name="Put away the notice")
    await expect(put_away).to_have_count(2)
    await auditor.look(desk.page, "desk, alerts")
    await put_away.first.click()
    await put_away.first.click()
    await desk.page.get_by_role("button", name="Waiting").click()
    await auditor.look(desk.page, "desk, waiting")
    await desk.page.get_by_role("button", name="All").first.click()
    await desk.page.get_by_role("searchbox").fill("nobody is called this")
    await expect(desk.page.get_by_text("Nothing is found for")).to_be_visible()
    await auditor.look(desk.page, "desk, nothing found")


async def views(priya: Console, auditor: Auditor) -> None:
    await priya.page.get_by_role("tab", name="Timeline").click()
    await expect(priya.page.locator(".timeline-list > *").first).to_be_visible()
    await auditor.look(priya.page, "timeline")
    await priya.page.get_by_role("tab", name="Conversation").click()
    await priya.page.get_by_role("tab", name="Internal note").click()
    await priya.note.fill("Not for Maria")
    await auditor.look(priya.page, "note")
    await priya.page.get_by_role("button", name="Intake").click()
    await auditor.look(priya.page, "status menu")
    await priya.page.keyboard.press("Escape")
    await priya.note.fill("")


async def writing(made: Stage, priya: Console, model: GatedModel, auditor: Auditor) -> None:
    await priya.page.get_by_role("tab", name="Reply").click()
    await priya.reply.fill("Dear Maria")
    await made.do(MARIA, SendMessage("Wait, I have found it"), "wait")
    asked = await model.next()
    while "I have found it" not in asked.told:
        asked = await model.next()
    await expect(priya.page.locator(".guard")).to_be_visible()
    await auditor.look(priya.page, "guard tells")
    asked.say("How good ")
    await priya.sees("How good ")
    await priya.page.get_by_role("button", name="Send to Maria").click()
    await expect(priya.page.get_by_role("button", name="Send anyway")).to_be_visible()
    await auditor.look(priya.page, "guard holds")
    await priya.page.get_by_role("button", name="Keep editing").click()
    await priya.page.get_by_role("button", name="Canned replies").click()
    await auditor.look(priya.page, "canned replies")
    await priya.page.keyboard.press("Escape")
    await priya.accept()
    await expect(priya.page.get_by_role("button", name="Release…")).to_be_visible()
    await auditor.look(priya.page, "accepted")


async def dialogs(priya: Console, auditor: Auditor) -> None:
    await priya.page.get_by_role("button", name="Release…").click()
    await expect(priya.page.get_by_role("dialog")).to_be_visible()
    await auditor.look(priya.page, "release dialog")
    await priya.page.keyboard.press("Escape")
    await priya.page.locator("h1").focus()
    await priya.page.keyboard.press("?")
    await expect(priya.page.get_by_role("dialog")).to_be_visible()
    await auditor.look(priya.page, "keys")
    await priya.page.keyboard.press("Escape")
