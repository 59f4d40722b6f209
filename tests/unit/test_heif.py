"""HEIC and AVIF: read with any brands, also as sequences and grids."""

import contextlib
import io
import struct
import tracemalloc

import pillow_heif
import pytest
from PIL import Image

from functions.serialize_image.reasons import UnreadablePhotoError
from tests.support.photos import (
    BLUE,
    DAMAGED,
    GREEN,
    NOISE,
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
)


@pytest.mark.parametrize("brand", [b"mif1", b"miaf", b"msf1", b"avis", b"heic"])
def test_an_avif_is_read_whatever_its_main_brand(brand: bytes) -> None:
    data = encode(NOISE, "AVIF")
    assert_same(shrink(data[:8] + brand + data[12:]), shrink(data))
    end = int.from_bytes(data[:4])
    others = (b"mif1miaf" * 8)[: end - 16]
    assert_same(shrink(data[:8] + brand + bytes(4) + others + data[end:]), shrink(data))


@pytest.mark.parametrize("brand", [b"mif1", b"miaf", b"msf1", b"heix", b"hevc"])
def test_a_heic_is_read_whatever_its_main_brand(brand: bytes) -> None:
    data = encode(NOISE, "HEIF")
    assert_same(shrink(data[:8] + brand + data[12:]), shrink(data))


@pytest.mark.parametrize(("mode", "size"), [("RGB;16", 6), ("RGBA;16", 8), ("L;16", 2)])
def test_a_heic_of_more_than_8_bits_is_read(mode: str, size: int) -> None:
    file = io.BytesIO()
    pillow_heif.from_bytes(mode, (64, 48), b"\xff" * (64 * 48 * size)).save(file)
    assert_near([shrink(file.getvalue()).getpixel((32, 24))], [WHITE])


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", len(body) + 8, kind) + body


def coded(image: Image.Image) -> tuple[bytes, bytes]:
    """The decoder's settings and the frame of the HEIC that the encoder writes."""
    still = encode(image, "HEIF")
    at = still.index(b"hvcC") - 4
    return still[at : at + int.from_bytes(still[at : at + 4])], still[still.rindex(b"mdat") + 4 :]


def sequence(image: Image.Image, brand: bytes = b"hevc", matrix: tuple[int, ...] = ()) -> bytes:
    """A sequence of one frame, without a still image, made of the HEIC that the encoder writes."""
    settings, frame = coded(image)
    width, height = image.size

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
def test_the_first_frame_of_a_heif_sequence_is_read(brand: bytes) -> None:
    assert_near(corners(shrink(sequence(quadrants(), brand))), [RED, GREEN, BLUE, WHITE])


