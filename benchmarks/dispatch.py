"""Compare the planner with simpler rules, over whole days.

    .venv/bin/python -m benchmarks.dispatch                        simulated days: hours
    .venv/bin/python -m benchmarks.dispatch --days 5 --sizes 120   minutes
    .venv/bin/python -m benchmarks.dispatch --instances FOLDER     recorded days
    .venv/bin/python -m benchmarks.dispatch --search               the search, against a longer one

Simulated days: orders come with peaks at lunch and in the evening. Two thirds are due as soon as
possible, one third in an hour of their choice; most are near. A route takes the planned time, times
a random factor (log-normal, 10%). There is a plan every three minutes.

Instances of the Meal Delivery Routing Problem (Grubhub): FOLDER holds one folder for each day. The
orders, their preparation and the shifts are those of the instance; an order is due 40 minutes (the
instance's target) after it is placed. All restaurants are moved to one kitchen, and each customer
moves with its restaurant.
Vehicles are those of vehicles.json, five bicycles to three motorcycles, with a plan each minute.

Every rule has the same constraints: time windows, capacity, range, shifts. A route that is late is
still driven. `hours` are the courier-hours of the routes. They are also given for each delivered
order, because a rule that leaves orders undelivered needs fewer. `late` are orders that come a
minute or more after their window, and `minutes` their lateness, both a day. `to door` is from
placing an order to the door, in minutes.

  threshold   orders within 3 km to bicycles, others to motorcycles; the nearest order first, then
              the nearest to that, up to the capacity; leaves as soon as there is an order
  fifo        first in, first out: one order on a route, to the free courier for whom it is cheapest
  greedy      the most urgent order first, each at its cheapest place; leaves at once
  planner     functions/dispatch_orders
  ... held    the same, but a route waits for more orders as those of the planner do
  ... at once the same, but a route leaves as soon as it can
  waiting N   the planner with `cost_per_hour_of_waiting` N in vehicles.json
"""

import argparse
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from scipy.stats import t as student_t

from benchmarks.dispatch_days import COURIERS, Day, make_day, read_instance, simulate
from benchmarks.dispatch_rules import AT_ONCE, FIFO, FLEET, GREEDY, THRESHOLD, Rule
from benchmarks.dispatch_search import compare_search

DAYS = {120: 30, 300: 20, 600: 5}  # orders a day: how many days
LONGER = 30  # times the iterations, to compare the search with
SIMULATED = {
    "threshold": Rule(THRESHOLD, AT_ONCE),
    "threshold held": Rule(THRESHOLD),
    "greedy": Rule(GREEDY, AT_ONCE),
    "greedy held": Rule(GREEDY),
    "planner at once": Rule(holding=AT_ONCE, waiting_cost=FLEET.cost_per_hour_of_waiting),
    "planner": Rule(waiting_cost=FLEET.cost_per_hour_of_waiting),
}
REPLAYED = {
    "threshold": Rule(THRESHOLD, AT_ONCE),
    "fifo": Rule(FIFO, AT_ONCE),
    "greedy": Rule(GREEDY, AT_ONCE),
    "planner at once": Rule(holding=AT_ONCE),
}

type MakeDays = Callable[[], list[Day]]


