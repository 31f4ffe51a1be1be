"""Files by REST: what is taken, who may send it, and who gets it."""

import asyncio
import contextlib
import re
import unicodedata
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from auth.principal import Role
from hub.file_form import FileForm
from hub.file_types import CONTENT_TYPES, LONGEST, content_type_of, file_name, name_of_type
from hub.protocols import PACE_BYTES, HttpProtocol
from hub.uploads_api import FORM_BYTES, PER_USER
from rooms.errors import Malformed
from rooms.uploads import PIECE
from tests.hub.conftest import Room
from tests.hub.test_api import error_of
from tests.kit import CASE, MARIA, PRIYA, WITHIN, Frame, Identity, RunningHub, raw_socket
from tests.kit import running_hub as run

here = pytest.mark.asyncio(loop_scope="module")

PDF = b"%PDF-1.7\n" + bytes(range(256)) * 40
OFFICE = "application/vnd.openxmlformats-officedocument"
BEGINNINGS = {
    "application/pdf": PDF,
    "application/dicom": b"\0" * 128 + b"DICM" + b"\2\0",
    "application/msword": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 word",
    f"{OFFICE}.spreadsheetml.sheet": b"PK\x03\x04 sheet",
    f"{OFFICE}.wordprocessingml.document": b"PK\x03\x04 document",
    "image/heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    "image/heif": b"\0\0\0\x18ftypmif1\0\0\0\0mif1",
    "image/jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF",
    "image/png": b"\x89PNG\r\n\x1a\n....",
    "image/tiff": b"II*\0....",
    "image/webp": b"RIFF\x10\0\0\0WEBPVP8 ",
    "text/plain": "Blutgruppe A, Größe 1,70 m".encode(),
}
STRANGER = Identity("user_x", "Xaver", patient_id="patient_x")


def form(
    case: str | None,
    content: bytes = PDF,
    name: str = "scan.pdf",
    content_type: str = "application/pdf",
) -> dict[str, Any]:
    """Give what a client sends with a file, as arguments of the HTTP client."""
    fields = [] if case is None else [part('name="case"', case.encode())]
    disposition = f'name="file"; filename="{name}"'
    body = b"".join([*fields, part(disposition, content, content_type), b"--limit--\r\n"])
    return {"content": body, "headers": {"Content-Type": "multipart/form-data; boundary=limit"}}


def part(disposition: str, value: bytes, content_type: str = "") -> bytes:
    head = f"--limit\r\nContent-Disposition: form-data; {disposition}\r\n"
    head += f"Content-Type: {content_type}\r\n" if content_type else ""
    return head.encode() + b"\r\n" + value + b"\r\n"


async def send(
    hub: RunningHub, who: Identity, sent: dict[str, Any], key: str | None = None
) -> httpx2.Response:
    headers = {**hub.headers(who, key), **sent["headers"]}
    async with httpx2.AsyncClient(timeout=WITHIN) as http:
        url = f"{hub.http}/api/v1/uploads"
        return await http.post(url, content=sent["content"], headers=headers)


async def uploaded(room: Room, who: Identity | None = None, **members: Any) -> dict[str, Any]:
    answer = await send(room.hub, who or room.maria, form(room.case, **members))
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def confirm(
    room: Room, who: Identity, id: str, key: str | None = None, case: str | None = None
) -> httpx2.Response:
    async with httpx2.AsyncClient(headers=room.hub.headers(who, key)) as http:
        body = {"case": case or room.case, "id": id}
        return await http.post(f"{room.hub.http}/api/v1/uploads/confirm", json=body)


async def confirmed(room: Room, who: Identity | None = None, **members: Any) -> dict[str, Any]:
    upload = await uploaded(room, who, **members)
    assert (await confirm(room, who or room.maria, upload["id"])).status_code == 201
    return upload


async def fetch(room: Room, who: Identity, id: str) -> httpx2.Response:
    async with room.hub.rest(who) as http:
        return await http.get(f"/uploads/{id}")


async def documents(room: Room, who: Identity) -> list[Frame]:
    async with room.hub.rest(who) as http:
        found = (await http.get(f"/cases/{room.case}/events", params={"kind": "document"})).json()
    told: list[Frame] = found["events"]
    return told


