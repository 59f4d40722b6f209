"""Formulas of the report: population stability index, intervals, CUSUM statistics."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from functions.measure_drift.windows import Stratum

Z_95 = 1.959964  # two-sided, 95%
Z_999 = 3.090232  # one-sided, 99.9%


class Interval(NamedTuple):
    """A share (0 to 1) and the ends of its 95% interval."""

    value: float
    low: float
    high: float


def population_stability_index(counts: Sequence[float], expected: Sequence[float]) -> float:
    """Return how far the shares of `counts` are from those of `expected`, in nats; 0 if equal.

    It is the sum of (a - e) ln(a / e) over all bins (Siddiqi, Credit Risk Scorecards, 2006), and
    equal to Kullback and Leibler's divergence J (1951). Half an observation is added to each bin on
    both sides, so that an empty bin does not make it infinite.
    """
    actual, wanted = with_half(counts), with_half(expected)
    return math.fsum((a - e) * math.log(a / e) for a, e in zip(actual, wanted, strict=True))


def with_half(counts: Sequence[float]) -> list[float]:
    """Add half an observation to each count, and return the shares."""
    total = math.fsum(counts) + 0.5 * len(counts)
    return [(count + 0.5) / total for count in counts]


def index_limit(bins: int, count: float, expected_count: float) -> float:
    """Return the 99.9th percentile of the population stability index without drift.

    Without drift the index is 1 / count + 1 / expected_count times chi-square with bins - 1 degrees
    of freedom (Yurdakul and Naranjo, Journal of Risk Model Validation 14(4), 2020).
    """
    return chi_square_999(bins - 1) * (1 / count + 1 / expected_count)


def chi_square_999(degrees: int) -> float:
    """Return the 99.9th percentile of chi-square, within 1% (Wilson and Hilferty, 1931)."""
    spread = 2 / (9 * degrees)
    return degrees * (1 - spread + Z_999 * math.sqrt(spread)) ** 3


def wilson_interval(share: float, count: float) -> Interval:
    """Return Wilson's interval (1927) of a share (0 to 1) of `count`; 0 to 1 if `count` is 0."""
    if count == 0:
        return Interval(0.5, 0.0, 1.0)
    centre = share + Z_95**2 / (2 * count)
    margin = Z_95 * math.sqrt(share * (1 - share) / count + Z_95**2 / (4 * count**2))
    scale = 1 + Z_95**2 / count
    return Interval(share, max(0.0, (centre - margin) / scale), min(1.0, (centre + margin) / scale))


def stratified_interval(strata: Sequence[Stratum]) -> Interval:
    """Estimate the accuracy of all predictions from strata that were reviewed at random.

    Photos below the confidence threshold are reviewed more often than the others. A plain average
    of the reviews would be too low, so each stratum is weighted by its predictions. The interval
    combines Wilson's intervals of the strata (Zou, Huang and Zhang, Computational Statistics and
    Data Analysis 53, 2009). For one stratum it is Wilson's interval.

    Args:
        strata: with one prediction at least.

    """
    total = sum(stratum.predictions for stratum in strata)
    value = below = above = 0.0
    for stratum in strata:
        weight = stratum.predictions / total
        part = wilson_interval(stratum.correct / max(stratum.reviewed, 1), stratum.reviewed)
        value += weight * part.value
        below += (weight * (part.value - part.low)) ** 2
        above += (weight * (part.high - part.value)) ** 2
    return Interval(value, max(0.0, value - math.sqrt(below)), min(1.0, value + math.sqrt(above)))


# ── CUSUM statistics ──
#
# A CUSUM statistic rises with observations that a drop explains better, and falls with the others,
# but not below 0 (Page, Biometrika 41, 1954). It is scaled so that, without a drop, the exponential
# of one increment is 1 on average. Then a statistic that starts in an hour reaches `limit` with a
# probability of exp(-limit) at most (Kingman, 1964). At a limit of 10, one statistic gives less
# than one false alarm in 22,000 hours, and four of them less than one in 5,500, for any traffic.


def cusum(increments: Sequence[float], maximum: float) -> float:
    """Return Page's statistic after the last increment.

    It does not exceed `maximum`, so that an alarm ends soon after its cause.
    """
    statistic = 0.0
    for increment in increments:
        statistic = min(maximum, max(0.0, statistic + increment))
    return statistic


def log_likelihood_ratio(reviewed: int, correct: int, accuracy: float, drop: float) -> float:
    """Return the increment for reviews: the log-likelihood ratio of a drop to no drop.

    Args:
        reviewed: number of reviews.
        correct: number of reviews that confirmed the label.
        accuracy: without a drop, 0 to 1.
        drop: of the accuracy, 0 to 1.

    """
    good = min(max(accuracy, 0.01), 0.999)  # a baseline without a mistake does not rule one out
    bad = max(good - drop, 0.005)
    wrong = reviewed - correct
    return correct * math.log(bad / good) + wrong * math.log((1 - bad) / (1 - good))


def normal_scale(mean: float, deviation: float, target: float) -> float:
    """Return the scale for which `scale * (value - target)` is an increment.

    It is the positive root of E[exp(scale * (value - target))] = 1.

    Args:
        mean: of the values without a drop, which have a normal distribution.
        deviation: their standard deviation.
        target: above their mean.

    """
    return 2 * (target - mean) / deviation**2


def confidence_scale(shares: Sequence[float], values: Sequence[float], target: float) -> float:
    """Return the scale for which `scale * (target - confidence)` is an increment.

    It is the positive root of E[exp(scale * (target - value))] = 1, found by bisection.

    Args:
        shares: how often each of `values` occurs without a drop; any sum, none of them 0.
        values: confidences, 0 to 1.
        target: below their mean.

    """

    def excess(scale: float) -> float:
        terms = zip(shares, values, strict=True)
        return math.fsum(s * math.exp(scale * (target - v)) for s, v in terms) - math.fsum(shares)

    low, high = 0.0, 1.0
    while excess(high) < 0 and high < 1000:  # noqa: PLR2004 - all confidences are above the target
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) < 0 else (low, middle)
    return low
