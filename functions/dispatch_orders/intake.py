"""Store what the messages of a batch report."""

from dataclasses import asdict
from datetime import datetime

from aws_lambda_powertools import Logger, single_metric
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from functions.dispatch_orders import changes, deliveries, store
from functions.dispatch_orders.fleet import Fleet
from functions.dispatch_orders.messages import (
    Cancelled,
    Changed,
    CheckIn,
    Delivered,
    OffShift,
    PlacedOrder,
    RefusedEvent,
    Replan,
    read_message,
)
from functions.dispatch_orders.orders import Order, order_id_of
from functions.dispatch_orders.publishing import entry, publish
from functions.dispatch_orders.reasons import why_unplanned

logger = Logger(child=True)


class Batch:
    """A batch of messages.

    Attributes:
        fleet: the content of vehicles.json.
        now: time of the batch, UTC.
        must_plan: whether the schedule asked for a plan.
        new_orders: ids of its orders and of changed ones, which the index may not contain yet.

    """

    def __init__(self, fleet: Fleet, now: datetime) -> None:
        """Begin with no messages."""
        self.fleet = fleet
        self.now = now
        self.must_plan = False
        self.new_orders: list[str] = []

    def take(self, record: SQSRecord) -> None:
        """Store one message. A message that is not valid is logged, and is no error."""
        try:
            message = read_message(record.body, self.now)
        except ValueError as error:
            logger.warning(
                "Message ignored",
                extra={"reason": str(error), "message_id": record.message_id},
            )
            return
        match message:
            case CheckIn():
                store.check_in(message)
            case OffShift():
                store.go_off_shift(message)
            case RefusedEvent():
                refuse_event(message)
            case PlacedOrder():
                self.place(message)
            case Delivered():
                deliveries.deliver(message)
            case Cancelled():
                deliveries.cancel(message, self.now)
            case Changed():
                self.new_orders += changes.change(message, self.fleet, self.now)
            case Replan():
                self.must_plan = True

    def place(self, placed: PlacedOrder) -> None:
        """Store an order, or refuse it."""
        try:
            order = Order.from_event(placed.detail, fleet=self.fleet, now=self.now)
        except ValueError as error:
            refuse_order(placed, str(error), self.now)
            return
        plan_from = order.plan_from(self.fleet, self.now)
        store.add_order(order, plan_from, why_unplanned(order, plan_from, self.now), self.now)
        self.new_orders.append(order.order_id)


def refuse_order(placed: PlacedOrder, reason: str, now: datetime) -> None:
    """Store and publish why an order is refused; an order without a valid id has no record.

    An accepted order stays accepted, even if its event arrives again after its delivery window.
    """
    try:
        order_id = order_id_of(placed.detail.get("order_id"))
    except ValueError:
        order_id = None
    if order_id and not store.refuse_order(order_id, reason, now):
        return
    refusal = {"order_id": order_id, "event_id": placed.event_id, "reason": reason}
    logger.info("Order refused", extra=refusal)
    with single_metric(name="OrdersRefused", unit=MetricUnit.Count, value=1):
        pass
    publish([entry("Order Refused", refusal)])


def refuse_event(refused: RefusedEvent) -> None:
    """Publish why an event is refused."""
    refusal = asdict(refused)
    logger.info("Event refused", extra=refusal)
    publish([entry("Event Refused", refusal)])
