"""Typed events of other back ends: emitted by REST, seen by everybody who may."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from auth.principal import Role
from rooms.patient_events import REGISTRY
from tests.hub.test_api import error_of
from tests.kit import (
    CASE,
    MARIA,
    MARIA_ID,
    PRIYA,
    TENANT,
    Frame,
    Identity,
    RunningHub,
    running_hub,
)
from tests.rooms.test_patient_events import FULL, SEEN

SECRET = "a secret of other back ends, long enough"
PAUL = Identity("user_paul", "Paul", patient_id="patient_paul")
SUPERVISOR = Identity("user_sam", "Sam", Role.SUPERVISOR)
CONSENT = {"purpose": "Sharing records with hospitals"}


@dataclass
class BackEnd:
    """A hub with Maria's case, and another back end that may emit."""

    hub: RunningHub
    http: httpx2.AsyncClient

    async def emit(
        self, event_type: Any = "consent_granted", key: str | None = None, **members: Any
    ) -> httpx2.Response:
        body = {"event_type": event_type, "patient_id": MARIA_ID, "payload": CONSENT, **members}
        headers = {} if key is None else {"Idempotency-Key": key}
        return await self.http.post("/events", content=json.dumps(body), headers=headers)

    async def emitted(self, *arguments: Any, **members: Any) -> dict[str, Any]:
        answer = await self.emit(*arguments, **members)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def events(self, case: str = CASE) -> list[Frame]:
        """Give all that stands in a case, as staff see it."""
        async with self.hub.rest(PRIYA) as http:
            answer = await http.get(f"/cases/{case}/events", params={"limit": 500})
        found: list[Frame] = answer.json()["events"]
        return found


@asynccontextmanager
async def back_end(folder: Path, **options: Any) -> AsyncIterator[BackEnd]:
    headers = {"Authorization": f"Bearer {SECRET}", "X-Tenant-ID": TENANT}
    async with running_hub(folder, service_token=SECRET, **options) as hub:
        url = f"{hub.http}/api/v1"
        async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=10) as http:
            yield BackEnd(hub, http)


def payload_of(event_type: str) -> dict[str, Any]:
    named = {"patient_id": MARIA_ID} if event_type == "patient_registered" else {}
    return {**FULL[event_type], **named}


# What becomes of an event.


async def test_every_type_reaches_patient_and_staff_with_what_each_may_see(tmp_path: Path) -> None:
    async with (
        back_end(tmp_path) as service,
        service.hub.enter(MARIA) as maria,
        service.hub.enter(PRIYA) as priya,
    ):
        for event_type, entry in REGISTRY.items():
            payload = payload_of(event_type)
            answer = await service.emitted(
                event_type, payload=payload, correlation_id="secret-correlation"
            )
            full, seen = [
                await client.expect("event", kind=entry.kind, id=answer["id"])
                for client in (priya, maria)
            ]
            extra = {"event": event_type, "correlation_id": "secret-correlation"}
            assert full["data"] == {**payload, **extra}
            assert seen["data"] == {
                name: value for name, value in full["data"].items() if name in SEEN[event_type]
            }
            assert "secret" not in str(seen)
            assert seen["actor"] == {"type": "system", "name": "service"}
            assert full["actor"]["id"] == "service"
            assert (answer["seq"], answer["cursor"]) == (full["seq"], full["cursor"])


async def test_an_event_is_told_again_to_whoever_comes_later(tmp_path: Path) -> None:
    async with back_end(tmp_path) as service:
        answer = await service.emitted("document_parsed", payload=FULL["document_parsed"])
        async with service.hub.enter(MARIA) as maria, service.hub.enter(PRIYA) as priya:
            assert maria.events[-1]["data"].keys() == SEEN["document_parsed"]
            assert priya.events[-1]["data"]["confidence"] == 0.41
            assert maria.events[-1]["id"] == priya.events[-1]["id"] == answer["id"]


async def test_the_correlation_may_stand_in_the_payload_too(tmp_path: Path) -> None:
    async with back_end(tmp_path) as service:
        await service.emitted(payload={**CONSENT, "correlation_id": "inner"})
        await service.emitted(
            payload={**CONSENT, "correlation_id": "inner"}, correlation_id="outer"
        )
        await service.emitted()
        told = [event["data"].get("correlation_id") for event in await service.events()]
        assert told == [None, "inner", "outer", None]


