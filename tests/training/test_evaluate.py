"""The evaluation of a model on the test split, and the gate, on a tiny model."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from serving.preprocess import preprocess
from training import evaluate, report
from training.dataset.records import Dataset


@pytest.fixture(scope="module")
def evaluated(staged: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the model, and its report against the original."""
    directory = tmp_path_factory.mktemp("report")
    model = directory / "model"
    shutil.copytree(tiny_model, model)
    (model / "MODEL_CARD.md").write_text(
        "Before.\n<!-- evaluation: start -->\nold numbers\n<!-- evaluation: end -->\nAfter.\n"
    )
    arguments = ["--model", str(model), "--against", str(tiny_model), "--record", "--gate"]
    evaluate.main([*arguments, "--dataset", str(staged), "--report", str(directory / "report")])
    return directory


def evaluation(evaluated: Path) -> dict:
    return json.loads((evaluated / "report" / "evaluation.json").read_text())


def test_numbers_are_those_of_the_served_model(evaluated, staged):
    dataset = Dataset(staged)
    model = evaluate.Model(evaluated / "model")
    photos = dataset.split("test")
    correct = [
        dataset.labels[model.probabilities(preprocess(dataset.image_bytes(photo), 64)).argmax()]
        == photo.label
        for photo in photos
    ]
    measured = evaluation(evaluated)
    assert measured["accuracy_all"]["count"] == len(photos)
    assert measured["accuracy_all"]["value"] == pytest.approx(np.mean(correct), abs=1e-4)
    assert measured["model_bytes"] == (evaluated / "model" / "model.onnx").stat().st_size


def test_report_has_its_tables_and_plots(evaluated):
    text = (evaluated / "report" / "report.md").read_text()
    for part in ("| source |", "| style |", "| cost |", "| shows \\ predicted |"):
        assert part in text
    for name in ("reliability.png", "coverage.png", "mistakes.png"):
        assert f"]({name})" in text
        with Image.open(evaluated / "report" / name) as image:
            assert image.width >= 500


def test_recording_fills_the_card_and_the_metadata(evaluated):
    card = (evaluated / "model" / "MODEL_CARD.md").read_text()
    assert card.startswith("Before.\n")
    assert card.endswith("\nAfter.\n")
    assert "old numbers" not in card
    metrics = json.loads((evaluated / "model" / "metadata.json").read_text())["metrics"]
    assert metrics["test"] == evaluation(evaluated)
    assert report.percent(metrics["test"]["accuracy_all"]) in card


def test_gate_refuses_the_same_model_and_keeps_what_a_package_needs(evaluated, tiny_model):
    verdict = json.loads((evaluated / "report" / "gate.json").read_text())
    metadata = json.loads((tiny_model / "metadata.json").read_text())
    assert (verdict["accepted"], verdict["better"], verdict["worse"]) == (False, 0, 0)
    assert verdict["champion"] == verdict["challenger"]
    assert verdict["challenger"] == evaluation(evaluated)["accuracy_all"]["value"]
    assert (verdict["name"], verdict["version"]) == (metadata["name"], metadata["version"])
    assert verdict["properties"]["version"] == metadata["version"]
    assert all(isinstance(value, str) for value in verdict["properties"].values())


def test_gate_needs_a_second_model(capsys):
    with pytest.raises(SystemExit):
        evaluate.main(["--gate"])
    assert "give it with --against" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("damage", "reason"), [("file", "cannot run"), ("folder", ""), ("labels", "has the labels")]
)
def test_model_that_cannot_be_evaluated_is_one_line(damage, reason, staged, tiny_model, tmp_path):
    model = shutil.copytree(tiny_model, tmp_path / "model")
    if damage == "file":
        (model / "model.onnx").write_bytes(b"no model")
    elif damage == "folder":
        shutil.rmtree(model)
    else:
        metadata = json.loads((model / "metadata.json").read_text())
        (model / "metadata.json").write_text(json.dumps(metadata | {"labels": ["a", "b"]}))
    with pytest.raises(SystemExit, match=f"evaluate: .*{reason}") as stopped:
        evaluate.main(["--model", str(model), "--dataset", str(staged)])
    assert "\n" not in str(stopped.value)
