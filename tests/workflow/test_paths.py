"""Every path through the classification workflow ends in one record and one event."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.endpoint import (
    CLOSE,
    CONFIDENT,
    HANG,
    INTERNAL_FAILURE,
    MODEL_ERROR,
    NO_ENDPOINT,
    THROTTLED,
    UNAVAILABLE,
    Reply,
    fault,
    probabilities,
    response,
)
from tests.support.records import assert_recorded
from tests.support.repository import REPOSITORY
from tests.support.stack import BURST_WAIT_SCALE, Stack, failures, standard_only
from tests.support.waiting import wait_until

BICYCLE = REPOSITORY / "local" / "photos" / "bicycle-courier.jpg"

# ── The photo is classified ──


@pytest.mark.parametrize(
    ("inferences", "status", "label", "reason"),
    [
        (probabilities(0.97, 0.02, 0.01), "accepted", "bicycle", "bicycle, 97% confidence"),
        (probabilities(0.05, 0.90, 0.05), "accepted", "motorcycle", "motorcycle, 90% confidence"),
        (response([0.02, 0.97, 0.01]), "accepted", "motorcycle", "motorcycle, 97% confidence"),
        (
            probabilities(0.60, 0.30, 0.10),
            "review",
            "bicycle",
            "below the confidence threshold: bicycle 60%, motorcycle",
        ),
        (
            probabilities(0.10, 0.10, 0.80),
            "review",
            "other",
            "below the confidence threshold: other 80%",
        ),
        (
            probabilities(0.01, 0.01, 0.98),
            "rejected",
            "other",
            "the photo shows no bicycle or motorcycle",
        ),
    ],
)
def test_the_inferences_decide_the_status(
    stack: Stack, inferences: Reply, status: str, label: str, reason: str
) -> None:
    with stack.endpoint.responding(then=inferences):
        outcome = stack.upload(stack.photo(), "uploads/42/bike.jpg")
        again = stack.upload(stack.photo())
    record, second = assert_recorded(outcome, status), assert_recorded(again, status)
    assert outcome.status == "SUCCEEDED"
    assert (record["label"], record["sender_id"]) == (label, "42")
    assert record["reason"].startswith(reason)
    assert record["confidence"] == max(record["inferences"].values())
    assert record["model"] == "chosen/1"
    # Both wait for a review, or neither does.
    waiting = stack.query("to_review", review_state="waiting")
    for each in (record, second):
        assert (each["image_id"] in waiting) == (status == "review")
        assert each["image_id"] in stack.query("by_hour", hour=each["hour"])


def test_the_shipped_model_classifies_a_photo(stack: Stack) -> None:
    outcome = stack.upload(BICYCLE.read_bytes())
    record = assert_recorded(outcome, outcome.values["status"])
    metadata = json.loads((REPOSITORY / "models" / "vehicles" / "metadata.json").read_bytes())
    assert record["model"] == f"{metadata['name']}/{metadata['version']}"
    assert list(record["inferences"]) == metadata["labels"]
    assert sum(record["inferences"].values()) == pytest.approx(1, abs=0.01)
    assert 0 < record["novelty"] < 1


def test_an_unreadable_file_is_rejected_without_a_request_to_the_endpoint(stack: Stack) -> None:
    before = stack.endpoint.requests
    outcome = stack.upload(b"<html>not a photo</html>", "uploads/42/page.jpg")
    record = assert_recorded(outcome, "rejected")
    assert record["reason"] == "the file is not a photo"
    assert outcome.status == "SUCCEEDED"
    assert stack.endpoint.requests == before


def test_a_deleted_photo_is_rejected(stack: Stack) -> None:
    event = stack.put_unnoticed()
    photo = event["detail"]["object"]
    stack.s3.delete_object(Bucket=stack.bucket, Key=photo["key"], VersionId=photo["version-id"])
    outcome = stack.run(event)
    record = assert_recorded(outcome, "rejected")
    assert "removed" in record["reason"]
    assert outcome.status == "SUCCEEDED"


@standard_only
@pytest.mark.parametrize(
    ("key", "courier"),
    [
        ("uploads/42/my bike.jpg", "42"),
        ("uploads/42/a+b.jpg", "42"),
        ("uploads/42/100%.jpg", "42"),
        ("uploads/42/a%2Bb%20c.jpg", "42"),
        ("uploads/käthe ü/🚲 & 'co' \"x\".jpg", "käthe ü"),
        ("uploads/42/" + "d/" * 495 + "x.jpg", "42"),
        ("uploads/photo.jpg", "unknown"),
        ("uploads//photo.jpg", "unknown"),
        ("uploads/42/", "42"),
        ("uploads/{% 1 %}/$.x.jpg", "{% 1 %}"),
    ],
)
def test_any_key_is_recorded_as_it_is(stack: Stack, key: str, courier: str) -> None:
    with stack.endpoint.responding(then=CONFIDENT):
        outcome = stack.upload(stack.photo(), key)
    record = assert_recorded(outcome, "accepted")
    assert (record["s3_key"], record["sender_id"]) == (key, courier)


def test_the_version_in_the_event_is_classified(stack: Stack) -> None:
    """AWS names the version in its event; the local cloud does not."""
    event = stack.put_unnoticed()
    photo = event["detail"]["object"]
    stack.upload(b"not a photo", photo["key"])
    with stack.endpoint.responding(then=CONFIDENT):
        outcome = stack.run(event)
    record = assert_recorded(outcome, "accepted")
    assert record["image_id"] == f"{photo['key']}#{photo['version-id']}"


@standard_only
def test_an_overwritten_photo_is_not_recorded_as_the_newer_one(stack: Stack) -> None:
    """The event names no version. The newer photo has its own event and record."""
    key = "uploads/42/overwritten.jpg"
    older = stack.s3.put_object(Bucket=stack.bucket, Key=key, Body=stack.photo())["ETag"].strip('"')
    with stack.endpoint.responding(then=CONFIDENT):
        newer = stack.upload(stack.photo(), key)
        stack.execution_of(f"{key}#{older}")
        before = stack.endpoint.requests
        stack.dynamodb.delete_item(
            TableName=stack.outputs["PredictionsTableName"],
            Key={"image_id": {"S": f"{key}#{older}"}},
        )
        overwritten = stack.run(stack.event(key, older))
    assert_recorded(newer, "accepted")
    record = assert_recorded(overwritten, "rejected", events=2)
    assert "replaced" in record["reason"]
    assert stack.endpoint.requests == before


@standard_only
def test_probabilities_that_dynamodb_cannot_store_are_recorded_as_zero(stack: Stack) -> None:
    tiny = probabilities(1.0, 2.9e-182, 1e-130)
    tiny.headers["X-Amzn-SageMaker-Custom-Attributes"] += f",novelty=0.{'0' * 150}1"
    with stack.endpoint.responding(then=tiny):
        record = stack.upload(stack.photo()).values
    assert record["status"] == "accepted"
    assert record["inferences"] == {"bicycle": 1, "motorcycle": 0, "other": 1e-130}
    assert record["novelty"] == 0


def test_only_uploads_start_the_workflow(stack: Stack) -> None:
    before = stack.executions()
    for key in ("labelled/bicycle/1.jpg", "upload/42/1.jpg", "x/uploads/42/1.jpg"):
        stack.s3.put_object(Bucket=stack.bucket, Key=key, Body=stack.photo())
    outcome = stack.upload(b"", "uploads/42/started.jpg")
    stack.s3.delete_object(Bucket=stack.bucket, Key="uploads/42/started.jpg")
    assert stack.upload(b"", "uploads/42/last.jpg").status == outcome.status == "SUCCEEDED"
    assert len(stack.executions() - before) == 2


# ── The endpoint fails ──


@pytest.mark.parametrize(
    "faults", [[INTERNAL_FAILURE, THROTTLED, CLOSE], [THROTTLED, MODEL_ERROR, NO_ENDPOINT]]
)
def test_a_failing_endpoint_is_retried(stack: Stack, faults: list[Reply]) -> None:
    with stack.endpoint.responding(*faults, then=CONFIDENT):
        outcome = stack.upload(stack.photo())
    assert_recorded(outcome, "accepted")
    assert (outcome.status, len(outcome.failures)) == ("SUCCEEDED", len(faults))


@standard_only
def test_a_busy_endpoint_is_retried_seven_times(stack: Stack) -> None:
    not_ready = fault(429, "ModelNotReadyException")
    with stack.endpoint.responding(*[THROTTLED, not_ready] * 3, THROTTLED, then=CONFIDENT):
        outcome = stack.upload(stack.photo())
    assert_recorded(outcome, "accepted")
    assert len(outcome.failures) == 7
    assert all(failure.startswith("EndpointBusyError: ") for failure in outcome.failures)


def test_a_photo_that_failed_can_run_again(stack: Stack) -> None:
    with stack.endpoint.responding(then=UNAVAILABLE):
        failed = stack.upload(stack.photo())
    record = assert_recorded(failed, "failed")
    assert failed.status == "FAILED"
    assert (failed.error, failed.cause) == (record["error"], record["cause"])
    assert record["error"] == "EndpointError"
    assert "endpoint scones-vehicle-classifier" in record["cause"]
    assert len(failed.failures) == 3
    assert "could not be classified" in record["reason"]

    with stack.endpoint.responding(then=CONFIDENT):
        healed = stack.rerun(failed)
    assert_recorded(healed, "accepted", events=2)
    assert healed.status == "SUCCEEDED"


@standard_only
def test_an_endpoint_that_hangs_is_retried(stack: Stack) -> None:
    with stack.endpoint.responding(HANG, then=CONFIDENT):
        outcome = stack.upload(stack.photo())
    assert_recorded(outcome, "accepted")
    assert len(outcome.failures) == 1


@standard_only
@pytest.mark.parametrize(
    "invalid",
    [
        [
            response(b'{"bicycle": NaN, "motorcycle": 0.5, "other": 0.5}'),
            response({"bicycle": 0.5, "motorcycle": 0.5}),
            response({"bicycle": 0.9, "motorcycle": 0.9, "other": 0.9}),
        ],
        [
            response([0.5, 0.5]),
            response({"bicycle": "1", "motorcycle": 0, "other": 0}),
            response(b"1" * 1_000_000),
        ],
    ],
)
def test_an_invalid_response_is_no_prediction(stack: Stack, invalid: list[Reply]) -> None:
    with stack.endpoint.responding(*invalid, then=CONFIDENT):
        failed = stack.upload(stack.photo())
    assert "inferences" not in assert_recorded(failed, "failed")
    assert (failed.status, len(failed.failures)) == ("FAILED", len(invalid))


# ── Steps of the workflow fail ──


def test_a_long_cause_is_shortened_in_the_record(stack: Stack) -> None:
    message = "\N{BICYCLE}\"'{%\\n" * 1000
    body = json.dumps({"message": message}).encode()
    with stack.endpoint.responding(then=Reply(400, body, {"X-Amzn-ErrorType": "ValidationError"})):
        failed = stack.upload(stack.photo())
    assert len(assert_recorded(failed, "failed")["cause"]) == 1000


@standard_only
def test_an_invalid_threshold_fails_the_photo(stack: Stack) -> None:
    with stack.endpoint.responding(then=CONFIDENT):
        with threshold(stack, "seven"):
            failed = stack.upload(stack.photo())
        assert "seven" in assert_recorded(failed, "failed")["cause"]
        assert failed.status == "FAILED"
        assert_recorded(stack.rerun(failed), "accepted", events=2)


@contextmanager
def threshold(stack: Stack, value: str) -> Iterator[None]:
    """Give the filter function another confidence threshold."""
    functions = stack.cloud.client("lambda")
    name = stack.physical_name("FilterInferencesFunction")
    own = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    changed = own | {"CONFIDENCE_THRESHOLD": value}
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": changed})
    yield
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": own})


@pytest.fixture
def faults(stack: Stack) -> Iterator[str]:
    """A copy of the state machine, with the name for which faults.json makes steps fail.

    The local cloud does not refuse a state machine's calls, and its bus takes every event.
    """
    true = stack.stepfunctions.describe_state_machine(stateMachineArn=stack.state_machine)
    copy: str = stack.stepfunctions.create_state_machine(
        name="faults", **{name: true[name] for name in ("definition", "roleArn", "type")}
    )["stateMachineArn"]
    yield copy
    stack.stepfunctions.delete_state_machine(stateMachineArn=copy)


def test_a_photo_whose_event_failed_can_run_again(stack: Stack, faults: str) -> None:
    event = stack.put_unnoticed()
    with stack.endpoint.responding(then=probabilities(0.6, 0.3, 0.1)):
        failed = stack.run(event, f"{faults}#PublishingFails")
        assert (failed.status, failed.error) == ("FAILED", "EventBridge.FailedEntry")
        assert failed.cause == "the bus takes no events"
        assert failed.events == []
        assert failed.values["status"] == "failed"
        assert failed.values["error"] == failed.error
        assert failed.values["cause"] == failed.cause
        assert "review_state" not in failed.values
        assert_recorded(stack.run(event), "review")


def test_a_record_that_dynamodb_refuses_becomes_a_failed_one(stack: Stack, faults: str) -> None:
    event = stack.put_unnoticed()
    with stack.endpoint.responding(then=CONFIDENT):
        failed = stack.run(event, f"{faults}#RecordingFails")
        record = assert_recorded(failed, "failed")
        assert record["error"] == failed.error == "DynamoDB.ValidationException"
        assert "could not be recorded" in record["reason"]
        assert_recorded(stack.run(event), "accepted", events=2)


@pytest.mark.parametrize("fault", ["TableIsDown", "TableAndFunctionsAreDown"])
def test_an_upload_goes_to_the_queue_while_dynamodb_is_down(
    stack: Stack, faults: str, fault: str
) -> None:
    event = stack.put_unnoticed()
    with stack.endpoint.responding(then=CONFIDENT):
        failed = stack.run(event, f"{faults}#{fault}")
        assert (failed.status, failed.error) == ("FAILED", "DynamoDB.InternalServerError")
        assert (failed.record, failed.events) == (None, [])
        [message] = stack.dead_letters("UploadsDeadLetterQueueUrl")
        assert_recorded(stack.run(message), "accepted")


def test_a_replay_replaces_a_record_without_an_event(stack: Stack, faults: str) -> None:
    """The event could not be published, and the record could not be set to failed."""
    event = stack.put_unnoticed()
    with stack.endpoint.responding(then=CONFIDENT):
        failed = stack.run(event, f"{faults}#BusAndTableAreDown")
        assert (failed.status, failed.error) == ("FAILED", "EventBridge.FailedEntry")
        assert (failed.values["status"], failed.events) == ("accepted", [])
        [message] = stack.dead_letters("UploadsDeadLetterQueueUrl")
        assert_recorded(stack.run(message), "accepted")
        again = stack.run(message)
    assert (again.status, again.states[-1]) == ("SUCCEEDED", "AlreadyRecorded")
    assert len(again.events) == 1


@standard_only
@pytest.mark.parametrize(
    ("missing", "wrong"),
    [
        ("detail.bucket.name", {}),
        ("detail.bucket.name", []),
        ("detail.bucket.name", {"detail": "x"}),
        ("detail.object.key", {"time": "now", "detail": {"bucket": {"name": "b"}}}),
        (
            "detail.object.key",
            {"time": "now", "detail": {"bucket": {"name": "b"}, "object": {"key": {"S": "k"}}}},
        ),
        (
            "detail.object.etag",
            {"time": "now", "detail": {"bucket": {"name": "b"}, "object": {"key": "k"}}},
        ),
        (
            "time",
            {"detail": {"bucket": {"name": "b"}, "object": {"key": "k", "etag": "e"}}},
        ),
    ],
)
def test_an_invalid_input_is_refused_without_a_record(
    stack: Stack, missing: str, wrong: Any
) -> None:
    table = stack.outputs["PredictionsTableName"]
    before = stack.dynamodb.scan(TableName=table, Select="COUNT")["Count"]
    ended = stack.ended(stack.start(wrong))
    assert (ended["status"], ended["error"]) == ("FAILED", "InvalidEvent")
    assert ended["cause"].startswith(f"{missing} is missing: ")
    assert stack.dynamodb.scan(TableName=table, Select="COUNT")["Count"] == before


def test_a_throttled_function_is_retried(stack: Stack) -> None:
    functions = stack.cloud.client("lambda")
    name = stack.physical_name("SerializeImageFunction")
    event = stack.put_unnoticed()
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    with stack.waits(BURST_WAIT_SCALE), stack.endpoint.responding(then=CONFIDENT):
        execution = stack.start(event)
        try:
            wait_until(lambda: failures(stack.history(execution)), "a throttled function")
        finally:
            functions.delete_function_concurrency(FunctionName=name)
        outcome = stack.outcome(execution)
    assert_recorded(outcome, "accepted")
    assert all("TooManyRequestsException" in failure for failure in outcome.failures)


def test_a_photo_fails_if_functions_stay_throttled_and_can_run_again(
    stack: Stack, faults: str
) -> None:
    event = stack.put_unnoticed()
    with stack.endpoint.responding(then=CONFIDENT):
        failed = stack.run(event, f"{faults}#FunctionsThrottled")
        assert_recorded(failed, "failed")
        assert failed.error == "Lambda.TooManyRequestsException"
        assert_recorded(stack.run(event), "accepted", events=2)


# ── The same event arrives twice ──


def test_a_repeated_event_is_recorded_once(stack: Stack) -> None:
    event = stack.put_unnoticed()
    with stack.endpoint.responding(then=CONFIDENT):
        first = stack.run(event)
    with stack.endpoint.responding(then=probabilities(0, 0, 1)):
        second = stack.run(event)
    assert_recorded(first, "accepted")
    assert (second.record, second.events) == (first.record, first.events)
    assert (second.status, second.states[-1]) == ("SUCCEEDED", "AlreadyRecorded")


def test_copies_of_an_event_at_once_are_recorded_once(stack: Stack) -> None:
    event = stack.put_unnoticed()
    with stack.endpoint.responding(then=CONFIDENT):
        executions = [stack.start(event) for _ in range(4)]
        outcomes = [stack.outcome(execution) for execution in executions]
    last = sorted(outcome.states[-1] for outcome in outcomes)
    assert last == ["AlreadyRecorded"] * 3 + ["PredictionPublished"]
    assert_recorded(outcomes[-1], "accepted")


def test_a_failed_photo_can_run_again_twice_at_once(stack: Stack) -> None:
    event = stack.put_unnoticed()
    with stack.endpoint.responding(then=UNAVAILABLE):
        assert_recorded(stack.run(event), "failed")
    with stack.endpoint.responding(then=CONFIDENT):
        executions = [stack.start(event) for _ in range(2)]
        outcomes = [stack.outcome(execution) for execution in executions]
    assert {outcome.status for outcome in outcomes} == {"SUCCEEDED"}
    assert_recorded(outcomes[-1], "accepted", events=2)
