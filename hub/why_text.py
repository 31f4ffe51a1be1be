"""What became of an event, as lines for a terminal."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final

from auth.principal import Role
from hub.why import Came, Verdict, Why, WhyEvent, WhyProcess, WhyStream, WhyVisit
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
    "log": "from the log: its hint was late or lost",
    "before": "it was there before the readers",
    "missing": "NOT yet",
    "hidden": "not for this audience",
}
NAMES: Final[dict[Way, str]] = {
    Way.WEBSOCKET: "WebSocket",
    Way.STREAM: "SSE stream",
    Way.MESSAGES: "SSE messages/stream",
    Way.ANSWERS: "SSE chat/stream",
    Way.POLLING: "polling",
}


def lines(why: Why) -> list[str]:
    """Write the answer for a terminal."""
    found = [*_event(why.event), *(line for each in why.processes for line in _process(each))]
    if why.silent:
        found.append(
            f"  SILENT: {why.silent} were asked and did not answer; who is there is not known"
        )
    found += [f"  {why.problem}"] if why.problem else []
    for _, visits in groupby(why.visits, lambda visit: (visit.user, visit.role)):
        found += _person([*visits])
    patients = any(visit.role == Role.PATIENT for visit in why.visits)
    if not patients and why.event.patient_seq is not None:
        found.append("  No patient was in the case within two hours, as far as is known.")
    return found


def _event(event: WhyEvent) -> Iterable[str]:
    patient = event.patient_seq
    seq = "hidden from patients" if patient is None else f"{patient} for patients"
    by = f"{event.actor['type']} {event.actor['id'] or ''}".rstrip()
    yield f"{event.id}: {event.kind} by {by}, in {event.case}"
    yield f"  committed {_time(event.at)} UTC as {event.staff_seq} for staff, {seq}"
    for task in event.tasks:
        yield f"  the case still waits for {_task(task)}"


def _task(task: dict[str, Any]) -> str:
    due = _time(datetime.fromisoformat(task["due"]))
    state = "DEAD" if task["dead"] else f"due {due}"
    return f"{task['kind']} {task['id']}: {state}, attempt {task['attempts']}"


def _process(process: WhyProcess) -> Iterable[str]:
    streams = "; ".join(_stream(stream) for stream in process.streams)
    yield f"  process {process.process}: {streams or 'nobody reads the case here'}"
    if not process.connected:
        yield "    NOT connected to Redis: reads the log every 5 s"
    if process.hints_lost:
        yield f"    could not give {process.hints_lost} hints to the others since its start"
    if process.gap_at is not None:
        yield f"    may have missed hints until {_time(process.gap_at)}, and read the log then"
    if process.omitted:
        yield f"    {process.omitted} older visits are not shown"


def _stream(stream: WhyStream) -> str:
    return f"{stream.audience} {BY[stream.came]} (now at {stream.position})"


def _person(visits: Sequence[WhyVisit]) -> Iterable[str]:
    verdicts = {visit.verdict for visit in visits}
    best = next(verdict for verdict in IN_ALL if verdict in verdicts)
    yield f"  {visits[0].role} {visits[0].user} {IN_ALL[best]}"
    for visit in visits:
        yield f"    {SAID[visit.verdict]}: {_visit(visit)}"


def _visit(visit: WhyVisit) -> str:
    given = f"from {visit.start + 1}, written {visit.written}"
    if visit.applied is not None and visit.applied_at is not None:
        given += f", confirmed {visit.applied} at {_time(visit.applied_at)}"
    if visit.way is Way.POLLING:
        return f"polling at {visit.process}, the last time {_time(visit.entered)}, {given}"
    end = "" if visit.left is None else f" to {_time(visit.left)}"
    code = "" if visit.code is None else f" (closed with {visit.code})"
    way = f"{NAMES[visit.way]} {visit.conn} at {visit.process}"
    return f"{way}, {_time(visit.entered)}{end or ' until now'}{code}, {given}"


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:23]
