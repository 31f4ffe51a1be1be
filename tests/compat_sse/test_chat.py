"""The stream of the AI's answers: cut, slow, late, lossy, taken over, and still each piece once."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from auth.principal import Role
from compat_sse.chat import ChatOutbox
from compat_sse.chat_dialect import ChatDialect, Ended, Step, TakenOver
from compat_sse.names import Names
from rooms.broker import Hint, MemoryBroker
from rooms.commands import Stop
from rooms.cursor import START
from rooms.encoding import RunSignal
from rooms.errors import Unavailable
from rooms.events import Audience, Status
from rooms.state import Answer, Policy, Progress, RoomState, Run, RunState
from tests.compat_sse.kit import CORA, MARIA, Hub, Sleeper, eventually, running
from tests.compat_sse.whatwg import Event, Parser

CHAT = "/chat/stream"
PATH = f"/api/v1/cases/case_1{CHAT}"
WITH_AI = Policy(ai=True)
SUPERVISOR = replace(CORA, role=Role.SUPERVISOR)
SUPERVISOR_ELSEWHERE = replace(SUPERVISOR, tenant="t2")


@asynccontextmanager
async def answering(directory: Path, **options: Any) -> AsyncIterator[Hub]:
    async with running(directory, policy=options.pop("policy", WITH_AI), **options) as hub:
        yield hub


def content(event: Event) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(event.data)
    return found


def tokens(events: list[Event]) -> list[tuple[str, int, str]]:
    """Give run, index and text of each piece."""
    found = [content(event) for event in events if event.type == "token"]
    return [(each["run"], each["index"], each["token"]) for each in found]


def types(events: list[Event]) -> list[str]:
    return [event.type for event in events]


# What is said.


async def test_an_answer_is_told_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    async with answering(tmp_path) as hub, hub.stream(CHAT) as stream:
        run = await hub.ask()
        thinking = await stream.event()
        assert (thinking.type, thinking.last_event_id) == ("thinking", f"{run}.-1")
        await hub.speak(run, "Hel", "lo.\n\n")
        first, second = await stream.take(2)
        assert (first.type, first.last_event_id) == ("token", f"{run}.0")
        assert content(first) == {"token": "Hel", "run": run, "index": 0}
        assert second.last_event_id == f"{run}.1"
        message = await hub.finish(run, "Bye")
        last, done = await stream.rest()
        assert content(last) == {"token": "Bye", "run": run, "index": 2}
        assert (done.type, done.last_event_id) == ("done", f"{run}.3")
        assert content(done) == {"message_id": message, "status": "final"}


async def test_clients_are_told_when_to_come_back_before_anything_is_said(tmp_path: Path) -> None:
    async with answering(tmp_path) as hub, hub.stream(CHAT) as stream:
        await stream.until(b"retry: 2750\n\n")
        assert stream.parser.retry == 2750


@pytest.mark.parametrize("path", ["/cases/case_1/chat/stream", PATH])
async def test_the_stream_is_at_both_addresses(tmp_path: Path, path: str) -> None:
    async with answering(tmp_path) as hub, hub.get(path) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"


async def test_a_deployer_can_change_the_names_of_the_steps(tmp_path: Path) -> None:
    names = Names(thinking="pondering", token="chunk", done="finished", reset="anew")
    async with (
        answering(tmp_path, names=names) as hub,
        hub.stream(CHAT, after="nothing.7") as stream,
    ):
        assert types([await stream.event()]) == ["anew"]
        run = await hub.ask()
        await hub.finish(run, "Hello")
        assert types(await stream.rest()) == ["pondering", "chunk", "finished"]


async def test_nothing_but_answers_is_told(tmp_path: Path) -> None:
    async with answering(tmp_path, policy=Policy(ai=False)) as hub, hub.stream(CHAT) as stream:
        await stream.until(b"retry")
        await hub.say("Is anybody there?")
        await hub.note("hidden")
        await hub.take_over()
        await hub.set_status(Status.ARCHIVED)
        assert await stream.rest() == []


async def test_a_stream_opened_in_the_middle_of_an_answer_gets_all_of_it(tmp_path: Path) -> None:
    async with answering(tmp_path) as hub:
        run = await hub.ask()
        await hub.speak(run, "One ", "two ")
        async with hub.stream(CHAT) as stream:
            events = await stream.take(3)
            await hub.speak(run, "three ", first=2)
            await hub.finish(run, "four")
            events += await stream.rest()
        assert types(events) == ["thinking", *["token"] * 4, "done"]
        assert [text for _, _, text in tokens(events)] == ["One ", "two ", "three ", "four"]


async def test_staff_see_the_same_stream(tmp_path: Path) -> None:
    async with answering(tmp_path) as hub:
        run = await hub.ask()
        async with hub.stream(CHAT, "cora") as staff, hub.stream(CHAT) as patient:
            await hub.finish(run, "Hello")
            assert await staff.rest() == await patient.rest()
            assert staff.raw == patient.raw


async def test_an_answer_that_fails_says_so(tmp_path: Path) -> None:
    async with answering(tmp_path) as hub, hub.stream(CHAT) as stream:
        run = await hub.ask()
        message = await hub.finish(run, "Please ask again.", "failed")
        events = await stream.rest()
        assert content(events[-1]) == {"message_id": message, "status": "failed"}


async def test_without_streaming_there_is_a_beginning_and_an_end(tmp_path: Path) -> None:
    policy = replace(WITH_AI, streaming=False)
    async with answering(tmp_path, policy=policy) as hub, hub.stream(CHAT) as stream:
        run = await hub.ask()
        message = await hub.finish(run, "Hello")
        events = await stream.rest()
        assert types(events) == ["thinking", "done"]
        assert content(events[-1]) == {"message_id": message, "status": "final"}
        await nothing_more(hub, events[-1].last_event_id)


# How an answer ends before it is whole.


async def test_a_new_message_ends_one_answer_and_begins_the_next(tmp_path: Path) -> None:
    async with answering(tmp_path) as hub, hub.stream(CHAT) as stream:
        one = await hub.ask("One?")
        await hub.speak(one, "Uno")
        two = await hub.ask("Two?")
        await hub.finish(two, "Dos")
        events = await stream.rest()
        assert types(events) == ["thinking", "token", "done", "thinking", "token", "done"]
        assert tokens(events) == [(one, 0, "Uno"), (two, 0, "Dos")]
        assert [content(events[n])["status"] for n in (2, 5)] == ["interrupted", "final"]


async def test_an_answer_of_which_nothing_was_shown_has_no_message(tmp_path: Path) -> None:
    async with answering(tmp_path) as hub, hub.stream(CHAT) as stream:
        run = await hub.ask()
        maria = await hub.rooms.identify(MARIA)
        await hub.rooms.handle(hub.case, Stop(), maria, "stop")
        events = await stream.rest()
        assert types(events) == ["thinking", "done"]
        assert content(events[1]) == {"message_id": None, "status": "interrupted"}
        assert events[1].last_event_id == f"{run}.0"


@pytest.mark.parametrize("shown", [0, 1, 5])
async def test_after_a_takeover_not_a_character_comes(tmp_path: Path, shown: int) -> None:
    async with answering(tmp_path) as hub, hub.stream(CHAT) as stream:
        run = await hub.ask()
        await hub.speak(run, *["piece "] * shown)
        await hub.take_over()
        for write in (hub.speak(run, "late", first=shown), hub.finish(run, "late")):
            with pytest.raises(Exception):  # noqa: B017, PT011 - refused, alone or in a group
                await write
        events = await stream.rest()
        assert types(events) == ["thinking", *["token"] * shown, "done"]
        assert content(events[-1])["status"] == "interrupted"
        assert (content(events[-1])["message_id"] is None) == (shown == 0)
        assert b"late" not in stream.raw
        # It waits for the next answer, and tells nothing of the old one.
        async with hub.stream(CHAT) as stream:
            await hub.say("And now?")
            hub.sse.drain()
            assert await stream.rest() == []


# Resuming.


async def nothing_more(hub: Hub, last: str) -> None:
    response = await hub.refusal(f"{PATH}?last_event_id={last}")
    assert (response.status_code, response.content) == (204, b"")
    await hub.nobody_reads()


@pytest.mark.parametrize("header", [True, False])
async def test_a_cut_stream_goes_on_in_the_middle_of_an_answer(
    tmp_path: Path, header: bool
) -> None:
    async with answering(tmp_path) as hub:
        run = await hub.ask()
        await hub.speak(run, "One ", "two ", "three ")
        path, after = (CHAT, f"{run}.0") if header else (f"{CHAT}?last_event_id={run}.0", None)
        async with hub.stream(path, after=after) as stream:
            assert tokens(await stream.take(2)) == [(run, 1, "two "), (run, 2, "three ")]
            await hub.finish(run, "four")
            last, done = await stream.rest()
            assert (tokens([last]), done.type) == ([(run, 3, "four")], "done")


async def test_the_header_is_newer_than_the_query(tmp_path: Path) -> None:
    async with answering(tmp_path) as hub:
        run = await hub.ask()
        await hub.speak(run, "One ", "two ")
        path = f"{CHAT}?last_event_id={run}.-1"
        async with hub.stream(path, after=f"{run}.0") as stream:
            assert tokens([await stream.event()]) == [(run, 1, "two ")]


@pytest.mark.parametrize("index", [-1, 0, 2, 3])
async def test_a_cut_stream_goes_on_after_the_answer_is_whole(tmp_path: Path, index: int) -> None:
    said = ["One ", "two\r\n", "three ", "four"]
    async with answering(tmp_path) as hub:
        run = await hub.ask()
        await hub.speak(run, *said[:3])
        message = await hub.finish(run, said[3])
        async with hub.stream(CHAT, after=f"{run}.{index}") as stream:
            events = await stream.rest()
        assert tokens(events) == [(run, i, said[i]) for i in range(index + 1, 4)]
        assert content(events[-1]) == {"message_id": message, "status": "final"}
        await nothing_more(hub, events[-1].last_event_id)


async def test_an_interrupted_answer_can_be_resumed_to_what_was_shown_of_it(
    tmp_path: Path,
) -> None:
    async with answering(tmp_path) as hub:
        run = await hub.ask()
        await hub.speak(run, "One ", "two ")
        await hub.take_over()
        async with hub.stream(CHAT, after=f"{run}.0") as stream:
            events = await stream.rest()
        assert tokens(events) == [(run, 1, "two ")]
        assert content(events[-1])["status"] == "interrupted"


async def test_who_has_everything_is_told_of_the_answer_that_is_being_written(
    tmp_path: Path,
) -> None:
    async with answering(tmp_path) as hub:
        one = await hub.ask()
        await hub.finish(one, "Uno")
        two = await hub.ask()
        async with hub.stream(CHAT, after=f"{one}.1") as stream:
            await hub.finish(two, "Dos")
            events = await stream.rest()
        assert types(events) == ["thinking", "token", "done"]
        assert tokens(events) == [(two, 0, "Dos")]


async def test_who_was_away_for_the_end_of_one_answer_gets_it_before_the_next(
    tmp_path: Path,
) -> None:
    async with answering(tmp_path) as hub:
        one = await hub.ask()
        await hub.speak(one, "U", "no")
        two = await hub.ask()
        await hub.speak(two, "D")
        async with hub.stream(CHAT, after=f"{one}.0") as stream:
            await hub.finish(two, "os")
            events = await stream.rest()
        assert types(events) == ["token", "done", "thinking", "token", "token", "done"]
        assert tokens(events) == [(one, 1, "no"), (two, 0, "D"), (two, 1, "os")]


@pytest.mark.parametrize(
    "last",
    ["nothing.0", "run_1.3", "run_1.999999999", "1.deadbeef", "run_1", "run_1.-2", ".0", "é.1"],
)
async def test_a_place_that_does_not_hold_is_answered_by_the_whole_text(
    tmp_path: Path, last: str
) -> None:
    async with answering(tmp_path) as hub:
        async with hub.stream(f"{CHAT}?last_event_id={last}") as stream:
            reset = await stream.event()
            assert (reset.type, reset.last_event_id) == ("reset", "")
            assert content(reset) == {"run": None, "index": -1, "text": ""}
            run = await hub.ask()
            assert run == "run_1"
            await hub.speak(run, "One ", "two ")
            assert types(await stream.take(3)) == ["thinking", "token", "token"]
        async with hub.stream(f"{CHAT}?last_event_id={last}") as stream:
            reset = await stream.event()
            assert (reset.type, reset.last_event_id) == ("reset", "run_1.1")
            assert content(reset) == {"run": "run_1", "index": 1, "text": "One two "}
            await hub.finish(run, "three")
            events = await stream.rest()
            assert (tokens(events), types(events)[-1]) == ([(run, 2, "three")], "done")


async def test_the_answer_of_another_case_is_unknown(tmp_path: Path) -> None:
    async with answering(tmp_path) as hub:
        run = await hub.ask()
        await hub.finish(run, "secret")
        await hub.open_case(replace(MARIA, id="user_paul", patient_id="paul"), "case_2")
        hub.case = "case_2"
        async with hub.stream(CHAT, "paul", after=f"{run}.-1") as stream:
            assert (await stream.event()).type == "reset"
            assert b"secret" not in stream.raw


async def test_an_answer_that_is_cut_two_hundred_times_is_told_once(tmp_path: Path) -> None:
    rng = random.Random(7)
    letters = "ab \n\r\u2028é\U0001f600"
    pieces = ["".join(rng.choices(letters, k=rng.randint(1, 9))) for _ in range(800)]
    got: list[Event] = []
    after: str | None = None
    async with answering(tmp_path) as hub, asyncio.TaskGroup() as tasks:
        run = await hub.ask()
        for first in range(0, len(pieces), 4):
            speaking = tasks.create_task(hub.speak(run, *pieces[first : first + 4], first=first))
            async with hub.stream(CHAT, after=after) as stream:
                got += await stream.take(rng.randint(1, 4))
                after = got[-1].last_event_id
            await speaking
            # A cut is noticed a moment later; a client has but so many streams.
            await eventually(lambda: hub.sse.count < 10)
        await hub.finish(run)
        async with hub.stream(CHAT, after=after) as stream:
            got += await stream.rest()
    assert types(got) == ["thinking", *["token"] * len(pieces), "done"]
    assert tokens(got) == [(run, i, text) for i, text in enumerate(pieces)]


# Slow readers, lost hints, and a log that is away.


async def test_a_slow_reader_falls_behind_and_gets_each_piece_once(tmp_path: Path) -> None:
    pieces = [f"{n} " for n in range(1_900)]
    async with answering(tmp_path) as hub:
        hub.take_little()
        run = await hub.ask()
        async with Sleeper.asking(hub, PATH) as slow:
            await eventually(lambda: len(hub.readers()) == 1)
            await hub.speak(run, *pieces)
            await eventually(lambda: len(hub.behind()) == 1)
            await hub.finish(run)
            two = await hub.ask()
            await hub.finish(two, "Dos")
            await slow.wake(lambda events: types(events).count("done") == 2)
        said = [(run, i, text) for i, text in enumerate(pieces)]
        assert tokens(slow.events) == [*said, (two, 0, "Dos")]
        one = ["thinking", *["token"] * len(pieces), "done"]
        assert types(slow.events) == [*one, "thinking", "token", "done"]
        await hub.nobody_reads()


class LossyBroker(MemoryBroker):
    """Loses and repeats what it likes."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random(seed)

    def publish(self, hints: Sequence[Hint]) -> None:
        for hint in hints:
            super().publish([hint] * self._random.choice((0, 1, 1, 2)))


