"""Each plan keeps its constraints, computed again from orders, couriers and vehicle types."""

import math
import random
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.planning import (
    BICYCLE,
    HURRY,
    MOTORCYCLE,
    NOW,
    SOON,
    check,
    courier_specs,
    make,
    order_specs,
    reasons_of,
)

pins = st.none() | st.sampled_from(["courier-0", "courier-1", "courier-9"])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(order_specs, max_size=9),
    st.lists(courier_specs, max_size=4),
    st.sampled_from([0, 10, 1000]),
    st.lists(pins, min_size=9, max_size=9),
    st.randoms(),
)
def test_each_plan_keeps_the_constraints_and_does_not_depend_on_the_sequence(
    planning: Any,
    fleet: Any,
    orders: Any,
    couriers: Any,
    waiting_cost: float,
    pinned: list[str | None],
    generator: random.Random,
) -> None:
    orders, couriers = make(planning, fleet.depot, orders, couriers)
    orders = [replace(order, pinned_to=pin) for order, pin in zip(orders, pinned, strict=False)]
    given = {"vehicles": fleet.vehicles, "depot": fleet.depot, "now": NOW}
    given["waiting_cost"] = waiting_cost
    plan = planning.plan_routes(orders, couriers, **given)
    check(plan, orders, couriers, fleet.vehicles, fleet.depot)
    generator.shuffle(orders)
    generator.shuffle(couriers)
    assert planning.plan_routes(orders, couriers, **given) == plan


@pytest.mark.parametrize(
    ("order", "couriers", "reason"),
    [
        ((0.01, 0, 1, *SOON), [], "no courier is checked in"),
        ((0.01, 0, 1, *SOON), [("bicycle", None, -1, None)], "no courier is checked in"),
        (
            (0.1, 0, 1, *SOON),
            [("bicycle", None, 300, None)],
            "beyond bicycle range and no motorcycle is checked in",
        ),
        (
            (0.01, 0, 7, *SOON),
            [("bicycle", None, 300, None)],
            "7 boxes are too many for a bicycle and no motorcycle is checked in",
        ),
        (
            (0.3, 0, 1, *SOON),
            [("motorcycle", None, 300, None)],
            "beyond motorcycle range, and no vehicle is larger or goes further",
        ),
        (
            (0.03, 0, 1, *SOON),
            [("bicycle", None, 20, None)],
            "no shift is long enough to deliver it and be back",
        ),
        (
            (0.01, 0, 1, 30, 30, 40),
            [("bicycle", None, 300, None)],
            "being prepared until 12:30 UTC",
        ),
        ((0.01, 0, 1, 5, 5, 40), [("bicycle", None, 300, None)], "being prepared until 12:05 UTC"),
        ((0.01, 0, 1, 0, 120, 40), [("bicycle", None, 300, None)], "not due before 14:00 UTC"),
        (
            (0.01, 0, 1, *SOON),
            [("bicycle", None, 300, 15)],
            "planned for the bicycle that is back at 12:15 UTC",
        ),
        (
            (0.01, 0, 1, 0, 0, 90),
            [("bicycle", None, 300, None)],
            "goes by bicycle at 13:14 UTC; more orders may join",
        ),
    ],
)
def test_an_order_that_waits_has_the_reason(
    planning: Any, fleet: Any, order: Any, couriers: Any, reason: str
) -> None:
    orders, couriers = make(planning, fleet.depot, [order], couriers)
    plan = planning.plan_routes(
        orders, couriers, vehicles=fleet.vehicles, depot=fleet.depot, now=NOW
    )
    assert plan == planning.Plan((), {"order-0": f"waiting: {reason}"})


def test_bicycles_get_near_orders_and_motorcycles_get_far_ones(planning: Any, fleet: Any) -> None:
    orders = [(0.01, 0, 3, *HURRY), (-0.012, 0, 3, *HURRY), (0, 0.12, 10, 0, 0, 35)]
    assert reasons_of(planning, fleet, orders, [BICYCLE, BICYCLE, MOTORCYCLE]) == [
        "assigned: bicycle within 1.4 km",
        "assigned: bicycle within 1.7 km",
        "assigned: motorcycle within 11.1 km",
    ]


@pytest.mark.parametrize("courier", ["courier-0", "courier-1", "courier-2"])
def test_a_pinned_order_goes_with_its_courier_although_another_one_costs_less(
    planning: Any, fleet: Any, courier: str
) -> None:
    kinds = ["bicycle", "motorcycle", "bicycle"]
    couriers = [(kind, None, 300, None) for kind in kinds]
    orders, couriers = make(planning, fleet.depot, [(0.01, 0, 1, 0, 0, 12)] * 4, couriers)
    pinned, free = replace(orders[0], pinned_to=courier, overruled="pinned"), orders[1:]
    plan = planning.plan_routes(
        [pinned, *free], couriers, vehicles=fleet.vehicles, depot=fleet.depot, now=NOW
    )
    found = {stop.order_id: route for route in plan.routes for stop in route.stops}
    assert found["order-0"].courier_id == courier
    assert {"order-1", "order-2", "order-3"} <= found.keys()
    [reason] = [s.reason for s in found["order-0"].stops if s.order_id == "order-0"]
    assert reason.endswith(" km; pinned")


