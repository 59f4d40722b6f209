"""The console: map, orders, review, quality, people."""

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect

from tests.web.conftest import DESKTOP, PHONE, ZONE, look
from tests.web.fake_api import Server, Shop, fill, minutes

type SignedIn = Callable[..., Page]


def open_console(
    signed_in: SignedIn,
    view: str = "now",
    name: str = "manager",
    viewport: dict[str, int] = DESKTOP,
    *,
    dark: bool = False,
) -> Page:
    return signed_in(name, f"/console#{view}", viewport, dark=dark)


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


def test_a_refused_order_says_which_field_is_wrong(signed_in: SignedIn, shop: Shop) -> None:
    page = open_console(signed_in, "orders")
    expect(page.get_by_role("button", name="New order")).to_be_visible()
    page.keyboard.press("n")
    page.get_by_label("Latitude").fill("52.1")
    page.get_by_label("Longitude").fill("5.1")
    page.get_by_label("Deliver from").fill("2026-11-20T12:00")
    page.get_by_label("Deliver until").fill("2026-11-20T11:00")
    page.get_by_role("button", name="Place order").click()
    expect(page.get_by_role("alert")).to_contain_text("due_until is before due_from")
    assert not shop.orders


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_times_in_a_reason_are_local_like_the_others(
    signed_in: SignedIn, shop: Shop, viewport: dict[str, int]
) -> None:
    noon = datetime.now(UTC).replace(hour=12, minute=5)
    local = f"{noon.astimezone(ZONE):%H:%M}"
    for order_id, reason in (
        ("joins", "waiting: goes by bicycle at 12:05 UTC; more orders may join"),
        ("opens", "waiting: not due before 2100-06-30 22:30 UTC; pinned to courier 77:77 UTC"),
        ("markup", "waiting: <b>12:05 UTC</b>"),
    ):
        shop.add_order(order_id, 1, 1, reason=reason)
    page = open_console(signed_in, "orders", viewport=viewport)
    reasons = page.locator("td.wide")
    expect(reasons).to_have_text(
        [
            f"waiting: goes by bicycle at {local}; more orders may join",
            "waiting: not due before 2100-07-01 00:30; pinned to courier 77:77 UTC",
            f"waiting: <b>{local}</b>",
        ]
    )
    look(page, f"console-reasons-{viewport['width']}")
    page.get_by_role("link", name="Now").click()
    title = page.locator(".waiting[data-order='joins'] title")
    expect(title).to_have_text(re.compile(rf"goes by bicycle at {local};"))
    shop.refusal = "due_until is in the past: 2026-06-30 22:30 UTC"
    page.get_by_role("link", name="Orders", exact=True).click()
    page.get_by_role("button", name="New order").click()
    page.get_by_label("Latitude").fill("52.1")
    page.get_by_label("Longitude").fill("5.1")
    page.get_by_role("button", name="Place order").click()
    expect(page.get_by_role("alert")).to_have_text(
        "refused: due_until is in the past: 2026-07-01 00:30"
    )


def test_an_order_that_the_dispatch_refuses_later_says_why_and_can_be_corrected(
    signed_in: SignedIn, shop: Shop
) -> None:
    shop.refusal = "beyond the range of every vehicle that carries it: 95.0 km from the depot"
    page = open_console(signed_in, "orders")
    page.get_by_role("button", name="New order").click()
    page.get_by_label("Latitude").fill("53")
    page.get_by_label("Longitude").fill("5.1")
    page.get_by_role("button", name="Place order").click()
    expect(page.get_by_role("alert")).to_have_text(f"refused: {shop.refusal}")
    shop.refusal = ""
    page.get_by_label("Latitude").fill("52.1")
    page.get_by_role("button", name="Place order").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert [order["state"] for order in shop.orders.values()] == ["refused", "waiting"]


