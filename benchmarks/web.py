"""Measure a refresh of the console and of the courier's page: processor time, and read units.

    .venv/bin/python -m benchmarks.web
    .venv/bin/python -m benchmarks.web --couriers 50 --orders 300

DynamoDB's responses are made here and parsed by boto3, so the time has all but the network. Read
units are of eventually consistent reads: half a unit for each 4 kB that a call reads.
"""

import argparse
import base64
import json
import math
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from boto3.dynamodb.types import TypeSerializer
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

RUNS = 30
UNIT_BYTES = 4096
STOPS = 3
TYPE_BYTES = 12  # of an attribute in JSON that DynamoDB does not count: {"S":""},"":
TABLES = ("COURIERS", "ORDERS", "PREDICTIONS", "DRIFT")
NOW = datetime.now(UTC)


def at(minutes: float) -> str:
    """A time so many minutes from now, as the tables have it."""
    moment = NOW + timedelta(minutes=minutes)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def typed(record: dict[str, Any]) -> dict[str, Any]:
    """A record as DynamoDB sends it."""
    serialize = TypeSerializer().serialize
    return {name: serialize(value) for name, value in record.items()}


def courier(number: int) -> dict[str, Any]:
    """A courier on a route of STOPS orders."""
    stops = [f"{number:08}-0000-4000-8000-{stop:012}" for stop in range(STOPS)]
    route = {"stops": stops, "loading_bay": "A", "distance_km": 7, "returns_at": at(40)}
    return typed(
        {
            "courier_id": f"courier-{number:03}",
            "vehicle": "bicycle",
            "checked_in_at": at(-60),
            "shift_ends_at": at(420),
            "image_id": f"uploads/courier-{number:03}/20261126T090000Z-{'0' * 32}.jpg#{'0' * 32}",
            "version": 7,
            "dispatch_id": f"{number:08}-0000-4000-8000-000000000000",
            "dispatched_shift": at(-60),
            "departs_at": at(-5),
            "returns_at": at(40),
            "arrivals": dict.fromkeys(stops, at(10)),
            "route": route,
            "expires_at": 1,
        }
    )


def order(number: int) -> dict[str, Any]:
    """An order of courier `number // STOPS`: the index open_orders has all but dispatch_id."""
    rider, stop = divmod(number, STOPS)
    return typed(
        {
            "order_id": f"{rider:08}-0000-4000-8000-{stop:012}",
            "status": "assigned",
            "reason": f"courier-{rider:03} (bicycle) is on the way: saves 0.12 hours",
            "open_state": "open",
            "boxes": 2,
            "ready_at": at(-10),
            "due_from": at(-10),
            "due_until": at(45),
            "courier_id": f"courier-{rider:03}",
            "dispatch_id": f"{rider:08}-0000-4000-8000-000000000000",
            "vehicle": "bicycle",
            "arrives_at": at(20),
        }
    ) | {"latitude": {"N": "52.10512"}, "longitude": {"N": "5.12345"}}


def photo(number: int) -> dict[str, Any]:
    """A photo as the index by_hour has it."""
    return typed(
        {
            "image_id": f"uploads/courier-{number:03}/20261126T090000Z-{'0' * 32}.jpg#{'0' * 32}",
            "hour": at(0)[:13],
            "recorded_at": at(-number),
            "status": "accepted",
            "label": "bicycle",
        }
    ) | {"confidence": {"N": "0.9734"}}


