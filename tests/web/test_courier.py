"""The courier's page: photo, shift, route, on a phone."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.web.conftest import cut, look
from tests.web.fake_api import PROJECT
from tests.web.fake_shop import Shop

PHOTOS = PROJECT / "local" / "photos"
BICYCLE = PHOTOS / "bicycle-courier.jpg"
HEIC = PHOTOS / "motorcycle-at-night.heic"

type SignedIn = Callable[..., Page]


def choose(page: Page, photo: object) -> None:
    page.get_by_label("Choose a photo").set_input_files(photo)


def test_a_photo_that_is_below_the_threshold_waits_and_then_counts(
    signed_in: SignedIn, shop: Shop
) -> None:
    shop.outcome = ("review", None, "The photo is not clear. A colleague decides.")
    page = signed_in("anna")
    choose(page, BICYCLE)
    expect(page.get_by_text("A colleague looks at your photo")).to_be_visible()
    shop.outcome = ("accepted", "bicycle", "")
    expect(page.get_by_text("Accepted: bicycle")).to_be_visible()


def test_a_rejected_photo_says_why_and_the_next_one_replaces_it(
    signed_in: SignedIn, shop: Shop
) -> None:
    shop.outcome = ("rejected", None, "There is no vehicle in the photo.")
    page = signed_in("anna")
    choose(page, PHOTOS / "no-vehicle-scone.jpg")
    expect(page.get_by_text("Take the photo again")).to_be_visible()
    expect(page.get_by_text("There is no vehicle in the photo.")).to_be_visible()
    look(page, "courier-rejected")
    shop.outcome = ("accepted", "bicycle", "")
    choose(page, BICYCLE)
    expect(page.get_by_text("Accepted: bicycle")).to_be_visible()
    expect(page.get_by_text("Take the photo again")).to_have_count(0)


@pytest.mark.parametrize("kind", ["image/heic", ""], ids=["known type", "unknown type"])
def test_heic_of_an_iphone_is_sent_though_the_browser_cannot_show_it(
    signed_in: SignedIn, shop: Shop, kind: str
) -> None:
    shop.outcome = ("accepted", "motorcycle", "")
    page = signed_in("anna")
    choose(page, {"name": "IMG_1.HEIC", "mimeType": kind, "buffer": HEIC.read_bytes()})
    expect(page.get_by_text("Accepted: motorcycle")).to_be_visible()
    [upload] = shop.uploads.values()
    assert upload["content_type"] == "image/heic"
    assert upload["content"] == HEIC.read_bytes()


@pytest.mark.parametrize(
    ("name", "kind", "content", "message"),
    [
        ("notes.txt", "text/plain", b"hello", "This file is not a photo."),
        ("photo.jpg", "image/jpeg", b"", "This file is empty."),
        ("photo.jpg", "image/jpeg", bytes(20_000_001), "larger than 20 MB"),
    ],
    ids=["text", "empty", "large"],
)
def test_a_file_that_cannot_be_sent_is_refused_at_once(
    signed_in: SignedIn, shop: Shop, name: str, kind: str, content: bytes, message: str
) -> None:
    page = signed_in("anna")
    choose(page, {"name": name, "mimeType": kind, "buffer": content})
    expect(page.get_by_text(message)).to_be_visible()
    assert not shop.uploads


@pytest.mark.parametrize("pattern", ["**/api/courier/uploads", "**/upload"])
def test_a_photo_without_connection_is_kept_over_a_reload_and_sent_once(
    signed_in: SignedIn, shop: Shop, pattern: str
) -> None:
    page = signed_in("anna")
    restore = cut(page, pattern)
    choose(page, BICYCLE)
    expect(page.get_by_text("Waiting for a connection")).to_be_visible()
    look(page, "courier-offline")
    page.reload()
    expect(page.get_by_text("Waiting for a connection")).to_be_visible()
    page.get_by_role("button", name="Send now").click()
    restore()
    expect(page.get_by_text("Accepted: bicycle")).to_be_visible()
    sent = [upload for upload in shop.uploads.values() if upload["content"]]
    assert [upload["content"] for upload in sent] == [BICYCLE.read_bytes()]
    page.reload()
    expect(page.get_by_text("On shift: bicycle")).to_be_visible()
    assert len([upload for upload in shop.uploads.values() if upload["content"]]) == 1


@pytest.mark.parametrize(
    ("path", "status"), [("upload", 503), ("courier/uploads", 503), ("courier/uploads", 429)]
)
def test_a_fault_or_too_many_requests_do_not_lose_the_photo(
    signed_in: SignedIn, shop: Shop, path: str, status: int
) -> None:
    shop.refused[path] = status
    page = signed_in("anna")
    choose(page, BICYCLE)
    expect(page.get_by_text("Waiting for a connection")).to_be_visible()
    shop.refused.clear()
    expect(page.get_by_text("Accepted: bicycle")).to_be_visible()


def test_a_photo_that_s3_refuses_is_not_sent_for_ever(signed_in: SignedIn, shop: Shop) -> None:
    shop.refused["upload"] = 400
    page = signed_in("anna")
    choose(page, BICYCLE)
    expect(page.get_by_text("The photo was not checked. Take it again")).to_be_visible()


def test_a_delivery_without_connection_is_reported_later_with_its_time(
    signed_in: SignedIn, shop: Shop
) -> None:
    shop.start_shift("anna", "bicycle")
    shop.add_order("1001", 0.8, 0.5)
    shop.dispatch("anna", ["1001"])
    page = signed_in("anna")
    restore = cut(page, "**/api/courier/deliveries")
    with page.expect_event("requestfailed"):
        page.get_by_role("button", name="Delivered").click()
    expect(page.get_by_text("Order 1001, delivered")).to_be_visible()
    page.reload()
    expect(page.get_by_text("Order 1001, delivered")).to_be_visible()
    assert not shop.deliveries
    restore()
    with page.expect_response("**/api/courier/deliveries"):
        page.evaluate("dispatchEvent(new Event('online'))")
    [delivery] = shop.deliveries
    assert delivery["delivered_at"].endswith("Z")


def test_all_that_waits_for_a_connection_says_so_and_is_sent(
    signed_in: SignedIn, shop: Shop
) -> None:
    shop.start_shift("anna", "bicycle")
    shop.add_order("1001", 0.8, 0.5)
    shop.add_order("1002", 0.9, 0.5)
    shop.dispatch("anna", ["1001", "1002"])
    page = signed_in("anna")
    restore = cut(page, "**/api/courier/deliveries")
    for waiting in (1, 2):
        page.get_by_role("button", name="Delivered").first.click()
        expect(page.get_by_text("not sent yet")).to_have_count(waiting)
    choose(page, BICYCLE)
    expect(page.get_by_text("Waiting for a connection")).to_be_visible()
    expect(page.get_by_role("button", name="Send now")).to_have_count(3)
    look(page, "courier-waiting")
    restore()
    page.get_by_role("button", name="Send now").first.click()
    expect(page.get_by_text("Accepted: bicycle")).to_be_visible()
    expect(page.get_by_text("not sent yet")).to_have_count(0)
    assert [delivery["order_id"] for delivery in shop.deliveries] == ["1001", "1002"]


def test_a_shift_that_the_shop_ends_takes_its_photo_with_it(
    signed_in: SignedIn, shop: Shop
) -> None:
    page = signed_in("anna")
    choose(page, BICYCLE)
    expect(page.get_by_text("On shift: bicycle")).to_be_visible()
    expect(page.get_by_text("Accepted: bicycle")).to_be_visible()
    shop.end_shift("anna", None)
    expect(page.get_by_text("Your last shift has ended.")).to_be_visible()
    expect(page.get_by_text("Accepted: bicycle")).to_have_count(0)


def test_another_courier_on_the_same_phone_neither_sees_nor_sends_the_photo(
    signed_in: SignedIn, shop: Shop
) -> None:
    shop.add_person("bram", "couriers")
    page = signed_in("anna")
    restore = cut(page, "**/upload")
    choose(page, BICYCLE)
    expect(page.get_by_text("Waiting for a connection")).to_be_visible()
    restore_all = cut(page, "**/api/courier/uploads")
    restore()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("User name").fill("bram")
    page.get_by_role("button", name="Sign in").click()
    restore_all()
    expect(page.get_by_text("Start your shift")).to_be_visible()
    expect(page.locator(".photo")).to_have_count(0)
    assert not [upload for upload in shop.uploads.values() if upload["content"]]


def test_the_page_in_the_dark_and_on_a_desktop(signed_in: SignedIn, shop: Shop) -> None:
    shop.start_shift("anna", "motorcycle")
    shop.add_order("1001", 4.8, 2.5)
    shop.add_order("1002", 5.4, 3.1)
    shop.dispatch("anna", ["1001", "1002"])
    page = signed_in("anna", dark=True)
    expect(page.get_by_text("Order 1001")).to_be_visible()
    look(page, "courier-route-dark")
    page = signed_in("anna", viewport={"width": 1366, "height": 850})
    expect(page.get_by_text("Order 1001")).to_be_visible()
    look(page, "courier-route-desktop")


def test_the_page_opens_without_a_connection_with_the_route_and_reports_later(
    signed_in: SignedIn, shop: Shop
) -> None:
    shop.start_shift("anna", "bicycle")
    shop.add_order("1001", 0.8, 0.5)
    shop.dispatch("anna", ["1001"])
    page = signed_in("anna")
    expect(page.get_by_text("Order 1001")).to_be_visible()
    page.wait_for_function("async () => (await caches.open('pages')).match(location.pathname)")
    page.context.set_offline(True)
    page.reload()
    expect(page.get_by_text("No connection.")).to_be_visible()
    page.get_by_role("button", name="Delivered").click()
    expect(page.get_by_text("Order 1001, delivered")).to_be_visible()
    look(page, "courier-without-connection")
    # The token is gone with the page: it signs in again before it reports.
    with page.expect_response(lambda reply: reply.url.endswith("deliveries") and reply.ok):
        page.context.set_offline(False)
    expect(page.get_by_text("No connection.")).to_have_count(0)
    assert [delivery["order_id"] for delivery in shop.deliveries] == ["1001"]


def test_a_connection_that_answers_nothing_is_given_up_and_tried_again(
    signed_in: SignedIn, shop: Shop
) -> None:
    page = signed_in("anna")
    expect(page.get_by_text("Start your shift")).to_be_visible()
    page.clock.install()
    with page.expect_request("**/api/courier/shift"):
        page.route("**/api/**", lambda _: None)
    page.clock.run_for(20_000)
    expect(page.get_by_text("No connection.")).to_be_visible()
    page.unroute_all()
    page.clock.run_for(3_000)
    expect(page.get_by_text("No connection.")).to_have_count(0)


def test_without_a_connection_and_a_sign_in_the_page_says_what_to_do(
    signed_in: SignedIn, shop: Shop
) -> None:
    page = signed_in("anna")
    page.wait_for_function("async () => (await caches.open('pages')).match(location.pathname)")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    page.context.set_offline(True)
    page.reload()
    expect(page.get_by_text("The service cannot be reached.")).to_be_visible()
    assert page.evaluate("caches.match('config.json')") is None
