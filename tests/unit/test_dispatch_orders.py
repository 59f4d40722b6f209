"""What the dispatch does with events: repeated, late, broken, or interrupted by a crash."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from tests.support.tables import schema

PROJECT = Path(__file__).resolve().parents[2]
TABLES = ("DriversTable", "OrdersTable")
NOW = datetime.now(UTC)
DEPOT = (52.0907, 5.1214)


def at(minutes: float) -> str:
    """A time so many minutes from now."""
    return (NOW + timedelta(minutes=minutes)).isoformat()


def event(kind: str, detail: Any) -> dict[str, Any]:
    """An event as EventBridge delivers it."""
    return {"version": "0", "id": "e-1", "detail-type": kind, "source": "test", "detail": detail}


def photo(
    driver: str = "ann", label: str = "bicycle", minute: float = -30, **changes: Any
) -> dict[str, Any]:
    """An accepted photo, taken so many minutes from now."""
    return event(
        "Vehicle Classified",
        {
            "image_id": f"uploads/{driver}/{minute}.jpg#1",
            "driver_id": driver,
            "status": "accepted",
            "label": label,
            "recorded_at": at(minute),
        }
        | changes,
    )


def order(order_id: str = "o-1", **changes: Any) -> dict[str, Any]:
    """An order near the depot that has to leave at once."""
    return event(
        "Order Placed",
        {
            "order_id": order_id,
            "latitude": DEPOT[0] + 0.01,
            "longitude": DEPOT[1],
            "boxes": 1,
            "ready_at": at(-5),
            "due_from": at(-5),
            "due_until": at(12),
        }
        | changes,
    )


def off_shift(driver: str, minute: float) -> dict[str, Any]:
    return event("Driver Off Shift", {"driver_id": driver, "off_shift_at": at(minute)})


REPLAN = {"source": "scones-unlimited", "detail-type": "Replan", "time": "2026-11-20T12:00:00Z"}


@dataclass
class Dispatch:
    """The function, its tables, its queue, and what it puts on the bus."""

    app: ModuleType
    context: Any
    queue_url: str
    published: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sqs, self.dynamodb = boto3.client("sqs"), boto3.resource("dynamodb")
        self.app.events.meta.events.register("provide-client-params.events.PutEvents", self.listen)

    def listen(self, params: dict[str, Any], **_: Any) -> None:
        self.published += params["Entries"]

    def take(self, *bodies: Any) -> list[str]:
        """Give the function a batch; the numbers of the messages that it returned."""
        records = [
            {
                "messageId": str(number),
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"MessageGroupId": "dispatch", "ApproximateReceiveCount": "1"},
                "eventSource": "aws:sqs",
            }
            for number, body in enumerate(bodies)
        ]
        answer = self.app.handler({"Records": records}, self.context)
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    def order(self, order_id: str = "o-1") -> dict[str, Any]:
        item: dict[str, Any] = self.dynamodb.Table("OrdersTable").get_item(
            Key={"order_id": order_id}
        )["Item"]
        return item

    def orders(self) -> list[dict[str, Any]]:
        return self.dynamodb.Table("OrdersTable").scan()["Items"]

    def driver(self, driver_id: str = "ann") -> dict[str, Any]:
        item: dict[str, Any] = self.dynamodb.Table("DriversTable").get_item(
            Key={"driver_id": driver_id}
        )["Item"]
        return item

    def hear(self) -> list[tuple[str, dict[str, Any]]]:
        """The events that were published since the last time: type and detail."""
        heard = [(entry["DetailType"], json.loads(entry["Detail"])) for entry in self.published]
        assert {(entry["Source"], entry["EventBusName"]) for entry in self.published} <= {
            ("scones-unlimited", "bus")
        }
        self.published.clear()
        return heard


@pytest.fixture(scope="module")
def app(load: Callable[[str, str], ModuleType]) -> ModuleType:
    """The function, loaded once: its clients ask moto, which every test starts anew."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        return load("dispatch_orders", "app")


@pytest.fixture
def dispatch(
    app: ModuleType, aws: None, environment: pytest.MonkeyPatch, context: Any
) -> Iterator[Dispatch]:
    dynamodb, sqs, events = boto3.client("dynamodb"), boto3.client("sqs"), boto3.client("events")
    for name in TABLES:
        dynamodb.create_table(TableName=name, **schema(name))
    queue = sqs.create_queue(QueueName="dispatch.fifo", Attributes={"FifoQueue": "true"})
    events.create_event_bus(Name="bus")
    for name, value in {
        "DRIVERS_TABLE_NAME": "DriversTable",
        "ORDERS_TABLE_NAME": "OrdersTable",
        "EVENT_BUS_NAME": "bus",
        "DISPATCH_QUEUE_URL": queue["QueueUrl"],
        "SHIFT_HOURS": "8",
        "ORDER_RETENTION_DAYS": "90",
    }.items():
        environment.setenv(name, value)
    own = Dispatch(app, context, queue["QueueUrl"])
    yield own
    app.events.meta.events.unregister("provide-client-params.events.PutEvents", own.listen)


