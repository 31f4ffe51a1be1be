"""What every WebSocket door does: hello, auth in time, and then one frame after the other."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import structlog
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from auth.errors import KeysUnavailable, Unauthenticated
from auth.principal import Principal
from auth.tokens import Verifier
from hub.client_frames import (
    CLIENT_FRAMES,
    AnyFrame,
    DeskAuth,
    Ping,
    Pong,
    RoomFrame,
    Token,
    WriteFrame,
    parse_frame,
)
from hub.close_codes import CLOSE_ON_JOIN, HTTP_STATUS, CloseCode
from hub.connection import Connection, Limits
from hub.manager import ConnectionManager
from hub.rate_limit import rate_limited
from hub.server_frames import Ack, Error, Hello, PongFrame, WebSocketCodec, instant
from rooms.encoding import timestamp
from rooms.errors import Code, Malformed, Rejected, RoomError, Unavailable
from rooms.service import Rooms

BAD_FRAMES = 10
"""Frames that are no JSON object, after which a socket is closed."""

Begin: TypeAlias = Callable[[], Awaitable[None]]
"""What is done first for a client that was let in; it may raise Unavailable."""

logger = structlog.get_logger()


class _Gone(Exception):
    """The client has closed the socket."""


class Door(ABC):
    """Serves the sockets of one address; a subclass knows what lies behind it."""

    frames: Mapping[str, type[AnyFrame]] = CLIENT_FRAMES
    """What clients may send here."""

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
        refusal = self._refusal(websocket, address)
        if refusal is None:
            await self._serve(websocket, address)
        else:
            await _deny(websocket, refusal)

    # What lies behind the door.

    def _shut(self) -> RoomError | None:
        """Tell why nobody at all may enter."""
        return None

    @abstractmethod
    async def _join(self, connection: Connection, by: Principal, frame: DeskAuth) -> Begin | None:
        """Let a client in, or turn it away; None: it was told why.

        Raises:
            RoomError: it may not enter, or the hub cannot let it in now.

        """

    @abstractmethod
    async def _take(self, connection: Connection, frame: RoomFrame, key: str | None) -> None:
        """Handle a frame that only this place understands.

        Raises:
            RoomError: the answer to it.

        """

    @abstractmethod
    def _left(self, connection: Connection) -> None:
        """Note that a client is gone, whether it had been let in or not."""

    # Entering.

    def _refusal(self, websocket: WebSocket, address: str) -> RoomError | None:
        """Tell why there is no upgrade; None: the address is counted, and must be uncounted."""
        origin = websocket.headers.get("origin")
        if origin is not None and origin not in self._origins:
            return Rejected(Code.FORBIDDEN, "This origin is not allowed.")
        if (shut := self._shut()) is not None:
            return shut
        if self._manager.draining:
            return Unavailable("The hub restarts. Come back.")
        if not self._manager.knock(address):
            return Rejected(Code.RATE_LIMITED, "Too many sockets wait for `auth`.")
        return None

    async def _serve(self, websocket: WebSocket, address: str) -> None:
        connection: Connection | None = None
        try:
            try:
                await websocket.accept()
                connection = self._open(websocket)
                begin = await self._enter(websocket, connection)
            finally:
                self._manager.knocked(address)
            if begin is not None:
                await self._converse(websocket, connection, begin)
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
            websocket.path_params.get("case", ""),
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
                auth_within=_plain(self._limits.auth_within),
                heartbeat=_plain(self._limits.heartbeat),
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
        self._left(connection)

    async def _enter(self, websocket: WebSocket, connection: Connection) -> Begin | None:
        try:
            async with asyncio.timeout(self._limits.auth_within):
                text = await _receive(websocket)
        except TimeoutError:
            connection.end(CloseCode.NO_AUTH, "Send `auth` as the first frame, and in time.")
            return None
        try:
            frame = self._auth_frame(text)
            by = await self._identify(connection, frame.token, frame.tenant)
            return await self._join(connection, by, frame)
        except RoomError as error:
            code = CLOSE_ON_JOIN.get(error.code, CloseCode.BAD_FRAMES)
            turn_away(connection, error, code)
            return None

    def _auth_frame(self, text: str | None) -> DeskAuth:
        frame = None if text is None else parse_frame(text, self.frames)
        if not isinstance(frame, DeskAuth):
            raise Malformed(Code.BAD_FRAME, "Send `auth` as the first frame.")
        return frame

    async def _identify(self, connection: Connection, token: str, tenant: str | None) -> Principal:
        try:
            by = await self._verifier.verify(token, tenant)
        except Unauthenticated as refusal:
            logger.info("token_refused", conn=connection.id, reason=refusal.reason)
            raise Rejected(Code.UNAUTHENTICATED, "The token was not accepted.") from None
        except KeysUnavailable as failure:
            logger.warning("keys_unavailable", conn=connection.id, reason=str(failure))
            raise Unavailable("Tokens cannot be verified now. Try again.") from None
        return await self._rooms.identify(by)

    def _admit(self, connection: Connection, by: Principal) -> bool:
        """Count the socket of a client that may enter; False: it was told that it has too many."""
        if self._manager.enter(connection, by):
            return True
        connection.end(CloseCode.TOO_MANY, "You have too many sockets open. Close one.")
        return False

    # Conversing.

    async def _converse(self, websocket: WebSocket, connection: Connection, begin: Begin) -> None:
        connection.renewed()
        try:
            await begin()
        except Unavailable as error:
            connection.end(CloseCode.INTERNAL, error.message)
        while not connection.closed:
            text = await _receive(websocket)
            connection.heard()
            await connection.drained()
            if connection.closed:
                break
            await self._answer(connection, text)
            connection.answered()
            if self._manager.draining:
                self._manager.send_away(connection)

    async def _answer(self, connection: Connection, text: str | None) -> None:
        key: str | None = None
        try:
            if text is None:
                raise Malformed(Code.BAD_FRAME, "Send text frames, not binary ones.")
            frame = parse_frame(text, self.frames)
            key = frame.key
            writes = isinstance(frame, WriteFrame)
            self._throttle(connection, writes)
            if writes:
                key = key or self._new_id("key")
            await self._handle(connection, frame, key)
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

    async def _handle(self, connection: Connection, frame: AnyFrame, key: str | None) -> None:
        match frame:
            case Ping():
                connection.send(PongFrame() if key is None else PongFrame(key=key))
            case Pong(seq=seq):
                connection.ponged(seq)
            case Token():
                await self._renew(connection, frame)
            case DeskAuth():
                raise Rejected(Code.CONFLICT, "You are in already. Renew a token with `token`.")
            case _:
                await self._take(connection, frame, key)

    async def _renew(self, connection: Connection, frame: Token) -> None:
        by = principal(connection)
        renewed = await self._identify(connection, frame.token, by.tenant)
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


def principal(connection: Connection) -> Principal:
    """Give who is at the other end, once that is known."""
    assert connection.principal is not None  # noqa: S101 - nothing is served before `auth`
    return connection.principal


def turn_away(connection: Connection, error: RoomError, code: CloseCode) -> None:
    """Tell a client why it is not let in, and close its socket."""
    connection.send(_error(error, None))
    connection.end(code, error.message)


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


async def _deny(websocket: WebSocket, refusal: RoomError) -> None:
    status = HTTP_STATUS[refusal.code]
    body = {"error": {"code": refusal.code, "message": refusal.message}}
    headers = {"Retry-After": "2"} if status in (429, 503) else {}
    await websocket.send_denial_response(JSONResponse(body, status, headers=headers))


def _plain(seconds: float) -> int | float:
    return int(seconds) if seconds.is_integer() else seconds
