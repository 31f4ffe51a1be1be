"""What is not about a case: health, CORS, and answers to what is not there."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from auth.dev import DevKeys
from auth.jwks import JwksKeys
from auth.tokens import StaticKey
from hub.app import Hub, utc_now
from hub.random_ids import RandomIds
from hub.settings import Settings
from rooms.errors import Unavailable
from tests.hub.conftest import Room
from tests.kit import CASE, MARIA, running_hub

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def request(room: Room, method: str, path: str, **options: Any) -> httpx2.Response:
    async with httpx2.AsyncClient() as http:
        return await http.request(method, room.hub.http + path, **options)


@pytest.mark.parametrize(("path", "text"), [("/healthz", "ok"), ("/readyz", "ready")])
async def test_a_hub_that_serves_is_healthy_and_ready(room: Room, path: str, text: str) -> None:
    answer = await request(room, "GET", path)
    assert (answer.status_code, answer.text) == (200, text)


async def test_a_hub_whose_database_does_not_answer_is_alive_and_not_ready(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*args: Any, **options: Any) -> Any:
        raise Unavailable

    monkeypatch.setattr(room.hub.hub.rooms._database, "read", fail)
    assert (await request(room, "GET", "/healthz")).status_code == 200
    assert (await request(room, "GET", "/readyz")).status_code == 503


async def test_metrics_are_in_the_format_of_prometheus(room: Room) -> None:
    answer = await request(room, "GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "# TYPE hub_sockets gauge" in answer.text


@pytest.mark.parametrize(
    "path", ["/nothing", "/api/v1/case", "/api/v1/cases/x/y", "/api/v1/cases/a%2Fb/messages"]
)
async def test_what_is_not_there_is_told_in_the_form_of_errors(room: Room, path: str) -> None:
    answer = await request(room, "GET", path)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/healthz", "GET"),
        ("DELETE", "/api/v1/cases/x", "GET"),
        ("GET", "/api/v1/cases/x/messages", "POST"),
        ("PUT", "/api/v1/patients", "POST"),
    ],
)
async def test_a_method_that_is_not_taken_is_told_with_those_that_are(
    room: Room, method: str, path: str, allowed: str
) -> None:
    answer = await request(room, method, path)
    assert answer.status_code == 405
    assert answer.json()["error"]["code"] == "invalid"
    assert allowed in answer.headers["allow"]


async def test_what_fails_unexpectedly_is_told_in_the_form_of_errors(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*args: Any, **options: Any) -> Any:
        raise ZeroDivisionError("my secret")

    monkeypatch.setattr(room.hub.hub.rooms.log, "append", fail)
    async with room.hub.rest(room.maria) as http:
        answer = await http.post(f"/cases/{room.case}/messages", json={"text": "Hello"})
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal"
    assert "secret" not in answer.text


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_allowed_pages_may_call_and_others_may_not(tmp_path: Path, method: str) -> None:
    asked = "authorization,x-tenant-id,idempotency-key,last-event-id,content-type"
    async with (
        running_hub(tmp_path, allowed_origins=frozenset({"https://app.example"})) as hub,
        httpx2.AsyncClient() as http,
    ):
        url = f"{hub.http}/api/v1/cases/{CASE}/messages"
        headers = {
            "Origin": "https://app.example",
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": asked,
        }
        answer = await http.options(url, headers=headers)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
        assert "access-control-allow-credentials" not in answer.headers
        stranger = {**headers, "Origin": "https://evil.example"}
        answer = await http.options(url, headers=stranger)
        assert answer.status_code == 400
        assert "access-control-allow-origin" not in answer.headers
        headers = hub.headers(MARIA) | {"Origin": "https://app.example"}
        answer = await http.post(url, json={"text": "Hello"}, headers=headers)
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
        assert answer.headers["access-control-expose-headers"] == "Retry-After"
        answer = await http.post(url, json={}, headers=headers)
        assert (answer.status_code, "access-control-allow-origin" in answer.headers) == (422, True)


async def test_ids_tell_nothing_of_each_other() -> None:
    new_id, other = RandomIds(), RandomIds()
    with ThreadPoolExecutor(4) as threads:
        ids = {*threads.map(new_id, 4_000 * ["c"]), *(other("c") for _ in range(1_000))}
    assert len(ids) == 5_000
    assert all(re.fullmatch(r"c_[\w-]{16}", id) for id in ids)
    assert utc_now().utcoffset() is not None


async def test_a_hub_takes_its_keys_from_where_the_settings_say(tmp_path: Path) -> None:
    pem = DevKeys(tmp_path / "other").public_pem
    for settings, source in (
        (Settings(dev=True, data_dir=tmp_path / "new"), StaticKey),
        (Settings(jwt_public_key=pem, data_dir=tmp_path), StaticKey),
        (Settings(jwt_public_key=pem, database_url="sqlite://"), StaticKey),
        (Settings(jwks_url="https://example.com/jwks.json", data_dir=tmp_path), JwksKeys),
    ):
        hub = Hub(settings)
        assert isinstance(hub.verifier._keys, source)
        await hub.rooms._database.close()
