"""Whether a person can still overrule the planner."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from functions.console_api.live import scan_couriers
from functions.console_api.orders import read_order
from functions.dispatch_orders.statuses import OPEN
from functions.http_api.http import ProblemError
from functions.http_api.records import is_on_shift, plain, text


def check_not_left(order_id: str) -> None:
    """Raise ProblemError: 404, there is no such order; 409, a courier has left with it."""
    order = read_order(order_id)
    if order is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, "There is no such order.")
    if order["status"] not in OPEN:
        raise ProblemError(
            HTTPStatus.CONFLICT, f"The order is {order['status']}: it cannot be changed any more."
        )
    if "dispatch_state" in order:
        return
    courier = read_courier(order["courier_id"])
    if courier.get("departs_at", "") <= text(datetime.now(UTC)):
        raise ProblemError(
            HTTPStatus.CONFLICT,
            f"Courier {order['courier_id']} has left with the order. Call the courier.",
        )


def is_courier_on_shift(courier_id: str) -> bool:
    """Whether a courier is on shift now."""
    return is_on_shift(read_courier(courier_id), datetime.now(UTC))


def read_courier(courier_id: str) -> dict[str, Any]:
    """The record of a courier; empty without one. There are some dozens, so a scan is cheap."""
    found = (each for each in map(plain, scan_couriers()) if each["courier_id"] == courier_id)
    return next(found, {})
