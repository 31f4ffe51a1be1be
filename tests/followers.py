"""Clients that follow the answers of the AI, as real ones do: they are cut, and they come back.

What a client is given is checked as it comes: no piece twice, none left out, nothing after the
end, and the stored text begins with what was shown.
"""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import httpx2
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from tests.compat_sse.whatwg import Event, Parser
from tests.kit import WITHIN, Address, Frame, Identity

LOST = (OSError, EOFError, WebSocketException, httpx2.TransportError)
"""How a connection that breaks shows itself."""
AWAY_S = 0.02
"""Before a client comes back: it does not hammer at a hub that is away."""


@dataclass
class Shown:
    """An answer as a client shows it."""

    text: str = ""
    """Its pieces, put together."""
    pieces: dict[int, str] = field(default_factory=dict)
    """Those that came one by one, by number."""
    next: int = 0
    """The number of the piece that comes next."""
    status: str | None = None
    """How it ended: `final`, `interrupted` or `failed`; None: it has not, or had no text."""
    stored: str | None = None
    """The text of its message."""
    seen_live: bool = False
    """The client was there when it ended."""

    def grow(self, i: int, text: str) -> None:
        assert i == self.next, f"piece {i} came in place of {self.next}"
        assert self.status is None, "a piece came after the end"
        self.pieces[i] = text
        self.text += text
        self.next += 1

    def catch_up(self, i: int, text: str) -> None:
        assert i + 1 >= self.next, f"a draft up to {i} came where {self.next} pieces were shown"
        assert text.startswith(self.text), (text, self.text)
        assert self.status is None, "a draft came after the end"
        self.text, self.next = text, i + 1

    def end(self, status: str, stored: str | None, live: bool) -> None:
        assert self.status is None, "an answer ended twice"
        assert stored is None or stored.startswith(self.text), (stored, self.text)
        self.status, self.stored, self.seen_live = status, stored, live


class Display(ABC):
    """What a client shows of the answers of one case."""

    def __init__(self) -> None:
        self.answers: dict[str, Shown] = {}
        """By run."""
        self.writing: str | None = None
        """The answer that is shown as being written."""

    @property
    @abstractmethod
    def position(self) -> str:
        """What the client resumes with."""

    def answer(self, run: str) -> Shown:
        return self.answers.setdefault(run, Shown())

    @property
    def newest(self) -> Shown:
        """The last answer that was heard of."""
        return list(self.answers.values())[-1] if self.answers else Shown()

    @property
    def done(self) -> bool:
        """An answer has come to its own end, and none is shown as being written."""
        ends = [answer.status for answer in self.answers.values()]
        return self.writing is None and ("final" in ends or "failed" in ends)


