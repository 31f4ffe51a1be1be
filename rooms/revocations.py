"""Whose tokens count no longer, although they have not expired.

A revocation names a user, and covers the tokens that were issued to them before a moment; or a
session, and covers all of its tokens. It holds within one tenant, and is kept for as long as a
token can live.

Invariant: what was revoked at one process is refused at every process after `EVERY` seconds, and
whoever was let in by such a token is turned out at the second look after that at the latest.
"""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any, Final

import structlog
from sqlalchemy import Connection, Row, delete, insert, select, tuple_, update

from auth.claims import LEEWAY_S, MAX_LIFETIME_S
from auth.principal import Principal, Role
from rooms.database import Database
from rooms.errors import Code, Malformed, Rejected, Unavailable
from rooms.rows import table_of
from rooms.tables import RevocationRow

logger = structlog.get_logger()

EVERY: Final = 1.0
"""Seconds between two looks at what other processes have revoked."""
WHOLE_EVERY: Final = 60
"""After so many looks at what is new, all is read again."""
OVERLAP: Final = timedelta(minutes=1)
"""How far back a look at what is new goes: transactions end in another order than they began in."""
LASTS: Final = timedelta(seconds=MAX_LIFETIME_S + LEEWAY_S)
"""After so long every token that was issued before has expired."""
PAGE: Final = 1_000
"""Rows that are read at once, for PostgreSQL is spoken to on the event loop."""
EPOCH: Final = datetime.fromtimestamp(0, UTC)

Place = tuple[datetime, str, str, str]
"""A place in the order of changes: when, and of what."""


class About(StrEnum):
    """What a revocation names; the values are the claims of a token."""

    USER = "sub"
    SESSION = "sid"


@dataclass(frozen=True, slots=True)
class Revocation:
    """Tokens that count no longer."""

    about: About
    subject: str
    issued_before: datetime
    """For a session it only tells when it was revoked."""
    until: datetime
    """When it is forgotten."""

    @property
    def turns_out_at(self) -> datetime:
        """When whoever is connected must go: as soon as they can come back with a new token.

        If the moment was said to lie in the future, they must go at once all the same.
        """
        return min(self.issued_before, _whole_second(self.until - LASTS))


