"""How a hub ends: nobody is dropped without a word, and nobody can hold it up."""

import asyncio
import contextlib
import signal
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from hub.app import Hub, create_app
from hub.server import HubServer, server_config
from hub.settings import Settings
from rooms.log import Receipt
from tests.kit import CASE, MARIA, PRIYA, WITHIN, RunningHub, running_hub

MESSAGE = {"type": "message", "key": "k", "text": "the last word"}


class Gate:
    """Holds up what is appended to the log, until it is opened."""

    def __init__(self, hub: RunningHub, patch: pytest.MonkeyPatch) -> None:
        self._append = hub.hub.rooms.log.append
        self.reached = asyncio.Event()
        self.open = asyncio.Event()
        patch.setattr(hub.hub.rooms.log, "append", self.append)

    async def append(self, *args: Any, **options: Any) -> Receipt:
        self.reached.set()
        async with asyncio.timeout(WITHIN):
            await self.open.wait()
        return await self._append(*args, **options)


async def status(hub: RunningHub, path: str) -> int:
    async with httpx2.AsyncClient() as http:
        return (await http.get(hub.http + path)).status_code


async def test_a_hub_that_is_about_to_go_is_not_ready_and_serves_on(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.enter(MARIA) as maria:
        assert (await status(hub, "/readyz"), await status(hub, "/healthz")) == (200, 200)
        hub.hub.begin_drain()
        assert (await status(hub, "/readyz"), await status(hub, "/healthz")) == (503, 200)
        assert (await maria.ask(MESSAGE))["type"] == "ack"


async def test_everybody_is_told_to_come_back_spread_over_time(tmp_path: Path) -> None:
    numbers = iter([0.0, 0.25, 0.999])
    dependencies = {"random": lambda: next(numbers)}
    async with (
        running_hub(tmp_path, dependencies=dependencies) as hub,
        hub.enter(MARIA) as maria,
        hub.enter(PRIYA) as priya,
        hub.socket() as silent,
    ):
        await silent.expect("hello")
        hub.server.handle_exit(signal.SIGTERM, None)
        waits = []
        for client in (maria, priya, silent):
            assert await client.expect_close() == 4503
            goodbye = client.frames[-1]
            assert (goodbye["type"], goodbye["code"], goodbye["reconnect"]) == (
                "goodbye",
                4503,
                True,
            )
            waits.append(goodbye["in_ms"])
    assert sorted(waits) == [0, 500, 1_998]


async def test_a_command_in_flight_is_answered_before_the_goodbye(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        running_hub(tmp_path) as hub,
        hub.enter(MARIA) as maria,
        hub.enter(PRIYA) as priya,
    ):
        gate = Gate(hub, monkeypatch)
        await maria.send(MESSAGE)
        await gate.reached.wait()
        hub.server.handle_exit(signal.SIGTERM, None)
        assert await priya.expect_close() == 4503
        assert await status(hub, "/readyz") == 503
        with pytest.raises(InvalidStatus) as refusal:
            async with connect(f"{hub.ws}/api/v1/cases/{CASE}/ws"):
                pass
        assert refusal.value.response.status_code == 503
        assert refusal.value.response.headers["Retry-After"] == "2"
        gate.open.set()
        assert await maria.expect_close() == 4503
    assert [frame["type"] for frame in maria.frames[-3:]] == ["event", "ack", "goodbye"]
    async with running_hub(tmp_path, open_case=False) as hub, hub.enter(MARIA) as maria:
        assert maria.events[-1]["data"]["text"] == "the last word"


async def test_a_command_that_takes_too_long_does_not_hold_up_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_hub(tmp_path, drain_s=0.05) as hub, hub.enter(MARIA) as maria:
        gate = Gate(hub, monkeypatch)
        await maria.send(MESSAGE)
        await gate.reached.wait()
        hub.server.should_exit = True
        assert await maria.expect_close() == 4503
        gate.open.set()


async def test_a_peer_that_does_not_read_does_not_hold_up_the_end(tmp_path: Path) -> None:
    async with running_hub(tmp_path, drain_s=0.05) as hub, hub.enter(MARIA) as maria:
        maria.raw.transport.pause_reading()
        async with hub.rest(PRIYA) as http:
            for _ in range(5):
                await http.post(f"/cases/{CASE}/messages", json={"text": "☃" * 10_000})
        hub.server.should_exit = True
        await ended(hub)
        maria.raw.transport.resume_reading()


async def ended(hub: RunningHub) -> None:
    async with asyncio.timeout(WITHIN):
        while hub.server.server_state.connections:  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0.01)