class FeedDisplay(Display):
    """What is made of the frames of the feed; the same on WebSocket and SSE."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Frame] = []
        self._live = False

    @property
    def position(self) -> str:
        return self.events[-1]["cursor"] if self.events else "0.0"

    def apply(self, frame: Frame) -> None:
        match frame["type"]:
            case "ready":
                assert frame["resumed"], frame
                self._live = False
                self.writing = frame["state"]["run"]
            case "caught_up":
                self._live = True
            case "event":
                self._add(frame)
            case "run":
                self._turn(frame["run"], frame["state"])
            case "delta":
                self.answer(frame["run"]).grow(frame["i"], frame["text"])
            case "draft":
                self.answer(frame["run"]).catch_up(frame["i"], frame["text"])
            case "error" | "reset":
                raise AssertionError(frame)

    def _add(self, event: Frame) -> None:
        assert event["seq"] == len(self.events) + 1, event
        self.events.append(event)
        run = event["data"].get("run")
        if run is not None:
            self.answer(run).end(event["data"]["state"], event["data"]["text"], self._live)
            self.writing = None if self.writing == run else self.writing

    def _turn(self, run: str, state: str) -> None:
        if state in ("thinking", "writing"):
            assert self.answer(run).status is None, "an answer began after its end"
            self.writing = run
        elif self.writing == run:
            self.writing = None


class ChatDisplay(Display):
    """What is made of the stream of answers."""

    def __init__(self) -> None:
        super().__init__()
        self.last_event_id = ""
        self._ended: set[str] = set()

    @property
    def position(self) -> str:
        return self.last_event_id

    def apply(self, event: Event) -> None:
        self.last_event_id = event.last_event_id
        data = json.loads(event.data)
        match event.type:
            case "thinking":
                assert data["run"] not in self._ended, "an answer began after its end"
                self.answer(data["run"])
                self.writing = data["run"]
            case "token":
                assert self.writing in (None, data["run"]), event
                self.writing = data["run"]
                self.answer(data["run"]).grow(data["index"], data["token"])
            case "done":
                assert self.writing is not None, event
                answer = self.answer(self.writing)
                answer.end(data["status"], None, live=True)
                self._ended.add(self.writing)
                self.writing = None
            case _:
                raise AssertionError(event)


class Follower:
    """Somebody who follows a case and comes back after each cut."""

    def __init__(
        self,
        hub: Address,
        who: Identity,
        case: str,
        *,
        path: str = "ws",
        port: Callable[[], int] | None = None,
    ) -> None:
        """Make a client of `ws`, `stream` or `chat/stream`; `port` is asked before it connects."""
        self.who = who
        self.case = case
        self.path = path
        self.connections = 0
        self.display: FeedDisplay | ChatDisplay
        self.display = ChatDisplay() if path == "chat/stream" else FeedDisplay()
        self._token = hub.token(who)
        self._port = port or (lambda: hub.port)
        self._changed = asyncio.Condition()

    def __repr__(self) -> str:
        return f"{self.who.name} at {self.case}/{self.path}"

    async def follow(self, enough: Callable[[], bool] | None = None) -> None:
        """Read until `enough`, or until the answer is done; wherever the connection breaks."""
        enough = enough or (lambda: self.display.done)
        while not enough():
            try:
                async with aclosing(self._connected()) as news:
                    async for piece in news:
                        self.display.apply(piece)
                        async with self._changed:
                            self._changed.notify_all()
                        if enough():
                            return
            except LOST:
                pass
            await asyncio.sleep(AWAY_S)

    async def until(self, condition: Callable[[Display], bool]) -> None:
        """Wait until what is shown is as it is wanted."""
        try:
            async with asyncio.timeout(WITHIN), self._changed:
                await self._changed.wait_for(lambda: condition(self.display))
        except TimeoutError as error:
            raise AssertionError(f"{self} shows {vars(self.display)}") from error

    def _connected(self) -> AsyncGenerator[Any, None]:
        self.connections += 1
        return self._socket() if self.path == "ws" else self._stream()

    async def _socket(self) -> AsyncGenerator[Frame, None]:
        url = f"ws://127.0.0.1:{self._port()}/api/v1/cases/{self.case}/ws"
        async with connect(url, compression=None, proxy=None) as raw:
            try:
                auth = {"type": "auth", "token": self._token, "after": self.display.position}
                await raw.send(json.dumps(auth))
                while True:
                    yield json.loads(await raw.recv())
            finally:
                raw.transport.abort()

    async def _stream(self) -> AsyncGenerator[Any, None]:
        url = f"http://127.0.0.1:{self._port()}/api/v1/cases/{self.case}/{self.path}"
        headers = {"Authorization": f"Bearer {self._token}", "X-Tenant-ID": self.who.tenant}
        if self.display.position:
            headers["Last-Event-ID"] = self.display.position
        timeout = httpx2.Timeout(WITHIN, read=None)
        async with (
            httpx2.AsyncClient(timeout=timeout, trust_env=False, verify=False) as client,
            client.stream("GET", url, headers=headers) as response,
        ):
            if response.status_code == 503:
                return  # it drains
            assert response.status_code == 200, f"{self}: {response.status_code}"
            parser = Parser()
            async for chunk in response.aiter_raw():
                for event in parser.feed(chunk):
                    yield json.loads(event.data) if self.path == "stream" else event
