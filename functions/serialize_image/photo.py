"""Decide which bytes are a readable photo, and make a small upright image of it in bounded memory.

The serialize function, staging, the serving app and the review tool all decode with this module.
A photo is whole if all of its rows are there. Metadata, trailers, end markers and container brands
decide nothing: they are left out or corrected before a decoder sees them.
"""

import io
import itertools
import math
import re
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from PIL import Image, ImageOps, JpegImagePlugin, UnidentifiedImageError
from PIL.ExifTags import Base as ExifTag

SIDE = 256  # pixels, the longest side of the result
QUALITY = 90

# What decodes within 512 MB; benchmarks/serialize_image.py measures it.
MAX_PIXELS = 52_000_000  # 50-megapixel cameras write up to 8192 x 6144
MAX_PIXELS_OF = {"WEBP": 20_000_000, "AVIF": 24_000_000, "TIFF": 24_000_000, "ICO": 24_000_000}
MAX_STREAMED_PIXELS = 210_000_000  # a JPEG of one scan is decoded at a reduced scale, row by row
MAX_BUFFERED_SAMPLES = 3 * MAX_PIXELS  # any other JPEG holds 2 bytes a sample until its last scan
MAX_SCANS = 50  # a progressive photo has about ten
BAND_PIXELS = 1_000_000  # converted at a time: a second copy of all pixels would not fit
MAX_TEXT_BYTES = 1_000_000  # of a PNG's text that may hold its orientation

ORIENTATION_KEYWORDS = {b"Raw profile type exif", b"XML:com.adobe.xmp"}

JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
FORMATS = ("PNG", "GIF", "BMP", "WEBP", "AVIF", "TIFF", "ICO")  # and JPEG and HEIF
AVIF_BRANDS = {b"avif", b"avis"}
HEIF_BRANDS = {b"mif1", b"msf1", b"miaf", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx",
               b"hevm", b"hevs"}  # fmt: skip
SIGNATURE = re.compile(rb"\xff\xd8\xff|\x89PNG|GIF8|II\*\0|MM\0\*|RIFF....WEBP", re.DOTALL)
OTHER_CODEC = re.compile(rb"avcC|vvcC|evcC|j2kH|uncC")  # in HEIF: H.264, VVC, EVC, JPEG 2000, none
OTHER_PHOTO = re.compile(rb"\xff\x0a|\0\0\0\x0c(JXL |jP  )\r\n\x87\n", re.DOTALL)  # JPEG XL, 2000

EMPTY = "the file is empty"
NOT_A_PHOTO = "the file is not a photo"
DAMAGED = "the photo is damaged, please take it again"
UNSUPPORTED = "this photo format cannot be read, please send the photo as a JPEG"
TOO_MANY_PIXELS = "the photo has too many pixels, please send a smaller one"

# Set once, not for each photo: photos are decoded in threads. Pillow refuses twice as many pixels.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2
warnings.filterwarnings("ignore", module=r"PIL\.")


class UnreadablePhotoError(ValueError):
    """The photo cannot be read; the message says why, in words for a courier."""


def shrink(data: bytes) -> bytes:
    """The photo in `data` as a JPEG without metadata, see `read`."""
    jpeg = io.BytesIO()
    read(data).save(jpeg, "JPEG", quality=QUALITY)
    return jpeg.getvalue()


def read(data: bytes) -> Image.Image:
    """The photo in `data` as an upright RGB image, transparency on white.

    Its longest side is `SIDE` pixels, or less if the photo is smaller; of an animation or a burst
    it is the first frame. Raises UnreadablePhotoError for anything but a whole photo within the
    limits.
    """
    if not data:
        raise UnreadablePhotoError(EMPTY)
    if OTHER_PHOTO.match(data):
        raise UnreadablePhotoError(UNSUPPORTED)
    try:
        return decode(data)
    except UnreadablePhotoError:
        raise
    except UnidentifiedImageError as error:
        is_photo = SIGNATURE.match(data) or brands(data) & (AVIF_BRANDS | HEIF_BRANDS)
        raise UnreadablePhotoError(DAMAGED if is_photo else NOT_A_PHOTO) from error
    except (Image.DecompressionBombError, MemoryError) as error:
        raise UnreadablePhotoError(TOO_MANY_PIXELS) from error
    except Exception as error:  # decoders raise anything on hostile bytes
        raise UnreadablePhotoError(DAMAGED) from error


