"""The photos of `make drill`: parts of the drawn sample photos, and what can go wrong with them.

Always the same: the random generator has a fixed seed.
"""

import io
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageOps
from pillow_heif import register_heif_opener

from local.processes import PROJECT

SAMPLE_PHOTOS = PROJECT / "local" / "photos"
PHOTOS_OF_A_KIND = 80
SIDE = 256  # pixels of the longest side, as the workflow sends photos to the endpoint

register_heif_opener()


@dataclass
class Photo:
    """A photo, what it shows, and what the model says of it once it was asked."""

    jpeg: bytes
    truth: str
    prediction: dict[str, Any] | None = None
    model: str = ""
    novelty: str = ""


def as_jpeg(image: Image.Image) -> bytes:
    """A photo as the endpoint gets it."""
    small = image.copy()
    small.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    small.convert("RGB").save(file, "JPEG", quality=90)
    return file.getvalue()


def at_night(image: Image.Image) -> Image.Image:
    """Dark, with the noise of a small sensor."""
    dark = np.asarray(ImageEnhance.Brightness(image).enhance(0.15), np.float32)
    noise = np.random.default_rng(0).normal(128, 40, dark.shape)
    return Image.fromarray((0.8 * dark + 0.2 * noise).clip(0, 255).astype(np.uint8))


def broken(image: Image.Image) -> Image.Image:
    """A camera that fails after the first quarter of the rows."""
    width, height = image.size
    result = image.copy()
    grey = Image.new("RGB", (width, height - height // 4), (118, 122, 120))
    result.paste(grey, (0, height // 4))
    return result


def parts(paths: list[Path]) -> list[tuple[Image.Image, str]]:
    """Parts of drawn photos, brighter or darker, with the first word of the file's name."""
    generator = random.Random(0)  # noqa: S311 - no secret
    images = []
    for path in paths:
        image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        image.thumbnail((800, 800))
        images.append((image, path.name.partition("-")[0]))
    found = []
    for number in range(PHOTOS_OF_A_KIND):
        image, name = images[number % len(images)]
        share = generator.uniform(0.45, 0.95)
        left, top = (generator.uniform(0, 1 - share) * side for side in image.size)
        width, height = (share * side for side in image.size)
        part = image.crop((int(left), int(top), int(left + width), int(top + height)))
        found.append((ImageEnhance.Brightness(part).enhance(generator.uniform(0.6, 1.3)), name))
    return found


def make_kinds() -> dict[str, list[Photo]]:
    """The photos of each phase of the drill, by the phase's name."""
    vehicles = parts(sorted(SAMPLE_PHOTOS.glob("bicycle-*")) + sorted(SAMPLE_PHOTOS.glob("motor*")))
    unknown = parts(sorted(SAMPLE_PHOTOS.glob("no-vehicle-*")))

    def photos(change: Callable[[Image.Image], Image.Image], truth: str = "") -> list[Photo]:
        return [Photo(as_jpeg(change(image)), truth or label) for image, label in vehicles]

    return {
        "quiet": photos(lambda image: image),
        "at night": photos(at_night),
        "without a vehicle": [Photo(as_jpeg(image), "other") for image, _ in unknown],
        "a broken camera": photos(broken, "other"),
    }
