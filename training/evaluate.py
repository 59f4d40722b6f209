"""Say honestly how good a model is, on pictures that nothing was chosen by.

    python training/evaluate.py                                   # the shipped model
    python training/evaluate.py --model build/model --against models/vehicles --gate

Judges model.onnx as it is served (the same decoding, resizing and runtime) on the test split of
the staged dataset, and on every picture of the sources that its training held out. Leaves
report.md, evaluation.json and PNG plots in --report; with --record also writes the numbers into
the model's own metadata.json and MODEL_CARD.md. With --gate also gate.json: whether --model may
replace --against (gate.py), with what a model package keeps of it.

Vehicles: bicycles and motorcycles. Accepted: named a vehicle with at least the threshold's
confidence. Intervals are at 95%: Wilson's of shares, bootstrapped of the rest.
"""

import argparse
import dataclasses
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))  # until training is a package

import matplotlib as mpl
import numpy as np
import onnxruntime
from gate import better_by_chance, properties
from gate import judge as compare
from PIL import Image, ImageDraw
from source import calibration
from source.calibration import OTHER
from source.data import Dataset, Row, label_positions
from source.network import LABELS
from tqdm import tqdm

from serving.preprocess import preprocess

mpl.use("Agg")
from matplotlib import pyplot as plt

CARD_START, CARD_END = "<!-- evaluation: start -->", "<!-- evaluation: end -->"
TIMED_PHOTOS = 200
WORST = 24  # mistakes on the contact sheet


