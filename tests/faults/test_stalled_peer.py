"""A peer that stops reading is let go of; nobody else waits for it, and nothing piles up."""

import asyncio
import contextlib
import itertools
import json
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, Self

import h11
import pytest
from websockets.client import ClientProtocol
from websockets.frames import CloseCode, Frame, Opcode
from websockets.uri import parse_uri

from hub import demo
from rooms.commands import SendMessage
from tests.compat_sse.whatwg import Event, Parser
from tests.kit import (
    CASE,
    MARIA,
    PRIYA,
    WITHIN,
    Address,
    Client,
    RunningHub,
    hub_process,
    raw_socket,
    running_hub,
)

GONE_WITHIN = 15.0
MOST = 1024 * 1024
"""Bytes that may wait for one peer in the process."""
TEXT = "x" * 9_000
PAUSE = 0.005
"""Between two reads of a slow reader, who needs 3 s in all."""


class Peer:
    """A client on a plain socket, which reads only when it is told to."""

    def __init__(self, raw: socket.socket, url: str) -> None:
        raw.setblocking(False)
        self._raw = raw
        self._protocol = ClientProtocol(parse_uri(url))
        self._http = h11.Connection(h11.CLIENT)
        self._events = Parser()

    @classmethod
    @contextlib.contextmanager
    def connected(cls, hub: Address, path: str) -> Iterator[Self]:
        with raw_socket(hub.port) as raw:
            yield cls(raw, f"{hub.ws}{path}")

    @classmethod
    @contextlib.asynccontextmanager
    async def in_room(cls, hub: Address, case: str = CASE) -> AsyncIterator[Self]:
        with cls.connected(hub, f"/api/v1/cases/{case}/ws") as peer:
            peer._protocol.send_request(peer._protocol.connect())
            await peer._flush()
            while not any(b'"hello"' in frame for frame in await peer.read()):
                pass
            await peer.send({"type": "auth", "token": hub.token(MARIA), "after": "0.0"})
            while not any(b'"caught_up"' in frame for frame in await peer.read()):
                pass
            yield peer

    @classmethod
    @contextlib.asynccontextmanager
    async def on_stream(cls, hub: Address, case: str = CASE) -> AsyncIterator[Self]:
        with cls.connected(hub, "/") as peer:
            await peer.get(hub, f"/api/v1/cases/{case}/messages/stream")
            while not await peer.read_stream():
                pass
            yield peer

    async def get(self, hub: Address, target: str) -> None:
        headers = [*hub.headers(MARIA).items(), ("Host", "hub")]
        request = h11.Request(method="GET", target=target, headers=headers)
        await self.write(self._http.send(request) or b"")
        await self.write(self._http.send(h11.EndOfMessage()) or b"")

    async def read_stream(self) -> list[Event]:
        """Read a little; give the events that are complete."""
        self._http.receive_data(await self.receive())
        events = []
        while (part := self._http.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            if isinstance(part, h11.Data):
                events += self._events.feed(bytes(part.data))
        return events

    async def send(self, frame: dict[str, object]) -> None:
        self._protocol.send_text(json.dumps(frame).encode())
        await self._flush()

    async def send_pings(self, count: int) -> None:
        for _ in range(count):
            self._protocol.send_ping(b"x" * 125)
        await self._flush()

    async def say_goodbye(self) -> None:
        self._protocol.send_close(CloseCode.GOING_AWAY)
        await self._flush()

    async def read(self) -> list[bytes]:
        """Read a little; give the frames that are complete."""
        self._protocol.receive_data(await self.receive())
        events = self._protocol.events_received()
        await self._flush()
        frames = (event for event in events if isinstance(event, Frame))
        return [bytes(frame.data) for frame in frames if frame.opcode is Opcode.TEXT]

    async def receive(self, most: int = 4096) -> bytes:
        async with asyncio.timeout(WITHIN):
            data = await asyncio.get_running_loop().sock_recv(self._raw, most)
        assert data, "the hub hung up"
        return data

    async def write(self, data: bytes) -> None:
        async with asyncio.timeout(WITHIN):
            await asyncio.get_running_loop().sock_sendall(self._raw, data)

    async def _flush(self) -> None:
        await self.write(b"".join(self._protocol.data_to_send()))


async def read_slowly(peer: Peer, count: int) -> list[dict[str, Any]]:
    """Read a few kilobytes at a time, with a pause after each."""
    read: list[dict[str, Any]] = []
    while len(read) < count:
        frames = [json.loads(frame) for frame in await peer.read()]
        assert not any(frame["type"] == "goodbye" for frame in frames), frames
        read += [frame for frame in frames if frame["type"] == "event"]
        await asyncio.sleep(PAUSE)
    return read


async def stream_slowly(peer: Peer, count: int) -> list[dict[str, Any]]:
    read: list[dict[str, Any]] = []
    while len(read) < count:
        read += [json.loads(event.data) for event in await peer.read_stream()]
        await asyncio.sleep(PAUSE)
    return read


async def eventually(condition: Callable[[], bool], within: float = WITHIN) -> None:
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - what it waits for has no event to wait on
            await asyncio.sleep(0.01)


async def say(hub: RunningHub, key: str) -> None:
    await hub.hub.rooms.handle(CASE, SendMessage(TEXT + key), PRIYA.principal(), key)


async def say_everything(hub: RunningHub, count: int) -> None:
    for number in range(count):
        await say(hub, str(number))


def connections(hub: RunningHub) -> int:
    """Count the connections that the server still holds."""
    return len(hub.server.server_state.connections)


def held(hub: RunningHub) -> int:
    """Give the most bytes that wait for one peer in the process."""
    transports = [connection.transport for connection in hub.server.server_state.connections]
    return max((transport.get_write_buffer_size() for transport in transports), default=0)


async def metric(hub: Address, name: str) -> float:
    async with hub.rest(PRIYA) as rest:
        text = (await rest.get(f"{hub.http}/metrics")).text
    found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
    assert found is not None
    return float(found[1])


async def talk_until(
    hub: RunningHub, over: Callable[[], bool], *readers: Client
) -> tuple[float, int]:
    """Say one thing after the other, each when all readers have the one before.

    Gives the median time that a message took to all of them, and the most that waited for one
    peer.
    """
    loop = asyncio.get_running_loop()
    delays = []
    most = 0
    async with asyncio.timeout(GONE_WITHIN):
        for number in itertools.count():
            if over():
                break
            begin = loop.time()
            await say(hub, f"talk {number}")
            for reader in readers:
                event = await reader.expect("event", kind="message")
                assert event["data"]["text"] == f"{TEXT}talk {number}"
            delays.append(loop.time() - begin)
            most = max(most, held(hub))
    return median(delays), most


async def be_silent(peer: Peer) -> None:
    """Do nothing."""


async def have_asked(peer: Peer) -> None:
    """Leave questions behind, whose answers nobody will read."""
    for _ in range(40):
        await peer.send({"type": "history", "limit": 200})
        await peer.send({"type": "ping"})


@pytest.mark.parametrize("behaviour", [be_silent, have_asked])
async def test_a_socket_that_stops_reading_is_gone_and_the_others_read_on(
    tmp_path: Path, behaviour: Callable[[Peer], Awaitable[None]]
) -> None:
    async with running_hub(tmp_path, stall_s=1, heartbeat_s=2) as hub:
        await say_everything(hub, 60)
        async with (
            hub.enter(MARIA, tail=0) as maria,
            hub.enter(PRIYA, tail=0) as priya,
            Peer.in_room(hub) as peer,
        ):
            await behaviour(peer)
            delay, most = await talk_until(hub, lambda: connections(hub) == 2, maria, priya)
            await eventually(lambda: hub.hub.manager.connections == 2)
            assert await metric(hub, "hub_sockets") == 2
    assert most <= MOST
    assert delay < 0.5


async def test_a_stream_whose_reader_stops_is_gone_and_the_others_read_on(tmp_path: Path) -> None:
    async with (
        running_hub(tmp_path, stall_s=1) as hub,
        hub.enter(MARIA) as maria,
        hub.enter(PRIYA) as priya,
        Peer.on_stream(hub),
    ):
        assert hub.hub.sse.count == 1
        delay, most = await talk_until(hub, lambda: connections(hub) == 2, maria, priya)
        await eventually(lambda: hub.hub.sse.count == 0)
        assert await metric(hub, "hub_sse_streams") == 0
    assert most <= MOST
    assert delay < 0.5


async def test_a_peer_that_says_goodbye_and_reads_nothing_is_not_kept(tmp_path: Path) -> None:
    async with (
        running_hub(tmp_path, stall_s=1, heartbeat_s=2) as hub,
        Peer.in_room(hub) as peer,
    ):
        await talk_until(hub, lambda: held(hub) > 0)
        await peer.say_goodbye()
        await eventually(lambda: hub.hub.manager.connections == 0)
        await eventually(lambda: connections(hub) == 0)


async def test_an_answer_that_nobody_reads_is_not_kept(tmp_path: Path) -> None:
    async with running_hub(tmp_path, stall_s=1) as hub:
        await say_everything(hub, 600)
        with Peer.connected(hub, "/") as peer:
            await peer.get(hub, f"/api/v1/cases/{CASE}/events?limit=500")
            await eventually(lambda: held(hub) > 0)
            await eventually(lambda: connections(hub) == 0)


async def test_what_a_peer_makes_the_hub_answer_does_not_pile_up(tmp_path: Path) -> None:
    """Pings of the WebSocket protocol itself are answered below every limit of the hub."""
    most = 0
    async with running_hub(tmp_path, stall_s=5, heartbeat_s=8) as hub, Peer.in_room(hub) as peer:
        with contextlib.suppress(OSError):
            for _ in range(400):
                await peer.send_pings(500)
                most = max(most, held(hub))
        await eventually(lambda: connections(hub) == 0)
    assert most <= MOST


async def test_a_slow_but_steady_reader_gets_everything(tmp_path: Path) -> None:
    texts = [f"{TEXT}{number}" for number in range(280)]
    async with (
        running_hub(tmp_path, stall_s=1.5, heartbeat_s=2) as hub,
        Peer.in_room(hub) as peer,
        Peer.on_stream(hub) as stream,
    ):
        read, streamed, _ = await asyncio.gather(
            read_slowly(peer, len(texts)),
            stream_slowly(stream, len(texts)),
            say_everything(hub, len(texts)),
        )
    assert [frame["data"]["text"] for frame in read] == texts
    assert [event["text"] for event in streamed] == texts


@pytest.mark.parametrize("stalled", [Peer.in_room, Peer.on_stream])
async def test_a_hub_ends_in_time_although_a_peer_does_not_read(
    tmp_path: Path, stalled: Callable[..., Any]
) -> None:
    """Others that are connected are told to come back."""
    async with (
        hub_process(tmp_path, HUB_STALL_S="600", HUB_WRITES_BURST="100000") as hub,
        hub.enter(PRIYA, demo.CASE) as priya,
        stalled(hub, demo.CASE),
        Peer.on_stream(hub, demo.CASE),
    ):
        # More than the kernel takes for a peer.
        for number in range(500):
            answer = await priya.ask({"type": "message", "key": str(number), "text": TEXT})
            assert answer["type"] == "ack"
        assert await hub.terminate(GONE_WITHIN) == 0
        assert await priya.expect_close() == 4503


async def test_a_hub_process_counts_a_stalled_peer_no_longer(tmp_path: Path) -> None:
    settings = {"HUB_STALL_S": "1", "HUB_HEARTBEAT_S": "2", "HUB_WRITES_BURST": "100000"}
    async with (
        hub_process(tmp_path, **settings) as hub,
        hub.enter(PRIYA, demo.CASE) as priya,
        Peer.in_room(hub, demo.CASE),
        Peer.on_stream(hub, demo.CASE),
        asyncio.timeout(GONE_WITHIN),
    ):
        number = 0
        while await metric(hub, "hub_sockets") > 1 or await metric(hub, "hub_sse_streams") > 0:
            for number in range(number, number + 50):  # noqa: B020
                answer = await priya.ask({"type": "message", "key": str(number), "text": TEXT})
                assert answer["type"] == "ack"
            number += 1
