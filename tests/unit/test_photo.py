"""Which files are photos, and the result: small, upright, on white, in bounded memory."""

import io
import struct
import zlib
from functools import cache
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageOps, ImageStat, PngImagePlugin

from functions.serialize_image import photo
from tests.support.odd_images import (
    CASE_FILES,
    CASES,
    ODD_IMAGES,
    needs_cases,
    needs_odd_images,
    odd_images,
)
from tests.support.photos import (
    BLUE,
    DAMAGED,
    GREEN,
    LETTERS,
    NOISE,
    NOT_A_PHOTO,
    RED,
    SMALL,
    UNSUPPORTED,
    WHITE,
    assert_near,
    assert_same,
    corners,
    encode,
    quadrants,
    refusal,
    shrink,
    with_alpha,
)

# Odd files of the shared data


@needs_odd_images
@pytest.mark.parametrize(("name", "reason"), odd_images().items())
@pytest.mark.filterwarnings("ignore")
def test_each_odd_file_of_the_shared_data_is_read_or_rejected_with_the_reason(
    name: str, reason: str | None
) -> None:
    data = (ODD_IMAGES / name).read_bytes()
    if reason:
        assert refusal(data) == reason
        return
    image = shrink(data)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if expected.mode == "I;16":
        expected = expected.convert("I").point(lambda value: value / 257).convert("L")
    if expected.has_transparency_data:
        white = Image.new("RGBA", expected.size, "white")
        expected = Image.alpha_composite(white, expected.convert("RGBA"))
    expected = expected.convert("RGB")
    expected.thumbnail((256, 256), Image.Resampling.LANCZOS)
    assert image.size == expected.size
    difference = ImageStat.Stat(ImageChops.difference(image, expected))
    assert max(difference.mean) < 12  # of 255: JPEG and another filter, nothing turned or inverted


# Photos of phones, messengers and scanners


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_comes_out_upright(file_format: str, orientation: int) -> None:
    undo = {5: 5, 6: 8, 7: 7, 8: 6}.get(orientation, orientation)
    stored = quadrants()
    stored.getexif()[0x0112] = undo
    stored = ImageOps.exif_transpose(stored)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = shrink(encode(stored, file_format, exif=exif.tobytes()))
    assert image.size == (256, 192)
    assert_near(corners(image), [RED, GREEN, BLUE, WHITE])


@pytest.mark.parametrize(
    ("size", "result"),
    [
        ((4000, 3000), (256, 192)),
        ((3000, 4000), (192, 256)),
        ((257, 100), (256, 100)),
        ((256, 256), (256, 256)),
        ((100, 40), (100, 40)),
        ((1, 1), (1, 1)),
        ((20_000, 3), (256, 1)),
        ((2, 9_000), (1, 256)),
        ((12_000, 1_500), (256, 32)),
    ],
)
@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
def test_the_longest_side_has_256_pixels_and_small_photos_are_not_enlarged(
    file_format: str, size: tuple[int, int], result: tuple[int, int]
) -> None:
    assert shrink(encode(Image.new("RGB", size), file_format)).size == result


def test_a_large_photo_keeps_its_details() -> None:
    noise = Image.effect_noise((600, 440), 90).convert("RGB").resize((3000, 2200))
    expected = noise.resize((256, 188), Image.Resampling.LANCZOS)
    for data in (encode(noise, "PNG", compress_level=1), encode(noise, "JPEG", quality=95)):
        difference = ImageStat.Stat(ImageChops.difference(shrink(data), expected))
        assert max(difference.rms) < 8


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_metadata_is_removed(file_format: str) -> None:
    exif = Image.Exif()
    exif[0x010F] = "SECRET camera"
    exif.get_ifd(0x8825)[1] = "N"
    options: dict[str, Any] = {"exif": exif, "xmp": b"<x>SECRET xmp</x>"}
    if file_format == "PNG":
        options = {"exif": exif, "pnginfo": PngImagePlugin.PngInfo()}
        options["pnginfo"].add_text("Comment", "SECRET text")
    if file_format == "JPEG":
        options |= {"comment": "SECRET comment", "icc_profile": b"SECRET profile"}
    data = encode(quadrants(), file_format, **options)
    assert b"SECRET" in data
    assert b"SECRET" not in photo.shrink(data)
    image = shrink(data)
    assert not image.getexif()
    assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_transparency_becomes_white(file_format: str) -> None:
    image = shrink(encode(with_alpha("RGB"), file_format))
    assert_near(corners(image), [WHITE, GREEN, BLUE, WHITE], tolerance=20)


@pytest.mark.parametrize(
    ("image", "options"),
    [
        (quadrants().quantize(8), {"transparency": 0}),
        (quadrants(), {"transparency": RED}),
    ],
    ids=["palette", "colour key"],
)
def test_a_transparent_colour_becomes_white(image: Image.Image, options: dict[str, Any]) -> None:
    if image.mode == "P":
        options = {"transparency": image.getpixel((10, 10))}
    assert_near(
        corners(shrink(encode(image, "PNG", **options))), [WHITE, GREEN, BLUE, WHITE], tolerance=20
    )


