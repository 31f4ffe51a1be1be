"""Databases, set up so that what is committed survives a power cut.

SQLite runs in threads of its own and PostgreSQL on the event loop, so what is done with a
connection is handed over as a plain function: one change of threads for each transaction, not
one for each statement, and the same code for both.
"""

import asyncio
import logging
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from typing import Any, Final, TypeVar

import sqlalchemy
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError, DisconnectionError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from rooms import schema
from rooms.errors import Unavailable

BUSY_MS: Final = 5_000
"""How long SQLite waits for another process's write lock."""
ANSWER_S: Final = 2.5
"""How long PostgreSQL has for a transaction, unless told otherwise: who waits is told in 3 s."""
CACHE_KIB: Final = 16_384
"""Pages that each SQLite connection keeps; at the default of 2 MiB, inserting thrashes."""
CHECKPOINT_PAGES: Final = 8_000
"""Pages in the WAL before they are copied back; at the default, every second batch would wait."""
READERS: Final = 4
"""Threads that read from SQLite."""
POOL: Final = 5
"""Connections to PostgreSQL: one that writes, and the others read."""
IDLE_MS: Final = 1_500
"""How long a process may stand still in a transaction before PostgreSQL ends it.

What it has locked waits no longer than that for a process that is frozen, or cut off.
"""
STATEMENT: Final = 0.9
"""The part of its time for a transaction that PostgreSQL has for one statement."""
PARAMETERS: Final = frozenset({"host", "port", "sslmode"})
"""What may stand behind the `?` of a PostgreSQL URL."""
DATA_EXCEPTION: Final = "22"
"""The class of SQLSTATE codes for values that PostgreSQL cannot store."""
READ_ONLY: Final = "25006"
"""The SQLSTATE of a server that takes no writes."""

T = TypeVar("T")


class Database(ABC):
    """Many readers, and one writer, which is all that group commit needs."""

    @abstractmethod
    async def read(self, work: Callable[[Connection], T]) -> T:
        """Do something in one reading transaction.

        Raises:
            Unavailable: the database does not answer.

        """

    @abstractmethod
    async def write(self, work: Callable[[Connection], T]) -> T:
        """Do something in the writing transaction; it is durable when this returns.

        Raises:
            Unavailable: the database refused or did not answer; whether the transaction was
                committed is then not known.
            IntegrityError: another process wrote the same number or name first.
            DBAPIError: the database cannot store a value that it was given.

        """

    async def upsert(self, work: Callable[[Connection], T]) -> T:
        """As `write`, for a row whose key another process may take in the same moment.

        Then it is done once more, and finds the row of the other.
        """
        try:
            return await self.write(work)
        except IntegrityError:
            return await self.write(work)

    @abstractmethod
    async def close(self) -> None: ...

    async def create(self) -> None:
        """Create the tables, or see that those that there are can be used.

        Raises:
            SchemaRefused: they cannot, and somebody must decide.
            Unavailable: the database does not answer.

        """
        await self.write(schema.prepare)


def open_database(url: str, *, answer: float = ANSWER_S, pool: int = POOL) -> Database:
    """Open `sqlite:///…` or `postgresql://…`.

    Args:
        url: where it is.
        answer: how many seconds PostgreSQL has for a transaction.
        pool: how many connections there are to PostgreSQL at most, two or more.

    Raises:
        ValueError: the URL is of neither kind; the message does not repeat its password.

    """
    parsed = parsed_url(url)
    if parsed.get_backend_name() == "sqlite":
        return SqliteDatabase(parsed)
    return PostgresDatabase(parsed, answer, pool)


def parsed_url(url: str) -> sqlalchemy.URL:
    """Read `sqlite:///…` or `postgresql://…`, with the names of the drivers.

    Raises:
        ValueError: the URL is of neither kind; the message does not repeat its password.

    """
    try:
        parsed = sqlalchemy.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise ValueError(
            "A database URL reads sqlite:///path or postgresql://user:password@host:port/name; "
            "signs like @ and % in the password are written %40 and %25."
        ) from None
    match parsed.get_backend_name():
        case "sqlite" if not parsed.host:
            return parsed.set(drivername="sqlite+pysqlite")
        case "sqlite":
            raise ValueError("A database URL reads sqlite:///path, with three slashes.")
        case "postgresql" | "postgres":
            return _postgres_url(parsed)
        case other:
            raise ValueError(
                f"A database URL begins with sqlite:// or postgresql://, not {other}://"
            )


def _postgres_url(url: sqlalchemy.URL) -> sqlalchemy.URL:
    unknown = ", ".join(sorted(url.query.keys() - PARAMETERS))
    if unknown:
        raise ValueError(f"A database URL may say host, port and sslmode, but not {unknown}.")
    # As hosts of databases write it, and PostgreSQL's own programs; the driver has another name.
    query = {"ssl" if name == "sslmode" else name: value for name, value in url.query.items()}
    return url.set(drivername="postgresql+asyncpg", query=query)


