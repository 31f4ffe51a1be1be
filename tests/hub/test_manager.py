"""Every socket of a process: counted, found by its case, and let go in order."""

import asyncio
import signal
from pathlib import Path

import httpx2
import pytest

from auth.principal import Role
from hub.manager import ConnectionManager
from tests.kit import CASE, MARIA, PRIYA, WITHIN, Identity, RunningHub, running_hub


def manager(per_user: int = 1, pending: int = 2) -> ConnectionManager:
    def never() -> float:
        raise AssertionError("not asked for")

    return ConnectionManager(
        per_user=per_user,
        pending_per_address=pending,
        now=lambda: (_ for _ in ()).throw(AssertionError),
        monotonic=lambda: 0.0,
        random=never,
    )


def test_an_address_has_only_so_many_sockets_that_wait() -> None:
    door = manager(pending=2)
    assert [door.knock("a") for _ in range(3)] == [True, True, False]
    assert door.knock("b")
    door.knocked("a")
    assert [door.knock("a") for _ in range(2)] == [True, False]


async def eventually_open(hub: RunningHub, sockets: int) -> None:
    async with asyncio.timeout(WITHIN):
        while hub.hub.manager.connections != sockets:  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0.005)


async def test_the_more_leave_the_longer_is_the_time_over_which_they_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.manager.SPREAD_EACH_MS", 5_000)
    dependencies = {"random": lambda: 0.5}
    async with (
        running_hub(tmp_path, dependencies=dependencies) as hub,
        hub.enter(MARIA) as maria,
        hub.enter(PRIYA),
    ):
        hub.server.handle_exit(signal.SIGTERM, None)
        assert (await maria.expect("goodbye"))["in_ms"] == 5_000


async def test_sockets_are_counted_by_case(tmp_path: Path) -> None:
    paul = Identity("user_paul", "Paul", patient_id="patient_paul")
    async with running_hub(tmp_path) as hub:
        await hub.open_case("case-2", paul)
        books = hub.hub.manager
        async with hub.enter(MARIA), hub.enter(PRIYA), hub.enter(PRIYA, "case-2"):
            assert (books.connections, books.rooms) == (3, 2)
            assert (len(books.of_case(CASE)), len(books.of_case("case-2"))) == (2, 1)
            async with hub.socket() as silent:
                await silent.expect("hello")
                assert (books.connections, len(books.of_case(CASE))) == (4, 2)
            await eventually_open(hub, 3)
        await eventually_open(hub, 0)
        assert (books.rooms, books.of_case(CASE)) == (0, set())


async def test_users_of_one_name_in_two_tenants_are_two(tmp_path: Path) -> None:
    async with running_hub(tmp_path, sockets_per_user=1) as hub:
        paul = Identity("user_paul", "Paul", patient_id="p", tenant="another")
        twin = Identity(PRIYA.sub, "Priya", Role.COORDINATOR, tenant="another")
        assert paul.patient_id is not None
        async with hub.rest(twin) as http:
            body = {"name": "Paul", "patient_id": paul.patient_id}
            case = (await http.post("/patients", json=body)).json()["case"]
        async with hub.enter(PRIYA), hub.enter(twin, case):
            assert hub.hub.manager.connections == 2


async def test_the_metrics_count_what_is_open(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.enter(MARIA) as maria, hub.enter(PRIYA):
        await maria.ask({"type": "message", "key": "k", "text": "Hello"})
        async with httpx2.AsyncClient() as http:
            metrics = (await http.get(f"{hub.http}/metrics")).text
    for line in (
        "hub_sockets 2.0",
        "hub_rooms 1.0",
        "hub_sse_streams 0.0",
        "hub_events_committed 2.0",
        "hub_draining 0.0",
    ):
        assert line in metrics.splitlines()
