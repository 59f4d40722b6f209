"""Remove from AWS all that the stack and the training made.

    python -m operations.delete --dry-run    list it, and what it costs a month at rest
    python -m operations.delete              list it, ask, delete it, look again

Credentials and region are those of the AWS CLI (AWS_PROFILE, AWS_DEFAULT_REGION, `aws configure`);
what was made with `launch.py --region` is found with the same --region. Deleted is what has one of
our names (class Names) or, where a name only begins like ours, our tags as well. Run it as often as
you like, after a failure too: what is gone already is no error.
"""

import argparse
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, cached_property, partial
from itertools import islice
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoRegionError, WaiterError

from operations.errors import UserError, explain
from operations.prices import ALARM, ECR_GIB, HOURS, INSTANCE_HOUR, LOGS_GIB, S3_GIB, TABLE_GIB
from operations.stack import (
    DEFAULT_ENDPOINT,
    DEFAULT_STACK,
    PROCESSING_LOG_GROUP,
    TRAINING_LOG_GROUP,
    Names,
    scalable_target,
)

SAM_STACK = "aws-sam-cli-managed-default"  # its bucket is shared: only our stack's folder goes

STACK_NAME_TAG, STACK_ID_TAG = "aws:cloudformation:stack-name", "aws:cloudformation:stack-id"
# Kinds that the services are asked about; the tag index lags behind deletions.
ASKED = ("s3:", "dynamodb:", "logs:", "ecr:", "cloudwatch:alarm:")
ASKED_JOBS = ("sagemaker:training-job", "sagemaker:processing-job")
ASKED_SAGEMAKER = ("sagemaker:endpoint", "sagemaker:model", *ASKED_JOBS)
# What an endpoint that could not be deleted goes on with, as does the training bucket.
SERVES = ("endpoint configuration", "model", "model package group", "ECR repository")
SETTLE_SECONDS = 3600  # launch.py gives an update no more


@dataclass(frozen=True)
class Found:
    """Something of ours.

    Attributes:
        kind: what it is.
        name: its name, or where there is none its ARN.
        holds: what is in it.
        monthly: US dollars a month at rest; NaN where it is not known.
        delete: deletes it, and returns when it is gone; None: it goes with the stack.

    """

    kind: str
    name: str
    holds: str = ""
    monthly: float = 0.0
    delete: Callable[[], object] | None = None


