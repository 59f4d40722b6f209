"""An AWS account in moto, with the outputs of a deployed stack.

Moto answers what it can. What it lacks (Aws.__post_init__ lists it) is answered here, after
botocore has checked the request against the service's model, with an answer that is checked too.
"""

import contextlib
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.validate import ParamValidator
from moto.sagemaker.models import sagemaker_backends

from operations.stack import TRAINING_LOG_GROUP
from training.launch import deployment
from training.launch.command import main

ACCOUNT, REGION = "123456789012", "eu-central-1"
ENDPOINT = "scones-vehicle-classifier"
BUCKET = "scones-unlimited-trainingbucket-1abc"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/scones-unlimited-SageMakerRole-1ABC"
TAGS = {"project": "scones-unlimited", "endpoint": ENDPOINT}
SPOT, ON_DEMAND = "for spot training job usage", "for training job usage"
REPOSITORY = "scones-unlimited-imagerepository-1abc"
REPOSITORY_URI = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{REPOSITORY}"
EXECUTION = f"arn:aws:states:{REGION}:{ACCOUNT}:execution:DeployModel-1ABC:1"
MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:DeployModel-1ABC"
OUTPUTS = {
    "TrainingBucketName": BUCKET,
    "SageMakerRoleArn": ROLE,
    "ImageRepositoryUri": REPOSITORY_URI,
    "TrainingRunParameterName": "/scones-unlimited/training-run",
    "DeployModelStateMachineArn": MACHINE,
}


class RefusalError(Exception):
    """An AWS error: code and message."""


