"""The command line."""

import asyncio
import contextlib
import json
import os
import socket
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlmodel import col, select

from auth.dev import DevKeys
from auth.principal import Role
from auth.tokens import StaticKey, Verifier
from hub import demo
from hub.__main__ import main
from hub.app import Hub, utc_now
from hub.server import HubServer
from rooms.database import open_database
from rooms.tables import RevocationRow
from tests.kit import CASE, PRIYA, TENANT, WITHIN, running_hub

pytestmark = pytest.mark.usefixtures("plain_environment", "logging_as_before")


def run(*arguments: str, **variables: str) -> Result:
    return CliRunner().invoke(main, arguments, env=variables)


def by_itself(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "hub", *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )


# Tokens.


@pytest.mark.parametrize("role", [Role.PATIENT, Role.COORDINATOR, Role.SUPERVISOR])
async def test_a_token_is_one_that_the_hub_accepts(tmp_path: Path, role: Role) -> None:
    options = ["--sub", "u1", "--role", role.value, "--name", "Nina", "--patient-id", "p1"]
    result = run("token", *options, HUB_DATA_DIR=str(tmp_path))
    assert result.exit_code == 0
    verifier = Verifier(StaticKey(DevKeys(tmp_path).public_pem), now=utc_now)
    by = await verifier.verify(result.output.strip(), TENANT)
    assert (by.id, by.role, by.name) == ("u1", role, "Nina")
    assert by.patient_id == ("p1" if role is Role.PATIENT else None)


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["token"], "--sub"),
        (["token", "--sub", "u", "--role", "service"], "--role"),
        (["token", "--sub", "u", "--hours", "25"], "24 h"),
        (["token", "--sub", "u", "--hours", "0"], "24 h"),
        (["boo"], "boo"),
        (["tail"], "CASE"),
    ],
)
def test_what_cannot_be_meant_ends_with_2_and_advice(arguments: list[str], advice: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert advice in result.output


def test_no_development_token_is_made_for_a_hub_of_production() -> None:
    result = run("token", "--sub", "u", HUB_JWKS_URL="https://example.com/jwks.json")
    assert result.exit_code == 2
    assert "HUB_JWKS_URL" in result.output


# Serving.


@pytest.mark.parametrize(
    ("variables", "advice"),
    [
        ({}, "HUB_DEV=1 to try it out"),
        ({"HUB_DEV": "1", "HUB_JWKS_URL": "https://x.example"}, "Unset one of them"),
        ({"HUB_DEV": "1", "HUB_HEARTBEAT_S": "-1"}, "HUB_HEARTBEAT_S: "),
        ({"HUB_DEV": "1", "PORT": "http"}, "PORT: "),
        ({"HUB_DEV": "1", "HUB_SERVICE_TOKEN": "short"}, "openssl rand -hex 32"),
        ({"HUB_JWKS_URL": "http://example.com/jwks.json"}, "https://"),
        ({"HUB_JWT_PUBLIC_KEY": "no key"}, "key"),
        ({"HUB_DEV": "1", "HUB_DATABASE_URL": "mysql://h/d"}, "sqlite:// or postgresql://"),
        ({"HUB_DEV": "1", "DATABASE_URL": "hub.db"}, "sqlite:/// or postgresql://"),
    ],
)
def test_a_hub_that_is_set_up_wrongly_ends_with_2_and_advice(
    variables: dict[str, str], advice: str
) -> None:
    result = run("serve", **variables)
    assert result.exit_code == 2
    assert advice in result.output
    assert "Traceback" not in result.output
    assert "Value error" not in result.output


@pytest.mark.parametrize(
    ("arguments", "failed", "status"), [([], False, 0), (["serve"], False, 0), (["serve"], True, 1)]
)
def test_the_exit_status_tells_whether_something_failed(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], failed: bool, status: int
) -> None:
    def serve(self: HubServer, sockets: object) -> None:
        assert self.greet is not None
        self._hub.failed = failed

    monkeypatch.setattr(HubServer, "run", serve)
    assert run(*arguments, HUB_DEV="1").exit_code == status


def test_a_hub_that_may_choose_its_port_says_which_one_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def serve(self: HubServer, sockets: list[socket.socket]) -> None:
        with sockets[0] as listening:
            port = listening.getsockname()[1]
            assert isinstance(self._hub, Hub)
            assert f":{port}/admin" in demo.instructions(self._hub)
            with socket.create_connection(("127.0.0.1", port)):
                pass

    monkeypatch.setattr(HubServer, "run", serve)
    result = run("serve", HUB_DEV="1", HUB_PORT="0")
    assert result.exit_code == 0, result.exception


def test_a_hub_of_production_has_no_demonstration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def serve(self: HubServer, sockets: object) -> None:
        assert self.greet is None

    monkeypatch.setattr(HubServer, "run", serve)
    pem = DevKeys(tmp_path / "other").public_pem
    assert run("serve", HUB_JWT_PUBLIC_KEY=pem).exit_code == 0


