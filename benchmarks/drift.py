"""Measure drift detection: how soon it rings, how often for nothing, how right, how fast.

    python -m benchmarks.drift speed                            # 40,000 predictions of one hour
    python -m benchmarks.drift detection                        # simulated days, minutes
    python -m benchmarks.drift accuracy --dataset build/dataset # real photos, staged

Speed runs the function itself in a process of its own, against a DynamoDB that answers over
loopback with pages of a megabyte, as AWS does. Detection simulates 500 photos a day whose
confidences are those of the baseline. Accuracy spoils real photos of the test split, compares what
the model says of itself with the truth, and lets the detectors see a stream of them. Intervals are
Wilson's at 95%.
"""

import argparse
import csv
import dataclasses
import io
import json
import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image, ImageEnhance, ImageFilter

from functions.measure_drift.formulas import wilson_interval
from functions.measure_drift.report import DROP, Baseline, Report, accuracy_drop, describe
from functions.measure_drift.windows import BINS, ROUNDING, Moments, Stratum, Tally, Window
from operations.baseline import describe_traffic
from serving.preprocess import preprocess

REPOSITORY = Path(__file__).resolve().parents[1]
MODEL = REPOSITORY / "models" / "vehicles"

METADATA = json.loads((MODEL / "metadata.json").read_text())
NAME = f"{METADATA['name']}/{METADATA['version']}"
THRESHOLD = METADATA["threshold"]
BASELINE = Baseline.from_metadata(METADATA)
MAXIMUM_DRIFT = 0.25

# ── Speed ──

PAGE_BYTES = 1_000_000  # what DynamoDB reads for a page
RECORD_BYTES = 335  # of a record in the index, as DynamoDB counts
MEASURE = """
import json, sys, time, pathlib
from functions.measure_drift import app
class Context:
    function_name = "measure-drift"; memory_limit_in_mb = 256
    invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:measure-drift"
    aws_request_id = "52fdfc07-2182-154f-163f-5f0f9a621d72"
start, cpu = time.perf_counter(), time.process_time()
app.count_hour("2026-11-20T12")
print(json.dumps([time.perf_counter() - start, time.process_time() - cpu]), file=sys.stderr)
report = app.handler({"hour": "2026-11-20T12"}, Context())
assert report["predictions"] == int(sys.argv[1]), report
status = pathlib.Path("/proc/self/status").read_text()
print(int(status.split("VmHWM:")[1].split()[0]) // 1024, file=sys.stderr)
"""


