"""A form with a file in it, read as it comes.

What stands before the file is known before its bytes are read: so a sender who has no right to the
case can be refused in time.
"""

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from rooms.errors import Code, Malformed

FILE: Final = "file"
"""The name of the field that is the file."""
FIELDS: Final = 10
"""Most fields before the file."""
FIELD_BYTES: Final = 1_024
"""Most bytes of such a field."""
BOUNDARY_BYTES: Final = 70
"""Most bytes of the line between two parts (RFC 2046, 5.1.1)."""


@dataclass(frozen=True, slots=True)
class FileHead:
    """What the sender says of a file."""

    name: str
    content_type: str


class FileForm:
    """Reads a `multipart/form-data` body: some short fields, and then one file.

    Call `head`, look at `fields`, then read the `content`.
    """

    def __init__(self, content_type: str, body: AsyncIterator[bytes]) -> None:
        """Make a reader.

        Raises:
            Malformed: it is another kind of body.

        """
        self.fields: dict[str, str] = {}
        self._parts = 0
        self._body = body
        self._file: FileHead | None = None
        self._bytes: list[bytes] = []
        """Of the file, read and not yet given."""
        self._ended = False
        self._headers: dict[bytes, bytes] = {}
        self._header = (bytearray(), bytearray())
        self._name: str | None = None
        """Of the field that is being read."""
        self._value = bytearray()
        self._parser = self._make_parser(content_type)

    async def head(self) -> FileHead:
        """Read up to the file.

        Raises:
            Malformed: there is none, or it is no form.

        """
        while self._file is None:
            if not await self._read():
                raise broken("It has no file. Send the fields `case` and `file`, in this order.")
        return self._file

    async def content(self) -> AsyncIterator[bytes]:
        """Give the bytes of the file; once they end, the whole form has come.

        Raises:
            Malformed: the form breaks off, or goes on after the file.

        """
        while True:
            given, self._bytes = self._bytes, []
            for some in given:
                yield some
            if not await self._read():
                break
        if not self._ended:
            raise broken("It ends in the middle. Send it again.")

    async def _read(self) -> bool:
        """Take what comes next; False if nothing does."""
        some = await anext(self._body, None)
        if some is None:
            return False
        try:
            self._parser.write(some)
        except FormParserError:
            raise broken("Its parts cannot be told apart.") from None
        return True

    def _make_parser(self, content_type: str) -> MultipartParser:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if kind != b"multipart/form-data" or not 0 < len(boundary) <= BOUNDARY_BYTES:
            raise broken("Its type must be multipart/form-data, with a boundary.")
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_end": self._on_end,
            },
        )
        # It would warn of each broken form, which is the business of its sender alone.
        parser.logger = logging.Logger("silent", logging.CRITICAL)  # noqa: LOG001 - not for all
        return parser

    def _on_part_begin(self) -> None:
        if self._file is not None:
            raise broken("The file must be its last field, and the only file.")
        self._parts += 1
        if self._parts > FIELDS + 1:
            raise broken("It has too many fields.")
        self._headers = {}
        self._name = None
        self._value = bytearray()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header[0].extend(data[start:end])

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1].extend(data[start:end])

    def _on_header_end(self) -> None:
        name, value = self._header
        self._headers[bytes(name).lower()] = bytes(value)
        self._header = (bytearray(), bytearray())

    def _on_headers_finished(self) -> None:
        disposition = self._headers.get(b"content-disposition", b"").decode("latin-1")
        kind, options = parse_options_header(disposition)
        if kind != b"form-data" or b"name" not in options:
            raise broken("A part of it has no name.")
        self._name = _text(options[b"name"])
        if self._name == FILE:
            declared = self._headers.get(b"content-type", b"").decode("latin-1")
            self._file = FileHead(_text(options.get(b"filename", b"")), declared)
        elif b"filename" in options:
            raise broken("Its file must be the field `file`.")

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._bytes.append(data[start:end])
            return
        self._value.extend(data[start:end])
        if len(self._value) > FIELD_BYTES:
            raise broken("A field of it is too long.")

    def _on_part_end(self) -> None:
        if self._file is None and self._name is not None:
            self.fields[self._name] = _text(bytes(self._value))

    def _on_end(self) -> None:
        self._ended = True


def broken(why: str) -> Malformed:
    return Malformed(Code.BAD_FRAME, f"This is no form that can be read. {why}")


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")
