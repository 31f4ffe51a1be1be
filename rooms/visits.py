"""Who reads a room, in which way, and how far each has come: for whoever asks why.

Nothing is counted for a message. What a reader was given follows from where its subscription
stands; when it goes, that is kept for a while.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from auth.principal import Principal
from rooms.events import Audience
from rooms.feed import Subscription

KEPT: Final = 20_000
"""Most visits that are remembered after their end, and most people who poll."""
KEPT_FOR: Final = timedelta(hours=2)


class Way(StrEnum):
    """How somebody reads a room."""

    WEBSOCKET = "websocket"
    STREAM = "stream"
    """SSE, with every event of the patient's view."""
    MESSAGES = "messages"
    """SSE, with messages alone."""
    ANSWERS = "answers"
    """SSE, with the answers of the AI alone."""
    POLLING = "polling"
    """REST: the last request."""


@dataclass(eq=False, slots=True)
class Visit:
    """Somebody in a room, by one connection, stream or series of requests."""

    conn: str
    """Empty for requests."""
    case: str
    user: str
    role: str
    audience: Audience
    way: Way
    start: int
    """It was given what comes after this `seq`."""
    resumed: bool
    """`start` is what its client said that it has."""
    entered: datetime
    left: datetime | None = None
    """None: it is here."""
    code: int | None = None
    """With what the hub closed the socket; None: it did not."""
    applied: int | None = None
    """The `seq` that its client confirmed last; None: it never did."""
    applied_at: datetime | None = None
    reached: int = 0
    """Up to which `seq` it was written until its end."""
    subscription: Subscription | None = None
    """None: it has ended."""

    @property
    def written(self) -> int:
        """Up to which `seq` it was written."""
        reached = self.reached if self.subscription is None else self.subscription.reached.seq
        return max(self.start, reached)

    def confirm(self, seq: int, at: datetime) -> None:
        """Note what its client says that it has applied."""
        self.applied, self.applied_at = seq, at


class Visits:
    """The visits to the rooms of this process: those that last, and for a while the others."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._here: set[Visit] = set()
        self._ended: deque[Visit] = deque(maxlen=KEPT)
        self._polls: dict[tuple[str, str, Audience], Visit] = {}
        """The last request of each who polls a case; the newest is the last."""

    def begin(
        self,
        conn: str,
        case: str,
        by: Principal,
        way: Way,
        subscription: Subscription,
        start: int,
        *,
        resumed: bool,
    ) -> Visit:
        """Note that somebody reads a room; whoever calls this calls `end` at last."""
        visit = Visit(
            conn,
            case,
            by.id,
            by.role.value,
            subscription.audience,
            way,
            start,
            resumed,
            entered=self._now(),
            subscription=subscription,
        )
        self._here.add(visit)
        return visit

    def end(self, visit: Visit, code: int | None = None) -> None:
        """Note that somebody is gone."""
        self._here.discard(visit)
        visit.left, visit.code = self._now(), code
        visit.reached, visit.subscription = visit.written, None
        self._ended.append(visit)
        while self._ended and self._is_old(self._ended[0]):
            self._ended.popleft()

    def poll(
        self,
        case: str,
        by: Principal,
        audience: Audience,
        start: int,
        reached: int,
        *,
        resumed: bool,
    ) -> None:
        """Note a request for events, and up to which `seq` it was answered."""
        now = self._now()
        who = case, by.id, audience
        self._polls.pop(who, None)
        self._polls[who] = Visit(
            "",
            case,
            by.id,
            by.role.value,
            audience,
            Way.POLLING,
            start,
            resumed,
            entered=now,
            left=now,
            reached=reached,
        )
        if len(self._polls) > KEPT:
            del self._polls[next(iter(self._polls))]

    def of_case(self, case: str) -> list[Visit]:
        """Give the visits to a case: first those that last, then the others, the newest first."""
        past = [*self._ended, *self._polls.values()]
        ended = [visit for visit in past if visit.case == case and not self._is_old(visit)]
        ended.sort(key=lambda visit: visit.left or visit.entered, reverse=True)
        here = [visit for visit in self._here if visit.case == case]
        return [*sorted(here, key=lambda visit: visit.entered, reverse=True), *ended]

    def _is_old(self, visit: Visit) -> bool:
        return visit.left is not None and visit.left < self._now() - KEPT_FOR
