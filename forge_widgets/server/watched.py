"""One session that somebody watches: what was read of its log, and the one task that reads on.

The hub makes it for the first viewer and stops it after the last. Viewers are woken by an event of theirs and then ask
for whatever lies after their cursor; nothing is ever queued for them. The store is touched only in the pool's threads.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence

from msgspec import Struct

from forge_widgets.core.brief import Ending, Shapes, Wish, brief_of
from forge_widgets.core.liveness import Arrears
from forge_widgets.core.state import State
from forge_widgets.core.subscription import FINE, Cursor, Detail, SessionLog
from forge_widgets.core.wire import encode, frame_message
from forge_widgets.errors import ForgeError, StoreUnavailable
from forge_widgets.server.failures import CLOSED
from forge_widgets.server.limits import Limits
from forge_widgets.server.pool import StorePool
from forge_widgets.server.sent import Sent
from forge_widgets.server.story import tell
from forge_widgets.server.waking import wait_at_most
from forge_widgets.stores.base import Store
from forge_widgets.stores.lookout import Lookout
from forge_widgets.stores.opening import begin

NOWHERE = Cursor("", 0)


class Told(Struct, frozen=True):
    """Encoded messages for a naive client, in order, and the cursor after them."""

    messages: Sequence[bytes]
    cursor: Cursor


class Reading(Struct, frozen=True, kw_only=True):
    """What a watched session is read with."""

    store: Store
    pool: StorePool
    limits: Limits
    lookout: Lookout
    log: logging.Logger


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
        # One event a viewer; all are set when there may be something new for them.
        self.viewers: set[asyncio.Event] = set()
        self._reading = reading
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
        self._nudged = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

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
        asked = (cursor, detail, refines, brief, None if ending is None else ending.token)
        async with self._turn:
            if asked not in self._frames:
                if len(self._frames) >= self._reading.limits.cached_frames:
                    self._frames.clear()
                self._frames[asked] = await self._reading.pool.run(
                    lambda: self._encode(cursor, detail, ending, refines=refines, wish=brief)
                )
            return self._frames[asked]

    async def story_after(self, cursor: Cursor) -> Told:
        """Return what a naive client is told of what came after a cursor."""
        if cursor == self.cursor:
            return Told([], cursor)
        async with self._turn:
            if cursor not in self._stories:
                if len(self._stories) >= self._reading.limits.cached_frames:
                    self._stories.clear()
                self._stories[cursor] = await self._reading.pool.run(lambda: self._tell(cursor))
            return self._stories[cursor]

    @property
    def gone(self) -> bool:
        """Whether the store has known no such session for so long that who has seen it takes it for deleted."""
        since = self._missing_since
        return since is not None and asyncio.get_running_loop().time() - since >= self._reading.limits.gone_s

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

    def _encode(
        self, cursor: Cursor | None, detail: Detail, ending: Ending | None, *, refines: bool, wish: Wish | None
    ) -> Sent | None:
        with self._guard:
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
        with self._guard:
            # Who waited for a session that did not exist yet is told of it from its first record on.
            start = Cursor(self._log.epoch, 0) if cursor == NOWHERE else cursor
            return Told([encode(message) for message in tell(self._log, start)], self._log.cursor)

    def _wake(self) -> None:
        for viewer in self.viewers:
            viewer.set()

    # --- reading ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Start to read; whoever waits for a fresh log waits for the first look from now."""
        self._looked.clear()
        self._task = asyncio.get_running_loop().create_task(self._follow(), name=f"watch {self.session_id}")

    def stop(self) -> None:
        """Stop to read."""
        if self._task is not None:
            self._task.cancel()

    async def ended(self) -> None:
        """Wait until the task has ended."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def nudge(self) -> None:
        """Look at once: this server has just appended something itself."""
        self._nudged.set()

    async def _follow(self) -> None:
        limits, loop = self._reading.limits, asyncio.get_running_loop()
        changed_at = loop.time()
        beat_due = liveness_due = 0.0
        while self.closed is None:
            now = loop.time()
            try:
                changed = await self._look()
                if now >= beat_due:
                    await self._listen(check_liveness=now >= liveness_due)
                    beat_due = now + limits.beat_s
                    liveness_due = now + limits.liveness_s if now >= liveness_due else liveness_due
            except Exception as error:  # noqa: BLE001 - the edge of the task: viewers have to hear of it, and it goes on
                changed = False
                self._fail(error)
            else:
                self._trouble = None
            if changed or not self._looked.is_set():
                self._looked.set()
                self._wake()
            changed_at = now if changed else changed_at
            self._note_missing(now)
            if self.gone and self.cursor.epoch:
                self.close(CLOSED)
            await self._pause(quiet=now - changed_at >= limits.quiet_after_s)

    def _note_missing(self, now: float) -> None:
        was_gone = self.gone
        if self._version is not None or self._trouble:
            self._missing_since = None
        elif self._missing_since is None:
            self._missing_since = now
        if self.gone and not was_gone:
            self._wake()

    async def _pause(self, *, quiet: bool) -> None:
        limits = self._reading.limits
        pause = limits.trouble_poll_s if self._trouble else limits.quiet_poll_s if quiet else limits.poll_s
        await wait_at_most(self._nudged, pause)
        self._nudged.clear()

    def _fail(self, error: Exception) -> None:
        """Note why the session can't be read now, once for each reason."""
        trouble = error if isinstance(error, ForgeError) else StoreUnavailable(self._reading.store.url, repr(error))
        if str(trouble) != str(self._trouble):
            foreseen = isinstance(error, ForgeError)
            self._reading.log.warning(
                "session %s can't be read: %s", self.session_id, error, exc_info=None if foreseen else error
            )
        self._trouble = trouble
        self._say(Arrears(self.arrears.unsaved, str(trouble)))

    async def _look(self) -> bool:
        """Read what is new; True where something was."""
        async with self._turn:
            cursor, state, newest_event = await self._reading.pool.run(self._read)
            if cursor == self.cursor:
                return False
            self._frames.clear()
            self._stories.clear()
            self.cursor, self.state, self.newest_event = cursor, state, newest_event
        return True

    def _read(self) -> tuple[Cursor, State, int]:
        with self._guard:
            store, log = self._reading.store, self._log
            version = store.version(self.session_id)
            begin(store, log)
            while version is not None and version != self._version:
                read = store.read(self.session_id, log.top, self._reading.limits.rows_a_read)
                if read is not None and read.epoch != log.epoch and log.top:
                    # Another incarnation: what lies before our old position is new to us too.
                    read = store.read(self.session_id, 0, self._reading.limits.rows_a_read)
                # A log that is just being made holds nothing yet: that is a session that waits.
                if read is None or not read.top or not (log.apply(read) and log.top < read.top):
                    break
            self._version = version
            return log.cursor, log.state, log.newest_event

    async def _listen(self, *, check_liveness: bool) -> None:
        """Hear the producers' heartbeats: what they could not save, and whether the last of them has gone."""
        lookout, state = self._reading.lookout, self.state
        self._say(await self._reading.pool.run(lambda: lookout.listen(self.session_id, state, judge=check_liveness)))

    def _say(self, behind: Arrears) -> None:
        if behind != self.arrears:
            self.arrears = behind
            self._wake()
