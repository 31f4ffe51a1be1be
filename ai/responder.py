"""The responder: does the task of writing an answer.

It reads from the model, and hands what came to the room at most 25 times a second. The room stores
each piece before it shows it, and refuses it when the answer is no longer wanted.

Invariant: whatever happens to the model, the answer ends: with a whole text, with the text that
was shown, or with a line that tells the patient what to do.
"""

import asyncio
from collections.abc import Callable, Collection
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import structlog
from opentelemetry import trace

from ai.model import Failure, Model, ModelFailed, PersonWanted, Prompt, TextPiece, Usage
from ai.prompt import build_prompt
from auth.principal import Principal, Role
from rooms.broker import Hint
from rooms.commands import Command, Continue, Escalate, Finish
from rooms.encoding import RunSignal
from rooms.errors import Code, Rejected, Unavailable
from rooms.events import Trigger
from rooms.service import Rooms
from rooms.state import Cause, RoomState
from rooms.tasks import Claim, Later

logger = structlog.get_logger()

FRAME_S: Final = 0.04
"""Seconds between two pieces of an answer."""
ATTEMPTS: Final = 3
"""How often an answer of which nothing was shown is begun."""
LONGEST: Final = 9_000
"""Characters of an answer; a message holds 10,000."""
ANSWER_S: Final = 180.0
"""Seconds that a model has for an answer, however steadily it gives a little."""
CLOSE_S: Final = 2.0
"""Seconds that a model has to close; nothing that it gives is used any more."""
AGAIN_S: Final = 0.5
"""Seconds between two tries to store something while the database is away."""

AGAIN: Final = "I could not answer just now. Please send your message again in a moment."
BROKEN_OFF: Final = "(My answer broke off here. Please ask me again.)"
DECLINED: Final = (
    "I cannot help with this one. You can put it in other words, or ask to talk to a person."
)
TOO_LONG: Final = "(My answer was too long. Ask me about one part of it, and I will go on.)"
PERSON_ASKED: Final = (
    "I have asked a person of our team to join. You can go on writing to me in the meantime."
)
NOBODY_TO_ASK: Final = "I cannot do this myself. Please contact your hospital coordinator directly."

LINES: Final = frozenset({AGAIN, BROKEN_OFF, DECLINED, TOO_LONG, PERSON_ASKED, NOBODY_TO_ASK})
"""What the hub says in the AI's name."""
_EXPLAINED: Final = MappingProxyType({Failure.REFUSED: DECLINED, Failure.TOO_LONG: TOO_LONG})
"""Failures with a line of their own; otherwise `AGAIN`, or `BROKEN_OFF` after a part."""


@dataclass(frozen=True, slots=True)
class Report:
    """What became of an answer, for metrics and traces; no text of the conversation."""

    model: str
    outcome: str
    """`done`, `stopped`, or the failure of the model."""
    cancelled_by: str
    """Who ended it before it was whole; empty: nobody."""
    first_token_s: float | None
    """Seconds until the model gave the first text; None: it gave none."""
    seconds: float
    tokens_in: int
    tokens_out: int


class Draft:
    """What the model has given and the room has not got yet."""

    def __init__(self) -> None:
        self.text = ""
        self.usage = Usage()
        self.failure: Failure | None = None
        self.person_asked: bool | None = None
        """Whether a person was asked for, and whether that was possible; None: not asked."""
        self.first_at: float | None = None
        self.total = 0
        self.visible = False
        """There is more than blanks."""
        self.over = False
        self._changed = asyncio.Event()

    def add(self, text: str, at: float) -> None:
        text = _storable(text)[: LONGEST - self.total]
        self.first_at = at if self.first_at is None else self.first_at
        self.total += len(text)
        self.visible = self.visible or bool(text.strip())
        self.text += text
        self._changed.set()

    def end(self, failure: Failure | None) -> None:
        self.failure = failure
        self.over = True
        self._changed.set()

    def take(self) -> str:
        text, self.text = self.text, ""
        return text

    async def filled(self, *, whole: bool) -> None:
        """Wait for text, or for the end; if `whole`, for the end alone."""
        while not self.over and (whole or not self.text):
            self._changed.clear()
            await self._changed.wait()


