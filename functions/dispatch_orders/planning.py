"""Plan routes: which courier takes which orders, in which sequence, leaving when, and why.

A plan is made anew whenever an order or a courier comes, and every REPLAN_EVERY while orders wait.
It looks ahead over all orders and all couriers, also those on the road, but gives out only the
routes that have to leave before the next plan: until then more orders may join them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from math import ceil, floor

import numpy as np

from functions.dispatch_orders import holding, reasons, search
from functions.dispatch_orders.fleet import Place, Vehicle
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

# What an order that is late in any case may be delayed further for the sake of others.
GRACE_SECONDS = 900

# Where couriers are few, an order with this much time or more counts least.
PATIENT_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Courier:
    """A courier who is checked in: on which vehicle, where (None: the depot), and until when.

    One who is on the road is back at the depot at `free_at`.
    """

    courier_id: str
    vehicle: str
    place: Place | None
    shift_ends_at: datetime
    free_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """One order on a route. `distance_km` is along the route from the depot up to here."""

    order_id: str
    arrives_at: datetime
    distance_km: float
    reason: str


@dataclass(frozen=True, slots=True)
class Route:
    """One courier's way from the depot, along the stops, and back."""

    courier_id: str
    vehicle: str
    loading_bay: str
    departs_at: datetime
    returns_at: datetime
    distance_km: float
    stops: tuple[Stop, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The routes that leave now, and for every other order, by its id, why it waits."""

    routes: tuple[Route, ...]
    waiting: dict[str, str]


def plan_routes(
    orders: Collection[Order],
    couriers: Collection[Courier],
    *,
    vehicles: Mapping[str, Vehicle],
    depot: Place,
    now: datetime,
    waiting_cost: float = 0,
    travel: Travel = great_circle,
) -> Plan:
    """Plan all these orders over all these couriers; the plan's routes are those that leave now.

    The same orders and couriers, in whatever sequence they are given, make the same plan. A courier
    who is on the road (`free_at` after `now`) or whose shift is over gets no route.

    Args:
        orders: those that wait.
        couriers: the couriers on shift.
        vehicles: by their labels.
        depot: where every route begins and ends.
        now: the time of the plan, UTC.
        waiting_cost: of an hour in which one customer waits.
        travel: how far and how long it is between places.

    Raises:
        ValueError: an order or a courier is given twice, or a vehicle is not in `vehicles`.

    """
    orders = sorted(orders, key=lambda order: order.order_id)
    couriers = sorted(couriers, key=lambda courier: courier.courier_id)
    check_unique("order", [order.order_id for order in orders])
    check_unique("courier", [courier.courier_id for courier in couriers])
    for courier in couriers:
        if courier.vehicle not in vehicles:
            raise ValueError(f"courier {courier.courier_id!r}: no vehicle {courier.vehicle!r}")

    by_id = {order.order_id: order for order in orders}
    matrices = travel_matrices(depot, orders, couriers, vehicles, travel)
    available = [
        availability_of(
            courier, node, vehicles[courier.vehicle], matrices[courier.vehicle], waiting_cost, now
        )
        for node, courier in enumerate(couriers, start=DEPOT + 1 + len(orders))
        if courier.shift_ends_at > now
    ]
    tasks, waiting = sort_out(orders, available, vehicles, matrices, now)
    found = search.find_routes(tasks, available)
    left = search.insert_left_out(tasks, found)
    if waiting_cost:
        search.shorten_waiting(found)
    short = {able.courier_id for task in left for able in task.able}
    leaving = []
    for each in available:
        route = found[each.courier_id]
        times = schedule(each, [task.job for task in route]) if route else None
        if times is None:
            continue
        if holding.leaves_now(each, route, times, short=each.courier_id in short):
            leaving.append(route_of(each, route, times, by_id, now))
        else:
            for task in route:
                reason = reasons.why_held(each, task, route, times, now)
                waiting[task.job.order_id] = f"waiting: {reason}"
    for task in left:
        waiting[task.job.order_id] = f"waiting: {reasons.why_left_out(task, found, now)}"
    return Plan(tuple(leaving), dict(sorted(waiting.items())))


def sort_out(
    orders: Sequence[Order],
    couriers: Sequence[AvailableCourier],
    vehicles: Mapping[str, Vehicle],
    matrices: Mapping[str, TravelMatrix],
    now: datetime,
) -> tuple[list[Task], dict[str, str]]:
    """The orders to be planned, and why the others, by id, cannot be."""
    tasks, waiting = [], {}
    for node, order in enumerate(orders, start=DEPOT + 1):
        job = job_of(order, node, now)
        able, reason = reasons.who_is_able(job, couriers, vehicles, matrices)
        if able:
            departs = min(route.departs for _, route in able)
            reason = reasons.why_early(job.ready, job.opens, departs, now)
        if reason:
            waiting[order.order_id] = f"waiting: {reason}"
        else:
            tasks.append(task_of(job, able))
    return tasks, waiting


def check_unique(what: str, names: Sequence[str]) -> None:
    """Raise ValueError where one of the sorted names is there twice."""
    for name, other in pairwise(names):
        if name == other:
            raise ValueError(f"{what} {name!r} is given twice")


# ── From places and times to whole metres and seconds from now ──


def travel_matrices(
    depot: Place,
    orders: Sequence[Order],
    couriers: Sequence[Courier],
    vehicles: Mapping[str, Vehicle],
    travel: Travel,
) -> dict[str, TravelMatrix]:
    """The ways between the depot, the orders and the couriers (in this sequence), by vehicle."""
    places = [
        depot,
        *(order.place for order in orders),
        *(courier.place or depot for courier in couriers),
    ]
    doors = slice(DEPOT + 1, DEPOT + 1 + len(orders))
    matrices = {}
    for label, vehicle in vehicles.items():
        kilometres, hours = travel(places, vehicle)
        seconds = 3600 * np.asarray(hours)
        seconds[doors] += 60 * vehicle.minutes_per_stop
        matrices[label] = TravelMatrix(whole(1000 * np.asarray(kilometres)), whole(seconds))
    return matrices


def whole(values: Matrix) -> list[list[int]]:
    """Rounded up, but for a thousandth; FAR where there is no way."""
    rounded = np.ceil(np.nan_to_num(values, nan=FAR, posinf=FAR) - 0.001).clip(0, FAR)
    np.fill_diagonal(rounded, 0)
    result: list[list[int]] = rounded.astype(np.int64).tolist()
    return result


def job_of(order: Order, node: int, now: datetime) -> Job:
    """An order, at its row of the matrices.

    If no whole second from now falls into its window, the second before it stands for the window:
    the courier waits at the door for the part of a second that is missing.
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
    vehicle: Vehicle,
    matrix: TravelMatrix,
    waiting_cost: float,
    now: datetime,
) -> AvailableCourier:
    """A courier, who is at a row of the matrices."""
    free = max(courier.free_at or now, now)
    approach = matrix.seconds[node][DEPOT]
    return AvailableCourier(
        courier.courier_id,
        vehicle,
        matrix,
        starts=ceil((free - now).total_seconds()) + approach,
        ends=floor((courier.shift_ends_at - now).total_seconds()),
        on_the_road=free > now,
        approach=approach,
        fixed_cost=cost_of(vehicle, matrix.metres[node][DEPOT], approach),
        waiting_cost=waiting_cost,
    )


