"""The template as CloudFormation reads it, and the state machines. Nothing is deployed."""

from typing import Any

import boto3
import pytest
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from tests.support.repository import REPOSITORY
from tests.support.state_machines import Workflow

EXPRESS = ["ClassifyPhoto", "RecordReview"]  # names of workflows


@pytest.fixture(scope="session")
def template() -> dict[str, Any]:
    """template.yaml as it is written, with long intrinsic functions."""
    parsed: dict[str, Any] = yaml_parse((REPOSITORY / "template.yaml").read_text())
    return parsed


@pytest.fixture(scope="session")
def stack() -> dict[str, Any]:
    """template.yaml after SAM's transform."""
    sources: dict[str, Any] = yaml_parse((REPOSITORY / "template.yaml").read_text())
    sources["Globals"]["Function"]["CodeUri"] = "s3://packages/function"
    for resource in sources["Resources"].values():
        if resource["Type"] == "AWS::Serverless::StateMachine":
            resource["Properties"]["DefinitionUri"] = "s3://packages/definition"
    session = boto3.Session(region_name="us-east-1")
    expanded: dict[str, Any] = Translator({}, Parser(), boto_session=session).translate(sources, {})
    return expanded


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
