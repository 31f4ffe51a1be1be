"""The names of SSE events: one table, which a deployer can change."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Names:
    """What stands in the `event:` field. A client listens for exactly these.

    Raises:
        ValueError: a name has more than one line.

    """

    connected: str = "connected"
    """The first event of the message stream: a summary of the case."""
    reset: str = "reset"
    """The client's cursor cannot be honoured: forget what was shown, a summary follows."""
    message: str = "message"
    """Something that was said. `EventSource` hands this name to `onmessage`."""

    def __post_init__(self) -> None:
        for name in (self.connected, self.reset, self.message):
            if "\r" in name or "\n" in name:
                raise ValueError(f"the name of an SSE event has one line: {name!r}")
