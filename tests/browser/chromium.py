"""Where Chromium is; `python -m tests.browser.chromium` installs one if there is none."""

import os
import shutil
import subprocess
import sys
from typing import Any, Final

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ADVICE: Final = """
The tests of the pages need Chromium, and it could not be installed here. Do one of these:
  - install it as root:             apt-get install chromium
  - let Playwright bring one:       .venv/bin/python -m playwright install --with-deps chromium
  - name one that you have already: export HUB_CHROMIUM=/path/to/chromium
"""


def find() -> str | None:
    """Give the path of a Chromium of this machine; None: there may be one of Playwright's own."""
    named = os.environ.get("HUB_CHROMIUM")
    if named:
        return named
    return next((path for name in NAMES if (path := shutil.which(name)) and _runs(path)), None)


def options() -> dict[str, Any]:
    """Say how Playwright starts it."""
    # Chromium has no sandbox for root, and containers have a /dev/shm that is too small for it.
    flags = ["--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    return {"executable_path": find(), "args": flags}


def install() -> bool:
    """Install Chromium in the way that this machine allows."""
    return (os.geteuid() == 0 and _by_apt()) or _by_playwright()


def _by_apt() -> bool:
    if shutil.which("apt-get") is None:
        return False
    wanted = ["apt-get", "install", "--yes", "--quiet", "chromium"]
    # A fresh image has no lists of packages, and an old one has those of packages that are gone.
    return (_do(*wanted) or (_do("apt-get", "update") and _do(*wanted))) and find() is not None


def _by_playwright() -> bool:
    return _do(sys.executable, "-m", "playwright", "install", "chromium")


def _do(*command: str) -> bool:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(command, env=environment, check=False).returncode == 0


def _runs(path: str) -> bool:
    """Tell a browser from the stub that some distributions put in its place."""
    return subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0


def main() -> None:
    if find() is None and not install():
        sys.exit(ADVICE)


if __name__ == "__main__":
    main()