async def interrupted(hub: Hub, pieces: int) -> str:
    """Let the AI say so many pieces, one after the other, of an answer that it does not end."""
    run = await hub.ask()
    for i in range(pieces):
        await hub.speak(run, f"{i} ", first=i)
    return run


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_hints_are_lost_or_doubled_each_piece_comes_once(
    tmp_path: Path, seed: int
) -> None:
    async with answering(tmp_path, broker=LossyBroker(seed), audit_every=0.02) as hub:
        async with hub.stream(CHAT) as stream:
            reading = asyncio.create_task(stream.rest())
            await stream.until(b"retry")
            runs = [await interrupted(hub, pieces) for pieces in (0, 2, 4)]
            last = await interrupted(hub, 6)
            await hub.finish(last, "end")
            events = await reading
        said = [(run, i, f"{i} ") for n, run in enumerate([*runs, last]) for i in range(n * 2)]
        said.append((last, 6, "end"))
        assert tokens(events) == said
        assert types(events)[-1] == "done"


async def test_a_stream_waits_while_the_log_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with answering(tmp_path) as hub:
        run = await hub.ask()
        await hub.speak(run, "One ")
        answered = hub.rooms.log.answer
        failures = 0

        async def fail_once(case: str, run: str) -> Any:
            nonlocal failures
            failures += 1
            if failures == 1:
                raise Unavailable
            return await answered(case, run)

        async with hub.stream(CHAT) as stream:
            assert types(await stream.take(2)) == ["thinking", "token"]
            [reader] = hub.readers()
            monkeypatch.setattr(hub.rooms.log, "answer", fail_once)
            reader.reader.answering(Run(run, 0))
            await eventually(lambda: failures == 1)
            await hub.finish(run, "two")
            events = await stream.rest()
        assert tokens(events) == [(run, 1, "two")]
        assert types(events)[-1] == "done"


