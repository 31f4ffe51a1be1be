"""The live state of a tenant's open cases, for those who choose whom to help next.

A `Desk` remembers what its readers were shown. A hint says only which case may have changed: its
state is read from the log, and what differs from what was shown is told. What no hint told is
found by an audit.

Invariant: the reads of a process come one after the other, so nobody is told an older state after
a newer one; and for a reader that is full nothing is kept but the ids of the cases that it has yet
to be told of.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Final, Protocol

import structlog

from rooms.broker import Hint
from rooms.encoding import Codec, Record, RunSignal, Signal, timestamp, to_json
from rooms.errors import Unavailable
from rooms.events import SHUT, Audience, Control, Status
from rooms.state import RoomState

logger = structlog.get_logger()

EVERY: Final = 0.1
"""Seconds between two reads of what may have changed."""
AGAIN: Final = 1.0
"""Seconds after which a read that failed is tried again."""
AUDIT_EVERY: Final = 5.0
"""Seconds between two comparisons of all desks with the log."""
KEPT: Final = 15.0
"""Seconds for which a desk is kept true for somebody who may look again."""
AT_ONCE: Final = 500
"""Cases that are read by one query."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a desk shows of a case, as it is on the wire."""

    case: str
    patient: str
    control: Control
    owner: str | None
    owner_id: str | None
    status: Status
    waiting_since: str | None
    escalation: str | None
    reminders: int
    last_message_at: str | None
    preview: str
    unread: int

    @property
    def json(self) -> str:
        return to_json(asdict(self))


class CaseReader(Protocol):
    """What the desks need of the log; both raise `Unavailable` if it cannot be read."""

    async def open_cases(self, tenants: Sequence[str]) -> list[RoomState]: ...

    async def states_of(self, cases: Sequence[str]) -> list[RoomState]: ...


class DeskReader(Protocol):
    """The far end of a seat. No method waits, calls back or raises."""

    codec: Codec

    def write(self, data: bytes) -> bool:
        """Take the bytes. False: take no more until `Seat.resume` is called."""
        ...


class Seat:
    """A reader's place at a desk; call `close` at last."""

    __slots__ = ("_desk", "_full", "_owed", "_started", "closed", "reader")

    def __init__(self, desk: "Desk", reader: DeskReader) -> None:
        self._desk = desk
        self.reader = reader
        self._started = False
        self._full = False
        self._owed: dict[str, None] = {}
        """The cases that the reader has yet to be told of, in order."""
        self.closed = False

    def start(self) -> list[Entry]:
        """Give what the desk shows now; every change from now on is written to the reader."""
        self._started = True
        return self._desk.entries()

    def owe(self, cases: Iterable[str]) -> None:
        """Note cases that the reader is told of when `resume` is called."""
        self._owed.update(dict.fromkeys(cases))

    def tell(self, change: Signal) -> None:
        if self._full:
            self._owed[change.case] = None
        elif self._started:
            self._write(change)

    def resume(self) -> None:
        """Go on: tell the reader, which can take more, the newest state of what it missed."""
        self._full = False
        while self._owed and not self._full:
            case = next(iter(self._owed))
            del self._owed[case]
            self._write(self._desk.change(case))

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._owed.clear()
            self._desk.leave(self)

    def _write(self, change: Signal) -> None:
        data = change.encoded(self.reader.codec)
        if data is not None and not self.reader.write(data):
            self._full = True


class Desk:
    """The open cases of one tenant, as its readers in this process were shown them."""

    def __init__(self, tenant: str, emptied: Callable[["Desk"], None]) -> None:
        self.tenant = tenant
        self.newest = 0
        """The number of the newest read of all open cases."""
        self._emptied = emptied
        self._shown: dict[str, Entry] = {}
        self._seats: dict[Seat, None] = {}
        self._kept: asyncio.TimerHandle | None = None

    def keep(self, seconds: float) -> None:
        """Stay for so many seconds, also without a reader."""
        if self._kept is not None:
            self._kept.cancel()
        self._kept = asyncio.get_running_loop().call_later(seconds, self._let_go)

    def _let_go(self) -> None:
        self._kept = None
        if not self._seats:
            self._emptied(self)

    def seat(self, reader: DeskReader) -> Seat:
        seat = Seat(self, reader)
        self._seats[seat] = None
        return seat

    def leave(self, seat: Seat) -> None:
        self._seats.pop(seat, None)
        if not self._seats and self._kept is None:
            self._emptied(self)

    def entries(self) -> list[Entry]:
        """Give what is shown: who waits longest comes first, then who wrote last."""
        shown = sorted(self._shown.values(), key=lambda entry: entry.case)
        waiting = [entry for entry in shown if entry.control is Control.WAITING]
        others = [entry for entry in shown if entry.control is not Control.WAITING]
        waiting.sort(key=lambda entry: entry.waiting_since or "")
        others.sort(key=lambda entry: entry.last_message_at or "", reverse=True)
        return waiting + others

    def change(self, case: str) -> Signal:
        """Write the frame that tells the newest state of a case."""
        entry = self._shown.get(case)
        if entry is None:
            frame = to_json({"type": "case_closed", "case": case})
        else:
            frame = f'{{"type":"case",{entry.json[1:]}'
        return Signal(case, Audience.STAFF, frame)

    def show(self, state: RoomState) -> None:
        """Learn the state of a case, and tell it if it is another than was shown."""
        entry = None if state.status in SHUT else _entry(state)
        if entry is None:
            self._hide(state.case)
        elif self._shown.get(state.case) != entry:
            self._shown[state.case] = entry
            self._tell(state.case)

    def compare(self, states: Sequence[RoomState], number: int) -> None:
        """Learn the states of all open cases, from the read of this number."""
        self.newest = number
        there = {state.case for state in states}
        for case in [case for case in self._shown if case not in there]:
            self._hide(case)
        for state in states:
            self.show(state)

    def _hide(self, case: str) -> None:
        if self._shown.pop(case, None) is not None:
            self._tell(case)

    def _tell(self, case: str) -> None:
        change = self.change(case)
        for seat in list(self._seats):
            seat.tell(change)


