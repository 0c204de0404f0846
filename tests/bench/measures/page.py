"""Our view in a real browser beside a page that polls: from the call to the text on the page, and bytes of a viewer."""

from __future__ import annotations

from collections.abc import Mapping

from tests.bench import latency, traffic
from tests.bench.harness import Role
from tests.bench.measure import Measure, Settings, row
from tests.bench.measured import Json, Spread
from tests.bench.stage import stage

SECONDS = 45.0

_VIEWS: Mapping[str, tuple[str, Role]] = {
    "websocket": ("our view, WebSocket", "ours"),
    "http": ("our view, WebSockets blocked", "aside"),
    "the contract's socket": ("any client on the contract's WebSocket", "aside"),
    "polling once a second": ("polling once a second", "peer"),
    "polling as fresh": ("polling at our freshness", "peer"),
}
_RATES = {"10": "10 steps/s", "1000": "1,000 steps/s"}


def take(_: Settings) -> Json:
    """Measure once, each stream for three quarters of a minute."""
    with stage() as set_up:
        delays = latency.measure(set_up, SECONDS)
        used = traffic.measure(set_up, SECONDS)
    rows = [
        row(f"from the call to the page, steps: {pattern}", _figures(views), unit="ms")
        for pattern, views in delays.items()
    ]
    for rate, views in used["steps a second"].items():
        kilobytes = {name: Spread.of([count / 1000.0], "KB").json() for name, count in views.items()}
        rows.append(row(f"a viewer-minute in a browser, {_RATES[rate]}", _figures(kilobytes), unit="KB"))
    return {"rows": rows}


def _figures(views: Json) -> Json:
    return {_VIEWS[view][0]: {"role": _VIEWS[view][1], **spread} for view, spread in views.items()}


MEASURE = Measure(
    name="page",
    title="In a browser, beside polling",
    words="The same in Chromium: our view as a cell has it, by WebSocket and where WebSockets are blocked, beside a page that "
    "asks `GET api/progress/ID`; all watch the same training at the same time. The moment is that at which the text of the "
    "page says this step or a later one. Bytes are counted by a proxy for each viewer, HTTP's headers and WebSocket's "
    'frames included. "At our freshness" is once a step at 10 steps a second, and 20 times a second at 1,000. Measured '
    "once, each stream for three quarters of a minute.",
    take=take,
)
