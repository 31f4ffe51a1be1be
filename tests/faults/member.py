"""Somebody in a case while the hub is being broken: sends, reads, is cut, comes back, and checks.

A member is a client as it should be. It resumes by its cursor, at any hub that is there; sends
again by its key what has no answer; and leaves a hub that gives no sign of life. What it is given
is checked as it comes, and what it saw is kept for the checks at the end.
"""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect

from tests.followers import LOST, FeedDisplay
from tests.kit import Frame, Identity

SILENCE_S: Final = 3.0
"""So long without a frame, three heartbeats, and a member looks for another hub."""
RETRY_S: Final = 0.2
"""Before something is sent again that the hub could not store."""
ASKED: Final = 8
"""Most frames of a member that have no answer yet."""


class View(FeedDisplay):
    """What a member sees."""

    def __init__(self) -> None:
        super().__init__()
        self.control = "ai"
        self.fence = 0

    def apply(self, frame: Frame) -> None:
        self._check_takeover(frame)
        if frame["type"] == "ready":
            assert int(frame["head"].partition(".")[0]) >= len(self.events), frame
        if frame["type"] == "event" and frame["kind"] == "control":
            assert frame["data"]["fence"] > self.fence, (self.fence, frame)
            self.control, self.fence = frame["data"]["control"], frame["data"]["fence"]
        super().apply(frame)

    def _check_takeover(self, frame: Frame) -> None:
        """Nothing of the AI is heard after a person took over."""
        if self.control != "human":
            return
        assert frame["type"] not in ("delta", "draft"), frame
        assert frame["type"] != "run" or frame["state"] not in ("thinking", "writing"), frame
        if frame["type"] == "event" and frame["kind"] == "message":
            assert frame["data"]["sender_type"] != "ai", frame


@dataclass
class Sojourn:
    """A connection: at which hub, from when to when it was live."""

    hub: int
    live: float | None = None
    end: float | None = None
    code: int | None = None


@dataclass
class Sent:
    """A frame with a key, and what became of it."""

    frame: Frame
    at: float
    answered: float | None = None
    seconds: float = 0.0
    """How long it took until it was acknowledged, from when it was its turn."""
    hub: int | None = None
    ack: Frame | None = None
    refusal: str | None = None
    undone: bool = False
    """A backup was restored that may not have it."""
    told: list[float] = field(default_factory=list)
    """Each time that it could not be stored: after how many seconds that was said."""


