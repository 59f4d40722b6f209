"""Obstacles are named before anything is deleted."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from tests.support.account import (
    ACCOUNT,
    OURS,
    PHOTOS_BUCKET_NAME,
    REGION,
    STACK,
    TRAINING_BUCKET,
    Aws,
    Clean,
    deploy,
    inventory,
    make_bucket,
)


def protect_stack(account: Aws) -> None:
    account.is_protected = True


def update_stack(account: Aws) -> None:
    account.stack = "UPDATE_IN_PROGRESS"


def protect_table(account: Aws) -> None:
    boto3.client("dynamodb").update_table(
        TableName=f"{STACK}-PredictionsTable-1ABC", DeletionProtectionEnabled=True
    )


def protect_log_group(account: Aws) -> None:
    group = {"logGroupName": f"/aws/lambda/{STACK}", "deletionProtectionEnabled": True}
    account.answers["DescribeLogGroups"] = lambda _: {"logGroups": [group]}


def add_rule(account: Aws) -> None:
    events = boto3.client("events")
    events.create_event_bus(Name=STACK)
    for rule in (f"{STACK}-CheckInRule-1ABC", "social-media-team"):
        events.put_rule(Name=rule, EventBusName=STACK, EventPattern="{}")
    account.resources["EventBus"] = ("AWS::Events::EventBus", STACK)
    account.resources["CheckInRule"] = (
        "AWS::Events::Rule",
        f"{STACK}|{STACK}-CheckInRule-1ABC",
    )


def deny_deletes(account: Aws) -> None:
    policy = {"Statement": {"Sid": "Keep", "Effect": "Deny", "Principal": "*", "Resource": "*"}}
    policy["Statement"]["Action"] = "s3:Delete*"
    account.answers["GetBucketPolicy"] = lambda _: {"Policy": json.dumps(policy)}


def switch_mfa_on(account: Aws) -> None:
    account.answers["GetBucketVersioning"] = lambda _: {"Status": "Enabled", "MFADelete": "Enabled"}


def lock(account: Aws, **held: Any) -> None:
    account.answers["GetObjectLockConfiguration"] = lambda _: {
        "ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}
    }
    account.answers["HeadObject"] = lambda _: held


def retain(account: Aws) -> None:
    lock(account, ObjectLockRetainUntilDate=datetime.now(UTC) + timedelta(days=1))


def hold(account: Aws) -> None:
    lock(account, ObjectLockLegalHoldStatus="ON")


def forbid(action: str) -> Callable[[Aws], None]:
    return lambda account: account.forbidden.add(action)


@pytest.mark.parametrize(
    ("refuse", "says"),
    [
        (protect_stack, "aws cloudformation update-termination-protection --no-enable"),
        (update_stack, f"stack {STACK} is UPDATE_IN_PROGRESS: run this again when"),
        (protect_table, "aws dynamodb update-table --no-deletion-protection-enabled"),
        (protect_log_group, "aws logs put-log-group-deletion-protection --no-deletion"),
        (add_rule, f"rule social-media-team on event bus {STACK} is not of the stack"),
        (deny_deletes, "denies s3:DeleteObject (statement Keep): remove that statement"),
        (switch_mfa_on, f"bucket {PHOTOS_BUCKET_NAME} has MFA delete"),
        (retain, "run this again after that"),
        (hold, "remove its legal hold"),
        (forbid("s3:DeleteObjectVersion"), "lacks the permission s3:DeleteObjectVersion on arn"),
        (forbid("cloudformation:DeleteStack"), "lacks the permission cloudformation:DeleteStack"),
    ],
)
def test_nothing_is_deleted_if_there_is_an_obstacle(
    aws_account: Aws, clean: Clean, refuse: Callable[[Aws], None], says: str
) -> None:
    deploy(aws_account)
    make_bucket(TRAINING_BUCKET, OURS)
    refuse(aws_account)
    aws_account.calls.clear()
    for arguments in (("--dry-run",), ("--yes",)):
        outcome = clean(*arguments)
        assert outcome.code == 1
        assert says in outcome.err
        assert all(line.startswith(("obstacle: ", "delete: ")) for line in outcome.err.splitlines())
    assert outcome.err.endswith(
        "delete: nothing was deleted: remove the obstacles, and run this again\n"
    )
    changing = ("Abort", "Create", "Delete", "Deregister", "Put", "Stop", "Update")
    assert not [call for call in aws_account.calls if call.startswith(changing)]


@pytest.mark.parametrize("status", ["CREATE_IN_PROGRESS", "DELETE_IN_PROGRESS"])
def test_a_stack_of_any_status_that_aws_deletes_is_deleted(
    aws_account: Aws, clean: Clean, status: str
) -> None:
    deploy(aws_account, status)
    assert clean("--yes").code == 0
    assert inventory() == {}


def test_protection_of_other_resources_is_no_obstacle(aws_account: Aws, clean: Clean) -> None:
    """A denial without TLS, one for another user, a lock that has ended, a rule of the stack."""
    deploy(aws_account)
    other = {"AWS": f"arn:aws:iam::{ACCOUNT}:user/other"}
    deny = {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}
    tls = {"Bool": {"aws:SecureTransport": "false"}}
    policy = {
        "Statement": [deny | {"Principal": "*", "Condition": tls}, deny | {"Principal": other}]
    }
    aws_account.answers["GetBucketPolicy"] = lambda _: {"Policy": json.dumps(policy)}
    lock(aws_account, ObjectLockRetainUntilDate=datetime.now(UTC) - timedelta(days=1))
    outcome = clean("--yes")
    assert outcome.code == 0, outcome.err
    assert inventory() == {}


@pytest.mark.parametrize(
    "denied",
    ["GetBucketPolicy", "GetObjectLockConfiguration", "ListRules", "SimulatePrincipalPolicy"],
)
def test_a_check_without_permission_is_no_obstacle(
    aws_account: Aws, clean: Clean, denied: str
) -> None:
    deploy(aws_account)
    aws_account.resources["EventBus"] = ("AWS::Events::EventBus", STACK)
    boto3.client("events").create_event_bus(Name=STACK)
    aws_account.deny(denied)
    outcome = clean("--yes")
    assert outcome.code == 0, outcome.err


def test_running_workflows_are_stopped_before_anything_is_deleted(
    aws_account: Aws, clean: Clean
) -> None:
    deploy(aws_account)
    machine = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:RetrainModel"
    execution = {
        "executionArn": f"arn:aws:states:{REGION}:{ACCOUNT}:execution:RetrainModel:1",
        "stateMachineArn": machine,
        "name": "1",
        "status": "RUNNING",
        "startDate": 0,
    }
    running = [execution]
    aws_account.resources["RetrainModel"] = ("AWS::StepFunctions::StateMachine", machine)
    aws_account.answers["ListExecutions"] = lambda _: {"executions": list(running)}
    aws_account.answers["StopExecution"] = lambda _: running.clear() or {"stopDate": 0}
    aws_account.calls.clear()
    outcome = clean("--yes")
    assert outcome.code == 0, outcome.err
    assert "running execution" in outcome.out
    deletions = [call for call in aws_account.calls if call.startswith(("Stop", "Delete"))]
    assert deletions[0] == "StopExecution"
