"""The embedded broker."""

from rooms.broker import Hint, MemoryBroker
from rooms.cursor import START, Cursor
from rooms.encoding import Record, Signal
from rooms.events import Audience

RECORD = Record("case-1", Audience.STAFF, Cursor(1, "00000000"), START, "message", "{}")
SIGNAL = Signal("case-1", Audience.STAFF, "{}")


def test_hints_arrive_at_once_and_in_order() -> None:
    broker = MemoryBroker()
    heard: list[Hint] = []
    broker.attach(heard.append)
    broker.publish([RECORD, SIGNAL])
    broker.publish([RECORD])
    assert heard == [RECORD, SIGNAL, RECORD]


def test_hints_that_nobody_receives_are_lost_and_nothing_else_happens() -> None:
    broker = MemoryBroker()
    broker.publish([RECORD])
    heard: list[Hint] = []
    broker.attach(heard.append)
    broker.publish([])
    assert heard == []
