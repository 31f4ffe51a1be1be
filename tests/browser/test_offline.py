"""The pages can be installed, begin without a network, and keep no health data on the device."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from hub.demo import CASE
from tests.browser.kit import Window, stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

INSTALLED: dict[str, Any] = {"service_workers": "allow"}
KEPT = """async () => {
  const found = {};
  for (const name of await caches.keys()) {
    const cache = await caches.open(name);
    for (const request of await cache.keys()) {
      found[new URL(request.url).pathname] = await (await cache.match(request)).text();
    }
  }
  return found;
}"""


async def installed(window: Window) -> None:
    """Wait until the service worker leads the page."""
    await window.page.evaluate("() => navigator.serviceWorker.ready.then(() => null)")


async def cut_off(window: Window) -> None:
    window.proxy.refuses = True
    window.proxy.cut()


async def test_without_a_network_a_page_begins_and_what_is_written_then_is_sent_later(
    browser: Browser, tmp_path: Path
) -> None:
    async with stage(browser, tmp_path, network_may_fail=True) as made:
        maria, priya = await asyncio.gather(made.patient(**INSTALLED), made.console(**INSTALLED))
        for window in (maria, priya):
            await installed(window)
            await cut_off(window)
        await maria.write("Written offline")
        await maria.page.reload()
        await expect(maria.dot).to_have_text("Disconnected")
        await priya.page.reload()
        await expect(priya.dot).to_have_text("Disconnected")
        await maria.network_is_back()
        await expect(maria.page.locator('article.message[data-state="final"]')).to_have_count(1)
        await maria.sees("Written offline")
        await priya.network_is_back()
        await priya.sees("Written offline")


async def test_what_is_written_on_a_page_that_began_without_a_network_survives_another_reload(
    browser: Browser, tmp_path: Path
) -> None:
    async with stage(browser, tmp_path, network_may_fail=True) as made:
        maria = await made.patient(**INSTALLED)
        await installed(maria)
        await cut_off(maria)
        await maria.page.reload()
        await expect(maria.dot).to_have_text("Disconnected")
        await maria.write("Written offline")
        await maria.sees("Written offline")
        await maria.page.reload()
        await maria.sees("Written offline")
        await maria.network_is_back()
        await expect(maria.page.locator('article.message[data-state="final"]')).to_have_count(1)
        events = await made.log()
        assert [event["data"].get("text") for event in events].count("Written offline") == 1


async def test_nothing_of_a_conversation_and_no_token_is_kept_on_the_device(
    browser: Browser, tmp_path: Path
) -> None:
    async with stage(browser, tmp_path) as made:
        maria, priya = await asyncio.gather(made.patient(**INSTALLED), made.console(**INSTALLED))
        await maria.write("Zebrafish")
        await priya.sees("Zebrafish")
        for window in (maria, priya):
            await installed(window)
            await window.page.reload()
            await window.sees("Zebrafish")
            kept = await window.page.evaluate(KEPT)
            assert kept
            assert not [path for path in kept if path.startswith(("/api", "/dev"))]
            stored = await window.page.evaluate(
                "() => JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
            )
            databases = await window.page.evaluate("() => indexedDB.databases()")
            assert databases == []
            for text in (*kept.values(), stored):
                assert "Zebrafish" not in text
                assert "eyJ" not in text


async def manifest(page: Page) -> dict[str, object]:
    """Give the manifest as Chromium reads it, which must find nothing wrong with it."""
    devtools = await page.context.new_cdp_session(page)
    read = await devtools.send("Page.getAppManifest")
    assert read["errors"] == []
    found: dict[str, object] = json.loads(read["data"])
    return found


@pytest.mark.parametrize("who", ["maria", "priya"])
async def test_a_page_can_be_installed(browser: Browser, tmp_path: Path, who: str) -> None:
    async with stage(browser, tmp_path) as made:
        window: Window = await (
            made.patient(**INSTALLED) if who == "maria" else made.console(**INSTALLED)
        )
        await installed(window)
        found = await manifest(window.page)
        assert found["name"]
        assert found["display"] == "standalone"
        start = f"/cases/{CASE}" if who == "maria" else "/admin"
        assert str(found["start_url"]).startswith(start)
        devtools = await window.page.context.new_cdp_session(window.page)
        wrong = await devtools.send("Page.getInstallabilityErrors")
        # Chromium installs nothing from a window that leaves no trace.
        assert [one["errorId"] for one in wrong["installabilityErrors"]] in ([], ["in-incognito"])
