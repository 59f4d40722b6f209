"""What the shop sees and decides in the console."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import boto3
import pytest

from functions.measure_drift.formulas import wilson_interval
from functions.measure_drift.windows import Window
from tests.support.drift import MODEL, record
from tests.support.schemas import EVENTS, problems
from tests.support.tables import at, put, resources, schema
from tests.support.web import Client

TABLES = ("PredictionsTable", "CouriersTable", "OrdersTable", "DriftTable", "RetrainingTable")


def today() -> str:
    return datetime.now(UTC).date().isoformat()


@pytest.fixture
def published() -> list[tuple[str, dict[str, Any]]]:
    return []


@pytest.fixture
def client(
    aws: None,
    environment: pytest.MonkeyPatch,
    load: Callable[[str, str], ModuleType],
    context: Any,
    published: list[tuple[str, dict[str, Any]]],
) -> Client:
    for name in TABLES:
        boto3.client("dynamodb").create_table(TableName=name, **schema(name))
        environment.setenv(name.removesuffix("Table").upper() + "_TABLE_NAME", name)
    for name, value in {
        "LABELS": "bicycle,motorcycle,other",
        "STACK_NAME": "shop",
        "EVENT_BUS_NAME": "bus",
    }.items():
        environment.setenv(name, value)
    app = load("console_api", "app")

    def publish(kind: str, detail: dict[str, Any]) -> None:
        published.append((kind, json.loads(json.dumps(detail))))

    environment.setattr(app, "publish", publish)
    return Client(app, context, "max", ["managers"])


def as_user(client: Client, name: str, group: str) -> Client:
    return Client(client.app, client.context, name, [group])


def order(order_id: str, status: str = "waiting", minute: float = 0, **changes: Any) -> None:
    record = {
        "order_id": order_id,
        "status": status,
        "reason": f"{status}: because",
        "day": today(),
        "recorded_at": at(minute),
        "latitude": 52.1,
        "longitude": 5.1,
        "boxes": 2,
        "ready_at": at(0),
        "due_from": at(10),
        "due_until": at(30),
    }
    if status in ("new", "waiting"):
        record |= {"dispatch_state": "waiting", "plan_from": at(0)}
    if status in ("new", "waiting", "assigned"):
        record["open_state"] = "open"
    record = {name: each for name, each in (record | changes).items() if each is not None}
    put("OrdersTable", **record)


def photo(number: int, *, waits: bool = True, **changes: Any) -> str:
    image_id = f"uploads/anna/{number}.jpg#v"
    record = {
        "image_id": image_id,
        "status": "review",
        "label": "bicycle",
        "confidence": 0.6,
        "inferences": {"bicycle": 0.6, "other": 0.4},
        "hour": at(0)[:13],
        "recorded_at": at(number - 100),
    }
    put("PredictionsTable", **(record | ({"review_state": "waiting"} if waits else {}) | changes))
    return image_id


# ── Now ──


def now(client: Client) -> dict[str, Any]:
    reply = client.get("/api/console/now")
    assert reply.status == 200
    found: dict[str, Any] = reply.json
    return found


def test_the_view_now_has_couriers_open_orders_photos_and_counts(client: Client) -> None:
    shift = {"vehicle": "bicycle", "checked_in_at": at(-60), "shift_ends_at": at(400)}
    shift["image_id"] = "uploads/x/1.jpg#v"
    route = {"departs_at": at(-5), "returns_at": at(20)}
    put("CouriersTable", courier_id="anna", **shift, **route)
    put("CouriersTable", courier_id="ben", **shift | {"vehicle": "motorcycle"})
    put("CouriersTable", courier_id="cid", **shift, off_shift_at=at(-1))
    put("CouriersTable", courier_id="dan", **shift | {"shift_ends_at": at(-1)})
    order("o-1")
    order("o-2", "assigned", courier_id="anna", vehicle="bicycle", arrives_at=at(40))
    order("o-3", "delivered", delivered_at=at(-1))
    order("o-4", "cancelled")
    photo(1, waits=False, reviewed_label="motorcycle")
    photo(2)
    found = now(client)
    states = {each["courier_id"]: each["state"] for each in found["couriers"]}
    assert states == {"anna": "on_route", "ben": "free"}
    assert {each["order_id"]: each["late"] for each in found["orders"]} == {
        "o-1": False,
        "o-2": True,
    }
    assert [
        (each["courier_id"], each["label"], each["model_label"]) for each in found["photos"]
    ] == [
        ("anna", "bicycle", "bicycle"),
        ("anna", "motorcycle", "bicycle"),
    ]
    assert found["depot"]["latitude"] == pytest.approx(52.0907)
    assert found["counts"] == {
        "couriers_on_shift": 2,
        "orders_waiting": 1,
        "orders_late": 1,
        "photos_to_review": 1,
        "alarms": 0,
    }


def test_alarms_are_counted_and_say_what_to_do(client: Client) -> None:
    cloudwatch = boto3.client("cloudwatch")
    for name in ("shop-Late-1A2B", "shop-Quiet-3C", "shop2-Late-4D", "shop-food-Late-5E"):
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            AlarmDescription="Read the runbook.",
            Namespace="x",
            MetricName="y",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=0,
            ComparisonOperator="GreaterThanThreshold",
        )
        value = "OK" if "Quiet" in name else "ALARM"
        cloudwatch.set_alarm_state(AlarmName=name, StateValue=value, StateReason="test")
    assert now(client)["counts"]["alarms"] == 1
    alarms = client.get("/api/console/quality").json["alarms"]
    assert [(each["name"], each["state"]) for each in alarms] == [
        ("shop-Late-1A2B", "ALARM"),
        ("shop-Quiet-3C", "OK"),
    ]
    assert alarms[0]["description"] == "Read the runbook."


def test_now_is_compressed_for_browsers_that_take_it(client: Client) -> None:
    order("o-1")
    plain = client.get("/api/console/now")
    packed = client.get("/api/console/now", headers={"Accept-Encoding": "gzip, br"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.json == plain.json
    known = {"Accept-Encoding": "gzip, br", "If-None-Match": packed.headers["ETag"]}
    assert client.get("/api/console/now", headers=known).status == 304


def test_without_dispatch_the_console_has_photos_and_no_orders(
    client: Client, environment: pytest.MonkeyPatch, published: list[tuple[str, dict[str, Any]]]
) -> None:
    for name in ("COURIERS_TABLE_NAME", "ORDERS_TABLE_NAME"):
        environment.setenv(name, "")
    image_id = photo(1)
    found = now(client)
    assert [each["image_id"] for each in found["photos"]] == [image_id]
    assert (found["couriers"], found["orders"]) == ([], [])
    new = {"latitude": 52.1, "longitude": 5.1, "boxes": 1, "ready_at": at(0)}
    for reply in (
        client.get("/api/console/orders"),
        client.post("/api/console/orders", new | {"due_from": at(0), "due_until": at(9)}),
        client.post("/api/console/cancellations", {"order_id": "o-1"}),
        client.post("/api/console/changes", {"order_id": "o-1", "held": True}),
        client.post("/api/console/off-shift", {"courier_id": "42"}),
    ):
        assert reply.status == 404
        assert reply.json["detail"] == "This stack has no dispatch: no orders and no routes."
    assert published == []
    assert client.get("/api/console/quality").json["deliveries"]["delivered"] == 0


def test_now_has_no_body_while_nothing_changes(client: Client) -> None:
    before = now(client)
    etag = client.get("/api/console/now").headers["ETag"]
    again = client.get("/api/console/now", headers={"If-None-Match": etag})
    if now(client)["at"] == before["at"]:
        assert (again.status, again.content) == (304, b"")
    order("o-1")
    assert client.get("/api/console/now", headers={"If-None-Match": etag}).status == 200


# ── Orders ──


def pages(client: Client, **query: str) -> list[list[str]]:
    """The ids of all pages."""
    found, cursor = [], None
    while True:
        more = {"cursor": cursor} if cursor else {}
        reply = client.get("/api/console/orders", query=query | more)
        assert reply.status == 200, reply.content
        found.append([each["order_id"] for each in reply.json["items"]])
        cursor = reply.json["next"]
        if not cursor:
            return found


def test_orders_of_a_day_are_listed_in_pages_newest_first(client: Client) -> None:
    for number in range(5):
        order(f"o-{number}", minute=number)
    found = pages(client, day=today(), limit="2")
    assert [each for page in found for each in page] == ["o-4", "o-3", "o-2", "o-1", "o-0"]
    assert all(len(page) <= 2 for page in found)


def test_open_orders_are_listed_whatever_the_day_by_the_end_of_their_windows(
    client: Client,
) -> None:
    for order_id, minutes in (("soon", 5), ("next-week", 6 * 1440), ("late", -60)):
        day = at(minutes)[:10]
        order(order_id, due_until=at(minutes), day=day)
    order("forgotten", "assigned", due_until=at(-1500))
    for status in ("delivered", "cancelled", "refused"):
        order(status, status)
    found = pages(client, limit="2")
    assert [each for page in found for each in page] == ["late", "soon", "next-week"]
    assert {each["order_id"] for each in now(client)["orders"]} == {"late", "soon", "next-week"}


def test_orders_are_filtered_by_state_courier_and_day(client: Client) -> None:
    for number in range(6):
        mine = {"courier_id": "anna"} if number % 2 else {"courier_id": "ben"}
        order(f"o-{number}", "assigned" if number < 4 else "delivered", number, **mine)
    order("o-9", day="2026-01-01")
    chosen = {"state": "assigned", "courier_id": "anna", "limit": "1"}
    found = pages(client, day=today(), **chosen)
    assert [each for page in found for each in page] == ["o-3", "o-1"]
    assert {each for page in pages(client, **chosen) for each in page} == {"o-3", "o-1"}
    assert pages(client, day="2026-01-01") == [["o-9"]]


def test_orders_are_filtered_by_the_end_of_their_windows(client: Client) -> None:
    for order_id, minutes in (("at-10", 10), ("at-20", 20), ("at-30", 30), ("at-40", 40)):
        order(order_id, minute=minutes, due_until=at(minutes), day="2026-01-01")
    order("refused", "refused", day="2026-01-01", due_until=None)
    between = {"due_after": at(15), "due_before": at(35), "limit": "1"}
    for day in ({}, {"day": "2026-01-01"}):
        found = [each for page in pages(client, **between, **day) for each in page]
        assert sorted(found) == ["at-20", "at-30"]
        assert pages(client, due_after=at(35), **day) == [["at-40"]]
        assert pages(client, due_before=at(15), **day) == [["at-10"]]
        assert pages(client, due_after=at(30), due_before=at(15), **day) == [[]]
    chosen = {"state": "waiting", "day": "2026-01-01", "due_before": at(15)}
    assert pages(client, **chosen) == [["at-10"]]


def test_a_time_filter_takes_any_offset_and_any_year(client: Client) -> None:
    order("o-1", due_until="2026-01-01T09:00:00.000000Z", day="2026-01-01")
    for due_after, found in (
        ("2026-01-01T10:00:00+01:00", ["o-1"]),
        ("2026-01-01T10:00:01+01:00", []),
        ("0001-01-01T00:00:00+14:00", ["o-1"]),
    ):
        latest = {"due_before": "9999-12-31T23:59:59-12:00"}
        assert pages(client, day="2026-01-01", due_after=due_after, **latest) == [found]
    order("o-2")
    assert pages(client, due_before=at(-2000)) == [[]]  # open orders are not listed for longer


@pytest.mark.parametrize(
    "query",
    [
        {"cursor": "x"},
        {"due_after": "noon"},
        {"due_before": "2026-11-20T12:00:00"},
        {"cursor": "[1]"},
        {"limit": "0"},
        {"limit": "101"},
        {"state": "lost"},
        {"day": "yesterday"},
    ],
)
def test_a_wrong_filter_is_a_problem(client: Client, query: dict[str, str]) -> None:
    reply = client.get("/api/console/orders", query=query)
    assert (reply.status, reply.headers["Content-Type"]) == (422, "application/problem+json")


def test_a_refused_order_is_listed_with_its_reason(client: Client) -> None:
    put(
        "OrdersTable",
        order_id="o-1",
        status="refused",
        reason="refused: due_until is in the past",
        day=today(),
        recorded_at=at(0),
    )
    [item] = client.get("/api/console/orders", query={"day": today()}).json["items"]
    assert (item["state"], item["late"], item["latitude"]) == ("refused", False, None)


NEW_ORDER = {
    "order_id": "o-1",
    "latitude": 52.1,
    "longitude": 5.1,
    "boxes": 2,
    "ready_at": at(-20),
    "due_from": "2026-11-20T09:30:00+01:00",
    "due_until": at(30),
}


def test_an_order_is_published_with_who_placed_it(client: Client, published: list[Any]) -> None:
    assert client.post("/api/console/orders", NEW_ORDER).json == {"order_id": "o-1"}
    [(kind, detail)] = published
    assert (kind, detail["placed_by"], detail["boxes"]) == ("Order Placed", "max", 2)
    assert datetime.fromisoformat(detail["due_from"]) == datetime(2026, 11, 20, 8, 30, tzinfo=UTC)


def test_an_order_without_an_id_gets_one(client: Client, published: list[Any]) -> None:
    unnamed = {name: value for name, value in NEW_ORDER.items() if name != "order_id"}
    order_id = client.post("/api/console/orders", unnamed).json["order_id"]
    assert order_id == published[0][1]["order_id"]
    assert len(order_id) == 36


@pytest.mark.parametrize(
    ("field", "value"),
    [("latitude", 91), ("boxes", 0), ("boxes", "many"), ("ready_at", "noon"), ("due_until", None)],
)
def test_a_wrong_field_is_named(
    client: Client, published: list[Any], field: str, value: Any
) -> None:
    reply = client.post("/api/console/orders", NEW_ORDER | {field: value})
    assert reply.status == 422
    assert [each["field"] for each in reply.json["errors"]] == [field]
    assert published == []


@pytest.mark.parametrize(
    ("window", "reason"),
    [
        ({"due_from": at(60), "due_until": at(30)}, "due_until is before due_from"),
        ({"due_from": at(-60), "due_until": at(-30)}, "due_until is in the past"),
    ],
)
def test_an_order_with_an_impossible_window_is_refused_at_once(
    client: Client, published: list[Any], window: dict[str, str], reason: str
) -> None:
    reply = client.post("/api/console/orders", NEW_ORDER | window)
    assert (reply.status, published) == (422, [])
    assert reply.json["detail"] == f"body: {reason}"


def test_one_order_is_read_in_any_state(client: Client) -> None:
    order("o-1")
    order('o/2 "', "refused")
    assert pages(client, order_id='o/2 "') == [['o/2 "']]
    assert pages(client, order_id="o-3") == [[]]


def test_an_order_can_be_cancelled_until_its_courier_leaves(
    client: Client, published: list[Any]
) -> None:
    put("CouriersTable", courier_id="ann", departs_at=at(-1))
    put("CouriersTable", courier_id="bob", departs_at=at(1))
    order("waits")
    order("of-ann", "assigned", courier_id="ann")
    order("of-bob", "assigned", courier_id="bob")
    order("done", "delivered")
    cancel = "/api/console/cancellations"
    assert client.post(cancel, {"order_id": "unknown"}).status == 404
    assert client.post(cancel, {"order_id": "done"}).status == 409
    has_left = client.post(cancel, {"order_id": "of-ann"})
    assert has_left.status == 409
    assert "Courier ann has left with the order" in has_left.json["detail"]
    assert published == []
    for order_id in ("waits", "of-bob"):
        assert client.post(cancel, {"order_id": order_id}).status == 202
    assert [(kind, detail["order_id"], detail["cancelled_by"]) for kind, detail in published] == [
        ("Order Cancelled", "waits", "max"),
        ("Order Cancelled", "of-bob", "max"),
    ]
    assert all(problems(EVENTS[kind], detail) == [] for kind, detail in published)


CHANGES = "/api/console/changes"


@pytest.mark.parametrize(
    "change",
    [
        {"courier_id": "ben"},
        {"courier_id": None},
        {"held": True},
        {"held": False, "courier_id": "ben"},
    ],
)
def test_a_change_of_an_order_is_published_with_who_changed_it(
    client: Client, published: list[Any], change: dict[str, Any]
) -> None:
    order("o-1")
    assert client.post(CHANGES, {"order_id": "o-1", **change}).status == 202
    [(kind, detail)] = published
    assert kind == "Order Changed"
    assert problems(EVENTS["Order Changed"], detail) == []
    assert detail.pop("changed_at")
    assert detail == {"order_id": "o-1", "changed_by": "max", **change}


def test_a_changed_window_is_published(client: Client, published: list[Any]) -> None:
    order("o-1")
    window = {"due_from": at(60), "due_until": at(90)}
    assert client.post(CHANGES, {"order_id": "o-1", **window}).status == 202
    assert {name: published[0][1][name] for name in window} == window


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, "send due_from and due_until, courier_id or held"),
        ({"due_from": at(60)}, "send due_from and due_until together"),
        ({"due_from": at(60), "due_until": None}, "send due_from and due_until together"),
        ({"due_from": at(60), "due_until": at(30)}, "due_until is before due_from"),
        ({"due_from": at(-60), "due_until": at(-30)}, "due_until is in the past"),
        ({"held": None}, "held"),
        ({"courier_id": ""}, "courier_id"),
    ],
)
def test_a_change_that_is_not_valid_is_refused_with_the_reason(
    client: Client, published: list[Any], change: dict[str, Any], reason: str
) -> None:
    order("o-1")
    reply = client.post(CHANGES, {"order_id": "o-1", **change})
    assert (reply.status, published) == (422, [])
    assert reason in reply.json["detail"]


def test_an_order_can_be_changed_until_its_courier_leaves(
    client: Client, published: list[Any]
) -> None:
    for courier_id, minutes in (("ann", 1), ("bob", -1)):
        put("CouriersTable", courier_id=courier_id, departs_at=at(minutes))
        order(f"of-{courier_id}", "assigned", courier_id=courier_id)
    order("done", "delivered")
    replies = {
        order_id: client.post(CHANGES, {"order_id": order_id, "held": True})
        for order_id in ("of-ann", "of-bob", "done", "unknown")
    }
    assert {order_id: reply.status for order_id, reply in replies.items()} == {
        "of-ann": 202,
        "of-bob": 409,
        "done": 409,
        "unknown": 404,
    }
    assert "Courier bob has left with the order" in replies["of-bob"].json["detail"]
    assert [detail["order_id"] for _, detail in published] == ["of-ann"]


def test_a_person_ends_the_shift_of_a_courier_who_is_on_shift(
    client: Client, published: list[Any]
) -> None:
    shift = {"vehicle": "bicycle", "checked_in_at": at(-60), "shift_ends_at": at(400)}
    put("CouriersTable", courier_id="ann", **shift)
    put("CouriersTable", courier_id="bob", **shift, off_shift_at=at(-1))
    end = "/api/console/off-shift"
    assert client.post(end, {"courier_id": "bob"}).status == 409
    assert client.post(end, {"courier_id": "nobody"}).status == 409
    assert client.post(end, {"courier_id": "ann"}).status == 202
    [(kind, detail)] = published
    assert (kind, detail["courier_id"], detail["ended_by"]) == ("Courier Off Shift", "ann", "max")
    assert problems(EVENTS[kind], detail) == []


# ── Reviews ──


def leased(client: Client, count: int) -> list[str]:
    reply = client.post("/api/console/leases", {"count": count})
    assert reply.status == 200
    return [each["image_id"] for each in reply.json["items"]]


def test_reviewers_never_get_the_same_photo(client: Client) -> None:
    photos = [photo(number) for number in range(5)]
    photo(9, waits=False)
    anna, ben = as_user(client, "anna", "reviewers"), as_user(client, "ben", "reviewers")
    assert leased(anna, 2) == photos[:2]
    assert leased(ben, 2) == photos[2:4]
    assert leased(anna, 2) == photos[4:]
    assert leased(ben, 2) == []


def test_two_reviewers_who_ask_at_once_get_different_photos(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index lags: both read the same photo as free."""
    photo(1)
    reviews = client.app.reviews
    at_once = datetime.now(UTC)
    assert reviews.take("uploads/anna/1.jpg#v", "anna", at_once)
    assert not reviews.take("uploads/anna/1.jpg#v", "ben", at_once)


