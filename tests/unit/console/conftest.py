"""The console's function on moto's tables, and a manager who uses it."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from tests.support.tables import create_tables
from tests.support.web import Client, publishing

TABLES = ("PredictionsTable", "CouriersTable", "OrdersTable", "DriftTable", "RetrainingTable")


@pytest.fixture
def client(
    aws: None,
    environment: pytest.MonkeyPatch,
    load: Callable[[str, str], ModuleType],
    context: Any,
    published: list[tuple[str, dict[str, Any]]],
) -> Client:
    create_tables(environment, *TABLES)
    for name, value in {
        "LABELS": "bicycle,motorcycle,other",
        "STACK_NAME": "shop",
        "EVENT_BUS_NAME": "bus",
    }.items():
        environment.setenv(name, value)
    app = load("console_api", "app")
    environment.setattr(app, "publish", publishing(published))
    return Client(app, context, "max", ["managers"])
