"""The reading half of the log, the same on SQLite and on PostgreSQL."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from rooms.commands import Command, SetStatus, WriteNote
from rooms.cursor import START, Cursor, tag_of
from rooms.encoding import Record
from rooms.errors import CursorLost, ResetReason
from rooms.events import Audience, Source, Status
from tests.rooms.kit import CASE, MARIA, PRIYA, OpenLog, open_log, say

STAFF, PATIENT = Audience.STAFF, Audience.PATIENT
SCRIPT: list[Command] = [
    say("one"),
    WriteNote("two"),
    say("three", via=Source.WHATSAPP),
    SetStatus(Status.ACTIVE),
    WriteNote("five"),
    say("six", via=Source.PHONE),
]
"""What follows the registration, which is event 1 in each case."""


@asynccontextmanager
async def told(url: str) -> AsyncIterator[OpenLog]:
    """Run a log with two cases; in the first, the script was played."""
    async with open_log(url) as hub:
        await hub.open_case()
        await hub.open_case("case-2", 2)
        for number, command in enumerate(SCRIPT):
            await hub.log.append(CASE, command, PRIYA, f"k{number}")
        yield hub


def seqs(records: list[Record]) -> list[int]:
    return [record.cursor.seq for record in records]


def said(records: list[Record]) -> list[str]:
    return [record.data.get("text", record.kind) for record in records]


async def test_each_audience_reads_its_own_view_in_order(database_url: str) -> None:
    async with told(database_url) as hub:
        staff = await hub.log.read(CASE, STAFF, START)
        patient = await hub.log.read(CASE, PATIENT, START)
    assert seqs(staff) == [1, 2, 3, 4, 5, 6, 7]
    assert said(staff) == ["patient", "one", "two", "three", "status", "five", "six"]
    assert seqs(patient) == [1, 2, 3, 4, 5]
    assert said(patient) == ["patient", "one", "three", "status", "six"]
    for records in (staff, patient):
        assert [r.previous for r in records] == [START, *(r.cursor for r in records)][:-1]


async def test_reading_goes_on_after_any_cursor_in_pages(database_url: str) -> None:
    async with told(database_url) as hub:
        for audience in Audience:
            everything = await hub.log.read(CASE, audience, START)
            for record in everything:
                rest = await hub.log.read(CASE, audience, record.cursor)
                assert seqs(rest) == seqs(everything)[record.cursor.seq :]
                page = await hub.log.read(CASE, audience, record.cursor, 2)
                assert seqs(page) == seqs(rest)[:2]
                if page:
                    assert page[0].previous == record.cursor


async def test_one_kind_can_be_read_alone(database_url: str) -> None:
    async with told(database_url) as hub:
        assert said(await hub.log.read(CASE, STAFF, START, kind="note")) == ["two", "five"]
        assert await hub.log.read(CASE, PATIENT, START, kind="note") == []
        messages = await hub.log.read(CASE, PATIENT, START, 2, kind="message")
        assert said(messages) == ["one", "three"]


async def test_a_cursor_that_does_not_stand_in_the_log_is_told_from_the_end(
    database_url: str,
) -> None:
    async with told(database_url) as hub:
        for audience, head in ((STAFF, 7), (PATIENT, 5)):
            last = await hub.log.cursor_at(CASE, audience, head)
            assert last is not None
            assert await hub.log.read(CASE, audience, last) == []
            for cursor, reason in (
                (Cursor(head + 1, last.tag), ResetReason.AHEAD),
                (Cursor(10**14, last.tag), ResetReason.AHEAD),
                (Cursor(head, "00000000"), ResetReason.MISMATCH),
                (Cursor(head - 1, last.tag), ResetReason.MISMATCH),
            ):
                with pytest.raises(CursorLost) as caught:
                    await hub.log.read(CASE, audience, cursor)
                assert caught.value.reason is reason
                entrance = await hub.log.entrance(CASE, PRIYA, audience, cursor, 0)
                assert (entrance.reset, entrance.start) == (reason, last)


async def test_the_largest_number_that_a_client_can_name_is_only_a_number(
    database_url: str,
) -> None:
    async with told(database_url) as hub:
        largest = 2**53
        assert await hub.log.cursor_at(CASE, STAFF, largest) is None
        assert await hub.log.staff_seq(CASE, largest) is None
        assert seqs(await hub.log.read_before(CASE, STAFF, largest, 1)) == [7]
        assert len(await hub.log.timeline(CASE, PATIENT, [], largest, 10)) == 3


async def test_the_cursor_of_one_case_or_audience_is_none_of_another(database_url: str) -> None:
    async with told(database_url) as hub:
        other = await hub.log.cursor_at("case-2", STAFF, 1)
        staff = await hub.log.cursor_at(CASE, STAFF, 4)
        assert other is not None
        assert staff is not None
        for audience, cursor in ((STAFF, other), (PATIENT, staff)):
            with pytest.raises(CursorLost):
                await hub.log.read(CASE, audience, cursor)
        with pytest.raises(CursorLost):
            await hub.log.read("unknown", STAFF, other)


async def test_every_log_begins_at_the_same_place(database_url: str) -> None:
    async with told(database_url) as hub:
        assert await hub.log.cursor_at(CASE, STAFF, 0) == START
        assert await hub.log.read("unknown", PATIENT, START) == []
        assert await hub.log.cursor_at(CASE, STAFF, 8) is None
        assert await hub.log.cursor_at(CASE, STAFF, -1) is None


async def test_history_is_read_from_its_end_and_given_in_order(database_url: str) -> None:
    async with told(database_url) as hub:
        assert seqs(await hub.log.read_before(CASE, STAFF, None, 3)) == [5, 6, 7]
        assert seqs(await hub.log.read_before(CASE, STAFF, 5, 3)) == [2, 3, 4]
        assert seqs(await hub.log.read_before(CASE, STAFF, 2, 3)) == [1]
        assert await hub.log.read_before(CASE, STAFF, 1, 3) == []
        assert said(await hub.log.read_before(CASE, PATIENT, 4, 2)) == ["one", "three"]


async def test_heads_are_those_of_the_cases_that_exist(database_url: str) -> None:
    async with told(database_url) as hub:
        many = [f"unknown-{number}" for number in range(1_200)]
        heads = await hub.log.heads([*many[:450], "case-2", *many[450:], CASE])
        assert heads.keys() == {CASE, "case-2"}
        for case in heads:
            for audience in Audience:
                last = (await hub.log.read(case, audience, START))[-1]
                assert heads[case][audience] == last.cursor
        assert await hub.log.heads([]) == {}


async def test_the_number_of_a_patient_is_translated_to_that_of_staff(database_url: str) -> None:
    async with told(database_url) as hub:
        found = [await hub.log.staff_seq(CASE, number) for number in range(7)]
    assert found == [None, 1, 2, 4, 5, 7, None]


async def test_only_messages_that_one_can_see_can_be_replied_to(database_url: str) -> None:
    async with told(database_url) as hub:
        ids = [json.loads(r.frame)["id"] for r in await hub.log.read(CASE, STAFF, START)]
        for audience in Audience:
            can = [await hub.log.has_message(CASE, audience, event_id) for event_id in ids]
            assert can == [False, True, False, True, False, False, True]
            assert not await hub.log.has_message("case-2", audience, ids[1])
            assert not await hub.log.has_message(CASE, audience, "unknown")


async def test_the_timeline_mixes_all_channels_with_the_newest_first(database_url: str) -> None:
    async with told(database_url) as hub:
        entries = await hub.log.timeline(CASE, STAFF, [], None, 10)
    assert [(entry.channel, json.loads(entry.frame)["data"]["text"]) for entry in entries] == [
        ("phone_call", "six"),
        ("internal_note", "five"),
        ("whatsapp", "three"),
        ("internal_note", "two"),
        ("chat", "one"),
    ]


async def test_a_patients_timeline_has_no_notes_and_their_own_numbers(database_url: str) -> None:
    async with told(database_url) as hub:
        entries = await hub.log.timeline(CASE, PATIENT, [], None, 10)
        assert [json.loads(entry.frame)["seq"] for entry in entries] == [5, 3, 2]
        assert await hub.log.timeline(CASE, PATIENT, ["internal_note"], None, 10) == []


async def test_the_timeline_can_be_filtered_and_turned_over(database_url: str) -> None:
    async with told(database_url) as hub:
        some = await hub.log.timeline(CASE, STAFF, ["chat", "whatsapp"], None, 10)
        assert [entry.channel for entry in some] == ["whatsapp", "chat"]
        first = await hub.log.timeline(CASE, STAFF, [], None, 2)
        next_page = await hub.log.timeline(CASE, STAFF, [], 6, 2)
        assert [entry.channel for entry in first] == ["phone_call", "internal_note"]
        assert [entry.channel for entry in next_page] == ["whatsapp", "internal_note"]


async def test_an_unknown_case_has_no_state(database_url: str) -> None:
    async with told(database_url) as hub:
        for case in ("unknown", "CASE-1"):
            assert await hub.log.state(case) is None
        state = await hub.log.state(CASE)
    assert state is not None
    assert state.head(PATIENT) == Cursor(5, tag_of("message_8"))
    assert (state.last_message_by, MARIA.id) == (PRIYA.id, "user_maria")
