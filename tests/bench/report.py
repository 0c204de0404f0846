"""Keeps docs/performance.json, and fills the places of docs/PERFORMANCE.md; what goes in there is made by tables.py."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
from pathlib import Path

from tests.bench import peers, tables
from tests.bench.measured import Json
from tests.bench.measures import ALL

DOCS = Path(__file__).parents[2] / "docs"
RESULTS = DOCS / "performance.json"
PAGE = DOCS / "PERFORMANCE.md"
IMAGES = DOCS / "images" / "bench"


def results() -> Json:
    """Return what was last written; nothing where there is none of this shape."""
    found: Json = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    return found if "measures" in found else {"measures": {}}


def write(found: Json) -> None:
    """Write what was found over what there was of the same measures, and the page of all."""
    everything = results()
    merged = {**everything["measures"], **found["measures"]}
    ordered = {one.name: merged[one.name] for one in ALL if one.name in merged}
    everything = {"machine": found["machine"], "peers": peers.versions(), "measures": ordered}
    RESULTS.write_text(json.dumps(everything, indent=2, ensure_ascii=False) + "\n", "utf-8")
    draw(found)
    fill()


def fill() -> None:
    """Make the page of the committed results anew: where a reason or a measure's words have changed."""
    PAGE.write_text(filled(PAGE.read_text("utf-8"), json.loads(RESULTS.read_text("utf-8"))), "utf-8")


def draw(found: Json) -> None:
    """Draw the plots of what was found; without matplotlib's environment the old ones stay."""
    plots = {
        tables.image_name(name, index): growth
        for name, measure in found["measures"].items()
        for index, growth in enumerate(measure.get("growth", ()))
    }
    try:
        command = [peers.python_of("plots"), "-m", "tests.bench.plot", str(IMAGES)]
        IMAGES.mkdir(parents=True, exist_ok=True)
        subprocess.run(command, input=json.dumps(plots), text=True, check=True, cwd=DOCS.parent, timeout=120)
    except (peers.Missing, subprocess.SubprocessError) as missing:
        print(f"bench: no plots: {missing}", file=sys.stderr)


def filled(page: str, found: Json) -> str:
    """Return the page with what stands between its marks made anew."""
    for name, text in (
        ("machine", tables.machine(found)),
        ("table", tables.summary(found)),
        ("measures", tables.measures(found)),
    ):
        between = re.compile(rf"(<!-- {name} -->\n)(?:.*?\n)??(<!-- end -->)", re.DOTALL)
        page, places = between.subn(functools.partial(_between, text), page)
        assert places == 1, f"docs/PERFORMANCE.md has {places} places for {name}"
    return page


def _between(text: str, marks: re.Match[str]) -> str:
    return f"{marks[1]}{text}\n{marks[2]}"
