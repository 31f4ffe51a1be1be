"""The documents tell the truth: what they show is run, and what they list is compared."""

import json
import re
import tomllib
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import AliasChoices

from hub.client_frames import CLIENT_FRAMES
from hub.close_codes import CloseCode
from hub.demo import CASE
from hub.server_frames import SERVER_FRAMES
from hub.settings import Settings
from rooms.errors import Code
from rooms.events import KINDS
from tests.kit import MARIA, PRIYA, Client, RunningHub, running_hub

ROOT: Final = Path(__file__).parents[1]
PROTOCOL: Final = ROOT / "docs" / "protocol.md"
OPERATIONS: Final = ROOT / "docs" / "operations.md"
PACKAGES: Final = ("hub", "auth", "rooms", "compat_sse", "ai", "web")
FOLDERS: Final = ("docs", "bench", "examples")
PAGES: Final = sorted(
    [*ROOT.glob("*.md"), *(page for name in FOLDERS for page in (ROOT / name).rglob("*.md"))]
)
PEOPLE: Final = {identity.name: identity for identity in (MARIA, PRIYA)}

Values = dict[str, str]
"""What the names in angle brackets stand for so far."""


# The transcript.


async def test_the_conversation_in_the_protocol_happens_just_like_that(tmp_path: Path) -> None:
    async with running_hub(tmp_path, open_case=False) as hub, AsyncExitStack() as sockets:
        await hub.open_case(CASE)
        values = {f"token of {name}": hub.token(who) for name, who in PEOPLE.items()}
        windows: dict[str, Client] = {}
        played = 0
        for speaker, mark, text in transcript():
            expected = json.loads(text)
            if expected["type"] == "hello":
                windows[speaker] = await sockets.enter_async_context(hub.socket(CASE))
            if mark == ">":
                await windows[speaker].send(filled(expected, values))
            else:
                fit(await windows[speaker].receive(), expected, values, speaker)
            played += 1
        assert played > 30
        for window in windows.values():
            await window.expect_nothing_but()


def transcript() -> Iterator[tuple[str, str, str]]:
    """Give who, `>` or `<`, and the frame, for each line of the fenced block."""
    blocks = re.findall(r"```wscat\n(.*?)```", PROTOCOL.read_text(), re.DOTALL)
    assert len(blocks) == 1
    speaker = ""
    for line in blocks[0].replace("\n   ", " ").splitlines():
        if line.startswith("# "):
            named = re.match(r"# (\w+)", line)
            speaker = named[1] if named and named[1] in PEOPLE else speaker
        elif line:
            yield speaker, line[0], line[2:]


def filled(value: Any, values: Values) -> Any:
    """Put the values where their names stand."""
    if isinstance(value, dict):
        return {name: filled(member, values) for name, member in value.items()}
    if isinstance(value, str):
        return re.sub("<(.+?)>", lambda name: values[name[1]], value)
    return value


def fit(found: Any, expected: Any, values: Values, where: str) -> None:
    """Check that a frame has the form that a page shows; learn the values that it names."""
    match expected:
        case dict():
            assert isinstance(found, dict), where
            assert found.keys() == expected.keys(), f"{where}: {found}"
            for name, member in expected.items():
                fit(found[name], member, values, f"{where}.{name}")
        case list():
            assert len(found) == len(expected), where
            for number, item in enumerate(expected):
                fit(found[number], item, values, f"{where}[{number}]")
        case str():
            fit_text(found, expected, values, where)
        case _:
            assert found == expected, where
            assert isinstance(found, bool) == isinstance(expected, bool), where


def fit_text(found: Any, expected: str, values: Values, where: str) -> None:
    assert isinstance(found, str), where
    names: list[str] = []
    pattern = ""
    for part in re.split("(<.+?>|…)", expected):
        if part == "…":
            pattern += ".+"
        elif part.startswith("<") and part[1:-1] not in values:
            names.append(part[1:-1])
            pattern += "(.+)"
        else:
            pattern += re.escape(filled(part, values))
    match = re.fullmatch(pattern, found)
    assert match is not None, f"{where}: {found!r} is not {expected!r} with {values}"
    values.update(zip(names, match.groups(), strict=True))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": 1, "b": 2}, {"a": 1}),
        ({"a": [1]}, {"a": [1, 2]}),
        ({"a": True}, {"a": 1}),
        ({"a": "2.x"}, {"a": "1.…"}),
        ({"a": "x", "b": "y"}, {"a": "<one>", "b": "<one>"}),
    ],
)
def test_a_frame_of_another_form_does_not_fit_the_page(found: Any, expected: Any) -> None:
    with pytest.raises(AssertionError):
        fit(found, expected, {}, "here")


