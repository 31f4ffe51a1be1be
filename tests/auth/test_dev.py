import asyncio
import stat
import sys
from asyncio.subprocess import PIPE, Process
from datetime import timedelta
from pathlib import Path

import pytest

from auth.dev import DevKeys
from auth.principal import Principal, Role
from auth.tokens import StaticKey, Verifier
from tests.auth.kit import NOW, private_key, private_pem


def verifying(keys: DevKeys) -> Verifier:
    return Verifier(StaticKey(keys.public_pem), now=lambda: NOW)


def files_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


WAITS_THEN_PRINTS_ITS_KEY = """
import pathlib, sys
from auth.dev import DevKeys
print("ready", flush=True)
sys.stdin.readline()
print(DevKeys(pathlib.Path(sys.argv[1])).public_pem)
"""


async def started(folder: Path) -> Process:
    """Start a process that stands right before the making of its keys."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WAITS_THEN_PRINTS_ITS_KEY, folder, stdin=PIPE, stdout=PIPE
    )
    assert process.stdout
    assert await process.stdout.readline() == b"ready\n"
    return process


async def test_a_development_token_passes_the_same_verifier(tmp_path: Path) -> None:
    keys = DevKeys(tmp_path)
    token = keys.mint(sub="dev_maria", tenant="t1", now=NOW, name="Maria", patient_id="p1")
    assert await verifying(keys).verify(token, "t1") == Principal(
        id="dev_maria",
        tenant="t1",
        role=Role.PATIENT,
        name="Maria",
        patient_id="p1",
        expires_at=NOW + timedelta(hours=1),
        issued_at=NOW,
    )


@pytest.mark.parametrize("role", [Role.PATIENT, Role.COORDINATOR, Role.SUPERVISOR])
async def test_a_development_token_holds_its_role(tmp_path: Path, role: Role) -> None:
    keys = DevKeys(tmp_path)
    token = keys.mint(sub="dev_1", tenant="t1", now=NOW, role=role, lifetime=timedelta(hours=24))
    principal = await verifying(keys).verify(token)
    assert (principal.role, principal.name) == (role, role.capitalize())


@pytest.mark.parametrize("role", [Role.SERVICE, Role.AI])
def test_no_token_is_minted_for_what_is_no_person(tmp_path: Path, role: Role) -> None:
    with pytest.raises(ValueError, match="have no token"):
        DevKeys(tmp_path).mint(sub="x", tenant="t1", now=NOW, role=role)


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(-1), timedelta(hours=24, seconds=1)])
def test_no_token_is_minted_that_would_not_be_accepted(tmp_path: Path, lifetime: timedelta) -> None:
    with pytest.raises(ValueError, match="from 1 s to 24 h"):
        DevKeys(tmp_path).mint(sub="x", tenant="t1", now=NOW, lifetime=lifetime)


def test_the_key_stays_the_same_after_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "var" / "keys"
    assert DevKeys(folder).public_pem == DevKeys(folder).public_pem


def test_only_the_owner_may_read_the_key_and_nothing_else_is_left(tmp_path: Path) -> None:
    DevKeys(tmp_path)
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_two_folders_have_two_keys(tmp_path: Path) -> None:
    assert DevKeys(tmp_path / "a").public_pem != DevKeys(tmp_path / "b").public_pem


async def test_processes_that_start_at_once_end_with_the_same_key(tmp_path: Path) -> None:
    async with asyncio.timeout(30):
        processes = await asyncio.gather(*(started(tmp_path) for _ in range(4)))
        outputs = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    assert {out.decode().strip() for out, _ in outputs} == {DevKeys(tmp_path).public_pem.strip()}
    assert files_in(tmp_path) == ["dev-key.pem"]


def test_whoever_comes_second_takes_the_key_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = DevKeys(tmp_path)
    monkeypatch.setattr(Path, "exists", lambda _: False)  # the moment before the other one wrote
    assert DevKeys(tmp_path).public_pem == first.public_pem
    assert files_in(tmp_path) == ["dev-key.pem"]


@pytest.mark.parametrize("text", ["", "nonsense", "ключ"])
def test_a_spoilt_key_file_is_named_with_the_way_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "dev-key.pem").write_text(text, "utf-8")
    with pytest.raises(ValueError, match=r"dev-key.pem: .*delete the file"):
        DevKeys(tmp_path)


def test_a_key_that_the_developer_put_there_is_used(tmp_path: Path) -> None:
    (tmp_path / "dev-key.pem").write_text(private_pem(private_key("ES256")))
    assert "PUBLIC KEY" in DevKeys(tmp_path).public_pem
