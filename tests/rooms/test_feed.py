"""Ordered delivery: the cases that have a name. `test_feed_property` looks for those without."""

import pytest
from structlog.typing import EventDict

from rooms.cursor import Cursor
from rooms.encoding import Record, Signal
from rooms.events import Audience, Control
from rooms.feed import Cut
from rooms.state import RunState
from tests.rooms.simulation import CASE, CODEC, CursorCodec, FakeLog, Guest, Room, Steps

STAFF, PATIENT = Audience.STAFF, Audience.PATIENT


def settled(events: int = 3, *seqs: int) -> tuple[Room, list[Guest]]:
    """Give a room with readers of the staff's view that began at these positions and are live."""
    room = Room(events)
    guests = [room.join(seq=seq) for seq in seqs]
    room.settle()
    assert all(guest.is_live for guest in guests)
    return room, guests


def seqs(guest: Guest) -> list[int]:
    return [cursor.seq for cursor in guest.seen]


# Joining.


def test_a_new_reader_gets_everything_after_its_cursor_and_is_then_live() -> None:
    _, (all_of_it, some, nothing) = settled(5, 0, 3, 5)
    assert (seqs(all_of_it), seqs(some), seqs(nothing)) == ([1, 2, 3, 4, 5], [4, 5], [])


def test_history_meets_live_without_hole_or_double_whenever_events_come_in_between() -> None:
    for moment in range(12):
        room = Room(3)
        guest = room.join()
        for step in range(12):
            if step == moment:
                room.tell(room.append(), room.append())
            room.steps.step()
        room.settle()
        assert seqs(guest) == [1, 2, 3, 4, 5], moment
        assert guest.is_live


def test_hints_that_come_while_the_head_is_being_read_are_not_forgotten() -> None:
    room = Room(3)
    guest = room.join()
    room.steps.step()
    room.steps.step()  # the head of the log, 3, was read and is on its way
    room.tell(room.append())
    room.settle()
    assert seqs(guest) == [1, 2, 3, 4]


def test_a_head_that_arrives_late_does_not_put_a_stream_back() -> None:
    room = Room(2)
    first, second = room.join(), room.join()
    for _ in range(4):
        room.steps.step()  # both have read the head of the log, 2, and it is on its way
    late = room.steps.waiting.pop()
    room.settle()
    room.tell(room.append())
    assert first.is_live
    room.steps.spawn(late)
    room.settle()
    assert (seqs(first), seqs(second)) == ([1, 2, 3], [1, 2, 3])


def test_a_reader_that_comes_from_a_quicker_process_goes_live_without_a_cut() -> None:
    room, (old,) = settled(3, 3)
    room.append()
    late = room.append()
    new = room.join(seq=5)
    room.settle()
    assert new.is_live
    assert (seqs(new), new.cuts) == ([], [])
    assert seqs(old) == [4, 5], "what the newcomer knows of is read from the log for all"
    room.tell(late)
    room.settle()
    assert seqs(new) == []


def test_a_reader_leaves_in_the_middle_of_its_replay_and_hears_nothing_more() -> None:
    room = Room(6)
    guest = room.join()
    while not guest.seen:
        room.steps.step()
    guest.leave()
    room.settle()
    assert seqs(guest) == [1, 2], "the page that it was in"
    assert room.feed is None, "a room without readers is forgotten"
    assert guest.subscription is not None
    guest.subscription.close()
    guest.subscription.resume()
    assert room.steps.waiting == []


def test_a_reader_that_leaves_while_its_page_is_read_gets_nothing_of_it() -> None:
    room, (stays,) = settled(3, 3)
    guest = room.join()
    for _ in range(3):
        room.steps.step()  # the page is on its way
    guest.leave()
    room.settle()
    assert guest.seen == []
    assert stays.is_live


def test_a_reader_may_leave_in_the_very_moment_in_which_it_is_full() -> None:
    class Leaver(Guest):
        def write(self, data: bytes) -> bool:
            self.leave()
            return False

    room, (stays,) = settled(3, 3)
    assert room.feed is not None
    leaver = Leaver(room.log, STAFF, room.log.head(STAFF))
    leaver.subscription = room.feed.stream(STAFF).subscribe(leaver, "leaver")
    room.steps.spawn(leaver.subscription.start(leaver.position))
    room.settle()
    room.tell(room.append(), room.append())
    room.settle()
    assert seqs(stays) == [4, 5]


