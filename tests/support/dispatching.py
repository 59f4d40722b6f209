"""The dispatch function on moto's AWS, and the events that it takes."""

import json
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from types import ModuleType
from typing import Any

import boto3

TABLES = ("CouriersTable", "OrdersTable")
NOW = datetime.now(UTC)


class FixedDatetime(datetime):
    """`datetime` of the function in the tests: it is always NOW, however late a test runs."""

    @classmethod
    def now(cls, _: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return NOW


DEPOT = (52.0907, 5.1214)
PUT_EVENTS = "provide-client-params.events.PutEvents"


def at(minutes: float) -> str:
    """The time in so many minutes."""
    return (NOW + timedelta(minutes=minutes)).isoformat()


def event(kind: str, detail: Any) -> dict[str, Any]:
    """An event as EventBridge delivers it."""
    return {"version": "0", "id": "e-1", "detail-type": kind, "source": "test", "detail": detail}


def photo(
    courier: str = "ann", label: str = "bicycle", minute: float = -30, **changes: Any
) -> dict[str, Any]:
    """An accepted photo that is recorded in so many minutes."""
    return event(
        "Photo Classified",
        {
            "image_id": f"uploads/{courier}/{minute}.jpg#1",
            "sender_id": courier,
            "status": "accepted",
            "label": label,
            "recorded_at": at(minute),
        }
        | changes,
    )


def order(order_id: str = "o-1", **changes: Any) -> dict[str, Any]:
    """An order near the depot that has to leave at once."""
    return event(
        "Order Placed",
        {
            "order_id": order_id,
            "latitude": DEPOT[0] + 0.01,
            "longitude": DEPOT[1],
            "boxes": 1,
            "ready_at": at(-5),
            "due_from": at(-5),
            "due_until": at(12),
        }
        | changes,
    )


def off_shift(courier: str, minute: float) -> dict[str, Any]:
    return event("Courier Off Shift", {"courier_id": courier, "off_shift_at": at(minute)})


REPLAN = {"source": "scones-unlimited", "detail-type": "Replan", "time": "2026-11-20T12:00:00Z"}


@dataclass
class Dispatch:
    """The function, its tables, its queue, and its events."""

    app: ModuleType
    context: Any
    queue_url: str
    published: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sqs, self.dynamodb = boto3.client("sqs"), boto3.resource("dynamodb")
        # The modules that `app` imported, with its clients.
        self.dispatching, self.intake = (
            sys.modules[f"functions.dispatch_orders.{name}"] for name in ("dispatching", "intake")
        )
        self.store, self.waiting = self.dispatching.store, self.dispatching.waiting
        self.publishing = sys.modules["functions.dispatch_orders.publishing"]
        self.publishing.events.meta.events.register(PUT_EVENTS, self.listen)

    def listen(self, params: dict[str, Any], **_: Any) -> None:
        self.published += params["Entries"]

    def take(self, *bodies: Any) -> list[str]:
        """Invoke the function with a batch; return the numbers of the failed messages."""
        records = [
            {
                "messageId": str(number),
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"MessageGroupId": "dispatch", "ApproximateReceiveCount": "1"},
                "eventSource": "aws:sqs",
            }
            for number, body in enumerate(bodies)
        ]
        response = self.app.handler({"Records": records}, self.context)
        return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]

    def take_at(self, minute: float, *bodies: dict[str, Any]) -> None:
        """Take events and make a plan, in so many minutes."""
        batch = self.intake.Batch(self.app.fleet, NOW + timedelta(minutes=minute))
        for body in bodies:
            batch.take(self.intake.SQSRecord({"messageId": "1", "body": json.dumps(body)}))
        self.dispatching.dispatch(batch.fleet, batch.now, batch.new_orders)

    def order(self, order_id: str = "o-1") -> dict[str, Any]:
        item: dict[str, Any] = self.dynamodb.Table("OrdersTable").get_item(
            Key={"order_id": order_id}
        )["Item"]
        return item

    def orders(self) -> list[dict[str, Any]]:
        return self.dynamodb.Table("OrdersTable").scan()["Items"]

    def courier(self, courier_id: str = "ann") -> dict[str, Any]:
        item: dict[str, Any] = self.dynamodb.Table("CouriersTable").get_item(
            Key={"courier_id": courier_id}
        )["Item"]
        return item

    def new_events(self) -> list[tuple[str, dict[str, Any]]]:
        """The events since the last call: type and detail."""
        found = [(entry["DetailType"], json.loads(entry["Detail"])) for entry in self.published]
        assert {(entry["Source"], entry["EventBusName"]) for entry in self.published} <= {
            ("scones-unlimited", "bus")
        }
        self.published.clear()
        return found


def delivered(order_id: str, dispatch_id: str, minute: float, courier: str = "ann") -> Any:
    detail = {"order_id": order_id, "dispatch_id": dispatch_id, "courier_id": courier}
    return event("Order Delivered", detail | {"delivered_at": at(minute)})


def cancelled(order_id: str) -> dict[str, Any]:
    detail = {"order_id": order_id, "cancelled_by": "max", "cancelled_at": at(0)}
    return event("Order Cancelled", detail)


def change(order_id: str, minute: float = -1, **changes: Any) -> dict[str, Any]:
    """Anna changes an order."""
    detail = {"order_id": order_id, "changed_by": "anna", "changed_at": at(minute)}
    return event("Order Changed", detail | changes)
