"""The road to the endpoint, walked against the AWS that moto plays, and refused where it must be.

Moto answers what it can. What it lacks (Aws.__post_init__ lists it) is answered here, after
botocore has checked the request against the service's model, with an answer that is checked too.
The endpoint's invocations go to the serving app, which runs for real.
"""

import contextlib
import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.request import urlopen

import boto3
import pytest
from boto3.exceptions import RetriesExceededError
from botocore.exceptions import EndpointConnectionError
from botocore.validate import ParamValidator
from moto import mock_aws
from moto.sagemaker.models import sagemaker_backends

from operations.errors import UserError
from operations.stack import TRAINING_LOG_GROUP
from tests.support.drawn import write_photos
from training import endpoint, launch, preflight, training_job

ACCOUNT, REGION = "123456789012", "eu-central-1"
ENDPOINT = "scones-vehicle-classifier"
BUCKET = f"scones-unlimited-training-{ACCOUNT}-{REGION}"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/scones-sagemaker"
TAGS = {"project": "scones-unlimited", "endpoint": ENDPOINT}
SPOT, ON_DEMAND = "for spot training job usage", "for training job usage"


class RefusalError(Exception):
    """An AWS error: code and message."""


@dataclasses.dataclass
class Aws:
    """What was called, and what answers in moto's place."""

    calls: list[tuple[str, dict[str, Any]]] = dataclasses.field(default_factory=list)
    answers: dict[str, Callable[[dict[str, Any]], Any]] = dataclasses.field(default_factory=dict)
    quotas: dict[str, float] = dataclasses.field(default_factory=dict)
    rolls_back: bool = False  # AWS finds an alarm, and serves the configuration before
    defaults: dict[str, float] = dataclasses.field(default_factory=dict)  # quotas never changed
    policy: str | None = None  # of the training bucket
    outputs: dict[str, str] = dataclasses.field(default_factory=dict)  # of the stack, where it is

    def __post_init__(self) -> None:
        self.quotas = {f"ml.g5.xlarge {SPOT}": 1, f"ml.g5.xlarge {ON_DEMAND}": 0}
        self.answers = {
            # moto knows no quotas of SageMaker's
            "ListServiceQuotas": lambda _: self.list_quotas(self.quotas),
            "ListAWSDefaultServiceQuotas": lambda _: self.list_quotas(self.defaults),
            "UpdateEndpoint": self.update_endpoint,
            "SimulatePrincipalPolicy": lambda _: {"EvaluationResults": []},  # the SDK asks
            "PutBucketPolicy": self.put_policy,  # moto overlooks the condition of the denial
            "GetBucketPolicy": self.get_policy,
            "DescribeStacks": self.describe_stacks,  # moto's needs a package more
        }

    def intercept(self, model: Any, params: dict[str, Any], **_: Any) -> Any:
        """Botocore's event between checking a request and sending it."""
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

    def put_policy(self, policy: dict[str, Any]) -> dict[str, Any]:
        self.policy = json.dumps(policy)
        return {}

    def get_policy(self, _: dict[str, Any]) -> dict[str, Any]:
        if self.policy is None:
            raise RefusalError("NoSuchBucketPolicy", "The bucket policy does not exist")
        return {"Policy": self.policy}

    def allowed(self) -> list[str]:
        """The roles that the training bucket is open to."""
        _, roles = json.loads(self.policy or "")["Statement"]
        return list(roles["Principal"]["AWS"])

    def describe_stacks(self, request: dict[str, Any]) -> dict[str, Any]:
        if not self.outputs:
            name = request["StackName"]
            raise RefusalError("ValidationError", f"Stack with id {name} does not exist")
        outputs = [{"OutputKey": key, "OutputValue": self.outputs[key]} for key in self.outputs]
        stack = {"StackId": "1", "StackName": request["StackName"]}
        stack |= {"StackStatus": "CREATE_COMPLETE", "CreationTime": 0, "Outputs": outputs}
        return {"Stacks": [stack]}

    def update_endpoint(self, request: dict[str, Any]) -> dict[str, Any]:
        found = sagemaker_backends[ACCOUNT][REGION].endpoints[request["EndpointName"]]
        if self.rolls_back:
            found.failure_reason = "an alarm went off"
        else:
            found.endpoint_config_name = request["EndpointConfigName"]
        return {"EndpointArn": found.arn}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Aws]:
    """An account with a role, and nothing else."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training_job, "POLL_SECONDS", 0)
    monkeypatch.setattr(endpoint, "POLL_SECONDS", 0)
    account = Aws()
    make_session = boto3.Session

    def session(**arguments: Any) -> Any:
        made = make_session(**arguments)
        made.events.register("before-call", account.intercept)
        return made

    with mock_aws():
        make_role("scones-sagemaker", "sagemaker.amazonaws.com")
        monkeypatch.setattr(boto3, "Session", session)
        yield account


def make_role(name: str, service: str) -> None:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
    }
    trust = {"Version": "2012-10-17", "Statement": [statement]}
    boto3.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))


@pytest.fixture
def cloud(aws: Aws) -> preflight.Cloud:
    made = preflight.Cloud("scones-unlimited", ENDPOINT)
    aws.calls.clear()
    return made


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A docker that notes its arguments and pushes to moto's ECR; the real one builds elsewhere
    (tests/serving/test_container.py)."""
    notes = tmp_path / "docker.txt"
    program = tmp_path / "bin/docker"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >>{notes}\n[ "$1" = version ] && echo 29.0\nexit 0\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return notes


