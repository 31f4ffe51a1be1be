"""Whoever accepts a case silences the AI: a thousand races against an answer that is being written.

After `control: human` nobody is given a character of the AI, and the log takes none; what had been
shown of an answer is the beginning of what the log keeps of it; and nobody is left waiting for an
answer that is over. With two processes, hints between them may be late, doubled or lost.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pytest

from auth.principal import Principal
from rooms import runs, takeover
from rooms.commands import Finish
from rooms.events import Audience, Control, Event, SenderType
from rooms.feed import Stream
from rooms.state import Decision, RoomState, Run, Terms
from tests.stories.takeover_world import Answer, Device, Disk, Frame, World, race

pytestmark = pytest.mark.no_cover  # to count lines would take longer than the races
ORDINARY: Final = {"model_failed", "person_not_asked"}
"""What processes may have to say when nothing is wrong."""
WORTH: Final = (
    "answers done",
    "answers failed",
    "answers stopped",
    "answers begun again",
    "conflicts",
    "delta",
    "draft",
    "fell behind",
    "takeovers",
)
"""What a simulation should have seen."""
SHOWN: Final = ("control", "fence", "run", "text", "state")
"""What a failure tells of an event."""


@dataclass
class Screen:
    """What a client shows. It believes what it is told, and fails the test if it should not."""

    answers: dict[str, Answer]
    events: list[Frame] = field(default_factory=list)
    """Those of its newest stay in the room, and what they follow on."""
    last: int | None = None
    """The `seq` of the last event."""
    led_by_human: bool = False
    fence: int = 0
    """That of the newest takeover."""
    run: str | None = None
    """The answer that it shows as being written."""
    text: str = ""
    pieces: int = 0
    over: set[str] = field(default_factory=set)
    """The answers whose message it has."""
    counts: Counter[str] = field(default_factory=Counter)

    def hear(self, frame: Frame) -> None:
        self.counts[frame["type"]] += 1
        match frame["type"]:
            case "joined":
                self._join(frame["after"])
            case "event":
                self._event(frame)
            case "run":
                self._run(frame["run"], frame["state"])
            case "delta":
                at = (frame["run"], frame["i"])
                assert at == (self.run, self.pieces), f"a hole before {frame}"
                self._show(frame["run"], self.text + frame["text"], self.pieces + 1)
            case "draft":
                assert frame["run"] == self.run, "a draft of another answer"
                self._show(frame["run"], frame["text"], frame["i"] + 1)
            case _:
                pass

    def _join(self, after: int) -> None:
        if after != self.last:
            self.events = []
        self.last = after
        self._clear()

    def _event(self, frame: Frame) -> None:
        assert self.last is not None
        assert frame["seq"] == self.last + 1, "the numbers are not dense"
        self.last = frame["seq"]
        self.events.append(frame)
        data = frame["data"]
        if frame["kind"] == "control":
            self.led_by_human = data["control"] == Control.HUMAN
            if self.led_by_human:
                self.fence = data["fence"]
                self._clear()
        elif data.get("sender_type") == SenderType.AI:
            self._hold_back(data["run"])
            self.over.add(data["run"])
            if data["run"] == self.run:
                self._clear()

    def _run(self, run: str, state: str) -> None:
        if state in ("thinking", "writing"):
            if run != self.run:
                self._show(run, "", 0)
            else:
                assert state == "writing" or not self.pieces, "it begins again"
        elif run == self.run:
            self._clear()

    def _show(self, run: str, text: str, pieces: int) -> None:
        self._hold_back(run)
        assert run not in self.over, "it grows after its end"
        assert self.answers[run].text.startswith(text), "shown, and not in the log"
        self.run, self.text, self.pieces = run, text, pieces

    def _hold_back(self, run: str) -> None:
        assert not self.led_by_human, "the AI after control: human"
        assert self.answers[run].fence >= self.fence, "the AI of an older fence"

    def _clear(self) -> None:
        self.run, self.text, self.pieces = None, "", 0


def check(world: World) -> Counter[str]:
    """Check all that was promised; give how often what was worth a race has happened."""
    said = {entry["event"] for entry in world.logs}
    assert said <= ORDINARY, f"a process said {said}"
    assert not [deed for process in world.processes for deed in process.misdeeds]
    assert not world.disk.crowded, "two answers at a time"
    counts = check_log(world) + Counter({"answers begun again": world.again})
    counts += check_accepts(world)
    for device in world.devices:
        counts += check_device(world, device)
    return counts


def check_log(world: World) -> Counter[str]:
    """Check the log itself; every answer is over, and each stands in it as it was shown."""
    counts: Counter[str] = Counter()
    staff, patient = world.views[Audience.STAFF], world.views[Audience.PATIENT]
    assert [frame["seq"] for frame in staff] == list(range(1, len(staff) + 1))
    assert [frame["seq"] for frame in patient] == list(range(1, len(patient) + 1))
    seen = [frame["id"] for frame in staff if frame["kind"] not in ("note", "escalation")]
    assert [frame["id"] for frame in patient] == seen
    screen = Screen(world.answers, last=0)
    for frame in staff:
        led_by_human = screen.led_by_human
        screen.hear(frame)
        if frame["kind"] == "control":
            assert not (led_by_human and screen.led_by_human), "two have accepted"
        if frame["data"].get("run") is not None:
            answer = world.answers[frame["data"]["run"]]
            assert frame["id"] == answer.message_id, "an answer has two messages"
            assert frame["data"]["text"] == answer.text, "shown, and not in the log"
    for run, answer in world.answers.items():
        assert answer.state.over, f"{run} never ends"
        assert (run in screen.over) == bool(answer.text), f"{run} is not told"
        counts[f"answers {answer.state}"] += 1
    return counts


def check_accepts(world: World) -> Counter[str]:
    """Check that each takeover has one winner, and that the others were told who it is."""
    counts: Counter[str] = Counter()
    stretches = list(stretches_of(world.views[Audience.STAFF]))
    fresh = [each for each in world.tries if each.receipt is not None and not each.receipt.dup]
    winners = {each.receipt.id: each.by.id for each in fresh if each.receipt is not None}
    assert not world.refused, world.refused[0]
    assert len(fresh) == len(winners), "two have won"
    assert winners == {stretch.id: stretch.owner_id for stretch in stretches}
    for each in world.tries:
        if each.receipt is None:
            counts["conflicts"] += 1
            assert each.owner != each.by.name
            assert each.owner in [
                stretch.owner
                for stretch in stretches
                if stretch.first <= each.until and each.since < stretch.end
            ]
    counts["takeovers"] = len(stretches)
    return counts


@dataclass
class Stretch:
    """A time in which a person led the case."""

    id: str
    owner: str
    owner_id: str
    first: int
    """The `seq` of the takeover."""
    end: float
    """The `seq` of what ended it; or infinity."""


def stretches_of(events: list[Frame]) -> Iterator[Stretch]:
    changes = [frame for frame in events if frame["kind"] == "control"]
    for place, frame in enumerate(changes):
        if frame["data"]["control"] == Control.HUMAN:
            data: dict[str, Any] = frame["data"]
            end = changes[place + 1]["seq"] if place + 1 < len(changes) else float("inf")
            yield Stretch(frame["id"], data["owner"], data["owner_id"], frame["seq"], end)


def check_device(world: World, device: Device) -> Counter[str]:
    """Check what a client was given, in the order in which it was."""
    assert not device.wrongs, f"{device.name}: {device.wrongs[0]}"
    screen = Screen(world.answers)
    for number, frame in enumerate(device.told):
        try:
            screen.hear(frame)
        except AssertionError as broken:
            told = [brief(each) for each in device.told[max(0, number - 12) : number + 1]]
            raise AssertionError(f"{device.name}: {broken}\n" + "\n".join(told)) from broken
    view = world.views[device.audience]
    assert screen.last == view[-1]["seq"], f"{device.name} has not everything"
    assert screen.events == view[len(view) - len(screen.events) :]
    assert screen.run is None, f"{device.name} waits for an answer that is over"
    counts = Counter({name: screen.counts[name] for name in ("delta", "draft", "joined")})
    counts["fell behind"] = device.fell_behind
    return counts


def brief(frame: Frame) -> str:
    members = ("type", "seq", "kind", "run", "state", "i", "text", "after")
    data = {name: value for name, value in frame.get("data", {}).items() if name in SHOWN}
    return str({name: frame[name] for name in members if name in frame} | data)


def races(seeds: range, processes: int) -> Counter[str]:
    disk = Disk()
    counts: Counter[str] = Counter()
    for seed in seeds:
        try:
            counts += check(race(disk, seed, processes))
        except AssertionError as broken:
            broken.add_note(f"seed {seed}, processes {processes}")
            raise
    return counts


def assert_worth_running(counts: Counter[str], seeds: int) -> None:
    """Check that what a race is about did happen, and often."""
    for name in WORTH:
        assert counts[name] > seeds // 6, counts


@pytest.mark.parametrize("chunk", range(8))
def test_after_a_takeover_the_ai_is_silent(chunk: int) -> None:
    counts = races(range(chunk * 125, (chunk + 1) * 125), 1)
    assert_worth_running(counts, 125)


@pytest.mark.parametrize("chunk", range(4))
def test_after_a_takeover_in_another_process_the_ai_is_silent(chunk: int) -> None:
    counts = races(range(chunk * 75, (chunk + 1) * 75), 2)
    assert_worth_running(counts, 75)


def test_a_seed_stands_for_one_course_of_things() -> None:
    disk = Disk()
    for seed in range(4):
        courses = [race(disk, seed, 2) for _ in range(2)]
        one, other = ([device.told for device in world.devices] for world in courses)
        assert one == other


# What the simulation is worth: it finds what would be wrong.


def check_no_fence(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(runs, "writable", lambda state, run: state.run or Run(run, state.fence))


def take_the_end_of_any_answer(patch: pytest.MonkeyPatch) -> None:
    finish = runs.finish

    def careless(state: RoomState, command: Finish, terms: Terms) -> Decision:
        over = state.run is None or state.run.id != command.run
        if not over or not command.rest:
            return finish(state, command, terms)
        before = replace(state, control=Control.AI, run=Run(command.run, state.fence))
        happenings = finish(before, replace(command, after=None), terms).happenings
        return Decision(tuple(each for each in happenings if isinstance(each, Event)))

    patch.setattr(runs, "finish", careless)


def show_pieces_of_any_fence(patch: pytest.MonkeyPatch) -> None:
    no_fence = property(lambda stream: 0, lambda stream, fence: None)
    patch.setattr(Stream, "_ai_fence", no_fence, raising=False)


def show_what_follows_a_release_before_it(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Stream, "_is_early", lambda stream, fence: False)


def accept_and_let_the_answer_go_on(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(takeover, "interrupt", lambda state, cause, terms: ())


def let_everybody_win(patch: pytest.MonkeyPatch) -> None:
    accept = takeover.accept

    def kind(state: RoomState, by: Principal, terms: Terms) -> Decision:
        return accept(replace(state, control=Control.WAITING), by, terms)

    patch.setattr(takeover, "accept", kind)


TALKS: Final = ("the AI after control: human", "the AI of an older fence")


@pytest.mark.parametrize(
    ("plant", "processes", "found"),
    [
        (check_no_fence, 2, ("append_failed", "task_failed")),
        (take_the_end_of_any_answer, 1, (*TALKS, "an answer has two messages")),
        (show_pieces_of_any_fence, 2, TALKS),
        (show_what_follows_a_release_before_it, 2, TALKS),
        (accept_and_let_the_answer_go_on, 2, (*TALKS, "never ends")),
        (let_everybody_win, 1, ("two have accepted", "may not release")),
    ],
)
def test_a_fault_is_found(
    plant: Callable[[pytest.MonkeyPatch], None],
    processes: int,
    found: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError, match="|".join(found)):
        races(range(1000), processes)
