"""What a viewer costs in bytes."""

from __future__ import annotations

from collections.abc import Sequence

from tests.bench.harness import Contestant, Outcomes, Role, figures, rounds, script
from tests.bench.measure import Goal, Measure, Settings, row
from tests.bench.measured import Json, Spread

SECONDS, QUICK_SECONDS = 15.0, 6.0

Encoding = tuple[str, Role, str, int]
"""Name, role, file in streams/encodings.py, messages a second."""

Live = tuple[str, Role, str]
"""Name, role, view (streams/views.py)."""

SLOW_ENCODINGS: tuple[Encoding, ...] = (
    ("single-precision columns, deflated", "floor", "columns", 10),
    ("JSON a step", "peer", "json", 10),
    ("ipywidgets' comm", "peer", "comm", 10),
)
SLOW: tuple[Live, ...] = (
    ("polling ten times a second", "peer", "polling 0.1"),
    ("polling once a second", "aside", "polling 1"),
    ("any client on the contract's WebSocket", "aside", "contract"),
    ("forge_widgets, frames as text", "aside", "text"),
    ("forge_widgets", "ours", "outline"),
)
LIVE_ENCODINGS: tuple[Encoding, ...] = (
    ("least and greatest, ten times a second", "floor", "envelope", 10),
    ("JSON a step", "peer", "json", 20),
    ("ipywidgets' comm", "peer", "comm", 20),
)
LIVE: tuple[Live, ...] = (
    ("polling 20 times a second", "peer", "polling 0.05"),
    ("any client on the contract's WebSocket", "aside", "contract"),
    ("forge_widgets", "ours", "outline"),
)
ALL_ENCODINGS: tuple[Encoding, ...] = (
    ("single-precision columns, deflated", "floor", "columns", 20),
    ("JSON a step", "peer", "json", 20),
    ("ipywidgets' comm", "peer", "comm", 20),
)
ALL_ROWS: tuple[Live, ...] = (("forge_widgets", "ours", "rows"),)


def take(settings: Settings) -> Json:
    """Measure ten and a thousand steps a second."""
    seconds, runs = (QUICK_SECONDS, 1) if settings.quick else (SECONDS, settings.runs)
    slow = _watched(10, seconds, SLOW, runs)
    fast = _watched(1_000, seconds, (*LIVE, *ALL_ROWS), runs)
    words = "a viewer-minute at {} steps/s, {}"
    every, live = "every point kept", "the live view"
    return {
        "rows": [
            _row(words.format("10", every), _encoded(10, SLOW_ENCODINGS), slow, SLOW, 20.0),
            _row(words.format("1,000", live), _encoded(1_000, LIVE_ENCODINGS), fast, LIVE, 30.0),
            _row(words.format("1,000", every), _encoded(1_000, ALL_ENCODINGS), fast, ALL_ROWS, 1_400.0),
        ]
    }


def _encoded(rate: int, encodings: Sequence[Encoding]) -> Json:
    everybody = [
        Contestant(name, role, script("encoded_bytes", encoding, rate, per_s))
        for name, role, encoding, per_s in encodings
    ]
    # The same steps make the same bytes: once is enough.
    return figures(rounds(everybody, 1), "KB", lambda run: float(run["bytes"]) / 1000.0)


def _watched(rate: int, seconds: float, views: Sequence[Live], runs: int) -> Outcomes:
    wanted = [view for _, _, view in views]
    return rounds([Contestant("all", "ours", script("stream_bytes", rate, seconds, *wanted))], runs)


def _row(words: str, encoded: Json, outcomes: Outcomes, views: Sequence[Live], goal: float) -> Json:
    together = outcomes["all"]
    live = {
        name: {"role": role}
        | (
            {"failed": together.failed}
            if together.failed
            else Spread.of([run[view] / 1000.0 for run in together.runs], "KB").json()
        )
        for name, role, view in views
    }
    return row(words, encoded | live, [Goal("≤", goal)], unit="KB")


MEASURE = Measure(
    name="traffic",
    title="Bytes of a viewer",
    words="All views watch the same training of three metrics, and what is derived of them, at the same time. Counted is both "
    "ways, WebSocket frames with their heads or HTTP's requests (with the headers that Chromium sends) and answers, from "
    "the moment at which a viewer follows. The floor and two peers are what they would send of the same steps: columns in "
    "single precision, deflated in one stream, a message for each of our frames; beyond 50 steps a second the least and the "
    "greatest value of each metric, ten times a second; each step as JSON with the contract's names; each step as the "
    "update of a widget's state, as Jupyter's kernel socket carries it. Ours asks as our pages do; every point of 1,000 "
    "steps a second has to be asked for.",
    take=take,
    cheap=True,
)
