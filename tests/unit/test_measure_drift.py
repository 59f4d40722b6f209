"""MeasureDrift reads records, and stores and publishes what it measures."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest

from tests.support.drift import METADATA, MODEL, NOON, SHIPPED, record
from tests.support.tables import schema


class Cloud:
    """Moto's tables and bucket, made as in the template, and the function."""

    def __init__(self, app: ModuleType, context: Any) -> None:
        self.app, self.context = app, context
        self.dynamodb, self.s3 = app.dynamodb, app.s3
        for name, logical in (("predictions", "PredictionsTable"), ("drift", "DriftTable")):
            self.dynamodb.create_table(TableName=name, **schema(logical))
        self.s3.create_bucket(
            Bucket="photos", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )

    def put(self, number: int, prediction: dict[str, Any], at: datetime = NOON) -> None:
        """Record a prediction as the workflow does."""
        own = {"image_id": {"S": str(number)}, "hour": {"S": at.strftime("%Y-%m-%dT%H")}}
        item = prediction | own | {"recorded_at": {"S": at.isoformat()}, "reason": {"S": "long"}}
        self.dynamodb.put_item(TableName="predictions", Item=item)

    def measure(self, hour: str = "2026-11-20T12") -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.app.handler({"hour": hour}, self.context)
        return found

    def kept(self, hour: str = "2026-11-20T12") -> dict[str, Any]:
        """Read the item of an hour from DriftTable."""
        key = {"series": {"S": "hourly"}, "hour": {"S": hour}}
        item = self.dynamodb.get_item(TableName="drift", Key=key).get("Item", {})
        kept = {name: json.loads(item[name]["S"]) for name in ("counts", "report") if name in item}
        return kept | ({"expires_at": int(item["expires_at"]["N"])} if item else {})


@pytest.fixture
def cloud(
    load: Callable[[str, str], ModuleType],
    aws: None,
    environment: pytest.MonkeyPatch,
    context: Any,
) -> Cloud:
    environment.setenv("PREDICTIONS_TABLE_NAME", "predictions")
    environment.setenv("DRIFT_TABLE_NAME", "drift")
    environment.setenv("PHOTOS_BUCKET_NAME", "photos")
    environment.setenv("MAXIMUM_DRIFT", "0.25")
    environment.setenv("PREDICTION_RETENTION_DAYS", "400")
    cloud = Cloud(load("measure_drift", "app"), context)
    body = json.dumps(METADATA)
    cloud.s3.put_object(Bucket="photos", Key=f"baselines/{MODEL}.json", Body=body)
    return cloud


def fill(cloud: Cloud, count: int = 120, at: datetime = NOON, **changes: Any) -> None:
    for number in range(count):
        cloud.put(number, record(**changes), at + timedelta(seconds=number))


