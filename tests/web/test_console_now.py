"""The console: couriers, routes, orders and photos now; who sees which view."""

import math
import re

import pytest
from playwright.sync_api import Page, expect

from tests.web.busy_hour import fill
from tests.web.conftest import DESKTOP, PHONE, look
from tests.web.console import SignedIn, open_console
from tests.web.fake_api import Server
from tests.web.fake_shop import Shop


def card(page: Page, title: str) -> str:
    return page.locator(".count-card", has_text=title).locator("dd").inner_text()


def test_now_shows_couriers_routes_and_orders_without_colour(
    signed_in: SignedIn, shop: Shop
) -> None:
    fill(shop)
    page = open_console(signed_in)
    expect(page.locator(".courier")).to_have_count(4)
    assert card(page, "Couriers on shift") == "5"
    assert card(page, "Orders late") == "3"
    assert card(page, "Photos to review") == "6"
    # Bicycles are circles on a solid line, motorcycles are squares on a dashed line.
    assert page.locator(".courier.bicycle circle").count() == 3
    assert page.locator(".courier.motorcycle rect").count() == 1
    dashes = "element => getComputedStyle(element).strokeDasharray"
    assert page.locator(".map > svg .route.bicycle > path").first.evaluate(dashes) == "none"
    assert page.locator(".map > svg .route.motorcycle > path").first.evaluate(dashes) != "none"
    look(page, "console-now")


def test_a_route_of_one_stop_or_none_and_a_late_stop_are_drawn(
    signed_in: SignedIn, shop: Shop
) -> None:
    for name in ("anna", "bram"):
        shop.start_shift(name, "motorcycle")
    shop.add_order("1001", 2, 1, late=True)
    shop.dispatch("anna", ["1001"])
    shop.dispatch("bram", [])  # all is delivered, and the courier rides back
    page = open_console(signed_in)
    routes = page.locator(".map > svg .route")
    expect(routes).to_have_count(2)
    # Once there: on the return, the second line would fill the gaps between the dashes.
    [way] = [path.get_attribute("d") for path in routes.locator("> path").all()]
    assert re.fullmatch(r"M0 0L[-.\d]+ [-.\d]+", way or "")
    expect(routes.locator(".late")).to_have_count(2)  # the stop, and the triangle of the legend
    triangle = page.locator(".legend .late path").first.get_attribute("d")
    assert routes.locator(".waiting.late path").first.get_attribute("d") == triangle


def test_an_order_is_placed_where_the_map_was_clicked_and_shows_there(
    signed_in: SignedIn, shop: Shop
) -> None:
    shop.add_order("1001", 5, 0)
    page = open_console(signed_in)
    depot = page.locator(".map > svg .depot rect")
    expect(depot).to_be_visible()
    box = depot.bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2 - 100)
    look(page, "console-new-order")
    page.get_by_label("Boxes").fill("3")
    page.get_by_role("button", name="Place order").click()
    expect(page.locator(".waiting[data-order]")).to_have_count(2)
    [order] = [order for order_id, order in shop.orders.items() if order_id != "1001"]
    assert order["boxes"] == 3
    north, east = (order["latitude"] - 52.0907) * 111.2, (order["longitude"] - 5.1214) * 68.4
    assert 0.5 < north < 4
    assert abs(east) < 0.05
    drawn = page.locator(f".waiting[data-order='{order['order_id']}'] path").bounding_box()
    assert drawn
    assert abs(drawn["x"] + drawn["width"] / 2 - box["x"] - box["width"] / 2) < 3
    assert abs(drawn["y"] + drawn["height"] / 2 - box["y"] - box["height"] / 2 + 100) < 3


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_photo_opens_by_keyboard_and_the_focus_returns(
    signed_in: SignedIn, shop: Shop, viewport: dict[str, int]
) -> None:
    fill(shop)
    shop.latest[1] |= {"label": "other", "model_label": "motorcycle", "confidence": 0.6}
    page = open_console(signed_in, viewport=viewport)
    photos = page.locator("section", has_text="Latest photos").get_by_role("button")
    expect(photos).to_have_count(7)
    expect(photos.nth(1)).not_to_contain_text("60%")  # of the model, in another label
    photos.nth(1).focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Photo from emre")
    expect(dialog.get_by_role("img", name="Photo from emre")).to_be_visible()
    assert dialog.get_by_role("img").evaluate("(image) => image.decode().then(() => image.width)")
    expect(dialog).to_contain_text("The model says motorcycle, 60% confidence.")
    expect(dialog).to_contain_text("A person says other.")
    expect(dialog).to_contain_text("to review")
    look(page, f"console-photo-{viewport['width']}")
    shop.latest.insert(0, shop.latest[0] | {"image_id": "uploads/dirk/1.jpg#1"})
    expect(photos).to_have_count(8)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(photos.nth(2)).to_be_focused()  # the same photo, which has moved
    shop.refused["console/preview"] = 422
    photos.nth(4).click()
    dialog = page.get_by_role("dialog", name="Photo from emre")
    expect(dialog.get_by_role("alert")).to_contain_text("The service has a fault.")
    expect(dialog).to_contain_text("The model has given it no label.")
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_have_count(0)


