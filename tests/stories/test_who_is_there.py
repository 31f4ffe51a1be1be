"""Who is in a room, when its people are connected to different processes."""

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from auth.principal import Role
from hub import demo
from tests.hub.test_takeover import controls, expect_control, put_back
from tests.kit import MARIA, PRIYA, WITHIN, Client, HubProcess, Identity, hub_process
from tests.stories.test_two_processes import OMAR, pair
from tests.valkey import Valkey, running_valkey

SAM = Identity("user_sam", "Sam", Role.SUPERVISOR)
QUICK: Final[dict[str, Any]] = {"presence_beat_s": 0.2}
"""Who is silent for 0.6 s is forgotten."""
GRACE_S: Final = 3.0
BEAT_S: Final = 1.0


async def sees(client: Client, *viewers: str, patient: str | None = None) -> None:
    """Wait until a member of staff is shown just these viewers, and the patient so."""
    frame = next(each for each in reversed(client.frames) if each["type"] == "presence")
    while [each["name"] for each in frame["viewers"]] != [*viewers] or (
        patient is not None and frame["patient"] != patient
    ):
        frame = await client.expect("presence")


def shown(client: Client, seen: int) -> set[str]:
    """Give as what the patient was shown to a member of staff since so many frames."""
    return {each["patient"] for each in client.frames[seen:] if each["type"] == "presence"}


async def test_people_at_two_processes_see_each_other_come_and_go(
    tmp_path: Path, postgres_url: str
) -> None:
    async with pair(tmp_path, postgres_url) as hubs, hubs.other.enter(PRIYA) as priya:
        await sees(priya, "Priya", patient="offline")
        async with hubs.one.enter(MARIA), hubs.one.enter(OMAR) as omar:
            await sees(priya, "Omar", "Priya", patient="online")
            await sees(omar, "Omar", "Priya", patient="online")
        await sees(priya, "Priya", patient="offline")


async def test_whoever_enters_is_told_at_once_who_is_at_the_other_process(
    tmp_path: Path, postgres_url: str
) -> None:
    async with (
        pair(tmp_path, postgres_url) as hubs,
        hubs.one.enter(PRIYA),
        hubs.other.enter(OMAR) as omar,
    ):
        await sees(omar, "Omar", "Priya")
        async with hubs.other.enter(SAM) as sam:
            assert [each["name"] for each in sam.frames[-1]["viewers"]] == ["Omar", "Priya", "Sam"]


async def test_a_patient_learns_of_an_owner_at_another_process_and_of_nobody_else(
    tmp_path: Path, postgres_url: str
) -> None:
    async with pair(tmp_path, postgres_url) as hubs, hubs.one.enter(MARIA) as maria:
        async with hubs.other.enter(PRIYA) as priya:
            await priya.ask({"type": "accept", "key": "k"})
            await maria.expect("presence", coordinator="Priya", online=True)
            for _ in range(3):
                async with hubs.other.enter(OMAR), hubs.one.enter(SAM) as sam:
                    await sees(sam, "Omar", "Priya", "Sam")
                await sees(priya, "Priya")
            # The process of the patient knew of each of them, and told her nothing.
            await maria.expect_nothing_but("ping")
        await maria.expect("presence", coordinator="Priya", online=False)
        async with hubs.other.enter(PRIYA):
            await maria.expect("presence", coordinator="Priya", online=True)


async def test_an_owner_at_another_process_keeps_the_case_until_they_leave_it(
    tmp_path: Path, postgres_url: str
) -> None:
    async with (
        # The timers ring at the first process.
        pair(tmp_path, postgres_url, owner_away_s=1.5, lease_s=1) as hubs,
        hubs.one.enter(MARIA) as maria,
    ):
        async with hubs.other.enter(PRIYA) as priya:
            await priya.ask({"type": "accept", "key": "k"})
            await put_back(hubs.one, 2)
            await maria.expect_nothing_but("event", "presence")
            assert controls(maria) == ["human"]
        await expect_control(maria, "waiting")


