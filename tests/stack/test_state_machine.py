"""The state machines: no way out is missing, and no wait is longer than it may take."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import lint_all

from tests.stack.conftest import REPOSITORY, Workflow
from tests.support.walk import Walk, all_states, read

Machine = dict[str, Any]

EXPRESS_SECONDS = 300  # what AWS gives an Express execution
LONGEST_EXPRESSION = 150  # characters
STATE_MACHINES = sorted((REPOSITORY / "statemachine").glob("*.asl.json"))
# Tasks whose failure ends the execution without a message: the queue is the last resort.
LAST_RESORTS = {"SendUploadToDeadLetterQueue", "SendReviewToDeadLetterQueue"}


def inner(state: dict[str, Any]) -> list[Machine]:
    """The machines within a Parallel or a Map."""
    return [
        *state.get("Branches", []),
        *([state["ItemProcessor"]] if "ItemProcessor" in state else []),
    ]


def machines(machine: Machine) -> list[Machine]:
    """A machine, and all machines within its states."""
    found = [machine]
    for state in machine["States"].values():
        for each in inner(state):
            found += machines(each)
    return found


def tasks(machine: Machine) -> dict[str, Any]:
    """All states that call a service, by name; those within other states too."""
    states = [pair for each in machines(machine) for pair in each["States"].items()]
    return {name: state for name, state in states if state["Type"] == "Task"}


def catches_all(state: dict[str, Any]) -> bool:
    return any("States.ALL" in way["ErrorEquals"] for way in state.get("Catch", []))


def uncaught(machine: Machine) -> set[str]:
    """Tasks whose permanent failure nothing catches."""
    found: set[str] = set()
    for name, state in machine["States"].items():
        if not catches_all(state):
            found |= {name} if state["Type"] == "Task" else set()
            found = found.union(*map(uncaught, inner(state)))
    return found


def successors(state: dict[str, Any]) -> list[str]:
    """The states that may follow."""
    following = [way["Next"] for way in [state, *ways(state)] if "Next" in way]
    return following + ([state["Default"]] if "Default" in state else [])


def test_every_way_leads_to_an_end(machine: Machine) -> None:
    for each in machines(machine):
        states = each["States"]
        reached: set[str] = set()
        waiting = [each["StartAt"]]
        while waiting:
            name = waiting.pop()
            assert name in states, f"there is no state {name}"
            if name not in reached:
                reached.add(name)
                waiting += successors(states[name])
        assert reached == states.keys()
        for name, state in states.items():
            ends = state["Type"] in {"Succeed", "Fail"} or state.get("End", False)
            assert ends == (not successors(state) or state.get("End", False)), name
            assert "Next" in state or "Default" in state or ends, name


def test_every_failure_says_what_and_why(machine: Machine) -> None:
    failures = [state for state in machine["States"].values() if state["Type"] == "Fail"]
    assert failures
    assert all({"Error", "Cause"} <= state.keys() for state in failures)


def test_every_task_has_a_timeout_and_a_retry(machine: Machine) -> None:
    for name, task in tasks(machine).items():
        assert task["TimeoutSeconds"] > 0, name
        retriers = [retrier for retrier in task["Retry"] if retrier["MaxAttempts"] > 0]
        assert retriers, name
        for retrier in retriers:
            assert retrier["JitterStrategy"] == "FULL", name
            assert retrier["BackoffRate"] >= 1.5, name
        decided = {error for retrier in task["Retry"] for error in retrier["ErrorEquals"]}
        assert {"States.TaskFailed", "States.Timeout"} <= decided, name


def test_every_permanent_failure_is_caught(machine: Machine) -> None:
    assert uncaught(machine) <= LAST_RESORTS


def test_nothing_but_a_refused_input_ends_without_a_record_or_a_message() -> None:
    """A failure of any task of ClassifyPhoto leads to a record, or else to a queue."""
    path = REPOSITORY / "statemachine" / "classify_photo.asl.json"
    states = json.loads(path.read_text())["States"]
    caught = {
        name: [way["Next"] for way in state["Catch"] if "States.ALL" in way["ErrorEquals"]]
        for name, state in states.items()
        if "Catch" in state
    }
    assert caught == {
        "ClassifyPhoto": ["DescribeFailure"],
        "RecordPrediction": ["DescribeFailure"],
        "RecordFailure": ["SendUploadToDeadLetterQueue"],
        "PublishPrediction": ["RecordUnpublished"],
        "RecordUnpublished": ["SendUploadToDeadLetterQueue"],
    }


def test_a_burst_waits_for_functions_and_for_the_endpoint(machine: Machine) -> None:
    """A new account runs ten functions at once, a serverless endpoint a few photos."""
    for name, task in tasks(machine).items():
        if task["Resource"].endswith(":lambda:invoke"):
            throttled = retrier(task, "Lambda.TooManyRequestsException")
            assert throttled["MaxAttempts"] == 7, name
        if name == "SerializeImage":  # where all photos of a burst arrive at once
            assert waiting_seconds(throttled) >= 45
        if name == "ClassifyImage":
            busy = retrier(task, "EndpointBusyError")
            assert busy["ErrorEquals"] == ["EndpointBusyError"]
            assert (busy["MaxAttempts"], busy["MaxDelaySeconds"]) == (7, 15)


def test_only_names_that_aws_uses_are_retried() -> None:
    """On AWS, Lambda.Unknown is a crash: eight of them take longer than an execution may."""
    for path in STATE_MACHINES:
        for errors in values_of("ErrorEquals", json.loads(path.read_text())):
            assert "Lambda.Unknown" not in errors, path.name


def values_of(name: str, value: Any) -> Iterator[Any]:
    """All values that a document has under a name, at any depth."""
    for key, each in value.items() if isinstance(value, dict) else ():
        if key == name:
            yield each
    for each in value.values() if isinstance(value, dict) else value:
        if isinstance(each, dict | list):
            yield from values_of(name, each)


def retrier(task: dict[str, Any], error: str) -> dict[str, Any]:
    """The retrier of an error: Step Functions takes the first that matches."""
    general = {"States.ALL"} | ({"States.TaskFailed"} if error != "States.Timeout" else set())
    found: dict[str, Any] = next(
        each for each in task["Retry"] if {error, *general} & set(each["ErrorEquals"])
    )
    return found


def waiting_seconds(retrier: dict[str, Any]) -> float:
    """The longest that a retrier waits, in all."""
    if retrier["MaxAttempts"] == 0:
        return 0
    most = retrier.get("MaxDelaySeconds", float("inf"))
    return sum(
        min(most, retrier["IntervalSeconds"] * retrier["BackoffRate"] ** attempt)
        for attempt in range(retrier["MaxAttempts"])
    )


def test_all_timeouts_and_retries_together_fit_an_express_execution(machine: Machine) -> None:
    """On the longest way every task hangs, is throttled and finds the endpoint busy, each as often
    as its retriers allow, and waits the longest in between. Who is refused, is refused at once."""
    assert slowest(machine, machine["StartAt"]) <= machine["TimeoutSeconds"] < EXPRESS_SECONDS


def slowest(machine: Machine, name: str) -> float:
    """Seconds of the longest way from a state to an end."""
    state = machine["States"][name]
    within = sum(slowest(each, each["StartAt"]) for each in inner(state))
    after = [slowest(machine, following) for following in successors(state)]
    return within + slowest_task(state) + max(after, default=0)


def slowest_task(state: dict[str, Any]) -> float:
    if state["Type"] != "Task":
        return 0
    attempts = 1 + retrier(state, "States.Timeout")["MaxAttempts"]
    return float(attempts * state["TimeoutSeconds"] + sum(map(waiting_seconds, state["Retry"])))


@pytest.mark.parametrize("path", STATE_MACHINES, ids=lambda path: path.name.split(".")[0])
def test_expressions_are_short_enough_to_read(path: Path) -> None:
    long = [
        expression
        for expression in strings(json.loads(path.read_text()))
        if expression.startswith("{%") and len(expression) > LONGEST_EXPRESSION
    ]
    assert long == []


def strings(value: Any) -> list[str]:
    """All strings of a JSON value."""
    match value:
        case str():
            return [value]
        case dict():
            return [text for each in value.values() for text in strings(each)]
        case list():
            return [text for each in value for text in strings(each)]
    return []


def test_no_assignment_reads_what_it_assigns(machine: Machine) -> None:
    """AWS evaluates all of an Assign before it assigns; the local cloud, one after the other."""
    for each in machines(machine):
        for name, state in each["States"].items():
            for assign in [
                state.get("Assign", {}),
                *(way.get("Assign", {}) for way in ways(state)),
            ]:
                read = re.findall(r"\$(\w+)", " ".join(strings(assign)))
                assert not set(read) & assign.keys(), name


def ways(state: dict[str, Any]) -> list[dict[str, Any]]:
    return [*state.get("Choices", []), *state.get("Catch", [])]


def test_a_function_ends_before_its_task_gives_up(
    machine: Machine, resources: dict[str, Any]
) -> None:
    for name, task in tasks(machine).items():
        function = resources.get(f"{name}Function")
        if function:
            assert function["Properties"]["Timeout"] < task["TimeoutSeconds"], name


def test_substitutions_are_those_of_the_template(workflow: Workflow) -> None:
    named = set(re.findall(r"\$\{(\w+)\}", workflow.text))
    assert named == workflow.properties["DefinitionSubstitutions"].keys()


def test_tasks_name_nothing_but_substitutions(machine: Machine) -> None:
    """No partition, account, region or physical name is written down."""
    for name, task in tasks(machine).items():
        pattern = r"arn:\$\{Partition\}:states:::(aws-sdk:)?[a-z0-9]+:[a-zA-Z]+"
        assert re.fullmatch(pattern, task["Resource"]), name
    assert not re.search(r"\d{12}|us-east-1", json.dumps(machine))


@pytest.mark.parametrize(
    ("labels", "reviewed", "status", "reason"),
    [
        ("intact,broken,other", "broken", "accepted", "broken, reviewed by a person"),
        (
            "intact,broken,other",
            "other",
            "rejected",
            "the photo shows no intact or broken, reviewed by a person",
        ),
        ("scone,other", "other", "rejected", "the photo shows no scone, reviewed by a person"),
    ],
)
def test_the_reason_of_a_review_names_the_labels_of_the_stack(
    labels: str, reviewed: str, status: str, reason: str
) -> None:
    states = all_states(read("record_review", defaultdict(str, Labels=labels)))
    record = {"image_id": "1", "reviewed_label": reviewed, "label": "intact"}
    part = {
        "StartAt": "Start",
        "States": {
            "Start": {"Type": "Pass", "Assign": {"record": record}, "Next": "DescribeDecision"},
            "DescribeDecision": states["DescribeDecision"],
            "PublishReview": {"Type": "Pass", "Output": "{% $decision %}", "End": True},
        },
    }
    decision = Walk(part, {}, {}).output
    assert decision == {"label": reviewed, "status": status, "reason": reason}


# ── cfn-lint, which skips a definition in a file of its own ──


def lint(workflow: Workflow, flaw: dict[str, str]) -> list[str]:
    """What cfn-lint says of a state machine that is written into a template."""
    substitutions = workflow.properties["DefinitionSubstitutions"]
    machine = json.loads(workflow.text.replace("${Partition}", "aws"))  # it knows no other
    template = {
        "Resources": {
            "StateMachine": {
                "Type": "AWS::StepFunctions::StateMachine",
                "Properties": {
                    "RoleArn": "arn:aws:iam::123456789012:role/workflow",
                    "Definition": machine | flaw,
                    "DefinitionSubstitutions": dict.fromkeys(substitutions, "1"),
                },
            }
        }
    }
    return [str(match) for match in lint_all(json.dumps(template))]


def test_linter_finds_nothing(workflow: Workflow) -> None:
    assert lint(workflow, {}) == []


@pytest.mark.parametrize(
    "flaw", [{"StartAt": "Nowhere"}, {"TimeoutSeconds": "soon"}, {"QueryLanguage": "JSONPath"}]
)
def test_linter_would_find_a_flaw(workflow: Workflow, flaw: dict[str, str]) -> None:
    assert lint(workflow, flaw)
