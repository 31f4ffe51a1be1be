"""The doctor: one line for each thing, what to do about it, and a status for scripts."""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from hub.__main__ import main
from hub.doctor import Verdict, examination
from hub.settings import Settings
from tests.auth.kit import KeyServer, jwk, key_set, private_key
from tests.servers import running_postgres
from tests.valkey import Valkey, running_valkey

pytestmark = pytest.mark.usefixtures("plain_environment")

KEY = "sk-ant-test"
SAFE = ("-cfsync=on", "-cfull_page_writes=on")
PRODUCTION = {
    "HUB_PUBLIC_URL": "https://hub.example.org",
    "HUB_JWT_ISSUER": "https://issuer.example.org",
    "HUB_STAFF_ORGANISATIONS": "org_1",
    "ANTHROPIC_API_KEY": KEY,
}


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    with running_valkey("a password") as server:
        yield server


@contextlib.contextmanager
def key_server() -> Iterator[str]:
    """Serve a key set beside the test, as the command has an event loop of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    context = KeyServer.running(key_set(jwk(private_key("EdDSA"))))
    server = asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result()
    try:
        yield server.url
    finally:
        asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def doctor(**variables: str) -> tuple[int, dict[str, list[str]]]:
    """Give the exit status, and the findings: by verdict, what each is about and its text."""
    result = CliRunner().invoke(main, ["doctor"], env=variables)
    findings: dict[str, list[str]] = {"ok": [], "warn": [], "fail": []}
    for line in result.output.splitlines():
        verdict, about, text = line.split(maxsplit=2)
        findings[verdict].append(f"{about} {text}")
    return result.exit_code, findings


def one(findings: list[str], about: str) -> str:
    [found] = [finding for finding in findings if finding.startswith(about)]
    return found


def test_a_hub_that_is_set_up_well_is_told_so(valkey: Valkey) -> None:
    with running_postgres(*SAFE) as server, key_server() as keys:
        status, findings = doctor(
            **PRODUCTION,
            HUB_DATABASE_URL=server.url("postgres"),
            HUB_REDIS_URL=valkey.url,
            HUB_JWKS_URL=keys,
            NO_PROXY="*",
        )
    assert (status, findings["warn"], findings["fail"]) == (0, [], [])
    assert "PostgreSQL 18" in one(findings["ok"], "database")
    assert "survives a power cut" in one(findings["ok"], "durability")
    assert "fetched" in one(findings["ok"], "tokens")
    assert one(findings["ok"], "connections")
    assert len([finding for finding in findings["ok"] if finding.startswith("clock")]) == 2


def test_a_first_try_is_fit_to_run_and_no_production(tmp_path: Path) -> None:
    status, findings = doctor(HUB_DEV="1", HUB_DATA_DIR=str(tmp_path / "var"))
    assert (status, findings["fail"]) == (0, [])
    assert "HUB_DEV=1" in one(findings["warn"], "tokens")
    assert "ANTHROPIC_API_KEY" in one(findings["warn"], "assistant")
    assert not (tmp_path / "var").exists(), "the doctor changes nothing"


@pytest.mark.parametrize(
    ("variables", "about", "advice"),
    [
        ({"HUB_REDIS_URL": "redis://127.0.0.1:1"}, "redis", "See HUB_REDIS_URL"),
        ({"HUB_REDIS_URL": "http://x"}, "redis", "rediss://"),
        ({"HUB_DATABASE_URL": "postgresql://u@127.0.0.1:1/d"}, "database", "HUB_DATABASE_URL"),
        ({"HUB_DATA_DIR": "/dev/null/var"}, "data", "can be written to"),
        ({"HUB_PUBLIC_URL": "hub.example.org"}, "address", "Write https://host"),
        ({"HUB_ALLOWED_ORIGINS": "https://a.example/"}, "origins", "without a path"),
        ({"ANTHROPIC_API_KEY": " sk-ant-1"}, "assistant", "Copy it"),
    ],
)
def test_what_keeps_a_hub_from_running_fails(
    tmp_path: Path, variables: dict[str, str], about: str, advice: str
) -> None:
    status, findings = doctor(**{"HUB_DEV": "1", "HUB_DATA_DIR": str(tmp_path), **variables})
    assert status == 1
    assert advice in one(findings["fail"], about)


@pytest.mark.parametrize(
    ("variables", "about", "advice"),
    [
        ({"HUB_PUBLIC_URL": "http://hub.example.org"}, "address", "not encrypted"),
        ({"HUB_ALLOWED_ORIGINS": "http://a.example"}, "origins", "not encrypted"),
        ({"ANTHROPIC_API_KEY": "sk-1"}, "assistant", "another service"),
    ],
)
def test_what_somebody_should_look_at_is_warned_of(
    tmp_path: Path, variables: dict[str, str], about: str, advice: str
) -> None:
    status, findings = doctor(**{"HUB_DEV": "1", "HUB_DATA_DIR": str(tmp_path), **variables})
    assert (status, findings["fail"]) == (0, [])
    assert advice in one(findings["warn"], about)


def test_a_key_set_that_is_away_fails_and_loose_rules_are_warned_of() -> None:
    status, findings = doctor(HUB_JWKS_URL="http://127.0.0.1:1/", NO_PROXY="*")
    assert status == 1
    assert "HUB_JWKS_URL" in one(findings["fail"], "tokens")
    advice = " ".join(findings["warn"])
    assert "HUB_JWT_ISSUER" in advice
    assert "HUB_STAFF_ORGANISATIONS" in advice
    assert "HUB_PUBLIC_URL" in advice


@pytest.mark.parametrize(("allowed", "status", "verdict"), [("0", 1, "fail"), ("1", 0, "warn")])
def test_a_database_that_would_lose_something_is_found_out(
    postgres_url: str, tmp_path: Path, allowed: str, status: int, verdict: str
) -> None:
    found, findings = doctor(
        HUB_DEV="1",
        HUB_DATA_DIR=str(tmp_path),
        HUB_DATABASE_URL=postgres_url,
        HUB_ALLOW_UNSAFE_POSTGRES=allowed,
    )
    assert found == status
    assert "fsync=off" in one(findings[verdict], "durability")
    assert "HUB_REDIS_URL" in one(findings["warn"], "redis")


def test_a_database_of_something_else_fails(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE case_state (id TEXT PRIMARY KEY)")
    status, findings = doctor(HUB_DEV="1", HUB_DATA_DIR=str(tmp_path))
    assert status == 1
    assert "empty database" in one(findings["fail"], "database")


async def test_a_clock_that_is_off_is_warned_of(valkey: Valkey, postgres_url: str) -> None:
    settings = Settings(dev=True, database_url=postgres_url, redis_url=valkey.url)
    late = [
        finding
        async for finding in examination(
            settings, lambda: datetime.now(UTC) - timedelta(seconds=9), lambda: 0.0
        )
        if finding.about == "clock"
    ]
    assert [finding.verdict for finding in late] == [Verdict.WARN, Verdict.WARN]
    assert all("behind" in finding.text and "NTP" in finding.text for finding in late)
