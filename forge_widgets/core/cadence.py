"""When is what due on a line that is pushed to, and may never be asked? The clock of the comm transport.

Whoever asks for frames gets what comes after a cursor; a key frame follows it every two seconds all the same, asked or
not: it ends where the other ended, so that a view that is whole drops it, and one that lost something, or came later and
can't be heard by a busy kernel, is whole again. Sans-I/O: moments come in as arguments, what is due goes out as a value;
the kernel's thread (widgets/comm.py) does what it says, and guards it where wishes come from other threads.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from forge_widgets.core.subscription import Cursor

FRAME_S = 0.05
"""Between two frames at least: twenty a second."""

PUSH_S = 2.0
"""Between two key frames."""

REPEATS = 5
"""How often a key frame is pushed again although nothing changed: a page that loads meanwhile has missed the first."""

HEARTBEAT_S = 10.0

LISTEN_S = 2.0
"""Between two looks at what producers say beside the log."""

QUIET_S = 1.0
"""The longest wait between two looks at the log while somebody follows."""


class Wanted(Struct, frozen=True):
    """A frame that is to be made: what comes after a cursor, None for a key frame."""

    cursor: Cursor | None
    # Nobody asked, and pages are likely to have a better transport: it should be smaller than others.
    small: bool = False


class Due(Struct, frozen=True):
    """What is to be sent now, in this order."""

    # Which wish this follows: what was sent for an old one moves no cursor.
    wish: int
    # Somebody no longer follows: whoever else does has to say so.
    unsubscribed: bool = False
    welcome: bool = False
    frames: tuple[Wanted, ...] = ()
    # Ask what producers say beside the log; send a heartbeat in any case, or only where that has changed.
    listen: bool = False
    heartbeat: bool = False


class Cadence:
    """What the front ends of one widget are sent, and when."""

    def __init__(self, now: float, *, eager: bool, heartbeat_s: float = HEARTBEAT_S) -> None:
        """Begin to push. ``eager``: no server is known, so that what came since goes out between key frames, too."""
        self._eager = eager
        self._heartbeat_s = heartbeat_s
        self._listen_s = min(LISTEN_S, heartbeat_s)
        self._mode: Literal["push", "follow", "silence"] = "push"
        self._wish = 0
        # Where the front ends are known or hoped to stand.
        self._cursor: Cursor | None = None
        self._unsubscribed_due = False
        self._welcome_due = True
        # Moments of the caller's clock.
        self._next_push = now
        self._next_heartbeat = now + heartbeat_s
        self._next_listen = now + self._listen_s
        self._next_look = now
        # Where the last pushed key frame led, and how often it was repeated.
        self._pushed: Cursor | None = None
        self._repeats = 0
        self._pause_s = FRAME_S

    @property
    def silent(self) -> bool:
        """Whether nobody wants anything: the log need not be read."""
        return self._mode == "silence"

    def follow(self, cursor: Cursor | None) -> None:
        """Somebody asks for what comes after a cursor, None for a key frame."""
        self._order("follow")
        self._cursor = cursor
        self._welcome_due = True
        self._pause_s = FRAME_S

    def silence(self) -> None:
        """Somebody has a better transport: send nothing until somebody asks."""
        self._order("silence")
        self._unsubscribed_due = True

    def push(self) -> None:
        """Somebody who followed has left: push as if nobody had ever asked, but not again what was there already."""
        self._order("push")
        self._unsubscribed_due = True
        self._pushed, self._repeats = self._cursor, REPEATS

    def due(self, now: float, top: Cursor, *, changed: bool, running: bool) -> Due:
        """Say what is due. ``top``: where the log stands; ``changed``: since the last look; ``running``: the training."""
        unsubscribed, self._unsubscribed_due = self._unsubscribed_due, False
        if self.silent:
            return Due(self._wish, unsubscribed)
        self._pause_s = FRAME_S if changed else min(QUIET_S, 2 * self._pause_s)
        self._next_look = now + self._pause_s
        follows = self._mode == "follow" or (self._eager and running and self._cursor is not None)
        frames = (Wanted(self._cursor),) if follows else ()
        if self._key_due(now, top) and frames != (Wanted(None),):
            frames = (*frames, Wanted(None, small=not self._eager))
        welcome, self._welcome_due = self._welcome_due, False
        return Due(self._wish, unsubscribed, welcome, frames, *self._said_beside(now))

    def sent(self, due: Due, cursor: Cursor) -> None:
        """Note where a frame that was due has led."""
        if due.wish == self._wish:
            self._cursor = cursor

    def failed(self, now: float, *, before: bool) -> bool:
        """Say whether a log that can't be read is to be spoken of now: at first, and with each heartbeat."""
        if before and now < self._next_heartbeat:
            return False
        self._next_heartbeat = now + self._heartbeat_s
        return True

    def pause_s(self, now: float) -> float | None:
        """Return how long there is nothing to do; None: until somebody asks."""
        if self.silent:
            return None
        moments = [self._next_heartbeat, self._next_listen, self._next_push]
        if self._mode == "follow" or self._eager:
            moments.append(self._next_look)
        return max(FRAME_S, min(moments) - now)

    def _order(self, mode: Literal["push", "follow", "silence"]) -> None:
        self._mode = mode
        self._wish += 1

    def _key_due(self, now: float, top: Cursor) -> bool:
        """Say whether a key frame is due: every PUSH_S, a few times more after the last change, then no longer."""
        if now < self._next_push:
            return False
        self._next_push = now + PUSH_S
        if top != self._pushed:
            self._pushed, self._repeats = top, 0
            return True
        if self._repeats >= REPEATS:
            return False
        self._repeats += 1
        self._welcome_due = True
        return True

    def _said_beside(self, now: float) -> tuple[bool, bool]:
        """Say whether to listen to the producers, and whether to send a heartbeat in any case."""
        heartbeat = now >= self._next_heartbeat
        if heartbeat:
            self._next_heartbeat = now + self._heartbeat_s
        if not heartbeat and now < self._next_listen:
            return False, False
        self._next_listen = now + self._listen_s
        return True, heartbeat
