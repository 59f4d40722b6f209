"""Store couriers and orders in DynamoDB.

Each write has a condition: repeated and late events change nothing, and no order has two couriers.
An event is written in the same transaction as the change that it reports (`outbox`), and removed
after it was published. A crash in between repeats an event, but loses none.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from botocore.exceptions import ClientError

from functions.dispatch_orders.dynamo import (
    condition_failed,
    dynamodb,
    exact,
    item,
    plain,
    text,
    write_all_or_none,
)
from functions.dispatch_orders.fields import time_of
from functions.dispatch_orders.messages import CheckIn, OffShift
from functions.dispatch_orders.orders import Order
from functions.dispatch_orders.planning import Route, Stop
from functions.dispatch_orders.statuses import OrderStatus
from functions.dispatch_orders.waiting import WAITING

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

WAITS = "attribute_exists(dispatch_state)"  # the condition that an order has no courier
# The condition that this courier may get an order: it waits, and nobody holds it or pinned it to
# another one.
MAY_BE_ASSIGNED = (
    "dispatch_state = :waiting AND (attribute_not_exists(pinned_to) OR pinned_to = :courier)"
)

logger = Logger(child=True)


@dataclass(frozen=True, slots=True)
class CourierRecord:
    """A record of CouriersTable; times in UTC.

    Attributes:
        courier_id: the key.
        version: number of writes.
        vehicle: label of the vehicle; None without an accepted photo.
        checked_in_at: upload of the last photo; None before the first.
        shift_ends_at: end of the shift that began then.
        off_shift_at: time of the last `Courier Off Shift`; None if there was none.
        off_shift_by: who of the shop ended that shift; None if it was the courier.
        dispatch_id: of the last route; None without one.
        dispatched_shift: `checked_in_at` of the shift of that route.
        departs_at: planned departure of it.
        returns_at: planned return from it.
        arrivals: planned arrival at each of its orders that is not delivered yet, by order id.
        outbox: events to publish, as JSON.

    """

    courier_id: str
    version: int
    vehicle: str | None
    checked_in_at: datetime | None
    shift_ends_at: datetime | None
    off_shift_at: datetime | None
    off_shift_by: str | None
    dispatch_id: str | None
    dispatched_shift: datetime | None
    departs_at: datetime | None
    returns_at: datetime | None
    arrivals: Mapping[str, datetime]
    outbox: Sequence[str]

    @property
    def is_off_shift(self) -> bool:
        """Whether the courier went off shift after the last photo."""
        return has_ended(self.checked_in_at, self.off_shift_at)

    @property
    def undelivered(self) -> list[str]:
        """The orders of the last route that a courier did not reach before going off shift."""
        if self.off_shift_at is None or not has_ended(self.dispatched_shift, self.off_shift_at):
            return []
        return [order for order, at in self.arrivals.items() if at > self.off_shift_at]


def has_ended(began_at: datetime | None, off_shift_at: datetime | None) -> bool:
    """Return whether a shift that began at a time has ended with a `Courier Off Shift`."""
    return off_shift_at is not None and (began_at is None or began_at <= off_shift_at)


# ── Events ──


def check_in(message: CheckIn) -> None:
    """Store the vehicle of a courier's photo, unless a later photo or review is stored."""
    times = message.uploaded_at, message.recorded_at, message.reviewed_at
    shift = timedelta(hours=int(os.environ["SHIFT_HOURS"]))
    values = {
        ":as_of": " ".join(text(time) if time else "" for time in times),
        ":image": message.image_id,
        ":checked_in": text(message.uploaded_at),
        ":shift_ends": text(message.uploaded_at + shift),
        ":expires": expiry(message.uploaded_at),
    }
    changes = "as_of = :as_of, image_id = :image, checked_in_at = :checked_in"
    changes += ", shift_ends_at = :shift_ends, expires_at = :expires"
    if message.vehicle is None:
        change = f"SET {changes} REMOVE vehicle"
    else:
        change, values[":vehicle"] = f"SET {changes}, vehicle = :vehicle", message.vehicle
    newest = "attribute_not_exists(as_of) OR as_of <= :as_of"
    if not change_courier(message.courier_id, change, newest, values):
        logger.info("A later photo is stored already", extra={"image_id": message.image_id})


def go_off_shift(message: OffShift) -> None:
    """Store when a courier went off shift, unless a later time is stored."""
    at = message.off_shift_at
    change_courier(
        message.courier_id,
        "SET off_shift_at = :at, off_shift_by = :by"
        ", expires_at = if_not_exists(expires_at, :expires)",
        "attribute_not_exists(off_shift_at) OR off_shift_at <= :at",
        {":at": text(at), ":by": message.ended_by, ":expires": expiry(at)},
    )


