"""Wait for a condition, but not for ever."""

import time
from collections.abc import Callable
from typing import Any

import pytest

PATIENCE = 120  # seconds until a condition that must come counts as failed


def wait_until[T](condition: Callable[[], T], what: str, why: Callable[[], Any] = str) -> T:
    """The first true value of a condition; fails after PATIENCE seconds, and says `why` it may.

    The checks become rarer, because each one takes time of the local cloud.
    """
    start = time.monotonic()
    while not (value := condition()):
        waited = time.monotonic() - start
        if waited > PATIENCE:
            pytest.fail(f"in {PATIENCE} seconds not seen: {what} {why()}")
        time.sleep(min(0.02 + waited / 10, 0.5))
    return value
