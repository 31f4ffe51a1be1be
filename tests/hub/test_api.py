"""The REST door: the same commands, views and errors as the WebSocket."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from auth.errors import KeysUnavailable
from auth.principal import Principal, Role
from rooms.errors import Unavailable
from tests.hub.conftest import Room
from tests.hub.test_client_frames import NO_OBJECTS, NOT_JSON, REFUSED
from tests.kit import CASE, MARIA, PRIYA, TENANT, Identity, running_hub

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "a secret of other back ends, long enough"
CALLS = [
    ("GET", "", None),
    ("GET", "/events", None),
    ("GET", "/timeline", None),
    ("POST", "/messages", {"text": "Hello"}),
    ("POST", "/notes", {"text": "psst"}),
    ("POST", "/status", {"status": "active"}),
]
"""Every call about a case."""
EVERY_CALL = pytest.mark.parametrize(
    ("method", "path", "body"), CALLS, ids=[f"{method}{path}" for method, path, _ in CALLS]
)


def error_of(answer: httpx2.Response, status: int, code: str) -> str:
    """Check the form of an error, and give its sentence."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.json().keys() == {"error"}
    error = answer.json()["error"]
    assert error["code"] == code
    assert error["message"]
    return str(error["message"])


# Who calls.


@EVERY_CALL
@pytest.mark.parametrize("missing", ["Authorization", "X-Tenant-ID"])
async def test_both_headers_are_needed(
    room: Room, method: str, path: str, body: Any, missing: str
) -> None:
    headers = room.hub.headers(room.maria)
    del headers[missing]
    url = f"{room.hub.http}/api/v1/cases/{room.case}{path}"
    async with httpx2.AsyncClient(headers=headers) as http:
        error_of(await http.request(method, url, json=body), 401, "unauthenticated")


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer x"},
        {"Authorization": "Basic dXNlcjpwYXNz"},
        {"Authorization": ""},
        {"X-Tenant-ID": "another"},
        {"X-Tenant-ID": ""},
    ],
)
async def test_headers_that_do_not_hold_are_refused_without_a_reason(
    room: Room, headers: dict[str, str]
) -> None:
    async with room.hub.rest(room.maria) as http:
        answers = [
            await http.get(f"/cases/{room.case}", headers=changed)
            for changed in (headers, {"Authorization": "Bearer nobody"})
        ]
    error_of(answers[0], 401, "unauthenticated")
    assert answers[0].text == answers[1].text


async def test_the_scheme_may_be_written_in_any_case(room: Room) -> None:
    async with room.hub.rest(room.maria) as http:
        headers = {"Authorization": f"bearer  {room.hub.token(room.maria)}"}
        assert (await http.get(f"/cases/{room.case}", headers=headers)).status_code == 200


