"""The simulation itself: what it finds, what it repeats, and what it does not let pass."""

import asyncio
import gc
import itertools
import time
from collections.abc import Callable, Coroutine
from functools import partial
from random import Random
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from rooms.broker import MemoryBroker
from rooms.cursor import START
from rooms.errors import Unavailable
from rooms.events import Audience
from rooms.service import Rooms
from tests.memory_database import MemoryDatabase
from tests.rooms.kit import CASE, MARIA, PRIYA, SERVICE, Clock, Collector, Ids, registration, say
from tests.shuffled_loop import run_shuffled

T = TypeVar("T")

SEEDS = range(200)


class Counter:
    """It counts what is added, unless two do it at once."""

    def __init__(self) -> None:
        self.value = 0

    async def add(self, turns_before: int) -> None:
        for _ in range(turns_before):
            await asyncio.sleep(0)
        before = self.value
        await asyncio.sleep(0)
        self.value = before + 1


async def count(turns_before_the_second: int) -> int:
    counter = Counter()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(counter.add(0))
        tasks.create_task(counter.add(turns_before_the_second))
    return counter.value


async def trace_of_many(turns: int = 4) -> str:
    trace = []

    async def walk(name: str) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
            trace.append(name)

    async with asyncio.TaskGroup() as tasks:
        for name in "abcdefgh":
            tasks.create_task(walk(name))
    return "".join(trace)


async def cancelled_order(made_before: int) -> str:
    """Give the order in which the tasks of a group end when it fails."""
    trace = []
    at_other_addresses = [object() for _ in range(made_before)]

    async def wait(name: str) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            trace.append(name)

    try:
        async with asyncio.TaskGroup() as tasks:
            for name in "abcdefghijkl":
                tasks.create_task(wait(name))
                at_other_addresses.append([None] * made_before)
            await asyncio.sleep(1)
            raise ZeroDivisionError
    except* ZeroDivisionError:
        pass
    return "".join(trace)


def fails_with(main: Callable[[], Coroutine[Any, Any, object]], words: str) -> AssertionError:
    with pytest.raises(AssertionError, match=words) as caught:
        run_shuffled(main, 1)
    return caught.value


def test_a_race_that_the_normal_loop_hides_is_found() -> None:
    assert {asyncio.run(count(1)) for _ in SEEDS} == {2}
    assert {run_shuffled(partial(count, 1), seed) for seed in SEEDS} == {1, 2}


def test_a_task_that_is_turns_behind_is_overtaken_by_late_steps_only() -> None:
    assert {run_shuffled(partial(count, 3), seed) for seed in SEEDS} == {2}
    assert {run_shuffled(partial(count, 3), seed, late=0.3) for seed in SEEDS} == {1, 2}


@pytest.mark.parametrize("late", [0.0, 0.3])
def test_a_seed_stands_for_one_order(late: float) -> None:
    traces = [run_shuffled(trace_of_many, seed, late=late) for seed in range(20)]
    assert traces == [run_shuffled(trace_of_many, seed, late=late) for seed in range(20)]
    assert len(set(traces)) == len(traces)


def test_a_seed_stands_for_one_order_though_sets_have_none() -> None:
    orders = {run_shuffled(partial(cancelled_order, made), 1) for made in range(20)}
    assert len(orders) == 1


def test_plain_callbacks_keep_their_order() -> None:
    async def main() -> list[int]:
        called: list[int] = []
        busy = asyncio.create_task(trace_of_many())
        for number in range(50):
            asyncio.get_running_loop().call_soon(called.append, number)
        await busy
        return called

    for seed in range(20):
        assert run_shuffled(main, seed, late=0.3) == list(range(50))


def test_a_call_of_cancel_keeps_its_place_among_the_callbacks() -> None:
    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        seen: list[int] = []
        task = asyncio.create_task(asyncio.sleep(60))
        busy = asyncio.create_task(trace_of_many())
        for _ in range(3):
            await asyncio.sleep(0)
        loop.call_soon(lambda: seen.append(task.cancelling()))
        loop.call_soon(task.cancel)
        loop.call_soon(lambda: seen.append(task.cancelling()))
        await asyncio.wait([busy, task])
        return seen

    for seed in range(20):
        assert run_shuffled(main, seed) == [0, 1]


def test_an_hour_passes_at_once() -> None:
    async def main() -> float:
        begun = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as tasks:
            for minutes in (60, 10, 30):
                tasks.create_task(asyncio.sleep(60 * minutes))
        return asyncio.get_running_loop().time() - begun

    begun = time.monotonic()
    assert run_shuffled(main, 1) == 3_600
    assert time.monotonic() - begun < 5


