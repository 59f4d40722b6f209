"""People overrule the planner, and no order ever has two couriers."""

from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.dispatching import (
    DEPOT,
    NOW,
    REPLAN,
    Dispatch,
    at,
    cancelled,
    change,
    event,
    off_shift,
    order,
    photo,
)


def test_an_order_that_is_held_back_waits_until_it_is_released(dispatch: Dispatch) -> None:
    dispatch.take(order())
    dispatch.take(change("o-1", -3, held=True), photo())
    assert dispatch.order()["reason"] == "waiting: held back by anna"
    dispatch.take(REPLAN, order())
    assert dispatch.order()["status"] == "waiting"
    dispatch.take(change("o-1", -2, held=False))
    assert dispatch.order()["courier_id"] == "ann"
    assert "held_by" not in dispatch.order()


def test_an_order_that_is_held_back_can_be_cancelled(dispatch: Dispatch) -> None:
    dispatch.take(order(), change("o-1", held=True), cancelled("o-1"), photo())
    assert dispatch.order()["reason"] == "cancelled by max"


def test_a_pinned_order_goes_with_its_courier_only(dispatch: Dispatch) -> None:
    pinned = "pinned to courier bob by anna"
    dispatch.take(order(), change("o-1", -3, courier_id="bob"), photo("ann"))
    assert dispatch.order()["reason"] == f"waiting: courier bob is not checked in; {pinned}"
    dispatch.take(photo("bob"))
    assert dispatch.order()["courier_id"] == "bob"
    assert dispatch.order()["reason"].endswith(f" km; {pinned}")
    [(_, detail)] = dispatch.new_events()
    assert detail["stops"][0]["reason"] == dispatch.order()["reason"]


def test_a_pinned_order_says_why_its_courier_cannot_deliver_it(dispatch: Dispatch) -> None:
    far = order(latitude=DEPOT[0] + 0.1, due_until=at(35))
    dispatch.take(far, change("o-1", courier_id="ann"), photo("ann"), photo("bob", "motorcycle"))
    beyond = "waiting: beyond bicycle range; pinned to courier ann by anna"
    assert dispatch.order()["reason"] == beyond
    dispatch.take(change("o-1", 0, courier_id=None))
    assert dispatch.order()["courier_id"] == "bob"
    assert "pinned" not in dispatch.order()["reason"]


def test_an_order_on_a_route_that_has_not_left_moves_to_another_courier(
    dispatch: Dispatch,
) -> None:
    due = {"ready_at": at(1), "due_from": at(1)}
    dispatch.take_at(0, order("o-1", **due), order("o-2", **due), photo("ann"))
    assert {each["courier_id"] for each in dispatch.orders()} == {"ann"}
    [(_, assigned)] = dispatch.new_events()
    dispatch.take_at(0.5, photo("bob"), change("o-1", courier_id="bob"))
    assert dispatch.order("o-1")["courier_id"] == "bob"
    assert dispatch.order("o-2")["status"] == "assigned"
    assert dispatch.order("o-2")["dispatch_id"] != assigned["dispatch_id"]
    withdrawn, *_ = dispatch.new_events()
    assert withdrawn == (
        "Orders Withdrawn",
        {
            "dispatch_id": assigned["dispatch_id"],
            "courier_id": "ann",
            "order_ids": ["o-1", "o-2"],
            "reason": "anna changed the route of courier ann",
        },
    )


def test_an_order_is_taken_off_a_route_that_has_not_left(dispatch: Dispatch) -> None:
    dispatch.take_at(0, order(ready_at=at(1), due_from=at(1)), photo("ann"))
    assert dispatch.order()["status"] == "assigned"
    dispatch.take_at(0.5, change("o-1", held=True))
    assert dispatch.order()["reason"] == "waiting: held back by anna"
    assert "courier_id" not in dispatch.order()
    assert "dispatch_id" not in dispatch.courier("ann")


