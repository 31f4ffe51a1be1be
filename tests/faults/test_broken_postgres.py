"""PostgreSQL that dies, hangs or hangs up: people are told, stay, and go on when it is back."""

from pathlib import Path

from tests.faults.world import World, world
from tests.servers import Postgres, running_postgres

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


async def test_postgres_that_dies_or_hangs_up_is_waited_for(tmp_path: Path) -> None:
    with running_postgres() as postgres:
        async with world(tmp_path, 8, postgres, wandering=0) as made:
            for seconds in (0.5, 1.5, 3):
                postgres.kill()
                await made.pass_by(seconds)
                postgres.start()
                await made.flow(20)
            for _ in range(4):
                await made.ask(BACKENDS)
                await made.flow(15)
            check(made)


async def test_postgres_that_hangs_is_waited_for(tmp_path: Path) -> None:
    with running_postgres() as postgres:
        async with world(tmp_path, 9, postgres, wandering=0) as made:
            for seconds in (1, 2, 6):
                postgres.freeze()
                await made.pass_by(seconds)
                postgres.thaw()
                await made.flow(20)
            check(made)


async def test_a_hub_that_cannot_reach_postgres_says_so_and_goes_on_when_it_can(
    tmp_path: Path, postgres: Postgres
) -> None:
    async with world(tmp_path, 10, postgres, wandering=0) as made:
        for _ in range(3):
            made.rng.choice(made.places).postgres.cut()
            await made.flow(10)
        for end in ("recover", "heal"):
            for place in made.places:
                place.postgres.black_hole()
                await made.pass_by(3.5)
                getattr(place.postgres, end)()
                await made.flow(20)
        check(made)
