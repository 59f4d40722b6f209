"""The photos and hours that the benchmarks of drift detection draw from."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from functions.measure_drift.formulas import wilson_interval
from functions.measure_drift.report import DROP, Baseline
from functions.measure_drift.windows import BINS, ROUNDING, Moments, Stratum, Tally, Window

REPOSITORY = Path(__file__).resolve().parents[1]
MODEL = REPOSITORY / "models" / "vehicles"
METADATA = json.loads((MODEL / "metadata.json").read_text())
NAME = f"{METADATA['name']}/{METADATA['version']}"
THRESHOLD = METADATA["threshold"]
BASELINE = Baseline.from_metadata(METADATA)
MAXIMUM_DRIFT = 0.25  # the template's default

# Shares of the photos above and below the threshold that are reviewed.
Reviewing = tuple[float, float]
OURS: Reviewing = (0.05, 1.0)  # the template's AuditShare, and all below the threshold
REVIEWING: dict[str, Reviewing] = {"all below + 5%": OURS, "a random 10%": (0.1, 0.1)}


def status_of(label: str, confidence: float) -> str:
    """The status that FilterInferences gives a photo."""
    if confidence < THRESHOLD:
        return "review"
    return "rejected" if label == "other" else "accepted"


def sample(generator: np.random.Generator, count: int) -> Iterator[tuple[str, float]]:
    """Pairs of label and confidence, distributed as in the baseline."""
    edges, shares = np.array(BASELINE.edges), np.array(BASELINE.confidence)
    bins = generator.choice(len(shares), count, p=shares / shares.sum())
    labels = list(BASELINE.labels)
    mix = np.array(list(BASELINE.labels.values()))
    names = generator.choice(labels, count, p=mix / mix.sum())
    yield from zip(
        names.tolist(), generator.uniform(edges[bins], edges[bins + 1]).tolist(), strict=True
    )


@dataclasses.dataclass
class Photos:
    """A population of photos; `correct` is the probability that the label is correct."""

    labels: np.ndarray
    confidence: np.ndarray
    novelty: np.ndarray
    correct: np.ndarray

    def __post_init__(self) -> None:
        self.hundredth = np.minimum(BINS - 1, (self.confidence * BINS + ROUNDING).astype(int))
        self.below = self.confidence < THRESHOLD
        self.rejected = ~self.below & (self.labels == "other")

    @property
    def accuracy(self) -> float:
        return float(self.correct.mean())

    @property
    def columns(self) -> tuple[np.ndarray, ...]:
        return self.labels, self.confidence, self.novelty, self.correct

    def take(self, chosen: np.ndarray) -> "Photos":
        return Photos(*(column[chosen] for column in self.columns))


def baseline_photos(count: int = 20_000) -> Photos:
    """Photos with the labels, confidence, novelty and accuracy of the baseline."""
    generator = np.random.default_rng(0)
    pairs = list(sample(generator, count))
    labels = np.array([label for label, _ in pairs])
    confidence = np.array([confidence for _, confidence in pairs])
    below = confidence < THRESHOLD
    measured = METADATA["baseline"]
    novelty = generator.normal(measured["mean_novelty"], measured["novelty_deviation"], count)
    correct = np.where(below, BASELINE.below_threshold.accuracy, BASELINE.above_threshold.accuracy)
    return Photos(labels, confidence, novelty.clip(0, 1), correct)


def harder(photos: Photos) -> Photos:
    """Some photos exchanged for photos below the threshold: accuracy falls by DROP."""
    low = np.flatnonzero(photos.below)
    share = DROP / (photos.accuracy - photos.correct[low].mean())
    generator = np.random.default_rng(1)
    chosen = np.arange(len(photos.labels))
    exchanged = generator.random(len(chosen)) < share
    chosen[exchanged] = generator.choice(low, exchanged.sum())
    return photos.take(chosen)


def silent(photos: Photos) -> Photos:
    """Accuracy falls by DROP, above and below the threshold; confidence and novelty stay."""
    return dataclasses.replace(photos, correct=photos.correct * (1 - DROP / photos.accuracy))


def silent_above_threshold(photos: Photos) -> Photos:
    """Accuracy falls by DROP, on photos above the threshold only; confidence and novelty stay."""
    share = 1 - photos.below.mean()
    lower = photos.correct - np.where(photos.below, 0, DROP / share)
    return dataclasses.replace(photos, correct=lower)


def make_hour(
    generator: np.random.Generator, photos: Photos, count: int, reviewing: Reviewing
) -> Window:
    """The counts of an hour: `count` photos of a population, drawn with replacement."""
    chosen = generator.integers(len(photos.labels), size=count)
    correct = generator.random(count) < photos.correct[chosen]
    below, rejected = photos.below[chosen], photos.rejected[chosen]
    is_reviewed = generator.random(count) < np.where(below, reviewing[1], reviewing[0])
    tally = Tally()
    names, counts = np.unique(photos.labels[chosen], return_counts=True)
    tally.labels = dict(zip(names.tolist(), counts.tolist(), strict=True))
    tally.confidence = np.bincount(photos.hundredth[chosen], minlength=BINS).tolist()
    tally.confidence_sum = float(photos.confidence[chosen].sum())
    novelty = photos.novelty[chosen]
    tally.novelty = Moments(count, float(novelty.sum()), float((novelty**2).sum()))
    parts = {"accepted": ~below & ~rejected, "review": below, "rejected": rejected}
    for name, part in parts.items():
        reviewed = part & is_reviewed
        tally.statuses[name] = Stratum(
            int(part.sum()), int(reviewed.sum()), int((reviewed & correct).sum())
        )
    return Window("2026-11-20T12", {NAME: tally})


def rate(hits: int, count: int) -> str:
    """A share and its 95% Wilson interval, in percent."""
    _, low, high = wilson_interval(hits / count, count)
    return f"{100 * hits / count:5.1f}% [{100 * low:.1f}, {100 * high:.1f}]"
