"""People, clocks, ids, readers and logs for the tests of `rooms`."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from auth.principal import Principal, Role
from rooms.broker import Hint
from rooms.commands import Command, RegisterPatient, SendMessage
from rooms.cursor import START, Cursor, tag_of
from rooms.database import Database, open_database
from rooms.encoding import Record, RunSignal, Signal, draft_frames
from rooms.errors import RoomError, Unavailable
from rooms.events import Audience
from rooms.feed import Cut
from rooms.log import Log, Receipt
from rooms.state import Alarm, Policy, Run

WITHIN = 20.0
"""Seconds after which an expectation has failed."""
NOW = datetime(2026, 11, 20, 18, 7, tzinfo=UTC)
TENANT = "tenant-1"
CASE = "case-1"

MARIA = Principal("user_maria", TENANT, Role.PATIENT, "Maria", patient_id="patient-1")
PRIYA = Principal("user_priya", TENANT, Role.COORDINATOR, "Priya")
SAM = Principal("user_sam", TENANT, Role.SUPERVISOR, "Sam")
LEE = Principal("user_lee", TENANT, Role.COORDINATOR, "Lee")
SERVICE = Principal("service", TENANT, Role.SERVICE, "Intake")
ASSISTANT = Principal("ai", TENANT, Role.AI, "Assistant")
STRANGER = Principal("user_x", TENANT, Role.PATIENT, "Xaver", patient_id="patient-x")
FOREIGNER = Principal("user_f", "tenant-2", Role.SUPERVISOR, "Fran")


ANSWERING = Policy(ai=True)
"""Where the AI answers patients."""


def registration(number: int = 1) -> RegisterPatient:
    return RegisterPatient(f"patient-{number}", "Maria", f"user_of_{number}")


def say(text: str, **members: Any) -> SendMessage:
    return SendMessage(text, **members)


class Ids:
    """Ids that say in which order they were made; those of two makers differ."""

    def __init__(self, name: str = "") -> None:
        self._name = name
        self._numbers = itertools.count(1)

    def __call__(self, kind: str) -> str:
        return f"{kind}_{self._name}{next(self._numbers)}"


class Clock:
    """A second passes with every look at it."""

    def __init__(self) -> None:
        self._seconds = itertools.count()

    def __call__(self) -> datetime:
        return NOW + timedelta(seconds=next(self._seconds))


class Plain:
    """A wire format that is the frame itself."""

    def event(self, record: Record) -> bytes | None:
        return record.frame.encode()

    def signal(self, signal: Signal) -> bytes | None:
        return signal.frame.encode()


PLAIN = Plain()


@dataclass(eq=False)
class Collector:
    """A reader that keeps what it is given."""

    room: int = 1_000_000
    """How many more writes it takes before it says that it is full."""
    codec: Any = PLAIN
    frames: list[dict[str, Any]] = field(default_factory=list)
    lives: list[Cursor] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def write(self, data: bytes) -> bool:
        assert self.room > 0, "it had said that it was full"
        self.frames.append(json.loads(data))
        self.room -= 1
        self.changed.set()
        return self.room > 0

    def live(self, position: Cursor) -> None:
        self.lives.append(position)
        self.changed.set()

    def answering(self, run: Run) -> None:
        self.frames.extend(draft_frames(CASE, run))
        self.changed.set()

    def cut(self, reason: Cut) -> None:
        self.cuts.append(reason)
        self.changed.set()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [frame for frame in self.frames if frame["type"] == "event"]

    @property
    def seqs(self) -> list[int]:
        return [frame["seq"] for frame in self.events]

    @property
    def texts(self) -> list[str]:
        return [frame["data"]["text"] for frame in self.events if "text" in frame["data"]]

    def of_type(self, type: str) -> list[dict[str, Any]]:
        return [frame for frame in self.frames if frame["type"] == type]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something that it was given makes the condition true."""
        async with asyncio.timeout(WITHIN):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


