"""The photo that the function reads from S3, and its result."""

import base64
import io
import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, IncompleteReadError
from botocore.response import StreamingBody
from botocore.stub import Stubber
from PIL import Image

from tests.support.repository import REPOSITORY

EVENTS = REPOSITORY / "events"
BUCKET = "photos"


def jpeg(colour: str = "red", size: tuple[int, int] = (640, 480)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture
def s3(aws: None) -> Any:
    client = boto3.client("s3")
    client.create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return client


@pytest.fixture
def app(
    load: Callable[[str, str], ModuleType],
    s3: Any,
    environment: pytest.MonkeyPatch,
) -> ModuleType:
    environment.setenv("MAX_PHOTO_BYTES", "1000000")
    return load("serialize_image", "app")


@pytest.mark.parametrize(
    "key",
    [
        "uploads/42/photo.jpg",
        "uploads/42/my bike (1).jpg",
        "uploads/42/a+b%20c%2Bd.jpg",
        "uploads/42/vélo 🚲.jpg",
        "uploads/42/deep/er/without-suffix",
        "uploads/42/?x=1&y=#z",
    ],
)
def test_a_photo_is_read_under_any_key(app: ModuleType, s3: Any, context: Any, key: str) -> None:
    s3.put_object(Bucket=BUCKET, Key=key, Body=jpeg())
    result = app.handler({"s3_bucket": BUCKET, "s3_key": key}, context)
    image = Image.open(io.BytesIO(base64.b64decode(result["image_data"], validate=True)))
    assert (image.format, image.size) == ("JPEG", (256, 192))
    assert list(result) == ["image_data"]
    json.dumps(result)


def test_the_version_of_the_event_is_read(app: ModuleType, s3: Any, context: Any) -> None:
    old = s3.put_object(Bucket=BUCKET, Key="k", Body=jpeg("red"))["VersionId"]
    s3.put_object(Bucket=BUCKET, Key="k", Body=jpeg("blue"))

    def colour(**version: str) -> Any:
        result = app.handler({"s3_bucket": BUCKET, "s3_key": "k"} | version, context)
        return Image.open(io.BytesIO(base64.b64decode(result["image_data"]))).getpixel((9, 9))

    assert colour(version_id=old)[0] > 200
    assert colour()[2] > 200
    assert colour(version_id="")[2] > 200


GONE = "the photo was removed before it could be read, please send it again"


def test_a_photo_that_is_gone_is_rejected(app: ModuleType, s3: Any, context: Any) -> None:
    event = {"s3_bucket": BUCKET, "s3_key": "k"}
    assert app.handler(event, context) == {"status": "rejected", "reason": GONE}
    version = s3.put_object(Bucket=BUCKET, Key="k", Body=jpeg())["VersionId"]
    s3.delete_object(Bucket=BUCKET, Key="k")
    assert app.handler(event, context) == {"status": "rejected", "reason": GONE}
    assert "image_data" in app.handler(event | {"version_id": version}, context)


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        ("NoSuchKey", 404, GONE),
        ("NoSuchVersion", 404, GONE),
        ("PreconditionFailed", 412, "a newer photo with the same name replaced this one"),
        ("InvalidObjectState", 403, "archive storage class, please send it again in the class"),
        ("InvalidRequest", 400, "encrypted with a key of the sender"),
    ],
)
def test_an_object_that_the_sender_made_unreadable_is_rejected_with_a_reason(
    app: ModuleType, context: Any, code: str, status: int, reason: str
) -> None:
    with Stubber(app.s3) as stubber:
        stubber.add_client_error("get_object", code, "not so", status)
        result = app.handler({"s3_bucket": BUCKET, "s3_key": "k", "version_id": "v"}, context)
    assert result["status"] == "rejected"
    assert reason in result["reason"]