class Dynamodb(BaseHTTPRequestHandler):
    """Answers queries of one hour with prepared pages, of others with none; keeps what is put."""

    protocol_version = "HTTP/1.1"
    pages: list[bytes]
    kept: dict[str, Any]

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        call = self.headers["X-Amz-Target"].rpartition(".")[2]
        empty = json.dumps({"Items": [], "Count": 0, "ScannedCount": 0}).encode()
        if call == "UpdateItem":
            hour = request["Key"]["hour"]["S"]
            values = request["ExpressionAttributeValues"]
            if ":counts" in values:
                self.kept[hour] = {"hour": {"S": hour}, "counts": values[":counts"]}
            body = b"{}"
        elif "IndexName" not in request:
            items = [self.kept[hour] for hour in sorted(self.kept, reverse=True)]
            body = json.dumps({"Items": items, "Count": len(items)}).encode()
        elif request["ExpressionAttributeValues"][":hour"]["S"] == "2026-11-20T12":
            page = request.get("ExclusiveStartKey", {"page": {"N": "0"}})["page"]["N"]
            body = self.pages[int(page)]
        else:
            body = empty
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        """S3 has no baseline."""
        body = b"<Error><Code>NoSuchKey</Code></Error>"
        self.send_response(404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def make_pages(count: int) -> list[bytes]:
    """Answers of DynamoDB that together hold so many records, a tenth of them reviewed."""
    dice = np.random.default_rng(0)
    items = []
    for number, (label, confidence) in enumerate(sample(dice, count)):
        status = status_of(label, confidence)
        item = {
            "status": {"S": status},
            "label": {"S": label},
            "confidence": {"N": str(round(float(confidence), 6))},
            "novelty": {"N": str(round(dice.uniform(), 4))},
            "model": {"S": NAME},
            "recorded_at": {"S": f"2026-11-20T12:{number % 60:02}:{number // 60 % 60:02}.123Z"},
        }
        if number % 10 == 0:
            item["reviewed_label"] = {"S": label}
        items.append(item)
    size = PAGE_BYTES // RECORD_BYTES
    parts = [items[start : start + size] for start in range(0, count, size)]
    pages = []
    for number, part in enumerate(parts, start=1):
        answer: dict[str, Any] = {"Items": part, "Count": len(part), "ScannedCount": len(part)}
        if number < len(parts):
            answer["LastEvaluatedKey"] = {"page": {"N": str(number)}}
        pages.append(json.dumps(answer).encode())
    return pages


def speed(predictions: int) -> None:
    """Print seconds and megabytes of counting one hour of so many predictions."""
    Dynamodb.pages, Dynamodb.kept = make_pages(predictions), {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Dynamodb)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{server.server_port}",
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{server.server_port}",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "benchmark",
        "AWS_SECRET_ACCESS_KEY": "benchmark",
        "POWERTOOLS_SERVICE_NAME": "scones-unlimited",
        "POWERTOOLS_METRICS_NAMESPACE": "SconesUnlimited",
        "POWERTOOLS_TRACE_DISABLED": "1",
        "PREDICTIONS_TABLE_NAME": "predictions",
        "DRIFT_TABLE_NAME": "drift",
        "PHOTOS_BUCKET_NAME": "photos",
        "MAXIMUM_DRIFT": str(MAXIMUM_DRIFT),
        "PREDICTION_RETENTION_DAYS": "400",
    }
    command = [sys.executable, "-c", MEASURE, str(predictions)]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stderr)
    seconds, memory = (json.loads(line) for line in done.stderr.splitlines()[-2:])
    print(f"{predictions:,} predictions, {len(Dynamodb.pages)} pages of DynamoDB")
    print(f"counted in {seconds[0]:.2f} s, of which {seconds[1]:.2f} s of processor")
    print(f"peak of the process {memory} MB, with all that it imports")


# ── Simulated photos ──


def status_of(label: str, confidence: float) -> str:
    """What filter_inferences decides."""
    if confidence < THRESHOLD:
        return "review"
    return "rejected" if label == "other" else "accepted"


def sample(dice: np.random.Generator, count: int) -> Iterator[tuple[str, float]]:
    """Labels and confidences as the baseline has them."""
    edges, shares = np.array(BASELINE.edges), np.array(BASELINE.confidence)
    bins = dice.choice(len(shares), count, p=shares / shares.sum())
    labels = list(BASELINE.labels)
    mix = np.array(list(BASELINE.labels.values()))
    names = dice.choice(labels, count, p=mix / mix.sum())
    yield from zip(names.tolist(), dice.uniform(edges[bins], edges[bins + 1]).tolist(), strict=True)


# ── Hours of photos ──


@dataclasses.dataclass
class Photos:
    """What photos are drawn from; `right` is the chance that the label is right."""

    labels: np.ndarray
    confidence: np.ndarray
    novelty: np.ndarray
    right: np.ndarray

    def __post_init__(self) -> None:
        self.hundredth = np.minimum(BINS - 1, (self.confidence * BINS + ROUNDING).astype(int))
        self.unsure = self.confidence < THRESHOLD
        self.rejected = ~self.unsure & (self.labels == "other")

    @property
    def accuracy(self) -> float:
        return float(self.right.mean())

    @property
    def columns(self) -> tuple[np.ndarray, ...]:
        return self.labels, self.confidence, self.novelty, self.right

    def take(self, chosen: np.ndarray) -> "Photos":
        return Photos(*(column[chosen] for column in self.columns))


Reviewing = tuple[float, float]  # shares of the sure and of the unsure photos that are reviewed
OURS: Reviewing = (0.05, 1.0)  # the template's AuditShare, and all that wait
TENTH: Reviewing = (0.1, 0.1)


