"""Whatever the broker and the log do: no hole, no double, no wrong order, no wrong history."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from rooms.broker import Hint
from rooms.encoding import Signal
from rooms.events import Audience
from rooms.feed import Cut
from tests.rooms.simulation import Guest, Room

PEOPLE = ["maria", "priya", "sam"]
indexes = st.integers(0, 99)


class Deliveries(RuleBasedStateMachine):
    """A room under a broker that loses, doubles and reorders, and a log that fails at times."""

    def __init__(self) -> None:
        super().__init__()
        self.room = Room(events=3)
        self.hints: list[Hint] = []
        """What the broker still carries."""

    @initialize(joins=st.lists(st.sampled_from(Audience), max_size=3))
    def begin(self, joins: list[Audience]) -> None:
        for audience in joins:
            self.room.join(audience, 3)
        self.room.settle()

    @rule(hidden=st.booleans())
    def append(self, hidden: bool) -> None:
        self.hints.extend(self.room.append(hidden))

    @precondition(lambda self: self.hints)
    @rule(index=indexes)
    def deliver(self, index: int) -> None:
        self.room.receive(self.hints.pop(index % len(self.hints)))

    @precondition(lambda self: self.hints)
    @rule()
    def deliver_in_order(self) -> None:
        while self.hints:
            self.room.receive(self.hints.pop(0))

    @precondition(lambda self: self.hints)
    @rule(index=indexes)
    def deliver_and_keep_for_later(self, index: int) -> None:
        self.room.receive(self.hints[index % len(self.hints)])

    @precondition(lambda self: self.hints)
    @rule(index=indexes)
    def lose(self, index: int) -> None:
        del self.hints[index % len(self.hints)]

    @rule(audience=st.sampled_from(Audience), back=st.integers(0, 4), by=st.sampled_from(PEOPLE))
    def join(self, audience: Audience, back: int, by: str) -> None:
        self.room.join(audience, max(self.room.log.head(audience).seq - back, 0), by)

    @precondition(lambda self: self.readers)
    @rule(index=indexes)
    def leave(self, index: int) -> None:
        self.reader(index).leave()

    @precondition(lambda self: self.readers)
    @rule(index=indexes, room=st.integers(1, 3))
    def be_slow(self, index: int, room: int) -> None:
        guest = self.reader(index)
        guest.room = min(guest.room, room) if guest.room else 0

    @precondition(lambda self: self.readers)
    @rule(index=indexes, room=st.integers(1, 5))
    def go_on(self, index: int, room: int) -> None:
        self.reader(index).resume(room)

    @precondition(lambda self: self.readers)
    @rule(index=indexes)
    def come_back(self, index: int) -> None:
        guest = self.reader(index)
        guest.leave()
        view = self.room.log.view(guest.audience)
        self.room.join(guest.audience, view.index(guest.position) if guest.position in view else 0)

    @precondition(lambda self: self.room.steps.waiting)
    @rule(index=indexes)
    def step(self, index: int) -> None:
        self.room.steps.step(index)

    @precondition(lambda self: self.room.steps.waiting)
    @rule(count=st.integers(2, 6))
    def go_on_with_the_newest(self, count: int) -> None:
        for _ in range(count):
            self.room.steps.step(-1)

    @rule()
    def settle(self) -> None:
        self.room.settle()

    @rule()
    def audit(self) -> None:
        self.room.audit()

    @rule(failing=st.booleans())
    def fail(self, failing: bool) -> None:
        self.room.log.failing = failing

    @rule(by=st.sampled_from([*PEOPLE, None]), audience=st.sampled_from(Audience))
    def signal(self, by: str | None, audience: Audience) -> None:
        hear = [
            guest
            for guest in self.readers
            if guest.is_live and guest.audience is audience and (by is None or guest.by != by)
        ]
        before = {guest: len(guest.signals) for guest in self.room.guests}
        self.room.receive(Signal("case-1", audience, "signal", by))
        for guest, count in before.items():
            assert len(guest.signals) == count + (guest in hear)

    def teardown(self) -> None:
        try:
            self.room.recover()
            for guest in self.room.guests:
                self.check(guest)
        finally:
            self.room.steps.close()

    def check(self, guest: Guest) -> None:
        """Check that a reader is live at the head; each of its steps was checked as it came."""
        assert not guest.cuts
        self.check_history(guest)

    def check_history(self, guest: Guest) -> None:
        if guest.reads:
            assert guest.is_live
            view = self.room.log.view(guest.audience)
            assert guest.seen == view[len(view) - len(guest.seen) :]
            assert guest.position == view[-1]

    @property
    def readers(self) -> list[Guest]:
        return [guest for guest in self.room.guests if guest.reads]

    def reader(self, index: int) -> Guest:
        return self.readers[index % len(self.readers)]


class Restorations(Deliveries):
    """The same, and the log may be restored to what it was, and go another way from there."""

    @rule(count=st.integers(1, 6))
    def restore(self, count: int) -> None:
        self.room.log.restore(count)

    def check(self, guest: Guest) -> None:
        """Check that whoever was not cut has nothing but the history that there is."""
        assert set(guest.cuts) <= {Cut.CONTINUITY}
        self.check_history(guest)


LONG = settings(max_examples=100, stateful_step_count=40)

TestEveryReaderGetsEveryEventOnceAndInOrder = Deliveries.TestCase
TestEveryReaderGetsEveryEventOnceAndInOrder.settings = LONG
TestNobodyIsLeftWithAHistoryThatIsNotInTheLog = Restorations.TestCase
TestNobodyIsLeftWithAHistoryThatIsNotInTheLog.settings = LONG
