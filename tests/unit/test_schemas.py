"""The schemas of the record and of the events agree with their examples and with the code."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from samcli.yamlhelper import yaml_parse

from tests.support.repository import REPOSITORY
from tests.support.schemas import EVENTS, SCHEMAS, problems

NOW = datetime(2026, 11, 20, 9, 20, tzinfo=UTC)
AFTER = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
ORDER = EVENTS["Order Placed"]["examples"][0]
OFF_SHIFT = EVENTS["Courier Off Shift"]["examples"][0]
CHECK_IN = EVENTS["Photo Classified"]["examples"][0]


def without(detail: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in detail.items() if key != name}


@pytest.fixture(scope="module")
def read(load: Callable[[str, str], ModuleType]) -> Callable[[str, Any], Any]:
    """The message that the dispatch reads from an event; ValueError if it refuses the event."""
    messages = load("dispatch_orders", "messages")
    orders = load("dispatch_orders", "orders")
    fleet = load("dispatch_orders", "fleet").read_fleet()

    def read_event(detail_type: str, detail: Any) -> Any:
        if detail_type == "Order Placed":
            return orders.Order.from_event(detail, fleet=fleet, now=NOW)
        event = {"id": "1", "detail-type": detail_type, "detail": detail}
        message = messages.read_message(json.dumps(event), AFTER)
        if refused := getattr(message, "reason", None):
            raise ValueError(refused)
        return message

    return read_event


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_valid_and_so_are_its_examples(name: str) -> None:
    schema = SCHEMAS[name]
    Draft202012Validator.check_schema(schema)
    assert schema["$id"].endswith(f"/{name}.json")
    assert [
        problems(schema, example)
        for example in schema.get("examples", [])
        if problems(schema, example)
    ] == []
    assert schema.get("examples") or name in {"common", "prediction"}


def detail_types(value: Any) -> Iterator[str]:
    """The detail types of the stack's own events in a template or a state machine."""
    if isinstance(value, list):
        for item in value:
            yield from detail_types(item)
    elif isinstance(value, dict):
        if not any(str(source).startswith("aws.") for source in value.get("source", [])):
            yield from value.get("detail-type", [])
        if "DetailType" in value:
            yield value["DetailType"]
        for item in value.values():
            yield from detail_types(item)


def test_every_event_that_the_stack_sends_or_hears_has_a_schema() -> None:
    sources = [yaml_parse((REPOSITORY / "template.yaml").read_text())]
    sources += [
        json.loads(path.read_text()) for path in (REPOSITORY / "statemachine").glob("*.json")
    ]
    found = set(detail_types(sources))
    assert {"Photo Classified", "Order Placed", "Review Refused"} <= found
    assert found <= EVENTS.keys()


@pytest.mark.parametrize(
    ("detail_type", "detail"),
    [
        ("Order Placed", ORDER),
        ("Order Placed", ORDER | {"note": "ring twice"}),
        ("Order Placed", ORDER | {"ready_at": "2026-11-20T10:10:00.5+01:00"}),
        ("Courier Off Shift", OFF_SHIFT),
        ("Photo Classified", CHECK_IN),
        ("Photo Classified", EVENTS["Photo Classified"]["examples"][-1]),
    ],
)
def test_the_dispatch_reads_what_the_schema_allows(
    read: Callable[[str, Any], Any], detail_type: str, detail: Any
) -> None:
    assert problems(EVENTS[detail_type], detail) == []
    assert read(detail_type, detail)


@pytest.mark.parametrize(
    ("detail_type", "detail"),
    [
        *(("Order Placed", without(ORDER, name)) for name in ORDER),
        *(("Courier Off Shift", without(OFF_SHIFT, name)) for name in OFF_SHIFT),
        *(("Photo Classified", without(CHECK_IN, name)) for name in ("sender_id", "label")),
        ("Order Placed", ORDER | {"order_id": ""}),
        ("Order Placed", ORDER | {"order_id": 1001}),
        ("Order Placed", ORDER | {"order_id": "x" * 129}),
        ("Order Placed", ORDER | {"boxes": 0}),
        ("Order Placed", ORDER | {"boxes": 1.5}),
        ("Order Placed", ORDER | {"boxes": "2"}),
        ("Order Placed", ORDER | {"latitude": 91}),
        ("Order Placed", ORDER | {"longitude": "5.1"}),
        ("Order Placed", ORDER | {"due_until": "2026-11-20T10:00:00"}),
        ("Order Placed", ORDER | {"due_until": 1795173600}),
        ("Courier Off Shift", OFF_SHIFT | {"courier_id": ""}),
        ("Courier Off Shift", OFF_SHIFT | {"courier_id": 42}),
        ("Courier Off Shift", OFF_SHIFT | {"off_shift_at": "today"}),
        ("Photo Classified", CHECK_IN | {"recorded_at": "2026-11-20"}),
        ("Photo Classified", CHECK_IN | {"label": 3}),
    ],
)
def test_the_dispatch_refuses_what_the_schema_forbids(
    read: Callable[[str, Any], Any], detail_type: str, detail: Any
) -> None:
    assert problems(EVENTS[detail_type], detail)
    with pytest.raises(ValueError, match=r"."):
        read(detail_type, detail)


@pytest.mark.parametrize(
    "change",
    [
        {"status": "failed"},
        {"error": "EndpointError"},
        {"confidence": 1.2},
        {"hour": "2026-11-20"},
        {"courier": "42"},
        {"reviewed_label": "bicycle"},
        {"recorded_at": "2026-11-20T10:00:00+01:00"},
    ],
)
def test_a_wrong_record_is_invalid(change: dict[str, Any]) -> None:
    record = SCHEMAS["record"]
    assert problems(record, record["examples"][0] | change)
