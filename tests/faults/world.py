"""A world to be broken: hubs on one PostgreSQL and one Valkey, people in cases, and their history.

Patients, coordinators and an AI talk at random, by a seed, while a test breaks something. Then the
world comes to rest, and what everybody saw is compared with the log.
"""

import asyncio
import contextlib
import math
import shutil
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

from auth.dev import DevKeys
from auth.principal import Role
from tests.faults.history import check
from tests.faults.member import Member
from tests.kit import Frame, HubProcess, Identity
from tests.messages_server import Say, Step, Wait, messages_server
from tests.reserved_port import reserved_port
from tests.servers import Postgres
from tests.tcp_proxy import TcpProxy
from tests.valkey import Valkey, running_valkey

WITHIN: Final = 30.0
"""Seconds in which the world comes to rest after a fault, however busy the machine is."""
RATE: Final = 40.0
"""Things that people do in a second, all together."""
WANDERING: Final = 0.03
"""How many of these are that somebody's line breaks, and they come back, perhaps elsewhere."""
TICK_S: Final = 0.02
LEASE_S: Final = 2.0
HEARTBEAT_S: Final = 1.0
HOPS: Final = 6
"""Processes that an ack or an event passes by, each of which a busy machine may hold up."""
OMAR: Final = Identity("user_omar", "Omar", Role.COORDINATOR)
PRIYA: Final = Identity("user_priya", "Priya", Role.COORDINATOR)
POSTGRES: Final = "postgresql://postgres@127.0.0.1"
SETTINGS: Final = {
    "HUB_AI_MODEL": "claude-test",
    "ANTHROPIC_API_KEY": "key",
    "HUB_LEASE_S": str(LEASE_S),
    "HUB_HEARTBEAT_S": str(HEARTBEAT_S),
    "HUB_REDIS_PING_S": "1",
    "HUB_WRITES_PER_S": "1000",
    "HUB_WRITES_BURST": "1000",
    "HUB_SOCKETS_PER_USER": "1000",
    "HUB_DRAIN_S": "2",
}


@dataclass
class Place:
    """A hub, and the lines between it and the others."""

    process: HubProcess
    clients: TcpProxy
    redis: TcpProxy
    postgres: TcpProxy
    reachable: bool = True
    """The load balancer sends clients here."""


