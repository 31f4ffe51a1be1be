"""The rows of the database.

Only the log, the tasks, the timers, the flags, the revocations and the uploads read and write them.
"""

from datetime import UTC, datetime

from sqlalchemy import BigInteger, DateTime, Dialect, Index, LargeBinary, UniqueConstraint
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel


class Instant(TypeDecorator[datetime]):
    """A point in time, aware and in UTC, also on SQLite, which forgets the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class CaseRow(SQLModel, table=True):
    """A case: the newest state of its room."""

    __tablename__ = "case_state"

    id: str = Field(primary_key=True)
    tenant: str
    patient_id: str
    patient_name: str
    opened_at: datetime = Field(sa_type=Instant)
    status: str
    control: str
    fence: int
    ai_fence: int
    owner_id: str | None = None
    owner_name: str | None = None
    owner_seen_at: datetime | None = Field(default=None, sa_type=Instant)
    """When the owner last had a connection; kept by the processes, not by events."""
    waiting_since: datetime | None = Field(default=None, sa_type=Instant)
    escalation: str | None = None
    red_flag: str | None = None
    run_id: str | None = None
    """The answer that is being written, or that ended before it was whole and may be given again:
    its own row tells which."""
    staff_seq: int = Field(sa_type=BigInteger)
    staff_tag: str
    patient_seq: int = Field(sa_type=BigInteger)
    patient_tag: str
    last_message_seq: int = Field(sa_type=BigInteger)
    last_message_by: str | None = None
    last_other_seq: int = Field(sa_type=BigInteger)
    last_message_at: datetime | None = Field(default=None, sa_type=Instant)
    preview: str
    unread: int
    reminders: int = Field(default=0, sa_column_kwargs={"server_default": "0"})

    __table_args__ = (
        Index("case_state_patient", "tenant", "patient_id"),
        Index("case_state_desk", "tenant", "status"),
        Index("case_state_owner", "owner_id"),
    )


class RunRow(SQLModel, table=True):
    """An answer of the AI; kept after its end, so that its readers can resume."""

    __tablename__ = "run"

    id: str = Field(primary_key=True)
    case_id: str
    fence: int
    state: str
    text: str
    ends: str
    """Where each piece of the text ends, as JSON."""
    message_id: str | None = None
    """The message that holds the answer, when it is over."""


class ReceiptRow(SQLModel, table=True):
    """The answer to a command that found everything so already, and wrote no event."""

    __tablename__ = "receipt"

    idempotency: str = Field(primary_key=True)
    """As in `EventRow`."""
    digest: str
    case_id: str
    seq: int = Field(sa_type=BigInteger)
    tag: str
    at: datetime = Field(sa_type=Instant)


class TaskRow(SQLModel, table=True):
    """Work that was promised in a commit; deleted when it is done."""

    __tablename__ = "task"

    id: str = Field(primary_key=True)
    kind: str
    case_id: str
    details: str
    """As JSON."""
    due: datetime = Field(sa_type=Instant)
    """When it may be claimed: at first, after a failure, or when the lease has ended."""
    attempts: int = 0
    """How often it was claimed."""
    holder: str | None = None
    """The process that works on it, for as long as its lease lasts."""
    dead: bool = False
    """It failed too often; an engineer must look."""

    __table_args__ = (Index("task_due", "dead", "due"),)


class FlagRow(SQLModel, table=True):
    """What a tenant has switched otherwise than the settings say."""

    __tablename__ = "flag"

    tenant: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    on: bool
    changed_at: datetime = Field(sa_type=Instant)
    changed_by: str


class RevocationRow(SQLModel, table=True):
    """Tokens that count no longer, although they have not expired."""

    __tablename__ = "revocation"

    tenant: str = Field(primary_key=True)
    about: str = Field(primary_key=True)
    """What is named: a user (`sub`) or a session (`sid`)."""
    subject: str = Field(primary_key=True)
    issued_before: datetime = Field(sa_type=Instant)
    until: datetime = Field(sa_type=Instant)
    """When it may be deleted: every such token has expired."""
    changed_at: datetime = Field(sa_type=Instant)
    changed_by: str

    __table_args__ = (Index("revocation_changed", "changed_at", "tenant", "about", "subject"),)


class EventRow(SQLModel, table=True):
    """An event of a case, with the frames that readers get of it."""

    __tablename__ = "event"

    case_id: str = Field(primary_key=True)
    staff_seq: int = Field(primary_key=True, sa_type=BigInteger)
    """As wide as the numbers that clients may ask for."""
    patient_seq: int | None = Field(default=None, sa_type=BigInteger)
    """None: patients do not see it."""
    id: str
    at: datetime = Field(sa_type=Instant)
    kind: str
    channel: str | None = None
    """Its channel in the timeline; None: it is not in the timeline."""
    idempotency: str | None = Field(default=None, unique=True)
    """Names the command that wrote it: who, in which case, by which key."""
    digest: str | None = None
    """Names the content of that command."""
    staff_frame: str
    patient_frame: str | None = None

    # No index on `id`: ids are random, so each insertion would touch a page of its own, and they
    # are only looked for within a case.
    __table_args__ = (UniqueConstraint("case_id", "patient_seq"),)


class PatientRow(SQLModel, table=True):
    """A registered patient."""

    __tablename__ = "patient"

    tenant: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    user_id: str | None = None
    """The `sub` of the patient's own tokens."""
    name: str
    registered_at: datetime = Field(sa_type=Instant)

    __table_args__ = (UniqueConstraint("tenant", "user_id"),)


class UploadRow(SQLModel, table=True):
    """A file that somebody sends, without its content."""

    __tablename__ = "upload"

    id: str = Field(primary_key=True)
    tenant: str
    case_id: str
    sender: str
    name: str
    content_type: str
    size: int = Field(default=0, sa_type=BigInteger)
    sha256: str | None = None
    created_at: datetime = Field(sa_type=Instant)
    stored_at: datetime | None = Field(default=None, sa_type=Instant)
    """When its content was complete; until then nobody can tell that it is there."""
    confirmed_at: datetime | None = Field(default=None, sa_type=Instant)
    """When it became a part of the case."""
    idempotency: str | None = Field(default=None, unique=True)
    """Names the request that brought it: who, in which case, by which key."""
    digest: str | None = None
    """Names what that request held."""

    __table_args__ = (Index("upload_expiry", "confirmed_at", "created_at"),)


class UploadPartRow(SQLModel, table=True):
    """A piece of the content of a file, small enough to be written between two messages."""

    __tablename__ = "upload_part"

    upload_id: str = Field(primary_key=True, foreign_key="upload.id", ondelete="CASCADE")
    number: int = Field(primary_key=True)
    """From 0."""
    content: bytes = Field(sa_type=LargeBinary)
