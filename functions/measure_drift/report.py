"""Compare the last predictions of a model with its baseline: pure rules."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self, TypedDict

from functions.measure_drift.formulas import (
    Z_95,
    Interval,
    confidence_scale,
    cumulative_sum,
    index_by_chance,
    normal_scale,
    outcome_evidence,
    population_stability_index,
    stratified_interval,
    wilson_interval,
)
from functions.measure_drift.windows import BINS, ROUNDING, Moments, Tally, Window

PREDICTIONS = 500  # that drift is measured over, where the last hours have as many
FEWEST_PREDICTIONS = 100  # that a rate or a mean is told of
REVIEWS = 200  # that accuracy is measured over, where the last hours have as many
WIDEST = 0.2  # the interval of a measured accuracy that is still told
DROP = 0.05  # of accuracy, that the sequential tests look for
CONFIDENCE_FALLS = 0.3  # of what accuracy falls: of the unknown a model is too sure
NOVELTY_RISES = 0.1  # standard deviations that the sequential test of the novelty looks for
EVIDENCE = 10.0  # that rings: formulas.py says how often without a drop
MOST_EVIDENCE = 1.2 * EVIDENCE  # that is remembered, so that the alarm ends soon after its cause
METRICS = {  # of CloudWatch, by their names in a report
    "estimated_accuracy": "EstimatedAccuracy",
    "measured_accuracy": "MeasuredAccuracy",
    "measured_accuracy_high": "MeasuredAccuracyHigh",
    "accuracy_drop": "AccuracyDrop",
    "drift": "Drift",
    "review_rate": "ReviewRate",
}


class Report(TypedDict):
    """What is known of a model at the end of an hour; None where too little is known.

    All but `drift` are shares from 0 to 1. Drift is the larger of two population stability indices.
    `accuracy_drop` is the evidence that accuracy fell by DROP: 1 rings, and 1.2 is the most.
    `novelty` is the mean.
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


