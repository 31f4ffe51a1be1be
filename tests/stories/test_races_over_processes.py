"""Who gets a case, and what is heard of the AI after that, over two real processes.

The same is raced hundreds of times within one process, and every order of two steps is tried; see
`test_takeover_races.py`. Here are the network, two event loops, PostgreSQL and Redis between them.
"""

import asyncio
import itertools
import json
import re
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from auth.principal import Role
from tests.faults.member import View
from tests.followers import Display, Follower
from tests.kit import PRIYA, WITHIN, Client, HubProcess, Identity
from tests.messages_server import MessagesServer, Say, Script, Step, Wait, messages_server
from tests.reserved_port import reserved_port
from tests.tcp_proxy import TcpProxy
from tests.valkey import running_valkey

COORDINATORS = [
    Identity(f"user_{number}", f"Staff {number}", Role.COORDINATOR) for number in range(50)
]
SEED = 0
PAUSE_S = 0.005
"""Between two pieces that the model gives: it has always some more to say."""
AT_ONCE_S = 3.0
"""Less than a lost hint would cost, and more than a busy machine does."""


@dataclass
class Pair:
    """Two hubs, and the line of each to Redis."""

    hubs: list[HubProcess]
    lines: list[TcpProxy]


@asynccontextmanager
async def pair(folder: Path, database_url: str, **environment: str) -> AsyncIterator[Pair]:
    """Run two hubs on one database and one Redis; each tells the model who it is."""
    settings = {"HUB_DATABASE_URL": database_url, "HUB_WRITES_BURST": "1000", **environment}
    with running_valkey() as valkey:
        async with AsyncExitStack() as stack:
            hubs: list[HubProcess] = []
            lines: list[TcpProxy] = []
            for name in ("0", "1"):
                (folder / name).mkdir()
                if hubs:
                    shutil.copy(folder / "0" / "dev-key.pem", folder / name)
                lines.append(await stack.enter_async_context(TcpProxy(valkey.port)))
                settings["HUB_REDIS_URL"] = f"redis://127.0.0.1:{lines[-1].port}"
                port = stack.enter_context(reserved_port())
                hubs.append(HubProcess(folder / name, port, **settings, ANTHROPIC_API_KEY=name))
                stack.callback(hubs[-1].kill)
            await asyncio.gather(*(hub.ready() for hub in hubs))
            yield Pair(hubs, lines)


async def registered(hub: HubProcess, patient: Identity) -> str:
    """Open a case."""
    async with hub.rest(patient) as rest:
        answer = await rest.post("patients", json={"name": patient.name})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["case"])


async def test_of_fifty_who_accept_at_two_processes_one_gets_the_case(
    tmp_path: Path, postgres_url: str
) -> None:
    patient = Identity("user_paul", "Paul", patient_id="p")
    async with pair(tmp_path, postgres_url) as two, AsyncExitStack() as stack:
        case = await registered(two.hubs[0], patient)
        clients = [
            (who, await stack.enter_async_context(two.hubs[number % 2].enter(who, case)))
            for number, who in enumerate(COORDINATORS)
        ]
        for turn in range(5):
            Random(SEED + turn).shuffle(clients)
            accept = {"type": "accept", "key": f"accept {turn}"}
            answers = await asyncio.gather(*(client.ask(accept) for who, client in clients))
            [winner] = [n for n, answer in enumerate(answers) if answer["type"] == "ack"]
            who, client = clients[winner]
            refusals = [(a["code"], a["owner"]) for a in answers if a["type"] == "error"]
            assert refusals == 49 * [("conflict", who.name)]
            released = await client.ask({"type": "release", "key": f"release {turn}"})
            assert released["type"] == "ack"


@dataclass
class Answer:
    """An answer that the model goes on with until somebody accepts."""

    pieces: int
    """Accepted when the model has given so many."""
    said: str = ""
    process: int | None = None
    """Which one asked for it."""
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    def steps(self) -> Iterator[Step]:
        for number in itertools.count():
            if number == self.pieces:
                self.reached.set()
            pause = asyncio.Event()
            asyncio.get_running_loop().call_later(PAUSE_S, pause.set)
            yield Wait(pause)
            text = f"piece {number}, "
            self.said += text
            yield Say(text)


