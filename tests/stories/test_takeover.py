"""A coordinator takes a conversation over in the middle of an answer, and gives it back."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ai.responder import NOBODY_TO_ASK
from auth.principal import Role
from tests.kit import MARIA, PRIYA, Client, Identity, RunningHub
from tests.messages_server import MessagesServer, Say, Use, Wait, messages_server
from tests.stories.assistant import (
    answered,
    answers_due,
    asked,
    assisted_hub,
    controls,
    conversation,
    everything,
    pieces,
    seen,
    shown,
)

OMAR = Identity("user_omar", "Omar", Role.COORDINATOR)
NOTE = "SECRET-NOTE-7: the family has not been told yet"
REASON = "SECRET-REASON-3: she needs a price that I must not give"
BRIEF = "Priya has booked the visa appointment for Friday."
WITHIN_S = 0.1
"""How soon the provider must see that nobody listens any more."""
ROUNDS = 5
"""The best of them counts: the machine may be busy, and the hub must not be."""


@dataclass
class Scene:
    """A hub on the real SDK, the provider, and the two at the case."""

    hub: RunningHub
    server: MessagesServer
    maria: Client
    priya: Client

    async def begin_an_answer(self, question: str) -> str:
        """Let Maria ask, and give the run of an answer that is shown and will not end by itself."""
        self.server.answer = [Say("Your passport "), Wait(asyncio.Event())]
        run = await asked(self.maria, question)
        await seen(self.maria, "delta", run=run)
        return run


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    async with (
        messages_server() as server,
        assisted_hub(folder, server) as hub,
        hub.enter(MARIA) as maria,
        hub.enter(PRIYA) as priya,
    ):
        yield Scene(hub, server, maria, priya)


async def test_a_case_goes_from_the_ai_to_a_person_and_back(tmp_path: Path) -> None:
    more, never = asyncio.Event(), asyncio.Event()
    async with scene(tmp_path) as here:
        hub, server, maria, priya = here.hub, here.server, here.maria, here.priya
        server.in_turn(
            [
                Say("Your passport must be "),
                Use("escalate", {"reason": REASON}),
                Wait(more),
                Say("valid for six months "),
                Wait(never),
                Say("after the day of your return."),
            ],
            [Say("On Friday "), Say("you go to the embassy.")],
        )

        # The answer streams at both of them, and at whoever comes later.
        run = await asked(maria, "What do I need for a visa?")
        for client in (maria, priya):
            await seen(client, "delta", text="Your passport must be ")
            await seen(client, "event", control="waiting")
        async with hub.enter(OMAR) as omar:
            more.set()
            for client in (maria, priya, omar):
                await seen(client, "delta", text="valid for six months ")

            # Priya accepts: nothing more comes, and what was shown stays.
            await priya.ask({"type": "accept", "key": "a1"})
            for client in (maria, priya, omar):
                text = await answered(client, run, "interrupted")
                assert text == "Your passport must be valid for six months "
                assert text.startswith(shown(client, run))
                assert shown(client, run).endswith("valid for six months ")
                await seen(client, "event", control="human")
        await server.left()
        await maria.expect_nothing_but("presence")
        taken = await seen(maria, "event", control="human")
        assert pieces(maria, run) == pieces(priya, run)
        assert taken["data"]["owner"] == "Priya"
        assert taken["actor"] == {"type": "coordinator", "name": "Priya"}

        # She answers, and the AI is asked nothing.
        await priya.ask({"type": "note", "key": "n1", "text": NOTE, "mentions": ["user_omar"]})
        await priya.ask({"type": "message", "key": "p1", "text": "I book the embassy for you."})
        await maria.expect_message("I book the embassy for you.")
        await maria.ask({"type": "message", "key": "m2", "text": "Thank you, Priya!"})
        await hub.hub.rooms.tasks.idle()
        assert answers_due(tmp_path) == 0
        assert len(server.requests) == 1

        # She gives the case back with a brief, and the AI goes on where she ended.
        await priya.ask({"type": "release", "key": "r1", "brief": BRIEF})
        await seen(maria, "event", control="ai")
        run = await asked(maria, "And when is it?")
        for client in (maria, priya):
            assert await answered(client, run) == "On Friday you go to the embassy."
            assert shown(client, run) == "On Friday you go to the embassy."

    assert controls(maria) == ["waiting", "human", "ai"]
    assert "SECRET" not in str(maria.frames)
    first, second = server.requests
    assert_tells_the_story(conversation(second))
    assert [turn["role"] for turn in second.body["messages"]] == ["user", "assistant", "user"]
    told = everything([first, second])
    for secret in ("SECRET", "user_priya", "user_omar", "user_maria", "Omar", MARIA.patient_id):
        assert str(secret) not in told
    for event in priya.events:
        assert event["id"] not in told


def assert_tells_the_story(told: str) -> None:
    """Check that the model reads what happened, in its order, and who said it."""
    parts = [
        "What do I need for a visa?</patient>",
        "Your passport must be valid for six months",
        "<your_answer_was_cut_off/>",
        '<human_stretch_begins coordinator="Priya" at="',
        '<coordinator name="Priya" at="',
        "I book the embassy for you.</coordinator>",
        "Thank you, Priya!</patient>",
        '<human_stretch_ends at="',
        f"<brief>{BRIEF}</brief>",
        "And when is it?</patient>",
    ]
    places = [told.find(part) for part in parts]
    assert -1 not in places, parts[places.index(-1)]
    assert places == sorted(places)
    assert len(told) == len(told.replace("<brief>", "")) + len("<brief>")


async def by_accepting(here: Scene, name: str) -> float:
    began = time.monotonic()
    await here.priya.ask({"type": "accept", "key": f"a{name}"})
    return began


async def by_stop(here: Scene, name: str) -> float:
    began = time.monotonic()
    await here.maria.ask({"type": "stop", "key": f"s{name}"})
    return began


async def by_writing_on(here: Scene, name: str) -> float:
    here.server.answer = [Say("Yes.")]
    began = time.monotonic()
    run = await asked(here.maria, f"Wait, another question {name}")
    assert await answered(here.maria, run) == "Yes."
    return began


async def by_closing(here: Scene, name: str) -> float:
    began = time.monotonic()
    await here.priya.ask({"type": "status", "key": f"c{name}", "status": "closed"})
    return began


async def go_on(here: Scene, name: str) -> None:
    """Bring the case back to where an answer may begin."""
    await here.priya.ask({"type": "release", "key": f"r{name}"})
    await here.priya.ask({"type": "status", "key": f"o{name}", "status": "active"})
    await here.hub.hub.rooms.tasks.idle()


@pytest.mark.parametrize("end", [by_accepting, by_stop, by_writing_on, by_closing])
async def test_the_provider_sees_at_once_that_an_answer_is_no_longer_wanted(
    tmp_path: Path, end: Callable[[Scene, str], Awaitable[float]]
) -> None:
    delays = []
    async with scene(tmp_path) as here:
        for round in range(1, ROUNDS + 1):
            run = await here.begin_an_answer(f"Question {round}")
            began = await end(here, str(round))
            await here.server.left(round)
            delays.append(here.server.disconnects[-1] - began)
            assert await answered(here.maria, run, "interrupted") == "Your passport "
            await go_on(here, str(round))
        assert answers_due(tmp_path) == 0
    assert len(delays) == len(here.server.disconnects) == ROUNDS
    assert min(delays) < WITHIN_S, delays


async def test_a_model_that_asks_for_a_person_where_there_are_none_changes_nothing(
    tmp_path: Path,
) -> None:
    async with (
        messages_server() as server,
        assisted_hub(tmp_path, server, flag_coordinator_enabled=False) as hub,
        hub.enter(MARIA) as maria,
        hub.enter(PRIYA) as priya,
    ):
        use = Use("escalate", {"reason": REASON})
        server.answer = [Say("I will try."), use]
        assert await answered(priya, await asked(maria, "Can you pay for me?")) == "I will try."
        server.answer = [use]
        assert await answered(priya, await asked(maria, "Please?")) == NOBODY_TO_ASK
        state = await hub.hub.rooms.log.state(maria.case)
    assert {frame["kind"] for frame in priya.events} == {"patient", "message"}
    assert state is not None
    assert (state.control, state.fence, state.escalation) == ("ai", 0, None)
