"""Lines between people and hubs that break, swallow or crawl."""

from pathlib import Path

from tests.faults.world import world
from tests.servers import Postgres


async def test_bad_lines_of_people_lose_and_double_nothing(
    tmp_path: Path, postgres: Postgres
) -> None:
    async with world(tmp_path, 11, postgres) as made:
        for _ in range(8):
            made.rng.choice(made.places).clients.cut()
            await made.flow(10)
        for seconds in (0.5, 3.5):
            # In time what was swallowed arrives, or it never does.
            for end in ("recover", "heal"):
                place = made.rng.choice(made.places)
                place.clients.black_hole()
                place.reachable = False
                await made.pass_by(seconds)
                place.reachable = True
                getattr(place.clients, end)()
                await made.flow(10)
        for bytes_per_s in (20_000, 4_000):
            for place in made.places:
                place.clients.bytes_per_s = bytes_per_s
            await made.pass_by(1.5)
            for place in made.places:
                place.clients.recover()
            await made.flow(10)
