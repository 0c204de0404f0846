"""The store on another machine: every call of the interface is a request to the server there.

Reads and writes the routes of docs/PROTOCOL.md, "The store over HTTP". Keeps nothing: what a training writes while the
server is out of reach is http_relay's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Struct
from msgspec.structs import asdict, replace

from forge_widgets.core.curves import Curve, Curves, SeriesQuery
from forge_widgets.core.events import Batch, Body, Event, length
from forge_widgets.core.intake import (
    Count,
    HeartbeatMessage,
    RecordMessage,
    StateMessage,
    read_message,
)
from forge_widgets.core.liveness import Heartbeat
from forge_widgets.core.metrics import check_session_id
from forge_widgets.core.state import State
from forge_widgets.core.subscription import Cursor, Slice
from forge_widgets.core.wire import batch_message, encode
from forge_widgets.errors import InvalidInput, Refused, SequenceGap, StoreUnavailable
from forge_widgets.stores.base import Receipt, Snapshot, Summary
from forge_widgets.stores.http_address import Address
from forge_widgets.stores.http_link import Hole, Link, Unknown
from forge_widgets.stores.placing import storable

MAX_SENT_BYTES = 2_000_000
"""JSON of one request at most, before it is compressed to half or less; a larger batch goes in several."""

MAX_TEXT_CHARS = 100_000
"""Characters of a message or an error's text that a server takes; the rest of a longer one is cut off."""

VERSION_GOOD_FOR_S = 0.1
"""A version is asked for at most so often for each session: a server in between looks forty times a second."""

APPEND_ANSWER_S = 4.0
BEAT_ANSWER_S = 3.0
"""Seconds that a writer waits for an answer: less than a run has for its end, so that it can still record here. A view that
is made in a training's cell waits no longer for the store's id."""

_MAX_VERSIONS = 256
_TOO_LARGE = 413

Message = TypeVar("Message")


class _Store(Struct, frozen=True, rename="camel"):
    store_id: str


class _Slice(Struct, frozen=True):
    epoch: str
    floor: Count
    top: Count
    records: list[RecordMessage]
    base: StateMessage | None = None


class _Snapshot(Struct, frozen=True):
    epoch: str
    offset: Count
    state: StateMessage


class _Curve(Struct, frozen=True):
    metric: str
    model: Count
    steps: list[float]
    values: list[float]
    rows: Count


class _Curves(Struct, frozen=True):
    epoch: str
    top: Count
    attempt: Count
    series: list[_Curve]


class _Version(Struct, frozen=True):
    version: str


class _Summary(Struct, frozen=True, rename="camel"):
    session_id: str
    created_at: float
    updated_at: float
    attempts: Count
    state: StateMessage


class _Summaries(Struct, frozen=True):
    summaries: list[_Summary]


class _Heartbeats(Struct, frozen=True):
    heartbeats: list[HeartbeatMessage]


class _Trimmed(Struct, frozen=True):
    floor: Count


