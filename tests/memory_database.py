"""A database for simulations: real SQL in memory, and luck decides how long it takes."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any, Final, TypeVar

import sqlalchemy
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.pool import StaticPool

from rooms.database import Database
from rooms.errors import Unavailable

T = TypeVar("T")

MOST: Final = 3
"""Most turns, or milliseconds, that pass before a transaction, and again after it."""


class MemoryDatabase(Database):
    """SQLite on the event loop itself; what was stored is gone when it is closed.

    Whoever is cancelled before its transaction has stored nothing; after it, all.
    """

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._engine = _engine()
        self._writing = asyncio.Lock()

    async def read(self, work: Callable[[Connection], T]) -> T:
        await self._dawdle()
        try:
            return self._transact(work)
        finally:
            await self._dawdle()

    async def write(self, work: Callable[[Connection], T]) -> T:
        try:
            async with self._writing:
                await self._dawdle()
                return self._transact(work)
        finally:
            # The next write need not wait until this one's caller has heard of it.
            await self._dawdle()

    async def close(self) -> None:
        self._engine.dispose()

    async def _dawdle(self) -> None:
        amount = self._rng.randint(0, MOST)
        if self._rng.random() < 0.5:
            await asyncio.sleep(amount / 1000)
        else:
            for _ in range(amount):
                await asyncio.sleep(0)

    def _transact(self, work: Callable[[Connection], T]) -> T:
        try:
            with self._engine.begin() as connection:
                return work(connection)
        except IntegrityError:
            raise
        except DBAPIError as error:
            raise Unavailable from error


def _engine() -> sqlalchemy.Engine:
    """Make an engine with one connection for ever: a second one would see an empty database."""
    engine = sqlalchemy.create_engine("sqlite://", poolclass=StaticPool, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def connect(connection: Any, record: object) -> None:
        connection.isolation_level = None  # as in SqliteDatabase: the driver begins nothing
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine
