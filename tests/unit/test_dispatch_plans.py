"""Which orders the dispatch plans, and which couriers it assigns them to."""

import sys
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.dispatching import (
    DEPOT,
    NOW,
    REPLAN,
    Dispatch,
    at,
    off_shift,
    order,
    photo,
)

# ── Assignment ──


def test_an_order_is_assigned_to_a_courier_with_an_accepted_photo(dispatch: Dispatch) -> None:
    assert dispatch.take(order(), photo()) == []
    stored = dispatch.order()
    assert (stored["status"], stored["courier_id"], stored["vehicle"]) == (
        "assigned",
        "ann",
        "bicycle",
    )
    assert stored["reason"].startswith("assigned: bicycle within ")
    assert "dispatch_state" not in stored
    [(kind, detail)] = dispatch.new_events()
    assert kind == "Orders Dispatched"
    assert detail["dispatch_id"] == stored["dispatch_id"] == dispatch.courier()["dispatch_id"]
    assert (detail["courier_id"], detail["vehicle"], detail["loading_bay"]) == (
        "ann",
        "bicycle",
        "A",
    )
    [stop] = detail["stops"]
    assert (stop["order_id"], stop["reason"]) == ("o-1", stored["reason"])
    assert detail["departs_at"] < stop["arrives_at"] < detail["returns_at"]
    assert 2 * stop["distance_km"] == pytest.approx(detail["distance_km"], abs=0.02)
    assert "outbox" not in dispatch.courier()


def test_an_order_waits_with_a_reason_while_no_courier_is_checked_in(dispatch: Dispatch) -> None:
    dispatch.take(order())
    assert dispatch.order()["status"] == "waiting"
    assert dispatch.order()["reason"] == "waiting: no courier is checked in"
    assert dispatch.new_events() == []
    dispatch.take(photo())
    assert dispatch.order()["status"] == "assigned"


def test_a_far_order_waits_for_a_motorcycle(dispatch: Dispatch) -> None:
    dispatch.take(photo(), order(latitude=DEPOT[0] + 0.1, due_until=at(35)))
    assert "no motorcycle is checked in" in dispatch.order()["reason"]
    dispatch.take(photo("bob", "motorcycle"))
    [(_, detail)] = dispatch.new_events()
    assert detail["courier_id"] == "bob"


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "rejected"},
        {"status": "review"},
        {"status": "failed"},
        {"sender_id": "unknown"},
        {"sender_id": ""},
        {"sender_id": 7},
        {"sender_id": None},
        {"label": None},
        {"label": "hovercraft"},
        {"recorded_at": "yesterday"},
        {"recorded_at": at(60)},
        {"reviewed_at": 12},
    ],
)
def test_a_courier_without_an_accepted_photo_gets_no_order(
    dispatch: Dispatch, changes: dict[str, Any]
) -> None:
    assert dispatch.take(order(), photo(**changes)) == []
    assert dispatch.order()["status"] == "waiting"
    assert dispatch.new_events() == []


def test_a_courier_gets_no_order_after_the_shift(dispatch: Dispatch) -> None:
    dispatch.take(order(), photo(minute=-8 * 60 - 1))
    assert dispatch.order()["status"] == "waiting"


def test_a_shift_begins_with_the_upload_of_the_photo(dispatch: Dispatch) -> None:
    dispatch.take(order(), photo(minute=-1, uploaded_at=at(-24 * 60)))
    assert dispatch.order()["reason"] == "waiting: no courier is checked in"
    dispatch.take(photo(label="motorcycle", minute=-20, uploaded_at=at(-21)))
    dispatch.take(photo(minute=-1, uploaded_at=at(-24 * 60)))
    assert dispatch.courier()["vehicle"] == "motorcycle"


def test_a_courier_on_the_road_gets_no_order_before_the_return(dispatch: Dispatch) -> None:
    dispatch.take(order(), photo())
    first = dispatch.courier()
    dispatch.take(order("o-2"))
    assert dispatch.order("o-2")["status"] == "waiting"
    assert dispatch.courier() == first
    back = datetime.fromisoformat(first["returns_at"]) + timedelta(seconds=1)
    dispatch.dispatching.dispatch(dispatch.app.fleet, back)
    assert dispatch.order("o-2")["courier_id"] == "ann"
    assert dispatch.order("o-2")["dispatch_id"] != first["dispatch_id"]


def test_two_couriers_check_in_in_one_batch(dispatch: Dispatch) -> None:
    orders = [order(f"o-{number}", boxes=6) for number in range(2)]
    dispatch.take(*orders, photo("ann"), photo("bob"))
    assert {each["courier_id"] for each in dispatch.orders()} == {"ann", "bob"}
    assert len(dispatch.new_events()) == 2


# ── Plans ──


