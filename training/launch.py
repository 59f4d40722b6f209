"""Train on SageMaker, register the model, serve it on an endpoint.

    python -m training.launch --role arn:aws:iam::111122223333:role/scones-sagemaker --photos photos
    python -m training.launch --local --photos photos       # all of it on this machine

The road, each step alone by its name (`python -m training.launch deploy --role ...`):

    stage     build the dataset if there is none in --dataset, upload it to the training bucket
    train     a GPU job on spot instances; followed until it ends
    evaluate  download the model, judge it on the test split, report in build/evaluation/
    image     build the serving image and push it to ECR, unless it is there or --image-uri is given
    register  a version in the model package group, with its metrics, waiting for approval
    deploy    approve the newest version, and make or update the endpoint with it

And one that is not on it: `retraining` stages the dataset and the code that the stack's own
retraining needs, and prints the parameters that switch it on.

Looks first for what would fail, says what each step costs, and asks. A run that was cut off is
run again: uploads and images that are there stay, and a job that still runs is followed, never
started twice. One that has completed since, of the same dataset, hyperparameters and code, is taken
until its model is registered; with a --model-version of its own another is trained. With
`--model models/vehicles` the shipped model is served, and none is trained.
Everything that is made has one of the names of operations.stack.Names; `make delete` removes it.
"""

import argparse
import contextlib
import gzip
import hashlib
import io
import json
import math
import os
import re
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from operations.errors import UserError, explain
from operations.prices import (
    ALARM,
    ECR_GIB,
    HOURS,
    INSTANCE_HOUR,
    S3_GIB,
    SERVERLESS_GIB_SECOND,
)
from operations.stack import DEFAULT_ENDPOINT, DEFAULT_STACK
from training import endpoint, preflight, stage_data, training_job
from training.preflight import Cloud

TRAINING = Path(__file__).resolve().parent
STEPS = ("stage", "train", "evaluate", "image", "register", "deploy")
NEEDS_ROLE = {"train", "deploy", "retraining"}

ENDPOINT_ALARMS = 4  # on instances: two of endpoint.put_alarms, two that autoscaling makes


# ---------------------------------------------------------------- stage


def is_staged(options: argparse.Namespace) -> bool:
    """Whether --dataset is there, and nothing is to be added to it."""
    adds = options.cifar or options.photos
    return not adds and (options.dataset / "manifest.csv").is_file()


def build_dataset(options: argparse.Namespace) -> None:
    """Build --dataset from --cifar and --photos, unless it is there and they are not given."""
    if not is_staged(options):
        arguments = ["--dataset", str(options.dataset)]
        arguments += ["--cifar", str(options.cifar)] if options.cifar else []
        for photos in options.photos:
            arguments += ["--photos", photos]
        stage_data.main(arguments)


def make_bucket(cloud: Cloud, role: str | None) -> None:
    """Make the training bucket, or set it right: private, TLS only, open to the role.

    Roles that it was open to before keep that: of the endpoint, of retraining.
    """
    s3, name = cloud.client("s3"), cloud.names.training_bucket
    try:
        s3.head_bucket(Bucket=name, ExpectedBucketOwner=cloud.names.account)
    except ClientError as error:
        if error.response["Error"]["Code"] != "404":
            raise
        where = {"CreateBucketConfiguration": {"LocationConstraint": cloud.names.region}}
        s3.create_bucket(Bucket=name, **({} if cloud.names.region == "us-east-1" else where))
    s3.put_public_access_block(
        Bucket=name,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        },
    )
    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": cloud.tags})
    s3.put_bucket_lifecycle_configuration(
        Bucket=name,
        LifecycleConfiguration={
            "Rules": [
                {
                    "ID": "ExpireCheckpoints",
                    "Status": "Enabled",
                    "Filter": {"Prefix": "checkpoints/"},
                    "Expiration": {"Days": 30},
                },
                {
                    "ID": "RemoveLeftovers",
                    "Status": "Enabled",
                    "Filter": {"Prefix": ""},
                    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
                },
            ]
        },
    )
    roles = allowed_roles(cloud) | ({role} if role else set())
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps(bucket_policy(name, sorted(roles))))


