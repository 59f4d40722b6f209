"""The schedule of a route: the constraints that every plan keeps.

Times are whole seconds from the time of the plan, distances whole metres, both rounded up.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from functions.dispatch_orders.fleet import VehicleType

DEPOT = 0  # the row and column of the depot in every matrix
FAR = 10**8  # metres or seconds: no connection, or no limit


@dataclass(frozen=True, slots=True)
class Job:
    """An order: its row `node` in the matrices, when it is ready, and its delivery window."""

    order_id: str
    node: int
    boxes: int
    ready: int
    opens: int
    closes: int


@dataclass(frozen=True, slots=True)
class TravelMatrix:
    """Travel from row to column with one vehicle type; times include the stop at the row."""

    metres: list[list[int]]
    seconds: list[list[int]]


@dataclass(frozen=True, slots=True)
class AvailableCourier:
    """A courier as the search needs it.

    Attributes:
        courier_id: of the courier.
        vehicle: the vehicle type.
        matrix: of the vehicle type.
        starts: the first possible departure from the depot.
        ends: the last possible return to it.
        on_the_road: whether the courier is on a route at the time of the plan.
        approach: travel time from the courier's location to the depot.
        fixed_cost: of that travel.
        waiting_cost: of one hour of one customer's waiting.

    """

    courier_id: str
    vehicle: VehicleType
    matrix: TravelMatrix
    starts: int
    ends: int
    on_the_road: bool
    approach: int
    fixed_cost: float
    waiting_cost: float


@dataclass(slots=True)
class Task:
    """An order to plan.

    Attributes:
        job: if no courier can be on time, it closes later than `promised`.
        promised: the end of the delivery window.
        pinned_to: the only courier who may deliver it; None if anyone may.
        able: couriers who can deliver it.
        cost: of delivering it alone, with the most expensive of them.
        weight: if there are too few couriers, orders of less weight are left out first.

    """

    job: Job
    promised: int
    pinned_to: str | None
    able: list[AvailableCourier]
    cost: float
    weight: float


@dataclass(frozen=True, slots=True)
class Schedule:
    """The times of a route.

    Attributes:
        departs: the earliest departure without avoidable waiting at the doors.
        latest: the last departure with which all orders are on time.
        arrivals: at each stop, if the route leaves at `departs`.
        metres_at: length of the route from the depot to each stop.
        returns: arrival at the depot.
        metres: length of the route.
        cost: of kilometres, hours, and customers' waiting.

    """

    departs: int
    latest: int
    arrivals: tuple[int, ...]
    metres_at: tuple[int, ...]
    returns: int
    metres: int
    cost: float


def schedule(courier: AvailableCourier, jobs: Sequence[Job]) -> Schedule | None:
    """Return the times of a route with these stops in this sequence; None if it is not feasible.

    A route leaves when all its boxes are ready. It keeps the capacity and the range of the vehicle
    type. It arrives in each delivery window (if it is early, the courier waits at the door), and
    returns before the shift ends.
    """
    vehicle, matrix = courier.vehicle, courier.matrix
    if sum(job.boxes for job in jobs) > vehicle.capacity_boxes:
        return None
    legs = list(pairwise([DEPOT, *(job.node for job in jobs), DEPOT]))
    *metres_at, metres = accumulate(matrix.metres[here][there] for here, there in legs)
    if metres > 1000 * vehicle.range_km:
        return None

    seconds = [matrix.seconds[here][there] for here, there in legs]
    latest = courier.ends - seconds[-1]
    for job, leg in zip(reversed(jobs), reversed(seconds[:-1]), strict=True):
        latest = min(latest, job.closes)
        if latest < job.opens:
            return None
        latest -= leg
    first = max(courier.starts, *(job.ready for job in jobs))
    if first > latest:
        return None

    # A later departure than `first` shortens only the waiting at the doors.
    _, returns = drive(jobs, seconds, first)
    departs = min(latest, returns - sum(seconds))
    arrivals, returns = drive(jobs, seconds, departs)
    waiting = sum(map(waits, jobs, arrivals)) / 3600
    cost = courier.fixed_cost + cost_of(vehicle, metres, returns - departs)
    cost += courier.waiting_cost * waiting
    return Schedule(departs, latest, arrivals, tuple(metres_at), returns, metres, cost)


def waits(job: Job, until: int) -> int:
    """Return for how many seconds from now the customer of an order that is ready and due waits."""
    return until - max(job.ready, job.opens, 0)


def cost_of(vehicle: VehicleType, metres: int, seconds: int) -> float:
    """Return the cost of so many metres and seconds on the road."""
    return metres / 1000 * vehicle.cost_per_km + seconds / 3600 * vehicle.cost_per_hour


def drive(jobs: Sequence[Job], seconds: Sequence[int], departs: int) -> tuple[tuple[int, ...], int]:
    """Return the arrival at each stop, not before its window opens, and at the depot."""
    arrivals = []
    time = departs
    for job, leg in zip(jobs, seconds, strict=False):
        time = max(time + leg, job.opens)
        arrivals.append(time)
    return tuple(arrivals), time + seconds[-1]


def alone(courier: AvailableCourier, job: Job) -> Schedule | None:
    """Return the times of a route with this order alone, which may be late."""
    return schedule(courier, [replace(job, closes=FAR)])
