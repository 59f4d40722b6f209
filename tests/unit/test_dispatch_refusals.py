"""The dispatch refuses invalid events with a reason, and takes the others."""

from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.dispatching import (
    Dispatch,
    at,
    cancelled,
    change,
    delivered,
    event,
    off_shift,
    order,
    photo,
)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"latitude": None}, "latitude is missing"),
        ({"boxes": -1}, "boxes must be a whole number from 1"),
        ({"boxes": 10**400}, "more than the"),
        ({"longitude": 10**400}, "longitude"),
        ({"latitude": float("nan")}, "latitude must be a number"),
        ({"due_until": at(-1)}, "due_until is in the past"),
        ({"latitude": 0, "longitude": 0}, "beyond the range of every vehicle"),
        ({"ready_at": "soon"}, "ready_at must be a time"),
    ],
)
def test_an_invalid_order_is_refused_with_a_reason(
    dispatch: Dispatch, changes: dict[str, Any], reason: str
) -> None:
    assert dispatch.take(order(**changes), order("good"), photo()) == []
    refused = dispatch.order()
    assert (refused["status"], "dispatch_state" in refused) == ("refused", False)
    assert refused["reason"].startswith("refused: ")
    assert reason in refused["reason"]
    assert dispatch.order("good")["status"] == "assigned"
    refusals = [detail for kind, detail in dispatch.new_events() if kind == "Order Refused"]
    assert refusals == [
        {"order_id": "o-1", "event_id": "e-1", "reason": refused["reason"].split(": ", 1)[1]}
    ]


def test_a_refused_order_can_be_corrected_and_a_stored_order_cannot_be_refused(
    dispatch: Dispatch,
) -> None:
    dispatch.take(order(boxes=0))
    dispatch.take(order())
    assert dispatch.order()["status"] == "waiting"
    dispatch.take(order(boxes=0))
    assert dispatch.order()["status"] == "waiting"


def test_a_repeated_order_is_not_refused_after_its_delivery_window(
    dispatch: Dispatch,
) -> None:
    dispatch.take(order(), photo())
    dispatch.new_events()
    late = order(due_from=at(-20), due_until=at(-10), ready_at=at(-30))
    assert dispatch.take(late) == []
    assert dispatch.order()["status"] == "assigned"
    assert dispatch.new_events() == []


