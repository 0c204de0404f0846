"""Numbers as a person reads them in a terminal: significant digits, durations, times ago.

Pure. Every command that prints numbers calls it.
"""

from __future__ import annotations

import math


def number(value: float) -> str:
    """Write a number with four significant digits or all of a whole one's, scientific below 1e-4 and from 1e6 on."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "-∞"
    if value == 0 or 1e-4 <= abs(value) < 1e6:
        return f"{value:,.0f}" if value.is_integer() or abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:.3e}"


def duration(seconds: float) -> str:
    """Write a duration in the two largest units that say something: ``0.8 s``, ``41 s``, ``12 min``, ``1 h 12 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def ago(seconds: float) -> str:
    """Write how long ago something was."""
    return "now" if seconds < 2 else f"{duration(seconds)} ago"
