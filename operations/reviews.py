"""The photos of a stack that wait for a review, and their reviews: for any user interface."""

import functools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.exceptions import ClientError
from PIL import Image

from functions.serialize_image.photo import UnreadablePhotoError, read
from operations.errors import UserError
from operations.stack import EVENT_SOURCE, require_stack

LINK_SECONDS = 300
COUNTED = 1000  # photos that wait are counted up to this


@dataclass(frozen=True)
class Photo:
    """A photo that waits for a review.

    Attributes:
        image_id: key of its record.
        bucket, key, version: the object in S3; without a version the newest is meant.
        reason: of the status, in words.
        recorded_at: when it was classified, ISO 8601, UTC.

    """

    image_id: str
    bucket: str
    key: str
    version: str | None
    reason: str
    recorded_at: str

    @classmethod
    def of(cls, record: dict[str, Any]) -> "Photo":
        """From a record of PredictionsTable, as DynamoDB types it."""
        key, image_id = record["s3_key"]["S"], record["image_id"]["S"]
        version = image_id[len(key) + 1 :]
        is_etag = re.fullmatch(r"[0-9a-f]{32}(-\d+)?", version)
        return cls(
            image_id=image_id,
            bucket=record["s3_bucket"]["S"],
            key=key,
            version=None if is_etag else version,
            reason=record["reason"]["S"],
            recorded_at=record["recorded_at"]["S"],
        )

    @property
    def object(self) -> dict[str, str]:
        """Bucket, key and version as arguments of an S3 call."""
        located = {"Bucket": self.bucket, "Key": self.key}
        return located | ({"VersionId": self.version} if self.version else {})


@dataclass(frozen=True)
class Review:
    """The label that a person gave to a photo, and when: ISO 8601, UTC, in milliseconds."""

    label: str
    by: str
    at: str


class Reviews:
    """The photos of a stack that wait for a review, and their reviews."""

    def __init__(self, stack: str) -> None:
        """Find the stack's table and bus.

        Raises:
            UserError: there is no such stack.

        """
        client: Any = functools.cache(boto3.client)
        self.dynamodb, self.events, self.s3 = client("dynamodb"), client("events"), client("s3")
        found = require_stack(client("cloudformation"), stack)
        self.table = found.output("PredictionsTableName")
        self.bus = found.output("EventBusName")
        self.labels = found.parameter("Labels").split(",")

    def query(self, **arguments: Any) -> Iterator[dict[str, Any]]:
        """Pages of the photos that wait, oldest first."""
        pages: Iterator[dict[str, Any]] = self.dynamodb.get_paginator("query").paginate(
            TableName=self.table,
            IndexName="to_review",
            KeyConditionExpression="review_state = :waiting",
            ExpressionAttributeValues={":waiting": {"S": "waiting"}},
            **arguments,
        )
        return pages

    def count(self) -> int:
        """How many photos wait; counted up to COUNTED."""
        return sum(
            page["Count"]
            for page in self.query(Select="COUNT", PaginationConfig={"MaxItems": COUNTED})
        )

    def waiting(self) -> Iterator[Photo]:
        """The photos that wait, oldest first, except those that others have labelled since."""
        for page in self.query(PaginationConfig={"PageSize": 50}):
            for record in page["Items"]:
                if self.newest_review(record["image_id"]["S"]) is None:
                    yield Photo.of(record)

    def newest_review(self, image_id: str) -> Review | None:
        """The newest review of a photo; None while it waits."""
        record = self.dynamodb.get_item(
            TableName=self.table, Key={"image_id": {"S": image_id}}, ConsistentRead=True
        ).get("Item", {})
        if "reviewed_at" not in record:
            return None
        names = ("reviewed_label", "reviewed_by", "reviewed_at")
        return Review(*(record[name]["S"] for name in names))

    def link(self, photo: Photo) -> str:
        """A link to a photo that works for LINK_SECONDS."""
        url: str = self.s3.generate_presigned_url(
            "get_object", Params=photo.object, ExpiresIn=LINK_SECONDS
        )
        return url

    def image(self, photo: Photo) -> Image.Image:
        """A photo as the model saw it: upright, at most 256 pixels.

        Raises:
            UserError: it is gone, or cannot be read.

        """
        try:
            body = self.s3.get_object(**photo.object)["Body"].read()
            return read(body)
        except ClientError as error:
            # Without s3:ListBucket, S3 denies what does not exist.
            if error.response["Error"]["Code"] not in (
                "NoSuchKey",
                "NoSuchVersion",
                "AccessDenied",
            ):
                raise
            raise UserError("the photo has been deleted, or may not be read") from error
        except UnreadablePhotoError as error:
            raise UserError(str(error)) from error

    def publish(self, photo: Photo, label: str, reviewer: str) -> Review:
        """Put a review on the bus.

        Raises:
            UserError: the bus did not take it.

        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        given = Review(label, reviewer, now)
        detail = {"image_id": photo.image_id, "label": given.label}
        detail |= {"reviewed_by": given.by, "reviewed_at": given.at}
        entry = {"Source": EVENT_SOURCE, "DetailType": "Photo Reviewed"}
        entry |= {"EventBusName": self.bus, "Detail": json.dumps(detail)}
        [result] = self.events.put_events(Entries=[entry])["Entries"]
        if "ErrorCode" in result:
            raise UserError(
                f"the bus refused the review ({result['ErrorCode']}): press the key again"
            )
        return given
