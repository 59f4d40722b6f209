"""The two workflows that wait for hours: they fit the template, and a person can read them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import lint_all

from tests.support.walk import STATE_MACHINES, all_states

Resources = dict[str, Any]


@pytest.fixture(params=["deploy_model", "retrain_model"])
def file(request: pytest.FixtureRequest) -> Path:
    return STATE_MACHINES / f"{request.param}.asl.json"


@pytest.fixture
def machine(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text())
    return found


@pytest.fixture
def substitutions(file: Path, resources: Resources) -> dict[str, Any]:
    name = "".join(word.title() for word in file.name.partition(".")[0].split("_"))
    found: dict[str, Any] = resources[f"{name}StateMachine"]["Properties"][
        "DefinitionSubstitutions"
    ]
    return found


def test_the_template_substitutes_what_the_file_names(
    file: Path, substitutions: dict[str, Any]
) -> None:
    assert set(re.findall(r"\$\{(\w+)\}", file.read_text())) == substitutions.keys()


def test_no_name_of_a_state_comes_twice(machine: dict[str, Any]) -> None:
    """AWS refuses it, in branches too."""
    inner = [
        name
        for state in machine["States"].values()
        for branch in state.get("Branches", [])
        for name in branch["States"]
    ]
    assert len(all_states(machine)) == len(machine["States"]) + len(inner)


def test_no_account_region_or_partition_is_written_down(machine: dict[str, Any]) -> None:
    for name, state in all_states(machine).items():
        if state["Type"] == "Task":
            assert state["Resource"].startswith("arn:${Partition}:states:::"), name
    assert not re.search(r"\d{12}|us-east-1|arn:aws", json.dumps(machine))


def test_jobs_are_not_started_by_integrations_that_know_few_fields(machine: dict[str, Any]) -> None:
    """The optimized integrations of SageMaker refuse a field that they do not know."""
    resources = [each["Resource"] for each in all_states(machine).values() if "Resource" in each]
    assert not [each for each in resources if ":::sagemaker:" in each]


def test_tasks_end_and_are_tried_again(machine: dict[str, Any]) -> None:
    """Not those that run another workflow, or whose failure is an answer."""
    for name, state in all_states(machine).items():
        if state["Type"] == "Task":
            assert state["TimeoutSeconds"] > 0, name
            if name not in ("DescribeModelPackageGroup", "CreateModelPackageGroup", "DeployModel"):
                assert state["Retry"][-1]["MaxAttempts"] >= 2, name


@pytest.mark.parametrize("flaw", [{}, {"StartAt": "Nowhere"}])
def test_the_linter_finds_flaws_only(
    file: Path, substitutions: dict[str, Any], flaw: dict[str, str]
) -> None:
    machine = json.loads(file.read_text().replace("${Partition}", "aws"))
    properties = {
        "RoleArn": "arn:aws:iam::123456789012:role/workflow",
        "Definition": machine | flaw,
        "DefinitionSubstitutions": dict.fromkeys(substitutions, "1"),
    }
    resource = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}
    found = lint_all(json.dumps({"Resources": {"StateMachine": resource}}))
    assert bool(found) == bool(flaw), [str(match) for match in found]
