"""The dispatch handles events that are repeated, late, or interrupted by a crash."""

import json
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.dispatching import (
    DEPOT,
    NOW,
    REPLAN,
    Dispatch,
    at,
    cancelled,
    change,
    delivered,
    off_shift,
    order,
    photo,
)

# ── Events that are late, repeated, or in any sequence ──


def test_repeated_events_change_nothing(dispatch: Dispatch) -> None:
    dispatch.take(order(), photo())
    before, events = (dispatch.orders(), dispatch.courier()["dispatch_id"]), dispatch.new_events()
    assert len(events) == 1
    dispatch.take(photo(), order(), photo(), order())
    assert (dispatch.orders(), dispatch.courier()["dispatch_id"]) == before
    assert dispatch.new_events() == []


REVIEW = {"reviewed_at": at(-10), "reviewed_by": "eve"}
HISTORIES: list[tuple[list[dict[str, Any]], str | None]] = [
    # Of two photos, the later one counts.
    ([photo(minute=-60), photo(minute=-30, label="motorcycle")], "motorcycle"),
    # Of one photo, the review counts.
    ([photo(), photo(label="motorcycle", **REVIEW)], "motorcycle"),
    ([photo(), photo(status="rejected", label="other", **REVIEW)], None),
    # The review of a photo arrives after a later photo.
    ([photo(minute=-60, **REVIEW), photo(minute=-30, label="motorcycle")], "motorcycle"),
    # A time with another offset.
    (
        [photo(minute=-60), photo(recorded_at="2026-01-01T12:00:00+14:00", label="motorcycle")],
        "bicycle",
    ),
]


@pytest.mark.parametrize(("history", "vehicle"), HISTORIES)
@pytest.mark.parametrize("reverse", [False, True])
def test_the_vehicle_is_that_of_the_latest_photo(
    dispatch: Dispatch, history: list[dict[str, Any]], vehicle: str | None, reverse: bool
) -> None:
    for each in reversed(history) if reverse else history:
        dispatch.take(each)
    assert dispatch.courier().get("vehicle") == vehicle


def test_a_review_changes_the_vehicle_of_the_next_route_only(dispatch: Dispatch) -> None:
    far = order("far", latitude=DEPOT[0] + 0.1, due_until=at(35))
    dispatch.take(photo(), far)
    assert dispatch.order("far")["status"] == "waiting"
    dispatch.take(photo(label="motorcycle", **REVIEW))
    assert dispatch.order("far")["vehicle"] == "motorcycle"
    route = dispatch.courier()
    dispatch.take(
        photo(status="rejected", label="other", reviewed_at=at(-9), reviewed_by="eve"),
        order("next"),
    )
    assert dispatch.order("far")["courier_id"] == "ann"
    assert dispatch.courier()["dispatch_id"] == route["dispatch_id"]
    assert dispatch.order("next")["status"] == "waiting"


# ── A courier goes off shift ──


def test_undelivered_orders_of_a_courier_off_shift_are_withdrawn(dispatch: Dispatch) -> None:
    dispatch.take(photo(), order())
    [(_, assigned)] = dispatch.new_events()
    dispatch.take(off_shift("ann", 0))
    assert dispatch.order()["status"] == "waiting"
    assert "courier_id" not in dispatch.order()
    [(kind, detail)] = dispatch.new_events()
    assert kind == "Orders Withdrawn"
    assert (detail["dispatch_id"], detail["order_ids"]) == (assigned["dispatch_id"], ["o-1"])
    dispatch.take(off_shift("ann", 0), photo())  # repeated, and the photo of the ended shift
    assert dispatch.order()["status"] == "waiting"
    assert dispatch.new_events() == []
    dispatch.take(photo("bob"))
    assert dispatch.order()["courier_id"] == "bob"


def test_orders_delivered_before_the_end_of_the_shift_stay_assigned(dispatch: Dispatch) -> None:
    dispatch.take(photo(), order())
    assert dispatch.order()["status"] == "assigned"
    dispatch.store.go_off_shift(
        dispatch.intake.OffShift("ann", datetime.fromisoformat(dispatch.order()["arrives_at"]))
    )
    dispatch.take(REPLAN)
    assert dispatch.order()["status"] == "assigned"


def test_a_courier_begins_another_shift_with_a_new_photo(dispatch: Dispatch) -> None:
    dispatch.take(photo(minute=-3), off_shift("ann", -2), photo(minute=-1), order())
    assert dispatch.order()["courier_id"] == "ann"
    dispatch.take(off_shift("ann", -2), REPLAN)  # the old event does not end the new shift
    assert dispatch.order()["courier_id"] == "ann"


