"""MiniStack with corrections: where it differs from AWS so that the product suffers.

    python -m local.emulator

Each function below is one correction. They replace private functions of MiniStack's pinned version.
"""

import os
import threading
import time
from contextvars import ContextVar
from typing import Any

from ministack.app import main  # type: ignore[import-untyped]  # it ships no types
from ministack.services import lambda_svc, sqs  # type: ignore[import-untyped]

RETRY_SECONDS = 0.1
# Enough to keep the processors busy while some wait for the endpoint.
RUNNING_FUNCTIONS = 2 * (os.cpu_count() or 1)
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


def run_few_at_once() -> None:
    """Run RUNNING_FUNCTIONS functions at a time; others in flight wait, batches of queues do not.

    On AWS each has a processor of its own. Here more only start more processes, wait for each
    other, and leave the function of a queue no time. No function of the stack invokes another,
    so none waits for itself.
    """
    run = lambda_svc._execute_function_dispatch
    running = threading.BoundedSemaphore(RUNNING_FUNCTIONS)

    def run_in_turn(*arguments: Any) -> Any:
        if batch_until.get():
            return run(*arguments)
        with running:
            return run(*arguments)

    lambda_svc._execute_function_dispatch = run_in_turn


if __name__ == "__main__":
    retry_throttled_batches()
    run_few_at_once()
    main()
