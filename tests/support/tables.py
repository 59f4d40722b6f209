"""The tables of the template in moto, and what tests write into them."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import boto3
import pytest
from samcli.yamlhelper import yaml_parse

from tests.support.repository import REPOSITORY

TEMPLATE = REPOSITORY / "template.yaml"
KEPT = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")


@cache
def resources() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml_parse(TEMPLATE.read_text())["Resources"]  # takes a second
    return parsed


def schema(name: str) -> dict[str, Any]:
    """The arguments of CreateTable for a table, by its logical name, without `TableName`."""
    properties = resources()[name]["Properties"]
    return {key: properties[key] for key in KEPT if key in properties}


def create_tables(environment: pytest.MonkeyPatch, *names: str) -> None:
    """Create tables of the template, and name each in the variable that functions read."""
    for name in names:
        boto3.client("dynamodb").create_table(TableName=name, **schema(name))
        environment.setenv(name.removesuffix("Table").upper() + "_TABLE_NAME", name)


def put(table: str, **record: Any) -> None:
    """Write an item, given as plain values."""
    typed = json.loads(json.dumps(record), parse_float=Decimal)
    boto3.resource("dynamodb").Table(table).put_item(Item=typed)


def at(minutes: float) -> str:
    """A time so many minutes from now, as the tables have it."""
    time = datetime.now(UTC) + timedelta(minutes=minutes)
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def order(order_id: str, status: str = "waiting", minute: float = 0, **changes: Any) -> None:
    record = {
        "order_id": order_id,
        "status": status,
        "reason": f"{status}: because",
        "day": today(),
        "recorded_at": at(minute),
        "latitude": 52.1,
        "longitude": 5.1,
        "boxes": 2,
        "ready_at": at(0),
        "due_from": at(10),
        "due_until": at(30),
    }
    if status in ("new", "waiting"):
        record |= {"dispatch_state": "waiting", "plan_from": at(0)}
    if status in ("new", "waiting", "assigned"):
        record["open_state"] = "open"
    record = {name: each for name, each in (record | changes).items() if each is not None}
    put("OrdersTable", **record)


def photo(number: int, *, waits: bool = True, **changes: Any) -> str:
    image_id = f"uploads/anna/{number}.jpg#v"
    record = {
        "image_id": image_id,
        "status": "review",
        "label": "bicycle",
        "confidence": 0.6,
        "inferences": {"bicycle": 0.6, "other": 0.4},
        "hour": at(0)[:13],
        "recorded_at": at(number - 100),
    }
    put("PredictionsTable", **(record | ({"review_state": "waiting"} if waits else {}) | changes))
    return image_id
