"""Measure how fast an hour of predictions is counted.

    python benchmarks/drift.py speed     # 40,000 predictions of one hour

The function itself runs in a process of its own, against a DynamoDB that answers over loopback with
pages of a megabyte, as AWS does.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
FUNCTION = REPOSITORY / "functions" / "measure_drift"
MODEL = REPOSITORY / "training" / "model"
sys.path.insert(0, str(FUNCTION))

import numpy as np  # noqa: E402 the paths come first
from report import Baseline  # noqa: E402

METADATA = json.loads((MODEL / "metadata.json").read_text())
NAME = f"{METADATA['name']}/{METADATA['version']}"
THRESHOLD = METADATA["threshold"]
BASELINE = Baseline.from_metadata(METADATA)
MAXIMUM_DRIFT = 0.25

# ── Speed ──

PAGE_BYTES = 1_000_000  # what DynamoDB reads for a page
RECORD_BYTES = 320  # of a record in the index, as DynamoDB counts
MEASURE = """
import json, sys, time, pathlib
sys.path.insert(0, sys.argv[1])
import app
class Context:
    function_name = "measure-drift"; memory_limit_in_mb = 256
    invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:measure-drift"
    aws_request_id = "52fdfc07-2182-154f-163f-5f0f9a621d72"
start, cpu = time.perf_counter(), time.process_time()
app.count_hour("2026-11-20T12")
print(json.dumps([time.perf_counter() - start, time.process_time() - cpu]), file=sys.stderr)
report = app.handler({"hour": "2026-11-20T12"}, Context())
assert report["predictions"] == int(sys.argv[2]), report
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
        "PREDICTIONS_TABLE": "predictions",
        "DRIFT_TABLE": "drift",
        "PHOTOS_BUCKET": "photos",
        "MAXIMUM_DRIFT": str(MAXIMUM_DRIFT),
        "PREDICTION_RETENTION_DAYS": "400",
    }
    command = [sys.executable, "-c", MEASURE, str(FUNCTION), str(predictions)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("part", choices=["speed"])
    parser.add_argument("--predictions", type=int, default=40_000, help="of the hour")
    arguments = parser.parse_args()
    speed(arguments.predictions)


if __name__ == "__main__":
    main()
