"""The chat endpoint: a patient writes, and the request is answered with what the AI says.

Invariant: the reply is a message of the log, with the id that every stream shows. Nothing depends
on the request going on: whoever hangs up finds the reply there later.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ConfigDict
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from auth.principal import Principal
from hub.endpoints import Endpoints, read_object, validated
from rooms.cases import case_for
from rooms.commands import SendMessage
from rooms.cursor import Cursor
from rooms.encoding import Codec, Record, RunSignal, Signal, timestamp
from rooms.errors import Code, Rejected, Unavailable, forbidden
from rooms.events import Audience, Control, SenderType
from rooms.feed import Cut
from rooms.log import Receipt
from rooms.payload import Body
from rooms.service import Rooms
from rooms.state import Run

WITHIN: Final = 100.0
"""Seconds that a request waits for its reply."""
PER_USER: Final = 20
"""Requests of one user that wait at once; what is more is answered without a reply."""

Frame = dict[str, Any]


class ChatMessage(BaseModel):
    """What a patient says."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    text: Body


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the wish for a reply."""

    reply: Frame | None = None
    """The event of the message that is the reply."""
    control: Control | None = None
    """Who leads the case, if there will be no reply; None: there may still be one."""


class ReplyCodec:
    """Every event, to know how far one has read, and the ends of answers."""

    def event(self, record: Record) -> bytes | None:
        return record.frame.encode()

    def signal(self, signal: Signal) -> bytes | None:
        over = isinstance(signal, RunSignal) and signal.step.state.over
        return signal.frame.encode() if over else None


class ReplyReader:
    """Reads a case on from a patient's message, and finds the reply to it."""

    def __init__(self, codec: Codec, message: Receipt) -> None:
        self.codec = codec
        self.seq = message.cursor.seq
        """The last event that was read."""
        self.reply: Frame | None = None
        self.given_up = False
        self._asked = (self.seq, timestamp(message.at))
        """Where the newest message of the patient stands, and its time."""
        self._interrupted: Frame | None = None
        """The beginning of an answer, after which the patient has said nothing more."""
        self._news = asyncio.Event()

    @property
    def best(self) -> Frame | None:
        """The reply, if no other one will come."""
        return self.reply or self._interrupted

    async def news(self) -> None:
        """Return when something has happened since the last call."""
        await self._news.wait()
        self._news.clear()

    def give_up(self) -> None:
        self.given_up = True
        self._news.set()

    def write(self, data: bytes) -> bool:
        frame = json.loads(data)
        if frame["type"] == "event":
            self.seq = frame["seq"]
            if frame["kind"] == "message" and self.reply is None:
                self._hear(frame)
        self._news.set()
        return True

    def live(self, position: Cursor) -> None:
        self._news.set()

    def answering(self, run: Run) -> None:
        """Learn nothing: only what is stored can be a reply."""

    def cut(self, reason: Cut) -> None:
        self.give_up()

    def _hear(self, frame: Frame) -> None:
        stands = (frame["seq"], frame["at"])
        match frame["data"]["sender_type"]:
            case SenderType.PATIENT:
                self._asked, self._interrupted = stands, None
            case SenderType.AI if frame["data"]["state"] == "interrupted":
                self._interrupted = frame
            case SenderType.AI:
                self.reply = frame
            case SenderType.SYSTEM if stands == (self._asked[0] + 1, self._asked[1]):
                # The answer to words of an emergency, written in the same moment.
                self.reply = frame
            case _:
                pass


