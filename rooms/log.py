"""The log: the durable, ordered events of every room.

Invariant: a receipt is given after the commit that made it durable, and hints ring after it too.
What is not in the log did not happen.
"""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import structlog
from pydantic import ValidationError
from sqlalchemy import ColumnElement, Connection, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from auth.principal import Principal
from rooms import core
from rooms.broker import Hint
from rooms.commands import (
    Accept,
    Command,
    ConfirmUpload,
    Continue,
    Escalate,
    MarkRead,
    Opening,
    RegisterPatient,
    Retry,
    Stop,
    digest,
)
from rooms.cursor import Cursor, tag_of
from rooms.database import Database
from rooms.encoding import Record, event_json, run_signals
from rooms.errors import Code, Malformed, Rejected, RoomError, Unavailable, forbidden
from rooms.events import Audience, Envelope, Event
from rooms.lane import Lane
from rooms.reads import LogReads
from rooms.rows import (
    case_of,
    case_row,
    event_row,
    run_row,
    runs,
    state_row,
    table_of,
    task_row,
)
from rooms.state import (
    Alarm,
    Decision,
    Policy,
    Progress,
    RoomState,
    RunState,
    Seen,
    Task,
    Terms,
    Upload,
    advance,
    audience_of,
    evolve,
    may_enter,
    number,
    opened,
)
from rooms.tables import CaseRow, EventRow, PatientRow, ReceiptRow, RunRow, TaskRow
from rooms.uploads import confirm_uploads, lock_uploads

logger = structlog.get_logger()

PLAIN: Final = Policy()
STORE_WITHIN: Final = 2.0
"""Seconds after which whoever gave a command is told to try again, whatever the database does."""

UNEVENTFUL: Final = (Accept, ConfirmUpload, Escalate, Retry, Stop)
"""Commands that may write no event: because all is so already, or because what they begin will."""
UNKEYED: Final = (Continue, MarkRead)
"""Commands that are harmless when they are repeated: no key of theirs is kept or looked for."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a command: the event that answers its author, in the author's numbering."""

    case: str
    id: str | None
    """None: everything was so already; then the cursor is the head of the author's view."""
    cursor: Cursor
    at: datetime
    dup: bool = False


@dataclass(slots=True)
class _Job:
    """A command that waits for its commit."""

    case: str
    command: Command
    by: Principal
    key: str
    echo: bool
    policy: Policy
    alarm: Alarm | None
    answer: asyncio.Future[Receipt]
    digest: str = field(init=False)
    """Names the content of the command."""
    name: str = field(init=False)
    """Names the command itself: who gave it, in which case, by which key."""
    given_up: bool = False
    """Its author was told to try again: by then it may not be what they want."""

    def __post_init__(self) -> None:
        self.digest = digest(self.command)
        # A new case has no id yet that a retry could repeat: there the tenant is the scope.
        opening = isinstance(self.command, Opening)
        self.name = _name(self.by.tenant if opening else self.case, self.by, self.key, opening)

    def refuse(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)

    def accept(self, receipt: Receipt) -> None:
        if not self.answer.done():
            self.answer.set_result(receipt)


def _upload(job: _Job) -> str:
    """Name the file that a command is about; empty: about none."""
    return job.command.upload if isinstance(job.command, ConfirmUpload) else ""


def _name(scope: str, by: Principal, key: str, opening: bool = False) -> str:
    parts = f"{opening:d}\0{scope}\0{audience_of(by)}\0{by.id}\0{key}"
    return hashlib.sha256(parts.encode()).hexdigest()[:32]


