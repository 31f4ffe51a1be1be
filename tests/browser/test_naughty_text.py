"""Whatever people write, send or are called is shown as text: as it is, and as nothing else."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Locator, expect

from auth.principal import Role
from rooms.commands import Emit, Escalate, SendMessage
from rooms.events import Attachment, Card
from rooms.patient_events import (
    ConsentGranted,
    DocumentParsed,
    DocumentUploaded,
    IntakeProgressUpdated,
)
from tests.browser.kit import Console, Patient, Stage, Window, stage
from tests.browser.naughty import ATTACKS, REFUSED, STRINGS
from tests.kit import MARIA, MARIA_ID, Identity

pytestmark = pytest.mark.asyncio(loop_scope="session")

FAST: dict[str, Any] = {"writes_per_s": 10_000, "writes_burst": 10_000}
FEW = 10
"""So many fit into what a page shows at first, with all that belongs to them."""
BATCH = 25
"""So many are written at once. A page shows some hundreds; of more, the oldest are taken away."""

WRITE = """(box, texts) => {
  const typed = [];
  for (const text of JSON.parse(texts)) {
    box.value = text;
    box.dispatchEvent(new InputEvent("input", { bubbles: true }));
    typed.push(box.value);
    box.form.requestSubmit();
  }
  return JSON.stringify(typed);
}"""
"""Writes one text after the other, as by a paste. Playwright itself carries no lone surrogates."""
READ = """(messages, count) => JSON.stringify(
  messages.slice(-count).map((message) => message.querySelector(".typed")?.textContent)
)"""


@dataclass
class Scene:
    """Maria and Priya at their pages."""

    stage: Stage
    maria: Patient
    priya: Console


@asynccontextmanager
async def scene(browser: Browser, folder: Path) -> AsyncIterator[Scene]:
    async with stage(browser, folder, **FAST) as made:
        maria, priya = await asyncio.gather(made.patient(), made.console())
        for window in (maria, priya):
            await expect(window.dot).to_have_text("Connected")
        yield Scene(made, maria, priya)


async def write(maria: Patient, texts: list[str]) -> list[str]:
    """Write texts, and give what the field made of them."""
    typed: list[str] = json.loads(await maria.box.evaluate(WRITE, json.dumps(texts)))
    return typed


def messages(window: Window, state: str) -> Locator:
    return window.page.locator(f'article.message[data-from="patient"][data-state="{state}"]')


async def read(window: Window, count: int, state: str = "final") -> list[str]:
    """Give the texts of the newest messages of the patient."""
    texts: list[str] = json.loads(await messages(window, state).evaluate_all(READ, count))
    return texts


async def test_500_naughty_strings_arrive_on_both_pages_as_they_were_written(
    browser: Browser, tmp_path: Path
) -> None:
    async with scene(browser, tmp_path) as at:
        for first in range(0, len(STRINGS), BATCH):
            batch = STRINGS[first : first + BATCH]
            typed = await write(at.maria, batch)
            assert typed == [text.replace("\r", "\n") for text in batch]
            said = [text.strip(" \t\n") for text in typed]
            for window in (at.maria, at.priya):
                await arrived(window, said)


async def arrived(window: Window, said: list[str]) -> None:
    """Wait until these are the newest texts."""

    async def are_there() -> bool:
        return await read(window, len(said)) == said

    try:
        await window.until(are_there)
    except TimeoutError:
        assert await read(window, len(said)) == said
        raise


async def test_what_the_hub_refuses_is_shown_as_refused_and_does_not_vanish(
    browser: Browser, tmp_path: Path
) -> None:
    async with scene(browser, tmp_path) as at:
        typed = await write(at.maria, REFUSED)
        await expect(messages(at.maria, "refused")).to_have_count(len(typed))
        assert await read(at.maria, len(typed), "refused") == typed
        await expect(at.maria.page.get_by_text("Not sent.")).to_have_count(len(typed))
        await at.maria.write("This works")
        await at.priya.sees("This works")
        await at.maria.page.reload()
        await expect(messages(at.maria, "refused")).to_have_count(len(typed))
        for left in range(len(typed), 0, -1):
            await at.maria.page.get_by_role("button", name="Remove").first.click()
            await expect(messages(at.maria, "refused")).to_have_count(left - 1)


async def test_60_attacks_in_what_a_patient_writes_stay_text(
    browser: Browser, tmp_path: Path
) -> None:
    async with scene(browser, tmp_path) as at:
        await write(at.maria, ATTACKS)
        for window in (at.maria, at.priya):
            await expect(messages(window, "final")).to_have_count(len(ATTACKS))
            assert await read(window, len(ATTACKS)) == ATTACKS
            await nothing_ran(window)


async def test_60_attacks_in_names_cards_and_files_stay_text(
    browser: Browser, tmp_path: Path
) -> None:
    async with scene(browser, tmp_path) as at:
        await asyncio.gather(*(attack(at.stage, number) for number in range(len(ATTACKS))))
        said = 'article.message[data-from="coordinator"]'
        for window in (at.maria, at.priya):
            await expect(window.page.locator(said)).to_have_count(len(ATTACKS))
            for place in (".card-title", ".card-words", ".chip-name"):
                shown = await window.page.locator(f"{said} {place}").all_text_contents()
                assert sorted(shown) == sorted(ATTACKS)
            names = await window.page.locator(f"{said} .name").all_text_contents()
            shown = sorted(name.removesuffix(" from Curaway") for name in names)
            assert shown == sorted(ATTACKS)
            await nothing_ran(window)


async def attack(made: Stage, number: int) -> None:
    """Let a coordinator whose name is an attack send attacks in a message."""
    text = ATTACKS[number]
    who = Identity(f"user_{number}", text, Role.COORDINATOR)
    card = Card(kind="document", title=text, ref=text[:128], fallback=text)
    file = Attachment(id=f"file_{number}", name=text, content_type=text[:100], size=1)
    await made.do(who, SendMessage(text, cards=(card,), attachments=(file,)), f"m{number}")


async def test_attacks_in_names_of_patients_and_in_what_other_programs_tell_stay_text(
    browser: Browser, tmp_path: Path
) -> None:
    async with stage(browser, tmp_path, **FAST) as made:
        await asyncio.gather(*(made.hub.open_case(f"case-{n}", patient(n)) for n in range(60)))
        for number, text in enumerate(ATTACKS[:FEW]):
            document = DocumentUploaded(document_id=f"d{number}", name=text)
            parsed = DocumentParsed(document_id=f"d{number}", text=text)
            consent = ConsentGranted(purpose=text[:100])
            step = IntakeProgressUpdated(percent=number, step=text[:100], missing=(text[:100],))
            for event in (document, parsed, consent, step):
                key = f"{number}{event.event}"
                await made.do(OTHER, Emit(MARIA_ID, event), key)
        await made.do(MARIA, Escalate(ATTACKS[0]), "escalate")
        maria, priya = await asyncio.gather(made.patient(), made.console())
        names = priya.page.locator(".desk-row .name")
        await expect(names).to_have_count(len(ATTACKS) + 1)
        assert sorted(await names.all_text_contents()) == sorted([*ATTACKS, "Maria"])
        for window in (maria, priya):
            titles = window.page.locator(".entry .card-title")
            await expect(titles).to_have_count(FEW)
            assert await titles.all_text_contents() == ATTACKS[:FEW]
            await nothing_ran(window)
        heading = priya.page.get_by_role("heading", level=1)
        for number in range(FEW):
            await priya.page.locator(f'[data-case="case-{number}"]').click()
            await expect(heading).to_have_text(ATTACKS[number])
        await nothing_ran(priya)


OTHER = Identity("service", "Another program", Role.SERVICE)


def patient(number: int) -> Identity:
    return Identity(f"user_{number}", ATTACKS[number], patient_id=f"patient-{number}")


async def nothing_ran(window: Window) -> None:
    """Check that no text became markup; `Window.check` looks for all else that attacks do."""
    assert await window.page.evaluate("() => window.hacked") is None
    made = "script:not([src]), iframe, object, embed, base, form[action], [onerror], [onload], xss"
    assert await window.page.locator(made).count() == 0