class Cleaner:
    """Finds what is ours in one region of one account; without a region, in the AWS CLI's."""

    def __init__(self, stack: str, endpoint: str | None, region: str | None = None) -> None:
        retries = Config(retries={"mode": "standard", "max_attempts": 8})
        self.client: Any = cache(partial(boto3.client, config=retries, region_name=region))
        self.region = region or boto3.Session().region_name
        if self.region is None:
            raise NoRegionError
        self.account = self.client("sts").get_caller_identity()["Account"]
        self.stack_name, self.endpoint = stack, endpoint
        self.problems: dict[str, None] = {}  # each once, in order
        self.not_offered: dict[str, None] = {}

    @cached_property
    def names(self) -> Names:
        """With the endpoint's name as given, or as the stack has it."""
        endpoint = self.endpoint or DEFAULT_ENDPOINT
        if self.endpoint is None:
            with self.noting("CloudFormation"):
                for parameter in (self.stack or {}).get("Parameters", []):
                    if parameter["ParameterKey"] == "EndpointName":
                        endpoint = parameter["ParameterValue"]
        return Names(self.stack_name, endpoint, self.account, self.region)

    @contextmanager
    def noting(self, service: str) -> Iterator[None]:
        """Note what is wrong with a service, and go on."""
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            # A local cloud has no AWS error code for a service that it does not offer.
            if isinstance(error, ClientError) and error.response["Error"]["Code"].isdigit():
                self.not_offered[service] = None
            else:
                self.problems[one_line(error)] = None

    def find(self) -> list[Found]:
        """What is there now, in the order in which it has to be deleted."""
        self.problems.clear()
        vars(self).pop("stack", None)
        vars(self).pop("resources", None)
        found: list[Found] = []
        for service, finder in (
            ("Application Auto Scaling", self.find_scaling),
            ("SageMaker", self.find_endpoint),
            ("SageMaker", self.find_jobs),
            ("SageMaker", self.find_configurations_and_models),
            ("SageMaker", self.find_model_packages),
            ("ECR", self.find_repository),
            ("CloudWatch", self.find_alarms),
            ("S3", self.find_buckets),
            ("CloudFormation", self.find_stack),
            ("DynamoDB", self.find_tables),
            ("CloudWatch Logs", self.find_log_groups),
            ("S3", self.find_sam_artifacts),
            ("Resource Groups Tagging", self.find_tagged),
        ):
            show(f"looking into {service}")
            with self.noting(service):
                found += finder()
        show("")
        return found

    def pages(self, service: str, operation: str, key: str, **arguments: Any) -> Iterator[Any]:
        """The items of all pages of a list."""
        for page in self.client(service).get_paginator(operation).paginate(**arguments):
            yield from page.get(key, [])

    def is_ours(self, tags: Iterable[dict[str, str]]) -> bool:
        """Whether tags say that the training, or a stack of this name and region, made it."""
        values = {tag["Key"]: tag["Value"] for tag in tags}
        stack = f":cloudformation:{self.region}:{self.account}:stack/{self.stack_name}/"
        return self.names.tags.items() <= values.items() or stack in values.get(STACK_ID_TAG, "")

    # ── SageMaker ──

    def sagemaker(self, kind: str, operation: str, key: str) -> Iterator[tuple[str, str]]:
        """Name and status of what begins with our prefix and carries our tags."""
        prefix = self.names.prefix
        for item in self.pages("sagemaker", operation, key, NameContains=prefix):
            name, arn = item[f"{kind}Name"], item[f"{kind}Arn"]
            tags = self.pages("sagemaker", "list_tags", "Tags", ResourceArn=arn)
            if name.startswith(prefix) and self.is_ours(tags):
                yield name, item.get(f"{kind}Status", "")

    def find_scaling(self) -> Iterator[Found]:
        """What deleting the endpoint would leave, with alarms of its own."""
        client = self.client("application-autoscaling")
        target = scalable_target(self.names.endpoint)
        listed = client.describe_scalable_targets(
            ServiceNamespace=target["ServiceNamespace"], ResourceIds=[target["ResourceId"]]
        )["ScalableTargets"]
        for item in listed:
            holds = f"{item['MinCapacity']} to {item['MaxCapacity']} instances"
            delete = partial(client.deregister_scalable_target, **target)
            yield Found("autoscaling target", target["ResourceId"], holds, 0.0, delete)

    def find_endpoint(self) -> Iterator[Found]:
        name = self.names.endpoint
        for item in self.pages("sagemaker", "list_endpoints", "Endpoints", NameContains=name):
            if item["EndpointName"] == name:
                runs_on, monthly = self.endpoint_cost()
                holds = f"{item['EndpointStatus']}, {runs_on}"
                yield Found("endpoint", name, holds, monthly, self.delete_endpoint)

    def endpoint_cost(self) -> tuple[str, float]:
        """What the endpoint runs on, and its dollars a month."""
        client = self.client("sagemaker")
        endpoint = client.describe_endpoint(EndpointName=self.names.endpoint)
        running = {item["VariantName"]: item for item in endpoint.get("ProductionVariants", [])}
        with tolerating("ValidationException"):  # the configuration is gone already
            configuration = client.describe_endpoint_config(
                EndpointConfigName=endpoint["EndpointConfigName"]
            )
            costs = [
                variant_cost(variant, running.get(variant["VariantName"], {}))
                for variant in configuration["ProductionVariants"]
            ]
            return ", ".join(runs_on for runs_on, _ in costs), sum(cost for _, cost in costs)
        return "without its configuration", math.nan

    def delete_endpoint(self) -> None:
        """Wait until AWS lets it be deleted, and delete it."""
        client, name = self.client("sagemaker"), self.names.endpoint
        status = client.describe_endpoint(EndpointName=name)["EndpointStatus"]
        if status in ("Creating", "Updating", "SystemUpdating", "RollingBack"):
            print(f"  it is {status}: waiting until that ends, an hour at most", flush=True)
            with suppress(WaiterError):  # it failed, which will do, or AWS refuses below
                wait = client.get_waiter("endpoint_in_service").wait
                wait(
                    EndpointName=name,
                    WaiterConfig={"Delay": 5, "MaxAttempts": SETTLE_SECONDS // 5},
                )
        if status != "Deleting":
            client.delete_endpoint(EndpointName=name)
        wait = client.get_waiter("endpoint_deleted").wait
        wait(EndpointName=name, WaiterConfig={"Delay": 5, "MaxAttempts": 240})

    def find_jobs(self) -> Iterator[Found]:
        """All of training and retraining; one that runs costs by the second, not by the month."""
        for kind, operation, group in (
            ("Training", "list_training_jobs", TRAINING_LOG_GROUP),
            ("Processing", "list_processing_jobs", PROCESSING_LOG_GROUP),
        ):
            key = f"{kind}JobSummaries"
            for name, status in self.sagemaker(f"{kind}Job", operation, key):
                monthly = math.nan if status in ("InProgress", "Stopping") else 0.0
                delete = partial(self.delete_job, kind.lower(), name, status, group)
                yield Found(f"{kind.lower()} job", name, status, monthly, delete)

    def delete_job(self, kind: str, name: str, status: str, group: str) -> None:
        """Stop it if it runs; delete it with its log streams."""
        client, logs = self.client("sagemaker"), self.client("logs")
        called = {f"{kind.title()}JobName": name}
        if status == "InProgress":
            getattr(client, f"stop_{kind}_job")(**called)
        wait = client.get_waiter(f"{kind}_job_completed_or_stopped").wait
        wait(**called, WaiterConfig={"Delay": 10, "MaxAttempts": 180})
        streams = {"logGroupName": group, "logStreamNamePrefix": f"{name}/"}
        with tolerating("ResourceNotFoundException"):
            for stream in self.pages("logs", "describe_log_streams", "logStreams", **streams):
                logs.delete_log_stream(logGroupName=group, logStreamName=stream["logStreamName"])
        getattr(client, f"delete_{kind}_job")(**called)

    def find_configurations_and_models(self) -> Iterator[Found]:
        client = self.client("sagemaker")
        for name, _ in self.sagemaker("EndpointConfig", "list_endpoint_configs", "EndpointConfigs"):
            delete = partial(client.delete_endpoint_config, EndpointConfigName=name)
            yield Found("endpoint configuration", name, delete=delete)
        for name, _ in self.sagemaker("Model", "list_models", "Models"):
            yield Found("model", name, delete=partial(client.delete_model, ModelName=name))

    def find_model_packages(self) -> Iterator[Found]:
        name, operation = self.names.endpoint, "list_model_package_groups"
        key = "ModelPackageGroupSummaryList"
        for group in self.pages("sagemaker", operation, key, NameContains=name):
            if group["ModelPackageGroupName"] == name:
                of_group = partial(self.pages, ModelPackageGroupName=name)
                packages = of_group("sagemaker", "list_model_packages", "ModelPackageSummaryList")
                arns = [package["ModelPackageArn"] for package in packages]
                delete = partial(self.delete_model_packages, arns)
                yield Found("model package group", name, count(len(arns), "version"), 0.0, delete)

    def delete_model_packages(self, arns: list[str]) -> None:
        client = self.client("sagemaker")
        for arn in arns:
            client.delete_model_package(ModelPackageName=arn)
        client.delete_model_package_group(ModelPackageGroupName=self.names.endpoint)

    # ── Images and alarms ──

    def find_repository(self) -> Iterator[Found]:
        client, name = self.client("ecr"), self.names.endpoint
        for item in self.pages("ecr", "describe_repositories", "repositories"):
            if item["repositoryName"] == name:
                images = self.pages("ecr", "describe_images", "imageDetails", repositoryName=name)
                sizes = [image.get("imageSizeInBytes", 0) for image in images]
                holds = f"{count(len(sizes), 'image')}, {mib(sum(sizes))}"
                delete = partial(client.delete_repository, repositoryName=name, force=True)
                yield Found("ECR repository", name, holds, cost(sum(sizes), ECR_GIB), delete)

    def find_alarms(self) -> Iterator[Found]:
        """Those of the endpoint, and any that a stack has left; the stack's own go with it."""
        client, in_stack = self.client("cloudwatch"), self.in_stack("AWS::CloudWatch::Alarm")
        for prefix in (self.names.prefix, f"{self.stack_name}-"):
            of_prefix = partial(self.pages, AlarmNamePrefix=prefix)
            for alarm in of_prefix("cloudwatch", "describe_alarms", "MetricAlarms"):
                name, arn = alarm["AlarmName"], alarm["AlarmArn"]
                tags = partial(client.list_tags_for_resource, ResourceARN=arn)
                if name not in in_stack and self.is_ours(tags()["Tags"]):
                    delete = partial(client.delete_alarms, AlarmNames=[name])
                    yield Found("alarm", name, "", ALARM, delete)

    # ── Buckets: every version, every delete marker, every unfinished upload ──

    def find_buckets(self) -> Iterator[Found]:
        """That of the training, the stack's, and any that an update of the stack has left."""
        in_stack = self.in_stack("AWS::S3::Bucket")
        exact = {*in_stack, self.names.training_bucket}
        everything = [bucket["Name"] for bucket in self.pages("s3", "list_buckets", "Buckets")]
        for name in sorted(everything, key=lambda name: name not in exact):
            if name in exact or (name.startswith(f"{self.stack_name}-") and self.is_tagged(name)):
                holds, monthly = self.contents(name)
                delete = partial(self.empty, name, remove=name not in in_stack)
                yield Found("S3 bucket", name, holds, monthly, delete)

    def is_tagged(self, bucket: str) -> bool:
        with tolerating("NoSuchTagSet", "NoSuchBucket"):
            return self.is_ours(self.client("s3").get_bucket_tagging(Bucket=bucket)["TagSet"])
        return False

    def versions(self, bucket: str, prefix: str = "") -> Iterator[dict[str, Any]]:
        """All versions and delete markers."""
        paginator = self.client("s3").get_paginator("list_object_versions")
        for page in paginator.paginate(Bucket=bucket, Prefix=prefix):
            yield from page.get("Versions", [])
            yield from page.get("DeleteMarkers", [])

    def uploads(self, bucket: str, prefix: str = "") -> Iterator[dict[str, str]]:
        """All unfinished multipart uploads."""
        where = {"Bucket": bucket, "Prefix": prefix}
        for upload in self.pages("s3", "list_multipart_uploads", "Uploads", **where):
            yield {"Bucket": bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}

    def contents(self, bucket: str, prefix: str = "") -> tuple[str, float]:
        """What is in a bucket, and its dollars a month."""
        number = stored = uploads = 0
        for version in self.versions(bucket, prefix):
            number, stored = number + 1, stored + version.get("Size", 0)
            if number % 1000 == 0:
                show(f"looking into {bucket}: {number:,} object versions")
        for upload in self.uploads(bucket, prefix):
            parts = self.pages("s3", "list_parts", "Parts", **upload)
            uploads, stored = uploads + 1, stored + sum(part["Size"] for part in parts)
        holds = f"{count(number, 'object version')}, {mib(stored)}"
        holds += f", {count(uploads, 'unfinished upload')}" if uploads else ""
        return holds, cost(stored, S3_GIB)

    def empty(self, bucket: str, prefix: str = "", *, remove: bool = False) -> None:
        """Delete what is in a bucket, and the bucket too if `remove`.

        Raises:
            UserError: S3 kept some of it.

        """
        client, number = self.client("s3"), 0
        for upload in self.uploads(bucket, prefix):
            client.abort_multipart_upload(**upload)
        while batch := list(islice(self.versions(bucket, prefix), 1000)):
            objects = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in batch]
            answer = client.delete_objects(
                Bucket=bucket, Delete={"Objects": objects, "Quiet": True}
            )
            if kept := answer.get("Errors"):
                first = f"{kept[0]['Key']} ({kept[0]['Code']}: {kept[0].get('Message', '')})"
                raise UserError(f"S3 kept {count(len(kept), 'object version')}, first {first}")
            number += len(objects)
            show(f"deleting in {bucket}: {number:,} object versions")
        if remove:
            client.delete_bucket(Bucket=bucket)

    def find_sam_artifacts(self) -> Iterator[Found]:
        """What `sam deploy` uploaded for our stack into the bucket that SAM manages."""
        stack, prefix = self.describe_stack(SAM_STACK) or {}, f"{self.stack_name}/"
        for output in stack.get("Outputs", []):
            bucket = output["OutputValue"]
            if output["OutputKey"] == "SourceBucket" and any(self.versions(bucket, prefix)):
                holds, monthly = self.contents(bucket, prefix)
                delete = partial(self.empty, bucket, prefix)
                yield Found("SAM artifacts", f"{bucket}/{prefix}", holds, monthly, delete)

    # ── The stack, and what a stack may leave ──

    @cached_property
    def stack(self) -> dict[str, Any] | None:
        return self.describe_stack(self.stack_name)

    @cached_property
    def resources(self) -> list[dict[str, Any]]:
        """What the stack holds now."""
        gone = ("DELETE_COMPLETE", "DELETE_SKIPPED")
        found = self.stack_resources(self.stack["StackId"]) if self.stack else []
        return [item for item in found if item["ResourceStatus"] not in gone]

    def describe_stack(self, name: str) -> dict[str, Any] | None:
        try:
            answer = self.client("cloudformation").describe_stacks(StackName=name)
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return dict(answer["Stacks"][0])

    def stack_resources(self, stack_id: str) -> Iterable[dict[str, Any]]:
        """What a stack holds or held; CloudFormation remembers a deleted one for 90 days."""
        key = "StackResourceSummaries"
        return self.pages("cloudformation", "list_stack_resources", key, StackName=stack_id)

    def in_stack(self, kind: str) -> set[str]:
        """Names of what the stack holds of a CloudFormation resource type."""
        found = (item for item in self.resources if item["ResourceType"] == kind)
        return {item["PhysicalResourceId"] for item in found if item.get("PhysicalResourceId")}

    def find_stack(self) -> Iterator[Found]:
        if self.stack:
            alarms = len(self.in_stack("AWS::CloudWatch::Alarm"))
            holds = f"{self.stack['StackStatus']}, {count(len(self.resources), 'resource')}"
            holds += f" ({count(alarms, 'alarm')})" if alarms else ""
            delete = partial(self.delete_stack, self.stack["StackId"])
            yield Found("stack", self.stack_name, holds, alarms * ALARM, delete)

    def delete_stack(self, stack_id: str) -> None:
        """Delete the stack, if its buckets are empty: AWS would get stuck half-way.

        Raises:
            UserError: a bucket is not empty, or AWS kept something.

        """
        for bucket in self.in_stack("AWS::S3::Bucket"):
            with tolerating("NoSuchBucket"):
                if any(self.versions(bucket)):
                    raise UserError(f"left as it is, because {bucket} is not empty")
        client = self.client("cloudformation")
        client.delete_stack(StackName=stack_id)
        try:
            wait = client.get_waiter("stack_delete_complete").wait
            wait(StackName=stack_id, WaiterConfig={"Delay": 5, "MaxAttempts": 360})
        except WaiterError as error:
            kept = [
                f"{item['LogicalResourceId']} ({item.get('ResourceStatusReason', '')})"
                for item in self.stack_resources(stack_id)
                if item["ResourceStatus"] == "DELETE_FAILED"
            ]
            raise UserError(f"AWS kept {', '.join(kept) or error}") from error

    def find_tables(self) -> Iterator[Found]:
        """The stack's, and any that an update of the stack has left."""
        client, in_stack = self.client("dynamodb"), self.in_stack("AWS::DynamoDB::Table")
        for name in self.pages("dynamodb", "list_tables", "TableNames"):
            if name in in_stack or name.startswith(f"{self.stack_name}-"):
                table = client.describe_table(TableName=name)["Table"]
                arn, stored = table["TableArn"], table["TableSizeBytes"]
                tags = self.pages("dynamodb", "list_tags_of_resource", "Tags", ResourceArn=arn)
                if name in in_stack or self.is_ours(tags):
                    holds = f"{count(table['ItemCount'], 'record')}, {mib(stored)}"
                    delete = None if name in in_stack else partial(self.delete_table, name)
                    yield Found("DynamoDB table", name, holds, cost(stored, TABLE_GIB), delete)

    def delete_table(self, name: str) -> None:
        client = self.client("dynamodb")
        client.delete_table(TableName=name)
        wait = client.get_waiter("table_not_exists").wait
        wait(TableName=name, WaiterConfig={"Delay": 5, "MaxAttempts": 120})

    def find_log_groups(self) -> Iterator[Found]:
        client, in_stack = self.client("logs"), self.in_stack("AWS::Logs::LogGroup")
        for name in sorted({*self.names.log_groups, *in_stack}):
            of_prefix = partial(self.pages, logGroupNamePrefix=name)
            for group in of_prefix("logs", "describe_log_groups", "logGroups"):
                if group["logGroupName"] == name:
                    stored = group.get("storedBytes", 0)
                    by_itself = partial(client.delete_log_group, logGroupName=name)
                    delete = None if name in in_stack else by_itself
                    yield Found("log group", name, mib(stored), cost(stored, LOGS_GIB), delete)

    def find_tagged(self) -> Iterator[Found]:
        """What only its tags tell of: nothing, unless the stack or the training has grown."""
        of_stack = {} if self.stack else {STACK_NAME_TAG: self.stack_name}
        service, key = "resourcegroupstaggingapi", "ResourceTagMappingList"
        for tags in filter(None, (self.names.tags, of_stack)):
            filters = [{"Key": key, "Values": [value]} for key, value in tags.items()]
            for item in self.pages(service, "get_resources", key, TagFilters=filters):
                _, _, owner, _, _, resource = item["ResourceARN"].split(":", 5)
                asked = f"{owner}:{resource}".startswith(ASKED + ASKED_SAGEMAKER)
                if not asked and not self.was_deleted(item):
                    yield Found("delete by hand", item["ResourceARN"], "", math.nan)

    def was_deleted(self, item: dict[str, Any]) -> bool:
        """Whether a stack that is gone has deleted what the tag index still names."""
        tags = {tag["Key"]: tag["Value"] for tag in item["Tags"]}
        return STACK_ID_TAG in tags and any(
            resource["LogicalResourceId"] == tags.get("aws:cloudformation:logical-id")
            and resource["ResourceStatus"] == "DELETE_COMPLETE"
            for resource in self.stack_resources(tags[STACK_ID_TAG])
        )


