"""What holds for both pages: sign-in, safety, weight, polling."""

import time
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.web.conftest import DESKTOP, cut, look, sign_in
from tests.web.fake_api import Server
from tests.web.fake_shop import Shop

type SignedIn = Callable[..., Page]

PAGES = [pytest.param("/", "anna", id="courier"), pytest.param("/console", "manager", id="console")]
# Chromium's profile "Fast 4G": milliseconds, bytes per second.
FAST_4G = {
    "offline": False,
    "latency": 165,
    "downloadThroughput": 1_012_500,
    "uploadThroughput": 168_750,
}
# All that a page can keep on the device: storage, cookies, databases and cached responses.
STORED = """async () => {
    const cached = await (await caches.open("pages")).keys();
    const database = await new Promise((resolve, reject) => {
        const request = indexedDB.open("scones-unlimited");
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
    });
    const rows = [...database.objectStoreNames].map((name) => new Promise((resolve) => {
        const request = database.transaction(name).objectStore(name).getAll();
        request.onsuccess = () => resolve(request.result);
    }));
    return JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie,
        cached.map(({ url }) => url), await Promise.all(rows)]);
}"""
MARKUP = "<img src=x onerror=document.title='attacked'>"


@pytest.mark.parametrize(("path", "name"), PAGES)
def test_the_first_view_is_below_150_kb(
    new_context: Callable[..., BrowserContext], server: Server, path: str, name: str
) -> None:
    page = new_context().new_page()
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    network.send("Network.emulateNetworkConditions", FAST_4G)
    sizes: list[int] = []
    page.on("requestfinished", lambda request: sizes.append(sum(request.sizes().values())))
    start = time.monotonic()
    page.goto(server.url + path)
    page.get_by_role("button", name="Sign in").wait_for()
    asked = time.monotonic()
    sign_in(page, name)
    page.get_by_text("Start your shift" if path == "/" else "Orders waiting").wait_for()
    print(f"{path}: {asked - start:.1f} s to the sign-in, {time.monotonic() - asked:.1f} s from it")
    page.wait_for_load_state("networkidle")
    print(f"{sum(sizes)} bytes in {len(sizes)} requests, uncompressed, sign-in included")
    assert sum(sizes) < 150_000


@pytest.mark.parametrize(("path", "name"), PAGES)
def test_the_modules_of_the_first_view_load_side_by_side(
    new_context: Callable[..., BrowserContext], server: Server, path: str, name: str
) -> None:
    page = new_context().new_page()
    page.goto(server.url + path)
    sign_in(page, name)
    expect(
        page.get_by_text("Start your shift" if path == "/" else "Orders waiting")
    ).to_be_visible()
    loaded = page.evaluate("performance.getEntriesByType('resource').map((each) => each.name)")
    links = page.locator("script, link[rel=modulepreload]")
    named = links.evaluate_all("(all) => all.map((each) => each.src || each.href)")
    assert {url for url in loaded if url.endswith(".js")} == set(named)


@pytest.mark.parametrize(("path", "name"), PAGES)
def test_no_token_is_stored_and_a_reload_signs_in_again(
    signed_in: SignedIn, shop: Shop, path: str, name: str
) -> None:
    page = signed_in(name, path)
    page.wait_for_function("async () => (await caches.open('pages')).match(location.pathname)")
    stored = page.evaluate(STORED)
    assert "assets/" in stored
    for secret in (*shop.tokens, *shop.codes, "code="):
        assert secret not in stored
    assert "code=" not in page.url
    page.reload()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    look(page, f"sign-in-{name}")
    page.reload()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_a_sign_in_that_this_page_did_not_start_is_refused(
    new_context: Callable[..., BrowserContext], server: Server
) -> None:
    page = new_context().new_page()
    page.goto(server.url + "/?code=stolen&state=other")
    expect(page.get_by_text("The sign-in did not work. Sign in again.")).to_be_visible()
    assert page.url == server.url + "/"


def test_an_expired_token_is_renewed_without_a_question(signed_in: SignedIn, shop: Shop) -> None:
    page = signed_in("manager", "/console", DESKTOP)
    expect(page.get_by_text("Orders waiting")).to_be_visible()
    shop.expire_tokens()
    shop.add_order("1001", 1, 1)
    expect(page.locator(".waiting[data-order='1001']")).to_be_visible()


