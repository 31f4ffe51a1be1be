"""Redis that dies, hangs, forgets or hangs up: only readers at other hubs notice, and not long."""

import time
from pathlib import Path

from tests.faults.history import deliveries, seconds_to_ack
from tests.faults.world import World, world
from tests.servers import Postgres

ACROSS_S = 5.0
"""What the log is compared with that often: readers at other hubs wait for it."""


def check(made: World, since: float, until: float) -> None:
    """Check what people noticed of it between two moments."""
    before = seconds_to_ack(made.members, 0, since)
    slack = 1 + max(before[-1], made.slack(since, until))
    acks = seconds_to_ack(made.members, since, until)
    assert acks[int(len(acks) * 0.99)] < slack
    delivered = deliveries(made.members, since, until)
    assert {each.across for each in delivered} == {False, True}
    for each in delivered:
        assert each.seconds < (ACROSS_S + slack if each.across else slack), each


async def test_redis_that_dies_hangs_up_or_forgets_costs_only_time(
    tmp_path: Path, postgres: Postgres
) -> None:
    async with world(tmp_path, 5, postgres) as made:
        began = time.monotonic()
        for seconds in (1, 4):
            made.valkey.kill()
            await made.pass_by(seconds)
            made.valkey.start()
            await made.flow(20)
        for _ in range(3):
            for command in ("CLIENT KILL TYPE pubsub", "FLUSHALL"):
                made.valkey.ask(*command.split())
                await made.flow(10)
            made.rng.choice(made.places).redis.cut()
            await made.flow(10)
        ended = time.monotonic()
    check(made, began, ended)


async def test_redis_that_falls_silent_costs_only_time(tmp_path: Path, postgres: Postgres) -> None:
    async with world(tmp_path, 6, postgres) as made:
        began = time.monotonic()
        for seconds in (2, 8):
            made.valkey.freeze()
            await made.pass_by(seconds)
            made.valkey.thaw()
            await made.flow(20)
        # For one hub alone: what it was told arrives at last, or never does.
        for place, end in zip(made.places, ("recover", "heal"), strict=True):
            place.redis.black_hole()
            await made.pass_by(3)
            getattr(place.redis, end)()
            await made.flow(20)
        ended = time.monotonic()
    check(made, began, ended)
