"""What a benchmark has found: figures with their unit and how many samples are behind them, and the machine they are of."""

from __future__ import annotations

import math
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle and the ends of many samples of one thing."""

    unit: str
    samples: int
    median: float
    p95: float
    p99: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float], unit: str) -> Spread:
        """Sum up samples (one or more)."""
        ordered = sorted(values)
        return cls(
            unit,
            len(ordered),
            quantile(ordered, 0.5),
            quantile(ordered, 0.95),
            quantile(ordered, 0.99),
            ordered[0],
            ordered[-1],
        )

    def json(self) -> Json:
        """Return it as JSON, rounded to what was measured."""
        return {name: _rounded(value) for name, value in asdict(self).items()}


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the sample below which this share of sorted samples lies (nearest rank)."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _rounded(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value


def machine() -> Json:
    """Describe what this was measured on."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1),
        "commit": commit.stdout.strip(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
