"""Prepare a PNG (ISO/IEC 15948) for a decoder, if it has all rows."""

import contextlib
import math
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from functions.serialize_image.reasons import (
    DAMAGED,
    MAX_PIXELS,
    UNSUPPORTED,
    UnreadablePhotoError,
    refuse_over,
)

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_TEXT_BYTES = 1_000_000  # of a text that may hold the orientation
ORIENTATION_KEYWORDS = {b"Raw profile type exif", b"XML:com.adobe.xmp"}
PIECE_BYTES, INFLATED_BYTES = 64_000, 1_000_000  # inflated at a time, and what it may become
ZLIB_HEADER, ZLIB_HEADER_BYTES = b"\x78\x01", 2  # for the largest window

UNWRITTEN_BYTES = 8  # more zeros in a row at the end of a broken chunk are no data
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
GREY, RGB, PALETTE = 0, 2, 3
# Adam7's passes: first column and row, and the distance to the next ones.
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
          (0, 1, 1, 2))  # fmt: skip


class Chunk(NamedTuple):
    kind: bytes
    body: memoryview
    is_sound: bool  # its checksum is right


def png_of_pixels(png: bytes) -> bytes:
    """A PNG of the rows and the orientation; other metadata, however broken, is left out.

    Raises UnreadablePhotoError if rows are missing.
    """
    chunks = list(find_chunks(png))
    if chunks and chunks[0].kind == b"CgBI":  # of Xcode; only Apple's viewers read it
        raise UnreadablePhotoError(UNSUPPORTED)
    header, palette = (
        next((chunk.body for chunk in chunks if chunk.kind == kind), memoryview(b""))
        for kind in (b"IHDR", b"PLTE")
    )
    if any(not chunk.is_sound for chunk in chunks if chunk.kind in {b"IHDR", b"PLTE"}):
        raise UnreadablePhotoError(DAMAGED)
    kept = [
        chunk
        for chunk in chunks
        if chunk.kind in {b"IHDR", b"PLTE"} or is_shown(chunk, header, palette)
    ]
    pixels = b"".join(written(chunk) for chunk in chunks if chunk.kind == b"IDAT")
    kept.append(Chunk(b"IDAT", memoryview(deflated_rows(pixels, header)), is_sound=True))
    kept.append(Chunk(b"IEND", memoryview(b""), is_sound=True))
    return SIGNATURE + b"".join(
        part
        for kind, body, _ in kept
        for part in (
            len(body).to_bytes(4),
            kind,
            body,
            zlib.crc32(body, zlib.crc32(kind)).to_bytes(4),
        )
    )


def find_chunks(png: bytes) -> Iterator[Chunk]:
    """The chunks of a PNG, the last one maybe cut."""
    at = len(SIGNATURE)
    while at + 8 <= len(png):
        size, kind = struct.unpack_from(">I4s", png, at)
        if kind == b"IEND" or not kind.isalpha():
            return
        body = memoryview(png)[at + 8 : at + 8 + size]
        check = png[at + 8 + size : at + 12 + size]
        yield Chunk(kind, body, zlib.crc32(body, zlib.crc32(kind)).to_bytes(4) == check)
        at += 12 + size


def is_shown(chunk: Chunk, header: memoryview, palette: memoryview) -> bool:
    """Whether an ancillary chunk holds a transparency that fits, or maybe the orientation."""
    kind, body, is_sound = chunk
    if not is_sound or len(body) > MAX_TEXT_BYTES:
        return False
    if kind == b"tRNS":
        colours = range(1, len(palette) // 3 + 1)
        return len(body) in {GREY: (2,), RGB: (6,), PALETTE: colours}.get(header[9], ())
    keyword, _, text = bytes(body).partition(b"\0")
    if kind == b"eXIf" or keyword not in ORIENTATION_KEYWORDS:
        return kind == b"eXIf"
    if kind == b"tEXt" or (kind == b"iTXt" and text[:1] == b"\0"):
        return True
    deflated = text.split(b"\0", 3)[-1] if kind == b"iTXt" else text[1:]
    inflater = zlib.decompressobj()
    try:
        inflater.decompress(deflated, MAX_TEXT_BYTES)
    except zlib.error:
        return False
    return inflater.eof


def written(chunk: Chunk) -> memoryview:
    """The content of a chunk, without most zeros of a file system that never wrote its end."""
    if chunk.is_sound:
        return chunk.body
    return chunk.body[: len(bytes(chunk.body).rstrip(b"\0")) + UNWRITTEN_BYTES]


def deflated_rows(pixels: bytes, header: memoryview) -> bytes:
    """The deflated rows as a zlib stream with a right header and checksum.

    Raises UnreadablePhotoError if they are fewer than the header says. If the stream ends well,
    Pillow leaves missing rows black and reports nothing.
    """
    missing, checksum = bytes_of_rows(header), zlib.adler32(b"")
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)  # a raw stream has no checksum
    end = ZLIB_HEADER_BYTES
    with contextlib.suppress(zlib.error):
        while missing >= 0 and not inflater.eof:
            piece = inflater.unconsumed_tail
            if not piece:
                piece = pixels[end : end + PIECE_BYTES]
                end += len(piece)
            rows = inflater.decompress(piece, INFLATED_BYTES)
            missing -= len(rows)
            checksum = zlib.adler32(rows, checksum)
            if not piece and not rows:
                break
    if missing > 0:
        raise UnreadablePhotoError(DAMAGED)
    if inflater.eof:
        pixels = pixels[: end - len(inflater.unused_data)] + checksum.to_bytes(4)
    return ZLIB_HEADER + pixels[ZLIB_HEADER_BYTES:]


def bytes_of_rows(header: memoryview) -> int:
    """How many bytes all rows have before they are deflated: each has its filter and its pixels."""
    width, height, depth, colour, _, _, is_interlaced = struct.unpack_from(">IIBBBBB", header)
    refuse_over(MAX_PIXELS, (width, height))
    bits = depth * CHANNELS[colour]
    total = 0
    for left, top, across, down in PASSES if is_interlaced else ((0, 0, 1, 1),):
        columns, rows = math.ceil((width - left) / across), math.ceil((height - top) / down)
        if columns > 0 and rows > 0:
            total += rows * (1 + math.ceil(columns * bits / 8))
    return total
