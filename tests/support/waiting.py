"""Waiting for a condition, with an end."""

import time
from collections.abc import Callable
from typing import Any

import pytest

PATIENCE = 120  # seconds until a condition that must come is given up


def wait_until[T](condition: Callable[[], T], what: str, why: Callable[[], Any] = str) -> T:
    """The first true value of a condition; fails after PATIENCE seconds, and says `why` it may.

    It looks ever less often: each look takes the local cloud's time from what is waited for.
    """
    start = time.monotonic()
    while not (value := condition()):
        waited = time.monotonic() - start
        if waited > PATIENCE:
            pytest.fail(f"in {PATIENCE} seconds not seen: {what} {why()}")
        time.sleep(min(0.02 + waited / 10, 0.5))
    return value
