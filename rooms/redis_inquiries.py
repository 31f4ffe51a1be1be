"""Questions to all processes, by Redis: for an engineer at night, never for what must happen.

A question travels on the channel of staff's hints. Its answers come on a channel of its own, so an
idle hub pays nothing for being asked one day. Who does not understand it passes over it, as over
any hint of a newer version.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final

from rooms.redis_link import Link, RedisServer

MARK: Final = b"ask "
"""Begins a question; the hints of a process begin otherwise."""
ANSWERED_WITHIN: Final = 1.0
"""Seconds that the processes have."""


class Inquiries:
    """Asks the other processes, and answers them."""

    def __init__(
        self, server: RedisServer, channel: str, process: str, answer: Callable[[str], Any]
    ) -> None:
        """Make the inquiries of a process; `answer` gives what it knows of a case, as JSON."""
        self._server = server
        self._channel = channel
        self._process = process
        self._answer = answer
        self._asked = 0

    async def ask(self, case: str) -> tuple[int, list[Any]]:
        """Give how many others heard a question, and what those say who answered in time.

        Raises:
            Exception: Redis cannot be reached, or does not answer.

        """
        self._asked += 1
        reply = f"{self._channel}:answers:{self._process}:{self._asked}"
        question = json.dumps({"process": self._process, "case": case, "reply": reply})
        answers: list[Any] = []
        async with asyncio.timeout(2 * ANSWERED_WITHIN):
            listening = await self._server.connect()
            try:
                await listening.send(("SUBSCRIBE", reply))
                await listening.answer()
                heard = await self._publish(self._channel, MARK + question.encode()) - 1
                await _collect(listening, heard, answers)
            finally:
                await listening.close()
        return max(heard, 0), answers

    async def reply(self, data: bytes) -> None:
        """Answer a question of another process."""
        question = json.loads(data.removeprefix(MARK))
        if question["process"] == self._process:
            return
        answer = json.dumps(self._answer(question["case"]))
        async with asyncio.timeout(ANSWERED_WITHIN):
            await self._publish(question["reply"], answer.encode())

    async def _publish(self, channel: str, data: bytes) -> int:
        link = await self._server.connect()
        try:
            await link.send(("PUBLISH", channel, data))
            return int(await link.answer())
        finally:
            await link.close()


async def _collect(link: Link, wanted: int, answers: list[Any]) -> None:
    """Wait for so many answers, or for as long as they have."""
    try:
        async with asyncio.timeout(ANSWERED_WITHIN):
            while len(answers) < wanted:
                word = await link.answer()
                answers.append(json.loads(word[2]))
    except TimeoutError:
        return
