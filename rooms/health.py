"""What a database says of itself to somebody who wants to know whether it will do."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection

from rooms.database import Database
from rooms.schema import check, newest

MAY_CREATE: Final = "SELECT has_schema_privilege(current_schema(), 'CREATE')"


@dataclass(frozen=True, slots=True)
class Health:
    """How a database is."""

    product: str
    """Its name and version."""
    major: int
    revision: str | None
    """Of its tables; None: it has none yet."""
    newest: str
    """The revision that this version of the hub needs."""
    connections: int | None
    """How many the server takes in all; None: it is not a server."""
    time: datetime | None
    """What its clock says; None: it has none of its own."""
    writable: bool = True
    """It takes what is written; a standby does not, nor does a server that was told so."""
    tables_allowed: bool = True
    """The hub may make and change tables."""


async def examine(database: Database) -> Health:
    """Ask a database how it is.

    Raises:
        SchemaRefused: the hub cannot use it as it is.
        Unavailable: it does not answer.

    """
    return await database.read(_examine)


def _examine(connection: Connection) -> Health:
    revision = check(connection)

    def ask(query: str) -> str:
        return str(connection.exec_driver_sql(query).scalar_one())

    if connection.dialect.name == "sqlite":
        version = ask("SELECT sqlite_version()")
        return Health(f"SQLite {version}", int(version[0]), revision, newest(), None, None)
    version = ask("SHOW server_version").split()[0]
    time: datetime = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
    return Health(
        f"PostgreSQL {version}",
        int(version.split(".")[0]),
        revision,
        newest(),
        int(ask("SHOW max_connections")),
        time.astimezone(UTC),
        ask("SHOW transaction_read_only") == "off",
        bool(connection.exec_driver_sql(MAY_CREATE).scalar()),
    )
