"""Turn sources of pictures into one versioned dataset with honest splits.

    python training/stage_data.py --cifar cifar-100-binary.tar.gz --photos my/photos
    python training/stage_data.py --cifar cifar-100-binary.tar.gz --photos my/photos --dry-run
    python training/stage_data.py --base build/dataset --photos s3://bucket/labelled --dataset new

Sources
    CIFAR-100, official binary layout: an archive or its directory. Without --cifar the official
    archive (161 MB) is downloaded and its checksum verified. Its train/test split is kept.
    Photos: directories that hold bicycle/, motorcycle/ and other/, any depth below. A
    manifest.csv in such a directory (columns file, style, group, source_repo, path; all but
    file optional) says which files came from one original. What reviewers labelled has the same
    layout and can be read where it is, s3://<photos bucket>/labelled; photos of one folder
    below a label, which are one courier's, count as of one original.
    A staged dataset with --base, in place of --cifar: all of it is kept, and each picture stays
    in its split. A photo that is labelled anew in --photos takes its new label.

What it makes in --dataset
    manifest.csv   one row per picture: label, split, source, style, group, hashes
    excluded.csv   what was left out, and why: unreadable, duplicate, too like a test picture
    dataset.json   dataset version (a hash of the manifest's content) and counts
    photos/        upright JPEGs, longest side at most 256 pixels, named by content
    cifar-100/     train.bin, test.bin and the label names

Pictures of one original, and near-duplicates by perceptual hash (mirrored ones too), never
straddle two splits. A picture keeps its split when data is added: the split is a hash of its
group, and an earlier manifest in --dataset wins.
"""

import argparse
import collections
import concurrent.futures
import csv
import dataclasses
import hashlib
import io
import json
import lzma
import os
import shutil
import sys
import tarfile
import tempfile
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # until training is a package

import boto3
import numpy as np
import pillow_heif
from boto3.exceptions import S3UploadFailedError
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from PIL import Image
from tqdm import tqdm

from serving.preprocess import decode

LABELS = ("bicycle", "motorcycle", "other")
SPLIT_SHARES = {"test": 0.15, "validation": 0.10}  # of the photo groups; the rest is train
CIFAR_VALIDATION_SHARE = 0.04  # of CIFAR's train pictures; its test pictures stay test

CIFAR_URL = "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"
CIFAR_MD5 = "03b5dce01913d631647c71ecec9e9cb8"  # as published beside the archive
CIFAR_FILES = ("train.bin", "test.bin", "fine_label_names.txt", "coarse_label_names.txt")
CIFAR_RECORD_BYTES = 2 + 3 * 32 * 32  # coarse label, fine label, red, green and blue planes

PHOTO_LONGEST_SIDE = 256  # pixels: what the workflow sends to the endpoint
UPLOADS_AT_ONCE = 16
HASH_BITS = 256
NEAR_DUPLICATE_BITS = 40  # of 256; unrelated pictures differ in about 128


@dataclasses.dataclass
class Picture:
    """One row of the manifest. `record` is the position in a CIFAR file, empty for photos."""

    id: str  # the first 16 hexadecimal digits of the SHA-256 of the source's bytes
    file: str
    record: str
    label: str
    fine_label: str  # CIFAR-100's own class, empty for photos
    split: str
    source: str
    style: str
    group: str
    perceptual_hash: str


@dataclasses.dataclass
class Excluded:
    file: str
    reason: str


class StagingError(Exception):
    """Something that the user can put right; the message says how."""


# ---------------------------------------------------------------- perceptual hash


def _cosine_basis(frequencies: int, size: int) -> np.ndarray:
    positions = (np.arange(size) + 0.5) / size
    return np.cos(np.pi * np.arange(frequencies)[:, None] * positions[None, :])


_BASIS = _cosine_basis(16, 32)


def perceptual_hashes(grey: np.ndarray) -> np.ndarray:
    """The DCT perceptual hash of grey pictures [n, 32, 32]: bool [n, 256].

    A bit says whether one of the 16 x 16 lowest frequencies (the mean apart) is above their
    median, after https://www.hackerfactor.com/blog/index.php?/archives/432-Looks-Like-It.html.
    """
    spectrum = _BASIS @ grey.astype(np.float32) @ _BASIS.T
    flat = spectrum.reshape(len(grey), HASH_BITS)
    flat[:, 0] = 0
    return flat > np.median(flat, axis=1, keepdims=True)


