"""PNG: whole if it has all rows, with any metadata; otherwise damaged."""

import struct
import zlib

import pytest
from PIL import Image

from tests.support.photos import (
    DAMAGED,
    LETTERS,
    NOISE,
    UNSUPPORTED,
    assert_same,
    encode,
    png_chunk,
    refusal,
    shrink,
)

DEFLATED = zlib.compress(bytes(3_000_000))


@pytest.mark.parametrize(
    "chunk",
    [
        png_chunk(b"zTXt", b"Comment\0\0" + DEFLATED),
        png_chunk(b"iTXt", b"Comment\0\1\0\0\0" + DEFLATED),
        png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + DEFLATED),
        png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + bytes(3_000_000)),
        png_chunk(b"zTXt", b"Raw profile type exif\0\0" + DEFLATED),
        png_chunk(b"zTXt", b"Raw profile type exif\0\0junk"),
        png_chunk(b"zTXt", b"Raw profile type exif\0\0" + DEFLATED[:99]),
        png_chunk(b"zTXt", b""),
        png_chunk(b"iCCP", b"profile\0\0" + DEFLATED),
        png_chunk(b"eXIf", b"MM\0*junk"),
        png_chunk(b"eXIf", b"MM\0*", sound=False),
        png_chunk(b"gAMA", b"12", sound=False),
        png_chunk(b"tRNS", b"", sound=False),
        png_chunk(b"acTL", b""),
    ],
    ids=lambda chunk: f"{chunk[4:30]!r}",
)
def test_metadata_never_makes_a_png_damaged(chunk: bytes) -> None:
    data = encode(NOISE, "PNG")
    header, pixels, end = data[:33], data[33:-12], data[-12:]
    for file in (header + chunk + pixels + end, header + pixels + chunk + end):
        assert_same(shrink(file), shrink(data))


@pytest.mark.parametrize("lost", [12, 5, 16, 20], ids=["IEND", "half", "checksum", "Adler-32"])
@pytest.mark.parametrize(
    "image", [NOISE, Image.new("L", (300, 200)), Image.new("RGB", (3000, 1), "red")]
)
def test_a_png_is_whole_if_only_chunks_after_its_pixels_are_missing(
    image: Image.Image, lost: int
) -> None:
    data = encode(image, "PNG")
    assert_same(shrink(data[:-lost]), shrink(data))


RGB = 2  # the colour type
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
          (0, 1, 1, 2))  # fmt: skip


def rows(image: Image.Image, *, interlaced: bool = False) -> list[bytes]:
    """The rows of a PNG of 8 bits, each with its filter."""
    width, height = image.size
    return [
        b"\0" + b"".join(bytes(image.getpixel((x, y))) for x in range(left, width, across))
        for left, top, across, down in (PASSES if interlaced else ((0, 0, 1, 1),))
        for y in range(top, height, down)
    ]


def png(image: Image.Image, deflated: bytes, *, interlaced: bool = False) -> bytes:
    header = struct.pack(">IIBBBBB", *image.size, 8, RGB, 0, 0, interlaced)
    chunks = ((b"IHDR", header), (b"IDAT", deflated), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


TINY = NOISE.crop((0, 0, 45, 30))


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("lost", [1, 2, 10, 29])
def test_a_png_with_too_few_rows_is_damaged(interlaced: bool, lost: int) -> None:
    whole = rows(TINY, interlaced=interlaced)
    data = png(TINY, zlib.compress(b"".join(whole)), interlaced=interlaced)
    assert_same(shrink(data), shrink(encode(TINY, "PNG")))
    fewer = zlib.compress(b"".join(whole[:-lost]))
    assert refusal(png(TINY, fewer, interlaced=interlaced)) == DAMAGED


def test_a_png_with_bytes_after_its_rows_is_whole() -> None:
    whole = b"".join(rows(TINY))
    for deflated in (zlib.compress(whole + bytes(999)), zlib.compress(whole) + LETTERS):
        assert_same(shrink(png(TINY, deflated)), shrink(encode(TINY, "PNG")))


def test_a_png_is_whole_if_only_the_checksum_of_its_rows_is_wrong() -> None:
    deflated = zlib.compress(b"".join(rows(TINY)))
    assert_same(shrink(png(TINY, deflated[:-4] + b"1234")), shrink(encode(TINY, "PNG")))


@pytest.mark.parametrize("size", [0, 1, 3, 300])
@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_a_transparency_that_does_not_fit_the_photo_is_ignored(mode: str, size: int) -> None:
    data = encode(NOISE.quantize(20) if mode == "P" else NOISE.convert(mode), "PNG")
    pixels = data.index(b"IDAT") - 4
    if mode == "P" and size in {1, 3}:
        size = 21
    broken = data[:pixels] + png_chunk(b"tRNS", bytes(size)) + data[pixels:]
    assert_same(shrink(broken), shrink(data))


def test_the_reason_says_what_to_send_if_a_png_is_of_xcode() -> None:
    data = encode(NOISE, "PNG")
    assert refusal(data[:8] + png_chunk(b"CgBI", b"\x50\0\x20\6") + data[8:]) == UNSUPPORTED
