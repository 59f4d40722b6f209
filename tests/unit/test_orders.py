"""Which orders are refused, and in which words."""

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from types import ModuleType
from typing import Any
from unicodedata import normalize

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
def fields(load: Callable[[str, str], ModuleType]) -> Any:
    return load("dispatch_orders", "fields")


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
        ({"order_id": ""}, "order_id must be a text that is not empty"),
        ({"order_id": "x" * 129}, "order_id must be a text of 1 to 128 characters"),
        ({"order_id": 7}, "order_id must be a text: write the number in quotes"),
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
        ({"ready_at": "0001-01-01T00:00:00+14:00"}, "ready_at must be a time in the years 1 to"),
        ({"ready_at": "9999-12-31T24:00:00Z"}, "ready_at must be a time in the years 1 to"),
        (
            {"ready_at": "2026-02-30T12:00:00Z"},
            "ready_at must be .*: day is out of range",
        ),
        ({"ready_at": "2026-05-04T24:00:01Z"}, "ready_at must be .*: hour must be in 0..23"),
        ({"ready_at": "2026-05-04T12:00:61Z"}, "ready_at must be .*: second must be in 0..59"),
        ({"ready_at": "2026-05-04T12:00:60Z"}, "ready_at has a second 60, which is only before"),
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


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-05-04T24:00:00Z", "2026-05-05T00:00:00Z"),
        ("2026-12-31T24:00Z", "2027-01-01T00:00:00Z"),
        ("20260504T240000.000+0200", "2026-05-04T22:00:00Z"),
        ("2026-05-04t12:30:00z", "2026-05-04T12:30:00Z"),
        ("2026-05-04 12:30:00z", "2026-05-04T12:30:00Z"),
        ("2026-12-31T23:59:60Z", "2027-01-01T00:00:00Z"),
        ("2016-12-31T15:59:60.5-08:00", "2017-01-01T00:00:00.5Z"),
        ("20161231T235960Z", "2017-01-01T00:00:00Z"),
        ("2026-05-04T12:30:00,5-00:00", "2026-05-04T12:30:00.5Z"),
    ],
)
def test_times_are_read_as_the_standards_write_them(fields: Any, written: str, meant: str) -> None:
    assert fields.time_of("ready_at", written) == datetime.fromisoformat(meant)


offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
some_times = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=offsets)  # noqa: DTZ001


@given(some_times, st.sampled_from("Tt "), st.sampled_from(["auto", "microseconds"]))
def test_every_time_with_an_offset_is_read(
    fields: Any, time: datetime, separator: str, precision: str
) -> None:
    assert fields.time_of("ready_at", time.isoformat(separator, precision)) == time
    in_utc = time.astimezone(UTC).isoformat(separator, precision).replace("+00:00", "z")
    assert fields.time_of("ready_at", in_utc) == time


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), offsets)
def test_midnight_ends_one_day_and_begins_the_next(
    fields: Any, day: date, offset: timezone
) -> None:
    begin = datetime.combine(day + timedelta(days=1), time.min, tzinfo=offset)
    end = begin.isoformat().replace(str(begin.date()), str(day)).replace("T00:00:00", "T24:00:00")
    assert fields.time_of("ready_at", end) == begin


@pytest.mark.parametrize("boxes", [2, 2.0])
def test_boxes_are_a_whole_number_however_it_is_written(
    orders: Any, fleet: Any, boxes: float
) -> None:
    order = orders.Order.from_event(GOOD | {"boxes": boxes}, fleet=fleet, now=NOW)
    assert (order.boxes, type(order.boxes)) == (2, int)


@given(st.text(min_size=1, max_size=60))
def test_an_id_is_the_same_in_every_unicode_form(fields: Any, text: str) -> None:
    nfc, nfd = (fields.id_of("order_id", normalize(form, text)) for form in ("NFC", "NFD"))
    assert nfc == nfd == fields.id_of("order_id", nfc) == normalize("NFC", text)


def test_an_order_is_planned_from_when_a_route_with_it_can_leave(orders: Any, fleet: Any) -> None:
    def plan_from(**changes: str) -> Any:
        order = orders.Order.from_event(GOOD | changes, fleet=fleet, now=NOW)
        return order.plan_from(fleet, NOW)

    late = {"due_until": "2026-05-04T18:00:00Z"}
    assert plan_from() == NOW + timedelta(minutes=10)
    assert plan_from(ready_at="2020-01-01T00:00:00Z", due_from="2020-01-01T00:00:00Z") == NOW
    two_hours = plan_from(due_from="2026-05-04T14:00:00Z", **late) - NOW
    assert timedelta(minutes=110) < two_hours < timedelta(minutes=120)
    assert plan_from(ready_at="2026-05-04T17:00:00Z", **late) == NOW + timedelta(hours=5)


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