@dataclass
class OpenLog:
    """A log that is running, and all that it told about its commits."""

    log: Log
    database: Database
    hints: list[list[Record]]
    """The records of each commit."""
    told: list[list[Hint]]
    """All the hints of each commit."""
    promises: list[int]
    """How many commits there were at each promise of a task."""
    name: str
    _keys: Iterator[int] = field(default_factory=itertools.count)

    @property
    def signals(self) -> list[RunSignal]:
        """The steps of answers, as staff are told of them."""
        told = [hint for hints in self.told for hint in hints if isinstance(hint, RunSignal)]
        return [signal for signal in told if signal.audience is Audience.STAFF]

    async def do(
        self,
        command: Command,
        by: Principal,
        key: str | None = None,
        case: str = CASE,
        *,
        policy: Policy = ANSWERING,
        alarm: Alarm | None = None,
    ) -> Receipt:
        """Give a command where the AI answers."""
        key = f"{self.name}{next(self._keys)}" if key is None else key
        return await self.log.append(case, command, by, key, policy=policy, alarm=alarm)

    async def ask(self, text: str = "Hello", case: str = CASE, by: Principal = MARIA) -> str:
        """Let the patient say something, and give the run of the answer that begins."""
        await self.do(say(text), by, case=case)
        return await self.run_of(case)

    async def run_of(self, case: str = CASE) -> str:
        state = await self.log.state(case)
        assert state is not None
        assert state.run is not None
        return state.run.id

    async def open_case(self, case: str = CASE, number: int = 1) -> Receipt:
        return await self.log.append(case, registration(number), SERVICE, f"open {case}")

    async def say(
        self, text: str, by: Principal = MARIA, key: str | None = None, case: str = CASE
    ) -> Receipt:
        return await self.log.append(case, say(text), by, text if key is None else key)


@asynccontextmanager
async def open_log(
    url: str | Database,
    name: str = "",
    *,
    committed: Callable[[Sequence[Hint]], None] | None = None,
    new_id: Callable[[str], str] | None = None,
) -> AsyncIterator[OpenLog]:
    """Run a log as a process does; `name` keeps the ids of two processes apart."""
    database = open_database(url) if isinstance(url, str) else url
    hints: list[list[Record]] = []
    told: list[list[Hint]] = []
    promises: list[int] = []

    def note(new: Sequence[Hint]) -> None:
        told.append(list(new))
        hints.append([hint for hint in new if isinstance(hint, Record)])
        if committed is not None:
            committed(new)

    log = Log(
        database,
        now=Clock(),
        new_id=new_id or Ids(name),
        committed=note,
        promised=lambda: promises.append(len(told)),
    )
    try:
        await database.create()
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(log.run())
            yield OpenLog(log, database, hints, told, promises, name)
            await log.idle()
            writing.cancel()
    finally:
        await database.close()


class Flaky(Database):
    """A database whose writes can be held up, refused, or lose their answer."""

    def __init__(self, inner: Database) -> None:
        self._inner = inner
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = asyncio.Event()
        self.refuse = 0
        """How many of the next writes fail before anything is stored."""
        self.forget = 0
        """How many of the next writes are stored, but fail after that."""
        self.stumble = 0
        """How many of the next writes end with an error of ours, before the commit."""
        self.writes = 0

    async def read(self, work: Callable[..., Any]) -> Any:
        return await self._inner.read(work)

    async def write(self, work: Callable[..., Any]) -> Any:
        self.waiting.set()
        await self.gate.wait()
        self.writes += 1
        if self.refuse:
            self.refuse -= 1
            raise Unavailable
        result = await self._inner.write(self._stumbling(work) if self.stumble else work)
        if self.forget:
            self.forget -= 1
            raise Unavailable
        return result

    def _stumbling(self, work: Callable[..., Any]) -> Callable[..., Any]:
        self.stumble -= 1

        def worked_for_nothing(connection: Any) -> None:
            work(connection)
            raise ZeroDivisionError

        return worked_for_nothing

    async def close(self) -> None:
        await self._inner.close()


def tag(receipt: Receipt) -> str:
    assert receipt.id is not None
    return tag_of(receipt.id)


async def cursors(log: Log, audience: Audience = Audience.STAFF, case: str = CASE) -> list[Cursor]:
    return [record.cursor for record in await log.read(case, audience, START, 10_000)]


async def texts(log: Log, audience: Audience = Audience.STAFF, case: str = CASE) -> list[str]:
    data = [record.data for record in await log.read(case, audience, START, 10_000)]
    return [each["text"] for each in data if "text" in each]


async def assert_dense(log: Log, case: str, count: int) -> None:
    """Check the numbering of a case, and that its state tells the heads of its views."""
    state = await log.state(case)
    assert state is not None
    for audience in Audience:
        found = await cursors(log, audience, case)
        assert [cursor.seq for cursor in found] == list(range(1, len(found) + 1))
        assert state.head(audience) == found[-1]
    assert state.staff.seq == count


async def refused(answer: Any) -> RoomError:
    with pytest.raises(RoomError) as caught:
        await answer
    return caught.value
