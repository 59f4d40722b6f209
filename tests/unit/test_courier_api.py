"""What a courier can do on the phone, and that it is nothing of another courier."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import boto3
import pytest

from tests.support.tables import at, create_tables, put
from tests.support.web import Client, publishing

BUCKET = "photos"


@pytest.fixture
def client(
    aws: None,
    environment: pytest.MonkeyPatch,
    load: Callable[[str, str], ModuleType],
    context: Any,
    published: list[tuple[str, dict[str, Any]]],
) -> Client:
    create_tables(environment, "PredictionsTable", "CouriersTable", "OrdersTable")
    boto3.client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    boto3.client("s3").put_bucket_versioning(
        Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"}
    )
    boto3.client("events").create_event_bus(Name="bus")
    for name, value in {
        "PHOTOS_BUCKET_NAME": BUCKET,
        "EVENT_BUS_NAME": "bus",
        "SHIFT_HOURS": "8",
        "LABELS": "bicycle,motorcycle,other",
        "SUBJECT": "",
        "MAX_PHOTO_BYTES": "25000000",
    }.items():
        environment.setenv(name, value)
    app = load("courier_api", "app")
    environment.setattr(app, "publish", publishing(published))
    return Client(app, context, "anna", ["couriers"])


def on_shift(courier: str = "anna", **changes: Any) -> None:
    record = {
        "courier_id": courier,
        "vehicle": "bicycle",
        "checked_in_at": at(-60),
        "shift_ends_at": at(420),
    }
    put("CouriersTable", **(record | changes))


def on_route(courier: str = "anna", dispatch_id: str = "d-1", **changes: Any) -> None:
    route = {"stops": ["o-2", "o-1"], "loading_bay": "A", "distance_km": 4, "returns_at": at(40)}
    times = {"departs_at": at(0), "returns_at": at(40)}
    on_shift(courier, dispatch_id=dispatch_id, route=route, **(times | changes))
    for order_id, minutes in (("o-1", 30), ("o-2", 15)):
        put("OrdersTable", **order(order_id, courier, dispatch_id, minutes))


def order(order_id: str, courier: str, dispatch_id: str, minutes: float) -> dict[str, Any]:
    return {
        "order_id": order_id,
        "status": "assigned",
        "courier_id": courier,
        "dispatch_id": dispatch_id,
        "latitude": 52,
        "longitude": 5,
        "boxes": 2,
        "arrives_at": at(minutes),
        "due_until": at(minutes + 10),
    }


# ── Upload ──


def conditions(form: dict[str, Any]) -> list[Any]:
    policy = json.loads(base64.b64decode(form["fields"]["policy"]))
    found: list[Any] = policy["conditions"]
    return found


def test_an_upload_is_allowed_for_one_key_type_and_size(client: Client) -> None:
    reply = client.post("/api/courier/uploads", {"content_type": "image/heic", "size": 1000})
    assert reply.status == 201
    form = reply.json
    key = f"uploads/anna/{form['photo_id']}"
    assert form["fields"]["key"] == key
    found = conditions(form)
    assert {"key": key} in found
    assert {"bucket": BUCKET} in found
    assert {"Content-Type": "image/heic"} in found
    assert ["content-length-range", 1, 1000] in found
    left = datetime.fromisoformat(form["expires_at"]) - datetime.now(UTC)
    assert timedelta(0) < left < timedelta(minutes=11)


@pytest.mark.parametrize("region", ["eu-west-1", "us-east-1"])
def test_the_form_goes_to_the_regional_name_of_the_bucket(
    client: Client,
    load: Callable[[str, str], ModuleType],
    environment: pytest.MonkeyPatch,
    region: str,
) -> None:
    """The pages may send to no other name, and S3 redirects new buckets from its global one."""
    environment.setenv("AWS_DEFAULT_REGION", region)
    environment.setattr(boto3, "DEFAULT_SESSION", None)
    client.app = load("courier_api", "app")
    reply = client.post("/api/courier/uploads", {"content_type": "image/jpeg", "size": 1})
    assert reply.json["url"] == f"https://{BUCKET}.s3.{region}.amazonaws.com/"


@pytest.mark.parametrize(
    "body",
    [
        {"content_type": "text/html", "size": 1000},
        {"content_type": "image/svg+xml", "size": 1000},
        {"content_type": "image/jpeg", "size": 25_000_001},
        {"content_type": "image/jpeg", "size": 0},
        {"content_type": "image/jpeg"},
        {"size": 1},
        "no JSON",
    ],
)
def test_other_types_and_sizes_are_refused(client: Client, body: Any) -> None:
    reply = client.post("/api/courier/uploads", body)
    assert reply.status == 422
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.json["detail"]


def test_no_request_names_another_courier(client: Client) -> None:
    body = {"content_type": "image/jpeg", "size": 1, "courier_id": "ben", "sender_id": "ben"}
    reply = client.post("/api/courier/uploads", body, query={"courier_id": "ben"})
    assert reply.json["fields"]["key"].startswith("uploads/anna/")


# ── Status of a photo ──


def upload(courier: str = "anna", photo_id: str = "1.jpg") -> tuple[str, str]:
    """Put a photo; its version and its ETag."""
    key = f"uploads/{courier}/{photo_id}"
    done = boto3.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"photo")
    return done["VersionId"], done["ETag"].strip('"')


def record(photo_id: str, version: str, **changes: Any) -> None:
    values = {
        "image_id": f"uploads/anna/{photo_id}#{version}",
        "status": "accepted",
        "label": "bicycle",
        "reason": "bicycle, 97% confident",
        "uploaded_at": at(-1),
    }
    put("PredictionsTable", **(values | changes))


def status(client: Client, photo_id: str = "1.jpg") -> dict[str, Any]:
    reply = client.get(f"/api/courier/photos/{photo_id}")
    assert reply.status == 200
    found: dict[str, Any] = reply.json
    return found


def test_a_photo_is_followed_from_the_upload_to_the_record(client: Client) -> None:
    assert status(client)["state"] == "not_uploaded"
    version, _ = upload()
    assert status(client)["state"] == "classifying"
    uploaded_at = at(-1)
    record("1.jpg", version, uploaded_at=uploaded_at)
    found = status(client)
    assert (found["state"], found["label"]) == ("accepted", "bicycle")
    shift = datetime.fromisoformat(found["shift_ends_at"]) - datetime.fromisoformat(uploaded_at)
    assert shift == timedelta(hours=8)


def test_a_record_is_found_by_the_version_or_by_the_etag(client: Client) -> None:
    """The S3 event of a local cloud names no version; that of AWS does."""
    for number, photo_id in enumerate(("1.jpg", "2.jpg")):
        record(photo_id, upload(photo_id=photo_id)[number])
        assert status(client, photo_id)["state"] == "accepted"


@pytest.mark.parametrize(
    ("changes", "state", "label"),
    [
        ({"status": "review"}, "review", "bicycle"),
        ({"status": "rejected", "label": None, "reason": "the file is empty"}, "rejected", None),
        ({"status": "failed"}, "failed", "bicycle"),
        ({"status": "review", "reviewed_label": "motorcycle"}, "accepted", "motorcycle"),
        ({"status": "accepted", "reviewed_label": "other"}, "rejected", "other"),
    ],
)
def test_the_review_of_a_person_decides_over_the_model(
    client: Client, changes: dict[str, Any], state: str, label: str | None
) -> None:
    record("1.jpg", upload()[0], **changes)
    found = status(client)
    assert (found["state"], found["label"]) == (state, label)
    assert bool(found["shift_ends_at"]) == (state == "accepted")
    assert found["reason"]


@pytest.mark.parametrize(
    ("subject", "words"), [("", "no bicycle or motorcycle"), ("scone", "no scone")]
)
def test_a_review_is_told_in_the_words_of_the_use_case(
    client: Client, environment: pytest.MonkeyPatch, subject: str, words: str
) -> None:
    environment.setenv("SUBJECT", subject)
    record("1.jpg", upload()[0], status="review", reviewed_label="other")
    assert status(client)["reason"] == f"A person looked at the photo: {words}."


def test_without_dispatch_a_photo_starts_no_shift_and_there_are_no_routes(
    client: Client, environment: pytest.MonkeyPatch, published: list[tuple[str, dict[str, Any]]]
) -> None:
    for name in ("COURIERS_TABLE_NAME", "ORDERS_TABLE_NAME"):
        environment.setenv(name, "")
    record("1.jpg", upload()[0])
    found = status(client)
    assert (found["state"], found["shift_ends_at"]) == ("accepted", None)
    delivery = {"order_id": "o-1", "dispatch_id": "d-1"}
    for reply in (
        client.get("/api/courier/shift"),
        client.post("/api/courier/deliveries", delivery),
        client.post("/api/courier/off-shift"),
    ):
        assert reply.status == 404
        assert reply.json["detail"] == "This stack has no dispatch: no orders and no routes."
    assert published == []


def test_a_photo_of_another_courier_is_not_there(client: Client) -> None:
    upload("ben")
    for photo_id in ("1.jpg", "..%2Fben%2F1.jpg", "../ben/1.jpg"):
        reply = client.get(f"/api/courier/photos/{photo_id}")
        assert reply.status == 404 or reply.json["state"] == "not_uploaded"


def test_polling_costs_no_body_while_nothing_changes(client: Client) -> None:
    version, _ = upload()
    etag = client.get("/api/courier/photos/1.jpg").headers["ETag"]
    again = client.get("/api/courier/photos/1.jpg", headers={"If-None-Match": etag})
    assert (again.status, again.content) == (304, b"")
    record("1.jpg", version)
    assert client.get("/api/courier/photos/1.jpg", headers={"If-None-Match": etag}).status == 200


# ── Shift and route ──


def shift(client: Client) -> dict[str, Any]:
    reply = client.get("/api/courier/shift")
    assert reply.status == 200
    found: dict[str, Any] = reply.json
    return found


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "free"),
        ({"shift_ends_at": at(-1)}, "off"),
        ({"off_shift_at": at(-5)}, "off"),
        ({"off_shift_at": at(-90)}, "free"),
    ],
)
def test_a_shift_lasts_until_its_end_or_until_the_courier_goes_home(
    client: Client, changes: dict[str, Any], state: str
) -> None:
    assert shift(client)["state"] == "off"
    on_shift("ben")
    assert shift(client)["state"] == "off"
    on_shift(**changes)
    assert shift(client)["state"] == state


def test_a_route_has_its_stops_in_sequence(client: Client) -> None:
    on_route()
    found = shift(client)
    assert found["state"] == "on_route"
    assert [stop["order_id"] for stop in found["route"]["stops"]] == ["o-2", "o-1"]
    assert found["route"]["loading_bay"] == "A"
    assert {stop["delivered_at"] for stop in found["route"]["stops"]} == {None}


def test_an_order_that_was_taken_off_the_route_is_not_shown(client: Client) -> None:
    on_route()
    put("OrdersTable", **order("o-2", "ben", "d-2", 20))
    assert [stop["order_id"] for stop in shift(client)["route"]["stops"]] == ["o-1"]


def test_a_late_courier_keeps_the_route_until_everything_is_delivered(client: Client) -> None:
    on_route(returns_at=at(-5))
    assert shift(client)["state"] == "on_route"
    for order_id in ("o-1", "o-2"):
        put("OrdersTable", **order(order_id, "anna", "d-1", 5), delivered_at=at(-6))
    assert shift(client)["state"] == "free"


def test_a_delivery_is_published_for_the_courier_of_the_token(
    client: Client, published: list[Any]
) -> None:
    on_route()
    delivered = "2026-11-20T12:00:00+01:00"
    body = {"order_id": "o-1", "dispatch_id": "d-1", "delivered_at": delivered}
    assert client.post("/api/courier/deliveries", body | {"courier_id": "ben"}).status == 202
    assert published == [
        (
            "Order Delivered",
            {
                "order_id": "o-1",
                "dispatch_id": "d-1",
                "courier_id": "anna",
                "delivered_at": "2026-11-20T11:00:00.000Z",
            },
        )
    ]


def test_deliveries_of_other_couriers_and_routes_are_refused(
    client: Client, published: list[Any]
) -> None:
    on_route("ben")
    for body in (
        {"order_id": "o-1", "dispatch_id": "d-1"},
        {"order_id": "o-9", "dispatch_id": "d-1"},
    ):
        assert client.post("/api/courier/deliveries", body).status == 404
    on_route()
    later = {"order_id": "o-1", "dispatch_id": "d-0"}
    assert client.post("/api/courier/deliveries", later).status == 404
    future = {"order_id": "o-1", "dispatch_id": "d-1", "delivered_at": at(10)}
    assert client.post("/api/courier/deliveries", future).status == 422
    assert published == []


def test_a_courier_goes_home_alone(client: Client, published: list[Any]) -> None:
    assert client.post("/api/courier/off-shift", {"courier_id": "ben"}).status == 202
    [(kind, detail)] = published
    assert (kind, detail["courier_id"]) == ("Courier Off Shift", "anna")
