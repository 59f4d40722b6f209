"""Training from end to end on a tiny scale: the exported contract, resuming, clear errors."""

import argparse
import json
import shutil
from pathlib import Path

import evaluate
import numpy as np
import onnxruntime
import pytest
import torch
from source import train
from source.network import LABELS
from source.train import cooled_down, learning_rate, view_size

from serving.preprocess import preprocess

TINY = ["--backbone=residual", "--steps=4", "--batch-size=16", "--input-size=32"]
TINY += ["--report-every=2"]


def places(directory: Path) -> list[str]:
    names = ("model", "output", "checkpoint")
    return [part for name in names for part in (f"--{name}-dir", str(directory / name))]


@pytest.fixture(scope="session")
def dry_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("dry_run")
    train.main(["--dry-run", *places(directory)])
    return directory


def test_the_exported_model_keeps_its_contract(tiny_model):
    session = onnxruntime.InferenceSession(tiny_model / "model.onnx")
    (image,) = session.get_inputs()
    probabilities, novelty = session.get_outputs()
    assert (image.name, image.type) == ("image", "tensor(float)")
    assert (probabilities.name, novelty.name) == ("probabilities", "novelty")
    assert {path.name for path in tiny_model.iterdir()} == {"model.onnx", "metadata.json"}
    for count in (1, 5):
        batch = np.random.default_rng(0).uniform(0, 255, (count, 3, 32, 32)).astype(np.float32)
        answer, told = session.run(None, {"image": batch})
        assert answer.shape == (count, len(LABELS))
        np.testing.assert_allclose(answer.sum(1), 1, atol=1e-5)
        assert told.shape == (count,)
        assert ((told >= 0) & (told <= 1)).all()


def test_metadata_says_what_serving_and_drift_need(tiny_model, staged):
    metadata = json.loads((tiny_model / "metadata.json").read_text())
    assert metadata["labels"] == ["bicycle", "motorcycle", "other"]
    assert metadata["input_size"] == 32
    assert 0.5 <= metadata["threshold"] <= 0.995
    assert (
        metadata["data"]["dataset"] == json.loads((staged / "dataset.json").read_text())["version"]
    )
    assert sum(metadata["baseline"]["confidence"]) == pytest.approx(1, abs=1e-3)
    assert metadata["code"]["commit"]
    assert set(metadata) >= {
        "name",
        "version",
        "normalisation",
        "temperature",
        "metrics",
        "trained_at",
    }


def test_dry_run_needs_no_dataset_and_tells_metrics(dry_run, capsys):
    assert (dry_run / "model" / "model.onnx").is_file()
    history = json.loads((dry_run / "output" / "history.json").read_text())
    assert [entry["step"] for entry in history] == [2, 4]
    assert all(np.isfinite(entry["train_loss"]) for entry in history)


def test_metrics_are_printed_as_name_and_value(tmp_path, capsys):
    train.main(["--dry-run", *places(tmp_path)])
    printed = capsys.readouterr().out
    for name in (
        "validation_accuracy",
        "train_loss",
        "threshold",
        "validation_at_threshold_coverage",
    ):
        assert f"{name}=" in printed


def options(directory: Path, dataset: Path, *more: str) -> argparse.Namespace:
    return train.parse_arguments(["--dataset", str(dataset), *TINY, *places(directory), *more])


def run(settings: argparse.Namespace) -> tuple[dict, list]:
    device = torch.device("cpu")
    loaded = train.load(settings, device)
    average, history = train.train(*loaded, settings, device)
    return average.state_dict(), history


def test_a_resumed_run_ends_as_an_unbroken_one(staged, tmp_path, monkeypatch):
    whole, history = run(options(tmp_path / "whole", staged))
    again, _ = run(options(tmp_path / "again", staged))

    stopping = options(tmp_path / "stopped", staged)
    save = train.save_checkpoint

    def save_then_stop(*arguments, **state):
        save(*arguments, **state)
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "save_checkpoint", save_then_stop)
    with pytest.raises(KeyboardInterrupt):
        run(stopping)
    monkeypatch.setattr(train, "save_checkpoint", save)
    resumed, resumed_history = run(stopping)

    assert resumed_history == history
    for name, weights in whole.items():
        torch.testing.assert_close(again[name], weights, msg=f"{name} differs by chance")
        torch.testing.assert_close(resumed[name], weights, msg=f"{name} differs after resuming")


