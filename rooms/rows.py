"""Between rows and the values of the core."""

from typing import Any, Final

from sqlalchemy import Row
from sqlmodel import SQLModel

from rooms.core import RoomState
from rooms.cursor import Cursor
from rooms.encoding import Record
from rooms.events import Audience, Control, Envelope, Message, Source, Status
from rooms.tables import CaseRow


def table_of(row: type[SQLModel]) -> Any:
    return row.__table__  # type: ignore[attr-defined]


CASE_COLUMNS: Final = tuple(table_of(CaseRow).columns)


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


def channel_of(envelope: Envelope) -> str | None:
    """Name the channel of an event in the timeline, in the words of the timeline."""
    if envelope.event.kind == "note":
        return "internal_note"
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
        **state_row(state),
    }


def state_row(state: RoomState) -> dict[str, Any]:
    """Give the columns of a case that events change."""
    return {
        "status": state.status.value,
        "control": state.control.value,
        "owner_id": state.owner_id,
        "owner_name": state.owner_name,
        "staff_seq": state.staff.seq,
        "staff_tag": state.staff.tag,
        "patient_seq": state.patient.seq,
        "patient_tag": state.patient.tag,
        "last_message_seq": state.last_message_seq,
        "last_message_by": state.last_message_by,
        "last_other_seq": state.last_other_seq,
        "last_message_at": state.last_message_at,
    }


def state_of(row: Row[Any]) -> RoomState:
    return RoomState(
        case=row.id,
        tenant=row.tenant,
        patient_id=row.patient_id,
        patient_name=row.patient_name,
        status=Status(row.status),
        control=Control(row.control),
        owner_id=row.owner_id,
        owner_name=row.owner_name,
        staff=Cursor(row.staff_seq, row.staff_tag),
        patient=Cursor(row.patient_seq, row.patient_tag),
        last_message_seq=row.last_message_seq,
        last_message_by=row.last_message_by,
        last_other_seq=row.last_other_seq,
        last_message_at=row.last_message_at,
    )
