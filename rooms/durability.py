"""What a PostgreSQL server was told not to do, and without which an ack is an empty promise."""

from typing import Final

from sqlalchemy import Connection, NullPool
from sqlalchemy.ext.asyncio import create_async_engine

from rooms.database import ANSWER_S, parsed_url, unavailable

NEEDED: Final = ("fsync", "full_page_writes", "synchronous_commit")
"""Any of these that is off: after a power cut, what was acknowledged is gone, or the database."""


async def switched_off(url: str) -> list[str]:
    """Name the settings of the server that are off and must not be; SQLite has none.

    The hub sets `synchronous_commit` for its own sessions. It counts all the same: whoever has
    switched it off does not expect that nothing may be lost.

    Raises:
        Unavailable: the database does not answer.

    """
    parsed = parsed_url(url)
    if parsed.get_backend_name() == "sqlite":
        return []
    engine = create_async_engine(
        parsed,
        poolclass=NullPool,
        connect_args={"timeout": ANSWER_S, "command_timeout": ANSWER_S},
    )
    with unavailable():
        async with engine.connect() as connection:
            return await connection.run_sync(_off)


def _off(connection: Connection) -> list[str]:
    values = {name: connection.exec_driver_sql(f"SHOW {name}").scalar() for name in NEEDED}
    return [name for name, value in values.items() if value == "off"]
