"""What the tests talk to a hub with: a real server, real sockets, and sentences to expect.

No wait is a sleep: each is a condition with one bound, `WITHIN`.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import httpx2
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from auth.dev import DevKeys
from auth.principal import Principal, Role
from hub.app import Hub, create_app
from hub.server import HubServer, server_config
from hub.settings import Settings
from rooms.commands import RegisterPatient
from tests.reserved_port import reserved_port

WITHIN = 10.0
"""Seconds after which an expectation has failed."""
TENANT = "tenant-curaway-patients"
CASE = "case-1"
MARIA_ID = "demo-patient-maria-001"

Frame = dict[str, Any]


@dataclass
class Identity:
    """Somebody who has tokens."""

    sub: str
    name: str
    role: Role = Role.PATIENT
    patient_id: str | None = None
    tenant: str = TENANT
    session: str | None = None

    def principal(self) -> Principal:
        return Principal(self.sub, self.tenant, self.role, self.name, self.patient_id)


MARIA = Identity("user_maria", "Maria", patient_id=MARIA_ID)
PRIYA = Identity("user_priya", "Priya", Role.COORDINATOR)
REGISTRAR = Identity("service", "Registration", Role.SERVICE)


def register(name: str = "Maria", patient_id: str = MARIA_ID) -> RegisterPatient:
    return RegisterPatient(patient_id, name, f"user_of_{patient_id}")


@dataclass
class Address:
    """Where a hub listens, and the keys whose tokens it accepts."""

    port: int
    keys: DevKeys
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def token(self, who: Identity, lifetime: timedelta = timedelta(hours=1)) -> str:
        return self.keys.mint(
            sub=who.sub,
            tenant=who.tenant,
            role=who.role,
            name=who.name,
            patient_id=who.patient_id,
            session=who.session,
            now=self.now(),
            lifetime=lifetime,
        )

    def headers(self, who: Identity, key: str | None = None) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {self.token(who)}", "X-Tenant-ID": who.tenant}
        return headers if key is None else {**headers, "Idempotency-Key": key}

    def rest(self, who: Identity) -> httpx2.AsyncClient:
        """Give an HTTP client that carries the tokens of `who`."""
        return httpx2.AsyncClient(
            base_url=f"{self.http}/api/v1", headers=self.headers(who), timeout=WITHIN
        )

    @contextlib.asynccontextmanager
    async def socket(self, case: str = CASE, **options: Any) -> AsyncIterator["Client"]:
        """Open a socket that has not said who it is."""
        # A client that does not read what it has not asked for cannot close in time.
        options = {"max_queue": None, **options}
        async with connect(f"{self.ws}/api/v1/cases/{case}/ws", **options) as raw:
            yield Client(raw, case)

    @contextlib.asynccontextmanager
    async def enter(
        self, who: Identity, case: str = CASE, after: str | None = None, tail: int | None = None
    ) -> AsyncIterator["Client"]:
        """Open a socket, enter the room, and read up to `caught_up` and the first `presence`."""
        async with self.socket(case) as client:
            auth: Frame = {"type": "auth", "token": self.token(who)}
            auth |= {} if after is None else {"after": after}
            auth |= {} if tail is None else {"tail": tail}
            await client.expect("hello")
            await client.send(auth)
            await client.expect("presence")
            yield client


@dataclass
class Client:
    """One end of a socket: what it received, and what is expected of it."""

    raw: ClientConnection
    case: str
    frames: list[Frame] = field(default_factory=list)
    """Every frame that was received so far."""

    async def send(self, frame: Frame | str | bytes) -> None:
        await self.raw.send(json.dumps(frame) if isinstance(frame, dict) else frame)

    async def receive(self) -> Frame:
        async with asyncio.timeout(WITHIN):
            frame: Frame = json.loads(await self.raw.recv())
        self.frames.append(frame)
        return frame

    async def expect(self, type: str, **members: Any) -> Frame:
        """Receive until a frame of this type with these members comes, and give it."""
        while True:
            try:
                frame = await self.receive()
            except (TimeoutError, ConnectionClosed) as error:
                got = [frame["type"] for frame in self.frames[-10:]]
                raise AssertionError(f"no {type} {members} came, but {got}: {error!r}") from error
            if frame["type"] == type and members.items() <= frame.items():
                return frame

    async def expect_message(self, text: str) -> Frame:
        while True:
            frame = await self.expect("event", kind="message")
            if frame["data"]["text"] == text:
                return frame

    async def expect_nothing_but(self, *types: str) -> None:
        """Ask for a sign of life, and check that nothing else came before it."""
        await self.send({"type": "ping", "key": "nothing"})
        while (frame := await self.receive())["type"] != "pong":
            assert frame["type"] in types, frame

    async def expect_close(self) -> int:
        """Read until the hub closes the socket, and give the close code."""
        try:
            while True:
                await self.receive()
        except ConnectionClosed:
            code = self.raw.close_code
            assert code is not None
            return code

    async def ask(self, frame: Frame) -> Frame:
        """Send a frame with a key, and give its answer."""
        await self.send(frame)
        while True:
            answer = await self.receive()
            if answer.get("key") == frame["key"] and answer["type"] != "event":
                return answer

    @property
    def events(self) -> list[Frame]:
        return [frame for frame in self.frames if frame["type"] == "event"]

    @property
    def cursor(self) -> str:
        """The cursor of the last event that was received."""
        return str(self.events[-1]["cursor"])


@dataclass
class RunningHub(Address):
    """A hub in this process."""

    hub: Hub = field(kw_only=True)
    server: HubServer = field(kw_only=True)

    async def open_case(self, case: str = CASE, who: Identity = MARIA) -> None:
        assert who.patient_id is not None
        command = RegisterPatient(who.patient_id, who.name, who.sub)
        await self.hub.rooms.handle(case, command, REGISTRAR.principal(), f"open {case}")


@contextlib.asynccontextmanager
async def running_hub(
    folder: Path, *, open_case: bool = True, dependencies: Any = None, **settings: Any
) -> AsyncIterator[RunningHub]:
    """Run a hub on a free port, with real sockets, in this event loop.

    `dependencies` are those of `Hub`: clocks, ids, randomness, a model. `settings` are those of
    `Settings`; if nothing else is said, the AI is off, there are coordinators, and who leaves is
    gone at once.
    """
    ai = "scripted" if dependencies and "model" in dependencies else "off"
    # A test may leave an answer in the making, for which no stop should wait.
    defaults = {"dev": True, "ai_model": ai, "flag_coordinator_enabled": True, "drain_s": 5}
    # Who leaves is seen to leave; the time of grace has tests of its own.
    defaults |= {"presence_grace_s": 0}
    defaults |= {} if ai == "off" else {"drain_s": 0.2}
    made = Settings(port=0, data_dir=folder, **{**defaults, **settings})
    hub = Hub(made, **(dependencies or {}))
    server = HubServer(server_config(create_app(hub), made), hub)
    listening = asyncio.Event()

    async def greet() -> None:
        listening.set()

    server.greet = greet
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(server.serve())
        waiting = tasks.create_task(listening.wait())
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        try:
            running = RunningHub(server.port, DevKeys(folder), now=hub.now, hub=hub, server=server)
            if open_case:
                await running.open_case()
            yield running
        finally:
            server.should_exit = True


class HubProcess(Address):
    """A hub in a process of its own, to be killed."""

    arguments: tuple[str, ...] = ("-m", "hub", "serve")

    def __init__(self, folder: Path, port: int, **environment: str) -> None:
        super().__init__(port, DevKeys(folder))
        self._folder = folder
        self._environment = environment
        self.process: subprocess.Popen[bytes] = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "HUB_DEV": "1",
            "HUB_PORT": str(self.port),
            "HUB_DATA_DIR": str(self._folder),
            "HUB_AI_MODEL": "off",
            "HUB_FLAG_COORDINATOR_ENABLED": "1",
            "HUB_ALLOW_UNSAFE_POSTGRES": "1",  # see tests/servers.py
            "COVERAGE_PROCESS_CONFIG": "",  # a killed process could not tell what it has counted
            **self._environment,
        }
        with (self._folder / "hub.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *self.arguments], env=environment, stdout=log, stderr=log
            )

    @property
    def log(self) -> str:
        return (self._folder / "hub.log").read_text()

    async def ready(self) -> Self:
        """Wait until it serves, and its demonstration case is there."""
        async with httpx2.AsyncClient() as client, asyncio.timeout(6 * WITHIN):
            while True:
                assert self.process.poll() is None, self.log
                with contextlib.suppress(httpx2.TransportError):
                    answer = await client.get(f"{self.http}/readyz")
                    if answer.status_code == 200 and "The hub is ready" in self.log:
                        return self
                await asyncio.sleep(0.02)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(WITHIN)

    async def restart(self) -> None:
        """Start again on the same port and the same data."""
        self.process = self._start()
        await self.ready()

    async def terminate(self, within: float = 15.0) -> int:
        """Send SIGTERM, and give the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.process.wait, within)


@contextlib.asynccontextmanager
async def hub_process(folder: Path, **environment: str) -> AsyncIterator[HubProcess]:
    """Run a hub in a process of its own; its demonstration case is `hub.demo.CASE`."""
    with reserved_port() as port:
        process = HubProcess(folder, port, **environment)
        try:
            yield await process.ready()
        finally:
            process.kill()


@contextlib.contextmanager
def raw_socket(port: int, receive_buffer: int = 4096) -> Iterator[socket.socket]:
    """Open a plain TCP connection that takes little at a time: a peer that can stop reading."""
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        raw.settimeout(WITHIN)
        raw.connect(("127.0.0.1", port))
        yield raw
