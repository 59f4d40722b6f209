"""SageMaker: the endpoint with its scaling, models, jobs and model packages."""

import math
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from botocore.exceptions import WaiterError

from operations.deletion.account import Account, Found, count, tolerating
from operations.errors import UserError
from operations.prices import HOURS, INSTANCE_HOUR
from operations.stack import PROCESSING_LOG_GROUP, TRAINING_LOG_GROUP, scalable_target

UNSETTLED = ("Creating", "Updating", "SystemUpdating", "RollingBack")  # AWS deletes none of these
SETTLE_SECONDS = 3600  # DeployModel gives an update no more


def find_scaling(account: Account) -> Iterator[Found]:
    """What deleting the endpoint would leave, with alarms of its own."""
    client = account.client("application-autoscaling")
    target = scalable_target(account.names.endpoint)
    listed = client.describe_scalable_targets(
        ServiceNamespace=target["ServiceNamespace"], ResourceIds=[target["ResourceId"]]
    )["ScalableTargets"]
    for item in listed:
        holds = f"{item['MinCapacity']} to {item['MaxCapacity']} instances"
        delete = partial(client.deregister_scalable_target, **target)
        yield Found("autoscaling target", target["ResourceId"], holds, 0.0, delete)


def find_endpoint(account: Account) -> Iterator[Found]:
    name = account.names.endpoint
    for item in account.pages("sagemaker", "list_endpoints", "Endpoints", NameContains=name):
        if item["EndpointName"] == name:
            runs_on, monthly = endpoint_cost(account)
            holds = f"{item['EndpointStatus']}, {runs_on}"
            needs = (("sagemaker:DeleteEndpoint", item["EndpointArn"]),)
            yield Found("endpoint", name, holds, monthly, partial(delete_endpoint, account), needs)


def endpoint_cost(account: Account) -> tuple[str, float]:
    """What the endpoint runs on, and its dollars a month."""
    client = account.client("sagemaker")
    endpoint = client.describe_endpoint(EndpointName=account.names.endpoint)
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


def variant_cost(variant: dict[str, Any], running: dict[str, Any]) -> tuple[str, float]:
    """What a variant of an endpoint runs on, and its dollars a month."""
    if instance := variant.get("InstanceType"):
        number = running.get("CurrentInstanceCount", variant["InitialInstanceCount"])
        return f"{number} x {instance}", number * HOURS * INSTANCE_HOUR.get(instance, math.nan)
    warm = variant.get("ServerlessConfig", {}).get("ProvisionedConcurrency", 0)
    return (f"serverless, {warm} kept warm", math.nan) if warm else ("serverless", 0.0)


def settle_endpoint(account: Account) -> None:
    """Wait until the endpoint is in a state in which AWS deletes it.

    Raises:
        UserError: it was not after an hour.

    """
    client, name = account.client("sagemaker"), account.names.endpoint
    status = client.describe_endpoint(EndpointName=name)["EndpointStatus"]
    if status in UNSETTLED:
        print(f"endpoint {name} is {status}: waiting for the end, at most an hour", flush=True)
        with suppress(WaiterError):  # Failed can be deleted as well
            wait = client.get_waiter("endpoint_in_service").wait
            attempts = {"Delay": 5, "MaxAttempts": SETTLE_SECONDS // 5}
            wait(EndpointName=name, WaiterConfig=attempts)
        status = client.describe_endpoint(EndpointName=name)["EndpointStatus"]
    if status in UNSETTLED:
        raise UserError(f"endpoint {name} is still {status}, nothing was deleted: try again later")


def delete_endpoint(account: Account) -> None:
    client, name = account.client("sagemaker"), account.names.endpoint
    if client.describe_endpoint(EndpointName=name)["EndpointStatus"] != "Deleting":
        client.delete_endpoint(EndpointName=name)
    wait = client.get_waiter("endpoint_deleted").wait
    wait(EndpointName=name, WaiterConfig={"Delay": 5, "MaxAttempts": 240})


def tagged(account: Account, kind: str, operation: str, key: str) -> Iterator[tuple[str, str]]:
    """Name and status of what begins with our prefix and carries our tags."""
    prefix = account.names.prefix
    for item in account.pages("sagemaker", operation, key, NameContains=prefix):
        name, arn = item[f"{kind}Name"], item[f"{kind}Arn"]
        tags = account.pages("sagemaker", "list_tags", "Tags", ResourceArn=arn)
        if name.startswith(prefix) and account.is_ours(tags):
            yield name, item.get(f"{kind}Status", "")


def find_jobs(account: Account) -> Iterator[Found]:
    """All of training and retraining; one that runs costs by the second, not by the month."""
    for kind, operation, group in (
        ("Training", "list_training_jobs", TRAINING_LOG_GROUP),
        ("Processing", "list_processing_jobs", PROCESSING_LOG_GROUP),
    ):
        key = f"{kind}JobSummaries"
        for name, status in tagged(account, f"{kind}Job", operation, key):
            monthly = math.nan if status in ("InProgress", "Stopping") else 0.0
            delete = partial(delete_job, account, kind.lower(), name, status, group)
            yield Found(f"{kind.lower()} job", name, status, monthly, delete)


def delete_job(account: Account, kind: str, name: str, status: str, group: str) -> None:
    """Stop it if it runs; delete it with its log streams."""
    client, logs = account.client("sagemaker"), account.client("logs")
    called = {f"{kind.title()}JobName": name}
    if status == "InProgress":
        getattr(client, f"stop_{kind}_job")(**called)
    wait = client.get_waiter(f"{kind}_job_completed_or_stopped").wait
    wait(**called, WaiterConfig={"Delay": 10, "MaxAttempts": 180})
    streams = {"logGroupName": group, "logStreamNamePrefix": f"{name}/"}
    with tolerating("ResourceNotFoundException"):
        for stream in account.pages("logs", "describe_log_streams", "logStreams", **streams):
            logs.delete_log_stream(logGroupName=group, logStreamName=stream["logStreamName"])
    getattr(client, f"delete_{kind}_job")(**called)


def find_configurations_and_models(account: Account) -> Iterator[Found]:
    client = account.client("sagemaker")
    configurations = ("EndpointConfig", "list_endpoint_configs", "EndpointConfigs")
    for name, _ in tagged(account, *configurations):
        delete = partial(client.delete_endpoint_config, EndpointConfigName=name)
        yield Found("endpoint configuration", name, delete=delete)
    for name, _ in tagged(account, "Model", "list_models", "Models"):
        yield Found("model", name, delete=partial(client.delete_model, ModelName=name))


def find_model_packages(account: Account) -> Iterator[Found]:
    name, operation = account.names.endpoint, "list_model_package_groups"
    key = "ModelPackageGroupSummaryList"
    for group in account.pages("sagemaker", operation, key, NameContains=name):
        if group["ModelPackageGroupName"] == name:
            packages = account.pages(
                "sagemaker",
                "list_model_packages",
                "ModelPackageSummaryList",
                ModelPackageGroupName=name,
            )
            arns = [package["ModelPackageArn"] for package in packages]
            delete = partial(delete_model_packages, account, arns)
            yield Found("model package group", name, count(len(arns), "version"), 0.0, delete)


def delete_model_packages(account: Account, arns: list[str]) -> None:
    client = account.client("sagemaker")
    for arn in arns:
        client.delete_model_package(ModelPackageName=arn)
    client.delete_model_package_group(ModelPackageGroupName=account.names.endpoint)
