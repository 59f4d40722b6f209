"""Plan routes: which courier delivers which orders, in which sequence, when, and why.

There is a new plan after each order and each check-in, and every REPLAN_EVERY while orders wait. A
plan contains all orders and all couriers, including those on the road. Only routes that have to
leave before the next plan are assigned: more orders can join the others.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from math import ceil, floor

import numpy as np

from functions.dispatch_orders import holding, reasons, search
from functions.dispatch_orders.fleet import Location, VehicleType
from functions.dispatch_orders.orders import Order
from functions.dispatch_orders.routes import (
    DEPOT,
    FAR,
    AvailableCourier,
    Job,
    Schedule,
    Task,
    TravelMatrix,
    cost_of,
    schedule,
)
from functions.dispatch_orders.travel import Matrix, Travel, great_circle

# An order that cannot be on time may be this much later if that helps other orders.
GRACE_SECONDS = 900

# If there are too few couriers, orders with this much time or more are left out first.
PATIENT_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Courier:
    """A courier on shift.

    Attributes:
        courier_id: unique among the couriers of a plan.
        vehicle: label of the vehicle type.
        location: of the courier; None is the depot.
        shift_ends_at: the courier returns before this time.
        free_at: when a courier on the road returns to the depot; None for one who is not.

    """

    courier_id: str
    vehicle: str
    location: Location | None
    shift_ends_at: datetime
    free_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """One order on a route. `distance_km` is the length of the route from the depot to it."""

    order_id: str
    arrives_at: datetime
    distance_km: float
    reason: str


@dataclass(frozen=True, slots=True)
class Route:
    """The route of one courier: from the depot to the stops, and back."""

    courier_id: str
    vehicle: str
    loading_bay: str
    departs_at: datetime
    returns_at: datetime
    distance_km: float
    stops: tuple[Stop, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The routes that leave now, and for each other order, by its id, why it waits."""

    routes: tuple[Route, ...]
    waiting: dict[str, str]


def plan_routes(
    orders: Collection[Order],
    couriers: Collection[Courier],
    *,
    vehicles: Mapping[str, VehicleType],
    depot: Location,
    now: datetime,
    waiting_cost: float = 0,
    travel: Travel = great_circle,
) -> Plan:
    """Plan the orders for the couriers; return the routes that leave now.

    The plan does not depend on the sequence of orders and couriers. A courier on the road
    (`free_at` after `now`) or after the end of the shift gets no route.

    Args:
        orders: all orders that wait.
        couriers: all couriers on shift.
        vehicles: vehicle types by label.
        depot: start and end of each route.
        now: time of the plan, UTC.
        waiting_cost: of one hour of one customer's waiting.
        travel: distances and travel times between locations.

    Raises:
        ValueError: an order or a courier is there twice, or a vehicle is not in `vehicles`.

    """
    orders = sorted(orders, key=lambda order: order.order_id)
    couriers = sorted(couriers, key=lambda courier: courier.courier_id)
    check_unique("order", [order.order_id for order in orders])
    check_unique("courier", [courier.courier_id for courier in couriers])
    for courier in couriers:
        if courier.vehicle not in vehicles:
            raise ValueError(f"courier {courier.courier_id!r}: no vehicle {courier.vehicle!r}")

    matrices = travel_matrices(depot, orders, couriers, vehicles, travel)
    available = [
        availability_of(
            courier, node, vehicles[courier.vehicle], matrices[courier.vehicle], waiting_cost, now
        )
        for node, courier in enumerate(couriers, start=DEPOT + 1 + len(orders))
        if courier.shift_ends_at > now
    ]
    tasks, waiting = tasks_of(orders, available, vehicles, matrices, now)
    found = search.find_routes(tasks, available)
    left_out = search.insert_left_out(tasks, found)
    if waiting_cost:
        search.shorten_waiting(found)
    leaving, held = divide(available, found, left_out, now)
    waiting |= held
    for task in left_out:
        waiting[task.job.order_id] = f"waiting: {reasons.why_left_out(task, found, now)}"
    by_id = {order.order_id: order for order in orders}
    routes = tuple(route_of(*each, by_id, now) for each in leaving)
    noted = {each: reasons.noted(waiting[each], by_id[each]) for each in sorted(waiting)}
    return Plan(routes, noted)


def check_unique(what: str, names: Sequence[str]) -> None:
    """Raise ValueError if one of the sorted names is there twice."""
    for name, other in pairwise(names):
        if name == other:
            raise ValueError(f"{what} {name!r} is given twice")


# ── Whole metres, and whole seconds from now ──


def travel_matrices(
    depot: Location,
    orders: Sequence[Order],
    couriers: Sequence[Courier],
    vehicles: Mapping[str, VehicleType],
    travel: Travel,
) -> dict[str, TravelMatrix]:
    """Return a travel matrix for each vehicle type: depot, then orders, then couriers."""
    locations = [
        depot,
        *(order.location for order in orders),
        *(courier.location or depot for courier in couriers),
    ]
    doors = slice(DEPOT + 1, DEPOT + 1 + len(orders))
    matrices = {}
    for label, vehicle in vehicles.items():
        kilometres, hours = travel(locations, vehicle)
        seconds = 3600 * np.asarray(hours)
        seconds[doors] += 60 * vehicle.minutes_per_stop
        matrices[label] = TravelMatrix(whole(1000 * np.asarray(kilometres)), whole(seconds))
    return matrices


