"""Any upload and any response of the endpoint, in the state machine as the local cloud runs it.

The rules of the functions are the real ones. DynamoDB has its documented limits.
"""

import json
import re
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ministack.services import stepfunctions

from tests.support.functions import load_module
from tests.support.repository import REPOSITORY

LABELS = ["bicycle", "motorcycle", "other"]
SUBSTITUTIONS = {"AuditShare": "0.05", "PredictionRetentionDays": "400", "Partition": "aws"}
KEY_BYTES = 2048
ITEM_BYTES = 400 * 1024
EVENT_BYTES = 256 * 1024

inferences = load_module("classify_image", "inferences")
filtering = load_module("filter_inferences", "filtering")


def definition() -> dict[str, Any]:
    """The state machine; each substitution is its own name."""
    text = (REPOSITORY / "statemachine" / "classify_photo.asl.json").read_text()
    filled = re.sub(r"\$\{(\w+)\}", lambda found: SUBSTITUTIONS.get(found[1], found[1]), text)
    machine: dict[str, Any] = json.loads(filled)
    return machine


MACHINE = definition()


@dataclass
class Services:
    """What the state machine calls: `down` names actions that always fail."""

    answer: bytes = b"[1, 0, 0]"
    down: frozenset[str] = frozenset()
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    messages: list[Any] = field(default_factory=list)

    def call(self, resource: str, arguments: dict[str, Any], *_: Any) -> Any:
        action = resource.rpartition(":::")[2]
        if action in self.down:
            raise stepfunctions._ExecutionError("States.TaskFailed", f"{action} is down")
        match action:
            case "lambda:invoke":
                return {"Payload": self.run(arguments["FunctionName"], arguments["Payload"])}
            case "dynamodb:putItem":
                self.put(arguments["Item"], arguments["ExpressionAttributeValues"])
            case "events:putEvents":
                [entry] = arguments["Entries"]
                assert len(json.dumps(entry)) < EVENT_BYTES
                self.events.append(entry["Detail"])
            case "sqs:sendMessage":
                self.messages.append(arguments["MessageBody"])
        return {}

    def run(self, function: str, payload: dict[str, Any]) -> Any:
        match function:
            case "SerializeImageFunctionArn":
                assert all(isinstance(value, str) for value in payload.values())
                return {"image_data": ""}
            case "ClassifyImageFunctionArn":
                try:
                    read = inferences.read_inferences(self.answer, LABELS)
                except inferences.InvalidInferencesError as error:
                    raise stepfunctions._ExecutionError("EndpointError", str(error)) from error
                return {"inferences": json.loads(json.dumps(read)), "model": "m/1"}
        return filtering.decide(payload["inferences"], 0.9)

    def put(self, item: dict[str, Any], values: dict[str, Any]) -> None:
        try:
            check_item(item)
        except (AssertionError, InvalidOperation) as error:
            raise stepfunctions._ExecutionError(
                "DynamoDB.ValidationException", str(error)
            ) from error
        found = self.records.get(item["image_id"]["S"])
        mine = found and found["execution"] in (values[":this"], values[":earlier"])
        if found and found["status"] != {"S": "failed"} and not mine:
            raise stepfunctions._ExecutionError("DynamoDB.ConditionalCheckFailedException", "")
        self.records[item["image_id"]["S"]] = item


def check_item(item: dict[str, Any]) -> None:
    """Assert what DynamoDB documents for an item."""
    assert 0 < len(item["image_id"]["S"].encode()) <= KEY_BYTES
    assert len(json.dumps(item, ensure_ascii=False).encode()) < ITEM_BYTES
    for value in item.values():
        check_value(value)


def check_value(typed: dict[str, Any]) -> None:
    [(kind, value)] = typed.items()
    match kind:
        case "S":
            assert isinstance(value, str)
        case "N":
            number = abs(Decimal(value))
            assert number == 0 or Decimal("1e-130") <= number < Decimal("1e126")
            assert len(number.normalize().as_tuple().digits) <= 38
        case "M":
            for each in value.values():
                check_value(each)
        case _:
            raise AssertionError(kind)


@dataclass
class Ended:
    """How an execution ended: `error` is empty if it succeeded."""

    services: Services
    error: str


def run(event: Any, services: Services, execution: str = "execution-1") -> Ended:
    """Run the state machine with the local cloud's interpreter and JSONata engine."""
    context = {
        "QueryLanguage": "JSONata",
        "Execution": {"Id": execution, "Input": event},
        "StateMachine": {"Name": "any"},
        "variables": {},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stepfunctions, "_invoke_resource_with_timeout", services.call)
        patch.setattr(stepfunctions, "_scaled_sleep", lambda _seconds: None)
        try:
            stepfunctions._run_sub_machine(
                MACHINE["States"], MACHINE["StartAt"], event, {"events": []}, context
            )
        except stepfunctions._ExecutionError as error:
            return Ended(services, error.error)
    return Ended(services, "")


