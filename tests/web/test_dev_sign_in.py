"""The sign-in of development: for the hub's own pages, and for nobody in production."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from auth.dev import DevKeys
from auth.principal import Role
from auth.tokens import StaticKey, Verifier
from hub import demo
from hub.app import utc_now
from tests.kit import WITHIN, running_hub
from tests.web.kit import ORIGIN, browser
from web.dev_sign_in import LIFETIME

SAME = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}


async def ask(
    http: httpx2.AsyncClient, identity: Any = "maria", headers: Any = SAME
) -> httpx2.Response:
    return await http.post("/dev/tokens", json={"identity": identity}, headers=headers)


@pytest.mark.parametrize(
    ("identity", "sub", "role"),
    [
        ("maria", "user_maria", Role.PATIENT),
        ("priya", "user_priya", Role.COORDINATOR),
        ("ravi", "user_ravi", Role.COORDINATOR),
        ("sam", "user_sam", Role.SUPERVISOR),
    ],
)
async def test_a_page_gets_a_token_that_the_hub_accepts_for_an_hour(
    tmp_path: Path, identity: str, sub: str, role: Role
) -> None:
    async with browser(tmp_path) as http:
        answer = await ask(http, identity)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body.keys() == {"token", "exp", "identity"}
    verifier = Verifier(StaticKey(DevKeys(tmp_path).public_pem), now=utc_now)
    by = await verifier.verify(body["token"], demo.TENANT)
    assert (by.id, by.role) == (sub, role)
    assert by.patient_id == (demo.MARIA if role is Role.PATIENT else None)
    assert by.expires_at is not None
    assert int(by.expires_at.timestamp()) == body["exp"]
    assert timedelta(minutes=59) < by.expires_at - utc_now() <= LIFETIME


async def test_everybody_of_the_demonstration_can_be_chosen(tmp_path: Path) -> None:
    async with browser(tmp_path) as http:
        answer = await http.get("/dev/identities", headers={"Sec-Fetch-Site": "same-origin"})
        listed = answer.json()["identities"]
        assert [each["identity"] for each in listed] == ["maria", "priya", "ravi", "sam"]
        for each in listed:
            assert each.keys() == {"identity", "name", "role", "page"}
            assert (await http.get(each["page"])).status_code == 200


async def test_a_token_of_the_sign_in_lets_its_page_into_the_case(tmp_path: Path) -> None:
    async with running_hub(tmp_path, open_case=False) as hub:
        await demo.seed(hub.hub)
        async with httpx2.AsyncClient(base_url=hub.http, timeout=WITHIN) as http:
            for identity in ("maria", "priya"):
                token = (await ask(http, identity, {})).json()["token"]
                async with hub.socket(demo.CASE) as client:
                    await client.send({"type": "auth", "token": token})
                    assert (await client.expect("ready"))["you"]["name"].lower() == identity


@pytest.mark.parametrize("identity", ["nobody", "", "Maria", None, 1, ["maria"]])
async def test_nobody_else_can_be_chosen(tmp_path: Path, identity: Any) -> None:
    async with browser(tmp_path) as http:
        answer = await ask(http, identity)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "invalid"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b'{"identity":"maria"'])
async def test_what_is_no_request_is_refused(tmp_path: Path, body: bytes) -> None:
    async with browser(tmp_path) as http:
        assert (await http.post("/dev/tokens", content=body, headers=SAME)).status_code == 422


# Other sites.

APP = "https://app.example.org"
FOREIGN = [
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:8001", "Sec-Fetch-Site": "same-site"},
    {"Origin": "http://localhost:8000.evil.example"},
    # A name of somebody else that leads to this machine: to the browser, all is one site.
    {
        "Origin": "http://evil.example:8000",
        "Host": "evil.example:8000",
        "Sec-Fetch-Site": "same-origin",
    },
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "none"},
    # May open sockets and embed pages, and has tokens of its own.
    {"Origin": APP, "Sec-Fetch-Site": "cross-site"},
    {"Origin": APP},
]


@pytest.mark.parametrize("headers", FOREIGN)
async def test_no_page_of_another_site_gets_a_token(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    async with browser(tmp_path, allowed_origins=frozenset({APP})) as http:
        answer = await ask(http, headers=headers)
        assert answer.status_code == 403
        assert "token" not in answer.json()
        assert (await http.get("/dev/identities", headers=headers)).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        SAME,
        {"Origin": "http://localhost:8000", "Sec-Fetch-Site": "same-origin"},
        # A browser that does not tell of sites, and what is no browser.
        {"Origin": ORIGIN},
        {},
        # Behind a proxy.
        {"Origin": APP, "Host": "app.example.org", "Sec-Fetch-Site": "same-origin"},
    ],
)
async def test_the_own_pages_get_a_token(tmp_path: Path, headers: dict[str, str]) -> None:
    async with browser(tmp_path, allowed_origins=frozenset({APP})) as http:
        assert (await ask(http, headers=headers)).status_code == 200


async def test_the_public_address_is_an_own_one(tmp_path: Path) -> None:
    async with browser(tmp_path, public_url="https://dev.example.org/") as http:
        assert (await ask(http, headers={"Origin": "https://dev.example.org"})).status_code == 200
        assert (await ask(http, headers={"Origin": ORIGIN})).status_code == 403


# Production.


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/dev/tokens"), ("GET", "/dev/identities"), ("GET", "/sign-in")]
)
async def test_there_is_no_such_sign_in_in_production(
    tmp_path: Path, method: str, path: str
) -> None:
    pem = DevKeys(tmp_path / "keys").public_pem
    async with browser(tmp_path, dev=False, jwt_public_key=pem) as http:
        answer = await http.request(method, path, headers=SAME)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"
