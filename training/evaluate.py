"""Evaluate a model on the test split: photos that nothing was chosen by.

    .venv-training/bin/python -m training.evaluate [options]

    no options                                              the shipped model
    --model build/model --against models/vehicles --gate    a new model against it

Classifies with model.onnx as it is served: the same decoding, resizing and runtime. The test split
has the same sources as the train split. What a model does on new sources is in its metadata.json
and card: training/classifier/train.py measures it.

Makes report.md, evaluation.json and plots in --report. With --record the numbers also go into the
model's metadata.json and MODEL_CARD.md. With --gate it makes gate.json: whether --model may replace
--against (gate.py), with what a model package keeps of it. Intervals are at 95%.
"""

import argparse
import dataclasses
import io
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import onnxruntime
from PIL import Image, ImageDraw
from tqdm import tqdm

from serving.preprocess import preprocess
from training import report
from training.classifier import calibration
from training.classifier.calibration import Predictions
from training.dataset.records import Dataset, DatasetError, Photo
from training.gate import judge, properties

mpl.use("Agg")
from matplotlib import pyplot as plt

TIMED_PHOTOS = 200
WORST = 24  # mistakes on the contact sheet
COSTS = {
    "model_bytes": "file (bytes)",
    "decode_ms": "decode and resize one photo, one thread, median (ms)",
    "inference_ms": "classify it, one thread, median (ms)",
}


class Model:
    """A model folder: model.onnx and metadata.json, on one thread.

    Raises:
        ValueError: it cannot be run.

    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / "model.onnx"
        self.metadata: dict[str, Any] = json.loads((directory / "metadata.json").read_text())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        try:
            self.session = onnxruntime.InferenceSession(
                self.path, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the runtime's exceptions have no common base
            raise ValueError(f"cannot run {self.path}: {error}") from error
        self.title = f"{self.metadata['version']} ({self.metadata['code']['commit']})"

    def probabilities(self, image: np.ndarray) -> np.ndarray:
        """Probabilities [1, k] of a photo float32 [1, 3, S, S], pixel values 0 to 255."""
        return np.asarray(self.session.run(["probabilities"], {"image": image})[0])

    def classify(self, dataset: Dataset, photos: list[Photo]) -> tuple[Predictions, dict[str, Any]]:
        """The predictions for photos, and what one costs."""
        if self.metadata["labels"] != dataset.labels:
            raise DatasetError(
                f"{self.directory} has the labels {', '.join(self.metadata['labels'])}, and the "
                f"dataset has {', '.join(dataset.labels)}"
            )
        size = self.metadata["input_size"]
        probabilities, decoding, inference = [], [], []
        for photo in tqdm(photos, desc=self.title, unit="photo", disable=None):
            start = time.perf_counter()
            image = preprocess(dataset.image_bytes(photo), size)
            decoded = time.perf_counter()
            probabilities.append(self.probabilities(image))
            decoding.append(decoded - start)
            inference.append(time.perf_counter() - decoded)
        truth = np.array([dataset.labels.index(photo.label) for photo in photos])
        return Predictions(np.concatenate(probabilities), truth, dataset.labels), {
            "decode_ms": round(1000 * float(np.median(decoding[:TIMED_PHOTOS])), 2),
            "inference_ms": round(1000 * float(np.median(inference[:TIMED_PHOTOS])), 2),
            "model_bytes": self.path.stat().st_size,
        }


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """A model, its predictions for the test split, and its numbers as evaluation.json has them."""

    model: Model
    predictions: Predictions
    evaluation: dict[str, Any]

    @property
    def threshold(self) -> float:
        return float(self.model.metadata["threshold"])


def test_photos(dataset: Dataset) -> list[Photo]:
    """The test split. Raises DatasetError if it is empty."""
    photos = dataset.split("test")
    if not photos:
        raise DatasetError(f"{dataset.directory} has no test photos: stage more photos")
    return photos


def evaluate(model: Model, dataset: Dataset) -> Evaluated:
    photos = test_photos(dataset)
    predictions, costs = model.classify(dataset, photos)
    measures = report.measure(predictions, model.metadata["threshold"])
    at_precision = {"coverage_at_99_precision": report.coverage_at_precision(predictions)}
    return Evaluated(model, predictions, measures | at_precision | costs)


def decide(challenger: Evaluated, champion: Evaluated) -> dict[str, Any]:
    """What gate.json holds: the verdict, and the model's version, measures and properties."""
    labels = challenger.predictions.labels
    truth, old, new = (
        [labels[position] for position in positions]
        for positions in (
            challenger.predictions.truth,
            champion.predictions.predicted,
            challenger.predictions.predicted,
        )
    )
    metadata = challenger.model.metadata
    return dataclasses.asdict(judge(truth, old, new)) | {
        "name": metadata["name"],
        "version": metadata["version"],
        "threshold": metadata["threshold"],
        "commit": metadata["code"]["commit"],
        "properties": properties(metadata, challenger.evaluation),
    }