@pytest.fixture(scope="module")
def serving(tiny_model: Path) -> Iterator[str]:
    """The URL of the serving app with the tiny model."""
    command = [sys.executable, "-m", "serving.app", "--port", "0"]
    with subprocess.Popen(
        [*command, "--model-dir", tiny_model],
        cwd=launch.TRAINING.parent,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield json.loads(process.stdout.readline())["url"]
        process.terminate()


@pytest.fixture
def invocations(aws: Aws, serving: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of the endpoint is answered by the serving app."""
    del aws  # which clears the environment first
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", serving)


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line with which the launcher gives up, after what it printed."""
    with pytest.raises(SystemExit) as stop:
        launch.main(arguments)
    assert "\n" not in str(stop.value)
    assert "Traceback" not in capsys.readouterr().err
    return str(stop.value)


def keep_artifact(aws: Aws, model: Path) -> None:
    """Let a job leave this model where SageMaker would."""

    def create(request: dict[str, Any]) -> None:
        bucket, _, prefix = request["OutputDataConfig"]["S3OutputPath"][5:].partition("/")
        key = f"{prefix}/{request['TrainingJobName']}/output/model.tar.gz"
        boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=endpoint.pack(model))

    aws.answers["CreateTrainingJob"] = create


def job(
    status: str = "InProgress",
    secondary: str = "Training",
    name: str = f"{ENDPOINT}-launch-20261121003302",
    dataset: str = "1",
    **more: Any,
) -> str:
    """A training job of ours, and a line in its log."""
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
    lines = ["Installing requirements", "step=500 validation_accuracy=0.91 train_loss=1.2"]
    now = int(sagemaker_backends[ACCOUNT][REGION].training_jobs[name].creation_time.timestamp())
    events = [{"timestamp": 1000 * now, "message": line} for line in lines]
    logs.put_log_events(**where, logEvents=events)
    return name


def set_job(name: str, **attributes: Any) -> None:
    for attribute, value in attributes.items():
        setattr(sagemaker_backends[ACCOUNT][REGION].training_jobs[name], attribute, value)


@pytest.fixture
def package(cloud: preflight.Cloud, tiny_model: Path) -> dict[str, Any]:
    """The tiny model, registered."""
    launch.make_bucket(cloud, ROLE)
    artifact = cloud.uri("models/1/output/model.tar.gz")
    metadata = json.loads((tiny_model / "metadata.json").read_text())
    evaluation = {"photos_three_way": {"value": 0.9}, "decode_ms": 1.5}
    endpoint.register(cloud, "image", artifact, metadata, evaluation)
    return endpoint.newest_package(cloud)


SERVERLESS = {"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 5}}


def on_instances(kind: str = "ml.c5.large") -> dict[str, Any]:
    return {"InstanceType": kind, "InitialInstanceCount": 1}


SCALING = endpoint.Scaling(at_most=3, invocations=600.0)


# ---------------------------------------------------------------- the whole road


@pytest.mark.usefixtures("docker", "invocations")
def test_the_whole_road_ends_in_a_serving_endpoint(
    aws: Aws, staged: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep_artifact(aws, tiny_model)
    version = json.loads((tiny_model / "metadata.json").read_text())["version"]
    # Docker pushes nothing here: the image is in ECR once it has been built.
    pushed: list[str] = []

    def push(request: dict[str, Any]) -> dict[str, Any] | None:
        if not pushed and (
            Path("docker.txt").is_file() and "push" in Path("docker.txt").read_text()
        ):
            pushed.append("yes")
        if not pushed:
            raise RefusalError("ImageNotFoundException", "no such image")
        return {"imageDetails": [{"imageTags": [request["imageIds"][0]["imageTag"]]}]}

    aws.answers["DescribeImages"] = push
    launch.main(["--role", ROLE, "--yes", "--dataset", str(staged)])

    out = capsys.readouterr().out
    assert "at most $1.41; on spot less" in out  # an hour of ml.g5.xlarge at 1.408 dollars
    assert "nothing at rest; $0.00002 a second" in out  # 1 GiB
    assert f"endpoint {ENDPOINT} answered a picture" in out

    sagemaker = boto3.client("sagemaker")
    found = sagemaker.describe_endpoint(EndpointName=ENDPOINT)
    config = sagemaker.describe_endpoint_config(EndpointConfigName=found["EndpointConfigName"])
    [variant] = config["ProductionVariants"]
    assert variant["ServerlessConfig"] == {"MemorySizeInMB": 1024, "MaxConcurrency": 5}
    model = sagemaker.describe_model(ModelName=variant["ModelName"])
    [summary] = sagemaker.list_model_packages(ModelPackageGroupName=ENDPOINT)[
        "ModelPackageSummaryList"
    ]
    package = sagemaker.describe_model_package(ModelPackageName=summary["ModelPackageArn"])
    assert model["PrimaryContainer"]["ModelPackageName"] == package["ModelPackageArn"]
    assert package["ModelApprovalStatus"] == "Approved"
    # What moto forgets when the approval is written: AWS keeps it.
    kept = aws.requests("CreateModelPackage")[0]["CustomerMetadataProperties"]
    assert kept["version"] == version
    [container] = package["InferenceSpecification"]["Containers"]
    assert container["Image"].endswith(f"/{ENDPOINT}:{endpoint.serving_tag()}")
    quality = package["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    measures = json.loads(read(quality))
    accuracy = str(measures["photos_three_way"]["value"])
    assert kept["test_photos_three_way"] == accuracy
    for arn in (found["EndpointArn"], config["EndpointConfigArn"], model["ModelArn"]):
        tags = sagemaker.list_tags(ResourceArn=arn)["Tags"]
        assert {tag["Key"]: tag["Value"] for tag in tags} == TAGS


def read(uri: str) -> bytes:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()


def test_nothing_is_done_without_a_yes(
    aws: Aws, staged: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for answer in ("n", ""):
        monkeypatch.setattr("builtins.input", lambda _, answer=answer: answer)
        arguments = ["stage", "--role", ROLE, "--dataset", str(staged)]
        assert "--yes" in refused(arguments, capsys)
    changing = ("Create", "Put", "Update", "Delete")
    assert not [name for name, _ in aws.calls if name.startswith(changing)]


# ---------------------------------------------------------------- stage


@pytest.mark.usefixtures("aws")
def test_staging_uploads_into_a_closed_bucket(staged: Path) -> None:
    arguments = ["stage", "--role", ROLE, "--yes", "--dataset", str(staged)]
    launch.main(arguments)
    launch.main(arguments)  # again is fine
    version = json.loads((staged / "dataset.json").read_text())["version"]
    keys = [item["Key"] for item in boto3.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]]
    here = {file.relative_to(staged).as_posix() for file in staged.rglob("*") if file.is_file()}
    assert set(keys) == {f"datasets/{version}/{name}" for name in here}

    s3 = boto3.client("s3")
    block = s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]
    assert all(block.values())
    tags = s3.get_bucket_tagging(Bucket=BUCKET)["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == TAGS
    tls, role = launch.bucket_policy(BUCKET, [ROLE])["Statement"]
    assert (tls["Effect"], tls["Action"]) == ("Deny", "s3:*")
    assert tls["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert role["Principal"] == {"AWS": [ROLE]}
    assert "s3:GetObject" in role["Action"]


def test_the_bucket_stays_open_to_the_roles_that_it_was_open_to(
    aws: Aws, cloud: preflight.Cloud, staged: Path
) -> None:
    stage = ["stage", "--yes", "--dataset", str(staged)]
    launch.main(stage)
    assert len(json.loads(aws.policy or "")["Statement"]) == 1  # the denial alone
    launch.main(["train", "--role", ROLE, "--yes", "--dataset", str(staged)])
    assert aws.allowed() == [ROLE]
    launch.main(stage)
    assert aws.allowed() == [ROLE]
    launch.make_bucket(cloud, f"{ROLE}-2")
    assert aws.allowed() == [ROLE, f"{ROLE}-2"]
    aws.policy = (aws.policy or "").replace(f"{ROLE}-2", "AROAEXAMPLE")  # that role was deleted
    launch.make_bucket(cloud, ROLE)
    assert aws.allowed() == [ROLE]


@pytest.mark.usefixtures("invocations", "package")
def test_the_role_of_the_endpoint_may_read_its_model(aws: Aws) -> None:
    aws.policy = None
    launch.main(["deploy", "--role", ROLE, "--yes"])
    assert aws.allowed() == [ROLE]


# ---------------------------------------------------------------- train


def test_a_spot_job_is_bounded_named_and_keeps_checkpoints(aws: Aws, staged: Path) -> None:
    launch.main(["stage", "--role", ROLE, "--yes", "--dataset", str(staged)])
    options = ["train", "--role", ROLE, "--yes", "--dataset", str(staged), "--max-minutes", "30"]
    launch.main([*options, "--model-version", "1.2.0", "--hyperparameter", "steps=8000"])
    [request] = aws.requests("CreateTrainingJob")
    assert re.fullmatch(rf"{ENDPOINT}-launch-\d{{14}}", request["TrainingJobName"])
    assert request["EnableManagedSpotTraining"]
    stop = {"MaxRuntimeInSeconds": 1800, "MaxWaitTimeInSeconds": 3600}
    assert request["StoppingCondition"] == stop
    assert request["CheckpointConfig"]["S3Uri"] == f"s3://{BUCKET}/checkpoints/1.2.0/"
    assert request["HyperParameters"] == {"model-version": "1.2.0", "steps": "8000"}
    assert request["RoleArn"] == ROLE
    assert {tag["Key"]: tag["Value"] for tag in request["Tags"]} == TAGS
    image = request["AlgorithmSpecification"]["TrainingImage"]
    assert re.fullmatch(rf"\d+\.dkr\.ecr\.{REGION}\.amazonaws\.com/pytorch:2\.13-cu.*", image)
    channels = {
        channel["ChannelName"]: channel["DataSource"]["S3DataSource"]["S3Uri"]
        for channel in request["InputDataConfig"]
    }
    dataset = json.loads((staged / "dataset.json").read_text())["version"]
    assert channels["training"] == f"s3://{BUCKET}/datasets/{dataset}/"
    assert b"onnxruntime==" in read(f"{channels['code']}/requirements.txt")
    assert read(f"{channels['code']}/training/source/train.py")


def test_retraining_trains_as_launch_does(aws: Aws, staged: Path) -> None:
    """The state machine writes the job out; launch.py has it made by the SDK."""
    launch.main(["stage", "--role", ROLE, "--yes", "--dataset", str(staged)])
    launch.main(["train", "--role", ROLE, "--yes", "--dataset", str(staged)])
    [request] = aws.requests("CreateTrainingJob")
    machine = training_job.TRAINING.parent / "statemachine" / "retrain_model.asl.json"
    job = json.loads(machine.read_text())["States"]["TrainChallenger"]["Arguments"]
    for name in ("EnableManagedSpotTraining", "StoppingCondition"):
        assert job[name] == request[name], name
    for name in ("InstanceCount", "VolumeSizeInGB"):
        assert job["ResourceConfig"][name] == request["ResourceConfig"][name], name
    made, launched = job["AlgorithmSpecification"], request["AlgorithmSpecification"]
    assert made["MetricDefinitions"] == launched["MetricDefinitions"]
    assert made["TrainingInputMode"] == launched["TrainingInputMode"]
    assert job["OutputDataConfig"]["S3OutputPath"].endswith("/jobs")
    assert request["OutputDataConfig"]["S3OutputPath"] == f"s3://{BUCKET}/jobs"


def test_retraining_is_switched_on_by_what_is_printed(
    aws: Aws, staged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["retraining", "--role", ROLE, "--yes", "--dataset", str(staged)]
    launch.main(arguments)
    printed = capsys.readouterr().out.rpartition("--parameter-overrides ")[2].split()
    parameters = dict(each.split("=", 1) for each in printed)
    version = json.loads((staged / "dataset.json").read_text())["version"]
    assert parameters["TrainingRoleArn"] == ROLE
    assert parameters["TrainingDataset"] == version
    keys = [item["Key"] for item in boto3.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]]
    code = f"code/{parameters['TrainingCode']}/"
    uploaded = {key.removeprefix(code) for key in keys if key.startswith(code)}
    assert {
        "job.sh",
        "training/stage_data.py",
        "training/source/train.py",
        "serving/preprocess.py",
    } <= uploaded
    assert f"datasets/{version}/dataset.json" in keys
    launch.main(arguments)
    assert parameters["TrainingCode"] in capsys.readouterr().out  # the same code, the same version


Job = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def job_sh(tmp_path: Path) -> Job:
    """job.sh itself, with its containers' folders below tmp_path and nothing to install."""
    script = training_job.retraining_directory(tmp_path / "code") / "job.sh"
    text = script.read_text().replace("/opt/ml/", f"{tmp_path}/")
    script.write_text(re.sub(r"python -m pip install.*", "true", text))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        return subprocess.run(
            ["/bin/bash", str(script), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_what_goes_into_the_containers_of_a_retraining_stages_and_judges_there(
    staged: Path, tiny_model: Path, tmp_path: Path, job_sh: Job
) -> None:
    work = tmp_path / "processing"
    shutil.copytree(staged, work / "base")
    for model in ("champion", "challenger"):
        (work / model).mkdir()
        (work / model / "model.tar.gz").write_bytes(endpoint.pack(tiny_model))
    photos = write_photos(tmp_path / "photos", 2, first_seed=50_000)
    for arguments in (("stage", "--photos", str(photos)), ("evaluate",)):
        done = job_sh(*arguments)
        assert done.returncode == 0, done.stderr
    assert json.loads((work / "dataset" / "dataset.json").read_text())["version"]
    gate = json.loads((work / "report" / "gate.json").read_text())
    assert gate["accepted"] is False
    assert json.loads((work / "report" / "metadata.json").read_text())["version"] == gate["version"]
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("stage", "--photos", "nowhere"), "stage_data: "),
        (("train", "--no-such-option"), "train.py: error: "),
        (("evaluate",), "tar: "),
    ],
)
def test_why_a_job_of_a_retraining_failed_is_where_sagemaker_reads_it(
    tmp_path: Path, job_sh: Job, arguments: tuple[str, ...], says: str
) -> None:
    done = job_sh(*arguments)
    assert done.returncode != 0
    [line] = (tmp_path / "output" / "message").read_text().splitlines()
    assert line == done.stderr.splitlines()[-1]
    assert line.startswith(says)
    assert (tmp_path / "output" / "failure").read_text().splitlines() == [line]


def test_what_goes_into_the_container_trains_there_and_prints_the_metrics(tmp_path: Path) -> None:
    code = training_job.source_directory(tmp_path)
    environment = {
        "PATH": os.environ["PATH"],
        "SM_MODEL_DIR": str(tmp_path / "model"),
        "SM_OUTPUT_DATA_DIR": str(tmp_path / "output"),
        "CODE_COMMIT": "abc1234",
        "PYTHONPATH": str(code),
    }
    done = subprocess.run(
        [sys.executable, "training/source/train.py", "--dry-run", "--model-version", "1.2.0"],
        cwd=code,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    metadata = json.loads((tmp_path / "model/metadata.json").read_text())
    assert metadata["code"]["commit"] == "abc1234"
    for name in training_job.METRICS:
        pattern = rf"(?:^|\s){name}={training_job.NUMBER}"
        found = re.findall(pattern, done.stdout, re.MULTILINE)
        assert found, f"train.py prints no {name}"
        assert float(found[-1]) >= 0


def test_a_running_job_is_followed_not_started_twice(
    aws: Aws, staged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = job()
    described = []

    def describe(_: dict[str, Any]) -> None:
        described.append(name)
        if len(described) == 3:
            set_job(name, training_job_status="Completed", secondary_status="Completed")

    aws.answers["DescribeTrainingJob"] = describe
    launch.main(["train", "--role", ROLE, "--yes", "--dataset", str(staged)])
    out = capsys.readouterr().out
    assert out.count("step=500 validation_accuracy=0.91") == 1
    assert "Installing" not in out
    assert f"{name} completed" in out
    assert not aws.requests("CreateTrainingJob")


@pytest.mark.parametrize(
    "name",
    [f"{ENDPOINT}-20261121003302", f"{ENDPOINT}-v2-launch-20261121003302"],
    ids=["of a retraining", "of another endpoint"],
)
def test_a_job_that_launch_did_not_start_is_left_alone(aws: Aws, staged: Path, name: str) -> None:
    launch.main(["stage", "--role", ROLE, "--yes", "--dataset", str(staged)])
    job(name=name)
    launch.main(["train", "--role", ROLE, "--yes", "--dataset", str(staged)])
    assert len(aws.requests("CreateTrainingJob")) == 1


@pytest.mark.parametrize(
    ("options", "of", "started"),
    [
        ([], {}, 0),
        (["--model-version", "1.2.0"], {}, 0),
        (["--model-version", "1.3.0"], {}, 1),
        (["--hyperparameter", "steps=8000"], {}, 1),
        ([], {"dataset": "0123456789ab"}, 1),
        ([], {"environment": {"CODE_COMMIT": "0000000"}}, 1),
    ],
)
def test_a_job_that_completed_meanwhile_is_taken_if_it_is_what_is_asked_for(
    aws: Aws,
    staged: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    of: dict[str, Any],
    started: int,
) -> None:
    monkeypatch.setenv("CODE_COMMIT", "abc1234")
    arguments = ["--role", ROLE, "--yes", "--dataset", str(staged)]
    launch.main(["stage", *arguments])
    this = json.loads((staged / "dataset.json").read_text())["version"]
    name = job(
        "Completed",
        "Completed",
        **{"dataset": this, "environment": {"CODE_COMMIT": "abc1234"}} | of,
    )
    launch.main(["train", *arguments, *options])
    assert len(aws.requests("CreateTrainingJob")) == started
    assert (f"{name} completed, with the same" in capsys.readouterr().out) == (not started)


def test_a_job_whose_model_is_registered_is_not_taken_again(
    aws: Aws, staged: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODE_COMMIT", "abc1234")
    arguments = ["--role", ROLE, "--yes", "--dataset", str(staged)]
    launch.main(["stage", *arguments])
    this = json.loads((staged / "dataset.json").read_text())["version"]
    name = job("Completed", "Completed", dataset=this, environment={"CODE_COMMIT": "abc1234"})
    archive = f"jobs/{name}/output/model.tar.gz"
    boto3.client("s3").put_object(Bucket=BUCKET, Key=archive, Body=endpoint.pack(tiny_model))
    report = launch.report_directory(tiny_model)
    report.mkdir(parents=True)
    (report / "evaluation.json").write_text('{"photos_three_way": 0.9}')
    launch.main(["register", *arguments, "--image-uri", "image"])
    launch.main(["train", *arguments])
    assert len(aws.requests("CreateTrainingJob")) == 1


@pytest.mark.parametrize(
    ("status", "secondary", "says"),
    [
        ("Failed", "Failed", "AlgorithmError: out of memory"),
        ("Stopped", "MaxRuntimeExceeded", "--max-minutes"),
        ("Stopped", "MaxWaitTimeExceeded", "--on-demand"),
    ],
)
@pytest.mark.usefixtures("aws")
def test_a_job_that_does_not_complete_says_why_and_how_to_go_on(
    staged: Path,
    status: str,
    secondary: str,
    says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = job(status, secondary, failure_reason="AlgorithmError: out of memory")
    options = ["train", "--job", name, "--role", ROLE, "--yes", "--dataset", str(staged)]
    with pytest.raises(SystemExit) as stop:
        launch.main(options)
    assert says in str(stop.value)
    assert "--model-version 1.2.0" in str(stop.value)
    assert "Installing requirements" in capsys.readouterr().out  # the end of the log


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (KeyboardInterrupt(), "launch: the job goes on: run this again"),
        (EndpointConnectionError(endpoint_url="https://aws"), "https://aws"),
    ],
)
def test_a_job_that_cannot_be_followed_any_more_goes_on(
    aws: Aws, staged: Path, error: BaseException, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = job()

    def fail(_: dict[str, Any]) -> None:
        raise error

    aws.answers["DescribeTrainingJob"] = fail
    said = refused(["train", "--role", ROLE, "--yes", "--dataset", str(staged)], capsys)
    assert says in said
    assert f"the job goes on: run this again, or with --job {name}, to follow it" in said
    assert f"stop-training-job --training-job-name {name} --region {REGION}" in said


def test_a_job_says_what_it_cost() -> None:
    description = {
        "TrainingTimeInSeconds": 1000,
        "BillableTimeInSeconds": 300,
        "ResourceConfig": {"InstanceType": "ml.g5.xlarge"},
    }
    assert training_job.bill(description) == ": 1000 s, 300 s billed (70% saved by spot), $0.12"


def test_prices_are_of_what_will_be_done() -> None:
    following = launch.parse_arguments(["--job", "scones-launch-1"])
    assert launch.costs(following, ("train",)) == [
        ("train", "follows scones-launch-1", "nothing that it would not cost anyway")
    ]
    [(_, what, price)] = launch.costs(
        launch.parse_arguments(["--instance-type", "ml.c5.large"]), ("deploy",)
    )
    assert what == "1 to 2 x ml.c5.large"
    assert price.startswith("$74 a month each and $0.40 for its alarms")  # 730 hours of $0.102
    assert "an update runs as many again" in price


# ---------------------------------------------------------------- what is looked at first


def test_without_a_quota_it_says_how_to_get_one_or_what_else_will_do(
    aws: Aws, staged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.quotas = {f"ml.g5.xlarge {SPOT}": 0, f"ml.g4dn.xlarge {SPOT}": 2, f"ml.m5.large {SPOT}": 9}
    options = ["train", "--role", ROLE, "--yes", "--dataset", str(staged)]
    with pytest.raises(SystemExit, match="1 of 5 checks failed"):
        launch.main(options)
    [line] = [line for line in capsys.readouterr().out.splitlines() if "PROBLEM" in line]
    assert "request-service-quota-increase" in line
    assert "--quota-code L-0" in line
    assert "--training-instance ml.g4dn.xlarge" in line
    assert not aws.requests("CreateTrainingJob")


def test_a_quota_that_was_never_changed_is_found_among_the_defaults(
    aws: Aws, cloud: preflight.Cloud
) -> None:
    kind = "ml.c5.large for endpoint usage"
    with pytest.raises(UserError, match="is it a type"):
        preflight.endpoint_quota(cloud, "ml.c5.large")
    aws.defaults = {kind: 4, f"ml.g5.xlarge {SPOT}": 0}
    assert preflight.endpoint_quota(cloud, "ml.c5.large") == f"4 {kind}"
    aws.quotas[kind] = 0  # what the account has counts
    with pytest.raises(UserError, match="request-service-quota-increase"):
        preflight.endpoint_quota(cloud, "ml.c5.large")


@pytest.mark.usefixtures("aws", "package")
def test_the_endpoint_has_a_quota_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="nothing was started"):
        launch.main(["deploy", "--role", ROLE, "--yes", "--instance-type", "ml.c99.large"])
    assert "'ml.c99.large for endpoint usage'" in capsys.readouterr().out


def test_a_dataset_without_photos_of_each_label_is_not_trained_on(
    aws: Aws, staged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    description = json.loads((staged / "dataset.json").read_text())
    description["counts"]["test photos"]["bicycle"] = 0
    del description["counts"]["validation photos"]
    dataset = tmp_path / "dataset"
    dataset.mkdir()
    (dataset / "dataset.json").write_text(json.dumps(description))
    arguments = ["--role", ROLE, "--yes", "--dataset", str(dataset)]
    for step in ("train", "evaluate"):
        with pytest.raises(SystemExit, match="nothing was started"):
            launch.main([step, *arguments])
        [line] = [line for line in capsys.readouterr().out.splitlines() if "PROBLEM" in line]
        assert "validation bicycle, validation motorcycle, validation other, test bicycle" in line
        assert "--photos" in line
    for broken in ("{", "[]", '{"version": "1"}'):
        (dataset / "dataset.json").write_text(broken)
        with pytest.raises(UserError, match=r"dataset.json is broken"):
            preflight.dataset(dataset)
    assert not aws.requests("CreateTrainingJob")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--role", "scones-sagemaker"], "ARN"),
        (["--role", ROLE.replace(ACCOUNT, "999999999999")], "is not this account's"),
        (["--role", ROLE + "-no"], "does not exist"),
        (["--role", ROLE + "-lambda"], "does not trust sagemaker.amazonaws.com"),
        (["--role", ROLE, "--training-instance", "ml.g99.xlarge"], "is it a type?"),
        (["--role", ROLE, "--dataset", "nowhere"], "run the step stage first"),
        (["--role", ROLE, "--on-demand"], "'ml.g5.xlarge for training job usage' is 0"),
    ],
)
@pytest.mark.usefixtures("aws")
def test_a_problem_is_found_before_it_costs(
    arguments: list[str], says: str, staged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_role("scones-sagemaker-lambda", "lambda.amazonaws.com")
    with pytest.raises(SystemExit, match="nothing was started"):
        launch.main(["train", "--yes", "--dataset", str(staged), *arguments])
    problems = [line for line in capsys.readouterr().out.splitlines() if "PROBLEM" in line]
    assert any(says in line for line in problems)


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        (["--endpoint-name", "a_b"], "'a_b' is not letters, digits and hyphens"),
        (["--endpoint-name", "a" * 38], "at most 37"),
        (["--model-version", "1/2"], "'1/2' is not letters"),
        (["--model-version", "1.2"], "give it a third part"),
        (["--max-minutes", "-5"], "'-5' is not a whole number from 1 on"),
        (["--max-concurrency", "0"], "'0' is not a whole number from 1 to 200"),
        (["--max-concurrency", "201"], "'201' is not a whole number from 1 to 200"),
        (["--max-instances", "0"], "'0' is not a whole number"),
        (["--invocations", "nan"], "'nan' is not a number above 0"),
        (["--instance-type", "c5.large"], "'c5.large' is no instance type such as ml.c5.large"),
        (["--training-instance", "g5"], "'g5' is no instance type"),
        (["--hyperparameter", "stesp=3"], "--hyperparameter: unrecognized arguments: --stesp=3"),
        (["--hyperparameter", "steps=many"], "--hyperparameter: argument --steps: invalid"),
        (["--hyperparameter", "dataset=mine"], "launch.py sets it itself"),
        (["--model", "nowhere"], "nowhere holds no model.onnx"),
        (["train", "--local"], "leave out train"),
    ],
)
def test_arguments_that_would_fail_later_are_refused(
    argument: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        launch.parse_arguments(argument)
    assert says in capsys.readouterr().err


@pytest.mark.usefixtures("aws")
def test_a_region_without_the_training_image_is_named(
    staged: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(preflight, "TORCH_VERSION", "9.9")
    with pytest.raises(SystemExit):
        launch.main(["train", "--role", ROLE, "--yes", "--dataset", str(staged)])
    assert "no PyTorch 9.9 training image" in capsys.readouterr().out


def test_a_bucket_that_is_not_ours_is_refused(
    aws: Aws, staged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.deny("HeadBucket", "403")
    with pytest.raises(SystemExit):
        launch.main(["stage", "--role", ROLE, "--yes", "--dataset", str(staged)])
    assert "another --stack-name" in capsys.readouterr().out


def test_a_check_that_is_not_permitted_does_not_stop(
    aws: Aws, cloud: preflight.Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.deny("GetRole", "AccessDenied")
    aws.deny("ListServiceQuotas")
    checks = {
        "role": lambda: preflight.role(cloud, ROLE),
        "quota": lambda: preflight.training_quota(cloud, "ml.g5.xlarge", spot=True),
    }
    preflight.run_checks(checks)
    assert capsys.readouterr().out.count("not checked") == 2


@pytest.mark.parametrize(
    ("call", "code", "says"),
    [
        ("GetCallerIdentity", "ExpiredToken", "aws configure"),
        ("ListTrainingJobs", "AccessDeniedException", "ListTrainingJobs is not permitted"),
        ("CreateTrainingJob", "ResourceLimitExceeded", "Service Quotas"),
    ],
)
def test_an_aws_error_is_one_line(
    aws: Aws, staged: Path, call: str, code: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    launch.main(["stage", "--role", ROLE, "--yes", "--dataset", str(staged)])
    aws.deny(call, code)
    assert says in refused(["train", "--role", ROLE, "--yes", "--dataset", str(staged)], capsys)


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(13, "Permission denied", "build"),
        RetriesExceededError(ConnectionError("the line was cut")),
    ],
)
def test_a_file_or_a_line_that_fails_is_one_line(
    aws: Aws, error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: dict[str, Any]) -> None:
        raise error

    aws.answers["GetCallerIdentity"] = fail
    assert str(error) in refused(["deploy", "--role", ROLE, "--yes"], capsys)


def test_broken_files_are_one_line(
    aws: Aws,
    cloud: preflight.Cloud,
    tiny_model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    launch.make_bucket(cloud, ROLE)
    name = job("Completed", "Completed")
    archive = f"jobs/{name}/output/model.tar.gz"
    for body in (b"no archive", endpoint.pack(tiny_model)[:2000]):
        boto3.client("s3").put_object(Bucket=BUCKET, Key=archive, Body=body)
        assert "no whole archive" in refused(["register", "--job", name, "--yes"], capsys)
    report = launch.report_directory(tiny_model) / "evaluation.json"
    report.parent.mkdir(parents=True)
    report.write_text('{"photos_three_way": {"val')
    with pytest.raises(UserError, match="run the step evaluate again"):
        launch.evaluation_of(tiny_model)
    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    for metadata in ("{", "[]", '{"name": "scones"}'):
        (model / "metadata.json").write_text(metadata)
        with pytest.raises(UserError, match=r"metadata.json is broken"):
            preflight.model(model)
    assert not aws.requests("CreateModelPackage")


@pytest.mark.usefixtures("aws")
def test_without_credentials_or_region_it_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert "aws configure" in refused(["deploy", "--role", ROLE], capsys)
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert "--region" in refused(["deploy", "--role", ROLE], capsys)


@pytest.mark.usefixtures("aws")
def test_docker_is_needed_or_an_image(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit):
        launch.main(["image", "--yes"])
    assert "--image-uri" in capsys.readouterr().out
    launch.main(["image", "--yes", "--image-uri", "1.dkr.ecr.eu-central-1.amazonaws.com/mine:1"])


# ---------------------------------------------------------------- image, register


@pytest.mark.usefixtures("aws")
def test_the_image_is_pushed_once(cloud: preflight.Cloud, docker: Path) -> None:
    uri = endpoint.push_image(cloud)
    login, build, push = docker.read_text().splitlines()
    assert login == f"login --username AWS --password-stdin {uri.partition('/')[0]}"
    root = endpoint.REPOSITORY
    context = f"--file {root}/serving/Dockerfile {root}"
    assert build == f"build --platform linux/amd64 --tag {uri} {context}"
    assert push == f"push {uri}"
    ecr = boto3.client("ecr")
    [repository] = ecr.describe_repositories()["repositories"]
    assert repository["imageTagMutability"] == "IMMUTABLE"
    ecr.put_image(
        repositoryName=ENDPOINT,
        imageManifest="{}",
        imageManifestMediaType="application/vnd.oci.image.manifest.v1+json",
        imageTag=endpoint.serving_tag(),
    )
    docker.unlink()
    assert endpoint.push_image(cloud) == uri
    assert not docker.exists()


@pytest.mark.usefixtures("aws")
def test_a_model_without_an_evaluation_is_not_registered(
    tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--model", str(tiny_model), "--image-uri", "image", "--yes", "--role", ROLE]
    for step in ([], ["register"]):
        with pytest.raises(SystemExit, match="nothing was started"):
            launch.main([*step, *given])
        assert "run the step evaluate first" in capsys.readouterr().out


@pytest.mark.usefixtures("invocations")
def test_the_shipped_model_is_served_without_training(
    aws: Aws, tiny_model: Path, tmp_path: Path
) -> None:
    shipped = tmp_path / "shipped"
    shutil.copytree(tiny_model, shipped)
    metadata = json.loads((shipped / "metadata.json").read_text())
    metadata["metrics"]["test"] = {"photos_three_way": {"value": 0.95}}  # evaluate.py --record
    (shipped / "metadata.json").write_text(json.dumps(metadata))
    launch.main(["--role", ROLE, "--model", str(shipped), "--image-uri", "image", "--yes"])
    [request] = aws.requests("CreateModelPackage")
    assert request["CustomerMetadataProperties"]["test_photos_three_way"] == "0.95"
    [container] = request["InferenceSpecification"]["Containers"]
    assert read(container["ModelDataUrl"]) == endpoint.pack(shipped)
    assert not aws.requests("CreateTrainingJob")


# ---------------------------------------------------------------- deploy


@pytest.mark.usefixtures("invocations")
def test_drift_is_measured_against_what_the_deployed_model_brings(
    aws: Aws,
    cloud: preflight.Cloud,
    package: dict,
    tiny_model: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "no stack scones-unlimited yet" in endpoint.put_baseline(cloud, package)
    s3 = boto3.client("s3")
    s3.put_object(Bucket=BUCKET, Key="models/1/output/model.tar.gz", Body=endpoint.pack(tiny_model))
    region = {"LocationConstraint": REGION}
    s3.create_bucket(Bucket="photos", CreateBucketConfiguration=region)
    aws.outputs = {"PhotosBucketName": "photos"}
    launch.main(["deploy", "--role", ROLE, "--yes"])
    metadata = (tiny_model / "metadata.json").read_bytes()
    model = json.loads(metadata)
    uri = f"s3://photos/baselines/{model['name']}/{model['version']}.json"
    assert f"its baseline is {uri}" in capsys.readouterr().out
    assert read(uri) == metadata


@pytest.mark.usefixtures("invocations")
def test_what_was_rejected_is_not_served(
    aws: Aws, cloud: preflight.Cloud, package: dict, capsys: pytest.CaptureFixture[str]
) -> None:
    sagemaker = boto3.client("sagemaker")
    metadata: dict[str, Any] = {"name": "m", "version": "2", "threshold": 0.9}
    metadata["code"] = {"commit": "1"}
    metadata["data"] = {"dataset": "1"}
    artifact = cloud.uri("models/2/output/model.tar.gz")
    newer = endpoint.register(cloud, "image", artifact, metadata, {"photos": 0.8})
    reject = {"ModelApprovalStatus": "Rejected", "ApprovalDescription": "no better than chance"}
    sagemaker.update_model_package(ModelPackageArn=newer, **reject)
    launch.main(["deploy", "--role", ROLE, "--yes"])
    assert f"rejected (no better than chance): {newer}" in capsys.readouterr().out
    [model] = aws.requests("CreateModel")
    assert model["PrimaryContainer"]["ModelPackageName"] == package["ModelPackageArn"]
    sagemaker.update_model_package(ModelPackageArn=package["ModelPackageArn"], **reject)
    assert "were rejected" in refused(["deploy", "--role", ROLE, "--yes"], capsys)
    assert len(aws.requests("CreateModel")) == 1


@pytest.mark.usefixtures("invocations")
def test_on_instances_it_scales_and_is_watched(
    aws: Aws, cloud: preflight.Cloud, package: dict
) -> None:
    endpoint.deploy(cloud, package, ROLE, on_instances(), SCALING)
    scaling = boto3.client("application-autoscaling")
    [target] = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert target["ResourceId"] == f"endpoint/{ENDPOINT}/variant/AllTraffic"
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 3)
    [policy] = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    tracking = policy["TargetTrackingScalingPolicyConfiguration"]
    assert tracking["TargetValue"] == 600
    alarms = boto3.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert {alarm["MetricName"] for alarm in alarms} == {"Invocation5XXErrors", "ModelLatency"}
    assert all(alarm["AlarmName"].startswith(f"{ENDPOINT}-") for alarm in alarms)
    assert aws.requests("CreateModel")[-1]["EnableNetworkIsolation"]


@pytest.mark.usefixtures("invocations")
def test_an_update_on_instances_rolls_back_on_alarm_and_keeps_their_number(
    aws: Aws, cloud: preflight.Cloud, package: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint.deploy(cloud, package, ROLE, on_instances(), SCALING)
    for running, routing in ((1, "ALL_AT_ONCE"), (2, "CANARY")):
        found = sagemaker_backends[ACCOUNT][REGION].endpoints[ENDPOINT]
        found.production_variants[0]["CurrentInstanceCount"] = running
        monkeypatch.setattr(endpoint.time, "strftime", lambda *_, at=running: f"2026112100000{at}")
        endpoint.deploy(cloud, package, ROLE, on_instances(), SCALING)
        request = aws.requests("UpdateEndpoint")[-1]
        assert request["RetainAllVariantProperties"]
        deployment = request["DeploymentConfig"]
        shifting = deployment["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
        assert shifting["Type"] == routing
        alarms = deployment["AutoRollbackConfiguration"]["Alarms"]
        assert [alarm["AlarmName"] for alarm in alarms] == [*endpoint.alarms(cloud)]
    assert not aws.requests("DeleteEndpoint")


@pytest.mark.usefixtures("invocations")
def test_a_change_of_instance_type_scales_anew(
    aws: Aws, cloud: preflight.Cloud, package: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint.deploy(cloud, package, ROLE, on_instances(), SCALING)
    monkeypatch.setattr(endpoint.time, "strftime", lambda *_: "20261121000001")
    endpoint.deploy(cloud, package, ROLE, on_instances("ml.m5.large"), SCALING)
    order = [
        name
        for name, _ in aws.calls
        if name in ("DeregisterScalableTarget", "UpdateEndpoint", "RegisterScalableTarget")
    ]
    assert order[1:] == ["DeregisterScalableTarget", "UpdateEndpoint", "RegisterScalableTarget"]


@pytest.mark.usefixtures("invocations")
def test_when_aws_rolls_back_it_says_so_and_scales_as_before(
    aws: Aws, cloud: preflight.Cloud, package: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint.deploy(cloud, package, ROLE, on_instances(), SCALING)
    aws.rolls_back = True
    monkeypatch.setattr(endpoint.time, "strftime", lambda *_: "20261121000001")
    with pytest.raises(UserError, match=r"an alarm went off.*serves the model before"):
        endpoint.deploy(cloud, package, ROLE, on_instances("ml.m5.large"), SCALING)
    scaling = boto3.client("application-autoscaling")
    assert scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]


@pytest.mark.usefixtures("invocations")
@pytest.mark.parametrize(
    ("variant", "scaling"),
    [(SERVERLESS, None), (on_instances(), SCALING)],
    ids=["serverless", "instances"],
)
def test_a_new_model_that_does_not_answer_is_taken_back(
    aws: Aws,
    cloud: preflight.Cloud,
    package: dict,
    variant: dict,
    scaling: endpoint.Scaling | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    endpoint.deploy(cloud, package, ROLE, variant, scaling)
    before = endpoint.describe(cloud)["EndpointConfigName"]
    package["CustomerMetadataProperties"]["version"] = "9.9.9"  # what answers is of another version
    monkeypatch.setattr(endpoint.time, "strftime", lambda *_: "20261121000001")
    with pytest.raises(UserError, match=r"version 9.9.9.*serves the one before again"):
        endpoint.deploy(cloud, package, ROLE, variant, scaling)
    assert endpoint.describe(cloud)["EndpointConfigName"] == before
    forth, back = aws.requests("UpdateEndpoint")
    assert ("DeploymentConfig" in forth) == (scaling is not None)  # serverless has no alarms
    assert "DeploymentConfig" not in back


@pytest.mark.usefixtures("invocations")
def test_what_was_serverless_cannot_be_taken_back(
    aws: Aws, cloud: preflight.Cloud, package: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint.deploy(cloud, package, ROLE, SERVERLESS, None)
    package["CustomerMetadataProperties"]["version"] = "9.9.9"
    monkeypatch.setattr(endpoint.time, "strftime", lambda *_: "20261121000001")
    with pytest.raises(UserError, match="was serverless"):
        endpoint.deploy(cloud, package, ROLE, on_instances(), SCALING)
    assert len(aws.requests("UpdateEndpoint")) == 1


def test_an_endpoint_that_answers_nothing_is_not_called_done(
    cloud: preflight.Cloud, package: dict, serving: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", f"{serving}/nowhere")
    with pytest.raises(UserError, match=r"does not answer.*log group"):
        endpoint.deploy(cloud, package, ROLE, SERVERLESS, None)


@pytest.mark.usefixtures("invocations")
def test_instances_are_not_made_serverless(
    aws: Aws, cloud: preflight.Cloud, package: dict, capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint.deploy(cloud, package, ROLE, on_instances(), SCALING)
    made = len(aws.requests("CreateModel"))
    with pytest.raises(SystemExit):
        launch.main(["deploy", "--role", ROLE, "--yes"])
    assert "give --instance-type" in capsys.readouterr().out
    assert len(aws.requests("CreateModel")) == made


@pytest.mark.parametrize(
    ("status", "says"), [("Updating", "when it is InService"), ("Failed", "delete-endpoint")]
)
@pytest.mark.usefixtures("invocations")
def test_an_endpoint_that_cannot_be_updated_is_left_alone(
    cloud: preflight.Cloud, package: dict, status: str, says: str
) -> None:
    endpoint.deploy(cloud, package, ROLE, SERVERLESS, None)
    sagemaker_backends[ACCOUNT][REGION].endpoints[ENDPOINT].endpoint_status = status
    with pytest.raises(UserError, match=says):
        endpoint.check(cloud, None)


# ---------------------------------------------------------------- on this machine


def test_local_training_takes_the_hyperparameters(
    staged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["--local", "--dataset", str(staged), "--model-version", "1.2.0"]
    for parameter in (
        "backbone=residual",
        "steps=4",
        "batch-size=16",
        "input-size=32",
        "report-every=2",
    ):
        arguments += ["--hyperparameter", parameter]
    model = launch.train_here(launch.parse_arguments(arguments))
    metadata = json.loads((model / "metadata.json").read_text())
    assert (metadata["version"], metadata["input_size"]) == ("1.2.0", 32)


def test_local_evaluates_and_serves_until_ctrl_c(
    staged: Path, tiny_model: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "training.launch", "--local", "--port", "0"]
    with subprocess.Popen(
        [*command, "--dataset", staged, "--model", tiny_model],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(launch.TRAINING.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        printed = []
        for line in process.stdout:
            printed.append(line)
            if line.startswith("{"):
                break
        else:
            pytest.fail("".join(printed))
        with urlopen(f"{json.loads(line)['url']}/ping", timeout=5) as answer:
            assert answer.status == 200
        os.killpg(process.pid, signal.SIGINT)
        rest = process.stdout.read()
    assert process.returncode == 0, rest
    assert "Traceback" not in rest
    assert len(list((tmp_path / "build/evaluation").glob("*/report.md"))) == 1
