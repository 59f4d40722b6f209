"""The tables of the template in moto, and what tests write into them."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import boto3
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


def put(table: str, **record: Any) -> None:
    """Write an item, given as plain values."""
    typed = json.loads(json.dumps(record), parse_float=Decimal)
    boto3.resource("dynamodb").Table(table).put_item(Item=typed)


def at(minutes: float) -> str:
    """A time so many minutes from now, as the tables have it."""
    time = datetime.now(UTC) + timedelta(minutes=minutes)
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")
