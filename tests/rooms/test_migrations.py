"""Migrations: every start finds the tables that it needs, and no start changes them for others."""

import asyncio
import contextlib
import shutil
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import SQLModel
from structlog.typing import EventDict

from rooms.database import Database, open_database
from rooms.errors import Unavailable
from rooms.migrations.__main__ import write_migration
from rooms.schema import (
    MIGRATIONS,
    VERSIONS,
    SchemaRefused,
    check,
    differences,
    newest,
    prepare,
    run_migrations,
    upgrade,
)
from tests.rooms.kit import WITHIN

NOW = newest()
NEXT = f"{int(NOW) + 1:04}"
LANGUAGE = "op.add_column('patient', sa.Column('language', sa.String()))"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = open_database(database_url)
    yield database
    await database.close()


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[Database]:
    database = open_database(f"sqlite:///{tmp_path}/hub.db")
    yield database
    await database.close()


@pytest.fixture
async def postgresql(postgres_url: str) -> AsyncIterator[Database]:
    database = open_database(postgres_url)
    yield database
    await database.close()


@pytest.fixture
def following(tmp_path: Path) -> Path:
    """Give the migrations of a version that has one more: patients have a language."""
    return versions_with(tmp_path / "versions", LANGUAGE)


def versions_with(folder: Path, *statements: str) -> Path:
    shutil.copytree(VERSIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    lines = [
        "import sqlalchemy as sa",
        "from alembic import op",
        f"revision, down_revision = '{NEXT}', '{NOW}'",
        "def upgrade() -> None:",
        *(f"    {statement}" for statement in statements),
    ]
    (folder / f"{NEXT}_more.py").write_text("\n".join(lines))
    return folder


def ask(statement: str) -> Any:
    def work(connection: Connection) -> list[Any]:
        result = connection.execute(text(statement))
        return [tuple(row) for row in result] if result.returns_rows else []

    return work


ADD = "INSERT INTO patient (tenant, id, name, registered_at) VALUES ('t', '{}', 'n', '2026-01-01')"
IDS = ask("SELECT id FROM patient ORDER BY id")


def add(name: str) -> Any:
    return ask(ADD.format(name))


async def revision(database: Database) -> str:
    ((found,),) = await database.read(ask("SELECT version_num FROM alembic_version"))
    return str(found)


async def columns(database: Database, table: str = "patient") -> set[str]:
    found = (await database.read(shape))[table]
    return {column["name"] for column in found["columns"]}


def shape(connection: Connection) -> dict[str, dict[str, Any]]:
    """Tell all that the database itself knows of its tables."""
    inspector = sqlalchemy.inspect(connection)
    return {
        table: {
            "columns": [{**c, "type": repr(c["type"])} for c in inspector.get_columns(table)],
            "primary key": inspector.get_pk_constraint(table),
            "unique": sorted(inspector.get_unique_constraints(table), key=repr),
            "indexes": sorted(inspector.get_indexes(table), key=repr),
            "foreign keys": inspector.get_foreign_keys(table),
        }
        for table in inspector.get_table_names()
    }


# The steps.


async def test_the_migrations_make_what_a_start_makes(database: Database) -> None:
    await database.create()
    made = await database.read(shape)
    await database.write(SQLModel.metadata.drop_all)
    await database.write(ask("DROP TABLE alembic_version"))
    await database.write(run_migrations)
    assert await database.read(shape) == made
    assert set(made) == {*SQLModel.metadata.tables, "alembic_version"}


async def test_the_tables_say_nothing_that_no_migration_makes(database: Database) -> None:
    await database.write(run_migrations)
    assert await database.read(differences) == []
    await database.write(ask("DROP INDEX task_due"))
    assert len(await database.read(differences)) == 1


def test_the_migrations_are_one_line_that_leads_only_forward() -> None:
    scripts = ScriptDirectory(str(MIGRATIONS), version_locations=[str(VERSIONS)])
    steps = list(scripts.walk_revisions())[::-1]
    assert scripts.get_heads() == [NOW]
    assert [step.revision for step in steps] == [f"{n:04}" for n in range(1, len(steps) + 1)]
    assert not any(hasattr(step.module, "downgrade") for step in steps)


async def test_the_next_migration_is_written_from_the_tables(
    tmp_path: Path, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = "revision, down_revision = '0001', None\ndef upgrade(): pass\n"
    (tmp_path / "0001_nothing.py").write_text(nothing)
    assert write_migration("make everything", tmp_path) == "0002"
    written = (tmp_path / "0002_make_everything.py").read_text()
    assert written.startswith('"""Make everything."""\n')
    assert "rooms" not in written, "what a migration does must not change with our classes"
    assert "sqlmodel" not in written
    assert "downgrade" not in written
    await database.write(partial(run_migrations, versions=tmp_path))
    assert await database.read(differences) == []


# A start.


async def test_an_empty_database_is_made_at_the_newest_revision(database: Database) -> None:
    assert await database.read(check) is None
    await database.create()
    assert await revision(database) == await database.read(check) == NOW
    assert await database.read(differences) == []


async def test_a_database_that_others_use_too_is_made_and_theirs_is_left_alone(
    database: Database,
) -> None:
    await database.write(ask("CREATE TABLE theirs (id INTEGER)"))
    await database.create()
    assert await database.read(differences) == []
    assert "theirs" in await database.read(shape)


async def test_an_older_sqlite_is_upgraded_at_the_start_and_keeps_its_rows(
    sqlite: Database, following: Path
) -> None:
    await sqlite.create()
    await sqlite.write(add("p1"))
    await sqlite.write(partial(prepare, versions=following))
    assert await revision(sqlite) == NEXT
    assert await sqlite.read(ask("SELECT id, language FROM patient")) == [("p1", None)]


async def test_an_older_postgresql_is_refused_until_somebody_migrates_it(
    postgresql: Database, following: Path
) -> None:
    await postgresql.create()
    for work in (prepare, check):
        with pytest.raises(SchemaRefused, match=f"{NOW}.*{NEXT}.*python -m hub migrate"):
            await postgresql.write(partial(work, versions=following))
    assert await revision(postgresql) == NOW
    assert "language" not in await columns(postgresql)
    await postgresql.write(partial(upgrade, versions=following))
    await postgresql.write(partial(prepare, versions=following))


async def test_a_newer_database_is_used_with_a_warning(
    database: Database, following: Path, logged: list[EventDict]
) -> None:
    await database.create()
    await database.write(partial(upgrade, versions=following))
    assert logged == []
    await database.create()
    warned = {"event": "schema_newer", "log_level": "warning", "database": NEXT, "known": NOW}
    assert logged == [warned]
    assert await database.write(upgrade) == (NEXT, NEXT)
    assert await revision(database) == NEXT


async def test_tables_of_before_the_migrations_are_refused_and_left_alone(
    database: Database,
) -> None:
    await database.write(SQLModel.metadata.create_all)
    await database.write(ask("ALTER TABLE case_state DROP COLUMN escalation"))
    before = await database.read(shape)
    for work in (prepare, check, upgrade):
        with pytest.raises(SchemaRefused, match="Start with an empty database"):
            await database.write(work)
    assert await database.read(shape) == before


async def test_tables_of_before_the_migrations_that_are_those_of_today_are_taken(
    database: Database,
) -> None:
    await database.write(SQLModel.metadata.create_all)
    await database.write(add("p1"))
    await database.create()
    assert await revision(database) == NOW
    assert await database.read(IDS) == [("p1",)]


async def test_a_database_of_another_application_is_refused(database: Database) -> None:
    await database.write(ask("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
    await database.write(ask("INSERT INTO alembic_version VALUES ('ae1027a6acf')"))
    for work in (prepare, check, upgrade):
        with pytest.raises(SchemaRefused, match=r"'ae1027a6acf'.*a database of its own"):
            await database.write(work)
    assert set(await database.read(shape)) == {"alembic_version"}


STARTING = """
import asyncio, sys
from rooms.database import open_database
async def start():
    database = open_database(sys.argv[1])
    print("ready", flush=True)
    sys.stdin.readline()
    await database.create()
    await database.create()
    await database.close()
asyncio.run(start())
print("alembic" in sys.modules)
"""


async def test_two_processes_may_start_at_once_on_an_empty_database(
    database_url: str, database: Database
) -> None:
    arguments = [sys.executable, "-c", STARTING, database_url]
    async with asyncio.timeout(WITHIN):
        processes = [
            await asyncio.create_subprocess_exec(*arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE)
            for _ in range(2)
        ]
        for process in processes:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"ready\n"
        results = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    assert results == [(b"False\n", b"")] * 2, "and none takes the time to import alembic"
    assert await revision(database) == NOW
    assert await database.read(differences) == []


# An upgrade.


async def test_an_upgrade_tells_from_where_to_where_and_may_be_repeated(
    database: Database, following: Path
) -> None:
    assert await database.write(upgrade) == (None, NOW)
    assert await database.write(upgrade) == (NOW, NOW)
    assert await database.write(partial(upgrade, versions=following)) == (NOW, NEXT)
    assert await database.write(partial(upgrade, versions=following)) == (NEXT, NEXT)


async def test_two_upgrades_at_once_make_one(database_url: str, following: Path) -> None:
    async with contextlib.AsyncExitStack() as stack, asyncio.timeout(WITHIN):
        databases = [open_database(database_url) for _ in range(2)]
        for database in databases:
            stack.push_async_callback(database.close)
        await databases[0].create()
        work = partial(upgrade, versions=following)
        done = await asyncio.gather(*(database.write(work) for database in databases))
        assert sorted(done) == [(NOW, NEXT), (NEXT, NEXT)]


async def test_a_migration_that_fails_leaves_all_as_it_was(
    tmp_path: Path, database: Database
) -> None:
    await database.create()
    before = await database.read(shape)
    versions = versions_with(tmp_path / "versions", LANGUAGE, "raise ZeroDivisionError")
    with pytest.raises(ZeroDivisionError):
        await database.write(partial(upgrade, versions=versions))
    assert await database.read(shape) == before
    assert await revision(database) == NOW


async def test_hubs_of_the_older_version_go_on_while_the_database_is_migrated(
    database_url: str, database: Database, following: Path
) -> None:
    await database.create()
    await database.write(add("p1"))
    await asyncio.gather(*(database.read(IDS) for _ in range(4)))
    other = open_database(database_url)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(other.write(partial(upgrade, versions=following)))
        for number in range(2, 10):
            tasks.create_task(database.write(add(f"p{number}")))
            tasks.create_task(database.read(IDS))
    await other.close()
    assert await revision(database) == NEXT
    assert await database.read(IDS) == [(f"p{number}",) for number in range(1, 10)]


async def test_a_migration_does_not_make_all_wait_behind_it_for_a_table(
    postgres_url: str, postgresql: Database, following: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rooms.schema.LOCK_MS", 20)
    await postgresql.create()
    waiting = open_database(postgres_url, answer=2 * WITHIN)
    reader = create_async_engine(postgres_url.replace("postgresql:", "postgresql+asyncpg:"))
    async with asyncio.timeout(WITHIN):
        async with reader.begin() as reading:
            await reading.execute(text("SELECT * FROM patient"))
            with pytest.raises(Unavailable):
                await waiting.write(partial(upgrade, versions=following))
        assert await waiting.write(partial(upgrade, versions=following)) == (NOW, NEXT)
    await reader.dispose()
    await waiting.close()
