"""What a deployment is made of, as far as it can be looked at without running it."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from pydantic import AliasChoices

from hub.settings import Settings

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
NGINX = (ROOT / "deploy" / "nginx.conf").read_text()
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
    assert re.findall("^USER (.+)$", DOCKERFILE, re.MULTILINE) == ["hub"]
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


def test_the_proxy_knows_every_hub_and_holds_nothing_back() -> None:
    assert set(re.findall(r"server (\S+):8000", NGINX)) == HUBS.keys()
    assert "proxy_buffering off;" in NGINX
    assert NGINX.count("{") == NGINX.count("}")
    [timeout] = re.findall(r"proxy_read_timeout (\d+)s;", NGINX)
    assert int(timeout) > 2 * Settings.model_fields["heartbeat_s"].default


def test_railway_migrates_before_it_starts_and_asks_whether_it_is_ready() -> None:
    railway = json.loads((ROOT / "railway.json").read_text())
    assert railway["build"]["builder"] == "DOCKERFILE"
    assert railway["deploy"]["preDeployCommand"] == ["python -m hub migrate"]
    assert railway["deploy"]["healthcheckPath"] == "/readyz"
