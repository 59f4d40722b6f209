"""The functions as Lambda imports them, with moto as AWS."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.loaders import create_loader
from moto import mock_aws

from tests.support.dispatching import PUT_EVENTS, TABLES, Dispatch, FixedDatetime
from tests.support.functions import load_module
from tests.support.tables import schema

SERVICE_MODELS = create_loader()  # all sessions share it, because it caches what it has read


@dataclass
class LambdaContext:
    """What Powertools reads of Lambda's context."""

    function_name: str = "function"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:eu-west-1:123456789012:function:function"
    aws_request_id: str = "52fdfc07-2182-154f-163f-5f0f9a621d72"


@pytest.fixture
def context() -> LambdaContext:
    return LambdaContext()


@pytest.fixture(scope="session")
def load() -> Callable[[str, str], ModuleType]:
    return load_module


@pytest.fixture
def published() -> list[tuple[str, dict[str, Any]]]:
    """The events that an API publishes: type and detail."""
    return []


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Lambda's environment as the template sets it, without access to a real AWS."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "POWERTOOLS_SERVICE_NAME": "scones-unlimited",
        "POWERTOOLS_METRICS_NAMESPACE": "SconesUnlimited",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setattr(botocore.session, "create_loader", lambda _: SERVICE_MODELS)
    return monkeypatch


@pytest.fixture
def aws(environment: pytest.MonkeyPatch) -> Iterator[None]:
    """Moto's AWS, for the clients that are made after it."""
    with mock_aws():
        yield


@pytest.fixture(scope="module")
def planning(load: Callable[[str, str], ModuleType]) -> Any:
    """The module, with a short search. The constraints hold after a short search as well."""
    module: Any = load("dispatch_orders", "planning")
    module.search.most_iterations = lambda _: 60
    return module


@pytest.fixture(scope="module")
def fleet(load: Callable[[str, str], ModuleType]) -> Any:
    return load("dispatch_orders", "fleet").read_fleet()


@pytest.fixture(scope="module")
def dispatch_app(load: Callable[[str, str], ModuleType]) -> ModuleType:
    """The function, loaded once. Its clients call moto, which each test starts again."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        return load("dispatch_orders", "app")


@pytest.fixture
def dispatch(
    dispatch_app: ModuleType, aws: None, environment: pytest.MonkeyPatch, context: Any
) -> Iterator[Dispatch]:
    dynamodb, sqs, events = boto3.client("dynamodb"), boto3.client("sqs"), boto3.client("events")
    for name in TABLES:
        dynamodb.create_table(TableName=name, **schema(name))
    queue = sqs.create_queue(QueueName="dispatch.fifo", Attributes={"FifoQueue": "true"})
    events.create_event_bus(Name="bus")
    for name, value in {
        "COURIERS_TABLE_NAME": "CouriersTable",
        "ORDERS_TABLE_NAME": "OrdersTable",
        "EVENT_BUS_NAME": "bus",
        "DISPATCH_QUEUE_URL": queue["QueueUrl"],
        "SHIFT_HOURS": "8",
        "ORDER_RETENTION_DAYS": "90",
    }.items():
        environment.setenv(name, value)
    environment.setattr(dispatch_app, "datetime", FixedDatetime)
    own = Dispatch(dispatch_app, context, queue["QueueUrl"])
    yield own
    own.publishing.events.meta.events.unregister(PUT_EVENTS, own.listen)
