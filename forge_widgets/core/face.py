"""The static faces of a session: one line of text, and the dashboard without controls as HTML, its curve a picture.

Pure functions of recorded values, rounded: no clock, pace, duration, attempt, producer or store in them, so that the
same training gives the same bytes. Users' names and messages are text, never markup. Widgets put them into an output.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from forge_widgets.core.metrics import COORDINATES, curve_names
from forge_widgets.core.numbers import format_count, format_number, format_percent
from forge_widgets.core.series import Series
from forge_widgets.core.sketch import HEIGHT, WIDTH, Curve, sketch
from forge_widgets.core.state import Model, State

SESSION_MIME_TYPE = "application/vnd.forge-widgets.session.v1+json"
"""The face that the lab extension renders from the server: ids, and which view of the session is meant."""

MAX_METRICS = 8
MAX_PHASES = 6
MAX_MODELS = 12
MAX_NAME_CHARS = 32
MAX_ERROR_CHARS = 160

DIGITS = 3
"""Significant digits: what survives the last bits in which two machines differ."""

_BAR = 32
_MARKS = {"waiting": "○", "running": "●", "paused": "‖", "completed": "✓", "error": "✗"}
_TILES = ("loss", "perplexity", "accuracy", "grokProgress", "learningRate")
_LABELS = {"grokProgress": "grok progress", "learningRate": "learning rate"}
_BEST = {"loss": min, "perplexity": min, "accuracy": max}
# Controls, and what turns the direction of the text around it or hides in it.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


def text_face(session_id: str, state: State, metric: str = "loss") -> str:
    """Write a session as one line: its status, where it stands, the newest value of one metric, and an error."""
    if state.status == "waiting" and not state.rows:
        return f"{session_id}: waiting · nothing recorded yet"
    parts = [_status(state), *_position(state)]
    if metric in state.metrics:
        parts.append(f"{_name(metric)} {_value(metric, state.value(metric))}")
    return f"{session_id}: " + " · ".join([*parts, *_error(state)])


def html_face(session_id: str, state: State, series: Series, metric: str = "loss", *, log_y: bool = False) -> str:
    """Write a session as a table and a picture of one metric's curves: under 15,000 bytes, readable without style."""
    if state.status == "waiting" and not state.rows:
        return f"<div><p>○ waiting · <b>{escape(session_id)}</b></p><p>Nothing recorded yet.</p></div>"
    lines: dict[str, list[Curve]] = {}
    for name, model, points in series.lines():
        lines.setdefault(name, []).append(Curve(model, points))
    title = " · ".join([f"{_MARKS[state.status]} {_status(state)}", f"<b>{escape(session_id)}</b>", *_position(state)])
    below = [escape(line) for line in (*_error(state), *_bar(state), *_stages(state))]
    parts = [
        f"<p>{'<br>'.join([title, *below])}</p>",
        _table(state, lines),
        _picture(metric, lines.get(metric, []), log_y=log_y),
        f"<p><small>{_recorded(state)}</small></p>",
    ]
    return f"<div>{''.join(parts)}</div>"


def _status(state: State) -> str:
    return f"{state.status}, connection to the training lost" if state.lost else state.status


def _position(state: State) -> list[str]:
    """Say which model and step, as far as anything of them was recorded."""
    known = state.metrics
    parts = []
    if "totalModels" in known and state.value("totalModels") != 1:
        parts.append(f"model {format_count(state.value('currentModel'))} of {format_count(state.value('totalModels'))}")
    elif "currentModel" in known and state.value("currentModel") != 1:
        parts.append(f"model {format_count(state.value('currentModel'))}")
    if "currentStep" in known or "totalSteps" in known:
        total = f" of {format_count(state.value('totalSteps'))}" if "totalSteps" in known else ""
        parts.append(f"step {format_count(state.value('currentStep'))}{total}")
    return parts


def _bar(state: State) -> list[str]:
    if "totalSteps" not in state.metrics:
        return []
    total = state.value("totalSteps")
    models = max(1.0, state.value("totalModels")) if "totalModels" in state.metrics else 1.0
    before = state.value("currentModel") - 1 if models > 1 else 0.0
    if not total * models > 0:
        return []
    share = min(1.0, max(0.0, (before * total + state.value("currentStep")) / (total * models)))
    filled = int(share * _BAR)
    return [f"{'━' * filled}{'─' * (_BAR - filled)} {format_percent(share)}"]


