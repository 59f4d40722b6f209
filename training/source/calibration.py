"""How far to trust a prediction: temperature, expected calibration error, threshold."""

import dataclasses

import numpy as np

from training.source.network import LABELS

OTHER = LABELS.index("other")
CONFIDENCE_EDGES = [0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0]

ACCEPTED_ACCURACY = 0.99  # what the threshold must reach on validation
# The share of non-vehicles that may pass as a vehicle, on validation. It is half of the 1% that is
# promised: a threshold does better on the photos that it was chosen on than on others.
OTHER_ACCEPTED = 0.005


@dataclasses.dataclass(frozen=True)
class Operation:
    """What a threshold does; shares are between 0 and 1.

    An answer is accepted if it names a vehicle with at least the threshold's confidence.
    """

    threshold: float
    coverage: float  # of the vehicles: share accepted, rightly or wrongly
    accuracy: float  # of the accepted vehicles: share named right
    other_accepted: float  # of the non-vehicles: share accepted as a vehicle


def softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature that minimises the negative log-likelihood (Guo et al., 2017)."""
    candidates = np.geomspace(0.25, 4.0, 401)
    losses = [
        -np.log(softmax(logits / t)[np.arange(len(labels)), labels] + 1e-12).mean()
        for t in candidates
    ]
    return float(candidates[int(np.argmin(losses))])


def expected_calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, bins: int = 15
) -> float:
    """The gap between confidence and accuracy, averaged over equal-width confidence bins."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        abs(confidence[index == at].mean() - right[index == at].mean()) * (index == at).mean()
        for at in range(bins)
        if (index == at).any()
    ]
    return float(sum(gaps))


def operate(probabilities: np.ndarray, labels: np.ndarray, threshold: float) -> Operation:
    """Coverage, accuracy and false accepts at a threshold."""
    named = probabilities.argmax(axis=1)
    accepted = (named != OTHER) & (probabilities.max(axis=1) >= threshold)
    vehicle = labels != OTHER
    return Operation(
        threshold=threshold,
        coverage=float(accepted[vehicle].mean()),
        accuracy=_share((named == labels)[vehicle & accepted]),
        other_accepted=float(accepted[~vehicle].mean()),
    )


def coverage_curve(probabilities: np.ndarray, labels: np.ndarray) -> list[Operation]:
    """Operations at thresholds from 0.50 to 0.995 in steps of 0.005."""
    return [
        operate(probabilities, labels, round(threshold, 3))
        for threshold in np.arange(0.5, 0.9975, 0.005)
    ]


def choose_threshold(curve: list[Operation]) -> float:
    """The lowest threshold from which on both promises are kept, or the highest if none keeps them.

    They are ACCEPTED_ACCURACY and OTHER_ACCEPTED.
    """
    good = curve[-1].threshold
    for operation in reversed(curve):
        if operation.accuracy < ACCEPTED_ACCURACY or operation.other_accepted > OTHER_ACCEPTED:
            break
        good = operation.threshold
    return good


def baseline(
    probabilities: np.ndarray, novelty: np.ndarray, labels: np.ndarray, threshold: float
) -> dict[str, object]:
    """What predictions look like while nothing is wrong: drift is measured against it.

    Shares are between 0 and 1: of each named label, of each bin of the confidence, of each status
    that the threshold gives (as functions/filter_inferences does), and of the answers that are
    right in each status, None where it has none. Of the novelty, mean and standard deviation.
    """
    named, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    counts = np.bincount(named, minlength=len(LABELS))
    histogram, _ = np.histogram(confidence, CONFIDENCE_EDGES)
    status = np.where(confidence < threshold, "review", "accepted")
    status[(confidence >= threshold) & (named == OTHER)] = "rejected"
    return {
        "count": len(probabilities),
        "labels": dict(zip(LABELS, (counts / counts.sum()).round(4).tolist(), strict=True)),
        "confidence_edges": CONFIDENCE_EDGES,
        "confidence": (histogram / histogram.sum()).round(4).tolist(),
        "mean_confidence": round(float(confidence.mean()), 4),
        "mean_novelty": round(float(novelty.mean()), 4),
        "novelty_deviation": round(float(novelty.std()), 4),
        "accuracy": round(float((named == labels).mean()), 4),
        "statuses": {
            name: {
                "share": round(float((status == name).mean()), 4),
                "accuracy": round(float((named == labels)[status == name].mean()), 4)
                if (status == name).any()
                else None,
            }
            for name in ("accepted", "review", "rejected")
        },
    }


def _share(right: np.ndarray) -> float:
    return float(right.mean()) if len(right) else 1.0
