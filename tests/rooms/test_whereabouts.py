"""Where an event stands, found by its id alone."""

import pytest

import rooms.whereabouts as module
from rooms.errors import Unavailable
from rooms.whereabouts import whereabouts
from tests.rooms.kit import CASE, PRIYA, OpenLog, say

pytestmark = pytest.mark.asyncio


async def test_an_event_is_found_in_any_case_of_its_tenant_and_in_no_other(
    hub: OpenLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EVENTS", 2)
    monkeypatch.setattr(module, "CASES", 2)
    found = {}
    for number in range(1, 6):
        case = f"case-{number}"
        if case != CASE:
            await hub.open_case(case, number)
        receipt = await hub.do(say("Hello"), PRIYA, case=case)
        assert receipt.id is not None
        found[receipt.id] = case
    for id, case in found.items():
        event = await whereabouts(hub.database, PRIYA.tenant, id)
        assert event is not None
        assert (event.case, event.id) == (case, id)
        assert await whereabouts(hub.database, "another tenant", id) is None
        assert await whereabouts(hub.database, "another tenant", id, case) is None
        assert await whereabouts(hub.database, PRIYA.tenant, id, "another case") is None
    assert await whereabouts(hub.database, PRIYA.tenant, "unknown") is None


async def test_whoever_asks_for_too_much_is_told_to_name_the_case(
    hub: OpenLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SEARCH_S", 0)
    with pytest.raises(Unavailable, match="Name its case"):
        await whereabouts(hub.database, PRIYA.tenant, "unknown")