def change_courier(courier_id: str, change: str, condition: str, values: dict[str, Any]) -> bool:
    """Change a courier if the condition is true; return whether it was."""
    try:
        dynamodb.update_item(
            TableName=os.environ["COURIERS_TABLE_NAME"],
            Key=item(courier_id=courier_id),
            UpdateExpression=f"{change} ADD version :one",
            ConditionExpression=condition,
            ExpressionAttributeValues=item(**values | {":one": 1}),
        )
    except ClientError as error:
        if not condition_failed(error):
            raise
        return False
    return True


def add_order(order: Order, plan_from: datetime, why_early: str, now: datetime) -> None:
    """Store a new order; one that is stored already, and was not refused, does not change.

    Args:
        order: the order.
        plan_from: plans read the order from LOOK_AHEAD before this time.
        why_early: why the next plan does not read it; empty if it does.
        now: arrival of the order, UTC.

    """
    put_order(
        order_id=order.order_id,
        **unplanned(why_early),
        latitude=order.location.latitude,
        longitude=order.location.longitude,
        boxes=order.boxes,
        ready_at=text(order.ready_at),
        due_from=text(order.due_from),
        due_until=text(order.due_until),
        day=order.due_until.date().isoformat(),
        recorded_at=text(now),
        expires_at=expiry(order.due_until),
        plan_from=text(plan_from),
        dispatch_state=WAITING,
        open_state="open",
    )


def unplanned(why_early: str) -> dict[str, str]:
    """Status and reason of an order that no plan has read; `why_early` as of `add_order`."""
    if why_early:
        return {"status": OrderStatus.WAITING, "reason": f"waiting: {why_early}"}
    return {"status": OrderStatus.NEW, "reason": "new: to be planned"}


def refuse_order(order_id: str, reason: str, now: datetime) -> bool:
    """Store why an order is refused, unless the order is stored; return whether it was written."""
    return put_order(
        order_id=order_id,
        status=OrderStatus.REFUSED,
        reason=f"refused: {reason}",
        day=now.date().isoformat(),
        recorded_at=text(now),
        expires_at=expiry(now),
    )


def put_order(**attributes: Any) -> bool:
    """Put an order if it is new or was refused before; return whether it was written."""
    try:
        dynamodb.put_item(
            TableName=os.environ["ORDERS_TABLE_NAME"],
            Item=item(**attributes),
            ConditionExpression="attribute_not_exists(order_id) OR #status = :refused",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues=item(**{":refused": OrderStatus.REFUSED}),
        )
    except ClientError as error:
        if not condition_failed(error):
            raise
        logger.info("The order is stored already", extra={"order_id": attributes["order_id"]})
        return False
    return True


# ── Reads of a plan ──


def read_couriers() -> list[CourierRecord]:
    """Read all couriers."""
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=os.environ["COURIERS_TABLE_NAME"], ConsistentRead=True
    )
    return [courier_of(plain(each)) for page in pages for each in page["Items"]]


def courier_of(record: Mapping[str, Any]) -> CourierRecord:
    """Make a courier from a record of CouriersTable."""

    def time(name: str) -> datetime | None:
        return time_of(name, record[name]) if name in record else None

    return CourierRecord(
        courier_id=record["courier_id"],
        version=int(record["version"]),
        vehicle=record.get("vehicle"),
        checked_in_at=time("checked_in_at"),
        shift_ends_at=time("shift_ends_at"),
        off_shift_at=time("off_shift_at"),
        off_shift_by=record.get("off_shift_by"),
        dispatch_id=record.get("dispatch_id"),
        dispatched_shift=time("dispatched_shift"),
        departs_at=time("departs_at"),
        returns_at=time("returns_at"),
        arrivals={
            order_id: time_of("arrives_at", at)
            for order_id, at in record.get("arrivals", {}).items()
        },
        outbox=tuple(record.get("outbox", ())),
    )


# ── Writes of a plan ──


def assign(
    courier: CourierRecord, route: Route, dispatch_id: str, event: str
) -> CourierRecord | None:
    """Assign a route to a courier, in one transaction.

    Returns:
        The courier with the event to publish; None if the courier or an order has changed.

    """
    values: dict[str, Any] = {
        ":dispatch": dispatch_id,
        ":shift": text(courier.checked_in_at) if courier.checked_in_at else "",
        ":departs": text(route.departs_at),
        ":returns": text(route.returns_at),
        ":arrivals": {stop.order_id: text(stop.arrives_at) for stop in route.stops},
        ":route": {
            "stops": [stop.order_id for stop in route.stops],
            "loading_bay": route.loading_bay,
            "distance_km": exact(round(route.distance_km, 2)),
            "returns_at": text(route.returns_at),
        },
    }
    change = "SET dispatch_id = :dispatch, dispatched_shift = :shift, departs_at = :departs"
    change += ", returns_at = :returns, arrivals = :arrivals, route = :route,"
    writes = [courier_change(courier, change, event, values)]
    writes += [assignment(stop, route, dispatch_id) for stop in route.stops]
    return with_event(courier, event) if write_all_or_none(writes) else None


