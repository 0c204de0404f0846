"""Sends the viewers of one watched session what they are due: one walk over all of them, and no task of their own.

A walk comes when the log has changed, or a moment has come that a viewer waits for. Who can't be sent anything now, because
its link is full or a thread still makes its frame, is passed over, and served when that has changed. What is due is said by
core/view.py; a viewer is a cursor and never a queue.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from forge_widgets.core.link import Link
from forge_widgets.core.liveness import Arrears
from forge_widgets.core.subscription import Cursor
from forge_widgets.core.view import Asked, Rhythm, View, key_of
from forge_widgets.core.wire import encode, heartbeat_message
from forge_widgets.server.failures import CLOSED, FAILED
from forge_widgets.server.sent import Framed, Later, Sent, framed_message

if TYPE_CHECKING:
    from forge_widgets.server.watched import Watched

AT_ONCE = 500
"""Viewers that are served before others on the loop have their turn: some 5 ms."""

LEAST_PAUSE_S = 0.005
"""Between two walks for the sake of moments that viewers wait for."""


class Follower(Protocol):
    """A viewer of our own protocol."""

    view: View
    link: Link
    # Whether it reads deflated messages; whether its frame is being made; and whether it was passed over since.
    packs: bool
    making: bool
    passed_over: bool

    @property
    def writing(self) -> bool:
        """Whether something was sent that the network has not taken yet."""

    def push(self, message: Framed, now: float) -> None:
        """Send a message."""

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        """Send it away, with a close code."""


class Heartbeat(Struct, frozen=True):
    """A heartbeat as it was sent, and what it says."""

    made_at: float
    cursor: Cursor
    arrears: Arrears
    message: Framed


class Found(Struct, frozen=True):
    """A frame for whoever asks for the same."""

    asked: Asked
    packs: bool
    sent: Sent
    message: Framed


class Pump:
    """The viewers of one session that are pushed frames."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        reading = watched.reading
        self._limits, self._log, self._pool, self._clock = reading.limits, reading.log, reading.pool, reading.clock
        self._viewers: set[Follower] = set()
        self._rhythm = Rhythm(1.0 / reading.limits.frames_per_s)
        # The moment (the loop's clock) before which nothing can be sent to any of them.
        self.wanted_at = -math.inf
        # What was found last: most viewers of a walk ask for the same, and comparing costs less than looking it up.
        self._found: Found | None = None
        # Frames that a thread is making, by what was asked for, and who waits for each.
        self._making: dict[tuple[object, bool], list[Follower]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        # What all were told last, and when they are told again.
        self._told = Arrears()
        self._beat_at = math.inf
        self._newest_beat: Heartbeat | None = None

    def enter(self, viewer: Follower) -> None:
        """Serve a viewer from now on."""
        if not self._viewers:
            self._told, self._beat_at = self._watched.arrears, self._now() + self._limits.heartbeat_s
        self._viewers.add(viewer)
        self.serve(viewer)

    def leave(self, viewer: Follower) -> None:
        """Serve a viewer no longer."""
        self._viewers.discard(viewer)
        if not self._viewers and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def serve(self, viewer: Follower) -> None:
        """Send one viewer what it is due: it can be sent to again, or asks for something else."""
        if viewer in self._viewers:
            now = self._now()
            self._wake_at(min(self._beat_at, self._serve(viewer, now)), now)
            self.wanted_at = min(self.wanted_at, viewer.view.not_before)

    def walk(self) -> None:
        """Send all viewers what they are due."""
        if self._watched.closed is not None:
            for viewer in tuple(self._viewers):
                viewer.close(self._watched.closed)
        elif self._viewers:
            self._look_at_heartbeats(self._now())
            self._walk(tuple(self._viewers), self._beat_at, math.inf)

    def _walk(self, viewers: Sequence[Follower], due: float, wanted: float) -> None:
        """Serve some, and the others in the loop's next turn; note when the next walk is due, and for whom it may be worth it."""
        now, self._found = self._now(), None
        for viewer in viewers[:AT_ONCE]:
            due_for_it = self._serve(viewer, now)
            due = due_for_it if due_for_it < due else due
            wanted = viewer.view.not_before if viewer.view.not_before < wanted else wanted
        if len(viewers) > AT_ONCE:
            self.wanted_at = -math.inf
            asyncio.get_running_loop().call_soon(self._walk, viewers[AT_ONCE:], due, wanted)
        else:
            self.wanted_at = wanted
            self._wake_at(due, now)

    def _serve(self, viewer: Follower, now: float) -> float:
        """Send a viewer what it is due; return the moment at which to ask again although nothing changes."""
        try:
            return self._send_due(viewer, now)
        except Exception as error:  # noqa: BLE001 - the edge of a walk: one viewer that fails must not keep others from theirs
            self._fail((viewer,), error)
            return math.inf

    def _send_due(self, viewer: Follower, now: float) -> float:
        watched, view, link = self._watched, viewer.view, viewer.link
        if viewer.making or viewer.writing or link.full:
            viewer.passed_over = True
            return math.inf
        asked = view.asks(now, watched.cursor, watched.newest_event, link.detail)
        if asked is not None:
            found: Found | Later | None = self._found
            if not isinstance(found, Found) or asked != found.asked or viewer.packs is not found.packs:
                found = self._find(viewer, asked)
            if isinstance(found, Later):
                return math.inf
            if found is not None:
                self._send(viewer, found.sent, found.message, now, refines=asked[2])
        if view.owes_heartbeat:
            view.owes_heartbeat = False
            viewer.push(self._heartbeat(now), now)
        return view.waits_until(now, watched.cursor, watched.newest_event)

    def _find(self, viewer: Follower, asked: Asked) -> Found | Later | None:
        """Return what a viewer asks for; None where there is nothing, or the viewer has to go, Later where it takes a thread."""
        watched = self._watched
        if watched.gone and watched.misses(asked[0]):
            viewer.close(CLOSED)
            return None
        sent = watched.frame_now(asked)
        if sent is None:
            return None
        message = None if isinstance(sent, Later) else sent.ready(packs=viewer.packs)
        if isinstance(sent, Later) or message is None:
            self._make(viewer, asked)
            return Later()
        self._found = Found(asked, viewer.packs, sent, message)
        return self._found

    def _send(self, viewer: Follower, sent: Sent, message: Framed, now: float, *, refines: bool) -> None:
        """Send a frame, and before the first in brief of its shape what the viewer has to know of that."""
        view, brief = viewer.view, sent.brief
        if brief is not None and not view.shapes >> brief.shape.number & 1:
            view.shapes |= 1 << brief.shape.number
            viewer.push(sent.shape, now)
        viewer.push(message, now)
        view.had(sent.cursor, brief, now, self._rhythm, viewer.link.pause_s)
        if sent.key:
            view.had_curves(now, coarse=sent.coarse, refines=refines)

    # --- frames that take a thread ---------------------------------------------------------------

    def _make(self, viewer: Follower, asked: Asked) -> None:
        """Have a frame made in a thread, once for all who ask for the same."""
        viewer.making = True
        waiting = self._making.setdefault((key_of(asked), viewer.packs), [])
        waiting.append(viewer)
        if len(waiting) == 1:
            task = asyncio.get_running_loop().create_task(self._made(asked, packs=viewer.packs))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _made(self, asked: Asked, *, packs: bool) -> None:
        cursor, detail, refines, brief, ending = asked
        key = (key_of(asked), packs)
        sent = message = None
        try:
            sent = await self._watched.frame_after(cursor, detail, refines=refines, brief=brief, ending=ending)
            if sent is not None and (message := sent.ready(packs=packs)) is None:
                await sent.packed(self._pool)
                message = sent.ready(packs=packs)
        except Exception as error:  # noqa: BLE001 - the edge of the task: who waits for the frame has to hear of it
            self._fail(self._making.pop(key), error)
            return
        now = self._now()
        for viewer in self._making.pop(key):
            viewer.making = False
            # Meanwhile it may have gone, or have asked to go on from elsewhere.
            if viewer in self._viewers and sent is not None and message is not None and viewer.view.cursor is cursor:
                try:
                    self._send(viewer, sent, message, now, refines=refines)
                except Exception as error:  # noqa: BLE001 - as in a walk: others wait for the same frame
                    self._fail((viewer,), error)
            self.serve(viewer)

    def _fail(self, viewers: Sequence[Follower], error: Exception) -> None:
        """Log what nobody foresaw, and let the clients come back."""
        self._log.log(logging.ERROR, "a viewer's frame could not be made", exc_info=error)
        for viewer in viewers:
            viewer.making = False
            viewer.close(FAILED)

    # --- heartbeats ------------------------------------------------------------------------------

    def _look_at_heartbeats(self, now: float) -> None:
        """Let all be told how things stand, where they are due to be, or something is the matter."""
        if now >= self._beat_at or self._told != self._watched.arrears:
            self._told, self._beat_at = self._watched.arrears, now + self._limits.heartbeat_s
            for viewer in self._viewers:
                viewer.view.owes_heartbeat = True

    def _heartbeat(self, now: float) -> Framed:
        """Return a heartbeat: the same for all who are told at about the same time."""
        cursor, arrears, known = self._watched.cursor, self._watched.arrears, self._newest_beat
        if (
            known is None
            or known.cursor is not cursor
            or known.arrears is not arrears
            or now - known.made_at > self._rhythm.spacing_s
        ):
            message = framed_message(encode(heartbeat_message(cursor, arrears, self._clock())))
            known = self._newest_beat = Heartbeat(now, cursor, arrears, message)
        return known.message

    # --- moments ---------------------------------------------------------------------------------

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _wake_at(self, due: float, now: float) -> None:
        """Walk at a moment, unless a walk is due sooner."""
        if due == math.inf:
            return
        due = max(due, now + LEAST_PAUSE_S)
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(due, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self.walk()