def test_a_stream_that_was_left_cannot_make_another_one_be_forgotten() -> None:
    room = Room()
    guest = room.join(PATIENT)
    assert room.feed is not None
    room.join(STAFF)
    left = room.feed.stream(PATIENT)
    guest.leave()
    again = room.join(PATIENT)
    left.subscribe(guest, "nobody").close()
    room.settle()
    room.tell(room.append())
    assert seqs(again) == [1, 2, 3]


def test_a_room_is_forgotten_when_the_readers_of_both_audiences_have_left() -> None:
    room = Room()
    staff, patient = room.join(STAFF), room.join(PATIENT)
    room.settle()
    staff.leave()
    assert room.feed is not None
    patient.leave()
    assert room.feed is None


# Hints.


def test_each_audience_is_told_its_own_numbers() -> None:
    room = Room(1)
    staff, patient = room.join(STAFF), room.join(PATIENT)
    room.settle()
    room.tell(room.append(hidden=True), room.append())
    assert (seqs(staff), seqs(patient)) == ([1, 2, 3], [1, 2])


def test_a_doubled_hint_is_dropped() -> None:
    room, (guest,) = settled(3, 3)
    hints = room.append()
    room.tell(hints, hints)
    assert seqs(guest) == [4]
    assert room.steps.waiting == []


def test_a_lost_hint_is_filled_from_the_log_by_the_next_one() -> None:
    room, (guest,) = settled(3, 3)
    room.append()
    room.tell(room.append())
    assert guest.seen == [], "the later one waits for the earlier"
    room.settle()
    assert seqs(guest) == [4, 5]


def test_a_stream_knows_what_it_was_told_by_hints_and_what_it_had_to_read() -> None:
    room, _ = settled(3, 3)
    room.tell(room.append())
    room.append()
    room.append()
    room.tell(room.append())
    room.settle()
    room.tell(room.append())
    assert room.feed is not None
    [standing] = room.feed.standings()
    assert (standing.since, standing.position, standing.repairs) == (3, 8, ((5, 7),))


def test_reordered_hints_are_delivered_in_order() -> None:
    room, (guest,) = settled(3, 3)
    hints = [room.append() for _ in range(4)]
    room.tell(*reversed(hints))
    room.settle()
    assert seqs(guest) == [4, 5, 6, 7]
    assert guest.is_live


def test_a_late_hint_of_an_event_that_was_read_meanwhile_is_dropped() -> None:
    room, (guest,) = settled(3, 3)
    late, _, last = [room.append() for _ in range(3)]
    room.tell(last)
    room.settle()
    room.tell(late)
    room.settle()
    assert seqs(guest) == [4, 5, 6]
    assert guest.cuts == []


def test_hints_that_come_during_a_repair_are_delivered_once() -> None:
    for moment in range(8):
        room, (guest,) = settled(3, 3)
        room.append()
        room.tell(room.append())
        for _ in range(moment):
            room.steps.step()
        room.tell(room.append(), room.append())
        room.settle()
        assert seqs(guest) == [4, 5, 6, 7], moment


def test_what_is_heard_of_while_a_page_is_read_that_turns_out_empty_is_not_forgotten() -> None:
    room, (guest,) = settled(3, 3)
    room.append()
    hint = room.append()
    room.log.restore(3)
    room.tell(hint)
    room.steps.step()
    room.steps.step()  # an empty page is on its way
    room.append()
    room.append()
    room.tell(room.append())
    room.settle()
    assert seqs(guest) == [4, 5, 6]


def test_a_lost_hint_that_comes_during_its_repair_is_delivered_once() -> None:
    room, (guest,) = settled(3, 3)
    late = room.append()
    room.tell(room.append())
    room.steps.step()
    room.steps.step()  # the page is on its way
    room.tell(late)
    room.settle()
    assert seqs(guest) == [4, 5]


def test_when_all_hints_are_lost_the_audit_finds_the_events() -> None:
    room, (guest,) = settled(3, 3)
    room.append()
    room.append(hidden=True)
    room.audit()
    room.settle()
    assert seqs(guest) == [4, 5]


