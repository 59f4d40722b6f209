"""Estimated and true accuracy on corrupted photos, and the delay of AccuracyDropAlarm."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageEnhance, ImageFilter

from benchmarks.drift_detection import HEADER, print_delays, print_false_alarms
from benchmarks.drift_photos import METADATA, MODEL, NAME, REVIEWING, Photos, rate
from functions.measure_drift.report import DROP
from serving.preprocess import preprocess

Corruption = Callable[[Image.Image, np.random.Generator], Image.Image]


def noisy(image: Image.Image, generator: np.random.Generator, strength: float) -> Image.Image:
    pixels = np.asarray(image, np.float32)
    noise = generator.normal(0, strength, pixels.shape)
    return Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8))


def night(image: Image.Image, generator: np.random.Generator) -> Image.Image:
    return noisy(ImageEnhance.Brightness(image).enhance(0.2), generator, 12)


def dusk(image: Image.Image, generator: np.random.Generator) -> Image.Image:
    return noisy(ImageEnhance.Brightness(image).enhance(0.45), generator, 6)


def blurred(image: Image.Image, _: np.random.Generator) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(max(image.size) / 60))


def dirty(image: Image.Image, _: np.random.Generator) -> Image.Image:
    """A veil over everything, as of fog or of grease on the lens."""
    return Image.blend(image, Image.new("RGB", image.size, (190, 190, 190)), 0.6)


def sideways(image: Image.Image, _: np.random.Generator) -> Image.Image:
    return image.rotate(90, expand=True)


def broken(image: Image.Image, generator: np.random.Generator) -> Image.Image:
    """Stripes of noise over the lower two thirds, as of a camera that loses data."""
    pixels = np.asarray(image).copy()
    rows = generator.integers(0, 256, (len(pixels), 1, 3), dtype=np.uint8)
    start = len(pixels) // 3
    pixels[start:] = (0.3 * pixels[start:] + 0.7 * rows[start:]).astype(np.uint8)
    return Image.fromarray(pixels)


CORRUPTIONS: dict[str, Corruption] = {
    "as they are": lambda image, _: image,
    "dusk": dusk,
    "night": night,
    "blurred": blurred,
    "dirty lens": dirty,
    "sideways": sideways,
    "broken camera": broken,
}


def predict(dataset: Path, rows: list[dict[str, str]], corrupt: Corruption) -> Photos:
    """The predictions of the served model for corrupted photos."""
    session = onnxruntime.InferenceSession(MODEL / "model.onnx", providers=["CPUExecutionProvider"])
    generator = np.random.default_rng(2)
    outputs, novelty = [], []
    for row in rows:
        with Image.open(dataset / row["file"]) as image:
            file = io.BytesIO()
            corrupt(image.convert("RGB"), generator).save(file, "JPEG", quality=90)
        pixels = preprocess(file.getvalue(), METADATA["input_size"])
        probability, novel = session.run(["probabilities", "novelty"], {"image": pixels})
        outputs.append(probability[0])
        novelty.append(novel[0])
    probabilities = np.array(outputs)
    labels = np.array(METADATA["labels"])[probabilities.argmax(axis=1)]
    truth = np.array([row["label"] for row in rows])
    correct = (labels == truth).astype(float)
    return Photos(labels, probabilities.max(axis=1), np.array(novelty), correct)


def accuracy(dataset: Path, runs: int, quarters: int) -> None:
    """Print estimated and true accuracy on corrupted photos, and the delays on streams of them."""
    with (dataset / "manifest.csv").open() as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if row["split"] == "test" and row["file"].startswith("photos/")
        ]
    print(f"{len(rows)} photos of the test split, model {NAME}")
    print(f"{'':16}{'true accuracy':>24}{'estimated':>11}{'gap':>7}{'below':>8}{'novelty':>9}")
    found = {name: predict(dataset, rows, corrupt) for name, corrupt in CORRUPTIONS.items()}
    for name, photos in found.items():
        correct, estimate = int(photos.correct.sum()), float(photos.confidence.mean())
        gap = 100 * (estimate - photos.accuracy)
        print(
            f"{name:16}{rate(correct, len(rows)):>24}{100 * estimate:>10.1f}%{gap:>+7.1f}"
            f"{100 * photos.below.mean():>7.1f}%{photos.novelty.mean():>9.3f}"
        )
    print("By source, 20 photos or more, as they are:")
    clean = found["as they are"]
    sources = np.array([row["source"] for row in rows])
    for source in sorted(set(sources), key=lambda source: -(sources == source).sum()):
        of_source = sources == source
        if of_source.sum() >= 20:
            part = clean.take(of_source)
            gap = 100 * (float(part.confidence.mean()) - part.accuracy)
            share = rate(int(part.correct.sum()), len(part.correct))
            print(f"  {source:14}{share:>24}{100 * part.confidence.mean():>10.1f}%{gap:>+7.1f}")
    print()
    print_false_alarms("500 photos of the test split a day", clean, quarters, 500)
    print(f"\nAs many photos corrupted as lower the accuracy by 5 points; {runs} runs:")
    print(HEADER)
    for name, photos in list(found.items())[1:]:
        lost = clean.accuracy - photos.accuracy
        if lost < DROP:
            print(f"{name:52}  accuracy falls by {100 * lost:.1f} points at most")
            continue
        generator = np.random.default_rng(3)
        copies = 20
        corrupted = generator.random(copies * len(rows)) < DROP / lost
        pairs = zip(photos.columns, clean.columns, strict=True)
        mixed = Photos(
            *(
                np.where(corrupted, np.tile(bad, copies), np.tile(good, copies))
                for bad, good in pairs
            )
        )
        for policy, reviewing in REVIEWING.items():
            title = f"{name} ({100 * DROP / lost:.0f}%); reviewed: {policy}"
            print_delays(title, clean, mixed, reviewing, runs, 500)
