"""One WebSocket after its handshake: its outbox, its heartbeat, its end.

Knows nothing of ASGI: it writes ready frames to the transport, so that a delivery costs a system
call and little more.

Invariant: no queue is unbounded. A reader whose transport is full falls behind and is caught up
from the log; what answers its own frames waits until the transport has drained; and who does not
drain at all is let go.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from auth.principal import Principal
from hub.close_codes import CLOSE_ON_CUT, CloseCode
from hub.rate_limit import TokenBucket
from hub.server_frames import CaughtUp, Goodbye, ServerFrame, text_message
from rooms.cursor import Cursor
from rooms.encoding import Codec, draft_frames, to_json
from rooms.feed import Cut
from rooms.state import Run
from rooms.visits import Visit

UNSENT: Final = 65_536
"""Bytes that a connection gathers before it hands them to the transport at once."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a socket may do, and how long things may take; seconds and bytes."""

    auth_within: float
    heartbeat: float
    token_grace: float
    stall: float
    queue_bytes: int
    max_frame: int
    writes_per_s: float
    writes_burst: int
    signals_per_s: float
    signals_burst: int


class Socket(Protocol):
    """What a connection needs of its transport; no method waits or raises."""

    def write(self, data: bytes) -> None:
        """Send whole frames; nothing happens on a socket that is closing."""
        ...

    def buffered(self) -> int:
        """Bytes that the peer has not taken yet."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake; the peer has a little time to answer."""
        ...

    def abort(self) -> None:
        """Drop the peer at once, with whatever it has not taken."""
        ...


class Place(Protocol):
    """A reader's place in a room or at a desk."""

    closed: bool

    def resume(self) -> None:
        """Go on: the reader that was full can take more."""
        ...

    def close(self) -> None: ...


class Surroundings(Protocol):
    """What the connections of a process share."""

    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    tick: float
    """The monotonic time of the last sweep: cheap, and good enough for heartbeats."""

    def flush_soon(self, connection: "Connection") -> None:
        """Call `flush` when this turn of the event loop, and what follows from it, is over."""
        ...


