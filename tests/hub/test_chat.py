"""Chatting by one request for a message and its reply, while the streams show the same."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from ai.model import Failure
from auth.principal import Role
from hub.chat import PER_USER, ChatApi
from rooms.cursor import START
from rooms.feed import audit
from tests.ai.kit import GatedModel
from tests.compat_sse.whatwg import Event, Parser
from tests.kit import (
    CASE,
    MARIA,
    MARIA_ID,
    PRIYA,
    WITHIN,
    Identity,
    RunningHub,
    raw_socket,
    running_hub,
)

PAUL = Identity("user_paul", "Paul", patient_id="paul")
CHAT = f"/patients/{MARIA_ID}/chat"


@dataclass
class Chat:
    """A hub whose model says what the test lets it say."""

    hub: RunningHub
    model: GatedModel

    @property
    def api(self) -> ChatApi:
        return self.hub.hub.chat

    async def post(
        self, text: str = "Hello?", key: str | None = None, who: Identity = MARIA, **headers: str
    ) -> httpx2.Response:
        headers |= {} if key is None else {"Idempotency-Key": key}
        path = f"/patients/{who.patient_id or MARIA_ID}/chat"
        async with self.hub.rest(who) as http:
            return await http.post(path, json={"text": text}, headers=headers)

    async def act(self, who: Identity, call: str, body: Any, case: str = CASE) -> None:
        async with self.hub.rest(who) as http:
            answer = await http.post(f"/cases/{case}/{call}", json=body)
            assert answer.status_code in (200, 201), answer.text

    async def wait_for(self, waiting: int) -> None:
        async with asyncio.timeout(WITHIN):
            while self.api.waiting != waiting:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.002)

    async def streamed(self, path: str, events: int) -> list[Event]:
        """Read so many events of a stream of the case."""
        parser, found = Parser(), list[Event]()
        async with (
            self.hub.rest(MARIA) as http,
            http.stream("GET", f"/cases/{CASE}/{path}") as response,
        ):
            async for chunk in response.aiter_raw():
                found += parser.feed(chunk)
                if len(found) >= events:
                    break
        return found


@asynccontextmanager
async def chatting(folder: Path, **settings: Any) -> AsyncIterator[Chat]:
    model = GatedModel()
    async with running_hub(folder, dependencies={"model": model}, **settings) as hub:
        yield Chat(hub, model)


async def test_a_message_is_answered_with_what_the_ai_says(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat, asyncio.TaskGroup() as tasks:
        posted = tasks.create_task(chat.post("How much?", "k1"))
        (await chat.model.next()).end("It ", "depends.")
        response = await posted
        assert response.status_code == 200
        body = response.json()
        reply = body.pop("reply")
        assert (body["case"], body["seq"]) == (CASE, 2)
        assert sorted(body) == ["at", "case", "cursor", "id", "seq"]
        assert sorted(reply) == ["cursor", "message_id", "sender_type", "status", "text"]
        assert (reply["text"], reply["status"], reply["sender_type"]) == (
            *("It depends.", "final", "ai"),
        )
        async with chat.hub.rest(MARIA) as http:
            events = (await http.get(f"/cases/{CASE}/events?after={body['cursor']}")).json()
        [event] = events["events"]
        assert (event["id"], event["cursor"]) == (reply["message_id"], reply["cursor"])


async def test_the_reply_has_the_id_that_every_stream_shows(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat, chat.hub.enter(MARIA) as socket:
        async with asyncio.TaskGroup() as tasks:
            streams = [
                tasks.create_task(chat.streamed(path, events))
                for path, events in (("chat/stream", 4), ("messages/stream", 3))
            ]
            while chat.hub.hub.sse.count < 2:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.002)
            posted = tasks.create_task(chat.post())
            asked = await chat.model.next()
            asked.say("It ")
            await socket.expect("delta")
            asked.end("depends.")
        reply = posted.result().json()["reply"]
        events, messages = [stream.result() for stream in streams]
        done = json.loads(events[-1].data)
        assert done == {"message_id": reply["message_id"], "status": "final"}
        told = [json.loads(event.data)["token"] for event in events if event.type == "token"]
        assert "".join(told) == reply["text"] == "It depends."
        message = json.loads(messages[-1].data)
        assert (message["id"], messages[-1].last_event_id) == (
            *(reply["message_id"], reply["cursor"]),
        )
        assert (await socket.expect_message("It depends."))["id"] == reply["message_id"]


async def test_a_client_need_not_wait_for_the_reply(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        response = await chat.post(key="k1", Prefer="return=minimal, Respond-Async; wait=1")
        assert response.status_code == 202
        assert response.headers["preference-applied"] == "respond-async"
        assert response.json()["reply"] is None
        assert "control" not in response.json()
        (await chat.model.next()).end("Hello")
        response = await chat.post(key="k1")
        assert (response.status_code, response.json()["dup"]) == (200, True)
        assert response.json()["reply"]["text"] == "Hello"


@pytest.mark.parametrize(
    "flags", [{"flag_sse_streaming": False}, {"flag_enable_response_streaming": False}]
)
async def test_a_reply_needs_no_stream(tmp_path: Path, flags: dict[str, bool]) -> None:
    async with chatting(tmp_path, **flags) as chat, asyncio.TaskGroup() as tasks:
        posted = tasks.create_task(chat.post())
        (await chat.model.next()).end("Hel", "lo")
        assert (await posted).json()["reply"]["text"] == "Hello"


async def test_a_failure_of_the_model_is_a_reply_too(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat, asyncio.TaskGroup() as tasks:
        posted = tasks.create_task(chat.post())
        (await chat.model.next()).fail(Failure.OVERLOADED)
        response = await posted
        assert (response.status_code, response.json()["reply"]["status"]) == (200, "failed")


async def test_words_of_an_emergency_are_answered_at_once(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        response = await chat.post("I have chest pain and cannot breathe", "k1")
        reply = response.json()["reply"]
        assert (response.status_code, reply["sender_type"]) == (200, "system")
        assert "emergency" in reply["text"]
        async with asyncio.TaskGroup() as tasks:
            posted = tasks.create_task(chat.post("And my visa?"))
            (await chat.model.next()).end("Later.")
            assert (await posted).json()["reply"]["text"] == "Later."
        assert (await chat.post("I have chest pain and cannot breathe", "k1")).json()[
            "reply"
        ] == reply


# No reply.


async def test_where_no_reply_will_come_nobody_waits_for_one(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await chat.act(PRIYA, "accept", {})
        response = await chat.post()
        assert (response.status_code, response.json()["reply"]) == (202, None)
        assert response.json()["control"] == "human"
        assert chat.model.asked == []


async def test_without_an_ai_nobody_waits_for_one(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        response = await Chat(hub, GatedModel()).post()
        assert response.status_code == 202
        assert (response.json()["reply"], response.json()["control"]) == (None, "ai")


@pytest.mark.parametrize("by", ["stop", "accept"])
@pytest.mark.parametrize("shown", [True, False])
async def test_an_answer_that_is_ended_before_it_is_whole(
    tmp_path: Path, by: str, shown: bool
) -> None:
    async with (
        chatting(tmp_path) as chat,
        chat.hub.enter(MARIA) as socket,
        asyncio.TaskGroup() as tasks,
    ):
        posted = tasks.create_task(chat.post())
        asked = await chat.model.next()
        await chat.wait_for(1)
        if shown:
            asked.say("It ")
            await socket.expect("delta")
        await chat.act(MARIA if by == "stop" else PRIYA, by, {})
        response = await posted
        reply, control = response.json()["reply"], response.json().get("control")
        if shown:
            assert (response.status_code, control) == (200, None)
            assert (reply["text"], reply["status"]) == ("It ", "interrupted")
        else:
            assert (response.status_code, reply) == (202, None)
            assert control == ("ai" if by == "stop" else "human")


async def test_two_messages_have_the_reply_to_both(tmp_path: Path) -> None:
    async with (
        chatting(tmp_path) as chat,
        chat.hub.enter(MARIA) as socket,
        asyncio.TaskGroup() as tasks,
    ):
        one = tasks.create_task(chat.post("One?"))
        (await chat.model.next()).say("Un")
        await socket.expect("delta")
        two = tasks.create_task(chat.post("Two?"))
        (await chat.model.next()).end("Both.")
        assert (await one).json()["reply"] == (await two).json()["reply"]
        assert (await one).json()["reply"]["text"] == "Both."


async def test_what_was_begun_before_a_further_message_is_no_reply_to_it(tmp_path: Path) -> None:
    async with (
        chatting(tmp_path) as chat,
        chat.hub.enter(MARIA) as socket,
        asyncio.TaskGroup() as tasks,
    ):
        one = tasks.create_task(chat.post("One?"))
        (await chat.model.next()).say("Un")
        await socket.expect("delta")
        two = tasks.create_task(chat.post("Two?"))
        await chat.model.next()
        await chat.wait_for(2)
        await chat.act(PRIYA, "accept", {})
        for response in (await one, await two):
            assert (response.status_code, response.json()["control"]) == (202, "human")


async def test_a_wait_has_an_end(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        chat.api._within = 0.05
        response = await chat.post(key="k1")
        assert (response.status_code, response.json()["reply"]) == (202, None)
        assert "control" not in response.json()
        chat.api._within = WITHIN
        (await chat.model.next()).end("Hello")
        assert (await chat.post(key="k1")).json()["reply"]["text"] == "Hello"


async def test_a_drain_lets_nobody_wait(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat, asyncio.TaskGroup() as tasks:
        posted = tasks.create_task(chat.post())
        await chat.wait_for(1)
        chat.api.drain()
        assert (await posted).status_code == 202
        assert (await chat.post()).status_code == 202


async def test_a_client_that_hangs_up_does_not_stop_the_answer(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat, chat.hub.enter(MARIA) as socket:
        with raw_socket(chat.hub.port) as raw:
            headers = {**chat.hub.headers(MARIA, "k1"), "Host": "hub", "Content-Length": "14"}
            lines = [f"POST /api/v1{CHAT} HTTP/1.1", *(f"{n}: {v}" for n, v in headers.items())]
            raw.sendall("\r\n".join([*lines, "", '{"text": "Hi"}']).encode())
            asked = await chat.model.next()
            await chat.wait_for(1)
        await chat.wait_for(0)
        asked.end("Hello")
        message = await socket.expect_message("Hello")
        response = await chat.post("Hi", "k1")
        assert response.json()["reply"]["message_id"] == message["id"]


# Keys.


async def test_a_repeated_message_waits_for_the_same_reply(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat, asyncio.TaskGroup() as tasks:
        posted = [tasks.create_task(chat.post(key="k1")) for _ in range(3)]
        asked = await chat.model.next()
        await chat.wait_for(3)
        asked.end("Hello")
        bodies = [(await response).json() for response in posted]
        bodies.append((await chat.post(key="k1")).json())
        assert len({body["id"] for body in bodies}) == 1
        assert len({body["reply"]["message_id"] for body in bodies}) == 1
        assert sorted(body.get("dup", False) for body in bodies) == [False, True, True, True]
        assert len(chat.model.asked) == 1
        assert (await chat.post("Another text", "k1")).json()["error"]["code"] == "key_reused"


async def test_another_process_finds_the_reply_too(tmp_path: Path) -> None:
    async with chatting(tmp_path) as one, running_hub(tmp_path, open_case=False) as hub:
        two = Chat(hub, GatedModel())
        await one.post(key="k1", Prefer="respond-async")
        async with asyncio.TaskGroup() as tasks:
            posted = tasks.create_task(two.post(key="k1"))
            await two.wait_for(1)
            async with one.hub.enter(MARIA) as socket:
                (await one.model.next()).end("Hello")
                message = await socket.expect_message("Hello")
            # What it has not read yet may hold the reply.
            [reader] = two.api._waiting
            reader.live(START)
            await hub.hub.rooms.log.state(CASE)
            # No hint reaches the other process, so it is for the audit to find.
            await audit(hub.hub.rooms.log, list(hub.hub.rooms._feeds.values()))
            assert (await posted).json()["reply"]["message_id"] == message["id"]


# Which case.


async def test_a_message_without_an_open_case_opens_one(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        async with asyncio.TaskGroup() as tasks:
            posted = tasks.create_task(chat.post("Before", "k1"))
            (await chat.model.next()).end("Hello")
        before = (await posted).json()
        await chat.act(PRIYA, "status", {"status": "closed"})
        async with asyncio.TaskGroup() as tasks:
            twice = [
                tasks.create_task(chat.post("After", key, Prefer="respond-async"))
                for key in ("k2", "k3")
            ]
        after = [(await response).json() for response in twice]
        assert {body["case"] for body in after} == {after[0]["case"]} != {CASE}
        async with chat.hub.rest(MARIA) as http:
            state = (await http.get(f"/cases/{after[0]['case']}")).json()
            events = (await http.get(f"/cases/{after[0]['case']}/events")).json()["events"]
        assert (state["status"], state["patient"]["name"]) == ("intake", "Maria")
        assert (events[0]["kind"], events[0]["data"]) == (
            *("status", {"from": "intake", "to": "intake"}),
        )
        again = (await chat.post("Before", "k1")).json()
        assert (again["case"], again["id"]) == (CASE, before["id"])
        assert again["reply"] == before["reply"]


async def test_the_newest_open_case_is_the_one(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await chat.act(PRIYA, "status", {"status": "closed"})
        case = (await chat.post("After", Prefer="respond-async")).json()["case"]
        await chat.act(PRIYA, "status", {"status": "active"})
        again = (await chat.post("More", Prefer="respond-async")).json()
        assert again["case"] == case
        await chat.act(PRIYA, "status", {"status": "closed"}, case)
        assert (await chat.post("And", Prefer="respond-async")).json()["case"] == CASE


# Rights.


async def test_only_the_patient_chats(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await chat.hub.open_case("case-2", PAUL)
        answers = []
        for who, patient in ((PAUL, MARIA_ID), (PAUL, "nobody"), (MARIA, "paul")):
            async with chat.hub.rest(who) as http:
                response = await http.post(f"/patients/{patient}/chat", json={"text": "Hi"})
            answers.append((response.status_code, response.content))
        assert {status for status, _ in answers} == {403}
        assert len(set(answers)) == 1
        for who in (PRIYA, replace(PRIYA, role=Role.SUPERVISOR)):
            async with chat.hub.rest(who) as http:
                response = await http.post(CHAT, json={"text": "Hi"})
            assert response.status_code == 403
        assert chat.model.asked == []


async def test_a_patient_who_is_not_registered_gets_the_same_answer(tmp_path: Path) -> None:
    ghost = Identity("user_ghost", "Ghost", patient_id="ghost")
    async with chatting(tmp_path) as chat:
        response = await chat.post(who=ghost)
        async with chat.hub.rest(PAUL) as http:
            foreign = await http.post(CHAT, json={"text": "Hi"})
        assert (response.status_code, response.content) == (403, foreign.content)


@pytest.mark.parametrize("body", [{}, {"text": ""}, {"text": "x" * 10_001}, {"text": 1}])
async def test_a_message_that_cannot_be_stored_is_refused(
    tmp_path: Path, body: dict[str, Any]
) -> None:
    async with chatting(tmp_path) as chat, chat.hub.rest(MARIA) as http:
        response = await http.post(CHAT, json=body)
        assert (response.status_code, response.json()["error"]["code"]) == (422, "invalid")


async def test_without_a_token_nothing_is_said(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat, httpx2.AsyncClient(base_url=chat.hub.http) as http:
        response = await http.post(f"/api/v1{CHAT}", json={"text": "Hi"})
        assert response.status_code == 401


# The stream of answers, with a model behind it.


async def test_a_takeover_in_the_middle_of_an_answer_ends_its_stream(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat, asyncio.TaskGroup() as tasks:
        await chat.post(Prefer="respond-async")
        asked = await chat.model.next()
        streaming = tasks.create_task(chat.streamed("chat/stream", 1_000))
        async with chat.hub.enter(MARIA) as socket:
            asked.say("It ")
            await socket.expect("delta")
            await chat.act(PRIYA, "accept", {})
            asked.end("depends.")
            interrupted = await socket.expect("event", kind="message")
        await asked.closed.wait()
        thinking, token, done = await streaming
        assert (thinking.type, json.loads(token.data)["token"]) == ("thinking", "It ")
        assert json.loads(done.data) == {"message_id": interrupted["id"], "status": "interrupted"}


async def test_whoever_waits_for_many_replies_gets_those_of_the_streams(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat, asyncio.TaskGroup() as tasks:
        waiting = []
        for number in range(PER_USER):
            waiting.append(tasks.create_task(chat.post(f"Question {number}")))
            await chat.wait_for(number + 1)
        one_more = await chat.post("One more?")
        while "One more?" not in (asked := await chat.model.next()).told:
            pass
        asked.end("Here I am.")
        answered = [await each for each in waiting]
    assert one_more.status_code == 202
    assert one_more.json()["reply"] is None
    assert {each.json()["reply"]["text"] for each in answered} == {"Here I am."}
