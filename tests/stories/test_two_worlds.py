"""What a patient must not be able to tell (docs/protocol.md): anything of what staff do among
themselves.

One random schedule runs in two worlds, on a clock and with ids that the schedule moves: in one
world with what staff do among themselves, in the other without. Every byte that reaches a patient
must be the same in both.
"""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final

import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from auth.principal import Role
from rooms.commands import RegisterPatient, SendMessage
from rooms.cursor import START, Cursor
from rooms.events import Audience
from tests.kit import (
    CASE,
    MARIA,
    PRIYA,
    REGISTRAR,
    WITHIN,
    Client,
    Frame,
    Identity,
    RunningHub,
    running_hub,
)

SEEDS: Final = range(8)
STEPS: Final = 220
"""Steps of a schedule; about one half is what staff do among themselves."""
QUINN: Final = Identity("user_quinn", "Quinn", Role.SUPERVISOR)
PAUL: Final = Identity("user_paul", "Paul", patient_id="patient-paul")
LIFETIME: Final = timedelta(minutes=5)
"""Of a patient's token: some expire during a schedule."""
VISIBLE: Final = "p"
HIDDEN: Final = "s"
TOLD: Final = ("content-type", "content-length", "cache-control", "retry-after", "location")
"""The headers of a response that the hub chooses; the others are the date and the like."""


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


def told(response: httpx2.Response) -> bytes:
    headers = [f"{name}: {response.headers[name]}" for name in TOLD if name in response.headers]
    return f"{response.status_code} {headers}\n".encode()


@dataclass
class World:
    """A hub, everybody at it, and all that patients receive."""

    hub: RunningHub
    rest: httpx2.AsyncClient
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

    async def connect(self) -> ClientConnection:
        return await connect(f"{self.hub.ws}/api/v1/cases/{CASE}/ws", max_queue=None)

    async def enter(self, name: str, **auth: Any) -> Socket:
        socket = Socket(await self.connect())
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

    async def ask(self, method: str, path: str, key: str | None = None, **options: Any) -> Any:
        """Let Maria ask by REST."""
        headers = self.hub.headers(MARIA, key)
        response = await self.rest.request(method, path, headers=headers, **options)
        self.answers.append((f"{method} {path} {options}", told(response) + response.content))
        return response.json()

    async def head(self, kind: str = "") -> Cursor:
        records = await self.hub.hub.rooms.log.read(CASE, Audience.PATIENT, START, 10_000, kind)
        return records[-1].cursor if records else START

    async def flush(self, key: str) -> None:
        """Say something that comes after everything that is on its way to the streams."""
        answer = await self.ask("POST", f"cases/{CASE}/messages", key, json={"text": key})
        self.said.append(answer["id"])
        head = await self.head("message")
        await self.messages.reach(head)
        await self.feed.reach(head)

    # Staff.

    async def enter_as_staff(self, who: Identity, **auth: Any) -> Client:
        client = Client(await self.connect(), CASE)
        await client.send({"type": "auth", "token": self.token(who), **auth})
        await client.expect("presence")
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
        return await self.desk.ask({"key": f"k{self.keys}", **frame})

    async def staff_rest(self, who: Identity, method: str, path: str, **options: Any) -> int:
        self.keys += 1
        headers = self.hub.headers(who, f"k{self.keys}")
        response = await self.rest.request(
            method, f"cases/{CASE}/{path}", headers=headers, **options
        )
        return response.status_code

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


Action = Callable[[World, Random, str], Awaitable[None]]

# What patients may see: what they do themselves, and what staff do towards them.


async def say_something(world: World, rng: Random, key: str) -> None:
    maria = await world.device()
    frame: Frame = {"type": "message", "key": key, "text": f"{key} für {rng.random()}"}
    await maria.say(frame)
    await maria.look()
    world.said += [ack["id"] for ack in maria.frames("ack") if ack["key"] == key]
    if rng.random() < 0.2:
        await maria.say(frame if rng.random() < 0.5 else {**frame, "text": "else"})
        await maria.look()


async def reply(world: World, rng: Random, key: str) -> None:
    """Reply to a message, to one that never was, or to what is a note in one of the worlds."""
    maria = await world.device()
    target = rng.choice([rng.choice(world.said or ["?"]), "message_x", "note_s1", "note_s2"])
    frame: Frame = {"type": "message", "key": key, "text": "I mean this", "reply_to": target}
    if rng.random() < 0.5:
        await maria.say(frame)
        await maria.look()
    else:
        del frame["type"], frame["key"]
        await world.ask("POST", f"cases/{CASE}/messages", key, json=frame)


async def type_or_read(world: World, rng: Random, key: str) -> None:
    maria = await world.device()
    frames: list[Frame] = [
        {"type": "typing", "on": rng.random() < 0.5},
        {"type": "read", "seq": rng.randrange(40)},
        {"type": "read", "seq": rng.randrange(400), "key": key},
        {"type": "pong", "seq": rng.randrange(400)},
    ]
    await maria.say(rng.choice(frames))
    await maria.look()


