"""The WebSocket door of a case: hello, auth, join, and then one frame after the other."""

import asyncio
from collections.abc import Callable
from typing import assert_never

import structlog
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from auth.errors import KeysUnavailable, Unauthenticated
from auth.principal import Principal
from auth.tokens import Verifier
from hub.client_frames import (
    Auth,
    History,
    Ping,
    Pong,
    Read,
    ReadingFrame,
    Token,
    Typing,
    WriteFrame,
    parse_frame,
)
from hub.close_codes import CLOSE_ON_JOIN, CloseCode
from hub.connection import Connection, Limits
from hub.manager import ConnectionManager
from hub.rate_limit import rate_limited
from hub.server_frames import (
    Ack,
    Error,
    Hello,
    PongFrame,
    Ready,
    Reset,
    State,
    WebSocketCodec,
    You,
    instant,
    page_text,
)
from rooms.core import RoomState, audience_of
from rooms.cursor import parse_cursor
from rooms.encoding import timestamp, to_json
from rooms.errors import Code, Malformed, Rejected, RoomError, Unavailable
from rooms.events import Audience
from rooms.service import Joined, Rooms

BAD_FRAMES = 10
"""Frames that are no JSON object, after which a socket is closed."""

logger = structlog.get_logger()


class _Gone(Exception):
    """The client has closed the socket."""


