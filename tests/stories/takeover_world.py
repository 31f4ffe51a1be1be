"""One case on a virtual clock: the AI answers, people take over, readers come and go.

A seed stands for one course of things. What readers were given is only kept while it goes on; it
is compared with the log at the end, by `tests.stories.test_takeover_races`.
"""

import asyncio
import itertools
import json
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, MutableMapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any, Final, TypeVar

from sqlalchemy import Connection
from sqlmodel import SQLModel
from structlog.testing import capture_logs

from ai.model import Failure, ModelFailed, PersonWanted, Piece, Prompt, TextPiece
from ai.responder import Responder
from auth.principal import Principal, Role
from rooms.broker import Hint, MemoryBroker
from rooms.commands import (
    Accept,
    Command,
    Continue,
    Escalate,
    Finish,
    Release,
    Retry,
    SendMessage,
    Stop,
    WriteNote,
)
from rooms.cursor import START, Cursor, parse_cursor
from rooms.encoding import Codec, draft_frames
from rooms.errors import Code, Rejected
from rooms.events import Audience
from rooms.feed import Cut, Subscription
from rooms.log import Receipt
from rooms.runs import REPLY
from rooms.service import Rooms
from rooms.state import Run, RunState, audience_of
from tests.memory_database import MemoryDatabase
from tests.rooms.kit import (
    ANSWERING,
    CASE,
    LEE,
    MARIA,
    NOW,
    PLAIN,
    PRIYA,
    SAM,
    SERVICE,
    Ids,
    registration,
)
from tests.shuffled_loop import run_shuffled

Frame = dict[str, Any]
T = TypeVar("T")

COORDINATORS: Final = (PRIYA, SAM, LEE)
UNBOUNDED: Final = 1_000_000
ROUNDS: Final = 100
"""Half seconds that everything that was begun has to come to its end."""
WRITING: Final = "SELECT id FROM run WHERE state IN ('thinking', 'writing')"
ANSWERS: Final = "SELECT id, fence, text, state, message_id FROM run"
REPLIES: Final = "SELECT id FROM task WHERE kind = 'reply'"


class Disk(MemoryDatabase):
    """The database of all processes of a world; it is wiped for the next, for making it is slow."""

    def __init__(self) -> None:
        super().__init__(Random())
        self._connection = self._engine.connect()
        SQLModel.metadata.create_all(self._connection)
        self._connection.commit()
        self._connection.begin()
        # SQLAlchemy is to believe in one long transaction: its own take a third of all the time.
        self._raw: Any = self._connection.connection.driver_connection
        assert self._raw is not None
        self._raw.execute("COMMIT")
        self.crowded: list[str] = []
        """The answers that were being written while another one was."""

    def wipe(self, seed: int) -> None:
        self._rng = Random(seed)
        self._writing = asyncio.Lock()
        self.crowded = []
        for table in reversed(SQLModel.metadata.sorted_tables):
            self._raw.execute(f'DELETE FROM "{table.name}"')  # noqa: S608 - our own names

    def peek(self, query: str) -> list[Any]:
        """Look at what is committed, without letting anything happen meanwhile."""
        return list(self._raw.execute(query))

    def _transact(self, work: Callable[[Connection], T]) -> T:
        self._raw.execute("BEGIN")
        try:
            result = work(self._connection)
        except BaseException:
            self._raw.execute("ROLLBACK")
            raise
        self._raw.execute("COMMIT")
        return result

    async def write(self, work: Callable[[Connection], T]) -> T:
        def watched(connection: Connection) -> T:
            result = work(connection)
            writing = [id for (id,) in self.peek(WRITING)]
            self.crowded += writing if len(writing) > 1 else []
            return result

        return await super().write(watched)

    async def create(self) -> None:
        """There are tables already."""

    async def close(self) -> None:
        """Other processes still use it."""


@dataclass(frozen=True)
class Weather:
    """What hints meet between two processes."""

    loss: float
    doubling: float
    delay: float
    """Seconds, at most."""
    own_at_once: bool
    """What a process publishes itself comes to it directly."""


