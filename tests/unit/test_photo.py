"""Which files are photos, and what becomes of them: small, upright, on white, in bounded memory."""

import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pillow_heif
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageOps, ImageStat, PngImagePlugin

from tests.support.odd_images import (
    CASE_FILES,
    CASES,
    DAMAGED,
    ODD_IMAGES,
    TOO_MANY_PIXELS,
    needs_cases,
    needs_odd_images,
    odd_images,
)

PROJECT = Path(__file__).resolve().parents[2]

NOT_A_PHOTO = "the file is not a photo"
UNSUPPORTED = "this photo format cannot be read, please send the photo as a JPEG"
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)

pillow_heif.register_heif_opener()  # the tests write HEIC


@pytest.fixture(scope="module")
def photo(load: Callable[[str, str], ModuleType]) -> ModuleType:
    return load("serialize_image", "photo")


@pytest.fixture(scope="module")
def shrink(photo: ModuleType) -> Callable[[bytes], Image.Image]:
    def shrunk(data: bytes) -> Image.Image:
        return Image.open(io.BytesIO(photo.shrink(data)))

    return shrunk


@pytest.fixture(scope="module")
def refusal(photo: ModuleType) -> Callable[[bytes], str]:
    def reason(data: bytes) -> str:
        with pytest.raises(photo.UnreadablePhotoError) as raised:
            photo.shrink(data)
        return str(raised.value)

    return reason


