"""A process whose wall clock is an hour off does what the others do, at the same time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from tests.faults.world import world

HOUR = 3600.0


@pytest.mark.parametrize("shift", [HOUR, -HOUR])
async def test_a_hub_whose_clock_is_wrong_goes_by_that_of_the_database(
    tmp_path: Path, shift: float
) -> None:
    async with world(tmp_path, 14, clock=shift) as made:
        await made.flow(150)
        async with httpx2.AsyncClient() as http:
            metrics = (await http.get(f"{made.hubs[1].http}/metrics")).text
    [line] = [line for line in metrics.splitlines() if line.startswith("hub_clock_skew_seconds ")]
    assert abs(float(line.split()[1]) - shift) < 10
    assert "clock_differs" in made.hubs[1].log
    now = datetime.now(UTC)
    for event in made.members[0].view.events:
        assert abs(now - datetime.fromisoformat(event["at"])) < timedelta(seconds=HOUR / 2)
    for hub in made.hubs:
        assert "lease_lost" not in hub.log
        assert "answer_abandoned" not in hub.log
