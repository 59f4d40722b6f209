"""The deployment of a model: every path, and every argument, checked with AWS's service models.

Each test gives the responses of AWS. tests/workflow takes the same paths on the local cloud.
"""

from typing import Any

import pytest

from tests.support.state_machines import all_states, tasks
from tests.support.walk import Failure, Walk, read

ENDPOINT = "scones-vehicle-classifier"
BUCKET = "scones-unlimited-trainingbucket-1abc"
PACKAGE = f"arn:aws:sagemaker:eu-west-1:123456789012:model-package/{ENDPOINT}/8"
ERRORS_ALARM, LATENCY_ALARM = "stack-EndpointServerErrorsAlarm-1X", "stack-EndpointLatencyAlarm-1X"
MACHINE = read(
    "deploy_model",
    {
        "Partition": "aws",
        "EndpointName": ENDPOINT,
        "EndpointServerErrorsAlarmName": ERRORS_ALARM,
        "EndpointLatencyAlarmName": LATENCY_ALARM,
        "PhotosBucketName": "scones-unlimited-photosbucket-1abc",
        "TrainingBucketName": BUCKET,
        "SageMakerRoleArn": "arn:aws:iam::123456789012:role/stack-SageMakerRole-1X",
    },
)
CHAMPION, NEW = f"{ENDPOINT}-20261001000000", f"{ENDPOINT}-20261121033015"  # configurations
SERVERLESS = {"ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5}}
INSTANCES = {"InstanceType": "ml.c5.large", "InitialInstanceCount": 1}
SCALING = {"max_instances": 3, "invocations_per_minute": 600.0}
WATCHED = 20  # minutes
QUIET: dict[str, Any] = {"MetricAlarms": []}
ERRORS = {"MetricAlarms": [{"AlarmName": ERRORS_ALARM}]}
MISSING = Failure("SageMaker.SageMakerException", f'Could not find endpoint "{ENDPOINT}".')
REQUEST = {
    "model": {
        "name": ENDPOINT,
        "version": "2026.11.21-0330",
        "commit": "0123456789abcdef",
        "properties": {"version": "2026.11.21-0330", "dataset": "20261121033015"},
        "artifact": f"s3://{BUCKET}/jobs/new/output/model.tar.gz",
        "image": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/scones:1",
        "report": "reports/20261121033015",
    },
    "approval": {"accepted": True, "reason": "30 of 900 photos are classified better"},
}
REFUSED = REQUEST | {"approval": {"accepted": False, "reason": "no better than chance explains"}}


def serving(configuration: str, status: str = "InService", **more: Any) -> dict[str, Any]:
    return {"EndpointStatus": status, "EndpointConfigName": configuration} | more


def answers(variant: dict[str, Any], running: int = 1, **others: Any) -> dict[str, Any]:
    """The responses of AWS, if an endpoint with this variant is in service."""
    count = {"CurrentInstanceCount": running} if "InstanceType" in variant else {}
    described = {"VariantName": "AllTraffic", "ModelName": CHAMPION, "InitialVariantWeight": 1.0}
    return {
        "RegisterModel": {"ModelPackageArn": PACKAGE},
        "DescribeEndpoint": serving(CHAMPION, ProductionVariants=[count]),
        "DescribeConfiguration": {"ProductionVariants": [described | variant]},
        "DescribeAlarmsBefore": QUIET,
        "DescribeUpdate": [serving(CHAMPION, "Updating"), serving(NEW)],
        "DescribeAlarms": QUIET,
        "DescribeRollback": [serving(NEW, "Updating"), serving(CHAMPION)],
    } | others


def deploy(given: dict[str, Any], request: dict[str, Any] = REQUEST) -> Walk:
    return Walk(MACHINE, given, request)


ROLLED_BACK = serving(CHAMPION, FailureReason="alarm stack-EndpointLatencyAlarm")
TO_INSTANCES = REQUEST | {"variant": INSTANCES, "scaling": SCALING}
TO_LARGER = REQUEST | {"variant": INSTANCES | {"InstanceType": "ml.m5.large"}, "scaling": SCALING}
FIRST = REQUEST | {"variant": SERVERLESS}
# The responses, the input, and the result: an outcome or an error.
WAYS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "serverless": (answers(SERVERLESS), REQUEST, "serves"),
    "on an instance": (answers(INSTANCES), REQUEST, "serves"),
    "on two instances": (answers(INSTANCES, 2), REQUEST, "serves"),
    "from serverless to instances": (answers(SERVERLESS), TO_INSTANCES, "serves"),
    "to another instance type": (answers(INSTANCES), TO_LARGER, "serves"),
    "to another type, never scaled": (
        answers(
            INSTANCES, StopScaling=Failure("ApplicationAutoScaling.ObjectNotFoundException", "")
        ),
        TO_LARGER,
        "serves",
    ),
    "first endpoint": (
        answers(SERVERLESS, DescribeEndpoint=MISSING, DescribeModelPackageGroup=Failure("x", "y")),
        FIRST,
        "serves",
    ),
    "not accepted": (answers(SERVERLESS), REFUSED, "rejected"),
    "rolled back by AWS": (answers(INSTANCES, DescribeUpdate=ROLLED_BACK), REQUEST, "rolled back"),
    "rolled back on alarms": (answers(SERVERLESS, DescribeAlarms=ERRORS), REQUEST, "rolled back"),
    "larger type rolled back": (
        answers(INSTANCES, DescribeUpdate=ROLLED_BACK),
        TO_LARGER,
        "rolled back",
    ),
    "rollback refused": (
        answers(SERVERLESS, DescribeAlarms=ERRORS, RollBack=Failure("x", "no capacity")),
        REQUEST,
        "RollbackFailed",
    ),
    "rollback fails": (
        answers(
            SERVERLESS,
            DescribeAlarms=ERRORS,
            DescribeRollback=serving(NEW, FailureReason="no capacity"),
        ),
        REQUEST,
        "RollbackFailed",
    ),
    "rollback never ends": (
        answers(SERVERLESS, DescribeAlarms=ERRORS, DescribeRollback=serving(NEW, "Updating")),
        REQUEST,
        "RollbackFailed",
    ),
    "alarms on a first endpoint": (
        answers(SERVERLESS, DescribeEndpoint=MISSING, DescribeAlarms=ERRORS),
        FIRST,
        "NoModelBefore",
    ),
    "endpoint fails": (
        answers(SERVERLESS, DescribeUpdate=serving(NEW, "Failed")),
        REQUEST,
        "EndpointFailed",
    ),
    "update never ends": (
        answers(SERVERLESS, DescribeUpdate=serving(CHAMPION, "Updating")),
        REQUEST,
        "EndpointTimedOut",
    ),
    "endpoint is not ready": (
        answers(SERVERLESS, DescribeEndpoint=serving(CHAMPION, "Updating")),
        REQUEST,
        "EndpointNotReady",
    ),
    "endpoint cannot be seen": (
        answers(SERVERLESS, DescribeEndpoint=Failure("SageMaker.SageMakerException", "denied")),
        REQUEST,
        "SageMaker.SageMakerException",
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_path_ends_with_its_outcome(way: str) -> None:
    given, request, end = WAYS[way]
    walk = deploy(given, request)
    if walk.failure:
        assert walk.failure.error == end
    else:
        assert walk.output["outcome"] == end
        assert walk.output["package"] == PACKAGE
    # A model is approved before it is deployed. It is rejected after a rollback.
    updates = {"UpdateEndpoint", "UpdateEndpointOnInstances", "CreateEndpoint"} & walk.calls.keys()
    assert not updates or walk.visited.index("ApproveModel") < walk.visited.index(min(updates))
    assert ("RejectModel" in walk.visited) == (end in ("rejected", "rolled back"))


def test_every_state_is_on_one_of_the_paths() -> None:
    visited = {
        name for given, request, _ in WAYS.values() for name in deploy(given, request).visited
    }
    assert visited == all_states(MACHINE).keys()


TASKS = tasks(MACHINE).keys()


@pytest.mark.parametrize("state", sorted(TASKS - {"DescribeModelPackageGroup"}))
def test_a_call_that_fails_fails_the_deployment(state: str) -> None:
    """The group is created only if it cannot be described."""
    for given, request, _ in WAYS.values():
        if state in deploy(given, request).visited:
            walk = deploy(given | {state: Failure("Some.Error", "the cause")}, request)
            assert walk.failure
            assert "the cause" in str(walk.failure.cause)
            return


@pytest.mark.parametrize(
    "way", ["rollback refused", "rollback fails", "alarms on a first endpoint"]
)
def test_the_alarm_is_reported_if_a_new_model_could_not_be_rolled_back(way: str) -> None:
    failure = deploy(*WAYS[way][:2]).failure
    assert failure
    cause = str(failure.cause)
    assert ERRORS_ALARM in cause
    assert "no capacity" in cause or "there is no previous model" in cause


def test_a_model_is_registered_with_its_measures_and_its_version() -> None:
    package = deploy(answers(SERVERLESS)).calls["RegisterModel"]
    model = REQUEST["model"]
    [container] = package["InferenceSpecification"]["Containers"]
    assert container == {"Image": model["image"], "ModelDataUrl": model["artifact"]}
    statistics = package["ModelMetrics"]["ModelQuality"]["Statistics"]
    assert statistics["S3Uri"] == f"s3://{BUCKET}/{model['report']}/evaluation.json"
    assert package["CustomerMetadataProperties"] == model["properties"]
    assert package["ModelApprovalStatus"] == "PendingManualApproval"


@pytest.mark.parametrize(
    ("way", "status", "reason"),
    [
        ("not accepted", "Rejected", "no better than chance explains"),
        ("rolled back by AWS", "Rejected", "AWS rolled back the update: alarm"),
        ("rolled back on alarms", "Rejected", ERRORS_ALARM),
        ("serverless", "Approved", "30 of 900 photos are classified better"),
    ],
)
def test_the_model_package_has_the_outcome_and_the_reason(
    way: str, status: str, reason: str
) -> None:
    calls = deploy(*WAYS[way][:2]).calls
    judged = calls.get("RejectModel") or calls["ApproveModel"]
    assert judged["ModelApprovalStatus"] == status
    assert reason in judged["ApprovalDescription"]


def test_a_model_that_is_not_accepted_changes_nothing_in_service() -> None:
    walk = deploy(answers(SERVERLESS), REFUSED)
    registry = {"DescribeModelPackageGroup", "RegisterModel", "RejectModel"}
    assert walk.calls.keys() == registry


def test_drift_is_measured_against_the_new_baseline_before_the_model_serves() -> None:
    walk = deploy(answers(SERVERLESS))
    copy = walk.calls["PublishBaseline"]
    assert copy["Key"] == f"baselines/{ENDPOINT}/2026.11.21-0330.json"
    assert copy["CopySource"] == f"{BUCKET}/reports/20261121033015/metadata.json"
    assert walk.visited.index("PublishBaseline") < walk.visited.index("UpdateEndpoint")


# ── What the endpoint runs on ──


@pytest.mark.parametrize("variant", [SERVERLESS, INSTANCES])
def test_the_endpoint_keeps_its_variant_if_the_input_has_none(variant: dict[str, Any]) -> None:
    calls = deploy(answers(variant)).calls
    [made] = calls["CreateConfiguration"]["ProductionVariants"]
    assert made | variant == made
    assert (made["VariantName"], made["ModelName"]) == ("AllTraffic", NEW)
    # A serverless endpoint has no network isolation, and AWS does not roll it back on alarms.
    assert calls["CreateModel"]["EnableNetworkIsolation"] == ("InstanceType" in variant)
    assert ("UpdateEndpointOnInstances" in calls) == ("InstanceType" in variant)


def test_an_endpoint_gets_the_variant_of_the_input() -> None:
    [made] = deploy(answers(SERVERLESS), TO_INSTANCES).calls["CreateConfiguration"][
        "ProductionVariants"
    ]
    assert made == INSTANCES | {"VariantName": "AllTraffic", "ModelName": NEW}


@pytest.mark.parametrize(("running", "routing"), [(1, "ALL_AT_ONCE"), (2, "CANARY")])
def test_instances_are_updated_blue_green_with_the_stacks_alarms(
    running: int, routing: str
) -> None:
    update = deploy(answers(INSTANCES, running)).calls["UpdateEndpointOnInstances"]
    assert update["RetainAllVariantProperties"] is True  # as many as autoscaling has started
    config = update["DeploymentConfig"]
    traffic = config["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert traffic["Type"] == routing
    alarms = [each["AlarmName"] for each in config["AutoRollbackConfiguration"]["Alarms"]]
    assert alarms == [ERRORS_ALARM, LATENCY_ALARM]


def test_instances_are_scaled_as_the_input_says() -> None:
    calls = deploy(answers(SERVERLESS), TO_INSTANCES).calls
    target = calls["RegisterScalableTarget"]
    assert target["ResourceId"] == f"endpoint/{ENDPOINT}/variant/AllTraffic"
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 3)
    tracking = calls["PutScalingPolicy"]["TargetTrackingScalingPolicyConfiguration"]
    assert tracking["TargetValue"] == 600


@pytest.mark.parametrize("way", ["to another instance type", "larger type rolled back"])
def test_scaling_stops_for_another_instance_type_and_starts_again(way: str) -> None:
    order = [
        name
        for name in deploy(*WAYS[way][:2]).visited
        if name in ("StopScaling", "UpdateEndpointOnInstances", "RegisterScalableTarget")
    ]
    assert order == ["StopScaling", "UpdateEndpointOnInstances", "RegisterScalableTarget"]


def test_an_update_without_scaling_does_not_change_the_scaling() -> None:
    assert not {"StopScaling", "RegisterScalableTarget"} & deploy(answers(INSTANCES)).calls.keys()


# ── The watch over a new model ──


def test_a_short_alarm_rolls_the_model_back() -> None:
    for quiet in (0, WATCHED - 1):
        looks = [QUIET] * quiet + [ERRORS] + [QUIET] * WATCHED
        walk = deploy(answers(SERVERLESS, DescribeAlarms=looks))
        assert walk.output["outcome"] == "rolled back"
        assert walk.visited.count("DescribeAlarms") == quiet + 1
        assert walk.calls["RollBack"]["EndpointConfigName"] == CHAMPION


def test_a_new_model_is_watched_for_20_minutes() -> None:
    visited = deploy(answers(SERVERLESS)).visited
    assert visited.count("DescribeAlarms") == WATCHED
    assert (
        visited.count("WatchAlarms") * MACHINE["States"]["WatchAlarms"]["Seconds"] == WATCHED * 60
    )


def test_an_alarm_from_before_the_update_does_not_roll_back() -> None:
    walk = deploy(answers(SERVERLESS, DescribeAlarmsBefore=ERRORS, DescribeAlarms=ERRORS))
    assert walk.output["outcome"] == "serves"
    assert walk.visited.index("DescribeAlarmsBefore") < walk.visited.index("UpdateEndpoint")
    looks = [ERRORS, QUIET, ERRORS]  # roll forward, and back
    walk = deploy(answers(SERVERLESS, DescribeAlarmsBefore=ERRORS, DescribeAlarms=looks))
    assert walk.output["outcome"] == "rolled back"


@pytest.mark.parametrize("variant", [SERVERLESS, INSTANCES])
def test_a_rollback_has_no_alarms_and_keeps_the_number_of_instances(
    variant: dict[str, Any],
) -> None:
    """The alarms of the new model are still in ALARM. With them, AWS would undo the rollback."""
    request = deploy(answers(variant, DescribeAlarms=ERRORS)).calls["RollBack"]
    assert request == {
        "EndpointName": ENDPOINT,
        "EndpointConfigName": CHAMPION,
        "RetainAllVariantProperties": "InstanceType" in variant,
    }


def test_names_and_tags_are_those_of_the_endpoint() -> None:
    calls = deploy(*WAYS["first endpoint"][:2]).calls
    tags = [
        {"Key": "project", "Value": "scones-unlimited"},
        {"Key": "endpoint", "Value": ENDPOINT},
    ]
    for state in (
        "CreateModelPackageGroup",
        "CreateModel",
        "CreateConfiguration",
        "CreateEndpoint",
    ):
        assert calls[state]["Tags"] == tags, state
    for state, name in (
        ("CreateModel", "ModelName"),
        ("CreateConfiguration", "EndpointConfigName"),
    ):
        assert calls[state][name] == NEW


def test_all_waits_of_a_deployment_fit_into_its_timeout() -> None:
    states = MACHINE["States"].values()
    calls = sum(30 * 5 + 30 for state in states if state["Type"] == "Task")
    minutes = 120 + WATCHED + 120
    assert calls + minutes * (60 + 30) < MACHINE["TimeoutSeconds"]
