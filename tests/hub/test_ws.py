"""The door of a case: hello, auth, and what comes before the first frame."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from auth.dev import DevKeys
from auth.errors import KeysUnavailable
from auth.principal import Principal, Role
from rooms.errors import Unavailable
from tests.hub.conftest import Room
from tests.kit import (
    MARIA,
    PRIYA,
    WITHIN,
    Address,
    Client,
    Frame,
    Identity,
    RunningHub,
    running_hub,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "a secret of other back ends, long enough"


async def say_who(client: Client, token: str, **members: Any) -> None:
    await client.expect("hello")
    await client.send({"type": "auth", "token": token, **members})


async def turned_away(client: Client) -> tuple[int, list[Frame]]:
    """Give the close code, and the frames after `hello`."""
    code = await client.expect_close()
    return code, client.frames[1:]


async def refusal(hub: Address, case: str = "case-1", **options: Any) -> InvalidStatus:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(f"{hub.ws}/api/v1/cases/{case}/ws", **options):
            pass
    return refused.value


# Before auth.


async def test_hello_comes_at_once_and_tells_the_limits(room: Room) -> None:
    async with room.socket() as client:
        hello = await client.receive()
    settings = room.hub.hub.settings
    assert hello["type"] == "hello"
    assert hello["v"] == 1
    assert hello["conn"].startswith("c_")
    assert hello["auth_within"] == settings.auth_within_s
    assert hello["heartbeat"] == settings.heartbeat_s
    assert hello["max_frame"] == settings.max_frame
    assert hello["now"].endswith("Z")


async def test_whoever_does_not_say_who_they_are_is_let_go(tmp_path: Path) -> None:
    async with (
        running_hub(tmp_path, auth_within_s=0.05) as hub,
        hub.enter(MARIA) as maria,
        hub.socket() as silent,
    ):
        code, frames = await turned_away(silent)
        assert code == 4408
        assert [frame["type"] for frame in frames] == ["goodbye"]
        assert frames[0]["reconnect"] is False
        await maria.expect_nothing_but()


async def test_nothing_is_sent_before_auth(room: Room) -> None:
    async with room.socket() as silent, room.enter(room.maria) as maria:
        await silent.expect("hello")
        await maria.ask({"type": "message", "key": "k", "text": "Hello"})
        await say_nothing_was_sent(silent, room)


async def say_nothing_was_sent(silent: Client, room: Room) -> None:
    await silent.send({"type": "auth", "token": room.hub.token(room.maria), "tail": 0})
    assert (await silent.receive())["type"] == "ready"


@pytest.mark.parametrize(
    ("first", "code", "error"),
    [
        ('{"type":"ping"}', 4400, "bad_frame"),
        ('{"type":"message","key":"k","text":"Hello"}', 4400, "bad_frame"),
        ('{"type":"boo"}', 4400, "bad_type"),
        ('{"type":"auth"}', 4400, "invalid"),
        ('{"type":"auth","token":"x","tail":501}', 4400, "invalid"),
        ("hello", 4400, "bad_frame"),
        ("", 4400, "bad_frame"),
        (b'{"type":"auth"}', 4400, "bad_frame"),
        ('{"type":"auth","token":""}', 4401, "unauthenticated"),
        ('{"type":"auth","token":"\\ud800"}', 4401, "unauthenticated"),
        ('{"type":"auth","token":"a.b.c"}', 4401, "unauthenticated"),
    ],
)
async def test_only_auth_is_understood_first(
    room: Room, first: str | bytes, code: int, error: str
) -> None:
    async with room.socket() as client:
        await client.send(first)
        assert await turned_away(client) == (code, client.frames[1:])
        assert [frame["type"] for frame in client.frames] == ["hello", "error", "goodbye"]
        assert client.frames[1]["code"] == error
        assert client.frames[2]["code"] == code
        assert client.frames[2]["reconnect"] is False


@pytest.mark.parametrize("after", ["", "0", "1", "1.", "01.00000000", "-1.00000000", "1.0000000G"])
async def test_what_is_no_cursor_is_refused(room: Room, after: str) -> None:
    async with room.socket() as client:
        await say_who(client, room.hub.token(room.maria), after=after)
        assert (await turned_away(client))[0] == 4400
        assert client.frames[1]["code"] == "invalid"


# Tokens.


def expired(hub: Address, folder: Path) -> str:
    before = Address(hub.port, hub.keys, now=lambda: hub.now() - timedelta(hours=1))
    return before.token(MARIA, timedelta(minutes=59))


def forged(hub: Address, folder: Path) -> str:
    return Address(hub.port, DevKeys(folder), now=hub.now).token(MARIA)


def unsigned(hub: Address, folder: Path) -> str:
    return jwt.encode(claims(hub), "", algorithm="none")


def symmetric(hub: Address, folder: Path) -> str:
    # The classic: the public key, which everybody has, as the secret of an HMAC.
    header, payload, _ = jwt.encode(claims(hub), "x" * 32, algorithm="HS256").split(".")
    algorithm = jwt.get_algorithm_by_name("HS256")
    signature = algorithm.sign(f"{header}.{payload}".encode(), hub.keys.public_pem.encode())
    return f"{header}.{payload}.{jwt.utils.base64url_encode(signature).decode()}"


def claims(hub: Address) -> dict[str, Any]:
    return jwt.decode(hub.token(MARIA), options={"verify_signature": False})


@pytest.mark.parametrize("make", [expired, forged, unsigned, symmetric])
async def test_a_token_that_does_not_hold_is_refused_without_a_reason(
    room: Room, tmp_path: Path, make: Callable[[Address, Path], str]
) -> None:
    async with room.socket() as client:
        await say_who(client, make(room.hub, tmp_path))
        code, (error, goodbye) = await turned_away(client)
    assert (code, error["code"], goodbye["code"]) == (4401, "unauthenticated", 4401)
    assert error["message"] == goodbye["reason"] == "The token was not accepted."


async def test_a_tenant_other_than_the_tokens_is_refused(room: Room) -> None:
    async with room.socket() as client:
        await say_who(client, room.hub.token(room.maria), tenant="another")
        assert (await turned_away(client))[0] == 4401


async def test_the_tenant_of_the_token_may_be_named(room: Room) -> None:
    async with room.socket() as client:
        await say_who(client, room.hub.token(room.maria), tenant=room.maria.tenant)
        await client.expect("ready")


async def test_the_service_must_name_a_tenant_and_has_no_expiry(tmp_path: Path) -> None:
    async with running_hub(tmp_path, service_token=SECRET) as hub:
        async with hub.socket() as client:
            await say_who(client, SECRET)
            assert (await turned_away(client))[0] == 4401
        async with hub.socket() as client:
            await say_who(client, SECRET, tenant=MARIA.tenant)
            ready = await client.expect("ready")
            assert ready["you"] == {"id": "service", "role": "service", "name": "service"}
            assert "exp" not in ready
            answer = await client.ask({"type": "token", "key": "t", "token": hub.token(PRIYA)})
            assert answer["code"] in ("forbidden", "unauthenticated")


async def test_keys_that_cannot_be_had_are_not_the_clients_fault(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(token: str, tenant: str | None = None) -> Principal:
        raise KeysUnavailable("the key server is down")

    monkeypatch.setattr(room.hub.hub.verifier, "verify", fail)
    async with room.socket() as client:
        await say_who(client, "x")
        code, (error, goodbye) = await turned_away(client)
    assert (code, error["code"]) == (4500, "unavailable")
    assert goodbye["reconnect"] is True
    assert "key server" not in str(client.frames)


async def test_a_log_that_cannot_be_read_is_not_the_clients_fault(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*args: Any, **options: Any) -> Any:
        raise Unavailable

    monkeypatch.setattr(room.hub.hub.rooms.log, "read", fail)
    async with room.socket() as client:
        await say_who(client, room.hub.token(room.maria))
        code, frames = await turned_away(client)
    assert code == 4500
    assert [frame["type"] for frame in frames] == ["ready", "goodbye"]


# Rights.


async def test_a_foreign_case_and_an_unknown_one_get_the_very_same_bytes(room: Room) -> None:
    hub = room.hub
    stranger = Identity("user_paul", "Paul", patient_id="patient_paul")
    colleague = Identity("user_cora", "Cora", Role.COORDINATOR, tenant="another tenant")
    nobody = Identity("user_nobody", "Nobody")
    answers = [
        await bytes_of_refusal(hub, case, who)
        for case, who in (
            ("no-such-case", room.maria),
            ("no-such-case", PRIYA),
            (room.case, stranger),
            (room.case, colleague),
            (room.case, nobody),
            ("a" * 4_000, room.maria),
            ("%00", room.maria),
            ("%F0%28%8C%28", PRIYA),
            ("%22%27%3B--", PRIYA),
            ("☃", PRIYA),
            ("%F0%9F%98%80", PRIYA),
        )
    ]
    assert len(set(answers)) == 1, answers
    code, frames = answers[0]
    assert code == 4403
    assert [json.loads(frame)["type"] for frame in frames] == ["error", "goodbye"]


async def bytes_of_refusal(
    hub: RunningHub, case: str, who: Identity
) -> tuple[int | None, tuple[str | bytes, ...]]:
    async with (
        connect(f"{hub.ws}/api/v1/cases/{case}/ws") as raw,
        asyncio.timeout(WITHIN),
    ):
        await raw.recv()
        await raw.send(json.dumps({"type": "auth", "token": hub.token(who), "after": "9.00000000"}))
        frames = []
        with contextlib.suppress(ConnectionClosed):
            async for frame in raw:
                frames.append(frame)  # noqa: PERF401 - what came before the end counts
    return raw.close_code, tuple(frames)


async def test_a_patient_is_found_by_the_user_of_their_token(room: Room) -> None:
    anonymous = Identity(room.maria.sub, "Maria")
    async with room.enter(anonymous) as client:
        assert client.frames[1]["you"] == {"id": room.maria.sub, "role": "patient", "name": "Maria"}


async def test_a_slash_in_an_id_is_another_address(room: Room) -> None:
    assert (await refusal(room.hub, "a%2Fb")).response.status_code in (403, 404)


# Addresses and origins.


@pytest.mark.parametrize("path", ["/", "/api/v1/ws", "/api/v1/cases//ws", "/api/v1/cases/c/ws/x"])
async def test_no_socket_is_opened_elsewhere(room: Room, path: str) -> None:
    with pytest.raises(InvalidStatus):
        async with connect(room.hub.ws + path):
            pass


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
async def test_the_page_of_a_stranger_is_refused_before_the_upgrade(
    room: Room, origin: str
) -> None:
    response = (await refusal(room.hub, room.case, origin=origin)).response
    assert response.status_code == 403
    assert json.loads(response.body or b"")["error"]["code"] == "forbidden"


async def test_allowed_pages_and_programs_without_an_origin_may_enter(tmp_path: Path) -> None:
    allowed = {"https://app.example", "http://localhost:3000"}
    settings: Any = {"allowed_origins": frozenset(allowed), "public_url": "https://hub.example/"}
    async with running_hub(tmp_path, **settings) as hub:
        for origin in (None, *allowed, "https://hub.example"):
            async with hub.socket(origin=origin) as client:
                await client.expect("hello")
        assert (await refusal(hub, origin="https://app.example.evil")).response.status_code == 403


async def test_too_many_sockets_that_wait_for_auth_are_refused_before_the_upgrade(
    tmp_path: Path,
) -> None:
    async with running_hub(tmp_path, pending_per_address=2) as hub:
        async with hub.socket() as one, hub.socket() as two:
            response = (await refusal(hub)).response
            assert response.status_code == 429
            assert response.headers["Retry-After"] == "2"
            assert json.loads(response.body or b"")["error"]["code"] == "rate_limited"
            await say_who(one, hub.token(MARIA))
            await one.expect("ready")
            async with hub.socket() as three:
                await three.expect("hello")
                assert (await refusal(hub)).response.status_code == 429
            await two.expect("hello")
        async with hub.socket() as one, hub.socket() as two:
            await one.expect("hello")


async def test_a_user_has_only_so_many_sockets(tmp_path: Path) -> None:
    async with (
        running_hub(tmp_path, sockets_per_user=2) as hub,
        hub.enter(MARIA) as one,
        hub.enter(MARIA),
        hub.enter(PRIYA),
    ):
        async with hub.socket() as three:
            await say_who(three, hub.token(MARIA))
            code, frames = await turned_away(three)
            assert code == 4409
            assert [frame["type"] for frame in frames] == ["goodbye"]
        await one.raw.close()
        await until_open(hub, 2)
        async with hub.enter(MARIA):
            pass


# Where a reader begins.


async def fill(room: Room, events: int) -> list[str]:
    """Let the room have so many events, of which each second is a note; give Maria's cursors."""
    async with room.enter(room.maria) as maria, room.enter(PRIYA) as priya:
        for number in range(1, events):
            who, kind = (priya, "note") if number % 2 else (maria, "message")
            await who.ask({"type": kind, "key": f"{number}", "text": f"{number}"})
        await maria.expect_nothing_but("event")
        return [event["cursor"] for event in maria.events]


