"""What the stream of answers says, and what each thing that it says is about.

Invariant: an event carries the id `<run>.<index>` of the last piece that its reader then has. It
is -1 before the first piece, and one more than the last piece after `done`.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Self, TypeAlias

from compat_sse.names import Names
from compat_sse.stream import encode
from rooms.encoding import Record, RunSignal, Signal, to_json
from rooms.events import Control
from rooms.state import Progress, Run, RunState

STATUS: Final = MappingProxyType(
    {RunState.DONE: "final", RunState.STOPPED: "interrupted", RunState.FAILED: "failed"}
)
"""What an answer that is over is called."""


@dataclass(frozen=True, slots=True)
class Ended:
    """An answer was stored as a message."""

    run: str
    message_id: str
    status: str
    length: int
    """Characters of its text."""


@dataclass(frozen=True, slots=True)
class TakenOver:
    """A person leads from here on."""


News: TypeAlias = Progress | Ended | TakenOver


class Step(bytes):
    """What all clients are sent of a step, if it comes next for them, and what it says."""

    news: News

    @classmethod
    def of(cls, news: News, data: bytes = b"") -> Self:
        step = cls(data)
        step.news = news
        return step


class ChatDialect:
    """Answers and nothing else: `thinking`, their pieces, and their end."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def event(self, record: Record) -> bytes | None:
        match record.kind:
            case "control" if record.data["control"] == Control.HUMAN:
                return Step.of(TakenOver())
            case "message":
                return _end(record.data)
            case _:
                return None

    def signal(self, signal: Signal) -> bytes | None:
        if not isinstance(signal, RunSignal):
            return None
        step = signal.step
        if step.i is not None:
            return Step.of(step, self.token(step.run, step.i, step.text))
        if step.state is RunState.THINKING:
            return Step.of(step, self.thinking(step.run))
        return Step.of(step) if step.state.over else None

    def thinking(self, run: str) -> bytes:
        return encode(to_json({"run": run}), event=self._names.thinking, id=f"{run}.-1")

    def token(self, run: str, i: int, text: str) -> bytes:
        data = {"token": text, "run": run, "index": i}
        return encode(to_json(data), event=self._names.token, id=f"{run}.{i}")

    def done(self, run: str, pieces: int, message_id: str | None, status: str) -> bytes:
        data = {"message_id": message_id, "status": status}
        # One more than the last piece: so it can be told who has `done` and who lacks it.
        return encode(to_json(data), event=self._names.done, id=f"{run}.{pieces}")

    def reset(self, run: Run | None) -> bytes:
        """Write all that there is of the answer that is being written, if one is."""
        if run is None:
            data = to_json({"run": None, "index": -1, "text": ""})
            return encode(data, event=self._names.reset, id="")
        index = run.pieces - 1
        data = to_json({"run": run.id, "index": index, "text": run.text})
        return encode(data, event=self._names.reset, id=f"{run.id}.{index}")


def _end(message: dict[str, Any]) -> Step | None:
    if message.get("run") is None:
        return None
    length = len(message["text"])
    return Step.of(Ended(message["run"], message["message_id"], message["state"], length))
