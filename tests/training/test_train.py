"""Training from end to end on drawn photos: the model's contract, honest numbers, clear errors."""

import copy
import dataclasses
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from scipy.special import softmax

from serving.preprocess import preprocess
from tests.support.drawn import COLOURS, draw_photo, encoded, write_photos
from tests.support.training import settings
from training.classifier import train, trainer
from training.classifier.backbone import load_backbone
from training.classifier.features import OnnxNetwork
from training.classifier.fine_tuning import FineTuning, average
from training.classifier.head import Head
from training.dataset.records import Dataset, DatasetError
from training.dataset.stage import stage

FINE_TUNING = FineTuning(steps=3, batch_size=4, view_size=64)


def classify(model: Path, photos: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and novelty as the serving app has them."""
    session = onnxruntime.InferenceSession(model / "model.onnx")
    size = json.loads((model / "metadata.json").read_text())["input_size"]
    answers = [
        session.run(["probabilities", "novelty"], {"image": preprocess(photo, size)})
        for photo in photos
    ]
    probabilities, novelty = zip(*answers, strict=True)
    return np.concatenate(probabilities), np.concatenate(novelty)


def test_model_learns_what_the_folders_show(tiny_model):
    labels = json.loads((tiny_model / "metadata.json").read_text())["labels"]
    assert labels == ["bicycle", "motorcycle", "other"]
    correct = 0
    for at, label in enumerate(labels):
        photos = [encoded(draw_photo(50_000 + n, frame=COLOURS[label])) for n in range(12)]
        correct += (classify(tiny_model, photos)[0].argmax(1) == at).sum()
    assert correct >= 27  # of 36; chance would be 12


def test_model_answers_any_number_of_photos_with_probabilities_and_novelty(tiny_model):
    session = onnxruntime.InferenceSession(tiny_model / "model.onnx")
    assert {path.name for path in tiny_model.iterdir()} == {"model.onnx", "metadata.json"}
    for count in (1, 5):
        images = np.random.default_rng(0).uniform(0, 255, (count, 3, 64, 64)).astype(np.float32)
        probabilities, novelty = session.run(["probabilities", "novelty"], {"image": images})
        assert probabilities.shape == (count, 3)
        np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
        assert novelty.shape == (count,)
        assert ((novelty >= 0) & (novelty <= 1)).all()


def test_noise_is_more_novel_than_photos_like_the_training_photos(tiny_model):
    random = np.random.default_rng(0)
    familiar = [encoded(draw_photo(60_000 + n, frame="red")) for n in range(10)]
    _, of_photos = classify(tiny_model, familiar)
    session = onnxruntime.InferenceSession(tiny_model / "model.onnx")
    noise = random.uniform(0, 255, (10, 3, 64, 64)).astype(np.float32)
    [of_noise] = session.run(["novelty"], {"image": noise})
    assert of_noise.min() > of_photos.max()


def test_model_file_does_not_name_the_machine_that_made_it(tiny_model):
    content = (tiny_model / "model.onnx").read_bytes()
    assert b".py" not in content
    assert str(Path.home()).encode() not in content


def test_metadata_has_what_serving_drift_and_the_gate_need(tiny_model, staged):
    metadata = json.loads((tiny_model / "metadata.json").read_text())
    dataset = Dataset(staged)
    assert metadata["input_size"] == 64
    assert 0.5 <= metadata["threshold"] <= 0.995
    assert metadata["data"]["dataset"] == dataset.version
    assert metadata["data"]["sources_known"]
    sent = [photo for photo in dataset.split("train") if photo.source != "cifar-100"]
    assert metadata["baseline"]["count"] == len(sent)  # nobody sends thumbnails
    assert sum(metadata["baseline"]["confidence"]) == pytest.approx(1, abs=1e-3)
    assert metadata["code"]["commit"]
    assert metadata["metrics"]["left_out_sources"]["accuracy"]["count"] == sum(
        photo.label != "other" for photo in sent
    )


def test_a_new_head_starts_from_a_model_that_was_made_here(tiny_model, staged, tmp_path):
    once = settings(staged, tmp_path, backbone=str(tiny_model), version="2.0.0")
    train.train(once)
    answers = [
        OnnxNetwork(folder / "model.onnx").run(np.full((1, 3, 64, 64), 90, np.uint8))
        for folder in (tiny_model, once.model_dir)
    ]
    np.testing.assert_array_equal(*answers)
    photos = [encoded(draw_photo(70_000 + n, frame="blue")) for n in range(5)]
    one, two = (classify(folder, photos)[0] for folder in (tiny_model, once.model_dir))
    np.testing.assert_array_equal(one.argmax(1), two.argmax(1))


def test_features_are_computed_once(tiny_model, staged, tmp_path, monkeypatch):
    cache = tiny_model.parent / "cache"
    computed = []
    run = trainer.OnnxNetwork.run

    def count(network: object, images: np.ndarray) -> np.ndarray:
        computed.append(len(images))
        return run(network, images)

    monkeypatch.setattr(trainer.OnnxNetwork, "run", count)
    train.train(settings(staged, tmp_path, cache_dir=cache))
    assert sum(computed) <= trainer.CHECKED_PHOTOS  # the exported file is compared
    one, two = ((folder / "model.onnx").read_bytes() for folder in (tiny_model, tmp_path / "model"))
    assert one == two


def test_fine_tuning_changes_late_layers_more_and_goes_on_after_a_stop(
    staged, tmp_path, monkeypatch
):
    whole = settings(staged, tmp_path / "whole", fine_tuning=FINE_TUNING)
    train.train(whole)
    before = load_backbone("tf_efficientnet_lite0")
    image = torch.rand(1, 3, 64, 64) * 255
    with torch.no_grad():
        features, middle = (each.numpy() for each in before(image))
    session = onnxruntime.InferenceSession(whole.model_dir / "model.onnx")
    tuned, tuned_middle = session.run(["features", "middle"], {"image": image.numpy()})
    np.testing.assert_allclose(tuned_middle, middle, atol=0.02)
    assert np.abs(tuned - features).max() > 0.001

    stopped = settings(staged, tmp_path / "stopped", fine_tuning=FINE_TUNING)
    monkeypatch.setattr(trainer.fine_tuning, "REPORT_EVERY", 1)
    save = trainer.fine_tuning.save

    def save_and_stop(*arguments: object) -> None:
        save(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(trainer.fine_tuning, "save", save_and_stop)
    with pytest.raises(KeyboardInterrupt):
        train.train(stopped)
    monkeypatch.setattr(trainer.fine_tuning, "save", save)
    train.train(stopped)
    resumed = onnxruntime.InferenceSession(stopped.model_dir / "model.onnx")
    [again] = resumed.run(["features"], {"image": image.numpy()})
    np.testing.assert_allclose(again, tuned, atol=1e-3)
    stopped_again = dataclasses.replace(stopped, model_dir=tmp_path / "third")
    monkeypatch.setattr(trainer.fine_tuning, "save", save_and_stop)  # it has nothing to save
    train.train(stopped_again)


def test_average_of_models_has_the_mean_of_their_weights():
    one = load_backbone("tf_efficientnet_lite0")
    two = copy.deepcopy(one)
    with torch.no_grad():
        next(two.parameters()).add_(2)
    heads = [Head(np.full((3, 4), at, np.float32), np.full(3, at, np.float32)) for at in (1, 3)]
    mean, head = average([(one, heads[0]), (two, heads[1])])
    torch.testing.assert_close(next(mean.parameters()), next(one.parameters()) + 1)
    assert (head.weight == 2).all()
    assert (head.bias == 2).all()


def test_report_warns_if_nobody_knows_the_sources(tiny_model, tmp_path):
    photos = write_photos(tmp_path / "photos", 25)
    for file in photos.rglob("*.jpg"):
        file.rename(file.with_name(file.name.partition("__")[2]))
    stage([photos], tmp_path / "dataset")
    result = train.train(
        settings(tmp_path / "dataset", tmp_path, cache_dir=tiny_model.parent / "cache")
    )
    assert "Warning" in result.report
    assert not result.metadata["data"]["sources_known"]
    assert result.metadata["metrics"]["left_out_sources"]["spread"] is None


def test_labels_need_not_be_vehicles_nor_have_other(tiny_model, tmp_path):
    photos = write_photos(tmp_path / "photos", 25, labels=("intact", "broken"))
    for file in (photos / "broken").glob("*.jpg"):
        draw_photo(int(file.stem.partition("__")[2]), frame="black").save(file)
    stage([photos], tmp_path / "dataset")
    result = train.train(
        settings(tmp_path / "dataset", tmp_path, cache_dir=tiny_model.parent / "cache")
    )
    assert result.metadata["labels"] == ["broken", "intact"]
    measures = result.metadata["metrics"]["left_out_sources"]
    assert measures["accuracy"]["value"] > 0.6
    assert "other_accepted" not in measures


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"backbone": "no_such_model"}, "timm has no model no_such_model"),
        ({"dataset": Path("nowhere")}, "no staged dataset"),
    ],
)
def test_what_the_user_can_fix_is_one_line(changes, reason, staged, tmp_path, capsys):
    wanted = dataclasses.replace(settings(staged, tmp_path), **changes)
    arguments = ["--dataset", str(wanted.dataset), "--backbone", wanted.backbone]
    with pytest.raises(SystemExit) as stopped:
        train.main([*arguments, "--model-dir", str(tmp_path / "model")])
    assert str(stopped.value).startswith("train: ")
    assert reason in str(stopped.value)
    assert "\n" not in str(stopped.value)


def test_a_model_folder_cannot_be_fine_tuned(tiny_model, staged, tmp_path):
    wanted = settings(staged, tmp_path, backbone=str(tiny_model), fine_tuning=FINE_TUNING)
    with pytest.raises(ValueError, match="can only get a new head"):
        train.train(wanted)


def test_metrics_are_printed_for_sagemaker(tiny_model, staged, tmp_path, capsys):
    train.train(settings(staged, tmp_path, cache_dir=tiny_model.parent / "cache"))
    printed = capsys.readouterr().out
    for name in ("left_out_accuracy", "left_out_coverage", "threshold", "model_bytes"):
        assert f"{name}=" in printed


def test_too_few_photos_of_a_label_is_a_dataset_error(tmp_path):
    photos = write_photos(tmp_path / "photos", 25)
    for file in list((photos / "other").iterdir())[3:]:
        file.unlink()
    with pytest.raises(DatasetError, match=r"other \(3\): at least 20"):
        stage([photos], tmp_path / "dataset")


def test_activation_says_where_the_logits_come_from(tiny_model):
    network = onnx.load(tiny_model / "model.onnx")
    [bias] = [
        numpy_helper.to_array(each)
        for each in network.graph.initializer
        if each.name == "classifier/bias"
    ]
    session = onnxruntime.InferenceSession(tiny_model / "model.onnx")
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 64, 64)).astype(np.float32)
    activation, probabilities = session.run(["activation", "probabilities"], {"image": images})
    logits = activation.mean((1, 2)) + bias
    np.testing.assert_allclose(softmax(logits, axis=1), probabilities, atol=1e-4)


def test_models_of_two_input_sizes_share_a_cache(staged, tmp_path):
    for size in (64, 96):
        run = settings(staged, tmp_path, input_size=size)
        train.train(run)
        shape = onnxruntime.InferenceSession(run.model_dir / "model.onnx").get_inputs()[0].shape
        assert shape[2:] == [size, size]