def test_an_hour_is_counted_reported_and_emitted(cloud, capsys):
    fill(cloud, novelty=0.25)
    report = cloud.measure()
    assert report is not None
    assert (report["model"], report["predictions"]) == (MODEL, 120)
    assert report["novelty"] == 0.25
    kept = cloud.kept()
    assert kept["report"] == report
    assert kept["counts"]["models"][MODEL]["labels"] == {"bicycle": 120}
    assert kept["expires_at"] == datetime(2027, 12, 25, 12, tzinfo=UTC).timestamp()
    [line] = [line for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    emitted = json.loads(line)
    assert emitted["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]
    names = {metric["Name"] for metric in emitted["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert names == {"EstimatedAccuracy", "AccuracyDrop", "Drift", "ReviewRate"}
    assert emitted["EstimatedAccuracy"] == [pytest.approx(0.97)]
    assert emitted["report"] == report


def test_a_second_run_counts_nothing_twice(cloud):
    fill(cloud)
    first = cloud.measure()
    assert cloud.measure() == first
    assert cloud.kept()["counts"]["models"][MODEL]["labels"] == {"bicycle": 120}


def test_reviews_are_counted_by_later_runs(cloud):
    fill(cloud)
    cloud.measure()
    for number in range(0, 120, 2):
        at = NOON + timedelta(seconds=number)
        cloud.put(number, record(reviewed="bicycle" if number % 20 else "motorcycle"), at)
    fill(cloud, 1, NOON + timedelta(hours=1), model="next/2")
    cloud.measure("2026-11-20T13")
    assert cloud.kept()["counts"]["models"][MODEL]["statuses"]["accepted"] == [119, 59, 54]
    assert cloud.kept()["report"]["reviewed"] == 0  # as it was known then


def test_an_hour_is_counted_again_for_ten_days(cloud):
    for age in (1, 2, 4, 8, 16, 32, 64, 128, 256):
        fill(cloud, 1, NOON - timedelta(hours=age - 1))
        cloud.measure()
        assert cloud.kept((NOON - timedelta(hours=age - 1)).strftime("%Y-%m-%dT%H"))["counts"]
        cloud.dynamodb.delete_item(TableName="predictions", Key={"image_id": {"S": "0"}})


def test_more_predictions_than_a_page_are_all_counted(cloud, monkeypatch):
    fill(cloud, 50)
    paginate = cloud.dynamodb.get_paginator("query").paginate
    pages = 0

    def small_pages(**arguments: Any) -> Any:
        nonlocal pages
        for page in paginate(**arguments, PaginationConfig={"PageSize": 7}):
            pages += 1
            yield page

    class Paginator:
        paginate = staticmethod(small_pages)

    monkeypatch.setattr(cloud.dynamodb, "get_paginator", lambda _: Paginator)
    cloud.measure()
    assert pages > 7
    assert cloud.kept()["counts"]["models"][MODEL]["labels"] == {"bicycle": 50}


def test_an_hour_without_predictions_has_no_report_and_no_metrics(cloud, capsys):
    fill(cloud, at=NOON - timedelta(hours=1))
    assert cloud.measure() is None
    assert cloud.kept() == {}
    assert "_aws" not in capsys.readouterr().out


def test_the_model_in_service_is_that_of_the_last_prediction(cloud):
    fill(cloud)
    cloud.put(999, record(model="next/2"), NOON + timedelta(minutes=59))
    report = cloud.measure()
    assert report is not None
    assert report["model"] == "next/2"
    assert report["drift"] is None  # it has no baseline


def test_without_a_stored_baseline_the_shipped_one_is_used(cloud, monkeypatch):
    shipped = json.loads(SHIPPED.read_text())
    assert cloud.app.read_baseline(f"{shipped['name']}/{shipped['version']}") is not None
    assert cloud.app.read_baseline("another/1") is None
    # A baseline in the bucket is used first.
    changed = METADATA | {"baseline": METADATA["baseline"] | {"count": 7}}
    key = f"baselines/{shipped['name']}/{shipped['version']}.json"
    cloud.s3.put_object(Bucket="photos", Key=key, Body=json.dumps(changed))
    assert cloud.app.read_baseline(f"{shipped['name']}/{shipped['version']}").count == 7


def test_a_baseline_of_traffic_is_used_before_the_models_own(cloud):
    traffic = METADATA | {"baseline": METADATA["baseline"] | {"count": 7}}
    cloud.s3.put_object(
        Bucket="photos", Key=f"baselines/{MODEL}/traffic.json", Body=json.dumps(traffic)
    )
    assert cloud.app.read_baseline(MODEL).count == 7
    cloud.s3.delete_object(Bucket="photos", Key=f"baselines/{MODEL}/traffic.json")
    assert cloud.app.read_baseline(MODEL).count == 600


def test_an_incomplete_baseline_is_an_error_after_the_counts_are_stored(cloud):
    fill(cloud)
    cloud.s3.put_object(Bucket="photos", Key=f"baselines/{MODEL}.json", Body='{"baseline": {}}')
    with pytest.raises(ValueError, match="no complete baseline"):
        cloud.measure()
    assert cloud.kept()["counts"]


@pytest.mark.parametrize("hour", ["yesterday", "2026-11-20", 14])
def test_a_text_that_is_not_an_hour_is_refused(cloud, hour):
    with pytest.raises(ValueError, match='not an hour like "2026-11-20T14"'):
        cloud.measure(hour)


def test_the_default_is_the_last_complete_hour(cloud):
    hour = cloud.app.parse_hour(None)
    assert timedelta(hours=1) <= datetime.now(UTC) - hour < timedelta(hours=2)
