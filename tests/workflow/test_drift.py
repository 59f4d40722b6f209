"""Drift is measured from what the stack recorded, with the permissions of the template."""

import hashlib
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.permissions import allowed, without
from tests.workflow.conftest import (
    REPOSITORY,
    SURE,
    Stack,
    probabilities,
    standard_only,
    wait_until,
)

pytestmark = standard_only

METADATA = json.loads((REPOSITORY / "models" / "vehicles" / "metadata.json").read_bytes())
MODEL = f"{METADATA['name']}/{METADATA['version']}"


@pytest.fixture
def hour(stack: Stack) -> Iterator[str]:
    """An hour of some days ago with 120 predictions of the shipped model, and nothing else."""
    at = datetime.now(UTC) - timedelta(days=3)
    hour = at.strftime("%Y-%m-%dT%H")
    table = stack.outputs["PredictionsTableName"]
    requests = [
        {
            "PutRequest": {
                "Item": {
                    "image_id": {"S": f"uploads/1/{hour}/{number}.jpg#1"},
                    "s3_bucket": {"S": stack.bucket},
                    "s3_key": {"S": f"uploads/1/{hour}/{number}.jpg"},
                    "sender_id": {"S": "1"},
                    "status": {"S": "accepted"},
                    "label": {"S": "bicycle"},
                    "confidence": {"N": "0.97"},
                    "novelty": {"N": "0.25"},
                    "model": {"S": MODEL},
                    "hour": {"S": hour},
                    "recorded_at": {"S": f"{hour}:00:00.{number:03}Z"},
                }
            }
        }
        for number in range(120)
    ]
    for start in range(0, len(requests), 25):
        stack.dynamodb.batch_write_item(RequestItems={table: requests[start : start + 25]})
    yield hour
    for request in requests:
        key = {"image_id": request["PutRequest"]["Item"]["image_id"]}
        stack.dynamodb.delete_item(TableName=table, Key=key)


def measure(stack: Stack, hour: str) -> dict[str, Any]:
    """What the function answers: a report, or an error."""
    answer = stack.cloud.client("lambda").invoke(
        FunctionName=stack.outputs["MeasureDriftFunctionName"],
        Payload=json.dumps({"hour": hour}),
    )
    found: dict[str, Any] = json.loads(answer["Payload"].read())
    assert ("errorMessage" in found) == ("FunctionError" in answer)
    return found


def kept(stack: Stack, hour: str) -> dict[str, Any]:
    """What DriftTable has of an hour."""
    item = stack.dynamodb.get_item(
        TableName=stack.outputs["DriftTableName"],
        Key={"series": {"S": "hourly"}, "hour": {"S": hour}},
    )["Item"]
    return {name: json.loads(item[name]["S"]) for name in ("counts", "report")}