@pytest.mark.parametrize("method", ["entrance", "answer"])
async def test_a_log_that_fails_while_a_stream_is_resumed_is_told_by_the_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    async def fail(*args: object) -> None:
        raise Unavailable

    async with answering(tmp_path) as hub:
        monkeypatch.setattr(hub.rooms.log, method, fail)
        response = await hub.refusal(f"{PATH}?last_event_id=run_1.0")
        assert (response.status_code, response.headers["retry-after"]) == (503, "2")
        await hub.nobody_reads()


async def test_a_log_that_lost_pieces_sends_the_client_away_to_start_anew(tmp_path: Path) -> None:
    async with answering(tmp_path) as hub:
        run = await hub.ask()
        await hub.speak(run, "One ")
        async with hub.stream(CHAT) as stream:
            await stream.take(2)
            [reader] = hub.readers()
            ahead = Progress(run, 0, RunState.WRITING, 1, "from a log that was put back ")
            reader.write(RunSignal(hub.case, Audience.PATIENT, ahead).encoded(reader.reader.codec))
            reader.reader.answering(Run(run, 0))
            [event] = await stream.rest()
        async with hub.stream(CHAT, after=event.last_event_id) as stream:
            reset = await stream.event()
            assert (reset.type, content(reset)["text"]) == ("reset", "One ")