def near_duplicates(hashes: np.ndarray, mirrored: np.ndarray) -> Iterator[tuple[int, int]]:
    """Pairs of positions whose hashes, or one's and the other's mirror image, nearly agree."""
    signs = hashes.astype(np.float32) * 2 - 1
    mirrored_signs = mirrored.astype(np.float32) * 2 - 1
    least_agreement = HASH_BITS - 2 * NEAR_DUPLICATE_BITS
    block = 2048
    for start in tqdm(range(0, len(signs), block), desc="comparing", unit="block", disable=None):
        rows = signs[start : start + block]
        for others in (signs[start:], mirrored_signs[start:]):
            first, second = np.nonzero(rows @ others.T >= least_agreement)
            for a, b in zip(first + start, second + start, strict=True):
                if a < b:
                    yield int(a), int(b)


# ---------------------------------------------------------------- reading the sources


def read_cifar(directory: Path) -> tuple[list[Picture], np.ndarray]:
    """CIFAR-100's pictures and their grey versions [n, 32, 32]."""
    names = (directory / "fine_label_names.txt").read_text().split()
    pictures: list[Picture] = []
    greys = []
    for split in ("train", "test"):
        raw = np.fromfile(directory / f"{split}.bin", dtype=np.uint8)
        if len(raw) == 0 or len(raw) % CIFAR_RECORD_BYTES:
            raise StagingError(f"{directory / split}.bin is not in CIFAR-100's binary layout")
        records = raw.reshape(-1, CIFAR_RECORD_BYTES)
        if records[:, 1].max() >= len(names):
            raise StagingError(
                f"{directory / split}.bin has labels that fine_label_names.txt has no names for"
            )
        for position, record in enumerate(records):
            fine_label = names[record[1]]
            digest = _content_id(record[2:].tobytes())
            pictures.append(
                Picture(
                    id=digest,
                    file=f"cifar-100/{split}.bin",
                    record=str(position),
                    label=fine_label if fine_label in LABELS else "other",
                    fine_label=fine_label,
                    split=split,
                    source="cifar-100",
                    style="thumbnail",
                    group=digest,
                    perceptual_hash="",
                )
            )
        planes = records[:, 2:].reshape(-1, 3, 32, 32).astype(np.float32)
        greys.append(planes.transpose(0, 2, 3, 1) @ np.array([0.299, 0.587, 0.114], np.float32))
    return pictures, np.concatenate(greys)


def read_photo(file: Path) -> tuple[str, bytes, np.ndarray]:
    """A photo's id, the JPEG to stage (upright, small, without metadata), and grey 32 x 32 pixels.

    Raises ValueError when it is unreadable.
    """
    image_bytes = file.read_bytes()
    image = decode_heif(image_bytes) or decode(image_bytes, PHOTO_LONGEST_SIDE)
    image.thumbnail((PHOTO_LONGEST_SIDE, PHOTO_LONGEST_SIDE), Image.Resampling.BICUBIC)
    staged = io.BytesIO()
    image.save(staged, "JPEG", quality=92)
    grey = image.convert("L").resize((32, 32), Image.Resampling.BOX)
    return _content_id(image_bytes), staged.getvalue(), np.asarray(grey, dtype=np.float32)


def decode_heif(image_bytes: bytes) -> Image.Image | None:
    """The upright RGB image of a HEIC photo, as iPhones make them; None for anything else.

    The endpoint needs no such decoder: the workflow sends it a JPEG.
    """
    if image_bytes[4:8] != b"ftyp" or not pillow_heif.is_supported(image_bytes):
        return None
    try:
        return pillow_heif.open_heif(image_bytes).to_pillow().convert("RGB")
    except (ValueError, OSError, RuntimeError, SyntaxError) as error:
        raise ValueError("the photo is damaged") from error


def read_staged(file: Path) -> tuple[bytes, np.ndarray]:
    """A photo of a staged dataset as it is, and its grey 32 x 32 pixels."""
    staged = file.read_bytes()
    with Image.open(io.BytesIO(staged)) as image:
        grey = image.convert("L").resize((32, 32), Image.Resampling.BOX)
    return staged, np.asarray(grey, dtype=np.float32)


