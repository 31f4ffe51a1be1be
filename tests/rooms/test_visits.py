"""Who reads a room: what is remembered, and for how long."""

from datetime import timedelta

import pytest

from rooms.events import Audience
from rooms.visits import KEPT_FOR, Visits, Way
from tests.rooms.kit import CASE, MARIA, NOW, PRIYA
from tests.rooms.simulation import Room


def test_what_has_ended_is_forgotten_after_a_while_and_what_lasts_is_not() -> None:
    now = [NOW]
    visits = Visits(lambda: now[0])
    room = Room(3)
    first, second = (room.join(seq=3).subscription for _ in range(2))
    room.settle()
    assert first is not None
    assert second is not None
    one = visits.begin("c", CASE, MARIA, Way.WEBSOCKET, first, 3, resumed=True)
    other = visits.begin("c", CASE, MARIA, Way.WEBSOCKET, second, 3, resumed=True)
    room.tell(room.append())
    visits.poll(CASE, PRIYA, Audience.STAFF, 0, 4, resumed=True)
    visits.end(one, 4503)
    assert visits.of_case("another") == []
    assert [visit.way for visit in visits.of_case(CASE)] == ["websocket", "websocket", "polling"]
    assert (one.written, one.code, one.subscription) == (4, 4503, None)
    now[0] += KEPT_FOR + timedelta(seconds=1)
    assert visits.of_case(CASE) == [other]
    room.tell(room.append())
    assert (one.written, other.written) == (4, 5)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rooms.visits.KEPT", 2)
    visits = Visits(lambda: NOW)
    for number in range(4):
        visits.poll(f"case-{number}", MARIA, Audience.PATIENT, 0, 1, resumed=True)
    assert [bool(visits.of_case(f"case-{number}")) for number in range(4)] == [False] * 2 + [
        True
    ] * 2
