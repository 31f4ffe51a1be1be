"""A real server over real rooms, and clients that read from it.

Every wait is for a condition and ends after BOUND_S at the latest.
"""

import asyncio
import itertools
import json
import socket
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Self

import h11
import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from auth.errors import KeysUnavailable, Unauthenticated
from auth.principal import Principal, Role
from compat_sse.routes import SseRoutes
from rooms.broker import MemoryBroker
from rooms.commands import (
    Accept,
    Command,
    Continue,
    Finish,
    RegisterPatient,
    SendMessage,
    SetStatus,
    WriteNote,
)
from rooms.cursor import tag_of
from rooms.database import open_database
from rooms.errors import Unavailable
from rooms.events import Audience, Source, Status
from rooms.feed import Subscription
from rooms.log import Receipt
from rooms.runs import REPLY
from rooms.service import Rooms
from rooms.tasks import Claim
from tests.compat_sse.whatwg import Event, Parser

BOUND_S = 10
NOW = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
MARIA = Principal("user_maria", "t1", Role.PATIENT, "Maria")
PAUL = Principal("user_paul", "t1", Role.PATIENT, "Paul", patient_id="paul")
CORA = Principal("user_cora", "t1", Role.COORDINATOR, "Cora")
AI = Principal("ai", "t1", Role.AI, "Assistant")
FOREIGN = Principal("user_fred", "t2", Role.COORDINATOR, "Fred")
HURRIED = Principal(
    "user_maria", "t1", Role.PATIENT, "Maria", expires_at=NOW + timedelta(seconds=-29.9)
)
PEOPLE = {"maria": MARIA, "paul": PAUL, "cora": CORA, "foreign": FOREIGN, "hurried": HURRIED}
BIG = "x" * 10_000
FIRST = f"1.{tag_of('patient_1')}"
"""The cursor of the first event of the first case."""


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(BOUND_S):
        while not condition():  # noqa: ASYNC110 - what it waits for has no event to wait on
            await asyncio.sleep(0.002)


async def authenticate(request: Request) -> Principal:
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    match token:
        case "no-keys":
            raise KeysUnavailable("the key set cannot be fetched")
        case "no-log":
            raise Unavailable
        case _ if token in PEOPLE:
            return PEOPLE[token]
        case _:
            raise Unauthenticated("expired")


def offering_transport(app: ASGIApp) -> ASGIApp:
    """Offer the transport of a request, as our server does."""

    async def offering(scope: Scope, receive: Receive, send: Send) -> None:
        cycle = receive.__self__  # type: ignore[attr-defined]
        scope["extensions"] = {"hub.transport": cycle.transport}
        await app(scope, receive, send)

    return offering


class Stream:
    """An SSE response being read."""

    def __init__(self, response: httpx2.Response, chunks: AsyncIterator[bytes]) -> None:
        self.status = response.status_code
        self.headers = response.headers
        self.raw = b""
        self.ended = False
        self.parser = Parser()
        self._chunks = chunks
        self._events: deque[Event] = deque()

    async def event(self) -> Event:
        """Give the next event; AssertionError if the stream ends before."""
        while not self._events:
            assert await self._read(), "the stream ended"
        return self._events.popleft()

    async def take(self, count: int) -> list[Event]:
        return [await self.event() for _ in range(count)]

    async def until(self, part: bytes) -> None:
        """Read until the bytes hold this part."""
        while part not in self.raw:
            assert await self._read(), "the stream ended"

    async def rest(self) -> list[Event]:
        """Read to the end of the stream."""
        while await self._read():
            pass
        return list(self._events)

    async def texts(self, count: int) -> list[str]:
        """Give the texts of the next so many messages, and nothing else must come between."""
        return [json.loads(event.data)["text"] for event in await self.take(count)]

    async def _read(self) -> bool:
        try:
            async with asyncio.timeout(BOUND_S):
                chunk = await anext(self._chunks, b"")
        except (httpx2.RemoteProtocolError, httpx2.ReadError):
            chunk = b""
        self.raw += chunk
        self.ended = not chunk
        self._events.extend(self.parser.feed(chunk))
        return bool(chunk)


