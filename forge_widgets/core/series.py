"""Curves of bounded size: what a chart shows of a run of any length.

A line keeps the least and the greatest point of each bucket of rows; when it is full, neighbouring buckets merge, so
memory is bounded and every extreme is still there. Readers add blocks; key frames and static faces take the points.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from forge_widgets.core.metrics import curve_names
from forge_widgets.core.steps import Column, StepBlock

MAX_BUCKETS = 400
MAX_LINES = 120

Point = tuple[float, float]
"""A step of its model, and the value of a metric there."""


class Line:
    """One metric of one model: at most 2 · MAX_BUCKETS points, and the newest."""

    __slots__ = ("_buckets", "_filled", "_last", "_stride")

    def __init__(self) -> None:
        # Least and greatest point of each bucket, in the order of their coming.
        self._buckets: list[tuple[Point, Point]] = []
        # Rows that a bucket holds, and how many the newest one holds by now.
        self._stride = 1
        self._filled = 0
        self._last: Point | None = None

    def add(self, step: float, value: float) -> None:
        """Take one more point. NaN is kept only as the newest: it has no place among least and greatest."""
        point = (step, value)
        self._last = point
        if value != value:
            return
        if self._buckets and self._filled < self._stride:
            self._buckets[-1] = _merged(self._buckets[-1], (point, point))
            self._filled += 1
            return
        if len(self._buckets) == MAX_BUCKETS:
            pairs = zip(self._buckets[::2], self._buckets[1::2], strict=True)
            self._buckets = [_merged(first, second) for first, second in pairs]
            self._stride *= 2
        self._buckets.append((point, point))
        self._filled = 1

    def extend(self, steps: Sequence[float], values: Sequence[float]) -> None:
        """Take points as ``add`` does one after the other, but a bucket at a time: logs have millions."""
        start = 0
        while start < len(values):
            room = self._stride - self._filled if self._buckets else 0
            part = values[start : start + room]
            # A sum that is no number tells of a NaN among them (or of infinities of both signs).
            if len(part) < 2 or math.isnan(sum(part)):
                for index in range(start, start + max(1, len(part))):
                    self.add(steps[index], values[index])
                start += max(1, len(part))
                continue
            ends = sorted({start + part.index(min(part)), start + part.index(max(part))})
            first, second = ((steps[index], values[index]) for index in (ends[0], ends[-1]))
            self._buckets[-1] = _merged(self._buckets[-1], (first, second))
            self._filled += len(part)
            start += len(part)
            self._last = (steps[start - 1], values[start - 1])

    def load(self, points: Sequence[Point], rows: int) -> None:
        """Begin with the extremes of buckets, which stand for so many rows; two points are a bucket, as ``points`` gives them."""
        # A newest point behind full buckets lies in the last of them; a bucket more would never merge again.
        ends = points[: 2 * MAX_BUCKETS]
        self._buckets = [(ends[at], ends[min(at + 1, len(ends) - 1)]) for at in range(0, len(ends), 2)]
        self._stride = self._filled = max(1, -(-rows // max(1, len(self._buckets))))
        self._last = points[-1] if points else None

    def points(self) -> list[Point]:
        """Return what is kept, in order, each point once, the newest last."""
        kept: list[Point] = []
        for first, second in self._buckets:
            for point in (first, second):
                if not kept or kept[-1] != point:
                    kept.append(point)
        if self._last is not None and (not kept or kept[-1] != self._last):
            kept.append(self._last)
        return kept


def _merged(earlier: tuple[Point, Point], later: tuple[Point, Point]) -> tuple[Point, Point]:
    """Return the least and the greatest of two buckets in the order of their coming."""
    points = (*earlier, *later)
    least = min(range(4), key=lambda index: points[index][1])
    greatest = max(range(4), key=lambda index: points[index][1])
    return points[min(least, greatest)], points[max(least, greatest)]


class Series:
    """The curves of one attempt: a line for each metric and model, at most MAX_LINES."""

    __slots__ = ("_lines", "dropped")

    def __init__(self) -> None:
        self._lines: dict[tuple[str, int], Line] = {}
        # Lines beyond MAX_LINES that are not kept; the log has them.
        self.dropped: set[tuple[str, int]] = set()

    def load(self, metric: str, model: int, points: Sequence[Point], rows: int) -> None:
        """Begin a line with the extremes of its rows so far."""
        line = self._line(metric, model)
        if line is not None:
            line.load(points, rows)

    def add_row(self, metrics: dict[str, float]) -> None:
        """Take one row; a row without ``currentStep`` has no place on the axis and is passed over."""
        step = metrics.get("currentStep")
        if step is None:
            return
        model = _model_number(metrics.get("currentModel", 1.0))
        for name in curve_names(metrics):
            line = self._line(name, model)
            if line is not None:
                line.add(step, metrics[name])

    def add_block(self, block: StepBlock) -> None:
        """Take the rows of a block: the same as each row by itself, a column and a model at a time."""
        steps = block.columns.get("currentStep")
        if steps is None:
            return
        if steps.present is not None:
            for _, metrics in block.rows():
                self.add_row(metrics)
            return
        names = curve_names(block.columns)
        for model, start, stop in model_runs(block):
            columns = [(name, block.columns[name].slice(start, stop)) for name in names]
            # Lines come into being in the order of the rows, however rows were cut into blocks: some may find no room.
            for name, column in sorted(columns, key=lambda named: _first(named[1])):
                self._add_column(name, model, steps.values[start:stop], column)

    def _add_column(self, name: str, model: int, steps: Sequence[float], column: Column) -> None:
        line = self._line(name, model) if column.last() >= 0 else None
        if line is None:
            return
        if column.present is None:
            line.extend(steps, column.values)
            return
        for index, present in enumerate(column.present):
            if present:
                line.add(steps[index], column.values[index])

    def lines(self) -> Iterator[tuple[str, int, list[Point]]]:
        """Yield each line as metric, model (from 1) and points: ``loss`` first, models in order."""
        for name in curve_names({name for name, _ in self._lines}):
            for model in sorted(model for metric, model in self._lines if metric == name):
                yield name, model, self._lines[name, model].points()

    def _line(self, name: str, model: int) -> Line | None:
        line = self._lines.get((name, model))
        if line is None:
            if len(self._lines) >= MAX_LINES:
                self.dropped.add((name, model))
                return None
            line = self._lines[name, model] = Line()
        return line


def _model_number(value: float) -> int:
    return int(value) if 1 <= value <= 1e9 else 1


def _first(column: Column) -> int:
    """Return the first row that has the metric."""
    return 0 if column.present is None else column.present.find(b"\x01")


def model_runs(block: StepBlock) -> list[tuple[int, int, int]]:
    """Return the runs of rows of one model: its number (1 where a row names none), the first row, and the one after the last."""
    column = block.columns.get("currentModel")
    if column is None:
        return [(1, 0, len(block))]
    models = column.values
    if column.present is not None:
        models = [model if there else 1.0 for model, there in zip(models, column.present, strict=True)]
    elif min(models) == max(models) and not math.isnan(sum(models)):
        # As nearly always.
        return [(_model_number(models[0]), 0, len(models))]
    runs = []
    start = 0
    while start < len(models):
        stop = start + 1
        while stop < len(models) and models[stop] == models[start]:
            stop += 1
        runs.append((_model_number(models[start]), start, stop))
        start = stop
    return runs
