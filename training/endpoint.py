"""From a model directory to an endpoint: serving image, model package, blue/green, scaling."""

import base64
import contextlib
import dataclasses
import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from botocore.exceptions import BotoCoreError, ClientError
from PIL import Image

from functions.measure_drift.keys import own_key
from operations.errors import UserError, explain
from operations.stack import VARIANT, find_stack, scalable_target
from training.gate import properties
from training.preflight import Cloud

REPOSITORY = Path(__file__).resolve().parents[1]
DOCKERFILE = REPOSITORY / "serving/Dockerfile"
POLL_SECONDS = 10
BAKE_SECONDS = 300  # how long an update is watched by the alarms before it is done
LATENCY_SECONDS = 2.0  # 99th percentile that rolls an update back
NOT_FOUND = "Could not find"


@dataclasses.dataclass(frozen=True)
class Scaling:
    """From one to `at_most` instances, at so many invocations a minute on each."""

    at_most: int
    invocations: float


# ---------------------------------------------------------------- image


def serving_tag() -> str:
    """A hash of all that goes into the serving image."""
    digest = hashlib.sha256()
    text = DOCKERFILE.read_text()
    copied = re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE)
    digest.update(text.encode())
    for name in " ".join(copied).split():
        digest.update((REPOSITORY / name).read_bytes())
    return digest.hexdigest()[:16]


def image_uri(cloud: Cloud) -> str:
    """The URI of the pushed image of this very serving code.

    Raises:
        UserError: it is not there.

    """
    ecr, name = cloud.client("ecr"), cloud.names.endpoint
    missing = ("ImageNotFoundException", "RepositoryNotFoundException")
    try:
        ecr.describe_images(repositoryName=name, imageIds=[{"imageTag": serving_tag()}])
        found = ecr.describe_repositories(repositoryNames=[name])["repositories"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] in missing:
            raise UserError("there is no serving image: run the step image first") from error
        raise
    return f"{found['repositoryUri']}:{serving_tag()}"


def push_image(cloud: Cloud) -> str:
    """Build the serving image and push it, unless this very one is there; return its URI."""
    with contextlib.suppress(UserError):
        return image_uri(cloud)
    ecr = cloud.client("ecr")
    with contextlib.suppress(ecr.exceptions.RepositoryAlreadyExistsException):
        ecr.create_repository(
            repositoryName=cloud.names.endpoint,
            imageTagMutability="IMMUTABLE",
            imageScanningConfiguration={"scanOnPush": True},
            tags=cloud.tags,
        )
    found = ecr.describe_repositories(repositoryNames=[cloud.names.endpoint])["repositories"][0]
    uri = f"{found['repositoryUri']}:{serving_tag()}"
    token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    user, _, password = base64.b64decode(token).decode().partition(":")
    registry = uri.partition("/")[0]
    docker("login", "--username", user, "--password-stdin", registry, stdin=password)
    target = ("--platform", "linux/amd64", "--tag", uri, "--file", str(DOCKERFILE))
    docker("build", *target, str(REPOSITORY))
    docker("push", uri)
    return uri


