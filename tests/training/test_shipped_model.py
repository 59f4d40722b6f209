"""The shipped model: its contract, its card, and its floor on real photos."""

import json

import numpy as np
import onnxruntime
import pytest

from serving.preprocess import preprocess
from tests.support.drawn import draw_photo, encoded
from tests.support.repository import REPOSITORY
from training import evaluate, report
from training.classifier.calibration import Predictions
from training.dataset import cifar

MODEL = REPOSITORY / "models" / "vehicles"
LARGEST_FILE = 16_000_000  # bytes
FLOOR = 0.90  # of CIFAR-100's 200 official test photos of bicycles and motorcycles


@pytest.fixture(scope="module")
def model() -> evaluate.Model:
    return evaluate.Model(MODEL)


def noise(model: evaluate.Model, count: int) -> np.ndarray:
    size = model.metadata["input_size"]
    random = np.random.default_rng(0)
    return random.integers(0, 256, (count, 3, size, size)).astype(np.float32)


def test_model_is_one_small_file(model):
    assert model.path.stat().st_size <= LARGEST_FILE
    assert not list(MODEL.glob("*.data"))


def test_model_file_does_not_name_the_machine_that_made_it(model):
    assert b".py" not in model.path.read_bytes()


def test_model_answers_a_photo_with_probabilities(model):
    image = preprocess(encoded(draw_photo(1)), model.metadata["input_size"])
    probabilities = model.probabilities(image)
    assert probabilities.shape == (1, 3)
    np.testing.assert_allclose(probabilities.sum(), 1, atol=1e-5)


def test_noise_is_more_novel_than_photos_of_left_out_sources(model):
    session = onnxruntime.InferenceSession(model.path)
    [novelty] = session.run(["novelty"], {"image": noise(model, 20)})
    baseline = model.metadata["baseline"]
    assert novelty.mean() > baseline["mean_novelty"] + baseline["novelty_deviation"] / 2


def test_photos_of_noise_or_of_one_grey_are_not_accepted(model):
    size = model.metadata["input_size"]
    grey = np.full((50, 3, size, size), 5, np.float32) * np.arange(50).reshape(-1, 1, 1, 1)
    images = [*noise(model, 50), *grey.astype(np.float32)]
    probabilities = np.concatenate([model.probabilities(image[None]) for image in images])
    predictions = Predictions(probabilities, np.full(100, 2), model.metadata["labels"])
    assert not predictions.accepted(model.metadata["threshold"]).any()


@pytest.mark.parametrize("part", ["left_out_sources", "test"])
def test_card_quotes_the_recorded_numbers(part, model):
    card = (MODEL / "MODEL_CARD.md").read_text()
    recorded = model.metadata["metrics"][part]
    for name in report.MEASURES:
        assert report.percent(recorded[name]) in card


def test_official_photos_of_bicycles_and_motorcycles_are_told_apart(model, shared_data):
    archive = shared_data / "cifar-100-binary-subset.tar.xz"
    found = cifar.read_cifar(archive, ["bicycle", "motorcycle"])
    found = [each for each in found if each.photo.split == "test"]
    assert len(found) == 200
    labels = model.metadata["labels"]
    probabilities = np.concatenate(
        [
            model.probabilities(preprocess(each.read(), model.metadata["input_size"]))
            for each in found
        ]
    )
    truth = np.array([labels.index(each.photo.label) for each in found])
    assert Predictions(probabilities, truth, labels).told_apart().mean() >= FLOOR


def test_metadata_is_what_the_stack_reads(model):
    metadata = json.loads((MODEL / "metadata.json").read_text())
    assert metadata["labels"] == ["bicycle", "motorcycle", "other"]
    assert 0.5 <= metadata["threshold"] < 1
    assert metadata["baseline"]["count"] > 1000