def test_hints_for_an_audience_without_readers_are_nobodys_business() -> None:
    room, (guest,) = settled(3, 3)
    assert room.feed is not None
    room.feed.receive(Signal(CASE, PATIENT, "signal"))
    room.tell(room.append())
    assert seqs(guest) == [4]
    assert room.feed.head(STAFF) == room.log.head(STAFF)
    assert set(room.feed.positions()) == {STAFF}


def test_each_wire_format_is_encoded_once_and_may_leave_events_out() -> None:
    class Counting(CursorCodec):
        made = 0

        def event(self, record: Record) -> bytes | None:
            self.made += 1
            return super().event(record)

    room, guests = settled(3, 3, 3, 3)
    codec = Counting()
    for guest in guests:
        guest.codec = codec
    room.tell(room.append())
    assert codec.made == 1
    guests[0].codec = CODEC
    skipped = room.append(kind="untold")
    for guest in guests:
        guest.position = skipped[1].cursor
    room.tell(skipped, room.append())
    assert [seqs(guest) for guest in guests] == [[4, 6]] * 3


# Slow readers.


def test_a_slow_reader_falls_behind_alone_and_catches_up_from_the_log() -> None:
    room, (slow, quick) = settled(3, 3, 3)
    slow.room = 2
    room.tell(*(room.append() for _ in range(6)))
    room.settle()
    assert (seqs(slow), seqs(quick)) == ([4, 5], [4, 5, 6, 7, 8, 9])
    slow.resume()
    room.settle()
    assert seqs(slow) == [4, 5, 6, 7, 8, 9]
    assert slow.is_live


def test_a_reader_may_be_full_again_and_again_while_it_catches_up() -> None:
    room = Room(7)
    guest = room.join()
    guest.room = 1
    room.settle()
    for expected in range(1, 8):
        assert seqs(guest) == list(range(1, expected + 1))
        assert not guest.is_live
        guest.resume(1)
        room.settle()
    assert guest.is_live


def test_a_full_reader_is_left_alone_until_it_says_so() -> None:
    room, (guest,) = settled(3, 3)
    guest.room = 1
    room.tell(room.append(), room.append())
    room.audit()
    room.settle()
    assert seqs(guest) == [4]
    guest.resume()
    guest.resume()
    assert len(room.steps.waiting) == 1, "it is catching up already"
    room.settle()
    assert seqs(guest) == [4, 5]


def test_a_live_reader_that_resumes_has_nothing_to_catch_up_with() -> None:
    room, (guest,) = settled(3, 3)
    guest.resume()
    assert room.steps.waiting == []
    assert guest.is_live


def test_events_of_a_moving_room_reach_a_reader_that_catches_up_in_order() -> None:
    room, (guest,) = settled(3, 3)
    guest.room = 1
    room.tell(*(room.append() for _ in range(4)))
    guest.resume()
    for _ in range(30):
        room.tell(room.append())
        room.steps.step()
    room.settle()
    assert seqs(guest) == list(range(4, 38))
    assert guest.is_live


# Signals.


def test_signals_reach_live_readers_but_not_those_of_their_author() -> None:
    room = Room()
    maria, priya, also_priya = (room.join(by=by) for by in ("maria", "priya", "priya"))
    other = room.join(PATIENT, by="sam")
    room.settle()
    room.receive(Signal(CASE, STAFF, "signal 1", by="priya"), Signal(CASE, STAFF, "signal 2"))
    assert maria.signals == ["signal 1", "signal 2"]
    assert priya.signals == also_priya.signals == ["signal 2"]
    assert other.signals == []


def test_signals_are_not_for_readers_that_are_behind() -> None:
    room, (full,) = settled(3, 3)
    full.room = 1
    room.tell(room.append())
    joining = room.join()
    room.receive(Signal(CASE, STAFF, "signal"))
    full.resume()
    room.settle()
    assert (full.signals, joining.signals) == ([], [])


def test_a_reader_that_is_full_after_a_signal_loses_no_event() -> None:
    room, (guest,) = settled(3, 3)
    guest.room = 1
    room.receive(Signal(CASE, STAFF, "signal 1"), Signal(CASE, STAFF, "signal 2"))
    room.tell(room.append())
    assert (guest.signals, guest.seen) == (["signal 1"], [])
    guest.resume()
    room.settle()
    assert seqs(guest) == [4]
    assert guest.is_live


