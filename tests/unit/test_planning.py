"""Each plan keeps its constraints, computed again from orders, couriers and vehicle types."""

import math
import random
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SLACK = timedelta(seconds=2)  # rounding up to whole seconds may add this much to a leg


@pytest.fixture(scope="module")
def planning(load: Callable[[str, str], ModuleType]) -> Any:
    """The module, with a short search. The constraints hold after a short search as well."""
    module: Any = load("dispatch_orders", "planning")
    module.search.most_iterations = lambda _: 60
    return module


@pytest.fixture(scope="module")
def fleet(load: Callable[[str, str], ModuleType]) -> Any:
    return load("dispatch_orders", "fleet").read_fleet()


minutes = st.integers(-30, 240)
pins = st.none() | st.sampled_from(["courier-0", "courier-1", "courier-9"])
offsets = st.sampled_from([0.0, 0.01, -0.02, 0.03, 0.1, 0.3]) | st.floats(-0.15, 0.15)
order_specs = st.tuples(offsets, offsets, st.integers(1, 12), minutes, minutes, st.integers(0, 90))
courier_specs = st.tuples(
    st.sampled_from(["bicycle", "motorcycle"]),
    st.none() | st.tuples(offsets, offsets),
    st.integers(-10, 300),
    st.none() | st.integers(-5, 60),
)


def make(planning: Any, depot: Any, orders: list[Any], couriers: list[Any]) -> tuple[Any, Any]:
    """Make orders and couriers from offsets to the depot (degrees) and to NOW (minutes)."""

    def location(north: float, east: float) -> Any:
        longitude = (depot.longitude + east + 180) % 360 - 180
        return planning.Location(depot.latitude + north, longitude)

    return (
        [
            planning.Order(
                f"order-{number}",
                location(north, east),
                boxes,
                NOW + ready * MINUTE,
                NOW + opens * MINUTE,
                NOW + (opens + length) * MINUTE,
            )
            for number, (north, east, boxes, ready, opens, length) in enumerate(orders)
        ],
        [
            planning.Courier(
                f"courier-{number}",
                vehicle,
                at and location(*at),
                NOW + shift * MINUTE,
                None if free is None else NOW + free * MINUTE,
            )
            for number, (vehicle, at, shift, free) in enumerate(couriers)
        ],
    )


def kilometres(one: Any, other: Any) -> float:
    """The great-circle distance by another formula than the planner's: the angle of two vectors."""

    def vector(place: Any) -> tuple[float, float, float]:
        latitude, longitude = math.radians(place.latitude), math.radians(place.longitude)
        return (
            math.cos(latitude) * math.cos(longitude),
            math.cos(latitude) * math.sin(longitude),
            math.sin(latitude),
        )

    return 6371.0088 * 2 * math.asin(min(1, math.dist(vector(one), vector(other)) / 2))


def check(plan: Any, orders: list[Any], couriers: list[Any], vehicles: Any, depot: Any) -> None:
    """Assert the constraints, and that the reasons are true."""
    by_id = {order.order_id: order for order in orders}
    couriers_by_id = {courier.courier_id: courier for courier in couriers}
    assigned = [stop.order_id for route in plan.routes for stop in route.stops]
    assert sorted([*assigned, *plan.waiting]) == sorted(by_id)
    assert len({route.courier_id for route in plan.routes}) == len(plan.routes)
    for route in plan.routes:
        courier, vehicle = couriers_by_id[route.courier_id], vehicles[route.vehicle]
        assert (route.vehicle, route.loading_bay) == (courier.vehicle, vehicle.loading_bay)
        assert courier.free_at is None or courier.free_at <= NOW
        assert sum(by_id[stop.order_id].boxes for stop in route.stops) <= vehicle.capacity_boxes
        assert route.stops
        assert route.distance_km <= vehicle.range_km
        assert route.returns_at <= courier.shift_ends_at

        def drive(one: Any, other: Any, vehicle: Any = vehicle) -> timedelta:
            hours = kilometres(one, other) * vehicle.detour_factor / vehicle.speed_kmh
            return timedelta(hours=hours)

        to_depot = drive(courier.location, depot) if courier.location else timedelta()
        assert route.departs_at >= NOW + to_depot - SLACK
        here, time, distance = depot, route.departs_at, 0.0
        for stop in route.stops:
            order = by_id[stop.order_id]
            assert order.pinned_to in (None, route.courier_id)
            assert route.departs_at >= order.ready_at
            time = max(time + drive(here, order.location), order.due_from)
            distance += kilometres(here, order.location) * vehicle.detour_factor
            assert abs(stop.arrives_at - time) <= SLACK
            assert stop.distance_km == pytest.approx(distance, abs=0.002 * len(route.stops))
            check_assigned(stop, order, vehicle, depot)
            here, time = order.location, stop.arrives_at + vehicle.minutes_per_stop * MINUTE
        assert abs(route.returns_at - time - drive(here, depot)) <= SLACK
        distance += kilometres(here, depot) * vehicle.detour_factor
        assert route.distance_km == pytest.approx(distance, abs=0.02)
    for order_id, reason in plan.waiting.items():
        check_waiting(reason, by_id[order_id], couriers, vehicles, depot)
    check_that_the_full_are_full(plan)