def test_another_seed_is_another_model(staged, tmp_path):
    one, _ = run(options(tmp_path / "one", staged))
    two, _ = run(options(tmp_path / "two", staged, "--seed", "2"))
    assert not torch.equal(one["head.weight"], two["head.weight"])


@pytest.mark.parametrize("other", ["--seed=2", "--hold-out-source=source1"])
def test_a_checkpoint_of_another_run_is_refused(other, staged, tmp_path):
    run(options(tmp_path, staged))
    with pytest.raises(SystemExit, match="another run"):
        run(options(tmp_path, staged, other))


def test_a_checkpoint_of_other_data_is_refused(staged, tmp_path):
    run(options(tmp_path, staged))
    more = shutil.copytree(staged, tmp_path / "more")
    description = json.loads((more / "dataset.json").read_text())
    (more / "dataset.json").write_text(json.dumps(description | {"version": "0"}))
    with pytest.raises(SystemExit, match="another run"):
        run(options(tmp_path, more))


def test_a_run_that_is_done_leaves_no_checkpoint_for_the_next(staged, tmp_path, capsys):
    for seed in ("1", "2"):
        train.main(["--dataset", str(staged), *TINY, *places(tmp_path), "--seed", seed])
    assert "resumed" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--steps=0"], "not 1 or more"),
        (["--batch-size=1"], "not even"),
        (["--report-every=0"], "not 1 or more"),
        (["--threads=0"], "not 1 or more"),
    ],
)
def test_numbers_that_cannot_be_are_refused(arguments, says, capsys):
    with pytest.raises(SystemExit):
        train.parse_arguments(arguments)
    assert says in capsys.readouterr().err


def test_a_source_that_is_not_there_cannot_be_held_out(staged, tmp_path):
    with pytest.raises(SystemExit, match=r"train: .* has no source nowhere"):
        train.main(["--dataset", str(staged), *places(tmp_path), "--hold-out-source=nowhere"])


@pytest.mark.parametrize("script", [train, evaluate])
def test_a_dataset_without_photos_of_a_label_is_one_line(script, staged, tmp_path):
    few = shutil.copytree(staged, tmp_path / "few")
    lines = (few / "manifest.csv").read_text().splitlines(keepends=True)
    (few / "manifest.csv").write_text(
        "".join(line for line in lines if "photos/" not in line or ",motorcycle," not in line)
    )
    with pytest.raises(SystemExit, match="photo of motorcycle: stage more of them with --photos"):
        script.main(["--dataset", str(few)])


@pytest.mark.parametrize(
    ("name", "text"),
    [("dataset.json", "{"), ("manifest.csv", "file\n"), ("manifest.csv", "a,b\n1")],
)
def test_a_broken_dataset_is_one_line(name, text, staged, tmp_path):
    broken = shutil.copytree(staged, tmp_path / "broken")
    (broken / name).write_text(text)
    with pytest.raises(SystemExit, match=r"^train: "):
        train.main(["--dataset", str(broken)])


def test_a_held_out_source_is_not_trained_on(staged, tmp_path):
    settings = options(tmp_path, staged, "--hold-out-source", "source1")
    _, photos, _, validation, data = train.load(settings, torch.device("cpu"))
    _, all_photos, _, all_validation, _ = train.load(options(tmp_path, staged), torch.device("cpu"))
    assert len(photos.labels) < len(all_photos.labels)
    assert len(validation.photos) < len(all_validation.photos)
    assert data["held_out_sources"] == ["source1"]


def test_sampling_is_balanced_over_labels(staged):
    dataset = train.Dataset(staged)
    rows = dataset.select(lambda row: row.is_photo and row.split == "train")
    # Many more of one label and one source: each label still gets a third.
    rows += [row for row in rows if row.label == "other" and row.source == "source0"] * 5
    weights = train.balanced_weights(rows)
    for label in LABELS:
        share = sum(w for w, row in zip(weights, rows, strict=True) if row.label == label)
        assert share / weights.sum() == pytest.approx(1 / 3)


