"""Both pages on the local cloud: the real sign-in, API, workflow and dispatch."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from local.demo import LAST_ARRIVAL, Person, open_shop
from local.web import Web, prepare_web, web_of
from tests.support.accounts import Accounts
from tests.support.endpoint import CONFIDENT, probabilities
from tests.support.running import deployable
from tests.support.stack import Stack
from tests.support.waiting import wait_until
from tests.web.conftest import DESKTOP, PHONE, ZONE, contexts, look
from tests.web.fake_api import PROJECT

BICYCLE = PROJECT / "local" / "photos" / "bicycle-courier.jpg"
HEIC = PROJECT / "local" / "photos" / "motorcycle-at-night.heic"
BELOW = probabilities(0.6, 0.3, 0.1)
MARKUP = "<img src=x onerror=document.title='attacked'>"


@dataclass
class Shop:
    """The pages on the local cloud, and browsers of users."""

    stack: Stack
    web: Web
    accounts: Accounts
    new_context: Callable[..., BrowserContext]

    def open_page(self, group: str, view: str = "") -> tuple[str, Page]:
        """A new user of a group, signed in on the own page in a browser of the own."""
        name, password = self.accounts.create(group)
        is_courier = group == "couriers"
        page = self.new_context(PHONE if is_courier else DESKTOP).new_page()
        page.goto(self.web.courier_page if is_courier else f"{self.web.console}#{view}")
        sign_in(page, name, password)
        return name, page


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    for stack in deployable(tmp_path_factory.mktemp("web")):
        stack.deploy(WorkflowType="STANDARD", AutomaticRetraining="off", Web="on")
        prepare_web(stack.cloud, stack.outputs)
        yield stack


@pytest.fixture
def shop(stack: Stack, chromium: Browser) -> Iterator[Shop]:
    for new_context in contexts(chromium, stack.cloud.endpoint_url):
        web, accounts = web_of(stack.cloud, stack.outputs), Accounts.of(stack)
        yield Shop(stack, web, accounts, new_context)


def sign_in(page: Page, name: str, password: str) -> None:
    """Sign in on the page of the user pool."""
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def choose(page: Page, photo: object) -> None:
    page.get_by_label("Choose a photo").set_input_files(photo)


def order_on_map(page: Page, minutes: float) -> str:
    """Click north of the shop, and order something until so many minutes from now; the id."""
    box = page.locator(".map > svg .depot rect").bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2 - 60)
    until = datetime.now(ZONE) + timedelta(minutes=minutes)
    page.get_by_label("Deliver until").fill(until.strftime("%Y-%m-%dT%H:%M"))
    with page.expect_response(lambda reply: reply.request.method == "POST") as placed:
        page.get_by_role("button", name="Place order").click()
    order_id: str = placed.value.json()["order_id"]
    return order_id


def test_from_the_sign_in_to_the_delivery(shop: Shop) -> None:
    name, courier = shop.open_page("couriers")
    _, other = shop.open_page("couriers")
    _, console = shop.open_page("managers", "now")

    expect(courier.get_by_text("Start your shift")).to_be_visible()
    look(courier, "courier-start")
    with shop.stack.endpoint.responding(then=CONFIDENT):
        choose(courier, BICYCLE)
        courier.get_by_text("Accepted: bicycle").wait_for()
    shown_at = datetime.now(UTC)
    [record] = records_of(shop, name)
    recorded_at = datetime.fromisoformat(record["recorded_at"]["S"])
    print(
        f"from the record to the courier's page: {(shown_at - recorded_at).total_seconds():.1f} s"
    )
    expect(courier.get_by_text("On shift: bicycle")).to_be_visible()
    look(courier, "courier-accepted")
    expect(console.get_by_role("button", name=re.compile(f"^{name} bicycle free"))).to_be_visible()

    order_id = order_on_map(console, 13)
    expect(console.locator(f"[data-order='{order_id}'], .route.bicycle")).not_to_have_count(0)
    expect(courier.get_by_text(f"Order {order_id}")).to_be_visible()
    expect(console.locator(".courier.bicycle")).to_have_count(1)
    look(courier, "courier-route")
    geo = courier.get_by_role("link", name="Navigate").get_attribute("href")
    assert re.fullmatch(r"geo:(52\.\d+,5\.\d+)\?q=\1", geo or "")

    courier.get_by_role("button", name="Delivered").click()
    expect(courier.get_by_text(f"Order {order_id}, delivered")).to_be_visible()
    console.get_by_role("link", name="Orders", exact=True).click()
    console.get_by_label("Day").fill(day_of(shop, order_id))
    expect(console.get_by_role("row", name=order_id[:8])).to_contain_text("delivered")

    # Another courier sees nothing of all this.
    expect(other.get_by_text("Start your shift")).to_be_visible()
    expect(other.get_by_text(order_id)).to_have_count(0)

    courier.get_by_role("button", name="I am done for today").click()
    look(courier, "courier-done")
    courier.get_by_role("button", name="Yes, I am done").click()
    expect(courier.get_by_text("Start your shift")).to_be_visible()


def records_of(shop: Shop, name: str) -> list[dict[str, dict[str, str]]]:
    """The records of a courier's photos."""
    found = shop.stack.dynamodb.scan(TableName=shop.stack.outputs["PredictionsTableName"])
    return [each for each in found["Items"] if each["image_id"]["S"].startswith(f"uploads/{name}/")]