def test_a_heif_sequence_comes_out_upright() -> None:
    a_quarter_clockwise = (0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    data = sequence(quadrants().transpose(Image.Transpose.ROTATE_90), matrix=a_quarter_clockwise)
    assert_near(corners(shrink(data)), [RED, GREEN, BLUE, WHITE])


def test_a_heif_sequence_without_its_first_frame_is_damaged() -> None:
    assert refusal(sequence(NOISE)[:-100]) == DAMAGED


@pytest.mark.parametrize(
    "data",
    [
        sequence(SMALL).replace(b"hvc1", b"avc1").replace(b"hvcC", b"avcC"),
        encode(SMALL, "HEIF").replace(b"hvc1", b"vvc1").replace(b"hvcC", b"vvcC"),
    ],
    ids=["sequence of H.264", "HEIF of VVC"],
)
def test_the_reason_says_what_to_send_if_the_codec_is_not_supported(data: bytes) -> None:
    assert refusal(data) == UNSUPPORTED


# A photo of a phone: a grid of tiles, each an image of its own


TILE = 128  # pixels a side
TILES, GRID = (1, 2, 3, 4), 5  # numbers of the items


def grid(image: Image.Image, *, version: int = 1) -> bytes:
    """A HEIC of four tiles, which lie in the file in their order."""
    corners = [(x, y) for y in (0, TILE) for x in (0, TILE)]
    tiles = [coded(image.crop((x, y, x + TILE, y + TILE))) for x, y in corners]
    layout = struct.pack(">BBBBHH", 0, 0, 1, 1, 2 * TILE, 2 * TILE)
    item = ">H" if version < 2 else ">I"  # bytes of the number of an item

    def meta(start: int) -> bytes:
        locations, offset = b"", 0
        for number, (_, frame) in zip(TILES, tiles, strict=True):
            place = struct.pack(">HHIHII", 0, 0, start, 1, offset, len(frame))
            locations += struct.pack(item, number) + place
            offset += len(frame)
        locations += struct.pack(item, GRID) + struct.pack(">HHIHII", 1, 0, 0, 1, 0, len(layout))
        return box(
            b"meta",
            bytes(4),
            box(b"hdlr", bytes(8), b"pict", bytes(13)),
            box(b"pitm", bytes(4), struct.pack(">H", GRID)),
            box(b"iloc", bytes([version, 0, 0, 0]), b"\x44\x40", struct.pack(item, 5), locations),
            box(
                b"iinf",
                struct.pack(">IH", 0, 5),
                *(
                    box(b"infe", struct.pack(">IHH", 2 << 24, number, 0), kind + b"\0")
                    for number in (*TILES, GRID)
                    for kind in [b"grid" if number == GRID else b"hvc1"]
                ),
            ),
            box(b"iref", bytes(4), box(b"dimg", struct.pack(">HH4H", GRID, 4, *TILES))),
            box(
                b"iprp",
                box(
                    b"ipco",
                    tiles[0][0],
                    box(b"ispe", struct.pack(">III", 0, TILE, TILE)),
                    box(b"ispe", struct.pack(">III", 0, 2 * TILE, 2 * TILE)),
                ),
                box(
                    b"ipma",
                    struct.pack(">II", 0, 5),
                    *(struct.pack(">HB", number, 2) + b"\x81\x82" for number in TILES),
                    struct.pack(">HB", GRID, 1) + b"\x83",
                ),
            ),
            box(b"idat", layout),
        )

    kind = box(b"ftyp", b"heic\0\0\0\0mif1heic")
    frames = b"".join(frame for _, frame in tiles)
    return kind + meta(len(kind) + len(meta(0)) + 8) + box(b"mdat", frames)


NOISY = Image.effect_noise((2 * TILE, 2 * TILE), 60).convert("RGB")


@pytest.mark.parametrize("version", [1, 2])
def test_a_heif_grid_is_read(version: int) -> None:
    small = shrink(grid(quadrants(2 * TILE, 2 * TILE), version=version))
    assert_near(corners(small), [RED, GREEN, BLUE, WHITE])


@pytest.mark.parametrize("lost", [5, 1000, 20_000], ids="{} bytes".format)
def test_a_heif_grid_without_its_end_is_damaged(lost: int) -> None:
    data = grid(NOISY)
    assert refusal(data[:-lost]) == DAMAGED


@pytest.mark.parametrize("lost", [1000, 20_000], ids="{} bytes".format)
def test_a_heif_grid_whose_end_was_never_written_is_damaged(lost: int) -> None:
    assert refusal(grid(NOISY)[:-lost] + bytes(lost)) == DAMAGED


def test_a_photo_with_a_cut_thumbnail_is_whole() -> None:
    file = io.BytesIO()
    pillow_heif.from_pillow(NOISY).save(file, thumbnails=[64])
    data = file.getvalue()
    assert data.count(b"thmb") == 1
    assert_same(shrink(data[:-5]), shrink(data))


@pytest.mark.parametrize("file_format", ["HEIF", "AVIF"])
def test_a_photo_of_unknown_brands_is_read(file_format: str) -> None:
    data = encode(NOISE, file_format)
    end = int.from_bytes(data[:4])
    brands = b"new1" + bytes(4) + b"new2" * ((end - 16) // 4)
    assert_same(shrink(data[:8] + brands + data[end:]), shrink(data))


@pytest.mark.parametrize("form", ["AVIF", "HEIF"])
@pytest.mark.parametrize("size", [0x1455F51A, 0xFFFFFFFC])
def test_a_first_box_that_claims_to_be_larger_than_the_file_costs_no_memory(
    form: str, size: int
) -> None:
    data = struct.pack(">I", size) + encode(NOISE, form)[4:]
    tracemalloc.start()
    try:
        with contextlib.suppress(UnreadablePhotoError):
            shrink(data)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 20_000_000
