"""The proxy does to connections what it says."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError, InvalidMessage, InvalidStatus

from tests.faulty_proxy import Asks, FaultyProxy
from tests.kit import CASE, MARIA, PRIYA, WITHIN, Client, RunningHub, running_hub

QUIET = 0.2
"""Seconds in which something would have come that does not come."""


@pytest_asyncio.fixture
async def hub(tmp_path: Path) -> AsyncIterator[RunningHub]:
    async with running_hub(tmp_path) as hub:
        yield hub


@pytest_asyncio.fixture
async def proxy(hub: RunningHub) -> AsyncIterator[FaultyProxy]:
    async with FaultyProxy(hub.port) as proxy:
        yield proxy


Opener = Callable[[], AbstractAsyncContextManager[Client]]


@pytest.fixture
def open_room(hub: RunningHub, proxy: FaultyProxy) -> Opener:
    @asynccontextmanager
    async def opener() -> AsyncIterator[Client]:
        async with connect(f"ws://127.0.0.1:{proxy.port}/api/v1/cases/{CASE}/ws") as raw:
            client = Client(raw, CASE)
            await client.expect("hello")
            await client.send({"type": "auth", "token": hub.token(MARIA)})
            await client.expect("presence")
            yield client
            raw.transport.abort()

    return opener


def rest(hub: RunningHub, proxy: FaultyProxy) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        base_url=f"{proxy.origin}/api/v1/cases/{CASE}", headers=hub.headers(MARIA), timeout=WITHIN
    )


async def nothing_comes(raw: ClientConnection) -> bool:
    try:
        await asyncio.wait_for(raw.recv(), QUIET)
    except TimeoutError:
        return True
    return False


async def test_a_good_proxy_lets_everything_pass(
    hub: RunningHub, proxy: FaultyProxy, open_room: Opener
) -> None:
    async with open_room() as maria, rest(hub, proxy) as calls:
        answer = await calls.post("/messages", json={"text": "Hello"})
        assert answer.status_code == 201
        await maria.expect_message("Hello")
        assert b'"text":"Hello"' in proxy.heard
        assert f"POST /api/v1/cases/{CASE}/messages HTTP/1.1" in proxy.asked


async def test_a_cut_breaks_the_connections_that_there_are(
    proxy: FaultyProxy, open_room: Opener
) -> None:
    async with open_room() as maria:
        proxy.cut()
        with pytest.raises(ConnectionClosedError):
            await maria.raw.recv()
    async with open_room():
        pass


async def test_from_a_black_hole_nothing_comes_back_not_even_after_it_has_gone(
    hub: RunningHub, proxy: FaultyProxy, open_room: Opener
) -> None:
    async with open_room() as maria, hub.enter(PRIYA) as priya:
        proxy.black_hole()
        await maria.send({"type": "ping", "key": "lost"})
        await priya.ask({"type": "message", "key": "m1", "text": "Are you there?"})
        assert await nothing_comes(maria.raw)
        with pytest.raises(TimeoutError):
            await connect(f"ws://127.0.0.1:{proxy.port}/x", open_timeout=QUIET)
        proxy.heal()
        assert await nothing_comes(maria.raw)
        async with open_room() as again:
            await again.expect_nothing_but("presence")


async def test_a_proxy_that_refuses_lets_nobody_in(
    hub: RunningHub, proxy: FaultyProxy, open_room: Opener
) -> None:
    proxy.refuses = True
    with pytest.raises((OSError, InvalidMessage)):
        async with open_room():
            pass
    proxy.heal()
    async with open_room():
        pass


async def test_a_proxy_can_forbid_sockets_and_leave_calls_alone(
    hub: RunningHub, proxy: FaultyProxy, open_room: Opener
) -> None:
    proxy.forbids = {Asks.SOCKET}
    async with rest(hub, proxy) as calls:
        assert (await calls.get("/events")).status_code == 200
        with pytest.raises(InvalidStatus):
            async with open_room():
                pass
        assert (await calls.get("/events")).status_code == 200


async def test_a_proxy_can_forbid_streams(hub: RunningHub, proxy: FaultyProxy) -> None:
    proxy.forbids = {Asks.STREAM}
    async with rest(hub, proxy) as calls:
        assert (await calls.get("/stream")).status_code == 403
        assert (await calls.get("/events")).status_code == 200


async def test_a_proxy_can_hold_streams_back_for_ever(hub: RunningHub, proxy: FaultyProxy) -> None:
    proxy.holds = {Asks.STREAM}
    async with rest(hub, proxy) as calls:
        with pytest.raises(httpx2.ReadTimeout):
            await calls.get("/stream", timeout=httpx2.Timeout(WITHIN, read=QUIET))
        assert (await calls.get("/events")).status_code == 200


async def test_a_slow_proxy_delays_what_passes_in_both_directions(
    proxy: FaultyProxy, open_room: Opener
) -> None:
    async with open_room() as maria:
        proxy.delay = QUIET
        clock = asyncio.get_running_loop()
        begun = clock.time()
        await maria.ask({"type": "ping", "key": "slow"})
        assert clock.time() - begun >= 2 * QUIET
