"""The REST door: the same commands, views and errors as the WebSocket, one request at a time."""

import hashlib
from typing import Annotated, Final, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from auth.principal import Principal
from hub.client_frames import (
    AcceptFrame,
    EscalateFrame,
    Message,
    Note,
    Read,
    ReleaseFrame,
    RetryFrame,
    SetStatusFrame,
    StopFrame,
    Typing,
    WriteFrame,
)
from hub.desk_door import require_desk
from hub.endpoints import (
    Endpoint,
    Endpoints,
    case_of,
    created,
    json_response,
    read_object,
    read_query,
    validated,
)
from rooms.commands import RegisterPatient
from rooms.cursor import parse_cursor
from rooms.desk import Desks
from rooms.encoding import timestamp, to_json
from rooms.errors import Code, Malformed, Rejected
from rooms.events import KINDS, Audience, Status
from rooms.payload import Id, Name, Text
from rooms.service import Page, Rooms
from rooms.state import RoomState, audience_of

CHANNELS: Final = ("chat", "phone_call", "whatsapp", "sms", "email", "internal_note")
"""The channels of the timeline."""


F = TypeVar("F", Typing, Read)


class Registration(BaseModel):
    """A patient to be registered; the hub makes an id if none is given."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    name: Name
    patient_id: Id | None = None
    user_id: Id | None = None
    """The `sub` of the patient's own tokens."""


class EventsQuery(BaseModel):
    """What `GET …/events` takes: one of `after`, `before` and `tail`."""

    after: Annotated[str, Field(description="a cursor; `0.0` for everything")] = "0.0"
    before: Annotated[
        int | None, Field(ge=0, le=2**53, description="a `seq`: the last events below it")
    ] = None
    tail: Annotated[int | None, Field(ge=0, le=500, description="so many events at the end")] = None
    limit: Annotated[int, Field(ge=1, le=500, description="goes not with `tail`")] = 100
    kind: Annotated[
        Text, Field(max_length=64, description=f"with `after`; one of {', '.join(KINDS)}")
    ] = ""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = {"after", "before", "tail"} & self.model_fields_set
        if len(ways) > 1:
            raise PydanticCustomError("ways", "send only one of `after`, `before` and `tail`")
        if self.kind and ways - {"after"}:
            raise PydanticCustomError("kind", "`kind` goes with `after` only")
        return self


