"""Make a small upright RGB image of a decoded photo, transparency on white, in bounded memory."""

import math
from collections.abc import Callable

from PIL import Image, ImageOps
from PIL.ExifTags import Base as ExifTag

SIDE = 256  # pixels, the longest side of what the model sees
BAND_PIXELS = 1_000_000  # converted at a time: a second copy of all pixels would not fit


def small_upright(photo: Image.Image, side: int) -> Image.Image:
    small = thumbnail(photo.size, lambda top, end: photo.crop((0, top, photo.width, end)), side)
    return upright(small, orientation(photo))


def reduced_size(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Width and height, in pixels, that leave the last factor of two to a good filter."""
    factor = max(1, max(size) // (2 * side))
    return math.ceil(size[0] / factor), math.ceil(size[1] / factor)


def thumbnail(
    size: tuple[int, int], rows: Callable[[int, int], Image.Image], side: int
) -> Image.Image:
    """An RGB image of at most `side` pixels a side from a photo of `size`.

    `rows(top, end)` gives rows `top` to `end` (excluded); they are converted band by band.
    """
    width, height = size
    factor = max(1, max(size) // (2 * side))
    step = factor * max(1, BAND_PIXELS // (width * factor))
    small = Image.new("RGB", reduced_size(size, side))
    for top in range(0, height, step):
        band = on_white(rows(top, min(top + step, height)))
        small.paste(band.reduce(factor), (0, top // factor))
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    return small


def on_white(image: Image.Image) -> Image.Image:
    """The image in RGB, with 16-bit grey scaled to 8 bits and transparency over white."""
    if image.mode.startswith("I"):
        image = image.convert("I").point(lambda value: value / 257).convert("L")
        image.info.pop("transparency", None)
    if not image.has_transparency_data:
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def orientation(photo: Image.Image) -> int:
    """The EXIF or XMP orientation, 1 to 8; 1 if there is none that can be read."""
    try:
        value = photo.getexif().get(ExifTag.Orientation)
    except Exception:  # noqa: BLE001 broken metadata does not make a broken photo
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1  # noqa: PLR2004


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """The image turned and mirrored as its EXIF `orientation` asks."""
    image.getexif()[ExifTag.Orientation] = orientation
    return ImageOps.exif_transpose(image)
