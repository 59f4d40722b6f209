"""The stages of a training run that see photos, from their features to their novelty."""

import dataclasses
import hashlib
import math
from collections import Counter
from pathlib import Path

import numpy as np

from training import report
from training.classifier import backbone, calibration, features, fine_tuning, leave_out
from training.classifier.calibration import Predictions
from training.classifier.features import Network, OnnxNetwork, TorchNetwork
from training.classifier.fine_tuning import FineTuning
from training.classifier.head import Head, fit_head
from training.classifier.novelty import Novelty, fit_novelty
from training.dataset.records import OTHER, Dataset, Photo

EXPORT_TOLERANCE = 0.03  # largest difference in probability: the file has 16-bit weights
CHECKED_PHOTOS = 64
FAMILIAR_PHOTOS = 1000  # trained on, at most, that say what is not novel
LEAST_OF_KIND = 50  # photos of a kind of `other` that is left out


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a training run needs."""

    dataset: Path
    model_dir: Path
    output_dir: Path = Path("build/training")  # the report goes there
    cache_dir: Path = Path("build/cache")  # features and checkpoints
    name: str = "scones-vehicle-classifier"
    version: str = "1.0.0"
    backbone: str = "tf_efficientnet_lite2"  # a model of timm, or the folder of a model made here
    input_size: int = 224  # pixels
    fine_tuning: FineTuning | None = None
    folds: int = leave_out.FOLDS


@dataclasses.dataclass(frozen=True)
class Photos:
    """The photos of the train split, with all that the stages need."""

    rows: list[Photo]
    truth: np.ndarray  # positions of labels [n]
    weights: np.ndarray  # [n]

    def at(self, positions: np.ndarray) -> "Photos":
        return Photos(
            [self.rows[at] for at in positions], self.truth[positions], self.weights[positions]
        )


@dataclasses.dataclass(frozen=True)
class LeftOut:
    """Answers to each photo of models that never saw its source."""

    logits: np.ndarray  # [n, k]
    head_logits: np.ndarray  # [n, k], before fine-tuning
    novelty: np.ndarray  # [n]


class Trainer:
    """The stages of one training run."""

    def __init__(self, settings: Settings, dataset: Dataset) -> None:
        self.settings = settings
        self.dataset = dataset
        folder = Path(settings.backbone)
        self.start: Network
        if (folder / "model.onnx").is_file():
            if settings.fine_tuning:
                raise ValueError(
                    f"{folder} can only get a new head: fine-tune a backbone by name, "
                    f"such as {Settings.backbone}"
                )
            self.start = OnnxNetwork(folder / "model.onnx")
        else:
            pretrained = TorchNetwork(backbone.load_backbone(settings.backbone))
            # On a CPU, ONNX Runtime computes features three times as fast as PyTorch.
            self.start = (
                pretrained if settings.fine_tuning else OnnxNetwork(self.export(pretrained))
            )

    def features(self, network: Network, rows: list[Photo]) -> np.ndarray:
        """Features and middle features of photos [n, d + m]."""
        size, cache = self.settings.input_size, self.settings.cache_dir
        return features.compute(network, self.dataset, rows, size, cache)

    def fit_head(self, photos: Photos, values: np.ndarray) -> Head:
        return fit_head(values[:, : self.start.width], photos.truth, photos.weights)

    def fine_tune(self, photos: Photos, head: Head) -> tuple[Network, Head]:
        """The fine-tuned network and head; the start and `head` if the settings ask for none."""
        if self.settings.fine_tuning is None:
            return self.start, head
        if not isinstance(self.start, TorchNetwork):
            raise TypeError("only a PyTorch backbone can be fine-tuned")
        tuned, tuned_head = fine_tuning.fine_tune(
            self.start.backbone,
            head,
            self.dataset,
            photos.rows,
            photos.weights,
            self.settings.fine_tuning,
            self.settings.cache_dir / f"fine-tuning-{self.run_digest(photos)}.pt",
        )
        return TorchNetwork(tuned), tuned_head

    def run_digest(self, photos: Photos) -> str:
        """What a checkpoint belongs to: the start, the settings and the photos of a run."""
        content = [self.start.digest, str(self.settings.fine_tuning)]
        content += [f"{photo.id} {photo.label}" for photo in photos.rows]
        return hashlib.sha256("\n".join(content).encode()).hexdigest()[:12]

    def leave_sources_out(
        self, photos: Photos, values: np.ndarray
    ) -> tuple[LeftOut, list[tuple[Network, Head]]]:
        """Train without each fold of the sources, and classify the photos of that fold.

        Returns the models as well, one for each fold.
        """
        shape = (len(photos.rows), len(self.dataset.labels))
        logits, head_logits = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        novelty = np.zeros(len(photos.rows), np.float32)
        models = []
        folds = list(leave_out.folds(photos.rows, photos.truth, self.settings.folds))
        for number, (kept, left_out) in enumerate(folds, 1):
            print(f"fold {number} of {len(folds)} left out", flush=True)
            head = self.fit_head(photos.at(kept), values[kept])
            head_logits[left_out] = head.logits(values[left_out, : self.start.width])
            network, head = self.fine_tune(photos.at(kept), head)
            new = self.features(network, [photos.rows[at] for at in left_out])
            logits[left_out] = head.logits(new[:, : network.width])
            familiar = self.novelty(network, [photos.rows[at] for at in kept])
            novelty[left_out] = familiar.score(new[:, : network.width], new[:, network.width :])
            models.append((network, head))
        return LeftOut(logits, head_logits, novelty), models

    def final(
        self, photos: Photos, values: np.ndarray, models: list[tuple[Network, Head]]
    ) -> tuple[Network, Head]:
        """What ships: a head fitted to all photos, or the average of the fine-tuned models.

        All sources are in the average: each fold trained all but one of its parts.
        """
        if self.settings.fine_tuning is None:
            return self.start, self.fit_head(photos, values)
        tuned = [(each.backbone, head) for each, head in models if isinstance(each, TorchNetwork)]
        backbone_, head = fine_tuning.average(tuned)
        return TorchNetwork(backbone_), head

    def novelty(self, network: Network, rows: list[Photo]) -> Novelty:
        """What is familiar to a network that was trained on these photos."""
        values = self.features(network, rows[:: math.ceil(len(rows) / FAMILIAR_PHOTOS)])
        return fit_novelty(values[:, : network.width], values[:, network.width :])

    def unknown_kinds(
        self, photos: Photos, values: np.ndarray, left_out: LeftOut
    ) -> dict[str, dict[str, float]]:
        """The share of each kind of `other` that a head that never saw it accepts as a label.

        The backbone is not fine-tuned: it would have to be for each kind.
        """
        labels = self.dataset.labels
        logits = left_out.head_logits
        temperature = calibration.fit_temperature(logits, photos.truth)
        before = Predictions(calibration.softmax(logits, temperature), photos.truth, labels)
        threshold = calibration.choose_threshold(calibration.coverage_curve(before))
        kinds = Counter(photo.kind for photo in photos.rows if photo.label == OTHER and photo.kind)
        accepted = {}
        for kind, count in sorted(kinds.items()):
            if count < LEAST_OF_KIND:
                continue
            of_kind = np.array(
                [photo.label == OTHER and photo.kind == kind for photo in photos.rows]
            )
            rest = np.flatnonzero(~of_kind)
            head = self.fit_head(photos.at(rest), values[rest])
            logits = head.logits(values[of_kind, : self.start.width])
            predictions = Predictions(
                calibration.softmax(logits, temperature), photos.truth[of_kind], labels
            )
            accepted[kind] = report.share(predictions.accepted(threshold))
        return accepted

    def export(self, network: TorchNetwork) -> Path:
        """The backbone as ONNX, without a head."""
        size = self.settings.input_size
        path = self.settings.cache_dir / f"backbone-{network.digest}-{size}.onnx"
        if not path.is_file():
            backbone.export_backbone(network.backbone.cpu(), size, path)
        return path

    def onnx_file(self, network: Network) -> Path:
        """The network as ONNX, without a head or with an earlier one."""
        if isinstance(network, OnnxNetwork):
            return network.path
        if not isinstance(network, TorchNetwork):
            raise TypeError("only a PyTorch backbone can be exported")
        return self.export(network)

    def check_export(
        self, path: Path, network: Network, head: Head, temperature: float, rows: list[Photo]
    ) -> None:
        """Compare the probabilities of model.onnx with those of the trained model."""
        sample = rows[:: math.ceil(len(rows) / CHECKED_PHOTOS)]
        images = features.read_images(self.dataset, sample, self.settings.input_size)
        if isinstance(network, TorchNetwork):
            network = TorchNetwork(network.backbone, exact=True)
        logits = head.logits(network.run(images)[:, : network.width])
        expected = calibration.softmax(logits, temperature)
        difference = float(np.abs(OnnxNetwork(path).probabilities(images) - expected).max())
        print(f"export onnx_difference={difference:.4f}", flush=True)
        if difference > EXPORT_TOLERANCE:
            raise RuntimeError(f"{path} differs from the trained network by {difference:.3f}")
