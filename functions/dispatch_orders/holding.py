"""Hold a route, so that more orders can join it, or let it leave."""

from collections.abc import Sequence
from datetime import timedelta

from functions.dispatch_orders.routes import AvailableCourier, Schedule, Task

REPLAN_EVERY = timedelta(minutes=1)  # the rate of ReplanSchedule in template.yaml

# A route is held for more orders until so long before its latest departure.
HOLD_SECONDS = 600

# A plan has one route for each courier. An order that cannot leave within this time would block a
# courier who can do another route before it.
LOOK_AHEAD = timedelta(minutes=20)


def can_leave(courier: AvailableCourier, times: Schedule) -> bool:
    """Return whether this plan can assign a route.

    It can if the route leaves before the next plan, or has to leave before the plan after that:
    EventBridge Scheduler is precise to a minute, so the next plan may be late.
    """
    if courier.on_the_road:
        return False
    leaves, must_leave = times.departs - courier.approach, times.latest - courier.approach
    return leaves <= soon() or must_leave <= 2 * soon()


def leaves_now(
    courier: AvailableCourier, route: Sequence[Task], times: Schedule, *, short: bool
) -> bool:
    """Return whether this plan assigns a route, or holds it for more orders.

    A route that can leave is assigned if one of these is true:
    - it has to leave soon,
    - it is full,
    - it has a late order,
    - other orders wait for this courier (`short`),
    - the customers' waiting has cost as much as the route: no order that joins can save more.
    """
    if not can_leave(courier, times):
        return False
    full = sum(task.job.boxes for task in route) == courier.vehicle.capacity_boxes
    late = any(task.job.closes > task.promised for task in route)
    waited = sum(max(0, -max(task.job.ready, task.job.opens)) for task in route) / 3600
    paid = courier.waiting_cost * waited >= times.cost > 0
    return full or late or short or paid or held_until(courier, times) <= soon()


def soon() -> float:
    """Return the seconds until the next plan."""
    return REPLAN_EVERY.total_seconds()


def held_until(courier: AvailableCourier, times: Schedule) -> float:
    """Return when a held route is assigned at the latest, in seconds from now."""
    return times.latest - courier.approach - HOLD_SECONDS