def test_transparent_grey_becomes_white() -> None:
    image = shrink(encode(with_alpha("L"), "PNG"))
    assert_near(corners(image)[:1], [WHITE])


@pytest.mark.parametrize(
    ("file_format", "mode"), [("PNG", "I;16"), ("TIFF", "I;16"), ("TIFF", "I;16B")]
)
def test_16_bits_of_grey_are_scaled_not_clipped(file_format: str, mode: str) -> None:
    order = ">" if mode.endswith("B") else "<"
    values = [round(column * 65_535 / 199) for column in range(200)] * 100
    image = Image.frombytes(mode, (200, 100), struct.pack(f"{order}20000H", *values))
    small = shrink(encode(image, file_format)).convert("L")
    assert [small.getpixel((x, 50)) for x in (0, 100, 199)] == pytest.approx([0, 128, 255], abs=3)


def test_16_bits_of_grey_with_a_transparent_value_are_read() -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    rows = b"".join(b"\0" + struct.pack(">8H", *[0x8000] * 8) for _ in range(8))
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 16, 0, 0, 0, 0))
    data += chunk(b"tRNS", b"\x12\x34") + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    assert_near([shrink(data).getpixel((4, 4))], [(128, 128, 128)])


@pytest.mark.parametrize(
    ("mode", "file_format"),
    [("CMYK", "JPEG"), ("CMYK", "TIFF"), ("YCbCr", "TIFF"), ("LAB", "TIFF"), ("P", "GIF"),
     ("P", "BMP"), ("P", "PNG"), ("RGB", "BMP"), ("RGBX", "TIFF"), ("RGB", "ICO")],
)  # fmt: skip
def test_the_colours_are_right_in_every_colour_space(mode: str, file_format: str) -> None:
    image = quadrants(240, 180).convert(mode)
    small = shrink(encode(image, file_format))
    assert_near(corners(small), [RED, GREEN, BLUE, WHITE], tolerance=60 if mode == "LAB" else 20)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "BMP", "GIF"])
def test_a_photo_of_one_bit_is_read(file_format: str) -> None:
    image = Image.new("1", (100, 80), 1)
    image.paste(0, (0, 0, 50, 80))
    assert_near(corners(shrink(encode(image, file_format))), [(0, 0, 0), WHITE] * 2)


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG", "TIFF", "MPO", "AVIF", "HEIF"])
def test_the_first_photo_of_a_file_counts(file_format: str) -> None:
    others = [Image.new("RGB", (400, 300), "black"), Image.new("RGB", (400, 300), "gray")]
    data = encode(quadrants(), file_format, save_all=True, append_images=others)
    assert_near(corners(shrink(data)), [RED, GREEN, BLUE, WHITE], tolerance=20)


def test_the_small_jpeg_stays_far_below_the_limit_of_a_state() -> None:
    channels = [Image.effect_noise((256, 256), 250) for _ in range(3)]
    noise = encode(Image.merge("RGB", channels), "PNG")
    assert len(photo.shrink(noise)) * 4 / 3 < 128 * 1024


# Whole photos that other decoders call damaged


@needs_cases
@pytest.mark.parametrize("name", CASE_FILES)
def test_a_photo_that_viewers_show_whole_is_read(name: str) -> None:
    assert max(shrink((CASES / name).read_bytes()).size) == 256


@pytest.mark.parametrize("part", range(0, 160, 7))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"])
def test_broken_exif_never_makes_a_photo_damaged(file_format: str, part: int) -> None:
    exif = Image.Exif()
    exif[0x010F] = "camera " * 20
    exif.get_ifd(0x8825)[1] = "N"
    data = encode(NOISE, file_format, exif=exif)
    at = data.index(b"camera") - 20 + part
    broken = data[:at] + b"\xee\0\xff\xfe" + data[at + 4 :]
    assert max(shrink(broken).size) == 200


