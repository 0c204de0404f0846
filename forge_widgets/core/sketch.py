"""A curve as a small SVG picture: axes, ticks, one line a model.

Pure, and given by the points alone: coordinates are whole pixels and the axes end on round numbers, so that the last
bit of a float moves nothing. Must never hold a script, a style sheet or a link. The static face calls it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

from msgspec import Struct

from forge_widgets.core.numbers import format_count, format_number
from forge_widgets.core.series import Point
from forge_widgets.core.thin import thin

WIDTH, HEIGHT = 640, 200
LEFT, RIGHT, TOP, BOTTOM = 60, 614, 28, 172

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#b8608f", "#000", "#3a8fc4", "#a87400")
"""After Okabe and Ito (2008, jfly.uni-koeln.de/color), dark enough for white paper: those of ui/style/forge.css."""

DASHES = ("", "6 3", "2 3", "8 3 2 3")
"""Each round through the palette is dashed differently, as in ui/src/components/palette.ts."""

MAX_PATH_CHARS = 4_800
"""All lines together; more lines leave fewer points to each."""

MAX_NAMED = 6
"""More models than this are named together."""

_LARGEST = 1e300
_TICKS = 4


class Curve(Struct, frozen=True):
    """One line of a sketch."""

    # Number of its model, from 1.
    model: int
    points: Sequence[Point]


class _Axis(Struct, frozen=True):
    """Where values lie between two pixels; ``log`` axes hold powers of ten."""

    low: float
    high: float
    ticks: tuple[float, ...]
    log: bool
    start: int
    stop: int

    def pixel(self, value: float) -> int:
        """Return the whole pixel of a value."""
        share = (_scaled(value, self.log) / 2 - self.low / 2) / (self.high / 2 - self.low / 2)
        return math.floor(self.start + min(1.0, max(0.0, share)) * (self.stop - self.start) + 0.5)


def sketch(metric: str, curves: Sequence[Curve], *, log_y: bool = False) -> str:
    """Draw the curves of a metric over the steps of their models. "" where there is no finite point to draw.

    What is not finite is left out, and with ``log_y`` what is not above zero.
    """
    found = [(curve.model, _drawable(curve.points, log_y)) for curve in curves]
    lines = [(model, points) for model, points in found if points]
    if not lines:
        return ""
    x_axis = _axis([step for _, points in lines for step, _ in points], LEFT, RIGHT, log=False)
    y_axis = _axis([value for _, points in lines for _, value in points], BOTTOM, TOP, log=log_y)
    drawn = [(model, [(x_axis.pixel(step), y_axis.pixel(value)) for step, value in points]) for model, points in lines]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}">',
        '<g font-family="system-ui,sans-serif" font-size="11" fill="#595959">',
        f'<rect x=".5" y=".5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="4" fill="#fff" stroke="#d4d4d4"/>',
        *_grid(x_axis, y_axis),
        _label(LEFT, 16, metric, ' font-weight="600" fill="#1f1f1f"'),
        *_legend([model for model, _ in drawn]),
        "</g>",
        '<g fill="none" stroke-width="1.5" stroke-linejoin="round" stroke-linecap="round">',
        *_paths(drawn),
        "</g></svg>",
    ]
    return "".join(parts)


def _scaled(value: float, log: bool) -> float:
    return math.log10(value) if log else min(_LARGEST, max(-_LARGEST, value))


def _drawable(points: Iterable[Point], log: bool) -> list[Point]:
    """Leave out what has no place on the axes: a series keeps no NaN anyway, so a gap would not be seen as one."""
    return [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y) and (y > 0 or not log)]


def _axis(values: Sequence[float], start: int, stop: int, *, log: bool) -> _Axis:
    """Choose an axis that begins and ends on a tick: 1, 2 or 5 times a power of ten apart."""
    low, high = (_scaled(bound, log) for bound in (min(values), max(values)))
    if high / 2 - low / 2 <= 1e-9 * max(abs(low), abs(high), 1e-290):
        # A flat line runs through the middle.
        margin = 1.0 if log else abs(low) / 2 or 1.0
        low, high = low - margin, high + margin
    apart = _round_distance((high / 2 - low / 2) / _TICKS * 2)
    if log:
        apart = max(1.0, apart)
    # A share of a tick is forgiven, so that 2.0000000001 does not end the axis at 4.
    first, last = math.floor(low / apart + 1e-6), math.ceil(high / apart - 1e-6)
    last = max(last, first + 1)
    ticks = tuple(count * apart for count in range(first, last + 1))
    return _Axis(ticks[0], ticks[-1], ticks, log, start, stop)


def _round_distance(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= least * (1 - 1e-9))


def _grid(x_axis: _Axis, y_axis: _Axis) -> list[str]:
    parts = ['<g stroke="#e8e8e8">']
    parts += [f'<path d="M{LEFT} {_tick_pixel(y_axis, tick)}H{RIGHT}"/>' for tick in y_axis.ticks]
    parts.append("</g>")
    for tick in y_axis.ticks:
        text = _power(tick) if y_axis.log else format_number(tick, 3)
        parts.append(_label(LEFT - 6, _tick_pixel(y_axis, tick) + 4, text, ' text-anchor="end"'))
    parts.append(_label(16, BOTTOM + 16, "step"))
    for tick in x_axis.ticks:
        text = format_count(tick) if abs(tick) < 1e6 and tick.is_integer() else format_number(tick, 3)
        parts.append(_label(_tick_pixel(x_axis, tick), BOTTOM + 16, text, ' text-anchor="middle"'))
    return parts


def _tick_pixel(axis: _Axis, tick: float) -> int:
    share = (tick / 2 - axis.low / 2) / (axis.high / 2 - axis.low / 2)
    return math.floor(axis.start + share * (axis.stop - axis.start) + 0.5)


def _power(exponent: float) -> str:
    return format_number(10.0**exponent) if -300 < exponent < 300 else f"1e{exponent:.0f}"


def _label(x: int, y: int, text: str, attributes: str = "") -> str:
    return f'<text x="{x}" y="{y}"{attributes}>{escape(text)}</text>'


def _legend(models: Sequence[int]) -> list[str]:
    if len(models) == 1:
        return []
    if len(models) > MAX_NAMED:
        text = f"{len(models)} models, {models[0]} to {models[-1]}"
        return [_label(RIGHT, 16, text, ' text-anchor="end"')]
    width = 84
    parts = []
    for place, model in enumerate(models):
        x = RIGHT - width * (len(models) - place) + 20
        parts.append(f'<path d="M{x - 18} 12h14" stroke-width="3"{_stroke(model)}/>')
        parts.append(_label(x, 16, f"model {model}"))
    return parts


def _stroke(model: int) -> str:
    dash = DASHES[(model - 1) // len(PALETTE) % len(DASHES)]
    return f' stroke="{PALETTE[(model - 1) % len(PALETTE)]}"' + (f' stroke-dasharray="{dash}"' if dash else "")


def _paths(drawn: Sequence[tuple[int, list[tuple[int, int]]]]) -> list[str]:
    """Write the lines with as many points as there is room for."""
    most = RIGHT - LEFT
    while True:
        paths = [f'<path d="{_path(thin(pixels, most))}"{_stroke(model)}/>' for model, pixels in drawn]
        if sum(map(len, paths)) <= MAX_PATH_CHARS or most <= 4:
            return paths
        most = max(4, most * 3 // 4)


def _path(pixels: Sequence[tuple[int, int]]) -> str:
    (x, y), *rest = pixels
    text = f"M{x} {y}l0 0"
    for next_x, next_y in rest:
        dx, dy = next_x - x, next_y - y
        if (dx, dy) != (0, 0):
            text += f" {dx} {dy}" if dy >= 0 else f" {dx}{dy}"
        x, y = next_x, next_y
    return text
