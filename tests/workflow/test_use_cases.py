"""The commands of docs/use-cases.md add a use case to a fresh copy of the project, without code."""

import json
import os
import shutil
from pathlib import Path

import pytest

from local.processes import free_port
from tests.support.pages import clone, commands, run
from tests.support.repository import REPOSITORY

PHOTOS = REPOSITORY / "local" / "photos"
# The shipped model with other labels, as if it were trained for them.
LABELS = {"bicycle": "loaf", "motorcycle": "roll", "other": "other"}
SENT = {
    "loaf/1.webp": "bicycle-racing.webp",
    "other/1.jpg": "no-vehicle-scone.jpg",
    "roll/1.jpg": "motorcycle-roadster.jpg",
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy with a folder of photos, and with the model that `make train` would write."""
    folder = clone(tmp_path / "copy")
    for name, photo in SENT.items():
        path = folder / "my" / "photos" / name
        path.parent.mkdir(parents=True)
        shutil.copy(PHOTOS / photo, path)
    shutil.copytree(folder / "models" / "vehicles", folder / "models" / "bread")
    path = folder / "models" / "bread" / "metadata.json"
    metadata = json.loads(path.read_text())
    metadata |= {"name": "bread", "labels": [LABELS[label] for label in metadata["labels"]]}
    path.write_text(json.dumps(metadata))
    return folder


def test_the_commands_add_a_use_case_and_run_it(copy: Path) -> None:
    ports = {"CLOUD_PORT": str(free_port()), "SERVING_PORT": str(free_port())}
    environment = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"} | ports
    printed = [run(block, copy, environment) for block in commands("docs/use-cases.md")]
    lines = [" ".join(line.split()) for line in printed[-1].splitlines()]
    results = {line.split()[0]: line for line in lines if line.split()[0:1] and "/1." in line}
    assert "accepted loaf," in results["loaf/1.webp"]
    assert "rejected the photo shows no loaf or roll" in results["other/1.jpg"]
    assert "accepted roll," in results["roll/1.jpg"]
    [received] = [line for line in lines if line.startswith("scones-unlimited-bread-roll ")]
    assert received.startswith("scones-unlimited-bread-roll sender-003 roll/1.jpg roll, ")
    assert not [line for line in lines if "courier" in line]


def test_a_use_case_without_an_environment_is_refused_in_one_line(copy: Path) -> None:
    with pytest.raises(AssertionError) as refused:
        run("make run USE_CASE=bread", copy, dict(os.environ))
    [error] = [line for line in str(refused.value).splitlines() if "Makefile:" in line]
    assert 'there is no use case "bread": give one of vehicles scones social' in error
