"""Reading the log: the views of its two audiences.

Invariant: whoever continues after a cursor is told when that cursor does not stand in this log.
"""

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, bindparam, select
from sqlmodel import col

from auth.principal import Principal
from rooms.cursor import START, Cursor, tag_of
from rooms.database import Database
from rooms.encoding import Record
from rooms.errors import CursorLost, ResetReason, Unavailable
from rooms.events import SHUT, Audience
from rooms.rows import known, state_of, states, table_of
from rooms.state import Answer, RoomState, Run, RunState, may_enter
from rooms.tables import CaseRow, EventRow, PatientRow, RunRow

PAGE: Final = 100
"""Events read at once when a reader catches up."""
READ_BYTES: Final = 1_048_576
"""Bytes of events after which a read ends, with fewer than it was asked for."""


_IS_OPEN: Final = col(CaseRow.status).not_in([status.value for status in SHUT])


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """An event of the timeline: its channel and its `event` frame."""

    channel: str
    frame: str


@dataclass(frozen=True, slots=True)
class Entrance:
    """What whoever enters a room needs to know, all of one moment."""

    state: RoomState | None
    """None: there is no such case, or no right to it."""
    start: Cursor
    """After which event the reader begins."""
    reset: ResetReason | None
    """Why its own cursor does not stand in this log, if it does not."""


