"""The logic of the patient page and of the thread that both pages share."""

import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.kit import WITHIN

TESTS: Final = Path(__file__).with_name("pages")


@pytest.mark.parametrize("path", sorted(TESTS.glob("*.test.js")), ids=lambda path: path.name)
def test_the_patient_page_does_as_its_tests_say(path: Path) -> None:
    done = subprocess.run(
        ["node", "--test", "--test-reporter=spec", path],
        capture_output=True,
        text=True,
        timeout=6 * WITHIN,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