def test_a_plan_is_made_if_the_queue_is_empty_or_the_schedule_asks(dispatch: Dispatch) -> None:
    dispatch.sqs.send_message(
        QueueUrl=dispatch.queue_url,
        MessageBody="{}",
        MessageGroupId="dispatch",
        MessageDeduplicationId="1",
    )
    dispatch.take(order(), photo(), order("later", due_from=at(300), due_until=at(400)))
    assert dispatch.order()["status"] == "new"
    later = dispatch.order("later")
    assert later["status"] == "waiting"
    assert later["reason"].startswith("waiting: not due before ")
    dispatch.take(REPLAN)
    assert dispatch.order()["status"] == "assigned"
    assert dispatch.order("later") == later


def add(dispatch: Dispatch, order_id: str, **changes: Any) -> None:
    """Store an order that arrived three days ago."""
    Order, fleet = dispatch.intake.Order, dispatch.app.fleet  # noqa: N806
    arrived = NOW - timedelta(days=3)
    detail = order(order_id)["detail"] | {"ready_at": at(-1500), "due_from": at(-1500)} | changes
    new = Order.from_event(detail, fleet=fleet, now=arrived)
    dispatch.store.add_order(new, new.plan_from(fleet, arrived), "", arrived)


def test_a_plan_contains_only_orders_that_can_leave_soon(
    dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = dispatch.waiting
    monkeypatch.setattr(waiting, "MAX_ORDERS", 4)
    for number in range(6):
        add(dispatch, f"tomorrow-{number}", due_from=at(1440), due_until=at(1500))
        add(dispatch, f"baking-{number}", ready_at=at(50), due_from=at(50), due_until=at(60))
    add(dispatch, "patient", due_until=at(3000))
    add(dispatch, "overdue", due_until=at(-700))
    add(dispatch, "given-up", due_until=at(-1441))
    found, _ = waiting.read_waiting(NOW, [])
    assert {each.order_id for each in found} == {"patient", "overdue"}
    found, _ = waiting.read_waiting(NOW + timedelta(minutes=31), ["tomorrow-0"])
    names = [each.order_id for each in found]
    assert len(names) == 4
    assert {"tomorrow-0", "overdue"} <= set(names)


@pytest.fixture(scope="module")
def choosing(dispatch_app: ModuleType) -> ModuleType:
    """The module that chooses orders."""
    return sys.modules["functions.dispatch_orders.waiting"]


due_minutes = st.lists(st.integers(-1400, 600), max_size=60)


@given(due_minutes, st.integers(2, 20), st.integers(0, 100))
def test_of_too_many_orders_each_overdue_one_is_planned_within_an_hour(
    choosing: ModuleType, due: list[int], most: int, minute: int
) -> None:
    start = NOW + timedelta(minutes=minute)
    times = {
        f"o-{number}": choosing.text(start + timedelta(minutes=each, seconds=30))
        for number, each in enumerate(due)
    }
    overdue = {name for name in times if times[name] < choosing.text(start)}
    urgent = sorted(times.keys() - overdue, key=lambda name: (times[name], name))
    chosen = choosing.choose(times, most, start)
    assert len(chosen) == len(set(chosen)) == min(most, len(times))
    places = len(overdue & set(chosen))
    assert places >= min(len(overdue), most // 2)
    assert set(chosen) - overdue == set(urgent[: most - places])
    planned: set[str] = set()
    for later in range(60):
        now = start + timedelta(minutes=later)
        shifted = {
            name: choosing.text(datetime.fromisoformat(at) + timedelta(minutes=later))
            for name, at in times.items()
        }
        planned |= set(choosing.choose(shifted, most, now))
    assert overdue <= planned


def test_unprocessed_reads_are_repeated_after_a_pause(
    dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, pauses = dispatch.waiting, list[float]()
    monkeypatch.setattr(waiting, "sleep", pauses.append)
    read = waiting.dynamodb.batch_get_item
    for number in range(5):
        add(dispatch, f"o-{number}")

    def throttled(RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        """Return one of the requested orders."""
        [(table, request)] = RequestItems.items()
        first, *rest = request["Keys"]
        response = read(RequestItems={table: request | {"Keys": [first]}})
        left = {table: request | {"Keys": rest}} if rest else {}
        return response | {"UnprocessedKeys": left}

    with monkeypatch.context() as patch:
        patch.setattr(waiting.dynamodb, "batch_get_item", throttled)
        assert len(waiting.read_waiting(NOW, [])[0]) == 5
        assert len(pauses) == 4
        assert all(0 <= pause <= waiting.MAX_PAUSE for pause in pauses)
        for number in range(5, 15):
            add(dispatch, f"o-{number}")
        with pytest.raises(waiting.OrdersTableBusyError):
            waiting.read_waiting(NOW, [])


def test_records_expire(dispatch: Dispatch) -> None:
    dispatch.take(order(), order("bad", boxes=0), photo(), off_shift("bob", -1))
    for record in (*dispatch.orders(), dispatch.courier("ann"), dispatch.courier("bob")):
        days = (datetime.fromtimestamp(int(record["expires_at"]), UTC) - NOW).days
        assert 88 <= days <= 90
