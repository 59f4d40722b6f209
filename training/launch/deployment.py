"""A model into service: DeployModel does it, this starts it, follows it and tries the endpoint."""

import gzip
import hashlib
import io
import json
import re
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from PIL import Image

from operations.errors import UserError, explain
from training.gate import properties
from training.launch.cloud import Cloud
from training.launch.preflight import MODEL_FILES
from training.launch.settings import Serving

POLL_SECONDS = 10
NOT_FOUND = "Could not find"
FAILED = ("FAILED", "TIMED_OUT", "ABORTED")


@dataclass(frozen=True)
class Model:
    """A model directory with its evaluation; `artifact` is its archive in S3 if a job left it."""

    directory: Path
    evaluation: dict[str, Any]
    artifact: str | None

    @property
    def metadata(self) -> dict[str, Any]:
        return dict(json.loads((self.directory / "metadata.json").read_text()))


def pack(model: Path) -> bytes:
    """model.tar.gz of a model directory, readable by all; the same bytes for the same files."""

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.mode, member.mtime, member.uid, member.gid = 0o644, 0, 0, 0
        member.uname = member.gname = ""
        return member

    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as packed:
        for name in MODEL_FILES:
            packed.add(model / name, name, filter=plain)
    return gzip.compress(archive.getvalue(), mtime=0)


def request(
    cloud: Cloud, model: Model, image: str, serving: Serving, *, reason: str
) -> dict[str, Any]:
    """Upload a model and its report; return the input of DeployModel."""
    s3, metadata = cloud.client("s3"), model.metadata
    archive = pack(model.directory)
    digest = hashlib.sha256(archive).hexdigest()[:16]
    artifact = model.artifact
    if artifact is None:
        key = f"models/{digest}/output/model.tar.gz"
        s3.put_object(Bucket=cloud.bucket, Key=key, Body=archive)
        artifact = cloud.uri(key)
    report = f"reports/{digest}"
    for name, body in (
        ("metadata.json", (model.directory / "metadata.json").read_bytes()),
        ("evaluation.json", json.dumps(model.evaluation).encode()),
    ):
        s3.put_object(Bucket=cloud.bucket, Key=f"{report}/{name}", Body=body)
    return {
        "model": {
            "name": metadata["name"],
            "version": metadata["version"],
            "commit": metadata["code"]["commit"],
            "properties": properties(metadata, model.evaluation),
            "artifact": artifact,
            "image": image,
            "report": report,
        },
        "approval": {"accepted": True, "reason": reason},
        "variant": serving.variant,
    } | serving.scaling


def start(cloud: Cloud, given: dict[str, Any]) -> str:
    """Start DeployModel; return the ARN of its execution."""
    started = cloud.client("stepfunctions").start_execution(
        stateMachineArn=cloud.stack.output("DeployModelStateMachineArn"), input=json.dumps(given)
    )
    return str(started["executionArn"])


def follow(cloud: Cloud, execution: str) -> dict[str, Any]:
    """Print each state that a deployment enters, until it has ended; return its output.

    Raises:
        UserError: it failed, or could not be followed any more.

    """
    print(f"following deployment {execution}; Ctrl-C leaves it running", flush=True)
    client, started = cloud.client("stepfunctions"), time.monotonic()
    seen: set[str] = set()
    try:
        while True:
            described = client.describe_execution(executionArn=execution)
            for name in entered(client, execution):
                if name not in seen:
                    seen.add(name)
                    print(f"  {time.monotonic() - started:5.0f} s  {name}", flush=True)
            if described["status"] == "SUCCEEDED":
                return dict(json.loads(described["output"]))
            if described["status"] in FAILED:
                break
            time.sleep(POLL_SECONDS)
    except (KeyboardInterrupt, ClientError, BotoCoreError) as error:
        why = "" if isinstance(error, KeyboardInterrupt) else f"{explain(error)}; "
        raise UserError(
            f"{why}the deployment continues: see how it ends with `aws stepfunctions "
            f"describe-execution --execution-arn {execution} --region {cloud.names.region}`"
        ) from None
    reason = f"{described.get('error', 'no error given')}: {described.get('cause', '')}"
    raise UserError(f"the deployment is {described['status']}: {reason}")


def entered(client: Any, execution: str) -> Iterator[str]:
    """The names of the states that an execution has entered, in order."""
    pages = client.get_paginator("get_execution_history").paginate(
        executionArn=execution, includeExecutionData=False
    )
    for page in pages:
        for event in page["events"]:
            if "stateEnteredEventDetails" in event:
                yield event["stateEnteredEventDetails"]["name"]


