"""The simulated hour of `make demo`: what people do when, with an API that the test plays."""

import io
import json
import math
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from functions.dispatch_orders.fleet import read_fleet
from local import demo
from local.browser import Reply
from local.demo import Courier, Order, Person, Shop

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
NOTHING_ON = {"state": "free", "route": None}


@dataclass
class Api:
    """A browser that gets chosen responses, by method and the end of the path."""

    replies: dict[tuple[str, str], Any] = field(default_factory=dict)
    token: str | None = None
    signed_in: list[str] = field(default_factory=list)
    sent: list[tuple[str, Any]] = field(default_factory=list)
    uploads: list[bytes] = field(default_factory=list)

    def sign_in(self, name: str, _password: str) -> "Api":
        self.signed_in.append(name)
        self.token = "token"
        return self

    def api(self, method: str, path: str, body: Any = None) -> Reply:
        if method == "POST":
            self.sent.append((path, body))
        found = self.replies[method, path.rpartition("/")[2]]
        status, content = found if isinstance(found, tuple) else (200, found)
        return Reply(status, {}, json.dumps(content).encode())

    def upload(self, _url: str, _fields: dict[str, str], photo: bytes) -> Reply:
        self.uploads.append(photo)
        return Reply(204, {}, b"")


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def api() -> Api:
    form = {"photo_id": "1", "url": "", "fields": {}}
    return Api({("POST", "uploads"): form, ("GET", "shift"): NOTHING_ON})


@pytest.fixture
def courier(api: Api) -> Courier:
    return Courier(Person("dina", "", api), ["broken-half-sent.jpg", "bicycle-racing.webp"])


def route(*minutes: float) -> dict[str, Any]:
    """A shift with a route whose stops are reached in so many minutes."""
    stops = [
        {
            "order_id": f"order-{number}",
            "arrives_at": (datetime.now(UTC) + timedelta(minutes=minute)).isoformat(),
            "delivered_at": None,
        }
        for number, minute in enumerate(minutes, start=1)
    ]
    return {"state": "on_route", "route": {"dispatch_id": "d", "stops": stops}}


# ── The hour ──


def test_the_orders_of_the_hour_can_be_delivered() -> None:
    fleet = read_fleet()
    orders = demo.orders(random.Random(1), fleet.depot)
    assert len(orders) == demo.ORDERS
    assert [order.minute for order in orders] == sorted(order.minute for order in orders)
    assert 0 < orders[0].minute < orders[-1].minute <= demo.MINUTES
    for order in orders:
        north = (order.location.latitude - fleet.depot.latitude) * 111.2
        east = (order.location.longitude - fleet.depot.longitude) * 68.3
        km = math.hypot(north, east)
        assert 0.4 < km < 9.1
        fastest = min(
            60 * km * each.detour_factor / each.speed_kmh for each in fleet.vehicles.values()
        )
        assert order.due_minutes > fastest + 5
        assert order.boxes <= min(each.capacity_boxes for each in fleet.vehicles.values())


def test_all_couriers_come_early_and_their_photos_exist() -> None:
    minutes = demo.arrivals()
    assert minutes.keys() == demo.PHOTOS.keys()
    assert min(minutes.values()) == 0
    assert max(minutes.values()) == demo.LAST_ARRIVAL
    for photos in demo.PHOTOS.values():
        assert all((demo.SAMPLE_PHOTOS / photo).is_file() for photo in photos)
        assert demo.label_of(photos[-1]) != "other"


# ── Couriers ──


def test_a_courier_sends_photos_until_one_is_accepted(
    api: Api, courier: Courier, said: list[str]
) -> None:
    def photo(state: str, label: str | None = None) -> None:
        api.replies["GET", "1"] = {"state": state, "label": label, "reason": "it is broken"}
        courier.act(0, said.append)

    courier.act(0, said.append)
    photo("classifying")
    photo("rejected")
    courier.act(0, said.append)
    photo("review")
    photo("review")
    photo("accepted", "bicycle")
    courier.act(0, said.append)
    names = ["broken-half-sent.jpg", "bicycle-racing.webp"]
    assert api.uploads == [(demo.SAMPLE_PHOTOS / name).read_bytes() for name in names]
    kinds = [body["content_type"] for _, body in api.sent]
    assert kinds == ["image/jpeg", "image/webp"]
    assert api.signed_in == ["dina"]
    assert said == [
        "dina sends broken-half-sent.jpg",
        "dina's photo: rejected, it is broken",
        "dina sends bicycle-racing.webp",
        "dina's photo: review, it is broken",
        "dina's photo: accepted, bicycle",
    ]


