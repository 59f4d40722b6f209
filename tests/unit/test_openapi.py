"""docs/openapi.yaml describes the operations that the functions have."""

from collections.abc import Callable
from types import ModuleType

import pytest

from tests.support.web import contract

METHODS = {"get", "post", "put", "patch", "delete"}


def test_every_operation_is_described_and_no_other(
    aws: None, environment: pytest.MonkeyPatch, load: Callable[[str, str], ModuleType]
) -> None:
    found = {
        (path.replace("<", "{").replace(">", "}"), method)
        for function in ("courier_api", "console_api", "preview_photo")
        for path, item in load(function, "app")
        .app.get_openapi_schema()
        .model_dump()["paths"]
        .items()
        for method in METHODS & {name for name, value in item.items() if value}
    }
    described = {
        (path, method)
        for path, item in contract()["paths"].items()
        for method in METHODS & item.keys()
        if path.startswith("/api/")
    }
    assert found == described