async def stored(hub: RunningHub) -> tuple[int, int]:
    """Count the files and the pieces that are in the database."""
    database = hub.hub.rooms._database

    def work(connection: Any) -> tuple[int, int]:
        files, pieces = (
            connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar()  # noqa: S608
            for table in ("upload", "upload_part")
        )
        return files, pieces

    return await database.read(work)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(WITHIN):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


async def until_stored(hub: RunningHub, expected: tuple[int, int]) -> None:
    async with asyncio.timeout(WITHIN):
        while True:
            if await stored(hub) == expected:
                return
            await asyncio.sleep(0.01)


# The way of a file.


@here
async def test_a_file_is_sent_confirmed_seen_by_all_and_comes_back_byte_by_byte(
    room: Room,
) -> None:
    content = PDF + bytes(range(256)) * (2 * PIECE // 256)
    upload = await uploaded(room, content=content, name="Befund März.pdf")
    assert upload == {
        "id": upload["id"],
        "case": room.case,
        "name": "Befund März.pdf",
        "content_type": "application/pdf",
        "size": len(content),
    }
    assert await documents(room, room.priya) == []
    async with room.enter(room.maria) as maria, room.enter(room.priya) as priya:
        answer = await confirm(room, room.maria, upload["id"], "c1")
        assert answer.status_code == 201
        for client in (maria, priya):
            event = await client.expect("event", kind="document")
            assert event["data"]["document_id"] == upload["id"]
            assert event["data"]["name"] == "Befund März.pdf"
            assert event["actor"] == {"type": "patient", "id": room.maria.sub, "name": "Maria"}
            assert event["id"] == answer.json()["id"]
    for who in (room.maria, room.priya):
        got = await fetch(room, who, upload["id"])
        assert got.status_code == 200
        assert got.content == content


@here
async def test_a_file_that_comes_back_is_saved_and_never_shown_or_run(room: Room) -> None:
    upload = await confirmed(room, name='Befund "März".pdf')
    headers = (await fetch(room, room.priya, upload["id"])).headers
    assert headers["content-type"] == "application/pdf"
    assert headers["content-length"] == str(len(PDF))
    assert headers["content-disposition"] == (
        "attachment; filename=\"Befund _M_rz_.pdf\"; filename*=UTF-8''Befund%20%22M%C3%A4rz%22.pdf"
    )
    assert headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "private, no-store"


@here
async def test_what_a_coordinator_sends_shows_the_patient_a_name_and_no_id(room: Room) -> None:
    upload = await confirmed(room, room.priya)
    (event,) = await documents(room, room.maria)
    assert event["actor"] == {"type": "coordinator", "name": "Priya"}
    assert "key" not in event
    assert (await fetch(room, room.maria, upload["id"])).content == PDF


# What is taken.


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_each_type_is_taken_with_its_own_beginning_and_with_no_other(content_type: str) -> None:
    assert content_type_of(content_type, BEGINNINGS[content_type]) == content_type
    alike = {
        "image/heic": {"image/heif"},
        "image/heif": {"image/heic"},
        f"{OFFICE}.spreadsheetml.sheet": {f"{OFFICE}.wordprocessingml.document"},
        f"{OFFICE}.wordprocessingml.document": {f"{OFFICE}.spreadsheetml.sheet"},
    }
    # Every beginning but those of other files could be a text.
    texts = {"application/msword", *alike} if content_type == "text/plain" else set()
    for other in set(CONTENT_TYPES) - {content_type} - alike.get(content_type, set()):
        if other in texts and b"\0" not in BEGINNINGS[other]:
            continue
        with pytest.raises(Malformed, match="save it again"):
            content_type_of(content_type, BEGINNINGS[other])


@pytest.mark.parametrize("declared", ["", "application/octet-stream"])
def test_the_type_of_a_file_that_its_sender_does_not_know_is_found(declared: str) -> None:
    for content_type in ("application/dicom", "image/heic", "image/jpeg", "application/pdf"):
        assert content_type_of(declared, BEGINNINGS[content_type]) == content_type
    with pytest.raises(Malformed, match="not taken"):
        content_type_of(declared, b"MZ\x90\0 a program")


def test_a_type_may_be_written_in_any_way_that_it_is_written_in() -> None:
    assert content_type_of("Image/JPG", BEGINNINGS["image/jpeg"]) == "image/jpeg"
    text = BEGINNINGS["text/plain"]
    assert content_type_of("text/plain; charset=utf-8", text) == "text/plain"


@here
@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"content": b""}, "empty"),
        ({"content_type": "text/html"}, "Send a PDF"),
        ({"content_type": "image/svg+xml"}, "Send a PDF"),
        ({"content_type": "application/x-msdownload"}, "Send a PDF"),
        ({"content_type": "image/png"}, "save it again"),
        ({"content": b"MZ a program"}, "save it again"),
        ({"content": b"<script>", "content_type": ""}, "Send a PDF"),
    ],
)
async def test_what_is_not_taken_is_refused_with_advice_and_leaves_nothing(
    room: Room, members: dict[str, Any], told: str
) -> None:
    before = await stored(room.hub)
    answer = await send(room.hub, room.maria, form(room.case, **members))
    assert told in error_of(answer, 422, "invalid")
    assert await stored(room.hub) == before


