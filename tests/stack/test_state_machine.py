"""The state machines: no way out is missing, and no wait is longer than it may take."""

import json
import re
from functools import cache
from typing import Any

import pytest
from cfnlint.api import lint_all

from tests.stack.conftest import Workflow

Machine = dict[str, Any]

EXPRESS_SECONDS = 300  # what AWS gives an Express execution
# A task without a Catch for everything, and why.
UNCAUGHT = {
    "RecordPrediction": "without its table the workflow has nowhere to write that it failed",
    "RecordUnpublished": "the same",
    "RemoveEarlierCopy": "the Map around it catches",
    "KeepAnswer": "without its queue the workflow has nowhere to keep an answer",
}


def tasks(machine: Machine) -> dict[str, Any]:
    """All states that do something, by name; those within a Map too."""
    states = dict(machine["States"])
    for state in machine["States"].values():
        states |= state.get("ItemProcessor", {}).get("States", {})
    return {name: state for name, state in states.items() if state["Type"] == "Task"}


def successors(state: dict[str, Any]) -> list[str]:
    """The states that may follow."""
    ways = [state, *state.get("Choices", []), *state.get("Catch", [])]
    following = [way["Next"] for way in ways if "Next" in way]
    return following + ([state["Default"]] if "Default" in state else [])


def test_every_way_leads_to_an_end(machine: Machine) -> None:
    states = machine["States"]
    reached: set[str] = set()
    waiting = [machine["StartAt"]]
    while waiting:
        name = waiting.pop()
        assert name in states, f"there is no state {name}"
        if name not in reached:
            reached.add(name)
            waiting += successors(states[name])
    assert reached == states.keys()
    for name, state in states.items():
        ends = state["Type"] in {"Succeed", "Fail"}
        assert ends == (not successors(state)), name
        if state["Type"] == "Choice":
            assert "Default" in state, name


def test_every_failure_says_what_and_why(machine: Machine) -> None:
    failures = [state for state in machine["States"].values() if state["Type"] == "Fail"]
    assert failures
    assert all({"Error", "Cause"} <= state.keys() for state in failures)


def test_every_task_has_a_timeout_a_retry_and_a_way_on(machine: Machine) -> None:
    for name, task in tasks(machine).items():
        assert task["TimeoutSeconds"] > 0, name
        retriers = [retrier for retrier in task["Retry"] if retrier["MaxAttempts"] > 0]
        assert retriers, name
        for retrier in retriers:
            assert retrier["JitterStrategy"] == "FULL", name
            assert retrier["BackoffRate"] >= 1.5, name
        assert {"States.TaskFailed", "States.Timeout"} <= set(retriers[-1]["ErrorEquals"]), name
        catches_all = any("States.ALL" in way["ErrorEquals"] for way in task.get("Catch", []))
        assert catches_all != (name in UNCAUGHT), name


def test_functions_that_are_throttled_are_asked_again_for_longer(machine: Machine) -> None:
    """A new account runs ten functions at once: a burst waits, it does not fail."""
    for name, task in tasks(machine).items():
        if task["Resource"] == "arn:aws:states:::lambda:invoke":
            throttled = task["Retry"][0]
            assert "Lambda.TooManyRequestsException" in throttled["ErrorEquals"], name
            assert waiting_seconds(throttled) >= 45, name


def waiting_seconds(retrier: dict[str, Any]) -> float:
    """The longest that a retrier waits, in all."""
    most = retrier.get("MaxDelaySeconds", float("inf"))
    return sum(
        min(most, retrier["IntervalSeconds"] * retrier["BackoffRate"] ** attempt)
        for attempt in range(retrier["MaxAttempts"])
    )


def test_the_slowest_way_ends_within_an_express_execution(machine: Machine) -> None:
    """Every task hangs until its timeout at every attempt; none is throttled."""

    def slowest_task(state: dict[str, Any]) -> float:
        if state["Type"] == "Map":  # all items at once
            return sum(map(slowest_task, state["ItemProcessor"]["States"].values()))
        if state["Type"] != "Task":
            return 0
        [hanging] = [each for each in state["Retry"] if "States.Timeout" in each["ErrorEquals"]]
        attempts = 1 + hanging["MaxAttempts"]
        return float(attempts * state["TimeoutSeconds"] + waiting_seconds(hanging))

    @cache
    def slowest(name: str) -> float:
        state = machine["States"][name]
        return slowest_task(state) + max(map(slowest, successors(state)), default=0)

    assert slowest(machine["StartAt"]) <= machine["TimeoutSeconds"] < EXPRESS_SECONDS


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
    """No account, region or physical name is written down."""
    for name, task in tasks(machine).items():
        pattern = r"arn:aws:states:::(aws-sdk:)?[a-z0-9]+:[a-zA-Z]+"
        assert re.fullmatch(pattern, task["Resource"]), name
    assert not re.search(r"\d{12}|us-east-1", json.dumps(machine))


# ── cfn-lint, which skips a definition in a file of its own ──


def lint(workflow: Workflow, flaw: dict[str, str]) -> list[str]:
    """What cfn-lint says of a state machine that is written into a template."""
    substitutions = workflow.properties["DefinitionSubstitutions"]
    template = {
        "Resources": {
            "StateMachine": {
                "Type": "AWS::StepFunctions::StateMachine",
                "Properties": {
                    "RoleArn": "arn:aws:iam::123456789012:role/workflow",
                    "Definition": workflow.machine | flaw,
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