def day_of(shop: Shop, order_id: str) -> str:
    """The day of an order as the console lists it."""
    order = shop.stack.dynamodb.get_item(
        TableName=shop.stack.outputs["OrdersTableName"], Key={"order_id": {"S": order_id}}
    )["Item"]
    day: str = order["day"]["S"]
    return day


def test_a_photo_is_reviewed_by_keyboard_alone(shop: Shop) -> None:
    courier_name, courier = shop.open_page("couriers")
    reviewer, console = shop.open_page("reviewers", "review")
    with shop.stack.endpoint.responding(then=BELOW):
        choose(courier, HEIC)
        expect(courier.get_by_text("A colleague looks at your photo")).to_be_visible()
    photo = console.get_by_role("img", name=f"Photo from {courier_name}")
    expect(photo).to_be_visible()
    # The browser cannot show HEIC. It shows the preview.
    assert photo.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    look(console, "console-review-heic")
    console.keyboard.press("m")
    expect(console.get_by_text("No photo waits for a review")).to_be_visible()
    expect(courier.get_by_text("Accepted: motorcycle")).to_be_visible()
    [record] = records_of(shop, courier_name)
    assert record["reviewed_by"] == {"S": reviewer}


def test_names_from_outside_are_shown_as_text(shop: Shop) -> None:
    _, console = shop.open_page("managers", "orders")
    now = datetime.now(UTC)
    order = {
        "order_id": MARKUP,
        "latitude": 52.0907,
        "longitude": 5.1214,
        "boxes": 1,
        "ready_at": now.isoformat(),
        "due_from": (now + timedelta(hours=5)).isoformat(),
        "due_until": (now + timedelta(hours=6)).isoformat(),
    }
    entry = {"Source": "shop", "DetailType": "Order Placed", "Detail": json.dumps(order)}
    bus = shop.stack.outputs["EventBusName"]
    shop.stack.cloud.client("events").put_events(Entries=[entry | {"EventBusName": bus}])
    table = shop.stack.outputs["OrdersTableName"]
    key = {"order_id": {"S": MARKUP}}
    wait_until(
        lambda: shop.stack.dynamodb.get_item(TableName=table, Key=key).get("Item"), "the order"
    )
    console.get_by_label("Day").fill(day_of(shop, MARKUP))
    expect(console.get_by_text(MARKUP).first).to_be_visible()
    console.get_by_role("link", name="Now").click()
    expect(console.locator(".waiting[data-order]")).to_have_count(1)
    assert console.title() != "attacked"
    assert console.locator("img[src=x]").count() == 0


def test_a_new_user_chooses_a_password_and_a_blocked_one_is_out(shop: Shop) -> None:
    _, console = shop.open_page("managers", "people")
    console.get_by_label("User name").fill("nadia")
    console.get_by_label("Group").select_option("couriers")
    console.get_by_role("button", name="Create user").click()
    dialog = console.get_by_role("dialog")
    expect(dialog).to_contain_text("Password of nadia")
    temporary = re.search(r"\b[A-Za-z0-9]{16}\b", dialog.inner_text())
    assert temporary
    look(console, "console-password")
    console.get_by_role("button", name="I have noted it").click()

    page = shop.new_context(PHONE).new_page()
    page.goto(shop.web.courier_page)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Username").fill("nadia")
    page.get_by_label("Password").fill(temporary[0])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("New password", exact=True).fill("Own-password-1")
    page.get_by_label("Confirm new password").fill("Own-password-1")
    page.get_by_role("button", name="Update password").click()
    expect(page.get_by_text("Start your shift")).to_be_visible()

    row = console.get_by_role("row", name="nadia")
    console.get_by_role("button", name="Block nadia").click()
    console.get_by_role("button", name="Block the user").click()
    expect(row).to_contain_text("blocked")
    look(console, "console-people")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Username").fill("nadia")
    page.get_by_label("Password").fill("Own-password-1")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("disabled")).to_be_visible()
    console.get_by_role("button", name="Unblock nadia").click()
    expect(row).not_to_contain_text("blocked")
    console.get_by_role("button", name="Reset password of nadia").click()
    console.get_by_role("button", name="Reset the password").click()
    expect(dialog).to_contain_text("Password of nadia")


def test_a_working_day_fills_both_pages(shop: Shop) -> None:
    """The people of `make demo`; the shipped model classifies their photos."""
    stage = open_shop(shop.stack.cloud, shop.stack.outputs)
    names = ("bram", "cem", "dina", "emil", "hanna")
    stage.couriers = {name: stage.couriers[name] for name in names}
    stage.orders = [replace(order, minute=LAST_ARRIVAL) for order in stage.orders[:12]]
    _, console = shop.open_page("managers", "now")

    def riding() -> list[Person]:
        return [each.person for each in stage.couriers.values() if each.route]

    def has_worked() -> bool:
        # At this minute everybody has come, and nobody delivers yet. The reviewer looks each time.
        stage.reviews_at = 0
        stage.act(LAST_ARRIVAL, lambda _: None)
        everybody = all(each.state == "accepted" for each in stage.couriers.values())
        return everybody and len(riding()) >= 3

    wait_until(has_worked, "couriers on their routes")
    expect(console.locator(".courier.bicycle")).not_to_have_count(0)
    expect(console.locator(".courier.motorcycle")).not_to_have_count(0)
    look(console, "console")
    person = riding()[0]
    page = shop.new_context(PHONE).new_page()
    page.goto(shop.web.courier_page)
    sign_in(page, person.name, person.password)
    expect(page.get_by_role("button", name="Delivered").first).to_be_visible()
    page.locator(".brand img").evaluate("image => image.decode()")
    look(page, "courier")
