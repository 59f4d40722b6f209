"""The JavaScript libraries in the repository are those of web/vendor.json."""

import json
from pathlib import Path

from local.vendor import LOCK, PROJECT, integrity, wrong_files


def test_vendored_files_have_the_hashes_of_the_lock() -> None:
    assert wrong_files(PROJECT, json.loads(LOCK.read_text())) == []


def test_every_vendored_file_is_in_the_lock() -> None:
    lock = json.loads(LOCK.read_text())
    known = {
        PROJECT / package["folder"] / name
        for package in lock["packages"]
        for name in package["files"]
    }
    folders = (PROJECT / "web" / "assets" / "vendor", PROJECT / "tests" / "web" / "vendor")
    found = {path for folder in folders for path in folder.rglob("*") if path.is_file()}
    assert found == known


def test_a_changed_and_a_missing_file_are_found(tmp_path: Path) -> None:
    (tmp_path / "same.js").write_bytes(b"1")
    (tmp_path / "changed.js").write_bytes(b"2")
    hashes = dict.fromkeys(("same.js", "changed.js", "missing.js"), integrity(b"1"))
    lock = {"packages": [{"folder": ".", "files": hashes}]}
    assert wrong_files(tmp_path, lock) == ["changed.js", "missing.js"]
