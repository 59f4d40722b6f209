"""From photos and orders to routes, with the true stack: a whole day, and each way alone."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.permissions import allowed, without
from tests.workflow.conftest import SURE, Stack, plain, probabilities, standard_only, wait_until

pytestmark = standard_only

DEPOT = (52.0907, 5.1214)
KILOMETRE = 1 / 111.2  # degrees of latitude
PUT_EVENTS_ENTRIES = 10


def minutes(number: float) -> str:
    """A time so many minutes from now."""
    return (datetime.now(UTC) + timedelta(minutes=number)).isoformat()


def photo(courier: str, label: str, minute: float, **changes: Any) -> tuple[str, dict[str, Any]]:
    """The event of an accepted photo, as the workflow publishes it."""
    key = f"uploads/{courier}/{minute}.jpg"
    detail = {
        "image_id": f"{key}#1",
        "sender_id": courier,
        "s3_bucket": "photos",
        "s3_key": key,
        "status": "accepted",
        "label": label,
        "confidence": 0.97,
        "inferences": {label: 0.97},
        "reason": f"{label}, 97% sure",
        "model": "chosen/1",
        "recorded_at": minutes(minute),
        "execution": "arn:aws:states:us-east-1:000000000000:execution:x:1",
    }
    return "Photo Classified", detail | changes


def order(order_id: str, kilometres: float = 1, **changes: Any) -> tuple[str, dict[str, Any]]:
    """The event of an order that has to leave at once."""
    detail = {
        "order_id": order_id,
        "latitude": DEPOT[0] + kilometres * KILOMETRE,
        "longitude": DEPOT[1],
        "boxes": 1,
        "ready_at": minutes(-5),
        "due_from": minutes(-5),
        "due_until": minutes(9 + 2.7 * kilometres),
    }
    return "Order Placed", detail | changes


@dataclass
class Dispatch:
    """The dispatch of the deployed stack."""

    stack: Stack
    tables: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        outputs = self.stack.outputs
        self.tables = {
            "courier_id": outputs["CouriersTableName"],
            "order_id": outputs["OrdersTableName"],
        }
        self.events = self.stack.cloud.client("events")

    def publish(self, *events: tuple[str, Any]) -> None:
        """Put events on the bus, as the shop and the workflow do."""
        entries = [
            {
                "EventBusName": self.stack.outputs["EventBusName"],
                "Source": "scones-unlimited",
                "DetailType": kind,
                "Detail": json.dumps(detail),
            }
            for kind, detail in events
        ]
        for start in range(0, len(entries), PUT_EVENTS_ENTRIES):
            batch = entries[start : start + PUT_EVENTS_ENTRIES]
            assert self.events.put_events(Entries=batch)["FailedEntryCount"] == 0

    def replan(self) -> None:
        """Tell the queue to plan again, as the schedule does once a minute."""
        message = {"source": "scones-unlimited", "detail-type": "Replan", "time": minutes(0)}
        self.stack.sqs.send_message(
            QueueUrl=self.stack.outputs["DispatchQueueUrl"],
            MessageBody=json.dumps(message),
            MessageGroupId="dispatch",
        )

    def records(self, key: str) -> dict[str, dict[str, Any]]:
        """All records of a table by their key."""
        pages = self.stack.dynamodb.get_paginator("scan").paginate(
            TableName=self.tables[key], ConsistentRead=True
        )
        items = [item for page in pages for item in page["Items"]]
        records = [{name: plain(value) for name, value in item.items()} for item in items]
        return {record[key]: record for record in records}

    def order(self, order_id: str) -> dict[str, Any]:
        """An order; empty before it is known."""
        return self.records("order_id").get(order_id, {})

    def waits_no_more(self, *order_ids: str) -> None:
        """Wait until orders are assigned."""

        def assigned() -> bool:
            records = self.records("order_id")
            states = [records.get(order_id, {}).get("status") for order_id in order_ids]
            return states == ["assigned"] * len(order_ids)

        wait_until(assigned, f"couriers for {order_ids}", lambda: self.records("order_id"))

    def told(self, kind: str) -> list[dict[str, Any]]:
        """The details of all events of a type so far."""
        self.stack.hear()
        return list(self.stack.others.get(kind, []))

    def messages(self) -> int:
        """How many messages are in the queue, those that are being taken in included."""
        counts = self.stack.sqs.get_queue_attributes(
            QueueUrl=self.stack.outputs["DispatchQueueUrl"],
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )["Attributes"]
        return sum(map(int, counts.values()))

    def settle(self) -> None:
        """Wait until all messages were taken in."""
        wait_until(lambda: self.messages() == 0, "an empty queue", self.messages)

    def dead_letters(self) -> list[str]:
        """Messages that were given up."""
        urls = "DispatchDeadLetterQueueUrl", "DispatchEventsDeadLetterQueueUrl"
        return [
            message["Body"]
            for url in urls
            for message in self.stack.sqs.receive_message(
                QueueUrl=self.stack.outputs[url], MaxNumberOfMessages=10
            ).get("Messages", [])
        ]


@pytest.fixture
def dispatch(stack: Stack) -> Iterator[Dispatch]:
    """A dispatch without couriers and orders."""
    own = Dispatch(stack)
    own.settle()
    clear(own)
    yield own
    own.settle()
    assert own.dead_letters() == []
    clear(own)


def clear(dispatch: Dispatch) -> None:
    """Forget all couriers, orders and events."""
    for key, table in dispatch.tables.items():
        for value in dispatch.records(key):
            dispatch.stack.dynamodb.delete_item(TableName=table, Key={key: {"S": value}})
    dispatch.told("")
    dispatch.stack.others.clear()


# ── Each way alone ──


def test_a_photo_that_is_accepted_gets_an_order(dispatch: Dispatch) -> None:
    """The whole road: upload, workflow, bus, queue, plan, event."""
    dispatch.publish(order("near"))
    dispatch.settle()
    assert dispatch.order("near")["reason"] == "waiting: no courier is checked in"
    with dispatch.stack.endpoint.answering(then=SURE):
        dispatch.stack.upload(dispatch.stack.photo(), "uploads/ann/bike.jpg")
    dispatch.waits_no_more("near")
    dispatch.settle()
    [told] = dispatch.told("Orders Dispatched")
    assert (told["courier_id"], told["vehicle"], told["loading_bay"]) == ("ann", "bicycle", "A")
    [stop] = told["stops"]
    near = dispatch.order("near")
    assert stop["reason"] == near["reason"] == "assigned: bicycle within 1.3 km"
    assert (told["dispatch_id"], stop["arrives_at"]) == (near["dispatch_id"], near["arrives_at"])


def test_a_photo_that_a_person_accepts_gets_an_order(dispatch: Dispatch) -> None:
    with dispatch.stack.endpoint.answering(then=probabilities(0.3, 0.6, 0.1)):
        unsure = dispatch.stack.upload(dispatch.stack.photo(), "uploads/bob/moped.jpg")
    dispatch.publish(order("far", 10))
    dispatch.settle()
    assert dispatch.order("far")["status"] == "waiting"
    answer = {"label": "motorcycle", "reviewed_by": "eve", "reviewed_at": minutes(0)}
    dispatch.publish(("Photo Reviewed", {"image_id": unsure.image_id} | answer))
    dispatch.waits_no_more("far")
    assert dispatch.order("far")["courier_id"] == "bob"


def test_photos_without_a_vehicle_do_not_reach_the_dispatch(dispatch: Dispatch) -> None:
    """The rule leaves them out, so that they cost nothing there."""
    for status in ("review", "rejected", "failed"):
        dispatch.publish(photo(status, "bicycle", -1, status=status))
    dispatch.publish(photo("last", "bicycle", -1))
    wait_until(lambda: dispatch.records("courier_id"), "the last photo")
    dispatch.settle()
    assert dispatch.records("courier_id").keys() == {"last"}


def test_the_schedule_plans_what_nothing_else_would(dispatch: Dispatch) -> None:
    """A courier is there, an order waits until it has to leave, and no event comes."""
    dispatch.publish(order("held", due_until=minutes(500)), photo("ann", "bicycle", -1))
    dispatch.settle()
    assert "more orders may join" in dispatch.order("held")["reason"]
    dispatch.stack.dynamodb.update_item(
        TableName=dispatch.tables["order_id"],
        Key={"order_id": {"S": "held"}},
        UpdateExpression="SET due_until = :soon",
        ExpressionAttributeValues={":soon": {"S": minutes(12)}},
    )
    dispatch.waits_no_more("held")


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

    with stack.endpoint.answering(then=SURE):
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
    """The events of a day, and what each courier rides in the end; None: nothing, or gone home."""
    events: list[tuple[str, Any]] = []
    vehicles: dict[str, str | None] = {}
    for number in range(COURIERS):
        courier, minute = f"courier-{number}", -chance.uniform(20, 200)
        label, other = chance.sample(["bicycle", "motorcycle"], 2)
        vehicles[courier] = label
        reviewed = {"reviewed_by": "eve", "reviewed_at": minutes(minute + 5)}
        match number % 5:
            case 0:  # an older photo shows something else, and a person said so later
                events.append(photo(courier, other, minute - 30, **reviewed))
                events.append(photo(courier, label, minute))
            case 1:  # a person knew better than the model
                kind, guess = photo(courier, other, minute)
                events.append((kind, guess))
                events.append((kind, guess | {"label": label} | reviewed))
            case 2:  # a person saw no vehicle
                kind, guess = photo(courier, label, minute)
                events.append((kind, guess))
                seen = {"label": "other", "status": "rejected"} | reviewed
                events.append((kind, guess | seen))
                vehicles[courier] = None
            case 3:  # gone home, and some back again
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
    dispatch.settle()
    check(dispatch, vehicles)

    # Two couriers leave half-way, and others hear of it twice, and before all events once more.
    on_the_road = {name for name, each in dispatch.records("courier_id").items() if route_of(each)}
    leaving = sorted(on_the_road)[:2]
    home = [
        ("Courier Off Shift", {"courier_id": name, "off_shift_at": minutes(0)}) for name in leaving
    ]
    chance.shuffle(events)
    dispatch.publish(*home, *events, *home)
    dispatch.settle()
    check(dispatch, vehicles | dict.fromkeys(leaving))
    assert {each["courier_id"] for each in dispatch.told("Orders Withdrawn")} == set(leaving)


def route_of(courier: dict[str, Any]) -> list[str]:
    """The orders of a courier's route."""
    return list(courier.get("arrivals", {}))


