"""The rules that benchmarks/dispatch.py compares: the planner with parts of it replaced."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from functions.dispatch_orders import holding, search
from functions.dispatch_orders.fleet import read_fleet
from functions.dispatch_orders.routes import DEPOT, AvailableCourier, Schedule, Task, schedule

FLEET = read_fleet()
NEAR_KM = 3  # as the crow flies

type Routes = dict[str, list[Task]]


@dataclass(frozen=True)
class Rule:
    """Which functions of the planner's modules `search` and `holding` a rule replaces.

    `waiting_cost` is what an hour of a waiting customer costs. Above 0, the planner improves the
    routes of `find_routes` by it, also those of a simpler rule.
    """

    search: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    holding: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    waiting_cost: float = 0

    @contextlib.contextmanager
    def in_force(self, step: timedelta) -> Iterator[None]:
        """Plan by this rule, every `step`."""
        with contextlib.ExitStack() as patches:
            for name, function in self.search.items():
                patches.enter_context(patch.object(search, name, function))
            for name, value in {"REPLAN_EVERY": step, **self.holding}.items():
                patches.enter_context(patch.object(holding, name, value))
            yield


def threshold(tasks: Sequence[Task], couriers: Sequence[AvailableCourier]) -> Routes:
    """Near to bicycles, far to motorcycles, nearest first."""
    routes: Routes = {courier.courier_id: [] for courier in couriers}
    left = list(tasks)
    for courier in couriers:
        route, here = routes[courier.courier_id], DEPOT
        metres = courier.matrix.metres
        while not courier.on_the_road:
            fitting = [task for task in left if suits(task, courier) and fits(task, route, courier)]
            if not fitting:
                break
            task = min(fitting, key=lambda task: metres[here][task.job.node])
            route.append(task)
            left.remove(task)
            here = task.job.node
    return routes


def first_in_first_out(tasks: Sequence[Task], couriers: Sequence[AvailableCourier]) -> Routes:
    """One order for each free courier: the first order goes to the courier with the least cost.

    Orders are numbered as they are placed.
    """
    routes: Routes = {courier.courier_id: [] for courier in couriers}
    for task in sorted(tasks, key=lambda task: task.job.order_id):
        free = [
            (times.cost, courier.courier_id)
            for courier in couriers
            if not courier.on_the_road and not routes[courier.courier_id]
            if fits(task, [], courier) and (times := schedule(courier, [task.job]))
        ]
        if free:
            routes[min(free)[1]] = [task]
    return routes


def suits(task: Task, courier: AvailableCourier) -> bool:
    """Whether the threshold gives this order to this vehicle."""
    vehicle = courier.vehicle
    kilometres = courier.matrix.metres[DEPOT][task.job.node] / 1000 / vehicle.detour_factor
    near = kilometres <= NEAR_KM and task.job.boxes <= FLEET.vehicles["bicycle"].capacity_boxes
    return near == (vehicle.label == "bicycle")


def fits(task: Task, route: Sequence[Task], courier: AvailableCourier) -> bool:
    """Whether an order can be the last of a route that leaves soon."""
    times = schedule(courier, [*(other.job for other in route), task.job])
    return times is not None and holding.can_leave(courier, times)


def find_none(_: Sequence[Task], couriers: Sequence[AvailableCourier]) -> Routes:
    """No search: the greedy insertion plans all orders."""
    return {courier.courier_id: [] for courier in couriers}


def insert_none(tasks: Sequence[Task], routes: Mapping[str, Sequence[Task]]) -> list[Task]:
    """No insertion: the orders that the rule left out stay out."""
    planned = {id(task) for route in routes.values() for task in route}
    return [task for task in tasks if id(task) not in planned]


def at_once(courier: AvailableCourier, _: Sequence[Task], times: Schedule, **__: bool) -> bool:
    """No holding."""
    return holding.can_leave(courier, times)


AT_ONCE: dict[str, Callable[..., Any]] = {"leaves_now": at_once}
THRESHOLD: dict[str, Callable[..., Any]] = {
    "find_routes": threshold,
    "insert_left_out": insert_none,
}
FIFO: dict[str, Callable[..., Any]] = {
    "find_routes": first_in_first_out,
    "insert_left_out": insert_none,
}
GREEDY: dict[str, Callable[..., Any]] = {"find_routes": find_none}
