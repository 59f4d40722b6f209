"""The odd files of the shared data, and which of them are readable photos."""

import csv
import os
from pathlib import Path

import pytest

from tests.support.photos import DAMAGED, TOO_MANY_PIXELS
from tests.support.repository import DATA, SHARED

ODD_IMAGES = DATA / "odd_images"
CASES = Path(os.environ.get("SCONES_CASES", SHARED / "cases"))
CASE_FILES = (  # from public bug reports; viewers show all of them whole
    "avif-mif1.avif",
    "burst.heic",
    "no-eoi-zero-padded.jpg",
    "no-eoi.jpg",
    "png-xmp-2mb-ztxt.png",
    "png-ztxt-1500k.png",
    "samsung-no-eoi-trailer.jpg",
)


needs_odd_images = pytest.mark.skipif(
    not ODD_IMAGES.is_dir(), reason=f"{ODD_IMAGES} is absent (set SCONES_DATA)"
)
needs_cases = pytest.mark.skipif(not CASES.is_dir(), reason=f"{CASES} is absent (set SCONES_CASES)")


def odd_images() -> dict[str, str | None]:
    """The reason why each file is rejected, or None; no file if the data is absent.

    The manifest says what Pillow alone makes of a file. Pillow does not read HEIC. It says "ok" of
    broken_data_stream.png because its error comes while EXIF is read: a third of the rows is
    missing.
    """
    if not ODD_IMAGES.is_dir():
        return {}
    reasons: dict[str, str | None] = {}
    with (ODD_IMAGES / "manifest.csv").open() as manifest:
        for row in csv.DictReader(manifest):
            result = row["pillow_result"]
            reason = None
            if "DecompressionBombError" in result:
                reason = TOO_MANY_PIXELS
            elif row["file"].endswith((".heic", ".heif")):
                reason = None
            elif result != "ok" or row["exif_orientation"] == "exif error":
                reason = DAMAGED
            reasons[row["file"]] = reason
    return reasons | {"gen__empty.jpg": "the file is empty"}
