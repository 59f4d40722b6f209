"""Read couriers, orders and photos for the console."""

import json
import os
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Literal, TypedDict

import boto3
from botocore.exceptions import ClientError
from pydantic import Field

from functions.console_api.quality import read_alarms
from functions.dispatch_orders.fleet import read_fleet
from functions.dispatch_orders.statuses import OrderStatus
from functions.http_api.http import ProblemError, table_of_dispatch
from functions.http_api.records import (
    PhotoState,
    Record,
    Time,
    decision_of,
    is_on_shift,
    plain,
    text,
)

EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)
OPEN_FOR = timedelta(days=1)  # after the window of an order
LATEST_PHOTOS = 12
COUNTED_REVIEWS = 50
WRONG_CURSOR = "cursor must be the next of the page before"
READ_AT_ONCE = 300  # orders in one call of DynamoDB, before the filter

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


class Order(TypedDict):
    """An order. If it was refused, most fields are null."""

    order_id: str
    state: OrderStatus
    reason: str
    late: Annotated[
        bool,
        Field(description="After due_until and not delivered, or to arrive or delivered after it"),
    ]
    latitude: float | None
    longitude: float | None
    boxes: int | None
    ready_at: Time | None
    due_from: Time | None
    due_until: Time | None
    courier_id: str | None
    vehicle: str | None
    arrives_at: Time | None
    delivered_at: Time | None
    pinned_to: Annotated[str | None, Field(description="The only courier who may deliver it")]
    held_by: Annotated[str | None, Field(description="Who holds it back")]


class OrderPage(TypedDict):
    """A page of orders; `next` is the cursor of the page after it."""

    items: list[Order]
    next: str | None


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
        orders = [order_of(each, now) for each in read_open_orders(now)]
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


# ── Couriers ──


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


# ── Orders ──


def read_open_orders(now: datetime) -> list[dict[str, Any]]:
    """All open orders: neither delivered nor cancelled nor refused.

    An order whose delivery nobody reports stays assigned. It is left out after OPEN_FOR.
    """
    request = open_orders(now - OPEN_FOR, LATEST)
    pages = dynamodb.get_paginator("query").paginate(**request)
    return [plain(item) for page in pages for item in page["Items"]]


def open_orders(after: datetime, before: datetime) -> dict[str, Any]:
    """A query of the open orders whose windows end between two times, by the end."""
    return {
        "TableName": table_of_dispatch("ORDERS_TABLE_NAME"),
        "IndexName": "open_orders",
        "KeyConditionExpression": "open_state = :open AND due_until BETWEEN :after AND :before",
        "ExpressionAttributeValues": {
            ":open": {"S": "open"},
            ":after": {"S": text(after)},
            ":before": {"S": text(before)},
        },
    }


def orders_of_day(day: date) -> dict[str, Any]:
    """A query of the orders of one day, newest first."""
    return {
        "TableName": table_of_dispatch("ORDERS_TABLE_NAME"),
        "IndexName": "by_day",
        "KeyConditionExpression": "#day = :day",
        "ExpressionAttributeNames": {"#day": "day"},
        "ExpressionAttributeValues": {":day": {"S": day.isoformat()}},
        "ScanIndexForward": False,
    }


def list_orders(
    day: date | None,
    state: str | None,
    courier_id: str | None,
    due_after: datetime | None,
    due_before: datetime | None,
    limit: int,
    cursor: str | None,
) -> OrderPage:
    """A page of the orders of a day, newest first; without a day, of the open ones, by due_until.

    DynamoDB reads READ_AT_ONCE orders for a page at most, so a page with filters may be shorter.
    """
    now = datetime.now(UTC)
    after = max(now - OPEN_FOR if day is None else EARLIEST, due_after or EARLIEST).astimezone(UTC)
    before = min(LATEST, due_before or LATEST).astimezone(UTC)
    if before < after:
        return {"items": [], "next": None}
    request = open_orders(after, before) if day is None else orders_of_day(day)
    wanted = {"status": state, "courier_id": courier_id}
    chosen = {name: value for name, value in wanted.items() if value is not None}
    conditions = [f"#{name} = :{name}" for name in chosen]
    values = {f":{name}": value for name, value in chosen.items()}
    if day is not None and (due_after or due_before):  # without a day, it is a key of the index
        conditions.append("due_until BETWEEN :after AND :before")
        values |= {":after": text(after), ":before": text(before)}
    if conditions:
        request["FilterExpression"] = " AND ".join(conditions)
        request["ExpressionAttributeValues"] |= {name: {"S": each} for name, each in values.items()}
    if chosen:
        names = {f"#{name}": name for name in chosen}
        request["ExpressionAttributeNames"] = request.get("ExpressionAttributeNames", {}) | names
    keys = ("open_state", "due_until") if day is None else ("day", "recorded_at")
    if cursor:
        request["ExclusiveStartKey"] = key_of(cursor, keys)
    try:
        page = dynamodb.query(**request, Limit=READ_AT_ONCE if conditions else limit)
    except ClientError as error:
        if not cursor or error.response["Error"]["Code"] != "ValidationException":
            raise
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, WRONG_CURSOR) from error
    records = [plain(item) for item in page["Items"]]
    following = plain(page["LastEvaluatedKey"]) if "LastEvaluatedKey" in page else None
    if len(records) > limit:
        records = records[:limit]
        following = records[-1]
    return {
        "items": [order_of(record, now) for record in records],
        "next": json.dumps([following[name] for name in (*keys, "order_id")])
        if following
        else None,
    }


def key_of(cursor: str, keys: tuple[str, str]) -> dict[str, Any]:
    """Where a page begins; raises ProblemError (422) if the cursor is none of this list."""
    try:
        values = json.loads(cursor)
        return {
            name: {"S": str(value)} for name, value in zip((*keys, "order_id"), values, strict=True)
        }
    except (ValueError, TypeError):
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, WRONG_CURSOR) from None


def list_order(order_id: str) -> OrderPage:
    """A page with the order, or an empty one if there is no such order."""
    record = read_order(order_id)
    items = [] if record is None else [order_of(record, datetime.now(UTC))]
    return {"items": items, "next": None}


def read_order(order_id: str) -> dict[str, Any] | None:
    """The record of an order."""
    found = dynamodb.get_item(
        TableName=table_of_dispatch("ORDERS_TABLE_NAME"), Key={"order_id": {"S": order_id}}
    )
    return plain(found["Item"]) if "Item" in found else None


def order_of(record: Record, now: datetime) -> Order:
    """An order as the console shows it."""
    return {
        "order_id": record["order_id"],
        "state": record["status"],
        "reason": record["reason"],
        "late": is_late(record, now),
        "latitude": record.get("latitude"),
        "longitude": record.get("longitude"),
        "boxes": record.get("boxes"),
        "ready_at": record.get("ready_at"),
        "due_from": record.get("due_from"),
        "due_until": record.get("due_until"),
        "courier_id": record.get("courier_id"),
        "vehicle": record.get("vehicle"),
        "arrives_at": record.get("arrives_at"),
        "delivered_at": record.get("delivered_at"),
        "pinned_to": record.get("pinned_to"),
        "held_by": record.get("held_by"),
    }


def is_late(order: Record, now: datetime) -> bool:
    """Whether an order was, will be, or must be delivered after its window."""
    if order["status"] in (OrderStatus.CANCELLED, OrderStatus.REFUSED):
        return False
    # One on a route arrives as planned, or now if that is over.
    planned = max(order.get("arrives_at", ""), text(now))
    return bool(order.get("delivered_at", planned) > order["due_until"])


# ── Photos ──


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
