"""The tables of the template, for tests that create them one by one."""

from functools import cache
from typing import Any

from samcli.yamlhelper import yaml_parse

from tests.support.repository import REPOSITORY

TEMPLATE = REPOSITORY / "template.yaml"
KEPT = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")


@cache
def resources() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml_parse(TEMPLATE.read_text())["Resources"]  # takes a second
    return parsed


def schema(name: str) -> dict[str, Any]:
    """The arguments of CreateTable for a table, by its logical name, without `TableName`."""
    properties = resources()[name]["Properties"]
    return {key: properties[key] for key in KEPT if key in properties}