def test_time_stands_still_while_there_is_something_to_do() -> None:
    async def main() -> float:
        begun = asyncio.get_running_loop().time()
        timer = asyncio.create_task(asyncio.sleep(1))
        await trace_of_many(20)
        now = asyncio.get_running_loop().time()
        await timer
        return now - begun

    assert run_shuffled(main, 1) == 0


def test_a_cancelled_timer_does_nothing() -> None:
    async def main() -> float:
        for _ in range(2):
            async with asyncio.timeout(5):
                await asyncio.sleep(3)
        return asyncio.get_running_loop().time()

    assert run_shuffled(main, 1) == 6


def test_a_timeout_fires() -> None:
    async def main() -> None:
        async with asyncio.timeout(20):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        run_shuffled(main, 1)


def test_a_deadlock_is_told_with_those_who_wait() -> None:
    one, other = asyncio.Lock(), asyncio.Lock()
    ended = []

    async def take_both(first: asyncio.Lock, second: asyncio.Lock) -> None:
        try:
            async with first:
                await asyncio.sleep(1)
                async with second:
                    pass
        finally:
            ended.append(first)

    async def main() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(take_both(one, other), name="from the left")
            tasks.create_task(take_both(other, one), name="from the right")

    told = str(fails_with(main, "deadlock"))
    assert "from the left" in told
    assert "from the right" in told
    assert len(ended) == 2, "the tasks were cancelled"


def test_going_round_in_circles_is_told() -> None:
    async def main() -> None:
        for _ in itertools.count():
            await asyncio.sleep(5)

    fails_with(main, "circles")


def test_an_exception_that_nobody_has_caught_is_told() -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    async def main() -> None:
        task = asyncio.create_task(fail())
        await asyncio.wait([task])

    assert isinstance(fails_with(main, "never retrieved").__cause__, ZeroDivisionError)


def test_an_exception_that_hangs_in_a_circle_of_references_is_told() -> None:
    async def fail(circle: list[Any]) -> None:
        raise ZeroDivisionError

    async def main() -> None:
        circle: list[Any] = []
        circle.append(asyncio.create_task(fail(circle)))
        circle.append(circle)
        await asyncio.wait(circle[:1])

    fails_with(main, "never retrieved")


def test_an_exception_in_a_callback_is_told_at_once() -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await asyncio.sleep(60)
        pytest.fail("it went on")

    assert isinstance(fails_with(main, "ZeroDivision").__cause__, ZeroDivisionError)


def test_a_task_that_is_left_pending_is_told_and_ended() -> None:
    tasks = []

    async def main() -> None:
        tasks.append(asyncio.create_task(asyncio.sleep(60), name="forgotten"))

    fails_with(main, "left pending.*forgotten")
    assert tasks[0].cancelled()


def test_garbage_is_collected_at_the_end_only() -> None:
    async def main() -> bool:
        return gc.isenabled()

    assert not run_shuffled(main, 1)
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_a_failure_names_its_seed() -> None:
    async def main() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        run_shuffled(main, 42)
    assert caught.value.__notes__ == ["seed 42, late 0.0"]


def test_threads_are_turns() -> None:
    async def main() -> list[int]:
        done: list[int] = []
        loop = asyncio.get_running_loop()
        calls = [asyncio.to_thread(done.append, number) for number in range(3)]
        loop.call_soon_threadsafe(done.append, 99)
        futures = [loop.run_in_executor(None, done.append, number) for number in (3, 4)]
        assert done == [], "nothing runs in the turn in which it was given"
        await asyncio.gather(*futures, *calls)
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(divmod, 1, 0)
        return done

    found = {tuple(run_shuffled(main, seed)) for seed in range(50)}
    assert {each[:3] for each in found} == {(99, 3, 4)}
    assert len({each[3:] for each in found}) == 6


def test_a_cancelled_call_has_begun_or_has_not() -> None:
    async def main() -> int:
        done: list[int] = []
        call = asyncio.get_running_loop().run_in_executor(None, done.append, 1)
        call.cancel()
        await asyncio.wait([call])
        await asyncio.sleep(1)
        return len(done)

    assert {run_shuffled(main, seed) for seed in range(50)} == {0, 1}


def heard_all(reader: Collector) -> bool:
    return len(reader.texts) == 12