@pytest.mark.parametrize("order_id", [None, "", 7, "x" * 129, ["o-1"]])
def test_the_refusal_of_an_order_without_a_valid_id_is_published(
    dispatch: Dispatch, order_id: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    dispatch.take(order(order_id))
    assert dispatch.orders() == []
    [(kind, detail)] = dispatch.new_events()
    assert (kind, detail["order_id"]) == ("Order Refused", None)
    assert "order_id" in detail["reason"]
    assert '"OrdersRefused":[1.0]' in capsys.readouterr().out


BAD_EVENTS: list[tuple[str, Any, str]] = [
    (
        "Courier Off Shift",
        {"courier_id": 7, "off_shift_at": at(-1)},
        "courier_id must be a text: write the number",
    ),
    ("Courier Off Shift", {"courier_id": "", "off_shift_at": at(-1)}, "courier_id must be a text"),
    (
        "Courier Off Shift",
        {"courier_id": "é" * 513, "off_shift_at": at(-1)},
        "courier_id must be a text of 1 to",
    ),
    ("Courier Off Shift", {"off_shift_at": at(-1)}, "courier_id must be a text"),
    ("Courier Off Shift", {"courier_id": "ann"}, "off_shift_at must be a time with an offset"),
    (
        "Courier Off Shift",
        {"courier_id": "ann", "off_shift_at": at(60)},
        "off_shift_at is in the future",
    ),
    ("Courier Off Shift", "ann", "courier_id must be a text"),
    ("Order Changed", {"order_id": "o-1"}, "nothing changes"),
    ("Order Changed", {"order_id": "o-1", "held": "yes"}, "held must be true or false"),
    ("Order Cancelled", {"order_id": "o-1"}, "cancelled_by must be a text"),
    ("Order Delivered", {"order_id": "o-1"}, "dispatch_id must be a text"),
]


@pytest.mark.parametrize(("kind", "detail", "reason"), BAD_EVENTS)
def test_an_invalid_event_is_refused_with_a_reason(
    dispatch: Dispatch, kind: str, detail: Any, reason: str
) -> None:
    assert dispatch.take(photo(), event(kind, detail), order()) == []
    (published, refusal), _ = dispatch.new_events()
    assert published == "Event Refused"
    assert (refusal["event_id"], refusal["detail_type"]) == ("e-1", kind)
    assert refusal["reason"].startswith(reason)
    assert dispatch.order()["status"] == "assigned"


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_an_id_in_two_unicode_forms_is_one_courier_and_one_order(
    dispatch: Dispatch, forms: tuple[Any, Any]
) -> None:
    """A phone writes a key in one form, the couriers' app an event in the other."""
    one, other = (normalize(form, "Zoë") for form in forms)
    dispatch.take(photo(one, minute=-9), off_shift(other, -8), order(one), order(other))
    assert dispatch.orders()[0]["status"] == "waiting"
    dispatch.take(photo(other, "motorcycle", minute=-7))
    [stored] = dispatch.orders()
    assert stored["order_id"] == stored["courier_id"] == normalize("NFC", "Zoë")
    dispatch.take(order(other, boxes=0))
    assert dispatch.order(stored["order_id"])["status"] == "assigned"
    assert len(dispatch.dynamodb.Table("CouriersTable").scan()["Items"]) == 1


INVALID = [
    "",
    "null",
    "[]",
    "not json",
    "[" * 100_000,
    '{"detail-type": "Order Placed", "detail": {"order_id": "\\ud800"}}',
    {},
    {"detail-type": ["Order Placed"]},
    event("Photo Classified", None),
    event("Photo Classified", "accepted"),
    event("Courier Off Shift", {}),
    event("Courier Off Shift", {"courier_id": "ann", "off_shift_at": at(60)}),
    event("Something Else", {}),
]


@pytest.mark.parametrize("body", INVALID, ids=lambda body: str(body)[:40])
def test_an_invalid_message_does_not_block_the_others(dispatch: Dispatch, body: Any) -> None:
    assert dispatch.take(body, order(), photo()) == []
    assert dispatch.order()["status"] == "assigned"


@pytest.mark.parametrize("detail", [None, "x", [], {"order_id": "o-1"}])
def test_an_invalid_order_does_not_block_the_others(dispatch: Dispatch, detail: Any) -> None:
    assert dispatch.take(event("Order Placed", detail), order("good"), photo()) == []
    assert dispatch.order("good")["status"] == "assigned"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=5,
)
ALL_FIELDS = {
    name: value
    for each in (
        order(),
        photo(),
        off_shift("ann", -1),
        change("o-1", held=True, courier_id="ann"),
        cancelled("o-1"),
        delivered("o-1", "d-1", -1),
    )
    for name, value in each["detail"].items()
}
FIELDS = [*ALL_FIELDS, "reviewed_at", "ended_by"]


def changed(kind: str, changes: dict[str, Any]) -> dict[str, Any]:
    """An event with all fields, some of them changed."""
    return event(kind, ALL_FIELDS | changes)


kinds = st.sampled_from(
    [
        "Order Placed",
        "Order Changed",
        "Order Cancelled",
        "Order Delivered",
        "Photo Classified",
        "Courier Off Shift",
    ]
)
some_fields = st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=4)
bodies = st.builds(changed, kinds, some_fields)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(bodies, min_size=20, max_size=20))
def test_no_field_can_make_the_function_fail(
    dispatch: Dispatch, batch: list[dict[str, Any]]
) -> None:
    assert dispatch.take(*batch) == []