async def enter(room: Room, who: Identity, **members: Any) -> tuple[list[Frame], list[int]]:
    """Give what comes before the events, and the numbers of these."""
    async with room.socket() as client:
        await say_who(client, room.hub.token(who), **members)
        caught_up = await client.expect("caught_up")
        assert (await client.receive())["type"] == "presence"
    events = [event["seq"] for event in client.events]
    head = client.frames[1 : -2 - len(events)]
    assert caught_up["seq"] == int(head[-1]["head"].partition(".")[0])
    return head, events


async def test_ready_tells_where_things_stand(room: Room) -> None:
    cursors = await fill(room, 6)
    [ready], events = await enter(room, room.maria)
    assert ready == {
        "type": "ready",
        "case": room.case,
        "you": {"id": room.maria.sub, "role": "patient", "name": "Maria"},
        "head": cursors[-1],
        "from": 1,
        "resumed": False,
        "exp": ready["exp"],
        "state": {"control": "ai", "status": "intake", "coordinator": None, "run": None},
    }
    claims = jwt.decode(room.hub.token(room.maria), options={"verify_signature": False})
    assert ready["exp"][-5:] == ".000Z"
    assert claims["exp"] > 0
    assert events == [1, 2, 3]


async def test_without_a_cursor_the_last_fifty_events_come(room: Room) -> None:
    await fill(room, 60)
    [ready], events = await enter(room, PRIYA)
    assert (ready["from"], ready["resumed"]) == (11, False)
    assert events == list(range(11, 61))


