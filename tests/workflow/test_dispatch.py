"""The dispatch of the deployed stack: photos and orders go in, routes come out."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.deployed_dispatch import (
    Dispatch,
    minutes,
    order,
    photo,
)
from tests.support.endpoint import CONFIDENT, probabilities
from tests.support.permissions import allowed, without
from tests.support.stack import BURST_WAIT_SCALE, Stack, standard_only
from tests.support.waiting import wait_until

pytestmark = standard_only


@pytest.fixture
def dispatch(stack: Stack) -> Iterator[Dispatch]:
    """A dispatch without couriers and orders."""
    own = Dispatch(stack)
    own.wait_until_planned()
    own.clear()
    yield own
    own.wait_until_planned()
    assert own.dead_letters() == []
    own.clear()


# ── One event at a time ──


def test_a_courier_with_an_accepted_photo_gets_an_order(dispatch: Dispatch) -> None:
    """The whole pipeline: upload, workflow, bus, queue, plan, event."""
    dispatch.publish(order("near"))
    dispatch.wait_until_planned()
    assert dispatch.order("near")["reason"] == "waiting: no courier is checked in"
    with dispatch.stack.endpoint.responding(then=CONFIDENT):
        dispatch.stack.upload(dispatch.stack.photo(), "uploads/ann/bike.jpg")
    dispatch.wait_until_assigned("near")
    dispatch.wait_until_planned()
    [route] = dispatch.published("Orders Dispatched")
    assert (route["courier_id"], route["vehicle"], route["loading_bay"]) == ("ann", "bicycle", "A")
    [stop] = route["stops"]
    near = dispatch.order("near")
    assert stop["reason"] == near["reason"] == "assigned: bicycle within 1.3 km"
    assert (route["dispatch_id"], stop["arrives_at"]) == (near["dispatch_id"], near["arrives_at"])


def test_a_courier_whose_photo_a_review_accepts_gets_an_order(dispatch: Dispatch) -> None:
    with dispatch.stack.endpoint.responding(then=probabilities(0.3, 0.6, 0.1)):
        uploaded = dispatch.stack.upload(dispatch.stack.photo(), "uploads/bob/moped.jpg")
    dispatch.publish(order("far", 10))
    dispatch.wait_until_planned()
    assert dispatch.order("far")["status"] == "waiting"
    review = {"label": "motorcycle", "reviewed_by": "eve", "reviewed_at": minutes(0)}
    dispatch.publish(("Photo Reviewed", {"image_id": uploaded.image_id} | review))
    dispatch.wait_until_assigned("far")
    assert dispatch.order("far")["courier_id"] == "bob"


def test_photos_that_are_not_accepted_do_not_reach_the_dispatch(dispatch: Dispatch) -> None:
    """The rule filters them."""
    for status in ("review", "rejected", "failed"):
        dispatch.publish(photo(status, "bicycle", -1, status=status))
    dispatch.publish(photo("last", "bicycle", -1))
    wait_until(lambda: dispatch.records("courier_id"), "the last photo")
    dispatch.wait_until_planned()
    assert dispatch.records("courier_id").keys() == {"last"}


def test_an_order_that_waits_is_assigned_without_another_event(dispatch: Dispatch) -> None:
    """A courier is there, an order waits until it has to leave, and no event comes."""
    dispatch.publish(order("held", due_until=minutes(500)), photo("ann", "bicycle", -1))
    dispatch.wait_until_planned()
    assert "more orders may join" in dispatch.order("held")["reason"]
    dispatch.stack.dynamodb.update_item(
        TableName=dispatch.tables["order_id"],
        Key={"order_id": {"S": "held"}},
        UpdateExpression="SET due_until = :soon",
        ExpressionAttributeValues={":soon": {"S": minutes(12)}},
    )
    dispatch.wait_until_assigned("held")


# ── A burst ──

PHOTOS_OF_A_BURST, ORDERS_OF_A_BURST = 100, 10


def test_orders_that_come_during_a_burst_of_photos_are_planned(dispatch: Dispatch) -> None:
    """Once starved, the dispatch would stand still for 270 s; wait_until gives up long before.

    benchmarks/burst.py measures the seconds.
    """
    stack = dispatch.stack
    before = stack.executions()
    orders = [order(f"order-{number}") for number in range(ORDERS_OF_A_BURST)]

    def put(number: int) -> None:
        stack.put(stack.photo(), f"uploads/courier-{number}/bike.jpg")

    with stack.waits(BURST_WAIT_SCALE), stack.endpoint.responding(then=CONFIDENT):
        with ThreadPoolExecutor(8) as couriers:
            list(couriers.map(put, range(PHOTOS_OF_A_BURST // 2)))
            dispatch.publish(*orders)
            list(couriers.map(put, range(PHOTOS_OF_A_BURST // 2, PHOTOS_OF_A_BURST)))

        def planned() -> bool:
            reasons = [each["reason"] for each in dispatch.records("order_id").values()]
            return len(reasons) == ORDERS_OF_A_BURST and "waiting: to be planned" not in reasons

        wait_until(planned, "a plan", lambda: dispatch.records("order_id"))
        wait_until(
            lambda: len(stack.executions() - before) == PHOTOS_OF_A_BURST, "an execution per photo"
        )
        for execution in stack.executions() - before:
            stack.ended(execution)


# ── A whole day, shuffled, repeated and interleaved ──

COURIERS, ORDERS, BAD_ORDERS = 20, 100, 12


def a_day(chance: random.Random) -> tuple[list[tuple[str, Any]], dict[str, str | None]]:
    """The events of a day; each courier's vehicle in the end, None without one or at home."""
    events: list[tuple[str, Any]] = []
    vehicles: dict[str, str | None] = {}
    for number in range(COURIERS):
        courier, minute = f"courier-{number}", -chance.uniform(20, 200)
        label, other = chance.sample(["bicycle", "motorcycle"], 2)
        vehicles[courier] = label
        reviewed = {"reviewed_by": "eve", "reviewed_at": minutes(minute + 5)}
        match number % 5:
            case 0:  # an older photo shows another vehicle; its review comes later
                events.append(photo(courier, other, minute - 30, **reviewed))
                events.append(photo(courier, label, minute))
            case 1:  # a review corrects the label
                kind, guess = photo(courier, other, minute)
                events.append((kind, guess))
                events.append((kind, guess | {"label": label} | reviewed))
            case 2:  # a review says: no vehicle
                kind, guess = photo(courier, label, minute)
                events.append((kind, guess))
                seen = {"label": "other", "status": "rejected"} | reviewed
                events.append((kind, guess | seen))
                vehicles[courier] = None
            case 3:  # goes home; some come back
                events.append(photo(courier, label, minute))
                home = {"courier_id": courier, "off_shift_at": minutes(minute + 3)}
                events.append(("Courier Off Shift", home))
                if number % 2:
                    events.append(photo(courier, label, minute + 6))
                else:
                    vehicles[courier] = None
            case _:
                events.append(photo(courier, label, minute))
    for number in range(ORDERS):
        kilometres = chance.choice([chance.uniform(0.3, 3), chance.uniform(5, 12)])
        due = chance.choice([10 + 4 * kilometres, chance.uniform(60, 300)])
        ready = chance.choice([-5, -1, 20 if due > 60 else 0])
        own = {"boxes": chance.randint(1, 3), "ready_at": minutes(ready), "due_until": minutes(due)}
        events.append(order(f"order-{number}", kilometres, **own))
    flaws = [{"boxes": -1}, {"latitude": None}, {"due_until": minutes(-1)}, {"longitude": 150}]
    events += [order(f"bad-{number}", **flaws[number % 4]) for number in range(BAD_ORDERS)]
    return events, vehicles