class Sleeper:
    """A client that sends its request and then reads only when told, through a tiny window."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._http = h11.Connection(h11.CLIENT)
        self._parser = Parser()
        self.events: list[Event] = []

    @classmethod
    @asynccontextmanager
    async def asking(cls, hub: "Hub", path: str, who: str = "maria") -> AsyncIterator[Self]:
        with socket.socket() as connected:
            connected.setblocking(False)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await asyncio.get_running_loop().sock_connect(connected, ("127.0.0.1", hub.port))
            sleeper = cls(connected)
            headers = [("host", "hub"), ("authorization", f"Bearer {who}")]
            await sleeper._send(h11.Request(method="GET", target=path, headers=headers))
            await sleeper._send(h11.EndOfMessage())
            yield sleeper

    async def wake(self, until: Callable[[list[Event]], bool]) -> None:
        """Read until the events suffice."""
        async with asyncio.timeout(BOUND_S):
            while not until(self.events):
                assert await self._read(), "the stream ended"

    async def find_the_end(self) -> None:
        """Read what is left in the pipe, until the server is found to have gone."""
        async with asyncio.timeout(BOUND_S):
            while await self._read():
                pass

    async def _send(self, event: h11.Request | h11.EndOfMessage) -> None:
        data = self._http.send(event) or b""
        await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def _read(self) -> bool:
        try:
            data = await asyncio.get_running_loop().sock_recv(self._socket, 65_536)
        except ConnectionResetError:
            return False
        if data:
            self._http.receive_data(data)
        while isinstance(event := self._http.next_event(), h11.Response | h11.Data):
            if isinstance(event, h11.Data):
                self.events += self._parser.feed(bytes(event.data))
        return bool(data)


@dataclass
class Hub:
    """A running server, its rooms, and one case: that of Maria."""

    rooms: Rooms
    sse: SseRoutes
    server: uvicorn.Server
    client: httpx2.AsyncClient
    case: str = "case_1"
    now: datetime = NOW
    keys: Iterator[int] = field(default_factory=itertools.count)

    @property
    def port(self) -> int:
        return int(self.server.servers[0].sockets[0].getsockname()[1])

    def take_little(self) -> None:
        """Let the kernel buffer little, so that a client that does not read is felt soon."""
        listening: Any = self.server.servers[0].sockets[0]
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

    @property
    def connections(self) -> int:
        """How many connections the server holds."""
        return len(self.server.server_state.connections)

    # What happens in the case.

    async def open_case(self, by: Principal = MARIA, case: str = "case_1") -> None:
        await self._do(RegisterPatient(by.patient_id or by.id, by.name, by.id), by, case)

    async def say(
        self, text: str, by: Principal = MARIA, via: Source = Source.CHAT, **more: Any
    ) -> Receipt:
        return await self._do(SendMessage(text, via, **more), by)

    async def say_all(self, texts: list[str]) -> None:
        """Say all of them, in this order, in as few commits as there can be."""
        maria = await self.rooms.identify(MARIA)
        async with asyncio.TaskGroup() as tasks:
            for text in texts:
                tasks.create_task(self.say(text, maria))

    async def note(self, text: str) -> Receipt:
        return await self._do(WriteNote(text), CORA)

    async def set_status(self, status: Status) -> Receipt:
        return await self._do(SetStatus(status), CORA)

    # What the AI says, in the test's own words.

    async def ask(self, text: str = "Hello?") -> str:
        """Let Maria say something, and give the id of the answer that it begins."""
        await self.say(text)
        state = await self.rooms.log.state(self.case)
        assert state is not None
        assert state.run is not None
        return state.run.id

    async def speak(self, run: str, *pieces: str, first: int = 0) -> None:
        """Let the AI say these pieces, in as few commits as there can be."""
        async with asyncio.TaskGroup() as tasks:
            for i, text in enumerate(pieces, first):
                tasks.create_task(self._do(Continue(run, i, text), AI))

    async def finish(
        self, run: str, rest: str = "", state: Literal["final", "failed"] = "final"
    ) -> str:
        """Let the AI end its answer, and give the id of the message."""
        return str((await self._do(Finish(run, rest, state), AI)).id)

    async def take_over(self) -> None:
        await self._do(Accept(), CORA)

    async def _do(self, command: Command, by: Principal, case: str | None = None) -> Receipt:
        by = await self.rooms.identify(by)
        key = str(next(self.keys))
        return await self.rooms.handle(case or self.case, command, by, key, echo=False)

    # Who reads.

    @asynccontextmanager
    async def stream(
        self, path: str = "/messages/stream", who: str = "maria", after: str | None = None
    ) -> AsyncIterator[Stream]:
        """Open a stream of the case, as `after` in `Last-Event-ID`."""
        async with (
            self.get(f"/api/v1/cases/{self.case}{path}", who, after) as response,
            aclosing(response.aiter_raw()) as chunks,
        ):
            yield Stream(response, chunks)

    @asynccontextmanager
    async def get(
        self, path: str, who: str = "maria", after: str | None = None
    ) -> AsyncIterator[httpx2.Response]:
        headers = {"Authorization": f"Bearer {who}"}
        if after is not None:
            headers["Last-Event-ID"] = after
        async with self.client.stream("GET", path, headers=headers) as response:
            yield response

    async def refusal(self, path: str, who: str = "maria") -> httpx2.Response:
        """Ask for something that is answered with a complete body."""
        async with asyncio.timeout(BOUND_S), self.get(path, who) as response:
            await response.aread()
            return response

    def readers(self) -> list[Subscription]:
        """Give the subscriptions to the patient's view of the case."""
        feed = self.rooms._feeds.get(self.case)
        stream = None if feed is None else feed._streams.get(Audience.PATIENT)
        return [] if stream is None else [*stream._live, *stream._behind]

    def behind(self) -> list[Subscription]:
        return [one for one in self.readers() if not one._stream.is_live(one)]

    async def nobody_reads(self) -> None:
        """Wait until nothing is left of any stream."""
        await eventually(lambda: self.sse.count == 0)
        assert self.rooms._feeds == {}
        assert not self.sse._of_user
        assert not self.rooms.presence._connections


