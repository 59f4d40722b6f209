"""Turn the bytes of any photo into a small upright JPEG, in bounded memory."""

import io
import itertools
import math
import re
import warnings
from collections.abc import Callable, Iterator

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

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "AVIF", "TIFF", "ICO")  # and HEIF
MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")  # neither an escaped byte nor a restart
SIGNATURE = re.compile(rb"\xff\xd8\xff|\x89PNG|GIF8|II\*\0|MM\0\*|....ftypavi[fs]", re.DOTALL)

EMPTY = "the file is empty"
NOT_A_PHOTO = "the file is not a photo"
DAMAGED = "the photo is damaged, please take it again"
TOO_MANY_PIXELS = "the photo has too many pixels, please send a smaller one"


class UnreadablePhotoError(ValueError):
    """The photo cannot be read; the message says why, in words for a courier."""


def shrink(data: bytes) -> bytes:
    """The photo in `data` as a JPEG: upright, RGB, transparency on white, without metadata.

    Its longest side is `SIDE` pixels, or less where the photo is smaller; of an animation it is
    the first frame. Raises UnreadablePhotoError for anything but a whole photo within the limits.
    """
    if not data:
        raise UnreadablePhotoError(EMPTY)
    with warnings.catch_warnings(action="ignore"):
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            small = decode_heif(data) if is_heif(data) else decode(data)
        except UnreadablePhotoError:
            raise
        except UnidentifiedImageError as error:
            reason = DAMAGED if SIGNATURE.match(data) else NOT_A_PHOTO
            raise UnreadablePhotoError(reason) from error
        except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
            raise UnreadablePhotoError(TOO_MANY_PIXELS) from error
        except Exception as error:  # decoders raise anything on hostile bytes
            raise UnreadablePhotoError(DAMAGED) from error
    jpeg = io.BytesIO()
    small.save(jpeg, "JPEG", quality=QUALITY)
    return jpeg.getvalue()


def decode(data: bytes) -> Image.Image:
    """The small upright image in `data`, of any format that Pillow reads."""
    is_jpeg = data.startswith(b"\xff\xd8\xff")
    Image.MAX_IMAGE_PIXELS = MAX_STREAMED_PIXELS if is_jpeg else MAX_PIXELS
    photo = Image.open(io.BytesIO(data), formats=FORMATS)
    if isinstance(photo, JpegImagePlugin.JpegImageFile):
        refuse_over(jpeg_limit(photo, data), photo.size)
        photo.draft("RGB", reduced_size(photo.size))
    else:
        refuse_over(MAX_PIXELS_OF.get(str(photo.format), MAX_PIXELS), photo.size)
    photo.load()
    small = thumbnail(photo.size, lambda top, end: photo.crop((0, top, photo.width, end)))
    return upright(small, orientation(photo))


def is_heif(data: bytes) -> bool:
    """Whether the file is HEIF (HEIC among it), which libheif reads and Pillow does not."""
    brands = data[8 : int.from_bytes(data[:4])]
    if data[4:8] != b"ftyp" or b"avif" in brands or b"avis" in brands:
        return False
    import pillow_heif  # noqa: PLC0415 only those who need it wait for its import

    return pillow_heif.is_supported(data)


def decode_heif(data: bytes) -> Image.Image:
    """The small image in `data`; libheif has turned it upright.

    Read without pillow-heif's plugin for Pillow, which copies all pixels once more.
    """
    import pillow_heif  # noqa: PLC0415

    photo = pillow_heif.open_heif(data)
    refuse_over(MAX_PIXELS, photo.size)
    pixels, stride, mode = photo.data, photo.stride, photo.mode

    def rows(top: int, end: int) -> Image.Image:
        band = bytes(pixels[top * stride : end * stride])
        return Image.frombytes(mode, (photo.size[0], end - top), band, "raw", mode, stride)

    return thumbnail(photo.size, rows)


def refuse_over(limit: int, size: tuple[int, int]) -> None:
    """Raise UnreadablePhotoError for a photo of more than `limit` pixels."""
    if size[0] * size[1] > limit:
        raise UnreadablePhotoError(TOO_MANY_PIXELS)


def jpeg_limit(photo: JpegImagePlugin.JpegImageFile, data: bytes) -> int:
    """How many pixels of this JPEG fit into memory.

    Where one scan holds all components, rows are decoded as they come. Otherwise libjpeg keeps
    the coefficients of the whole photo, and goes through all of them again for each scan: raises
    UnreadablePhotoError where hostile bytes ask for that too often.
    """
    scans = list(itertools.islice(scan_components(data), MAX_SCANS + 1))
    if scans[:1] == [photo.layers] and "progressive" not in photo.info:
        return MAX_STREAMED_PIXELS
    if len(scans) > MAX_SCANS:
        raise UnreadablePhotoError(DAMAGED)
    return MAX_BUFFERED_SAMPLES // photo.layers


def scan_components(jpeg: bytes) -> Iterator[int]:
    """How many components each scan holds, by the segments of a JPEG (ITU-T T.81, B.1)."""
    start, end_of_image, start_of_scan = 2, 0xD9, 0xDA
    while (marker := MARKER.search(jpeg, start)) and marker[1][0] != end_of_image:
        start = marker.end() + int.from_bytes(jpeg[marker.end() : marker.end() + 2])
        if marker[1][0] == start_of_scan:
            yield int.from_bytes(jpeg[marker.end() + 2 : marker.end() + 3])


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