def baseline_photos(count: int = 20_000) -> Photos:
    """Photos of which nothing is wrong: as many as it takes to have the baseline's shares."""
    dice = np.random.default_rng(0)
    pairs = list(sample(dice, count))
    labels = np.array([label for label, _ in pairs])
    confidence = np.array([confidence for _, confidence in pairs])
    unsure = confidence < THRESHOLD
    novelty = dice.normal(BASELINE.mean_novelty, BASELINE.novelty_deviation, count).clip(0, 1)
    right = np.where(unsure, BASELINE.unsure_accuracy, BASELINE.sure_accuracy)
    return Photos(labels, confidence, novelty, right)


def harder(photos: Photos) -> Photos:
    """A share of photos exchanged for unsure ones: accuracy falls by DROP, confidence with it."""
    low = np.flatnonzero(photos.unsure)
    share = DROP / (photos.accuracy - photos.right[low].mean())
    dice = np.random.default_rng(1)
    chosen = np.arange(len(photos.labels))
    exchanged = dice.random(len(chosen)) < share
    chosen[exchanged] = dice.choice(low, exchanged.sum())
    return photos.take(chosen)


def silent(photos: Photos) -> Photos:
    """Wrong on DROP more of all photos, sure or not, with the same confidence and novelty."""
    return dataclasses.replace(photos, right=photos.right * (1 - DROP / photos.accuracy))


def silent_where_sure(photos: Photos) -> Photos:
    """Wrong on as many more, all of them photos that the model is sure of."""
    share = 1 - photos.unsure.mean()
    lower = photos.right - np.where(photos.unsure, 0, DROP / share)
    return dataclasses.replace(photos, right=lower)


def make_hour(
    dice: np.random.Generator, photos: Photos, count: int, reviewing: Reviewing
) -> Window:
    """An hour of photos that are drawn from these."""
    chosen = dice.integers(len(photos.labels), size=count)
    right = dice.random(count) < photos.right[chosen]
    unsure, rejected = photos.unsure[chosen], photos.rejected[chosen]
    looked_at = dice.random(count) < np.where(unsure, reviewing[1], reviewing[0])
    tally = Tally()
    names, counts = np.unique(photos.labels[chosen], return_counts=True)
    tally.labels = dict(zip(names.tolist(), counts.tolist(), strict=True))
    tally.confidence = np.bincount(photos.hundredth[chosen], minlength=BINS).tolist()
    tally.confidence_sum = float(photos.confidence[chosen].sum())
    novelty = photos.novelty[chosen]
    tally.novelty = Moments(count, float(novelty.sum()), float((novelty**2).sum()))
    parts = {"accepted": ~unsure & ~rejected, "review": unsure, "rejected": rejected}
    for name, part in parts.items():
        reviewed = part & looked_at
        tally.statuses[name] = Stratum(
            int(part.sum()), int(reviewed.sum()), int((reviewed & right).sum())
        )
    return Window("2026-11-20T12", {NAME: tally})


def rate(hits: int, count: int) -> str:
    _, low, high = wilson_interval(hits / count, count)
    return f"{100 * hits / count:5.1f}% [{100 * low:.1f}, {100 * high:.1f}]"


WEEK = 7 * 24


def delay(
    dice: np.random.Generator,
    before: Photos,
    after: Photos,
    reviewing: Reviewing,
    a_day: int,
    most: int,
) -> tuple[int, str] | None:
    """Predictions from a change to the ringing of AccuracyDropAlarm, and what it was seen in.

    None where it did not ring within `most` predictions.
    """
    windows = [make_hour(dice, before, dice.poisson(a_day / 24), reviewing) for _ in range(WEEK)]
    seen = 0
    while seen < most:
        hour = make_hour(dice, after, dice.poisson(a_day / 24), reviewing)
        seen += sum(hour.models[NAME].labels.values())
        windows = [hour, *windows[: WEEK - 1]]
        evidence, name = accuracy_drop(NAME, windows, BASELINE)
        if evidence >= 1:
            return seen, name
    return None