def test_an_hour_is_measured_and_again_after_a_review(stack: Stack, hour: str) -> None:
    report = measure(stack, hour)
    assert (report["model"], report["predictions"], report["reviewed"]) == (MODEL, 120, 0)
    assert report["drift"] is not None  # with the baseline that is in the package
    assert report["novelty"] == pytest.approx(0.25)
    assert kept(stack, hour)["report"] == report
    # A person looks at one of them.
    image_id = f"uploads/1/{hour}/7.jpg#1"
    answer = {"image_id": image_id, "label": "motorcycle", "reviewed_by": "anna"}
    answer["reviewed_at"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    stack.cloud.client("events").put_events(
        Entries=[
            {
                "EventBusName": stack.outputs["EventBusName"],
                "Source": "scones-unlimited",
                "DetailType": "Photo Reviewed",
                "Detail": json.dumps(answer),
            }
        ]
    )
    wait_until(lambda: "reviewed_label" in (stack.record(image_id) or {}), "the review")
    assert measure(stack, hour)["reviewed"] == 1
    counts = kept(stack, hour)["counts"]["models"][MODEL]
    assert counts["statuses"]["accepted"] == [120, 1, 0]


def test_a_baseline_in_the_bucket_comes_first(stack: Stack, hour: str) -> None:
    before = measure(stack, hour)
    key = f"baselines/{MODEL}/traffic.json"
    labels = {"bicycle": 0.98, "motorcycle": 0.01, "other": 0.01}
    other = METADATA | {"baseline": METADATA["baseline"] | {"labels": labels}}
    stack.s3.put_object(Bucket=stack.bucket, Key=key, Body=json.dumps(other))
    try:
        assert measure(stack, hour)["label_drift"] < 0.1 < before["label_drift"]
    finally:
        stack.s3.delete_object(Bucket=stack.bucket, Key=key)


@pytest.mark.parametrize(
    ("policy", "action"),
    [
        ("ReadPredictions", "dynamodb:Query"),
        ("KeepCounts", "dynamodb:Query"),
        ("KeepCounts", "dynamodb:UpdateItem"),
    ],
)
def test_each_permission_is_needed(stack: Stack, hour: str, policy: str, action: str) -> None:
    with without(stack, "MeasureDriftRole", policy, action):
        refused = measure(stack, hour)
    assert action in refused["errorMessage"]
    assert "predictions" in measure(stack, hour)


def test_baselines_alone_can_be_read(stack: Stack) -> None:
    bucket = f"arn:aws:s3:::{stack.bucket}"
    read = "MeasureDriftRole", "s3:GetObject"
    assert allowed(stack, *read, f"{bucket}/baselines/{MODEL}.json")
    assert allowed(stack, *read, f"{bucket}/baselines/{MODEL}/traffic.json")
    assert not allowed(stack, *read, f"{bucket}/uploads/42/bike.jpg")
    see = "MeasureDriftRole", "s3:ListBucket"
    assert allowed(stack, *see, bucket)
    schedule = "MeasureDriftScheduleRole", "lambda:InvokeFunction"
    own = stack.cloud.client("lambda").get_function(
        FunctionName=stack.outputs["MeasureDriftFunctionName"]
    )["Configuration"]["FunctionArn"]
    assert allowed(stack, *schedule, own)
    assert not allowed(stack, *schedule, own + "-other")


# ── The audit ──


@pytest.fixture
def auditing(stack: Stack) -> Iterator[str]:
    """A copy of the workflow that lets a person see half of what the model is sure of."""
    true = stack.stepfunctions.describe_state_machine(stateMachineArn=stack.state_machine)
    definition = true["definition"].replace("$floor(0 * 65536)", "$floor(0.5 * 65536)")
    assert definition != true["definition"]
    copy: str = stack.stepfunctions.create_state_machine(
        name=f"auditing-{os.getpid()}",
        definition=definition,
        roleArn=true["roleArn"],
        type=true["type"],
    )["stateMachineArn"]
    yield copy
    stack.stepfunctions.delete_state_machine(stateMachineArn=copy)


def test_some_of_what_the_model_is_sure_of_waits_for_a_person_too(
    stack: Stack, auditing: str
) -> None:
    waiting = set()
    replies = [SURE, probabilities(0.01, 0.01, 0.98)] * 4
    with stack.endpoint.answering(*replies):
        outcomes = [stack.run(stack.put_unnoticed(), auditing) for _ in replies]
    for outcome in outcomes:
        assert outcome.values["status"] in {"accepted", "rejected"}
        assert outcome.events[-1]["status"] == outcome.values["status"]  # nobody waits for it
        if outcome.values.get("review_state") == "waiting":
            waiting.add(outcome.image_id)
    chosen = {
        outcome.image_id
        for outcome in outcomes
        if hashlib.sha256(outcome.image_id.encode()).hexdigest()[:4] < "8000"
    }
    assert waiting == chosen
    assert chosen <= set(stack.query("to_review", review_state="waiting"))


def test_what_cannot_be_classified_is_not_audited(stack: Stack, auditing: str) -> None:
    for number in range(4):
        put = stack.s3.put_object(
            Bucket=stack.bucket, Key=f"uploads/42/{number}.txt", Body=b"no photo"
        )
        event = stack.event(f"uploads/42/{number}.txt", put["ETag"].strip('"'), put["VersionId"])
        assert "review_state" not in stack.run(event, auditing).values