def test_orders_are_filtered_cancelled_and_walked_by_arrow_keys(
    signed_in: SignedIn, shop: Shop
) -> None:
    fill(shop)
    page = open_console(signed_in, "orders")
    rows = page.locator("tbody tr")
    expect(page.get_by_role("row", name="1010")).to_be_visible()
    expect(page.get_by_role("row", name="1000")).to_have_count(0)
    look(page, "console-orders")
    page.get_by_label("State").select_option("refused")
    expect(page.get_by_role("row", name="1000")).to_contain_text("no vehicle carries 40 boxes")
    page.get_by_label("State").select_option("")
    page.get_by_role("button", name="All open orders").click()
    expect(page.get_by_role("row", name="1010")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(rows.nth(1)).to_be_focused()
    page.get_by_label("State").select_option("waiting")
    expect(rows).to_have_count(9)
    page.get_by_role("button", name="Cancel order 2001").click()
    look(page, "console-cancel")
    page.get_by_role("button", name="Cancel the order").click()
    expect(rows).to_have_count(8)
    assert shop.orders["2001"]["state"] == "cancelled"
    page.get_by_label("State").select_option("")
    courier = page.get_by_label("Courier")
    courier.fill("bram")
    courier.press("Enter")
    expect(rows).to_have_count(3)


def test_orders_are_filtered_by_a_courier_who_is_not_on_shift(
    signed_in: SignedIn, shop: Shop
) -> None:
    shop.add_order("1001", 1, 1, state="assigned", courier_id="zoe", arrives_at=minutes(-5))
    shop.add_order("1002", 1, 1)
    page = open_console(signed_in, "orders")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(2)
    offered = page.locator("#couriers option")
    assert [option.get_attribute("value") for option in offered.all()] == ["zoe"]
    page.get_by_label("Courier").fill("zoe")
    page.get_by_label("Courier").press("Enter")
    expect(rows).to_have_count(1)
    page.get_by_label("Courier").fill("")
    page.get_by_label("Courier").press("Enter")
    expect(rows).to_have_count(2)


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_orders_are_filtered_by_the_local_time_at_which_they_are_due(
    signed_in: SignedIn, shop: Shop, viewport: dict[str, int]
) -> None:
    for hour in (9, 10, 11):
        shop.add_order(f"at-{hour}", 1, 1, due_until=f"2100-07-07T{hour:02}:00:00Z")
    page = open_console(signed_in, "orders", viewport=viewport)
    rows = page.locator("tbody th")
    expect(rows).to_have_text(["at-9", "at-10", "at-11"])
    page.get_by_label("Due after").fill("2100-07-07T12:00")  # two hours ahead of UTC
    expect(rows).to_have_text(["at-10", "at-11"])
    page.get_by_label("Due before").focus()
    page.keyboard.type("07072100")
    page.keyboard.press("ArrowRight")  # a year may have more digits
    page.keyboard.type("1230p")  # "p" if the browser's language has 12 hours
    expect(page.get_by_label("Due before")).to_have_value("2100-07-07T12:30")
    expect(rows).to_have_text(["at-10"])
    page.get_by_label("Due after").fill("")
    expect(rows).to_have_text(["at-9", "at-10"])
    look(page, f"console-orders-due-{viewport['width']}")
    page.get_by_role("link", name="Now").click()
    expect(page.get_by_text("Orders waiting")).to_be_visible()
    page.get_by_role("link", name="Orders", exact=True).click()
    expect(page.get_by_label("Due before")).to_have_value("2100-07-07T12:30")
    expect(rows).to_have_text(["at-9", "at-10"])


def test_ids_that_the_service_chose_are_short_and_whole_in_the_title(
    signed_in: SignedIn, shop: Shop
) -> None:
    shop.add_order("8b0a7a3e-9d51-4b0c-a2f6-0d3f5a1c7e11", 1, 1)
    shop.add_order("8b0a7a3e-of-the-shop", 1, 1)
    page = open_console(signed_in, "orders")
    ids = page.locator("tbody th")
    expect(ids).to_have_text(["8b0a7a3e", "8b0a7a3e-of-the-shop"])
    expect(ids.first).to_have_attribute("title", "8b0a7a3e-9d51-4b0c-a2f6-0d3f5a1c7e11")


def test_a_person_overrules_the_planner_by_keyboard(signed_in: SignedIn, shop: Shop) -> None:
    fill(shop)
    page = open_console(signed_in, "orders")
    page.get_by_label("State").select_option("waiting")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(9)
    rows.nth(0).focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("h")
    row = page.get_by_role("row", name="2001")
    expect(row).to_contain_text("held back by manager")
    page.keyboard.press("h")
    expect(row).not_to_contain_text("held back")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Change order 2001")
    expect(dialog.get_by_label("Pin to courier")).to_be_focused()
    page.keyboard.type("bram")
    look(page, "console-change")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(row).to_contain_text("pinned to courier bram by manager")
    assert shop.changes == [
        {"order_id": "2001", "held": True, "changed_by": "manager"},
        {"order_id": "2001", "held": False, "changed_by": "manager"},
        {"order_id": "2001", "courier_id": "bram", "changed_by": "manager"},
    ]


def test_only_a_route_that_has_not_left_can_be_changed(signed_in: SignedIn, shop: Shop) -> None:
    for name in ("bram", "emre"):
        shop.start_shift(name, "bicycle")
        shop.add_order(f"of-{name}", 1, 1)
    shop.dispatch("bram", ["of-bram"], left=5)
    shop.dispatch("emre", ["of-emre"], left=-5)
    page = open_console(signed_in, "orders")
    expect(page.get_by_role("row", name="of-bram")).to_be_visible()
    expect(page.get_by_role("button", name="Change order of-bram")).to_have_count(0)
    page.get_by_role("button", name="Change order of-emre").click()
    dialog = page.get_by_role("dialog", name="Change order of-emre")
    dialog.get_by_label("Hold it back").check()
    dialog.get_by_label("Deliver until").fill("2100-01-01T00:00")
    page.get_by_role("button", name="Change the order").click()
    expect(page.get_by_role("row", name="of-emre")).to_contain_text("held back by manager")
    [change] = shop.changes
    assert (change["held"], change["due_until"]) == (True, "2099-12-31T23:00:00.000Z")


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


def test_more_than_one_page_of_orders(signed_in: SignedIn, shop: Shop) -> None:
    for number in range(120):
        shop.add_order(f"{number:04}", 1, 1)
    page = open_console(signed_in, "orders")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(50)
    page.get_by_role("button", name="Show more").click()
    expect(rows).to_have_count(100)
    page.get_by_role("button", name="Show more").click()
    expect(rows).to_have_count(120)
    expect(page.get_by_role("button", name="Show more")).to_have_count(0)


CSV = f'''order_id,latitude,longitude,boxes,ready_at,due_from,due_until
"a, ""1""",52.1,5.1,2,{minutes(0)},{minutes(0)},{minutes(60)}
b,152.1,5.1,2,{minutes(0)},{minutes(0)},{minutes(60)}
c,52.1,5.1,1.5,{minutes(0)},{minutes(0)},{minutes(60)}
d,52.1,5.1,2,2026-11-25 09:00,{minutes(0)},{minutes(60)}
e,52.1,5.1,2,{minutes(0)},{minutes(60)},{minutes(50)}

f,52.1,5.1
g,52.1,5.1,4,2026-11-25T10:00:00+01:00,{minutes(0)},{minutes(60)}
h,0x34,5.1,4,{minutes(0)},{minutes(0)},{minutes(60)}
i,52.1,5.1,4,2026-02-31T10:00:00Z,{minutes(0)},{minutes(60)}
g,52.1,5.1,4,{minutes(0)},{minutes(0)},{minutes(60)}
j,52.1,5.1,4,{minutes(-90)},{minutes(-90)},{minutes(-60)}
'''


def import_csv(page: Page, text: str) -> None:
    file = {"name": "orders.csv", "mimeType": "text/csv", "buffer": text.encode()}
    page.get_by_label("Import CSV").set_input_files(file)


def test_import_of_a_csv_names_each_bad_line_and_places_the_others(
    signed_in: SignedIn, shop: Shop
) -> None:
    page = open_console(signed_in, "orders")
    import_csv(page, CSV)
    expect(page.locator(".errors li")).to_have_text(
        [
            "Line 3: latitude must be a number from -90 to 90",
            "Line 4: boxes must be a whole number",
            re.compile("Line 5: ready_at must be a time of a day that exists, with an offset"),
            "Line 6: due_until is before due_from",
            "Line 8: has 3 values instead of 7",
            "Line 10: latitude must be a number from -90 to 90",
            re.compile("Line 11: ready_at must be a time of a day that exists"),
            "Line 12: order_id is the same as in line 9",
            "Line 13: due_until is in the past",
        ]
    )
    look(page, "console-import")
    page.get_by_role("button", name="Place 2 orders").click()
    expect(page.get_by_text("2 orders were placed. 9 lines have errors.")).to_be_visible()
    assert set(shop.orders) == {'a, "1"', "g"}
    assert shop.orders["g"]["ready_at"] == "2026-11-25T09:00:00.000Z"


def test_import_lists_the_orders_that_the_dispatch_refuses_later_by_line(
    signed_in: SignedIn, shop: Shop
) -> None:
    shop.refusal = "more than the 12 boxes that a vehicle carries: split the order"
    page = open_console(signed_in, "orders")
    header, order, *_ = CSV.splitlines()
    import_csv(page, "\n".join([header, order.replace('"a, ""1"""', "a")]))
    page.get_by_role("button", name="Place 1 orders").click()
    expect(page.locator(".errors li")).to_have_text(
        [f"Line 2: order a was refused: {shop.refusal}"]
    )
    expect(page.get_by_text("0 orders were placed. 1 lines have errors.")).to_be_visible()


def test_a_reviewer_labels_skips_and_corrects_by_keyboard_alone(
    signed_in: SignedIn, shop: Shop
) -> None:
    ids = [shop.add_photo_to_review(number) for number in range(5)]
    page = open_console(signed_in, "review", "rita")
    photo = page.get_by_role("img", name="Photo from anna")
    expect(photo).to_be_visible()
    look(page, "console-review")

    def press(key: str) -> str:
        """Presses a key and waits until another photo is shown. Returns that photo."""
        before = photo.get_attribute("src")
        page.keyboard.press(key)
        expect(photo).not_to_have_attribute("src", before or "")
        return photo.get_attribute("src") or ""

    first = photo.get_attribute("src")
    second = press("b")
    press("s")
    assert press("ArrowLeft") == second
    press("m")
    press("o")
    third_labelled = press("u")
    expect(page.get_by_text("you labelled it other")).to_be_visible()
    press("m")
    assert third_labelled != first
    page.keyboard.press("b")
    # Labels are sent one after the other while the reviewer goes on.
    with page.expect_response(lambda _: len(shop.reviews) == 6):
        page.keyboard.press("b")
    expect(page.get_by_text("No photo waits for a review")).to_be_visible()
    assert [(review["image_id"], review["label"]) for review in shop.reviews] == [
        (ids[0], "bicycle"),
        (ids[1], "motorcycle"),
        (ids[2], "other"),
        (ids[2], "motorcycle"),
        (ids[3], "bicycle"),
        (ids[4], "bicycle"),
    ]
    assert {review["reviewed_by"] for review in shop.reviews} == {"rita"}


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_reviewer_sees_why_a_photo_waits(
    signed_in: SignedIn, shop: Shop, viewport: dict[str, int]
) -> None:
    shop.add_photo_to_review(1)
    shop.add_photo_to_review(2, "audit")
    page = open_console(signed_in, "review", "rita", viewport)
    expect(page.get_by_text("It is below the confidence threshold.")).to_be_visible()
    expect(page.get_by_role("img", name="Photo from anna")).to_be_visible()
    look(page, f"console-review-why-{viewport['width']}")
    page.keyboard.press("s")
    expect(page.get_by_text("It is an audit: it was chosen at random.")).to_be_visible()


def test_a_reviewer_sees_where_the_model_sees_the_label(signed_in: SignedIn, shop: Shop) -> None:
    for number in range(2):
        shop.add_photo_to_review(number)
    page = open_console(signed_in, "review", "rita")
    photo = page.get_by_role("img", name="Photo from anna")
    heat = page.get_by_role("img", name="Where the model sees bicycle")
    expect(photo).to_be_visible()
    expect(heat).to_have_count(0)
    page.keyboard.press("h")
    expect(heat).to_be_visible()
    assert heat.bounding_box() == photo.bounding_box()
    size = "({ width, height, naturalWidth, naturalHeight }) => "
    assert heat.evaluate(size + "[width, height]") == photo.evaluate(
        size + "[naturalWidth, naturalHeight]"
    )
    opacity = """(canvas, [x, y]) => canvas.getContext("2d")
        .getImageData(x * (canvas.width - 1), y * (canvas.height - 1), 1, 1).data[3]"""
    corners = [heat.evaluate(opacity, place) for place in ([1, 1], [0, 0], [1, 0], [0, 1])]
    assert corners[0] > 120
    assert corners[1:] == [0, 0, 0]
    look(page, "console-heat-map")
    first = photo.get_attribute("src")
    page.keyboard.press("b")  # the heat map stays on for the next photo
    expect(photo).not_to_have_attribute("src", first or "")
    expect(heat).to_be_visible()
    page.get_by_role("button", name="Where in the photo?").click()
    expect(heat).to_have_count(0)


def test_a_model_that_cannot_explain_its_labels_says_so(signed_in: SignedIn, shop: Shop) -> None:
    shop.add_photo_to_review(1)
    shop.activation = None
    page = open_console(signed_in, "review", "rita")
    expect(page.get_by_role("img", name="Photo from anna")).to_be_visible()
    page.get_by_role("button", name="Where in the photo?").click()
    expect(page.get_by_text("This model cannot explain its labels.")).to_be_visible()
    expect(page.get_by_role("button", name="Where in the photo?", pressed=False)).to_be_visible()


def test_two_reviewers_never_see_the_same_photo(signed_in: SignedIn, shop: Shop) -> None:
    for number in range(4):
        shop.add_photo_to_review(number)
    pages = [open_console(signed_in, "review", name) for name in ("rita", "manager")]
    for page in pages:
        expect(page.get_by_role("img", name="Photo from anna")).to_be_visible()
    assert set(shop.leased.values()) == {"rita", "manager"}


def test_a_review_that_was_not_stored_comes_back(signed_in: SignedIn, shop: Shop) -> None:
    shop.add_photo_to_review(1)
    shop.refused["console/reviews"] = 503
    page = open_console(signed_in, "review", "rita")
    photo = page.get_by_role("img", name="Photo from anna")
    expect(photo).to_be_visible()
    page.keyboard.press("b")
    expect(page.get_by_text("The service has a fault.")).to_be_visible()
    expect(photo).to_be_visible()
    shop.refused.clear()
    page.keyboard.press("b")
    expect(page.get_by_text("No photo waits for a review")).to_be_visible()
    assert [review["label"] for review in shop.reviews] == ["bicycle"]


def test_quality_shows_accuracy_charts_and_what_to_do_at_an_alarm(
    signed_in: SignedIn, shop: Shop
) -> None:
    fill(shop)
    page = open_console(signed_in, "quality")
    expect(page.locator(".chart canvas")).to_have_count(2)
    expect(page.get_by_text("92.1% to 96.9% (95%)")).to_be_visible()
    expect(page.get_by_text("A larger share than usual is below the threshold.")).to_be_visible()
    expect(page.get_by_text("Model in service: vehicles/3")).to_be_visible()
    expect(page.get_by_text("rejected: 12 photos better, 15 worse")).to_be_visible()
    expect(page.get_by_text("8 of 160, median 6.5 minutes")).to_be_visible()
    look(page, "console-quality")
    page.get_by_text("Numbers by hour").focus()
    page.keyboard.press("Enter")
    numbers = page.get_by_role("group", name="Numbers by hour")
    expect(numbers.locator("tbody tr")).to_have_count(24)


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_quality_has_a_row_for_each_day_and_model(
    signed_in: SignedIn, shop: Shop, viewport: dict[str, int]
) -> None:
    fill(shop)
    page = open_console(signed_in, "quality", viewport=viewport)
    numbers = page.get_by_role("group", name="Numbers by day and model")
    rows = numbers.locator("tbody tr")
    expect(rows).to_have_count(8)
    today = datetime.now(UTC)
    expect(rows.nth(0)).to_contain_text(f"{today:%a} {today.day} ")
    expect(rows.nth(0)).to_contain_text("too few reviews")
    assert rows.nth(1).locator("th").inner_text() == rows.nth(2).locator("th").inner_text()
    expect(rows.nth(1)).to_contain_text("vehicles/3")
    expect(rows.nth(2)).to_contain_text("vehicles/2")
    expect(rows.nth(1)).to_contain_text("94.6% 88.6% to 97.1% (95%)")
    expect(page.get_by_text("from midnight to midnight UTC")).to_be_visible()
    numbers.focus()  # a narrow page scrolls it by keyboard
    expect(numbers).to_be_focused()
    look(page, f"console-quality-by-day-{viewport['width']}")


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
