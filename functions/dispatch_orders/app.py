"""Dispatch orders: keep couriers and orders, plan routes, and hand out those that leave now."""

import json
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import batched
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Tracer, single_metric
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import SqsFifoPartialProcessor, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.dispatch_orders import store, waiting
from functions.dispatch_orders.fleet import read_fleet
from functions.dispatch_orders.messages import (
    Cancelled,
    CheckIn,
    Delivered,
    OffShift,
    PlacedOrder,
    RefusedOffShift,
    Replan,
    read_message,
)
from functions.dispatch_orders.orders import Order, order_id_of
from functions.dispatch_orders.planning import Courier, Route, plan_routes
from functions.dispatch_orders.reasons import why_early
from functions.dispatch_orders.store import CourierRecord

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

SOURCE = "scones-unlimited"
PUT_EVENTS_ENTRIES = 10

logger = Logger(use_rfc3339=True)
tracer = Tracer(patch_modules=["botocore"])
events = boto3.client("events")
sqs = boto3.client("sqs")
fleet = read_fleet()


class PublishError(Exception):
    """The bus did not take an event; it stays in the outbox, and the next plan tries again."""


@tracer.capture_lambda_handler
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> "PartialItemFailureResponse":
    """Take in a batch of the queue, and plan, unless more messages wait.

    A message that fails is returned with all that come after it, in their order.
    """
    batch = Batch(datetime.now(UTC))
    answer = process_partial_response(event, batch.take, SqsFifoPartialProcessor(), context)
    if batch.must_plan or not more_messages():
        dispatch(batch.now, batch.new_orders)
    return answer


class Batch:
    """What a batch of messages brings.

    Attributes:
        now: when it is taken in, UTC.
        must_plan: whether the schedule asked for a plan.
        new_orders: ids of its orders, which the index may not know yet.

    """

    def __init__(self, now: datetime) -> None:
        """Nothing, so far."""
        self.now = now
        self.must_plan = False
        self.new_orders: list[str] = []

    def take(self, record: SQSRecord) -> None:
        """Take in one message; what nobody can understand is logged, and no error."""
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
            case RefusedOffShift():
                refuse_off_shift(message)
            case PlacedOrder():
                self.place(message)
            case Delivered():
                store.deliver(message)
            case Cancelled():
                store.cancel(message, self.now)
            case Replan():
                self.must_plan = True

    def place(self, placed: PlacedOrder) -> None:
        """Let an order wait, or refuse it."""
        try:
            order = Order.from_event(placed.detail, fleet=fleet, now=self.now)
        except ValueError as error:
            refuse(placed, str(error), self.now)
            return
        plan_from = order.plan_from(fleet, self.now)
        reason = why_early(
            (order.ready_at - self.now).total_seconds(),
            (order.due_from - self.now).total_seconds(),
            (plan_from - self.now).total_seconds(),
            self.now,
        )
        store.add_order(order, plan_from, reason, self.now)
        self.new_orders.append(order.order_id)


