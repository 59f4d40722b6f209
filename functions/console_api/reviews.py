"""Leases of photos, so that two reviewers never see the same photo at once."""

import os
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, TypedDict

import boto3
from botocore.exceptions import ClientError
from pydantic import Field

from functions.console_api.live import sender_of
from functions.http_api.records import Record, Time, plain, text

LEASE = timedelta(minutes=5)
READ_AT_ONCE = 25  # photos that wait, in one call of DynamoDB
MAX_READ = 500  # photos, for one request

dynamodb = boto3.client("dynamodb")


class LeasedPhoto(TypedDict):
    """A photo that nobody else gets until `leased_until`."""

    image_id: str
    courier_id: str
    recorded_at: Time
    label: Annotated[str, Field(description="Of the model")]
    confidence: float
    inferences: dict[str, float]
    why: Annotated[
        Literal["below_threshold", "audit"],
        Field(description="It is below the confidence threshold, or was chosen at random"),
    ]
    leased_until: Time


class LeasedPhotos(TypedDict):
    """Photos to review; none if none waits."""

    items: list[LeasedPhoto]


def lease(reviewer: str, count: int) -> LeasedPhotos:
    """The oldest photos that wait and that nobody holds; from now on the reviewer holds them."""
    leased: list[LeasedPhoto] = []
    now = datetime.now(UTC)
    pages = dynamodb.get_paginator("query").paginate(
        TableName=os.environ["PREDICTIONS_TABLE_NAME"],
        IndexName="to_review",
        KeyConditionExpression="review_state = :waiting",
        FilterExpression="attribute_not_exists(lease) OR lease.#until <= :now",
        ExpressionAttributeNames={"#until": "until"},
        ExpressionAttributeValues={":waiting": {"S": "waiting"}, ":now": {"S": text(now)}},
        PaginationConfig={"PageSize": READ_AT_ONCE, "MaxItems": MAX_READ},
    )
    for page in pages:
        for item in page["Items"]:
            record = plain(item)
            if take(record["image_id"], reviewer, now):
                leased.append(photo_of(record, now + LEASE))
            if len(leased) == count:
                return {"items": leased}
    return {"items": leased}


def take(image_id: str, reviewer: str, now: datetime) -> bool:
    """Lease a photo, if it still waits and nobody holds it; whether it was."""
    try:
        dynamodb.update_item(
            TableName=os.environ["PREDICTIONS_TABLE_NAME"],
            Key={"image_id": {"S": image_id}},
            UpdateExpression="SET lease = :lease",
            ConditionExpression="review_state = :waiting"
            " AND (attribute_not_exists(lease) OR lease.#until <= :now)",
            ExpressionAttributeNames={"#until": "until"},
            ExpressionAttributeValues={
                ":waiting": {"S": "waiting"},
                ":lease": {"M": {"by": {"S": reviewer}, "until": {"S": text(now + LEASE)}}},
                ":now": {"S": text(now)},
            },
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        return False
    return True


def photo_of(record: Record, until: datetime) -> LeasedPhoto:
    """A leased photo as the console shows it."""
    return {
        "image_id": record["image_id"],
        "courier_id": sender_of(record["image_id"]),
        "recorded_at": record["recorded_at"],
        "label": record["label"],
        "confidence": record["confidence"],
        "inferences": record["inferences"],
        # The workflow leaves a photo to a reviewer for one of two reasons.
        "why": "below_threshold" if record["status"] == "review" else "audit",
        "leased_until": text(until),
    }


def exists(image_id: str) -> bool:
    """Whether there is a record of a photo."""
    return "Item" in dynamodb.get_item(
        TableName=os.environ["PREDICTIONS_TABLE_NAME"],
        Key={"image_id": {"S": image_id}},
        ProjectionExpression="image_id",
    )
