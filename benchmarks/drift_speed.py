"""Time and memory of MeasureDrift for one hour with many predictions."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from benchmarks.drift_photos import MAXIMUM_DRIFT, NAME, REPOSITORY, sample, status_of

PAGE_BYTES = 1_000_000  # that DynamoDB reads for a page
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
if report["predictions"] != int(sys.argv[1]):
    sys.exit(f"wrong report: {report}")
status = pathlib.Path("/proc/self/status").read_text()
print(int(status.split("VmHWM:")[1].split()[0]) // 1024, file=sys.stderr)
"""


class Dynamodb(BaseHTTPRequestHandler):
    """Returns prepared pages for one hour and none for others; keeps the counts that are put."""

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
    """Responses of DynamoDB that together hold `count` records, a tenth of them reviewed."""
    generator = np.random.default_rng(0)
    items = []
    for number, (label, confidence) in enumerate(sample(generator, count)):
        status = status_of(label, confidence)
        item = {
            "status": {"S": status},
            "label": {"S": label},
            "confidence": {"N": str(round(float(confidence), 6))},
            "novelty": {"N": str(round(generator.uniform(), 4))},
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
        page: dict[str, Any] = {"Items": part, "Count": len(part), "ScannedCount": len(part)}
        if number < len(parts):
            page["LastEvaluatedKey"] = {"page": {"N": str(number)}}
        pages.append(json.dumps(page).encode())
    return pages


def speed(predictions: int) -> None:
    """Print seconds and megabytes that one hour of `predictions` takes."""
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
    print(f"counted in {seconds[0]:.2f} s, {seconds[1]:.2f} s of processor time")
    print(f"peak memory of the process: {memory} MB, imports included")
