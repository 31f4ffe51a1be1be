"""A room without a clock, a loop or a database: every await is a step that a test takes.

So a test chooses the order in which things happen, and a failure happens again in the same order.
"""

import json
from collections.abc import Coroutine, Generator
from dataclasses import dataclass, field
from types import coroutine
from typing import Any

from rooms.cursor import START, Cursor, tag_of
from rooms.encoding import Record, Signal
from rooms.errors import CursorLost, ResetReason, Unavailable
from rooms.events import Audience
from rooms.feed import Cut, Feed, Stream, Subscription, audit

CASE = "case-1"
ENOUGH = 5_000
"""Steps after which something goes round in circles."""


@coroutine
def turn() -> Generator[None, None, None]:
    """Let the test decide when it goes on from here."""
    yield


class Steps:
    """Coroutines that go on when they are told to."""

    def __init__(self) -> None:
        self.waiting: list[Coroutine[Any, Any, None]] = []

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.waiting.append(work)

    def step(self, index: int = 0) -> None:
        if self.waiting:
            work = self.waiting.pop(index % len(self.waiting))
            try:
                work.send(None)
            except StopIteration:
                return
            self.waiting.append(work)

    def settle(self) -> None:
        """Take turns until nothing is left to do."""
        for number in range(ENOUGH):
            if not self.waiting:
                return
            self.step(number)
        raise AssertionError("it goes round in circles")

    def close(self) -> None:
        for work in self.waiting:
            work.close()


@dataclass(frozen=True)
class Entry:
    """An event of the fake log."""

    id: str
    hidden: bool
    kind: str = "message"
    to: str = ""


class FakeLog:
    """One case in memory; it can fail, and it can be restored to what it was before."""

    def __init__(self, page: int = 2) -> None:
        self.entries: list[Entry] = []
        self.failing = False
        self.broken: Exception | None = None
        self.parents: dict[tuple[Audience, Cursor], Cursor] = {}
        """Which event came before which, in every history that there ever was."""
        self._page = page
        self._made = 0

    def append(self, hidden: bool = False, kind: str = "message", to: str = "") -> list[Record]:
        """Store an event and give the hints of it."""
        self._made += 1
        self.entries.append(Entry(f"e{self._made}", hidden, kind, to))
        records = []
        for audience in (Audience.STAFF,) if hidden else Audience:
            record = self._records(audience)[-1]
            self.parents[audience, record.cursor] = record.previous
            records.append(record)
        return records

    def restore(self, count: int) -> None:
        """Become what it was when it had that many events."""
        del self.entries[count:]

    def view(self, audience: Audience) -> list[Cursor]:
        """Give every position of a view, `START` first."""
        return [START, *(record.cursor for record in self._records(audience))]

    def head(self, audience: Audience) -> Cursor:
        return self.view(audience)[-1]

    async def read(self, case: str, audience: Audience, after: Cursor) -> list[Record]:
        await turn()
        self._check()
        if after.seq >= len(self.view(audience)):
            raise CursorLost(ResetReason.AHEAD)
        if self.view(audience)[after.seq] != after:
            raise CursorLost(ResetReason.MISMATCH)
        found = self._records(audience)[after.seq : after.seq + self._page]
        await turn()
        return found

    async def heads(self, cases: list[str]) -> dict[str, dict[Audience, Cursor]]:
        await turn()
        self._check()
        found = {audience: self.head(audience) for audience in Audience}
        await turn()
        return dict.fromkeys(cases, found)

    def _check(self) -> None:
        if self.broken is not None:
            raise self.broken
        if self.failing:
            raise Unavailable

    def _records(self, audience: Audience) -> list[Record]:
        records = []
        previous = START
        for entry in self.entries:
            if not (entry.hidden and audience is Audience.PATIENT):
                cursor = Cursor(previous.seq + 1, tag_of(entry.id))
                frame = json.dumps({"data": {"to": entry.to}})
                records.append(Record(CASE, audience, cursor, previous, entry.kind, frame))
                previous = cursor
        return records


class CursorCodec:
    """A wire format that tells the position of an event, and nothing of some kinds."""

    def event(self, record: Record) -> bytes | None:
        return None if record.kind == "untold" else str(record.cursor).encode()

    def signal(self, signal: Signal) -> bytes | None:
        return signal.frame.encode()


