"""The reason why an order waits, for the people in the shop."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from functions.dispatch_orders.fleet import VehicleType
from functions.dispatch_orders.holding import LOOK_AHEAD, held_until, soon
from functions.dispatch_orders.orders import Order
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
    pinned_to: str | None,
    couriers: Sequence[AvailableCourier],
    vehicles: Mapping[str, VehicleType],
    matrices: Mapping[str, TravelMatrix],
) -> tuple[list[tuple[AvailableCourier, Schedule]], str]:
    """Return who can deliver this order alone, on time or late, and the routes; if nobody, why.

    If the order is pinned to a courier, only that courier can.
    """
    if pinned_to is not None:
        couriers = [courier for courier in couriers if courier.courier_id == pinned_to]

    def reaches(label: str) -> bool:
        metres = matrices[label].metres
        there_and_back = metres[DEPOT][job.node] + metres[job.node][DEPOT]
        return there_and_back <= 1000 * vehicles[label].range_km

    def carries(label: str) -> bool:
        return job.boxes <= vehicles[label].capacity_boxes

    if not couriers:
        missing = "no courier is" if pinned_to is None else f"courier {pinned_to} is not"
        return [], f"{missing} checked in"
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
    if pinned_to is not None:
        return [], problem
    if suited:
        return [], f"{problem} and no {words('or', suited)} is checked in"
    return [], f"{problem}, and no vehicle is larger or goes further"


def noted(reason: str, order: Order) -> str:
    """Return a reason with what people changed about the order."""
    return f"{reason}; {order.overruled}" if order.overruled else reason


def words(joint: str, labels: Collection[str]) -> str:
    """Join labels, such as "bicycle or motorcycle"."""
    return f" {joint} ".join(sorted(labels))


def why_early(ready: float, opens: float, departs: float, now: datetime) -> str:
    """Return why it is too early to plan an order; empty if it is not.

    Args:
        ready: when the order can leave, in seconds from now.
        opens: when its delivery window opens.
        departs: when it has to leave to arrive then.
        now: time of the plan, UTC.

    """
    ahead = LOOK_AHEAD.total_seconds()
    if ready > ahead:
        return f"being prepared until {time_text(ready, now)}"
    if departs > ahead < opens:
        return f"not due before {time_text(opens, now)}"
    return ""


def why_unplanned(order: Order, plan_from: datetime, now: datetime) -> str:
    """Return why it is too early to plan an order; empty if it is not."""
    times = (order.ready_at, order.due_from, plan_from)
    ready, opens, departs = ((time - now).total_seconds() for time in times)
    return why_early(ready, opens, departs, now)


def why_held(
    courier: AvailableCourier, task: Task, route: Sequence[Task], times: Schedule, now: datetime
) -> str:
    """Return why an order of a held route waits."""
    if task.job.ready > soon():
        return f"being prepared until {time_text(task.job.ready, now)}"
    if courier.on_the_road:
        back = time_text(courier.starts, now)
        return f"planned for the {courier.vehicle.label} that is back at {back}"
    ready = max(other.job.ready for other in route)
    if ready - courier.approach > soon():
        return f"goes with an order that is being prepared until {time_text(ready, now)}"
    leaves = max(times.departs, held_until(courier, times))
    return f"goes by {courier.vehicle.label} at {time_text(leaves, now)}; more orders may join"


def why_left_out(task: Task, routes: Mapping[str, Sequence[Task]], now: datetime) -> str:
    """Return why an order is on no route."""
    later = next_time(task, routes)
    if later is None:
        return "all couriers who can deliver it are full until their shifts end"
    back = time_text(later[1], now)
    if all(routes[courier.courier_id] for courier in task.able):
        return f"all couriers who can deliver it are full until {back}"
    return f"no courier can deliver it earlier than the one who is back at {back}"


def time_text(seconds: float, now: datetime) -> str:
    """Write the time so many seconds from now; with its date unless it is today."""
    time = now + timedelta(seconds=seconds)
    return f"{time:%H:%M} UTC" if time.date() == now.date() else f"{time:%Y-%m-%d %H:%M} UTC"
