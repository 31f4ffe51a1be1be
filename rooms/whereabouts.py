"""What the log knows of one event, for whoever asks what became of it."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select
from sqlmodel import col

from rooms.database import Database
from rooms.rows import table_of
from rooms.tables import CaseRow, EventRow, TaskRow


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
    """Find an event of a tenant by its id; without its case every event must be looked at.

    Raises:
        Unavailable: the database does not answer, or not in time.

    """
    return await database.read(lambda connection: _find(connection, tenant, id, case))


def _find(connection: Connection, tenant: str, id: str, case: str | None) -> Whereabouts | None:
    query = (
        select(table_of(EventRow))
        .join(table_of(CaseRow), col(CaseRow.id) == col(EventRow.case_id))
        .where(col(EventRow.id) == id, col(CaseRow.tenant) == tenant)
    )
    if case is not None:
        query = query.where(col(EventRow.case_id) == case)
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