def encode(image: Image.Image, file_format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def quadrants(width: int = 400, height: int = 300) -> Image.Image:
    """Red and green above blue and white: upright in one way only."""
    image = Image.new("RGB", (width, height), "white")
    image.paste(RED, (0, 0, width // 2, height // 2))
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    return image


SMALL = quadrants(48, 32)


def corners(image: Image.Image) -> list[Any]:
    """The pixels in the middle of the four quadrants, read like text."""
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


# Every awkward file at hand


@needs_odd_images
@pytest.mark.parametrize(("name", "reason"), odd_images().items())
@pytest.mark.filterwarnings("ignore")
def test_odd_image(shrink: Any, refusal: Any, name: str, reason: str | None) -> None:
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


# What phones, messengers and scanners write


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_comes_out_upright(
    shrink: Any, file_format: str, orientation: int
) -> None:
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
def test_longest_side_is_256_pixels_and_nothing_is_enlarged(
    shrink: Any, file_format: str, size: tuple[int, int], result: tuple[int, int]
) -> None:
    assert shrink(encode(Image.new("RGB", size), file_format)).size == result


def test_a_large_photo_keeps_its_details(shrink: Any) -> None:
    noise = Image.effect_noise((600, 440), 90).convert("RGB").resize((3000, 2200))
    expected = noise.resize((256, 188), Image.Resampling.LANCZOS)
    for data in (encode(noise, "PNG", compress_level=1), encode(noise, "JPEG", quality=95)):
        difference = ImageStat.Stat(ImageChops.difference(shrink(data), expected))
        assert max(difference.rms) < 8


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_metadata_stays_behind(shrink: Any, photo: ModuleType, file_format: str) -> None:
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


def with_alpha(mode: str) -> Image.Image:
    image = quadrants().convert(mode)
    alpha = Image.new("L", image.size, 255)
    alpha.paste(0, (0, 0, 200, 150))  # the red quadrant
    image.putalpha(alpha)
    return image


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_transparency_becomes_white(shrink: Any, file_format: str) -> None:
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
def test_a_transparent_colour_becomes_white(
    shrink: Any, image: Image.Image, options: dict[str, Any]
) -> None:
    if image.mode == "P":
        options = {"transparency": image.getpixel((10, 10))}
    assert_near(
        corners(shrink(encode(image, "PNG", **options))), [WHITE, GREEN, BLUE, WHITE], tolerance=20
    )


def test_grey_with_alpha(shrink: Any) -> None:
    image = shrink(encode(with_alpha("L"), "PNG"))
    assert_near(corners(image)[:1], [WHITE])


@pytest.mark.parametrize(
    ("file_format", "mode"), [("PNG", "I;16"), ("TIFF", "I;16"), ("TIFF", "I;16B")]
)
def test_16_bits_of_grey_are_scaled_not_clipped(shrink: Any, file_format: str, mode: str) -> None:
    order = ">" if mode.endswith("B") else "<"
    values = [round(column * 65_535 / 199) for column in range(200)] * 100
    image = Image.frombytes(mode, (200, 100), struct.pack(f"{order}20000H", *values))
    small = shrink(encode(image, file_format)).convert("L")
    assert [small.getpixel((x, 50)) for x in (0, 100, 199)] == pytest.approx([0, 128, 255], abs=3)


def test_16_bits_of_grey_with_a_transparent_value(shrink: Any) -> None:
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
def test_colour_spaces(shrink: Any, mode: str, file_format: str) -> None:
    image = quadrants(240, 180).convert(mode)
    small = shrink(encode(image, file_format))
    assert_near(corners(small), [RED, GREEN, BLUE, WHITE], tolerance=60 if mode == "LAB" else 20)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "BMP", "GIF"])
def test_one_bit(shrink: Any, file_format: str) -> None:
    image = Image.new("1", (100, 80), 1)
    image.paste(0, (0, 0, 50, 80))
    assert_near(corners(shrink(encode(image, file_format))), [(0, 0, 0), WHITE] * 2)


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG", "TIFF", "MPO", "AVIF", "HEIF"])
def test_of_several_photos_the_first_counts(shrink: Any, file_format: str) -> None:
    others = [Image.new("RGB", (400, 300), "black"), Image.new("RGB", (400, 300), "gray")]
    data = encode(quadrants(), file_format, save_all=True, append_images=others)
    assert_near(corners(shrink(data)), [RED, GREEN, BLUE, WHITE], tolerance=20)


def test_the_answer_stays_far_below_the_limit_of_a_state(photo: ModuleType) -> None:
    channels = [Image.effect_noise((256, 256), 250) for _ in range(3)]
    noise = encode(Image.merge("RGB", channels), "PNG")
    assert len(photo.shrink(noise)) * 4 / 3 < 128 * 1024


# Whole photos that a careless decoder calls damaged

NOISE = Image.merge("RGB", [Image.effect_noise((200, 160), 60)] * 3)
LETTERS = bytes(range(32, 127)) * 200  # a trailer; it holds no marker
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


def assert_same(small: Image.Image, expected: Image.Image) -> None:
    assert small.size == expected.size
    difference = ImageStat.Stat(ImageChops.difference(small, expected))
    assert max(difference.mean) == 0


@needs_cases
@pytest.mark.parametrize("name", CASE_FILES)
def test_a_photo_that_viewers_show_whole_is_read(shrink: Any, name: str) -> None:
    assert max(shrink((CASES / name).read_bytes()).size) == 256


@pytest.mark.parametrize("data", jpegs())
@pytest.mark.parametrize(
    "tail",
    [b"", b"\xff", bytes(5000), b"\xff" * 500, LETTERS, b"\0\0SEFH" + encode(SMALL, "JPEG")],
    ids=["nothing", "half a marker", "zeros", "ones", "letters", "another photo"],
)
def test_a_jpeg_is_whole_without_its_end_marker(shrink: Any, data: bytes, tail: bytes) -> None:
    assert data.endswith(b"\xff\xd9")
    assert_same(shrink(data[:-2] + tail), shrink(data))
    assert_same(shrink(data + tail), shrink(data))


@pytest.mark.parametrize("data", jpegs())
@pytest.mark.parametrize("lost", [200, 1000, 5000], ids="{} bytes".format)
@pytest.mark.parametrize("tail", [b"", b"\xff\xd9"], ids=["nothing", "an end marker"])
def test_a_jpeg_that_lost_its_last_rows_is_damaged(
    refusal: Any, data: bytes, lost: int, tail: bytes
) -> None:
    assert refusal(data[: -2 - lost] + tail) == DAMAGED


@pytest.mark.parametrize("name", ["restarts by row", "restarts by block"])
@pytest.mark.parametrize("lost", ["last", "middle"])
def test_a_jpeg_that_lost_a_restart_interval_is_damaged(refusal: Any, name: str, lost: str) -> None:
    data = encode(NOISE, "JPEG", **JPEGS[name])
    markers = [at for at in range(len(data)) if data[at] == 0xFF and 0xD0 <= data[at + 1] <= 0xD7]
    if lost == "last":
        rests = [data[: markers[-1]], data[: markers[-1]] + b"\xff\xd9"]
    else:
        rests = [data[: markers[3]] + data[markers[4] :]]
    assert {refusal(rest) for rest in rests} == {DAMAGED}


def test_a_progressive_jpeg_that_ends_after_its_first_scans_is_damaged(refusal: Any) -> None:
    data = encode(NOISE, "JPEG", progressive=True)
    third_scan = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    assert refusal(data[:third_scan]) == DAMAGED


def png_chunk(kind: bytes, body: bytes, *, sound: bool = True) -> bytes:
    check = zlib.crc32(kind + body) ^ (not sound)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)


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
def test_metadata_never_makes_a_png_damaged(shrink: Any, chunk: bytes) -> None:
    data = encode(NOISE, "PNG")
    header, pixels, end = data[:33], data[33:-12], data[-12:]
    for file in (header + chunk + pixels + end, header + pixels + chunk + end):
        assert_same(shrink(file), shrink(data))