async def test_the_limit_holds_to_the_byte(tmp_path: Path) -> None:
    limit = PIECE + 1_000
    async with run(tmp_path, max_upload=limit) as hub:
        whole = PDF.ljust(limit, b"x")
        assert (await send(hub, MARIA, form(CASE, whole))).json()["size"] == limit
        before = await stored(hub)
        for content in (whole + b"x", whole * 2, whole.ljust(limit + 2 * FORM_BYTES)):
            answer = await send(hub, MARIA, form(CASE, content))
            assert f"{limit:,} bytes" in error_of(answer, 413, "too_large")
            assert answer.json()["error"]["limit"] == limit
        assert await stored(hub) == before


async def test_what_has_no_announced_length_is_limited_as_well(tmp_path: Path) -> None:
    async with run(tmp_path, max_upload=100_000) as hub:
        sent = form(CASE, PDF.ljust(200_000))

        async def chunks() -> AsyncIterator[bytes]:
            for start in range(0, len(sent["content"]), 10_000):
                yield sent["content"][start : start + 10_000]

        answer = await send(hub, MARIA, {**sent, "content": chunks()})
        error_of(answer, 413, "too_large")
        assert await stored(hub) == (0, 0)


@here
async def test_all_other_calls_keep_their_own_limit(room: Room) -> None:
    sent = form(room.case, b" " * 300_000)
    for path in ("uploads/confirm", f"cases/{room.case}/messages", "consent"):
        async with httpx2.AsyncClient(headers=room.hub.headers(room.maria)) as http:
            answer = await http.post(f"{room.hub.http}/api/v1/{path}", content=sent["content"])
        error_of(answer, 413, "too_large")


# Names.


NAMES = [
    ("scan.pdf", "scan.pdf"),
    ("../../etc/passwd", "passwd"),
    ("/etc/passwd", "passwd"),
    ("C:\\fakepath\\scan.pdf", "scan.pdf"),
    ("..\\..\\boot.ini", "boot.ini"),
    ("..", "file"),
    ("", "file"),
    (" . . ", "file"),
    ("a/", "file"),
    ("in\u202efdp.exe", "infdp.exe"),
    ("\u2066a\u2069\u200eb\u200fc\u061cd\ufeffe.pdf", "abcde.pdf"),
    ("a\0b\x07c\x1b[31m\x7f\x85.pdf", "abc[31m.pdf"),
    ("a\r\nX-Header: b.pdf", "a X-Header: b.pdf"),
    ("a\u2028b\u00a0  c.pdf", "a b c.pdf"),
    ("Ma\u0308rz.pdf", "März.pdf"),
    ("क\u200dष.pdf", "क\u200dष.pdf"),
    ("报告 📄.pdf", "报告 📄.pdf"),
    ("x" * 10_000 + ".pdf", "x" * 196 + ".pdf"),
    ("x" * 10_000, "x" * 200),
    ("x." + "y" * 10_000, "x." + "y" * 198),
    (".htaccess", "htaccess"),
]


@pytest.mark.parametrize(("given", "name"), NAMES, ids=range(len(NAMES)))
def test_a_name_is_made_fit_to_be_shown_and_saved(given: str, name: str) -> None:
    assert file_name(given) == name