# Answers of the AI.


def answering(room: Room, *pieces: str) -> None:
    """Let an answer begin, and be told of."""
    room.tell(room.log.begin())
    for piece in pieces:
        room.tell(room.log.grow(piece))


def shown(*guests: Guest) -> list[str | None]:
    """Give what each reader sees of an answer; None: nothing, not even that there is one."""
    return [None if guest.screen.run is None else guest.screen.text for guest in guests]


def test_readers_of_both_audiences_see_an_answer_grow_until_its_message_comes() -> None:
    room = Room()
    staff, patient = room.join(STAFF, 2), room.join(PATIENT, 2)
    room.settle()
    room.tell(room.log.begin())
    assert shown(staff, patient) == ["", ""]
    room.tell(room.log.grow("Good "), room.log.grow("day"))
    assert shown(staff, patient) == ["Good day", "Good day"]
    room.tell(room.log.end())
    assert shown(staff, patient) == [None, None]
    assert (seqs(staff), seqs(patient)) == ([3], [3])
    assert room.steps.waiting == [], "and the log was not asked"


def test_who_comes_in_the_middle_of_an_answer_is_told_how_far_it_is() -> None:
    room, _ = settled(3, 3)
    answering(room, "Good ", "mor")
    late = room.join(seq=3)
    room.settle()
    assert shown(late) == ["Good mor"]
    room.tell(room.log.grow("ning"))
    assert shown(late) == ["Good morning"]


def test_who_comes_before_the_first_piece_is_told_that_there_is_an_answer() -> None:
    room, _ = settled(3, 3)
    answering(room)
    late = room.join(seq=3)
    room.settle()
    assert shown(late) == [""]


def test_an_answer_that_began_before_anybody_was_here_is_followed() -> None:
    room = Room()
    room.log.begin()
    room.log.grow("Good ")
    guest = room.join()
    room.settle()
    room.tell(room.log.grow("day"))
    assert shown(guest) == ["Good day"]
    assert room.steps.waiting == []


def test_pieces_that_come_before_the_room_has_a_place_are_not_forgotten() -> None:
    room = Room(3)
    answering(room)
    guest = room.join()
    room.steps.step()
    room.steps.step()  # the state of the room was read, and is on its way
    room.tell(room.log.grow("Good "), room.log.grow("day"))
    room.settle()
    assert shown(guest) == ["Good day"]


def test_who_comes_when_the_message_is_there_is_not_shown_its_pieces() -> None:
    room, _ = settled(3, 3)
    answering(room, "Good day")
    *message, end, also_end = room.log.end()
    room.tell(message)
    late = room.join(seq=4)
    room.settle()
    assert shown(late) == [None]
    room.tell([end, also_end])
    assert shown(late) == [None]


def test_a_slow_reader_is_told_at_last_how_far_the_answer_is() -> None:
    room, (slow, quick) = settled(3, 3, 3)
    slow.room = 2
    answering(room, "Good ", "mor", "ning")
    assert shown(slow, quick) == ["", "Good morning"]
    slow.resume()
    room.settle()
    assert shown(slow, quick) == ["Good morning", "Good morning"]


@pytest.mark.parametrize("pieces", [[], ["Good ", "day"]])
@pytest.mark.parametrize("more", [0, 1, 2])
def test_a_slow_reader_learns_that_the_answer_that_it_saw_is_over(
    pieces: list[str], more: int
) -> None:
    room, (slow,) = settled(3, 3)
    slow.room = 1
    answering(room, *pieces)
    room.tell(room.log.end(RunState.STOPPED))
    for _ in range(more):
        answering(room)
        room.tell(room.log.end(RunState.STOPPED))
    assert shown(slow) == [""]
    slow.resume()
    room.settle()
    assert shown(slow) == [None]
    assert slow.is_live


def test_a_slow_reader_may_be_full_again_when_it_learns_of_the_end() -> None:
    room, (slow,) = settled(3, 3)
    slow.room = 1
    answering(room)
    room.tell(room.log.end(RunState.STOPPED))
    slow.resume(1)
    room.settle()
    room.tell(room.append())
    slow.resume()
    room.settle()
    assert (shown(slow), seqs(slow), slow.is_live) == ([None], [4], True)