def print_delays(
    title: str, before: Photos, after: Photos, reviewing: Reviewing, runs: int, a_day: int
) -> None:
    """One line: how often within 500 predictions, and the median and 95th percentile of delays."""
    dice = np.random.default_rng(5)
    most = 5_000
    found = [delay(dice, before, after, reviewing, a_day, most) for _ in range(runs)]
    delays = sorted(each[0] if each else most for each in found)
    seen = [each[1] for each in found if each]
    where = max(set(seen), key=seen.count) if seen else "-"
    within = rate(sum(each <= 500 for each in delays), runs)
    print(
        f"{title:44}{within:>24}{delays[runs // 2]:>8,}{delays[int(runs * 0.95)]:>8,}  {where}",
        flush=True,
    )


def rings(report: Report, drifting: int, unsure: int) -> set[str]:
    """Alarms that this hour rings, with how many hours in a row drift and review rate were over."""
    high = report["measured_accuracy_high"]
    ringing = {
        "AccuracyAlarm": high is not None and high < 0.85,
        "AccuracyDropAlarm": (report["accuracy_drop"] or 0) >= 1,
        "DriftAlarm": drifting >= 3,
        "ReviewRateAlarm": unsure >= 3,
    }
    return {name for name, is_ringing in ringing.items() if is_ringing}


def week_as_baseline(windows: list[Window]) -> Baseline:
    """What `operations.baseline --days 7` makes of a week."""
    total = Tally()
    for window in windows:
        total.add(window.models[NAME])
    return Baseline.from_metadata({"baseline": describe_traffic(total)})


def false_alarms(
    photos: Photos,
    reviewing: Reviewing,
    days: int,
    a_day: int,
    seed: int,
    *,
    after_a_week: bool = False,
) -> int:
    """How often any alarm began to ring in so many days in which nothing happened.

    They are measured against the model's own baseline, or against the week before them.
    """
    dice = np.random.default_rng(seed)
    baseline, windows = BASELINE, list[Window]()
    if after_a_week:
        hours = (dice.poisson(a_day / 24) for _ in range(WEEK))
        windows = [make_hour(dice, photos, count, reviewing) for count in hours]
        baseline = week_as_baseline(windows)
    before: set[str] = set()
    drifting = unsure = began = 0
    for _ in range(days * 24):
        window = make_hour(dice, photos, dice.poisson(a_day / 24), reviewing)
        windows = [window, *windows[: WEEK - 1]]
        if not window.models[NAME].labels:
            continue
        report = describe(NAME, windows, baseline, MAXIMUM_DRIFT)
        drifting = drifting + 1 if (report["drift"] or 0) > MAXIMUM_DRIFT else 0
        unsure = unsure + 1 if (report["review_rate"] or 0) > 0.5 else 0
        now = rings(report, drifting, unsure)
        began += len(now - before)
        before = now
    return began


HEADER = f"{'':44}{'within 500 predictions':>24}{'median':>8}{'95%':>8}  seen in"


def detection(runs: int, quarters: int) -> None:
    """Print false alarms of quiet days, and delays of three kinds of drops."""
    quiet = baseline_photos()
    for a_day in (500, 40_000):
        alarms = [false_alarms(quiet, OURS, 90, a_day, seed) for seed in range(quarters)]
        print(
            f"90 quiet days of {a_day:,} photos: {sum(alarms)} false alarms in {quarters} of them, "
            f"at least one in {rate(sum(map(bool, alarms)), quarters)}",
            flush=True,
        )
    alarms = [
        false_alarms(quiet, OURS, 90, 500, seed, after_a_week=True) for seed in range(quarters)
    ]
    print(
        f"measured against the week before, 500 photos: {sum(alarms)} false alarms in {quarters} "
        f"of them, at least one in {rate(sum(map(bool, alarms)), quarters)}",
        flush=True,
    )
    print(f"\nA drop of 5 points from {100 * quiet.accuracy:.1f}%, 500 photos a day, {runs} runs:")
    print(HEADER)
    changes = {
        "confidence falls too": harder,
        "silent": silent,
        "silent, where sure": silent_where_sure,
    }
    for name, change in changes.items():
        for policy, reviewing in (("all unsure + 5%", OURS), ("a random 10%", TENTH)):
            print_delays(f"{name}; reviewed: {policy}", quiet, change(quiet), reviewing, runs, 500)
    limits(quiet.accuracy)