@dataclass
class Tables:
    """Answers the calls of boto3's DynamoDB clients, and counts what they read."""

    couriers: list[dict[str, Any]]
    orders: list[dict[str, Any]]
    photos: list[dict[str, Any]]
    units: float = 0
    calls: list[str] = field(default_factory=list)

    def respond(self, request: Any, **_: Any) -> AWSResponse:
        """The response to a request that botocore would send."""
        call = request.headers["X-Amz-Target"].decode().rpartition(".")[2]
        items = self.items(call, json.loads(request.body))
        self.calls.append(call)
        read = [
            len(json.dumps(each, separators=(",", ":"))) - TYPE_BYTES * len(each) for each in items
        ]
        single = call in ("GetItem", "BatchGetItem")  # each item is rounded up alone
        sizes = read if single else [sum(read)]
        self.units += sum(max(1, math.ceil(size / UNIT_BYTES)) for size in sizes) / 2
        body: dict[str, Any] = {"Items": items, "Count": len(items)}
        if call == "GetItem":
            body = {"Item": items[0]}
        if call == "BatchGetItem":
            body = {"Responses": {"ORDERS": items}, "UnprocessedKeys": {}}
        content = json.dumps(body).encode()
        raw = SimpleNamespace(stream=lambda *_: iter([content]))
        return AWSResponse(request.url, 200, HTTPHeaders(), raw)

    def items(self, call: str, asked: dict[str, Any]) -> list[dict[str, Any]]:
        """The items of a call."""
        if call == "Scan":
            return self.couriers
        if call == "GetItem":
            return self.couriers[:1]
        if call == "BatchGetItem":
            return self.orders[:STOPS]
        if asked["IndexName"] == "open_orders":
            return [
                {name: value for name, value in each.items() if name != "dispatch_id"}
                for each in self.orders
            ]
        return self.photos if asked["IndexName"] == "by_hour" else []


def request(path: str, user: str, group: str) -> dict[str, Any]:
    """An event of the HTTP API."""
    claims = {"token_use": "access", "username": user, "cognito:groups": f"[{group}]"}
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"accept-encoding": "gzip"},
        "requestContext": {
            "http": {"method": "GET", "path": path},
            "stage": "$default",
            "authorizer": {"jwt": {"claims": claims}},
        },
        "isBase64Encoded": False,
    }


def measure(name: str, handler: Callable[..., Any], event: dict[str, Any], tables: Tables) -> None:
    """Print the median processor time of a refresh, what it reads, and the size of its response."""
    context = SimpleNamespace(
        function_name="f", memory_limit_in_mb=1, invoked_function_arn="a", aws_request_id="r"
    )
    times = []
    for _ in range(RUNS):
        tables.units, tables.calls = 0, []
        start = time.process_time()
        reply = handler(event, context)
        times.append(time.process_time() - start)
    if reply["statusCode"] != 200:
        raise SystemExit(f"{name}: {reply['body']}")
    body = reply["body"].encode()
    content = base64.b64decode(body) if reply.get("isBase64Encoded") else body
    print(
        f"{name}: {1000 * statistics.median(times):.0f} ms of processor time, "
        f"{tables.units:g} read units in {len(tables.calls)} calls, "
        f"{len(content) / 1000:.1f} kB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--couriers", type=int, default=50, help="default: %(default)s")
    parser.add_argument("--orders", type=int, default=300, help="default: %(default)s")
    options = parser.parse_args()
    os.environ |= {f"{name}_TABLE_NAME": name for name in TABLES}
    os.environ |= {"AWS_DEFAULT_REGION": "eu-west-1", "POWERTOOLS_TRACE_DISABLED": "true"}
    os.environ |= {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}
    os.environ |= {"STACK_NAME": "shop", "LABELS": "bicycle,motorcycle,other"}
    # Their clients take the region from the environment when they are imported.
    live: Any = import_module("functions.console_api.live")
    console: Any = import_module("functions.console_api.app")
    courier_page: Any = import_module("functions.courier_api.app")
    quality: Any = import_module("functions.console_api.quality")
    quality.alarms_read[:] = [(NOW + timedelta(hours=1), [])]  # read once a minute only
    tables = Tables(
        [courier(number) for number in range(options.couriers)],
        [order(number) for number in range(options.orders)],
        [photo(number) for number in range(12)],
    )
    for client in (live.dynamodb, courier_page.dynamodb):
        client.meta.events.register("before-send.dynamodb", tables.respond)
    print(f"{options.couriers} couriers, {options.orders} orders")
    measure("console", console.handler, request("/api/console/now", "max", "managers"), tables)
    event = request("/api/courier/shift", "courier-000", "couriers")
    measure("courier's page", courier_page.handler, event, tables)


if __name__ == "__main__":
    main()
