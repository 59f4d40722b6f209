"""The API of the web pages, as browsers use it: with real tokens, forms and events."""

import io
import itertools
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from PIL import Image

from functions.console_api.people import temporary_password
from functions.dispatch_orders.fleet import Location
from local.browser import Browser, Reply
from local.demo import Order, open_shop
from local.web import browser_of, prepare_web
from tests.support.accounts import Accounts
from tests.support.deployed_dispatch import DEPOT, Dispatch
from tests.support.endpoint import CONFIDENT, probabilities
from tests.support.stack import Stack, standard_only
from tests.support.waiting import wait_until

pytestmark = standard_only

BELOW = probabilities(0.6, 0.3, 0.1)
JPEG = b"\xff\xd8\xff"
GPS, GPS_LATITUDE, GPS_AREA = 0x8825, 2, 28  # tags of EXIF


@dataclass
class Shop:
    """The pages of the deployed stack and their users."""

    stack: Stack
    browser: Browser
    accounts: Accounts

    def new(self, group: str) -> tuple[str, Browser]:
        """A new user of a group, signed in."""
        name, password = self.accounts.create(group)
        return name, self.browser.sign_in(name, password)


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Iterator[Shop]:
    dispatch = Dispatch(stack)
    dispatch.wait_until_planned()
    dispatch.clear()  # couriers of other tests would get the orders
    stack.change("Web", "on")
    cloud, outputs = stack.cloud, stack.outputs
    prepare_web(cloud, outputs)
    yield Shop(
        stack,
        browser_of(cloud, outputs),
        Accounts.of(stack),
    )
    stack.change("Web", "off")


@pytest.fixture
def manager(shop: Shop) -> Browser:
    return shop.new("managers")[1]


