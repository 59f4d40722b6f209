"""What the roles of DeployModel, of RetrainModel and of its rule allow.

The local cloud does not enforce the permissions of state machines and rules: IAM evaluates them
for each call. The tests in tests/stack compare all policies, so they fail if one changes.
"""

from collections.abc import Callable

import pytest

from tests.support.permissions import allowed, refused
from tests.support.stack import Stack, standard_only

pytestmark = standard_only

ACCOUNT = "us-east-1:000000000000"
SAGEMAKER = f"arn:aws:sagemaker:{ACCOUNT}:"
MODEL = "scones-vehicle-classifier"
Calls = set[tuple[str, str]]


def of(resource: str, *actions: str) -> Calls:
    return {(f"sagemaker:{action}", SAGEMAKER + resource) for action in actions}


def of_deploying(stack: Stack) -> Calls:
    bucket = stack.outputs["TrainingBucketName"]
    target = f"arn:aws:application-autoscaling:{ACCOUNT}:scalable-target/0123abc"
    alarm = f"arn:aws:cloudwatch:{ACCOUNT}:alarm:TargetTracking-endpoint/{MODEL}/variant/AllTraffic"
    return {
        *of(f"model-package-group/{MODEL}", "DescribeModelPackageGroup", "CreateModelPackageGroup"),
        *of(f"model-package-group/{MODEL}", "CreateModelPackage", "AddTags"),
        *of(f"model-package/{MODEL}/8", "CreateModelPackage", "UpdateModelPackage"),
        *of(f"model/{MODEL}-1", "CreateModel", "AddTags"),
        *of(f"endpoint-config/{MODEL}-1", "CreateEndpointConfig", "DescribeEndpointConfig"),
        *of(f"endpoint-config/{MODEL}-1", "CreateEndpoint", "UpdateEndpoint", "AddTags"),
        *of(f"endpoint/{MODEL}", "DescribeEndpoint", "CreateEndpoint", "UpdateEndpoint", "AddTags"),
        *of(f"endpoint/{MODEL}", "UpdateEndpointWeightsAndCapacities"),
        ("application-autoscaling:RegisterScalableTarget", target),
        ("application-autoscaling:DeregisterScalableTarget", target),
        ("application-autoscaling:PutScalingPolicy", target),
        ("cloudwatch:PutMetricAlarm", alarm),
        ("cloudwatch:DescribeAlarms", "*"),
        ("s3:GetObject", f"arn:aws:s3:::{bucket}/reports/1/metadata.json"),
        ("s3:PutObject", f"arn:aws:s3:::{stack.bucket}/baselines/{MODEL}/2.1.0.json"),
    }


def of_retraining(stack: Stack) -> Calls:
    table, bucket = stack.outputs["RetrainingTableName"], stack.outputs["TrainingBucketName"]
    machine = stack.outputs["DeployModelStateMachineArn"]
    execution = f"{machine.replace(':stateMachine:', ':execution:')}:1"
    rule = f"arn:aws:events:{ACCOUNT}:rule/StepFunctionsGetEventsForStepFunctionsExecutionRule"
    parameter = stack.outputs["TrainingRunParameterName"]
    return {
        *of(f"training-job/{MODEL}-1", "CreateTrainingJob", "DescribeTrainingJob", "AddTags"),
        *of(f"processing-job/{MODEL}-1", "CreateProcessingJob", "DescribeProcessingJob", "AddTags"),
        *of(f"endpoint/{MODEL}", "DescribeEndpoint"),
        *of(f"endpoint-config/{MODEL}-1", "DescribeEndpointConfig"),
        *of(f"model/{MODEL}-1", "DescribeModel"),
        *of(f"model-package/{MODEL}/8", "DescribeModelPackage"),
        ("states:StartExecution", machine),
        ("states:DescribeExecution", execution),
        ("states:StopExecution", execution),
        *((f"events:{verb}", rule) for verb in ("PutTargets", "PutRule", "DescribeRule")),
        ("cloudwatch:DescribeAlarms", "*"),
        ("ssm:GetParameter", f"arn:aws:ssm:{ACCOUNT}:parameter{parameter}"),
        ("s3:GetObject", f"arn:aws:s3:::{bucket}/reports/1/gate.json"),
        ("dynamodb:UpdateItem", f"arn:aws:dynamodb:{ACCOUNT}:table/{table}"),
        ("sns:Publish", stack.outputs["AlarmsTopicArn"]),
    }


ROLES: dict[str, Callable[[Stack], Calls]] = {
    "DeployModelRole": of_deploying,
    "RetrainModelRole": of_retraining,
}


@pytest.mark.parametrize("role", ROLES)
def test_a_workflow_may_make_its_own_calls_and_no_others(stack: Stack, role: str) -> None:
    assert refused(stack, role, ROLES[role](stack)) == set()
    photos = f"arn:aws:s3:::{stack.bucket}/uploads/42/bike.jpg"
    predictions = stack.outputs["PredictionsTableName"]
    for action, resource in (
        ("sagemaker:DeleteEndpoint", f"{SAGEMAKER}endpoint/{MODEL}"),
        ("sagemaker:UpdateEndpoint", f"{SAGEMAKER}endpoint/another"),
        ("sagemaker:CreateTrainingJob", f"{SAGEMAKER}training-job/another-1"),
        ("s3:PutObject", photos),
        ("s3:GetObject", photos),
        ("iam:PassRole", "arn:aws:iam::000000000000:role/another"),
        ("dynamodb:UpdateItem", f"arn:aws:dynamodb:{ACCOUNT}:table/{predictions}"),
    ):
        assert not allowed(stack, role, action, resource), (action, resource)


def test_the_rule_may_start_only_the_retraining(stack: Stack) -> None:
    start = "states:StartExecution"
    role = "ModelAlarmRuleRole"
    assert allowed(stack, role, start, stack.outputs["RetrainModelStateMachineArn"])
    assert not allowed(stack, role, start, stack.state_machine)
