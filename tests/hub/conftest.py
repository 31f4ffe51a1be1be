"""A hub that the tests of a file share, and a room in it for each of them."""

import asyncio
import itertools
import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import structlog

from tests.kit import PRIYA, Client, Identity, RunningHub, running_hub

NUMBERS = itertools.count(1)


@dataclass
class Room:
    """A case of a shared hub, its patient and its coordinator."""

    hub: RunningHub
    case: str
    maria: Identity
    priya: Identity

    def enter(self, who: Identity, **options: Any) -> AbstractAsyncContextManager[Client]:
        return self.hub.enter(who, self.case, **options)

    def socket(self, **options: Any) -> AbstractAsyncContextManager[Client]:
        return self.hub.socket(self.case, **options)

    async def post(
        self, who: Identity, call: str, body: Any, key: str | None = None
    ) -> dict[str, Any]:
        """Write by REST, and give the answer."""
        headers = {} if key is None else {"Idempotency-Key": key}
        async with self.hub.rest(who) as http:
            answer = await http.post(f"/cases/{self.case}/{call}", json=body, headers=headers)
        assert answer.status_code in (200, 201), answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningHub]:
    """Run one hub for a file; tests keep apart by their rooms. Its limits are out of the way."""
    folder = tmp_path_factory.mktemp("hub")
    up: asyncio.Future[RunningHub] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()
    # In one task from its beginning to its end, which a fixture is not.
    serving = asyncio.create_task(_serve(folder, up, done))
    serving.add_done_callback(lambda _: up.cancel())
    try:
        yield await up
    finally:
        done.set()
        await serving


async def _serve(folder: Path, up: asyncio.Future[RunningHub], done: asyncio.Event) -> None:
    limits = {"writes_burst": 10_000, "signals_burst": 10_000, "sockets_per_user": 10_000}
    async with running_hub(folder, open_case=False, **limits) as hub:
        up.set_result(hub)
        await done.wait()


@pytest_asyncio.fixture(loop_scope="module")
async def room(hub: RunningHub) -> Room:
    """Open a case of a new patient."""
    number = next(NUMBERS)
    maria = Identity(f"user_{number}", "Maria", patient_id=f"patient_{number}")
    case = f"case-{number}"
    await hub.open_case(case, maria)
    return Room(hub, case, maria, PRIYA)


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    """Undo `configure_logs`."""
    before, level = logging.root.handlers[:], logging.root.level
    yield
    structlog.reset_defaults()
    logging.root.handlers[:] = before
    logging.root.setLevel(level)


@pytest.fixture
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Take every setting out of the environment, and give it for new ones."""
    for name in list(os.environ):
        if name.startswith("HUB_") or name in ("PORT", "DATABASE_URL"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return monkeypatch
