"""One session that somebody watches: what was read of its log, and what is due to be read.

The hub makes it for the first viewer and stops it after the last; its rounds read it (rounds.py). Viewers are woken, by an
event of theirs or by the pump, and then ask for whatever lies after their cursor; nothing is ever queued for them. The
store is touched only in the pool's threads.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from msgspec import Struct

from forge_widgets.core.attention import Attention
from forge_widgets.core.brief import Ending, Shapes, Wish, brief_of
from forge_widgets.core.liveness import Arrears
from forge_widgets.core.state import State
from forge_widgets.core.subscription import FINE, Cursor, Detail, SessionLog
from forge_widgets.core.view import Asked, key_of
from forge_widgets.core.wire import encode, frame_message
from forge_widgets.errors import ForgeError, StoreUnavailable
from forge_widgets.server.failures import CLOSED
from forge_widgets.server.pump import Pump
from forge_widgets.server.reading import Reading
from forge_widgets.server.sent import Later, Sent
from forge_widgets.server.story import Told, tell
from forge_widgets.stores.glimpse import Glimpsed
from forge_widgets.stores.opening import begin, compact_some

Result = TypeVar("Result")
Key = TypeVar("Key")
Made = TypeVar("Made")

NOWHERE = Cursor("", 0)


QUICK_ROWS = 100
"""So few rows are encoded on the loop, in 20 to 200 µs: a thread takes as long to begin, and fights the loop for the lock."""

SLOW_S = 0.02
"""A session whose newest look took longer than this is read alone."""

AHEAD_S = 0.002
"""So long before its viewers are due a session is read."""


class Look(Struct, frozen=True):
    """What a look at a session found."""

    # Of which start of the reading it is.
    visit: int
    cursor: Cursor
    state: State
    newest_event: int
    # None where its producers were not heard.
    arrears: Arrears | None
    # How long it took, in seconds, and why nothing more could be read; None where all could.
    took_s: float
    error: Exception | None


class Watched:
    """A session's log as this server has read it, kept up to date while it has viewers."""

    def __init__(self, session_id: str, reading: Reading) -> None:
        self.session_id = session_id
        # Position, state and the offset of the newest lifecycle event after the newest look, and what heartbeats say; the
        # event loop may read them without the lock.
        self.cursor = NOWHERE
        self.state = State()
        self.newest_event = 0
        self.arrears = Arrears()
        # Set once, when viewers have to go: the close code.
        self.closed: int | None = None
        # Viewers that wait by an event of theirs: all are set when there may be something new for them.
        self.waking: set[asyncio.Event] = set()
        # How many viewers there are of both kinds; the hub counts them, and any thread may ask.
        self.viewers = 0
        # What it is read with.
        self.reading = reading
        # What serves all other viewers.
        self.pump = Pump(self)
        # Touched only in a thread of the pool, and only under both locks: the first keeps waiting off the threads, the
        # second holds where a cancelled task has let go of the first while its thread still runs.
        self._log = SessionLog(session_id)
        self._shapes = Shapes()
        self._turn = asyncio.Lock()
        self._guard = threading.Lock()
        self._version: object = None
        # What was encoded since the log changed last, by the cursor that it goes on from, how much is taken at once,
        # whether it refines, and whether it is taken in brief, and what the viewer knows then.
        self._frames: dict[object, Sent | None] = {}
        self._stories: dict[Cursor, Told] = {}
        # Since when the store knows no such session (the loop's clock); None while it does, or can't be asked.
        self._missing_since: float | None = None
        # Set once the log was looked at since this session has viewers; then why it could not be read, or None.
        self._looked = asyncio.Event()
        self._trouble: ForgeError | None = None
        # How often the reading was started; looks of before are not from now.
        self._visit = 0
        # Whether a look is under way, and what says when the next is due (the loop's clock).
        self._looking = False
        self._nudged = False
        self._slow = False
        self._look_at = self._glimpse_at = self._beat_at = self._liveness_at = -math.inf
        self._changed_at = -math.inf
        # Whether there may be rows that nobody has compacted: of a training that was killed, or of an older release.
        self._loose = True
        store = reading.store
        self._glimpse = store.glimpses(session_id) if isinstance(store, Glimpsed) else None
        self._attention = Attention()

    # --- viewers ---------------------------------------------------------------------------------

    async def fresh(self) -> None:
        """Wait until the log was looked at since this session has viewers. Raises what kept it from being read."""
        await self._looked.wait()
        if self._trouble is not None:
            raise self._trouble

    async def frame_after(
        self,
        cursor: Cursor | None,
        detail: Detail = FINE,
        *,
        refines: bool = False,
        brief: Wish | None = None,
        ending: Ending | None = None,
    ) -> Sent | None:
        """Return the encoded frame after a cursor (None: a key frame), None where there is nothing new (SessionLog.frame).

        ``ending`` is that of the viewer's last frame, where it reads the next one on the same connection.
        """
        if self.misses(cursor) or (cursor == self.cursor and not refines):
            return None
        key = key_of((cursor, detail, refines, brief, ending))
        async with self._turn:
            if key in self._frames:
                return self._frames[key]
            top = self.cursor
            sent = await self.reading.pool.run(
                lambda: self._guarded(lambda: self._encode(cursor, detail, ending, refines=refines, wish=brief))
            )
            if self.cursor is top:  # else the log went on meanwhile, and others are to get what came since, too
                self._keep(self._frames, key, sent)
            return sent

    def frame_now(self, asked: Asked) -> Sent | Later | None:
        """Return what ``frame_after`` would where that is at hand, or quickly made; Later where it is not."""
        cursor, detail, refines, brief, ending = asked
        if self.misses(cursor) or (cursor == self.cursor and not refines):
            return None
        key = key_of(asked)
        if key in self._frames:
            return self._frames[key]
        quick = not refines and self._is_near(cursor, min(QUICK_ROWS, detail.rows))
        if not quick or not self._guard.acquire(blocking=False):
            return Later()
        try:
            sent = self._encode(cursor, detail, ending, refines=refines, wish=brief)
        finally:
            self._guard.release()
        self._keep(self._frames, key, sent)
        return sent

    def _is_near(self, cursor: Cursor | None, rows: int) -> bool:
        return (
            cursor is not None and cursor.epoch == self.cursor.epoch and 0 < self.cursor.offset - cursor.offset <= rows
        )

    async def story_after(self, cursor: Cursor) -> Told:
        """Return what a naive client is told of what came after a cursor."""
        if cursor == self.cursor:
            return Told([], cursor)
        if cursor not in self._stories and self._is_near(cursor, QUICK_ROWS) and self._guard.acquire(blocking=False):
            try:
                self._keep(self._stories, cursor, self._tell(cursor))
            finally:
                self._guard.release()
        if cursor in self._stories:
            return self._stories[cursor]
        async with self._turn:
            if cursor in self._stories:
                return self._stories[cursor]
            top = self.cursor
            told = await self.reading.pool.run(lambda: self._guarded(lambda: self._tell(cursor)))
            if self.cursor is top:
                self._keep(self._stories, cursor, told)
            return told

    def _keep(self, kept: dict[Key, Made], key: Key, made: Made) -> None:
        if len(kept) >= self.reading.limits.cached_frames:
            kept.clear()
        kept[key] = made

    @property
    def gone(self) -> bool:
        """Whether the store has known no such session for so long that who has seen it takes it for deleted."""
        since = self._missing_since
        return since is not None and asyncio.get_running_loop().time() - since >= self.reading.limits.gone_s

    def misses(self, cursor: Cursor | None) -> bool:
        """Whether a viewer has seen something of a session that is not there (any more).

        It waits for it, or to be told that it was deleted (``gone``): an empty view is no answer.
        """
        return cursor is not None and cursor.epoch != "" and not self.cursor.epoch

    def close(self, code: int) -> None:
        """Tell all viewers to go, with this close code."""
        self.closed = code
        self._looked.set()
        self._wake()

    def _guarded(self, call: Callable[[], Result]) -> Result:
        with self._guard:
            return call()

    def _encode(
        self, cursor: Cursor | None, detail: Detail, ending: Ending | None, *, refines: bool, wish: Wish | None
    ) -> Sent | None:
        # A viewer that has nothing yet asks for nothing in particular: what it gets is whole.
        start = None if cursor == NOWHERE and self._log.epoch else cursor
        frame = self._log.frame(start, detail, refines=refines)
        if frame is None:
            return None
        brief = None if wish is None else brief_of(frame, self._shapes, wish, ending)
        if brief is not None:
            return Sent(brief.message, frame, brief=brief)
        message = frame_message(self.session_id, frame, self._log.series)
        return Sent(encode(message), frame, coarse=message.get("coarse", False))

    def _tell(self, cursor: Cursor) -> Told:
        # Who waited for a session that did not exist yet is told of it from its first record on.
        start = Cursor(self._log.epoch, 0) if cursor == NOWHERE else cursor
        return Told([encode(message) for message in tell(self._log, start)], self._log.cursor)

    def _wake(self) -> None:
        for viewer in self.waking:
            viewer.set()
        self.pump.walk()

    # --- reading ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to be read; whoever waits for a fresh log waits for the first look from now."""
        self._visit += 1
        self._looked.clear()
        self._changed_at = asyncio.get_running_loop().time()
        self._look_at = self._glimpse_at = self._beat_at = self._liveness_at = -math.inf

    def nudge(self) -> None:
        """Let the next round look: this server has just appended something itself."""
        self._nudged = True

    @property
    def is_steady(self) -> bool:
        """Whether it can be read together with others: it was read before, and that went fast and well."""
        return self._looked.is_set() and not self._slow and self._trouble is None

    def pause_s(self, now: float) -> float:
        """Return how many seconds may pass before the next round."""
        limits = self.reading.limits
        quiet = now - self._changed_at >= limits.quiet_after_s
        if self._glimpse is None:
            return limits.quiet_poll_s if quiet else limits.poll_s
        return limits.quiet_glimpse_s if quiet else limits.glimpse_s

    def is_due(self, now: float) -> bool:
        """Say whether to look at the log in this round."""
        if self._looking or self._turn.locked() or self.closed is not None:
            return False
        if not self._looked.is_set() or self._trouble is not None:
            return now >= self._look_at
        if now >= self._beat_at:
            return True
        if not self.waking and now < self.pump.wanted_at - AHEAD_S:
            return False  # whatever there is, nobody is to be sent it yet
        if self._nudged or self._glimpse is None:
            return self._nudged or now >= self._look_at
        if now >= self._glimpse_at:
            # A quiet one keeps its pace beside a busy one: 200 of them take 8 % of a core then instead of 15.
            self._glimpse_at = now + self.pause_s(now) - AHEAD_S
            self._attention.saw(self._glimpse(), now)
        return self._attention.is_due(now)

    def begin_look(self) -> None:
        """Note that a look begins."""
        self._looking, self._nudged = True, False

    def look(self, now: float) -> Look:
        """Read what is new, and hear the producers where that is due. Called in a thread of the pool."""
        began, visit, arrears, error = time.perf_counter(), self._visit, None, None
        with self._guard:
            try:
                self._read()
                if now >= self._beat_at:
                    arrears = self._listen(judge=now >= self._liveness_at)
                    if self._loose and self._looked.is_set():
                        self._loose = compact_some(self.reading.store, self._log)
            except Exception as failure:  # noqa: BLE001 - the edge of the thread: viewers have to hear of it, and it goes on
                error = failure
            log = self._log
            took_s = time.perf_counter() - began
            return Look(visit, log.cursor, log.state, log.newest_event, arrears, took_s, error)

    def take_look(self, look: Look, now: float) -> None:
        """Take what a look has found that began at a moment, and tell the viewers."""
        self._looking, self._slow = False, look.took_s > SLOW_S
        changed = self._take_log(look, now)
        self._trouble = None if look.error is None else self._trouble_of(look.error)
        limits = self.reading.limits
        self._look_at = now + (limits.trouble_poll_s if self._trouble else self.pause_s(now))
        said = self._say(self._heard(look, now))
        fresh = look.visit == self._visit and not self._looked.is_set()
        if fresh:
            self._looked.set()
        self._note_missing(now)
        if self.gone and self.cursor.epoch:
            self.close(CLOSED)
        elif changed or said or fresh:
            self._wake()

    def _take_log(self, look: Look, now: float) -> bool:
        """Take where the log stands; True where it has changed."""
        changed = look.cursor != self.cursor
        if changed:
            self._frames.clear()
            self._stories.clear()
            self.cursor, self.state, self.newest_event = look.cursor, look.state, look.newest_event
            self._changed_at = now
        self._attention.looked(now, found=changed)
        return changed

    def _heard(self, look: Look, now: float) -> Arrears:
        """Return what heartbeats are to say after a look."""
        if self._trouble is not None:
            return Arrears(self.arrears.unsaved, str(self._trouble))
        if look.arrears is None:
            return self.arrears
        self._beat_at = now + self.reading.limits.beat_s
        if now >= self._liveness_at:
            self._liveness_at = now + self.reading.limits.liveness_s
        return look.arrears

    def _note_missing(self, now: float) -> None:
        was_gone = self.gone
        if self._version is not None or self._trouble:
            self._missing_since = None
        elif self._missing_since is None:
            self._missing_since = now
        if self.gone and not was_gone:
            self._wake()

    def _trouble_of(self, error: Exception) -> ForgeError:
        """Return why the session can't be read now, in our words; it is logged once for each reason."""
        self.reading.pool.note(error)
        trouble = error if isinstance(error, ForgeError) else StoreUnavailable(self.reading.store.url, repr(error))
        if str(trouble) != str(self._trouble):
            foreseen = isinstance(error, ForgeError)
            self.reading.log.warning(
                "session %s can't be read: %s", self.session_id, error, exc_info=None if foreseen else error
            )
        return trouble

    def _read(self) -> None:
        """Read what is new, with the guard held."""
        store, log = self.reading.store, self._log
        version = store.version(self.session_id)
        begin(store, log)
        while version is not None and version != self._version:
            read = store.read(self.session_id, log.top, self.reading.limits.rows_a_read)
            if read is not None and read.epoch != log.epoch and log.top:
                # Another incarnation: what lies before our old position is new to us too.
                read = store.read(self.session_id, 0, self.reading.limits.rows_a_read)
            # A log that is just being made holds nothing yet: that is a session that waits.
            if read is None or not read.top or not (log.apply(read) and log.top < read.top):
                break
        self._version = version

    def _listen(self, *, judge: bool) -> Arrears:
        """Hear the producers' heartbeats: what they could not save, and whether the last of them has gone."""
        return self.reading.lookout.listen(self.session_id, self._log.state, judge=judge)

    def _say(self, behind: Arrears) -> bool:
        """Take what heartbeats say from now on; True where that is something else."""
        if behind == self.arrears:
            return False
        self.arrears = behind
        return True
