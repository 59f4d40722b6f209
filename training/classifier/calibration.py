"""How far to trust a prediction: temperature, expected calibration error, threshold, baseline."""

import dataclasses

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from training.dataset.records import OTHER

CONFIDENCE_EDGES = [0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0]
THRESHOLDS = np.arange(0.5, 0.9975, 0.005).round(3)

PRECISION = 0.99  # share of accepted photos of a label that must be classified correctly
OTHER_ACCEPTED = 0.01  # share of photos of `other` that may be accepted as a label


@dataclasses.dataclass(frozen=True)
class Predictions:
    """Probabilities of photos and what they show.

    A photo is accepted if its most probable label is not `other` and has at least the threshold's
    probability.
    """

    probabilities: np.ndarray  # [n, k]
    truth: np.ndarray  # positions of labels [n]
    labels: list[str]

    @property
    def predicted(self) -> np.ndarray:
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def confidence(self) -> np.ndarray:
        return np.asarray(self.probabilities.max(axis=1))

    @property
    def correct(self) -> np.ndarray:
        return np.asarray(self.predicted == self.truth)

    @property
    def shows_other(self) -> np.ndarray:
        """Whether the photo shows none of the labels."""
        return np.asarray(self.truth == self._other)

    @property
    def predicts_other(self) -> np.ndarray:
        return np.asarray(self.predicted == self._other)

    @property
    def _other(self) -> int:
        return self.labels.index(OTHER) if OTHER in self.labels else -1

    def told_apart(self) -> np.ndarray:
        """Whether the correct label is the most probable one if `other` is left aside [n]."""
        ranked = self.probabilities.copy()
        if OTHER in self.labels:
            ranked[:, self._other] = -1
        return np.asarray(ranked.argmax(axis=1) == self.truth)

    def accepted(self, threshold: float) -> np.ndarray:
        return ~self.predicts_other & (self.confidence >= threshold)

    def where(self, chosen: np.ndarray) -> "Predictions":
        """The photos that a mask or positions choose."""
        return Predictions(self.probabilities[chosen], self.truth[chosen], self.labels)


@dataclasses.dataclass(frozen=True)
class Operation:
    """What a threshold does, as shares from 0 to 1."""

    threshold: float
    coverage: float  # of the photos that show a label: share accepted
    precision: float  # of these: share classified correctly
    other_accepted: float  # of the photos that show `other`: share accepted as a label


def softmax(logits: np.ndarray, temperature: float) -> np.ndarray:
    return np.asarray(np.exp(log_softmax(logits / temperature, axis=1)))


def fit_temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """The temperature that minimises the negative log-likelihood (Guo et al., ICML 2017)."""

    def loss(logarithm: float) -> float:
        scaled = log_softmax(logits / np.exp(logarithm), axis=1)
        return -float(scaled[np.arange(len(truth)), truth].mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-2, 2), method="bounded").x))


def expected_calibration_error(predictions: Predictions, bins: int = 15) -> float:
    """The gap between confidence and accuracy, averaged over equal-width confidence bins."""
    confidence, correct = predictions.confidence, predictions.correct
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        abs(confidence[index == at].mean() - correct[index == at].mean()) * (index == at).mean()
        for at in range(bins)
        if (index == at).any()
    ]
    return float(sum(gaps))


def operate(predictions: Predictions, threshold: float) -> Operation:
    """Coverage, precision and false acceptance at a threshold."""
    accepted, other = predictions.accepted(threshold), predictions.shows_other
    return Operation(
        threshold=float(threshold),
        coverage=_share(accepted[~other]),
        precision=_share(predictions.correct[~other & accepted], of_none=1.0),
        other_accepted=_share(accepted[other]),
    )


def coverage_curve(predictions: Predictions) -> list[Operation]:
    return [operate(predictions, threshold) for threshold in THRESHOLDS]


def choose_threshold(curve: list[Operation]) -> float:
    """The lowest threshold from which on PRECISION and OTHER_ACCEPTED are kept.

    If none keeps them, the highest.
    """
    lowest = curve[-1].threshold
    for operation in reversed(curve):
        if operation.precision < PRECISION or operation.other_accepted > OTHER_ACCEPTED:
            break
        lowest = operation.threshold
    return lowest


def baseline(predictions: Predictions, novelty: np.ndarray, threshold: float) -> dict[str, object]:
    """What predictions look like while nothing is wrong: MeasureDrift compares with it.

    Shares from 0 to 1 of each predicted label, of each bin of the confidence, and of each status
    that the threshold gives (as in functions/filter_inferences); accuracy of each status, None
    without photos; mean and standard deviation of the novelty.
    """
    confidence, correct = predictions.confidence, predictions.correct
    shares = np.bincount(predictions.predicted, minlength=len(predictions.labels))
    histogram, _ = np.histogram(confidence, CONFIDENCE_EDGES)
    status = np.where(confidence < threshold, "review", "accepted")
    status[(confidence >= threshold) & predictions.predicts_other] = "rejected"
    return {
        "count": len(confidence),
        "labels": {
            label: round(float(share), 4)
            for label, share in zip(predictions.labels, shares / shares.sum(), strict=True)
        },
        "confidence_edges": CONFIDENCE_EDGES,
        "confidence": (histogram / histogram.sum()).round(4).tolist(),
        "mean_confidence": round(float(confidence.mean()), 4),
        "mean_novelty": round(float(novelty.mean()), 4),
        "novelty_deviation": round(float(novelty.std()), 4),
        "accuracy": round(float(correct.mean()), 4),
        "statuses": {
            name: {
                "share": round(float((status == name).mean()), 4),
                "accuracy": round(float(correct[status == name].mean()), 4)
                if (status == name).any()
                else None,
            }
            for name in ("accepted", "review", "rejected")
        },
    }


def _share(values: np.ndarray, of_none: float = 0.0) -> float:
    return float(values.mean()) if len(values) else of_none