def decode(data: bytes) -> Image.Image:
    """The small upright image in `data`, by the decoder for its format."""
    if data.startswith(JPEG):
        return decode_jpeg(data)
    if data.startswith(PNG):
        return decode_with_pillow(png_of_pixels(data))
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return decode_with_pillow(webp_of_whole_chunks(data))
    found = brands(data)
    if found & AVIF_BRANDS or (found & HEIF_BRANDS and b"av01" in metadata(data)):
        return decode_with_pillow(branded_avif(data))
    if found & HEIF_BRANDS:
        return decode_heif(data)
    return decode_with_pillow(data)


def decode_with_pillow(data: bytes) -> Image.Image:
    photo = Image.open(io.BytesIO(data), formats=FORMATS)
    refuse_over(MAX_PIXELS_OF.get(str(photo.format), MAX_PIXELS), photo.size)
    photo.load()
    return small_upright(photo)


def small_upright(photo: Image.Image) -> Image.Image:
    small = thumbnail(photo.size, lambda top, end: photo.crop((0, top, photo.width, end)))
    return upright(small, orientation(photo))


def refuse_over(limit: int, size: tuple[int, int]) -> None:
    """Raise UnreadablePhotoError for a photo of more than `limit` pixels."""
    if size[0] * size[1] > limit:
        raise UnreadablePhotoError(TOO_MANY_PIXELS)


# ── JPEG (ITU-T T.81) ──

MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")  # neither an escaped byte nor a restart
RESTART = re.compile(rb"\xff[\xd0-\xd7]")
START_OF_IMAGE, END_OF_IMAGE, START_OF_SCAN, RESTART_INTERVAL = 0xD8, 0xD9, 0xDA, 0xDD
ONE_BITS = b"\xff\x00"  # a byte of ones, which begin no Huffman code
LOOKAHEAD_BYTES = 8  # that libjpeg reads ahead before it decodes a block


class Scan(NamedTuple):
    """One scan: its components' ids, its band of coefficients, and where its data lies."""

    components: bytes
    band: tuple[int, int, int]  # first and last coefficient, and the bits that are still missing
    restart_interval: int  # blocks between two restart markers; 0 if there are none
    start: int
    end: int


