"""A backup that is restored under two hubs and the people who are there: all of them are told."""

import time
from pathlib import Path

from tests.faults.world import world
from tests.servers import running_postgres


async def test_whoever_has_seen_more_than_a_restored_backup_begins_anew(tmp_path: Path) -> None:
    with running_postgres() as postgres:
        async with world(tmp_path, 15, postgres) as made:
            postgres.kill()
            postgres.back_up()
            backed_up = time.monotonic()
            postgres.start()
            await made.flow(80)
            postgres.kill()
            await made.pass_by(0.5)  # what was stored has been acknowledged by now
            for member in made.members:
                member.may_reset = True
                for sent in member.sent.values():
                    sent.undone = sent.answered is not None and sent.answered >= backed_up
            postgres.restore()
            postgres.start()
            await made.until(lambda: all(m.resets for m in made.members), "everybody is told")
            await made.flow(40)
            for member in made.members:
                assert len(member.resets) == 1
                member.may_reset = False
