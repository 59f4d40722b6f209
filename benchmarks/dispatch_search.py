"""The planner's search alone, against the same search with more iterations."""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pyvrp

from benchmarks.dispatch_days import START, make_day, simulate
from benchmarks.dispatch_rules import FLEET, Rule
from functions.dispatch_orders import search
from functions.dispatch_orders.planning import Courier, plan_routes
from functions.dispatch_orders.routes import AvailableCourier, Task

type Problem = tuple[Sequence[Task], Sequence[AvailableCourier]]
type Limit = Callable[[int], int]

BURSTS = {100: 14, 200: 27, 300: 40, 600: 75, 1000: 120}  # orders at once, and couriers


def compare_search(factor: int) -> None:
    """Print the cost of plans of two days, and of bursts, against `factor` times the iterations."""
    print(
        f"{'':14}{'plans':>6}{'orders':>9}{'seconds':>9}{f'{factor} times':>10}"
        f"{'cost above it':>15}"
    )
    for size in (120, 300):
        found = plans_of_a_day(size)
        for fewest, most in ((8, 15), (16, 30), (31, 60)):
            some = [problem for problem in found if fewest <= len(problem[0]) <= most]
            compare(f"{size} a day", some[:: math.ceil(len(some) / 5) or 1], factor)
    for size in BURSTS:
        compare("burst", [burst(size)], factor)


def compare(name: str, problems: Sequence[Problem], factor: int) -> None:
    """Print one row: means over these plans, and the largest gap."""
    if not problems:
        return
    once, longer = ([search_for(times, *each) for each in problems] for times in (1, factor))
    gaps = [100 * (one[1] / other[1] - 1) for one, other in zip(once, longer, strict=True)]
    orders = [len(tasks) for tasks, _ in problems]
    print(
        f"{name:14}{len(problems):6}{f'{min(orders)}-{max(orders)}':>9}"
        f"{statistics.fmean(seconds for seconds, _ in once):9.2f}"
        f"{statistics.fmean(seconds for seconds, _ in longer):10.1f}"
        f"{statistics.fmean(gaps):9.2f} %, largest {max(gaps):.2f} %",
        flush=True,
    )


def search_for(
    factor: int, tasks: Sequence[Task], couriers: Sequence[AvailableCourier]
) -> tuple[float, float]:
    """Processor seconds and cost of a search of so many times the iterations."""
    noted: list[tuple[float, float]] = []
    most, idle = search.most_iterations, search.most_idle_iterations

    def note(*arguments: Any, **options: Any) -> Any:
        start = time.process_time()
        result = pyvrp.solve(*arguments, **options)
        noted.append((time.process_time() - start, result.cost()))
        return result

    def times(limit: Limit) -> Limit:
        return lambda orders: factor * limit(orders)

    longer: AbstractContextManager[Any] = patch.multiple(
        search,
        solve=note,
        most_iterations=times(most),
        most_idle_iterations=times(idle),
        MAX_SECONDS=math.inf,
    )
    with longer:
        search.find_routes(tasks, couriers)
    return noted[0]


def plans_of_a_day(size: int) -> list[Problem]:
    """What the planner was asked on a simulated day."""
    caught: list[Problem] = []
    find_routes = search.find_routes

    def catch(tasks: Sequence[Task], couriers: Sequence[AvailableCourier]) -> dict[str, list[Task]]:
        caught.append((list(tasks), list(couriers)))
        return find_routes(tasks, couriers)

    simulate(make_day(50, size), Rule(search={"find_routes": catch}))
    return caught


def burst(size: int) -> Problem:
    """Orders at once; prints how long the whole plan takes."""
    now = START + timedelta(hours=2)
    placed = [pair for seed in range(1, 5) for pair in make_day(seed, 300).placed][:size]
    orders = [
        replace(
            order,
            ready_at=now,
            due_from=now,
            order_id=f"order-{number:04d}",
            due_until=now + timedelta(minutes=40 + number % 60),
        )
        for number, (_, order) in enumerate(placed)
    ]
    couriers = BURSTS[size]
    bicycles = couriers * 5 // 8
    vehicles = ["bicycle"] * bicycles + ["motorcycle"] * (couriers - bicycles)
    couriers = [
        Courier(f"courier-{number}", vehicle, None, now + timedelta(hours=2 + number % 3))
        for number, vehicle in enumerate(vehicles)
    ]
    find_routes = search.find_routes
    with patch.object(search, "find_routes", wraps=find_routes) as asked:
        start = time.process_time()
        plan_routes(orders, couriers, vehicles=FLEET.vehicles, depot=FLEET.depot, now=now)
        seconds = time.process_time() - start
    print(f"{size} orders at once, {couriers} couriers: {seconds:.1f} s of processor time")
    tasks, present = asked.call_args.args
    return tasks, present
