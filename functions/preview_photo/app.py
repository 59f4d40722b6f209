"""Show reviewers a photo as an upright JPEG without metadata, and why the model gave its label.

A function of its own: it decodes files of strangers. It may only read them and ask the endpoint.
"""

import base64
import os
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any

import boto3
from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from functions.http_api.http import MANAGERS, REVIEWERS, ProblemError, described, reply, resolver
from functions.preview_photo.explanation import Explanation, explain
from functions.serialize_image import photo
from functions.serialize_image.scaling import SIDE

JPEG = "image/jpeg"
ETAG = re.compile(r"[0-9a-f]{32}(-\d+)?")
GONE = ("NoSuchKey", "NoSuchVersion", "404")

logger = Logger(use_rfc3339=True)
tracer = Tracer(patch_modules=["botocore"])
s3: Any = boto3.client("s3")
app = resolver()


@tracer.capture_lambda_handler
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Answer a reviewer's request."""
    response = reply(app, event, context, REVIEWERS, MANAGERS)
    # Powertools would read bytes as UTF-8: the body is base64 already.
    response["isBase64Encoded"] = response["headers"]["Content-Type"] == JPEG
    return response


@app.get(
    "/api/console/preview",
    summary="A photo as an upright JPEG without metadata",
    description="The default size is what the model sees.",
    responses=described("JPEG", None, 404) | {200: {"description": "JPEG", "content": {JPEG: {}}}},
)
def preview(
    image_id: str,
    size: Annotated[
        int, Query(ge=64, le=1024, description="Most pixels of the longest side")
    ] = SIDE,
) -> Response[str]:
    body = base64.b64encode(read_jpeg(image_id, size)).decode()
    return Response(HTTPStatus.OK.value, JPEG, body)


@app.get(
    "/api/console/explanation",
    summary="Which places of a photo speak for its most probable label",
    description="Asks the endpoint; nothing is stored.",
    responses=described("The explanation", Explanation, 404, 503),
)
def explanation(image_id: str) -> Mapping[str, Any]:
    return explain(read_jpeg(image_id, SIDE))


def read_jpeg(image_id: str, size: int) -> bytes:
    """The photo of a record as an upright JPEG; raises ProblemError if there is none."""
    key, _, version = image_id.rpartition("#")
    if not key.startswith("uploads/"):
        raise ProblemError(HTTPStatus.NOT_FOUND, "There is no such photo.")
    photo_object = {"Bucket": os.environ["PHOTOS_BUCKET_NAME"], "Key": key}
    if not ETAG.fullmatch(version):
        photo_object["VersionId"] = version
    try:
        found = s3.get_object(**photo_object)
    except ClientError as error:
        if error.response["Error"]["Code"] not in GONE:
            raise
        raise ProblemError(HTTPStatus.NOT_FOUND, "The photo was deleted.") from error
    if found["ContentLength"] > int(os.environ["MAX_PHOTO_BYTES"]):
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "The file is too large to be shown.")
    try:
        return photo.shrink(found["Body"].read(), size)
    except photo.UnreadablePhotoError as error:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error
