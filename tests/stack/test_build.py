"""`sam build` needs no uv: pip makes the same package for Lambda."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.repository import REPOSITORY

FUNCTIONS = REPOSITORY / "functions"
# They say which program installed the package, and when.
INSTALLER_FILES = {"INSTALLER", "RECORD", "REQUESTED", ".lock"}


def package_of(folder: Path, path: Path, function: str = "SerializeImage") -> Path:
    """The package that `make` builds of a function, with only the programs of this PATH."""
    folder.mkdir()
    done = subprocess.run(
        [shutil.which("make"), f"build-{function}Function", f"ARTIFACTS_DIR={folder}"],
        cwd=FUNCTIONS,
        env={**os.environ, "PATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder of the programs that every machine has: no uv and no Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "cp", "find", "mkdir", "rm"):
        (folder / name).symlink_to(shutil.which(name))
    return folder


def add_program(folder: Path, name: str, target: Path) -> None:
    (folder / name).write_text(f'#!/bin/sh\nexec "{target}" "$@"\n')
    (folder / name).chmod(0o755)


def files_of(package: Path) -> dict[str, bytes]:
    """The content of all files of a package, except bytecode, which holds its own path."""
    return {
        str(path.relative_to(package)): b"" if path.suffix == ".pyc" else path.read_bytes()
        for path in package.rglob("*")
        if path.is_file() and path.name not in INSTALLER_FILES and path.parent.name != "bin"
    }


def test_pip_builds_the_package_that_uv_builds(tmp_path: Path, programs: Path) -> None:
    add_program(programs, "python3.13", Path(sys.executable))
    with_pip = files_of(package_of(tmp_path / "pip", programs))
    add_program(programs, "uv", Path(sys.executable).with_name("uv"))
    with_uv = files_of(package_of(tmp_path / "uv", programs))
    assert with_pip.keys() == with_uv.keys()
    assert [name for name, content in with_pip.items() if content != with_uv[name]] == []
    assert "functions/serialize_image/app.py" in with_pip
    assert "PIL/Image.py" in with_pip
    assert "functions/serialize_image/__pycache__/app.cpython-313.pyc" in with_pip
    assert not any(name.startswith("botocore/") for name in with_pip)


def test_a_build_without_pip_and_uv_says_what_to_install(tmp_path: Path, programs: Path) -> None:
    with pytest.raises(AssertionError, match="pip is missing: install pip for Python 3, or uv"):
        package_of(tmp_path / "package", programs)


def test_a_package_with_another_hash_is_not_installed(tmp_path: Path, programs: Path) -> None:
    add_program(programs, "python3.13", Path(sys.executable))
    functions = tmp_path / "functions"
    shutil.copytree(FUNCTIONS, functions)
    requirements = functions / "filter_inferences" / "requirements.txt"
    text = requirements.read_text()
    digests = [word for word in text.split() if word.startswith("--hash=sha256:")]
    for digest in digests:
        text = text.replace(digest, "--hash=sha256:" + "0" * 64)
    requirements.write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules[__name__], "FUNCTIONS", functions)
        with pytest.raises(AssertionError, match=r"(?i)hash"):
            package_of(tmp_path / "package", programs, "FilterInferences")