def limits(accuracy: float) -> None:
    """Print what no method can do with outcomes of reviews alone."""
    for good in (accuracy, 0.95, 0.99):
        bad = good - DROP
        divergence = (1 - bad) * math.log((1 - bad) / (1 - good)) + bad * math.log(bad / good)
        least = math.log(90 * 50) / divergence
        print(
            f"from {100 * good:.1f}%: each review is worth {divergence:.3f} nats of evidence; with "
            f"one false alarm in 90 days no test rings before about {least:.0f} reviews"
        )
    wrong = next(k for k in range(51) if upper_tail(50, 0.05, k) <= 1 / 90)
    power = upper_tail(50, 0.1, wrong)
    print(
        f"50 reviews, 95% against 90%: {wrong} wrong ones ring once in 90 days by chance, and "
        f"notice the drop in {100 * power:.0f}% of cases"
    )


def upper_tail(count: int, share: float, least: int) -> float:
    """The chance of at least so many of `count`, each with the chance `share`."""
    return math.fsum(
        math.comb(count, k) * share**k * (1 - share) ** (count - k) for k in range(least, count + 1)
    )


# ── Real photos ──

Spoil = Callable[[Image.Image, np.random.Generator], Image.Image]


def noisy(image: Image.Image, dice: np.random.Generator, strength: float) -> Image.Image:
    pixels = np.asarray(image, np.float32)
    noise = dice.normal(0, strength, pixels.shape)
    return Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8))


def night(image: Image.Image, dice: np.random.Generator) -> Image.Image:
    return noisy(ImageEnhance.Brightness(image).enhance(0.2), dice, 12)


def dusk(image: Image.Image, dice: np.random.Generator) -> Image.Image:
    return noisy(ImageEnhance.Brightness(image).enhance(0.45), dice, 6)


def blurred(image: Image.Image, _: np.random.Generator) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(max(image.size) / 60))


def dirty(image: Image.Image, _: np.random.Generator) -> Image.Image:
    """A veil over everything, as of fog or of grease on the lens."""
    return Image.blend(image, Image.new("RGB", image.size, (190, 190, 190)), 0.6)


def sideways(image: Image.Image, _: np.random.Generator) -> Image.Image:
    return image.rotate(90, expand=True)


def broken(image: Image.Image, dice: np.random.Generator) -> Image.Image:
    """Stripes of noise over the lower two thirds, as of a camera that loses data."""
    pixels = np.asarray(image).copy()
    rows = dice.integers(0, 256, (len(pixels), 1, 3), dtype=np.uint8)
    start = len(pixels) // 3
    pixels[start:] = (0.3 * pixels[start:] + 0.7 * rows[start:]).astype(np.uint8)
    return Image.fromarray(pixels)


SPOILS: dict[str, Spoil] = {
    "as they are": lambda image, _: image,
    "dusk": dusk,
    "night": night,
    "blurred": blurred,
    "dirty lens": dirty,
    "sideways": sideways,
    "broken camera": broken,
}


def predict(dataset: Path, rows: list[dict[str, str]], spoil: Spoil) -> Photos:
    """What the model says of photos that are spoiled, as it is served."""
    session = onnxruntime.InferenceSession(MODEL / "model.onnx", providers=["CPUExecutionProvider"])
    dice = np.random.default_rng(2)
    answers, novelty = [], []
    for row in rows:
        with Image.open(dataset / row["file"]) as image:
            file = io.BytesIO()
            spoil(image.convert("RGB"), dice).save(file, "JPEG", quality=90)
        pixels = preprocess(file.getvalue(), METADATA["input_size"])
        answer = session.run(["probabilities", "novelty"], {"image": pixels})
        answers.append(answer[0][0])
        novelty.append(answer[1][0])
    probabilities = np.array(answers)
    labels = np.array(METADATA["labels"])[probabilities.argmax(axis=1)]
    truth = np.array([row["label"] for row in rows])
    right = (labels == truth).astype(float)
    return Photos(labels, probabilities.max(axis=1), np.array(novelty), right)