async def try_what_is_forbidden(world: World, rng: Random, key: str) -> None:
    maria = await world.device()
    frames: list[Frame] = [
        {"type": "note", "text": "psst", "key": key},
        {"type": "status", "status": "active", "key": key},
        {"type": "typing", "on": True, "in": "note", "key": key},
        {"type": "message", "text": "psst", "via": "sms", "key": key},
        {"type": "auth", "token": "again", "key": key},
    ]
    await maria.say(rng.choice(frames))
    await maria.look()
    await world.ask("POST", f"cases/{CASE}/notes", key, json={"text": "psst"})
    await world.ask("GET", f"cases/{rng.choice(['case-2', 'case-3'])}")


async def send_rubbish(world: World, rng: Random, key: str) -> None:
    maria = await world.device()
    rubbish = ["{", "[]", b"\x00", '{"type":"dance"}', '{"type":"message"}', '{"type":"read"}']
    for _ in range(rng.choice([1, 2, 12])):
        await maria.say(rng.choice(rubbish))
    await maria.look()


async def flood(world: World, rng: Random, key: str) -> None:
    maria = await world.device()
    for _ in range(rng.choice([70, 130])):
        await maria.say({"type": "typing", "on": True})
    await maria.look()
    await let_time_pass(world, rng, key)


async def look_back(world: World, rng: Random, key: str) -> None:
    maria = await world.device()
    before = {} if rng.random() < 0.3 else {"before": rng.randrange(1, 60)}
    await maria.say({"type": "history", "key": key, "limit": rng.randrange(1, 30), **before})
    await maria.look()


async def ask_by_rest(world: World, rng: Random, key: str) -> None:
    await world.ask("GET", f"cases/{CASE}")
    after = rng.choice(["0.0", str(await world.head()), f"{rng.randrange(1, 60)}.0a1b2c3d"])
    limit = rng.randrange(1, 20)
    kind = rng.choice(["", "message", "note", "status"])
    params: dict[str, Any] = {"after": after, "limit": limit, "kind": kind}
    await world.ask("GET", f"cases/{CASE}/events", params=params)
    channel = rng.choice(["", "chat", "whatsapp,chat", "internal_note"])
    params = {"channel": channel, "limit": limit}
    params |= {} if rng.random() < 0.5 else {"before": rng.randrange(1, 60)}
    await world.ask("GET", f"cases/{CASE}/timeline", params=params)


async def say_by_rest(world: World, rng: Random, key: str) -> None:
    for _ in range(rng.choice([1, 2])):
        answer = await world.ask("POST", f"cases/{CASE}/messages", key, json={"text": key})
    world.said.append(answer["id"])


async def come_back(world: World, rng: Random, key: str) -> None:
    maria = await world.device()
    await maria.look()
    await world.leave(maria)
    auths: list[Frame] = [
        {},
        {"tail": rng.randrange(9)},
        {"after": "0.0"},
        {"after": f"{rng.randrange(1, 60)}.0a1b2c3d"},
        {"after": str(await world.head())},
        {"after": f"{(await world.head()).seq + 1}.0a1b2c3d"},
    ]
    world.maria = await world.enter("maria", **rng.choice(auths))


async def take_the_phone(world: World, rng: Random, key: str) -> None:
    if world.phone is None:
        world.phone = await world.enter("phone")
    else:
        await world.phone.look()
        await world.leave(world.phone)
        world.phone = None


async def stream_anew(world: World, rng: Random, key: str) -> None:
    await world.flush(key)
    foreign = f"{rng.randrange(1, 60)}.0a1b2c3d"
    old = world.messages
    await world.leave(old)
    world.messages = await world.open_stream(
        "messages/stream", rng.choice([None, foreign, "0.0", "?", old.cursor])
    )
    old = world.feed
    await world.leave(old)
    world.feed = await world.open_stream("stream", rng.choice([None, foreign, old.cursor]))


async def renew(world: World, rng: Random, key: str) -> None:
    for socket in (await world.device(), world.phone):
        if socket is not None:
            await socket.say({"type": "token", "token": world.token(MARIA), "key": key})
            await socket.look()


async def let_time_pass(world: World, rng: Random, key: str) -> None:
    """Move the clock, and let the hub look at what is due."""
    world.clock[0] += rng.choice([2.0, 9.0, 16.0, 16.0, 31.0, 65.0])
    here = list(world.hub.hub.manager.of_case(CASE))
    world.hub.hub.manager.sweep()
    gone = {connection.id for connection in here if connection.closed}
    for wire in world.wires.values():
        if isinstance(wire, Socket) and not wire.closed and wire.id in gone:
            await wire.until(lambda: False)


