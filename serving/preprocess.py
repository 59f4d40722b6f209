"""Turn the bytes of a photo into the tensor that the model takes.

The one definition of decoding and resizing: serving, validation and evaluation all call
`preprocess`, so what the model is measured on is what it is served.
"""

import io
import math
from collections.abc import Callable

import numpy
from PIL import Image, ImageOps

MAX_BYTES = 25 * 1024 * 1024  # what a SageMaker real-time endpoint takes
MAX_PIXELS = 50_000_000  # the largest photo that today's phones make
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")
PADDING_COLOUR = (124, 116, 104)  # the mean colour of natural photos: reads as "nothing here"

NOT_A_PHOTO = "the file is not a photo (JPEG, PNG, WebP, AVIF, TIFF, BMP or GIF)"
TOO_MANY_PIXELS = f"the photo has more than {MAX_PIXELS // 1_000_000} megapixels"
DAMAGED = "the photo is damaged, please take it again"


def preprocess(image_bytes: bytes, input_size: int) -> numpy.ndarray:
    """Decode a photo and fit it into the model's square input.

    Returns float32 [1, 3, input_size, input_size], RGB, pixel values 0 to 255.
    Raises ValueError, with a reason that a courier understands, for anything that is not a
    decodable image or is over the byte or pixel limit.
    """
    image = fit_square(decode(image_bytes, input_size), input_size)
    pixels = numpy.asarray(image, dtype=numpy.float32)
    return numpy.ascontiguousarray(pixels.transpose(2, 0, 1))[numpy.newaxis]


def decode(image_bytes: bytes, smallest_side: int) -> Image.Image:
    """The upright RGB image in `image_bytes`. Raises ValueError like `preprocess`.

    A large JPEG is decoded at a reduced scale, with neither side under twice `smallest_side`.
    """
    if not image_bytes:
        raise ValueError("the file is empty")
    if len(image_bytes) > MAX_BYTES:
        raise ValueError(f"the file is larger than {MAX_BYTES // 1024**2} MB")
    image = _guarded(
        lambda: Image.open(io.BytesIO(image_bytes), formats=FORMATS), reason=NOT_A_PHOTO
    )
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(TOO_MANY_PIXELS)
    image.draft("RGB", (2 * smallest_side, 2 * smallest_side))
    return _guarded(lambda: _to_rgb(ImageOps.exif_transpose(image)), reason=DAMAGED)


def fit_square(image: Image.Image, size: int) -> Image.Image:
    """Scale into a square of `size` pixels: squeeze the longer side by half, pad the rest.

    The aspect ratio becomes its square root. On validation this beat keeping it, giving it up
    whole, cropping, and padding with the border.
    """
    ratio = math.sqrt(image.width / image.height)
    width, height = round(size * min(1, ratio)), round(size * min(1, 1 / ratio))
    fitted = image.resize((max(1, width), max(1, height)), Image.Resampling.BILINEAR)
    square = Image.new("RGB", (size, size), PADDING_COLOUR)
    square.paste(fitted, ((size - fitted.width) // 2, (size - fitted.height) // 2))
    return square


def _guarded(read: Callable[[], Image.Image], reason: str) -> Image.Image:
    try:
        return read()
    except MemoryError:
        raise
    except Image.DecompressionBombError as error:
        raise ValueError(TOO_MANY_PIXELS) from error
    except Exception as error:  # Pillow's decoders raise anything on hostile bytes
        raise ValueError(reason) from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode == "I":  # 16 bits of grey
        grey = numpy.asarray(image).astype(numpy.float32) / 257
        image = Image.fromarray(grey.clip(0, 255).astype(numpy.uint8))
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        rgba = image.convert("RGBA")
        canvas = Image.new("RGBA", rgba.size, "white")
        image = Image.alpha_composite(canvas, rgba)
    return image.convert("RGB")