async def test_keys_that_cannot_be_had_are_not_the_clients_fault(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(token: str, tenant: str | None = None) -> Principal:
        raise KeysUnavailable("the key server is down")

    monkeypatch.setattr(room.hub.hub.verifier, "verify", fail)
    async with room.hub.rest(room.maria) as http:
        answer = await http.get(f"/cases/{room.case}")
    assert "key server" not in error_of(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "2"


# Rights.


@EVERY_CALL
async def test_a_foreign_case_and_an_unknown_one_get_the_very_same_bytes(
    room: Room, method: str, path: str, body: Any
) -> None:
    paul = Identity("user_paul", "Paul", patient_id="patient_paul")
    cora = Identity("user_cora", "Cora", Role.COORDINATOR, tenant="another tenant")
    nobody = Identity("user_nobody", "Nobody")
    answers = []
    for case, who in (
        ("no-such-case", room.maria),
        ("no-such-case", PRIYA),
        (room.case, paul),
        (room.case, cora),
        (room.case, nobody),
        ("%00", PRIYA),
        ("a%00b", room.maria),
        ("%22%27%3B--", PRIYA),
        ("100%25", PRIYA),
        ("%ED%A0%80", PRIYA),
        ("☃", PRIYA),
        ("x" * 5_000, PRIYA),
    ):
        async with room.hub.rest(who) as http:
            answer = await http.request(method, f"/cases/{case}{path}", json=body)
        answers.append((answer.status_code, answer.content, sorted({*answer.headers} - {"date"})))
    assert all(answer == answers[0] for answer in answers), answers
    assert answers[0][0] == 403


@pytest.mark.parametrize(
    ("path", "body"), [("notes", {"text": "psst"}), ("status", {"status": "active"})]
)
async def test_what_only_staff_may_do_is_forbidden_to_patients(
    room: Room, path: str, body: Any
) -> None:
    async with room.hub.rest(room.maria) as http:
        error_of(await http.post(f"/cases/{room.case}/{path}", json=body), 403, "forbidden")


# Reading.


async def test_the_summary_of_a_case_is_that_of_the_callers_audience(room: Room) -> None:
    said = await room.post(room.maria, "messages", {"text": "Hello"})
    note = await room.post(PRIYA, "notes", {"text": "psst"})
    expected = {
        "case": room.case,
        "status": "intake",
        "control": "ai",
        "coordinator": None,
        "patient": {"id": room.maria.patient_id, "name": "Maria"},
        "last_message_at": said["at"],
    }
    for who, head in ((room.maria, said["cursor"]), (PRIYA, note["cursor"])):
        async with room.hub.rest(who) as http:
            answer = await http.get(f"/cases/{room.case}")
        assert answer.json() == {**expected, "head": head}


async def test_a_case_without_messages_has_none(room: Room) -> None:
    async with room.hub.rest(PRIYA) as http:
        assert (await http.get(f"/cases/{room.case}")).json()["last_message_at"] is None


async def test_a_client_that_polls_misses_nothing(room: Room) -> None:
    for number in range(5):
        await room.post(room.maria, "messages", {"text": f"{number}"})
        await room.post(PRIYA, "notes", {"text": "psst"})
    seen: list[dict[str, Any]] = []
    cursor, more = "0.0", True
    async with room.hub.rest(room.maria) as http:
        while more:
            params: dict[str, str | int] = {"after": cursor, "limit": 2}
            page = (await http.get(f"/cases/{room.case}/events", params=params)).json()
            seen += page["events"]
            cursor, more = page["cursor"], page["more"]
        assert [event["seq"] for event in seen] == [1, 2, 3, 4, 5, 6]
        assert cursor == seen[-1]["cursor"]
        page = (await http.get(f"/cases/{room.case}/events", params={"after": cursor})).json()
        assert page == {"events": [], "cursor": cursor, "more": False}
    async with room.enter(room.maria) as maria:
        assert maria.events == seen
    assert "psst" not in str(seen)


@pytest.mark.parametrize(
    ("kind", "patient", "staff"),
    [("message", [2, 4], [2, 6]), ("note", [], [3, 5]), ("status", [3], [4]), ("", [1, 2], [1, 2])],
)
async def test_events_can_be_asked_for_by_kind(
    room: Room, kind: str, patient: list[int], staff: list[int]
) -> None:
    await room.post(room.maria, "messages", {"text": "one"})
    await room.post(PRIYA, "notes", {"text": "psst"})
    await room.post(PRIYA, "status", {"status": "active"})
    await room.post(PRIYA, "notes", {"text": "psst"})
    await room.post(room.maria, "messages", {"text": "two"})
    for who, seqs in ((room.maria, patient), (PRIYA, staff)):
        async with room.hub.rest(who) as http:
            params: dict[str, str | int] = {"kind": kind, "limit": 2}
            page = (await http.get(f"/cases/{room.case}/events", params=params)).json()
        assert [event["seq"] for event in page["events"]] == seqs


@pytest.mark.parametrize(
    ("after", "reason"), [("9.00000000", "cursor_ahead"), ("1.00000000", "cursor_mismatch")]
)
async def test_a_cursor_of_another_log_is_answered_with_reset(
    room: Room, after: str, reason: str
) -> None:
    async with room.hub.rest(room.maria) as http:
        answer = await http.get(f"/cases/{room.case}/events", params={"after": after})
    error_of(answer, 409, "reset")
    assert answer.json()["error"]["reason"] == reason


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("events", "after=x"),
        ("events", "after="),
        ("events", "after=1.0000000%00"),
        ("events", "limit=0"),
        ("events", "limit=501"),
        ("events", "limit=x"),
        ("events", "limit=99999999999999999999999"),
        ("events", "kind=boo"),
        ("events", "kind=%00"),
        ("timeline", "channel=boo"),
        ("timeline", "channel=chat,boo"),
        ("timeline", "channel=chat;drop"),
        ("timeline", "limit=0"),
        ("timeline", "limit=201"),
        ("timeline", "before=0"),
        ("timeline", "before=-1"),
        ("timeline", "before=x"),
        ("timeline", "before=99999999999999999999999"),
        ("timeline", "before=" + "9" * 5_000),
    ],
    ids=lambda text: text[:40],
)
async def test_a_query_of_the_wrong_form_is_refused(room: Room, path: str, query: str) -> None:
    async with room.hub.rest(room.maria) as http:
        error_of(await http.get(f"/cases/{room.case}/{path}?{query}"), 422, "invalid")


