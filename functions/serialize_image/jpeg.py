"""Decode a JPEG (ITU-T T.81), whatever follows its last row."""

import contextlib
import io
import itertools
import math
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from PIL import Image, JpegImagePlugin

from functions.serialize_image.reasons import (
    DAMAGED,
    MAX_PIXELS,
    UNSUPPORTED,
    UnreadablePhotoError,
    refuse_over,
)
from functions.serialize_image.scaling import reduced_size, small_upright

MAX_STREAMED_PIXELS = 210_000_000  # a JPEG of one scan is decoded at a reduced scale, row by row
MAX_BUFFERED_SAMPLES = 3 * MAX_PIXELS  # any other JPEG holds 2 bytes a sample until its last scan
MAX_SCANS = 50  # a progressive photo has about ten

# Baseline, extended and progressive; the last two with arithmetic coding.
READABLE_FRAMES = {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}
ARITHMETIC_FRAMES = {0xC9, 0xCA}
BITS = 8  # of a sample
OTHER_FRAMES = {0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7}  # 0xF7: JPEG-LS
MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")  # neither an escaped byte nor a restart
RESTART = re.compile(rb"\xff[\xd0-\xd7]")
START, END = b"\xff\xd8", b"\xff\xd9"
START_OF_SCAN, RESTART_INTERVAL = 0xDA, 0xDD
ONE_BITS = b"\xff\x00"  # a byte of ones, which begin no Huffman code
LOOKAHEAD_BYTES = 8  # that libjpeg reads ahead before it decodes a block
ARITHMETIC_ENDINGS = (b"", bytes(2 * LOOKAHEAD_BYTES) + b"\x55" * 4096)  # an encoder drops zeros


class Scan(NamedTuple):
    """One scan: its components' ids, its band of coefficients, and the position of its data."""

    components: bytes
    band: tuple[int, int, int]  # first and last coefficient, and the bits that are still missing
    restart_interval: int  # blocks between two restart markers; 0 if there are none
    start: int
    end: int


Decode = Callable[[bytes | memoryview], tuple[int, int]]  # bytes consumed (-1: at the end), error
Layers = list[tuple[int, int, int, int]]  # Pillow's: id, sampling across and down, table


def decode_jpeg(data: bytes, side: int) -> Image.Image:
    """The small upright image in a JPEG, whatever follows its last row.

    A JPEG with one scan is decoded at a reduced scale, row by row. For any other one libjpeg keeps
    all coefficients in memory, and goes through them again for each scan.
    """
    is_arithmetic = has_arithmetic_coding(data)
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
    if data[ends[-1] : ends[-1] + 2] != END:
        check_precision(scans, layers)

    jpeg = memoryview(data)[: ends[-1]]
    photo.draft("RGB", reduced_size(size, side))
    if is_arithmetic:
        other = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
        other.draft("RGB", reduced_size(size, side))
        is_whole = decodes_alike((photo, other), jpeg)
    else:
        with decoding_into(photo) as decode:
            is_whole = decodes_whole(decode, jpeg, is_streamed=is_streamed)
    if not is_whole:
        raise UnreadablePhotoError(DAMAGED)
    return small_upright(photo, side)


@contextlib.contextmanager
def decoding_into(photo: JpegImagePlugin.JpegImageFile) -> Iterator[Decode]:
    """Pillow's decoder for an opened photo, which takes the file in pieces."""
    photo.load_prepare()
    [tile] = photo.tile
    decoder = Image._getdecoder(photo.mode, "jpeg", tile.args, photo.decoderconfig)  # noqa: SLF001
    decoder.setimage(photo.im, tile.extents)
    photo.tile = []  # nothing is left to load
    try:
        yield decoder.decode
    finally:
        decoder.cleanup()


def decodes_alike(photos: tuple[JpegImagePlugin.JpegImageFile, ...], jpeg: memoryview) -> bool:
    """Whether a JPEG with arithmetic coding has all rows. They are in both photos then.

    libjpeg reports no missing data here. After the last row it ignores what follows: only rows that
    are missing depend on it.
    """
    for photo, ending in zip(photos, ARITHMETIC_ENDINGS, strict=True):
        with decoding_into(photo) as decode:
            if decode(bytes(jpeg) + ending + END) != (-1, 0):
                return False
    first, second = (photo.tobytes() for photo in photos)
    return first == second


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
    return consumed >= 0 and decode(END) == (-1, 0)


def has_arithmetic_coding(jpeg: bytes) -> bool:
    """Whether the frame has arithmetic coding instead of Huffman codes.

    Raises UnreadablePhotoError if it is a frame that libjpeg does not decode.
    """
    for marker, content, _ in segments(jpeg):
        if marker in READABLE_FRAMES and content[0] == BITS and any(content[1:3]):
            return marker in ARITHMETIC_FRAMES
        if marker in READABLE_FRAMES | OTHER_FRAMES:
            raise UnreadablePhotoError(UNSUPPORTED)
    raise UnreadablePhotoError(DAMAGED)


def segments(jpeg: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Marker, content and end of each segment, up to the end of the photo or another photo."""
    end = len(START)
    while found := MARKER.search(jpeg, end):
        marker, at = found[1][0], found.end()
        if marker in {START[1], END[1]}:
            return
        end = at + int.from_bytes(jpeg[at : at + 2])
        yield marker, jpeg[at + 2 : end], end


def find_scans(jpeg: bytes) -> Iterator[Scan]:
    interval = 0
    for marker, content, start in segments(jpeg):
        if marker == RESTART_INTERVAL:
            interval = int.from_bytes(content[:2])
        if marker == START_OF_SCAN:
            count = content[0]
            first, last, shift = content[1 + 2 * count : 4 + 2 * count]
            found = MARKER.search(jpeg, start)
            if found:
                end = found.start()
            else:  # the file system fills what was never written with zeros
                end = max(start, len(jpeg.rstrip(b"\0")))
                end = min(end + LOOKAHEAD_BYTES, len(jpeg))
            yield Scan(
                components=content[1 : 1 + 2 * count : 2],
                band=(first, last, shift & 15),
                restart_interval=interval,
                start=start,
                end=end,
            )


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