def test_an_off_shift_event_that_arrives_late_withdraws_the_route(dispatch: Dispatch) -> None:
    """The courier went off shift before the route was assigned."""
    dispatch.take(photo(), order())
    dispatch.take(off_shift("ann", -1))
    assert dispatch.order()["status"] == "waiting"


def test_an_off_shift_event_that_arrives_before_the_photo_ends_the_shift(
    dispatch: Dispatch,
) -> None:
    dispatch.take(off_shift("ann", -1), photo(minute=-30), order())
    assert dispatch.order()["status"] == "waiting"


# ── A courier delivers, the shop cancels ──


@pytest.mark.parametrize(("minute", "seconds"), [(-20, 0.0), (-16, 120.0)])
def test_how_late_an_order_was_delivered_is_a_metric_once(
    dispatch: Dispatch, minute: float, seconds: float, capsys: pytest.CaptureFixture[str]
) -> None:
    dispatch.take_at(
        -30, order(ready_at=at(-35), due_from=at(-35), due_until=at(-18)), photo(minute=-31)
    )
    report = delivered("o-1", dispatch.courier()["dispatch_id"], minute)
    dispatch.take(report, report)
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert [each["DeliveryLateness"] for each in found] == [[seconds]]


def test_a_delivered_order_stays_delivered(dispatch: Dispatch) -> None:
    dispatch.take(photo(), order())
    route = dispatch.courier()["dispatch_id"]
    dispatch.take(delivered("o-1", route, 0))
    assert dispatch.order()["status"] == "delivered"
    assert dispatch.order()["reason"] == "delivered by courier ann"
    dispatch.take(delivered("o-1", route, 1), off_shift("ann", 1), order())
    assert dispatch.order()["status"] == "delivered"
    assert datetime.fromisoformat(dispatch.order()["delivered_at"]) == NOW
    assert [kind for kind, _ in dispatch.new_events()] == ["Orders Dispatched"]


@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_courier_is_back_as_much_sooner_or_later_as_the_last_stop_was(
    dispatch: Dispatch, minutes: float
) -> None:
    dispatch.take(order("o-1"), order("o-2", longitude=DEPOT[1] + 0.005), photo(minute=-30))
    courier = dispatch.courier()
    first, last = courier["route"]["stops"]
    planned_return = datetime.fromisoformat(courier["returns_at"])
    planned = datetime.fromisoformat(dispatch.order(last)["arrives_at"])
    real = planned + timedelta(minutes=minutes)
    deliveries = sys.modules["functions.dispatch_orders.deliveries"]
    deliveries.deliver(deliveries.Delivered(first, courier["dispatch_id"], "ann", NOW))
    assert dispatch.courier()["returns_at"] == courier["returns_at"]
    message = deliveries.Delivered(last, courier["dispatch_id"], "ann", real)
    for _ in range(2):  # a message may come twice
        deliveries.deliver(message)
        back = datetime.fromisoformat(dispatch.courier()["returns_at"])
        assert back == planned_return + timedelta(minutes=minutes)


def test_a_delivery_of_another_courier_or_route_changes_nothing(dispatch: Dispatch) -> None:
    dispatch.take(photo(), order())
    before, route = dispatch.order(), dispatch.courier()["dispatch_id"]
    dispatch.take(
        delivered("o-1", route, 0, courier="bob"),
        delivered("o-1", "another", 0),
        delivered("o-9", route, 0),
        delivered("o-1", route, 60),
    )
    assert dispatch.order() == before


def test_a_cancelled_order_is_not_planned_again(dispatch: Dispatch) -> None:
    dispatch.take(order())
    dispatch.take(cancelled("o-1"), cancelled("o-9"))
    assert dispatch.order()["reason"] == "cancelled by max"
    dispatch.take(photo(), order())
    assert dispatch.order()["status"] == "cancelled"
    assert dispatch.new_events() == []


def test_an_order_that_has_left_is_not_cancelled(dispatch: Dispatch) -> None:
    dispatch.take(photo(), order())
    before = dispatch.order()
    dispatch.take(cancelled("o-1"))
    assert dispatch.order() == before


def test_a_courier_whose_route_is_withdrawn_gets_the_new_route_of_the_same_plan(
    dispatch: Dispatch,
) -> None:
    due = {"ready_at": at(1), "due_from": at(1)}
    dispatch.take_at(0, order("o-1", **due), order("o-2", **due), photo())
    dispatch.new_events()
    dispatch.take_at(0.5, change("o-1", held=True))
    (withdrawn, _), (assigned, route) = dispatch.new_events()
    assert (withdrawn, assigned) == ("Orders Withdrawn", "Orders Dispatched")
    assert [stop["order_id"] for stop in route["stops"]] == ["o-2"]