@pytest.mark.parametrize("query", ["limit=1&x=y", "after=0.0&kind=", "after=0.0&after=0.0"])
async def test_what_a_query_does_not_know_is_ignored(room: Room, query: str) -> None:
    async with room.hub.rest(room.maria) as http:
        assert (await http.get(f"/cases/{room.case}/events?{query}")).status_code == 200


# The timeline.


async def say_on_all_channels(room: Room) -> None:
    await room.post(room.maria, "messages", {"text": "chat"})
    await room.post(PRIYA, "notes", {"text": "internal_note"})
    for via, name in (("phone", "phone_call"), ("sms", "sms"), ("email", "email")):
        await room.post(PRIYA, "messages", {"text": name, "via": via})
    await room.post(PRIYA, "status", {"status": "active"})
    await room.post(PRIYA, "messages", {"text": "whatsapp", "via": "whatsapp"})


async def timeline(room: Room, who: Identity, **params: Any) -> tuple[list[str], bool]:
    async with room.hub.rest(who) as http:
        answer = await http.get(f"/cases/{room.case}/timeline", params=params)
    assert answer.status_code == 200, answer.text
    entries = answer.json()["entries"]
    assert all(entry["event"]["data"]["text"] == entry["channel"] for entry in entries)
    return [entry["channel"] for entry in entries], answer.json()["more"]


async def test_the_timeline_mixes_all_channels_the_newest_first(room: Room) -> None:
    await say_on_all_channels(room)
    spoken = ["whatsapp", "email", "sms", "phone_call", "chat"]
    assert await timeline(room, room.maria) == (spoken, False)
    assert await timeline(room, PRIYA) == ([*spoken[:4], "internal_note", "chat"], False)


@pytest.mark.parametrize(
    ("channel", "found"),
    [
        ("chat", ["chat"]),
        ("sms,email", ["email", "sms"]),
        ("phone_call", ["phone_call"]),
        ("whatsapp,", ["whatsapp"]),
        ("internal_note", ["internal_note"]),
        ("chat,internal_note", ["internal_note", "chat"]),
    ],
)
async def test_the_timeline_can_be_narrowed(room: Room, channel: str, found: list[str]) -> None:
    await say_on_all_channels(room)
    assert await timeline(room, PRIYA, channel=channel) == (found, False)


@pytest.mark.parametrize("channel", ["internal_note", "chat,internal_note"])
async def test_a_patient_cannot_ask_for_notes(room: Room, channel: str) -> None:
    async with room.hub.rest(room.maria) as http:
        answer = await http.get(f"/cases/{room.case}/timeline", params={"channel": channel})
        error_of(answer, 403, "forbidden")
        answer = await http.get("/cases/no-such-case/timeline", params={"channel": channel})
        error_of(answer, 403, "forbidden")


async def test_the_timeline_pages_back_in_ones_own_numbering(room: Room) -> None:
    await say_on_all_channels(room)
    assert await timeline(room, room.maria, limit=2) == (["whatsapp", "email"], True)
    assert await timeline(room, room.maria, limit=2, before=5) == (["sms", "phone_call"], True)
    assert await timeline(room, room.maria, limit=2, before=3) == (["chat"], False)
    assert await timeline(room, PRIYA, limit=1, before=4) == (["internal_note"], True)


