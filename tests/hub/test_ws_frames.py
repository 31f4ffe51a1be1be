"""What clients may do in a room, and how each frame is answered."""

import asyncio
from typing import Any

import pytest

from auth.errors import KeysUnavailable
from auth.principal import Principal, Role
from tests.hub.conftest import Room
from tests.kit import PRIYA, Client, Frame, Identity

pytestmark = pytest.mark.asyncio(loop_scope="module")

CARD = {"kind": "ehr", "title": "Record", "ref": "ehr_1", "fallback": "Your health record"}
FILE = {"id": "f1", "name": "scan.pdf", "content_type": "application/pdf", "size": 10}
HELLO = {"type": "message", "key": "k1", "text": "Hello"}


async def refused(client: Client, frame: Frame, code: str) -> Frame:
    answer = await client.ask({"key": "refused", **frame})
    assert (answer["type"], answer["code"]) == ("error", code), answer
    return answer


# Messages.


async def test_a_message_is_acknowledged_with_its_place_in_the_log(room: Room) -> None:
    async with room.enter(room.maria) as maria:
        ack = await maria.ask(HELLO)
        (event,) = maria.events[1:]
    assert ack == {
        "type": "ack",
        "key": "k1",
        "seq": 2,
        "id": event["id"],
        "cursor": event["cursor"],
        "at": event["at"],
    }
    assert event == {
        "type": "event",
        "case": room.case,
        "seq": 2,
        "cursor": ack["cursor"],
        "id": ack["id"],
        "at": ack["at"],
        "kind": "message",
        "actor": {"type": "patient", "id": room.maria.sub, "name": "Maria"},
        "data": {
            "message_id": ack["id"],
            "sender_type": "patient",
            "source": "chat",
            "text": "Hello",
            "cards": [],
            "attachments": [],
            "state": "final",
        },
        "key": "k1",
    }


@pytest.mark.parametrize(
    "members",
    [
        {"text": "x" * 10_000},
        {"text": "naïve ☃ 😀 \u202e \x1b[31m \u0001\n\t"},
        {"text": "{}", "cards": [CARD] * 10, "attachments": [FILE] * 20},
    ],
)
async def test_a_message_arrives_as_it_was_sent(room: Room, members: dict[str, Any]) -> None:
    async with room.enter(room.maria) as maria, room.enter(PRIYA) as priya:
        await maria.ask({**HELLO, **members})
        data = (await priya.expect("event", kind="message"))["data"]
    assert {name: data[name] for name in members} == members


async def test_the_same_key_gets_the_first_answer_again(room: Room) -> None:
    async with room.enter(room.maria) as maria, room.enter(room.maria) as other:
        first = await maria.ask(HELLO)
        assert await maria.ask(HELLO) == {**first, "dup": True}
        assert await other.ask(HELLO) == {**first, "dup": True}
        await refused(maria, {**HELLO, "text": "Hello!"}, "key_reused")
        await refused(maria, {**HELLO, "key": "k1", "reply_to": first["id"]}, "key_reused")
        again = await maria.ask({**HELLO, "key": "k2"})
        assert again["seq"] == first["seq"] + 1


async def test_a_key_is_of_one_sender_in_one_case(room: Room) -> None:
    async with room.enter(room.maria) as maria, room.enter(PRIYA) as priya:
        assert "dup" not in await maria.ask(HELLO)
        assert "dup" not in await priya.ask(HELLO)


async def test_a_frame_without_a_key_gets_one_that_nobody_else_sees(room: Room) -> None:
    async with room.enter(room.maria) as maria:
        await maria.send({"type": "message", "text": "Hello"})
        ack = await maria.expect("ack")
        assert ack["key"]
        (event,) = maria.events[1:]
        assert "key" not in event


async def test_the_keys_of_staff_are_for_staff(room: Room) -> None:
    async with room.enter(room.maria) as maria, room.enter(PRIYA) as priya:
        await priya.ask(HELLO)
        assert "key" not in await maria.expect_message("Hello")
        assert priya.events[-1]["key"] == "k1"


