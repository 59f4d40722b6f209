"""Read CIFAR-100 in its official binary layout as one more source of photos.

Classes whose names are labels give all their photos. If `other` is a label, each of the rest gives
a few, so that small blurred photos of anything are not taken for a label. The official split stays.
"""

import hashlib
import io
import lzma
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from training.dataset.records import OTHER, THUMBNAIL, DatasetError, Found, Photo

SOURCE = "cifar-100"
FILES = ("train.bin", "test.bin", "fine_label_names.txt")
SIDE = 32  # pixels
RECORD_BYTES = 2 + 3 * SIDE**2  # coarse label, fine label, red, green and blue planes
OTHERS_PER_CLASS = {"train": 10, "test": 2}


def read_cifar(path: Path, labels: list[str]) -> list[Found]:
    """The photos of an archive, or of a folder, that have one of `labels`.

    Raises:
        DatasetError: it is missing, or is not in CIFAR-100's binary layout.

    """
    contents = _contents(path)
    names = contents["fine_label_names.txt"].decode().split()
    found = []
    for split, others in OTHERS_PER_CLASS.items():
        content = np.frombuffer(contents[f"{split}.bin"], np.uint8)
        if len(content) == 0 or len(content) % RECORD_BYTES:
            raise DatasetError(f"{split}.bin of {path} is not in CIFAR-100's binary layout")
        records = content.reshape(-1, RECORD_BYTES)
        if records[:, 1].max() >= len(names):
            raise DatasetError(f"fine_label_names.txt of {path} does not name all classes")
        taken: Counter[str] = Counter()
        for position, record in enumerate(records):
            name = names[record[1]]
            label = name if name in labels else OTHER
            taken[name] += 1
            if label not in labels or (label == OTHER and taken[name] > others):
                continue
            found.append(_found(record, f"{SOURCE}/{split}.bin#{position}", label, name, split))
    return found


def _found(record: np.ndarray, file: str, label: str, kind: str, split: str) -> Found:
    planes = record[2:].reshape(3, SIDE, SIDE)
    digest = hashlib.sha256(planes.tobytes()).hexdigest()[:16]
    photo = Photo("", file, label, split, SOURCE, THUMBNAIL, kind, f"{SOURCE}/{digest}")
    return Found(photo, lambda: _bitmap(planes))


def _bitmap(planes: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(planes.transpose(1, 2, 0)).save(buffer, "BMP")
    return buffer.getvalue()


def _contents(path: Path) -> dict[str, bytes]:
    """The bytes of the three files, by name."""
    if path.is_dir():
        contents = {name: (path / name).read_bytes() for name in FILES if (path / name).is_file()}
    elif path.is_file():
        try:
            with tarfile.open(path) as archive:
                contents = {
                    Path(member.name).name: stream.read()
                    for member in archive
                    if Path(member.name).name in FILES and (stream := archive.extractfile(member))
                }
        except (tarfile.TarError, EOFError, lzma.LZMAError, OSError) as error:
            raise DatasetError(f"{path} is not a complete tar archive: get it again") from error
    else:
        raise DatasetError(f"{path} does not exist: give CIFAR-100's archive or folder")
    missing = [name for name in FILES if name not in contents]
    if missing:
        raise DatasetError(f"{path} has no {', '.join(missing)}")
    return contents
