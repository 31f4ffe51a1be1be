"""Consent: what a patient agrees to by REST, and takes back."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from auth.principal import Role
from tests.hub.conftest import Room
from tests.hub.test_api import error_of
from tests.kit import CASE, MARIA, PRIYA, TENANT, Frame, Identity, running_hub

pytestmark = pytest.mark.asyncio(loop_scope="module")

PURPOSE = "Sharing records with hospitals"
BAD: list[dict[str, Any]] = [
    {"purpose": ""},
    {"purpose": "x" * 101},
    {"purpose": None},
    {"granted": None},
    {"granted": "yes"},
    {"granted": 1},
    {"version": "v" * 51},
    {"consent_id": ""},
    {"case": 7},
    {"purpose": "a\0b"},
]


async def consent(
    room: Room, who: Identity, key: str | None = None, **members: Any
) -> httpx2.Response:
    body = {"case": room.case, "purpose": PURPOSE, "granted": True, **members}
    headers = room.hub.headers(who, key)
    async with httpx2.AsyncClient(headers=headers) as http:
        return await http.post(f"{room.hub.http}/api/v1/consent", json=body)


async def events(room: Room, who: Identity) -> list[Frame]:
    async with room.hub.rest(who) as http:
        found = (await http.get(f"/cases/{room.case}/events", params={"kind": "consent"})).json()
    told: list[Frame] = found["events"]
    return told


async def test_a_patient_agrees_and_takes_it_back(room: Room) -> None:
    members = {"version": "v2", "consent_id": "consent-7"}
    granted = await consent(room, room.maria, **members)
    revoked = await consent(room, room.maria, granted=False)
    assert granted.status_code == revoked.status_code == 201
    staff = await events(room, room.priya)
    patient = await events(room, room.maria)
    assert [event["data"] for event in staff] == [
        {"event": "consent_granted", "purpose": PURPOSE, **members},
        {"event": "consent_revoked", "purpose": PURPOSE},
    ]
    assert patient[0]["data"] == {
        "event": "consent_granted",
        "purpose": PURPOSE,
        "version": "v2",
    }, "ids of other systems are for staff"
    for event in (*staff, *patient):
        assert event["actor"] == {"type": "patient", "id": room.maria.sub, "name": "Maria"}
    assert granted.json()["cursor"] == patient[0]["cursor"]


async def test_nobody_but_the_patient_and_other_back_ends_agrees_for_the_patient(
    room: Room,
) -> None:
    message = error_of(await consent(room, room.priya), 403, "forbidden")
    assert message == "Only the patient and other back ends may do this."
    supervisor = Identity("user_sam", "Sam", Role.SUPERVISOR)
    error_of(await consent(room, supervisor), 403, "forbidden")
    assert await events(room, room.maria) == []


async def test_a_back_end_tells_what_a_patient_agreed_to_elsewhere(tmp_path: Path) -> None:
    secret = "a secret of other back ends, long enough"
    headers = {"Authorization": f"Bearer {secret}", "X-Tenant-ID": TENANT}
    async with running_hub(tmp_path, service_token=secret) as hub:
        async with httpx2.AsyncClient(headers=headers) as http:
            body = {"case": CASE, "purpose": PURPOSE, "granted": True}
            answer = await http.post(f"{hub.http}/api/v1/consent", json=body)
        assert answer.status_code == 201
        (event,) = await events(Room(hub, CASE, MARIA, PRIYA), MARIA)
    assert event["actor"]["type"] == "system"
    assert event["data"]["purpose"] == PURPOSE


async def test_a_foreign_case_and_an_unknown_one_get_the_very_same_bytes(room: Room) -> None:
    stranger = Identity("user_x", "Xaver", patient_id="patient_x")
    foreign = await consent(room, stranger)
    unknown = await consent(room, stranger, case="no-such-case")
    error_of(foreign, 403, "forbidden")
    assert foreign.content == unknown.content
    assert await events(room, room.priya) == []


@pytest.mark.parametrize("members", BAD, ids=str)
async def test_what_is_no_consent_is_refused_and_nothing_happens(
    room: Room, members: dict[str, Any]
) -> None:
    error_of(await consent(room, room.maria, **members), 422, "invalid")
    assert await events(room, room.priya) == []


async def test_a_key_tells_a_consent_once_and_is_not_used_for_its_end(room: Room) -> None:
    first = await consent(room, room.maria, "k1")
    again = await consent(room, room.maria, "k1")
    assert again.status_code == 200
    assert again.json() == {**first.json(), "dup": True}
    error_of(await consent(room, room.maria, "k1", granted=False), 409, "key_reused")
    assert len(await events(room, room.maria)) == 1


async def test_a_consent_can_be_taken_back_in_a_closed_case_but_not_in_an_archived_one(
    room: Room,
) -> None:
    await room.post(room.priya, "status", {"status": "closed"})
    assert (await consent(room, room.maria, granted=False)).status_code == 201
    await room.post(room.priya, "status", {"status": "archived"})
    error_of(await consent(room, room.maria), 409, "closed")