async def test_an_outbox_never_holds_more_than_its_limit_and_one_piece(tmp_path: Path) -> None:
    async with answering(tmp_path) as hub:
        run = await hub.ask()
        await hub.speak(run, *["x" * 90] * 50)
        await hub.finish(run)
        outbox = ChatOutbox(ChatDialect(Names()), hub.case, hub.rooms.log, limit=1_000)
        assert await outbox.begin(f"{run}.-1", None)
        parser, events = Parser(), []
        while not outbox.ended:
            await outbox.filled()
            data = outbox.take()
            assert len(data) < 1_500
            events += parser.feed(data)
        assert types(events) == [*["token"] * 50, "done"]


# What is told and what is read cross each other.


class Pages:
    """A log that says what the test says, and lets something happen while it is read."""

    def __init__(self, *answers: Answer, active: Run | None = None) -> None:
        self.answers = {answer.run.id: answer for answer in answers}
        self.active = active
        if active is not None:
            self.answers[active.id] = Answer(active, RunState.WRITING, None)
        self.meanwhile: Callable[[], None] = lambda: None
        self.readable = asyncio.Event()
        self.readable.set()

    async def state(self, case: str) -> RoomState:
        state = RoomState(case, "t1", "maria", "Maria", run=self.active)
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        return state

    async def answer(self, case: str, run: str) -> Answer | None:
        answer = self.answers.get(run)
        await self.readable.wait()
        return answer