@dataclass(frozen=True)
class Baseline:
    """What the predictions of a model look like while nothing is wrong.

    Attributes:
        count: photos that it was measured on.
        labels: share of each label.
        edges: of the bins of the confidence, from 0 to 1, whole hundredths.
        confidence: share of each bin.
        mean_confidence: of all.
        mean_novelty: of all; None where the model does not tell it.
        novelty_deviation: its standard deviation, or None.
        sure_accuracy: share that is right of those with a confidence over the threshold.
        unsure_accuracy: the same of those under it.
        sure_count: photos that `sure_accuracy` was measured on.
        unsure_count: the same of `unsure_accuracy`.
        unsure: share of those under the threshold.

    """

    count: int
    labels: Mapping[str, float]
    edges: Sequence[float]
    confidence: Sequence[float]
    mean_confidence: float
    mean_novelty: float | None
    novelty_deviation: float | None
    sure_accuracy: float
    unsure_accuracy: float
    sure_count: float
    unsure_count: float
    unsure: float

    @property
    def middles(self) -> list[float]:
        """The middle of each bin of the confidence, moved so that their mean is the true one."""
        middles = [(low + high) / 2 for low, high in pairwise(self.edges)]
        pairs = zip(self.confidence, middles, strict=True)
        mean = math.fsum(share * middle for share, middle in pairs) / math.fsum(self.confidence)
        return [middle + self.mean_confidence - mean for middle in middles]

    @property
    def confidence_margin(self) -> float:
        """How far the mean confidence of the baseline's few photos may be off by chance: 95%."""
        total = math.fsum(self.confidence)
        pairs = zip(self.confidence, self.middles, strict=True)
        variance = math.fsum(s * (m - self.mean_confidence) ** 2 for s, m in pairs) / total
        return Z_95 * math.sqrt(variance / self.count)

    def novelty_evidence(self, novelty: Moments) -> float:
        """The addend of Page's sum for a rise by NOVELTY_RISES: 0 where novelty is not told."""
        if self.mean_novelty is None or not self.novelty_deviation:
            return 0.0
        margin = Z_95 / math.sqrt(self.count) + NOVELTY_RISES / 2
        target = self.mean_novelty + margin * self.novelty_deviation
        scale = normal_scale(self.mean_novelty, self.novelty_deviation, target)
        return scale * (novelty.total - novelty.count * target)

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> Self:
        """What metadata.json of a model says. Raises ValueError where it lacks something."""
        try:
            found = metadata["baseline"]
            statuses = found["statuses"]
            sure = [statuses[name] for name in ("accepted", "rejected")]
            unsure = [statuses["review"]]
            count = int(found["count"])
            baseline = cls(
                count=count,
                labels=dict(found["labels"]),
                edges=[float(edge) for edge in found["confidence_edges"]],
                confidence=[float(share) for share in found["confidence"]],
                mean_confidence=float(found["mean_confidence"]),
                mean_novelty=found.get("mean_novelty"),
                novelty_deviation=found.get("novelty_deviation"),
                sure_accuracy=mean_accuracy(sure),
                unsure_accuracy=mean_accuracy(unsure),
                sure_count=measured_on(sure, count),
                unsure_count=measured_on(unsure, count),
                unsure=float(statuses["review"]["share"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"the model's metadata has no whole baseline: {error!r}") from error
        hundredths = [edge * BINS for edge in baseline.edges]
        if any(abs(edge - round(edge)) > ROUNDING for edge in hundredths):
            raise ValueError("the baseline's confidence_edges are not whole hundredths")
        if len(baseline.edges) != len(baseline.confidence) + 1 or baseline.count < 1:
            raise ValueError("the baseline's confidence does not fit its confidence_edges")
        return baseline


def mean_accuracy(statuses: Sequence[Mapping[str, float | None]]) -> float:
    """The accuracy of several statuses together; 1 where no photo had one of them."""
    shares = [(float(each["share"] or 0), each["accuracy"]) for each in statuses]
    known = [(share, accuracy) for share, accuracy in shares if share and accuracy is not None]
    total = math.fsum(share for share, _ in known)
    return math.fsum(share * accuracy for share, accuracy in known) / total if total else 1.0


def measured_on(statuses: Sequence[Mapping[str, float | None]], count: int) -> float:
    """How many photos that accuracy is of: the reviewed ones, or all where all were labelled."""
    return math.fsum(each.get("reviewed", (each["share"] or 0) * count) or 0 for each in statuses)


def describe(
    model: str, windows: Sequence[Window], baseline: Baseline | None, maximum_drift: float
) -> Report:
    """Describe a model by its windows, the newest first; there has to be one with the model.

    Drift and the sequential tests need a baseline. No index is told while chance alone could bring
    it to `maximum_drift`.
    """
    hours, recent = latest(model, windows, PREDICTIONS)
    count = recent.predictions
    enough = count >= FEWEST_PREDICTIONS
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
    """As many of the newest windows as it takes for so many predictions and reviews, and their sum.

    All, if all together have fewer.
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
    """The population stability indices of the labels and of the confidence."""
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
        chance = index_by_chance(len(counts), recent.predictions, baseline.count)
        expected = [share * baseline.count for share in shares]
        index = population_stability_index(counts, expected)
        indices.append(index if chance <= maximum_drift else None)
    return indices[0], indices[1]


def measured_accuracy(model: str, windows: Sequence[Window]) -> Interval | None:
    """What people found, for all predictions.

    None while its interval is wider than WIDEST, or one part of the photos has no reviews.
    """
    _, reviewed = latest(model, windows, reviews=REVIEWS)
    parts = reviewed.stratum("accepted", "rejected"), reviewed.stratum("review")
    strata = [stratum for stratum in parts if stratum.predictions]
    accuracy = stratified_interval(strata)
    if not all(stratum.reviewed for stratum in strata) or accuracy.high - accuracy.low > WIDEST:
        return None
    return accuracy


def accuracy_drop(model: str, windows: Sequence[Window], baseline: Baseline) -> tuple[float, str]:
    """The strongest evidence of a drop by DROP, of which 1 rings, and what it was seen in.

    Four sums: of the confidence and of the novelty of all predictions, and of the outcomes of
    reviews among those that the model was sure of and among the others. Each of the latter looks
    for a drop that happens there alone. The baseline is of few photos: what could be its chance is
    no drop.
    """
    target = baseline.mean_confidence - baseline.confidence_margin - DROP * CONFIDENCE_FALLS / 2
    # What the baseline's few photos did not show may come all the same: half a photo in each bin.
    often = [share * baseline.count + 0.5 for share in baseline.confidence]
    scale = confidence_scale(often, baseline.middles, target)
    addends: dict[str, list[float]] = {"confidence": [], "novelty": [], "sure": [], "unsure": []}
    for window in reversed(windows):
        tally = window.models.get(model, Tally())
        gap = tally.predictions * target - tally.confidence_sum
        addends["confidence"].append(scale * gap)
        addends["novelty"].append(baseline.novelty_evidence(tally.novelty))
        sure, unsure = tally.stratum("accepted", "rejected"), tally.stratum("review")
        for name, part, measured, count, share in (
            ("sure", sure, baseline.sure_accuracy, baseline.sure_count, 1 - baseline.unsure),
            ("unsure", unsure, baseline.unsure_accuracy, baseline.unsure_count, baseline.unsure),
        ):
            accuracy = wilson_interval(measured, count).low
            drop = min(DROP / max(share, DROP), accuracy / 2)
            addends[name].append(outcome_evidence(part.reviewed, part.right, accuracy, drop))
    sums = {
        name: cumulative_sum(values, MOST_EVIDENCE) / EVIDENCE for name, values in addends.items()
    }
    strongest = max(sums, key=lambda name: sums[name])
    return sums[strongest], strongest
