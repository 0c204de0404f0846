"""From what was measured to the tables of docs/PERFORMANCE.md: the words there are written by hand, the tables only here."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from tests.bench.measured import Json

DOCS = Path(__file__).parents[2] / "docs"
RESULTS = DOCS / "performance.json"
PAGE = DOCS / "PERFORMANCE.md"

_VIEWS = {
    "websocket": "our view, WebSocket",
    "http": "our view, WebSockets blocked",
    "the contract's socket": "any client on the contract's WebSocket",
    "polling once a second": "polling once a second",
    "polling as fresh": "polling at our freshness",
}
_RECORDERS = {"hooks": "our hooks", "polled": "a server in the training, polled once a second"}
_LOOPS = {"numpy": "NumPy", "python": "pure Python"}


def write(found: Json) -> None:
    """Write the results as JSON, and the tables into the page."""
    RESULTS.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    PAGE.write_text(filled(PAGE.read_text("utf-8"), found), "utf-8")


def filled(page: str, found: Json) -> str:
    """Return the page with each table between its marks made anew."""
    for name, table in tables(found).items():
        between = re.compile(rf"(<!-- {name} -->\n)(?:.*?\n)??(<!-- end -->)", re.DOTALL)
        page, places = between.subn(rf"\g<1>{table}\n\g<2>", page)
        assert places == 1, f"docs/PERFORMANCE.md has {places} places for the table {name}"
    return page


def tables(found: Json) -> dict[str, str]:
    """Make every table, by the name of its place."""
    return {
        "machine": _machine(found),
        "latency": _latency(found["latency"]),
        "traffic": _traffic(found["traffic"]["steps a second"]),
        "cost": _cost(found["cost"]),
    }


def _machine(found: Json) -> str:
    on = found["machine"]
    return (
        f"Measured on {found['at']}: {on['cores']} cores of {on['processor']}, {on['system']}, Python {on['python']}; "
        f"load at the start {on['load']}; each stream watched for {found['seconds']:g} s."
    )


def _latency(found: Json) -> str:
    rows = [
        (
            _VIEWS[view],
            pattern,
            *(f"{spread[part]:,.0f} ms" for part in ("median", "p95", "p99", "most")),
            spread["samples"],
        )
        for pattern, views in found.items()
        for view, spread in views.items()
    ]
    return _table(("page", "steps", "median", "95th", "99th", "most", "samples"), rows)


def _traffic(found: Json) -> str:
    rows = []
    for rate, views in found.items():
        fresh = views["polling as fresh"]
        for view, used in views.items():
            rows.append((_VIEWS[view], f"{int(rate):,}", f"{used / 1000:,.1f} KB", f"{100 * (1 - used / fresh):.1f} %"))
    return _table(("viewer", "steps a second", "a minute", "less than polling at our freshness"), rows)


def _cost(found: Json) -> str:
    rows = []
    for kind, words in _LOOPS.items():
        bare = found[kind]["milliseconds a step"]["median"]
        for recorder, said in _RECORDERS.items():
            slower, core = found[kind][recorder]["slower"], found[kind][recorder]["more of a core"]
            spread = f"{slower['least']:+.1f} to {slower['most']:+.1f} %"
            start = f"{found[kind]['milliseconds to start']['median']:.0f} ms" if recorder == "hooks" else ""
            middle = (f"{slower['median']:+.1f} %", spread, f"{core['median']:+.1f} %")
            rows.append((words, f"{bare:.2f} ms", said, *middle, start))
    head = ("loop", "a step", "recorded by", "slower (median)", "least and most", "more of a core (median)", "start")
    return _table(head, rows)


def _table(head: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
