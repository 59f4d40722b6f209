"""Compare the dispatch of whole days with the rules that one would try first.

    python -m benchmarks.dispatch                         all of it: an hour or two
    python -m benchmarks.dispatch --days 5 --sizes 120    minutes
    python -m benchmarks.dispatch --search                the search alone, against 30 times as long

The days are simulated: orders come with lunch and evening peaks, two thirds as soon as possible and
one third for an hour of their own; most are near. Tours take as long as planned, times a factor of
their own (log-normal, 10%). Whatever plans, plans every three minutes under the same rules:
windows, capacity, range, shifts. A tour that cannot be on time any more is late, but is driven.

Courier-hours are those on the road. A rule that leaves orders undelivered has their hours for
nothing, so what a rule saves of the hours is given for each delivered order too. Late is an order
that comes a minute or more after its window, `minutes` how much that is in all, a day.

  threshold   within 3 km to bicycles, beyond to motorcycles; nearest first, then the nearest to
              that, up to the capacity; leaves as soon as there is something to deliver
  greedy      the most urgent first, each where it costs least; leaves at once
  planner     functions/dispatch_orders
  ... held    the same, but a tour leaves as late as those of this project do
  ... at once the same, but a tour leaves as soon as it can
"""

import argparse
import contextlib
import math
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from scipy.stats import t as student_t

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "functions" / "dispatch_orders"))

import planning
from fleet import Place, read_fleet
from orders import Order
from planning import Driver, Task, Tour, plan_tours
from tours import DEPOT, Courier, Schedule, schedule

FLEET = read_fleet()
START = datetime(2026, 5, 4, 10, tzinfo=UTC)
SHIFT = timedelta(hours=10)
STEP = timedelta(minutes=3)
NEAR_KM = 3  # as the crow flies
COURIERS = {120: (5, 3), 300: (10, 6), 600: (18, 11)}  # orders a day: bicycles, motorcycles
DAYS = {120: 30, 300: 20, 600: 5}  # orders a day: how many days

type Search = Callable[[Sequence[Task], Sequence[Courier]], dict[str, list[Task]]]


# ── A day ──


@dataclass
class Day:
    """The orders of a day by the time they are placed, the couriers, and what became of it."""

    seed: int
    placed: list[tuple[datetime, Order]]
    drivers: list[Driver]
    hours: float = 0
    kilometres: float = 0
    money: float = 0
    minutes_late: dict[str, float] = field(default_factory=dict)
    near: dict[str, str] = field(default_factory=dict)
    plan_seconds: list[float] = field(default_factory=list)

    @property
    def hours_per_order(self) -> float:
        """Courier-hours for each order that was delivered."""
        return self.hours / sum(minutes < math.inf for minutes in self.minutes_late.values())


def make_day(seed: int, size: int) -> Day:
    """The same day for the same seed."""
    chance = random.Random(seed * 1000 + size)
    hoods = [(chance.expovariate(1 / 3.5), chance.uniform(0, math.tau)) for _ in range(15)]
    placed = []
    for number in range(size):
        kilometres, angle = chance.choice(hoods)
        if chance.random() < 0.4:
            kilometres, angle = chance.expovariate(1 / 3.5), chance.uniform(0, math.tau)
        kilometres = min(16, max(0.2, kilometres + chance.gauss(0, 0.4)))
        angle += chance.gauss(0, 0.4) / max(1, kilometres)
        latitude = FLEET.depot.latitude + kilometres * math.cos(angle) / 111.2
        longitude = FLEET.depot.longitude + kilometres * math.sin(angle) / (
            111.2 * math.cos(math.radians(FLEET.depot.latitude))
        )
        peak = chance.choice([chance.gauss(2, 0.8), chance.gauss(6.5, 0.8), chance.uniform(0, 8)])
        hour = min(8.0, max(0.0, peak))
        at = START + timedelta(hours=hour)
        if chance.random() < 2 / 3 or hour < 2:
            ready = at + timedelta(minutes=chance.uniform(5, 15))
            due_from, due_until = ready, at + timedelta(minutes=75)
        else:
            slot = math.floor(hour)
            due_from = START + timedelta(hours=slot)
            due_until = due_from + timedelta(hours=1)
            ready = due_from - timedelta(minutes=30)
            at -= timedelta(hours=chance.uniform(1.5, 2))
        order = Order(
            f"order-{number:03d}",
            Place(latitude, longitude),
            chance.choices([1, 2, 3, 4], [4, 3, 2, 1])[0],
            ready,
            due_from,
            due_until,
        )
        placed.append((max(START, at), order))
    bicycles, motorcycles = COURIERS[size]
    vehicles = ["bicycle"] * bicycles + ["motorcycle"] * motorcycles
    drivers = [
        Driver(f"courier-{number:02d}", vehicle, None, START + SHIFT)
        for number, vehicle in enumerate(vehicles)
    ]
    return Day(seed, sorted(placed, key=lambda pair: (pair[0], pair[1].order_id)), drivers)


