"""Read couriers, orders, photos, reports and alarms for the console."""

import json
import os
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from typing import Any, Literal

import boto3

from functions.dispatch_orders.fleet import read_fleet
from functions.http_api.http import ProblemError, table_of_dispatch
from functions.http_api.records import Record, decision_of, is_on_shift, plain, text

type OrderState = Literal["new", "waiting", "assigned", "delivered", "cancelled", "refused"]

OPEN = ("new", "waiting", "assigned")
LATEST_PHOTOS = 12
COUNTED_REVIEWS = 50
ALARM_SECONDS = 60  # alarms are read as often: each call costs money
READ_AT_ONCE = 300  # orders in one call of DynamoDB, before the filter
ORDER_FIELDS = (
    "order_id",
    "reason",
    "latitude",
    "longitude",
    "boxes",
    "ready_at",
    "due_from",
    "due_until",
    "courier_id",
    "vehicle",
    "arrives_at",
    "delivered_at",
)

dynamodb = boto3.client("dynamodb")
cloudwatch = boto3.client("cloudwatch")
fleet = read_fleet()
alarms_read: list[tuple[datetime, list[dict[str, Any]]]] = []


def read_now() -> dict[str, Any]:
    """What the view "Now" shows."""
    now = datetime.now(UTC)
    couriers, orders = [], []
    if os.environ["COURIERS_TABLE_NAME"]:  # empty without dispatch
        couriers = [each for each in map(plain, scan_couriers()) if is_on_shift(each, now)]
        orders = [order_of(each, now) for each in read_open_orders(now)]
    counts = {
        "couriers_on_shift": len(couriers),
        "orders_waiting": sum(order["state"] in ("new", "waiting") for order in orders),
        "orders_late": sum(order["late"] for order in orders),
        "photos_to_review": count_reviews(),
        "alarms": sum(alarm["state"] == "ALARM" for alarm in read_alarms()),
    }
    return {
        "at": now.strftime("%Y-%m-%dT%H:%M:00Z"),
        "depot": {"latitude": fleet.depot.latitude, "longitude": fleet.depot.longitude},
        "counts": counts,
        "couriers": [courier_of(each, now) for each in couriers],
        "orders": orders,
        "photos": read_latest_photos(now),
    }


# ── Couriers ──


def scan_couriers() -> list[Any]:
    """All couriers; 50 are about 35 kB."""
    pages = dynamodb.get_paginator("scan").paginate(TableName=os.environ["COURIERS_TABLE_NAME"])
    return [item for page in pages for item in page["Items"]]


def courier_of(courier: Record, now: datetime) -> dict[str, Any]:
    """A courier on shift."""
    is_out = courier.get("returns_at", "") > text(now)
    names = ("courier_id", "vehicle", "shift_ends_at")
    return {name: courier[name] for name in names} | {
        "state": "on_route" if is_out else "free",
        "departs_at": courier["departs_at"] if is_out else None,
        "returns_at": courier["returns_at"] if is_out else None,
    }


# ── Orders ──


def read_open_orders(now: datetime) -> list[dict[str, Any]]:
    """Orders that are due from yesterday to tomorrow (UTC) and neither delivered nor cancelled."""
    values = {f":{state}": {"S": state} for state in OPEN}
    found: list[dict[str, Any]] = []
    for days in (-1, 0, 1):
        pages = dynamodb.get_paginator("query").paginate(
            **of_day(now.date() + timedelta(days=days), values),
            FilterExpression=f"#status IN ({', '.join(values)})",
            ExpressionAttributeNames={"#day": "day", "#status": "status"},
        )
        found += [plain(item) for page in pages for item in page["Items"]]
    return found


def list_orders(
    day: date | None,
    state: str | None,
    courier_id: str | None,
    limit: int,
    cursor: str | None,
) -> dict[str, Any]:
    """A page of the orders of a day, newest first.

    DynamoDB reads READ_AT_ONCE orders for a page at most, so a page with filters may be shorter.
    """
    now = datetime.now(UTC)
    wanted = {"status": state, "courier_id": courier_id}
    chosen = {name: value for name, value in wanted.items() if value is not None}
    day = day or now.date()
    request: dict[str, Any] = of_day(
        day, {f":{name}": {"S": value} for name, value in chosen.items()}
    )
    request["ExpressionAttributeNames"] = {f"#{name}": name for name in ("day", *chosen)}
    if chosen:
        request["FilterExpression"] = " AND ".join(f"#{name} = :{name}" for name in chosen)
    if cursor:
        request["ExclusiveStartKey"] = key_of(cursor, day)
    page = dynamodb.query(
        **request, ScanIndexForward=False, Limit=READ_AT_ONCE if chosen else limit
    )
    records = [plain(item) for item in page["Items"]]
    following = plain(page["LastEvaluatedKey"]) if "LastEvaluatedKey" in page else None
    if len(records) > limit:
        records = records[:limit]
        following = records[-1]
    return {
        "items": [order_of(record, now) for record in records],
        "next": following and json.dumps([following["recorded_at"], following["order_id"]]),
    }


