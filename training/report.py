"""What a model does on photos, as numbers with 95% intervals and as Markdown."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

from training.classifier.calibration import (
    PRECISION,
    Predictions,
    coverage_curve,
    expected_calibration_error,
    operate,
)
from training.dataset.records import THUMBNAIL, Photo

BOOTSTRAP_ROUNDS = 500
LEAST_OF_SOURCE = 20  # photos; the accuracy of a source with fewer says little

# The measures of a report, in its order. "Photos of a label" are those that do not show `other`.
MEASURES = {
    "accuracy": "photos of a label classified correctly, `other` left aside",
    "accuracy_all": "all photos classified correctly, `other` included",
    "coverage": "photos of a label accepted at the threshold (coverage)",
    "precision": "of these, classified correctly (precision)",
    "other_accepted": "photos of `other` accepted at the threshold",
    "expected_calibration_error": "expected calibration error",
}


def share(values: np.ndarray) -> dict[str, float]:
    """A share of true values with its Wilson interval."""
    count, correct = len(values), int(values.sum())
    interval = binomtest(correct, max(count, 1)).proportion_ci(method="wilson")
    return {
        "value": round(correct / count, 4) if count else 0.0,
        "low": round(float(interval.low), 4) if count else 0.0,
        "high": round(float(interval.high), 4) if count else 1.0,
        "count": count,
    }


def bootstrapped(
    predictions: Predictions, statistic: Callable[[Predictions], float]
) -> dict[str, float]:
    """A value with its interval: percentiles over photos drawn with replacement (Efron, 1979)."""
    random = np.random.default_rng(0)
    count = len(predictions.truth)
    values = [
        statistic(predictions.where(random.integers(0, count, count)))
        for _ in range(BOOTSTRAP_ROUNDS)
    ]
    low, high = np.percentile(values, [2.5, 97.5])
    entry = {"value": statistic(predictions), "low": float(low), "high": float(high)}
    return {name: round(value, 4) for name, value in entry.items()}


def measure(predictions: Predictions, threshold: float) -> dict[str, dict[str, float]]:
    """The measures of MEASURES."""
    accepted, other = predictions.accepted(threshold), predictions.shows_other
    measures = {
        "accuracy": share(predictions.told_apart()[~other]),
        "accuracy_all": share(predictions.correct),
        "coverage": share(accepted[~other]),
        "precision": share(predictions.correct[~other & accepted]),
        "other_accepted": share(accepted[other]),
        "expected_calibration_error": bootstrapped(predictions, expected_calibration_error),
    }
    if not other.any():
        del measures["other_accepted"]
    return measures


def coverage_at_precision(predictions: Predictions) -> dict[str, float]:
    """The lowest threshold from which on the precision holds, with what it covers and accepts."""
    curve = coverage_curve(predictions)
    chosen = curve[-1]
    for operation in reversed(curve):
        if operation.precision < PRECISION:
            break
        chosen = operation
    covered = predictions.accepted(chosen.threshold)[~predictions.shows_other]
    return share(covered) | {
        "threshold": chosen.threshold,
        "precision": round(chosen.precision, 4),
        "other_accepted": round(chosen.other_accepted, 4),
    }


def by(predictions: Predictions, photos: Sequence[Photo], attribute: str) -> dict[str, Predictions]:
    """Predictions for each value of an attribute of the photos, such as their source."""
    positions = defaultdict(list)
    for at, photo in enumerate(photos):
        positions[str(getattr(photo, attribute))].append(at)
    return {
        value: predictions.where(np.array(chosen)) for value, chosen in sorted(positions.items())
    }


def spread_over_sources(
    predictions: Predictions, photos: Sequence[Photo]
) -> dict[str, float] | None:
    """How much the accuracy differs between sources; None if fewer than two are large enough."""
    accuracies = [
        float(part.told_apart()[~part.shows_other].mean())
        for part in by(predictions, photos, "source").values()
        if (~part.shows_other).sum() >= LEAST_OF_SOURCE
    ]
    if len(accuracies) < 2:  # noqa: PLR2004
        return None
    return {
        "sources": len(accuracies),
        "mean": round(float(np.mean(accuracies)), 4),
        "standard_deviation": round(float(np.std(accuracies, ddof=1)), 4),
        "lowest": round(min(accuracies), 4),
    }


# ---------------------------------------------------------------- Markdown


def fill_card(card: Path, part: str, text: str) -> None:
    """Replace a part of a model card, which is between two comments. A card without it stays."""
    start, end = f"<!-- {part}: start -->", f"<!-- {part}: end -->"
    before, found, rest = card.read_text().partition(start)
    if found:
        _, _, after = rest.partition(end)
        card.write_text(f"{before}{start}\n{text.strip()}\n{end}{after}")


def percent(entry: dict[str, float]) -> str:
    """A share as `98.7% [98.1, 99.1] (1073/1087)`; another value as `0.012 [0.008, 0.015]`."""
    if "count" not in entry:
        return f"{entry['value']:.3f} [{entry['low']:.3f}, {entry['high']:.3f}]"
    if not entry["count"]:
        return ""
    correct = round(entry["value"] * entry["count"])
    return (
        f"{100 * entry['value']:.1f}% [{100 * entry['low']:.1f}, {100 * entry['high']:.1f}] "
        f"({correct}/{entry['count']})"
    )


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def measures_table(columns: dict[str, dict[str, dict[str, float]]]) -> str:
    """The measures of one or more models or sets of photos, a column for each."""
    rows = [
        [
            text,
            *(percent(measures[name]) if name in measures else "" for measures in columns.values()),
        ]
        for name, text in MEASURES.items()
        if any(name in measures for measures in columns.values())
    ]
    return table(["measure", *columns], rows)


def grouped_table(
    predictions: Predictions, photos: Sequence[Photo], attribute: str, threshold: float
) -> str:
    """A row for each value of an attribute: accuracy, coverage, accepted photos of `other`."""
    rows = []
    for value, part in by(predictions, photos, attribute).items():
        other, accepted = part.shows_other, part.accepted(threshold)
        rows.append(
            [
                value,
                percent(share(part.told_apart()[~other])),
                percent(share(accepted[~other])),
                percent(share(part.correct[~other & accepted])),
                percent(share(accepted[other])),
            ]
        )
    header = ["accuracy", "accepted", "precision", "`other` accepted"]
    return table([attribute, *header], rows)


def threshold_table(predictions: Predictions, chosen: float) -> str:
    """What other thresholds would do."""
    thresholds = sorted({0.7, 0.8, 0.85, 0.9, 0.95, 0.98, chosen})
    rows = [
        [
            f"**{at}**" if at == chosen else str(at),
            *(
                f"{100 * value:.1f}%"
                for value in (operation.coverage, operation.precision, operation.other_accepted)
            ),
        ]
        for at in thresholds
        for operation in [operate(predictions, at)]
    ]
    return table(["threshold", "accepted", "precision", "`other` accepted"], rows)


def confusion_table(predictions: Predictions) -> str:
    counts = np.zeros((len(predictions.labels),) * 2, int)
    np.add.at(counts, (predictions.truth, predictions.predicted), 1)
    rows = [
        [label, *map(str, line.tolist())]
        for label, line in zip(predictions.labels, counts, strict=True)
    ]
    return table(["shows \\ predicted", *predictions.labels], rows)


def origin_of(photos: Sequence[Photo], threshold: float, *, sources_known: bool) -> str:
    """What the numbers of a report are measured on."""
    if sources_known:
        origin = (
            "Each photo was classified by a model that never saw its source. "
            f"Threshold {threshold}, 95% intervals."
        )
    else:
        origin = (
            "**Warning: the photos do not name two sources for each label. These numbers say what "
            "the model does on more photos of the same sources. Nobody knows how it does on new "
            "ones; expect less.** Name sources with folders, such as bicycle/shop-a/1.jpg. "
            f"Threshold {threshold}, 95% intervals."
        )
    if any(photo.style == THUMBNAIL for photo in photos):
        origin += (
            " Thumbnails are trained on. They are in the tables by source and by style, and in no "
            "other number."
        )
    return origin


def left_out_report(
    predictions: Predictions,
    photos: Sequence[Photo],
    threshold: float,
    metrics: dict[str, Any],
    *,
    sources_known: bool,
) -> str:
    """The report of a training run: what the model does on sources that it never saw.

    `metrics` do not count thumbnails; the tables do.
    """
    at_precision = metrics["coverage_at_99_precision"]
    parts = [
        origin_of(photos, threshold, sources_known=sources_known),
        measures_table({"left-out sources" if sources_known else "left-out photos": metrics}),
        (
            f"At 99% precision (threshold {at_precision['threshold']}) the model accepts "
            f"{percent(at_precision)} of the photos of a label."
        ),
    ]
    if spread := metrics.get("spread"):
        parts.append(
            f"Accuracy over {spread['sources']} sources with at least {LEAST_OF_SOURCE} photos of "
            f"a label: mean {100 * spread['mean']:.1f}%, standard deviation "
            f"{100 * spread['standard_deviation']:.1f} points, "
            f"lowest {100 * spread['lowest']:.1f}%."
        )
    sent = np.array([photo.style != THUMBNAIL for photo in photos])
    parts.append(threshold_table(predictions.where(sent), threshold))
    if sources_known:
        parts.append(grouped_table(predictions, photos, "source", threshold))
    parts.append(grouped_table(predictions, photos, "style", threshold))
    if kinds := metrics.get("unknown_kinds"):
        rows = [[kind, percent(entry)] for kind, entry in kinds.items()]
        parts.append(
            "Kinds of `other` that a head was not trained on, in turn, without fine-tuning:\n\n"
            + table(["kind", "accepted as a label"], rows)
        )
    parts.append(confusion_table(predictions.where(sent)))
    return "\n\n".join(parts) + "\n"
