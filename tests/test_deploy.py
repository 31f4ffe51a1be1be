"""What a deployment is made of, as far as it can be looked at without running it."""

import asyncio
import json
import os
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from pydantic import AliasChoices

from hub.server import server_config
from hub.settings import Settings
from hub.uploads_api import FORM_BYTES
from tests.kit import running_hub
from tests.reserved_port import reserved_port

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
NGINX = (ROOT / "deploy" / "nginx.conf").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
[MANUAL] = re.findall(r"```nginx\n(.*?)```", OPERATIONS, re.DOTALL)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
HUBS = {name: each for name, each in COMPOSE["services"].items() if name.startswith("hub-")}


def variables() -> set[str]:
    """Name every variable that the hub reads."""
    names: set[str] = set()
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        names |= (
            {str(choice) for choice in alias.choices}
            if isinstance(alias, AliasChoices)
            else {f"HUB_{name.upper()}"}
        )
    return names


def test_the_image_is_made_of_what_the_package_is_made_of_and_of_nothing_else() -> None:
    everything, *rest = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if not line.startswith("#")
    ]
    assert everything == "*"
    kept = {line[1:] for line in rest if line.startswith("!")}
    built = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    needed = {PROJECT["project"]["readme"], *PROJECT["project"]["license-files"], *built}
    assert kept == needed | {"pyproject.toml", "constraints.txt", "deploy/requirements.py"}
    assert all((ROOT / name).exists() for name in kept)


def test_the_image_has_the_versions_that_were_tested_and_no_root() -> None:
    assert "PIP_CONSTRAINT=/src/constraints.txt" in DOCKERFILE
    assert re.findall("^USER (.+)$", DOCKERFILE, re.MULTILINE) == ["10001"]
    for command in re.findall(r"^ *(?:CMD|HEALTHCHECK.*CMD) (\[.*\])$", DOCKERFILE, re.MULTILINE):
        assert json.loads(command)[0] == "python"


def test_all_hubs_wait_for_the_migration_and_it_for_the_database() -> None:
    assert len(HUBS) == 2
    for hub in HUBS.values():
        assert hub["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    migrate = COMPOSE["services"]["migrate"]
    assert migrate["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert (migrate["command"][-1], migrate["restart"]) == ("migrate", "no")


def test_compose_sets_nothing_that_the_hub_does_not_read() -> None:
    for hub in HUBS.values():
        assert set(hub["environment"]) <= variables()


def test_a_hub_has_the_time_that_its_stop_takes() -> None:
    longest = Settings.model_fields["drain_s"].default + 10
    for hub in HUBS.values():
        assert int(hub["stop_grace_period"].removesuffix("s")) >= longest
    assert json.loads((ROOT / "railway.json").read_text())["deploy"]["drainingSeconds"] >= longest


async def test_the_health_check_of_the_image_tells_whether_a_hub_lives(tmp_path: Path) -> None:
    [check] = re.findall(r"^HEALTHCHECK[^\[]*(\[.*\])$", DOCKERFILE, re.MULTILINE)
    _, *arguments = json.loads(check)

    async def status(port: int) -> int:
        environment = {**os.environ, "PORT": str(port), "HUB_PORT": ""}
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, env=environment, stderr=asyncio.subprocess.DEVNULL
        )
        return await process.wait()

    async with running_hub(tmp_path, open_case=False) as hub:
        assert await status(hub.port) == 0
    with reserved_port() as port:
        assert await status(port) == 1


def test_the_image_of_postgres_is_asked_where_the_hubs_will_ask_it() -> None:
    postgres = COMPOSE["services"]["postgres"]
    assert "--host" in postgres["healthcheck"]["test"]
    assert postgres["volumes"] == ["postgres:/var/lib/postgresql"]


@pytest.mark.parametrize("config", [NGINX, MANUAL], ids=["deploy", "docs"])
def test_a_proxy_lets_pass_what_a_hub_takes_and_believes_nobody(config: str) -> None:
    most = Settings.model_fields["max_upload"].default + FORM_BYTES
    [body] = re.findall(r"client_max_body_size (\d+)m;", config)
    assert int(body) * 1_048_576 >= most
    for line in (
        "default upgrade;",
        "proxy_http_version 1.1;",
        "proxy_set_header Upgrade $http_upgrade;",
        "proxy_set_header Connection $connection_upgrade;",
        # What a client says of itself is thrown away.
        "proxy_set_header X-Forwarded-For $remote_addr;",
    ):
        assert line in config
    assert re.search(r"location = /metrics \{\s+deny all;", config)


def test_the_proxy_knows_every_hub_and_holds_nothing_back() -> None:
    assert set(re.findall(r"server (\S+):8000", NGINX)) == HUBS.keys()
    assert "proxy_buffering off;" in NGINX
    assert NGINX.count("{") == NGINX.count("}")
    [idle] = re.findall(r"keepalive_timeout (\d+)s;", NGINX)
    config = server_config(None, Settings(dev=True))
    assert int(idle) < config.timeout_keep_alive, "or requests meet connections that end"
    [timeout] = re.findall(r"proxy_read_timeout (\d+)s;", NGINX)
    assert int(timeout) > 2 * Settings.model_fields["heartbeat_s"].default


def test_railway_migrates_before_it_starts_and_asks_whether_it_is_ready() -> None:
    railway = json.loads((ROOT / "railway.json").read_text())
    assert railway["build"]["builder"] == "DOCKERFILE"
    assert railway["deploy"]["preDeployCommand"] == ["python -m hub migrate"]
    assert railway["deploy"]["healthcheckPath"] == "/readyz"
