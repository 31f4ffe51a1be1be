"""What alembic runs for each of its commands; `rooms.schema` hands it a connection."""

from typing import Any, Literal

from alembic import context
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import AutoString

from rooms.tables import Instant


def render(kind: str, item: Any, autogenerate: object) -> str | Literal[False]:
    """Write our types as those of SQLAlchemy: ours may change, what a migration does may not."""
    if kind == "type" and isinstance(item, Instant):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, AutoString):
        return "sa.String()"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=True,  # SQLite alters little in place
    render_item=render,
)
with context.begin_transaction():
    context.run_migrations()
