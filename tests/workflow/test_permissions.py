"""Roles allow the calls that they are made for, and no others.

The local cloud enforces the permissions of functions. It does not enforce those of state machines
and rules, nor those for logs, traces and SageMaker: IAM evaluates them for each call. The tests in
tests/stack compare all policies, so they fail if a permission is added or removed.
"""

import json

import pytest

from tests.support.endpoint import CONFIDENT
from tests.support.permissions import allowed, refused, without
from tests.support.records import assert_recorded
from tests.support.stack import Stack, standard_only
from tests.support.state_machines import tasks

pytestmark = standard_only

ENDPOINT = "arn:aws:sagemaker:us-east-1:000000000000:endpoint/{}"
STREAM = "arn:aws:logs:us-east-1:000000000000:log-group:{}:log-stream:2026/11/20/[$LATEST]0"


# ── Enforced by the local cloud ──


def test_a_photo_fails_without_the_permission_to_read_uploads(stack: Stack) -> None:
    with stack.endpoint.responding(then=CONFIDENT):
        with without(stack, "SerializeImageRole", "ReadUploads", "s3:GetObject"):
            failed = stack.upload(stack.photo())
        record = assert_recorded(failed, "failed")
        assert "AccessDenied" in record["cause"]
        assert "could not be classified" in record["reason"]
        assert_recorded(stack.rerun(failed), "accepted", events=2)


def test_a_photo_fails_without_the_permission_to_read_versions(stack: Stack) -> None:
    event = stack.put_unnoticed()
    with stack.endpoint.responding(then=CONFIDENT):
        with without(stack, "SerializeImageRole", "ReadUploads", "s3:GetObjectVersion"):
            failed = stack.run(event)
        assert "AccessDenied" in assert_recorded(failed, "failed")["cause"]
        assert_recorded(stack.run(event), "accepted", events=2)


def test_only_uploads_can_be_read(stack: Stack) -> None:
    key = "labelled/bicycle/1.jpg"
    put = stack.s3.put_object(Bucket=stack.bucket, Key=key, Body=stack.photo())
    failed = stack.run(stack.event(key, "0", put["VersionId"]))
    assert "AccessDenied" in assert_recorded(failed, "failed")["cause"]


# ── Evaluated ──


def calls_of_the_workflow(stack: Stack) -> set[tuple[str, str]]:
    """Action and resource of every call that the deployed state machine makes."""
    described = stack.stepfunctions.describe_state_machine(stateMachineArn=stack.state_machine)
    calls: set[tuple[str, str]] = set()
    for task in tasks(json.loads(described["definition"])).values():
        arguments = task["Arguments"]
        match task["Resource"].removeprefix("arn:aws:states:::"):
            case "lambda:invoke":
                calls.add(("lambda:InvokeFunction", arguments["FunctionName"]))
            case "dynamodb:putItem" | "dynamodb:updateItem" as call:
                table = stack.dynamodb.describe_table(TableName=arguments["TableName"])["Table"]
                calls.add((call.replace(":p", ":P").replace(":u", ":U"), table["TableArn"]))
            case "events:putEvents":
                for entry in arguments["Entries"]:
                    bus = stack.cloud.client("events").describe_event_bus(
                        Name=entry["EventBusName"]
                    )
                    calls.add(("events:PutEvents", bus["Arn"]))
            case "sqs:sendMessage":
                queue = stack.sqs.get_queue_attributes(
                    QueueUrl=arguments["QueueUrl"], AttributeNames=["QueueArn"]
                )
                calls.add(("sqs:SendMessage", queue["Attributes"]["QueueArn"]))
            case other:
                pytest.fail(f"which permission does {other} need?")
    return calls


def test_the_workflow_may_make_its_own_calls_and_no_others(stack: Stack) -> None:
    calls = calls_of_the_workflow(stack)
    assert len(calls) == 7
    assert refused(stack, "ClassifyPhotoRole", calls) == set()
    others = {(action, f"{resource}-other") for action, resource in calls}
    assert refused(stack, "ClassifyPhotoRole", others) == {action for action, _ in calls}
    for action, resource in (
        ("dynamodb:DeleteItem", next(arn for call, arn in calls if call == "dynamodb:PutItem")),
        ("events:PutEvents", "arn:aws:events:us-east-1:000000000000:event-bus/default"),
        ("s3:GetObject", f"arn:aws:s3:::{stack.bucket}/uploads/42/bike.jpg"),
    ):
        assert not allowed(stack, "ClassifyPhotoRole", action, resource)


def test_the_function_may_detect_that_an_upload_was_deleted(stack: Stack) -> None:
    """AWS reports a missing key only with this permission; the local cloud always reports it."""
    see = "SerializeImageRole", "s3:ListBucket"
    bucket = f"arn:aws:s3:::{stack.bucket}"
    assert allowed(stack, *see, bucket)
    assert not allowed(stack, *see, f"{bucket}-other")
    with without(stack, "SerializeImageRole", "DetectMissingUploads", "s3:ListBucket"):
        assert not allowed(stack, *see, bucket)


def test_only_the_configured_endpoint_can_be_invoked(stack: Stack) -> None:
    ask = "ClassifyImageRole", "sagemaker:InvokeEndpoint"
    own = ENDPOINT.format("scones-vehicle-classifier")
    assert allowed(stack, *ask, own)
    assert not allowed(stack, *ask, ENDPOINT.format("scones-vehicle-classifier-2"))
    assert not allowed(stack, *ask, ENDPOINT.format("another"))
    with without(stack, "ClassifyImageRole", "InvokeEndpoint", "sagemaker:InvokeEndpoint"):
        assert not allowed(stack, *ask, own)


@pytest.mark.parametrize(
    "role", ["SerializeImageRole", "ClassifyImageRole", "FilterInferencesRole"]
)
def test_functions_write_only_into_their_log_group(stack: Stack, role: str) -> None:
    own = STREAM.format(stack.outputs["FunctionsLogGroupName"])
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        assert allowed(stack, role, action, own)
        assert not allowed(stack, role, action, STREAM.format("/aws/lambda/another"))
    assert not allowed(stack, role, "logs:DeleteLogStream", own)
    assert allowed(stack, role, "xray:PutTraceSegments", "*")


def test_the_rule_may_start_only_this_workflow(stack: Stack) -> None:
    role, start = "PhotoUploadedRole", "states:StartExecution"
    assert allowed(stack, role, start, stack.state_machine)
    assert not allowed(stack, role, start, stack.state_machine + "-other")
    with without(stack, role, "StartClassifyPhoto", start):
        assert not allowed(stack, role, start, stack.state_machine)