def simulate(day: Day) -> None:
    """Plan every few minutes, send out what the plan says, and note when it arrives."""
    free: dict[str, tuple[datetime, datetime]] = {}  # planned and true return of those on the road
    now, pending, coming = START, dict[str, Order](), list(day.placed)
    while now < START + SHIFT:
        while coming and coming[0][0] <= now:
            _, order = coming.pop(0)
            pending[order.order_id] = order
        drivers = []
        for driver in day.drivers:
            planned, true = free.get(driver.driver_id, (now, now))
            back = None if true <= now else max(planned, now + timedelta(minutes=1))
            drivers.append(
                Driver(driver.driver_id, driver.vehicle, None, driver.shift_ends_at, back)
            )
        if pending:
            start = time.process_time()
            plan = plan_tours(
                pending.values(), drivers, vehicles=FLEET.vehicles, depot=FLEET.depot, now=now
            )
            day.plan_seconds.append(time.process_time() - start)
            for tour in plan.tours:
                free[tour.driver_id] = tour.returns_at, drive(day, tour, pending)
        now += STEP
    for order in (*pending.values(), *(order for _, order in coming)):
        day.minutes_late[order.order_id] = math.inf


def drive(day: Day, tour: Tour, pending: dict[str, Order]) -> datetime:
    """Deliver the orders of a tour; when it is back."""
    chance = random.Random(f"{day.seed} {tour.driver_id} {tour.departs_at}")
    factor = chance.lognormvariate(0, 0.1)
    for stop in tour.stops:
        order = pending.pop(stop.order_id)
        arrival = tour.departs_at + factor * (stop.arrives_at - tour.departs_at)
        late = (max(arrival, order.due_from) - order.due_until) / timedelta(minutes=1)
        day.minutes_late[order.order_id] = max(0.0, late)
        if as_the_crow_flies(order.place) <= NEAR_KM:
            day.near[order.order_id] = tour.vehicle
    duration = factor * (tour.returns_at - tour.departs_at)
    vehicle = FLEET.vehicles[tour.vehicle]
    day.hours += duration / timedelta(hours=1)
    day.kilometres += tour.distance_km
    day.money += tour.distance_km * vehicle.cost_per_km
    day.money += duration / timedelta(hours=1) * vehicle.cost_per_hour
    return tour.departs_at + duration


def as_the_crow_flies(place: Place) -> float:
    """Kilometres from the depot."""
    vehicle = FLEET.vehicles["bicycle"]
    kilometres, _ = planning.great_circle((FLEET.depot, place), vehicle)
    return float(kilometres[0, 1]) / vehicle.detour_factor


# ── What plans: the planner with a part of it replaced ──


def threshold(tasks: Sequence[Task], couriers: Sequence[Courier]) -> dict[str, list[Task]]:
    """Near to bicycles, far to motorcycles, nearest first."""
    routes: dict[str, list[Task]] = {courier.driver_id: [] for courier in couriers}
    left = list(tasks)
    for courier in couriers:
        route, here = routes[courier.driver_id], DEPOT
        metres = courier.roads.metres
        while not courier.on_the_road:
            fitting = [task for task in left if suits(task, courier) and fits(task, route, courier)]
            if not fitting:
                break
            task = min(fitting, key=lambda task: metres[here][task.job.node])
            route.append(task)
            left.remove(task)
            here = task.job.node
    return routes


def suits(task: Task, courier: Courier) -> bool:
    """Whether the rule gives this order to this vehicle."""
    vehicle = courier.vehicle
    kilometres = courier.roads.metres[DEPOT][task.job.node] / 1000 / vehicle.detour_factor
    near = kilometres <= NEAR_KM and task.job.boxes <= FLEET.vehicles["bicycle"].capacity_boxes
    return near == (vehicle.label == "bicycle")


