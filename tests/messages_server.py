"""A server that speaks the streaming half of Anthropic's Messages API, and plays what it is told.

The real SDK talks to it over real sockets. A test says what to play, in steps:

    async with messages_server() as server:
        server.answer = [Say("Hel"), Wait(gate), Say("lo")]
        model = AnthropicModel("claude-test", "key", server.url)

For an answer that depends on the request, `server.script(function)`. Steps that do not end the
answer themselves are followed by an orderly end.
"""

import asyncio
import contextlib
import json
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

WITHIN = 10.0
"""Seconds after which what a test waits for has not happened."""
TOKENS_IN = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 200,
    "cache_read_input_tokens": 3000,
}
MESSAGE_ID = "msg_test"


@dataclass(frozen=True)
class Say:
    """Some text, in one delta; it counts as one token."""

    text: str


@dataclass(frozen=True)
class Use:
    """A tool, with its input: an object, or a text in place of the JSON."""

    tool: str
    input: Mapping[str, Any] | str


@dataclass(frozen=True)
class Wait:
    """Nothing more until the test sets the event."""

    event: asyncio.Event


@dataclass(frozen=True)
class Stall:
    """Nothing more for ever; or pings, that many seconds apart, and nothing else."""

    pings: float | None = None


@dataclass(frozen=True)
class Cut:
    """The connection ends: it is closed, or reset; or the HTTP body ends as if all were well."""

    how: Literal["closed", "reset", "ended"] = "closed"


@dataclass(frozen=True)
class Status:
    """An HTTP error in place of the stream; only as the first step.

    With a `content-length` of the test's own, the connection is closed after the body.
    """

    code: int
    type: str = "api_error"
    message: str = "No."
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Refuse:
    """The model refuses; what it has said before stays said."""


@dataclass(frozen=True)
class End:
    """The end of the answer, for that reason."""

    stop_reason: str


@dataclass(frozen=True)
class Fail:
    """An error in the middle of the stream."""

    type: str
    message: str = "No."


@dataclass(frozen=True)
class Raw:
    """Any event at all."""

    event: str
    data: str


Step: TypeAlias = Say | Use | Wait | Stall | Cut | Status | Refuse | End | Fail | Raw
Script: TypeAlias = Callable[[dict[str, Any]], Iterable[Step]]


@dataclass(frozen=True)
class Request:
    """What the client sent: the JSON of its body, and its headers by their names in lowercase."""

    body: dict[str, Any]
    headers: dict[str, str]


