"""The measures, one file each, in the order of the page's table."""

from __future__ import annotations

from tests.bench.measure import Measure
from tests.bench.measures import disk, emit, importing, memory, opening, rows, slowed

ALL: tuple[Measure, ...] = (
    emit.MEASURE,
    memory.MEASURE,
    slowed.MEASURE,
    rows.MEASURE,
    disk.MEASURE,
    opening.MEASURE,
    importing.MEASURE,
)
