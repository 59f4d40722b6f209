"""One region of one account: clients, the stack, and what belongs to it."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, NoRegionError

from operations.errors import UserError, code_of
from operations.stack import DEFAULT_ENDPOINT, DEFAULT_STACK, Names, Stack, find_stack

STACK_NAME_TAG, STACK_ID_TAG = "aws:cloudformation:stack-name", "aws:cloudformation:stack-id"


@dataclass(frozen=True)
class Found:
    """A resource of the stack or its training.

    Attributes:
        kind: what it is.
        name: its name, or its ARN if it has no name.
        holds: what is in it.
        monthly: US dollars a month at rest; NaN if it is not known.
        delete: deletes it, and returns when it is gone; None: deleting the stack deletes it.
        needs: IAM actions that `delete` calls, and the ARN that they are called on.

    """

    kind: str
    name: str
    holds: str = ""
    monthly: float = 0.0
    delete: Callable[[], object] | None = None
    needs: tuple[tuple[str, str], ...] = ()


class Account:
    """One region of one account, and one stack in it.

    The default region is that of the AWS CLI; the default endpoint is the stack's parameter.
    `progress` shows one line about the current work.
    """

    def __init__(
        self,
        stack: str,
        endpoint: str | None = None,
        region: str | None = None,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        retries = Config(retries={"mode": "standard", "max_attempts": 8})
        self.client: Any = cache(partial(boto3.client, config=retries, region_name=region))
        self.region = region or boto3.Session().region_name
        if self.region is None:
            raise NoRegionError
        identity = self.client("sts").get_caller_identity()
        self.id, self.caller = identity["Account"], identity["Arn"]
        self.partition = self.caller.split(":")[1]
        self.stack_name, self.endpoint_name = stack, endpoint
        self.progress = progress

    def look_again(self) -> None:
        """Drop the cached description of the stack."""
        vars(self).pop("stack", None)
        vars(self).pop("resources", None)

    @cached_property
    def stack(self) -> Stack | None:
        return find_stack(self.client("cloudformation"), self.stack_name)

    @cached_property
    def resources(self) -> list[dict[str, Any]]:
        """The resources that the stack has now."""
        gone = ("DELETE_COMPLETE", "DELETE_SKIPPED")
        found = self.stack_resources(self.stack.id) if self.stack else []
        return [item for item in found if item["ResourceStatus"] not in gone]

    @cached_property
    def names(self) -> Names:
        """Names that depend on the endpoint: as given, or else as in the stack.

        Raises:
            UserError: the endpoint is not known. That of the default stack may be in use.

        """
        endpoint = self.endpoint_name
        if endpoint is None:
            parameters: dict[str, str] = {}
            try:
                if self.stack:
                    parameters = self.stack.parameters
                elif self.stack_name != DEFAULT_STACK:
                    raise UserError(
                        f"stack {self.stack_name} cannot be found: name its endpoint with "
                        "--endpoint-name to delete what is left of both"
                    )
            except ClientError:  # find_the_stack reports it
                pass
            endpoint = parameters.get("EndpointName", DEFAULT_ENDPOINT)
        return Names(self.stack_name, endpoint, self.id, self.region)

    def stack_resources(self, stack_id: str) -> Iterable[dict[str, Any]]:
        """The resources of a stack, or of one that was deleted in the last 90 days."""
        key = "StackResourceSummaries"
        return self.pages("cloudformation", "list_stack_resources", key, StackName=stack_id)

    def in_stack(self, kind: str) -> set[str]:
        """Names of the stack's resources of a CloudFormation type."""
        found = (item for item in self.resources if item["ResourceType"] == kind)
        return {item["PhysicalResourceId"] for item in found if item.get("PhysicalResourceId")}

    def pages(self, service: str, operation: str, key: str, **arguments: Any) -> Iterator[Any]:
        """The items of all pages of a list."""
        for page in self.client(service).get_paginator(operation).paginate(**arguments):
            yield from page.get(key, [])

    def is_ours(self, tags: Iterable[dict[str, str]]) -> bool:
        """Whether the tags are those of the training, or of a stack of this name and region."""
        values = {tag["Key"]: tag["Value"] for tag in tags}
        stack = f":cloudformation:{self.region}:{self.id}:stack/{self.stack_name}/"
        return self.names.tags.items() <= values.items() or stack in values.get(STACK_ID_TAG, "")


@contextmanager
def tolerating(*codes: str) -> Iterator[None]:
    """Ignore an AWS error of one of these codes."""
    try:
        yield
    except ClientError as error:
        if code_of(error) not in codes:
            raise


def cost(stored: int, price: float) -> float:
    """Dollars a month for stored bytes, at a price for each GiB."""
    return stored / 2**30 * price


def mib(stored: int) -> str:
    """Bytes as text, in MiB."""
    return f"{stored / 2**20:,.1f} MiB"


def count(number: int, noun: str) -> str:
    """A number with a noun, in the plural if it is not 1."""
    plural = re.sub("y$", "ie", noun) + "s"
    return f"{number:,} {noun if number == 1 else plural}"
