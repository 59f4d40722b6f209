"""An AWS account with a deployed stack, for the tests of `operations.delete`.

Moto is the AWS. What it lacks answers here as AWS documents it: CloudFormation, which gets stuck
on a bucket that is not empty, and four calls of SageMaker.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import boto3
from moto.s3.models import s3_backends
from moto.sagemaker.models import sagemaker_backends

ACCOUNT, REGION = "123456789012", "eu-west-1"
STACK, ENDPOINT = "scones-unlimited", "scones-vehicle-classifier"
STACK_ID = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{STACK}/5f439d0e"
TRAINING_BUCKET = f"{STACK}-training-{ACCOUNT}-{REGION}"
PHOTOS_BUCKET_NAME = f"{STACK}-photosbucket-1abc"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/training"
OURS = [{"Key": "project", "Value": "scones-unlimited"}, {"Key": "endpoint", "Value": ENDPOINT}]
OTHERS = [{"Key": "project", "Value": "scones-unlimited"}, {"Key": "endpoint", "Value": "other"}]
BY_STACK = [
    {"Key": "aws:cloudformation:stack-name", "Value": STACK},
    {"Key": "aws:cloudformation:stack-id", "Value": STACK_ID},
    {"Key": "aws:cloudformation:logical-id", "Value": "Replaced"},
]


@dataclass
class Outcome:
    """What `python -m operations.delete` ended with: exit code, standard output and error."""

    code: int
    out: str
    err: str


Clean = Callable[..., Outcome]  # the fixture that runs the command


class RefusedError(Exception):
    """An AWS error: code and message."""


@dataclass
class Aws:
    """Moto, the stack, and the calls to which this class responds.

    Attributes:
        answers: what answers a call in moto's place, by its name.
        calls: names of all calls so far, in order.
        stack: the stack's status; None without a stack.
        resources: what the stack holds: logical id -> (type, physical id).
        is_protected: whether the stack has termination protection.
        templates: name of each stack -> the text of its template, for the stack and others.
        forbidden: IAM actions that the caller is not permitted to.
    """

    answers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    stack: str | None = None
    resources: dict[str, tuple[str, str]] = field(default_factory=dict)
    stuck_on: str | None = None
    is_protected: bool = False
    templates: dict[str, str] = field(default_factory=lambda: {STACK: ""})
    forbidden: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.answers |= {
            "DescribeStacks": self.describe_stacks,
            "ListStackResources": self.list_stack_resources,
            "DeleteStack": self.delete_stack,
            "GetTemplate": self.get_template,
            "ListStacks": self.list_stacks,
            "SimulatePrincipalPolicy": self.simulate,
            "StopTrainingJob": self.stop_training_job,
            "StopProcessingJob": self.stop_processing_job,
            "DeleteTrainingJob": self.delete_training_job,
            "DeleteProcessingJob": self.delete_processing_job,
            "DeleteModelPackage": self.delete_model_package,
            "DeleteModelPackageGroup": self.delete_model_package_group,
        }

    def client(self, service: str) -> Any:
        return boto3.client(service)

    def answer(self, model: Any, params: dict[str, Any], **_: Any) -> Any:
        """Handle botocore's event before a call: a response, or None to let moto respond."""
        self.calls.append(model.name)
        if model.name not in self.answers:
            return None
        body = params["body"]
        is_json = isinstance(body, bytes) and body.startswith(b"{")
        arguments = json.loads(body) if is_json else body
        try:
            return SimpleNamespace(status_code=200), self.answers[model.name](arguments)
        except RefusedError as refusal:
            code, message = refusal.args
            return SimpleNamespace(status_code=400), {"Error": {"Code": code, "Message": message}}

    def deny(self, call: str) -> None:
        def denied(_: dict[str, Any]) -> dict[str, Any]:
            raise RefusedError(
                "AccessDeniedException", f"User is not authorized to perform: {call}"
            )

        self.answers[call] = denied

    # ── CloudFormation ──

    def describe_stacks(self, arguments: dict[str, Any]) -> dict[str, Any]:
        name = arguments["StackName"]
        if self.stack is None and name == STACK_ID:
            return {"Stacks": [{"StackStatus": "DELETE_COMPLETE"}]}
        if self.stack is None or name not in (STACK, STACK_ID):
            raise RefusedError("ValidationError", f"Stack with id {name} does not exist")
        parameters = [{"ParameterKey": "EndpointName", "ParameterValue": ENDPOINT}]
        stack = {"StackId": STACK_ID, "StackStatus": self.stack, "Parameters": parameters}
        return {"Stacks": [stack | {"EnableTerminationProtection": self.is_protected}]}

    def get_template(self, arguments: dict[str, Any]) -> dict[str, Any]:
        return {"TemplateBody": self.templates[arguments["StackName"].split("/")[1]]}

    def list_stacks(self, _: dict[str, Any]) -> dict[str, Any]:
        stacks = [
            {
                "StackName": name,
                "StackId": STACK_ID.replace(STACK, name),
                "StackStatus": "CREATE_COMPLETE",
                "TemplateDescription": "Scones Unlimited. A courier's photo goes in.",
            }
            for name in self.templates
        ]
        return {"StackSummaries": stacks}

    def simulate(self, arguments: dict[str, Any]) -> dict[str, Any]:
        action = arguments["ActionNames.member.1"]
        decision = "implicitDeny" if action in self.forbidden else "allowed"
        return {"EvaluationResults": [{"EvalActionName": action, "EvalDecision": decision}]}

    def list_stack_resources(self, _: dict[str, Any]) -> dict[str, Any]:
        status = "DELETE_COMPLETE" if self.stack is None else "CREATE_COMPLETE"
        resources = [
            {
                "LogicalResourceId": name,
                "ResourceType": kind,
                "PhysicalResourceId": physical,
                "ResourceStatus": "DELETE_FAILED" if name == self.stuck_on else status,
                "ResourceStatusReason": "The bucket you tried to delete is not empty",
            }
            for name, (kind, physical) in self.resources.items()
        ]
        return {"StackResourceSummaries": resources}

    def delete_stack(self, arguments: dict[str, Any]) -> dict[str, Any]:
        assert arguments["StackName"] == STACK_ID
        delete = {
            "AWS::DynamoDB::Table": lambda name: self.client("dynamodb").delete_table(
                TableName=name
            ),
            "AWS::Logs::LogGroup": lambda name: self.client("logs").delete_log_group(
                logGroupName=name
            ),
            "AWS::S3::Bucket": lambda name: self.client("s3").delete_bucket(Bucket=name),
        }
        for name, (kind, physical) in self.resources.items():
            try:
                delete.get(kind, lambda _: None)(physical)
            except self.client("s3").exceptions.ClientError:
                self.stack, self.stuck_on = "DELETE_FAILED", name
                return {}
        self.stack = None
        return {}

    # ── SageMaker ──

    @property
    def sagemaker(self) -> Any:
        return sagemaker_backends[ACCOUNT][REGION]

    def stop_training_job(self, arguments: dict[str, Any]) -> dict[str, Any]:
        job = self.sagemaker.training_jobs[arguments["TrainingJobName"]]
        job.training_job_status = "Stopped"
        return {}

    def delete_training_job(self, arguments: dict[str, Any]) -> dict[str, Any]:
        job = self.sagemaker.training_jobs[arguments["TrainingJobName"]]
        if job.training_job_status in ("InProgress", "Stopping"):
            raise RefusedError("ResourceInUse", "the job is running")
        del self.sagemaker.training_jobs[arguments["TrainingJobName"]]
        return {}

    def stop_processing_job(self, arguments: dict[str, Any]) -> dict[str, Any]:
        job = self.sagemaker.processing_jobs[arguments["ProcessingJobName"]]
        job.processing_job_status = "Stopped"
        return {}

    def delete_processing_job(self, arguments: dict[str, Any]) -> dict[str, Any]:
        job = self.sagemaker.processing_jobs[arguments["ProcessingJobName"]]
        if job.processing_job_status in ("InProgress", "Stopping"):
            raise RefusedError("ResourceInUse", "the job is running")
        del self.sagemaker.processing_jobs[arguments["ProcessingJobName"]]
        return {}

    def delete_model_package(self, arguments: dict[str, Any]) -> dict[str, Any]:
        packages = self.sagemaker.model_packages
        del packages[arguments["ModelPackageName"]]
        return {}

    def delete_model_package_group(self, arguments: dict[str, Any]) -> dict[str, Any]:
        name = arguments["ModelPackageGroupName"]
        if any(p.model_package_group_name == name for p in self.sagemaker.model_packages.values()):
            raise RefusedError("ConflictException", "the group holds model packages")
        del self.sagemaker.model_package_groups[name]
        return {}


