"""Cleaning up deletes all that is ours, nothing else, and says what it could not do.

Moto is the AWS. What it lacks answers here as AWS documents it: CloudFormation, which gets stuck
on a bucket that is not empty, and four calls of SageMaker.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.loaders import create_loader
from moto.s3.models import s3_backends
from moto.sagemaker.models import sagemaker_backends

from operations import delete

ACCOUNT, REGION = "123456789012", "eu-west-1"
STACK, ENDPOINT = "scones-unlimited", "scones-vehicle-classifier"
STACK_ID = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{STACK}/5f439d0e"
TRAINING_BUCKET = f"{STACK}-training-{ACCOUNT}-{REGION}"
PHOTOS_BUCKET = f"{STACK}-photosbucket-1abc"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/training"
SERVICE_MODELS = create_loader()  # that of SageMaker takes a second to read: once is enough
OURS = [{"Key": "project", "Value": "scones-unlimited"}, {"Key": "endpoint", "Value": ENDPOINT}]
OTHERS = [{"Key": "project", "Value": "scones-unlimited"}, {"Key": "endpoint", "Value": "other"}]
BY_STACK = [
    {"Key": "aws:cloudformation:stack-name", "Value": STACK},
    {"Key": "aws:cloudformation:stack-id", "Value": STACK_ID},
    {"Key": "aws:cloudformation:logical-id", "Value": "Replaced"},
]


class RefusedError(Exception):
    """An AWS error: code and message."""


@dataclass
class Aws:
    """Moto, the stack, and the calls that are answered here.

    Attributes:
        answers: what answers a call in moto's place, by its name.
        calls: names of all calls so far, in order.
        stack: the stack's status; None without a stack.
        resources: what the stack holds: logical id -> (type, physical id).
    """

    answers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    stack: str | None = None
    resources: dict[str, tuple[str, str]] = field(default_factory=dict)
    stuck_on: str | None = None

    def __post_init__(self) -> None:
        self.answers |= {
            "DescribeStacks": self.describe_stacks,
            "ListStackResources": self.list_stack_resources,
            "DeleteStack": self.delete_stack,
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
        """Botocore's event before a call: an answer, or None to let moto answer."""
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
        return {"Stacks": [stack]}

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


@pytest.fixture
def aws_account(aws: None) -> Aws:
    account = Aws()
    session = botocore.session.get_session()
    session.register_component("data_loader", SERVICE_MODELS)
    session.register("before-call", account.answer)
    boto3.setup_default_session(botocore_session=session)
    return account


@dataclass
class Outcome:
    code: int
    out: str
    err: str


Clean = Callable[..., Outcome]


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Clean:
    """Run the script as a person does; without --yes, nobody answers."""

    def run(*arguments: str, answer: str | None = None) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["delete", *arguments])

        def person(question: str) -> str:
            print(question)
            if answer is None:
                raise EOFError
            return answer

        monkeypatch.setattr("builtins.input", person)
        with pytest.raises(SystemExit) as ended:
            sys.exit(delete.main())
        output = capsys.readouterr()
        assert "Traceback" not in output.err
        assert isinstance(ended.value.code, int)
        return Outcome(ended.value.code, output.out, output.err)

    return run