@pytest.mark.parametrize(
    ("tail", "seqs"), [(0, []), (1, [3]), (2, [2, 3]), (3, [1, 2, 3]), (500, [1, 2, 3])]
)
async def test_the_tail_is_as_long_as_asked_for(room: Room, tail: int, seqs: list[int]) -> None:
    await fill(room, 6)
    [ready], events = await enter(room, room.maria, tail=tail)
    assert events == seqs
    assert (ready["from"], ready["resumed"]) == (4 - len(seqs), False)


async def test_a_cursor_resumes_right_after_it(room: Room) -> None:
    cursors = await fill(room, 6)
    for position, cursor in enumerate(["0.0", *cursors]):
        [ready], events = await enter(room, room.maria, after=cursor, tail=0)
        assert events == list(range(position + 1, 4))
        assert (ready["from"], ready["resumed"]) == (position + 1, True)


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        ("4.00000000", "cursor_ahead"),
        ("999999999999999.00000000", "cursor_ahead"),
        ("2.00000000", "cursor_mismatch"),
    ],
)
async def test_a_cursor_of_another_log_is_answered_with_reset_and_the_tail(
    room: Room, after: str, reason: str
) -> None:
    await fill(room, 6)
    [reset, ready], events = await enter(room, room.maria, after=after, tail=2)
    assert reset == {"type": "reset", "case": room.case, "reason": reason}
    assert (ready["from"], ready["resumed"]) == (2, False)
    assert events == [2, 3]


