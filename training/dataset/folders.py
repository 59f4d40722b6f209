"""Read labelled photos from folders, from a staged dataset, and from S3.

A folder of photos has one folder for each label, or it is named together with one label. The
source of a photo is, in this order: column `source` or `source_repo` of the folder's manifest.csv,
the folder below the label (bicycle/shop-a/1.jpg), the name before two underscores
(bicycle/shop-a__1.jpg), or unknown.
"""

import argparse
import concurrent.futures
import csv
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import boto3
from botocore.config import Config
from tqdm import tqdm

from training.dataset.records import UNKNOWN, DatasetError, Found, Photo, read_manifest

REQUESTS_AT_ONCE = 16
SPLIT_NAMES = {"train", "training", "valid", "val", "validation", "test", "testing"}


def add_label_option(parser: argparse.ArgumentParser) -> None:
    """Add `--label LABEL FOLDER...`, which names the label of whole folders."""
    parser.add_argument(
        "--label",
        nargs="+",
        action="append",
        default=[],
        metavar=("LABEL", "FOLDER"),
        help="a label, and folders whose photos all show it; repeatable",
    )


def labelled(options: Iterable[list[str]]) -> list[tuple[str, Path]]:
    """Pairs of a label and a folder, from the values of `--label`.

    Raises:
        DatasetError: a label has no folder.

    """
    for label, *folders in options:
        if not folders:
            raise DatasetError(f"--label {label} names no folder: give the folders of its photos")
    return [(label, Path(folder)) for label, *folders in options for folder in folders]


def read_folder(root: Path, labels: Iterable[str] = ()) -> list[Found]:
    """Every file below root/<label>/, with what the folder's manifest.csv says of it.

    With `labels`, other folders are left out.

    Raises:
        DatasetError: the folder is missing, has no folders, or has splits in place of labels.

    """
    wanted = set(labels)
    if not root.is_dir():
        raise DatasetError(f"{root} is not a folder: give one with a folder of photos per label")
    folders = sorted(path for path in root.iterdir() if path.is_dir() and path.name[0] != ".")
    if folders and {path.name.lower() for path in folders} <= SPLIT_NAMES:
        raise DatasetError(
            f"{root} has the folders {', '.join(path.name for path in folders)}, which are splits "
            f"and no labels: give one of them, such as {folders[0]}"
        )
    if wanted:
        folders = [path for path in folders if path.name in wanted]
    if not folders:
        names = ", ".join(f"{name}/" for name in sorted(wanted)) or "one for each label"
        raise DatasetError(f"{root} has no folders of photos: {names}")
    return [photo for folder in folders for photo in read_label(folder.name, folder)]


def read_label(label: str, folder: Path) -> list[Found]:
    """Every file below a folder, as photos of one label.

    manifest.csv in the folder or beside it describes them.

    Raises:
        DatasetError: the folder is missing, or its manifest cannot be read.

    """
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder: give one with photos of {label}")
    root = folder if (folder / "manifest.csv").is_file() else folder.parent
    described = _described(root / "manifest.csv")
    return [
        Found(_photo(file, label, folder, described.get(name, {})), file.read_bytes)
        for file in sorted(_files(folder))
        if (name := file.relative_to(root).as_posix()) != "manifest.csv"
    ]


def read_staged(base: Path) -> list[Found]:
    """The photos of a staged dataset, each in its split."""
    return [Found(photo, (base / photo.file).read_bytes) for photo in read_manifest(base)]


def fetch_folder(uri: str, target: Path) -> Path:
    """Download s3://bucket/prefix/<label>/... below `target`; return that folder.

    Raises:
        DatasetError: there are no photos.

    """
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
    s3 = boto3.client("s3", config=Config(max_pool_connections=REQUESTS_AT_ONCE))
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [item["Key"] for page in pages for item in page.get("Contents", []) if item["Size"]]
    files = {
        key: target / folder / _file_name(key)
        for key in keys
        if (folder := os.path.dirname(key.removeprefix(prefix)))  # noqa: PTH120 a key, not a path
    }
    if not files:
        raise DatasetError(f"{uri} has no labelled photos: review some photos first")
    for file in files.values():
        if not file.resolve().is_relative_to(target.resolve()):
            raise DatasetError(f"{uri} has keys with ..: remove them")
        file.parent.mkdir(parents=True, exist_ok=True)

    def fetch(key: str) -> None:
        s3.download_file(bucket, key, str(files[key]))

    with concurrent.futures.ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
        for _ in tqdm(pool.map(fetch, files), total=len(files), desc="download", disable=None):
            pass
    return target


def _file_name(key: str) -> str:
    """A name for the file of a key: safe on every disk, and without a source's underscores."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _files(folder: Path) -> Iterator[Path]:
    for file in folder.rglob("*"):
        if file.is_file() and not file.name.startswith("."):
            yield file


def _described(manifest: Path) -> dict[str, dict[str, str]]:
    if not manifest.is_file():
        return {}
    try:
        with manifest.open(newline="") as stream:
            return {row["file"]: row for row in csv.DictReader(stream)}
    except (KeyError, ValueError, csv.Error) as error:
        raise DatasetError(f"{manifest} is not a CSV file with a column 'file'") from error


def _photo(file: Path, label: str, folder: Path, row: dict[str, str]) -> Photo:
    below = file.relative_to(folder).parts
    prefix, separator, _ = file.name.partition("__")
    source = row.get("source") or row.get("source_repo") or ""
    if not source:
        source = below[0] if len(below) > 1 else prefix if separator else UNKNOWN
    return Photo(
        id="",
        file=f"{folder.name}/{file.relative_to(folder).as_posix()}",
        label=label,
        split="",
        source=source,
        style=row.get("style") or UNKNOWN,
        kind=row.get("sublabel") or "",
        group=_original(row),
    )


def _original(row: dict[str, str]) -> str:
    """What names the original photo, shared by its crops and its copies in another format."""
    if row.get("source_repo") and row.get("path"):
        return f"{row['source_repo']}/{Path(row['path'].partition('#')[0]).stem.lower()}"
    return row.get("group") or ""
