"""The names of SSE events: one table, which a deployer can change."""

from dataclasses import astuple, dataclass


@dataclass(frozen=True, slots=True)
class Names:
    """What stands in the `event:` field. A client listens for exactly these.

    Raises:
        ValueError: a name has more than one line.

    """

    connected: str = "connected"
    """The first event of the message stream: a summary of the case."""
    reset: str = "reset"
    """The client's place cannot be honoured: forget what was shown, and begin with what follows."""
    message: str = "message"
    """Something that was said. `EventSource` hands this name to `onmessage`."""
    thinking: str = "thinking"
    """The AI begins an answer."""
    token: str = "token"  # noqa: S105 - a piece of a text
    """The next piece of the answer."""
    done: str = "done"
    """The answer is over."""

    def __post_init__(self) -> None:
        for name in astuple(self):
            if "\r" in name or "\n" in name:
                raise ValueError(f"the name of an SSE event has one line: {name!r}")
