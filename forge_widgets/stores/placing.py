"""Where a batch goes in a log: what of it is new, in which attempt, at which offsets.

Pure, and the same for every store: a store shows what it knows of its log, gets records, and writes them.
The rules of idempotency and of attempts live here and in core.attempts, nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from forge_widgets.core.attempts import choose_attempt, split_at_starts
from forge_widgets.core.events import Batch, Body, Event, Producer, Record, length
from forge_widgets.core.state import State, fold
from forge_widgets.core.steps import MAX_BLOCK_ROWS, StepBlock
from forge_widgets.errors import SequenceGap


class Known(Struct, frozen=True):
    """What a log knows of a producer that has written to it."""

    attempt: int
    # Its newest sequence number.
    sequence: int


class Log(Protocol):
    """What placing asks of a log."""

    @property
    def top(self) -> int:
        """The newest offset, 0 where nothing is recorded."""

    @property
    def state(self) -> State:
        """The fold of all records."""

    def producer(self, producer_id: str) -> Known | None:
        """Return what is known of a producer; None for one that has not written yet."""

    def group(self, name: str) -> int | None:
        """Return the attempt of a producer group; None for an unknown one."""

    def has_key(self, key: str) -> bool:
        """Say whether an event of this idempotency key is recorded."""


class Placed(Struct, frozen=True):
    """A batch as it goes into a log."""

    records: list[Record]
    # The fold of all records, these included.
    state: State
    top: int
    # The producer's newest sequence number, and the attempt it writes to now (0: it has written nothing).
    sequence: int
    attempt: int
    # True where that sequence number is news to the log.
    advances: bool
    # Events and rows that the log already had.
    repeated: int


def place(batch: Batch, log: Log) -> Placed:
    """Place a batch in a log; nothing is written. Raises SequenceGap.

    A producer that the log does not know may begin at any sequence number: its log may have been set aside or deleted.
    """
    producer = batch.producer
    known = log.producer(producer.id)
    expected = batch.sequence or 1 if known is None else known.sequence + 1
    first = batch.sequence or expected
    if first > expected:
        raise SequenceGap(producer.id, expected, first)
    fresh = list(_without_known_keys(_from(batch.bodies, first, expected), log))
    records, state, attempt = _numbered(producer, fresh, known, log)
    sent = sum(length(body) for body in batch.bodies)
    sequence = max(first + sent, expected) - 1
    return Placed(
        records=records,
        state=state,
        top=records[-1].last if records else log.top,
        sequence=sequence,
        attempt=attempt,
        advances=known is None or sequence > known.sequence,
        repeated=sent - sum(length(body) for _, body in fresh),
    )


def place_rows(batch: Batch, known: Known, top: int, state: State) -> Placed | None:
    """Place new rows of a producer that goes on where it stands; None for any other batch, which ``place`` is for.

    What a training appends nearly always, in 14 µs a block instead of 60: nothing of it can be repeated, and nothing changes
    its attempt.
    """
    producer = batch.producer
    if producer.bare or batch.sequence != known.sequence + 1 or not batch.bodies:
        return None
    records: list[Record] = []
    sequence = batch.sequence
    for body in batch.bodies:
        if not isinstance(body, StepBlock) or not all(map(str.isascii, body.columns)):
            return None
        rows = len(body.timestamps)
        if not 0 < rows <= MAX_BLOCK_ROWS:
            return None
        record = Record(offset=top + 1, attempt=known.attempt, producer=producer.id, sequence=sequence, body=body)
        records.append(record)
        state, top, sequence = fold(state, record), top + rows, sequence + rows
    return Placed(records, state, top, sequence - 1, known.attempt, advances=True, repeated=0)


def _from(bodies: Sequence[Body], first: int, expected: int) -> Iterator[tuple[int, Body]]:
    """Yield bodies with their sequence numbers from ``expected`` on; a block may be new in part."""
    sequence = first
    for body in bodies:
        rows = length(body)
        skip = min(rows, max(0, expected - sequence))
        if skip < rows:
            for kept in storable(body.slice(skip) if isinstance(body, StepBlock) and skip else body):
                yield sequence + skip, kept
                skip += length(kept)
        sequence += rows


def storable(body: Body) -> Iterator[Body]:
    """Yield a body as any store can keep it: text that UTF-8 can write, blocks of a size that can be read back."""
    if isinstance(body, Event):
        yield _cleaned(body)
        return
    if not all(map(_is_text, body.columns)):
        body = replace(body, columns={_text(name): column for name, column in body.columns.items()})
    if len(body) <= MAX_BLOCK_ROWS:
        yield body
        return
    for start in range(0, len(body), MAX_BLOCK_ROWS):
        yield body.slice(start, min(start + MAX_BLOCK_ROWS, len(body)))


def _without_known_keys(bodies: Iterator[tuple[int, Body]], log: Log) -> Iterator[tuple[int, Body]]:
    seen: set[str] = set()
    for sequence, body in bodies:
        if isinstance(body, Event) and body.key:
            if body.key in seen or log.has_key(body.key):
                continue
            seen.add(body.key)
        yield sequence, body


def _numbered(
    producer: Producer, fresh: Sequence[tuple[int, Body]], known: Known | None, log: Log
) -> tuple[list[Record], State, int]:
    """Give new bodies their attempts and offsets; return them, the state after them, and the producer's attempt."""
    state, top = log.state, log.top
    attempt = 0 if known is None else known.attempt
    bodies, sequences = [body for _, body in fresh], iter([sequence for sequence, _ in fresh])
    group = producer.group or producer.id
    together = log.group(group)
    groups = {} if together is None else {group: together}
    records: list[Record] = []
    for part in split_at_starts(bodies) if producer.bare else [bodies]:
        if not part:
            continue
        if known is None or producer.bare:  # who has written stays where it is, whatever else it says of itself
            attempt = choose_attempt(producer, part[0], state, groups)
        for body in part:
            record = Record(offset=top + 1, attempt=attempt, producer=producer.id, sequence=next(sequences), body=body)
            records.append(record)
            state, top = fold(state, record), record.last
    return records, state, attempt


def _is_text(text: str) -> bool:
    """Say whether UTF-8 can write a text: a lone surrogate it can't."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(text: str) -> str:
    return text if _is_text(text) else text.encode("utf-8", "replace").decode()


def _cleaned(event: Event) -> Event:
    words = (event.message, event.name, event.error, event.key, *event.metrics)
    if all(map(_is_text, words)):
        return event
    return replace(
        event,
        message=_text(event.message),
        name=_text(event.name),
        error=_text(event.error),
        key=_text(event.key),
        metrics={_text(name): value for name, value in event.metrics.items()},
    )