def test_a_street_map_is_drawn_to_scale_below_the_routes(
    signed_in: SignedIn, shop: Shop, server: Server
) -> None:
    shop.add_order("1001", 5, 0)
    shop.map_tiles = f"{server.url}/assets/icon.svg?{{z}}/{{x}}/{{y}}"
    page = open_console(signed_in)
    expect(page.locator(".map .streets image")).not_to_have_count(0)
    depot = page.locator(".map > svg .depot rect").bounding_box()
    assert depot
    x, y = depot["x"] + depot["width"] / 2, depot["y"] + depot["height"] / 2
    [tile] = [
        (address, box)
        for image in page.locator(".map .streets image").all()
        if (box := image.bounding_box()) and (address := image.get_attribute("href"))
        if box["x"] <= x < box["x"] + box["width"] and box["y"] <= y < box["y"] + box["height"]
    ]
    address, box = tile
    z, column, row = map(int, address.rpartition("?")[2].split("/"))
    # Where the shop is in the Mercator projection, in tiles.
    east = (5.1214 + 180) / 360 * 2**z
    north = (1 - math.asinh(math.tan(math.radians(52.0907))) / math.pi) / 2 * 2**z
    assert (column, row) == (int(east), int(north))
    assert abs((x - box["x"]) / box["width"] - east % 1) < 0.01
    assert abs((y - box["y"]) / box["height"] - north % 1) < 0.01
    page.mouse.click(x, y - 100)
    expect(page.get_by_label("Boxes")).to_be_visible()


def test_a_person_ends_a_shift_and_corrects_a_vehicle(signed_in: SignedIn, shop: Shop) -> None:
    fill(shop)
    page = open_console(signed_in)
    courier = page.get_by_role("button", name=re.compile("^bram bicycle back"))
    courier.click()
    page.get_by_role("button", name="motorcycle", exact=True).click()
    look(page, "console-correct")
    page.get_by_role("button", name="Correct the vehicle").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="End the shift").click()
    page.get_by_role("dialog").get_by_role("button", name="End the shift").click()
    expect(courier).to_have_count(0)
    [review] = shop.reviews
    assert (review["image_id"], review["label"]) == ("uploads/bram/1.jpg#1", "motorcycle")
    assert shop.off_shift == ["bram"]


def test_a_reviewer_has_no_people(signed_in: SignedIn, shop: Shop) -> None:
    page = open_console(signed_in, "now", "rita")
    expect(page.get_by_role("link", name="Review", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="People")).to_have_count(0)


def test_the_console_in_the_dark_and_on_a_phone(signed_in: SignedIn, shop: Shop) -> None:
    fill(shop)
    page = open_console(signed_in, dark=True)
    expect(page.locator(".courier")).to_have_count(4)
    look(page, "console-now-dark")
    for view in ("Review", "Quality", "Orders", "People"):
        page.get_by_role("link", name=re.compile(rf"^{view}")).first.click()
        expect(page.locator(f".view-{view.lower()} > *:not(.messages, h1)").first).to_be_visible()
        expect(page.get_by_text("Loading")).to_have_count(0)
        look(page, f"console-{view.lower()}-dark")
    page = open_console(signed_in, viewport=PHONE)
    expect(page.locator(".courier")).to_have_count(4)
    look(page, "console-now-phone")
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width == PHONE["width"]