def docker(*arguments: str, stdin: str | None = None) -> None:
    # SageMaker takes no image index, and an attestation makes one of an image.
    environment = os.environ | {"BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
    command = ["docker", *arguments]
    if subprocess.run(command, input=stdin, text=True, env=environment, check=False).returncode:
        raise UserError(f"docker {arguments[0]} failed, as said above")


# ---------------------------------------------------------------- model packages


def pack(model: Path) -> bytes:
    """model.tar.gz of a model directory, readable by all; the same bytes for the same files."""

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.mode, member.mtime, member.uid, member.gid = 0o644, 0, 0, 0
        member.uname = member.gname = ""
        return member

    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as packed:
        for name in ("model.onnx", "metadata.json"):
            packed.add(model / name, name, filter=plain)
    return gzip.compress(archive.getvalue(), mtime=0)


def register(
    cloud: Cloud,
    image: str,
    artifact: str,
    metadata: dict[str, Any],
    evaluation: dict[str, Any],
) -> str:
    """Register a model as a new version of the model package group; return its ARN.

    `artifact` is the S3 URI of model.tar.gz; `metadata` and `evaluation` are what metadata.json
    and evaluation.json hold.
    """
    quality = artifact.removesuffix("/output/model.tar.gz") + "/evaluation.json"
    bucket, _, key = quality.removeprefix("s3://").partition("/")
    body = json.dumps(evaluation).encode()
    cloud.client("s3").put_object(Bucket=bucket, Key=key, Body=body)

    sagemaker, group = cloud.client("sagemaker"), cloud.names.endpoint
    if not has_group(cloud):
        sagemaker.create_model_package_group(
            ModelPackageGroupName=group,
            ModelPackageGroupDescription="Tells bicycles, motorcycles and other pictures apart",
            Tags=cloud.tags,
        )
    package = sagemaker.create_model_package(
        ModelPackageGroupName=group,
        ModelPackageDescription=f"{metadata['name']} {metadata['version']}",
        InferenceSpecification={
            "Containers": [{"Image": image, "ModelDataUrl": artifact}],
            "SupportedContentTypes": ["image/jpeg", "application/x-image"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
        ModelMetrics={
            "ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": quality}}
        },
        MetadataProperties={"CommitId": metadata["code"]["commit"]},
        CustomerMetadataProperties=properties(metadata, evaluation),
        ModelApprovalStatus="PendingManualApproval",
    )
    return str(package["ModelPackageArn"])


def has_group(cloud: Cloud) -> bool:
    """Whether the model package group is there."""
    group = cloud.names.endpoint
    pages = cloud.client("sagemaker").get_paginator("list_model_package_groups")
    found = pages.paginate(NameContains=group).search("ModelPackageGroupSummaryList")
    return group in [item["ModelPackageGroupName"] for item in found]


def packages(cloud: Cloud) -> Iterator[dict[str, Any]]:
    """All registered versions, the newest first, as DescribeModelPackage answers."""
    if not has_group(cloud):
        return
    sagemaker = cloud.client("sagemaker")
    pages = sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=cloud.names.endpoint, SortBy="CreationTime", SortOrder="Descending"
    )
    for item in pages.search("ModelPackageSummaryList"):
        yield sagemaker.describe_model_package(ModelPackageName=item["ModelPackageArn"])


def is_registered(cloud: Cloud, artifact: str) -> bool:
    """Whether a version has the model of this S3 URI."""
    return any(
        container.get("ModelDataUrl") == artifact
        for package in packages(cloud)
        for container in package["InferenceSpecification"]["Containers"]
    )


def newest_package(cloud: Cloud) -> dict[str, Any]:
    """The newest registered version that is not rejected, as DescribeModelPackage answers.

    Raises:
        UserError: there is none.

    """
    group, rejected = cloud.names.endpoint, 0
    for package in packages(cloud):
        if package["ModelApprovalStatus"] != "Rejected":
            return package
        rejected += 1
        reason = package.get("ApprovalDescription", "no reason given")
        print(f"skipped, because it was rejected ({reason}): {package['ModelPackageArn']}")
    if rejected:
        raise UserError(f"all models in {group} were rejected: train and register another")
    raise UserError(f"no model is registered in {group}: run the step register first")


def approve(cloud: Cloud, package: dict[str, Any]) -> None:
    cloud.client("sagemaker").update_model_package(
        ModelPackageArn=package["ModelPackageArn"],
        ModelApprovalStatus="Approved",
        ApprovalDescription="approved with launch.py",
    )


