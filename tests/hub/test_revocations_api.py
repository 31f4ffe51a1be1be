"""Revocations at every door: who is here must go, and comes back with a new token alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from auth.principal import Role
from tests.ai.kit import GatedModel
from tests.hub.test_desk import desk_socket
from tests.kit import (
    CASE,
    MARIA,
    MARIA_ID,
    PRIYA,
    TENANT,
    WITHIN,
    Client,
    Frame,
    Identity,
    RunningHub,
    running_hub,
)

SAM = Identity("user_sam", "Sam", Role.SUPERVISOR)
EVE = Identity("user_eve", "Eve", Role.SUPERVISOR, tenant="tenant-2")
SECRET = "0123456789abcdef0123456789abcdef"
BACK_END = {"Authorization": f"Bearer {SECRET}", "X-Tenant-ID": TENANT}
SOON = 5.0
"""Seconds within which somebody must be gone."""
STREAMS = ("stream", "messages/stream", "chat/stream")


async def revoke(hub: RunningHub, body: Frame, who: Identity = SAM) -> httpx2.Response:
    async with hub.rest(who) as http:
        return await http.post("/revocations", json=body)


async def new_token(hub: RunningHub, who: Identity) -> str:
    """Get a token that is newer than the last revocation, as whoever was turned out does."""
    second = int(hub.now().timestamp())
    async with asyncio.timeout(WITHIN):
        while int(hub.now().timestamp()) == second:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return hub.token(who)


async def expect_turned_out(client: Client) -> None:
    async with asyncio.timeout(SOON):
        assert await client.expect_close() == 4401
    goodbye = client.frames[-1]
    assert (goodbye["type"], goodbye["code"], goodbye["reconnect"]) == ("goodbye", 4401, False)
    assert "revoked" in goodbye["reason"]


@asynccontextmanager
async def listening(hub: RunningHub, who: Identity, path: str) -> AsyncIterator[httpx2.Response]:
    """Open a stream and read until it has begun."""
    url = f"{hub.http}/api/v1/cases/{CASE}/{path}"
    async with (
        httpx2.AsyncClient(timeout=WITHIN) as http,
        http.stream("GET", url, headers=hub.headers(who)) as stream,
    ):
        assert stream.status_code == 200
        yield stream


async def expect_end(stream: httpx2.Response) -> None:
    async with asyncio.timeout(SOON):
        async for _ in stream.aiter_raw():
            pass


@pytest.mark.parametrize("by", ["sub", "sid"])
async def test_whoever_is_revoked_is_turned_out_everywhere_and_nobody_else(
    tmp_path: Path, by: str
) -> None:
    model = GatedModel()
    maria = replace(MARIA, session="sess_m")
    other = replace(MARIA, sub="user_of_her_son", session="sess_o")
    async with (
        running_hub(tmp_path, dependencies={"model": model}) as hub,
        AsyncExitStack() as stack,
    ):
        enter = stack.enter_async_context
        hers = [await enter(hub.enter(maria)) for _ in range(2)]
        streams = [await enter(listening(hub, maria, path)) for path in STREAMS]
        sons, priya = await enter(hub.enter(other)), await enter(hub.enter(PRIYA))
        sons_stream = await enter(listening(hub, other, "messages/stream"))
        rest = await enter(hub.rest(maria))
        chat = asyncio.create_task(rest.post(f"/patients/{MARIA_ID}/chat", json={"text": "Hi"}))
        asked = await model.next()
        wish = {"sub": maria.sub} if by == "sub" else {"sid": "sess_m"}
        answer = await revoke(hub, wish)
        assert answer.status_code == 200, answer.text
        assert answer.json()[by] == wish[by]
        for client in hers:
            await expect_turned_out(client)
        for stream in streams:
            await expect_end(stream)
        async with asyncio.timeout(SOON):
            assert (await chat).json()["reply"] is None
        assert (await rest.get(f"/cases/{CASE}")).status_code == 401
        for path in STREAMS:
            refused = await rest.get(f"/cases/{CASE}/{path}")
            assert refused.status_code == 401, path
        asked.end("Hello.")
        for client in (sons, priya):
            await client.expect_message("Hello.")
            await client.expect_nothing_but("presence", "run", "delta")
        async for chunk in sons_stream.aiter_raw():
            if b"Hello." in chunk:
                break


async def test_an_open_desk_is_closed_as_well(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, desk_socket(hub) as desk:
        await desk.send({"type": "auth", "token": hub.token(PRIYA)})
        await desk.expect("ready")
        assert (await revoke(hub, {"sub": PRIYA.sub})).status_code == 200
        await expect_turned_out(desk)


async def test_an_old_token_opens_no_door_and_a_new_one_opens_all(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.socket() as late:
        old = hub.token(MARIA)
        await revoke(hub, {"sub": MARIA.sub})
        await late.send({"type": "auth", "token": old})
        assert (await late.expect("error"))["code"] == "unauthenticated"
        assert await late.expect_close() == 4401
        new = await new_token(hub, MARIA)
        async with hub.socket() as again, hub.rest(MARIA) as http:
            await again.send({"type": "auth", "token": new})
            await again.expect("presence")
            assert (await http.get(f"/cases/{CASE}")).status_code == 200
            async with listening(hub, MARIA, "stream"):
                renewal = await again.ask({"type": "token", "token": old, "key": "k"})
            assert renewal["code"] == "unauthenticated"
            await again.expect_nothing_but("ping", "presence")


async def test_a_request_that_comes_in_slowly_writes_nothing_after_a_revocation(
    tmp_path: Path,
) -> None:
    async with running_hub(tmp_path) as hub, hub.enter(PRIYA) as priya:
        body = b'{"text":"Late"}'
        headers = {**hub.headers(MARIA), "Host": "hub", "Content-Length": len(body)}
        head = [f"POST /api/v1/cases/{CASE}/messages HTTP/1.1"]
        head += [f"{name}: {value}" for name, value in headers.items()]
        reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
        writer.write("\r\n".join([*head, "", ""]).encode() + body[:-1])
        assert (await revoke(hub, {"sub": MARIA.sub})).status_code == 200
        writer.write(body[-1:])
        assert (await asyncio.wait_for(reader.readline(), WITHIN)).split()[1] == b"401"
        writer.close()
        await priya.expect_nothing_but("ping")


async def test_who_renews_in_time_stays_and_who_has_another_role_comes_anew(
    tmp_path: Path,
) -> None:
    promoted = replace(PRIYA, role=Role.SUPERVISOR)
    async with running_hub(tmp_path) as hub, hub.enter(PRIYA) as priya:
        changed = hub.now()
        token = await new_token(hub, promoted)
        refused = await priya.ask({"type": "token", "token": token, "key": "k"})
        assert refused["code"] == "forbidden"
        # As webhooks tell the time.
        wish = {"sub": PRIYA.sub, "issued_before": int(changed.timestamp() * 1000)}
        assert (await revoke(hub, wish)).status_code == 200
        await expect_turned_out(priya)
        async with hub.socket() as again:
            await again.send({"type": "auth", "token": token})
            assert (await again.expect("ready"))["you"]["role"] == "supervisor"
            # What happened before their token was issued is about them no more.
            assert (await revoke(hub, wish)).status_code == 200
            await again.expect("presence")
            await again.expect_nothing_but("ping")


async def test_other_back_ends_revoke_for_the_tenant_that_they_name(tmp_path: Path) -> None:
    async with (
        running_hub(tmp_path, service_token=SECRET) as hub,
        httpx2.AsyncClient(base_url=f"{hub.http}/api/v1", headers=BACK_END) as http,
        hub.enter(PRIYA) as priya,
    ):
        elsewhere = {"X-Tenant-ID": "tenant-2"}
        wish = {"sub": PRIYA.sub}
        assert (await http.post("/revocations", json=wish, headers=elsewhere)).status_code == 200
        await revoke(hub, wish, EVE)
        await priya.expect_nothing_but("ping")
        assert (await http.post("/revocations", json=wish)).status_code == 200
        await expect_turned_out(priya)
        assert (await http.get(f"/cases/{CASE}")).status_code == 200


async def test_nobody_else_revokes(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.enter(SAM) as sam:
        for who in (MARIA, PRIYA):
            assert (await revoke(hub, {"sub": SAM.sub}, who)).status_code == 403
        await sam.expect_nothing_but("ping")


async def test_what_cannot_be_meant_is_refused(tmp_path: Path) -> None:
    wishes: list[dict[str, Any]] = [
        {},
        {"sub": None},
        {"sub": ""},
        {"sub": "x" * 256},
        {"sub": 7},
        {"sub": "a\0b"},
        {"sub": "a", "sid": "b"},
        {"sid": "b", "issued_before": "2026-11-20T18:00:00Z"},
        {"sub": "a", "issued_before": "yesterday"},
        {"sub": "a", "issued_before": "2026-11-20T18:00:00"},
        {"sub": "a", "issued_before": "2126-11-20T18:00:00Z"},
        {"sub": "a", "issued_before": "9999-12-31T23:59:59.999999Z"},
    ]
    async with running_hub(tmp_path) as hub:
        for wish in wishes:
            answer = await revoke(hub, wish)
            assert answer.status_code == 422, (wish, answer.text)
            assert answer.json()["error"]["code"] == "invalid", wish


async def test_a_moment_before_all_tokens_covers_none(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.enter(PRIYA) as priya:
        wish = {"sub": PRIYA.sub, "issued_before": "0001-01-01T00:00:00+14:00"}
        assert (await revoke(hub, wish)).status_code == 200
        await priya.expect_nothing_but("ping")