# ── From a photo and an order to a tour ──


def test_an_order_goes_to_the_courier_whose_photo_was_accepted(dispatch: Dispatch) -> None:
    assert dispatch.take(order(), photo()) == []
    stored = dispatch.order()
    assert (stored["status"], stored["driver_id"], stored["vehicle"]) == (
        "assigned",
        "ann",
        "bicycle",
    )
    assert stored["reason"].startswith("assigned: bicycle within ")
    assert "dispatch_state" not in stored
    [(kind, told)] = dispatch.hear()
    assert kind == "Orders Dispatched"
    assert told["dispatch_id"] == stored["dispatch_id"] == dispatch.driver()["dispatch_id"]
    assert (told["driver_id"], told["vehicle"], told["loading_bay"]) == ("ann", "bicycle", "A")
    [stop] = told["stops"]
    assert (stop["order_id"], stop["reason"]) == ("o-1", stored["reason"])
    assert told["departs_at"] < stop["arrives_at"] < told["returns_at"]
    assert 2 * stop["distance_km"] == pytest.approx(told["distance_km"], abs=0.02)
    assert "outbox" not in dispatch.driver()


def test_an_order_waits_with_a_reason_where_nobody_is_checked_in(dispatch: Dispatch) -> None:
    dispatch.take(order())
    assert dispatch.order()["status"] == "waiting"
    assert dispatch.order()["reason"] == "waiting: no courier is checked in"
    assert dispatch.hear() == []
    dispatch.take(photo())
    assert dispatch.order()["status"] == "assigned"


def test_a_far_order_waits_for_a_motorcycle(dispatch: Dispatch) -> None:
    dispatch.take(photo(), order(latitude=DEPOT[0] + 0.1, due_until=at(35)))
    assert "no motorcycle is checked in" in dispatch.order()["reason"]
    dispatch.take(photo("bob", "motorcycle"))
    [(_, told)] = dispatch.hear()
    assert told["driver_id"] == "bob"


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "rejected"},
        {"status": "review"},
        {"status": "failed"},
        {"driver_id": "unknown"},
        {"driver_id": ""},
        {"driver_id": 7},
        {"driver_id": None},
        {"label": None},
        {"label": "hovercraft"},
        {"recorded_at": "yesterday"},
        {"recorded_at": at(60)},
        {"reviewed_at": 12},
    ],
)
def test_without_an_accepted_photo_nobody_gets_anything(
    dispatch: Dispatch, changes: dict[str, Any]
) -> None:
    assert dispatch.take(order(), photo(**changes)) == []
    assert dispatch.order()["status"] == "waiting"
    assert dispatch.hear() == []


def test_a_shift_ends(dispatch: Dispatch) -> None:
    dispatch.take(order(), photo(minute=-8 * 60 - 1))
    assert dispatch.order()["status"] == "waiting"


def test_a_photo_that_is_decided_late_checks_in_when_it_came(dispatch: Dispatch) -> None:
    dispatch.take(order(), photo(minute=-1, uploaded_at=at(-24 * 60)))
    assert dispatch.order()["reason"] == "waiting: no courier is checked in"
    dispatch.take(photo(label="motorcycle", minute=-20, uploaded_at=at(-21)))
    dispatch.take(photo(minute=-1, uploaded_at=at(-24 * 60)))
    assert dispatch.driver()["vehicle"] == "motorcycle"


def test_a_courier_on_the_road_gets_nothing_more_until_back(dispatch: Dispatch) -> None:
    dispatch.take(order(), photo())
    first = dispatch.driver()
    dispatch.take(order("o-2"))
    assert dispatch.order("o-2")["status"] == "waiting"
    assert dispatch.driver() == first
    back = datetime.fromisoformat(first["returns_at"]) + timedelta(seconds=1)
    dispatch.app.dispatch(back)
    assert dispatch.order("o-2")["driver_id"] == "ann"
    assert dispatch.order("o-2")["dispatch_id"] != first["dispatch_id"]


