"""PostgreSQL that dies, hangs or hangs up: people are told, stay, and go on when it is back."""

import time
from pathlib import Path

from tests.faults.world import World, world
from tests.kit import PRIYA
from tests.servers import running_postgres

TOLD_WITHIN_S = 3.0
BACKENDS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


def told(made: World) -> list[float]:
    """Give how long people waited until they were told that something could not be stored."""
    return [each for member in made.members for sent in member.sent.values() for each in sent.told]


def check(made: World) -> None:
    assert told(made)
    longest = max(told(made))
    assert longest < TOLD_WITHIN_S + made.slack()
    # Nobody was sent away.
    assert not [each for m in made.members for each in m.sojourns if each.end is not None]


async def be_turned_away(made: World) -> None:
    """Try to enter a room that cannot be read."""
    begun = time.monotonic()
    async with made.hubs[0].socket(made.cases[0]) as late:
        await late.send({"type": "auth", "token": made.hubs[0].token(PRIYA)})
        assert await late.expect_close() == 4500
    assert time.monotonic() - begun < TOLD_WITHIN_S + made.slack()


async def test_postgres_that_dies_or_hangs_up_is_waited_for(tmp_path: Path) -> None:
    with running_postgres() as postgres:
        async with world(tmp_path, 8, postgres, wandering=0) as made:
            for seconds in (0.5, 3):
                postgres.kill()
                await made.pass_by(seconds)
                postgres.start()
                await made.flow(20)
            for _ in range(3):
                await made.ask(BACKENDS)
                await made.flow(10)
                made.rng.choice(made.places).postgres.cut()
                await made.flow(10)
            check(made)


async def test_postgres_that_falls_silent_is_waited_for(tmp_path: Path) -> None:
    with running_postgres() as postgres:
        async with world(tmp_path, 9, postgres, wandering=0) as made:
            for seconds in (0.5, 3):
                postgres.freeze()
                await made.pass_by(seconds)
                await be_turned_away(made)
                postgres.thaw()
                await made.flow(20)
            # For one hub alone: what it was told arrives at last, or never does.
            for place, end in zip(made.places, ("recover", "heal"), strict=True):
                place.postgres.black_hole()
                await made.pass_by(4)
                getattr(place.postgres, end)()
                await made.flow(20)
            check(made)
