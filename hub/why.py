"""Why did she not get it: what became of an event, on every process and every connection.

Answers from the log, which knows what was committed, and from what each process knows of the
connections that are or were in the case. Nothing of it is a text or a name.
"""

import os
import socket
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import structlog
from pydantic import BaseModel, Field, TypeAdapter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from auth.principal import Principal, Role
from hub.endpoints import Endpoints, read_query
from hub.manager import ConnectionManager
from hub.visits import Visit
from rooms.errors import Code, Rejected
from rooms.events import Audience
from rooms.payload import Id
from rooms.redis_broker import RedisBroker
from rooms.service import Rooms
from rooms.whereabouts import Whereabouts

logger = structlog.get_logger()

Verdict = Literal["hidden", "had", "applied", "written", "left", "behind"]


class WhyQuery(BaseModel):
    """What `GET …/why` takes."""

    case: Annotated[Id | None, Field(description="spares a look at every event")] = None


class WhyEvent(BaseModel):
    """An event and where it stands."""

    id: str
    case: str
    kind: str
    at: Annotated[str, Field(description="when it was committed")]
    staff_seq: int
    patient_seq: Annotated[int | None, Field(description="null: patients do not see it")]
    by: Annotated[dict[str, Any], Field(description="the type and the id of who did it")]
    run: Annotated[str | None, Field(description="the answer of the AI that it ended")]
    tasks: Annotated[list[dict[str, Any]], Field(description="what is still promised in the case")]


class WhyProcess(BaseModel):
    """A process that answered."""

    process: str
    hints_lost: Annotated[int, Field(description="that others were not given, since its start")]
    connected: Annotated[bool, Field(description="to Redis; true where there is none")]


class WhyVisit(BaseModel):
    """A WebSocket that is in the case, or was within the last two hours."""

    process: str
    conn: str
    user: str
    role: str
    audience: Audience
    entered: str | None
    live: Annotated[str | None, Field(description="when it had caught up; null: never")]
    left: Annotated[str | None, Field(description="null: it is here")]
    code: Annotated[int | None, Field(description="null: the hub did not close it")]
    start: Annotated[int, Field(description="it was given what comes after this `seq`")]
    written: Annotated[int, Field(description="up to which `seq`")]
    applied: Annotated[int | None, Field(description="the `seq` of its last `pong`")]
    applied_at: str | None
    verdict: Annotated[
        Verdict,
        Field(
            description="hidden: not for this audience; had: it began behind the event; applied: "
            "confirmed by `pong`; written: to the socket; left: before that; behind: it is here, "
            "and still has to catch up"
        ),
    ]


class Why(BaseModel):
    """What became of an event."""

    event: WhyEvent
    processes: list[WhyProcess]
    silent: Annotated[int, Field(description="processes that were asked and did not answer")]
    problem: Annotated[str | None, Field(description="why the others could not be asked")]
    visits: list[WhyVisit]


_VISITS: Final = TypeAdapter(list[Visit])


class WhyApi:
    """The endpoint, and what this process answers to others."""

    def __init__(
        self,
        rooms: Rooms,
        manager: ConnectionManager,
        endpoints: Endpoints,
        broker: RedisBroker | None,
    ) -> None:
        """Make it; `broker` leads to the other processes, if there can be any."""
        self._rooms = rooms
        self._manager = manager
        self._endpoints = endpoints
        self._broker = broker
        self._process = f"{socket.gethostname()}/{os.getpid()}"
        if broker is not None:
            broker.tell = self.report

    def routes(self) -> list[Route]:
        return [self._endpoints.route("GET", "/api/v1/events/{event}/why", self.get_why)]

    async def get_why(self, request: Request, by: Principal) -> Response:
        """Tell what became of an event of the tenant."""
        if by.role not in (Role.SERVICE, Role.SUPERVISOR):
            raise Rejected(Code.FORBIDDEN, "Only supervisors and back ends may do this.")
        case = read_query(request, WhyQuery).case
        event = await self._rooms.whereabouts(by.tenant, request.path_params["event"], case)
        if event is None:
            raise Rejected(Code.NOT_FOUND, "There is no such event.")
        heard, others, problem = await self._ask(event.case)
        reports = [self.report(event.case), *others]
        visits = [visit for report in reports for visit in _visits(report, event)]
        return JSONResponse(
            Why(
                event=_event(event),
                processes=[WhyProcess(**report["process"]) for report in reports],
                silent=heard - len(others),
                problem=problem,
                visits=sorted(visits, key=lambda visit: visit.entered or ""),
            ).model_dump()
        )

    def report(self, case: str) -> dict[str, Any]:
        """Give what this process knows of a case."""
        broker = self._broker
        process = WhyProcess(
            process=self._process,
            hints_lost=0 if broker is None else broker.lost,
            connected=broker is None or broker.connected,
        )
        visits = _VISITS.dump_python(self._manager.visits(case), mode="json")
        return {"process": process.model_dump(), "visits": visits}

    async def _ask(self, case: str) -> tuple[int, Sequence[Any], str | None]:
        if self._broker is None:
            return 0, [], None
        try:
            heard, others = await self._broker.ask(case)
        except Exception as error:  # noqa: BLE001 - what this process knows is worth telling
            logger.warning("others_not_asked", reason=str(error))
            return 0, [], "Redis does not answer: ask each process by its own address."
        return heard, others, None


