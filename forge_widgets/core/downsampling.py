"""From the points of a log to as many as a picture has pixels for. Pure.

Stores gather points, block by block, and ``curves_of`` leaves what was asked for. numpy and tsdownsample are loaded with this
module, so it is imported where curves are asked for first, and never by a training.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from tsdownsample import MinMaxLTTBDownsampler

from forge_widgets.core.curves import LEAST_POINTS, Curve, SeriesQuery
from forge_widgets.core.events import Event, Record
from forge_widgets.core.metrics import curve_names
from forge_widgets.core.overview import ENDS, Overview
from forge_widgets.core.steps import StepBlock, block_of

Floats = NDArray[np.float64]


class Points(Struct, frozen=True):
    """Points of one line: finite values at the model's own steps, and how many rows they stand for."""

    steps: Floats
    values: Floats
    rows: int
    # Where in the log they were found, among whatever else is there.
    offsets: range
    # Rows of a bucket that two of them are the extremes of; 1: each is a row's.
    bucket: float = 1.0


Lines = dict[tuple[str, int], list[Points]]
"""What was gathered, in the order of the log, by metric and model (from 1)."""


def points_of(record: Record, query: SeriesQuery) -> Iterator[tuple[str, int, Points]]:
    """Yield the finite points of each metric and model of a record that are asked for; it is of the attempt that is meant."""
    if not isinstance(record.body, Event):
        yield from points_of_block(record.body, query, record.offset)
    elif record.body.event_type == "step_update":
        yield from points_of_block(block_of([(record.body.timestamp, record.body.metrics)]), query, record.offset)


def points_of_block(block: StepBlock, query: SeriesQuery, first: int = 1) -> Iterator[tuple[str, int, Points]]:
    """Yield the finite points of each metric and model of a block that are asked for; its first row has this offset."""
    steps = block.columns.get("currentStep")
    names = [name for name in curve_names(block.columns) if query.wants(name)]
    if steps is None or not names:
        return
    at, there = _column(steps.values), _present(steps.present, len(block))
    there &= np.isfinite(at) & _wanted(at, at, query)
    models = _models(block)
    for model in np.unique(models[there]).tolist():
        of_model = there & (models == model)
        for name in names:
            column = block.columns[name]
            values = _column(column.values)
            kept = of_model & _present(column.present, len(block)) & np.isfinite(values)
            rows = int(np.count_nonzero(kept))
            if rows:
                yield name, int(model), Points(at[kept], values[kept], rows, range(first, first + len(block)))


def gather(found: Iterable[tuple[str, int, Points]]) -> Lines:
    """Put the points of each line one behind the other."""
    lines: Lines = {}
    for metric, model, points in found:
        lines.setdefault((metric, model), []).append(points)
    return lines


def points_of_overview(
    overview: Overview, attempt: int, query: SeriesQuery, offsets: range
) -> Iterator[tuple[str, int, Points]]:
    """Yield the least and the greatest point of each bucket that is asked for, and both ends, by metric and model.

    How many values they stand for is counted where all buckets are asked for, else taken for the buckets' share of them.
    """
    for strand in overview:
        if strand.attempt != attempt:
            continue
        buckets = _wanted(_column(strand.low), _column(strand.high), query)
        rows = _column(strand.rows)
        bucket = float(rows.max())
        share = rows[buckets].sum() / rows.sum()
        for name, line in strand.lines.items():
            if query.wants(name):
                of_buckets, ends = _column(line[:-ENDS]).reshape(-1, 2, 2), _column(line[-ENDS:-1]).reshape(2, 2)
                points = np.concatenate([ends[:1], of_buckets[buckets].reshape(-1, 2), ends[1:]])
                told = np.isfinite(points[:, 1]) & _wanted(points[:, 0], points[:, 0], query)
                points = points[told]
                # Two ends of a bucket may be one point, and so may an end of the whole.
                told = np.append(True, (points[1:] != points[:-1]).any(axis=1))[: len(points)]
                points = points[told]
                if len(points):
                    stood_for = max(len(points), round(line[-1] * share))
                    yield name, strand.model, Points(points[:, 0], points[:, 1], stood_for, offsets, bucket)


def _wanted(low: Floats, high: Floats, query: SeriesQuery) -> NDArray[np.bool_]:
    """Say which spans of steps lie in what is asked for, at least in part."""
    wanted = np.ones(len(low), dtype=np.bool_)
    if query.from_step is not None:
        wanted &= high >= query.from_step
    if query.to_step is not None:
        wanted &= low <= query.to_step
    return wanted