class Desks:
    """The desks of this process: one for each tenant that has a reader here, or somebody who looks.

    Whoever looks again within `kept` seconds costs no read of all cases.
    """

    def __init__(
        self,
        log: CaseReader,
        *,
        every: float = EVERY,
        audit_every: float = AUDIT_EVERY,
        kept: float = KEPT,
    ) -> None:
        self._kept = kept
        self._log = log
        self._every = every
        self._audit_every = audit_every
        self._desks: dict[str, Desk] = {}
        self._dirty: set[str] = set()
        """Cases that may have changed; whose they are, only the log knows."""
        self._changed = asyncio.Event()
        self._reading = asyncio.Lock()
        self._begun = 0
        """The number of the last read of open cases that was begun."""

    async def join(self, tenant: str, reader: DeskReader) -> tuple[Seat, list[Entry]]:
        """Seat a reader, and give the open cases; what changes from now on is written to it.

        Raises:
            Unavailable: the log cannot be read.

        """
        # First registered, then read: what is committed meanwhile is heard of.
        desk = self._desks.setdefault(tenant, Desk(tenant, self._forget))
        seat = desk.seat(reader)
        begun = self._begun
        try:
            async with self._reading:
                # One read serves all who came before it began.
                if desk.newest <= begun:
                    await self._read_all([tenant])
        except BaseException:
            seat.close()
            raise
        return seat, seat.start()

    async def look(self, tenant: str) -> list[Entry]:
        """Give the open cases, with all that this process has heard of.

        Raises:
            Unavailable: the log cannot be read.

        """
        desk = self._desks.setdefault(tenant, Desk(tenant, self._forget))
        desk.keep(self._kept)
        async with self._reading:
            if not desk.newest:
                await self._read_all([tenant])
            elif self._dirty:
                await self._read_dirty()
        return desk.entries()

    def note(self, hint: Hint) -> None:
        """Hear that something happened."""
        if self._desks and _may_change_an_entry(hint):
            self._dirty.add(hint.case)
            self._changed.set()

    async def run(self) -> None:
        """Keep the desks true until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow())
            tasks.create_task(self._audit())

    async def _follow(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            done = await self._contained(self._read_dirty)
            if not done and self._desks:
                self._changed.set()
            await asyncio.sleep(self._every if done else AGAIN)

    async def _audit(self) -> None:
        while True:
            await asyncio.sleep(self._audit_every)
            if self._desks:
                await self._contained(partial(self._read_all, list(self._desks)))

    async def _contained(self, read: Callable[[], Awaitable[None]]) -> bool:
        """Do a read when it is its turn; False: it failed, and what was shown stays."""
        try:
            async with self._reading:
                await read()
        except Unavailable:
            logger.warning("desks_wait_for_log", tenants=len(self._desks))
            return False
        except Exception:
            logger.exception("desks_failed")
            return False
        return True

    async def _read_dirty(self) -> None:
        dirty, self._dirty = self._dirty, set()
        cases = sorted(dirty)
        try:
            for start in range(0, len(cases), AT_ONCE):
                for state in await self._log.states_of(cases[start : start + AT_ONCE]):
                    desk = self._desks.get(state.tenant)
                    if desk is not None:
                        desk.show(state)
        except BaseException:
            if self._desks:
                self._dirty |= dirty
            raise

    async def _read_all(self, tenants: list[str]) -> None:
        self._begun += 1
        number = self._begun
        found: dict[str, list[RoomState]] = {tenant: [] for tenant in tenants}
        for state in await self._log.open_cases(tenants):
            found[state.tenant].append(state)
        for tenant, states in found.items():
            desk = self._desks.get(tenant)
            if desk is not None:
                desk.compare(states, number)

    def _forget(self, desk: Desk) -> None:
        del self._desks[desk.tenant]


def _may_change_an_entry(hint: Hint) -> bool:
    if hint.audience is not Audience.STAFF or isinstance(hint, RunSignal):
        return False
    # Of the signals only `read` goes with a change of the state: of what is unread.
    return isinstance(hint, Record) or json.loads(hint.frame)["type"] == "read"


def _entry(state: RoomState) -> Entry:
    return Entry(
        case=state.case,
        patient=state.patient_name,
        control=state.control,
        owner=state.owner_name,
        owner_id=state.owner_id,
        status=state.status,
        waiting_since=None if state.waiting_since is None else timestamp(state.waiting_since),
        escalation=state.escalation,
        reminders=state.reminders,
        last_message_at=None if state.last_message_at is None else timestamp(state.last_message_at),
        preview=state.preview,
        unread=state.unread,
    )
