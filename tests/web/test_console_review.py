"""The console's view of photos that wait for a review."""

import pytest
from playwright.sync_api import expect

from tests.web.conftest import DESKTOP, PHONE, look
from tests.web.console import SignedIn, open_console
from tests.web.fake_shop import Shop


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
