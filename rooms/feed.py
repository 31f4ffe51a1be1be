"""Ordered delivery of a room to the readers of this process.

A `Stream` is one audience's view. It knows the last event that it has delivered, and takes from
the broker only the event that comes next: an old one is dropped, a hole is filled from the log.

A `Subscription` is one reader. It is *live*, and then it stands where its stream stands; or it is
*behind*, and then all that is kept for it is a cursor, from which it catches up by reading the
log. A new reader and a slow one are the same thing. Going live happens in the very moment in
which both positions are equal, without an await between.

An answer that the AI is writing is shown piece by piece as signals. A stream follows it, so that a
reader who comes in the middle is told how far it is, and fills a hole from the log as well.

Invariant: what a reader is given has no hole, no double and no wrong order; if that cannot be
kept, because the log is not the one that its cursor came from, the reader is cut. After a
takeover nobody is given a character of an answer that was begun before it.
"""

from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

import structlog

from rooms.broker import Hint
from rooms.cursor import START, Cursor
from rooms.encoding import Codec, Record, RunSignal, Signal
from rooms.errors import CursorLost, Unavailable
from rooms.events import Audience, Control, Status
from rooms.state import Answer, Progress, RoomState, Run, RunState

logger = structlog.get_logger()

OVER: Final = 16
"""Answers whose end a stream remembers; hints do not come later than that many answers."""

REPAIRS: Final = 16
"""Repairs that a stream remembers."""

Spawn = Callable[[Coroutine[Any, Any, None]], None]
"""Start a task that somebody owns."""


class Cut(StrEnum):
    """Why a feed lets go of a reader."""

    CONTINUITY = "continuity"
    """The log is not the one that the reader has seen; it should come back and be told so."""
    ARCHIVED = "archived"
    INTERNAL = "internal"


class Reader(Protocol):
    """The far end of a subscription. No method waits, calls back or raises."""

    codec: Codec

    def write(self, data: bytes) -> bool:
        """Take the bytes. False: take no more until `Subscription.resume` is called."""
        ...

    def live(self, position: Cursor) -> None:
        """Learn that everything up to here was written and that what happens now follows."""
        ...

    def answering(self, run: Run) -> None:
        """Learn how far the AI is with its answer; the pieces that follow come as signals."""
        ...

    def cut(self, reason: Cut) -> None: ...


class LogReader(Protocol):
    """What a feed needs of the log."""

    async def read(self, case: str, audience: Audience, after: Cursor) -> list[Record]: ...

    async def heads(self, cases: list[str]) -> dict[str, dict[Audience, Cursor]]: ...

    async def state(self, case: str) -> RoomState | None: ...

    async def answer(self, case: str, run: str) -> Answer | None: ...


