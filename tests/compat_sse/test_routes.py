import asyncio
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from compat_sse.names import Names
from rooms.cursor import Cursor, parse_cursor
from rooms.errors import Unavailable
from rooms.events import Audience, Card, Source, Status
from rooms.feed import Cut
from rooms.reads import Entrance
from tests.compat_sse.kit import BOUND_S, CORA, FIRST, MARIA, PAUL, Hub, Stream, eventually, running
from tests.compat_sse.whatwg import Event

MESSAGES = "/messages/stream"
FEED = "/stream"
BOTH = pytest.mark.parametrize("path", [MESSAGES, FEED])


def content(event: Event) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(event.data)
    return found


async def head(hub: Hub) -> str:
    state = await hub.rooms.log.state(hub.case)
    assert state is not None
    return str(state.patient)


# How a stream begins.


async def test_the_message_stream_begins_with_the_state_of_the_case(tmp_path: Path) -> None:
    async with running(tmp_path) as hub, hub.stream(MESSAGES) as stream:
        first = await stream.event()
        assert first.type == "connected"
        assert first.last_event_id == await head(hub)
        assert content(first) == {
            "case": "case_1",
            "status": "intake",
            "control": "ai",
            "coordinator": None,
            "resumed": False,
            "from": 2,
        }


async def test_the_feed_begins_with_ready_and_tells_when_it_is_live(tmp_path: Path) -> None:
    async with running(tmp_path) as hub, hub.stream(FEED) as stream:
        ready, caught_up, presence = await stream.take(3)
        assert {event.type for event in (ready, caught_up, presence)} == {"message"}
        assert ready.last_event_id == await head(hub)
        assert content(ready) == {
            "type": "ready",
            "case": "case_1",
            "head": await head(hub),
            "from": 2,
            "resumed": False,
            "state": {"control": "ai", "status": "intake", "coordinator": None, "run": None},
        }
        assert content(caught_up) == {"type": "caught_up", "case": "case_1", "seq": 1}
        assert content(presence) == {
            "type": "presence",
            "case": "case_1",
            "coordinator": None,
            "online": False,
        }


@BOTH
async def test_the_response_is_one_that_no_proxy_holds_back(tmp_path: Path, path: str) -> None:
    async with running(tmp_path) as hub, hub.stream(path) as stream:
        assert stream.status == 200
        assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert stream.headers["cache-control"] == "no-cache, no-transform"
        assert stream.headers["x-accel-buffering"] == "no"
        assert "content-encoding" not in stream.headers


@pytest.mark.parametrize(("drawn", "retry"), [(0.0, 2000), (0.5, 2750), (0.9999, 3499)])
async def test_clients_are_told_to_come_back_at_different_times(
    tmp_path: Path, drawn: float, retry: int
) -> None:
    async with running(tmp_path, random=lambda: drawn) as hub, hub.stream() as stream:
        await stream.event()
        assert stream.parser.retry == retry


@pytest.mark.parametrize("path", ["/cases/case_1/messages/stream", "/cases/case_1/stream"])
async def test_the_paths_answer_without_the_prefix_too(tmp_path: Path, path: str) -> None:
    async with running(tmp_path) as hub, hub.get(path) as response:
        assert response.status_code == 200


@pytest.mark.parametrize("method", ["HEAD", "POST", "DELETE"])
async def test_a_stream_can_only_be_got(tmp_path: Path, method: str) -> None:
    async with running(tmp_path) as hub:
        response = await hub.client.request(method, f"/api/v1/cases/case_1{MESSAGES}")
        assert (response.status_code, response.headers["allow"]) == (405, "GET")


async def test_a_deployer_can_change_the_names_of_the_events(tmp_path: Path) -> None:
    names = Names(connected="hello", reset="start_anew", message="chat")
    async with running(tmp_path, names=names) as hub, hub.stream(after="9.00000000") as stream:
        await hub.say("one")
        types = [event.type for event in await stream.take(3)]
        assert types == ["start_anew", "hello", "chat"]


