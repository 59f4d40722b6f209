"""Decode HEIF, and say what an ISO base media file holds (ISO/IEC 14496-12 and 23008-12)."""

import io
import re
import struct
from collections.abc import Iterator

from PIL import Image

from functions.serialize_image.reasons import (
    DAMAGED,
    MAX_PIXELS,
    UNSUPPORTED,
    UnreadablePhotoError,
    refuse_over,
)
from functions.serialize_image.scaling import thumbnail

AVIF_BRANDS = {b"avif", b"avis"}
HEIF_BRANDS = {b"mif1", b"msf1", b"miaf", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx",
               b"hevm", b"hevs"}  # fmt: skip
IN_FILE, IN_METADATA = 0, 1  # sources of an item's bytes
UNWRITTEN_BYTES = 32  # zeros at the end of an image: no encoder writes that many
OTHER_CODEC = re.compile(rb"avcC|vvcC|evcC|j2kH|uncC|jpgC|mjpg")


def is_heif(data: bytes) -> bool:
    """Whether an ISO base media file is a HEIF or an AVIF: by its brands, or its image items."""
    found = brands(data)
    return bool(found & (AVIF_BRANDS | HEIF_BRANDS)) or (
        bool(found) and b"pict" in box_at(data, b"meta")[:40]
    )


def holds_av1(heif: bytes) -> bool:
    """Whether the images in a HEIF are coded in AV1, so that it is an AVIF."""
    return bool(brands(heif) & AVIF_BRANDS) or b"av01" in metadata(heif)


def brands(data: bytes) -> set[bytes]:
    """What an ISO base media file says that it is; nothing for other files."""
    if data[4:8] != b"ftyp":
        return set()
    others = range(16, size_of_first_box(data), 4)
    return {data[8:12]} | {data[at : at + 4] for at in others}


def size_of_first_box(data: bytes) -> int:
    """The size of the first box in bytes. It claims up to 4 GB, and is no larger than the file."""
    return min(int.from_bytes(data[:4]), len(data))


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


def with_brand(data: bytes, brand: bytes) -> bytes:
    """The file with one brand only: decoders go by the brands, viewers by the content."""
    end = size_of_first_box(data)
    return data[:8] + brand + data[12:16] + brand * ((end - 16) // 4) + data[end:]


def avif_with_its_brand(data: bytes) -> bytes:
    return with_brand(data, b"avif" if box_at(data, b"meta") else b"avis")


def check_items(heif: bytes) -> None:
    """Raise UnreadablePhotoError if bytes of the main image are missing, or were never written.

    It may be a grid of other images, and libheif paints a missing one black. Images that the main
    one is not made of, such as its thumbnail, may be missing.
    """
    meta = box_at(heif, b"meta")[4:]
    numbers = box_at(meta, b"pitm")
    if not numbers:
        return  # a sequence without a still image
    parts = parts_of_images(box_at(meta, b"iref"))
    needed: set[int] = set()
    open_items = [int.from_bytes(numbers[4:])]
    while open_items:
        item = open_items.pop()
        if item not in needed:
            needed.add(item)
            open_items += parts.get(item, [])
    sources = {IN_FILE: heif, IN_METADATA: box_at(meta, b"idat")}
    for item, source, extents in item_locations(box_at(meta, b"iloc")):
        if item not in needed or source not in sources:
            continue
        for offset, length in extents:
            end = offset + length
            last_bytes = sources[source][max(offset, end - UNWRITTEN_BYTES) : end]
            if end > len(sources[source]) or last_bytes == bytes(UNWRITTEN_BYTES):
                raise UnreadablePhotoError(DAMAGED)


def parts_of_images(references: bytes) -> dict[int, list[int]]:
    """The items that each derived image of a HEIF is made of, by its number."""
    size = 4 if references[:1] == b"\1" else 2
    parts: dict[int, list[int]] = {}
    for kind, content in boxes(references[4:]):
        if kind == b"dimg":
            numbers = [content[at : at + size] for at in range(size + 2, len(content), size)]
            parts[int.from_bytes(content[:size])] = [int.from_bytes(part) for part in numbers]
    return parts


def item_locations(locations: bytes) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    """Number, source and extents (offset and length, in bytes) of each item of a HEIF."""
    file = io.BytesIO(locations)

    def number(size: int) -> int:
        return int.from_bytes(file.read(size))

    version = number(4) >> 24
    sizes = number(2)
    offset_size, length_size, base_size, index_size = (sizes >> bits & 15 for bits in (12, 8, 4, 0))
    wide = 4 if version > 1 else 2
    for _ in range(min(number(wide), len(locations))):
        item = number(wide)
        source = number(2) & 15 if version else 0
        is_elsewhere = number(2)
        base = number(base_size)
        count = number(2) if offset_size + length_size else 0
        extents = []
        for _ in range(count):
            number(index_size if version else 0)
            offset = base + number(offset_size)
            extents.append((offset, number(length_size)))
        yield item, -1 if is_elsewhere else source, extents


def decode_heif(data: bytes, side: int) -> Image.Image:
    """The small image in `data`; libheif has turned it upright.

    Read without pillow-heif's plugin for Pillow, which copies all pixels once more.
    """
    import pillow_heif  # noqa: PLC0415 only those who need it wait for its import

    described = metadata(data)
    if b"hvcC" not in described and OTHER_CODEC.search(described):
        raise UnreadablePhotoError(UNSUPPORTED)
    photo = pillow_heif.open_heif(
        with_brand(data, b"heic") if box_at(data, b"meta") else first_frame(data)
    )
    refuse_over(MAX_PIXELS, photo.size)
    pixels, stride, mode = photo.data, photo.stride, photo.mode

    def rows(top: int, end: int) -> Image.Image:
        band = bytes(pixels[top * stride : end * stride])
        return Image.frombytes(mode, (photo.size[0], end - top), band, "raw", mode, stride)

    return thumbnail(photo.size, rows, side)


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
