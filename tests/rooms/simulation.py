"""A room without a clock, a loop or a database: every await is a step that a test takes.

So a test chooses the order in which things happen, and a failure happens again in the same order.
"""

import json
from collections.abc import Coroutine, Generator, Sequence
from dataclasses import dataclass, field
from types import coroutine
from typing import Any

from rooms.broker import Hint
from rooms.cursor import START, Cursor, tag_of
from rooms.encoding import Record, Signal, run_signals, to_json
from rooms.errors import CursorLost, ResetReason, Unavailable
from rooms.events import Audience, Control
from rooms.feed import Cut, Feed, Stream, Subscription, audit
from rooms.state import Answer, Progress, RoomState, Run, RunState

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
    data: dict[str, Any] = field(default_factory=dict)


class FakeLog:
    """One case in memory; it can fail, and it can be restored to what it was before."""

    def __init__(self, page: int = 2) -> None:
        self.entries: list[Entry] = []
        self.failing = False
        self.broken: Exception | None = None
        self.parents: dict[tuple[Audience, Cursor], Cursor] = {}
        """Which event came before which, in every history that there ever was."""
        self.data: dict[Cursor, dict[str, Any]] = {}
        """What each event says that there ever was; no two of them have one tag."""
        self.run: Run | None = None
        self.answers: dict[str, Answer] = {}
        """The answers that were ever begun, as far as they are."""
        self.control = Control.AI
        self.fence = 0
        self.ai_fence = 0
        self.orderly = False
        """Its hints come in order, or not at all."""
        self._page = page
        self._made = 0

    def append(self, hidden: bool = False, kind: str = "message", **data: Any) -> list[Record]:
        """Store an event and give the hints of it."""
        self._made += 1
        self.entries.append(Entry(f"e{self._made}", hidden, kind, data))
        records = []
        for audience in (Audience.STAFF,) if hidden else Audience:
            record = self._records(audience)[-1]
            self.parents[audience, record.cursor] = record.previous
            self.data[record.cursor] = {"kind": kind, **data}
            records.append(record)
        return records

    # An answer, with the hints of each step in the order in which the log gives them.

    def begin(self) -> list[Hint]:
        hints = self.end(RunState.STOPPED)
        run = Run(f"run_{len(self.answers) + 1}", self.fence)
        return hints + self._step(Progress(run.id, run.fence, RunState.THINKING), run)

    def grow(self, text: str) -> list[Hint]:
        assert self.run is not None
        step = Progress(self.run.id, self.run.fence, RunState.WRITING, self.run.pieces, text)
        return self._step(step, self.run.plus(text))

    def end(self, state: RunState = RunState.DONE) -> list[Hint]:
        """End the answer, if there is one; what was shown of it becomes a message."""
        run, hints, id = self.run, list[Hint](), None
        if run is None:
            return hints
        if run.text:
            hints += self.append(run=run.id, text=run.text)
            id = self.entries[-1].id
        return hints + self._step(Progress(run.id, run.fence, state, message_id=id), None)

    def change(self, control: Control) -> list[Hint]:
        """Let somebody else lead."""
        human = control is Control.HUMAN
        hints = self.end(RunState.STOPPED) if human else []
        self.control = control
        self.fence += 1
        self.ai_fence = self.fence if human else self.ai_fence
        return [*hints, *self.append(kind="control", control=control, fence=self.fence)]

    def _step(self, step: Progress, run: Run | None) -> list[Hint]:
        shown = run or self.run
        assert shown is not None
        self.run = run
        self.answers[shown.id] = Answer(shown, step.state, step.message_id)
        return [*run_signals(CASE, step)]

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

    async def state(self, case: str) -> RoomState | None:
        await turn()
        self._check()
        found = self._state()
        await turn()
        return found

    async def answer(self, case: str, run: str) -> Answer | None:
        await turn()
        self._check()
        found = self.answers.get(run)
        await turn()
        return found

    def _state(self) -> RoomState:
        return RoomState(
            CASE,
            "tenant-1",
            "patient-1",
            "Maria",
            control=self.control,
            fence=self.fence,
            ai_fence=self.ai_fence,
            run=self.run,
            staff=self.head(Audience.STAFF),
            patient=self.head(Audience.PATIENT),
        )

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
                frame = to_json({"data": entry.data})
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


