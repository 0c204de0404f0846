"""Who sends and who watches: the contestants that several measures of the server have in common, and how samples are pooled."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tests.bench import peers
from tests.bench.harness import Contestant, Outcomes, Role, script
from tests.bench.measure import Points
from tests.bench.measured import Json, Spread
from tests.bench.streams.sources import PEERS


class Kind(NamedTuple):
    """One that sends the same message to all who watch (streams/sources.py)."""

    name: str
    role: Role
    source: str
    # Whether it can compress what it sends.
    compresses: bool = True


BARE = Kind("bare sockets", "floor", "bare", compresses=False)
PROTOCOLS = Kind("asyncio, a transport and a protocol each", "aside", "protocols", compresses=False)
PICOWS = Kind("picows", "peer", "picows", compresses=False)
WEBSOCKETS = Kind("websockets", "peer", "websockets")
UVICORN = Kind("uvicorn", "peer", "uvicorn")
TORNADO = Kind("Tornado `write_message`", "peer", "tornado")
PREBUILT = Kind("Tornado, frames built once", "peer", "tornado_prebuilt", compresses=False)
SOCKETIO = Kind("python-socketio", "peer", "socketio")
OURS = Kind("forge_widgets", "ours", "ours")
IN_BRIEF = Kind("forge_widgets, in brief", "aside", "ours in brief")

EVERYBODY = (BARE, PROTOCOLS, PICOWS, WEBSOCKETS, UVICORN, TORNADO, PREBUILT, SOCKETIO, OURS, IN_BRIEF)

_LIMIT_S = 180.0


def install() -> None:
    """Install all peers, since a contestant reaches no registry. One that can't be will fail, and says that it isn't there."""
    for environment in sorted({name for name in PEERS.values() if name}):
        try:
            peers.python_of(environment)
        except peers.Missing as missing:  # noqa: PERF203 - a handful of them
            print(f"bench: {environment}: {missing}", file=sys.stderr)


def contestants(kinds: Sequence[Kind], of: str, *arguments: object) -> list[Contestant]:
    """Make a contestant of each: the script ``of``, called with its source and what else there is."""
    return [Contestant(one.name, one.role, script(of, one.source, *arguments), limit_s=_LIMIT_S) for one in kinds]


def pooled(outcomes: Outcomes, unit: str, field: str) -> Json:
    """Sum up the samples of all of a contestant's runs, by name: as harness.figures, but of lists."""
    return {
        name: {"role": outcome.contestant.role}
        | (
            {"failed": outcome.failed}
            if outcome.failed
            else Spread.of([sample for run in outcome.runs for sample in run[field]], unit).json()
        )
        for name, outcome in outcomes.items()
    }


def drawable(lines: Mapping[str, Points]) -> dict[str, Points]:
    """Return the lines without figures that no logarithm has (the difference to nothing can be nothing), those of two or more."""
    positive = {name: [(amount, cost) for amount, cost in points if cost > 0.0] for name, points in lines.items()}
    return {name: points for name, points in positive.items() if len(points) > 1}
