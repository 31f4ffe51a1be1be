"""The pages: what a browser gets, and what it is told."""

import asyncio
import gzip
import json
import os
import re
from pathlib import Path
from typing import Any

import httpx2
import pytest

from auth.dev import DevKeys
from tests.kit import WITHIN, raw_socket, running_hub
from tests.web.kit import DEV_PAGES, Found, browser, references
from web.assets import Asset, Assets
from web.manifests import PAPER
from web.modules import needs_of
from web.pages import FOLDER, SHELLS

APP = "https://app.example.org"


def production(tmp_path: Path, **settings: Any) -> dict[str, Any]:
    pem = DevKeys(tmp_path / "keys").public_pem
    return {"dev": False, "jwt_public_key": pem, **settings}


def policy(answer: httpx2.Response) -> dict[str, list[str]]:
    """Give the directives of a page's policy."""
    directives = answer.headers["content-security-policy"].split("; ")
    return {name: values for name, *values in (directive.split() for directive in directives)}


# What a browser is told.


@pytest.mark.parametrize("page", DEV_PAGES)
async def test_every_page_tells_the_browser_to_trust_its_own_files_alone(
    tmp_path: Path, page: str
) -> None:
    async with browser(tmp_path) as http:
        answer = await http.get(page)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    told = policy(answer)
    assert told["default-src"] == ["'none'"]
    assert told["script-src"] == told["style-src"] == ["'self'"]
    assert told["base-uri"] == ["'none'"]
    assert told["require-trusted-types-for"] == ["'script'"]
    assert not re.search("unsafe|https?:|[*]", answer.headers["content-security-policy"])
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "microphone=()" in answer.headers["permissions-policy"]


@pytest.mark.parametrize("page", DEV_PAGES)
async def test_no_page_holds_a_script_or_a_style_of_its_own(tmp_path: Path, page: str) -> None:
    async with browser(tmp_path) as http:
        found = Found((await http.get(page)).text)
    assert found.inline == []
    assert "{{" not in found.page
    assert "noscript" in found.tags
    assert "viewport-fit=cover" in found.meta["viewport"]


@pytest.mark.parametrize("page", DEV_PAGES)
async def test_all_that_a_page_refers_to_is_there_and_from_here(tmp_path: Path, page: str) -> None:
    async with browser(tmp_path) as http:
        found = Found((await http.get(page)).text)
        for address in [*found.loaded, *found.links]:
            assert re.match("/[a-z]", address), address
            assert (await http.get(address)).status_code == 200, address


async def test_pages_say_to_what_they_may_connect_even_to_browsers_that_need_it_spelled_out(
    tmp_path: Path,
) -> None:
    async with browser(tmp_path) as http:
        told = policy(await http.get("/admin", headers={"Host": "hub.example.org:8443"}))
        assert told["connect-src"] == [
            "'self'",
            "ws://hub.example.org:8443",
            "wss://hub.example.org:8443",
        ]
        for host in ("evil.example; script-src *", "a b", "*", "a:b:c", ""):
            told = policy(await http.get("/admin", headers={"Host": host}))
            assert told["connect-src"] == ["'self'"]
            assert told["script-src"] == ["'self'"]


async def test_only_the_pages_of_allowed_origins_may_embed_ours(tmp_path: Path) -> None:
    async with browser(tmp_path) as http:
        assert policy(await http.get("/admin"))["frame-ancestors"] == ["'self'"]
    origins = frozenset({APP, "http://localhost:3000", "*", "https://x.example; script-src *"})
    async with browser(tmp_path, allowed_origins=origins) as http:
        answer = await http.get("/admin")
    assert policy(answer)["frame-ancestors"] == ["'self'", "http://localhost:3000", APP]
    assert policy(answer)["script-src"] == ["'self'"]
    told = json.loads(Found(answer.text).meta["hub-config"])
    assert told["origins"] == ["http://localhost:3000", APP]


async def test_a_page_is_told_how_to_sign_in(tmp_path: Path) -> None:
    async with browser(tmp_path, session_cookie='a"b<') as http:
        told = json.loads(Found((await http.get("/admin")).text).meta["hub-config"])
    assert told == {"dev": True, "origins": [], "cookie": 'a"b<', "max_upload": 10_485_760}
    async with browser(tmp_path, **production(tmp_path), max_upload=5_000) as http:
        told = json.loads(Found((await http.get("/admin")).text).meta["hub-config"])
    assert told == {"dev": False, "origins": [], "cookie": "__session", "max_upload": 5_000}


# What there is.