def put_baseline(cloud: Cloud, package: dict[str, Any]) -> str:
    """Put the model's metadata where MeasureDrift reads its baseline; what was done, in a line."""
    stack = find_stack(cloud.client("cloudformation"), cloud.names.stack)
    if stack is None:
        return (
            f"there is no stack {cloud.names.stack} yet: once there is, run the step deploy again, "
            "or drift of a model of your own is not measured"
        )
    photos_bucket = stack.output("PhotosBucketName")
    s3, archive = cloud.client("s3"), io.BytesIO()
    uri = package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    s3.download_fileobj(bucket, key, archive)
    archive.seek(0)
    with tarfile.open(fileobj=archive) as packed:
        [member] = [each for each in packed if Path(each.name).name == "metadata.json"]
        metadata = cast(IO[bytes], packed.extractfile(member)).read()
    model = json.loads(metadata)
    key = own_key(f"{model['name']}/{model['version']}")
    s3.put_object(Bucket=photos_bucket, Key=key, Body=metadata)
    return f"its baseline is s3://{photos_bucket}/{key}"


# ---------------------------------------------------------------- endpoint


def describe(cloud: Cloud) -> dict[str, Any] | None:
    """The endpoint, its configuration under "Config"; None where there is none."""
    sagemaker, name = cloud.client("sagemaker"), cloud.names.endpoint
    try:
        endpoint = sagemaker.describe_endpoint(EndpointName=name)
    except ClientError as error:
        if NOT_FOUND in str(error):
            return None
        raise
    endpoint["Config"] = sagemaker.describe_endpoint_config(
        EndpointConfigName=endpoint["EndpointConfigName"]
    )
    return dict(endpoint)


def check(cloud: Cloud, instance: str | None) -> str:
    """The endpoint is free to be made or updated as asked."""
    name, endpoint = cloud.names.endpoint, describe(cloud)
    if endpoint is None:
        return f"{name} will be made"
    status = endpoint["EndpointStatus"]
    if status == "Failed":
        raise UserError(
            f"endpoint {name} failed ({endpoint.get('FailureReason', 'no reason given')}): remove "
            f"it with `aws sagemaker delete-endpoint --endpoint-name {name}`, then run this again"
        )
    if status != "InService":
        raise UserError(f"endpoint {name} is {status}: run this again when it is InService")
    if instance is None and "InstanceType" in endpoint["Config"]["ProductionVariants"][0]:
        raise UserError(
            f"endpoint {name} runs on instances, and AWS cannot make it serverless: give "
            "--instance-type, or another --endpoint-name"
        )
    return f"{name} is {status} and will be updated"


def deploy(
    cloud: Cloud,
    package: dict[str, Any],
    role: str,
    variant: dict[str, Any],
    scaling: Scaling | None,
) -> None:
    """Serve a model package (as DescribeModelPackage answers), and try it with a picture.

    `variant` is InstanceType and InitialInstanceCount, with `scaling`, or ServerlessConfig.

    Raises:
        UserError: the new model does not serve; the one before does, if there was one.

    """
    check(cloud, variant.get("InstanceType"))
    before = describe(cloud)
    sagemaker, name = cloud.client("sagemaker"), cloud.names.endpoint
    config = f"{cloud.names.prefix}{time.strftime('%Y%m%d%H%M%S', time.gmtime())}"
    sagemaker.create_model(
        ModelName=config,
        ExecutionRoleArn=role,
        PrimaryContainer={"ModelPackageName": package["ModelPackageArn"]},
        EnableNetworkIsolation=scaling is not None,  # serverless has no such option
        Tags=cloud.tags,
    )
    sagemaker.create_endpoint_config(
        EndpointConfigName=config,
        ProductionVariants=[{"VariantName": VARIANT, "ModelName": config} | variant],
        Tags=cloud.tags,
    )
    if scaling:
        put_alarms(cloud)
    stopped = False
    if before:
        print(f"updating endpoint {name}; the model before serves until then", flush=True)
        stopped = update(cloud, config, before, variant)
    else:
        print(f"making endpoint {name}, which takes minutes", flush=True)
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config, Tags=cloud.tags)
    try:
        wait(cloud, config)
        milliseconds = answer_or_take_back(cloud, package, before, variant)
    except UserError:
        if stopped and scaling:
            scale(cloud, scaling)
        raise
    if scaling:
        scale(cloud, scaling)
    print(f"endpoint {name} answered a picture in {milliseconds:.0f} ms")