def test_a_lease_ends(client: Client) -> None:
    image_id = photo(1, lease={"by": "anna", "until": at(-1)})
    held = photo(2, lease={"by": "anna", "until": at(4)})
    assert leased(as_user(client, "ben", "reviewers"), 5) == [image_id]
    assert held not in leased(as_user(client, "ben", "reviewers"), 5)


def test_a_leased_photo_says_why_it_waits(client: Client) -> None:
    photo(1)
    for number, status in ((2, "accepted"), (3, "rejected")):
        photo(number, status=status, confidence=0.97)
    items = client.post("/api/console/leases", {"count": 3}).json["items"]
    assert [each["why"] for each in items] == ["below_threshold", "audit", "audit"]


def test_a_review_is_published_with_the_name_of_the_token(
    client: Client, published: list[Any]
) -> None:
    image_id = photo(1)
    body = {"image_id": image_id, "label": "motorcycle", "reviewed_by": "ben"}
    assert client.post("/api/console/reviews", body).status == 202
    [(kind, detail)] = published
    assert kind == "Photo Reviewed"
    assert detail.pop("reviewed_at")
    assert detail == {"image_id": image_id, "label": "motorcycle", "reviewed_by": "max"}


def test_a_label_that_the_model_does_not_have_is_refused(
    client: Client, published: list[Any]
) -> None:
    image_id = photo(1)
    wrong = {"image_id": image_id, "label": "tram"}
    assert client.post("/api/console/reviews", wrong).status == 422
    unknown = {"image_id": "uploads/x#1", "label": "other"}
    assert client.post("/api/console/reviews", unknown).status == 404
    assert published == []