CODEC = CursorCodec()


@dataclass(eq=False)
class Guest:
    """A reader that fails the test when it is given anything but the next event."""

    log: FakeLog
    audience: Audience
    position: Cursor
    by: str = "somebody"
    room: int = ENOUGH
    """How many more writes it takes before it says that it is full."""
    codec: Any = CODEC
    subscription: Subscription | None = None
    is_live: bool = False
    gone: bool = False
    cuts: list[Cut] = field(default_factory=list)
    seen: list[Cursor] = field(default_factory=list)
    signals: list[str] = field(default_factory=list)

    @property
    def reads(self) -> bool:
        return not self.gone and not self.cuts

    def write(self, data: bytes) -> bool:
        assert self.reads, "it has left"
        assert self.room > 0, "it had said that it was full"
        text = data.decode()
        if text.startswith("signal"):
            assert self.is_live, "a signal for a reader that is behind"
            self.signals.append(text)
        else:
            cursor = Cursor(int(text.partition(".")[0]), text.partition(".")[2])
            assert self.log.parents[self.audience, cursor] == self.position
            self.position = cursor
            self.seen.append(cursor)
        self.room -= 1
        if self.room == 0:
            self.is_live = False
        return self.room > 0

    def live(self, position: Cursor) -> None:
        assert self.reads, "it has left"
        assert not self.is_live, "it was live before"
        assert position == self.position, "it is told of a position that it has not"
        self.is_live = True

    def cut(self, reason: Cut) -> None:
        assert self.reads, "it has left"
        self.cuts.append(reason)
        self.is_live = False

    def resume(self, room: int = ENOUGH) -> None:
        self.room = room
        if self.reads and self.subscription is not None:
            self.subscription.resume()

    def leave(self) -> None:
        if self.subscription is not None:
            self.gone = True
            self.is_live = False
            self.subscription.close()


class Room:
    """The feed of one room, its log, and the readers that come and go."""

    def __init__(self, events: int = 2) -> None:
        self.steps = Steps()
        self.log = FakeLog()
        self.feed: Feed | None = None
        self.guests: list[Guest] = []
        for _ in range(events):
            self.log.append()

    def append(self, hidden: bool = False, kind: str = "message", to: str = "") -> list[Record]:
        return self.log.append(hidden, kind, to)

    def receive(self, *hints: Record | Signal) -> None:
        for hint in hints:
            if self.feed is not None:
                self.feed.receive(hint)

    def tell(self, *hints: list[Record]) -> None:
        for records in hints:
            self.receive(*records)

    def join(
        self, audience: Audience = Audience.STAFF, seq: int = 0, by: str = "somebody"
    ) -> Guest:
        """Do what `Rooms.join` and its caller do, at the speed of the test."""
        guest = Guest(self.log, audience, self.log.view(audience)[seq], by)
        if self.feed is None:
            self.feed = Feed(CASE, self.log, self.steps.spawn, self._forget)
        stream = self.feed.stream(audience)
        guest.subscription = stream.subscribe(guest, by)
        self.guests.append(guest)
        self.steps.spawn(self._enter(guest, stream, guest.subscription))
        return guest

    def audit(self) -> None:
        if self.feed is not None:
            self.steps.spawn(audit(self.log, [self.feed]))

    def settle(self) -> None:
        self.steps.settle()

    def recover(self) -> None:
        """Let everything be well again, with nothing but an audit to tell what was missed."""
        self.log.failing = False
        for guest in self.guests:
            guest.resume()
        self.settle()
        self.audit()
        self.settle()

    def _forget(self, feed: Feed) -> None:
        assert feed is self.feed
        self.feed = None

    async def _enter(self, guest: Guest, stream: Stream, subscription: Subscription) -> None:
        try:
            stream.place((await self.log.heads([CASE]))[CASE][guest.audience])
            await self.log.read(CASE, guest.audience, guest.position)  # does the cursor stand?
            await subscription.start(guest.position)
        except (Unavailable, CursorLost):
            if guest.reads:
                guest.leave()
