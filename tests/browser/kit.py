"""A hub, people at their browsers, and a bad network between each of them and the hub."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Locator,
    Page,
    Request,
    WebSocket,
    expect,
)

from hub.demo import CASE
from rooms.commands import Command
from tests.faulty_proxy import FaultyProxy
from tests.kit import MARIA, PRIYA, WITHIN, Frame, Identity, RunningHub, running_hub

PEOPLE: Final = ("maria", "priya", "ravi", "sam")
"""Those whom the hub signs in for development."""
PATIENCE: Final = 3 * WITHIN
"""Seconds after which an expectation has failed: a browser takes more time than a client."""
expect.set_options(timeout=PATIENCE * 1000)

STORED_NOTE: Final = ".note-slip:not([data-pending]) .note-text"
LOOK_EVERY_MS: Final = 50
BLOCKED: Final = "Service Worker registration blocked by Playwright"
BAD_NETWORK: Final = re.compile("Failed to load resource|WebSocket connection to|net::ERR_")
"""What Chromium itself writes to its console when requests fail."""


SomeWindow = TypeVar("SomeWindow", bound="Window")


class Window:
    """One window of somebody: a page, and all that it did."""

    def __init__(self, context: BrowserContext, page: Page, proxy: FaultyProxy) -> None:
        self.context = context
        self.page = page
        self.proxy = proxy
        self.complaints: list[str] = []
        """Errors and warnings on the console, uncaught errors, and dialogs."""
        self.requests: list[str] = []
        self.came: list[str] = []
        """Every frame that came over a WebSocket."""
        self.went: list[str] = []
        """Every frame that was sent over one."""
        self._listen()

    def _listen(self) -> None:
        self.page.on("console", self._on_console)
        self.page.on("pageerror", self._on_error)
        self.page.on("dialog", self._on_dialog)
        self.page.on("websocket", self._on_websocket)
        self.context.on("request", self._on_request)

    def _on_error(self, error: Exception) -> None:
        self.complaints.append(f"uncaught: {error}")

    def _on_websocket(self, socket: WebSocket) -> None:
        socket.on("framereceived", lambda frame: self.came.append(str(frame)))
        socket.on("framesent", lambda frame: self.went.append(str(frame)))

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and message.text != BLOCKED:
            self.complaints.append(f"{message.type}: {message.text}")

    async def _on_dialog(self, dialog: Dialog) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        await dialog.dismiss()

    def _on_request(self, request: Request) -> None:
        self.requests.append(request.url)

    @property
    def dot(self) -> Locator:
        """What tells of the connection."""
        return self.page.locator(".dot").first

    def said(self, text: str) -> Locator:
        """Give the messages that say exactly this."""
        exactly = re.compile(f"^{re.escape(text)}$")
        prose = self.page.locator(".prose").filter(has_text=exactly)
        return self.page.locator("article.message").filter(has=prose)

    async def sees(self, text: str) -> None:
        """Wait until exactly one message says exactly this."""
        await expect(self.said(text)).to_have_count(1)

    async def messages(self) -> list[dict[str, str]]:
        """Give all messages of the thread: `from`, `state` and `text`."""
        found: list[dict[str, str]] = await self.page.evaluate(
            """() => [...document.querySelectorAll("article.message")].map((message) => ({
                from: message.dataset.from,
                state: message.dataset.state,
                text: message.querySelector(".prose")?.textContent ?? "",
            }))"""
        )
        return found

    async def network_is_back(self) -> None:
        """Let all be well again, and the operating system tell so."""
        self.proxy.heal()
        await self.page.evaluate("() => window.dispatchEvent(new Event('online'))")

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        """Wait until a condition of the page holds."""
        async with asyncio.timeout(PATIENCE):
            while not await condition():
                await self.page.wait_for_timeout(LOOK_EVERY_MS)

    @property
    def foreign(self) -> list[str]:
        """Give the requests that went elsewhere than to the hub."""
        own = urlsplit(self.proxy.origin).netloc
        return [
            url
            for url in self.requests
            if urlsplit(url).scheme not in ("blob", "data") and urlsplit(url).netloc != own
        ]

    def check(self, network_may_fail: bool) -> None:
        """Check that the page made no error, asked nothing, and called nobody else."""
        complaints = [
            complaint
            for complaint in self.complaints
            if not (network_may_fail and BAD_NETWORK.search(complaint))
        ]
        assert complaints == [], complaints
        assert self.foreign == [], self.foreign


class Patient(Window):
    """Maria's page."""

    @property
    def box(self) -> Locator:
        return self.page.locator("#composer")

    async def write(self, text: str) -> None:
        """Write and send."""
        await self.box.fill(text)
        await self.page.locator("button.send").click()


