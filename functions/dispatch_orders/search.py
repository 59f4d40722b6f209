"""Which courier takes which orders, in which sequence: PyVRP's search, and what it leaves out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from math import floor
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

from functions.dispatch_orders.routes import DEPOT, FAR, AvailableCourier, Task, alone, schedule

SEED = 1
# A safety net: iterations end the search, so that the same input gives the same plan.
MAX_SECONDS = 20

COST_UNITS = 100_000  # PyVRP computes in whole numbers: costs, in these parts of the currency
LEAST_PRIZE = 1000  # in these parts: orders of different weight differ though delivery is free


def find_routes(
    tasks: Sequence[Task], couriers: Sequence[AvailableCourier]
) -> dict[str, list[Task]]:
    """The cheapest routes that PyVRP finds, by courier; every window, range and shift is kept.

    Orders are optional. Their prizes are above what delivering them costs: one is left out only
    where couriers are few, and then that which counts least.
    """
    routes: dict[str, list[Task]] = {courier.courier_id: [] for courier in couriers}
    if not tasks:
        return routes
    present = sorted((c for c in couriers if c.starts <= c.ends), key=kind_of)
    kinds = [list(kind) for _, kind in groupby(present, key=kind_of)]
    data = problem_of(tasks, kinds)
    stop: list[StoppingCriterion] = [
        MaxIterations(most_iterations(len(tasks))),
        NoImprovement(most_idle_iterations(len(tasks))),
        MaxRuntime(MAX_SECONDS),
    ]
    result = solve(
        data, MultipleCriteria(stop), SEED, collect_stats=False, params=search_parameters(data)
    )
    if result.best.is_feasible():
        for route in result.best.routes():
            courier = kinds[route.vehicle_type()].pop(0)
            routes[courier.courier_id] = [
                tasks[activity.idx] for activity in route if activity.is_client()
            ]
    return routes


def most_iterations(orders: int) -> int:
    """After how many iterations the search of a plan of so many orders ends.

    Up to 100 orders more iterations find nothing better; from 200 on, five times as many do. Above
    600 orders each takes so long that there are fewer again, to end before MAX_SECONDS.
    """
    return min(7500, max(1500, 60 * orders - 4500), 5_000_000 // max(1, orders))


def most_idle_iterations(orders: int) -> int:
    """After how many iterations without an improvement it ends."""
    return 10 * orders


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


def kind_of(courier: AvailableCourier) -> tuple[str, int, int, float]:
    """What makes two couriers the same to the search."""
    return courier.vehicle.label, courier.starts, courier.ends, courier.fixed_cost


def problem_of(tasks: Sequence[Task], kinds: Sequence[Sequence[AvailableCourier]]) -> ProblemData:
    """The orders and couriers as PyVRP takes them, one vehicle type for each kind of courier."""
    nodes = [DEPOT, *(task.job.node for task in tasks)]
    labels = sorted({kind[0].vehicle.label for kind in kinds})
    matrices = {kind[0].vehicle.label: kind[0].matrix for kind in kinds}
    prize = max(LEAST_PRIZE, COST_UNITS * max(task.cost for task in tasks))
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
        distance_matrices=[submatrix(matrices[label].metres, nodes) for label in labels],
        duration_matrices=[submatrix(matrices[label].seconds, nodes) for label in labels],
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
            _, courier_id, route = best
            routes[courier_id] = route
        else:
            left.append(task)
    return left


def shorten_waiting(routes: dict[str, list[Task]]) -> None:
    """Move each order to where it costs least, with the waiting that PyVRP does not know of."""
    for courier_id, task in [(courier, task) for courier in routes for task in routes[courier]]:
        routes[courier_id] = [other for other in routes[courier_id] if other is not task]
        _, best, route = min(insertions(task, routes), key=lambda insertion: insertion[:2])
        routes[best] = route


def insertions(
    task: Task, routes: Mapping[str, Sequence[Task]]
) -> Iterator[tuple[float, str, list[Task]]]:
    """All ways to put an order into the routes as they are: what it adds to the cost, who, how."""
    for courier in task.able:
        route = routes[courier.courier_id]
        jobs = [other.job for other in route]
        before = schedule(courier, jobs) if route else None
        for position in range(len(route) + 1):
            after = schedule(courier, [*jobs[:position], task.job, *jobs[position:]])
            if after:
                cost = after.cost - (before.cost if before else 0)
                yield cost, courier.courier_id, [*route[:position], task, *route[position:]]


def next_time(task: Task, routes: Mapping[str, Sequence[Task]]) -> tuple[int, int] | None:
    """The soonest arrival if the order waits until who could deliver it is back, and when that is.

    None where all their shifts are too short for another route.
    """
    times = []
    for courier in task.able:
        jobs = [other.job for other in routes[courier.courier_id]]
        times_before = schedule(courier, jobs) if jobs else None
        starts = times_before.returns if times_before else courier.starts
        again = alone(replace(courier, starts=starts), task.job)
        if again:
            times.append((again.arrivals[0], starts))
    return min(times, default=None)
