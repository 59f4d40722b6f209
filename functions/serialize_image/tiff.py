"""Tell apart a TIFF that is cut and a whole one of an unsupported kind."""

import io

from PIL import TiffImagePlugin

WIDTH, HEIGHT = 256, 257
BIG = 43  # the version of a TIFF with offsets of 8 bytes
PIXEL_DATA = ((273, 279), (324, 325))  # tags of the offsets and the lengths: of strips, or of tiles


def has_all_pixel_data(tiff: bytes) -> bool:
    """Whether the file has the size of its first photo, and all bytes of its pixels."""
    try:
        header = tiff[: 16 if BIG in tiff[2:4] else 8]
        directory = TiffImagePlugin.ImageFileDirectory_v2(header)
        file = io.BytesIO(tiff)
        file.seek(directory.next)
        directory.load(file)
        pieces = [
            piece
            for offsets, lengths in PIXEL_DATA
            if offsets in directory
            for piece in zip(directory[offsets], directory[lengths], strict=True)
        ]
    except Exception:  # noqa: BLE001 Pillow raises anything on hostile bytes
        return False
    return (
        WIDTH in directory
        and HEIGHT in directory
        and bool(pieces)
        and all(length and offset + length <= len(tiff) for offset, length in pieces)
    )
