"""Flags: who changes them, for whom they hold, and how soon."""

from pathlib import Path

import pytest

from auth.principal import Role
from tests.kit import CASE, MARIA, PRIYA, Identity, RunningHub, running_hub

SAM = Identity("user_sam", "Sam", Role.SUPERVISOR)
ELSEWHERE = Identity("user_eve", "Eve", Role.SUPERVISOR, tenant="tenant-2")


async def flags(hub: RunningHub, who: Identity) -> dict[str, bool]:
    async with hub.rest(who) as http:
        answer = await http.get("/flags")
    assert answer.status_code == 200, answer.text
    return {flag["name"]: flag["on"] for flag in answer.json()["flags"]}


async def switch(hub: RunningHub, who: Identity, name: str, on: bool | None) -> int:
    async with hub.rest(who) as http:
        return (await http.post("/flags", json={"name": name, "on": on})).status_code


async def test_the_deployer_sets_the_flags_and_a_supervisor_changes_them_for_a_tenant(
    tmp_path: Path,
) -> None:
    async with running_hub(tmp_path, flag_coordinator_enabled=False) as hub:
        before = await flags(hub, PRIYA)
        assert await switch(hub, SAM, "coordinator_enabled", True) == 200
        after = await flags(hub, PRIYA)
        elsewhere = await flags(hub, ELSEWHERE)
        assert await switch(hub, SAM, "coordinator_enabled", None) == 200
        undone = await flags(hub, PRIYA)
    assert before == {
        "coordinator_enabled": False,
        "enable_response_streaming": True,
        "sse_streaming": True,
    }
    assert after == {**before, "coordinator_enabled": True}
    assert elsewhere == undone == before


@pytest.mark.parametrize(
    ("who", "name", "status"),
    [
        (PRIYA, "sse_streaming", 403),
        (MARIA, "sse_streaming", 403),
        (SAM, "no_such_flag", 404),
        (SAM, "", 422),
    ],
)
async def test_nobody_else_changes_a_flag_and_no_flag_is_invented(
    tmp_path: Path, who: Identity, name: str, status: int
) -> None:
    async with running_hub(tmp_path) as hub:
        assert await switch(hub, who, name, False) == status
        assert (await flags(hub, SAM))["sse_streaming"]


async def test_patients_do_not_see_the_flags(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.rest(MARIA) as http:
        assert (await http.get("/flags")).status_code == 403


async def test_a_flag_holds_at_once_and_also_after_a_restart(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.enter(MARIA) as maria:
        assert (await maria.ask({"type": "escalate", "key": "k1"}))["type"] == "ack"
        await switch(hub, SAM, "coordinator_enabled", False)
        async with hub.rest(PRIYA) as http:
            refused = await http.post(f"/cases/{CASE}/accept", json={})
    assert refused.status_code == 403
    assert "coordinator_enabled" in refused.json()["error"]["message"]
    async with running_hub(tmp_path, open_case=False) as hub:
        assert not (await flags(hub, SAM))["coordinator_enabled"]


async def test_what_another_process_has_changed_holds_here_soon(tmp_path: Path) -> None:
    async with (
        running_hub(tmp_path) as one,
        running_hub(tmp_path, open_case=False) as other,
    ):
        await switch(one, SAM, "sse_streaming", False)
        await other.hub.rooms.flags.load()
        assert not (await flags(other, SAM))["sse_streaming"]
