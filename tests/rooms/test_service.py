"""The door of the rooms, over a real log: who gets what, and what patients cannot tell."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from structlog.typing import EventDict

from auth.principal import Principal
from rooms.broker import Hint, MemoryBroker
from rooms.commands import Accept, Command, RegisterPatient, Release, SetStatus, WriteNote
from rooms.cursor import START, Cursor, tag_of
from rooms.database import Database, open_database
from rooms.encoding import Record
from rooms.errors import Code, CursorLost, Malformed, Rejected, ResetReason, Unavailable
from rooms.events import Audience, Status
from rooms.feed import Cut, Subscription
from rooms.log import Receipt
from rooms.reads import READ_BYTES
from rooms.service import PAGE_BYTES, Joined, Rooms
from rooms.state import audience_of
from tests.rooms.kit import (
    CASE,
    FOREIGNER,
    MARIA,
    PRIYA,
    SAM,
    SERVICE,
    STRANGER,
    WITHIN,
    Clock,
    Collector,
    Flaky,
    Ids,
    Plain,
    registration,
    say,
)

STAFF, PATIENT = Audience.STAFF, Audience.PATIENT
HOURLY = 3_600.0


class Doorbell(MemoryBroker):
    """A broker that can be told to lose hints, or to keep them for a while."""

    deaf = False
    kept: list[Hint] | None = None

    def publish(self, hints: Any) -> None:
        if self.kept is not None:
            self.kept.extend(hints)
        elif not self.deaf:
            super().publish(hints)


@dataclass(eq=False)
class Member(Collector):
    """Somebody who has joined."""

    joined: Joined = field(init=False)

    @property
    def subscription(self) -> Subscription:
        return self.joined.subscription

    def has_seen(self, seq: int) -> bool:
        return seq in self.seqs

    async def caught_up(self) -> None:
        await self.until(lambda: self.lives)


@dataclass
class House:
    """The rooms of one process."""

    rooms: Rooms
    broker: Doorbell
    keys: Ids = field(default_factory=lambda: Ids("key"))

    async def do(self, command: Command, by: Principal = PRIYA, case: str = CASE) -> Receipt:
        return await self.rooms.handle(case, command, by, self.keys("k"))

    async def say(self, text: str, by: Principal = MARIA) -> Receipt:
        return await self.do(say(text), by)

    async def join(
        self,
        by: Principal,
        after: Cursor | None = None,
        *,
        tail: int = 50,
        audience: Audience | None = None,
        case: str = CASE,
    ) -> Member:
        member = Member()
        audience = audience or audience_of(by)
        member.joined = await self.rooms.join(case, by, audience, member, after=after, tail=tail)
        await member.subscription.start(member.joined.start)
        return member


@asynccontextmanager
async def house(
    folder: Path, *, name: str = "", audit_every: float = HOURLY, database: Database | None = None
) -> AsyncIterator[House]:
    """Run the rooms of a process with one open case."""
    database = database or open_database(f"sqlite:///{folder}/hub.db")
    broker = Doorbell()
    rooms = Rooms(database, broker, now=Clock(), new_id=Ids(name), audit_every=audit_every, grace=0)
    async with asyncio.timeout(WITHIN), rooms.running():
        if await rooms.log.state(CASE) is None:
            await rooms.handle(CASE, registration(), SERVICE, "open")
        yield House(rooms, broker)


async def refused(answer: Any) -> Rejected:
    with pytest.raises(Rejected) as caught:
        await answer
    return caught.value


def told(error: Rejected) -> tuple[type, str, str, str]:
    return type(error), error.code, error.message, str(error.details)


# Entering.


async def test_a_foreign_case_and_one_that_does_not_exist_are_one_answer(tmp_path: Path) -> None:
    async with house(tmp_path) as hub:
        answers = []
        for case, by in ((CASE, STRANGER), (CASE, FOREIGNER), ("unknown", MARIA), ("nul\0", SAM)):
            answers.append(await refused(hub.rooms.enter(case, by)))
            answers.append(await refused(hub.join(by, case=case)))
            answers.append(await refused(hub.do(say("Hi"), by, case)))
            answers.append(await refused(hub.do(say("Hi", reply_to="message_1"), by, case)))
        assert len({told(error) for error in answers}) == 1
        assert answers[0].code is Code.FORBIDDEN
        for by in (MARIA, PRIYA, SAM, SERVICE):
            assert (await hub.rooms.enter(CASE, by)).case == CASE


async def test_a_user_whose_token_names_no_patient_is_found_by_their_own_id(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as hub:
        nina = replace(MARIA, id="user_nina", patient_id=None)
        assert (await hub.rooms.identify(nina)).patient_id is None
        case = hub.rooms.new_case()
        await hub.do(RegisterPatient("patient-n", "Nina", "user_nina"), nina, case)
        assert await hub.rooms.identify(nina) == replace(nina, patient_id="patient-n")
        assert await hub.rooms.identify(MARIA) is MARIA
        assert await hub.rooms.identify(PRIYA) is PRIYA
        elsewhere = replace(nina, tenant="tenant-2")
        assert (await hub.rooms.identify(elsewhere)).patient_id is None


# Joining.


async def test_a_new_reader_gets_the_tail_and_what_follows(tmp_path: Path) -> None:
    async with house(tmp_path) as hub:
        for number in range(5):
            await hub.say(str(number))
        maria = await hub.join(MARIA, tail=2)
        await maria.caught_up()
        assert maria.texts == ["3", "4"]
        assert (maria.joined.resumed, maria.joined.reset) == (False, None)
        assert maria.joined.head == maria.lives[0] == hub.rooms.head(CASE, PATIENT)
        await hub.say("5", PRIYA)
        assert maria.texts == ["3", "4", "5"]


@pytest.mark.parametrize(
    ("tail", "expected"), [(0, []), (1, [4]), (4, [1, 2, 3, 4]), (500, [1, 2, 3, 4])]
)
async def test_the_tail_is_as_long_as_it_was_asked_for(
    tmp_path: Path, tail: int, expected: list[int]
) -> None:
    async with house(tmp_path) as hub:
        for number in range(3):
            await hub.say(str(number))
        maria = await hub.join(MARIA, tail=tail)
        await maria.caught_up()
        assert maria.seqs == expected


async def test_a_reader_that_comes_back_goes_on_after_its_cursor(tmp_path: Path) -> None:
    async with house(tmp_path) as hub:
        await hub.say("before")
        maria = await hub.join(MARIA)
        maria.subscription.close()
        await hub.say("while away", PRIYA)
        again = await hub.join(MARIA, maria.lives[0])
        await again.caught_up()
        assert again.texts == ["while away"]
        assert (again.joined.resumed, again.joined.start) == (True, maria.lives[0])
        everything = await hub.join(MARIA, START, tail=0)
        await everything.caught_up()
        assert everything.seqs == [1, 2, 3]


async def test_a_cursor_that_does_not_stand_in_the_log_is_reset_to_the_tail(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as hub:
        head = (await hub.say("Hello")).cursor
        for cursor, reason in (
            (Cursor(head.seq + 1, head.tag), ResetReason.AHEAD),
            (Cursor(head.seq, "00000000"), ResetReason.MISMATCH),
        ):
            maria = await hub.join(MARIA, cursor, tail=1)
            await maria.caught_up()
            assert (maria.joined.resumed, maria.joined.reset) == (False, reason)
            assert maria.texts == ["Hello"]


async def test_staff_may_read_what_the_patient_sees(tmp_path: Path) -> None:
    async with house(tmp_path) as hub:
        await hub.do(WriteNote("psst"))
        await hub.say("Hello")
        over_the_shoulder = await hub.join(PRIYA, audience=PATIENT)
        maria = await hub.join(MARIA)
        await over_the_shoulder.caught_up()
        await maria.caught_up()
        assert over_the_shoulder.frames == maria.frames


async def test_what_is_said_while_somebody_joins_comes_once_and_in_order(tmp_path: Path) -> None:
    async with house(tmp_path) as hub:

        async def talk() -> None:
            for number in range(60):
                await hub.say(str(number), (MARIA, PRIYA)[number % 2])

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(talk())
            members = [await hub.join((MARIA, PRIYA)[n % 2], START) for n in range(10)]
        for member in members:
            await member.until(partial(member.has_seen, 61))
            assert member.seqs == list(range(1, 62))
            assert member.texts == [str(number) for number in range(60)]


async def test_an_archived_case_can_be_read_but_not_joined(tmp_path: Path) -> None:
    async with house(tmp_path) as hub:
        maria, priya = await hub.join(MARIA), await hub.join(PRIYA)
        await hub.do(SetStatus(Status.ARCHIVED))
        for member in (maria, priya):
            assert member.seqs[-1] == 2
            assert member.cuts == [Cut.ARCHIVED]
        assert (await refused(hub.join(MARIA))).code is Code.CLOSED
        assert (await hub.rooms.page(CASE, PATIENT, START, 10)).cursor.seq == 2


async def test_a_join_that_fails_leaves_no_reader_behind(tmp_path: Path) -> None:
    class Broken(Flaky):
        reads = 0

        async def read(self, work: Any) -> Any:
            self.reads -= 1
            if self.reads == 0:
                raise Unavailable
            return await super().read(work)

    database = Broken(open_database(f"sqlite:///{tmp_path}/hub.db"))
    async with house(tmp_path, database=database) as hub:
        database.reads = 1
        with pytest.raises(Unavailable):
            await hub.join(MARIA)
        with pytest.raises(KeyError):
            hub.rooms.head(CASE, PATIENT)
        assert (await hub.join(MARIA)).seqs == [1]


# Going on.


async def test_a_slow_reader_gets_everything_when_it_is_ready(tmp_path: Path) -> None:
    async with house(tmp_path) as hub:
        maria = await hub.join(MARIA)
        maria.room = 1
        for number in range(120):
            await hub.say(str(number))
        assert maria.texts == ["0"]
        maria.room = 1_000
        maria.subscription.resume()
        await maria.until(lambda: len(maria.lives) == 2)
        assert maria.texts == [str(number) for number in range(120)]


async def test_an_audit_finds_what_no_hint_told(tmp_path: Path) -> None:
    async with house(tmp_path, audit_every=0.01) as hub:
        maria = await hub.join(MARIA)
        hub.broker.deaf = True
        await hub.say("Hello", PRIYA)
        await maria.until(lambda: maria.texts == ["Hello"])
        assert hub.rooms.committed == 2


async def test_events_of_another_process_arrive_without_any_broker(tmp_path: Path) -> None:
    async with (
        house(tmp_path) as there,
        house(tmp_path, name="here", audit_every=0.01) as here,
    ):
        maria = await here.join(MARIA)
        await there.say("Hello", PRIYA)
        await maria.until(lambda: maria.texts == ["Hello"])
        elsewhere = await there.join(MARIA, maria.lives[0])
        assert elsewhere.texts == ["Hello"]


async def test_readers_are_cut_when_the_database_was_restored_under_them(tmp_path: Path) -> None:
    def forget(connection: Any) -> None:
        assert kept.id is not None
        connection.execute(text("DELETE FROM event WHERE staff_seq > 2"))
        connection.execute(
            text(
                "UPDATE case_state SET staff_seq = 2, staff_tag = :t,"
                " patient_seq = 2, patient_tag = :t"
            ),
            {"t": tag_of(kept.id)},
        )

    database = open_database(f"sqlite:///{tmp_path}/hub.db")
    async with house(tmp_path, audit_every=0.01, database=database) as hub:
        kept = await hub.say("kept")
        await hub.say("lost")
        maria = await hub.join(MARIA)
        await database.write(forget)
        await maria.until(lambda: maria.cuts)
        assert maria.cuts == [Cut.CONTINUITY]
        again = await hub.join(MARIA, maria.lives[0])
        assert again.joined.reset is ResetReason.AHEAD
        assert (again.texts, again.cuts) == (["kept"], [])


async def test_a_fault_in_one_rooms_readers_harms_no_commit_and_no_other_room(
    tmp_path: Path, logged: list[EventDict]
) -> None:
    class Broken(Plain):
        def event(self, record: Record) -> bytes | None:
            raise ZeroDivisionError

    async with house(tmp_path) as hub:
        await hub.do(registration(2), SERVICE, "case-2")
        other = await hub.join(PRIYA, case="case-2")
        maria, priya = await hub.join(MARIA), await hub.join(PRIYA)
        maria.codec = Broken()
        assert (await hub.say("Hello")).cursor.seq == 2
        assert maria.cuts == priya.cuts == [Cut.INTERNAL]
        await hub.do(say("Hi"), PRIYA, "case-2")
        assert other.texts == ["Hi"]
        assert "feed_failed" in [line["event"] for line in logged]
        assert (await hub.join(MARIA)).texts == ["Hello"]


async def test_a_room_is_forgotten_when_nobody_reads_it(tmp_path: Path) -> None:
    async with house(tmp_path) as hub:
        maria = await hub.join(MARIA)
        maria.subscription.close()
        with pytest.raises(KeyError):
            hub.rooms.head(CASE, PATIENT)
        await hub.say("Hello")
        assert maria.texts == []


async def test_what_was_acknowledged_is_there_after_a_restart(tmp_path: Path) -> None:
    async with house(tmp_path) as hub:
        receipt = await hub.rooms.handle(CASE, say("Hello"), MARIA, "k1")
        late = asyncio.create_task(hub.rooms.handle(CASE, say("Bye"), MARIA, "k2"))
        await asyncio.sleep(0)
    assert late.done(), "what waits is written before the end"
    async with house(tmp_path, name="again") as hub:
        again = await hub.rooms.handle(CASE, say("Hello"), MARIA, "k1")
        assert again == replace(receipt, dup=True)
        assert (await hub.join(MARIA)).texts == ["Hello", "Bye"]


async def test_a_reader_that_goes_on_after_the_end_is_let_be(tmp_path: Path) -> None:
    async with house(tmp_path) as hub:
        maria = await hub.join(MARIA)
        maria.room = 1
        await hub.say("One")
        await hub.say("Two")
    maria.room = 1_000
    maria.subscription.resume()
    gc.collect()
    assert maria.texts == ["One"]


async def test_the_rooms_can_tell_whether_the_log_answers(tmp_path: Path) -> None:
    class Down(Flaky):
        down = False

        async def read(self, work: Any) -> Any:
            if self.down:
                raise Unavailable
            return await super().read(work)

    database = Down(open_database(f"sqlite:///{tmp_path}/hub.db"))
    async with house(tmp_path, database=database) as hub:
        assert await hub.rooms.answers()
        database.down = True
        assert not await hub.rooms.answers()


# Commands.


async def test_a_patient_who_names_a_notes_id_gets_the_answer_of_an_unknown_id(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as hub:
        note = await hub.do(WriteNote("psst"))
        message = await hub.say("Hello", PRIYA)
        unknown = told(await refused(hub.do(say("Re", reply_to="unknown"), MARIA)))
        for event_id in (note.id, "patient_1"):
            assert told(await refused(hub.do(say("Re", reply_to=event_id), MARIA))) == unknown
            assert told(await refused(hub.do(say("Re", reply_to=event_id), PRIYA))) == unknown
        assert unknown[1] == Code.NOT_FOUND
        assert (await hub.do(say("Re", reply_to=message.id), MARIA)).cursor.seq == 3


async def test_who_answers_past_something_is_told_what_they_missed(tmp_path: Path) -> None:
    async with house(tmp_path) as hub:
        await hub.say("Hello")
        await hub.do(WriteNote("She is worried"), SAM)
        await hub.say("Are you there?")
        error = await refused(hub.do(say("Hi", seen=2), PRIYA))
        assert error.code is Code.STALE
        assert [event["seq"] for event in error.details["missed"]] == [3, 4]
        assert error.details["missed"][1]["data"]["text"] == "Are you there?"
        assert (await hub.do(say("Hi", seen=4), PRIYA)).cursor.seq == 5
        assert (await refused(hub.do(say("Hi", seen=-1), SAM))).details == {"missed": []}


async def test_no_more_is_told_as_missed_than_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rooms.service.MISSED", 3)
    async with house(tmp_path) as hub:
        for number in range(5):
            await hub.say(str(number))
        error = await refused(hub.do(say("Hi", seen=0), PRIYA))
        assert [event["seq"] for event in error.details["missed"]] == [1, 2, 3]


async def test_other_refusals_and_faults_pass_as_they_are(tmp_path: Path) -> None:
    async with house(tmp_path) as hub:
        assert (await refused(hub.do(WriteNote("psst"), MARIA))).code is Code.FORBIDDEN
        with pytest.raises(Malformed):
            await hub.say("")


async def test_a_key_is_shown_only_if_it_came_from_a_client(tmp_path: Path) -> None:
    async with house(tmp_path) as hub:
        priya = await hub.join(PRIYA)
        await hub.rooms.handle(CASE, say("One"), PRIYA, "k1")
        await hub.rooms.handle(CASE, say("Two"), PRIYA, "k2", echo=False)
        assert [event.get("key") for event in priya.events[-2:]] == ["k1", None]


# Reading by request.


async def test_pages_lead_through_the_whole_view(tmp_path: Path) -> None:
    async with house(tmp_path) as hub:
        for number in range(4):
            await hub.do(WriteNote(str(number)))
            await hub.say(str(number))
        for audience, total in ((STAFF, 9), (PATIENT, 5)):
            cursor, more, seqs = START, True, []
            while more:
                page = await hub.rooms.page(CASE, audience, cursor, 2)
                assert 1 <= len(page.frames) <= 2
                seqs += [json.loads(frame)["seq"] for frame in page.frames]
                cursor, more = page.cursor, page.more
            assert seqs == list(range(1, total + 1))
            end = await hub.rooms.page(CASE, audience, cursor, 2)
            assert (end.frames, end.cursor, end.more) == ([], cursor, False)
        notes = await hub.rooms.page(CASE, STAFF, START, 3, "note")
        assert (len(notes.frames), notes.more) == (3, True)
        with pytest.raises(CursorLost):
            await hub.rooms.page(CASE, STAFF, Cursor(99, "00000000"), 2)


async def test_a_page_of_large_events_is_shorter_and_nothing_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rooms.service.PAGE_BYTES", 2_500)
    async with house(tmp_path) as hub:
        for number in range(5):
            await hub.say(str(number) + "x" * 1_000 * number)
        cursor, more, pages = START, True, []
        while more:
            page = await hub.rooms.page(CASE, PATIENT, cursor, 10)
            pages.append([json.loads(frame)["seq"] for frame in page.frames])
            cursor, more = page.cursor, page.more
        assert pages == [[1, 2, 3], [4], [5], [6]]


async def test_history_goes_back_in_pages_of_limited_bytes(tmp_path: Path) -> None:
    async with house(tmp_path) as hub:
        for number in range(6):
            await hub.say(f"{number}" + "ü" * 500)
        size = len((await hub.rooms.history(CASE, PATIENT, None, 1, 10**6)).frames[0].encode())
        assert size > 1_000, "bytes, not characters"
        for allowed, expected in (
            (10**6, [5, 6, 7]),
            (2 * size, [6, 7]),
            (2 * size - 1, [7]),
            (1, [7]),
        ):
            page = await hub.rooms.history(CASE, PATIENT, None, 3, allowed)
            assert [json.loads(frame)["seq"] for frame in page.frames] == expected
            assert page.more
            assert page.cursor.seq == expected[-1]
        first = await hub.rooms.history(CASE, PATIENT, 3, 10, 10**6)
        assert [json.loads(frame)["seq"] for frame in first.frames] == [1, 2]
        assert not first.more
        nothing = await hub.rooms.history(CASE, PATIENT, 1, 10, 10**6)
        assert (nothing.frames, nothing.cursor, nothing.more) == ([], START, False)


async def test_the_timeline_of_a_patient_is_their_own(tmp_path: Path) -> None:
    async with house(tmp_path) as hub:
        await hub.say("Hello")
        await hub.do(WriteNote("psst"))
        found = {
            by.name: [e.channel for e in (await hub.rooms.timeline(CASE, by, [], None, 9))[0]]
            for by in (MARIA, PRIYA)
        }
        assert found == {"Maria": ["chat"], "Priya": ["internal_note", "chat"]}


# Signals.


async def test_typing_is_told_to_the_others_and_not_to_oneself(tmp_path: Path) -> None:
    async with house(tmp_path) as hub:
        maria, priya, sam = [await hub.join(by) for by in (MARIA, PRIYA, SAM)]
        hub.rooms.typing(CASE, PRIYA, on=True, in_note=False)
        frame = {
            "type": "typing",
            "case": CASE,
            "who": {"type": "coordinator", "name": "Priya"},
            "on": True,
        }
        assert maria.of_type("typing") == [frame]
        assert sam.of_type("typing") == [{**frame, "in": "message"}]
        assert priya.of_type("typing") == []
        hub.rooms.typing(CASE, MARIA, on=False, in_note=False)
        assert len(priya.of_type("typing")) == 1
        assert len(maria.of_type("typing")) == 1


async def test_typing_in_a_note_never_reaches_a_patient(tmp_path: Path) -> None:
    async with house(tmp_path) as hub:
        maria, sam = await hub.join(MARIA), await hub.join(SAM)
        hub.rooms.typing(CASE, PRIYA, on=True, in_note=True)
        assert [frame["in"] for frame in sam.of_type("typing")] == ["note"]
        assert maria.of_type("typing") == []


async def test_what_a_patient_has_read_is_told_to_staff_in_their_numbers(tmp_path: Path) -> None:
    async with house(tmp_path) as hub:
        relative = replace(MARIA, id="user_relative", name="Rosa")
        maria, rosa, priya = [await hub.join(by) for by in (MARIA, relative, PRIYA)]
        await hub.do(WriteNote("psst"))
        await hub.say("Hello", PRIYA)
        await hub.rooms.read(CASE, MARIA, 2)
        await hub.rooms.read(CASE, MARIA, 0)
        assert [frame["seq"] for frame in priya.of_type("read")] == [3, 0]
        assert [frame["seq"] for frame in rosa.of_type("read")] == [2, 0]
        assert priya.of_type("read")[0]["who"] == {"type": "patient", "name": "Maria"}
        assert maria.of_type("read") == []


async def test_what_staff_have_read_never_reaches_a_patient(tmp_path: Path) -> None:
    async with house(tmp_path) as hub:
        maria, priya, sam = [await hub.join(by) for by in (MARIA, PRIYA, SAM)]
        await hub.do(WriteNote("psst"))
        await hub.rooms.read(CASE, PRIYA, 2)
        assert [frame["seq"] for frame in sam.of_type("read")] == [2]
        assert maria.of_type("read") == priya.of_type("read") == []


async def test_nobody_can_have_read_what_is_not_in_their_view(tmp_path: Path) -> None:
    async with house(tmp_path) as hub:
        await hub.do(WriteNote("psst"))
        priya = await hub.join(PRIYA)
        assert (await refused(hub.rooms.read(CASE, MARIA, 2))).code is Code.NOT_FOUND
        assert (await refused(hub.rooms.read(CASE, PRIYA, 3))).code is Code.NOT_FOUND
        assert priya.of_type("read") == []


async def test_signals_into_an_empty_room_are_nobodys_business(tmp_path: Path) -> None:
    async with house(tmp_path) as hub:
        hub.rooms.typing(CASE, PRIYA, on=True, in_note=False)
        hub.rooms.arrive(CASE, "c1", PRIYA)
        hub.rooms.depart(CASE, "c1")


async def test_staff_learn_who_is_here_and_patients_do_not(tmp_path: Path) -> None:
    async with house(tmp_path) as hub:
        maria, priya = await hub.join(MARIA), await hub.join(PRIYA)
        hub.rooms.arrive(CASE, "c1", MARIA)
        hub.rooms.arrive(CASE, "c2", SAM)
        hub.rooms.arrive(CASE, "c3", SAM)
        hub.rooms.depart(CASE, "c2")
        hub.rooms.depart(CASE, "c1")
        hub.rooms.depart(CASE, "c1")
        hub.rooms.depart(CASE, "c3")
        frames = priya.of_type("presence")
        assert [(f["patient"], [v["name"] for v in f["viewers"]]) for f in frames] == [
            ("online", []),
            ("online", ["Sam"]),
            ("offline", ["Sam"]),
            ("offline", []),
        ]
        assert maria.of_type("presence") == []


async def test_patients_learn_only_whether_the_one_who_leads_their_case_is_here(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as hub:
        maria = await hub.join(MARIA)
        hub.rooms.arrive(CASE, "c1", SAM)
        alone = {"type": "presence", "case": CASE, "coordinator": None, "online": False}
        led = {**alone, "coordinator": "Priya"}
        assert hub.rooms.patient_presence_frame(CASE) == alone
        await hub.do(Accept(), PRIYA)
        hub.rooms.arrive(CASE, "c2", PRIYA)
        assert maria.of_type("presence") == [led, {**led, "online": True}]
        assert hub.rooms.patient_presence_frame(CASE) == {**led, "online": True}


async def test_a_change_of_owner_that_no_hint_told_is_found_in_the_log(tmp_path: Path) -> None:
    async with house(tmp_path, audit_every=0.01) as hub:
        maria = await hub.join(MARIA)
        hub.rooms.arrive(CASE, "c1", PRIYA)
        hub.broker.deaf = True
        led = {"type": "presence", "case": CASE, "coordinator": "Priya", "online": True}
        alone = {**led, "coordinator": None, "online": False}
        await hub.do(Accept(), PRIYA)
        await maria.until(lambda: maria.of_type("presence") == [led])
        await hub.do(Release(), PRIYA)
        await maria.until(lambda: maria.of_type("presence") == [led, alone])
        # Who led a case once is no longer the patient's business.
        hub.rooms.depart(CASE, "c1")
        hub.rooms.arrive(CASE, "c2", PRIYA)
        assert len(maria.of_type("presence")) == 2


@pytest.mark.parametrize("order", [1, -1])
async def test_who_joins_before_the_hints_of_a_takeover_takes_nothing_from_the_patient(
    tmp_path: Path, order: int
) -> None:
    async with house(tmp_path) as hub:
        maria = await hub.join(MARIA)
        kept: list[Hint] = []
        hub.broker.kept = kept
        await hub.do(Accept(), PRIYA)
        await hub.join(SAM)
        hub.broker.kept = None
        assert maria.of_type("presence") == []
        for hint in kept[::order]:
            hub.broker.publish([hint])
        assert [frame["coordinator"] for frame in maria.of_type("presence")] == ["Priya"]


async def test_who_leads_a_case_is_told_no_earlier_than_the_takeover_and_no_longer_than_that_lasts(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as hub:
        maria = await hub.join(MARIA)
        kept: list[Hint] = []
        hub.broker.kept = kept
        await hub.do(Accept(), PRIYA)
        hub.broker.kept = None
        hub.broker.publish([hint for hint in kept if hint.audience is STAFF])
        phone = await hub.join(MARIA, after=maria.joined.head)
        greeting = hub.rooms.patient_presence_frame(CASE)
        assert phone.seqs == []
        assert greeting["coordinator"] is None
        await phone.until(lambda: phone.has_seen(2))
        await hub.do(Release(), PRIYA)
        assert [greeting, *phone.of_type("presence")][-1]["coordinator"] is None


# What a patient cannot tell.

SCRIPT: list[tuple[Command, Principal]] = [
    (say("Hello"), MARIA),
    (WriteNote("secret one"), PRIYA),
    (say("Good morning"), PRIYA),
    (WriteNote("secret two", ("user_sam",)), SAM),
    (say("I have a question"), MARIA),
    (SetStatus(Status.ACTIVE), PRIYA),
    (WriteNote("secret three"), SERVICE),
    (say("Please ask"), SAM),
]


async def patients_wire(folder: Path, *, notes: bool) -> tuple[list[Any], list[Any]]:
    """Play the script, and give all that a patient is sent, live and again from the log."""
    database = open_database(f"sqlite:///{folder}.db")
    step = 0
    rooms = Rooms(
        database,
        MemoryBroker(),
        now=lambda: Clock()(),
        new_id=lambda kind: f"{kind}_{step}",
        audit_every=HOURLY,
    )
    answers: list[Any] = []
    async with rooms.running():
        hub = House(rooms, Doorbell())
        await rooms.handle(CASE, registration(), SERVICE, "open")
        maria = await hub.join(MARIA)
        for step, (command, by) in enumerate(SCRIPT, 1):
            if isinstance(command, WriteNote):
                if notes:
                    await rooms.handle(CASE, command, by, f"k{step}")
                    rooms.typing(CASE, by, on=True, in_note=True)
                    await rooms.read(CASE, by, 1)
                    rooms.arrive(CASE, f"c{step}", by)
                continue
            receipt = await rooms.handle(CASE, command, by, f"k{step}")
            answers.append(str(rooms.head(CASE, PATIENT)))
            if by is MARIA:
                answers.append(receipt)
        again = await hub.join(MARIA, START)
        page = await rooms.page(CASE, PATIENT, START, 3)
        history = await rooms.history(CASE, PATIENT, None, 3, 10**6)
        timeline, _ = await rooms.timeline(CASE, MARIA, [], None, 10)
        answers += [page, history, timeline, again.joined.head, maria.lives]
        return [*maria.frames, *again.frames], answers


async def test_a_patient_cannot_infer_a_note_from_anything(tmp_path: Path) -> None:
    with_notes = await patients_wire(tmp_path / "with", notes=True)
    without = await patients_wire(tmp_path / "without", notes=False)
    assert with_notes == without
    assert len(with_notes[0]) > len(SCRIPT)


async def test_no_key_and_no_id_of_staff_is_in_what_a_patient_receives(tmp_path: Path) -> None:
    frames, answers = await patients_wire(tmp_path / "with", notes=True)
    for wire in (json.dumps(frames), repr(answers)):
        for hidden in ("secret", "user_priya", "user_sam", '"service"', "k2", "k3", "k6", "k8"):
            assert hidden not in wire
    own = [frame.get("key") for frame in frames if "key" in frame]
    assert own == ["k1", "k5", "k1", "k5"]


# Archived.


async def test_whoever_was_away_gets_the_rest_of_an_archived_case_and_then_is_told(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as hub:
        await hub.say("one")
        seen = (await hub.rooms.page(CASE, PATIENT, START, 9)).cursor
        await hub.say("two")
        await hub.do(SetStatus(Status.ARCHIVED))
        reader = Collector()
        joined = await hub.rooms.join(CASE, MARIA, PATIENT, reader, after=seen, tail=0)
        await joined.subscription.start(joined.start)
        assert reader.texts == ["two"]
        assert reader.cuts == [Cut.ARCHIVED]
        for after in (None, Cursor(reader.seqs[-1], reader.lives[0].tag)):
            error = await refused(
                hub.rooms.join(CASE, MARIA, PATIENT, Collector(), after=after, tail=9)
            )
            assert error.code is Code.CLOSED


# Large events.


async def test_answers_are_bounded_in_bytes_and_say_that_there_is_more(tmp_path: Path) -> None:
    large = "\1" * 10_000  # six bytes each, as JSON
    async with house(tmp_path) as hub:
        for _ in range(30):
            await hub.say(large)
        page = await hub.rooms.page(CASE, STAFF, START, 100)
        assert sum(map(len, page.frames)) <= PAGE_BYTES
        assert page.more
        entries, more = await hub.rooms.timeline(CASE, PRIYA, [], None, 100)
        assert sum(len(entry.frame) for entry in entries) <= PAGE_BYTES
        assert more
        records = await hub.rooms.log.read(CASE, STAFF, START, 100)
        assert sum(len(record.frame) for record in records) <= READ_BYTES + 70_000
        seen = START
        pages = 0
        while (page := await hub.rooms.page(CASE, STAFF, seen, 100)).frames:
            seen = page.cursor
            pages += 1
        assert (seen.seq, pages > 3) == (31, True)
