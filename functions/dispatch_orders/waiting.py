"""Which orders a plan reads, and how."""

import os
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import batched
from time import sleep
from typing import Any

from functions.dispatch_orders.fields import time_of
from functions.dispatch_orders.fleet import Place
from functions.dispatch_orders.holding import LOOK_AHEAD
from functions.dispatch_orders.orders import PLANNED_AHEAD, Order
from functions.dispatch_orders.store import dynamodb, item, plain, text

MAX_ORDERS = 1000  # in one plan
GIVEN_UP_AFTER = timedelta(days=1)  # what is overdue for longer is not planned again
BATCH_GET_KEYS = 100
# Keys that DynamoDB leaves unprocessed are asked for again after a pause: exponential backoff with
# full jitter, in seconds. The SDK repeats whole requests only.
READ_ATTEMPTS = 8
FIRST_PAUSE = 0.1
MAX_PAUSE = 2


class OrdersTableBusyError(Exception):
    """DynamoDB throttles the reads of OrdersTable; the queue tries again."""


def read_waiting(now: datetime, also: Iterable[str]) -> tuple[list[Order], dict[str, str]]:
    """The orders to be planned, at most MAX_ORDERS.

    Args:
        now: the time of the plan, UTC.
        also: ids that the index may not know yet.

    Returns:
        The orders, and the reason by id that each has had so far.

    """
    ids = dict.fromkeys(also)
    ids |= dict.fromkeys(choose(due_times(now), MAX_ORDERS - len(ids), now))
    records = [record for record in get_orders(list(ids)) if "dispatch_state" in record]
    reasons = {record["order_id"]: record["reason"] for record in records}
    return [order_of(record) for record in records], reasons


def due_times(now: datetime) -> dict[str, str]:
    """`due_until` of every order that waits, can leave within LOOK_AHEAD, and is not given up."""
    given_up = now - GIVEN_UP_AFTER
    pages = dynamodb.get_paginator("query").paginate(
        TableName=os.environ["ORDERS_TABLE_NAME"],
        IndexName="to_dispatch",
        KeyConditionExpression="dispatch_state = :waiting AND plan_from BETWEEN :start AND :end",
        ExpressionAttributeValues=item(
            **{
                ":waiting": "waiting",
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
    """At most so many of these orders.

    The most urgent come first, but half of the places, and those that are left, are for overdue
    orders. If these are more, they take turns: a minute later the next ones are chosen.
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
    """Records of orders as they are now; the index lags a little.

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
            answer = dynamodb.batch_get_item(RequestItems=request)
            yield from map(plain, answer["Responses"].get(table, []))
            request = answer["UnprocessedKeys"]
            if not request:
                break
        else:
            raise OrdersTableBusyError(f"not read after {READ_ATTEMPTS} attempts")


def order_of(record: Mapping[str, Any]) -> Order:
    """The order of a record of OrdersTable."""
    return Order(
        order_id=record["order_id"],
        place=Place(float(record["latitude"]), float(record["longitude"])),
        boxes=int(record["boxes"]),
        ready_at=time_of("ready_at", record["ready_at"]),
        due_from=time_of("due_from", record["due_from"]),
        due_until=time_of("due_until", record["due_until"]),
    )
