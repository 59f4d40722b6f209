"""Read the messages of the dispatch queue."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from functions.dispatch_orders.fields import id_of, time_of

UNKNOWN_SENDER = "unknown"  # the sender_id of a photo that is not in the folder of a sender
MAX_COURIER_BYTES = 1024  # a courier_id is a part of an S3 key, which has at most so many
CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class CheckIn:
    """A courier's photo was accepted or reviewed.

    Attributes:
        courier_id: the sender of the photo.
        image_id: of the photo.
        vehicle: the label of the photo; None if a reviewer saw no vehicle.
        uploaded_at: start of the shift, UTC.
        recorded_at: when the photo was classified, UTC.
        reviewed_at: when it was reviewed, UTC; None without a review.

    """

    courier_id: str
    image_id: str
    vehicle: str | None
    uploaded_at: datetime
    recorded_at: datetime
    reviewed_at: datetime | None


@dataclass(frozen=True, slots=True)
class OffShift:
    """A courier went off shift at a time (UTC), and delivers nothing after it.

    `ended_by` is who of the shop ended the shift; None if it was the courier.
    """

    courier_id: str
    off_shift_at: datetime
    ended_by: str | None = None


@dataclass(frozen=True, slots=True)
class RefusedEvent:
    """An event of another system or a person that is not valid; `detail_type` is its type."""

    event_id: str
    detail_type: str
    reason: str


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """The detail of an `Order Placed` event, which is not checked yet."""

    event_id: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Delivered:
    """A courier delivered an order of a route at a time (UTC)."""

    order_id: str
    dispatch_id: str
    courier_id: str
    delivered_at: datetime


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A person of the shop cancelled an order."""

    order_id: str
    cancelled_by: str


@dataclass(frozen=True, slots=True)
class Changed:
    """A person of the shop changed an order at a time (UTC).

    `changes` has what changed: `due_from` and `due_until` (UTC), `courier_id` (None: any courier
    again) and `held`.
    """

    order_id: str
    changed_by: str
    changed_at: datetime
    changes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Replan:
    """The schedule asks for a plan."""


type Message = (
    CheckIn | OffShift | RefusedEvent | PlacedOrder | Delivered | Cancelled | Changed | Replan
)


def read_message(body: str, now: datetime) -> Message:
    """Read the body of a message: an event of EventBridge as JSON.

    Raises:
        ValueError: one line that names the fault.

    """
    event = read_object(body)
    event_id, detail = str(event.get("id", "")), event.get("detail")
    # A detail that is not an object is read as one without fields, and refused for that.
    fields = detail if isinstance(detail, dict) else {}
    match event.get("detail-type"):
        case "Replan":
            return Replan()
        case "Order Placed":
            return PlacedOrder(event_id, fields)
        case "Photo Classified":
            return read_check_in(fields, now)
        case str(kind) if kind in READERS:
            try:
                return READERS[kind](fields, now)
            except ValueError as error:
                return RefusedEvent(event_id, kind, str(error))
        case other:
            raise ValueError(f"not an event of the dispatch: detail-type {str(other)[:100]!r}")


def read_object(body: str) -> dict[str, Any]:
    """Read a JSON object that DynamoDB and EventBridge accept; raises ValueError."""
    try:
        value = json.loads(body)
        json.dumps(value, ensure_ascii=False).encode()  # raises for half a surrogate pair
    except (ValueError, RecursionError):
        raise ValueError("the message is not JSON") from None
    if isinstance(value, dict):
        return value
    raise ValueError("the message is not a JSON object")


def read_check_in(detail: Mapping[str, Any], now: datetime) -> CheckIn:
    """Read the detail of a `Photo Classified` event; raises ValueError."""
    reviewed_at = detail.get("reviewed_at")
    accepted = detail.get("status") == "accepted"
    if not accepted and reviewed_at is None:
        raise ValueError("the photo is neither accepted nor reviewed")
    courier_id = courier_id_of(detail, "sender_id")
    if courier_id == UNKNOWN_SENDER:
        raise ValueError("the photo has no courier: upload it under uploads/<courier_id>/")
    label = detail.get("label")
    if accepted and not isinstance(label, str):
        raise ValueError("label must be a text")
    recorded_at = past_time("recorded_at", detail.get("recorded_at"), now)
    uploaded_at = detail.get("uploaded_at")
    return CheckIn(
        courier_id,
        str(detail.get("image_id", "")),
        label if accepted else None,
        recorded_at if uploaded_at is None else past_time("uploaded_at", uploaded_at, now),
        recorded_at,
        past_time("reviewed_at", reviewed_at, now) if reviewed_at is not None else None,
    )


def read_off_shift(detail: Mapping[str, Any], now: datetime) -> OffShift:
    """The courier whose shift ended, and when; ValueError says what the event lacks."""
    ended_by = detail.get("ended_by")
    return OffShift(
        courier_id_of(detail, "courier_id"),
        past_time("off_shift_at", detail.get("off_shift_at"), now),
        ended_by if ended_by is None else id_of("ended_by", ended_by),
    )


def read_delivered(detail: Mapping[str, Any], now: datetime) -> Delivered:
    """The order that a courier delivered; ValueError says what the event lacks."""
    return Delivered(
        id_of("order_id", detail.get("order_id")),
        id_of("dispatch_id", detail.get("dispatch_id")),
        courier_id_of(detail, "courier_id"),
        past_time("delivered_at", detail.get("delivered_at"), now),
    )


def read_cancelled(detail: Mapping[str, Any], _: datetime) -> Cancelled:
    """The order that a person cancelled; ValueError says what the event lacks."""
    return Cancelled(
        id_of("order_id", detail.get("order_id")),
        id_of("cancelled_by", detail.get("cancelled_by")),
    )


def read_changed(detail: Mapping[str, Any], now: datetime) -> Changed:
    """What a person changed about an order; ValueError says what the event lacks."""
    changes: dict[str, Any] = {}
    if "due_from" in detail or "due_until" in detail:
        changes |= {name: time_of(name, detail.get(name)) for name in ("due_from", "due_until")}
    if "courier_id" in detail:
        anyone = detail["courier_id"] is None
        changes["courier_id"] = None if anyone else courier_id_of(detail, "courier_id")
    if "held" in detail:
        if not isinstance(detail["held"], bool):
            raise ValueError("held must be true or false")
        changes["held"] = detail["held"]
    if not changes:
        raise ValueError("nothing changes: due_from and due_until, courier_id or held is needed")
    return Changed(
        id_of("order_id", detail.get("order_id")),
        id_of("changed_by", detail.get("changed_by")),
        past_time("changed_at", detail.get("changed_at"), now),
        changes,
    )


def courier_id_of(detail: Mapping[str, Any], name: str) -> str:
    """Read a courier id from a field; raises ValueError if it is not valid."""
    courier_id = id_of(name, detail.get(name))
    if len(courier_id.encode()) > MAX_COURIER_BYTES:
        raise ValueError(f"{name} must be a text of 1 to {MAX_COURIER_BYTES} bytes")
    return courier_id


def past_time(name: str, value: object, now: datetime) -> datetime:
    """Read a time in the past; raises ValueError. A future one would win over all later events."""
    time = time_of(name, value)
    if time > now + CLOCK_SKEW:
        raise ValueError(f"{name} is in the future")
    return time


READERS: dict[str, Callable[[Mapping[str, Any], datetime], Message]] = {
    "Courier Off Shift": read_off_shift,
    "Order Delivered": read_delivered,
    "Order Cancelled": read_cancelled,
    "Order Changed": read_changed,
}
