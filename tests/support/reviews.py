"""People who review photos, and the workflow that records their reviews."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.endpoint import probabilities
from tests.support.stack import Outcome, Stack
from tests.support.waiting import wait_until

BELOW_THRESHOLD = probabilities(0.6, 0.3, 0.1)


def noon(seconds: float = 0) -> str:
    """A fixed noon and so many seconds, as a reviewer's tool writes a time."""
    time = datetime(2026, 11, 20, 12, tzinfo=UTC) + timedelta(seconds=seconds)
    return time.isoformat(timespec="milliseconds")


def photo_to_review(stack: Stack, key: str = "uploads/42/bike.jpg") -> Outcome:
    """Upload a photo that is classified below the threshold, so that it waits for a review."""
    with stack.endpoint.responding(then=BELOW_THRESHOLD):
        outcome = stack.upload(stack.photo(), key)
    assert outcome.values["review_state"] == "waiting"
    return outcome


def review_of(image_id: str, label: str, reviewed_at: str, by: str = "anna") -> dict[str, Any]:
    """The detail of `Photo Reviewed`."""
    return {"image_id": image_id, "label": label, "reviewed_by": by, "reviewed_at": reviewed_at}


def publish_review(stack: Stack, detail: dict[str, Any]) -> str:
    """Put `Photo Reviewed` onto the bus; the outcome of the workflow, or its error."""
    before = executions(stack)
    put = stack.cloud.client("events").put_events(
        Entries=[
            {
                "EventBusName": stack.outputs["EventBusName"],
                "Source": "scones-unlimited",
                "DetailType": "Photo Reviewed",
                "Detail": json.dumps(detail),
            }
        ]
    )
    assert put["FailedEntryCount"] == 0
    [execution] = wait_until(lambda: executions(stack) - before, "an execution of RecordReview")
    return outcome_of(stack, execution)


def record_review(stack: Stack, detail: dict[str, Any], machine: str | None = None) -> str:
    """Start the workflow with a review; its outcome, or its error.

    Args:
        stack: the deployed stack.
        detail: of `Photo Reviewed`.
        machine: the ARN of another state machine than RecordReview.
    """
    machine = machine or stack.outputs["RecordReviewStateMachineArn"]
    return outcome_of(stack, stack.start({"detail": detail}, machine))


def executions(stack: Stack) -> set[str]:
    pages = stack.stepfunctions.get_paginator("list_executions").paginate(
        stateMachineArn=stack.outputs["RecordReviewStateMachineArn"]
    )
    return {each["executionArn"] for page in pages for each in page["executions"]}


def outcome_of(stack: Stack, execution: str) -> str:
    described = stack.ended(execution)
    if described["status"] == "FAILED":
        return str(described["error"])
    [output] = json.loads(described["output"])
    return str(output["outcome"])
