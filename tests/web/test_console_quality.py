"""The console's view of the model's quality."""

from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

from tests.web.busy_hour import fill
from tests.web.conftest import DESKTOP, PHONE, look
from tests.web.console import SignedIn, open_console
from tests.web.fake_shop import Shop


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
