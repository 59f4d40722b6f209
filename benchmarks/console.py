"""Measure one refresh of the console: processor time and read units of GET /api/console/now.

    python -m benchmarks.console --couriers 50 --orders 300

Plans the orders for the couriers with the dispatch on moto's AWS, and lets 50 photos wait for a
review. Then sends the request again and again. The responses of AWS are recorded, so the time is
that of the function alone: the SDK, the records and JSON, without network and TLS. Read units are
computed from the records as DynamoDB does: half a unit for each 4 KiB of a query or a scan.
"""

import argparse
import json
import math
import os
import random
import re
import statistics
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from boto3.dynamodb.types import TypeSerializer
from moto import mock_aws
from moto.core.models import botocore_stubber
from samcli.yamlhelper import yaml_parse  # type: ignore[import-untyped]  # it has no stubs

PROJECT = Path(__file__).resolve().parents[1]
TABLES = ("PredictionsTable", "CouriersTable", "OrdersTable", "DriftTable")
KEPT = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
PHOTOS = 50  # wait for a review: the console counts no more
REQUESTS = 50
NOW = datetime.now(UTC)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")
ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "POWERTOOLS_TRACE_DISABLED": "true",
    "POWERTOOLS_LOG_LEVEL": "CRITICAL",
    "EVENT_BUS_NAME": "default",
    "STACK_NAME": "scones-unlimited",
    "SHIFT_HOURS": "8",
    "ORDER_RETENTION_DAYS": "90",
    "USER_POOL_ID": "x",
    "LABELS": "bicycle,motorcycle,other",
}


def at(minutes: float) -> str:
    """The time in so many minutes, as the tables have it."""
    return (NOW + timedelta(minutes=minutes)).isoformat(timespec="microseconds")[:-6] + "Z"


def create_tables() -> None:
    """Create the tables of the template."""
    resources = yaml_parse((PROJECT / "template.yaml").read_text())["Resources"]
    for name in TABLES:
        properties = resources[name]["Properties"]
        arguments = {key: properties[key] for key in KEPT if key in properties}
        boto3.client("dynamodb").create_table(TableName=name, **arguments)


def fill(couriers: int, orders: int) -> None:
    """Check couriers in, plan orders, and let photos wait for a review."""
    from functions.dispatch_orders.dispatching import dispatch  # noqa: PLC0415 after mock_aws
    from functions.dispatch_orders.fleet import read_fleet  # noqa: PLC0415
    from functions.dispatch_orders.intake import Batch  # noqa: PLC0415

    chance = random.Random(1)
    record = json.loads((PROJECT / "schemas" / "record.json").read_text())["examples"][0]
    batch = Batch(read_fleet(), NOW)

    def take(kind: str, detail: dict[str, Any]) -> None:
        body = json.dumps({"id": "1", "detail-type": kind, "detail": detail})
        batch.take(SQSRecord({"messageId": "1", "body": body}))

    for number in range(couriers):
        label = "motorcycle" if number % 3 == 0 else "bicycle"
        photo = {
            "status": "accepted",
            "label": label,
            "uploaded_at": at(-60),
            "recorded_at": at(-60),
        }
        sender = {
            "sender_id": f"courier-{number:02}",
            "image_id": f"uploads/courier-{number:02}/1#1",
        }
        take("Photo Classified", record | photo | sender)
    for number in range(orders):
        due = chance.uniform(10, 60)
        place = {"latitude": 52.09 + chance.uniform(-0.04, 0.04)}
        place["longitude"] = 5.12 + chance.uniform(-0.06, 0.06)
        times = {"ready_at": at(-5), "due_from": at(due - 20), "due_until": at(due)}
        take("Order Placed", {"order_id": f"{number:06}", "boxes": 1, **place, **times})
    dispatch(batch.fleet, NOW, batch.new_orders)
    serialize = TypeSerializer().serialize
    for number in range(PHOTOS):
        photo = record | {"image_id": f"{record['image_id']}{number}", "recorded_at": at(-number)}
        photo |= {"hour": at(0)[:13], "review_state": "waiting"}
        item = json.loads(json.dumps(photo), parse_float=str)
        boto3.client("dynamodb").put_item(
            TableName="PredictionsTable",
            Item={name: serialize(value) for name, value in item.items()},
        )


