"""The deployed stack: upload photos, read records, receive events."""

import io
import itertools
import json
import ssl
import threading
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from PIL import Image

from local.cloud import STACK_NAME, LocalCloud
from tests.support.endpoint import Endpoint
from tests.support.schemas import EVENTS, assert_event
from tests.support.waiting import PATIENCE, wait_until

RETRAINING = {"AutomaticRetraining": "on"}
WAIT_SCALE = 0.002  # the state machines' waits between retries, shortened
# Cold functions start as slowly as ever, so a burst needs longer waits between its retries.
BURST_WAIT_SCALE = 0.2


@dataclass
class Outcome:
    """What became of an execution of the workflow.

    Attributes:
        image_id: what the photo is recorded under.
        status: SUCCEEDED or FAILED.
        error: of a failed execution; so is `cause`.
        record: of the photo, None without one; its values as DynamoDB types them, by name.
        events: details of all `Photo Classified` events of the photo, so far.
        states: the states that were entered, in order.
        failures: error and cause of every attempt of a task that failed.
    """

    image_id: str
    status: str
    error: str | None
    cause: str | None
    record: dict[str, dict[str, Any]] | None
    events: list[dict[str, Any]]
    states: list[str]
    failures: list[str]

    @property
    def values(self) -> dict[str, Any]:
        """The record as plain values."""
        assert self.record is not None
        return {name: plain(value) for name, value in self.record.items()}


def plain(value: dict[str, Any]) -> Any:
    """A value of DynamoDB as JSON has it."""
    [(kind, content)] = value.items()
    if kind == "M":
        return {name: plain(inner) for name, inner in content.items()}
    return float(content) if kind == "N" else content


def failures(history: list[dict[str, Any]]) -> list[str]:
    """Error and cause of every attempt of a task that failed."""
    details = [event.get("taskFailedEventDetails") for event in history]
    return ["{error}: {cause}".format(**each) for each in details if each]


