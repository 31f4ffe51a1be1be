"""The REST endpoints by which people send files, and fetch them.

Invariant: whoever has no right to a case makes the hub neither store nor read on what they send to
it, and gets the answer of a file that does not exist.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from auth.principal import Principal, Role
from hub.endpoints import Endpoints, created, read_object, validated
from hub.file_form import FileForm, broken
from hub.file_types import BEGINNING, content_type_of, file_name, name_of_type
from hub.rate_limit import rate_limited
from rooms.commands import ConfirmUpload
from rooms.errors import Code, Malformed, Rejected, Unavailable, unknown_upload
from rooms.events import SHUT
from rooms.payload import Id
from rooms.service import Rooms
from rooms.state import Upload

UPLOADS: Final = "/api/v1/uploads"
FORM_BYTES: Final = 65_536
"""Bytes that the form around a file may have."""
AT_ONCE: Final = 100
"""Files that one process receives at once; each takes up a piece of memory."""
PER_USER: Final = 4
"""Files that one user may send at once."""


class Confirmation(BaseModel):
    """A file that was sent, and is to become a part of the case."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    case: Id
    id: Id


class UploadsApi:
    """Takes files, makes them a part of their case, and gives them to whoever may enter it."""

    def __init__(self, rooms: Rooms, endpoints: Endpoints, max_upload: int) -> None:
        """Make the endpoints; a file has at most `max_upload` bytes."""
        self._rooms = rooms
        self._endpoints = endpoints
        self._max_upload = max_upload
        self._coming: Counter[tuple[str, str]] = Counter()
        """How many files each user is sending."""

    @property
    def max_body(self) -> int:
        """Tell how many bytes a request with a file may have."""
        return self._max_upload + FORM_BYTES

    def routes(self) -> list[Route]:
        return [
            self._endpoints.route("POST", UPLOADS, self.post_upload),
            self._endpoints.route("POST", f"{UPLOADS}/confirm", self.post_confirmation),
            self._endpoints.route("GET", f"{UPLOADS}/{{upload}}", self.get_upload),
        ]

    async def post_upload(self, request: Request, by: Principal) -> Response:
        """Receive a file; it is a part of the case once it is confirmed."""
        key, chosen = self._endpoints.key(request)
        self._endpoints.throttle(by)
        if int(request.headers.get("content-length", "0")) > self.max_body:
            raise self._too_large()
        with self._place(by):
            form = FileForm(request.headers.get("content-type", ""), request.stream())
            head = await form.head()
            case = await self._open_case(form, by)
            if (expect_file := request.scope["extensions"].get("hub.expect_file")) is not None:
                # As much again is read and dropped if it is too large: then its sender gets to
                # know why, for browsers do not listen while they send.
                expect_file(2 * self.max_body)
            content = self._limited(form.content())
            beginning = await _beginning(content)
            content_type = content_type_of(head.content_type, beginning)
            received = await self._rooms.uploads.receive(
                case,
                by,
                name_of_type(file_name(head.name), content_type),
                content_type,
                _joined(beginning, content),
                key if chosen else None,
            )
        body = {"case": case, **_described(received.upload)}
        if received.dup:
            return JSONResponse({**body, "dup": True})
        return JSONResponse(body, 201)

    async def post_confirmation(self, request: Request, by: Principal) -> Response:
        """Make a file that the caller has sent a part of its case."""
        confirmation = validated(Confirmation, await read_object(request))
        self._endpoints.throttle(by)
        key, echo = self._endpoints.key(request)
        command = ConfirmUpload(confirmation.id)
        receipt = await self._rooms.handle(confirmation.case, command, by, key, echo=echo)
        return created(receipt, {})

    async def get_upload(self, request: Request, by: Principal) -> Response:
        """Give the content of a file."""
        upload = await self._rooms.uploads.find(request.path_params["upload"])
        if upload is None or not await self._may_read(upload, by):
            raise unknown_upload()
        content = self._rooms.uploads.content(upload.id)
        # Read before the answer begins, so that a database which is away is told of.
        first = await anext(content, b"")
        return StreamingResponse(
            _joined(first, content),
            media_type=None,
            headers={
                "Content-Type": upload.content_type,
                "Content-Length": str(upload.size),
                "Content-Disposition": _disposition(upload.name),
                # It comes from somebody else: no browser shows or runs it in our name.
                "Content-Security-Policy": "sandbox; default-src 'none'",
                "X-Content-Type-Options": "nosniff",
                "Cache-Control": "private, no-store",
            },
        )

    async def _open_case(self, form: FileForm, by: Principal) -> str:
        """Check the right to the case before its file is read."""
        case = form.fields.get("case")
        if case is None:
            raise broken("Send the field `case` before the field `file`.")
        state = await self._rooms.enter(case, by)
        if state.status in SHUT:
            raise Rejected(
                Code.CLOSED, "This case is closed. A coordinator can open it again by its status."
            )
        return case

    async def _may_read(self, upload: Upload, by: Principal) -> bool:
        if not upload.confirmed and upload.sender != by.id:
            return False
        try:
            await self._rooms.enter(upload.case, by)
        except Rejected:
            return False
        return True

    async def _limited(self, content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        size = 0
        async for some in content:
            size += len(some)
            if size > self._max_upload:
                raise self._too_large()
            yield some

    def _too_large(self) -> Malformed:
        return Malformed(
            Code.TOO_LARGE,
            f"The file is too large: {self._max_upload:,} bytes are the most.",
            {"limit": self._max_upload},
        )

    @contextmanager
    def _place(self, by: Principal) -> Iterator[None]:
        who = (by.tenant, by.id)
        if self._coming.total() >= AT_ONCE:
            raise Unavailable("Too many files are being received. Try again in a moment.")
        if self._coming[who] >= PER_USER and by.role is not Role.SERVICE:
            raise rate_limited("files at once", 2.0)
        self._coming[who] += 1
        try:
            yield
        finally:
            self._coming[who] -= 1
            if not self._coming[who]:
                del self._coming[who]


def _described(upload: Upload) -> dict[str, str | int]:
    return {
        "id": upload.id,
        "name": upload.name,
        "content_type": upload.content_type,
        "size": upload.size,
    }


def _disposition(name: str) -> str:
    """Offer a file for saving under its name (RFC 6266), for old clients in ASCII."""
    plain = "".join(each if each.isascii() and each not in '"\\%' else "_" for each in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


async def _beginning(content: AsyncIterator[bytes]) -> bytes:
    """Read as much as tells what the content is, or all of it."""
    read = bytearray()
    while len(read) < BEGINNING and (some := await anext(content, None)) is not None:
        read += some
    return bytes(read)


async def _joined(beginning: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield beginning
    async for some in rest:
        yield some
