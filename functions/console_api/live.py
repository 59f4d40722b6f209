"""Read what the console's view "Now" shows: couriers, open orders and the latest photos."""

import os
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, TypedDict

import boto3
from pydantic import Field

from functions.console_api.orders import Order, read_open_orders
from functions.console_api.quality import read_alarms
from functions.dispatch_orders.fleet import read_fleet
from functions.dispatch_orders.statuses import OrderStatus
from functions.http_api.http import table_of_dispatch
from functions.http_api.records import (
    PhotoState,
    Record,
    Time,
    decision_of,
    is_on_shift,
    plain,
    text,
)

LATEST_PHOTOS = 12
COUNTED_REVIEWS = 50

dynamodb = boto3.client("dynamodb")
fleet = read_fleet()


class Depot(TypedDict):
    """Where routes begin and end."""

    latitude: float
    longitude: float


class Counts(TypedDict):
    """The numbers above the map."""

    couriers_on_shift: int
    orders_waiting: int
    orders_late: int
    photos_to_review: Annotated[int, Field(description=f"Counted up to {COUNTED_REVIEWS}")]
    alarms: int


class CourierNow(TypedDict):
    """A courier on shift; the stops of the route: the orders with this courier_id by arrives_at."""

    courier_id: str
    vehicle: str
    state: Literal["free", "on_route"]
    shift_ends_at: Time
    departs_at: Time | None
    returns_at: Time | None
    image_id: Annotated[
        str, Field(description="The photo of the check-in; a review of it corrects the vehicle")
    ]


class LatestPhoto(TypedDict):
    """A photo that was classified."""

    image_id: str
    courier_id: str
    state: PhotoState
    label: Annotated[
        str | None, Field(description="Of the newest review; without a review, of the model")
    ]
    model_label: str | None
    confidence: Annotated[float | None, Field(description="Of the model in its own label")]
    recorded_at: Time


class Now(TypedDict):
    """What the view "Now" shows."""

    at: Annotated[Time, Field(description="To the minute: the ETag holds while nothing changes")]
    depot: Depot
    counts: Counts
    couriers: list[CourierNow]
    orders: Annotated[
        list[Order], Field(description="Open orders, up to a day after the end of their windows")
    ]
    photos: Annotated[
        list[LatestPhoto],
        Field(description=f"The newest {LATEST_PHOTOS} of this hour and the one before"),
    ]


def read_now() -> Now:
    """What the view "Now" shows."""
    now = datetime.now(UTC)
    couriers: list[CourierNow] = []
    orders: list[Order] = []
    if os.environ["COURIERS_TABLE_NAME"]:  # empty without dispatch
        found = map(plain, scan_couriers())
        couriers = [courier_of(each, now) for each in found if is_on_shift(each, now)]
        orders = read_open_orders(now)
    counts: Counts = {
        "couriers_on_shift": len(couriers),
        "orders_waiting": sum(
            order["state"] in (OrderStatus.NEW, OrderStatus.WAITING) for order in orders
        ),
        "orders_late": sum(order["late"] for order in orders),
        "photos_to_review": count_reviews(),
        "alarms": sum(alarm["state"] == "ALARM" for alarm in read_alarms()),
    }
    return {
        "at": now.strftime("%Y-%m-%dT%H:%M:00Z"),
        "depot": {"latitude": fleet.depot.latitude, "longitude": fleet.depot.longitude},
        "counts": counts,
        "couriers": couriers,
        "orders": orders,
        "photos": read_latest_photos(now),
    }


def scan_couriers() -> list[Any]:
    """All couriers; 50 are about 35 kB."""
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=table_of_dispatch("COURIERS_TABLE_NAME")
    )
    return [item for page in pages for item in page["Items"]]


def courier_of(courier: Record, now: datetime) -> CourierNow:
    """A courier on shift."""
    is_out = courier.get("returns_at", "") > text(now)
    return {
        "courier_id": courier["courier_id"],
        "vehicle": courier["vehicle"],
        "state": "on_route" if is_out else "free",
        "shift_ends_at": courier["shift_ends_at"],
        "image_id": courier["image_id"],
        "departs_at": courier["departs_at"] if is_out else None,
        "returns_at": courier["returns_at"] if is_out else None,
    }


def read_latest_photos(now: datetime) -> list[LatestPhoto]:
    """The newest photos of this hour and the one before."""
    found: list[LatestPhoto] = []
    for hours in (0, 1):
        page = dynamodb.query(
            TableName=os.environ["PREDICTIONS_TABLE_NAME"],
            IndexName="by_hour",
            KeyConditionExpression="#hour = :hour",
            ExpressionAttributeNames={"#hour": "hour"},
            ExpressionAttributeValues={
                ":hour": {"S": (now - timedelta(hours=hours)).strftime("%Y-%m-%dT%H")}
            },
            ScanIndexForward=False,
            Limit=LATEST_PHOTOS - len(found),
        )
        found += [photo_of(plain(item)) for item in page["Items"]]
        if len(found) == LATEST_PHOTOS:
            break
    return found


def photo_of(record: Record) -> LatestPhoto:
    """A photo as the index by_hour has it."""
    state, label = decision_of(record)
    return {
        "image_id": record["image_id"],
        "courier_id": sender_of(record["image_id"]),
        "state": state,
        "label": label,
        "model_label": record.get("label"),
        "confidence": record.get("confidence"),
        "recorded_at": record["recorded_at"],
    }


def sender_of(image_id: str) -> str:
    """The second part of the key, as the workflow takes it."""
    parts = image_id.split("/")
    return parts[1] if len(parts) > 2 else "unknown"  # noqa: PLR2004


def count_reviews() -> int:
    """How many photos wait for a review, counted up to COUNTED_REVIEWS."""
    count: int = dynamodb.query(
        TableName=os.environ["PREDICTIONS_TABLE_NAME"],
        IndexName="to_review",
        KeyConditionExpression="review_state = :waiting",
        ExpressionAttributeValues={":waiting": {"S": "waiting"}},
        Select="COUNT",
        Limit=COUNTED_REVIEWS,
    )["Count"]
    return count
