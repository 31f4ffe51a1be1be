"""Clients that read slowly, or not at all, and servers that are not ours."""

import asyncio
import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import pytest
import uvloop
from starlette.types import Message

from compat_sse.stream import LIMIT, EventStream, Outbox
from rooms.cursor import START
from rooms.encoding import Record, Signal
from rooms.feed import Cut, Subscription
from tests.compat_sse.kit import BIG, BOUND_S, Sleeper, eventually, running
from tests.compat_sse.whatwg import Event

PATH = "/api/v1/cases/case_1/messages/stream"
MANY = 60


def texts(events: list[Event]) -> list[str]:
    return [json.loads(event.data)["text"] for event in events if event.type == "message"]


def numbered(count: int) -> list[str]:
    return [f"{n} {BIG}"[:10_000] for n in range(count)]


async def test_a_slow_reader_falls_behind_and_catches_up_without_a_loss(tmp_path: Path) -> None:
    said = numbered(MANY)
    async with running(tmp_path) as hub:
        hub.take_little()
        async with Sleeper.asking(hub, PATH) as slow:
            await eventually(lambda: len(hub.readers()) == 1)
            async with hub.stream() as quick:
                await quick.event()
                await hub.say_all(said)
                assert await quick.texts(MANY) == said
                await eventually(lambda: len(hub.behind()) == 1)
            await slow.wake(lambda events: len(events) > MANY)
            assert texts(slow.events) == said
            await eventually(lambda: not hub.behind())
        await hub.nobody_reads()


async def test_a_slow_reader_of_a_long_replay_gets_all_of_it(tmp_path: Path) -> None:
    said = numbered(MANY)
    async with running(tmp_path) as hub:
        await hub.say_all(said)
        hub.take_little()
        async with Sleeper.asking(hub, f"{PATH}?last_event_id=0.0") as slow:
            await eventually(lambda: len(hub.behind()) == 1)
            await hub.say("at last")
            await slow.wake(lambda events: len(events) > MANY + 1)
            assert texts(slow.events) == [*said, "at last"]
        await hub.nobody_reads()


async def drop_a_sleeper(directory: Path) -> None:
    async with running(directory, stall=0.2) as hub:
        hub.take_little()
        async with Sleeper.asking(hub, PATH) as sleeper:
            await eventually(lambda: hub.sse.count == 1)
            async with hub.stream() as other:
                await other.event()
                await hub.say_all(numbered(MANY))
                assert await other.texts(MANY) == numbered(MANY)
                await eventually(lambda: hub.sse.count == 1)
                await hub.say("still here")
                assert await other.texts(1) == ["still here"]
            await sleeper.find_the_end()
        await hub.nobody_reads()


async def test_a_peer_that_stops_reading_is_dropped_and_others_are_unharmed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await drop_a_sleeper(tmp_path)
    assert caplog.records == []


def test_a_peer_that_stops_reading_is_dropped_on_uvloop_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(drop_a_sleeper(tmp_path))
    assert caplog.records == []


async def test_a_peer_that_stops_reading_is_found_by_pings_alone(tmp_path: Path) -> None:
    async with running(tmp_path, stall=0.2, heartbeat=0.02) as hub:
        hub.take_little()
        async with Sleeper.asking(hub, PATH):
            await eventually(lambda: hub.sse.count == 1)
            await hub.say_all(numbered(2))
            await hub.nobody_reads()
            await eventually(lambda: hub.connections == 0)


async def test_a_drain_does_not_wait_for_a_peer_that_stopped_reading(tmp_path: Path) -> None:
    async with running(tmp_path, stall=3600.0) as hub:
        hub.take_little()
        async with Sleeper.asking(hub, PATH):
            await eventually(lambda: hub.sse.count == 1)
            await hub.say_all(numbered(MANY))
            [stream] = hub.sse._open
            await eventually(lambda: stream._sending is not None)
            hub.sse.drain()
            await hub.nobody_reads()
            await eventually(lambda: hub.connections == 0)


async def test_a_stream_that_rotates_does_not_leave_a_dead_peer_to_the_server(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, stall=0.2, rotation=0.5) as hub:
        hub.take_little()
        async with Sleeper.asking(hub, PATH):
            await eventually(lambda: hub.sse.count == 1)
            await hub.say_all(numbered(2))
            await hub.nobody_reads()
            await eventually(lambda: hub.connections == 0)


async def test_a_connection_serves_further_requests_after_a_stream_has_ended(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, rotation=0.02) as hub:
        for _ in range(3):
            async with hub.stream() as stream:
                await stream.rest()
            assert hub.connections == 1
        assert hub.server.server_state.total_requests == 3


# The outbox.


class Plain:
    def event(self, record: Record) -> bytes | None:
        return None

    def signal(self, signal: Signal) -> bytes | None:
        return None


async def test_an_outbox_is_full_when_its_limit_waits_and_free_when_it_is_taken() -> None:
    outbox = Outbox(Plain())
    assert outbox.write(b"x" * (LIMIT - 1))
    assert not outbox.write(b"yy")
    assert outbox.take() == b"x" * (LIMIT - 1) + b"yy"
    assert outbox.write(b"z")