async def test_a_cursor_of_the_other_audience_is_no_cursor_here(room: Room) -> None:
    await fill(room, 6)
    async with room.enter(PRIYA) as priya:
        cursor = priya.events[3]["cursor"]
    [reset, _], _ = await enter(room, room.maria, after=cursor)
    assert reset["reason"] == "cursor_ahead"


# Archived cases.


async def test_an_archived_case_says_goodbye_and_lets_nobody_in(room: Room) -> None:
    async with room.enter(room.maria) as maria, room.enter(PRIYA) as priya:
        await room.post(PRIYA, "status", {"status": "archived"})
        for client in (maria, priya):
            assert await client.expect_close() == 4410
            event, goodbye = client.frames[-2:]
            assert (event["kind"], event["data"]["to"]) == ("status", "archived")
            assert (goodbye["type"], goodbye["code"], goodbye["reconnect"]) == (
                "goodbye",
                4410,
                False,
            )
    for who in (room.maria, PRIYA):
        async with room.socket() as client:
            await say_who(client, room.hub.token(who))
            code, frames = await turned_away(client)
            assert code == 4410
            assert [frame["type"] for frame in frames] == ["error", "goodbye"]
            assert frames[0]["code"] == "closed"


async def test_whoever_archives_a_case_is_answered_before_the_goodbye(room: Room) -> None:
    async with room.enter(PRIYA) as priya:
        await priya.send({"type": "status", "key": "s", "status": "archived"})
        assert await priya.expect_close() == 4410
    assert [frame["type"] for frame in priya.frames[-3:]] == ["event", "ack", "goodbye"]