class Connection:
    """A socket of one principal in one room, or at a desk; a `rooms.feed.Reader`."""

    __slots__ = (
        "_asked_at",
        "_cut",
        "_drained",
        "_limits",
        "_ponged",
        "_sent_at",
        "_signals",
        "_socket",
        "_stalled",
        "_surroundings",
        "_throttled",
        "_unsent",
        "_unsent_bytes",
        "_writable",
        "_writes",
        "bad_frames",
        "busy",
        "case",
        "closed",
        "code",
        "codec",
        "due",
        "id",
        "on_live",
        "ping",
        "principal",
        "subscription",
        "visit",
    )

    def __init__(
        self,
        id: str,
        case: str,
        socket: Socket,
        codec: Codec,
        limits: Limits,
        surroundings: Surroundings,
    ) -> None:
        self.id = id
        self.case = case
        """The room that it is in; empty at a desk."""
        self.codec = codec
        self.principal: Principal | None = None
        """Who is at the other end; None until `auth` has succeeded."""
        self.subscription: Place | None = None
        self.on_live: Callable[[], None] | None = None
        """Called whenever the reader has caught up."""
        self.ping: Callable[[], ServerFrame] | None = None
        """Makes the ping; None: nobody is let in yet."""
        self.busy = False
        """A frame of the client is being handled."""
        self.closed = False
        self.code: CloseCode | None = None
        """Why the hub closed it; None: it did not."""
        self.bad_frames = 0
        self.visit: Visit | None = None
        """What is remembered of it; None: it was let into no room."""
        self._socket = socket
        self._limits = limits
        self._surroundings = surroundings
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._writable = True
        self._drained: asyncio.Event | None = None
        self._stalled: tuple[float, int] | None = None
        """Since when the transport is full, and the bytes that it held then."""
        self._writes: TokenBucket | None = None
        self._signals: TokenBucket | None = None
        self._throttled = 0
        self._ponged = False
        self._asked_at: float | None = None
        """When the first ping was sent that nothing came after."""
        self._cut: Cut | None = None
        """Why the feed has let go of this reader, whose own frame is still being handled."""
        self._sent_at = surroundings.tick
        self.due = surroundings.tick + limits.heartbeat
        """When `sweep` has something to look at."""

    # Out.

    def write(self, data: bytes) -> bool:
        """Send a ready frame; False means that the transport is full.

        What is written in one turn of the event loop goes out in one system call: an event with
        the ack for it, and all events of a commit.
        """
        if not self._unsent:
            self._surroundings.flush_soon(self)
        self._unsent.append(data)
        self._unsent_bytes += len(data)
        self._sent_at = self._surroundings.tick
        if self._unsent_bytes > UNSENT:
            self.flush()
        return self._writable

    def flush(self) -> None:
        """Hand to the transport what was written."""
        if not self._unsent:
            return
        data = self._unsent[0] if len(self._unsent) == 1 else b"".join(self._unsent)
        self._unsent.clear()
        self._unsent_bytes = 0
        self._socket.write(data)
        if not self._writable and self._socket.buffered() > self._limits.queue_bytes:
            self.end(CloseCode.SLOW, "You read too slowly. Come back and resume.")

    def send(self, frame: ServerFrame) -> None:
        self.send_text(frame.encoded())

    def send_text(self, text: str) -> None:
        if not self.closed:
            self.write(text_message(text))

    def live(self, position: Cursor) -> None:
        if self.on_live is None:
            return
        self.send(CaughtUp(case=self.case, seq=position.seq))
        self.on_live()

    def answering(self, run: Run) -> None:
        for frame in draft_frames(self.case, run):
            self.send_text(to_json(frame))

    def cut(self, reason: Cut) -> None:
        if self.busy:
            self._cut = reason
            return
        messages = {
            Cut.CONTINUITY: "The history changed. Resume from your last cursor.",
            Cut.ARCHIVED: "This case was archived.",
            Cut.INTERNAL: "Something failed. Resume from your last cursor.",
        }
        self.end(CLOSE_ON_CUT[reason], messages[reason])

    def end(self, code: CloseCode, reason: str, in_ms: int = 0) -> None:
        """Say goodbye and close; harmless if that was done already."""
        if self.closed:
            return
        self.closed = True
        self.code = code
        goodbye = Goodbye(code=code, reason=reason, reconnect=code.reconnect, in_ms=in_ms)
        self._unsent.append(text_message(goodbye.encoded()))
        self.flush()
        self._release()
        self._socket.close(code, reason)

    def abort(self) -> None:
        """Drop the peer without a word."""
        self.closed = True
        self._release()
        self._socket.abort()

    def _release(self) -> None:
        if self.subscription is not None:
            self.subscription.close()
        if self._drained is not None:
            self._drained.set()

    # What the transport tells.

    def paused(self) -> None:
        """Note that the transport is full."""
        self._writable = False
        self._stalled = (self._surroundings.monotonic(), self._socket.buffered())
        self.due = min(self.due, self._surroundings.tick + self._limits.stall)

    def resumed(self) -> None:
        """Note that the transport has room again."""
        self._writable = True
        self._stalled = None
        if self._drained is not None:
            self._drained.set()
        if self.subscription is not None:
            self.subscription.resume()

    def lost(self) -> None:
        """Note that the peer is gone: nothing waits for it; what it had sent is still done."""
        self._writable = True
        self._stalled = None
        self._release()

    async def drained(self) -> None:
        """Wait until the transport has room: only then may the next answer be made."""
        if self._writable or self.closed:
            return
        self._drained = asyncio.Event()
        await self._drained.wait()

    # In.

    def heard(self) -> None:
        """Note a sign of life: a frame, which is about to be handled."""
        self.busy = True
        self._asked_at = None

    def answered(self) -> None:
        """Note that the frame was handled; what had to wait for its answer happens now."""
        self.busy = False
        # Meanwhile nothing was read: the answer to a ping may have come and not been heard.
        self._asked_at = None
        if self._cut is not None:
            self.cut(self._cut)

    def ponged(self, applied: int | None) -> None:
        """Note that this client answers pings: from now on it must. And what it has applied."""
        self._ponged = True
        if applied is not None and self.visit is not None:
            self.visit.confirm(applied, self._surroundings.now())

    def throttle(self, writes: bool) -> float:
        """Count a frame; 0, or the seconds that its sender should wait before the next."""
        limits, monotonic = self._limits, self._surroundings.monotonic
        if writes:
            bucket = self._writes = self._writes or TokenBucket(
                limits.writes_per_s, limits.writes_burst, monotonic
            )
        else:
            bucket = self._signals = self._signals or TokenBucket(
                limits.signals_per_s, limits.signals_burst, monotonic
            )
        wait = bucket.take()
        self._throttled = self._throttled + 1 if wait else 0
        if self._throttled > limits.signals_burst:
            self.end(CloseCode.RATE_LIMITED, "Too many frames.", in_ms=int(wait * 1000) + 1000)
        return wait

    # Time.

    def sweep(self) -> None:
        """Do what is due: drop a stalled peer, end an expired token, send a ping."""
        now = self._surroundings.tick
        if self.closed or now < self.due:
            return
        self.due = now + self._limits.heartbeat
        self._sweep_stall(now)
        self._sweep_token()
        self._sweep_heartbeat(now)

    def renewed(self) -> None:
        """Look at a new expiry of the token."""
        self._sweep_token()

    def _sweep_stall(self, now: float) -> None:
        if self._stalled is None:
            return
        since, held = self._stalled
        buffered = self._socket.buffered()
        if buffered >= held and now - since >= self._limits.stall:
            self.end(CloseCode.SLOW, "You stopped reading. Come back and resume.")
            self._socket.abort()
        elif buffered < held:
            self._stalled = (now, buffered)
        self._wake_at(now + self._limits.stall / 2)

    def _sweep_token(self) -> None:
        if self.principal is None or self.principal.expires_at is None:
            return
        end = self.principal.expires_at + timedelta(seconds=self._limits.token_grace)
        left = (end - self._surroundings.now()).total_seconds()
        if left <= 0:
            self.end(CloseCode.UNAUTHENTICATED, "Your token has expired. Come back with a new one.")
        else:
            self._wake_at(self._surroundings.tick + left)

    def _sweep_heartbeat(self, now: float) -> None:
        gone = self.subscription is None or self.subscription.closed
        if self.closed or self.ping is None or gone:
            return
        heartbeat = self._limits.heartbeat
        silent = self._asked_at is not None and now - self._asked_at >= 2 * heartbeat
        if silent and self._ponged and not self.busy:
            self.end(CloseCode.HEARTBEAT, "You did not answer. Come back and resume.")
            return
        if now - self._sent_at >= heartbeat:
            self.send(self.ping())
            self._asked_at = now if self._asked_at is None else self._asked_at
        self._wake_at(self._sent_at + heartbeat)

    def _wake_at(self, when: float) -> None:
        self.due = min(self.due, when)
