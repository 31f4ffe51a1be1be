"""Databases: durable when a write returns, and well again after a failure."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from rooms.database import (
    POOL,
    Database,
    PostgresDatabase,
    SqliteDatabase,
    open_database,
    parsed_url,
)
from rooms.errors import Unavailable
from tests.rooms.kit import WITHIN
from tests.servers import Postgres
from tests.tcp_proxy import TcpProxy

TABLES = {"case_state", "event", "patient"}


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[Database]:
    database = open_database(url, **options)
    try:
        async with asyncio.timeout(WITHIN):
            yield database
    finally:
        await database.close()


def execute(statement: str, **values: Any) -> Any:
    """Give work that runs one statement, and gives the rows of it, if it has any."""

    def work(connection: Connection) -> list[Any]:
        result = connection.execute(text(statement), values)
        return [tuple(row) for row in result] if result.returns_rows else []

    return work


ADD = "INSERT INTO patient (tenant, id, name, registered_at) VALUES ('t', :id, 'n', '2026-01-01')"
IDS = "SELECT id FROM patient ORDER BY id"


def add(number: int) -> Any:
    def work(connection: Connection) -> None:
        connection.execute(
            text(ADD.replace("'2026-01-01'", "CURRENT_TIMESTAMP")), {"id": f"p{number}"}
        )

    return work


# Which one.


def test_the_url_says_which_database(tmp_path: Path) -> None:
    assert isinstance(open_database(f"sqlite:///{tmp_path}/a.db"), SqliteDatabase)
    for scheme in ("postgresql", "postgres", "postgresql+psycopg"):
        found = open_database(f"{scheme}://someone@localhost/hub")
        assert isinstance(found, PostgresDatabase)


def test_tls_is_asked_for_as_hosts_of_databases_write_it() -> None:
    read = parsed_url("postgresql://someone@host/hub?sslmode=require")
    assert (read.drivername, dict(read.query)) == ("postgresql+asyncpg", {"ssl": "require"})


@pytest.mark.parametrize(
    "url", ["postgresql://u:secret@host:port/d", "postgresql//secret", "sqlite://secret.db"]
)
def test_a_url_that_cannot_be_meant_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="A database URL") as refused:
        open_database(url)
    assert "secret" not in str(refused.value)


def test_a_database_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="not mysql"):
        open_database("mysql://localhost/hub")


# On both.


async def test_creating_the_tables_again_changes_nothing(database_url: str) -> None:
    async with opened(database_url) as database:
        await database.create()
        await database.write(add(1))
        await database.create()
        assert await database.read(execute(IDS)) == [("p1",)]


async def test_two_processes_may_start_on_an_empty_database_at_once(database_url: str) -> None:
    async with contextlib.AsyncExitStack() as stack:
        databases = [await stack.enter_async_context(opened(database_url)) for _ in range(4)]
        await asyncio.gather(*(database.create() for database in databases))
        for database in databases:
            assert await database.read(execute(IDS)) == []


async def test_what_is_written_is_there_for_others_when_the_write_returns(
    database_url: str,
) -> None:
    async with opened(database_url) as one, opened(database_url) as other:
        await one.create()
        await one.write(add(1))
        assert await other.read(execute(IDS)) == [("p1",)]


async def test_a_write_that_fails_in_the_middle_leaves_nothing(database_url: str) -> None:
    def work(connection: Connection) -> None:
        add(1)(connection)
        raise ZeroDivisionError

    async with opened(database_url) as database:
        await database.create()
        with pytest.raises(ZeroDivisionError):
            await database.write(work)
        await database.write(add(2))
        assert await database.read(execute(IDS)) == [("p2",)]


async def test_a_name_that_is_taken_is_told_from_a_database_that_does_not_answer(
    database_url: str,
) -> None:
    async with opened(database_url) as database:
        await database.create()
        await database.write(add(1))
        with pytest.raises(IntegrityError):
            await database.write(add(1))
        with pytest.raises(Unavailable):
            await database.read(execute("SELECT * FROM nowhere"))
        with pytest.raises(Unavailable):
            await database.write(execute("SELECT * FROM nowhere"))
        await database.write(add(2))
        assert await database.read(execute(IDS)) == [("p1",), ("p2",)]


async def test_a_value_that_cannot_be_stored_is_not_taken_for_an_outage(database_url: str) -> None:
    async with opened(database_url) as database:
        await database.create()
        with pytest.raises((DBAPIError, UnicodeEncodeError)):
            await database.write(execute(ADD, id="half \ud83d"))
        assert await database.read(execute(IDS)) == []


async def test_a_reader_sees_one_moment_while_others_write(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/hub.db"

    def twice(connection: Connection) -> list[Any]:
        first = execute(IDS)(connection)
        with contextlib.closing(sqlite3.connect(tmp_path / "hub.db")) as other, other:
            other.execute(ADD.replace(":id", "'p2'"))
        return [first, execute(IDS)(connection)]

    async with opened(url) as database:
        await database.create()
        await database.write(add(1))
        assert await database.read(twice) == [[("p1",)], [("p1",)]]
        assert await database.read(execute(IDS)) == [("p1",), ("p2",)]


async def test_many_reads_and_writes_at_once_all_come_to_an_end(database_url: str) -> None:
    async with opened(database_url) as database:
        await database.create()
        await asyncio.gather(
            *(database.write(add(number)) for number in range(20)),
            *(database.read(execute(IDS)) for _ in range(20)),
        )
        assert len(await database.read(execute(IDS))) == 20


# SQLite.


async def test_a_commit_survives_a_power_cut(tmp_path: Path) -> None:
    asked = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")

    def settings(connection: Connection) -> list[Any]:
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked]

    async with opened(f"sqlite:///{tmp_path}/hub.db") as database:
        full = 2
        assert await database.write(settings) == ["wal", full, 1, 5_000]
        assert await database.read(settings) == ["wal", full, 1, 5_000]


async def test_the_settings_stay_when_a_connection_had_to_be_replaced(tmp_path: Path) -> None:
    async with opened(f"sqlite:///{tmp_path}/hub.db") as database:
        with pytest.raises(Unavailable):
            await database.write(execute("SELECT * FROM nowhere"))
        assert await database.write(execute("PRAGMA synchronous")) == [(2,)]


async def test_a_write_takes_the_lock_before_it_reads(tmp_path: Path) -> None:
    def lock_from_elsewhere(connection: Connection) -> str:
        execute(IDS)(connection)
        with contextlib.closing(sqlite3.connect(tmp_path / "hub.db", timeout=0)) as other:
            try:
                other.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                return str(error)
        return "it was free"

    async with opened(f"sqlite:///{tmp_path}/hub.db") as database:
        await database.create()
        assert await database.write(lock_from_elsewhere) == "database is locked"
        assert await database.read(lock_from_elsewhere) == "it was free"


async def test_a_lock_of_another_process_is_waited_for_and_then_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rooms.database.BUSY_MS", 20)
    async with opened(f"sqlite:///{tmp_path}/hub.db") as database:
        await database.create()
        with contextlib.closing(sqlite3.connect(tmp_path / "hub.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(Unavailable):
                await database.write(add(1))
            assert await database.read(execute(IDS)) == [], "readers wait for no writer"
        await database.write(add(1))
        assert await database.read(execute(IDS)) == [("p1",)]


async def test_a_full_disk_is_an_outage_that_ends(tmp_path: Path) -> None:
    def forbid_growth(connection: Connection) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    def fill(connection: Connection) -> None:
        for number in range(200):
            connection.execute(text(ADD), {"id": f"p{number}" + "x" * 500})

    async with opened(f"sqlite:///{tmp_path}/hub.db") as database:
        await database.create()
        await database.write(forbid_growth)
        with pytest.raises(Unavailable):
            await database.write(fill)
        assert await database.read(execute(IDS)) == []
        await database.write(fill)
        assert len(await database.read(execute(IDS))) == 200


async def test_a_folder_that_does_not_exist_is_an_outage(tmp_path: Path) -> None:
    async with opened(f"sqlite:///{tmp_path}/none/hub.db") as database:
        with pytest.raises(Unavailable):
            await database.create()


# PostgreSQL.


async def test_a_server_that_dies_is_an_outage_that_ends(
    postgres: Postgres, postgres_url: str
) -> None:
    async with opened(postgres_url) as database:
        await database.create()
        await database.write(add(1))
        await asyncio.gather(*(database.read(execute(IDS)) for _ in range(4)))
        postgres.kill()
        try:
            for _ in range(2):
                with pytest.raises(Unavailable):
                    await database.write(add(2))
                with pytest.raises(Unavailable):
                    await database.read(execute(IDS))
        finally:
            postgres.start()
        await database.write(add(3))
        assert await database.read(execute(IDS)) == [("p1",), ("p3",)]


async def test_connections_that_a_restart_has_broken_are_replaced(
    postgres: Postgres, postgres_url: str
) -> None:
    async with opened(postgres_url) as database:
        await database.create()
        await asyncio.gather(*(database.read(execute(IDS)) for _ in range(4)))
        postgres.kill()
        postgres.start()
        for attempt in (database.write(add(1)), database.read(execute(IDS))):
            with contextlib.suppress(Unavailable):
                await attempt
        await database.write(add(2))
        for found in await asyncio.gather(*(database.read(execute(IDS)) for _ in range(8))):
            assert ("p2",) in found


async def test_a_server_that_falls_silent_is_given_up_in_time_and_missed_once(
    postgres: Postgres,
) -> None:
    answer = 0.3
    async with (
        TcpProxy(postgres.socket) as line,
        opened(f"postgresql://postgres@127.0.0.1:{line.port}/postgres", answer=answer) as database,
    ):
        for hearing_again in (line.recover, line.heal):
            busy = [database.read(execute("SELECT pg_sleep(0.1)")) for _ in range(POOL - 1)]
            await asyncio.gather(*busy, database.write(execute("SELECT 1")))
            line.black_hole()
            for _ in range(2):  # on a connection that there is, and on a new one
                begun = time.monotonic()
                with pytest.raises(Unavailable):
                    await database.read(execute("SELECT 1"))
                assert time.monotonic() - begun < 1.6 * answer
            hearing_again()
            for _ in range(POOL):
                assert await database.read(execute("SELECT 1")) == [(1,)]
                assert await database.write(execute("SELECT 1")) == [(1,)]


async def test_nobody_waits_for_the_goodbye_of_a_silent_server(postgres: Postgres) -> None:
    async with TcpProxy(postgres.socket) as line:
        database = open_database(f"postgresql://postgres@127.0.0.1:{line.port}/postgres")
        await asyncio.gather(*(do(execute("SELECT 1")) for do in (database.read, database.write)))
        line.black_hole()
        async with asyncio.timeout(WITHIN):
            await database.close()


async def test_a_connection_to_a_server_that_only_reads_is_given_up(
    postgres: Postgres, postgres_url: str
) -> None:
    name = urlsplit(postgres_url).path[1:]
    async with opened(postgres_url) as database:
        await database.create()
        # Each connection keeps what it found: the server goes on, and the primary is elsewhere.
        await postgres.ask(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        sessions = f"FROM pg_stat_activity WHERE datname = '{name}'"
        await postgres.ask(f"SELECT pg_terminate_backend(pid) {sessions}")
        for _ in range(2):
            with pytest.raises(Unavailable):
                await database.write(add(1))
        await postgres.ask(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        await database.write(add(1))
        assert await database.read(execute(IDS)) == [("p1",)]


async def test_a_server_that_is_not_there_is_an_outage(tmp_path: Path) -> None:
    async with opened(f"postgresql://postgres@/hub?host={tmp_path}") as database:
        with pytest.raises(Unavailable):
            await database.create()


async def test_a_transaction_has_the_time_that_it_was_given(postgres_url: str) -> None:
    database = open_database(postgres_url, answer=0.05)
    for do in (database.read, database.write):
        with pytest.raises(Unavailable):
            await do(execute("SELECT pg_sleep(60)"))
    await database.close()


async def test_a_database_that_does_not_exist_is_an_outage(postgres: Postgres) -> None:
    async with opened(postgres.url("nowhere")) as database:
        with pytest.raises(Unavailable):
            await database.create()
