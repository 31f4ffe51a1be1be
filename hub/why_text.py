"""What became of an event, as lines for a terminal."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final

from auth.principal import Role
from hub.why import Came, Verdict, Why, WhyEvent, WhyProcess, WhyStream, WhyVisit
from rooms.events import Audience
from rooms.visits import Way

IN_ALL: Final[dict[Verdict, str]] = {
    "applied": "HAS IT: the client confirmed it",
    "resumed": "HAS IT: the client came back with a cursor past it",
    "written": "was sent it, and has not confirmed it",
    "behind": "has NOT got it yet, and is here",
    "had": "only asked for what comes after it",
    "left": "has NOT got it, and is gone",
    "hidden": "is not to see it, or not in this way",
}
"""What holds for somebody, the best first, whatever else became of it on other connections."""
SAID: Final[dict[Verdict, str]] = {
    "applied": "confirmed by pong",
    "resumed": "came back with a cursor past it",
    "written": "written, not confirmed",
    "behind": "HERE, and not there yet",
    "had": "asked for what comes after it",
    "left": "LEFT before it was written",
    "hidden": "not for this reader",
}
BY: Final[dict[Came, str]] = {
    "hint": "by its hint, in order",
    "log": "from the log, its hint being late or lost",
    "before": "before these readers came",
    "missing": "NOT yet",
    "hidden": "not, and is not to",
}
VIEWS: Final[dict[Audience, str]] = {Audience.PATIENT: "patients", Audience.STAFF: "staff"}
NAMES: Final[dict[Way, str]] = {
    Way.WEBSOCKET: "WebSocket",
    Way.STREAM: "SSE stream",
    Way.MESSAGES: "SSE messages/stream",
    Way.ANSWERS: "SSE chat/stream",
    Way.POLLING: "polling",
}


def lines(why: Why) -> list[str]:
    """Write the answer for a terminal."""
    since = why.event.at
    found = [*_event(why.event)]
    found += [line for process in why.processes for line in _process(process, since)]
    if why.silent:
        found.append(f"  SILENT processes: {why.silent}; who reads the case there is not known")
    found += [f"  {why.problem}"] if why.problem else []
    for _, visits in groupby(why.visits, lambda visit: (visit.user, visit.role)):
        found += _person([*visits], since)
    patients = any(visit.role == Role.PATIENT for visit in why.visits)
    if not patients and why.event.patient_seq is not None:
        found.append("  No patient was in the case within two hours, as far as is known.")
    return found


def _event(event: WhyEvent) -> Iterable[str]:
    patient = event.patient_seq
    seq = "hidden from patients" if patient is None else f"{patient} for patients"
    by = f"{event.actor['type']} {event.actor['id'] or ''}".rstrip()
    yield f"{event.id}: {event.kind} by {by}, in {event.case}"
    day = event.at.astimezone(UTC).date()
    yield f"  committed {day} {_time(event.at)} UTC as {event.staff_seq} for staff, {seq}"
    for task in event.tasks:
        yield f"  the case still waits for {_task(task, event.at)}"


def _task(task: dict[str, Any], since: datetime) -> str:
    due = _time(datetime.fromisoformat(task["due"]), since)
    state = "DEAD" if task["dead"] else f"due {due}"
    return f"{task['kind']} {task['id']}: {state}, attempt {task['attempts']}"


def _process(process: WhyProcess, since: datetime) -> Iterable[str]:
    streams = "; ".join(_stream(stream) for stream in process.streams)
    yield f"  process {process.process}: {streams or 'nobody reads the case there'}"
    if process.started > since:
        started = _time(process.started, since)
        yield f"    started at {started}; who read the case there before is not known"
    if not process.connected:
        yield "    NOT connected to Redis: reads the log every 5 s"
    if process.hints_lost:
        yield f"    hints that it could not give to others since its start: {process.hints_lost}"
    if process.gap_at is not None and process.gap_at >= since:
        gap = _time(process.gap_at, since)
        yield f"    may have missed hints until {gap}, and read the log then"
    if process.omitted:
        yield f"    {process.omitted} older visits are not shown"


def _stream(stream: WhyStream) -> str:
    view = f"the view of {VIEWS[stream.audience]} stands at {stream.position}"
    return f"{view}, got it {BY[stream.came]}"


def _person(visits: Sequence[WhyVisit], since: datetime) -> Iterable[str]:
    verdicts = {visit.verdict for visit in visits}
    best = next(verdict for verdict in IN_ALL if verdict in verdicts)
    yield f"  {visits[0].role} {visits[0].user} {IN_ALL[best]}"
    for visit in visits:
        yield f"    {SAID[visit.verdict]}: {_visit(visit, since)}"


def _visit(visit: WhyVisit, since: datetime) -> str:
    given = f"given {visit.start + 1} to {visit.written}"
    if visit.written == visit.start:
        given = f"given nothing after {visit.start}"
    if visit.applied is not None and visit.applied_at is not None:
        given += f", confirmed {visit.applied} at {_time(visit.applied_at, since)}"
    entered = _time(visit.entered, since)
    if visit.way is Way.POLLING:
        return f"polling at {visit.process}, the last time {entered}, {given}"
    end = "until now" if visit.left is None else f"to {_time(visit.left, since)}"
    code = "" if visit.code is None else f" (closed with {visit.code})"
    return f"{NAMES[visit.way]} {visit.conn} at {visit.process}, {entered} {end}{code}, {given}"


def _time(at: datetime, since: datetime | None = None) -> str:
    """Give the time of the day, and the day if it is another one."""
    utc = at.astimezone(UTC)
    other = since is not None and utc.date() != since.astimezone(UTC).date()
    return f"{utc:%Y-%m-%d %H:%M:%S.%f}"[0 if other else 11 : 23]
