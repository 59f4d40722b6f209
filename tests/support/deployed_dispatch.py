"""The dispatch of a deployed stack, and the events that it gets."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.stack import Stack, plain
from tests.support.waiting import wait_until

DEPOT = (52.0907, 5.1214)
KILOMETRE = 1 / 111.2  # degrees of latitude
PUT_EVENTS_ENTRIES = 10


def minutes(number: float) -> str:
    """A time so many minutes from now."""
    return (datetime.now(UTC) + timedelta(minutes=number)).isoformat()


def photo(courier: str, label: str, minute: float, **changes: Any) -> tuple[str, dict[str, Any]]:
    """The event of an accepted photo, as the workflow publishes it."""
    key = f"uploads/{courier}/{minute}.jpg"
    detail = {
        "image_id": f"{key}#1",
        "sender_id": courier,
        "s3_bucket": "photos",
        "s3_key": key,
        "status": "accepted",
        "label": label,
        "confidence": 0.97,
        "inferences": {label: 0.97},
        "reason": f"{label}, 97% confidence",
        "model": "chosen/1",
        "recorded_at": minutes(minute),
        "execution": "arn:aws:states:us-east-1:000000000000:execution:x:1",
    }
    return "Photo Classified", detail | changes


def order(order_id: str, kilometres: float = 1, **changes: Any) -> tuple[str, dict[str, Any]]:
    """The event of an order that has to leave at once."""
    detail = {
        "order_id": order_id,
        "latitude": DEPOT[0] + kilometres * KILOMETRE,
        "longitude": DEPOT[1],
        "boxes": 1,
        "ready_at": minutes(-5),
        "due_from": minutes(-5),
        "due_until": minutes(9 + 2.7 * kilometres),
    }
    return "Order Placed", detail | changes


@dataclass
class Dispatch:
    """The dispatch of the deployed stack."""

    stack: Stack
    tables: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        outputs = self.stack.outputs
        self.tables = {
            "courier_id": outputs["CouriersTableName"],
            "order_id": outputs["OrdersTableName"],
        }
        self.events = self.stack.cloud.client("events")

    def publish(self, *events: tuple[str, Any]) -> None:
        """Put events on the bus, as the shop and the workflow do."""
        entries = [
            {
                "EventBusName": self.stack.outputs["EventBusName"],
                "Source": "scones-unlimited",
                "DetailType": kind,
                "Detail": json.dumps(detail),
            }
            for kind, detail in events
        ]
        for start in range(0, len(entries), PUT_EVENTS_ENTRIES):
            batch = entries[start : start + PUT_EVENTS_ENTRIES]
            assert self.events.put_events(Entries=batch)["FailedEntryCount"] == 0

    def replan(self) -> None:
        """Ask for a plan, as the schedule does once a minute."""
        message = {"source": "scones-unlimited", "detail-type": "Replan", "time": minutes(0)}
        self.stack.sqs.send_message(
            QueueUrl=self.stack.outputs["DispatchQueueUrl"],
            MessageBody=json.dumps(message),
            MessageGroupId="dispatch",
        )

    def records(self, key: str) -> dict[str, dict[str, Any]]:
        """All records of a table, by key."""
        pages = self.stack.dynamodb.get_paginator("scan").paginate(
            TableName=self.tables[key], ConsistentRead=True
        )
        items = [item for page in pages for item in page["Items"]]
        records = [{name: plain(value) for name, value in item.items()} for item in items]
        return {record[key]: record for record in records}

    def order(self, order_id: str) -> dict[str, Any]:
        """The record of an order; empty if there is none."""
        return self.records("order_id").get(order_id, {})

    def wait_until_assigned(self, *order_ids: str) -> None:
        """Wait until orders are assigned."""

        def assigned() -> bool:
            records = self.records("order_id")
            states = [records.get(order_id, {}).get("status") for order_id in order_ids]
            return states == ["assigned"] * len(order_ids)

        wait_until(assigned, f"couriers for {order_ids}", lambda: self.records("order_id"))

    def published(self, kind: str) -> list[dict[str, Any]]:
        """The details of all events of a type so far."""
        self.stack.photo_events()
        return list(self.stack.other_events.get(kind, []))

    def messages(self) -> int:
        """How many messages are in the queue or in flight."""
        counts = self.stack.sqs.get_queue_attributes(
            QueueUrl=self.stack.outputs["DispatchQueueUrl"],
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )["Attributes"]
        return sum(map(int, counts.values()))

    def wait_until_planned(self) -> None:
        """Wait until the queue is empty."""
        wait_until(lambda: self.messages() == 0, "an empty queue", self.messages)

    def dead_letters(self) -> list[str]:
        """Messages in both dead-letter queues."""
        urls = "DispatchDeadLetterQueueUrl", "DispatchEventsDeadLetterQueueUrl"
        return [
            message["Body"]
            for url in urls
            for message in self.stack.sqs.receive_message(
                QueueUrl=self.stack.outputs[url], MaxNumberOfMessages=10
            ).get("Messages", [])
        ]

    def clear(self) -> None:
        """Forget all couriers, orders and events."""
        for key, table in self.tables.items():
            for value in self.records(key):
                self.stack.dynamodb.delete_item(TableName=table, Key={key: {"S": value}})
        self.published("")
        self.stack.other_events.clear()
