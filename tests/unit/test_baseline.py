"""The traffic as baseline: the output of the command, and its errors."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import boto3
import pytest

from operations.baseline import SHIPPED, main, set_baseline
from operations.errors import UserError
from operations.stack import Stack
from tests.support.tables import schema

MODEL = "scones-vehicle-classifier/1.0.0"
NOW = datetime.now(UTC)
STACK = Stack(
    id="stack",
    name="scones-unlimited",
    status="CREATE_COMPLETE",
    parameters={},
    outputs={"DriftTableName": "drift", "PhotosBucketName": "photos"},
    is_protected=False,
)


@pytest.fixture
def cloud(aws: None) -> None:
    boto3.client("dynamodb").create_table(TableName="drift", **schema("DriftTable"))
    boto3.client("s3").create_bucket(
        Bucket="photos", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )


def keep(at: datetime, model: str = MODEL, scale: int = 1, reviewed: int = 40) -> None:
    """Counts of an hour, as MeasureDrift keeps them."""
    confidence = [0] * 100
    confidence[97], confidence[70] = 400 * scale, 100 * scale
    tally = {
        "labels": {"bicycle": 400 * scale, "motorcycle": 100 * scale},
        "confidence": confidence,
        "confidence_sum": 470.0 * scale,
        "novelty": {"count": 500 * scale, "total": 200.0 * scale, "squares": 100.0 * scale},
        "statuses": {
            "accepted": [400 * scale, reviewed, reviewed * 39 // 40],
            "review": [100 * scale, reviewed, reviewed * 3 // 4],
            "rejected": [0, 0, 0],
        },
        "last_at": at.isoformat(),
    }
    hour = at.strftime("%Y-%m-%dT%H")
    counts = {"hour": hour, "models": {model: tally}, "unreadable": 0, "failed": 0}
    item = {"series": {"S": "hourly"}, "hour": {"S": hour}, "counts": {"S": json.dumps(counts)}}
    boto3.client("dynamodb").put_item(TableName="drift", Item=item)


def stored(model: str = MODEL) -> dict[str, Any]:
    body = boto3.client("s3").get_object(Bucket="photos", Key=f"baselines/{model}/traffic.json")
    found: dict[str, Any] = json.load(body["Body"])
    return found


def test_traffic_becomes_the_baseline_that_the_function_reads(
    cloud: None, load: Callable[[str, str], ModuleType]
) -> None:
    keep(NOW)
    keep(NOW - timedelta(hours=1))
    keep(NOW - timedelta(days=30), scale=100)  # too long ago
    said = set_baseline(STACK, 7, reset=False)
    assert "1000 predictions" in said
    assert "bicycle 80%" in said
    found = stored()
    assert found["baseline"]["accuracy"] == pytest.approx(0.8 * 0.975 + 0.2 * 0.75)
    assert sum(found["baseline"]["confidence"]) == pytest.approx(1)
    baseline = load("measure_drift", "report").Baseline.from_metadata(found)
    assert baseline.below_threshold.accuracy == pytest.approx(0.75)
    assert baseline.mean_confidence == 0.94
    assert (baseline.mean_novelty, baseline.novelty_deviation) == (0.4, 0.2)
    # The accuracy comes from reviewed predictions only.
    assert (baseline.above_threshold.photos, baseline.below_threshold.photos) == (80, 80)


def test_only_the_model_that_was_used_last_counts(cloud: None) -> None:
    keep(NOW - timedelta(hours=1))
    keep(NOW, model="next/2")
    assert "next/2" in set_baseline(STACK, 7, reset=False)
    assert stored("next/2")["baseline"]["count"] == 500


def in_bucket() -> dict[str, bytes]:
    s3 = boto3.client("s3")
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket="photos").get("Contents", [])]
    return {key: s3.get_object(Bucket="photos", Key=key)["Body"].read() for key in keys}


def test_reset_uses_the_models_own_baseline_again(cloud: None) -> None:
    """The baseline of a retrained model has no other copy, so it is not deleted."""
    own = {"baselines/next/2.json": b"its own"}
    boto3.client("s3").put_object(Bucket="photos", Key="baselines/next/2.json", Body=b"its own")
    keep(NOW, model="next/2")
    set_baseline(STACK, 7, reset=False)
    assert own.items() < in_bucket().items()
    assert "validation photos again" in set_baseline(STACK, 7, reset=True)
    assert in_bucket() == own


def test_reset_says_if_the_model_has_no_baseline_of_its_own(cloud: None) -> None:
    keep(NOW, model="next/2")
    said = set_baseline(STACK, 7, reset=True)
    assert "has no baseline now" in said
    assert "s3://photos/baselines/next/2.json" in said


def test_the_shipped_model_has_its_own_baseline(cloud: None) -> None:
    keep(NOW, model=f"{SHIPPED['name']}/{SHIPPED['version']}")
    assert "validation photos again" in set_baseline(STACK, 7, reset=True)


@pytest.mark.parametrize(
    ("hours", "reviewed", "problem"),
    [(0, 40, "no predictions"), (1, 4, "4 reviews are too few")],
)
def test_too_few_predictions_are_refused(
    cloud: None, hours: int, reviewed: int, problem: str
) -> None:
    for number in range(hours):
        keep(NOW - timedelta(hours=number), reviewed=reviewed)
    with pytest.raises(UserError, match=problem):
        set_baseline(STACK, 7, reset=False)


@pytest.mark.parametrize("days", ["nan", "inf", "1e9", "0", "-1", "soon"])
def test_days_that_records_cannot_reach_back_are_refused_in_one_line(
    days: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["baseline", "--days", days])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "argument --days:" in capsys.readouterr().err