def of_day(day: date, values: Mapping[str, Any]) -> dict[str, Any]:
    """A query of the orders of one day."""
    return {
        "TableName": table_of_dispatch("ORDERS_TABLE_NAME"),
        "IndexName": "by_day",
        "KeyConditionExpression": "#day = :day",
        "ExpressionAttributeValues": {":day": {"S": day.isoformat()}, **values},
    }


def key_of(cursor: str, day: date) -> dict[str, Any]:
    """Where a page begins; raises ProblemError (422) if the cursor is no cursor."""
    try:
        recorded_at, order_id = json.loads(cursor)
        return {
            "day": {"S": day.isoformat()},
            "recorded_at": {"S": str(recorded_at)},
            "order_id": {"S": str(order_id)},
        }
    except (ValueError, TypeError):
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY, "cursor must be the next of the page before"
        ) from None


def read_order(order_id: str) -> dict[str, Any] | None:
    """The record of an order."""
    found = dynamodb.get_item(
        TableName=table_of_dispatch("ORDERS_TABLE_NAME"), Key={"order_id": {"S": order_id}}
    )
    return plain(found["Item"]) if "Item" in found else None


def order_of(record: Record, now: datetime) -> dict[str, Any]:
    """An order as the console shows it."""
    order = {name: record.get(name) for name in ORDER_FIELDS} | {"state": record["status"]}
    return order | {"late": is_late(record, now)}


def is_late(order: Record, now: datetime) -> bool:
    """Whether an order was, will be, or must be delivered after its window."""
    if order["status"] in ("cancelled", "refused"):
        return False
    # One on a route arrives as planned, or now if that is over.
    planned = max(order.get("arrives_at", ""), text(now))
    return bool(order.get("delivered_at", planned) > order["due_until"])


# ── Photos ──


def read_latest_photos(now: datetime) -> list[dict[str, Any]]:
    """The newest photos of this hour and the one before."""
    found: list[dict[str, Any]] = []
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


def photo_of(record: Record) -> dict[str, Any]:
    """A photo as the index by_hour has it."""
    state, label = decision_of(record)
    return {
        "image_id": record["image_id"],
        "courier_id": sender_of(record["image_id"]),
        "state": state,
        "label": label,
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


# ── Quality ──


def read_reports(hours: int) -> list[dict[str, Any]]:
    """The newest reports of MeasureDrift, newest first."""
    page = dynamodb.query(
        TableName=os.environ["DRIFT_TABLE_NAME"],
        KeyConditionExpression="series = :series",
        ExpressionAttributeValues={":series": {"S": "hourly"}},
        ScanIndexForward=False,
        Limit=hours,
    )
    found = map(plain, page["Items"])
    return [
        {
            "hour": each["hour"],
            "report": json.loads(each["report"]),
            "label_shares": json.loads(each.get("label_shares", "[]")),
        }
        for each in found
        if "report" in each
    ]


def read_alarms() -> list[dict[str, Any]]:
    """The stack's alarms, those in ALARM first; at most ALARM_SECONDS old."""
    now = datetime.now(UTC)
    if alarms_read and now - alarms_read[0][0] < timedelta(seconds=ALARM_SECONDS):
        return alarms_read[0][1]
    prefix = f"{os.environ['STACK_NAME']}-"
    pages = cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix=prefix)
    found = [
        {
            "name": alarm["AlarmName"],
            "state": alarm["StateValue"],
            "description": alarm.get("AlarmDescription", ""),
            "since": text(alarm["StateUpdatedTimestamp"].astimezone(UTC)),
        }
        for page in pages
        for alarm in page["MetricAlarms"]
        # Not of a stack with a longer name: <logical id>-<random> is the rest of the name.
        if alarm["AlarmName"].removeprefix(prefix).count("-") <= 1
    ]
    found.sort(key=lambda alarm: (alarm["state"] != "ALARM", alarm["name"]))
    alarms_read[:] = [(now, found)]
    return found