def main() -> None:
    """Parse the command line and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, help=f"days of each size (default: {DAYS})")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=list(COURIERS), choices=list(COURIERS),
        help="orders a day",
    )  # fmt: skip
    parser.add_argument("--instances", type=Path, metavar="FOLDER", help="replay these instances")
    parser.add_argument(
        "--waiting-costs", type=float, nargs="+", metavar="N",
        default=[0, FLEET.cost_per_hour_of_waiting],
        help="replay the planner with each of these costs of an hour of waiting",
    )  # fmt: skip
    parser.add_argument("--search", action="store_true", help="measure the search alone")
    arguments = parser.parse_args()
    if arguments.days is not None and arguments.days < 1:
        parser.error("--days must be 1 or more")
    if arguments.search:
        compare_search(LONGER)
    elif arguments.instances:
        try:
            names = sorted(each.parent for each in arguments.instances.glob("*/orders.txt"))
            instances = [read_instance(folder) for folder in names]
        except (OSError, KeyError, ValueError) as error:
            parser.error(f"{arguments.instances}: cannot be read as instances ({error!r})")
        if not instances:
            parser.error(f"{arguments.instances}: no folder in it holds orders.txt")
        replay(names, arguments.waiting_costs)
    else:
        simulate_days(arguments.sizes, arguments.days)


def replay(folders: Sequence[Path], waiting_costs: Sequence[float]) -> None:
    """Print the table of the instances."""
    rules = REPLAYED | {f"waiting {cost:g}": Rule(waiting_cost=cost) for cost in waiting_costs}
    print_head(f"{len(folders)} instances: {', '.join(folder.name for folder in folders)}")
    print_rules(rules, lambda: [read_instance(folder) for folder in folders])


def simulate_days(sizes: Sequence[int], number: int | None) -> None:
    """Print a table for each size of day, and one of all."""
    everything: dict[str, list[Day]] = {name: [] for name in SIMULATED}
    for size in sizes:
        bicycles, motorcycles = COURIERS[size]
        print_head(f"{size} orders a day, {bicycles} bicycles and {motorcycles} motorcycles")
        seeds = range(number or DAYS[size])
        found = print_rules(SIMULATED, lambda: [make_day(seed, size) for seed in seeds])  # noqa: B023
        for name, days in found.items():
            everything[name] += days
    if len(sizes) > 1:
        print_head(f"All {len(everything['planner'])} days")
        for name, days in everything.items():
            print(row(name, days, everything["threshold"]))


def print_rules(rules: Mapping[str, Rule], make_days: MakeDays) -> dict[str, list[Day]]:
    """Let each rule dispatch the same days; print one row each, against the first rule."""
    found: dict[str, list[Day]] = {}
    for name, rule in rules.items():
        found[name] = make_days()
        for day in found[name]:
            simulate(day, rule)
        print(row(name, found[name], next(iter(found.values()))), flush=True)
    return found


def print_head(title: str) -> None:
    """Print what a table is of, and its columns."""
    print(
        f"\n{title}\n"
        f"{'':16}{'hours':>7}{'per order':>11}{'saved per order':>22}{'undelivered':>13}"
        f"{'to door':>9}{'p90':>6}{'late':>7}{'minutes':>9}"
        f"{'near by bicycle':>17}{'cost':>7}{'slowest plan':>14}",
        flush=True,
    )


def row(name: str, days: Sequence[Day], base: Sequence[Day]) -> str:
    """One rule: means a day, and what it saves against the first rule."""
    pairs = zip(days, base, strict=True)
    saved = [1 - day.hours_per_order / other.hours_per_order for day, other in pairs]
    hours = statistics.fmean(day.hours for day in days)
    per_order = sum(day.hours for day in days) / sum(day.delivered for day in days)
    late = [[m for m in day.minutes_late.values() if 1 <= m < math.inf] for day in days]
    lost = [sum(m == math.inf for m in day.minutes_late.values()) for day in days]
    share = 100 * sum(lost) / sum(len(day.minutes_late) for day in days)
    to_door = [minutes for day in days for minutes in day.minutes_to_door.values()]
    near = [vehicle == "bicycle" for day in days for vehicle in day.near.values()]
    return (
        f"{name:16}{hours:7.1f}{per_order:11.3f}{interval(saved):>22}"
        f"{f'{statistics.fmean(lost):.1f} ({share:.1f} %)':>13}"
        f"{statistics.fmean(to_door):9.1f}{statistics.quantiles(to_door, n=10)[-1]:6.1f}"
        f"{statistics.fmean(map(len, late)):7.1f}{statistics.fmean(map(sum, late)):9.0f}"
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