# To whom it belongs.


async def test_only_back_ends_may_emit(tmp_path: Path) -> None:
    body = {"event_type": "consent_granted", "patient_id": MARIA_ID, "payload": CONSENT}
    async with back_end(tmp_path) as service:
        for who in (MARIA, PRIYA, SUPERVISOR):
            async with service.hub.rest(who) as http:
                error_of(await http.post("/events", json=body), 403, "forbidden")
                # Nor is anything of the registry told to them.
                error_of(await http.post("/events", json={}), 403, "forbidden")
        async with httpx2.AsyncClient() as http:
            answer = await http.post(f"{service.hub.http}/api/v1/events", json=body)
            error_of(answer, 401, "unauthenticated")
        assert len(await service.events()) == 1


async def test_an_event_without_a_case_goes_to_the_newest_that_is_not_closed(
    tmp_path: Path,
) -> None:
    async with back_end(tmp_path) as service:
        assert (await service.emitted())["case"] == CASE
        assert (await service.emitted(case_id=CASE))["case"] == CASE
        assert (await service.emitted(case_id=None))["case"] == CASE


async def test_an_event_without_an_open_case_opens_one(tmp_path: Path) -> None:
    async with back_end(tmp_path) as service:
        async with service.hub.rest(PRIYA) as http:
            await http.post(f"/cases/{CASE}/status", json={"status": "closed"})
        answers = await asyncio.gather(*(service.emitted() for _ in range(5)))
        (case,) = {answer["case"] for answer in answers}
        assert case != CASE
        told = [event["kind"] for event in await service.events(case)]
        assert told == ["status", *["consent"] * 5]
        async with service.hub.enter(MARIA, case) as maria:
            assert maria.events[-1]["data"]["event"] == "consent_granted"


async def test_what_does_not_fit_opens_no_case(tmp_path: Path) -> None:
    async with back_end(tmp_path) as service:
        async with service.hub.rest(PRIYA) as http:
            await http.post(f"/cases/{CASE}/status", json={"status": "closed"})
        error_of(await service.emit(payload={}), 422, "EVENT_EMIT_001")
        assert await service.hub.hub.rooms.log.newest_case(TENANT, MARIA_ID) is None


async def test_an_unknown_patient_answers_as_an_unknown_case(tmp_path: Path) -> None:
    async with back_end(tmp_path) as service:
        unknown = await service.emit(patient_id="nobody")
        error_of(unknown, 403, "forbidden")
        assert unknown.content == (await service.emit(case_id="no-such-case")).content


async def test_a_document_may_finish_after_its_case_was_closed(tmp_path: Path) -> None:
    payload = FULL["document_parsed"]
    async with back_end(tmp_path) as service:
        async with service.hub.rest(PRIYA) as http:
            await http.post(f"/cases/{CASE}/status", json={"status": "closed"})
        answer = await service.emitted("document_parsed", payload=payload, case_id=CASE)
        assert answer["case"] == CASE
        async with service.hub.rest(PRIYA) as http:
            await http.post(f"/cases/{CASE}/status", json={"status": "archived"})
        late = await service.emit("document_parsed", payload=payload, case_id=CASE)
        error_of(late, 409, "closed")


async def test_a_foreign_case_and_an_unknown_one_get_the_very_same_bytes(tmp_path: Path) -> None:
    async with back_end(tmp_path) as service:
        await service.hub.open_case("case-paul", PAUL)
        cora = Identity("user_cora", "Cora", patient_id="patient_cora", tenant="another tenant")
        answers = [
            await service.emit(case_id="case-paul"),
            await service.emit(case_id="no-such-case"),
            await service.emit(case_id="case-cora"),
            await service.emit(patient_id="nobody", case_id=CASE),
        ]
        elsewhere = {"X-Tenant-ID": cora.tenant}
        body = {"event_type": "consent_granted", "patient_id": MARIA_ID, "payload": CONSENT}
        answers.append(
            await service.http.post("/events", json={**body, "case_id": CASE}, headers=elsewhere)
        )
        for answer in answers:
            error_of(answer, 403, "forbidden")
            assert answer.content == answers[0].content
        assert len(await service.events()) == len(await service.events("case-paul")) == 1


