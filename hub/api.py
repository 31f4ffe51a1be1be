"""The REST door: the same commands, views and errors as the WebSocket, one request at a time."""

import hashlib
import math
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, TypeVar

import structlog
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from auth.errors import KeysUnavailable, Unauthenticated
from auth.principal import Principal, Role
from auth.tokens import Verifier
from hub.client_frames import Key, Message, Note, SetStatusFrame, WriteFrame, explain, parse_object
from hub.close_codes import HTTP_STATUS
from hub.rate_limit import UserBuckets, rate_limited
from rooms.commands import RegisterPatient
from rooms.core import audience_of
from rooms.cursor import parse_cursor
from rooms.encoding import timestamp, to_json
from rooms.errors import Code, CursorLost, Malformed, Rejected, RoomError, Unavailable
from rooms.events import KINDS, Id, Name, Text
from rooms.log import Receipt
from rooms.service import Rooms

CHANNELS: Final = ("chat", "phone_call", "whatsapp", "sms", "email", "internal_note")
"""The channels of the timeline."""

Endpoint = Callable[[Request, Principal], Awaitable[Response]]
M = TypeVar("M", bound=BaseModel)

logger = structlog.get_logger()


class Registration(BaseModel):
    """A patient to be registered; the hub makes an id if none is given."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    name: Name
    patient_id: Id | None = None
    user_id: Id | None = None
    """The `sub` of the patient's own tokens."""


class EventsQuery(BaseModel):
    """What `GET …/events` takes."""

    after: Annotated[str, Field(description="a cursor; `0.0` for everything")] = "0.0"
    limit: Annotated[int, Field(ge=1, le=500)] = 100
    kind: Annotated[Text, Field(max_length=64, description=f"one of {', '.join(KINDS)}")] = ""


class TimelineQuery(BaseModel):
    """What `GET …/timeline` takes."""

    channel: Annotated[str, Field(description=f"some of {', '.join(CHANNELS)}; commas")] = ""
    before: Annotated[int, Field(ge=1, le=2**53)] | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class Authenticator:
    """Finds out who sends a request, from its `Authorization` and `X-Tenant-ID` headers."""

    def __init__(self, verifier: Verifier, rooms: Rooms) -> None:
        self._verifier = verifier
        self._rooms = rooms

    async def __call__(self, request: Request) -> Principal:
        """Give the principal.

        Raises:
            Unauthenticated: the token or the tenant is missing, or not accepted.
            KeysUnavailable: tokens cannot be verified now.

        """
        try:
            by = await self._bearer(request)
        except Unauthenticated as refusal:
            logger.info("token_refused", path=request.url.path, reason=refusal.reason)
            raise
        except KeysUnavailable as failure:
            logger.warning("keys_unavailable", reason=failure.reason)
            raise
        return await self._rooms.identify(by)

    async def _bearer(self, request: Request) -> Principal:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        tenant = request.headers.get("x-tenant-id")
        if scheme.lower() != "bearer" or tenant is None:
            raise Unauthenticated("Authorization: Bearer and X-Tenant-ID are required")
        return await self._verifier.verify(token.strip(), tenant)


