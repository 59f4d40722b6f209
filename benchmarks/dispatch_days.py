"""A day of orders and couriers, made up or read, and what becomes of it under a rule."""

import csv
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.dispatch_rules import FLEET, NEAR_KM, Rule
from functions.dispatch_orders.fleet import Place
from functions.dispatch_orders.orders import Order
from functions.dispatch_orders.planning import Courier, Route, plan_routes
from functions.dispatch_orders.travel import great_circle

START = datetime(2026, 5, 4, 10, tzinfo=UTC)
KILOMETRES_A_DEGREE = 111.2  # of latitude
COURIERS = {120: (5, 3), 300: (10, 6), 600: (18, 11)}  # orders a day: bicycles, motorcycles
SHIFT = timedelta(hours=10)
SIMULATED_STEP = timedelta(minutes=3)
SIMULATED_NOISE = 0.1
REPLAYED_STEP = timedelta(minutes=1)
REPLAYED_VEHICLES = "bbmbmbbm"  # five bicycles and three motorcycles, again and again


@dataclass
class Day:
    """The orders of a day by the time they are placed, the couriers, and what became of it.

    Attributes:
        name: of the day; the same name and day have the same chance.
        placed: orders, and when each is placed.
        couriers: those who work on this day, and when their shift begins.
        step: from one plan to the next.
        noise: standard deviation of the logarithm of a route's true over its planned time.
        hours: in which couriers are on the road.
        minutes_late: of each order, 0 for one on time, infinite for one that is not delivered.
        minutes_to_door: of each delivered order, from placing it to the door.

    """

    name: str
    placed: list[tuple[datetime, Order]]
    couriers: list[tuple[datetime, Courier]]
    step: timedelta
    noise: float
    hours: float = 0
    kilometres: float = 0
    money: float = 0
    minutes_late: dict[str, float] = field(default_factory=dict)
    minutes_to_door: dict[str, float] = field(default_factory=dict)
    near: dict[str, str] = field(default_factory=dict)
    plan_seconds: list[float] = field(default_factory=list)

    @property
    def delivered(self) -> int:
        """How many orders were delivered."""
        return len(self.minutes_to_door)

    @property
    def hours_per_order(self) -> float:
        """AvailableCourier-hours for each order that was delivered."""
        return self.hours / self.delivered


def place_at(kilometres: float, angle: float) -> Place:
    """The place in this direction (radians from north) from the depot."""
    return place_of(kilometres * math.sin(angle), kilometres * math.cos(angle))


def place_of(east: float, north: float) -> Place:
    """The place so many kilometres from the depot."""
    depot = FLEET.depot
    degree_of_longitude = KILOMETRES_A_DEGREE * math.cos(math.radians(depot.latitude))
    return Place(
        depot.latitude + north / KILOMETRES_A_DEGREE, depot.longitude + east / degree_of_longitude
    )


# ── A simulated day ──


def make_day(seed: int, size: int) -> Day:
    """The same day for the same seed."""
    chance = random.Random(seed * 1000 + size)
    hoods = [(chance.expovariate(1 / 3.5), chance.uniform(0, math.tau)) for _ in range(15)]
    placed = [order_of_day(number, hoods, chance) for number in range(size)]
    bicycles, motorcycles = COURIERS[size]
    vehicles = ["bicycle"] * bicycles + ["motorcycle"] * motorcycles
    couriers = [
        (START, Courier(f"courier-{number:02d}", vehicle, None, START + SHIFT))
        for number, vehicle in enumerate(vehicles)
    ]
    placed.sort(key=lambda pair: (pair[0], pair[1].order_id))
    return Day(str(seed), placed, couriers, SIMULATED_STEP, SIMULATED_NOISE)


def order_of_day(
    number: int, hoods: Sequence[tuple[float, float]], chance: random.Random
) -> tuple[datetime, Order]:
    """When an order is placed, and the order."""
    kilometres, angle = chance.choice(hoods)
    if chance.random() < 0.4:
        kilometres, angle = chance.expovariate(1 / 3.5), chance.uniform(0, math.tau)
    kilometres = min(16, max(0.2, kilometres + chance.gauss(0, 0.4)))
    angle += chance.gauss(0, 0.4) / max(1, kilometres)
    peak = chance.choice([chance.gauss(2, 0.8), chance.gauss(6.5, 0.8), chance.uniform(0, 8)])
    hour = min(8.0, max(0.0, peak))
    at = START + timedelta(hours=hour)
    if chance.random() < 2 / 3 or hour < 2:
        ready = at + timedelta(minutes=chance.uniform(5, 15))
        due_from, due_until = ready, at + timedelta(minutes=75)
    else:
        due_from = START + timedelta(hours=math.floor(hour))
        due_until = due_from + timedelta(hours=1)
        ready = due_from - timedelta(minutes=30)
        at -= timedelta(hours=chance.uniform(1.5, 2))
    boxes = chance.choices([1, 2, 3, 4], [4, 3, 2, 1])[0]
    place = place_at(kilometres, angle)
    order = Order(f"order-{number:03d}", place, boxes, ready, due_from, due_until)
    return max(START, at), order


# ── An instance of the Meal Delivery Routing Problem ──


