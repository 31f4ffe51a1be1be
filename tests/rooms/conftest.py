"""What the rooms log is kept, not printed."""

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[EventDict]]:
    """Give the lines that the code under test has logged so far."""
    with capture_logs() as lines:
        yield lines