def test_a_lost_piece_is_filled_from_the_log_by_the_next_one() -> None:
    room, (one, two) = settled(3, 3, 3)
    answering(room, "Good ")
    room.log.grow("mor")
    room.tell(room.log.grow("ning"))
    assert shown(one) == ["Good "], "the later one waits for the earlier"
    room.settle()
    assert shown(one, two) == ["Good morning", "Good morning"]
    room.tell(room.log.grow("!"))
    assert shown(one, two) == ["Good morning!", "Good morning!"]


def test_pieces_that_come_while_the_log_is_asked_are_shown_once() -> None:
    for moment in range(4):
        room, (guest,) = settled(3, 3)
        answering(room, "Good ")
        room.log.grow("mor")
        room.tell(room.log.grow("ning"))
        for _ in range(moment):
            room.steps.step()
        room.tell(room.log.grow(", "), room.log.grow("Maria"))
        room.settle()
        room.audit()
        room.settle()
        assert shown(guest) == ["Good morning, Maria"], moment


def test_a_lost_beginning_is_found_by_the_first_piece() -> None:
    room, (guest,) = settled(3, 3)
    room.log.begin()
    room.tell(room.log.grow("Good "))
    room.settle()
    assert shown(guest) == ["Good "]


def test_a_lost_beginning_of_the_next_answer_is_found_too() -> None:
    room, (guest,) = settled(3, 3)
    answering(room, "Good ")
    room.tell(room.log.end(RunState.STOPPED))
    room.log.begin()
    room.tell(room.log.grow("As I said"))
    room.settle()
    assert shown(guest) == ["As I said"]


@pytest.mark.parametrize("pieces", [[], ["Good ", "day"]])
@pytest.mark.parametrize("state", [RunState.DONE, RunState.FAILED, RunState.STOPPED])
def test_a_lost_end_is_found_by_the_audit(pieces: list[str], state: RunState) -> None:
    room, (guest,) = settled(3, 3)
    answering(room, *pieces)
    room.log.end(state)
    room.audit()
    room.settle()
    assert shown(guest) == [None]
    end = guest.screen.ends[-1]
    assert (end["state"], end.get("message")) == (state, room.log.answers["run_1"].message_id)


def test_an_answer_whose_every_hint_was_lost_costs_nothing_but_its_growing() -> None:
    room, (guest,) = settled(3, 3)
    room.log.begin()
    room.log.grow("Good day")
    room.log.end()
    room.audit()
    room.settle()
    assert (guest.screen.over, shown(guest)) == (["run_1"], [None])


def test_doubled_hints_of_an_answer_change_nothing() -> None:
    room, (guest,) = settled(3, 3)
    for hints in (room.log.begin(), room.log.grow("Good "), room.log.grow("day"), room.log.end()):
        room.tell(hints, hints)
    assert guest.screen.was == ["", "Good ", "Good day"]
    assert shown(guest) == [None]


def test_late_hints_of_an_answer_that_is_over_are_not_shown() -> None:
    room, (guest,) = settled(3, 3)
    hints = [room.log.begin(), room.log.grow("Good "), room.log.grow("day"), room.log.end()]
    room.tell(*reversed(hints))
    room.settle()
    assert guest.screen.was == []
    assert (guest.screen.over, shown(guest)) == (["run_1"], [None])


def test_what_the_log_said_of_an_answer_is_not_shown_once_its_message_is_there() -> None:
    for moment in range(4):
        room, (guest,) = settled(3, 3)
        room.log.begin()
        room.tell(room.log.grow("Good "))
        for _ in range(moment):
            room.steps.step()
        *message, _, _ = room.log.end()
        room.tell(message)
        room.settle()
        assert shown(guest) == [None], moment


def test_what_the_log_said_of_an_answer_is_not_shown_once_another_has_begun() -> None:
    room, (guest,) = settled(3, 3)
    room.log.begin()
    room.tell(room.log.grow("Good "))
    room.steps.step()
    room.steps.step()  # the state with this answer is on its way
    room.log.end(RunState.STOPPED)
    room.tell(room.log.begin(), room.log.grow("As I said"))
    room.settle()
    assert shown(guest) == ["As I said"]


