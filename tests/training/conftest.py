"""A small staged dataset and a model trained on it; the real data if they are present."""

from pathlib import Path

import pytest

from tests.support.drawn import write_cifar, write_photos
from tests.support.repository import DATA
from tests.support.training import settings
from training.classifier import train
from training.dataset.stage import stage


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real photos, which are not part of the repository."""
    if not DATA.is_dir():
        pytest.skip(f"no real data at {DATA}: set SCONES_DATA to its folder")
    return DATA


@pytest.fixture(scope="session")
def cifar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    classes = ["bicycle", "motorcycle"] * 2 + [f"class_{at}" for at in range(8)]
    train_split = [(name, 9000 + at) for at, name in enumerate(classes)]
    test_split = [("bicycle", 9500), ("motorcycle", 9501), ("class_3", 9502), ("class_4", 9503)]
    return write_cifar(tmp_path_factory.mktemp("cifar") / "cifar", train_split, test_split)


@pytest.fixture(scope="session")
def staged(cifar: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A staged dataset of 120 drawn photos and 16 of CIFAR-100."""
    photos = write_photos(tmp_path_factory.mktemp("photos"), 40)
    dataset = tmp_path_factory.mktemp("staged") / "dataset"
    stage([photos], dataset, cifar_100=cifar)
    return dataset


@pytest.fixture(scope="session")
def tiny_model(staged: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder, trained on the drawn dataset."""
    directory = tmp_path_factory.mktemp("tiny")
    train.train(settings(staged, directory))
    return directory / "model"
