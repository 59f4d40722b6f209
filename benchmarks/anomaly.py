"""Compare the classifier with anomaly scores that learn from intact photos only.

    make .venv-training/training
    .venv-training/bin/python -m benchmarks.anomaly --photos ../shared/data/scones

Repeated stratified cross-validation on the photos of two labels:

- classifier: the linear head of training/classifier on the features of the backbone; it learns from
  both labels and decides at probability 0.5
- PaDiM (Defard et al., ICPR 2020): a Gaussian for each position of the middle layers; the score of
  a photo is the largest Mahalanobis distance of its positions
- PatchCore (Roth et al., CVPR 2022) with the whole memory bank: the score of a photo is the largest
  distance of its patches from the nearest patch of an intact photo

The threshold of the scores is the most accurate one on the training photos of a fold, each scored
by a model that was not fitted on it.
"""

import argparse
import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d
from tqdm import tqdm

from functions.serialize_image.photo import shrink
from serving.preprocess import preprocess
from training.classifier.backbone import load_backbone
from training.classifier.head import fit_head
from training.report import table

BATCH = 8  # photos
LAYERS = (2, 3)  # of the backbone: strides of 8 and 16 pixels
PADIM_CHANNELS = 100  # drawn at random, as in the paper
RIDGE = 0.01  # added to PaDiM's variances, as in the paper

Scores = Callable[[np.ndarray, np.ndarray], np.ndarray]  # intact photos, photos: scores
Method = Callable[[np.ndarray, np.ndarray], np.ndarray]  # train, test: positive if broken


def read_features(files: list[Path], size: int) -> tuple[np.ndarray, np.ndarray]:
    """Features [n, d] and patches [n, p, c] of photos as the workflow sends them."""
    backbone = load_backbone("tf_efficientnet_lite2")
    last, patches = [], []
    for start in tqdm(range(0, len(files), BATCH), desc="features", disable=None):
        photos = [preprocess(shrink(file.read_bytes()), size) for file in files[start:][:BATCH]]
        images = torch.from_numpy(np.concatenate(photos))
        with torch.inference_mode():
            last.append(backbone(images)[0].numpy())
            normalised = (images - backbone.mean) / backbone.std
            maps = backbone.network.forward_intermediates(
                normalised, indices=list(LAYERS), intermediates_only=True
            )
            smooth = [avg_pool2d(each, 3, 1, 1) for each in maps]  # neighbourhoods
            side = (smooth[-1].shape[2], smooth[-1].shape[3])
            joined = torch.cat([adaptive_avg_pool2d(each, side) for each in smooth], 1)
        patches.append(joined.flatten(2).transpose(1, 2).numpy())
    return np.concatenate(last), np.concatenate(patches)


def patchcore(patches: np.ndarray, intact: np.ndarray) -> Scores:
    """PatchCore's scores, from the distances between all photos and the intact ones."""
    nearest = np.zeros((len(patches), len(patches), patches.shape[1]), np.float32)
    squares = np.square(patches).sum(2)
    for at, own in enumerate(tqdm(patches, desc="distances", disable=None)):
        for other in np.flatnonzero(intact):
            products = own @ patches[other].T
            nearest[at, other] = (squares[other] - 2 * products).min(1) + squares[at]

    def scores(known: np.ndarray, positions: np.ndarray) -> np.ndarray:
        distances = nearest[np.ix_(positions, known)].min(1)
        return np.asarray(np.sqrt(np.maximum(distances, 0)).max(1))

    return scores


def padim(patches: np.ndarray) -> Scores:
    """PaDiM's scores: a Gaussian is fitted for each call."""
    chosen = np.random.default_rng(0).permutation(patches.shape[2])[:PADIM_CHANNELS]
    values = patches[:, :, chosen].transpose(1, 0, 2)  # [p, n, c]

    def scores(known: np.ndarray, positions: np.ndarray) -> np.ndarray:
        mean = values[:, known].mean(1, keepdims=True)
        centred = values[:, known] - mean
        covariance = centred.transpose(0, 2, 1) @ centred / (len(known) - 1)
        inverse = np.linalg.inv(covariance + RIDGE * np.eye(len(chosen)))
        distance = values[:, positions] - mean
        return np.asarray(np.sqrt(np.maximum((distance @ inverse * distance).sum(2), 0)).max(0))

    return scores


def with_threshold(
    scores: Scores, broken: np.ndarray, train: np.ndarray, test: np.ndarray
) -> np.ndarray:
    """Scores of `test` minus the most accurate threshold on `train`: positive means broken."""
    inner = np.zeros(len(train))
    for known, left_out in StratifiedKFold(5).split(train, broken[train]):
        inner[left_out] = scores(train[known][~broken[train[known]]], train[left_out])
    ordered = np.sort(inner)
    candidates = (ordered[1:] + ordered[:-1]) / 2
    accuracy = [((inner > each) == broken[train]).mean() for each in candidates]
    return np.asarray(scores(train[~broken[train]], test) - candidates[np.argmax(accuracy)])


def cross_validated(method: Method, broken: np.ndarray, rounds: int, folds: int) -> list[str]:
    """AUROC, accuracy, and the mistakes of each kind: means over the rounds."""
    results = np.zeros((rounds, len(broken)))
    for seed in range(rounds):
        splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
        for train, test in splitter.split(broken, broken):
            results[seed, test] = method(train, test)
    wrong = (results > 0) != broken
    accuracy = 100 * (1 - wrong.mean(1))
    return [
        f"{np.mean([roc_auc_score(broken, each) for each in results]):.3f}",
        f"{accuracy.mean():.1f}% ({accuracy.min():.1f} to {accuracy.max():.1f})",
        f"{wrong[:, broken].sum(1).mean():.1f} of {broken.sum()}",
        f"{wrong[:, ~broken].sum(1).mean():.1f} of {(~broken).sum()}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare the classifier with anomaly scores.")
    parser.add_argument("--photos", type=Path, required=True, help="folder with two labels")
    parser.add_argument("--intact", default="intact", help="label of intact ones (%(default)s)")
    parser.add_argument("--input-size", type=int, default=320, help="pixels (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="of cross-validation (%(default)s)")
    parser.add_argument("--folds", type=int, default=10, help="of each round (%(default)s)")
    arguments = parser.parse_args()
    files = sorted(arguments.photos.glob("*/*.jpg"))
    broken = np.array([file.parent.name != arguments.intact for file in files])
    features, patches = read_features(files, arguments.input_size)

    def classifier(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        head = fit_head(features[train], broken[train].astype(int), np.ones(len(train)))
        return np.asarray(np.diff(head.logits(features[test]), axis=1)[:, 0])

    anomaly = {"PaDiM": padim(patches), "PatchCore": patchcore(patches, ~broken)}
    methods: dict[str, Method] = {"classifier": classifier} | {
        name: functools.partial(with_threshold, scores, broken) for name, scores in anomaly.items()
    }
    rows = [
        [name, *cross_validated(method, broken, arguments.rounds, arguments.folds)]
        for name, method in methods.items()
    ]
    header = ["method", "AUROC", "accuracy (rounds)", "broken as intact", "intact as broken"]
    print(table(header, rows))


if __name__ == "__main__":
    main()
