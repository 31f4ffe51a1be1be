"""The WebSocket door of the desk: coordinators see all open cases of their tenant, live."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from auth.principal import Principal, Role
from auth.tokens import Verifier
from hub.client_frames import DESK_FRAMES, DeskAuth, RoomFrame
from hub.close_codes import CloseCode
from hub.connection import Connection, Limits
from hub.door import Begin, Door, principal, turn_away
from hub.manager import ConnectionManager
from hub.server_frames import DeskPing, You, desk_ready_text, instant
from rooms.desk import Desks, Entry, Seat
from rooms.errors import Code, Malformed, Rejected, RoomError
from rooms.flags import Flags
from rooms.service import Rooms

LOOK_EVERY: Final = 1.0
"""Seconds between two looks at whether the tenants of open desks still have coordinators."""
OFF: Final = "There is no desk here: the flag `coordinator_enabled` is off."


def require_desk(flags: Flags, by: Principal) -> None:
    """Let those pass who have a desk.

    Raises:
        Rejected: they have none, or nobody of their tenant has.

    """
    if by.role not in (Role.COORDINATOR, Role.SUPERVISOR):
        raise Rejected(Code.FORBIDDEN, "Only coordinators and supervisors have a desk.")
    if not flags.policy(by.tenant).coordinators:
        raise _off()


class DeskDoor(Door):
    """Serves `/api/v1/desk/ws`."""

    frames = DESK_FRAMES

    def __init__(
        self,
        rooms: Rooms,
        desks: Desks,
        verifier: Verifier,
        manager: ConnectionManager,
        limits: Limits,
        *,
        origins: frozenset[str],
        new_id: Callable[[str], str],
    ) -> None:
        super().__init__(rooms, verifier, manager, limits, origins=origins, new_id=new_id)
        self._desks = desks
        self._seated: set[Connection] = set()

    async def run(self) -> None:
        """Close the desks of tenants that have switched them off, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            for connection in list(self._seated):
                if not self._has_desk(principal(connection)):
                    connection.end(CloseCode.FORBIDDEN, OFF)

    def _shut(self) -> RoomError | None:
        return None if self._rooms.flags.anywhere("coordinators") else _off()

    async def _join(self, connection: Connection, by: Principal, frame: DeskAuth) -> Begin | None:
        try:
            require_desk(self._rooms.flags, by)
        except Rejected as refusal:
            turn_away(connection, refusal, CloseCode.FORBIDDEN)
            return None
        if not self._admit(connection, by):
            return None
        seat, entries = await self._desks.join(by.tenant, connection)
        # From here to the end without an await: `ready` comes before every change.
        connection.subscription = seat
        self._seated.add(connection)
        self._rooms.appear(by)
        self._show(connection, by, seat, entries)
        return partial(self._begin, connection, seat)

    async def _begin(self, connection: Connection, seat: Seat) -> None:
        connection.ping = DeskPing
        seat.resume()

    async def _take(self, connection: Connection, frame: RoomFrame, key: str | None) -> None:
        raise Malformed(Code.BAD_TYPE, "This is for rooms only.")

    def _left(self, connection: Connection) -> None:
        if connection in self._seated:
            self._seated.remove(connection)
            self._rooms.vanish(principal(connection))

    def _show(
        self, connection: Connection, by: Principal, seat: Seat, entries: list[Entry]
    ) -> None:
        """Send `ready`; if all cases together are too much for a socket, the last ones later."""
        cases = []
        size = 0
        for entry in entries:
            text = entry.json
            size += len(text.encode())
            if size > self._limits.queue_bytes // 2:
                break
            cases.append(text)
        seat.owe(entry.case for entry in entries[len(cases) :])
        you = You(id=by.id, role=by.role.value, name=by.name)
        connection.send_text(desk_ready_text(you, instant(by.expires_at), cases))

    def _has_desk(self, by: Principal) -> bool:
        return self._rooms.flags.policy(by.tenant).coordinators


def _off() -> Rejected:
    return Rejected(Code.NOT_FOUND, OFF)
