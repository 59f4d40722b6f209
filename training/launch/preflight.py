"""The checks before anything costs money: bucket, dataset, quotas, image, Docker."""

import json
import shutil
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from operations.errors import DENIED, UserError, explain
from training.launch.cloud import Cloud

TORCH_VERSION = "2.13"  # of the training container; requirements/training.in has the same
MODEL_FILES = ("model.onnx", "metadata.json")


def run_checks(checks: dict[str, Callable[[], str]]) -> None:
    """Run all checks, print a line for each.

    Raises:
        UserError: what has to be fixed first.

    """
    problems = 0
    for name, check in checks.items():
        try:
            print(f"  {name:<15} {check()}", flush=True)
        except UserError as error:
            problems += 1
            print(f"  {name:<15} PROBLEM: {error}", flush=True)
        except ClientError as error:
            if error.response["Error"]["Code"] not in DENIED:
                raise
            print(f"  {name:<15} not checked: {explain(error)}", flush=True)
    if problems:
        raise UserError(f"{problems} of {len(checks)} checks failed; nothing was started")


def bucket(cloud: Cloud) -> str:
    """Check that the caller may use the training bucket; return its name."""
    try:
        cloud.client("s3").head_bucket(Bucket=cloud.bucket, ExpectedBucketOwner=cloud.names.account)
    except ClientError as error:
        if error.response["Error"]["Code"] == "403":
            raise UserError(
                f"{cloud.caller} may not use bucket {cloud.bucket}: ask for s3:ListBucket, "
                "s3:GetObject and s3:PutObject on it"
            ) from error
        if error.response["Error"]["Code"] == "404":
            raise UserError(f"bucket {cloud.bucket} was deleted: deploy the stack again") from error
        raise
    return cloud.bucket


def dataset(directory: Path) -> str:
    """Check that a folder has a dataset with all labels in each split; return its version."""
    try:
        description = json.loads((directory / "dataset.json").read_text())
        version, counts = str(description["version"]), description["counts"]
        missing = [
            f"{split} {label}"
            for split in ("train", "test")
            for label in description["labels"]
            if not counts.get(split, {}).get(label)
        ]
    except FileNotFoundError as error:
        raise UserError(f"{directory} has no dataset: run the step stage first") from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(
            f"{directory / 'dataset.json'} is broken: run the step stage again"
        ) from error
    if missing:
        raise UserError(
            f"the dataset in {directory} has no photos for {', '.join(missing)}: add photos with "
            "--photos DIRECTORY, which has a folder of photos for each label"
        )
    return version


def model(directory: Path) -> Path:
    """Check that a folder has a model with its metadata; return the folder."""
    for name in MODEL_FILES:
        if not (directory / name).is_file():
            raise UserError(f"{directory} has no {name}: give the folder of a model")
    try:
        metadata = json.loads((directory / "metadata.json").read_text())
        for name in ("name", "version", "threshold", "metrics"):
            metadata[name]
        metadata["code"]["commit"], metadata["data"]["dataset"]
    except (ValueError, LookupError, TypeError) as error:
        raise UserError(
            f"{directory / 'metadata.json'} is broken ({error}): train the model again"
        ) from error
    return directory


def quotas(cloud: Cloud, wanted: str) -> dict[str, dict[str, Any]]:
    """SageMaker's quotas by name, with the one that is wanted; AWS lists the account's own first.

    Raises:
        UserError: there is none of that name.

    """
    found: dict[str, dict[str, Any]] = {}
    for operation in ("list_service_quotas", "list_aws_default_service_quotas"):
        pages = cloud.client("service-quotas").get_paginator(operation)
        for page in pages.paginate(ServiceCode="sagemaker"):
            found = {quota["QuotaName"]: quota for quota in page["Quotas"]} | found
        if wanted in found:
            return found
    raise UserError(f"SageMaker has no quota {wanted!r} in {cloud.names.region}: is it a type?")


def ask_for_quota(cloud: Cloud, quota: dict[str, Any]) -> str:
    """A message about a quota of 0, with the command that asks for more."""
    return (
        f"the quota {quota['QuotaName']!r} is 0: ask for one with `aws service-quotas "
        f"request-service-quota-increase --service-code sagemaker --desired-value 1 --region "
        f"{cloud.names.region} --quota-code {quota['QuotaCode']}`"
    )


def endpoint_quota(cloud: Cloud, instance: str) -> str:
    """Check that the account may run one such instance for an endpoint; return the quota."""
    wanted = f"{instance} for endpoint usage"
    quota = quotas(cloud, wanted)[wanted]
    if quota["Value"] >= 1:
        return f"{quota['Value']:.0f} {wanted}"
    raise UserError(f"{ask_for_quota(cloud, quota)}, or leave out --instance-type")


def training_quota(cloud: Cloud, instance: str, *, spot: bool) -> str:
    """Check that the account may run one such instance for training; return the quota."""
    kind = "for spot training job usage" if spot else "for training job usage"
    wanted = f"{instance} {kind}"
    found = quotas(cloud, wanted)
    if found[wanted]["Value"] >= 1:
        return f"{found[wanted]['Value']:.0f} {wanted}"
    usable = [
        name.removesuffix(f" {kind}")
        for name, quota in sorted(found.items())
        if name.startswith(("ml.g", "ml.p")) and name.endswith(f" {kind}") and quota["Value"] >= 1
    ]
    other = f"for {'on-demand' if spot else 'spot'} there may be another: " + (
        "--on-demand" if spot else "without --on-demand"
    )
    raise UserError(
        f"{ask_for_quota(cloud, found[wanted])}, or train on "
        + (f"--training-instance {usable[0]}" if usable else "this machine (make train)")
        + f" ({other})"
    )


def training_image(region: str, instance: str) -> str:
    """The URI of AWS's PyTorch training container for a region and instance type."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the SDK's own docstrings
        from sagemaker.core import image_uris  # noqa: PLC0415  (seconds to import)
    try:
        uri = image_uris.retrieve(
            "pytorch-amzn2023",
            region=region,
            version=TORCH_VERSION,
            instance_type=instance,
            image_scope="training",
        )
    except ValueError as error:
        raise UserError(f"no PyTorch {TORCH_VERSION} training image: {error}") from error
    return str(uri)


def docker(cloud: Cloud) -> str:
    """Check that Docker runs and that ECR accepts the caller; return the version of Docker."""
    docker = shutil.which("docker")
    if docker is None:
        raise UserError("docker is not installed: install it, or give --image-uri")
    command = [docker, "version", "--format", "{{.Server.Version}}"]
    version = subprocess.run(command, capture_output=True, text=True, check=False)
    if version.returncode:
        reason = version.stderr.strip().rpartition("\n")[2]
        raise UserError(f"start the docker engine, or give --image-uri ({reason})")
    cloud.client("ecr").get_authorization_token()
    return f"engine {version.stdout.strip()}"