def train(endpoint: str, tags: list[dict[str, str]], status: str = "Completed") -> None:
    """Create what a training run and a deployment create, with their names and tags."""
    version = f"{endpoint}-20261120"
    start_jobs(version, tags, status)
    serve(endpoint, version, tags)
    sagemaker, logs = boto3.client("sagemaker"), boto3.client("logs")
    sagemaker.create_model_package_group(ModelPackageGroupName=endpoint)
    for _ in range(2):
        sagemaker.create_model_package(ModelPackageGroupName=endpoint)
    boto3.client("ecr").create_repository(repositoryName=endpoint, tags=tags)
    logs.create_log_group(logGroupName=f"/aws/sagemaker/Endpoints/{endpoint}")
    boto3.client("cloudwatch").put_metric_alarm(
        AlarmName=f"{endpoint}-errors",
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
        Tags=tags,
    )


def start_jobs(version: str, tags: list[dict[str, str]], status: str) -> None:
    """Create a training job and a processing job of this status, and their logs."""
    sagemaker, logs = boto3.client("sagemaker"), boto3.client("logs")
    backend = sagemaker_backends[ACCOUNT][REGION]
    sagemaker.create_training_job(
        TrainingJobName=version,
        RoleArn=ROLE,
        AlgorithmSpecification={"TrainingInputMode": "File", "TrainingImage": "image"},
        OutputDataConfig={"S3OutputPath": "s3://bucket/"},
        ResourceConfig={"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
        Tags=tags,
    )
    backend.training_jobs[version].training_job_status = status
    cluster = {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 30}
    sagemaker.create_processing_job(
        ProcessingJobName=f"{version}-stage-0",
        RoleArn=ROLE,
        AppSpecification={"ImageUri": "image"},
        ProcessingResources={"ClusterConfig": cluster},
        Tags=tags,
    )
    backend.processing_jobs[f"{version}-stage-0"].processing_job_status = status
    for kind, name in (("Training", version), ("Processing", f"{version}-stage-0")):
        group = {"logGroupName": f"/aws/sagemaker/{kind}Jobs"}
        if not logs.describe_log_groups(logGroupNamePrefix=group["logGroupName"])["logGroups"]:
            logs.create_log_group(**group)
        logs.create_log_stream(**group, logStreamName=f"{name}/algo-1-1")


def serve(endpoint: str, version: str, tags: list[dict[str, str]]) -> None:
    """Create an endpoint on two instances, with its model, its configuration and its scaling."""
    sagemaker = boto3.client("sagemaker")
    sagemaker.create_model(ModelName=version, ExecutionRoleArn=ROLE, Tags=tags)
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": version,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 2,
    }
    sagemaker.create_endpoint_config(
        EndpointConfigName=version, ProductionVariants=[variant], Tags=tags
    )
    sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=version, Tags=tags)
    boto3.client("application-autoscaling").register_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId=f"endpoint/{endpoint}/variant/AllTraffic",
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
        MinCapacity=1,
        MaxCapacity=2,
    )