def accuracy(dataset: Path, runs: int, quarters: int) -> None:
    """Print estimated and true accuracy on spoiled photos, and how soon streams of them ring."""
    with (dataset / "manifest.csv").open() as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if row["split"] == "test" and row["file"].startswith("photos/")
        ]
    print(f"{len(rows)} photos of the test split, model {NAME}")
    print(f"{'':16}{'true accuracy':>24}{'estimated':>11}{'gap':>7}{'unsure':>8}{'novelty':>9}")
    found = {name: predict(dataset, rows, spoil) for name, spoil in SPOILS.items()}
    for name, photos in found.items():
        right, estimate = int(photos.right.sum()), float(photos.confidence.mean())
        gap = 100 * (estimate - photos.accuracy)
        print(
            f"{name:16}{rate(right, len(rows)):>24}{100 * estimate:>10.1f}%{gap:>+7.1f}"
            f"{100 * photos.unsure.mean():>7.1f}%{photos.novelty.mean():>9.3f}"
        )
    print("By source, 20 photos or more, as they are:")
    clean = found["as they are"]
    sources = np.array([row["source"] for row in rows])
    for source in sorted(set(sources), key=lambda source: -(sources == source).sum()):
        of_source = sources == source
        if of_source.sum() >= 20:
            part = clean.take(of_source)
            gap = 100 * (float(part.confidence.mean()) - part.accuracy)
            share = rate(int(part.right.sum()), len(part.right))
            print(f"  {source:14}{share:>24}{100 * part.confidence.mean():>10.1f}%{gap:>+7.1f}")
    alarms = [false_alarms(clean, OURS, 90, 500, seed) for seed in range(quarters)]
    print(
        f"\n90 days of 500 photos of the test split, drawn with replacement: {sum(alarms)} false "
        f"alarms in {quarters} of them, at least one in {rate(sum(map(bool, alarms)), quarters)}"
    )
    print(f"\nSo many of the photos spoiled that accuracy falls by 5 points; {runs} runs:")
    print(HEADER)
    for name, photos in list(found.items())[1:]:
        lost = clean.accuracy - photos.accuracy
        if lost < DROP:
            print(f"{name:44}  it loses {100 * lost:.1f} points at most")
            continue
        dice = np.random.default_rng(3)
        copies = 20
        spoiled = dice.random(copies * len(rows)) < DROP / lost
        pairs = zip(photos.columns, clean.columns, strict=True)
        mixed = Photos(
            *(np.where(spoiled, np.tile(bad, copies), np.tile(good, copies)) for bad, good in pairs)
        )
        for policy, reviewing in (("all unsure + 5%", OURS), ("a random 10%", TENTH)):
            title = f"{name} ({100 * DROP / lost:.0f}%); reviewed: {policy}"
            print_delays(title, clean, mixed, reviewing, runs, 500)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("part", choices=["speed", "detection", "accuracy"])
    parser.add_argument("--predictions", type=int, default=40_000, help="of the hour (speed)")
    parser.add_argument("--runs", type=int, default=200, help="of each change (default 200)")
    parser.add_argument("--quarters", type=int, default=20, help="of 90 quiet days (default 20)")
    parser.add_argument("--dataset", type=Path, default=REPOSITORY / "build" / "dataset")
    arguments = parser.parse_args()
    if arguments.part == "speed":
        speed(arguments.predictions)
    elif arguments.part == "detection":
        detection(arguments.runs, arguments.quarters)
    elif not (arguments.dataset / "manifest.csv").is_file():
        sys.exit(
            f"there is no dataset in {arguments.dataset}: make one with training.dataset.stage"
        )
    else:
        accuracy(arguments.dataset, arguments.runs, arguments.quarters)


if __name__ == "__main__":
    main()
