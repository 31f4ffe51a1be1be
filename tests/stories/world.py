"""A hub with patients and staff, where every byte that reaches a patient is kept."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import httpx2
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from rooms.cursor import START, Cursor
from rooms.events import Audience
from rooms.redis_broker import RedisBroker
from rooms.state import RoomState
from tests.kit import CASE, MARIA, WITHIN, Client, Frame, Identity, RunningHub

LIFETIME: Final = timedelta(minutes=5)
"""Of a patient's token: some expire during a schedule."""
VISIBLE: Final = "p"
"""The lane of steps that patients may see."""
HIDDEN: Final = "s"
"""The lane of what staff do among themselves."""


class Ids:
    """Makes ids by counting, apart for what patients may see and for what they may not."""

    def __init__(self) -> None:
        self.lane = VISIBLE
        self._counts: Counter[str] = Counter()

    def __call__(self, prefix: str) -> str:
        name = f"{prefix}_{self.lane}"
        self._counts[name] += 1
        return f"{name}{self._counts[name]}"


class Wire:
    """A connection of a patient, and all that came over it."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.closed = False
        self.task: asyncio.Task[None] | None = None
        self._changed = asyncio.Condition()

    async def note(self, data: bytes, *, last: bool = False) -> None:
        async with self._changed:
            self.received.append(data)
            self.closed = self.closed or last
            self._changed.notify_all()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until it holds, or the connection is closed."""
        async with asyncio.timeout(WITHIN), self._changed:
            await self._changed.wait_for(lambda: self.closed or condition())

    @property
    def bytes(self) -> bytes:
        return b"".join(self.received)


class Socket(Wire):
    """A WebSocket of a patient."""

    def __init__(self, raw: ClientConnection) -> None:
        super().__init__()
        self.raw = raw
        self._seen = 0

    async def read(self) -> None:
        try:
            while True:
                await self.note(await self.raw.recv(decode=False))
        except ConnectionClosed:
            told = f"closed {self.raw.close_code} {self.raw.close_reason}"
            await self.note(told.encode(), last=True)

    def frames(self, type: str) -> list[Frame]:
        frames = [json.loads(data) for data in self.received if data.startswith(b"{")]
        return [frame for frame in frames if frame["type"] == type]

    @property
    def id(self) -> str:
        return str(self.frames("hello")[0]["conn"])

    async def say(self, frame: Frame | str | bytes) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self.raw.send(json.dumps(frame) if isinstance(frame, dict) else frame)

    async def look(self) -> None:
        """Read all that the hub has sent so far: it answers pings, or refuses them, in turn."""
        self._seen += 1
        key = f'"look{self._seen}"'.encode()
        await self.say({"type": "ping", "key": f"look{self._seen}"})
        await self.until(lambda: any(key in data for data in self.received[-5:]))


class Stream(Wire):
    """An SSE response to a patient."""

    def __init__(self, after: str | None) -> None:
        super().__init__()
        self._after = after or "0.0"

    async def read(self, client: httpx2.AsyncClient, path: str, headers: dict[str, str]) -> None:
        async with client.stream("GET", path, headers=headers, timeout=None) as response:
            await self.note(told(response))
            async for chunk in response.aiter_raw():
                await self.note(chunk)
            await self.note(b"end of stream", last=True)

    @property
    def cursor(self) -> str:
        """What an EventSource would send as `Last-Event-ID`."""
        ids = [line[4:] for line in self.bytes.split(b"\n") if line.startswith(b"id: ")]
        return ids[-1].decode() if ids else self._after

    async def reach(self, cursor: Cursor) -> None:
        await self.until(lambda: int(self.cursor.partition(".")[0]) >= cursor.seq)


def has_heard(one: RunningHub, other: RunningHub) -> bool:
    """Tell whether a process knows all that the other one knows to tell."""
    hears, tells = one.hub.broker, other.hub.broker
    assert isinstance(hears, RedisBroker)
    assert isinstance(tells, RedisBroker)
    publisher = tells._publisher
    if other.hub.rooms.presence._news or publisher._waiting or publisher._sending:
        return False
    return all(
        hears._heard.get((publisher._process, audience), 0) >= number
        for audience, number in publisher._numbers.items()
    )


def told(response: httpx2.Response) -> bytes:
    headers = [header for header in response.headers.items() if header[0] != "date"]
    return f"{response.status_code} {headers}\n".encode()