def answer_or_take_back(
    cloud: Cloud,
    package: dict[str, Any],
    before: dict[str, Any] | None,
    variant: dict[str, Any],
) -> float:
    """Try the new model; where it does not answer, serve the one before. Milliseconds."""
    try:
        return try_out(cloud, package["CustomerMetadataProperties"]["version"])
    except (UserError, ClientError, BotoCoreError) as error:
        reason = error if isinstance(error, UserError) else explain(error)
        served = take_back(cloud, before, variant)
        raise UserError(f"the new model does not answer: {reason}; {served}") from error


def update(cloud: Cloud, config: str, before: dict[str, Any], variant: dict[str, Any]) -> bool:
    """Ask for a blue/green update: on instances with rollback on alarm, serverless without.

    Returns whether scaling had to be stopped for it.
    """
    request: dict[str, Any] = {}
    stopped = False
    was = before["Config"]["ProductionVariants"][0].get("InstanceType")
    if instance := variant.get("InstanceType"):
        if was and was != instance:  # AWS refuses to change the type of what is scaled
            stopped = stop_scaling(cloud)
        running = before["ProductionVariants"][0].get("CurrentInstanceCount", 1) if was else 1
        request = {
            "DeploymentConfig": deployment_config(cloud, canary=running > 1),
            "RetainAllVariantProperties": bool(was),  # the number that scaling has chosen
        }
    cloud.client("sagemaker").update_endpoint(
        EndpointName=cloud.names.endpoint, EndpointConfigName=config, **request
    )
    return stopped


def take_back(cloud: Cloud, before: dict[str, Any] | None, variant: dict[str, Any]) -> str:
    """Serve what was served before, where there is a way; say what serves now."""
    name = cloud.names.endpoint
    if before is None:
        return f"its log group is /aws/sagemaker/Endpoints/{name}"
    on_instances = "InstanceType" in before["Config"]["ProductionVariants"][0]
    if "InstanceType" in variant and not on_instances:
        return f"{name} was serverless, and AWS does not go back to that: deploy another version"
    print("going back to the model before", flush=True)
    cloud.client("sagemaker").update_endpoint(  # no alarms: those of the new model may still ring
        EndpointName=name,
        EndpointConfigName=before["EndpointConfigName"],
        RetainAllVariantProperties=on_instances,
    )
    wait(cloud, before["EndpointConfigName"])
    return f"{name} serves the one before again"


def deployment_config(cloud: Cloud, *, canary: bool) -> dict[str, Any]:
    """Blue/green: half of the traffic first where there is more than one instance to halve."""
    routing: dict[str, Any] = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": BAKE_SECONDS}
    if canary:
        size = {"Type": "CAPACITY_PERCENT", "Value": 50}
        routing = {"Type": "CANARY", "WaitIntervalInSeconds": BAKE_SECONDS, "CanarySize": size}
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": routing,
            "TerminationWaitInSeconds": BAKE_SECONDS,
            "MaximumExecutionTimeoutInSeconds": 3600,
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms(cloud)]},
    }


def alarms(cloud: Cloud) -> tuple[str, str]:
    return f"{cloud.names.prefix}errors", f"{cloud.names.prefix}latency"


