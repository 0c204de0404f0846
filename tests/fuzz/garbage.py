"""What is thrown at readers: arbitrary JSON and bytes, and right ones of which a little was changed.

``make test`` tries a little and always the same, FORGE_FAULTS=long a lot and each time something else; hypothesis prints
what failed in its smallest form.
"""

from __future__ import annotations

import json
import math
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from forge_widgets.core.events import Event
from forge_widgets.core.steps import StepBlock, block_of

IS_LONG = os.environ.get("FORGE_FAULTS") == "long"

# What has broken readers of JSON elsewhere; joined by what hypothesis thinks of.
NASTY_NUMBERS = st.sampled_from(
    [
        0,
        -0.0,
        1,
        -1,
        2**31,
        2**53,
        2**53 + 1,
        2**63,
        2**64,
        10**30,
        10**400,
        1.7e308,
        5e-324,
        math.nan,
        math.inf,
        -math.inf,
    ]
)
NASTY_TEXTS = st.sampled_from(
    [
        "",
        "__proto__",
        "constructor",
        "loss",
        "\u202e\u2066x",
        "\x00",
        "\ud800",
        "NaN",
        "Infinity",
        "..",
        "%2e",
        "\u2028",
    ]
)
TEXTS = NASTY_TEXTS | st.text(st.characters(), max_size=30)
SCALARS = st.none() | st.booleans() | NASTY_NUMBERS | st.integers() | st.floats() | TEXTS
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=12
)

PATIENT = pytest.mark.timeout(1_800 if IS_LONG else 120)


def fuzzed(short: int, long: int | None = None) -> settings:
    """Return how much is tried: so many examples, or (FORGE_FAULTS=long) fifty times as many."""
    return settings(
        max_examples=(long or 50 * short) if IS_LONG else short,
        derandomize=not IS_LONG,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )


@st.composite
def mutated(draw: st.DrawFn, whole: bytes) -> bytes:
    """Change a few bytes: overwritten, cut out, doubled or put in."""
    changed = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(changed)))
        count = draw(st.sampled_from([1, 1, 1, 2, 4, 16, 200]))
        match draw(st.sampled_from(["over", "over", "cut", "double", "in", "end"])):
            case "over":
                changed[start : start + count] = draw(st.binary(min_size=count, max_size=count))[: len(changed) - start]
            case "cut":
                del changed[start : start + count]
            case "double":
                changed[start:start] = changed[start : start + count]
            case "in":
                changed[start:start] = draw(st.binary(min_size=1, max_size=8))
            case _:
                del changed[start:]
    return bytes(changed)


@st.composite
def bent(draw: st.DrawFn, whole: Any) -> Any:
    """Change a JSON document in a few places: a value becomes anything, a field goes, comes or is renamed."""
    document = json.loads(json.dumps(whole))
    for _ in range(draw(st.integers(1, 3))):
        parent, key = _place(draw, document)
        if parent is None:
            return draw(JSON)
        match draw(st.sampled_from(["value", "value", "gone", "renamed", "more"])):
            case "value":
                parent[key] = draw(JSON)
            case "gone":
                del parent[key]
            case "renamed" if isinstance(parent, dict):
                parent[draw(TEXTS)] = parent.pop(key)
            case _:
                if isinstance(parent, dict):
                    parent[draw(TEXTS)] = draw(JSON)
                else:
                    parent.append(draw(JSON))
    return document


def _place(draw: st.DrawFn, document: Any) -> tuple[Any, Any]:
    parent, key, inner = None, None, document
    while isinstance(inner, (dict, list)) and inner:
        parent, key = inner, draw(st.sampled_from(list(inner) if isinstance(inner, dict) else range(len(inner))))
        inner = parent[key]
        if draw(st.booleans()):
            break
    return parent, key


def written(document: Any) -> bytes:
    """Write as JSON as Python does: with bare NaN, huge numbers and lone surrogates."""
    return json.dumps(document).encode()


def strict(encoded: bytes | str) -> Any:
    """Parse as a browser does: NaN and Infinity are no JSON, and neither is a number beyond doubles."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} reached JSON")

    return json.loads(encoded, parse_constant=refuse)


def event(event_type: Any, at: float = 1_800_000_000.0, **fields: Any) -> Event:
    """Make an event."""
    return Event(event_type=event_type, timestamp=at, **fields)


def rows(start: int, stop: int, **more: float) -> StepBlock:
    """Make a block of step rows: steps from start up to stop, loss 1/(1+step)."""
    return block_of(
        (1_800_000_000.0 + step, {"currentStep": float(step), "loss": 1.0 / (1 + step), **more})
        for step in range(start, stop)
    )
