"""What the REST endpoints share: who asks, idempotency keys, limits, errors and answers."""

import math
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import structlog
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from auth.errors import KeysUnavailable, Unauthenticated
from auth.principal import Principal, Role
from auth.tokens import Verifier
from hub.client_frames import Key, explain, parse_object
from hub.close_codes import HTTP_STATUS
from hub.rate_limit import UserBuckets, rate_limited
from rooms.encoding import timestamp
from rooms.errors import Code, CursorLost, Malformed, RoomError, Unavailable
from rooms.log import Receipt
from rooms.service import Rooms

Endpoint = Callable[[Request, Principal], Awaitable[Response]]
M = TypeVar("M", bound=BaseModel)

logger = structlog.get_logger()


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
        self._rooms.notice(by)
        return await self._rooms.identify(by)

    def confirm(self, by: Principal) -> None:
        """Look again at a token that was good when its request began.

        Raises:
            Unauthenticated: it was revoked while the request came in.

        """
        if self._rooms.revocations.covers(by):
            raise Unauthenticated("revoked")

    async def _bearer(self, request: Request) -> Principal:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        tenant = request.headers.get("x-tenant-id")
        if scheme.lower() != "bearer" or tenant is None:
            raise Unauthenticated("Authorization: Bearer and X-Tenant-ID are required")
        return await self._verifier.verify(token.strip(), tenant)


class Endpoints:
    """What every REST endpoint shares: who asks, how often, by which key, and the errors."""

    def __init__(
        self,
        authenticate: Authenticator,
        *,
        new_id: Callable[[str], str],
        writes: UserBuckets,
        signals: UserBuckets,
    ) -> None:
        """Make endpoints; what one user may write and signal is limited, back ends excepted."""
        self._authenticate = authenticate
        self._new_id = new_id
        self._writes = writes
        self._signals = signals

    def route(self, method: str, path: str, endpoint: Endpoint) -> Route:
        return Route(path, self._guarded(endpoint), methods=[method])

    def throttle(self, by: Principal, *, writes: bool = True) -> None:
        """Count a write or a signal, when all of its request is there.

        Raises:
            Rejected: there were too many.
            Unauthenticated: the token was revoked while the request came in.

        """
        self._authenticate.confirm(by)
        buckets = self._writes if writes else self._signals
        wait = 0.0 if by.role is Role.SERVICE else buckets.take(by.tenant, by.id)
        if wait:
            raise rate_limited("writes" if writes else "signals", wait)

    def key(self, request: Request) -> tuple[str, bool]:
        """Give the idempotency key of a request, and whether its sender chose it."""
        given = request.headers.get("idempotency-key")
        if given is None:
            return self._new_id("key"), False
        try:
            return _KEY.validate_python(given), True
        except ValidationError as error:
            raise Malformed(Code.INVALID, f"Idempotency-Key: {explain(error)}") from None

    def _guarded(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
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


def created(receipt: Receipt, members: dict[str, Any]) -> JSONResponse:
    body = {
        "case": receipt.case,
        **members,
        **({} if receipt.id is None else {"id": receipt.id}),
        "seq": receipt.cursor.seq,
        "cursor": str(receipt.cursor),
        "at": timestamp(receipt.at),
    }
    stored = receipt.id is not None and not receipt.dup
    return JSONResponse({**body, "dup": True} if receipt.dup else body, 201 if stored else 200)


def json_response(text: str) -> Response:
    return Response(text, media_type="application/json")


def case_of(request: Request) -> str:
    return str(request.path_params["case"])


async def read_object(request: Request) -> dict[str, Any]:
    body = await request.body()
    return parse_object(body) if body else {}


def read_query(request: Request, model: type[M]) -> M:
    return validated(model, dict(request.query_params))


def validated(model: type[M], value: dict[str, Any]) -> M:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise Malformed(Code.INVALID, explain(error)) from None
