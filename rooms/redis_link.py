"""Connections to Redis that do what they are told, once.

Invariant: no command is sent again, and no connection made again, unless the broker says so.
redis-py would do both by itself, and what was published would arrive twice or in another order.
Only commands of Redis 6.2 or earlier are sent.
"""

import asyncio
from collections import Counter
from typing import Any, Final

from redis.asyncio import Connection
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as ConnectionLost

CONNECT_WITHIN: Final = 1.0
"""Seconds for a connection: TCP, TLS and the password."""

Command = tuple[str | bytes, ...]


class Link:
    """One connection."""

    def __init__(self, connection: Any, commands: Counter[str]) -> None:
        self._connection = connection
        self._commands = commands

    async def send(self, *commands: Command) -> None:
        """Send commands with one write; call `answer` once for the answer to each."""
        if not self._connection.is_connected:
            raise ConnectionLost("The connection was closed.")
        self._commands.update(str(command[0]) for command in commands)
        await self._connection.send_packed_command(self._connection.pack_commands(commands))

    async def answer(self) -> Any:
        """Wait for the next thing that Redis says; if that is an error, it is raised."""
        return await self._connection.read_response()

    async def close(self) -> None:
        # A frozen server would let an orderly goodbye wait for ever.
        await self._connection.disconnect(nowait=True)


class RedisServer:
    """Where the links lead, and how many commands were sent there."""

    def __init__(self, url: str) -> None:
        """Take `redis://[[user]:password@]host[:port][/db]`, or `rediss://` for TLS.

        Raises:
            ValueError: it is not such a URL; the message does not repeat it.

        """
        self.commands: Counter[str] = Counter()
        try:
            options: dict[str, Any] = {**parse_url(url)}
            self._class: Any = options.pop("connection_class", Connection)
            self._options = options | {
                "protocol": 2,
                "driver_info": None,
                "socket_timeout": None,
                "socket_connect_timeout": CONNECT_WITHIN,
                "retry": Retry(NoBackoff(), 0),
            }
            self._class(**self._options)
        except (ValueError, TypeError):
            message = "A Redis URL reads redis://[[user]:password@]host[:port][/db], or rediss://…"
            raise ValueError(message) from None
        self._password = str(options.get("password", ""))

    async def connect(self) -> Link:
        """Make a link; whoever gets it closes it."""
        connection = self._class(**self._options)
        if self._password:
            self.commands["AUTH"] += 1
        if self._options.get("db"):
            self.commands["SELECT"] += 1
        try:
            async with asyncio.timeout(CONNECT_WITHIN):
                await connection.connect()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return Link(connection, self.commands)

    async def about(self, prefix: str) -> tuple[str, float]:
        """Give the version of the server, and its time in seconds since 1970.

        Raises:
            Exception: it does not answer, or does not let us publish or hear what begins so.

        """
        link = await self.connect()
        try:
            async with asyncio.timeout(CONNECT_WITHIN):
                await link.send(("INFO", "server"), ("TIME",))
                lines = (await link.answer()).decode().splitlines()
                seconds, micros = await link.answer()
                nobody = f"{prefix}:doctor"
                for command in (("PUBLISH", nobody, ""), ("SUBSCRIBE", nobody)):
                    await link.send(command)
                    await link.answer()
        finally:
            await link.close()
        members = dict(line.split(":", 1) for line in lines if ":" in line)
        return members["redis_version"], int(seconds) + int(micros) / 1_000_000

    def reason(self, error: Exception) -> str:
        """Say what went wrong, for a log line."""
        text = f"{type(error).__name__}: {error}".removesuffix(": ")
        # A server that does not know AUTH repeats what it was given.
        return text.replace(self._password, "***") if self._password else text
