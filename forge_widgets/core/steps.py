"""Rows of steps in columnar blocks, and their encoding in a store.

A block holds the rows that one producer recorded between two flushes. Columns are doubles; a metric that some rows
don't have carries a presence mask. The publisher builds blocks, stores keep them encoded, everybody else reads columns.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Container, Iterable, Iterator, Sequence

import msgspec
from msgspec import Struct

from forge_widgets.core.columns import doubles_from_bytes, doubles_to_bytes, pack_column, unpack_column
from forge_widgets.core.sealing import sealed, unsealed
from forge_widgets.errors import InvalidInput

FORMAT, COMPACT_FORMAT, QUICK_FORMAT = 1, 2, 3
"""How a block is encoded: as it was recorded (a small one quickly), or compacted."""

QUICK_ROWS = 1_024
"""Blocks up to this size are encoded quickly: 100 rows of eight metrics in 9 µs instead of 150, 58 bytes a row instead of 41."""

MAX_BLOCK_ROWS = 65_536

Row = tuple[float, dict[str, float]]
"""One step: its timestamp in seconds since the epoch, and its metrics by their names on the wire."""


class Column(Struct, frozen=True, gc=False):
    """One metric of a block.

    No cycle passes through it, nor through whatever else a log is made of: so the collector need not look at hundreds of thousands
    of them, which held up a server's loop for 0.1 s now and then.
    """

    # One double a row; 0.0 stands where the row has none.
    values: Sequence[float]
    # One byte a row, 1 where the row has the metric. None: every row has it.
    present: bytes | None = None

    def last(self) -> int:
        """Return the index of the last row that has the metric, -1 where none has."""
        return len(self.values) - 1 if self.present is None else self.present.rfind(b"\x01")

    def slice(self, start: int, stop: int) -> Column:
        """Return the rows from start up to stop."""
        present = None if self.present is None else self.present[start:stop]
        return Column(self.values[start:stop], None if present is None or 0 not in present else present)


class StepBlock(Struct, frozen=True, gc=False):
    """A run of step rows of one producer, in order."""

    # Seconds since the epoch, one a row, never falling.
    timestamps: Sequence[float]
    # Metrics by their names on the wire, ``currentStep`` and ``currentModel`` among them.
    columns: dict[str, Column]
    # Rows that the producer had to drop at its full ring just before this block.
    thinned: int = 0

    def __len__(self) -> int:
        return len(self.timestamps)

    def rows(self) -> Iterator[Row]:
        """Yield each row as its timestamp and its metrics."""
        for index, timestamp in enumerate(self.timestamps):
            yield timestamp, self.row(index)

    def row(self, index: int) -> dict[str, float]:
        """Return the metrics of one row."""
        return {
            name: column.values[index]
            for name, column in self.columns.items()
            if column.present is None or column.present[index]
        }

    def slice(self, start: int, stop: int | None = None) -> StepBlock:
        """Return the rows from start up to stop (None: to the end). Rows dropped before the block stay with its first row."""
        end = len(self) if stop is None else stop
        columns = {name: column.slice(start, end) for name, column in self.columns.items()}
        kept = {name: column for name, column in columns.items() if column.last() >= 0}
        return StepBlock(self.timestamps[start:end], kept, self.thinned if start == 0 else 0)


def block_of(rows: Iterable[Row], thinned: int = 0) -> StepBlock:
    """Build a block of rows. Rows need not have the same metrics."""
    table = list(rows)
    names: dict[str, None] = {}
    for _, metrics in table:
        names.update(dict.fromkeys(metrics))
    columns = {}
    for name in names:
        present = bytes([name in metrics for _, metrics in table])
        values = array("d", [metrics.get(name, 0.0) for _, metrics in table])
        columns[name] = Column(values, present if 0 in present else None)
    return StepBlock(array("d", [timestamp for timestamp, _ in table]), columns, thinned)


def joined_blocks(blocks: Sequence[StepBlock]) -> StepBlock:
    """Put blocks one behind the other; a metric that some of them don't have is missing in their rows."""
    columns = {}
    for name in dict.fromkeys(name for block in blocks for name in block.columns):
        values, present = array("d"), bytearray()
        for block in blocks:
            column = block.columns.get(name)
            values.extend(array("d", bytes(8 * len(block))) if column is None else column.values)
            present += bytes(len(block)) if column is None else column.present or b"\x01" * len(block)
        columns[name] = Column(values, bytes(present) if 0 in present else None)
    timestamps = array("d", [timestamp for block in blocks for timestamp in block.timestamps])
    return StepBlock(timestamps, columns, sum(block.thinned for block in blocks))


