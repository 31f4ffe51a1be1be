"""Where the pages get their token: the tests are in JavaScript, like what they test."""

import subprocess
from pathlib import Path

from tests.kit import WITHIN

TESTS = Path(__file__).with_name("session.test.mjs")


def test_the_session_of_a_page_does_as_its_tests_say() -> None:
    done = subprocess.run(
        ["node", "--test", str(TESTS)],
        capture_output=True,
        text=True,
        timeout=3 * WITHIN,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
