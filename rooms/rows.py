"""Between rows and the values of the core."""

import json
from collections.abc import Collection
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, TypeVar

import structlog
from sqlalchemy import Row, Select, select
from sqlmodel import SQLModel

from rooms.cursor import Cursor
from rooms.encoding import Record
from rooms.errors import Unavailable
from rooms.events import Audience, Control, Envelope, Message, Source, Status
from rooms.state import RoomState, Run, RunState, Task
from rooms.tables import CaseRow, RunRow

logger = structlog.get_logger()

Word = TypeVar("Word", bound=StrEnum)


def table_of(row: type[SQLModel]) -> Any:
    return row.__table__  # type: ignore[attr-defined]


def states() -> Select[Any]:
    """Select the states of rooms, each with its newest answer if that may matter."""
    case, run = table_of(CaseRow), table_of(RunRow)
    joined = case.outerjoin(run, case.c.run_id == run.c.id)
    return select(*case.columns, *_run_columns()).select_from(joined)


def runs(ids: Collection[str]) -> Select[Any]:
    """Select answers, to be read by `case_of`."""
    id = table_of(RunRow).c.id
    return select(id.label("run_id"), *_run_columns()).where(id.in_(ids))


def event_row(
    envelope: Envelope, records: dict[Audience, Record], name: str | None, digest: str | None
) -> dict[str, Any]:
    """Give the row of an event, with the command that it answers, if it answers one."""
    patient = records.get(Audience.PATIENT)
    return {
        "case_id": envelope.case,
        "staff_seq": envelope.cursors[Audience.STAFF].seq,
        "patient_seq": None if patient is None else patient.cursor.seq,
        "id": envelope.id,
        "at": envelope.at,
        "kind": envelope.event.kind,
        "channel": channel_of(envelope),
        "idempotency": name,
        "digest": digest,
        "staff_frame": records[Audience.STAFF].frame,
        "patient_frame": None if patient is None else patient.frame,
    }


_CHANNELS: Final = MappingProxyType({"note": "internal_note", "call": "phone_call"})
"""The kinds of event that are a channel of their own."""


def channel_of(envelope: Envelope) -> str | None:
    """Name the channel of an event in the timeline, in the words of the timeline."""
    kind = envelope.event.kind
    if kind in _CHANNELS:
        return _CHANNELS[kind]
    payload = envelope.event.payload
    if not isinstance(payload, Message):
        return None
    return "phone_call" if payload.source is Source.PHONE else payload.source.value


def case_row(state: RoomState) -> dict[str, Any]:
    return {
        "id": state.case,
        "tenant": state.tenant,
        "patient_id": state.patient_id,
        "patient_name": state.patient_name,
        "opened_at": state.opened_at,
        **state_row(state),
    }


def state_row(state: RoomState) -> dict[str, Any]:
    """Give the columns of a case that events change."""
    return {
        "status": state.status.value,
        "control": state.control.value,
        "fence": state.fence,
        "ai_fence": state.ai_fence,
        "owner_id": state.owner_id,
        "owner_name": state.owner_name,
        "waiting_since": state.waiting_since,
        "escalation": state.escalation,
        "red_flag": state.red_flag,
        "reminders": state.reminders,
        "run_id": state.unfinished if state.run is None else state.run.id,
        "staff_seq": state.staff.seq,
        "staff_tag": state.staff.tag,
        "patient_seq": state.patient.seq,
        "patient_tag": state.patient.tag,
        "last_message_seq": state.last_message_seq,
        "last_message_by": state.last_message_by,
        "last_other_seq": state.last_other_seq,
        "last_message_at": state.last_message_at,
        "preview": state.preview,
        "unread": state.unread,
    }


def run_row(case: str, run: Run, state: str, message_id: str | None) -> dict[str, Any]:
    return {
        "id": run.id,
        "case_id": case,
        "fence": run.fence,
        "state": state,
        "text": run.text,
        "ends": json.dumps(run.ends),
        "message_id": message_id,
    }


def task_row(id: str, task: Task) -> dict[str, Any]:
    return {
        "id": id,
        "kind": task.kind,
        "case_id": task.case,
        "details": json.dumps(task.details),
        "due": task.due,
        "attempts": 0,
        "holder": None,
        "dead": False,
    }


def known(words: type[Word], word: str, case: str) -> Word:
    """Read a word that decides what may happen in a case.

    Raises:
        Unavailable: a newer version wrote it. To guess what it allows could let the AI speak where
            a person leads.

    """
    try:
        return words(word)
    except ValueError:
        logger.warning("state_unknown", case=case, word=word, of=words.__name__)
        raise Unavailable("A newer version of the hub leads this case. Try again.") from None


def state_of(row: Row[Any]) -> RoomState:
    """Read a row of `states`.

    Raises:
        Unavailable: a newer version wrote what this one does not know.

    """
    return case_of(row, None if row.run_state is None else row)


def case_of(row: Row[Any], answer: Row[Any] | None) -> RoomState:
    """Read the row of a case, with that of the answer which it names, if it names one.

    Raises:
        Unavailable: a newer version wrote what this one does not know.

    """
    over = answer is not None and known(RunState, answer.run_state, row.id).over
    return RoomState(
        case=row.id,
        tenant=row.tenant,
        patient_id=row.patient_id,
        patient_name=row.patient_name,
        opened_at=row.opened_at,
        status=known(Status, row.status, row.id),
        control=known(Control, row.control, row.id),
        fence=row.fence,
        ai_fence=row.ai_fence,
        owner_id=row.owner_id,
        owner_name=row.owner_name,
        waiting_since=row.waiting_since,
        escalation=row.escalation,
        red_flag=row.red_flag,
        reminders=row.reminders,
        run=None if answer is None or over else _run_of(answer),
        unfinished=row.run_id if over else None,
        staff=Cursor(row.staff_seq, row.staff_tag),
        patient=Cursor(row.patient_seq, row.patient_tag),
        last_message_seq=row.last_message_seq,
        last_message_by=row.last_message_by,
        last_other_seq=row.last_other_seq,
        last_message_at=row.last_message_at,
        preview=row.preview,
        unread=row.unread,
    )


def _run_of(row: Row[Any]) -> Run:
    return Run(row.run_id, row.run_fence, row.run_text, tuple(json.loads(row.run_ends)))


def _run_columns() -> list[Any]:
    run = table_of(RunRow).c
    return [getattr(run, name).label(f"run_{name}") for name in ("fence", "state", "text", "ends")]