def train(endpoint: str, tags: list[dict[str, str]], status: str = "Completed") -> None:
    """What the training makes, under its names and tags."""
    sagemaker, ecr, logs = (boto3.client(name) for name in ("sagemaker", "ecr", "logs"))
    version = f"{endpoint}-20261120"
    sagemaker.create_training_job(
        TrainingJobName=version,
        RoleArn=ROLE,
        AlgorithmSpecification={"TrainingInputMode": "File", "TrainingImage": "image"},
        OutputDataConfig={"S3OutputPath": "s3://bucket/"},
        ResourceConfig={"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
        Tags=tags,
    )
    sagemaker_backends[ACCOUNT][REGION].training_jobs[version].training_job_status = status
    sagemaker.create_processing_job(
        ProcessingJobName=f"{version}-stage-0",
        RoleArn=ROLE,
        AppSpecification={"ImageUri": "image"},
        ProcessingResources={
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": "ml.m5.xlarge",
                "VolumeSizeInGB": 30,
            }
        },
        Tags=tags,
    )
    job = sagemaker_backends[ACCOUNT][REGION].processing_jobs[f"{version}-stage-0"]
    job.processing_job_status = status
    for kind, name in (("Training", version), ("Processing", f"{version}-stage-0")):
        group = {"logGroupName": f"/aws/sagemaker/{kind}Jobs"}
        if not logs.describe_log_groups(logGroupNamePrefix=group["logGroupName"])["logGroups"]:
            logs.create_log_group(**group)
        logs.create_log_stream(**group, logStreamName=f"{name}/algo-1-1")
    sagemaker.create_model(ModelName=version, ExecutionRoleArn=ROLE, Tags=tags)
    sagemaker.create_endpoint_config(
        EndpointConfigName=version,
        ProductionVariants=[
            {
                "VariantName": "AllTraffic",
                "ModelName": version,
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": 2,
            }
        ],
        Tags=tags,
    )
    sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=version, Tags=tags)
    boto3.client("application-autoscaling").register_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId=f"endpoint/{endpoint}/variant/AllTraffic",
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
        MinCapacity=1,
        MaxCapacity=2,
    )
    sagemaker.create_model_package_group(ModelPackageGroupName=endpoint)
    for _ in range(2):
        sagemaker.create_model_package(ModelPackageGroupName=endpoint)
    ecr.create_repository(repositoryName=endpoint, tags=tags)
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
        # CloudFormation's own tags, which S3 takes from nobody else.
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
    """The stack, with a bucket, a table, a log group and an alarm."""
    make_bucket(PHOTOS_BUCKET)
    make_table(f"{STACK}-PredictionsTable-1ABC")
    boto3.client("logs").create_log_group(logGroupName=f"/aws/lambda/{STACK}")
    account.stack = status
    account.resources = {
        "FunctionsLogGroup": ("AWS::Logs::LogGroup", f"/aws/lambda/{STACK}"),
        "PredictionsTable": ("AWS::DynamoDB::Table", f"{STACK}-PredictionsTable-1ABC"),
        "Alarm": ("AWS::CloudWatch::Alarm", f"{STACK}-Alarm-1ABC"),
        "PhotosBucket": ("AWS::S3::Bucket", PHOTOS_BUCKET),
    }


def inventory() -> dict[str, list[str]]:
    """Names of all that is in the account, by kind."""
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


def lines(text: str, kind: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(kind)]


@pytest.mark.usefixtures("aws_account")
def test_an_empty_account_is_fine(clean: Clean) -> None:
    outcome = clean()
    assert outcome.code == 0
    assert "Nothing is there." in outcome.out
    assert not outcome.err


def test_everything_goes_and_a_second_run_finds_nothing(aws_account: Aws, clean: Clean) -> None:
    deploy(aws_account)
    train(ENDPOINT, OURS)
    make_bucket(TRAINING_BUCKET)
    first = clean("--yes")
    assert first.code == 0, first.err
    assert first.out.endswith("Nothing is there.\n")
    # Not ours alone: SageMaker's log group of all jobs stays, our job's stream does not.
    shared = ["/aws/sagemaker/ProcessingJobs", "/aws/sagemaker/TrainingJobs"]
    assert inventory() == {"log groups": shared}
    assert aws_account.stack is None

    second = clean("--yes")
    assert second.code == 0
    assert "Nothing is there." in second.out
    assert "deleting" not in second.out


def test_the_list_says_what_it_costs_and_deletes_nothing(aws_account: Aws, clean: Clean) -> None:
    deploy(aws_account)
    train(ENDPOINT, OURS)
    before = inventory()
    aws_account.calls.clear()
    outcome = clean("--dry-run")
    assert outcome.code == 0
    assert inventory() == before
    assert not [call for call in aws_account.calls if call.startswith(("Delete", "Abort", "Stop"))]
    # Two ml.m5.large at 0.115 dollars an hour, 730 hours; two alarms at 0.10 dollars.
    [endpoint] = lines(outcome.out, "endpoint  ")
    assert endpoint.split()[-1] == "167.90"
    assert "2 x ml.m5.large" in endpoint
    [bucket] = lines(outcome.out, "S3 bucket")
    assert "3 object versions, 1.0 MiB, 1 unfinished upload" in bucket
    [total] = lines(outcome.out, "total")
    assert total.split()[-1] == "168.10"


