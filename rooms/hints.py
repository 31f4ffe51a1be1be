"""Hints on their way between processes: batches of JSON.

A batch is what one process has for one audience, numbered from 1 by its process, so that whoever
hears it can tell that one is missing, or comes late or twice.

Invariant: what is not understood is passed over, for processes of two versions run side by side
during a deploy; nothing that arrives here raises.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rooms.attendance import PATIENT, Attendance, Occupant, RollCall
from rooms.broker import Hint
from rooms.cursor import parse_cursor
from rooms.encoding import Record, RunSignal, Signal, to_json
from rooms.errors import Malformed
from rooms.events import Audience
from rooms.state import Cause, Progress, RunState

VERSION: Final = 1
"""Grows when an older process must not read what a newer one writes; a new field is no reason."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one process has to tell one audience at once."""

    process: str
    audience: Audience
    number: int
    hints: list[Hint]


def opening(process: str) -> bytes:
    """Give the bytes with which every batch of this process begins, and no batch of another."""
    return _bytes(f'{{"v":{VERSION},"process":{to_json(process)},')


def encode_batch(
    process: str, audience: Audience, number: int, encoded_hints: Sequence[bytes]
) -> bytes:
    about = _bytes(f'"audience":"{audience}","number":{number},"hints":[')
    return b"".join((opening(process), about, b",".join(encoded_hints), b"]}"))


def encode_hint(hint: Hint) -> bytes:
    return _bytes(to_json(_members(hint)))


def decode_batch(data: bytes) -> Batch | None:
    """Read a batch, without the hints that this version does not know; None: it is not one."""
    try:
        batch = json.loads(data)
        if batch["v"] != VERSION:
            return None
        audience = Audience(_text(batch, "audience"))
        read = [_decode(audience, members) for members in batch["hints"]]
        hints = [hint for hint in read if hint is not None]
        return Batch(_text(batch, "process"), audience, _number(batch, "number"), hints)
    except (KeyError, TypeError, ValueError, RecursionError):
        return None


def _members(hint: Hint) -> dict[str, Any]:
    match hint:
        case Record():
            return {
                "type": "event",
                "case": hint.case,
                "cursor": str(hint.cursor),
                "previous": str(hint.previous),
                "kind": hint.kind,
                "frame": hint.frame,
            }
        case Attendance():
            return {"type": "attendance", **hint.members()}
        case RollCall():
            return {"type": "roll_call", **hint.members()}
        case RunSignal():
            # Its frame follows from the step.
            return {"type": "run", "case": hint.case, **_step_members(hint.step)}
        case Signal():
            by = {} if hint.by is None else {"by": hint.by}
            return {"type": "signal", "case": hint.case, "frame": hint.frame, **by}


def _step_members(step: Progress) -> dict[str, Any]:
    members = {
        "run": step.run,
        "fence": step.fence,
        "state": step.state,
        "i": step.i,
        "text": step.text or None,
        "message": step.message_id,
        "cause": step.cause,
        "begun": step.begun,
    }
    return {name: value for name, value in members.items() if value is not None}


def _decode(audience: Audience, members: Any) -> Hint | None:
    try:
        return _DECODERS[members["type"]](audience, members)
    except (KeyError, TypeError, ValueError, Malformed):
        return None


def _record(audience: Audience, members: Mapping[str, Any]) -> Record:
    cursor, previous = (parse_cursor(_text(members, name)) for name in ("cursor", "previous"))
    case, kind, frame = (_text(members, name) for name in ("case", "kind", "frame"))
    return Record(case, audience, cursor, previous, kind, frame)


def _signal(audience: Audience, members: Mapping[str, Any]) -> Signal:
    by = _text(members, "by") if "by" in members else None
    return Signal(_text(members, "case"), audience, _text(members, "frame"), by)


def _run_signal(audience: Audience, members: Mapping[str, Any]) -> RunSignal:
    cause = members.get("cause")
    step = Progress(
        _text(members, "run"),
        _number(members, "fence"),
        RunState(members["state"]),
        _number(members, "i") if "i" in members else None,
        _text(members, "text") if "text" in members else "",
        _text(members, "message") if "message" in members else None,
        # It is for metrics only: a cause that is new is no reason to miss the end of an answer.
        Cause(cause) if cause in list(Cause) else None,
        _number(members, "begun") if "begun" in members else None,
    )
    return RunSignal(_text(members, "case"), audience, step)


def _attendance(audience: Audience, members: Mapping[str, Any]) -> Attendance:
    come, gone = ([_occupant(each) for each in members.get(name, [])] for name in ("come", "gone"))
    whole = members.get("whole") is True
    return Attendance(
        _text(members, "process"), _number(members, "number"), come, gone, whole=whole
    )


def _occupant(texts: Any) -> Occupant:
    match texts:
        case [str(case)]:
            return Occupant(case, PATIENT)
        case [str(case), str(id), str(name)]:
            return Occupant(case, (id, name))
        case _:
            raise TypeError("occupant")


def _roll_call(audience: Audience, members: Mapping[str, Any]) -> RollCall:
    known = members["known"]
    return RollCall(_text(members, "process"), {name: _number(known, name) for name in known})


_DECODERS: Final[Mapping[str, Callable[[Audience, Mapping[str, Any]], Hint]]] = {
    "event": _record,
    "signal": _signal,
    "run": _run_signal,
    "attendance": _attendance,
    "roll_call": _roll_call,
}


def _text(members: Mapping[str, Any], name: str) -> str:
    value = members[name]
    if not isinstance(value, str):
        raise TypeError(name)
    return value


def _number(members: Mapping[str, Any], name: str) -> int:
    value = members[name]
    if type(value) is not int or value < 0:
        raise TypeError(name)
    return value


def _bytes(text: str) -> bytes:
    # Half of a surrogate pair has no UTF-8; `json.loads` reads what this makes of it.
    return text.encode("utf-8", "surrogatepass")