async def test_nobody_is_registered_in_the_case_of_somebody_else(tmp_path: Path) -> None:
    async with back_end(tmp_path) as service:
        payload = {"patient_id": "patient_paul", "name": "Paul"}
        answer = await service.emit("patient_registered", payload=payload)
        error_of(answer, 403, "forbidden")


# What does not fit.


UNFIT: list[tuple[dict[str, Any], str]] = [
    ({"event_type": "document_shredded"}, "document_parsed"),
    ({"event_type": ""}, "event_type"),
    ({"event_type": None}, "event_type"),
    ({"event_type": ["consent_granted"]}, "event_type"),
    ({"event_type": "chat_message_sent"}, "`message`"),
    ({"event_type": "agent_response_generated"}, "`message`"),
    ({"payload": {}}, "payload.purpose"),
    ({"payload": {**CONSENT, "colour": "secret"}}, "payload.colour"),
    ({"payload": {**CONSENT, "event": "consent_revoked"}}, "payload.event"),
    ({"payload": {"purpose": "secret\0"}}, "U+0000"),
    ({"payload": {"purpose": "secret \ud83d"}}, "surrogates"),
    ({"payload": None}, "payload"),
    ({"payload": [CONSENT]}, "payload"),
    ({"payload": "secret"}, "payload"),
    ({"patient_id": None}, "patient_id"),
    ({"patient_id": ""}, "patient_id"),
    ({"case_id": ""}, "case_id"),
    ({"case_id": 7}, "case_id"),
    ({"correlation_id": "secret" * 22}, "correlation_id"),
]
"""What differs from an emission that fits, and what the answer says of it."""


async def test_what_does_not_fit_is_refused_with_its_place_and_nothing_is_stored(
    tmp_path: Path,
) -> None:
    async with back_end(tmp_path) as service:
        before = await service.events()
        for members, told in UNFIT:
            answer = await service.emit(**members)
            assert told in error_of(answer, 422, "EVENT_EMIT_001")
            assert "secret" not in answer.text
        assert await service.events() == before


async def test_what_is_no_json_object_is_refused_as_everywhere(tmp_path: Path) -> None:
    async with back_end(tmp_path) as service:
        for body in ("{", "[]", "null", '{"payload":NaN}'):
            error_of(await service.http.post("/events", content=body), 400, "bad_frame")


async def test_a_refused_event_does_not_use_its_key_up(tmp_path: Path) -> None:
    async with back_end(tmp_path) as service:
        error_of(await service.emit(key="k1", payload={}), 422, "EVENT_EMIT_001")
        await service.emitted("consent_granted", "k1")


# Keys.


async def test_the_same_key_tells_an_event_once_however_often_it_is_sent(tmp_path: Path) -> None:
    async with back_end(tmp_path) as service:
        answers = await asyncio.gather(*(service.emit(key="k1") for _ in range(10)))
        assert sorted(answer.status_code for answer in answers) == [200] * 9 + [201]
        assert {answer.json()["id"] for answer in answers} == {answers[0].json()["id"]}
        assert sum("dup" in answer.json() for answer in answers) == 9
        keys = [event.get("key") for event in await service.events()]
        assert keys[1:] == ["k1"]


async def test_a_key_tells_an_event_once_also_if_its_case_was_closed_since(tmp_path: Path) -> None:
    async with back_end(tmp_path) as service:
        first = await service.emitted(key="consent-1")
        async with service.hub.rest(PRIYA) as http:
            await http.post(f"/cases/{CASE}/status", json={"status": "closed"})
        again = await service.emit(key="consent-1")
        cases = await service.hub.hub.rooms.log.cases_of(TENANT, MARIA_ID)
    assert again.status_code == 200
    assert again.json() == {**first, "dup": True}
    assert cases == [CASE]


async def test_a_key_is_not_used_for_a_consent_and_for_its_end(tmp_path: Path) -> None:
    async with back_end(tmp_path) as service:
        await service.emitted("consent_granted", "k1")
        error_of(await service.emit("consent_revoked", "k1"), 409, "key_reused")


async def test_a_key_has_the_form_of_every_key(tmp_path: Path) -> None:
    async with back_end(tmp_path) as service:
        for key in ("", "x" * 65):
            error_of(await service.emit(key=key), 422, "invalid")


async def test_back_ends_are_not_throttled(tmp_path: Path) -> None:
    async with back_end(tmp_path, writes_per_s=0.01, writes_burst=1) as service:
        for _ in range(5):
            await service.emitted()
