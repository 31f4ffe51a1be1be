"""PostgreSQL that dies, hangs or hangs up: people are told, stay, and go on when it is back."""

import math
from pathlib import Path

from tests.faults.world import World, world

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
    assert longest < TOLD_WITHIN_S + made.lag(0, math.inf)
    for member in made.members:
        # None was sent away: at most those came anew whose own line broke.
        assert {each.code for each in member.sojourns} <= {None, 1006}, member


async def test_postgres_that_is_killed_is_waited_for(tmp_path: Path) -> None:
    async with world(tmp_path, 8, wandering=0) as made:
        for seconds in (0.5, 2, 4):
            made.postgres.kill()
            await made.pass_by(seconds)
            made.postgres.start()
            await made.flow()
        assert not [each for m in made.members for each in m.sojourns if each.end is not None]
    check(made)


async def test_postgres_that_hangs_is_waited_for(tmp_path: Path) -> None:
    async with world(tmp_path, 9, wandering=0) as made:
        for seconds in (1, 6):
            made.postgres.freeze()
            await made.pass_by(seconds)
            made.postgres.thaw()
            await made.flow()
        assert not [each for m in made.members for each in m.sojourns if each.end is not None]
    check(made)


async def test_connections_that_postgres_ends_are_made_anew(tmp_path: Path) -> None:
    async with world(tmp_path, 10) as made:
        for _ in range(5):
            await made.postgres.ask(BACKENDS)
            await made.flow(20)
