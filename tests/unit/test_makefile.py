"""The checks of `make` before long work."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.repository import REPOSITORY


def test_launch_refuses_arguments_before_it_installs_torch(tmp_path: Path) -> None:
    training = tmp_path / "environment"
    done = subprocess.run(
        [shutil.which("make"), "launch", "ARGS=--model nowhere", f"TRAINING={training}"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "nowhere has no model.onnx" in done.stderr
    assert not training.exists()


def test_launch_asks_aws_for_the_stack_before_it_installs_torch(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    training = tmp_path / "environment"
    done = subprocess.run(
        [shutil.which("make"), "launch", f"TRAINING={training}"],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    [line] = [line for line in done.stderr.splitlines() if line.startswith("launch: ")]
    assert "credentials" in line
    assert "Traceback" not in done.stderr
    assert not training.exists()


@pytest.mark.parametrize("photos", ["", "nowhere"])
def test_train_looks_for_the_folder_before_it_installs_torch(photos: str, tmp_path: Path) -> None:
    training = tmp_path / "environment"
    done = subprocess.run(
        [shutil.which("make"), "train", f"PHOTOS={photos}", "NAME=mine", f"TRAINING={training}"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert done.stderr.startswith("give a folder of photos and a name: ")
    assert not training.exists()


def test_a_folder_of_photos_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "my $HOME 'photos' é"
    folder.mkdir()
    done = subprocess.run(
        [shutil.which("make"), "run", f"PHOTOS={folder}"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert str(folder) in done.stderr + done.stdout
