"""The live state of the open cases of a tenant: true for everybody, whatever is lost or slow."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.typing import EventDict

from rooms.broker import Hint
from rooms.commands import Accept, Escalate, MarkRead, Release, SetStatus, WriteNote
from rooms.cursor import START, Cursor
from rooms.desk import KEPT, Desks, Entry, Seat
from rooms.encoding import Record, RunSignal, Signal
from rooms.errors import Unavailable
from rooms.events import Audience, Control, Status, Trigger
from rooms.state import Progress, RoomState, RunState
from tests.rooms.kit import (
    CASE,
    FOREIGNER,
    MARIA,
    NOW,
    PLAIN,
    PRIYA,
    TENANT,
    WITHIN,
    Plain,
    registration,
    say,
)
from tests.rooms.kit import OpenLog as Hub
from tests.shuffled_loop import run_shuffled

OTHER = "tenant-2"
LATER = 0.3
"""Seconds after which what was heard of has been told."""
AUDITED = 7.0
"""Seconds after which there has been an audit, however slow its reads."""
Members: TypeAlias = dict[str, Any]


class Cases:
    """The log, as far as desks read it; luck decides how long it takes."""

    def __init__(self, rng: Random | None = None) -> None:
        self._rng = rng
        self._versions = 0
        self.states: dict[str, RoomState] = {}
        self.failing = False
        self.slow = 0.0
        self.queries: list[list[str]] = []

    async def open_cases(self, tenants: Sequence[str]) -> list[RoomState]:
        states = await self._read([*tenants])
        return [each for each in states if each.tenant in tenants and is_open(each)]

    async def states_of(self, cases: Sequence[str]) -> list[RoomState]:
        assert len(cases) <= 500
        return [each for each in await self._read([*cases]) if each.case in cases]

    def change(self, case: str, tenant: str = TENANT, **members: Any) -> None:
        """Let something happen in a case; each state of it is another than all before it."""
        self._versions += 1
        state = self.states.get(case) or RoomState(case, tenant, "patient", "Maria")
        self.states[case] = replace(state, preview=str(self._versions), **members)

    async def _read(self, query: list[str]) -> list[RoomState]:
        self.queries.append(query)
        await self._dawdle()
        if self.failing:
            raise Unavailable
        states = list(self.states.values())
        await self._dawdle()
        return states

    async def _dawdle(self) -> None:
        luck = 0.0 if self._rng is None else self._rng.choice([0, 0, 0.01, 0.2])
        await asyncio.sleep(self.slow + luck)


class Wrong(BaseException):
    """What no reader may be told; not an error that the desks could survive."""


@dataclass(eq=False)
class Guest:
    """A reader at a desk, who keeps a list of open cases by what it is told."""

    room: int = 1_000_000
    """How many more writes it takes before it says that it is full."""
    codec: Any = PLAIN
    seat: Seat | None = None
    frames: list[Members] = field(default_factory=list)
    cases: dict[str, Members] = field(default_factory=dict)

    async def join(self, desks: Desks, tenant: str = TENANT) -> "Guest":
        self.seat, entries = await desks.join(tenant, self)
        self.cases = {entry.case: json.loads(entry.json) for entry in entries}
        return self

    def write(self, data: bytes) -> bool:
        frame = json.loads(data)
        if self.seat is None or self.seat.closed or self.room <= 0:
            raise Wrong("nothing may be told now", frame)
        self.room -= 1
        self.frames.append(frame)
        case = frame["case"]
        if frame["type"] == "case":
            members = {name: value for name, value in frame.items() if name != "type"}
            before = self.cases.get(case, {"preview": "0"})
            if int(members["preview"]) <= int(before["preview"]):
                raise Wrong("older, or nothing new", frame)
            self.cases[case] = members
        else:
            self.cases.pop(case, None)
        return self.room > 0

    def resume(self, room: int = 1_000_000) -> None:
        self.room = room
        if self.seat is not None:
            self.seat.resume()

    def leave(self) -> None:
        assert self.seat is not None
        self.seat.close()

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(frame["type"], frame["case"]) for frame in self.frames]


def is_open(state: RoomState) -> bool:
    return state.status not in (Status.CLOSED, Status.ARCHIVED)


def event(case: str, audience: Audience = Audience.STAFF) -> Record:
    return Record(case, audience, Cursor(1, "0" * 8), START, "message", "{}")


def signal(case: str, type: str) -> Signal:
    return Signal(case, Audience.STAFF, json.dumps({"type": type, "case": case}))


@asynccontextmanager
async def running(desks: Desks) -> AsyncIterator[Desks]:
    following = asyncio.create_task(desks.run())
    yield desks
    following.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await following


def simulated(story: Callable[[Desks, Cases], Any], seed: int = 1, luck: bool = False) -> None:
    """Run a story in which time passes only when everybody waits."""

    async def main() -> None:
        cases = Cases(Random(seed) if luck else None)
        async with running(Desks(cases)) as desks:
            await story(desks, cases)

    run_shuffled(main, seed, late=0.3)


# What is shown.


async def test_everything_that_a_desk_shows_follows_the_log(hub: Hub) -> None:
    def note(hints: list[Hint]) -> None:
        for hint in hints:
            desks.note(hint)

    desks = Desks(hub.log, every=0.0)
    guest = Watcher()
    async with running(desks):
        await guest.join(desks)
        assert guest.cases[CASE] == {
            "case": CASE,
            "patient": "Maria",
            "control": "ai",
            "owner": None,
            "owner_id": None,
            "status": "intake",
            "waiting_since": None,
            "escalation": None,
            "reminders": 0,
            "last_message_at": None,
            "preview": "",
            "unread": 0,
        }
        for command, by, changes in (
            (say("x" * 200), MARIA, {"preview": "x" * 120, "unread": 1}),
            (Escalate(), MARIA, {"control": "waiting", "escalation": "button"}),
            (MarkRead(9), PRIYA, {"unread": 0}),
            (Accept(), PRIYA, {"control": "human", "owner": "Priya", "owner_id": PRIYA.id}),
            (SetStatus(Status.ON_HOLD), PRIYA, {"status": "on_hold"}),
            (Release(), PRIYA, {"control": "ai", "owner": None, "owner_id": None}),
        ):
            guest.changed.clear()
            await hub.do(command, by)
            note([*hub.told[-1], signal(CASE, "read")])
            await guest.next()
            assert changes.items() <= guest.cases[CASE].items()
            times = [guest.cases[CASE][name] for name in ("waiting_since", "last_message_at")]
            assert [time is None or time.endswith("Z") for time in times] == [True, True]
            assert (times[0] is not None) is (guest.cases[CASE]["control"] == "waiting")
        await hub.do(WriteNote("psst"), PRIYA)
        await hub.open_case("case-2", 2)
        note([hint for hints in hub.told[-2:] for hint in hints])
        await guest.until(lambda: "case-2" in guest.cases)
        await hub.log.append("case-3", registration(3), FOREIGNER, "open")
        await hub.do(SetStatus(Status.CLOSED), PRIYA)
        note([hint for hints in hub.told[-2:] for hint in hints])
        await guest.until(lambda: CASE not in guest.cases)
        assert guest.cases.keys() == {"case-2"}
        assert guest.told[-2:] == [("case", "case-2"), ("case_closed", CASE)]
        assert len(guest.frames) == 8


@dataclass(eq=False)
class Watcher(Guest):
    """A reader of cases whose previews are no versions."""

    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def write(self, data: bytes) -> bool:
        frame = json.loads(data)
        self.frames.append(frame)
        members = {name: value for name, value in frame.items() if name != "type"}
        self.cases.pop(frame["case"], None)
        if frame["type"] == "case":
            self.cases[frame["case"]] = members
        self.changed.set()
        return True

    async def next(self) -> None:
        """Wait until it is told of something after `changed` was cleared."""
        async with asyncio.timeout(WITHIN):
            await self.changed.wait()

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():
            self.changed.clear()
            await self.next()


def test_who_waits_longest_comes_first_and_then_who_wrote_last() -> None:
    async def story(desks: Desks, cases: Cases) -> None:
        for minute, (case, waits) in enumerate(
            [("c", True), ("e", False), ("b", True), ("a", True), ("d", False)]
        ):
            at = NOW + timedelta(minutes=minute)
            cases.change(case, last_message_at=at)
            if waits:
                since = NOW - timedelta(minutes=minute)
                cases.change(case, control=Control.WAITING, waiting_since=since)
        for case in ("z", "y"):
            cases.change(case)
        cases.change("led", control=Control.HUMAN, last_message_at=NOW - timedelta(days=1))
        _, entries = await desks.join(TENANT, Guest())
        assert [entry.case for entry in entries] == ["a", "b", "c", "d", "e", "led", "y", "z"]

    simulated(story)


@pytest.mark.parametrize("status", [Status.CLOSED, Status.ARCHIVED])
def test_a_case_that_is_closed_is_gone_and_a_reopened_one_is_back(status: Status) -> None:
    async def story(desks: Desks, cases: Cases) -> None:
        cases.change("a")
        guest = await Guest().join(desks)
        for now in (status, Status.ACTIVE):
            cases.change("a", status=now)
            desks.note(event("a"))
            await asyncio.sleep(LATER)
        assert guest.told == [("case_closed", "a"), ("case", "a")]
        cases.change("a", status=status)
        late = await Guest().join(desks)
        assert (late.cases, guest.cases) == ({}, {})

    simulated(story)


def test_a_desk_is_told_of_its_own_tenant_only() -> None:
    async def story(desks: Desks, cases: Cases) -> None:
        ours, theirs = await Guest().join(desks), await Guest().join(desks, OTHER)
        cases.change("a", OTHER)
        desks.note(event("a"))
        await asyncio.sleep(AUDITED)
        assert ours.frames == []
        assert theirs.told == [("case", "a")]

    simulated(story)


# What it costs.


def test_a_hundred_messages_a_second_are_ten_queries_a_second() -> None:
    async def story(desks: Desks, cases: Cases) -> None:
        guest = await Guest().join(desks)
        before = len(cases.queries)
        for number in range(100):
            case = str(number % 7)
            cases.change(case)
            desks.note(event(case))
            await asyncio.sleep(0.01)
        await asyncio.sleep(LATER)
        assert 8 <= len(cases.queries) - before <= 12
        assert len(guest.cases) == 7

    simulated(story)


def test_the_first_change_is_told_at_once() -> None:
    async def story(desks: Desks, cases: Cases) -> None:
        guest = await Guest().join(desks)
        cases.change("a")
        desks.note(event("a"))
        await asyncio.sleep(0.001)
        assert guest.told == [("case", "a")]

    simulated(story)


def test_a_change_is_encoded_once_for_all_readers() -> None:
    async def story(desks: Desks, cases: Cases) -> None:
        codec = Counting()
        guests = [await Guest(codec=codec).join(desks) for _ in range(50)]
        cases.change("a")
        desks.note(event("a"))
        await asyncio.sleep(LATER)
        assert [guest.told for guest in guests] == [[("case", "a")]] * 50
        assert codec.count == 1

    simulated(story)


class Counting(Plain):
    """Counts what it encodes."""

    count = 0

    def signal(self, signal: Signal) -> bytes | None:
        self.count += 1
        return super().signal(signal)


def test_readers_who_come_together_are_served_by_a_read_that_began_after_they_came() -> None:
    async def story(desks: Desks, cases: Cases) -> None:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(200):
                tasks.create_task(Guest().join(desks))
        assert len(cases.queries) <= 5

    simulated(story, luck=True)


@pytest.mark.parametrize(
    "hint",
    [
        event("a", Audience.PATIENT),
        signal("a", "typing"),
        signal("a", "presence"),
        RunSignal("a", Audience.STAFF, Progress("r", 0, RunState.THINKING)),
    ],
    ids=["patient", "typing", "presence", "run"],
)
def test_what_cannot_change_a_desk_costs_nothing(hint: Hint) -> None:
    async def story(desks: Desks, cases: Cases) -> None:
        await Guest().join(desks)
        before = len(cases.queries)
        desks.note(hint)
        await asyncio.sleep(1)
        assert len(cases.queries) == before

    simulated(story)


def test_without_readers_nothing_is_read() -> None:
    async def story(desks: Desks, cases: Cases) -> None:
        guest = await Guest().join(desks)
        guest.leave()
        guest.leave()
        before = len(cases.queries)
        cases.change("a")
        desks.note(event("a"))
        await asyncio.sleep(3 * AUDITED)
        assert len(cases.queries) == before
        assert guest.frames == []

    simulated(story)


def test_thousands_of_changed_cases_are_read_in_parts() -> None:
    async def story(desks: Desks, cases: Cases) -> None:
        guest = await Guest().join(desks)
        for number in range(1_200):
            cases.change(str(number))
            desks.note(event(str(number)))
        await asyncio.sleep(LATER)
        assert len(guest.cases) == 1_200

    simulated(story)


@pytest.mark.parametrize("hint", [event("a"), signal("a", "read")], ids=["event", "read"])
def test_what_may_change_a_desk_is_looked_at_soon(hint: Hint) -> None:
    async def story(desks: Desks, cases: Cases) -> None:
        guest = await Guest().join(desks)
        cases.change("a")
        desks.note(hint)
        await asyncio.sleep(LATER)
        assert guest.told == [("case", "a")]

    simulated(story)


# What is lost, late or slow.


def test_a_change_during_a_read_is_not_lost() -> None:
    async def story(desks: Desks, cases: Cases) -> None:
        guest = await Guest().join(desks)
        cases.slow = 0.2
        for _ in range(2):
            cases.change("a")
            desks.note(event("a"))
            await asyncio.sleep(0.3)
        await asyncio.sleep(1)
        assert guest.told == [("case", "a")] * 2

    simulated(story)


def test_a_slow_read_never_follows_on_a_newer_one() -> None:
    async def story(desks: Desks, cases: Cases) -> None:
        cases.change("a")
        guest = await Guest().join(desks)
        cases.slow = 0.2
        late = asyncio.create_task(Guest().join(desks))
        await asyncio.sleep(0.3)
        cases.slow = 0.0
        cases.change("a")
        desks.note(event("a"))
        await asyncio.sleep(LATER)
        assert guest.told == (await late).told == [("case", "a")]
        assert guest.cases == (await late).cases

    simulated(story)


def test_a_reader_that_joins_during_a_read_is_not_given_what_it_found() -> None:
    async def story(desks: Desks, cases: Cases) -> None:
        cases.change("a")
        cases.slow = 0.2
        first = asyncio.create_task(Guest().join(desks))
        await asyncio.sleep(0.3)
        cases.change("a")
        second = await Guest().join(desks)
        assert second.cases["a"]["preview"] == "2"
        assert (await first).told == [("case", "a")]

    simulated(story)


def test_what_no_hint_told_is_found_by_the_audit() -> None:
    async def story(desks: Desks, cases: Cases) -> None:
        cases.change("a")
        cases.change("b")
        guest = await Guest().join(desks)
        cases.change("a")
        cases.change("b", status=Status.CLOSED)
        cases.change("c")
        await asyncio.sleep(5.1)
        assert sorted(guest.told) == [("case", "a"), ("case", "c"), ("case_closed", "b")]

    simulated(story)


def test_a_log_that_went_back_in_time_is_shown_as_it_is() -> None:
    async def story(desks: Desks, cases: Cases) -> None:
        cases.change("a", unread=1)
        earlier = dict(cases.states)
        cases.change("a", unread=2)
        cases.change("b")
        guest = Watcher()
        await guest.join(desks)
        cases.states = earlier
        await asyncio.sleep(AUDITED)
        assert guest.cases.keys() == {"a"}
        assert guest.cases["a"]["unread"] == 1

    simulated(story)


def test_a_log_that_cannot_be_read_leaves_what_was_shown_and_is_asked_again(
    logged: list[EventDict],
) -> None:
    async def story(desks: Desks, cases: Cases) -> None:
        cases.change("a")
        guest = await Guest().join(desks)
        cases.failing = True
        cases.change("a")
        desks.note(event("a"))
        await asyncio.sleep(AUDITED)
        assert guest.frames == []
        cases.failing = False
        await asyncio.sleep(1.1)
        assert guest.told == [("case", "a")]

    simulated(story)
    lines = [line for line in logged if line["event"] == "desks_wait_for_log"]
    assert 5 <= len(lines) <= 10


def test_an_error_in_one_read_does_not_end_the_desks(
    logged: list[EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(desks: Desks, cases: Cases) -> None:
        guest = await Guest().join(desks)
        with monkeypatch.context() as patch:
            patch.setattr(cases, "states_of", None)
            cases.change("a")
            desks.note(event("a"))
            await asyncio.sleep(LATER)
        await asyncio.sleep(1)
        assert guest.told == [("case", "a")]

    simulated(story)
    assert [line["event"] for line in logged] == ["desks_failed"]


def test_whoever_cannot_be_let_in_is_forgotten() -> None:
    async def story(desks: Desks, cases: Cases) -> None:
        cases.failing = True
        with pytest.raises(Unavailable):
            await Guest().join(desks)
        cases.failing = False
        before = len(cases.queries)
        desks.note(event("a"))
        await asyncio.sleep(AUDITED)
        assert len(cases.queries) == before

    simulated(story)


def test_a_full_reader_is_told_the_newest_state_of_what_it_missed_and_nothing_between() -> None:
    async def story(desks: Desks, cases: Cases) -> None:
        cases.change("gone")
        slow, quick = await Guest(room=1).join(desks), await Guest().join(desks)
        for number in range(20):
            for case in ("a", "b"):
                cases.change(case, unread=number)
                desks.note(event(case))
            await asyncio.sleep(LATER)
        cases.change("gone", status=Status.CLOSED)
        desks.note(event("gone"))
        await asyncio.sleep(LATER)
        assert slow.told == [("case", "a")]
        assert len(quick.frames) == 41
        slow.resume(room=1)
        assert len(slow.frames) == 2
        slow.resume()
        assert slow.cases == quick.cases
        assert len(slow.frames) == 4
        slow.resume()
        assert len(slow.frames) == 4

    simulated(story)


def test_cases_that_are_owed_are_told_when_there_is_room() -> None:
    async def story(desks: Desks, cases: Cases) -> None:
        for case in ("a", "b", "c"):
            cases.change(case)
        guest = Guest(room=2)
        guest.seat, entries = await desks.join(TENANT, guest)
        guest.seat.owe(entry.case for entry in entries)
        guest.seat.resume()
        assert guest.told == [("case", "a"), ("case", "b")]
        guest.leave()
        guest.resume()
        assert len(guest.frames) == 2

    simulated(story)


# Those who look again and again, instead of being told.


def shown(entries: list[Entry]) -> dict[str, str]:
    return {entry.case: entry.preview for entry in entries}


def test_whoever_looks_sees_what_a_reader_is_given_in_the_same_order() -> None:
    async def story(desks: Desks, cases: Cases) -> None:
        for minute, case in enumerate(["b", "a", "c"]):
            cases.change(case, last_message_at=NOW + timedelta(minutes=minute))
        cases.change("w", control=Control.WAITING, waiting_since=NOW)
        cases.change("theirs", OTHER)
        looked = await desks.look(TENANT)
        _, entries = await desks.join(TENANT, Guest())
        assert looked == entries == await desks.look(TENANT)
        assert [entry.case for entry in looked] == ["w", "c", "a", "b"]
        assert [entry.case for entry in await desks.look(OTHER)] == ["theirs"]

    simulated(story)


def test_whoever_looks_again_reads_what_has_changed_and_nothing_else() -> None:
    async def story(desks: Desks, cases: Cases) -> None:
        for number in range(9):
            cases.change(str(number))
        await desks.look(TENANT)
        assert cases.queries == [[TENANT]]
        await desks.look(TENANT)
        assert len(cases.queries) == 1
        # What was heard is there at once, and not a tenth of a second later.
        cases.change("3")
        desks.note(event("3"))
        assert shown(await desks.look(TENANT))["3"] == "10"
        assert cases.queries == [[TENANT], ["3"]]

    simulated(story)


def test_a_change_that_is_being_read_is_waited_for() -> None:
    async def story(desks: Desks, cases: Cases) -> None:
        cases.change("a")
        await desks.look(TENANT)
        cases.slow = 0.01
        for version in range(2, 20):
            cases.change("a")
            desks.note(event("a"))
            await asyncio.sleep(0.003)
            assert shown(await desks.look(TENANT)) == {"a": str(version)}

    simulated(story)


def test_a_desk_at_which_nobody_looks_any_more_costs_nothing() -> None:
    async def story(desks: Desks, cases: Cases) -> None:
        await desks.look(TENANT)
        await asyncio.sleep(KEPT - 1)
        await desks.look(TENANT)
        await asyncio.sleep(KEPT - 1)
        whole = cases.queries.count([TENANT])
        await desks.look(TENANT)
        assert cases.queries.count([TENANT]) == whole, "it was kept for so long"
        await asyncio.sleep(KEPT + 1)
        before = len(cases.queries)
        desks.note(event("a"))
        await asyncio.sleep(3 * AUDITED)
        assert len(cases.queries) == before
        await desks.look(TENANT)
        assert len(cases.queries) == before + 1

    simulated(story)


@pytest.mark.parametrize("reader_first", [True, False])
def test_a_desk_stays_for_those_who_are_told_and_for_those_who_look(reader_first: bool) -> None:
    async def story(desks: Desks, cases: Cases) -> None:
        cases.change("a")
        guest = await Guest().join(desks)
        await desks.look(TENANT)
        if reader_first:
            guest.leave()
            before = cases.queries.count([TENANT])
            await desks.look(TENANT)
            assert cases.queries.count([TENANT]) == before
        else:
            await asyncio.sleep(KEPT + 1)
            cases.change("a")
            desks.note(event("a"))
            await asyncio.sleep(LATER)
            assert guest.told == [("case", "a")]

    simulated(story)


def test_whoever_looks_while_the_log_cannot_be_read_is_told_so_and_sees_it_all_later() -> None:
    async def story(desks: Desks, cases: Cases) -> None:
        cases.change("a")
        cases.failing = True
        with pytest.raises(Unavailable):
            await desks.look(TENANT)
        cases.failing = False
        assert shown(await desks.look(TENANT)) == {"a": "1"}
        cases.change("a")
        desks.note(event("a"))
        cases.failing = True
        with pytest.raises(Unavailable):
            await desks.look(TENANT)
        cases.failing = False
        assert shown(await desks.look(TENANT)) == {"a": "2"}

    simulated(story)


# Whatever happens, in whatever order.

KINDS = [
    *("say", "say", "wait", "accept", "read", "close", "close", "open"),
    *("tell", "tell", "tell twice", "tell all", "tell all", "lose"),
    *(
        "look",
        "join",
        "join",
        "join",
        "leave",
        "fill",
        "drain",
        "fail",
        "mend",
        "mend",
        "mend",
        "pass",
    ),
]
STEPS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 99)), min_size=30, max_size=60)


class World:
    """Two tenants, their cases, their desks, and hints that may be lost, late or doubled."""

    def __init__(self, desks: Desks, cases: Cases, tasks: asyncio.TaskGroup) -> None:
        self.desks = desks
        self.cases = cases
        self.tasks = tasks
        self.hints: list[Hint] = []
        self.guests: list[tuple[Guest, str]] = []
        self.happened: Counter[str] = Counter()

    async def do(self, kind: str, index: int) -> None:
        self.happened[kind] += 1
        case, tenant = f"case-{index % 4}", (TENANT, OTHER)[index % 2]
        match kind:
            case "say" | "wait" | "accept" | "read" | "close" | "open":
                self.cases.change(case, tenant, **CHANGES[kind])
                self.hints.append(signal(case, "read") if kind == "read" else event(case))
            case "tell" | "lose" | "tell twice" | "tell all":
                self.tell(kind, index)
            case "look":
                self.tasks.create_task(self.look(tenant))
            case "join":
                self.tasks.create_task(self.join(tenant))
            case "leave" | "fill" | "drain":
                self.move(kind, index)
            case "fail" | "mend":
                self.cases.failing = kind == "fail"
            case _:
                await asyncio.sleep(index / 20)

    def tell(self, kind: str, index: int) -> None:
        if kind == "tell all":
            for hint in self.hints:
                self.desks.note(hint)
            self.hints.clear()
        elif self.hints:
            place = index % len(self.hints)
            hint = self.hints[place] if kind == "tell twice" else self.hints.pop(place)
            if kind != "lose":
                self.desks.note(hint)

    def move(self, kind: str, index: int) -> None:
        if not self.guests:
            return
        guest, _ = self.guests[index % len(self.guests)]
        if kind == "leave":
            self.guests.pop(index % len(self.guests))
            guest.leave()
        elif kind == "fill":
            guest.room = min(guest.room, 1)
        elif not guest.room:
            guest.resume(1 + index % 3)

    async def join(self, tenant: str) -> None:
        guest = Guest()
        try:
            await guest.join(self.desks, tenant)
        except Unavailable:
            assert self.happened["fail"]
        else:
            self.guests.append((guest, tenant))

    async def look(self, tenant: str) -> None:
        try:
            await self.desks.look(tenant)
        except Unavailable:
            assert self.happened["fail"]

    def truth(self, tenant: str) -> dict[str, str]:
        states = [state for state in self.cases.states.values() if is_open(state)]
        return {state.case: state.preview for state in states if state.tenant == tenant}

    async def check(self) -> None:
        for guest, tenant in self.guests:
            previews = {case: each["preview"] for case, each in guest.cases.items()}
            assert previews == self.truth(tenant)
        for tenant in (TENANT, OTHER):
            assert shown(await self.desks.look(tenant)) == self.truth(tenant)


CHANGES: dict[str, Members] = {
    "say": {"unread": 1, "last_message_at": NOW},
    "wait": {
        "control": Control.WAITING,
        "waiting_since": NOW,
        "escalation": Trigger.PHRASE,
        "owner_id": None,
    },
    "accept": {"control": Control.HUMAN, "waiting_since": None, "owner_id": "priya"},
    "read": {"unread": 0},
    "close": {"status": Status.CLOSED},
    "open": {"status": Status.ACTIVE},
}


@settings(max_examples=150)
@given(steps=STEPS, seed=st.integers(0, 2**16))
def test_every_reader_has_the_true_state_after_an_audit_whatever_happened_before(
    steps: list[tuple[str, int]], seed: int
) -> None:
    async def story(desks: Desks, cases: Cases) -> None:
        rng = Random(seed)
        async with asyncio.TaskGroup() as tasks:
            world = World(desks, cases, tasks)
            for kind, index in steps:
                await world.do(kind, index)
                await asyncio.sleep(rng.choice([0, 0, 0.005, 0.06]))
            cases.failing = False
        for guest, _ in world.guests:
            guest.resume()
        await asyncio.sleep(AUDITED)
        await world.check()

    simulated(story, seed, luck=True)


def test_an_entry_is_written_with_every_member() -> None:
    entry = Entry("c", "M", Control.AI, None, None, Status.INTAKE, None, None, 0, None, "", 0)
    assert len(json.loads(entry.json)) == 12
