"""What reviewers see of a photo: upright, without metadata, and never more than the photo."""

import importlib
import io
import json
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.response import StreamingBody
from botocore.stub import Stubber
from PIL import Image

from tests.support.web import Client

BUCKET = "photos"
ORIENTATION, GPS = 0x0112, 0x8825


@pytest.fixture
def client(
    aws: None,
    environment: pytest.MonkeyPatch,
    load: Callable[[str, str], ModuleType],
    context: Any,
) -> Client:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    environment.setenv("PHOTOS_BUCKET_NAME", BUCKET)
    environment.setenv("MAX_PHOTO_BYTES", "1000000")
    environment.setenv("ENDPOINT_NAME", "scones-classifier")
    return Client(load("preview_photo", "app"), context, "rosa", ["reviewers"])


def photo(colour: str = "red") -> bytes:
    """A photo that lies on its side, with a position."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif.get_ifd(GPS)[1] = "N"
    file = io.BytesIO()
    Image.new("RGB", (80, 40), colour).save(file, "JPEG", exif=exif)
    return file.getvalue()


def put(content: bytes, key: str = "uploads/anna/1.jpg") -> dict[str, Any]:
    return boto3.client("s3").put_object(Bucket=BUCKET, Key=key, Body=content)


def preview(client: Client, image_id: str) -> Any:
    return client.get("/api/console/preview", query={"image_id": image_id})


def test_a_preview_is_an_upright_jpeg_without_a_position(client: Client) -> None:
    reply = preview(client, f"uploads/anna/1.jpg#{put(photo())['VersionId']}")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "image/jpeg")
    with Image.open(io.BytesIO(reply.content)) as image:
        assert image.size == (40, 80)
        assert image.format == "JPEG"
        assert not image.getexif()


def test_the_version_of_the_record_is_shown(client: Client) -> None:
    first, last = put(photo("red")), put(photo("blue"))
    for image_id, channel in (
        (f"uploads/anna/1.jpg#{first['VersionId']}", 0),
        (f"uploads/anna/1.jpg#{last['ETag'].strip('"')}", 2),  # the newest
    ):
        with Image.open(io.BytesIO(preview(client, image_id).content)) as image:
            pixel = image.getpixel((20, 40))
            assert isinstance(pixel, tuple)
            assert pixel[channel] > 200


@pytest.mark.parametrize(
    ("size", "expected"), [(None, (256, 128)), ("1024", (1024, 512)), ("64", (64, 32))]
)
def test_a_reviewer_can_have_a_large_preview(
    client: Client, size: str | None, expected: tuple[int, int]
) -> None:
    file = io.BytesIO()
    Image.new("RGB", (4000, 2000), "red").save(file, "JPEG")
    query = {"image_id": f"uploads/anna/1.jpg#{put(file.getvalue())['VersionId']}"}
    reply = client.get("/api/console/preview", query=query | ({"size": size} if size else {}))
    with Image.open(io.BytesIO(reply.content)) as image:
        assert image.size == expected


@pytest.mark.parametrize("size", ["63", "1025", "large"])
def test_a_preview_of_another_size_is_refused(client: Client, size: str) -> None:
    query = {"image_id": f"uploads/anna/1.jpg#{put(photo())['VersionId']}", "size": size}
    assert client.get("/api/console/preview", query=query).status == 422


@pytest.mark.parametrize(
    "image_id", ["uploads/anna/2.jpg#v", "baselines/vehicles/1.json#v", "x", "", "labelled/a/b#v"]
)
def test_nothing_but_an_uploaded_photo_is_shown(client: Client, image_id: str) -> None:
    put(b"{}", "baselines/vehicles/1.json")
    put(photo(), "labelled/a/b")
    assert preview(client, image_id).status == 404


@pytest.mark.parametrize("content", [b"", b"<script>", photo()[:200], b"x" * 1_000_001])
def test_a_file_that_is_no_photo_has_no_preview(client: Client, content: bytes) -> None:
    reply = preview(client, f"uploads/anna/1.jpg#{put(content)['VersionId']}")
    assert (reply.status, reply.headers["Content-Type"]) == (422, "application/problem+json")


# ── Where the model sees the label ──

EXPLAINED = {
    "probabilities": {"intact": 0.2, "broken": 0.7, "other": 0.1},
    "activation": {"intact": [[0.0, 0.5]], "broken": [[-1.5, 3.25]], "other": [[1.5, -3.75]]},
}


@pytest.fixture
def endpoint(client: Client) -> Iterator[Stubber]:
    """SageMaker, as botocore's own model of the service checks requests and responses."""
    module = importlib.import_module("functions.preview_photo.explanation")
    with Stubber(module.sagemaker_runtime) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def respond(endpoint: Stubber, body: object) -> None:
    content = json.dumps(body).encode()
    endpoint.add_response(
        "invoke_endpoint", {"Body": StreamingBody(io.BytesIO(content), len(content))}
    )


