"""Why did she not get it: what became of an event, on every process and for every reader.

Answers from the log, which knows what was committed, and from what each process knows of those who
read the case or did so not long ago. Nothing of it is a text or a name.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from auth.principal import Principal, Role
from hub.endpoints import Endpoints, json_response, read_query
from rooms.errors import Code, Rejected
from rooms.events import Audience
from rooms.payload import Id
from rooms.redis_broker import RedisBroker
from rooms.service import Rooms
from rooms.visits import Way
from rooms.whereabouts import Whereabouts

logger = structlog.get_logger()

VISITS: Final = 200
"""Most visits that a process tells of; the newest, and first those that last."""

Verdict = Literal["hidden", "resumed", "had", "applied", "written", "left", "behind"]
Came = Literal["hidden", "hint", "log", "before", "missing"]


class WhyQuery(BaseModel):
    """What `GET …/why` takes."""

    case: Annotated[Id | None, Field(description="spares a look at all cases of the tenant")] = None


class Report(BaseModel):
    """A part of what a process tells."""

    model_config = ConfigDict(from_attributes=True)


class StreamReport(Report):
    """A view of the case, at a process where somebody reads it."""

    audience: Audience
    since: Annotated[int, Field(description="what it heard of comes after this `seq`")]
    position: Annotated[int, Field(description="up to this `seq` its readers were served")]
    repairs: Annotated[
        list[tuple[int, int]],
        Field(description="first and last `seq` of what was read from the log, hints being missed"),
    ]


class VisitReport(Report):
    """Somebody who reads the case, or did so within the last two hours."""

    conn: Annotated[str, Field(description="empty for polling")]
    user: str
    role: str
    audience: Audience
    way: Annotated[
        Way,
        Field(
            description="polling: `start`, `written` and the times are those of the last request; "
            "stream, messages, answers: SSE, with all events, with messages, with the AI's answers"
        ),
    ]
    entered: datetime
    left: Annotated[datetime | None, Field(description="null: it is here")]
    code: Annotated[int | None, Field(description="null: the hub did not close the socket")]
    start: Annotated[int, Field(description="it was given what comes after this `seq`")]
    resumed: Annotated[bool, Field(description="`start` is what its client said that it has")]
    written: Annotated[int, Field(description="up to which `seq`")]
    applied: Annotated[int | None, Field(description="the `seq` of its last `pong`")]
    applied_at: datetime | None


class ProcessState(Report):
    """What a process tells of itself."""

    process: str
    started: Annotated[datetime, Field(description="of who was here before, it knows nothing")]
    connected: Annotated[bool, Field(description="to Redis; true where there is none")]
    hints_lost: Annotated[int, Field(description="that others were not given, since its start")]
    gap_at: Annotated[
        datetime | None, Field(description="when it last may have missed hints, and asked the log")
    ]
    omitted: Annotated[int, Field(description="older visits")]


class ProcessReport(ProcessState):
    """And of a case."""

    streams: list[StreamReport]
    visits: list[VisitReport]


class WhyEvent(Report):
    """An event and where it stands."""

    id: str
    case: str
    kind: str
    at: Annotated[datetime, Field(description="when it was committed")]
    staff_seq: int
    patient_seq: Annotated[int | None, Field(description="null: patients do not see it")]
    actor: Annotated[dict[str, Any], Field(description="the type and the id of who did it")]
    run: Annotated[str | None, Field(description="the answer of the AI that it ended")]
    tasks: Annotated[list[dict[str, Any]], Field(description="what is still promised in the case")]


class WhyStream(StreamReport):
    """And how it learned of the event."""

    came: Annotated[
        Came,
        Field(
            description="hint: by its hint, in order; log: its hint was late or lost; before: "
            "nobody was there yet to be told; missing: not yet; hidden: not for this audience"
        ),
    ]


class WhyProcess(ProcessState):
    """A process that answered."""

    streams: Annotated[list[WhyStream], Field(description="none: nobody reads the case there")]


class WhyVisit(VisitReport):
    """And what it had of the event."""

    process: str
    verdict: Annotated[
        Verdict,
        Field(
            description="hidden: not for this audience, or not in this way; resumed: its client "
            "came back with a cursor at or after the event; had: it asked only for what comes "
            "after the event; applied: confirmed by `pong`; written: handed to the network; left: "
            "before that; behind: it is here, and still has to catch up"
        ),
    ]


class Why(BaseModel):
    """What became of an event."""

    event: WhyEvent
    processes: list[WhyProcess]
    silent: Annotated[int, Field(description="processes that were asked and did not answer")]
    problem: Annotated[str | None, Field(description="why the others could not be asked")]
    visits: list[WhyVisit]


class WhyApi:
    """The endpoint, and what this process answers to others."""

    def __init__(
        self, rooms: Rooms, endpoints: Endpoints, process: str, broker: RedisBroker | None
    ) -> None:
        """Make that of a process; `broker` leads to the other ones, if there can be any."""
        self._rooms = rooms
        self._endpoints = endpoints
        self._broker = broker
        self._process = process
        if broker is not None:
            broker.tell = lambda case: self.report(case).model_dump_json()

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
        visits = [_visit(each, of.process, event) for of in reports for each in of.visits]
        why = Why(
            event=WhyEvent.model_validate(event),
            processes=[_process(report, event) for report in reports],
            silent=heard - len(others),
            problem=problem,
            visits=sorted(visits, key=lambda visit: (visit.user, visit.entered)),
        )
        return json_response(why.model_dump_json())

    def report(self, case: str) -> ProcessReport:
        """Give what this process knows of a case."""
        broker = self._broker
        visits = self._rooms.visits.of_case(case)
        return ProcessReport(
            process=self._process,
            started=self._rooms.started,
            connected=broker is None or broker.connected,
            hints_lost=0 if broker is None else broker.lost,
            gap_at=self._rooms.gap_at,
            streams=[StreamReport.model_validate(each) for each in self._rooms.standings(case)],
            visits=[VisitReport.model_validate(visit) for visit in visits[:VISITS]],
            omitted=len(visits[VISITS:]),
        )

    async def _ask(self, case: str) -> tuple[int, list[ProcessReport], str | None]:
        if self._broker is None:
            return 0, [], None
        try:
            heard, answers = await self._broker.ask(case)
        except Exception as error:  # noqa: BLE001 - what this process knows is worth telling
            logger.warning("others_not_asked", reason=str(error))
            return 0, [], "Redis does not answer: ask each process by its own address."
        return heard, _reports(answers), None


def _reports(answers: Sequence[bytes]) -> list[ProcessReport]:
    """Read what others answer; one that cannot be understood is as silent as one that is frozen."""
    reports = []
    for answer in answers:
        try:
            reports.append(ProcessReport.model_validate_json(answer))
        except ValidationError as error:
            logger.warning("answer_not_understood", reason=str(error.errors()[0]["msg"]))
    return reports


def _process(report: ProcessReport, event: Whereabouts) -> WhyProcess:
    streams = [
        WhyStream(**dict(stream), came=_came(stream, _seq(stream.audience, event)))
        for stream in report.streams
    ]
    return WhyProcess(**report.model_dump(exclude={"streams", "visits"}), streams=streams)


def _visit(visit: VisitReport, process: str, event: Whereabouts) -> WhyVisit:
    return WhyVisit(**dict(visit), process=process, verdict=_verdict(visit, event))


def _seq(audience: Audience, event: Whereabouts) -> int | None:
    return event.staff_seq if audience is Audience.STAFF else event.patient_seq


def _came(stream: StreamReport, seq: int | None) -> Came:
    if seq is None:
        return "hidden"
    if seq <= stream.since:
        return "before"
    if seq > stream.position:
        return "missing"
    return "log" if any(first <= seq <= last for first, last in stream.repairs) else "hint"


def _verdict(visit: VisitReport, event: Whereabouts) -> Verdict:
    seq = _seq(visit.audience, event)
    if seq is None or not _shows(visit.way, event):
        return "hidden"
    if visit.start >= seq:
        return "resumed" if visit.resumed else "had"
    if visit.written < seq:
        return "behind" if visit.left is None and visit.code is None else "left"
    # A client may say anything.
    return "applied" if visit.applied is not None and visit.applied >= seq else "written"


def _shows(way: Way, event: Whereabouts) -> bool:
    match way:
        case Way.MESSAGES:
            return event.kind == "message"
        case Way.ANSWERS:
            return event.run is not None
        case _:
            return True