async def test_the_start_page_shows_both_sides_in_development(tmp_path: Path) -> None:
    async with browser(tmp_path) as http:
        found = Found((await http.get("/")).text)
    frames = [address for address in found.loaded if not address.startswith("/static/")]
    assert frames == ["/cases/case-maria-001?as=maria", "/admin/cases/case-maria-001?as=priya"]


async def test_the_start_page_of_production_says_what_this_is(tmp_path: Path) -> None:
    async with browser(tmp_path, **production(tmp_path)) as http:
        answer = await http.get("/")
        found = Found(answer.text)
        assert answer.status_code == 200
        assert found.links == ["/admin", "/docs"]
        assert "Maria" not in answer.text
        for address in [*found.loaded, *found.links]:
            assert (await http.get(address)).status_code == 200


async def test_the_pages_are_there_without_coordinators_too(tmp_path: Path) -> None:
    async with browser(tmp_path, flag_coordinator_enabled=False) as http:
        for page in DEV_PAGES:
            assert (await http.get(page)).status_code == 200


async def test_what_is_not_there_is_told_as_the_api_tells_it(tmp_path: Path) -> None:
    async with browser(tmp_path) as http:
        for path in ("/nothing", "/static/nothing.js", "/static/", "/cases/", "/cases/a/b"):
            answer = await http.get(path)
            assert answer.status_code == 404
            assert answer.json()["error"]["code"] == "not_found"
        assert (await http.post("/admin")).status_code == 405


async def test_what_is_to_be_filled_in_is_not_served_as_it_is(tmp_path: Path) -> None:
    async with browser(tmp_path) as http:
        for name in ("patient.html", "console.html", "start.html", "sw.js"):
            assert (await http.get(f"/static/{name}")).status_code == 404


# Files.


@pytest.mark.parametrize(
    ("path", "media"),
    [
        ("/static/session.js", "text/javascript; charset=utf-8"),
        ("/static/design/base.css", "text/css; charset=utf-8"),
        ("/static/icons/mark.svg", "image/svg+xml"),
        ("/static/icons/icon-192.png", "image/png"),
        ("/favicon.ico", "image/x-icon"),
        ("/sw.js", "text/javascript; charset=utf-8"),
        ("/admin/manifest.webmanifest", "application/manifest+json"),
    ],
)
async def test_a_file_is_of_its_type_and_asked_for_again_each_time(
    tmp_path: Path, path: str, media: str
) -> None:
    async with browser(tmp_path) as http:
        answer = await http.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == media
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/admin", "/static/session.js", "/sw.js"])
async def test_who_has_a_file_already_is_told_so(tmp_path: Path, path: str) -> None:
    async with browser(tmp_path) as http:
        tag = (await http.get(path)).headers["etag"]
        for known in (tag, f'"x", {tag}', "*", tag.removeprefix("W/")):
            again = await http.get(path, headers={"If-None-Match": known})
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == tag
            assert again.headers["content-security-policy"]
        other = await http.get(path, headers={"If-None-Match": 'W/"other"'})
        assert other.status_code == 200


async def test_head_tells_the_same_without_the_content(tmp_path: Path) -> None:
    async with (
        running_hub(tmp_path) as hub,
        httpx2.AsyncClient(base_url=hub.http, timeout=WITHIN) as http,
    ):
        for path in ("/", "/admin", "/static/session.js", "/sw.js", "/favicon.ico"):
            whole, head = await http.get(path), await http.head(path)
            assert (head.status_code, head.content) == (200, b"")
            for name in ("etag", "content-type", "content-length"):
                assert head.headers[name] == whole.headers[name]


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip, br", "gzip"),
        ("br;q=1, GZIP;q=0.5", "gzip"),
        ("br", None),
        ("gzip;q=0", None),
        ("gzip; q=0.0", None),
        ("", None),
    ],
)
async def test_text_is_compressed_for_who_takes_it(
    tmp_path: Path, accepted: str, coding: str | None
) -> None:
    async with browser(tmp_path) as http:
        answer = await http.get("/static/session.js", headers={"Accept-Encoding": accepted})
    assert answer.headers.get("content-encoding") == coding
    assert "Accept-Encoding" in answer.headers["vary"]
    assert answer.content == (FOLDER / "session.js").read_bytes()


def test_what_does_not_get_smaller_is_sent_as_it_is() -> None:
    picture = gzip.compress(os.urandom(64))
    asset = Asset.of(picture, "image/png")
    assert not asset._is_shorter


