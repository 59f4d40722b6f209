"""The dataset: nothing straddles, nothing moves, nothing is lost without a reason."""

import csv
import json
import shutil
import tarfile
from collections import Counter
from pathlib import Path

import boto3
import pillow_heif
import pytest
from moto import mock_aws
from PIL import Image, ImageOps

from tests.support.drawn import draw_photo, encoded, write_cifar, write_photos
from training.dataset import stage as staging
from training.dataset.records import Dataset, DatasetError
from training.dataset.stage import stage
from training.dataset.upload import upload


def manifest(dataset: Path) -> list[dict[str, str]]:
    with (dataset / "manifest.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def excluded(dataset: Path) -> dict[str, str]:
    with (dataset / "excluded.csv").open(newline="") as stream:
        return {row["file"]: row["reason"] for row in csv.DictReader(stream)}


def splits(dataset: Path) -> dict[str, str]:
    return {row["id"]: row["split"] for row in manifest(dataset)}


def test_every_photo_is_staged_small_and_upright(staged):
    rows = manifest(staged)
    assert len([row for row in rows if row["source"] != "cifar-100"]) == 120
    for row in rows:
        with Image.open(staged / row["file"]) as image:
            assert max(image.size) <= 256
            assert not image.getexif()
    assert {row["split"] for row in rows} == {"train", "test"}
    assert excluded(staged) == {}


def test_cifar_is_one_more_source_with_its_own_split(staged):
    rows = [row for row in manifest(staged) if row["source"] == "cifar-100"]
    assert len(rows) == 16
    assert sum(row["split"] == "test" for row in rows) == 4
    assert {row["label"] for row in rows} == {"bicycle", "motorcycle", "other"}


def test_cifar_gives_only_classes_that_are_labels(cifar, tmp_path):
    photos = write_photos(tmp_path / "photos", 25, labels=("bicycle", "class_3"))
    stage([photos], tmp_path / "dataset", cifar_100=cifar)
    rows = [row for row in manifest(tmp_path / "dataset") if row["source"] == "cifar-100"]
    assert sorted({row["label"] for row in rows}) == ["bicycle", "class_3"]


def test_splits_are_the_same_from_any_folder(staged, cifar, tmp_path):
    photos = write_photos(tmp_path / "elsewhere", 40)
    stage([photos], tmp_path / "dataset", cifar_100=cifar)
    assert splits(tmp_path / "dataset") == splits(staged)
    assert Dataset(tmp_path / "dataset").version == Dataset(staged).version


def test_a_label_is_named_for_folders_of_other_names(tmp_path):
    photos = write_photos(tmp_path / "photos", 21, labels=("bicycle", "cat", "dog"))
    (tmp_path / "photos" / "manifest.csv").write_text(
        "file,source,sublabel\n" + f"dog/{next((photos / 'dog').iterdir()).name},shelter,poodle\n"
    )
    only_bicycles = tmp_path / "vehicles"
    only_bicycles.mkdir()
    (photos / "bicycle").rename(only_bicycles / "bicycle")
    animals = ["--label", "other", str(photos / "cat"), str(photos / "dog")]
    staging.main(["--photos", str(only_bicycles), *animals, "--dataset", str(tmp_path / "dataset")])
    rows = manifest(tmp_path / "dataset")
    assert Counter(row["label"] for row in rows) == {"bicycle": 21, "other": 42}
    assert [row["kind"] for row in rows if row["source"] == "shelter"] == ["poodle"]
    assert excluded(tmp_path / "dataset") == {}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (["other"], "--label other names no folder"),
        (["other", "nowhere"], "nowhere is not a folder: give one with photos of other"),
    ],
)
def test_label_without_photos_is_one_line(value, reason, tmp_path):
    with pytest.raises(SystemExit, match=reason) as stopped:
        staging.main(["--label", *value, "--dataset", str(tmp_path / "dataset")])
    assert "\n" not in str(stopped.value)