def _event(event: Whereabouts) -> WhyEvent:
    return WhyEvent(
        id=event.id,
        case=event.case,
        kind=event.kind,
        at=event.at.isoformat(),
        staff_seq=event.staff_seq,
        patient_seq=event.patient_seq,
        by=event.actor,
        run=event.run,
        tasks=event.tasks,
    )


def _visits(report: dict[str, Any], event: Whereabouts) -> list[WhyVisit]:
    process = report["process"]["process"]
    return [
        WhyVisit(process=process, verdict=_verdict(visit, event), **visit)
        for visit in report["visits"]
    ]


def _verdict(visit: dict[str, Any], event: Whereabouts) -> Verdict:
    staff = visit["audience"] == Audience.STAFF
    seq = event.staff_seq if staff else event.patient_seq
    if seq is None:
        return "hidden"
    if visit["start"] >= seq:
        return "had"
    if visit["applied"] is not None and visit["applied"] >= seq:
        return "applied"
    if visit["written"] >= seq:
        return "written"
    return "left" if visit["left"] is not None else "behind"


SAID: Final[dict[str, str]] = {
    "hidden": "not for this audience",
    "had": "began behind it",
    "applied": "confirmed by pong",
    "written": "written, not confirmed",
    "left": "LEFT before it was written",
    "behind": "HERE, and still behind",
}


def lines(why: dict[str, Any]) -> list[str]:
    """Write the answer for a terminal."""
    event = why["event"]
    by = event["by"]
    patient = event["patient_seq"]
    seq = "hidden from patients" if patient is None else f"patient {patient}"
    found = [
        f"{event['id']}: {event['kind']} by {by['type']} {by['id'] or ''}, in {event['case']}",
        f"  committed {_time(event['at'])} as staff {event['staff_seq']}, {seq}",
    ]
    found += [f"  promised: {_task(task)}" for task in event["tasks"]]
    found += [f"  process {_process(process)}" for process in why["processes"]]
    found += [f"  {why['silent']} processes were asked and did not answer"] if why["silent"] else []
    found += [f"  {why['problem']}"] if why["problem"] else []
    found += [_visit(visit) for visit in why["visits"]]
    if not why["visits"]:
        found.append("  nobody was in the case by WebSocket within the last two hours")
    return found


def _time(at: str | None) -> str:
    return "" if at is None else at[:19].replace("T", " ")


def _task(task: dict[str, Any]) -> str:
    state = "DEAD" if task["dead"] else f"due {_time(task['due'])}"
    return f"{task['kind']} {task['id']}, {state}, attempt {task['attempts']}"


def _process(process: dict[str, Any]) -> str:
    redis = "" if process["connected"] else ", NOT connected to Redis"
    return f"{process['process']}: {process['hints_lost']} hints lost{redis}"


def _visit(visit: dict[str, Any]) -> str:
    end = "is here" if visit["left"] is None else f"to {_time(visit['left'])}"
    code = f" (closed with {visit['code']})" if visit["code"] is not None else ""
    applied = "" if visit["applied"] is None else f", confirmed {visit['applied']}"
    return (
        f"  {SAID[visit['verdict']]}: {visit['role']} {visit['user']} on {visit['conn']}, "
        f"{_time(visit['entered'])} {end}{code}, from {visit['start'] + 1}, "
        f"written {visit['written']}{applied}"
    )