@pytest.mark.usefixtures("aws_account")
@pytest.mark.parametrize("answer", [None, "", "n", "yes please"])
def test_without_a_yes_nothing_is_deleted(clean: Clean, answer: str | None) -> None:
    make_bucket(TRAINING_BUCKET)
    before = inventory()
    outcome = clean(answer=answer)
    assert outcome.code == 1
    assert inventory() == before
    assert outcome.err == "delete: nothing was deleted (--yes deletes without asking)\n"


@pytest.mark.usefixtures("aws_account")
def test_a_yes_deletes(clean: Clean) -> None:
    make_bucket(TRAINING_BUCKET)
    assert clean(answer="Y").code == 0
    assert inventory() == {}


@pytest.mark.usefixtures("aws_account")
def test_what_is_not_ours_stays(clean: Clean) -> None:
    """Another endpoint of the project, names like ours without our tags, another region's stack."""
    train(f"{ENDPOINT}-2", OTHERS)
    elsewhere = STACK_ID.replace(REGION, "us-east-1")
    make_bucket(
        f"{STACK}-photosbucket-ours-elsewhere",
        [
            {"Key": "aws:cloudformation:stack-name", "Value": STACK},
            {"Key": "aws:cloudformation:stack-id", "Value": elsewhere},
        ],
    )
    make_bucket(f"{STACK}-holiday-pictures")
    make_bucket(
        f"{STACK}-2-photosbucket",
        [
            {"Key": "aws:cloudformation:stack-id", "Value": STACK_ID.replace(STACK, f"{STACK}-2")},
        ],
    )
    make_table(f"{STACK}-recipes")
    boto3.client("logs").create_log_group(logGroupName=f"/aws/lambda/{STACK}-2")
    before = inventory()
    outcome = clean("--yes")
    assert outcome.code == 0, outcome.err
    assert inventory() == before
    assert "Nothing is there." in outcome.out


@pytest.mark.usefixtures("aws_account")
def test_what_an_update_of_the_stack_replaced_goes(clean: Clean) -> None:
    make_bucket(f"{STACK}-photosbucket-0old", BY_STACK)
    make_table(f"{STACK}-PredictionsTable-0OLD", BY_STACK)
    outcome = clean("--yes")
    assert outcome.code == 0, outcome.err
    assert inventory() == {}


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "DELETE_FAILED", "CREATE_FAILED"])
def test_a_half_deployed_stack_goes(aws_account: Aws, clean: Clean, status: str) -> None:
    deploy(aws_account, status)
    assert clean("--yes").code == 0
    assert inventory() == {}
    assert aws_account.stack is None


def test_a_stack_whose_bucket_was_deleted_by_hand_goes(aws_account: Aws, clean: Clean) -> None:
    aws_account.stack = "DELETE_FAILED"
    aws_account.resources = {"PhotosBucket": ("AWS::S3::Bucket", PHOTOS_BUCKET)}
    aws_account.answers["DeleteStack"] = lambda _: setattr(aws_account, "stack", None) or {}
    assert clean("--yes").code == 0


def test_buckets_are_emptied_in_batches(aws_account: Aws, clean: Clean) -> None:
    """S3 lists and deletes at most 1000 at a time."""
    make_bucket(TRAINING_BUCKET)
    backend = s3_backends[ACCOUNT]["aws"]  # many times faster than through boto3
    for number in range(1100):
        backend.put_object(TRAINING_BUCKET, f"data/{number}", b"")
    aws_account.calls.clear()
    outcome = clean("--yes")
    assert outcome.code == 0, outcome.err
    assert inventory() == {}
    assert aws_account.calls.count("DeleteObjects") == 2


def test_what_s3_keeps_is_said_and_the_stack_is_left_whole(aws_account: Aws, clean: Clean) -> None:
    """AWS would delete all but the bucket, and leave the stack in DELETE_FAILED."""
    deploy(aws_account)
    train(ENDPOINT, OURS)
    error = {"Key": "uploads/7/a +é%.jpg", "Code": "AccessDenied", "Message": "Access Denied"}
    aws_account.answers["DeleteObjects"] = lambda _: {"Errors": [error]}
    outcome = clean("--yes")
    assert outcome.code == 1
    assert "S3 kept 1 object version, first uploads/7/a +é%.jpg (AccessDenied: " in outcome.err
    assert f"left as it is, because {PHOTOS_BUCKET} is not empty" in outcome.err
    assert "DeleteStack" not in aws_account.calls
    assert set(inventory()) == {"buckets", "tables", "log groups"}
    assert lines(outcome.out.split("Looked again")[1], "stack")

    del aws_account.answers["DeleteObjects"]
    assert clean("--yes").code == 0


