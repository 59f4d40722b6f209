"""What the shop sees in the views Now and Quality of the console."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from functions.measure_drift.formulas import wilson_interval
from functions.measure_drift.windows import Window
from tests.support.drift import MODEL, record
from tests.support.tables import at, order, photo, put
from tests.support.web import Client, now

# ── Now ──


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