# ── Quality ──


def test_the_newest_reports_come_first(client: Client) -> None:
    for hour in ("2026-11-20T13", "2026-11-20T14"):
        put("DriftTable", series="hourly", hour=hour, report=json.dumps({"hour": hour}))
    count("2026-11-20T15", [])
    hours = client.get("/api/console/quality").json["hours"]
    assert [each["hour"] for each in hours] == ["2026-11-20T14", "2026-11-20T13"]
    assert hours[0]["report"] == {"hour": "2026-11-20T14"}


def hour_of_day(days_ago: int, hour: int) -> str:
    day = datetime.now(UTC).date() - timedelta(days=days_ago)
    return f"{day}T{hour:02}"


def count(hour: str, records: Sequence[Any], report: dict[str, Any] | None = None) -> None:
    """What MeasureDrift stores for an hour."""
    window = Window(hour)
    window.count(records)
    kept = {"report": json.dumps(report)} if report else {}
    put("DriftTable", series="hourly", hour=hour, counts=json.dumps(asdict(window)), **kept)


def test_the_hours_of_a_day_are_summed_not_averaged(client: Client) -> None:
    right, wrong = record(reviewed="bicycle"), record(reviewed="other")
    count(hour_of_day(1, 9), [right] * 8 + [wrong] * 2, {"model": MODEL, "drift": 0.3})
    count(hour_of_day(1, 10), [record(confidence=0.47)] * 90, {"model": MODEL, "drift": 0.1})
    count(hour_of_day(1, 11), [], {"model": MODEL, "drift": None})
    [day] = client.get("/api/console/quality").json["days"]
    interval = wilson_interval(0.8, 10)
    assert day == {
        "day": hour_of_day(1, 9)[:10],
        "model": MODEL,
        "predictions": 100,
        "reviewed": 10,
        "measured_accuracy": pytest.approx(0.8),
        "measured_accuracy_low": pytest.approx(interval.low),
        "measured_accuracy_high": pytest.approx(interval.high),
        "estimated_accuracy": pytest.approx(0.1 * 0.97 + 0.9 * 0.47),
        "review_rate": 0,
        "novelty": None,
        "drift": 0.3,
    }