def fits(task: Task, route: Sequence[Task], courier: Courier) -> bool:
    """Whether an order can be the last of a tour that leaves soon."""
    times = schedule(courier, [*(other.job for other in route), task.job])
    return times is not None and times.departs <= STEP.total_seconds()


def nothing(_: Sequence[Task], couriers: Sequence[Courier]) -> dict[str, list[Task]]:
    """No search: all is left to the greedy insertion."""
    return {courier.driver_id: [] for courier in couriers}


def insert_none(tasks: Sequence[Task], routes: Mapping[str, Sequence[Task]]) -> list[Task]:
    """No insertion: what the rule left out."""
    planned = {id(task) for route in routes.values() for task in route}
    return [task for task in tasks if id(task) not in planned]


def at_once(courier: Courier, _: Sequence[Task], times: Schedule, **__: bool) -> bool:
    """No holding."""
    return not courier.on_the_road and times.departs <= STEP.total_seconds()


RULES: dict[str, dict[str, object]] = {
    "threshold": {"search": threshold, "insert_left_out": insert_none, "leaves_now": at_once},
    "threshold held": {"search": threshold, "insert_left_out": insert_none},
    "greedy": {"search": nothing, "leaves_now": at_once},
    "greedy held": {"search": nothing},
    "planner at once": {"leaves_now": at_once},
    "planner": {},
}


@contextlib.contextmanager
def rule(name: str) -> Iterator[None]:
    """Plan by this rule."""
    with patch.multiple(planning, REPLAN_EVERY=STEP, **RULES[name]):
        yield


# ── The search alone ──


def search_for(
    factor: int, tasks: Sequence[Task], couriers: Sequence[Courier]
) -> tuple[float, int]:
    """Processor seconds and cost of a search of so many times the iterations."""
    noted: list[tuple[float, int]] = []
    solve = planning.solve

    def note(*arguments: Any, **options: Any) -> Any:
        start = time.process_time()
        result = solve(*arguments, **options)
        noted.append((time.process_time() - start, result.cost()))
        return result

    with patch.multiple(
        planning,
        solve=note,
        ITERATIONS=factor * planning.ITERATIONS,
        ITERATIONS_WITHOUT_IMPROVEMENT=factor * planning.ITERATIONS_WITHOUT_IMPROVEMENT,
        MAX_SECONDS=math.inf,
    ):
        planning.search(tasks, couriers)
    return noted[0]


def compare_search() -> None:
    """Print the cost of the plans of two days, and of a rush, against 30 times the iterations."""
    print(f"{'':14}{'plans':>6}{'orders':>9}{'seconds':>9}{'30 times':>10}{'cost above it':>15}")
    for size in (120, 300):
        found = plans_of_a_day(size)
        for fewest, most in ((8, 15), (16, 30), (31, 60)):
            some = [pair for pair in found if fewest <= len(pair[0]) <= most]
            compare(f"{size} a day", some[:: math.ceil(len(some) / 5) or 1])
    compare("rush", [rush()])


def compare(name: str, plans: Sequence[tuple[Sequence[Task], Sequence[Courier]]]) -> None:
    """Print one row: means over these plans, and the largest gap."""
    if not plans:
        return
    once, longer = ([search_for(factor, *plan) for plan in plans] for factor in (1, 30))
    gaps = [100 * (one[1] / other[1] - 1) for one, other in zip(once, longer, strict=True)]
    orders = [len(tasks) for tasks, _ in plans]
    print(
        f"{name:14}{len(plans):6}{f'{min(orders)}-{max(orders)}':>9}"
        f"{statistics.fmean(seconds for seconds, _ in once):9.2f}"
        f"{statistics.fmean(seconds for seconds, _ in longer):10.1f}"
        f"{statistics.fmean(gaps):9.2f} %, largest {max(gaps):.2f} %",
        flush=True,
    )


def plans_of_a_day(size: int) -> list[tuple[list[Task], list[Courier]]]:
    """What the planner was asked on a simulated day."""
    caught: list[tuple[list[Task], list[Courier]]] = []
    search = planning.search

    def catch(tasks: Sequence[Task], couriers: Sequence[Courier]) -> dict[str, list[Task]]:
        caught.append((list(tasks), list(couriers)))
        return search(tasks, couriers)

    with rule("planner"), patch.object(planning, "search", catch):
        simulate(make_day(50, size))
    return caught