@dataclass
class Screen:
    """What a client shows of the answer that is being written; it believes what it is told.

    It fails the test when what it shows is not the beginning of the answer.
    """

    log: FakeLog
    run: str | None = None
    text: str = ""
    pieces: int = 0
    fence: int = 0
    """The fence of the newest takeover that it was told of."""
    untold: str | None = None
    """The answer that it saw until a takeover, and of whose end it was not told yet."""
    over: list[str] = field(default_factory=list)
    """The answers whose message it has."""
    ends: list[dict[str, Any]] = field(default_factory=list)
    """What it was told of the ends of answers."""
    was: list[str] = field(default_factory=list)
    """All that was ever shown of answers, one after the other."""

    def hear(self, frame: dict[str, Any]) -> None:
        """Take a `run` or a `delta` frame."""
        run = frame["run"]
        if frame["type"] == "delta":
            assert (run, frame["i"]) == (self.run, self.pieces), "a hole, or nobody's piece"
            self._show(run, self.text + frame["text"], self.pieces + 1)
        elif RunState(frame["state"]).over:
            self.ends.append(frame)
            self.untold = None if run == self.untold else self.untold
            if run == self.run:
                self._clear()
        elif run != self.run:
            self._show(run, "", 0)
        else:
            assert not self.pieces, "it begins again"

    def draft(self, run: Run) -> None:
        if run.id == self.run:
            assert run.pieces >= self.pieces, "less than there was"
        self._show(run.id, run.text, run.pieces)

    def event(self, data: dict[str, Any]) -> None:
        if data.get("run") is not None:
            self.over.append(data["run"])
            if data["run"] == self.run:
                assert data["text"].startswith(self.text)
                self._clear()
        if data.get("control") == Control.HUMAN:
            self.fence = data["fence"]
            self.untold = self.run or self.untold
            self._clear()

    def _show(self, run: str, text: str, pieces: int) -> None:
        answer = self.log.answers[run].run
        assert answer.text.startswith(text)
        assert answer.fence >= self.fence, "an answer of an older fence"
        assert not self.log.orderly or run not in self.over, "its message is there already"
        self.run, self.text, self.pieces = run, text, pieces
        self.untold = None
        self.was.append(text)

    def _clear(self) -> None:
        self.run, self.text, self.pieces = None, "", 0


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
    screen: "Screen" = field(init=False)

    def __post_init__(self) -> None:
        self.screen = Screen(self.log)

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
        elif text.startswith("{"):
            assert self.is_live, "a step of an answer for a reader that is behind"
            self.screen.hear(json.loads(text))
        else:
            cursor = Cursor(int(text.partition(".")[0]), text.partition(".")[2])
            assert self.log.parents[self.audience, cursor] == self.position
            self.position = cursor
            self.seen.append(cursor)
            self.screen.event(self.log.data[cursor])
        self.room -= 1
        if self.room == 0:
            self.is_live = False
        return self.room > 0

    def live(self, position: Cursor) -> None:
        assert self.reads, "it has left"
        assert not self.is_live, "it was live before"
        assert position == self.position, "it is told of a position that it has not"
        self.is_live = True

    def answering(self, run: Run) -> None:
        assert self.is_live, "an answer for a reader that is behind"
        self.screen.draft(run)

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

    def append(self, hidden: bool = False, kind: str = "message", **data: Any) -> list[Record]:
        return self.log.append(hidden, kind, **data)

    def receive(self, *hints: Hint) -> None:
        for hint in hints:
            if self.feed is not None:
                self.feed.receive(hint)

    def tell(self, *hints: Sequence[Hint]) -> None:
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
            state = await self.log.state(CASE)
            assert state is not None
            guest.screen.fence = state.ai_fence  # it is told who leads, before anything else
            stream.place(state)
            await self.log.read(CASE, guest.audience, guest.position)  # does the cursor stand?
            await subscription.start(guest.position)
        except (Unavailable, CursorLost):
            if guest.reads:
                guest.leave()
