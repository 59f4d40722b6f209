"""JPEG: whole if it has all rows, with anything after them; otherwise damaged."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat

from tests.support.photos import (
    DAMAGED,
    LETTERS,
    NOISE,
    SMALL,
    UNSUPPORTED,
    assert_same,
    encode,
    quadrants,
    refusal,
    shrink,
)

JPEGS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "4:4:4": {"subsampling": 0},
    "progressive": {"progressive": True},
    "restarts by row": {"restart_marker_rows": 1},
    "restarts by block": {"restart_marker_blocks": 7},
    "progressive with restarts": {"progressive": True, "restart_marker_rows": 1},
}


def jpegs() -> list[Any]:
    colours = {"": NOISE, "grey ": NOISE.convert("L"), "CMYK ": NOISE.convert("CMYK")}
    return [
        pytest.param(encode(image, "JPEG", **options), id=colour + name)
        for colour, image in colours.items()
        for name, options in JPEGS.items()
    ]


@pytest.mark.parametrize("data", jpegs())
@pytest.mark.parametrize(
    "tail",
    [b"", b"\xff", bytes(5000), b"\xff" * 500, LETTERS, b"\0\0SEFH" + encode(SMALL, "JPEG")],
    ids=["nothing", "half a marker", "zeros", "ones", "letters", "another photo"],
)
def test_a_jpeg_is_whole_without_its_end_marker(data: bytes, tail: bytes) -> None:
    assert data.endswith(b"\xff\xd9")
    assert_same(shrink(data[:-2] + tail), shrink(data))
    assert_same(shrink(data + tail), shrink(data))


@pytest.mark.parametrize("data", jpegs())
@pytest.mark.parametrize("lost", [200, 1000, 5000], ids="{} bytes".format)
@pytest.mark.parametrize("tail", [b"", b"\xff\xd9"], ids=["nothing", "an end marker"])
def test_a_jpeg_that_lost_its_last_rows_is_damaged(data: bytes, lost: int, tail: bytes) -> None:
    assert refusal(data[: -2 - lost] + tail) == DAMAGED


@pytest.mark.parametrize("name", ["restarts by row", "restarts by block"])
@pytest.mark.parametrize("lost", ["last", "middle"])
def test_a_jpeg_that_lost_a_restart_interval_is_damaged(name: str, lost: str) -> None:
    data = encode(NOISE, "JPEG", **JPEGS[name])
    markers = [at for at in range(len(data)) if data[at] == 0xFF and 0xD0 <= data[at + 1] <= 0xD7]
    if lost == "last":
        rests = [data[: markers[-1]], data[: markers[-1]] + b"\xff\xd9"]
    else:
        rests = [data[: markers[3]] + data[markers[4] :]]
    assert {refusal(rest) for rest in rests} == {DAMAGED}


def test_a_progressive_jpeg_that_ends_after_its_first_scans_is_damaged() -> None:
    data = encode(NOISE, "JPEG", progressive=True)
    third_scan = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    assert refusal(data[:third_scan]) == DAMAGED


def test_a_jpeg_with_a_thousand_scans_is_refused() -> None:
    data = encode(quadrants(), "JPEG", progressive=True)
    scan = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)  # a scan that can be repeated
    end = data.index(b"\xff\xc4", scan)
    repeated = [data[:end] + times * data[scan:end] + data[end:] for times in (10, 1000)]
    assert shrink(repeated[0]).size == (256, 192)
    assert refusal(repeated[1]) == DAMAGED


ARITHMETIC = sorted((Path(__file__).parents[1] / "support/jpegs").iterdir())  # of a street


@pytest.mark.parametrize("path", ARITHMETIC, ids=lambda path: path.stem)
@pytest.mark.parametrize("tail", [b"", b"\xff\xd9", b"\xff\xd9" + LETTERS, bytes(5000)])
def test_a_jpeg_with_arithmetic_coding_is_read(path: Path, tail: bytes) -> None:
    data = path.read_bytes()
    expected = Image.open(path).convert("RGB")
    small = shrink(data[:-2] + tail)
    assert small.size == (64, 48)
    assert max(ImageStat.Stat(ImageChops.difference(small, expected)).mean) < 5


@pytest.mark.parametrize("path", ARITHMETIC, ids=lambda path: path.stem)
@pytest.mark.parametrize("lost", [100, 200])
@pytest.mark.parametrize("tail", [b"", b"\xff\xd9", bytes(5000)])
def test_a_jpeg_with_arithmetic_coding_that_lost_rows_is_damaged(
    path: Path, lost: int, tail: bytes
) -> None:
    assert refusal(path.read_bytes()[: -2 - lost] + tail) == DAMAGED


@pytest.mark.parametrize("data", jpegs())
@pytest.mark.parametrize("part", [0.5, 0.9])
def test_a_jpeg_whose_end_was_never_written_is_damaged(data: bytes, part: float) -> None:
    scan = data.index(b"\xff\xda")
    written = scan + int((len(data) - scan) * part)
    assert refusal(data[:written] + bytes(5 * len(data))) == DAMAGED


FRAME = b"\xff\xc0"


def frame(marker: int = FRAME[1], bits: int = 8, height: int = 160) -> bytes:
    """A JPEG whose frame has another marker, other bits a sample, or another height."""
    before, after = encode(NOISE, "JPEG").split(FRAME)
    start = bytes([0xFF, marker, *after[:2], bits, *height.to_bytes(2)])
    return before + start + after[len(start) - len(FRAME) :]


@pytest.mark.parametrize(
    "data",
    [
        *(frame(marker) for marker in (0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7)),
        frame(bits=12),
        frame(marker=0xC1, bits=12),
        frame(height=0),
    ],
)
def test_the_reason_says_what_to_send_if_a_jpeg_is_of_another_kind(data: bytes) -> None:
    assert refusal(data) == UNSUPPORTED


def test_an_extended_jpeg_of_8_bits_is_read() -> None:
    assert_same(shrink(frame(marker=0xC1)), shrink(frame()))


def test_a_jpeg_whose_frame_is_higher_than_its_rows_is_damaged() -> None:
    assert refusal(frame(height=176)) == DAMAGED


@pytest.mark.parametrize("data", jpegs())
@pytest.mark.parametrize(
    "segment",
    [
        b"\xff\xff\xff",
        b"\xff\xe1\0\x10Exif\0\0junkjunk",
        b"\xff\xe2\0\x16ICC_PROFILE\0\5\1junkjunk",
        b"\xff\xfe\0\x0a\xff\xda\xff\xd9\xff\xc0\xff\xd8",
        (b"\xff\xe7\xff\xff" + bytes(65_533)) * 20,
    ],
    ids=["fill bytes", "broken EXIF", "broken profile", "markers in a comment", "huge segments"],
)
def test_segments_of_metadata_never_make_a_jpeg_damaged(data: bytes, segment: bytes) -> None:
    assert_same(shrink(data[:2] + segment + data[2:]), shrink(data))