def make_bucket(name: str, tags: list[dict[str, str]] | None = None) -> None:
    """A versioned bucket with two versions, a delete marker and an unfinished upload."""
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for photo in (b"one", b"two"):
        s3.put_object(Bucket=name, Key="uploads/7/a +é%.jpg", Body=photo)
    s3.delete_object(Bucket=name, Key="uploads/7/a +é%.jpg")
    upload = s3.create_multipart_upload(Bucket=name, Key="uploads/7/big.jpg")["UploadId"]
    s3.upload_part(
        Bucket=name, Key="uploads/7/big.jpg", UploadId=upload, PartNumber=1, Body=b"0" * 2**20
    )
    if tags:
        # S3 accepts these tags from CloudFormation only.
        backend = s3_backends[ACCOUNT]["aws"]
        backend.tagger.tag_resource(backend.get_bucket(name).arn, tags)


def make_table(name: str, tags: list[dict[str, str]] | None = None) -> None:
    boto3.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "image_id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "image_id", "KeyType": "HASH"}],
        Tags=tags or [],
    )


def deploy(account: Aws, status: str = "CREATE_COMPLETE") -> None:
    """Create the stack, with a bucket, a table, a log group and an alarm."""
    make_bucket(PHOTOS_BUCKET_NAME)
    make_table(f"{STACK}-PredictionsTable-1ABC")
    boto3.client("logs").create_log_group(logGroupName=f"/aws/lambda/{STACK}")
    account.stack = status
    account.resources = {
        "FunctionsLogGroup": ("AWS::Logs::LogGroup", f"/aws/lambda/{STACK}"),
        "PredictionsTable": ("AWS::DynamoDB::Table", f"{STACK}-PredictionsTable-1ABC"),
        "Alarm": ("AWS::CloudWatch::Alarm", f"{STACK}-Alarm-1ABC"),
        "PhotosBucket": ("AWS::S3::Bucket", PHOTOS_BUCKET_NAME),
    }


