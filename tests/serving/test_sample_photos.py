"""The sample photos are what local/draw_photos.py draws."""

import io
import re
from collections.abc import Callable

import pytest
from PIL import Image, ImageChops, ImageOps, ImageStat, UnidentifiedImageError

from local import draw_photos
from serving.app import Model
from tests.support import draw_samples
from tests.support.repository import REPOSITORY
from tests.support.serving import Server

SHIPPED = REPOSITORY / "local" / "photos"


@pytest.fixture(scope="module")
def drawn() -> dict[str, bytes]:
    return dict(draw_photos.photos())


def test_all_sample_photos_are_shipped_and_small(drawn: dict[str, bytes]) -> None:
    shipped = {path.name: path.stat().st_size for path in SHIPPED.iterdir()}
    assert shipped.keys() == drawn.keys()
    assert sum(shipped.values()) < 600_000


def test_the_generator_draws_the_shipped_photos(drawn: dict[str, bytes]) -> None:
    whole = [name for name in drawn if not name.startswith("broken")]
    assert len(whole) == 8
    for name in whole:
        redrawn, shipped = Image.open(io.BytesIO(drawn[name])), Image.open(SHIPPED / name)
        assert (redrawn.format, redrawn.size) == (shipped.format, shipped.size), name
        difference = ImageChops.difference(redrawn, shipped)
        means = ImageStat.Stat(difference).mean
        assert max(means) < 0.1, name  # of 255: processors may round differently


def test_the_photo_of_a_phone_has_12_megapixels_and_lies_on_its_side() -> None:
    photo = Image.open(SHIPPED / "bicycle-sideways-12mp.jpg")
    assert photo.size == (3000, 4000)
    assert photo.getexif()[0x0112] == 6
    assert ImageOps.exif_transpose(photo).size == (4000, 3000)


def test_the_shipped_model_reports_the_novelty_of_a_photo(start: Callable[..., Server]) -> None:
    server = start(model_dir=REPOSITORY / "models" / "vehicles")
    response = server.infer((SHIPPED / "bicycle-courier.jpg").read_bytes())
    attributes = response.headers["x-amzn-sagemaker-custom-attributes"]
    assert re.fullmatch(r"model=scones-vehicle-classifier/[\d.]+,novelty=0\.\d{4}", attributes), (
        attributes
    )


def test_the_broken_photos_are_broken(server: Server) -> None:
    half, text = (SHIPPED / name for name in ("broken-half-sent.jpg", "broken-text.jpg"))
    assert (SHIPPED / "bicycle-courier.jpg").read_bytes().startswith(half.read_bytes())
    with pytest.raises(OSError, match="truncated"):
        Image.open(half).load()
    with pytest.raises(UnidentifiedImageError):
        Image.open(text)
    assert [server.infer(file.read_bytes()).status for file in (half, text)] == [400, 400]


def test_the_samples_of_the_other_use_cases_are_drawn_too() -> None:
    samples = REPOSITORY / "local" / "samples"
    shipped = {str(path.relative_to(samples)) for path in samples.rglob("*.*")}
    drawn = draw_samples.samples()
    assert shipped == drawn.keys()
    for name in (name for name in drawn if name.endswith(".jpg")):
        redrawn, found = Image.open(io.BytesIO(drawn[name])), Image.open(samples / name)
        assert max(ImageStat.Stat(ImageChops.difference(redrawn, found)).mean) < 0.1, name


@pytest.mark.parametrize("use_case", ["scones", "social"])
def test_a_sample_shows_the_label_that_its_name_begins_with(use_case: str) -> None:
    model = Model(REPOSITORY / "models" / use_case)
    for path in sorted((REPOSITORY / "local" / "samples" / use_case).iterdir()):
        inferences = model.infer(path.read_bytes())[0]
        assert max(inferences, key=lambda label: inferences[label]) == path.name.split("-")[0]
