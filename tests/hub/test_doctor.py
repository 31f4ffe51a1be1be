"""The doctor: one line for each thing, what to do about it, and a status for scripts."""

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from hub.__main__ import main
from hub.app import utc_now
from hub.doctor import Verdict, examination
from hub.settings import Settings
from tests.auth.kit import KeyServer, jwk, key_set, private_key
from tests.servers import SAFE, Postgres, running_postgres
from tests.valkey import Valkey, running_valkey

pytestmark = pytest.mark.usefixtures("plain_environment")


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    with running_valkey("a password") as server:
        yield server


def doctor(**variables: str) -> tuple[int, dict[str, list[str]]]:
    """Give the exit status, and the findings: by verdict, what each is about and its text."""
    result = CliRunner().invoke(main, ["doctor"], env=variables)
    findings: dict[str, list[str]] = {"ok": [], "warn": [], "fail": []}
    for line in result.output.splitlines():
        verdict, about, text = line.split(maxsplit=2)
        findings[verdict].append(f"{about} {text}")
    return result.exit_code, findings


async def failures(settings: Settings) -> list[str]:
    """Give what fails of the database."""
    found = [finding async for finding in examination(settings, utc_now, time.monotonic)]
    return [f.text for f in found if f.verdict is Verdict.FAIL and f.about == "database"]


def one(findings: list[str], about: str) -> str:
    [found] = [finding for finding in findings if finding.startswith(about)]
    return found


async def test_a_hub_that_is_set_up_well_is_told_so(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with running_postgres(*SAFE) as server:
        async with KeyServer.running(key_set(jwk(private_key("EdDSA")))) as keys:
            settings = Settings(
                public_url="https://hub.example.org",
                jwt_issuer="https://issuer.example.org",
                staff_organisations=frozenset({"org_1"}),
                anthropic_api_key=SecretStr("sk-ant-test"),
                database_url=server.url("postgres"),
                redis_url=valkey.url,
                jwks_url=keys.url,
            )
            found = [f async for f in examination(settings, utc_now, time.monotonic)]
    assert [finding for finding in found if finding.verdict is not Verdict.OK] == []
    texts = [f"{finding.about} {finding.text}" for finding in found]
    assert "PostgreSQL 18" in one(texts, "database")
    assert "survives a power cut" in one(texts, "durability")
    assert "fetched" in one(texts, "tokens")
    assert one(texts, "connections")
    assert len([text for text in texts if text.startswith("clock")]) == 2


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
        ({"HUB_DATABASE_URL": "postgresql://u:p@h:port/d"}, "database", "%40"),
        ({"HUB_DATABASE_URL": "postgresql://u@h/d?pool=1"}, "database", "not pool"),
        ({"HUB_DATABASE_URL": "sqlite://hub.db"}, "database", "three slashes"),
        ({"HUB_DATABASE_URL": "sqlite:////dev/null/hub.db"}, "data", "is no folder"),
        ({"HUB_PUBLIC_URL": "https://hub.example.org:port"}, "address", "Write https://host"),
        ({"HUB_PUBLIC_URL": "https://u:p@hub.example.org"}, "address", "Write https://host"),
        ({"HUB_PUBLIC_URL": "https://Hub.example.org:443/"}, "address", "https://hub.example.org."),
        ({"HUB_ALLOWED_ORIGINS": "https://a.example/"}, "origins", "without a path"),
        ({"HUB_ALLOWED_ORIGINS": "https://a.example:443"}, "origins", "usual port"),
        ({"HUB_SERVICE_TOKEN": "short"}, "tokens", "openssl rand -hex 32"),
        ({"ANTHROPIC_API_KEY": " sk-ant-1"}, "assistant", "Copy it"),
        (
            {"ANTHROPIC_API_KEY": "sk-ant-1", "ANTHROPIC_BASE_URL": "a.example"},
            "assistant",
            "ANTHROPIC_BASE_URL",
        ),
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


def test_no_secret_is_shown_to_whoever_reads_the_report(valkey: Valkey, tmp_path: Path) -> None:
    secret = "s3cr3t"
    for variables in (
        {"HUB_DATABASE_URL": f"postgresql://u:{secret}@127.0.0.1:1/d"},
        {"HUB_DATABASE_URL": f"postgresql://u:p@{secret}:port@127.0.0.1:1/d"},
        {"HUB_REDIS_URL": f"redis://:{secret}@127.0.0.1:{valkey.port}"},
        {"HUB_REDIS_URL": f"redis://:{secret}@127.0.0.1:port"},
        {"HUB_PUBLIC_URL": f"https://u:{secret}@hub.example.org"},
        {"HUB_DEV": "0", "HUB_JWKS_URL": f"https://u:{secret}@localhost:1/?key={secret}"},
        {"HUB_DEV": "0", "HUB_JWT_PUBLIC_KEY": secret},
        {"HUB_SERVICE_TOKEN": secret},
        {"ANTHROPIC_API_KEY": f" {secret}"},
    ):
        settings = {"HUB_DEV": "1", "HUB_DATA_DIR": str(tmp_path), "NO_PROXY": "*", **variables}
        result = CliRunner().invoke(main, ["doctor"], env=settings)
        assert result.exit_code == 1, variables
        assert secret not in result.output


async def test_a_database_that_only_reads_fails(postgres: Postgres, postgres_url: str) -> None:
    name = urlsplit(postgres_url).path[1:]
    await postgres.ask(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    [failed] = await failures(Settings(dev=True, database_url=postgres_url))
    assert "the primary" in failed


async def test_a_user_who_may_make_no_tables_fails(postgres: Postgres, postgres_url: str) -> None:
    await postgres.ask("CREATE ROLE narrow LOGIN")
    try:
        url = postgres_url.replace("postgres@", "narrow@")
        [failed] = await failures(Settings(dev=True, database_url=url))
    finally:
        await postgres.ask("DROP ROLE narrow")
    assert "GRANT CREATE" in failed


def test_a_user_of_redis_who_may_not_use_our_channels_fails(valkey: Valkey, tmp_path: Path) -> None:
    rights = ("+info", "+time", "+ping", "+publish", "+subscribe")
    for channels, status in (("&other:*", 1), ("&hub:*", 0)):
        valkey.ask("ACL", "SETUSER", "narrow", "reset", "on", ">p", *rights, channels)
        found, findings = doctor(
            HUB_DEV="1",
            HUB_DATA_DIR=str(tmp_path),
            HUB_REDIS_URL=f"redis://narrow:p@127.0.0.1:{valkey.port}",
        )
        assert found == status
        assert one(findings["fail" if status else "ok"], "redis")


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
