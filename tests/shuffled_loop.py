"""An event loop for simulations: it never waits, and luck decides which task goes first.

asyncio runs what is ready in the order in which it became ready, the same in every run. So a test
sees one order of many, and a race that this order hides stays hidden. Here a seed chooses another.
"""

import asyncio
import gc
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from random import Random
from typing import Any, Final, TypeVar, TypeVarTuple
from weakref import WeakKeyDictionary

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

ENOUGH: Final = 100_000
"""Turns after which something goes round in circles."""


class ShuffledLoop(asyncio.BaseEventLoop):
    """Runs what is ready in a shuffled order, and jumps to the next timer when nothing is.

    Only the steps of tasks change places, among themselves. A plain callback keeps its place: that
    `call_soon` is first in, first out is promised, and protocols, transports and futures are built
    on it. Which of two tasks goes on first is promised nowhere.

    A task still takes one step a turn, so one that needs ten turns never overtakes one that needs
    two. `late` lifts that: it is the probability that a step is put off to the next turn.

    What is given to an executor runs on the loop in a later turn, in the order in which it was
    given. There are no sockets, no signals and no other threads.
    """

    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self, rng: Random, late: float = 0.0) -> None:
        super().__init__()
        self._rng = rng
        self._late = late
        self._now = 0.0
        self._turns = 0
        self._lost: list[dict[str, Any]] = []
        self._numbers: WeakKeyDictionary[asyncio.Task[Any], int] = WeakKeyDictionary()
        self._next_number = itertools.count()
        self.set_task_factory(self._make_task)

    def time(self) -> float:
        return self._now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        done: asyncio.Future[T] = self.create_future()
        self.call_soon(self._execute, done, lambda: func(*args))
        return done

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        # It may be called by a destructor, which cannot raise.
        self._lost.append(context)

    def tell_what_was_lost(self) -> None:
        """Raise the first exception that nobody has caught, once."""
        lost, self._lost = self._lost, []
        for context in lost:
            error = context.get("exception")
            raise AssertionError(f"lost: {context['message']}: {error!r}") from error

    def _run_once(self) -> None:
        self._count_turn()
        self._take_timers()
        for handle in self._take_ready():
            if not handle.cancelled():
                handle._run()
        self.tell_what_was_lost()

    def _count_turn(self) -> None:
        self._turns += 1
        if self._turns > ENOUGH:
            self._turns = 0  # the tasks are given as many again to be cancelled in
            raise AssertionError(f"it goes round in circles:\n{self._tasks()}")

    def _take_timers(self) -> None:
        timers = self._scheduled
        if not self._ready:
            if not timers:
                raise AssertionError(f"a deadlock, all of these wait:\n{self._tasks()}")
            self._now = max(self._now, timers[0].when())
        while timers and timers[0].when() <= self._now:
            self._ready.append(heapq.heappop(timers))

    def _take_ready(self) -> list[asyncio.Handle]:
        ready = [(handle, _task_of(handle)) for handle in self._ready]
        self._ready.clear()
        steps = [(self._numbers[task], handle) for handle, task in ready if task is not None]
        # Tasks that became ready by way of a set, as those of a group that is cancelled, did so in
        # the order of their addresses, which no seed can repeat.
        steps.sort(key=lambda step: step[0])
        self._rng.shuffle(steps)
        taken = []
        for handle, task in ready:
            chosen = handle if task is None else steps.pop()[1]
            if task is not None and self._rng.random() < self._late:
                self._ready.append(chosen)
            else:
                taken.append(chosen)
        return taken

    def _execute(self, done: asyncio.Future[T], work: Callable[[], T]) -> None:
        # A thread cannot be cancelled once it has begun, and whether it has is luck.
        if done.cancelled() and self._rng.random() < 0.5:
            return
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the caller
            if not done.cancelled():
                done.set_exception(error)
        else:
            if not done.cancelled():
                done.set_result(result)

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, work: Any, **options: Any
    ) -> asyncio.Task[Any]:
        task = asyncio.Task(work, loop=loop, **options)
        self._numbers[task] = next(self._next_number)
        return task

    def _tasks(self) -> str:
        return "\n".join(sorted(map(repr, asyncio.all_tasks(self))))

    def _write_to_self(self) -> None:
        """Wake the loop from its sleep, which it never sleeps."""


def run_shuffled(main: Callable[[], Coroutine[Any, Any, T]], seed: int, *, late: float = 0.0) -> T:
    """Run a coroutine on a `ShuffledLoop`; a seed stands for one order of things.

    It is for tests that are plain functions, for they run no loop of their own.

    Raises:
        AssertionError: everything waits for ever, or goes round in circles; or at the end a task is
            pending, or an exception was lost.

    """
    loop = ShuffledLoop(Random(seed), late)
    with _nothing_collected_by_chance():
        try:
            result = loop.run_until_complete(main())
            _check_end(loop)
        except BaseException as error:
            error.add_note(f"seed {seed}, late {late}")
            # What has failed is known; what else fails on the way out is not of interest.
            with suppress(AssertionError):
                loop.run_until_complete(_cancel_others())
            raise
        finally:
            loop.close()
    return result


def _check_end(loop: ShuffledLoop) -> None:
    pending = asyncio.all_tasks(loop)
    if pending:
        raise AssertionError(f"left pending: {pending}")
    loop.run_until_complete(loop.shutdown_asyncgens())
    # A task tells that nobody has looked at its exception when it is collected.
    gc.collect()
    loop.tell_what_was_lost()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@contextmanager
def _nothing_collected_by_chance() -> Iterator[None]:
    """Collect no garbage in the middle of a run, for destructors run code; what is older is spared.

    So the same seed gives the same run, and the collection at its end is quick.
    """
    enabled = gc.isenabled()
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        if enabled:
            gc.enable()


def _task_of(handle: Any) -> asyncio.Task[Any] | None:
    """Give the task that takes a step here; a plain callback has none."""
    callback = handle._callback
    owner = getattr(callback, "__self__", None)
    # The first of a task's two ways to go on has no name. `task.cancel` is a plain callback.
    name = getattr(callback, "__name__", "task_wakeup")
    return owner if isinstance(owner, asyncio.Task) and name == "task_wakeup" else None
