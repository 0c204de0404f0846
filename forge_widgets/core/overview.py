"""The least and the greatest of runs of rows: what a curve is drawn of without reading the rows themselves.

Pure, and without numpy: trainings make overviews when they compact their logs (stores.compaction), core.downsampling draws them.
An overview stands for a range of offsets; overviews of overviews make a pyramid, in which a picture finds the level that it needs.
"""

from __future__ import annotations

import math
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence

import msgspec
from msgspec import Struct

from forge_widgets.core.columns import doubles_from_bytes, doubles_to_bytes
from forge_widgets.core.events import Event, Record
from forge_widgets.core.metrics import curve_names
from forge_widgets.core.sealing import sealed, unsealed
from forge_widgets.core.series import model_runs
from forge_widgets.core.steps import StepBlock, block_of
from forge_widgets.errors import InvalidInput

BUCKET_ROWS = 128
"""Rows of a bucket at the lowest level. A curve of 2,000 points needs 1,000 of them: of fewer than 128,000 rows the rows are read,
which takes 0.1 s for seven metrics. An overview takes a byte a row so; buckets of 512 rows would take a quarter, and 0.3 s."""

FAN_OUT = 8
"""Overviews that one of the next level stands for, and buckets of theirs that one of its buckets stands for."""

ENDS = 5
"""Doubles behind a line's buckets: its first and its last finite point, and how many it has."""

_NAN = math.nan


class Strand(Struct, frozen=True):
    """The rows of one model in one attempt, bucket by bucket in the order of the log."""

    attempt: int
    model: int
    # Rows of each bucket, and its least and its greatest step.
    rows: array[float]
    low: array[float]
    high: array[float]
    # For each metric four doubles a bucket: step and value of its least and its greatest finite point, in the order of their
    # coming; NaN where it has none. Then five more: its first and its last finite point, where a curve begins and ends, and how
    # many it has.
    lines: dict[str, array[float]]


Overview = Sequence[Strand]
"""All strands of a range of offsets."""


def overview_of(records: Iterable[Record]) -> Overview:
    """Overview the rows of records. Rows without a finite step have no place on the axis."""
    gathered: dict[tuple[int, int], _Gathered] = {}
    for record in records:
        block = _block_of(record)
        for model, start, stop in _runs(block):
            gathered.setdefault((record.attempt, model), _Gathered()).add(block, start, stop)
    return [rows.strand(attempt, model) for (attempt, model), rows in gathered.items()]


def overview_of_overviews(overviews: Iterable[Overview]) -> Overview:
    """Overview what overviews one behind the other stand for, in buckets FAN_OUT times as large."""
    strands: dict[tuple[int, int], list[Strand]] = {}
    for overview in overviews:
        for strand in overview:
            strands.setdefault((strand.attempt, strand.model), []).append(strand)
    return [_coarser(parts) for parts in strands.values()]


def rows_of(overview: Overview) -> int:
    """Return how many rows an overview stands for."""
    return int(sum(sum(strand.rows) for strand in overview))


def steps_of(overview: Overview) -> tuple[float, float]:
    """Return the least and the greatest step; of nothing infinities that enclose nothing."""
    low = min((min(strand.low) for strand in overview), default=math.inf)
    return low, max((max(strand.high) for strand in overview), default=-math.inf)


class _Gathered:
    """Rows of one strand, before they are put into buckets."""

    def __init__(self) -> None:
        self._steps = array("d")
        # NaN where a row has no finite value.
        self._values: dict[str, array[float]] = {}

    def add(self, block: StepBlock, start: int, stop: int) -> None:
        """Take a run of rows of one model."""
        before, rows = len(self._steps), stop - start
        self._steps.extend(block.columns["currentStep"].values[start:stop])
        for name in curve_names(block.columns):
            column = block.columns[name].slice(start, stop)
            values = self._values.setdefault(name, array("d", [_NAN]) * before)
            values.extend(
                column.values
                if column.present is None
                else [value if there else _NAN for value, there in zip(column.values, column.present, strict=True)]
            )
        for values in self._values.values():
            values.extend([_NAN] * (before + rows - len(values)))

    def strand(self, attempt: int, model: int) -> Strand:
        """Put the rows into buckets."""
        parts = [self._steps[start : start + BUCKET_ROWS] for start in range(0, len(self._steps), BUCKET_ROWS)]
        return Strand(
            attempt,
            model,
            array("d", map(len, parts)),
            array("d", map(min, parts)),
            array("d", map(max, parts)),
            {name: array("d", self._line(values)) for name, values in self._values.items()},
        )

    def _line(self, values: array[float]) -> Iterator[float]:
        for start in range(0, len(values), BUCKET_ROWS):
            yield from _extremes(self._steps[start : start + BUCKET_ROWS], values[start : start + BUCKET_ROWS])
        for rows in (range(len(values)), reversed(range(len(values)))):
            end = next((row for row in rows if math.isfinite(values[row])), None)
            yield from (_NAN, _NAN) if end is None else (self._steps[end], values[end])
        yield len(values) if math.isfinite(sum(values)) else sum(map(math.isfinite, values))