# ── Faults ──


@pytest.fixture
def fail(dispatch: Dispatch) -> Iterator[Callable[[Any, str, int], None]]:
    """Let a call of AWS fail after so many successful ones."""
    with pytest.MonkeyPatch.context() as patch:

        def fail_at(client: Any, operation: str, after: int = 0) -> None:
            true, calls = getattr(client, operation), iter(range(after))

            def failing(**arguments: Any) -> Any:
                if next(calls, None) is None:
                    raise ClientError({"Error": {"Code": "InternalServerError"}}, operation)
                return true(**arguments)

            patch.setattr(client, operation, failing)

        fail_at.undo = patch.undo
        yield fail_at


def test_after_a_fault_the_message_and_all_later_ones_are_returned(
    dispatch: Dispatch, fail: Any
) -> None:
    fail(dispatch.store.dynamodb, "put_item", 1)
    assert dispatch.take(order("o-1"), order("o-2"), photo()) == ["1", "2"]
    assert [each["order_id"] for each in dispatch.orders()] == ["o-1"]
    fail.undo()
    assert dispatch.take(order("o-2"), photo()) == []
    assert {each["status"] for each in dispatch.orders()} == {"assigned"}


def test_an_event_that_was_not_published_is_published_by_the_next_plan(
    dispatch: Dispatch, fail: Any
) -> None:
    fail(dispatch.publishing.events, "put_events")
    with pytest.raises(ClientError):
        dispatch.take(order(), photo())
    assert dispatch.order()["status"] == "assigned"
    assert dispatch.new_events() == []
    fail.undo()
    dispatch.take(order(), photo())
    [(kind, detail)] = dispatch.new_events()
    assert (kind, detail["dispatch_id"]) == ("Orders Dispatched", dispatch.order()["dispatch_id"])
    dispatch.take(REPLAN)
    assert dispatch.new_events() == []


def test_a_crash_after_publishing_repeats_the_event_with_its_id(
    dispatch: Dispatch, fail: Any
) -> None:
    fail(dispatch.store.dynamodb, "update_item", 1)  # the check-in is written
    with pytest.raises(ClientError):
        dispatch.take(order(), photo())
    fail.undo()
    dispatch.take(order(), photo())
    first, second = dispatch.new_events()
    assert first == second


def test_a_bus_that_refuses_an_event_is_a_fault(
    dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]}
    with monkeypatch.context() as patch:
        patch.setattr(dispatch.publishing.events, "put_events", lambda **_: refused)
        with pytest.raises(dispatch.publishing.PublishError, match="InternalFailure"):
            dispatch.take(order(), photo())
    dispatch.take(REPLAN)
    assert len(dispatch.new_events()) == 1


# ── Concurrent changes of the tables ──


def test_of_two_concurrent_plans_one_assigns_the_order(
    dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = dispatch.dispatching.plan_routes

    def plan_during_another_plan(*arguments: Any, **options: Any) -> Any:
        made = plan(*arguments, **options)
        monkeypatch.setattr(dispatch.dispatching, "plan_routes", plan)
        dispatch.take(photo("bob"), REPLAN)
        return made

    dispatch.take(order())
    monkeypatch.setattr(dispatch.dispatching, "plan_routes", plan_during_another_plan)
    dispatch.take(photo("ann"))
    winner = dispatch.order()["courier_id"]
    [(_, detail)] = dispatch.new_events()
    assert detail["courier_id"] == winner
    loser = {"ann": "bob", "bob": "ann"}[winner]
    assert "dispatch_id" not in dispatch.courier(loser)


def test_a_route_is_assigned_completely_or_not_at_all(
    dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = dispatch.dispatching.plan_routes

    def plan_while_an_order_is_cancelled(*arguments: Any, **options: Any) -> Any:
        made = plan(*arguments, **options)
        dispatch.dynamodb.Table("OrdersTable").update_item(
            Key={"order_id": "o-1"},
            UpdateExpression="SET #status = :cancelled REMOVE dispatch_state",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={":cancelled": "cancelled"},
        )
        return made

    with monkeypatch.context() as patch:
        patch.setattr(dispatch.dispatching, "plan_routes", plan_while_an_order_is_cancelled)
        dispatch.take(order("o-1"), order("o-2"), photo())
    assert dispatch.order("o-1")["status"] == "cancelled"
    assert dispatch.order("o-2")["status"] == "new"
    assert "dispatch_id" not in dispatch.courier()
    dispatch.take(REPLAN)
    assert dispatch.order("o-2")["status"] == "assigned"
