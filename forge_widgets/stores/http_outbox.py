"""What waits to be delivered to another machine: one ordinary SQLite store for each remote, below the user's own folder.

A relay puts in what the remote can't take now, a delivery takes out what it has. Readable like any store while it waits
(``forge-widgets sessions --store FOLDER``). Holds no token.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from forge_widgets.core.events import Batch, Producer, Record, length
from forge_widgets.core.liveness import Heartbeat
from forge_widgets.core.subscription import Cursor, Slice
from forge_widgets.errors import SequenceGap, StoreDamaged, StoreUnavailable
from forge_widgets.stores.base import Receipt, Snapshot
from forge_widgets.stores.folder import sync_folder
from forge_widgets.stores.sqlite import SqliteStore

ROWS_A_READ = 5_000
"""Rows that are taken out at once; the memory that a delivery needs."""

EMPTY_KEPT_S = 3_600.0
"""Seconds after its newest record that the empty file of a session is kept: as long as somebody may well record there."""

_REMOTE = "remote.json"
_BEYOND = 2**53


class _Remote(Struct, frozen=True):
    url: str


class Outbox:
    """What waits for one remote. Safe for threads and for processes, any number of which put in and deliver."""

    def __init__(self, folder: Path, remote_url: str) -> None:
        self.folder = folder
        self.remote_url = remote_url
        self._store = SqliteStore(folder)
        self._labelled = False

    @property
    def shown(self) -> str:
        """The folder, as a person can give it to ``--store``."""
        return str(self.folder)

    def put(self, session_id: str, batch: Batch) -> Receipt:
        """Record a batch here, durably, behind what waits. Raises StoreUnavailable."""
        try:
            self._label()
            self._note_producer(session_id, batch.producer)
        except OSError as error:
            raise StoreUnavailable(self._store.url, error.strerror or str(error)) from error
        try:
            return self._store.append(session_id, batch)
        except SequenceGap as gap:
            # What lies between was delivered without us, and so has what this log remembers: it begins anew.
            if not self._forget(session_id):
                raise StoreUnavailable(self._store.url, str(gap)) from gap
            return self._store.append(session_id, batch)

    def waiting(self, session_id: str) -> int:
        """Count the events and rows of a session that wait. Raises StoreUnavailable, StoreDamaged."""
        found = self._store.read(session_id, _BEYOND, 1)
        return 0 if found is None else max(0, found.top - found.floor + 1)

    def sessions(self) -> list[str]:
        """List the sessions of which something waits, what was recorded first at the beginning; remove old empty ones."""
        listed = sorted(self._store.summaries(), key=lambda summary: (summary.created_at, summary.session_id))
        waiting = []
        for summary in listed:
            if self._may_wait(summary.session_id):
                waiting.append(summary.session_id)
            elif time.time() - summary.updated_at > EMPTY_KEPT_S and self._forget(summary.session_id):
                self._forget_producers(summary.session_id)
        return waiting

    def read(self, session_id: str) -> Slice | None:
        """Read what waits longest of a session. None where there is nothing."""
        return self._store.read(session_id, 0, ROWS_A_READ)

    def snapshot(self, session_id: str) -> Snapshot | None:
        """Fold what waits of a session. None where there is nothing."""
        return self._store.snapshot(session_id)

    def batches(self, session_id: str, waiting: Slice) -> Iterator[tuple[Batch, int]]:
        """Yield what waits as the batches of its producers, each with its last offset here."""
        run: list[Record] = []
        for record in waiting.records:
            if run and (run[-1].producer != record.producer or _after(run[-1]) != record.sequence):
                yield self._batch(session_id, run), run[-1].last
                run = []
            run.append(record)
        if run:
            yield self._batch(session_id, run), run[-1].last

    def drop(self, session_id: str, waited: Slice, last: int, producers: Iterable[str]) -> None:
        """Take out what was delivered of what was read, up to an offset; with the last of it who these producers were.

        The session's file stays for a while, empty: to remove one that others may just be writing to is never safe.
        """
        if last < waited.top or not self._store.clear(session_id, Cursor(waited.epoch, last)):
            self._store.trim(session_id, last, epoch=waited.epoch)
            return
        for producer in producers:
            with suppress(OSError):
                self._note(session_id, producer).unlink()

    def beat(self, session_id: str, heartbeat: Heartbeat) -> None:
        """Say that a producer lives that records here."""
        self._store.beat(session_id, heartbeat)

    def heartbeats(self, session_id: str) -> list[Heartbeat]:
        """Return the heartbeats of the producers that record here, or did."""
        return self._store.heartbeats(session_id)

    def close(self) -> None:
        """Let go of its files."""
        self._store.close()

    def _batch(self, session_id: str, run: list[Record]) -> Batch:
        producer = self._noted_producer(session_id, run[0].producer)
        return Batch(producer=producer, sequence=run[0].sequence, bodies=[record.body for record in run])

    def _may_wait(self, session_id: str) -> bool:
        """Say whether something of a session waits; of a damaged one it can't be known, and it holds up no other."""
        try:
            return self.waiting(session_id) > 0
        except StoreDamaged:
            return True

    def _forget(self, session_id: str) -> bool:
        """Delete a session of which nothing waits; False where something does."""
        found = self._store.read(session_id, _BEYOND, 1)
        return found is None or (
            found.top < found.floor and self._store.delete(session_id, only_at=Cursor(found.epoch, found.top))
        )

    def _forget_producers(self, session_id: str) -> None:
        """Remove old notes of a session's producers: those that were delivered some at a time, each in part."""
        for note in (self.folder / "producers").glob(f"{_digest(session_id)}-*"):
            with suppress(OSError):
                if time.time() - note.stat().st_mtime > EMPTY_KEPT_S:
                    note.unlink()

    def _label(self) -> None:
        """Write down whom this is for, so that it can be delivered by who finds it."""
        if self._labelled and self.folder.is_dir():
            return
        _ = self._store.store_id  # makes the folder, its owner's alone
        _write(self.folder / _REMOTE, msgspec.json.encode(_Remote(self.remote_url)))
        self._labelled = True

    def _note_producer(self, session_id: str, producer: Producer) -> None:
        """Write down what a log does not keep of its producer: its group, and whether it resumes."""
        file = self._note(session_id, producer.id)
        if not file.exists():
            file.parent.mkdir(mode=0o700, exist_ok=True)
            _write(file, msgspec.json.encode(producer))

    def _noted_producer(self, session_id: str, producer_id: str) -> Producer:
        with suppress(OSError, msgspec.MsgspecError):
            return replace(
                msgspec.json.decode(self._note(session_id, producer_id).read_bytes(), type=Producer), id=producer_id
            )
        return Producer(id=producer_id)

    def _note(self, session_id: str, producer_id: str) -> Path:
        return self.folder / "producers" / f"{_digest(session_id)}-{_digest(producer_id)}.json"


def outbox_of(root: Path, remote_url: str) -> Outbox:
    """Return the outbox of a remote below a folder; nothing is made on disk before something is put in."""
    place = urlsplit(remote_url).netloc.lower()
    readable = re.sub(r"[^a-z0-9.-]+", "-", place)[:60].strip("-.")
    return Outbox(root / f"{readable}-{_digest(remote_url)}", remote_url)


def outboxes_in(root: Path) -> list[Outbox]:
    """List the outboxes below a folder."""
    found = []
    for label in sorted(root.glob(f"*/{_REMOTE}")):
        with suppress(OSError, msgspec.MsgspecError):
            found.append(Outbox(label.parent, msgspec.json.decode(label.read_bytes(), type=_Remote).url))
    return found


def _after(record: Record) -> int:
    """Return the sequence number that follows a record's last."""
    return record.sequence + length(record.body)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _write(file: Path, content: bytes) -> None:
    """Write a file whole, durably, for its owner's eyes only."""
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        try:
            os.write(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(file.parent)  # without its label nobody finds what waits