def in_minutes(minutes: float) -> str:
    return (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()


def when(condition: Callable[[], bool], what: str) -> None:
    wait_until(condition, what)


def assert_ok(reply: Reply, status: int = 200) -> Any:
    assert reply.status == status, reply.content
    return reply.json if reply.content else None


# ── Who may do what ──


def test_the_pages_need_no_token_and_the_api_does(shop: Shop) -> None:
    for path in ("", "console", "config.json"):
        reply = shop.browser.send("GET", path)
        assert reply.status == 200
        assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
    for path in (
        "api/courier/shift",
        "api/console/now",
        "api/console/preview?image_id=x",
        "api/console/explanation?image_id=x",
    ):
        assert shop.browser.api("GET", path).status == 401


def test_other_tokens_get_401(shop: Shop) -> None:
    """Changed ones, without a signature, for another client, of another pool."""
    name, courier = shop.new("couriers")
    assert courier.token
    head, claims, signature = courier.token.split(".")
    users = shop.accounts.users
    other_pool = users.cognito.create_user_pool(PoolName="other")["UserPool"]["Id"]
    users.cognito.admin_create_user(UserPoolId=other_pool, Username=name)
    assert courier.api("GET", "api/courier/shift").status == 200
    changed = signature[:-8] + ("A" * 8 if signature[-8:] != "A" * 8 else "B" * 8)
    for token in (
        "x",
        f"{head}.{claims}.{changed}",
        f"{head}.{claims}.",
        token_of_other_client(shop, users.pool, name),
        token_of_other_client(shop, other_pool, name),
    ):
        courier.token = token
        assert courier.api("GET", "api/courier/shift").status == 401
    users.cognito.delete_user_pool(UserPoolId=other_pool)


def token_of_other_client(shop: Shop, pool: str, name: str) -> str:
    """An access token that a pool gives to another client than the pages."""
    cognito = shop.accounts.users.cognito
    password = f"{temporary_password()}!"  # a new pool wants symbols as well
    cognito.admin_set_user_password(
        UserPoolId=pool, Username=name, Password=password, Permanent=True
    )
    client = cognito.create_user_pool_client(
        UserPoolId=pool, ClientName="other", ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH"]
    )["UserPoolClient"]["ClientId"]
    token: str = cognito.admin_initiate_auth(
        UserPoolId=pool,
        ClientId=client,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": name, "PASSWORD": password},
    )["AuthenticationResult"]["AccessToken"]
    return token


def test_an_expired_token_gets_401(shop: Shop) -> None:
    users = shop.accounts.users

    def let_tokens_last(number: int, unit: str) -> None:
        users.cognito.update_user_pool_client(
            UserPoolId=users.pool,
            ClientId=shop.browser.client_id,
            AccessTokenValidity=number,
            TokenValidityUnits={"AccessToken": unit},
        )

    let_tokens_last(1, "seconds")  # AWS allows five minutes at least
    try:
        _, courier = shop.new("couriers")
    finally:
        let_tokens_last(60, "minutes")
    when(lambda: courier.api("GET", "api/courier/shift").status == 401, "an expired token")


def test_who_is_in_another_group_gets_403(shop: Shop) -> None:
    _, courier = shop.new("couriers")
    _, reviewer = shop.new("reviewers")
    for browser, path in (
        (courier, "api/console/now"),
        (courier, "api/console/preview?image_id=uploads/x/y%23z"),
        (courier, "api/console/explanation?image_id=uploads/x/y%23z"),
        (courier, "api/console/people"),
        (reviewer, "api/console/people"),
        (reviewer, "api/courier/shift"),
    ):
        reply = browser.api("GET", path)
        assert (reply.status, reply.json["status"]) == (403, 403)
        assert reply.headers["Content-Type"] == "application/problem+json"


# ── From a photo to a delivery ──


def test_a_courier_uploads_gets_a_route_and_delivers(shop: Shop, manager: Browser) -> None:
    name, courier = shop.new("couriers")
    _, other = shop.new("couriers")
    photo = shop.stack.photo()
    wanted = {"content_type": "image/png", "size": len(photo)}
    form = assert_ok(courier.api("POST", "api/courier/uploads", wanted), 201)
    path = f"api/courier/photos/{form['photo_id']}"
    assert assert_ok(courier.api("GET", path))["state"] == "not_uploaded"
    with shop.stack.endpoint.responding(then=CONFIDENT):
        assert courier.upload(form["url"], form["fields"], photo).status == 204
        when(lambda: courier.api("GET", path).json["state"] == "accepted", "an accepted photo")
    etag = courier.api("GET", path).headers["ETag"]
    again = courier.api("GET", path, If_None_Match=etag)
    assert (again.status, again.content) == (304, b"")
    assert assert_ok(other.api("GET", path))["state"] == "not_uploaded"

    def shift() -> Any:
        return assert_ok(courier.api("GET", "api/courier/shift"))

    when(lambda: shift()["state"] == "free", "a courier on shift")
    order = {"latitude": DEPOT[0] + 0.01, "longitude": DEPOT[1], "boxes": 1}
    order |= {"ready_at": in_minutes(-5), "due_from": in_minutes(-5), "due_until": in_minutes(12)}
    order_id = assert_ok(manager.api("POST", "api/console/orders", order), 202)["order_id"]
    when(lambda: shift()["route"] is not None, "a route")
    route = shift()["route"]
    assert [stop["order_id"] for stop in route["stops"]] == [order_id]
    now = assert_ok(manager.api("GET", "api/console/now"))
    assert name in {each["courier_id"] for each in now["couriers"]}
    assert order_id in {each["order_id"] for each in now["orders"]}
    delivery = {"order_id": order_id, "dispatch_id": route["dispatch_id"]}
    assert other.api("POST", "api/courier/deliveries", delivery).status == 404
    assert assert_ok(other.api("GET", "api/courier/shift"))["route"] is None
    assert_ok(courier.api("POST", "api/courier/deliveries", delivery), 202)

    def listed() -> dict[str, Any]:
        chosen = f"courier_id={name}&day={order['due_until'][:10]}"  # a delivered order is not open
        orders = assert_ok(manager.api("GET", f"api/console/orders?{chosen}"))
        return {each["order_id"]: each["state"] for each in orders["items"]}

    when(lambda: listed() == {order_id: "delivered"}, "a delivered order")
    assert_ok(courier.api("POST", "api/courier/off-shift"), 202)
    when(lambda: shift()["state"] == "off", "a courier who went home")


def test_a_form_uploads_nothing_but_what_it_is_for(shop: Shop) -> None:
    _, courier = shop.new("couriers")
    photo = shop.stack.photo()
    wanted = {"content_type": "image/png", "size": len(photo)}
    form = assert_ok(courier.api("POST", "api/courier/uploads", wanted), 201)
    fields = form["fields"]
    for changes in (
        {"key": "uploads/ben/1.png"},
        {"key": fields["key"] + "x"},
        {"Content-Type": "text/html"},
    ):
        assert courier.upload(form["url"], fields | changes, photo).status == 403
    assert courier.upload(form["url"], fields, photo + b"x").status in (400, 403)
    assert courier.upload(form["url"], fields, photo).status == 204


def test_an_order_is_cancelled(shop: Shop, manager: Browser) -> None:
    order = {"latitude": DEPOT[0], "longitude": DEPOT[1], "boxes": 1}
    order |= {"ready_at": in_minutes(300), "due_from": in_minutes(360)}
    order |= {"due_until": in_minutes(390)}
    order_id = assert_ok(manager.api("POST", "api/console/orders", order), 202)["order_id"]
    day = order["due_until"][:10]

    def state() -> str | None:
        page = assert_ok(manager.api("GET", f"api/console/orders?day={day}"))
        states = {each["order_id"]: each["state"] for each in page["items"]}
        return states.get(order_id)

    when(lambda: state() == "waiting", "an order that waits")
    cancellation = {"order_id": order_id}
    assert_ok(manager.api("POST", "api/console/cancellations", cancellation), 202)
    when(lambda: state() == "cancelled", "a cancelled order")


def test_a_person_overrules_the_planner(shop: Shop, manager: Browser) -> None:
    """Pin to a courier who is not there, hold back, release, change the window."""
    order = {"latitude": DEPOT[0] + 0.01, "longitude": DEPOT[1], "boxes": 1}
    order |= {"ready_at": in_minutes(-5), "due_from": in_minutes(360)}
    order |= {"due_until": in_minutes(390)}
    order_id = assert_ok(manager.api("POST", "api/console/orders", order), 202)["order_id"]

    def found() -> dict[str, Any]:
        page = assert_ok(manager.api("GET", "api/console/orders?limit=100"))
        return {each["order_id"]: each for each in page["items"]}.get(order_id, {})

    def change(**changes: Any) -> None:
        body = {"order_id": order_id, **changes}
        assert_ok(manager.api("POST", "api/console/changes", body), 202)

    when(lambda: bool(found()), "an open order")
    change(courier_id="nobody", held=True)
    when(lambda: found()["held_by"] is not None, "an order that is held back")
    assert found()["pinned_to"] == "nobody"
    assert found()["reason"].startswith("waiting: held back by ")
    change(held=False, due_from=in_minutes(-5), due_until=in_minutes(30))
    missing = "waiting: courier nobody is not checked in; window changed by "
    when(lambda: found()["reason"].startswith(missing), "a plan of the pinned order")
    assert_ok(manager.api("POST", "api/console/cancellations", {"order_id": order_id}), 202)
    when(lambda: not found(), "an order that is not open")
    assert (
        manager.api("POST", "api/console/changes", {"order_id": order_id, "held": True}).status
        == 409
    )


# ── Reviews ──


def test_a_photo_is_reviewed_by_one_person(shop: Shop) -> None:
    name, anna = shop.new("reviewers")
    _, ben = shop.new("reviewers")
    with shop.stack.endpoint.responding(then=BELOW):
        image_id = shop.stack.upload(shop.stack.photo(), "uploads/web/1.png").image_id

    def lease(browser: Browser) -> list[str]:
        """All photos that wait; other tests may have left some."""
        leased: list[str] = []
        while items := assert_ok(browser.api("POST", "api/console/leases", {"count": 10}))["items"]:
            leased += [each["image_id"] for each in items]
        return leased

    assert image_id in lease(anna)
    assert image_id not in lease(ben)
    quoted = image_id.replace("#", "%23")
    preview = anna.api("GET", f"api/console/preview?image_id={quoted}")
    assert (preview.status, preview.headers["Content-Type"]) == (200, "image/jpeg")
    assert preview.content.startswith(JPEG)
    explained = assert_ok(anna.api("GET", f"api/console/explanation?image_id={quoted}"))
    assert explained["label"] in ("bicycle", "motorcycle", "other")
    assert {type(cell) for row in explained["activation"] for cell in row} == {float}
    review = {"image_id": image_id, "label": "other"}
    assert_ok(anna.api("POST", "api/console/reviews", review), 202)

    def label() -> dict[str, Any]:
        record = shop.stack.record(image_id) or {}
        return {key: record.get(key) for key in ("reviewed_label", "reviewed_by")}

    when(
        lambda: label() == {"reviewed_label": {"S": "other"}, "reviewed_by": {"S": name}},
        "a recorded review",
    )


def test_the_position_in_a_photo_reaches_no_browser_and_no_log(
    shop: Shop, manager: Browser
) -> None:
    """Phones write into a photo where it was taken."""
    name, courier = shop.new("couriers")
    exif = Image.Exif()
    latitude = "48.123456789"
    exif.get_ifd(GPS)[GPS_AREA] = f"ASCII\0\0\0{latitude}".encode()
    exif.get_ifd(GPS)[GPS_LATITUDE] = (48.0, 7.0, 24.444)
    file = io.BytesIO()
    Image.new("RGB", (80, 60), "red").save(file, "JPEG", exif=exif)
    photo = file.getvalue()
    assert latitude.encode() in photo
    wanted = {"content_type": "image/jpeg", "size": len(photo)}
    form = assert_ok(courier.api("POST", "api/courier/uploads", wanted), 201)
    path = f"api/courier/photos/{form['photo_id']}"
    with shop.stack.endpoint.responding(then=BELOW):
        assert courier.upload(form["url"], form["fields"], photo).status == 204
        when(lambda: courier.api("GET", path).json["state"] == "review", "a photo to review")
    leased = manager.api("POST", "api/console/leases", {"count": 10})
    [image_id] = [
        each["image_id"]
        for each in leased.json["items"]
        if each["image_id"].startswith(f"uploads/{name}/")
    ]
    preview = manager.api("GET", f"api/console/preview?image_id={image_id.replace('#', '%23')}")
    assert not Image.open(io.BytesIO(preview.content)).getexif()
    now = manager.api("GET", "api/console/now")
    assert image_id in now.content.decode()
    for reply in (courier.api("GET", path), leased, preview, now):
        assert latitude.encode() not in reply.content
    logs = shop.stack.cloud.client("logs").get_paginator("filter_log_events")
    group = shop.stack.outputs["FunctionsLogGroupName"]
    lines = [
        event["message"] for page in logs.paginate(logGroupName=group) for event in page["events"]
    ]
    assert lines
    assert not any(latitude in line or "GPS" in line for line in lines)


# ── People ──


def test_a_manager_manages_people(shop: Shop, manager: Browser) -> None:
    person = {"user_name": f"new-{secrets.token_hex(4)}", "group": "couriers"}
    made = assert_ok(manager.api("POST", "api/console/people", person), 201)
    assert len(made["temporary_password"]) >= 12
    path = f"api/console/people/{person['user_name']}"
    assert_ok(manager.api("POST", f"{path}/password"))
    assert manager.api("POST", f"{path}/blocked", {"blocked": True}).status == 204
    people = assert_ok(manager.api("GET", "api/console/people"))["items"]
    [found] = [each for each in people if each["user_name"] == person["user_name"]]
    assert (found["blocked"], found["groups"]) == (True, ["couriers"])


def test_quality_can_be_read(manager: Browser) -> None:
    found = assert_ok(manager.api("GET", "api/console/quality"))
    assert found.keys() == {"days", "hours", "deliveries", "retrainings", "alarms"}


# ── make demo ──


def test_the_people_of_the_demo_send_photos_order_and_deliver(shop: Shop) -> None:
    stage = open_shop(shop.stack.cloud, shop.stack.outputs)
    stage.couriers = {"dina": stage.couriers["dina"]}
    stage.orders = []
    minutes = itertools.count()
    said: list[str] = []

    def step() -> None:
        stage.act(next(minutes), said.append)

    def has_said(text: str) -> bool:
        step()
        return any(text in line for line in said)

    # Her first photo is broken. The second one is below the threshold, so that a person decides.
    with shop.stack.endpoint.responding(then=BELOW):
        when(lambda: has_said("dina's photo: rejected"), "a rejected photo")
        when(lambda: has_said("sam labels the photo of dina: bicycle"), "a review")
    when(lambda: has_said("dina's photo: accepted, bicycle"), "an accepted photo")
    stage.orders = [Order(0, Location(DEPOT[0] + 0.01, DEPOT[1]), 1, 12)]
    when(lambda: has_said("dina delivers order"), "a delivery")
    assert_ok(stage.couriers["dina"].person.browser.api("POST", "api/courier/off-shift"), 202)
