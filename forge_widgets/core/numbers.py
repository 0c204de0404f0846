"""Writes recorded numbers as people read them: one way of writing a value, a count and a share in every static view.

Pure, and given by the number alone: no locale, no clock. Mirrors ui/src/stream/numbers.ts. Static faces call it.
"""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Context, Decimal

SIGNIFICANT_DIGITS = 4
SCIENTIFIC_BELOW = Decimal("1e-4")
SCIENTIFIC_FROM = Decimal("1e6")


def format_number(value: float, digits: int = SIGNIFICANT_DIGITS) -> str:
    """Write a metric with so many significant digits, scientific below 1e-4 and from 1e6 on, non-finite as a word."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    # Halves go away from zero, as toPrecision does; and rounding comes first, so that 999,999.9 is written as 1e6 is.
    size = abs(Context(prec=digits, rounding=ROUND_HALF_UP).create_decimal(Decimal(value)))
    sign = "−" if value < 0 else ""
    if SCIENTIFIC_BELOW <= size < SCIENTIFIC_FROM:
        whole, _, fraction = format(size, "f").partition(".")
        fraction = fraction.rstrip("0")
        return f"{sign}{int(whole):,}" + (f".{fraction}" if fraction else "")
    exponent = size.adjusted()
    mantissa = format(size.scaleb(-exponent), "f")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{sign}{mantissa}e{_signed(str(exponent))}"


def format_count(count: float) -> str:
    """Write a count in full, with separators: ``1,000``."""
    if not math.isfinite(count):
        return format_number(count)
    return _signed(f"{math.floor(count + 0.5):,}")


def format_percent(share: float) -> str:
    """Write a share of 0 to 1 as per cent without decimals, never "100 %" before it is whole; "–" where unknown."""
    if not math.isfinite(share):
        return "–"
    percent = min(100.0, max(0.0, share * 100))
    return f"{min(99, math.floor(percent + 0.5)) if percent < 100 else 100} %"


def _signed(text: str) -> str:
    """Use the typographic minus, as wide as the digits beside it."""
    return text.replace("-", "−", 1)
