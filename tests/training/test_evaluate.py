"""The report: the formulas by hand, the whole on a tiny model."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training import evaluate
from training.source import train
from training.source.data import Dataset


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (191, 200, 0.9166, 0.9761)],
)
def test_wilsons_interval(right, count, low, high):
    assert evaluate.wilson_interval(right, count) == pytest.approx((low, high), abs=1e-3)


def test_auroc_counts_pairs_and_half_of_the_ties():
    scores = np.array([0.1, 0.4, 0.4, 0.8])
    positive = np.array([False, False, True, True])
    assert evaluate.auroc(scores, positive) == pytest.approx((1 + 1 + 1 + 0.5) / 4)
    assert evaluate.auroc(-scores, positive) == pytest.approx(0.5 / 4)


def test_the_sign_test_is_exact():
    assert evaluate.sign_test(0, 0) == 1
    assert evaluate.sign_test(5, 5) == 1
    assert evaluate.sign_test(10, 0) == pytest.approx(2 / 1024)


@pytest.fixture(scope="module")
def report(staged: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("report")
    model = directory / "model"
    shutil.copytree(tiny_model, model)
    (model / "MODEL_CARD.md").write_text(
        f"Before.\n{evaluate.CARD_START}\nold numbers\n{evaluate.CARD_END}\nAfter.\n"
    )
    arguments = ["--model", str(model), "--against", str(tiny_model), "--record", "--gate"]
    evaluate.main([*arguments, "--dataset", str(staged), "--report", str(directory / "report")])
    return directory


def test_the_numbers_are_those_of_the_predictions(report, staged):
    dataset = Dataset(staged)
    evaluation = json.loads((report / "report" / "evaluation.json").read_text())
    model = evaluate.Model(report / "model")
    rows = dataset.select(lambda row: row.is_photo and row.split == "test")
    named = model.predict(dataset.served_inputs(rows, 32)).argmax(1)
    right = [model.metadata["labels"][at] == row.label for at, row in zip(named, rows, strict=True)]
    assert evaluation["photos_three_way"]["count"] == len(rows)
    assert evaluation["photos_three_way"]["value"] == pytest.approx(np.mean(right), abs=1e-4)
    assert evaluation["cifar_100_bicycle_or_motorcycle"]["count"] == 2
    assert evaluation["model_bytes"] == (report / "model" / "model.onnx").stat().st_size


def test_the_report_shows_its_tables_and_plots(report):
    text = (report / "report" / "report.md").read_text()
    for part in ("| source |", "| style |", "| label |", "true \\ named", "sign test"):
        assert part in text
    for name in ("reliability.png", "coverage.png", "mistakes.png"):
        assert f"]({name})" in text
        with Image.open(report / "report" / name) as image:
            assert image.width >= 500


def test_recording_fills_the_card_and_the_metadata(report):
    card = (report / "model" / "MODEL_CARD.md").read_text()
    assert card.startswith("Before.\n")
    assert card.endswith("\nAfter.\n")
    assert "old numbers" not in card
    metrics = json.loads((report / "model" / "metadata.json").read_text())["metrics"]
    evaluation = json.loads((report / "report" / "evaluation.json").read_text())
    assert metrics["test"] == evaluation
    assert evaluate.percent(metrics["test"]["photos_three_way"]) in card


def test_gate_refuses_the_same_model_and_keeps_what_a_package_needs(report, tiny_model):
    verdict = json.loads((report / "report" / "gate.json").read_text())
    metadata = json.loads((tiny_model / "metadata.json").read_text())
    evaluation = json.loads((report / "report" / "evaluation.json").read_text())
    assert (verdict["accepted"], verdict["better"], verdict["worse"]) == (False, 0, 0)
    assert verdict["champion"] == verdict["challenger"] == evaluation["photos_three_way"]["value"]
    assert (verdict["name"], verdict["version"]) == (metadata["name"], metadata["version"])
    assert verdict["properties"]["version"] == metadata["version"]
    assert all(isinstance(value, str) for value in verdict["properties"].values())


def test_two_models_of_one_commit_keep_their_own_numbers(staged, tiny_model, report, tmp_path):
    tiny = ["--backbone=residual", "--steps=3", "--batch-size=8", "--input-size=32", "--seed=7"]
    places = [f"--{name}-dir={tmp_path / name}" for name in ("model", "output", "checkpoint")]
    train.main(["--dataset", str(staged), *tiny, *places])
    other = tmp_path / "model"
    arguments = ["--model", str(tiny_model), "--against", str(other), "--gate"]
    evaluate.main([*arguments, "--dataset", str(staged), "--report", str(tmp_path)])
    gate = json.loads((tmp_path / "gate.json").read_text())
    measured = json.loads((tmp_path / "evaluation.json").read_text())
    alone = json.loads((report / "report" / "evaluation.json").read_text())
    assert measured["other_auroc"] == alone["other_auroc"]
    evaluate.main(["--model", str(other), "--dataset", str(staged), "--report", str(tmp_path)])
    second = json.loads((tmp_path / "evaluation.json").read_text())
    assert second["other_auroc"] != measured["other_auroc"]
    assert gate["challenger"] == measured["photos_three_way"]["value"]
    assert gate["champion"] == second["photos_three_way"]["value"]


def test_gate_needs_a_second_model(capsys):
    with pytest.raises(SystemExit):
        evaluate.main(["--gate"])
    assert "give it with --against" in capsys.readouterr().err


def test_a_held_out_source_is_judged_whole(staged, tmp_path):
    places = [f"--{name}-dir={tmp_path / name}" for name in ("model", "output", "checkpoint")]
    tiny = [
        "--backbone=residual",
        "--steps=2",
        "--batch-size=8",
        "--input-size=32",
        "--hold-out-source=source1",
    ]
    train.main(["--dataset", str(staged), *tiny, *places])
    evaluate.main(
        ["--model", str(tmp_path / "model"), "--dataset", str(staged), "--report", str(tmp_path)]
    )
    of_source = Dataset(staged).select(lambda row: row.source == "source1")
    text = (tmp_path / "report.md").read_text()
    line = next(line for line in text.splitlines() if line.startswith("| source1 |"))
    assert f"/{len(of_source)})" in line


def test_a_model_that_cannot_be_run_is_one_line(staged, tiny_model, tmp_path):
    broken = shutil.copytree(tiny_model, tmp_path / "model")
    (broken / "model.onnx").write_bytes(b"no model")
    with pytest.raises(SystemExit, match=r"evaluate: .*is no model that can be run"):
        evaluate.main(["--model", str(broken), "--dataset", str(staged)])


def test_a_missing_model_is_one_line(staged, tmp_path):
    with pytest.raises(SystemExit, match="evaluate: "):
        evaluate.main(["--model", str(tmp_path), "--dataset", str(staged)])
