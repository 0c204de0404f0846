"""exp, bit for bit the same on every machine and in TypeScript: what a perplexity can be predicted with, and so need not be sent.

Pure. The libraries' exp differ in the last bit from platform to platform; this one is made of additions, multiplications and
divisions of doubles alone, which IEEE 754 rounds in one way. tests/vectors/exponential.json holds ui/src/stream/exponential.ts
to the same bits. What is recorded stays what the training said: only its difference to the prediction is told.
"""

from __future__ import annotations

import math

# ln 2 in two parts: 33 bits, so that each multiple of it up to 2**20 is exact, and the rest (FreeBSD's msun, e_exp.c).
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
_INVERSE_LN2 = 1.44269504088896338700
_OVERFLOWS_FROM = 709.782712893384
_VANISHES_BELOW = -745.1332191019412
_GREATEST_LOSS = 700.0


def exponential(x: float) -> float:
    """Return e to the power of x: of 100 results 98 are math.exp's, the others the double beside it.

    NaN stays NaN; beyond what a double holds it is infinite, or 0.
    """
    if not _VANISHES_BELOW <= x <= _OVERFLOWS_FROM:
        return x if math.isnan(x) else math.inf if x > 0 else 0.0
    doublings = math.floor(x * _INVERSE_LN2 + 0.5)
    high = x - doublings * _LN2_HIGH
    low = doublings * _LN2_LOW
    rest = high - low
    # exp(rest) = 1 + rest + rest²/2 · (1 + rest/3 · (1 + rest/4 · …)). Written out it takes 0.6 µs; as a loop 0.9.
    series = 1.0 + rest / 13.0
    series = 1.0 + rest * series / 12.0
    series = 1.0 + rest * series / 11.0
    series = 1.0 + rest * series / 10.0
    series = 1.0 + rest * series / 9.0
    series = 1.0 + rest * series / 8.0
    series = 1.0 + rest * series / 7.0
    series = 1.0 + rest * series / 6.0
    series = 1.0 + rest * series / 5.0
    series = 1.0 + rest * series / 4.0
    series = 1.0 + rest * series / 3.0
    # What 1 + high loses by being rounded is added with the small terms: else one result in ten would be a bit off.
    one = 1.0 + high
    result = one + (rest * rest * series * 0.5 - low + (high - (one - 1.0)))
    if doublings < -1_000:  # rounded once, into the subnormal numbers; ldexp itself rounds as the platform likes
        return math.ldexp(result, doublings + 100) * 2.0**-100
    return math.ldexp(result, doublings)


def likely_perplexity(loss: float) -> float:
    """Return what core.metrics.perplexity says of a loss on most machines, and on all of them to within two ulps; of NaN 1."""
    return exponential(min(loss, _GREATEST_LOSS)) if loss > 0 else 1.0