def allowed_roles(cloud: Cloud) -> set[str]:
    """ARNs of the roles that the training bucket is open to."""
    try:
        answer = cloud.client("s3").get_bucket_policy(Bucket=cloud.names.training_bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchBucketPolicy":
            return set()
        raise
    found = [
        principal
        for statement in json.loads(answer["Policy"])["Statement"]
        if statement.get("Sid") == "SageMaker"
        for principal in preflight.as_list(statement["Principal"]["AWS"])
    ]
    return {arn for arn in found if arn.startswith("arn:")}  # of a deleted role its id is left


def bucket_policy(name: str, roles: list[str]) -> dict[str, Any]:
    """Nobody without TLS; SageMaker's roles, whose managed policy knows other buckets only."""
    arns = [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"]
    statements: list[dict[str, Any]] = [
        {
            "Sid": "OnlyTls",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": arns,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ]
    if roles:
        statements.append(
            {
                "Sid": "SageMaker",
                "Effect": "Allow",
                "Principal": {"AWS": roles},
                "Action": ["s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
                "Resource": arns,
            }
        )
    return {"Version": "2012-10-17", "Statement": statements}


def stage(cloud: Cloud, options: argparse.Namespace) -> None:
    build_dataset(options)
    make_bucket(cloud, options.role)
    print(f"the dataset is in {stage_data.upload(options.dataset, cloud.uri('datasets'))}")


# ---------------------------------------------------------------- train


def train(cloud: Cloud, options: argparse.Namespace) -> None:
    """Start a job, or go on with one; its name is in options.job after."""
    make_bucket(cloud, options.role)
    if options.job is None:
        if running := next(training_job.names(cloud, "InProgress"), None):
            print("a training job of ours still runs: none is started")
            options.job = running
        elif finished := training_job.finished(cloud, options):
            print(
                f"training job {finished} completed, with the same dataset, hyperparameters and "
                "code, and its model is not registered: it is taken, none is started (a "
                "--model-version of its own trains another)"
            )
            options.job = finished
        else:
            options.job = training_job.start(cloud, options)
    try:
        training_job.follow(cloud, options.job)
    except (KeyboardInterrupt, ClientError, BotoCoreError) as error:
        why = "" if isinstance(error, KeyboardInterrupt) else f"{explain(error)}; "
        raise UserError(
            f"{why}the job goes on: run this again, or with --job {options.job}, to follow it; "
            f"stop it with `aws sagemaker stop-training-job --training-job-name {options.job} "
            f"--region {cloud.names.region}`"
        ) from None


# ---------------------------------------------------------------- evaluate


def job_of(cloud: Cloud, options: argparse.Namespace) -> str:
    """The job that is meant: --job, or the newest that completed."""
    options.job = options.job or next(training_job.names(cloud, "Completed"), None)
    if options.job is None:
        raise UserError("no training job has completed: run the step train, or give --model")
    return str(options.job)


def model_directory(cloud: Cloud, options: argparse.Namespace) -> Path:
    """--model, or the job's model, downloaded and unpacked."""
    if options.model:
        directory = options.model
    else:
        job = training_job.describe(cloud, job_of(cloud, options))
        directory = Path("build/models") / job["TrainingJobName"]
        uri = job.get("ModelArtifacts", {}).get("S3ModelArtifacts")
        if not uri:
            raise UserError(f"training job {options.job} has left no model")
        if not all((directory / name).is_file() for name in preflight.MODEL_FILES):
            directory.mkdir(parents=True, exist_ok=True)
            bucket, _, key = uri.removeprefix("s3://").partition("/")
            archive = directory / "model.tar.gz"
            cloud.client("s3").download_file(bucket, key, str(archive))
            try:
                with tarfile.open(archive, "r:gz") as packed:
                    packed.extractall(directory, filter="data")
            except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
                raise UserError(f"{uri} is no whole archive: train it again ({error})") from error
    preflight.model(directory)
    return Path(directory)


def evaluation_of(model: Path) -> dict[str, Any]:
    """What evaluate.py measured of a model: the last report, or what the model came with.

    Raises:
        UserError: there is neither.

    """
    report = report_directory(model) / "evaluation.json"
    if report.is_file():
        try:
            return dict(json.loads(report.read_text()))
        except (ValueError, TypeError) as error:
            raise UserError(f"{report} is broken: run the step evaluate again") from error
    metadata = json.loads((model / "metadata.json").read_text())
    if not (evaluation := metadata["metrics"].get("test")):
        raise UserError(f"{report} is missing: run the step evaluate first")
    return dict(evaluation)


def report_directory(model: Path) -> Path:
    """Where the evaluation of just this model is, whatever its directory is called."""
    digest = hashlib.sha256((model / "model.onnx").read_bytes()).hexdigest()
    return Path("build/evaluation") / digest[:12]


def evaluate(cloud: Cloud, options: argparse.Namespace) -> None:
    judge(model_directory(cloud, options), options.dataset)


def judge(model: Path, dataset: Path) -> None:
    """Write report.md and evaluation.json of a model directory."""
    from training.evaluate import main  # noqa: PLC0415  (imports torch)

    report = report_directory(model)
    main(["--model", str(model), "--dataset", str(dataset), "--report", str(report)])


# ---------------------------------------------------------------- image, register, deploy


def image(cloud: Cloud, options: argparse.Namespace) -> None:
    uri = options.image_uri or endpoint.push_image(cloud)
    print(f"the serving image is {uri}")


def register(cloud: Cloud, options: argparse.Namespace) -> None:
    """Register the model with its evaluation, waiting for approval."""
    model = model_directory(cloud, options)
    metadata = json.loads((model / "metadata.json").read_text())
    evaluation = evaluation_of(model)
    make_bucket(cloud, options.role)
    if options.model:
        archive = endpoint.pack(model)
        key = f"models/{hashlib.sha256(archive).hexdigest()[:16]}/output/model.tar.gz"
        cloud.client("s3").put_object(Bucket=cloud.names.training_bucket, Key=key, Body=archive)
        artifact = cloud.uri(key)
    else:
        artifact = training_job.describe(cloud, options.job)["ModelArtifacts"]["S3ModelArtifacts"]
    uri = options.image_uri or endpoint.image_uri(cloud)
    arn = endpoint.register(cloud, uri, artifact, metadata, evaluation)
    print(f"registered {arn}, which waits for approval")


def deploy(cloud: Cloud, options: argparse.Namespace) -> None:
    """Show the newest registered model that nobody rejected; serve it if that is approved."""
    package = endpoint.newest_package(cloud)
    print(f"{package['ModelPackageArn']} ({package['ModelApprovalStatus']})")
    for name, value in package.get("CustomerMetadataProperties", {}).items():
        print(f"  {name:<45} {value}")
    ask("Approve it, and serve it?", options)
    make_bucket(cloud, options.role)  # which the endpoint reads the model from
    endpoint.approve(cloud, package)
    print(endpoint.put_baseline(cloud, package))
    endpoint.deploy(cloud, package, options.role, variant(options), scaling(options))


def retraining(cloud: Cloud, options: argparse.Namespace) -> None:
    """Upload what a retraining needs; print the parameters of the stack that switch it on."""
    stage(cloud, options)
    parameters = {
        "TrainingRoleArn": options.role,
        "TrainingImage": preflight.training_image(cloud.names.region, options.training_instance),
        "TrainingCode": training_job.upload_retraining(cloud),
        "TrainingDataset": preflight.dataset(options.dataset),
        "TrainingInstance": options.training_instance,
    }
    overrides = " ".join(f"{name}={value}" for name, value in parameters.items())
    print(f"to switch it on: sam deploy --parameter-overrides {overrides}")


def variant(options: argparse.Namespace) -> dict[str, Any]:
    """What the endpoint runs on, as CreateEndpointConfig takes it."""
    if options.instance_type:
        return {"InstanceType": options.instance_type, "InitialInstanceCount": 1}
    serverless = {"MemorySizeInMB": options.memory, "MaxConcurrency": options.max_concurrency}
    return {"ServerlessConfig": serverless}


def scaling(options: argparse.Namespace) -> endpoint.Scaling | None:
    if options.instance_type:
        return endpoint.Scaling(options.max_instances, options.invocations)
    return None


# ---------------------------------------------------------------- on this machine


def train_here(options: argparse.Namespace) -> Path:
    """Train on this machine; return the model directory."""
    from training.source.train import main  # noqa: PLC0415  (imports torch)

    arguments = [f"--{name}={value}" for name, value in options.hyperparameters.items()]
    arguments += ["--dataset", str(options.dataset)]
    arguments += ["--model-version", training_job.model_version(options)]
    main(arguments)
    return Path("build/model")


def run_local(options: argparse.Namespace) -> None:
    """Stage, train, evaluate and serve here, until Ctrl-C."""
    build_dataset(options)
    model = options.model or train_here(options)
    judge(model, options.dataset)
    print(f"serving on http://127.0.0.1:{options.port}; Ctrl-C stops it", flush=True)
    command = [sys.executable, "-m", "serving.app", "--model-dir", str(model.resolve())]
    with contextlib.suppress(KeyboardInterrupt):
        subprocess.run([*command, "--port", str(options.port)], cwd=TRAINING.parent, check=False)


# ---------------------------------------------------------------- command line


def costs(options: argparse.Namespace, steps: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """Step, what it makes, and its price."""
    hour = INSTANCE_HOUR.get(options.training_instance)
    most = f"${hour * options.max_minutes / 60:.2f}" if hour else "a price that is not known here"
    spot = "" if options.on_demand else "; on spot less, AWS says up to 90%"
    kind = "on demand" if options.on_demand else "spot"
    serving = INSTANCE_HOUR.get(options.instance_type or "")
    second = SERVERLESS_GIB_SECOND * options.memory / 1024
    if options.instance_type is None:
        runs_on = f"serverless, {options.memory} MB, at most {options.max_concurrency} at once"
        price = f"nothing at rest; ${second:.5f} a second of inference"
    else:
        runs_on = f"1 to {options.max_instances} x {options.instance_type}"
        price = f"${HOURS * serving:.0f} a month each" if serving else "a price not known here"
        price += f" and ${ENDPOINT_ALARMS * ALARM:.2f} for its alarms, from now until it is removed"
        price += "; an update runs as many again for some 10 minutes"
    table = {
        "stage": ("the dataset in S3", f"${S3_GIB} per GiB and month"),
        "train": (
            f"{kind} {options.training_instance}, up to {options.max_minutes} minutes",
            f"at most {most}{spot}",
        ),
        "evaluate": ("on this machine", "nothing"),
        "image": ("the serving image in ECR", f"${ECR_GIB:.2f} per GiB and month"),
        "register": ("a model package version", "nothing"),
        "deploy": (runs_on, price),
        "retraining": (
            f"dataset and code in S3; each time spot {options.training_instance}, up to one hour",
            f"at most ${hour:.2f} each, and $0.46 to stage and judge" if hour else most,
        ),
    }
    if options.job:
        table["train"] = (f"follows {options.job}", "nothing that it would not cost anyway")
    return [(step, *table[step]) for step in steps]


def ask(question: str, options: argparse.Namespace) -> None:
    """Go on only with a yes.

    Raises:
        UserError: it was a no, or nobody is there to say it.

    """
    if options.yes:
        return
    try:
        answer = input(f"{question} [y/N] ").strip().lower()
    except EOFError:
        answer = ""
    if answer not in ("y", "yes"):
        raise UserError("nothing more was done (--yes goes on without asking)")


def checks(
    cloud: Cloud, options: argparse.Namespace, steps: tuple[str, ...]
) -> dict[str, Callable[[], str]]:
    """What has to hold before these steps."""
    found: dict[str, Callable[[], str]] = {}
    if NEEDS_ROLE & set(steps):
        found["role"] = lambda: preflight.role(cloud, options.role)
    if {"stage", "train", "register", "retraining"} & set(steps):
        found["bucket"] = lambda: preflight.bucket(cloud)
    stages = {"stage", "retraining"} & set(steps) and not is_staged(options)
    if {"train", "evaluate", "retraining"} & set(steps) and not stages:
        found["dataset"] = lambda: preflight.dataset(options.dataset)
    if "train" in steps and options.job is None:
        instance, spot = options.training_instance, not options.on_demand
        found["training quota"] = lambda: preflight.training_quota(cloud, instance, spot=spot)
        found["training image"] = lambda: preflight.training_image(cloud.names.region, instance)
    if "image" in steps and not options.image_uri:
        found["docker"] = lambda: preflight.docker(cloud)
    if "register" in steps and "evaluate" not in steps and options.model:
        found["evaluation"] = lambda: f"{len(evaluation_of(options.model))} measures"
    if "deploy" in steps and options.instance_type:
        found["endpoint quota"] = lambda: preflight.endpoint_quota(cloud, options.instance_type)
    if "deploy" in steps:
        found["endpoint"] = lambda: endpoint.check(cloud, options.instance_type)
    return found


def whole(most: int | None = None) -> Callable[[str], int]:
    """The type of an argument that is a whole number, from 1 to `most`."""

    def parse(text: str) -> int:
        value = int(text) if text.isdecimal() else 0
        if value < 1 or (most and value > most):
            upper = f"from 1 to {most}" if most else "from 1 on"
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number {upper}")
        return value

    return parse


def calls_a_minute(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < (value := float(text)) < math.inf:
            return value
    raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")


def instance_type(text: str) -> str:
    if not re.fullmatch(r"ml\.[a-z0-9-]+\.[a-z0-9]+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no instance type such as ml.c5.large")
    return text


def model_directory_given(text: str) -> Path:
    try:
        return preflight.model(Path(text))
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def hyperparameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name.removeprefix("--"), value


def endpoint_name(text: str) -> str:
    if not re.fullmatch(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,35}[a-zA-Z0-9])?", text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not letters, digits and hyphens inside, at most 37 as in the template"
        )
    return text


def version(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not letters, digits, dots and hyphens")
    with contextlib.suppress(ValueError):
        float(text)
        raise argparse.ArgumentTypeError(f"{text!r} is a number: give it a third part, as in 1.2.0")
    return text


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "step", nargs="?", choices=(*STEPS, "retraining"), help="one step alone (default: all)"
    )
    parser.add_argument("--local", action="store_true", help="train and serve on this machine")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    where = parser.add_argument_group("where")
    where.add_argument("--role", help="ARN of the role that SageMaker takes on")
    where.add_argument("--region", help="default: that of the AWS CLI")
    where.add_argument("--stack-name", default=DEFAULT_STACK, help="%(default)s")
    where.add_argument(
        "--endpoint-name", type=endpoint_name, default=DEFAULT_ENDPOINT, help="%(default)s"
    )
    data = parser.add_argument_group("data, as for stage_data.py")
    data.add_argument("--dataset", type=Path, default=Path("build/dataset"), help="%(default)s")
    data.add_argument("--cifar", type=Path, help="CIFAR-100 archive or directory")
    data.add_argument("--photos", action="append", default=[], help="repeatable")
    training = parser.add_argument_group("training")
    training.add_argument(
        "--training-instance", type=instance_type, default="ml.g5.xlarge", help="%(default)s"
    )
    training.add_argument("--on-demand", action="store_true", help="no spot instance")
    training.add_argument(
        "--max-minutes",
        type=whole(),
        default=60,
        help="then the job is stopped; a spot job may wait as long again (default: %(default)s)",
    )
    training.add_argument(
        "--hyperparameter",
        type=hyperparameter,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an argument of source/train.py, such as steps=8000; repeatable",
    )
    training.add_argument(
        "--model-version",
        type=version,
        help="also names the checkpoint that a job goes on from (default: the time)",
    )
    training.add_argument("--job", help="go on with this training job (default: start one)")
    model = parser.add_argument_group("model and endpoint")
    model.add_argument(
        "--model", type=model_directory_given, help="a model directory, in place of a job's"
    )
    model.add_argument("--image-uri", help="a serving image in ECR (default: build ours)")
    model.add_argument(
        "--memory",
        type=int,
        default=1024,
        choices=range(1024, 6145, 1024),
        metavar="MB",
        help="of the serverless endpoint, 1024 to 6144 (default: %(default)s)",
    )
    model.add_argument(
        "--max-concurrency",
        type=whole(200),
        default=5,
        help="serverless, at once, up to 200 (default: %(default)s)",
    )
    model.add_argument(
        "--instance-type",
        type=instance_type,
        help="such as ml.c5.large: a real-time endpoint, with autoscaling",
    )
    model.add_argument("--max-instances", type=whole(), default=2, help="default: %(default)s")
    model.add_argument(
        "--invocations",
        type=calls_a_minute,
        default=2000,
        help="a minute on each instance that autoscaling aims at (default: %(default)s, half of "
        "what one core can do at 14 ms a photo, as benchmarks/serving_app.py measured)",
    )
    model.add_argument("--port", type=int, default=8080, help="of --local (default: %(default)s)")
    options = parser.parse_args(arguments)
    if options.local and options.step:
        parser.error(f"--local takes all steps on this machine: leave out {options.step}")
    options.hyperparameters = dict(options.hyperparameter)
    if options.hyperparameters:
        check_hyperparameters(parser, options.hyperparameters)
    return options


def check_hyperparameters(parser: argparse.ArgumentParser, given: dict[str, str]) -> None:
    """Refuse what train.py would refuse, or what launch.py gives it."""
    from training.source.train import parse_arguments as parse_training  # noqa: PLC0415  (imports torch)

    own = given.keys() & {"dataset", "model-version", "model-dir", "output-dir", "checkpoint-dir"}
    if own:
        parser.error(f"--hyperparameter {min(own)}: launch.py sets it itself")
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            parse_training([f"--{name}={value}" for name, value in given.items()])
    except SystemExit:
        parser.error(f"--hyperparameter: {said.getvalue().strip().rpartition('error: ')[2]}")


def launch(options: argparse.Namespace) -> None:
    """Check, say what it costs, ask, do."""
    if options.local:
        run_local(options)
        return
    steps = (options.step,) if options.step else STEPS
    if options.model and not options.step:
        steps = STEPS[STEPS.index("image") :]
    if options.region:
        os.environ["AWS_DEFAULT_REGION"] = options.region
    cloud = Cloud(options.stack_name, options.endpoint_name)
    print(f"account {cloud.names.account}, {cloud.names.region}, as {cloud.caller}")
    preflight.run_checks(checks(cloud, options, steps))
    print("\nwhat it costs (list prices of us-east-1, 2026):")
    for step, what, price in costs(options, steps):
        print(f"  {step:<9} {what:<50} {price}")
    if set(steps) != {"deploy"}:  # which asks for itself
        ask("Go on?", options)
    do = {
        "stage": stage,
        "train": train,
        "evaluate": evaluate,
        "image": image,
        "register": register,
        "deploy": deploy,
        "retraining": retraining,
    }
    for step in steps:
        print(f"\n{step}", flush=True)
        do[step](cloud, options)


def main(arguments: list[str] | None = None) -> None:
    options = parse_arguments(arguments)
    try:
        launch(options)
    except UserError as error:
        sys.exit(f"launch: {error}")
    except (ClientError, BotoCoreError, Boto3Error) as error:
        sys.exit(f"launch: {explain(error)}")
    except OSError as error:
        sys.exit(f"launch: {error}: mend that, and run it again")
    except KeyboardInterrupt:
        sys.exit("launch: interrupted; run it again to go on")


if __name__ == "__main__":
    main()
