"""What viewers take of the server's memory while nothing happens."""

from __future__ import annotations

from collections.abc import Sequence

from tests.bench.harness import Contestant, figures, rounds
from tests.bench.measure import Goal, Measure, Settings, growth, row
from tests.bench.measured import Json
from tests.bench.measures import watching as by

VIEWERS, MESSAGES = 1_000, 4
GROWTH = (100, 1_000, 2_000, 4_900)

# A socket object alone is hardly more than what can be told from nothing: the floor is a server of the standard library.
_BARE, _FLOOR = by.BARE._replace(role="aside"), by.PROTOCOLS._replace(role="floor")
# It compresses once for all, so that there is but one way.
_OURS = by.IN_BRIEF._replace(name=by.OURS.name, role="ours")
_PEERS = (by.PICOWS, by.WEBSOCKETS, by.UVICORN, by.TORNADO, by.PREBUILT, by.SOCKETIO)


def take(settings: Settings) -> Json:
    """Measure a thousand viewers, and more and more of them."""
    by.install()
    kinds = (_FLOOR, _OURS) if settings.quick else (_BARE, _FLOOR, *_PEERS, _OURS)
    kib = figures(rounds(_contestants(kinds, VIEWERS), 1 if settings.quick else settings.runs), "KiB", _kib)
    found: Json = {"rows": [row("memory of an idle viewer, frames compressed", kib, [Goal("≤", 14.0)], unit="KiB")]}
    if not settings.quick:
        found["growth"] = [_growth()]
    return found


def _contestants(kinds: Sequence[by.Kind], viewers: int) -> list[Contestant]:
    """Make one of each, and of each that compresses for every connection one more that does."""
    arguments = ("viewer_memory", viewers, MESSAGES)
    plain = [one for one in kinds if one is not _OURS]
    both = [one._replace(name=f"{one.name}, compressed") for one in plain if one.compresses]
    compressed = [*both, *(one for one in kinds if one is _OURS)]
    return [*by.contestants(plain, *arguments), *by.contestants(compressed, *arguments, "compress")]


def _kib(run: Json) -> float:
    return float(run["kib"])


def _growth() -> Json:
    lines: dict[str, list[tuple[float, float]]] = {}
    for viewers in GROWTH:
        for name, outcome in rounds(_contestants((_FLOOR, by.WEBSOCKETS, _OURS), viewers), 1).items():
            lines.setdefault(name, []).extend((viewers, _kib(run)) for run in outcome.runs)
    return growth("An idle viewer, among more and more", by.drawable(lines), over="viewers", unit="KiB", most=0.0)


MEASURE = Measure(
    name="viewers",
    title="An idle viewer",
    words="How much more of the server's memory is resident for each of a thousand viewers that were sent a few messages and now "
    "sit there, than with twenty. What the kernel keeps for a socket is in none of the figures. A peer that compresses "
    "(permessage-deflate) has a context for each connection; our server deflates a frame once for all who get it.",
    take=take,
    cheap=True,
)
