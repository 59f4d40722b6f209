"""Copies of the long workflows on the local cloud, which wait for seconds only."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.workflow.conftest import Stack, plain


def shorten(machine: dict[str, Any]) -> None:
    """Let a state machine wait for seconds only."""
    for state in machine["States"].values():
        if state["Type"] == "Wait":
            state["Seconds"] = 1
        for branch in state.get("Branches", []):
            shorten(branch)


@contextmanager
def copied(stack: Stack, output: str, name: str, **replaced: str) -> Iterator[str]:
    """A copy of a workflow that waits for seconds only, by the name that faults.json knows."""
    own = stack.stepfunctions.describe_state_machine(stateMachineArn=stack.outputs[output])
    text = own["definition"]
    for old, new in replaced.items():
        text = text.replace(stack.outputs[old], new)
    machine = json.loads(text)
    shorten(machine)
    copy: str = stack.stepfunctions.create_state_machine(
        name=name, definition=json.dumps(machine), roleArn=own["roleArn"], type=own["type"]
    )["stateMachineArn"]
    try:
        yield copy
    finally:
        stack.stepfunctions.delete_state_machine(stateMachineArn=copy)


@dataclass
class Retraining:
    """The workflow, with copies of it and of DeployModel, and what its topic is told."""

    stack: Stack
    deployment: str
    queue: str
    table: str

    def run(self, case: str, event: dict[str, Any]) -> tuple[dict[str, Any], str]:
        """Retrain as faults.json plays SageMaker back; the execution, and its last state."""
        nested = {"DeployModelStateMachineArn": f"{self.deployment}#{case}"}
        with copied(self.stack, "RetrainModelStateMachineArn", "retraining", **nested) as copy:
            execution = self.stack.start(event, f"{copy}#{case}")
            return self.stack.ended(execution), states(self.stack, execution)[-1]

    def ends(self, case: str, event: dict[str, Any]) -> str:
        """Retrain; how it ended, in the words before the colon of the outcome."""
        if self.run(case, event)[1] == "RetrainingSkipped":
            return "skipped"
        return str(self.lock["outcome"]).partition(":")[0]

    @property
    def lock(self) -> dict[str, Any]:
        """The one item."""
        [item] = self.stack.dynamodb.scan(TableName=self.table, ConsistentRead=True)["Items"]
        return {name: plain(value) for name, value in item.items()}

    def forget(self) -> None:
        """As if nobody had ever retrained, or labelled a photo."""
        self.stack.dynamodb.delete_item(TableName=self.table, Key={"name": {"S": "retraining"}})

    def label(self) -> None:
        """As if a photo had been labelled a second ago, as RecordReview notes it."""
        self.stack.dynamodb.update_item(
            TableName=self.table,
            Key={"name": {"S": "retraining"}},
            UpdateExpression="SET labelled_at = :now",
            ExpressionAttributeValues={":now": {"N": str(int(time.time()) - 1)}},
        )

    def next_day(self) -> None:
        """As if a day had passed since the last retraining began."""
        earlier = {"paused_until", "labelled_at", "learned_until"} & self.lock.keys()
        self.stack.dynamodb.update_item(
            TableName=self.table,
            Key={"name": {"S": "retraining"}},
            UpdateExpression=f"SET {', '.join(f'{name} = {name} - :day' for name in earlier)}",
            ExpressionAttributeValues={":day": {"N": str(24 * 3600)}},
        )

    def messages(self) -> list[tuple[str, str]]:
        """Subject and text of what the topic was told since."""
        found = []
        sqs = self.stack.sqs
        while received := sqs.receive_message(QueueUrl=self.queue).get("Messages"):
            for message in received:
                body = json.loads(message["Body"])
                found.append((body["Subject"], body["Message"]))
                sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return found


def states(stack: Stack, execution: str) -> list[str]:
    """The states that an execution entered, but for those in branches."""
    return [
        event["stateEnteredEventDetails"]["name"]
        for event in stack.history(execution)
        if "stateEnteredEventDetails" in event
    ]


def publish(stack: Stack, run: dict[str, str]) -> None:
    stack.cloud.client("ssm").put_parameter(
        Name=stack.outputs["TrainingRunParameterName"], Value=json.dumps(run), Overwrite=True
    )
