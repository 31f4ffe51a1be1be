"""The schema of the database: made at once where there is none, and checked at every start.

A database bears its revision in the table `alembic_version`. The steps between two revisions are
in `rooms/migrations/versions`. Everything here is work for `Database.read` and `Database.write`.

What a start does:

    empty                     make the tables, at the newest revision
    newest                    nothing
    older, SQLite             upgrade it: one process owns the file
    older, PostgreSQL         refuse: processes of the older version may be at work
    newer                     warn: the next version is being deployed, and migrations only add
    tables without revision   take it if they are those of today, else refuse
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy
import structlog
from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table
from sqlmodel import SQLModel

from rooms import tables  # noqa: F401 - the import fills SQLModel.metadata

if TYPE_CHECKING:
    from alembic.config import Config

logger = structlog.get_logger()

MIGRATIONS: Final = Path(__file__).parent / "migrations"
VERSIONS: Final = MIGRATIONS / "versions"
"""Where the migrations are that this version knows."""
NUMBER: Final = re.compile(r"\d{4}")
"""What a revision looks like."""
CHANGING: Final = 0x6875622E
"""Names the lock under which PostgreSQL creates and changes tables."""
LOCK_MS: Final = 2_000
"""How long a migration waits for a table on PostgreSQL, as all others then wait behind it."""


class SchemaRefused(Exception):
    """This version cannot use the database as it is; the message says what to do."""


def prepare(connection: Connection, versions: Path = VERSIONS) -> None:
    """Make an empty database ready for use, and see that any other one is.

    Raises:
        SchemaRefused: it is not, and somebody must decide.

    """
    found, head = check(connection, versions), newest(versions)
    if found is not None and found > head:
        logger.warning("schema_newer", database=found, known=head)
    elif found != head:
        upgrade(connection, versions)


def check(connection: Connection, versions: Path = VERSIONS) -> str | None:
    """Tell the revision of a database that `prepare` will not refuse; None if it has none yet.

    Raises:
        SchemaRefused: it would.

    """
    found, head = _recognised(connection), newest(versions)
    if found is not None and found < head and connection.dialect.name == "postgresql":
        raise SchemaRefused(
            f"The database is at revision {found}, and this version needs {head}. "
            "Run `python -m hub migrate`; hubs of the older version may go on meanwhile."
        )
    return found


def upgrade(connection: Connection, versions: Path = VERSIONS) -> tuple[str | None, str]:
    """Bring a database to the newest revision, and tell from which to which.

    Raises:
        SchemaRefused: its tables are not those of any revision.

    """
    _lock(connection)
    found, head = _recognised(connection), newest(versions)
    if found is None:
        SQLModel.metadata.create_all(connection)
        _REVISION.create(connection, checkfirst=True)
        connection.execute(_REVISION.insert(), {"version_num": head})
    elif found < head:
        run_migrations(connection, versions)
    return found, max(found or head, head)


def newest(versions: Path = VERSIONS) -> str:
    return max(path.name[:4] for path in versions.glob("[0-9][0-9][0-9][0-9]_*.py"))


def run_migrations(connection: Connection, versions: Path = VERSIONS) -> None:
    """Run the migrations that a database has not had, in its present transaction."""
    from alembic import command

    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {LOCK_MS}")
    command.upgrade(alembic_config(connection, versions), "head")


def differences(connection: Connection) -> list[Any]:
    """Tell in what our tables are not as `rooms.tables` says; others' tables do not count."""
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    def is_ours(name: str | None, kind: str, parents: Mapping[str, str | None]) -> bool:
        return kind != "table" or name in SQLModel.metadata.tables

    context = MigrationContext.configure(connection, opts={"include_name": is_ours})
    found: list[Any] = compare_metadata(context, SQLModel.metadata)
    return found


def alembic_config(connection: Connection, versions: Path = VERSIONS) -> "Config":
    """Give what alembic else reads from an `alembic.ini`."""
    # Here, not above: alembic takes longer to import than a start has, and most need none of it.
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    for option, folder in (("script_location", MIGRATIONS), ("version_locations", versions)):
        config.set_main_option(option, str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    return config


def _recognised(connection: Connection) -> str | None:
    """Give the revision of a database that is empty or ours."""
    found = _revision(connection)
    if found is None:
        if _has_our_tables(connection) and differences(connection):
            raise SchemaRefused(
                "The database has tables that are called like the hub's, but are those of version "
                "0.1.0 or of nobody, and cannot be upgraded. Start with an empty database."
            )
    elif not NUMBER.fullmatch(found):
        raise SchemaRefused(
            f"The database is at revision {found!r} of another application. "
            "Give the hub a database of its own."
        )
    return found


def _revision(connection: Connection) -> str | None:
    if not sqlalchemy.inspect(connection).has_table(_REVISION.name):
        return None
    found: str | None = connection.scalar(sqlalchemy.select(_REVISION.c.version_num))
    return found


def _has_our_tables(connection: Connection) -> bool:
    names = sqlalchemy.inspect(connection).get_table_names()
    return not SQLModel.metadata.tables.keys().isdisjoint(names)


def _lock(connection: Connection) -> None:
    # Processes that start at once would each try to create what the other has just created.
    # SQLite's writing transaction is alone from its beginning.
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({CHANGING})")


_REVISION: Final = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""As alembic makes it itself."""