def _extremes(steps: Sequence[float], values: Sequence[float]) -> tuple[float, float, float, float]:
    """Return step and value of the least and the greatest finite point, in the order of their coming."""
    if not math.isfinite(sum(values)):  # a sum that is no number tells of one among them
        finite = [(step, value) for step, value in zip(steps, values, strict=True) if math.isfinite(value)]
        if not finite:
            return _NAN, _NAN, _NAN, _NAN
        steps, values = zip(*finite, strict=True)
    ends = sorted((values.index(min(values)), values.index(max(values))))
    return steps[ends[0]], values[ends[0]], steps[ends[1]], values[ends[1]]


def _coarser(parts: Sequence[Strand]) -> Strand:
    """Join strands of one model and attempt, and each FAN_OUT buckets of theirs."""
    rows, low, high = (_joined(getattr(part, field) for part in parts) for field in ("rows", "low", "high"))
    lines = {}
    for name in dict.fromkeys(name for part in parts for name in part.lines):
        of_parts = [part.lines.get(name) or _nothing(len(part.rows)) for part in parts]
        buckets = _joined(line[:-ENDS] for line in of_parts)
        extremes = [_extremes(group[0::2], group[1::2]) for group in _groups(buckets, 4 * FAN_OUT)]
        lines[name] = array("d", [number for bucket in extremes for number in bucket])
        ends = [line[-ENDS:] for line in of_parts if line[-1]] or [of_parts[0][-ENDS:]]
        lines[name].extend([*ends[0][:2], *ends[-1][2:4], sum(line[-1] for line in of_parts)])
    return Strand(
        parts[0].attempt,
        parts[0].model,
        array("d", map(sum, _groups(rows, FAN_OUT))),
        array("d", map(min, _groups(low, FAN_OUT))),
        array("d", map(max, _groups(high, FAN_OUT))),
        lines,
    )


def _nothing(buckets: int) -> array[float]:
    """Return the line of a metric that no row has."""
    return array("d", [*[_NAN] * (4 * buckets + ENDS - 1), 0.0])


def _joined(parts: Iterable[array[float]]) -> array[float]:
    return array("d", [number for part in parts for number in part])


def _groups(values: array[float], size: int) -> list[array[float]]:
    return [values[start : start + size] for start in range(0, len(values), size)]


def _block_of(record: Record) -> StepBlock:
    """Return a record's rows, a ``step_update`` as one; of another event a row without metrics."""
    body = record.body
    if isinstance(body, Event):
        return block_of([(body.timestamp, body.metrics if body.event_type == "step_update" else {})])
    return body


def _runs(block: StepBlock) -> Iterator[tuple[int, int, int]]:
    """Yield the runs of rows of one model that have a finite step: the model, the first row and the one after the last."""
    steps = block.columns.get("currentStep")
    if steps is None:
        return
    whole = steps.present is None and math.isfinite(sum(steps.values))
    for model, start, stop in model_runs(block):
        if whole:
            yield model, start, stop
            continue
        for row in range(start, stop):
            if (steps.present is None or steps.present[row]) and math.isfinite(steps.values[row]):
                yield model, row, row + 1


# --- as bytes ------------------------------------------------------------------------------------


class _Packed(Struct, array_like=True):
    attempt: int
    model: int
    buckets: int
    names: list[str]
    # zlib of rows, low, high and then each line, little-endian doubles.
    doubles: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[_Packed])
_MOST_BUCKETS = 65_536


def encode_overview(overview: Overview) -> bytes:
    """Encode an overview for a store (MessagePack around zlib-packed little-endian doubles, sealed)."""
    packed = [
        _Packed(
            strand.attempt,
            strand.model,
            len(strand.rows),
            list(strand.lines),
            zlib.compress(b"".join(map(doubles_to_bytes, _columns(strand))), 1),
        )
        for strand in overview
    ]
    return sealed(_encoder.encode(packed))


def decode_overview(encoded: object) -> Overview:
    """Undo :func:`encode_overview`. Raises InvalidInput where it is no overview, or not as it was."""
    plain = unsealed(encoded) if isinstance(encoded, bytes) else None
    if plain is None:
        raise InvalidInput("no overview (another checksum)", where="overview", expected="what was written")
    try:
        return [_strand(packed) for packed in _decoder.decode(plain)]
    except (msgspec.MsgspecError, ValueError, zlib.error) as error:
        raise InvalidInput(f"no overview ({error})", where="overview", expected="MessagePack") from error


def _columns(strand: Strand) -> list[array[float]]:
    return [strand.rows, strand.low, strand.high, *strand.lines.values()]


def _strand(packed: _Packed) -> Strand:
    count = packed.buckets
    if not 0 < count <= _MOST_BUCKETS:
        raise ValueError(f"{count} buckets")
    each = 4 * count + ENDS
    size = 8 * (3 * count + each * len(packed.names))
    inflater = zlib.decompressobj()
    plain = inflater.decompress(packed.doubles, size + 1)
    if len(plain) != size or not inflater.eof:
        raise ValueError(f"{len(plain)} bytes, {size} announced")
    doubles = doubles_from_bytes(plain)
    rows, low, high = (doubles[start * count : (start + 1) * count] for start in range(3))
    starts = range(3 * count, size // 8, each)
    lines = {name: doubles[start : start + each] for name, start in zip(packed.names, starts, strict=True)}
    return Strand(packed.attempt, packed.model, rows, low, high, lines)