def test_a_checkpoint_of_another_backbone_is_refused(staged, tmp_path):
    run(options(tmp_path, staged))
    with pytest.raises(SystemExit, match="another run: delete it"):
        run(options(tmp_path, staged, "--backbone=efficientnet_lite0", "--input-size=64"))


def test_a_backbone_that_knows_imagenet_becomes_a_small_file(staged, tmp_path, capsys):
    few = ["--backbone=efficientnet_lite0", "--steps=1", "--batch-size=4", "--input-size=64"]
    train.main(["--dataset", str(staged), *TINY, *places(tmp_path), *few])
    assert "parameters=3504232" in capsys.readouterr().out
    assert (tmp_path / "model" / "model.onnx").stat().st_size < 8_000_000
    metadata = json.loads((tmp_path / "model" / "metadata.json").read_text())
    assert metadata["backbone"] == "efficientnet_lite0"
    assert metadata["normalisation"]["std"] == [128, 128, 128]


def test_eight_bits_are_smaller_and_nearly_as_exact(staged, tiny_model, tmp_path):
    train.main(["--dataset", str(staged), *TINY, *places(tmp_path), "--int8"])
    whole, small = tiny_model / "model.onnx", tmp_path / "model" / "model.onnx"
    assert b"QuantizeLinear" in small.read_bytes()
    pictures = np.random.default_rng(0).integers(0, 256, (8, 3, 32, 32), dtype=np.uint8)
    exact, rough = (train.predict_exported(path, pictures)[0] for path in (whole, small))
    np.testing.assert_allclose(rough, exact, atol=0.05)
    assert (rough != exact).any()


def test_each_backbone_has_its_recipe():
    assert train.parse_arguments([]).input_size == 112
    assert train.parse_arguments(["--backbone", "residual"]).input_size == 64
    assert train.parse_arguments(["--backbone", "residual", "--steps", "7"]).steps == 7


def test_views_too_small_for_the_backbone_are_refused(capsys):
    with pytest.raises(SystemExit):
        train.parse_arguments(["--input-size", "32"])
    assert "--input-size must be at least 64" in capsys.readouterr().err


def test_training_takes_sagemakers_places(monkeypatch):
    monkeypatch.setenv("SM_CHANNEL_TRAINING", "/opt/ml/input/data/training")
    monkeypatch.setenv("SM_MODEL_DIR", "/opt/ml/model")
    monkeypatch.setenv("SM_OUTPUT_DATA_DIR", "/opt/ml/output/data")
    settings = train.parse_arguments([])
    assert settings.dataset == Path("/opt/ml/input/data/training")
    assert settings.model_dir == Path("/opt/ml/model")
    assert settings.output_dir == Path("/opt/ml/output/data")
    assert settings.checkpoint_dir == Path("/opt/ml/checkpoints")


def test_a_missing_dataset_is_one_line(tmp_path):
    with pytest.raises(SystemExit, match=r"train: .*stage_data\.py"):
        train.main(["--dataset", str(tmp_path), *places(tmp_path)])


def test_until_the_cool_down_the_schedule_knows_no_end():
    settings = {steps: argparse.Namespace(steps=steps, input_size=112) for steps in (4000, 6000)}
    for step in (0, 50, 99, 500, 1999):
        assert learning_rate(step, 4000, 0.1) == learning_rate(step, 6000, 0.1)
        assert view_size(step, settings[4000]) == view_size(step, settings[6000]) == 80
    assert learning_rate(3999, 4000, 0.1) < 0.001
    assert view_size(2999, settings[4000]) == 96
    assert view_size(3999, settings[4000]) == 128
    assert cooled_down(0, 4000) == 0 < cooled_down(3999, 4000) < 1


def test_validation_sees_photos_as_they_are_served(staged):
    dataset = train.Dataset(staged)
    rows = dataset.select(lambda row: row.split == "validation")
    inputs = dataset.served_inputs(rows, 32)
    for row, got in zip(rows, inputs, strict=True):
        np.testing.assert_array_equal(got, preprocess(dataset.image_bytes(row), 32)[0])
