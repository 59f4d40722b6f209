"""The tables of the template, for tests that make them one by one."""

import functools
from pathlib import Path
from typing import Any

from samcli.yamlhelper import yaml_parse

TEMPLATE = Path(__file__).resolve().parents[2] / "template.yaml"
KEPT = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")


@functools.cache
def template() -> dict[str, Any]:
    """The resources of the template."""
    resources: dict[str, Any] = yaml_parse(TEMPLATE.read_text())["Resources"]
    return resources


def schema(name: str) -> dict[str, Any]:
    """What CreateTable takes of a table, by its logical name, but for the name."""
    properties = template()[name]["Properties"]
    return {key: properties[key] for key in KEPT if key in properties}
