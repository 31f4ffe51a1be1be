"""The process that writes an answer dies; nobody is left with an answer that is being written."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from ai.responder import BROKEN_OFF
from tests.followers import Follower
from tests.kit import PRIYA, WITHIN, Address, Identity, hub_process
from tests.messages_server import MessagesServer, Say, Step, Wait, messages_server

PIECES = 12
WHOLE = [f"piece {number}, " for number in range(PIECES)]
PATHS = ("ws", "ws", "stream", "chat/stream")
"""Who follows each answer: a coordinator first, and then the patient."""
LEASE_S = 3.0
"""Mostly; a process that lives must renew its leases in time on a busy machine too."""


@dataclass
class Answer:
    """An answer of which the test lets the model give a piece at a time."""

    who: Identity
    shown: int
    """How many of its pieces were shown when its process died."""
    case: str = ""
    allowed: list[asyncio.Event] = field(
        default_factory=lambda: [asyncio.Event() for _ in range(PIECES + 1)]
    )
    """For each piece, and for the end."""
    followers: list[Follower] = field(default_factory=list)

    def steps(self) -> Iterator[Step]:
        for allowed, text in zip(self.allowed, WHOLE, strict=False):
            yield Wait(allowed)
            yield Say(text)
        yield Wait(self.allowed[PIECES])

    def allow_all(self) -> None:
        for allowed in self.allowed:
            allowed.set()

    async def show(self) -> None:
        """Let everybody see its pieces, one by one, as far as it will come."""
        await self.is_shown(0)
        for number in range(self.shown):
            self.allowed[number].set()
            await self.is_shown(number + 1)

    async def is_shown(self, pieces: int | None = None) -> None:
        """Wait until everybody sees so many pieces, or as many as will come."""
        wanted = self.shown if pieces is None else pieces
        for follower in self.followers:
            await follower.until(
                lambda shown: shown.writing is not None and shown.newest.next == wanted
            )

    async def check(self, hub: Address) -> None:
        """Check that it is over for everybody, and that all that was shown is stored."""
        async with hub.rest(self.who) as rest:
            events = (await rest.get(f"cases/{self.case}/events")).json()["events"]
        [stored] = [event["data"] for event in events if event["data"].get("run")]
        text = "".join(WHOLE)
        if self.shown == 0 or stored["state"] == "final":
            assert (stored["text"], stored["state"]) == (text, "final")
        else:
            part = stored["text"].removesuffix(f"\n\n{BROKEN_OFF}")
            assert stored["state"] == "failed"
            assert text.startswith(part)
            assert part.startswith("".join(WHOLE[: self.shown]))
        for follower in self.followers:
            [shown] = follower.display.answers.values()
            assert shown.status == stored["state"]
            assert stored["text"].startswith(shown.text)
            if follower.path == "chat/stream":
                assert shown.text == stored["text"]
        async with hub.socket(self.case) as late:
            await late.send({"type": "auth", "token": hub.token(self.who)})
            assert (await late.expect("ready"))["state"]["run"] is None


class Scene:
    """Patients who are being answered, by a model that is steered, and all who watch."""

    def __init__(
        self, model: MessagesServer, hub: Address, shown: list[int], tasks: asyncio.TaskGroup
    ) -> None:
        self.hub = hub
        """Where clients connect."""
        self._tasks = tasks
        self.answers = [
            Answer(Identity(f"user_{n}", f"Patient {n}", patient_id=f"patient-{n}"), pieces)
            for n, pieces in enumerate(shown)
        ]
        model.script(self._steps)

    async def begin(self) -> None:
        """Ask for all the answers, and let as much of each be shown as is meant."""
        async with asyncio.TaskGroup() as tasks:
            for answer in self.answers:
                tasks.create_task(self._begin(answer))

    def watch(self, answer: Answer) -> None:
        """Let everybody follow an answer from where clients connect now."""
        for number, path in enumerate(PATHS):
            who = PRIYA if number == 0 else answer.who
            follower = Follower(self.hub, who, answer.case, path=path, port=lambda: self.hub.port)
            answer.followers.append(follower)
            self._tasks.create_task(follower.follow())

    def allow_all(self) -> None:
        for answer in self.answers:
            answer.allow_all()

    async def end(self) -> None:
        """Wait until nobody is shown an answer that is being written, and check them all."""
        for answer in self.answers:
            for follower in answer.followers:
                await follower.until(lambda shown: shown.done)
        for answer in self.answers:
            await answer.check(self.hub)

    async def _begin(self, answer: Answer) -> None:
        async with self.hub.rest(answer.who) as rest:
            registered = await rest.post("patients", json={"name": answer.who.name})
            assert registered.status_code == 201, registered.text
            answer.case = registered.json()["case"]
            self.watch(answer)
            text = f"I am {answer.who.sub}. What do I need?"
            asked = await rest.post(f"cases/{answer.case}/messages", json={"text": text})
            assert asked.status_code == 201, asked.text
        await answer.show()

    def _steps(self, body: dict[str, Any]) -> list[Step]:
        asked = json.dumps(body["messages"])
        [answer] = [each for each in self.answers if f"I am {each.who.sub}." in asked]
        return list(answer.steps())


@asynccontextmanager
async def model_and_settings() -> AsyncIterator[tuple[MessagesServer, dict[str, str]]]:
    async with messages_server() as model:
        yield (
            model,
            {
                "HUB_AI_MODEL": "claude-test",
                "ANTHROPIC_API_KEY": "key",
                "ANTHROPIC_BASE_URL": model.url,
            },
        )


def points(seed: int) -> list[int]:
    """Choose how much of each answer is shown: nothing, one piece, all, and two in between."""
    return [0, 1, *(Random(seed).randrange(2, PIECES) for _ in range(2)), PIECES]


async def test_an_answer_whose_process_is_killed_ends_for_everybody(tmp_path: Path) -> None:
    async with (
        model_and_settings() as (model, settings),
        hub_process(tmp_path, **settings, HUB_LEASE_S=str(LEASE_S)) as hub,
        asyncio.TaskGroup() as tasks,
    ):
        scene = Scene(model, hub, points(0) + points(1), tasks)
        await scene.begin()
        hub.kill()
        scene.allow_all()
        await hub.restart()
        await scene.end()


async def test_an_answer_whose_process_is_killed_about_its_end_is_whole_or_known_as_broken(
    tmp_path: Path,
) -> None:
    rng = Random(0)
    async with (
        model_and_settings() as (model, settings),
        hub_process(tmp_path, **settings, HUB_LEASE_S=str(LEASE_S)) as hub,
        asyncio.TaskGroup() as tasks,
    ):
        scene = Scene(model, hub, [PIECES] * 8, tasks)
        await scene.begin()
        for answer in rng.sample(scene.answers, 8):
            answer.allow_all()
            await asyncio.sleep(0.002)  # they end one after the other, and some do not
        hub.kill()
        await hub.restart()
        await scene.end()


async def test_another_process_ends_the_answers_of_one_that_was_killed(
    tmp_path: Path, postgres_url: str
) -> None:
    async with model_and_settings() as (model, settings):
        settings |= {"HUB_DATABASE_URL": postgres_url}
        async with (
            hub_process(tmp_path, **settings) as doomed,
            asyncio.TaskGroup() as tasks,
        ):
            scene = Scene(model, doomed, points(0), tasks)
            await scene.begin()
            async with hub_process(tmp_path, **settings) as other:
                scene.hub = other
                for answer in scene.answers:
                    scene.watch(answer)
                    await answer.is_shown()
                doomed.kill()
                killed = time.monotonic()
                scene.allow_all()
                await scene.end()
                assert time.monotonic() - killed < WITHIN


async def test_an_answer_that_is_stopped_with_its_process_ends_when_the_next_one_starts(
    tmp_path: Path,
) -> None:
    # Nobody waits for the lease of a process that ended in an orderly way.
    async with (
        model_and_settings() as (model, settings),
        hub_process(tmp_path, **settings, HUB_LEASE_S="60", HUB_DRAIN_S="2") as hub,
        asyncio.TaskGroup() as tasks,
    ):
        scene = Scene(model, hub, points(1), tasks)
        await scene.begin()
        assert await hub.terminate() == 0
        scene.allow_all()
        await hub.restart()
        await scene.end()