def test_a_courier_delivers_when_the_plan_says_so_and_then_rides_the_next_route(
    api: Api, courier: Courier, said: list[str]
) -> None:
    courier.state = "accepted"
    api.replies["GET", "shift"] = route(5, 9)
    api.replies["POST", "deliveries"] = (202, {})
    for minute in (10, 14.5, 15.5, 16, 19.5, 30):
        courier.act(minute, said.append)
    assert said == [
        "dina leaves with 2 orders",
        "dina delivers order order-1",
        "dina delivers order order-2",
    ]
    delivered = [body for path, body in api.sent if path.endswith("deliveries")]
    assert delivered == [
        {"order_id": order_id, "dispatch_id": "d"} for order_id in ("order-1", "order-2")
    ]


def test_an_order_that_was_taken_off_the_route_is_left_out(
    api: Api, courier: Courier, said: list[str]
) -> None:
    courier.state = "accepted"
    api.replies["GET", "shift"] = route(5)
    api.replies["POST", "deliveries"] = (404, {})
    courier.act(10, said.append)
    courier.act(16, said.append)
    courier.act(17, said.append)
    assert said == ["dina leaves with 1 order"]
    assert len(api.sent) == 1


def test_who_has_an_expired_token_signs_in_again(
    api: Api, courier: Courier, said: list[str]
) -> None:
    api.replies["POST", "uploads"] = (401, {})
    courier.act(0, said.append)
    courier.act(0, said.append)
    assert api.signed_in == ["dina", "dina"]
    assert courier.left == ["broken-half-sent.jpg", "bicycle-racing.webp"]


# ── The shop ──


@pytest.fixture
def shop(api: Api, courier: Courier) -> Shop:
    depot = read_fleet().depot
    orders = [Order(3, depot, 1, 15), Order(8, depot, 2, 15)]
    return Shop(Person("mila", "", api), Person("sam", "", api), {"dina": courier}, orders)


def test_orders_come_in_their_minute_and_a_refused_one_is_placed_again(
    api: Api, shop: Shop, said: list[str]
) -> None:
    shop.act(2, said.append)
    api.replies["POST", "orders"] = (503, {})
    shop.act(4, said.append)
    assert len(shop.orders) == 2
    api.replies["POST", "orders"] = (202, {"order_id": "1234567890"})
    shop.act(5, said.append)
    assert [order.minute for order in shop.orders] == [8]
    assert "order 12345678: boxes 1" in said
    [_, (_, body)] = [sent for sent in api.sent if sent[0].endswith("orders")]
    due = datetime.fromisoformat(body["due_until"]) - datetime.fromisoformat(body["ready_at"])
    assert due == timedelta(minutes=15)


def test_the_reviewer_labels_the_photos_of_the_demo_and_no_other(
    api: Api, shop: Shop, courier: Courier, said: list[str]
) -> None:
    courier.sent, courier.waits_for, courier.state = {"7": "no-vehicle-scone.jpg"}, "7", "review"
    api.replies["GET", "7"] = {"state": "review", "label": None, "reason": ""}
    api.replies["POST", "reviews"] = (202, {})
    for photo_id, minute in (("9", 0), ("7", 10)):
        image_id = f"uploads/dina/{photo_id}#version"
        api.replies["POST", "leases"] = {"items": [{"image_id": image_id, "courier_id": "dina"}]}
        shop.act(-1, said.append)
        shop.reviews_at = minute
        shop.review(said.append)
    reviews = [body for path, body in api.sent if path.endswith("reviews")]
    assert reviews == [{"image_id": "uploads/dina/7#version", "label": "other"}]


# ── The browser ──


@pytest.mark.parametrize(
    ("environment", "platform", "expected"),
    [
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({}, "linux", False),
        ({}, "darwin", True),
        ({"CI": "true", "DISPLAY": ":0"}, "linux", False),
    ],
)
def test_a_browser_is_opened_where_a_person_can_see_it(
    environment: dict[str, str], platform: str, *, expected: bool
) -> None:
    assert demo.has_browser(environment, platform) is expected


# ── After the hour ──


def test_the_line_at_the_end_of_the_hour_says_why_deliveries_pause(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter([0.0, 301.0, 302.0])
    clock = SimpleNamespace(monotonic=lambda: next(seconds), sleep=lambda _: None)
    monkeypatch.setattr(demo, "time", clock)
    monkeypatch.setattr(Shop, "act", lambda *_: None)
    printed = io.StringIO()
    with pytest.raises(StopIteration):
        demo.simulate(shop, Console(file=printed))
    [line] = printed.getvalue().splitlines()
    assert line.startswith("minute  60  The hour is over")
    assert "the return to the depot takes real time" in line