class Api:
    """The endpoints of `/api/v1` that are about cases and patients."""

    def __init__(
        self,
        rooms: Rooms,
        authenticate: Authenticator,
        *,
        new_id: Callable[[str], str],
        writes: UserBuckets,
    ) -> None:
        """Make the endpoints; `writes` limits what one user may write, back ends excepted."""
        self._writes = writes
        self._rooms = rooms
        self._authenticate = authenticate
        self._new_id = new_id

    def routes(self) -> list[Route]:
        case = "/api/v1/cases/{case}"
        table: list[tuple[str, str, Endpoint]] = [
            ("GET", case, self.get_case),
            ("GET", f"{case}/events", self.get_events),
            ("GET", f"{case}/timeline", self.get_timeline),
            ("POST", f"{case}/messages", self.post_message),
            ("POST", f"{case}/notes", self.post_note),
            ("POST", f"{case}/status", self.post_status),
            ("POST", "/api/v1/patients", self.post_patient),
        ]
        return [
            Route(path, self._endpoint(endpoint), methods=[method])
            for method, path, endpoint in table
        ]

    async def get_case(self, request: Request, by: Principal) -> Response:
        """Give a summary of a case, as the caller may know it."""
        state = await self._rooms.enter(_case(request), by)
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
        """Give the events after a cursor: the catch-up of a client that polls."""
        query = _query(request, EventsQuery)
        if query.kind and query.kind not in KINDS:
            raise Malformed(Code.INVALID, f"`kind` must be one of {', '.join(KINDS)}.")
        await self._rooms.enter(_case(request), by)
        page = await self._rooms.page(
            _case(request), audience_of(by), parse_cursor(query.after), query.limit, query.kind
        )
        head = to_json({"cursor": str(page.cursor), "more": page.more})
        return _json(f'{{"events":[{",".join(page.frames)}],{head[1:]}')

    async def get_timeline(self, request: Request, by: Principal) -> Response:
        """Give what was said on all channels, the newest first."""
        query = _query(request, TimelineQuery)
        channels = [channel for channel in query.channel.split(",") if channel]
        if not set(channels) <= set(CHANNELS):
            raise Malformed(Code.INVALID, f"`channel` must be some of {', '.join(CHANNELS)}.")
        if "internal_note" in channels and not by.is_staff:
            raise Rejected(Code.FORBIDDEN, "Only staff may read internal notes.")
        await self._rooms.enter(_case(request), by)
        entries, more = await self._rooms.timeline(
            _case(request), by, channels, query.before, query.limit
        )
        items = ",".join(
            f'{{"channel":"{entry.channel}","event":{entry.frame}}}' for entry in entries
        )
        return _json(f'{{"entries":[{items}],"more":{to_json(more)}}}')

    async def post_message(self, request: Request, by: Principal) -> Response:
        return await self._write(request, by, Message)

    async def post_note(self, request: Request, by: Principal) -> Response:
        return await self._write(request, by, Note)

    async def post_status(self, request: Request, by: Principal) -> Response:
        return await self._write(request, by, SetStatusFrame)

    async def post_patient(self, request: Request, by: Principal) -> Response:
        """Register a patient, which opens the first case."""
        body = _validate(Registration, await _object(request))
        self._throttle(by)
        key, echo = self._key(request)
        # From the key, so that a retry asks for the same patient again.
        made = hashlib.sha256(f"{by.tenant}\0{by.id}\0{key}".encode()).hexdigest()[:22]
        patient, user = _registrant(body, by)
        command = RegisterPatient(patient or f"p_{made}", body.name, user)
        receipt = await self._rooms.handle(self._rooms.new_case(), command, by, key, echo=echo)
        return _created(receipt, {"patient_id": command.patient_id})

    async def _write(
        self, request: Request, by: Principal, model: type[Message | Note | SetStatusFrame]
    ) -> Response:
        value = await _object(request)
        kind = model.model_fields["type"].annotation.__args__[0]  # type: ignore[union-attr]
        self._throttle(by)
        frame: WriteFrame = _validate(model, {**value, "type": kind, "key": None})
        key, echo = self._key(request)
        receipt = await self._rooms.handle(_case(request), frame.command(), by, key, echo=echo)
        return _created(receipt, {})

    def _throttle(self, by: Principal) -> None:
        wait = 0.0 if by.role is Role.SERVICE else self._writes.take(by.tenant, by.id)
        if wait:
            raise rate_limited("writes", wait)

    def _key(self, request: Request) -> tuple[str, bool]:
        """Give the idempotency key of a request, and whether its sender chose it."""
        given = request.headers.get("idempotency-key")
        if given is None:
            return self._new_id("key"), False
        try:
            return _KEY.validate_python(given), True
        except ValidationError as error:
            raise Malformed(Code.INVALID, f"Idempotency-Key: {explain(error)}") from None

    def _endpoint(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            try:
                by = await self._authenticate(request)
                return await endpoint(request, by)
            except Unauthenticated:
                message = "Send `Authorization: Bearer` with a valid token, and its `X-Tenant-ID`."
                return error_response(RoomError(Code.UNAUTHENTICATED, message))
            except KeysUnavailable:
                return error_response(Unavailable("Tokens cannot be verified now. Try again."))
            except CursorLost as lost:
                body = {"code": "reset", "reason": lost.reason, "message": "Start anew."}
                return JSONResponse({"error": body}, 409)
            except RoomError as error:
                return error_response(error)
            except ClientDisconnect:
                return Response(status_code=400)

        return handle


_KEY: Final = TypeAdapter(Key)


def error_response(error: RoomError) -> JSONResponse:
    """Write an error with the HTTP status that fits it."""
    body = {**error.details, "code": error.code, "message": error.message}
    headers = {}
    if error.code is Code.UNAVAILABLE:
        headers["Retry-After"] = "2"
    elif "retry_after" in error.details:
        headers["Retry-After"] = str(math.ceil(error.details["retry_after"]))
    return JSONResponse({"error": body}, HTTP_STATUS[error.code], headers=headers)


def _created(receipt: Receipt, members: dict[str, Any]) -> JSONResponse:
    body = {
        "case": receipt.case,
        **members,
        "id": receipt.id,
        "seq": receipt.cursor.seq,
        "cursor": str(receipt.cursor),
        "at": timestamp(receipt.at),
    }
    return JSONResponse({**body, "dup": True} if receipt.dup else body, 200 if receipt.dup else 201)


def _json(text: str) -> Response:
    return Response(text, media_type="application/json")


def _case(request: Request) -> str:
    return str(request.path_params["case"])


def _registrant(body: Registration, by: Principal) -> tuple[str | None, str | None]:
    """Give the patient id, None if it is to be made, and the user; no patient takes another's."""
    if by.is_staff:
        return body.patient_id, body.user_id
    if body.user_id not in (None, by.id) or body.patient_id not in (None, by.patient_id):
        raise Rejected(Code.FORBIDDEN, "Patients register nobody but themselves.")
    return by.patient_id, by.id


async def _object(request: Request) -> dict[str, Any]:
    return parse_object(await request.body())


def _query(request: Request, model: type[M]) -> M:
    return _validate(model, dict(request.query_params))


def _validate(model: type[M], value: dict[str, Any]) -> M:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise Malformed(Code.INVALID, explain(error)) from None