def test_a_name_that_would_break_the_stream_is_refused() -> None:
    with pytest.raises(ValueError, match="one line"):
        Names(message="a\nb")


# What is said.


async def test_a_message_is_told_with_all_that_a_client_shows(tmp_path: Path) -> None:
    async with running(tmp_path) as hub, hub.stream() as stream:
        first = await hub.say("How are you?", CORA, Source.WHATSAPP)
        card = Card(kind="ehr", fallback="Your record")
        receipt = await hub.say("Look.\r\n\u2028 é", reply_to=first.id, cards=(card,))
        told = (await stream.take(3))[2]
        assert (told.type, told.last_event_id) == ("message", str(receipt.cursor))
        assert content(told) == {
            "id": receipt.id,
            "message_id": receipt.id,
            "case": "case_1",
            "seq": 3,
            "at": "2026-11-20T18:00:00.000Z",
            "sender_type": "patient",
            "sender_name": "Maria",
            "source": "chat",
            "text": "Look.\r\n\u2028 é",
            "cards": [{"kind": "ehr", "title": "", "ref": "", "fallback": "Your record"}],
            "attachments": [],
            "reply_to": first.id,
            "state": "final",
        }


async def test_the_message_stream_has_nothing_but_messages(tmp_path: Path) -> None:
    async with running(tmp_path) as hub, hub.stream(after="0.0") as stream:
        await stream.event()
        await hub.say("one")
        await hub.set_status(Status.ACTIVE)
        hub.rooms.typing(hub.case, CORA, True, False)
        await hub.say("two", CORA, Source.EMAIL)
        assert await stream.texts(2) == ["one", "two"]


async def test_the_feed_has_the_frames_of_the_websocket(tmp_path: Path) -> None:
    async with running(tmp_path) as hub, hub.stream(FEED) as stream:
        await stream.take(3)
        await hub.say("one")
        receipt = await hub.set_status(Status.ACTIVE)
        page = await hub.rooms.page(hub.case, Audience.PATIENT, parse_cursor(await at(hub, 1)), 9)
        events = await stream.take(2)
        assert [event.data for event in events] == page.frames
        assert events[1].last_event_id == str(page.cursor)
        assert content(events[1])["id"] == receipt.id


async def at(hub: Hub, seq: int) -> str:
    return str(await hub.rooms.log.cursor_at(hub.case, Audience.PATIENT, seq))


async def test_a_signal_comes_without_an_id(tmp_path: Path) -> None:
    async with running(tmp_path) as hub, hub.stream(FEED) as stream:
        await stream.take(3)
        before = len(stream.raw)
        hub.rooms.typing(hub.case, CORA, True, False)
        assert content(await stream.event())["type"] == "typing"
        assert b"id:" not in stream.raw[before:].replace(b'"id":', b"")


@BOTH
async def test_staff_see_on_a_stream_what_the_patient_sees(tmp_path: Path, path: str) -> None:
    async with running(tmp_path) as hub:
        await hub.say("one")
        await hub.note("hidden")
        async with hub.stream(path, "maria", "0.0") as hers, hub.stream(path, "cora", "0.0") as its:
            await hub.note("hidden again")
            await hub.say("two")
            await hers.until(b'"two"')
            await its.until(b'"two"')
            assert hers.raw == its.raw


async def wire(hub: Hub, path: str, *, notes: bool) -> bytes:
    """Give all the bytes of streams over the same story, told with or without notes."""
    await hub.say("one")
    if notes:
        await hub.note("hidden")
    async with hub.stream(path, after=FIRST) as resumed, hub.stream(path) as fresh:
        await fresh.event()
        for text in ("two", "three"):
            if notes:
                await hub.note("hidden")
                hub.rooms.typing(hub.case, CORA, True, True)
            await hub.say(text, CORA)
        await resumed.until(b'"three"')
        await fresh.until(b'"three"')
        async with hub.stream(path, after="9.00000000") as reset:
            await reset.event()
            hub.sse.drain()
            for stream in (resumed, fresh, reset):
                await stream.rest()
            return resumed.raw + fresh.raw + reset.raw


