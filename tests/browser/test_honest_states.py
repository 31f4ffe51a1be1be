"""What a page offers and says is so, at every moment."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from rooms.commands import Accept, SetStatus
from rooms.events import Status
from tests.ai.kit import GatedModel
from tests.browser.kit import Patient, stage
from tests.kit import PRIYA

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def stopped_answer(maria: Patient, model: GatedModel) -> None:
    """Let the patient stop an answer in its middle."""
    await maria.write("How much is it?")
    asked = await model.next()
    asked.say("It depends ")
    await maria.page.get_by_role("button", name="Stop the answer").click()


async def test_no_answer_is_offered_again_while_a_person_leads_or_the_case_is_closed(
    browser: Browser, tmp_path: Path
) -> None:
    model = GatedModel()
    async with stage(browser, tmp_path, dependencies={"model": model}) as made:
        maria = await made.patient()
        again = maria.page.get_by_role("button", name="Try again")
        await stopped_answer(maria, model)
        await expect(again).to_be_visible()
        await made.do(PRIYA, Accept(), "accept")
        await expect(maria.page.get_by_text("Priya from Curaway joined")).to_be_visible()
        await expect(again).to_have_count(0)
        await maria.box.focus()
        await made.do(PRIYA, SetStatus(Status.CLOSED), "close")
        await expect(maria.page.get_by_text("This conversation is closed")).to_be_visible()
        await expect(maria.page.get_by_text("Priya is with you")).to_have_count(0)
        await expect(maria.page.get_by_role("log")).to_be_focused()


async def test_a_day_that_has_passed_is_not_called_today_any_more(
    browser: Browser, tmp_path: Path
) -> None:
    async with stage(browser, tmp_path) as made:
        maria = await made.patient()
        await maria.write("Good evening")
        day = maria.page.locator(".day")
        await expect(day).to_have_text("Today")
        await maria.page.clock.set_system_time(datetime.now(UTC) + timedelta(days=1))
        await maria.page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
        await expect(day).to_have_text("Yesterday")


async def test_a_wait_is_counted_by_the_clock_of_the_hub(browser: Browser, tmp_path: Path) -> None:
    async with stage(browser, tmp_path) as made:
        maria, priya = await asyncio.gather(made.patient(), made.page("/sign-in", "priya"))
        await maria.page.get_by_role("button", name="Talk to a person").click()
        await priya.page.clock.set_system_time(datetime.now(UTC) + timedelta(days=1))
        await priya.page.goto("/admin?as=priya")
        row = priya.page.locator(".desk-row[data-control=waiting]")
        await expect(row).to_contain_text("waiting for less than a minute")


async def test_who_speaks_is_said_in_the_order_of_the_readers_language(
    browser: Browser, tmp_path: Path
) -> None:
    async with stage(browser, tmp_path) as made:
        maria = await made.patient(locale="ar")
        await made.do(PRIYA, Accept(), "accept")
        priya = await made.console()
        await priya.write("Hello Maria")
        name = maria.page.locator("article.coordinator .by .name")
        assert await name.evaluate("(name) => getComputedStyle(name).direction") == "rtl"
