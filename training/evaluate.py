"""Say honestly how good a model is, on pictures that nothing was chosen by.

    python training/evaluate.py                                   # the shipped model
    python training/evaluate.py --model build/model --against training/model --gate

Judges model.onnx as it is served (the same decoding, resizing and runtime) on the test split of
the staged dataset, and on every picture of the sources that its training held out. Leaves
report.md, evaluation.json and PNG plots in --report; with --record also writes the numbers into
the model's own metadata.json and MODEL_CARD.md. With --gate also gate.json: whether --model may
replace --against (gate.py), with what a model package keeps of it.

Vehicles: bicycles and motorcycles. Accepted: named a vehicle with at least the threshold's
confidence. Intervals are Wilson's at 95%.
"""

import argparse
import dataclasses
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import onnxruntime
from gate import better_by_chance, properties
from gate import judge as compare
from PIL import Image, ImageDraw
from serving.preprocess import preprocess
from source import calibration
from source.calibration import OTHER
from source.data import Dataset, Row, label_positions
from source.network import LABELS
from tqdm import tqdm

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
        self.session = onnxruntime.InferenceSession(
            self.path, options, providers=["CPUExecutionProvider"]
        )

    @property
    def title(self) -> str:
        return f"{self.metadata['version']} ({self.metadata['code']['commit']})"

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

    def where(self, mask: np.ndarray) -> "Judged":
        rows = [row for row, keep in zip(self.rows, mask, strict=True) if keep]
        return Judged(rows, self.probabilities[mask])


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
    """The chance that a positive scores above a negative, ties counted half (Mann-Whitney)."""
    values, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    del values
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positives, negatives = int(positive.sum()), int((~positive).sum())
    rank_sum = ranks[positive].sum() - positives * (positives + 1) / 2
    return float(rank_sum / (positives * negatives))


def sign_test(better: int, worse: int) -> float:
    """Two-sided exact p-value that paired differences of this size are chance (McNemar)."""
    return min(1.0, 2 * better_by_chance(max(better, worse), min(better, worse)))


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
    ece = calibration.expected_calibration_error(photos.probabilities, photos.labels)
    return {
        "cifar_100_bicycle_or_motorcycle": share(official.told_apart),
        "cifar_100_three_way": share(official.right),
        "photos_bicycle_or_motorcycle": share(photos.told_apart[photos.vehicle]),
        "photos_three_way": share(photos.right),
        "vehicles_accepted": share(accepted[photos.vehicle]),
        "accepted_vehicles_right": share(photos.right[photos.vehicle & accepted]),
        "other_accepted": share(accepted[~photos.vehicle]),
        "cifar_100_other_accepted": share(cifar_accepted),
        "other_auroc": {
            "value": round(auroc(1 - photos.probabilities[:, OTHER], photos.vehicle), 4)
        },
        "expected_calibration_error": {"value": round(ece, 4)},
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
    "other_accepted": "non-vehicles accepted at the threshold, photos",
    "cifar_100_other_accepted": "non-vehicles accepted at the threshold, CIFAR-100",
    "other_auroc": "AUROC, vehicle against non-vehicle, photos",
    "expected_calibration_error": "expected calibration error, photos",
}


def percent(entry: dict[str, float]) -> str:
    if "count" not in entry:
        return f"{entry['value']:.3f}"
    right = round(entry["value"] * entry["count"])
    return (
        f"{100 * entry['value']:.1f}% [{100 * entry['low']:.1f}, {100 * entry['high']:.1f}] "
        f"({right}/{entry['count']})"
    )


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def headline_table(results: dict[str, dict[str, dict[str, float]]]) -> str:
    rows = [
        [text, *(percent(measures[name]) for measures in results.values())]
        for name, text in MEASURES.items()
    ]
    return table(["measure", *results], rows)


