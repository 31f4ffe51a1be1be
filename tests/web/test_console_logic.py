"""The console's logic: what it shows, in which order, and what a key or a slip does."""

import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.kit import WITHIN

TESTS: Final = Path(__file__).with_name("console")


@pytest.mark.parametrize("path", sorted(TESTS.glob("*.test.js")), ids=lambda path: path.name)
def test_the_console_does_as_its_tests_say(path: Path) -> None:
    done = subprocess.run(
        ["node", "--test", "--test-reporter=spec", path],
        capture_output=True,
        text=True,
        timeout=6 * WITHIN,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
