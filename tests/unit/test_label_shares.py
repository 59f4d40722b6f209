"""The share of each sender's photos that show a label: what finds an oven that breaks scones."""

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest

from tests.support.tables import schema

HOUR = "2026-11-20T12"


@pytest.fixture(scope="module")
def shares(load: Callable[[str, str], ModuleType]) -> ModuleType:
    return load("measure_drift", "shares")


def records(sender: str, *labels: str | None, reviewed: str | None = None) -> Iterable[Any]:
    """Records of photos of a sender; a label that is None is a file that cannot be read."""
    for number, label in enumerate(labels):
        found: dict[str, Any] = {"image_id": {"S": f"uploads/{sender}/{number}.jpg#1"}}
        if label:
            found["label"] = {"S": label}
        if reviewed:
            found["reviewed_label"] = {"S": reviewed}
        yield found


def test_each_sender_has_its_share(shares: ModuleType) -> None:
    senders = shares.Senders()
    senders.count(records("oven-1", "broken", "intact", "intact", "intact"))
    senders.count(records("oven-2", "broken", "broken"))
    assert senders.shares(["broken"]) == [
        {"label": "broken", "sender_id": "oven-1", "photos": 4, "share": 0.25},
        {"label": "broken", "sender_id": "oven-2", "photos": 2, "share": 1.0},
    ]


def test_only_photos_that_show_a_label_count(shares: ModuleType) -> None:
    senders = shares.Senders()
    senders.count(records("oven-1", "broken", "intact", "other", None))
    assert [each["photos"] for each in senders.shares(["broken"])] == [2]


def test_the_label_of_a_review_counts_before_that_of_the_model(shares: ModuleType) -> None:
    senders = shares.Senders()
    senders.count(records("oven-1", "intact", "intact", reviewed="broken"))
    assert [each["share"] for each in senders.shares(["broken"])] == [1.0]


def test_few_photos_of_a_sender_set_no_alarm_off(shares: ModuleType) -> None:
    senders = shares.Senders()
    senders.count(records("oven-1", *["broken"] * 9))
    senders.count(records("oven-2", *["broken"], *["intact"] * 9))
    assert shares.highest(senders.shares(["broken"])) == {"broken": 0.1}


def test_a_crowd_of_senders_does_not_make_a_crowd_of_metrics(shares: ModuleType) -> None:
    senders = shares.Senders()
    for number in range(200):
        senders.count(records(f"channel-{number}", *["food"] * (number + 1)))
    found = senders.shares(["food"])
    assert len(found) == shares.MAX_SENDERS
    assert min(each["photos"] for each in found) == 151


@pytest.mark.parametrize("topic_labels", ["", "broken"])
def test_the_function_keeps_and_publishes_the_shares_of_labels_with_a_topic(
    load: Callable[[str, str], ModuleType],
    aws: None,
    environment: pytest.MonkeyPatch,
    context: Any,
    capsys: pytest.CaptureFixture[str],
    topic_labels: str,
) -> None:
    for name, value in {
        "PREDICTIONS_TABLE_NAME": "predictions",
        "DRIFT_TABLE_NAME": "drift",
        "PHOTOS_BUCKET_NAME": "photos",
        "MAXIMUM_DRIFT": "0.25",
        "PREDICTION_RETENTION_DAYS": "400",
        "TOPIC_LABELS": topic_labels,
    }.items():
        environment.setenv(name, value)
    app = load("measure_drift", "app")
    for name, logical in (("predictions", "PredictionsTable"), ("drift", "DriftTable")):
        app.dynamodb.create_table(TableName=name, **schema(logical))
    app.s3.create_bucket(
        Bucket="photos", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    at = datetime(2026, 11, 20, 12, tzinfo=UTC).isoformat()
    for record in records("oven-1", *["broken"] * 3, *["intact"] * 9):
        common = {"hour": {"S": HOUR}, "recorded_at": {"S": at}, "status": {"S": "accepted"}}
        model = {"model": {"S": "scones/1"}, "confidence": {"N": "0.97"}}
        app.dynamodb.put_item(TableName="predictions", Item=record | common | model)
    app.handler({"hour": HOUR}, context)
    key = {"series": {"S": "hourly"}, "hour": {"S": HOUR}}
    kept = app.dynamodb.get_item(TableName="drift", Key=key)["Item"]
    lines = [line for line in capsys.readouterr().out.splitlines() if "LabelShare" in line]
    if not topic_labels:
        assert "label_shares" not in kept
        assert lines == []
        return
    share = {"label": "broken", "sender_id": "oven-1", "photos": 12, "share": 0.25}
    assert json.loads(kept["label_shares"]["S"]) == [share]
    emitted = [json.loads(line) for line in lines]
    dimensions = [
        {name: each[name] for name in each["_aws"]["CloudWatchMetrics"][0]["Dimensions"][0]}
        for each in emitted
    ]
    # The second one is what the alarm watches.
    of_stack = {"service": "scones-unlimited", "label": "broken"}
    assert dimensions == [of_stack | {"sender": "oven-1"}, of_stack]
    assert [each["LabelShare"] for each in emitted] == [[0.25], [0.25]]
    assert {each["_aws"]["CloudWatchMetrics"][0]["Namespace"] for each in emitted} == {
        "SconesUnlimited"
    }