class MessagesServer:
    """What the test steers, and what it looks at."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[Request] = []
        self.disconnects: list[float] = []
        """When clients left in the middle of an answer, by `time.monotonic`."""
        self.answer: Sequence[Step] = (Say("Hello"), Say(" there"), Say("."))
        self._script: Script = lambda _: self.answer
        self._changed = asyncio.Condition()
        self._handlers: set[asyncio.Task[None]] = set()
        self._failures: list[Exception] = []

    def script(self, script: Script) -> None:
        """Let a function of the request's JSON say what is played."""
        self._script = script

    def in_turn(self, *answers: Sequence[Step]) -> None:
        """Play one answer after the other; the last one stays."""
        left = list(answers)
        self._script = lambda _: left.pop(0) if len(left) > 1 else left[0]

    async def asked(self, times: int = 1) -> None:
        """Wait until so many requests have come in all."""
        await self._until(lambda: len(self.requests) >= times)

    async def left(self, times: int = 1) -> None:
        """Wait until so many clients have left in the middle of an answer."""
        await self._until(lambda: len(self.disconnects) >= times)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        try:
            while await self._serve(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has gone, or the test is over
        except Exception as error:  # noqa: BLE001 - told to the test by `stop`
            self._failures.append(error)
        finally:
            self._handlers.discard(task)
            writer.transport.abort()

    async def stop(self) -> None:
        handlers = list(self._handlers)
        for task in handlers:
            task.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)
        if self._failures:
            raise self._failures[0]

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN), self._changed:
            await self._changed.wait_for(condition)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether the connection may bring another."""
        request = await _received(reader)
        self.requests.append(request)
        await self._notify()
        player = _Player(writer, request.body)
        playing = asyncio.ensure_future(player.play(self._script(request.body)))
        # A client sends nothing during an answer: what can be read now is its end.
        leaving = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait({playing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if playing.done() and not isinstance(playing.exception(), ConnectionError):
                playing.result()
                return player.reusable
            self.disconnects.append(time.monotonic())
            await self._notify()
            return False
        finally:
            for task in (playing, leaving):
                task.cancel()
            await asyncio.gather(playing, leaving, return_exceptions=True)


class _Player:
    """One answer on its way to the client."""

    def __init__(self, writer: asyncio.StreamWriter, body: dict[str, Any]) -> None:
        self.reusable = False
        self._writer = writer
        self._body = body
        self._begun = False
        self._over = False
        self._blocks = 0
        self._in_text = False
        self._tokens_out = 0
        self._used = False

    async def play(self, steps: Iterable[Step]) -> None:
        for step in steps:
            if not self._over:
                await self._step(step)
                await self._writer.drain()
        if not self._over:
            self._end("tool_use" if self._used else "end_turn")
            await self._writer.drain()

    async def _step(self, step: Step) -> None:
        match step:
            case Wait():
                await step.event.wait()
            case Stall():
                await self._stall(step.pings)
            case Cut():
                self._cut(step.how)
            case Status():
                self._status(step)
            case Say() | Use():
                self._content(step)
            case Refuse() | End():
                self._end(step.stop_reason if isinstance(step, End) else "refusal")
            case Fail():
                error = {"type": step.type, "message": step.message}
                self._event("error", {"error": error})
                self._finish()
            case Raw():
                self._begin()
                self._chunk(f"event: {step.event}\ndata: {step.data}\n\n".encode())

    async def _stall(self, pings: float | None) -> None:
        while pings is not None:
            self._event("ping", {})
            await self._writer.drain()
            await asyncio.sleep(pings)
        await asyncio.Event().wait()

    def _cut(self, how: str) -> None:
        self._over = True
        if how == "ended":
            self._begin()
            self._finish()
        if how == "reset":
            connection = self._writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _status(self, step: Status) -> None:
        assert not self._begun, "a status after the head of the response"
        body = json.dumps(
            {"type": "error", "error": {"type": step.type, "message": step.message}}
        ).encode()
        headers = {"content-type": "application/json", "content-length": len(body), **step.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._writer.write(f"HTTP/1.1 {step.code} Status\r\n{lines}\r\n".encode() + body)
        self._over = True
        self.reusable = "content-length" not in step.headers

    def _content(self, step: Say | Use) -> None:
        self._tokens_out += 1
        if isinstance(step, Say):
            if not self._in_text:
                self._open({"type": "text", "text": ""})
                self._in_text = True
            self._delta({"type": "text_delta", "text": step.text})
            return
        self._used = True
        self._close()
        self._open({"type": "tool_use", "id": "toolu_test", "name": step.tool, "input": {}})
        written = step.input if isinstance(step.input, str) else json.dumps(step.input)
        middle = len(written) // 2
        for part in ("", written[:middle], written[middle:]):
            self._delta({"type": "input_json_delta", "partial_json": part})
        self._event("content_block_stop", {"index": self._blocks})
        self._blocks += 1

    def _end(self, stop_reason: str) -> None:
        self._begin()
        self._close()
        self._event(
            "message_delta",
            {
                "delta": {"stop_reason": stop_reason, "stop_sequence": None},
                # Totals: those that are left out stand as they were said first.
                "usage": {
                    "input_tokens": TOKENS_IN["input_tokens"],
                    "output_tokens": self._tokens_out,
                },
            },
        )
        self._event("message_stop", {})
        self._finish()

    def _open(self, block: dict[str, Any]) -> None:
        self._event("content_block_start", {"index": self._blocks, "content_block": block})

    def _delta(self, delta: dict[str, Any]) -> None:
        self._event("content_block_delta", {"index": self._blocks, "delta": delta})

    def _close(self) -> None:
        if self._in_text:
            self._event("content_block_stop", {"index": self._blocks})
            self._in_text = False
            self._blocks += 1

    def _begin(self) -> None:
        if self._begun:
            return
        self._begun = True
        self._writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        message = {
            "id": MESSAGE_ID,
            "type": "message",
            "role": "assistant",
            "model": self._body["model"],
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {**TOKENS_IN, "output_tokens": 1},
        }
        self._event("message_start", {"message": message})

    def _finish(self) -> None:
        self._writer.write(b"0\r\n\r\n")
        self._over = self.reusable = True

    def _event(self, name: str, data: dict[str, Any]) -> None:
        self._begin()
        self._chunk(f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n".encode())

    def _chunk(self, content: bytes) -> None:
        self._writer.write(b"%x\r\n%b\r\n" % (len(content), content))


async def _received(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    assert first.startswith("POST /v1/messages "), first
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    body = json.loads(await reader.readexactly(int(headers["content-length"])))
    return Request(body, headers)


@contextlib.asynccontextmanager
async def messages_server() -> AsyncIterator[MessagesServer]:
    """Run a server for one test; a script that raised fails the test here."""
    server = MessagesServer()
    listening = await asyncio.start_server(server.accept, "127.0.0.1", 0)
    server.url = "http://{}:{}".format(*listening.sockets[0].getsockname())
    try:
        yield server
    finally:
        listening.close()
        await server.stop()
        await listening.wait_closed()
