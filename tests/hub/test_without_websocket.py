"""Where no WebSocket gets through: all of it by requests and streams, and the same presence."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from ai.model import Failure
from auth.principal import Role
from rooms.commands import Accept, Escalate, SendMessage, SetStatus
from rooms.events import Status
from rooms.rows import table_of
from rooms.tables import CaseRow
from rooms.timers import LOOKS
from tests.ai.kit import GatedModel
from tests.hub.conftest import Room
from tests.hub.test_api import error_of
from tests.hub.test_connection import until
from tests.hub.test_desk import FLAG, FRAN, FRESH, PAUL, SAM, at_desk, do, switch
from tests.hub.test_takeover import controls, expect_control, put_back, timed_hub
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
    running_hub,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "a secret of other back ends, long enough"
SERVICE = Identity("service", "Service", Role.SERVICE)


async def cases(hub: RunningHub, who: Identity = PRIYA) -> list[Frame]:
    async with hub.rest(who) as http:
        answer = await http.get("/cases")
    assert answer.status_code == 200, answer.text
    assert answer.json().keys() == {"cases"}
    found: list[Frame] = answer.json()["cases"]
    return found


@asynccontextmanager
async def listening(hub: RunningHub, who: Identity) -> AsyncIterator[AsyncIterator[str]]:
    """Open the stream of the whole case, and read up to the first `presence`."""
    async with (
        hub.rest(who) as http,
        http.stream("GET", f"/cases/{CASE}/stream", timeout=None) as answer,
    ):
        assert answer.status_code == 200
        lines = answer.aiter_lines()
        while '"presence"' not in await anext(lines):
            pass
        yield lines


async def heard(lines: AsyncIterator[str], type: str) -> Frame:
    """Read a stream up to a frame of this type."""
    while True:
        line = await anext(lines)
        if line.startswith("data: ") and json.loads(line[6:])["type"] == type:
            frame: Frame = json.loads(line[6:])
            return frame


# The desk.


async def test_the_open_cases_are_those_of_the_desk_in_its_order(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        assert await cases(hub) == [FRESH]
        await hub.open_case("case-2", PAUL)
        await do(hub, PAUL, SendMessage("Hello"), "1", "case-2")
        async with hub.rest(FRAN) as http:
            await http.post("/patients", json={"name": "Olga", "patient_id": "olga"})
        async with at_desk(hub) as desk:
            assert await cases(hub) == desk.frames[-1]["cases"]
        assert [each["case"] for each in await cases(hub)] == ["case-2", CASE]
        await do(hub, MARIA, Escalate(), "2")
        assert [each["case"] for each in await cases(hub, SAM)] == [CASE, "case-2"]
        await do(hub, PRIYA, SetStatus(Status.CLOSED), "3", "case-2")
        await do(hub, PRIYA, Accept(), "4")
        (only,) = await cases(hub)
        assert (only["case"], only["owner"], only["control"]) == (CASE, "Priya", "human")
        assert [each["patient"] for each in await cases(hub, FRAN)] == ["Olga"]


async def test_whoever_has_no_desk_is_given_no_cases(tmp_path: Path) -> None:
    async with running_hub(tmp_path, service_token=SECRET) as hub:
        async with hub.rest(MARIA) as http:
            error_of(await http.get("/cases"), 403, "forbidden")
            http.headers["Authorization"] = f"Bearer {SECRET}"
            error_of(await http.get("/cases"), 403, "forbidden")
            del http.headers["X-Tenant-ID"]
            error_of(await http.get("/cases"), 401, "unauthenticated")
        await switch(hub, SAM, False)
        async with hub.rest(PRIYA) as http:
            assert FLAG in error_of(await http.get("/cases"), 404, "not_found")
        assert await cases(hub, FRAN) == []
        await switch(hub, SAM, None)
        assert await cases(hub) == [FRESH]


async def test_without_coordinators_anywhere_there_are_no_cases(tmp_path: Path) -> None:
    async with (
        running_hub(tmp_path, flag_coordinator_enabled=False) as hub,
        hub.rest(PRIYA) as http,
    ):
        assert FLAG in error_of(await http.get("/cases"), 404, "not_found")


# Events from the end.


async def told(room: Room, who: Identity, **params: Any) -> Any:
    async with room.hub.rest(who) as http:
        answer = await http.get(f"/cases/{room.case}/events", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def fill(room: Room) -> None:
    """Write nine messages of the patient, with a note before each: seqs 2 to 10, and 2 to 19."""
    for number in range(9):
        await room.post(PRIYA, "notes", {"text": "psst"})
        await room.post(room.maria, "messages", {"text": f"{number}"})


@pytest.mark.parametrize("limit", [1, 3, 4, 50])
async def test_pages_lead_back_to_the_beginning_in_ones_own_numbering(
    room: Room, limit: int
) -> None:
    await fill(room)
    for who, head in ((room.maria, 10), (PRIYA, 19)):
        whole = (await told(room, who))["events"]
        assert [event["seq"] for event in whole] == list(range(1, head + 1))
        found: list[Frame] = []
        before, more = head + 1, True
        while more:
            page = await told(room, who, before=before, limit=limit)
            assert page["cursor"] == page["events"][-1]["cursor"]
            found = page["events"] + found
            before, more = page["events"][0]["seq"], page["more"]
        assert found == whole
        # The same as by WebSocket.
        async with room.enter(who, tail=0) as client:
            asked = await client.ask({"type": "history", "key": "h", "before": 5, "limit": 3})
        page = await told(room, who, before=5, limit=3)
        assert (page["events"], page["more"]) == (asked["events"], asked["more"])


@pytest.mark.parametrize("before", [0, 1])
async def test_below_the_first_event_there_is_nothing(room: Room, before: int) -> None:
    assert await told(room, room.maria, before=before) == {
        "events": [],
        "cursor": None,
        "more": False,
    }


async def test_a_tail_is_the_end_and_leads_on_from_there(room: Room) -> None:
    await fill(room)
    for who, head in ((room.maria, 10), (PRIYA, 19)):
        whole = (await told(room, who))["events"]
        for count in (0, 1, 4, head - 1, head, 500):
            page = await told(room, who, tail=count)
            assert page["events"] == whole[max(head - count, 0) :]
            assert page["cursor"] == whole[-1]["cursor"]
            assert page["more"] is (count < head)
    cursors = [(await told(room, who, tail=0))["cursor"] for who in (room.maria, PRIYA)]
    await room.post(room.maria, "messages", {"text": "new"})
    for who, cursor in zip((room.maria, PRIYA), cursors, strict=True):
        (event,) = (await told(room, who, after=cursor))["events"]
        assert event["data"]["text"] == "new"


@pytest.mark.parametrize(
    "query",
    [
        "after=0.0&before=3",
        "after=0.0&tail=3",
        "before=3&tail=3",
        "after=0.0&before=3&tail=3",
        "tail=501",
        "tail=-1",
        "tail=x",
        "tail=",
        "before=-1",
        "before=x",
        "before=",
        "before=" + "9" * 5_000,
        "before=3&limit=0",
        "before=3&limit=501",
        "before=3&kind=message",
        "tail=3&kind=message",
    ],
    ids=lambda text: text[:40],
)
async def test_a_page_is_asked_for_in_one_way(room: Room, query: str) -> None:
    async with room.hub.rest(room.maria) as http:
        answer = await http.get(f"/cases/{room.case}/events?{query}")
    error_of(answer, 422, "invalid")


# Signals.


async def signal(room: Room, who: Identity, call: str, body: Any) -> httpx2.Response:
    async with room.hub.rest(who) as http:
        answer = await http.post(f"/cases/{room.case}/{call}", json=body)
    if answer.status_code == 204:
        assert answer.content == b""
    return answer


async def test_typing_by_request_is_typing(room: Room) -> None:
    async with room.enter(room.maria) as maria, room.enter(PRIYA) as priya:
        assert (await signal(room, room.maria, "typing", {"on": True})).status_code == 204
        typing = await priya.expect("typing")
        assert (typing["who"], typing["on"], typing["in"]) == (
            {"type": "patient", "name": "Maria"},
            True,
            "message",
        )
        assert (await signal(room, PRIYA, "typing", {"on": True, "in": "note"})).status_code == 204
        await maria.expect_nothing_but()
        assert (await signal(room, PRIYA, "typing", {"on": False})).status_code == 204
        frame = await maria.expect("typing")
        assert frame["who"] == {"type": "coordinator", "name": "Priya"}
        assert (frame["on"], "in" in frame) == (False, False)
        refused = await signal(room, room.maria, "typing", {"on": True, "in": "note"})
        error_of(refused, 403, "forbidden")


async def test_reading_by_request_is_reading(room: Room) -> None:
    await room.post(PRIYA, "notes", {"text": "psst"})
    await room.post(room.maria, "messages", {"text": "Hello"})
    async with room.enter(room.maria) as maria, room.enter(PRIYA) as priya:
        assert (await signal(room, room.maria, "read", {"seq": 2})).status_code == 204
        read = await priya.expect("read")
        assert (read["who"]["type"], read["seq"]) == ("patient", 3)
        assert (await signal(room, PRIYA, "read", {"seq": 3})).status_code == 204
        await maria.expect_nothing_but()
    assert [each["unread"] for each in await cases(room.hub) if each["case"] == room.case] == [0]
    error_of(await signal(room, room.maria, "read", {"seq": 3}), 404, "not_found")


@pytest.mark.parametrize(
    ("call", "body"), [("typing", {}), ("typing", {"on": 1}), ("read", {}), ("read", {"seq": -1})]
)
async def test_a_signal_of_the_wrong_form_is_refused(room: Room, call: str, body: Any) -> None:
    error_of(await signal(room, room.maria, call, body), 422, "invalid")


@pytest.mark.parametrize(("call", "body"), [("typing", {"on": True}), ("read", {"seq": 1})])
async def test_signals_are_for_those_who_may_enter_a_case_that_goes_on(
    room: Room, call: str, body: Any
) -> None:
    stranger = Identity("user_x", "Xaver", patient_id="patient_x")
    error_of(await signal(room, stranger, call, body), 403, "forbidden")
    await room.post(PRIYA, "status", {"status": "archived"})
    error_of(await signal(room, PRIYA, call, body), 409, "closed")


async def test_signals_have_a_limit_of_their_own_for_each_user(tmp_path: Path) -> None:
    clock = [0.0]
    limits: Any = {"signals_per_s": 20, "signals_burst": 60, "writes_burst": 1}
    dependencies: Any = {"monotonic": lambda: clock[0]}
    async with (
        running_hub(tmp_path, dependencies=dependencies, **limits) as hub,
        hub.rest(MARIA) as maria,
        hub.rest(PRIYA) as priya,
    ):
        path = f"/cases/{CASE}/typing"
        for number in range(60):
            body: Any = {"on": True} if number % 2 else {"seq": 1}
            answer = await maria.post(
                f"/cases/{CASE}/{'typing' if number % 2 else 'read'}", json=body
            )
            assert answer.status_code == 204
        refused = await maria.post(path, json={"on": True})
        error_of(refused, 429, "rate_limited")
        assert refused.headers["Retry-After"] == "1"
        assert (await priya.post(path, json={"on": True})).status_code == 204
        assert (await maria.post(f"/cases/{CASE}/messages", json={"text": "Hi"})).status_code == 201
        clock[0] += 0.051
        assert (await maria.post(path, json={"on": True})).status_code == 204


# Presence.


async def test_a_patient_on_a_stream_is_online_and_staff_on_one_are_viewers(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.enter(PRIYA) as priya:
        async with listening(hub, MARIA) as hers:
            assert (await priya.expect("presence"))["patient"] == "online"
            async with listening(hub, SAM):
                viewers = (await priya.expect("presence"))["viewers"]
                assert [each["name"] for each in viewers] == ["Priya", "Sam"]
            viewers = (await priya.expect("presence"))["viewers"]
            assert [each["name"] for each in viewers] == ["Priya"]
            # Of all this the patient is told nothing: the next that comes is a message.
            await priya.ask({"type": "message", "key": "k", "text": "Hello"})
            line = ""
            while not line.startswith("data: "):
                line = await anext(hers)
            assert json.loads(line[6:])["data"]["text"] == "Hello"
        assert (await priya.expect("presence"))["patient"] == "offline"


async def test_a_patient_sees_their_coordinator_come_and_go_by_a_stream(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.enter(MARIA) as maria:
        await do(hub, PRIYA, Accept(), "k")
        await maria.expect("presence", coordinator="Priya", online=False)
        async with listening(hub, PRIYA):
            await maria.expect("presence", coordinator="Priya", online=True)
        await maria.expect("presence", coordinator="Priya", online=False)


async def test_an_owner_whose_only_connection_is_a_stream_keeps_the_case(tmp_path: Path) -> None:
    async with timed_hub(tmp_path) as (hub, clock), hub.enter(MARIA) as maria:
        async with listening(hub, PRIYA):
            await do(hub, PRIYA, Accept(), "k")
            for times in range(1, 4):
                clock.forward(minutes=11)
                await put_back(hub, times)
            assert hub.hub.rooms.presence.is_connected(TENANT, PRIYA.sub)
        await until(lambda: not hub.hub.rooms.presence.is_connected(TENANT, PRIYA.sub))
        await maria.expect_nothing_but("event", "presence", "ping")
        assert controls(maria) == ["human"]
        clock.forward(minutes=22)
        await expect_control(maria, "waiting")


@pytest.mark.parametrize("path", ["/cases", f"/cases/{CASE}/events?after=0.0"])
async def test_an_owner_who_polls_keeps_the_case_until_they_stop(tmp_path: Path, path: str) -> None:
    async with timed_hub(tmp_path) as (hub, clock), hub.enter(MARIA) as maria:
        await do(hub, PRIYA, Accept(), "k")
        async with hub.rest(PRIYA) as http:
            for times in range(1, 4):
                clock.forward(minutes=9)
                http.headers.update(hub.headers(PRIYA))
                assert (await http.get(path)).status_code == 200
                clock.forward(minutes=2)
                await put_back(hub, times)
        await maria.expect_nothing_but("event", "presence", "ping")
        assert controls(maria) == ["human"]
        clock.forward(minutes=11)
        await expect_control(maria, "waiting")


async def test_that_an_owner_polls_is_noted_for_all_processes(tmp_path: Path) -> None:
    async with running_hub(tmp_path, owner_away_s=LOOKS // 10) as hub, hub.rest(PRIYA) as http:
        await do(hub, PRIYA, Accept(), "k")
        assert (await http.get("/cases")).status_code == 200
        query = select(table_of(CaseRow).c.owner_seen_at)
        read = hub.hub.rooms._database.read
        async with asyncio.timeout(WITHIN):
            while await read(lambda each: each.execute(query).scalar()) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


# Once more.


async def broken(hub: RunningHub, model: GatedModel, maria: Client, how: str) -> str:
    """Let an answer break off after its beginning, and give its run."""
    await maria.ask({"type": "message", "key": "m1", "text": "Which hospital?"})
    asked = await model.next()
    asked.say("The hospital is ")
    run = str((await maria.expect("delta"))["run"])
    if how == "stop":
        await maria.send({"type": "stop", "key": "s1"})
    else:
        asked.fail(Failure.UNREACHABLE)
    await maria.expect("run", state="stopped" if how == "stop" else "failed")
    return run


@pytest.mark.parametrize("how", ["stop", "fail"])
@pytest.mark.parametrize("by", [MARIA, PRIYA])
async def test_the_ai_answers_again_when_it_is_asked_to(
    tmp_path: Path, how: str, by: Identity
) -> None:
    model = GatedModel()
    async with (
        running_hub(tmp_path, dependencies={"model": model}) as hub,
        hub.enter(MARIA) as maria,
        hub.enter(PRIYA) as priya,
    ):
        run = await broken(hub, model, maria, how)
        asker = maria if by is MARIA else priya
        ack = await asker.ask({"type": "retry", "key": "r1", "run": run})
        assert (ack["type"], "id" in ack) == ("ack", False)
        again = await asker.ask({"type": "retry", "key": "r1", "run": run})
        assert again["dup"]
        twice = await asker.ask({"type": "retry", "key": "r2", "run": run})
        assert twice["code"] == "conflict"
        asked = await model.next()
        assert asked.told.count("Which hospital?") == 1
        assert "<answer_again/>" in asked.told
        assert "My answer broke off" not in asked.told
        asked.end("The hospital is near.")
        await maria.expect("run", state="done")
        over = await asker.ask({"type": "retry", "key": "r3"})
        assert over["code"] == "conflict"
    texts = [f["data"] for f in maria.events if f["kind"] == "message"]
    assert [each["sender_type"] for each in texts] == ["patient", "ai", "ai"]
    assert [each["state"] for each in texts[1:]] == [
        "interrupted" if how == "stop" else "failed",
        "final",
    ]
    assert len(model.asked) == 2


async def test_asking_again_by_request_is_the_same_and_counts_as_a_write(tmp_path: Path) -> None:
    model = GatedModel()
    limits: Any = {"writes_burst": 3, "writes_per_s": 0.001}
    async with (
        running_hub(tmp_path, dependencies={"model": model}, **limits) as hub,
        hub.enter(MARIA) as maria,
        hub.rest(MARIA) as http,
    ):
        run = await broken(hub, model, maria, "stop")
        path = f"/cases/{CASE}/retry"
        keyed = {"Idempotency-Key": "r1"}
        first = await http.post(path, json={"run": run}, headers=keyed)
        assert (first.status_code, "id" in first.json()) == (200, False)
        (await model.next()).end("Near.")
        await maria.expect("run", state="done")
        again = await http.post(path, json={"run": run}, headers=keyed)
        assert again.json() == {**first.json(), "dup": True}
        error_of(await http.post(path), 409, "conflict")
        error_of(await http.post(path), 429, "rate_limited")
    assert len(model.asked) == 2


async def test_where_the_ai_is_off_nobody_is_asked_again(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.rest(MARIA) as http:
        await http.post(f"/cases/{CASE}/messages", json={"text": "Hello"})
        error_of(await http.post(f"/cases/{CASE}/retry"), 403, "forbidden")


async def test_an_answer_that_the_end_of_a_process_broke_off_can_be_asked_for_again(
    tmp_path: Path,
) -> None:
    model = GatedModel()
    async with (
        running_hub(tmp_path, dependencies={"model": model}) as hub,
        hub.enter(MARIA) as maria,
    ):
        await maria.ask({"type": "message", "key": "m1", "text": "Hello"})
        (await model.next()).say("Good ")
        await maria.expect("delta")
    restarted = running_hub(tmp_path, open_case=False, dependencies={"model": model})
    async with restarted as hub, hub.enter(MARIA, after="0.0") as maria:
        last = maria.events[-1]["data"]
        assert (last["sender_type"], last["state"]) == ("ai", "failed")
        await maria.ask({"type": "retry", "key": "r1", "run": last["run"]})
        (await model.next()).end("Good day")
        await maria.expect_message("Good day")