@BOTH
async def test_a_note_leaves_no_trace_in_the_bytes_of_a_stream(tmp_path: Path, path: str) -> None:
    async with running(tmp_path) as hub:
        without = await wire(hub, path, notes=False)
    async with running(tmp_path) as hub:
        assert await wire(hub, path, notes=True) == without


# Resuming.


async def test_a_client_that_comes_back_gets_exactly_what_it_missed(tmp_path: Path) -> None:
    async with running(tmp_path) as hub:
        async with hub.stream() as stream:
            await hub.say_all(["one", "two"])
            seen = (await stream.take(3))[-1].last_event_id
        await hub.note("hidden")
        await hub.say("three")
        async with hub.stream(after=seen) as stream:
            first = await stream.event()
            assert (content(first)["resumed"], content(first)["from"]) == (True, 4)
            assert await stream.texts(1) == ["three"]
            await hub.say("four")
            assert await stream.texts(1) == ["four"]


async def test_a_cursor_in_the_query_resumes_and_the_header_is_the_newer_one(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as hub:
        cursors = [str((await hub.say(text)).cursor) for text in ("one", "two", "three")]
        path = f"{MESSAGES}?last_event_id={cursors[0]}"
        async with hub.stream(path) as stream:
            assert content(await stream.event())["resumed"] is True
            assert await stream.texts(2) == ["two", "three"]
        async with hub.stream(path, after=cursors[1]) as stream:
            await stream.event()
            assert await stream.texts(1) == ["three"]


@BOTH
async def test_the_cursor_before_the_first_event_brings_everything(
    tmp_path: Path, path: str
) -> None:
    async with running(tmp_path) as hub:
        await hub.say_all([f"text {n}" for n in range(300)])
        async with hub.stream(path, after="0.0") as stream:
            assert content(await stream.event())["from"] == 1
            await stream.until(b'"text 299"')
            told = [n for n in range(300) if stream.raw.count(b'"text %d"' % n) == 1]
            assert told == list(range(300))


async def test_without_a_cursor_nothing_of_the_past_is_told(tmp_path: Path) -> None:
    async with running(tmp_path) as hub:
        await hub.say("past")
        async with hub.stream() as stream:
            await stream.event()
            await hub.say("now")
            assert await stream.texts(1) == ["now"]


@BOTH
async def test_a_stream_that_dies_before_its_first_message_loses_none(
    tmp_path: Path, path: str
) -> None:
    async with running(tmp_path) as hub:
        async with hub.stream(path) as stream:
            await stream.event()
        await hub.say("while away")
        async with hub.stream(path, after=stream.parser.last_event_id) as again:
            await again.event()
            [event] = await again.take(1)
            assert "while away" in event.data


@BOTH
async def test_a_replay_meets_what_is_said_meanwhile_without_hole_or_double(
    tmp_path: Path, path: str
) -> None:
    texts = [f"text {n}" for n in range(200)]
    async with running(tmp_path) as hub:
        await hub.say_all(texts[:100])
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(hub.say_all(texts[100:]))
            streams = [tasks.create_task(everything(hub, path, texts)) for _ in range(10)]
        assert len({tuple(stream.result()) for stream in streams}) == 1


async def everything(hub: Hub, path: str, texts: list[str]) -> list[str]:
    """Read the ids of all the messages, from the first, however often the stream is cut."""
    ids: list[str] = []
    async with hub.stream(path, after="0.0") as stream:
        while len(ids) < len(texts):
            event = await stream.event()
            if '"text"' in event.data:
                ids.append(event.last_event_id)
    assert [parse_cursor(id).seq for id in ids] == list(range(2, len(texts) + 2))
    return ids


@BOTH
@pytest.mark.parametrize(
    ("cursor", "reason"),
    [
        ("not a cursor", "cursor_mismatch"),
        ("-1.00000000", "cursor_mismatch"),
        ("2.00000000", "cursor_mismatch"),
        ("99.00000000", "cursor_ahead"),
    ],
)
async def test_a_cursor_that_does_not_hold_is_answered_by_a_fresh_start(
    tmp_path: Path, path: str, cursor: str, reason: str
) -> None:
    async with running(tmp_path) as hub:
        await hub.say("one")
        async with hub.stream(path, after=cursor) as stream:
            reset, first = await stream.take(2)
            assert (reset.type, content(reset)) == ("reset", {"reason": reason, "case": "case_1"})
            assert reset.last_event_id == first.last_event_id == await head(hub)
            assert content(first)["resumed"] is False
            await hub.say("two")
            await stream.until(b'"two"')
            assert b'"one"' not in stream.raw


async def test_a_reader_whose_log_was_swapped_is_sent_away_and_then_reset(tmp_path: Path) -> None:
    async with running(tmp_path) as hub:
        async with hub.stream() as stream:
            await stream.event()
            [reader] = hub.readers()
            reader._stream.cut(Cut.CONTINUITY)
            assert await stream.rest() == []
        async with hub.stream(after=str(Cursor(1, "deadbeef"))) as stream:
            assert (await stream.event()).type == "reset"


# Refusals.


async def test_without_a_valid_token_there_is_no_stream(tmp_path: Path) -> None:
    async with running(tmp_path) as hub:
        response = await hub.refusal(f"/api/v1/cases/case_1{MESSAGES}", "nobody")
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        error = response.json()["error"]
        assert error["code"] == "SSE_CONNECTION_001"
        assert "Authorization: Bearer" in error["message"]
        assert "expired" not in error["message"]
        assert hub.sse.count == 0


def bare(response: httpx2.Response) -> tuple[int, bytes, list[tuple[str, str]]]:
    headers = [item for item in response.headers.multi_items() if item[0] != "date"]
    return response.status_code, response.content, headers


@BOTH
async def test_a_foreign_case_and_no_case_get_the_same_bytes(tmp_path: Path, path: str) -> None:
    async with running(tmp_path) as hub:
        await hub.open_case(PAUL, "case_2")
        unknown = bare(await hub.refusal(f"/api/v1/cases/nothing{path}"))
        assert unknown[0] == 403
        assert b"SSE_CONNECTION_001" in unknown[1]
        for who, case in (("maria", "case_2"), ("paul", "case_1"), ("foreign", "case_1")):
            assert bare(await hub.refusal(f"/api/v1/cases/{case}{path}", who)) == unknown
        assert hub.rooms._feeds == {}


async def test_an_archived_case_is_gone(tmp_path: Path) -> None:
    async with running(tmp_path) as hub:
        await hub.set_status(Status.ARCHIVED)
        response = await hub.refusal(f"/api/v1/cases/case_1{MESSAGES}")
        assert response.status_code == 410
        assert "archived" in response.json()["error"]["message"]


async def test_a_stream_ends_when_its_case_is_archived(tmp_path: Path) -> None:
    async with running(tmp_path) as hub, hub.stream(FEED) as stream:
        await stream.take(3)
        await hub.set_status(Status.ARCHIVED)
        [last] = await stream.rest()
        assert content(last)["data"]["to"] == "archived"


@pytest.mark.parametrize("who", ["no-keys", "no-log"])
async def test_what_cannot_be_read_now_can_be_tried_again(tmp_path: Path, who: str) -> None:
    async with running(tmp_path) as hub:
        response = await hub.refusal(f"/api/v1/cases/case_1{MESSAGES}", who)
        assert (response.status_code, response.headers["retry-after"]) == (503, "2")
        assert response.json()["error"]["code"] == "SSE_CONNECTION_001"


@BOTH
@pytest.mark.parametrize("method", ["entrance", "patient_of", "read"])
async def test_a_log_that_fails_while_a_stream_opens_is_told_by_the_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, method: str
) -> None:
    async def fail(*args: object) -> None:
        raise Unavailable

    async with running(tmp_path) as hub:
        await hub.say("one")
        monkeypatch.setattr(hub.rooms.log, method, fail)
        response = await hub.refusal(f"/api/v1/cases/case_1{path}?last_event_id={FIRST}")
        assert response.status_code == 503
        await hub.nobody_reads()


