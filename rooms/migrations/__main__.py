"""Writes the next migration: `python -m rooms.migrations "add a language to cases"`.

It holds what `rooms/tables.py` has and the migrations so far do not make. Read it before you trust
it, and see the rules in `rooms/migrations/versions/__init__.py`.
"""

import sys
from pathlib import Path

import sqlalchemy
from alembic import command

from rooms.schema import VERSIONS, alembic_config, newest, run_migrations


def write_migration(message: str, versions: Path = VERSIONS) -> str:
    """Write a migration, and give its revision."""
    revision = f"{int(newest(versions)) + 1:04}"
    engine = sqlalchemy.create_engine("sqlite://")
    with engine.begin() as connection:
        run_migrations(connection, versions)
        config = alembic_config(connection, versions)
        command.revision(config, message, autogenerate=True, rev_id=revision)
    engine.dispose()
    return revision


if __name__ == "__main__":
    write_migration(" ".join(sys.argv[1:]) or sys.exit("Say in a few words what it does."))
