"""The API of the courier's page: upload a photo, follow it, read the route, report deliveries.

The courier is the user of the token. No request names another one.
"""

import os
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Literal, TypedDict

import boto3
from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config
from botocore.exceptions import ClientError
from pydantic import AwareDatetime, BaseModel, Field

from functions.courier_api.status import PhotoStatus, Shift, photo_status, shift_of
from functions.filter_inferences.filtering import listed
from functions.http_api.bus import publish
from functions.http_api.http import (
    COURIERS,
    ProblemError,
    User,
    described,
    dumps,
    now_text,
    reply,
    resolver,
    table_of_dispatch,
)
from functions.http_api.records import Time, plain

UPLOAD_SECONDS = 600
CLOCK_SKEW = timedelta(minutes=5)
EXTENSIONS = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "image/gif": "gif",
    "image/heic": "heic",
    "image/heif": "heif",
    "image/avif": "avif",
}

logger = Logger(use_rfc3339=True)
tracer = Tracer(patch_modules=["botocore"])
dynamodb = boto3.client("dynamodb")
# The bucket's regional name, which is the one that the pages may send to.
s3 = boto3.client(
    "s3",
    config=Config(
        signature_version="s3v4",
        s3={"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"},
    ),
)
app = resolver()


class NewUpload(BaseModel):
    """What the courier wants to upload."""

    content_type: Literal[
        "image/jpeg",
        "image/png",
        "image/webp",
        "image/gif",
        "image/heic",
        "image/heif",
        "image/avif",
    ]
    size: int = Field(ge=1, description="Bytes, at most max_photo_bytes of config.json")


class Upload(TypedDict):
    """A form for S3: send `fields` and then `file` as multipart/form-data to `url`."""

    photo_id: Annotated[str, Field(description="For /api/courier/photos/")]
    url: str
    fields: dict[str, str]
    expires_at: Time


class Delivery(BaseModel):
    """An order of the courier's route that was delivered."""

    order_id: str = Field(min_length=1, max_length=128)
    dispatch_id: str = Field(min_length=1, max_length=128)
    delivered_at: AwareDatetime | None = Field(
        default=None,
        description="When, if the report was kept offline; default now. Not in the future",
    )


@tracer.capture_lambda_handler
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Answer a courier's request."""
    return reply(app, event, context, COURIERS)


def courier_id() -> str:
    """The courier of this request."""
    user: User = app.context["user"]
    return user.name


@app.post(
    "/api/courier/uploads",
    summary="Permission to upload one photo straight to S3 (presigned POST, 10 minutes)",
    responses=described("Created", Upload, status=HTTPStatus.CREATED),
)
def allow_upload(upload: NewUpload) -> Response[str]:
    """Allow the upload of one photo: of this type, of at most this size, under this key."""
    most = int(os.environ["MAX_PHOTO_BYTES"])
    if upload.size > most:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"The photo is larger than {most // 1_000_000} MB. Send a smaller one.",
        )
    now = datetime.now(UTC)
    photo_id = f"{now:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex}.{EXTENSIONS[upload.content_type]}"
    form = s3.generate_presigned_post(
        os.environ["PHOTOS_BUCKET_NAME"],
        key_of(photo_id),
        Fields={"Content-Type": upload.content_type},
        Conditions=[
            {"Content-Type": upload.content_type},
            ["content-length-range", 1, upload.size],
        ],
        ExpiresIn=UPLOAD_SECONDS,
    )
    expires_at = (now + timedelta(seconds=UPLOAD_SECONDS)).isoformat(timespec="seconds")
    body: Upload = {
        "photo_id": photo_id,
        "url": form["url"],
        "fields": form["fields"],
        "expires_at": expires_at.replace("+00:00", "Z"),
    }
    return Response(HTTPStatus.CREATED.value, "application/json", dumps(body))