async def test_a_dead_peer_is_freed_even_if_much_is_left_for_it(tmp_path: Path) -> None:
    async with running_hub(tmp_path, queue_bytes=10_000_000) as hub:
        async with hub.rest(PRIYA) as http:
            for _ in range(15):
                await http.post(f"/cases/{CASE}/messages", json={"text": "☃" * 10_000})
        async with hub.enter(MARIA, tail=0) as maria:
            maria.raw.transport.pause_reading()
            for number in range(40):
                await maria.send({"type": "history", "key": f"{number}", "limit": 200})
            (connection,) = hub.hub.manager.of_case(CASE)
            async with asyncio.timeout(WITHIN):
                while connection.write(b""):  # noqa: ASYNC110 - no event tells it
                    await asyncio.sleep(0.005)
            # What the server does when its own ping was not answered.
            connection._socket.keepalive_timeout()  # type: ignore[attr-defined]
            await ended(hub)
            maria.raw.transport.resume_reading()


def server(folder: Path) -> HubServer:
    settings = Settings(dev=True, port=0, data_dir=folder, max_frame=5_000, heartbeat_s=7)
    hub = Hub(settings)
    return HubServer(server_config(create_app(hub), settings), hub)


async def test_a_second_interrupt_ends_at_once_and_a_second_sigterm_does_not(
    tmp_path: Path,
) -> None:
    one = server(tmp_path)
    assert not one._hub.draining  # type: ignore[attr-defined]
    one.handle_exit(signal.SIGTERM, None)
    assert one._hub.draining  # type: ignore[attr-defined]
    one.handle_exit(signal.SIGTERM, None)
    assert (one.should_exit, one.force_exit) == (True, False)
    one.handle_exit(signal.SIGINT, None)
    assert one.force_exit


async def test_the_settings_reach_the_server(tmp_path: Path) -> None:
    config = server(tmp_path).config
    assert config.ws_max_size == 5_000
    assert config.ws_ping_interval == 7
    assert config.ws_per_message_deflate is False
    assert (config.host, config.port) == ("127.0.0.1", 0)
    assert config.forwarded_allow_ips == "127.0.0.1"


async def test_a_background_task_that_dies_ends_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(every: float) -> None:
        raise ZeroDivisionError

    settings = Settings(dev=True, port=0, data_dir=tmp_path)
    hub = Hub(settings)
    monkeypatch.setattr(hub.manager, "run", die)
    async with asyncio.timeout(WITHIN):
        await HubServer(server_config(create_app(hub), settings), hub).serve()
    assert hub.failed


async def test_a_handshake_that_is_none_is_refused(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, httpx2.AsyncClient() as http:
        headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "x"}
        answer = await http.get(f"{hub.http}/api/v1/cases/{CASE}/ws", headers=headers)
        assert answer.status_code in (400, 426)
        assert await status(hub, "/healthz") == 200


# Requests that do not end.


@pytest.mark.parametrize("begin", [b"GET /", b"GET / HTTP/1.1\r\nX: "])
async def test_a_request_whose_head_does_not_end_is_dropped(tmp_path: Path, begin: bytes) -> None:
    async with running_hub(tmp_path) as hub:
        reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
        async with asyncio.timeout(WITHIN):
            with contextlib.suppress(ConnectionError):
                writer.write(begin + b"a" * 4_000_000)
                await writer.drain()
                assert await reader.read() == b""
        writer.close()
        assert await status(hub, "/healthz") == 200


@pytest.mark.parametrize("begin", [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n"])
async def test_a_request_that_does_not_come_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begin: bytes
) -> None:
    monkeypatch.setattr("hub.protocols.REQUEST_S", 0.1)
    async with running_hub(tmp_path) as hub:
        reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
        writer.write(begin)
        async with asyncio.timeout(WITHIN):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()


async def test_an_upgrade_that_is_refused_unread_is_not_kept(tmp_path: Path) -> None:
    upgrade = (
        f"GET /api/v1/cases/{CASE}/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    )
    many = "".join(f"X-{number}: y\r\n" for number in range(300))
    async with running_hub(tmp_path) as hub:
        reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
        writer.write(f"{upgrade}{many}\r\n".encode())
        async with asyncio.timeout(WITHIN):
            with contextlib.suppress(ConnectionError):
                assert b"101" not in await reader.read()
        writer.close()