async def test_patients_get_the_names_of_staff_and_not_their_ids(room: Room) -> None:
    async with room.enter(room.maria) as maria, room.enter(PRIYA) as priya:
        await priya.ask(HELLO)
        event = await maria.expect_message("Hello")
        assert event["actor"] == {"type": "coordinator", "name": "Priya"}
        assert priya.events[-1]["actor"]["id"] == PRIYA.sub
    assert PRIYA.sub not in str(maria.frames)


@pytest.mark.parametrize("via", ["whatsapp", "sms", "email", "phone"])
async def test_staff_may_send_by_another_channel_and_patients_may_not(room: Room, via: str) -> None:
    async with room.enter(room.maria) as maria, room.enter(PRIYA) as priya:
        await refused(maria, {**HELLO, "via": via}, "forbidden")
        assert (await priya.ask({**HELLO, "via": via}))["type"] == "ack"
        assert (await maria.expect_message("Hello"))["data"]["source"] == via


async def test_a_reply_names_a_message_that_its_author_can_see(room: Room) -> None:
    async with room.enter(room.maria) as maria, room.enter(PRIYA) as priya:
        message = await maria.ask(HELLO)
        note = await priya.ask({"type": "note", "key": "n", "text": "psst"})
        reply = {**HELLO, "key": "k2", "reply_to": message["id"]}
        assert (await priya.ask(reply))["type"] == "ack"
        assert (await maria.expect_message("Hello"))["data"]["reply_to"] == message["id"]
        unknown = await refused(maria, {**HELLO, "reply_to": "message_unknown"}, "not_found")
        assert unknown == await refused(maria, {**HELLO, "reply_to": note["id"]}, "not_found")


# What was not seen.


async def test_an_answer_past_a_newer_message_is_stale_unless_forced(room: Room) -> None:
    cora = Identity("user_cora", "Cora", Role.COORDINATOR)
    async with room.enter(room.maria) as maria, room.enter(PRIYA) as priya:
        await maria.ask(HELLO)
        await room.post(cora, "messages", {"text": "I take it"})
        answer: Frame = {"type": "message", "key": "a", "text": "Answer", "seen": 1}
        stale = await priya.ask(answer)
        assert (stale["type"], stale["code"], stale["key"]) == ("error", "stale", "a")
        assert [missed["data"]["text"] for missed in stale["missed"]] == ["Hello", "I take it"]
        assert stale["missed"] == priya.events[-2:]
        stale = await refused(priya, {**answer, "key": "a", "seen": 2}, "stale")
        assert [missed["seq"] for missed in stale["missed"]] == [3]
        ack = await priya.ask({**answer, "force": True})
        assert (ack["type"], ack["seq"]) == ("ack", 4)
        assert (await priya.ask({**answer, "key": "b", "seen": 3}))["type"] == "ack"
        assert (await maria.ask({**answer, "key": "c"}))["type"] == "ack"


# Notes.


async def test_a_note_is_for_staff_alone(room: Room) -> None:
    async with room.enter(room.maria) as maria, room.enter(PRIYA) as priya:
        note = {"type": "note", "key": "n1", "text": "psst", "mentions": ["user_cora"]}
        ack = await priya.ask(note)
        assert (ack["type"], ack["seq"]) == ("ack", 2)
        event = priya.events[-1]
        assert (event["kind"], event["data"]) == (
            "note",
            {"text": "psst", "mentions": ["user_cora"]},
        )
        await refused(maria, note, "forbidden")
        await maria.expect_nothing_but()
        assert (await maria.ask(HELLO))["seq"] == 2
        assert "psst" not in str(maria.frames)


# The status.


async def test_staff_move_a_case_and_patients_do_not(room: Room) -> None:
    async with room.enter(room.maria) as maria, room.enter(PRIYA) as priya:
        active = {"type": "status", "key": "s1", "status": "active"}
        await refused(maria, active, "forbidden")
        assert (await priya.ask(active))["type"] == "ack"
        event = await maria.expect("event", kind="status")
        assert event["data"] == {"from": "intake", "to": "active"}
        assert (await priya.ask(active))["dup"] is True
        await refused(priya, {**active, "key": "s2"}, "conflict")