def test_a_log_that_fails_when_it_is_asked_is_asked_again_by_the_audit(
    logged: list[EventDict],
) -> None:
    room, (guest,) = settled(3, 3)
    answering(room, "Good ")
    room.log.grow("mor")
    room.log.failing = True
    room.tell(room.log.grow("ning"))
    room.settle()
    assert shown(guest) == ["Good "]
    assert [line["event"] for line in logged] == ["feed_waits_for_log"]
    room.log.failing = False
    room.audit()
    room.settle()
    assert shown(guest) == ["Good morning"]


# After a takeover.


def test_a_takeover_ends_what_is_shown_with_its_message_before_it_is_told() -> None:
    room, (guest,) = settled(3, 3)
    answering(room, "Good ", "mor")
    room.tell(room.log.change(Control.HUMAN))
    assert shown(guest) == [None]
    assert [room.log.data[cursor]["kind"] for cursor in guest.seen] == ["message", "control"]
    assert room.log.data[guest.seen[0]]["text"] == "Good mor"


def test_pieces_from_before_a_takeover_are_not_shown_after_it() -> None:
    room, (guest,) = settled(3, 3)
    hints = [room.log.begin(), room.log.grow("Good "), room.log.grow("mor")]
    room.tell(room.log.change(Control.HUMAN), *hints)
    room.settle()
    assert (guest.screen.was, shown(guest)) == ([], [None])


def test_pieces_from_before_a_takeover_are_not_shown_in_a_room_that_was_entered_after_it() -> None:
    room = Room()
    hints = [room.log.begin(), room.log.grow("Good "), room.log.grow("mor")]
    room.log.change(Control.HUMAN)
    guest = room.join()
    room.settle()
    room.tell(*hints)
    room.settle()
    assert (guest.screen.was, shown(guest)) == ([], [None])


def test_pieces_from_before_a_takeover_are_not_shown_after_the_release_either() -> None:
    room, (guest,) = settled(3, 3)
    hints = [room.log.begin(), room.log.grow("Good ")]
    room.tell(room.log.change(Control.HUMAN), room.log.change(Control.AI), *hints)
    room.settle()
    assert shown(guest) == [None]
    answering(room, "Welcome back")
    assert shown(guest) == ["Welcome back"]


def test_what_the_log_said_of_an_answer_is_not_shown_after_a_takeover() -> None:
    for moment in range(4):
        room, (guest,) = settled(3, 3)
        room.log.begin()
        room.tell(room.log.grow("Good "))
        for _ in range(moment):
            room.steps.step()
        *_, control, also_control = room.log.change(Control.HUMAN)
        room.tell([control, also_control])
        room.settle()
        assert shown(guest) == [None], moment


@pytest.mark.parametrize("joins", [False, True])
def test_whoever_sees_an_answer_learns_of_its_end_though_only_the_takeover_was_told(
    joins: bool,
) -> None:
    room, (guest,) = settled(3, 3)
    answering(room)
    *_, control, also_control = room.log.change(Control.HUMAN)
    if joins:
        room.join(seq=2)
        for _ in range(3):
            room.steps.step()
    room.tell([control, also_control])
    room.settle()
    assert [end["state"] for end in guest.screen.ends] == ["stopped"]


def test_a_slow_reader_learns_of_the_end_too_if_somebody_was_let_in_before_them() -> None:
    room, (guest,) = settled(3, 3)
    answering(room)
    room.log.change(Control.HUMAN)
    guest.room = 1
    room.join(seq=2)
    room.settle()
    guest.resume()
    room.settle()
    assert [end["state"] for end in guest.screen.ends] == ["stopped"]


def test_who_was_let_in_after_a_takeover_is_not_shown_what_the_others_still_see() -> None:
    room, (old,) = settled(3, 3)
    answering(room, "Good ")
    room.log.change(Control.HUMAN)
    new = room.join(seq=2)
    for _ in range(3):
        room.steps.step()
    repair = room.steps.waiting.pop(0)
    room.settle()
    assert (old.is_live, shown(old)) == (True, ["Good "]), "the room has yet to hear of it"
    assert (new.is_live, new.screen.was) == (True, [])
    room.steps.spawn(repair)
    room.settle()
    assert shown(old, new) == [None, None]
    assert (seqs(old), seqs(new)) == ([4, 5], [3, 4, 5])


