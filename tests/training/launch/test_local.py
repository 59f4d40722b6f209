"""Training and serving on this machine."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from training.launch import serving_image, settings, steps


def test_local_training_takes_the_hyperparameters(
    staged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["--local", "--dataset", str(staged), "--model-version", "1.2.0"]
    for parameter in (
        "backbone=residual",
        "steps=4",
        "batch-size=16",
        "input-size=32",
        "report-every=2",
    ):
        arguments += ["--hyperparameter", parameter]
    given = settings.parse("", arguments)
    model = steps.train_here(given.data, given.training)
    metadata = json.loads((model / "metadata.json").read_text())
    assert (metadata["version"], metadata["input_size"]) == ("1.2.0", 32)


def test_local_evaluates_and_serves_until_ctrl_c(
    staged: Path, tiny_model: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "training.launch", "--local", "--port", "0"]
    with subprocess.Popen(
        [*command, "--dataset", staged, "--model", tiny_model],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(serving_image.REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        printed = []
        for line in process.stdout:
            printed.append(line)
            if line.startswith("{"):
                break
        else:
            pytest.fail("".join(printed))
        with urlopen(f"{json.loads(line)['url']}/ping", timeout=5) as answer:
            assert answer.status == 200
        os.killpg(process.pid, signal.SIGINT)
        rest = process.stdout.read()
    assert process.returncode == 0, rest
    assert "Traceback" not in rest
    assert len(list((tmp_path / "build/evaluation").glob("*/report.md"))) == 1