def test_a_process_ends_with_2_and_without_a_traceback() -> None:
    result = by_itself()
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("The hub cannot verify tokens.")


@pytest.mark.parametrize(
    ("statement", "advice"),
    [
        ("CREATE TABLE case_state (id TEXT PRIMARY KEY)", "Start with an empty database."),
        ("CREATE TABLE alembic_version AS SELECT 'abc' AS version_num", "another application"),
    ],
)
def test_a_process_ends_with_3_and_one_line_when_it_cannot_use_the_database(
    tmp_path: Path, statement: str, advice: str
) -> None:
    path = tmp_path / "hub.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(statement)
    result = by_itself(HUB_DEV="1", HUB_DATABASE_URL=f"sqlite:///{path}")
    assert (result.returncode, result.stdout) == (3, "")
    assert advice in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_a_database_that_does_not_answer_is_named_in_one_line(tmp_path: Path, command: str) -> None:
    for url in (
        f"sqlite:///{tmp_path}/none/hub.db",
        f"postgresql://someone@/hub?host={tmp_path}",
        "postgresql://someone:secret@127.0.0.1:1/hub",
    ):
        result = run(command, HUB_DEV="1", HUB_DATABASE_URL=url)
        assert result.exit_code == (3 if command == "serve" else 1)
        assert result.output.startswith("The database cannot be used: ")
        assert result.output.count("\n") == 1
        assert "secret" not in result.output


# Migrating.


async def test_migrate_brings_a_database_to_the_newest_revision(database_url: str) -> None:
    variables = {"HUB_DEV": "1", "HUB_DATABASE_URL": database_url}
    for told in ("went from no revision to revision 0", "There is nothing to do."):
        result = await asyncio.to_thread(run, "migrate", **variables)
        assert result.exit_code == 0
        assert told in result.output


async def test_a_revocation_goes_by_the_clock_of_the_database(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = open_database(postgres_url)
    await database.create()
    monkeypatch.setattr("hub.__main__.utc_now", lambda: utc_now() - timedelta(hours=1))
    result = await asyncio.to_thread(run, "revoke", "u1", HUB_DEV="1", DATABASE_URL=postgres_url)
    assert result.exit_code == 0, result.output
    made = await database.read(
        lambda connection: connection.execute(select(col(RevocationRow.issued_before))).scalar_one()
    )
    await database.close()
    assert abs(made - utc_now()) < timedelta(minutes=5)


def test_migrate_says_why_it_cannot(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "hub.db")) as database:
        database.execute("CREATE TABLE case_state (id TEXT PRIMARY KEY)")
    result = run("migrate", HUB_DEV="1", HUB_DATABASE_URL=f"sqlite:///{tmp_path}/hub.db")
    assert result.exit_code == 1
    assert "Start with an empty database." in result.output


# Following.


async def test_tail_follows_a_room_with_a_token_of_its_own(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, asyncio.timeout(WITHIN):
        arguments = ["tail", CASE, "--url", f"{hub.http}/"]
        variables = {"HUB_DATA_DIR": str(tmp_path)}
        async with hub.rest(PRIYA) as http:
            body = {"text": "Good morning"}
            await http.post(f"/cases/{CASE}/messages", json=body)
            following = asyncio.create_task(asyncio.to_thread(run, *arguments, **variables))
            while not hub.hub.manager.of_case(CASE):  # noqa: ASYNC110 - no event tells it
                await asyncio.sleep(0.01)
            await http.post(f"/cases/{CASE}/status", json={"status": "archived"})
        result = await following
    assert result.exit_code == 0
    assert "Priya: Good morning" in result.output
    assert "4410" in result.output


async def test_tail_takes_a_token_and_an_address_from_the_environment(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        variables = {"HUB_TOKEN": "no token", "HUB_PORT": str(hub.port)}
        result = await asyncio.to_thread(run, "tail", CASE, **variables)
    assert result.exit_code == 0
    assert "4401" in result.output


def test_tail_says_what_is_no_address() -> None:
    result = run("tail", CASE, "--url", "nowhere")
    assert (result.exit_code, "nowhere" in result.output) == (2, True)


def test_tail_can_be_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    async def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hub.__main__.follow", interrupted)
    assert run("tail", CASE).exit_code == 130


# Descriptions.


def test_the_descriptions_are_written_where_asked(tmp_path: Path) -> None:
    result = run("schema", str(tmp_path / "docs"))
    assert result.exit_code == 0
    paths = [Path(line) for line in result.output.split()]
    assert [path.name for path in paths] == ["openapi.json", "asyncapi.json"]
    assert all(json.loads(path.read_text()) for path in paths)


def test_a_hub_refuses_a_database_that_would_lose_what_was_acknowledged(postgres_url: str) -> None:
    variables = {"HUB_DEV": "1", "HUB_DATABASE_URL": postgres_url}
    result = by_itself(**variables)
    assert result.returncode == 3
    assert "fsync=off and full_page_writes=off" in result.stderr
    assert "HUB_ALLOW_UNSAFE_POSTGRES=1" in result.stderr
    assert "Traceback" not in result.stderr
