"""Train a classifier of photos for the labels of a dataset, and export it for serving.

    .venv-training/bin/python -m training.classifier.train [options]

    no options                   a new head on cached features: minutes
    --fine-tune 600              and gentle fine-tuning: for a GPU
    --backbone models/vehicles   a new head on this model

The stages, in this order:

1. features     of all photos, by the backbone; cached
2. head         a linear classifier on the features
3. fine-tuning  of backbone and head, averaged with the start (--fine-tune)
4. calibration  a temperature for probabilities that say how often they are correct
5. threshold    the lowest confidence with 99% precision that accepts at most 1% of `other`
6. novelty      how unlike the training photos a photo is
7. export       model.onnx and metadata.json in --model-dir

Stages 2 and 3 run once for each fold of the sources, which is then left out. A head alone is fitted
once more, to all photos. If the run fine-tunes, the average of the models is exported. Calibration
and threshold see photos of left-out sources only, and no thumbnails, because nobody sends them. The
test split is never read.

Runs in a SageMaker PyTorch training container (its environment variables are the defaults) and on
a laptop. Needs a dataset of training/dataset/stage.py.
"""

import argparse
import dataclasses
import datetime
import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training import report
from training.classifier import calibration, leave_out
from training.classifier.calibration import Predictions
from training.classifier.export import export_model
from training.classifier.fine_tuning import FineTuning
from training.classifier.head import photo_weights
from training.classifier.trainer import LeftOut, Photos, Settings, Trainer
from training.dataset.records import THUMBNAIL, Dataset, DatasetError, Photo


@dataclasses.dataclass(frozen=True)
class Result:
    """What a training run made: metadata.json's content, and the report as Markdown."""

    metadata: dict[str, Any]
    report: str


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
    left_out, models = trainer.leave_sources_out(photos, values)
    network, head = trainer.final(photos, values, models)
    sent = np.array([photo.style != THUMBNAIL for photo in rows])
    temperature = calibration.fit_temperature(left_out.logits[sent], truth[sent])
    everything = Predictions(
        calibration.softmax(left_out.logits, temperature), truth, dataset.labels
    )
    predictions = everything.where(sent)
    threshold = calibration.choose_threshold(calibration.coverage_curve(predictions))
    print(f"calibration temperature={temperature:.4f} threshold={threshold}", flush=True)

    path = settings.model_dir / "model.onnx"
    familiar = trainer.novelty(network, rows)
    export_model(trainer.onnx_file(network), head, temperature, familiar, path)
    trainer.check_export(path, network, head, temperature, rows)

    sources_known = leave_out.names_sources(rows)
    sent_rows = list(itertools.compress(rows, sent))
    measures: dict[str, Any] = report.measure(predictions, threshold) | {
        "coverage_at_99_precision": report.coverage_at_precision(predictions),
        "spread": report.spread_over_sources(predictions, sent_rows) if sources_known else None,
        "unknown_kinds": trainer.unknown_kinds(photos, values, left_out),
    }
    result = Result(
        describe(settings, dataset, feature_seconds, time.monotonic() - started)
        | {
            "temperature": round(temperature, 4),
            "threshold": threshold,
            "baseline": calibration.baseline(predictions, left_out.novelty[sent], threshold),
            "metrics": {"left_out_sources": measures},
            "code": {"commit": commit},
        },
        report.left_out_report(everything, rows, threshold, measures, sources_known=sources_known),
    )
    write(settings, result, rows, left_out)
    for name in report.MEASURES:
        if name in measures:
            print(f"left_out_{name}={measures[name]['value']}")
    print(f"threshold={threshold} temperature={temperature:.4f} model_bytes={path.stat().st_size}")
    return result


def describe(
    settings: Settings, dataset: Dataset, feature_seconds: float, seconds: float
) -> dict[str, Any]:
    """The part of metadata.json that says what was trained, on what, and in how many seconds."""
    rows = dataset.split("train")
    return {
        "name": settings.name,
        "version": settings.version,
        "labels": dataset.labels,
        "input_size": settings.input_size,
        "backbone": settings.backbone,
        "fine_tuning": dataclasses.asdict(settings.fine_tuning) if settings.fine_tuning else None,
        "trained_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seconds": {
            "features": round(feature_seconds),
            "training": round(seconds - feature_seconds),
        },
        "data": {
            "dataset": dataset.version,
            "counts": dataset.counts,
            "sources": len({photo.source for photo in rows}),
            "sources_known": leave_out.names_sources(rows),
        },
    }


def write(settings: Settings, result: Result, rows: list[Photo], left_out: LeftOut) -> None:
    """Write metadata.json, the report, and the responses to each left-out photo."""
    (settings.model_dir / "metadata.json").write_text(json.dumps(result.metadata, indent=2) + "\n")
    settings.output_dir.mkdir(parents=True, exist_ok=True)
    (settings.output_dir / "report.md").write_text(result.report)
    np.savez(
        settings.output_dir / "left_out.npz",
        ids=np.array([photo.id for photo in rows]),
        **dataclasses.asdict(left_out),
    )


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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_places(parser.add_argument_group("places"))
    add_model(parser.add_argument_group("model"))
    add_training(parser.add_argument_group("training"))
    options = parser.parse_args(arguments)
    if options.folds < 2:  # noqa: PLR2004
        parser.error("--folds must be at least 2")
    return options


def add_places(places: argparse._ArgumentGroup) -> None:
    """Options for folders; SageMaker names them in the environment."""
    environment = os.environ.get
    on_sagemaker = "SM_MODEL_DIR" in os.environ
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
        help="features and checkpoints: a run that stopped continues (default: %(default)s)",
    )


def add_model(model: argparse._ArgumentGroup) -> None:
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


def add_training(tuning: argparse._ArgumentGroup) -> None:
    tuning.add_argument(
        "--fine-tune",
        type=int,
        default=0,
        metavar="STEPS",
        help=f"batches to fine-tune with, such as {FineTuning.steps}; "
        "0: a new head only (default: %(default)s)",
    )
    tuning.add_argument(
        "--folds",
        type=positive,
        default=leave_out.FOLDS,
        help="parts of the sources that are left out in turn, 2 or more (default: %(default)s)",
    )
    tuning.add_argument(
        "--threads",
        type=positive,
        default=os.process_cpu_count(),
        help="CPU threads (default: %(default)s)",
    )


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