def test_the_reason_why_aws_kept_the_stack_is_said(aws_account: Aws, clean: Clean) -> None:
    deploy(aws_account)
    s3 = boto3.client("s3")

    def upload_and_delete(arguments: dict[str, Any]) -> dict[str, Any]:
        s3.put_object(Bucket=PHOTOS_BUCKET, Key="uploads/8/late.jpg", Body=b"late")
        return aws_account.delete_stack(arguments)

    aws_account.answers["DeleteStack"] = upload_and_delete
    outcome = clean("--yes")
    assert outcome.code == 1
    reason = "AWS kept PhotosBucket (The bucket you tried to delete is not empty)"
    assert reason in outcome.err
    again = f"--stack-name {STACK} --endpoint-name {ENDPOINT} --region {REGION}\n"
    assert outcome.err.endswith(again)
    aws_account.answers["DeleteStack"] = aws_account.delete_stack
    aws_account.stuck_on = None
    aws_account.resources = {"PhotosBucket": ("AWS::S3::Bucket", PHOTOS_BUCKET)}
    assert clean("--yes").code == 0


def test_a_running_training_job_is_stopped_first(aws_account: Aws, clean: Clean) -> None:
    train(ENDPOINT, OURS, status="InProgress")
    listed = clean("--dry-run")
    [job] = lines(listed.out, "training job")
    assert job.split()[-2:] == ["InProgress", "?"]
    assert "at least" in lines(listed.out, "total")[0]
    assert clean("--yes").code == 0
    stop, delete = (aws_account.calls.index(f"{verb}TrainingJob") for verb in ("Stop", "Delete"))
    assert stop < delete


@pytest.mark.usefixtures("aws_account")
def test_the_endpoint_goes_even_without_its_configuration(clean: Clean) -> None:
    train(ENDPOINT, OURS)
    boto3.client("sagemaker").delete_endpoint_config(EndpointConfigName=f"{ENDPOINT}-20261120")
    assert clean("--yes").code == 0
    assert "endpoints" not in inventory()


