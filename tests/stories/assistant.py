"""A hub whose assistant is a model behind the real SDK, and how its answers look to those who read.

The model's side is played by `tests.messages_server`.
"""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ai.anthropic_model import AnthropicModel
from tests.kit import Client, Frame, Identity, RunningHub, running_hub
from tests.messages_server import MessagesServer, Request

MODEL = "claude-sonnet-5-5"


@asynccontextmanager
async def assisted_hub(
    folder: Path, server: MessagesServer, **options: Any
) -> AsyncIterator[RunningHub]:
    """Run a hub as an operator would set it up: with the name of a model and a key."""
    settings = {
        "ai_model": MODEL,
        "anthropic_api_key": "sk-ant-test",
        "anthropic_base_url": server.url,
    }
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("NO_PROXY", "*")
        async with running_hub(folder, **{**settings, **options}) as hub:
            assert isinstance(hub.hub.model, AnthropicModel)
            await hub.hub.model.warm()  # loading the SDK is part of no story
            yield hub


T = TypeVar("T")


@asynccontextmanager
async def in_one_task(context: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """Enter and leave a context in one task; a fixture of several tests would use two."""
    up: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()

    async def hold() -> None:
        async with context as entered:
            up.set_result(entered)
            await done.wait()

    holding = asyncio.create_task(hold())
    holding.add_done_callback(lambda _: up.cancel())
    try:
        yield await up
    finally:
        done.set()
        await holding


@dataclass
class Stage:
    """A hub that the tests of a file share, and the provider behind it."""

    hub: RunningHub
    server: MessagesServer
    folder: Path
    cases: int = 0

    async def open_case(self, name: str = "Maria") -> tuple[str, Identity]:
        """Open a case of a new patient who is called so."""
        self.cases += 1
        who = Identity(f"user_{self.cases}", name, patient_id=f"patient_{self.cases}")
        case = f"case-{self.cases}"
        await self.hub.open_case(case, who)
        return case, who


@asynccontextmanager
async def stage(folder: Path, server: MessagesServer, **options: Any) -> AsyncIterator[Stage]:
    """Run a hub for the tests of a file; the limits of its users are out of the way."""
    limits = {"writes_burst": 10_000, "sockets_per_user": 10_000, "open_case": False}
    async with in_one_task(assisted_hub(folder, server, **limits, **options)) as hub:
        yield Stage(hub, server, folder)


async def seen(client: Client, type: str, **members: Any) -> Frame:
    """Give the first frame with these members, its own or its data's, whenever it came."""
    place = 0
    while True:
        for frame in client.frames[place:]:
            if frame["type"] == type and members.items() <= (frame.get("data", {}) | frame).items():
                return frame
        place = len(client.frames)
        try:
            await client.receive()
        except TimeoutError:
            raise AssertionError(f"no {type} {members} came, but {client.frames}") from None


async def asked(client: Client, text: str, **members: Any) -> str:
    """Send a message, and give the run of the answer to it."""
    sent = await client.ask({"type": "message", "key": text[:64], "text": text, **members})
    place = [frame.get("id") for frame in client.frames].index(sent["id"])
    begun = (f for f in client.frames[place:] if f["type"] == "run" and f["state"] == "thinking")
    return str(next(begun)["run"])


async def answered(client: Client, run: str, state: str = "final") -> str:
    """Wait until the answer is over, and give the text that stays."""
    message = await seen(client, "event", kind="message", run=run)
    over = {"final": "done", "interrupted": "stopped", "failed": "failed"}[state]
    ended = await seen(client, "run", run=run, state=over)
    assert (message["data"]["state"], ended["message"]) == (state, message["id"])
    return str(message["data"]["text"])


def shown(client: Client, run: str) -> str:
    """Give what the client shows of an answer while it is being written."""
    text, following = "", 0
    for frame in client.frames:
        if frame.get("run") == run and frame["type"] == "draft":
            text, following = frame["text"], frame["i"] + 1
        if frame.get("run") == run and frame["type"] == "delta":
            assert frame["i"] == following, frame
            text, following = text + frame["text"], following + 1
    return text


def pieces(client: Client, run: str) -> list[str]:
    return [f["text"] for f in client.frames if f["type"] == "delta" and f["run"] == run]


def controls(client: Client) -> list[str]:
    """Give who led the case, change after change, as far as the client knows."""
    return [f["data"]["control"] for f in client.events if f["kind"] == "control"]


def conversation(request: Request) -> str:
    """Give all that the model was told of the case, in the order in which it was told."""
    return "\n".join(message["content"] for message in request.body["messages"])


def everything(requests: Sequence[Request]) -> str:
    """Give all that has ever left the hub for the provider."""
    return json.dumps([[r.body, r.headers] for r in requests], ensure_ascii=False)


def answers_due(folder: Path) -> int:
    """Count the answers that are promised in the table of tasks."""
    with contextlib.closing(sqlite3.connect(folder / "hub.db")) as database:
        rows = database.execute("select count(*) from task where kind = 'reply'").fetchone()
    return int(rows[0])