def test_a_plan_uses_the_travel_matrix(planning: Any, fleet: Any) -> None:
    """A river without a bridge separates an order from the depot."""

    def river(places: Any, vehicle: Any) -> Any:
        metres, hours = planning.great_circle(places, vehicle)
        north = [place.latitude > fleet.depot.latitude + 0.005 for place in places]
        for row, one in enumerate(north):
            for column, other in enumerate(north):
                if one != other:
                    metres[row, column] = hours[row, column] = math.inf
        return metres, hours

    orders, couriers = make(
        planning, fleet.depot, [(0.01, 0, 6, *HURRY), (-0.01, 0, 6, *HURRY)], [BICYCLE] * 2
    )
    plan = planning.plan_routes(
        orders, couriers, vehicles=fleet.vehicles, depot=fleet.depot, now=NOW, travel=river
    )
    assert [stop.order_id for route in plan.routes for stop in route.stops] == ["order-1"]
    assert "range" in plan.waiting["order-0"]


def some_number(least: float, largest: float) -> Any:
    """A bound, or any number between the bounds."""
    return st.sampled_from([least, largest]) | st.floats(least, largest, allow_subnormal=False)


def some_vehicle(bounds: Any) -> Any:
    """The fields of any vehicle type that vehicles.json can contain."""
    numbers = {name: some_number(*ends) for name, ends in bounds.items()}
    numbers["capacity_boxes"] = st.integers(*bounds["capacity_boxes"])
    return st.fixed_dictionaries({"loading_bay": st.just("A"), **numbers})


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_plan_is_possible_with_all_values_that_vehicles_json_allows(
    planning: Any, load: Callable[[str, str], ModuleType], fleet: Any, data: st.DataObject
) -> None:
    module = load("dispatch_orders", "fleet")
    waiting_cost = data.draw(some_number(*module.BOUNDS["cost_per_hour"]))
    fields = {label: data.draw(some_vehicle(module.BOUNDS)) for label in fleet.vehicles}
    vehicles = {label: module.vehicle_of(label, each) for label, each in fields.items()}
    orders, couriers = make(
        planning,
        fleet.depot,
        data.draw(st.lists(order_specs, min_size=1, max_size=5)),
        data.draw(st.lists(courier_specs, max_size=3)),
    )
    plan = planning.plan_routes(
        orders,
        couriers,
        vehicles=vehicles,
        depot=fleet.depot,
        now=NOW,
        waiting_cost=waiting_cost,
    )
    assigned = [stop.order_id for route in plan.routes for stop in route.stops]
    assert sorted([*assigned, *plan.waiting]) == sorted(order.order_id for order in orders)


@pytest.mark.parametrize(
    "free",
    [
        {"minutes_per_stop": 0},
        {"cost_per_hour": 0},
        {"cost_per_km": 0, "cost_per_hour": 0},
        {"cost_per_km": 0, "cost_per_hour": 0, "minutes_per_stop": 0},
    ],
)
@pytest.mark.parametrize("north", [0, 0.01])
def test_orders_are_delivered_if_delivery_costs_nothing(
    planning: Any, fleet: Any, free: dict[str, float], north: float
) -> None:
    vehicles = {label: replace(each, **free) for label, each in fleet.vehicles.items()}
    orders, couriers = make(planning, fleet.depot, [(north, 0, 3, *HURRY)] * 2, [BICYCLE])
    plan = planning.plan_routes(orders, couriers, vehicles=vehicles, depot=fleet.depot, now=NOW)
    check(plan, orders, couriers, vehicles, fleet.depot)
    assert not plan.waiting


@pytest.mark.parametrize("places", [[(0, 0)] * 5, [(0.01, 0.01)] * 5, [(0, 0), (0.01, 0.01)] * 2])
def test_many_orders_at_one_location_are_planned(planning: Any, fleet: Any, places: Any) -> None:
    orders = [(*place, 1, *HURRY) for place in places]
    assert all("assigned" in reason for reason in reasons_of(planning, fleet, orders, [BICYCLE]))


@pytest.mark.parametrize("depot", [(0.0, 179.995), (89.9, 10.0), (-33.9, -180.0)])
def test_plans_are_correct_at_the_antimeridian_and_near_the_pole(
    planning: Any, fleet: Any, depot: Any
) -> None:
    center = planning.Location(*depot)
    orders, couriers = make(
        planning, center, [(0.01, 0.01, 1, *HURRY), (-0.01, 0.01, 1, *HURRY)], [BICYCLE]
    )
    plan = planning.plan_routes(orders, couriers, vehicles=fleet.vehicles, depot=center, now=NOW)
    check(plan, orders, couriers, fleet.vehicles, center)
    assert not plan.waiting


def test_a_plan_without_orders_is_empty(planning: Any, fleet: Any) -> None:
    assert reasons_of(planning, fleet, [], []) == []
    assert reasons_of(planning, fleet, [], [BICYCLE, MOTORCYCLE]) == []


def test_a_repeated_id_or_an_unknown_vehicle_is_refused(planning: Any, fleet: Any) -> None:
    [order], [courier] = make(planning, fleet.depot, [(0.01, 0, 1, *SOON)], [BICYCLE])
    rules = {"vehicles": fleet.vehicles, "depot": fleet.depot, "now": NOW}
    with pytest.raises(ValueError, match="order 'order-0' is given twice"):
        planning.plan_routes([order, order], [courier], **rules)
    with pytest.raises(ValueError, match="courier 'courier-0' is given twice"):
        planning.plan_routes([order], [courier, courier], **rules)
    with pytest.raises(ValueError, match="courier 'courier-0': no vehicle 'bicycle'"):
        planning.plan_routes([order], [courier], **rules | {"vehicles": {}})
