"""The shipped models: their contract, their cards, and their floors on real photos."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from functions.serialize_image.photo import shrink
from serving.preprocess import preprocess
from tests.support.drawn import draw_photo, encoded
from tests.support.repository import REPOSITORY
from training import evaluate, report
from training.classifier.calibration import Predictions
from training.dataset import cifar

MODELS = REPOSITORY / "models"
LABELS = {
    "vehicles": ["bicycle", "motorcycle", "other"],
    "scones": ["broken", "intact", "other"],
    "social": ["delivery", "food", "screenshot", "other"],
}
LARGEST_FILE = 16_000_000  # bytes
FLOOR = 0.96  # of CIFAR-100's 200 official test photos of bicycles and motorcycles


@pytest.fixture(scope="module", params=LABELS)
def model(request: pytest.FixtureRequest) -> evaluate.Model:
    return evaluate.Model(MODELS / request.param)


def classify(model: evaluate.Model, photos: list[bytes], label: str) -> Predictions:
    """Predictions for photos that all show one label."""
    labels, size = model.metadata["labels"], model.metadata["input_size"]
    images = (preprocess(shrink(photo), size) for photo in photos)
    probabilities = np.concatenate([model.probabilities(image) for image in images])
    return Predictions(probabilities, np.full(len(photos), labels.index(label)), labels)


def read(folder: Path, step: int) -> list[bytes]:
    """Every `step`-th photo of a folder."""
    return [file.read_bytes() for file in sorted(folder.rglob("*.jpg"))[::step]]


def noise(model: evaluate.Model, count: int) -> np.ndarray:
    size = model.metadata["input_size"]
    random = np.random.default_rng(0)
    return random.integers(0, 256, (count, 3, size, size)).astype(np.float32)


def test_model_is_one_small_file(model):
    assert model.path.stat().st_size <= LARGEST_FILE
    assert not list(model.path.parent.glob("*.data"))


def test_model_file_does_not_name_the_machine_that_made_it(model):
    assert b".py" not in model.path.read_bytes()


def test_model_answers_a_photo_with_probabilities(model):
    image = preprocess(encoded(draw_photo(1)), model.metadata["input_size"])
    probabilities = model.probabilities(image)
    assert probabilities.shape == (1, len(model.metadata["labels"]))
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
    labels = model.metadata["labels"]
    predictions = Predictions(probabilities, np.full(100, len(labels) - 1), labels)
    assert not predictions.accepted(model.metadata["threshold"]).any()


@pytest.mark.parametrize("part", ["left_out_sources", "test"])
def test_card_quotes_the_recorded_numbers(part, model):
    card = (model.path.parent / "MODEL_CARD.md").read_text()
    recorded = model.metadata["metrics"].get(part)
    if not recorded:
        pytest.skip("all photos are trained on: there is no test split")
    for name in report.MEASURES:
        assert report.percent(recorded[name]) in card


def test_official_photos_of_bicycles_and_motorcycles_are_told_apart(shared_data):
    model = evaluate.Model(MODELS / "vehicles")
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


@pytest.mark.parametrize("label", ["broken", "intact"])
def test_no_broken_scone_is_accepted_as_intact(label, shared_data):
    """The model has seen these photos: this says that file and card belong together, no more."""
    model = evaluate.Model(MODELS / "scones")
    predictions = classify(model, read(shared_data / "scones" / label, 1), label)
    assert predictions.correct.mean() >= 0.95
    accepted = predictions.accepted(model.metadata["threshold"])
    assert predictions.correct[accepted].all()


@pytest.mark.parametrize("folder", ["food/cookie", "food/pretzel", "social/pet_or_animal"])
def test_other_photos_are_no_scones(folder, shared_data):
    predictions = classify(
        evaluate.Model(MODELS / "scones"), read(shared_data / folder, 5), "other"
    )
    assert predictions.correct.mean() >= 0.95


def test_vehicles_on_the_road_are_no_scones(shared_data):
    """The model has not seen these photos."""
    photos = read(shared_data / "photos_more", 100)
    predictions = classify(evaluate.Model(MODELS / "scones"), photos, "other")
    assert predictions.correct.mean() >= 0.95


@pytest.mark.parametrize(
    ("folder", "label"),
    [
        ("social/food_post", "food"),
        ("social/screenshot", "screenshot"),
        ("social/meme", "other"),
        ("social/pet_or_animal", "other"),
        ("photos_more/motorcycle", "delivery"),  # not seen in training
    ],
)
def test_posts_are_sent_to_the_team_that_responds(folder, label, shared_data):
    photos = read(shared_data / folder, 1 + len(list((shared_data / folder).iterdir())) // 40)
    assert classify(evaluate.Model(MODELS / "social"), photos, label).correct.mean() >= 0.85


def test_metadata_is_what_the_stack_reads(model):
    metadata = model.metadata
    assert metadata["labels"] == LABELS[model.path.parent.name]
    assert 0.5 <= metadata["threshold"] < 1
    assert metadata["baseline"]["count"] > 1000
