"""Why did she not get it: the one answer, from every process."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from auth.principal import Role
from hub.__main__ import main
from hub.why import Why
from hub.why_text import lines
from rooms.broker import MemoryBroker
from rooms.redis_broker import RedisBroker
from rooms.redis_inquiries import ANSWERED_WITHIN
from tests.ai.kit import GatedModel
from tests.kit import CASE, MARIA, PRIYA, WITHIN, Identity, RunningHub, running_hub
from tests.stories.test_two_processes import pair
from tests.valkey import running_valkey

HIDDEN = [("user_maria", "hidden")]
SAM = Identity("user_sam", "Sam", Role.SUPERVISOR)
STRANGER = Identity("user_x", "X", Role.SUPERVISOR, tenant="tenant-2")


async def ask(hub: RunningHub, event: str, who: Identity = SAM) -> dict[str, Any]:
    async with hub.rest(who) as rest:
        answer = await rest.get(f"events/{event}/why", params={"case": CASE})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


async def say(hub: RunningHub, text: str, path: str = "messages") -> str:
    async with hub.rest(PRIYA) as rest:
        return str((await rest.post(f"cases/{CASE}/{path}", json={"text": text})).json()["id"])


async def verdicts(hub: RunningHub, event: str) -> list[tuple[str, str]]:
    return [(visit["user"], visit["verdict"]) for visit in (await ask(hub, event))["visits"]]


async def ways(hub: RunningHub, event: str) -> dict[str, str]:
    return {visit["way"]: visit["verdict"] for visit in (await ask(hub, event))["visits"]}


async def until(hub: RunningHub, event: str, expected: list[tuple[str, str]]) -> None:
    async with asyncio.timeout(WITHIN):
        while await verdicts(hub, event) != expected:  # noqa: ASYNC110 - what other people do
            await asyncio.sleep(0.01)


async def test_it_tells_who_had_left_and_with_what_she_came_back(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        async with hub.enter(MARIA) as maria:
            cursor = maria.cursor
            left = maria.frames[0]["conn"]
        await until(hub, await say(hub, "before"), [("user_maria", "left")])
        missed = await say(hub, "Are you there?")
        async with hub.enter(MARIA, after=cursor) as maria:
            await until(hub, missed, [("user_maria", "left"), ("user_maria", "written")])
            await maria.send({"type": "pong", "seq": 3})
            await until(hub, missed, [("user_maria", "left"), ("user_maria", "applied")])
            why = await ask(hub, missed)
        async with hub.enter(MARIA, after=maria.cursor):
            assert (await verdicts(hub, missed))[-1] == ("user_maria", "resumed")
        assert why["event"]["case"] == CASE
        assert why["event"]["actor"] == {"type": "coordinator", "id": "user_priya"}
        assert (why["event"]["staff_seq"], why["event"]["patient_seq"]) == (3, 3)
        gone, here = why["visits"]
        assert (gone["conn"], gone["start"], gone["written"]) == (left, 0, 1)
        assert gone["left"] is not None
        assert (here["start"], here["written"], here["applied"], here["left"]) == (1, 3, 3, None)
        assert (why["silent"], why["problem"], len(why["processes"])) == (0, None, 1)


async def test_it_tells_what_is_not_for_patients_and_what_a_reader_began_behind(
    tmp_path: Path,
) -> None:
    async with running_hub(tmp_path) as hub:
        note = await say(hub, "psst", "notes")
        hello = await say(hub, "Hello")
        async with hub.enter(MARIA, tail=0), hub.enter(PRIYA):
            assert await verdicts(hub, note) == [
                ("user_maria", "hidden"),
                ("user_priya", "written"),
            ]
            assert await verdicts(hub, hello) == [("user_maria", "had"), ("user_priya", "written")]
            assert (await ask(hub, note))["event"]["patient_seq"] is None


async def test_it_tells_with_what_the_hub_closed_a_socket(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.enter(MARIA) as maria:
        hub.hub.manager.send_away(next(iter(hub.hub.manager.of_case(CASE))))
        assert await maria.expect_close() == 4503
        missed = await say(hub, "Hello")
        await until(hub, missed, [("user_maria", "left")])
        [visit] = (await ask(hub, missed))["visits"]
    assert visit["code"] == 4503


@asynccontextmanager
async def reading(hub: RunningHub, path: str, after: str = "") -> AsyncIterator[None]:
    """Read an SSE stream, of which the beginning has come."""
    headers = {"Last-Event-ID": after}
    async with (
        hub.rest(MARIA) as rest,
        rest.stream("GET", f"cases/{CASE}/{path}", headers=headers) as stream,
    ):
        chunks = stream.aiter_raw()
        await anext(chunks)
        yield


async def test_it_tells_what_was_written_to_streams_and_with_what_they_came_back(
    tmp_path: Path,
) -> None:
    async with running_hub(tmp_path) as hub:
        async with (
            reading(hub, "stream"),
            reading(hub, "messages/stream"),
            reading(hub, "chat/stream"),
        ):
            hello = await say(hub, "Hello")
            note = await say(hub, "psst", "notes")
            async with hub.rest(PRIYA) as rest:
                active = await rest.post(f"cases/{CASE}/status", json={"status": "active"})
            found = [await ways(hub, event) for event in (hello, active.json()["id"])]
            assert found == [
                {"stream": "written", "messages": "written", "answers": "hidden"},
                {"stream": "written", "messages": "hidden", "answers": "hidden"},
            ]
            assert {verdict for _, verdict in await verdicts(hub, note)} == {"hidden"}
        await until(hub, await say(hub, "Are you there?"), [("user_maria", "left")] * 2 + HIDDEN)
        async with hub.rest(MARIA) as rest:
            cursor = (await rest.get(f"cases/{CASE}/events", params={"limit": 2})).json()["cursor"]
        async with reading(hub, "stream", cursor):
            *_, visit = (await ask(hub, hello))["visits"]
    assert (visit["verdict"], visit["start"], visit["conn"][:2]) == ("resumed", 2, "c_")


async def test_it_tells_what_was_written_to_a_stream_of_answers(tmp_path: Path) -> None:
    model = GatedModel()
    async with (
        running_hub(tmp_path, dependencies={"model": model}) as hub,
        reading(hub, "chat/stream"),
        hub.enter(MARIA) as maria,
    ):
        await maria.send({"type": "message", "key": "k", "text": "Hello"})
        asked = await model.next()
        asked.say("A pass")
        asked.end("port.")
        found = []
        for _ in ("Hello", "A passport."):
            event = await maria.expect("event", kind="message")
            found.append(await ways(hub, event["id"]))
    assert found == [
        {"answers": "hidden", "websocket": "written"},
        {"answers": "written", "websocket": "written"},
    ]


async def test_what_comes_after_a_stream_was_ended_does_not_count_as_written(
    tmp_path: Path,
) -> None:
    async with running_hub(tmp_path) as hub, reading(hub, "stream"):
        [visit] = hub.hub.rooms.visits.of_case(CASE)
        assert visit.subscription is not None
        hub.hub.sse.turn_out(lambda by: True)
        # In this very moment, and not only when the response is over.
        assert visit.subscription.closed
        await until(hub, await say(hub, "Hello"), [("user_maria", "left")])


async def test_it_tells_what_those_who_poll_asked_for_last(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.rest(MARIA) as rest:
        cursor = (await rest.get(f"cases/{CASE}/events")).json()["cursor"]
        hello = await say(hub, "Hello")
        assert await verdicts(hub, hello) == [("user_maria", "left")]
        cursor = (await rest.get(f"cases/{CASE}/events?after={cursor}")).json()["cursor"]
        assert await verdicts(hub, hello) == [("user_maria", "written")]
        await rest.get(f"cases/{CASE}/events?after={cursor}")
        await rest.get(f"cases/{CASE}/events?before=2")
        why = await ask(hub, hello)
    assert [(visit["way"], visit["verdict"]) for visit in why["visits"]] == [("polling", "resumed")]
    assert any("polling" in line for line in lines(Why.model_validate(why)))


async def test_it_tells_whether_the_readers_of_a_process_were_told_by_a_hint(
    tmp_path: Path,
) -> None:
    async with running_hub(tmp_path) as hub:
        before = await say(hub, "before")
        assert (await ask(hub, before))["processes"][0]["streams"] == []
        async with hub.enter(MARIA) as maria:
            broker = hub.hub.broker
            assert isinstance(broker, MemoryBroker)
            hear = broker._receive
            assert hear is not None
            broker.attach(lambda hint: None)
            lost = await say(hub, "lost")
            assert await came(hub, lost) == "missing"
            broker.attach(hear)
            late = await say(hub, "late")
            await maria.expect_message("late")
            told = await say(hub, "told")
            found = [await came(hub, event) for event in (before, lost, late, told)]
            assert found == ["before", "log", "log", "hint"]


async def came(hub: RunningHub, event: str) -> str:
    [stream] = (await ask(hub, event))["processes"][0]["streams"]
    return str(stream["came"])


async def test_a_client_that_confirms_what_it_was_not_given_is_not_believed(
    tmp_path: Path,
) -> None:
    async with running_hub(tmp_path) as hub:
        async with hub.enter(MARIA) as maria:
            await maria.send({"type": "pong", "seq": 99})
            await maria.expect_nothing_but()
        await until(hub, await say(hub, "Hello"), [("user_maria", "left")])


async def test_a_process_tells_of_the_newest_visits_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.why.VISITS", 2)
    async with running_hub(tmp_path) as hub:
        hello = await say(hub, "Hello")
        async with hub.enter(MARIA), hub.enter(PRIYA):
            async with hub.enter(SAM):
                pass
            why = await ask(hub, hello)
    assert [visit["user"] for visit in why["visits"]] == ["user_maria", "user_priya"]
    assert why["processes"][0]["omitted"] == 1


async def test_nothing_of_it_is_a_text_or_a_name(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.enter(MARIA):
        why = str(await ask(hub, await say(hub, "a text")))
    assert "a text" not in why
    assert "Maria" not in why
    assert "Priya" not in why


async def test_it_tells_that_a_process_started_after_the_event(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.enter(MARIA):
        event = await say(hub, "Hello")
        before = lines(Why.model_validate(await ask(hub, event)))
    async with running_hub(tmp_path, open_case=False) as hub:
        after = lines(Why.model_validate(await ask(hub, event)))
    unknown = "who read the case there before is not known"
    told = [any(unknown in line for line in text) for text in (before, after)]
    assert told == [False, True]


@pytest.mark.parametrize(("who", "status"), [(MARIA, 403), (PRIYA, 403), (STRANGER, 404)])
async def test_only_supervisors_of_the_tenant_are_told(
    tmp_path: Path, who: Identity, status: int
) -> None:
    async with running_hub(tmp_path) as hub:
        event = await say(hub, "Hello")
        async with hub.rest(who) as rest:
            assert (await rest.get(f"events/{event}/why")).status_code == status


async def test_one_process_tells_what_all_know(tmp_path: Path, postgres_url: str) -> None:
    async with pair(tmp_path, postgres_url) as hubs:
        event = await say(hubs.one, "Hello")
        async with hubs.one.enter(MARIA), hubs.other.enter(PRIYA):
            why = await ask(hubs.other, event)
            assert sorted(visit["user"] for visit in why["visits"]) == ["user_maria", "user_priya"]
            assert (len(why["processes"]), why["silent"]) == (2, 0)
            # Without Redis nobody is asked.
            hubs.valkey.kill()
            why = await ask(hubs.other, event)
            assert [visit["user"] for visit in why["visits"]] == ["user_priya"]
            assert "own address" in why["problem"]


async def test_a_process_that_does_not_answer_is_counted(tmp_path: Path, postgres_url: str) -> None:
    async with pair(tmp_path, postgres_url) as hubs:
        event = await say(hubs.one, "Hello")

        def fail(case: str) -> str:
            raise ZeroDivisionError

        hubs.one.hub.broker.tell = fail  # type: ignore[union-attr]
        began = asyncio.get_running_loop().time()
        why = await ask(hubs.other, event)
        assert asyncio.get_running_loop().time() - began >= ANSWERED_WITHIN
        assert (len(why["processes"]), why["silent"]) == (1, 1)
        assert any("SILENT processes: 1" in line for line in lines(Why.model_validate(why)))


async def test_an_answer_that_cannot_be_understood_is_as_good_as_none(tmp_path: Path) -> None:
    with running_valkey() as valkey:
        async with running_hub(tmp_path, redis_url=valkey.url) as hub:
            broker = RedisBroker(
                valkey.url,
                process="x",
                gap=lambda: None,
                monotonic=time.monotonic,
                random=lambda: 0.0,
            )
            running = asyncio.create_task(broker.run())
            async with asyncio.timeout(WITHIN):
                while not (broker.connected and hub.hub.broker.connected):  # type: ignore[union-attr]  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
            event = await say(hub, "Hello")
            large = hub.hub.why.report(CASE).model_dump_json() + " " * 2_000_000
            for answer in ("", "{", "[]", '{"process":"x"}', large):
                broker.tell = {CASE: answer}.__getitem__
                why = await ask(hub, event)
                assert (len(why["processes"]), why["silent"], why["problem"]) == (1, 1, None)
            await broker.close()
            await running


async def test_the_command_line_asks_a_hub_that_runs(tmp_path: Path) -> None:
    async with running_hub(tmp_path, service_token="s" * 32) as hub, hub.enter(MARIA):
        event = await say(hub, "Hello")
        variables = {"HUB_DEV": "1", "HUB_SERVICE_TOKEN": "s" * 32, "HUB_DATA_DIR": str(tmp_path)}
        options = ["why", event, "--url", hub.http]
        result = await asyncio.to_thread(CliRunner().invoke, main, options, env=variables)
        unknown = await asyncio.to_thread(
            CliRunner().invoke, main, ["why", "un known?#", "--url", hub.http], env=variables
        )
        strange = await asyncio.to_thread(
            CliRunner().invoke, main, ["why", event, "--url", f"{hub.http}/healthz?"], env=variables
        )
        nowhere = await asyncio.to_thread(
            CliRunner().invoke, main, ["why", event, "--url", "nowhere"], env=variables
        )
    assert (strange.exit_code, "HTTP 200" in strange.output) == (1, True)
    assert (nowhere.exit_code, "does not answer" in nowhere.output) == (1, True)
    assert result.exit_code == 0, result.output
    assert f"{event}: message by coordinator user_priya, in {CASE}" in result.output
    assert "patient user_maria was sent it, and has not confirmed it" in result.output
    assert "written, not confirmed: WebSocket c_" in result.output
    assert (unknown.exit_code, unknown.output) == (1, "There is no such event.\n")


def test_without_a_token_the_command_line_says_what_to_set() -> None:
    result = CliRunner().invoke(main, ["why", "x"], env={"HUB_DEV": "1"})
    assert result.exit_code == 2
    assert "HUB_SERVICE_TOKEN" in result.output