def _content_id(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def photo_rows(root: Path) -> list[tuple[Path, Picture]]:
    """Every file under root/<label>/, with what the root's manifest.csv says of it."""
    if not any((root / label).is_dir() for label in LABELS):
        raise StagingError(f"{root} holds none of bicycle/, motorcycle/, other/")
    described = {}
    if (root / "manifest.csv").is_file():
        with (root / "manifest.csv").open(newline="") as stream:
            try:
                described = {row["file"]: row for row in csv.DictReader(stream)}
            except (KeyError, ValueError, csv.Error) as error:
                raise StagingError(
                    f"{root / 'manifest.csv'} is no CSV file with a column 'file': {error!r}"
                ) from error
    rows = []
    for label in LABELS:
        for file in sorted((root / label).rglob("*")):
            name = file.relative_to(root).as_posix()
            if not file.is_file() or file.name.startswith("."):
                continue
            row = described.get(name, {})
            prefix, separator, _ = file.name.partition("__")
            rows.append(
                (
                    file,
                    Picture(
                        id="",
                        file=name,
                        record="",
                        label=label,
                        fine_label="",
                        split="",
                        source=prefix if separator else root.name,
                        style=row.get("style") or "unknown",
                        group=_original(row) or "",
                        perceptual_hash="",
                    ),
                )
            )
    return rows


def base_rows(base: Path) -> list[tuple[Path, Picture]]:
    """The photos of a staged dataset; their splits are assigned anew, and stay."""
    try:
        with (base / "manifest.csv").open(newline="") as stream:
            pictures = [Picture(**row) for row in csv.DictReader(stream)]
    except (OSError, TypeError) as error:
        raise StagingError(f"{base} holds no staged dataset: {error}") from error
    photos = [picture for picture in pictures if not picture.fine_label]
    return [(base / photo.file, dataclasses.replace(photo, split="")) for photo in photos]


def fetch_photos(source: str, scratch: Path) -> Path:
    """Download s3://bucket/prefix/<label>/... into a photo directory below `scratch`.

    A folder below a label holds the photos of one courier: the directory's manifest.csv says so.
    """
    bucket, _, prefix = source.removeprefix("s3://").partition("/")
    prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
    s3 = boto3.client("s3", config=Config(max_pool_connections=UPLOADS_AT_ONCE))
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [item["Key"] for page in pages for item in page.get("Contents", []) if item["Size"]]
    folders = {key: key.removeprefix(prefix).split("/")[:-1] for key in keys}
    photos = [key for key in keys if folders[key] and folders[key][0] in LABELS]
    if not photos:
        raise StagingError(f"{source} holds no photo of {', '.join(LABELS)}: label some first")
    root = scratch / "labelled"
    names = {
        key: f"{folders[key][0]}/{hashlib.sha256(key.encode()).hexdigest()[:32]}" for key in photos
    }
    for label in LABELS:
        (root / label).mkdir(parents=True)
    with (root / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["file", "style", "group"])
        writer.writeheader()
        for key, name in names.items():
            courier = "/".join(folders[key][1:])
            group = f"courier/{courier}" if courier else ""
            writer.writerow({"file": name, "style": "upload", "group": group})

    def fetch(key: str) -> None:
        s3.download_file(bucket, key, str(root / names[key]))

    with concurrent.futures.ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
        results = pool.map(fetch, photos)
        collections.deque(
            tqdm(results, total=len(photos), desc="download", unit="photo", disable=None), maxlen=0
        )
    return root


def _original(row: dict[str, str]) -> str | None:
    """What names the original photo, shared by its crops and copies in another format.

    That is its repository and file stem, or else the manifest's own group.
    """
    if row.get("source_repo") and row.get("path"):
        return f"{row['source_repo']}/{Path(row['path'].partition('#')[0]).stem.lower()}"
    return row.get("group")


# ---------------------------------------------------------------- splits


class DisjointSets:
    """Union-find over positions 0 to n - 1."""

    def __init__(self, count: int) -> None:
        self.parents = list(range(count))

    def find(self, member: int) -> int:
        while self.parents[member] != member:
            self.parents[member] = self.parents[self.parents[member]]
            member = self.parents[member]
        return member

    def join(self, one: int, other: int) -> None:
        self.parents[self.find(one)] = self.find(other)

    def clusters(self) -> Iterable[list[int]]:
        members = collections.defaultdict(list)
        for member in range(len(self.parents)):
            members[self.find(member)].append(member)
        return members.values()


def hashed_split(key: str, shares: dict[str, float]) -> str:
    """train, validation or test by a hash of `key`: the same on every machine, for ever."""
    position = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) / 2**64
    for split, share in shares.items():
        if position < share:
            return split
        position -= share
    return "train"