def curves_of(lines: Mapping[tuple[str, int], Sequence[Points]], query: SeriesQuery) -> list[Curve]:
    """Leave as many points as were asked for: those that show most of the shape (MinMaxLTTB).

    Van der Donckt et al., "MinMaxLTTB: Leveraging MinMax-Preselection to Scale LTTB", 2023.
    """
    curves = []
    for metric in curve_names({metric for metric, _ in lines}):
        of_metric = {model: lines[name, model] for name, model in sorted(lines) if name == metric}
        rows = {model: sum(part.rows for part in parts) for model, parts in of_metric.items()}
        for model, parts in of_metric.items():
            share = max(LEAST_POINTS, query.max_points * rows[model] // max(1, sum(rows.values())))
            steps, values = _downsampled(_evened(parts, share), share)
            curves.append(Curve(metric, model, steps.tolist(), values.tolist(), rows[model]))
    return curves


def extremes_of(lines: Mapping[tuple[str, int], Sequence[Points]], most: int) -> list[Curve]:
    """Leave the least and the greatest point of at most so many buckets a line: no extreme is lost, as core.series keeps them.

    And the newest point, where it is none of these.
    """
    curves = []
    for (metric, model), parts in lines.items():
        points = _evened(parts, 2 * most)
        steps, values = points.steps, points.values
        kept = _extremes(values, math.ceil(len(values) / most))
        curves.append(Curve(metric, model, steps[kept].tolist(), values[kept].tolist(), points.rows))
    return curves


def _downsampled(points: Points, most: int) -> tuple[Floats, Floats]:
    """Leave at most so many points, the first and the last among them. Bins hold equally many, since steps may go back."""
    if len(points.steps) <= most:
        return points.steps, points.values
    kept = MinMaxLTTBDownsampler().downsample(np.ascontiguousarray(points.values), n_out=most)
    return points.steps[kept], points.values[kept]


def _evened(parts: Sequence[Points], most: int) -> Points:
    """Join the parts of a line that more than so many points are to be left of, each in about as many points a row as the others.

    Who chooses among them counts points, not rows: the last 10,000 of 40,000 rows, which no overview had yet, got 94 of 100.
    """
    runs = [_joined(list(run)) for _, run in groupby(parts, key=lambda part: part.bucket)]
    if len(runs) > 1 and sum(len(run.steps) for run in runs) > most:
        # In points an offset: no fewer than in twice as many as are to be left, since some parts may have few.
        spans = [len(run.offsets) for run in runs]
        wanted = max(2 * most / sum(spans), min(len(run.steps) / span for run, span in zip(runs, spans, strict=True)))
        runs = [_thinned(run, wanted) for run in runs]
    return _joined(runs)


def _thinned(points: Points, wanted: float) -> Points:
    """Leave about so many points for each offset, both ends and all extremes among them."""
    kept = np.union1d(0, _extremes(points.values, int(2 * len(points.steps) / (wanted * len(points.offsets)))))
    return Points(points.steps[kept], points.values[kept], points.rows, points.offsets, points.bucket)


def _extremes(values: Floats, size: int) -> NDArray[np.intp]:
    """Return where the least and the greatest of each so many values are, in order, and the last one; two or one are themselves."""
    if size <= 2:
        return np.arange(len(values))
    padded = np.append(values, np.full(-len(values) % size, np.nan)).reshape(-1, size)
    ends = np.sort(np.stack([np.nanargmin(padded, axis=1), np.nanargmax(padded, axis=1)], axis=1))
    kept = (ends + size * np.arange(len(padded))[:, None]).ravel()
    return kept if kept[-1] + 1 == len(values) else np.append(kept, len(values) - 1)


def _joined(parts: Sequence[Points]) -> Points:
    if len(parts) == 1:
        return parts[0]
    return Points(
        np.concatenate([part.steps for part in parts]),
        np.concatenate([part.values for part in parts]),
        sum(part.rows for part in parts),
        range(parts[0].offsets.start, parts[-1].offsets.stop),
        parts[0].bucket,
    )


def _column(values: Sequence[float]) -> Floats:
    return np.asarray(values, dtype=np.float64)


def _present(mask: bytes | None, rows: int) -> NDArray[np.bool_]:
    return np.ones(rows, dtype=np.bool_) if mask is None else np.frombuffer(mask, dtype=np.uint8) != 0


def _models(block: StepBlock) -> Floats:
    """Return each row's model, 1 where it names none that can be."""
    column = block.columns.get("currentModel")
    if column is None:
        return np.ones(len(block))
    models = _column(column.values)
    known = _present(column.present, len(block)) & (models >= 1) & (models <= 1e9)
    return np.where(known, np.trunc(models), 1.0)
