"""Read an order from an `Order Placed` event, or refuse it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from functions.dispatch_orders.fields import id_of, time_of
from functions.dispatch_orders.fleet import Fleet, Location
from functions.dispatch_orders.travel import great_circle

MAX_ID_LENGTH = 128  # characters
PLANNED_AHEAD = timedelta(days=7)
TIMES = ("ready_at", "due_from", "due_until")


@dataclass(frozen=True, slots=True)
class Order:
    """An order; times in UTC.

    Attributes:
        order_id: 1 to MAX_ID_LENGTH characters.
        location: of the customer.
        boxes: number of boxes.
        ready_at: the boxes can leave the depot.
        due_from: the delivery window opens.
        due_until: the delivery window closes.
        pinned_to: the only courier who may deliver it; None if anyone may.
        overruled: what people changed about it, for its reason; empty if nothing.

    """

    order_id: str
    location: Location
    boxes: int
    ready_at: datetime
    due_from: datetime
    due_until: datetime
    pinned_to: str | None = None
    overruled: str = ""

    @classmethod
    def from_event(cls, detail: Mapping[str, Any], *, fleet: Fleet, now: datetime) -> Self:
        """Read the detail of an `Order Placed` event (schemas/order_placed.json).

        Raises:
            ValueError: one line that says why nobody can ever deliver this order.

        """
        for name in ("order_id", "latitude", "longitude", "boxes", *TIMES):
            if detail.get(name) is None:
                raise ValueError(f"{name} is missing")
        order_id = order_id_of(detail["order_id"])
        if not order_id.isprintable():
            raise ValueError("order_id must be a text without control characters")
        boxes = detail["boxes"]
        ready_at, due_from, due_until = (time_of(name, detail[name]) for name in TIMES)
        order = cls(
            order_id,
            Location(detail["latitude"], detail["longitude"]),
            int(boxes) if isinstance(boxes, float) and boxes.is_integer() else boxes,
            ready_at,
            due_from,
            due_until,
        )
        order.check_boxes(fleet)
        order.check_times(now)
        order.check_range(fleet)
        return order

    def plan_from(self, fleet: Fleet, now: datetime) -> datetime:
        """Return the earliest time at which a route with this order can leave."""
        hours = max(
            great_circle((fleet.depot, self.location), vehicle)[1][0, 1]
            for vehicle in fleet.vehicles.values()
        )
        return max(now, self.ready_at, self.due_from - timedelta(hours=hours))

    def check_boxes(self, fleet: Fleet) -> None:
        """Raise ValueError if no vehicle type can carry all boxes."""
        if not isinstance(self.boxes, int) or isinstance(self.boxes, bool) or self.boxes < 1:
            raise ValueError("boxes must be a whole number from 1")
        most = max(vehicle.capacity_boxes for vehicle in fleet.vehicles.values())
        if self.boxes > most:
            raise ValueError(f"more than the {most} boxes that a vehicle carries: split the order")

    def check_times(self, now: datetime) -> None:
        """Raise ValueError if the delivery window is not possible."""
        if self.due_until < self.due_from:
            raise ValueError("due_until is before due_from")
        if self.due_until <= now:
            raise ValueError(f"due_until is in the past: {self.due_until:%Y-%m-%d %H:%M} UTC")
        if self.due_until > now + PLANNED_AHEAD:
            raise ValueError(f"due_until is more than {PLANNED_AHEAD.days} days ahead")
        if self.ready_at >= self.due_until:
            raise ValueError("ready_at is not before due_until")

    def check_range(self, fleet: Fleet) -> None:
        """Raise ValueError if it is beyond the range of each vehicle type that can carry it."""
        there = 0.0
        for vehicle in fleet.vehicles.values():
            kilometres, _ = great_circle((fleet.depot, self.location), vehicle)
            there = kilometres[0, 1] / vehicle.detour_factor
            back = kilometres[0, 1] + kilometres[1, 0]
            if back <= vehicle.range_km and self.boxes <= vehicle.capacity_boxes:
                return
        raise ValueError(
            f"beyond the range of every vehicle that carries it: {there:.1f} km from the depot"
        )


def order_id_of(value: object) -> str:
    """Return the id of an order; raises ValueError if it is not valid."""
    order_id = id_of("order_id", value)
    if len(order_id) > MAX_ID_LENGTH:
        raise ValueError(f"order_id must be a text of 1 to {MAX_ID_LENGTH} characters")
    return order_id
