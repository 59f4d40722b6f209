"""The corrections of MiniStack in local/emulator.py, without a running cloud."""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ministack.core import iam_evaluator
from ministack.services import apigateway, cognito, eventbridge, lambda_svc, sqs, stepfunctions

from local import emulator

THROTTLED = {"error": True, "throttle": True, "body": {}}
DONE = {"body": {"batchItemFailures": []}}
QUEUE = {"attributes": {"VisibilityTimeout": "270"}, "messages": []}


@pytest.fixture
def ministack(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """MiniStack, restored after the test."""
    for module, name in (
        (lambda_svc, "_execute_function"),
        (lambda_svc, "_run_sqs_batch"),
        (stepfunctions, "_run_execution"),
        (eventbridge, "_dispatch_to_stepfunctions"),
    ):
        monkeypatch.setattr(module, name, getattr(module, name))
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


def test_a_batch_is_not_retried_after_its_messages_are_visible_again(
    ministack: pytest.MonkeyPatch,
) -> None:
    ministack.setitem(QUEUE["attributes"], "VisibilityTimeout", "0")
    ministack.setattr(lambda_svc, "_execute_function", results(THROTTLED, THROTTLED))
    emulator.retry_throttled_batches()
    assert deliver()["LastProcessingResult"] == "FAILED"


def test_throttling_is_reported_to_other_callers_at_once(ministack: pytest.MonkeyPatch) -> None:
    ministack.setattr(lambda_svc, "_execute_function", results(THROTTLED, DONE))
    emulator.retry_throttled_batches()
    assert lambda_svc._execute_function({}, {}) == THROTTLED


def test_only_executions_that_events_started_wait_for_their_place(
    ministack: pytest.MonkeyPatch,
) -> None:
    started, over = threading.Semaphore(0), threading.Event()

    def run(name: str) -> None:
        started.release()
        if name == "event":
            over.wait(60)

    def dispatch(_state_machine: str, _payload: str) -> None:
        context = contextvars.copy_context()
        thread = threading.Thread(
            target=context.run, args=(lambda: stepfunctions._run_execution("event"),)
        )
        thread.start()
        threads.append(thread)

    threads: list[threading.Thread] = []
    ministack.setattr(emulator, "EXECUTIONS", 2)
    ministack.setattr(stepfunctions, "_run_execution", run)
    ministack.setattr(eventbridge, "_dispatch_to_stepfunctions", dispatch)
    emulator.queue_executions()
    for _ in range(3):
        eventbridge._dispatch_to_stepfunctions("arn", "{}")
    for _ in range(2):
        assert started.acquire(timeout=60)
    stepfunctions._run_execution("by hand")
    assert started.acquire(timeout=60)
    assert not started.acquire(blocking=False)  # the third event waits
    over.set()
    assert started.acquire(timeout=60)
    for thread in threads:
        thread.join(60)


def test_a_token_is_verified_with_the_keys_of_its_user_pool(ministack: pytest.MonkeyPatch) -> None:
    """Over TLS, MiniStack alone cannot fetch its own keys, and refuses every token."""

    async def fetch(url: str) -> str:
        return f"fetched {url}"

    ministack.setattr(apigateway, "_fetch_jwks", fetch)
    ministack.setattr(cognito, "_get_pool_unscoped", {"us-east-1_own": {}}.get)
    ministack.setattr(cognito, "well_known_jwks", lambda pool: (200, {}, f'["{pool}"]'))
    emulator.find_keys_of_users()
    own, other = (
        f"http://127.0.0.1:1/{pool}/.well-known/jwks.json"
        for pool in ("us-east-1_own", "us-east-1_other")
    )
    assert asyncio.run(apigateway._fetch_jwks(own)) == ["us-east-1_own"]
    assert asyncio.run(apigateway._fetch_jwks(other)) == f"fetched {other}"


def test_a_policy_with_a_wildcard_matches_a_key_with_a_newline(
    ministack: pytest.MonkeyPatch,
) -> None:
    ministack.setattr(iam_evaluator, "_fnmatch_compile", iam_evaluator._fnmatch_compile)
    ministack.setattr(iam_evaluator, "_FNMATCH_CACHE", {})
    photo = "arn:aws:s3:::photos/uploads/42/new\nline.jpg"
    assert not iam_evaluator.fnmatch_iam_cs(photo, "arn:aws:s3:::photos/uploads/*")
    emulator.match_any_key()
    assert iam_evaluator.fnmatch_iam_cs(photo, "arn:aws:s3:::photos/uploads/*")
    assert not iam_evaluator.fnmatch_iam_cs(photo, "arn:aws:s3:::photos/labelled/*")
