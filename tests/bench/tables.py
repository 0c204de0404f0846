"""The page's tables, made of docs/performance.json: the table of all goals, and of each measure everybody's figures and growth.

Words about a measure stand with it (measures/), why it falls short in reasons.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.bench.measured import Json
from tests.bench.measures import ALL
from tests.bench.verdict import exponent, met, outgrows, ratio, reached

REASONS = Path(__file__).with_name("reasons.md")


def machine(found: Json) -> str:
    """Say what it was measured on, and which peers."""
    on = found["machine"]
    pinned = ", ".join(f"{name} {version}" for name, version in found["peers"].items())
    return (
        f"{on['cores']} cores of {on['processor']}, {on['system']}, Python {on['python']}; load at the start {on['load']}; "
        f"commit {on['commit']}. Peers: {pinned}."
    )


def summary(found: Json) -> str:
    """Make the table of all rows that have a goal."""
    head = ("measure", "floor", "peers", "ours", "goal", "met?")
    lines: list[tuple[str, ...]] = []
    for name, measure in found["measures"].items():
        if "failed" in measure:
            lines.append((f"[{_title(name)}](#{anchor(_title(name))})", "–", "–", "not measured", "–", "**no**"))
        lines.extend(_summed(name, row) for row in measure.get("rows", ()) if row["goals"])
    return table(head, lines)


def _summed(name: str, row: Json) -> tuple[str, ...]:
    said = [_ranked(row, *roles) or "–" for roles in (("floor",), ("peer", "aside"), ("ours",))]
    judged = [met(row, goal) for goal in row["goals"]]
    verdict = ", ".join({True: "yes", False: "**no**", None: "not measured"}[one] for one in judged)
    why = f", [why](#{anchor(_title(name))})" if not all(judged) else ""
    goals = ", ".join(goal_in_words(row, goal) for goal in row["goals"])
    return (f"[{row['words']}](#{anchor(_title(name))})", *said, goals, verdict + why)


def _ranked(row: Json, *roles: str) -> str:
    """List everybody of some roles with what they took; ours without its name."""
    return ", ".join(
        f"{'' if figure['role'] == 'ours' else name + ' '}{_middle(row, figure)}"
        for name, figure in row["figures"].items()
        if figure["role"] in roles
    )


def _middle(row: Json, figure: Json) -> str:
    return "failed" if "failed" in figure else f"{number(figure['median'])} {row['unit']}"


def goal_in_words(row: Json, goal: Json) -> str:
    """Say a goal: ``≤ 1.3 × floor (now 1.2)``."""
    against = {"": row["unit"], "floor": "× floor", "peers": "× the best peer"}[goal["against"]]
    part = "" if goal["part"] == "median" else f"{goal['part']} "
    value = reached(row, goal)
    now = "" if value is None or (not goal["against"] and not part) else f" (now {number(value)})"
    return f"{part}{goal['op']} {number(goal['value'])} {against}{now}"


def measures(found: Json) -> str:
    """Make a section of each measure."""
    return "\n\n".join(_section(name, measure) for name, measure in found["measures"].items())


def _section(name: str, measure: Json) -> str:
    words = next(one.words for one in ALL if one.name == name)
    parts = [f"### {_title(name)}", words]
    if "failed" in measure:
        parts.append(f"Not measured: {measure['failed']}")
    parts += (_everybody(row) for row in measure.get("rows", ()))
    parts += (part for index, growth in enumerate(measure.get("growth", ())) for part in _growth(name, index, growth))
    if reason := reasons().get(name):
        parts.append(reason)
    return "\n\n".join(parts)


def _title(name: str) -> str:
    return next((one.title for one in ALL if one.name == name), name)


def _everybody(row: Json) -> str:
    better = "more is better" if row["better"] == "more" else "less is better"
    lines = [
        (
            (who, "", "", "", "", figure["failed"])
            if "failed" in figure
            else (who, *_figures(row, figure), _times(row, figure))
        )
        for who, figure in row["figures"].items()
    ]
    head = (f"{row['words']}, {row['unit']} ({better})", "median", "least", "most", "samples", "× floor")
    return table(head, lines)


def _figures(row: Json, figure: Json) -> Iterable[str]:
    return (*(number(figure[part]) for part in ("median", "least", "most")), str(figure["samples"]))


def _times(row: Json, figure: Json) -> str:
    times = ratio(row, figure)
    return "" if times is None else number(times)


def _growth(name: str, index: int, growth: Json) -> Iterable[str]:
    image = image_name(name, index)
    yield f"![{growth['words']}, over {growth['over']}](images/bench/{image})"
    lines = []
    for who, points in growth["lines"].items():
        over = f"{points[0][0]:,.0f} to {points[-1][0]:,.0f}"
        faster = "yes" if outgrows(growth, who) else "no"
        lines.append(
            (
                who,
                over,
                f"{number(points[0][1])} to {number(points[-1][1])} {growth['unit']}",
                f"{exponent(points):.2f}",
                faster,
            )
        )
    head = (growth["words"], growth["over"], "from, to", "exponent", f"faster than its work ({growth['most']:g})")
    yield table(head, lines)


def image_name(name: str, index: int) -> str:
    """Name the plot of a measure's growth."""
    return f"{name}{f'-{index + 1}' if index else ''}.svg"


def reasons() -> dict[str, str]:
    """Return the hand-written reasons by measure: reasons.md has a heading of each measure's name."""
    parts = re.split(r"^## (.+)\n", REASONS.read_text("utf-8"), flags=re.MULTILINE)[1:]
    return {name.strip(): text.strip() for name, text in zip(parts[::2], parts[1::2], strict=True)}


def anchor(title: str) -> str:
    """Return what GitHub calls a heading in an address."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def number(value: float) -> str:
    """Write a figure to three digits, thousands parted."""
    if value and abs(value) < 1000:
        digits = f"{value:.3g}"
        return digits if "e" not in digits else f"{value:.1e}"
    return f"{float(f'{value:.3g}'):,.0f}"


def table(head: tuple[str, ...], lines: Iterable[Sequence[str]]) -> str:
    """Make a table of Markdown."""
    rows = [head, ("---",) * len(head), *lines]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in rows)
