"""The steps from photos to an endpoint: each takes settings and returns what the next needs."""

import gzip
import hashlib
import json
import tarfile
import zlib
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from operations.errors import UserError, explain
from training.dataset import stage as staging
from training.dataset.upload import upload
from training.launch import deployment, preflight, serving_image, training_job
from training.launch.cloud import Cloud
from training.launch.deployment import Model
from training.launch.settings import Data, Serving, Training

# ---------------------------------------------------------------- stage, train


def build_dataset(data: Data) -> None:
    """Build the dataset from its sources, unless it exists and no source is given."""
    if not data.is_staged:
        arguments = ["--dataset", str(data.dataset)]
        arguments += ["--cifar", str(data.cifar)] if data.cifar else []
        for photos in data.photos:
            arguments += ["--photos", photos]
        staging.main(arguments)


def stage(cloud: Cloud, data: Data) -> str:
    """Build the dataset and upload it; return its S3 URI."""
    build_dataset(data)
    return upload(data.dataset, cloud.uri("datasets"))


def train(cloud: Cloud, training: Training, dataset: Path) -> str:
    """Start a training job, or continue with one, and follow it; return its name."""
    job = training.job
    if job is None and (job := next(training_job.names(cloud, "InProgress"), None)):
        print(f"training job {job} is still running: no second one is started")
    elif job is None and (job := training_job.finished(cloud, training, dataset)):
        print(
            f"training job {job} has the same dataset, hyperparameters and code, and its model is "
            "not registered: it is used, none is started (another --model-version trains again)"
        )
    elif job is None:
        job = training_job.start(cloud, training, dataset)
    try:
        training_job.follow(cloud, job)
    except (KeyboardInterrupt, ClientError, BotoCoreError) as error:
        why = "" if isinstance(error, KeyboardInterrupt) else f"{explain(error)}; "
        raise UserError(
            f"{why}the job continues: run this again, or with --job {job}, to follow it; "
            f"stop it with `aws sagemaker stop-training-job --training-job-name {job} "
            f"--region {cloud.names.region}`"
        ) from None
    return job


# ---------------------------------------------------------------- evaluate


def fetch(cloud: Cloud, job: str | None) -> tuple[Path, str]:
    """Download and unpack the model of a job, or of the newest that completed.

    Returns its directory and the S3 URI of its archive.

    Raises:
        UserError: there is no such model, or it is broken.

    """
    job = job or next(training_job.names(cloud, "Completed"), None)
    if job is None:
        raise UserError("no training job has completed: run the step train, or give --model")
    described = training_job.describe(cloud, job)
    directory = Path("build/models") / job
    uri = described.get("ModelArtifacts", {}).get("S3ModelArtifacts")
    if not uri:
        raise UserError(f"training job {job} has no model")
    if not all((directory / name).is_file() for name in preflight.MODEL_FILES):
        directory.mkdir(parents=True, exist_ok=True)
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        archive = directory / "model.tar.gz"
        cloud.client("s3").download_file(bucket, key, str(archive))
        try:
            with tarfile.open(archive, "r:gz") as packed:
                packed.extractall(directory, filter="data")
        except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise UserError(f"{uri} is damaged: train the model again ({error})") from error
    return preflight.model(directory), uri


def report_directory(model: Path) -> Path:
    """The folder of the evaluation of a model, by the hash of the model."""
    digest = hashlib.sha256((model / "model.onnx").read_bytes()).hexdigest()
    return Path("build/evaluation") / digest[:12]


def evaluate(model: Path, dataset: Path) -> None:
    """Write report.md and evaluation.json of a model directory."""
    from training.evaluate import main  # noqa: PLC0415  (imports torch)

    report = report_directory(model)
    main(["--model", str(model), "--dataset", str(dataset), "--report", str(report)])


def evaluation_of(model: Path) -> dict[str, Any]:
    """The evaluation of a model: its last report, or the metrics in its metadata.json.

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


# ---------------------------------------------------------------- image, publish, deploy


def image(cloud: Cloud, serving: Serving) -> str:
    """Push the serving image unless one is given; return its URI."""
    return serving.image_uri or serving_image.push(cloud)


def publish(cloud: Cloud, data: Data, training: Training, image: str) -> dict[str, str]:
    """Upload dataset and code, and publish what the stack's retraining needs; return that."""
    stage(cloud, data)
    run = {
        "training_image": preflight.training_image(cloud.names.region, training.instance),
        "training_code": training_job.upload_retraining(cloud),
        "dataset": preflight.dataset(data.dataset),
        "serving_image": image,
    }
    cloud.client("ssm").put_parameter(
        Name=cloud.stack.output("TrainingRunParameterName"),
        Value=json.dumps(run),
        Type="String",
        Overwrite=True,
    )
    return run


def deploy(cloud: Cloud, model: Model, image: str, serving: Serving) -> None:
    """Register and deploy the model with DeployModel; return when it is in service.

    Raises:
        UserError: it is not.

    """
    reason = f"approved by {cloud.caller}"
    deployment.serve(cloud, deployment.request(cloud, model, image, serving, reason=reason))
