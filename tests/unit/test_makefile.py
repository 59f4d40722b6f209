"""The checks of `make` before long work."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.support.repository import REPOSITORY


def test_launch_asks_aws_for_the_stack_before_it_installs_torch(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    training = tmp_path / "environment"
    done = subprocess.run(
        [shutil.which("make"), "launch", f"TRAINING={training}"],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    [line] = [line for line in done.stderr.splitlines() if line.startswith("launch: ")]
    assert "credentials" in line
    assert "Traceback" not in done.stderr
    assert not training.exists()
