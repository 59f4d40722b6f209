"""The template as CloudFormation reads it, and the state machines. Nothing is deployed."""

from typing import Any

import pytest

from tests.support.state_machines import Workflow
from tests.support.template import expanded, written

EXPRESS = ["ClassifyPhoto", "RecordReview"]  # names of workflows


@pytest.fixture(scope="session")
def template() -> dict[str, Any]:
    """template.yaml as it is written, with long intrinsic functions."""
    return written()


@pytest.fixture(scope="session")
def stack() -> dict[str, Any]:
    """template.yaml after its transforms, with a topic for one label."""
    return expanded(TopicLabels="broken")


@pytest.fixture(scope="session")
def resources(stack: dict[str, Any]) -> dict[str, Any]:
    """All resources of the stack by name."""
    found: dict[str, Any] = stack["Resources"]
    return found


@pytest.fixture(params=[*EXPRESS, "DeployModel", "RetrainModel"])
def workflow(request: pytest.FixtureRequest, resources: dict[str, Any]) -> Workflow:
    """Each workflow of the template."""
    return Workflow(request.param, resources)


@pytest.fixture
def machine(workflow: Workflow) -> dict[str, Any]:
    """The state machine of each workflow, before substitution."""
    return workflow.machine


@pytest.fixture(params=EXPRESS)
def express_machine(request: pytest.FixtureRequest, resources: dict[str, Any]) -> dict[str, Any]:
    """The state machine of each workflow that runs as EXPRESS, before substitution."""
    return Workflow(request.param, resources).machine
