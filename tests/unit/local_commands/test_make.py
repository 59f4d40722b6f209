"""make in a folder with an awkward name, and what it passes to the commands."""

import subprocess
from pathlib import Path
from shutil import copy

import pytest

from local.processes import PROJECT
from tests.unit.local_commands.commands import AWKWARD_NAME


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files of a checkout that make needs, with a Python that prints its arguments."""
    folder = tmp_path / AWKWARD_NAME
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / "requirements").mkdir()
    for name in ("Makefile", "samconfig.toml"):
        copy(PROJECT / name, folder)
    for requirements in (PROJECT / "requirements").glob("*.txt"):
        copy(requirements, folder / "requirements")
    python = folder / ".venv" / "bin" / "python"
    python.write_text('#!/bin/sh\nfor each; do printf "%s\\n" "$each"; done\n')
    python.chmod(0o755)
    for stamp in ("bin/uv", "run"):
        (folder / ".venv" / stamp).touch()
    return folder


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("photos", ["", "/photos", "/my photos", "/it's", '/a "b"', "/x; y & z"])
def test_make_run_accepts_a_folder_with_any_name(checkout: Path, photos: str) -> None:
    done = make(checkout, "run", f"PHOTOS={photos}")
    assert done.stdout.splitlines()[:4] == ["-m", "local.run", "--photos", photos], done.stderr


def test_make_without_a_folder_runs_the_sample_photos_of_the_use_case(checkout: Path) -> None:
    done = make(checkout, "run", "USE_CASE=scones")
    assert done.stdout.splitlines() == ["-m", "local.run", "--use-case", "scones"], done.stderr


def test_make_passes_the_use_case_to_the_demo(checkout: Path) -> None:
    done = make(checkout, "demo", "USE_CASE=scones")
    assert done.stdout.splitlines() == ["-m", "local.demo", "--use-case", "scones"], done.stderr


def test_make_names_the_known_use_cases(checkout: Path) -> None:
    for target in ("run", "up", "serve", "deploy", "launch"):
        done = make(checkout, target, "USE_CASE=plants")
        assert done.returncode
        [line] = done.stderr.splitlines()
        assert 'there is no use case "plants": give one of vehicles scones social' in line


@pytest.mark.parametrize("python", ["", "/bin/false", "/no/such/python", "/a b/python"])
@pytest.mark.parametrize("target", ["run", "setup", "test-training"])
def test_a_wrong_version_of_python_creates_no_environment(
    checkout: Path, python: str, target: str
) -> None:
    subprocess.run(["rm", "-r", checkout / ".venv"], check=True)
    done = make(checkout, target, f"PYTHON={python}")
    assert done.returncode
    message = "Python 3.13 is needed: install it, or name it with PYTHON=/path/to/python3.13"
    assert done.stderr.splitlines()[0] == message
    assert not list(checkout.glob(".venv*"))
