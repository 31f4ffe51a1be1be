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
from pathlib import Path
from random import Random
from typing import Any

from auth.principal import Role
from tests.faults.member import View
from tests.followers import Display, Follower
from tests.kit import PRIYA, WITHIN, Client, HubProcess, Identity
from tests.messages_server import MessagesServer, Say, Script, Step, Wait, messages_server
from tests.valkey import running_valkey

COORDINATORS = [
    Identity(f"user_{number}", f"Staff {number}", Role.COORDINATOR) for number in range(50)
]
SEED = 0
ROUNDS = 6
"""In each case, one after the other."""
CASES = 4
PAUSE_S = 0.005
"""Between two pieces that the model gives: it has always some more to say."""
AT_ONCE_S = 1.0
"""Much less than a lost hint would cost, and more than a busy machine does."""


@asynccontextmanager
async def processes(
    folder: Path, database_url: str, **environment: str
) -> AsyncIterator[list[HubProcess]]:
    """Run two hubs on one database and one Redis; each tells the model who it is."""
    settings = {"HUB_DATABASE_URL": database_url, "HUB_WRITES_BURST": "1000", **environment}
    with running_valkey() as valkey:
        settings["HUB_REDIS_URL"] = valkey.url
        async with AsyncExitStack() as stack:
            hubs: list[HubProcess] = []
            for name in ("0", "1"):
                (folder / name).mkdir()
                if hubs:
                    shutil.copy(folder / "0" / "dev-key.pem", folder / name)
                hubs.append(HubProcess(folder / name, None, **settings, ANTHROPIC_API_KEY=name))
                stack.callback(hubs[-1].kill)
            await asyncio.gather(*(hub.ready() for hub in hubs))
            yield hubs


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
    async with processes(tmp_path, postgres_url) as hubs, AsyncExitStack() as stack:
        case = await registered(hubs[0], patient)
        clients = [
            (who, await stack.enter_async_context(hubs[number % 2].enter(who, case)))
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

    def __init__(self, hubs: list[HubProcess], number: int, seed: int) -> None:
        self._patient = Identity(f"user_{number}", f"Patient {number}", patient_id=f"p{number}")
        self._hubs = hubs
        self.answers = [Answer(Random(f"{seed} {turn}").randrange(60)) for turn in range(ROUNDS)]
        self.accepted: list[float] = []
        """When it was acknowledged, each time."""
        self._readers: list[Follower] = []

    async def run(self) -> None:
        case = await registered(self._hubs[0], self._patient)
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
        ack = await owner.ask({"type": "accept", "key": f"accept {turn}"})
        self.accepted.append(time.monotonic())
        assert ack["type"] == "ack", ack
        for reader in self._readers:
            await reader.until(lambda display: control(display) == ("human", 2 * turn + 1))
        self._check(answer, turn)
        await owner.ask({"type": "release", "key": f"release {turn}"})

    def _check(self, answer: Answer, turn: int) -> None:
        """What was shown is the beginning of what is stored, and that of what the model said."""
        shown = [list(reader.display.answers.values())[turn] for reader in self._readers]
        stored = {each.stored for each in shown}
        assert len(stored) == 1, stored
        [text] = stored
        if text is None:
            assert [each.text for each in shown] == ["", "", "", ""]
            return
        assert answer.said.startswith(text), (answer.said, text)
        assert {each.status for each in shown} == {"interrupted"}
        # A piece is shown when it is stored: nobody lacks one here.
        assert {each.text for each in shown} == {text}


def control(display: Display) -> tuple[str, int]:
    assert isinstance(display, View)
    return display.control, display.fence


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


async def test_whoever_accepts_at_another_process_silences_the_ai_for_all_readers(
    tmp_path: Path, postgres_url: str
) -> None:
    async with (
        messages_server() as model,
        processes(
            tmp_path, postgres_url, HUB_AI_MODEL="claude-test", ANTHROPIC_BASE_URL=model.url
        ) as hubs,
    ):
        races = [Race(hubs, number, SEED + number) for number in range(CASES)]
        model.script(script(model, races))
        async with asyncio.TaskGroup() as tasks:
            for race in races:
                tasks.create_task(race.run())
        await model.left(CASES * ROUNDS)
    accepted = sorted(at for race in races for at in race.accepted)
    late = [closed - at for closed, at in zip(sorted(model.disconnects), accepted, strict=True)]
    assert max(late) < AT_ONCE_S, late
    assert {answer.process for race in races for answer in race.answers} == {0, 1}
