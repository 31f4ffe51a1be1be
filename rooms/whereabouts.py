"""What the log knows of one event, for whoever asks what became of it."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, func, select
from sqlmodel import col

from rooms.database import Database
from rooms.errors import Unavailable
from rooms.rows import table_of
from rooms.tables import CaseRow, EventRow, TaskRow

EVENTS: Final = 20_000
"""Most events that the first transaction looks at, unless one case has more."""
MOST_EVENTS: Final = 500_000
"""The same for a later one; each looks at up to four times as many as the one before."""
CASES: Final = 2_000
"""Most cases that one transaction looks at."""
SEARCH_S: Final = 4.0
"""Seconds in which an event is looked for in all cases of its tenant."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """An event and where it stands."""

    case: str
    id: str
    kind: str
    at: datetime
    staff_seq: int
    patient_seq: int | None
    """None: patients do not see it."""
    actor: dict[str, Any]
    """Who did it: the type and the id, without a name."""
    run: str | None
    """The answer of the AI that it is the text of."""
    tasks: list[dict[str, Any]]
    """What is still promised in this case."""


async def whereabouts(
    database: Database, tenant: str, id: str, case: str | None = None
) -> Whereabouts | None:
    """Find an event of a tenant by its id, which no index knows.

    Without its case it is looked for in all, the newest first, in steps that hold nobody up.

    Raises:
        Unavailable: the database does not answer, or there are too many cases.

    """
    if case is not None:
        return await database.read(lambda connection: _find(connection, tenant, id, [case]))
    try:
        async with asyncio.timeout(SEARCH_S):
            return await _search(database, tenant, id)
    except TimeoutError:
        message = f"The event was not found within {SEARCH_S:.0f} s. Name its case."
        raise Unavailable(message) from None


async def _search(database: Database, tenant: str, id: str) -> Whereabouts | None:
    cases = await database.read(lambda connection: _cases(connection, tenant))
    for some in _portions(cases):
        found = await database.read(lambda connection: _find(connection, tenant, id, some))  # noqa: B023 - awaited at once
        if found is not None:
            return found
    return None


def _cases(connection: Connection, tenant: str) -> list[tuple[str, int]]:
    """Give the cases of a tenant, each with how many events it has."""
    newest = func.coalesce(col(CaseRow.last_message_at), col(CaseRow.opened_at)).desc()
    query = select(col(CaseRow.id), col(CaseRow.staff_seq)).where(col(CaseRow.tenant) == tenant)
    # PostgreSQL is spoken to on the event loop, which goes on between two parts of the answer.
    rows = connection.execute(query.order_by(newest), execution_options={"yield_per": CASES})
    return [(row.id, row.staff_seq) for row in rows]


def _portions(cases: Sequence[tuple[str, int]]) -> Iterator[list[str]]:
    portion: list[str] = []
    size, most = 0, EVENTS
    for case, events in cases:
        if portion and (size + events > most or len(portion) == CASES):
            yield portion
            portion, size, most = [], 0, min(4 * most, MOST_EVENTS)
        portion.append(case)
        size += events
    if portion:
        yield portion


def _find(connection: Connection, tenant: str, id: str, cases: Sequence[str]) -> Whereabouts | None:
    query = (
        select(table_of(EventRow))
        .join(table_of(CaseRow), col(CaseRow.id) == col(EventRow.case_id))
        .where(
            col(EventRow.case_id).in_(cases), col(EventRow.id) == id, col(CaseRow.tenant) == tenant
        )
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    frame = json.loads(row.staff_frame)
    actor = {name: frame["actor"].get(name) for name in ("type", "id")}
    run = frame["data"].get("run")
    tasks = _tasks(connection, row.case_id)
    return Whereabouts(
        row.case_id, id, row.kind, row.at, row.staff_seq, row.patient_seq, actor, run, tasks
    )


def _tasks(connection: Connection, case: str) -> list[dict[str, Any]]:
    query = select(table_of(TaskRow)).where(col(TaskRow.case_id) == case)
    return [
        {
            "id": row.id,
            "kind": row.kind,
            "due": row.due.isoformat(),
            "attempts": row.attempts,
            "holder": row.holder,
            "dead": row.dead,
        }
        for row in connection.execute(query)
    ]
