"""The doorbell between processes.

Invariant: the broker carries hints. Losing, doubling or reordering any of them costs latency,
never an event: the feed repairs itself from the log.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from rooms.encoding import Record, Signal

Hint: TypeAlias = Record | Signal


class Broker(Protocol):
    """Carries hints to every process that has readers, its own included.

    `publish` neither waits nor raises: it is called between a commit and its acknowledgement. What
    one process publishes arrives in order or not at all.
    """

    def publish(self, hints: Sequence[Hint]) -> None: ...

    def attach(self, receive: Callable[[Hint], None]) -> None:
        """Name the one receiver of this process; it is called on the event loop."""
        ...


class MemoryBroker:
    """The embedded default: one process, so every hint is delivered at once."""

    def __init__(self) -> None:
        self._receive: Callable[[Hint], None] | None = None

    def attach(self, receive: Callable[[Hint], None]) -> None:
        self._receive = receive

    def publish(self, hints: Sequence[Hint]) -> None:
        if self._receive is not None:
            for hint in hints:
                self._receive(hint)
