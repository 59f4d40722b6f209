"""An order as the planner knows it, and what of an `Order Placed` event is refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from functions.dispatch_orders.fields import id_of, time_of
from functions.dispatch_orders.fleet import Fleet, Place
from functions.dispatch_orders.travel import great_circle

MAX_ID_LENGTH = 128  # characters
PLANNED_AHEAD = timedelta(days=7)
TIMES = ("ready_at", "due_from", "due_until")


@dataclass(frozen=True, slots=True)
class Order:
    """What is delivered, where to, and when; all times in UTC.

    The boxes can leave the depot at `ready_at`. The courier should arrive from `due_from` until
    `due_until`.
    """

    order_id: str
    place: Place
    boxes: int
    ready_at: datetime
    due_from: datetime
    due_until: datetime

    @classmethod
    def from_event(cls, detail: Mapping[str, Any], *, fleet: Fleet, now: datetime) -> Self:
        """The order of an `Order Placed` event: order_id, latitude, longitude, boxes (a whole
        number), ready_at, due_from, due_until (ISO 8601 or RFC 3339 with an offset). Further fields
        are the shop's own.

        Raises:
            ValueError: one line on why this order can never be delivered as it is.

        """  # noqa: D205
        for name in ("order_id", "latitude", "longitude", "boxes", *TIMES):
            if detail.get(name) is None:
                raise ValueError(f"{name} is missing")
        order_id = order_id_of(detail["order_id"])
        if not order_id.isprintable():
            raise ValueError("order_id must be a text without control characters")
        boxes = detail["boxes"]
        order = cls(
            order_id,
            Place(detail["latitude"], detail["longitude"]),
            int(boxes) if isinstance(boxes, float) and boxes.is_integer() else boxes,
            *(time_of(name, detail[name]) for name in TIMES),
        )
        order.check_boxes(fleet)
        order.check_times(now)
        order.check_range(fleet)
        return order

    def plan_from(self, fleet: Fleet, now: datetime) -> datetime:
        """From when on a plan may have to look at the order: no route with it leaves before."""
        hours = max(
            great_circle((fleet.depot, self.place), vehicle)[1][0, 1]
            for vehicle in fleet.vehicles.values()
        )
        return max(now, self.ready_at, self.due_from - timedelta(hours=hours))

    def check_boxes(self, fleet: Fleet) -> None:
        """Raise ValueError where no vehicle could carry the order at once."""
        if not isinstance(self.boxes, int) or isinstance(self.boxes, bool) or self.boxes < 1:
            raise ValueError("boxes must be a whole number from 1")
        most = max(vehicle.capacity_boxes for vehicle in fleet.vehicles.values())
        if self.boxes > most:
            raise ValueError(f"more than the {most} boxes that a vehicle carries: split the order")

    def check_times(self, now: datetime) -> None:
        """Raise ValueError where the promised time cannot be meant."""
        if self.due_until < self.due_from:
            raise ValueError("due_until is before due_from")
        if self.due_until <= now:
            raise ValueError(f"due_until is in the past: {self.due_until:%Y-%m-%d %H:%M} UTC")
        if self.due_until > now + PLANNED_AHEAD:
            raise ValueError(f"due_until is more than {PLANNED_AHEAD.days} days ahead")
        if self.ready_at >= self.due_until:
            raise ValueError("ready_at is not before due_until")

    def check_range(self, fleet: Fleet) -> None:
        """Raise ValueError where no vehicle that carries the order could go there and back."""
        there = 0.0
        for vehicle in fleet.vehicles.values():
            kilometres, _ = great_circle((fleet.depot, self.place), vehicle)
            there = kilometres[0, 1] / vehicle.detour_factor
            back = kilometres[0, 1] + kilometres[1, 0]
            if back <= vehicle.range_km and self.boxes <= vehicle.capacity_boxes:
                return
        raise ValueError(
            f"beyond the range of every vehicle that carries it: {there:.1f} km from the depot"
        )


def order_id_of(value: object) -> str:
    """The id of an order; ValueError where it is none."""
    order_id = id_of("order_id", value)
    if len(order_id) > MAX_ID_LENGTH:
        raise ValueError(f"order_id must be a text of 1 to {MAX_ID_LENGTH} characters")
    return order_id
