"""Couriers and orders in DynamoDB.

Every write has a condition, so that repeated and late events change nothing, and no order ever has
two couriers. What has to be published is written together with what it tells of (`outbox`), and
removed once it was published: a crash in between repeats an event, and loses none.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from functions.dispatch_orders.fields import time_of
from functions.dispatch_orders.messages import Cancelled, CheckIn, Delivered, OffShift
from functions.dispatch_orders.orders import Order
from functions.dispatch_orders.planning import Route

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import (
        AttributeValueTypeDef,
        TransactWriteItemTypeDef,
        UniversalAttributeValueTypeDef,
    )

WAITS = "attribute_exists(dispatch_state)"  # the condition on an order that has no courier

logger = Logger(child=True)
dynamodb = boto3.client("dynamodb")
serialize = TypeSerializer().serialize
deserialize = TypeDeserializer().deserialize


@dataclass(frozen=True, slots=True)
class CourierRecord:
    """A courier as CouriersTable has them.

    Attributes:
        courier_id: the key.
        version: counts the writes.
        vehicle: label of their vehicle; None without an accepted photo.
        checked_in_at: when their photo was recorded, UTC; None before the first.
        shift_ends_at: when the shift ends that began with it.
        off_shift_at: when they last went home by their own word, UTC; None if never.
        dispatch_id: of their last route; None without one.
        dispatched_shift: the `checked_in_at` of the shift in which they got it.
        returns_at: when they are back from it, UTC.
        arrivals: when they arrive, by order of that route that is not delivered yet.
        outbox: events to be published, as JSON.

    """

    courier_id: str
    version: int
    vehicle: str | None
    checked_in_at: datetime | None
    shift_ends_at: datetime | None
    off_shift_at: datetime | None
    dispatch_id: str | None
    dispatched_shift: datetime | None
    returns_at: datetime | None
    arrivals: Mapping[str, datetime]
    outbox: Sequence[str]

    @property
    def went_home(self) -> bool:
        """Whether the courier went home since the last photo."""
        return is_over(self.checked_in_at, self.off_shift_at)

    @property
    def undelivered(self) -> list[str]:
        """Orders of the last route to which the courier, who went home, never came."""
        if self.off_shift_at is None or not is_over(self.dispatched_shift, self.off_shift_at):
            return []
        return [order for order, at in self.arrivals.items() if at > self.off_shift_at]


def is_over(began_at: datetime | None, off_shift_at: datetime | None) -> bool:
    """Whether a shift that began then has ended by the courier's word."""
    return off_shift_at is not None and (began_at is None or began_at <= off_shift_at)


# ── What events say ──


def check_in(message: CheckIn) -> None:
    """Note what a courier's photo shows, unless a later one is known.

    Of two photos the later counts; of one photo, what a person says of it.
    """
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
        logger.info("A later photo is known", extra={"image_id": message.image_id})


def go_off_shift(message: OffShift) -> None:
    """Note when a courier went home, unless a later time is known."""
    at = message.off_shift_at
    change_courier(
        message.courier_id,
        "SET off_shift_at = :at, expires_at = if_not_exists(expires_at, :expires)",
        "attribute_not_exists(off_shift_at) OR off_shift_at <= :at",
        {":at": text(at), ":expires": expiry(at)},
    )


def deliver(message: Delivered) -> None:
    """Note when an order was delivered, unless it is not on that route of that courier.

    If it was the last of the route, the courier is back as much sooner or later than planned.
    """
    try:
        order = deliver_order(message)
        courier = take_off_route(message)
    except ClientError as error:
        if not is_refused(error):
            raise
        logger.info("The order is not on this route", extra={"order_id": message.order_id})
        return
    if courier["arrivals"]:
        return
    planned_return = time_of("returns_at", courier["route"]["returns_at"])
    way_back = planned_return - time_of("arrives_at", order["arrives_at"])
    returns_at = time_of("delivered_at", order["delivered_at"]) + way_back
    change_courier(
        message.courier_id,
        "SET returns_at = :returns",
        "dispatch_id = :dispatch",
        {":returns": text(returns_at), ":dispatch": message.dispatch_id},
    )


def deliver_order(message: Delivered) -> dict[str, Any]:
    """Note when an order was delivered, once; the order after that."""
    changed = dynamodb.update_item(
        TableName=os.environ["ORDERS_TABLE_NAME"],
        Key=item(order_id=message.order_id),
        UpdateExpression="SET #status = :delivered, reason = :reason"
        ", delivered_at = if_not_exists(delivered_at, :at)",
        ConditionExpression="courier_id = :courier AND dispatch_id = :dispatch",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues=item(
            **{
                ":delivered": "delivered",
                ":reason": f"delivered by courier {message.courier_id}",
                ":at": text(message.delivered_at),
                ":courier": message.courier_id,
                ":dispatch": message.dispatch_id,
            }
        ),
        ReturnValues="ALL_NEW",
    )
    return plain(changed["Attributes"])