def test_photos_keep_their_split_when_photos_are_added(staged, cifar, tmp_path):
    dataset = tmp_path / "dataset"
    shutil.copytree(staged, dataset)
    before = splits(dataset)
    stage([write_photos(tmp_path / "photos", 60)], dataset, cifar_100=cifar)
    after = splits(dataset)
    assert len(after) == len(before) + 60
    assert {key: after[key] for key in before} == before
    assert Dataset(dataset).version != Dataset(staged).version


def test_near_duplicates_share_a_split_and_a_group(tmp_path):
    photos = write_photos(tmp_path / "photos", 40)
    for seed in range(40):
        twin = draw_photo(seed, 120, 120 + 40 * (seed % 2), "red")
        half_size = twin.resize((twin.width * 2 // 3, twin.height * 2 // 3))
        half_size.save(photos / "bicycle" / f"again__{seed}.jpg", quality=70)
        ImageOps.mirror(twin).save(photos / "bicycle" / f"mirror__{seed}.png")
    stage([photos], tmp_path / "dataset")
    by_group: dict[str, list[dict[str, str]]] = {}
    for row in manifest(tmp_path / "dataset"):
        if row["label"] == "bicycle":
            by_group.setdefault(row["group"], []).append(row)
    assert {len(rows) for rows in by_group.values()} == {3}
    found = [{row["split"] for row in rows} for rows in by_group.values()]
    assert all(len(each) == 1 for each in found)
    assert len(set.union(*found)) == 2


def test_near_duplicate_of_a_test_photo_leaves_train(tmp_path):
    cifar = write_cifar(
        tmp_path / "cifar",
        train=[("bicycle", 1), ("motorcycle", 2), ("bicycle", 3)],
        test=[("bicycle", 4), ("bicycle", 3)],
    )
    photos = write_photos(tmp_path / "photos", 25, first_seed=500)
    stage([photos], tmp_path / "dataset", cifar_100=cifar)
    assert list(excluded(tmp_path / "dataset")) == ["cifar-100/train.bin#2"]


def test_crops_of_one_original_share_a_split(tmp_path):
    photos = write_photos(tmp_path / "photos", 30)
    names = [path.relative_to(photos).as_posix() for path in sorted(photos.rglob("*.jpg"))]
    with (photos / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["file", "style", "sublabel", "source_repo", "path"])
        writer.writeheader()
        for at, name in enumerate(names):
            path = f"img/{at // 3}.jpg#box={at}"  # three crops of each original
            writer.writerow(
                {"file": name, "style": "crop", "sublabel": "k", "source_repo": "r", "path": path}
            )
    stage([photos], tmp_path / "dataset")
    found: dict[str, set[str]] = {}
    for row in manifest(tmp_path / "dataset"):
        assert (row["style"], row["kind"], row["source"]) == ("crop", "k", "r")
        found.setdefault(row["group"], set()).add(row["split"])
    assert len(found) == 30
    assert all(len(where) == 1 for where in found.values())


@pytest.mark.parametrize(
    ("name", "source"),
    [("a.jpg", "unknown"), ("shop__a.jpg", "shop"), ("kitchen/monday/a.jpg", "kitchen")],
)
def test_folders_and_names_say_where_a_photo_is_from(name, source, tmp_path):
    photos = write_photos(tmp_path / "photos", 20)
    file = photos / "bicycle" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    draw_photo(12345).save(file)
    stage([photos], tmp_path / "dataset")
    drawn = {f"source{at}" for at in range(4)}
    assert {row["source"] for row in manifest(tmp_path / "dataset")} - drawn == {source}


def test_unreadable_files_copies_and_contradictions_are_listed(tmp_path, capsys):
    photos = write_photos(tmp_path / "photos", 25)
    (photos / "other" / "page.jpg").write_text("<html>")
    first, second, *_ = sorted((photos / "bicycle").iterdir())
    shutil.copy(first, photos / "bicycle" / "zz.jpg")
    shutil.copy(second, photos / "motorcycle" / "zz.jpg")
    staging.main(["--photos", str(photos), "--dataset", str(tmp_path / "dataset")])
    reasons = excluded(tmp_path / "dataset")
    assert "not a photo" in reasons["other/page.jpg"]
    assert reasons["bicycle/zz.jpg"] == f"copy of bicycle/{first.name}"
    for name in (f"bicycle/{second.name}", "motorcycle/zz.jpg"):
        assert reasons[name] == "has two labels: bicycle and motorcycle"
    assert len(reasons) == 4
    assert "excluded: 2 has two labels" in capsys.readouterr().out


def test_dry_run_writes_nothing(tmp_path, capsys):
    photos = write_photos(tmp_path / "photos", 20)
    dataset = tmp_path / "dataset"
    staging.main(["--photos", str(photos), "--dataset", str(dataset), "--dry-run"])
    assert "bicycle: " in capsys.readouterr().out
    assert not dataset.exists()


def test_archive_is_read_without_unpacking(cifar, tmp_path):
    archive = tmp_path / "cifar.tar.gz"
    with tarfile.open(archive, "w:gz") as stream:
        for path in cifar.iterdir():
            stream.add(path, f"../outside/{path.name}")
    photos = write_photos(tmp_path / "photos", 20)
    stage([photos], tmp_path / "one", cifar_100=archive)
    stage([photos], tmp_path / "two", cifar_100=cifar)
    assert Dataset(tmp_path / "one").version == Dataset(tmp_path / "two").version
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("broken", ["missing", "text", "layout", "names", "no labels", "table"])
def test_what_the_user_can_fix_is_one_line(broken, cifar, tmp_path):
    photos = write_photos(tmp_path / "photos", 1)
    source = tmp_path / "cifar"
    if broken == "text":
        source.write_text("no archive")
    elif broken != "missing":
        shutil.copytree(cifar, source)
        if broken == "layout":
            (source / "train.bin").write_bytes(b"short")
        elif broken == "names":
            (source / "fine_label_names.txt").write_text("apple\n")
        elif broken == "table":
            (photos / "manifest.csv").write_text("name,style\n1.jpg,parked\n")
        else:
            shutil.rmtree(photos)
            photos.mkdir()
    arguments = ["--cifar", str(source), "--photos", str(photos), "--dataset", str(tmp_path)]
    with pytest.raises(SystemExit) as stopped:
        staging.main(arguments)
    assert str(stopped.value).startswith("stage: ")
    assert "\n" not in str(stopped.value)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        bucket = boto3.resource("s3").Bucket("datasets")
        bucket.create()
        yield bucket


def test_upload_is_the_whole_dataset_below_its_version(staged, bucket):
    version = json.loads((staged / "dataset.json").read_text())["version"]
    assert upload(staged, "s3://datasets/scones") == f"s3://datasets/scones/{version}/"
    local = {
        path.relative_to(staged).as_posix(): path.stat().st_size
        for path in staged.rglob("*")
        if path.is_file()
    }
    prefix = f"scones/{version}/"
    there = {item.key.removeprefix(prefix): item.size for item in bucket.objects.all()}
    assert there == local


def test_interrupted_upload_goes_on_where_it_stopped(staged, bucket):
    upload(staged, "s3://datasets")
    lost = [item for item in bucket.objects.all() if item.key.endswith(".jpg")][:5]
    for item in lost:
        item.delete()
    kept = {item.key: item.last_modified for item in bucket.objects.all()}
    upload(staged, "s3://datasets/")
    sent = {item.key for item in bucket.objects.all() if kept.get(item.key) != item.last_modified}
    version = json.loads((staged / "dataset.json").read_text())["version"]
    assert sent - {f"{version}/dataset.json"} == {item.key for item in lost}


@pytest.mark.parametrize("destination", ["datasets/scones", "s3://", "s3://no-such-bucket/x"])
def test_upload_that_cannot_be_is_one_line(destination, tmp_path, bucket):
    photos = write_photos(tmp_path / "photos", 20)
    arguments = ["--photos", str(photos), "--upload", destination]
    with pytest.raises(SystemExit, match="stage: ") as stopped:
        staging.main([*arguments, "--dataset", str(tmp_path / "dataset")])
    assert "\n" not in str(stopped.value)


# ── What reviewers labelled, added to what there is ──


def label(bucket: object, key: str, seed: int, kind: str = "JPEG") -> None:
    bucket.put_object(Key=f"labelled/{key}", Body=encoded(draw_photo(seed), kind))


def add_labelled(base: Path, dataset: Path) -> list[dict[str, str]]:
    arguments = ["--base", str(base), "--photos", "s3://datasets/labelled/"]
    staging.main([*arguments, "--dataset", str(dataset)])
    return manifest(dataset)


def test_labelled_photos_are_added_and_nothing_else_moves(staged, bucket, tmp_path):
    for seed in range(60):
        label(bucket, f"bicycle/courier{seed // 3}/{seed}.jpg", 70_000 + seed)
    label(bucket, "unicycle/courier1/1.jpg", 80_000)
    bucket.put_object(Key="labelled/bicycle/courier1/empty.jpg", Body=b"")
    bucket.put_object(Key="labelled/bicycle/courier1/text.jpg", Body=b"not a photo")
    rows = add_labelled(staged, tmp_path / "dataset")
    before = {row["id"]: row for row in manifest(staged)}
    after = {row["id"]: row for row in rows}
    for key, row in before.items():
        assert (after[key]["split"], after[key]["label"]) == (row["split"], row["label"])
    added = [row for row in rows if row["id"] not in before]
    assert len(added) == 60
    assert len({row["source"] for row in added}) == 20  # one for each courier
    assert "not a photo" in str(excluded(tmp_path / "dataset"))
    assert all((tmp_path / "dataset" / row["file"]).is_file() for row in rows)


def test_adding_again_changes_nothing(staged, bucket, tmp_path):
    for seed in range(6):
        label(bucket, f"other/courier{seed}/{seed}.jpg", 70_000 + seed)
    once = add_labelled(staged, tmp_path / "once")
    twice = add_labelled(tmp_path / "once", tmp_path / "twice")
    by_id = [{row["id"]: (row["label"], row["split"]) for row in rows} for rows in (once, twice)]
    assert by_id[0] == by_id[1]


def test_corrected_label_replaces_the_earlier_one(staged, bucket, tmp_path):
    label(bucket, "bicycle/courier1/1.jpg", 70_000)
    once = add_labelled(staged, tmp_path / "once")
    bucket.Object("labelled/bicycle/courier1/1.jpg").delete()
    label(bucket, "motorcycle/courier1/1.jpg", 70_000)
    twice = add_labelled(tmp_path / "once", tmp_path / "twice")
    known = splits(staged)
    [before] = [row for row in once if row["id"] not in known]
    [after] = [row for row in twice if row["id"] not in known]
    assert (before["label"], after["label"]) == ("bicycle", "motorcycle")
    assert before["split"] == after["split"]


def test_heic_of_a_phone_is_read(staged, bucket, tmp_path):
    pillow_heif.register_heif_opener()
    label(bucket, "bicycle/courier1/1.heic", 70_000, "HEIF")
    rows = add_labelled(staged, tmp_path / "dataset")
    assert len(rows) == len(manifest(staged)) + 1


@pytest.mark.parametrize("source", ["s3://datasets/nothing", "s3://no-such-bucket/labelled"])
def test_labelled_photos_that_are_missing_are_one_line(source, staged, bucket, tmp_path):
    arguments = ["--base", str(staged), "--photos", source, "--dataset", str(tmp_path / "new")]
    with pytest.raises(SystemExit, match="stage: ") as stopped:
        staging.main(arguments)
    assert "\n" not in str(stopped.value)
    assert not (tmp_path / "new").exists()


def test_base_that_is_no_dataset_is_one_line(cifar, tmp_path):
    with pytest.raises(SystemExit, match="stage: "):
        staging.main(["--base", str(cifar), "--dataset", str(tmp_path / "new")])


def test_incomplete_dataset_cannot_be_opened(staged, tmp_path):
    dataset = shutil.copytree(staged, tmp_path / "dataset")
    (dataset / "dataset.json").unlink()
    with pytest.raises(DatasetError, match="stage it again"):
        Dataset(dataset)
