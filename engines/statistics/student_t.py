"""Student's t distribution, for any positive degrees of freedom, from the incomplete beta function."""

import math
from functools import lru_cache
from statistics import NormalDist

_NORMAL_FROM = 1e6
"""Degrees of freedom beyond which t and the normal distribution agree to six digits."""


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularized incomplete beta function I_x(a, b) (DLMF 8.17), for a, b > 0 and 0 <= x <= 1."""
    if x <= 0.0 or x >= 1.0:
        return float(x >= 1.0)
    # The continued fraction converges fast below the mean of the distribution; above it, the mirror image does.
    if x > (a + 1) / (a + b + 2):
        return 1.0 - _below_mean(b, a, 1.0 - x)
    return _below_mean(a, b, x)


def _below_mean(a: float, b: float, x: float) -> float:
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) / a / _continued_fraction(a, b, x)


def _continued_fraction(a: float, b: float, x: float) -> float:
    """DLMF 8.17.22, evaluated from the front by Lentz's method (Lentz 1976)."""
    value, c, d = 1.0, 1.0, 0.0
    for step in range(1, 100_000):
        m = step // 2
        if step % 2:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / ((1 + term * d) or 1e-300)
        c = (1 + term / c) or 1e-300
        value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value


def two_sided_p(t: float, df: float) -> float:
    """The chance that |T| is at least |t|."""
    if df > _NORMAL_FROM:
        return math.erfc(abs(t) / math.sqrt(2))
    if not math.isfinite(t):
        return 0.0
    return incomplete_beta(df / 2, 0.5, df / (df + t * t))


@lru_cache(maxsize=4096)
def critical_value(p: float, df: float) -> float:
    """The t that |T| exceeds with probability `p`, 0 < p <= 1.

    Newton's method on the tail, kept inside a bracket that bisection narrows where Newton leaves it.
    """
    normal = -NormalDist().inv_cdf(p / 2)
    if df > _NORMAL_FROM:
        return normal
    low, high = 0.0, 2.0
    while two_sided_p(high, df) > p:
        low, high = high, 2 * high
    t = min(max(normal, low), high)
    log_scale = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - 0.5 * math.log(df * math.pi)
    for _ in range(200):
        excess = two_sided_p(t, df) - p
        low, high = (t, high) if excess > 0 else (low, t)
        slope = 2 * math.exp(log_scale - (df + 1) / 2 * math.log1p(t * t / df))
        step = t + excess / slope if slope else low  # far out the density is 0 in floating point
        following = step if low < step < high else (low + high) / 2
        if abs(following - t) <= 1e-13 * max(t, 1.0):
            return following
        t = following
    return t