class _Packed(Struct, array_like=True):
    format: int
    rows: int
    thinned: int
    names: list[str]
    masks: list[bytes | None]
    # zlib of the timestamps and then each column, little-endian doubles.
    doubles: bytes


class _Compact(Struct, array_like=True):
    format: int
    rows: int
    thinned: int
    names: list[str]
    # zlib of a byte a row, 1 where it has the metric; None: every row has it.
    masks: list[bytes | None]
    # Each packed by core.columns.
    timestamps: bytes
    columns: list[bytes]


class _Quick(Struct, array_like=True):
    format: int
    rows: int
    thinned: int
    names: list[str]
    # None: every row has every metric.
    masks: list[bytes | None] | None
    # A byte for the timestamps and one for each column: 1 where a single double stands for all rows.
    constant: bytes
    # The timestamps and then each column, little-endian doubles.
    doubles: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Packed)
_quick_decoder = msgspec.msgpack.Decoder(_Quick)
_compact_decoder = msgspec.msgpack.Decoder(_Compact)


def encode_block(block: StepBlock) -> bytes:
    """Encode a block for a store as it was recorded.

    MessagePack around little-endian doubles, and a checksum behind it (core.sealing): doubles as they are in a small block
    (format 3), packed by zlib in a large one (format 1).
    """
    if len(block) <= QUICK_ROWS:
        return _quickly(block)
    doubles = b"".join(
        doubles_to_bytes(column) for column in (block.timestamps, *(c.values for c in block.columns.values()))
    )
    masks = [column.present for column in block.columns.values()]
    packed = _Packed(FORMAT, len(block), block.thinned, list(block.columns), masks, zlib.compress(doubles, 1))
    return sealed(_encoder.encode(packed))


def _quickly(block: StepBlock) -> bytes:
    """Encode a block while its training waits for the commit: nothing is deflated, constants stand once."""
    rows, columns = len(block.timestamps), block.columns.values()
    doubles = [doubles_to_bytes(block.timestamps), *[doubles_to_bytes(column.values) for column in columns]]
    constant = bytearray(len(doubles))
    for index, encoded in enumerate(doubles):
        first = encoded[:8]
        # The last double tells most columns apart: 0.1 µs instead of 0.5. By their bits, so that NaN is a constant too.
        if encoded[-8:] == first and encoded == first * rows:
            doubles[index] = first
            constant[index] = 1
    masks = [column.present for column in columns]
    given, names = masks if any(masks) else None, list(block.columns)
    quick = _Quick(QUICK_FORMAT, rows, block.thinned, names, given, bytes(constant), b"".join(doubles))
    return sealed(_encoder.encode(quick))


def encode_compact(block: StepBlock) -> bytes:
    """Encode a block in as few bytes as it takes, each column by itself (format 2): 20 times as long as :func:`encode_block`."""
    columns = block.columns.values()
    masks = [None if column.present is None else zlib.compress(column.present, 1) for column in columns]
    packed = [pack_column(column.values) for column in columns]
    timestamps = pack_column(block.timestamps)
    names = list(block.columns)
    return sealed(
        _encoder.encode(_Compact(COMPACT_FORMAT, len(block), block.thinned, names, masks, timestamps, packed))
    )


