"""The sample photos are what local/draw_photos.py draws."""

import io

import draw_photos
import numpy as np
import pytest
from PIL import Image, ImageOps, UnidentifiedImageError

from tests.serving.conftest import REPOSITORY, Server

SHIPPED = REPOSITORY / "local" / "photos"
WHOLE = [name for name in draw_photos.PHOTOS if not name.startswith("broken")]


def test_all_photos_are_shipped_and_small() -> None:
    shipped = {path.name: path.stat().st_size for path in SHIPPED.iterdir()}
    assert shipped.keys() == draw_photos.PHOTOS.keys()
    assert sum(shipped.values()) < 600_000


# Drawing them all takes most of a minute: these have a wall, a night and no vehicle.
@pytest.mark.parametrize(
    "name", ["bicycle-courier.jpg", "motorcycle-at-night.heic", "no-vehicle-scone.jpg"]
)
def test_the_generator_draws_what_is_shipped(name: str) -> None:
    drawn = Image.open(io.BytesIO(draw_photos.PHOTOS[name]()))
    shipped = Image.open(SHIPPED / name)
    assert drawn.size == shipped.size
    difference = np.asarray(drawn, np.int16) - np.asarray(shipped)
    assert np.abs(difference).mean() < 0.1  # of 255: processors may round differently


@pytest.mark.parametrize("name", WHOLE)
def test_photos_are_whole(name: str) -> None:
    Image.open(SHIPPED / name).convert("RGB")


def test_the_phone_photo_has_12_megapixels_and_lies_on_its_side() -> None:
    photo = Image.open(SHIPPED / "bicycle-sideways-12mp.jpg")
    assert photo.size == (3000, 4000)
    assert photo.getexif()[0x0112] == 6
    assert ImageOps.exif_transpose(photo).size == (4000, 3000)


def test_the_broken_photos_are_broken(server: Server) -> None:
    half, text = (SHIPPED / name for name in ("broken-half-sent.jpg", "broken-text.jpg"))
    with pytest.raises(OSError, match="truncated"):
        Image.open(half).load()
    with pytest.raises(UnidentifiedImageError):
        Image.open(text)
    assert [server.infer(file.read_bytes()).status for file in (half, text)] == [400, 400]
