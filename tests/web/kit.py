"""The pages of a hub, asked for without a socket, and what is found in them."""

import re
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

import httpx2

from hub.app import Hub, create_app
from hub.settings import Settings

ORIGIN: Final = "http://127.0.0.1:8000"
"""Where the pages of `browser` are."""
DEV_PAGES: Final = (
    "/",
    "/cases/case-maria-001",
    "/admin",
    "/admin/cases/case-maria-001",
    "/sign-in",
)
_LOADED: Final = {"script": "src", "link": "href", "img": "src", "iframe": "src"}


def browser(folder: Path, **settings: Any) -> AbstractAsyncContextManager[httpx2.AsyncClient]:
    """Give a client of a hub: one for development, if nothing else is said."""
    made = Settings(**{"dev": True, "data_dir": folder, "ai_model": "off", **settings})
    transport = httpx2.ASGITransport(create_app(Hub(made)))
    return httpx2.AsyncClient(transport=transport, base_url=ORIGIN)


@dataclass
class Found(HTMLParser):
    """What a page holds."""

    page: str
    loaded: list[str] = field(default_factory=list)
    """The addresses of what it loads."""
    links: list[str] = field(default_factory=list)
    inline: list[str] = field(default_factory=list)
    """What its policy forbids: scripts and styles in the page itself."""
    meta: dict[str, str] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._within = ""
        self.feed(self.page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self._within = tag
        if tag in _LOADED and _LOADED[tag] in given:
            self.loaded.append(given[_LOADED[tag]])
        if tag == "a":
            self.links.append(given["href"])
        if tag == "meta" and "name" in given:
            self.meta[given["name"]] = given["content"]
        self.inline += [
            f"{name}={value}" for name, value in given.items() if re.match("on|style$", name)
        ]

    def handle_data(self, data: str) -> None:
        if self._within in ("script", "style") and data.strip():
            self.inline.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._within = ""


def references(address: str, text: str) -> list[str]:
    """Give the addresses that a file refers to: a page, a stylesheet, a module or a manifest."""
    if address.endswith(".css"):
        found = re.findall(r"""(?:url\(\s*|@import\s+)["']?([^"')\s]+)""", text)
        return [name for name in found if not name.startswith("data:")]
    if address.endswith(".js"):
        code = re.sub(r"/\*.*?\*/|^\s*//.*$", "", text, flags=re.DOTALL | re.MULTILINE)
        return re.findall(r"""(?:\bfrom|\bimport|\bimport\()\s*["']([./][^"']*)["']""", code)
    if address.endswith(".webmanifest"):
        return re.findall(r""""(?:src|start_url)": "([^"]+)""", text)
    return []
