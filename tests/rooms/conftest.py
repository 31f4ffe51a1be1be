"""A running log for a test; what it has to say is kept, not printed."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs
from structlog.typing import EventDict

from rooms.database import Database, open_database
from tests.rooms.kit import WITHIN, OpenLog, open_log


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[EventDict]]:
    """Give the lines that the code under test has logged so far."""
    with capture_logs() as lines:
        yield lines


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Give an open database with its tables."""
    database = open_database(database_url)
    await database.create()
    yield database
    await database.close()


@pytest_asyncio.fixture
async def hub(database_url: str) -> AsyncIterator[OpenLog]:
    """Run a log with one open case."""
    opened: asyncio.Future[OpenLog] = asyncio.get_running_loop().create_future()
    closing = asyncio.Event()

    async def run() -> None:
        async with open_log(database_url) as hub:
            await hub.open_case()
            opened.set_result(hub)
            await closing.wait()

    def give_up() -> None:
        for task in asyncio.all_tasks():
            task.cancel()

    # In one task from beginning to end, which a fixture is not.
    running = asyncio.create_task(run())
    deadline = asyncio.get_running_loop().call_later(WITHIN, give_up)
    both: set[asyncio.Future[Any]] = {opened, running}
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        running.result()
    yield opened.result()
    deadline.cancel()
    closing.set()
    await running
