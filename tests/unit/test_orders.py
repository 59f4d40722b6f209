"""Which orders are refused, and in which words."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
GOOD = {
    "order_id": "order-1",
    "latitude": 52.1,
    "longitude": 5.12,
    "boxes": 2,
    "ready_at": "2026-05-04T12:10:00Z",
    "due_from": "2026-05-04T14:10:00+02:00",
    "due_until": "2026-05-04T13:10:00.500Z",
}


@pytest.fixture(scope="module")
def orders(load: Callable[[str, str], ModuleType]) -> Any:
    return load("dispatch_orders", "orders")


@pytest.fixture(scope="module")
def fleet(load: Callable[[str, str], ModuleType]) -> Any:
    return load("dispatch_orders", "fleet").read_fleet()


def test_a_good_order_is_taken_with_its_times_in_utc(orders: Any, fleet: Any) -> None:
    order = orders.Order.from_event(GOOD | {"note": "ring twice"}, fleet=fleet, now=NOW)
    assert (order.order_id, order.place.latitude, order.place.longitude) == ("order-1", 52.1, 5.12)
    assert order.boxes == 2
    assert order.ready_at == order.due_from == NOW + timedelta(minutes=10)
    assert order.due_until == NOW + timedelta(minutes=70, milliseconds=500)
    assert {order.ready_at.tzinfo, order.due_from.tzinfo, order.due_until.tzinfo} == {UTC}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"order_id": ""}, "order_id must be a text of 1 to 128 characters"),
        ({"order_id": "x" * 129}, "order_id must be a text of 1 to 128 characters"),
        ({"order_id": 7}, "order_id must be a text of 1 to 128 characters"),
        ({"order_id": "a\nb"}, "order_id must be a text without control characters"),
        ({"order_id": "\ud800"}, "order_id must be a text without control characters"),
        ({"latitude": None}, "latitude is missing"),
        ({"latitude": math.nan}, "latitude must be a number from -90 to 90"),
        ({"latitude": -90.1}, "latitude must be a number from -90 to 90"),
        ({"latitude": "52.1"}, "latitude must be a number from -90 to 90"),
        ({"latitude": True}, "latitude must be a number from -90 to 90"),
        ({"longitude": math.inf}, "longitude must be a number from -180 to 180"),
        ({"longitude": 10**400}, "longitude must be a number from -180 to 180"),
        (
            {"longitude": 2.0},
            "beyond the range of every vehicle that carries it: 213.2 km from the depot",
        ),
        ({"boxes": 0}, "boxes must be a whole number from 1"),
        ({"boxes": -1}, "boxes must be a whole number from 1"),
        ({"boxes": True}, "boxes must be a whole number from 1"),
        ({"boxes": 1.5}, "boxes must be a whole number from 1"),
        ({"boxes": "2"}, "boxes must be a whole number from 1"),
        ({"boxes": 11}, "more than the 10 boxes that a vehicle carries: split the order"),
        ({"boxes": 10**400}, "more than the 10 boxes that a vehicle carries: split the order"),
        ({"ready_at": "2026-05-04T12:10:00"}, "ready_at must be a time with an offset, such as"),
        ({"ready_at": "0001-01-01T00:00:00+14:00"}, "ready_at must be a time with an offset"),
        ({"due_from": "noon"}, "due_from must be a time with an offset, such as"),
        ({"due_until": 1777900000}, "due_until must be a time with an offset, such as"),
        ({"due_until": "2026-05-04T12:09:00Z"}, "due_until is before due_from"),
        (
            {"due_from": "2026-05-04T11:00Z", "due_until": "2026-05-04T12:00Z"},
            "due_until is in the past: 2026-05-04 12:00 UTC",
        ),
        ({"due_until": "2026-05-11T12:00:01Z"}, "due_until is more than 7 days ahead"),
        ({"ready_at": "2026-05-04T13:11:00Z"}, "ready_at is not before due_until"),
    ],
)
def test_bad_orders_are_refused_in_one_line(
    orders: Any, fleet: Any, change: dict[str, object], problem: str
) -> None:
    with pytest.raises(ValueError, match=f"^{problem}") as refusal:
        orders.Order.from_event(GOOD | change, fleet=fleet, now=NOW)
    assert "\n" not in str(refusal.value)


values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.lists(st.none())
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(GOOD, values)))
def test_whatever_comes_is_an_order_or_refused(orders: Any, fleet: Any, change: Any) -> None:
    try:
        order = orders.Order.from_event(GOOD | change, fleet=fleet, now=NOW)
    except ValueError as error:
        assert 0 < len(str(error)) < 200
    else:
        assert order.boxes >= 1
        assert order.due_until > NOW
