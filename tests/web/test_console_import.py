"""The import of orders from a CSV file."""

import re

from playwright.sync_api import Page, expect

from tests.web.conftest import look
from tests.web.console import SignedIn, open_console
from tests.web.fake_shop import Shop, minutes

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