class Race:
    """A case in which the AI answers again and again, and is silenced in the middle."""

    def __init__(self, two: Pair, number: int, rounds: int, *, late: bool = False) -> None:
        """Make a race; `late`: what the AI's process tells the other one comes after the accept."""
        self._patient = Identity(f"user_{number}", f"Patient {number}", patient_id=f"p{number}")
        self._hubs = two.hubs
        self._lines = two.lines
        self._late = late
        rng = Random(SEED + number)
        self.answers = [Answer(rng.randrange(60)) for _ in range(rounds)]
        self.accepted: list[float] = []
        """When it was acknowledged, each time."""
        self._readers: list[Follower] = []
        self._runs: set[str] = set()

    async def run(self) -> None:
        case = self._case = await registered(self._hubs[0], self._patient)
        async with AsyncExitStack() as stack:
            owners = [await stack.enter_async_context(hub.enter(PRIYA, case)) for hub in self._hubs]
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            following = self._follow(case, tasks)
            for turn, answer in enumerate(self.answers):
                # The process that is asked is mostly the one that answers.
                async with self._hubs[turn % 2].rest(self._patient) as rest:
                    text = f"{self._patient.sub} asks, {turn} in all."
                    asked = await rest.post(f"cases/{case}/messages", json={"text": text})
                assert asked.status_code == 201, asked.text
                await self._take_over(owners, answer, turn)
            for each in following:
                each.cancel()
        assert [reader.connections for reader in self._readers] == [1, 1, 1, 1]

    def _follow(self, case: str, tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        for hub, path in itertools.product(self._hubs, ("ws", "stream")):
            reader = Follower(hub, self._patient, case, path=path)
            # It fails if anything of the AI is heard after a person took over.
            reader.display = View()
            self._readers.append(reader)
        return [tasks.create_task(reader.follow(lambda: False)) for reader in self._readers]

    async def _take_over(self, owners: list[Client], answer: Answer, turn: int) -> None:
        async with asyncio.timeout(WITHIN):
            await answer.reached.wait()
        assert answer.process is not None
        owner = owners[1 - answer.process]
        if self._late:
            await self._hold_back(answer.process)
        ack = await owner.ask({"type": "accept", "key": f"accept {turn}"})
        self.accepted.append(time.monotonic())
        assert ack["type"] == "ack", ack
        await self._all_learn(turn, self._readers_at(1 - answer.process))
        if self._late:
            self._lines[answer.process].recover()
            await self._come_last(answer.process)
        await self._all_learn(turn, self._readers)
        self._check(answer)
        await owner.ask({"type": "release", "key": f"release {turn}"})

    def _readers_at(self, process: int) -> list[Follower]:
        return self._readers[2 * process :][:2]

    async def _hold_back(self, process: int) -> None:
        """Let the readers of one process see more of the answer than those of the other."""
        self._lines[process].black_hole()
        for reader in self._readers_at(process):
            seen = reader.display.newest.next
            await reader.until(partial(grew, seen))

    async def _all_learn(self, turn: int, readers: list[Follower]) -> None:
        for reader in readers:
            await reader.until(lambda display: control(display) == ("human", 2 * turn + 1))

    async def _come_last(self, process: int) -> None:
        """Let something come to all readers after all that a process had told before."""
        async with self._hubs[process].rest(self._patient) as rest:
            said = await rest.post(f"cases/{self._case}/messages", json={"text": "Thank you."})
        for reader in self._readers:
            await reader.until(lambda display: said.json()["id"] in ids(display))

    def _check(self, answer: Answer) -> None:
        """What was shown is the beginning of what is stored, and that of what the model said."""
        displays = [reader.display for reader in self._readers]
        runs = {run for display in displays for run in display.answers} - self._runs
        self._runs |= runs
        # Whoever hears of the takeover first does not hear that an answer had begun.
        assert len(runs) <= 1
        for run in runs:
            shown = [display.answers[run] for display in displays if run in display.answers]
            stored = {each.stored for each in shown}
            if stored == {None}:
                assert {each.text for each in shown} == {""}
            else:
                [text] = stored
                assert text is not None
                assert answer.said.startswith(text)
                assert [each.status for each in shown] == 4 * ["interrupted"]


def control(display: Display) -> tuple[str, int]:
    assert isinstance(display, View)
    return display.control, display.fence


def grew(seen: int, display: Display) -> bool:
    return display.newest.next > seen


def ids(display: Display) -> list[str]:
    assert isinstance(display, View)
    return [event["id"] for event in display.events]


def script(model: MessagesServer, races: list[Race]) -> Script:
    """Give each request the answer that it is for, and note which process it came from."""

    def steps(body: dict[str, Any]) -> Iterator[Step]:
        asked = re.findall(r"user_(\d+) asks, (\d+) in all", json.dumps(body["messages"]))
        number, turn = map(int, asked[-1])
        answer = races[number].answers[turn]
        [request] = [each for each in model.requests if each.body is body]
        answer.process = int(request.headers["authorization"].removeprefix("Bearer "))
        return answer.steps()

    return steps


async def race(
    folder: Path, database_url: str, *, cases: int, rounds: int, late: bool = False
) -> None:
    """Let patients ask and a person take over, again and again, in several cases at once."""
    async with messages_server() as model:
        settings = {"HUB_AI_MODEL": "claude-test", "ANTHROPIC_BASE_URL": model.url}
        async with pair(folder, database_url, **settings) as two:
            races = [Race(two, number, rounds, late=late) for number in range(cases)]
            model.script(script(model, races))
            async with asyncio.TaskGroup() as tasks:
                for each in races:
                    tasks.create_task(each.run())
            await model.left(cases * rounds)
    accepted = sorted(at for each in races for at in each.accepted)
    pairs = zip(sorted(model.disconnects), accepted, strict=True)
    assert max(closed - at for closed, at in pairs) < AT_ONCE_S
    assert {answer.process for each in races for answer in each.answers} == {0, 1}


async def test_whoever_accepts_at_another_process_silences_the_ai_for_all_readers(
    tmp_path: Path, postgres_url: str
) -> None:
    await race(tmp_path, postgres_url, cases=4, rounds=6)


async def test_what_the_process_of_the_ai_tells_after_the_takeover_is_not_shown(
    tmp_path: Path, postgres_url: str
) -> None:
    await race(tmp_path, postgres_url, cases=1, rounds=4, late=True)