@given(st.text(max_size=300))
def test_every_name_is_short_plain_and_stays_what_it_is(given: str) -> None:
    name = file_name(given)
    assert 1 <= len(name) <= LONGEST
    assert not re.search(r"[/\\\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", name)
    assert name.strip(". ") == name
    assert unicodedata.is_normalized("NFC", name)
    assert file_name(name) == name


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
@pytest.mark.parametrize("name", ["report.html", "report.svg", "report.bat", "IM0001", "x" * 200])
def test_no_name_promises_another_type_than_the_file_has(name: str, content_type: str) -> None:
    made = name_of_type(name, content_type)
    assert not made.endswith((".html", ".svg", ".bat", "IM0001", "xx"))
    assert len(made) <= LONGEST
    assert made.startswith(name[:100])
    assert name_of_type(made, content_type) == made


def test_a_name_that_fits_its_type_is_left_as_it_is() -> None:
    for name, content_type in [
        ("scan.PDF", "application/pdf"),
        ("photo.jpeg", "image/jpeg"),
        ("values.csv", "text/plain"),
    ]:
        assert name_of_type(name, content_type) == name


@here
async def test_a_page_that_calls_itself_a_text_is_saved_as_a_text(room: Room) -> None:
    page = b"<script>alert(1)</script>"
    upload = await uploaded(room, content=page, name="report.html", content_type="text/plain")
    got = await fetch(room, room.maria, upload["id"])
    assert upload["name"] == "report.html.txt"
    assert 'filename="report.html.txt"' in got.headers["content-disposition"]


@here
@pytest.mark.parametrize("name", ["../../x.pdf", "x" * 3_000 + ".pdf", "a\u202eb.pdf", "\x07.pdf"])
async def test_an_evil_name_does_no_harm_on_its_whole_way(room: Room, name: str) -> None:
    upload = await confirmed(room, name=name)
    assert upload["name"] == name_of_type(file_name(name), "application/pdf")
    got = await fetch(room, room.priya, upload["id"])
    assert got.content == PDF
    assert got.headers["content-disposition"].startswith('attachment; filename="')
    (event,) = await documents(room, room.maria)
    assert event["data"]["name"] == upload["name"]


async def test_no_name_of_a_file_is_logged(tmp_path: Path) -> None:
    with capture_logs() as lines:
        async with run(tmp_path) as hub:
            await send(hub, MARIA, form(CASE, name="secret-diagnosis.pdf"))
            await send(hub, MARIA, form(CASE, b"", name="secret-diagnosis.pdf"))
            await send(hub, STRANGER, form(CASE, name="secret-diagnosis.pdf"))
    assert "secret" not in repr(lines)


# Who may.


@here
async def test_who_has_no_right_to_the_case_is_refused_before_the_file_is_read(
    room: Room,
) -> None:
    def head(case: str, who: Identity) -> bytes:
        lines = [f"{name}: {value}" for name, value in room.hub.headers(who).items()]
        body: bytes = form(case)["content"].partition(b"%PDF")[0]
        lines += [
            "Host: hub",
            "Content-Length: 1000000",
            "Content-Type: multipart/form-data; boundary=limit",
        ]
        return "\r\n".join(["POST /api/v1/uploads HTTP/1.1", *lines, "", ""]).encode() + body

    answers = []
    for case in (room.case, "no-such-case"):
        with raw_socket(room.hub.port) as raw:
            raw.sendall(head(case, STRANGER))  # and not one byte of the file
            answer = b""
            while not answer.endswith(b"}}"):
                some = await asyncio.to_thread(raw.recv, 65_536)
                assert some, "it hung up without a whole answer"
                answer += some
            answers.append(answer)
    assert answers[0].startswith(b"HTTP/1.1 403")
    assert answers[0].partition(b"\r\n\r\n")[2] == answers[1].partition(b"\r\n\r\n")[2]


@here
async def test_without_a_token_nothing_is_taken(room: Room) -> None:
    sent = form(room.case)
    async with httpx2.AsyncClient(headers=sent["headers"]) as http:
        url = f"{room.hub.http}/api/v1/uploads"
        error_of(await http.post(url, content=sent["content"]), 401, "unauthenticated")
        error_of(await http.get(f"{url}/unknown"), 401, "unauthenticated")


@here
async def test_an_unknown_file_and_a_foreign_one_get_the_very_same_bytes(room: Room) -> None:
    upload = await confirmed(room)
    waiting = await uploaded(room)
    foreigner = Identity("user_f", "Fran", Role.SUPERVISOR, tenant="another tenant")
    unknown = await fetch(room, STRANGER, "unknown")
    error_of(unknown, 404, "not_found")
    for who, id in (
        (STRANGER, upload["id"]),
        (STRANGER, waiting["id"]),
        (foreigner, upload["id"]),
        (room.priya, waiting["id"]),
        (room.maria, "%00"),
        (room.maria, "x" * 500),
    ):
        assert (await fetch(room, who, id)).content == unknown.content
    assert (await fetch(room, room.maria, waiting["id"])).content == PDF


