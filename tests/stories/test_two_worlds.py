"""What a patient must not be able to tell (docs/protocol.md): anything of what staff do among
themselves.

One random schedule runs in two worlds, on a clock and with ids that the schedule moves: in one
world with what staff do among themselves, in the other without. Every byte that reaches a patient
must be the same in both.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final

import httpx2
import pytest

from ai.model import Piece, Prompt, TextPiece
from rooms.clock import SharedClock
from tests.kit import PRIYA, WITHIN, Identity, running_hub
from tests.servers import Postgres
from tests.stories.doings import SEEN, UNSEEN, Action, let_time_pass, say_something
from tests.stories.world import HIDDEN, VISIBLE, Ids, World
from tests.valkey import running_valkey


class SilentModel:
    """Begins every answer and says nothing: nothing comes at a time of its own."""

    name = "silent"

    async def answer(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        await asyncio.Event().wait()
        yield TextPiece("")


SEEDS: Final = range(8)
STEPS: Final = 220
"""Steps of a schedule; about one half is what staff do among themselves."""
PAUL: Final = Identity("user_paul", "Paul", patient_id="patient-paul")


def schedule(seed: int) -> list[tuple[str, Action, str]]:
    """Make the steps: who may see it, what happens, and its name."""
    rng = Random(seed)
    steps: list[tuple[str, Action, str]] = [(VISIBLE, say_something, "first")]
    while len(steps) < STEPS:
        (seen,) = rng.choices(list(SEEN), list(SEEN.values()))
        # Silence comes in several parts, so that something may happen in the middle of it.
        for _ in range(3 if seen is let_time_pass else 1):
            unseen = rng.choices(list(UNSEEN), list(UNSEEN.values()), k=rng.choice([0, 1, 1, 2]))
            steps += [
                (HIDDEN, action, f"{len(steps)}.{part}") for part, action in enumerate(unseen)
            ]
            steps.append((VISIBLE, seen, f"{len(steps)}"))
    return steps


async def run(
    folder: Path, seed: int, lanes: str, **settings: Any
) -> tuple[dict[str, list[bytes]], Counter[str]]:
    """Run those steps of the schedule that are of these lanes.

    With a database that can be shared, staff are connected to a process of their own.
    """
    ids, clock = Ids(), [1000.0]
    dependencies = {
        "now": lambda: datetime(2026, 11, 20, 18, tzinfo=UTC) + timedelta(seconds=clock[0]),
        "monotonic": lambda: clock[0],
        "new_id": ids,
        "random": lambda: 0.5,
        "model": SilentModel(),
    }
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        made: dict[str, Any] = {"dependencies": dependencies, "writes_burst": 1000, **settings}
        hub = staff_hub = await enter(running_hub(folder, **made))
        if settings:
            staff_hub = await enter(running_hub(folder, open_case=False, **made))
            staff_hub.hub.rooms.tasks.pause()
        rest, staff_rest = [
            await enter(httpx2.AsyncClient(base_url=f"{each.http}/api/v1", timeout=WITHIN))
            for each in (hub, staff_hub)
        ]
        await hub.open_case("case-2", PAUL)
        world = World(hub, staff_hub, rest, staff_rest, ids, clock)
        world.desk = await world.enter_as_staff(PRIYA)
        world.maria = await world.enter("maria")
        world.messages = await world.open_stream("messages/stream")
        world.feed = await world.open_stream("stream")
        for lane, action, name in schedule(seed):
            if lane in lanes:
                ids.lane = lane
                await action(world, Random(f"{seed} {name}"), name)
                await world.settle()
        ids.lane = VISIBLE
        await (await world.device()).look()
        await world.flush("last")
        state, alarms = await world.state(), await world.alarms()
        await world.close()
    hidden = state.staff.seq - state.patient.seq
    counts = Counter({"hidden events": hidden, "hidden but alarms": hidden - alarms})
    counts["changes of control"] = state.fence
    return world.record(), counts + kinds_of(world.record())


def kinds_of(record: dict[str, list[bytes]]) -> Counter[str]:
    """Count what came: types of frames, codes of errors and of closes, statuses of REST."""
    counts: Counter[str] = Counter()
    for name, received in record.items():
        for data in received:
            if name == "rest":
                counts[data[data.index(b"}") + 2 :][:3].decode()] += 1
            elif data.startswith(b"closed"):
                counts[data[:11].decode()] += 1
            elif data.startswith(b"{"):
                frame = json.loads(data)
                counts[frame["type"]] += 1
                counts[str(frame.get("code"))] += 1
    return counts


def first_difference(one: dict[str, list[bytes]], other: dict[str, list[bytes]]) -> str:
    for name in one.keys() | other.keys():
        left, right = one.get(name, []), other.get(name, [])
        for number in range(max(len(left), len(right))):
            with_staff, without = left[number : number + 1], right[number : number + 1]
            if with_staff != without:
                return f"{name}, {number}:\n  with:    {with_staff}\n  without: {without}"
    return ""


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_patient_cannot_tell_whether_staff_did_anything_among_themselves(
    tmp_path: Path, seed: int
) -> None:
    busy, counts = await run(tmp_path / "busy", seed, VISIBLE + HIDDEN)
    quiet, quiet_counts = await run(tmp_path / "quiet", seed, VISIBLE)
    assert first_difference(busy, quiet) == ""
    check_that_it_was_worth_running(counts, quiet_counts)


@pytest.mark.parametrize("seed", [100, 101, 103])
async def test_a_patient_cannot_tell_either_what_staff_do_at_another_process(
    tmp_path: Path, postgres: Postgres, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The database has a clock of its own, and that of a world is to be the only one.
    monkeypatch.setattr(SharedClock, "look", _look_at_nothing)
    with running_valkey() as valkey:
        worlds = []
        for lanes in (VISIBLE + HIDDEN, VISIBLE):
            async with postgres.database() as url:
                shared: dict[str, Any] = {"database_url": url, "redis_url": valkey.url}
                # Where the clock leaps, no process is to look as if it had been silent.
                shared |= {"presence_beat_s": 1e9}
                worlds.append(await run(tmp_path / lanes, seed, lanes, **shared))
    (busy, counts), (quiet, quiet_counts) = worlds
    assert first_difference(busy, quiet) == ""
    check_that_it_was_worth_running(counts, quiet_counts)


async def _look_at_nothing(_clock: SharedClock) -> None:
    pass


def check_that_it_was_worth_running(counts: Counter[str], quiet_counts: Counter[str]) -> None:
    assert counts["hidden events"] > 15
    assert quiet_counts["hidden but alarms"] == 0
    assert counts["changes of control"] > 2
    assert counts["ping"] > 0
    assert counts["error"] > 5
    assert counts["run"] > 5
