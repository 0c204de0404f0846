"""The thread that keeps a store within its quota on the disk, for a server that was given one.

``app`` makes, starts and ends it; which sessions go is said by stores.quota, and what went is logged there.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from forge_widgets.errors import ForgeError
from forge_widgets.stores.quota import DiskStore, due, keep, words_of_bytes


class Upkeep:
    """Looks at what a store's sessions take, at once and then every so often, and makes room."""

    def __init__(
        self,
        store: DiskStore,
        quota_bytes: int,
        *,
        is_watched: Callable[[str], bool],
        clock: Callable[[], float],
        every_s: float,
        log: logging.Logger,
    ) -> None:
        self._store = store
        self._quota_bytes = quota_bytes
        self._is_watched = is_watched
        self._clock = clock
        self._every_s = every_s
        self._log = log
        self._ended = threading.Event()
        # Whether it was said that there is nothing left to drop.
        self._said = False
        self._thread = threading.Thread(target=self._run, name="forge_widgets upkeep", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread, after the step that it is taking."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self._look()
            except ForgeError as error:
                self._log.warning("what the sessions take on the disk can't be kept within the quota now: %s", error)
            except Exception:  # noqa: BLE001 - the edge of the thread: a quota must not end with one odd file
                self._log.exception("what the sessions take on the disk can't be kept within the quota now")
            self._ended.wait(self._every_s)

    def _look(self) -> None:
        for _ in keep(self._store, self._quota_bytes, self._clock(), is_watched=self._is_watched):
            if self._ended.is_set():
                return
        total = due(self._store, self._quota_bytes, self._clock(), is_watched=self._is_watched).total_bytes
        if total > self._quota_bytes and not self._said:
            self._log.warning(
                "all sessions take %s and may take %s: those that are left run, are watched or are young.",
                words_of_bytes(total),
                words_of_bytes(self._quota_bytes),
            )
        self._said = total > self._quota_bytes
