"""Compare the last predictions of a model with its baseline: pure rules."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, Self, TypedDict

from functions.measure_drift.formulas import (
    Z_95,
    Interval,
    confidence_scale,
    cusum,
    index_limit,
    log_likelihood_ratio,
    normal_scale,
    population_stability_index,
    stratified_interval,
    wilson_interval,
)
from functions.measure_drift.windows import (
    ABOVE_THRESHOLD,
    BELOW_THRESHOLD,
    BINS,
    ROUNDING,
    Moments,
    Stratum,
    Tally,
    Window,
)

PREDICTIONS = 500  # drift is measured over so many, if the last hours have as many
MIN_PREDICTIONS = 100  # for a rate or a mean
REVIEWS = 200  # accuracy is measured over so many, if the last hours have as many
MAX_INTERVAL_WIDTH = 0.2  # of a measured accuracy that is reported
DROP = 0.05  # of accuracy, that the CUSUM statistics detect
CONFIDENCE_PER_ACCURACY = 0.3  # confidence falls less than accuracy: unknown photos look known
NOVELTY_RISE = 0.1  # in standard deviations, that the CUSUM statistic of the novelty detects
CUSUM_LIMIT = 10.0  # an `accuracy_drop` of 1; formulas.py gives the rate of false alarms
CUSUM_MAXIMUM = 1.2 * CUSUM_LIMIT  # so that the alarm ends soon after its cause
METRICS = {  # field of the report: CloudWatch metric
    "estimated_accuracy": "EstimatedAccuracy",
    "measured_accuracy": "MeasuredAccuracy",
    "measured_accuracy_high": "MeasuredAccuracyHigh",
    "accuracy_drop": "AccuracyDrop",
    "drift": "Drift",
    "review_rate": "ReviewRate",
}


class Report(TypedDict):
    """What is known about a model at the end of an hour. A value is None if too little is known.

    Accuracies and rates are shares from 0 to 1. `novelty` is the mean. `drift` is the larger of two
    population stability indices, in nats. `accuracy_drop` is the largest CUSUM statistic divided by
    CUSUM_LIMIT, 0 to 1.2: at 1 AccuracyDropAlarm goes to ALARM. `accuracy_drop_seen_in` names that
    statistic: confidence, novelty, above_threshold or below_threshold.
    """

    model: str
    hour: str
    hours: int
    predictions: int
    reviewed: int
    estimated_accuracy: float | None
    novelty: float | None
    measured_accuracy: float | None
    measured_accuracy_low: float | None
    measured_accuracy_high: float | None
    review_rate: float | None
    rejection_rate: float | None
    label_drift: float | None
    confidence_drift: float | None
    drift: float | None
    accuracy_drop: float | None
    accuracy_drop_seen_in: str | None


class KnownAccuracy(NamedTuple):
    """The accuracy of a part of the baseline's photos.

    Attributes:
        accuracy: share of correct labels, 0 to 1.
        photos: number of photos that it was measured on.
        share: of all photos that are in this part, 0 to 1.

    """

    accuracy: float
    photos: float
    share: float


@dataclass(frozen=True)
class Baseline:
    """The predictions of a model that works as expected.

    Attributes:
        count: photos that it was measured on.
        labels: share of each label.
        edges: of the bins of the confidence, from 0 to 1, whole hundredths.
        confidence: share of each bin.
        mean_confidence: of all photos.
        mean_novelty: of all photos; None if the model does not return it.
        novelty_deviation: its standard deviation, or None.
        above_threshold: accuracy of the photos at or above the confidence threshold.
        below_threshold: accuracy of the photos below it.

    """

    count: int
    labels: Mapping[str, float]
    edges: Sequence[float]
    confidence: Sequence[float]
    mean_confidence: float
    mean_novelty: float | None
    novelty_deviation: float | None
    above_threshold: KnownAccuracy
    below_threshold: KnownAccuracy

    @property
    def middles(self) -> list[float]:
        """The middle of each bin of the confidence, shifted so that their mean is the true one."""
        middles = [(low + high) / 2 for low, high in pairwise(self.edges)]
        pairs = zip(self.confidence, middles, strict=True)
        mean = math.fsum(share * middle for share, middle in pairs) / math.fsum(self.confidence)
        return [middle + self.mean_confidence - mean for middle in middles]

    @property
    def confidence_margin(self) -> float:
        """The half width of the 95% interval of the baseline's mean confidence."""
        total = math.fsum(self.confidence)
        pairs = zip(self.confidence, self.middles, strict=True)
        variance = math.fsum(s * (m - self.mean_confidence) ** 2 for s, m in pairs) / total
        return Z_95 * math.sqrt(variance / self.count)

    def novelty_increment(self, novelty: Moments) -> float:
        """Return the CUSUM increment for a rise by NOVELTY_RISE; 0 if the novelty is not known."""
        if self.mean_novelty is None or not self.novelty_deviation:
            return 0.0
        margin = Z_95 / math.sqrt(self.count) + NOVELTY_RISE / 2
        target = self.mean_novelty + margin * self.novelty_deviation
        scale = normal_scale(self.mean_novelty, self.novelty_deviation, target)
        return scale * (novelty.total - novelty.count * target)

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> Self:
        """Read the baseline of a model's metadata.json; raises ValueError if it is not complete."""
        try:
            found = metadata["baseline"]
            statuses = found["statuses"]
            count = int(found["count"])
            baseline = cls(
                count=count,
                labels=dict(found["labels"]),
                edges=[float(edge) for edge in found["confidence_edges"]],
                confidence=[float(share) for share in found["confidence"]],
                mean_confidence=float(found["mean_confidence"]),
                mean_novelty=found.get("mean_novelty"),
                novelty_deviation=found.get("novelty_deviation"),
                above_threshold=known_accuracy([statuses[name] for name in ABOVE_THRESHOLD], count),
                below_threshold=known_accuracy([statuses[name] for name in BELOW_THRESHOLD], count),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"the model's metadata has no complete baseline: {error!r}") from error
        hundredths = [edge * BINS for edge in baseline.edges]
        if any(abs(edge - round(edge)) > ROUNDING for edge in hundredths):
            raise ValueError("the baseline's confidence_edges are not whole hundredths")
        if len(baseline.edges) != len(baseline.confidence) + 1 or baseline.count < 1:
            raise ValueError("the baseline's confidence does not fit its confidence_edges")
        return baseline


