"""Measure side by side: ``python -m tests.bench [--only NAME …] [--runs 5] [--quick] [--write] [--strict] [--page]``.

``make bench`` and ``make bench-quick`` run it. Each measure's JSON is printed as it is done, and with ``--write`` it goes into
docs/performance.json at once, and the page is made of that anew. Without, it is said what got worse since the last commit.
With ``--quick`` that is all that is said.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback

from tests.bench import compare, report
from tests.bench.measure import Measure, Settings
from tests.bench.measured import Json, machine
from tests.bench.measures import ALL


def main() -> int:
    """Measure, and print, write or compare."""
    asked = _asked()
    if asked.page:
        report.fill()
        return 0
    chosen = [one for one in ALL if (one.name in asked.only if asked.only else one.cheap or not asked.quick)]
    settings = Settings(asked.runs or (3 if asked.quick else 5), asked.quick)
    before = report.results()
    found: Json = {"machine": machine(), "measures": {}}
    for measure in chosen:
        found["measures"][measure.name] = result = _taken(measure, settings)
        if not asked.quick:
            print(json.dumps({measure.name: result}, indent=2, ensure_ascii=False), flush=True)
        if asked.write:
            report.write(found)
    if asked.write:
        return 0
    worse = list(compare.worse(before, found))
    told = [*compare.standings(found), "", *(worse or ["nothing got worse by more than a quarter"])]
    print("\n".join(told), file=sys.stderr)
    return 1 if worse and asked.strict else 0


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", choices=[one.name for one in ALL])
    parser.add_argument("--runs", type=int, help="rounds of everybody (default: 5, with --quick 3)")
    parser.add_argument("--quick", action="store_true", help="the cheap measures, shortly")
    parser.add_argument("--write", action="store_true", help="write docs/performance.json and docs/PERFORMANCE.md")
    parser.add_argument("--page", action="store_true", help="measure nothing: make the page anew, for other reasons")
    parser.add_argument("--strict", action="store_true", help="exit with 1 where something got worse")
    return parser.parse_args()


def _taken(measure: Measure, settings: Settings) -> Json:
    """Take one measure; one that fails says so in its place, and the others are taken all the same."""
    print(f"bench: {measure.name}", file=sys.stderr, flush=True)
    began = time.monotonic()
    result: Json = {"at": time.strftime("%Y-%m-%d", time.gmtime()), "runs": settings.runs}
    try:
        result.update(measure.take(settings))
    except Exception as error:  # noqa: BLE001  # whatever goes wrong in one measure must not cost the others
        traceback.print_exc()
        result["failed"] = f"{type(error).__name__}: {error}"
    return {**result, "took_s": round(time.monotonic() - began)}


if __name__ == "__main__":
    sys.exit(main())
