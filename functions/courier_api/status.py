"""What records say to a courier: of a photo, and of the shift."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, TypedDict

from pydantic import Field

from functions.http_api.records import (
    OTHER,
    PhotoState,
    Record,
    Time,
    decision_of,
    is_on_shift,
    text,
)

type UploadState = Literal["not_uploaded", "classifying"] | PhotoState


class PhotoStatus(TypedDict):
    """What became of a photo of the courier."""

    photo_id: str
    state: UploadState
    label: str | None
    reason: Annotated[str, Field(description="Why, in words that a courier understands")]
    shift_ends_at: Annotated[Time | None, Field(description="Only if accepted")]


class Stop(TypedDict):
    """An order on a route."""

    order_id: str
    latitude: float
    longitude: float
    boxes: int
    arrives_at: Time
    due_until: Time
    delivered_at: Time | None


class Route(TypedDict):
    """The stops of a courier, from the depot and back."""

    dispatch_id: str
    loading_bay: str
    departs_at: Time
    returns_at: Time
    distance_km: float
    stops: Annotated[list[Stop], Field(description="In their sequence")]


class Shift(TypedDict):
    """The shift of the courier."""

    courier_id: Annotated[str, Field(description="The user name")]
    state: Literal["off", "free", "on_route"]
    vehicle: str | None
    shift_ends_at: Time | None
    route: Route | None


def photo_status(
    photo_id: str, record: Record | None, *, uploaded: bool, shift: timedelta | None, subject: str
) -> PhotoStatus:
    """The state of a photo from its record; None if there is no record yet.

    An accepted photo starts a `shift`, or None without dispatch. `subject`: what a photo shows.
    """
    state: UploadState
    label = None
    if record is None:
        state = "classifying" if uploaded else "not_uploaded"
        reason = "The photo is being looked at." if uploaded else "The photo has not arrived."
    else:
        state, label = decision_of(record)
        reason = record["reason"]
        if "reviewed_label" in record:
            seen = f"no {subject}" if label == OTHER else label
            reason = f"A person looked at the photo: {seen}."
    ends_at = None
    if record and shift and state == "accepted":
        ends_at = text(datetime.fromisoformat(record["uploaded_at"]) + shift)
    return {
        "photo_id": photo_id,
        "state": state,
        "label": label,
        "reason": reason,
        "shift_ends_at": ends_at,
    }


def shift_of(courier_id: str, courier: Record, orders: Sequence[Record], now: datetime) -> Shift:
    """A courier's shift from the record of CouriersTable and the orders of the route.

    Orders that were taken off the route again are left out.
    """
    on_shift = is_on_shift(courier, now)
    dispatch_id: Any = courier.get("dispatch_id")
    stops = [stop_of(order) for order in orders if order.get("dispatch_id") == dispatch_id]
    is_out = any(stop["delivered_at"] is None for stop in stops)
    route: Route | None = None
    if on_shift and stops and (is_out or courier["returns_at"] > text(now)):
        planned = courier["route"]
        route = {
            "dispatch_id": dispatch_id,
            "loading_bay": planned["loading_bay"],
            "departs_at": courier["departs_at"],
            "returns_at": courier["returns_at"],
            "distance_km": planned["distance_km"],
            "stops": stops,
        }
    return {
        "courier_id": courier_id,
        "state": ("on_route" if route else "free") if on_shift else "off",
        "vehicle": courier.get("vehicle") if on_shift else None,
        "shift_ends_at": courier.get("shift_ends_at") if on_shift else None,
        "route": route,
    }


def stop_of(order: Record) -> Stop:
    """A stop from the record of its order."""
    return {
        "order_id": order["order_id"],
        "latitude": order["latitude"],
        "longitude": order["longitude"],
        "boxes": order["boxes"],
        "arrives_at": order["arrives_at"],
        "due_until": order["due_until"],
        "delivered_at": order.get("delivered_at"),
    }
