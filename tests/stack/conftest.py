"""The template as CloudFormation sees it, and the state machine, both read offline."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

REPOSITORY = Path(__file__).parents[2]


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
