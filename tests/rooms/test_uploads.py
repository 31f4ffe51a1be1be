"""Uploads: files in the database, there as a whole or not at all."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, text
from structlog.typing import EventDict

from auth.principal import Principal
from rooms.commands import ConfirmUpload, SetStatus
from rooms.core import decide
from rooms.cursor import START
from rooms.database import Database, open_database
from rooms.errors import Code, Unavailable
from rooms.events import Audience, Status
from rooms.state import RoomState, Terms, Upload
from rooms.uploads import KEPT, PIECE, Uploads
from tests.rooms.kit import (
    ASSISTANT,
    CASE,
    MARIA,
    NOW,
    PRIYA,
    STRANGER,
    TENANT,
    WITHIN,
    Flaky,
    Ids,
    OpenLog,
    open_log,
    refused,
)

PDF = "application/pdf"
LARGE = bytes(range(256)) * (3 * PIECE // 256) + b"the rest"


class Wall:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> datetime:
        return self.time


async def chunked(content: bytes, size: int = 10_007) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def uploads_of(database: Database, clock: Wall | None = None, name: str = "") -> Uploads:
    return Uploads(database, now=clock or Wall(), new_id=Ids(name))


async def send(
    uploads: Uploads,
    content: bytes = b"%PDF-1",
    by: Principal = MARIA,
    key: str | None = None,
    name: str = "scan.pdf",
) -> Upload:
    return (await uploads.receive(CASE, by, name, PDF, chunked(content), key)).upload


async def count(database: Database, table: str = "upload") -> int:
    def work(connection: Connection) -> int:
        return int(connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0)  # noqa: S608

    return await database.read(work)


async def read(uploads: Uploads, id: str) -> bytes:
    return b"".join([piece async for piece in uploads.content(id)])


async def documents(hub: OpenLog) -> list[dict[str, Any]]:
    records = await hub.log.read(CASE, Audience.PATIENT, START, 1_000)
    return [record.data for record in records if record.kind == "document"]


# What is stored.


@pytest.mark.parametrize(
    "size", [1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE], ids=lambda size: f"{size} bytes"
)
async def test_a_file_comes_out_as_it_went_in(hub: OpenLog, size: int) -> None:
    uploads = uploads_of(hub.database)
    upload = await send(uploads, LARGE[:size])
    assert upload == Upload("upload_1", CASE, MARIA.id, "scan.pdf", PDF, size)
    assert await uploads.find(upload.id) == upload
    assert await read(uploads, upload.id) == LARGE[:size]
    assert await count(hub.database, "upload_part") == -(-size // PIECE)

    def work(connection: Connection) -> Any:
        return connection.execute(text("SELECT sha256, tenant, sender FROM upload")).one()

    row = await hub.database.read(work)
    assert tuple(row) == (hashlib.sha256(LARGE[:size]).hexdigest(), TENANT, MARIA.id)


async def test_while_a_file_comes_nobody_finds_it_and_messages_do_not_wait_for_it(
    hub: OpenLog,
) -> None:
    uploads = uploads_of(hub.database)
    half_way, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield LARGE[: 2 * PIECE]
        yield b"more"
        half_way.set()
        await go_on.wait()

    coming = asyncio.create_task(uploads.receive(CASE, MARIA, "scan.pdf", PDF, slow()))
    async with asyncio.timeout(WITHIN):
        await half_way.wait()
        await hub.say("Hello")
    assert await uploads.find("upload_1") is None
    refusal = await refused(hub.do(ConfirmUpload("upload_1"), MARIA))
    assert refusal.code is Code.NOT_FOUND
    go_on.set()
    assert (await coming).upload.size == 2 * PIECE + 4


@pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError])
async def test_of_a_file_that_breaks_off_nothing_is_kept(
    hub: OpenLog, error: type[BaseException]
) -> None:
    uploads = uploads_of(hub.database)

    async def broken() -> AsyncIterator[bytes]:
        yield LARGE
        assert await count(hub.database, "upload_part") == 3
        raise error

    with pytest.raises(error):
        await uploads.receive(CASE, MARIA, "scan.pdf", PDF, broken())
    assert await count(hub.database) == await count(hub.database, "upload_part") == 0


async def test_what_could_not_be_deleted_at_once_is_deleted_later(hub: OpenLog) -> None:
    clock, flaky = Wall(), Flaky(hub.database)
    uploads = uploads_of(flaky, clock)

    async def broken() -> AsyncIterator[bytes]:
        yield LARGE
        flaky.refuse = 1
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await uploads.receive(CASE, MARIA, "scan.pdf", PDF, broken())
    assert await count(hub.database) == 1
    assert await uploads.find("upload_1") is None
    clock.time += KEPT + timedelta(seconds=1)
    assert await uploads.expire() == 1
    assert await count(hub.database) == await count(hub.database, "upload_part") == 0


@pytest.mark.parametrize("id", ["", "unknown", "x" * 1_000_000, "a\0b", "\ud83d"])
async def test_no_id_is_too_strange_to_be_unknown(hub: OpenLog, id: str) -> None:
    assert await uploads_of(hub.database).find(id) is None


# Keys.


async def test_the_same_key_with_the_same_file_is_one_file(hub: OpenLog) -> None:
    uploads = uploads_of(hub.database)
    all_at_once = (
        uploads.receive(CASE, MARIA, "scan.pdf", PDF, chunked(LARGE), "k1") for _ in range(5)
    )
    received = await asyncio.gather(*all_at_once)
    assert {each.upload.id for each in received} == {received[0].upload.id}
    assert sorted(each.dup for each in received) == [False] + [True] * 4
    assert await count(hub.database) == 1
    assert await count(hub.database, "upload_part") == 4


async def test_two_processes_with_one_key_make_one_file(database_url: str) -> None:
    async with AsyncExitStack() as stack, asyncio.timeout(WITHIN):
        databases = [open_database(database_url) for _ in range(2)]
        for database in databases:
            stack.push_async_callback(database.close)
        await databases[0].create()
        processes = [uploads_of(each, name=f"{i}_") for i, each in enumerate(databases)]
        for number in range(10):
            pair = await asyncio.gather(*(send(each, key=f"k{number}") for each in processes))
            assert pair[0].id == pair[1].id
        assert await count(databases[0]) == 10


@pytest.mark.parametrize(
    "other", [{"content": b"%PDF-2"}, {"name": "other.pdf"}], ids=lambda other: next(iter(other))
)
async def test_a_key_is_not_used_for_two_files(hub: OpenLog, other: dict[str, Any]) -> None:
    uploads = uploads_of(hub.database)
    first = await send(uploads, key="k1")
    assert (await refused(send(uploads, key="k1", **other))).code is Code.KEY_REUSED
    assert await count(hub.database) == 1
    assert await send(uploads, key="k1") == first


async def test_keys_belong_to_their_sender_and_without_one_each_file_is_new(hub: OpenLog) -> None:
    uploads = uploads_of(hub.database)
    sent = [
        await send(uploads, key="k1"),
        await send(uploads, by=PRIYA, key="k1"),
        await send(uploads),
        await send(uploads),
    ]
    assert len({each.id for each in sent}) == 4


async def test_an_answer_that_was_lost_is_given_again(hub: OpenLog) -> None:
    flaky = Flaky(hub.database)
    uploads = uploads_of(flaky)

    async def forgotten() -> AsyncIterator[bytes]:
        yield LARGE[:PIECE]
        flaky.forget = 1

    with pytest.raises(Unavailable):
        await uploads.receive(CASE, MARIA, "scan.pdf", PDF, forgotten(), "k1")
    again = await uploads.receive(CASE, MARIA, "scan.pdf", PDF, chunked(LARGE[:PIECE]), "k1")
    assert (again.upload.id, again.dup) == ("upload_1", True)
    assert await read(uploads, "upload_1") == LARGE[:PIECE]


# Confirming.


async def test_a_confirmed_file_is_an_event_that_names_its_sender(hub: OpenLog) -> None:
    uploads = uploads_of(hub.database)
    upload = await send(uploads)
    receipt = await hub.do(ConfirmUpload(upload.id), MARIA, "c1")
    (record,) = [each for each in hub.hints[-1] if each.audience is Audience.PATIENT]
    assert record.data == {
        "event": "document_uploaded",
        "document_id": upload.id,
        "name": "scan.pdf",
        "state": "processing",
        "content_type": PDF,
        "size": 6,
    }
    assert f'"actor":{{"type":"patient","id":"{MARIA.id}","name":"Maria"}}' in record.frame
    assert record.cursor == receipt.cursor
    found = await uploads.find(upload.id)
    assert found is not None
    assert found.confirmed


async def test_what_staff_send_shows_patients_a_name_and_no_id(hub: OpenLog) -> None:
    upload = await send(uploads_of(hub.database), by=PRIYA)
    await hub.do(ConfirmUpload(upload.id), PRIYA, "c1")
    (record,) = [each for each in hub.hints[-1] if each.audience is Audience.PATIENT]
    assert '"actor":{"type":"coordinator","name":"Priya"}' in record.frame
    assert PRIYA.id not in record.frame
    assert "c1" not in record.frame


async def test_however_often_a_file_is_confirmed_there_is_one_event(hub: OpenLog) -> None:
    upload = await send(uploads_of(hub.database))
    same = [hub.do(ConfirmUpload(upload.id), MARIA, "c1") for _ in range(3)]
    others = [hub.do(ConfirmUpload(upload.id), MARIA, f"d{number}") for number in range(3)]
    receipts = await asyncio.gather(*same, *others)
    assert [each.dup for each in receipts] == [False, True, True, False, False, False]
    assert [each.id for each in receipts[3:]] == [None] * 3
    repeated = await hub.do(ConfirmUpload(upload.id), MARIA, "d1")
    assert (repeated.id, repeated.dup) == (None, True)
    assert len(await documents(hub)) == 1


async def test_two_processes_confirm_a_file_once(database_url: str) -> None:
    async with open_log(database_url, "a") as one, open_log(database_url, "b") as two:
        await one.open_case()
        uploads = uploads_of(one.database)
        for number in range(5):
            upload = await send(uploads)
            both = [log.do(ConfirmUpload(upload.id), MARIA) for log in (one, two)]
            receipts = await asyncio.gather(*both)
            assert sorted(each.id is None for each in receipts) == [False, True]
            assert len(await documents(one)) == number + 1


async def test_nobody_confirms_the_file_of_somebody_else(hub: OpenLog) -> None:
    upload = await send(uploads_of(hub.database))
    await hub.open_case("case-2", 2)
    unknown = await refused(hub.do(ConfirmUpload("unknown"), MARIA))
    for by, case, code in (
        (PRIYA, CASE, Code.NOT_FOUND),
        (PRIYA, "case-2", Code.NOT_FOUND),
        (STRANGER, CASE, Code.FORBIDDEN),
        (ASSISTANT, CASE, Code.FORBIDDEN),
        (MARIA, "case-2", Code.FORBIDDEN),
    ):
        refusal = await refused(hub.do(ConfirmUpload(upload.id), by, case=case))
        assert refusal.code is code
        if code is Code.NOT_FOUND:
            assert refusal.message == unknown.message
    assert await documents(hub) == []


async def test_a_file_belongs_to_the_case_for_which_it_was_sent() -> None:
    state = RoomState("case-2", TENANT, MARIA.patient_id or "", "Maria")
    upload = Upload("u", CASE, MARIA.id, "scan.pdf", PDF, 1)
    terms = Terms(NOW, Ids(), upload=upload)

    async def confirm() -> None:
        decide(state, ConfirmUpload("u"), MARIA, terms)

    assert (await refused(confirm())).code is Code.NOT_FOUND


async def test_a_closed_case_takes_no_file_and_repeats_what_it_had_taken(hub: OpenLog) -> None:
    uploads = uploads_of(hub.database)
    early, late = await send(uploads), await send(uploads)
    await hub.do(ConfirmUpload(early.id), MARIA, "c1")
    await hub.do(SetStatus(Status.CLOSED), PRIYA)
    assert (await hub.do(ConfirmUpload(early.id), MARIA, "c1")).dup
    assert (await hub.do(ConfirmUpload(early.id), MARIA, "c2")).id is None
    assert (await refused(hub.do(ConfirmUpload(late.id), MARIA))).code is Code.CLOSED
    assert len(await documents(hub)) == 1


async def test_a_confirmation_that_is_not_stored_confirms_nothing(database_url: str) -> None:
    flaky = Flaky(open_database(database_url))
    async with open_log(flaky) as hub:
        await hub.open_case()
        uploads = uploads_of(hub.database)
        upload = await send(uploads)
        flaky.stumble = 1
        with pytest.raises(ZeroDivisionError):
            await hub.do(ConfirmUpload(upload.id), MARIA, "c1")
        assert await uploads.find(upload.id) == upload
        assert await documents(hub) == []
        assert not (await hub.do(ConfirmUpload(upload.id), MARIA, "c1")).dup


# Expiry.


async def test_what_nobody_confirms_is_deleted_after_a_day_and_all_else_is_kept(
    hub: OpenLog,
) -> None:
    clock = Wall()
    uploads = uploads_of(hub.database, clock)
    confirmed, forgotten = await send(uploads, LARGE), await send(uploads, LARGE)
    await hub.do(ConfirmUpload(confirmed.id), MARIA)
    clock.time += timedelta(hours=1)
    younger = await send(uploads)
    clock.time = NOW + KEPT
    assert await uploads.expire() == 0
    clock.time += timedelta(seconds=1)
    assert await uploads.expire() == 1
    assert await uploads.find(forgotten.id) is None
    assert await read(uploads, forgotten.id) == b""
    assert await read(uploads, confirmed.id) == LARGE
    assert await uploads.find(younger.id) == younger
    assert await count(hub.database, "upload_part") == 4 + 1


async def test_a_file_is_confirmed_or_deleted_and_never_both(database_url: str) -> None:
    async with open_log(database_url) as hub:
        await hub.open_case()
        other = open_database(database_url)
        clock = Wall()
        for number in range(20):
            upload = await send(uploads_of(hub.database, name=f"{number}_"))
            clock.time = NOW + KEPT + timedelta(seconds=1)
            results = await asyncio.gather(
                hub.do(ConfirmUpload(upload.id), MARIA),
                uploads_of(other, clock).expire(),
                return_exceptions=True,
            )
            told = [each["document_id"] for each in await documents(hub)]
            found = await uploads_of(other).find(upload.id)
            assert (found is not None) == (upload.id in told), results
        await other.close()


async def test_a_key_whose_file_expired_brings_it_anew(hub: OpenLog) -> None:
    clock = Wall()
    uploads = uploads_of(hub.database, clock)
    first = await send(uploads, key="k1")
    clock.time += KEPT + timedelta(seconds=1)
    assert await uploads.expire() == 1
    assert (await send(uploads, key="k1")).id != first.id


async def test_several_processes_delete_by_themselves_also_after_an_outage(
    hub: OpenLog, monkeypatch: pytest.MonkeyPatch, logged: list[EventDict]
) -> None:
    monkeypatch.setattr("rooms.uploads.EVERY", 0.001)
    clock = Wall()
    for number in range(4):
        await send(uploads_of(hub.database, clock, f"{number}_"))
    clock.time += KEPT + timedelta(seconds=1)
    flaky = Flaky(hub.database)
    flaky.refuse = 2
    processes = [uploads_of(flaky, clock), uploads_of(hub.database, clock)]
    running = [asyncio.create_task(each.run()) for each in processes]
    async with asyncio.timeout(WITHIN):
        while True:
            if not flaky.refuse and sum(line.get("files", 0) for line in logged) == 4:
                break
            await asyncio.sleep(0)
    for task in running:
        task.cancel()
    await asyncio.wait(running)
    assert await count(hub.database) == 0
    assert sum(line.get("files", 0) for line in logged) == 4
    assert {line["event"] for line in logged} == {"uploads_expired", "uploads_wait_for_database"}
