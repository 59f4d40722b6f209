"""What `make` says before it starts long work."""

import shutil
import subprocess
from pathlib import Path

PROJECT = Path(__file__).parents[2]


def test_launch_without_a_role_says_so_before_it_installs_torch(tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    done = subprocess.run(
        [shutil.which("make"), "launch", "ROLE=", f"TRAINING={environment}"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "launch: give the role of SageMaker, ROLE=arn:aws:iam::" in done.stderr
    assert not environment.exists()