def test_an_order_on_a_route_that_has_not_left_is_cancelled_and_the_others_go(
    dispatch: Dispatch,
) -> None:
    due = {"ready_at": at(1), "due_from": at(1)}
    dispatch.take_at(0, order("o-1", **due), order("o-2", **due), photo("ann"))
    [(_, assigned)] = dispatch.new_events()
    assert len(assigned["stops"]) == 2
    dispatch.take_at(0.5, cancelled("o-1"))
    cancelled_order = dispatch.order("o-1")
    assert cancelled_order["reason"] == "cancelled by max"
    assert {"courier_id", "dispatch_id", "dispatch_state"}.isdisjoint(cancelled_order)
    (kind, withdrawn), (_, again) = dispatch.new_events()
    assert (kind, withdrawn["order_ids"]) == ("Orders Withdrawn", ["o-1", "o-2"])
    assert [stop["order_id"] for stop in again["stops"]] == ["o-2"]
    dispatch.take_at(1, cancelled("o-1"))
    assert dispatch.new_events() == []


def test_an_order_on_the_road_stays_with_its_courier(dispatch: Dispatch) -> None:
    dispatch.take_at(0, order(), photo("ann"), photo("bob"))
    before = dispatch.order()
    assert datetime.fromisoformat(dispatch.courier(before["courier_id"])["departs_at"]) <= NOW
    dispatch.take_at(0.5, change("o-1", -2, held=True), change("o-1", courier_id="bob"))
    assert dispatch.order() == before


def test_a_changed_window_is_planned(dispatch: Dispatch) -> None:
    dispatch.take(order(due_until=at(300)), photo())
    assert "more orders may join" in dispatch.order()["reason"]
    dispatch.take(change("o-1", -3, due_from=at(200), due_until=at(300)))
    moved = dispatch.order()
    assert moved["reason"].startswith("waiting: not due before ")
    assert moved["reason"].endswith(" UTC; window changed by anna")
    assert moved["day"] == at(300)[:10]
    dispatch.take(change("o-1", -2, due_from=at(-5), due_until=at(12)))
    assert dispatch.order()["reason"].endswith(" km; window changed by anna")
    assert dispatch.order()["status"] == "assigned"


def test_the_newest_change_counts_and_a_repeated_one_changes_nothing(dispatch: Dispatch) -> None:
    dispatch.take(order(), change("o-1", -2, courier_id="bob"))
    dispatch.take(change("o-1", -3, courier_id="cid"))
    assert dispatch.order()["pinned_to"] == "bob"
    before = dispatch.order()
    dispatch.take(change("o-1", -2, courier_id="bob"), REPLAN)
    assert dispatch.order() == before


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"held": "yes"},
        {"courier_id": 7},
        {"courier_id": ""},
        {"due_from": at(5)},
        {"due_from": at(-20), "due_until": at(-10)},
        {"due_from": at(20), "due_until": at(10)},
        {"held": True, "changed_by": ""},
        {"held": True, "changed_at": at(60)},
        {"held": True, "order_id": "unknown"},
        {"held": True, "order_id": None},
    ],
)
def test_a_change_that_is_not_valid_changes_nothing(
    dispatch: Dispatch, changes: dict[str, Any]
) -> None:
    dispatch.take(order())
    before = dispatch.order()
    detail = change("o-1")["detail"] | changes
    assert dispatch.take(event("Order Changed", detail)) == []
    assert dispatch.order() == before


def test_a_person_ends_a_shift_and_the_reason_says_who(dispatch: Dispatch) -> None:
    dispatch.take(photo("ann"), order())
    ended = off_shift("ann", 0)
    ended["detail"]["ended_by"] = "anna"
    dispatch.new_events()
    dispatch.sqs.send_message(
        QueueUrl=dispatch.queue_url,
        MessageBody="{}",
        MessageGroupId="dispatch",
        MessageDeduplicationId="1",
    )
    dispatch.take(ended, REPLAN)
    assert dispatch.order()["status"] == "waiting"
    [(kind, detail)] = dispatch.new_events()
    assert (kind, detail["reason"]) == ("Orders Withdrawn", "anna ended the shift")