async def look(world: World, rng: Random, key: str) -> None:
    await (await world.device()).look()


async def hear_from_staff(world: World, rng: Random, key: str) -> None:
    frame: Frame = {"type": "message", "text": f"{key} from Priya"}
    if rng.random() < 0.3:
        frame["via"] = rng.choice(["whatsapp", "sms"])
    if world.said and rng.random() < 0.3:
        frame["reply_to"] = rng.choice(world.said)
    if rng.random() < 0.3:
        del frame["type"]
        assert await world.staff_rest(PRIYA, "POST", "messages", json=frame) == 201
    else:
        answer = await world.staff(frame)
        assert answer["type"] == "ack", answer
        world.said.append(answer["id"])


async def see_staff_type(world: World, rng: Random, key: str) -> None:
    await world.desk.send({"type": "typing", "on": rng.random() < 0.5})
    await world.staff({"type": "ping"})


async def see_the_status_change(world: World, rng: Random, key: str) -> None:
    status = rng.choice(["intake", "active", "on_hold"])
    await world.staff({"type": "status", "status": status})


async def find_the_case_closed(world: World, rng: Random, key: str) -> None:
    await world.staff({"type": "status", "status": "closed"})
    maria = await world.device()
    await maria.say({"type": "message", "key": key, "text": "Hello?"})
    await maria.look()
    await world.staff({"type": "status", "status": "active"})


# What patients may not see: what staff do among themselves.


async def write_a_note(world: World, rng: Random, key: str) -> None:
    frame: Frame = {"type": "note", "text": f"secret {key}", "mentions": ["user_quinn"]}
    if rng.random() < 0.3:
        assert await world.staff_rest(PRIYA, "POST", "notes", json={"text": "secret"}) == 201
    else:
        answer = await world.staff(frame)
        assert answer["type"] == "ack", answer
        repeated = await world.desk.ask({**frame, "key": answer["key"]})
        assert repeated["dup"], repeated


async def type_a_note(world: World, rng: Random, key: str) -> None:
    await world.desk.send({"type": "typing", "on": rng.random() < 0.5, "in": "note"})
    await world.staff({"type": "ping"})


async def read_as_staff(world: World, rng: Random, key: str) -> None:
    await world.desk.send({"type": "read", "seq": rng.randrange(100)})
    await world.staff({"type": "ping"})
    await world.staff({"type": "history", "limit": rng.randrange(1, 50)})


async def fail_as_staff(world: World, rng: Random, key: str) -> None:
    """Give commands that are refused: nothing is stored."""
    frames: list[Frame] = [
        {"type": "message", "text": "late", "seen": 0},
        {"type": "message", "text": "wrong", "reply_to": "note_s1"},
        {"type": "message", "text": ""},
        {"type": "status", "status": "gone"},
        {"type": "dance"},
    ]
    answer = await world.staff(rng.choice(frames))
    assert answer["type"] == "error", answer


async def let_a_second_coordinator_look(world: World, rng: Random, key: str) -> None:
    if world.tab is None:
        world.tab = await world.enter_as_staff(QUINN, tail=rng.randrange(100))
    else:
        await world.leave_as_staff(world.tab, QUINN)
        world.tab = None


async def let_the_coordinator_go_and_return(world: World, rng: Random, key: str) -> None:
    await world.leave_as_staff(world.desk, PRIYA)
    world.desk = await world.enter_as_staff(PRIYA)


async def read_by_rest_as_staff(world: World, rng: Random, key: str) -> None:
    channel = {"channel": "internal_note"}
    assert await world.staff_rest(QUINN, "GET", "timeline", params=channel) == 200
    assert await world.staff_rest(QUINN, "GET", "events", params={"kind": "note"}) == 200


async def stream_as_staff(world: World, rng: Random, key: str) -> None:
    """Look at what the patient sees."""
    headers = world.hub.headers(QUINN) | {"Last-Event-ID": "0.0"}
    async with world.rest.stream("GET", f"cases/{CASE}/stream", headers=headers) as response:
        async for chunk in response.aiter_raw():
            if b"caught_up" in chunk:
                break


async def be_busy_elsewhere(world: World, rng: Random, key: str) -> None:
    """Let other patients have other cases."""
    command = RegisterPatient(f"patient-{key}", "Somebody", None)
    await world.hub.hub.rooms.handle(f"case-{key}", command, REGISTRAR.principal(), key)
    message = SendMessage("elsewhere")
    await world.hub.hub.rooms.handle(f"case-{key}", message, PRIYA.principal(), key)


async def sweep(world: World, rng: Random, key: str) -> None:
    world.hub.hub.manager.sweep()