class World:
    """Hubs, what they stand on, and who is in their rooms."""

    def __init__(
        self,
        seed: int,
        ask: Callable[[str], Awaitable[list[Any]]],
        valkey: Valkey,
        places: list[Place],
        tasks: asyncio.TaskGroup,
    ) -> None:
        self.rng = Random(seed)
        self.ask = ask
        """Gives the first column of what PostgreSQL answers to a query."""
        self.valkey = valkey
        self.places = places
        self.wandering = WANDERING
        self.members: list[Member] = []
        self.cases: list[str] = []
        self._tasks = tasks
        self._driver: asyncio.Task[None] | None = None
        self._owned: list[asyncio.Task[None]] = []
        self._lags: list[tuple[float, float]] = []
        """When this process had to wait for the machine, and how long."""

    @property
    def hubs(self) -> list[HubProcess]:
        return [place.process for place in self.places]

    # What people do.

    async def people(self, cases: int) -> None:
        """Let a patient with two devices and two coordinators be in each of these cases."""
        for number in range(cases):
            patient = Identity(f"user_{number}", f"Patient {number}", patient_id=f"p-{number}")
            async with self.hubs[0].rest(patient) as rest:
                answer = await rest.post("patients", json={"name": patient.name})
                assert answer.status_code == 201, answer.text
            case = answer.json()["case"]
            self.cases.append(case)
            for device, who in enumerate((patient, patient, PRIYA, OMAR)):
                self.join(f"{who.name.lower().replace(' ', '')}.{device}.{number}", who, case)
        await self.until(lambda: all(member.live for member in self.members), "all are there")

    def join(
        self, name: str, who: Identity, case: str, *, at: int | None = None, **options: Any
    ) -> Member:
        """Let somebody enter; `at` one hub alone, if it is said."""
        rng = Random(self.rng.random())

        def route(member: Member) -> tuple[int, int]:
            chosen = [n for n, place in enumerate(self.places) if place.reachable]
            hub = rng.choice(chosen or [0]) if at is None else at
            return hub, self.places[hub].clients.port

        token = self.hubs[0].token
        member = Member(name, who, case, token=token, route=route, rng=rng, **options)
        self.members.append(member)
        self._owned.append(self._tasks.create_task(member.run()))
        return member

    def drive(self) -> None:
        """Let people talk until the world comes to rest."""
        self._driver = self._tasks.create_task(self._drive())
        self._owned += [self._driver, self._tasks.create_task(self.watch())]

    async def watch(self) -> None:
        """Note how late the machine is: what is measured here is as late, or more."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(TICK_S)
            self._lags.append((before, time.monotonic() - before - TICK_S))

    def lag(self, since: float = 0, until: float = math.inf) -> float:
        """Give the longest time that anything here waited for the machine."""
        return max(lag for at, lag in self._lags if since <= at <= until)

    def slack(self, since: float = 0, until: float = math.inf) -> float:
        """Give the seconds by which a busy machine may have delayed what passes by everybody."""
        return HOPS * self.lag(since, until)

    async def _drive(self) -> None:
        number = 0
        while True:
            number += 1
            # Patients say less, or no answer of the AI would ever come to its end.
            weights = [4 if member.is_staff else 1 for member in self.members]
            [member] = self.rng.choices(self.members, weights)
            if self.rng.random() < self.wandering:
                member.wander()
            else:
                member.say(self._deed(member, number))
            await asyncio.sleep(self.rng.expovariate(RATE))

    def _deed(self, member: Member, number: int) -> Frame:
        message = {"type": "message", "text": f"text {number} of {member.name}"}
        if not member.is_staff:
            return self.rng.choices([message, {"type": "escalate"}], [9, 1])[0]
        note = {"type": "note", "text": f"SECRET {number} of {member.name}"}
        deeds = [message, note, {"type": "accept"}, {"type": "release"}]
        return self.rng.choices(deeds, [4, 3, 1, 2])[0]

    # What is broken.

    def kill(self, place: Place) -> None:
        place.reachable = False
        place.process.kill()

    async def restart(self, place: Place) -> None:
        await place.process.restart()
        place.reachable = True

    def freeze(self, place: Place) -> None:
        """Stop a hub as a machine does that has no time for it."""
        place.reachable = False
        place.process.process.send_signal(signal.SIGSTOP)

    def thaw(self, place: Place) -> None:
        place.process.process.send_signal(signal.SIGCONT)
        place.reachable = True

    # What is known.

    @property
    def acks(self) -> int:
        """How many frames were acknowledged so far."""
        return sum(sent.ack is not None for m in self.members for sent in m.sent.values())

    async def flow(self, acks: int = 40) -> None:
        """Wait until so many more frames were acknowledged."""
        wanted = self.acks + acks
        await self.until(lambda: self.acks >= wanted, f"{acks} more acks")

    async def pass_by(self, seconds: float) -> None:
        """Let the fault last: what is tested is what people see of it in that time."""
        await asyncio.sleep(seconds)

    async def until(self, condition: Callable[[], bool], what: str, within: float = WITHIN) -> None:
        try:
            async with asyncio.timeout(within):
                while not condition():  # noqa: ASYNC110 - what changes is many things
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"within {within} s it is not so that {what}: {self}") from None

    def __str__(self) -> str:
        seen = {m.name: (len(m.view.events), len(m.waiting), m.view.writing) for m in self.members}
        return f"{seen}"

    # The end.

    async def rest(self) -> None:
        """Let everybody stop, everything arrive, and compare what was seen with the log."""
        if self._driver is not None:
            self._driver.cancel()
        await self.until(lambda: not any(m.waiting for m in self.members), "all is answered")
        try:
            async with asyncio.timeout(WITHIN):
                logs = await self._logs()
                while not self._is_over(logs):
                    await asyncio.sleep(0.1)
                    logs = await self._logs()
        except TimeoutError:
            raise AssertionError(f"not everybody has seen everything: {self}") from None
        check(self.members, logs)
        for hub in self.hubs:
            said = [line for line in hub.log.splitlines() if '"level": "error"' in line]
            assert not said, said[0]
            assert "Traceback" not in hub.log, hub.log

    def end(self) -> None:
        """Let everybody go."""
        for task in self._owned:
            task.cancel()

    def _is_over(self, logs: Mapping[tuple[str, bool], list[Frame]]) -> bool:
        return all(
            member.live
            and member.view.writing is None
            and [event["id"] for event in member.view.events]
            == [event["id"] for event in logs[member.case, member.is_staff]]
            for member in self.members
        )

    async def _logs(self) -> dict[tuple[str, bool], list[Frame]]:
        """Read the whole log of each case, as staff and as its patient see it."""
        logs = {}
        for case in self.cases:
            patient = next(m.who for m in self.members if m.case == case and not m.is_staff)
            for who in (PRIYA, patient):
                logs[case, who is PRIYA] = await self.log(case, who)
        return logs

    async def log(self, case: str, who: Identity) -> list[Frame]:
        events: list[Frame] = []
        page: dict[str, Any] = {"cursor": "0.0", "more": True}
        async with self.hubs[0].rest(who) as rest:
            while page["more"]:
                params = {"after": page["cursor"], "limit": 500}
                page = (await rest.get(f"cases/{case}/events", params=params)).json()
                events += page["events"]
        return events


def answers(seed: int) -> Callable[[dict[str, Any]], Iterator[Step]]:
    """Let the model answer in some pieces, each a little later than the one before."""
    rng = Random(seed)

    def script(body: dict[str, Any]) -> Iterator[Step]:
        for number in range(rng.randrange(2, 10)):
            pause = asyncio.Event()
            asyncio.get_running_loop().call_later(rng.random() / 10, pause.set)
            yield Wait(pause)
            yield Say(f"piece {number}, ")

    return script


@contextlib.asynccontextmanager
async def world(
    folder: Path,
    seed: int,
    postgres: Postgres,
    *,
    cases: int = 2,
    wandering: float = WANDERING,
    clocks: Sequence[float] = (0, 0),
    **settings: str,
) -> AsyncIterator[World]:
    """Make a world in which people talk; at the end of its block it comes to rest.

    Args:
        folder: where the hubs have their files.
        seed: of all that happens by chance.
        postgres: where the hubs have their database.
        cases: how many.
        wandering: how often people change to another hub, of all that they do.
        clocks: by how many seconds the clock of each hub is wrong.
        settings: of the hubs.

    """
    with running_valkey() as valkey:
        async with (
            messages_server() as model,
            postgres.named_database() as database,
            contextlib.AsyncExitStack() as stack,
        ):
            model.script(answers(seed))
            places = []
            for number, shift in enumerate(clocks):
                to_postgres = await stack.enter_async_context(TcpProxy(postgres.socket))
                to_redis = await stack.enter_async_context(TcpProxy(valkey.port))
                environment = SETTINGS | {
                    "HUB_DATABASE_URL": f"{POSTGRES}:{to_postgres.port}/{database}",
                    "HUB_REDIS_URL": f"redis://127.0.0.1:{to_redis.port}/0",
                    "ANTHROPIC_BASE_URL": model.url,
                    **settings,
                }
                port = stack.enter_context(reserved_port())
                process = _hub(folder / f"hub-{number}", port, shift, environment)
                stack.callback(process.kill)
                clients = await stack.enter_async_context(TcpProxy(port))
                places.append(Place(process, clients, to_redis, to_postgres))
            await asyncio.gather(*(place.process.ready() for place in places))
            async with asyncio.TaskGroup() as tasks:
                ask = partial(postgres.ask, database=database)
                made = World(seed, ask, valkey, places, tasks)
                made.wandering = wandering
                try:
                    await made.people(cases)
                    made.drive()
                    await made.flow(20)
                    yield made
                    await made.rest()
                finally:
                    made.end()


def _hub(folder: Path, port: int, shift: float, environment: dict[str, str]) -> HubProcess:
    """Start a hub; all have the keys of the first one."""
    first = folder.parent / "hub-0"
    DevKeys(first)
    if folder != first:
        folder.mkdir()
        shutil.copy(first / "dev-key.pem", folder)

    class ShiftedHub(HubProcess):
        arguments = ("-m", "tests.faults.shifted_hub", str(shift))

    return (ShiftedHub if shift else HubProcess)(folder, port, **environment)