# Writing.


async def test_what_was_written_is_answered_with_its_place_in_the_log(room: Room) -> None:
    async with room.enter(room.maria) as maria, room.hub.rest(room.maria) as http:
        url = f"/cases/{room.case}/messages"
        headers = {"Idempotency-Key": "k1"}
        first = await http.post(url, json={"text": "Hello"}, headers=headers)
        event = await maria.expect_message("Hello")
        assert first.status_code == 201
        assert first.json() == {
            "case": room.case,
            "id": event["id"],
            "seq": 2,
            "cursor": event["cursor"],
            "at": event["at"],
        }
        assert event["key"] == "k1"
        again = await http.post(url, json={"text": "Hello"}, headers=headers)
        assert (again.status_code, again.json()) == (200, {**first.json(), "dup": True})
        reused = await http.post(url, json={"text": "Hi"}, headers=headers)
        error_of(reused, 409, "key_reused")
        other = await http.post(url, json={"text": "Hello"})
        assert (other.status_code, other.json()["seq"]) == (201, 3)
        assert "key" not in await maria.expect_message("Hello")
        # One key, one command, whatever the door.
        ack = await maria.ask({"type": "message", "key": "k1", "text": "Hello"})
        assert (ack["id"], ack["dup"]) == (first.json()["id"], True)


async def test_the_key_is_that_of_the_header_and_the_type_that_of_the_address(room: Room) -> None:
    async with room.enter(room.maria) as maria:
        body = {"text": "Hello", "key": 17, "type": "note"}
        await room.post(room.maria, "messages", body, key="k1")
        assert (await maria.expect_message("Hello"))["key"] == "k1"


@pytest.mark.parametrize("key", ["", "x" * 65])
async def test_a_key_of_the_wrong_form_is_refused(room: Room, key: str) -> None:
    async with room.hub.rest(room.maria) as http:
        answer = await http.post(
            f"/cases/{room.case}/messages",
            json={"text": "Hello"},
            headers={"Idempotency-Key": key},
        )
    assert error_of(answer, 422, "invalid").startswith("Idempotency-Key: ")


async def test_an_answer_past_a_newer_message_is_stale_unless_forced(room: Room) -> None:
    await room.post(room.maria, "messages", {"text": "Wait"})
    async with room.hub.rest(PRIYA) as http:
        url = f"/cases/{room.case}/messages"
        answer = await http.post(url, json={"text": "Answer", "seen": 1})
        error_of(answer, 409, "stale")
        (missed,) = answer.json()["error"]["missed"]
        assert missed["data"]["text"] == "Wait"
        forced = await http.post(url, json={"text": "Answer", "seen": 1, "force": True})
        assert forced.status_code == 201


async def test_a_closed_case_takes_no_messages(room: Room) -> None:
    await room.post(PRIYA, "status", {"status": "closed"})
    async with room.hub.rest(room.maria) as http:
        answer = await http.post(f"/cases/{room.case}/messages", json={"text": "Hello"})
        error_of(answer, 409, "closed")
    async with room.hub.rest(PRIYA) as http:
        answer = await http.post(f"/cases/{room.case}/status", json={"status": "closed"})
        error_of(answer, 409, "conflict")


async def test_a_reply_to_nothing_is_refused(room: Room) -> None:
    note = await room.post(PRIYA, "notes", {"text": "psst"})
    async with room.hub.rest(room.maria) as http:
        answers = [
            await http.post(f"/cases/{room.case}/messages", json={"text": "x", "reply_to": target})
            for target in (note["id"], "message_unknown")
        ]
    error_of(answers[0], 404, "not_found")
    assert answers[0].content == answers[1].content


async def test_a_case_is_escalated_accepted_and_released_without_a_body(room: Room) -> None:
    for who, call in ((room.maria, "escalate"), (PRIYA, "accept"), (PRIYA, "release")):
        async with room.hub.rest(who) as http:
            assert (await http.post(f"/cases/{room.case}/{call}")).status_code == 201
    async with room.hub.rest(PRIYA) as http:
        summary = (await http.get(f"/cases/{room.case}")).json()
    assert (summary["control"], summary["coordinator"]) == ("ai", None)