def written(run: str, *pieces: str) -> Run:
    made = Run(run, 0)
    for piece in pieces:
        made = made.plus(piece)
    return made


def ended(run: str, *pieces: str) -> Answer:
    return Answer(written(run, *pieces), RunState.DONE, f"message of {run}")


class Told:
    """An outbox, and what its client was sent."""

    def __init__(self, log: Pages) -> None:
        self.dialect = ChatDialect(Names())
        self.outbox = ChatOutbox(self.dialect, "case_1", log)
        self.events: list[Event] = []
        self._parser = Parser()

    def step(self, run: str, state: RunState, i: int | None = None, text: str = "") -> None:
        step = Progress(run, 0, state, i, text)
        data = self.dialect.signal(RunSignal("case_1", Audience.PATIENT, step))
        assert data is not None
        self.outbox.write(data)

    def end(self, answer: Answer) -> None:
        text = answer.run.text
        self.outbox.write(Step.of(Ended(answer.run.id, "message", "final", len(text))))

    async def told(self) -> list[str]:
        """Give the types of what is sent until nothing more is to be said."""
        with suppress(TimeoutError):
            while not self.outbox.ended:
                async with asyncio.timeout(0.05):
                    await self.outbox.filled()
                self.events += self._parser.feed(self.outbox.take())
        return types(self.events)