def check(dispatch: Dispatch, vehicles: dict[str, str | None]) -> None:
    """Every order is with one courier, or waits with a reason, or is refused with one."""
    couriers, orders = dispatch.records("courier_id"), dispatch.records("order_id")
    assert {name: couriers[name].get("vehicle") for name, label in vehicles.items() if label} == {
        name: label for name, label in vehicles.items() if label
    }
    assert len(orders) == ORDERS + BAD_ORDERS

    carried = Counter[str]()
    routes = {each["dispatch_id"]: each for each in dispatch.told("Orders Dispatched")}
    assert len(routes) == len(dispatch.told("Orders Dispatched"))
    for route in routes.values():
        carried.update(stop["order_id"] for stop in route["stops"])
        assert route["vehicle"] in ("bicycle", "motorcycle")
    for withdrawal in dispatch.told("Orders Withdrawn"):
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
        if label is None:  # whatever they were given before it was known, they have no more
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
        ("KeepCouriers", "dynamodb:Scan"),
        ("KeepCouriers", "dynamodb:UpdateItem"),
        ("KeepOrders", "dynamodb:BatchGetItem"),
        ("KeepOrders", "dynamodb:PutItem"),
        ("KeepOrders", "dynamodb:UpdateItem"),
        ("FindWaitingOrders", "dynamodb:Query"),
        ("PublishDispatches", "events:PutEvents"),
    ],
)
def test_without_a_permission_the_queue_keeps_all_and_heals(
    dispatch: Dispatch, policy: str, action: str
) -> None:
    stack = dispatch.stack
    with patient(stack):
        with without(stack, "DispatchOrdersRole", policy, action):
            dispatch.publish(order("one"), order("two"), photo("ann", "bicycle", -1))
            wait_until(lambda: has_failed(stack), f"a failure without {action}")
            assert dispatch.told("Orders Dispatched") == []
        dispatch.replan()
        dispatch.waits_no_more("one", "two")
        wait_until(lambda: dispatch.told("Orders Dispatched"), "the event of the route")
        dispatch.settle()
    told = {
        each["dispatch_id"]: [stop["order_id"] for stop in each["stops"]]
        for each in dispatch.told("Orders Dispatched")
    }
    assert sorted(order_id for stops in told.values() for order_id in stops) == ["one", "two"]


def has_failed(stack: Stack) -> bool:
    """Whether the last batch failed, or some of its messages."""
    [mapping] = stack.cloud.client("lambda").list_event_source_mappings(
        FunctionName=stack.physical_name("DispatchOrdersFunction")
    )["EventSourceMappings"]
    result = mapping["LastProcessingResult"]
    return "FAILED" in result or "partial failures" in result


def test_function_and_schedule_may_use_their_queue_only(stack: Stack) -> None:
    """The local cloud takes messages out of a queue, and puts them in, without asking."""
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
def patient(stack: Stack) -> Iterator[None]:
    """Let the queue try again after a second, as often as it takes."""
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