def rush() -> tuple[list[Task], list[Courier]]:
    """300 orders at once for 40 couriers; prints how long the whole plan takes."""
    now = START + timedelta(hours=2)
    window = {"ready_at": now, "due_from": now}
    orders = [
        replace(order, **window, due_until=now + timedelta(minutes=40 + number % 60))
        for number, (_, order) in enumerate(make_day(1, 300).placed)
    ]
    drivers = [
        Driver(f"courier-{number}", vehicle, None, now + timedelta(hours=2 + number % 3))
        for number, vehicle in enumerate(["bicycle"] * 25 + ["motorcycle"] * 15)
    ]
    with patch.object(planning, "search", wraps=planning.search) as search:
        start = time.process_time()
        plan_tours(orders, drivers, vehicles=FLEET.vehicles, depot=FLEET.depot, now=now)
        seconds = time.process_time() - start
    print(f"300 orders at once, 40 couriers: {seconds:.1f} s of processor time")
    tasks, couriers = search.call_args.args
    return tasks, couriers


# ── What comes out ──


def main() -> None:
    """Parse the command line and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, help=f"days of each size (default {DAYS})")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=list(COURIERS), choices=list(COURIERS),
        help="orders a day",
    )  # fmt: skip
    parser.add_argument("--search", action="store_true", help="measure the search alone")
    arguments = parser.parse_args()
    if arguments.days is not None and arguments.days < 1:
        parser.error("--days must be 1 or more")
    if arguments.search:
        compare_search()
        return
    everything: dict[str, list[Day]] = {name: [] for name in RULES}
    for size in arguments.sizes:
        bicycles, motorcycles = COURIERS[size]
        print_head(f"{size} orders a day, {bicycles} bicycles and {motorcycles} motorcycles")
        base: list[Day] = []
        for name in RULES:
            days = [make_day(seed, size) for seed in range(arguments.days or DAYS[size])]
            with rule(name):
                for day in days:
                    simulate(day)
            base = base or days
            everything[name] += days
            print(row(name, days, base), flush=True)
    if len(arguments.sizes) > 1:
        print_head(f"All {len(everything['planner'])} days")
        for name, days in everything.items():
            print(row(name, days, everything["threshold"]))


def print_head(title: str) -> None:
    """Print what a table is of, and its columns."""
    print(
        f"\n{title}\n"
        f"{'':16}{'hours':>7}{'saved':>22}{'saved per order':>22}{'late':>7}{'minutes':>9}"
        f"{'undelivered':>13}{'near by bicycle':>17}{'cost':>7}{'slowest plan':>14}",
        flush=True,
    )


def row(name: str, days: Sequence[Day], base: Sequence[Day]) -> str:
    """One rule: means a day, and what it saves against the threshold."""
    pairs = list(zip(days, base, strict=True))
    saved = [1 - day.hours / other.hours for day, other in pairs]
    per_order = [1 - day.hours_per_order / other.hours_per_order for day, other in pairs]
    late = [[m for m in day.minutes_late.values() if 1 <= m < math.inf] for day in days]
    lost = statistics.fmean(sum(m == math.inf for m in day.minutes_late.values()) for day in days)
    near = [vehicle == "bicycle" for day in days for vehicle in day.near.values()]
    return (
        f"{name:16}{statistics.fmean(day.hours for day in days):7.1f}"
        f"{interval(saved):>22}{interval(per_order):>22}"
        f"{statistics.fmean(map(len, late)):7.1f}{statistics.fmean(map(sum, late)):9.0f}"
        f"{lost:13.1f}"
        f"{100 * statistics.fmean(near):15.0f} %{statistics.fmean(day.money for day in days):7.0f}"
        f"{max(max(day.plan_seconds) for day in days):12.2f} s"
    )


def interval(shares: Sequence[float]) -> str:
    """Mean and 95% interval (Student's t over days), in percent."""
    mean = 100 * statistics.fmean(shares)
    if len(shares) < 2:
        return f"{mean:.1f} %"
    error = 100 * statistics.stdev(shares) / math.sqrt(len(shares))
    half = float(student_t.ppf(0.975, len(shares) - 1)) * error
    return f"{mean:.1f} % ({mean - half:.1f} to {mean + half:.1f})"


if __name__ == "__main__":
    main()