def known_accuracy(statuses: Sequence[Mapping[str, float | None]], count: int) -> KnownAccuracy:
    """Combine the accuracy of several statuses of a baseline of `count` photos.

    If no photo has one of them, the accuracy is 1. A baseline of traffic counts its reviews; one
    of validation photos has a label for each photo.
    """
    parts = [(float(each["share"] or 0), each["accuracy"]) for each in statuses]
    known = [(share, accuracy) for share, accuracy in parts if share and accuracy is not None]
    total = math.fsum(share for share, _ in known)
    return KnownAccuracy(
        math.fsum(share * accuracy for share, accuracy in known) / total if total else 1.0,
        math.fsum(each.get("reviewed", (each["share"] or 0) * count) or 0 for each in statuses),
        math.fsum(share for share, _ in parts),
    )


def describe(
    model: str, windows: Sequence[Window], baseline: Baseline | None, maximum_drift: float
) -> Report:
    """Describe a model.

    Drift and the CUSUM statistics need a baseline. A population stability index is None while
    chance alone can bring it to `maximum_drift`.

    Args:
        model: `<name>/<version>`.
        windows: the newest first; one of them contains the model.
        baseline: of the model, if it has one.
        maximum_drift: threshold of DriftAlarm, in nats.

    """
    hours, recent = latest(model, windows, PREDICTIONS)
    count = recent.predictions
    enough = count >= MIN_PREDICTIONS
    lost = sum(window.unreadable for window in windows[:hours])
    rejected = recent.statuses["rejected"].predictions + lost
    accuracy = measured_accuracy(model, windows)
    labels, confidence = drift(recent, baseline, maximum_drift) if baseline else (None, None)
    drop, seen_in = accuracy_drop(model, windows, baseline) if baseline else (None, None)
    return {
        "model": model,
        "hour": windows[0].hour,
        "hours": hours,
        "predictions": count,
        "reviewed": recent.stratum(*recent.statuses).reviewed,
        "estimated_accuracy": recent.confidence_sum / count if enough else None,
        "novelty": recent.novelty.mean if enough else None,
        "measured_accuracy": accuracy.value if accuracy else None,
        "measured_accuracy_low": accuracy.low if accuracy else None,
        "measured_accuracy_high": accuracy.high if accuracy else None,
        "review_rate": recent.statuses["review"].predictions / count if enough else None,
        "rejection_rate": rejected / (count + lost) if enough else None,
        "label_drift": labels,
        "confidence_drift": confidence,
        "drift": max((known for known in (labels, confidence) if known is not None), default=None),
        "accuracy_drop": drop,
        "accuracy_drop_seen_in": seen_in,
    }