def inventory() -> dict[str, list[str]]:
    """The names of all resources of the account, by kind."""
    sagemaker, logs = boto3.client("sagemaker"), boto3.client("logs")
    streams: list[str] = []
    groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
    for group in groups:
        found = logs.describe_log_streams(logGroupName=group)["logStreams"]
        streams += [stream["logStreamName"] for stream in found]
    backend = sagemaker_backends[ACCOUNT][REGION]
    everything = {
        "endpoints": [item["EndpointName"] for item in sagemaker.list_endpoints()["Endpoints"]],
        "configurations": [
            item["EndpointConfigName"]
            for item in sagemaker.list_endpoint_configs()["EndpointConfigs"]
        ],
        "models": [item["ModelName"] for item in sagemaker.list_models()["Models"]],
        "jobs": [*backend.training_jobs, *backend.processing_jobs],
        "scaling": [
            item["ResourceId"]
            for item in boto3.client("application-autoscaling").describe_scalable_targets(
                ServiceNamespace="sagemaker"
            )["ScalableTargets"]
        ],
        "groups": list(backend.model_package_groups),
        "packages": [item.model_package_group_name for item in backend.model_packages.values()],
        "repositories": [
            item["repositoryName"]
            for item in boto3.client("ecr").describe_repositories()["repositories"]
        ],
        "alarms": [
            item["AlarmName"]
            for item in boto3.client("cloudwatch").describe_alarms()["MetricAlarms"]
        ],
        "buckets": [item["Name"] for item in boto3.client("s3").list_buckets()["Buckets"]],
        "tables": boto3.client("dynamodb").list_tables()["TableNames"],
        "log groups": groups,
        "log streams": streams,
    }
    return {kind: sorted(names) for kind, names in everything.items() if names}
