"""Who is in a room now, at any process.

Each process has a *roster*: who is in which room by a connection to it. It tells the others what
changes on it, and, while anybody is on it, gives a sign of life every few seconds. Whoever is on
any roster is present.

Somebody stays on a roster for a time of grace after their last connection there has ended, so
nobody sees a short reconnect, here or at another process. What is heard of a process that falls
silent is forgotten as late as its people would be if they had left at its last sign of life.

Invariant: nothing here is stored. Who misses an announcement finds out by the number of the next,
asks, and is told all of it; so whatever is lost, it is put right within some seconds.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import structlog

from auth.principal import Principal
from rooms.attendance import PATIENT, Attendance, Occupant, RollCall, Viewer

logger = structlog.get_logger()

GRACE: Final = 15.0
"""Seconds for which somebody is present after their last connection."""
BEAT: Final = 5.0
"""Seconds between two signs of life of a process with somebody connected to it."""
GATHER: Final = 0.1
"""Seconds in which changes are gathered, to be announced together."""
TICK: Final = 1.0
"""Seconds between two looks at whose time is up."""
ASK_AGAIN: Final = 2.0
"""Seconds after which the others are asked again."""


@dataclass(frozen=True, slots=True)
class Present:
    """Who is in a room, as staff may know it."""

    patient: bool
    viewers: tuple[Viewer, ...]
    """Each member of staff who is here, once."""

    def has(self, user: str | None) -> bool:
        """Tell whether this member of staff is here."""
        return any(id == user for id, _ in self.viewers)


class Roster:
    """Who is in which room."""

    def __init__(self, occupants: Iterable[Occupant] = ()) -> None:
        self._rooms: dict[str, set[Viewer | None]] = {}
        for occupant in occupants:
            self.add(occupant)

    def __iter__(self) -> Iterator[Occupant]:
        for case, people in self._rooms.items():
            for who in people:
                yield Occupant(case, who)

    def __contains__(self, occupant: Occupant) -> bool:
        return occupant.who in self._rooms.get(occupant.case, ())

    def __bool__(self) -> bool:
        return bool(self._rooms)

    @property
    def cases(self) -> set[str]:
        return set(self._rooms)

    def of(self, case: str) -> Collection[Viewer | None]:
        return self._rooms.get(case, ())

    def add(self, occupant: Occupant) -> None:
        self._rooms.setdefault(occupant.case, set()).add(occupant.who)

    def remove(self, occupant: Occupant) -> None:
        people = self._rooms.get(occupant.case, set())
        people.discard(occupant.who)
        if not people:
            self._rooms.pop(occupant.case, None)


@dataclass
class Other:
    """What is known of another process."""

    heard: float
    """When it last gave a sign of life."""
    number: int = 0
    """Of its last announcement."""
    missed: bool = False
    """One before it was lost."""
    roster: Roster = field(default_factory=Roster)


class Presence:
    """Who is connected to this process, and what the other ones tell of theirs."""

    def __init__(
        self,
        process: str,
        *,
        monotonic: Callable[[], float],
        grace: float = GRACE,
        beat: float = BEAT,
    ) -> None:
        """Make the presence of a process.

        Args:
            process: an id that no other process has, nor this one had before it was restarted.
            monotonic: seconds.
            grace: seconds for which somebody is present after their last connection.
            beat: seconds between two signs of life of a process with somebody connected to it.

        """
        self._process = process
        self._monotonic = monotonic
        self._grace = grace
        self._beat = beat
        # A lost sign of life or two must not make anybody flicker.
        self._silence = max(grace, 2 * beat) + beat
        self._connections: dict[str, dict[str, Principal]] = {}
        """The connections in each room."""
        self._staff: Counter[tuple[str, str]] = Counter()
        """Connections of each member of staff, in rooms and at desks."""
        self._roster = Roster()
        self._leaving: dict[Occupant, float] = {}
        """Whose last connection has ended, and until when they are present, in this order."""
        self._others: dict[str, Other] = {}
        self._news: dict[Occupant, bool] = {}
        """Who came (True) or went, until it is announced."""
        self._wanted = False
        """Somebody has asked for the whole roster."""
        self._number = 0
        self._said = float("-inf")
        """When this process last gave a sign of life."""
        self._called = float("-inf")
        self._swept = monotonic()
        self._stirred = asyncio.Event()
        self.changed: Callable[[str, Present, Present, str | None], None] = (
            lambda case, before, after, by: None
        )
        """Called with a case, who was there, who is there now, and who has just come here."""
        self.announce: Callable[[Attendance | RollCall], None] = lambda hint: None
        """Called with what the other processes are to be told."""

    # Here.

    def enter(self, case: str, connection: str, by: Principal) -> None:
        """Note a connection in a room; nothing happens if it is there already."""
        room = self._connections.setdefault(case, {})
        if connection in room:
            return
        room[connection] = by
        self.appear(by)
        occupant = _occupant(case, by)
        self._leaving.pop(occupant, None)
        if occupant not in self._roster:
            with self._telling([case], by.id):
                self._roster.add(occupant)
            self._note(occupant, there=True)

    def leave(self, case: str, connection: str) -> None:
        """Forget a connection; whoever it was of is present for a while yet."""
        room = self._connections.get(case, {})
        if connection not in room:
            return
        by = room.pop(connection)
        if not room:
            del self._connections[case]
        self.vanish(by)
        occupant = _occupant(case, by)
        if all(_occupant(case, other) != occupant for other in room.values()):
            self._leaving[occupant] = self._monotonic() + self._grace
            self._let_go()

    def whose(self, case: str, connection: str) -> Principal | None:
        return self._connections.get(case, {}).get(connection)

    def appear(self, by: Principal) -> None:
        """Note a connection of somebody that is in no room, such as a desk's."""
        if by.is_staff:
            self._staff[by.tenant, by.id] += 1

    def vanish(self, by: Principal) -> None:
        if by.is_staff:
            self._staff[by.tenant, by.id] -= 1
            if self._staff[by.tenant, by.id] <= 0:
                del self._staff[by.tenant, by.id]

    def is_connected(self, tenant: str, user: str) -> bool:
        """Tell whether a member of staff has a connection to this process, without any grace."""
        return (tenant, user) in self._staff

    def staff(self) -> set[tuple[str, str]]:
        """Name the members of staff who have a connection here, each with the tenant."""
        return set(self._staff)

    # Everywhere.

    def present(self, case: str) -> Present:
        """Tell who is in a room, whichever process they are connected to."""
        people = set(self._roster.of(case)).union(
            *(other.roster.of(case) for other in self._others.values())
        )
        viewers = sorted(who for who in people if who is not None)
        # Of somebody with two names all processes show the same one.
        names = dict(reversed(viewers))
        return Present(PATIENT in people, tuple(sorted(names.items())))

    def hear(self, hint: Attendance | RollCall) -> None:
        """Hear what another process tells or asks."""
        if hint.process == self._process:
            return
        if isinstance(hint, RollCall):
            if hint.known.get(self._process, 0) != self._number:
                self._wanted = True
                self._stirred.set()
            return
        other = self._others.setdefault(hint.process, Other(self._monotonic()))
        other.heard = self._monotonic()
        self._learn(other, hint)
        if other.missed:
            self.call()

    def call(self) -> None:
        """Ask the others who is there, as far as what they told may have been lost."""
        now = self._monotonic()
        if now - self._called >= ASK_AGAIN:
            self._called = now
            known = {name: each.number for name, each in self._others.items() if not each.missed}
            self.announce(RollCall(self._process, known))

    def sign_of_life(self) -> list[Attendance]:
        """Give what may go out together with something else, so that it costs nothing later."""
        if not self._roster or self._monotonic() - self._said < self._beat / 2:
            return []
        self._said = self._monotonic()
        return [Attendance(self._process, self._number)]

    def sweep(self) -> None:
        """Let go whose time is up, and announce what is due."""
        self._let_go()
        now = self._monotonic()
        self._excuse_silence(now)
        for process, other in list(self._others.items()):
            if now - other.heard >= self._silence:
                self._forget(process, other)
        if self._wanted or self._news:
            self._said = now
            self._number += 1
            self.announce(self._roll() if self._wanted else self._changes())
            self._news = {}
            self._wanted = False
        elif self._roster and now - self._said >= self._beat:
            self._said = now
            self.announce(Attendance(self._process, self._number))

    async def run(self) -> None:
        """Keep everybody's time, and tell the other processes, until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause()):
                    await self._stirred.wait()
            self._stirred.clear()
            self.sweep()
            await asyncio.sleep(GATHER)

    # Inside.

    def _note(self, occupant: Occupant, *, there: bool) -> None:
        self._news[occupant] = there
        self._stirred.set()

    def _pause(self) -> float:
        """Give the seconds until something is due, `TICK` at most."""
        due = [self._said + self._beat] if self._roster else []
        due += list(self._leaving.values())[:1]
        return min([TICK, *(max(each - self._monotonic(), 0.0) for each in due)])

    def _let_go(self) -> None:
        now = self._monotonic()
        while self._leaving:
            occupant, until = next(iter(self._leaving.items()))
            if until > now:
                break
            del self._leaving[occupant]
            with self._telling([occupant.case]):
                self._roster.remove(occupant)
            self._note(occupant, there=False)

    def _excuse_silence(self, now: float) -> None:
        """Blame nobody for what this process could not hear while it was frozen itself."""
        frozen = now - self._swept - 2 * TICK
        self._swept = now
        if frozen > 0:
            for other in self._others.values():
                other.heard = min(other.heard + frozen, now)

    def _roll(self) -> Attendance:
        return Attendance(self._process, self._number, list(self._roster), whole=True)

    def _changes(self) -> Attendance:
        come = [occupant for occupant, there in self._news.items() if there]
        gone = [occupant for occupant, there in self._news.items() if not there]
        return Attendance(self._process, self._number, come, gone)

    def _learn(self, other: Other, told: Attendance) -> None:
        changes = bool(told.come or told.gone or told.whole)
        expected = other.number + 1 if changes else other.number
        if told.number < expected:
            return
        other.missed = not told.whole and (other.missed or told.number > expected)
        other.number = told.number
        if told.whole:
            differences = set(other.roster).symmetric_difference(told.come)
            with self._telling({each.case for each in differences}):
                other.roster = Roster(told.come)
            return
        with self._telling({each.case for each in (*told.come, *told.gone)}):
            for occupant in told.gone:
                other.roster.remove(occupant)
            for occupant in told.come:
                other.roster.add(occupant)

    def _forget(self, process: str, other: Other) -> None:
        if other.roster:
            logger.info("process_silent", process=process, cases=len(other.roster.cases))
        with self._telling(other.roster.cases):
            del self._others[process]

    @contextmanager
    def _telling(self, cases: Collection[str], by: str | None = None) -> Iterator[None]:
        """Tell of each of these cases where other people are present at the end than before."""
        before = {case: self.present(case) for case in cases}
        yield
        for case, then in before.items():
            now = self.present(case)
            if now != then:
                self.changed(case, then, now, by)


def _occupant(case: str, by: Principal) -> Occupant:
    return Occupant(case, (by.id, by.name) if by.is_staff else PATIENT)
