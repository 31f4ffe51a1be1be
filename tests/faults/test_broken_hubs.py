"""Processes that die or freeze, while people talk at all of them."""

from pathlib import Path

from tests.faults.world import world
from tests.servers import Postgres

HOLDING = """
    SELECT pid FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE state = 'idle in transaction' AND relation = 'event'::regclass
    AND mode = 'RowExclusiveLock'
"""
"""Whoever has written, has not committed, and is not being waited for."""
SPARE_S = 0.5
"""PostgreSQL ends such a transaction after 1.5 s, and who waits for it is told after 2."""


async def test_hubs_that_are_killed_lose_and_double_nothing(
    tmp_path: Path, postgres: Postgres
) -> None:
    async with world(tmp_path, 1, postgres) as made:
        for _ in range(3):
            place = made.rng.choice(made.places)
            made.kill(place)
            await made.flow(20)
            await made.restart(place)
            await made.flow(20)


async def test_a_hub_that_was_frozen_tells_nothing_that_is_no_longer_true(
    tmp_path: Path, postgres: Postgres
) -> None:
    async with world(tmp_path, 3, postgres) as made:
        zombie = made.places[1]
        for number, who in enumerate((made.members[0].who, made.members[2].who)):
            # They believe in their connection, however long it is silent.
            made.join(f"faithful.{number}", who, made.cases[0], at=1, patience=None)
        for seconds in (3, 12):
            made.freeze(zombie)
            # Its leases end, and others do its work.
            await made.pass_by(seconds)
            made.thaw(zombie)
            await made.flow()


async def test_a_hub_that_freezes_in_a_transaction_holds_nobody_up(
    tmp_path: Path, postgres: Postgres
) -> None:
    async with world(tmp_path, 4, postgres) as made:
        for _ in range(2):
            while True:
                made.freeze(made.places[1])
                if await made.ask(HOLDING):
                    break
                made.thaw(made.places[1])
                await made.flow(1)
            await made.flow(60)
            made.thaw(made.places[1])
            await made.flow(20)
    told = [each for member in made.members for sent in member.sent.values() for each in sent.told]
    assert not told or made.slack() > SPARE_S
