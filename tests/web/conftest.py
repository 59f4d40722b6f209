"""A real browser (the system's Chromium), and the fake API."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Route,
    expect,
    sync_playwright,
)

from tests.web.fake_api import PROJECT, Server
from tests.web.fake_shop import Shop

SCREENSHOTS = PROJECT / "build" / "screenshots"
PHONE = {"width": 390, "height": 844}
ZONE = ZoneInfo("Europe/Amsterdam")  # of the browsers: a local time is never the time in UTC
DESKTOP = {"width": 1366, "height": 850}
AXE = Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]

CUT_OFF = """() => [...document.querySelectorAll("html, .card, dialog")]
    .filter((box) => getComputedStyle(box).overflowX !== "auto")
    .filter((box) => box.scrollWidth > box.clientWidth)
    .map((box) => box.outerHTML.slice(0, 200))"""

# The local cloud, on a busy machine, needs seconds for what AWS does at once.
expect.set_options(timeout=60_000)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.fail("Chromium is needed: apt-get install chromium", pytrace=False)
    # As root, as in a container, Chromium starts only without its own sandbox.
    arguments = ["--no-sandbox"] if os.getuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def shop(server: Server) -> Shop:
    return server.shop


@pytest.fixture
def new_context(chromium: Browser, server: Server) -> Iterator[Callable[..., BrowserContext]]:
    yield from contexts(chromium, server.url)


def contexts(chromium: Browser, service: str) -> Iterator[Callable[..., BrowserContext]]:
    """Makes browser contexts. At the end, no page may have logged an error, or left the service."""
    problems: list[str] = []
    made = []

    def make(viewport: dict[str, int] = PHONE, *, dark: bool = False) -> BrowserContext:
        context = chromium.new_context(
            viewport=viewport,
            color_scheme="dark" if dark else "light",
            has_touch=viewport is PHONE,
            locale="en-GB",
            timezone_id=ZONE.key,
            ignore_https_errors=True,  # the local cloud makes its certificate
        )
        context.on("weberror", lambda error: problems.append(str(error.error)))
        context.on("console", lambda line: problems.extend(errors(line)))
        context.on("request", lambda request: problems.extend(foreign(request.url)))
        made.append(context)
        return context

    def errors(line: ConsoleMessage) -> list[str]:
        """Every error but what the browser writes itself about a request that a test lets fail.

        Chromium registers no service worker from the self-signed certificate of the local cloud.
        """
        wanted = line.text.startswith("Failed to load resource") or (
            service.startswith("https:")
            and line.text == "An SSL certificate error occurred when fetching the script."
        )
        return [line.text] if line.type == "error" and not wanted else []

    def foreign(url: str) -> list[str]:
        own = url.startswith((f"{service}/", f"blob:{service}"))
        return [] if own else [f"request to {url}"]

    yield make
    for context in made:
        context.close()
    assert not problems


@pytest.fixture
def signed_in(new_context: Callable[..., BrowserContext], server: Server) -> Callable[..., Page]:
    """Opens a page in a browser of its own and signs the user in."""

    def open_page(
        name: str, path: str = "/", viewport: dict[str, int] = PHONE, *, dark: bool = False
    ) -> Page:
        page = new_context(viewport, dark=dark).new_page()
        page.goto(server.url + path)
        sign_in(page, name)
        return page

    return open_page


def sign_in(page: Page, name: str) -> None:
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("User name").fill(name)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def look(page: Page, name: str) -> None:
    """Takes a screenshot. Fails if something is cut off, or breaks a rule of WCAG 2.2 AA."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")
    assert not page.evaluate(CUT_OFF)
    # Not as a <script>: the page's Content-Security-Policy forbids that.
    page.evaluate(AXE.read_text())
    found = page.evaluate("rules => axe.run({ runOnly: rules })", RULES)
    broken = {rule["id"]: [node["html"] for node in rule["nodes"]] for rule in found["violations"]}
    assert not broken


def cut(page: Page, pattern: str) -> Callable[[], None]:
    """Breaks the connection for these requests. Returns what restores it."""

    def abort(route: Route) -> None:
        route.abort("internetdisconnected")

    page.route(pattern, abort)
    return lambda: page.unroute(pattern, abort)