class ChatApi:
    """Lets patients chat, one request for a message and its reply."""

    def __init__(self, rooms: Rooms, endpoints: Endpoints, *, within: float = WITHIN) -> None:
        """Make the endpoint; a request waits `within` so many seconds for its reply."""
        self._rooms = rooms
        self._endpoints = endpoints
        self._within = within
        self._codec = ReplyCodec()
        self._waiting: dict[ReplyReader, Principal] = {}
        """The requests that wait, each with who asks."""
        self._draining = False

    def routes(self) -> list[Route]:
        path = "/api/v1/patients/{patient}/chat"
        return [self._endpoints.route("POST", path, self.post_chat)]

    @property
    def waiting(self) -> int:
        """How many requests wait for a reply."""
        return len(self._waiting)

    def drain(self) -> None:
        """Let nobody wait any longer; a reply comes by the streams."""
        self._draining = True
        for reader in list(self._waiting):
            reader.give_up()

    def turn_out(self, must_go: Callable[[Principal], bool]) -> None:
        """Let those wait no longer who must go."""
        for reader, by in list(self._waiting.items()):
            if must_go(by):
                reader.give_up()

    async def post_chat(self, request: Request, by: Principal) -> Response:
        """Say something in the patient's newest case, and answer with the AI's reply."""
        patient = str(request.path_params["patient"])
        if by.is_staff:
            message = "Only patients chat. Staff write with `POST /api/v1/cases/{id}/messages`."
            raise Rejected(Code.FORBIDDEN, message)
        if by.patient_id != patient:
            raise forbidden()
        body = validated(ChatMessage, await read_object(request))
        self._endpoints.throttle(by)
        key, echo = self._endpoints.key(request)
        case = await case_for(self._rooms, by, patient, key)
        receipt = await self._rooms.handle(case, SendMessage(body.text), by, key, echo=echo)
        if _wants_no_reply(request):
            return _answer(receipt, Outcome(), {"Preference-Applied": "respond-async"})
        return _answer(receipt, await self._reply(request, receipt, by), {})

    async def _reply(self, request: Request, receipt: Receipt, by: Principal) -> Outcome:
        reader = ReplyReader(self._codec, receipt)
        # Each of them reads the log whenever something happens.
        if self._draining or self._waiting_of(by) >= PER_USER:
            return Outcome()
        self._waiting[reader] = by
        try:
            async with asyncio.timeout(self._within), _listening(request, reader):
                return await self._find(reader, receipt, by)
        except (TimeoutError, Unavailable):
            # The message is stored, and that is what must be told.
            return Outcome()
        finally:
            del self._waiting[reader]

    def _waiting_of(self, by: Principal) -> int:
        user = (by.tenant, by.id)
        return sum((each.tenant, each.id) == user for each in self._waiting.values())

    async def _find(self, reader: ReplyReader, receipt: Receipt, by: Principal) -> Outcome:
        try:
            joined = await self._rooms.join(
                receipt.case, by, Audience.PATIENT, reader, after=receipt.cursor, tail=0
            )
        except Rejected:
            # The case was archived with this message as its last event.
            return await self._silence(receipt.case)
        try:
            if not joined.resumed:
                return Outcome()
            await joined.subscription.start(joined.start)
            return await self._follow(reader, receipt.case)
        finally:
            joined.subscription.close()

    async def _follow(self, reader: ReplyReader, case: str) -> Outcome:
        while reader.reply is None and not reader.given_up:
            await reader.news()
            state = await self._rooms.log.state(case)
            # Without an answer in the making, what has been read is all that there will be.
            if state is not None and state.run is None and reader.seq >= state.patient.seq:
                return Outcome(reader.best, state.control)
        return Outcome(reader.reply)

    async def _silence(self, case: str) -> Outcome:
        state = await self._rooms.log.state(case)
        return Outcome(None, None if state is None else state.control)


@asynccontextmanager
async def _listening(request: Request, reader: ReplyReader) -> AsyncIterator[None]:
    """Give up when the client hangs up.

    Raises:
        ClientDisconnect: it has, and there is nobody to answer.

    """
    gone = False

    async def listen() -> None:
        nonlocal gone
        while (await request.receive())["type"] != "http.disconnect":
            pass
        gone = True
        reader.give_up()

    listening = asyncio.create_task(listen())
    try:
        yield
    finally:
        listening.cancel()
        await asyncio.wait([listening])
    if gone:
        raise ClientDisconnect


def _wants_no_reply(request: Request) -> bool:
    preferences = ",".join(request.headers.getlist("prefer")).lower().split(",")
    return any(each.partition(";")[0].strip() == "respond-async" for each in preferences)


def _answer(receipt: Receipt, outcome: Outcome, headers: dict[str, str]) -> Response:
    body = {
        "case": receipt.case,
        "id": receipt.id,
        "seq": receipt.cursor.seq,
        "cursor": str(receipt.cursor),
        "at": timestamp(receipt.at),
        **({"dup": True} if receipt.dup else {}),
        "reply": None if outcome.reply is None else _shown(outcome.reply),
    }
    if outcome.reply is not None:
        return JSONResponse(body, 200, headers)
    if outcome.control is not None:
        body["control"] = outcome.control
    return JSONResponse(body, 202, headers)


def _shown(frame: Frame) -> Frame:
    data = frame["data"]
    return {
        "message_id": data["message_id"],
        "text": data["text"],
        "status": data["state"],
        "sender_type": data["sender_type"],
        "cursor": frame["cursor"],
    }