async def test_an_outbox_that_has_ended_takes_nothing_and_gives_what_it_has() -> None:
    outbox = Outbox(Plain())
    outbox.write(b"a")
    outbox.cut(Cut.INTERNAL)
    assert not outbox.write(b"b")
    await outbox.filled()
    assert outbox.take() == b"a"
    await outbox.filled()
    assert outbox.take() == b""


async def test_a_greeting_is_said_once() -> None:
    outbox = Outbox(Plain())
    outbox.greet = lambda position: str(position).encode()
    outbox.live(START)
    outbox.live(START)
    assert outbox.take() == b"0.0"


# The response, without a server.


class Scene:
    """One response, and the two ends of the ASGI connection that it is sent over."""

    def __init__(self, **options: Any) -> None:
        self.outbox = Outbox(Plain())
        self.sent: list[Message] = []
        self.hung_up = asyncio.Event()
        self.cleaned: list[bool] = []
        self.resumed = 0
        cleanup = ExitStack()
        cleanup.callback(self.cleaned.append, True)
        times = {"lasts": BOUND_S, "heartbeat": BOUND_S, "stall": BOUND_S, **options}
        self.stream = EventStream(self.outbox, cast(Subscription, self), cleanup, **times)
        self.by = "user_maria"

    def resume(self) -> None:
        self.resumed += 1

    def close(self) -> None:
        """Take part in the room no longer."""

    async def receive(self) -> Message:
        await self.hung_up.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    async def run(self, send: Callable[[Message], Any] | None = None, **scope: Any) -> None:
        async with asyncio.timeout(BOUND_S):
            await self.stream({"type": "http", **scope}, self.receive, send or self.send)
        assert self.cleaned == [True]

    def bodies(self) -> list[bytes]:
        return [message["body"] for message in self.sent[1:]]


async def test_all_that_waits_goes_out_in_one_send() -> None:
    scene = Scene()
    for part in (b"a", b"b", b"c"):
        scene.outbox.write(part)
    scene.outbox.end()
    await scene.run()
    assert scene.bodies() == [b"abc", b""]
    assert [message.get("more_body") for message in scene.sent] == [None, True, False]
    assert scene.resumed == 1


async def test_a_hang_up_is_noticed_at_once_while_nothing_is_said() -> None:
    scene = Scene(lasts=3600.0, heartbeat=3600.0)
    scene.hung_up.set()
    await scene.run()


async def test_a_server_that_reports_a_closed_connection_by_an_error_is_understood() -> None:
    async def closed(message: Message) -> None:
        raise BrokenPipeError

    await Scene().run(closed)


async def test_a_send_that_is_never_taken_ends_the_stream_where_no_transport_is_offered() -> None:
    async def never(message: Message) -> None:
        await asyncio.Event().wait()

    await Scene(stall=0.01).run(never)
    await Scene(stall=0.01).run(never, extensions=None)


class Transport:
    """Stands for the connection, which uvloop no longer lets anybody touch once it is closed."""

    def __init__(self, closing: bool = False) -> None:
        self.closing = closing
        self.limits: list[int | None] = []
        self.aborted = False

    def is_closing(self) -> bool:
        return self.closing

    def set_write_buffer_limits(self, high: int | None = None) -> None:
        assert not self.closing
        self.limits.append(high)

    def abort(self) -> None:
        self.aborted = self.closing = True


async def test_a_connection_is_left_as_it_was_for_the_next_request() -> None:
    scene, transport = Scene(), Transport()
    scene.outbox.end()
    await scene.run(extensions={"hub.transport": transport})
    assert (transport.limits, transport.aborted) == ([0, None], False)


async def test_a_connection_that_is_closed_already_is_not_touched() -> None:
    scene, transport = Scene(), Transport(closing=True)
    scene.outbox.end()
    await scene.run(extensions={"hub.transport": transport})
    assert transport.limits == []


async def test_a_response_that_aborts_ends_when_the_server_knows_of_it() -> None:
    async def never(message: Message) -> None:
        await asyncio.Event().wait()

    class Slow(Transport):
        def abort(self) -> None:
            super().abort()
            asyncio.get_running_loop().call_later(0.02, scene.hung_up.set)

    scene, transport = Scene(stall=0.01), Slow()
    await scene.run(never, extensions={"hub.transport": transport})
    assert transport.aborted
    assert scene.hung_up.is_set()


async def test_a_cancelled_response_cleans_up() -> None:
    scene = Scene()
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(scene.run())
        await eventually(lambda: len(scene.sent) == 1)
        serving.cancel()
    assert scene.cleaned == [True]


async def test_a_failure_of_the_server_cleans_up_and_is_not_hidden() -> None:
    async def broken(message: Message) -> None:
        raise RuntimeError("broken")

    scene = Scene()
    with pytest.raises(ExceptionGroup, match="TaskGroup"):
        await scene.run(broken)
    assert scene.cleaned == [True]