def assignment(stop: Stop, route: Route, dispatch_id: str) -> "TransactWriteItemTypeDef":
    """Return the change of an order that waits, and gets a courier."""
    values = {
        ":assigned": OrderStatus.ASSIGNED,
        ":reason": stop.reason,
        ":courier": route.courier_id,
        ":vehicle": route.vehicle,
        ":dispatch": dispatch_id,
        ":arrives": text(stop.arrives_at),
        ":waiting": WAITING,
    }
    change = "SET #status = :assigned, reason = :reason, courier_id = :courier"
    change += ", vehicle = :vehicle, dispatch_id = :dispatch, arrives_at = :arrives"
    change += " REMOVE dispatch_state"
    return order_change(stop.order_id, change, MAY_BE_ASSIGNED, values)


def withdraw(
    courier: CourierRecord, order_ids: Sequence[str], reason: str, event: str
) -> CourierRecord | None:
    """End a courier's route, and let these orders of it wait again, in one transaction.

    Returns:
        The courier with the event to publish; None if the courier or an order has changed.

    """
    change = "REMOVE dispatch_id, dispatched_shift, departs_at, returns_at, arrivals, route SET"
    writes = [courier_change(courier, change, event, {})]
    for order_id in order_ids:
        values = {":waiting": WAITING, ":reason": reason, ":dispatch": courier.dispatch_id}
        change = "SET #status = :waiting, reason = :reason, dispatch_state = :waiting"
        change += " REMOVE courier_id, vehicle, dispatch_id, arrives_at"
        writes.append(order_change(order_id, change, "dispatch_id = :dispatch", values))
    if not write_all_or_none(writes):
        return None
    freed = replace(courier, dispatch_id=None, returns_at=None, arrivals={})
    return with_event(freed, event)


def courier_change(
    courier: CourierRecord, change: str, event: str, values: Mapping[str, Any]
) -> "TransactWriteItemTypeDef":
    """Return the change of a courier who has not changed since the read, with an event.

    `change` ends with SET or a comma.
    """
    change += " outbox = list_append(if_not_exists(outbox, :none), :event) ADD version :one"
    return {
        "Update": {
            "TableName": os.environ["COURIERS_TABLE_NAME"],
            "Key": item(courier_id=courier.courier_id),
            "UpdateExpression": change,
            "ConditionExpression": "version = :version",
            "ExpressionAttributeValues": item(
                **{
                    **values,
                    ":version": courier.version,
                    ":one": 1,
                    ":none": [],
                    ":event": [event],
                }
            ),
        }
    }


def with_event(courier: CourierRecord, event: str) -> CourierRecord:
    """Return the courier after `courier_change`."""
    outbox = (*courier.outbox, event)
    return replace(courier, version=courier.version + 1, outbox=outbox)


def order_change(
    order_id: str, change: str, condition: str, values: Mapping[str, Any]
) -> "TransactWriteItemTypeDef":
    """Return the change of an order on a condition."""
    return {
        "Update": {
            "TableName": os.environ["ORDERS_TABLE_NAME"],
            "Key": item(order_id=order_id),
            "UpdateExpression": change,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": item(**values),
        }
    }


def explain(order_id: str, reason: str) -> None:
    """Store why an order waits, if it still waits."""
    try:
        dynamodb.update_item(
            TableName=os.environ["ORDERS_TABLE_NAME"],
            Key=item(order_id=order_id),
            UpdateExpression="SET #status = :waiting, reason = :reason",
            ConditionExpression=WAITS,
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues=item(**{":reason": reason, ":waiting": OrderStatus.WAITING}),
        )
    except ClientError as error:
        if not condition_failed(error):
            raise


def clear_outbox(courier: CourierRecord) -> CourierRecord:
    """Remove the published events of a courier, unless the record has changed.

    Returns:
        The courier without events. If the record has changed, it keeps its old version, so that
        later writes fail.

    """
    is_cleared = change_courier(
        courier.courier_id, "REMOVE outbox", "version = :version", {":version": courier.version}
    )
    return replace(courier, version=courier.version + is_cleared, outbox=())


def expiry(time: datetime) -> int:
    """Return when a record of this time is deleted, in seconds since 1970."""
    retention = timedelta(days=int(os.environ["ORDER_RETENTION_DAYS"]))
    return int((time + retention).timestamp())
