"""The folder of photos that a person names."""

import os
from pathlib import Path

import pytest

from local import run
from local.processes import LocalCloudError
from tests.unit.local_commands.commands import carried_out


@pytest.mark.parametrize(
    ("photos", "problem"),
    [
        ("", "PHOTOS= is empty: give a folder, or leave it out"),
        ("{folder}/none", "there is no folder {folder}/none: give one with PHOTOS="),
        ("{folder}/bike.jpg", "{folder}/bike.jpg is a file: give a folder with PHOTOS="),
        ("{folder}/empty", "there is no file in {folder}/empty: give another folder with PHOTOS="),
    ],
)
def test_a_folder_without_photos_is_refused(
    state: Path, photos: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (state / "bike.jpg").touch()
    (state / "empty").mkdir()
    assert carried_out(run, "--photos", photos.format(folder=state)) == 1
    assert capsys.readouterr().out == f"Stopped: {problem.format(folder=state)}\n"


@pytest.mark.parametrize("locked", ["photos", "photos/deep"])
def test_an_unreadable_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locked: str
) -> None:
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    (tmp_path / "photos" / "bike.jpg").touch()
    scan = os.scandir

    def scandir(path: str) -> "os.ScandirIterator[str]":
        if Path(path) == tmp_path / locked:  # the tests may run as root, who can read every folder
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(LocalCloudError, match=f"{locked} cannot be read .Permission denied"):
        run.find_photos(str(tmp_path / "photos"))


def test_photos_of_any_depth_and_any_name_are_found(tmp_path: Path) -> None:
    names = ['it\'s 100% "new".jpg', "deep/er/b c.jpg", "z.jpg"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert sorted(upload.name for upload in run.find_photos(str(tmp_path))) == sorted(names)
