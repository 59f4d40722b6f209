"""Why a photo cannot be read, in words for a courier, and how many pixels are too many."""

EMPTY = "the file is empty"
NOT_A_PHOTO = "the file is not a photo"
DAMAGED = "the photo is damaged, please take it again"
UNSUPPORTED = "this photo format cannot be read, please send the photo as a JPEG"
TOO_MANY_PIXELS = "the photo has too many pixels, please send a smaller one"

# What decodes within 512 MB; benchmarks/serialize_image.py measures it.
MAX_PIXELS = 52_000_000  # 50-megapixel cameras write up to 8192 x 6144


class UnreadablePhotoError(ValueError):
    """The photo cannot be read; the message is one of the reasons above."""


def refuse_over(limit: int, size: tuple[int, int]) -> None:
    """Raise UnreadablePhotoError for a photo of more than `limit` pixels."""
    if size[0] * size[1] > limit:
        raise UnreadablePhotoError(TOO_MANY_PIXELS)
