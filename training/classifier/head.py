"""The head: a linear classifier on features, and how much each photo counts."""

import dataclasses
from collections import Counter
from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression

from training.dataset.records import Photo

STRENGTH = 3.0  # inverse of the regularisation; chosen by leaving out sources


@dataclasses.dataclass(frozen=True)
class Head:
    """Logits of features x are weight @ x + bias."""

    weight: np.ndarray  # float32 [k, d]
    bias: np.ndarray  # float32 [k]

    def logits(self, features: np.ndarray) -> np.ndarray:
        return np.asarray(features @ self.weight.T + self.bias)


def photo_weights(photos: Sequence[Photo]) -> np.ndarray:
    """How much each photo counts, 1 on average [n].

    All labels count the same. Within a label, photos of one source and kind count together as the
    square root of their number, so that neither large sources nor common kinds decide alone.
    """
    keys = [(photo.label, photo.source, photo.kind) for photo in photos]
    sizes = Counter(keys)
    totals: Counter[str] = Counter()
    for (label, _, _), size in sizes.items():
        totals[label] += size**0.5
    weights = np.array([sizes[key] ** -0.5 / totals[key[0]] for key in keys])
    return np.asarray(weights * len(weights) / weights.sum())


def fit_head(features: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> Head:
    """Multinomial logistic regression on standardised features; `labels` are positions [n]."""
    mean, deviation = features.mean(0), features.std(0) + 1e-6
    model = LogisticRegression(C=STRENGTH / len(labels), max_iter=200)
    model.fit((features - mean) / deviation, labels, sample_weight=weights)
    weight, bias = model.coef_, model.intercept_
    if len(weight) == 1:  # of two labels, scikit-learn has one row
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    weight = weight / deviation
    return Head(weight.astype(np.float32), (bias - weight @ mean).astype(np.float32))
