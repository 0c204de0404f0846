"""What users pass as a metric, taken by value at emit and made a number on the publisher's thread.

A loop may change its tensors in place right after an emit, and a device must not be waited for: tensors are cloned off
the graph here, arrays are read at once. No framework is imported; values are known by what they can do.
"""

from __future__ import annotations

from typing import Any

_IMMUTABLE_ON_DEVICE = ("jax", "jaxlib", "tensorflow")


class NotANumber(ValueError):
    """Raised for a value that is no number; the message says what it is."""


def capture(value: Any) -> Any:
    """Take a metric's value as it is now, without waiting for a device: a float, or a tensor to read. Raises NotANumber."""
    kind = type(value)
    if kind is float:
        return value
    if isinstance(value, float):
        # NumPy's float64 is one: a loop's commonest scalar, without the questions below.
        return float(value)
    if kind is int:
        return number(value)
    if value is None or isinstance(value, (str, bytes)):
        raise NotANumber(f"{_shown(value)} is no number")
    if hasattr(value, "detach") and hasattr(value, "clone"):
        # One in the computer's own memory is read at once: nothing is to be waited for there, and no copy is kept.
        on_cpu = getattr(getattr(value, "device", None), "type", None) == "cpu"
        return number(value) if on_cpu else value.detach().clone()
    if kind.__module__.split(".", 1)[0] in _IMMUTABLE_ON_DEVICE:
        return value
    return number(value)


def number(captured: Any) -> float:
    """Turn a captured value into a float. Raises NotANumber."""
    try:
        plain = captured.item() if hasattr(captured, "item") else captured
        if isinstance(plain, (str, bytes, complex)):
            raise TypeError
        return float(plain)
    except OverflowError:
        return float("inf") if captured > 0 else float("-inf")
    except Exception as error:  # noqa: BLE001  # a user's object may raise anything when it is read; all else must be recorded
        why = "" if isinstance(error, (TypeError, ValueError)) else f" ({type(error).__name__})"
        raise NotANumber(f"{_shown(captured)} is no number{why}") from None


def _shown(value: Any) -> str:
    """Show a value in a message, short whatever its repr does."""
    try:
        shape = getattr(value, "shape", None)
        text = repr(value) if shape is None else f"a {type(value).__name__} of shape {tuple(shape)}"
    except Exception:  # noqa: BLE001  # a user's repr may raise anything; the message must still be made
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."
