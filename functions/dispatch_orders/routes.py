"""When a route leaves, arrives and is back: the rules that every plan keeps.

All in whole seconds from the time of planning and whole metres, rounded up.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from functions.dispatch_orders.fleet import Vehicle

DEPOT = 0  # the row and column of the depot in every matrix
FAR = 10**8  # metres or seconds: where there is no way, or no time that binds


@dataclass(frozen=True, slots=True)
class Job:
    """An order: its row in the matrices, and the times it may leave at and arrive between."""

    order_id: str
    node: int
    boxes: int
    ready: int
    opens: int
    closes: int


@dataclass(frozen=True, slots=True)
class TravelMatrix:
    """From row to column with one vehicle; the times contain the stop at the row's door."""

    metres: list[list[int]]
    seconds: list[list[int]]


@dataclass(frozen=True, slots=True)
class AvailableCourier:
    """A courier: can leave the depot from `starts`, must be back at `ends`.

    Who is on the road is not there yet. `approach` is how long the way to the depot takes from
    where the courier is now, `fixed_cost` what it costs; `waiting_cost` is that of an hour in which
    a customer waits.
    """

    courier_id: str
    vehicle: Vehicle
    matrix: TravelMatrix
    starts: int
    ends: int
    on_the_road: bool
    approach: int
    fixed_cost: float
    waiting_cost: float


@dataclass(slots=True)
class Task:
    """An order to plan: who could deliver it, and what it counts where couriers are few.

    Where nobody can meet the end of its window, `promised`, its job closes later than that.
    """

    job: Job
    promised: int
    able: list[AvailableCourier]
    cost: float
    weight: float


@dataclass(frozen=True, slots=True)
class Schedule:
    """A route's times: the first departure without needless waiting, and the last possible one."""

    departs: int
    latest: int
    arrivals: tuple[int, ...]
    metres_at: tuple[int, ...]
    returns: int
    metres: int
    cost: float


def schedule(courier: AvailableCourier, jobs: Sequence[Job]) -> Schedule | None:
    """The times of these stops in this order; None where a courier cannot do that.

    A route leaves when all its boxes are ready, carries no more than the vehicle's capacity, goes
    no further than its range, arrives at each stop within the order's window, waiting where it is
    early, and is back before the shift ends.
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

    # Leaving later than first shortens the waiting at the doors, and nothing else.
    _, returns = drive(jobs, seconds, first)
    departs = min(latest, returns - sum(seconds))
    arrivals, returns = drive(jobs, seconds, departs)
    waiting = sum(map(waits, jobs, arrivals)) / 3600
    cost = courier.fixed_cost + cost_of(vehicle, metres, returns - departs)
    cost += courier.waiting_cost * waiting
    return Schedule(departs, latest, arrivals, tuple(metres_at), returns, metres, cost)


def waits(job: Job, until: int) -> int:
    """Seconds from now on for which the customer of an order that is ready and due waits."""
    return until - max(job.ready, job.opens, 0)


def cost_of(vehicle: Vehicle, metres: int, seconds: int) -> float:
    """What it costs to be on the road for so far and so long."""
    return metres / 1000 * vehicle.cost_per_km + seconds / 3600 * vehicle.cost_per_hour


def drive(jobs: Sequence[Job], seconds: Sequence[int], departs: int) -> tuple[tuple[int, ...], int]:
    """When a route is at each stop, not before its window opens, and when it is back."""
    arrivals = []
    time = departs
    for job, leg in zip(jobs, seconds, strict=False):
        time = max(time + leg, job.opens)
        arrivals.append(time)
    return tuple(arrivals), time + seconds[-1]


def alone(courier: AvailableCourier, job: Job) -> Schedule | None:
    """The times of a route with this order only, whether or not it is late."""
    return schedule(courier, [replace(job, closes=FAR)])
