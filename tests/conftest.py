"""What tests of several packages share: databases, and how hypothesis searches."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

from tests.servers import Postgres, running_postgres

# The same examples in every run: a failure is never somebody else's luck.
settings.register_profile(
    "hub", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("hub")


def pytest_xdist_auto_num_workers() -> int:
    """Run three tests at a time on two cores: in many of them nearly everybody waits."""
    return max(1, len(os.sched_getaffinity(0)) * 3 // 2)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Run one PostgreSQL server for all the tests of this worker."""
    with running_postgres() as server:
        yield server


@pytest_asyncio.fixture
async def postgres_url(postgres: Postgres) -> AsyncIterator[str]:
    """Make a database of its own on it."""
    async with postgres.database() as url:
        yield url


@pytest_asyncio.fixture(params=["sqlite", "postgres"])
async def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """Give an empty database: every test that asks for it runs once on each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/hub.db"
    else:
        server: Postgres = request.getfixturevalue("postgres")
        async with server.database() as url:
            yield url
