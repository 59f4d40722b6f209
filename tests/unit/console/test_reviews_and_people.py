"""The shop reviews photos and manages its people in the console."""

from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from tests.support.schemas import EVENTS, problems
from tests.support.tables import at, photo, put, resources
from tests.support.web import Client, as_user

# ── Reviews ──


def leased(client: Client, count: int) -> list[str]:
    reply = client.post("/api/console/leases", {"count": count})
    assert reply.status == 200
    return [each["image_id"] for each in reply.json["items"]]


def test_reviewers_never_get_the_same_photo(client: Client) -> None:
    photos = [photo(number) for number in range(5)]
    photo(9, waits=False)
    anna, ben = as_user(client, "anna", "reviewers"), as_user(client, "ben", "reviewers")
    assert leased(anna, 2) == photos[:2]
    assert leased(ben, 2) == photos[2:4]
    assert leased(anna, 2) == photos[4:]
    assert leased(ben, 2) == []


def test_two_reviewers_who_ask_at_once_get_different_photos(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index lags: both read the same photo as free."""
    photo(1)
    reviews = client.app.reviews
    at_once = datetime.now(UTC)
    assert reviews.take("uploads/anna/1.jpg#v", "anna", at_once)
    assert not reviews.take("uploads/anna/1.jpg#v", "ben", at_once)


def test_a_lease_ends(client: Client) -> None:
    image_id = photo(1, lease={"by": "anna", "until": at(-1)})
    held = photo(2, lease={"by": "anna", "until": at(4)})
    assert leased(as_user(client, "ben", "reviewers"), 5) == [image_id]
    assert held not in leased(as_user(client, "ben", "reviewers"), 5)


def test_a_leased_photo_says_why_it_waits(client: Client) -> None:
    photo(1)
    for number, status in ((2, "accepted"), (3, "rejected")):
        photo(number, status=status, confidence=0.97)
    items = client.post("/api/console/leases", {"count": 3}).json["items"]
    assert [each["why"] for each in items] == ["below_threshold", "audit", "audit"]


def test_a_review_is_published_with_the_name_of_the_token(
    client: Client, published: list[Any]
) -> None:
    image_id = photo(1)
    body = {"image_id": image_id, "label": "motorcycle", "reviewed_by": "ben"}
    assert client.post("/api/console/reviews", body).status == 202
    [(kind, detail)] = published
    assert kind == "Photo Reviewed"
    assert detail.pop("reviewed_at")
    assert detail == {"image_id": image_id, "label": "motorcycle", "reviewed_by": "max"}


def test_a_label_that_the_model_does_not_have_is_refused(
    client: Client, published: list[Any]
) -> None:
    image_id = photo(1)
    wrong = {"image_id": image_id, "label": "tram"}
    assert client.post("/api/console/reviews", wrong).status == 422
    unknown = {"image_id": "uploads/x#1", "label": "other"}
    assert client.post("/api/console/reviews", unknown).status == 404
    assert published == []


# ── People ──


@pytest.fixture
def user_pool(client: Client, environment: pytest.MonkeyPatch) -> None:
    """The pool of the stack's users. Moto takes a quarter of a second to create one."""
    cognito = boto3.client("cognito-idp")
    pool = cognito.create_user_pool(
        PoolName="users", Policies=resources()["UserPool"]["Properties"]["Policies"]
    )["UserPool"]["Id"]
    for group in ("couriers", "reviewers", "managers"):
        cognito.create_group(UserPoolId=pool, GroupName=group)
    environment.setenv("USER_POOL_ID", pool)


def people(client: Client) -> dict[str, dict[str, Any]]:
    items = client.get("/api/console/people").json["items"]
    return {each["user_name"]: each for each in items}


@pytest.mark.usefixtures("user_pool")
def test_a_manager_creates_blocks_and_resets_users(client: Client) -> None:
    made = client.post("/api/console/people", {"user_name": "anna", "group": "couriers"})
    assert made.status == 201
    first = made.json["temporary_password"]
    assert len(first) >= 12
    assert made.headers["Cache-Control"] == "no-store"
    assert people(client)["anna"] == {
        "user_name": "anna",
        "groups": ["couriers"],
        "blocked": False,
        "state": "FORCE_CHANGE_PASSWORD",
    }
    blocked = "/api/console/people/anna/blocked"
    assert client.post(blocked, {"blocked": True}).status == 204
    assert people(client)["anna"]["blocked"]
    assert client.post(blocked, {"blocked": False}).status == 204
    assert not people(client)["anna"]["blocked"]
    again = client.post("/api/console/people/anna/password")
    assert again.json["temporary_password"] != first


@pytest.mark.usefixtures("user_pool")
def test_the_shift_of_a_blocked_courier_ends(client: Client, published: list[Any]) -> None:
    shift = {"vehicle": "bicycle", "checked_in_at": at(-60), "shift_ends_at": at(400)}
    put("CouriersTable", courier_id="anna", **shift)
    put("CouriersTable", courier_id="ben", **shift, off_shift_at=at(-1))
    for name in ("anna", "ben", "cem"):
        client.post("/api/console/people", {"user_name": name, "group": "couriers"})
        for blocked in (True, False):
            reply = client.post(f"/api/console/people/{name}/blocked", {"blocked": blocked})
            assert reply.status == 204
    [(kind, detail)] = published
    assert (kind, detail["courier_id"], detail["ended_by"]) == ("Courier Off Shift", "anna", "max")
    assert problems(EVENTS[kind], detail) == []


@pytest.mark.usefixtures("user_pool")
def test_without_dispatch_blocking_ends_no_shift(
    client: Client, environment: pytest.MonkeyPatch, published: list[Any]
) -> None:
    environment.setenv("COURIERS_TABLE_NAME", "")
    client.post("/api/console/people", {"user_name": "anna", "group": "couriers"})
    assert client.post("/api/console/people/anna/blocked", {"blocked": True}).status == 204
    assert published == []


@pytest.mark.usefixtures("user_pool")
@pytest.mark.parametrize("name", ["a/b", "Anna", "", "a b", "../x", "x" * 65, "unknown"])
def test_names_that_cannot_be_folders_are_refused(client: Client, name: str) -> None:
    reply = client.post("/api/console/people", {"user_name": name, "group": "couriers"})
    assert reply.status in (409, 422)
    assert people(client) == {}


@pytest.mark.usefixtures("user_pool")
def test_a_name_is_given_once(client: Client) -> None:
    person = {"user_name": "anna", "group": "couriers"}
    assert client.post("/api/console/people", person).status == 201
    assert client.post("/api/console/people", person).status == 409


@pytest.mark.usefixtures("user_pool")
def test_nobody_blocks_themselves_or_who_is_not_there(client: Client) -> None:
    assert client.post("/api/console/people/max/blocked", {"blocked": True}).status == 409
    assert client.post("/api/console/people/ghost/blocked", {"blocked": True}).status == 404
    assert client.post("/api/console/people/ghost/password").status == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/console/people", None),
        ("POST", "/api/console/people", {"user_name": "eve", "group": "managers"}),
        ("POST", "/api/console/people/max/password", None),
        ("POST", "/api/console/people/max/blocked", {"blocked": True}),
    ],
)
def test_reviewers_do_not_manage_people(client: Client, method: str, path: str, body: Any) -> None:
    assert as_user(client, "anna", "reviewers").send(method, path, body).status == 403


def test_a_person_ends_the_shift_of_a_courier_who_is_on_shift(
    client: Client, published: list[Any]
) -> None:
    shift = {"vehicle": "bicycle", "checked_in_at": at(-60), "shift_ends_at": at(400)}
    put("CouriersTable", courier_id="ann", **shift)
    put("CouriersTable", courier_id="bob", **shift, off_shift_at=at(-1))
    end = "/api/console/off-shift"
    assert client.post(end, {"courier_id": "bob"}).status == 409
    assert client.post(end, {"courier_id": "nobody"}).status == 409
    assert client.post(end, {"courier_id": "ann"}).status == 202
    [(kind, detail)] = published
    assert (kind, detail["courier_id"], detail["ended_by"]) == ("Courier Off Shift", "ann", "max")
    assert problems(EVENTS[kind], detail) == []