@dataclass
class Stack:
    """The deployed stack, as its users see it: photos go in, records and events come out."""

    cloud: LocalCloud
    endpoint: Endpoint
    workflow_type: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    events: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    other_events: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.s3 = self.cloud.client("s3")
        self.sqs = self.cloud.client("sqs")
        self.dynamodb = self.cloud.client("dynamodb")
        self.stepfunctions = self.cloud.client("stepfunctions")
        self.listening = threading.Lock()
        self.queue_url = self.sqs.create_queue(QueueName="all-events")["QueueUrl"]

    def deploy(self, **parameters: str) -> None:
        """Deploy the template with these parameters, and listen to its bus."""
        # The tests choose probabilities around this threshold, whatever the shipped model's is,
        # and know which photos wait for a person.
        chosen = {"ConfidenceThreshold": "0.9", "AuditShare": "0"}
        self.outputs = self.cloud.deploy(**(chosen | RETRAINING | parameters))
        bus = self.outputs["EventBusName"]
        events = self.cloud.client("events")
        events.put_rule(Name="all", EventBusName=bus, EventPattern=json.dumps({"version": ["0"]}))
        attributes = self.sqs.get_queue_attributes(
            QueueUrl=self.queue_url, AttributeNames=["QueueArn"]
        )["Attributes"]
        events.put_targets(
            Rule="all", EventBusName=bus, Targets=[{"Id": "all", "Arn": attributes["QueueArn"]}]
        )

    @contextmanager
    def waits(self, scale: float) -> Iterator[None]:
        """Scale the waits of state machines: 1 is as long as on AWS."""
        self.scale_waits(scale)
        try:
            yield
        finally:
            self.scale_waits(WAIT_SCALE)

    def scale_waits(self, scale: float) -> None:
        body = json.dumps({"stepfunctions._SFN_WAIT_SCALE": scale}).encode()
        url = f"{self.cloud.endpoint_url}/_ministack/config"
        trust = ssl.create_default_context(cafile=self.cloud.certificate)
        with urllib.request.urlopen(url, body, context=trust) as response:
            assert json.load(response) == {"applied": {"stepfunctions._SFN_WAIT_SCALE": scale}}

    def change(self, parameter: str, value: str) -> None:
        """Give a parameter of the deployed stack another value."""
        cloudformation = self.cloud.client("cloudformation")
        [stack] = cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"]
        parameters = [
            {"ParameterKey": each["ParameterKey"], "UsePreviousValue": True}
            for each in stack["Parameters"]
            if each["ParameterKey"] != parameter
        ]
        cloudformation.update_stack(
            StackName=STACK_NAME,
            UsePreviousTemplate=True,
            Parameters=[*parameters, {"ParameterKey": parameter, "ParameterValue": value}],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
        cloudformation.get_waiter("stack_update_complete").wait(
            StackName=STACK_NAME, WaiterConfig={"Delay": 1, "MaxAttempts": PATIENCE}
        )
        self.outputs = self.cloud.outputs()

    @property
    def bucket(self) -> str:
        return self.outputs["PhotosBucketName"]

    @property
    def state_machine(self) -> str:
        return self.outputs["ClassifyPhotoStateMachineArn"]

    def photo(self, red: int = 0) -> bytes:
        """A small photo like no other: green and blue are its number."""
        image = Image.new("RGB", (32, 24), (red, *divmod(next(self.numbers), 256)))
        file = io.BytesIO()
        image.save(file, "PNG")
        return file.getvalue()

    def put(self, photo: bytes, key: str = "uploads/42/bike.jpg") -> str:
        """Upload a photo; the `image_id` of its record."""
        etag: str = self.s3.put_object(Bucket=self.bucket, Key=key, Body=photo)["ETag"]
        return f"{key}#{etag.strip('"')}"

    def upload(self, photo: bytes, key: str = "uploads/42/bike.jpg") -> Outcome:
        """Upload a photo and wait until its execution has ended."""
        return self.outcome(self.execution_of(self.put(photo, key)))

    def execution_of(self, image_id: str) -> str:
        """The execution that has published a photo, once it has."""
        wait_until(
            lambda: self.photo_events(image_id).get(image_id),
            f"an event of {image_id}",
            self.last_failures,
        )
        execution: str = self.events[image_id][-1]["execution"]
        return execution

    def event(self, key: str, etag: str, version_id: str | None = None) -> dict[str, Any]:
        """The event that S3 sends of a photo, as EventBridge delivers it.

        AWS names the version; the local cloud does not.
        """
        photo = {"key": key, "size": 1, "etag": etag, "sequencer": "0"}
        return {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "Object Created",
            "source": "aws.s3",
            "account": "000000000000",
            "time": "2026-11-20T12:00:00Z",
            "region": "us-east-1",
            "resources": [f"arn:aws:s3:::{self.bucket}"],
            "detail": {
                "version": "0",
                "bucket": {"name": self.bucket},
                "object": photo | ({"version-id": version_id} if version_id else {}),
                "request-id": "N4N7GDK58NMKJ12R",
                "requester": "000000000000",
                "source-ip-address": "127.0.0.1",
                "reason": "PutObject",
            },
        }

    def physical_name(self, resource: str) -> str:
        """The name that a resource of the template has in the cloud."""
        name: str = self.cloud.client("cloudformation").describe_stack_resource(
            StackName=STACK_NAME, LogicalResourceId=resource
        )["StackResourceDetail"]["PhysicalResourceId"]
        return name

    def put_unnoticed(self) -> dict[str, Any]:
        """Upload a photo; its event as AWS sends it, of which the workflow knows nothing yet."""
        key = "uploads/42/version.jpg"
        put = self.s3.put_object(Bucket=self.bucket, Key=key, Body=self.photo())
        return self.event(key, put["ETag"].strip('"'), put["VersionId"])

    def start(self, event: dict[str, Any], state_machine: str | None = None) -> str:
        """Start the workflow, as the rule does; the execution."""
        execution: str = self.stepfunctions.start_execution(
            stateMachineArn=state_machine or self.state_machine, input=json.dumps(event)
        )["executionArn"]
        return execution

    def run(self, event: dict[str, Any], state_machine: str | None = None) -> Outcome:
        """Start the workflow and wait until it has ended."""
        return self.outcome(self.start(event, state_machine))

    def rerun(self, outcome: Outcome) -> Outcome:
        """Start the workflow once more, with the input of an earlier execution."""
        execution = self.stepfunctions.describe_execution(executionArn=outcome.values["execution"])
        return self.run(json.loads(execution["input"]))

    def ended(self, execution: str) -> dict[str, Any]:
        """An execution, once it has ended.

        The local cloud describes the executions of an EXPRESS workflow as well; AWS does not.
        """

        def described() -> dict[str, Any] | None:
            found: dict[str, Any] = self.stepfunctions.describe_execution(executionArn=execution)
            return None if found["status"] == "RUNNING" else found

        return wait_until(described, f"the end of {execution}")

    def history(self, execution: str) -> list[dict[str, Any]]:
        """What has happened in an execution so far."""
        pages = self.stepfunctions.get_paginator("get_execution_history")
        return [
            event for page in pages.paginate(executionArn=execution) for event in page["events"]
        ]

    def outcome(self, execution: str) -> Outcome:
        """What became of an execution, once it has ended."""
        described = self.ended(execution)
        history = self.history(execution)
        photo = json.loads(described["input"])["detail"]["object"]
        image_id = f"{photo['key']}#{photo.get('version-id', photo['etag'])}"
        return Outcome(
            image_id=image_id,
            status=described["status"],
            error=described.get("error"),
            cause=described.get("cause"),
            record=self.record(image_id),
            events=list(self.photo_events().get(image_id, [])),
            states=[
                event["stateEnteredEventDetails"]["name"]
                for event in history
                if "stateEnteredEventDetails" in event
            ],
            failures=failures(history),
        )

    def record(self, image_id: str) -> dict[str, dict[str, Any]] | None:
        """The record of a photo; None without one."""
        record: dict[str, dict[str, Any]] | None = self.dynamodb.get_item(
            TableName=self.outputs["PredictionsTableName"],
            Key={"image_id": {"S": image_id}},
            ConsistentRead=True,
        ).get("Item")
        return record

    def last_failures(self) -> list[tuple[str, str]]:
        """Error and cause of the last executions that failed."""
        failed = self.stepfunctions.list_executions(
            stateMachineArn=self.state_machine, statusFilter="FAILED", maxResults=5
        )["executions"]
        described = [self.ended(each["executionArn"]) for each in failed]
        return [(each["error"], each["cause"]) for each in described]

    def dead_letters(self, queue: str) -> list[dict[str, Any]]:
        """All messages of a dead-letter queue, named as the output of its URL; taken out of it."""
        found = []
        url = self.outputs[queue]
        while messages := self.sqs.receive_message(QueueUrl=url).get("Messages"):
            for message in messages:
                found.append(json.loads(message["Body"]))
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def executions(self) -> set[str]:
        """All executions of the workflow so far."""
        pages = self.stepfunctions.get_paginator("list_executions").paginate(
            stateMachineArn=self.state_machine
        )
        return {each["executionArn"] for page in pages for each in page["executions"]}

    def query(self, index: str, **key: str) -> list[str]:
        """The `image_id` of all records under a key of an index."""
        [(name, value)] = key.items()
        found = self.dynamodb.query(
            TableName=self.outputs["PredictionsTableName"],
            IndexName=index,
            KeyConditionExpression="#name = :value",
            ExpressionAttributeNames={"#name": name},
            ExpressionAttributeValues={":value": {"S": value}},
        )["Items"]
        return [record["image_id"]["S"] for record in found]

    def photo_events(self, image_id: str = "") -> dict[str, list[dict[str, Any]]]:
        """All `Photo Classified` of the bus so far, by `image_id`; `others` has the other events.

        The local cloud delivers an event before the publishing call returns: when an execution
        has ended, its event is here, and no second one comes. Where an event of a photo is still
        to come, name the photo: the queue then waits for it, or for another, up to a second.
        """
        with self.listening:
            self.receive(wait_seconds=1 if image_id and image_id not in self.events else 0)
        return self.events

    def receive(self, wait_seconds: int = 0) -> None:
        """Take all events out of the queue."""
        while messages := self.sqs.receive_message(
            QueueUrl=self.queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=wait_seconds
        ).get("Messages"):
            wait_seconds = 0
            for message in messages:
                event = json.loads(message["Body"])
                if event["source"] == "scones-unlimited":
                    check_event(event["detail-type"], event["detail"])
                if event["detail-type"] == "Photo Classified":
                    self.events.setdefault(event["detail"]["image_id"], []).append(event["detail"])
                else:
                    self.other_events.setdefault(event["detail-type"], []).append(event["detail"])
                self.sqs.delete_message(
                    QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"]
                )


def check_event(detail_type: str, detail: Any) -> None:
    """Fail if the stack published what no schema allows.

    Tests publish wrong events for the stack to refuse, and parts of predictions without
    `uploaded_at`: these are not checked.
    """
    ours = EVENTS.get(detail_type, {}).get("x-action") != "receive"
    if ours and (detail_type != "Photo Classified" or "uploaded_at" in detail):
        assert_event(detail_type, detail)


# For what does not depend on the type of workflow.
standard_only = pytest.mark.parametrize("stack", ["STANDARD"], indirect=True)