async def test_a_client_that_was_behind_at_the_end_is_told_of_it() -> None:
    client = Told(Pages(ended("a", "one")))
    client.step("a", RunState.THINKING)
    client.outbox.live(START)
    assert await client.told() == ["thinking", "token", "done"]


async def test_an_end_that_no_hint_told_comes_with_the_takeover() -> None:
    client = Told(Pages(Answer(Run("a", 0), RunState.STOPPED, None)))
    client.step("a", RunState.THINKING)
    client.outbox.write(Step.of(TakenOver()))
    assert await client.told() == ["thinking", "done"]


async def test_an_answer_that_was_missed_comes_before_the_next_that_begins() -> None:
    client = Told(Pages(ended("a", "one"), active=written("b")))
    client.end(ended("a", "one"))
    client.step("b", RunState.THINKING)
    client.step("b", RunState.WRITING, 0, "two")
    assert await client.told() == ["thinking", "token", "done", "thinking"]
    client.step("b", RunState.WRITING, 0, "two")
    await client.told()
    assert tokens(client.events) == [("a", 0, "one"), ("b", 0, "two")]


async def test_an_answer_that_is_heard_of_late_comes_before_the_next_that_was_read() -> None:
    log = Pages(ended("a", "one"), active=written("b", "two"))
    client = Told(log)
    log.meanwhile = partial(client.end, ended("a", "one"))
    client.outbox.answering(Run("b", 0))
    assert await client.told() == ["thinking", "token", "done", "thinking", "token"]
    assert tokens(client.events) == [("a", 0, "one"), ("b", 0, "two")]


async def test_a_stream_does_not_end_by_what_was_read_before_its_answer_did() -> None:
    log = Pages(active=written("a", "one"))
    client = Told(log)
    client.step("a", RunState.THINKING)
    client.step("a", RunState.WRITING, 0, "one")

    def go_on() -> None:
        client.end(ended("a", "one"))
        log.active = written("b")
        log.answers["b"] = Answer(log.active, RunState.THINKING, None)

    log.meanwhile = go_on
    client.outbox.answering(written("a", "one"))
    assert await client.told() == ["thinking", "token", "done", "thinking"]
    assert not client.outbox.ended


async def test_an_answer_that_is_over_does_not_begin_again() -> None:
    client = Told(Pages(ended("a", "one")))
    assert await client.outbox.begin("a.1", Run("b", 0))
    assert await client.told() == []
    client.step("a", RunState.THINKING)
    client.step("a", RunState.WRITING, 0, "one")
    assert await client.told() == []