# ---------------------------------------------------------------- the report


def summary(evaluated: list[Evaluated], photos: list[Photo]) -> str:
    """The part of the report that the model card quotes."""
    first = evaluated[0]
    metadata = first.model.metadata
    columns = {each.model.title: each.evaluation for each in evaluated}
    costs = [
        [text, *(f"{each.evaluation[name]:,}" for each in evaluated)]
        for name, text in COSTS.items()
    ]
    return "\n\n".join(
        [
            (
                f"Version {metadata['version']}, dataset {metadata['data']['dataset']}, threshold "
                f"{metadata['threshold']}, {len(photos)} photos of the test split, 95% intervals."
            ),
            report.measures_table(columns),
            report.table(["cost", *columns], costs),
            report.confusion_table(first.predictions),
            report.grouped_table(first.predictions, photos, "style", first.threshold),
            report.grouped_table(first.predictions, photos, "source", first.threshold),
        ]
    )


def plot_reliability(evaluated: list[Evaluated], path: Path) -> None:
    figure, axes = plt.subplots(figsize=(5, 4.5), layout="constrained")
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle="--", label="calibrated")
    for each in evaluated:
        confidence, correct = each.predictions.confidence, each.predictions.correct
        bins = [part for part in np.array_split(np.argsort(confidence), 12) if len(part)]
        means = [(confidence[part].mean(), correct[part].mean()) for part in bins]
        axes.plot(*zip(*means, strict=True), marker="o", label=each.model.title)
    axes.set(xlabel="confidence", ylabel="accuracy", title="Reliability, equal-count bins")
    axes.set(xlim=(0.3, 1.01), ylim=(0.3, 1.01))
    axes.legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def plot_coverage(evaluated: list[Evaluated], path: Path) -> None:
    figure, (precision, accepted) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    for each in evaluated:
        curve = calibration.coverage_curve(each.predictions)
        chosen = calibration.operate(each.predictions, each.threshold)
        coverage = [at.coverage for at in curve]
        (line,) = precision.plot(coverage, [at.precision for at in curve], label=each.model.title)
        precision.plot(chosen.coverage, chosen.precision, "o", color=line.get_color())
        accepted.plot(coverage, [at.other_accepted for at in curve], color=line.get_color())
        accepted.plot(chosen.coverage, chosen.other_accepted, "o", color=line.get_color())
    precision.axhline(calibration.PRECISION, color="grey", linestyle="--", linewidth=1)
    accepted.axhline(calibration.OTHER_ACCEPTED, color="grey", linestyle="--", linewidth=1)
    precision.set(xlabel="photos of a label accepted", ylabel="of these, correct")
    accepted.set(xlabel="photos of a label accepted", ylabel="photos of other accepted")
    precision.legend()
    figure.suptitle("Thresholds from 0.5 to 0.995; the dot is the model's own")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def contact_sheet(dataset: Dataset, evaluated: Evaluated, path: Path) -> None:
    """The most confident mistakes, each with its source, true label and predicted label."""
    photos, predictions = dataset.split("test"), evaluated.predictions
    wrong = np.flatnonzero(~predictions.correct)
    worst = wrong[np.argsort(-predictions.confidence[wrong])][:WORST]
    side, caption, columns = 150, 26, 6
    lines = max(1, math.ceil(len(worst) / columns))
    sheet = Image.new("RGB", (columns * side, lines * (side + caption)), "white")
    draw = ImageDraw.Draw(sheet)
    for at, index in enumerate(worst):
        photo = photos[index]
        left, top = at % columns * side, at // columns * (side + caption)
        with Image.open(io.BytesIO(dataset.image_bytes(photo))) as image:
            image.thumbnail((side - 4, side - 4))
            sheet.paste(image, (left, top))
        predicted = predictions.labels[predictions.predicted[index]]
        text = f"{photo.source}\n{photo.label}: {predicted} {predictions.confidence[index]:.2f}"
        draw.text((left, top + side - 2), text, "black")
    sheet.save(path)