couriers = st.sampled_from(["ann", "bob", "cid"])
order_ids = st.sampled_from(["o-1", "o-2", "o-3"])
happenings = st.one_of(
    st.tuples(st.just("photo"), couriers, st.sampled_from(["bicycle", "motorcycle"])),
    st.tuples(st.just("pin"), order_ids, st.none() | couriers),
    st.tuples(st.just("hold"), order_ids, st.booleans()),
    st.tuples(st.just("window"), order_ids, st.integers(10, 90)),
    st.tuples(st.just("off shift"), couriers, st.none()),
    st.tuples(st.just("cancel"), order_ids, st.none()),
    st.tuples(st.just("repeat"), st.integers(0, 20), st.none()),
    st.tuples(st.just("wait"), st.integers(1, 20), st.none()),
)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(happenings, min_size=5, max_size=15))
@example(  # one plan takes all orders from bob and gives them to ann
    [
        ("wait", 9, None),
        ("photo", "bob", "bicycle"),
        ("photo", "ann", "bicycle"),
        ("off shift", "bob", None),
    ]
)
@example([("photo", "ann", "bicycle"), ("cancel", "o-1", None), ("wait", 20, None)])
def test_whatever_people_change_no_order_has_two_couriers(
    dispatch: Dispatch, happenings: list[tuple[str, Any, Any]]
) -> None:
    """A pin and a hold count from the moment at which they are stored."""
    day = Day(dispatch)
    for kind, what, value in happenings:
        day.happens(kind, what, value)
        day.check()


class Day:
    """A day on which orders and couriers change; its clock moves by itself."""

    def __init__(self, dispatch: Dispatch) -> None:
        self.dispatch, self.minute, self.sent = dispatch, 0.0, list[dict[str, Any]]()
        self.courier_of: dict[str, str] = {}
        self.cancelled: set[str] = set()
        for table, key in (("OrdersTable", "order_id"), ("CouriersTable", "courier_id")):
            for each in dispatch.dynamodb.Table(table).scan()["Items"]:
                dispatch.dynamodb.Table(table).delete_item(Key={key: each[key]})
        dispatch.new_events()
        for number in (1, 2, 3):
            self.send(order(f"o-{number}", ready_at=at(2), due_from=at(2), due_until=at(30)))

    def send(self, body: dict[str, Any]) -> None:
        """Take one event, and make a plan."""
        self.sent.append(body)
        self.dispatch.take_at(self.minute, body)

    def happens(self, kind: str, what: Any, value: Any) -> None:
        """Let something happen, half a minute after what happened before."""
        self.minute += what if kind == "wait" else 0.5
        match kind:
            case "photo":
                self.send(photo(what, value, self.minute))
            case "pin":
                self.send(change(what, self.minute, courier_id=value))
            case "hold":
                self.send(change(what, self.minute, held=value))
            case "window":
                window = {"due_from": at(self.minute), "due_until": at(self.minute + value)}
                self.send(change(what, self.minute, **window))
            case "off shift":
                self.send(off_shift(what, self.minute))
            case "cancel":
                is_possible = self.has_not_left(what)
                self.send(cancelled(what))
                if is_possible:
                    self.cancelled.add(what)
            case "repeat":
                self.send(self.sent[what % len(self.sent)])
            case _:
                self.send(REPLAN)

    def has_not_left(self, order_id: str) -> bool:
        """Whether an order waits, or its courier leaves later than now."""
        found = self.dispatch.order(order_id)
        if found["status"] != "assigned":
            return found["status"] in ("new", "waiting")
        departs_at = self.dispatch.courier(found["courier_id"])["departs_at"]
        return datetime.fromisoformat(departs_at) > datetime.fromisoformat(at(self.minute))

    def check(self) -> None:
        """Follow the events: an order gets a courier only if it has none, and may have this one."""
        stored = {each["order_id"]: each for each in self.dispatch.orders()}
        assert self.cancelled == {
            order_id for order_id, each in stored.items() if each["status"] == "cancelled"
        }
        for kind, detail in self.dispatch.new_events():
            if kind == "Orders Withdrawn":
                for order_id in detail["order_ids"]:
                    assert self.courier_of.pop(order_id) == detail["courier_id"]
                continue
            for stop in detail["stops"]:
                order_id = stop["order_id"]
                assert order_id not in self.courier_of
                self.courier_of[order_id] = detail["courier_id"]
                assert "held_by" not in stored[order_id]
                pinned_to = stored[order_id].get("pinned_to", detail["courier_id"])
                assert pinned_to == detail["courier_id"]
        assert self.courier_of == {
            order_id: each["courier_id"]
            for order_id, each in stored.items()
            if each["status"] == "assigned"
        }
