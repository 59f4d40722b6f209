"""Train a classifier of photos for the labels of a dataset, and export it for serving.

    python -m training.classifier.train                 # a new head on cached features: minutes
    python -m training.classifier.train --fine-tune 300 # and gentle fine-tuning: for a GPU
    python -m training.classifier.train --backbone models/vehicles   # a new head on this model

The stages, in this order:

1. features     of all photos, by the backbone; cached
2. head         a linear classifier on the features
3. fine-tuning  of the backbone's last stages, averaged with the start (--fine-tune)
4. calibration  a temperature for probabilities that say how often they are correct
5. threshold    the lowest confidence that keeps the precision
6. novelty      how unlike the training photos a photo is
7. export       model.onnx and metadata.json in --model-dir

Stages 2 and 3 run once for each fold of the sources, which is then left out, and once with all
photos. Calibration, threshold and report see photos of left-out sources only, and no thumbnails,
because nobody sends them. The test split is never read.

Runs in a SageMaker PyTorch training container (its environment variables are the defaults) and on
a laptop. Needs a dataset of training/dataset/stage.py.
"""

import argparse
import dataclasses
import datetime
import hashlib
import itertools
import json
import math
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training import report
from training.classifier import backbone, calibration, features, fine_tuning, leave_out
from training.classifier.calibration import Predictions
from training.classifier.export import export_model
from training.classifier.features import Network, OnnxNetwork, TorchNetwork
from training.classifier.fine_tuning import FineTuning
from training.classifier.head import Head, fit_head, photo_weights
from training.classifier.novelty import Novelty, fit_novelty
from training.dataset.records import OTHER, THUMBNAIL, Dataset, DatasetError, Photo

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
    version: str = "3.0.0"
    backbone: str = "tf_efficientnet_lite2"  # a model of timm, or the folder of a model made here
    input_size: int = 224  # pixels
    fine_tuning: FineTuning | None = None
    folds: int = leave_out.FOLDS
    folds_left_out: int | None = None  # how many of the folds are left out; None for all
    other_accepted: float = calibration.OTHER_ACCEPTED  # share of `other` that the threshold allows


@dataclasses.dataclass(frozen=True)
class Result:
    """What a training run made: metadata.json's content, and the report as Markdown."""

    metadata: dict[str, Any]
    report: str


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


def train(settings: Settings) -> Result:
    """Train, and write model.onnx, metadata.json and the report.

    Raises:
        DatasetError: the dataset cannot be trained on.
        ValueError: the settings do not fit together.

    """
    started = time.monotonic()
    commit = code_commit()  # before training: the files may change while it runs
    dataset = Dataset(settings.dataset)
    rows = dataset.split("train")
    truth = np.array([dataset.labels.index(photo.label) for photo in rows])
    photos = Photos(rows, truth, photo_weights(rows))
    trainer = Trainer(settings, dataset)

    print(f"features of {len(rows)} photos", flush=True)
    values = trainer.features(trainer.start, rows)
    feature_seconds = time.monotonic() - started
    left_out = trainer.leave_sources_out(photos, values)

    print("head, all sources", flush=True)
    network, head = trainer.fine_tune(photos, trainer.fit_head(photos, values), "all")
    sent = np.array([photo.style != THUMBNAIL for photo in rows]) & left_out.evaluated
    temperature = calibration.fit_temperature(left_out.logits[sent], truth[sent])
    everything = Predictions(
        calibration.softmax(left_out.logits, temperature), truth, dataset.labels
    )
    predictions, sent_rows = everything.where(sent), list(itertools.compress(rows, sent))
    threshold = calibration.choose_threshold(
        calibration.coverage_curve(predictions), settings.other_accepted
    )
    print(f"calibration temperature={temperature:.4f} threshold={threshold}", flush=True)

    path = settings.model_dir / "model.onnx"
    familiar = trainer.novelty(network, rows)
    export_model(trainer.onnx_file(network), head, temperature, familiar, path)
    trainer.check_export(path, network, head, temperature, rows)

    sources_known = leave_out.names_sources(rows)
    measures: dict[str, Any] = report.measure(predictions, threshold) | {
        "coverage_at_99_precision": report.coverage_at_precision(predictions),
        "spread": report.spread_over_sources(predictions, sent_rows) if sources_known else None,
        "unknown_kinds": trainer.unknown_kinds(photos, values, left_out),
    }
    metadata = {
        "name": settings.name,
        "version": settings.version,
        "labels": dataset.labels,
        "input_size": settings.input_size,
        "backbone": settings.backbone,
        "fine_tuning": dataclasses.asdict(settings.fine_tuning) if settings.fine_tuning else None,
        "temperature": round(temperature, 4),
        "threshold": threshold,
        "baseline": calibration.baseline(predictions, left_out.novelty[sent], threshold),
        "metrics": {"left_out_sources": measures},
        "trained_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seconds": {
            "features": round(feature_seconds),
            "training": round(time.monotonic() - started - feature_seconds),
        },
        "data": {
            "dataset": dataset.version,
            "counts": dataset.counts,
            "sources": len({photo.source for photo in rows}),
            "sources_known": sources_known,
        },
        "code": {"commit": commit},
    }
    (settings.model_dir / "metadata.json").write_text(json.dumps(metadata, indent=2) + "\n")
    text = report.left_out_report(
        everything.where(left_out.evaluated),
        list(itertools.compress(rows, left_out.evaluated)),
        threshold,
        measures,
        sources_known=sources_known,
    )
    settings.output_dir.mkdir(parents=True, exist_ok=True)
    (settings.output_dir / "report.md").write_text(text)
    np.savez(
        settings.output_dir / "left_out.npz",
        ids=np.array([photo.id for photo in rows]),
        **dataclasses.asdict(left_out),
    )
    for name in report.MEASURES:
        if name in measures:
            print(f"left_out_{name}={measures[name]['value']}")
    print(f"threshold={threshold} temperature={temperature:.4f} model_bytes={path.stat().st_size}")
    return Result(metadata, text)


