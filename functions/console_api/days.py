"""Sum the hours of DriftTable by day and model: pure rules."""

from collections.abc import Iterable
from typing import Any, TypedDict

from functions.measure_drift.report import accuracy_of
from functions.measure_drift.windows import BELOW_THRESHOLD, Tally, Window


class ModelDay(TypedDict):
    """The predictions of a model on a day, UTC. Accuracies and rates are shares from 0 to 1.

    All values but `drift` come from the sums of the day's counts, so each photo has the same
    weight. `estimated_accuracy` is the mean confidence. `novelty` is the mean of the predictions
    that have one, or None. The measured accuracy is None while one part of the photos, above or
    below the threshold, has no reviews. `drift` is the highest of the day's hourly reports, or
    None: each report measures the newest hours together, so reports cannot be summed.
    """

    day: str
    model: str
    predictions: int
    reviewed: int
    measured_accuracy: float | None
    measured_accuracy_low: float | None
    measured_accuracy_high: float | None
    estimated_accuracy: float
    review_rate: float
    novelty: float | None
    drift: float | None


def by_day_and_model(hours: Iterable[tuple[Window, dict[str, Any]]]) -> list[ModelDay]:
    """One row for each day and model, the newest first.

    Args:
        hours: the counts of each hour, and its report; an hour without a report has an empty one.

    """
    tallies: dict[tuple[str, str], Tally] = {}
    drifts: dict[tuple[str, str], list[float]] = {}
    for window, report in hours:
        day = window.hour[:10]
        for model, tally in window.models.items():
            tallies.setdefault((day, model), Tally()).add(tally)
        if report.get("drift") is not None:
            drifts.setdefault((day, report["model"]), []).append(report["drift"])
    newest_first = sorted(tallies, key=lambda key: (key[0], tallies[key].last_at), reverse=True)
    return [row(*key, tallies[key], max(drifts.get(key, []), default=None)) for key in newest_first]


def row(day: str, model: str, tally: Tally, drift: float | None) -> ModelDay:
    """The row of a day and a model, which has one prediction at least."""
    accuracy = accuracy_of(tally)
    return {
        "day": day,
        "model": model,
        "predictions": tally.predictions,
        "reviewed": tally.stratum(*tally.statuses).reviewed,
        "measured_accuracy": accuracy.value if accuracy else None,
        "measured_accuracy_low": accuracy.low if accuracy else None,
        "measured_accuracy_high": accuracy.high if accuracy else None,
        "estimated_accuracy": tally.confidence_sum / tally.predictions,
        "review_rate": tally.stratum(*BELOW_THRESHOLD).predictions / tally.predictions,
        "novelty": tally.novelty.mean,
        "drift": drift,
    }