def test_a_day_of_shuffled_repeated_and_interleaved_events(dispatch: Dispatch) -> None:
    chance = random.Random(4)
    events, vehicles = a_day(chance)
    repeated = [event for event in events for _ in range(chance.randint(1, 3))]
    chance.shuffle(repeated)
    dispatch.publish(*repeated)
    dispatch.wait_until_planned()
    check(dispatch, vehicles)

    # Two couriers go home on the way. That event comes twice, and all earlier events once more.
    on_the_road = {name for name, each in dispatch.records("courier_id").items() if route_of(each)}
    leaving = sorted(on_the_road)[:2]
    home = [
        ("Courier Off Shift", {"courier_id": name, "off_shift_at": minutes(0)}) for name in leaving
    ]
    chance.shuffle(events)
    dispatch.publish(*home, *events, *home)
    dispatch.wait_until_planned()
    check(dispatch, vehicles | dict.fromkeys(leaving))
    assert {each["courier_id"] for each in dispatch.published("Orders Withdrawn")} == set(leaving)


def route_of(courier: dict[str, Any]) -> list[str]:
    """The orders of a courier's route."""
    return list(courier.get("arrivals", {}))


def check(dispatch: Dispatch, vehicles: dict[str, str | None]) -> None:
    """Every order is assigned to one courier, or waits, or is refused; the reason says why."""
    couriers, orders = dispatch.records("courier_id"), dispatch.records("order_id")
    assert {name: couriers[name].get("vehicle") for name, label in vehicles.items() if label} == {
        name: label for name, label in vehicles.items() if label
    }
    assert len(orders) == ORDERS + BAD_ORDERS

    carried = Counter[str]()
    routes = {each["dispatch_id"]: each for each in dispatch.published("Orders Dispatched")}
    assert len(routes) == len(dispatch.published("Orders Dispatched"))
    for route in routes.values():
        carried.update(stop["order_id"] for stop in route["stops"])
        assert route["vehicle"] in ("bicycle", "motorcycle")
    for withdrawal in dispatch.published("Orders Withdrawn"):
        carried.subtract(withdrawal["order_ids"])

    for order_id, record in orders.items():
        expected = "refused" if order_id.startswith("bad") else ("waiting", "assigned")
        assert record["status"] in expected
        assert record["reason"].startswith(f"{record['status']}: ")
        assert carried[order_id] == (record["status"] == "assigned"), order_id
        assert ("dispatch_state" in record) == (record["status"] == "waiting")
        if record["status"] == "assigned":
            route = routes[record["dispatch_id"]]
            assert route["courier_id"] == record["courier_id"]
            assert route["vehicle"] == record["vehicle"]
            assert order_id in [stop["order_id"] for stop in route["stops"]]
            assert order_id in route_of(couriers[record["courier_id"]])
    assert {record["vehicle"] for record in orders.values() if "vehicle" in record} == {
        "bicycle",
        "motorcycle",
    }
    for name, label in vehicles.items():
        if label is None:  # orders that they got before were withdrawn
            gone = couriers[name].get("off_shift_at", "") >= couriers[name]["checked_in_at"]
            assert gone or "vehicle" not in couriers[name]
            assert not (gone and route_of(couriers[name]) and undelivered(couriers[name]))


