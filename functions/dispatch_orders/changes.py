"""What people of the shop change about an order that no courier has on the road."""

import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from aws_lambda_powertools import Logger
from botocore.exceptions import ClientError

from functions.dispatch_orders import store, waiting
from functions.dispatch_orders.dynamo import condition_failed, dynamodb, item, text
from functions.dispatch_orders.fleet import Fleet
from functions.dispatch_orders.messages import Cancelled, Changed
from functions.dispatch_orders.publishing import orders_withdrawn
from functions.dispatch_orders.reasons import noted, why_unplanned
from functions.dispatch_orders.statuses import OPEN, OrderStatus

HELD = "held"  # dispatch_state of an order that a person holds back
OWN = ("window_by", "pinned_to", "pinned_by", "held_by")  # attributes that only changes write

logger = Logger(child=True)


class RouteChangedError(Exception):
    """A courier changed while a route was withdrawn; the queue delivers the message again."""


def change(message: Changed, fleet: Fleet, now: datetime) -> list[str]:
    """Change an order, and plan it again; an order whose route has left stays as it is.

    If the order is on a route that has not left, all orders of that route wait again.

    Returns:
        The ids of the orders that wait because of it.

    Raises:
        RouteChangedError: another function changed the courier at the same time.

    """
    record = next(waiting.get_orders([message.order_id]), None)
    if record is None or record.get("changed_at", "") >= text(message.changed_at):
        logger.info("No such order, or a later change", extra={"order_id": message.order_id})
        return []
    if record["status"] not in OPEN:
        logger.info("The order is not open", extra={"order_id": message.order_id})
        return []
    if "due_until" in message.changes:
        try:
            waiting.order_of({**record, **window_of(message)}).check_times(now)
        except ValueError as error:
            logger.warning("Change ignored", extra={"reason": str(error)})
            return []
    waits_again = [message.order_id]
    if "dispatch_state" not in record:
        waits_again = withdraw_route(record, message.changed_by, now)
    if waits_again:
        write(record, changed(record, message), fleet, now)
    return waits_again


def cancel(message: Cancelled, now: datetime) -> list[str]:
    """Take an order out of the plan, and off a route that has not left.

    Returns:
        The ids of the other orders of that route: they wait again.

    Raises:
        RouteChangedError: another function changed the courier at the same time.

    """
    record = next(waiting.get_orders([message.order_id]), None)
    if record is None or record["status"] not in OPEN:
        logger.info("The order is not open", extra={"order_id": message.order_id})
        return []
    waits_again = [message.order_id]
    if "dispatch_state" not in record:
        waits_again = withdraw_route(record, message.cancelled_by, now)
    if waits_again:
        write_cancelled(message, now)
    return [order_id for order_id in waits_again if order_id != message.order_id]


def write_cancelled(message: Cancelled, now: datetime) -> None:
    """Write that an order is cancelled, if it still waits."""
    try:
        dynamodb.update_item(
            TableName=os.environ["ORDERS_TABLE_NAME"],
            Key=item(order_id=message.order_id),
            UpdateExpression="SET #status = :cancelled, reason = :reason, cancelled_at = :at"
            " REMOVE dispatch_state, open_state",
            ConditionExpression=store.WAITS,
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues=item(
                **{
                    ":cancelled": OrderStatus.CANCELLED,
                    ":reason": f"cancelled by {message.cancelled_by}",
                    ":at": text(now),
                }
            ),
        )
    except ClientError as error:
        if not condition_failed(error):
            raise
        logger.info("The order does not wait", extra={"order_id": message.order_id})


def window_of(message: Changed) -> dict[str, str]:
    """Return the new delivery window as OrdersTable has it."""
    return {name: text(message.changes[name]) for name in ("due_from", "due_until")}


def changed(record: Mapping[str, Any], message: Changed) -> dict[str, Any]:
    """Return the record of an order after a change."""
    by, changes = message.changed_by, message.changes
    after = {**record, "changed_at": text(message.changed_at)}
    if "due_until" in changes:
        after |= window_of(message) | {"window_by": by}
    if "courier_id" in changes:
        after |= {"pinned_to": changes["courier_id"], "pinned_by": changes["courier_id"] and by}
    if "held" in changes:
        after["held_by"] = by if changes["held"] else None
    return {name: value for name, value in after.items() if value is not None}


def withdraw_route(record: Mapping[str, Any], by: str, now: datetime) -> list[str]:
    """Let all orders of an order's route wait again, if it has not left; return their ids."""
    for courier in store.read_couriers():
        if record["order_id"] not in courier.arrivals:
            continue
        if courier.departs_at is None or courier.departs_at <= now:
            break
        order_ids = list(courier.arrivals)
        why = f"{by} changed the route of courier {courier.courier_id}"
        event = orders_withdrawn(courier, order_ids, why)
        if not store.withdraw(courier, order_ids, f"waiting: {why}", event):
            raise RouteChangedError(f"courier {courier.courier_id} has changed since it was read")
        return order_ids
    logger.info("The order has left", extra={"order_id": record["order_id"]})
    return []


def write(before: Mapping[str, Any], after: Mapping[str, Any], fleet: Fleet, now: datetime) -> None:
    """Write a changed order, if it still waits and nobody changed it meanwhile."""
    order = waiting.order_of(after)
    plan_from = order.plan_from(fleet, now)
    if "held_by" in after:
        state = {
            "status": OrderStatus.WAITING,
            "reason": f"waiting: held back by {after['held_by']}",
        }
    else:
        state = store.unplanned(why_unplanned(order, plan_from, now))
    values = state | {
        "reason": noted(state["reason"], order),
        "dispatch_state": HELD if "held_by" in after else waiting.WAITING,
        "changed_at": after["changed_at"],
        "due_from": text(order.due_from),
        "due_until": text(order.due_until),
        "day": order.due_until.date().isoformat(),
        "plan_from": text(plan_from),
        "expires_at": store.expiry(order.due_until),
    }
    values |= {name: after[name] for name in OWN if name in after}
    gone = [name for name in OWN if name not in after]
    update = "SET " + ", ".join(f"#{name} = :{name}" for name in values)
    if gone:
        update += " REMOVE " + ", ".join(f"#{name}" for name in gone)
    try:
        dynamodb.update_item(
            TableName=os.environ["ORDERS_TABLE_NAME"],
            Key=item(order_id=order.order_id),
            UpdateExpression=update,
            ConditionExpression=f"{store.WAITS}"
            " AND (attribute_not_exists(#changed_at) OR #changed_at < :changed_at)",
            ExpressionAttributeNames={f"#{name}": name for name in (*values, *gone)},
            ExpressionAttributeValues=item(**{f":{name}": value for name, value in values.items()}),
        )
    except ClientError as error:
        if not condition_failed(error):
            raise
        logger.info("The order has changed meanwhile", extra={"order_id": order.order_id})