def serve(cloud: Cloud, given: dict[str, Any]) -> None:
    """Deploy as the input of DeployModel asks, and try the endpoint with a photo.

    Raises:
        UserError: the new model does not serve.

    """
    outcome = follow(cloud, start(cloud, given))
    if outcome["outcome"] != "serves":
        raise UserError(f"the new model does not serve ({outcome['outcome']}): {outcome['reason']}")
    name = cloud.names.endpoint
    try:
        milliseconds = try_out(cloud, given["model"]["version"])
    except (UserError, ClientError, BotoCoreError) as error:
        reason = error if isinstance(error, UserError) else explain(error)
        raise UserError(
            f"endpoint {name} is in service, but does not answer: {reason} (log group "
            f"/aws/sagemaker/Endpoints/{name}; docs/operations.md says how to roll back)"
        ) from error
    print(f"endpoint {name} answered a photo in {milliseconds:.0f} ms")


def try_out(cloud: Cloud, version: str) -> float:
    """Send the endpoint a grey photo; return milliseconds.

    Raises:
        UserError: the answer is not of this version.

    """
    photo = io.BytesIO()
    Image.new("RGB", (64, 64), "grey").save(photo, "JPEG")
    started = time.perf_counter()
    answer = cloud.client("sagemaker-runtime", read_timeout=70).invoke_endpoint(
        EndpointName=cloud.names.endpoint,
        ContentType="image/jpeg",
        Accept="application/json",
        Body=photo.getvalue(),
    )
    milliseconds = 1000 * (time.perf_counter() - started)
    body = answer["Body"].read()
    try:
        total = sum(json.loads(body).values())
    except (ValueError, AttributeError, TypeError) as error:
        raise UserError(f"the answer holds no probabilities: {body[:80]!r}") from error
    if abs(total - 1) > 0.01:  # noqa: PLR2004
        raise UserError(f"the probabilities add up to {total:.3f}")
    told = re.search(r"\bmodel=([^,;\s]+)", answer.get("CustomAttributes", ""))
    model = told[1] if told else "no version"
    if not model.endswith(f"/{version}"):
        raise UserError(f"version {version} was asked, {model} answered")
    return milliseconds


# ---------------------------------------------------------------- what is there before


def check(cloud: Cloud, instance: str | None) -> str:
    """The endpoint is free to be made or updated as asked, and no deployment runs.

    Raises:
        UserError: it is not.

    """
    running = cloud.client("stepfunctions").list_executions(
        stateMachineArn=cloud.stack.output("DeployModelStateMachineArn"), statusFilter="RUNNING"
    )["executions"]
    if running:
        raise UserError(f"a deployment runs: wait until {running[0]['executionArn']} has ended")
    sagemaker, name = cloud.client("sagemaker"), cloud.names.endpoint
    try:
        endpoint = sagemaker.describe_endpoint(EndpointName=name)
    except ClientError as error:
        if NOT_FOUND in str(error):
            return f"{name} will be made"
        raise
    status = endpoint["EndpointStatus"]
    if status == "Failed":
        raise UserError(
            f"endpoint {name} failed ({endpoint.get('FailureReason', 'no reason given')}): remove "
            f"it with `aws sagemaker delete-endpoint --endpoint-name {name}`, then run this again"
        )
    if status != "InService":
        raise UserError(f"endpoint {name} is {status}: run this again when it is InService")
    configuration = sagemaker.describe_endpoint_config(
        EndpointConfigName=endpoint["EndpointConfigName"]
    )
    if instance is None and "InstanceType" in configuration["ProductionVariants"][0]:
        raise UserError(
            f"endpoint {name} runs on instances, and AWS cannot make it serverless: give "
            "--instance-type, or deploy a stack with another EndpointName"
        )
    return f"{name} is {status} and will be updated"


def is_registered(cloud: Cloud, artifact: str) -> bool:
    """Whether a version in the model package group has the model of this S3 URI."""
    sagemaker, group = cloud.client("sagemaker"), cloud.names.endpoint
    groups = sagemaker.get_paginator("list_model_package_groups").paginate(NameContains=group)
    names = groups.search("ModelPackageGroupSummaryList[].ModelPackageGroupName")
    if group not in list(names):
        return False
    packages = sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group)
    return any(
        container.get("ModelDataUrl") == artifact
        for arn in packages.search("ModelPackageSummaryList[].ModelPackageArn")
        for container in sagemaker.describe_model_package(ModelPackageName=arn)[
            "InferenceSpecification"
        ]["Containers"]
    )