def test_reviews_below_the_threshold_count_as_much_as_their_photos(client: Client) -> None:
    above = [record(reviewed="bicycle"), *[record()] * 8]
    below = record(confidence=0.5, status="review", reviewed="other")
    count(hour_of_day(0, 0), [*above, below])
    count(hour_of_day(2, 0), [record(), below])
    today_, before = client.get("/api/console/quality").json["days"]
    assert today_["measured_accuracy"] == pytest.approx(0.9)
    assert today_["review_rate"] == pytest.approx(0.1)
    assert before["reviewed"] == 1  # no review above the threshold: the accuracy is not known
    assert before["measured_accuracy"] is None


def test_novelty_is_the_mean_of_the_photos_that_have_one(client: Client) -> None:
    count(hour_of_day(1, 9), [record(novelty=0.8), record()])
    count(hour_of_day(1, 10), [record(novelty=0.2)] * 3)
    [day] = client.get("/api/console/quality").json["days"]
    assert (day["predictions"], day["novelty"]) == (5, pytest.approx(0.35))


def test_a_day_with_two_models_has_two_rows_and_days_are_seven(client: Client) -> None:
    for days_ago, hour, model in ((7, 23, "a/1"), (6, 0, "a/1"), (1, 9, "a/1"), (1, 10, "a/2")):
        moment = datetime.fromisoformat(f"{hour_of_day(days_ago, hour)}:00:00+00:00")
        report = {"model": model, "drift": hour / 100}
        count(hour_of_day(days_ago, hour), [record(model=model, at=moment)], report)
    days = client.get("/api/console/quality", query={"hours": "1"}).json["days"]
    assert [(each["day"], each["model"], each["drift"]) for each in days] == [
        (hour_of_day(1, 0)[:10], "a/2", 0.1),
        (hour_of_day(1, 0)[:10], "a/1", 0.09),
        (hour_of_day(6, 0)[:10], "a/1", 0.0),
    ]


