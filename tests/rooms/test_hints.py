"""What processes tell each other."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rooms.attendance import Attendance, Occupant, RollCall
from rooms.broker import Hint
from rooms.cursor import START, Cursor
from rooms.encoding import Record, RunSignal, Signal
from rooms.events import Audience
from rooms.hints import decode_batch, encode_batch, encode_hint, opening
from rooms.state import Cause, Progress, RunState

TEXT = st.text(max_size=40)
NUMBERS = st.integers(0, 10**15 - 1)
CURSORS = st.just(START) | st.builds(
    Cursor, st.integers(1, 10**15 - 1), st.from_regex(r"[0-9a-f]{8}", fullmatch=True)
)
STEPS = st.builds(
    Progress,
    run=TEXT,
    fence=NUMBERS,
    state=st.sampled_from(RunState),
    i=st.none() | NUMBERS,
    text=TEXT,
    message_id=st.none() | TEXT,
    cause=st.none() | st.sampled_from(Cause),
)


OCCUPANTS = st.lists(st.builds(Occupant, TEXT, st.none() | st.tuples(TEXT, TEXT)), max_size=3)
ATTENDANCES = st.builds(Attendance, TEXT, NUMBERS, OCCUPANTS, OCCUPANTS, whole=st.booleans())
ROLL_CALLS = st.builds(RollCall, TEXT, st.dictionaries(TEXT, NUMBERS, max_size=3))


def hints_for(audience: Audience) -> st.SearchStrategy[list[Hint]]:
    to = st.just(audience)
    others = st.one_of(ATTENDANCES, ROLL_CALLS) if audience is Audience.STAFF else st.nothing()
    return st.lists(
        st.builds(Record, TEXT, to, CURSORS, CURSORS, TEXT, TEXT)
        | st.builds(Signal, TEXT, to, TEXT, st.none() | TEXT)
        | st.builds(RunSignal, TEXT, to, STEPS)
        | others,
        max_size=5,
    )


def members(hint: Hint) -> tuple[Any, ...]:
    """Give all that a hint is."""
    names = {"case", "audience", "frame", "cursor", "previous", "kind", "by", "step"}
    names |= {"process", "number", "come", "gone", "whole", "known"}
    return type(hint), {name: getattr(hint, name) for name in names if hasattr(hint, name)}


def written(**changes: Any) -> dict[str, Any]:
    """Give a batch with a signal, as JSON, with some of its members changed."""
    signal = {"type": "signal", "case": "case-1", "frame": "{}"}
    batch = {"v": 1, "process": "a", "audience": "staff", "number": 1, "hints": [signal]}
    return batch | changes


def hints_in(*hints: Any) -> list[Hint]:
    batch = decode_batch(json.dumps(written(hints=hints)).encode())
    assert batch is not None
    return batch.hints


@given(st.sampled_from(Audience).flatmap(lambda to: st.tuples(st.just(to), hints_for(to))), TEXT)
def test_every_hint_survives_the_wire_exactly(told: tuple[Audience, list[Hint]], by: str) -> None:
    audience, hints = told
    data = encode_batch(by, audience, 7, [encode_hint(hint) for hint in hints])
    batch = decode_batch(data)
    assert batch is not None
    assert (batch.process, batch.audience, batch.number) == (by, audience, 7)
    assert [members(hint) for hint in batch.hints] == [members(hint) for hint in hints]


@given(TEXT, TEXT)
def test_a_process_knows_its_own_batches_by_how_they_begin(one: str, other: str) -> None:
    batch = encode_batch(one, Audience.STAFF, 1, [])
    assert batch.startswith(opening(other)) == (one == other)


@given(st.binary(max_size=60))
def test_garbage_is_not_a_batch(data: bytes) -> None:
    assert decode_batch(data) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(["v", "process", "audience", "number", "hints"]), JSON)
def test_a_batch_with_a_strange_member_raises_nothing(name: str, value: Any) -> None:
    decode_batch(json.dumps(written(**{name: value})).encode())


@given(st.lists(JSON | st.dictionaries(st.sampled_from(["type", "case", "frame"]), JSON)))
def test_strange_hints_are_passed_over(strange: list[Any]) -> None:
    known = written()["hints"][0]
    assert [hint.case for hint in hints_in(*strange, known)][-1] == "case-1"


def test_nesting_without_end_raises_nothing() -> None:
    assert decode_batch(b"[" * 100_000) is None


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_a_batch_of_another_version_is_passed_over(version: object) -> None:
    assert decode_batch(json.dumps(written(v=version)).encode()) is None
    assert decode_batch(json.dumps(written()).encode()) is not None


@pytest.mark.parametrize(
    "unknown",
    [
        {"type": "rumour", "case": "case-1"},
        {"type": "signal", "case": 1, "frame": "{}"},
        {"type": "signal", "case": "case-1"},
        {"type": "signal", "case": "case-1", "frame": "{}", "by": 1},
        {"type": "event", "case": "case-1", "cursor": "x", "previous": "0.0", "kind": "message"},
        {"type": "run", "case": "case-1", "run": "run-1", "fence": 1, "state": "dreaming"},
        {"type": "run", "case": "case-1", "run": "run-1", "fence": True, "state": "writing"},
        {"type": ["signal"]},
        {"type": "roll_call"},
        {"type": "attendance", "process": "b"},
        {"type": "attendance", "process": "b", "number": 1, "come": ["case-1"]},
        {"type": "attendance", "process": "b", "number": 1, "come": [["case-1", "user_priya"]]},
        {"type": "attendance", "process": "b", "number": 1, "gone": [["case-1", 1, "Priya"]]},
        {"type": "attendance", "process": "b", "number": 1, "gone": 7},
        "signal",
    ],
)
def test_hints_that_this_version_does_not_know_leave_the_others(unknown: object) -> None:
    known = written()["hints"][0]
    assert [hint.case for hint in hints_in(known, unknown, known)] == ["case-1", "case-1"]


def test_half_of_a_surrogate_pair_survives_the_wire() -> None:
    torn = Signal("case-1", Audience.STAFF, "\ud83d")
    batch = decode_batch(encode_batch("a", Audience.STAFF, 1, [encode_hint(torn)]))
    assert batch is not None
    assert [members(hint) for hint in batch.hints] == [members(torn)]


def test_new_members_are_ignored() -> None:
    known = written()["hints"][0]
    [hint] = hints_in({**known, "urgency": 3})
    assert members(hint) == members(Signal("case-1", Audience.STAFF, "{}"))


def test_the_end_of_an_answer_is_heard_even_if_its_cause_is_new() -> None:
    [hint] = hints_in(
        {
            "type": "run",
            "case": "case-1",
            "run": "run-1",
            "fence": 1,
            "state": "stopped",
            "cause": "eclipse",
        }
    )
    assert isinstance(hint, RunSignal)
    assert hint.step == Progress("run-1", 1, RunState.STOPPED)


def test_a_kind_that_this_version_does_not_know_is_handed_on() -> None:
    record = Record("case-1", Audience.STAFF, Cursor(1, "00000000"), START, "horoscope", "{}")
    [hint] = hints_in(json.loads(encode_hint(record)))
    assert members(hint) == members(record)