def record(evaluated: Evaluated, quoted: str) -> None:
    """Write the numbers into the model's metadata.json and, if there is one, its card."""
    model = evaluated.model
    model.metadata["metrics"]["test"] = evaluated.evaluation
    text = json.dumps(model.metadata, indent=2) + "\n"
    (model.directory / "metadata.json").write_text(text)
    card = model.directory / "MODEL_CARD.md"
    if card.is_file():
        report.fill_card(card, "evaluation", quoted)


# ---------------------------------------------------------------- command line


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    models = parser.add_argument_group("models")
    models.add_argument(
        "--model", type=Path, default=Path("models/vehicles"), help="folder (default: %(default)s)"
    )
    models.add_argument("--against", type=Path, help="folder of a second model")
    models.add_argument(
        "--gate", action="store_true", help="decide whether --model may replace --against"
    )
    models.add_argument(
        "--record", action="store_true", help="write into the model's metadata and card too"
    )
    places = parser.add_argument_group("places")
    places.add_argument("--dataset", type=Path, default=Path("build/dataset"), help="%(default)s")
    places.add_argument("--report", type=Path, default=Path("build/evaluation"), help="%(default)s")
    options = parser.parse_args(arguments)
    if options.gate and not options.against:
        parser.error("--gate compares with a second model: give it with --against")
    return options


def main(arguments: list[str] | None = None) -> None:
    options = parse_arguments(arguments)
    folders = [options.model] + ([options.against] if options.against else [])
    try:
        dataset = Dataset(options.dataset)
        photos = test_photos(dataset)
        models = [Model(folder) for folder in folders]
        if len({model.title for model in models}) < len(models):  # two runs of one commit
            for model in models:
                model.title += f", {model.directory}"
        evaluated = [evaluate(model, dataset) for model in models]
    except (DatasetError, OSError, KeyError, ValueError) as error:
        sys.exit(f"evaluate: {error}")
    first = evaluated[0]
    quoted = summary(evaluated, photos)

    options.report.mkdir(parents=True, exist_ok=True)
    plot_reliability(evaluated, options.report / "reliability.png")
    plot_coverage(evaluated, options.report / "coverage.png")
    contact_sheet(dataset, first, options.report / "mistakes.png")
    parts = [f"# Evaluation of {first.model.title}", quoted]
    if options.gate:
        verdict = decide(first, evaluated[1])
        (options.report / "gate.json").write_text(json.dumps(verdict, indent=2) + "\n")
        decision = f"gate: {'accepted' if verdict['accepted'] else 'refused'}, {verdict['reason']}"
        parts.append(decision)
        print(decision)
    parts += ["![reliability](reliability.png)", "![coverage](coverage.png)"]
    parts += ["The most confident mistakes:", "![mistakes](mistakes.png)"]
    (options.report / "report.md").write_text("\n\n".join(parts) + "\n")
    text = json.dumps(first.evaluation, indent=2) + "\n"
    (options.report / "evaluation.json").write_text(text)
    if options.record:
        record(first, quoted)
    for name in report.MEASURES:
        if name in first.evaluation:
            print(f"test_{name}={first.evaluation[name]['value']}")
    print(f"the report is in {options.report / 'report.md'}")


if __name__ == "__main__":
    main()
