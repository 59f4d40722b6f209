"""Put an event on the stack's bus, and read DynamoDB's types."""

import os
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import boto3
from boto3.dynamodb.types import TypeDeserializer

from functions.http_api.http import ProblemError, dumps

SOURCE = "scones-unlimited"

events = boto3.client("events")
deserialize = TypeDeserializer().deserialize


def publish(detail_type: str, detail: Mapping[str, Any]) -> None:
    """Put an event on the bus.

    Raises:
        ProblemError: 503, the bus did not take it; the client may send the request again.

    """
    result = events.put_events(
        Entries=[
            {
                "EventBusName": os.environ["EVENT_BUS_NAME"],
                "Source": SOURCE,
                "DetailType": detail_type,
                "Detail": dumps(detail),
            }
        ]
    )["Entries"][0]
    if "ErrorCode" in result:
        raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "This was not saved. Send it again.")


def plain(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item of DynamoDB as Python values; numbers as JSON has them."""
    return {name: number(deserialize(value)) for name, value in item.items()}


def number(value: Any) -> Any:
    """Decimals as int or float, within maps and lists too."""
    if isinstance(value, dict):
        return {name: number(each) for name, each in value.items()}
    if isinstance(value, list):
        return [number(each) for each in value]
    if hasattr(value, "as_integer_ratio"):
        return int(value) if value == int(value) else float(value)
    return value