# A log that is not the one that was seen.


def test_readers_are_cut_when_the_log_has_lost_what_they_saw() -> None:
    room, (saw, fresh) = settled(3, 0, 3)
    room.log.restore(2)
    room.audit()
    room.settle()
    assert saw.cuts == fresh.cuts == [Cut.CONTINUITY]
    assert room.feed is None


def test_readers_are_cut_when_another_event_stands_where_theirs_stood() -> None:
    room, (guest,) = settled(3, 3)
    room.log.restore(2)
    room.append()
    room.audit()
    room.settle()
    assert guest.cuts == [Cut.CONTINUITY]
    assert guest.seen == []


def test_readers_are_cut_when_the_other_log_has_outgrown_theirs() -> None:
    room, (guest,) = settled(3, 3)
    room.log.restore(2)
    room.append()
    room.append()
    room.audit()
    room.settle()
    assert guest.cuts == [Cut.CONTINUITY]
    assert guest.seen == []


@pytest.mark.parametrize("missed", [0, 1, 2])
def test_the_first_hint_of_another_history_is_not_delivered(missed: int) -> None:
    room, (guest,) = settled(3, 3)
    room.log.restore(2)
    for _ in range(missed):
        room.append()
    room.tell(room.append())
    room.settle()
    assert guest.seen == []
    assert guest.cuts == [Cut.CONTINUITY]


def test_a_reader_that_did_not_see_the_lost_part_goes_on_in_the_new_history() -> None:
    room, (guest,) = settled(3, 3)
    room.append()  # its hint is lost, and so is the event
    room.log.restore(3)
    room.tell(room.append(), room.append())
    room.settle()
    assert seqs(guest) == [4, 5]
    assert guest.cuts == []


def test_a_late_hint_of_a_lost_event_ends_in_a_cut_and_never_in_a_wrong_history() -> None:
    room, (guest,) = settled(3, 3)
    late = room.append()
    room.log.restore(3)
    new = room.append()
    room.tell(late, new)
    room.settle()
    assert guest.seen == [late[1].cursor]
    assert guest.cuts == [Cut.CONTINUITY]


def test_a_slow_reader_whose_place_was_lost_is_cut_when_it_resumes() -> None:
    room, (guest,) = settled(3, 3)
    guest.room = 1
    room.tell(room.append(), room.append())
    room.log.restore(3)
    room.append()
    room.append()
    guest.resume()
    room.settle()
    assert seqs(guest) == [4]
    assert guest.cuts == [Cut.CONTINUITY]


def test_a_slow_reader_who_reads_another_history_than_the_live_ones_is_cut() -> None:
    room, (slow, quick) = settled(3, 3, 3)
    slow.room = 1
    room.tell(room.append(), room.append())
    room.log.restore(4)
    room.append()
    slow.resume()
    room.settle()
    assert slow.cuts == quick.cuts == [Cut.CONTINUITY]


def test_a_reader_ahead_of_a_log_that_has_just_shrunk_is_cut_and_the_others_stay() -> None:
    room, (old, slow) = settled(3, 3, 2)
    slow.room = 1
    room.receive(Signal(CASE, STAFF, "signal"))
    room.append()
    room.append()
    new = room.join(seq=5)
    for index in (0, 0, 0, 1):
        room.steps.step(index)  # its cursor stood in the log, and the stream was to follow
    room.log.restore(3)
    room.settle()
    assert new.cuts == [Cut.CONTINUITY]
    assert (old.cuts, slow.cuts) == ([], [])
    assert old.is_live


def test_a_hint_of_more_than_the_log_has_changes_nothing() -> None:
    room, (guest,) = settled(3, 3)
    room.append()
    hint = room.append()
    room.log.restore(3)
    room.tell(hint)
    room.settle()
    assert guest.is_live
    room.tell(room.append())
    assert seqs(guest) == [4]


# Failures.


def test_a_log_that_fails_leaves_readers_behind_until_the_next_audit(
    logged: list[EventDict],
) -> None:
    room, (slow, quick) = settled(3, 3, 3)
    slow.room = 1
    room.tell(room.append(), room.append())
    room.append()
    room.log.failing = True
    slow.resume()
    room.tell(room.append())
    room.audit()
    room.settle()
    assert (seqs(slow), seqs(quick)) == ([4], [4, 5])
    assert {line["event"] for line in logged} == {"feed_waits_for_log", "audit_waits_for_log"}
    room.log.failing = False
    room.audit()
    room.settle()
    assert seqs(slow) == seqs(quick) == [4, 5, 6, 7]
    assert slow.is_live


