"""The shop lists, places, changes and cancels orders in the console."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.schemas import EVENTS, problems
from tests.support.tables import at, order, put, today
from tests.support.web import Client, now

# ── Lists ──


def pages(client: Client, **query: str) -> list[list[str]]:
    """The ids of all pages."""
    found, cursor = [], None
    while True:
        more = {"cursor": cursor} if cursor else {}
        reply = client.get("/api/console/orders", query=query | more)
        assert reply.status == 200, reply.content
        found.append([each["order_id"] for each in reply.json["items"]])
        cursor = reply.json["next"]
        if not cursor:
            return found


def test_orders_of_a_day_are_listed_in_pages_newest_first(client: Client) -> None:
    for number in range(5):
        order(f"o-{number}", minute=number)
    found = pages(client, day=today(), limit="2")
    assert [each for page in found for each in page] == ["o-4", "o-3", "o-2", "o-1", "o-0"]
    assert all(len(page) <= 2 for page in found)


def test_each_list_shows_an_order_whole(client: Client) -> None:
    route = {"courier_id": "anna", "vehicle": "bicycle", "arrives_at": at(20)}
    order("o-1", "assigned", **route, pinned_to="anna", held_by="max")
    order("o-2", "delivered", **route, delivered_at=at(21))
    [assigned] = client.get("/api/console/orders", query={"order_id": "o-1"}).json["items"]
    [delivered] = client.get("/api/console/orders", query={"order_id": "o-2"}).json["items"]
    assert [name for name in assigned if assigned[name] is delivered[name] is None] == []
    of_day = client.get("/api/console/orders", query={"day": today()}).json["items"]
    assert sorted(of_day, key=lambda each: each["order_id"]) == [assigned, delivered]
    assert client.get("/api/console/orders").json["items"] == [assigned]
    assert now(client)["orders"] == [assigned]


def test_open_orders_are_listed_whatever_the_day_by_the_end_of_their_windows(
    client: Client,
) -> None:
    for order_id, minutes in (("soon", 5), ("next-week", 6 * 1440), ("late", -60)):
        day = at(minutes)[:10]
        order(order_id, due_until=at(minutes), day=day)
    order("forgotten", "assigned", due_until=at(-1500))
    for status in ("delivered", "cancelled", "refused"):
        order(status, status)
    found = pages(client, limit="2")
    assert [each for page in found for each in page] == ["late", "soon", "next-week"]
    assert {each["order_id"] for each in now(client)["orders"]} == {"late", "soon", "next-week"}


def test_orders_are_filtered_by_state_courier_and_day(client: Client) -> None:
    for number in range(6):
        mine = {"courier_id": "anna"} if number % 2 else {"courier_id": "ben"}
        order(f"o-{number}", "assigned" if number < 4 else "delivered", number, **mine)
    order("o-9", day="2026-01-01")
    chosen = {"state": "assigned", "courier_id": "anna", "limit": "1"}
    found = pages(client, day=today(), **chosen)
    assert [each for page in found for each in page] == ["o-3", "o-1"]
    assert {each for page in pages(client, **chosen) for each in page} == {"o-3", "o-1"}
    assert pages(client, day="2026-01-01") == [["o-9"]]


def test_orders_are_filtered_by_the_end_of_their_windows(client: Client) -> None:
    for order_id, minutes in (("at-10", 10), ("at-20", 20), ("at-30", 30), ("at-40", 40)):
        order(order_id, minute=minutes, due_until=at(minutes), day="2026-01-01")
    order("refused", "refused", day="2026-01-01", due_until=None)
    between = {"due_after": at(15), "due_before": at(35), "limit": "1"}
    for day in ({}, {"day": "2026-01-01"}):
        found = [each for page in pages(client, **between, **day) for each in page]
        assert sorted(found) == ["at-20", "at-30"]
        assert pages(client, due_after=at(35), **day) == [["at-40"]]
        assert pages(client, due_before=at(15), **day) == [["at-10"]]
        assert pages(client, due_after=at(30), due_before=at(15), **day) == [[]]
    chosen = {"state": "waiting", "day": "2026-01-01", "due_before": at(15)}
    assert pages(client, **chosen) == [["at-10"]]


def test_a_time_filter_takes_any_offset_and_any_year(client: Client) -> None:
    order("o-1", due_until="2026-01-01T09:00:00.000000Z", day="2026-01-01")
    for due_after, found in (
        ("2026-01-01T10:00:00+01:00", ["o-1"]),
        ("2026-01-01T10:00:01+01:00", []),
        ("0001-01-01T00:00:00+14:00", ["o-1"]),
    ):
        latest = {"due_before": "9999-12-31T23:59:59-12:00"}
        assert pages(client, day="2026-01-01", due_after=due_after, **latest) == [found]
    order("o-2")
    assert pages(client, due_before=at(-2000)) == [[]]  # open orders are not listed for longer


@pytest.mark.parametrize(
    "query",
    [
        {"cursor": "x"},
        {"due_after": "noon"},
        {"due_before": "2026-11-20T12:00:00"},
        {"cursor": "[1]"},
        {"limit": "0"},
        {"limit": "101"},
        {"state": "lost"},
        {"day": "yesterday"},
    ],
)
def test_a_wrong_filter_is_a_problem(client: Client, query: dict[str, str]) -> None:
    reply = client.get("/api/console/orders", query=query)
    assert (reply.status, reply.headers["Content-Type"]) == (422, "application/problem+json")


def test_a_refused_order_is_listed_with_its_reason(client: Client) -> None:
    put(
        "OrdersTable",
        order_id="o-1",
        status="refused",
        reason="refused: due_until is in the past",
        day=today(),
        recorded_at=at(0),
    )
    [item] = client.get("/api/console/orders", query={"day": today()}).json["items"]
    assert (item["state"], item["late"], item["latitude"]) == ("refused", False, None)


def test_one_order_is_read_in_any_state(client: Client) -> None:
    order("o-1")
    order('o/2 "', "refused")
    assert pages(client, order_id='o/2 "') == [['o/2 "']]
    assert pages(client, order_id="o-3") == [[]]


# ── New orders ──

NEW_ORDER = {
    "order_id": "o-1",
    "latitude": 52.1,
    "longitude": 5.1,
    "boxes": 2,
    "ready_at": at(-20),
    "due_from": "2026-11-20T09:30:00+01:00",
    "due_until": at(30),
}


def test_an_order_is_published_with_who_placed_it(client: Client, published: list[Any]) -> None:
    assert client.post("/api/console/orders", NEW_ORDER).json == {"order_id": "o-1"}
    [(kind, detail)] = published
    assert (kind, detail["placed_by"], detail["boxes"]) == ("Order Placed", "max", 2)
    assert datetime.fromisoformat(detail["due_from"]) == datetime(2026, 11, 20, 8, 30, tzinfo=UTC)


def test_an_order_without_an_id_gets_one(client: Client, published: list[Any]) -> None:
    unnamed = {name: value for name, value in NEW_ORDER.items() if name != "order_id"}
    order_id = client.post("/api/console/orders", unnamed).json["order_id"]
    assert order_id == published[0][1]["order_id"]
    assert len(order_id) == 36


@pytest.mark.parametrize(
    ("field", "value"),
    [("latitude", 91), ("boxes", 0), ("boxes", "many"), ("ready_at", "noon"), ("due_until", None)],
)
def test_a_wrong_field_is_named(
    client: Client, published: list[Any], field: str, value: Any
) -> None:
    reply = client.post("/api/console/orders", NEW_ORDER | {field: value})
    assert reply.status == 422
    assert [each["field"] for each in reply.json["errors"]] == [field]
    assert published == []


@pytest.mark.parametrize(
    ("window", "reason"),
    [
        ({"due_from": at(60), "due_until": at(30)}, "due_until is before due_from"),
        ({"due_from": at(-60), "due_until": at(-30)}, "due_until is in the past"),
    ],
)
def test_an_order_with_an_impossible_window_is_refused_at_once(
    client: Client, published: list[Any], window: dict[str, str], reason: str
) -> None:
    reply = client.post("/api/console/orders", NEW_ORDER | window)
    assert (reply.status, published) == (422, [])
    assert reply.json["detail"] == f"body: {reason}"


# ── Cancellations and changes ──


def test_an_order_can_be_cancelled_until_its_courier_leaves(
    client: Client, published: list[Any]
) -> None:
    put("CouriersTable", courier_id="ann", departs_at=at(-1))
    put("CouriersTable", courier_id="bob", departs_at=at(1))
    order("waits")
    order("of-ann", "assigned", courier_id="ann")
    order("of-bob", "assigned", courier_id="bob")
    order("done", "delivered")
    cancel = "/api/console/cancellations"
    assert client.post(cancel, {"order_id": "unknown"}).status == 404
    assert client.post(cancel, {"order_id": "done"}).status == 409
    has_left = client.post(cancel, {"order_id": "of-ann"})
    assert has_left.status == 409
    assert "Courier ann has left with the order" in has_left.json["detail"]
    assert published == []
    for order_id in ("waits", "of-bob"):
        assert client.post(cancel, {"order_id": order_id}).status == 202
    assert [(kind, detail["order_id"], detail["cancelled_by"]) for kind, detail in published] == [
        ("Order Cancelled", "waits", "max"),
        ("Order Cancelled", "of-bob", "max"),
    ]
    assert all(problems(EVENTS[kind], detail) == [] for kind, detail in published)


CHANGES = "/api/console/changes"


@pytest.mark.parametrize(
    "change",
    [
        {"courier_id": "ben"},
        {"courier_id": None},
        {"held": True},
        {"held": False, "courier_id": "ben"},
    ],
)
def test_a_change_of_an_order_is_published_with_who_changed_it(
    client: Client, published: list[Any], change: dict[str, Any]
) -> None:
    order("o-1")
    assert client.post(CHANGES, {"order_id": "o-1", **change}).status == 202
    [(kind, detail)] = published
    assert kind == "Order Changed"
    assert problems(EVENTS["Order Changed"], detail) == []
    assert detail.pop("changed_at")
    assert detail == {"order_id": "o-1", "changed_by": "max", **change}


def test_a_changed_window_is_published(client: Client, published: list[Any]) -> None:
    order("o-1")
    window = {"due_from": at(60), "due_until": at(90)}
    assert client.post(CHANGES, {"order_id": "o-1", **window}).status == 202
    assert {name: published[0][1][name] for name in window} == window


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, "send due_from and due_until, courier_id or held"),
        ({"due_from": at(60)}, "send due_from and due_until together"),
        ({"due_from": at(60), "due_until": None}, "send due_from and due_until together"),
        ({"due_from": at(60), "due_until": at(30)}, "due_until is before due_from"),
        ({"due_from": at(-60), "due_until": at(-30)}, "due_until is in the past"),
        ({"held": None}, "held"),
        ({"courier_id": ""}, "courier_id"),
    ],
)
def test_a_change_that_is_not_valid_is_refused_with_the_reason(
    client: Client, published: list[Any], change: dict[str, Any], reason: str
) -> None:
    order("o-1")
    reply = client.post(CHANGES, {"order_id": "o-1", **change})
    assert (reply.status, published) == (422, [])
    assert reason in reply.json["detail"]


def test_an_order_can_be_changed_until_its_courier_leaves(
    client: Client, published: list[Any]
) -> None:
    for courier_id, minutes in (("ann", 1), ("bob", -1)):
        put("CouriersTable", courier_id=courier_id, departs_at=at(minutes))
        order(f"of-{courier_id}", "assigned", courier_id=courier_id)
    order("done", "delivered")
    replies = {
        order_id: client.post(CHANGES, {"order_id": order_id, "held": True})
        for order_id in ("of-ann", "of-bob", "done", "unknown")
    }
    assert {order_id: reply.status for order_id, reply in replies.items()} == {
        "of-ann": 202,
        "of-bob": 409,
        "done": 409,
        "unknown": 404,
    }
    assert "Courier bob has left with the order" in replies["of-bob"].json["detail"]
    assert [detail["order_id"] for _, detail in published] == ["of-ann"]
