"""Every way through the workflow: each ends in one record and one event."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.workflow.conftest import (
    CLOSE,
    HANG,
    INTERNAL_FAILURE,
    MODEL_ERROR,
    NO_ENDPOINT,
    REPOSITORY,
    SURE,
    THROTTLED,
    UNAVAILABLE,
    Reply,
    Stack,
    answer,
    assert_recorded,
    failures,
    fault,
    probabilities,
    standard_only,
    wait_until,
)

BICYCLE = REPOSITORY / "local" / "photos" / "bicycle-courier.jpg"

# ── The photo is decided ──


@pytest.mark.parametrize(
    ("inferences", "status", "label", "reason"),
    [
        (probabilities(0.97, 0.02, 0.01), "accepted", "bicycle", "bicycle, 97% sure"),
        (probabilities(0.05, 0.90, 0.05), "accepted", "motorcycle", "motorcycle, 90% sure"),
        (answer([0.02, 0.97, 0.01]), "accepted", "motorcycle", "motorcycle, 97% sure"),
        (probabilities(0.60, 0.30, 0.10), "review", "bicycle", "unsure: bicycle 60%, motorcycle"),
        (probabilities(0.10, 0.10, 0.80), "review", "other", "unsure: other 80%"),
        (probabilities(0.01, 0.01, 0.98), "rejected", "other", "no bicycle or motorcycle"),
    ],
)
def test_decided_by_the_inferences(
    stack: Stack, inferences: Reply, status: str, label: str, reason: str
) -> None:
    with stack.endpoint.answering(then=inferences):
        outcome = stack.upload(stack.photo(), "uploads/42/bike.jpg")
        again = stack.upload(stack.photo())
    record = assert_recorded(outcome, status)
    assert outcome.status == "SUCCEEDED"
    assert (record["label"], record["sender_id"]) == (label, "42")
    assert record["reason"].startswith(reason)
    assert record["confidence"] == max(record["inferences"].values())
    assert record["model"] == "chosen/1"
    # Both wait for a person, or neither does.
    waiting = stack.query("to_review", review_state="waiting")
    for image_id in (record["image_id"], again.values["image_id"]):
        assert (image_id in waiting) == (status == "review")
        assert image_id in stack.query("by_hour", hour=record["hour"])


def test_the_model_that_is_shipped(stack: Stack) -> None:
    outcome = stack.upload(BICYCLE.read_bytes())
    record = assert_recorded(outcome, outcome.values["status"])
    metadata = json.loads((REPOSITORY / "models" / "vehicles" / "metadata.json").read_bytes())
    assert record["model"] == f"{metadata['name']}/{metadata['version']}"
    assert list(record["inferences"]) == metadata["labels"]
    assert sum(record["inferences"].values()) == pytest.approx(1, abs=0.01)
    assert 0 < record["novelty"] < 1


def test_unreadable_file_is_rejected_without_asking_the_endpoint(stack: Stack) -> None:
    before = stack.endpoint.requests
    outcome = stack.upload(b"<html>not a photo</html>", "uploads/42/page.jpg")
    record = assert_recorded(outcome, "rejected")
    assert record["reason"] == "the file is not a photo"
    assert outcome.status == "SUCCEEDED"
    assert stack.endpoint.requests == before


def test_photo_that_is_gone_is_rejected(stack: Stack) -> None:
    event = stack.put_unnoticed()
    photo = event["detail"]["object"]
    stack.s3.delete_object(Bucket=stack.bucket, Key=photo["key"], VersionId=photo["version-id"])
    outcome = stack.run(event)
    record = assert_recorded(outcome, "rejected")
    assert "removed" in record["reason"]
    assert outcome.status == "SUCCEEDED"


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
def test_keys_as_people_choose_them(stack: Stack, key: str, courier: str) -> None:
    with stack.endpoint.answering(then=SURE):
        outcome = stack.upload(stack.photo(), key)
    record = assert_recorded(outcome, "accepted")
    assert (record["s3_key"], record["sender_id"]) == (key, courier)


def test_version_of_the_photo_that_the_event_names(stack: Stack) -> None:
    """AWS names the version in its event; the local cloud does not."""
    event = stack.put_unnoticed()
    photo = event["detail"]["object"]
    stack.upload(b"not a photo", photo["key"])
    with stack.endpoint.answering(then=SURE):
        outcome = stack.run(event)
    record = assert_recorded(outcome, "accepted")
    assert record["image_id"] == f"{photo['key']}#{photo['version-id']}"


@standard_only
def test_photo_that_was_overwritten_is_not_recorded_as_the_newer_one(stack: Stack) -> None:
    """Without a version in the event: the newer photo has an event, and a record, of its own."""
    key = "uploads/42/overwritten.jpg"
    older = stack.s3.put_object(Bucket=stack.bucket, Key=key, Body=stack.photo())["ETag"].strip('"')
    with stack.endpoint.answering(then=SURE):
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
    with stack.endpoint.answering(then=tiny):
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
def test_endpoint_down_then_up(stack: Stack, faults: list[Reply]) -> None:
    with stack.endpoint.answering(*faults, then=SURE):
        outcome = stack.upload(stack.photo())
    assert_recorded(outcome, "accepted")
    assert (outcome.status, len(outcome.failures)) == ("SUCCEEDED", len(faults))


@standard_only
def test_busy_endpoint_is_asked_seven_times_more(stack: Stack) -> None:
    not_ready = fault(429, "ModelNotReadyException")
    with stack.endpoint.answering(*[THROTTLED, not_ready] * 3, THROTTLED, then=SURE):
        outcome = stack.upload(stack.photo())
    assert_recorded(outcome, "accepted")
    assert len(outcome.failures) == 7
    assert all(failure.startswith("EndpointBusyError: ") for failure in outcome.failures)


def test_endpoint_down_for_good_then_run_again(stack: Stack) -> None:
    with stack.endpoint.answering(then=UNAVAILABLE):
        failed = stack.upload(stack.photo())
    record = assert_recorded(failed, "failed")
    assert failed.status == "FAILED"
    assert (failed.error, failed.cause) == (record["error"], record["cause"])
    assert record["error"] == "EndpointError"
    assert "endpoint scones-vehicle-classifier" in record["cause"]
    assert len(failed.failures) == 3
    assert "could not be classified" in record["reason"]

    with stack.endpoint.answering(then=SURE):
        healed = stack.rerun(failed)
    assert_recorded(healed, "accepted", events=2)
    assert healed.status == "SUCCEEDED"


@standard_only
def test_endpoint_that_hangs(stack: Stack) -> None:
    with stack.endpoint.answering(HANG, then=SURE):
        outcome = stack.upload(stack.photo())
    assert_recorded(outcome, "accepted")
    assert len(outcome.failures) == 1


@standard_only
@pytest.mark.parametrize(
    "nonsense",
    [
        [
            answer(b'{"bicycle": NaN, "motorcycle": 0.5, "other": 0.5}'),
            answer({"bicycle": 0.5, "motorcycle": 0.5}),
            answer({"bicycle": 0.9, "motorcycle": 0.9, "other": 0.9}),
        ],
        [
            answer([0.5, 0.5]),
            answer({"bicycle": "1", "motorcycle": 0, "other": 0}),
            answer(b"1" * 1_000_000),
        ],
    ],
)
def test_nonsense_is_no_prediction(stack: Stack, nonsense: list[Reply]) -> None:
    with stack.endpoint.answering(*nonsense, then=SURE):
        failed = stack.upload(stack.photo())
    assert "inferences" not in assert_recorded(failed, "failed")
    assert (failed.status, len(failed.failures)) == ("FAILED", len(nonsense))


# ── The workflow's own steps fail ──


def test_cause_of_any_length_fits_the_record(stack: Stack) -> None:
    message = "\N{BICYCLE}\"'{%\\n" * 1000
    body = json.dumps({"message": message}).encode()
    with stack.endpoint.answering(then=Reply(400, body, {"X-Amzn-ErrorType": "ValidationError"})):
        failed = stack.upload(stack.photo())
    assert len(assert_recorded(failed, "failed")["cause"]) == 1000


@standard_only
def test_filter_that_cannot_judge(stack: Stack) -> None:
    with stack.endpoint.answering(then=SURE):
        with threshold(stack, "seven"):
            failed = stack.upload(stack.photo())
        assert "seven" in assert_recorded(failed, "failed")["cause"]
        assert failed.status == "FAILED"
        assert_recorded(stack.rerun(failed), "accepted", events=2)


@contextmanager
def threshold(stack: Stack, value: str) -> Iterator[None]:
    """A filter function with another confidence threshold."""
    functions = stack.cloud.client("lambda")
    name = stack.physical_name("FilterInferencesFunction")
    own = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    changed = own | {"CONFIDENCE_THRESHOLD": value}
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": changed})
    yield
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": own})


@pytest.fixture
def faults(stack: Stack) -> Iterator[str]:
    """A copy of the state machine, by the name under which faults.json makes steps of it fail.

    The local cloud does not refuse a state machine's calls, and its bus takes every event.
    """
    true = stack.stepfunctions.describe_state_machine(stateMachineArn=stack.state_machine)
    copy: str = stack.stepfunctions.create_state_machine(
        name="faults", **{name: true[name] for name in ("definition", "roleArn", "type")}
    )["stateMachineArn"]
    yield copy
    stack.stepfunctions.delete_state_machine(stateMachineArn=copy)


def test_publishing_fails_then_run_again(stack: Stack, faults: str) -> None:
    event = stack.put_unnoticed()
    with stack.endpoint.answering(then=probabilities(0.6, 0.3, 0.1)):
        failed = stack.run(event, f"{faults}#PublishingFails")
        assert (failed.status, failed.error) == ("FAILED", "EventBridge.FailedEntry")
        assert failed.cause == "the bus takes no events"
        assert failed.events == []
        assert failed.values["status"] == "failed"
        assert failed.values["error"] == failed.error
        assert failed.values["cause"] == failed.cause
        assert "review_state" not in failed.values
        assert_recorded(stack.run(event), "review")


def test_record_that_dynamodb_refuses_becomes_a_failed_one(stack: Stack, faults: str) -> None:
    event = stack.put_unnoticed()
    with stack.endpoint.answering(then=SURE):
        failed = stack.run(event, f"{faults}#RecordingFails")
        record = assert_recorded(failed, "failed")
        assert record["error"] == failed.error == "DynamoDB.ValidationException"
        assert "could not be recorded" in record["reason"]
        assert_recorded(stack.run(event), "accepted", events=2)


@pytest.mark.parametrize("fault", ["TableIsDown", "TableAndFunctionsAreDown"])
def test_upload_is_kept_while_dynamodb_is_down(stack: Stack, faults: str, fault: str) -> None:
    event = stack.put_unnoticed()
    with stack.endpoint.answering(then=SURE):
        failed = stack.run(event, f"{faults}#{fault}")
        assert (failed.status, failed.error) == ("FAILED", "DynamoDB.InternalServerError")
        assert (failed.record, failed.events) == (None, [])
        [message] = stack.dead_letters("UploadsDeadLetterQueueUrl")
        assert_recorded(stack.run(message), "accepted")


def test_record_without_an_event_is_replaced_by_the_replay(stack: Stack, faults: str) -> None:
    """Neither the event could be published, nor the record be set to failed."""
    event = stack.put_unnoticed()
    with stack.endpoint.answering(then=SURE):
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
def test_wrong_input_is_refused_without_a_record(stack: Stack, missing: str, wrong: Any) -> None:
    table = stack.outputs["PredictionsTableName"]
    before = stack.dynamodb.scan(TableName=table, Select="COUNT")["Count"]
    ended = stack.ended(stack.start(wrong))
    assert (ended["status"], ended["error"]) == ("FAILED", "InvalidEvent")
    assert ended["cause"].startswith(f"{missing} is missing: ")
    assert stack.dynamodb.scan(TableName=table, Select="COUNT")["Count"] == before


def test_throttled_function_is_asked_again(stack: Stack) -> None:
    functions = stack.cloud.client("lambda")
    name = stack.physical_name("SerializeImageFunction")
    event = stack.put_unnoticed()
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    with stack.endpoint.answering(then=SURE):
        execution = stack.start(event)
        try:
            wait_until(lambda: failures(stack.history(execution)), "a throttled function")
        finally:
            functions.delete_function_concurrency(FunctionName=name)
        outcome = stack.outcome(execution)
    assert_recorded(outcome, "accepted")
    assert all("TooManyRequestsException" in failure for failure in outcome.failures)


def test_functions_throttled_for_good_then_run_again(stack: Stack, faults: str) -> None:
    event = stack.put_unnoticed()
    with stack.endpoint.answering(then=SURE):
        failed = stack.run(event, f"{faults}#FunctionsThrottled")
        assert_recorded(failed, "failed")
        assert failed.error == "Lambda.TooManyRequestsException"
        assert_recorded(stack.run(event), "accepted", events=2)


# ── The same event comes twice ──


def test_repeated_event_is_recorded_once(stack: Stack) -> None:
    event = stack.put_unnoticed()
    with stack.endpoint.answering(then=SURE):
        first = stack.run(event)
    with stack.endpoint.answering(then=probabilities(0, 0, 1)):
        second = stack.run(event)
    assert_recorded(first, "accepted")
    assert (second.record, second.events) == (first.record, first.events)
    assert (second.status, second.states[-1]) == ("SUCCEEDED", "AlreadyRecorded")


def test_same_event_many_times_at_once(stack: Stack) -> None:
    event = stack.put_unnoticed()
    with stack.endpoint.answering(then=SURE):
        executions = [stack.start(event) for _ in range(4)]
        outcomes = [stack.outcome(execution) for execution in executions]
    last = sorted(outcome.states[-1] for outcome in outcomes)
    assert last == ["AlreadyRecorded"] * 3 + ["PredictionPublished"]
    assert_recorded(outcomes[-1], "accepted")


def test_failed_photo_run_again_twice_at_once(stack: Stack) -> None:
    event = stack.put_unnoticed()
    with stack.endpoint.answering(then=UNAVAILABLE):
        assert_recorded(stack.run(event), "failed")
    with stack.endpoint.answering(then=SURE):
        executions = [stack.start(event) for _ in range(2)]
        outcomes = [stack.outcome(execution) for execution in executions]
    assert {outcome.status for outcome in outcomes} == {"SUCCEEDED"}
    assert_recorded(outcomes[-1], "accepted", events=2)
