"""How the local cloud invokes functions: its corrections of MiniStack, without a cloud."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ministack.services import lambda_svc, sqs

from local import emulator

THROTTLED = {"error": True, "throttle": True, "body": {}}
DONE = {"body": {"batchItemFailures": []}}
QUEUE = {"attributes": {"VisibilityTimeout": "270"}, "messages": []}


@pytest.fixture
def ministack(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """MiniStack, as it was before and after the test."""
    for name in ("_execute_function", "_execute_function_dispatch", "_run_sqs_batch"):
        monkeypatch.setattr(lambda_svc, name, getattr(lambda_svc, name))
    monkeypatch.setattr(emulator, "RETRY_SECONDS", 0)
    monkeypatch.setattr(sqs, "_queues", {"queue": QUEUE})
    yield monkeypatch
    emulator.batch_until.set(0.0)


def results(*values: dict[str, Any]) -> Callable[[Any, Any], Any]:
    queue = iter(values)
    return lambda _function, _event: next(queue)


def deliver() -> dict[str, Any]:
    """Deliver a batch of a queue; the mapping with its result."""
    mapping = {"UUID": "1", "FunctionName": "dispatch"}
    lambda_svc._run_sqs_batch(mapping, {}, {}, [], "queue", "queue")
    return mapping


def test_a_throttled_batch_is_delivered_as_soon_as_a_function_is_free(
    ministack: pytest.MonkeyPatch,
) -> None:
    ministack.setattr(lambda_svc, "_execute_function", results(THROTTLED, THROTTLED, DONE))
    emulator.retry_throttled_batches()
    assert deliver()["LastProcessingResult"] == "OK - 0 records"


def test_a_batch_that_failed_waits_for_its_visibility_timeout(
    ministack: pytest.MonkeyPatch,
) -> None:
    failed = {"error": True, "body": {"errorType": "KeyError"}}
    ministack.setattr(lambda_svc, "_execute_function", results(failed, DONE))
    emulator.retry_throttled_batches()
    assert deliver()["LastProcessingResult"] == "FAILED"


def test_a_batch_is_given_up_when_its_messages_are_visible_again(
    ministack: pytest.MonkeyPatch,
) -> None:
    ministack.setitem(QUEUE["attributes"], "VisibilityTimeout", "0")
    ministack.setattr(lambda_svc, "_execute_function", results(THROTTLED, THROTTLED))
    emulator.retry_throttled_batches()
    assert deliver()["LastProcessingResult"] == "FAILED"


def test_throttling_of_other_callers_is_theirs_to_retry(ministack: pytest.MonkeyPatch) -> None:
    ministack.setattr(lambda_svc, "_execute_function", results(THROTTLED, DONE))
    emulator.retry_throttled_batches()
    assert lambda_svc._execute_function({}, {}) == THROTTLED


def test_a_batch_does_not_wait_for_the_functions_of_a_burst(
    ministack: pytest.MonkeyPatch,
) -> None:
    everybody_runs, over = threading.Semaphore(0), threading.Event()

    def run(name: str) -> str:
        everybody_runs.release()
        if name == "burst":
            over.wait(60)
        return name

    ministack.setattr(lambda_svc, "_execute_function_dispatch", run)
    emulator.run_few_at_once()
    burst = [
        threading.Thread(target=lambda_svc._execute_function_dispatch, args=("burst",))
        for _ in range(emulator.RUNNING_FUNCTIONS + 1)
    ]
    for thread in burst:
        thread.start()
    for _ in range(emulator.RUNNING_FUNCTIONS):
        assert everybody_runs.acquire(timeout=60)
    assert not everybody_runs.acquire(blocking=False)  # one more waits
    emulator.batch_until.set(time.monotonic() + 270)
    assert lambda_svc._execute_function_dispatch("batch") == "batch"
    over.set()
    for thread in burst:
        thread.join(60)
