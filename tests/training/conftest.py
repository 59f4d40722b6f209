"""A small staged dataset and a model trained on it; the real data where it is at hand."""

import os
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
REPOSITORY = TESTS.parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "training"), str(TESTS)]

import stage_data  # noqa: E402
from drawn import write_cifar, write_photos  # noqa: E402
from source import train  # noqa: E402

TINY = ["--backbone=residual", "--steps=4", "--batch-size=16", "--input-size=32"]
TINY += ["--report-every=2"]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real photos and pictures, which are no part of the repository."""
    path = Path(os.environ.get("SCONES_DATA", REPOSITORY.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"no real data at {path}: set SCONES_DATA to its directory")
    return path


@pytest.fixture(scope="session")
def cifar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    train = [("bicycle", 1), ("motorcycle", 2)] * 2 + [(f"class_{at}", 3 + at) for at in range(8)]
    train = [(label, 9000 + at) for at, (label, _) in enumerate(train)]
    test = [("bicycle", 9500), ("motorcycle", 9501), ("class_3", 9502), ("class_4", 9503)]
    return write_cifar(tmp_path_factory.mktemp("cifar") / "cifar", train, test)


@pytest.fixture(scope="session")
def staged(cifar: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A staged dataset of 120 drawn photos and 16 CIFAR pictures."""
    photos = write_photos(tmp_path_factory.mktemp("photos"), 40)
    dataset = tmp_path_factory.mktemp("staged") / "dataset"
    stage_data.stage(cifar, [photos], dataset)
    return dataset


@pytest.fixture(scope="session")
def tiny_model(staged: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory trained for four steps on the drawn dataset."""
    directory = tmp_path_factory.mktemp("tiny")
    places = [f"--{name}-dir={directory / name}" for name in ("model", "output", "checkpoint")]
    train.main(["--dataset", str(staged), *TINY, *places])
    return directory / "model"