def test_polling_sends_nothing_twice(signed_in: SignedIn, shop: Shop) -> None:
    page = signed_in("anna")
    with page.expect_response(lambda answer: answer.status == 304):
        pass
    assert ("/api/courier/shift", 200) in shop.answers


def test_a_lost_connection_is_shown_and_its_return_too(signed_in: SignedIn, shop: Shop) -> None:
    page = signed_in("manager", "/console", DESKTOP)
    expect(page.get_by_text("Orders waiting")).to_be_visible()
    restore = cut(page, "**/api/**")
    expect(page.get_by_text("No connection.")).to_be_visible()
    expect(page.get_by_text("Orders waiting")).to_be_visible()
    restore()
    expect(page.get_by_text("No connection.")).to_have_count(0)


def test_stored_text_is_shown_as_text(signed_in: SignedIn, shop: Shop) -> None:
    shop.start_shift("anna", "bicycle")
    shop.add_order(MARKUP, 0.8, 0.5)
    shop.dispatch("anna", [MARKUP])
    shop.add_order("1002", 1, 1, reason=MARKUP)
    courier = signed_in("anna")
    expect(courier.get_by_text(f"Order {MARKUP}")).to_be_visible()
    console = signed_in("manager", "/console#orders", DESKTOP)
    expect(console.get_by_text(MARKUP).first).to_be_visible()
    for page in (courier, console):
        assert page.title() != "attacked"
        assert page.locator("img[src=x]").count() == 0


def test_the_page_says_what_to_do_if_the_service_is_down(
    new_context: Callable[..., BrowserContext], server: Server
) -> None:
    page = new_context().new_page()
    cut(page, "**/config.json")
    page.goto(server.url)
    expect(page.get_by_text("The service cannot be reached.")).to_be_visible()


@pytest.mark.parametrize(
    ("path", "name", "groups"),
    [("/", "rita", "couriers"), ("/console", "anna", "reviewers and managers")],
)
def test_a_user_of_another_group_sees_one_line_and_no_tabs(
    signed_in: SignedIn, shop: Shop, path: str, name: str, groups: str
) -> None:
    page = signed_in(name, path)
    expect(page.get_by_text(f"This page is for {groups}. Ask a manager")).to_be_visible()
    expect(page.get_by_text("Loading")).to_have_count(0)
    expect(page.get_by_role("link")).to_have_count(0)
    look(page, f"other-group-{name}")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()


@pytest.mark.parametrize(
    ("path", "name", "file"),
    [("/", "anna", "courier"), ("/", "anna", "ui"), ("/console", "manager", "api")],
)
def test_a_file_that_cannot_be_loaded_is_no_endless_loading(
    new_context: Callable[..., BrowserContext], server: Server, path: str, name: str, file: str
) -> None:
    page = new_context().new_page()
    server.shop.refused[f"assets/{file}.js"] = 429
    page.goto(server.url + path)
    expect(page.get_by_text("The page could not be loaded.")).to_be_visible()
    expect(page.get_by_text("Loading")).to_have_count(0)
    server.shop.refused.clear()
    page.get_by_role("button", name="Try again").click()
    sign_in(page, name)


@pytest.mark.parametrize("file", ["courier.js", "courier.css"])
def test_a_page_whose_file_was_refused_once_loads_again_by_itself(
    new_context: Callable[..., BrowserContext], server: Server, file: str
) -> None:
    page = new_context().new_page()
    server.shop.refused[f"assets/{file}"] = 429
    # Once all files of the first attempt have come or failed.
    page.once("load", lambda _: server.shop.refused.clear())
    page.goto(server.url)
    with page.expect_event("load"):  # without a click
        pass
    sign_in(page, "anna")
    assert page.evaluate("sessionStorage.getItem('attempt')") is None


def test_a_view_that_cannot_be_loaded_is_no_endless_loading(
    signed_in: SignedIn, shop: Shop
) -> None:
    page = signed_in("manager", "/console", DESKTOP)
    expect(page.get_by_text("Orders waiting")).to_be_visible()
    shop.refused["assets/view-quality.js"] = 429
    page.get_by_role("link", name="Quality").click()
    expect(page.get_by_text("This view could not be loaded.")).to_be_visible()
    expect(page.get_by_text("Loading")).to_have_count(0)
    shop.refused.clear()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("There are no alarms.")).to_be_visible()
