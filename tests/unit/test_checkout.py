"""A checkout works on a machine whose git converts line endings."""

import subprocess
from pathlib import Path

import pytest

from tests.support.repository import REPOSITORY


def git(*arguments: str | Path) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.skipif(not (REPOSITORY / ".git").exists(), reason="no git checkout")
def test_a_checkout_has_the_same_files_with_autocrlf(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git("clone", "--quiet", "--config", "core.autocrlf=true", REPOSITORY, clone)
    files = git("-C", clone, "ls-files", "-z", "--format=%(objectname) %(path)")
    recorded = dict(reversed(each.split(" ", 1)) for each in files.split("\0")[:-1])
    names = [name for name in recorded if not (clone / name).is_symlink()]
    # Hash the files of the checkout, without conversion.
    found = git("-C", clone, "hash-object", "--no-filters", *names).split()
    assert names
    assert [name for name, own in zip(names, found, strict=True) if own != recorded[name]] == []
