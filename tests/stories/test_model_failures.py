"""Whatever becomes of the model, the patient is told, keeps what was shown, and can ask again."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from ai.anthropic_model import AnthropicModel
from ai.responder import AGAIN, BROKEN_OFF, DECLINED, PERSON_ASKED, TOO_LONG
from tests.ai.kit import GatedModel
from tests.kit import MARIA, PRIYA, running_hub
from tests.messages_server import (
    Cut,
    End,
    Fail,
    Raw,
    Refuse,
    Say,
    Stall,
    Status,
    Step,
    messages_server,
)
from tests.stories.assistant import (
    MODEL,
    Stage,
    answered,
    answers_due,
    asked,
    seen,
    shown,
    stage,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

STALL_S = 1.0
"""So long may a model be silent here."""
HEALTHY = [Say("You need "), Say("a passport.")]
BUSY = Status(529, "overloaded_error", headers={"retry-after-ms": "1"})
NO_KEY = Status(401, "authentication_error", "invalid x-api-key sk-ant-test")

NOTHING_SHOWN: dict[str, tuple[Sequence[Step], str]] = {
    "is always overloaded": ([BUSY], AGAIN),
    "does not take our key": ([NO_KEY], AGAIN),
    "never begins": ([Stall()], AGAIN),
    "sends pings and nothing else": ([Stall(pings=STALL_S / 10)], AGAIN),
    "hangs up before the first word": ([Cut("reset")], AGAIN),
    "ends without a word": ([End("end_turn")], AGAIN),
    "sends something that is no answer": ([Raw("message_start", "<html>")], AGAIN),
    "refuses": ([Refuse()], DECLINED),
}
PART = [Say("You need "), Say("a passport")]
PART_SHOWN: dict[str, tuple[Sequence[Step], str]] = {
    "stalls": ([*PART, Stall(pings=STALL_S / 10)], BROKEN_OFF),
    "hangs up": ([*PART, Cut("closed")], BROKEN_OFF),
    "breaks the connection": ([*PART, Cut("reset")], BROKEN_OFF),
    "ends the stream too soon": ([*PART, Cut("ended")], BROKEN_OFF),
    "fails": ([*PART, Fail("overloaded_error")], BROKEN_OFF),
    "turns to nonsense": ([*PART, Raw("content_block_delta", "{")], BROKEN_OFF),
    "refuses to go on": ([*PART, Refuse()], DECLINED),
    "comes to its limit": ([*PART, End("max_tokens")], TOO_LONG),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Run a hub whose model is given up soon when it is silent."""
    async with messages_server() as server:
        model = AnthropicModel(MODEL, "sk-ant-test", server.url, stall=STALL_S, max_retries=1)
        folder = tmp_path_factory.mktemp("hub")
        async with stage(folder, server, dependencies={"model": model}) as shared:
            yield shared


@pytest.mark.parametrize("failure", [*NOTHING_SHOWN, *PART_SHOWN])
async def test_a_patient_whose_model_fails_is_told_and_can_ask_again(
    shared: Stage, failure: str
) -> None:
    steps, line = (NOTHING_SHOWN | PART_SHOWN)[failure]
    part = "You need a passport" if failure in PART_SHOWN else ""
    hub, server = shared.hub, shared.server
    case, patient = await shared.open_case()
    async with hub.enter(patient, case) as maria, hub.enter(PRIYA, case) as priya:
        server.answer = steps
        run = await asked(maria, "What do I need?")
        for client in (maria, priya):
            text = await answered(client, run, "failed")
            assert text == f"{part}\n\n{line}".strip()
            assert text.startswith(shown(client, run))
        await hub.hub.rooms.tasks.idle()
        assert answers_due(shared.folder) == 0
        async with hub.enter(patient, case) as late:
            ready = await seen(late, "ready")
        assert ready["state"]["run"] is None
        assert not {"run", "delta", "draft"} & {frame["type"] for frame in late.frames}

        server.answer = HEALTHY
        again = await asked(maria, "I ask again: what do I need?")
        assert await answered(maria, again) == "You need a passport."
    assert not [frame for frame in maria.frames if frame["type"] == "error"]
    assert "api-key" not in str(maria.frames + priya.frames)


async def test_what_the_hub_said_in_place_of_an_answer_is_not_told_as_the_models_own_words(
    shared: Stage,
) -> None:
    case, patient = await shared.open_case()
    async with shared.hub.enter(patient, case) as maria:
        shared.server.answer = [NO_KEY]
        await answered(maria, await asked(maria, "What do I need?"), "failed")
        shared.server.answer = HEALTHY
        await answered(maria, await asked(maria, "Once more, please."))
    (turn,) = shared.server.requests[-1].body["messages"]
    assert turn["role"] == "user"
    assert "<your_answer_failed/>" in turn["content"]
    assert AGAIN not in turn["content"]


async def test_a_person_who_was_asked_for_before_a_restart_is_on_the_way_after_it(
    tmp_path: Path,
) -> None:
    before, after = GatedModel(), GatedModel()
    first = running_hub(tmp_path, dependencies={"model": before})
    async with first as hub, hub.enter(MARIA) as maria:
        run = await asked(maria, "I want my money back.")
        (await before.next()).want_person("A refund")
        await seen(maria, "event", control="waiting")
    restarted = running_hub(tmp_path, open_case=False, dependencies={"model": after})
    async with restarted as hub, hub.enter(PRIYA) as priya:
        answer = await after.next()
        answer.want_person("She wants a refund.")
        answer.end()
        assert await answered(priya, run) == PERSON_ASKED
    assert [f["data"]["reason"] for f in priya.events if f["kind"] == "escalation"] == ["A refund"]
