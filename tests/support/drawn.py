"""Photos, and folders of them, that the tests draw for themselves."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

LABELS = ("bicycle", "motorcycle", "other")
SIDE = 120  # pixels of a drawn photo
COLOURS = {"bicycle": "red", "motorcycle": "blue", "other": "yellow"}


def draw_photo(
    seed: int, width: int = SIDE, height: int = SIDE, frame: str | None = None
) -> Image.Image:
    """A photo of random shapes. Photos of different seeds differ, also after a change of size.

    A frame of a colour is what a model can learn from.
    """
    random = np.random.default_rng(seed)
    image = Image.new("RGB", (width, height), tuple(random.integers(0, 256, 3).tolist()))
    canvas = ImageDraw.Draw(image)
    for _ in range(12):
        x, y = random.random(2) * (width, height)
        w, h = (0.1 + 0.4 * random.random(2)) * (width, height)
        colour = tuple(random.integers(0, 256, 3).tolist())
        shape = canvas.ellipse if random.random() < 0.5 else canvas.rectangle
        shape((x, y, x + w, y + h), fill=colour)
    if frame:
        canvas.rectangle((0, 0, width - 1, height - 1), outline=frame, width=width // 6)
    return image


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def write_cifar(directory: Path, train: list[tuple[str, int]], test: list[tuple[str, int]]) -> Path:
    """CIFAR-100's binary layout with drawn photos, given as (class, seed)."""
    names = [f"class_{at}" for at in range(100)]
    names[8], names[48] = "bicycle", "motorcycle"
    directory.mkdir(parents=True)
    (directory / "fine_label_names.txt").write_text("\n".join(names))
    (directory / "coarse_label_names.txt").write_text("things")
    for split, pictures in (("train", train), ("test", test)):
        records = b""
        for label, seed in pictures:
            planes = np.asarray(draw_photo(seed, 32, 32)).transpose(2, 0, 1)
            records += bytes([0, names.index(label)]) + planes.tobytes()
        (directory / f"{split}.bin").write_bytes(records)
    return directory


def write_photos(
    directory: Path, count: int, first_seed: int = 0, labels: tuple[str, ...] = LABELS
) -> Path:
    """`count` drawn photos of each label, of four sources, with a frame of the label's colour."""
    for at, label in enumerate(labels):
        (directory / label).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            seed = first_seed + 1000 * at + number
            image = draw_photo(seed, SIDE, SIDE + 40 * (number % 2), COLOURS.get(label, "white"))
            image.save(directory / label / f"source{number % 4}__{seed}.jpg", quality=95)
    return directory