# Bad bodies.


@pytest.mark.parametrize(
    "body",
    [
        *(text.encode() for text in NOT_JSON + NO_OBJECTS if text),
        b"\xff",
        '{"text":"é"}'.encode("utf-16"),
    ],
    ids=lambda body: f"{len(body)} {body[:30]!r}",
)
async def test_a_body_that_is_no_json_object_is_refused(room: Room, body: bytes) -> None:
    async with room.hub.rest(room.maria) as http:
        answer = await http.post(f"/cases/{room.case}/messages", content=body)
        if len(body) > room.hub.hub.settings.max_body:
            error_of(answer, 413, "too_large")
        else:
            error_of(answer, 400, "bad_frame")


async def test_a_body_of_the_wrong_form_is_refused(room: Room) -> None:
    paths = {"message": "messages", "note": "notes", "status": "status"}
    async with room.hub.rest(PRIYA) as http:
        for kind, members in REFUSED:
            if kind in paths and "key" not in members:
                body = {**members, "type": "x"}
                url = f"/cases/{room.case}/{paths[kind]}"
                answer = await http.post(url, content=json.dumps(body))
                error_of(answer, 422, "invalid")
        assert (await http.get(f"/cases/{room.case}")).json()["head"].startswith("1.")


async def test_a_body_that_is_too_large_is_refused(tmp_path: Path) -> None:
    async def chunks() -> Any:
        for _ in range(30):
            yield b"x" * 100

    async with running_hub(tmp_path, max_body=2_000) as hub, hub.rest(MARIA) as http:
        url = "/cases/case-1/messages"
        for content in (b"x" * 2_001, chunks()):
            error_of(await http.post(url, content=content), 413, "too_large")
        body = b'{"text":"Hello"}'
        answer = await http.post(url, content=body + b" " * (2_000 - len(body)))
        assert answer.status_code == 201


