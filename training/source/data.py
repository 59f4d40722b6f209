"""Read a staged dataset (see stage_data.py) into memory."""

import concurrent.futures
import csv
import dataclasses
import io
import json
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from source.network import LABELS

from serving.preprocess import decode, preprocess

CIFAR_SIDE = 32  # pixels
CIFAR_RECORD_BYTES = 2 + 3 * CIFAR_SIDE**2


@dataclasses.dataclass(frozen=True)
class Row:
    """One picture of the manifest."""

    id: str
    file: str
    record: str
    label: str
    fine_label: str
    split: str
    source: str
    style: str

    @property
    def is_photo(self) -> bool:
        return not self.fine_label


class Dataset:
    """A staged dataset directory: its manifest, and its pictures as arrays."""

    def __init__(self, directory: Path) -> None:
        if not (directory / "manifest.csv").is_file():
            raise FileNotFoundError(
                f"{directory} holds no staged dataset: make one with training/stage_data.py"
            )
        self.directory = directory
        names = [field.name for field in dataclasses.fields(Row)]
        try:
            self.description = json.loads((directory / "dataset.json").read_text())
            with (directory / "manifest.csv").open(newline="") as stream:
                self.rows = [
                    Row(**{name: row[name] for name in names}) for row in csv.DictReader(stream)
                ]
            self.fine_labels = (directory / "cifar-100/fine_label_names.txt").read_text().split()
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{directory} is no whole dataset, stage it again: {error}") from error

    def check_photos(self, *splits: str, held_out: Collection[str] = ()) -> None:
        """Raise ValueError where a split has no photos of a label, but for held-out sources."""
        photos = self.select(lambda row: row.is_photo and row.source not in held_out)
        there = {(row.split, row.label) for row in photos}
        for split in splits:
            for label in LABELS:
                if (split, label) not in there:
                    raise ValueError(
                        f"{self.directory} has no {split} photo of {label}: stage more of them "
                        "with --photos"
                    )

    def select(self, keep: Callable[[Row], bool]) -> list[Row]:
        return [row for row in self.rows if keep(row)]

    def cifar_pictures(self, rows: Sequence[Row]) -> np.ndarray:
        """CIFAR pictures as uint8 [n, 3, 32, 32], RGB."""
        files = {
            file: np.fromfile(self.directory / file, np.uint8).reshape(-1, CIFAR_RECORD_BYTES)
            for file in {row.file for row in rows}
        }
        pictures = np.empty((len(rows), 3, CIFAR_SIDE, CIFAR_SIDE), np.uint8)
        for at, row in enumerate(rows):
            pictures[at] = files[row.file][int(row.record), 2:].reshape(3, CIFAR_SIDE, CIFAR_SIDE)
        return pictures

    def image_bytes(self, row: Row) -> bytes:
        """A picture as a file's bytes: what a client would send to the endpoint."""
        if row.is_photo:
            return (self.directory / row.file).read_bytes()
        planes = self.cifar_pictures([row])[0]
        return _bitmap(planes)

    def served_inputs(self, rows: Sequence[Row], input_size: int) -> np.ndarray:
        """Pictures exactly as the served model gets them: uint8 [n, 3, S, S]."""
        inputs = np.empty((len(rows), 3, input_size, input_size), np.uint8)
        cifar = [at for at, row in enumerate(rows) if not row.is_photo]
        for at, planes in zip(cifar, self.cifar_pictures([rows[at] for at in cifar]), strict=True):
            inputs[at] = preprocess(_bitmap(planes), input_size)[0]

        def read(at: int) -> None:
            inputs[at] = preprocess(self.image_bytes(rows[at]), input_size)[0]

        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(read, (at for at, row in enumerate(rows) if row.is_photo)))
        return inputs

    def stretched_photos(self, rows: Sequence[Row], side: int) -> tuple[np.ndarray, np.ndarray]:
        """Photos for augmentation, each stretched to a square: uint8 [n, 3, side, side].

        The second array is their true width over height, float32 [n].
        """
        photos = np.empty((len(rows), 3, side, side), np.uint8)
        aspects = np.empty(len(rows), np.float32)

        def read(at: int) -> None:
            image = decode((self.directory / rows[at].file).read_bytes(), side)
            aspects[at] = image.width / image.height
            square = image.resize((side, side), Image.Resampling.BICUBIC)
            photos[at] = np.asarray(square).transpose(2, 0, 1)

        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(read, range(len(rows))))
        return photos, aspects


def label_positions(rows: Sequence[Row]) -> np.ndarray:
    return np.array([LABELS.index(row.label) for row in rows], dtype=np.int64)


def _bitmap(planes: np.ndarray) -> bytes:
    """An uncompressed picture file (BMP) of RGB planes [3, height, width]."""
    buffer = io.BytesIO()
    Image.fromarray(planes.transpose(1, 2, 0)).save(buffer, "BMP")
    return buffer.getvalue()