def _stages(state: State) -> Iterator[str]:
    """Name the phases and the models with their losses, the newest of each, and the models that are to come."""
    if state.phases:
        yield " │ ".join(_newest([f"{_name(phase.name)} ✓" for phase in state.phases], MAX_PHASES))
    total = state.value("totalModels") if "totalModels" in state.metrics else 0.0
    if len(state.models) < 2 and not total > 1:
        return
    stages = _newest([_stage(model) for model in state.models], MAX_MODELS)
    if total <= MAX_MODELS:
        known = {model.number for model in state.models}
        stages += [f"model {number} ·" for number in range(1, int(total) + 1) if number not in known]
    yield " │ ".join(stages)


def _stage(model: Model) -> str:
    loss = "" if model.loss is None else f" {format_number(model.loss, DIGITS)}"
    return f"model {model.number} {'✓' if model.completed else '▸'}{loss}"


def _newest(items: Sequence[str], most: int) -> list[str]:
    return list(items) if len(items) <= most else [f"{len(items) - most} earlier", *items[-most:]]


def _table(state: State, lines: Mapping[str, Sequence[Curve]]) -> str:
    """Lay out the tiles: a column a metric, its newest value and, where the better is known, the best."""
    own = [name for name in curve_names(state.metrics) if name not in _TILES]
    names = [name for name in (*_TILES, *own) if name in state.metrics and name not in COORDINATES]
    shown = names[:MAX_METRICS]
    if not shown:
        return ""
    best = {name: _best(name, lines.get(name, ())) for name in shown}
    rows = [
        _row("th", ["", *(escape(_name(name)) for name in shown)]),
        _row("td", ["now", *(_value(name, state.value(name)) for name in shown)]),
    ]
    if any(best.values()):
        rows.append(_row("td", ["best", *(best[name] for name in shown)]))
    more = len(names) - len(shown)
    note = f"<p>and {format_count(more)} more metrics</p>" if more else ""
    return f"<table>{''.join(rows)}</table>{note}"


def _row(cell: str, texts: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{cell}>{text}</{cell}>" for text in texts) + "</tr>"


def _best(name: str, curves: Sequence[Curve]) -> str:
    values = [value for curve in curves for _, value in curve.points if value == value]
    return _value(name, _BEST[name](values)) if values and name in _BEST else ""


def _picture(metric: str, curves: Sequence[Curve], *, log_y: bool) -> str:
    svg = sketch(_name(metric), curves, log_y=log_y)
    if not svg:
        return f"<p>No curve of {escape(_name(metric))} yet.</p>"
    models = f"of model {curves[0].model}" if len(curves) == 1 else f"of {len(curves)} models"
    newest = ", ".join(_value(metric, curve.points[-1][1]) for curve in curves[-MAX_MODELS:])
    alt = f"{_name(metric)} {models} over their steps{', logarithmic' if log_y else ''}; newest {newest}"
    data = base64.b64encode(svg.encode()).decode()
    # GitHub and the lab take a picture by data URL where they take no inline SVG.
    return f'<img src="data:image/svg+xml;base64,{data}" alt="{escape(alt)}" width="{WIDTH}" height="{HEIGHT}">'


def _recorded(state: State) -> str:
    text = f"{format_count(state.rows)} {'step' if state.rows == 1 else 'steps'} recorded"
    return f"{text}, {format_count(state.thinned)} more dropped at full speed" if state.thinned else text


def _error(state: State) -> list[str]:
    first = state.error.strip().partition("\n")[0]
    return [_plain(first, MAX_ERROR_CHARS)] if first else []


def _name(name: str) -> str:
    return _LABELS.get(name) or _plain(name, MAX_NAME_CHARS)


def _value(name: str, value: float) -> str:
    if name == "grokProgress":
        return format_percent(value / 100)
    return format_number(value, DIGITS)


def _plain(text: str, most: int) -> str:
    """Shorten a user's text to one line in which nothing is hidden."""
    shown = _UNSEEN.sub("\ufffd", text)
    return shown if len(shown) <= most else shown[: most - 1] + "…"
