"""The dispatch handles events that are repeated, late, invalid, or interrupted by a crash."""

import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any
from unicodedata import normalize

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.dispatching import (
    DEPOT,
    NOW,
    REPLAN,
    Dispatch,
    at,
    cancelled,
    change,
    delivered,
    event,
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


def test_an_order_that_a_courier_has_is_not_cancelled(dispatch: Dispatch) -> None:
    dispatch.take(photo(), order())
    before = dispatch.order()
    dispatch.take(cancelled("o-1"))
    assert dispatch.order() == before


# ── Events that are refused ──


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"latitude": None}, "latitude is missing"),
        ({"boxes": -1}, "boxes must be a whole number from 1"),
        ({"boxes": 10**400}, "more than the"),
        ({"longitude": 10**400}, "longitude"),
        ({"latitude": float("nan")}, "latitude must be a number"),
        ({"due_until": at(-1)}, "due_until is in the past"),
        ({"latitude": 0, "longitude": 0}, "beyond the range of every vehicle"),
        ({"ready_at": "soon"}, "ready_at must be a time"),
    ],
)
def test_an_invalid_order_is_refused_with_a_reason(
    dispatch: Dispatch, changes: dict[str, Any], reason: str
) -> None:
    assert dispatch.take(order(**changes), order("good"), photo()) == []
    refused = dispatch.order()
    assert (refused["status"], "dispatch_state" in refused) == ("refused", False)
    assert refused["reason"].startswith("refused: ")
    assert reason in refused["reason"]
    assert dispatch.order("good")["status"] == "assigned"
    refusals = [detail for kind, detail in dispatch.new_events() if kind == "Order Refused"]
    assert refusals == [
        {"order_id": "o-1", "event_id": "e-1", "reason": refused["reason"].split(": ", 1)[1]}
    ]


def test_a_refused_order_can_be_corrected_and_a_stored_order_cannot_be_refused(
    dispatch: Dispatch,
) -> None:
    dispatch.take(order(boxes=0))
    dispatch.take(order())
    assert dispatch.order()["status"] == "waiting"
    dispatch.take(order(boxes=0))
    assert dispatch.order()["status"] == "waiting"


def test_a_repeated_order_is_not_refused_after_its_delivery_window(
    dispatch: Dispatch,
) -> None:
    dispatch.take(order(), photo())
    dispatch.new_events()
    late = order(due_from=at(-20), due_until=at(-10), ready_at=at(-30))
    assert dispatch.take(late) == []
    assert dispatch.order()["status"] == "assigned"
    assert dispatch.new_events() == []