def refuse(placed: PlacedOrder, reason: str, now: datetime) -> None:
    """Note and publish why an order is refused; one without an id has no record.

    One that was taken once stays taken, though its message comes again when its time is over.
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


def refuse_off_shift(refused: RefusedOffShift) -> None:
    """Publish why the dispatch does not take the event of a courier who went home."""
    refusal = asdict(refused)
    logger.info("Off shift refused", extra=refusal)
    publish([entry("Off Shift Refused", refusal)])


def more_messages() -> bool:
    """Whether messages wait in the queue, so that another plan follows at once."""
    attributes = sqs.get_queue_attributes(
        QueueUrl=os.environ["DISPATCH_QUEUE_URL"], AttributeNames=["ApproximateNumberOfMessages"]
    )["Attributes"]
    return int(attributes["ApproximateNumberOfMessages"]) > 0


def dispatch(now: datetime, new_orders: Iterable[str] = ()) -> None:
    """Plan all orders that wait over all couriers, and hand out the routes that leave now.

    Args:
        now: the time of the plan, UTC.
        new_orders: ids of orders that the index may not know yet.

    Raises:
        PublishError: the bus did not take all events; the rest is published with the next plan.

    """
    couriers = {courier.courier_id: courier for courier in store.read_couriers()}
    returned: list[str] = []
    for courier in [each for each in couriers.values() if each.undelivered]:
        if changed := withdraw(courier):
            couriers[courier.courier_id] = changed
            returned += courier.undelivered
    orders, reasons = waiting.read_waiting(now, [*new_orders, *returned])
    if orders:
        on_shift = [each for courier in couriers.values() if (each := courier_of(courier, now))]
        plan = plan_routes(
            orders,
            on_shift,
            vehicles=fleet.vehicles,
            depot=fleet.depot,
            now=now,
            waiting_cost=fleet.cost_per_hour_of_waiting,
        )
        by_id = {order.order_id: order for order in orders}
        for route in plan.routes:
            if changed := assign(couriers[route.courier_id], route, by_id):
                couriers[route.courier_id] = changed
        for order_id, reason in plan.waiting.items():
            if reason != reasons[order_id]:
                store.explain(order_id, reason)
        logger.info(
            "Planned",
            extra={
                "couriers": len(on_shift),
                "routes": len(plan.routes),
                "assigned": sum(len(route.stops) for route in plan.routes),
                "waiting": len(plan.waiting),
            },
        )
    tell([courier for courier in couriers.values() if courier.outbox])


def courier_of(courier: CourierRecord, now: datetime) -> Courier | None:
    """The courier as the planner knows them; None for one who gets nothing."""
    if courier.vehicle is None or courier.vehicle not in fleet.vehicles:
        return None
    if courier.shift_ends_at is None or courier.shift_ends_at <= now or courier.went_home:
        return None
    return Courier(
        courier_id=courier.courier_id,
        vehicle=courier.vehicle,
        place=None,
        shift_ends_at=courier.shift_ends_at,
        free_at=courier.returns_at,
    )


def withdraw(courier: CourierRecord) -> CourierRecord | None:
    """Take back the orders to which a courier, who went home, never came."""
    reason = f"waiting: courier {courier.courier_id} went off shift before delivering it"
    withdrawal = {
        "dispatch_id": courier.dispatch_id,
        "courier_id": courier.courier_id,
        "order_ids": courier.undelivered,
        "reason": "the courier went off shift",
    }
    return store.withdraw(courier, reason, entry("Orders Withdrawn", withdrawal))


def assign(
    courier: CourierRecord, route: Route, orders: Mapping[str, Order]
) -> CourierRecord | None:
    """Hand out a route, under an id by which a repeated event can be known."""
    dispatch_id = str(uuid.uuid4())
    return store.assign(
        courier,
        route,
        dispatch_id,
        entry("Orders Dispatched", dispatched(route, dispatch_id, orders)),
    )


def dispatched(route: Route, dispatch_id: str, orders: Mapping[str, Order]) -> dict[str, Any]:
    """What `Orders Dispatched` says of a route; distances in km, times in UTC."""
    return {
        "dispatch_id": dispatch_id,
        "courier_id": route.courier_id,
        "vehicle": route.vehicle,
        "loading_bay": route.loading_bay,
        "departs_at": store.text(route.departs_at),
        "returns_at": store.text(route.returns_at),
        "distance_km": round(route.distance_km, 2),
        "stops": [
            {
                "order_id": stop.order_id,
                "latitude": orders[stop.order_id].place.latitude,
                "longitude": orders[stop.order_id].place.longitude,
                "boxes": orders[stop.order_id].boxes,
                "arrives_at": store.text(stop.arrives_at),
                "distance_km": round(stop.distance_km, 2),
                "reason": stop.reason,
            }
            for stop in route.stops
        ],
    }


def entry(detail_type: str, detail: Mapping[str, Any]) -> str:
    """An event as the outbox keeps it."""
    return json.dumps({"DetailType": detail_type, "Detail": json.dumps(detail)})


def tell(couriers: Sequence[CourierRecord]) -> None:
    """Publish what the outboxes hold, and empty them; raises PublishError."""
    publish([line for courier in couriers for line in courier.outbox])
    for courier in couriers:
        store.clear_outbox(courier)


def publish(entries: Sequence[str]) -> None:
    """Put events on the bus; raises PublishError where it does not take them all."""
    common = {"EventBusName": os.environ["EVENT_BUS_NAME"], "Source": SOURCE}
    for batch in batched(entries, PUT_EVENTS_ENTRIES, strict=False):
        answer = events.put_events(Entries=[json.loads(line) | common for line in batch])
        failed = [each for each in answer["Entries"] if "ErrorCode" in each]
        if failed:
            raise PublishError(f"{failed[0]['ErrorCode']}: {failed[0].get('ErrorMessage', '')}")
