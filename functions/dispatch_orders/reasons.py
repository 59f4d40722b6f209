"""Why an order waits, in words for the people in the shop."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from functions.dispatch_orders.fleet import Vehicle
from functions.dispatch_orders.holding import LOOK_AHEAD, latest_call, soon
from functions.dispatch_orders.routes import (
    DEPOT,
    AvailableCourier,
    Job,
    Schedule,
    Task,
    TravelMatrix,
    alone,
)
from functions.dispatch_orders.search import next_time


def who_is_able(
    job: Job,
    couriers: Sequence[AvailableCourier],
    vehicles: Mapping[str, Vehicle],
    matrices: Mapping[str, TravelMatrix],
) -> tuple[list[tuple[AvailableCourier, Schedule]], str]:
    """Who could deliver this order alone, on time or not, with their routes; if nobody, why."""

    def reaches(label: str) -> bool:
        metres = matrices[label].metres
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
            (courier, route)
            for courier in couriers
            if courier.vehicle.label in suited and (route := alone(courier, job))
        ]
        return able, "" if able else "no shift is long enough to deliver it and be back"
    if suited:
        return [], f"{problem} and no {words('or', suited)} is checked in"
    return [], f"{problem}, and no vehicle is larger or goes further"


def words(joint: str, labels: Collection[str]) -> str:
    """Such as "bicycle or motorcycle"."""
    return f" {joint} ".join(sorted(labels))


def why_early(ready: float, opens: float, departs: float, now: datetime) -> str:
    """Why an order is not planned yet; empty where it is to be planned.

    It can leave when it is `ready`, and to be at the door when its window `opens`, it has to leave
    at `departs`: all in seconds from now.
    """
    ahead = LOOK_AHEAD.total_seconds()
    if ready > ahead:
        return f"being prepared until {clock(ready, now)}"
    if departs > ahead < opens:
        return f"not due before {clock(opens, now)}"
    return ""


def why_held(
    courier: AvailableCourier, task: Task, route: Sequence[Task], times: Schedule, now: datetime
) -> str:
    """Why an order of a route that does not leave now waits."""
    if task.job.ready > soon():
        return f"being prepared until {clock(task.job.ready, now)}"
    if courier.on_the_road:
        return (
            f"planned for the {courier.vehicle.label} that is back at {clock(courier.starts, now)}"
        )
    ready = max(other.job.ready for other in route)
    if ready - courier.approach > soon():
        return f"goes with an order that is being prepared until {clock(ready, now)}"
    leaves = max(times.departs, latest_call(courier, times))
    return f"goes by {courier.vehicle.label} at {clock(leaves, now)}; more orders may join"


def why_left_out(task: Task, routes: Mapping[str, Sequence[Task]], now: datetime) -> str:
    """Why an order is on no route."""
    later = next_time(task, routes)
    if later is None:
        return "all couriers who could deliver it are full until their shifts end"
    back = clock(later[1], now)
    if all(routes[courier.courier_id] for courier in task.able):
        return f"all couriers who could deliver it are full until {back}"
    return f"nobody could deliver it sooner than the courier who is back at {back}"


def clock(seconds: float, now: datetime) -> str:
    """The time so many seconds from now, for people."""
    time = now + timedelta(seconds=seconds)
    return f"{time:%H:%M} UTC" if time.date() == now.date() else f"{time:%Y-%m-%d %H:%M} UTC"