def assign_splits(
    pictures: list[Picture], links: Iterable[tuple[int, int]], earlier: dict[str, str]
) -> dict[int, str]:
    """Set every picture's split; return the positions to leave out, with the reason.

    `links` joins near-duplicates; pictures of one group are joined too. `earlier` maps ids of an
    earlier version of the dataset to their splits, which stay. In a cluster that holds test
    pictures of fixed split (CIFAR's, or an earlier version's), the others follow them or, where
    their own split is fixed as well, are left out.
    """
    sets = DisjointSets(len(pictures))
    for one, other in links:
        sets.join(one, other)
    first_of_group: dict[str, int] = {}
    for position, picture in enumerate(pictures):
        sets.join(position, first_of_group.setdefault(picture.group, position))

    left_out: dict[int, str] = {}
    for cluster in sets.clusters():
        fixed = {position: _fixed_split(pictures[position], earlier) for position in cluster}
        held = {split for split in fixed.values() if split}
        if not held:
            key = min(pictures[position].group for position in cluster)
            all_cifar = all(pictures[position].fine_label for position in cluster)
            shares = {"validation": CIFAR_VALIDATION_SHARE} if all_cifar else SPLIT_SHARES
            split = hashed_split(key, shares)
        else:
            split = next(name for name in ("test", "validation", "train") if name in held)
        for position in cluster:
            picture = pictures[position]
            may_follow = fixed[position] in (None, split) and not (
                picture.fine_label and split == "test" and picture.split == "train"
            )
            if may_follow:
                picture.split = split
            else:
                left_out[position] = f"near-duplicate of a {split} picture"
    return left_out


def _fixed_split(picture: Picture, earlier: dict[str, str]) -> str | None:
    if picture.fine_label and picture.split == "test":
        return "test"
    return earlier.get(picture.id)


# ---------------------------------------------------------------- the dataset


def stage(
    cifar: Path,
    photo_roots: list[Path],
    dataset: Path,
    *,
    base: Path | None = None,
    dry_run: bool = False,
) -> dict[str, object]:
    """Build the dataset directory from a CIFAR-100 directory, photo directories and a `base`.

    `base` is a staged dataset whose photos are kept, in their splits. Returns what dataset.json
    holds. With `dry_run` nothing is written.
    """
    excluded: list[Excluded] = []
    earlier = _earlier_splits(dataset) | (_earlier_splits(base) if base else {})
    pictures, greys = read_cifar(cifar)
    contents: dict[str, bytes] = {}
    rows = [row for root in photo_roots for row in photo_rows(root)]
    rows += base_rows(base) if base else []  # after them: a new label goes before the old one
    photos, photo_greys = _read_photos(rows, contents, excluded)
    pictures = pictures + photos
    greys = np.concatenate([greys, photo_greys])

    hashes = perceptual_hashes(greys)
    for picture, bits in zip(pictures, hashes, strict=True):
        picture.perceptual_hash = np.packbits(bits).tobytes().hex()
    keep = _without_copies(pictures, excluded)
    pictures = [pictures[position] for position in keep]
    links = near_duplicates(hashes[keep], perceptual_hashes(greys[keep][:, :, ::-1]))
    left_out = assign_splits(pictures, links, earlier)
    excluded += [
        Excluded(_name(pictures[position]), reason) for position, reason in sorted(left_out.items())
    ]
    kept = [picture for position, picture in enumerate(pictures) if position not in left_out]

    description = describe(kept, excluded)
    if not dry_run:
        _write(dataset, cifar, kept, contents, excluded, description)
    return description


def describe(pictures: list[Picture], excluded: list[Excluded]) -> dict[str, object]:
    """The content of dataset.json: version and counts by split, source and label."""
    content = sorted(f"{picture.id} {picture.label} {picture.split}" for picture in pictures)
    counts: dict[str, dict[str, int]] = {}
    for split in ("train", "validation", "test"):
        for picture in pictures:
            if picture.split == split:
                kind = "cifar-100" if picture.fine_label else "photos"
                labels = counts.setdefault(f"{split} {kind}", dict.fromkeys(LABELS, 0))
                labels[picture.label] += 1
    return {
        "version": hashlib.sha256("\n".join(content).encode()).hexdigest()[:12],
        "labels": list(LABELS),
        "counts": counts,
        "excluded": len(excluded),
    }


