"""DeployModel on the local cloud, started alone as launch starts it; SageMaker is played back."""

import json
from typing import Any

import pytest

from tests.support.retraining import copied, states
from tests.workflow.conftest import Stack, standard_only

pytestmark = standard_only

MODEL = {
    "name": "scones-vehicle-classifier",
    "version": "2.1.0",
    "commit": "0123456789abcdef",
    "properties": {"version": "2.1.0", "dataset": "3bb5f2a2c1aa"},
    "artifact": "s3://training/models/1/output/model.tar.gz",
    "image": "000000000000.dkr.ecr.us-east-1.amazonaws.com/scones:1",
    "report": "reports/1",
}
APPROVAL = {"accepted": True, "reason": "approved by anna"}
SERVERLESS = {"ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5}}
LARGER = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}


def deploy(stack: Stack, case: str, **request: Any) -> tuple[dict[str, Any], list[str]]:
    """Deploy as faults.json plays SageMaker back; the execution, and the states it entered."""
    bucket = stack.outputs["TrainingBucketName"]
    stack.s3.put_object(Bucket=bucket, Key="reports/1/metadata.json", Body=b"{}")
    with copied(stack, "DeployModelStateMachineArn", "deployment") as copy:
        execution = stack.start({"model": MODEL, "approval": APPROVAL} | request, f"{copy}#{case}")
        return stack.ended(execution), states(stack, execution)


def outcome(described: dict[str, Any]) -> str:
    assert described["status"] == "SUCCEEDED", (described.get("error"), described.get("cause"))
    return str(json.loads(described["output"])["outcome"])


def test_the_first_deployment_makes_group_and_endpoint(stack: Stack) -> None:
    described, entered = deploy(stack, "FirstEndpoint", variant=SERVERLESS)
    assert outcome(described) == "serves"
    assert {"CreateModelPackageGroup", "CreateEndpoint"} <= set(entered)
    baseline = "baselines/scones-vehicle-classifier/2.1.0.json"
    assert stack.s3.get_object(Bucket=stack.bucket, Key=baseline)["Body"].read() == b"{}"


@pytest.mark.parametrize(
    ("case", "update"),
    [("Serves", "UpdateEndpoint"), ("ServesOnInstances", "UpdateEndpointOnInstances")],
)
def test_later_deployments_update_the_endpoint(stack: Stack, case: str, update: str) -> None:
    described, entered = deploy(stack, case)
    assert outcome(described) == "serves"
    assert update in entered
    assert "CreateModelPackageGroup" not in entered


def test_another_instance_type_is_scaled_as_asked(stack: Stack) -> None:
    scaling = {"max_instances": 3, "invocations_per_minute": 600}
    described, entered = deploy(stack, "ToAnotherType", variant=LARGER, scaling=scaling)
    assert outcome(described) == "serves"
    assert entered.index("StopScaling") < entered.index("RegisterScalableTarget")


def test_an_endpoint_that_fails_fails_the_deployment(stack: Stack) -> None:
    described, _ = deploy(stack, "EndpointFails")
    assert described["error"] == "EndpointFailed"
    assert "the container did not answer" in described["cause"]
