"""Each function as `sam build` packages it and `sam local invoke` runs it, with its sample event.

They run on Lambda's runtime with the template's memory and time limits; behind them are the local
cloud's S3 and the serving container.
"""

import base64
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from samcli.yamlhelper import yaml_parse

from operations.sample_events import Photo, sample_event
from tests.support.repository import REPOSITORY

PHOTOS = REPOSITORY / "local" / "photos"
METADATA = json.loads((REPOSITORY / "models" / "vehicles" / "metadata.json").read_text())


PHOTO = Photo(
    bucket="photos",
    key="uploads/42/bike.jpg",
    etag="8fc6f9502a64d6a15ed62312d9ee19ef",
    version_id="",
    size=82598,
    uploaded_at=datetime.now(UTC),
    account="000000000000",
    region="us-east-1",
)


def sample(name: str) -> Any:
    """A sample event about PHOTO, as `make events` writes it."""
    return sample_event(name, PHOTO, datetime.now(UTC))


@pytest.mark.parametrize(
    ("name", "upright_size"),
    [("bicycle-sideways-12mp.jpg", (256, 192)), ("motorcycle-at-night.heic", (256, 192))],
)
def test_serialize_image(
    invoke: Callable[..., Any], cloud: Any, name: str, upright_size: tuple[int, int]
) -> None:
    event = sample("serialize_image")
    cloud.put_photo(event["s3_bucket"], event["s3_key"], (PHOTOS / name).read_bytes())
    answer = invoke("SerializeImageFunction", event)
    assert list(answer) == ["image_data"]
    with Image.open(io.BytesIO(base64.b64decode(answer["image_data"]))) as jpeg:
        assert (jpeg.format, jpeg.size) == ("JPEG", upright_size)


def test_serialize_image_rejects_what_is_no_photo(invoke: Callable[..., Any], cloud: Any) -> None:
    event = sample("serialize_image")
    text = (PHOTOS / "broken-text.jpg").read_bytes()
    cloud.put_photo(event["s3_bucket"], event["s3_key"], text)
    answer = invoke("SerializeImageFunction", event)
    assert answer == {"status": "rejected", "reason": "the file is not a photo"}


def test_classify_image(invoke: Callable[..., Any]) -> None:
    answer = invoke("ClassifyImageFunction", sample("classify_image"))
    assert answer["model"] == f"{METADATA['name']}/{METADATA['version']}"
    assert list(answer["inferences"]) == METADATA["labels"]
    assert sum(answer["inferences"].values()) == pytest.approx(1, abs=1e-5)


def test_filter_inferences(invoke: Callable[..., Any]) -> None:
    event = sample("filter_inferences")
    answer = invoke("FilterInferencesFunction", event)
    label = max(event["inferences"], key=event["inferences"].get)
    assert answer["label"] == label
    assert answer["confidence"] == event["inferences"][label]
    assert answer["status"] == "accepted"
    assert label in answer["reason"]


def test_dispatch_orders(invoke: Callable[..., Any], cloud: Any) -> None:
    for table in ("CouriersTable", "OrdersTable"):
        cloud.create_table(table)
    cloud.client("events").create_event_bus(Name="EventBus")
    assert invoke("DispatchOrdersFunction", sample("dispatch_orders")) == {"batchItemFailures": []}
    [order] = cloud.client("dynamodb").scan(TableName="OrdersTable")["Items"]
    assert order["order_id"] == {"S": "1001"}
    assert order["status"]["S"] in ("assigned", "waiting")
    assert order["reason"]["S"].startswith(order["status"]["S"])


def test_measure_drift(invoke: Callable[..., Any], cloud: Any) -> None:
    event = sample("measure_drift")
    for table in ("PredictionsTable", "DriftTable"):
        cloud.create_table(table)
    assert invoke("MeasureDriftFunction", event) is None  # no photo in that hour
    model = f"{METADATA['name']}/{METADATA['version']}"
    cloud.put_photo("photos", f"baselines/{model}.json", json.dumps(METADATA).encode())
    prediction = {
        "image_id": "uploads/42/bike.jpg#1",
        "hour": event["hour"],
        "recorded_at": f"{event['hour']}:30:00.000Z",
        "status": "accepted",
        "label": "bicycle",
        "model": model,
    }
    item = {name: {"S": value} for name, value in prediction.items()} | {"confidence": {"N": "1"}}
    cloud.client("dynamodb").put_item(TableName="PredictionsTable", Item=item)
    # S3 takes no capitals, so the bucket cannot have the logical name that SAM gives it.
    report = invoke("MeasureDriftFunction", event, PHOTOS_BUCKET_NAME="photos")
    assert (report["model"], report["hour"], report["predictions"]) == (model, event["hour"], 1)
    assert report["drift"] is None  # one photo is too few to say


def test_a_photo_of_50_megapixels_fits_into_512_megabytes(
    invoke: Callable[..., Any], cloud: Any, template: Path
) -> None:
    event = sample("serialize_image")
    large = io.BytesIO()
    photo = Image.linear_gradient("L").resize((8688, 5792)).convert("RGB")
    # the form that cannot be decoded in parts: its decoder holds 300 MB of coefficients
    photo.save(large, "JPEG", progressive=True, subsampling=0)
    cloud.put_photo(event["s3_bucket"], event["s3_key"], large.getvalue())
    smaller = yaml_parse(template.read_text())
    smaller["Resources"]["SerializeImageFunction"]["Properties"]["MemorySize"] = 512
    small_template = template.with_name("template_512_megabytes.json")
    small_template.write_text(json.dumps(smaller))
    assert list(invoke("SerializeImageFunction", event, small_template)) == ["image_data"]