def explanation(client: Client, content: bytes) -> Any:
    query = {"image_id": f"uploads/anna/1.jpg#{put(content)['VersionId']}"}
    return client.get("/api/console/explanation", query=query)


def test_the_most_probable_label_is_explained(client: Client, endpoint: Stubber) -> None:
    respond(endpoint, EXPLAINED)
    reply = explanation(client, photo())
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
    assert reply.json == {"label": "broken", "activation": [[-1.5, 3.25]]}


def test_the_endpoint_gets_what_the_workflow_sends_it(
    client: Client, endpoint: Stubber, load: Callable[[str, str], ModuleType]
) -> None:
    content = photo()
    endpoint.add_response(
        "invoke_endpoint",
        {"Body": StreamingBody(io.BytesIO(json.dumps(EXPLAINED).encode()), None)},
        {
            "EndpointName": "scones-classifier",
            "ContentType": "image/jpeg",
            "Accept": "application/json",
            "CustomAttributes": "explain",
            "Body": load("serialize_image", "photo").shrink(content),
        },
    )
    assert explanation(client, content).status == 200


@pytest.mark.parametrize("body", [{"broken": 0.9, "other": 0.1}, [0.9, 0.1]])
def test_a_response_without_an_activation_explains_nothing(
    client: Client, endpoint: Stubber, body: object
) -> None:
    respond(endpoint, body)
    reply = explanation(client, photo())
    assert (reply.status, reply.json["detail"]) == (422, "This model cannot explain its labels.")


def test_a_model_that_refuses_explains_nothing(client: Client, endpoint: Stubber) -> None:
    endpoint.add_client_error(
        "invoke_endpoint", "ModelError", http_status_code=424,
        modeled_fields={"OriginalStatusCode": 400},
    )  # fmt: skip
    reply = explanation(client, photo())
    assert (reply.status, reply.json["detail"]) == (422, "This model cannot explain its labels.")


@pytest.mark.parametrize("code", ["ThrottlingException", "ModelNotReadyException"])
def test_a_reviewer_can_try_again_if_the_endpoint_is_busy(
    client: Client, endpoint: Stubber, code: str
) -> None:
    endpoint.add_client_error("invoke_endpoint", code, http_status_code=429)
    reply = explanation(client, photo())
    assert (reply.status, "Try again in a minute" in reply.json["detail"]) == (503, True)


def test_a_fault_of_the_endpoint_raises(client: Client, endpoint: Stubber) -> None:
    endpoint.add_client_error(
        "invoke_endpoint", "ModelError", http_status_code=424,
        modeled_fields={"OriginalStatusCode": 500},
    )  # fmt: skip
    with pytest.raises(Exception, match="ModelError"):
        explanation(client, photo())


def test_a_reviewer_can_try_again_if_the_endpoint_starts_cold(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait_in_vain(**_: Any) -> None:
        raise ReadTimeoutError(endpoint_url="https://runtime.sagemaker")

    module = importlib.import_module("functions.preview_photo.explanation")
    monkeypatch.setattr(module.sagemaker_runtime, "invoke_endpoint", wait_in_vain)
    assert explanation(client, photo()).status == 503


@pytest.mark.parametrize("image_id", ["uploads/anna/2.jpg#v", "baselines/1.json#v", "x"])
def test_nothing_but_an_uploaded_photo_reaches_the_endpoint(
    client: Client, endpoint: Stubber, image_id: str
) -> None:
    put(b"{}", "baselines/1.json")
    query = {"image_id": image_id}
    assert client.get("/api/console/explanation", query=query).status == 404
