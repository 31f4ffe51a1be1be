"""An event stream parser, written after the algorithm of WHATWG HTML §9.2.6 step by step.

Invariant: how the bytes are cut into chunks makes no difference.
"""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    type: str
    data: str
    last_event_id: str


class Parser:
    """Feed it bytes; it gives the events that are complete."""

    def __init__(self) -> None:
        self.retry: int | None = None
        self.last_event_id = ""
        """What an EventSource would send as `Last-Event-ID`."""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._at_start = True
        self._after_cr = False
        self._line = ""
        self._data = ""
        self._type = ""
        self._id = ""

    def feed(self, chunk: bytes) -> list[Event]:
        text = self._decoder.decode(chunk)
        if text and self._at_start:
            text = text.removeprefix("\ufeff")
            self._at_start = False
        return [event for line in self._lines(text) for event in self._take(line)]

    def _lines(self, text: str) -> Iterator[str]:
        for character in text:
            if character == "\n" and self._after_cr:
                self._after_cr = False
                continue
            self._after_cr = character == "\r"
            if character in "\r\n":
                line, self._line = self._line, ""
                yield line
            else:
                self._line += character

    def _take(self, line: str) -> Iterator[Event]:
        if line == "":
            yield from self._dispatch()
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            self._process(name, value.removeprefix(" "))

    def _process(self, name: str, value: str) -> None:
        match name:
            case "event":
                self._type = value
            case "data":
                self._data += value + "\n"
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdigit():
                self.retry = int(value)

    def _dispatch(self) -> Iterator[Event]:
        self.last_event_id = self._id
        if self._data:
            data = self._data.removesuffix("\n")
            yield Event(self._type or "message", data, self.last_event_id)
        self._data = self._type = ""


def parse(stream: bytes) -> list[Event]:
    return Parser().feed(stream)