def decode_jpeg(data: bytes) -> Image.Image:
    """The small upright image in a JPEG, whatever follows its last row.

    A JPEG with one scan is decoded at a reduced scale, row by row. Of any other one libjpeg keeps
    all coefficients in memory, and goes through them again for each scan.
    """
    photo = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    size, layers = photo.size, photo.layer
    scans = list(itertools.islice(find_scans(data), MAX_SCANS + 1))
    is_streamed = len(scans[0].components) == photo.layers and "progressive" not in photo.info
    if is_streamed:
        scans = scans[:1]
    elif len(scans) > MAX_SCANS:
        raise UnreadablePhotoError(DAMAGED)
    refuse_over(MAX_STREAMED_PIXELS if is_streamed else MAX_BUFFERED_SAMPLES // photo.layers, size)
    ends = [check_restarts(data, scan, size, layers) for scan in scans]
    if data[ends[-1] : ends[-1] + 2] != bytes([0xFF, END_OF_IMAGE]):
        check_precision(scans, layers)

    photo.draft("RGB", reduced_size(size))
    photo.load_prepare()
    tile = photo.tile[0]
    decoder = Image._getdecoder(photo.mode, "jpeg", tile.args, photo.decoderconfig)  # noqa: SLF001
    decoder.setimage(photo.im, tile.extents)
    try:
        is_whole = decodes_whole(
            decoder.decode, memoryview(data)[: ends[-1]], is_streamed=is_streamed
        )
    finally:
        decoder.cleanup()
    if not is_whole:
        raise UnreadablePhotoError(DAMAGED)
    photo.tile = []
    return small_upright(photo)


Decode = Callable[[bytes | memoryview], tuple[int, int]]  # bytes consumed (-1: at the end), error


def decodes_whole(decode: Decode, jpeg: memoryview, *, is_streamed: bool) -> bool:
    """Whether a JPEG without its end marker has all rows. They are in the decoder's image then.

    At an end marker libjpeg fills missing rows with grey and reports nothing. Without the marker it
    waits for more bytes, and consumes none of a block that it cannot decode. So it gets ones, as
    many as it reads ahead, which complete no row. A streamed JPEG with all rows is then at its end.
    Any other one consumes all ones as bytes before the next marker.
    """
    consumed, error = decode(jpeg)
    rest = bytes(jpeg[consumed:])
    for count in (LOOKAHEAD_BYTES, 1, 1):
        if consumed < 0:
            break
        rest += ONE_BITS * count
        consumed, error = decode(rest)
        rest = rest[consumed:]
        if rest and not is_streamed:
            return False
    if is_streamed:
        return (consumed, error) == (-1, 0)
    return consumed >= 0 and decode(b"\xff\xd9") == (-1, 0)


def find_scans(jpeg: bytes) -> Iterator[Scan]:
    """The scans of a JPEG. What follows a foreign marker is no part of the photo."""
    start, interval = 2, 0
    while found := MARKER.search(jpeg, start):
        marker, at = found[1][0], found.end()
        length = int.from_bytes(jpeg[at : at + 2])
        segment = jpeg[at + 2 : at + length]
        start = at + length
        if marker in {START_OF_IMAGE, END_OF_IMAGE}:
            return
        if marker == RESTART_INTERVAL:
            interval = int.from_bytes(segment[:2])
        if marker == START_OF_SCAN:
            count = segment[0]
            first, last, shift = segment[1 + 2 * count : 4 + 2 * count]
            end = MARKER.search(jpeg, start)
            yield Scan(
                components=segment[1 : 1 + 2 * count : 2],
                band=(first, last, shift & 15),
                restart_interval=interval,
                start=start,
                end=end.start() if end else len(jpeg),
            )


Layers = list[tuple[int, int, int, int]]  # Pillow's: id, sampling across and down, table


def check_restarts(jpeg: bytes, scan: Scan, size: tuple[int, int], layers: Layers) -> int:
    """Where the data of a scan ends.

    Raises UnreadablePhotoError if a restart interval is lost: libjpeg fills it with grey.
    """
    markers = list(RESTART.finditer(jpeg, scan.start, scan.end))
    expected = 0
    if scan.restart_interval:
        across, down = (max(layer[axis] for layer in layers) for axis in (1, 2))
        blocks = [math.ceil(size[0] / (8 * across)), math.ceil(size[1] / (8 * down))]
        if len(scan.components) == 1:
            [layer] = [layer for layer in layers if layer[0] == scan.components[0]]
            blocks = [
                math.ceil(math.ceil(size[0] * layer[1] / across) / 8),
                math.ceil(math.ceil(size[1] * layer[2] / down) / 8),
            ]
        expected = math.ceil(blocks[0] * blocks[1] / scan.restart_interval) - 1
    if [marker[0][1] for marker in markers[:expected]] != [0xD0 + n % 8 for n in range(expected)]:
        raise UnreadablePhotoError(DAMAGED)
    return markers[expected].start() if len(markers) > expected else scan.end


def check_precision(scans: list[Scan], layers: Layers) -> None:
    """Raise UnreadablePhotoError unless the scans hold all bits of all coefficients."""
    missing: dict[tuple[int, int], int] = {}
    for scan in scans:
        first, last, shift = scan.band
        missing |= {(c, at): shift for c in scan.components for at in range(first, last + 1)}
    if any(missing.get((layer[0], at), 1) for layer in layers for at in range(64)):
        raise UnreadablePhotoError(DAMAGED)


# ── PNG and WebP ──


def png_of_pixels(png: bytes) -> bytes:
    """A PNG with its pixels and its orientation; other metadata, however broken, is left out."""
    parts: list[bytes | memoryview] = [PNG]
    at = len(PNG)
    while at + 8 <= len(png):
        size, kind = struct.unpack_from(">I4s", png, at)
        body = memoryview(png)[at + 8 : at + 8 + size]
        check = png[at + 8 + size : at + 12 + size].ljust(4, b"\0")
        at += 12 + size
        if kind in {b"IHDR", b"PLTE", b"IDAT"} or is_shown(kind, body, check):
            parts += [len(body).to_bytes(4), kind, body, check]
        if kind == b"IEND":
            break
    return b"".join(parts) + b"\0\0\0\0IEND\xaeB`\x82"


def is_shown(kind: bytes, body: memoryview, check: bytes) -> bool:
    """Whether a sound ancillary chunk of a PNG holds transparency, or maybe the orientation."""
    if len(body) > MAX_TEXT_BYTES or zlib.crc32(body, zlib.crc32(kind)).to_bytes(4) != check:
        return False
    keyword, _, text = bytes(body).partition(b"\0")
    if kind in {b"tRNS", b"eXIf"} or keyword not in ORIENTATION_KEYWORDS:
        return kind in {b"tRNS", b"eXIf"}
    if kind == b"tEXt" or (kind == b"iTXt" and text[:1] == b"\0"):
        return True
    deflated = text.split(b"\0", 3)[-1] if kind == b"iTXt" else text[1:]
    inflater = zlib.decompressobj()
    try:
        inflater.decompress(deflated, MAX_TEXT_BYTES)
    except zlib.error:
        return False
    return inflater.eof


def webp_of_whole_chunks(webp: bytes) -> bytes:
    """A WebP of its whole chunks, with the size that they have; what follows them is left out."""
    kinds = {b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"EXIF"}
    parts, at = [b"WEBP"], 12
    while at + 8 <= len(webp):
        kind, size = struct.unpack_from("<4sI", webp, at)
        if at + 8 + size > len(webp):
            break
        if kind in kinds:
            parts.append(webp[at : at + 8 + size] + bytes(size % 2))
        at += 8 + size + size % 2
    body = b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


# ── HEIF and AVIF (ISO/IEC 14496-12 and 23008-12) ──


def brands(data: bytes) -> set[bytes]:
    """What an ISO base media file says that it is; nothing for other files."""
    if data[4:8] != b"ftyp":
        return set()
    return {data[at : at + 4] for at in (8, *range(16, int.from_bytes(data[:4]), 4))}


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The kind and content of each box, one after the other."""
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        header = 8
        if size == 1:
            size, header = int.from_bytes(data[at + 8 : at + 16]), 16
        end = at + size if size else len(data)
        if end < at + header:
            return
        yield kind, data[at + header : end]
        at = end


def box_at(data: bytes, *path: bytes) -> bytes:
    """The content of the first box of each kind of `path`, one inside the other."""
    for kind in path:
        data = next((content for found, content in boxes(data) if found == kind), b"")
    return data


def metadata(data: bytes) -> bytes:
    """What says how the images in the file are coded."""
    return box_at(data, b"meta") + box_at(data, b"moov")


def branded_avif(data: bytes) -> bytes:
    """An AVIF whose main brand is AVIF's own: decoders go by it, viewers by the content."""
    brand = b"avif" if box_at(data, b"meta") else b"avis"
    return data[:8] + brand + data[12:]


def decode_heif(data: bytes) -> Image.Image:
    """The small image in `data`; libheif has turned it upright.

    Read without pillow-heif's plugin for Pillow, which copies all pixels once more.
    """
    import pillow_heif  # noqa: PLC0415 only those who need it wait for its import

    described = metadata(data)
    if b"hvcC" not in described and OTHER_CODEC.search(described):
        raise UnreadablePhotoError(UNSUPPORTED)
    photo = pillow_heif.open_heif(data if box_at(data, b"meta") else first_frame(data))
    refuse_over(MAX_PIXELS, photo.size)
    pixels, stride, mode = photo.data, photo.stride, photo.mode

    def rows(top: int, end: int) -> Image.Image:
        band = bytes(pixels[top * stride : end * stride])
        return Image.frombytes(mode, (photo.size[0], end - top), band, "raw", mode, stride)

    return thumbnail(photo.size, rows)


def first_frame(sequence: bytes) -> bytes:
    """The first frame of a HEIF image sequence as a HEIF image: libheif opens images only."""
    track = box_at(sequence, b"moov", b"trak")
    table = box_at(track, b"mdia", b"minf", b"stbl")
    entries = box_at(table, b"stsd")[8:]
    entry = box_at(entries, b"hvc1") or box_at(entries, b"hev1")
    width, height = struct.unpack_from(">HH", entry, 24)
    one_size, _count, *sizes = struct.unpack_from(">III", box_at(table, b"stsz"), 4)
    size = one_size or sizes[0]
    [offset] = (
        struct.unpack_from(">I", chunks, 8)
        if (chunks := box_at(table, b"stco"))
        else struct.unpack_from(">Q", box_at(table, b"co64"), 8)
    )
    frame = sequence[offset : offset + size]
    if len(frame) < size:
        raise UnreadablePhotoError(DAMAGED)

    header = box_at(track, b"tkhd")
    a, b = struct.unpack_from(">ii", header, 52 if header[0] else 40)
    turns = {(0, 1): 3, (-1, 0): 2, (0, -1): 1}.get((a >> 16, b >> 16), 0)
    properties = [
        box(b"hvcC", box_at(entry[78:], b"hvcC")),
        box(b"ispe", struct.pack(">III", 0, width, height)),
        box(b"irot", bytes([turns])),
    ]
    kind = box(b"ftyp", b"heic\0\0\0\0mif1heic")

    def meta(position: int) -> bytes:
        return box(
            b"meta",
            bytes(4),
            box(b"hdlr", bytes(8), b"pict", bytes(13)),
            box(b"pitm", struct.pack(">IH", 0, 1)),
            box(b"iloc", struct.pack(">IHHHHHII", 0, 0x4400, 1, 1, 0, 1, position, size)),
            box(b"iinf", struct.pack(">IH", 0, 1), box(b"infe", b"\2\0\0\0\0\1\0\0hvc1\0")),
            box(
                b"iprp",
                box(b"ipco", *properties),
                box(b"ipma", struct.pack(">IIHB", 0, 1, 1, 3), b"\x81\x82\x83"),
            ),
        )

    return kind + meta(len(kind) + len(meta(0)) + 8) + box(b"mdat", frame)


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


# ── Small, upright and on white ──


def reduced_size(size: tuple[int, int]) -> tuple[int, int]:
    """Width and height, in pixels, that leave the last factor of two to a good filter."""
    factor = max(1, max(size) // (2 * SIDE))
    return math.ceil(size[0] / factor), math.ceil(size[1] / factor)


def thumbnail(size: tuple[int, int], rows: Callable[[int, int], Image.Image]) -> Image.Image:
    """An RGB image of at most `SIDE` pixels a side from a photo of `size`.

    `rows(top, end)` gives rows `top` to `end` (excluded); they are converted band by band.
    """
    width, height = size
    factor = max(1, max(size) // (2 * SIDE))
    step = factor * max(1, BAND_PIXELS // (width * factor))
    small = Image.new("RGB", reduced_size(size))
    for top in range(0, height, step):
        band = on_white(rows(top, min(top + step, height)))
        small.paste(band.reduce(factor), (0, top // factor))
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
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
    """The EXIF or XMP orientation, 1 to 8; 1 where there is none that can be read."""
    try:
        value = photo.getexif().get(ExifTag.Orientation)
    except Exception:  # noqa: BLE001 broken metadata does not make a broken photo
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1  # noqa: PLR2004


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """The image turned and mirrored as its EXIF `orientation` asks."""
    image.getexif()[ExifTag.Orientation] = orientation
    return ImageOps.exif_transpose(image)
