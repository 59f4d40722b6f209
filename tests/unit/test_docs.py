"""What the README and the docs say is what the project has."""

import json
import re
from pathlib import Path

import pytest
from samcli.yamlhelper import yaml_parse

PROJECT = Path(__file__).resolve().parents[2]
README = (PROJECT / "README.md").read_text()
TEMPLATE = yaml_parse((PROJECT / "template.yaml").read_text())


def rows_of(section: str) -> list[list[str]]:
    """The cells of the first table after a heading."""
    body = README.split(f"## {section}\n", 1)[1].split("\n## ", 1)[0]
    table = body.strip().split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table]


def test_configuration_table_is_the_template() -> None:
    expected = [
        [f"`{name}`", f"`{definition['Default']}`" if definition["Default"] != "" else "none"]
        for name, definition in TEMPLATE["Parameters"].items()
    ]
    assert [[name, default] for name, default, _ in rows_of("Configure it")] == expected


@pytest.mark.parametrize("page", [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))])
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text())
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("page", [PROJECT / "README.md", PROJECT / "docs" / "operations.md"])
def test_events_to_put_are_json(page: Path) -> None:
    commands = re.findall(r"put-events --entries '(.*?)'", page.read_text(), re.DOTALL)
    assert commands
    for command in commands:
        [entry] = json.loads(command)
        assert json.loads(entry["Detail"])


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^ *|`)make ([a-z-]+)", README, re.MULTILINE))
    assert named - targets == set()
    assert {"run", "test", "test-training", "test-sam-local", "up", "down", "serve"} <= named


def test_ci_runs_the_commands_of_the_readme() -> None:
    script = (PROJECT / ".ci" / "run").read_text()
    for command in ("make run", "make test", "make test-training", "make test-sam-local"):
        assert f"\n{command}\n" in script
        assert f"\n{command}" in README


def test_sample_events_are_those_of_the_readme() -> None:
    events = {path.name for path in (PROJECT / "events").glob("*.json")}
    assert events == set(re.findall(r"events/(\w+\.json)", README))


def test_outputs_named_in_the_readme_exist() -> None:
    assert set(re.findall(r"OutputKey=='(\w+)'", README)) <= set(TEMPLATE["Outputs"])


def test_threshold_is_the_one_chosen_for_the_model() -> None:
    metadata = json.loads((PROJECT / "models" / "vehicles" / "metadata.json").read_text())
    assert float(TEMPLATE["Parameters"]["ConfidenceThreshold"]["Default"]) == metadata["threshold"]
    assert TEMPLATE["Parameters"]["Labels"]["Default"].split(",") == metadata["labels"]


def test_every_alarm_is_in_the_runbook_and_nothing_else_is() -> None:
    runbook = (PROJECT / "docs" / "operations.md").read_text()
    alarms = [
        name
        for name, resource in TEMPLATE["Resources"].items()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    ]
    assert re.findall(r"^### (\w+Alarm)$", runbook, re.MULTILINE) == alarms
    assert re.findall(r"^\| `(\w+Alarm)` \|", runbook, re.MULTILINE) == alarms


def test_the_runbook_tells_what_missing_data_means() -> None:
    runbook = (PROJECT / "docs" / "operations.md").read_text()
    meanings = {"notBreaching": "nothing failed", "ignore": "stays as it was"}
    for name, resource in TEMPLATE["Resources"].items():
        if resource["Type"] == "AWS::CloudWatch::Alarm":
            [row] = re.findall(rf"^\| `{name}` \|.*\| ([^|]+) \|$", runbook, re.MULTILINE)
            assert row == meanings[resource["Properties"]["TreatMissingData"]]


def test_outputs_named_in_the_runbook_exist() -> None:
    runbook = (PROJECT / "docs" / "operations.md").read_text()
    named = set(re.findall(r"<([A-Z]\w+)>", runbook))
    assert named
    assert named <= set(TEMPLATE["Outputs"])
