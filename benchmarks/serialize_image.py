"""Measure how SerializeImage shrinks photos: time against a full decode, peak memory by format.

    .venv/bin/python -m benchmarks.serialize_image
    .venv/bin/python -m benchmarks.serialize_image --photo photo.jpg --runs 50

A full decode is what most examples do: open, rotate upright, resize, save. Peak memory is that of a
process with all imports of the function; Lambda adds about 30 MB for its runtime. For each format
it is measured on drawn photos with noise, at the limits of the function.
"""

import argparse
import io
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pillow_heif
from PIL import Image, ImageOps

from functions.serialize_image.photo import shrink
from functions.serialize_image.scaling import SIDE

REPOSITORY = Path(__file__).resolve().parents[1]

MEASURE = """
import sys, time, pathlib
from benchmarks import serialize_image
from functions.serialize_image import app, photo
data = pathlib.Path(sys.argv[1]).read_bytes()
start = time.process_time()
{"shrink": photo.shrink, "full": serialize_image.full_decode}[sys.argv[2]](data)
seconds = time.process_time() - start
status = pathlib.Path("/proc/self/status").read_text()
print(int(status.split("VmHWM:")[1].split()[0]) // 1024, seconds)
"""

LARGEST: list[tuple[str, str, tuple[int, int], dict[str, Any]]] = [
    ("JPEG", "JPEG", (16_320, 12_240), {"quality": 85}),
    ("JPEG, progressive, 4:4:4", "JPEG", (8_192, 6_144), {"progressive": True, "subsampling": 0}),
    ("PNG", "PNG", (8_192, 6_144), {"compress_level": 1}),
    ("HEIC", "HEIF", (8_192, 6_144), {"quality": 40, "enc_params": {"preset": "ultrafast"}}),
    ("GIF", "GIF", (8_192, 6_144), {}),
    ("BMP, palette", "BMP", (8_192, 6_144), {}),
    ("WebP", "WEBP", (5_120, 3_840), {"method": 0}),
    ("AVIF", "AVIF", (5_656, 4_242), {"speed": 10}),
    ("TIFF, LZW", "TIFF", (5_656, 4_242), {"compression": "tiff_lzw"}),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--photo", type=Path, help="the photo to time (default: a drawn JPEG of 12 megapixels)"
    )
    parser.add_argument(
        "--runs", type=int, default=20, help="runs of each kind (default: %(default)s)"
    )
    arguments = parser.parse_args()
    pillow_heif.register_heif_opener()
    with tempfile.TemporaryDirectory() as folder:
        drawn = Path(folder) / "photo.jpg"
        draw((4000, 3000), colours=True).save(drawn, quality=90)
        compare(arguments.photo or drawn, arguments.runs)
    print(f"\n{'at the limits':28}{'pixels':>15}{'file':>9}{'CPU time':>10}{'peak':>9}")
    with tempfile.TemporaryDirectory() as folder:
        for name, file_format, size, options in LARGEST:
            path = Path(folder) / "photo"
            draw(size, colours=file_format not in {"GIF", "BMP"}).save(path, file_format, **options)
            memory, seconds = measure(path, "shrink")
            print(
                f"{name:28}{size[0]:>7} x {size[1]:>5}{path.stat().st_size / 1e6:>6.1f} MB"
                f"{seconds:>8.1f} s{memory:>6.0f} MB",
                flush=True,
            )


def compare(photo: Path, runs: int) -> None:
    """Print time and memory of `shrink` and of a full decode; the runs alternate."""
    data = photo.read_bytes()
    with Image.open(photo) as image:
        print(f"{photo.name}: {image.width} x {image.height}, {len(data) / 1e6:.1f} MB")
    times: dict[Callable[[bytes], bytes], list[float]] = {shrink: [], full_decode: []}
    for _ in range(runs):
        for function, seconds in times.items():
            start = time.process_time()
            function(data)
            seconds.append(time.process_time() - start)
    ours, full = (1000 * statistics.median(seconds) for seconds in times.values())
    our_memory, full_memory = (measure(photo, kind)[0] for kind in ("shrink", "full"))
    print(f"{'shrink':28}{ours:>7.0f} ms {our_memory:>6.0f} MB peak")
    print(f"{'full decode and resize':28}{full:>7.0f} ms {full_memory:>6.0f} MB peak")
    print(f"{'ratio':28}{ours / full:>7.2f}    {our_memory / full_memory:>6.2f}")


def full_decode(data: bytes) -> bytes:
    """The JPEG that Pillow makes: open, rotate, resize, save."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    image = ImageOps.contain(image, (SIDE, SIDE), Image.Resampling.LANCZOS)
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG", quality=90)
    return jpeg.getvalue()


def measure(path: Path, kind: str) -> tuple[float, float]:
    """Peak memory, in MB, and processor time, in seconds, of a fresh process."""
    result = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path), kind],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
        env={"AWS_DEFAULT_REGION": "eu-west-1"},
    )
    memory, seconds = result.stdout.split()
    return float(memory), float(seconds)


def draw(size: tuple[int, int], *, colours: bool) -> Image.Image:
    """A noisy gradient of that many pixels, in RGB or in palette colours."""
    noise = Image.effect_noise((512, 512), 40)
    gradient = Image.linear_gradient("L").resize(size)
    for x in range(0, size[0], noise.width):
        for y in range(0, size[1], noise.height):
            box = (x, y, min(x + noise.width, size[0]), min(y + noise.height, size[1]))
            part = noise.crop((0, 0, box[2] - x, box[3] - y))
            gradient.paste(Image.blend(gradient.crop(box), part, 0.2), box)
    return Image.merge("RGB", [gradient, gradient, gradient]) if colours else gradient.convert("P")


if __name__ == "__main__":
    main()
