"""An acknowledgement is a promise that survives a power cut: the disk has been told before."""

import contextlib
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection

from hub.demo import CASE
from rooms.service import Rooms
from tests.kit import MARIA, WITHIN, Client, HubProcess, hub_process, running_hub

MESSAGES = 30
CALLS = ("-e", "trace=pwrite64,fsync,fdatasync,write,writev,sendto,sendmsg")
BROKEN = ("-e", "trace=fdatasync,fsync", "-e", "inject=fdatasync,fsync:error=EIO")


@contextlib.contextmanager
def traced(hub: HubProcess, into: Path, *options: str) -> Iterator[bool]:
    """Write the system calls of the hub to a file; False if this machine does not allow it."""
    if shutil.which("strace") is None:
        yield False
        return
    command = ["strace", "-f", "-y", "-s", "8192", *options, "-o", str(into)]
    tracer = subprocess.Popen(
        [*command, "-p", str(hub.process.pid)], stderr=subprocess.PIPE, text=True
    )
    assert tracer.stderr is not None
    with tracer:
        # It says that it is attached, or why it is not.
        allowed = "attached" in tracer.stderr.readline()
        try:
            yield allowed
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.stderr.close()
            tracer.wait(WITHIN)


def acknowledged_unsynced(trace: list[str]) -> list[str]:
    """Give the messages whose acknowledgement was sent before their pages were on the disk.

    A call that lasts stands in the trace twice: where it begins and where it has ended.
    """
    unsynced: dict[str, set[str]] = {}
    """What each thread has written to the WAL and not synced."""
    synced: set[str] = set()
    early = []
    for line in trace:
        thread = line.split()[0]
        if "pwrite64(" in line and ".db-wal>" in line:
            unsynced.setdefault(thread, set()).update(re.findall(r"durable-\d+", line))
        elif re.search(r"(fdatasync|fsync)(\(.*\.db-wal>\)| resumed>\)) += 0", line):
            synced |= unsynced.pop(thread, set())
        elif r"\"type\":\"ack\"" in line:
            acked = re.findall(r'\\"ack\\",\\"key\\":\\"(durable-\d+)\\"', line)
            early += [key for key in acked if key not in synced]
    return early


async def say(maria: Client) -> None:
    for number in range(MESSAGES):
        key = f"durable-{number}"
        answer = await maria.ask({"type": "message", "key": key, "text": key})
        assert answer["type"] == "ack"


async def test_nothing_is_acknowledged_before_it_is_synced_to_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    async with hub_process(tmp_path) as hub, hub.enter(MARIA, CASE) as maria:
        with traced(hub, path, *CALLS) as allowed:
            await say(maria)
        if allowed:
            trace = path.read_text(errors="replace").splitlines()
            acks = sum(r"\"type\":\"ack\"" in line for line in trace)
            assert acks >= MESSAGES
            assert acknowledged_unsynced(trace) == []


async def test_what_the_disk_refuses_to_sync_is_not_acknowledged(tmp_path: Path) -> None:
    message = {"type": "message", "key": "k1", "text": "durable"}
    async with hub_process(tmp_path) as hub, hub.enter(MARIA, CASE) as maria:
        with traced(hub, tmp_path / "trace", *BROKEN) as allowed:
            if allowed:
                answer = await maria.ask(message)
                assert (answer["type"], answer["code"]) == ("error", "unavailable")
                assert "INJECTED" in (tmp_path / "trace").read_text()
        answer = await maria.ask(message)
        assert answer["type"] == "ack"
        assert [e["data"]["text"] for e in maria.events if e["kind"] == "message"] == ["durable"]


async def test_the_database_syncs_at_every_commit(tmp_path: Path) -> None:
    """What the trace shows where it may be taken, SQLite promises with these settings."""
    async with running_hub(tmp_path) as hub:
        assert await settings_of(hub.hub.rooms) == ("wal", 2)


async def settings_of(rooms: Rooms) -> tuple[str, int]:
    def ask(connection: Connection) -> tuple[str, int]:
        journal = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
        synchronous = connection.exec_driver_sql("PRAGMA synchronous").scalar_one()
        return journal, synchronous

    return await rooms._database.write(ask)