def take_off_route(message: Delivered) -> dict[str, Any]:
    """Take a delivered order off the courier's route; the courier after that."""
    changed = dynamodb.update_item(
        TableName=os.environ["COURIERS_TABLE_NAME"],
        Key=item(courier_id=message.courier_id),
        UpdateExpression="REMOVE arrivals.#order ADD version :one",
        ConditionExpression="dispatch_id = :dispatch",
        ExpressionAttributeNames={"#order": message.order_id},
        ExpressionAttributeValues=item(**{":dispatch": message.dispatch_id, ":one": 1}),
        ReturnValues="ALL_NEW",
    )
    return plain(changed["Attributes"])


def cancel(message: Cancelled, now: datetime) -> None:
    """Take an order out of the plan, if it has no courier yet."""
    try:
        dynamodb.update_item(
            TableName=os.environ["ORDERS_TABLE_NAME"],
            Key=item(order_id=message.order_id),
            UpdateExpression="SET #status = :cancelled, reason = :reason, cancelled_at = :at"
            " REMOVE dispatch_state",
            ConditionExpression=WAITS,
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues=item(
                **{
                    ":cancelled": "cancelled",
                    ":reason": f"cancelled by {message.cancelled_by}",
                    ":at": text(now),
                }
            ),
        )
    except ClientError as error:
        if not is_refused(error):
            raise
        logger.info("The order does not wait", extra={"order_id": message.order_id})


def change_courier(courier_id: str, change: str, condition: str, values: dict[str, Any]) -> bool:
    """Change a courier, if the condition holds; whether it did."""
    try:
        dynamodb.update_item(
            TableName=os.environ["COURIERS_TABLE_NAME"],
            Key=item(courier_id=courier_id),
            UpdateExpression=f"{change} ADD version :one",
            ConditionExpression=condition,
            ExpressionAttributeValues=item(**values | {":one": 1}),
        )
    except ClientError as error:
        if not is_refused(error):
            raise
        return False
    return True


def add_order(order: Order, plan_from: datetime, why_early: str, now: datetime) -> None:
    """Let a new order wait; one that is known, and was not refused, stays as it is.

    Args:
        order: the order.
        plan_from: plans read it from LOOK_AHEAD before this time on.
        why_early: why that is later; empty where the next plan decides.
        now: when it came, UTC.

    """
    put_order(
        order_id=order.order_id,
        status="waiting" if why_early else "new",
        reason=f"waiting: {why_early}" if why_early else "new: to be planned",
        latitude=order.place.latitude,
        longitude=order.place.longitude,
        boxes=order.boxes,
        ready_at=text(order.ready_at),
        due_from=text(order.due_from),
        due_until=text(order.due_until),
        day=order.due_until.date().isoformat(),
        recorded_at=text(now),
        expires_at=expiry(order.due_until),
        plan_from=text(plan_from),
        dispatch_state="waiting",
    )


def refuse_order(order_id: str, reason: str, now: datetime) -> bool:
    """Note why an order is refused, unless a good one of that id is known; whether it was noted."""
    return put_order(
        order_id=order_id,
        status="refused",
        reason=f"refused: {reason}",
        day=now.date().isoformat(),
        recorded_at=text(now),
        expires_at=expiry(now),
    )


def put_order(**attributes: Any) -> bool:
    """Put an order, if it is new or was refused before; whether it was put."""
    try:
        dynamodb.put_item(
            TableName=os.environ["ORDERS_TABLE_NAME"],
            Item=item(**attributes),
            ConditionExpression="attribute_not_exists(order_id) OR #status = :refused",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues=item(**{":refused": "refused"}),
        )
    except ClientError as error:
        if not is_refused(error):
            raise
        logger.info("The order is known already", extra={"order_id": attributes["order_id"]})
        return False
    return True


# ── What a plan reads ──


def read_couriers() -> list[CourierRecord]:
    """All couriers."""
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=os.environ["COURIERS_TABLE_NAME"], ConsistentRead=True
    )
    return [courier_id_of(plain(each)) for page in pages for each in page["Items"]]


def courier_id_of(record: Mapping[str, Any]) -> CourierRecord:
    """The courier of a record of CouriersTable."""

    def time(name: str) -> datetime | None:
        return time_of(name, record[name]) if name in record else None

    return CourierRecord(
        courier_id=record["courier_id"],
        version=int(record["version"]),
        vehicle=record.get("vehicle"),
        checked_in_at=time("checked_in_at"),
        shift_ends_at=time("shift_ends_at"),
        off_shift_at=time("off_shift_at"),
        dispatch_id=record.get("dispatch_id"),
        dispatched_shift=time("dispatched_shift"),
        returns_at=time("returns_at"),
        arrivals={
            order_id: time_of("arrives_at", at)
            for order_id, at in record.get("arrivals", {}).items()
        },
        outbox=tuple(record.get("outbox", ())),
    )


# ── What a plan writes ──


