"""Place the sample orders on the bus of the local cloud, and receive the routes."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from functions.dispatch_orders.statuses import OrderStatus
from local.cloud import LocalCloud
from local.processes import PROJECT
from operations.stack import EVENT_SOURCE

SAMPLE_ORDERS = PROJECT / "local" / "orders.json"
LISTENER = "couriers-app"  # a rule and a queue that `make run` adds to the stack
PUT_EVENTS_ENTRIES = 10
PLAN_SECONDS = 90
POLL_SECONDS = 0.1


@dataclass
class Dispatches:
    """The plan for the sample orders.

    Attributes:
        routes: details of the `Orders Dispatched` events, in their order.
        waiting: the reason why each other order waits or is refused, by id.

    """

    routes: list[dict[str, Any]] = field(default_factory=list)
    waiting: dict[str, str] = field(default_factory=dict)


def sample_orders(now: datetime) -> list[dict[str, Any]]:
    """The details of `Order Placed` events, as if they were placed now."""
    orders = json.loads(SAMPLE_ORDERS.read_text("utf-8"))
    return [
        order | {name: at(now, order[name]) for name in ("ready_at", "due_from", "due_until")}
        for order in orders
    ]


def at(now: datetime, minutes: float) -> str:
    """The time so many minutes from now, ISO 8601."""
    return (now + timedelta(minutes=minutes)).isoformat()


class Shop:
    """Publishes orders and reviews on the bus, and receives the routes."""

    def __init__(self, cloud: LocalCloud, outputs: dict[str, str]) -> None:
        """Receive the routes of the bus from now on."""
        self.events, self.sqs = cloud.client("events"), cloud.client("sqs")
        self.dynamodb, self.outputs = cloud.client("dynamodb"), outputs
        self.bus = outputs["EventBusName"]
        self.queue_url = self.sqs.create_queue(QueueName=LISTENER)["QueueUrl"]
        attributes = self.sqs.get_queue_attributes(
            QueueUrl=self.queue_url, AttributeNames=["QueueArn"]
        )["Attributes"]
        pattern = json.dumps({"detail-type": ["Orders Dispatched"]})
        self.events.put_rule(Name=LISTENER, EventBusName=self.bus, EventPattern=pattern)
        target = {"Id": LISTENER, "Arn": attributes["QueueArn"]}
        self.events.put_targets(Rule=LISTENER, EventBusName=self.bus, Targets=[target])

    def publish(self, detail_type: str, details: Sequence[dict[str, Any]]) -> None:
        """Put events on the bus."""
        common = {"EventBusName": self.bus, "Source": EVENT_SOURCE, "DetailType": detail_type}
        entries = [common | {"Detail": json.dumps(detail)} for detail in details]
        for start in range(0, len(entries), PUT_EVENTS_ENTRIES):
            self.events.put_events(Entries=entries[start : start + PUT_EVENTS_ENTRIES])

    def review(self, labels: dict[str, str]) -> None:
        """Review photos, as a person does: the label of each `image_id`."""
        by = {"reviewed_by": "make run", "reviewed_at": datetime.now(UTC).isoformat()}
        reviews = [
            {"image_id": image_id, "label": label} | by for image_id, label in labels.items()
        ]
        self.publish("Photo Reviewed", reviews)

    def wait_for_couriers(self, number: int) -> bool:
        """Wait until `number` couriers have checked in; False after PLAN_SECONDS."""
        table = self.outputs["CouriersTableName"]
        deadline = time.monotonic() + PLAN_SECONDS
        while time.monotonic() < deadline:
            pages = self.dynamodb.get_paginator("scan").paginate(TableName=table, Select="COUNT")
            if sum(page["Count"] for page in pages) >= number:
                return True
            time.sleep(POLL_SECONDS)
        return False

    def place(self, orders: Sequence[dict[str, Any]]) -> Dispatches:
        """Place orders, and wait until each is on a route or has a reason to wait."""
        self.publish("Order Placed", orders)
        found = Dispatches()
        deadline = time.monotonic() + PLAN_SECONDS
        while time.monotonic() < deadline:
            found.routes += self.receive()
            routed = {stop["order_id"] for route in found.routes for stop in route["stops"]}
            rest = [order for order in self.orders() if order["order_id"] not in routed]
            found.waiting = {order["order_id"]: order["reason"] for order in rest}
            planned = all(
                order["status"] in (OrderStatus.WAITING, OrderStatus.REFUSED) for order in rest
            )
            if len(routed) + len(rest) == len(orders) and planned:
                break
            time.sleep(POLL_SECONDS)
        return found

    def receive(self) -> list[dict[str, Any]]:
        """The routes that were assigned since the last call."""
        received = self.sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10)
        messages = received.get("Messages", [])
        for message in messages:
            handle = message["ReceiptHandle"]
            self.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=handle)
        return [json.loads(message["Body"])["detail"] for message in messages]

    def orders(self) -> list[dict[str, str]]:
        """Id, status and reason of each order."""
        pages = self.dynamodb.get_paginator("scan").paginate(
            TableName=self.outputs["OrdersTableName"], ConsistentRead=True
        )
        return [
            {name: item[name]["S"] for name in ("order_id", "status", "reason")}
            for page in pages
            for item in page["Items"]
        ]
