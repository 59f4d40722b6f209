"""Publish the events of the dispatch."""

import json
import os
from collections.abc import Mapping, Sequence
from itertools import batched
from typing import Any

import boto3

from functions.dispatch_orders.dynamo import text
from functions.dispatch_orders.orders import Order
from functions.dispatch_orders.planning import Route
from functions.dispatch_orders.store import CourierRecord

SOURCE = "scones-unlimited"
PUT_EVENTS_ENTRIES = 10  # the most that PutEvents takes

events = boto3.client("events")


class PublishError(Exception):
    """EventBridge did not take an event. It stays in the outbox for the next plan."""


def publish(entries: Sequence[str]) -> None:
    """Put events, as `entry` made them, on the bus; raises PublishError."""
    common = {"EventBusName": os.environ["EVENT_BUS_NAME"], "Source": SOURCE}
    for batch in batched(entries, PUT_EVENTS_ENTRIES, strict=False):
        response = events.put_events(Entries=[json.loads(line) | common for line in batch])
        failed = [each for each in response["Entries"] if "ErrorCode" in each]
        if failed:
            raise PublishError(f"{failed[0]['ErrorCode']}: {failed[0].get('ErrorMessage', '')}")


def entry(detail_type: str, detail: Mapping[str, Any]) -> str:
    """Return an event as JSON, the format of the outbox."""
    return json.dumps({"DetailType": detail_type, "Detail": json.dumps(detail)})


def orders_withdrawn(courier: CourierRecord, order_ids: Sequence[str], reason: str) -> str:
    """Return the event `Orders Withdrawn`, as `entry` makes it."""
    return entry(
        "Orders Withdrawn",
        {
            "dispatch_id": courier.dispatch_id,
            "courier_id": courier.courier_id,
            "order_ids": order_ids,
            "reason": reason,
        },
    )


def orders_dispatched(
    route: Route, dispatch_id: str, orders: Mapping[str, Order]
) -> dict[str, Any]:
    """Return the detail of `Orders Dispatched`; distances in km, times in UTC."""
    return {
        "dispatch_id": dispatch_id,
        "courier_id": route.courier_id,
        "vehicle": route.vehicle,
        "loading_bay": route.loading_bay,
        "departs_at": text(route.departs_at),
        "returns_at": text(route.returns_at),
        "distance_km": round(route.distance_km, 2),
        "stops": [
            {
                "order_id": stop.order_id,
                "latitude": orders[stop.order_id].location.latitude,
                "longitude": orders[stop.order_id].location.longitude,
                "boxes": orders[stop.order_id].boxes,
                "arrives_at": text(stop.arrives_at),
                "distance_km": round(stop.distance_km, 2),
                "reason": stop.reason,
            }
            for stop in route.stops
        ],
    }