def test_lateness_is_measured_from_deliveries(client: Client) -> None:
    def delivered(order_id: str, at_minute: float, due: float) -> None:
        times = {"delivered_at": at(at_minute), "due_until": at(due), "day": at(due)[:10]}
        order(order_id, "delivered", **times)

    assert client.get("/api/console/quality").json["deliveries"] == {
        "delivered": 0,
        "late": 0,
        "median_minutes_late": None,
    }
    for number, minutes in enumerate((-20, -10, 5, 7, 30)):
        delivered(f"o-{number}", -60, -60 - minutes)
    delivered("early", -60, 1440)
    delivered("of yesterday", -1441, -1500)
    order("on the road", "assigned")
    assert client.get("/api/console/quality").json["deliveries"] == {
        "delivered": 6,
        "late": 3,
        "median_minutes_late": 7.0,
    }
    week = client.get("/api/console/quality", query={"hours": "168"}).json["deliveries"]
    assert (week["delivered"], week["late"]) == (7, 4)


def test_the_last_retrainings_say_why_a_model_serves_or_does_not(client: Client) -> None:
    assert client.get("/api/console/quality").json["retrainings"] == []
    outcomes = ["serves: 2026.11.21-0330", "rejected: 12 of 400 photos better, 15 worse"]
    history = [{"ended_at": 1795521600 - n, "outcome": each} for n, each in enumerate(outcomes * 4)]
    put("RetrainingTable", name="retraining", history=history)
    found = client.get("/api/console/quality").json["retrainings"]
    assert [each["outcome"] for each in found] == [*outcomes, *outcomes, outcomes[0]]
    assert found[0]["ended_at"].startswith("2026-11-24T")