@here
async def test_nobody_confirms_what_somebody_else_has_sent(room: Room) -> None:
    upload = await uploaded(room)
    unknown = await confirm(room, room.priya, "unknown")
    error_of(unknown, 404, "not_found")
    assert (await confirm(room, room.priya, upload["id"])).content == unknown.content
    error_of(await confirm(room, STRANGER, upload["id"]), 403, "forbidden")
    assert await documents(room, room.priya) == []


@here
async def test_a_closed_case_takes_no_files_and_gives_those_that_it_has(room: Room) -> None:
    upload, waiting = await confirmed(room), await uploaded(room)
    for status in ("closed", "archived"):
        await room.post(room.priya, "status", {"status": status})
        for who in (room.maria, room.priya):
            error_of(await send(room.hub, who, form(room.case)), 409, "closed")
        error_of(await confirm(room, room.maria, waiting["id"]), 409, "closed")
        assert (await fetch(room, room.maria, upload["id"])).content == PDF


# Keys and limits.


@here
async def test_the_same_key_with_the_same_file_is_one_file(room: Room) -> None:
    before = await stored(room.hub)
    first = await send(room.hub, room.maria, form(room.case), "k1")
    again = [await send(room.hub, room.maria, form(room.case), "k1") for _ in range(2)]
    assert first.status_code == 201
    for answer in again:
        assert answer.status_code == 200
        assert answer.json() == {**first.json(), "dup": True}
    assert (await stored(room.hub))[0] == before[0] + 1
    for other in ({"content": PDF + b"x"}, {"name": "other.pdf"}):
        answer = await send(room.hub, room.maria, form(room.case, **other), "k1")
        error_of(answer, 409, "key_reused")
    assert (await stored(room.hub))[0] == before[0] + 1


@here
async def test_however_often_a_file_is_confirmed_there_is_one_event(room: Room) -> None:
    upload = await uploaded(room)
    answers = await asyncio.gather(
        *(confirm(room, room.maria, upload["id"], key) for key in ("c1", "c1", "c1", "c2", None))
    )
    assert sorted(each.status_code for each in answers) == [200] * 4 + [201]
    assert len(await documents(room, room.priya)) == 1


async def test_one_user_sends_only_some_files_at_once_and_the_others_go_on(
    tmp_path: Path,
) -> None:
    async with run(tmp_path) as hub, contextlib.AsyncExitStack() as stack:
        unfinished = [await stack.enter_async_context(slow(hub)) for _ in range(PER_USER)]
        await until(lambda: hub.hub.uploads._coming.total() == PER_USER)
        answer = await send(hub, MARIA, form(CASE))
        error_of(answer, 429, "rate_limited")
        assert answer.headers["retry-after"]
        assert (await send(hub, PRIYA, form(CASE))).status_code == 201
        for finish in unfinished:
            assert (await finish()).status_code == 201
        assert (await send(hub, MARIA, form(CASE))).status_code == 201
        assert not hub.hub.uploads._coming


@contextlib.asynccontextmanager
async def slow(hub: RunningHub) -> AsyncIterator[Any]:
    """Send half of a file, and give what sends the rest."""
    go_on = asyncio.Event()
    sent = form(CASE)
    content: bytes = sent["content"]

    async def halves() -> AsyncIterator[bytes]:
        yield content[:2_000]
        await go_on.wait()
        yield content[2_000:]

    sending = asyncio.create_task(send(hub, MARIA, {**sent, "content": halves()}))

    async def finish() -> httpx2.Response:
        go_on.set()
        return await sending

    yield finish
    sending.cancel()
    await asyncio.wait([sending])


async def test_files_count_as_writes(tmp_path: Path) -> None:
    async with run(tmp_path, writes_per_s=0.01, writes_burst=1) as hub:
        assert (await send(hub, MARIA, form(CASE))).status_code == 201
        error_of(await send(hub, MARIA, form(CASE)), 429, "rate_limited")