class Subscription:
    """A reader's place in a stream: behind at first, until `start`; call `close` at last."""

    __slots__ = (
        "_busy",
        "_cut",
        "_full",
        "_started",
        "_stream",
        "by",
        "closed",
        "position",
        "reader",
        "saw",
    )

    def __init__(self, stream: "Stream", reader: Reader, by: str) -> None:
        self._stream = stream
        self.reader = reader
        self.by = by
        """The principal who reads; signals that they caused are not for them."""
        self.position = START
        """The last event written, while behind."""
        self.saw: Run | None = None
        """The answer in flight when it joined, or fell behind."""
        self._busy = True
        self._full = False
        self._started = False
        self._cut: Cut | None = None
        self.closed = False

    async def start(self, position: Cursor) -> None:
        """Begin after `position`, which must stand in the log.

        Raises:
            Unavailable: the log cannot be read.

        """
        self._started = True
        self.position = position
        if self._cut is not None:
            self.reader.cut(self._cut)
        await self._catch_up()

    def cut(self, reason: Cut) -> None:
        """Close, and tell the reader why: at its start, if it has yet to be let in."""
        self._cut = reason
        self.close()
        if self._started:
            self.reader.cut(reason)

    def resume(self) -> None:
        """Go on: the reader that was full can take more."""
        self._full = False
        self.nudge()

    def nudge(self) -> None:
        """Go on if there is something to go on with, and nothing that holds it up."""
        if self.closed or self._busy or self._full or self._stream.is_live(self):
            return
        self._busy = True
        self._stream.spawn(self._catch_up)

    def write(self, data: bytes | None) -> bool:
        """Hand bytes to the reader; False: it is full."""
        if data is not None and not self.reader.write(data):
            self._full = True
        return not self._full

    @property
    def audience(self) -> Audience:
        return self._stream.audience

    @property
    def reached(self) -> Cursor:
        """The last event that its reader was handed."""
        return self._stream.position if self._stream.is_live(self) else self.position

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.position = self.reached
            self._stream.leave(self)

    async def _catch_up(self) -> None:
        """Write what the log has after `position`; go live, or stay behind a full reader."""
        self._busy = True
        try:
            while not self.closed and self.position.seq < self._stream.position.seq:
                if not self._write_all(await self._stream.read(self.position)):
                    return
            if not self.closed:
                self._stream.go_live(self)
        except CursorLost:
            self._stream.lose()
        finally:
            self._busy = False

    def _write_all(self, records: list[Record]) -> bool:
        end = self._stream.position.seq
        for record in records:
            if self.closed or record.cursor.seq > end:
                break
            self.position = record.cursor
            if not self.write(record.encoded(self.reader.codec)):
                return False
        return bool(records)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a stream has come, and in which way."""

    audience: Audience
    since: int
    """The head when its first reader came: only what is after it is heard of."""
    position: int
    repairs: tuple[tuple[int, int], ...]
    """The first and the last `seq` of what it last had to read from the log, hints being late or
    lost; all else came by hints.
    """


class Stream:
    """One audience's view of one room: its position, and its readers in this process."""

    def __init__(self, feed: "Feed", audience: Audience) -> None:
        self._feed = feed
        self.audience = audience
        self._position: Cursor | None = None
        self._newest = 0
        """The highest `seq` that was heard of."""
        self._live: dict[Subscription, None] = {}
        self._behind: dict[Subscription, None] = {}
        self._repairing = False
        self._archived = False
        self._run: Run | None = None
        """The answer that live readers see growing."""
        self._hushed: Run | None = None
        """One that live readers still see, though a person took over: they learn that it is over
        when they learn of that.
        """
        self._over: deque[str] = deque(maxlen=OVER)
        """The last answers that are known to have ended: what comes of them late is not shown."""
        self._end: RunSignal | None = None
        """The last end of a run that live readers were told."""
        self._known = 0
        """The staff head up to which it is known which answers have begun."""
        self._ai_fence = 0
        """The fence of the newest takeover; what an older run says is not shown."""
        self.fence = 0
        """The fence of the newest change of control that live readers were told of."""
        self._early = False
        """An answer has begun after a change of control that they were not told of yet."""
        self._asking = False
        self._missed = False
        """Steps of an answer came before this stream had a place."""
        self._since = 0
        self._repairs: tuple[tuple[int, int], ...] = ()

    @property
    def placed(self) -> bool:
        return self._position is not None

    @property
    def position(self) -> Cursor:
        """The last event that live readers were given."""
        assert self._position is not None  # noqa: S101 - `place` comes before it is asked for
        return self._position

    @property
    def standing(self) -> Standing:
        return Standing(self.audience, self._since, self.position.seq, self._repairs)

    @property
    def _seen(self) -> Run | None:
        """The answer that live readers see, whether it grows or not."""
        return self._run or self._hushed

    @property
    def empty(self) -> bool:
        return not self._live and not self._behind

    def subscribe(self, reader: Reader, by: str) -> Subscription:
        subscription = Subscription(self, reader, by)
        self._behind[subscription] = None
        return subscription

    def place(self, state: RoomState) -> None:
        """Learn the state of the room, as it was read after this stream was registered.

        What was committed before is in it, and what is committed after it is heard of.
        """
        head = state.head(self.audience)
        self._newest = max(self._newest, head.seq)
        self._ai_fence = max(self._ai_fence, state.ai_fence)
        if self._run is not None and self._run.fence < self._ai_fence:
            # Who joins now knows already that a person leads the case; the others will hear of it.
            self._hushed, self._run = self._run, None
        if self._position is None:
            self._position = head
            self._since = head.seq
            self._known = state.staff.seq
            self.fence = state.fence
            self._run = state.run
            if self._missed:
                self._ask()
        self._repair()

    async def read(self, after: Cursor) -> list[Record]:
        return await self._feed.log.read(self._feed.case, self.audience, after)

    def spawn(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._feed.spawn(self._contained(work))

    def is_live(self, subscription: Subscription) -> bool:
        return subscription in self._live

    def go_live(self, subscription: Subscription) -> None:
        """Let a subscription join the live ones, if it stands where they stand."""
        if subscription.position == self.position:
            del self._behind[subscription]
            self._live[subscription] = None
            subscription.reader.live(self.position)
            self._tell_answer(subscription)
            if self._archived:
                subscription.cut(Cut.ARCHIVED)
        elif subscription.position.seq > self.position.seq:
            # Its reader comes from a process that heard of more than this one has yet.
            self._newest = max(self._newest, subscription.position.seq)
            self._repair()
        else:
            self.lose()

    def _tell_answer(self, subscription: Subscription) -> None:
        """Tell a reader that was behind of the answer in flight, or that the one it saw is over."""
        saw, subscription.saw = subscription.saw, None
        if self._run is not None and self._run.id not in self._over:
            subscription.reader.answering(self._run)
        elif saw is not None and (self._seen is None or self._seen.id != saw.id):
            end = self._end
            if end is None or end.step.run != saw.id:
                step = Progress(saw.id, saw.fence, RunState.STOPPED)
                end = RunSignal(self._feed.case, self.audience, step)
            if not subscription.write(end.encoded(subscription.reader.codec)):
                self._fall_behind(subscription)

    def leave(self, subscription: Subscription) -> None:
        self._live.pop(subscription, None)
        self._behind.pop(subscription, None)
        if self.empty:
            self._feed.left(self)

    def offer(self, record: Record) -> None:
        """Hear of an event of the log."""
        self._newest = max(self._newest, record.cursor.seq)
        if self._position is None:
            return
        if record.previous == self._position:
            self._deliver(record)
        elif record.cursor.seq > self._position.seq + 1:
            self._repair()
        elif record.cursor != self._position:
            # Late, or from a log that went back in time: the log itself knows which.
            self._feed.spawn_audit()

    def signal(self, signal: Signal) -> None:
        """Tell the live readers; those behind would only learn what is over."""
        if isinstance(signal, RunSignal):
            if not self._follow(signal.step):
                return
            self._end = signal if signal.step.state.over else self._end
        for subscription in list(self._live):
            own = signal.by is not None and signal.by == subscription.by
            if not own and not subscription.write(signal.encoded(subscription.reader.codec)):
                self._fall_behind(subscription)

    def _follow(self, step: Progress) -> bool:
        """Follow an answer; True if its next step may be shown."""
        self._missed = self._missed or self._position is None
        if self._position is None or step.fence < self._ai_fence:
            return False
        known = self._run is not None and self._run.id == step.run
        if step.state.over:
            self._over.append(step.run)
            self._run = None if known else self._run
            return known
        if step.run in self._over or self._is_early(step.fence):
            return False
        if step.state is RunState.THINKING:
            return not known and self._begin(step)
        if self._run is None or not known:
            self._ask()
            return False
        return self._grow(self._run, step)

    def _begin(self, step: Progress) -> bool:
        """Follow a new answer; False if this comes so late that it must be over."""
        begun = self._known if step.begun is None else step.begun
        if begun < self._known:
            return False
        self._known = begun
        self._end_unheard()
        self._run = Run(step.run, step.fence)
        return True

    def _end_unheard(self) -> None:
        """Tell live readers that an answer is over of whose end no hint has told."""
        if self._run is None:
            return
        run, self._run = self._run, None
        step = Progress(run.id, run.fence, RunState.STOPPED)
        self._end = RunSignal(self._feed.case, self.audience, step)
        self._over.append(run.id)
        for subscription in list(self._live):
            if not subscription.write(self._end.encoded(subscription.reader.codec)):
                self._fall_behind(subscription)

    def _grow(self, run: Run, step: Progress) -> bool:
        if step.i is not None and step.i > run.pieces:
            self._ask()
            return False
        if step.i == run.pieces:
            self._run = run.plus(step.text)
            return True
        return step.i is None and run.pieces == 0

    def _is_early(self, fence: int) -> bool:
        """Tell whether live readers do not know yet that the AI may answer again."""
        if fence <= self.fence:
            return False
        self._early = True
        self._ask()
        return True

    def _ask(self) -> None:
        """Ask the log how far the answer is."""
        if not self._asking:
            self._asking = True
            self.spawn(self._compare)

    async def _compare(self) -> None:
        shown = self._run
        self._early = False
        try:
            state = await self._feed.log.state(self._feed.case)
            if state is not None and state.run is None and shown is not None:
                await self._conclude(shown)
        finally:
            self._asking = False
        if state is not None:
            self._known = max(self._known, state.staff.seq)
            self._newest = max(self._newest, state.head(self.audience).seq)
            self._repair()
            if state.run is not None and state.run.fence >= self._ai_fence:
                self._catch_up_with(shown, state.run)

    async def _conclude(self, shown: Run) -> None:
        """Tell how an answer ended whose end no hint told."""
        answer = await self._feed.log.answer(self._feed.case, shown.id)
        if answer is not None and answer.state.over:
            step = Progress(shown.id, shown.fence, answer.state, message_id=answer.message_id)
            self.signal(RunSignal(self._feed.case, self.audience, step))

    def _catch_up_with(self, shown: Run | None, run: Run) -> None:
        """Show what the log has of an answer, if that is more than what was shown."""
        now = self._run
        if run.fence > self.fence:
            self._early = True
            return
        if run.id in self._over:
            return
        if now is not None and now.id == run.id:
            if run.pieces <= now.pieces:
                return
        elif now is not shown:
            # Another answer has begun since the log was read.
            return
        else:
            self._end_unheard()
        self._run = run
        for subscription in list(self._live):
            subscription.reader.answering(run)

    def check(self, before: Cursor, head: Cursor) -> None:
        """Compare with a head that was read from the log while the position was `before` or later.

        A log only grows, so a head that is not at or after `before` is that of another log.
        """
        if head.seq < before.seq or (head.seq == before.seq and head != before):
            self.lose()
            return
        self._newest = max(self._newest, head.seq)
        if self._run is not None or self._early:
            self._ask()
        self._repair()
        self._nudge()

    def lose(self) -> None:
        """Cut all readers: they saw a log that is not this one."""
        at = str(self._position)
        logger.warning("continuity_lost", case=self._feed.case, audience=self.audience, at=at)
        self.cut(Cut.CONTINUITY)

    def cut(self, reason: Cut) -> None:
        for subscription in [*self._live, *self._behind]:
            subscription.cut(reason)

    def archive(self) -> None:
        """Let go of every reader that has everything, now and as soon as it has."""
        self._archived = True
        for subscription in list(self._live):
            subscription.cut(Cut.ARCHIVED)

    def _deliver(self, record: Record) -> None:
        self._position = record.cursor
        codec = data = None
        for subscription in list(self._live):
            if subscription.reader.codec is not codec:
                codec = subscription.reader.codec
                data = record.encoded(codec)
            if not subscription.write(data):
                self._fall_behind(subscription)
        match record.kind:
            case "status" if record.data["to"] == Status.ARCHIVED:
                self.archive()
            case "control":
                self._change_hands(record.data)
            # In a frame every quote inside of a string is escaped: this is a member.
            case "message" if '"run":"' in record.frame:
                self._over.append(record.data["run"])
            case _:
                pass

    def _change_hands(self, change: dict[str, Any]) -> None:
        self.fence = change["fence"]
        if change["control"] == Control.HUMAN:
            self._ai_fence = max(self._ai_fence, self.fence)
            self._run, self._hushed = self._seen, None
            self._end_unheard()
        if self._early:
            self._ask()

    def _fall_behind(self, subscription: Subscription) -> None:
        if subscription in self._live:
            del self._live[subscription]
            self._behind[subscription] = None
            subscription.position = self.position
            subscription.saw = self._seen

    def _nudge(self) -> None:
        for subscription in list(self._behind):
            subscription.nudge()

    def _repair(self) -> None:
        if not self._repairing and self._newest > self.position.seq:
            self._repairing = True
            self.spawn(self._fill)

    async def _fill(self) -> None:
        """Deliver from the log what was heard of and did not come."""
        try:
            while self.position.seq < self._newest:
                heard = self._newest
                records = await self.read(self.position)
                before = self.position.seq
                for record in records:
                    if record.previous == self.position:
                        self._deliver(record)
                self._note_repair(before + 1, self.position.seq)
                if not records and self._newest == heard:
                    # The log has less than was heard of. If it went back in time, an audit tells.
                    self._newest = self.position.seq
                    self._cut_those_ahead()
        except CursorLost:
            self.lose()
        finally:
            self._repairing = False
        self._nudge()

    def _note_repair(self, first: int, last: int) -> None:
        earlier = self._repairs
        if earlier and earlier[-1][1] == first - 1:
            earlier, first = earlier[:-1], earlier[-1][0]
        if first <= last:
            self._repairs = (*earlier[1 - REPAIRS :], (first, last))

    def _cut_those_ahead(self) -> None:
        """Cut the readers that stand where the log, as it is now, does not reach."""
        for subscription in list(self._behind):
            if subscription.position.seq > self.position.seq:
                subscription.cut(Cut.CONTINUITY)

    async def _contained(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Keep a failure within this stream; the next audit tries again."""
        try:
            await work()
        except Unavailable:
            logger.warning("feed_waits_for_log", case=self._feed.case, audience=self.audience)
        except Exception:
            logger.exception("feed_failed", case=self._feed.case, audience=self.audience)
            self.cut(Cut.INTERNAL)


class Feed:
    """The streams of one room in this process."""

    def __init__(
        self, case: str, log: LogReader, spawn: Spawn, emptied: Callable[["Feed"], None]
    ) -> None:
        self.case = case
        self.log = log
        self.spawn = spawn
        self._emptied = emptied
        self._streams: dict[Audience, Stream] = {}
        self._auditing = False

    def stream(self, audience: Audience) -> Stream:
        if audience not in self._streams:
            self._streams[audience] = Stream(self, audience)
        return self._streams[audience]

    def receive(self, hint: Hint) -> None:
        stream = self._streams.get(hint.audience)
        if stream is None:
            return
        if isinstance(hint, Record):
            stream.offer(hint)
        else:
            stream.signal(hint)

    def head(self, audience: Audience) -> Cursor:
        """Give the last event that live readers of this audience have."""
        return self._streams[audience].position

    @property
    def fence(self) -> int:
        """The fence of the newest change of control that any live readers were told of."""
        return max((stream.fence for stream in self._streams.values()), default=0)

    def knows(self, fence: int) -> bool:
        """Tell whether live readers of the patient's view, if any, know of a change of control."""
        stream = self._streams.get(Audience.PATIENT)
        return stream is None or stream.fence >= fence

    def positions(self) -> dict[Audience, Cursor]:
        return {name: stream.position for name, stream in self._streams.items() if stream.placed}

    def standings(self) -> list[Standing]:
        return [stream.standing for stream in self._streams.values() if stream.placed]

    def check(self, before: dict[Audience, Cursor], heads: dict[Audience, Cursor]) -> None:
        for audience, position in before.items():
            stream = self._streams.get(audience)
            # Meanwhile the last reader may have left, and a new one come, for whom a new stream
            # is being placed.
            if stream is not None and stream.placed:
                stream.check(position, heads.get(audience, START))

    def left(self, stream: Stream) -> None:
        if self._streams.get(stream.audience) is stream:
            del self._streams[stream.audience]
        if not self._streams:
            self._emptied(self)

    def cut(self, reason: Cut) -> None:
        """Let go of every reader."""
        for stream in list(self._streams.values()):
            stream.cut(reason)

    def spawn_audit(self) -> None:
        if not self._auditing:
            self._auditing = True
            self.spawn(self._audit())

    async def _audit(self) -> None:
        try:
            await audit(self.log, [self])
        finally:
            self._auditing = False


async def audit(log: LogReader, feeds: list[Feed]) -> None:
    """Compare the positions of feeds with the heads of the log, in one query for all of them.

    This finds what no hint told: events whose hints were all lost, and a log that went back in
    time. If the log cannot be read, nothing changes and the next audit finds it.
    """
    before = [(feed, feed.positions()) for feed in feeds]
    try:
        heads = await log.heads([feed.case for feed in feeds])
    except Unavailable:
        logger.warning("audit_waits_for_log", feeds=len(feeds))
        return
    for feed, positions in before:
        feed.check(positions, heads.get(feed.case, {}))
