"""The desk: coordinators see every open case of their tenant, live, and nobody else does."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from auth.principal import Role
from hub.asyncapi import asyncapi
from hub.client_frames import CLIENT_FRAMES, DESK_FRAMES
from hub.connection import Connection
from hub.server_frames import DESK_SERVER_FRAMES, ServerFrame
from rooms.broker import MemoryBroker
from rooms.commands import Accept, Command, Release, SendMessage, SetStatus
from rooms.database import open_database
from rooms.desk import Desks
from rooms.errors import Unavailable
from rooms.events import Status
from rooms.service import Rooms
from tests.hub.test_client_frames import LEAST
from tests.hub.test_connection import Clock, sent_nothing, until
from tests.kit import (
    CASE,
    MARIA,
    PRIYA,
    TENANT,
    WITHIN,
    Client,
    Frame,
    Identity,
    RunningHub,
    raw_socket,
    running_hub,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAM = Identity("user_sam", "Sam", Role.SUPERVISOR)
FRAN = Identity("user_fran", "Fran", Role.SUPERVISOR, tenant="another")
PAUL = Identity("user_paul", "Paul", patient_id="patient_paul")
SECRET = "a secret of other back ends, long enough"
FLAG = "coordinator_enabled"
FRESH = {
    "case": CASE,
    "patient": "Maria",
    "control": "ai",
    "owner": None,
    "owner_id": None,
    "status": "intake",
    "waiting_since": None,
    "escalation": None,
    "reminders": 0,
    "last_message_at": None,
    "preview": "",
    "unread": 0,
}


@contextlib.asynccontextmanager
async def desk_socket(hub: RunningHub, **options: Any) -> AsyncIterator[Client]:
    """Open a socket that has not said who it is."""
    async with connect(f"{hub.ws}/api/v1/desk/ws", **options) as raw:
        yield Client(raw, "")


async def say_who(client: Client, token: str, **members: Any) -> None:
    await client.expect("hello")
    await client.send({"type": "auth", "token": token, **members})


@contextlib.asynccontextmanager
async def at_desk(hub: RunningHub, who: Identity = PRIYA, **options: Any) -> AsyncIterator[Client]:
    """Open a desk, and read up to `ready`."""
    async with desk_socket(hub, **options) as client:
        await say_who(client, hub.token(who))
        await client.expect("ready")
        yield client


async def turned_away(client: Client) -> tuple[int, str, str]:
    """Give the close code, and the code and message of the error."""
    code = await client.expect_close()
    error, goodbye = client.frames[1:]
    assert (error["type"], goodbye["type"], goodbye["code"]) == ("error", "goodbye", code)
    assert goodbye["reason"] == error["message"]
    return code, error["code"], error["message"]


async def refusal(hub: RunningHub, **options: Any) -> tuple[int, Frame]:
    with pytest.raises(InvalidStatus) as refused:
        async with desk_socket(hub, **options):
            pass
    response = refused.value.response
    error: Frame = json.loads(response.body or b"")["error"]
    return response.status_code, error


async def do(hub: RunningHub, who: Identity, command: Command, key: str, case: str = CASE) -> None:
    await hub.hub.rooms.handle(case, command, who.principal(), key)


async def switch(hub: RunningHub, who: Identity, on: bool | None) -> None:
    async with hub.rest(who) as http:
        answer = await http.post("/flags", json={"name": FLAG, "on": on})
    assert answer.status_code == 200, answer.text


async def open_foreign_case(hub: RunningHub) -> str:
    async with hub.rest(FRAN) as http:
        answer = await http.post("/patients", json={"name": "Olga", "patient_id": "olga"})
    case: str = answer.json()["case"]
    return case


# Who may have a desk.


async def test_a_desk_begins_with_all_open_cases(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        await hub.open_case("case-2", PAUL)
        await do(hub, PRIYA, SetStatus(Status.CLOSED), "c", "case-2")
        await open_foreign_case(hub)
        async with desk_socket(hub) as client:
            hello = await client.receive()
            assert (hello["type"], hello["v"]) == ("hello", 1)
            token = hub.token(SAM)
            await client.send({"type": "auth", "token": token, "tenant": TENANT, "after": "x"})
            ready = await client.receive()
            assert ready.pop("exp").endswith("Z")
            assert ready == {
                "type": "ready",
                "you": {"id": "user_sam", "role": "supervisor", "name": "Sam"},
                "cases": [FRESH],
            }
            await client.expect_nothing_but()


@pytest.mark.parametrize("who", [MARIA, None], ids=["patient", "service"])
async def test_patients_and_services_have_no_desk(tmp_path: Path, who: Identity | None) -> None:
    async with running_hub(tmp_path, service_token=SECRET) as hub, desk_socket(hub) as client:
        token = SECRET if who is None else hub.token(who)
        await say_who(client, token, tenant=TENANT)
        assert (await turned_away(client))[:2] == (4403, "forbidden")


@pytest.mark.parametrize(
    ("first", "code", "error"),
    [
        ({"type": "ping"}, 4400, "bad_frame"),
        ({"type": "message", "text": "Hello"}, 4400, "bad_type"),
        ({"type": "auth"}, 4400, "invalid"),
        ({"type": "auth", "token": "a.b.c"}, 4401, "unauthenticated"),
    ],
)
async def test_only_auth_is_understood_first(
    hub: RunningHub, first: Frame, code: int, error: str
) -> None:
    async with desk_socket(hub) as client:
        await client.send(first)
        assert (await turned_away(client))[:2] == (code, error)


async def test_whoever_does_not_say_who_they_are_is_let_go(tmp_path: Path) -> None:
    async with running_hub(tmp_path, auth_within_s=0.05) as hub, desk_socket(hub) as client:
        assert await client.expect_close() == 4408


async def test_the_page_of_a_stranger_is_refused_before_the_upgrade(hub: RunningHub) -> None:
    status, error = await refusal(hub, origin="https://evil.example")
    assert (status, error["code"]) == (403, "forbidden")


async def test_a_user_has_only_so_many_sockets_in_rooms_and_at_desks(tmp_path: Path) -> None:
    async with running_hub(tmp_path, sockets_per_user=2) as hub:
        async with hub.enter(PRIYA), at_desk(hub) as first, desk_socket(hub) as client:
            await say_who(client, hub.token(PRIYA))
            assert await client.expect_close() == 4409
            await first.expect_nothing_but()
            assert (hub.hub.manager.rooms, hub.hub.manager.connections) == (1, 2)
        await until(lambda: hub.hub.manager.connections == 0)
        async with at_desk(hub):
            assert hub.hub.manager.rooms == 0


async def test_a_log_that_cannot_be_read_asks_to_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*args: Any) -> Any:
        raise Unavailable

    async with running_hub(tmp_path) as hub, desk_socket(hub) as client:
        with monkeypatch.context() as patch:
            patch.setattr(hub.hub.rooms.log, "open_cases", fail)
            await say_who(client, hub.token(PRIYA))
            assert (await turned_away(client))[:2] == (4500, "unavailable")
        assert not hub.hub.rooms.presence.is_connected(TENANT, PRIYA.sub)


async def test_whoever_is_at_a_desk_is_connected(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        presence = hub.hub.rooms.presence
        async with at_desk(hub):
            assert presence.is_connected(TENANT, PRIYA.sub)
            async with at_desk(hub):
                pass
            await until(lambda: hub.hub.manager.connections == 1)
            assert presence.is_connected(TENANT, PRIYA.sub)
        await until(lambda: not presence.is_connected(TENANT, PRIYA.sub))


# What changes.


@pytest.mark.parametrize(
    ("frame", "trigger", "preview"),
    [
        ({"type": "escalate", "key": "k"}, "button", ""),
        ({"type": "message", "key": "k", "text": "Can I talk to a human?"}, "phrase", "Can I"),
    ],
    ids=["button", "words"],
)
async def test_an_escalation_is_on_every_desk_within_a_second(
    tmp_path: Path, frame: Frame, trigger: str, preview: str
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        hub = await stack.enter_async_context(running_hub(tmp_path, sockets_per_user=30))
        desks = [await stack.enter_async_context(at_desk(hub)) for _ in range(20)]
        maria = await stack.enter_async_context(hub.enter(MARIA))
        async with asyncio.timeout(1):
            await maria.ask(frame)
            cases = [await desk.expect("case", control="waiting") for desk in desks]
    assert [case["escalation"] for case in cases] == [trigger] * 20
    assert all(case["waiting_since"] and case["preview"].startswith(preview) for case in cases)


async def test_a_desk_follows_a_case_from_its_opening_to_its_end_and_back(tmp_path: Path) -> None:
    async with running_hub(tmp_path, open_case=False) as hub, at_desk(hub, SAM) as desk:
        assert desk.frames[-1]["cases"] == []
        await hub.open_case()
        assert await desk.receive() == {"type": "case", **FRESH}
        async with hub.enter(MARIA) as maria, hub.enter(PRIYA) as priya:
            said = await maria.ask({"type": "message", "key": "1", "text": "x" * 200})
            case = await desk.receive()
            assert (case["preview"], case["unread"]) == ("x" * 120, 1)
            assert case["last_message_at"] == said["at"]
            await priya.expect("event", kind="message")
            await priya.send({"type": "read", "seq": 2})
            assert await desk.receive() == {**case, "unread": 0}
            await priya.ask({"type": "accept", "key": "2"})
            led = {"control": "human", "owner": "Priya", "owner_id": PRIYA.sub}
            assert await desk.receive() == {**case, "unread": 0, **led}
            await priya.ask({"type": "release", "key": "3", "to": "queue"})
            released = await desk.receive()
            assert (released["control"], released["owner"]) == ("waiting", None)
            assert released["waiting_since"].endswith("Z")
            await priya.ask({"type": "note", "key": "4", "text": "psst"})
            await priya.ask({"type": "status", "key": "5", "status": "on_hold"})
            assert await desk.receive() == {**released, "status": "on_hold"}
            for status in ("closed", "active", "archived"):
                await priya.ask({"type": "status", "key": status, "status": status})
                frame = await desk.receive()
                assert (frame["type"], frame["case"]) == (
                    "case" if status == "active" else "case_closed",
                    CASE,
                )
                assert frame.get("status", "active") == "active"
        await desk.expect_nothing_but()


async def test_nothing_of_another_tenant_is_on_a_desk(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, at_desk(hub) as ours, at_desk(hub, FRAN) as theirs:
        assert theirs.frames[-1]["cases"] == []
        case = await open_foreign_case(hub)
        assert (await theirs.receive())["case"] == case
        await do(hub, MARIA, SendMessage("Hello"), "m")
        assert (await ours.receive())["preview"] == "Hello"
        await ours.expect_nothing_but()
        await theirs.expect_nothing_but()


async def test_who_waits_longest_comes_first_and_then_who_wrote_last(tmp_path: Path) -> None:
    clock = Clock()
    async with running_hub(tmp_path, open_case=False, dependencies=clock.hands) as hub:
        steps = [("b", 1, True), ("c", 2, False), ("a", 3, True), ("d", 4, False), ("e", 0, False)]
        for case, minutes, waits in steps:
            patient = Identity(f"user_{case}", case, patient_id=f"patient_{case}")
            await hub.open_case(case, patient)
            clock.now += timedelta(minutes=minutes)
            if minutes:
                text = "Can I talk to a human?" if waits else "Hello"
                await do(hub, patient, SendMessage(text), "m", case)
        async with at_desk(hub) as desk:
            assert [each["case"] for each in desk.frames[-1]["cases"]] == ["b", "a", "d", "c", "e"]


async def test_what_another_process_did_and_no_hint_told_is_found_by_the_audit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.app.Desks", partial(Desks, audit_every=0.05))
    async with running_hub(tmp_path) as hub, at_desk(hub) as desk:
        there = Rooms(
            open_database(hub.hub.settings.database),
            MemoryBroker(),
            now=hub.hub.now,
            new_id=lambda prefix: f"{prefix}_elsewhere",
        )
        async with there.running():
            await there.handle(CASE, Accept(), PRIYA.principal(), "k")
        assert (await desk.receive())["owner"] == "Priya"


async def test_more_cases_than_a_socket_takes_at_once_come_one_by_one(tmp_path: Path) -> None:
    async with running_hub(tmp_path, open_case=False, queue_bytes=65_536) as hub:
        names = [f"case-{number}" for number in range(150)]
        async with asyncio.TaskGroup() as tasks:
            for name in names:
                patient = Identity(f"user of {name}", "☃" * 200, patient_id=name)
                tasks.create_task(hub.open_case(name, patient))
        async with at_desk(hub) as desk:
            cases = [each["case"] for each in desk.frames[-1]["cases"]]
            assert 10 < len(cases) < 100
            while len(cases) < 150:
                cases.append((await desk.receive())["case"])
            await desk.expect_nothing_but()
    assert cases == sorted(names)


# Frames, limits and time.


@pytest.mark.parametrize("type", sorted(CLIENT_FRAMES.keys() - DESK_FRAMES.keys() | {"boo"}))
async def test_what_belongs_to_rooms_is_unknown_at_a_desk(hub: RunningHub, type: str) -> None:
    async with at_desk(hub) as desk:
        answer = await desk.ask({"type": type, **LEAST.get(type, {}), "key": "k"})
        assert (answer["code"], answer["key"]) == ("bad_type", "k")
        assert answer["message"] == "`type` must be one of auth, token, ping, pong."
        await desk.expect_nothing_but()


async def test_a_desk_renews_its_token_and_ends_without(tmp_path: Path) -> None:
    clock = Clock()
    async with running_hub(tmp_path, dependencies=clock.hands) as hub, at_desk(hub) as desk:
        clock.move(hub, 3_600)
        token = hub.token(PRIYA, timedelta(minutes=1))
        ack = await desk.ask({"type": "token", "key": "t", "token": token})
        assert ack == {"type": "ack", "key": "t", "exp": "2026-11-20T19:01:00.000Z"}
        answer = await desk.ask({"type": "token", "key": "s", "token": hub.token(SAM)})
        assert answer["code"] == "forbidden"
        answer = await desk.ask({"type": "auth", "key": "a", "token": hub.token(PRIYA)})
        assert answer["code"] == "conflict"
        clock.move(hub, 90)
        assert await desk.expect_close() == 4401
        await until(lambda: not hub.hub.rooms.presence.is_connected(TENANT, PRIYA.sub))


async def test_a_ping_without_a_cursor_comes_after_silence(tmp_path: Path) -> None:
    clock = Clock()
    async with running_hub(tmp_path, dependencies=clock.hands) as hub, at_desk(hub) as desk:
        clock.move(hub, 29)
        await sent_nothing(desk)
        clock.move(hub, 1)
        assert await desk.receive() == {"type": "ping"}
        await desk.send({"type": "pong"})
        await desk.expect_nothing_but()
        for _ in range(2):
            clock.move(hub, 30)
            assert await desk.receive() == {"type": "ping"}
        clock.move(hub, 30)
        assert await desk.expect_close() == 4504


async def test_a_desk_that_asks_too_fast_is_let_go(tmp_path: Path) -> None:
    limits: Any = {"signals_burst": 5}
    async with (
        running_hub(tmp_path, dependencies=Clock().hands, **limits) as hub,
        at_desk(hub) as desk,
    ):
        for _ in range(40):
            await desk.send({"type": "ping"})
        assert await desk.expect_close() == 4529
        assert "rate_limited" in [frame.get("code") for frame in desk.frames]


async def test_a_drain_says_goodbye(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, at_desk(hub) as desk:
        hub.server.should_exit = True
        goodbye = await desk.expect("goodbye", code=4503, reconnect=True)
        assert 0 <= goodbye["in_ms"] <= 2_000
        assert await desk.expect_close() == 4503


async def test_a_desk_that_stops_reading_is_told_the_newest_only_and_does_not_grow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.app.Desks", partial(Desks, every=0.0))
    async with running_hub(tmp_path, open_case=False) as hub, at_desk(hub) as quick:
        cases = [f"case-{number}" for number in range(20)]
        for case in cases:
            await hub.open_case(case, Identity(f"user of {case}", "Maria", patient_id=case))
        with raw_socket(hub.port) as raw:
            async with at_desk(hub, SAM, sock=raw, max_queue=None) as slow:
                slow.raw.transport.pause_reading()
                (connection,) = [each for each in seated(hub) if owner(each) == SAM.sub]
                most = 0
                for number in range(60):
                    await say_in_all(hub, cases, "☃" * 110 + str(number))
                    most = max(most, connection._socket.buffered())
                await has_seen(quick, cases, "59")
                assert not connection.write(b"")
                assert 0 < most < 200_000
                slow.raw.transport.resume_reading()
                await has_seen(slow, cases, "59")
                assert len(slow.frames) < len(quick.frames) - 200
                await slow.expect_nothing_but()


def seated(hub: RunningHub) -> list[Connection]:
    return list(hub.hub.manager._all)


def owner(connection: Connection) -> str:
    assert connection.principal is not None
    return connection.principal.id


async def say_in_all(hub: RunningHub, cases: list[str], text: str) -> None:
    async with asyncio.TaskGroup() as tasks:
        for case in cases:
            tasks.create_task(do(hub, PRIYA, SendMessage(text), text, case))


async def has_seen(desk: Client, cases: list[str], end: str) -> None:
    missing = set(cases)
    async with asyncio.timeout(WITHIN):
        while missing:
            frame = await desk.receive()
            if frame["type"] == "case" and frame["preview"].endswith("☃" + end):
                missing.discard(frame["case"])


async def test_a_desk_that_has_stopped_reading_is_freed(tmp_path: Path) -> None:
    clock = Clock()
    async with running_hub(tmp_path, dependencies=clock.hands) as hub:
        with raw_socket(hub.port) as raw:
            async with at_desk(hub, sock=raw, max_queue=None) as desk:
                desk.raw.transport.pause_reading()
                (connection,) = seated(hub)
                await until(lambda: not connection.write(bytes(10_000)))
                clock.move(hub, 5)
                assert not connection.closed
                clock.move(hub, 10)
                assert connection.closed
                await until(lambda: hub.hub.manager.connections == 0)
                desk.raw.transport.abort()
        assert not hub.hub.rooms.presence.is_connected(TENANT, PRIYA.sub)


# The flag.


async def test_without_coordinators_anywhere_there_is_no_such_address(tmp_path: Path) -> None:
    async with running_hub(tmp_path, flag_coordinator_enabled=False) as hub:
        status, error = await refusal(hub)
        assert (status, error["code"]) == (404, "not_found")
        assert FLAG in error["message"]
        await switch(hub, SAM, True)
        async with at_desk(hub) as desk:
            await desk.expect_nothing_but()
        async with desk_socket(hub) as client:
            await say_who(client, hub.token(FRAN))
            code, name, message = await turned_away(client)
    assert (code, name) == (4403, "not_found")
    assert FLAG in message


async def test_a_desk_that_is_switched_off_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.desk_door.LOOK_EVERY", 0.02)
    async with running_hub(tmp_path) as hub, at_desk(hub) as ours, at_desk(hub, FRAN) as theirs:
        await switch(hub, SAM, False)
        goodbye = await ours.expect("goodbye", code=4403, reconnect=False)
        assert FLAG in goodbye["reason"]
        assert await ours.expect_close() == 4403
        await theirs.expect_nothing_but()
        await switch(hub, SAM, None)
        async with at_desk(hub) as again:
            await again.expect_nothing_but()


# What is described.


async def test_all_frames_at_a_desk_fit_their_schemas(tmp_path: Path) -> None:
    document = asyncapi()
    channel = document["channels"]["desk"]
    async with running_hub(tmp_path, heartbeat_s=0.1) as hub, at_desk(hub) as desk:
        await do(hub, MARIA, SendMessage("Can I talk to a human?"), "1")
        await desk.expect("case")
        await do(hub, PRIYA, Accept(), "2")
        await do(hub, PRIYA, Release(), "3")
        await do(hub, PRIYA, SetStatus(Status.CLOSED), "4")
        await desk.expect("case_closed")
        token = hub.token(PRIYA, timedelta(hours=2))
        await desk.ask({"type": "token", "key": "t", "token": token})
        await desk.ask({"type": "message", "key": "m", "text": "Hello"})
        await desk.ask({"type": "ping", "key": "p"})
        await desk.expect("ping")
        hub.server.should_exit = True
        await desk.expect_close()
    assert {frame["type"] for frame in desk.frames} == DESK_SERVER_FRAMES.keys()
    for frame in desk.frames:
        pointer = channel["messages"][f"hub.{frame['type']}"]["$ref"].rpartition("/")[2]
        schema = document["components"]["messages"][pointer]["payload"]
        whole = {**schema, "components": document["components"]}
        jsonschema.Draft202012Validator(whole).validate(frame)
        model = DESK_SERVER_FRAMES[frame["type"]]
        assert model.__doc__ != ServerFrame.__doc__
        assert frame["type"] == "error" or frame.keys() <= model.model_fields.keys()