# ── People ──


@pytest.fixture
def user_pool(client: Client, environment: pytest.MonkeyPatch) -> None:
    """The pool of the stack's users. Moto takes a quarter of a second to create one."""
    cognito = boto3.client("cognito-idp")
    pool = cognito.create_user_pool(
        PoolName="users", Policies=resources()["UserPool"]["Properties"]["Policies"]
    )["UserPool"]["Id"]
    for group in ("couriers", "reviewers", "managers"):
        cognito.create_group(UserPoolId=pool, GroupName=group)
    environment.setenv("USER_POOL_ID", pool)


def people(client: Client) -> dict[str, dict[str, Any]]:
    items = client.get("/api/console/people").json["items"]
    return {each["user_name"]: each for each in items}


@pytest.mark.usefixtures("user_pool")
def test_a_manager_creates_blocks_and_resets_users(client: Client) -> None:
    made = client.post("/api/console/people", {"user_name": "anna", "group": "couriers"})
    assert made.status == 201
    first = made.json["temporary_password"]
    assert len(first) >= 12
    assert made.headers["Cache-Control"] == "no-store"
    assert people(client)["anna"] == {
        "user_name": "anna",
        "groups": ["couriers"],
        "blocked": False,
        "state": "FORCE_CHANGE_PASSWORD",
    }
    blocked = "/api/console/people/anna/blocked"
    assert client.post(blocked, {"blocked": True}).status == 204
    assert people(client)["anna"]["blocked"]
    assert client.post(blocked, {"blocked": False}).status == 204
    assert not people(client)["anna"]["blocked"]
    again = client.post("/api/console/people/anna/password")
    assert again.json["temporary_password"] != first


