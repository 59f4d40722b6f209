"""Awkward files of the real world, each with the outcome that its manifest calls for."""

import csv
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local.cloud import CONCURRENT_FUNCTIONS
from tests.workflow.conftest import REPOSITORY, Outcome, Stack, assert_recorded, standard_only

DATA = Path(os.environ.get("SCONES_DATA", REPOSITORY.parent / "shared" / "data"))
ODD_IMAGES = DATA / "odd_images"


def reason_to_reject(row: dict[str, str]) -> str | None:
    """Why a file cannot be read; None where it can.

    The manifest has what Pillow alone says, which reads no HEIC, and no AVIF of this name.
    """
    if row["bytes"] == "0":
        return "the file is empty"
    if "DecompressionBombError" in row["pillow_result"]:
        return "the photo has too many pixels, please send a smaller one"
    if row["file"].endswith((".heic", ".heif")):
        return None
    if row["pillow_result"] != "ok" or row["exif_orientation"] == "exif error":
        return "the photo is damaged, please take it again"
    return None


@standard_only
@pytest.mark.skipif(not ODD_IMAGES.is_dir(), reason=f"the real data is not at {DATA}")
def test_odd_images(stack: Stack) -> None:
    with (ODD_IMAGES / "manifest.csv").open() as manifest:
        rows = list(csv.DictReader(manifest))

    def upload(row: dict[str, str]) -> Outcome:
        photo = (ODD_IMAGES / row["file"]).read_bytes()
        return stack.upload(photo, f"uploads/odd/{row['file']}")

    with ThreadPoolExecutor(CONCURRENT_FUNCTIONS) as courier:
        outcomes = dict(zip((row["file"] for row in rows), courier.map(upload, rows), strict=True))
    assert len(outcomes) == 59
    for row in rows:
        outcome = outcomes[row["file"]]
        record = assert_recorded(outcome, outcome.values["status"])
        assert outcome.status == "SUCCEEDED", row["file"]
        reason = reason_to_reject(row)
        assert ("inferences" in record) == (reason is None), (row["file"], record["reason"])
        if reason:
            assert (record["status"], record["reason"]) == ("rejected", reason), row["file"]