@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("size", [0, 4, 10_000, 2**32 - 1])
def test_a_webp_with_a_wrong_size_is_whole(lossless: bool, size: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(NOISE, "WEBP", lossless=lossless, exif=exif)
    assert_same(shrink(data[:4] + struct.pack("<I", size) + data[8:] + LETTERS), shrink(data))


@pytest.mark.parametrize(
    "file_format", ["PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "HEIF", "MPO"]
)
@pytest.mark.parametrize("tail", [LETTERS, bytes(999)], ids=["letters", "zeros"])
def test_a_photo_with_a_trailer_is_whole(file_format: str, tail: bytes) -> None:
    options = {"append_images": [SMALL], "save_all": True} if file_format == "MPO" else {}
    data = encode(NOISE, file_format, **options)
    assert_same(shrink(data + tail), shrink(data))


@pytest.mark.parametrize("lost", [1, 2])
def test_a_gif_is_whole_without_its_trailer(lost: int) -> None:
    data = encode(quadrants(), "GIF")
    assert_same(shrink(data[:-lost]), shrink(data))


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG", "MPO"])
def test_an_animation_is_read_without_its_last_frame(file_format: str) -> None:
    data = encode(quadrants(), file_format, save_all=True, append_images=[NOISE.resize((400, 300))])
    assert_near(corners(shrink(data[:-300])), [RED, GREEN, BLUE, WHITE], tolerance=20)


# Formats that cannot be read: another photo in this format does not help


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\x0a" + bytes(100),
        b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(100),
        encode(SMALL, "JPEG2000"),
        encode(SMALL, "JPEG2000", no_jp2=True),
        b"II\xbc\x01" + bytes(100),
        b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(100),
        b"II\x1a\0\0\0HEAPCCDR" + bytes(100),
        b"FUJIFILMCCD-RAW 0201" + bytes(100),
        b"IIRO\x08\0\0\0" + bytes(100),
        b"IIU\0\x18\0\0\0" + bytes(100),
        b"8BPS\0\1" + bytes(100),
    ],
    ids=[
        "JPEG XL codestream",
        "JPEG XL",
        "JPEG 2000",
        "JPEG 2000 codestream",
        "JPEG XR",
        "raw of Canon",
        "older raw of Canon",
        "raw of Fuji",
        "raw of Olympus",
        "raw of Panasonic",
        "Photoshop",
    ],
)
def test_the_reason_says_what_to_send_if_the_format_is_not_supported(data: bytes) -> None:
    assert refusal(data) == UNSUPPORTED


def tiff(changes: dict[int, int], **options: Any) -> bytes:
    """A TIFF in which some tags have other values."""
    data = bytearray(encode(NOISE, "TIFF", **options))
    at = int.from_bytes(data[4:8], "little")
    for entry in range(at + 2, at + 2 + 12 * int.from_bytes(data[at : at + 2], "little"), 12):
        tag = int.from_bytes(data[entry : entry + 2], "little")
        if tag in changes:
            data[entry + 8 : entry + 12] = changes[tag].to_bytes(4, "little")
    return bytes(data)


COMPRESSION, PHOTOMETRIC, LENGTHS = 259, 262, 279  # tags of TIFF


@pytest.mark.parametrize(
    "data",
    [
        tiff({PHOTOMETRIC: 32803}),
        tiff({COMPRESSION: 34712}),
        encode(NOISE.convert("F"), "TIFF"),
        encode(NOISE.convert("I"), "TIFF"),
    ],
    ids=["DNG of the sensor's values", "unknown compression", "floating point", "32 bits"],
)
def test_the_reason_says_what_to_send_if_a_tiff_is_of_another_kind(data: bytes) -> None:
    assert refusal(data) == UNSUPPORTED
    assert refusal(data + LETTERS) == UNSUPPORTED


@pytest.mark.parametrize(
    "data",
    [
        tiff({PHOTOMETRIC: 32803})[:-5],
        tiff({PHOTOMETRIC: 32803, LENGTHS: 0}),
        encode(NOISE, "TIFF", big_tiff=True)[:-5],
        encode(NOISE, "TIFF", big_tiff=True)[:100],
    ],
    ids=["cut DNG", "no pixels", "cut BigTIFF", "BigTIFF without a directory"],
)
def test_a_tiff_without_all_pixels_is_damaged(data: bytes) -> None:
    assert refusal(data) == DAMAGED


def test_a_bigtiff_is_read() -> None:
    assert_same(shrink(encode(NOISE, "TIFF", big_tiff=True)), shrink(encode(NOISE, "TIFF")))


# Files that are not photos


@pytest.mark.parametrize(
    "data",
    [
        b"<!doctype html><html><body>404</body></html>",
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj",
        b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9"/></svg>',
        b"PK\x03\x04" + bytes(100),
        b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00isommp42" + bytes(100),
        b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(100),
        b"P6\n1 1\n255\n\0\0\0",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"hello",
        b"\xef\xbb\xbfhello",
        b"\xff\xfeh\0i\0",
        b"\0",
        bytes(10_000),
    ],
)
def test_other_files_are_not_photos(data: bytes) -> None:
    assert refusal(data) == NOT_A_PHOTO


def test_an_empty_file_is_rejected() -> None:
    assert refusal(b"") == "the file is empty"


@cache
def encoded_noise(file_format: str) -> bytes:
    """A photo in which no byte is like another: to encode it as HEIC takes two seconds."""
    return encode(Image.effect_noise((640, 480), 60).convert("RGB"), file_format)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF", "HEIF"])
def test_half_a_photo_is_damaged(file_format: str, part: float) -> None:
    data = encoded_noise(file_format)
    assert refusal(data[: int(len(data) * part)]) == DAMAGED


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "AVIF", "HEIF"])
def test_a_photo_whose_rest_was_never_written_is_damaged(file_format: str, part: float) -> None:
    data = encoded_noise(file_format)
    written = int(len(data) * part)
    assert refusal(data[:written] + bytes(len(data) - written)) == DAMAGED


@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
def test_a_photo_cut_in_its_header_is_damaged(file_format: str) -> None:
    assert refusal(encode(quadrants(), file_format)[:30]) == DAMAGED
