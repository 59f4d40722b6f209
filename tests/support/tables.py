"""The tables of the template, for tests that make them one by one."""

from pathlib import Path
from typing import Any

from samcli.yamlhelper import yaml_parse

TEMPLATE = Path(__file__).resolve().parents[2] / "template.yaml"
KEPT = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")


def schema(name: str) -> dict[str, Any]:
    """What CreateTable takes of a table, by its logical name, but for the name."""
    properties = yaml_parse(TEMPLATE.read_text())["Resources"][name]["Properties"]
    return {key: properties[key] for key in KEPT if key in properties}
