"""Two processes on one database: a revocation at one reaches whoever is connected to the other."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, STDOUT
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from hub import demo
from tests.hub.test_desk import desk_socket
from tests.hub.test_revocations_api import (
    SAM,
    STREAMS,
    expect_end,
    expect_turned_out,
    listening,
    new_token,
    revoke,
)
from tests.kit import CASE, MARIA, PRIYA, WITHIN, hub_process, running_hub
from tests.stories.test_two_processes import OMAR, pair
from tests.valkey import running_valkey

LATE = """
from datetime import timedelta
from hub import __main__ as hub

now = hub.utc_now
hub.utc_now = lambda: now() - timedelta(hours=2)
hub.main()
"""
"""The command line on a machine whose clock is two hours late."""


@pytest.mark.parametrize(("by", "redis"), [("sub", True), ("sid", False)])
async def test_whoever_is_revoked_is_turned_out_at_both_processes_within_five_seconds(
    tmp_path: Path, postgres_url: str, by: str, redis: bool
) -> None:
    priya, maria = (replace(each, session=f"sess_{each.name}") for each in (PRIYA, MARIA))
    async with pair(tmp_path, postgres_url) as hubs, AsyncExitStack() as stack:
        if not redis:
            hubs.valkey.kill()
        enter = stack.enter_async_context
        sockets, streams, others = [], [], []
        for hub in (hubs.one, hubs.other):
            sockets += [await enter(hub.enter(priya)), await enter(hub.enter(maria))]
            sockets.append(await enter(desk_socket(hub)))
            await sockets[-1].send({"type": "auth", "token": hub.token(priya)})
            await sockets[-1].expect("ready")
            streams += [await enter(listening(hub, maria, path)) for path in STREAMS]
            others.append(await enter(hub.enter(OMAR)))
        rest = [await enter(hub.rest(maria)) for hub in (hubs.one, hubs.other)]
        for who in (priya, maria):
            wish = {"sub": who.sub} if by == "sub" else {"sid": who.session}
            assert (await revoke(hubs.other, wish)).status_code == 200
        async with asyncio.TaskGroup() as tasks:
            for socket in sockets:
                tasks.create_task(expect_turned_out(socket))
            for stream in streams:
                tasks.create_task(expect_end(stream))
        for http in rest:
            for path in ("", *(f"/{each}" for each in STREAMS)):
                assert (await http.get(f"/cases/{CASE}{path}")).status_code == 401
        for other in others:
            await other.expect_nothing_but("presence")
        # With a new token, of a new session, everything is as before.
        fresh = replace(priya, session="sess_new")
        token = await new_token(hubs.one, fresh)
        for hub in (hubs.one, hubs.other):
            async with hub.socket() as again:
                await again.send({"type": "auth", "token": token})
                await again.expect("presence")


async def test_a_process_that_starts_after_a_revocation_refuses_the_token(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        old = hub.token(PRIYA)
        await revoke(hub, {"sub": PRIYA.sub})
    async with running_hub(tmp_path, open_case=False) as hub, hub.socket() as late:
        await late.send({"type": "auth", "token": old})
        assert (await late.expect("error"))["code"] == "unauthenticated"
        assert await late.expect_close() == 4401


async def test_the_command_line_revokes_on_a_hub_that_runs_whatever_time_it_is_there(
    tmp_path: Path, postgres_url: str
) -> None:
    with running_valkey() as valkey:
        settings = {"HUB_DATABASE_URL": postgres_url, "HUB_REDIS_URL": valkey.url}
        async with (
            hub_process(tmp_path, **settings) as hub,
            hub.enter(PRIYA, demo.CASE) as priya,
            hub.enter(SAM, demo.CASE) as sam,
        ):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", LATE, "revoke", PRIYA.sub),
                env={**os.environ, "HUB_DEV": "1", "HUB_DATA_DIR": str(tmp_path), **settings},
                stdout=PIPE,
                stderr=STDOUT,
            )
            said, _ = await asyncio.wait_for(process.communicate(), 3 * WITHIN)
            assert (process.returncode, said.count(b"\n")) == (0, 2), said
            assert b"clock_differs" in said.splitlines()[0]
            await expect_turned_out(priya)
            await sam.expect_nothing_but("presence", "ping")
