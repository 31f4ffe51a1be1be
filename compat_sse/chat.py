"""The stream of the AI's answers, piece by piece, from wherever its client is.

A step that comes next is sent at once. All else is a reason to ask the log: a step was lost, or
passed while the client was slow or away.

Invariant: a client is given each piece of an answer once and in order, and `done` after the last.
"""

import asyncio
import re
from typing import Final, Protocol

import structlog

from compat_sse.chat_dialect import STATUS, ChatDialect, Ended, Step, TakenOver
from compat_sse.stream import LIMIT, Outbox
from rooms.cursor import Cursor
from rooms.errors import Unavailable
from rooms.state import Answer, Progress, RoomState, Run, RunState

logger = structlog.get_logger()

AGAIN_S: Final = 0.5
"""Seconds between two tries to ask the log while it cannot be read."""
_ID: Final = re.compile(r"([!-~]{1,128})\.(-1|[0-9]{1,9})")


class ChatLog(Protocol):
    """What the stream of answers needs of the log."""

    async def state(self, case: str) -> RoomState | None: ...

    async def answer(self, case: str, run: str) -> Answer | None: ...


class ChatOutbox(Outbox):
    """The outbox of one client, which knows what of the answers that client has."""

    def __init__(self, dialect: ChatDialect, case: str, log: ChatLog, limit: int = LIMIT) -> None:
        super().__init__(dialect, limit)
        self._dialect = dialect
        self._case = case
        self._log = log
        self._run: str | None = None
        """The answer that the client sees growing."""
        self._pieces = 0
        """How many pieces of it the client has."""
        self._length = 0
        """And how many characters."""
        self._missed: list[str] = []
        """Answers that ended and of which the client has nothing, in order."""
        self._over: set[str] = set()
        """Answers that the client has to their end."""
        self._finished = False
        """The last thing that the client was told is that an answer is over."""
        self._asked = False
        """The log is to be asked."""
        self._asking = False

    async def begin(self, last: str, active: Run | None) -> bool:
        """Begin where a client is that sends `last` as its `Last-Event-ID`; it may be empty.

        `active` is the answer that is being written. False: the client has everything, and
        nothing more is on its way.

        Raises:
            Unavailable: the log cannot be read.

        """
        if active is not None:
            self._ask()
        if not last:
            return True
        named = _ID.fullmatch(last)
        answer = None if named is None else await self._log.answer(self._case, named[1])
        pieces = 0 if named is None else int(named[2]) + 1
        if answer is not None and answer.state.over and pieces == answer.run.pieces + 1:
            self._over.add(answer.run.id)
            return active is not None
        if answer is None or pieces > answer.run.pieces:
            self._reset(active)
            return True
        self._follow(answer.run, pieces)
        self._ask()
        return True

    # What the feed tells.

    def write(self, data: bytes) -> bool:
        if not isinstance(data, Step):
            return super().write(data)
        match data.news:
            case Progress() as step if step.run == self._run:
                self._go_on(data, step)
            case Progress() as step if step.run not in self._over:
                self._begin_next(data, step)
            case Ended() as ended if ended.run not in self._over:
                self._hear_of_end(ended)
            case TakenOver() if self._run is not None:
                self._ask()
            case _:
                pass
        return not self.full

    def live(self, position: Cursor) -> None:
        super().live(position)
        if self._run is not None:
            self._ask()

    def answering(self, run: Run) -> None:
        self._ask()

    def _go_on(self, data: bytes, step: Progress) -> None:
        if step.i == self._pieces:
            self._show(data, step.text)
        elif step.state.over or (step.i is not None and step.i > self._pieces):
            self._ask()

    def _begin_next(self, data: bytes, step: Progress) -> None:
        certain = not self._asked and not self._asking and self._run is None
        if certain and step.state is RunState.THINKING:
            self._follow(Run(step.run, step.fence), 0)
            super().write(data)
        else:
            self._ask()

    def _hear_of_end(self, ended: Ended) -> None:
        if ended.run == self._run and ended.length == self._length:
            self._close(ended.message_id, ended.status)
            return
        if ended.run != self._run and ended.run not in self._missed:
            self._missed.append(ended.run)
        self._ask()

    # What the client is told.

    def _follow(self, run: Run, pieces: int) -> None:
        """Note that the client sees this answer, and has so many pieces of it."""
        self._run = run.id
        self._pieces = pieces
        self._length = run.ends[pieces - 1] if pieces else 0
        self._finished = False

    def _show(self, data: bytes, text: str) -> None:
        self._pieces += 1
        self._length += len(text)
        super().write(data)

    def _show_all(self, run: Run) -> bool:
        """Show what the client lacks of an answer, which it may not know; False: it is full."""
        if self._run is None:
            self._follow(run, 0)
            super().write(self._dialect.thinking(run.id))
        for i in range(self._pieces, run.pieces):
            if self.full:
                return False
            text = run.piece(i)
            self._show(self._dialect.token(run.id, i, text), text)
        return True

    def _close(self, message_id: str | None, status: str) -> None:
        assert self._run is not None  # noqa: S101 - only an answer that is shown can end
        super().write(self._dialect.done(self._run, self._pieces, message_id, status))
        self._over.add(self._run)
        self._run = None
        self._finished = True
        # Only the log knows whether another answer has begun.
        self._ask()

    def _reset(self, active: Run | None) -> None:
        if active is not None:
            self._follow(active, active.pieces)
        super().write(self._dialect.reset(active))

    # What the log tells.

    def _ask(self) -> None:
        self._asked = True
        self._filled.set()

    def take(self) -> bytes:
        data = super().take()
        if self._asked:
            self._filled.set()
        return data

    async def filled(self) -> None:
        """Return when something waits, or never will again; meanwhile ask the log if need be."""
        while True:
            await super().filled()
            if self._size or self.ended:
                return
            self._filled.clear()
            if self._asked:
                await self._settle()

    async def _settle(self) -> None:
        """Ask the log for all that the client lacks."""
        self._asked, self._asking = False, True
        try:
            if await self._catch_up():
                state = await self._log.state(self._case)
                self._go_on_with(None if state is None else state.run)
        except Unavailable:
            logger.warning("chat_stream_waits_for_log", case=self._case)
            self._ask()
            await asyncio.sleep(AGAIN_S)
        except BaseException:
            self._ask()
            raise
        finally:
            self._asking = False

    async def _catch_up(self) -> bool:
        """Show what there is of the answers that the client has not whole; False: not all fits."""
        while (lacking := self._run or self._next_missed()) is not None:
            # Meanwhile further pieces may come and be shown.
            had = self._pieces if lacking == self._run else 0
            answer = await self._log.answer(self._case, lacking)
            if lacking in self._over:
                continue
            if answer is None or answer.run.pieces < had:
                # The log went back in time. The client comes back, and is told to start anew.
                self.end()
                return False
            if not self._show_all(answer.run):
                self._ask()
                return False
            if not answer.state.over:
                break
            self._close(answer.message_id, STATUS[answer.state])
        return True

    def _next_missed(self) -> str | None:
        self._missed = [run for run in self._missed if run not in self._over]
        return self._missed[0] if self._missed else None

    def _go_on_with(self, active: Run | None) -> None:
        """Go on with the answer that is being written; end the stream if none is."""
        if self._next_missed() is not None:
            return
        if active is not None and active.id not in self._over:
            if self._run not in (None, active.id) or not self._show_all(active):
                self._ask()
        elif self._run is not None:
            # It has ended since.
            self._ask()
        elif self._finished and not self._asked:
            # If it was to be asked again, this was read before that answer was over.
            self.end()