def weather(rng: Random) -> Weather:
    return Weather(
        loss=rng.choice([0.0, 0.0, 0.1, 0.5, 1.0]),
        doubling=rng.choice([0.0, 0.2]),
        delay=rng.choice([0.002, 0.05, 0.5]),
        own_at_once=rng.random() < 0.7,
    )


class Link:
    """From one process to another: hints keep their order, and nothing else is certain."""

    def __init__(self, receive: Callable[[Hint], None], rng: Random, weather: Weather) -> None:
        self._receive = receive
        self._rng = rng
        self._weather = weather
        self._under_way: deque[Hint] = deque()
        self._last = 0.0

    def carry(self, hints: Sequence[Hint]) -> None:
        loop = asyncio.get_running_loop()
        # A publication that is repeated comes as a whole again.
        again = self._rng.random() < self._weather.doubling
        for hint in [*hints, *hints] if again else hints:
            if self._rng.random() >= self._weather.loss:
                delay = self._rng.uniform(0, self._weather.delay)
                self._last = max(self._last, loop.time() + delay)
                self._under_way.append(hint)
                loop.call_at(self._last, self._arrive)

    def _arrive(self) -> None:
        self._receive(self._under_way.popleft())


class Bell:
    """A broker between processes, as one of them sees it."""

    def __init__(self, rng: Random, weather: Weather) -> None:
        self._rng = rng
        self._weather = weather
        self._receive: Callable[[Hint], None] = lambda hint: None
        self._links: list[Link] = []

    def attach(self, receive: Callable[[Hint], None]) -> None:
        self._receive = receive

    def join(self, bells: Sequence["Bell"]) -> None:
        direct = self._weather.own_at_once
        self._links = [
            Link(bell._receive, self._rng, self._weather)
            for bell in bells
            if not (direct and bell is self)
        ]

    def publish(self, hints: Sequence[Hint]) -> None:
        if self._weather.own_at_once:
            for hint in hints:
                self._receive(hint)
        for link in self._links:
            link.carry(hints)