class Console(Window):
    """The page of a coordinator, with a case open."""

    @property
    def reply(self) -> Locator:
        return self.page.get_by_role("textbox", name="Reply to Maria")

    @property
    def note(self) -> Locator:
        return self.page.get_by_role("textbox", name="Internal note")

    async def write(self, text: str) -> None:
        """Write to the patient and send."""
        await self.page.get_by_role("tab", name="Reply").click()
        await self.reply.fill(text)
        await self.page.get_by_role("button", name="Send to Maria").click()

    async def write_note(self, text: str) -> None:
        await self.page.get_by_role("tab", name="Internal note").click()
        await self.note.fill(text)
        await self.page.get_by_role("button", name="Save note").click()

    async def accept(self) -> None:
        await self.page.get_by_role("button", name="Accept").click()

    async def release(self, brief: str) -> None:
        await self.page.get_by_role("button", name="Release").click()
        dialog = self.page.get_by_role("dialog")
        await dialog.get_by_label("Brief").fill(brief)
        await dialog.get_by_role("button", name="Release").click()


@dataclass
class Stage:
    """A hub that can be stopped and started again, and the windows of people."""

    browser: Browser
    folder: Path
    proxies: dict[str, FaultyProxy]
    settings: dict[str, Any]
    dependencies: dict[str, Any]
    windows: list[Window] = field(default_factory=list)
    _hub: RunningHub | None = None
    _serving: asyncio.Task[None] | None = None
    _leave: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def hub(self) -> RunningHub:
        assert self._hub is not None, "the hub is down"
        return self._hub

    async def up(self) -> None:
        """Start the hub on the data that there is."""
        running: asyncio.Future[RunningHub] = asyncio.get_running_loop().create_future()
        self._leave = asyncio.Event()
        self._serving = asyncio.create_task(self._serve(running, self._leave))
        self._serving.add_done_callback(lambda _: running.cancel())
        self._hub = await running
        for proxy in self.proxies.values():
            proxy.target = self._hub.port

    async def down(self) -> None:
        """Stop the hub, as an operator does."""
        serving, self._serving, self._hub = self._serving, None, None
        self._leave.set()
        if serving is not None:
            await serving

    async def _serve(self, running: "asyncio.Future[RunningHub]", leave: asyncio.Event) -> None:
        origins = frozenset(proxy.origin for proxy in self.proxies.values())
        hub = running_hub(
            self.folder,
            open_case=False,
            dependencies=self.dependencies,
            allowed_origins=origins,
            **self.settings,
        )
        async with hub as up:
            running.set_result(up)
            await leave.wait()

    async def do(self, who: Identity, command: Command, key: str, case: str = CASE) -> None:
        """Change a room without a browser."""
        await self.hub.hub.rooms.handle(case, command, who.principal(), key)

    async def log(self, case: str = CASE) -> list[Frame]:
        """Give all events of a case, as staff see them."""
        async with self.hub.rest(PRIYA) as http:
            answer = await http.get(f"/cases/{case}/events", params={"limit": 500})
        assert answer.status_code == 200, answer.text
        events: list[Frame] = answer.json()["events"]
        return events

    async def patient(self, case: str = CASE, **options: Any) -> Patient:
        """Open Maria's page."""
        return await self._window(Patient, "maria", f"/cases/{case}", **options)

    async def console(self, case: str | None = CASE, who: str = "priya", **options: Any) -> Console:
        """Open the console of a coordinator, at a case or at the desk alone."""
        path = "/admin" if case is None else f"/admin/cases/{case}"
        return await self._window(Console, who, path, **options)

    async def page(self, path: str, who: str, **options: Any) -> Window:
        """Open any other page."""
        return await self._window(Window, who, path, **options)

    async def _window(
        self, kind: type[SomeWindow], who: str, path: str, **options: Any
    ) -> SomeWindow:
        # Its installation fetches every file: only tests that are about it have a service worker.
        options = {"service_workers": "block", **options}
        context = await self.browser.new_context(base_url=self.proxies[who].origin, **options)
        context.set_default_timeout(PATIENCE * 1000)
        window = kind(context, await context.new_page(), self.proxies[who])
        self.windows.append(window)
        await window.page.goto(f"{path}?as={who}")
        return window

    async def close(self) -> None:
        for window in self.windows:
            await window.context.close()
        await self.down()


@contextlib.asynccontextmanager
async def stage(
    browser: Browser,
    folder: Path,
    *,
    dependencies: dict[str, Any] | None = None,
    network_may_fail: bool = False,
    **settings: Any,
) -> AsyncIterator[Stage]:
    """Run a hub with Maria's case, and browsers to come; at last check what each page did."""
    async with contextlib.AsyncExitStack() as stack:
        proxies = {name: await stack.enter_async_context(FaultyProxy()) for name in PEOPLE}
        made = Stage(browser, folder, proxies, settings, dependencies or {})
        stack.push_async_callback(made.close)
        await made.up()
        await made.hub.open_case(CASE, MARIA)
        yield made
        for window in made.windows:
            window.check(network_may_fail)
