"""The stack on the local cloud, IAM enforced, its endpoint behind a front that can fail."""

import http.client
import io
import itertools
import json
import queue
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import disk_usage
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from PIL import Image

from local.cloud import STACK_NAME, LocalCloud
from local.processes import free_port
from tests.support.schemas import EVENTS, assert_event, assert_record

SECOND = timedelta(seconds=1)
RETRAINING = {"AutomaticRetraining": "on"}
REPOSITORY = Path(__file__).parents[2]
PATIENCE = 120  # seconds until a condition that must come is given up
FAULTS = Path(__file__).with_name("faults.json")  # faults that the local cloud cannot have
SCRATCH_BYTES = 2 * 2**30  # the scratch files of two local clouds came to 0.9 GiB
# The state machine's waits between retries, shortened. Cold functions take as long as ever: with
# less, a burst is throttled for longer than it waits.
WAIT_SCALE = 0.2

signal.signal(signal.SIGTERM, signal.default_int_handler)  # fixtures are then taken down as well


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


@dataclass
class Reply:
    """What the endpoint answers."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def answer(body: Any) -> Reply:
    """The answer of a model that calls itself chosen/1: JSON, or the bytes as they are."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(
        200,
        content,
        {
            "Content-Type": "application/json",
            "X-Amzn-SageMaker-Custom-Attributes": "model=chosen/1",
        },
    )


def probabilities(bicycle: float, motorcycle: float, other: float) -> Reply:
    """A proper answer."""
    return answer({"bicycle": bicycle, "motorcycle": motorcycle, "other": other})


def fault(status: int, code: str) -> Reply:
    """An error of SageMaker Runtime."""
    body = json.dumps({"message": "injected", "Message": "injected"}).encode()
    return Reply(status, body, {"Content-Type": "application/json", "X-Amzn-ErrorType": code})


SURE = probabilities(0.97, 0.02, 0.01)
INTERNAL_FAILURE = fault(500, "InternalFailure")
UNAVAILABLE = fault(503, "ServiceUnavailable")
THROTTLED = fault(429, "ThrottlingException")
MODEL_ERROR = fault(424, "ModelError")
NO_ENDPOINT = fault(400, "ValidationError")
CLOSE = Reply(0)  # the connection is closed without an answer
HANG = Reply(-1)  # no answer until the caller gives up

Plan = Callable[[bytes], Reply | None]  # None: what the true model answers


