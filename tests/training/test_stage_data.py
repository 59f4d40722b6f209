"""The dataset: nothing straddles, nothing moves, nothing is lost without a word."""

import csv
import json
import shutil
import tarfile
from pathlib import Path

import boto3
import pillow_heif
import pytest
from moto import mock_aws
from PIL import Image, ImageOps

from tests.support.drawn import draw_photo, encoded, write_cifar, write_photos
from training import stage_data


def manifest(dataset: Path) -> list[dict[str, str]]:
    with (dataset / "manifest.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def excluded(dataset: Path) -> dict[str, str]:
    with (dataset / "excluded.csv").open(newline="") as stream:
        return {row["file"]: row["reason"] for row in csv.DictReader(stream)}


def splits(dataset: Path) -> dict[str, str]:
    return {row["id"]: row["split"] for row in manifest(dataset)}


def test_every_photo_is_staged_and_readable(staged):
    rows = manifest(staged)
    assert len([row for row in rows if row["source"] != "cifar-100"]) == 120
    for row in rows:
        if row["source"] != "cifar-100":
            with Image.open(staged / row["file"]) as image:
                assert max(image.size) <= 256
                assert not image.getexif()
    assert {row["split"] for row in rows} == {"train", "validation", "test"}


def test_cifar_keeps_its_own_test_split(staged):
    cifar = [row for row in manifest(staged) if row["source"] == "cifar-100"]
    for row in cifar:
        assert (row["split"] == "test") == (row["file"] == "cifar-100/test.bin")
    assert {row["label"] for row in cifar} == {"bicycle", "motorcycle", "other"}


def test_the_splits_are_the_same_from_any_directory(staged, cifar, tmp_path):
    photos = write_photos(tmp_path / "elsewhere", 40)
    stage_data.stage(cifar, [photos], tmp_path / "dataset")
    assert splits(tmp_path / "dataset") == splits(staged)
    versions = [
        json.loads((at / "dataset.json").read_text()) for at in (staged, tmp_path / "dataset")
    ]
    assert versions[0]["version"] == versions[1]["version"]


def test_photos_keep_their_split_when_data_is_added(staged, cifar, tmp_path):
    dataset = tmp_path / "dataset"
    shutil.copytree(staged, dataset)
    before = splits(dataset)
    more = write_photos(tmp_path / "photos", 60)
    description = stage_data.stage(cifar, [more], dataset)
    after = splits(dataset)
    assert len(after) == len(before) + 60
    assert {key: after[key] for key in before} == before
    assert description["version"] != json.loads((staged / "dataset.json").read_text())["version"]


def test_near_duplicates_share_a_split(cifar, tmp_path):
    photos = write_photos(tmp_path / "photos", 30)
    for seed in range(30):
        twin = draw_photo(seed, 120, 120 + 40 * (seed % 2))
        half_size = twin.resize((twin.width * 2 // 3, twin.height * 2 // 3))
        half_size.save(photos / "bicycle" / f"again__{seed}.jpg", quality=70)
        ImageOps.mirror(twin).save(photos / "bicycle" / f"mirror__{seed}.png")
    stage_data.stage(cifar, [photos], tmp_path / "dataset")
    by_seed: dict[int, set[str]] = {}
    rows = stage_data.photo_rows(photos)
    hashes = {row["id"]: row["split"] for row in manifest(tmp_path / "dataset")}
    for file, _ in rows:
        if file.parent.name == "bicycle":
            identifier = stage_data.read_photo(file)[0]
            seed = int(file.stem.partition("__")[2])
            by_seed.setdefault(seed, set()).add(hashes[identifier])
    assert len(by_seed) == 30
    assert all(len(found) == 1 for found in by_seed.values())
    assert len(set.union(*by_seed.values())) > 1  # not all in one by a slip


def test_unlike_photos_are_not_taken_for_duplicates(staged):
    reasons = excluded(staged)
    assert reasons == {}


def test_a_twin_of_a_cifar_test_photo_leaves_train(tmp_path):
    cifar = write_cifar(
        tmp_path / "cifar",
        train=[("bicycle", 1), ("motorcycle", 2), ("bicycle", 3)],
        test=[("bicycle", 4), ("bicycle", 3)],
    )
    photos = write_photos(tmp_path / "photos", 2, first_seed=500)
    stage_data.stage(cifar, [photos], tmp_path / "dataset")
    assert list(excluded(tmp_path / "dataset")) == ["cifar-100/train.bin#2"]


def test_crops_of_one_original_share_a_split(cifar, tmp_path):
    photos = write_photos(tmp_path / "photos", 30)
    names = [path.relative_to(photos).as_posix() for path in sorted(photos.rglob("*.jpg"))]
    with (photos / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["file", "style", "source_repo", "path"])
        writer.writeheader()
        for at, name in enumerate(names):
            path = f"img/{at // 3}.jpg#box={at}"  # three crops of each original
            writer.writerow({"file": name, "style": "crop", "source_repo": "r", "path": path})
    stage_data.stage(cifar, [photos], tmp_path / "dataset")
    found: dict[str, set[str]] = {}
    for row in manifest(tmp_path / "dataset"):
        if row["source"] != "cifar-100":
            assert row["style"] == "crop"
            found.setdefault(row["group"], set()).add(row["split"])
    assert len(found) == 30
    assert all(len(where) == 1 for where in found.values())


def test_unreadable_files_and_copies_are_listed_not_fatal(cifar, tmp_path):
    photos = write_photos(tmp_path / "photos", 3)
    (photos / "other" / "page.jpg").write_text("<html>")
    shutil.copy(next((photos / "bicycle").iterdir()), photos / "bicycle" / "copy.jpg")
    stage_data.stage(cifar, [photos], tmp_path / "dataset")
    reasons = excluded(tmp_path / "dataset")
    assert "not a photo" in reasons["other/page.jpg"]
    assert any(reason.startswith("copy of") for reason in reasons.values())
    assert len(reasons) == 2


def test_dry_run_writes_nothing(cifar, tmp_path, capsys):
    photos = write_photos(tmp_path / "photos", 2)
    dataset = tmp_path / "dataset"
    stage_data.main(
        ["--cifar", str(cifar), "--photos", str(photos), "--dataset", str(dataset), "--dry-run"]
    )
    assert json.loads(capsys.readouterr().out)["counts"]["train photos"]
    assert not dataset.exists()


def test_an_archive_is_unpacked_by_name_alone(cifar, tmp_path):
    archive = tmp_path / "cifar.tar.gz"
    with tarfile.open(archive, "w:gz") as stream:
        for path in cifar.iterdir():
            stream.add(path, f"../outside/{path.name}")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    directory = stage_data.cifar_directory(archive, scratch)
    assert sorted(path.name for path in directory.iterdir()) == sorted(stage_data.CIFAR_FILES)
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("broken", ["missing", "text", "layout", "names", "no labels", "table"])
def test_what_the_user_can_put_right_is_said_in_one_line(broken, cifar, tmp_path):
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
    with pytest.raises(SystemExit) as stopped:
        stage_data.main(
            ["--cifar", str(source), "--photos", str(photos), "--dataset", str(tmp_path)]
        )
    assert str(stopped.value).startswith("stage_data: ")
    assert "\n" not in str(stopped.value)


def test_a_download_that_is_not_the_official_archive_is_refused(tmp_path):
    archive = tmp_path / "cifar-100-binary.tar.gz"
    archive.write_bytes(b"something else")
    with pytest.raises(stage_data.StagingError, match="not the official archive"):
        stage_data.download_cifar(archive)


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


def test_an_upload_is_the_whole_dataset_below_its_version(staged, bucket):
    version = json.loads((staged / "dataset.json").read_text())["version"]
    assert stage_data.upload(staged, "s3://datasets/scones") == f"s3://datasets/scones/{version}/"
    local = {
        path.relative_to(staged).as_posix(): path.stat().st_size
        for path in staged.rglob("*")
        if path.is_file()
    }
    prefix = f"scones/{version}/"
    there = {item.key.removeprefix(prefix): item.size for item in bucket.objects.all()}
    assert there == local


def test_an_interrupted_upload_goes_on_where_it_stopped(staged, bucket):
    stage_data.upload(staged, "s3://datasets")
    everything = list(bucket.objects.all())
    lost = [item for item in everything if item.key.endswith(".jpg")][:5]
    for item in lost:
        item.delete()
    kept = {item.key: item.last_modified for item in bucket.objects.all()}
    stage_data.upload(staged, "s3://datasets/")
    sent = {item.key for item in bucket.objects.all() if kept.get(item.key) != item.last_modified}
    version = json.loads((staged / "dataset.json").read_text())["version"]
    assert sent - {f"{version}/dataset.json"} == {item.key for item in lost}


@pytest.mark.parametrize("destination", ["datasets/scones", "s3://", "s3://no-such-bucket/x"])
def test_an_upload_that_cannot_be_is_one_line(destination, cifar, tmp_path, bucket):
    photos = write_photos(tmp_path / "photos", 1)
    arguments = ["--cifar", str(cifar), "--photos", str(photos), "--upload", destination]
    with pytest.raises(SystemExit, match="stage_data: ") as stopped:
        stage_data.main([*arguments, "--dataset", str(tmp_path / "dataset")])
    assert "\n" not in str(stopped.value)


# ── What reviewers labelled, added to what there is ──


def label(bucket: object, key: str, seed: int, kind: str = "JPEG") -> None:
    bucket.put_object(Key=f"labelled/{key}", Body=encoded(draw_photo(seed), kind))


def add_labelled(staged: Path, dataset: Path) -> list[dict[str, str]]:
    arguments = ["--base", str(staged), "--photos", "s3://datasets/labelled/"]
    stage_data.main([*arguments, "--dataset", str(dataset)])
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
    assert {key: after[key]["split"] for key in before} == splits(staged)
    assert {key: after[key]["label"] for key in before} == {
        key: row["label"] for key, row in before.items()
    }
    added = [row for row in rows if row["id"] not in before]
    assert len(added) == 60
    assert {row["split"] for row in added} == {"train", "validation", "test"}
    of_courier: dict[str, set[str]] = {}
    for row in added:
        of_courier.setdefault(row["group"], set()).add(row["split"])
    assert len(of_courier) == 20
    assert all(len(found) == 1 for found in of_courier.values())
    assert "not a photo" in str(excluded(tmp_path / "dataset"))
    for row in rows:
        if row["source"] != "cifar-100":
            assert (tmp_path / "dataset" / row["file"]).is_file()


def test_adding_again_changes_nothing(staged, bucket, tmp_path):
    for seed in range(6):
        label(bucket, f"other/courier{seed}/{seed}.jpg", 70_000 + seed)
    once = add_labelled(staged, tmp_path / "once")
    twice = add_labelled(tmp_path / "once", tmp_path / "twice")
    by_id = [{row["id"]: (row["label"], row["split"]) for row in rows} for rows in (once, twice)]
    assert by_id[0] == by_id[1]


def test_label_that_is_corrected_is_learned_anew(staged, bucket, tmp_path):
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
    bucket.put_object(Key="labelled/bicycle/courier1/half.heic", Body=half_a_heic())
    rows = add_labelled(staged, tmp_path / "dataset")
    assert len(rows) == len(manifest(staged)) + 1
    assert "damaged" in str(excluded(tmp_path / "dataset"))


def half_a_heic() -> bytes:
    whole = encoded(draw_photo(70_001), "HEIF")
    return whole[: len(whole) // 2]


@pytest.mark.parametrize("source", ["s3://datasets/nothing", "s3://no-such-bucket/labelled"])
def test_labelled_photos_that_are_not_there_are_one_line(source, staged, bucket, tmp_path):
    arguments = ["--base", str(staged), "--photos", source, "--dataset", str(tmp_path / "new")]
    with pytest.raises(SystemExit, match="stage_data: ") as stopped:
        stage_data.main(arguments)
    assert "\n" not in str(stopped.value)
    assert not (tmp_path / "new").exists()


def test_base_that_is_no_dataset_is_one_line(cifar, tmp_path):
    with pytest.raises(SystemExit, match="stage_data: "):
        stage_data.main(["--base", str(cifar), "--dataset", str(tmp_path / "new")])