@dataclass
class World:
    """A hub, everybody at it, and all that patients receive."""

    hub: RunningHub
    """Where patients connect."""
    staff_hub: RunningHub
    """Where staff do, mostly: the same, or another process."""
    rest: httpx2.AsyncClient
    staff_rest_client: httpx2.AsyncClient
    ids: Ids
    clock: list[float]
    wires: dict[str, Wire] = field(default_factory=dict)
    """Every connection of a patient, by its name."""
    answers: list[tuple[str, bytes]] = field(default_factory=list)
    """Every REST response to a patient, with what was asked."""
    said: list[str] = field(default_factory=list)
    """The ids of the messages in the room."""
    keys: int = 0
    """Staff number their keys, notes included."""
    maria: Socket = field(init=False)
    phone: Socket | None = None
    messages: Stream = field(init=False)
    feed: Stream = field(init=False)
    desk: Client = field(init=False)
    """Priya's socket."""
    tab: Client | None = None
    """Quinn's, while she looks."""

    # Patients.

    def token(self, who: Identity) -> str:
        return self.hub.token(who, LIFETIME if who is MARIA else timedelta(hours=10))

    async def connect(self, hub: RunningHub) -> ClientConnection:
        return await connect(f"{hub.ws}/api/v1/cases/{CASE}/ws", max_queue=None)

    async def enter(self, name: str, **auth: Any) -> Socket:
        socket = Socket(await self.connect(self.hub))
        self.wires[f"{name} {len(self.wires)}"] = socket
        socket.task = asyncio.create_task(socket.read())
        await socket.until(lambda: bool(socket.received))
        await socket.say({"type": "auth", "token": self.token(MARIA), **auth})
        await socket.look()
        return socket

    async def device(self) -> Socket:
        """Give Maria's socket; a closed one comes back as clients do."""
        if self.maria.closed:
            events = self.maria.frames("event")
            after = events[-1]["cursor"] if events else "0.0"
            self.maria = await self.enter("maria", after=after)
        return self.maria

    async def open_stream(self, path: str, after: str | None = None) -> Stream:
        stream = Stream(after)
        self.wires[f"{path} {len(self.wires)}"] = stream
        headers = self.hub.headers(MARIA) | ({} if after is None else {"Last-Event-ID": after})
        stream.task = asyncio.create_task(stream.read(self.rest, f"cases/{CASE}/{path}", headers))
        await stream.until(lambda: b"\n\n" in stream.bytes)
        return stream

    async def leave(self, wire: Wire) -> None:
        if isinstance(wire, Socket):
            await wire.raw.close()
        elif wire.task is not None:
            wire.task.cancel()
        if wire.task is not None:
            await asyncio.wait([wire.task])

    async def ask(
        self, method: str, path: str, key: str | None = None, prefer: str = "", **options: Any
    ) -> Any:
        """Let Maria ask by REST."""
        headers = self.hub.headers(MARIA, key) | {"Prefer": prefer}
        response = await self.rest.request(method, path, headers=headers, **options)
        self.answers.append((f"{method} {path} {options}", told(response) + response.content))
        is_json = response.headers["content-type"] == "application/json"
        return response.json() if is_json else response.content

    async def resume_answers(self, last: str) -> None:
        """Let Maria come back to the stream of the AI's answers, and read how it begins."""
        headers = self.hub.headers(MARIA) | {"Last-Event-ID": last}
        path, asked = f"cases/{CASE}/chat/stream", {"after": last}
        async with self.rest.stream("GET", path, headers=headers) as response:
            begins = b""
            async for chunk in response.aiter_raw():
                begins += chunk
                if b"retry: " in begins:
                    break
        begins = begins.partition(b"retry: ")[0]
        self.answers.append((f"GET {path} {asked}", told(response) + begins))

    async def tell(self, path: str, body: Frame) -> None:
        """Let Maria send a signal by REST, which takes no key."""
        response = await self.rest.post(path, headers=self.hub.headers(MARIA), json=body)
        self.answers.append((f"{path} {body}", told(response) + response.content))

    async def head(self, kind: str = "") -> Cursor:
        records = await self.hub.hub.rooms.log.read(CASE, Audience.PATIENT, START, 10_000, kind)
        return records[-1].cursor if records else START

    async def state(self) -> RoomState:
        state = await self.hub.hub.rooms.log.state(CASE)
        assert state is not None
        return state

    async def alarms(self) -> int:
        """Count what staff were told because of what patients did, or did not get."""
        log = self.hub.hub.rooms.log
        return len(await log.read(CASE, Audience.STAFF, START, 10_000, "escalation"))

    async def flush(self, key: str) -> None:
        """Say something that comes after everything that is on its way to the streams."""
        answer = await self.ask("POST", f"cases/{CASE}/messages", key, json={"text": key})
        self.said.append(answer["id"])
        head = await self.head("message")
        await self.messages.reach(head)
        await self.feed.reach(head)

    # Staff.

    async def enter_as_staff(self, who: Identity, **auth: Any) -> Client:
        client = Client(await self.connect(self.staff_hub), CASE)
        await client.send({"type": "auth", "token": self.token(who), **auth})
        await client.expect("presence")
        await self.settle()
        return client

    async def leave_as_staff(self, client: Client, who: Identity) -> None:
        await client.raw.close()
        here = self.hub.hub.rooms.presence
        async with asyncio.timeout(WITHIN):
            while (who.sub, who.name) in here.present(CASE).viewers:  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    async def staff(self, frame: Frame) -> Frame:
        """Let Priya ask, and wait for the answer."""
        self.keys += 1
        answer = await self.desk.ask({"key": f"k{self.keys}", **frame})
        await self.settle()
        return answer

    async def staff_rest(self, who: Identity, method: str, path: str, **options: Any) -> int:
        return await self.as_staff(who, method, f"cases/{CASE}/{path}", **options)

    async def as_staff(self, who: Identity, method: str, path: str, **options: Any) -> int:
        self.keys += 1
        headers = self.hub.headers(who, f"k{self.keys}")
        response = await self.staff_rest_client.request(method, path, headers=headers, **options)
        await self.settle()
        return response.status_code

    async def settle(self) -> None:
        """Wait until each process has heard all that the other one has to tell."""
        if self.staff_hub is self.hub:
            return
        async with asyncio.timeout(WITHIN):
            while not (has_heard(self.hub, self.staff_hub) and has_heard(self.staff_hub, self.hub)):  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    async def close(self) -> None:
        for wire in self.wires.values():
            await self.leave(wire)

    def record(self) -> dict[str, list[bytes]]:
        """Give all that patients received; how a stream was cut into chunks does not count."""
        record = {
            name: wire.received if isinstance(wire, Socket) else wire.bytes.split(b"\n\n")
            for name, wire in self.wires.items()
        }
        record["rest"] = [f"{asked} ".encode() + answer for asked, answer in self.answers]
        return record
