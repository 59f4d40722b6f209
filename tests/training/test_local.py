"""`make train`: from a folder of photos to models/<name>/, or one line that says what to do."""

import json
from pathlib import Path

import pytest

from tests.support.drawn import draw_photo, write_photos
from training import local

SMALL = ["--backbone", "tf_efficientnet_lite0", "--folds", "2"]


def arguments(photos: Path, tmp_path: Path, name: str = "my_model") -> list[str]:
    places = ["--models", str(tmp_path / "models"), "--build", str(tmp_path / "build")]
    return ["--photos", str(photos), "--name", name, *places, *SMALL]


def test_folder_becomes_a_model_a_card_and_the_next_commands(tmp_path, capsys):
    photos = write_photos(tmp_path / "photos", 22, labels=("bicycle", "other"))
    (photos / "other" / "page.jpg").write_text("<html>")
    local.main([*arguments(photos, tmp_path), "--input-size", "96", "--test-share", "0"])
    printed = capsys.readouterr().out
    folder = tmp_path / "models" / "my_model"
    assert {path.name for path in folder.iterdir()} == {
        "model.onnx",
        "metadata.json",
        "MODEL_CARD.md",
    }
    metadata = json.loads((folder / "metadata.json").read_text())
    assert (metadata["name"], metadata["labels"]) == ("my_model", ["bicycle", "other"])
    assert metadata["input_size"] == 96
    assert metadata["data"]["counts"]["test"] == {"bicycle": 0, "other": 0}
    assert "other/page.jpg: unreadable" in printed
    assert f"make serve MODEL={folder}" in printed
    assert f"Labels=bicycle,other ConfidenceThreshold={metadata['threshold']}" in printed
    assert "set for my_model (docs/use-cases.md, step 3 adds it)" in printed
    assert f'make launch USE_CASE=my_model ARGS="--model {folder}"' in printed


def break_missing(photos: Path) -> str:
    photos.rename(photos.with_name("elsewhere"))
    return "is not a folder"


def break_one_label(photos: Path) -> str:
    for label in ("motorcycle", "other"):
        (photos / label).rename(photos.with_name(label))
    return "one label only, bicycle"


def break_few(photos: Path) -> str:
    for file in list((photos / "bicycle").iterdir())[5:]:
        file.unlink()
    return r"too few different photos of bicycle \(5\): at least 20"


def break_copies(photos: Path) -> str:
    files = sorted((photos / "bicycle").iterdir())
    for file in files[1:]:
        file.write_bytes(files[0].read_bytes())
    return r"too few different photos of bicycle \(1\)"


def break_two_labels(photos: Path) -> str:
    for file in (photos / "bicycle").iterdir():
        (photos / "motorcycle" / file.name).write_bytes(file.read_bytes())
    return r"too few different photos of bicycle \(0\)"


def break_splits(photos: Path) -> str:
    inner = photos / "train"
    inner.mkdir()
    for label in ("bicycle", "motorcycle", "other"):
        (photos / label).rename(inner / label)
    return "which are splits and no labels"


def break_empty(photos: Path) -> str:
    for folder in list(photos.iterdir()):
        folder.rename(photos.with_name(folder.name))
    draw_photo(1).save(photos / "1.jpg")
    return "has no folders of photos"


@pytest.mark.parametrize(
    "damage",
    [
        break_missing,
        break_one_label,
        break_few,
        break_copies,
        break_two_labels,
        break_splits,
        break_empty,
    ],
)
def test_folder_that_cannot_be_trained_on_is_one_line(damage, tmp_path):
    photos = write_photos(tmp_path / "photos", 21)
    reason = damage(photos)
    with pytest.raises(SystemExit, match=reason) as stopped:
        local.main(arguments(photos, tmp_path))
    assert str(stopped.value).startswith("train: ")
    assert "\n" not in str(stopped.value)
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("name", ["", "a b", "../x", "Ä", "x" * 33])
def test_name_that_cannot_be_a_folder_is_refused(name, tmp_path, capsys):
    with pytest.raises(SystemExit):
        local.main(arguments(tmp_path, tmp_path, name))
    assert "--name is" in capsys.readouterr().err
