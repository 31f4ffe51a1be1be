"""Uploads: files that people send, kept in the database in pieces.

A file is received, then confirmed. Its pieces are written one by one as they come, each in a
transaction of its own, so that no message has to wait for a whole file, and no process holds one.

Invariant: a file is there for anybody only once its content is complete; it is a part of its case
only with the event that says so, which is committed together with its confirmation.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import structlog
from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from auth.principal import Principal
from rooms.database import Database
from rooms.errors import Code, Rejected, Unavailable
from rooms.rows import table_of
from rooms.state import Upload
from rooms.tables import UploadPartRow, UploadRow

logger = structlog.get_logger()

PIECE: Final = 262_144
"""Bytes of a piece."""
KEPT: Final = timedelta(hours=24)
"""How long a file that nobody confirms is kept."""
EVERY: Final = 600.0
"""Seconds between two looks for files that nobody has confirmed."""


@dataclass(frozen=True, slots=True)
class Received:
    """A file that was received: now, or by an earlier request with the same key."""

    upload: Upload
    dup: bool = False


class Uploads:
    """The files of all cases."""

    def __init__(
        self, database: Database, *, now: Callable[[], datetime], new_id: Callable[[str], str]
    ) -> None:
        self._database = database
        self._now = now
        self._new_id = new_id

    async def receive(
        self,
        case: str,
        by: Principal,
        name: str,
        content_type: str,
        content: AsyncIterator[bytes],
        key: str | None = None,
    ) -> Received:
        """Store a file. If its content breaks off with an error, nothing of it is kept.

        Raises:
            Rejected: `key` was used for another file.
            Unavailable: it is not known to be stored; the same key may be sent again.

        """
        id = self._new_id("upload")
        now = self._now()
        begun = {
            "id": id,
            "tenant": by.tenant,
            "case_id": case,
            "sender": by.id,
            "name": name,
            "content_type": content_type,
            "size": 0,
            "created_at": now,
        }
        await self._database.write(lambda connection: _begin(connection, begun))
        try:
            size, sha256 = await self._store(id, content)
        except BaseException:
            # The rest is found by `expire`, should the database be away now.
            with suppress(Unavailable):
                await asyncio.shield(self._forget(id))
            raise
        done = {
            "size": size,
            "sha256": sha256,
            "stored_at": self._now(),
            "idempotency": None if key is None else _named(case, by, key),
            "digest": hashlib.sha256(f"{name}\0{content_type}\0{sha256}".encode()).hexdigest()[:32],
        }
        complete = partial(_complete, id=id, done=done)
        received = await self._database.upsert(complete)
        if received is None:
            raise Rejected(
                Code.KEY_REUSED,
                "This key was used for another file. Make a new key for each file.",
            )
        return received

    async def find(self, id: str) -> Upload | None:
        """Give a file whose content is complete, if there is one with this id."""
        if len(id) > 128 or not id.isprintable():
            return None
        query = select(_UPLOAD).where(_UPLOAD.c.id == id, _UPLOAD.c.stored_at.is_not(None))
        row = await self._database.read(lambda connection: connection.execute(query).first())
        return None if row is None else _upload_of(row)

    async def content(self, id: str) -> AsyncIterator[bytes]:
        """Read a file, piece by piece."""
        number = 0
        while piece := await self._piece(id, number):
            yield piece
            number += 1

    async def expire(self) -> int:
        """Delete what was not confirmed in time, and tell how many files that were."""
        before = self._now() - KEPT
        count = 0
        # One at a time: what is written meanwhile does not wait for all of them.
        while await self._database.write(lambda connection: _delete_oldest(connection, before)):
            count += 1
        return count

    async def run(self) -> None:
        """Delete what was not confirmed in time, until cancelled."""
        while True:
            try:
                count = await self.expire()
                if count:
                    logger.info("uploads_expired", files=count)
            except Unavailable:
                logger.warning("uploads_wait_for_database")
            await asyncio.sleep(EVERY)

    async def _store(self, id: str, content: AsyncIterator[bytes]) -> tuple[int, str]:
        size, number, sha256 = 0, 0, hashlib.sha256()
        async for piece in _pieces(content):
            sha256.update(piece)
            size += len(piece)
            await self._database.write(partial(_add, id=id, number=number, piece=piece))
            number += 1
        return size, sha256.hexdigest()

    async def _forget(self, id: str) -> None:
        await self._database.write(lambda connection: _delete(connection, id))

    async def _piece(self, id: str, number: int) -> bytes | None:
        query = select(_PART.c.content).where(_PART.c.upload_id == id, _PART.c.number == number)
        return await self._database.read(lambda connection: connection.scalar(query))


# For the transaction in which the log confirms files.


def lock_uploads(connection: Connection, ids: Collection[str]) -> dict[str, Upload]:
    """Find files whose content is complete, and keep them from being deleted meanwhile."""
    if not ids:
        return {}
    query = (
        select(_UPLOAD)
        .where(_UPLOAD.c.id.in_(sorted(ids)), _UPLOAD.c.stored_at.is_not(None))
        .order_by(_UPLOAD.c.id)
        .with_for_update()
    )
    return {row.id: _upload_of(row) for row in connection.execute(query)}


def confirm_uploads(connection: Connection, confirmed: Mapping[str, datetime]) -> None:
    if confirmed:
        changes = [{"upload": id, "confirmed_at": at} for id, at in confirmed.items()]
        connection.execute(update(_UPLOAD).where(_UPLOAD.c.id == bindparam("upload")), changes)


_UPLOAD: Final = table_of(UploadRow)
_PART: Final = table_of(UploadPartRow)


def _begin(connection: Connection, row: Mapping[str, Any]) -> None:
    connection.execute(insert(_UPLOAD), row)


def _add(connection: Connection, id: str, number: int, piece: bytes) -> None:
    connection.execute(insert(_PART), {"upload_id": id, "number": number, "content": piece})


def _complete(connection: Connection, id: str, done: Mapping[str, Any]) -> Received | None:
    """Let a file be there, or give the one that came with its key; None if that is another one."""
    if done["idempotency"] is not None:
        same = select(_UPLOAD).where(_UPLOAD.c.idempotency == done["idempotency"])
        first = connection.execute(same).first()
        if first is not None:
            _delete(connection, id)
            alike = first.digest == done["digest"]
            return Received(_upload_of(first), dup=True) if alike else None
    connection.execute(update(_UPLOAD).where(_UPLOAD.c.id == id).values(**done))
    row = connection.execute(select(_UPLOAD).where(_UPLOAD.c.id == id)).one()
    return Received(_upload_of(row))


def _delete(connection: Connection, id: str) -> None:
    connection.execute(delete(_UPLOAD).where(_UPLOAD.c.id == id))


def _delete_oldest(connection: Connection, before: datetime) -> bool:
    """Delete one file that was not confirmed, and tell whether there was one."""
    query = (
        select(_UPLOAD.c.id)
        .where(_UPLOAD.c.confirmed_at.is_(None), _UPLOAD.c.created_at < before)
        .order_by(_UPLOAD.c.created_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    id = connection.scalar(query)
    if id is not None:
        _delete(connection, id)
    return id is not None


def _upload_of(row: Row[Any]) -> Upload:
    return Upload(
        id=row.id,
        case=row.case_id,
        sender=row.sender,
        name=row.name,
        content_type=row.content_type,
        size=row.size,
        confirmed=row.confirmed_at is not None,
    )


def _named(case: str, by: Principal, key: str) -> str:
    """Name the request by which somebody sends a file."""
    parts = f"{case}\0{by.is_staff:d}\0{by.id}\0{key}"
    return hashlib.sha256(parts.encode()).hexdigest()[:32]


async def _pieces(content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Give the same bytes in pieces of one size, the last one excepted."""
    waiting = bytearray()
    async for some in content:
        waiting += some
        while len(waiting) >= PIECE:
            yield bytes(waiting[:PIECE])
            del waiting[:PIECE]
    if waiting:
        yield bytes(waiting)