# Coming and going.


async def test_a_client_that_leaves_before_auth_is_forgotten(tmp_path: Path) -> None:
    async with running_hub(tmp_path, pending_per_address=1) as hub:
        for _ in range(3):
            async with hub.socket() as client:
                await client.expect("hello")
            await until_open(hub, 0)
        async with hub.enter(MARIA):
            assert (hub.hub.manager.connections, hub.hub.manager.rooms) == (1, 1)
        await until_open(hub, 0)
        assert hub.hub.manager.rooms == 0


async def test_a_socket_that_cannot_be_served_is_dropped_and_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(connection: Any) -> None:
        raise ZeroDivisionError

    async with running_hub(tmp_path, pending_per_address=1) as hub:
        with monkeypatch.context() as patch:
            patch.setattr(hub.hub.manager, "open", fail)
            for _ in range(2):
                async with hub.socket() as client:
                    assert await client.expect_close() == 1006
        async with hub.enter(MARIA):
            pass


async def until_open(hub: RunningHub, sockets: int) -> None:
    async with asyncio.timeout(WITHIN):
        while hub.hub.manager.connections != sockets:  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0.005)


async def test_staff_see_who_is_here_and_patients_do_not(room: Room) -> None:
    cora = Identity("user_cora", "Cora", Role.SUPERVISOR)
    async with room.enter(PRIYA) as priya:
        assert priya.frames[-1]["patient"] == "offline"
        assert priya.frames[-1]["viewers"] == [{"id": PRIYA.sub, "name": "Priya"}]
        async with room.enter(room.maria) as maria:
            assert (await priya.expect("presence"))["patient"] == "online"
            async with room.enter(cora):
                viewers = (await priya.expect("presence"))["viewers"]
                assert [viewer["name"] for viewer in viewers] == ["Cora", "Priya"]
            await priya.expect("presence")
            await maria.expect_nothing_but()
            assert maria.frames[-2] == {
                "type": "presence",
                "case": room.case,
                "coordinator": None,
                "online": False,
            }
        assert (await priya.expect("presence"))["patient"] == "offline"


async def test_what_fails_unexpectedly_while_entering_asks_to_come_back(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*args: Any, **options: Any) -> Any:
        raise ZeroDivisionError

    for name in ("entrance", "read"):
        with monkeypatch.context() as patch:
            patch.setattr(room.hub.hub.rooms.log, name, fail)
            async with room.socket() as client:
                await say_who(client, room.hub.token(room.maria))
                code, frames = await turned_away(client)
        assert code == 4500, name
        assert frames[-1]["reconnect"] is True