def latest(
    model: str, windows: Sequence[Window], predictions: int = 0, reviews: int = 0
) -> tuple[int, Tally]:
    """Return how many of the newest windows have so many predictions and reviews, and their sum.

    If all together have fewer, return all.
    """
    total = Tally()
    for number, window in enumerate(windows, start=1):
        if model in window.models:
            total.add(window.models[model])
        enough = total.stratum(*total.statuses).reviewed >= reviews
        if enough and total.predictions >= max(predictions, 1):
            return number, total
    return len(windows), total


def drift(
    recent: Tally, baseline: Baseline, maximum_drift: float
) -> tuple[float | None, float | None]:
    """Return the population stability indices of the labels and of the confidence, in nats."""
    names = sorted({*recent.labels, *baseline.labels})
    edges = [round(edge * BINS) for edge in baseline.edges]
    bins = [sum(recent.confidence[low:high]) for low, high in pairwise(edges)]
    pairs = (
        (
            [recent.labels.get(name, 0) for name in names],
            [baseline.labels.get(n, 0) for n in names],
        ),
        (bins, baseline.confidence),
    )
    indices: list[float | None] = []
    for counts, shares in pairs:
        limit = index_limit(len(counts), recent.predictions, baseline.count)
        expected = [share * baseline.count for share in shares]
        index = population_stability_index(counts, expected)
        indices.append(index if limit <= maximum_drift else None)
    return indices[0], indices[1]


def measured_accuracy(model: str, windows: Sequence[Window]) -> Interval | None:
    """Return the accuracy of all predictions according to the reviews.

    It is None while its interval is wider than MAX_INTERVAL_WIDTH, or while one part of the photos
    has no reviews.
    """
    _, reviewed = latest(model, windows, reviews=REVIEWS)
    accuracy = accuracy_of(reviewed)
    if accuracy is None or accuracy.high - accuracy.low > MAX_INTERVAL_WIDTH:
        return None
    return accuracy


def accuracy_of(tally: Tally) -> Interval | None:
    """Return the accuracy of all predictions of a tally according to the reviews.

    It is None while one part of the photos, above or below the threshold, has no reviews.
    """
    parts = tally.stratum(*ABOVE_THRESHOLD), tally.stratum(*BELOW_THRESHOLD)
    strata = [stratum for stratum in parts if stratum.predictions]
    return stratified_interval(strata) if all(stratum.reviewed for stratum in strata) else None


def accuracy_drop(model: str, windows: Sequence[Window], baseline: Baseline) -> tuple[float, str]:
    """Return the largest of four CUSUM statistics divided by CUSUM_LIMIT, and its name.

    Two need no reviews: the confidence and the novelty of all predictions. Two are of the reviews
    above and below the threshold; each of them looks for a drop that happens in its part alone.
    The baseline has few photos, so each statistic starts from the worse end of its interval.
    """
    increments = {
        "confidence": confidence_increments(model, windows, baseline),
        "novelty": [baseline.novelty_increment(tally.novelty) for tally in tallies(model, windows)],
        "above_threshold": review_increments(
            [tally.stratum(*ABOVE_THRESHOLD) for tally in tallies(model, windows)],
            baseline.above_threshold,
        ),
        "below_threshold": review_increments(
            [tally.stratum(*BELOW_THRESHOLD) for tally in tallies(model, windows)],
            baseline.below_threshold,
        ),
    }
    statistics = {
        name: cusum(values, CUSUM_MAXIMUM) / CUSUM_LIMIT for name, values in increments.items()
    }
    largest = max(statistics, key=lambda name: statistics[name])
    return statistics[largest], largest


def tallies(model: str, windows: Sequence[Window]) -> list[Tally]:
    """Return the tally of a model in each window, the oldest first."""
    return [window.models.get(model, Tally()) for window in reversed(windows)]


def confidence_increments(model: str, windows: Sequence[Window], baseline: Baseline) -> list[float]:
    """Return the CUSUM increment of each hour for a fall of the mean confidence."""
    fall = DROP * CONFIDENCE_PER_ACCURACY / 2
    target = baseline.mean_confidence - baseline.confidence_margin - fall
    # A bin without a photo in the baseline is possible all the same: half a photo in each bin.
    counts = [share * baseline.count + 0.5 for share in baseline.confidence]
    scale = confidence_scale(counts, baseline.middles, target)
    return [
        scale * (tally.predictions * target - tally.confidence_sum)
        for tally in tallies(model, windows)
    ]


def review_increments(strata: Sequence[Stratum], known: KnownAccuracy) -> list[float]:
    """Return the CUSUM increment of each stratum for a drop of the overall accuracy by DROP."""
    accuracy = wilson_interval(known.accuracy, known.photos).low
    drop = min(DROP / max(known.share, DROP), accuracy / 2)
    return [
        log_likelihood_ratio(stratum.reviewed, stratum.correct, accuracy, drop)
        for stratum in strata
    ]