def put_alarms(cloud: Cloud) -> None:
    """The alarms that roll an update back: any server error, or slow answers."""
    errors, latency = alarms(cloud)
    common = {
        "Namespace": "AWS/SageMaker",
        "Dimensions": [
            {"Name": "EndpointName", "Value": cloud.names.endpoint},
            {"Name": "VariantName", "Value": VARIANT},
        ],
        "Period": 60,
        "EvaluationPeriods": 1,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        "Tags": cloud.tags,
    }
    cloudwatch = cloud.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName=errors, MetricName="Invocation5XXErrors", Statistic="Sum", Threshold=0, **common
    )
    cloudwatch.put_metric_alarm(
        AlarmName=latency,
        MetricName="ModelLatency",
        ExtendedStatistic="p99",
        Threshold=LATENCY_SECONDS * 1e6,  # the metric is in microseconds
        **common,
    )


def wait(cloud: Cloud, config: str) -> None:
    """Wait until the endpoint is in service, and say how it gets there.

    Raises:
        UserError: it failed, or AWS went back to the configuration before.

    """
    sagemaker, name = cloud.client("sagemaker"), cloud.names.endpoint
    seen, started = "", time.time()
    while True:
        endpoint = sagemaker.describe_endpoint(EndpointName=name)
        status = endpoint["EndpointStatus"]
        if status != seen:
            print(f"  {time.time() - started:5.0f} s  {status}", flush=True)
            seen = status
        if status in ("InService", "Failed", "UpdateRollbackFailed"):
            break
        time.sleep(POLL_SECONDS)
    reason = endpoint.get("FailureReason", "no reason given")
    log = f"log group /aws/sagemaker/Endpoints/{name}"
    if status != "InService":
        raise UserError(f"endpoint {name} is {status}: {reason} ({log})")
    if endpoint["EndpointConfigName"] != config:
        raise UserError(
            f"AWS rolled the update back: {reason} ({log}); {name} serves the model before"
        )


def try_out(cloud: Cloud, version: str | None) -> float:
    """Ask the endpoint about a grey picture; return milliseconds.

    Raises:
        UserError: the answer is none of this model's.

    """
    picture = io.BytesIO()
    Image.new("RGB", (64, 64), "grey").save(picture, "JPEG")
    started = time.perf_counter()
    answer = cloud.client("sagemaker-runtime", read_timeout=70).invoke_endpoint(
        EndpointName=cloud.names.endpoint,
        ContentType="image/jpeg",
        Accept="application/json",
        Body=picture.getvalue(),
    )
    milliseconds = 1000 * (time.perf_counter() - started)
    body = answer["Body"].read()
    try:
        inferences = json.loads(body)
        total = sum(inferences.values())
    except (ValueError, AttributeError, TypeError) as error:
        raise UserError(f"the answer holds no probabilities: {body[:80]!r}") from error
    if abs(total - 1) > 0.01:  # noqa: PLR2004
        raise UserError(f"the probabilities add up to {total:.3f}")
    told = re.search(r"\bmodel=([^,;\s]+)", answer.get("CustomAttributes", ""))
    model = told[1] if told else "no version"
    if version and not model.endswith(f"/{version}"):
        raise UserError(f"version {version} was asked, {model} answered")
    return milliseconds


# ---------------------------------------------------------------- scaling


def scale(cloud: Cloud, scaling: Scaling) -> None:
    client, target = cloud.client("application-autoscaling"), scalable_target(cloud.names.endpoint)
    client.register_scalable_target(**target, MinCapacity=1, MaxCapacity=scaling.at_most)
    client.put_scaling_policy(
        **target,
        PolicyName=f"{cloud.names.prefix}invocations",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
            },
            "TargetValue": scaling.invocations,
        },
    )
    print(f"scales from 1 to {scaling.at_most} instances of {scaling.invocations:g} calls a minute")


def stop_scaling(cloud: Cloud) -> bool:
    """Whether there was scaling to stop."""
    client, target = cloud.client("application-autoscaling"), scalable_target(cloud.names.endpoint)
    found = client.describe_scalable_targets(
        ServiceNamespace=target["ServiceNamespace"], ResourceIds=[target["ResourceId"]]
    )["ScalableTargets"]
    if found:
        client.deregister_scalable_target(**target)
    return bool(found)
