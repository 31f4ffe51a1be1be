"""A socket over time: its heartbeat, its token, its limits, and a peer that does not read."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from auth.principal import Role
from hub.connection import Connection, Socket
from tests.kit import CASE, MARIA, PRIYA, WITHIN, Client, Frame, Identity, RunningHub, running_hub

BIG = "☃" * 10_000
"""A text of 30,000 bytes."""


@dataclass
class Clock:
    """Time that stands still until somebody moves it."""

    now: datetime = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
    passed: float = 1_000.0

    def utc(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.passed

    def move(self, hub: RunningHub, seconds: float) -> None:
        """Let time pass, and let the hub look at its sockets."""
        self.now += timedelta(seconds=seconds)
        self.passed += seconds
        hub.hub.manager.sweep()

    @property
    def hands(self) -> dict[str, Callable[[], Any]]:
        return {"now": self.utc, "monotonic": self.monotonic}


@pytest.fixture
def clock() -> Clock:
    return Clock()


def message(key: str, text: str = "Hello") -> Frame:
    return {"type": "message", "key": key, "text": text}


async def sent_nothing(client: Client) -> None:
    """Check without a frame of the client, which would be a sign of life."""
    raw = client.raw
    waiter = await raw.ping()
    async with asyncio.timeout(WITHIN):
        await waiter
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(raw.recv(), 0)


# The heartbeat.


async def test_a_ping_with_the_head_comes_after_silence(tmp_path: Path, clock: Clock) -> None:
    async with (
        running_hub(tmp_path, dependencies=clock.hands) as hub,
        hub.enter(MARIA) as maria,
    ):
        clock.move(hub, 29)
        await sent_nothing(maria)
        clock.move(hub, 1)
        assert await maria.receive() == {"type": "ping", "cursor": maria.cursor}
        clock.move(hub, 29)
        await sent_nothing(maria)
        ack = await maria.ask(message("k"))
        clock.move(hub, 1)
        await sent_nothing(maria)
        clock.move(hub, 29)
        assert await maria.receive() == {"type": "ping", "cursor": ack["cursor"]}


async def test_no_ping_tells_a_patient_that_there_is_a_note(tmp_path: Path, clock: Clock) -> None:
    async with (
        running_hub(tmp_path, dependencies=clock.hands) as hub,
        hub.enter(MARIA) as maria,
        hub.enter(PRIYA) as priya,
    ):
        clock.move(hub, 15)
        await priya.ask({"type": "note", "key": "n", "text": "psst"})
        await priya.send({"type": "typing", "on": True, "in": "note"})
        clock.move(hub, 15)
        assert await maria.receive() == {"type": "ping", "cursor": maria.cursor}
        await sent_nothing(priya)
        clock.move(hub, 15)
        assert await priya.receive() == {"type": "ping", "cursor": priya.cursor}
        await sent_nothing(maria)


async def test_nobody_is_pinged_before_auth(tmp_path: Path, clock: Clock) -> None:
    async with running_hub(tmp_path, dependencies=clock.hands) as hub, hub.socket() as client:
        await client.expect("hello")
        clock.move(hub, 100)
        await sent_nothing(client)


async def test_a_client_that_answers_pings_and_then_stops_is_let_go(
    tmp_path: Path, clock: Clock
) -> None:
    async with (
        running_hub(tmp_path, dependencies=clock.hands) as hub,
        hub.enter(MARIA) as maria,
        hub.enter(PRIYA) as typist,
    ):
        clock.move(hub, 30)
        await maria.expect("ping")
        await maria.send({"type": "pong", "seq": 1})
        await maria.expect_nothing_but()
        clock.move(hub, 30)
        await maria.expect("ping")
        clock.move(hub, 30)
        await maria.expect("ping")
        clock.move(hub, 30)
        assert await maria.expect_close() == 4504
        goodbye = maria.frames[-1]
        assert (goodbye["type"], goodbye["reconnect"]) == ("goodbye", True)
        clock.move(hub, 300)
        await typist.expect("ping")
        await typist.expect_nothing_but("ping", "presence")


async def test_any_frame_is_a_sign_of_life(tmp_path: Path, clock: Clock) -> None:
    async with running_hub(tmp_path, dependencies=clock.hands) as hub, hub.enter(MARIA) as maria:
        await maria.send({"type": "pong"})
        for _ in range(5):
            clock.move(hub, 30)
            await maria.expect("ping")
            clock.move(hub, 29)
            await maria.send("no frame at all")
            await maria.expect("error")
            clock.move(hub, 1)
            await sent_nothing(maria)


async def test_a_reader_that_was_never_asked_need_not_answer(tmp_path: Path, clock: Clock) -> None:
    async with (
        running_hub(tmp_path, dependencies=clock.hands) as hub,
        hub.enter(MARIA) as maria,
        hub.rest(PRIYA) as priya,
    ):
        await maria.send({"type": "pong"})
        await maria.expect_nothing_but()
        for number in range(10):
            clock.move(hub, 20)
            await priya.post(f"/cases/{CASE}/messages", json={"text": f"{number}"})
            await maria.expect_message(f"{number}")
        await maria.expect_nothing_but()


# The token.


async def test_an_expired_token_closes_the_socket_after_its_grace(
    tmp_path: Path, clock: Clock
) -> None:
    async with running_hub(tmp_path, dependencies=clock.hands) as hub, hub.socket() as client:
        await client.send({"type": "auth", "token": hub.token(MARIA, timedelta(seconds=60))})
        ready = await client.expect("ready")
        assert ready["exp"] == "2026-11-20T18:01:00.000Z"
        await client.expect("presence")
        clock.move(hub, 89)
        await client.expect_nothing_but("ping")
        clock.move(hub, 1)
        assert await client.expect_close() == 4401
        goodbye = client.frames[-1]
        assert (goodbye["type"], goodbye["code"], goodbye["reconnect"]) == ("goodbye", 4401, False)


async def test_a_later_token_of_the_same_subject_renews(tmp_path: Path, clock: Clock) -> None:
    async with running_hub(tmp_path, dependencies=clock.hands) as hub, hub.enter(MARIA) as maria:
        clock.move(hub, 3_600)
        token = hub.token(MARIA, timedelta(minutes=1))
        ack = await maria.ask({"type": "token", "key": "t", "token": token})
        assert ack == {"type": "ack", "key": "t", "exp": "2026-11-20T19:01:00.000Z"}
        clock.move(hub, 60)
        await maria.send({"type": "token", "token": hub.token(MARIA, timedelta(minutes=2))})
        assert (await maria.expect("ack"))["key"].startswith("key_")
        clock.move(hub, 60)
        await maria.expect_nothing_but("ping")
        assert (await maria.ask(message("k")))["type"] == "ack"
        clock.move(hub, 90)
        assert await maria.expect_close() == 4401


@pytest.mark.parametrize(
    ("who", "lifetime", "code"),
    [
        (MARIA, 3_600, "conflict"),
        (MARIA, 60, "conflict"),
        (PRIYA, 7_200, "forbidden"),
        (Identity("user_paul", "Paul", patient_id=MARIA.patient_id), 7_200, "forbidden"),
        (Identity(MARIA.sub, "Maria", patient_id="another"), 7_200, "forbidden"),
        (Identity(MARIA.sub, "Maria", Role.COORDINATOR), 7_200, "forbidden"),
        (Identity(MARIA.sub, "Maria", tenant="another"), 7_200, "unauthenticated"),
        (None, 0, "unauthenticated"),
    ],
)
async def test_no_other_token_renews(
    tmp_path: Path, clock: Clock, who: Identity | None, lifetime: int, code: str
) -> None:
    async with running_hub(tmp_path, dependencies=clock.hands) as hub, hub.enter(MARIA) as maria:
        token = "no token" if who is None else hub.token(who, timedelta(seconds=lifetime))
        answer = await maria.ask({"type": "token", "key": "t", "token": token})
        assert (answer["type"], answer["code"]) == ("error", code)
        assert (await maria.ask(message("k")))["type"] == "ack"
        clock.move(hub, 3_630)
        assert await maria.expect_close() == 4401


# The limits.


async def test_whoever_writes_too_fast_is_told_how_long_to_wait(
    tmp_path: Path, clock: Clock
) -> None:
    limits: Any = {"writes_burst": 3, "writes_per_s": 2}
    async with (
        running_hub(tmp_path, dependencies=clock.hands, **limits) as hub,
        hub.enter(MARIA) as maria,
        hub.enter(PRIYA) as priya,
    ):
        for number in range(3):
            assert (await maria.ask(message(f"{number}")))["type"] == "ack"
        refusal = await maria.ask(message("3"))
        assert (refusal["type"], refusal["code"]) == ("error", "rate_limited")
        assert refusal["retry_after"] == 0.5
        await maria.expect_nothing_but()
        assert (await priya.ask(message("3")))["type"] == "ack"
        clock.move(hub, 0.5)
        assert (await maria.ask(message("3")))["type"] == "ack"
        assert (await maria.ask(message("4")))["code"] == "rate_limited"


@pytest.mark.parametrize(
    "frame",
    [
        '{"type":"ping"}',
        '{"type":"typing","on":true}',
        '{"type":"history"}',
        '{"type":"message","text":"x"}',
        '{"type":"boo"}',
        '{"type":"message"}',
    ],
)
async def test_whoever_goes_on_too_fast_is_let_go(tmp_path: Path, clock: Clock, frame: str) -> None:
    limits: Any = {"writes_burst": 5, "signals_burst": 5}
    async with (
        running_hub(tmp_path, dependencies=clock.hands, **limits) as hub,
        hub.enter(MARIA) as maria,
        hub.enter(PRIYA) as priya,
    ):
        for _ in range(40):
            await maria.send(frame)
        assert await maria.expect_close() == 4529
        goodbye = maria.frames[-1]
        assert (goodbye["type"], goodbye["reconnect"]) == ("goodbye", True)
        assert goodbye["in_ms"] >= 1_000
        assert (await priya.ask(message("k")))["type"] == "ack"


# Peers that do not read.


async def fill(hub: RunningHub, messages: int) -> None:
    async with hub.rest(PRIYA) as http:
        for _ in range(messages):
            answer = await http.post(f"/cases/{CASE}/messages", json={"text": BIG})
            assert answer.status_code == 201


def stop_reading(client: Client) -> None:
    client.raw.transport.pause_reading()


def read_again(client: Client) -> None:
    client.raw.transport.resume_reading()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN):
        while not condition():  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0.005)


def connection_of(hub: RunningHub) -> Connection:
    (connection,) = hub.hub.manager.of_case(CASE)
    return connection


async def ask_without_reading(hub: RunningHub, client: Client, pages: int) -> None:
    """Ask for more than the kernel holds for a peer that does not read."""
    stop_reading(client)
    for number in range(pages):
        await client.send({"type": "history", "key": f"h{number}", "limit": 200})
    connection = connection_of(hub)
    await until(lambda: connection.busy and not connection.write(b""))


async def test_answers_wait_for_a_slow_reader_and_nothing_is_lost(tmp_path: Path) -> None:
    async with running_hub(tmp_path, writes_burst=100) as hub:
        await fill(hub, 15)
        async with hub.enter(MARIA, tail=0) as maria:
            await ask_without_reading(hub, maria, 40)
            async with hub.rest(PRIYA) as priya:
                for number in range(30):
                    await priya.post(f"/cases/{CASE}/messages", json={"text": f"{number}"})
            assert connection_of(hub)._socket.buffered() < 1_048_576
            read_again(maria)
            await maria.expect("page", key="h39")
            await maria.expect_nothing_but("event", "ping")
    assert [event["seq"] for event in maria.events] == list(range(17, 47))
    pages = [frame["key"] for frame in maria.frames if frame["type"] == "page"]
    assert pages == [f"h{number}" for number in range(40)]


async def test_a_peer_that_has_stopped_reading_is_freed(tmp_path: Path, clock: Clock) -> None:
    async with running_hub(tmp_path, dependencies=clock.hands) as hub:
        await fill(hub, 15)
        async with hub.enter(MARIA, tail=0) as maria:
            await ask_without_reading(hub, maria, 40)
            clock.move(hub, 9)
            assert hub.hub.manager.connections == 1
            for _ in range(3):
                clock.move(hub, 5)
            await until(lambda: hub.hub.manager.connections == 0)
            read_again(maria)
            assert await maria.expect_close() in (1006, 4508)


async def test_a_peer_that_reads_slowly_is_not_taken_for_one_that_stopped(
    tmp_path: Path, clock: Clock
) -> None:
    async with running_hub(tmp_path, dependencies=clock.hands) as hub:
        await fill(hub, 15)
        async with hub.enter(MARIA, tail=0) as maria:
            await ask_without_reading(hub, maria, 40)
            socket = connection_of(hub)._socket
            for number in (10, 20, 30):
                held = socket.buffered()
                read_again(maria)
                await maria.expect("page", key=f"h{number}")
                stop_reading(maria)
                clock.move(hub, 9)
                assert held >= 0
            read_again(maria)
            await maria.expect("page", key="h39")
            await maria.expect_nothing_but("ping")


async def test_a_peer_that_takes_a_little_at_a_time_is_kept_while_it_does(
    tmp_path: Path, clock: Clock
) -> None:
    async with running_hub(tmp_path, dependencies=clock.hands) as hub:
        await fill(hub, 15)
        async with hub.enter(MARIA, tail=0) as maria:
            transport = connection_of(hub)._socket
            # The less the kernel holds, the finer are the steps in which the rest is taken.
            kernel = transport.transport.get_extra_info("socket")  # type: ignore[attr-defined]
            kernel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8_192)
            await ask_without_reading(hub, maria, 40)
            for _ in range(3):
                await take_some(maria, transport)
                clock.move(hub, 10)
                assert hub.hub.manager.connections == 1
            for _ in range(4):
                clock.move(hub, 5)
            await until(lambda: hub.hub.manager.connections == 0)


async def take_some(client: Client, transport: Socket) -> None:
    """Take from the kernel until the hub holds less for this client, and more than nothing."""
    held = transport.buffered()
    handle = client.raw.transport.get_extra_info("socket").fileno()
    async with asyncio.timeout(WITHIN):
        while not 0 < transport.buffered() < held:
            with contextlib.suppress(BlockingIOError):
                os.read(handle, 4_096)
            await asyncio.sleep(0)
            held = max(held, transport.buffered())


async def test_a_queue_that_is_too_long_ends_the_socket(tmp_path: Path) -> None:
    async with running_hub(tmp_path, queue_bytes=65_536) as hub:
        await fill(hub, 15)
        async with hub.enter(MARIA, tail=0) as maria, hub.enter(PRIYA, tail=0) as priya:
            stop_reading(maria)
            for number in range(40):
                await maria.send({"type": "history", "key": f"h{number}", "limit": 200})
            await until(lambda: len(hub.hub.manager.of_case(CASE)) == 1)
            read_again(maria)
            assert await maria.expect_close() == 4508
            goodbye = maria.frames[-1]
            assert (goodbye["type"], goodbye["reconnect"]) == ("goodbye", True)
            assert (await priya.ask(message("k")))["type"] == "ack"


async def test_a_peer_that_vanishes_while_answers_wait_for_it_is_forgotten(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        await fill(hub, 15)
        async with hub.enter(PRIYA) as priya, hub.enter(MARIA, tail=0) as maria:
            await priya.expect("presence", patient="online")
            stop_reading(maria)
            for number in range(40):
                await maria.send({"type": "history", "key": f"h{number}", "limit": 200})
            (connection,) = {
                connection
                for connection in hub.hub.manager.of_case(CASE)
                if connection.principal is not None and not connection.principal.is_staff
            }
            await until(lambda: connection.busy and not connection.write(b""))
            maria.raw.transport.abort()
            await until(lambda: hub.hub.manager.connections == 1)
            await priya.expect("presence", patient="offline")


async def test_what_was_sent_before_leaving_is_still_done(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        async with hub.enter(MARIA) as maria:
            for number in range(5):
                await maria.send(message(f"{number}", f"{number}"))
        await until(lambda: hub.hub.manager.connections == 0)
        async with hub.enter(PRIYA) as priya:
            assert [event["data"].get("text") for event in priya.events[1:]] == [
                f"{number}" for number in range(5)
            ]


async def test_a_history_that_changed_cuts_its_readers(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.enter(MARIA) as maria:
        for stream in list(hub.hub.rooms._feeds[CASE]._streams.values()):
            stream.lose()
        assert await maria.expect_close() == 4510
        assert maria.frames[-1]["reconnect"] is True


async def test_what_goes_on_without_a_socket_is_harmless(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.enter(MARIA) as maria:
        connection = connection_of(hub)
        await maria.raw.close()
        await until(lambda: connection.closed)
        connection.send_text("{}")
        connection.sweep()
        await connection.drained()
        hub.hub.manager.send_away(connection)


# Faults of one socket, and the others.


async def test_a_ping_falls_due_while_the_last_frame_of_a_lost_peer_is_handled(
    tmp_path: Path, clock: Clock
) -> None:
    async with running_hub(tmp_path, dependencies=clock.hands) as hub, hub.enter(MARIA):
        connection = connection_of(hub)
        connection.heard()
        connection.lost()
        clock.move(hub, 31)
        assert not hub.hub.failed
        connection.answered()


async def test_a_client_is_not_blamed_for_a_silence_in_which_it_was_not_listened_to(
    tmp_path: Path, clock: Clock
) -> None:
    async with running_hub(tmp_path, dependencies=clock.hands) as hub, hub.enter(MARIA) as maria:
        connection = connection_of(hub)
        await maria.send({"type": "pong", "seq": 1})
        await maria.expect_nothing_but()
        connection.heard()
        for _ in range(4):
            clock.move(hub, 30)
        connection.answered()
        clock.move(hub, 1)
        await maria.expect_nothing_but("ping")


@pytest.mark.parametrize("method", ["flush", "sweep", "end"])
async def test_a_fault_with_one_socket_is_not_felt_by_the_others(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    async with running_hub(tmp_path, dependencies=clock.hands) as hub, hub.enter(MARIA):
        faulty = connection_of(hub)
        async with hub.enter(PRIYA) as priya:
            work = getattr(Connection, method)

            def fail(connection: Connection, *given: Any) -> None:
                if connection is faulty:
                    raise ZeroDivisionError
                work(connection, *given)

            monkeypatch.setattr(Connection, method, fail)
            for key in ("k1", "k2"):
                assert (await priya.ask(message(key)))["type"] == "ack"
            clock.move(hub, 31)
            if method == "end":
                hub.hub.manager.turn_out(lambda by: by.id == MARIA.sub)
            await priya.expect("ping")
            await until(lambda: len(hub.hub.manager.of_case(CASE)) == 1)
