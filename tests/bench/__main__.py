"""Measure the promises side by side: ``python -m tests.bench [--seconds 60] [--rounds 9] [--write]``; ``make bench`` runs it.

Prints JSON. With ``--write`` it becomes docs/performance.json and the tables of docs/PERFORMANCE.md are made of it anew.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

from tests.bench import cost, latency, report, traffic
from tests.bench.measured import Json, machine
from tests.bench.stage import stage


def measure(seconds: float, rounds: int, steps: int) -> Json:
    """Measure everything in one run."""
    found: Json = {"at": time.strftime("%Y-%m-%d", time.gmtime()), "machine": machine(), "seconds": seconds}
    with stage() as set_up:
        found["latency"] = latency.measure(set_up, seconds)
        found["traffic"] = traffic.measure(set_up, seconds)
    found["cost"] = {"rounds": rounds, "steps": steps, **cost.measure(rounds, steps)}
    return found


def main() -> None:
    """Measure, print, and write where that was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each stream is watched (default: 60)")
    parser.add_argument("--rounds", type=int, default=9, help="how often each loop is run (default: 9)")
    parser.add_argument("--steps", type=int, default=4_000, help="steps of such a loop (default: 4000)")
    parser.add_argument("--write", action="store_true", help="write docs/performance.json and docs/PERFORMANCE.md")
    asked = parser.parse_args()
    found = measure(asked.seconds, asked.rounds, asked.steps)
    json.dump(found, sys.stdout, indent=2)
    print()
    if asked.write:
        report.write(found)


if __name__ == "__main__":
    main()