@pytest.mark.parametrize("order_id", [None, "", 7, "x" * 129, ["o-1"]])
def test_the_refusal_of_an_order_without_a_valid_id_is_published(
    dispatch: Dispatch, order_id: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    dispatch.take(order(order_id))
    assert dispatch.orders() == []
    [(kind, detail)] = dispatch.new_events()
    assert (kind, detail["order_id"]) == ("Order Refused", None)
    assert "order_id" in detail["reason"]
    assert '"OrdersRefused":[1.0]' in capsys.readouterr().out


BAD_EVENTS: list[tuple[str, Any, str]] = [
    (
        "Courier Off Shift",
        {"courier_id": 7, "off_shift_at": at(-1)},
        "courier_id must be a text: write the number",
    ),
    ("Courier Off Shift", {"courier_id": "", "off_shift_at": at(-1)}, "courier_id must be a text"),
    (
        "Courier Off Shift",
        {"courier_id": "é" * 513, "off_shift_at": at(-1)},
        "courier_id must be a text of 1 to",
    ),
    ("Courier Off Shift", {"off_shift_at": at(-1)}, "courier_id must be a text"),
    ("Courier Off Shift", {"courier_id": "ann"}, "off_shift_at must be a time with an offset"),
    (
        "Courier Off Shift",
        {"courier_id": "ann", "off_shift_at": at(60)},
        "off_shift_at is in the future",
    ),
    ("Courier Off Shift", "ann", "courier_id must be a text"),
    ("Order Changed", {"order_id": "o-1"}, "nothing changes"),
    ("Order Changed", {"order_id": "o-1", "held": "yes"}, "held must be true or false"),
    ("Order Cancelled", {"order_id": "o-1"}, "cancelled_by must be a text"),
    ("Order Delivered", {"order_id": "o-1"}, "dispatch_id must be a text"),
]


@pytest.mark.parametrize(("kind", "detail", "reason"), BAD_EVENTS)
def test_an_invalid_event_is_refused_with_a_reason(
    dispatch: Dispatch, kind: str, detail: Any, reason: str
) -> None:
    assert dispatch.take(photo(), event(kind, detail), order()) == []
    (published, refusal), _ = dispatch.new_events()
    assert published == "Event Refused"
    assert (refusal["event_id"], refusal["detail_type"]) == ("e-1", kind)
    assert refusal["reason"].startswith(reason)
    assert dispatch.order()["status"] == "assigned"


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_an_id_in_two_unicode_forms_is_one_courier_and_one_order(
    dispatch: Dispatch, forms: tuple[Any, Any]
) -> None:
    """A phone writes a key in one form, the couriers' app an event in the other."""
    one, other = (normalize(form, "Zoë") for form in forms)
    dispatch.take(photo(one, minute=-9), off_shift(other, -8), order(one), order(other))
    assert dispatch.orders()[0]["status"] == "waiting"
    dispatch.take(photo(other, "motorcycle", minute=-7))
    [stored] = dispatch.orders()
    assert stored["order_id"] == stored["courier_id"] == normalize("NFC", "Zoë")
    dispatch.take(order(other, boxes=0))
    assert dispatch.order(stored["order_id"])["status"] == "assigned"
    assert len(dispatch.dynamodb.Table("CouriersTable").scan()["Items"]) == 1


INVALID = [
    "",
    "null",
    "[]",
    "not json",
    "[" * 100_000,
    '{"detail-type": "Order Placed", "detail": {"order_id": "\\ud800"}}',
    {},
    {"detail-type": ["Order Placed"]},
    event("Photo Classified", None),
    event("Photo Classified", "accepted"),
    event("Courier Off Shift", {}),
    event("Courier Off Shift", {"courier_id": "ann", "off_shift_at": at(60)}),
    event("Something Else", {}),
]


@pytest.mark.parametrize("body", INVALID, ids=lambda body: str(body)[:40])
def test_an_invalid_message_does_not_block_the_others(dispatch: Dispatch, body: Any) -> None:
    assert dispatch.take(body, order(), photo()) == []
    assert dispatch.order()["status"] == "assigned"


@pytest.mark.parametrize("detail", [None, "x", [], {"order_id": "o-1"}])
def test_an_invalid_order_does_not_block_the_others(dispatch: Dispatch, detail: Any) -> None:
    assert dispatch.take(event("Order Placed", detail), order("good"), photo()) == []
    assert dispatch.order("good")["status"] == "assigned"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=5,
)
ALL_FIELDS = {
    name: value
    for each in (
        order(),
        photo(),
        off_shift("ann", -1),
        change("o-1", held=True, courier_id="ann"),
        cancelled("o-1"),
        delivered("o-1", "d-1", -1),
    )
    for name, value in each["detail"].items()
}
FIELDS = [*ALL_FIELDS, "reviewed_at", "ended_by"]


def changed(kind: str, changes: dict[str, Any]) -> dict[str, Any]:
    """An event with all fields, some of them changed."""
    return event(kind, ALL_FIELDS | changes)


kinds = st.sampled_from(
    [
        "Order Placed",
        "Order Changed",
        "Order Cancelled",
        "Order Delivered",
        "Photo Classified",
        "Courier Off Shift",
    ]
)
some_fields = st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=4)
bodies = st.builds(changed, kinds, some_fields)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(bodies, min_size=20, max_size=20))
def test_no_field_can_make_the_function_fail(
    dispatch: Dispatch, batch: list[dict[str, Any]]
) -> None:
    assert dispatch.take(*batch) == []


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