async def test_a_closed_case_takes_notes_and_a_new_status_and_no_messages(room: Room) -> None:
    async with room.enter(room.maria) as maria, room.enter(PRIYA) as priya:
        await priya.ask({"type": "status", "key": "s1", "status": "closed"})
        for client in (maria, priya):
            await refused(client, HELLO, "closed")
        assert (await priya.ask({"type": "note", "key": "n", "text": "psst"}))["type"] == "ack"
        await priya.ask({"type": "status", "key": "s2", "status": "active"})
        assert (await maria.ask(HELLO))["type"] == "ack"


# Signals.


async def test_typing_is_told_to_the_others_only(room: Room) -> None:
    async with room.enter(room.maria) as maria, room.enter(PRIYA) as priya:
        for on in (True, False):
            await maria.send({"type": "typing", "on": on})
            assert await priya.expect("typing") == {
                "type": "typing",
                "case": room.case,
                "who": {"type": "patient", "name": "Maria"},
                "on": on,
                "in": "message",
            }
        await maria.expect_nothing_but()
        await priya.send({"type": "typing", "on": True})
        assert await maria.expect("typing") == {
            "type": "typing",
            "case": room.case,
            "who": {"type": "coordinator", "name": "Priya"},
            "on": True,
        }


async def test_nobody_but_staff_learns_that_a_note_is_typed(room: Room) -> None:
    cora = Identity("user_cora", "Cora", Role.COORDINATOR)
    async with (
        room.enter(room.maria) as maria,
        room.enter(PRIYA) as priya,
        room.enter(cora) as colleague,
    ):
        await refused(maria, {"type": "typing", "on": True, "in": "note"}, "forbidden")
        await priya.send({"type": "typing", "on": True, "in": "note"})
        assert (await colleague.expect("typing"))["in"] == "note"
        await maria.expect_nothing_but()


async def test_staff_learn_what_a_patient_has_read_and_not_the_other_way_round(room: Room) -> None:
    cora = Identity("user_cora", "Cora", Role.COORDINATOR)
    async with (
        room.enter(room.maria) as maria,
        room.enter(PRIYA) as priya,
        room.enter(cora) as colleague,
    ):
        await priya.ask({"type": "note", "key": "n", "text": "psst"})
        await priya.ask({"type": "message", "key": "m", "text": "Hello"})
        await maria.expect_message("Hello")
        await maria.send({"type": "read", "seq": 2})
        read = await priya.expect("read")
        assert (read["seq"], read["who"]) == (3, {"type": "patient", "name": "Maria"})
        await priya.send({"type": "read", "seq": 3})
        read = await colleague.expect("read", who={"type": "coordinator", "name": "Priya"})
        assert read["seq"] == 3
        await maria.expect_nothing_but()


@pytest.mark.parametrize("seq", [2, 1_000, 2**53])
async def test_what_is_not_there_cannot_be_read(room: Room, seq: int) -> None:
    async with room.enter(room.maria) as maria:
        await refused(maria, {"type": "read", "seq": seq}, "not_found")


async def test_another_device_of_the_patient_learns_what_was_read_by_others_only(
    room: Room,
) -> None:
    async with room.enter(room.maria) as one, room.enter(room.maria) as two:
        await one.send({"type": "read", "seq": 1})
        await one.expect_nothing_but()
        await two.expect_nothing_but("read")


async def test_a_ping_is_answered_with_its_key(room: Room) -> None:
    async with room.enter(room.maria) as maria:
        assert await maria.ask({"type": "ping", "key": "p"}) == {"type": "pong", "key": "p"}
        await maria.send({"type": "ping"})
        assert await maria.expect("pong") == {"type": "pong"}


async def test_a_pong_needs_no_answer(room: Room) -> None:
    async with room.enter(room.maria) as maria:
        await maria.send({"type": "pong", "key": "x"})
        await maria.send({"type": "pong", "seq": 1})
        await maria.expect_nothing_but()


# History.


