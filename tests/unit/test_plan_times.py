"""When routes leave, and that orders arrive in their delivery windows."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.planning import BICYCLE, MINUTE, NOW, SLACK, check, kilometres, make, reasons_of


def test_a_full_route_leaves_at_once_and_other_orders_wait_for_the_return(
    planning: Any, fleet: Any
) -> None:
    orders = [(0.01, 0, 6, 0, 0, 40), (0.01, 0, 6, 0, 0, 120)]
    assert reasons_of(planning, fleet, orders, [BICYCLE]) == [
        "assigned: bicycle within 1.4 km",
        "waiting: all couriers who can deliver it are full until 12:12 UTC",
    ]


def test_a_route_is_held_until_ten_minutes_before_its_latest_departure(
    planning: Any, fleet: Any
) -> None:
    """Until then more orders may join it."""
    orders, couriers = make(planning, fleet.depot, [(0.01, 0, 1, 0, 0, 60)], [BICYCLE])
    rules = {"vehicles": fleet.vehicles, "depot": fleet.depot}
    left = [
        now
        for now in (NOW + number * MINUTE for number in range(60))
        if planning.plan_routes(orders, couriers, now=now, **rules).routes
    ]
    assert left[0] == NOW + 44 * MINUTE


@settings(max_examples=60, deadline=None)
@given(
    st.integers(320_000_000, 368_000_000),
    st.integers(0, 1_200_000),
    st.integers(0, 999_999),
    st.booleans(),
)
def test_an_order_is_on_time_in_any_delivery_window(
    planning: Any, fleet: Any, opens: int, length: int, fraction: int, ready: bool
) -> None:
    """Also in a window of no length, and in one without a whole second (in microseconds)."""
    now = NOW + timedelta(microseconds=fraction)
    due_from = NOW + timedelta(microseconds=opens)
    due_until = due_from + timedelta(microseconds=length)
    place = planning.Location(fleet.depot.latitude + 0.01, fleet.depot.longitude)
    ready_at = now - timedelta(microseconds=fraction) if ready else now
    order = planning.Order("order-0", place, 1, ready_at, due_from, due_until)
    courier = planning.Courier("courier-0", "bicycle", None, now + 300 * MINUTE)
    plan = planning.plan_routes(
        [order], [courier], vehicles=fleet.vehicles, depot=fleet.depot, now=now
    )
    [stop] = plan.routes[0].stops
    assert due_from <= stop.arrives_at <= due_until
    assert "late" not in stop.reason


@pytest.mark.parametrize("seconds", [60, 47.3, 13.37, 61.7, 110])
def test_orders_for_exact_times_are_on_time_for_any_time_between_plans(
    planning: Any, fleet: Any, seconds: float
) -> None:
    """One courier returns before the next order has to leave."""
    times = [(0.01, 31.005), (-0.01, 60.5), (0.012, 90.0083), (-0.008, 120), (0.009, 150.0001)]
    pending = {
        f"order-{number}": planning.Order(
            f"order-{number}",
            planning.Location(fleet.depot.latitude + north, fleet.depot.longitude),
            1,
            NOW,
            NOW + minute * MINUTE,
            NOW + minute * MINUTE,
        )
        for number, (north, minute) in enumerate(times)
    }
    late, back, now = {}, NOW, NOW + timedelta(seconds=0.3)
    while pending:
        courier = planning.Courier("courier-0", "bicycle", None, NOW + 300 * MINUTE, back)
        rules = {"vehicles": fleet.vehicles, "depot": fleet.depot, "now": now}
        for route in planning.plan_routes(pending.values(), [courier], **rules).routes:
            back = route.returns_at
            for stop in route.stops:
                order = pending.pop(stop.order_id)
                late[stop.order_id] = stop.arrives_at - order.due_until
        now += timedelta(seconds=seconds)
    assert late == dict.fromkeys(late, timedelta())


@pytest.mark.parametrize("vehicles", [("bicycle", "motorcycle"), ("motorcycle", "bicycle")])
@pytest.mark.parametrize("north", [0.002, 0.015])
def test_a_tight_order_is_on_time_although_a_courier_returns_between_two_plans(
    planning: Any, fleet: Any, vehicles: tuple[str, str], north: float
) -> None:
    """The first courier is on the road, the second is free: the second has to take the order.

    A plan gives the first courier a route only after the return, up to a minute later.
    """
    place = planning.Location(fleet.depot.latitude + north, fleet.depot.longitude)
    hours = kilometres(fleet.depot, place) * 1.25 / fleet.vehicles["bicycle"].speed_kmh
    rules = {"vehicles": fleet.vehicles, "depot": fleet.depot, "waiting_cost": 10}
    for returns in range(15, 300, 60):
        for slack in range(25, returns + 10, 20):
            due = NOW + timedelta(hours=hours, seconds=slack)
            order = planning.Order("order-0", place, 1, NOW, NOW, due)
            back = NOW + timedelta(seconds=returns)
            couriers = [
                planning.Courier("courier-0", vehicles[0], None, NOW + 300 * MINUTE, back),
                planning.Courier("courier-1", vehicles[1], None, NOW + 300 * MINUTE),
            ]
            plans = (
                planning.plan_routes([order], couriers, now=NOW + number * MINUTE, **rules)
                for number in range(10)
            )
            [route] = next(plan.routes for plan in plans if plan.routes)
            assert route.stops[0].arrives_at <= due, (returns, slack)


def test_a_route_leaves_earlier_if_the_waiting_of_customers_costs_more(
    planning: Any, fleet: Any
) -> None:
    """It is held until the waiting has cost as much as the route."""
    orders, couriers = make(planning, fleet.depot, [(0.003, 0, 1, 0, 0, 180)], [BICYCLE])
    rules = {"vehicles": fleet.vehicles, "depot": fleet.depot}

    def leaves(waiting_cost: float) -> Any:
        return next(
            NOW + number * MINUTE
            for number in range(200)
            if planning.plan_routes(
                orders, couriers, now=NOW + number * MINUTE, waiting_cost=waiting_cost, **rules
            ).routes
        )

    assert leaves(10) < leaves(4) < leaves(0)


@pytest.mark.parametrize("nearest", [0, 1, 2])
def test_the_sequence_of_stops_minimises_the_waiting_of_customers(
    planning: Any, fleet: Any, nearest: int
) -> None:
    """Both directions have one length. With the nearest customer first, all wait less."""
    offsets = [(0.02, 0.005, 2, 0, 0, 60)] * 3
    offsets[nearest] = (0.01, 0, 2, 0, 0, 60)
    orders, couriers = make(planning, fleet.depot, offsets, [BICYCLE])
    plan = planning.plan_routes(
        orders, couriers, vehicles=fleet.vehicles, depot=fleet.depot, now=NOW, waiting_cost=20
    )
    check(plan, orders, couriers, fleet.vehicles, fleet.depot)
    [route] = plan.routes
    assert route.stops[0].order_id == f"order-{nearest}"


def test_an_order_that_cannot_be_on_time_is_delivered_at_once(planning: Any, fleet: Any) -> None:
    assert reasons_of(planning, fleet, [(0.01, 0, 1, -30, -30, 33)], [BICYCLE]) == [
        "assigned: bicycle within 1.4 km, 3 minutes late"
    ]


def test_a_courier_at_another_location_comes_to_the_depot_first(planning: Any, fleet: Any) -> None:
    orders, couriers = make(
        planning, fleet.depot, [(0.01, 0, 6, 0, 0, 90)], [("bicycle", (-0.01, 0), 300, None)]
    )
    plan = planning.plan_routes(
        orders, couriers, vehicles=fleet.vehicles, depot=fleet.depot, now=NOW
    )
    check(plan, orders, couriers, fleet.vehicles, fleet.depot)
    assert plan.routes[0].departs_at == pytest.approx(NOW + 5.21 * MINUTE, abs=SLACK)
