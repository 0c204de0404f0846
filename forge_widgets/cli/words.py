"""Durations as a person reads them in a terminal, and how long ago something was.

Pure. Every command that prints times calls it.
"""

from __future__ import annotations


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
