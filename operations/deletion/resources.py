"""The stack, and what a stack may leave: tables, log groups, alarms, image repositories."""

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

from botocore.exceptions import WaiterError

from operations.deletion.account import (
    STACK_ID_TAG,
    STACK_NAME_TAG,
    Account,
    Found,
    cost,
    count,
    mib,
    tolerating,
)
from operations.deletion.buckets import versions
from operations.errors import UserError
from operations.prices import ALARM, ECR_GIB, LOGS_GIB, TABLE_GIB

# Kinds that the services are asked about: the tag index still lists what was just deleted.
ASKED = ("s3:", "dynamodb:", "logs:", "ecr:", "cloudwatch:alarm:")
ASKED_JOBS = ("sagemaker:training-job", "sagemaker:processing-job")
ASKED_SAGEMAKER = ("sagemaker:endpoint", "sagemaker:model", *ASKED_JOBS)


def find_executions(account: Account) -> Iterator[Found]:
    """Running workflows, which would go on making what is being deleted."""
    client = account.client("stepfunctions")
    for machine in sorted(account.in_stack("AWS::StepFunctions::StateMachine")):
        with tolerating("StateMachineTypeNotSupported", "StateMachineDoesNotExist"):  # EXPRESS
            running = account.pages(
                "stepfunctions",
                "list_executions",
                "executions",
                stateMachineArn=machine,
                statusFilter="RUNNING",
            )
            for execution in list(running):
                arn = execution["executionArn"]
                stop = partial(client.stop_execution, executionArn=arn)
                name = arn.partition(":execution:")[2]
                yield Found("running execution", name, "", math.nan, stop)


def find_repositories(account: Account) -> Iterator[Found]:
    """The stack's, which goes with its images, and any other that carries our tags."""
    client, in_stack = account.client("ecr"), account.in_stack("AWS::ECR::Repository")
    for item in account.pages("ecr", "describe_repositories", "repositories"):
        name = item["repositoryName"]
        tags = partial(client.list_tags_for_resource, resourceArn=item["repositoryArn"])
        if name in in_stack or (is_named_like_ours(account, name) and has_our_tags(account, tags)):
            images = account.pages("ecr", "describe_images", "imageDetails", repositoryName=name)
            sizes = [image.get("imageSizeInBytes", 0) for image in images]
            holds = f"{count(len(sizes), 'image')}, {mib(sum(sizes))}"
            by_itself = partial(client.delete_repository, repositoryName=name, force=True)
            delete = None if name in in_stack else by_itself
            yield Found("ECR repository", name, holds, cost(sum(sizes), ECR_GIB), delete)


def is_named_like_ours(account: Account, name: str) -> bool:
    endpoint = account.names.endpoint
    return name == endpoint or name.startswith((f"{endpoint}-", f"{account.stack_name}-"))


def has_our_tags(account: Account, list_tags: Any) -> bool:
    answer = list_tags()
    return account.is_ours(answer.get("Tags") or answer.get("tags") or [])


def find_alarms(account: Account) -> Iterator[Found]:
    """Those of the endpoint, and any that a stack has left; the stack's own go with it."""
    client, in_stack = account.client("cloudwatch"), account.in_stack("AWS::CloudWatch::Alarm")
    for prefix in (account.names.prefix, f"{account.stack_name}-"):
        of_prefix = partial(account.pages, AlarmNamePrefix=prefix)
        for alarm in of_prefix("cloudwatch", "describe_alarms", "MetricAlarms"):
            name, arn = alarm["AlarmName"], alarm["AlarmArn"]
            tags = partial(client.list_tags_for_resource, ResourceARN=arn)
            if name not in in_stack and has_our_tags(account, tags):
                delete = partial(client.delete_alarms, AlarmNames=[name])
                yield Found("alarm", name, "", ALARM, delete)


def find_the_stack(account: Account) -> Iterator[Found]:
    if account.stack:
        alarms = len(account.in_stack("AWS::CloudWatch::Alarm"))
        holds = f"{account.stack.status}, {count(len(account.resources), 'resource')}"
        holds += f" ({count(alarms, 'alarm')})" if alarms else ""
        delete = partial(delete_stack, account, account.stack.id)
        needs = (("cloudformation:DeleteStack", account.stack.id),)
        yield Found("stack", account.stack_name, holds, alarms * ALARM, delete, needs)


