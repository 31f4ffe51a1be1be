"""The client library: its own tests, its types, and what it does with a real hub."""

import asyncio
import contextlib
import itertools
import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from hub.demo import CASE as DEMO_CASE
from tests.faulty_proxy import Asks, FaultyProxy
from tests.kit import CASE, MARIA, PRIYA, WITHIN, Address, Identity, hub_process, running_hub

ROOT: Final = Path(__file__).parents[2]
TESTS: Final = Path(__file__).with_name("client")
TSC: Final = ROOT / "tests/browser/node_modules/.bin/tsc"
TRANSPORTS: Final = ("websocket", "sse", "polling")


def run(*command: str | Path) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=6 * WITHIN, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", sorted(TESTS.glob("*.test.js")), ids=lambda path: path.name)
def test_the_library_does_as_its_tests_say(path: Path) -> None:
    run("node", "--test", "--test-reporter=spec", path)


def test_the_library_and_its_example_for_react_have_sound_types() -> None:
    run(TSC, "--project", ROOT / "web")


# With a real hub.


@dataclass
class Driver:
    """The library in a process of its own, and all that it told."""

    process: asyncio.subprocess.Process
    told: list[tuple[str, Any]] = field(default_factory=list)

    async def do(self, name: str, *values: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([name, *values]).encode() + b"\n")
        await self.process.stdin.drain()

    async def expect(self, name: str, holds: Callable[[Any], bool] = lambda data: True) -> Any:
        """Wait for something that is told from here on, and give it."""
        assert self.process.stdout is not None
        async with asyncio.timeout(2 * WITHIN):
            while line := await self.process.stdout.readline():
                told = json.loads(line)
                self.told.append((told["name"], told.get("data")))
                if told["name"] == name and holds(told.get("data")):
                    return told.get("data")
        raise AssertionError(f"no {name}, but {self.told[-5:]}")

    async def expect_text(self, text: str) -> Any:
        return await self.expect("event", lambda event: event["data"].get("text") == text)

    async def connected(self) -> Any:
        return await self.expect("state", lambda status: status["state"] == "connected")

    @property
    def seqs(self) -> list[int]:
        return [data["seq"] for name, data in self.told if name == "event"]

    @property
    def texts(self) -> list[str]:
        told = (data for name, data in self.told if name == "event")
        return [event["data"]["text"] for event in told if event["kind"] == "message"]

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


@dataclass
class Drivers:
    """Starts drivers, each with a file for a storage."""

    folder: Path
    started: list[Driver] = field(default_factory=list)

    async def start(
        self, hub: Address, who: Identity, transport: str = "auto", url: str = "", **more: Any
    ) -> Driver:
        options = {
            "case": CASE,
            "url": url or hub.http,
            "token": hub.token(who),
            "transport": transport,
            "storage": str(self.folder / f"{who.sub}.json"),
            **more,
        }
        process = await asyncio.create_subprocess_exec(
            "node",
            "--experimental-websocket",
            "--no-warnings",
            str(TESTS / "driver.js"),
            json.dumps(options),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=2**20,
            env={"PATH": os.environ["PATH"]},
        )
        driver = Driver(process)
        self.started.append(driver)
        return driver


@contextlib.asynccontextmanager
async def running_drivers(folder: Path) -> AsyncIterator[Drivers]:
    drivers = Drivers(folder)
    try:
        yield drivers
    finally:
        for driver in drivers.started:
            await driver.kill()


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_by_every_way_both_sides_see_everything_once_and_in_order(
    tmp_path: Path, transport: str
) -> None:
    async with running_hub(tmp_path) as hub, running_drivers(tmp_path) as drivers:
        maria = await drivers.start(hub, MARIA, transport)
        priya = await drivers.start(hub, PRIYA, transport)
        for driver in (maria, priya):
            assert (await driver.connected())["transport"] == transport
        for i in range(3):
            await maria.do("send", "message", {"text": f"Maria {i}"})
            await maria.expect("ack")
            await priya.expect_text(f"Maria {i}")
            await priya.do("send", "note", {"text": f"Note {i}"})
            await priya.do("send", "message", {"text": f"Priya {i}"})
            await maria.expect_text(f"Priya {i}")
        await priya.expect_text("Priya 2")
        expected = [f"{name} {i}" for i in range(3) for name in ("Maria", "Priya")]
        assert maria.texts == priya.texts == expected
        assert maria.seqs == list(range(1, 8))
        assert priya.seqs == list(range(1, 11))
        assert "Note" not in str(maria.told)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_by_every_way_a_refusal_is_told_and_older_events_come(
    tmp_path: Path, transport: str
) -> None:
    async with running_hub(tmp_path) as hub, running_drivers(tmp_path) as drivers:
        maria = await drivers.start(hub, MARIA, transport)
        await maria.connected()
        await maria.do("send", "note", {"text": "Patients cannot do this"})
        assert await maria.expect("refused") == "forbidden"
        await maria.do("send", "message", {"text": ""})
        assert await maria.expect("refused") == "invalid"
        await maria.do("send", "message", {"text": "Hello"})
        await maria.expect("ack")
        await maria.do("history", {"before": 2, "limit": 10})
        page = await maria.expect("page")
        assert [event["seq"] for event in page["events"]] == [1]
        assert page["more"] is False


