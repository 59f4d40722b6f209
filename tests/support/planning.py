"""Orders and couriers to plan, and the constraints of a plan, computed again."""

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import strategies as st

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SLACK = timedelta(seconds=2)  # rounding up to whole seconds may add this much to a leg
SOON = (0, 0, 40)  # ready and due from now, for 40 minutes
HURRY = (0, 0, 15)
BICYCLE = ("bicycle", None, 300, None)
MOTORCYCLE = ("motorcycle", None, 300, None)
offsets = st.sampled_from([0.0, 0.01, -0.02, 0.03, 0.1, 0.3]) | st.floats(-0.15, 0.15)
minutes = st.integers(-30, 240)
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


def reasons_of(planning: Any, fleet: Any, orders: Any, couriers: Any) -> list[str]:
    """Check a plan, and return the reason of each order."""
    orders, couriers = make(planning, fleet.depot, orders, couriers)
    plan = planning.plan_routes(
        orders, couriers, vehicles=fleet.vehicles, depot=fleet.depot, now=NOW
    )
    check(plan, orders, couriers, fleet.vehicles, fleet.depot)
    reasons = plan.waiting | {stop.order_id: stop.reason for t in plan.routes for stop in t.stops}
    return [reasons[order.order_id] for order in orders]
