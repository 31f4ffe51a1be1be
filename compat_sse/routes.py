"""The doors of the SSE layer: two streams of a case, both for the patient's audience.

Invariant: whoever asks, a member of staff too, gets what the patient may see and nothing else.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp

from auth.principal import Principal
from compat_sse.dialects import Dialect, FeedDialect, MessageDialect, opening
from compat_sse.names import Names
from compat_sse.refusals import REFUSALS, draining, refusal, too_many
from compat_sse.stream import EventStream, Outbox
from rooms.cursor import Cursor, parse_cursor
from rooms.errors import Malformed, ResetReason
from rooms.events import Audience
from rooms.service import Joined, Rooms

PREFIXES: Final = ("/api/v1", "")
RETRY_MS: Final = 2_000
RETRY_SPREAD_MS: Final = 1_500
EXPIRY_GRACE_S: Final = 30.0
"""How long a stream outlives its token."""
FAREWELL_S: Final = 1.0
"""How long a drain waits for a client that does not read."""


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
        self._of_user: Counter[tuple[str, str]] = Counter()
        self._open: set[EventStream] = set()
        self._draining = False

    def routes(self) -> list[Route]:
        return [
            _get_only(prefix + path, endpoint)
            for prefix in PREFIXES
            for path, endpoint in (
                ("/cases/{case}/messages/stream", self._stream_messages),
                ("/cases/{case}/stream", self._stream_feed),
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

    async def _stream_messages(self, request: Request) -> ASGIApp:
        return await self._answer(request, self._messages)

    async def _stream_feed(self, request: Request) -> ASGIApp:
        return await self._answer(request, self._feed)

    async def _answer(self, request: Request, dialect: Dialect) -> ASGIApp:
        try:
            self._refuse_while_draining()
            by = await self._rooms.identify(await self._authenticate(request))
            # What was begun for a stream that does not come about is undone on the way out.
            with ExitStack() as cleanup:
                self._admit(by, cleanup)
                return await self._start(request, dialect, by, cleanup)
        except REFUSALS as error:
            return refusal(error)

    async def _start(
        self, request: Request, dialect: Dialect, by: Principal, cleanup: ExitStack
    ) -> EventStream:
        """Join and begin the replay before the response begins, so that a failure has a status."""
        case = request.path_params["case"]
        after, reset = _cursor_of(request)
        outbox = Outbox(dialect)
        joined = await self._rooms.join(case, by, Audience.PATIENT, outbox, after=after, tail=0)
        cleanup.callback(joined.subscription.close)
        retry = RETRY_MS + int(self._random() * RETRY_SPREAD_MS)
        outbox.write(opening(dialect, self._names, joined, reset or joined.reset, retry))
        outbox.greet = partial(self._greeting, dialect, joined)
        await joined.subscription.start(joined.start)
        self._refuse_while_draining()
        self._arrive(case, by, cleanup)
        return self._opened(outbox, joined, by, cleanup)

    def _opened(
        self, outbox: Outbox, joined: Joined, by: Principal, cleanup: ExitStack
    ) -> EventStream:
        owned = cleanup.pop_all()
        stream = EventStream(
            outbox,
            joined.subscription,
            owned,
            lasts=self._lifetime(by),
            heartbeat=self._heartbeat,
            stall=self._stall,
        )
        self._open.add(stream)
        owned.callback(self._open.discard, stream)
        return stream

    def _refuse_while_draining(self) -> None:
        if self._draining:
            raise draining()

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

    def _arrive(self, case: str, by: Principal, cleanup: ExitStack) -> None:
        # Staff who look at the patient's view are not in the room: they cannot be talked to.
        if not by.is_staff:
            connection = self._new_id("c")
            self._rooms.arrive(case, connection, by)
            cleanup.callback(self._rooms.depart, case, connection)

    def _greeting(self, dialect: Dialect, joined: Joined, position: Cursor) -> bytes:
        presence = self._rooms.patient_presence_frame(joined.state)
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


def _cursor_of(request: Request) -> tuple[Cursor | None, ResetReason | None]:
    """Read where the client wants to resume; a reason if that cannot be understood."""
    # EventSource repeats the URL when it reconnects, so the header is the newer one.
    text = request.headers.get("last-event-id") or request.query_params.get("last_event_id")
    if not text:
        return None, None
    try:
        return parse_cursor(text), None
    except Malformed:
        return None, ResetReason.MISMATCH
