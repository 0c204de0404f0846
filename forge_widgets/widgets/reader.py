"""One session of a store, caught up with whenever somebody asks: what a widget's faces and its comm are made of.

Safe from any thread: faces ask on the cell's, the comm on its own. Reads only what came since; never writes steps.
"""

from __future__ import annotations

import threading

from forge_widgets.core.face import html_face, text_face
from forge_widgets.core.state import State
from forge_widgets.core.subscription import SPARING, Cursor, Detail, SessionLog
from forge_widgets.core.wire import Json, frame_message
from forge_widgets.stores import pending
from forge_widgets.stores.base import Store
from forge_widgets.stores.opening import begin

_FLUSH_TIMEOUT_S = 2.0


class SessionReader:
    """Follow one session of one store."""

    def __init__(self, store: Store, session_id: str) -> None:
        self.store = store
        self.session_id = session_id
        self._log = SessionLog(session_id)
        # What the store said of the log as it was last read.
        self._version: object = None
        self._lock = threading.Lock()

    @property
    def state(self) -> State:
        """The state as it was last caught up with."""
        return self._log.state

    @property
    def cursor(self) -> Cursor:
        """The position just after the newest record that was read."""
        return self._log.cursor

    def catch_up(self) -> bool:
        """Read what the store has by now. True where something changed. Raises what the store raises."""
        with self._lock:
            return self._catch_up()

    def text_face(self, metric: str) -> str:
        """Write the session as one line, with all that this process has recorded of it."""
        pending.flush(self.session_id, _FLUSH_TIMEOUT_S)
        with self._lock:
            self._catch_up()
            return text_face(self.session_id, self._log.state, metric)

    def html_face(self, metric: str, *, log_y: bool) -> str:
        """Write the session as HTML, with all that this process has recorded of it."""
        pending.flush(self.session_id, _FLUSH_TIMEOUT_S)
        with self._lock:
            self._catch_up()
            return html_face(self.session_id, self._log.state, self._log.series, metric, log_y=log_y)

    def message(self, cursor: Cursor | None, detail: Detail = SPARING) -> tuple[Json, Cursor] | None:
        """Build the frame after a cursor (None: a key frame) and where it leads; None where nothing is new."""
        with self._lock:
            frame = self._log.frame(cursor, detail)
            if frame is None:
                return None
            return frame_message(self.session_id, frame, self._log.series), Cursor(frame.epoch, frame.last)

    def _catch_up(self) -> bool:
        version = self.store.version(self.session_id)
        if version is not None and version == self._version:
            return False
        before = self._log.cursor
        begin(self.store, self._log)
        while True:
            read = self.store.read(self.session_id, self._log.top)
            if read is not None and read.epoch != self._log.epoch and self._log.top:
                # Another incarnation of the log: what lies before our old position is new to us too.
                read = self.store.read(self.session_id, 0)
            if read is None:
                self._log = SessionLog(self.session_id)
                break
            if not self._log.apply(read) or self._log.top >= read.top:
                break
        self._version = version
        return self._log.cursor != before