async def test_history_pages_back_to_the_beginning_in_ones_own_numbering(room: Room) -> None:
    async with room.enter(room.maria) as maria, room.enter(PRIYA) as priya:
        for number in range(2, 8):
            who = priya if number % 2 else maria
            kind = "note" if number % 2 else "message"
            await who.ask({"type": kind, "key": f"{number}", "text": f"{number}"})
        page = await maria.ask({"type": "history", "key": "h"})
        assert [event["seq"] for event in page["events"]] == [1, 2, 3, 4]
        assert page["more"] is False
        page = await maria.ask({"type": "history", "key": "h", "limit": 2})
        assert ([event["seq"] for event in page["events"]], page["more"]) == ([3, 4], True)
        page = await maria.ask({"type": "history", "key": "h", "before": 3, "limit": 2})
        assert ([event["seq"] for event in page["events"]], page["more"]) == ([1, 2], False)
        assert page["events"] == maria.events[:2]
        page = await priya.ask({"type": "history", "key": "h", "before": 4, "limit": 200})
        assert [event["kind"] for event in page["events"]] == ["patient", "message", "note"]
        page = await maria.ask({"type": "history", "key": "h", "before": 0})
        assert (page["events"], page["more"]) == ([], False)
        page = await maria.ask({"type": "history", "key": "h", "before": 2**53})
        assert len(page["events"]) == 4


async def test_a_page_without_a_key_comes_without_one(room: Room) -> None:
    async with room.enter(room.maria) as maria:
        await maria.send({"type": "history"})
        assert "key" not in await maria.expect("page")


# Unknown frames.


@pytest.mark.parametrize("kind", ["boo", "auth2", "event", "hello", ""])
async def test_an_unknown_type_is_told_so_and_the_socket_stays_open(room: Room, kind: str) -> None:
    async with room.enter(room.maria) as maria:
        await refused(maria, {"type": kind}, "bad_type")
        await maria.expect_nothing_but()


async def test_unknown_members_are_ignored(room: Room) -> None:
    async with room.enter(room.maria) as maria:
        ack = await maria.ask({**HELLO, "seq": 99, "sender_type": "ai", "actor": {"type": "ai"}})
        assert ack["seq"] == 2
        assert maria.events[-1]["actor"]["type"] == "patient"
        assert maria.events[-1]["data"]["sender_type"] == "patient"


async def test_auth_is_said_once(room: Room) -> None:
    async with room.enter(room.maria) as maria:
        frame = {"type": "auth", "key": "a", "token": room.hub.token(PRIYA)}
        await refused(maria, frame, "conflict")
        await refused(maria, {"type": "note", "text": "x"}, "forbidden")


# Failures.


async def test_what_fails_unexpectedly_is_told_and_the_socket_stays_open(
    room: Room, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fail(*args: Any, **options: Any) -> Any:
        raise ZeroDivisionError("my secret")

    async with room.enter(room.maria) as maria:
        with monkeypatch.context() as patch:
            patch.setattr(room.hub.hub.rooms.log, "append", fail)
            answer = await refused(maria, HELLO, "internal")
        assert "secret" not in str(answer)
        assert (await maria.ask(HELLO))["type"] == "ack"
    assert "frame_failed" in capsys.readouterr().out


async def test_keys_that_cannot_be_had_do_not_end_a_socket(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(token: str, tenant: str | None = None) -> Principal:
        raise KeysUnavailable("the key server is down")

    async with room.enter(room.maria) as maria:
        monkeypatch.setattr(room.hub.hub.verifier, "verify", fail)
        await refused(maria, {"type": "token", "token": "x"}, "unavailable")
        await maria.expect_nothing_but()


async def test_answers_come_in_the_order_of_the_frames(room: Room) -> None:
    async with room.enter(room.maria) as maria:
        for number in range(50):
            kind = ("message", "ping", "history")[number % 3]
            await maria.send({"type": kind, "key": f"k{number}", "text": "x"})
        answers: list[str] = []
        async with asyncio.timeout(10):
            while len(answers) < 50:
                frame = await maria.receive()
                answers += [frame["key"]] if frame["type"] != "event" else []
    assert answers == [f"k{number}" for number in range(50)]
