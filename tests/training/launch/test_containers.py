"""What runs in the containers of training and retraining, run on this machine."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.drawn import write_photos
from training.launch import deployment, training_job

Job = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def job_sh(tmp_path: Path) -> Job:
    """job.sh itself, with its containers' folders below tmp_path and nothing to install."""
    script = training_job.retraining_directory(tmp_path / "code") / "job.sh"
    text = script.read_text().replace("/opt/ml/", f"{tmp_path}/")
    script.write_text(re.sub(r"python -m pip install.*", "true", text))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        return subprocess.run(
            ["/bin/bash", str(script), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_what_goes_into_the_containers_of_a_retraining_stages_and_judges_there(
    staged: Path, tiny_model: Path, tmp_path: Path, job_sh: Job
) -> None:
    work = tmp_path / "processing"
    shutil.copytree(staged, work / "base")
    for model in ("champion", "challenger"):
        (work / model).mkdir()
        (work / model / "model.tar.gz").write_bytes(deployment.pack(tiny_model))
    photos = write_photos(tmp_path / "photos", 20, first_seed=50_000)
    for arguments in (("stage", "--photos", str(photos)), ("evaluate",)):
        done = job_sh(*arguments)
        assert done.returncode == 0, done.stderr
    assert json.loads((work / "dataset" / "dataset.json").read_text())["version"]
    gate = json.loads((work / "report" / "gate.json").read_text())
    assert gate["accepted"] is False
    assert json.loads((work / "report" / "metadata.json").read_text())["version"] == gate["version"]
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("stage", "--photos", "nowhere"), "stage: "),
        (("train", "--no-such-option"), "train.py: error: "),
        (("evaluate",), "tar: "),
    ],
)
def test_why_a_job_of_a_retraining_failed_is_where_sagemaker_reads_it(
    tmp_path: Path, job_sh: Job, arguments: tuple[str, ...], says: str
) -> None:
    done = job_sh(*arguments)
    assert done.returncode != 0
    [line] = (tmp_path / "output" / "message").read_text().splitlines()
    assert line == done.stderr.splitlines()[-1]
    assert line.startswith(says)
    assert (tmp_path / "output" / "failure").read_text().splitlines() == [line]


def test_what_goes_into_the_container_trains_there_and_prints_the_metrics(
    staged: Path, tmp_path: Path
) -> None:
    code = training_job.source_directory(tmp_path)
    environment = {
        "PATH": os.environ["PATH"],
        "SM_MODEL_DIR": str(tmp_path / "model"),
        "SM_OUTPUT_DATA_DIR": str(tmp_path / "output"),
        "SM_CHANNEL_TRAINING": str(staged),
        "CODE_COMMIT": "abc1234",
        "PYTHONPATH": str(code),
    }
    done = subprocess.run(
        [
            sys.executable,
            "training/classifier/train.py",
            "--model-version=1.2.0",
            "--backbone=tf_efficientnet_lite0",
            "--input-size=64",
            "--folds=2",
            "--fine-tune=1",
            f"--cache-dir={tmp_path / 'cache'}",
        ],
        cwd=code,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    metadata = json.loads((tmp_path / "model/metadata.json").read_text())
    assert metadata["code"]["commit"] == "abc1234"
    for name in training_job.METRICS:
        pattern = rf"(?:^|\s){name}={training_job.NUMBER}"
        found = re.findall(pattern, done.stdout, re.MULTILINE)
        assert found, f"train.py prints no {name}"
        assert float(found[-1]) >= 0
