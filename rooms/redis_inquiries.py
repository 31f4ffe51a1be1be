"""Questions to all processes, by Redis: for an engineer at night, never for what must happen.

A question travels on the channel of staff's hints. Its answers come on a channel of its own, so an
idle hub pays nothing for being asked one day. Who does not understand it passes over it, as over
any hint of a newer version.

Invariant: what is not understood is passed over, and costs no more than reading it.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from pydantic import BaseModel

from rooms.payload import Id
from rooms.redis_link import Link, RedisServer

MARK: Final = b"ask "
"""Begins a question; the hints of a process begin otherwise."""
QUESTION_BYTES: Final = 2_048
"""Most bytes of a question."""
ANSWER_BYTES: Final = 1_048_576
"""Most bytes of an answer."""
ANSWERED_WITHIN: Final = 1.0
"""Seconds that the processes have."""


class Question(BaseModel):
    """What one process asks all others."""

    process: str
    case: Id
    reply: str
    """The channel of the answers."""


class Inquiries:
    """Asks the other processes, and answers them."""

    def __init__(
        self, server: RedisServer, channel: str, process: str, answer: Callable[[str], str]
    ) -> None:
        """Make the inquiries of a process; `answer` gives what it knows of a case."""
        self._server = server
        self._channel = channel
        self._process = process
        self._answer = answer
        self._asked = 0

    async def ask(self, case: str, *, hears_itself: bool) -> tuple[int, list[bytes]]:
        """Give how many others heard a question, and what those say who answered in time.

        `hears_itself`: this process listens too, and so does not count as another.

        Raises:
            Exception: Redis cannot be reached, or does not answer.

        """
        self._asked += 1
        reply = f"{self._replies}{self._process}:{self._asked}"
        question = Question(process=self._process, case=case, reply=reply).model_dump_json()
        answers: list[bytes] = []
        async with asyncio.timeout(2 * ANSWERED_WITHIN):
            listening = await self._server.connect()
            try:
                await listening.send(("SUBSCRIBE", reply))
                await listening.answer()
                heard = await self._publish(self._channel, MARK + question.encode())
                others = max(0, heard - hears_itself)
                await self._collect(listening, others, answers)
            finally:
                await listening.close()
        return others, answers

    async def reply(self, data: bytes) -> None:
        """Answer a question of another process.

        Raises:
            Exception: it is none, or Redis cannot be reached or does not answer.

        """
        if len(data) > QUESTION_BYTES:
            raise ValueError("a question that is too long")
        question = Question.model_validate_json(data.removeprefix(MARK))
        if question.process == self._process:
            return
        if not question.reply.startswith(self._replies):
            raise ValueError("a question whose answers would go elsewhere")
        answer = self._answer(question.case)
        async with asyncio.timeout(ANSWERED_WITHIN):
            await self._publish(question.reply, answer.encode())

    @property
    def _replies(self) -> str:
        """How the channels of answers begin."""
        return f"{self._channel}:answers:"

    async def _publish(self, channel: str, data: bytes) -> int:
        link = await self._server.connect()
        try:
            await link.send(("PUBLISH", channel, data))
            return int(await link.answer())
        finally:
            await link.close()

    async def _collect(self, link: Link, wanted: int, answers: list[bytes]) -> None:
        """Wait for so many answers, or for as long as they have."""
        try:
            async with asyncio.timeout(ANSWERED_WITHIN):
                for _ in range(wanted):
                    word = await link.answer()
                    if len(word[2]) <= ANSWER_BYTES:
                        answers.append(word[2])
        except Exception:  # noqa: BLE001 - who is not heard is counted, and the others are told of
            return