class LogReads:
    """The reading half of the log; every method raises `Unavailable` if it cannot be read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def state(self, case: str) -> RoomState | None:
        """Give the newest state of a case, or None if there is no such case."""
        return await self._database.read(lambda connection: _state(connection, case))

    async def entrance(
        self, case: str, by: Principal, audience: Audience, after: Cursor | None, tail: int
    ) -> Entrance:
        """Find where a reader begins: at its cursor, or else at the last `tail` events."""

        def work(connection: Connection) -> Entrance:
            state = _state(connection, case)
            # The same work for a case that is not theirs as for one that does not exist.
            if state is None or not may_enter(state, by):
                return Entrance(None, START, None)
            return _entrance(connection, state, audience, after, tail)

        return await self._database.read(work)

    async def heads(self, cases: Sequence[str]) -> dict[str, dict[Audience, Cursor]]:
        """Give the last cursor of each audience, for each of the cases that exists."""
        return await self._database.read(lambda connection: _heads(connection, cases))

    async def read(
        self, case: str, audience: Audience, after: Cursor, limit: int = PAGE, kind: str = ""
    ) -> list[Record]:
        """Read the next events of the audience's view, in order, at most `limit`.

        Raises:
            CursorLost: `after` does not stand in this log.

        """
        view = _VIEWS[audience]
        query = _view(case, audience).where(view.seq > after.seq).order_by(view.seq).limit(limit)
        if kind:
            query = query.where(col(EventRow.kind) == kind)

        def work(connection: Connection) -> list[Record]:
            _verify(connection, case, audience, after)
            return _records(case, audience, after, _within(connection.execute(query), 3))

        return await self._database.read(work)

    async def read_before(
        self, case: str, audience: Audience, before: int | None, limit: int
    ) -> list[Record]:
        """Read the last events below the `seq` `before` (None: of all), in order."""
        view = _VIEWS[audience]
        query = _view(case, audience).order_by(view.seq.desc()).limit(limit)
        if before is not None:
            query = query.where(view.seq < before)
        rows = await self._database.read(lambda connection: _within(connection.execute(query), 3))
        return _records(case, audience, START, rows[::-1])

    async def cursor_at(self, case: str, audience: Audience, seq: int) -> Cursor | None:
        """Give the cursor of the event at `seq` of the audience's view; None: there is none."""
        return await self._database.read(
            lambda connection: _cursor_at(connection, case, audience, seq)
        )

    async def staff_seq(self, case: str, patient_seq: int) -> int | None:
        """Translate a `seq` of the patient's view to the staff's."""
        query = select(col(EventRow.staff_seq)).where(
            col(EventRow.case_id) == case, col(EventRow.patient_seq) == patient_seq
        )
        row = await self._first(query)
        return None if row is None else int(row[0])

    async def has_message(self, case: str, audience: Audience, message_id: str) -> bool:
        """Tell whether the audience can see a message of this id in the case."""
        query = _view(case, audience).where(
            col(EventRow.id) == message_id, col(EventRow.kind) == "message"
        )
        return await self._first(query) is not None

    async def answer(self, case: str, run: str) -> Answer | None:
        """Give an answer of the AI, whether it is over or not; None: there is none of this id."""
        table = table_of(RunRow)
        query = select(table).where(table.c.id == run, table.c.case_id == case)
        row = await self._first(query)
        if row is None:
            return None
        ends = tuple(json.loads(row.ends))
        state = known(RunState, row.state, case)
        return Answer(Run(row.id, row.fence, row.text, ends), state, row.message_id)

    async def newest_case(self, tenant: str, patient: str) -> str | None:
        """Give the case of a patient that was opened last and is not closed."""
        query = (
            select(col(CaseRow.id))
            .where(
                col(CaseRow.tenant) == tenant,
                col(CaseRow.patient_id) == patient,
                _IS_OPEN,
            )
            .order_by(col(CaseRow.opened_at).desc(), col(CaseRow.id))
            .limit(1)
        )
        row = await self._first(query)
        return None if row is None else str(row[0])

    async def cases_of(self, tenant: str, patient: str) -> list[str]:
        """Give all the cases of a patient, the one that was opened last at the front."""
        query = (
            select(col(CaseRow.id))
            .where(col(CaseRow.tenant) == tenant, col(CaseRow.patient_id) == patient)
            .order_by(col(CaseRow.opened_at).desc(), col(CaseRow.id))
        )
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return [str(row[0]) for row in rows]

    async def patient_name(self, tenant: str, patient: str) -> str | None:
        """Give the name of a registered patient."""
        query = select(col(PatientRow.name)).where(
            col(PatientRow.tenant) == tenant, col(PatientRow.id) == patient
        )
        row = await self._first(query)
        return None if row is None else str(row[0])

    async def open_cases(self, tenants: Sequence[str]) -> list[RoomState]:
        """Give the states of all cases of these tenants that are not closed."""
        query = states().where(
            col(CaseRow.tenant).in_(tenants),
            _IS_OPEN,
        )
        return await self._states(query)

    async def states_of(self, cases: Sequence[str]) -> list[RoomState]:
        """Give the states of those of these cases that exist, 500 at most."""
        return await self._states(states().where(col(CaseRow.id).in_(cases)))

    async def briefs(self, case: str) -> dict[str, str]:
        """Give what the AI was told by whoever released the case, by the id of the event."""
        query = select(col(EventRow.id), col(EventRow.staff_frame)).where(
            col(EventRow.case_id) == case, col(EventRow.kind) == "control"
        )
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        briefs = {row[0]: json.loads(row[1])["data"].get("brief") for row in rows}
        return {id: brief for id, brief in briefs.items() if brief is not None}

    async def timeline(
        self, case: str, audience: Audience, channels: Sequence[str], before: int | None, limit: int
    ) -> list[TimelineEntry]:
        """Read events of these channels (none named: of all), the newest first."""
        view = _VIEWS[audience]
        channel = col(EventRow.channel)
        query = (
            select(channel, view.frame)
            .where(col(EventRow.case_id) == case, view.seq.is_not(None), channel.is_not(None))
            .order_by(view.seq.desc())
            .limit(limit)
        )
        if channels:
            query = query.where(channel.in_(channels))
        if before is not None:
            query = query.where(view.seq < before)
        rows = await self._database.read(lambda connection: _within(connection.execute(query), 1))
        return [TimelineEntry(row[0], row[1]) for row in rows]

    async def patient_of(self, tenant: str, user_id: str) -> str | None:
        """Give the id of the patient whose own user this is."""
        query = select(col(PatientRow.id)).where(
            col(PatientRow.tenant) == tenant, col(PatientRow.user_id) == user_id
        )
        row = await self._first(query)
        return None if row is None else str(row[0])

    async def _states(self, query: Select[Any]) -> list[RoomState]:
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        states = []
        for row in rows:
            # A case that only a newer version can read hides no other one.
            with suppress(Unavailable):
                states.append(state_of(row))
        return states

    async def _first(self, query: Select[Any]) -> Row[Any] | None:
        return await self._database.read(lambda connection: connection.execute(query).first())