@dataclass(slots=True)
class _Batch:
    """What one transaction is about to write."""

    states: dict[str, RoomState]
    unreadable: dict[str, Unavailable]
    """The cases in which only a newer version can decide."""
    receipts: dict[str, tuple[str, Receipt]]
    """By name of the command: the digest of its content, and its receipt."""
    registered: set[str]
    """The names of the commands whose patient is registered already."""
    uploads: dict[str, Upload]
    """The files that are to be confirmed."""
    patients: list[dict[str, Any]] = field(default_factory=list)
    opened: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    changed: set[str] = field(default_factory=set)
    """The cases whose state is new."""
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The answers of the AI that are new, or have new text."""
    begun: set[str] = field(default_factory=set)
    """Those that are new."""
    uneventful: list[dict[str, Any]] = field(default_factory=list)
    """The receipts of commands that wrote no event."""
    confirmed: dict[str, datetime] = field(default_factory=dict)
    """The files that were confirmed, and when."""
    tasks: list[Task] = field(default_factory=list)
    hints: list[Hint] = field(default_factory=list)
    """What readers are told after the commit, in order."""
    answers: list[tuple[_Job, Receipt]] = field(default_factory=list)
    refusals: list[tuple[_Job, RoomError]] = field(default_factory=list)

    def repeat(self, job: _Job) -> Receipt | None:
        """Give the first receipt of a command that was given before."""
        if isinstance(job.command, UNKEYED) or job.name not in self.receipts:
            return None
        content, receipt = self.receipts[job.name]
        if content != job.digest:
            raise Rejected(
                Code.KEY_REUSED,
                "This key was used for something else. Make a new key for each new command.",
            )
        state = self.states.get(receipt.case)
        # Whoever registers gets the right to the case by that very command.
        opening = isinstance(job.command, Opening)
        if state is not None and not opening and not may_enter(state, job.by):
            raise forbidden()
        return replace(receipt, dup=True)

    def keep(self, job: _Job, receipt: Receipt) -> None:
        """Keep a receipt for whoever sends the same key again."""
        if receipt.id is not None:
            self.receipts[job.name] = (job.digest, receipt)
        elif job.echo and isinstance(job.command, UNEVENTFUL):
            self.receipts[job.name] = (job.digest, receipt)
            row = {"idempotency": job.name, "digest": job.digest, "case_id": receipt.case}
            cursor = {"seq": receipt.cursor.seq, "tag": receipt.cursor.tag}
            self.uneventful.append({**row, **cursor, "at": receipt.at})

    def add(self, envelope: Envelope, job: _Job, answers: bool) -> None:
        key = job.key if answers and job.echo else None
        records = {
            audience: Record(
                case=envelope.case,
                audience=audience,
                cursor=cursor,
                previous=envelope.previous[audience],
                kind=envelope.event.kind,
                frame=event_json(envelope, audience, key, by_patient=not job.by.is_staff),
            )
            for audience, cursor in envelope.cursors.items()
        }
        self.hints.extend(records.values())
        name, content = (job.name, job.digest) if answers else (None, None)
        self.events.append(event_row(envelope, records, name, content))

    def step(self, before: RoomState, after: RoomState, step: Progress) -> None:
        """Keep a step of an answer: its text as far as it is, and its state."""
        self.hints.extend(run_signals(before.case, step))
        run = after.run or before.run
        assert run is not None  # noqa: S101 - a step begins a run or belongs to one
        if step.state is RunState.THINKING:
            self.begun.add(run.id)
        self.runs[run.id] = run_row(before.case, run, step.state.value, step.message_id)


class Log(LogReads):
    """Appends and reads events; the same class serves SQLite and PostgreSQL."""

    def __init__(
        self,
        database: Database,
        *,
        now: Callable[[], datetime],
        new_id: Callable[[str], str],
        committed: Callable[[Sequence[Hint]], None],
        promised: Callable[[], None] = lambda: None,
    ) -> None:
        """Make a log.

        `committed` is told of each commit's hints before any receipt is given, and `promised` of a
        commit that has tasks.
        """
        super().__init__(database)
        self._now = now
        self._new_id = new_id
        self._committed = committed
        self._promised = promised
        self._lane = Lane(self._write_those_awaited)
        self._giving_up: asyncio.TimerHandle

    async def run(self) -> None:
        """Write what is appended until cancelled."""
        await self._lane.run()

    async def idle(self) -> None:
        """Return when everything that was appended has its answer."""
        await self._lane.idle()

    async def append(
        self,
        case: str,
        command: Command,
        by: Principal,
        key: str,
        *,
        echo: bool = True,
        policy: Policy = PLAIN,
        alarm: Alarm | None = None,
    ) -> Receipt:
        """Let the command happen, and return when what it did is durable.

        Raises:
            Rejected: a rule of the room forbids it, or `key` was used for something else.
            Unavailable: it is not known to be stored; the same key may be sent again.

        """
        answer: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        job = _Job(case, command, by, key, echo, policy, alarm, answer)
        if not self._lane.put(job):
            raise Unavailable("Too much waits to be stored. Try again in a moment.")
        return await job.answer

    async def written_to(self, cases: Sequence[str], by: Principal, key: str) -> str | None:
        """Give the one of these cases in which `by` has used the key, if there is one."""
        names = [_name(case, by, key) for case in cases]
        query = select(col(EventRow.case_id)).where(col(EventRow.idempotency).in_(names))
        row = await self._first(query)
        return None if row is None else str(row[0])

    async def _write_those_awaited(self, jobs: list[_Job]) -> None:
        awaited = [job for job in jobs if not job.given_up]
        if not awaited:
            return
        self._give_up_later(awaited)
        try:
            await self._write(awaited)
        finally:
            self._giving_up.cancel()

    def _give_up_later(self, jobs: list[_Job]) -> None:
        # One timer for a batch: what waits for each command would be paid for each.
        loop = asyncio.get_running_loop()
        self._giving_up = loop.call_later(STORE_WITHIN, self._give_up, jobs)

    def _give_up(self, jobs: list[_Job]) -> None:
        """Tell the authors of a batch that hangs to try again, and all who wait behind it."""
        waiting = [job for job in (*jobs, *self._lane.waiting) if not job.given_up]
        for job in waiting:
            job.given_up = True
            job.refuse(Unavailable())
        cause = f"a transaction takes longer than {STORE_WITHIN} s"
        logger.warning("append_unavailable", commands=len(waiting), cause=cause)
        self._give_up_later(jobs)

    async def _write(self, jobs: list[_Job], *, again: bool = False) -> None:
        try:
            batch = await self._database.write(lambda connection: self._commit(connection, jobs))
        except Unavailable as error:
            logger.warning("append_unavailable", commands=len(jobs), cause=str(error.__cause__))
            for job in jobs:
                job.refuse(error)
        except Exception as error:
            # One bad apple must not spoil what other rooms wrote in the same moment. An
            # IntegrityError means that another process took a number or a name first: on the
            # next try its row is there to be seen.
            conflict = isinstance(error, IntegrityError)
            if not again and (conflict or len(jobs) > 1):
                for job in jobs:
                    await self._write([job], again=True)
                return
            logger.exception("append_failed", case=jobs[0].case, conflict=conflict)
            jobs[0].refuse(Unavailable() if conflict else error)
        else:
            self._committed(batch.hints)
            if batch.tasks:
                self._promised()
            for job, receipt in batch.answers:
                job.accept(receipt)
            for job, refusal in batch.refusals:
                job.refuse(refusal)

    def _commit(self, connection: Connection, jobs: list[_Job]) -> _Batch:
        states, unreadable = _locked(connection, {job.case for job in jobs})
        # Before the receipts: whoever sees a patient that another process has just registered
        # must also see the receipt for it.
        registered = _registered(connection, jobs)
        uploads = lock_uploads(connection, {upload for job in jobs if (upload := _upload(job))})
        batch = _Batch(states, unreadable, _receipts(connection, jobs), registered, uploads)
        for job in jobs:
            try:
                self._append(batch, job)
            except RoomError as error:
                batch.refusals.append((job, error))
        _store(connection, batch, [task_row(self._new_id("task"), task) for task in batch.tasks])
        return batch

    def _append(self, batch: _Batch, job: _Job) -> None:
        if job.case in batch.unreadable:
            raise batch.unreadable[job.case]
        receipt = batch.repeat(job)
        if receipt is None:
            receipt = self._happen(batch, job)
            batch.keep(job, receipt)
        batch.answers.append((job, receipt))

    def _happen(self, batch: _Batch, job: _Job) -> Receipt:
        state = batch.states.get(job.case)
        upload = batch.uploads.get(_upload(job))
        terms = Terms(self._now(), self._new_id, job.policy, job.alarm, upload)
        try:
            decision = core.decide(state, job.command, job.by, terms)
        except ValidationError as error:
            raise Malformed(Code.INVALID, str(error.errors()[0]["msg"])) from error
        if isinstance(job.command, Opening):
            state = self._open(batch, job, job.command, terms.now)
        assert state is not None  # noqa: S101 - decide has refused every other command
        state, receipt = self._apply(batch, job, state, decision, terms.now)
        batch.tasks.extend(decision.tasks)
        if upload is not None and decision.happenings:
            batch.uploads[upload.id] = replace(upload, confirmed=True)
            batch.confirmed[upload.id] = terms.now
        batch.states[job.case] = state
        # A piece of an answer changes the answer's own row alone.
        if any(not isinstance(each, Progress) or each.i is None for each in decision.happenings):
            batch.changed.add(job.case)
        audience = audience_of(job.by)
        return receipt or Receipt(job.case, None, state.head(audience), terms.now)

    def _apply(
        self, batch: _Batch, job: _Job, state: RoomState, decision: Decision, at: datetime
    ) -> tuple[RoomState, Receipt | None]:
        receipt = None
        for place, happening in enumerate(decision.happenings):
            before = state
            match happening:
                case Event():
                    id = happening.id or self._new_id(happening.kind)
                    envelope = number(state, happening, id, at)
                    state = evolve(state, envelope)
                    answers = place == decision.answer
                    if answers:
                        cursor = envelope.cursors[audience_of(job.by)]
                        receipt = Receipt(job.case, id, cursor, at)
                    batch.add(envelope, job, answers)
                case Progress():
                    state = advance(state, happening)
                    batch.step(before, state, happening)
                case Seen():
                    state = advance(state, happening)
        return state, receipt

    def _open(self, batch: _Batch, job: _Job, command: Opening, at: datetime) -> RoomState:
        if isinstance(command, RegisterPatient):
            self._register(batch, job, command, at)
        state = opened(job.case, command, job.by.tenant, at)
        batch.opened.append(case_row(state))
        return state

    def _register(self, batch: _Batch, job: _Job, command: RegisterPatient, at: datetime) -> None:
        patient = {
            "tenant": job.by.tenant,
            "id": command.patient_id,
            "user_id": command.user_id,
            "name": command.name,
            "registered_at": at,
        }
        if job.name in batch.registered or any(
            _same_patient(patient, other) for other in batch.patients
        ):
            raise Rejected(Code.CONFLICT, "This patient is registered already.")
        batch.patients.append(patient)


_UPDATE: Final = update(table_of(CaseRow)).where(table_of(CaseRow).c.id == bindparam("case"))
_GROW: Final = update(table_of(RunRow)).where(table_of(RunRow).c.id == bindparam("run"))


def _locked(
    connection: Connection, cases: set[str]
) -> tuple[dict[str, RoomState], dict[str, Unavailable]]:
    """Read and lock the rooms, and tell which cannot be read.

    In sorted order, so that two processes cannot lock each other.
    """
    query = (
        select(table_of(CaseRow))
        .where(col(CaseRow.id).in_(sorted(cases)))
        .order_by(col(CaseRow.id))
        .with_for_update()
    )
    rows = connection.execute(query).all()
    # Not joined: to a row that it had to wait for, PostgreSQL would join an answer as it was
    # before the wait.
    named = {row.run_id for row in rows if row.run_id is not None}
    answers = connection.execute(runs(named)).all() if named else []
    found = {answer.run_id: answer for answer in answers}
    states, unreadable = {}, {}
    for row in rows:
        try:
            states[row.id] = case_of(row, found.get(row.run_id))
        except Unavailable as error:
            unreadable[row.id] = error
    return states, unreadable


def _receipts(connection: Connection, jobs: Sequence[_Job]) -> dict[str, tuple[str, Receipt]]:
    """Find the receipts of commands that were given before."""
    audiences = {
        job.name: audience_of(job.by) for job in jobs if not isinstance(job.command, UNKEYED)
    }
    if not audiences:
        return {}
    query = select(
        col(EventRow.idempotency),
        col(EventRow.digest),
        col(EventRow.case_id),
        col(EventRow.id),
        col(EventRow.staff_seq),
        col(EventRow.patient_seq),
        col(EventRow.at),
    ).where(col(EventRow.idempotency).in_(list(audiences)))
    receipts = {}
    for row in connection.execute(query):
        to_patient = audiences[row.idempotency] is Audience.PATIENT
        cursor = Cursor(row.patient_seq if to_patient else row.staff_seq, tag_of(row.id))
        receipts[row.idempotency] = (row.digest, Receipt(row.case_id, row.id, cursor, row.at))
    return receipts | _uneventful(connection, jobs)


def _uneventful(connection: Connection, jobs: Sequence[_Job]) -> dict[str, tuple[str, Receipt]]:
    """Find the receipts of commands that wrote no event."""
    names = [job.name for job in jobs if isinstance(job.command, UNEVENTFUL)]
    if not names:
        return {}
    query = select(table_of(ReceiptRow)).where(col(ReceiptRow.idempotency).in_(names))
    return {
        row.idempotency: (
            row.digest,
            Receipt(row.case_id, None, Cursor(row.seq, row.tag), row.at),
        )
        for row in connection.execute(query)
    }


def _registered(connection: Connection, jobs: Sequence[_Job]) -> set[str]:
    """Name the commands that would register somebody who is registered already."""
    return {
        job.name
        for job in jobs
        if isinstance(job.command, RegisterPatient)
        and _is_registered(connection, job.command, job.by.tenant)
    }


def _is_registered(connection: Connection, command: RegisterPatient, tenant: str) -> bool:
    same: ColumnElement[bool] = col(PatientRow.id) == command.patient_id
    if command.user_id is not None:
        same |= col(PatientRow.user_id) == command.user_id
    query = select(col(PatientRow.id)).where(col(PatientRow.tenant) == tenant, same)
    return (connection.execute(query)).first() is not None


def _same_patient(one: dict[str, Any], other: dict[str, Any]) -> bool:
    if one["tenant"] != other["tenant"]:
        return False
    same_user = one["user_id"] is not None and one["user_id"] == other["user_id"]
    return bool(same_user or one["id"] == other["id"])


def _store(connection: Connection, batch: _Batch, tasks: list[dict[str, Any]]) -> None:
    begun = [row for id, row in batch.runs.items() if id in batch.begun]
    for row, values in (
        (PatientRow, batch.patients),
        (CaseRow, batch.opened),
        (EventRow, batch.events),
        (ReceiptRow, batch.uneventful),
        (RunRow, begun),
        (TaskRow, tasks),
    ):
        if values:
            connection.execute(insert(table_of(row)), values)
    confirm_uploads(connection, batch.confirmed)
    grown = [{"run": id, **row} for id, row in batch.runs.items() if id not in batch.begun]
    if grown:
        connection.execute(_GROW, grown)
    if batch.changed:
        changes = [{"case": case, **state_row(batch.states[case])} for case in batch.changed]
        connection.execute(_UPDATE, changes)