def test_two_couriers_check_in_at_once(dispatch: Dispatch) -> None:
    orders = [order(f"o-{number}", boxes=6) for number in range(2)]
    dispatch.take(*orders, photo("ann"), photo("bob"))
    assert {each["driver_id"] for each in dispatch.orders()} == {"ann", "bob"}
    assert len(dispatch.hear()) == 2


# ── Events come late, twice, in any sequence ──


def test_the_same_events_again_change_nothing(dispatch: Dispatch) -> None:
    dispatch.take(order(), photo())
    before, told = (dispatch.orders(), dispatch.driver()["dispatch_id"]), dispatch.hear()
    assert len(told) == 1
    dispatch.take(photo(), order(), photo(), order())
    assert (dispatch.orders(), dispatch.driver()["dispatch_id"]) == before
    assert dispatch.hear() == []


REVIEW = {"reviewed_at": at(-10), "reviewed_by": "eve"}
HISTORIES: list[tuple[list[dict[str, Any]], str | None]] = [
    # The later photo counts.
    ([photo(minute=-60), photo(minute=-30, label="motorcycle")], "motorcycle"),
    # Of one photo, the person's word.
    ([photo(), photo(label="motorcycle", **REVIEW)], "motorcycle"),
    ([photo(), photo(status="rejected", label="other", **REVIEW)], None),
    # A person answers about a photo when a later one is there already.
    ([photo(minute=-60, **REVIEW), photo(minute=-30, label="motorcycle")], "motorcycle"),
    # The same time, written with another offset.
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
    assert dispatch.driver().get("vehicle") == vehicle


def test_a_review_moves_what_waits_and_leaves_what_is_on_the_road(dispatch: Dispatch) -> None:
    far = order("far", latitude=DEPOT[0] + 0.1, due_until=at(35))
    dispatch.take(photo(), far)
    assert dispatch.order("far")["status"] == "waiting"
    dispatch.take(photo(label="motorcycle", **REVIEW))
    assert dispatch.order("far")["vehicle"] == "motorcycle"
    tour = dispatch.driver()
    dispatch.take(
        photo(status="rejected", label="other", reviewed_at=at(-9), reviewed_by="eve"),
        order("next"),
    )
    assert dispatch.order("far")["driver_id"] == "ann"
    assert dispatch.driver()["dispatch_id"] == tour["dispatch_id"]
    assert dispatch.order("next")["status"] == "waiting"


# ── A courier goes home ──


def test_what_a_courier_did_not_deliver_comes_back(dispatch: Dispatch) -> None:
    dispatch.take(photo(), order())
    [(_, given)] = dispatch.hear()
    dispatch.take(off_shift("ann", 0))
    assert dispatch.order()["status"] == "waiting"
    assert "driver_id" not in dispatch.order()
    [(kind, told)] = dispatch.hear()
    assert kind == "Orders Withdrawn"
    assert (told["dispatch_id"], told["order_ids"]) == (given["dispatch_id"], ["o-1"])
    dispatch.take(off_shift("ann", 0), photo())  # again, and the photo of the shift that is over
    assert dispatch.order()["status"] == "waiting"
    assert dispatch.hear() == []
    dispatch.take(photo("bob"))
    assert dispatch.order()["driver_id"] == "bob"


def test_what_a_courier_delivered_before_going_home_stays(dispatch: Dispatch) -> None:
    dispatch.take(photo(), order())
    assert dispatch.order()["status"] == "assigned"
    dispatch.app.store.go_off_shift(
        dispatch.app.OffShift("ann", datetime.fromisoformat(dispatch.order()["arrives_at"]))
    )
    dispatch.take(REPLAN)
    assert dispatch.order()["status"] == "assigned"


def test_a_courier_comes_back_for_another_shift(dispatch: Dispatch) -> None:
    dispatch.take(photo(minute=-3), off_shift("ann", -2), photo(minute=-1), order())
    assert dispatch.order()["driver_id"] == "ann"
    dispatch.take(off_shift("ann", -2), REPLAN)  # the old word says nothing about the new shift
    assert dispatch.order()["driver_id"] == "ann"


def test_going_home_is_heard_of_late(dispatch: Dispatch) -> None:
    """The courier had gone before the tour was given out."""
    dispatch.take(photo(), order())
    dispatch.take(off_shift("ann", -1))
    assert dispatch.order()["status"] == "waiting"


def test_going_home_is_heard_of_before_the_photo(dispatch: Dispatch) -> None:
    dispatch.take(off_shift("ann", -1), photo(minute=-30), order())
    assert dispatch.order()["status"] == "waiting"


# ── Orders that nobody can deliver ──


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
def test_a_bad_order_is_refused_with_a_reason(
    dispatch: Dispatch, changes: dict[str, Any], reason: str
) -> None:
    assert dispatch.take(order(**changes), order("good"), photo()) == []
    refused = dispatch.order()
    assert (refused["status"], "dispatch_state" in refused) == ("refused", False)
    assert refused["reason"].startswith("refused: ")
    assert reason in refused["reason"]
    assert dispatch.order("good")["status"] == "assigned"
    told = [detail for kind, detail in dispatch.hear() if kind == "Order Refused"]
    assert told == [
        {"order_id": "o-1", "event_id": "e-1", "reason": refused["reason"].split(": ", 1)[1]}
    ]


def test_a_refused_order_can_be_sent_again_and_a_good_one_cannot_be_spoilt(
    dispatch: Dispatch,
) -> None:
    dispatch.take(order(boxes=0))
    dispatch.take(order())
    assert dispatch.order()["status"] == "waiting"
    dispatch.take(order(boxes=0))
    assert dispatch.order()["status"] == "waiting"


def test_an_order_that_comes_again_when_its_time_is_over_is_not_refused(
    dispatch: Dispatch,
) -> None:
    dispatch.take(order(), photo())
    dispatch.hear()
    late = order(due_from=at(-20), due_until=at(-10), ready_at=at(-30))
    assert dispatch.take(late) == []
    assert dispatch.order()["status"] == "assigned"
    assert dispatch.hear() == []


@pytest.mark.parametrize("order_id", [None, "", 7, "x" * 129, ["o-1"]])
def test_an_order_without_a_proper_id_is_told_of(
    dispatch: Dispatch, order_id: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    dispatch.take(order(order_id))
    assert dispatch.orders() == []
    [(kind, told)] = dispatch.hear()
    assert (kind, told["order_id"]) == ("Order Refused", None)
    assert "order_id" in told["reason"]
    assert '"OrdersRefused":[1.0]' in capsys.readouterr().out


BROKEN = [
    "",
    "null",
    "[]",
    "not json",
    "[" * 100_000,
    '{"detail-type": "Order Placed", "detail": {"order_id": "\\ud800"}}',
    {},
    {"detail-type": ["Order Placed"]},
    event("Vehicle Classified", None),
    event("Vehicle Classified", "accepted"),
    event("Driver Off Shift", {}),
    event("Driver Off Shift", {"driver_id": "ann", "off_shift_at": at(60)}),
    event("Something Else", {}),
]


@pytest.mark.parametrize("body", BROKEN, ids=lambda body: str(body)[:40])
def test_a_broken_message_blocks_nothing(dispatch: Dispatch, body: Any) -> None:
    assert dispatch.take(body, order(), photo()) == []
    assert dispatch.order()["status"] == "assigned"


@pytest.mark.parametrize("detail", [None, "x", [], {"order_id": "o-1"}])
def test_a_broken_order_blocks_nothing(dispatch: Dispatch, detail: Any) -> None:
    assert dispatch.take(event("Order Placed", detail), order("good"), photo()) == []
    assert dispatch.order("good")["status"] == "assigned"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=5,
)
FIELDS = [*order()["detail"], *photo()["detail"], "reviewed_at", "off_shift_at"]


def changed(kind: str, changes: dict[str, Any]) -> dict[str, Any]:
    """An event that has all fields, some of them changed."""
    detail = order()["detail"] | photo()["detail"] | {"off_shift_at": at(-1)}
    return event(kind, detail | changes)


kinds = st.sampled_from(["Order Placed", "Vehicle Classified", "Driver Off Shift"])
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
    """Let a call of AWS fail, after so many that succeed."""
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


def test_what_comes_after_a_fault_is_returned_in_its_sequence(
    dispatch: Dispatch, fail: Any
) -> None:
    fail(dispatch.app.store.dynamodb, "put_item", 1)
    assert dispatch.take(order("o-1"), order("o-2"), photo()) == ["1", "2"]
    assert [each["order_id"] for each in dispatch.orders()] == ["o-1"]
    fail.undo()
    assert dispatch.take(order("o-2"), photo()) == []
    assert {each["status"] for each in dispatch.orders()} == {"assigned"}


def test_a_dispatch_that_was_not_published_is_published_by_the_next_plan(
    dispatch: Dispatch, fail: Any
) -> None:
    fail(dispatch.app.events, "put_events")
    with pytest.raises(ClientError):
        dispatch.take(order(), photo())
    assert dispatch.order()["status"] == "assigned"
    assert dispatch.hear() == []
    fail.undo()
    dispatch.take(order(), photo())
    [(kind, told)] = dispatch.hear()
    assert (kind, told["dispatch_id"]) == ("Orders Dispatched", dispatch.order()["dispatch_id"])
    dispatch.take(REPLAN)
    assert dispatch.hear() == []


def test_a_crash_after_publishing_repeats_the_event_under_its_id(
    dispatch: Dispatch, fail: Any
) -> None:
    fail(dispatch.app.store.dynamodb, "update_item", 1)  # the check-in is written
    with pytest.raises(ClientError):
        dispatch.take(order(), photo())
    fail.undo()
    dispatch.take(order(), photo())
    first, second = dispatch.hear()
    assert first == second


def test_a_bus_that_refuses_an_event_is_a_fault(
    dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]}
    with monkeypatch.context() as patch:
        patch.setattr(dispatch.app.events, "put_events", lambda **_: refused)
        with pytest.raises(dispatch.app.PublishError, match="InternalFailure"):
            dispatch.take(order(), photo())
    dispatch.take(REPLAN)
    assert len(dispatch.hear()) == 1


