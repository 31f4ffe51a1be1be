"""What must be true of a history, whatever was broken meanwhile."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.faults.member import Member, Sent
from tests.kit import Frame

HIDDEN = ("note", "escalation", "delivery", "huddle")
"""The kinds that no patient may learn of."""

Logs = Mapping[tuple[str, bool], Sequence[Frame]]
"""By case, and whether it is the view of staff."""


def check(members: Sequence[Member], logs: Logs) -> None:
    """Compare what was said and seen with the log of each case."""
    for case in {case for case, _ in logs}:
        here = [member for member in members if member.case == case]
        staff, patients = logs[case, True], logs[case, False]
        _check_writes(here, staff, patients)
        _check_takeovers(staff)
        _check_views(here, staff, patients)
    for member in members:
        for text in member.raw_text:
            assert "SECRET" not in text, (member, text)


def _check_writes(
    members: Sequence[Member], staff: Sequence[Frame], patients: Sequence[Frame]
) -> None:
    """What was acknowledged is stored once, and what nobody said is not."""
    doubles = [
        key for key, times in Counter(e.get("key") for e in staff).items() if times > 1 and key
    ]
    assert not doubles, doubles
    for member in members:
        log = staff if member.is_staff else patients
        stored = {event["key"]: (event["id"], event["cursor"]) for event in log if "key" in event}
        lost = [
            key
            for key, each in member.sent.items()
            if each.ack is not None and "id" in each.ack and not each.undone
            if stored.get(key) != (each.ack["id"], each.ack["cursor"])
        ]
        assert not lost, lost
    # What was refused may be stored all the same: a copy that was long on its way came when it was
    # right. No refusal is remembered.
    said = {key for member in members for key in member.sent}
    assert {event["key"] for event in staff if "key" in event} <= said
    runs = Counter(event["data"].get("run") for event in staff if event["data"].get("run"))
    assert not [run for run, times in runs.items() if times > 1]


def _check_takeovers(log: Sequence[Frame]) -> None:
    """One person leads at a time, and while one does, the AI says nothing."""
    control, fence = "ai", 0
    for event in log:
        data = event["data"]
        if event["kind"] == "control":
            assert data["fence"] == fence + 1, event
            assert not (control == data["control"] == "human"), event
            control, fence = data["control"], data["fence"]
        elif event["kind"] == "message" and data["sender_type"] == "ai":
            assert control != "human", event


def _check_views(
    members: Sequence[Member], staff: Sequence[Frame], patients: Sequence[Frame]
) -> None:
    """Everybody saw the log of their audience, in one order, without a hole or a double."""
    visible = [event["id"] for event in staff if event["kind"] not in HIDDEN]
    assert [event["id"] for event in patients] == visible
    assert not [event for event in patients if event["kind"] in HIDDEN]
    for member in members:
        log = staff if member.is_staff else patients
        assert [e["id"] for e in member.view.events] == [e["id"] for e in log], member
        assert [e["seq"] for e in member.view.events] == list(range(1, len(log) + 1)), member


@dataclass(frozen=True)
class Delivery:
    """An event on its way from its acknowledgement to somebody who was there all the while."""

    key: str
    seconds: float
    across: bool
    """From one hub to another."""


def deliveries(members: Sequence[Member], since: float, until: float) -> list[Delivery]:
    """Give how long it took what was acknowledged between two moments to reach the others."""
    found: list[Delivery] = []
    for author in members:
        for key, sent in author.sent.items():
            if sent.ack is None or sent.answered is None or "id" not in sent.ack:
                continue
            if since <= sent.answered <= until:
                found += _deliveries(members, author, key, sent)
    return found


def _deliveries(
    members: Sequence[Member], author: Member, key: str, sent: Sent
) -> Iterator[Delivery]:
    assert sent.ack is not None
    assert sent.answered is not None
    for member in members:
        if member.case != author.case or sent.ack["id"] not in member.received:
            continue
        at, sojourn = member.received[sent.ack["id"]]
        if sojourn.live is not None and sojourn.live < sent.answered:
            yield Delivery(key, at - sent.answered, sojourn.hub != sent.hub)


def seconds_to_ack(members: Sequence[Member], since: float, until: float) -> list[float]:
    """Give how long a hub took to acknowledge what it was told between two moments, in order."""
    return sorted(
        sent.seconds
        for member in members
        for sent in member.sent.values()
        if sent.answered is not None and since <= sent.answered <= until
    )
