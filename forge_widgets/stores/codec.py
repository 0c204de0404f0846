"""Records and states as bytes in a store's file, and back."""

from __future__ import annotations

import math
from collections.abc import Container
from typing import Any, TypeVar

import msgspec

from forge_widgets.core.events import Body, Event, Record
from forge_widgets.core.sealing import sealed, unsealed
from forge_widgets.core.state import State
from forge_widgets.core.steps import StepBlock, decode_block, encode_block
from forge_widgets.errors import InvalidInput

COLUMNS = "offset, attempt, kind, producer, sequence, body"
"""What :func:`decode_record` takes."""

INSERT_RECORD = (
    "INSERT INTO records(offset, last, attempt, kind, producer, sequence, timestamp, received, body)"
    " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
"""What takes a row of :func:`encode_record`."""

STATE_FORMAT = 1
"""Raised whenever State or the fold changes its meaning: a snapshot of another format is folded again from the records."""

EVENT, BLOCK = 0, 1

Decoded = TypeVar("Decoded")

_encoder = msgspec.msgpack.Encoder()
_event_decoder = msgspec.msgpack.Decoder(Event)
_state_decoder = msgspec.msgpack.Decoder(State)


def encode_body(body: Body) -> tuple[int, bytes]:
    """Return a body's kind and bytes."""
    return (BLOCK, encode_block(body)) if isinstance(body, StepBlock) else (EVENT, _encoder.encode(body))


def encode_record(record: Record, received: float) -> tuple[Any, ...]:
    """Build a record's whole row: ``offset, last, attempt, kind, producer, sequence, timestamp, received, body``."""
    kind, body = encode_body(record.body)
    place_in_log = (record.offset, record.last, record.attempt, kind, record.producer, record.sequence)
    return (*place_in_log, last_timestamp(record.body), received, body)


def decode_record(row: tuple[Any, ...], only: Container[str] | None = None) -> Record:
    """Build a record of a row ``offset, attempt, kind, producer, sequence, body``; ``only`` as decode_block has it.

    Raises InvalidInput where it can't be one: a broken page gives numbers, texts and blobs where others were.
    """
    offset, attempt, kind, producer, sequence, body = row
    for count in (offset, attempt, sequence):
        if type(count) is not int or count < 0:
            raise InvalidInput(f"{count!r:.40} can't be used", where="record", expected="a place in a log")
    if kind not in (EVENT, BLOCK):
        raise InvalidInput(f"{kind!r:.40} can't be used", where="record", expected="a place in a log")
    if not isinstance(producer, str) or not isinstance(body, bytes):
        raise InvalidInput(f"{producer!r:.40} can't be used", where="record", expected="a producer's id and a body")
    decoded = decode_block(body, only) if kind == BLOCK else _decode(_event_decoder, body)
    # A sum is as finite as what is in it, and quickly made.
    if not math.isfinite(decoded.timestamp if isinstance(decoded, Event) else sum(decoded.timestamps)):
        raise InvalidInput("a time that is none can't be used", where="record", expected="seconds since 1970")
    return Record(offset=offset, attempt=attempt, producer=producer, sequence=sequence, body=decoded)


def encode_state(state: State) -> bytes:
    """Encode a state, sealed: it is gone on with instead of the records before it, so a number that turned in it would stay."""
    return sealed(_encoder.encode(state))


def decode_state(encoded: object) -> State:
    """Decode a state. Raises InvalidInput where it is none, or not as it was."""
    if not isinstance(encoded, bytes):
        raise InvalidInput(f"{encoded!r:.40} can't be used", where="state", expected="MessagePack")
    plain = unsealed(encoded)
    # Older releases sealed nothing. A broken seal is no MessagePack, and refused as that.
    state = _decode(_state_decoder, encoded if plain is None else plain)
    if not all(map(math.isfinite, (state.started_at, state.updated_at, state.stepped_at))):
        raise InvalidInput("a time that is none can't be used", where="state", expected="seconds since 1970")
    return state


def first_timestamp(body: Body) -> float:
    """Return the timestamp of an event, or of a block's first row."""
    return body.timestamps[0] if isinstance(body, StepBlock) else body.timestamp


def last_timestamp(body: Body) -> float:
    """Return the timestamp of an event, or of a block's last row."""
    return body.timestamps[-1] if isinstance(body, StepBlock) else body.timestamp


def _decode(decoder: msgspec.msgpack.Decoder[Decoded], encoded: bytes | memoryview) -> Decoded:
    """Decode MessagePack. Raises InvalidInput, whatever is wrong with it."""
    try:
        return decoder.decode(encoded)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"bytes that are none ({error!s:.80})", where="record", expected="MessagePack") from error