class TimelineQuery(BaseModel):
    """What `GET …/timeline` takes."""

    channel: Annotated[str, Field(description=f"some of {', '.join(CHANNELS)}; commas")] = ""
    before: Annotated[int, Field(ge=1, le=2**53)] | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class Api:
    """The endpoints of `/api/v1` that are about cases and patients."""

    def __init__(self, rooms: Rooms, desks: Desks, endpoints: Endpoints) -> None:
        self._rooms = rooms
        self._desks = desks
        self._endpoints = endpoints

    def routes(self) -> list[Route]:
        case = "/api/v1/cases/{case}"
        table: list[tuple[str, str, Endpoint]] = [
            ("GET", "/api/v1/cases", self.get_cases),
            ("GET", case, self.get_case),
            ("GET", f"{case}/events", self.get_events),
            ("GET", f"{case}/timeline", self.get_timeline),
            ("POST", f"{case}/messages", self.post_message),
            ("POST", f"{case}/notes", self.post_note),
            ("POST", f"{case}/status", self.post_status),
            ("POST", f"{case}/escalate", self.post_escalate),
            ("POST", f"{case}/accept", self.post_accept),
            ("POST", f"{case}/release", self.post_release),
            ("POST", f"{case}/stop", self.post_stop),
            ("POST", f"{case}/retry", self.post_retry),
            ("POST", f"{case}/typing", self.post_typing),
            ("POST", f"{case}/read", self.post_read),
            ("POST", "/api/v1/patients", self.post_patient),
        ]
        return [self._endpoints.route(method, path, endpoint) for method, path, endpoint in table]

    async def get_cases(self, request: Request, by: Principal) -> Response:
        """Give the open cases of the tenant, as the desk shows them: to those who have a desk."""
        require_desk(self._rooms.flags, by)
        entries = await self._desks.look(by.tenant)
        return json_response(f'{{"cases":[{",".join(entry.json for entry in entries)}]}}')

    async def get_case(self, request: Request, by: Principal) -> Response:
        """Give a summary of a case, as the caller may know it."""
        state = await self._rooms.enter(case_of(request), by)
        last = state.last_message_at
        return JSONResponse(
            {
                "case": state.case,
                "status": state.status,
                "control": state.control,
                "coordinator": state.owner_name,
                "patient": {"id": state.patient_id, "name": state.patient_name},
                "last_message_at": None if last is None else timestamp(last),
                "head": str(state.head(audience_of(by))),
            }
        )

    async def get_events(self, request: Request, by: Principal) -> Response:
        """Give events of the caller's view: after a cursor, below a `seq`, or the last ones."""
        query = read_query(request, EventsQuery)
        if query.kind and query.kind not in KINDS:
            raise Malformed(Code.INVALID, f"`kind` must be one of {', '.join(KINDS)}.")
        after = parse_cursor(query.after)
        case, audience = case_of(request), audience_of(by)
        state = await self._rooms.enter(case, by)
        if query.tail is not None:
            page = await self._tail(state, audience, query.tail)
        elif query.before is not None:
            page = await self._rooms.history(case, audience, query.before, query.limit)
        else:
            page = await self._rooms.page(case, audience, after, query.limit, query.kind)
        if query.before is None and not query.kind:
            start = page.cursor.seq - len(page.frames)
            resumed = query.tail is None
            self._rooms.visits.poll(case, by, audience, start, page.cursor.seq, resumed=resumed)
        cursor = str(page.cursor) if page.frames or query.before is None else None
        head = to_json({"cursor": cursor, "more": page.more})
        return json_response(f'{{"events":[{",".join(page.frames)}],{head[1:]}')

    async def _tail(self, state: RoomState, audience: Audience, count: int) -> Page:
        """Give the last events; whoever goes on after their cursor misses nothing."""
        page = await self._rooms.history(state.case, audience, None, count)
        if page.frames:
            return page
        head = state.head(audience)
        return Page([], head, head.seq > 0)

    async def get_timeline(self, request: Request, by: Principal) -> Response:
        """Give what was said on all channels, the newest first."""
        query = read_query(request, TimelineQuery)
        channels = [channel for channel in query.channel.split(",") if channel]
        if not set(channels) <= set(CHANNELS):
            raise Malformed(Code.INVALID, f"`channel` must be some of {', '.join(CHANNELS)}.")
        if "internal_note" in channels and not by.is_staff:
            raise Rejected(Code.FORBIDDEN, "Only staff may read internal notes.")
        await self._rooms.enter(case_of(request), by)
        entries, more = await self._rooms.timeline(
            case_of(request), by, channels, query.before, query.limit
        )
        items = ",".join(
            f'{{"channel":"{entry.channel}","event":{entry.frame}}}' for entry in entries
        )
        return json_response(f'{{"entries":[{items}],"more":{to_json(more)}}}')

    async def post_message(self, request: Request, by: Principal) -> Response:
        return await self._write(request, by, Message)

    async def post_note(self, request: Request, by: Principal) -> Response:
        return await self._write(request, by, Note)

    async def post_status(self, request: Request, by: Principal) -> Response:
        return await self._write(request, by, SetStatusFrame)

    async def post_escalate(self, request: Request, by: Principal) -> Response:
        return await self._write(request, by, EscalateFrame)

    async def post_accept(self, request: Request, by: Principal) -> Response:
        return await self._write(request, by, AcceptFrame)

    async def post_release(self, request: Request, by: Principal) -> Response:
        return await self._write(request, by, ReleaseFrame)

    async def post_stop(self, request: Request, by: Principal) -> Response:
        return await self._write(request, by, StopFrame)

    async def post_retry(self, request: Request, by: Principal) -> Response:
        return await self._write(request, by, RetryFrame)

    async def post_typing(self, request: Request, by: Principal) -> Response:
        """Tell that somebody types; like every signal it may be lost, and has no key."""
        frame = await self._signal(request, by, Typing)
        self._rooms.typing(case_of(request), by, frame.on, in_note=frame.where == "note")
        return Response(status_code=204)

    async def post_read(self, request: Request, by: Principal) -> Response:
        """Tell how far somebody has read."""
        frame = await self._signal(request, by, Read)
        await self._rooms.read(case_of(request), by, frame.seq)
        return Response(status_code=204)

    async def post_patient(self, request: Request, by: Principal) -> Response:
        """Register a patient, which opens the first case."""
        body = validated(Registration, await read_object(request))
        self._endpoints.throttle(by)
        key, echo = self._endpoints.key(request)
        # From the key, so that a retry asks for the same patient again.
        made = hashlib.sha256(f"{by.tenant}\0{by.id}\0{key}".encode()).hexdigest()[:22]
        patient, user = _registrant(body, by)
        command = RegisterPatient(patient or f"p_{made}", body.name, user)
        receipt = await self._rooms.handle(self._rooms.new_case(), command, by, key, echo=echo)
        return created(receipt, {"patient_id": command.patient_id})

    async def _write(self, request: Request, by: Principal, model: type[WriteFrame]) -> Response:
        value = await read_object(request)
        kind = model.model_fields["type"].annotation.__args__[0]  # type: ignore[union-attr]
        self._endpoints.throttle(by)
        frame: WriteFrame = validated(model, {**value, "type": kind, "key": None})
        key, echo = self._endpoints.key(request)
        receipt = await self._rooms.handle(case_of(request), frame.command(), by, key, echo=echo)
        return created(receipt, {})

    async def _signal(self, request: Request, by: Principal, model: type[F]) -> F:
        """Read a signal for a room that its sender may enter."""
        value = await read_object(request)
        self._endpoints.throttle(by, writes=False)
        kind = model.model_fields["type"].annotation.__args__[0]  # type: ignore[union-attr]
        frame = validated(model, {**value, "type": kind, "key": None})
        state = await self._rooms.enter(case_of(request), by)
        if state.status is Status.ARCHIVED:
            raise Rejected(Code.CLOSED, "This case is archived.")
        return frame


def _registrant(body: Registration, by: Principal) -> tuple[str | None, str | None]:
    """Give the patient id, None if it is to be made, and the user; no patient takes another's."""
    if by.is_staff:
        return body.patient_id, body.user_id
    if body.user_id not in (None, by.id) or body.patient_id not in (None, by.patient_id):
        raise Rejected(Code.FORBIDDEN, "Patients register nobody but themselves.")
    return by.patient_id, by.id
