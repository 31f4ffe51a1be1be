"""The two sides of a measurement: a hub on one core, the load generator on another."""

import contextlib
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from auth.dev import DevKeys
from auth.principal import Role
from hub.demo import TENANT

HERE = Path(__file__).parent
HUB_CORE, LOAD_CORE = 0, 1
WITHIN = 20.0
"""Seconds in which a hub must be ready, and go."""
LIMITS = {
    "HUB_WRITES_PER_S": "1000000",
    "HUB_WRITES_BURST": "1000000",
    "HUB_SOCKETS_PER_USER": "100000",
    "HUB_PENDING_PER_ADDRESS": "100000",
    "HUB_AUTH_WITHIN_S": "60",
}
"""Everything comes from one address and few users: what protects a hub from that is raised."""


def compile_load() -> Path:
    """Compile the load generator, and give its path."""
    made = HERE / "build" / "load"
    made.parent.mkdir(exist_ok=True)
    command = ["cc", "-std=c11", "-O2", "-Wall", "-Wextra", "-o", str(made), str(HERE / "load.c")]
    subprocess.run(command, check=True)
    return made


@dataclass(frozen=True)
class Memory:
    """What a process holds, in KiB."""

    rss: int
    pss: int
    uss: int


class Hub:
    """A hub in a process of its own, with a fresh SQLite file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self.keys = DevKeys(folder)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("HUB_")},
            **LIMITS,
            "HUB_DEV": "1",
            "HUB_AI_MODEL": "off",
            "HUB_PORT": str(self.port),
            "HUB_DATA_DIR": str(folder),
        }
        with (folder / "hub.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hub", "serve"],
                env=environment,
                stdout=log,
                stderr=log,
                cwd=HERE.parent,
                preexec_fn=_on_core(HUB_CORE),
            )

    def ready(self) -> None:
        """Wait until it serves."""
        end = time.monotonic() + WITHIN
        while time.monotonic() < end and self.process.poll() is None:
            with (
                contextlib.suppress(urllib.error.URLError),
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz"),
            ):
                return
            time.sleep(0.05)
        raise RuntimeError((self.folder / "hub.log").read_text())

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def coordinators(self, count: int) -> list[str]:
        """Mint a token for each of so many coordinators."""
        return [
            self.keys.mint(
                sub=f"user_{number}",
                tenant=TENANT,
                role=Role.COORDINATOR,
                name=f"Coordinator {number}",
                now=datetime.now(UTC),
                lifetime=timedelta(hours=6),
            )
            for number in range(count)
        ]

    def open_cases(self, count: int) -> list[str]:
        """Register so many patients, and give the ids of their cases."""
        (token,) = self.coordinators(1)

        def register(number: int) -> str:
            request = urllib.request.Request(
                f"http://127.0.0.1:{self.port}/api/v1/patients",
                json.dumps({"name": f"Patient {number}"}).encode(),
                {"Authorization": f"Bearer {token}", "X-Tenant-ID": TENANT},
            )
            with urllib.request.urlopen(request) as response:
                return str(json.load(response)["case"])

        with ThreadPoolExecutor(16) as threads:
            return list(threads.map(register, range(count)))

    def cpu(self) -> float:
        """Give the seconds of CPU that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> Memory:
        """Give what it holds now: resident, proportional, and its own alone."""
        lines = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines()[1:]
        kib = {line.split(":")[0]: int(line.split()[1]) for line in lines}
        return Memory(kib["Rss"], kib["Pss"], kib["Private_Clean"] + kib["Private_Dirty"])


@contextlib.contextmanager
def running_hub(parent: Path) -> Iterator[Hub]:
    """Run a hub whose data lies in a new folder under `parent`, which must be on a disk."""
    kind = subprocess.run(
        ["stat", "--file-system", "--format=%T", str(parent)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    if kind in ("tmpfs", "ramfs"):
        raise SystemExit(f"{parent} is in memory: name a folder on a disk with --folder")
    folder = Path(tempfile.mkdtemp(prefix="hub-bench-", dir=parent))
    hub = Hub(folder)
    try:
        hub.ready()
        yield hub
    finally:
        hub.stop()
        shutil.rmtree(folder)


@dataclass(frozen=True)
class Load:
    """A load on a hub: see load.c for the options."""

    hub: Hub
    program: Path

    def run(self, cases: Sequence[str], tokens: Sequence[str], **options: float) -> dict[str, Any]:
        """Run to the end, and give the report.

        Raises RuntimeError if anything was lost, doubled, out of order or refused.
        """
        process = self._start(cases, tokens, options)
        out, err = process.communicate()
        if process.returncode:
            raise RuntimeError(f"the load failed: {out}{err}")
        report: dict[str, Any] = json.loads(out)
        return report

    @contextlib.contextmanager
    def held(self, cases: Sequence[str], tokens: Sequence[str], **options: float) -> Iterator[None]:
        """Hold idle sockets, all of which have caught up."""
        process = self._start(cases, tokens, options)
        assert process.stdout is not None
        if not process.stdout.readline():
            raise RuntimeError(f"the load failed: {process.communicate()[1]}")
        yield
        if process.communicate("")[1] or process.returncode:
            raise RuntimeError("the hub closed idle sockets")

    def _start(
        self, cases: Sequence[str], tokens: Sequence[str], options: dict[str, float]
    ) -> subprocess.Popen[str]:
        words = [str(self.program), "--port", str(self.hub.port)]
        words += ["--pid", str(self.hub.process.pid)]
        for name, lines in (("cases", cases), ("tokens", tokens)):
            path = self.hub.folder / name
            path.write_text("\n".join(lines))
            words += [f"--{name}", str(path)]
        for name, value in options.items():
            words += [f"--{name}", str(value)]
        return subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_on_core(LOAD_CORE),
        )


def _on_core(core: int) -> Callable[[], None]:
    """Give what a new process does first: it stays on a core, and may open many files."""

    def prepare() -> None:
        os.sched_setaffinity(0, {core})
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    return prepare


def _free_port() -> int:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])
