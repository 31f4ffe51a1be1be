"""Pictures of the pages in `screenshots/`: `python -m tests.browser.pictures`."""

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

import click
from playwright.async_api import async_playwright, expect

from tests.ai.kit import GatedModel
from tests.browser import chromium
from tests.browser.full_case import fill, fill_desk, open_empty
from tests.browser.kit import Stage, Window, stage

FOLDER: Final = Path(__file__).parents[2] / "screenshots"
MODES: Final[dict[str, dict[str, Any]]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "device_scale_factor": 2,
        "is_mobile": True,
        "has_touch": True,
    },
    "right-to-left": {"locale": "ar"},
}
DESKTOP: Final = {"viewport": {"width": 1440, "height": 900}}


async def take(made: Stage, mode: str) -> None:
    """Take all pictures of one mode."""
    options = {**DESKTOP, **MODES[mode], "reduced_motion": "reduce"}
    empty = await made.patient("case-empty", **options)
    await shot(empty, f"patient-empty-{mode}")
    maria = await made.patient(**options)
    await shot(maria, f"patient-{mode}")
    desk = await made.console(None, **options)
    await shot(desk, f"desk-{mode}")
    priya = await made.console(**options)
    await shot(priya, f"console-{mode}")
    await priya.page.get_by_role("tab", name="Internal note").click()
    await shot(priya, f"console-note-{mode}")
    both = await made.page("/", "sam", **options)
    await both.page.wait_for_load_state("networkidle")
    await both.page.screenshot(path=FOLDER / f"start-{mode}.png")


async def shot(window: Window, name: str) -> None:
    await expect(window.page.locator('.dot[data-state="connected"]').first).to_be_attached()
    await window.page.screenshot(path=FOLDER / f"{name}.png")


async def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(**chromium.options())
            model = GatedModel()
            async with stage(browser, Path(folder), dependencies={"model": model}) as made:
                await open_empty(made, "case-empty")
                await fill(made, model)
                await fill_desk(made)
                for mode in MODES:
                    await take(made, mode)
            await browser.close()
    click.echo(f"{len(list(FOLDER.iterdir()))} pictures are in {FOLDER.name}/")


if __name__ == "__main__":
    asyncio.run(main())
