"""Records and states as bytes in a store's file, and back."""

from __future__ import annotations

from typing import Any

import msgspec

from forge_widgets.core.events import Body, Event, Record
from forge_widgets.core.state import State
from forge_widgets.core.steps import StepBlock, decode_block, encode_block

STATE_FORMAT = 1
"""Raised whenever State or the fold changes its meaning: a snapshot of another format is folded again from the records."""

EVENT, BLOCK = 0, 1

_encoder = msgspec.msgpack.Encoder()
_event_decoder = msgspec.msgpack.Decoder(Event)
_state_decoder = msgspec.msgpack.Decoder(State)


def encode_body(body: Body) -> tuple[int, bytes]:
    """Return a body's kind and bytes."""
    return (BLOCK, encode_block(body)) if isinstance(body, StepBlock) else (EVENT, _encoder.encode(body))


def decode_record(row: tuple[Any, ...]) -> Record:
    """Build a record of a row ``offset, attempt, kind, producer, sequence, body``. Raises msgspec.DecodeError, InvalidInput."""
    offset, attempt, kind, producer, sequence, body = row
    decoded = decode_block(body) if kind == BLOCK else _event_decoder.decode(body)
    return Record(offset=offset, attempt=attempt, producer=producer, sequence=sequence, body=decoded)


def encode_state(state: State) -> bytes:
    """Encode a state."""
    return _encoder.encode(state)


def decode_state(encoded: bytes) -> State:
    """Decode a state. Raises msgspec.DecodeError."""
    return _state_decoder.decode(encoded)


def first_timestamp(body: Body) -> float:
    """Return the timestamp of an event, or of a block's first row."""
    return body.timestamps[0] if isinstance(body, StepBlock) else body.timestamp


def last_timestamp(body: Body) -> float:
    """Return the timestamp of an event, or of a block's last row."""
    return body.timestamps[-1] if isinstance(body, StepBlock) else body.timestamp
