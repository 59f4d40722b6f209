"""What records say to a courier: of a photo, and of the shift."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from functions.http_api.records import OTHER, Record, decision_of, is_on_shift, text


def photo_status(
    photo_id: str, record: Record | None, *, uploaded: bool, shift: timedelta | None, subject: str
) -> dict[str, Any]:
    """The state of a photo from its record; None if there is no record yet.

    An accepted photo starts a `shift`, or None without dispatch. `subject`: what a photo shows.
    """
    label = None
    if record is None:
        state, reason = (
            ("classifying", "The photo is being looked at.")
            if uploaded
            else ("not_uploaded", "The photo has not arrived.")
        )
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


def shift_of(
    courier_id: str, courier: Record, orders: Sequence[Record], now: datetime
) -> dict[str, Any]:
    """A courier's shift from the record of CouriersTable and the orders of the route.

    Orders that were taken off the route again are left out.
    """
    on_shift = is_on_shift(courier, now)
    dispatch_id = courier.get("dispatch_id")
    stops = [stop_of(order) for order in orders if order.get("dispatch_id") == dispatch_id]
    is_out = any(stop["delivered_at"] is None for stop in stops)
    route = None
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


def stop_of(order: Record) -> dict[str, Any]:
    """A stop from the record of its order."""
    names = ("order_id", "latitude", "longitude", "boxes", "arrives_at", "due_until")
    return {name: order[name] for name in names} | {"delivered_at": order.get("delivered_at")}
