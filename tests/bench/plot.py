"""Draws the plots of growth: ``plot OUT_FOLDER`` in the environment of matplotlib, with ``{file name: growth}`` as JSON on stdin.

Both axes are logarithmic, so that a slope is an exponent. The same figures give the same bytes; the ink is readable on
white and on black.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt  # after the choice of what draws

INK = "#808080"
OURS = "#2b9a5f"
COLOURS = ("#d1580b", "#2f7fd1", "#a05fc4", "#b38600", "#c94f7c")
STYLE = {
    "svg.hashsalt": "forge-widgets",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
}


def draw(growth: dict[str, Any], path: Path) -> None:
    """Draw one plot."""
    figure, axes = plt.subplots(figsize=(5.6, 3.2), layout="constrained")
    others = iter(COLOURS)
    for name, points in growth["lines"].items():
        amounts, costs = zip(*points, strict=True)
        colour = OURS if name == "forge_widgets" else next(others)
        axes.plot(amounts, costs, marker="o", markersize=3, linewidth=1.4, color=colour, label=name.replace("`", ""))
    axes.set(xscale="log", yscale="log", xlabel=growth["over"], ylabel=growth["unit"], title=growth["words"])
    # Whole decades: what is flat looks flat.
    heights = [math.log10(cost) for points in growth["lines"].values() for _, cost in points]
    axes.set_ylim(10 ** math.floor(min(heights)), 10 ** math.ceil(max(heights) + 0.01))
    axes.minorticks_off()
    axes.grid(color=INK, alpha=0.25, linewidth=0.5)
    # Below the plot, where no line passes through it.
    figure.legend(loc="outside lower center", ncols=2, frameon=False, labelcolor=INK)
    figure.savefig(path, transparent=True, metadata={"Date": None})
    plt.close(figure)


def main(folder: str) -> None:
    """Draw all that is on stdin."""
    mpl.rcParams.update(STYLE)
    for name, growth in json.load(sys.stdin).items():
        draw(growth, Path(folder, name))


if __name__ == "__main__":
    main(*sys.argv[1:])