@pytest.mark.parametrize("part", range(0, 160, 7))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"])
def test_broken_exif_never_makes_a_photo_damaged(shrink: Any, file_format: str, part: int) -> None:
    exif = Image.Exif()
    exif[0x010F] = "camera " * 20
    exif.get_ifd(0x8825)[1] = "N"
    data = encode(NOISE, file_format, exif=exif)
    at = data.index(b"camera") - 20 + part
    broken = data[:at] + b"\xee\0\xff\xfe" + data[at + 4 :]
    assert max(shrink(broken).size) == 200


@pytest.mark.parametrize("lost", [12, 5, 16, 20], ids=["IEND", "half", "checksum", "Adler-32"])
def test_a_png_is_whole_without_what_follows_its_pixels(shrink: Any, lost: int) -> None:
    data = encode(NOISE, "PNG")
    assert_same(shrink(data[:-lost]), shrink(data))


@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("size", [0, 4, 10_000, 2**32 - 1])
def test_a_webp_with_a_wrong_size_is_whole(shrink: Any, lossless: bool, size: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(NOISE, "WEBP", lossless=lossless, exif=exif)
    assert_same(shrink(data[:4] + struct.pack("<I", size) + data[8:] + LETTERS), shrink(data))


@pytest.mark.parametrize("brand", [b"mif1", b"miaf", b"msf1", b"avis", b"heic"])
def test_an_avif_is_read_whatever_its_main_brand(shrink: Any, brand: bytes) -> None:
    data = encode(NOISE, "AVIF")
    assert_same(shrink(data[:8] + brand + data[12:]), shrink(data))
    end = int.from_bytes(data[:4])
    others = (b"mif1miaf" * 8)[: end - 16]
    assert_same(shrink(data[:8] + brand + bytes(4) + others + data[end:]), shrink(data))


@pytest.mark.parametrize("brand", [b"mif1", b"miaf", b"msf1", b"heix", b"hevc"])
def test_a_heic_is_read_whatever_its_main_brand(shrink: Any, brand: bytes) -> None:
    data = encode(NOISE, "HEIF")
    assert_same(shrink(data[:8] + brand + data[12:]), shrink(data))


@pytest.mark.parametrize(("mode", "size"), [("RGB;16", 6), ("RGBA;16", 8), ("L;16", 2)])
def test_a_heic_of_more_than_8_bits(shrink: Any, mode: str, size: int) -> None:
    file = io.BytesIO()
    pillow_heif.from_bytes(mode, (64, 48), b"\xff" * (64 * 48 * size)).save(file)
    assert_near([shrink(file.getvalue()).getpixel((32, 24))], [WHITE])


@pytest.mark.parametrize(
    "file_format", ["PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "HEIF", "MPO"]
)
@pytest.mark.parametrize("tail", [LETTERS, bytes(999)], ids=["letters", "zeros"])
def test_a_trailer_is_no_damage(shrink: Any, file_format: str, tail: bytes) -> None:
    options = {"append_images": [SMALL], "save_all": True} if file_format == "MPO" else {}
    data = encode(NOISE, file_format, **options)
    assert_same(shrink(data + tail), shrink(data))


@pytest.mark.parametrize("lost", [1, 2])
def test_a_gif_is_whole_without_its_trailer(shrink: Any, lost: int) -> None:
    data = encode(quadrants(), "GIF")
    assert_same(shrink(data[:-lost]), shrink(data))


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG", "MPO"])
def test_an_animation_that_lost_a_later_frame_is_read(shrink: Any, file_format: str) -> None:
    data = encode(quadrants(), file_format, save_all=True, append_images=[NOISE.resize((400, 300))])
    assert_near(corners(shrink(data[:-300])), [RED, GREEN, BLUE, WHITE], tolerance=20)


# A HEIF image sequence, as a burst is one


def sequence(image: Image.Image, brand: bytes = b"hevc", matrix: tuple[int, ...] = ()) -> bytes:
    """A sequence of one frame, without a still image, made of the HEIC that the encoder writes."""
    still = encode(image, "HEIF")
    at = still.index(b"hvcC") - 4
    settings = still[at : at + int.from_bytes(still[at : at + 4])]
    frame = still[still.rindex(b"mdat") + 4 :]
    width, height = image.size

    def box(kind: bytes, *content: bytes) -> bytes:
        body = b"".join(content)
        return struct.pack(">I4s", len(body) + 8, kind) + body

    entry = box(b"hvc1", bytes(24), struct.pack(">HH", width, height), bytes(50), settings)
    unity = (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    header = bytes(40) + struct.pack(">9i", *(matrix or unity)) + bytes(8)
    start = box(b"ftyp", brand, bytes(4), b"msf1hevc")

    def movie(offset: int) -> bytes:
        table = box(
            b"stbl",
            box(b"stsd", bytes(4), struct.pack(">I", 1), entry),
            box(b"stsz", struct.pack(">IIII", 0, 0, 1, len(frame))),
            box(b"stco", struct.pack(">III", 0, 1, offset)),
        )
        media = box(b"mdia", box(b"minf", table))
        return box(b"moov", box(b"trak", box(b"tkhd", header), media))

    return start + movie(len(start) + len(movie(0)) + 8) + box(b"mdat", frame)


@pytest.mark.parametrize("brand", [b"hevc", b"msf1"])
def test_of_a_heif_sequence_the_first_frame_is_read(shrink: Any, brand: bytes) -> None:
    assert_near(corners(shrink(sequence(quadrants(), brand))), [RED, GREEN, BLUE, WHITE])


def test_a_heif_sequence_comes_out_upright(shrink: Any) -> None:
    a_quarter_clockwise = (0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    data = sequence(quadrants().transpose(Image.Transpose.ROTATE_90), matrix=a_quarter_clockwise)
    assert_near(corners(shrink(data)), [RED, GREEN, BLUE, WHITE])


def test_a_heif_sequence_without_its_first_frame_is_damaged(refusal: Any) -> None:
    assert refusal(sequence(NOISE)[:-100]) == DAMAGED


# What cannot be read at all: taking it again does not help


@pytest.mark.parametrize(
    "data",
    [
        sequence(SMALL).replace(b"hvc1", b"avc1").replace(b"hvcC", b"avcC"),
        encode(SMALL, "HEIF").replace(b"hvc1", b"vvc1").replace(b"hvcC", b"vvcC"),
        b"\xff\x0a" + bytes(100),
        b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(100),
        encode(SMALL, "JPEG2000"),
    ],
    ids=["sequence of H.264", "HEIF of VVC", "JPEG XL codestream", "JPEG XL", "JPEG 2000"],
)
def test_an_unsupported_format_says_what_to_send(refusal: Any, data: bytes) -> None:
    assert refusal(data) == UNSUPPORTED


# What is no photo


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
def test_other_files_are_no_photos(refusal: Any, data: bytes) -> None:
    assert refusal(data) == NOT_A_PHOTO


def test_an_empty_file(refusal: Any) -> None:
    assert refusal(b"") == "the file is empty"


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF", "HEIF"])
def test_half_a_photo_is_damaged(refusal: Any, file_format: str, part: float) -> None:
    noise = Image.effect_noise((640, 480), 60).convert("RGB")
    data = encode(noise, file_format)
    assert refusal(data[: int(len(data) * part)]) == DAMAGED


@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
def test_a_photo_cut_in_its_header_is_damaged(refusal: Any, file_format: str) -> None:
    assert refusal(encode(quadrants(), file_format)[:30]) == DAMAGED


# Bounded memory


def png_of(width: int, height: int) -> bytes:
    """A PNG that says it is that large, and ends there."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    body = b"IDAT" + zlib.compress(b"")
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", len(body) - 4) + body


def jpeg_of(width: int, height: int, **options: Any) -> bytes:
    """A JPEG that says it is that large, and holds one block."""
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
def test_too_many_pixels_are_refused(refusal: Any, data: bytes) -> None:
    assert refusal(data) == TOO_MANY_PIXELS


def test_a_jpeg_that_is_decoded_a_thousand_times_over_is_refused(shrink: Any, refusal: Any) -> None:
    data = encode(quadrants(), "JPEG", progressive=True)
    scan = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)  # one that can follow itself
    end = data.index(b"\xff\xc4", scan)
    repeated = [data[:end] + times * data[scan:end] + data[end:] for times in (10, 1000)]
    assert shrink(repeated[0]).size == (256, 192)
    assert refusal(repeated[1]) == DAMAGED


def test_an_icon_cannot_hide_a_huge_photo(refusal: Any) -> None:
    png = png_of(9_000, 9_000)
    entry = struct.pack("<BBBBHHII", 64, 64, 0, 0, 1, 32, len(png), 22)
    assert refusal(b"\0\0\1\0\1\0" + entry + png) == TOO_MANY_PIXELS


MEASURE = """
import sys, pathlib
import app, photo
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
    environment.setenv("PYTHONPATH", str(PROJECT / "functions" / "serialize_image"))
    result = subprocess.run(
        [sys.executable, "-c", MEASURE, path], check=True, capture_output=True, text=True
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
def test_whatever_the_bytes_the_answer_is_a_small_jpeg_or_a_known_reason(
    photo: ModuleType, data: bytes
) -> None:
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
