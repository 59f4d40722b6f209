"""What a message of the dispatch queue says."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from functions.dispatch_orders.fields import id_of, time_of

UNKNOWN_SENDER = "unknown"  # what the workflow records for a photo that is in no courier's folder
MAX_COURIER_BYTES = 1024  # a courier_id is a part of an S3 key, which is no longer
CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class CheckIn:
    """What a photo says of its courier.

    Attributes:
        courier_id: the courier.
        image_id: of the photo.
        vehicle: what it shows; None where a person saw none.
        uploaded_at: when the photo came, UTC: the shift begins then.
        recorded_at: when it was decided, UTC: later, where it was run again.
        reviewed_at: when a person answered, UTC; None where nobody was asked.

    """

    courier_id: str
    image_id: str
    vehicle: str | None
    uploaded_at: datetime
    recorded_at: datetime
    reviewed_at: datetime | None


@dataclass(frozen=True, slots=True)
class OffShift:
    """A courier went home at a time (UTC), and delivers nothing later than that."""

    courier_id: str
    off_shift_at: datetime


@dataclass(frozen=True, slots=True)
class RefusedOffShift:
    """An event of this id from which nobody can tell which courier went home, or when.

    `courier_id` is None if that is what is wrong.
    """

    event_id: str
    courier_id: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """An order as the shop sent it, whatever that is, in the event of this id."""

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
class Replan:
    """It is time to plan again."""


type Message = CheckIn | OffShift | RefusedOffShift | PlacedOrder | Delivered | Cancelled | Replan


def read_message(body: str, now: datetime) -> Message:
    """What the body of a message says: JSON, an event as EventBridge delivers it.

    Raises:
        ValueError: one line on why nobody can tell.

    """
    event = read_object(body)
    event_id, detail = str(event.get("id", "")), event.get("detail")
    # What is no object has no fields: it is refused for what it lacks.
    fields = detail if isinstance(detail, dict) else {}
    match event.get("detail-type"):
        case "Order Placed":
            return PlacedOrder(event_id, fields)
        case "Replan":
            return Replan()
        case "Photo Classified":
            return read_check_in(fields, now)
        case "Courier Off Shift":
            return read_off_shift(event_id, fields, now)
        case "Order Delivered":
            return read_delivered(fields, now)
        case "Order Cancelled":
            return Cancelled(
                id_of("order_id", fields.get("order_id")),
                id_of("cancelled_by", fields.get("cancelled_by")),
            )
        case other:
            raise ValueError(f"not an event for the dispatch: detail-type {str(other)[:100]!r}")


def read_object(body: str) -> dict[str, Any]:
    """A JSON object that DynamoDB and EventBridge can take again; ValueError for anything else."""
    try:
        value = json.loads(body)
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair cannot be
    except (ValueError, RecursionError):
        raise ValueError("the message is no JSON") from None
    if isinstance(value, dict):
        return value
    raise ValueError("the message is no JSON object")


def read_check_in(detail: Mapping[str, Any], now: datetime) -> CheckIn:
    """The check-in of a `Photo Classified` event; ValueError says what it lacks."""
    reviewed_at = detail.get("reviewed_at")
    accepted = detail.get("status") == "accepted"
    if not accepted and reviewed_at is None:
        raise ValueError("neither accepted nor reviewed: the courier is not checked in by it")
    courier_id = courier_id_of(detail, "sender_id")
    if courier_id == UNKNOWN_SENDER:
        raise ValueError("the photo is of no courier: upload it under uploads/<courier_id>/")
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


def read_off_shift(
    event_id: str, detail: Mapping[str, Any], now: datetime
) -> OffShift | RefusedOffShift:
    """Who went home, and when; or why nobody can tell."""
    courier_id = None
    try:
        courier_id = courier_id_of(detail, "courier_id")
        return OffShift(courier_id, past_time("off_shift_at", detail.get("off_shift_at"), now))
    except ValueError as error:
        return RefusedOffShift(event_id, courier_id, str(error))


def read_delivered(detail: Mapping[str, Any], now: datetime) -> Delivered:
    """The order that a courier delivered; ValueError says what the event lacks."""
    return Delivered(
        id_of("order_id", detail.get("order_id")),
        id_of("dispatch_id", detail.get("dispatch_id")),
        courier_id_of(detail, "courier_id"),
        past_time("delivered_at", detail.get("delivered_at"), now),
    )


def courier_id_of(detail: Mapping[str, Any], name: str) -> str:
    """The courier whom an event names in one of its fields; ValueError if it names nobody."""
    courier_id = id_of(name, detail.get(name))
    if len(courier_id.encode()) > MAX_COURIER_BYTES:
        raise ValueError(f"{name} must be a text of 1 to {MAX_COURIER_BYTES} bytes")
    return courier_id


def past_time(name: str, value: object, now: datetime) -> datetime:
    """A time that is over; a later one would outrank all that really happens until then."""
    time = time_of(name, value)
    if time > now + CLOCK_SKEW:
        raise ValueError(f"{name} is in the future")
    return time
