"""Connections break in the middle of an answer; its pieces, put together, are the whole of it."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from ai.model import Piece, Prompt, TextPiece
from rooms.broker import Hint, MemoryBroker
from tests.ai.kit import Asked, GatedModel
from tests.followers import ChatDisplay, Display, FeedDisplay, Follower
from tests.kit import CASE, MARIA, PRIYA, WITHIN, Frame, Identity, RunningHub, running_hub
from tests.tcp_proxy import Cut, How, TcpProxy

CASES = 3
CUTS = 6
"""Of each client, in the middle of an answer; and one more around its end."""
PATHS = ("ws", "ws", "ws", "ws", "stream", "stream", "chat/stream", "chat/stream")
"""Those of the patient, in each case; and the first again of a coordinator."""
READERS = (
    (MARIA, "ws"),
    (MARIA, "ws"),
    (PRIYA, "ws"),
    (MARIA, "stream"),
    (PRIYA, "stream"),
    (MARIA, "chat/stream"),
)
PIECES = 8
JOINED = 4
"""So many pieces were shown before the others came."""
SEEDS = 4
WORDS = ("passport ", "Reisepaß, ", "पासपोर्ट ", "𝒱isa\n", "\u2028", 'a "letter" ', "\r\n\n", "— ")
"""What a frame, an event of a stream or a cut in the middle of a character could break."""
LIMITS = {"sockets_per_user": 1_000, "streams_per_user": 1_000, "pending_per_address": 1_000}


class FlowingModel:
    """Says one word after the other, until it has said enough."""

    name = "flowing"

    def __init__(self) -> None:
        self.enough = asyncio.Event()

    async def answer(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        for number in itertools.count():
            if self.enough.is_set():
                return
            yield TextPiece(f"{number} {WORDS[number % len(WORDS)]}")
            await asyncio.sleep(0.02)


@dataclass
class Unlucky:
    """A client whose connections break."""

    follower: Follower
    proxy: TcpProxy
    rng: Random

    def port(self) -> int:
        """Plan how the next connection breaks, and say where it goes."""
        shown = self.follower.display
        # Whoever has heard of no answer would wait for the next one.
        if self.proxy.cuts < CUTS or (self.proxy.cuts == CUTS and shown.answers):
            # Into the handshake, the replay, the draft, or the pieces that come after it.
            reach = 2_500 + len(shown.newest.text.encode())
            how: How = self.rng.choice(("closed", "reset", "unnoticed"))
            self.proxy.next = Cut(self.rng.randrange(reach), how)
        return self.proxy.port

    async def cut_enough(self) -> None:
        await self.follower.until(lambda shown: self.proxy.cuts >= CUTS and bool(shown.answers))


@asynccontextmanager
async def unlucky(
    hub: RunningHub, who: Identity, case: str, path: str, rng: Random
) -> AsyncIterator[Unlucky]:
    async with TcpProxy(hub.port) as proxy:
        follower = Follower(hub, who, case, path=path, port=lambda: client.port())
        client = Unlucky(follower, proxy, rng)
        yield client


async def ask(hub: RunningHub, who: Identity, case: str, text: str) -> None:
    async with hub.rest(who) as rest:
        answer = await rest.post(f"cases/{case}/messages", json={"text": text})
    assert answer.status_code == 201, answer.text


async def view(hub: RunningHub, who: Identity, case: str) -> list[Frame]:
    """Read the whole log of a case."""
    async with hub.rest(who) as rest:
        page = (await rest.get(f"cases/{case}/events", params={"limit": 500})).json()
    assert not page["more"]
    events: list[Frame] = page["events"]
    return events


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_an_answer_that_was_cut_anywhere_is_whole_at_every_client(
    tmp_path: Path, seed: int
) -> None:
    rng = Random(seed)
    model = FlowingModel()
    patients = [
        Identity(f"user_{number}", f"Patient {number}", patient_id=f"patient-{number}")
        for number in range(CASES)
    ]
    async with (
        running_hub(tmp_path, open_case=False, dependencies={"model": model}, **LIMITS) as hub,
        AsyncExitStack() as stack,
    ):
        clients: list[Unlucky] = []
        for who in patients:
            case = f"case-of-{who.sub}"
            await hub.open_case(case, who)
            await ask(hub, who, case, "What do I need?")
            for number, path in enumerate(PATHS):
                person = PRIYA if number == 0 else who
                opened = unlucky(hub, person, case, path, Random(rng.random()))
                clients.append(await stack.enter_async_context(opened))
        async with asyncio.timeout(2 * WITHIN), asyncio.TaskGroup() as tasks:
            for client in clients:
                tasks.create_task(client.follower.follow())
            # One patient writes on in the middle of the answer.
            await clients[0].follower.until(lambda shown: shown.newest.next > 1)
            await ask(hub, patients[0], clients[0].follower.case, "And my husband?")
            for client in clients:
                await client.cut_enough()
            model.enough.set()
        for client in clients:
            follower = client.follower
            _check(follower.display, await view(hub, follower.who, follower.case))
            assert client.proxy.cuts >= CUTS


def _check(display: Display, events: list[Frame], *, whole: bool = True) -> None:
    """Check that a client shows what is stored; `whole`: all that was written while it was there.

    The stream of answers has no messages: there the pieces must be the whole in any case.
    """
    chat = isinstance(display, ChatDisplay)
    stored = {data["run"]: data for data in (event["data"] for event in events) if "run" in data}
    assert display.newest.status == "final"
    for run, shown in display.answers.items():
        assert shown.status == stored[run]["state"]
        if chat or (whole and shown.seen_live):
            assert shown.text == stored[run]["text"]
    if isinstance(display, FeedDisplay):
        assert [event["id"] for event in display.events] == [event["id"] for event in events]


async def test_an_answer_of_which_hints_are_lost_is_whole_at_every_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = Random(0)
    publish = MemoryBroker.publish

    def lose_some(broker: MemoryBroker, hints: Sequence[Hint]) -> None:
        publish(broker, [hint for hint in hints if rng.random() < 0.8])

    monkeypatch.setattr(MemoryBroker, "publish", lose_some)
    model = FlowingModel()
    async with running_hub(tmp_path, dependencies={"model": model}) as hub:
        await ask(hub, MARIA, CASE, "What do I need?")
        followers = [Follower(hub, who, CASE, path=path) for who, path in READERS]
        async with asyncio.timeout(2 * WITHIN), asyncio.TaskGroup() as tasks:
            for follower in followers:
                tasks.create_task(follower.follow())
            for follower in followers:
                await follower.until(lambda shown: shown.newest.next >= 25)
            model.enough.set()
        for follower in followers:
            events = await view(hub, follower.who, follower.case)
            _check(follower.display, events, whole=False)


async def test_all_readers_are_given_the_same_pieces_of_an_answer(tmp_path: Path) -> None:
    model = GatedModel()
    pieces = [f"piece {number}, " for number in range(PIECES)]
    async with running_hub(tmp_path, dependencies={"model": model}) as hub:
        first = [Follower(hub, who, CASE, path=path) for who, path in READERS]
        late = [Follower(hub, who, CASE, path=path) for who, path in READERS]
        async with asyncio.timeout(2 * WITHIN), asyncio.TaskGroup() as tasks:
            for follower in first:
                tasks.create_task(follower.follow())
            await ask(hub, MARIA, CASE, "What do I need?")
            asked = await model.next()
            for follower in first:
                await follower.until(lambda shown: shown.writing is not None)
            await _show(asked, pieces[:JOINED], 0, first)
            for follower in late:
                tasks.create_task(follower.follow())
                await follower.until(lambda shown: shown.newest.next == JOINED)
            await _show(asked, pieces[JOINED:], JOINED, [*first, *late])
            asked.end("and a visa.")
        [answer] = [event for event in await view(hub, MARIA, CASE) if event["data"].get("run")]
    whole = dict(enumerate([*pieces, "and a visa."]))
    for follower in [*first, *late]:
        shown = follower.display.answers[answer["data"]["run"]]
        assert (shown.text, shown.status) == (answer["data"]["text"], "final")
        assert follower.connections == 1
        # Who comes late is told in one draft what was said, and then the same pieces.
        assert shown.pieces in (whole, {i: whole[i] for i in range(JOINED, PIECES + 1)})
    assert all(follower.display.newest.pieces == whole for follower in first)
    assert "".join(whole.values()) == answer["data"]["text"]


async def _show(asked: Asked, pieces: list[str], i: int, followers: list[Follower]) -> None:
    """Let everybody see these pieces, one by one; `i` is the number of the first."""
    for number, piece in enumerate(pieces, i):
        asked.say(piece)
        for follower in followers:
            await follower.until(lambda shown, n=number: shown.newest.next == n + 1)  # type: ignore[misc]