def size(value: dict[str, Any]) -> int:
    """Bytes of a value of DynamoDB, in the format of its API."""
    [(kind, content)] = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return math.ceil(len(content.strip("-0.")) / 2) + 1
        case "M":
            return 3 + sum(1 + len(name.encode()) + size(each) for name, each in content.items())
        case "L":
            return 3 + sum(1 + size(each) for each in content)
        case _:
            return 1


class Context:
    """What Powertools reads of Lambda's context."""

    function_name = invoked_function_arn = aws_request_id = "x"
    memory_limit_in_mb = 1024


class Recorded:
    """AWS as moto imitates it, and each response again for the same request.

    Attributes:
        read_units: of each query and scan since the last request, by table and index.

    """

    def __init__(self) -> None:
        """Begin without responses."""
        self.responses: dict[tuple[str, str], tuple[Any, float]] = {}
        self.read_units: dict[str, float] = defaultdict(float)

    def respond(self, request: Any, **_: Any) -> Any:
        """Return a recorded response, or record it."""
        target = request.headers.get("X-Amz-Target", b"").decode()
        body = request.body.decode() if isinstance(request.body, bytes) else str(request.body)
        key = target, TIME.sub("", body)
        if key not in self.responses:
            response = botocore_stubber("before-send", request)
            units = self.units(json.loads(body)) if target.endswith(("Query", "Scan")) else 0
            self.responses[key] = response, units
        response, units = self.responses[key]
        if units:
            asked = json.loads(body)
            self.read_units[f"{asked['TableName']} {asked.get('IndexName', '')}"] += units
        return response

    @staticmethod
    def units(asked: dict[str, Any]) -> float:
        """Read units of a query or a scan."""
        whole = {name: value for name, value in asked.items() if name != "Select"}
        call = "query" if "KeyConditionExpression" in asked else "scan"
        items = getattr(boto3.client("dynamodb"), call)(**whole)["Items"]
        read = sum(len(name) + size(value) for item in items for name, value in item.items())
        return max(1, math.ceil(read / 4096)) / 2


def measure(couriers: int, orders: int) -> None:
    """Print the processor time and the read units of one refresh."""
    os.environ |= ENVIRONMENT
    os.environ |= {f"{name.removesuffix('Table').upper()}_TABLE_NAME": name for name in TABLES}
    with mock_aws():
        create_tables()
        os.environ["DISPATCH_QUEUE_URL"] = "x"
        fill(couriers, orders)
        from functions.console_api import app, live  # noqa: PLC0415 after mock_aws

        recorded = Recorded()
        live.dynamodb.meta.events.unregister("before-send", botocore_stubber)  # type: ignore[arg-type]  # an object with __call__
        live.dynamodb.meta.events.register("before-send", recorded.respond)
        event = json.loads((PROJECT / "events" / "console_api.json").read_text())
        app.handler(event, Context())  # records the responses
        recorded.read_units.clear()
        times = []
        for _ in range(REQUESTS):
            start = time.process_time()
            response = app.handler(event, Context())
            times.append(1000 * (time.process_time() - start))
        found = json.loads(response["body"])
    states = [order["state"] for order in found["orders"]]
    print(
        f"{len(found['couriers'])} couriers, {len(states)} open orders "
        f"({states.count('assigned')} assigned), {PHOTOS} photos to review"
    )
    print(f"processor time: {statistics.median(times):.1f} ms (median), {max(times):.1f} ms (most)")
    for name, units in recorded.read_units.items():
        print(f"{units / REQUESTS:5.1f} read units  {name}")
    print(f"{sum(recorded.read_units.values()) / REQUESTS:5.1f} read units  in all")
    print(f"response: {len(response['body']) / 1000:.0f} kB")


def main() -> None:
    """Parse the command line, and measure."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--couriers", type=int, default=50, help="on shift (default: %(default)s)")
    parser.add_argument("--orders", type=int, default=300, help="open (default: %(default)s)")
    arguments = parser.parse_args()
    measure(arguments.couriers, arguments.orders)


if __name__ == "__main__":
    main()
