"""Processes whose wall clocks are an hour off do what the others do, at the same time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2

from tests.faults.world import world
from tests.kit import HubProcess
from tests.servers import Postgres

HOUR = 3600.0


async def skew(hub: HubProcess) -> float:
    async with httpx2.AsyncClient() as http:
        metrics = (await http.get(f"{hub.http}/metrics")).text
    [line] = [line for line in metrics.splitlines() if line.startswith("hub_clock_skew_seconds ")]
    return float(line.split()[1])


async def test_hubs_whose_clocks_are_wrong_go_by_that_of_the_database(
    tmp_path: Path, postgres: Postgres
) -> None:
    clocks = (0, HOUR, -HOUR)
    async with world(tmp_path, 14, postgres, clocks=clocks) as made:
        await made.flow(150)
        skews = [await skew(hub) for hub in made.hubs]
    for hub, wrong, noticed in zip(made.hubs, clocks, skews, strict=True):
        assert abs(noticed - wrong) < 10
        assert ("clock_differs" in hub.log) == (wrong != 0)
    now = datetime.now(UTC)
    for event in made.members[0].view.events:
        assert abs(now - datetime.fromisoformat(event["at"])) < timedelta(seconds=HOUR / 2)
    for hub in made.hubs:
        assert "lease_lost" not in hub.log
        assert "answer_abandoned" not in hub.log
