"""Rooms: the only door through which the edges reach a room.

One way in: `handle` takes every command. One way out: `join` gives every reader its subscription.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

import structlog

from auth.principal import Principal
from rooms.attendance import Attendance, RollCall
from rooms.broker import Broker, Hint
from rooms.commands import Command, MarkRead, SendMessage
from rooms.core import actor_of
from rooms.cursor import START, Cursor
from rooms.database import Database
from rooms.encoding import Record, Signal, to_json
from rooms.errors import Code, Rejected, ResetReason, Unavailable, forbidden
from rooms.events import Audience, Status
from rooms.feed import Cut, Feed, Reader, Standing, Subscription, audit
from rooms.flags import Flags
from rooms.log import Log, Receipt
from rooms.presence import BEAT, GRACE, Presence, Present
from rooms.reads import TimelineEntry
from rooms.revocations import Revocations
from rooms.state import Alarm, Policy, RoomState, audience_of, may_enter
from rooms.tasks import Tasks
from rooms.timers import Timers
from rooms.uploads import Uploads
from rooms.visits import Visits
from rooms.whereabouts import Whereabouts, whereabouts

logger = structlog.get_logger()

LEASE: Final = timedelta(seconds=8)
"""How long a dead process keeps its tasks."""
AUDIT_EVERY: Final = 5.0
"""Seconds between two comparisons of the feeds with the log."""
PAGE_BYTES: Final = 524_288
"""Most bytes of events in one answer."""
CONVERSATION: Final = 500
"""Events that the AI is told at most."""
AT_ONCE: Final = 500
"""Most cases that are read by one query."""
MISSED: Final = 50
"""Most events in a `stale` answer."""


@dataclass(frozen=True, slots=True)
class Joined:
    """A reader that is registered and not yet started: call `subscription.start(start)`."""

    state: RoomState
    subscription: Subscription
    start: Cursor
    """After which event the reader begins."""
    head: Cursor
    resumed: bool
    """The reader's own cursor was honoured."""
    reset: ResetReason | None
    """Why it was not, if it had one."""


@dataclass(frozen=True, slots=True)
class Page:
    """Events of one audience's view, in order, as `event` frames."""

    frames: list[str]
    cursor: Cursor
    """Of the last event here: after it the next page begins."""
    more: bool


@dataclass(frozen=True, slots=True)
class Owner:
    """Who leads a case, if a person does, since the change of control with this fence."""

    fence: int
    id: str | None
    name: str | None


NOBODY: Final = Owner(0, None, None)


def _owner_of(state: RoomState) -> Owner:
    return Owner(state.fence, state.owner_id, state.owner_name)


@dataclass(frozen=True, slots=True)
class Conversation:
    """What the AI may know of a case."""

    state: RoomState
    events: list[dict[str, Any]]
    """`event` frames as the patient sees them, in order."""
    briefs: dict[str, str]
    """What whoever released the case told the AI, by the id of the event."""


