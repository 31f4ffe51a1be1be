"""From events to bytes: each once per audience and wire format, however many readers there are.

Invariant: what is encoded here depends on the audience, never on the connection.
"""

import json
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from rooms.cursor import Cursor
from rooms.events import Audience, Envelope
from rooms.state import Progress, Run, RunState


def timestamp(at: datetime) -> str:
    """Write an instant as RFC 3339 in UTC with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


to_json: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
"""Write JSON without blanks; NaN and Infinity raise ValueError."""


def event_json(
    envelope: Envelope, audience: Audience, key: str | None, *, by_patient: bool = False
) -> str:
    """Write the `event` frame of an envelope for an audience that sees it.

    `by_patient` tells who gave the command with this key.
    """
    cursor = envelope.cursors[audience]
    # A client may number its keys. Those of staff would then tell patients how many notes there
    # are between two messages.
    shown = key is not None and (audience is Audience.STAFF or by_patient)
    tail = f',"key":{to_json(key)}' if shown else ""
    return (
        f'{{"type":"event","case":{to_json(envelope.case)},"seq":{cursor.seq},"cursor":"{cursor}",'
        f'"id":{to_json(envelope.id)},"at":"{timestamp(envelope.at)}",'
        f'"kind":"{envelope.event.kind}","actor":{to_json(envelope.actor(audience))},'
        f'"data":{envelope.data_json(audience)}{tail}}}'
    )


class Codec(Protocol):
    """A wire format. None means that its readers are not told."""

    def event(self, record: "Record") -> bytes | None: ...

    def signal(self, signal: "Signal") -> bytes | None: ...


class Record:
    """One event of the log in the form that one audience sees, and its encodings so far."""

    __slots__ = ("_encoded", "audience", "case", "cursor", "frame", "kind", "previous")

    def __init__(
        self,
        case: str,
        audience: Audience,
        cursor: Cursor,
        previous: Cursor,
        kind: str,
        frame: str,
    ) -> None:
        self.case = case
        self.audience = audience
        self.cursor = cursor
        self.previous = previous
        """The cursor of the event before it in this view: proof that nothing lies between."""
        self.kind = kind
        self.frame = frame
        """The `event` frame of the wire, as JSON."""
        self._encoded: dict[Codec, bytes | None] = {}

    @property
    def data(self) -> Any:
        """What the event says to this audience."""
        return json.loads(self.frame)["data"]

    def encoded(self, codec: Codec) -> bytes | None:
        try:
            return self._encoded[codec]
        except KeyError:
            data = self._encoded[codec] = codec.event(self)
            return data


class Signal:
    """Something ephemeral for one audience of a room; never in the log, may be dropped."""

    __slots__ = ("_encoded", "audience", "by", "case", "frame")

    def __init__(self, case: str, audience: Audience, frame: str, by: str | None = None) -> None:
        self.case = case
        self.audience = audience
        self.frame = frame
        """The frame of the wire, as JSON."""
        self.by = by
        """Whose own readers do not get it, for they caused it."""
        self._encoded: dict[Codec, bytes | None] = {}

    def encoded(self, codec: Codec) -> bytes | None:
        try:
            return self._encoded[codec]
        except KeyError:
            data = self._encoded[codec] = codec.signal(self)
            return data


class RunSignal(Signal):
    """A step of an answer that the AI is writing, or has just ended."""

    __slots__ = ("step",)

    def __init__(self, case: str, audience: Audience, step: Progress) -> None:
        frame = run_frame(case, step) if step.i is None else delta_frame(case, step)
        super().__init__(case, audience, to_json(frame))
        self.step = step


def run_signals(case: str, step: Progress) -> list[RunSignal]:
    """Give what the readers of both audiences are told of a step."""
    steps = [step]
    if step.i == 0:
        steps = [Progress(step.run, step.fence, RunState.WRITING), step]
    return [RunSignal(case, audience, each) for each in steps for audience in Audience]


def run_frame(case: str, step: Progress) -> dict[str, Any]:
    frame = {"type": "run", "case": case, "run": step.run, "state": step.state}
    return frame if step.message_id is None else {**frame, "message": step.message_id}


def delta_frame(case: str, step: Progress) -> dict[str, Any]:
    return {"type": "delta", "case": case, "run": step.run, "i": step.i, "text": step.text}


def draft_frames(case: str, run: Run) -> list[dict[str, Any]]:
    """Tell a reader who comes in the middle of an answer how far it is."""
    state = RunState.WRITING if run.pieces else RunState.THINKING
    frames = [run_frame(case, Progress(run.id, run.fence, state))]
    if run.pieces:
        i = run.pieces - 1
        frames.append({"type": "draft", "case": case, "run": run.id, "i": i, "text": run.text})
    return frames
