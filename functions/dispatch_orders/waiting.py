"""Read the orders of a plan."""

import os
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import batched
from time import sleep
from typing import Any

from functions.dispatch_orders.dynamo import dynamodb, item, plain, text
from functions.dispatch_orders.fields import time_of
from functions.dispatch_orders.fleet import Location
from functions.dispatch_orders.holding import LOOK_AHEAD
from functions.dispatch_orders.orders import PLANNED_AHEAD, Order

WAITING = "waiting"  # dispatch_state of an order that plans read
MAX_ORDERS = 1000  # in one plan
GIVEN_UP_AFTER = timedelta(days=1)  # an order that is overdue for longer is not planned again
BATCH_GET_KEYS = 100
# Keys that DynamoDB did not process are requested again after a pause in seconds: exponential
# backoff with full jitter. The SDK repeats only whole requests.
READ_ATTEMPTS = 8
FIRST_PAUSE = 0.1
MAX_PAUSE = 2


class OrdersTableBusyError(Exception):
    """DynamoDB throttles the reads of OrdersTable; the queue delivers the messages again."""


def read_waiting(now: datetime, also: Iterable[str]) -> tuple[list[Order], dict[str, str]]:
    """Read the orders to plan, at most MAX_ORDERS.

    Args:
        now: time of the plan, UTC.
        also: ids of orders that the index may not contain yet.

    Returns:
        The orders, and their present reasons by id.

    Raises:
        OrdersTableBusyError: DynamoDB throttles the reads.

    """
    ids = dict.fromkeys(also)
    ids |= dict.fromkeys(choose(due_times(now), MAX_ORDERS - len(ids), now))
    records = [each for each in get_orders(list(ids)) if each.get("dispatch_state") == WAITING]
    reasons = {record["order_id"]: record["reason"] for record in records}
    return [order_of(record) for record in records], reasons


def due_times(now: datetime) -> dict[str, str]:
    """Read `due_until` of each waiting order that can leave soon and is not given up."""
    given_up = now - GIVEN_UP_AFTER
    pages = dynamodb.get_paginator("query").paginate(
        TableName=os.environ["ORDERS_TABLE_NAME"],
        IndexName="to_dispatch",
        KeyConditionExpression="dispatch_state = :waiting AND plan_from BETWEEN :start AND :end",
        ExpressionAttributeValues=item(
            **{
                ":waiting": WAITING,
                ":start": text(given_up - PLANNED_AHEAD),
                ":end": text(now + LOOK_AHEAD),
            }
        ),
    )
    found = {
        each["order_id"]["S"]: each["due_until"]["S"] for page in pages for each in page["Items"]
    }
    return {order_id: due for order_id, due in found.items() if due > text(given_up)}


def choose(due: Mapping[str, str], most: int, now: datetime) -> list[str]:
    """Choose at most so many orders.

    The most urgent are first, but overdue orders get half of the places, and those that are free.
    If there are more overdue orders than places, the next minute chooses the next ones.

    Args:
        due: `due_until` by order id.
        most: number of places.
        now: time of the plan, UTC.

    """
    by_time = sorted(due, key=lambda order_id: (due[order_id], order_id))
    overdue = [order_id for order_id in by_time if due[order_id] < text(now)]
    urgent = by_time[len(overdue) :]
    places = min(len(overdue), max(most // 2, most - len(urgent)))
    if places:
        first = int(now.timestamp() // 60) * places % len(overdue)
        overdue = (overdue + overdue)[first : first + places]
    return overdue + urgent[: most - len(overdue)]


def get_orders(ids: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Read records of orders from the table, because the index is eventually consistent.

    Raises:
        OrdersTableBusyError: after READ_ATTEMPTS the table has not returned all of them.

    """
    table = os.environ["ORDERS_TABLE_NAME"]
    for batch in batched(ids, BATCH_GET_KEYS, strict=False):
        keys = [item(order_id=order_id) for order_id in batch]
        request: dict[str, Any] = {table: {"Keys": keys, "ConsistentRead": True}}
        for attempt in range(READ_ATTEMPTS):
            if attempt:
                longest = min(MAX_PAUSE, FIRST_PAUSE * 2 ** (attempt - 1))
                sleep(random.uniform(0, longest))  # noqa: S311
            response = dynamodb.batch_get_item(RequestItems=request)
            yield from map(plain, response["Responses"].get(table, []))
            request = response["UnprocessedKeys"]
            if not request:
                break
        else:
            raise OrdersTableBusyError(
                f"OrdersTable is throttled: orders were not read in {READ_ATTEMPTS} attempts"
            )


def order_of(record: Mapping[str, Any]) -> Order:
    """Make an order from a record of OrdersTable."""
    return Order(
        order_id=record["order_id"],
        location=Location(float(record["latitude"]), float(record["longitude"])),
        boxes=int(record["boxes"]),
        ready_at=time_of("ready_at", record["ready_at"]),
        due_from=time_of("due_from", record["due_from"]),
        due_until=time_of("due_until", record["due_until"]),
        pinned_to=record.get("pinned_to"),
        overruled=overruled(record),
    )


def overruled(record: Mapping[str, Any]) -> str:
    """What people changed about an order, in words; empty if nothing."""
    changes = []
    if "window_by" in record:
        changes.append(f"window changed by {record['window_by']}")
    if "pinned_to" in record:
        changes.append(f"pinned to courier {record['pinned_to']} by {record['pinned_by']}")
    return ", ".join(changes)
