"""Measure the serving app: photos a second, latency at half that load, behaviour over it.

    .venv/bin/python -m benchmarks.serving_app
    taskset -c 0,1 .venv/bin/python -m benchmarks.serving_app --photo photo.jpg --seconds 10

Everything runs on this machine over loopback, so the callers take CPU time from the server. The
photo is what the workflow sends: a JPEG, its longest side 256 pixels. The server logs to stderr.
"""

import argparse
import io
import json
import math
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import onnxruntime
from PIL import Image

from serving.preprocess import preprocess

REPOSITORY = Path(__file__).parents[1]
SERVING_APP = [sys.executable, "-m", "serving.app"]

LAYOUTS = [(1, 1), (2, 1), (4, 1), (1, 2), (2, 2)]  # workers, threads inside the model
HEADERS = {"Content-Type": "image/jpeg"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--photo", type=Path, default=REPOSITORY / "local" / "photos" / "bicycle-courier.jpg"
    )
    parser.add_argument("--model-dir", type=Path, default=REPOSITORY / "models" / "vehicles")
    parser.add_argument("--seconds", type=float, default=5, help="for each measurement")
    arguments = parser.parse_args()

    photo = as_sent(arguments.photo)
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} cores, load {os.getloadavg()[0]:.1f}, photo {len(photo) / 1000:.1f} kB\n")
    measure_model(arguments.model_dir, photo, arguments.seconds)
    measure_server(arguments.model_dir, photo, arguments.seconds)


def measure_model(model_dir: Path, photo: bytes, seconds: float) -> None:
    """Print the throughput in one process, for several numbers of workers and threads."""
    print("In one process, without HTTP: decode, resize, infer")
    print("  workers  threads each  photos/s  ms CPU a photo")
    for workers, threads in LAYOUTS:
        rate, cpu = layout(model_dir, photo, workers, threads, seconds)
        print(f"  {workers:7}  {threads:12}  {rate:8.1f}  {cpu * 1000:14.2f}")


def measure_server(model_dir: Path, photo: bytes, seconds: float) -> None:
    """Start the serving app; print its throughput and latency, and what happens on overload."""
    command = [*SERVING_APP, "--port", "0", "--model-dir", str(model_dir.resolve())]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as server:
        try:
            measure_over_http(server, photo, seconds)
        finally:
            server.terminate()


def measure_over_http(server: subprocess.Popen[str], photo: bytes, seconds: float) -> None:
    """Print what one running server does; its first line of output is JSON with its URL."""
    if server.stdout is None:
        raise ValueError("the server has no pipe")
    address = json.loads(server.stdout.readline())["url"].removeprefix("http://")
    threading.Thread(target=server.stdout.read, daemon=True).start()
    print("\nOver HTTP")
    used = cpu_seconds(server.pid)
    capacity = closed_loop(address, photo, callers=8, seconds=seconds)
    cpu = (cpu_seconds(server.pid) - used) / (capacity * seconds)
    print(
        f"  8 callers, one request after the other: {capacity:.1f} photos/s, "
        f"{cpu * 1000:.2f} ms CPU a photo in the server"
    )
    for share in (0.5, 0.8):
        open_loop(address, photo, share * capacity, seconds)
    overload(address, photo, callers=128, requests=10)


def cpu_seconds(process: int) -> float:
    """CPU seconds that a process has used (Linux)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def as_sent(path: Path) -> bytes:
    """A photo as the workflow sends it: a JPEG, its longest side 256 pixels."""
    image = Image.open(path).convert("RGB")
    image.thumbnail((256, 256))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=90)
    return stream.getvalue()


def layout(
    model_dir: Path, photo: bytes, workers: int, threads: int, seconds: float
) -> tuple[float, float]:
    """Photos a second, and CPU seconds a photo, with `workers` photos at once."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        model_dir / "model.onnx", options, providers=["CPUExecutionProvider"]
    )
    size = json.loads((model_dir / "metadata.json").read_bytes())["input_size"]
    stop = time.monotonic() + seconds

    def work() -> int:
        photos = 0
        while time.monotonic() < stop:
            session.run(["probabilities"], {"image": preprocess(photo, size)})
            photos += 1
        return photos

    started, cpu = time.monotonic(), time.process_time()
    with ThreadPoolExecutor(workers) as pool:
        photos = sum(pool.map(lambda _: work(), range(workers)))
    return photos / (time.monotonic() - started), (time.process_time() - cpu) / photos


def closed_loop(address: str, photo: bytes, callers: int, seconds: float) -> float:
    """Photos a second if each caller sends the next photo after the response to the last."""
    stop = time.monotonic() + seconds

    def call() -> int:
        connection = HTTPConnection(address, timeout=60)
        photos = 0
        while time.monotonic() < stop:
            status = send(connection, photo)
            if status != 200:
                sys.exit(f"the serving app returned {status}: see its log above")
            photos += 1
        return photos

    started = time.monotonic()
    with ThreadPoolExecutor(callers) as pool:
        photos = sum(pool.map(lambda _: call(), range(callers)))
    return photos / (time.monotonic() - started)


def open_loop(address: str, photo: bytes, rate: float, seconds: float) -> None:
    """Print the latency if photos arrive at random, `rate` a second, whether responses come or not.

    Latency counts from the time when the photo was due, so that a stall shows.
    """
    generator = random.Random(0)
    due, moment = [], 0.0
    while moment < seconds:
        due.append(moment)
        moment += generator.expovariate(rate)
    local = threading.local()
    started = time.monotonic()

    def call(when: float) -> tuple[int, float]:
        wait = started + when - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        if not hasattr(local, "connection"):
            local.connection = HTTPConnection(address, timeout=60)
        status = send(local.connection, photo)
        return status, time.monotonic() - started - when

    with ThreadPoolExecutor(32) as pool:
        results = list(pool.map(call, due))
    latencies = sorted(latency for _, latency in results)
    middle, high = statistics.median(latencies), latencies[math.ceil(0.99 * len(latencies)) - 1]
    statuses = dict(Counter(status for status, _ in results))
    print(
        f"  {rate:.1f} photos/s at random: p50 {middle * 1000:.1f} ms, p99 {high * 1000:.1f} ms, "
        f"responses {statuses}"
    )


def overload(address: str, photo: bytes, callers: int, requests: int) -> None:
    """Print the responses to `callers` times `requests` photos at once."""

    def call() -> Counter[str]:
        outcomes: Counter[str] = Counter()
        for _ in range(requests):
            try:
                outcomes[str(send(HTTPConnection(address, timeout=60), photo))] += 1
            except OSError:
                outcomes["lost"] += 1
        return outcomes

    started = time.monotonic()
    with ThreadPoolExecutor(callers) as pool:
        outcomes = sum(pool.map(lambda _: call(), range(callers)), Counter[str]())
    print(
        f"  {callers} callers at once, {callers * requests} photos in "
        f"{time.monotonic() - started:.1f} s: responses {dict(outcomes)}"
    )


def send(connection: HTTPConnection, photo: bytes) -> int:
    """The status of one request."""
    connection.request("POST", "/invocations", photo, HEADERS)
    response = connection.getresponse()
    response.read()
    return response.status


if __name__ == "__main__":
    main()