def assign(
    courier: CourierRecord, route: Route, dispatch_id: str, announcement: str
) -> CourierRecord | None:
    """Give a courier a route: all of it, or nothing where the courier or an order has changed.

    Returns:
        The courier with the event to be published; None where nothing was written.

    """
    of_courier = {
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
    writes = [announcing(courier, change, announcement, of_courier)]
    for stop in route.stops:
        values = {
            ":assigned": "assigned",
            ":reason": stop.reason,
            ":courier": route.courier_id,
            ":vehicle": route.vehicle,
            ":dispatch": dispatch_id,
            ":arrives": text(stop.arrives_at),
        }
        change = "SET #status = :assigned, reason = :reason, courier_id = :courier"
        change += ", vehicle = :vehicle, dispatch_id = :dispatch, arrives_at = :arrives"
        change += " REMOVE dispatch_state"
        writes.append(
            order_change(stop.order_id, change, "attribute_exists(dispatch_state)", values)
        )
    return announced(courier, announcement) if all_or_nothing(writes) else None


def withdraw(courier: CourierRecord, reason: str, announcement: str) -> CourierRecord | None:
    """Let the orders to which a courier never came wait again; like `assign`."""
    change = "REMOVE dispatch_id, dispatched_shift, departs_at, returns_at, arrivals, route SET"
    writes = [announcing(courier, change, announcement, {})]
    for order_id in courier.undelivered:
        values = {":waiting": "waiting", ":reason": reason, ":dispatch": courier.dispatch_id}
        change = "SET #status = :waiting, reason = :reason, dispatch_state = :waiting"
        change += " REMOVE courier_id, vehicle, dispatch_id, arrives_at"
        writes.append(order_change(order_id, change, "dispatch_id = :dispatch", values))
    if not all_or_nothing(writes):
        return None
    freed = replace(courier, dispatch_id=None, returns_at=None, arrivals={})
    return announced(freed, announcement)


def announcing(
    courier: CourierRecord, change: str, announcement: str, values: Mapping[str, Any]
) -> "TransactWriteItemTypeDef":
    """The change of a courier who is still as they were read, with an event to be published.

    `change` ends where one more value can be set.
    """
    change += " outbox = list_append(if_not_exists(outbox, :none), :announcement) ADD version :one"
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
                    ":announcement": [announcement],
                }
            ),
        }
    }


def announced(courier: CourierRecord, announcement: str) -> CourierRecord:
    """The courier after a change that `announcing` made."""
    outbox = (*courier.outbox, announcement)
    return replace(courier, version=courier.version + 1, outbox=outbox)


def order_change(
    order_id: str, change: str, condition: str, values: Mapping[str, Any]
) -> "TransactWriteItemTypeDef":
    """The change of an order on a condition."""
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


def all_or_nothing(writes: "Sequence[TransactWriteItemTypeDef]") -> bool:
    """Write all, or nothing: False, where a condition does not hold."""
    try:
        dynamodb.transact_write_items(TransactItems=writes)
    except dynamodb.exceptions.TransactionCanceledException as error:
        reasons = [reason.get("Code") for reason in error.response["CancellationReasons"]]
        if not {"ConditionalCheckFailed", "TransactionConflict"} & set(reasons):
            raise
        logger.info("Something has changed meanwhile", extra={"cancellation_reasons": reasons})
        return False
    return True


def explain(order_id: str, reason: str) -> None:
    """Note why an order waits, if it still does."""
    try:
        dynamodb.update_item(
            TableName=os.environ["ORDERS_TABLE_NAME"],
            Key=item(order_id=order_id),
            UpdateExpression="SET #status = :waiting, reason = :reason",
            ConditionExpression=WAITS,
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues=item(**{":reason": reason, ":waiting": "waiting"}),
        )
    except ClientError as error:
        if not is_refused(error):
            raise


def clear_outbox(courier: CourierRecord) -> None:
    """Forget the events of a courier that were published, if no other has come meanwhile."""
    change_courier(
        courier.courier_id, "REMOVE outbox", "version = :version", {":version": courier.version}
    )


# ── DynamoDB's types ──


def item(**attributes: Any) -> "dict[str, UniversalAttributeValueTypeDef]":
    """Attributes as DynamoDB types them."""
    return {name: serialize(exact(value)) for name, value in attributes.items()}


def exact(value: Any) -> Any:
    """Floats as the decimals that Python shows of them."""
    return Decimal(repr(value)) if isinstance(value, float) else value


def plain(record: "Mapping[str, AttributeValueTypeDef]") -> dict[str, Any]:
    """A record as Python values."""
    return {name: deserialize(value) for name, value in record.items()}


def text(time: datetime) -> str:
    """A time of which the alphabetical order is that in time: `2026-11-20T12:00:00.000000Z`."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def expiry(time: datetime) -> int:
    """When what was last true at a time is deleted, in seconds since 1970."""
    retention = timedelta(days=int(os.environ["ORDER_RETENTION_DAYS"]))
    return int((time + retention).timestamp())


def is_refused(error: ClientError) -> bool:
    """Whether a condition did not hold."""
    return error.response["Error"]["Code"] == "ConditionalCheckFailedException"