async def test_one_user_has_a_limit_and_others_are_not_counted_to_it(tmp_path: Path) -> None:
    async with running(tmp_path, per_user=2) as hub:
        async with hub.stream(), hub.stream(FEED), hub.stream(MESSAGES, "cora"):
            response = await hub.refusal(f"/api/v1/cases/case_1{MESSAGES}")
            assert (response.status_code, response.headers["retry-after"]) == (429, "10")
            assert "2 streams" in response.json()["error"]["message"]
            assert hub.sse.count == 3
        await hub.nobody_reads()
        async with hub.stream() as stream:
            assert stream.status == 200


async def test_refused_requests_do_not_count(tmp_path: Path) -> None:
    async with running(tmp_path, per_user=1) as hub:
        for _ in range(3):
            assert (await hub.refusal("/api/v1/cases/nothing/stream")).status_code == 403
        async with hub.stream() as stream:
            assert stream.status == 200


# Presence, end and drain.


@BOTH
async def test_a_patient_with_a_stream_is_present_and_staff_only_with_all_of_it(
    tmp_path: Path, path: str
) -> None:
    async with running(tmp_path) as hub:
        async with hub.stream(path, "cora") as stream:
            await stream.event()
            present = hub.rooms.presence.present(hub.case)
            viewers = ((CORA.id, "Cora"),) if path == FEED else ()
            assert (present.patient, present.viewers) == (False, viewers)
            async with hub.stream(path, "maria") as hers:
                await hers.event()
                assert hub.rooms.presence.present(hub.case).patient
            await eventually(lambda: not hub.rooms.presence.present(hub.case).patient)
        await hub.nobody_reads()


