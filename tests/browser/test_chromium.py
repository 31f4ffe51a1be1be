"""The tests find a browser, or tell what to do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser import chromium


def program(folder: Path, name: str, script: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the only folder in which this machine has programs."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("HUB_CHROMIUM", raising=False)
    return tmp_path


def test_the_browser_of_the_machine_is_found(machine: Path) -> None:
    assert chromium.find() is None
    path = program(machine, "chromium", "exit 0")
    assert chromium.find() == str(path)


def test_the_one_that_is_named_comes_first(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(machine, "chromium", "exit 0")
    monkeypatch.setenv("HUB_CHROMIUM", "/opt/chromium")
    assert chromium.find() == "/opt/chromium"


def test_a_stub_in_the_place_of_a_browser_is_passed_over(machine: Path) -> None:
    program(machine, "chromium-browser", "echo please install something else; exit 1")
    path = program(machine, "google-chrome", "exit 0")
    assert chromium.find() == str(path)


def test_without_a_browser_root_gets_one_from_the_distribution(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The lists of packages are missing at first, as in a fresh image.
    listed, browser = machine / "listed", machine / "chromium"
    program(
        machine,
        "apt-get",
        f"""case "$1" in
        update) : > {listed} ;;
        install) [ -e {listed} ] || exit 100
                 echo '#!/bin/sh' > {browser}; /bin/chmod +x {browser} ;;
        esac""",
    )
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    chromium.main()
    assert chromium.find() == str(browser)


def test_if_none_can_be_installed_the_message_says_what_to_do(machine: Path) -> None:
    environment = {
        **os.environ,
        "PLAYWRIGHT_BROWSERS_PATH": str(machine / "none"),
        "PLAYWRIGHT_DOWNLOAD_HOST": "http://127.0.0.1:9",
    }
    command = [sys.executable, "-m", "tests.browser.chromium"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "HUB_CHROMIUM" in run.stderr
