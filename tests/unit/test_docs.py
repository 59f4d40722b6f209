"""The README and the docs agree with the project."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from local.use_cases import find_use_case
from tests.support.repository import REPOSITORY
from tests.support.template import DeployedStack, expanded, written

README = (REPOSITORY / "README.md").read_text()
FREE_ALARMS, DOLLARS_AN_ALARM = 10, 0.10  # of an account, a month
TEMPLATE = written()
ALARMS = {  # of a stack with a topic for a label that is called Label
    name: resource["Properties"]
    for name, resource in expanded(TopicLabels="Label")["Resources"].items()
    if resource["Type"] == "AWS::CloudWatch::Alarm"
}


def test_generated_files_are_current() -> None:
    command = [sys.executable, "-m", "docs.generate", "--check"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "page", [*sorted(REPOSITORY.glob("*.md")), *sorted((REPOSITORY / "docs").glob("**/*.md"))]
)
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)|src=\"([^\"]+)\"", page.read_text())
    links = [one or other for one, other in links]
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing


def test_events_in_the_documentation_are_json() -> None:
    runbook = (REPOSITORY / "docs" / "operations.md").read_text()
    commands = re.findall(r"put-events --entries '(.*?)'", runbook, re.DOTALL)
    assert commands
    for command in commands:
        [entry] = json.loads(command)
        assert json.loads(entry["Detail"])


def test_make_targets_named_in_the_documentation_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^ *|`)make ([a-z-]+)", README, re.MULTILINE))
    assert named - targets == set()
    assert {"run", "test", "test-training", "test-sam-local", "up", "down", "serve"} <= named


def test_ci_runs_the_commands_of_the_readme() -> None:
    targets = re.findall(r"^make (\S+)$", (REPOSITORY / ".ci" / "run").read_text(), re.MULTILINE)
    assert targets == ["run", "test", "test-training", "test-web", "test-sam-local"]
    for target in targets:
        assert f"\nmake {target}" in README
    workflow = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "ci.yml").read_text())
    assert workflow["jobs"]["make"]["strategy"]["matrix"]["target"] == targets


def test_every_function_has_a_sample_event() -> None:
    events = {path.stem for path in (REPOSITORY / "events").glob("*.json")}
    functions = {path.parent.name for path in (REPOSITORY / "functions").glob("*/app.py")}
    assert functions <= events


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_every_number_of_the_readme_is_in_its_source() -> None:
    rows = re.findall(
        r"^\| ([\d.]+)\S* [^|]*\| [^|]+ \| \[.+\]\(([^)#]+).*\) \|$", README, re.MULTILINE
    )
    assert len(rows) == 3
    for number, page in rows:
        assert number in (REPOSITORY / page).read_text()


def alarms_of(use_case: str) -> int:
    """The number of alarms of a use case's stack."""
    found = find_use_case(use_case)
    stack = DeployedStack(found.stack_name, **found.parameters)
    return len(stack.of_type("AWS::CloudWatch::Alarm"))


def test_the_price_at_rest_is_the_price_of_the_alarms() -> None:
    alarms = alarms_of("vehicles")
    price = f"{(alarms - FREE_ALARMS) * DOLLARS_AN_ALARM:.2f} US dollars"
    costs = (REPOSITORY / "docs" / "costs.md").read_text()
    assert f"{price} a month: the stack has {alarms} alarms" in costs
    assert f"| {price} | a month at rest" in README


@pytest.mark.parametrize("use_case", ["scones", "social"])
def test_a_further_use_case_costs_its_alarms(use_case: str) -> None:
    alarms = alarms_of(use_case)
    costs = (REPOSITORY / "docs" / "costs.md").read_text()
    assert f"| `{use_case}` | {alarms} alarms | {alarms * DOLLARS_AN_ALARM:.2f} |" in costs


def test_outputs_named_in_the_readme_exist() -> None:
    named = set(re.findall(r"\$\(output (\w+)\)", README))
    assert named
    assert named <= set(TEMPLATE["Outputs"])


def test_the_runbook_has_every_alarm_and_no_other() -> None:
    runbook = (REPOSITORY / "docs" / "operations.md").read_text()
    assert re.findall(r"^### (\w+Alarm)$", runbook, re.MULTILINE) == [*ALARMS]
    assert re.findall(r"^\| `(\w+Alarm)` \|", runbook, re.MULTILINE) == [*ALARMS]


def test_the_runbook_says_what_missing_data_means() -> None:
    runbook = (REPOSITORY / "docs" / "operations.md").read_text()
    meanings = {"notBreaching": "no fault", "ignore": "state is kept"}
    for name, alarm in ALARMS.items():
        [row] = re.findall(rf"^\| `{name}` \|.*\| ([^|]+) \|$", runbook, re.MULTILINE)
        assert row == meanings[alarm["TreatMissingData"]]


def test_outputs_named_in_the_runbook_exist() -> None:
    runbook = (REPOSITORY / "docs" / "operations.md").read_text()
    named = set(re.findall(r"<([A-Z]\w+)>", runbook))
    assert named
    assert named <= set(TEMPLATE["Outputs"])
