"""Who was in a room on which connection, and what each was given: for whoever asks why.

Nothing is counted for a message. What a connection has been written follows from where it stands;
when it goes, that is kept for a while.
"""

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from hub.connection import Connection
from rooms.events import Audience
from rooms.feed import Subscription
from rooms.state import audience_of

KEPT: Final = 20_000
"""Most visits that are remembered after their end."""
KEPT_FOR: Final = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Visit:
    """A connection in a room, open or closed."""

    conn: str
    case: str
    user: str
    role: str
    audience: Audience
    start: int
    """It was given what comes after this `seq`."""
    entered: datetime | None
    live: datetime | None
    """When it had caught up; None: it never had."""
    left: datetime | None
    """None: it is here."""
    code: int | None
    """With what the hub closed it; None: it did not, the peer left or the line broke."""
    written: int
    """Up to which `seq` it was written."""
    applied: int | None
    """Up to which `seq` its client has confirmed; None: it never did."""
    applied_at: datetime | None


def visit_of(connection: Connection, left: datetime | None) -> Visit | None:
    """Describe a connection; None: it was never let into a room."""
    by, subscription = connection.principal, connection.subscription
    if by is None or not isinstance(subscription, Subscription):
        return None
    return Visit(
        connection.id,
        connection.case,
        by.id,
        by.role.value,
        audience_of(by),
        connection.start,
        connection.entered_at,
        connection.live_at,
        left,
        connection.code,
        subscription.reached.seq,
        connection.applied,
        connection.applied_at,
    )


class Visits:
    """The visits that have ended, for a while."""

    def __init__(self) -> None:
        self._ended: deque[Visit] = deque(maxlen=KEPT)

    def end(self, connection: Connection, now: datetime) -> None:
        """Remember a connection that is gone."""
        visit = visit_of(connection, now)
        if visit is not None:
            self._ended.append(visit)
        while self._ended and (self._ended[0].left or now) < now - KEPT_FOR:
            self._ended.popleft()

    def of_case(self, case: str) -> list[Visit]:
        return [visit for visit in self._ended if visit.case == case]
