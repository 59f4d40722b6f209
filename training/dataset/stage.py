"""Make a versioned dataset from folders of photos.

    .venv-training/bin/python -m training.dataset.stage [options]

    --photos my/photos
    --photos my/photos --cifar cifar-100-binary.tar.gz
    --base build/dataset --photos s3://bucket/labelled

Sources
    --photos   a folder, or s3://bucket/prefix, with one folder for each label. Repeatable. Which
               source a photo is of: see training/dataset/folders.py.
    --label    a label, and folders whose photos all show it. Repeatable.
    --cifar    CIFAR-100's binary archive or folder: classes that are labels are one more source.
    --base     a staged dataset: all of it is kept, each photo in its split. Its labels are the
               labels. A photo that is labelled differently in --photos takes the new label.

Makes in --dataset
    manifest.csv   one row per photo: label, split, source, style, kind, group, hashes
    excluded.csv   what was left out, and why: unreadable, copy, two labels, near-duplicate
    dataset.json   labels, version (a hash of the content), counts
    photos/        upright JPEGs as the workflow sends them to the endpoint, named by content
"""

import argparse
import concurrent.futures
import hashlib
import io
import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import BotoCoreError, ClientError
from PIL import Image
from tqdm import tqdm

from functions.serialize_image.photo import QUALITY, read
from training.dataset import cifar, folders
from training.dataset.duplicates import SIDE, near_duplicates
from training.dataset.records import (
    UNKNOWN,
    DatasetError,
    Excluded,
    Found,
    Photo,
    check_counts,
    read_manifest,
    sorted_labels,
    write_rows,
)
from training.dataset.splits import TEST_SHARE, assign_splits
from training.dataset.upload import upload