@contextmanager
def tolerating(*codes: str) -> Iterator[None]:
    """Go on after an AWS error of one of these codes."""
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] not in codes:
            raise


def variant_cost(variant: dict[str, Any], running: dict[str, Any]) -> tuple[str, float]:
    """What a variant of an endpoint runs on, and its dollars a month."""
    if instance := variant.get("InstanceType"):
        number = running.get("CurrentInstanceCount", variant["InitialInstanceCount"])
        return f"{number} x {instance}", number * HOURS * INSTANCE_HOUR.get(instance, math.nan)
    warm = variant.get("ServerlessConfig", {}).get("ProvisionedConcurrency", 0)
    return (f"serverless, {warm} kept warm", math.nan) if warm else ("serverless", 0.0)


def cost(stored: int, price: float) -> float:
    """Dollars a month of stored bytes, at a price a GiB."""
    return stored / 2**30 * price


def mib(stored: int) -> str:
    return f"{stored / 2**20:,.1f} MiB"


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def show(progress: str) -> None:
    """Show what is going on, in a line that the next one replaces."""
    if sys.stderr.isatty():
        print(f"\r\033[K{progress}", end="", file=sys.stderr, flush=True)


def report(cleaner: Cleaner, found: list[Found]) -> None:
    """Print what was found, with its cost, and what could not be looked into."""
    known = sum(item.monthly for item in found if not math.isnan(item.monthly))
    at_least = "at least" if any(math.isnan(item.monthly) for item in found) else ""
    rows = [("what", "name", "holds", "$ a month")]
    for item in found:
        price = "?" if math.isnan(item.monthly) else f"{item.monthly:,.2f}"
        rows.append((item.kind, item.name, item.holds, price))
    rows.append(("total", "", at_least, f"{known:,.2f}"))
    if found:
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for *words, price in rows:
            line = [word.ljust(width) for word, width in zip(words, widths, strict=False)]
            print("  ".join([*line, price.rjust(widths[-1])]))
        print("List prices of us-east-1; free tiers, requests and running jobs are not counted.")
    else:
        print("Nothing is there.")
    for service in cleaner.not_offered:
        print(f"{service} is not offered here: nothing to look into.")
    for problem in cleaner.problems:
        print(f"could not look: {problem}", file=sys.stderr)