async def test_many_files_at_once_come_back_as_they_went_in(tmp_path: Path) -> None:
    people = [Identity(f"user_{n}", "N", Role.COORDINATOR) for n in range(8)]
    async with run(tmp_path) as hub:
        contents = {who.sub: PDF + bytes([n]) * (PIECE + n) for n, who in enumerate(people)}
        answers = await asyncio.gather(
            *(send(hub, who, form(CASE, contents[who.sub])) for who in people)
        )
        for who, answer in zip(people, answers, strict=True):
            async with hub.rest(who) as http:
                got = await http.get(f"/uploads/{answer.json()['id']}")
            assert got.content == contents[who.sub]


# What breaks.


async def test_of_a_client_that_hangs_up_in_the_middle_nothing_is_left(tmp_path: Path) -> None:
    async with run(tmp_path) as hub:
        content = form(CASE, PDF.ljust(3 * PIECE))["content"]
        headers = {**hub.headers(MARIA), **form(CASE)["headers"], "Host": "hub"}
        lines = [f"{name}: {value}" for name, value in headers.items()]
        head = ["POST /api/v1/uploads HTTP/1.1", *lines, f"Content-Length: {len(content)}", "", ""]
        with raw_socket(hub.port) as raw:
            raw.sendall("\r\n".join(head).encode())
            await asyncio.to_thread(raw.sendall, content[: 2 * PIECE + 5_000])
            await until_stored(hub, (1, 2))
        await until_stored(hub, (0, 0))
        assert not hub.hub.uploads._coming


async def test_a_file_may_take_longer_than_other_requests_if_it_keeps_coming(
    tmp_path: Path,
) -> None:
    async with run(tmp_path) as hub:
        sent = form(CASE, PDF.ljust(4 * PACE_BYTES))
        content: bytes = sent["content"]
        pieces: asyncio.Queue[bytes] = asyncio.Queue()

        async def coming() -> AsyncIterator[bytes]:
            while piece := await pieces.get():
                yield piece

        sending = asyncio.create_task(send(hub, MARIA, {**sent, "content": coming()}))
        pieces.put_nowait(content[:1_000])
        await until(lambda: receivers(hub))
        (receiver,) = receivers(hub)
        for start in range(1_000, len(content), PACE_BYTES):
            deadline, left = due(receiver), receiver._allowed
            piece = content[start : start + PACE_BYTES]
            pieces.put_nowait(piece[:100])
            await until(partial(has_taken_some, receiver, left))
            assert due(receiver) == deadline, "so little of it puts nothing off"
            pieces.put_nowait(piece[100:])
            if len(piece) == PACE_BYTES:
                await until(partial(is_put_off, receiver, deadline))
        pieces.put_nowait(b"")
        answer = await sending
        assert answer.status_code == 201, answer.text


async def test_a_file_that_comes_no_more_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.protocols.REQUEST_S", 0.5)
    async with run(tmp_path) as hub, slow(hub) as finish:
        await until(lambda: hub.hub.uploads._coming)
        await until(lambda: not hub.hub.uploads._coming)
        with pytest.raises(httpx2.TransportError):
            await finish()
        assert await stored(hub) == (0, 0)


def receivers(hub: RunningHub) -> list[HttpProtocol]:
    """Give the connections on which a file is coming."""
    found = hub.server.server_state.connections
    return [each for each in found if isinstance(each, HttpProtocol) and each._allowed]


def has_taken_some(receiver: HttpProtocol, left: int) -> bool:
    return receiver._allowed < left


def is_put_off(receiver: HttpProtocol, deadline: float) -> bool:
    return due(receiver) > deadline


def due(receiver: HttpProtocol) -> float:
    """Tell when a request must have come, by the clock of the loop."""
    return 0.0 if receiver._deadline is None else receiver._deadline.when()


@here
async def test_every_beginning_of_a_form_is_refused_clearly_and_leaves_nothing(
    room: Room,
) -> None:
    before = await stored(room.hub)
    whole = form(room.case, b"%PDF-1", "a.pdf")
    end = len(whole["content"]) - len(b"\r\n")
    async with httpx2.AsyncClient(
        headers={**room.hub.headers(room.maria), **whole["headers"]}
    ) as http:
        url = f"{room.hub.http}/api/v1/uploads"
        for length in range(end):
            answer = await http.post(url, content=whole["content"][:length])
            assert answer.status_code in (400, 422), (length, answer.text)
            assert answer.json()["error"]["message"]
        assert await stored(room.hub) == before
        assert (await http.post(url, content=whole["content"][:end])).status_code == 201