async def conversation(seed: int) -> tuple[list[str], float]:
    """Let three speak at once; give what was heard, in order, and how long it took."""
    broker = MemoryBroker()
    rooms = Rooms(MemoryDatabase(Random(seed)), broker, now=Clock(), new_id=Ids())
    reader, late_reader = Collector(), Collector()

    async def join(collector: Collector) -> None:
        joined = await rooms.join(CASE, MARIA, Audience.PATIENT, collector, after=START, tail=0)
        await joined.subscription.start(joined.start)

    async def speak(name: str) -> None:
        for number in range(4):
            words = f"{name}{number}"
            await rooms.handle(CASE, say(words), MARIA if name == "m" else PRIYA, words)

    async with rooms.running():
        await rooms.handle(CASE, registration(), SERVICE, "open")
        await join(reader)
        async with asyncio.TaskGroup() as tasks:
            for name in "mpq":
                tasks.create_task(speak(name))
            tasks.create_task(join(late_reader))
        for each in (reader, late_reader):
            await each.until(partial(heard_all, each))
            page = await rooms.page(CASE, Audience.PATIENT, START, 100)
            assert page.cursor.seq == len(each.seqs)
            assert each.seqs == list(range(1, page.cursor.seq + 1))
    assert reader.texts == late_reader.texts
    for name in "mpq":
        said = [words for words in reader.texts if words.startswith(name)]
        assert said == [f"{name}{number}" for number in range(4)]
    return reader.texts, asyncio.get_running_loop().time()


def test_rooms_live_on_a_memory_database() -> None:
    heard = [run_shuffled(partial(conversation, seed), seed, late=0.1) for seed in range(15)]
    assert len({tuple(texts) for texts, _ in heard}) > 10
    again = [run_shuffled(partial(conversation, seed), seed, late=0.1) for seed in range(3)]
    assert again == heard[:3]


def insert(*numbers: int) -> Callable[[Connection], None]:
    def work(connection: Connection) -> None:
        for number in numbers:
            connection.execute(
                text("INSERT INTO numbers (number) VALUES (:number)"), {"number": number}
            )

    return work


def make_table(connection: Connection) -> None:
    columns = "number INTEGER PRIMARY KEY, double INTEGER REFERENCES numbers"
    connection.execute(text(f"CREATE TABLE numbers ({columns})"))


def count_rows(connection: Connection) -> int:
    return int(connection.execute(text("SELECT count(*) FROM numbers")).scalar_one())


def with_numbers(main: Callable[[MemoryDatabase], Coroutine[Any, Any, T]], seed: int) -> T:
    async def run() -> T:
        database = MemoryDatabase(Random(seed))
        try:
            await database.write(make_table)
            return await main(database)
        finally:
            await database.close()

    return run_shuffled(run, seed)


def test_a_transaction_that_fails_leaves_nothing() -> None:
    async def main(database: MemoryDatabase) -> None:
        with pytest.raises(IntegrityError):
            await database.write(insert(1, 1))
        with pytest.raises(ZeroDivisionError):
            await database.write(lambda connection: (insert(1)(connection), 1 / 0))
        assert await database.read(count_rows) == 0
        await database.write(insert(1))
        assert await database.read(count_rows) == 1

    with_numbers(main, 1)


def test_what_a_row_refers_to_must_be_there() -> None:
    async def main(database: MemoryDatabase) -> None:
        await database.write(insert(1))
        with pytest.raises(IntegrityError):
            await database.write(
                lambda connection: connection.execute(text("UPDATE numbers SET double = 2"))
            )

    with_numbers(main, 1)


def test_a_database_that_cannot_answer_is_unavailable() -> None:
    async def main(database: MemoryDatabase) -> None:
        with pytest.raises(Unavailable):
            await database.read(lambda connection: connection.execute(text("SELECT nothing")))
        with pytest.raises(Unavailable):
            await database.write(make_table)
        assert await database.read(count_rows) == 0

    with_numbers(main, 1)


def test_a_write_that_is_cancelled_is_stored_or_is_not() -> None:
    async def main(database: MemoryDatabase) -> int:
        write = asyncio.create_task(database.write(insert(1)))
        await asyncio.sleep(0.001)
        write.cancel()
        await asyncio.wait([write])
        return await database.read(count_rows)

    assert {with_numbers(main, seed) for seed in range(50)} == {0, 1}


def test_writes_are_done_in_the_order_in_which_they_were_asked_for() -> None:
    async def main(database: MemoryDatabase) -> None:
        asked: list[int] = []
        done: list[int] = []

        async def write(number: int) -> None:
            asked.append(number)
            await database.write(lambda connection: done.append(number))

        async with asyncio.TaskGroup() as tasks:
            for number in range(5):
                tasks.create_task(write(number))
        assert done == asked

    for seed in range(20):
        with_numbers(main, seed)


def test_reads_come_between_writes() -> None:
    async def main(database: MemoryDatabase) -> tuple[int, ...]:
        async with asyncio.TaskGroup() as tasks:
            for number in range(5):
                tasks.create_task(database.write(insert(number)))
            reads = [tasks.create_task(database.read(count_rows)) for _ in range(3)]
        assert await database.read(count_rows) == 5
        return tuple(read.result() for read in reads)

    assert len({with_numbers(main, seed) for seed in range(50)}) > 10