OUTSIDE = [
    "/static/../pages.py",
    "/static/%2e%2e/pages.py",
    "/static/%2e%2e%2fpages.py",
    "/static/..%2fpages.py",
    "/static/..%5cpages.py",
    "/static/client/../../pages.py",
    "/static//etc/passwd",
    "/static/%2fetc%2fpasswd",
    "/static/session.js%00.css",
    "/static/%00",
    "/static/session.js/",
    "/static/./session.js",
    "/static/design",
    "/static/%c3%28",
]


async def test_no_address_leads_out_of_the_folder(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        for path in OUTSIDE:
            assert await asyncio.to_thread(status_of, hub.port, path) == 404, path
        assert await asyncio.to_thread(status_of, hub.port, "/static/session.js") == 200


def status_of(port: int, path: str) -> int:
    """Ask for a path as it is written: no client makes a nicer one of it."""
    with raw_socket(port, 65_536) as raw:
        raw.sendall(f"HEAD {path} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n".encode())
        return int(raw.recv(65_536).split()[1])


def test_a_link_in_the_folder_is_not_followed_and_what_is_no_page_is_left_out(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "static"
    (folder / "inner").mkdir(parents=True)
    (folder / "page.js").write_text("export {};")
    (folder / "inner" / "style.css").write_text("")
    (folder / "notes.txt").write_text("secret")
    (tmp_path / "secret.js").write_text("secret")
    (folder / "link.js").symlink_to(tmp_path / "secret.js")
    (folder / "outside").symlink_to(tmp_path)
    assert {*Assets(folder).files} == {"page.js", "inner/style.css"}


def test_a_changed_file_is_seen_in_development_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.js"
    page.write_text("1")
    watched, read_once = Assets(tmp_path, watch=True), Assets(tmp_path)
    before = watched.version
    assert watched.version == before
    page.write_text("1 + 1")
    assert watched.text("page.js") == "1 + 1"
    assert watched.version != before == read_once.version
    assert read_once.text("page.js") == "1"


# The client library, for other front ends.


async def test_the_client_library_can_be_imported_by_allowed_origins_and_nothing_else(
    tmp_path: Path,
) -> None:
    async with browser(tmp_path, allowed_origins=frozenset({APP})) as http:
        for path in ("hub-client.js", "client/token.js"):
            answer = await http.get(f"/static/{path}", headers={"Origin": APP})
            assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
            assert answer.headers["access-control-allow-origin"] == APP
            foreign = await http.get(f"/static/{path}", headers={"Origin": "https://evil.example"})
            assert "access-control-allow-origin" not in foreign.headers
        answer = await http.get("/static/session.js", headers={"Origin": APP})
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


async def test_the_client_library_imports_nothing_but_itself(tmp_path: Path) -> None:
    waiting, seen = ["/static/hub-client.js"], set()
    async with browser(tmp_path) as http:
        while waiting:
            address = waiting.pop()
            if address not in seen:
                seen.add(address)
                text = (await http.get(address)).text
                base = httpx2.URL(address)
                waiting += [str(base.join(name)) for name in references(address, text)]
    assert len(seen) > 1
    assert all(re.match("/static/(hub-client[.]js$|client/)", address) for address in seen), seen


# Installed, and without a network.


async def test_each_case_is_an_app_of_its_own(tmp_path: Path) -> None:
    async with browser(tmp_path) as http:
        page = Found((await http.get("/cases/case-1")).text)
        address = next(each for each in page.loaded if each.endswith(".webmanifest"))
        manifest = (await http.get(address)).json()
        assert manifest["id"] == manifest["start_url"] == manifest["scope"] == "/cases/case-1"
        await check_installable(http, manifest)


async def test_the_desk_is_an_app(tmp_path: Path) -> None:
    async with browser(tmp_path) as http:
        page = Found((await http.get("/admin")).text)
        assert "/admin/manifest.webmanifest" in page.loaded
        manifest = (await http.get("/admin/manifest.webmanifest")).json()
        assert manifest["id"] == manifest["start_url"] == "/admin"
        await check_installable(http, manifest)


async def check_installable(http: httpx2.AsyncClient, manifest: dict[str, Any]) -> None:
    """Check what browsers ask of an app before they offer to install it."""
    assert manifest["name"].startswith("Curaway")
    assert manifest["display"] == "standalone"
    sizes = {(icon["sizes"], icon["purpose"]) for icon in manifest["icons"]}
    assert {("192x192", "any"), ("512x512", "any"), ("512x512", "maskable")} <= sizes
    for icon in manifest["icons"]:
        picture = await http.get(icon["src"])
        assert picture.headers["content-type"] == icon["type"]
        if icon["type"] == "image/png":
            width, height = (int.from_bytes(picture.content[at : at + 4]) for at in (16, 20))
            assert icon["sizes"] == f"{width}x{height}"


def test_the_colours_of_the_apps_are_those_of_the_design() -> None:
    tokens = (FOLDER / "design" / "tokens.css").read_text()
    grounds = re.search(r"--paper: light-dark\((#\w+), (#\w+)\)", tokens)
    assert grounds is not None
    assert grounds[1] == PAPER
    for page in FOLDER.glob("*.html"):
        assert re.findall(r'name="theme-color".*content="(#\w+)"', page.read_text()) == [
            *grounds.groups()
        ]


@pytest.mark.parametrize(
    ("case", "quoted"),
    [
        ("a%20b", "a%20b"),
        ("%22%3E%3Cscript%3E", "%22%3E%3Cscript%3E"),
        ("%7B%7Bconfig%7D%7D", "%7B%7Bconfig%7D%7D"),
        ("fall-%C3%BC", "fall-%C3%BC"),
        ("a%3Fas=priya", "a%3Fas%3Dpriya"),
        ("a%26b'c", "a%26b%27c"),
    ],
)
async def test_whatever_a_case_is_called_stays_an_address(
    tmp_path: Path, case: str, quoted: str
) -> None:
    async with browser(tmp_path) as http:
        page = Found((await http.get(f"/cases/{case}")).text)
        assert f"/cases/{quoted}/manifest.webmanifest" in page.loaded
        assert page.inline == []
        manifest = (await http.get(f"/cases/{case}/manifest.webmanifest")).json()
        assert manifest["start_url"] == f"/cases/{quoted}"


@pytest.mark.parametrize("case", ["%00", "a%0Ab", "x" * 256, "%E2%80%AE"])
async def test_what_cannot_be_the_id_of_a_case_has_no_page(tmp_path: Path, case: str) -> None:
    async with browser(tmp_path) as http:
        assert (await http.get(f"/cases/{case}")).status_code == 404
        assert (await http.get(f"/cases/{case}/manifest.webmanifest")).status_code == 404


async def test_the_service_worker_keeps_all_that_the_pages_need_and_no_more(
    tmp_path: Path,
) -> None:
    async with browser(tmp_path) as http:
        worker = (await http.get("/sw.js")).text
        listed = re.search(r"const FILES = .*\((\[.*\])\)\);", worker)
        assert listed is not None
        files = json.loads(listed[1])
        for address in files:
            assert address.startswith("/static/")
            assert (await http.get(address)).status_code == 200
        assert "/static/design/tokens.css" in files
        assert not any(address.startswith("/static/start/") for address in files)
    for shell in SHELLS:
        needed = needs_of(shell, Assets(FOLDER).files, later=True)
        assert {f"/static/{path}" for path in needed} <= {*files}


async def test_there_is_another_service_worker_when_something_differs(tmp_path: Path) -> None:
    async with browser(tmp_path) as http, browser(tmp_path) as same:
        worker = (await http.get("/sw.js")).text
        assert "{{" not in worker
        assert (await same.get("/sw.js")).text == worker
    async with browser(tmp_path, session_cookie="other") as http:
        assert (await http.get("/sw.js")).text != worker


# What a module needs.


def files_of(**texts: str) -> dict[str, Asset]:
    names = {name.replace("_", "."): text for name, text in texts.items()}
    return {name: Asset.of(text.encode(), "") for name, text in names.items()}


def test_a_page_needs_what_its_modules_import_and_what_those_import() -> None:
    files = files_of(
        page_html='<link rel="x" href="/static/a.css"><script src="/static/a.js"></script>',
        a_css="",
        a_js='import { b } from "./b.js";\nexport * from "/static/c.js";\nimport("./late.js");',
        b_js='import {\n  c,\n} from "./c.js";\nimport "./d.js";\nimport x from "elsewhere";',
        c_js='import "./a.js";\n/** @type {import("./typed.js").T} */',
        d_js="const words = await import(`./${language}.js`);",
        late_js="",
        typed_js="",
    )
    assert needs_of("page.html", files) == ["a.css", "a.js", "b.js", "c.js", "d.js"]
    assert {*needs_of("page.html", files, later=True)} >= {"late.js", "c.js"}


def test_a_module_of_another_folder_is_found() -> None:
    files = {
        "page.html": Asset.of(b'<script src="/static/one/two/a.js"></script>', ""),
        "one/two/a.js": Asset.of(b'import "../../b.js";\nimport "./c.js";', ""),
        "b.js": Asset.of(b"", ""),
        "one/two/c.js": Asset.of(b"", ""),
    }
    assert needs_of("page.html", files) == ["one/two/a.js", "b.js", "one/two/c.js"]