BROKEN = [
    (b"", "multipart/form-data; boundary=limit"),
    (b"{}", "application/json"),
    (b"case=1&file=2", "application/x-www-form-urlencoded"),
    (form("c")["content"], "multipart/form-data"),
    (form("c")["content"], "multipart/form-data; boundary="),
    (form("c")["content"], f"multipart/form-data; boundary={'x' * 71}"),
    (form("c")["content"], "multipart/form-data; boundary=other"),
    (form("c")["content"], "multipart/mixed; boundary=limit"),
    (part('name="case"', b"c") + b"--limit--", "multipart/form-data; boundary=limit"),
    (b"--limit\r\n\r\nno head\r\n--limit--", "multipart/form-data; boundary=limit"),
    (b"--limit--\r\n", "multipart/form-data; boundary=limit"),
    (b"--limit\r\nA" * 50_000, "multipart/form-data; boundary=limit"),
    (part('name="x"', b"y") * 12 + form("c")["content"], "multipart/form-data; boundary=limit"),
    (part('name="case"', b"y" * 1_025), "multipart/form-data; boundary=limit"),
    (part('name="other"; filename="a"', PDF), "multipart/form-data; boundary=limit"),
]


@here
@pytest.mark.parametrize(("body", "content_type"), BROKEN, ids=range(len(BROKEN)))
async def test_what_is_no_such_form_is_refused_clearly(
    room: Room, body: bytes, content_type: str
) -> None:
    sent = {"content": body, "headers": {"Content-Type": content_type}}
    error_of(await send(room.hub, room.maria, sent), 400, "bad_frame")


@here
async def test_the_case_comes_before_the_file_and_nothing_after_it(room: Room) -> None:
    file, case = part('name="file"; filename="a.pdf"', PDF), part('name="case"', room.case.encode())
    for parts in ([file, case], [file], [case, file, file], [case, file, case]):
        sent = {**form(None), "content": b"".join([*parts, b"--limit--"])}
        error_of(await send(room.hub, room.maria, sent), 400, "bad_frame")
    newer = [part('name="from a newer client"', b"1"), case, file, b"--limit--"]
    answer = await send(room.hub, room.maria, {**form(None), "content": b"".join(newer)})
    assert answer.status_code == 201


@given(st.data())
async def test_no_damage_to_a_form_is_a_fault_of_ours(data: st.DataObject) -> None:
    whole = bytearray(form("case-1", b"%PDF-1 \r\n--limi")["content"])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(whole) - 1))
        whole[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    size = data.draw(st.integers(1, 60))

    async def body() -> AsyncIterator[bytes]:
        for start in range(0, len(whole), size):
            yield bytes(whole[start : start + size])

    with contextlib.suppress(Malformed):
        read = FileForm("multipart/form-data; boundary=limit", body())
        head = await read.head()
        assert isinstance(head.name, str)
        async for some in read.content():
            assert some


@given(content=st.binary(max_size=400), size=st.integers(1, 100))
async def test_in_whatever_pieces_a_form_comes_it_is_read_the_same(
    content: bytes, size: int
) -> None:
    if b"\r\n--limit" in content:
        return
    whole = form("case-1", content, "ä.pdf")["content"]

    async def body() -> AsyncIterator[bytes]:
        for start in range(0, len(whole), size):
            yield whole[start : start + size]

    read = FileForm('multipart/form-data; boundary="limit"', body())
    head = await read.head()
    assert (read.fields, head.name) == ({"case": "case-1"}, "ä.pdf")
    assert b"".join([some async for some in read.content()]) == content


# Expiry.


async def test_what_is_not_confirmed_within_a_day_is_gone(tmp_path: Path) -> None:
    ahead = [timedelta()]
    now = lambda: datetime.now(UTC) + ahead[0]  # noqa: E731
    async with run(tmp_path, dependencies={"now": now}, ai_model="off") as hub:
        upload = (await send(hub, MARIA, form(CASE))).json()
        ahead[0] = timedelta(hours=24, minutes=1)
        assert await hub.hub.rooms.uploads.expire() == 1
        async with hub.rest(MARIA) as http:
            body = {"case": CASE, "id": upload["id"]}
            error_of(await http.post("/uploads/confirm", json=body), 404, "not_found")
            error_of(await http.get(f"/uploads/{upload['id']}"), 404, "not_found")
        assert await stored(hub) == (0, 0)
