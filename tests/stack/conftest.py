"""The template as CloudFormation sees it, and the state machine, both read offline."""

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.repository import REPOSITORY
from tests.support.template import expanded, written


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


@dataclass
class Workflow:
    """A state machine: its file before substitution, and its resource."""

    text: str
    properties: dict[str, Any]

    @property
    def machine(self) -> dict[str, Any]:
        definition: dict[str, Any] = json.loads(self.text)
        return definition


@pytest.fixture(params=["ClassifyPhoto", "RecordReview"])
def workflow(request: pytest.FixtureRequest, resources: dict[str, Any]) -> Workflow:
    """Each workflow of the template."""
    stem = re.sub(r"(?<!^)(?=[A-Z])", "_", request.param).lower()
    text = (REPOSITORY / "statemachine" / f"{stem}.asl.json").read_text()
    return Workflow(text, resources[f"{request.param}StateMachine"]["Properties"])


@pytest.fixture
def machine(workflow: Workflow) -> dict[str, Any]:
    """The state machine of each workflow, before substitution."""
    return workflow.machine
