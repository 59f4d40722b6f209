"""What ends an order before or after its route: a delivery, or a cancellation."""

import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from aws_lambda_powertools import Logger, single_metric
from aws_lambda_powertools.metrics import MetricUnit
from botocore.exceptions import ClientError

from functions.dispatch_orders.dynamo import condition_failed, dynamodb, item, plain, text
from functions.dispatch_orders.fields import time_of
from functions.dispatch_orders.messages import Delivered
from functions.dispatch_orders.statuses import OrderStatus
from functions.dispatch_orders.store import change_courier

logger = Logger(child=True)


def deliver(message: Delivered) -> None:
    """Record the delivery of an order, if it is on that route of that courier.

    If it was the last order of the route, the planned return moves by the difference.
    """
    try:
        order = deliver_order(message)
        if "delivered_at" not in order:
            measure_lateness(order, message.delivered_at)
        courier = take_off_route(message)
    except ClientError as error:
        if not condition_failed(error):
            raise
        logger.info("The order is not on this route", extra={"order_id": message.order_id})
        return
    if courier["arrivals"]:
        return
    planned_return = time_of("returns_at", courier["route"]["returns_at"])
    way_back = planned_return - time_of("arrives_at", order["arrives_at"])
    delivered_at = time_of("delivered_at", order.get("delivered_at", text(message.delivered_at)))
    returns_at = delivered_at + way_back
    change_courier(
        message.courier_id,
        "SET returns_at = :returns",
        "dispatch_id = :dispatch",
        {":returns": text(returns_at), ":dispatch": message.dispatch_id},
    )


def deliver_order(message: Delivered) -> dict[str, Any]:
    """Record when an order was delivered, once; return the order before the change."""
    changed = dynamodb.update_item(
        TableName=os.environ["ORDERS_TABLE_NAME"],
        Key=item(order_id=message.order_id),
        UpdateExpression="SET #status = :delivered, reason = :reason"
        ", delivered_at = if_not_exists(delivered_at, :at) REMOVE open_state",
        ConditionExpression="courier_id = :courier AND dispatch_id = :dispatch",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues=item(
            **{
                ":delivered": OrderStatus.DELIVERED,
                ":reason": f"delivered by courier {message.courier_id}",
                ":at": text(message.delivered_at),
                ":courier": message.courier_id,
                ":dispatch": message.dispatch_id,
            }
        ),
        ReturnValues="ALL_OLD",
    )
    return plain(changed["Attributes"])


def measure_lateness(order: Mapping[str, Any], delivered_at: datetime) -> None:
    """Emit by how much an order was delivered after its window, in seconds; 0 if on time."""
    late = (delivered_at - time_of("due_until", order["due_until"])).total_seconds()
    with single_metric(name="DeliveryLateness", unit=MetricUnit.Seconds, value=max(0.0, late)):
        pass


def take_off_route(message: Delivered) -> dict[str, Any]:
    """Take a delivered order off the courier's route; return the courier after the change."""
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