@pytest.mark.usefixtures("user_pool")
def test_the_shift_of_a_blocked_courier_ends(client: Client, published: list[Any]) -> None:
    shift = {"vehicle": "bicycle", "checked_in_at": at(-60), "shift_ends_at": at(400)}
    put("CouriersTable", courier_id="anna", **shift)
    put("CouriersTable", courier_id="ben", **shift, off_shift_at=at(-1))
    for name in ("anna", "ben", "cem"):
        client.post("/api/console/people", {"user_name": name, "group": "couriers"})
        for blocked in (True, False):
            reply = client.post(f"/api/console/people/{name}/blocked", {"blocked": blocked})
            assert reply.status == 204
    [(kind, detail)] = published
    assert (kind, detail["courier_id"], detail["ended_by"]) == ("Courier Off Shift", "anna", "max")
    assert problems(EVENTS[kind], detail) == []


@pytest.mark.usefixtures("user_pool")
def test_without_dispatch_blocking_ends_no_shift(
    client: Client, environment: pytest.MonkeyPatch, published: list[Any]
) -> None:
    environment.setenv("COURIERS_TABLE_NAME", "")
    client.post("/api/console/people", {"user_name": "anna", "group": "couriers"})
    assert client.post("/api/console/people/anna/blocked", {"blocked": True}).status == 204
    assert published == []