class Member:
    """A person with a device in a case."""

    def __init__(
        self,
        name: str,
        who: Identity,
        case: str,
        *,
        token: Callable[[Identity], str],
        route: Callable[["Member"], tuple[int, int]],
        rng: Random,
        patience: float | None = SILENCE_S,
    ) -> None:
        """Make a member; `route` gives the number of a hub and the port where it is reached."""
        self.name = name
        self.who = who
        self.case = case
        self.view = View()
        self.sent: dict[str, Sent] = {}
        self.waiting: dict[str, Sent] = {}
        """What has no answer yet, by key."""
        self.sojourns: list[Sojourn] = []
        self.received: dict[str, tuple[float, Sojourn]] = {}
        """When and where each event came, by its id."""
        self.raw_text: list[str] = []
        """All that a patient was sent, as it was."""
        self.may_reset = False
        """The log was put back to an older one."""
        self.resets: list[str] = []
        self._token = token
        self._route = route
        self._rng = rng
        self._patience = patience
        self._socket: ClientConnection | None = None
        self._sent_at: dict[str, float] = {}
        self._answered = 0.0
        """When the last answer came."""
        self._numbers = 0
        self._sending: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return self.name

    @property
    def is_staff(self) -> bool:
        return self.who.patient_id is None

    @property
    def live(self) -> bool:
        return self._socket is not None

    @property
    def hub(self) -> int | None:
        """The hub at which it is live."""
        return self.sojourns[-1].hub if self.live else None

    def say(self, frame: Frame) -> Sent | None:
        """Send a frame with a new key; None: too many wait for an answer."""
        if len(self.waiting) >= ASKED:
            return None
        self._numbers += 1
        key = f"{self.name}-{self._numbers}"
        sent = Sent({**frame, "key": key}, time.monotonic())
        self.sent[key] = self.waiting[key] = sent
        self._send_soon(key, 0)
        return sent

    def wander(self) -> None:
        """Let the connection break; the next one may lead to another hub."""
        if self._socket is not None:
            self._socket.transport.abort()

    async def run(self) -> None:
        """Be there until cancelled."""
        try:
            while True:
                hub, port = self._route(self)
                sojourn = Sojourn(hub)
                self.sojourns.append(sojourn)
                try:
                    await self._visit(sojourn, port)
                except LOST:
                    pass
                finally:
                    self._socket = None
                    sojourn.end = time.monotonic()
                await asyncio.sleep(0.02 + 0.05 * self._rng.random())
        finally:
            for task in self._sending:
                task.cancel()

    async def _visit(self, sojourn: Sojourn, port: int) -> None:
        url = f"ws://127.0.0.1:{port}/api/v1/cases/{self.case}/ws"
        raw = await connect(
            url,
            compression=None,
            proxy=None,
            max_queue=None,
            ping_interval=None,
            open_timeout=self._patience,
        )
        try:
            auth = {"type": "auth", "token": self._token(self.who), "after": self.view.position}
            await raw.send(json.dumps(auth))
            while True:
                async with asyncio.timeout(self._patience):
                    text = await raw.recv()
                await self._take(raw, sojourn, str(text))
        finally:
            sojourn.code = raw.close_code
            assert raw.close_code not in range(4400, 4500), (self, raw.close_code, raw.close_reason)
            raw.transport.abort()

    async def _take(self, raw: ClientConnection, sojourn: Sojourn, text: str) -> None:
        frame = json.loads(text)
        if not self.is_staff:
            self.raw_text.append(text)
        match frame["type"]:
            case "ack" | "error" if "key" in frame:
                self._settle(sojourn, frame)
            case "error" if frame["code"] == "unavailable":
                pass  # it cannot enter now, and is sent away
            case "reset":
                self._begin_anew(frame)
            case "ping":
                await raw.send(json.dumps({"type": "pong", "seq": len(self.view.events)}))
            case _:
                self._apply(sojourn, frame)
        if frame["type"] == "caught_up":
            self._socket = raw
            sojourn.live = sojourn.live or time.monotonic()
            for key in self.waiting:
                self._send_soon(key, 0)

    def _begin_anew(self, frame: Frame) -> None:
        """Forget what was seen, and come back for all of it, as the history is not the hub's."""
        assert self.may_reset, (self, frame)
        self.resets.append(frame["reason"])
        self.view = View()
        self.received.clear()
        raise ConnectionResetError

    def _apply(self, sojourn: Sojourn, frame: Frame) -> None:
        try:
            self.view.apply(frame)
        except AssertionError as error:
            raise AssertionError(f"{self} at hub {sojourn.hub}: {error}") from error
        if frame["type"] == "event":
            self.received[frame["id"]] = (time.monotonic(), sojourn)

    def _settle(self, sojourn: Sojourn, frame: dict[str, Any]) -> None:
        key, now = frame["key"], time.monotonic()
        # A hub takes the frames of a socket one after the other.
        since, self._answered = max(self._sent_at[key], self._answered), now
        if frame["type"] == "error" and frame["code"] == "unavailable":
            self.sent[key].told.append(now - since)
            self._send_soon(key, RETRY_S)
            return
        sent = self.waiting.pop(key, None)
        if sent is None:
            return
        sent.answered, sent.hub, sent.seconds = now, sojourn.hub, now - since
        if frame["type"] == "ack":
            sent.ack = frame
        else:
            assert frame["code"] in ("conflict", "forbidden"), (self, sent.frame, frame)
            sent.refusal = frame["code"]

    def _send_soon(self, key: str, after: float) -> None:
        task = asyncio.create_task(self._send(key, after))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, key: str, after: float) -> None:
        await asyncio.sleep(after)
        if self._socket is not None and key in self.waiting:
            self._sent_at[key] = time.monotonic()
            try:
                await self._socket.send(json.dumps(self.waiting[key].frame))
            except LOST:
                return
