"""Serialize a photo in S3: a small upright JPEG that the workflow's state can carry."""

import base64
import os
from contextlib import closing
from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict

import boto3
from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config
from botocore.exceptions import ClientError

from functions.serialize_image.photo import UnreadablePhotoError, shrink

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import GetObjectRequestTypeDef

# What the sender chose or did: nothing that an operator could fix, so no error.
REASONS = {
    "NoSuchKey": "the photo was removed before it could be read, please send it again",
    "NoSuchVersion": "the photo was removed before it could be read, please send it again",
    "PreconditionFailed": "a newer photo with the same name replaced this one before it was read",
    "InvalidObjectState": (
        "the photo is in an archive storage class, please send it again in the class STANDARD"
    ),
    # The request has nothing else that S3 could call invalid.
    "InvalidRequest": (
        "the photo is encrypted with a key of the sender (SSE-C), please send it without"
    ),
}

logger = Logger(use_rfc3339=True)
tracer = Tracer(patch_modules=["botocore"])
s3 = boto3.client(
    "s3", config=Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 3})
)


class UploadedPhoto(TypedDict):
    """Where the photo is.

    If there is no `version_id`, the newest version is read, if it still has the `etag`.
    """

    s3_bucket: str
    s3_key: str
    version_id: NotRequired[str]
    etag: NotRequired[str]


class SerializedPhoto(TypedDict):
    """`image_data`: a JPEG in base64, longest side at most 256 pixels."""

    image_data: str


class RejectedPhoto(TypedDict):
    """`reason`: why the photo cannot be read, in words for a courier."""

    status: Literal["rejected"]
    reason: str


@tracer.capture_lambda_handler(capture_response=False)  # X-Ray's documents are small
@logger.inject_lambda_context
def handler(event: UploadedPhoto, context: LambdaContext) -> SerializedPhoto | RejectedPhoto:
    """Read the photo from S3 and shrink it; an unreadable photo is a result, not an error."""
    try:
        jpeg = shrink(read_photo(event, max_bytes=int(os.environ["MAX_PHOTO_BYTES"])))
    except UnreadablePhotoError as error:
        details = {"s3_key": event["s3_key"], "reason": str(error), "cause": repr(error.__cause__)}
        logger.info("Photo rejected", extra=details)
        return {"status": "rejected", "reason": str(error)}
    return {"image_data": base64.b64encode(jpeg).decode()}


def read_photo(upload: UploadedPhoto, max_bytes: int) -> bytes:
    """The bytes of the photo in S3.

    Raises UnreadablePhotoError if the sender removed or replaced it, stored it so that it cannot be
    read, or if it is larger than `max_bytes`. Raises ClientError if S3 fails.
    """
    request: GetObjectRequestTypeDef = {"Bucket": upload["s3_bucket"], "Key": upload["s3_key"]}
    if version_id := upload.get("version_id"):
        request["VersionId"] = version_id
    elif etag := upload.get("etag"):
        request["IfMatch"] = f'"{etag}"'
    try:
        photo = s3.get_object(**request)
    except ClientError as error:
        if reason := REASONS.get(error.response["Error"]["Code"]):
            raise UnreadablePhotoError(reason) from error
        raise
    with closing(photo["Body"]) as body:
        if photo["ContentLength"] > max_bytes:
            message = f"the file is larger than {max_bytes / 1e6:g} MB, please send a smaller one"
            raise UnreadablePhotoError(message)
        return body.read()
