"""A checkout works on a machine whose git converts line endings."""

import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


def git(*arguments: str | Path) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.skipif(not (PROJECT / ".git").exists(), reason="no git checkout")
def test_files_are_the_same_with_autocrlf(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git("clone", "--quiet", "--config", "core.autocrlf=true", PROJECT, clone)
    names = git("-C", clone, "ls-files", "-z").split("\0")[:-1]
    hashes = git("-C", clone, "ls-files", "--format=%(objectname)").split()
    # Hashed as they lie there, without conversion.
    found = git("-C", clone, "hash-object", "--no-filters", *names).split()
    changed = [name for name, own, was in zip(names, found, hashes, strict=True) if own != was]
    assert names
    assert changed == []
