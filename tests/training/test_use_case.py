"""The training command of docs/use-cases.md makes the model of a new use case."""

import json
import os
from pathlib import Path

from tests.support.drawn import write_photos
from tests.support.pages import clone, commands, run

SMALL = "--backbone tf_efficientnet_lite0 --folds 2"


def test_the_command_trains_a_model_that_the_next_steps_find(tmp_path: Path) -> None:
    folder = clone(tmp_path / "copy")
    write_photos(folder / "my" / "photos", 22, labels=("bicycle", "other"))
    (folder / "my" / "photos" / "bicycle").rename(folder / "my" / "photos" / "loaf")
    for block in commands("docs/use-cases.md", "tested by tests/training"):
        run(block, folder, {**os.environ, "ARGS": SMALL})
    metadata = json.loads((folder / "models" / "bread" / "metadata.json").read_text())
    assert (metadata["name"], metadata["labels"]) == ("bread", ["loaf", "other"])