def grouped_table(photos: Judged, attribute: str) -> str:
    """Accuracy by source, style or label; vehicles told apart, and all three labels."""
    rows = []
    for value in sorted({getattr(row, attribute) for row in photos.rows}):
        part = photos.where(np.array([getattr(row, attribute) == value for row in photos.rows]))
        vehicles = part.told_apart[part.vehicle]
        rows.append(
            [
                value,
                percent(share(vehicles)) if len(vehicles) else "",
                percent(share(part.right)),
            ]
        )
    return table([attribute, "bicycle or motorcycle", "three-way"], rows)


def confusion_table(photos: Judged) -> str:
    counts = np.zeros((len(LABELS), len(LABELS)), int)
    np.add.at(counts, (photos.labels, photos.named), 1)
    rows = [[label, *map(str, line.tolist())] for label, line in zip(LABELS, counts, strict=True)]
    return table(["true \\ named", *LABELS], rows)


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


def summary(model: Model, photos: Judged, results: dict[str, dict], timing: dict) -> str:
    """The part of the report that the model card quotes."""
    data = model.metadata["data"]
    origin = (
        f"Version {model.metadata['version']}, dataset {data['dataset']}, "
        f"threshold {model.metadata['threshold']}, temperature "
        f"{model.metadata['temperature']}. Test split; 95% Wilson intervals."
    )
    cost = (
        f"File: {timing['model_bytes'] / 1e6:.1f} MB. One photo on one thread: "
        f"{timing['decode_ms']:.1f} ms to decode and resize, {timing['inference_ms']:.1f} ms "
        "to infer (medians)."
    )
    return "\n\n".join(
        [
            origin,
            headline_table(results),
            cost,
            "Photos by true label, then by style and source:",
            confusion_table(photos),
            grouped_table(photos, "label"),
            grouped_table(photos, "style"),
            grouped_table(photos, "source"),
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


def record(model: Model, results: dict[str, dict], timing: dict, quoted: str) -> None:
    """Write the numbers into the model's metadata.json and, if there is one, its card."""
    model.metadata["metrics"]["test"] = {**results, **timing}
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
        "--model", type=Path, default=Path("training/model"), help="directory (%(default)s)"
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
    judged = {model.title: judge(model, dataset, kinds) for model in models}
    thresholds = {model.title: model.metadata["threshold"] for model in models}
    results = {
        title: measure(parts["photos"], parts["cifar"], thresholds[title])
        for title, parts in judged.items()
    }
    title = models[0].title
    photos = judged[title]["photos"]
    timing = latency(models[0], dataset, kinds["photos"])
    quoted = summary(models[0], photos, results, timing)

    options.report.mkdir(parents=True, exist_ok=True)
    plot_reliability(
        {name: parts["photos"] for name, parts in judged.items()},
        options.report / "reliability.png",
    )
    plot_coverage(
        {name: (parts["photos"], thresholds[name]) for name, parts in judged.items()},
        options.report / "coverage.png",
    )
    contact_sheet(dataset, photos, options.report / "mistakes.png")
    report = [f"# Evaluation of {title}", quoted]
    if options.against:
        report.append(comparison(photos, judged[models[1].title]["photos"]))
    if held_out:
        report.append(f"Held out of training, judged whole: {', '.join(held_out)}.")
    report += ["![reliability](reliability.png)", "![coverage](coverage.png)"]
    report += ["The most confident mistakes:", "![mistakes](mistakes.png)"]
    (options.report / "report.md").write_text("\n\n".join(report) + "\n")
    evaluation = {**results[title], **timing}
    (options.report / "evaluation.json").write_text(json.dumps(evaluation, indent=2) + "\n")
    if options.gate:
        verdict = decide(models[0], photos, judged[models[1].title]["photos"], evaluation)
        (options.report / "gate.json").write_text(json.dumps(verdict, indent=2) + "\n")
        print(f"gate: {'accepted' if verdict['accepted'] else 'refused'}, {verdict['reason']}")
    if options.record:
        record(models[0], results[title], timing, quoted)
    for name in MEASURES:
        print(f"test_{name}={results[title][name]['value']}")
    print(f"the report is in {options.report / 'report.md'}")


if __name__ == "__main__":
    main()