@dataclass(slots=True)
class _Job:
    """An answer that is being written in this process."""

    run: str
    case: str
    by: Principal
    draft: Draft
    writing: asyncio.Task[None] | None = None
    cancelled_by: str = ""
    pieces: int = 0
    broken_off: bool = False
    """The process ends, and cannot wait for the rest."""
    handed_over: bool = False
    """The process ends, and another one writes it from its beginning."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Responder:
    """Writes the answers of the AI."""

    def __init__(
        self,
        rooms: Rooms,
        model: Model,
        *,
        monotonic: Callable[[], float],
        report: Callable[[Report], None],
        within: float = ANSWER_S,
    ) -> None:
        """Make a responder; `report` is told of each answer that has ended.

        A model that is not done `within` so many seconds is stopped.
        """
        self._within = within
        self._rooms = rooms
        self._model = model
        self._monotonic = monotonic
        self._report = report
        self._tracer = trace.get_tracer("curaway.hub")
        self._jobs: dict[str, _Job] = {}
        rooms.listen(self._hear)

    async def drain(self, within: float) -> None:
        """Let the answers in the making end, `within` so many seconds.

        Those that take longer are broken off where they are. To which the model has given nothing
        yet, those are handed over to another process at once, which begins them anew.
        """
        jobs = list(self._jobs.values())
        for job in jobs:
            # Not by its pieces: one that is just being stored is shown before it counts.
            silent = job.draft.first_at is None
            if silent and job.writing is not None and not job.cancelled_by:
                job.handed_over = True
                job.writing.cancel()
        await _all_ended(jobs, within)
        shown = [job for job in jobs if job.pieces and not job.ended.is_set()]
        for job in shown:
            job.broken_off = True
            if job.writing is not None:
                job.writing.cancel()
        await _all_ended(shown, within)

    async def reply(self, claim: Claim) -> None:
        """Write the answer that a task promises, unless it is over."""
        conversation = await self._rooms.conversation(claim.case)
        run = claim.details["run"]
        state = None if conversation is None else conversation.state
        if conversation is None or state is None or state.run is None or state.run.id != run:
            return
        job = _Job(run, claim.case, _assistant(state), Draft(), pieces=state.run.pieces)
        if state.run.text or claim.attempt > ATTEMPTS:
            # The process that wrote this is dead. What it showed stays, and is marked as broken.
            await self._abandon(job)
            return
        prompt = build_prompt(
            state.patient_name, conversation.events, conversation.briefs, apologies=LINES
        )
        await self._write(job, prompt)

    async def _abandon(self, job: _Job) -> None:
        logger.warning("answer_abandoned", case=job.case, run=job.run)
        await self._break_off(job, shown=job.pieces > 0)
        self._report(self._reported(job, "abandoned", self._monotonic()))

    def _hear(self, hint: Hint) -> None:
        """Stop the model in the moment in which its answer is no longer wanted."""
        if isinstance(hint, RunSignal) and hint.step.state.over and hint.step.cause is not None:
            job = self._jobs.get(hint.step.run)
            if job is not None and job.writing is not None and not job.cancelled_by:
                job.cancelled_by = hint.step.cause
                job.writing.cancel()

    async def _write(self, job: _Job, prompt: Prompt) -> None:
        began = self._monotonic()
        with self._tracer.start_as_current_span("assistant.answer") as span:
            self._jobs[job.run] = job
            outcome = "stopped"
            try:
                outcome = await self._stream(job, prompt)
            finally:
                del self._jobs[job.run]
                job.ended.set()
                report = self._reported(job, outcome, began)
                _annotate(span, report, job)
                self._report(report)

    async def _stream(self, job: _Job, prompt: Prompt) -> str:
        """Read and write side by side until one of them has ended the answer."""
        job.writing = asyncio.create_task(self._read_and_write(job, prompt))
        try:
            await job.writing
        except Rejected as error:
            if error.code is Code.INVALID:
                # A lease was lost, and another process has written too: not one answer, but two.
                logger.warning("answer_written_twice", case=job.case, run=job.run)
                await self._break_off(job, shown=True)
                return "abandoned"
            job.cancelled_by = job.cancelled_by or Cause.TAKEOVER
            return "stopped"
        except asyncio.CancelledError:
            if job.broken_off:
                await self._break_off(job, shown=True)
                return "abandoned"
            if job.handed_over:
                raise Later from None
            if not job.cancelled_by:
                job.writing.cancel()
                raise
            return "stopped"
        return job.draft.failure or "done"

    async def _break_off(self, job: _Job, *, shown: bool) -> None:
        """End an answer with what is stored of it, unless it is over."""
        line = f"\n\n{BROKEN_OFF}" if shown else AGAIN
        with suppress(Rejected):
            await self._give(job, Finish(job.run, line, "failed"), job.run)

    async def _read_and_write(self, job: _Job, prompt: Prompt) -> None:
        reading = asyncio.create_task(self._read(job, prompt))
        try:
            await self._hand_over(job)
            await self._end(job, job.draft.failure)
        finally:
            reading.cancel()
            await asyncio.wait([reading], timeout=CLOSE_S)

    async def _read(self, job: _Job, prompt: Prompt) -> None:
        """Take from the model what it gives; the draft is ended in any case."""
        failure: Failure | None = None
        try:
            async with asyncio.timeout(self._within):
                await self._take(job, prompt)
        except ModelFailed as error:
            failure = error.failure
            logger.warning("model_failed", case=job.case, run=job.run, failure=str(error))
        except TimeoutError:
            failure = Failure.STALLED
            logger.warning("model_failed", case=job.case, run=job.run, failure="takes too long")
        except Exception:
            failure = Failure.CUT
            logger.exception("model_failed", case=job.case, run=job.run)
        finally:
            job.draft.end(failure)

    async def _take(self, job: _Job, prompt: Prompt) -> None:
        draft = job.draft
        async with aclosing(self._model.answer(prompt)) as pieces:
            async for piece in pieces:
                match piece:
                    case TextPiece(text=text):
                        draft.add(text, self._monotonic())
                    case PersonWanted(reason=reason):
                        draft.person_asked = await self._ask_for_person(job, reason)
                    case Usage():
                        draft.usage = piece
                if draft.total >= LONGEST:
                    raise ModelFailed(Failure.TOO_LONG)
        if not draft.visible and draft.person_asked is None:
            raise ModelFailed(Failure.EMPTY)

    async def _ask_for_person(self, job: _Job, reason: str) -> bool:
        try:
            command = Escalate(_storable(reason), Trigger.MODEL, job.run)
            await self._give(job, command, f"{job.run}:person")
        except Rejected as error:
            if error.code is Code.KEY_REUSED:
                return True  # an attempt before this one has asked, in other words
            logger.info("person_not_asked", case=job.case, run=job.run, code=error.code)
            return False
        return True

    async def _hand_over(self, job: _Job) -> None:
        """Give the room the text in pieces, until the model has ended."""
        while True:
            streaming = self._rooms.flags.policy(job.by.tenant).streaming
            await job.draft.filled(whole=not streaming)
            if job.draft.over:
                return
            await self._give(job, Continue(job.run, job.pieces, job.draft.take()), job.run)
            job.pieces += 1
            await asyncio.sleep(FRAME_S)

    async def _end(self, job: _Job, failure: Failure | None) -> None:
        draft = job.draft
        rest = draft.take()
        if failure is None and not draft.visible and draft.person_asked is not None:
            rest = PERSON_ASKED if draft.person_asked else NOBODY_TO_ASK
        elif failure is not None:
            line = _EXPLAINED.get(failure, BROKEN_OFF if draft.visible else AGAIN)
            rest = f"{rest}\n\n{line}" if draft.visible else line
        finish = Finish(job.run, rest, "final" if failure is None else "failed", job.pieces)
        await self._give(job, finish, job.run)

    async def _give(self, job: _Job, command: Command, key: str) -> None:
        """Give a command to the room; wait for the database while it is away."""
        while True:
            try:
                await self._rooms.handle(job.case, command, job.by, key, echo=False)
                return
            except Unavailable:
                await asyncio.sleep(AGAIN_S)

    def _reported(self, job: _Job, outcome: str, began: float) -> Report:
        draft = job.draft
        return Report(
            model=self._model.name,
            outcome=outcome,
            cancelled_by=job.cancelled_by,
            first_token_s=None if draft.first_at is None else draft.first_at - began,
            seconds=self._monotonic() - began,
            tokens_in=draft.usage.tokens_in,
            tokens_out=draft.usage.tokens_out,
        )


async def _all_ended(jobs: Collection[_Job], within: float) -> None:
    """Wait until these answers have ended, or the time is over."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            for job in jobs:
                await job.ended.wait()


def _storable(text: str) -> str:
    """Leave out what no database and no wire can carry."""
    return text.replace("\0", "").encode(errors="ignore").decode()


def _assistant(state: RoomState) -> Principal:
    return Principal("ai", state.tenant, Role.AI, "Assistant")


def _annotate(span: trace.Span, report: Report, job: _Job) -> None:
    """Describe an answer in the words of OpenTelemetry's conventions for generative AI."""
    span.set_attribute("gen_ai.operation.name", "chat")
    span.set_attribute("gen_ai.request.model", report.model)
    span.set_attribute("gen_ai.conversation.id", job.case)
    span.set_attribute("gen_ai.usage.input_tokens", report.tokens_in)
    span.set_attribute("gen_ai.usage.output_tokens", report.tokens_out)
    span.set_attribute("hub.run", job.run)
    span.set_attribute("hub.outcome", report.outcome)
    span.set_attribute("hub.cancelled_by", report.cancelled_by)
    if report.first_token_s is not None:
        span.set_attribute("hub.first_token_s", report.first_token_s)