@pytest.mark.usefixtures("user_pool")
@pytest.mark.parametrize("name", ["a/b", "Anna", "", "a b", "../x", "x" * 65, "unknown"])
def test_names_that_cannot_be_folders_are_refused(client: Client, name: str) -> None:
    reply = client.post("/api/console/people", {"user_name": name, "group": "couriers"})
    assert reply.status in (409, 422)
    assert people(client) == {}


@pytest.mark.usefixtures("user_pool")
def test_a_name_is_given_once(client: Client) -> None:
    person = {"user_name": "anna", "group": "couriers"}
    assert client.post("/api/console/people", person).status == 201
    assert client.post("/api/console/people", person).status == 409


@pytest.mark.usefixtures("user_pool")
def test_nobody_blocks_themselves_or_who_is_not_there(client: Client) -> None:
    assert client.post("/api/console/people/max/blocked", {"blocked": True}).status == 409
    assert client.post("/api/console/people/ghost/blocked", {"blocked": True}).status == 404
    assert client.post("/api/console/people/ghost/password").status == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/console/people", None),
        ("POST", "/api/console/people", {"user_name": "eve", "group": "managers"}),
        ("POST", "/api/console/people/max/password", None),
        ("POST", "/api/console/people/max/blocked", {"blocked": True}),
    ],
)
def test_reviewers_do_not_manage_people(client: Client, method: str, path: str, body: Any) -> None:
    assert as_user(client, "anna", "reviewers").send(method, path, body).status == 403
