"""A full disk: what cannot be stored is not acknowledged, and nothing else is lost or broken."""

import contextlib
import resource
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from hub.demo import CASE
from tests.kit import MARIA, PRIYA, HubProcess, hub_process

TEXT = "x" * 4_000
ROOM = 65_536
"""Bytes that a file may have on the full disk: fewer than the log has already."""


@contextlib.contextmanager
def full_disk(hub: HubProcess) -> Iterator[None]:
    """Let no file of the hub grow, and none be written beyond `ROOM`.

    The kernel refuses the writes just as those to a full disk; Python ignores the signal that
    comes along.
    """
    pid, limit = hub.process.pid, resource.RLIMIT_FSIZE
    before = resource.prlimit(pid, limit)
    resource.prlimit(pid, limit, (ROOM, before[1]))
    try:
        yield
    finally:
        if hub.process.poll() is None:
            resource.prlimit(pid, limit, before)


def problems(folder: Path) -> list[str]:
    """Let SQLite check the whole file."""
    with contextlib.closing(sqlite3.connect(folder / "hub.db")) as database:
        return [row[0] for row in database.execute("PRAGMA integrity_check")]


async def test_what_a_full_disk_cannot_hold_is_refused_and_stored_once_when_it_can(
    tmp_path: Path,
) -> None:
    async with (
        hub_process(tmp_path) as hub,
        hub.enter(MARIA, CASE) as maria,
        hub.enter(PRIYA, CASE) as priya,
        hub.rest(MARIA) as rest,
    ):
        for number in range(20):
            answer = await maria.ask({"type": "message", "key": f"a{number}", "text": TEXT})
            assert answer["type"] == "ack"
            await priya.expect("event", key=f"a{number}")
        assert (tmp_path / "hub.db-wal").stat().st_size > ROOM

        path, body = f"cases/{CASE}/messages", {"text": TEXT}
        with full_disk(hub):
            for _ in range(3):
                answer = await maria.ask({"type": "message", "key": "b", "text": TEXT})
                assert (answer["type"], answer["code"]) == ("error", "unavailable")
                headers = {"Idempotency-Key": "c"}
                response = await rest.post(path, json=body, headers=headers)
                assert response.status_code == 503
                assert response.json()["error"]["code"] == "unavailable"
                assert "Retry-After" in response.headers
            # What needs no room goes on.
            page = await priya.ask({"type": "history", "key": "h", "limit": 200})
            assert [event.get("key") for event in page["events"][1:]] == [
                f"a{number}" for number in range(20)
            ]
            await maria.send({"type": "typing", "on": True})
            await priya.expect("typing", on=True)
            await maria.expect_nothing_but()
            assert problems(tmp_path) == ["ok"]

        answer = await maria.ask({"type": "message", "key": "b", "text": TEXT})
        assert answer["type"] == "ack"
        assert "dup" not in answer
        assert (await priya.expect("event", kind="message"))["key"] == "b"
        answer = await maria.ask({"type": "message", "key": "b", "text": TEXT})
        assert answer["dup"]
        response = await rest.post(path, json=body, headers={"Idempotency-Key": "c"})
        assert response.status_code == 201
        assert (await priya.expect("event", kind="message"))["key"] == "c"

        events = (await rest.get(f"cases/{CASE}/events")).json()["events"]
        keys = [event["key"] for event in events if event["kind"] == "message"]
        assert keys == [*(f"a{number}" for number in range(20)), "b", "c"]
        assert [event["seq"] for event in events] == list(range(1, 24))
    assert problems(tmp_path) == ["ok"]


async def test_a_hub_killed_on_a_full_disk_has_all_that_it_acknowledged(tmp_path: Path) -> None:
    acknowledged = []
    async with hub_process(tmp_path) as hub:
        async with hub.enter(MARIA, CASE) as maria:
            for number in range(20):
                answer = await maria.ask({"type": "message", "key": f"a{number}", "text": TEXT})
                acknowledged.append(answer["id"])
            with full_disk(hub):
                answer = await maria.ask({"type": "message", "key": "b", "text": TEXT})
                assert answer["code"] == "unavailable"
                hub.kill()
        assert problems(tmp_path) == ["ok"]
        await hub.restart()
        async with hub.enter(MARIA, CASE, after="0.0") as maria:
            answer = await maria.ask({"type": "message", "key": "b", "text": TEXT})
            acknowledged.append(answer["id"])
            assert [event["id"] for event in maria.events[1:]] == acknowledged