def test_without_a_version_only_the_photo_of_the_event_is_read(
    app: ModuleType, s3: Any, context: Any
) -> None:
    older = s3.put_object(Bucket=BUCKET, Key="k", Body=jpeg("red"))
    event = {"s3_bucket": BUCKET, "s3_key": "k", "etag": older["ETag"].strip('"')}
    assert "image_data" in app.handler(event | {"version_id": ""}, context)
    s3.put_object(Bucket=BUCKET, Key="k", Body=jpeg("blue"))
    assert "replaced" in app.handler(event, context)["reason"]
    assert "image_data" in app.handler(event | {"version_id": older["VersionId"]}, context)


def test_the_client_of_s3_times_out_before_the_function(app: ModuleType) -> None:
    config = app.s3.meta.config
    attempts = config.retries["total_max_attempts"]
    assert attempts * (config.connect_timeout + config.read_timeout) < 25


@pytest.mark.parametrize(
    ("code", "status"), [("AccessDenied", 403), ("SlowDown", 503), ("NoSuchBucket", 404)]
)
def test_faults_of_s3_raise(app: ModuleType, context: Any, code: str, status: int) -> None:
    with Stubber(app.s3) as stubber:
        stubber.add_client_error("get_object", code, "not now", status)
        with pytest.raises(ClientError, match=code):
            app.handler({"s3_bucket": BUCKET, "s3_key": "k"}, context)


def test_a_connection_that_breaks_raises(app: ModuleType, context: Any) -> None:
    photo = jpeg()
    body = StreamingBody(io.BytesIO(photo[:100]), len(photo))
    with Stubber(app.s3) as stubber:
        stubber.add_response("get_object", {"Body": body, "ContentLength": len(photo)})
        with pytest.raises(IncompleteReadError):
            app.handler({"s3_bucket": BUCKET, "s3_key": "k"}, context)


class Unread(io.RawIOBase):
    def read(self, size: int = -1) -> bytes:
        raise AssertionError(f"{size} bytes of a body that is too large")


def test_a_file_above_the_size_limit_is_rejected_without_a_read(
    app: ModuleType, context: Any
) -> None:
    body = StreamingBody(Unread(), 1_000_001)
    with Stubber(app.s3) as stubber:
        stubber.add_response("get_object", {"Body": body, "ContentLength": 1_000_001})
        result = app.handler({"s3_bucket": BUCKET, "s3_key": "k"}, context)
    reason = "the file is larger than 1 MB, please send a smaller one"
    assert result == {"status": "rejected", "reason": reason}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"<html></html>", "the file is not a photo"),
        (jpeg()[:2000], "the photo is damaged, please take it again"),
    ],
)
def test_a_file_that_cannot_be_read_is_rejected(
    app: ModuleType, s3: Any, context: Any, data: bytes, reason: str
) -> None:
    s3.put_object(Bucket=BUCKET, Key="k", Body=data)
    result = app.handler({"s3_bucket": BUCKET, "s3_key": "k"}, context)
    assert result == {"status": "rejected", "reason": reason}


def test_the_log_names_a_rejected_photo_and_the_reason(
    app: ModuleType, s3: Any, context: Any, caplog: pytest.LogCaptureFixture
) -> None:
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"hello")
    app.handler({"s3_bucket": BUCKET, "s3_key": "k"}, context)
    (line,) = [vars(record) for record in caplog.records if record.name == "scones-unlimited"]
    assert (line["levelname"], line["s3_key"]) == ("INFO", "k")
    assert line["reason"] == "the file is not a photo"
    assert "UnidentifiedImageError" in line["cause"]


def test_the_sample_event_of_the_function_is_made_from_that_of_s3() -> None:
    s3_event = json.loads((EVENTS / "s3_object_created.json").read_text())["detail"]
    assert json.loads((EVENTS / "serialize_image.json").read_text()) == {
        "s3_bucket": s3_event["bucket"]["name"],
        "s3_key": s3_event["object"]["key"],
    }
