"""Folders of this repository, and the folder of the real data, which is not part of it."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
STATE_MACHINES = REPOSITORY / "statemachine"
SHARED = REPOSITORY.parent / "shared"
DATA = Path(os.environ.get("SCONES_DATA", SHARED / "data"))
