"""Who is in a room now."""

from rooms.presence import Presence, Present
from tests.rooms.kit import MARIA, PRIYA, SAM

NOBODY = Present(False, ())


def test_nobody_is_in_a_room_that_nobody_entered() -> None:
    assert Presence().present("case-1") == NOBODY


def test_the_second_connection_of_somebody_changes_nothing() -> None:
    presence = Presence()
    assert presence.enter("case-1", "c1", PRIYA)
    assert not presence.enter("case-1", "c2", PRIYA)
    assert presence.present("case-1") == Present(False, (("user_priya", "Priya"),))
    assert not presence.leave("case-1", "c1")
    assert presence.leave("case-1", "c2")
    assert presence.present("case-1") == NOBODY


def test_a_patient_is_online_and_no_viewer() -> None:
    presence = Presence()
    assert presence.enter("case-1", "c1", MARIA)
    assert not presence.enter("case-1", "c2", MARIA)
    assert presence.present("case-1") == Present(True, ())


def test_viewers_are_listed_once_each_in_the_same_order_for_everybody() -> None:
    presence = Presence()
    for number, by in enumerate((SAM, PRIYA, MARIA, SAM)):
        presence.enter("case-1", f"c{number}", by)
    assert presence.present("case-1") == Present(
        True, (("user_priya", "Priya"), ("user_sam", "Sam"))
    )


def test_rooms_are_kept_apart() -> None:
    presence = Presence()
    presence.enter("case-1", "c1", MARIA)
    presence.enter("case-2", "c1", PRIYA)
    assert presence.leave("case-1", "c1")
    assert presence.present("case-2").viewers


def test_a_connection_that_never_entered_leaves_without_a_trace() -> None:
    presence = Presence()
    assert not presence.leave("case-1", "c1")
    presence.enter("case-1", "c1", MARIA)
    assert not presence.leave("case-1", "c2")
    assert not presence.leave("case-2", "c1")
    assert presence.present("case-1").patient
