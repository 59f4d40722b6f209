"""Photos become the model's input, or a reason that a courier understands."""

import numpy as np
import pytest
from PIL import Image

from serving.preprocess import PADDING_COLOUR, preprocess
from tests.support.drawn import draw_photo, encoded

SIZE = 64


def test_the_input_is_one_float_photo_of_pixel_values():
    image = preprocess(encoded(draw_photo(1)), SIZE)
    assert image.shape == (1, 3, SIZE, SIZE)
    assert image.dtype == np.float32
    assert image.flags.c_contiguous
    assert 0 <= image.min() < 60
    assert 190 < image.max() <= 255


@pytest.mark.parametrize(("kind", "tolerance"), [("PNG", 0), ("BMP", 0), ("WEBP", 12), ("TIFF", 0)])
def test_the_same_photo_in_another_format_is_the_same_input(kind, tolerance):
    photo = draw_photo(2)
    options = {"quality": 95} if kind == "WEBP" else {}
    got = preprocess(encoded(photo, kind, **options), SIZE)
    expected = preprocess(encoded(photo, "PNG"), SIZE)
    assert np.abs(got - expected).mean() <= tolerance


@pytest.mark.parametrize(("width", "height"), [(400, 100), (100, 400), (90, 90), (256, 1)])
def test_half_of_the_aspect_ratio_is_kept_and_the_rest_padded(width, height):
    image = preprocess(encoded(Image.new("RGB", (width, height), (255, 0, 0)), "PNG"), SIZE)[0]
    red = (image == np.array([255, 0, 0], np.float32)[:, None, None]).all(0)
    padding = (image == np.array(PADDING_COLOUR, np.float32)[:, None, None]).all(0)
    assert (red ^ padding).all()
    rows, columns = red.any(1).sum(), red.any(0).sum()
    assert max(rows, columns) == SIZE
    assert columns / rows == pytest.approx((width / height) ** 0.5, rel=0.2)


def test_a_photo_is_turned_upright_by_its_orientation_tag():
    upright = draw_photo(3, 100, 60)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to see it upright
    lying = encoded(upright.transpose(Image.Transpose.ROTATE_90), exif=exif, quality=95)
    difference = preprocess(lying, SIZE) - preprocess(encoded(upright, quality=95), SIZE)
    assert np.abs(difference).mean() < 4


def test_a_large_jpeg_decoded_small_looks_as_if_decoded_whole():
    large = draw_photo(4, 3000, 3000)
    scaled = preprocess(encoded(large, quality=95), SIZE)
    whole = preprocess(encoded(large, "PNG"), SIZE)
    assert np.abs(scaled - whole).mean() < 3


def test_transparent_parts_become_white():
    clear = Image.new("RGBA", (50, 50), (0, 0, 0, 0))
    assert (preprocess(encoded(clear, "PNG"), SIZE) == 255).all()


def test_sixteen_bit_grey_keeps_its_brightness():
    grey = Image.fromarray(np.full((40, 40), 257 * 100, np.uint16))
    assert (preprocess(encoded(grey, "PNG"), SIZE) == 100).all()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"<html>not found</html>", "not a photo"),
        (encoded(draw_photo(5))[:2000], "damaged"),
        (encoded(Image.new("1", (8000, 8000)), "PNG"), "too many pixels"),
        (encoded(Image.new("1", (20000, 20000)), "PNG"), "too many pixels"),
    ],
    ids=["empty", "text", "cut", "large", "bomb"],
)
def test_what_is_no_photo_is_refused_with_a_reason(content, reason):
    with pytest.raises(ValueError, match=reason) as refusal:
        preprocess(content, SIZE)
    assert "\n" not in str(refusal.value)


def test_random_damage_is_an_input_or_a_refusal():
    random = np.random.default_rng(0)
    for kind in ("JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP"):
        whole = np.frombuffer(encoded(draw_photo(6, 40, 40), kind), np.uint8)
        for _ in range(60):
            broken = whole.copy()
            broken[random.integers(0, len(broken), 8)] = random.integers(0, 256, 8)
            try:
                assert preprocess(broken.tobytes(), SIZE).shape == (1, 3, SIZE, SIZE)
            except ValueError as refusal:
                assert str(refusal)


@pytest.mark.filterwarnings("ignore")
def test_every_odd_file_is_an_input_or_a_refusal(shared_data):
    files = [path for path in (shared_data / "odd_images").iterdir() if path.suffix != ".csv"]
    accepted = set()
    for path in files:
        try:
            image = preprocess(path.read_bytes(), SIZE)
        except ValueError as refusal:
            assert "\n" not in str(refusal)
        else:
            assert np.isfinite(image).all()
            accepted.add(path.name)
    assert {"gen__rgb16.png", "pillow__pil_sample_cmyk.jpg", "exif__Portrait_8.jpg"} <= accepted
    refused = {path.name for path in files} - accepted
    assert {"gen__empty.jpg", "gen__half.jpg", "gen__bomb_30000x30000_1bit.png"} <= refused