def stage(
    roots: list[Path],
    dataset: Path,
    *,
    labelled: Iterable[tuple[str, Path]] = (),
    cifar_100: Path | None = None,
    base: Path | None = None,
    test_share: float = TEST_SHARE,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Make the dataset in the folder `dataset`; return what dataset.json holds.

    `roots` have a folder for each label; `labelled` are labels and folders of their photos.

    Raises:
        DatasetError: something that the user can fix.

    """
    staged = folders.read_staged(base) if base else []
    known = {found.photo.label for found in staged}
    found = [photo for root in roots for photo in folders.read_folder(root, known)]
    for label, folder in labelled:
        if known and label not in known:
            raise DatasetError(f"{label} is no label of {base}: those are {', '.join(known)}")
        found += folders.read_label(label, folder)
    labels = sorted_labels(known or (item.photo.label for item in found))
    if cifar_100:
        found += cifar.read_cifar(cifar_100, labels)

    excluded: list[Excluded] = []
    read, contents, grey = read_photos([*found, *staged], excluded)
    keep = without_copies(read, len(found), excluded)
    photos = [read[at] for at in keep]
    keep_earlier_splits(photos, [path for path in (dataset, base) if path])
    left_out = assign_splits(photos, near_duplicates(grey[keep]), test_share)
    excluded += [Excluded(photos[at].file, reason) for at, reason in sorted(left_out.items())]
    kept = [photo for at, photo in enumerate(photos) if at not in left_out]
    check_counts(kept, labels)
    description = describe(kept, excluded, labels)
    if not dry_run:
        write(dataset, kept, contents, excluded, description)
    return description


def read_photos(
    found: list[Found], excluded: list[Excluded]
) -> tuple[list[Photo], dict[str, bytes], np.ndarray]:
    """The readable photos with their ids, the JPEG of each id, and grey photos [n, 32, 32]."""

    def read_one(item: Found) -> tuple[str, bytes, np.ndarray] | str:
        try:
            return read_photo(item)
        except (ValueError, OSError) as error:
            return f"unreadable: {error}"

    photos: list[Photo] = []
    contents: dict[str, bytes] = {}
    greys = [np.empty((0, SIDE, SIDE), np.float32)]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        results = tqdm(pool.map(read_one, found), total=len(found), desc="photos", disable=None)
        for item, result in zip(found, results, strict=True):
            if isinstance(result, str):
                excluded.append(Excluded(item.photo.file, result))
                continue
            item.photo.id, content, grey = result
            item.photo.group = item.photo.group or item.photo.id
            contents.setdefault(item.photo.id, content)
            photos.append(item.photo)
            greys.append(grey[None])
    return photos, contents, np.concatenate(greys)


def read_photo(found: Found) -> tuple[str, bytes, np.ndarray]:
    """A photo's id, its upright small JPEG without metadata, and its grey pixels [32, 32].

    A photo of a staged dataset, which has an id, stays as it is.

    Raises:
        ValueError: it is not a readable photo.

    """
    content = found.read()
    image = read(content)
    identifier = found.photo.id
    if not identifier:
        identifier = hashlib.sha256(content).hexdigest()[:16]
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=QUALITY)
        content = buffer.getvalue()
    grey = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    return identifier, content, np.asarray(grey, dtype=np.float32)


def without_copies(photos: list[Photo], found: int, excluded: list[Excluded]) -> list[int]:
    """Positions of photos of different content, test photos first.

    Of the first `found` photos, copies with two labels are excluded: nobody knows which is right.
    The rest are of a staged dataset, whose label gives way to the new one.
    """
    labels: dict[str, set[str]] = {}
    for photo in photos[:found]:
        labels.setdefault(photo.id, set()).add(photo.label)
    first: dict[str, Photo] = {}
    keep = []
    for at in sorted(range(len(photos)), key=lambda at: photos[at].split != "test" or at >= found):
        photo = photos[at]
        if len(labels.get(photo.id, ())) > 1:
            reason = f"has two labels: {' and '.join(sorted(labels[photo.id]))}"
            excluded.append(Excluded(photo.file, reason))
        elif photo.id in first:
            excluded.append(Excluded(photo.file, f"copy of {first[photo.id].file}"))
        else:
            first[photo.id] = photo
            keep.append(at)
    return sorted(keep)


def keep_earlier_splits(photos: list[Photo], datasets: Iterable[Path]) -> None:
    """Give the photos of earlier versions of the dataset the split that they had."""
    earlier = {
        photo.id: photo.split
        for dataset in datasets
        if (dataset / "manifest.csv").is_file()
        for photo in read_manifest(dataset)
    }
    for photo in photos:
        photo.split = photo.split or earlier.get(photo.id, "")


def describe(photos: list[Photo], excluded: list[Excluded], labels: list[str]) -> dict[str, Any]:
    """What dataset.json holds."""
    content = sorted(f"{photo.id} {photo.label} {photo.split}" for photo in photos)
    counts = Counter((photo.split, photo.label) for photo in photos)
    reasons = Counter(re.split(r":| of", row.reason)[0] for row in excluded)
    return {
        "version": hashlib.sha256("\n".join(content).encode()).hexdigest()[:12],
        "labels": labels,
        "counts": {
            split: {label: counts[split, label] for label in labels} for split in ("train", "test")
        },
        "sources": len({photo.source for photo in photos} - {UNKNOWN}),
        "excluded": dict(reasons),
    }


def write(
    dataset: Path,
    photos: list[Photo],
    contents: dict[str, bytes],
    excluded: list[Excluded],
    description: dict[str, Any],
) -> None:
    (dataset / "photos").mkdir(parents=True, exist_ok=True)
    for photo in photos:
        photo.file = f"photos/{photo.id}.jpg"
        if not (dataset / photo.file).exists():
            (dataset / photo.file).write_bytes(contents[photo.id])
    write_rows(dataset / "manifest.csv", photos, Photo)
    write_rows(dataset / "excluded.csv", excluded, Excluded)
    (dataset / "dataset.json").write_text(json.dumps(description, indent=2) + "\n")


def summary(description: dict[str, Any]) -> str:
    """The counts of a dataset, for people."""
    train, test = description["counts"]["train"], description["counts"]["test"]
    return "\n".join(
        [
            f"dataset {description['version']}, sources: {description['sources'] or 'unknown'}",
            *(f"  {label}: {train[label]} train, {test[label]} test" for label in train),
            *(f"  excluded: {count} {why}" for why, count in description["excluded"].items()),
        ]
    )


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--photos", action="append", default=[], help="folder or S3 URI; repeatable"
    )
    folders.add_label_option(parser)
    parser.add_argument("--cifar", type=Path, help="CIFAR-100's binary archive or folder")
    parser.add_argument("--base", type=Path, help="a staged dataset to add to")
    parser.add_argument("--dataset", type=Path, default=Path("build/dataset"), help="%(default)s")
    parser.add_argument(
        "--upload", metavar="s3://BUCKET/PREFIX", help="copy the dataset there, below its version"
    )
    parser.add_argument("--dry-run", action="store_true", help="report what would be made")
    options = parser.parse_args(arguments)
    if not options.photos and not options.label and not options.base:
        parser.error("give --photos, a folder with one folder of photos for each label")
    return options


def main(arguments: list[str] | None = None) -> None:
    options = parse_arguments(arguments)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            roots = [
                folders.fetch_folder(photos, Path(scratch) / str(at))
                if photos.startswith("s3://")
                else Path(photos)
                for at, photos in enumerate(options.photos)
            ]
            description = stage(
                roots,
                options.dataset,
                labelled=folders.labelled(options.label),
                cifar_100=options.cifar,
                base=options.base,
                dry_run=options.dry_run,
            )
        print(summary(description))
        if not options.dry_run:
            print(f"the dataset is in {options.dataset}, what was left out in excluded.csv there")
            if options.upload:
                print(f"uploaded to {upload(options.dataset, options.upload)}")
    except (DatasetError, OSError, BotoCoreError, ClientError, S3UploadFailedError) as error:
        sys.exit(f"stage: {error}")


if __name__ == "__main__":
    main()
