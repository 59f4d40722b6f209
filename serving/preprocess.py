"""Turn the bytes of a photo into the tensor that the model takes.

The one definition of the model's input: serving, validation and evaluation all call `preprocess`,
so the model is measured on the input that it gets in production.
"""

import math

import numpy
from PIL import Image

from functions.serialize_image.photo import read

PADDING_COLOUR = (124, 116, 104)  # the mean colour of natural photos: reads as "nothing here"

CELL = 32  # pixels of a cell of the activation: the stride of the backbone


def preprocess(image_bytes: bytes, input_size: int) -> numpy.ndarray:
    """Decode a photo and fit it into the model's square input.

    Returns float32 [1, 3, input_size, input_size], RGB, pixel values 0 to 255.
    Raises UnreadablePhotoError, a ValueError with a reason that a courier understands.
    """
    image = fit_square(read(image_bytes), input_size)
    pixels = numpy.asarray(image, dtype=numpy.float32)
    return numpy.ascontiguousarray(pixels.transpose(2, 0, 1))[numpy.newaxis]


def activation_of_photo(activation: numpy.ndarray, image_bytes: bytes) -> numpy.ndarray:
    """The part of the model's activation [h, w, k] that covers the photo, float [k, rows, columns].

    At each place, the numbers of all labels are shifted so that their mean is 0: probabilities do
    not depend on it.
    """
    image = read(image_bytes)
    cells = len(activation)
    left, top, right, bottom = placement(image.width / image.height, cells * CELL)
    shape = (max(1, round((right - left) / CELL)), max(1, round((bottom - top) / CELL)))
    box = (left / CELL, top / CELL, right / CELL, bottom / CELL)
    shifted = activation - activation.mean(axis=2, keepdims=True)
    parts = [Image.fromarray(part) for part in shifted.transpose(2, 0, 1)]
    resized = [part.resize(shape, Image.Resampling.BILINEAR, box) for part in parts]
    return numpy.stack([numpy.asarray(part) for part in resized])


def fit_square(image: Image.Image, size: int) -> Image.Image:
    """Scale into a square of `size` pixels: squeeze the longer side by half, pad the rest.

    The aspect ratio becomes its square root. On validation this was more accurate than keeping it,
    stretching to a square, cropping, and padding with the border.
    """
    left, top, right, bottom = placement(image.width / image.height, size)
    fitted = image.resize((right - left, bottom - top), Image.Resampling.BILINEAR)
    square = Image.new("RGB", (size, size), PADDING_COLOUR)
    square.paste(fitted, (left, top))
    return square


def placement(aspect: float, size: int) -> tuple[int, int, int, int]:
    """Where `fit_square` puts a photo of this width over height: left, top, right, bottom."""
    ratio = math.sqrt(aspect)
    width, height = (max(1, round(size * min(1, side))) for side in (ratio, 1 / ratio))
    left, top = (size - width) // 2, (size - height) // 2
    return left, top, left + width, top + height
