"""Draw the sample photos of the use cases scones and social: local/samples/<use case>/.

    .venv/bin/python -m tests.support.draw_samples

Drawn, so that the project owns them, and always the same: every random number has a fixed seed.
"""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from local.processes import PROJECT, SAMPLE_PHOTOS

SIZE = WIDTH, HEIGHT = 576, 768  # pixels
SAMPLES = PROJECT / "local" / "samples"


def smooth_noise(random: np.random.Generator, radius: float) -> np.ndarray:
    """Noise of a size in pixels, mean 0 and deviation 1."""
    rows, columns = int(HEIGHT / radius) + 2, int(WIDTH / radius) + 2
    field = Image.fromarray(random.standard_normal((rows, columns)).astype(np.float32))
    values = np.asarray(field.resize(SIZE, Image.Resampling.BICUBIC))
    return (values - values.mean()) / values.std()


def baking_tray(seed: int, *, broken: bool) -> Image.Image:
    """A scone on a dark tray from above. A broken one is in two parts, with crumbs."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    grey = 78 + 6 * smooth_noise(random, 300) + 9 * random.standard_normal((HEIGHT, WIDTH))
    pixels = np.stack([grey, grey * 1.02, grey * 1.04], axis=-1)

    # The outline, in coordinates along and across the break.
    angle, radius = random.uniform(-0.6, 0.6), random.uniform(150, 175)
    centre = WIDTH / 2 + random.uniform(-30, 30), HEIGHT / 2 + random.uniform(-40, 40)
    across = (x - centre[0]) * np.cos(angle) + (y - centre[1]) * np.sin(angle)
    along = (y - centre[1]) * np.cos(angle) - (x - centre[0]) * np.sin(angle)
    edge = across + 4 * smooth_noise(random, 8) + 20 * smooth_noise(random, 40)
    gap = random.uniform(12, 20) if broken else 0.0
    moved = np.where(edge > 0, gap, -gap)  # the parts lie so far apart
    distance = np.hypot(across - moved, 1.06 * (along + 0.9 * moved))
    distance += 4 * smooth_noise(random, 45) + 2 * smooth_noise(random, 10)
    scone = (distance < radius) & ((np.abs(edge) > gap) | (not broken))

    shape = Image.fromarray((scone * 255).astype(np.uint8))
    shadow = shape.transform(SIZE, Image.Transform.AFFINE, (1, 0, -8, 0, 1, -10))
    pixels *= 1 - 0.55 * np.asarray(shadow.filter(ImageFilter.GaussianBlur(9)))[..., None] / 255

    height = np.clip(1 - (distance / radius) ** 2, 0, 1) ** 0.5
    cracks = np.exp(-((smooth_noise(random, 22) / 0.12) ** 2)) * (height > 0.35)
    bumps = np.gradient(30 * smooth_noise(random, 16) + 18 * smooth_noise(random, 7))
    crumb = 6 * smooth_noise(random, 3) + 6 * smooth_noise(random, 12) + 2 * (bumps[0] + bumps[1])
    light = 0.7 + 0.36 * height + 0.06 * smooth_noise(random, 70)
    for channel, (colour, depth) in enumerate(((205, 40), (163, 50), (108, 60))):
        crust = colour * light + crumb - depth * cracks
        pixels[..., channel] = np.where(scone, crust, pixels[..., channel])
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))

    draw = ImageDraw.Draw(image)
    for _ in range(8):  # raisins
        turn, far = random.uniform(0, 2 * np.pi), radius * random.uniform(0.1, 0.85)
        column, row = centre[0] + far * np.cos(turn), centre[1] + far * np.sin(turn)
        size = random.uniform(9, 17)
        if scone[int(row), int(column)]:
            dot(draw, column, row, size, (66, 40, 32))
            dot(draw, column - 0.2 * size, row - 0.3 * size, 0.3 * size, (104, 72, 60))
    for _ in range(22 if broken else 4):
        place = random.uniform(60, WIDTH - 60), random.uniform(120, HEIGHT - 80)
        dot(draw, *place, random.uniform(1, 2.5), (196, 150, 96))
    return image.filter(ImageFilter.GaussianBlur(0.7))


def dot(
    draw: ImageDraw.ImageDraw, column: float, row: float, size: float, colour: tuple[int, int, int]
) -> None:
    """A flat ellipse; `size` is half its width in pixels."""
    draw.ellipse((column - size, row - 0.8 * size, column + size, row + 0.8 * size), fill=colour)


def screenshot() -> Image.Image:
    """A chat on a phone: bars, bubbles, and lines for words."""
    random = np.random.default_rng(5)
    image = Image.new("RGB", SIZE, (246, 247, 249))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, WIDTH, 92), fill=(32, 96, 176))
    draw.text((28, 14), "12:41", fill="white", font_size=20)
    draw.text((28, 46), "Scones Unlimited", fill="white", font_size=30)
    row = 120
    for own in (False, False, True, False, True, True):
        lines = int(random.integers(1, 4))
        left, right = (180, 556) if own else (20, 420)
        colour = (208, 232, 255) if own else (255, 255, 255)
        draw.rounded_rectangle((left, row, right, row + 30 * lines + 24), 16, fill=colour)
        for line in range(lines):
            end = left + random.integers(180, 370)
            draw.rectangle((left + 20, row + 18 + 30 * line, end, row + 30 + 30 * line), "gray")
        row += 30 * lines + 44
    draw.rounded_rectangle((20, 700, 480, 752), 24, fill="white", outline=(200, 204, 210))
    draw.ellipse((500, 700, 552, 752), fill=(32, 96, 176))
    return image


def encoded(image: Image.Image, form: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **({"quality": 80} if form == "JPEG" else {"optimize": True}))
    return stream.getvalue()


def samples() -> dict[str, bytes]:
    """Content of each sample by its path below local/samples; names begin with the label."""
    trays = {
        f"scones/{label}-{number}.jpg": baking_tray(seed, broken=label == "broken")
        for label, number, seed in (
            ("intact", 1, 7),
            ("intact", 2, 8),
            ("broken", 1, 4),
            ("broken", 2, 5),
        )
    }
    bicycle = (SAMPLE_PHOTOS / "bicycle-racing.webp").read_bytes()
    return {name: encoded(image, "JPEG") for name, image in trays.items()} | {
        "scones/other-bicycle.webp": bicycle,
        "social/food-scone.jpg": (SAMPLE_PHOTOS / "no-vehicle-scone.jpg").read_bytes(),
        "social/food-tray.jpg": encoded(trays["scones/intact-1.jpg"], "JPEG"),
        "social/delivery-bicycle.webp": bicycle,
        "social/screenshot-chat.png": encoded(screenshot(), "PNG"),
    }


def main() -> None:
    for name, content in samples().items():
        path: Path = SAMPLES / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        print(f"{len(content) / 1000:7.1f} kB  {name}")


if __name__ == "__main__":
    main()