def decode_block(encoded: bytes, only: Container[str] | None = None) -> StepBlock:
    """Undo either encoding. Raises InvalidInput where the bytes are no block of a known format, or not as they were.

    ``only`` names the columns that are wanted: others may be missing then, and so may timestamps (0.0 in each row).
    """
    try:
        kind = encoded[1:2]  # an array's head is one byte, a small number another
        plain = unsealed(encoded)
        if kind == b"\x01":
            # Older releases sealed nothing. A broken seal is no MessagePack, and refused as that.
            return _recorded(encoded if plain is None else plain)
        if plain is None:
            raise ValueError("another checksum")
        return _read_quickly(plain) if kind == b"\x03" else _compacted(plain, only)
    except (msgspec.MsgspecError, ValueError, OverflowError, zlib.error) as error:
        raise InvalidInput(
            f"no step block ({error})", where="record", expected=f"a block of format {FORMAT} to {QUICK_FORMAT}"
        ) from error


def _recorded(encoded: bytes | memoryview) -> StepBlock:
    packed = _decoder.decode(encoded)
    size = 8 * packed.rows * (len(packed.names) + 1)
    _check(packed)
    doubles = _inflated(packed.doubles, size)
    if not all(mask is None or _is_mask(mask, packed.rows) for mask in packed.masks):
        raise ValueError("a mask that is none")
    columns = [
        doubles_from_bytes(doubles[start : start + 8 * packed.rows]) for start in range(0, size, 8 * packed.rows)
    ]
    named = zip(packed.names, columns[1:], packed.masks, strict=True)
    return StepBlock(columns[0], {name: Column(values, mask) for name, values, mask in named}, packed.thinned)


def _read_quickly(encoded: memoryview) -> StepBlock:
    packed = _quick_decoder.decode(encoded)
    rows, constant, names, masks = packed.rows, packed.constant, packed.names, packed.masks
    if not 0 < rows <= QUICK_ROWS or len(constant) != len(names) + 1:
        raise ValueError(f"format {packed.format} with {rows} rows")
    if masks is not None and not all(mask is None or _is_mask(mask, rows) for mask in masks):
        raise ValueError("a mask that is none")
    doubles, columns, start = doubles_from_bytes(packed.doubles), [], 0
    for is_constant in constant:  # slices of one array: 5 µs for eight columns, 11 as an array of its own for each
        if is_constant:
            columns.append(doubles[start : start + 1] * rows)
            start += 1
        else:
            columns.append(doubles[start : start + rows])
            start += rows
    if len(doubles) != start:
        raise ValueError(f"{len(doubles)} doubles, {start} announced")
    given = masks if masks is not None else [None] * len(names)
    named = zip(names, columns[1:], given, strict=True)
    return StepBlock(columns[0], {name: Column(values, mask) for name, values, mask in named}, packed.thinned)


def _compacted(encoded: memoryview, only: Container[str] | None) -> StepBlock:
    packed = _compact_decoder.decode(encoded)
    _check(packed)
    if packed.format != COMPACT_FORMAT or len(packed.columns) != len(packed.names):
        raise ValueError(f"format {packed.format} with {len(packed.columns)} columns")
    columns = {}
    for name, column, mask in zip(packed.names, packed.columns, packed.masks, strict=True):
        if only is None or name in only:
            present = None if mask is None else _inflated(mask, packed.rows)
            if present is not None and not _is_mask(present, packed.rows):
                raise ValueError("a mask that is none")
            columns[name] = Column(unpack_column(column, packed.rows), present)
    timestamps = (
        array("d", bytes(8 * packed.rows)) if only is not None else unpack_column(packed.timestamps, packed.rows)
    )
    return StepBlock(timestamps, columns, packed.thinned)


def _check(packed: _Packed | _Compact) -> None:
    if not 0 < packed.rows <= MAX_BLOCK_ROWS or len(packed.masks) != len(packed.names):
        raise ValueError(f"format {packed.format} with {packed.rows} rows")


def _inflated(packed: bytes, size: int) -> bytes:
    inflater = zlib.decompressobj()
    plain = inflater.decompress(packed, size + 1)
    if len(plain) != size or not inflater.eof:  # only at its end zlib has compared its checksum
        raise ValueError(f"{len(plain)} bytes, {size} announced")
    return plain


def _is_mask(mask: bytes, rows: int) -> bool:
    """Say whether a mask has a byte for each row, 0 or 1, and at least one row."""
    return len(mask) == rows and 1 in mask and not mask.translate(None, b"\x00\x01")