class Endpoint(ThreadingHTTPServer):
    """The serving app behind a front that fails as it is told to."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, app_port: int) -> None:
        super().__init__(("127.0.0.1", 0), EndpointRequest)
        self.app_port = app_port
        self.plan: Plan = lambda _photo: None
        self.requests = 0
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self.slots: queue.SimpleQueue[float] | None = None
        self.refused: list[Reply] = []

    def reply(self, photo: bytes) -> Reply | None:
        """What the plan says to a photo; one photo at a time."""
        with self.lock:
            self.requests += 1
            return self.plan(photo)

    @contextmanager
    def planning(self, plan: Plan) -> Iterator[None]:
        """Answer by a plan."""
        before, self.plan = self.plan, plan
        try:
            yield
        finally:
            self.plan = before

    @contextmanager
    def starting_cold(self, slots: int, seconds: float) -> Iterator[list[Reply]]:
        """Be serverless: so many photos at once, others are throttled; a slot's first is slow.

        Yields the refusals so far.
        """
        before, self.slots = self.slots, queue.SimpleQueue()
        refused: list[Reply] = []
        for _ in range(slots):
            self.slots.put(seconds)
        self.refused = refused
        try:
            yield refused
        finally:
            self.slots = before

    @contextmanager
    def slot(self) -> Iterator[bool]:
        """Take a slot, and wait until it has started; false if none is free."""
        slots = self.slots
        if slots is None:
            yield True
            return
        try:
            seconds = slots.get_nowait()
        except queue.Empty:
            self.refused.append(THROTTLED)
            yield False
            return
        self.closing.wait(seconds)
        yield True
        slots.put(0.0)

    @contextmanager
    def answering(self, *replies: Reply, then: Reply | None = None) -> Iterator[None]:
        """Give these replies, one a request, then always `then`."""
        given = iter(replies)
        with self.planning(lambda _photo: next(given, then)):
            yield


class EndpointRequest(BaseHTTPRequestHandler):
    """One request to the endpoint."""

    server: Endpoint
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        photo = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.slot() as free:
            self.answer(photo, self.server.reply(photo) if free else THROTTLED)

    def answer(self, photo: bytes, reply: Reply | None) -> None:
        """Send a reply; None: what the serving app answers."""
        if reply is None:
            reply = self.forward(photo)
        if reply is HANG:
            self.server.closing.wait(PATIENCE)
        if reply in (HANG, CLOSE):
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def forward(self, photo: bytes) -> Reply:
        """What the serving app answers."""
        app = http.client.HTTPConnection("127.0.0.1", self.server.app_port, timeout=PATIENCE)
        try:
            app.request("POST", self.path, photo, {"Content-Type": self.headers["Content-Type"]})
            response = app.getresponse()
            headers = {
                name: value
                for name, value in response.getheaders()
                if name.lower().startswith(("content-type", "x-amzn-"))
            }
            return Reply(response.status, response.read(), headers)
        finally:
            app.close()

    def log_message(self, *_: Any) -> None:
        """Say nothing: the tests tell what matters."""


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


def tasks(machine: dict[str, Any]) -> list[dict[str, Any]]:
    """All states of a machine that call a service; those within other states too."""
    found: list[dict[str, Any]] = []
    for state in machine["States"].values():
        within = [*state.get("Branches", []), *filter(None, [state.get("ItemProcessor")])]
        found += [state] if state["Type"] == "Task" else []
        found += [task for each in within for task in tasks(each)]
    return found


def failures(history: list[dict[str, Any]]) -> list[str]:
    """Error and cause of every attempt of a task that failed."""
    details = [event.get("taskFailedEventDetails") for event in history]
    return ["{error}: {cause}".format(**each) for each in details if each]


@dataclass
class Stack:
    """The deployed stack, as those use it who upload photos, read records and hear events."""

    cloud: LocalCloud
    endpoint: Endpoint
    workflow_type: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    events: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    others: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
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
            lambda: self.hear(image_id).get(image_id), f"an event of {image_id}", self.last_failures
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
            events=list(self.hear().get(image_id, [])),
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

    def hear(self, image_id: str = "") -> dict[str, list[dict[str, Any]]]:
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
                assert event["source"] == "scones-unlimited"
                check_event(event["detail-type"], event["detail"])
                if event["detail-type"] == "Photo Classified":
                    self.events.setdefault(event["detail"]["image_id"], []).append(event["detail"])
                else:
                    self.others.setdefault(event["detail-type"], []).append(event["detail"])
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


UPLOAD = {"image_id", "sender_id", "s3_bucket", "s3_key", "uploaded_at", "execution"}
DECISION = {"status", "reason", "recorded_at"}
INFERENCES = {"inferences", "model"}
PREDICTION = {"label", "confidence"}
FAULT = {"error", "cause"}
STORED = {"hour", "expires_at"}  # in the record alone, not in the event
# All others are strings.
TYPES = {"novelty": "N", "confidence": "N", "expires_at": "N", "inferences": "M"}
RETENTION_DAYS = 400


def assert_recorded(outcome: Outcome, status: str, events: int = 1) -> dict[str, Any]:
    """Exactly one record of this status, whole and well-typed, and its event; its values.

    Args:
        outcome: of an execution that has ended.
        status: accepted, review, rejected or failed.
        events: how many events there are, the newest of which is the record.
    """
    assert outcome.record is not None
    record = outcome.values
    assert_record(record)
    assert record["status"] == status
    fields = UPLOAD | DECISION | STORED
    if "inferences" in record:
        fields |= INFERENCES
        if status != "failed" and not record["model"].startswith("chosen/"):
            fields |= {"novelty"}  # which the shipped model tells
    if "label" in record:
        fields |= PREDICTION
    if status == "failed":
        fields |= FAULT
    else:
        assert ("inferences" in record) == ("label" in record)
    if status == "review":
        fields |= {"review_state"}
    assert record.keys() == fields
    assert {name: [*value] for name, value in outcome.record.items()} == {
        name: [TYPES.get(name, "S")] for name in fields
    }
    assert record["image_id"].startswith(f"{record['s3_key']}#")

    recorded_at = datetime.fromisoformat(record["recorded_at"])
    assert recorded_at.tzinfo == UTC
    assert abs(datetime.now(UTC) - recorded_at) < timedelta(hours=1)
    assert datetime.fromisoformat(record["uploaded_at"]) <= recorded_at
    assert record["hour"] == recorded_at.strftime("%Y-%m-%dT%H")
    expires_at = datetime.fromtimestamp(int(record["expires_at"]), UTC)
    assert timedelta() <= recorded_at + timedelta(days=RETENTION_DAYS) - expires_at < SECOND

    assert len(outcome.events) == events
    assert outcome.events[-1] == {
        name: value for name, value in record.items() if name not in {*STORED, "review_state"}
    }
    return record


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The local cloud, its endpoint and the events of its bus; stopped whatever happens."""
    directory = tmp_path_factory.mktemp("workflow")
    with TemporaryDirectory(dir=folder_in_memory(), ignore_cleanup_errors=True) as scratch:
        (directory / "tmp").symlink_to(scratch)
        yield from running(LocalCloud(directory, free_port(), free_port()))


def folder_in_memory() -> str | None:
    """Where Linux keeps files in memory, if it has room; None for the disk.

    The local cloud unpacks a function of a thousand files anew after each of its errors, and a
    disk takes seconds to remove them again.
    """
    folder = "/dev/shm"
    return folder if Path(folder).is_dir() and disk_usage(folder).free > SCRATCH_BYTES else None


def running(cloud: LocalCloud) -> Iterator[Stack]:
    """The endpoint and the cloud, up until the generator is closed."""
    cloud.build()
    endpoint = Endpoint(cloud.serving_port)
    threading.Thread(target=endpoint.serve_forever, daemon=True).start()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SFN_WAIT_SCALE", str(WAIT_SCALE))
        environment.setenv("SFN_MOCK_CONFIG", str(FAULTS))
        try:
            cloud.start_serving()
            app = cloud.serving_url
            cloud.serving_port = endpoint.server_port
            cloud.start_cloud()
            cloud.wait("ministack", f"{cloud.endpoint_url}/_ministack/health")
            cloud.wait("serving", f"{app}/ping")
            yield Stack(cloud, endpoint)
        finally:
            endpoint.closing.set()
            endpoint.shutdown()
            endpoint.server_close()
            cloud.stop()


# For what does not depend on the type of workflow.
standard_only = pytest.mark.parametrize("stack", ["STANDARD"], indirect=True)


@pytest.fixture(scope="session", params=["STANDARD", "EXPRESS"])
def stack(deployed: Stack, request: pytest.FixtureRequest) -> Stack:
    """The deployed stack, with each type of workflow."""
    if deployed.outputs:
        deployed.change("WorkflowType", request.param)
    else:
        deployed.deploy(WorkflowType=request.param)
    return deployed