def clean(cleaner: Cleaner, *, dry_run: bool, yes: bool) -> bool:
    """List, ask, delete, look again; whether nothing is left that needs a person.

    Raises:
        UserError: nobody said that all may be deleted.

    """
    print(f"Account {cleaner.account}, {cleaner.region}:", end=" ")
    print(f"stack {cleaner.stack_name}, endpoint {cleaner.names.endpoint}\n", flush=True)
    found = cleaner.find()
    report(cleaner, found)
    if dry_run or not found:
        return not cleaner.problems
    if not yes and input_or_nothing("\nDelete all of it, for good? [y/N] ") not in ("y", "yes"):
        raise UserError("nothing was deleted (--yes deletes without asking)")
    print()
    endpoint_is_kept = False
    for item in found:
        served = item.kind in SERVES or item.name == cleaner.names.training_bucket
        if served and endpoint_is_kept:
            print(f"left for the endpoint: {item.kind} {item.name}", file=sys.stderr)
        elif item.delete:
            print(f"deleting {item.kind} {item.name}", flush=True)
            try:
                item.delete()
            except (ClientError, BotoCoreError, UserError) as error:
                endpoint_is_kept |= item.kind == "endpoint"
                show("")
                print(f"not deleted: {item.kind} {item.name}: {one_line(error)}", file=sys.stderr)
    print("\nLooked again, by name and by tag:")
    left = cleaner.find()
    report(cleaner, left)
    done = not left and not cleaner.problems
    if not done:  # with the stack gone, the endpoint's name is not known any more
        again = f"--stack-name {cleaner.stack_name} --endpoint-name {cleaner.names.endpoint}"
        again += f" --region {cleaner.region}"
        print(f"To go on: python -m operations.delete {again}", file=sys.stderr)
    return done


def input_or_nothing(question: str) -> str:
    try:
        return input(question).strip().lower()
    except EOFError:
        return ""


def main() -> int:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stack-name", default=DEFAULT_STACK, help="default: %(default)s")
    default = f"default: the stack's; without a stack, {DEFAULT_ENDPOINT}"
    parser.add_argument("--endpoint-name", help=default)
    parser.add_argument("--region", help="default: that of the AWS CLI")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--dry-run", action="store_true", help="list, delete nothing")
    how.add_argument("--yes", action="store_true", help="delete without asking")
    arguments = parser.parse_args()
    try:
        cleaner = Cleaner(arguments.stack_name, arguments.endpoint_name, arguments.region)
        return 0 if clean(cleaner, dry_run=arguments.dry_run, yes=arguments.yes) else 1
    except KeyboardInterrupt:
        reason = "interrupted; run it again to go on"
    except UserError as error:
        reason = one_line(error)
    except (ClientError, BotoCoreError) as error:  # the first call: who am I, and where
        reason = explain(error)
    show("")
    print(f"delete: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
