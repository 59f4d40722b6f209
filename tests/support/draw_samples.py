"""Draw the sample photos of the use cases scones and social: local/samples/<use case>/.

    python -m tests.support.draw_samples

Drawn, so that the project owns them, and always the same: every random number has a fixed seed.
"""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from local.processes import PROJECT, SAMPLE_PHOTOS

SIZE = WIDTH, HEIGHT = 600, 800  # pixels
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
    grain = random.standard_normal((HEIGHT, WIDTH)) * 7
    tray = 62 + 8 * smooth_noise(random, 300) + grain
    pixels = np.stack([tray, tray * 1.02, tray * 1.06], axis=-1)
    # The break: the two halves moved apart, with a rough edge between them.
    angle = random.uniform(-0.6, 0.6)
    across = (x - WIDTH / 2) * np.cos(angle) + (y - HEIGHT / 2) * np.sin(angle)
    edge = across + 5 * smooth_noise(random, 9) + 22 * smooth_noise(random, 40)
    gap = random.uniform(16, 26) if broken else 0.0
    shift = np.where(edge > 0, gap, -gap)
    along = (y - HEIGHT / 2) * np.cos(angle) - (x - WIDTH / 2) * np.sin(angle)
    along = along + np.where(edge > 0, 0.9, -0.9) * gap
    distance = np.hypot(across - shift, along * 1.05) + 5 * smooth_noise(random, 40)
    radius = random.uniform(195, 225)
    scone = (distance < radius) & ((np.abs(edge) > gap) | (not broken))
    height = np.clip(1 - (distance / radius) ** 2, 0, 1) ** 0.5
    crust = 6 * smooth_noise(random, 2) + 11 * smooth_noise(random, 9)
    light = 0.62 + 0.42 * height + 0.05 * smooth_noise(random, 60)
    for channel, value in enumerate((222, 170, 108)):
        pixels[..., channel] = np.where(scone, value * light + crust, pixels[..., channel])
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(9):
        turn, far = random.uniform(0, 2 * np.pi), radius * random.uniform(0.1, 0.8)
        column, row = int(WIDTH / 2 + far * np.cos(turn)), int(HEIGHT / 2 + far * np.sin(turn))
        size = random.uniform(8, 15)
        if scone[row, column]:
            box = column - size, row - size, column + size, row + size
            draw.ellipse(box, fill=(62, 34, 24))
    for _ in range(26 if broken else 3):
        column, row = random.uniform(90, 510), random.uniform(160, 690)
        draw.ellipse((column, row, column + 5, row + 4), fill=(206, 156, 98))
    return image.filter(ImageFilter.GaussianBlur(0.8))


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
        left, right = (180, 580) if own else (20, 420)
        colour = (208, 232, 255) if own else (255, 255, 255)
        draw.rounded_rectangle((left, row, right, row + 30 * lines + 24), 16, fill=colour)
        for line in range(lines):
            end = left + random.integers(180, 370)
            draw.rectangle((left + 20, row + 18 + 30 * line, end, row + 30 + 30 * line), "gray")
        row += 30 * lines + 44
    draw.rounded_rectangle((20, 730, 500, 782), 24, fill="white", outline=(200, 204, 210))
    draw.ellipse((520, 730, 572, 782), fill=(32, 96, 176))
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
            ("intact", 1, 1),
            ("intact", 2, 2),
            ("broken", 1, 3),
            ("broken", 2, 4),
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
