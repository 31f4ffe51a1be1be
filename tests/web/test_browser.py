"""The pages in a real browser: without a network, within another app, and next to each other."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Error, Page, async_playwright

from hub.demo import CASE, MARIA, TENANT
from tests.browser import chromium
from tests.kit import WITHIN, HubProcess, Identity, hub_process
from tests.reserved_port import reserved_port

PATIENT = Identity("user_maria", "Maria", patient_id=MARIA, tenant=TENANT)
MILLISECONDS = 1000
READY = "async () => { await navigator.serviceWorker.ready; }"
KEPT = """async () => {
  const names = await caches.keys();
  const caches_ = await Promise.all(names.map((name) => caches.open(name)));
  const kept = await Promise.all(caches_.map((cache) => cache.keys()));
  return kept.flat().map((request) => new URL(request.url).pathname);
}"""


@asynccontextmanager
async def context(**options: Any) -> AsyncIterator[BrowserContext]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(**chromium.options())
        context = await browser.new_context(**options)
        context.set_default_timeout(3 * WITHIN * MILLISECONDS)
        yield context
        await browser.close()


async def is_connected(page: Page) -> None:
    await page.wait_for_selector('.dot[data-state="connected"]')


def complaints(page: Page) -> list[str]:
    """Collect what the page complains of: what its policy forbids, and what it did not catch."""
    found: list[str] = []
    page.on("console", lambda line: found.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: found.append(str(error)))
    return found


# Without a network.


async def test_a_page_begins_without_a_network_and_says_so(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as hub, context(base_url=hub.http) as browser:
        page = await browser.new_page()
        found = complaints(page)
        await page.goto(f"/cases/{CASE}?as=maria")
        await is_connected(page)
        await page.evaluate(READY)
        assert found == []
        hub.kill()
        await page.reload()
        await page.wait_for_selector('.dot:not([data-state="connected"])')
        await page.goto("/admin?as=priya")
        assert "desk" in (await page.title()).lower()
        for path in ("/docs", "/", f"/api/v1/cases/{CASE}"):
            with pytest.raises(Error, match="ERR_CONNECTION_REFUSED"):
                await page.goto(path)


async def test_only_pages_and_their_files_are_kept(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as hub, context(base_url=hub.http) as browser:
        page = await browser.new_page()
        await page.goto(f"/cases/{CASE}?as=maria")
        await page.evaluate(READY)
        # Now everything passes by the service worker.
        await page.reload()
        await is_connected(page)
        await page.evaluate(f"() => fetch('/api/v1/cases/{CASE}')")
        kept = await page.evaluate(KEPT)
    assert {"/cases/-", "/admin", "/static/design/tokens.css"} <= {*kept}
    assert [path for path in kept if not path.startswith("/static/")] == ["/cases/-", "/admin"]


async def test_what_another_version_kept_is_thrown_away(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as hub, context(base_url=hub.http) as browser:
        page = await browser.new_page()
        await page.goto("/sign-in")
        for name in ("curaway-shell-old", "of-another"):
            await page.evaluate("(name) => caches.open(name).then(() => null)", name)
        await page.goto("/admin?as=priya")
        await page.evaluate(READY)
        await page.wait_for_function(
            "async () => !(await caches.keys()).includes('curaway-shell-old')"
        )
        assert "of-another" in await page.evaluate("() => caches.keys()")


# Within another app.


def app_html(hub: HubProcess, token: str) -> bytes:
    """Write the page of an app that shows ours, and answers when it is asked for a token."""
    answer = json.dumps({"type": "curaway:token", "token": token})
    return f"""<!doctype html><title>App</title><iframe src="{hub.http}/cases/{CASE}"></iframe>
      <script>
        window.asked = [];
        addEventListener("message", (event) => {{
          window.asked.push([event.origin, event.data]);
          event.source.postMessage({answer}, event.origin);
        }});
      </script>""".encode()


@pytest.fixture
def port() -> Iterator[int]:
    """Give the port of the other app."""
    with reserved_port() as port:
        yield port


@asynccontextmanager
async def serving(port: int, html: bytes) -> AsyncIterator[None]:
    """Serve one page to whoever asks."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(html)}"
        writer.write(head.encode() + b"\r\nConnection: close\r\n\r\n" + html)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", port):
        yield


async def test_an_app_of_an_allowed_origin_signs_its_people_in(tmp_path: Path, port: int) -> None:
    origin = f"http://localhost:{port}"
    async with (
        hub_process(tmp_path, HUB_ALLOWED_ORIGINS=origin) as hub,
        serving(port, app_html(hub, hub.token(PATIENT))),
        context() as browser,
    ):
        page = await browser.new_page()
        found = complaints(page)
        await page.goto(origin)
        frame = page.frame_locator("iframe")
        await frame.locator('.dot[data-state="connected"]').wait_for()
        asked = await page.evaluate("() => window.asked")
        assert found == []
    assert asked[0] == [hub.http, {"type": "curaway:token-request", "renew": False}]


async def test_no_other_app_can_show_our_pages(tmp_path: Path, port: int) -> None:
    async with (
        hub_process(tmp_path, HUB_ALLOWED_ORIGINS="https://app.example.org") as hub,
        serving(port, app_html(hub, hub.token(PATIENT))),
        context() as browser,
    ):
        page = await browser.new_page()
        async with page.expect_console_message(lambda line: "frame-ancestors" in line.text):
            await page.goto(f"http://localhost:{port}")
        assert await page.evaluate("() => window.asked") == []


# In development.


async def test_whoever_signs_in_comes_back_as_the_one_they_chose(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as hub, context(base_url=hub.http) as browser:
        page = await browser.new_page()
        await page.goto("/admin")
        await page.wait_for_url("**/sign-in?next=%2Fadmin")
        await page.get_by_role("button", name="Ravi").click()
        await page.wait_for_url("**/admin")
        await page.goto("/sign-in?next=//evil.example/admin")
        await page.get_by_role("button", name="Maria").click()
        await page.wait_for_url(f"{hub.http}/cases/{CASE}")
        await is_connected(page)


async def test_the_start_page_shows_both_sides_and_lets_them_follow_its_theme(
    tmp_path: Path,
) -> None:
    async with (
        hub_process(tmp_path) as hub,
        context(base_url=hub.http, color_scheme="light") as browser,
    ):
        page = await browser.new_page()
        found = complaints(page)
        await page.goto("/")
        patient, staff = page.frame_locator(".patient iframe"), page.frame_locator(".staff iframe")
        await patient.locator('.dot[data-state="connected"]').wait_for()
        await page.get_by_role("button", name="Dark theme").click()
        for side in (patient, staff):
            await side.locator('html[data-theme="dark"]').wait_for()
        await page.set_viewport_size({"width": 390, "height": 844})
        await page.get_by_role("button", name="Priya").click()
        assert not await page.locator(".patient iframe").is_visible()
        assert await page.locator(".staff iframe").is_visible()
        assert found == []
