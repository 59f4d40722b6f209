"""docs/openapi.yaml describes the operations that the functions have, and what they take."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from tests.support.web import contract

METHODS = {"get", "post", "put", "patch", "delete"}
FUNCTIONS = ("courier_api", "console_api", "preview_photo")
KEPT = ("type", "enum", "format", "minimum", "maximum", "minLength", "maxLength", "pattern")

type Inputs = dict[tuple[str, str], Any]


def inputs_of(document: dict[str, Any]) -> Inputs:
    """Each operation by path and method: its parameters, and the fields of its body."""
    return {
        (path.replace("<", "{").replace(">", "}"), method): {
            "parameters": {
                each["name"]: (each["in"], each.get("required", False), plain(document, each))
                for each in operation.get("parameters", [])
            },
            "body": fields(document, operation.get("requestBody")),
        }
        for path, item in document["paths"].items()
        if path.startswith("/api/")
        for method, operation in item.items()
        if method in METHODS
    }


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The schema to which a schema refers; of an optional one, that of its values."""
    if "$ref" in schema:
        found = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        return resolved(document, found)
    if "anyOf" in schema:
        one, null = (resolved(document, each) for each in schema["anyOf"])
        assert null["type"] == "null"
        return one
    if isinstance(schema.get("type"), list):
        [kind] = [each for each in schema["type"] if each != "null"]
        return schema | {"type": kind}
    return schema


def plain(document: dict[str, Any], described: dict[str, Any]) -> dict[str, Any]:
    """What a parameter or a field has to be, without its description."""
    schema = resolved(document, described.get("schema", described))
    kept = KEPT[1:] if "enum" in schema else KEPT  # the values of an enum say its type
    return {name: schema[name] for name in kept if name in schema}


def fields(document: dict[str, Any], body: dict[str, Any] | None) -> Any:
    """The fields of a request body, and which it must have; None without a body."""
    if body is None:
        return None
    schema = resolved(document, body["content"]["application/json"]["schema"])
    properties = {
        name: plain(document, each) for name, each in schema.get("properties", {}).items()
    }
    return properties, {*schema.get("required", [])}


def test_every_operation_and_its_input_is_described_and_no_other(
    aws: None, environment: pytest.MonkeyPatch, load: Callable[[str, str], ModuleType]
) -> None:
    found: Inputs = {}
    for function in FUNCTIONS:
        schema = load(function, "app").app.get_openapi_schema()
        found |= inputs_of(schema.model_dump(by_alias=True, exclude_none=True, mode="json"))
    assert inputs_of(contract()) == found
