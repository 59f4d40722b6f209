"""MiniStack with corrections of differences from AWS that affect the product.

    .venv/bin/python -m local.emulator

Each function below is one correction. They replace private functions of MiniStack's pinned version.
"""

import json
import re
import threading
import time
from contextlib import nullcontext
from contextvars import ContextVar
from typing import Any

from ministack.app import main
from ministack.core import iam_evaluator
from ministack.services import (
    apigateway,
    cognito,
    eventbridge,
    lambda_svc,
    sqs,
    stepfunctions,
)

# The last exception of a traceback: "app.EndpointError: endpoint x: ...".
RAISED = re.compile(r"^(?:\w+\.)*(\w+)(?::|$)", re.MULTILINE)
RETRY_SECONDS = 0.1
EXECUTIONS = 100
# Whether this thread runs for an event of EventBridge.
by_event: ContextVar[bool] = ContextVar("by_event", default=False)
# Until when the batch of a queue that this thread delivers is tried, time.monotonic().
batch_until: ContextVar[float] = ContextVar("batch_until", default=0.0)


def retry_throttled_batches() -> None:
    """If the function of a queue is throttled, invoke it again while its messages are invisible.

    Lambda does so ("Handling errors for an SQS event source" in its developer guide). MiniStack
    gives up at once, and the batch waits for the whole visibility timeout.
    """
    invoke, run_batch = lambda_svc._execute_function, lambda_svc._run_sqs_batch

    def invoke_again(function: Any, event: Any) -> Any:
        result = invoke(function, event)
        while result.get("throttle") and time.monotonic() < batch_until.get():
            time.sleep(RETRY_SECONDS)
            result = invoke(function, event)
        return result

    def run_patiently(
        mapping: Any, function: Any, event: Any, batch: Any, queue_url: str, queue_name: str
    ) -> None:
        attributes = sqs._queues[queue_url]["attributes"]
        batch_until.set(time.monotonic() + float(attributes.get("VisibilityTimeout", 30)))
        run_batch(mapping, function, event, batch, queue_url, queue_name)

    lambda_svc._execute_function, lambda_svc._run_sqs_batch = invoke_again, run_patiently


def name_errors() -> None:
    """Let errors of functions have the names by which state machines retry them on AWS."""
    execute = lambda_svc._execute_function_with_config_scope

    def execute_and_name(function: Any, event: Any) -> Any:
        return with_name(execute(function, event))

    lambda_svc._execute_function_with_config_scope = execute_and_name


def with_name(result: dict[str, Any]) -> dict[str, Any]:
    """The result of a function, with the class of its exception or the throttle as `errorType`.

    MiniStack calls every exception `Runtime.HandlerError`, and a throttle `Lambda.Unknown`.
    """
    if result.get("throttle"):
        result["body"]["errorType"] = "Lambda.TooManyRequestsException"
    elif result.get("error") and result["body"].get("errorType") == "Runtime.HandlerError":
        _, found, traceback = result.get("log", "").rpartition(
            "Traceback (most recent call last):\n"
        )
        if found and (raised := RAISED.search(traceback)):
            result["body"]["errorType"] = raised[1]
    return result


def queue_executions() -> None:
    """Run EXECUTIONS executions that EventBridge started at a time; the others wait.

    AWS runs them all. Here a thousand uploads at once would use all processor time, and would be
    throttled until their retries end.
    """
    dispatch, run = eventbridge._dispatch_to_stepfunctions, stepfunctions._run_execution
    running = threading.BoundedSemaphore(EXECUTIONS)

    def start(state_machine: str, payload: str) -> None:
        token = by_event.set(True)  # the thread of the execution inherits it
        try:
            dispatch(state_machine, payload)
        finally:
            by_event.reset(token)

    def run_when_free(execution: str) -> None:
        with running if by_event.get() else nullcontext():
            by_event.set(False)  # what this execution starts itself does not wait for it
            run(execution)

    eventbridge._dispatch_to_stepfunctions = start
    stepfunctions._run_execution = run_when_free


def find_keys_of_users() -> None:
    """Verify the tokens of users with the keys of their pool.

    MiniStack's authorizer asks MiniStack for them over http. With TLS it gets no response, and
    refuses every valid token.
    """
    fetch = apigateway._fetch_jwks

    async def fetch_keys(url: str) -> Any:
        pool, found, _ = url.partition("/.well-known/jwks.json")
        pool = pool.rpartition("/")[2]
        if not found or cognito._get_pool_unscoped(pool) is None:
            return await fetch(url)
        _, _, body = cognito.well_known_jwks(pool)
        return json.loads(body)

    apigateway._fetch_jwks = fetch_keys


def match_any_key() -> None:
    """Let a `*` of a policy match a newline of a key, too; that of MiniStack does not."""
    compile_pattern = iam_evaluator._fnmatch_compile

    def compile_whole(pattern: str, ignore_case: bool) -> re.Pattern[str]:
        found = compile_pattern(pattern, ignore_case)
        return re.compile(found.pattern, found.flags | re.DOTALL)

    iam_evaluator._fnmatch_compile = compile_whole


if __name__ == "__main__":
    match_any_key()
    retry_throttled_batches()
    name_errors()
    queue_executions()
    find_keys_of_users()
    main()