def read_instance(folder: Path) -> Day:
    """A day of a folder with orders.txt, couriers.txt, restaurants.txt, instance_parameters.txt.

    All restaurants are laid on the depot: each customer keeps the vector from its restaurant. An
    order is one box and due within the target from placing it to the door; couriers begin at the
    depot.

    Raises:
        OSError, KeyError, ValueError: the folder holds no such instance.

    """
    [parameters] = rows(folder / "instance_parameters.txt")
    target = timedelta(minutes=float(parameters["target click-to-door"]))
    restaurants = {row["restaurant"]: row for row in rows(folder / "restaurants.txt")}
    placed = []
    in_time = sorted(rows(folder / "orders.txt"), key=lambda row: float(row["placement_time"]))
    for number, row in enumerate(in_time):
        kitchen = restaurants[row["restaurant"]]
        east, north = ((float(row[axis]) - float(kitchen[axis])) / 1000 for axis in "xy")
        at, ready = minute(row["placement_time"]), minute(row["ready_time"])
        order = Order(
            f"order-{number:04d}", place_of(east, north), 1, ready, ready, max(ready, at + target)
        )
        placed.append((at, order))
    kinds = {"b": "bicycle", "m": "motorcycle"}
    couriers = [
        (
            minute(row["on_time"]),
            Courier(
                f"courier-{number:03d}",
                kinds[REPLAYED_VEHICLES[number % len(REPLAYED_VEHICLES)]],
                None,
                minute(row["off_time"]),
            ),
        )
        for number, row in enumerate(rows(folder / "couriers.txt"))
    ]
    if not placed or not couriers:
        raise ValueError(f"{folder.name} has no orders or no couriers")
    return Day(folder.name, placed, couriers, REPLAYED_STEP, noise=0)


def rows(file: Path) -> list[dict[str, str]]:
    """The rows of a table that is separated by tabs."""
    with file.open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


def minute(text: str) -> datetime:
    """The time of so many minutes after the start."""
    return START + timedelta(minutes=float(text))


# ── What becomes of it ──


def simulate(day: Day, rule: Rule) -> None:
    """Plan every step, send out what the plan says, and note when it arrives."""
    back: dict[str, tuple[datetime, datetime]] = {}  # planned and true return of each courier
    now, pending, coming = START, dict[str, Order](), list(day.placed)
    placed_at = {order.order_id: at for at, order in day.placed}
    with rule.in_force(day.step):
        while now < max(courier.shift_ends_at for _, courier in day.couriers):
            while coming and coming[0][0] <= now:
                _, order = coming.pop(0)
                pending[order.order_id] = order
            if pending:
                start = time.process_time()
                plan = plan_routes(
                    pending.values(),
                    on_shift(day, back, now),
                    vehicles=FLEET.vehicles,
                    depot=FLEET.depot,
                    now=now,
                    waiting_cost=rule.waiting_cost,
                )
                day.plan_seconds.append(time.process_time() - start)
                for route in plan.routes:
                    back[route.courier_id] = route.returns_at, drive(day, route, pending, placed_at)
            now += day.step
    for order in (*pending.values(), *(order for _, order in coming)):
        day.minutes_late[order.order_id] = math.inf


def on_shift(day: Day, back: dict[str, tuple[datetime, datetime]], now: datetime) -> list[Courier]:
    """The couriers of this moment, as the planner knows them."""
    couriers = []
    for begins, courier in day.couriers:
        planned, true = back.get(courier.courier_id, (now, now))
        free = None if true <= now else max(planned, now + timedelta(minutes=1))
        if begins <= now:
            couriers.append(
                Courier(courier.courier_id, courier.vehicle, None, courier.shift_ends_at, free)
            )
    return couriers


def drive(
    day: Day, route: Route, pending: dict[str, Order], placed_at: dict[str, datetime]
) -> datetime:
    """Deliver the orders of a route; when it is back."""
    chance = random.Random(f"{day.name} {route.courier_id} {route.departs_at}")
    factor = chance.lognormvariate(0, day.noise)
    for stop in route.stops:
        order = pending.pop(stop.order_id)
        arrival = route.departs_at + factor * (stop.arrives_at - route.departs_at)
        at_door = max(arrival, order.due_from)
        late = (at_door - order.due_until) / timedelta(minutes=1)
        day.minutes_late[order.order_id] = max(0.0, late)
        day.minutes_to_door[order.order_id] = (at_door - placed_at[order.order_id]) / timedelta(
            minutes=1
        )
        if as_the_crow_flies(order.place) <= NEAR_KM:
            day.near[order.order_id] = route.vehicle
    duration = factor * (route.returns_at - route.departs_at)
    vehicle = FLEET.vehicles[route.vehicle]
    day.hours += duration / timedelta(hours=1)
    day.kilometres += route.distance_km
    day.money += route.distance_km * vehicle.cost_per_km
    day.money += duration / timedelta(hours=1) * vehicle.cost_per_hour
    return route.departs_at + duration


def as_the_crow_flies(place: Place) -> float:
    """Kilometres from the depot."""
    vehicle = FLEET.vehicles["bicycle"]
    kilometres, _ = great_circle((FLEET.depot, place), vehicle)
    return float(kilometres[0, 1]) / vehicle.detour_factor
