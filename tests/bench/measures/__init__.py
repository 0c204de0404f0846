"""The measures, one file each, in the order of the page's table."""

from __future__ import annotations

from tests.bench.measure import Measure
from tests.bench.measures import (
    broadcast,
    delay,
    disk,
    emit,
    importing,
    jupyter,
    memory,
    opening,
    page,
    rows,
    sessions,
    slowed,
    spread,
    traffic,
    viewers,
)

ALL: tuple[Measure, ...] = (
    emit.MEASURE,
    memory.MEASURE,
    slowed.MEASURE,
    delay.MEASURE,
    broadcast.MEASURE,
    spread.MEASURE,
    viewers.MEASURE,
    traffic.MEASURE,
    page.MEASURE,
    rows.MEASURE,
    disk.MEASURE,
    opening.MEASURE,
    jupyter.MEASURE,
    sessions.MEASURE,
    importing.MEASURE,
)
