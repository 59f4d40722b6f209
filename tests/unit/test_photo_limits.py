"""Huge photos and hostile bytes: bounded memory, and a known reason."""

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from functions.serialize_image import photo
from tests.support.photos import (
    DAMAGED,
    NOT_A_PHOTO,
    SMALL,
    TOO_MANY_PIXELS,
    UNSUPPORTED,
    encode,
    refusal,
    with_alpha,
)
from tests.support.repository import REPOSITORY

# Bounded memory


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header has this size, without rows."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    body = b"IDAT" + zlib.compress(b"")
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", len(body) - 4) + body


def jpeg_of(width: int, height: int, **options: Any) -> bytes:
    """A JPEG whose header has this size, with one block."""
    data = bytearray(encode(Image.new("RGB", (8, 8)), "JPEG", **options))
    frame = data.index(b"\xff\xc2" if options.get("progressive") else b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


@pytest.mark.parametrize(
    "data",
    [
        png_of(8_000, 6_600),
        png_of(2**31 - 1, 2**31 - 1),
        jpeg_of(16_400, 13_000),
        jpeg_of(8_000, 6_600, progressive=True),
        encode(Image.new("1", (5_500, 4_400)), "TIFF", compression="group4"),
        encode(Image.new("L", (6_000, 4_000)), "WEBP", lossless=True, method=0, quality=0),
    ],
    ids=["PNG", "huge PNG", "JPEG", "progressive JPEG", "TIFF", "WebP"],
)
def test_too_many_pixels_are_refused(data: bytes) -> None:
    assert refusal(data) == TOO_MANY_PIXELS


def test_a_huge_photo_in_an_icon_is_rejected() -> None:
    png = png_of(9_000, 9_000)
    entry = struct.pack("<BBBBHHII", 64, 64, 0, 0, 1, 32, len(png), 22)
    assert refusal(b"\0\0\1\0\1\0" + entry + png) == TOO_MANY_PIXELS


MEASURE = """
import sys, pathlib
from functions.serialize_image import app, photo
photo.shrink(pathlib.Path(sys.argv[1]).read_bytes())
status = pathlib.Path("/proc/self/status").read_text()
print(int(status.split("VmHWM:")[1].split()[0]) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory from /proc")
@pytest.mark.parametrize(
    ("file_format", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True, "subsampling": 0}),
        ("PNG", {"compress_level": 1}),
        ("HEIF", {"quality": 20, "enc_params": {"preset": "ultrafast"}}),
    ],
    ids=["JPEG", "progressive JPEG", "PNG", "HEIC"],
)
def test_a_photo_of_50_megapixels_fits_into_512_megabytes(
    tmp_path: Path, environment: pytest.MonkeyPatch, file_format: str, options: dict[str, Any]
) -> None:
    gradient = Image.linear_gradient("L").resize((8192, 6144))
    image = Image.merge("RGB", (gradient, ImageOps.flip(gradient), gradient))
    path = tmp_path / "photo"
    image.save(path, file_format, **options)
    del image, gradient
    del environment
    result = subprocess.run(
        [sys.executable, "-c", MEASURE, path],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    )
    assert int(result.stdout) < 480  # MB, of a process with all that the function imports


# Hostile bytes


SEEDS = [
    *(encode(SMALL, name) for name in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF", "HEIF", "ICO")),
    encode(SMALL, "JPEG", progressive=True),
    encode(SMALL, "TIFF", compression="tiff_lzw"),
    encode(SMALL, "TIFF", compression="jpeg"),
    encode(SMALL.convert("CMYK"), "JPEG"),
    encode(with_alpha("RGB").quantize(16), "PNG"),
]


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """A valid image with some bytes changed, cut out, doubled, or its end missing."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.sampled_from(["change", "cut", "double", "end"])):
            case "change":
                data[at : at + 4] = draw(st.binary(min_size=1, max_size=4))
            case "cut":
                del data[at : at + draw(st.integers(1, 64))]
            case "double":
                data[at:at] = data[at : at + draw(st.integers(1, 64))]
            case "end":
                del data[max(at, 4) :]
    return bytes(data)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutations() | st.binary(max_size=200))
def test_any_bytes_become_a_small_jpeg_or_a_known_reason(data: bytes) -> None:
    try:
        jpeg, reason = photo.shrink(data), None
    except photo.UnreadablePhotoError as refused:
        jpeg, reason = None, str(refused)
    if jpeg is None:
        assert reason in {"the file is empty", NOT_A_PHOTO, DAMAGED, UNSUPPORTED, TOO_MANY_PIXELS}
    else:
        image = Image.open(io.BytesIO(jpeg))
        image.load()
        assert (image.format, image.mode) == ("JPEG", "RGB")
        assert max(image.size) <= 256
