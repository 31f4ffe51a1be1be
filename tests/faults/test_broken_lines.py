"""Lines between people and hubs that break, swallow or crawl."""

from pathlib import Path

from tests.faults.world import world


async def test_lines_that_break_lose_and_double_nothing(tmp_path: Path) -> None:
    async with world(tmp_path, 11) as made:
        for _ in range(8):
            made.rng.choice(made.places).line.cut_all()
            await made.flow(15)


async def test_lines_that_swallow_everything_lose_and_double_nothing(tmp_path: Path) -> None:
    async with world(tmp_path, 12) as made:
        for seconds in (0.5, 1, 5):
            place = made.rng.choice(made.places)
            place.line.swallow()
            place.reachable = False
            await made.pass_by(seconds)
            place.reachable = True
            place.line.recover()
            await made.flow()


async def test_lines_that_crawl_lose_and_double_nothing(tmp_path: Path) -> None:
    async with world(tmp_path, 13) as made:
        for bytes_per_s in (20_000, 4_000):
            for place in made.places:
                place.line.bytes_per_s = bytes_per_s
            await made.pass_by(2)
            for place in made.places:
                place.line.recover()
            await made.flow()
