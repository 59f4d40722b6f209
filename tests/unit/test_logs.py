"""The log lines of all functions have the format that Lambda's log level filter needs."""

import json
import logging
from collections.abc import Callable
from datetime import datetime
from types import ModuleType

import pytest

from tests.support.functions import FUNCTIONS


@pytest.mark.parametrize(
    "function", sorted(path.parent.name for path in FUNCTIONS.glob("*/app.py"))
)
def test_times_in_the_log_are_rfc_3339(
    aws: None, load: Callable[[str, str], ModuleType], function: str
) -> None:
    """A line of another format gets the level INFO and another time from Lambda."""
    logger = load(function, "app").logger
    record = logging.LogRecord("a", logging.INFO, __file__, 1, "a line", None, None)
    line = json.loads(logger.registered_formatter.format(record))
    time = datetime.fromisoformat(line["timestamp"])
    assert time.utcoffset() is not None
    assert line["timestamp"][10] == "T"
    assert line["timestamp"].endswith("Z") or line["timestamp"][-3] == ":"
