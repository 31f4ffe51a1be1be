"""One device, several people and several cases: nobody reads, or loses, what another has typed."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.browser.kit import Console, Stage, stage
from tests.kit import Identity

pytestmark = pytest.mark.asyncio(loop_scope="session")

AHMED = Identity("user_ahmed", "Ahmed", patient_id="patient_ahmed")
OTHER = "case-ahmed"


async def with_two_cases(made: Stage) -> Console:
    """Open the console at Maria's case; there is another one on the desk."""
    await made.hub.open_case(OTHER, AHMED)
    priya = await made.console()
    await expect(priya.dot).to_have_attribute("data-state", "connected")
    await expect(priya.page.locator(".desk-row")).to_have_count(2)
    return priya


async def test_a_reply_in_a_case_that_was_left_is_sent_and_until_then_the_desk_tells(
    browser: Browser, tmp_path: Path
) -> None:
    async with stage(browser, tmp_path, network_may_fail=True) as made:
        priya = await with_two_cases(made)
        row = priya.page.locator(".desk-row").filter(has_text="Maria")
        priya.proxy.refuses = True
        priya.proxy.cut()
        await priya.write("Your visa is here.")
        await priya.page.locator(".desk-row").filter(has_text="Ahmed").click()
        await expect(row).to_contain_text("Not sent")
        # A reload forgets nothing of it.
        await priya.network_is_back()
        await priya.page.reload()
        await expect(row).to_contain_text("Your visa is here.")
        await expect(row).not_to_contain_text("Not sent")
        said = [one for one in await made.log() if one["kind"] == "message"]
        assert [one["data"]["text"] for one in said] == ["Your visa is here."]


async def test_the_next_coordinator_in_a_tab_finds_nothing_of_what_the_one_before_wrote(
    browser: Browser, tmp_path: Path
) -> None:
    async with stage(browser, tmp_path) as made:
        window = await made.page("/sign-in", "priya")
        page = window.page
        note = page.get_by_role("textbox", name="Internal note")
        for name, other in (("Priya", "Ravi"), ("Ravi", "Priya")):
            await page.goto("/sign-in?next=/admin/cases/case-maria-001")
            await page.get_by_role("button", name=name).click()
            await page.get_by_role("tab", name="Internal note").click()
            await expect(note).to_have_value("")
            await note.fill(f"Seen by {name} alone")
            kept = await page.evaluate("() => JSON.stringify(sessionStorage)")
            assert f"Seen by {name} alone" in kept
            assert f"Seen by {other} alone" not in kept
        # Whoever comes back to half a note goes on in it, and not in a field for the patient.
        await page.reload()
        await expect(note).to_have_value("Seen by Ravi alone")