def whole(values: Matrix) -> list[list[int]]:
    """Round up (a thousandth is ignored); FAR if there is no connection."""
    rounded = np.ceil(np.nan_to_num(values, nan=FAR, posinf=FAR) - 0.001).clip(0, FAR)
    np.fill_diagonal(rounded, 0)
    result: list[list[int]] = rounded.astype(np.int64).tolist()
    return result


def job_of(order: Order, node: int, now: datetime) -> Job:
    """Return the job of an order, which is row `node` of the matrices.

    If no whole second from now is in its window, the last second before it is used: the courier
    waits at the door for the missing part of a second.
    """
    opens = ceil((order.due_from - now).total_seconds())
    closes = floor((order.due_until - now).total_seconds())
    return Job(
        order.order_id,
        node,
        order.boxes,
        ready=ceil((order.ready_at - now).total_seconds()),
        opens=min(opens, closes),
        closes=closes,
    )


def availability_of(
    courier: Courier,
    node: int,
    vehicle: VehicleType,
    matrix: TravelMatrix,
    waiting_cost: float,
    now: datetime,
) -> AvailableCourier:
    """Return when and at what cost a courier, who is row `node` of the matrix, can start."""
    free = max(courier.free_at or now, now)
    # A courier on the road gets the next route from the first plan after the return.
    plans = ceil((free - now) / holding.REPLAN_EVERY)
    approach = matrix.seconds[node][DEPOT]
    return AvailableCourier(
        courier.courier_id,
        vehicle,
        matrix,
        starts=ceil(plans * holding.soon()) + approach,
        ends=floor((courier.shift_ends_at - now).total_seconds()),
        on_the_road=free > now,
        approach=approach,
        fixed_cost=cost_of(vehicle, matrix.metres[node][DEPOT], approach),
        waiting_cost=waiting_cost,
    )


# ── Which orders are planned ──


def tasks_of(
    orders: Sequence[Order],
    couriers: Sequence[AvailableCourier],
    vehicles: Mapping[str, VehicleType],
    matrices: Mapping[str, TravelMatrix],
    now: datetime,
) -> tuple[list[Task], dict[str, str]]:
    """Return the orders to plan, and for each other order, by its id, why it waits."""
    tasks, waiting = [], {}
    for node, order in enumerate(orders, start=DEPOT + 1):
        job = job_of(order, node, now)
        able, reason = reasons.who_is_able(job, order.pinned_to, couriers, vehicles, matrices)
        if able:
            departs = min(route.departs for _, route in able)
            reason = reasons.why_early(job.ready, job.opens, departs, now)
        if reason:
            waiting[order.order_id] = f"waiting: {reason}"
        else:
            tasks.append(task_of(job, order.pinned_to, able))
    return tasks, waiting


def task_of(
    job: Job, pinned_to: str | None, able: Sequence[tuple[AvailableCourier, Schedule]]
) -> Task:
    """Return the task of an order that these couriers can deliver with these routes."""
    soonest = min(route.arrivals[0] for _, route in able)
    slack = job.closes - soonest
    if slack >= 0:
        weight = 3 - 2 * min(1, slack / PATIENT_SECONDS)
        closes = job.closes
    else:
        weight = 2 + 2 * min(1, -slack / PATIENT_SECONDS)
        closes = soonest + GRACE_SECONDS
    cost = max(route.cost for _, route in able)
    couriers = [courier for courier, _ in able]
    return Task(replace(job, closes=closes), job.closes, pinned_to, couriers, cost, weight)


# ── Which routes leave now ──


def divide(
    couriers: Sequence[AvailableCourier],
    found: Mapping[str, Sequence[Task]],
    left_out: Sequence[Task],
    now: datetime,
) -> tuple[list[tuple[AvailableCourier, Sequence[Task], Schedule]], dict[str, str]]:
    """Return the routes that leave now, and for each order of a held route why it waits."""
    short = {courier.courier_id for task in left_out for courier in task.able}
    leaving, waiting = [], {}
    for courier in couriers:
        route = found[courier.courier_id]
        times = schedule(courier, [task.job for task in route]) if route else None
        if times is None:
            continue
        if holding.leaves_now(courier, route, times, short=courier.courier_id in short):
            leaving.append((courier, route, times))
        else:
            for task in route:
                reason = reasons.why_held(courier, task, route, times, now)
                waiting[task.job.order_id] = f"waiting: {reason}"
    return leaving, waiting


def route_of(
    courier: AvailableCourier,
    route: Sequence[Task],
    times: Schedule,
    orders: Mapping[str, Order],
    now: datetime,
) -> Route:
    """Return a route with times in UTC and distances in km."""
    stops = []
    for task, arrival, metres in zip(route, times.arrivals, times.metres_at, strict=True):
        tenths = ceil(courier.matrix.metres[DEPOT][task.job.node] / 100)
        reason = f"assigned: {courier.vehicle.label} within {tenths / 10:.1f} km"
        if arrival > task.promised:
            minutes = ceil((arrival - task.promised) / 60)
            reason += f", {minutes} minute{'s' if minutes > 1 else ''} late"
        order = orders[task.job.order_id]
        arrives_at = max(now + timedelta(seconds=arrival), order.due_from)
        reason = reasons.noted(reason, order)
        stops.append(Stop(order.order_id, arrives_at, metres / 1000, reason))
    return Route(
        courier.courier_id,
        courier.vehicle.label,
        courier.vehicle.loading_bay,
        now + timedelta(seconds=times.departs),
        now + timedelta(seconds=times.returns),
        times.metres / 1000,
        tuple(stops),
    )
