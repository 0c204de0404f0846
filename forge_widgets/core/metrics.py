"""The metrics of a step: the nine of the contract, what is derived from them, and how numbers cross the wire.

Everything that becomes an event passes through here once, at the edge: names in camelCase, values as floats.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Iterable, Mapping, Sequence

from forge_widgets.errors import InvalidInput, InvalidSessionId

Metrics = dict[str, float]

DEFAULTS: Metrics = {
    "loss": 0.0,
    "perplexity": 0.0,
    "grokProgress": 0.0,
    "currentStep": 0.0,
    "totalSteps": 1000.0,
    "currentModel": 1.0,
    "totalModels": 3.0,
    "learningRate": 0.001,
    "accuracy": 0.0,
}
"""The nine metrics that every progress document holds, as they are before the first update."""

COUNTS = frozenset({"grokProgress", "currentStep", "totalSteps", "currentModel", "totalModels"})
"""Metrics that are whole numbers on the wire."""

COORDINATES = frozenset({"currentStep", "totalSteps", "currentModel", "totalModels"})
"""Metrics that say where a row stands; they are axes of a chart, never its curves."""

_OVERFLOWING = 700.0

MAX_PERPLEXITY = math.exp(_OVERFLOWING)
"""Where exp(loss) would overflow a double, perplexity stays here (exp(700), about 1e304)."""

MAX_NAME_LENGTH = 200

_SESSION_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_session_id(session_id: object) -> str:
    """Return the session id unchanged. Raises InvalidSessionId where the contract does not allow it."""
    if not isinstance(session_id, str) or not _SESSION_ID.fullmatch(session_id) or session_id in (".", ".."):
        raise InvalidSessionId(session_id)
    return session_id


_SNAKE_CASE = {re.sub(r"([A-Z])", lambda match: "_" + match.group(1).lower(), name): name for name in DEFAULTS}


def wire_name(name: str) -> str:
    """Turn a caller's metric name into its name on the wire.

    The contract's names are known in snake_case too (``learning_rate`` is ``learningRate``); a user's own name stays.
    Raises InvalidInput for an empty name, one over 200 characters, or one with control characters.
    """
    known = _SNAKE_CASE.get(name)
    if known is not None:
        return known
    if not name or len(name) > MAX_NAME_LENGTH or _CONTROL.search(name):
        raise InvalidInput(
            f"metric name {name[:80]!r} can't be used",
            where="metrics",
            expected=f"1 to {MAX_NAME_LENGTH} characters without control characters",
        )
    return name


def complete(update: Mapping[str, float], total_steps: float) -> Metrics:
    """Add what the contract derives where the caller gave none: ``perplexity`` and ``grokProgress``.

    ``total_steps`` is the total in force where the update names none. Perplexity is ``exp(loss)``, at least 1 and
    never overflowing; grokProgress is ``floor(100 · step / total_steps)``, from 0 to 100.
    """
    completed = dict(update)
    if "loss" in completed and "perplexity" not in completed:
        completed["perplexity"] = perplexity(completed["loss"])
    if "currentStep" in completed and "grokProgress" not in completed:
        completed["grokProgress"] = grok_progress(completed["currentStep"], completed.get("totalSteps", total_steps))
    return completed


def perplexity(loss: float) -> float:
    """Return exp(loss), at least 1, at most exp(700); NaN stays NaN."""
    if math.isnan(loss):
        return math.nan
    return max(1.0, math.exp(loss)) if loss < _OVERFLOWING else MAX_PERPLEXITY


def perplexities(losses: Sequence[float]) -> array[float]:
    """Return the perplexity of each of one or more losses."""
    # 1 µs for 25 instead of 7: nearly always none needs a look, and NaN is the same by either way.
    if min(losses) >= 0.0 and max(losses) < _OVERFLOWING:
        return array("d", map(math.exp, losses))
    return array("d", map(perplexity, losses))


def grok_progress(step: float, total_steps: float) -> float:
    """Return floor(100 · step / total_steps) within 0..100; 0 where that can't be said."""
    if not math.isfinite(step) or not math.isfinite(total_steps) or total_steps <= 0:
        return 0.0
    return float(math.floor(min(100.0, max(0.0, 100 * step / total_steps))))


def grok_progresses(steps: Sequence[float], total_steps: float) -> array[float]:
    """Return the grokProgress of each of one or more steps of one total."""
    # 3 µs for 25 instead of 9: nearly always all lie where nothing has to be looked at one by one.
    if 0.0 <= min(steps) <= max(steps) <= total_steps and 0.0 < 100 * (sum(steps) + total_steps) < math.inf:
        return array("d", [math.floor(100 * step / total_steps) for step in steps])
    return array("d", [grok_progress(step, total_steps) for step in steps])


def nonfinite_name(value: float) -> str:
    """Name a number that is not finite: ``NaN``, ``Infinity`` or ``-Infinity``."""
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def wire_value(name: str, value: float) -> int | float:
    """Return a finite metric as it is written: a count as an integer, any other as a float."""
    return int(value) if name in COUNTS and value.is_integer() else value


def split_nonfinite(metrics: Mapping[str, float]) -> tuple[dict[str, int | float | None], dict[str, str]]:
    """Split metrics into JSON-safe values (None where not finite) and the names of what was not finite."""
    values: dict[str, int | float | None] = {}
    nonfinite: dict[str, str] = {}
    for name, value in metrics.items():
        if math.isfinite(value):
            values[name] = wire_value(name, value)
        else:
            values[name] = None
            nonfinite[name] = nonfinite_name(value)
    return values, nonfinite


def pack_number(value: float) -> float | str:
    """Return a number as our own frames carry it: itself, or its name where it is not finite."""
    return value if math.isfinite(value) else nonfinite_name(value)


_UNPACKED = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def unpack_number(value: float | str) -> float:
    """Undo :func:`pack_number`."""
    return _UNPACKED[value] if isinstance(value, str) else float(value)


def curve_names(names: Iterable[str]) -> list[str]:
    """Return the names that are curves of a chart, sorted, ``loss`` first."""
    return sorted((name for name in names if name not in COORDINATES), key=lambda name: (name != "loss", name))
