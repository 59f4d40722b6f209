"""Plan all orders that wait, assign the routes that leave now, and publish them."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from aws_lambda_powertools import Logger

from functions.dispatch_orders import store, waiting
from functions.dispatch_orders.fleet import Fleet
from functions.dispatch_orders.orders import Order
from functions.dispatch_orders.planning import Courier, Plan, Route, plan_routes
from functions.dispatch_orders.publishing import entry, orders_dispatched, orders_withdrawn, publish
from functions.dispatch_orders.store import CourierRecord

logger = Logger(child=True)


def dispatch(fleet: Fleet, now: datetime, new_orders: Iterable[str] = ()) -> None:
    """Withdraw orders of couriers who went off shift, make a plan, and publish the events.

    Args:
        fleet: the content of vehicles.json.
        now: time of the plan, UTC.
        new_orders: ids of orders that the index may not contain yet.

    Raises:
        PublishError: EventBridge did not take all events; the next plan publishes the others.

    """
    couriers = {courier.courier_id: courier for courier in store.read_couriers()}
    withdrawn = withdraw_orders(couriers)
    publish_outboxes(couriers)  # that an order is withdrawn, before that it is assigned again
    orders, reasons = waiting.read_waiting(now, [*new_orders, *withdrawn])
    if orders:
        on_shift = [
            courier for each in couriers.values() if (courier := courier_of(each, fleet, now))
        ]
        plan = plan_routes(
            orders,
            on_shift,
            vehicles=fleet.vehicles,
            depot=fleet.depot,
            now=now,
            waiting_cost=fleet.cost_per_hour_of_waiting,
        )
        carry_out(plan, couriers, orders, reasons)
        logger.info(
            "Planned",
            extra={
                "couriers": len(on_shift),
                "routes": len(plan.routes),
                "assigned": sum(len(route.stops) for route in plan.routes),
                "waiting": len(plan.waiting),
            },
        )
    publish_outboxes(couriers)


def courier_of(courier: CourierRecord, fleet: Fleet, now: datetime) -> Courier | None:
    """Return the courier of a record as the planner needs it; None if not on shift."""
    if courier.vehicle is None or courier.vehicle not in fleet.vehicles:
        return None
    if courier.shift_ends_at is None or courier.shift_ends_at <= now or courier.is_off_shift:
        return None
    return Courier(
        courier_id=courier.courier_id,
        vehicle=courier.vehicle,
        location=None,
        shift_ends_at=courier.shift_ends_at,
        free_at=courier.returns_at,
    )


def withdraw_orders(couriers: dict[str, CourierRecord]) -> list[str]:
    """Withdraw the orders that couriers did not reach before they went off shift.

    Returns:
        The ids of the orders; the couriers in the dictionary are replaced.

    """
    withdrawn: list[str] = []
    for courier in [each for each in couriers.values() if each.undelivered]:
        order_ids = courier.undelivered
        if courier.off_shift_by is None:
            why = "the courier went off shift"
            reason = f"courier {courier.courier_id} went off shift before delivering it"
        else:
            why = f"{courier.off_shift_by} ended the shift"
            reason = f"{courier.off_shift_by} ended the shift of courier {courier.courier_id}"
        event = orders_withdrawn(courier, order_ids, why)
        if changed := store.withdraw(courier, order_ids, f"waiting: {reason}", event):
            couriers[courier.courier_id] = changed
            withdrawn += order_ids
    return withdrawn


def carry_out(
    plan: Plan,
    couriers: dict[str, CourierRecord],
    orders: Sequence[Order],
    reasons: Mapping[str, str],
) -> None:
    """Assign the routes of a plan, and store why each other order waits.

    Args:
        plan: of these couriers and orders.
        couriers: by id; those with a new route are replaced.
        orders: all orders of the plan.
        reasons: the stored reason of each order, by id.

    """
    by_id = {order.order_id: order for order in orders}
    for route in plan.routes:
        if changed := assign(couriers[route.courier_id], route, by_id):
            couriers[route.courier_id] = changed
    for order_id, reason in plan.waiting.items():
        if reason != reasons[order_id]:
            store.explain(order_id, reason)


def assign(
    courier: CourierRecord, route: Route, orders: Mapping[str, Order]
) -> CourierRecord | None:
    """Assign a route, with an id by which consumers recognise a repeated event."""
    dispatch_id = str(uuid.uuid4())
    event = entry("Orders Dispatched", orders_dispatched(route, dispatch_id, orders))
    return store.assign(courier, route, dispatch_id, event)


def publish_outboxes(couriers: dict[str, CourierRecord]) -> None:
    """Publish the events of the outboxes, and empty them; raises PublishError.

    The couriers in the dictionary are replaced.
    """
    unpublished = [courier for courier in couriers.values() if courier.outbox]
    publish([event for courier in unpublished for event in courier.outbox])
    for courier in unpublished:
        couriers[courier.courier_id] = store.clear_outbox(courier)