class Moody:
    """A model that is fast, or slow, or fails, or wants a person; every word is another one."""

    name = "moody"

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._words = itertools.count(1)
        self.asked = 0

    async def answer(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        self.asked += 1
        rng = self._rng
        longest = rng.choice([0.0, 0.02, 0.08, 0.3])
        words = rng.choice([0, 1, 2, 3, 5, 8])
        wants = rng.randint(0, words) if rng.random() < 0.2 else None
        fails = rng.randint(0, words) if rng.random() < 0.25 else None
        await asyncio.sleep(rng.choice([0.0, 0.01, 0.1]))
        for place in range(words + 1):
            await asyncio.sleep(rng.uniform(0, longest))
            if place == wants:
                yield PersonWanted("They want a person")
            if place == fails:
                raise ModelFailed(rng.choice(list(Failure)))
            if place < words:
                yield TextPiece(f"word{next(self._words)} ")


class Cue:
    """Comes when the AI does its next thing after so many: a good moment to interrupt it."""

    def __init__(self, after: int) -> None:
        self._left = after
        self.given = asyncio.Event()

    def count(self) -> None:
        self._left -= 1
        if self._left < 0:
            self.given.set()


class Process(Rooms):
    """The rooms of one process, with a watch on what the AI does to them."""

    def __init__(self, cue: Cue, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._cue = cue
        self.misdeeds: list[str] = []
        """What the AI did and may not do."""

    async def handle(
        self, case: str, command: Command, by: Principal, key: str, *, echo: bool = True
    ) -> Receipt:
        if by.role is Role.AI:
            self._cue.count()
            if not isinstance(command, Escalate | Continue | Finish):
                self.misdeeds.append(type(command).__name__)
        return await super().handle(case, command, by, key, echo=echo)


class Line:
    """One connection of a device: a reader that at times takes no more for a while."""

    codec: Codec = PLAIN

    def __init__(self, device: "Device") -> None:
        self._device = device
        self._room = device.room()
        self.subscription: Subscription | None = None
        self.open = True

    def write(self, data: bytes) -> bool:
        self._device.hear(json.loads(data), wrong=self._wrong())
        self._room -= 1
        if self._room == 0:
            self._device.fell_behind += 1
            pause = self._device.rng.uniform(0.005, 0.5)
            asyncio.get_running_loop().call_later(pause, self._drain)
        return self._room > 0

    def live(self, position: Cursor) -> None:
        self._device.hear({"type": "caught_up", "cursor": str(position)}, wrong=self._wrong())

    def answering(self, run: Run) -> None:
        for frame in draft_frames(CASE, run):
            self._device.hear(frame, wrong=self._wrong())

    def cut(self, reason: Cut) -> None:
        self._device.hear({"type": "cut"}, wrong=f"it was cut: {reason}")

    def hang_up(self) -> None:
        self.open = False
        if self.subscription is not None:
            self.subscription.close()

    def _drain(self) -> None:
        self._room = self._device.room()
        if self.open and self.subscription is not None:
            self.subscription.resume()

    def _wrong(self) -> str:
        if not self.open:
            return "it had left"
        return "" if self._room > 0 else "it had said that it was full"


class Device:
    """A client of somebody. It keeps its cursor when it leaves, and comes back with it."""

    def __init__(self, name: str, by: Principal, rng: Random) -> None:
        self.name = name
        self.by = by
        self.rng = rng
        self.audience = audience_of(by)
        self.told: list[Frame] = []
        """All that it was given, and, as `joined`, when it came; in order."""
        self.wrongs: list[str] = []
        self.cursor: Cursor | None = None
        self.line: Line | None = None
        self.fell_behind = 0
        self._slow = rng.random() < 0.3

    def hear(self, frame: Frame, *, wrong: str) -> None:
        if wrong:
            self.wrongs.append(f"{wrong}: {frame}")
        self.told.append(frame)
        if frame["type"] == "event":
            self.cursor = parse_cursor(frame["cursor"])

    def room(self) -> int:
        return self.rng.randint(1, 8) if self._slow else UNBOUNDED

    async def enter(self, rooms: Rooms) -> None:
        line = self.line = Line(self)
        joined = await rooms.join(
            CASE,
            self.by,
            self.audience,
            line,
            after=self.cursor,
            tail=self.rng.choice([0, 2, 50]),
        )
        if self.cursor is not None and (joined.reset is not None or not joined.resumed):
            self.wrongs.append("its cursor was not honoured")
        line.subscription = joined.subscription
        if not line.open:
            joined.subscription.close()
            return
        self.told.append({"type": "joined", "after": joined.start.seq})
        await joined.subscription.start(joined.start)

    def leave(self) -> None:
        if self.line is not None:
            self.line.hang_up()
            self.line = None

    def be_quick(self) -> None:
        self._slow = False


@dataclass
class Try:
    """An attempt to accept the case."""

    by: Principal
    since: int
    """Staff head when it was asked for."""
    until: int
    """Staff head when it was answered."""
    receipt: Receipt | None
    """None: refused."""
    owner: str = ""
    """Who was named when it was refused."""


@dataclass(frozen=True)
class Answer:
    """An answer of the AI, as the log has it at the end."""

    fence: int
    text: str
    state: RunState
    message_id: str | None


@dataclass
class World:
    """A case, everybody at it, and the processes that serve them."""

    rng: Random
    disk: Disk
    processes: list[Process]
    devices: list[Device]
    cue: Cue
    tries: list[Try] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """What an owner was not allowed to do."""
    again: int = 0
    """How often the AI began an answer in place of one that was not whole."""
    views: dict[Audience, list[Frame]] = field(default_factory=dict)
    """The log at the end, as each audience sees it."""
    answers: dict[str, Answer] = field(default_factory=dict)
    """By run."""
    logs: list[MutableMapping[str, Any]] = field(default_factory=list)
    """What the processes had to say."""
    _keys: "itertools.count[int]" = field(default_factory=itertools.count)

    async def do(self, command: Command, by: Principal, key: str = "") -> Receipt:
        """Give a command to one of the processes."""
        process = self.rng.choice(self.processes)
        return await process.handle(CASE, command, by, key or self.key())

    def key(self) -> str:
        return f"k{next(self._keys)}"

    def head(self) -> int:
        return int(self.disk.peek("SELECT staff_seq FROM case_state")[0][0])

    async def look(self) -> None:
        """Read what stands in the log."""
        log = self.processes[0].log
        for audience in Audience:
            records = await log.read(CASE, audience, START, UNBOUNDED)
            self.views[audience] = [json.loads(record.frame) for record in records]
        for id, fence, text, state, message in self.disk.peek(ANSWERS):
            self.answers[id] = Answer(fence, text, RunState(state), message)


def race(disk: Disk, seed: int, processes: int) -> World:
    """Run the world of a seed to its end."""
    disk.wipe(seed)
    with capture_logs() as logs:
        late = (0.0, 0.1, 0.3)[seed % 3]
        world = run_shuffled(partial(_race, disk, seed, processes), seed, late=late)
    world.logs = logs
    return world


async def _race(disk: Disk, seed: int, processes: int) -> World:
    rng = Random(seed)
    audit_every = rng.choice([0.4, 1.2]) if processes > 1 else 2.0
    cue = Cue(rng.randint(0, 6))
    served = _processes(rng, disk, cue, processes, audit_every)
    world = World(rng, disk, served, _devices(rng), cue)
    async with AsyncExitStack() as stack:
        for process in world.processes:
            await stack.enter_async_context(process.running())
        await world.do(registration(), SERVICE)
        await _live(world)
        await _settle(world, audit_every)
        await world.look()
    return world


def _processes(rng: Random, disk: Disk, cue: Cue, count: int, audit_every: float) -> list[Process]:
    model = Moody(rng)
    bells: list[Bell] = []
    processes = []
    outside = weather(rng)
    for number in range(count):
        bells.append(Bell(rng, outside))
        process = Process(
            cue,
            disk,
            MemoryBroker() if count == 1 else bells[-1],
            now=lambda: NOW + timedelta(seconds=asyncio.get_running_loop().time()),
            new_id=Ids("ab"[number]),
            audit_every=audit_every,
            poll=10.0,
            policy=ANSWERING,
        )
        monotonic = asyncio.get_running_loop().time
        responder = Responder(process, model, monotonic=monotonic, report=lambda report: None)
        process.tasks.on(REPLY, responder.reply)
        processes.append(process)
    for bell in bells:
        bell.join(bells)
    return processes


def _devices(rng: Random) -> list[Device]:
    patients = [Device(f"maria {n}", MARIA, rng) for n in range(rng.choice([1, 1, 2, 3]))]
    staff = [
        Device(f"staff {n}", rng.choice(COORDINATORS), rng) for n in range(rng.choice([1, 1, 2]))
    ]
    return patients + staff


async def _live(world: World) -> None:
    """Let everybody do what they do, at random moments of two seconds or so."""
    rng = world.rng
    doings: list[Coroutine[Any, Any, object]] = [_use(world, device) for device in world.devices]
    doings.append(_say(world, rng.uniform(0, 0.05)))
    doings += [_say(world, rng.uniform(0, 1.5)) for _ in range(rng.choice([0, 0, 1]))]
    doings += [_stop(world, rng.uniform(0, 0.8)) for _ in range(rng.choice([0, 0, 0, 1]))]
    doings += [_escalate(world, rng.uniform(0, 0.8)) for _ in range(rng.choice([0, 0, 1]))]
    doings += [_note(world, rng.uniform(0, 0.8)) for _ in range(rng.choice([0, 0, 0, 1]))]
    doings += [_ask_again(world, rng.uniform(0, 1.5)) for _ in range(rng.choice([0, 1, 2]))]
    moment = rng.uniform(0, 0.9)
    # A piece is given to the room every 40 ms: these come at about the time of the next one.
    after_cue = rng.choice([None, 0.0, rng.uniform(0.03, 0.055)])
    for by in rng.sample(COORDINATORS, rng.randint(1, 3)):
        hesitation = rng.choice([0, 0, 0.001, 0.02])
        doings.append(_lead(world, by, moment, after_cue, hesitation))
    async with asyncio.TaskGroup() as group:
        for doing in doings:
            group.create_task(doing)


async def _settle(world: World, audit_every: float) -> None:
    """Let everything that was begun come to its end, and the last audits look at it."""
    for device in world.devices:
        device.be_quick()
        if device.line is None:
            await device.enter(world.rng.choice(world.processes))
    for _ in range(ROUNDS):
        await asyncio.sleep(0.5)
        if not world.disk.peek(REPLIES):
            break
    await asyncio.sleep(2 * audit_every + 0.5)


# What people do.


async def _use(world: World, device: Device) -> None:
    """Let a device come, and at times go and come back, even before it was let in."""
    rng = world.rng
    await asyncio.sleep(rng.choice([0.0, rng.uniform(0, 1.5)]))
    for _ in range(rng.choice([0, 0, 0, 1, 2])):
        with suppress(TimeoutError):
            async with asyncio.timeout(rng.choice([0.005, rng.uniform(0, 0.8)])):
                await device.enter(rng.choice(world.processes))
                await asyncio.sleep(1)
        device.leave()
        await asyncio.sleep(rng.choice([0.0, rng.uniform(0, 0.4)]))
    await device.enter(rng.choice(world.processes))


async def _say(world: World, at: float) -> None:
    await asyncio.sleep(at)
    await world.do(SendMessage(f"Question {world.key()}"), MARIA)


async def _stop(world: World, at: float) -> None:
    await asyncio.sleep(at)
    await world.do(Stop(), MARIA)


async def _ask_again(world: World, at: float) -> None:
    """Want an answer that was not whole once more, at times with two clicks on two devices."""
    await asyncio.sleep(at)
    if world.rng.random() < 0.5:
        await world.do(Stop(), MARIA)
    async with asyncio.TaskGroup() as group:
        for by in world.rng.choice([(MARIA,), (PRIYA,), (MARIA, MARIA), (MARIA, PRIYA)]):
            group.create_task(_retry(world, by))


async def _retry(world: World, by: Principal) -> None:
    try:
        receipt = await world.do(Retry(), by)
    except Rejected as refused:
        if refused.code is not Code.CONFLICT:
            raise
    else:
        world.again += not receipt.dup


async def _escalate(world: World, at: float) -> None:
    await asyncio.sleep(at)
    await world.do(Escalate(), MARIA)


async def _note(world: World, at: float) -> None:
    await asyncio.sleep(at)
    await world.do(WriteNote("Look at this"), PRIYA)


async def _lead(
    world: World, by: Principal, at: float, after_cue: float | None, hesitation: float
) -> None:
    """Try to take the case over; whoever succeeds may give it back, and try again."""
    rng = world.rng
    if after_cue is None:
        await asyncio.sleep(at)
    else:
        with suppress(TimeoutError):
            await asyncio.wait_for(world.cue.given.wait(), 1)
        await asyncio.sleep(after_cue)
    await asyncio.sleep(hesitation)
    for _ in range(rng.choice([1, 1, 2])):
        if not await _accept(world, by):
            return
        await asyncio.sleep(rng.uniform(0, 0.4))
        if rng.random() < 0.3:
            await world.do(SendMessage("I am here"), by)
        if rng.random() < 0.3:
            return
        try:
            await world.do(Release("ai" if rng.random() < 0.6 else "queue"), by)
        except Rejected as refused:
            world.refused.append(f"{by.name} may not release: {refused}")
            return
        if rng.random() < 0.8:
            await _say(world, rng.uniform(0, 0.05))
        await asyncio.sleep(rng.uniform(0, 0.6))


async def _accept(world: World, by: Principal) -> bool:
    """Accept, at times with a double click; True if the case is theirs now."""
    key = world.key()
    since = world.head()
    clicks = 2 if world.rng.random() < 0.2 else 1
    async with asyncio.TaskGroup() as group:
        answers = [group.create_task(_click(world, by, key, since)) for _ in range(clicks)]
    return all(answer.result() for answer in answers)


async def _click(world: World, by: Principal, key: str, since: int) -> bool:
    receipt, owner = None, ""
    try:
        receipt = await world.do(Accept(), by, key)
    except Rejected as refused:
        if refused.code is not Code.CONFLICT:
            raise
        owner = str(refused.details["owner"])
    world.tries.append(Try(by, since, world.head(), receipt, owner))
    return receipt is not None