def _earlier_splits(dataset: Path) -> dict[str, str]:
    manifest = dataset / "manifest.csv"
    if not manifest.is_file():
        return {}
    with manifest.open(newline="") as stream:
        return {row["id"]: row["split"] for row in csv.DictReader(stream)}


def _read_photos(
    rows: list[tuple[Path, Picture]], contents: dict[str, bytes], excluded: list[Excluded]
) -> tuple[list[Picture], np.ndarray]:
    def read(row: tuple[Path, Picture]) -> tuple[str, bytes, np.ndarray] | str:
        file, picture = row
        try:
            return (picture.id, *read_staged(file)) if picture.id else read_photo(file)
        except ValueError as error:
            return f"unreadable: {error}"

    photos = []
    greys = [np.empty((0, 32, 32), np.float32)]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        results = tqdm(
            pool.map(read, rows), total=len(rows), desc="photos", unit="photo", disable=None
        )
        for (_, picture), result in zip(rows, results, strict=True):
            if isinstance(result, str):
                excluded.append(Excluded(picture.file, result))
                continue
            picture.id, staged, grey = result
            contents.setdefault(picture.id, staged)
            picture.group = picture.group or picture.id
            photos.append(picture)
            greys.append(grey[None])
    return photos, np.concatenate(greys)


def _without_copies(pictures: list[Picture], excluded: list[Excluded]) -> list[int]:
    """Positions of the pictures whose content was not seen before, test pictures first."""
    first: dict[str, Picture] = {}
    keep = []
    for position in sorted(range(len(pictures)), key=lambda at: pictures[at].split != "test"):
        picture = pictures[position]
        if picture.id in first:
            excluded.append(Excluded(_name(picture), f"copy of {_name(first[picture.id])}"))
        else:
            first[picture.id] = picture
            keep.append(position)
    return sorted(keep)


def _name(picture: Picture) -> str:
    return f"{picture.file}#{picture.record}" if picture.record else picture.file


def _write(
    dataset: Path,
    cifar: Path,
    pictures: list[Picture],
    contents: dict[str, bytes],
    excluded: list[Excluded],
    description: dict[str, object],
) -> None:
    (dataset / "photos").mkdir(parents=True, exist_ok=True)
    (dataset / "cifar-100").mkdir(exist_ok=True)
    for name in CIFAR_FILES:
        if (cifar / name).resolve() != (dataset / "cifar-100" / name).resolve():
            shutil.copyfile(cifar / name, dataset / "cifar-100" / name)
    for picture in pictures:
        if not picture.fine_label:
            picture.file = f"photos/{picture.id}.jpg"
            target = dataset / picture.file
            if not target.exists():
                target.write_bytes(contents[picture.id])
    for name, rows, kind in (
        ("manifest.csv", pictures, Picture),
        ("excluded.csv", excluded, Excluded),
    ):
        with (dataset / name).open("w", newline="") as stream:
            writer = csv.DictWriter(stream, [field.name for field in dataclasses.fields(kind)])
            writer.writeheader()
            writer.writerows(dataclasses.asdict(row) for row in rows)
    (dataset / "dataset.json").write_text(json.dumps(description, indent=2) + "\n")


# ---------------------------------------------------------------- S3


def upload(dataset: Path, destination: str) -> str:
    """Copy a staged dataset to destination/<version>/ and return that S3 URI.

    What is there already, by key and size, is not sent again. dataset.json goes last: where it
    is, the dataset is whole.
    """
    bucket, _, prefix = destination.removeprefix("s3://").partition("/")
    if not destination.startswith("s3://") or not bucket:
        raise StagingError(f"{destination} is no S3 URI: give s3://bucket/prefix")
    version = json.loads((dataset / "dataset.json").read_text())["version"]
    prefix = "/".join(part for part in (prefix.strip("/"), version) if part)
    s3 = boto3.client("s3", config=Config(max_pool_connections=UPLOADS_AT_ONCE))
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
    present = {item["Key"]: item["Size"] for page in pages for item in page.get("Contents", [])}

    staged = [dataset / name for name in ("manifest.csv", "excluded.csv")]
    staged += [dataset / "cifar-100" / name for name in CIFAR_FILES]
    with (dataset / "manifest.csv").open(newline="") as stream:
        files = {row["file"] for row in csv.DictReader(stream) if not row["fine_label"]}
    staged += [dataset / file for file in sorted(files)]

    def send(path: Path) -> None:
        key = f"{prefix}/{path.relative_to(dataset).as_posix()}"
        if present.get(key) != path.stat().st_size:
            s3.upload_file(str(path), bucket, key)

    with concurrent.futures.ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
        results = pool.map(send, staged)
        collections.deque(
            tqdm(results, total=len(staged), desc="upload", unit="file", disable=None), maxlen=0
        )
    s3.upload_file(str(dataset / "dataset.json"), bucket, f"{prefix}/dataset.json")
    return f"s3://{bucket}/{prefix}/"