def test_a_reader_whose_catch_up_failed_goes_on_although_nothing_new_has_happened() -> None:
    room, (guest,) = settled(3, 3)
    guest.room = 1
    room.tell(room.append(), room.append())
    room.log.failing = True
    guest.resume()
    room.settle()
    room.log.failing = False
    assert seqs(guest) == [4]
    room.audit()
    room.settle()
    assert seqs(guest) == [4, 5]
    assert guest.is_live


def test_an_audit_that_a_hint_asked_for_may_fail_too() -> None:
    room, (guest,) = settled(3, 3)
    old = room.append()
    room.tell(old, room.append())
    room.log.failing = True
    room.tell(old, old)
    assert len(room.steps.waiting) == 1, "one audit at a time"
    room.settle()
    room.log.failing = False
    room.append()
    room.tell(old)
    assert len(room.steps.waiting) == 1, "and another one when that is over"
    room.settle()
    assert seqs(guest) == [4, 5, 6]


def test_a_fault_of_ours_cuts_the_readers_of_one_stream_and_is_logged(
    logged: list[EventDict],
) -> None:
    room = Room()
    staff, patient = room.join(STAFF, 2), room.join(PATIENT, 2)
    room.settle()
    room.append()
    room.log.broken = ZeroDivisionError("nobody thought of this")
    for hint in room.append():
        if hint.audience is STAFF:
            room.receive(hint)
    room.settle()
    assert (staff.cuts, patient.cuts) == ([Cut.INTERNAL], [])
    assert [line["event"] for line in logged] == ["feed_failed"]


def test_an_audit_may_end_after_its_room_or_its_stream_was_left() -> None:
    room = Room()
    staff, patient = room.join(STAFF, 2), room.join(PATIENT, 2)
    room.settle()
    room.audit()
    room.steps.step()
    patient.leave()
    room.settle()
    room.audit()
    room.steps.step()
    staff.leave()
    room.settle()
    assert room.feed is None


def test_an_audit_of_a_stream_that_was_left_says_nothing_of_the_one_that_follows() -> None:
    room = Room()
    staff, patient = room.join(STAFF, 2), room.join(PATIENT, 2)
    room.settle()
    room.audit()
    room.steps.step()
    patient.leave()
    again = room.join(PATIENT, 2)
    for _ in range(2):
        room.steps.step(0)
    room.settle()
    assert again.is_live
    assert staff.is_live


def test_an_audit_of_a_case_that_the_log_has_lost_cuts_its_readers() -> None:
    class Empty(FakeLog):
        async def heads(self, cases: list[str]) -> dict[str, dict[Audience, Cursor]]:
            await super().heads(cases)
            return {}

    room, (guest,) = settled(3, 3)
    assert room.feed is not None
    room.log = room.feed.log = Empty()
    room.audit()
    room.settle()
    assert guest.cuts == [Cut.CONTINUITY]


# Archived.


def test_an_archived_case_is_told_of_and_then_its_readers_are_cut() -> None:
    room = Room(3)
    staff, patient, slow = room.join(STAFF, 3), room.join(PATIENT, 3), room.join(STAFF, 3)
    room.settle()
    slow.room = 1
    room.tell(room.append())
    room.tell(room.append(kind="status", to="closed"))
    assert staff.cuts == []
    room.tell(room.append(kind="status", to="archived"))
    assert seqs(staff) == seqs(patient) == [4, 5, 6]
    assert staff.cuts == patient.cuts == [Cut.ARCHIVED]
    assert slow.cuts == []
    room.recover()
    assert seqs(slow) == [4, 5, 6]
    assert slow.cuts == [Cut.ARCHIVED]
    assert room.feed is None


def test_steps_notice_what_never_ends() -> None:
    steps = Steps()

    async def never() -> None:
        while True:
            await FakeLog().heads([])

    steps.spawn(never())
    with pytest.raises(AssertionError, match="circles"):
        steps.settle()
    steps.close()
