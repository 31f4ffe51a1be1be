"""What is delivered: a wheel in an environment of its own, with pages that lack nothing."""

import asyncio
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx2
import pytest

from tests.kit import WITHIN
from tests.reserved_port import reserved_port
from tests.web.kit import DEV_PAGES, Found, references

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
"""Seconds that a build may take on a busy machine."""


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def environment(**variables: str) -> dict[str, str]:
    """Give an environment that tells Python of no other place to look for packages."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "HUB_", "COV", "VIRTUAL_ENV"))
    }
    return {**kept, **variables}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an environment in which the wheel is installed, and nothing of this folder is."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    made = folder / "bin" / "python"
    uv = ["-m", "uv", "pip", "install", "--quiet", "--offline", "--no-deps", "--python"]
    run(sys.executable, *uv, made, wheel, cwd=folder.parent)
    places = run(made, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder)
    # What the hub depends on comes from here. Links that stand there, such as the one to this very
    # repository, are not followed from another place.
    (Path(places) / "zz_dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return made


def test_the_wheel_holds_every_file_of_the_pages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {*archive.namelist()}
    static = ROOT / "web" / "static"
    files = {path.relative_to(ROOT).as_posix() for path in static.rglob("*") if path.is_file()}
    assert files <= held
    assert not any("node_modules" in name or name.startswith("tests/") for name in held)


def test_the_packages_are_those_of_the_wheel(python: Path, tmp_path: Path) -> None:
    code = "import hub, web, rooms; print(hub.__file__, web.__file__, rooms.__file__)"
    for place in run(python, "-c", code, cwd=tmp_path).split():
        assert Path(place).is_relative_to(python.parents[1])


async def test_an_installed_hub_serves_its_pages_and_all_that_they_refer_to(
    python: Path, tmp_path: Path
) -> None:
    async with serving(python, tmp_path) as url, httpx2.AsyncClient(base_url=url) as http:
        waiting = [*DEV_PAGES, "/sw.js", "/favicon.ico", "/static/hub-client.js"]
        seen: dict[str, str] = {}
        while waiting:
            address = waiting.pop()
            if address in seen:
                continue
            answer = await http.get(address)
            assert answer.status_code == 200, address
            seen[address] = answer.headers["content-type"]
            base = httpx2.URL(address)
            waiting += [str(base.join(name)) for name in referred(address, answer)]
    assert all(address.startswith("/") for address in seen)
    for wanted in ("patient/patient.js", "console/console.js", "session.js", "client/token.js"):
        assert seen[f"/static/{wanted}"].startswith("text/javascript")


def referred(address: str, answer: httpx2.Response) -> list[str]:
    if answer.headers["content-type"].startswith("text/html"):
        found = Found(answer.text)
        # The documentation of the API is a page of its own kind.
        return [*found.loaded, *found.links] if address != "/docs" else []
    if address == "/sw.js":
        return re.findall(r'"(/static/[^"]+)"', answer.text)
    return references(address, answer.text)


def start(python: Path, log: Path, **variables: str) -> subprocess.Popen[bytes]:
    command = [str(python), "-m", "hub"]
    with log.open("wb") as output:
        return subprocess.Popen(
            command, cwd=log.parent, env=environment(**variables), stdout=output, stderr=output
        )


@asynccontextmanager
async def serving(python: Path, folder: Path) -> AsyncIterator[str]:
    """Run the hub from an empty folder."""
    with reserved_port() as port:
        url = f"http://127.0.0.1:{port}"
        log = folder / "log"
        process = start(python, log, HUB_DEV="1", HUB_PORT=str(port), HUB_AI_MODEL="off")
        try:
            async with httpx2.AsyncClient() as http, asyncio.timeout(3 * WITHIN):
                while True:
                    assert process.poll() is None, log.read_text()
                    with suppress(httpx2.TransportError):
                        if (await http.get(f"{url}/readyz")).status_code == 200:
                            break
                    await asyncio.sleep(0.02)
            yield url
        finally:
            process.kill()
            process.wait(WITHIN)
