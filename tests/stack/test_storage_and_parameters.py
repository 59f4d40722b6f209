"""What the stack stores and for how long, its parameters, and its outputs."""

import re
from typing import Any

import pytest

from tests.support.template import Resources, of_type

# ── Storage ──


def test_photos_are_private_and_encrypted_and_expire(resources: Resources) -> None:
    buckets = of_type(resources, "AWS::S3::Bucket")
    assert buckets.keys() == {"PhotosBucket", "TrainingBucket"}
    for bucket in buckets.values():
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
        assert len(bucket["PublicAccessBlockConfiguration"]) == 4
        assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
        [encryption] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
        rules = bucket["LifecycleConfiguration"]["Rules"]
        assert any("AbortIncompleteMultipartUpload" in rule for rule in rules)
        assert "BucketName" not in bucket  # two stacks in one account
    bucket = buckets["PhotosBucket"]
    assert bucket["VersioningConfiguration"]["Status"] == "Enabled"
    assert bucket["NotificationConfiguration"] == {
        "EventBridgeConfiguration": {"EventBridgeEnabled": True}
    }
    rules = bucket["LifecycleConfiguration"]["Rules"]
    assert {rule["Status"] for rule in rules} == {"Enabled"}
    expiring = [rule for rule in rules if "ExpirationInDays" in rule]
    assert {rule["Prefix"]: rule["ExpirationInDays"] for rule in expiring} == {
        "uploads/": {"Ref": "PhotoRetentionDays"},
        "labelled/": {"Ref": "PredictionRetentionDays"},
    }
    [old] = [rule for rule in rules if "NoncurrentVersionExpiration" in rule]
    assert "Prefix" not in old
    assert old["NoncurrentVersionExpiration"]["NoncurrentDays"] <= 30
    assert any("AbortIncompleteMultipartUpload" in rule for rule in rules)


def test_tables_that_nothing_else_can_rebuild_can_be_restored(resources: Resources) -> None:
    for name, key in (
        ("PredictionsTable", "image_id"),
        ("CouriersTable", "courier_id"),
        ("OrdersTable", "order_id"),
    ):
        table = resources[name]["Properties"]
        assert table["KeySchema"] == [{"AttributeName": key, "KeyType": "HASH"}]
        assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


def test_tables_cost_nothing_at_rest_and_their_items_expire(resources: Resources) -> None:
    tables = of_type(resources, "AWS::DynamoDB::Table")
    turn = tables.pop("RetrainingTable")  # one item
    assert turn["BillingMode"] == "PAY_PER_REQUEST"
    assert tables.keys() == {"PredictionsTable", "DriftTable", "CouriersTable", "OrdersTable"}
    for table in tables.values():
        assert table["BillingMode"] == "PAY_PER_REQUEST"
        assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}


def test_an_update_that_replaces_storage_keeps_what_is_stored(resources: Resources) -> None:
    stored = ("PredictionsTable", "DriftTable", "CouriersTable", "OrdersTable")
    for name in ("PhotosBucket", "TrainingBucket", *stored):
        assert resources[name]["UpdateReplacePolicy"] == "Retain"


def test_queues_are_encrypted_and_keep_messages_for_two_weeks(resources: Resources) -> None:
    for queue in of_type(resources, "AWS::SQS::Queue").values():
        assert queue["SqsManagedSseEnabled"] is True
        assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600


def test_every_log_is_deleted_after_a_time(resources: Resources) -> None:
    groups = of_type(resources, "AWS::Logs::LogGroup")
    assert groups.keys() == {"FunctionsLogGroup", "WorkflowsLogGroup"}
    for group in groups.values():
        assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}


# ── Parameters and outputs ──


def test_every_parameter_has_a_description_a_default_and_bounds(template: dict[str, Any]) -> None:
    for name, parameter in template["Parameters"].items():
        assert parameter["Description"], name
        assert "Default" in parameter, name
        bounded = {"AllowedPattern", "AllowedValues"} & parameter.keys()
        assert bounded or {"MinValue", "MaxValue"} <= parameter.keys(), name
        if "AllowedPattern" in parameter:
            assert re.search(parameter["AllowedPattern"], parameter["Default"]), name
        if "MinValue" in parameter:
            default = float(parameter["Default"])
            assert parameter["MinValue"] <= default <= parameter["MaxValue"], name
        if "AllowedValues" in parameter:
            assert parameter["Default"] in parameter["AllowedValues"], name


def test_the_message_for_a_refused_parameter_names_the_bounds(template: dict[str, Any]) -> None:
    """The message of CloudFormation alone does not list the allowed values."""
    for name, parameter in template["Parameters"].items():
        message = parameter["ConstraintDescription"]
        assert message.startswith("must be "), name
        words = re.split(r"[ ,]+", message)
        bounds = [parameter.get("MinValue"), parameter.get("MaxValue")]
        values = [*parameter.get("AllowedValues", []), *bounds]
        assert {str(value) for value in values if value is not None} <= set(words), name


@pytest.mark.parametrize(
    ("parameter", "good", "bad"),
    [
        ("EndpointName", ["a", "scones-vehicle-classifier", "A" * 37], ["", "-a", "a_b", "a" * 38]),
        ("Labels", ["bicycle,other", "a,b,c"], ["", "bicycle", "a, b", "A,b", "a,"]),
        ("UseCase", ["vehicles", "my_plants-2"], ["", "Plants", "2nd", "my plants"]),
        ("Subject", ["", "scone", "bread or a cake"], ['"scone"', "a\\b"]),
        ("TopicLabels", ["", "broken", "food2"], ["very-broken", "A", "a b"]),
        ("AlarmEmail", ["", "on-call@example.com"], ["on-call", "a@b", "a b@c.de"]),
        ("TrainingInstance", ["ml.g5.xlarge"], ["", "g5.xlarge"]),
        ("RetrainingSchedule", ["", "rate(30 days)", "cron(0 3 ? * MON *)"], ["daily", "rate()"]),
    ],
)
def test_patterns_of_parameters_accept_valid_values(
    template: dict[str, Any], parameter: str, good: list[str], bad: list[str]
) -> None:
    pattern = template["Parameters"][parameter]["AllowedPattern"]
    assert [value for value in [*good, *bad] if re.search(pattern, value)] == good


def test_every_parameter_can_be_found_in_a_group_of_the_console(template: dict[str, Any]) -> None:
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    assert sorted(grouped) == sorted(template["Parameters"])


def test_outputs_are_described(template: dict[str, Any]) -> None:
    assert all(output["Description"] for output in template["Outputs"].values())
    assert {
        "PhotosBucketName",
        "PredictionsTableName",
        "EventBusName",
        "ClassifyPhotoStateMachineArn",
        "UploadsDeadLetterQueueUrl",
        "ReviewsDeadLetterQueueUrl",
        "CouriersTableName",
        "OrdersTableName",
        "DispatchQueueUrl",
        "AlarmsTopicArn",
        "TrainingBucketName",
        "ImageRepositoryUri",
        "SageMakerRoleArn",
        "TrainingRunParameterName",
        "DeployModelStateMachineArn",
        "RetrainModelStateMachineArn",
    } <= template["Outputs"].keys()