async def test_a_log_that_cannot_be_written_is_not_the_clients_fault(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*args: Any, **options: Any) -> Any:
        raise Unavailable

    monkeypatch.setattr(room.hub.hub.rooms.log, "append", fail)
    async with room.hub.rest(room.maria) as http:
        answer = await http.post(f"/cases/{room.case}/messages", json={"text": "Hello"})
    error_of(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "2"


# Registration.


async def register(room: Room, who: Identity, body: Any, key: str = "r1") -> httpx2.Response:
    async with room.hub.rest(who) as http:
        headers = {"Idempotency-Key": key}
        return await http.post("/patients", content=json.dumps(body), headers=headers)


def fresh(room: Room) -> Identity:
    """Give somebody who is registered nowhere."""
    return Identity(f"new_{room.maria.sub}", "Nina")


async def test_a_patient_registers_herself_and_may_enter_her_case(room: Room) -> None:
    nina = fresh(room)
    answer = await register(room, nina, {"name": "Nina"})
    assert answer.status_code == 201
    case = answer.json()["case"]
    assert answer.json()["patient_id"].startswith("p_")
    assert answer.json()["seq"] == 1
    async with room.hub.enter(nina, case) as client:
        assert client.events[0]["data"]["event"] == "patient_registered"
    again = await register(room, nina, {"name": "Nina"})
    assert (again.status_code, again.json()) == (200, {**answer.json(), "dup": True})
    error_of(await register(room, nina, {"name": "Nino"}), 409, "key_reused")
    error_of(await register(room, nina, {"name": "Nina"}, "r2"), 409, "conflict")


async def test_a_patient_whose_token_names_her_registers_as_that_patient(room: Room) -> None:
    nina = Identity(f"new_{room.maria.sub}", "Nina", patient_id=f"new_{room.maria.patient_id}")
    answer = await register(room, nina, {"name": "Nina"})
    assert answer.json()["patient_id"] == nina.patient_id
    async with room.hub.enter(nina, answer.json()["case"]):
        pass


@pytest.mark.parametrize(
    "body", [{"user_id": "somebody"}, {"patient_id": "somebody"}, {"patient_id": "p_x"}]
)
async def test_a_patient_registers_nobody_but_herself(room: Room, body: dict[str, str]) -> None:
    error_of(await register(room, fresh(room), {"name": "Nina", **body}), 403, "forbidden")
    async with room.hub.rest(fresh(room)) as http:
        answer = await http.get(f"/cases/{room.case}")
        error_of(answer, 403, "forbidden")


async def test_staff_register_a_patient(room: Room) -> None:
    nina = fresh(room)
    body = {"name": "Nina", "patient_id": f"id_{nina.sub}", "user_id": nina.sub}
    answer = await register(room, PRIYA, body, key=nina.sub)
    assert (answer.status_code, answer.json()["patient_id"]) == (201, body["patient_id"])
    async with room.hub.enter(nina, answer.json()["case"]) as client:
        assert client.events[0]["actor"] == {"type": "coordinator", "name": "Priya"}
    error_of(await register(room, PRIYA, body, key="another"), 409, "conflict")
    twin = {**body, "patient_id": "another"}
    error_of(await register(room, PRIYA, twin, key="another"), 409, "conflict")


async def test_another_back_end_registers_a_patient_with_the_service_token(tmp_path: Path) -> None:
    async with (
        running_hub(tmp_path, open_case=False, service_token=SECRET) as hub,
        httpx2.AsyncClient(base_url=f"{hub.http}/api/v1") as http,
    ):
        body = {"name": "Maria", "patient_id": MARIA.patient_id, "user_id": MARIA.sub}
        headers = {"Authorization": f"Bearer {SECRET}", "X-Tenant-ID": TENANT}
        answer = await http.post("/patients", json=body, headers=headers)
        assert answer.status_code == 201
        async with hub.enter(MARIA, answer.json()["case"]) as client:
            assert client.events[0]["actor"]["type"] == "system"
        wrong = {**headers, "Authorization": f"Bearer {SECRET}x"}
        error_of(await http.post("/patients", json=body, headers=wrong), 401, "unauthenticated")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": None},
        {"name": 1},
        {"name": "x" * 201},
        {"name": "a\0b"},
        {"name": "\ud800"},
        {"name": "x", "patient_id": ""},
        {"name": "x", "patient_id": 1},
        {"name": "x", "patient_id": "x" * 129},
        {"name": "x", "patient_id": "a\0b"},
        {"name": "x", "user_id": []},
    ],
)
async def test_a_registration_of_the_wrong_form_is_refused(
    room: Room, body: dict[str, Any]
) -> None:
    error_of(await register(room, PRIYA, body), 422, "invalid")


# Rates.


async def test_what_one_user_may_write_is_limited_and_back_ends_are_not(tmp_path: Path) -> None:
    secret = "s" * 32
    async with running_hub(
        tmp_path, writes_per_s=0.001, writes_burst=3, service_token=secret
    ) as hub:
        async with hub.rest(MARIA) as http:
            path = f"/cases/{CASE}/messages"
            codes = [(await http.post(path, json={"text": "x"})).status_code for _ in range(3)]
            answer = await http.post(path, json={"text": "x"})
        assert codes == [201] * 3
        error_of(answer, 429, "rate_limited")
        assert int(answer.headers["retry-after"]) > 900
        async with hub.rest(PRIYA) as http:
            assert (await http.post(path, json={"text": "x"})).status_code == 201
        headers = {"Authorization": f"Bearer {secret}", "X-Tenant-ID": MARIA.tenant}
        async with httpx2.AsyncClient(base_url=f"{hub.http}/api/v1", headers=headers) as http:
            for _ in range(5):
                assert (await http.post(path, json={"text": "x"})).status_code == 201


async def test_a_client_that_hangs_up_in_its_request_leaves_no_trace(
    room: Room, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", room.hub.port)
    head = f"POST /api/v1/cases/{room.case}/messages HTTP/1.1\r\nHost: x\r\n"
    head += f"X-Tenant-ID: {room.maria.tenant}\r\n"
    token = f"Authorization: Bearer {room.hub.token(room.maria)}\r\nContent-Length: 9\r\n\r\n{{"
    writer.write((head + token).encode())
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    async with room.hub.rest(room.maria) as http:
        assert (await http.get(f"/cases/{room.case}")).status_code == 200
    assert "Traceback" not in capsys.readouterr().err + caplog.text
