"""Plan tours: which courier takes which orders, in which sequence, leaving when, and why.

A plan is made anew whenever an order or a courier comes, and every REPLAN_EVERY while orders wait.
It looks ahead over all orders and all couriers, also those on the road, but gives out only the
tours that have to leave before the next plan: until then more orders may join them.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from math import ceil, floor
from typing import Any

import numpy as np
from pyvrp import (
    Client,
    Depot,
    IteratedLocalSearchParams,
    Location,
    PenaltyParams,
    ProblemData,
    SolveParams,
    VehicleType,
    solve,
)
from pyvrp.stop import MaxIterations, MaxRuntime, MultipleCriteria, NoImprovement, StoppingCriterion

from functions.dispatch_orders.fleet import Place, Vehicle
from functions.dispatch_orders.orders import Order
from functions.dispatch_orders.tours import DEPOT, Courier, Job, Roads, Schedule, cost_of, schedule
from functions.dispatch_orders.travel import Matrix, Travel, great_circle

REPLAN_EVERY = timedelta(minutes=1)  # the rate of the schedule in template.yaml

# A tour that could leave later waits for more orders, until this long before its last moment.
HOLD_SECONDS = 600

# A plan has one tour a courier: orders that cannot leave within this time would keep couriers from
# the tours they can make until then.
LOOK_AHEAD_SECONDS = 1200

# What an order that is late in any case may be delayed further for the sake of others.
GRACE_SECONDS = 900

# Where couriers are few, an order with this much time or more counts least.
PATIENT_SECONDS = 3600

# Iterations end the search, so that the same input gives the same plan: after so many an order
# without an improvement, or so many in all. The time is a safety net.
SEED = 1
ITERATIONS = 1500
ITERATIONS_WITHOUT_IMPROVEMENT = 10
MAX_SECONDS = 30

COST_UNITS = 100_000  # PyVRP computes in whole numbers: costs, in these parts of the currency
FAR = 10**8  # metres or seconds: where there is no way, or no time that binds


@dataclass(frozen=True, slots=True)
class Driver:
    """A courier who is checked in: on which vehicle, where (None: the depot), and until when.

    One who is on the road is back at the depot at `free_at`.
    """

    driver_id: str
    vehicle: str
    place: Place | None
    shift_ends_at: datetime
    free_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """One order on a tour. `distance_km` is along the tour from the depot up to here."""

    order_id: str
    arrives_at: datetime
    distance_km: float
    reason: str


@dataclass(frozen=True, slots=True)
class Tour:
    """One courier's way from the depot, along the stops, and back."""

    driver_id: str
    vehicle: str
    loading_bay: str
    departs_at: datetime
    returns_at: datetime
    distance_km: float
    stops: tuple[Stop, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The tours that leave now, and for every other order, by its id, why it waits."""

    tours: tuple[Tour, ...]
    waiting: dict[str, str]


@dataclass(slots=True)
class Task:
    """An order to plan: who could deliver it, and what it counts where couriers are few.

    Where nobody can meet the end of its window, `promised`, its job closes later than that.
    """

    job: Job
    promised: int
    able: list[Courier]
    cost: float
    weight: float


def plan_tours(
    orders: Collection[Order],
    drivers: Collection[Driver],
    *,
    vehicles: Mapping[str, Vehicle],
    depot: Place,
    now: datetime,
    travel: Travel = great_circle,
) -> Plan:
    """Plan all these orders over all these couriers; the plan's tours are those that leave now.

    The same orders and couriers, in whatever sequence they are given, make the same plan. A courier
    who is on the road (`free_at` after `now`) or whose shift is over gets no tour.

    Raises:
        ValueError: an order or a courier is given twice, or a vehicle is not in `vehicles`.

    """
    orders = sorted(orders, key=lambda order: order.order_id)
    drivers = sorted(drivers, key=lambda driver: driver.driver_id)
    check_unique("order", [order.order_id for order in orders])
    check_unique("courier", [driver.driver_id for driver in drivers])
    for driver in drivers:
        if driver.vehicle not in vehicles:
            raise ValueError(f"courier {driver.driver_id!r}: no vehicle {driver.vehicle!r}")

    roads = roads_between(depot, orders, drivers, vehicles, travel)
    couriers = [
        courier_of(driver, node, vehicles[driver.vehicle], roads[driver.vehicle], now)
        for node, driver in enumerate(drivers, start=DEPOT + 1 + len(orders))
        if driver.shift_ends_at > now
    ]
    waiting: dict[str, str] = {}
    tasks = []
    for node, order in enumerate(orders, start=DEPOT + 1):
        job = job_of(order, node, now)
        able, reason = who_is_able(job, couriers, vehicles, roads)
        reason = reason or why_early(job, [tour for _, tour in able], now)
        if reason:
            waiting[order.order_id] = f"waiting: {reason}"
        else:
            tasks.append(task_of(job, able))

    routes = search(tasks, couriers)
    left = insert_left_out(tasks, routes)
    short = {courier.driver_id for task in left for courier in task.able}
    tours = []
    for courier in couriers:
        route = routes[courier.driver_id]
        times = schedule(courier, [task.job for task in route]) if route else None
        if times is None:
            continue
        if leaves_now(courier, route, times, short=courier.driver_id in short):
            tours.append(tour_of(courier, route, times, now))
        else:
            for task in route:
                reason = why_held(courier, task, route, times, now)
                waiting[task.job.order_id] = f"waiting: {reason}"
    for task in left:
        waiting[task.job.order_id] = f"waiting: {why_left_out(task, routes, now)}"
    return Plan(tuple(tours), dict(sorted(waiting.items())))


def check_unique(what: str, names: Sequence[str]) -> None:
    """Raise ValueError where one of the sorted names is there twice."""
    for name, other in pairwise(names):
        if name == other:
            raise ValueError(f"{what} {name!r} is given twice")


# ── From places and times to whole metres and seconds from now ──


def roads_between(
    depot: Place,
    orders: Sequence[Order],
    drivers: Sequence[Driver],
    vehicles: Mapping[str, Vehicle],
    travel: Travel,
) -> dict[str, Roads]:
    """The ways between the depot, the orders and the drivers (in this sequence), by vehicle."""
    places = [
        depot,
        *(order.place for order in orders),
        *(driver.place or depot for driver in drivers),
    ]
    doors = slice(DEPOT + 1, DEPOT + 1 + len(orders))
    roads = {}
    for label, vehicle in vehicles.items():
        kilometres, hours = travel(places, vehicle)
        seconds = 3600 * np.asarray(hours)
        seconds[doors] += 60 * vehicle.minutes_per_stop
        roads[label] = Roads(whole(1000 * np.asarray(kilometres)), whole(seconds))
    return roads


def whole(values: Matrix) -> list[list[int]]:
    """Rounded up, but for a thousandth; FAR where there is no way."""
    rounded = np.ceil(np.nan_to_num(values, nan=FAR, posinf=FAR) - 0.001).clip(0, FAR)
    np.fill_diagonal(rounded, 0)
    result: list[list[int]] = rounded.astype(np.int64).tolist()
    return result


def job_of(order: Order, node: int, now: datetime) -> Job:
    """An order, at its row of the matrices."""
    return Job(
        order.order_id,
        node,
        order.boxes,
        ready=ceil((order.ready_at - now).total_seconds()),
        opens=ceil((order.due_from - now).total_seconds()),
        closes=floor((order.due_until - now).total_seconds()),
    )


def courier_of(driver: Driver, node: int, vehicle: Vehicle, roads: Roads, now: datetime) -> Courier:
    """A driver, who is at a row of the matrices."""
    free = max(driver.free_at or now, now)
    approach = roads.seconds[node][DEPOT]
    return Courier(
        driver.driver_id,
        vehicle,
        roads,
        starts=ceil((free - now).total_seconds()) + approach,
        ends=floor((driver.shift_ends_at - now).total_seconds()),
        on_the_road=free > now,
        approach=approach,
        fixed_cost=cost_of(vehicle, roads.metres[node][DEPOT], approach),
    )


# ── Who could deliver an order at all ──


def who_is_able(
    job: Job,
    couriers: Sequence[Courier],
    vehicles: Mapping[str, Vehicle],
    roads: Mapping[str, Roads],
) -> tuple[list[tuple[Courier, Schedule]], str]:
    """Who could deliver this order alone, on time or not, with their tours; if nobody, why."""

    def reaches(label: str) -> bool:
        metres = roads[label].metres
        there_and_back = metres[DEPOT][job.node] + metres[job.node][DEPOT]
        return there_and_back <= 1000 * vehicles[label].range_km

    def carries(label: str) -> bool:
        return job.boxes <= vehicles[label].capacity_boxes

    if not couriers:
        return [], "no courier is checked in"
    present = {courier.vehicle.label for courier in couriers}
    suited = {label for label in vehicles if reaches(label) and carries(label)}
    reaching = {label for label in present if reaches(label)}
    if not reaching:
        problem = f"beyond {words('and', present)} range"
    elif not reaching & suited:
        problem = f"{job.boxes} boxes are too many for a {words('or', reaching)}"
    else:
        able = [
            (courier, tour)
            for courier in couriers
            if courier.vehicle.label in suited and (tour := alone(courier, job))
        ]
        return able, "" if able else "no shift is long enough to deliver it and be back"
    if suited:
        return [], f"{problem} and no {words('or', suited)} is checked in"
    return [], f"{problem}, and no vehicle is larger or goes further"


def words(joint: str, labels: Collection[str]) -> str:
    """Such as "bicycle or motorcycle"."""
    return f" {joint} ".join(sorted(labels))


def alone(courier: Courier, job: Job) -> Schedule | None:
    """The times of a tour with this order only, whether or not it is late."""
    return schedule(courier, [replace(job, closes=FAR)])


def task_of(job: Job, able: Sequence[tuple[Courier, Schedule]]) -> Task:
    """What there is to know about an order that these couriers could deliver with these tours."""
    soonest = min(tour.arrivals[0] for _, tour in able)
    slack = job.closes - soonest
    if slack >= 0:
        weight = 3 - 2 * min(1, slack / PATIENT_SECONDS)
        closes = job.closes
    else:
        weight = 2 + 2 * min(1, -slack / PATIENT_SECONDS)
        closes = soonest + GRACE_SECONDS
    cost = max(tour.cost for _, tour in able)
    couriers = [courier for courier, _ in able]
    return Task(replace(job, closes=closes), job.closes, couriers, cost, weight)


# ── Who takes what ──


def search(tasks: Sequence[Task], couriers: Sequence[Courier]) -> dict[str, list[Task]]:
    """The cheapest tours that PyVRP finds, by driver; every window, range and shift is kept.

    Orders are optional. Their prizes are above what delivering them costs: one is left out only
    where couriers are few, and then that which counts least.
    """
    routes: dict[str, list[Task]] = {courier.driver_id: [] for courier in couriers}
    if not tasks:
        return routes
    present = sorted((c for c in couriers if c.starts <= c.ends), key=kind_of)
    kinds = [list(kind) for _, kind in groupby(present, key=kind_of)]
    data = problem_of(tasks, kinds)
    stop: list[StoppingCriterion] = [
        MaxIterations(ITERATIONS),
        NoImprovement(ITERATIONS_WITHOUT_IMPROVEMENT * len(tasks)),
        MaxRuntime(MAX_SECONDS),
    ]
    result = solve(
        data, MultipleCriteria(stop), SEED, collect_stats=False, params=search_parameters(data)
    )
    if result.best.is_feasible():
        for route in result.best.routes():
            courier = kinds[route.vehicle_type()].pop(0)
            routes[courier.driver_id] = [
                tasks[activity.idx] for activity in route if activity.is_client()
            ]
    return routes


def search_parameters(data: ProblemData) -> SolveParams:
    """PyVRP's own are for searches of minutes, and for costs far smaller than prizes are here.

    In seconds it has to go for the best at once: a worse plan is accepted only if it is no worse
    than three plans ago, and a new best one is not searched exhaustively. What breaks a rule must
    not pay: one box too many, or one second too late, may cost as much as the largest prize brings.
    """
    prize = max(client.prize for client in data.clients())
    return SolveParams(
        ils=IteratedLocalSearchParams(history_length=3, exhaustive_on_best=False),
        penalty=PenaltyParams(solutions_between_updates=100, max_penalty=prize),
    )


def kind_of(courier: Courier) -> tuple[str, int, int, float]:
    """What makes two couriers the same to the search."""
    return courier.vehicle.label, courier.starts, courier.ends, courier.fixed_cost


def problem_of(tasks: Sequence[Task], kinds: Sequence[Sequence[Courier]]) -> ProblemData:
    """The orders and couriers as PyVRP takes them, one vehicle type for each kind of courier."""
    nodes = [DEPOT, *(task.job.node for task in tasks)]
    labels = sorted({kind[0].vehicle.label for kind in kinds})
    roads = {kind[0].vehicle.label: kind[0].roads for kind in kinds}
    prize = COST_UNITS * max(task.cost for task in tasks)
    return ProblemData(
        locations=[Location(0, 0) for _ in nodes],
        clients=[
            Client(
                location=number,
                delivery=[task.job.boxes],
                tw_early=max(0, task.job.opens),
                tw_late=task.job.closes,
                release_time=max(0, task.job.ready),
                prize=round(prize * task.weight),
                required=False,
            )
            for number, task in enumerate(tasks, start=1)
        ],
        depots=[Depot(location=0)],
        vehicle_types=[
            VehicleType(
                num_available=len(kind),
                capacity=[kind[0].vehicle.capacity_boxes],
                fixed_cost=round(COST_UNITS * kind[0].fixed_cost),
                tw_early=kind[0].starts,
                tw_late=kind[0].ends,
                max_distance=floor(1000 * kind[0].vehicle.range_km),
                unit_distance_cost=round(COST_UNITS * kind[0].vehicle.cost_per_km / 1000),
                unit_duration_cost=round(COST_UNITS * kind[0].vehicle.cost_per_hour / 3600),
                profile=labels.index(kind[0].vehicle.label),
            )
            for kind in kinds
        ],
        distance_matrices=[submatrix(roads[label].metres, nodes) for label in labels],
        duration_matrices=[submatrix(roads[label].seconds, nodes) for label in labels],
    )


def submatrix(matrix: Sequence[Sequence[int]], nodes: Sequence[int]) -> Any:
    """These rows and columns, as an array."""
    return np.array(matrix, dtype=np.int64)[np.ix_(nodes, nodes)]


def insert_left_out(tasks: Sequence[Task], routes: dict[str, list[Task]]) -> list[Task]:
    """Put each order that the search left out where it fits most cheaply; return the others.

    It may be late by that, but not later than who is back first would bring it.
    """
    planned = {task.job.order_id for route in routes.values() for task in route}
    left = []
    for task in sorted(tasks, key=lambda task: (-task.weight, task.job.order_id)):
        if task.job.order_id in planned:
            continue
        later = next_time(task, routes)
        closes = max(task.job.closes, later[0] if later else FAR)
        late = replace(task, job=replace(task.job, closes=closes))
        best = min(insertions(late, routes), key=lambda insertion: insertion[:2], default=None)
        if best:
            _, driver_id, route = best
            routes[driver_id] = route
        else:
            left.append(task)
    return left


def insertions(
    task: Task, routes: Mapping[str, Sequence[Task]]
) -> Iterator[tuple[float, str, list[Task]]]:
    """All ways to put an order into the tours as they are: what it adds to the cost, who, how."""
    for courier in task.able:
        route = routes[courier.driver_id]
        jobs = [other.job for other in route]
        before = schedule(courier, jobs) if route else None
        for position in range(len(route) + 1):
            after = schedule(courier, [*jobs[:position], task.job, *jobs[position:]])
            if after:
                cost = after.cost - (before.cost if before else 0)
                yield cost, courier.driver_id, [*route[:position], task, *route[position:]]


def next_time(task: Task, routes: Mapping[str, Sequence[Task]]) -> tuple[int, int] | None:
    """The soonest arrival if the order waits until who could deliver it is back, and when that is.

    None where all their shifts are too short for another tour.
    """
    times = []
    for courier in task.able:
        route = [other.job for other in routes[courier.driver_id]]
        tour = schedule(courier, route) if route else None
        starts = tour.returns if tour else courier.starts
        again = alone(replace(courier, starts=starts), task.job)
        if again:
            times.append((again.arrivals[0], starts))
    return min(times, default=None)


# ── Who leaves now, and why the others wait ──


def leaves_now(courier: Courier, route: Sequence[Task], times: Schedule, *, short: bool) -> bool:
    """Whether a tour leaves before the next plan: it can, and nothing is won by waiting.

    Waiting lets more orders join. It is over when the tour would soon be late, is full, has a late
    order on it, or when others wait for this courier (`short`).
    """
    soon = REPLAN_EVERY.total_seconds()
    if courier.on_the_road or times.departs - courier.approach > soon:
        return False
    full = sum(task.job.boxes for task in route) == courier.vehicle.capacity_boxes
    late = any(task.job.closes > task.promised for task in route)
    return full or late or short or latest_call(courier, times) <= soon


def latest_call(courier: Courier, times: Schedule) -> float:
    """When a held tour is given out at the latest, in seconds from now."""
    return times.latest - courier.approach - HOLD_SECONDS


def why_early(job: Job, tours: Sequence[Schedule], now: datetime) -> str:
    """Why an order, with tours of its own such as these, is too early; empty where it is not."""
    if job.ready > LOOK_AHEAD_SECONDS:
        return f"being prepared until {clock(job.ready, now)}"
    if min(tour.departs for tour in tours) > LOOK_AHEAD_SECONDS < job.opens:
        return f"not due before {clock(job.opens, now)}"
    return ""


def why_held(
    courier: Courier, task: Task, route: Sequence[Task], times: Schedule, now: datetime
) -> str:
    """Why an order of a tour that does not leave now waits."""
    soon = REPLAN_EVERY.total_seconds()
    if task.job.ready > soon:
        return f"being prepared until {clock(task.job.ready, now)}"
    if courier.on_the_road:
        return (
            f"planned for the {courier.vehicle.label} that is back at {clock(courier.starts, now)}"
        )
    ready = max(other.job.ready for other in route)
    if ready - courier.approach > soon:
        return f"goes with an order that is being prepared until {clock(ready, now)}"
    leaves = max(times.departs, latest_call(courier, times))
    return f"goes by {courier.vehicle.label} at {clock(leaves, now)}; more orders may join"


def why_left_out(task: Task, routes: Mapping[str, Sequence[Task]], now: datetime) -> str:
    """Why an order is on no tour."""
    later = next_time(task, routes)
    if later is None:
        return "all couriers who could deliver it are full until their shifts end"
    back = clock(later[1], now)
    if all(routes[courier.driver_id] for courier in task.able):
        return f"all couriers who could deliver it are full until {back}"
    return f"nobody could deliver it sooner than the courier who is back at {back}"


def clock(seconds: float, now: datetime) -> str:
    """The time so many seconds from now, for people."""
    time = now + timedelta(seconds=seconds)
    return f"{time:%H:%M} UTC" if time.date() == now.date() else f"{time:%Y-%m-%d %H:%M} UTC"


def tour_of(courier: Courier, route: Sequence[Task], times: Schedule, now: datetime) -> Tour:
    """A tour as the courier gets it."""
    stops = []
    for task, arrival, metres in zip(route, times.arrivals, times.metres_at, strict=True):
        tenths = ceil(courier.roads.metres[DEPOT][task.job.node] / 100)
        reason = f"assigned: {courier.vehicle.label} within {tenths / 10:.1f} km"
        if arrival > task.promised:
            minutes = ceil((arrival - task.promised) / 60)
            reason += f", {minutes} minute{'s' if minutes > 1 else ''} late"
        stops.append(
            Stop(task.job.order_id, now + timedelta(seconds=arrival), metres / 1000, reason)
        )
    return Tour(
        courier.driver_id,
        courier.vehicle.label,
        courier.vehicle.loading_bay,
        now + timedelta(seconds=times.departs),
        now + timedelta(seconds=times.returns),
        times.metres / 1000,
        tuple(stops),
    )