# ---------------------------------------------------------------- command line


def download_cifar(target: Path) -> Path:
    """The official archive at `target`, downloaded unless it is there; checksum verified."""
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(".partial")
        try:
            with urllib.request.urlopen(CIFAR_URL, timeout=30) as response:
                size = int(response.headers.get("Content-Length", 0)) or None
                with (
                    partial.open("wb") as stream,
                    tqdm(
                        desc="CIFAR-100", total=size, unit="B", unit_scale=True, disable=None
                    ) as progress,
                ):
                    while chunk := response.read(1 << 20):
                        stream.write(chunk)
                        progress.update(len(chunk))
        except OSError as error:
            raise StagingError(
                f"cannot download {CIFAR_URL} ({error}): give a file with --cifar"
            ) from error
        partial.rename(target)
    with target.open("rb") as stream:
        digest = hashlib.file_digest(stream, "md5").hexdigest()
    if digest != CIFAR_MD5:
        raise StagingError(f"{target} is not the official archive (MD5 {digest}): delete it")
    return target


def cifar_directory(source: Path, scratch: Path) -> Path:
    """The directory of CIFAR-100's binary files; an archive is unpacked into `scratch`."""
    if source.is_dir():
        directory = source
    elif source.is_file():
        try:
            with tarfile.open(source) as archive:
                for member in archive:
                    if member.isfile() and Path(member.name).name in CIFAR_FILES:
                        member.name = Path(member.name).name
                        archive.extract(member, scratch, filter="data")
        except (tarfile.TarError, EOFError, lzma.LZMAError) as error:
            raise StagingError(f"{source} is not a whole tar archive: get it again") from error
        directory = scratch
    else:
        raise StagingError(f"{source} does not exist: give CIFAR-100's archive with --cifar")
    missing = [name for name in CIFAR_FILES if not (directory / name).is_file()]
    if missing:
        raise StagingError(f"{source} lacks {', '.join(missing)}")
    return directory


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sources = parser.add_argument_group("sources")
    sources.add_argument(
        "--cifar", type=Path, help="CIFAR-100 binary archive or directory (default: download it)"
    )
    sources.add_argument("--base", type=Path, help="a staged dataset to add to")
    sources.add_argument(
        "--photos",
        action="append",
        default=[],
        help="photo directory, or s3://bucket/prefix; repeatable",
    )
    output = parser.add_argument_group("output")
    output.add_argument("--dataset", type=Path, default=Path("build/dataset"), help="%(default)s")
    output.add_argument(
        "--upload", metavar="s3://BUCKET/PREFIX", help="copy it there too, below its version"
    )
    output.add_argument("--dry-run", action="store_true", help="say what would be made, no more")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    options = parse_arguments(arguments)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            if options.base:
                cifar = options.base / "cifar-100"
            else:
                cifar = options.cifar or download_cifar(
                    options.dataset.parent / "cifar-100-binary.tar.gz"
                )
            roots = []
            for at, photos in enumerate(options.photos):
                below = Path(scratch) / str(at)
                remote = photos.startswith("s3://")
                roots.append(fetch_photos(photos, below) if remote else Path(photos))
            description = stage(
                cifar_directory(cifar, Path(scratch)),
                roots,
                options.dataset,
                base=options.base,
                dry_run=options.dry_run,
            )
        print(json.dumps(description, indent=2))
        if not options.dry_run:
            print(f"dataset {description['version']} is in {options.dataset}{os.sep}")
            if options.upload:
                print(f"and in {upload(options.dataset, options.upload)}")
    except (StagingError, OSError, BotoCoreError, ClientError, S3UploadFailedError) as error:
        sys.exit(f"stage_data: {error}")


if __name__ == "__main__":
    main()
