"""Novelty: how unlike the photos that the model learned from a photo is, from 0 to 1."""

import dataclasses

import numpy as np

COMPONENTS = 64
RIDGE = 0.01  # of the mean variance, added to each: no direction counts without limit
LAST_WEIGHT = 0.6  # of the features' share; the rest is the middle features' share


@dataclasses.dataclass(frozen=True)
class Novelty:
    """The weighted mean of two shares.

    - The part of the squared distance of the features from their mean that is outside the
      principal components: the residual of ViM (Wang, Li, Feng and Zhang, CVPR 2022), relative to
      the whole. Unknown objects and views show here.
    - d / (1 + d) for the squared Mahalanobis distance d of the middle features (Lee, Lee, Lee and
      Shin, NeurIPS 2018). Darkness, blur and corrupted photos show here.
    """

    centre: np.ndarray  # [d]
    components: np.ndarray  # [c, d]
    middle_centre: np.ndarray  # [m]
    whitening: np.ndarray  # [m, m]

    def score(self, features: np.ndarray, middle: np.ndarray) -> np.ndarray:
        """Novelty [n] of features [n, d] and middle features [n, m]."""
        distances = features - self.centre
        explained = np.square(distances @ self.components.T).sum(1)
        unexplained = 1 - explained / np.maximum(np.square(distances).sum(1), 1e-12)
        deviation = np.square((middle - self.middle_centre) @ self.whitening).mean(1)
        strange = deviation / (1 + deviation)
        return np.asarray(LAST_WEIGHT * np.clip(unexplained, 0, 1) + (1 - LAST_WEIGHT) * strange)


def fit_novelty(features: np.ndarray, middle: np.ndarray) -> Novelty:
    """Learn from the features of photos that are trained on."""
    centre, middle_centre = features.mean(0), middle.mean(0)
    count = min(COMPONENTS, len(features) - 1)
    _, vectors = np.linalg.eigh(np.cov((features - centre).T))  # ascending eigenvalues
    covariance = np.cov(middle.T)
    covariance += RIDGE * covariance.diagonal().mean() * np.eye(len(covariance))
    arrays = (
        centre,
        vectors[:, ::-1][:, :count].T,
        middle_centre,
        np.linalg.cholesky(np.linalg.inv(covariance)),
    )
    return Novelty(*(np.ascontiguousarray(each, dtype=np.float32) for each in arrays))
