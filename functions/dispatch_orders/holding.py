"""When a route leaves: at once, or later, so that more orders may join it."""

from collections.abc import Sequence
from datetime import timedelta

from functions.dispatch_orders.routes import AvailableCourier, Schedule, Task

REPLAN_EVERY = timedelta(minutes=1)  # the rate of the schedule in template.yaml

# A route that could leave later waits for more orders, until this long before its last moment.
HOLD_SECONDS = 600

# A plan has one route for each courier. Orders that cannot leave within this time would keep
# couriers from the routes that they can make until then.
LOOK_AHEAD = timedelta(minutes=20)


def can_leave(courier: AvailableCourier, times: Schedule) -> bool:
    """Whether a route is to be handed out by this plan, if nothing is won by waiting.

    It leaves before the next plan, or it has to leave before the plan after that. The next plan may
    come late, since EventBridge Scheduler is precise to a minute, and an order for one exact time
    would be late with it.
    """
    if courier.on_the_road:
        return False
    leaves, must_leave = times.departs - courier.approach, times.latest - courier.approach
    return leaves <= soon() or must_leave <= 2 * soon()


def leaves_now(
    courier: AvailableCourier, route: Sequence[Task], times: Schedule, *, short: bool
) -> bool:
    """Whether a route leaves before the next plan: it can, and nothing is won by waiting.

    Waiting lets more orders join. It is over when the route would soon be late, is full, has a late
    order on it, or when other orders wait for this courier (`short`); and when the customers'
    waiting has cost as much as the route itself, since no order that joins can save more.
    """
    if not can_leave(courier, times):
        return False
    full = sum(task.job.boxes for task in route) == courier.vehicle.capacity_boxes
    late = any(task.job.closes > task.promised for task in route)
    waited = sum(max(0, -max(task.job.ready, task.job.opens)) for task in route) / 3600
    paid = courier.waiting_cost * waited >= times.cost > 0
    return full or late or short or paid or latest_call(courier, times) <= soon()


def soon() -> float:
    """Seconds until the next plan."""
    return REPLAN_EVERY.total_seconds()


def latest_call(courier: AvailableCourier, times: Schedule) -> float:
    """When a held route is given out at the latest, in seconds from now."""
    return times.latest - courier.approach - HOLD_SECONDS