@app.get(
    "/api/courier/photos/<photo_id>",
    summary="What became of a photo of this courier",
    responses=described("The photo", PhotoStatus),
)
def read_photo(photo_id: str) -> Mapping[str, Any]:
    key = key_of(photo_id)
    hours = int(os.environ["SHIFT_HOURS"])
    shift = timedelta(hours=hours) if os.environ["COURIERS_TABLE_NAME"] else None
    subject = os.environ["SUBJECT"] or listed(os.environ["LABELS"].split(","))
    try:
        uploaded = s3.head_object(Bucket=os.environ["PHOTOS_BUCKET_NAME"], Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] != "404":
            raise
        return photo_status(photo_id, None, uploaded=False, shift=shift, subject=subject)
    # The workflow names the version if the S3 event does, and else the ETag.
    versions = {uploaded.get("VersionId"), uploaded["ETag"].strip('"')} - {None, "null"}
    table = os.environ["PREDICTIONS_TABLE_NAME"]
    found = dynamodb.batch_get_item(
        RequestItems={
            table: {"Keys": [{"image_id": {"S": f"{key}#{version}"}} for version in versions]}
        }
    )["Responses"].get(table, [])
    record = plain(found[0]) if found else None
    return photo_status(photo_id, record, uploaded=True, shift=shift, subject=subject)


@app.get(
    "/api/courier/shift",
    summary="The shift of this courier, with the stops of the route",
    responses=described("The shift", Shift, 404, 503),
)
def read_shift() -> Mapping[str, Any]:
    courier = plain(
        dynamodb.get_item(
            TableName=table_of_dispatch("COURIERS_TABLE_NAME"),
            Key={"courier_id": {"S": courier_id()}},
        ).get("Item", {})
    )
    stops = courier.get("route", {}).get("stops", [])
    return shift_of(courier_id(), courier, read_orders(stops), datetime.now(UTC))


@app.post(
    "/api/courier/deliveries",
    summary="Report that an order of the own route was delivered",
    description="Publishes Order Delivered. Safe to repeat.",
    responses=described("Published", None, 404, 503, status=HTTPStatus.ACCEPTED),
)
def report_delivery(delivery: Delivery) -> Response[str]:
    now = datetime.now(UTC)
    delivered_at = delivery.delivered_at or now
    if delivered_at > now + CLOCK_SKEW:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "delivered_at is in the future")
    [order] = read_orders([delivery.order_id]) or [{}]
    if (order.get("courier_id"), order.get("dispatch_id")) != (courier_id(), delivery.dispatch_id):
        raise ProblemError(HTTPStatus.NOT_FOUND, "This order is not on your route.")
    detail = {
        "order_id": delivery.order_id,
        "dispatch_id": delivery.dispatch_id,
        "courier_id": courier_id(),
        "delivered_at": delivered_at.astimezone(UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z"),
    }
    publish("Order Delivered", detail)
    return accepted()


@app.post(
    "/api/courier/off-shift",
    summary="This courier goes home now",
    description="Publishes Courier Off Shift. No request body.",
    responses=described("Published", None, 404, 503, status=HTTPStatus.ACCEPTED),
)
def go_off_shift() -> Response[str]:
    table_of_dispatch("COURIERS_TABLE_NAME")
    publish("Courier Off Shift", {"courier_id": courier_id(), "off_shift_at": now_text()})
    return accepted()


def key_of(photo_id: str) -> str:
    """The S3 key of a photo of this courier."""
    return f"uploads/{courier_id()}/{photo_id}"


def read_orders(order_ids: list[str]) -> list[dict[str, Any]]:
    """Records of orders, in this sequence; at most 99, as a route has them."""
    if not order_ids:
        return []
    table = table_of_dispatch("ORDERS_TABLE_NAME")
    found = dynamodb.batch_get_item(
        RequestItems={table: {"Keys": [{"order_id": {"S": each}} for each in order_ids]}}
    )
    if found["UnprocessedKeys"]:
        raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "The orders are busy. Try again.")
    orders = {order["order_id"]: order for order in map(plain, found["Responses"].get(table, []))}
    return [orders[each] for each in order_ids if each in orders]


def accepted() -> Response[str]:
    """202: the event is on the bus."""
    return Response(HTTPStatus.ACCEPTED.value, "application/json", "{}")