@dataclasses.dataclass(frozen=True)
class LeftOut:
    """Answers to each photo of models that never saw its source."""

    logits: np.ndarray  # [n, k]
    head_logits: np.ndarray  # [n, k], before fine-tuning
    novelty: np.ndarray  # [n]
    evaluated: np.ndarray  # [n], false for photos of a fold that was not left out


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
            self.start = TorchNetwork(backbone.load_backbone(settings.backbone))

    def features(self, network: Network, rows: list[Photo]) -> np.ndarray:
        """Features and middle features of photos [n, d + m]."""
        size, cache = self.settings.input_size, self.settings.cache_dir
        return features.compute(network, self.dataset, rows, size, cache)

    def fit_head(self, photos: Photos, values: np.ndarray) -> Head:
        return fit_head(values[:, : self.start.width], photos.truth, photos.weights)

    def fine_tune(self, photos: Photos, head: Head, run: str) -> tuple[Network, Head]:
        """The fine-tuned network and head; the start and `head` if the settings ask for none."""
        if self.settings.fine_tuning is None:
            return self.start, head
        if not isinstance(self.start, TorchNetwork):
            raise TypeError("only a PyTorch backbone can be fine-tuned")
        print(f"fine-tuning, {run}", flush=True)
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

    def leave_sources_out(self, photos: Photos, values: np.ndarray) -> LeftOut:
        """Train without each fold of the sources, and classify the photos of that fold."""
        shape = (len(photos.rows), len(self.dataset.labels))
        logits, head_logits = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        novelty = np.zeros(len(photos.rows), np.float32)
        evaluated = np.zeros(len(photos.rows), bool)
        folds = list(leave_out.folds(photos.rows, photos.truth, self.settings.folds))
        for number, (kept, left_out) in enumerate(folds[: self.settings.folds_left_out], 1):
            print(f"head, fold {number} of {len(folds)} left out", flush=True)
            evaluated[left_out] = True
            head = self.fit_head(photos.at(kept), values[kept])
            head_logits[left_out] = head.logits(values[left_out, : self.start.width])
            network, head = self.fine_tune(photos.at(kept), head, f"fold-{number}")
            new = self.features(network, [photos.rows[at] for at in left_out])
            logits[left_out] = head.logits(new[:, : network.width])
            familiar = self.novelty(network, [photos.rows[at] for at in kept])
            novelty[left_out] = familiar.score(new[:, : network.width], new[:, network.width :])
        return LeftOut(logits, head_logits, novelty, evaluated)

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
        logits, truth = left_out.head_logits[left_out.evaluated], photos.truth[left_out.evaluated]
        temperature = calibration.fit_temperature(logits, truth)
        before = Predictions(calibration.softmax(logits, temperature), truth, labels)
        threshold = calibration.choose_threshold(
            calibration.coverage_curve(before), self.settings.other_accepted
        )
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

    def onnx_file(self, network: Network) -> Path:
        """The network as ONNX, without a head or with an earlier one."""
        if isinstance(network, OnnxNetwork):
            return Path(self.settings.backbone) / "model.onnx"
        if not isinstance(network, TorchNetwork):
            raise TypeError("only a PyTorch backbone can be exported")
        size = self.settings.input_size
        path = self.settings.cache_dir / f"backbone-{network.digest}-{size}.onnx"
        if not path.is_file():
            backbone.export_backbone(network.backbone.cpu(), size, path)
        return path

    def check_export(
        self, path: Path, network: Network, head: Head, temperature: float, rows: list[Photo]
    ) -> None:
        """Compare what model.onnx answers with what was trained."""
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