class HttpStore:
    """Sessions in a store that another machine serves."""

    def __init__(self, address: Address) -> None:
        # Without the token: whoever opens it again has it from the environment.
        self.url = address.url
        self._link = Link(address)
        self._store_id = ""
        # The newest version of a session, and when it was asked for (monotonic).
        self._versions: dict[str, tuple[float, str]] = {}

    @property
    def store_id(self) -> str:
        """Durable random id of the store that is served there. Raises StoreUnavailable."""
        if not self._store_id:
            self._store_id = self._read(
                self._link.ask("GET", ("api", "store"), answer_s=BEAT_ANSWER_S), _Store
            ).store_id
        return self._store_id

    def append(self, session_id: str, batch: Batch) -> Receipt:
        """Append a producer's batch; see Store. A large one goes in several requests, each durable by itself.

        So where this raises, a part may be applied; sent again it is passed over. Raises SequenceGap, RateLimited,
        Refused, StoreUnavailable.
        """
        check_session_id(session_id)
        bodies = [cleaned for body in batch.bodies for cleaned in storable(body)]
        receipt = self._append(session_id, replace(batch, bodies=[_within_limits(body) for body in bodies]))
        self._versions.pop(session_id, None)
        return receipt

    def read(self, session_id: str, after: int, max_rows: int = 50_000) -> Slice | None:
        """Read records after an offset. Raises StoreUnavailable."""
        asked = {"after": min(after, 2**53), "max_rows": max(0, max_rows)}
        with suppress(Unknown):
            answer = self._link.ask("GET", self._path(session_id, "records"), query=asked)
            read = self._read(answer, _Slice)
            records = self._checked(lambda: [record.record() for record in read.records])
            base = State() if read.base is None else read.base.state()
            return Slice(read.epoch, read.floor, read.top, records, base)
        return None

    def snapshot(self, session_id: str) -> Snapshot | None:
        """Return the session's newest state. Raises StoreUnavailable."""
        with suppress(Unknown):
            read = self._read(self._link.ask("GET", self._path(session_id, "snapshot")), _Snapshot)
            return Snapshot(Cursor(read.epoch, read.offset), read.state.state())
        return None

    def series(self, session_id: str, query: SeriesQuery) -> Curves | None:
        """Return curves of one attempt, made there. Raises StoreUnavailable."""
        asked = {name: value for name, value in asdict(query).items() if value is not None}
        if query.metrics is not None:
            # Quoted by itself: a name may hold the comma that stands between two.
            asked["metrics"] = ",".join(quote(metric, safe="") for metric in query.metrics)
        with suppress(Unknown):
            read = self._read(self._link.ask("GET", self._path(session_id, "series"), query=asked), _Curves)
            curves = [Curve(one.metric, one.model, one.steps, one.values, one.rows) for one in read.series]
            return Curves(read.epoch, read.top, read.attempt, curves)
        return None

    def version(self, session_id: str) -> object:
        """Return what the server says of the log's version, asked for at most ten times a second. Raises StoreUnavailable."""
        path = self._path(session_id, "version")
        asked_at, version = self._versions.get(session_id, (0.0, ""))
        if version and time.monotonic() - asked_at < VERSION_GOOD_FOR_S:
            return version
        with suppress(Unknown):
            version = self._read(self._link.ask("GET", path), _Version).version
            if len(self._versions) >= _MAX_VERSIONS:
                self._versions.clear()
            self._versions[session_id] = (time.monotonic(), version)
            return version
        return None

    def trim(self, session_id: str, upto: int) -> int | None:
        """Drop the records up to an offset; return the floor. Raises StoreUnavailable."""
        body = encode({"upto": min(max(upto, 0), 2**53)})
        self._versions.pop(session_id, None)
        with suppress(Unknown):
            return self._read(self._link.ask("POST", self._path(session_id, "trim"), body=body), _Trimmed).floor
        return None

    def summaries(self) -> list[Summary]:
        """List the sessions, newest update first. Raises StoreUnavailable."""
        listed = self._read(self._link.ask("GET", ("api", "store", "summaries")), _Summaries).summaries
        return [
            Summary(one.session_id, one.created_at, one.updated_at, one.attempts, one.state.state()) for one in listed
        ]

    def delete(self, session_id: str) -> bool:
        """Delete a session there. Raises StoreUnavailable."""
        self._versions.pop(session_id, None)
        with suppress(Unknown):
            self._link.ask("DELETE", self._path(session_id))
            return True
        return False

    def beat(self, session_id: str, heartbeat: Heartbeat) -> None:
        """Say that a producer lives; a beat that does not arrive is left out."""
        check_session_id(session_id)
        with suppress(StoreUnavailable):
            self.send_beat(session_id, heartbeat)

    def send_beat(self, session_id: str, heartbeat: Heartbeat) -> None:
        """Say that a producer lives. Raises StoreUnavailable where nobody hears it."""
        body = msgspec.json.encode(heartbeat)
        with suppress(Unknown):
            self._link.ask("PUT", self._path(session_id, "heartbeats"), body=body, answer_s=BEAT_ANSWER_S)

    def heartbeats(self, session_id: str) -> list[Heartbeat]:
        """Return the newest heartbeat of each producer. Raises StoreUnavailable."""
        with suppress(Unknown):
            listed = self._read(self._link.ask("GET", self._path(session_id, "heartbeats")), _Heartbeats).heartbeats
            return [message.heartbeat() for message in listed]
        return []

    def close(self) -> None:
        """Close the connections."""
        self._link.close()

    def _path(self, session_id: str, *rest: str) -> tuple[str, ...]:
        return ("api", "sessions", check_session_id(session_id), *rest)

    def _append(self, session_id: str, batch: Batch) -> Receipt:
        """Append in as many requests as it takes."""
        encoded = encode(batch_message(batch))
        rows = sum(map(length, batch.bodies))
        if len(encoded) > MAX_SENT_BYTES and rows > 1:
            return self._append_halves(session_id, batch, rows // 2)
        try:
            path, again = self._path(session_id, "records"), batch.sequence > 0
            answer = self._link.ask("POST", path, body=encoded, again=again, answer_s=APPEND_ANSWER_S)
        except Hole as hole:
            raise SequenceGap(batch.producer.id, hole.expected, batch.sequence) from None
        except Refused as refused:
            if refused.status != _TOO_LARGE or rows <= 1:
                raise
            return self._append_halves(session_id, batch, rows // 2)
        return self._read(answer, Receipt)

    def _append_halves(self, session_id: str, batch: Batch, rows: int) -> Receipt:
        first, second = _split(batch.bodies, rows)
        before = self._append(session_id, replace(batch, bodies=first))
        sequence = batch.sequence and batch.sequence + rows
        after = self._append(session_id, replace(batch, sequence=sequence, bodies=second))
        return replace(after, repeated=before.repeated + after.repeated)

    def _read(self, answer: bytes, kind: type[Message]) -> Message:
        if answer.lstrip()[:1] == b"<":
            raise StoreUnavailable(
                self.url,
                "it answers a web page, and no store does: a proxy that asks to sign in, perhaps, or another address of "
                "that server; in Jupyter Server the store lies below the base URL, at /forge",
            )
        return self._checked(lambda: read_message(answer, kind))

    def _checked(self, read: Callable[[], Message]) -> Message:
        """Read what was answered. Raises StoreUnavailable for what is no answer of ours."""
        try:
            return read()
        except InvalidInput as error:
            raise StoreUnavailable(self.url, f"it answers something else than a store does ({error})") from error


def _split(bodies: list[Body], rows: int) -> tuple[list[Body], list[Body]]:
    """Split bodies after so many rows."""
    first: list[Body] = []
    for index, body in enumerate(bodies):
        if isinstance(body, Event) or length(body) <= rows:
            if not rows:
                return first, bodies[index:]
            first.append(body)
            rows -= length(body)
            continue
        cut = [body.slice(0, rows)] if rows else []
        return [*first, *cut], [body.slice(rows), *bodies[index + 1 :]]
    return first, []


def _within_limits(body: Body) -> Body:
    """Cut texts that no server takes: a training must not be held up by a long traceback."""
    if not isinstance(body, Event) or max(len(body.message), len(body.name), len(body.error)) <= MAX_TEXT_CHARS:
        return body
    return replace(body, message=_cut(body.message), name=_cut(body.name), error=_cut(body.error))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT_CHARS else f"{text[: MAX_TEXT_CHARS - 1]}…"
