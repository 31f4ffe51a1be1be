"""What PostgreSQL must do for an ack to be a promise, and what the hub sets for its sessions."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from rooms.database import open_database
from rooms.durability import switched_off
from rooms.errors import Unavailable
from tests.servers import SAFE, Postgres, running_postgres


async def test_a_server_that_would_lose_what_it_has_stored_is_found_out() -> None:
    with running_postgres(*SAFE) as server:
        url = server.url("postgres")
        assert await switched_off(url) == []
        for off in ("fsync", "full_page_writes", "synchronous_commit"):
            server.kill()
            server.start(f"-c{off}=off")
            assert await switched_off(url) == [off]
        server.kill()
        server.start()
        await server.ask("ALTER ROLE postgres SET synchronous_commit = off")
        assert await switched_off(url) == ["synchronous_commit"]
        assert await shown(url, "synchronous_commit") == "on", "the hub sets it for its sessions"


async def test_sqlite_needs_nothing_and_a_server_that_is_away_is_an_outage(tmp_path: Path) -> None:
    assert await switched_off(f"sqlite:///{tmp_path}/hub.db") == []
    with pytest.raises(Unavailable):
        await switched_off(f"postgresql://postgres@/hub?host={tmp_path}")


async def shown(url: str, name: str) -> Any:
    """Give a setting of the session that writes."""
    database = open_database(url)
    try:
        return await database.write(lambda c: c.exec_driver_sql(f"SHOW {name}").scalar())
    finally:
        await database.close()


@pytest.mark.parametrize(
    ("name", "value"),
    [("idle_in_transaction_session_timeout", "1500ms"), ("statement_timeout", "2250ms")],
)
async def test_the_sessions_of_the_hub_hold_nobody_up(
    postgres_url: str, name: str, value: str
) -> None:
    assert await shown(postgres_url, name) == value


async def test_there_are_as_many_connections_as_are_allowed(
    postgres: Postgres, postgres_url: str
) -> None:
    database = open_database(postgres_url, pool=3)
    name = postgres_url.split("?")[0].rsplit("/", 1)[1]
    query = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'"  # noqa: S608

    def nap(connection: Connection) -> int:
        connection.exec_driver_sql("SELECT pg_sleep(0.05)")
        return int(connection.exec_driver_sql(query).scalar_one())

    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        counts = await asyncio.gather(*(database.read(nap) for _ in range(9)), database.write(nap))
    assert max(counts) == 3
