"""The template as CloudFormation sees it, and the state machine, both read offline."""

import json
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


@pytest.fixture(scope="session")
def machine() -> dict[str, Any]:
    """The state machine, before substitution."""
    definition: dict[str, Any] = json.loads(
        (REPOSITORY / "statemachine" / "classify_vehicle.asl.json").read_bytes()
    )
    return definition
