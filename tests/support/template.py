"""template.yaml as CloudFormation expands it, offline: for a stack with any parameters."""

import re
from typing import Any

import boto3
from ministack.services.cloudformation.language_extensions import apply
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from tests.support.repository import REPOSITORY

Resources = dict[str, Any]

FUNCTIONS = {
    "SerializeImageFunction",
    "ClassifyImageFunction",
    "FilterInferencesFunction",
    "MeasureDriftFunction",
    "DispatchOrdersFunction",
    "ServeWebFunction",
    "CourierApiFunction",
    "ConsoleApiFunction",
    "PreviewPhotoFunction",
}
REMOVED = object()  # what has a Ref to AWS::NoValue as its value


def of_type(resources: Resources, kind: str) -> Resources:
    """The properties of all resources of a type, by name."""
    return {
        name: resource.get("Properties", {})
        for name, resource in resources.items()
        if resource["Type"] == kind
    }


def attribute(name: str, of: str = "Arn") -> dict[str, Any]:
    return {"Fn::GetAtt": [name, of]}


def written() -> dict[str, Any]:
    """template.yaml as it is written, with long intrinsic functions."""
    parsed: dict[str, Any] = yaml_parse((REPOSITORY / "template.yaml").read_text())
    return parsed


def expanded(**parameters: str) -> dict[str, Any]:
    """template.yaml after both of its transforms; these parameters count for Fn::ForEach."""
    source = written()
    defaults = {name: each["Default"] for name, each in source["Parameters"].items()}
    dashboard = source["Resources"].pop("Dashboard")  # AWS::Include has no place here
    source = apply(source, defaults | parameters)
    source["Resources"]["Dashboard"] = dashboard
    source["Globals"]["Function"]["CodeUri"] = "s3://packages/function"
    for resource in source["Resources"].values():
        if resource["Type"] == "AWS::Serverless::StateMachine":
            resource["Properties"]["DefinitionUri"] = "s3://packages/definition"
    session = boto3.Session(region_name="us-east-1")
    found: dict[str, Any] = Translator({}, Parser(), boto_session=session).translate(source, {})
    return found


class DeployedStack:
    """What CloudFormation would create: conditions and names are resolved."""

    def __init__(self, stack_name: str, **parameters: str) -> None:
        """Expand the template for a stack."""
        self.template = expanded(**parameters)
        defaults = {name: each["Default"] for name, each in self.template["Parameters"].items()}
        self.values: dict[str, Any] = (
            defaults
            | parameters
            | {
                "AWS::StackName": stack_name,
                "AWS::Region": "us-east-1",
                "AWS::AccountId": "111122223333",
                "AWS::Partition": "aws",
                "AWS::URLSuffix": "amazonaws.com",
                "AWS::NoValue": REMOVED,
            }
        )
        for name, each in self.template["Parameters"].items():
            if each["Type"] == "CommaDelimitedList":
                self.values[name] = self.values[name].split(",")
        self.name = stack_name
        self.resources = {
            name: self.resolve(resource)
            for name, resource in self.template["Resources"].items()
            if self.holds(resource.get("Condition"))
        }

    def holds(self, condition: str | None) -> bool:
        """Whether a condition of the template is true; no condition is."""
        if condition is None:
            return True
        result: bool = self.resolve(self.template["Conditions"][condition])
        return result

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """The properties of all resources of a type, by logical id."""
        return {
            name: resource.get("Properties", {})
            for name, resource in self.resources.items()
            if resource["Type"] == kind
        }

    def resolve(self, node: Any) -> Any:  # noqa: PLR0911 - one for each function
        """A value of the template with its functions resolved."""
        match node:
            case list():
                return [each for each in map(self.resolve, node) if each is not REMOVED]
            case {"Ref": str(name)}:
                return self.reference(name)
            case {"Condition": str(name), **rest} if not rest:
                return self.holds(name)
            case {"Fn::If": [condition, yes, no]}:
                return self.resolve(yes if self.holds(condition) else no)
            case {"Fn::Equals": [left, right]}:
                return str(self.resolve(left)) == str(self.resolve(right))
            case {"Fn::Not": [condition]}:
                return not self.resolve(condition)
            case {"Fn::And": conditions}:
                return all(map(self.resolve, conditions))
            case {"Fn::Join": [separator, parts]}:
                return separator.join(self.resolve(parts))
            case {"Fn::GetAtt": [name, attribute]}:
                return f"{self.reference(name)}.{attribute}"
            case {"Fn::Sub": [text, variables]}:
                return self.substituted(text, self.resolve(variables))
            case {"Fn::Sub": text}:
                return self.substituted(text, {})
            case dict():
                members = {key: self.resolve(value) for key, value in node.items()}
                return {key: value for key, value in members.items() if value is not REMOVED}
        return node

    def reference(self, name: str) -> Any:
        """The value of a parameter; for a resource a name that CloudFormation could make."""
        return self.values.get(name, f"{self.values['AWS::StackName']}-{name}-random")

    def substituted(self, text: str, variables: dict[str, Any]) -> str:
        """The text of Fn::Sub with its variables."""

        def value(match: re.Match[str]) -> str:
            name, _, attribute = match[1].partition(".")
            found = str(variables.get(name, self.reference(name)))
            return f"{found}.{attribute}" if attribute else found

        return re.sub(r"\$\{([^}]+)\}", value, text)
