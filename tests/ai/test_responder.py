"""What the responder promises: each answer ends, and the patient knows how."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ai.model import Failure, Piece, Prompt
from ai.responder import (
    AGAIN,
    BROKEN_OFF,
    DECLINED,
    LONGEST,
    PERSON_ASKED,
    TOO_LONG,
    Responder,
)
from rooms.commands import Command, Continue
from rooms.log import Receipt
from rooms.runs import REPLY
from rooms.service import Joined, Rooms
from rooms.tasks import Claim
from tests.ai.kit import Asked, GatedModel
from tests.kit import CASE, MARIA, PRIYA, WITHIN, Client, Frame, RunningHub, running_hub


@dataclass
class Scene:
    """A hub, Maria in her room, and the model that answers her."""

    hub: RunningHub
    model: GatedModel
    maria: Client

    async def ask(self, text: str = "What do I need?") -> Asked:
        await self.maria.send({"type": "message", "key": text, "text": text})
        return await self.model.next()

    async def answer(self) -> Frame:
        """Give the next message of the AI."""
        while True:
            frame = await self.maria.expect("event", kind="message")
            if frame["data"]["sender_type"] == "ai":
                return frame

    def metric(self, name: str, **labels: str) -> float:
        return sum(
            sample.value
            for metric in self.hub.hub.answers.collect()
            for sample in metric.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


@asynccontextmanager
async def scene(folder: Path, **settings: Any) -> AsyncIterator[Scene]:
    model = GatedModel()
    running = running_hub(folder, dependencies={"model": model}, **settings)
    async with running as hub, hub.enter(MARIA) as maria:
        yield Scene(hub, model, maria)


async def test_an_answer_is_shown_piece_by_piece_and_then_stands_in_the_log(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as here:
        asked = await here.ask()
        assert (await here.maria.expect("run"))["state"] == "thinking"
        asked.say("A passport")
        assert (await here.maria.expect("run"))["state"] == "writing"
        first = await here.maria.expect("delta")
        asked.end(" and a visa.")
        answer = await here.answer()
        done = await here.maria.expect("run")
    deltas = [frame for frame in here.maria.frames if frame["type"] == "delta"]
    assert (first["i"], first["text"]) == (0, "A passport")
    assert [frame["i"] for frame in deltas] == list(range(len(deltas)))
    assert "".join(frame["text"] for frame in deltas) == answer["data"]["text"]
    assert answer["data"]["state"] == "final"
    assert answer["data"]["run"] == first["run"]
    assert (done["state"], done["message"]) == ("done", answer["id"])


@pytest.mark.parametrize(
    ("failure", "line"),
    [
        (Failure.OVERLOADED, AGAIN),
        (Failure.UNREACHABLE, AGAIN),
        (Failure.STALLED, AGAIN),
        (Failure.EMPTY, AGAIN),
        (Failure.MISCONFIGURED, AGAIN),
        (Failure.REFUSED, DECLINED),
        (Failure.TOO_LONG, TOO_LONG),
    ],
)
async def test_a_model_without_an_answer_leaves_a_line_that_says_what_to_do(
    tmp_path: Path, failure: Failure, line: str
) -> None:
    async with scene(tmp_path) as here:
        (await here.ask()).fail(failure)
        answer = await here.answer()
        assert (await here.maria.expect("run", state="failed"))["message"] == answer["id"]
        assert (answer["data"]["text"], answer["data"]["state"]) == (line, "failed")
        # And she can ask again.
        (await here.ask("Once more")).end("Yes.")
        assert (await here.answer())["data"]["text"] == "Yes."


async def test_a_cut_answer_keeps_what_was_shown_and_says_that_it_broke_off(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as here:
        asked = await here.ask()
        asked.say("A passport")
        await here.maria.expect("delta")
        asked.fail(Failure.CUT)
        answer = await here.answer()
    assert answer["data"]["text"] == f"A passport\n\n{BROKEN_OFF}"
    assert answer["data"]["state"] == "failed"


async def test_a_fault_in_the_model_is_a_failed_answer_and_not_a_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene(tmp_path) as here:
        monkeypatch.setattr(here.model, "answer", lambda prompt: 1 / 0)
        await here.maria.send({"type": "message", "key": "k", "text": "Hello"})
        assert (await here.answer())["data"]["text"] == AGAIN


async def test_the_end_of_an_endless_answer_is_told(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        asked = await here.ask()
        for _ in range(LONGEST // 1_000 + 2):
            asked.say("x" * 1_000)
        answer = await here.answer()
        await asyncio.wait_for(asked.closed.wait(), WITHIN)
    assert answer["data"]["text"].startswith("x" * LONGEST)
    assert answer["data"]["text"].endswith(TOO_LONG)


async def test_characters_that_cannot_be_stored_are_left_out(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        (await here.ask()).end("A\0 pass\ud800port")
        assert (await here.answer())["data"]["text"] == "A passport"


async def test_the_model_can_ask_for_a_person_and_goes_on(tmp_path: Path) -> None:
    async with scene(tmp_path) as here, here.hub.enter(PRIYA) as priya:
        asked = await here.ask()
        asked.want_person("She wants a refund")
        escalation = await priya.expect("event", kind="escalation")
        asked.end("Somebody will come.")
        assert (await here.answer())["data"]["state"] == "final"
    assert escalation["data"]["trigger"] == "model"
    assert escalation["data"]["reason"] == "She wants a refund"
    assert [f["data"]["control"] for f in here.maria.events if f["kind"] == "control"] == [
        "waiting"
    ]


async def test_a_model_that_only_asks_for_a_person_still_answers_the_patient(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as here:
        asked = await here.ask()
        asked.want_person("Payment")
        asked.end()
        assert (await here.answer())["data"]["text"] == PERSON_ASKED


async def test_stop_ends_the_model_and_keeps_what_was_shown(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        asked = await here.ask()
        asked.say("A passport")
        delta = await here.maria.expect("delta")
        ack = await here.maria.ask({"type": "stop", "key": "stop", "run": delta["run"]})
        await asyncio.wait_for(asked.closed.wait(), WITHIN)
        assert ack["type"] == "ack"
        again = await here.maria.ask({"type": "stop", "key": "again"})
        assert again["type"] == "ack"
        assert "id" not in again
        await here.hub.hub.rooms.tasks.idle()
        assert here.metric("hub_answers_total", outcome="stopped", cancelled_by="stop") == 1
    answer = next(f for f in here.maria.events if f["data"].get("run"))
    assert (answer["id"], answer["data"]["text"]) == (ack["id"], "A passport")
    assert answer["data"]["state"] == "interrupted"


async def test_a_new_message_ends_the_answer_and_begins_one_over_both(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        first = await here.ask("What do I need?")
        first.say("A pass")
        await here.maria.expect("delta")
        second = await here.ask("And my husband?")
        await asyncio.wait_for(first.closed.wait(), WITHIN)
        second.end("Both of you need a passport.")
        answer = await here.answer()
        final = await here.answer() if answer["data"]["state"] != "final" else answer
    assert "What do I need?" in second.told
    assert "And my husband?" in second.told
    kinds = [(f["data"]["sender_type"], f["data"]["text"]) for f in here.maria.events[1:]]
    assert kinds == [
        ("patient", "What do I need?"),
        ("ai", "A pass"),
        ("patient", "And my husband?"),
        ("ai", "Both of you need a passport."),
    ]
    assert final["data"]["text"] == "Both of you need a passport."


async def test_without_streaming_there_is_the_final_message_alone(tmp_path: Path) -> None:
    settings = {"flag_enable_response_streaming": False}
    async with scene(tmp_path, **settings) as here:
        asked = await here.ask()
        asked.end("A passport", " and a visa.")
        answer = await here.answer()
        await here.maria.expect("run", state="done")
    assert answer["data"]["text"] == "A passport and a visa."
    assert not [f for f in here.maria.frames if f["type"] in ("delta", "draft")]


async def test_a_late_joiner_gets_the_text_so_far_and_goes_on_exactly(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        asked = await here.ask()
        asked.say("A passport")
        await here.maria.expect("delta")
        async with here.hub.socket() as late:
            await late.send({"type": "auth", "token": here.hub.token(PRIYA)})
            ready = await late.expect("ready")
            run = await late.expect("run")
            draft = await late.expect("draft")
            asked.end(" and a visa.")
            delta = await late.expect("delta")
            answer = await late.expect("event", kind="message")
    assert ready["state"]["run"] == run["run"] == draft["run"] == delta["run"]
    assert (draft["i"], draft["text"]) == (0, "A passport")
    assert (delta["i"], draft["text"] + delta["text"]) == (1, answer["data"]["text"])


async def test_the_metrics_tell_what_an_answer_cost(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        (await here.ask()).end("A passport")
        await here.maria.expect("run", state="done")
        await here.hub.hub.rooms.tasks.idle()
        assert here.metric("hub_answers_total", outcome="done", cancelled_by="") == 1
        assert here.metric("hub_answer_tokens_total", direction="in") == 10
        assert here.metric("hub_answer_first_token_seconds_count") == 1


async def test_a_span_tells_how_an_answer_went_and_nothing_of_what_was_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr("opentelemetry.trace.get_tracer", provider.get_tracer)
    async with scene(tmp_path) as here:
        asked = await here.ask("My secret question")
        asked.want_person("A secret reason")
        asked.end("A secret answer")
        await here.maria.expect("run", state="done")
        await here.hub.hub.rooms.tasks.idle()
    provider.shutdown()
    (span,) = [span for span in exporter.get_finished_spans() if span.name == "assistant.answer"]
    attributes = dict(span.attributes or {})
    assert attributes["gen_ai.request.model"] == "gated"
    assert attributes["gen_ai.usage.input_tokens"] == 10
    assert attributes["hub.outcome"] == "done"
    told = span.to_json()
    assert "secret" not in told
    assert "Maria" not in told


async def test_an_answer_that_was_promised_ends_also_when_the_ai_was_turned_off_since(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as here:
        await here.ask()
    off = running_hub(tmp_path, open_case=False, lease_s=1)
    async with off as hub, hub.enter(MARIA, after="0.0") as maria:
        while (frame := await maria.expect("event", kind="message"))["data"]["state"] != "failed":
            pass
    assert frame["data"]["text"] == AGAIN


async def test_an_answer_that_ends_while_somebody_enters_is_not_shown_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = GatedModel()
    running = running_hub(tmp_path, dependencies={"model": model})
    async with running as hub, hub.enter(MARIA) as maria:
        await maria.send({"type": "message", "key": "ask", "text": "What do I need?"})
        await model.next()
        join = Rooms.join

        async def meanwhile(self: Rooms, *args: Any, **options: Any) -> Joined:
            joined = await join(self, *args, **options)
            await maria.ask({"type": "stop", "key": "stop"})
            return joined

        monkeypatch.setattr(Rooms, "join", meanwhile)
        async with hub.socket() as priya:
            await priya.send({"type": "auth", "token": hub.token(PRIYA)})
            run = (await priya.expect("ready"))["state"]["run"]
            assert run is not None
            await priya.expect("run", run=run, state="stopped")


@pytest.mark.parametrize("end", [False, True])
async def test_two_processes_that_write_the_same_answer_do_not_mix_it(
    tmp_path: Path, end: bool
) -> None:
    async with scene(tmp_path) as here:
        first = await here.ask()
        state = await here.hub.hub.rooms.log.state(CASE)
        assert state is not None
        assert state.run is not None
        # Another process claims the task, for it believes that the first one is dead.
        other = GatedModel()
        responder = Responder(
            here.hub.hub.rooms, other, monotonic=time.monotonic, report=lambda report: None
        )
        claim = Claim("task", REPLY, CASE, {"run": state.run.id}, 2)
        writing = asyncio.create_task(responder.reply(claim))
        second = await other.next()
        first.say("A passport")
        await here.maria.expect("delta")
        if end:
            second.end("Ein Visum")
        else:
            second.say("Ein Visum")
        answer = await here.answer()
        await asyncio.wait_for(writing, WITHIN)
        first.end(" and a visa.")
        await here.hub.hub.rooms.tasks.idle()
    assert answer["data"]["text"] == f"A passport\n\n{BROKEN_OFF}"
    assert answer["data"]["state"] == "failed"


async def test_a_model_that_gives_a_little_for_ever_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Responder.__init__, "__kwdefaults__", {"within": 0.2})
    async with scene(tmp_path) as here:
        asked = await here.ask()
        asked.say("A pass")
        answer = await here.answer()
        assert asked.closed.is_set()
    assert answer["data"]["text"] == f"A pass\n\n{BROKEN_OFF}"


@pytest.mark.parametrize("person", [False, True])
async def test_blanks_are_no_answer(tmp_path: Path, person: bool) -> None:
    async with scene(tmp_path) as here:
        asked = await here.ask()
        asked.say("\n")
        await here.maria.expect("delta")
        if person:
            asked.want_person("A visa")
        asked.end(" \n")
        answer = await here.answer()
    assert answer["data"]["text"].strip() == (PERSON_ASKED if person else AGAIN)


class StubbornModel(GatedModel):
    """Does not close until it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may_close = asyncio.Event()

    async def answer(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        try:
            async for piece in super().answer(prompt):
                yield piece
        finally:
            await self.may_close.wait()


async def test_a_model_that_does_not_close_holds_up_neither_the_next_answer_nor_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ai.responder.CLOSE_S", 0.1)
    model = StubbornModel()
    running = running_hub(tmp_path, dependencies={"model": model})
    async with asyncio.timeout(WITHIN), running as hub, hub.enter(MARIA) as maria:
        here = Scene(hub, model, maria)
        (await here.ask()).say("A pass")
        await maria.expect("delta")
        stopped = await maria.ask({"type": "stop", "key": "stop"})
        (await here.ask("And a visa?")).say("A vi")
        await maria.expect("delta", text="A vi")
    assert stopped["type"] == "ack"
    assert here.metric("hub_answers_total") >= 1
    model.may_close.set()


async def test_the_last_brief_is_told_however_long_ago_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rooms.service.CONVERSATION", 5)
    async with scene(tmp_path) as here, here.hub.enter(PRIYA) as priya:
        for number in range(2):
            await priya.ask({"type": "accept", "key": f"accept {number}"})
            release = {"type": "release", "key": f"release {number}", "brief": f"Brief {number}"}
            await priya.ask(release)
        for number in range(6):
            await priya.ask({"type": "message", "key": f"hello {number}", "text": "Hello"})
        asked = await here.ask()
        asked.end("Yes.")
    assert "Brief 1" in asked.told
    assert "Brief 0" not in asked.told


async def test_a_stop_lets_an_answer_end_that_is_nearly_done(tmp_path: Path) -> None:
    async with scene(tmp_path, drain_s=WITHIN) as here:
        asked = await here.ask()
        asked.say("A passport")
        await here.maria.expect("delta")
        here.hub.server.should_exit = True
        await here.maria.expect("goodbye")
        asked.end(" and a visa.")
    assert await texts_after(tmp_path) == ["What do I need?", "A passport and a visa."]


async def test_a_stop_lets_an_answer_end_whose_first_piece_is_just_being_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene(tmp_path, drain_s=WITHIN) as here:
        handle, learned = here.hub.hub.rooms.handle, asyncio.Event()

        async def learn_late(case: str, command: Command, *args: Any, **options: Any) -> Receipt:
            receipt = await handle(case, command, *args, **options)
            if isinstance(command, Continue):
                await learned.wait()
            return receipt

        monkeypatch.setattr(here.hub.hub.rooms, "handle", learn_late)
        asked = await here.ask()
        asked.say("A passport")
        await here.maria.expect("delta")
        here.hub.server.should_exit = True
        await here.maria.expect("goodbye")
        learned.set()
        asked.end(" and a visa.")
    assert await texts_after(tmp_path) == ["What do I need?", "A passport and a visa."]


async def test_a_stop_breaks_off_an_answer_that_takes_too_long(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        asked = await here.ask()
        asked.say("A passport")
        await here.maria.expect("delta")
    assert asked.closed.is_set()
    assert await texts_after(tmp_path) == ["What do I need?", f"A passport\n\n{BROKEN_OFF}"]


async def test_a_stop_hands_an_answer_that_nobody_has_seen_over_to_another_process_at_once(
    tmp_path: Path,
) -> None:
    async with asyncio.timeout(WITHIN), scene(tmp_path, drain_s=10 * WITHIN) as here:
        asked = await here.ask()
    assert asked.closed.is_set()
    async with scene(tmp_path, open_case=False) as here:
        again = await here.model.next()
        again.end("A passport.")
        answer = await here.answer()
    assert answer["data"]["text"] == "A passport."


async def texts_after(folder: Path) -> list[str]:
    """Give what stands in the log after a restart, before anybody could go on with an answer."""
    async with running_hub(folder, open_case=False) as hub, hub.enter(MARIA, after="0.0") as maria:
        return [f["data"]["text"] for f in maria.events if f["kind"] == "message"]
