"""Who is in a room now, at any process: time and the way between the processes are the test's."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from random import Random

import pytest

from auth.principal import Principal
from rooms.attendance import Attendance, Occupant, RollCall
from rooms.presence import ASK_AGAIN, BEAT, GRACE, Presence, Present
from tests.rooms.kit import LEE, MARIA, PRIYA, SAM, WITHIN

CASE = "case-1"
NOBODY = Present(patient=False, viewers=())
MARIA_ALONE = Present(patient=True, viewers=())
PRIYA_ALONE = Present(patient=False, viewers=(("user_priya", "Priya"),))
GONE_WITHIN = GRACE + BEAT
"""Seconds after which nobody sees the people of a process that died."""


@dataclass
class World:
    """Processes, each with its presence, and a way between them that may lose what it is given."""

    time: float = 0.0
    grace: float = GRACE
    deaf: set[str] = field(default_factory=set)
    """Processes that hear nothing."""
    frozen: dict[str, list[Attendance | RollCall]] = field(default_factory=dict)
    """Processes that do nothing, each with what it will hear when it thaws."""
    published: list[Attendance | RollCall] = field(default_factory=list)
    processes: dict[str, Presence] = field(default_factory=dict)
    told: list[tuple[str, str, Present, str | None]] = field(default_factory=list)
    """Each change: at which process, of which case, to what, and by whom."""

    def start(self, name: str) -> Presence:
        presence = Presence(name, monotonic=lambda: self.time, grace=self.grace)
        self.processes[name] = presence
        presence.announce = self.publish
        presence.changed = lambda case, _, now, by: self.told.append((name, case, now, by))
        presence.call()
        return presence

    def publish(self, hint: Attendance | RollCall) -> None:
        self.published.append(hint)
        for name, presence in self.processes.items():
            if name in self.frozen:
                self.frozen[name].append(hint)
            elif name not in self.deaf and hint.process not in self.deaf:
                presence.hear(hint)

    def kill(self, name: str) -> None:
        del self.processes[name]

    def sweep(self) -> None:
        for name, presence in list(self.processes.items()):
            if name not in self.frozen:
                presence.sweep()

    def thaw(self, name: str, *, hears_first: bool) -> None:
        waiting = self.frozen.pop(name)
        if not hears_first:
            self.processes[name].sweep()
        for hint in waiting:
            self.processes[name].hear(hint)
        self.processes[name].sweep()

    def pass_time(self, seconds: float, step: float = 0.5) -> None:
        """Let time pass, and each process look at it twice a second."""
        end = self.time + seconds
        while self.time < end:
            self.time = min(self.time + step, end)
            self.sweep()

    def seen(self, case: str = CASE) -> list[Present]:
        """Give who is in a room, as each process sees it."""
        return [presence.present(case) for presence in self.processes.values()]


def two(grace: float = GRACE) -> tuple[World, Presence, Presence]:
    world = World(grace=grace)
    return world, world.start("a"), world.start("b")


# One process.


def test_nobody_is_in_a_room_that_nobody_entered() -> None:
    assert World().start("a").present(CASE) == NOBODY


def test_the_second_connection_of_somebody_changes_nothing() -> None:
    world = World(grace=0)
    presence = world.start("a")
    presence.enter(CASE, "c1", PRIYA)
    presence.enter(CASE, "c2", PRIYA)
    presence.leave(CASE, "c1")
    assert presence.present(CASE) == PRIYA_ALONE
    presence.leave(CASE, "c2")
    assert world.told == [("a", CASE, PRIYA_ALONE, PRIYA.id), ("a", CASE, NOBODY, None)]


def test_a_patient_is_online_and_no_viewer() -> None:
    world = World()
    presence = world.start("a")
    presence.enter(CASE, "c1", MARIA)
    presence.enter(CASE, "c2", MARIA)
    assert world.told == [("a", CASE, MARIA_ALONE, MARIA.id)]


def test_viewers_are_listed_once_each_in_the_same_order_for_everybody() -> None:
    _, a, b = two()
    renamed = replace(PRIYA, name="Priya B.")
    for number, by in enumerate((SAM, PRIYA, MARIA, SAM, renamed)):
        (a, b)[number % 2].enter(CASE, f"c{number}", by)
    a.sweep()
    b.sweep()
    everybody = Present(patient=True, viewers=(("user_priya", "Priya"), ("user_sam", "Sam")))
    assert a.present(CASE) == b.present(CASE) == everybody


def test_rooms_are_kept_apart() -> None:
    presence = World(grace=0).start("a")
    presence.enter(CASE, "c1", MARIA)
    presence.enter("case-2", "c1", PRIYA)
    presence.leave(CASE, "c1")
    assert presence.present("case-2") == PRIYA_ALONE


def test_a_connection_that_never_entered_leaves_without_a_trace() -> None:
    presence = World(grace=0).start("a")
    presence.leave(CASE, "c1")
    presence.enter(CASE, "c1", MARIA)
    presence.leave(CASE, "c2")
    presence.leave("case-2", "c1")
    assert presence.present(CASE).patient


def test_whether_staff_have_a_connection_knows_no_grace() -> None:
    presence = World().start("a")
    presence.enter(CASE, "c1", PRIYA)
    presence.enter(CASE, "c1", PRIYA)
    presence.appear(PRIYA)
    presence.leave(CASE, "c1")
    assert presence.is_connected(PRIYA.tenant, PRIYA.id)
    presence.vanish(PRIYA)
    assert not presence.is_connected(PRIYA.tenant, PRIYA.id)


def test_somebody_whose_name_changes_while_they_are_here_leaves_nobody_behind() -> None:
    world, a, _ = two()
    a.enter(CASE, "c1", PRIYA)
    # A reader that was behind enters again, and a token may have been renewed meanwhile.
    a.enter(CASE, "c1", replace(PRIYA, name="Priya B."))
    a.leave(CASE, "c1")
    world.pass_time(GRACE + 1)
    assert world.seen() == [NOBODY, NOBODY]
    assert not a.is_connected(PRIYA.tenant, PRIYA.id)


# Grace.


def test_somebody_is_offline_fifteen_seconds_after_their_last_connection() -> None:
    world = World()
    presence = world.start("a")
    presence.enter(CASE, "c1", PRIYA)
    presence.enter(CASE, "c2", PRIYA)
    presence.leave(CASE, "c1")
    world.pass_time(10)
    presence.leave(CASE, "c2")
    world.pass_time(GRACE - 0.1)
    assert presence.present(CASE) == PRIYA_ALONE
    world.pass_time(0.1)
    assert presence.present(CASE) == NOBODY
    assert [now for _, _, now, _ in world.told] == [PRIYA_ALONE, NOBODY]


def test_a_short_reconnect_is_seen_by_nobody_and_announced_to_nobody() -> None:
    world, a, _ = two()
    a.enter(CASE, "c1", MARIA)
    world.sweep()
    told, published = len(world.told), len(world.published)
    for number in range(2, 6):
        a.leave(CASE, f"c{number - 1}")
        world.pass_time(GRACE - 1, step=GRACE)
        a.enter(CASE, f"c{number}", MARIA)
    world.pass_time(1)
    assert len(world.told) == told
    assert all(not hint.come for hint in world.published[published:] if hint.process == "a")  # type: ignore[union-attr]
    assert world.seen() == [MARIA_ALONE, MARIA_ALONE]


def test_who_moves_to_another_process_does_not_flicker() -> None:
    world, a, b = two()
    a.enter(CASE, "c1", MARIA)
    world.sweep()
    told = len(world.told)
    a.leave(CASE, "c1")
    world.pass_time(GRACE - 1)
    b.enter(CASE, "c2", MARIA)
    world.pass_time(3 * GRACE)
    assert len(world.told) == told
    b.leave(CASE, "c2")
    world.pass_time(GRACE + 0.5)
    assert world.seen() == [NOBODY, NOBODY]


# Several processes.


def test_who_is_at_one_process_is_present_at_the_others_once_it_has_announced_it() -> None:
    world, a, b = two()
    a.enter(CASE, "c1", MARIA)
    b.enter(CASE, "c2", PRIYA)
    world.sweep()
    both = Present(patient=True, viewers=PRIYA_ALONE.viewers)
    assert world.seen() == [both, both]
    # Those who came are told of nobody twice, and nobody is told of themselves by the others.
    assert world.told[2:] == [("b", CASE, both, None), ("a", CASE, both, None)]


def test_many_who_come_at_once_are_announced_together() -> None:
    world, a, b = two()
    for number in range(100):
        a.enter(f"case-{number}", "c", MARIA)
    before = len(world.published)
    world.sweep()
    assert len(world.published) == before + 1
    assert all(b.present(f"case-{number}").patient for number in range(100))


def test_the_people_of_a_killed_process_are_gone_after_the_grace_and_little_more() -> None:
    world, a, b = two()
    a.enter(CASE, "c1", MARIA)
    world.pass_time(60)
    world.kill("a")
    world.pass_time(GRACE - 0.5)
    assert b.present(CASE).patient, "they may come back"
    world.pass_time(GONE_WITHIN - GRACE + 1)
    assert b.present(CASE) == NOBODY
    assert world.told[-1] == ("b", CASE, NOBODY, None)


def test_who_comes_back_from_a_killed_process_within_the_grace_does_not_flicker() -> None:
    world, a, b = two()
    a.enter(CASE, "c1", MARIA)
    world.pass_time(60)
    told = len(world.told)
    world.kill("a")
    world.pass_time(GRACE - 1)
    b.enter(CASE, "c2", MARIA)
    world.pass_time(60)
    assert len(world.told) == told
    assert b.present(CASE) == MARIA_ALONE


def test_lost_signs_of_life_make_nobody_flicker() -> None:
    world, a, _ = two()
    a.enter(CASE, "c1", MARIA)
    world.pass_time(60)
    told = len(world.told)
    world.deaf = {"b"}
    world.pass_time(GRACE)
    world.deaf = set()
    world.pass_time(60)
    assert len(world.told) == told


@pytest.mark.parametrize("hears_first", [True, False])
def test_a_process_that_was_frozen_blames_nobody_for_what_it_could_not_hear(
    hears_first: bool,
) -> None:
    world, a, b = two()
    a.enter(CASE, "c1", MARIA)
    b.enter(CASE, "c2", PRIYA)
    world.pass_time(60)
    told = len(world.told)
    world.frozen["b"] = []
    world.pass_time(300)
    # Whoever was connected to it is gone, as far as the others can know.
    assert world.told[told:] == [("a", CASE, MARIA_ALONE, None)]
    world.thaw("b", hears_first=hears_first)
    world.pass_time(2 * BEAT)
    both = Present(patient=True, viewers=PRIYA_ALONE.viewers)
    assert world.told[told + 1 :] == [("a", CASE, both, None)]


@pytest.mark.parametrize("hears_first", [True, False])
def test_a_process_that_was_frozen_keeps_no_ghosts(hears_first: bool) -> None:
    world, a, b = two()
    a.enter(CASE, "c1", MARIA)
    world.pass_time(60)
    world.frozen["b"] = []
    world.pass_time(300)
    world.kill("a")
    world.thaw("b", hears_first=hears_first)
    world.pass_time(GONE_WITHIN + 1)
    assert b.present(CASE) == NOBODY


def test_while_nothing_is_heard_the_others_fade_and_come_back_afterwards() -> None:
    world, a, b = two()
    a.enter(CASE, "c1", MARIA)
    world.pass_time(60)
    world.deaf = {"b"}
    world.pass_time(GONE_WITHIN + 1)
    assert world.seen() == [MARIA_ALONE, NOBODY]
    b.enter(CASE, "c2", PRIYA)
    a.enter("case-2", "c3", LEE)
    world.sweep()
    world.deaf = set()
    world.pass_time(BEAT + 0.5)
    both = Present(patient=True, viewers=PRIYA_ALONE.viewers)
    assert world.seen() == [both, both]
    assert b.present("case-2").viewers == (("user_lee", "Lee"),)


def test_what_was_missed_is_asked_for_at_the_next_sign_of_life() -> None:
    world, a, b = two()
    a.enter(CASE, "c1", MARIA)
    a.enter("case-2", "c2", PRIYA)
    world.sweep()
    world.deaf = {"b"}
    a.leave("case-2", "c2")
    a.enter("case-3", "c3", SAM)
    world.pass_time(GRACE + 1)
    world.deaf = set()
    assert b.present("case-2") == PRIYA_ALONE, "it cannot know"
    world.pass_time(BEAT + 0.5)
    assert b.present(CASE) == MARIA_ALONE
    assert b.present("case-2") == NOBODY
    assert b.present("case-3").viewers == (("user_sam", "Sam"),)


def test_a_new_process_is_told_at_once_who_is_where() -> None:
    world, a, _ = two()
    a.enter(CASE, "c1", MARIA)
    world.pass_time(60)
    c = world.start("c")
    a.sweep()
    assert c.present(CASE) == MARIA_ALONE


def test_many_who_ask_get_one_answer() -> None:
    world = World()
    a = world.start("a")
    a.enter(CASE, "c1", MARIA)
    world.sweep()
    for number in range(20):
        world.start(f"b{number}")
    before = len(world.published)
    a.sweep()
    assert len(world.published) == before + 1
    assert world.seen() == [MARIA_ALONE] * 21


def test_who_has_missed_nothing_is_not_told_everything_again() -> None:
    world, a, b = two()
    a.enter(CASE, "c1", MARIA)
    world.pass_time(60)
    before = len(world.published)
    b.call()
    world.sweep()
    assert [type(hint) for hint in world.published[before:]] == [RollCall]
    world.deaf = {"b"}
    a.enter(CASE, "c2", PRIYA)
    world.sweep()
    world.deaf = set()
    world.time += ASK_AGAIN
    b.call()
    world.sweep()
    assert b.present(CASE) == a.present(CASE)


def test_an_announcement_that_comes_twice_or_late_changes_nothing() -> None:
    world, a, b = two()
    a.enter(CASE, "c1", MARIA)
    world.sweep()
    came = world.published[-1]
    a.leave(CASE, "c1")
    world.pass_time(GRACE + 1)
    assert b.present(CASE) == NOBODY
    asked = len(world.published)
    b.hear(came)
    assert b.present(CASE) == NOBODY
    assert len(world.published) == asked


def test_a_process_does_not_hear_itself() -> None:
    world = World()
    presence = world.start("a")
    presence.hear(Attendance("a", 7, [Occupant(CASE, None)]))
    presence.hear(RollCall("a", {}))
    presence.sweep()
    assert world.seen() == [NOBODY]
    assert [type(hint) for hint in world.published] == [RollCall]


# What it costs.


def test_a_process_with_nobody_at_it_says_nothing() -> None:
    world, a, b = two()
    before = len(world.published)
    world.pass_time(3_600)
    a.enter(CASE, "c1", PRIYA)
    a.leave(CASE, "c1")
    world.pass_time(3_600)
    said = world.published[before:]
    assert {hint.process for hint in said} == {"a"}
    # It came, it was there for the time of grace, it went.
    assert len(said) <= 2 + GRACE / BEAT
    b.appear(PRIYA)
    silent = len(world.published)
    world.pass_time(3_600)
    assert len(world.published) == silent, "a desk is in no room"


def test_a_process_with_somebody_at_it_gives_a_sign_of_life_every_five_seconds() -> None:
    world, a, _ = two()
    for number in range(1_000):
        a.enter(f"case-{number}", "c", MARIA)
    world.sweep()
    before = len(world.published)
    world.pass_time(3_600)
    assert 3_600 / BEAT - 2 <= len(world.published) - before <= 3_600 / BEAT


def test_what_is_said_anyway_takes_the_sign_of_life_along() -> None:
    world, a, b = two()
    assert a.sign_of_life() == []
    a.enter(CASE, "c1", MARIA)
    world.sweep()
    before = len(world.published)
    along = 0
    for _ in range(600):
        world.pass_time(1)
        for hint in a.sign_of_life():
            along += 1
            b.hear(hint)
    assert len(world.published) == before
    assert along <= 600 / (BEAT / 2)
    assert b.present(CASE) == MARIA_ALONE


# Whatever happens.


@pytest.mark.parametrize("seed", range(40))
def test_processes_that_hear_each_other_again_agree_on_who_is_there(seed: int) -> None:
    rng = Random(seed)
    world = World()
    names = ["a", "b", "c"]
    starts = Counter[str]()
    connections: dict[tuple[str, str, str], Principal] = {}
    processes = {name: world.start(name) for name in names}
    for step in range(200):
        name = rng.choice(names)
        case = rng.choice(["case-1", "case-2"])
        match rng.randrange(10):
            case 0 | 1 | 2 | 3:
                by = rng.choice([MARIA, PRIYA, SAM])
                connections[name, case, f"c{step}"] = by
                processes[name].enter(case, f"c{step}", by)
            case 4 | 5 | 6:
                for key in rng.sample(sorted(connections), min(3, len(connections))):
                    processes[key[0]].leave(key[1], key[2])
                    del connections[key]
            case 7:
                world.deaf ^= {processes[name]._process}
            case 8:
                world.pass_time(rng.choice([0.5, 3, 20]))
            case 9:
                world.kill(processes[name]._process)
                connections = {key: by for key, by in connections.items() if key[0] != name}
                starts[name] += 1
                processes[name] = world.start(f"{name}{starts[name]}")
    world.deaf = set()
    world.pass_time(2 * GONE_WITHIN)
    for case in ("case-1", "case-2"):
        here = {by for (_, where, _), by in connections.items() if where == case}
        expected = Present(
            MARIA in here, tuple(sorted((by.id, by.name) for by in here if by.is_staff))
        )
        assert world.seen(case) == [expected] * 3
        last = {name: now for name, where, now, _ in world.told if where == case}
        assert all(last.get(p._process, NOBODY) == expected for p in processes.values())


async def test_it_keeps_the_time_by_itself() -> None:
    monotonic = asyncio.get_running_loop().time
    a, b = (Presence(name, monotonic=monotonic, grace=0.2, beat=0.1) for name in "ab")
    b.announce = a.hear
    said = Counter[str]()
    gone = asyncio.Event()

    def announce(hint: Attendance | RollCall) -> None:
        said["a"] += 1
        b.hear(hint)

    a.announce = announce
    b.changed = lambda case, before, now, by: None if now.patient else gone.set()
    running = [asyncio.create_task(each.run()) for each in (a, b)]
    a.enter(CASE, "c1", MARIA)
    async with asyncio.timeout(WITHIN):
        # Several times as long as a silence may be.
        while said["a"] < 12:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert (b.present(CASE), gone.is_set()) == (MARIA_ALONE, False)
        running[0].cancel()
        await gone.wait()
    running[1].cancel()
    await asyncio.wait(running)
