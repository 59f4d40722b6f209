"""Both pages of a use case without dispatch: its own words and labels, no orders and routes."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.web.busy_hour import fill
from tests.web.conftest import DESKTOP, look
from tests.web.fake_api import PROJECT
from tests.web.fake_shop import Shop

SCONE = PROJECT / "local" / "photos" / "no-vehicle-scone.jpg"

type SignedIn = Callable[..., Page]


@pytest.fixture
def shop(shop: Shop) -> Shop:
    fill(shop)
    shop.shifts.clear()
    shop.orders.clear()
    labels = ["broken", "intact", "other"]
    shop.use_case = {"use_case": "scones", "dispatch": False, "labels": labels}
    shop.outcome = ("accepted", "intact", "intact, 98% confidence")
    return shop


def test_a_sender_sends_a_photo_and_sees_what_it_shows(signed_in: SignedIn, shop: Shop) -> None:
    page = signed_in("anna")
    expect(page.get_by_role("heading", name="Send a photo")).to_be_visible()
    expect(page.get_by_text("broken, intact, other")).to_be_visible()
    page.locator("#chooser").set_input_files(SCONE)
    expect(page.get_by_text("Accepted: intact")).to_be_visible()
    expect(page.get_by_text("intact, 98% confidence")).to_be_visible()
    for word in ("shift", "vehicle", "route"):
        expect(page.get_by_text(word)).to_have_count(0)
    expect(page).to_have_title("Photos · Scones Unlimited")
    look(page, "photos-scones")


def test_the_console_shows_photos_and_no_orders(signed_in: SignedIn, shop: Shop) -> None:
    page = signed_in("manager", "/console", DESKTOP)
    expect(page.get_by_text("Console: scones")).to_be_visible()
    expect(page.get_by_role("heading", name="Latest photos")).to_be_visible()
    expect(page.get_by_role("link", name="Orders")).to_have_count(0)
    expect(page.get_by_label("Map", exact=True)).to_have_count(0)
    look(page, "console-scones")


def test_reviewers_choose_from_the_labels_of_the_use_case(signed_in: SignedIn, shop: Shop) -> None:
    page = signed_in("rita", "/console#review", DESKTOP)
    for label in ("broken", "intact", "other"):
        expect(page.get_by_role("button", name=label)).to_be_visible()


def test_the_console_shows_the_share_of_each_sender(signed_in: SignedIn, shop: Shop) -> None:
    shop.hours[0]["label_shares"] = [
        {"label": "broken", "sender_id": "oven-1", "photos": 40, "share": 0.025},
        {"label": "broken", "sender_id": "oven-2", "photos": 38, "share": 0.263},
    ]
    page = signed_in("manager", "/console#quality", DESKTOP)
    row = page.get_by_role("row", name="oven-2")
    expect(row).to_contain_text("26.3%")
    expect(row).to_contain_text("38")
    look(page, "console-shares")