@dataclass(frozen=True, slots=True)
class _View:
    """The columns of one audience."""

    seq: Any
    frame: Any


_VIEWS: Final = {
    Audience.STAFF: _View(col(EventRow.staff_seq), col(EventRow.staff_frame)),
    Audience.PATIENT: _View(col(EventRow.patient_seq), col(EventRow.patient_frame)),
}


_STATE: Final = states().where(col(CaseRow.id) == bindparam("case"))
_IDS: Final = {
    audience: select(col(EventRow.id)).where(
        col(EventRow.case_id) == bindparam("case"), view.seq == bindparam("seq")
    )
    for audience, view in _VIEWS.items()
}


def _view(case: str, audience: Audience) -> Select[Any]:
    view = _VIEWS[audience]
    return select(col(EventRow.id), col(EventRow.kind), view.seq, view.frame).where(
        col(EventRow.case_id) == case, view.seq.is_not(None)
    )


def _state(connection: Connection, case: str) -> RoomState | None:
    row = connection.execute(_STATE, {"case": case}).first()
    return None if row is None else state_of(row)


def _entrance(
    connection: Connection, state: RoomState, audience: Audience, after: Cursor | None, tail: int
) -> Entrance:
    reset = None
    if after is not None:
        try:
            _verify(connection, state.case, audience, after)
            return Entrance(state, after, None)
        except CursorLost as lost:
            reset = lost.reason
    first = max(state.head(audience).seq - tail, 0)
    start = _cursor_at(connection, state.case, audience, first) or START
    return Entrance(state, start, reset)


def _heads(connection: Connection, cases: Sequence[str]) -> dict[str, dict[Audience, Cursor]]:
    heads = {}
    for start in range(0, len(cases), 500):
        query = select(
            col(CaseRow.id),
            col(CaseRow.staff_seq),
            col(CaseRow.staff_tag),
            col(CaseRow.patient_seq),
            col(CaseRow.patient_tag),
        ).where(col(CaseRow.id).in_(cases[start : start + 500]))
        for row in connection.execute(query):
            heads[row[0]] = {
                Audience.STAFF: Cursor(row[1], row[2]),
                Audience.PATIENT: Cursor(row[3], row[4]),
            }
    return heads


def _verify(connection: Connection, case: str, audience: Audience, cursor: Cursor) -> None:
    found = _cursor_at(connection, case, audience, cursor.seq)
    if found is None:
        raise CursorLost(ResetReason.AHEAD)
    if found != cursor:
        raise CursorLost(ResetReason.MISMATCH)


def _cursor_at(connection: Connection, case: str, audience: Audience, seq: int) -> Cursor | None:
    if seq == 0:
        return START
    row = connection.execute(_IDS[audience], {"case": case, "seq": seq}).first()
    return None if row is None else Cursor(seq, tag_of(row[0]))


def _within(rows: Iterable[Any], frame: int) -> list[Any]:
    """Take rows until their frames are `READ_BYTES` together."""
    taken = []
    size = 0
    for row in rows:
        taken.append(row)
        size += len(row[frame])
        if size > READ_BYTES:
            break
    return taken


def _records(case: str, audience: Audience, after: Cursor, rows: Sequence[Any]) -> list[Record]:
    records = []
    previous = after
    for row in rows:
        cursor = Cursor(row[2], tag_of(row[0]))
        records.append(Record(case, audience, cursor, previous, row[1], row[3]))
        previous = cursor
    return records
