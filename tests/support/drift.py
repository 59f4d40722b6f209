"""Predictions for the tests of drift: records, hours of traffic, and the baseline."""

from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import numpy as np

from tests.support.functions import FUNCTIONS

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MODEL = "scones-vehicle-classifier/1.0.0"
SHIPPED = FUNCTIONS / "measure_drift" / "metadata.json"
METADATA = {
    "name": "scones-vehicle-classifier",
    "version": "1.0.0",
    "baseline": {
        "count": 600,
        "labels": {"bicycle": 0.4, "motorcycle": 0.4, "other": 0.2},
        "confidence_edges": [0.0, 0.5, 0.7, 0.9, 0.95, 0.99, 1.0],
        "confidence": [0.02, 0.08, 0.1, 0.1, 0.2, 0.5],
        "mean_confidence": 0.92,
        "mean_novelty": 0.35,
        "novelty_deviation": 0.15,
        "accuracy": 0.92,
        "statuses": {
            "accepted": {"share": 0.6, "accuracy": 0.99},
            "review": {"share": 0.3, "accuracy": 0.77},
            "rejected": {"share": 0.1, "accuracy": 0.95},
        },
    },
}


def record(
    label: str = "bicycle",
    confidence: float = 0.97,
    status: str = "accepted",
    novelty: float | None = None,
    model: str = MODEL,
    reviewed: str | None = None,
    at: datetime = NOON,
) -> dict[str, dict[str, str]]:
    """A record as the index holds it."""
    person = {"reviewed_label": {"S": reviewed}} if reviewed else {}
    known = {"novelty": {"N": str(novelty)}} if novelty is not None else {}
    return {
        "label": {"S": label},
        "confidence": {"N": str(confidence)},
        "status": {"S": status},
        "model": {"S": model},
        "recorded_at": {"S": at.isoformat()},
        **known,
        **person,
    }


def traffic(
    report: ModuleType,
    hours: int = 30,
    photos: int = 40,
    *,
    mean: float | None = None,
    novelty: float | None = 0.35,
    labels: dict[str, float] | None = None,
    audited: float = 0.1,
    above: float = 0.99,
    below: float = 0.77,
    seed: int = 1,
) -> list[Any]:
    """Windows of photos like the baseline's, except the given values; the newest first."""
    generator = np.random.default_rng(seed)
    baseline = METADATA["baseline"]
    edges, shares = baseline["confidence_edges"], baseline["confidence"]
    mix = labels or baseline["labels"]
    windows = []
    for number in range(hours):
        at = NOON - timedelta(hours=number)
        window = report.Window(at.strftime("%Y-%m-%dT%H"))
        bins = generator.choice(len(shares), photos, p=shares)
        confidences = generator.uniform(np.array(edges)[bins], np.array(edges)[bins + 1])
        for confidence, label in zip(
            (confidences + (mean or 0.92) - 0.92).clip(0.34, 1).round(6),
            generator.choice(list(mix), photos, p=list(mix.values())),
            strict=True,
        ):
            status = "review" if confidence < 0.95 else "accepted"
            correct = generator.random() < (above if status == "accepted" else below)
            reviewed = status == "review" or generator.random() < audited
            review = (label if correct else "another label") if reviewed else None
            novel = None if novelty is None else min(1.0, max(0.0, generator.normal(novelty, 0.15)))
            window.count([record(label, confidence, status, novel, reviewed=review, at=at)])
        windows.append(window)
    return windows
