"""Open the console."""

from collections.abc import Callable

from playwright.sync_api import Page

from tests.web.conftest import DESKTOP

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