def check_assigned(stop: Any, order: Any, vehicle: Any, depot: Any) -> None:
    found = re.fullmatch(
        r"assigned: (\w+) within ([\d.]+) km(?:, (\d+) minutes? late)?", stop.reason
    )
    assert found
    assert found[1] == vehicle.label
    direct = kilometres(depot, order.location) * vehicle.detour_factor
    assert direct - 0.001 <= float(found[2]) <= direct + 0.102
    late = stop.arrives_at - order.due_until
    assert bool(found[3]) == (late > timedelta())
    if found[3]:
        assert int(found[3]) - 1 <= late / MINUTE <= int(found[3])


def check_waiting(reason: str, order: Any, couriers: list[Any], vehicles: Any, depot: Any) -> None:
    """Assert each reason that can be checked from the input alone."""
    if order.pinned_to is not None:
        couriers = [each for each in couriers if each.courier_id == order.pinned_to]
        reason = reason.replace(f"courier {order.pinned_to} is not", "no courier is")
    present = {courier.vehicle for courier in couriers if courier.shift_ends_at > NOW}
    reach = {
        label
        for label, vehicle in vehicles.items()
        if 2 * kilometres(depot, order.location) * vehicle.detour_factor <= vehicle.range_km
    }
    carry = {label for label, v in vehicles.items() if order.boxes <= v.capacity_boxes}
    assert reason.startswith("waiting: ")
    assert (reason == "waiting: no courier is checked in") == (not present)
    if found := re.search(r"beyond (.+) range", reason):
        assert set(found[1].split(" and ")) == present
        assert not present & reach
    if found := re.search(r"(\d+) boxes are too many for a (.+?),? and no ", reason):
        assert int(found[1]) == order.boxes
        assert set(found[2].split(" or ")) == present & reach - carry
    if found := re.search(r"and no (\w+) is checked in", reason):
        assert found[1] in reach & carry - present
    if "no vehicle is larger" in reason:
        assert not reach & carry
    if found := re.search(r"^waiting: being prepared until (.+)", reason):
        assert NOW < order.ready_at <= NOW + timedelta(days=1)
        assert found[1] == text(order.ready_at)
    if found := re.search(r"not due before (.+)", reason):
        assert found[1] == text(order.due_from)
    if found := re.search(r"planned for the (\w+) that is back", reason):
        on_the_road = [d for d in couriers if d.free_at and d.free_at > NOW]
        assert found[1] in {courier.vehicle for courier in on_the_road}
    if reason.startswith(
        ("waiting: all", "waiting: no courier can", "waiting: planned", "waiting: goes")
    ):
        assert present & reach & carry


def check_that_the_full_are_full(plan: Any) -> None:
    """Couriers are full only if there is a route that leaves or is held."""
    if any("couriers who can deliver it are full" in reason for reason in plan.waiting.values()):
        held = any(re.search("goes|planned|prepared", reason) for reason in plan.waiting.values())
        assert plan.routes or held


def text(time: datetime) -> str:
    return f"{time:%H:%M} UTC" if time.date() == NOW.date() else f"{time:%Y-%m-%d %H:%M} UTC"


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


SOON = (0, 0, 40)  # ready and due from now, for 40 minutes


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


def reasons_of(planning: Any, fleet: Any, orders: Any, couriers: Any) -> list[str]:
    """Check a plan, and return the reason of each order."""
    orders, couriers = make(planning, fleet.depot, orders, couriers)
    plan = planning.plan_routes(
        orders, couriers, vehicles=fleet.vehicles, depot=fleet.depot, now=NOW
    )
    check(plan, orders, couriers, fleet.vehicles, fleet.depot)
    reasons = plan.waiting | {stop.order_id: stop.reason for t in plan.routes for stop in t.stops}
    return [reasons[order.order_id] for order in orders]


BICYCLE = ("bicycle", None, 300, None)
MOTORCYCLE = ("motorcycle", None, 300, None)
HURRY = (0, 0, 15)


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