SEEN: Final[dict[Action, int]] = {
    say_something: 8,
    reply: 4,
    type_or_read: 5,
    try_what_is_forbidden: 2,
    send_rubbish: 2,
    flood: 1,
    look_back: 4,
    ask_by_rest: 4,
    say_by_rest: 3,
    come_back: 4,
    take_the_phone: 3,
    stream_anew: 3,
    renew: 1,
    let_time_pass: 6,
    look: 3,
    hear_from_staff: 8,
    see_staff_type: 4,
    see_the_status_change: 3,
    find_the_case_closed: 1,
}
UNSEEN: Final[dict[Action, int]] = {
    write_a_note: 8,
    type_a_note: 3,
    read_as_staff: 4,
    fail_as_staff: 3,
    let_a_second_coordinator_look: 4,
    let_the_coordinator_go_and_return: 2,
    read_by_rest_as_staff: 2,
    stream_as_staff: 2,
    be_busy_elsewhere: 2,
    sweep: 2,
}


def schedule(seed: int) -> list[tuple[str, Action, str]]:
    """Make the steps: who may see it, what happens, and its name."""
    rng = Random(seed)
    steps: list[tuple[str, Action, str]] = [(VISIBLE, say_something, "first")]
    while len(steps) < STEPS:
        (seen,) = rng.choices(list(SEEN), list(SEEN.values()))
        # Silence comes in several parts, so that something may happen in the middle of it.
        for _ in range(3 if seen is let_time_pass else 1):
            unseen = rng.choices(list(UNSEEN), list(UNSEEN.values()), k=rng.choice([0, 1, 1, 2]))
            steps += [
                (HIDDEN, action, f"{len(steps)}.{part}") for part, action in enumerate(unseen)
            ]
            steps.append((VISIBLE, seen, f"{len(steps)}"))
    return steps


async def run(folder: Path, seed: int, lanes: str) -> tuple[dict[str, list[bytes]], Counter[str]]:
    """Run those steps of the schedule that are of these lanes."""
    ids, clock = Ids(), [1000.0]
    dependencies = {
        "now": lambda: datetime(2026, 11, 20, 18, tzinfo=UTC) + timedelta(seconds=clock[0]),
        "monotonic": lambda: clock[0],
        "new_id": ids,
        "random": lambda: 0.5,
    }
    async with (
        running_hub(folder, dependencies=dependencies, writes_burst=1000) as hub,
        httpx2.AsyncClient(base_url=f"{hub.http}/api/v1", timeout=WITHIN) as rest,
    ):
        await hub.open_case("case-2", PAUL)
        world = World(hub, rest, ids, clock)
        world.desk = await world.enter_as_staff(PRIYA)
        world.maria = await world.enter("maria")
        world.messages = await world.open_stream("messages/stream")
        world.feed = await world.open_stream("stream")
        for lane, action, name in schedule(seed):
            if lane in lanes:
                ids.lane = lane
                await action(world, Random(f"{seed} {name}"), name)
        ids.lane = VISIBLE
        await (await world.device()).look()
        await world.flush("last")
        heads = (await hub.hub.rooms.log.heads([CASE]))[CASE]
        await world.close()
    counts = Counter({"hidden events": heads[Audience.STAFF].seq - heads[Audience.PATIENT].seq})
    return world.record(), counts + kinds_of(world.record())


def kinds_of(record: dict[str, list[bytes]]) -> Counter[str]:
    """Count what came: types of frames, codes of errors and of closes, statuses of REST."""
    counts: Counter[str] = Counter()
    for name, received in record.items():
        for data in received:
            if name == "rest":
                counts[data[data.index(b"}") + 2 :][:3].decode()] += 1
            elif data.startswith(b"closed"):
                counts[data[:11].decode()] += 1
            elif data.startswith(b"{"):
                frame = json.loads(data)
                counts[frame["type"]] += 1
                counts[str(frame.get("code"))] += 1
    return counts


def first_difference(one: dict[str, list[bytes]], other: dict[str, list[bytes]]) -> str:
    for name in one.keys() | other.keys():
        left, right = one.get(name, []), other.get(name, [])
        for number in range(max(len(left), len(right))):
            with_staff, without = left[number : number + 1], right[number : number + 1]
            if with_staff != without:
                return f"{name}, {number}:\n  with:    {with_staff}\n  without: {without}"
    return ""


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_patient_cannot_tell_whether_staff_did_anything_among_themselves(
    tmp_path: Path, seed: int
) -> None:
    busy, counts = await run(tmp_path / "busy", seed, VISIBLE + HIDDEN)
    quiet, quiet_counts = await run(tmp_path / "quiet", seed, VISIBLE)
    assert first_difference(busy, quiet) == ""
    # The schedule was worth running.
    assert counts["hidden events"] > 15
    assert quiet_counts["hidden events"] == 0
    assert counts["ping"] > 0
    assert counts["error"] > 5
    import sys

    print(counts, file=sys.stderr)
