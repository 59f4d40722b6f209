"""`make events` writes files with the names of a deployed stack."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from operations import sample_events
from operations.errors import UserError
from operations.stack import Stack
from tests.support.repository import REPOSITORY
from tests.support.schemas import assert_event

STACK = "bakery"
BUCKET = "bakery-photos"
REGION = "eu-central-1"
DESCRIBED = {
    "StackId": f"arn:aws:cloudformation:{REGION}:111111111111:stack/{STACK}/1",
    "StackName": STACK,
    "StackStatus": "CREATE_COMPLETE",
    "CreationTime": datetime(2026, 1, 1, tzinfo=UTC),
    "Outputs": [
        {"OutputKey": "PhotosBucketName", "OutputValue": BUCKET},
        {"OutputKey": "EventBusName", "OutputValue": STACK},
    ],
}
RESOURCES = [
    {
        "LogicalResourceId": name,
        "PhysicalResourceId": f"{STACK}-{name}-1",
        "ResourceType": kind,
        "LastUpdatedTimestamp": datetime(2026, 1, 1, tzinfo=UTC),
        "ResourceStatus": "CREATE_COMPLETE",
    }
    for name, kind in (
        ("PhotosBucket", "AWS::S3::Bucket"),
        ("MeasureDriftFunction", "AWS::Lambda::Function"),
    )
]


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The clients of a stack with a bucket and a function: what `session.client` returns."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    names = ("s3", "cloudformation", "lambda")
    with mock_aws():
        clients = {name: boto3.client(name, region_name=REGION) for name in names}
        clients["s3"].create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        clients["s3"].put_bucket_versioning(
            Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"}
        )
        with Stubber(clients["cloudformation"]) as stacks, Stubber(clients["lambda"]) as functions:
            stacks.add_response("describe_stacks", {"Stacks": [DESCRIBED]}, {"StackName": STACK})
            stacks.add_response("list_stack_resources", {"StackResourceSummaries": RESOURCES})
            functions.add_response(
                "get_function_configuration",
                {"Environment": {"Variables": {"PHOTOS_BUCKET_NAME": BUCKET}}},
                {"FunctionName": "bakery-MeasureDriftFunction-1"},
            )
            yield clients


def upload(session: dict[str, Any], key: str) -> dict[str, Any]:
    return session["s3"].put_object(Bucket=BUCKET, Key=key, Body=b"photo")


def written(session: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The content of the files that the command writes, by name."""
    paths = sample_events.write_files(session.__getitem__, STACK, folder)
    return {path.stem: json.loads(path.read_text()) for path in paths}


@pytest.mark.parametrize("key", ["uploads/42/bike.jpg", 'uploads/42/my "new" bike é.jpg'])
def test_sample_events_name_the_stack_and_its_newest_photo(
    session: dict[str, Any], tmp_path: Path, key: str
) -> None:
    put = upload(session, key)
    files = written(session, tmp_path)
    samples = {path.stem for path in (REPOSITORY / "events").glob("*.json")}
    assert files.keys() == {"environment", *samples}

    assert files["environment"] == {"MeasureDriftFunction": {"PHOTOS_BUCKET_NAME": BUCKET}}
    assert files["serialize_image"] == {"s3_bucket": BUCKET, "s3_key": key}
    created = files["s3_object_created"]
    assert (created["region"], created["account"]) == (REGION, "111111111111")
    assert created["detail"]["bucket"]["name"] == BUCKET
    photo = created["detail"]["object"]
    assert (photo["key"], photo["size"]) == (key, 5)
    assert (photo["version-id"], photo["etag"]) == (put["VersionId"], put["ETag"].strip('"'))


def test_the_sample_order_can_be_put_on_the_bus_of_the_stack(
    session: dict[str, Any], tmp_path: Path
) -> None:
    upload(session, "uploads/42/bike.jpg")
    [entry] = written(session, tmp_path)["order_placed"]
    assert entry["EventBusName"] == STACK
    order = json.loads(entry["Detail"])
    assert_event(entry["DetailType"], order)
    assert order["due_until"][:10] == f"{datetime.now(UTC):%Y-%m-%d}"


def test_sample_events_have_the_date_of_today(session: dict[str, Any], tmp_path: Path) -> None:
    upload(session, "uploads/42/bike.jpg")
    before = datetime.now(UTC)
    files = written(session, tmp_path)
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    uploaded_at = datetime.fromisoformat(files["s3_object_created"]["time"])
    assert abs((uploaded_at - before).total_seconds()) < 60  # so not in the future
    assert files["measure_drift"] == {"hour": f"{uploaded_at:%Y-%m-%dT%H}"}
    bodies = [json.loads(each["body"]) for each in files["dispatch_orders"]["Records"]]
    assert [body["detail"]["due_until"][:10] for body in bodies if "Order" in body["detail-type"]]
    for body in bodies:
        times = [body["time"], *(v for k, v in body.get("detail", {}).items() if "_at" in k)]
        assert {time[:10] for time in times} == {today}


def test_a_stack_without_a_photo_says_how_to_upload_one(
    session: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"no photo yet: upload one with `aws s3 cp .*/uploads/42/"):
        written(session, tmp_path)


def test_the_photo_to_upload_is_one_of_the_use_case(session: dict[str, Any]) -> None:
    outputs = {"PhotosBucketName": BUCKET}
    stack = Stack("id", STACK, "CREATE_COMPLETE", {"UseCase": "scones"}, outputs, False)
    sample = f"aws s3 cp local/samples/scones/broken-1.jpg s3://{BUCKET}/"
    with pytest.raises(UserError, match=sample):
        sample_events.newest_photo(session["s3"], stack)
