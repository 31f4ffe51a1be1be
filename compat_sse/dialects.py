"""What the two streams of a case say: the messages alone, or the whole feed of the patient.

Invariant: a dialect depends on the audience only through the records and signals that it is
given, and never on the connection: each is encoded once for all readers of a dialect.
"""

import json
from typing import Any, Protocol

from compat_sse.names import Names
from compat_sse.stream import encode
from rooms.cursor import Cursor
from rooms.encoding import Codec, Record, Signal, draft_frames, to_json
from rooms.errors import ResetReason
from rooms.service import Joined
from rooms.state import Run


class Dialect(Codec, Protocol):
    """A codec that also knows how a stream begins and what it says when it becomes live."""

    def draft(self, case: str, run: Run) -> bytes | None:
        """Tell how far the AI is with an answer; None: its readers are not told."""
        ...

    def summary(self, joined: Joined) -> tuple[str | None, dict[str, Any]]:
        """Give the name and the content of the first event."""
        ...

    def caught_up(self, case: str, position: Cursor, presence: dict[str, Any]) -> bytes: ...


class MessageDialect:
    """Messages and nothing else, each as one flat object."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def event(self, record: Record) -> bytes | None:
        if record.kind != "message":
            return None
        data = to_json(_message(json.loads(record.frame)))
        return encode(data, event=self._names.message, id=str(record.cursor))

    def signal(self, signal: Signal) -> bytes | None:
        return None

    def draft(self, case: str, run: Run) -> bytes | None:
        return None

    def summary(self, joined: Joined) -> tuple[str | None, dict[str, Any]]:
        state = joined.state
        return self._names.connected, {
            "case": state.case,
            "status": state.status,
            "control": state.control,
            "coordinator": state.owner_name,
            "resumed": joined.resumed,
            "from": joined.start.seq + 1,
        }

    def caught_up(self, case: str, position: Cursor, presence: dict[str, Any]) -> bytes:
        return b""


class FeedDialect:
    """The frames of the WebSocket, without a name, so that `onmessage` gets them."""

    def event(self, record: Record) -> bytes | None:
        return encode(record.frame, id=str(record.cursor))

    def signal(self, signal: Signal) -> bytes | None:
        return encode(signal.frame)

    def draft(self, case: str, run: Run) -> bytes | None:
        return b"".join(encode(to_json(frame)) for frame in draft_frames(case, run))

    def summary(self, joined: Joined) -> tuple[str | None, dict[str, Any]]:
        state = joined.state
        return None, {
            "type": "ready",
            "case": state.case,
            "head": str(joined.head),
            "from": joined.start.seq + 1,
            "resumed": joined.resumed,
            "state": {
                "control": state.control,
                "status": state.status,
                "coordinator": state.owner_name,
                "run": None if state.run is None else state.run.id,
            },
        }

    def caught_up(self, case: str, position: Cursor, presence: dict[str, Any]) -> bytes:
        frame = {"type": "caught_up", "case": case, "seq": position.seq}
        return encode(to_json(frame)) + encode(to_json(presence))


def opening(
    dialect: Dialect, names: Names, joined: Joined, reset: ResetReason | None, retry: int
) -> bytes:
    """Write what a stream says before its first event.

    Where the client's own cursor does not hold, this carries the cursor at which the stream
    begins: a connection that dies before the first event still resumes without a loss.
    """
    case = joined.state.case
    id = None if joined.resumed else str(joined.start)
    name, summary = dialect.summary(joined)
    first = b""
    if reset is not None:
        first = encode(to_json({"reason": reset, "case": case}), event=names.reset, id=id)
    return first + encode(to_json(summary), event=name, id=id, retry=retry)


def _message(frame: dict[str, Any]) -> dict[str, Any]:
    data = frame["data"]
    return {
        "id": frame["id"],
        "case": frame["case"],
        "seq": frame["seq"],
        "at": frame["at"],
        "sender_name": frame["actor"].get("name"),
        **data,
    }