# ── Who could deliver an order at all ──


def task_of(job: Job, able: Sequence[tuple[AvailableCourier, Schedule]]) -> Task:
    """What there is to know about an order that these couriers could deliver with these routes."""
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
    return Task(replace(job, closes=closes), job.closes, couriers, cost, weight)


# ── Who takes what ──


# ── Who leaves now, and why the others wait ──


def route_of(
    courier: AvailableCourier,
    route: Sequence[Task],
    times: Schedule,
    orders: Mapping[str, Order],
    now: datetime,
) -> Route:
    """A route as the courier gets it."""
    stops = []
    for task, arrival, metres in zip(route, times.arrivals, times.metres_at, strict=True):
        tenths = ceil(courier.matrix.metres[DEPOT][task.job.node] / 100)
        reason = f"assigned: {courier.vehicle.label} within {tenths / 10:.1f} km"
        if arrival > task.promised:
            minutes = ceil((arrival - task.promised) / 60)
            reason += f", {minutes} minute{'s' if minutes > 1 else ''} late"
        arrives_at = max(now + timedelta(seconds=arrival), orders[task.job.order_id].due_from)
        stops.append(Stop(task.job.order_id, arrives_at, metres / 1000, reason))
    return Route(
        courier.courier_id,
        courier.vehicle.label,
        courier.vehicle.loading_bay,
        now + timedelta(seconds=times.departs),
        now + timedelta(seconds=times.returns),
        times.metres / 1000,
        tuple(stops),
    )