class RoomDoor:
    """Serves `/api/v1/cases/{case}/ws`."""

    def __init__(
        self,
        rooms: Rooms,
        verifier: Verifier,
        manager: ConnectionManager,
        limits: Limits,
        *,
        origins: frozenset[str],
        new_id: Callable[[str], str],
    ) -> None:
        self._rooms = rooms
        self._verifier = verifier
        self._manager = manager
        self._limits = limits
        self._origins = origins
        self._new_id = new_id
        self._codec = WebSocketCodec()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one socket from its handshake to its end."""
        websocket = WebSocket(scope, receive, send)
        address = websocket.client.host if websocket.client else ""
        origin = websocket.headers.get("origin")
        if origin is not None and origin not in self._origins:
            await _deny(websocket, 403, Code.FORBIDDEN, "This origin is not allowed.")
        elif self._manager.draining:
            await _deny(websocket, 503, Code.UNAVAILABLE, "The hub restarts. Come back.")
        elif not self._manager.knock(address):
            await _deny(websocket, 429, Code.RATE_LIMITED, "Too many sockets wait for `auth`.")
        else:
            await self._serve(websocket, address)

    async def _serve(self, websocket: WebSocket, address: str) -> None:
        connection: Connection | None = None
        try:
            try:
                await websocket.accept()
                connection = self._open(websocket)
                joined = await self._enter(websocket, connection)
            finally:
                self._manager.knocked(address)
            if joined is not None:
                await self._converse(websocket, connection, joined)
        except _Gone:
            pass
        except Exception:
            if connection is None:
                raise
            logger.exception("socket_failed", conn=connection.id, case=connection.case)
            connection.end(CloseCode.INTERNAL, "Something failed here. Come back and resume.")
        finally:
            if connection is not None:
                self._leave(connection)

    def _open(self, websocket: WebSocket) -> Connection:
        socket = websocket.scope["extensions"]["hub.socket"]
        connection = Connection(
            self._new_id("c"),
            websocket.path_params["case"],
            socket,
            self._codec,
            self._limits,
            self._manager,
        )
        socket.listener = connection
        self._manager.open(connection)
        connection.send(
            Hello(
                v=1,
                conn=connection.id,
                auth_within=self._limits.auth_within,
                heartbeat=self._limits.heartbeat,
                max_frame=self._limits.max_frame,
                now=timestamp(self._manager.now()),
            )
        )
        return connection

    def _leave(self, connection: Connection) -> None:
        connection.closed = True
        if connection.subscription is not None:
            connection.subscription.close()
        self._manager.close(connection)
        self._rooms.depart(connection.case, connection.id)

    # Entering.

    async def _enter(self, websocket: WebSocket, connection: Connection) -> Joined | None:
        try:
            async with asyncio.timeout(self._limits.auth_within):
                text = await _receive(websocket)
        except TimeoutError:
            connection.end(CloseCode.NO_AUTH, "Send `auth` as the first frame, and in time.")
            return None
        try:
            return await self._join(connection, _auth_frame(text))
        except RoomError as error:
            code = CLOSE_ON_JOIN.get(error.code, CloseCode.BAD_FRAMES)
            connection.send(_error(error, None))
            connection.end(code, error.message)
            return None

    async def _join(self, connection: Connection, frame: Auth) -> Joined | None:
        by = await self._verify(connection, frame.token, frame.tenant)
        by = await self._rooms.identify(by)
        after = None if frame.after is None else parse_cursor(frame.after)
        joined = await self._rooms.join(
            connection.case, by, audience_of(by), connection, after=after, tail=frame.tail
        )
        connection.subscription = joined.subscription
        if not self._manager.enter(connection, by):
            connection.end(CloseCode.TOO_MANY, "You have too many sockets open. Close one.")
            return None
        if joined.reset is not None:
            connection.send(Reset(case=connection.case, reason=joined.reset))
        connection.send(_ready(by, joined))
        return joined

    async def _verify(self, connection: Connection, token: str, tenant: str | None) -> Principal:
        try:
            return await self._verifier.verify(token, tenant)
        except Unauthenticated as refusal:
            logger.info("token_refused", conn=connection.id, reason=refusal.reason)
            raise Rejected(Code.UNAUTHENTICATED, "The token was not accepted.") from None
        except KeysUnavailable as failure:
            logger.warning("keys_unavailable", conn=connection.id, reason=str(failure))
            raise Unavailable("Tokens cannot be verified now. Try again.") from None

    # Conversing.

    async def _converse(self, websocket: WebSocket, connection: Connection, joined: Joined) -> None:
        audience = audience_of(_principal(connection))
        state = joined.state
        connection.head = lambda: self._rooms.head(connection.case, audience)
        connection.on_live = lambda: self._arrive(connection, state)
        connection.renewed()
        try:
            await joined.subscription.start(joined.start)
        except Unavailable as error:
            connection.end(CloseCode.INTERNAL, error.message)
        while not connection.closed:
            text = await _receive(websocket)
            connection.heard()
            await connection.drained()
            if connection.closed:
                break
            await self._take(connection, text)
            connection.answered()
            if self._manager.draining:
                self._manager.send_away(connection)

    def _arrive(self, connection: Connection, state: RoomState) -> None:
        by = _principal(connection)
        self._rooms.arrive(connection.case, connection.id, by)
        if by.is_staff:
            frame = self._rooms.presence_frame(connection.case)
        else:
            frame = self._rooms.patient_presence_frame(state)
        connection.send_text(to_json(frame))

    async def _take(self, connection: Connection, text: str | None) -> None:
        key: str | None = None
        try:
            if text is None:
                raise Malformed(Code.BAD_FRAME, "Send text frames, not binary ones.")
            frame = parse_frame(text)
            key = frame.key
            self._throttle(connection, isinstance(frame, WriteFrame))
            if isinstance(frame, WriteFrame):
                key = key or self._new_id("key")
                await self._write(connection, frame, key)
            else:
                await self._handle(connection, frame)
        except RoomError as error:
            if isinstance(error, Malformed):
                connection.throttle(False)
            self._refuse(connection, error, key)
        except Exception:
            logger.exception("frame_failed", conn=connection.id, case=connection.case)
            failure = RoomError(Code.INTERNAL, "Something failed here. Try again.")
            self._refuse(connection, failure, key)

    def _throttle(self, connection: Connection, writes: bool) -> None:
        if wait := connection.throttle(writes):
            raise rate_limited("frames", wait)

    def _refuse(self, connection: Connection, error: RoomError, key: str | None) -> None:
        connection.send(_error(error, key))
        if error.code is Code.BAD_FRAME:
            connection.bad_frames += 1
            if connection.bad_frames >= BAD_FRAMES:
                connection.end(CloseCode.BAD_FRAMES, "Too many frames were not JSON objects.")

    async def _write(self, connection: Connection, frame: WriteFrame, key: str) -> None:
        by = _principal(connection)
        receipt = await self._rooms.handle(
            connection.case, frame.command(), by, key, echo=frame.key is not None
        )
        ack = Ack(
            key=key,
            seq=receipt.cursor.seq,
            id=receipt.id,
            cursor=str(receipt.cursor),
            at=timestamp(receipt.at),
        )
        connection.send(ack.model_copy(update={"dup": True}) if receipt.dup else ack)

    async def _handle(self, connection: Connection, frame: ReadingFrame) -> None:
        by = _principal(connection)
        match frame:
            case Typing(on=on, where=where):
                if where == "note" and not by.is_staff:
                    raise Rejected(Code.FORBIDDEN, "Only staff may do this.")
                self._rooms.typing(connection.case, by, on, in_note=where == "note")
            case Read(seq=seq):
                await self._rooms.read(connection.case, by, seq)
            case History():
                await self._history(connection, frame, audience_of(by))
            case Ping(key=key):
                connection.send(PongFrame() if key is None else PongFrame(key=key))
            case Pong():
                connection.ponged()
            case Token():
                await self._renew(connection, frame, by)
            case Auth():
                raise Rejected(Code.CONFLICT, "You are in already. Renew a token with `token`.")
            case _:
                assert_never(frame)

    async def _history(self, connection: Connection, frame: History, audience: Audience) -> None:
        page = await self._rooms.history(connection.case, audience, frame.before, frame.limit)
        connection.send_text(page_text(frame.key, connection.case, page.frames, page.more))

    async def _renew(self, connection: Connection, frame: Token, by: Principal) -> None:
        renewed = await self._verify(connection, frame.token, by.tenant)
        renewed = await self._rooms.identify(renewed)
        same = (renewed.id, renewed.role, renewed.patient_id) == (by.id, by.role, by.patient_id)
        if not same:
            raise Rejected(Code.FORBIDDEN, "The token is of somebody else. Open a new socket.")
        later = renewed.expires_at is not None and (
            by.expires_at is None or renewed.expires_at > by.expires_at
        )
        if not later:
            raise Rejected(Code.CONFLICT, "The token expires no later than the one in use.")
        connection.principal = renewed
        connection.renewed()
        connection.send(Ack(key=frame.key or self._new_id("key"), exp=instant(renewed.expires_at)))


def _auth_frame(text: str | None) -> Auth:
    frame = None if text is None else parse_frame(text)
    if not isinstance(frame, Auth):
        raise Malformed(Code.BAD_FRAME, "Send `auth` as the first frame.")
    return frame


def _principal(connection: Connection) -> Principal:
    assert connection.principal is not None  # noqa: S101 - nothing is served before `auth`
    return connection.principal


def _ready(by: Principal, joined: Joined) -> Ready:
    state = joined.state
    exp = instant(by.expires_at)
    return Ready.model_validate(
        {
            "case": state.case,
            "you": You(id=by.id, role=by.role.value, name=by.name),
            "head": str(joined.head),
            "from": joined.start.seq + 1,
            "resumed": joined.resumed,
            **({} if exp is None else {"exp": exp}),
            "state": State(
                control=state.control,
                status=state.status,
                coordinator=state.owner_name,
                run=None,
            ),
        }
    )


def _error(error: RoomError, key: str | None) -> Error:
    members = {**error.details, "code": error.code, "message": error.message}
    if key is not None:
        members["key"] = key
    return Error.model_validate(members)


async def _receive(websocket: WebSocket) -> str | None:
    """Give the next text message; None for a binary one."""
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise _Gone
    text: str | None = message.get("text")
    return text


async def _deny(websocket: WebSocket, status: int, code: Code, message: str) -> None:
    body = {"error": {"code": code, "message": message}}
    headers = {"Retry-After": "2"} if status in (429, 503) else {}
    await websocket.send_denial_response(JSONResponse(body, status, headers=headers))