# Settings.


def rows(page: Path) -> dict[str, list[str]]:
    """Give the cells of each table row of a page, by its first cell."""
    found = {}
    for line in page.read_text().splitlines():
        if line.startswith("|"):
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            found[cells[0]] = cells
    return found


def variables() -> dict[str, str]:
    """Give the default of each setting as a page shows it, by the names of its variables."""
    found = {}
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        choices = alias.choices if isinstance(alias, AliasChoices) else [f"HUB_{name.upper()}"]
        found[", ".join(f"`{choice}`" for choice in choices)] = shown(field.default)
    return found


def shown(default: Any) -> str:
    if isinstance(default, bool):
        return f"`{default:d}`"
    if default is None or default in ("", frozenset()):
        return "–"
    return (
        f"`{int(default) if isinstance(default, float) and default == int(default) else default}`"
    )


@pytest.mark.parametrize("page", [ROOT / "README.md", OPERATIONS], ids=lambda page: page.name)
def test_every_setting_is_in_the_table_with_its_default(page: Path) -> None:
    table = {
        name: cells[1]
        for name, cells in rows(page).items()
        if name.startswith(("`HUB_", "`ANTHROPIC_"))
    }
    assert table == variables()


# Names of the wire.


@pytest.mark.parametrize("page", [PROTOCOL, OPERATIONS], ids=lambda page: page.name)
def test_every_close_code_is_explained(page: Path) -> None:
    explained = rows(page)
    assert {str(int(code)) for code in CloseCode} <= explained.keys()


@pytest.mark.parametrize("code", CloseCode)
def test_the_first_digits_of_a_close_code_tell_whether_to_come_back(code: CloseCode) -> None:
    meant = "resume" in rows(PROTOCOL)[str(int(code))][2]
    assert code.reconnect == meant


def test_every_frame_error_and_kind_is_in_the_protocol() -> None:
    names = {*CLIENT_FRAMES, *SERVER_FRAMES, *KINDS, *(code.value for code in Code)}
    assert {f"`{name}`" for name in names} <= rows(PROTOCOL).keys()


def test_what_patients_see_is_told_for_each_kind() -> None:
    text = PROTOCOL.read_text()
    for kind in KINDS.values():
        seen = "yes" if kind.patients_see_it else r"\*\*no\*\*"
        assert re.search(rf"^\| `{kind.name}` \| {seen} \|", text, re.MULTILINE), kind.name


# What the one on call looks at.


def test_every_log_event_is_explained_to_the_one_on_call() -> None:
    written = re.compile(r'logger\.\w+\(\s*"(\w+)"')
    sources = [path for name in PACKAGES for path in sources_of(name)]
    events = {event for path in sources for event in written.findall(path.read_text())}
    assert events
    assert {f"`{event}`" for event in events} <= rows(OPERATIONS).keys()


def sources_of(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


async def test_every_metric_is_explained_to_the_one_on_call(tmp_path: Path) -> None:
    async with running_hub(tmp_path, open_case=False) as hub:
        metrics = metric_names(hub)
    assert metrics
    assert {f"`{name}`" for name in metrics} <= rows(OPERATIONS).keys()


def metric_names(hub: RunningHub) -> set[str]:
    return set(re.findall(r"^# TYPE (\w+)", hub.hub.metrics.exposition().decode(), re.MULTILINE))


# The repository.


def test_the_newest_version_of_the_changelog_is_that_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[:2] == ["Unreleased", project["version"]]


def targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    assert set(re.findall(r"`make ([a-z]+)", page.read_text())) <= targets()


def test_the_makefile_stays_small() -> None:
    assert len(targets()) <= 12


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if not re.match("[a-z]+:", link):
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


def anchors(page: Path) -> set[str]:
    """Give the anchors of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_tells_of_the_machine_that_it_was_written_on(page: Path) -> None:
    found = re.findall(r"(?<![\w.])/(?:home|root|Users|work|tmp)/\S*", page.read_text())
    assert found == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_page_has_one_title_and_closes_its_blocks(page: Path) -> None:
    text = page.read_text()
    assert text.count("```") % 2 == 0
    outside = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    assert len(re.findall(r"^# ", outside, re.MULTILINE)) == 1