def undelivered(courier: dict[str, Any]) -> list[str]:
    """Orders of a courier who went home before coming to them."""
    return [each for each, at in courier["arrivals"].items() if at > courier["off_shift_at"]]


# ── Permissions: every one is needed ──


@pytest.mark.parametrize(
    ("policy", "action"),
    [
        ("ReceiveMessages", "sqs:GetQueueAttributes"),
        ("UpdateCouriers", "dynamodb:Scan"),
        ("UpdateCouriers", "dynamodb:UpdateItem"),
        ("UpdateOrders", "dynamodb:BatchGetItem"),
        ("UpdateOrders", "dynamodb:PutItem"),
        ("UpdateOrders", "dynamodb:UpdateItem"),
        ("FindWaitingOrders", "dynamodb:Query"),
        ("PublishDispatches", "events:PutEvents"),
    ],
)
def test_if_a_permission_is_missing_no_order_is_lost(
    dispatch: Dispatch, policy: str, action: str
) -> None:
    stack = dispatch.stack
    with retrying_soon(stack):
        with without(stack, "DispatchOrdersRole", policy, action):
            dispatch.publish(order("one"), order("two"), photo("ann", "bicycle", -1))
            wait_until(lambda: has_failed(stack), f"a failure without {action}")
            assert dispatch.published("Orders Dispatched") == []
        dispatch.replan()
        dispatch.wait_until_assigned("one", "two")
        wait_until(lambda: dispatch.published("Orders Dispatched"), "the event of the route")
        dispatch.wait_until_planned()
    dispatched = {
        each["dispatch_id"]: [stop["order_id"] for stop in each["stops"]]
        for each in dispatch.published("Orders Dispatched")
    }
    assert sorted(order_id for stops in dispatched.values() for order_id in stops) == ["one", "two"]


def has_failed(stack: Stack) -> bool:
    """Whether the last batch failed, or some of its messages."""
    [mapping] = stack.cloud.client("lambda").list_event_source_mappings(
        FunctionName=stack.physical_name("DispatchOrdersFunction")
    )["EventSourceMappings"]
    result = mapping["LastProcessingResult"]
    return "FAILED" in result or "partial failures" in result


def test_function_and_schedule_may_use_their_queue_only(stack: Stack) -> None:
    """The local cloud does not enforce these permissions, so they are evaluated."""
    queue = stack.sqs.get_queue_attributes(
        QueueUrl=stack.outputs["DispatchQueueUrl"], AttributeNames=["QueueArn"]
    )["Attributes"]["QueueArn"]
    for role, action in (
        ("DispatchOrdersRole", "sqs:ReceiveMessage"),
        ("DispatchOrdersRole", "sqs:DeleteMessage"),
        ("ReplanScheduleRole", "sqs:SendMessage"),
    ):
        assert allowed(stack, role, action, queue)
        assert not allowed(stack, role, action, queue.replace(".fifo", "-other.fifo"))
    assert not allowed(stack, "DispatchOrdersRole", "sqs:SendMessage", queue)


@contextmanager
def retrying_soon(stack: Stack) -> Iterator[None]:
    """Let the queue retry after 1 s, 1000 times."""
    url = stack.outputs["DispatchQueueUrl"]
    names = ["VisibilityTimeout", "RedrivePolicy"]
    own = stack.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    often = json.dumps(json.loads(own["RedrivePolicy"]) | {"maxReceiveCount": 1000})
    changed = {"VisibilityTimeout": "1", "RedrivePolicy": often}
    stack.sqs.set_queue_attributes(QueueUrl=url, Attributes=changed)
    try:
        yield
    finally:
        stack.sqs.set_queue_attributes(QueueUrl=url, Attributes=own)