class Rooms:
    """Every room of this process, over one log and one broker."""

    def __init__(
        self,
        database: Database,
        broker: Broker,
        *,
        now: Callable[[], datetime],
        new_id: Callable[[str], str],
        process: str | None = None,
        audit_every: float = AUDIT_EVERY,
        policy: Policy | None = None,
        detect: Callable[[str], Alarm | None] = lambda text: None,
        lease: timedelta = LEASE,
        poll: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
        grace: float = GRACE,
        beat: float = BEAT,
    ) -> None:
        """Make the rooms of a process.

        Args:
            database: where the log is; it is opened and closed with the rooms.
            broker: carries hints to the other processes, and to this one.
            now: aware UTC.
            new_id: makes an id from a prefix.
            process: an id that no other process has, nor this one had before it was restarted.
            audit_every: seconds between two comparisons of the feeds with the log.
            policy: what holds for tenants whose supervisors have not changed it.
            detect: finds what a patient's words set off.
            lease: how long a dead process keeps its tasks.
            poll: seconds between two looks for tasks.
            monotonic: seconds.
            grace: seconds for which somebody is present after their last connection.
            beat: seconds between two signs of life to the other processes.

        """
        self._database = database
        self._broker = broker
        self._new_id = new_id
        self._audit_every = audit_every
        self._feeds: dict[str, Feed] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self.committed = 0
        """Events that this process has committed."""
        self._detect = detect
        process = process or new_id("process")
        self.presence = Presence(process, monotonic=monotonic, grace=grace, beat=beat)
        self.presence.changed = self._tell_presence
        self.presence.announce = lambda hint: broker.publish([hint])
        self._now = now
        self.visits = Visits(now)
        self.started: datetime
        """Since when visits are known."""
        self.gap_at: datetime | None = None
        """When hints of others may have been missed, the last time."""
        self.flags = Flags(database, policy or Policy(), now=now)
        self.revocations = Revocations(database, now=now)
        self.uploads = Uploads(database, now=now, new_id=new_id)
        self.tasks = Tasks(database, now=now, holder=process, lease=lease, poll=poll)
        self.log = Log(
            database, now=now, new_id=new_id, committed=self._ring, promised=self.tasks.wake
        )
        self.timers = Timers(database, self.log, self.presence, now=now, policy=self.flags.policy)
        self.timers.serve(self.tasks)
        self._away_after = (policy or Policy()).away_after
        self._owners: dict[str, Owner] = {}
        """Who leads the cases that have readers here."""
        self._shown: dict[str, Owner] = {}
        """And who leads them as far as their patients were shown."""
        self._auditing = False
        self._listeners: list[Callable[[Hint], None]] = []
        broker.attach(self._receive)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open the database and own every task of the rooms; what was acknowledged is stored."""
        await self._database.create()
        self.started = self._now()
        try:
            await self.flags.load()
            await self.revocations.load()
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                own = [
                    tasks.create_task(self.log.run()),
                    tasks.create_task(self._audit()),
                    tasks.create_task(self.flags.run()),
                    tasks.create_task(self.revocations.run()),
                    tasks.create_task(self.presence.run()),
                    tasks.create_task(self.uploads.run()),
                    tasks.create_task(self.timers.run(self._away_after)),
                ]
                working = tasks.create_task(self.tasks.run())
                yield
                working.cancel()
                await asyncio.wait([working])
                await self.log.idle()
                for task in own:
                    task.cancel()
        finally:
            self._tasks = None
            await self._database.close()

    # In.

    async def identify(self, by: Principal) -> Principal:
        """Find the patient behind a user whose token does not name one."""
        if by.is_staff or by.patient_id is not None:
            return by
        return replace(by, patient_id=await self.log.patient_of(by.tenant, by.id))

    async def enter(self, case: str, by: Principal) -> RoomState:
        """Check the right to a case, and give its state.

        Raises:
            Rejected: there is no such case, or no right to it; the two are one answer.

        """
        state = await self.log.state(case) if _can_be_id(case) else None
        if state is None or not may_enter(state, by):
            raise forbidden()
        return state

    async def handle(
        self, case: str, command: Command, by: Principal, key: str, *, echo: bool = True
    ) -> Receipt:
        """Let a command happen, and return when what it did is durable.

        The same `key` of the same sender gets the first receipt again. `echo` shows the key in
        the event, so that the author's clients recognise their own message.

        Raises:
            Malformed: it is not what its kind of event may hold.
            Rejected: a rule of the room forbids it, or `key` was used for something else.
            Unavailable: it is not known to be stored; the same key may be sent again.

        """
        if not _can_be_id(case):
            raise forbidden()
        if isinstance(command, SendMessage) and command.reply_to is not None:
            await self._check_reply(case, command.reply_to, by)
        policy = self.flags.policy(by.tenant)
        alarm = self._alarm(command, by)
        try:
            return await self.log.append(
                case, command, by, key, echo=echo, policy=policy, alarm=alarm
            )
        except Rejected as error:
            if error.code is Code.STALE and isinstance(command, SendMessage):
                missed = await self._missed(case, command.seen or 0)
                raise Rejected(error.code, error.message, {"missed": missed}) from error
            raise

    async def answers(self) -> bool:
        """Tell whether the log can be read."""
        try:
            await self.log.heads([""])
        except Unavailable:
            return False
        return True

    async def whereabouts(self, tenant: str, id: str, case: str | None) -> Whereabouts | None:
        """Find an event by its id.

        Raises:
            Unavailable: the log cannot be read, or not in time.

        """
        return await whereabouts(self._database, tenant, id, case) if _can_be_id(id) else None

    def new_case(self) -> str:
        return self._new_id("case")

    # Out.

    async def join(
        self,
        case: str,
        by: Principal,
        audience: Audience,
        reader: Reader,
        *,
        after: Cursor | None,
        tail: int,
    ) -> Joined:
        """Register a reader after its cursor, or at the last `tail` events if it has none.

        Whatever happens from now on, the subscription will hand it on: without hole or double.

        Raises:
            Rejected: no right to the case, or the case is archived.
            Unavailable: the log cannot be read.

        """
        if not _can_be_id(case):
            raise forbidden()
        # First registered, then read: what is committed meanwhile is heard of.
        stream = self._feed(case).stream(audience)
        subscription = stream.subscribe(reader, by.id)
        try:
            entrance = await self.log.entrance(case, by, audience, after, tail)
            state = entrance.state
            if state is None:
                raise forbidden()
            head = state.head(audience)
            resumed = after is not None and entrance.reset is None
            if state.status is Status.ARCHIVED:
                if not resumed or entrance.start == head:
                    raise Rejected(Code.CLOSED, "This case is archived.")
                stream.archive()
        except BaseException:
            subscription.close()
            raise
        stream.place(state)
        subscription.saw = state.run
        # Whoever is here already is told of a change of it by hints, and not by who joins.
        if (feed := self._feeds.get(case)) is not None:
            owner = self._owners.setdefault(case, _owner_of(state))
            self._shown.setdefault(case, owner)
            self._show_owner(feed)
        return Joined(state, subscription, entrance.start, head, resumed, entrance.reset)

    def head(self, case: str, audience: Audience) -> Cursor:
        """Give the last event that the readers of a joined room have here."""
        return self._feeds[case].head(audience)

    def standings(self, case: str) -> list[Standing]:
        """Tell how far the readers of a case have come here; nothing if it has none."""
        feed = self._feeds.get(case)
        return [] if feed is None else feed.standings()

    async def page(
        self, case: str, audience: Audience, after: Cursor, limit: int, kind: str = ""
    ) -> Page:
        """Read the events after a cursor; fewer than `limit` if they are large.

        Raises:
            CursorLost: the cursor does not stand in this log.

        """
        records = await self.log.read(case, audience, after, limit + 1, kind)
        kept = _within(records[:limit], PAGE_BYTES)
        cursor = kept[-1].cursor if kept else after
        return Page([record.frame for record in kept], cursor, len(kept) < len(records))

    async def history(
        self,
        case: str,
        audience: Audience,
        before: int | None,
        limit: int,
        max_bytes: int = PAGE_BYTES,
    ) -> Page:
        """Read the last events below `before`, in order; fewer if they are larger than `max_bytes`.

        `more` tells whether there are events below these.
        """
        records = await self.log.read_before(case, audience, before, limit)
        kept = _within(records[::-1], max_bytes)[::-1]
        last = kept[-1].cursor if kept else START
        return Page([record.frame for record in kept], last, bool(kept) and kept[0].cursor.seq > 1)

    async def timeline(
        self, case: str, by: Principal, channels: Sequence[str], before: int | None, limit: int
    ) -> tuple[list[TimelineEntry], bool]:
        """Read what was said on all channels, the newest first; and whether there is more."""
        entries = await self.log.timeline(case, audience_of(by), channels, before, limit + 1)
        kept = _within(entries[:limit], PAGE_BYTES)
        return kept, len(kept) < len(entries)

    # Signals.

    def typing(self, case: str, by: Principal, on: bool, in_note: bool) -> None:
        """Tell that somebody types. Patients never learn that a note is being typed.

        Raises:
            Rejected: a patient would type a note.

        """
        if in_note and not by.is_staff:
            raise Rejected(Code.FORBIDDEN, "Only staff may do this.")
        who = {"type": actor_of(by).type.value, "name": by.name}
        frame = {"type": "typing", "case": case, "who": who, "on": on}
        where = "note" if in_note else "message"
        self._signal(case, Audience.STAFF, {**frame, "in": where}, by)
        if not in_note:
            self._signal(case, Audience.PATIENT, frame, by)

    async def read(self, case: str, by: Principal, seq: int) -> None:
        """Tell how far somebody has read: a patient to everybody, staff to staff only.

        Raises:
            Rejected: there is no such event in the reader's own numbering.

        """
        who = {"type": actor_of(by).type.value, "name": by.name}
        frame = {"type": "read", "case": case, "who": who, "seq": seq}
        audience = audience_of(by)
        if await self.log.cursor_at(case, audience, seq) is None:
            raise Rejected(Code.NOT_FOUND, f"There is no event {seq} here.")
        staff_seq: int | None = seq
        if audience is Audience.PATIENT:
            staff_seq = await self.log.staff_seq(case, seq)
            self._signal(case, Audience.PATIENT, frame, by)
        else:
            await self._mark_read(case, by, seq)
        self._signal(case, Audience.STAFF, {**frame, "seq": staff_seq or 0}, by)

    def arrive(self, case: str, connection: str, by: Principal) -> None:
        """Note that a connection of this principal is in the room, and tell the others."""
        self.presence.enter(case, connection, by)

    def depart(self, case: str, connection: str) -> None:
        """Note that a connection has ended; the others are told after a time of grace."""
        by = self.presence.whose(case, connection)
        if by is not None:
            self.presence.leave(case, connection)
            self._note_absence(by)

    def appear(self, by: Principal) -> None:
        """Note a connection that is in no room, such as a desk's."""
        self.presence.appear(by)

    def vanish(self, by: Principal) -> None:
        self.presence.vanish(by)
        self._note_absence(by)

    def notice(self, by: Principal) -> None:
        """Note that somebody asks for something: an owner who does is not away."""
        self.timers.notice(by)

    def presence_frame(self, case: str) -> dict[str, Any]:
        """Give the `presence` frame of staff."""
        return _presence_frame(case, self.presence.present(case))

    def patient_presence_frame(self, case: str) -> dict[str, Any]:
        """Give the `presence` frame of patients: only who leads their case is their business."""
        owner = self._shown.get(case, NOBODY)
        return {
            "type": "presence",
            "case": case,
            "coordinator": owner.name,
            "online": self.presence.present(case).has(owner.id),
        }

    # For the AI.

    async def conversation(self, case: str) -> Conversation | None:
        """Give what the AI may know of a case: the patient's view, and the briefs of releases."""
        state = await self.log.state(case)
        if state is None:
            return None
        records = await self.log.read_before(case, Audience.PATIENT, None, CONVERSATION)
        briefs = await self.log.briefs(case)
        events = [json.loads(record.frame) for record in records]
        if briefs and not any(event["id"] in briefs for event in events):
            # However long ago it was: what the last coordinator said holds.
            changes = await self.log.read(case, Audience.PATIENT, START, CONVERSATION, "control")
            released = [json.loads(record.frame) for record in changes]
            events[:0] = [event for event in released if event["id"] in briefs][-1:]
        return Conversation(state, events, briefs)

    # Inside.

    def _note_absence(self, by: Principal) -> None:
        if by.is_staff and not self.presence.is_connected(by.tenant, by.id):
            self._spawn(self.timers.note({(by.tenant, by.id)}))

    def _tell_presence(self, case: str, before: Present, now: Present, by: str | None) -> None:
        """Tell the readers here who is present: each process does, so no other one hears of it.

        Patients are told only if whoever leads their case has come or gone.
        """
        if case not in self._feeds:
            return
        frame = to_json(_presence_frame(case, now))
        self._deliver(Signal(case, Audience.STAFF, frame, by))
        owner = self._shown.get(case, NOBODY).id
        if before.has(owner) != now.has(owner):
            frame = to_json(self.patient_presence_frame(case))
            self._deliver(Signal(case, Audience.PATIENT, frame))

    def _change_owner(self, record: Record) -> None:
        """Note who leads a case now; the hints for the two audiences may come in any order."""
        feed = self._feeds.get(record.case)
        if feed is None:
            return
        if record.audience is Audience.STAFF:
            data = record.data
            owner = Owner(data["fence"], data.get("owner_id"), data.get("owner"))
            self._note_owner(record.case, owner)
        self._show_owner(feed)

    def _note_owner(self, case: str, owner: Owner) -> None:
        # What was read from the log may be older than what was heard meanwhile.
        if case in self._feeds and owner.fence >= self._owners.get(case, NOBODY).fence:
            self._owners[case] = owner

    def _show_owner(self, feed: Feed) -> None:
        """Tell the patient of a case who leads it, once they know that this has changed."""
        owner = self._owners.get(feed.case, NOBODY)
        if self._shown.get(feed.case, NOBODY).id == owner.id or not feed.knows(owner.fence):
            return
        self._shown[feed.case] = owner
        frame = to_json(self.patient_presence_frame(feed.case))
        self._deliver(Signal(feed.case, Audience.PATIENT, frame))

    def _alarm(self, command: Command, by: Principal) -> Alarm | None:
        """Find what a patient's words set off, as far as it may."""
        if by.is_staff or not isinstance(command, SendMessage):
            return None
        return self._detect(command.text)

    async def _mark_read(self, case: str, by: Principal, seq: int) -> None:
        state = await self.log.state(case)
        if state is not None and state.unread and seq >= state.last_message_seq:
            await self.handle(case, MarkRead(seq), by, "")

    def _signal(
        self, case: str, audience: Audience, frame: dict[str, Any], by: Principal | None = None
    ) -> None:
        self._publish([Signal(case, audience, to_json(frame), None if by is None else by.id)])

    def _ring(self, hints: Sequence[Hint]) -> None:
        self.committed += sum(
            isinstance(hint, Record) and hint.audience is Audience.STAFF for hint in hints
        )
        self._publish(hints)

    def _publish(self, hints: Sequence[Hint]) -> None:
        staff = any(hint.audience is Audience.STAFF for hint in hints)
        # In a batch that is sent anyway it is no command more.
        self._broker.publish([*hints, *(self.presence.sign_of_life() if staff else [])])

    def hints_lost(self) -> None:
        """Ask the log and the other processes for what hints may have told in vain."""
        self.gap_at = self._now()
        self.audit_soon()
        self.presence.call()

    def audit_soon(self) -> None:
        """Compare the feeds with the log: hints may have been lost."""
        if not self._auditing:
            self._auditing = True
            self._spawn(self._audit_now())

    async def _audit_now(self) -> None:
        self._auditing = False
        if self._feeds:
            await audit(self.log, list(self._feeds.values()))
            await self._audit_owners()

    async def _audit_owners(self) -> None:
        """Find changes of owner of which readers have learned from the log, and no hint told."""
        owners = self._owners
        feeds = [feed for feed in self._feeds.values() if feed.case in owners]
        lost = [feed.case for feed in feeds if feed.fence > owners[feed.case].fence]
        try:
            for start in range(0, len(lost), AT_ONCE):
                for state in await self.log.states_of(lost[start : start + AT_ONCE]):
                    self._note_owner(state.case, _owner_of(state))
        except Unavailable:
            logger.warning("owners_wait_for_log", cases=len(lost))
        for feed in feeds:
            self._show_owner(feed)

    def listen(self, listener: Callable[[Hint], None]) -> None:
        """Let somebody hear every hint that reaches this process."""
        self._listeners.append(listener)

    def _receive(self, hint: Hint) -> None:
        if isinstance(hint, Attendance | RollCall):
            self.presence.hear(hint)
            return
        self._deliver(hint)
        if isinstance(hint, Record) and hint.kind == "control":
            self._change_owner(hint)
        for listener in self._listeners:
            try:
                listener(hint)
            except Exception:
                logger.exception("listener_failed", case=hint.case)

    def _deliver(self, hint: Hint) -> None:
        feed = self._feeds.get(hint.case)
        if feed is None:
            return
        try:
            feed.receive(hint)
        except Exception:
            # What was committed is acknowledged, whatever becomes of one room's readers.
            logger.exception("feed_failed", case=hint.case)
            feed.cut(Cut.INTERNAL)

    def _feed(self, case: str) -> Feed:
        feed = self._feeds.get(case)
        if feed is None:
            feed = self._feeds[case] = Feed(case, self.log, self._spawn, self._forget)
        return feed

    def _forget(self, feed: Feed) -> None:
        self._feeds.pop(feed.case, None)
        self._owners.pop(feed.case, None)
        self._shown.pop(feed.case, None)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            if self._tasks is None:
                raise RuntimeError("the rooms are closed")
            self._tasks.create_task(work)
        except RuntimeError:
            # The rooms are closed, or are being closed: nobody is left to deliver to.
            work.close()

    async def _audit(self) -> None:
        while True:
            await asyncio.sleep(self._audit_every)
            await self._audit_now()

    async def _check_reply(self, case: str, message_id: str, by: Principal) -> None:
        await self.enter(case, by)
        if not await self.log.has_message(case, audience_of(by), message_id):
            raise Rejected(Code.NOT_FOUND, "There is no message with the id of `reply_to` here.")

    async def _missed(self, case: str, seen: int) -> list[Any]:
        cursor = await self.log.cursor_at(case, Audience.STAFF, seen)
        if cursor is None:
            return []
        page = await self.page(case, Audience.STAFF, cursor, MISSED)
        return [json.loads(frame) for frame in page.frames]


F = TypeVar("F", Record, TimelineEntry)


def _within(items: list[F], max_bytes: int) -> list[F]:
    """Keep the first items of this size together, and one at least."""
    kept: list[F] = []
    size = 0
    for item in items:
        size += len(item.frame.encode())
        if kept and size > max_bytes:
            break
        kept.append(item)
    return kept


def _presence_frame(case: str, present: Present) -> dict[str, Any]:
    return {
        "type": "presence",
        "case": case,
        "patient": "online" if present.patient else "offline",
        "viewers": [{"id": id, "name": name} for id, name in present.viewers],
    }


def _can_be_id(case: str) -> bool:
    """Tell whether a database can be asked for this id; one that cannot hold it would fail."""
    return len(case) <= 128 and case.isprintable()