def test_an_endpoint_that_is_updated_is_waited_for(
    aws_account: Aws, clean: Clean, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(ENDPOINT, OURS)
    endpoint = aws_account.sagemaker.endpoints[ENDPOINT]
    endpoint.endpoint_status = "Updating"

    def delete(arguments: dict[str, Any]) -> dict[str, Any]:
        if endpoint.endpoint_status == "Updating":
            raise RefusedError("ValidationException", "Cannot update in-progress endpoint")
        aws_account.sagemaker.delete_endpoint(arguments["EndpointName"])
        return {}

    aws_account.answers["DeleteEndpoint"] = delete
    monkeypatch.setattr("time.sleep", lambda _: setattr(endpoint, "endpoint_status", "Failed"))
    outcome = clean("--yes")
    assert outcome.code == 0, outcome.err
    assert "it is Updating: waiting until that ends, an hour at most" in outcome.out


def test_what_an_endpoint_serves_with_stays_where_it_cannot_be_deleted(
    aws_account: Aws, clean: Clean
) -> None:
    train(ENDPOINT, OURS)
    make_bucket(TRAINING_BUCKET)
    aws_account.deny("DeleteEndpoint")
    outcome = clean("--yes")
    assert outcome.code == 1
    assert f"left for the endpoint: S3 bucket {TRAINING_BUCKET}" in outcome.err
    kept = {"configurations", "models", "groups", "packages", "repositories", "buckets"}
    assert set(inventory()) == {"endpoints", "log groups"} | kept
    del aws_account.answers["DeleteEndpoint"]
    assert clean("--yes").code == 0
    assert set(inventory()) == {"log groups"}


def test_another_region_can_be_given(
    aws_account: Aws, clean: Clean, environment: pytest.MonkeyPatch
) -> None:
    train(ENDPOINT, OURS)
    environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert "Nothing is there." in clean("--dry-run").out
    aws_account.deny("DeleteEndpoint")
    assert f" --region {REGION}\n" in clean("--yes", "--region", REGION).err
    del aws_account.answers["DeleteEndpoint"]
    assert clean("--yes", "--region", REGION).code == 0
    environment.setenv("AWS_DEFAULT_REGION", REGION)
    assert set(inventory()) == {"log groups"}


@pytest.mark.parametrize(
    ("denied", "stays"),
    [
        ("DescribeRepositories", {"repositories"}),
        ("ListEndpoints", {"endpoints"}),
        ("ListBuckets", {"buckets"}),
        ("DeleteRepository", {"repositories"}),
    ],
)
def test_a_service_without_permission_does_not_stop_the_rest(
    aws_account: Aws, clean: Clean, denied: str, stays: set[str]
) -> None:
    train(ENDPOINT, OURS)
    make_bucket(TRAINING_BUCKET)
    aws_account.deny(denied)
    outcome = clean("--yes")
    assert outcome.code == 1
    assert f"is not authorized to perform: {denied}" in outcome.err
    del aws_account.answers[denied]
    assert set(inventory()) - {"log groups"} == stays


def test_without_a_look_at_the_stack_nothing_of_it_is_touched(
    aws_account: Aws, clean: Clean
) -> None:
    deploy(aws_account)
    train(ENDPOINT, OURS)
    aws_account.deny("DescribeStacks")
    outcome = clean("--yes")
    assert outcome.code == 1
    assert set(inventory()) == {"alarms", "buckets", "tables", "log groups"}


@pytest.mark.usefixtures("aws_account")
def test_a_resource_that_only_its_tags_tell_of_is_named(clean: Clean) -> None:
    topic = boto3.client("sns").create_topic(Name="by-hand", Tags=OURS)["TopicArn"]
    outcome = clean("--yes")
    assert outcome.code == 1
    assert topic in outcome.out.split("Looked again")[1]


def test_the_tag_index_may_lag_behind_the_stack(aws_account: Aws, clean: Clean) -> None:
    """It still names a queue; CloudFormation remembers that the stack has deleted it."""
    aws_account.resources = {"Replaced": ("AWS::SQS::Queue", "https://queue")}
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{STACK}-Queue-1ABC"
    index = {"ResourceTagMappingList": [{"ResourceARN": arn, "Tags": BY_STACK}]}
    aws_account.answers["GetResources"] = lambda _: index
    assert clean().code == 0
    aws_account.resources = {}  # kept: the deleted stack does not know of it
    assert arn in clean("--dry-run").out


def test_a_service_that_a_local_cloud_lacks_is_named(aws_account: Aws, clean: Clean) -> None:
    def unsupported(_: dict[str, Any]) -> dict[str, Any]:
        raise RefusedError("400", "")

    for call in ("ListEndpoints", "ListTrainingJobs", "ListEndpointConfigs", "ListModels"):
        aws_account.answers[call] = unsupported
    outcome = clean()
    assert outcome.code == 0
    assert outcome.out.count("SageMaker is not offered here: nothing to look into.") == 1


@pytest.mark.usefixtures("aws_account")
def test_names_can_be_given(clean: Clean) -> None:
    train("my-endpoint", [OURS[0], {"Key": "endpoint", "Value": "my-endpoint"}])
    make_bucket(f"my-stack-training-{ACCOUNT}-{REGION}")
    outcome = clean("--yes", "--stack-name", "my-stack", "--endpoint-name", "my-endpoint")
    assert outcome.code == 0, outcome.err
    shared = ["/aws/sagemaker/ProcessingJobs", "/aws/sagemaker/TrainingJobs"]
    assert inventory() == {"log groups": shared}


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        (["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"], "no AWS credentials"),
        (["AWS_DEFAULT_REGION"], "no region"),
    ],
)
def test_without_credentials_or_region_one_line_says_so(
    environment: pytest.MonkeyPatch, clean: Clean, tmp_path: Path, missing: list[str], reason: str
) -> None:
    environment.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    environment.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in missing:
        environment.delenv(name)
    outcome = clean("--dry-run")
    assert outcome.code == 1
    assert outcome.err.startswith(f"delete: {reason}")
    assert outcome.err.count("\n") == 1