async def test_typing_is_seen_at_the_other_process_and_that_of_a_note_by_staff_alone(
    tmp_path: Path, postgres_url: str
) -> None:
    async with (
        pair(tmp_path, postgres_url) as hubs,
        hubs.one.enter(MARIA) as maria,
        hubs.one.enter(OMAR) as omar,
        hubs.other.enter(PRIYA) as priya,
    ):
        await priya.send({"type": "typing", "on": True, "in": "note"})
        await omar.expect("typing", **{"in": "note"})
        await priya.send({"type": "typing", "on": True})
        await omar.expect("typing", **{"in": "message"})
        await maria.expect("typing")
    assert [frame["type"] for frame in maria.frames].count("typing") == 1


async def test_without_redis_the_others_fade_and_with_it_they_return(
    tmp_path: Path, postgres_url: str
) -> None:
    async with (
        pair(tmp_path, postgres_url, **QUICK) as hubs,
        hubs.one.enter(MARIA) as maria,
        hubs.other.enter(PRIYA) as priya,
    ):
        for times in range(2):
            await sees(priya, "Priya", patient="online")
            hubs.valkey.kill()
            await sees(priya, "Priya", patient="offline")
            # All else goes on.
            ack = await priya.ask({"type": "note", "key": f"k{times}", "text": "Where is she?"})
            assert ack["type"] == "ack"
            async with hubs.one.enter(OMAR):
                hubs.valkey.start()
                # Who came meanwhile is known as well.
                await sees(priya, "Omar", "Priya", patient="online")
            await sees(priya, "Priya", patient="online")
        await maria.expect_nothing_but("ping")


async def test_a_redis_that_is_emptied_and_restarted_makes_nobody_flicker(
    tmp_path: Path, postgres_url: str
) -> None:
    async with (
        pair(tmp_path, postgres_url) as hubs,
        hubs.one.enter(MARIA),
        hubs.other.enter(PRIYA) as priya,
    ):
        await sees(priya, "Priya", patient="online")
        seen = len(priya.frames)
        hubs.valkey.ask("FLUSHALL")
        hubs.valkey.kill()
        hubs.valkey.start()
        async with hubs.one.enter(SAM):
            await sees(priya, "Priya", "Sam")
        await sees(priya, "Priya")
    assert shown(priya, seen) == {"online"}


async def test_a_killed_process_leaves_no_ghosts(tmp_path: Path, postgres_url: str) -> None:
    with running_valkey() as valkey:
        settings = quick(postgres_url, valkey)
        async with (
            hub_process(tmp_path, **settings) as doomed,
            hub_process(tmp_path, **settings) as other,
            other.enter(PRIYA, demo.CASE) as priya,
            AsyncExitStack() as people,
        ):
            for who in (MARIA, OMAR):
                await people.enter_async_context(doomed.enter(who, demo.CASE))
            await sees(priya, "Omar", "Priya", patient="online")
            doomed.kill()
            killed = time.monotonic()
            await sees(priya, "Priya", patient="offline")
            gone = time.monotonic() - killed
            assert f"/{doomed.process.pid}_" in other.log, "an engineer can tell which it was"
    # As for anybody who left in that moment, and a sign of life later at most.
    assert GRACE_S - 0.5 < gone < GRACE_S + BEAT_S + 1.5


async def test_whoever_comes_back_from_a_killed_process_in_time_was_never_away(
    tmp_path: Path, postgres_url: str
) -> None:
    with running_valkey() as valkey:
        settings = quick(postgres_url, valkey)
        async with (
            hub_process(tmp_path, **settings) as doomed,
            hub_process(tmp_path, **settings) as other,
            other.enter(PRIYA, demo.CASE) as priya,
            doomed.enter(MARIA, demo.CASE),
        ):
            await sees(priya, "Priya", patient="online")
            seen = len(priya.frames)
            doomed.kill()
            async with other.enter(MARIA, demo.CASE):
                await forgotten(other)
                await priya.expect_nothing_but("ping")
            await sees(priya, "Priya", patient="offline")
    assert shown(priya, seen) == {"offline"}


async def forgotten(hub: HubProcess) -> None:
    """Wait until a process has given up another one."""
    async with asyncio.timeout(WITHIN):
        while "process_silent" not in hub.log:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def quick(postgres_url: str, valkey: Valkey) -> dict[str, str]:
    return {
        "HUB_DATABASE_URL": postgres_url,
        "HUB_REDIS_URL": valkey.url,
        "HUB_PRESENCE_GRACE_S": str(GRACE_S),
        "HUB_PRESENCE_BEAT_S": str(BEAT_S),
    }