def _ids() -> Callable[[str], str]:
    counts: Counter[str] = Counter()

    def new_id(prefix: str) -> str:
        counts[prefix] += 1
        return f"{prefix}_{counts[prefix]}"

    return new_id


async def _leave_to_the_test(claim: Claim) -> None:
    """Write nothing: the test does."""


_files = itertools.count()


@asynccontextmanager
async def running(
    directory: Path, *, case: bool = True, transport: bool = True, **options: Any
) -> AsyncIterator[Hub]:
    """Run a server whose streams are made with these options."""
    database = open_database(f"sqlite:///{directory}/hub{next(_files)}.db")
    hub: Hub
    rooms = Rooms(
        database,
        options.pop("broker", None) or MemoryBroker(),
        now=lambda: NOW,
        new_id=_ids(),
        policy=options.pop("policy", None),
        audit_every=options.pop("audit_every", 5.0),
        grace=options.pop("grace", 0.0),
    )
    rooms.tasks.on(REPLY, _leave_to_the_test)
    sse = SseRoutes(
        rooms,
        authenticate,
        now=lambda: hub.now,
        new_id=_ids(),
        random=options.pop("random", lambda: 0.5),
        **options,
    )
    rooms.flags.changed = sse.obey_flags
    app: ASGIApp = Starlette(routes=sse.routes())
    config = uvicorn.Config(
        offering_transport(app) if transport else app,
        host="127.0.0.1",
        port=0,
        ws="none",
        lifespan="off",
        log_level="warning",
        log_config=None,
        timeout_graceful_shutdown=BOUND_S,
    )
    server = uvicorn.Server(config)
    async with rooms.running(), asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(server.serve())
        await eventually(lambda: server.started or serving.done())
        base = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        async with httpx2.AsyncClient(base_url=base, timeout=BOUND_S, trust_env=False) as client:
            hub = Hub(rooms, sse, server, client)
            if case:
                await hub.open_case()
            try:
                yield hub
            finally:
                sse.drain()
                server.should_exit = True
                await asyncio.wait([serving], timeout=BOUND_S)
