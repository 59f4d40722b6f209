"""Measure how accuracy grows with the data, and what it is on sources that were never seen.

    make .venv-training/training && .venv-training/bin/python -m benchmarks.learning_curve

Trains with the shipped recipe, cut to --steps batches, on a quarter, half and all of the training
groups (the same quarter is in each), then on all but the sources in HELD_OUT. Each is judged
on the test split; the last also on every photo of the sources that it never saw, and the one before
it on those of them that are in the test split. About a quarter of an hour each on one core.
"""

import argparse
import csv
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from training.evaluate import Judged, Model, share
from training.source.calibration import OTHER
from training.source.data import Dataset, Row

SHARES = (0.25, 0.5, 1.0)
# What couriers' photos look like most: riders in the street, both vehicles.
HELD_OUT = ["bikeshelmets", "deathlyface", "tbp", "tbp_crop", "tbpcms", "tbpcms_crop"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", type=Path, default=Path("build/dataset"))
    parser.add_argument("--steps", type=int, default=400, help="batches a training (default 400)")
    arguments = parser.parse_args()
    dataset = Dataset(arguments.dataset)
    names = ("CIFAR-100's 200", "photos, two-way", "photos, three-way")
    print(f"{'trained on':36}" + "".join(f"{name:>24}" for name in names))
    for part in SHARES:
        with tempfile.TemporaryDirectory() as folder:
            reduced = reduce(arguments.dataset, Path(folder) / "dataset", part)
            model = train(reduced, Path(folder), arguments.steps)
            line(f"{part:.0%} of the groups", model, dataset)
            if part == 1:
                unseen(f"of it, {', '.join(HELD_OUT[:3])} ...", model, dataset, {"test"})
    with tempfile.TemporaryDirectory() as folder:
        model = train(arguments.dataset, Path(folder), arguments.steps, HELD_OUT)
        line("without HELD_OUT", model, dataset)
        unseen("HELD_OUT, test split", model, dataset, {"test"})
        unseen("HELD_OUT, all photos", model, dataset, {"train", "validation", "test"})


def reduce(whole: Path, folder: Path, part: float) -> Path:
    """The same dataset with a share of its training groups; validation and test stay whole."""
    folder.mkdir()
    for name in ("cifar-100", "photos", "dataset.json"):
        (folder / name).symlink_to((whole / name).resolve())
    with (whole / "manifest.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    with (folder / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(row for row in rows if row["split"] != "train" or rank(row) < part)
    return folder


def rank(row: dict[str, str]) -> float:
    """From 0 to 1, the same for all pictures of a group; not what chose the split."""
    return int(hashlib.sha256(f"share {row['group']}".encode()).hexdigest()[:8], 16) / 2**32


def train(dataset: Path, folder: Path, steps: int, held_out: list[str] | None = None) -> Model:
    """A model trained by train.py."""
    places = {"dataset": dataset, "model-dir": folder / "model", "output-dir": folder / "out"}
    places["checkpoint-dir"] = folder / "checkpoints"
    command = [sys.executable, "-m", "training.source.train", f"--steps={steps}"]
    command += [f"--{name}={place}" for name, place in places.items()]
    command += [f"--hold-out-source={source}" for source in held_out or []]
    subprocess.run(command, check=True, stdout=sys.stderr)
    return Model(folder / "model")


def judge(rows: list[Row], model: Model, dataset: Dataset) -> Judged:
    return Judged(rows, model.predict(dataset.served_inputs(rows, model.metadata["input_size"])))


def line(name: str, model: Model, dataset: Dataset) -> None:
    """Print a model's accuracy on the test split."""
    cifar = dataset.select(
        lambda row: row.split == "test" and not row.is_photo and row.label != "other"
    )
    photos = dataset.select(lambda row: row.split == "test" and row.is_photo)
    told_apart = judge(cifar, model, dataset).told_apart
    show(name, told_apart, judge(photos, model, dataset), model)


def unseen(name: str, model: Model, dataset: Dataset, splits: set[str]) -> None:
    """Print a model's accuracy on the photos of HELD_OUT."""
    rows = dataset.select(lambda row: row.source in HELD_OUT and row.split in splits)
    show(name, None, judge(rows, model, dataset), model)


def show(name: str, cifar: np.ndarray | None, photos: Judged, model: Model) -> None:
    vehicles = photos.where(photos.vehicle)
    accepted = (vehicles.named != OTHER) & (
        vehicles.probabilities.max(axis=1) >= model.metadata["threshold"]
    )
    right = f"{int(vehicles.right[accepted].sum())}/{int(accepted.sum())} of {len(vehicles.rows)}"
    print(
        f"{name:36}{text(cifar):>24}{text(vehicles.told_apart):>24}{text(photos.right):>24}"
        f"   accepted {right}",
        flush=True,
    )


def text(right: np.ndarray | None) -> str:
    """A share and its 95% Wilson interval, in percent."""
    if right is None:
        return ""
    measured = share(right)
    return f"{measured['value']:.1%} [{measured['low']:.1%}, {measured['high']:.1%}]"


if __name__ == "__main__":
    main()
