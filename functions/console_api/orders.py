"""Read orders for the console, a page at a time."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, TypedDict

import boto3
from botocore.exceptions import ClientError
from pydantic import Field

from functions.dispatch_orders.statuses import OrderStatus
from functions.http_api.http import ProblemError, table_of_dispatch
from functions.http_api.records import Record, Time, plain, text

EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)
OPEN_FOR = timedelta(days=1)  # after the window of an order
WRONG_CURSOR = "cursor must be the next of the page before"
READ_AT_ONCE = 300  # orders in one call of DynamoDB, before the filter

dynamodb = boto3.client("dynamodb")


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


def read_open_orders(now: datetime) -> list[Order]:
    """All open orders: neither delivered nor cancelled nor refused.

    An order whose delivery nobody reports stays assigned. It is left out after OPEN_FOR.
    """
    request = open_orders(now - OPEN_FOR, LATEST)
    pages = dynamodb.get_paginator("query").paginate(**request)
    return [order_of(plain(item), now) for page in pages for item in page["Items"]]


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
    equal = {"status": state, "courier_id": courier_id}
    # Without a day, the query is by due_until.
    due = (after, before) if day is not None and (due_after or due_before) else None
    filtered = add_filter(request, equal, due)
    keys = ("open_state", "due_until") if day is None else ("day", "recorded_at")
    if cursor:
        request["ExclusiveStartKey"] = key_of(cursor, keys)
    try:
        page = dynamodb.query(**request, Limit=READ_AT_ONCE if filtered else limit)
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


def add_filter(
    request: dict[str, Any],
    equal: Mapping[str, str | None],
    due: tuple[datetime, datetime] | None,
) -> bool:
    """Add conditions to a query; False if there are none.

    Args:
        request: the query, to be changed.
        equal: values of attributes; None is any value.
        due: the earliest and the latest due_until.

    """
    chosen = {name: value for name, value in equal.items() if value is not None}
    conditions = [f"#{name} = :{name}" for name in chosen]
    values = {f":{name}": value for name, value in chosen.items()}
    if due is not None:
        conditions.append("due_until BETWEEN :after AND :before")
        values |= {":after": text(due[0]), ":before": text(due[1])}
    if conditions:
        request["FilterExpression"] = " AND ".join(conditions)
        request["ExpressionAttributeValues"] |= {name: {"S": each} for name, each in values.items()}
    if chosen:
        names = {f"#{name}": name for name in chosen}
        request["ExpressionAttributeNames"] = request.get("ExpressionAttributeNames", {}) | names
    return bool(conditions)


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