async def test_pieces_that_come_while_the_log_is_read_are_shown_once() -> None:
    log = Pages(active=written("a", "one ", "two "))
    client = Told(log)
    client.step("a", RunState.THINKING)
    assert await client.told() == ["thinking"]
    client.step("a", RunState.WRITING, 1, "two ")
    log.readable.clear()
    reading = asyncio.create_task(client.outbox.filled())
    await asyncio.sleep(0)
    for i, text in enumerate(("one ", "two ", "three ")):
        client.step("a", RunState.WRITING, i, text)
    log.active = written("a", "one ", "two ", "three ")
    log.answers["a"] = Answer(log.active, RunState.WRITING, None)
    log.readable.set()
    await reading
    await client.told()
    assert tokens(client.events) == [("a", 0, "one "), ("a", 1, "two "), ("a", 2, "three ")]
    assert not client.outbox.ended


async def test_a_heartbeat_while_the_log_is_read_forgets_nothing() -> None:
    log = Pages(ended("a", "one"))
    client = Told(log)
    client.end(ended("a", "one"))
    log.readable.clear()
    assert await client.told() == []
    log.readable.set()
    assert await client.told() == ["thinking", "token", "done"]


# The flag.


async def test_streams_can_be_switched_off(tmp_path: Path) -> None:
    async with answering(tmp_path, policy=replace(WITH_AI, sse=False)) as hub:
        for path in ("chat/stream", "messages/stream", "stream"):
            response = await hub.refusal(f"/api/v1/cases/case_1/{path}")
            assert response.status_code == 503
            error = response.json()["error"]
            assert error["code"] == "SSE_CONNECTION_001"
            assert "GET /api/v1/cases/{id}/events?after=" in error["message"]
            assert (await hub.refusal(f"/api/v1/cases/case_1/{path}", "nobody")).status_code == 401
        await hub.nobody_reads()


async def test_streams_end_when_their_tenant_switches_them_off(tmp_path: Path) -> None:
    async with answering(tmp_path) as hub:
        async with hub.stream(CHAT) as chat, hub.stream("/messages/stream") as messages:
            await hub.rooms.flags.set(SUPERVISOR_ELSEWHERE, "sse_streaming", False)
            await hub.say("still here")
            assert content((await messages.take(2))[1])["text"] == "still here"
            await hub.rooms.flags.set(SUPERVISOR, "sse_streaming", False)
            await chat.rest()
            await messages.rest()
        await hub.nobody_reads()
        assert (await hub.refusal(PATH)).status_code == 503
        await hub.rooms.flags.set(SUPERVISOR, "sse_streaming", None)
        async with hub.stream(CHAT) as chat:
            assert chat.status == 200


# The other streams.


async def test_the_feed_shows_an_answer_as_the_websocket_does(tmp_path: Path) -> None:
    async with answering(tmp_path) as hub, hub.stream("/stream") as early:
        await early.take(3)
        run = await hub.ask()
        await hub.speak(run, "One ", "two ")
        async with hub.stream("/stream") as late:
            ready, *_, writing, draft = [content(event) for event in await late.take(5)]
            assert ready["state"]["run"] == run
            assert writing == {"type": "run", "case": "case_1", "run": run, "state": "writing"}
            assert (draft["type"], draft["i"], draft["text"]) == ("draft", 1, "One two ")
            message = await hub.finish(run, "three")
            delta, event, end = [content(event) for event in await late.take(3)]
            assert (delta["type"], delta["i"], delta["text"]) == ("delta", 2, "three")
            assert (event["data"]["run"], event["id"]) == (run, message)
            assert (end["state"], end["message"]) == ("done", message)
        frames = [content(event) for event in await early.take(8)]
        assert [frame["type"] for frame in frames] == [
            *("event", "run", "run", "delta", "delta", "delta", "event", "run")
        ]


async def test_the_messages_show_an_answer_when_it_is_whole(tmp_path: Path) -> None:
    async with answering(tmp_path) as hub, hub.stream("/messages/stream") as stream:
        run = await hub.ask()
        await hub.speak(run, "One ", "two ")
        async with hub.stream("/messages/stream") as late:
            await hub.finish(run, "three")
            _, asked, answer = await stream.take(3)
            assert content(answer)["run"] == run
            assert content(answer)["text"] == "One two three"
            assert "run" not in content(asked)
            assert (await late.take(2))[1] == answer