# ── Two plans at once, which the queue prevents, or somebody who changes a table ──


def test_an_order_that_is_taken_meanwhile_has_one_courier(
    dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = dispatch.app.plan_tours

    def plan_and_be_overtaken(*arguments: Any, **options: Any) -> Any:
        made = plan(*arguments, **options)
        monkeypatch.setattr(dispatch.app, "plan_tours", plan)
        dispatch.take(photo("bob"), REPLAN)
        return made

    dispatch.take(order())
    monkeypatch.setattr(dispatch.app, "plan_tours", plan_and_be_overtaken)
    dispatch.take(photo("ann"))
    winner = dispatch.order()["driver_id"]
    [(_, told)] = dispatch.hear()
    assert told["driver_id"] == winner
    loser = {"ann": "bob", "bob": "ann"}[winner]
    assert "dispatch_id" not in dispatch.driver(loser)


def test_a_tour_is_all_or_nothing(dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = dispatch.app.plan_tours

    def plan_and_lose_an_order(*arguments: Any, **options: Any) -> Any:
        made = plan(*arguments, **options)
        dispatch.dynamodb.Table("OrdersTable").update_item(
            Key={"order_id": "o-1"},
            UpdateExpression="SET #status = :cancelled REMOVE dispatch_state",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={":cancelled": "cancelled"},
        )
        return made

    with monkeypatch.context() as patch:
        patch.setattr(dispatch.app, "plan_tours", plan_and_lose_an_order)
        dispatch.take(order("o-1"), order("o-2"), photo())
    assert dispatch.order("o-1")["status"] == "cancelled"
    assert dispatch.order("o-2")["status"] == "waiting"
    assert "dispatch_id" not in dispatch.driver()
    dispatch.take(REPLAN)
    assert dispatch.order("o-2")["status"] == "assigned"


# ── Many at once ──


def test_it_plans_when_the_queue_is_empty_or_the_schedule_says_so(dispatch: Dispatch) -> None:
    dispatch.sqs.send_message(
        QueueUrl=dispatch.queue_url,
        MessageBody="{}",
        MessageGroupId="dispatch",
        MessageDeduplicationId="1",
    )
    dispatch.take(order(), photo())
    assert dispatch.order()["reason"] == "waiting: to be planned"
    dispatch.take(REPLAN)
    assert dispatch.order()["status"] == "assigned"


def test_a_backlog_is_planned_in_parts_the_urgent_first_then_the_overdue(
    dispatch: Dispatch,
) -> None:
    store = dispatch.app.store
    names = [f"o-{number:03d}" for number in range(350)]
    for number, name in enumerate(names):
        placed = dispatch.app.PlacedOrder("", order(name, due_until=at(10 + number))["detail"])
        store.add_order(
            dispatch.app.Order.from_event(placed.detail, fleet=dispatch.app.fleet, now=NOW), NOW
        )
    found, reasons = store.read_waiting(NOW, [])
    assert {each.order_id for each in found} == set(names[: store.MAX_ORDERS]) == reasons.keys()
    later = NOW + timedelta(minutes=10 + 340, seconds=1)
    found, _ = store.read_waiting(later, [])
    assert {each.order_id for each in found} == set(names[-store.MAX_ORDERS :])
    assert store.read_waiting(later + timedelta(days=2), [])[0] == []


def test_records_expire(dispatch: Dispatch) -> None:
    dispatch.take(order(), order("bad", boxes=0), photo(), off_shift("bob", -1))
    for record in (*dispatch.orders(), dispatch.driver("ann"), dispatch.driver("bob")):
        days = (datetime.fromtimestamp(int(record["expires_at"]), UTC) - NOW).days
        assert 88 <= days <= 90