@dataclasses.dataclass
class Model:
    """A model directory: model.onnx and metadata.json, on one thread."""

    directory: Path

    def __post_init__(self) -> None:
        self.path = self.directory / "model.onnx"
        self.metadata = json.loads((self.directory / "metadata.json").read_text())
        if self.metadata["labels"] != list(LABELS):
            raise ValueError(f"{self.directory} has labels {self.metadata['labels']}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        try:
            self.session = onnxruntime.InferenceSession(
                self.path, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the runtime's own have no common base
            raise ValueError(f"{self.path} is no model that can be run: {error}") from error
        self.title = f"{self.metadata['version']} ({self.metadata['code']['commit']})"

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Probabilities [n, 3] of inputs [n, 3, S, S], pixel values 0 to 255."""
        parts = [
            self.session.run(["probabilities"], {"image": inputs[at : at + 64].astype(np.float32)})[
                0
            ]
            for at in tqdm(range(0, len(inputs), 64), desc=self.title, unit="batch", disable=None)
        ]
        return np.concatenate(parts)


@dataclasses.dataclass
class Judged:
    """Pictures of one kind with a model's probabilities."""

    rows: list[Row]
    probabilities: np.ndarray

    def __post_init__(self) -> None:
        self.labels = label_positions(self.rows)
        self.named = self.probabilities.argmax(axis=1)
        self.right = self.named == self.labels
        self.vehicle = self.labels != OTHER
        two = self.probabilities[:, :OTHER].argmax(axis=1)
        self.told_apart = two == self.labels  # bicycle from motorcycle, `other` left aside

    def where(self, chosen: np.ndarray) -> "Judged":
        """Those that a mask keeps, or at these positions."""
        positions = np.arange(len(self.rows))[chosen]
        return Judged([self.rows[at] for at in positions], self.probabilities[positions])


# ---------------------------------------------------------------- measures


def wilson_interval(right: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """The 95% interval of a share (Wilson, 1927)."""
    if count == 0:
        return 0.0, 1.0
    share = right / count
    centre = share + z**2 / (2 * count)
    margin = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    scale = 1 + z**2 / count
    return max(0.0, (centre - margin) / scale), min(1.0, (centre + margin) / scale)


def auroc(scores: np.ndarray, positive: np.ndarray) -> float:
    """The chance that a positive scores above a negative, ties counted half (Mann-Whitney).

    NaN where one of them is missing.
    """
    values, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    del values
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return math.nan
    rank_sum = ranks[positive].sum() - positives * (positives + 1) / 2
    return float(rank_sum / (positives * negatives))


def sign_test(better: int, worse: int) -> float:
    """Two-sided exact p-value that paired differences of this size are chance (McNemar)."""
    return min(1.0, 2 * better_by_chance(max(better, worse), min(better, worse)))


def bootstrapped(
    photos: Judged, statistic: Callable[[Judged], float], rounds: int = 1000
) -> dict[str, float]:
    """A value with its interval: percentiles over photos drawn with replacement (Efron, 1979)."""
    dice = np.random.default_rng(0)
    count = len(photos.rows)
    values = [statistic(photos.where(dice.integers(0, count, count))) for _ in range(rounds)]
    low, high = np.nanpercentile(values, [2.5, 97.5])
    entry = {"value": statistic(photos), "low": float(low), "high": float(high)}
    return {name: round(value, 4) for name, value in entry.items()}


def share(right: np.ndarray) -> dict[str, float]:
    """A share of true values with its interval, as evaluation.json holds it."""
    low, high = wilson_interval(int(right.sum()), len(right))
    value = float(right.mean()) if len(right) else 0.0
    return {
        "value": round(value, 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "count": len(right),
    }


def measure(photos: Judged, cifar: Judged, threshold: float) -> dict[str, dict[str, float]]:
    """The headline numbers; each a share with its interval, or a value alone."""
    accepted = (photos.named != OTHER) & (photos.probabilities.max(axis=1) >= threshold)
    official = cifar.where(cifar.vehicle)
    cifar_other = cifar.where(~cifar.vehicle)
    cifar_accepted = (cifar_other.named != OTHER) & (
        cifar_other.probabilities.max(axis=1) >= threshold
    )
    return {
        "cifar_100_bicycle_or_motorcycle": share(official.told_apart),
        "cifar_100_three_way": share(official.right),
        "photos_bicycle_or_motorcycle": share(photos.told_apart[photos.vehicle]),
        "photos_three_way": share(photos.right),
        "vehicles_accepted": share(accepted[photos.vehicle]),
        "accepted_vehicles_right": share(photos.right[photos.vehicle & accepted]),
        "accepted_right": share(photos.right[accepted]),
        "other_accepted": share(accepted[~photos.vehicle]),
        "cifar_100_other_accepted": share(cifar_accepted),
        "other_auroc": bootstrapped(
            photos, lambda part: auroc(1 - part.probabilities[:, OTHER], part.vehicle)
        ),
        "expected_calibration_error": bootstrapped(
            photos,
            lambda part: calibration.expected_calibration_error(part.probabilities, part.labels),
        ),
    }


def latency(model: Model, dataset: Dataset, rows: list[Row]) -> dict[str, float]:
    """Milliseconds for one photo on one thread, decoding to answer; and the file's size."""
    size = model.metadata["input_size"]
    photos = [dataset.image_bytes(row) for row in rows[:TIMED_PHOTOS]]
    decoding, inference = [], []
    for image_bytes in photos:
        start = time.perf_counter()
        image = preprocess(image_bytes, size)
        decoded = time.perf_counter()
        model.session.run(["probabilities"], {"image": image})
        decoding.append(decoded - start)
        inference.append(time.perf_counter() - decoded)
    return {
        "decode_ms": round(1000 * float(np.median(decoding)), 2),
        "inference_ms": round(1000 * float(np.median(inference)), 2),
        "model_bytes": model.path.stat().st_size,
    }


# ---------------------------------------------------------------- the report

MEASURES = {
    "cifar_100_bicycle_or_motorcycle": "CIFAR-100 test, bicycle or motorcycle (official 200)",
    "cifar_100_three_way": "CIFAR-100 test, the same 200, `other` counted wrong",
    "photos_bicycle_or_motorcycle": "photos, bicycle or motorcycle",
    "photos_three_way": "photos, bicycle, motorcycle or other",
    "vehicles_accepted": "vehicles accepted at the threshold (coverage)",
    "accepted_vehicles_right": "accepted vehicles that are named right",
    "accepted_right": "accepted answers that are right, non-vehicles among them",
    "other_accepted": "non-vehicles accepted at the threshold, photos",
    "cifar_100_other_accepted": "non-vehicles accepted at the threshold, CIFAR-100",
    "other_auroc": "AUROC, vehicle against non-vehicle, photos",
    "expected_calibration_error": "expected calibration error, photos",
}
COSTS = {
    "model_bytes": "file, bytes",
    "decode_ms": "ms to decode and resize one photo, one thread",
    "inference_ms": "ms to infer it (medians)",
}


def percent(entry: dict[str, float]) -> str:
    if "count" not in entry:
        return f"{entry['value']:.3f} [{entry['low']:.3f}, {entry['high']:.3f}]"
    right = round(entry["value"] * entry["count"])
    return (
        f"{100 * entry['value']:.1f}% [{100 * entry['low']:.1f}, {100 * entry['high']:.1f}] "
        f"({right}/{entry['count']})"
    )


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def headline_table(evaluations: dict[str, dict[str, Any]]) -> str:
    """Measures and costs, a column for each model."""
    rows = [
        [text, *(percent(each[name]) for each in evaluations.values())]
        for name, text in MEASURES.items()
    ]
    rows += [
        [text, *(f"{each[name]:,}" for each in evaluations.values())]
        for name, text in COSTS.items()
    ]
    return table(["measure", *evaluations], rows)


def grouped_table(judged: dict[str, Judged], attribute: str) -> str:
    """Accuracy by source, style or label; vehicles told apart, and all three labels."""
    header, rows = [attribute], []
    for title in judged:
        of = f", {title}" if len(judged) > 1 else ""
        header += [f"bicycle or motorcycle{of}", f"three-way{of}"]
    first = next(iter(judged.values()))
    for value in sorted({getattr(row, attribute) for row in first.rows}):
        mask = np.array([getattr(row, attribute) == value for row in first.rows])
        line = [value]
        for photos in judged.values():
            part = photos.where(mask)
            vehicles = part.told_apart[part.vehicle]
            line.append(percent(share(vehicles)) if len(vehicles) else "")
            line.append(percent(share(part.right)))
        rows.append(line)
    return table(header, rows)


def confusion_table(photos: Judged, title: str = "") -> str:
    counts = np.zeros((len(LABELS), len(LABELS)), int)
    np.add.at(counts, (photos.labels, photos.named), 1)
    rows = [[label, *map(str, line.tolist())] for label, line in zip(LABELS, counts, strict=True)]
    return table([f"true \\ named{title}", *LABELS], rows)


def comparison(photos: Judged, against: Judged) -> str:
    better = int((photos.right & ~against.right).sum())
    worse = int((~photos.right & against.right).sum())
    return (
        f"Of {len(photos.rows)} photos the first is right where the second is wrong on {better}, "
        f"wrong where it is right on {worse} (exact sign test p = {sign_test(better, worse):.3f})."
    )


def decide(
    model: Model, photos: Judged, against: Judged, evaluation: dict[str, Any]
) -> dict[str, Any]:
    """What gate.json holds: the verdict, and the model's version, measures and properties."""
    names = [[LABELS[label] for label in part.named] for part in (against, photos)]
    verdict = compare([row.label for row in photos.rows], *names)
    return dataclasses.asdict(verdict) | {
        "name": model.metadata["name"],
        "version": model.metadata["version"],
        "threshold": model.metadata["threshold"],
        "commit": model.metadata["code"]["commit"],
        "properties": properties(model.metadata, evaluation),
    }


def summary(model: Model, judged: dict[str, Judged], evaluations: dict[str, dict[str, Any]]) -> str:
    """The part of the report that the model card quotes."""
    data = model.metadata["data"]
    origin = (
        f"Version {model.metadata['version']}, dataset {data['dataset']}, "
        f"threshold {model.metadata['threshold']}, temperature "
        f"{model.metadata['temperature']}. Test split; 95% intervals, Wilson's of shares, "
        "bootstrapped of the rest."
    )
    return "\n\n".join(
        [
            origin,
            headline_table(evaluations),
            "Photos by true label, then by style and source:",
            *(
                confusion_table(photos, f" by {title}" if len(judged) > 1 else "")
                for title, photos in judged.items()
            ),
            *(grouped_table(judged, attribute) for attribute in ("label", "style", "source")),
        ]
    )


def plot_reliability(results: dict[str, Judged], path: Path) -> None:
    figure, axes = plt.subplots(figsize=(5, 4.5), layout="constrained")
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle="--", label="calibrated")
    for title, photos in results.items():
        confidence = photos.probabilities.max(axis=1)
        order = np.argsort(confidence)
        bins = [part for part in np.array_split(order, 12) if len(part)]
        axes.plot(
            [confidence[part].mean() for part in bins],
            [photos.right[part].mean() for part in bins],
            marker="o",
            label=title,
        )
    axes.set(xlabel="confidence", ylabel="accuracy", title="Reliability, equal-count bins")
    axes.set(xlim=(0.3, 1.01), ylim=(0.3, 1.01))
    axes.legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def plot_coverage(results: dict[str, tuple[Judged, float]], path: Path) -> None:
    figure, (accuracy, accepted) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    for title, (photos, threshold) in results.items():
        curve = calibration.coverage_curve(photos.probabilities, photos.labels)
        chosen = calibration.operate(photos.probabilities, photos.labels, threshold)
        coverage = [at.coverage for at in curve]
        (line,) = accuracy.plot(coverage, [at.accuracy for at in curve], label=title)
        accuracy.plot(chosen.coverage, chosen.accuracy, "o", color=line.get_color())
        accepted.plot(coverage, [at.other_accepted for at in curve], color=line.get_color())
        accepted.plot(chosen.coverage, chosen.other_accepted, "o", color=line.get_color())
    accuracy.axhline(calibration.ACCEPTED_ACCURACY, color="grey", linestyle="--", linewidth=1)
    accepted.axhline(calibration.OTHER_ACCEPTED, color="grey", linestyle="--", linewidth=1)
    accuracy.set(xlabel="vehicles accepted", ylabel="of these named right")
    accepted.set(xlabel="vehicles accepted", ylabel="non-vehicles accepted")
    accuracy.legend()
    figure.suptitle("Thresholds from 0.5 to 0.995; the dot is the model's own")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def contact_sheet(dataset: Dataset, photos: Judged, path: Path) -> None:
    """The most confident mistakes, each with its source, true label and named label."""
    wrong = np.flatnonzero(~photos.right)
    worst = wrong[np.argsort(-photos.probabilities.max(axis=1)[wrong])][:WORST]
    side, caption, columns = 150, 26, 6
    lines = max(1, math.ceil(len(worst) / columns))
    sheet = Image.new("RGB", (columns * side, lines * (side + caption)), "white")
    draw = ImageDraw.Draw(sheet)
    for at, index in enumerate(worst):
        row = photos.rows[index]
        left, top = at % columns * side, at // columns * (side + caption)
        with Image.open(dataset.directory / row.file) as image:
            image.thumbnail((side - 4, side - 4))
            sheet.paste(image, (left, top))
        named = LABELS[photos.named[index]]
        confidence = photos.probabilities[index].max()
        draw.text(
            (left, top + side - 2), f"{row.source}\n{row.label}: {named} {confidence:.2f}", "black"
        )
    sheet.save(path)


def record(model: Model, evaluation: dict[str, Any], quoted: str) -> None:
    """Write the numbers into the model's metadata.json and, if there is one, its card."""
    model.metadata["metrics"]["test"] = evaluation
    text = json.dumps(model.metadata, indent=2) + "\n"
    (model.directory / "metadata.json").write_text(text)
    card = model.directory / "MODEL_CARD.md"
    if card.is_file():
        before, _, rest = card.read_text().partition(CARD_START)
        _, _, after = rest.partition(CARD_END)
        card.write_text(f"{before}{CARD_START}\n{quoted}\n{CARD_END}{after}")


# ---------------------------------------------------------------- command line


def judge(model: Model, dataset: Dataset, kinds: dict[str, list[Row]]) -> dict[str, Judged]:
    size = model.metadata["input_size"]
    return {
        kind: Judged(rows, model.predict(dataset.served_inputs(rows, size)))
        for kind, rows in kinds.items()
    }


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    models = parser.add_argument_group("models")
    models.add_argument(
        "--model", type=Path, default=Path("models/vehicles"), help="directory (%(default)s)"
    )
    models.add_argument("--against", type=Path, help="directory of a second model")
    models.add_argument(
        "--gate", action="store_true", help="say whether --model may replace --against"
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
    try:
        dataset = Dataset(options.dataset)
        dataset.check_photos("test")
        models = [Model(options.model)] + ([Model(options.against)] if options.against else [])
    except (OSError, KeyError, ValueError) as error:
        sys.exit(f"evaluate: {error}")
    held_out = models[0].metadata["data"].get("held_out_sources", [])
    kinds = {
        "photos": dataset.select(
            lambda row: row.is_photo and (row.split == "test" or row.source in held_out)
        ),
        "cifar": dataset.select(lambda row: not row.is_photo and row.split == "test"),
    }
    if len({model.title for model in models}) < len(models):  # two runs of one commit
        for model in models:
            model.title += f", {model.directory}"
    photos, evaluations = {}, {}
    for model in models:
        parts = judge(model, dataset, kinds)
        photos[model.title] = parts["photos"]
        evaluations[model.title] = {
            **measure(parts["photos"], parts["cifar"], model.metadata["threshold"]),
            **latency(model, dataset, kinds["photos"]),
        }
    title = models[0].title
    quoted = summary(models[0], photos, evaluations)

    options.report.mkdir(parents=True, exist_ok=True)
    plot_reliability(photos, options.report / "reliability.png")
    plot_coverage(
        {model.title: (photos[model.title], model.metadata["threshold"]) for model in models},
        options.report / "coverage.png",
    )
    contact_sheet(dataset, photos[title], options.report / "mistakes.png")
    report = [f"# Evaluation of {title}", quoted]
    if options.against:
        report.append(comparison(photos[title], photos[models[1].title]))
    if held_out:
        report.append(f"Held out of training, judged whole: {', '.join(held_out)}.")
    report += ["![reliability](reliability.png)", "![coverage](coverage.png)"]
    report += ["The most confident mistakes:", "![mistakes](mistakes.png)"]
    (options.report / "report.md").write_text("\n\n".join(report) + "\n")
    evaluation = evaluations[title]
    (options.report / "evaluation.json").write_text(json.dumps(evaluation, indent=2) + "\n")
    if options.gate:
        verdict = decide(models[0], photos[title], photos[models[1].title], evaluation)
        (options.report / "gate.json").write_text(json.dumps(verdict, indent=2) + "\n")
        print(f"gate: {'accepted' if verdict['accepted'] else 'refused'}, {verdict['reason']}")
    if options.record:
        record(models[0], evaluation, quoted)
    for name in MEASURES:
        print(f"test_{name}={evaluation[name]['value']}")
    print(f"the report is in {options.report / 'report.md'}")


if __name__ == "__main__":
    main()