@dataclasses.dataclass
class Aws:
    """The calls so far, and the responses that replace moto's."""

    calls: list[tuple[str, dict[str, Any]]] = dataclasses.field(default_factory=list)
    answers: dict[str, Callable[[dict[str, Any]], Any]] = dataclasses.field(default_factory=dict)
    quotas: dict[str, float] = dataclasses.field(default_factory=dict)
    defaults: dict[str, float] = dataclasses.field(default_factory=dict)  # quotas never changed
    outputs: dict[str, str] = dataclasses.field(default_factory=lambda: dict(OUTPUTS))
    running: bool = False  # whether another deployment is running
    status: str = "SUCCEEDED"  # the result of the deployment that the test starts
    output: dict[str, str] = dataclasses.field(default_factory=lambda: {"outcome": "serves"})

    def __post_init__(self) -> None:
        self.quotas = {f"ml.g5.xlarge {SPOT}": 1, f"ml.g5.xlarge {ON_DEMAND}": 0}
        self.answers = {
            # moto has no quotas of SageMaker
            "ListServiceQuotas": lambda _: self.list_quotas(self.quotas),
            "ListAWSDefaultServiceQuotas": lambda _: self.list_quotas(self.defaults),
            "SimulatePrincipalPolicy": lambda _: {"EvaluationResults": []},  # the SDK calls it
            # moto does not run a state machine
            "StartExecution": lambda _: {"executionArn": EXECUTION, "startDate": 0},
            "ListExecutions": self.list_executions,
            "DescribeExecution": self.describe_execution,
            "GetExecutionHistory": self.history,
            "DescribeStacks": self.describe_stacks,  # moto needs another package for it
        }

    def intercept(self, model: Any, params: dict[str, Any], **_: Any) -> Any:
        """Handle botocore's event after it has checked a request and before it sends it."""
        body = params["body"]
        with contextlib.suppress(ValueError, TypeError):
            body = json.loads(body)
        self.calls.append((model.name, body if isinstance(body, dict) else {"body": body}))
        if model.name not in self.answers:
            return None
        try:
            answer = self.answers[model.name](self.calls[-1][1])
        except RefusalError as refusal:
            code, message = refusal.args
            return SimpleNamespace(status_code=400), {"Error": {"Code": code, "Message": message}}
        if answer is None:
            return None
        if model.output_shape:
            report = ParamValidator().validate(answer, model.output_shape)
            assert not report.has_errors(), report.generate_report()
        return SimpleNamespace(status_code=200), answer | {"ResponseMetadata": {}}

    def deny(self, call: str, code: str = "AccessDeniedException") -> None:
        def refuse(_: dict[str, Any]) -> None:
            raise RefusalError(code, f"you may not {call}")

        self.answers[call] = refuse

    def requests(self, call: str) -> list[dict[str, Any]]:
        return [request for name, request in self.calls if name == call]

    def list_quotas(self, values: dict[str, float]) -> dict[str, Any]:
        quotas = [
            {"QuotaName": name, "QuotaCode": f"L-{number}", "Value": float(value)}
            for number, (name, value) in enumerate(values.items())
        ]
        return {"Quotas": quotas}

    def deployments(self) -> list[dict[str, Any]]:
        """The input with which DeployModel was started."""
        return [json.loads(request["input"]) for request in self.requests("StartExecution")]

    def list_executions(self, request: dict[str, Any]) -> dict[str, Any]:
        execution = {"executionArn": EXECUTION, "name": "1", "status": "RUNNING", "startDate": 0}
        execution |= {"stateMachineArn": request["stateMachineArn"]}
        return {"executions": [execution] if self.running else []}

    def describe_execution(self, _: dict[str, Any]) -> dict[str, Any]:
        """The execution: running at the first call, ended at the second."""
        described = {"executionArn": EXECUTION, "stateMachineArn": MACHINE, "startDate": 0}
        if len(self.requests("DescribeExecution")) == 1:
            return described | {"status": "RUNNING"}
        if self.status == "FAILED":
            described |= {"error": "EndpointFailed", "cause": "the container did not answer"}
        return described | {"status": self.status, "output": json.dumps(self.output)}

    def history(self, _: dict[str, Any]) -> dict[str, Any]:
        events = [
            {
                "timestamp": 0,
                "type": "TaskStateEntered",
                "id": number,
                "stateEnteredEventDetails": {"name": name},
            }
            for number, name in enumerate(("RegisterModel", "WatchAlarms"), 1)
        ]
        return {"events": events}

    def describe_stacks(self, request: dict[str, Any]) -> dict[str, Any]:
        if not self.outputs:
            name = request["StackName"]
            raise RefusalError("ValidationError", f"Stack with id {name} does not exist")
        stack = {
            "StackId": "1",
            "StackName": request["StackName"],
            "StackStatus": "CREATE_COMPLETE",
            "CreationTime": 0,
            "Parameters": [{"ParameterKey": "EndpointName", "ParameterValue": ENDPOINT}],
            "Outputs": [
                {"OutputKey": key, "OutputValue": value} for key, value in self.outputs.items()
            ],
        }
        return {"Stacks": [stack]}


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line with which the launcher ends after an error."""
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert "\n" not in str(stop.value)
    assert "Traceback" not in capsys.readouterr().err
    return str(stop.value)


def keep_artifact(aws: Aws, model: Path) -> None:
    """Let each training job store this model where SageMaker stores it."""

    def create(request: dict[str, Any]) -> None:
        bucket, _, prefix = request["OutputDataConfig"]["S3OutputPath"][5:].partition("/")
        key = f"{prefix}/{request['TrainingJobName']}/output/model.tar.gz"
        boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=deployment.pack(model))

    aws.answers["CreateTrainingJob"] = create


def job(
    status: str = "InProgress",
    secondary: str = "Training",
    name: str = f"{ENDPOINT}-launch-20261121003302",
    dataset: str = "1",
    **more: Any,
) -> str:
    """Create a training job of the project, with lines in its log; its name."""
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/datasets/{dataset}/"}
    boto3.client("sagemaker").create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={"TrainingImage": "image", "TrainingInputMode": "File"},
        HyperParameters={"model-version": "1.2.0"},
        RoleArn=ROLE,
        InputDataConfig=[{"ChannelName": "training", "DataSource": {"S3DataSource": source}}],
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/jobs"},
        ResourceConfig={"InstanceType": "ml.g5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30},
        StoppingCondition={"MaxRuntimeInSeconds": 3600},
    )
    set_job(name, training_job_status=status, secondary_status=secondary, **more)
    logs = boto3.client("logs")
    logs.create_log_group(logGroupName=TRAINING_LOG_GROUP)
    where = {"logGroupName": TRAINING_LOG_GROUP, "logStreamName": f"{name}/algo-1"}
    logs.create_log_stream(**where)
    lines = ["Installing requirements", "step=500 left_out_accuracy=0.91 train_loss=1.2"]
    now = int(sagemaker_backends[ACCOUNT][REGION].training_jobs[name].creation_time.timestamp())
    events = [{"timestamp": 1000 * now, "message": line} for line in lines]
    logs.put_log_events(**where, logEvents=events)
    return name


def set_job(name: str, **attributes: Any) -> None:
    for attribute, value in attributes.items():
        setattr(sagemaker_backends[ACCOUNT][REGION].training_jobs[name], attribute, value)


def read(uri: str) -> bytes:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()


def register(artifact: str) -> None:
    """Register a model package with the model at this S3 URI."""
    sagemaker = boto3.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName=ENDPOINT)
    sagemaker.create_model_package(
        ModelPackageGroupName=ENDPOINT,
        InferenceSpecification={
            "Containers": [{"Image": "image", "ModelDataUrl": artifact}],
            "SupportedContentTypes": ["image/jpeg"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
    )
