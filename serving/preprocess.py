"""Turn the bytes of a photo into the tensor that the model takes.

The one definition of the model's input: serving, validation and evaluation all call `preprocess`,
so what the model is measured on is what it is served.
"""

import math

import numpy
from PIL import Image

from functions.serialize_image.photo import read

PADDING_COLOUR = (124, 116, 104)  # the mean colour of natural photos: reads as "nothing here"


def preprocess(image_bytes: bytes, input_size: int) -> numpy.ndarray:
    """Decode a photo and fit it into the model's square input.

    Returns float32 [1, 3, input_size, input_size], RGB, pixel values 0 to 255.
    Raises UnreadablePhotoError, a ValueError with a reason that a courier understands.
    """
    image = fit_square(read(image_bytes), input_size)
    pixels = numpy.asarray(image, dtype=numpy.float32)
    return numpy.ascontiguousarray(pixels.transpose(2, 0, 1))[numpy.newaxis]


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