async def test_a_patient_learns_of_staff_on_a_stream_only_if_they_lead_the_case(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as hub, hub.stream(FEED) as hers:
        await hers.until(b'"presence"')
        before = len(hers.raw)
        async with hub.stream(FEED, "cora") as its:
            await its.until(b'"presence"')
        await eventually(lambda: not hub.rooms.presence.present(hub.case).viewers)
        await hub.say("Anybody?")
        await hers.until(b'"Anybody?"')
        assert b"presence" not in hers.raw[before:]
        await hub.take_over()
        await hers.until(b'"online":false}')
        async with hub.stream(FEED, "cora") as its:
            await its.until(b'"online":true}')
            await hers.until(b'"coordinator":"Cora","online":true}')
        before = len(hers.raw)
        while b'"online":false}' not in hers.raw[before:]:
            await hers.event()


async def test_nobody_sees_that_the_stream_of_an_owner_ends_in_due_turn_and_is_resumed(
    tmp_path: Path,
) -> None:
    async with (
        running(tmp_path, rotation=0.2, grace=BOUND_S) as hub,
        hub.stream(FEED, "cora") as first,
    ):
        await hub.take_over()
        told: list[bool] = []
        hub.rooms.presence.changed = lambda case, before, now, by: told.append(now.has(CORA.id))
        await first.rest()
        for _ in range(3):
            async with hub.stream(FEED, "cora") as again:
                await again.rest()
        assert hub.rooms.presence.present(hub.case).has(CORA.id)
        assert told == []


@BOTH
async def test_a_client_that_hangs_up_leaves_nothing_behind(tmp_path: Path, path: str) -> None:
    async with running(tmp_path) as hub:
        async with hub.stream(path) as stream:
            await stream.event()
            assert (hub.sse.count, len(hub.readers())) == (1, 1)
        await hub.nobody_reads()


async def test_a_drain_ends_all_streams_and_refuses_new_ones(tmp_path: Path) -> None:
    async with running(tmp_path) as hub:
        async with hub.stream() as one, hub.stream(FEED) as two:
            await one.event()
            await two.take(3)
            await hub.say("last")
            hub.sse.drain()
            assert [content(event)["text"] for event in await one.rest()] == ["last"]
            assert [content(event)["kind"] for event in await two.rest()] == ["message"]
        await hub.nobody_reads()
        response = await hub.refusal(f"/api/v1/cases/case_1{MESSAGES}")
        assert (response.status_code, response.headers["retry-after"]) == (503, "2")


async def test_a_drain_also_meets_a_stream_that_is_being_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as hub:
        entrance = hub.rooms.log.entrance

        async def drain_first(*args: Any) -> Entrance:
            hub.sse.drain()
            return await entrance(*args)

        monkeypatch.setattr(hub.rooms.log, "entrance", drain_first)
        response = await hub.refusal(f"/api/v1/cases/case_1{MESSAGES}")
        assert response.status_code == 503
        await hub.nobody_reads()


async def test_a_stream_ends_with_its_token_and_some_grace(tmp_path: Path) -> None:
    async with running(tmp_path) as hub:
        async with hub.stream(MESSAGES, "hurried") as stream:
            async with asyncio.timeout(BOUND_S):
                await stream.rest()
        await hub.nobody_reads()


async def read_some(stream: Stream, seen: list[str]) -> None:
    """Read a stream to its end, and note the texts of its messages."""
    events = await stream.rest()
    seen += [content(event)["text"] for event in events if '"text"' in event.data]


async def test_streams_rotate_and_clients_that_resume_miss_nothing(tmp_path: Path) -> None:
    texts = [f"text {n}" for n in range(40)]
    seen: list[str] = []
    cursor, rotations = FIRST, 0
    async with running(tmp_path, rotation=0.05) as hub, asyncio.TaskGroup() as tasks:
        tasks.create_task(say_slowly(hub, texts))
        async with asyncio.timeout(BOUND_S):
            while len(seen) < len(texts):
                async with hub.stream(after=cursor) as stream:
                    await read_some(stream, seen)
                cursor, rotations = stream.parser.last_event_id or cursor, rotations + 1
    assert seen == texts
    assert rotations > 1


async def say_slowly(hub: Hub, texts: list[str]) -> None:
    for text in texts:
        await hub.say(text)


async def test_a_stream_that_is_never_silent_rotates_too(tmp_path: Path) -> None:
    async with (
        running(tmp_path, rotation=0.1) as hub,
        hub.stream(FEED, "cora") as stream,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(talk_until_ended(hub, stream))
        await stream.rest()


async def talk_until_ended(hub: Hub, stream: Stream) -> None:
    async with asyncio.timeout(BOUND_S):
        while not stream.ended:
            hub.rooms.typing(hub.case, MARIA, True, False)
            await asyncio.sleep(0)


@pytest.mark.parametrize(("drawn", "lasts"), [(0.0, 270.0), (0.5, 300.0), (1.0, 330.0)])
async def test_streams_that_began_together_rotate_apart(
    tmp_path: Path, drawn: float, lasts: float
) -> None:
    async with running(tmp_path, random=lambda: drawn) as hub:
        assert hub.sse._lifetime(MARIA) == pytest.approx(lasts)


async def test_a_silent_stream_shows_that_it_lives(tmp_path: Path) -> None:
    async with running(tmp_path, heartbeat=0.02) as hub, hub.stream() as stream:
        await stream.until(b"\n\n: ping\n\n: ping\n\n")
        await hub.say("one")
        assert [event.type for event in await stream.take(2)] == ["connected", "message"]


async def test_a_stream_that_just_spoke_need_not_show_that_it_lives(tmp_path: Path) -> None:
    async with running(tmp_path, heartbeat=BOUND_S) as hub, hub.stream(FEED) as stream:
        for n in range(50):
            await hub.say(f"text {n}")
        await stream.until(b'"text 49"')
        assert b": ping" not in stream.raw
