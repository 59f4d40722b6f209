"""Put an event on the stack's bus."""

import os
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import boto3

from functions.http_api.http import ProblemError, dumps

SOURCE = "scones-unlimited"

events = boto3.client("events")


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
