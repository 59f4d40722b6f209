"""Decide which bytes are a readable photo, and make a small upright image of it in bounded memory.

The serialize function, staging, the serving app and the review tool all decode with this module.
A photo is whole if it has all of its rows. Metadata, trailers, end markers and container brands
decide nothing: they are left out or corrected before a decoder sees them.
"""

import io
import re
import warnings

from PIL import Image, UnidentifiedImageError

from functions.serialize_image.heif import (
    avif_with_its_brand,
    check_items,
    decode_heif,
    holds_av1,
    is_heif,
)
from functions.serialize_image.jpeg import decode_jpeg
from functions.serialize_image.png import png_of_pixels
from functions.serialize_image.reasons import (
    DAMAGED,
    EMPTY,
    MAX_PIXELS,
    NOT_A_PHOTO,
    TOO_MANY_PIXELS,
    UNSUPPORTED,
    UnreadablePhotoError,
    refuse_over,
)
from functions.serialize_image.scaling import SIDE, small_upright
from functions.serialize_image.tiff import has_all_pixel_data
from functions.serialize_image.webp import webp_of_whole_chunks

__all__ = ["UnreadablePhotoError", "read", "shrink"]

QUALITY = 90  # of the JPEG that `shrink` makes

MAX_PIXELS_OF = {"WEBP": 20_000_000, "AVIF": 24_000_000, "TIFF": 24_000_000, "ICO": 24_000_000}

FORMATS = ("PNG", "GIF", "BMP", "WEBP", "AVIF", "TIFF", "ICO")  # and JPEG and HEIF
JPEG, PNG, WEBP, TIFF = (
    re.compile(signature, re.DOTALL)
    for signature in (rb"\xff\xd8\xff", rb"\x89PNG", rb"RIFF....WEBP", rb"II[*+]\0|MM\0[*+]")
)
GIF = re.compile(rb"GIF8")
OTHER_PHOTO = re.compile(  # formats of photos that no decoder here reads
    rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n"  # JPEG XL
    rb"|\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n"  # JPEG 2000
    rb"|II\xbc[\0\1]"  # JPEG XR
    rb"|8BPS|v/1\x01|\x8a?MNG\r\n|\x8bJNG\r\n|BPG\xfb|qoif"  # Photoshop, OpenEXR, and rare ones
    rb"|....ftypcrx |II\x1a\0\0\0HEAPCCDR"  # raw photos of Canon,
    rb"|FUJIFILMCCD-RAW|IIR[OS]\x08|IIU\0|\0MRM|FOVb",  # Fuji, Olympus, Panasonic, Minolta, Sigma
    re.DOTALL,
)

# Set once, not for each photo: photos are decoded in threads. Pillow refuses twice as many pixels.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2
warnings.filterwarnings("ignore", module=r"PIL\.")


def shrink(data: bytes, side: int = SIDE) -> bytes:
    """The photo in `data` as a JPEG without metadata, see `read`."""
    jpeg = io.BytesIO()
    read(data, side).save(jpeg, "JPEG", quality=QUALITY)
    return jpeg.getvalue()


def read(data: bytes, side: int = SIDE) -> Image.Image:
    """The photo in `data` as an upright RGB image, transparency on white.

    Its longest side is `side` pixels, or less if the photo is smaller. If the file is an animation
    or a burst, it is the first frame. Raises UnreadablePhotoError for anything except a whole photo
    within the limits.
    """
    if not data:
        raise UnreadablePhotoError(EMPTY)
    if OTHER_PHOTO.match(data):
        raise UnreadablePhotoError(UNSUPPORTED)
    try:
        return decode(data, side)
    except UnreadablePhotoError:
        raise
    except (Image.DecompressionBombError, MemoryError) as error:
        raise UnreadablePhotoError(TOO_MANY_PIXELS) from error
    except Exception as error:  # decoders raise anything on hostile bytes
        raise UnreadablePhotoError(reason_of(data, error)) from error


def reason_of(data: bytes, error: Exception) -> str:
    """Why a decoder failed with `error`."""
    if TIFF.match(data) and has_all_pixel_data(data):
        return UNSUPPORTED  # there are a hundred kinds of TIFF
    is_photo = any(kind.match(data) for kind in (JPEG, PNG, WEBP, TIFF, GIF)) or is_heif(data)
    return DAMAGED if is_photo or not isinstance(error, UnidentifiedImageError) else NOT_A_PHOTO


def decode(data: bytes, side: int) -> Image.Image:
    """The small upright image in `data`, by the decoder for its format."""
    if JPEG.match(data):
        return decode_jpeg(data, side)
    if PNG.match(data):
        return decode_with_pillow(png_of_pixels(data), side)
    if WEBP.match(data):
        return decode_with_pillow(webp_of_whole_chunks(data), side)
    if is_heif(data):
        check_items(data)
        if holds_av1(data):
            return decode_with_pillow(avif_with_its_brand(data), side)
        return decode_heif(data, side)
    return decode_with_pillow(data, side)


def decode_with_pillow(data: bytes, side: int) -> Image.Image:
    photo = Image.open(io.BytesIO(data), formats=FORMATS)
    refuse_over(MAX_PIXELS_OF.get(str(photo.format), MAX_PIXELS), photo.size)
    if photo.mode in {"I", "F"}:  # 32 bits of grey have no common scale
        raise UnreadablePhotoError(UNSUPPORTED)
    photo.load()
    return small_upright(photo, side)
