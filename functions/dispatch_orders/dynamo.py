"""The DynamoDB client, its types, and the errors of conditions."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import (
        AttributeValueTypeDef,
        TransactWriteItemTypeDef,
        UniversalAttributeValueTypeDef,
    )

logger = Logger(child=True)
dynamodb = boto3.client("dynamodb")
serialize = TypeSerializer().serialize
deserialize = TypeDeserializer().deserialize


def item(**attributes: Any) -> "dict[str, UniversalAttributeValueTypeDef]":
    """Convert Python values to DynamoDB's types."""
    return {name: serialize(exact(value)) for name, value in attributes.items()}


def exact(value: Any) -> Any:
    """Convert a float to the decimal number that Python prints for it."""
    return Decimal(repr(value)) if isinstance(value, float) else value


def plain(record: "Mapping[str, AttributeValueTypeDef]") -> dict[str, Any]:
    """Convert DynamoDB's types to Python values."""
    return {name: deserialize(value) for name, value in record.items()}


def text(time: datetime) -> str:
    """Write a time so that texts sort by time: `2026-11-20T12:00:00.000000Z`."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def condition_failed(error: ClientError) -> bool:
    """Return whether a write failed only because its condition was not true."""
    return error.response["Error"]["Code"] == "ConditionalCheckFailedException"


def write_all_or_none(writes: "Sequence[TransactWriteItemTypeDef]") -> bool:
    """Write all, or nothing if a condition is not true; return whether it was written."""
    try:
        dynamodb.transact_write_items(TransactItems=writes)
    except dynamodb.exceptions.TransactionCanceledException as error:
        reasons = [reason.get("Code") for reason in error.response["CancellationReasons"]]
        if not {"ConditionalCheckFailed", "TransactionConflict"} & set(reasons):
            raise
        logger.info("A record has changed since it was read", extra={"cancellations": reasons})
        return False
    return True