class Revocations:
    """What was revoked, at this process and at the others."""

    def __init__(self, database: Database, *, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now
        self._known: dict[tuple[str, About, str], Revocation] = {}
        self._looked_at: datetime | None = None
        self._looks = 0
        self.enforce: Callable[[Callable[[Principal], bool]], None] = lambda turns_out: None
        """Called with who must go, after each look while anything is revoked: so it is found too
        who was being let in when that happened."""

    def covers(self, by: Principal) -> bool:
        """Tell whether the token of a principal was revoked; back ends have none."""
        return self._covering(by) is not None

    def turns_out(self, by: Principal) -> bool:
        """Tell whether somebody who is connected must go now.

        A token says in whole seconds when it was issued, so one of the second of a revocation is
        taken for an older one. Whoever is turned out after it can come back with a new one.
        """
        revoked = self._covering(by)
        return revoked is not None and revoked.turns_out_at <= self._now()

    async def revoke(
        self, by: Principal, about: About, subject: str, issued_before: datetime | None = None
    ) -> Revocation:
        """Let the tokens of a user of one's tenant count no longer, or those of a session.

        Doing it again does no harm; a moment that is before the last one changes nothing.

        Args:
            by: a supervisor or another back end.
            about: whether `subject` is a user or a session.
            subject: the `sub`, or the `sid`, of the tokens.
            issued_before: covers the tokens of a user that were issued before it; None: now.

        Raises:
            Rejected: this is neither a supervisor nor a back end.
            Malformed: the moment lies in the future.
            Unavailable: it is not known to be stored; it may be done again.

        """
        if by.role not in (Role.SUPERVISOR, Role.SERVICE):
            raise Rejected(Code.FORBIDDEN, "Only supervisors and other back ends revoke tokens.")
        now = self._now()
        before = now if issued_before is None else issued_before
        if before > now + timedelta(seconds=LEEWAY_S):
            raise Malformed(Code.INVALID, "issued_before: lies in the future.")
        # No token is older than that, and no calendar ends there.
        before = _whole_second(max(before, now - LASTS))
        wanted = Revocation(about, subject, before, now + LASTS)
        await self._database.upsert(lambda each: _store(each, by, wanted, self._now()))
        logger.info("token_revoked", tenant=by.tenant, about=about, subject=subject, by=by.id)
        await self.load()
        self._enforce()
        return self._known.get((by.tenant, about, subject), wanted)

    async def load(self) -> None:
        """Read what was revoked, here and elsewhere."""
        now = self._now()
        whole = self._looked_at is None or self._looks % WHOLE_EVERY == 0
        # The clock of a database may go back, when another server takes its place.
        since = EPOCH if self._looked_at is None or whole else min(self._looked_at, now) - OVERLAP
        await self._read(since)
        self._looks += 1
        self._looked_at = now
        if whole:
            self._known = {key: each for key, each in self._known.items() if each.until > now}

    async def run(self) -> None:
        """Follow the other processes until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self.load()
            except Unavailable:
                logger.warning("revocations_wait_for_database")
            self._enforce()

    async def _read(self, since: datetime) -> None:
        """Learn what was changed after a moment, page by page."""
        after: Place | None = (since, "", "", "")
        while after is not None:
            rows = await self._database.read(partial(_page, after=after))
            for row in rows:
                # A newer version may name what this one does not know.
                if row.about in list(About):
                    found = Revocation(About(row.about), row.subject, row.issued_before, row.until)
                    self._known[row.tenant, found.about, found.subject] = found
            after = _place(rows[-1]) if len(rows) == PAGE else None

    def _covering(self, by: Principal) -> Revocation | None:
        if by.issued_at is None:
            return None
        if by.session is not None:
            revoked = self._known.get((by.tenant, About.SESSION, by.session))
            if revoked is not None:
                return revoked
        for user in (by.id, by.acting):
            revoked = self._known.get((by.tenant, About.USER, user or ""))
            if revoked is not None and by.issued_at < revoked.issued_before:
                return revoked
        return None

    def _enforce(self) -> None:
        if self._known:
            self.enforce(self.turns_out)


_REVOCATION: Final = table_of(RevocationRow)
_ORDER: Final = tuple(_REVOCATION.c[each] for each in ("changed_at", "tenant", "about", "subject"))


def _store(connection: Connection, by: Principal, wanted: Revocation, now: datetime) -> None:
    same = (
        (_REVOCATION.c.tenant == by.tenant)
        & (_REVOCATION.c.about == wanted.about)
        & (_REVOCATION.c.subject == wanted.subject)
    )
    before = connection.scalar(select(_REVOCATION.c.issued_before).where(same).with_for_update())
    row = {
        "issued_before": max(wanted.issued_before, before or wanted.issued_before),
        "until": wanted.until,
        "changed_at": now,
        "changed_by": by.id,
    }
    if before is not None:
        connection.execute(update(_REVOCATION).where(same).values(row))
    else:
        named = {"tenant": by.tenant, "about": wanted.about, "subject": wanted.subject}
        connection.execute(insert(_REVOCATION), {**named, **row})
    connection.execute(delete(_REVOCATION).where(_REVOCATION.c.until <= now))


def _place(row: Row[Any]) -> Place:
    return row.changed_at, row.tenant, row.about, row.subject


def _page(connection: Connection, after: Place) -> list[Row[Any]]:
    query = select(*_ORDER, _REVOCATION.c.issued_before, _REVOCATION.c.until)
    query = query.where(tuple_(*_ORDER) > after).order_by(*_ORDER).limit(PAGE)
    return list(connection.execute(query))


def _whole_second(at: datetime) -> datetime:
    return datetime.fromtimestamp(math.ceil(at.timestamp()), UTC)