@pytest.mark.parametrize("transport", ["websocket", "sse"])
@pytest.mark.parametrize("who", [MARIA, PRIYA], ids=lambda who: who.name)
async def test_an_answer_of_the_ai_grows_until_its_message_comes(
    tmp_path: Path, transport: str, who: Identity
) -> None:
    async with (
        running_hub(tmp_path, ai_model="scripted") as hub,
        running_drivers(tmp_path) as drivers,
    ):
        reader = await drivers.start(hub, who, transport)
        await reader.connected()
        async with hub.rest(MARIA) as rest:
            await rest.post(f"/cases/{CASE}/messages", json={"text": "What does it cost?"})
        done = await reader.expect("answer", lambda answer: answer["state"] == "done")
        shown = [data for name, data in reader.told if name == "answer"]
        assert shown[0]["state"] == "thinking"
        assert len(shown) > 5
        for before, after in itertools.pairwise(shown):
            assert after["text"].startswith(before["text"])
        message = [data for name, data in reader.told if name == "event"][-1]["data"]
        assert done["text"] == message["text"]
        assert done["message"] == message["message_id"]


async def test_what_was_typed_survives_a_killed_page_and_a_killed_hub(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as hub, running_drivers(tmp_path) as drivers:
        first = await drivers.start(hub, MARIA, case=DEMO_CASE)
        await first.connected()
        hub.kill()
        await first.expect("state", lambda status: status["state"] != "connected")
        for text in ("one", "two"):
            await first.do("send", "message", {"text": text})
        await first.expect("outbox", lambda items: len(items) == 2)
        await first.kill()
        await hub.restart()
        second = await drivers.start(hub, MARIA, case=DEMO_CASE)
        await second.expect("outbox", lambda items: len(items) == 2)
        await second.expect("outbox", lambda items: not items)
        assert second.texts == ["one", "two"]


async def test_after_the_hub_was_killed_the_page_goes_on_where_it_was(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as hub, running_drivers(tmp_path) as drivers:
        maria = await drivers.start(hub, MARIA, case=DEMO_CASE)
        await maria.connected()
        await maria.do("send", "message", {"text": "before"})
        await maria.expect("ack")
        hub.kill()
        await maria.do("send", "message", {"text": "between"})
        await hub.restart()
        await maria.connected()
        await maria.expect("ack")
        assert maria.texts == ["before", "between"]
        assert maria.seqs == [*range(1, len(maria.seqs) + 1)]
        assert "reset" not in [name for name, _ in maria.told]


@contextlib.asynccontextmanager
async def forbidding(hub: Address, *asks: Asks) -> AsyncIterator[FaultyProxy]:
    async with FaultyProxy(hub.port) as proxy:
        proxy.forbids |= set(asks)
        yield proxy


async def test_behind_a_proxy_that_forbids_sockets_it_takes_the_stream(tmp_path: Path) -> None:
    async with (
        running_hub(tmp_path) as hub,
        forbidding(hub, Asks.SOCKET) as proxy,
        running_drivers(tmp_path) as drivers,
    ):
        maria = await drivers.start(hub, MARIA, url=proxy.origin)
        assert (await maria.connected())["transport"] == "sse"
        await maria.do("send", "message", {"text": "Hello"})
        await maria.expect("ack")
        assert maria.seqs == [1, 2]


async def test_behind_a_proxy_that_forbids_streams_too_it_polls(tmp_path: Path) -> None:
    async with (
        running_hub(tmp_path) as hub,
        forbidding(hub, Asks.SOCKET, Asks.STREAM) as proxy,
        running_drivers(tmp_path) as drivers,
    ):
        maria = await drivers.start(hub, MARIA, url=proxy.origin)
        assert (await maria.connected())["transport"] == "polling"
        await maria.do("send", "message", {"text": "Hello"})
        await maria.expect("ack")
        assert maria.seqs == [1, 2]


async def test_a_line_that_is_cut_again_and_again_loses_nothing(tmp_path: Path) -> None:
    async with (
        running_hub(tmp_path) as hub,
        FaultyProxy(hub.port) as proxy,
        running_drivers(tmp_path) as drivers,
    ):
        maria = await drivers.start(hub, MARIA, "websocket", url=proxy.origin)
        await maria.connected()
        for i in range(6):
            await maria.do("send", "message", {"text": f"{i}"})
            proxy.cut()
            await maria.expect("ack")
        assert maria.texts == [f"{i}" for i in range(6)]
        assert maria.seqs == list(range(1, 8))
