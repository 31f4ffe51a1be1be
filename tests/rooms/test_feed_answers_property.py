"""Whatever is lost, doubled or late: what is shown of an answer is its beginning, and then all.

A walk through a room, chosen by a seed: rules of a state machine would seldom meet in an answer.
Each reader checks what it is given in the moment in which it is given: see `Screen`.
"""

from random import Random

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from rooms.broker import Hint
from rooms.events import Audience, Control
from rooms.state import RunState
from tests.rooms.simulation import Guest, Room

MOVES = 70
WEIGHTS = {
    "begin": 4,
    "grow": 10,
    "end": 2,
    "change_hands": 3,
    "say": 1,
    "deliver": 14,
    "lose": 4,
    "deliver_again": 3,
    "deliver_late": 3,
    "join": 3,
    "leave": 1,
    "be_slow": 3,
    "go_on": 3,
    "step": 14,
    "settle": 3,
    "audit": 1,
    "fail": 1,
}


class Walk:
    """A room in which the AI writes answers, is stopped and taken over from, under a bad broker."""

    def __init__(self, seed: int, *, orderly: bool) -> None:
        self.luck = Random(seed)
        self.orderly = orderly
        self.room = Room(events=2)
        self.room.log.orderly = orderly
        self.hints: list[Hint] = []
        """What the broker still carries."""
        self.told: list[Hint] = []
        """What it has carried."""
        for audience in (*Audience, Audience.STAFF):
            self.room.join(audience, 2)
        self.room.settle()

    def go(self) -> None:
        moves = self.luck.choices(list(WEIGHTS), list(WEIGHTS.values()), k=MOVES)
        for move in moves:
            note(move)
            getattr(self, move)()

    def begin(self) -> None:
        if self.room.log.control is not Control.HUMAN:
            self.hints += self.room.log.begin()

    def grow(self) -> None:
        for number in range(self.luck.randint(1, 2) if self.room.log.run is not None else 0):
            self.hints += self.room.log.grow(f"{number} ")

    def end(self) -> None:
        self.hints += self.room.log.end(self.luck.choice([RunState.DONE, RunState.STOPPED]))

    def change_hands(self) -> None:
        control = self.luck.choice([Control.HUMAN, Control.AI])
        if control is not self.room.log.control:
            self.hints += self.room.log.change(control)

    def say(self) -> None:
        self.hints += self.room.append(hidden=self.luck.random() < 0.5)

    def deliver(self) -> None:
        for _ in range(self.luck.choice([1, 2, 3, 4, 99])):
            if self.hints:
                self.told.append(self.hints.pop(0))
                self.room.receive(self.told[-1])

    def lose(self) -> None:
        for _ in range(self.luck.choice([1, 1, 2, 4])):
            if self.hints:
                del self.hints[self.luck.randrange(len(self.hints))]

    def deliver_again(self) -> None:
        if self.told and not self.orderly:
            self.room.receive(self.luck.choice(self.told[-8:]))

    def deliver_late(self) -> None:
        if self.hints and not self.orderly:
            self.hints.append(self.hints.pop(0))

    def join(self) -> None:
        audience = self.luck.choice(list(Audience))
        head = self.room.log.head(audience).seq
        self.room.join(audience, max(head - self.luck.randint(0, 3), 0))

    def leave(self) -> None:
        # Somebody of each audience stays: a room that is new to this process may hear late hints
        # of answers whose end it has never heard of.
        if self.readers[2:]:
            self.luck.choice(self.readers[2:]).leave()

    def be_slow(self) -> None:
        if self.readers:
            guest = self.luck.choice(self.readers)
            guest.room = min(guest.room, self.luck.randint(1, 2))

    def go_on(self) -> None:
        if self.readers:
            self.luck.choice(self.readers).resume()

    def step(self) -> None:
        for _ in range(self.luck.randint(1, 3)):
            self.room.steps.step(self.luck.choice([0, -1]))

    def settle(self) -> None:
        self.room.settle()

    def audit(self) -> None:
        self.room.audit()

    def fail(self) -> None:
        self.room.log.failing = self.luck.random() < 0.3

    @property
    def readers(self) -> list[Guest]:
        return [guest for guest in self.room.guests if guest.reads]

    def check(self) -> None:
        """Check that after an audit whoever sees an answer sees all of it, and at last its end."""
        self.room.recover()
        run = self.room.log.run
        for guest in self.readers:
            if guest.screen.run is not None:
                assert run is not None, "it thinks for ever"
                assert (guest.screen.run, guest.screen.text) == (run.id, run.text)
        self.room.log.end()  # and nobody hears of it
        self.room.recover()
        self.room.recover()
        for guest in self.readers:
            assert guest.is_live
            assert guest.position == self.room.log.head(guest.audience)
            assert guest.screen.run is None, "it thinks for ever"
            assert guest.screen.untold is None, "it was not told of the end"
        assert not any(guest.cuts for guest in self.room.guests)


@settings(max_examples=300)
@pytest.mark.parametrize("orderly", [True, False])
@given(seed=st.integers(0, 2**32))
def test_what_is_shown_of_an_answer_is_its_beginning_and_at_last_nothing_is_left(
    seed: int, orderly: bool
) -> None:
    walk = Walk(seed, orderly=orderly)
    try:
        walk.go()
        walk.check()
    finally:
        walk.room.steps.close()
