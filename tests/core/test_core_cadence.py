"""What the kernel's line is sent when, moment by moment."""

from __future__ import annotations

import itertools

from forge_widgets.core.cadence import (
    FRAME_S,
    HEARTBEAT_S,
    LISTEN_S,
    PUSH_S,
    QUIET_S,
    REPEATS,
    Cadence,
    Due,
    Wanted,
)
from forge_widgets.core.subscription import Cursor

START = 100.0


def at(offset: int) -> Cursor:
    return Cursor("e", offset)


class Line:
    """A cadence, its clock, and a log that may grow by a record each turn."""

    def __init__(self, *, eager: bool = False) -> None:
        self.now = START
        self.top = 1
        self.cadence = Cadence(self.now, eager=eager)

    def turn(self, *, grows: bool = True, running: bool = True) -> Due:
        """Do what is due now; every frame is sent."""
        self.top += grows
        due = self.cadence.due(self.now, at(self.top), changed=grows, running=running)
        for _ in due.frames:
            self.cadence.sent(due, at(self.top))
        return due

    def turns(self, seconds: float, *, grows: bool = True, running: bool = True) -> list[tuple[float, Due]]:
        """Do what is due until some time has passed; return the moments since the start, and what was due."""
        end, done = self.now + seconds, []
        while self.now < end:
            done.append((self.now - START, self.turn(grows=grows, running=running)))
            pause_s = self.cadence.pause_s(self.now)
            assert pause_s is not None
            assert pause_s >= FRAME_S
            self.now += pause_s
        return done


def pushed(turns: list[tuple[float, Due]]) -> list[float]:
    return [moment for moment, due in turns if any(frame.cursor is None for frame in due.frames)]


def test_a_small_key_frame_goes_out_every_two_seconds_unasked() -> None:
    turns = Line().turns(7)
    assert pushed(turns) == [0, PUSH_S, 2 * PUSH_S, 3 * PUSH_S]
    assert all(due.frames in ((), (Wanted(None, small=True),)) for _, due in turns)
    assert turns[0][1].welcome


def test_where_no_server_is_known_what_came_since_goes_out_between_the_key_frames_while_training_runs() -> None:
    line = Line(eager=True)
    turns = line.turns(2.0)
    assert pushed(turns) == [0]
    assert turns[0][1].frames == (Wanted(None),)
    follow = [due.frames for _, due in turns[1:]]
    assert len(follow) >= 1 / FRAME_S
    assert follow[0] == (Wanted(at(2)),)
    assert follow[5] == (Wanted(at(7)),)
    rests = [due.frames for _, due in line.turns(10, running=False)]
    assert all(frames in ((), (Wanted(None),)) for frames in rests)


def test_a_key_frame_after_which_nothing_changes_is_repeated_after_a_welcome_and_then_no_more() -> None:
    turns = Line().turns(60, grows=False)
    repeated = pushed(turns)
    assert repeated == [PUSH_S * number for number in range(REPEATS + 1)]
    assert [moment for moment, due in turns if due.welcome] == repeated


def test_who_follows_is_sent_what_comes_after_the_cursor_twenty_times_a_second_at_most() -> None:
    line = Line()
    line.turn()
    line.cadence.follow(at(1))
    turns = line.turns(1)
    assert [due.frames for _, due in turns[:3]] == [(Wanted(at(1)),), (Wanted(at(3)),), (Wanted(at(4)),)]
    assert turns[0][1].welcome
    assert not any(due.welcome for _, due in turns[1:])
    assert all(later - earlier >= 0.999 * FRAME_S for (earlier, _), (later, _) in itertools.pairwise(turns))


def test_who_knows_nothing_asks_for_a_key_frame() -> None:
    line = Line()
    line.turn()
    line.cadence.follow(None)
    assert line.turn().frames == (Wanted(None),)
    assert line.turn().frames == (Wanted(at(3)),)


def test_a_key_frame_comes_after_what_a_follower_asked_for_so_that_who_lost_something_or_came_later_is_whole() -> None:
    line = Line()
    line.cadence.follow(at(1))
    turns = line.turns(4.5)
    assert [round(moment) for moment in pushed(turns)] == [0, PUSH_S, 2 * PUSH_S]
    for _, due in turns:
        assert due.frames[0].cursor is not None
        assert due.frames[1:] in ((), (Wanted(None, small=True),))


def test_a_log_that_rests_is_looked_at_less_and_less_often() -> None:
    line = Line()
    line.cadence.follow(None)
    moments = [moment for moment, _ in line.turns(10, grows=False)]
    assert len(moments) < 20
    assert max(later - earlier for earlier, later in itertools.pairwise(moments)) <= QUIET_S
    line.turn(grows=True)
    assert line.cadence.pause_s(line.now) == FRAME_S


def test_after_an_unsubscribe_it_is_said_once_and_nothing_more_until_somebody_asks() -> None:
    line = Line(eager=True)
    line.turn()
    line.cadence.silence()
    due = line.turn()
    assert due == Due(due.wish, unsubscribed=True)
    assert line.turn() == Due(due.wish)
    assert line.cadence.pause_s(line.now) is None
    line.cadence.follow(None)
    assert line.turn().frames == (Wanted(None),)


def test_when_a_follower_leaves_it_is_said_and_what_is_new_is_pushed_but_what_was_there_is_not_repeated() -> None:
    line = Line()
    line.cadence.follow(None)
    line.turn()
    line.cadence.push()
    turns = line.turns(5, grows=False)
    assert [due.unsubscribed for _, due in turns[:2]] == [True, False]
    assert pushed(turns) == []
    line.turn()
    assert pushed(line.turns(PUSH_S + FRAME_S)) != []


def test_a_frame_that_was_made_for_an_old_wish_moves_no_cursor() -> None:
    line = Line()
    line.cadence.follow(at(1))
    due = line.cadence.due(line.now, at(9), changed=True, running=True)
    line.cadence.follow(at(5))
    line.cadence.sent(due, at(9))
    assert line.turn().frames == (Wanted(at(5)),)


def test_producers_are_listened_to_every_two_seconds_and_a_heartbeat_is_sent_every_ten() -> None:
    turns = Line().turns(21, grows=False)
    heard = [moment for moment, due in turns if due.listen]
    assert heard == [LISTEN_S * number for number in range(1, 11)]
    assert [moment for moment, due in turns if due.heartbeat] == [HEARTBEAT_S, 2 * HEARTBEAT_S]
    assert all(due.listen for _, due in turns if due.heartbeat)


def test_a_log_that_can_not_be_read_is_spoken_of_at_once_and_with_each_heartbeat() -> None:
    cadence = Cadence(START, eager=False)
    assert cadence.failed(START, before=False)
    assert not cadence.failed(START + 1, before=True)
    assert cadence.failed(START + HEARTBEAT_S, before=True)
    assert not cadence.failed(START + HEARTBEAT_S + 1, before=True)
