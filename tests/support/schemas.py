"""The JSON Schemas of the record and of the events, as the tests use them."""

import json
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from tests.support.repository import REPOSITORY

FOLDER = REPOSITORY / "schemas"
SCHEMAS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
REGISTRY = Registry().with_resources(
    (schema["$id"], Resource.from_contents(schema)) for schema in SCHEMAS.values()
)
EVENTS = {schema["title"]: schema for schema in SCHEMAS.values() if "x-publishers" in schema}


def problems(schema: dict[str, Any], value: Any) -> list[str]:
    """What of a value breaks a schema, one line for each; empty if it is valid."""
    found = Draft202012Validator(schema, registry=REGISTRY).iter_errors(value)
    return [f"{error.json_path}: {error.message}" for error in found]


def assert_event(detail_type: str, detail: Any) -> None:
    """Fail if the detail of an event is not what its schema says."""
    assert detail_type in EVENTS, f"schemas/ has no schema for the event {detail_type!r}"
    assert problems(EVENTS[detail_type], detail) == []


def assert_record(record: dict[str, Any]) -> None:
    """Fail if the values of a record are not what its schema says."""
    assert problems(SCHEMAS["record"], record) == []