def upload(key: str, version: str | None = None) -> dict[str, Any]:
    photo = {"key": key, "etag": "d41d8cd98f00b204e9800998ecf8427e", "size": 1}
    return {
        "time": "2026-11-20T12:00:00Z",
        "detail": {
            "bucket": {"name": "photos"},
            "object": photo | ({"version-id": version} if version else {}),
        },
    }


def plain(typed: dict[str, Any]) -> Any:
    [(kind, value)] = typed.items()
    if kind == "M":
        return {name: plain(each) for name, each in value.items()}
    return float(value) if kind == "N" else value


def rounded(value: Any) -> Any:
    """The value, with its numbers rounded to ten digits."""
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    return float(f"{value:.10g}") if isinstance(value, float | int) else value


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=1000)
keys = texts.map(lambda text: f"uploads/{text}".encode()[:1024].decode(errors="ignore"))
versions = st.none() | st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1)
tiny = st.floats(0, 1e-90) | st.sampled_from([5e-324, 9.9e-131, 1e-130, 2.9e-182, -0.0])
probabilities = st.tuples(st.floats(0, 1), tiny).map(lambda p: [p[0], 1 - p[0], p[1]])
answers = (
    st.binary(max_size=100)
    | st.lists(st.floats(), max_size=4).map(lambda values: json.dumps(values).encode())
    | probabilities.flatmap(st.permutations).map(lambda values: json.dumps(values).encode())
)


@settings(max_examples=40, deadline=None)
@given(key=keys, version=versions, answer=answers)
def test_every_upload_ends_as_one_record_and_the_same_event(
    key: str, version: str | None, answer: bytes
) -> None:
    ended = run(upload(key, version), Services(answer))
    [record] = ended.services.records.values()
    [event] = ended.services.events
    values = {name: plain(value) for name, value in record.items()}
    # JSONata writes numbers with 15 digits.
    assert {name: rounded(values[name]) for name in event} == {
        name: rounded(value) for name, value in event.items()
    }
    assert values.keys() - event.keys() <= {"hour", "expires_at", "review_state"}
    assert (values["status"] == "failed") == (ended.error != "")
    assert values["s3_key"] == key
    assert ended.services.messages == []


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"[1.0, 2.9e-182, 1.07e-182]", "accepted"),
        (b"[1.0, -0.0, 5e-324]", "accepted"),
        (b"[0.33333333333333331483, 0.33333333333333331483, 0.3333333333333334]", "review"),
        (b"no JSON", "failed"),
    ],
)
def test_odd_responses_of_the_endpoint_are_recorded(answer: bytes, status: str) -> None:
    ended = run(upload("uploads/42/a.jpg"), Services(answer))
    [record] = ended.services.records.values()
    assert record["status"] == {"S": status}


FAULTS = st.sets(st.sampled_from(["lambda:invoke", "dynamodb:putItem", "events:putEvents"]))


@settings(max_examples=20, deadline=None)
@given(key=keys, answer=answers, down=FAULTS)
def test_an_upload_without_a_record_leaves_a_message_that_can_be_replayed(
    key: str, answer: bytes, down: set[str]
) -> None:
    """The record cannot be updated. Any of the other calls fail as well."""
    failing = frozenset(down | {"dynamodb:updateItem"})
    ended = run(upload(key), Services(answer, failing))
    whole = len(ended.services.records) == len(ended.services.events) == 1
    assert whole != bool(ended.services.messages)
    for message in ended.services.messages:
        assert ended.error
        replayed = Services(answer, records=ended.services.records)
        run(message, replayed, "execution-2")
        assert (len(replayed.records), len(replayed.events)) == (1, 1)
        run(message, replayed, "execution-3")
        assert len(replayed.records) == 1


@pytest.fixture(autouse=True)
def _no_mocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepfunctions, "_sfn_mock_config", {})


@settings(max_examples=40, deadline=None)
@given(
    event=st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.text()
                | st.sampled_from(["detail", "object", "key", "bucket", "name", "etag", "time"]),
                inner,
            )
        ),
    )
)
def test_an_input_that_is_no_s3_event_is_refused_and_leaves_nothing(event: Any) -> None:
    ended = run(event, Services())
    assert ended.error == "InvalidEvent"
    assert ended.services == Services()
