"""The model in the repository: its contract, its card, and its floor on real pictures."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from training.source import train
from training.source.network import BICYCLE, MOTORCYCLE

from serving.preprocess import preprocess
from tests.support.drawn import draw_photo, encoded
from training import evaluate

MODEL = Path(__file__).resolve().parents[2] / "models" / "vehicles"
LARGEST_FILE = 8_000_000  # bytes
FLOOR = 0.97  # of CIFAR-100's 200 official bicycle and motorcycle test pictures


@pytest.fixture(scope="module")
def model() -> evaluate.Model:
    return evaluate.Model(MODEL)


def test_it_is_one_small_file(model):
    assert model.path.stat().st_size <= LARGEST_FILE
    assert not list(MODEL.glob("*.data"))


def test_it_says_nothing_of_the_machine_that_made_it(model):
    assert b".py" not in model.path.read_bytes()


def test_it_answers_a_photo_with_probabilities(model):
    image = preprocess(encoded(draw_photo(1)), model.metadata["input_size"])
    probabilities = model.predict(image)
    assert probabilities.shape == (1, 3)
    np.testing.assert_allclose(probabilities.sum(), 1, atol=1e-5)


def test_it_finds_noise_more_novel_than_the_photos_it_was_validated_on(model):
    size = model.metadata["input_size"]
    noise = np.random.default_rng(0).integers(0, 256, (20, 3, size, size), dtype=np.uint8)
    _, novelty = train.predict_exported(model.path, noise)
    baseline = model.metadata["baseline"]
    assert novelty.mean() > baseline["mean_novelty"] + baseline["novelty_deviation"] / 2


def test_pictures_of_noise_are_no_vehicles(model):
    size = model.metadata["input_size"]
    noise = np.random.default_rng(0).integers(0, 256, (50, 3, size, size)).astype(np.float32)
    flat = np.repeat(np.arange(0, 250, 5, dtype=np.float32), 3 * size * size)
    probabilities = model.predict(np.concatenate([noise, flat.reshape(50, 3, size, size)]))
    accepted = probabilities[:, :2].max(1) >= model.metadata["threshold"]
    assert not accepted.any()


def test_the_card_quotes_the_recorded_numbers(model):
    card = (MODEL / "MODEL_CARD.md").read_text()
    recorded = model.metadata["metrics"]["test"]
    for name in evaluate.MEASURES:
        assert evaluate.percent(recorded[name]) in card


@pytest.fixture(scope="module")
def official_pictures(shared_data: Path) -> tuple[np.ndarray, np.ndarray]:
    """CIFAR-100's bicycle and motorcycle test pictures [200, 3, 32, 32], and their labels."""
    with tarfile.open(shared_data / "cifar-100-binary-subset.tar.xz") as archive:
        content = archive.extractfile("cifar-100-binary/test.bin").read()
    records = np.frombuffer(content, np.uint8).reshape(-1, 3074)
    records = records[np.isin(records[:, 1], (BICYCLE, MOTORCYCLE))]
    return records[:, 2:].reshape(-1, 3, 32, 32), (records[:, 1] == MOTORCYCLE).astype(int)


def test_it_tells_official_bicycles_from_motorcycles(model, official_pictures):
    pictures, labels = official_pictures
    assert len(pictures) == 200
    size = model.metadata["input_size"]
    inputs = [
        preprocess(encoded(Image.fromarray(planes.transpose(1, 2, 0)), "BMP"), size)[0]
        for planes in pictures
    ]
    probabilities = model.predict(np.stack(inputs))
    right = probabilities[:, :2].argmax(1) == labels
    assert right.mean() >= FLOOR
    recorded = model.metadata["metrics"]["test"]["cifar_100_bicycle_or_motorcycle"]["value"]
    assert right.mean() == pytest.approx(recorded, abs=0.011)


def test_the_metadata_is_json_that_the_stack_reads(model):
    metadata = json.loads((MODEL / "metadata.json").read_text())
    assert metadata["name"] == "scones-vehicle-classifier"
    assert 0.5 <= metadata["threshold"] < 1
    assert metadata["data"]["counts"]["test photos"]