def delete_stack(account: Account, stack_id: str) -> None:
    """Delete the stack, if its buckets are empty: AWS would get stuck half-way.

    Raises:
        UserError: a bucket is not empty, or AWS kept something.

    """
    for bucket in account.in_stack("AWS::S3::Bucket"):
        with tolerating("NoSuchBucket"):
            if any(versions(account, bucket)):
                raise UserError(f"left as it is, because {bucket} is not empty")
    client = account.client("cloudformation")
    client.delete_stack(StackName=stack_id)
    try:
        wait = client.get_waiter("stack_delete_complete").wait
        wait(StackName=stack_id, WaiterConfig={"Delay": 5, "MaxAttempts": 360})
    except WaiterError as error:
        kept = [
            f"{item['LogicalResourceId']} ({item.get('ResourceStatusReason', '')})"
            for item in account.stack_resources(stack_id)
            if item["ResourceStatus"] == "DELETE_FAILED"
        ]
        raise UserError(f"AWS kept {', '.join(kept) or error}") from error


def find_tables(account: Account) -> Iterator[Found]:
    """The stack's, and any that an update of the stack has left."""
    client, in_stack = account.client("dynamodb"), account.in_stack("AWS::DynamoDB::Table")
    for name in account.pages("dynamodb", "list_tables", "TableNames"):
        if name in in_stack or name.startswith(f"{account.stack_name}-"):
            table = client.describe_table(TableName=name)["Table"]
            arn, stored = table["TableArn"], table["TableSizeBytes"]
            tags = account.pages("dynamodb", "list_tags_of_resource", "Tags", ResourceArn=arn)
            if name in in_stack or account.is_ours(tags):
                holds = f"{count(table['ItemCount'], 'record')}, {mib(stored)}"
                delete = None if name in in_stack else partial(delete_table, account, name)
                yield Found("DynamoDB table", name, holds, cost(stored, TABLE_GIB), delete)


def delete_table(account: Account, name: str) -> None:
    client = account.client("dynamodb")
    client.delete_table(TableName=name)
    wait = client.get_waiter("table_not_exists").wait
    wait(TableName=name, WaiterConfig={"Delay": 5, "MaxAttempts": 120})


def find_log_groups(account: Account) -> Iterator[Found]:
    client, in_stack = account.client("logs"), account.in_stack("AWS::Logs::LogGroup")
    for name in sorted({*account.names.log_groups, *in_stack}):
        of_prefix = partial(account.pages, logGroupNamePrefix=name)
        for group in of_prefix("logs", "describe_log_groups", "logGroups"):
            if group["logGroupName"] == name:
                stored = group.get("storedBytes", 0)
                by_itself = partial(client.delete_log_group, logGroupName=name)
                delete = None if name in in_stack else by_itself
                yield Found("log group", name, mib(stored), cost(stored, LOGS_GIB), delete)


def find_tagged(account: Account) -> Iterator[Found]:
    """What only its tags tell of: nothing, unless the stack or the training has grown."""
    of_stack = {} if account.stack else {STACK_NAME_TAG: account.stack_name}
    service, key = "resourcegroupstaggingapi", "ResourceTagMappingList"
    for tags in filter(None, (account.names.tags, of_stack)):
        filters = [{"Key": key, "Values": [value]} for key, value in tags.items()]
        for item in account.pages(service, "get_resources", key, TagFilters=filters):
            _, _, owner, _, _, resource = item["ResourceARN"].split(":", 5)
            asked = f"{owner}:{resource}".startswith(ASKED + ASKED_SAGEMAKER)
            if not asked and not was_deleted(account, item):
                yield Found("delete by hand", item["ResourceARN"], "", math.nan)


def was_deleted(account: Account, item: dict[str, Any]) -> bool:
    """Whether a stack that is gone has deleted what the tag index still lists."""
    tags = {tag["Key"]: tag["Value"] for tag in item["Tags"]}
    return STACK_ID_TAG in tags and any(
        resource["LogicalResourceId"] == tags.get("aws:cloudformation:logical-id")
        and resource["ResourceStatus"] == "DELETE_COMPLETE"
        for resource in account.stack_resources(tags[STACK_ID_TAG])
    )
