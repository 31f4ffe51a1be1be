"""The writer lane: in order, together, and never too many."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rooms.lane import BATCH, WAITING, Lane
from tests.rooms.kit import WITHIN


class Writer:
    """Keeps the batches that it is given, and can be held up."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.writing = asyncio.Event()

    async def write(self, items: list[int]) -> None:
        self.writing.set()
        await self.gate.wait()
        self.batches.append(items)


@asynccontextmanager
async def running(writer: Writer) -> AsyncIterator[Lane[int]]:
    lane = Lane(writer.write)
    async with asyncio.timeout(WITHIN), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(lane.run())
        yield lane
        await lane.idle()
        task.cancel()


async def test_an_item_that_finds_the_lane_idle_is_written_alone() -> None:
    writer = Writer()
    async with running(writer) as lane:
        for item in (1, 2, 3):
            assert lane.put(item)
            await lane.idle()
    assert writer.batches == [[1], [2], [3]]


async def test_what_comes_during_a_write_is_written_together_after_it() -> None:
    writer = Writer()
    async with running(writer) as lane:
        writer.gate.clear()
        lane.put(1)
        await writer.writing.wait()
        for item in (2, 3, 4):
            lane.put(item)
        writer.gate.set()
    assert writer.batches == [[1], [2, 3, 4]]


async def test_a_batch_has_a_limit_and_the_order_stays() -> None:
    writer = Writer()
    items = list(range(2 * BATCH + 10))
    async with running(writer) as lane:
        for item in items:
            lane.put(item)
    assert [len(batch) for batch in writer.batches] == [BATCH, BATCH, 10]
    assert [item for batch in writer.batches for item in batch] == items


async def test_more_than_can_be_written_in_time_is_refused() -> None:
    writer = Writer()
    async with running(writer) as lane:
        assert all(lane.put(item) for item in range(WAITING))
        assert not lane.put(WAITING)
        await lane.idle()
        assert lane.put(WAITING)
    assert sum(len(batch) for batch in writer.batches) == WAITING + 1


async def test_the_lane_is_idle_when_nothing_waits_and_nothing_is_being_written() -> None:
    writer = Writer()
    async with running(writer) as lane:
        await lane.idle()
        writer.gate.clear()
        lane.put(1)
        waiting = asyncio.create_task(lane.idle())
        await writer.writing.wait()
        assert not waiting.done()
        writer.gate.set()
        await waiting
        assert writer.batches == [[1]]
