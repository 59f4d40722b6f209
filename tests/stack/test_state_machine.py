"""The state machines: every path ends, every fault is handled, and no execution takes too long."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from cfnlint.api import lint_all

from tests.support.state_machines import (
    Machine,
    Workflow,
    all_states,
    choices_and_catches,
    inner,
    machines,
    successors,
    tasks,
)
from tests.support.walk import Walk, read

EXPRESS_SECONDS = 300  # the longest that AWS lets an EXPRESS execution run
LONGEST_EXPRESSION = 150  # characters
# Tasks whose failure ends the execution without a message: no queue comes after the queue.
LAST_RESORTS = {"SendUploadToDeadLetterQueue", "SendReviewToDeadLetterQueue"}
# Their failure is a response, or must not be repeated.
NOT_RETRIED = {"DescribeModelPackageGroup", "CreateModelPackageGroup", "DeployModel"}


def catches_all(state: dict[str, Any]) -> bool:
    return any("States.ALL" in way["ErrorEquals"] for way in state.get("Catch", []))


def uncaught(machine: Machine) -> set[str]:
    """The tasks whose permanent failure nothing catches."""
    found: set[str] = set()
    for name, state in machine["States"].items():
        if not catches_all(state):
            found |= {name} if state["Type"] == "Task" else set()
            found = found.union(*map(uncaught, inner(state)))
    return found


# ── All state machines ──


def test_every_path_ends_and_every_state_is_reached(machine: Machine) -> None:
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


def test_every_failure_has_an_error_and_a_cause(machine: Machine) -> None:
    failures = [state for state in all_states(machine).values() if state["Type"] == "Fail"]
    assert failures
    assert all({"Error", "Cause"} <= state.keys() for state in failures)


def test_no_name_of_a_state_comes_twice(machine: Machine) -> None:
    """AWS refuses it, even in different branches."""
    names = [name for each in machines(machine) for name in each["States"]]
    assert sorted(set(names)) == sorted(names)


def test_every_task_has_a_timeout_and_retries(machine: Machine) -> None:
    fewest = 1 if machine["TimeoutSeconds"] < EXPRESS_SECONDS else 2
    for name, task in tasks(machine).items():
        assert task["TimeoutSeconds"] > 0, name
        if name not in NOT_RETRIED:
            assert task["Retry"][-1]["MaxAttempts"] >= fewest, name


def test_only_errors_that_aws_reports_are_retried(machine: Machine) -> None:
    """On AWS, Lambda.Unknown is a crash. Eight crashes take longer than an execution may."""
    for errors in values_of("ErrorEquals", machine):
        assert "Lambda.Unknown" not in errors


def values_of(name: str, value: Any) -> Iterator[Any]:
    """All values that a document has under a name, at any depth."""
    for key, each in value.items() if isinstance(value, dict) else ():
        if key == name:
            yield each
    for each in value.values() if isinstance(value, dict) else value:
        if isinstance(each, dict | list):
            yield from values_of(name, each)


def test_expressions_are_short_enough_to_read(machine: Machine) -> None:
    long = [
        expression
        for expression in strings(machine)
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


def test_no_assignment_reads_a_variable_that_it_assigned_before(machine: Machine) -> None:
    """AWS evaluates all values of an Assign first; the local cloud assigns one after the other."""
    for name, state in all_states(machine).items():
        for each in [state, *choices_and_catches(state)]:
            assigned: set[str] = set()
            for variable, value in each.get("Assign", {}).items():
                assert not assigned.intersection(re.findall(r"\$(\w+)", str(value))), name
                assigned.add(variable)


def test_substitutions_are_those_of_the_template(workflow: Workflow) -> None:
    assert set(re.findall(r"\$\{(\w+)\}", workflow.text)) == workflow.substitutions


def test_no_partition_account_or_region_is_written_down(machine: Machine) -> None:
    for name, task in tasks(machine).items():
        assert task["Resource"].startswith("arn:${Partition}:states:::"), name
    assert not re.search(r"\d{12}|us-east-1|arn:aws", json.dumps(machine))


def test_jobs_are_not_started_by_integrations_that_know_few_fields(machine: Machine) -> None:
    """The optimized integrations of SageMaker refuse a field that they do not know."""
    assert not [task for task in tasks(machine).values() if ":::sagemaker:" in task["Resource"]]


def lint(workflow: Workflow, flaw: dict[str, str]) -> list[str]:
    """The problems that cfn-lint finds in a state machine within a template.

    It skips a definition in a file of its own, and knows only the partition `aws`.
    """
    machine = json.loads(workflow.text.replace("${Partition}", "aws"))
    properties = {
        "RoleArn": "arn:aws:iam::123456789012:role/workflow",
        "Definition": machine | flaw,
        "DefinitionSubstitutions": dict.fromkeys(workflow.substitutions, "1"),
    }
    resource = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}
    found = lint_all(json.dumps({"Resources": {"StateMachine": resource}}))
    return [str(match) for match in found]


def test_the_linter_finds_nothing(workflow: Workflow) -> None:
    assert lint(workflow, {}) == []


@pytest.mark.parametrize(
    "flaw", [{"StartAt": "Nowhere"}, {"TimeoutSeconds": "soon"}, {"QueryLanguage": "JSONPath"}]
)
def test_the_linter_would_find_a_flaw(resources: dict[str, Any], flaw: dict[str, str]) -> None:
    assert lint(Workflow("RecordReview", resources), flaw)


# ── The state machines that run as EXPRESS ──


def test_every_task_retries_faults_and_timeouts_at_random_intervals(
    express_machine: Machine,
) -> None:
    for name, task in tasks(express_machine).items():
        retriers = [retrier for retrier in task["Retry"] if retrier["MaxAttempts"] > 0]
        assert retriers, name
        for retrier in retriers:
            assert retrier["JitterStrategy"] == "FULL", name
            assert retrier["BackoffRate"] >= 1.5, name
        decided = {error for retrier in task["Retry"] for error in retrier["ErrorEquals"]}
        assert {"States.TaskFailed", "States.Timeout"} <= decided, name


def test_every_permanent_failure_is_caught(express_machine: Machine) -> None:
    assert uncaught(express_machine) <= LAST_RESORTS


def test_every_fault_leads_to_a_record_or_to_a_message() -> None:
    """A failure of any task of ClassifyPhoto leads to a record, or else to a queue."""
    states = Workflow("ClassifyPhoto", {}).machine["States"]
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


def test_a_burst_waits_for_functions_and_for_the_endpoint(express_machine: Machine) -> None:
    """A new account runs ten functions at once, a serverless endpoint a few photos."""
    for name, task in tasks(express_machine).items():
        if task["Resource"].endswith(":lambda:invoke"):
            throttled = retrier(task, "Lambda.TooManyRequestsException")
            assert throttled["MaxAttempts"] == 7, name
        if name == "SerializeImage":  # all photos of a burst arrive here at once
            assert waiting_seconds(throttled) >= 45
        if name == "ClassifyImage":
            busy = retrier(task, "EndpointBusyError")
            assert busy["ErrorEquals"] == ["EndpointBusyError"]
            assert (busy["MaxAttempts"], busy["MaxDelaySeconds"]) == (7, 15)
        if name == "FilterInferences":  # a slow start of the function loses no photo
            assert retrier(task, "States.Timeout")["MaxAttempts"] == 1


def retrier(task: dict[str, Any], error: str) -> dict[str, Any]:
    """The retrier of an error: Step Functions takes the first that matches."""
    general = {"States.ALL"} | ({"States.TaskFailed"} if error != "States.Timeout" else set())
    found: dict[str, Any] = next(
        each for each in task["Retry"] if {error, *general} & set(each["ErrorEquals"])
    )
    return found


def waiting_seconds(retrier: dict[str, Any]) -> float:
    """The longest total wait of a retrier."""
    if retrier["MaxAttempts"] == 0:
        return 0
    most = retrier.get("MaxDelaySeconds", float("inf"))
    return sum(
        min(most, retrier["IntervalSeconds"] * retrier["BackoffRate"] ** attempt)
        for attempt in range(retrier["MaxAttempts"])
    )


def test_all_timeouts_and_retries_fit_into_an_express_execution(
    express_machine: Machine,
) -> None:
    """On the longest path every task hangs, is throttled and finds the endpoint busy.

    Each does so as often as its retriers allow, and each wait is the longest possible.
    """
    longest = slowest(express_machine, express_machine["StartAt"])
    assert longest <= express_machine["TimeoutSeconds"] < EXPRESS_SECONDS


def slowest(machine: Machine, name: str) -> float:
    """Seconds of the longest path from a state to an end."""
    state = machine["States"][name]
    within = sum(slowest(each, each["StartAt"]) for each in inner(state))
    after = [slowest(machine, following) for following in successors(state)]
    return within + slowest_task(state) + max(after, default=0)


def slowest_task(state: dict[str, Any]) -> float:
    if state["Type"] != "Task":
        return 0
    attempts = 1 + retrier(state, "States.Timeout")["MaxAttempts"]
    return float(attempts * state["TimeoutSeconds"] + sum(map(waiting_seconds, state["Retry"])))


def test_a_function_times_out_before_its_task(
    express_machine: Machine, resources: dict[str, Any]
) -> None:
    for name, task in tasks(express_machine).items():
        function = resources.get(f"{name}Function")
        if function:
            assert function["Properties"]["Timeout"] < task["TimeoutSeconds"], name


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
