"""The connection manager: every socket of this process, by case and by user."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Final

import structlog

from auth.principal import Principal
from hub.close_codes import CloseCode
from hub.connection import Connection

logger = structlog.get_logger()

SPREAD_MS: Final = 2_000
"""Over how long clients are asked to spread their return after a drain, at least."""
SPREAD_EACH_MS: Final = 2
"""And for each of them: it costs whoever takes them more than 1 ms of its core."""


class ConnectionManager:
    """Keeps a room of sockets per case, counts them, sweeps them, and lets them go in order."""

    def __init__(
        self,
        *,
        per_user: int,
        pending_per_address: int,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        self.now = now
        self.monotonic = monotonic
        self.tick = monotonic()
        self.draining = False
        self._random = random
        self._per_user = per_user
        self._pending_per_address = pending_per_address
        self._rooms: dict[str, set[Connection]] = {}
        self._all: set[Connection] = set()
        self._users: Counter[tuple[str, str]] = Counter()
        self._pending: Counter[str] = Counter()
        self._unsent: list[Connection] = []
        self._spread_ms = SPREAD_MS
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def connections(self) -> int:
        return len(self._all)

    @property
    def rooms(self) -> int:
        return len(self._rooms)

    def of_case(self, case: str) -> set[Connection]:
        """Give the sockets that have entered a case."""
        return self._rooms.get(case, set())

    def knock(self, address: str) -> bool:
        """Count a socket that has not said who it is; False if its address has too many."""
        if self._pending[address] >= self._pending_per_address:
            return False
        self._pending[address] += 1
        return True

    def knocked(self, address: str) -> None:
        """Uncount it: it has said who it is, or it is gone."""
        self._pending[address] -= 1
        if self._pending[address] <= 0:
            del self._pending[address]

    def open(self, connection: Connection) -> None:
        """Keep a new socket."""
        self._all.add(connection)
        self._empty.clear()

    def enter(self, connection: Connection, by: Principal) -> bool:
        """Let a socket into its room, or to its desk; False if its user has too many sockets."""
        user = (by.tenant, by.id)
        if self._users[user] >= self._per_user:
            return False
        self._users[user] += 1
        connection.principal = by
        if connection.case:
            self._rooms.setdefault(connection.case, set()).add(connection)
        return True

    def close(self, connection: Connection) -> None:
        """Forget a socket."""
        self._all.discard(connection)
        if not self._all:
            self._empty.set()
        if connection.principal is None:
            return
        user = (connection.principal.tenant, connection.principal.id)
        self._users[user] -= 1
        if self._users[user] <= 0:
            del self._users[user]
        room = self._rooms.get(connection.case, set())
        room.discard(connection)
        if not room:
            self._rooms.pop(connection.case, None)

    def flush_soon(self, connection: Connection) -> None:
        """Flush a connection when this turn of the event loop, and the next, are over.

        Whoever learns in this turn that a commit is durable is acknowledged in the next.
        """
        if not self._unsent:
            loop = asyncio.get_running_loop()
            loop.call_soon(loop.call_soon, self._flush)
        self._unsent.append(connection)

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        for connection in unsent:
            _contain(connection, connection.flush)

    def sweep(self) -> None:
        """Look at what is due on every socket."""
        self.tick = self.monotonic()
        for connection in list(self._all):
            _contain(connection, connection.sweep)

    def turn_out(self, must_go: Callable[[Principal], bool]) -> None:
        """Close the sockets of those who must go."""
        reason = "Your token was revoked. Come back with a new one."
        for connection in list(self._all):
            if connection.principal is not None and must_go(connection.principal):
                _contain(connection, partial(connection.end, CloseCode.UNAUTHENTICATED, reason))

    async def run(self, every: float) -> None:
        """Sweep every so many seconds until cancelled."""
        while True:
            await asyncio.sleep(every)
            self.sweep()

    async def drain(self, within: float) -> None:
        """Let every socket go: those that are being served after their answer, `within` seconds."""
        self.draining = True
        self._spread_ms = max(SPREAD_MS, SPREAD_EACH_MS * len(self._all))
        for connection in list(self._all):
            if not connection.busy:
                self.send_away(connection)
        try:
            async with asyncio.timeout(within):
                await self._empty.wait()
        except TimeoutError:
            for connection in list(self._all):
                self.send_away(connection)

    def send_away(self, connection: Connection) -> None:
        in_ms = int(self._random() * self._spread_ms)
        connection.end(CloseCode.RESTART, "The hub restarts. Come back and resume.", in_ms)


def _contain(connection: Connection, work: Callable[[], None]) -> None:
    """Do something with a socket; a fault of it is not felt by the others."""
    try:
        work()
    except Exception:
        logger.exception("socket_failed", conn=connection.id, case=connection.case)
        connection.abort()
