"""Photos that the tests draw, and the result of the function."""

import io
import struct
import zlib
from typing import Any

import pillow_heif
import pytest
from PIL import Image, ImageChops, ImageStat

from functions.serialize_image import photo

NOT_A_PHOTO = "the file is not a photo"
DAMAGED = "the photo is damaged, please take it again"
UNSUPPORTED = "this photo format cannot be read, please send the photo as a JPEG"
TOO_MANY_PIXELS = "the photo has too many pixels, please send a smaller one"
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)

pillow_heif.register_heif_opener()  # the tests write HEIC


def shrink(data: bytes) -> Image.Image:
    """The photo that `photo.shrink` returns."""
    return Image.open(io.BytesIO(photo.shrink(data)))


def refusal(data: bytes) -> str:
    """The reason why `photo.shrink` rejects a photo."""
    with pytest.raises(photo.UnreadablePhotoError) as raised:
        photo.shrink(data)
    return str(raised.value)


def encode(image: Image.Image, file_format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def quadrants(width: int = 400, height: int = 300) -> Image.Image:
    """Red and green above blue and white, so that each rotation is visible."""
    image = Image.new("RGB", (width, height), "white")
    image.paste(RED, (0, 0, width // 2, height // 2))
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    return image


SMALL = quadrants(48, 32)
NOISE = Image.merge("RGB", [Image.effect_noise((200, 160), 60)] * 3)
LETTERS = bytes(range(32, 127)) * 200  # as a trailer: no JPEG marker


def corners(image: Image.Image) -> list[Any]:
    """The middle pixels of the four quadrants, row by row."""
    width, height = image.size
    return [
        image.getpixel((x, y))
        for y in (height // 4, 3 * height // 4)
        for x in (width // 4, 3 * width // 4)
    ]


def assert_near(pixels: list[Any], expected: list[Any], tolerance: int = 12) -> None:
    for pixel, colour in zip(pixels, expected, strict=True):
        distances = [abs(a - b) for a, b in zip(pixel, colour, strict=True)]
        assert max(distances) <= tolerance, (pixels, expected)


def assert_same(small: Image.Image, expected: Image.Image) -> None:
    assert small.size == expected.size
    difference = ImageStat.Stat(ImageChops.difference(small, expected))
    assert max(difference.mean) == 0


def with_alpha(mode: str) -> Image.Image:
    image = quadrants().convert(mode)
    alpha = Image.new("L", image.size, 255)
    alpha.paste(0, (0, 0, 200, 150))  # the red quadrant
    image.putalpha(alpha)
    return image


def png_chunk(kind: bytes, body: bytes, *, sound: bool = True) -> bytes:
    check = zlib.crc32(kind + body) ^ (not sound)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)
