"""The console's view of orders: place, filter, change, cancel."""

import re
from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

from tests.web.busy_hour import fill
from tests.web.conftest import DESKTOP, PHONE, ZONE, look
from tests.web.console import SignedIn, open_console
from tests.web.fake_shop import Shop, minutes


def test_a_refused_order_says_which_field_is_wrong(signed_in: SignedIn, shop: Shop) -> None:
    page = open_console(signed_in, "orders")
    expect(page.get_by_role("button", name="New order")).to_be_visible()
    page.keyboard.press("n")
    page.get_by_label("Latitude").fill("52.1")
    page.get_by_label("Longitude").fill("5.1")
    page.get_by_label("Deliver from").fill("2026-11-20T12:00")
    page.get_by_label("Deliver until").fill("2026-11-20T11:00")
    page.get_by_role("button", name="Place order").click()
    expect(page.get_by_role("alert")).to_have_text("Deliver until is before Deliver from")
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
    page.get_by_label("Courier").press_sequentially("zo")
    for _ in range(2):  # refreshes of the list
        with page.expect_response("**/api/console/orders*"):
            pass
    page.get_by_label("Courier").press_sequentially("e")
    expect(page.get_by_label("Courier")).to_have_value("zoe")
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
