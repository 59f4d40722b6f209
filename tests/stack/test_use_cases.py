"""Use cases are the same template with other parameters. They live side by side in one account."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from local.use_cases import UseCase, find_use_case
from tests.support.repository import REPOSITORY
from tests.support.template import DeployedStack, written

NAMES = {  # type of a resource: the property that names it in the account and region
    "AWS::SNS::Topic": "TopicName",
    "AWS::Events::Rule": "Name",
    "AWS::Events::EventBus": "Name",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::SSM::Parameter": "Name",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::Cognito::UserPool": "UserPoolName",
    "AWS::Cognito::UserPoolDomain": "Domain",
    "AWS::ApiGatewayV2::Api": "Name",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::ECR::Repository": "RepositoryName",
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::Scheduler::Schedule": "Name",
    "AWS::StepFunctions::StateMachine": "StateMachineName",
}
NAMELESS = {  # CloudFormation names them by the stack, or they are parts of what has a name
    "AWS::S3::BucketPolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::SNS::TopicPolicy",
    "AWS::SNS::Subscription",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Permission",
    "AWS::Cognito::UserPoolClient",
    "AWS::Cognito::UserPoolGroup",
    "AWS::ApiGatewayV2::Stage",
    "AWS::ApiGatewayV2::Authorizer",
    "AWS::ApiGatewayV2::Integration",
    "AWS::ApiGatewayV2::Route",
}


def deployed(name: str, **parameters: str) -> DeployedStack:
    """The stack of a use case."""
    use_case = find_use_case(name)
    return DeployedStack(use_case.stack_name, **(use_case.parameters | parameters))


@pytest.fixture(scope="module")
def stacks() -> list[DeployedStack]:
    on = {"AutomaticRetraining": "on", "RetrainingSchedule": "rate(30 days)"}
    return [deployed(name, **on) for name in ("vehicles", "scones", "social")]


def names_of(stack: DeployedStack) -> set[tuple[str, str]]:
    """Type and name of every resource with a name that the template chooses."""
    assert {resource["Type"] for resource in stack.resources.values()} <= NAMES.keys() | NAMELESS
    return {
        (resource["Type"], str(resource["Properties"][NAMES[resource["Type"]]]))
        for resource in stack.resources.values()
        if NAMES.get(resource["Type"]) in resource.get("Properties", {})
    }


def metrics_of(stack: DeployedStack) -> set[tuple[Any, ...]]:
    """Metrics that alarms watch, with their dimensions; those of the whole account left aside."""
    return {
        (
            alarm["Namespace"],
            alarm["MetricName"],
            *(f"{each['Name']}={each['Value']}" for each in alarm["Dimensions"]),
        )
        for alarm in stack.of_type("AWS::CloudWatch::Alarm").values()
        if "Dimensions" in alarm
    }


def test_two_use_cases_share_no_name_and_no_metric(stacks: list[DeployedStack]) -> None:
    for one, other in itertools.combinations(stacks, 2):
        assert names_of(one), one.name
        assert names_of(one) & names_of(other) == set()
        assert metrics_of(one) & metrics_of(other) == set()


def test_no_export_can_clash() -> None:
    assert not [name for name, output in written()["Outputs"].items() if "Export" in output]


def test_functions_count_their_metrics_by_stack(stacks: list[DeployedStack]) -> None:
    for stack in stacks:
        for function in stack.of_type("AWS::Lambda::Function").values():
            assert function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] == stack.name


def test_each_label_with_a_topic_has_its_own(stacks: list[DeployedStack]) -> None:
    for stack in stacks:
        topics = stack.of_type("AWS::SNS::Topic")
        labels = find_use_case(stack.values["UseCase"]).topic_labels
        assert {topic.get("TopicName") for topic in topics.values()} - {None} == {
            f"{stack.name}-{label}" for label in labels
        }
        heard = {
            rule["EventPattern"]["detail"]["label"][0]: rule["Targets"][0]["Arn"]
            for name, rule in stack.of_type("AWS::Events::Rule").items()
            if "topic" in rule.get("Name", "")
        }
        assert heard == {label: f"{stack.name}-{label}Topic-random" for label in labels}


def test_without_dispatch_there_is_nothing_of_it(stacks: list[DeployedStack]) -> None:
    vehicles, *others = stacks
    dispatch = {
        name
        for name, resource in vehicles.template["Resources"].items()
        if resource.get("Condition") == "HasDispatch"
    }
    assert len(dispatch) > 15
    assert dispatch <= vehicles.resources.keys()
    for stack in others:
        assert not dispatch & stack.resources.keys()
        outputs = {
            name
            for name, output in stack.template["Outputs"].items()
            if stack.holds(output.get("Condition"))
        }
        assert not {"OrdersTableName", "CouriersTableName", "DispatchQueueUrl"} & outputs
        for name in ("CouriersTable", "OrdersTable", "DispatchQueue", "DispatchOrdersFunction"):
            assert f"{stack.name}-{name}-random" not in str(stack.resources)


def test_what_a_use_case_costs_at_rest(stacks: list[DeployedStack]) -> None:
    """An alarm costs 0.10 dollars a month; docs/costs.md has the numbers."""
    alarms = {
        stack.values["UseCase"]: len(stack.of_type("AWS::CloudWatch::Alarm")) for stack in stacks
    }
    assert alarms == {"vehicles": 15, "scones": 15, "social": 14}


@pytest.mark.parametrize("name", ["vehicles", "scones", "social"])
def test_an_environment_sets_only_parameters_that_the_template_takes(name: str) -> None:
    use_case: UseCase = find_use_case(name)
    assert use_case.parameters.keys() <= written()["Parameters"].keys()
    labels = use_case.parameters.get("Labels", "bicycle,motorcycle,other").split(",")
    assert set(use_case.topic_labels) <= {*labels} - {"other"}


def test_a_use_case_takes_as_many_lines_as_the_page_says() -> None:
    """docs/use-cases.md counts them; no other file has a line for a use case, except its model."""
    lines = (REPOSITORY / "samconfig.toml").read_text().split("[local.")[0].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("[social."))
    count = len([line for line in lines[start:] if line.strip()])
    assert f"| `samconfig.toml` | {count} |" in (REPOSITORY / "docs" / "use-cases.md").read_text()


@pytest.mark.parametrize(
    "path", sorted(REPOSITORY.glob("models/*/metadata.json")), ids=lambda path: path.parent.name
)
def test_a_use_case_has_the_labels_and_the_threshold_of_its_model(path: Path) -> None:
    metadata = json.loads(path.read_text())
    defaults = {name: each["Default"] for name, each in written()["Parameters"].items()}
    parameters = defaults | find_use_case(path.parent.name).parameters
    assert parameters["Labels"].split(",") == metadata["labels"]
    # 63 photos cannot prove that the lower threshold of the scones model, 0.625, is safe.
    chosen = {"scones": 0.9}.get(path.parent.name, metadata["threshold"])
    assert float(parameters["ConfidenceThreshold"]) == chosen