def code_commit() -> str:
    """The commit of the training code. SageMaker's containers get it as a variable."""
    if "CODE_COMMIT" in os.environ:
        return os.environ["CODE_COMMIT"]
    repository = Path(__file__).resolve().parents[2]

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(repository), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "training", "serving")
        return git("rev-parse", "--short", "HEAD") + ("-changed" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    environment = os.environ.get
    on_sagemaker = "SM_MODEL_DIR" in os.environ
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    places = parser.add_argument_group("places")
    places.add_argument(
        "--dataset",
        type=Path,
        default=Path(environment("SM_CHANNEL_TRAINING", "build/dataset")),
        help="staged dataset (default: %(default)s)",
    )
    places.add_argument(
        "--model-dir",
        type=Path,
        default=Path(environment("SM_MODEL_DIR", "build/model")),
        help="where model.onnx and metadata.json go (default: %(default)s)",
    )
    places.add_argument(
        "--output-dir",
        type=Path,
        default=Path(environment("SM_OUTPUT_DATA_DIR", "build/training")),
        help="where report.md goes (default: %(default)s)",
    )
    places.add_argument(
        "--cache-dir",
        type=Path,
        default=Path("/opt/ml/checkpoints" if on_sagemaker else "build/cache"),
        help="features and checkpoints: a run that stopped goes on (default: %(default)s)",
    )
    model = parser.add_argument_group("model")
    model.add_argument(
        "--backbone",
        default=Settings.backbone,
        help="a model of timm by name, or the folder of a model made here (default: %(default)s)",
    )
    model.add_argument(
        "--input-size",
        type=positive,
        default=Settings.input_size,
        help="pixels a side (default: %(default)s)",
    )
    model.add_argument("--model-name", default=Settings.name, help="default: %(default)s")
    model.add_argument("--model-version", default=Settings.version, help="default: %(default)s")
    tuning = parser.add_argument_group("training")
    tuning.add_argument(
        "--fine-tune",
        type=int,
        default=0,
        metavar="STEPS",
        help=f"batches to fine-tune the last stages with, such as {FineTuning.steps}; "
        "0: a new head only (default: %(default)s)",
    )
    tuning.add_argument(
        "--folds",
        type=positive,
        default=leave_out.FOLDS,
        help="parts of the sources that are left out in turn, 2 or more (default: %(default)s)",
    )
    tuning.add_argument(
        "--folds-left-out",
        type=positive,
        help="leave out only so many of them: faster, but says less (default: all)",
    )
    tuning.add_argument(
        "--threads",
        type=positive,
        default=os.process_cpu_count(),
        help="CPU threads (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    if options.folds < 2:  # noqa: PLR2004
        parser.error("--folds must be at least 2")
    return options


def settings_of(options: argparse.Namespace) -> Settings:
    return Settings(
        dataset=options.dataset,
        model_dir=options.model_dir,
        output_dir=options.output_dir,
        cache_dir=options.cache_dir,
        name=options.model_name,
        version=options.model_version,
        backbone=options.backbone,
        input_size=options.input_size,
        fine_tuning=FineTuning(steps=options.fine_tune) if options.fine_tune > 0 else None,
        folds=options.folds,
        folds_left_out=options.folds_left_out,
    )


def main(arguments: list[str] | None = None) -> None:
    options = parse_arguments(arguments)
    torch.set_num_threads(options.threads)
    try:
        result = train(settings_of(options))
    except (DatasetError, OSError, ValueError) as error:
        sys.exit(f"train: {error}")
    print(result.report)
    print(f"the model is in {options.model_dir}, the report in {options.output_dir}")


if __name__ == "__main__":
    main()
