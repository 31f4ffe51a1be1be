"""A process that is asked to stop, as in every deployment: nobody waits for what it does not do."""

import asyncio
import signal
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import httpx2

from auth.principal import Role
from tests.faults.test_killed_answer import Scene, model_and_settings
from tests.kit import WITHIN, Identity, hub_process
from tests.valkey import running_valkey

AT_ONCE_S: Final = 3.0
"""A process looks for tasks each second; a lease would have lasted for 8."""
STAFF = [Identity(f"user_s{number}", f"Staff {number}", Role.COORDINATOR) for number in range(20)]


async def test_a_process_that_stops_is_unready_sends_all_away_and_hands_over_what_nobody_saw(
    tmp_path: Path, postgres_url: str
) -> None:
    with running_valkey() as valkey:
        async with model_and_settings() as (model, settings), AsyncExitStack() as stack:
            settings |= {"HUB_DATABASE_URL": postgres_url, "HUB_REDIS_URL": valkey.url}
            # So long that nothing here can happen because it is over.
            settings |= {"HUB_DRAIN_S": "60"}
            leaving = await stack.enter_async_context(hub_process(tmp_path, **settings))
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            scene = Scene(model, leaving, [0, 2], tasks)
            await scene.begin()
            _, begun = scene.answers
            clients = [
                await stack.enter_async_context(leaving.enter(who, begun.case)) for who in STAFF
            ]
            scene.hub = await stack.enter_async_context(hub_process(tmp_path, **settings))
            leaving.process.send_signal(signal.SIGTERM)
            asked = time.monotonic()
            goodbyes = [await client.expect("goodbye") for client in clients]
            async with httpx2.AsyncClient() as http:
                assert (await http.get(f"{leaving.http}/readyz")).status_code == 503
            await model.asked(3)
            assert time.monotonic() - asked < AT_ONCE_S
            assert leaving.process.poll() is None
            scene.allow_all()
            await scene.end()
            assert await asyncio.to_thread(leaving.process.wait, WITHIN) == 0
    waits = [goodbye["in_ms"] for goodbye in goodbyes]
    assert {goodbye["code"] for goodbye in goodbyes} == {4503}
    assert 0 <= min(waits) < max(waits) - 400 < 2_000
    for answer in scene.answers:
        assert {
            shown.status for each in answer.followers for shown in each.display.answers.values()
        } == {"final"}
