"""The demonstration: seeded once, and told with lines that work."""

import json
import re
from pathlib import Path
from typing import Any

import httpx2
import pytest

from auth.dev import DevKeys
from auth.principal import Role
from hub import demo
from hub.app import Hub, create_app
from hub.settings import Settings
from rooms.commands import RegisterPatient
from rooms.errors import Code, Rejected
from tests.kit import Identity, running_hub


async def test_the_lines_to_paste_let_both_enter(tmp_path: Path) -> None:
    said: list[str] = []
    async with running_hub(tmp_path, open_case=False) as hub:
        await demo.present(hub.hub, said.append)
        lines = re.findall(r'^ *({"type".*})$', said[0], re.MULTILINE)
        types = [json.loads(line)["type"] for line in lines]
        assert types == ["auth", "auth", "message", "note", "accept", "release"]
        for auth, role, answers in (
            (lines[0], "patient", ["ack", "error", "error", "error"]),
            (lines[1], "coordinator", ["ack", "ack", "ack", "ack"]),
        ):
            async with hub.socket(demo.CASE) as client:
                await client.expect("hello")
                await client.send(auth)
                assert (await client.expect("ready"))["you"]["role"] == role
                for line, answer in zip(lines[2:], answers, strict=True):
                    await client.send(line)
                    await client.expect(answer)


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({"port": 8001}, "http://127.0.0.1:8001"),
        ({"host": "localhost"}, "http://localhost:8000"),
        ({"host": "0.0.0.0"}, "http://127.0.0.1:8000"),  # noqa: S104
        ({"host": "::"}, "http://127.0.0.1:8000"),
        ({"public_url": "https://hub.example/"}, "https://hub.example"),
    ],
)
async def test_the_page_to_open_is_one_that_may_sign_somebody_in(
    tmp_path: Path, settings: dict[str, Any], address: str
) -> None:
    hub = Hub(Settings(dev=True, data_dir=tmp_path, **settings))
    text = demo.instructions(hub)
    assert f"\n  {address}\n" in text
    assert f"-c {address.replace('http', 'ws', 1)}/api" in text
    headers = {"Origin": address, "Sec-Fetch-Site": "same-origin"}
    transport = httpx2.ASGITransport(create_app(hub))
    async with httpx2.AsyncClient(transport=transport, base_url=address) as http:
        answer = await http.post("/dev/tokens", json={"identity": "maria"}, headers=headers)
        assert answer.status_code == 200


async def test_the_last_line_finds_this_hub_from_another_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = "HUB_PORT=8001 HUB_DATA_DIR=" + str(tmp_path)
    text = demo.instructions(Hub(Settings(dev=True, data_dir=tmp_path, port=8001)))
    assert f"  {found} .venv/bin/python -m hub tail {demo.CASE}\n" in text
    text = demo.instructions(Hub(Settings(dev=True)))
    assert f"  .venv/bin/python -m hub tail {demo.CASE}\n" in text


async def test_a_second_start_finds_the_demonstration_as_it_was(tmp_path: Path) -> None:
    for _ in range(2):
        async with running_hub(tmp_path, open_case=False) as hub:
            await demo.seed(hub.hub)
            async with hub.enter(Identity("user_maria", "Maria"), demo.CASE) as maria:
                assert [event["kind"] for event in maria.events] == ["patient"]


async def test_a_patient_of_that_id_who_was_registered_otherwise_is_left_alone(
    tmp_path: Path,
) -> None:
    async with running_hub(tmp_path, open_case=False) as hub:
        command = RegisterPatient(demo.MARIA, "Another", None)
        service = Identity("service", "x", Role.SERVICE, tenant=demo.TENANT).principal()
        await hub.hub.rooms.handle("another-case", command, service, "k")
        await demo.seed(hub.hub)


async def test_what_else_goes_wrong_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*args: object, **options: object) -> None:
        raise Rejected(Code.FORBIDDEN, "no")

    async with running_hub(tmp_path) as hub:
        monkeypatch.setattr(hub.hub.rooms, "handle", fail)
        with pytest.raises(Rejected):
            await demo.seed(hub.hub)


async def test_the_tokens_last_for_half_a_day(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        keys = DevKeys(tmp_path)
        for token in (demo.maria(keys, hub.now()), demo.priya(keys, hub.now())):
            by = await hub.hub.verifier.verify(token, demo.TENANT)
            assert by.expires_at is not None
            assert round((by.expires_at - hub.now()).total_seconds() / 3_600) == 12
