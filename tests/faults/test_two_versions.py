"""A new version is deployed process by process, and taken back, while people talk everywhere."""

import json
from pathlib import Path

import httpx2

from auth.principal import Role
from tests.faults.history import HIDDEN
from tests.faults.newer_hub import HUDDLE, PARCEL
from tests.faults.world import PRIYA, Place, World, world
from tests.kit import WITHIN, Frame, HubProcess, Identity
from tests.servers import Postgres

OLDER = HubProcess.arguments
NEWER = ("-m", "tests.faults.newer_hub")
SAM = Identity("user_sam", "Sam", Role.SUPERVISOR)
MIGRATION = (
    "ALTER TABLE case_state ADD COLUMN mood integer NOT NULL DEFAULT 7",
    # In the order in which hubs lock the rows.
    """WITH each AS (SELECT id FROM case_state ORDER BY id FOR UPDATE)
    UPDATE case_state SET mood = 8 FROM each WHERE case_state.id = each.id""",
    "UPDATE alembic_version SET version_num = '9999'",
    # What only the newer version can make something of.
    """INSERT INTO flag (tenant, name, "on", changed_at, changed_by)
    VALUES ('tenant-curaway-patients', 'music', true, now(), 'user_sam')""",
    """INSERT INTO revocation
    (tenant, about, subject, issued_before, until, changed_at, changed_by)
    VALUES ('tenant-curaway-patients', 'device', 'phone',
    now(), now() + interval '1 day', now(), 'user_sam')""",
    """INSERT INTO task (id, kind, case_id, details, due, attempts, dead)
    VALUES ('task_1', 'tidy', 'case-1', '{}', now(), 0, false)""",
)


BECAME = "SELECT concat_ws(' ', attempts, dead, holder) FROM task WHERE kind = 'tidy'"
"""What became so far of the tasks that only the newer version can do."""


async def deploy(made: World, place: Place, version: tuple[str, ...]) -> None:
    """Replace a process in an orderly way; its clients are sent to the other one."""
    assert await place.process.terminate() == 0
    place.reachable = False
    await made.flow(20)
    place.process.arguments = version
    await made.restart(place)
    await made.flow(20)


async def streamed(hub: HubProcess, who: Identity, case: str) -> list[Frame]:
    """Read the whole case from an SSE stream."""
    headers = {**hub.headers(who), "Last-Event-ID": "0.0"}
    url = f"{hub.http}/api/v1/cases/{case}/stream"
    frames: list[Frame] = []
    async with (
        httpx2.AsyncClient(timeout=WITHIN) as http,
        http.stream("GET", url, headers=headers) as response,
    ):
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                frames.append(json.loads(line.removeprefix("data: ")))
                if frames[-1]["type"] == "caught_up":
                    break
    return [frame for frame in frames if frame["type"] == "event"]


async def test_a_version_that_is_deployed_and_taken_back_loses_and_doubles_nothing(
    tmp_path: Path, postgres: Postgres
) -> None:
    async with world(tmp_path, 2, postgres, HUB_DRAIN_S="0.5") as made:
        one, other = made.places
        for statement in MIGRATION:
            await made.ask(statement)
        await made.flow(20)
        # What only the newer version can do is left for it.
        assert await made.ask(BECAME) == ["0 f"]
        await deploy(made, one, NEWER)
        await deploy(made, other, NEWER)
        await deploy(made, one, OLDER)
        await made.rest()
        await check_readers(made, one.process)
        assert await made.ask("SELECT DISTINCT mood FROM case_state") == [8]
        assert await made.ask(BECAME) == []
    codes = {each.code for member in made.members for each in member.sojourns}
    assert 4503 in codes
    for place in made.places:
        assert "schema_newer" in place.process.log
        assert "Traceback" not in place.process.log


async def check_readers(made: World, older: HubProcess) -> None:
    """Staff get at the older hub what only the newer one knows; patients get what is theirs."""
    case = made.cases[0]
    patient = next(m.who for m in made.members if m.case == case and not m.is_staff)
    for_staff = await made.log(case, PRIYA)
    for_patient = await streamed(older, patient, case)
    assert {HUDDLE, PARCEL} <= {event["kind"] for event in for_staff}
    assert PARCEL in {event["kind"] for event in for_patient}
    assert not {event["kind"] for event in for_patient} & {*HIDDEN}
    huddle = next(event for event in for_staff if event["kind"] == HUDDLE)
    async with older.rest(SAM) as rest:
        why = (await rest.get(f"events/{huddle['id']}/why", params={"case": case})).json()
        desk = (await rest.get("cases")).json()
        timeline = await rest.get(f"cases/{case}/timeline")
    assert (why["event"]["kind"], why["event"]["patient_seq"]) == (HUDDLE, None)
    assert set(made.cases) <= {entry["case"] for entry in desk["cases"]}
    assert timeline.status_code == 200
