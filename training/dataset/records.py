"""What a staged dataset holds: its rows, its files, and how to open it."""

import csv
import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

OTHER = "other"  # by convention the label of a photo that shows none of the labels
UNKNOWN = "unknown"  # the source or the style of a photo that nobody named
THUMBNAIL = "thumbnail"  # a style: so small that nobody sends such a photo
LEAST_PHOTOS = 20  # of each label; fewer teach nothing that holds on other photos


class DatasetError(Exception):
    """Something that the user can fix. The message is one line and says how."""


@dataclasses.dataclass
class Photo:
    """One row of manifest.csv."""

    id: str  # the first 16 hexadecimal digits of the SHA-256 of the photo's bytes
    file: str  # below the dataset's folder
    label: str
    split: str  # train or test; empty until it is assigned
    source: str  # who made or collected it: a repository, a shop, a courier
    style: str
    kind: str  # what it shows, in more detail than the label; may be empty
    group: str  # photos of one original or of near-duplicates share it
    perceptual_hash: str = ""


@dataclasses.dataclass(frozen=True)
class Found:
    """A photo that a reader found: its row, and a function that reads its bytes."""

    photo: Photo
    read: Callable[[], bytes]


@dataclasses.dataclass(frozen=True)
class Excluded:
    """One row of excluded.csv."""

    file: str
    reason: str


def sorted_labels(labels: Iterable[str]) -> list[str]:
    """Labels in the order of the model's outputs: by name, `other` last."""
    return sorted(set(labels), key=lambda label: (label == OTHER, label))


def write_rows(path: Path, rows: Iterable[Photo] | Iterable[Excluded], kind: type) -> None:
    """Write rows of a dataclass as CSV with a header."""
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, [field.name for field in dataclasses.fields(kind)])
        writer.writeheader()
        writer.writerows(dataclasses.asdict(row) for row in rows)


def read_manifest(dataset: Path) -> list[Photo]:
    """The photos of a staged dataset.

    Raises:
        DatasetError: the folder has no manifest, or one of another version.

    """
    try:
        with (dataset / "manifest.csv").open(newline="") as stream:
            return [Photo(**row) for row in csv.DictReader(stream)]
    except (OSError, TypeError, csv.Error) as error:
        raise DatasetError(
            f"{dataset} has no staged dataset: make one with "
            "`.venv-training/bin/python -m training.dataset.stage`"
        ) from error


class Dataset:
    """A staged dataset.

    Attributes:
        photos: all rows of the manifest.
        labels: in the order of the model's outputs.
        version: a hash of the content.
        counts: of photos by split and label.

    Raises:
        DatasetError: the folder has no complete dataset, or too few photos to train on.

    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.photos = read_manifest(directory)
        try:
            description: dict[str, Any] = json.loads((directory / "dataset.json").read_text())
            self.version: str = description["version"]
            self.labels: list[str] = description["labels"]
            self.counts: dict[str, dict[str, int]] = description["counts"]
        except (OSError, KeyError, ValueError) as error:
            raise DatasetError(f"{directory} is incomplete: stage it again") from error
        check_counts(self.photos, self.labels)

    def split(self, name: str) -> list[Photo]:
        return [photo for photo in self.photos if photo.split == name]

    def image_bytes(self, photo: Photo) -> bytes:
        return (self.directory / photo.file).read_bytes()


def check_counts(photos: Iterable[Photo], labels: list[str]) -> None:
    """Raise DatasetError if there is one label only, or one with too few photos."""
    counts = Counter(photo.label for photo in photos)
    if len(labels) < 2:  # noqa: PLR2004
        raise DatasetError(
            f"there is one label only, {', '.join(labels)}: add a folder of photos of another, "
            f"such as {OTHER}/ for photos of anything else"
        )
    few = [f"{label} ({counts[label]})" for label in labels if counts[label] < LEAST_PHOTOS]
    if few:
        raise DatasetError(
            f"too few different photos of {', '.join(few)}: at least {LEAST_PHOTOS} of each label "
            "are needed"
        )