class SqliteDatabase(Database):
    """The embedded default: a file in WAL mode, synced to disk at every commit."""

    def __init__(self, url: sqlalchemy.URL) -> None:
        self._readers = _sqlite_engine(url, "BEGIN")
        # A deferred BEGIN would let two processes read the same head before either writes.
        self._writer = _sqlite_engine(url, "BEGIN IMMEDIATE")
        self._reading = ThreadPoolExecutor(READERS, "sqlite-read")
        self._writing = ThreadPoolExecutor(1, "sqlite-write")

    async def read(self, work: Callable[[Connection], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._reading, _transact, self._readers, work)

    async def write(self, work: Callable[[Connection], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writing, _transact, self._writer, work)

    async def close(self) -> None:
        self._writing.shutdown()
        self._reading.shutdown()
        self._readers.dispose()
        self._writer.dispose()


class PostgresDatabase(Database):
    """A shared database, for more than one process."""

    def __init__(self, url: sqlalchemy.URL, answer: float, pool: int) -> None:
        self._answer = answer
        self._idle: set[Any] = set()
        """The connections of the driver that nobody uses."""
        self._readers = _postgres_engine(url, pool - 1, answer, self._idle)
        self._writer = _postgres_engine(url, 1, answer, self._idle)

    async def read(self, work: Callable[[Connection], T]) -> T:
        return await self._transact(self._readers, work)

    async def write(self, work: Callable[[Connection], T]) -> T:
        return await self._transact(self._writer, work)

    async def close(self) -> None:
        # A goodbye would be waited for, from a server that is silent without end.
        self._end_idle()
        await self._readers.dispose()
        await self._writer.dispose()

    async def _transact(self, engine: AsyncEngine, work: Callable[[Connection], T]) -> T:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._answer
        with unavailable():
            async with AsyncExitStack() as stack:
                async with asyncio.timeout_at(deadline):
                    connection = await stack.enter_async_context(engine.connect())
                # It may be gone, and another in its place, when it is hung up on.
                raw = await connection.get_raw_connection()
                hanging_up = loop.call_at(deadline, self._hang_up, raw.driver_connection)
                stack.callback(hanging_up.cancel)
                async with connection.begin():
                    try:
                        return await connection.run_sync(work)
                    except DBAPIError as error:
                        if _sqlstate(error) == READ_ONLY:
                            # A failover may have left it at the old primary, alive: look for the
                            # new one.
                            await connection.invalidate(error)
                        raise

    def _hang_up(self, connection: Any) -> None:
        """End a connection that does not answer, and those that nobody uses: they may not, either.

        To cancel what is done with it would be to ask the server, and to wait for its answer.
        """
        connection.terminate()
        self._end_idle()

    def _end_idle(self) -> None:
        for connection in self._idle:
            connection.terminate()


@contextmanager
def unavailable() -> Iterator[None]:
    """Turn the failures of a database into `Unavailable`."""
    try:
        yield
    except DBAPIError as error:
        if _is_about_values(error):
            raise
        raise Unavailable from error
    # asyncpg lets a refused connection surface as a bare OSError.
    except (OSError, sqlalchemy.exc.TimeoutError) as error:
        raise Unavailable from error


def _is_about_values(error: DBAPIError) -> bool:
    """Tell whether the database works, but refuses what it was given, and will on every try."""
    return isinstance(error, IntegrityError) or _sqlstate(error).startswith(DATA_EXCEPTION)


def _sqlstate(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def _transact(engine: sqlalchemy.Engine, work: Callable[[Connection], T]) -> T:
    with unavailable(), engine.connect() as connection:
        try:
            with connection.begin():
                return work(connection)
        except DBAPIError:
            # After a failed commit a connection may hold a transaction half open.
            connection.invalidate()
            raise


def _postgres_engine(
    url: sqlalchemy.URL, pool_size: int, answer: float, idle: set[Any]
) -> AsyncEngine:
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        hide_parameters=True,
        connect_args={
            "timeout": ANSWER_S,
            "server_settings": {
                # Whatever the default of the role is: an ack means that it is on disk.
                "synchronous_commit": "on",
                # A process that freezes in a transaction would hold its locks until it thaws.
                "idle_in_transaction_session_timeout": str(IDLE_MS),
                # A server that is slow says so itself, before it is taken for dead.
                "statement_timeout": str(int(answer * STATEMENT * 1000)),
            },
        },
    )

    # Who gives up waiting while a dead connection is put away is told so; it is gone all the same.
    pool = type(engine.sync_engine.pool)
    logging.getLogger(f"{pool.__module__}.{pool.__name__}").addFilter(_is_no_cancellation)

    @event.listens_for(engine.sync_engine, "checkout")
    def check_out(connection: Any, record: object, proxy: object) -> None:
        idle.discard(connection.driver_connection)
        if connection.driver_connection.is_closed():
            raise DisconnectionError  # another one is made, and nobody notices

    @event.listens_for(engine.sync_engine, "checkin")
    def check_in(connection: Any, record: object) -> None:
        if connection is not None:
            idle.add(connection.driver_connection)

    return engine


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def _enter_wal_mode(cursor: sqlite3.Cursor) -> None:
    """Wait for another process that creates the file too; `busy_timeout` does not do it here."""
    deadline = time.monotonic() + BUSY_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _sqlite_engine(url: sqlalchemy.URL, begin: str) -> sqlalchemy.Engine:
    engine = sqlalchemy.create_engine(
        url,
        poolclass=sqlalchemy.QueuePool,
        pool_size=READERS,
        max_overflow=0,
        connect_args={"check_same_thread": False},
        hide_parameters=True,  # they are what patients wrote, and errors are logged
    )

    @event.listens_for(engine, "connect")
    def connect(connection: Any, record: object) -> None:
        connection.isolation_level = None  # the driver begins no transactions: we do
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout={BUSY_MS}",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"cache_size=-{CACHE_KIB}",
            f"wal_autocheckpoint={CHECKPOINT_PAGES}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        _enter_wal_mode(cursor)
        cursor.close()

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine
