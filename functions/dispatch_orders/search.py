"""Find routes: PyVRP's search, and the orders that it leaves out."""

from collections.abc import Collection, Iterator, Mapping, Sequence
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
# Only a safety limit: the search ends by iterations, so that a plan can be reproduced.
MAX_SECONDS = 20

COST_UNITS = 100_000  # PyVRP's costs are whole numbers: so many units of the currency
LEAST_PRIZE = 1000  # in these units: weights count although delivery is free


def find_routes(
    tasks: Sequence[Task], couriers: Sequence[AvailableCourier]
) -> dict[str, list[Task]]:
    """Return the cheapest feasible routes that PyVRP finds, by courier.

    Orders are optional, with prizes above their cost of delivery. So an order is left out only if
    there are too few couriers, and those of the least weight first.
    """
    routes: dict[str, list[Task]] = {courier.courier_id: [] for courier in couriers}
    if not tasks:
        return routes
    pinned = {task.pinned_to for task in tasks}

    def kind_of(courier: AvailableCourier) -> tuple[str, str, int, int, float]:
        """Return what a PyVRP vehicle type has: couriers who share it are equivalent."""
        return *profile_of(courier, pinned), courier.starts, courier.ends, courier.fixed_cost

    present = sorted((c for c in couriers if c.starts <= c.ends), key=kind_of)
    kinds = [list(kind) for _, kind in groupby(present, key=kind_of)]
    data = problem_of(tasks, kinds, pinned)
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
    """Return the maximum number of iterations for so many orders.

    Up to 100 orders, more iterations find nothing better. From 200 orders, five times as many do.
    Above 600 orders, an iteration takes longer, so there are fewer, to end before MAX_SECONDS.
    """
    return min(7500, max(1500, 60 * orders - 4500), 5_000_000 // max(1, orders))


def most_idle_iterations(orders: int) -> int:
    """Return the maximum number of iterations without an improvement."""
    return 10 * orders


def search_parameters(data: ProblemData) -> SolveParams:
    """Return parameters for a search of seconds; PyVRP's defaults are for minutes.

    A worse solution is accepted only if it is not worse than three solutions ago, and a new best
    one is not searched exhaustively. Here prizes are far above costs, so the penalty of one box
    too many, or of one second too late, can be as high as the largest prize.
    """
    prize = max(client.prize for client in data.clients())
    return SolveParams(
        ils=IteratedLocalSearchParams(history_length=3, exhaustive_on_best=False),
        penalty=PenaltyParams(solutions_between_updates=100, max_penalty=prize),
    )


def profile_of(courier: AvailableCourier, pinned: Collection[str | None]) -> tuple[str, str]:
    """Return the vehicle of a courier, and the courier's id if orders are pinned to the courier."""
    courier_id = courier.courier_id
    return courier.vehicle.label, courier_id if courier_id in pinned else ""


def problem_of(
    tasks: Sequence[Task],
    kinds: Sequence[Sequence[AvailableCourier]],
    pinned: Collection[str | None],
) -> ProblemData:
    """Return PyVRP's data: one client for each order, one vehicle type for each kind of courier.

    An order that is pinned to a courier is out of reach in the travel matrices of all others.
    """
    profiles = {profile_of(kind[0], pinned): kind[0] for kind in kinds}
    numbers = {profile: number for number, profile in enumerate(profiles)}
    matrices = [matrices_of(courier, tasks) for courier in profiles.values()]
    prize = max(LEAST_PRIZE, COST_UNITS * max(task.cost for task in tasks))
    return ProblemData(
        locations=[Location(0, 0) for _ in range(1 + len(tasks))],
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
                profile=numbers[profile_of(kind[0], pinned)],
            )
            for kind in kinds
        ],
        distance_matrices=[metres for metres, _ in matrices],
        duration_matrices=[seconds for _, seconds in matrices],
    )


def matrices_of(courier: AvailableCourier, tasks: Sequence[Task]) -> tuple[Any, Any]:
    """Return metres and seconds between the depot and the orders, for couriers like this one."""
    nodes = [DEPOT, *(task.job.node for task in tasks)]
    others = [
        number
        for number, task in enumerate(tasks, start=1)
        if task.pinned_to not in (None, courier.courier_id)
    ]

    def submatrix(whole: Sequence[Sequence[int]]) -> Any:
        matrix = np.array(whole, dtype=np.int64)[np.ix_(nodes, nodes)]
        matrix[others] = matrix[:, others] = FAR
        np.fill_diagonal(matrix, 0)
        return matrix

    return submatrix(courier.matrix.metres), submatrix(courier.matrix.seconds)


def insert_left_out(tasks: Sequence[Task], routes: dict[str, list[Task]]) -> list[Task]:
    """Insert each order that the search left out at the least cost; return those that do not fit.

    An inserted order may be late, but not later than on a route after the first return of a
    courier.
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
    """Move each order to its cheapest position, including the waiting, which PyVRP ignores."""
    for courier_id, task in [(courier, task) for courier in routes for task in routes[courier]]:
        routes[courier_id] = [other for other in routes[courier_id] if other is not task]
        _, best, route = min(insertions(task, routes), key=lambda insertion: insertion[:2])
        routes[best] = route


def insertions(
    task: Task, routes: Mapping[str, Sequence[Task]]
) -> Iterator[tuple[float, str, list[Task]]]:
    """Yield each feasible insertion of an order: added cost, courier id, and the new route."""
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
    """Return the first arrival of an order after the return of a courier, and that return.

    None if all shifts are too short for another route.
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
