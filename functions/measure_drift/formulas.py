"""The formulas behind the verdicts: drift between shares, intervals, sequential tests."""

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
    """How far the shares of `counts` are from those of `expected`: 0 for none, in nats.

    The sum of (a - e) ln(a / e) over all bins (Siddiqi, Credit Risk Scorecards, 2006), which is
    Kullback and Leibler's divergence J (1951). Half an observation is added to each bin on both
    sides, so that an empty one counts, and not for infinity.
    """
    actual, wanted = with_half(counts), with_half(expected)
    return math.fsum((a - e) * math.log(a / e) for a, e in zip(actual, wanted, strict=True))


def with_half(counts: Sequence[float]) -> list[float]:
    """Shares of counts, half an observation added to each."""
    total = math.fsum(counts) + 0.5 * len(counts)
    return [(count + 0.5) / total for count in counts]


def index_by_chance(bins: int, count: float, expected_count: float) -> float:
    """What a population stability index stays under in 999 of 1,000 windows without any drift.

    Without drift the index is 1 / count + 1 / expected_count times chi-square with bins - 1 degrees
    of freedom (Yurdakul and Naranjo, Journal of Risk Model Validation 14(4), 2020).
    """
    return chi_square_999(bins - 1) * (1 / count + 1 / expected_count)


def chi_square_999(degrees: int) -> float:
    """The 99.9th percentile of chi-square, within 1% (Wilson and Hilferty, 1931)."""
    spread = 2 / (9 * degrees)
    return degrees * (1 - spread + Z_999 * math.sqrt(spread)) ** 3


def wilson_interval(share: float, count: float) -> Interval:
    """A share of so many with Wilson's interval (1927); of nothing, 0 to 1."""
    if count == 0:
        return Interval(0.5, 0.0, 1.0)
    centre = share + Z_95**2 / (2 * count)
    margin = Z_95 * math.sqrt(share * (1 - share) / count + Z_95**2 / (4 * count**2))
    scale = 1 + Z_95**2 / count
    return Interval(share, max(0.0, (centre - margin) / scale), min(1.0, (centre + margin) / scale))


def stratified_interval(strata: Sequence[Stratum]) -> Interval:
    """The share that is right of all predictions, of which each stratum was reviewed at random.

    Photos that the model is unsure of are reviewed more often than others, so their plain average
    would be too low: each stratum counts by its predictions. The interval joins Wilson's intervals
    of the strata (Zou, Huang and Zhang, Computational Statistics and Data Analysis 53, 2009); of a
    single stratum it is Wilson's. There has to be a prediction.
    """
    total = sum(stratum.predictions for stratum in strata)
    value = below = above = 0.0
    for stratum in strata:
        weight = stratum.predictions / total
        part = wilson_interval(stratum.right / max(stratum.reviewed, 1), stratum.reviewed)
        value += weight * part.value
        below += (weight * (part.value - part.low)) ** 2
        above += (weight * (part.high - part.value)) ** 2
    return Interval(value, max(0.0, value - math.sqrt(below)), min(1.0, value + math.sqrt(above)))


# ── Page's cumulative sums: how long has it been worse than it should be? ──
#
# A sum goes up with evidence of a drop and down, never under zero, with evidence of none (Page,
# Biometrika 41, 1954). Its unit is made such that without a drop the exponential of one addend is
# 1 on average. Then a sum that starts in an hour reaches `limit` with a chance of exp(-limit) at
# most (Kingman, 1964): at a limit of 10 there is less than one false alarm of each sum in 22,000
# hours, of four sums in 5,500, whatever the traffic.


def cumulative_sum(addends: Sequence[float], most: float) -> float:
    """Page's sum after the last addend, never over `most`: what is over soon is soon forgotten."""
    total = 0.0
    for addend in addends:
        total = min(most, max(0.0, total + addend))
    return total


def outcome_evidence(reviewed: int, right: int, accuracy: float, drop: float) -> float:
    """The log-likelihood ratio that the accuracy is `drop` under `accuracy`, all from 0 to 1."""
    good = min(max(accuracy, 0.01), 0.999)  # a baseline without a mistake does not rule one out
    bad = max(good - drop, 0.005)
    wrong = reviewed - right
    return right * math.log(bad / good) + wrong * math.log((1 - bad) / (1 - good))


def normal_scale(mean: float, deviation: float, target: float) -> float:
    """The scale that makes of (value - target) an addend of Page's sum.

    Values without a drop are normal with this mean and standard deviation, and `target` is more
    than their mean: the positive root of E[exp(scale * (value - target))] = 1.
    """
    return 2 * (target - mean) / deviation**2


def confidence_scale(shares: Sequence[float], values: Sequence[float], target: float) -> float:
    """The scale that makes of (target - confidence) an addend of Page's sum.

    `shares`, of any sum and none of them 0, is how often each of `values` occurs without a drop;
    `target` is less than their mean.
    The positive root of E[exp(scale * (target - value))] = 1, by bisection.
    """

    def excess(scale: float) -> float:
        terms = zip(shares, values, strict=True)
        return math.fsum(s * math.exp(scale * (target - v)) for s, v in terms) - math.fsum(shares)

    low, high = 0.0, 1.0
    while excess(high) < 0 and high < 1000:  # noqa: PLR2004 - all confidences over the target
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) < 0 else (low, middle)
    return low
