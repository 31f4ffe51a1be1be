"""The doors of the SSE layer: three streams of a case, all for the patient's audience.

Invariant: whoever asks, a member of staff too, gets what the patient may see and nothing else.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from auth.principal import Principal
from compat_sse.chat import ChatOutbox
from compat_sse.chat_dialect import ChatDialect
from compat_sse.dialects import Dialect, FeedDialect, MessageDialect, opening
from compat_sse.names import Names
from compat_sse.refusals import REFUSALS, SwitchedOff, draining, refusal, too_many
from compat_sse.stream import EventStream, Outbox, encode_retry
from rooms.cursor import Cursor, parse_cursor
from rooms.errors import Malformed, ResetReason
from rooms.events import Audience
from rooms.service import Joined, Rooms
from rooms.visits import Way

PREFIXES: Final = ("/api/v1", "")
RETRY_MS: Final = 2_000
RETRY_SPREAD_MS: Final = 1_500
EXPIRY_GRACE_S: Final = 30.0
"""How long a stream outlives its token."""
FAREWELL_S: Final = 1.0
"""How long a drain waits for a client that does not read."""

Begin = Callable[[Request, Principal, ExitStack], Awaitable[ASGIApp]]
"""Opens a stream for somebody; what must be undone at its end goes to the exit stack."""


class SseRoutes:
    """Opens the streams of this process, counts them and ends them."""

    def __init__(
        self,
        rooms: Rooms,
        authenticate: Callable[[Request], Awaitable[Principal]],
        *,
        now: Callable[[], datetime],
        new_id: Callable[[str], str],
        random: Callable[[], float],
        names: Names | None = None,
        heartbeat: float = 15.0,
        rotation: float = 300.0,
        stall: float = 10.0,
        per_user: int = 20,
    ) -> None:
        """Make the routes; call `routes` for them.

        Args:
            rooms: must be running while a stream is open.
            authenticate: gives the principal of a request, or raises Unauthenticated,
                KeysUnavailable or Unavailable.
            now: aware UTC; what token expiry is measured by.
            new_id: makes an id from a prefix.
            random: a number in [0, 1).
            names: the event names.
            heartbeat: seconds without a byte after which a comment is sent.
            rotation: seconds after which a stream ends, give or take a tenth.
            stall: seconds in which a client must take what is sent.
            per_user: most streams of one user in this process.

        """
        self._rooms = rooms
        self._authenticate = authenticate
        self._now = now
        self._new_id = new_id
        self._random = random
        self._names = names or Names()
        self._heartbeat = heartbeat
        self._rotation = rotation
        self._stall = stall
        self._per_user = per_user
        # One object each for all readers: a record keeps its encoding by codec.
        self._messages = MessageDialect(self._names)
        self._feed = FeedDialect()
        self._chat = ChatDialect(self._names)
        self._of_user: Counter[tuple[str, str]] = Counter()
        self._open: dict[EventStream, Principal] = {}
        """The streams, each with who listens."""
        self._draining = False

    def routes(self) -> list[Route]:
        return [
            _get_only(prefix + path, partial(self._answer, begin))
            for prefix in PREFIXES
            for path, begin in (
                ("/cases/{case}/chat/stream", self._begin_chat),
                ("/cases/{case}/messages/stream", partial(self._begin, self._messages)),
                ("/cases/{case}/stream", partial(self._begin, self._feed)),
            )
        ]

    @property
    def count(self) -> int:
        """How many streams are open in this process."""
        return len(self._open)

    def drain(self) -> None:
        """End all streams and refuse new ones. Clients resume at another process.

        Returns at once; `count` is 0 a moment later, and after a second at the latest.
        """
        self._draining = True
        for stream in list(self._open):
            stream.end(FAREWELL_S)

    def obey_flags(self) -> None:
        """End the streams of the tenants that have none any more."""
        for stream, by in list(self._open.items()):
            if not self._rooms.flags.policy(by.tenant).sse:
                stream.end(FAREWELL_S)

    def turn_out(self, must_go: Callable[[Principal], bool]) -> None:
        """End the streams of those who must go."""
        for stream, by in list(self._open.items()):
            if must_go(by):
                stream.end(FAREWELL_S)

    async def _answer(self, begin: Begin, request: Request) -> ASGIApp:
        try:
            self._refuse_while_draining()
            by = await self._rooms.identify(await self._authenticate(request))
            self._refuse_where_switched_off(by)
            # What was begun for a stream that does not come about is undone on the way out.
            with ExitStack() as cleanup:
                self._admit(by, cleanup)
                return await begin(request, by, cleanup)
        except REFUSALS as error:
            return refusal(error)

    async def _begin(
        self, dialect: Dialect, request: Request, by: Principal, cleanup: ExitStack
    ) -> ASGIApp:
        after, reset = _cursor_of(request)
        outbox = Outbox(dialect)
        joined = await self._join(request, by, outbox, after, cleanup)
        outbox.write(opening(dialect, self._names, joined, reset or joined.reset, self._retry()))
        outbox.greet = partial(self._greeting, dialect, joined)
        outbox.draft = partial(dialect.draft, joined.state.case)
        whole = dialect is self._feed
        self._arrive(joined.state.case, by, cleanup, whole=whole)
        way = Way.STREAM if whole else Way.MESSAGES
        return await self._start(outbox, joined, by, way, cleanup)

    async def _begin_chat(self, request: Request, by: Principal, cleanup: ExitStack) -> ASGIApp:
        outbox = ChatOutbox(self._chat, request.path_params["case"], self._rooms.log)
        joined = await self._join(request, by, outbox, None, cleanup)
        if not await outbox.begin(_last_event_id(request), joined.state.run):
            # EventSource comes back after each end of a stream, until it is told this.
            return Response(status_code=204, headers={"Cache-Control": "no-store"})
        outbox.write(encode_retry(self._retry()))
        self._arrive(joined.state.case, by, cleanup, whole=False)
        return await self._start(outbox, joined, by, Way.ANSWERS, cleanup)

    async def _join(
        self,
        request: Request,
        by: Principal,
        outbox: Outbox,
        after: Cursor | None,
        cleanup: ExitStack,
    ) -> Joined:
        case = request.path_params["case"]
        joined = await self._rooms.join(case, by, Audience.PATIENT, outbox, after=after, tail=0)
        cleanup.callback(joined.subscription.close)
        return joined

    async def _start(
        self, outbox: Outbox, joined: Joined, by: Principal, way: Way, cleanup: ExitStack
    ) -> EventStream:
        """Begin the replay before the response begins, so that a failure has a status."""
        await joined.subscription.start(joined.start)
        self._refuse_while_draining()
        self._refuse_where_switched_off(by)
        owned = cleanup.pop_all()
        stream = EventStream(
            outbox,
            joined.subscription,
            owned,
            lasts=self._lifetime(by),
            heartbeat=self._heartbeat,
            stall=self._stall,
        )
        self._open[stream] = by
        owned.callback(self._open.pop, stream)
        visit = self._rooms.visits.begin(
            self._new_id("c"),
            joined.state.case,
            by,
            way,
            joined.subscription,
            joined.start.seq,
            resumed=joined.resumed,
        )
        owned.callback(self._rooms.visits.end, visit)
        return stream

    def _retry(self) -> int:
        return RETRY_MS + int(self._random() * RETRY_SPREAD_MS)

    def _refuse_while_draining(self) -> None:
        if self._draining:
            raise draining()

    def _refuse_where_switched_off(self, by: Principal) -> None:
        if not self._rooms.flags.policy(by.tenant).sse:
            raise SwitchedOff

    def _admit(self, by: Principal, cleanup: ExitStack) -> None:
        user = (by.tenant, by.id)
        if self._of_user[user] >= self._per_user:
            raise too_many(self._per_user)
        self._of_user[user] += 1
        cleanup.callback(self._leave, user)

    def _leave(self, user: tuple[str, str]) -> None:
        self._of_user[user] -= 1
        if not self._of_user[user]:
            del self._of_user[user]

    def _arrive(self, case: str, by: Principal, cleanup: ExitStack, *, whole: bool) -> None:
        """Note who listens, to the whole feed or to a part of it."""
        # Staff who look at a part of what the patient sees cannot be talked to.
        if whole or not by.is_staff:
            connection = self._new_id("c")
            self._rooms.arrive(case, connection, by)
            cleanup.callback(self._rooms.depart, case, connection)

    def _greeting(self, dialect: Dialect, joined: Joined, position: Cursor) -> bytes:
        presence = self._rooms.patient_presence_frame(joined.state.case)
        return dialect.caught_up(joined.state.case, position, presence)

    def _lifetime(self, by: Principal) -> float:
        """Give the seconds after which a stream ends: in due turn, or with its token."""
        # Streams that began together, after a restart, do not end together.
        lasts = self._rotation * (0.9 + 0.2 * self._random())
        if by.expires_at is None:
            return lasts
        return min(lasts, (by.expires_at - self._now()).total_seconds() + EXPIRY_GRACE_S)


def _get_only(path: str, endpoint: Callable[[Request], Awaitable[ASGIApp]]) -> Route:
    route = Route(path, endpoint, methods=["GET"])
    # Starlette adds HEAD, and a HEAD of a stream would hang until it rotates.
    route.methods = {"GET"}
    return route


def _last_event_id(request: Request) -> str:
    # EventSource repeats the URL when it reconnects, so the header is the newer one.
    header = request.headers.get("last-event-id")
    return header or request.query_params.get("last_event_id") or ""


def _cursor_of(request: Request) -> tuple[Cursor | None, ResetReason | None]:
    """Read where the client wants to resume; a reason if that cannot be understood."""
    text = _last_event_id(request)
    if not text:
        return None, None
    try:
        return parse_cursor(text), None
    except Malformed:
        return None, ResetReason.MISMATCH
