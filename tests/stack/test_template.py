"""The properties of the deployed stack: privacy, retention, traces, alarms."""

import json
import re
from typing import Any

import pytest

from tests.support.functions import load_module
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


def of_type(resources: Resources, kind: str) -> Resources:
    """The properties of all resources of a type, by name."""
    return {
        name: resource.get("Properties", {})
        for name, resource in resources.items()
        if resource["Type"] == kind
    }


def attribute(name: str, of: str = "Arn") -> dict[str, Any]:
    return {"Fn::GetAtt": [name, of]}


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


def keys_of(keyed: dict[str, Any]) -> list[tuple[str, str]]:
    """Name and kind of the keys of a table or an index."""
    return [(key["AttributeName"], key["KeyType"]) for key in keyed["KeySchema"]]


def test_predictions_and_orders_have_indexes(resources: Resources) -> None:
    assert {
        name: {
            index["IndexName"]: (
                keys_of(index),
                index["Projection"].get("NonKeyAttributes", index["Projection"]["ProjectionType"]),
            )
            for index in table["GlobalSecondaryIndexes"]
        }
        for name, table in of_type(resources, "AWS::DynamoDB::Table").items()
        if "GlobalSecondaryIndexes" in table
    } == {
        "PredictionsTable": {
            "by_hour": (
                [("hour", "HASH"), ("recorded_at", "RANGE")],
                ["status", "label", "confidence", "novelty", "model", "reviewed_label"],
            ),
            "to_review": ([("review_state", "HASH"), ("recorded_at", "RANGE")], "ALL"),
        },
        "OrdersTable": {
            "to_dispatch": ([("dispatch_state", "HASH"), ("plan_from", "RANGE")], ["due_until"]),
            "open_orders": (
                [("open_state", "HASH"), ("due_until", "RANGE")],
                [
                    "status",
                    "reason",
                    "latitude",
                    "longitude",
                    "boxes",
                    "ready_at",
                    "due_from",
                    "courier_id",
                    "vehicle",
                    "arrives_at",
                    "pinned_to",
                    "held_by",
                ],
            ),
            "by_day": (
                [("day", "HASH"), ("recorded_at", "RANGE")],
                [
                    "status",
                    "reason",
                    "latitude",
                    "longitude",
                    "boxes",
                    "ready_at",
                    "due_from",
                    "due_until",
                    "courier_id",
                    "vehicle",
                    "arrives_at",
                    "delivered_at",
                    "pinned_to",
                    "held_by",
                ],
            ),
        },
    }


def test_tables_that_nothing_else_can_rebuild_can_be_restored(resources: Resources) -> None:
    for name, key in (
        ("PredictionsTable", "image_id"),
        ("CouriersTable", "courier_id"),
        ("OrdersTable", "order_id"),
    ):
        table = resources[name]["Properties"]
        assert keys_of(table) == [(key, "HASH")]
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


# ── Functions and workflow ──


def test_functions_are_traced_and_log_into_the_one_group(resources: Resources) -> None:
    functions = of_type(resources, "AWS::Lambda::Function")
    assert functions.keys() == FUNCTIONS
    for function in functions.values():
        assert function["Runtime"] == "python3.13"
        assert function["TracingConfig"] == {"Mode": "Active"}
        assert function["LoggingConfig"] == {
            "LogFormat": "JSON",
            "SystemLogLevel": "WARN",
            "LogGroup": {"Ref": "FunctionsLogGroup"},
        }
        variables = function["Environment"]["Variables"]
        assert variables["POWERTOOLS_SERVICE_NAME"] == {"Ref": "AWS::StackName"}
        assert variables["POWERTOOLS_METRICS_NAMESPACE"] == "SconesUnlimited"


@pytest.mark.parametrize(
    ("function", "variable", "value"),
    [
        ("SerializeImageFunction", "MAX_PHOTO_BYTES", {"Fn::Sub": "${MaxPhotoMegabytes}000000"}),
        ("ClassifyImageFunction", "ENDPOINT_NAME", {"Ref": "EndpointName"}),
        ("ClassifyImageFunction", "LABELS", {"Ref": "Labels"}),
        ("FilterInferencesFunction", "CONFIDENCE_THRESHOLD", {"Ref": "ConfidenceThreshold"}),
        ("MeasureDriftFunction", "MAXIMUM_DRIFT", {"Ref": "MaximumDrift"}),
        ("MeasureDriftFunction", "PREDICTIONS_TABLE_NAME", {"Ref": "PredictionsTable"}),
        ("MeasureDriftFunction", "DRIFT_TABLE_NAME", {"Ref": "DriftTable"}),
        ("MeasureDriftFunction", "PHOTOS_BUCKET_NAME", {"Ref": "PhotosBucket"}),
        (
            "MeasureDriftFunction",
            "PREDICTION_RETENTION_DAYS",
            {"Ref": "PredictionRetentionDays"},
        ),
        ("DispatchOrdersFunction", "COURIERS_TABLE_NAME", {"Ref": "CouriersTable"}),
        ("DispatchOrdersFunction", "ORDERS_TABLE_NAME", {"Ref": "OrdersTable"}),
        ("DispatchOrdersFunction", "EVENT_BUS_NAME", {"Ref": "EventBus"}),
        ("DispatchOrdersFunction", "DISPATCH_QUEUE_URL", {"Ref": "DispatchQueue"}),
        ("DispatchOrdersFunction", "SHIFT_HOURS", {"Ref": "ShiftHours"}),
        ("DispatchOrdersFunction", "ORDER_RETENTION_DAYS", {"Ref": "OrderRetentionDays"}),
    ],
)
def test_parameters_reach_the_functions(
    resources: Resources, function: str, variable: str, value: dict[str, str]
) -> None:
    properties = resources[function]["Properties"]
    assert properties["Environment"]["Variables"][variable] == value


def test_workflows_are_traced_and_log_no_photo_and_no_name(resources: Resources) -> None:
    for name, workflow in of_type(resources, "AWS::StepFunctions::StateMachine").items():
        waits = name in ("RetrainModelStateMachine", "DeployModelStateMachine")
        kind = "STANDARD" if waits else {"Ref": "WorkflowType"}
        assert workflow["StateMachineType"] == kind
        assert workflow["TracingConfiguration"] == {"Enabled": True}
        assert workflow["LoggingConfiguration"]["Level"] == "ERROR"
        assert workflow["LoggingConfiguration"]["IncludeExecutionData"] is False
        [destination] = workflow["LoggingConfiguration"]["Destinations"]
        assert destination == {
            "CloudWatchLogsLogGroup": {"LogGroupArn": attribute("WorkflowsLogGroup")}
        }


RULES: dict[str, tuple[dict[str, Any], dict[str, Any], str | None]] = {
    # rule: its bus and pattern, its target, its dead-letter queue
    "PhotoUploadedRule": (
        {  # S3 sends to the default bus
            "Name": {"Fn::Sub": "${AWS::StackName}-photo-uploaded"},
            "EventPattern": {
                "source": ["aws.s3"],
                "detail-type": ["Object Created"],
                "detail": {
                    "bucket": {"name": [{"Ref": "PhotosBucket"}]},
                    "object": {"key": [{"prefix": "uploads/"}]},
                },
            },
        },
        {"Ref": "ClassifyPhotoStateMachine"},
        "UploadsDeadLetterQueue",
    ),
    "PhotoReviewedRule": (
        {
            "Name": {"Fn::Sub": "${AWS::StackName}-photo-reviewed"},
            "EventBusName": {"Ref": "EventBus"},
            "EventPattern": {"source": ["scones-unlimited"], "detail-type": ["Photo Reviewed"]},
        },
        {"Ref": "RecordReviewStateMachine"},
        "ReviewsDeadLetterQueue",
    ),
    "CheckInRule": (
        {
            "EventBusName": {"Ref": "EventBus"},
            "EventPattern": {
                "source": ["scones-unlimited"],
                "detail-type": ["Photo Classified"],
                "detail": {"$or": [{"status": ["accepted"]}, {"reviewed_at": [{"exists": True}]}]},
            },
        },
        attribute("DispatchQueue"),
        "DispatchEventsDeadLetterQueue",
    ),
    "OrderRule": (
        {
            "EventBusName": {"Ref": "EventBus"},
            "EventPattern": {
                "detail-type": [
                    "Order Placed",
                    "Order Changed",
                    "Order Cancelled",
                    "Order Delivered",
                    "Courier Off Shift",
                ]
            },
        },
        attribute("DispatchQueue"),
        "DispatchEventsDeadLetterQueue",
    ),
    "ModelAlarmRule": (
        {  # CloudWatch sends to the default bus
            "Name": {"Fn::Sub": "${AWS::StackName}-model-alarm"},
            "EventPattern": {
                "source": ["aws.cloudwatch"],
                "detail-type": ["CloudWatch Alarm State Change"],
                "detail": {
                    "alarmName": [
                        {"prefix": {"Fn::Sub": f"${{AWS::StackName}}-{alarm}"}}
                        for alarm in ("AccuracyAlarm", "AccuracyDropAlarm", "DriftAlarm")
                    ],
                    "state": {"value": ["ALARM"]},
                },
            },
        },
        {"Ref": "RetrainModelStateMachine"},
        None,  # the daily schedule reads the same alarms while EventBridge retries
    ),
}


def test_each_rule_has_its_target_and_no_event_is_lost(resources: Resources) -> None:
    rules = of_type(resources, "AWS::Events::Rule")
    assert rules.keys() == RULES.keys()
    for name, (listens, starts, dead_letters) in RULES.items():
        rule = dict(rules[name])
        [target] = rule.pop("Targets")
        rule.pop("Description", None)
        assert rule == listens, name
        assert target["Arn"] == starts, name
        kept = {"Arn": attribute(dead_letters)} if dead_letters else None
        assert target.get("DeadLetterConfig") == kept, name
        # AWS accepts no FIFO queue as the dead-letter queue of a rule.
        if dead_letters:
            assert "FifoQueue" not in resources[dead_letters]["Properties"], name
        assert target["RetryPolicy"] == {
            "MaximumEventAgeInSeconds": 24 * 3600,
            "MaximumRetryAttempts": 185,
        }
        assert not {"Input", "InputPath", "InputTransformer"} & target.keys()


# ── The schedule ──


def test_drift_is_measured_after_every_hour(resources: Resources) -> None:
    schedule = resources["MeasureDriftSchedule"]["Properties"]
    assert schedule["ScheduleExpression"] == "cron(5 * * * ? *)"
    assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert schedule["Target"] == {
        "Arn": attribute("MeasureDriftFunction"),
        "Input": "{}",
        "RoleArn": attribute("MeasureDriftScheduleRole"),
    }
    assert "Name" not in schedule  # two stacks in one account


# ── Dispatch ──


def test_plans_are_made_one_at_a_time(resources: Resources) -> None:
    """All messages have one group of a FIFO queue. Lambda takes one batch of a group at a time."""
    [(_, mapping)] = of_type(resources, "AWS::Lambda::EventSourceMapping").items()
    assert mapping == {
        "FunctionName": {"Ref": "DispatchOrdersFunction"},
        "EventSourceArn": attribute("DispatchQueue"),
        "BatchSize": 10,  # the maximum of AWS for a FIFO queue
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
    }
    queue = resources["DispatchQueue"]["Properties"]
    assert (queue["FifoQueue"], queue["ContentBasedDeduplication"]) == (True, True)
    targets = [
        target
        for rule in ("CheckInRule", "OrderRule")
        for target in resources[rule]["Properties"]["Targets"]
    ]
    targets.append(resources["ReplanSchedule"]["Properties"]["Target"])
    for target in targets:
        assert target["Arn"] == attribute("DispatchQueue")
        assert target["SqsParameters"] == {"MessageGroupId": "dispatch"}


def test_the_dispatch_can_reserve_an_execution(
    template: dict[str, Any], resources: Resources
) -> None:
    assert template["Parameters"]["ReserveDispatchConcurrency"]["Default"] == "false"
    assert template["Conditions"]["ReservesDispatchConcurrency"] == {
        "Fn::Equals": [{"Ref": "ReserveDispatchConcurrency"}, "true"]
    }
    reserved = resources["DispatchOrdersFunction"]["Properties"]["ReservedConcurrentExecutions"]
    assert reserved == {"Fn::If": ["ReservesDispatchConcurrency", 1, {"Ref": "AWS::NoValue"}]}


def test_a_message_is_retried_after_the_function_timed_out_and_five_times_at_most(
    resources: Resources,
) -> None:
    queue = resources["DispatchQueue"]["Properties"]
    timeout = resources["DispatchOrdersFunction"]["Properties"]["Timeout"]
    assert queue["VisibilityTimeout"] == 6 * timeout  # AWS's advice
    assert queue["RedrivePolicy"] == {
        "deadLetterTargetArn": attribute("DispatchDeadLetterQueue"),
        "maxReceiveCount": 5,
    }
    assert resources["DispatchDeadLetterQueue"]["Properties"]["FifoQueue"] is True


def test_the_schedule_plans_as_often_as_the_planner_expects(
    resources: Resources,
) -> None:
    holding = load_module("dispatch_orders", "holding")
    assert holding.REPLAN_EVERY.total_seconds() == 60
    schedule = resources["ReplanSchedule"]["Properties"]
    assert schedule["ScheduleExpression"] == "rate(1 minute)"
    assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert schedule["Target"]["RoleArn"] == attribute("ReplanScheduleRole")
    # The queue drops a message that repeats one of the last five minutes, so each one differs.
    assert "<aws.scheduler.scheduled-time>" in schedule["Target"]["Input"]
    assert json.loads(schedule["Target"]["Input"])["detail-type"] == "Replan"


def test_retraining_starts_automatically_only_if_the_parameter_is_on(
    template: dict[str, Any], resources: Resources
) -> None:
    assert template["Parameters"]["AutomaticRetraining"]["Default"] == "off"
    starts = {
        name: resource.get("Condition")
        for name, resource in resources.items()
        if any(
            target.get("Arn") == {"Ref": "RetrainModelStateMachine"}
            for target in [
                *resource.get("Properties", {}).get("Targets", []),
                *[resource.get("Properties", {}).get("Target", {"Arn": None})],
            ]
        )
    }
    assert starts == {
        "ModelAlarmRule": "HasAutomaticRetraining",
        "RetrainAgainSchedule": "HasAutomaticRetraining",
        "RetrainModelSchedule": "HasRetrainingSchedule",
    }


def test_no_training_run_is_published_at_first(resources: Resources) -> None:
    parameter = resources["TrainingRunParameter"]["Properties"]
    assert parameter["Name"] == {"Fn::Sub": "/${AWS::StackName}/training-run"}
    assert (parameter["Type"], parameter["Value"]) == ("String", "{}")


def test_serving_images_are_deleted_with_the_stack_and_keep_their_tags(
    resources: Resources,
) -> None:
    repository = resources["ImageRepository"]["Properties"]
    assert repository["EmptyOnDelete"] is True
    assert repository["ImageTagMutability"] == "IMMUTABLE"
    assert repository["ImageScanningConfiguration"] == {"ScanOnPush": True}
    assert "RepositoryName" not in repository  # two stacks in one account


@pytest.mark.parametrize(
    ("name", "expression", "by"),
    [
        ("RetrainModelSchedule", {"Ref": "RetrainingSchedule"}, "schedule"),
        ("RetrainAgainSchedule", "rate(1 day)", "daily schedule"),
    ],
)
def test_each_schedule_names_itself_in_its_input(
    resources: Resources, name: str, expression: Any, by: str
) -> None:
    schedule = resources[name]["Properties"]
    assert schedule["ScheduleExpression"] == expression
    assert schedule["Target"]["Arn"] == {"Ref": "RetrainModelStateMachine"}
    assert schedule["Target"]["RoleArn"] == attribute("RetrainModelScheduleRole")
    assert json.loads(schedule["Target"]["Input"]) == {"by": by}


def test_the_daily_schedule_and_the_rule_have_the_same_alarms(resources: Resources) -> None:
    """The rule has no dead-letter queue: the schedule replaces an event that is not delivered."""
    listens = RULES["ModelAlarmRule"][0]["EventPattern"]["detail"]["alarmName"]
    heard = {prefix["prefix"]["Fn::Sub"].removeprefix("${AWS::StackName}-") for prefix in listens}
    substitutions = resources["RetrainModelStateMachine"]["Properties"]["DefinitionSubstitutions"]
    asked = {name.removesuffix("Name") for name in substitutions if name.endswith("AlarmName")}
    assert heard == asked


def test_each_workflow_reads_its_own_alarms(resources: Resources) -> None:
    """Client errors (4xx) are faults of the caller, not of the model."""
    for workflow, alarms in (
        ("RetrainModel", ("AccuracyAlarm", "AccuracyDropAlarm", "DriftAlarm")),
        ("DeployModel", ("EndpointServerErrorsAlarm", "EndpointLatencyAlarm")),
    ):
        machine = resources[f"{workflow}StateMachine"]["Properties"]
        for alarm in alarms:
            assert machine["DefinitionSubstitutions"][f"{alarm}Name"] == {"Ref": alarm}


# ── Alarms ──

WORKFLOW = {"StateMachineArn": {"Ref": "ClassifyPhotoStateMachine"}}
ENDPOINT = {"EndpointName": {"Ref": "EndpointName"}, "VariantName": "AllTraffic"}
OURS = {"service": {"Ref": "AWS::StackName"}}  # not the metrics of another stack of the account
# Counts of faults. No data means no fault. The first fault sets the alarm to ALARM.
FAULTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "ClassifyPhotoFailedAlarm": ("AWS/States", "ExecutionsFailed", WORKFLOW),
    "ClassifyPhotoTimedOutAlarm": ("AWS/States", "ExecutionsTimedOut", WORKFLOW),
    **{
        alarm: (
            "AWS/SQS",
            "ApproximateNumberOfMessagesVisible",
            {"QueueName": attribute(queue, "QueueName")},
        )
        for alarm, queue in (
            ("UploadsDeadLettersAlarm", "UploadsDeadLetterQueue"),
            ("ReviewsDeadLettersAlarm", "ReviewsDeadLetterQueue"),
            ("DispatchDeadLettersAlarm", "DispatchDeadLetterQueue"),
            ("DispatchEventsDeadLettersAlarm", "DispatchEventsDeadLetterQueue"),
        )
    },
    "FunctionErrorsAlarm": ("AWS/Lambda", "Errors", {}),
    "FunctionsThrottledAlarm": ("AWS/Lambda", "Throttles", {}),
    "EndpointServerErrorsAlarm": ("AWS/SageMaker", "Invocation5XXErrors", ENDPOINT),
    "EndpointClientErrorsAlarm": ("AWS/SageMaker", "Invocation4XXErrors", ENDPOINT),
}
# Measured once an hour. Without data the alarm keeps its state.
# Operator, threshold, number of hours in sequence, and statistic.
MEASUREMENTS: dict[str, tuple[str, str, Any, int, str]] = {
    "AccuracyAlarm": (
        "MeasuredAccuracyHigh",
        "LessThanThreshold",
        {"Ref": "MinimumAccuracy"},
        1,
        "Maximum",
    ),
    "AccuracyDropAlarm": ("AccuracyDrop", "GreaterThanOrEqualToThreshold", 1, 1, "Maximum"),
    "DriftAlarm": ("Drift", "GreaterThanThreshold", {"Ref": "MaximumDrift"}, 3, "Minimum"),
    "ReviewRateAlarm": (
        "ReviewRate",
        "GreaterThanThreshold",
        {"Ref": "MaximumReviewRate"},
        3,
        "Minimum",
    ),
}


def watched(alarm: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """Namespace, metric and dimensions."""
    dimensions = {each["Name"]: each["Value"] for each in alarm.get("Dimensions", [])}
    return alarm["Namespace"], alarm["MetricName"], dimensions


def test_each_kind_of_fault_has_an_alarm(resources: Resources) -> None:
    alarms = of_type(resources, "AWS::CloudWatch::Alarm")
    assert alarms.keys() == {*FAULTS, *MEASUREMENTS, "EndpointLatencyAlarm"}
    for name, alarm in alarms.items():
        assert len(alarm["AlarmDescription"].split()) >= 15, name
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "AlarmsTopic"}], name


def test_alarms_on_faults_go_to_alarm_at_the_first_fault(resources: Resources) -> None:
    for name, metric in FAULTS.items():
        alarm = resources[name]["Properties"]
        assert watched(alarm) == metric, name
        assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanThreshold", 0)
        assert alarm["EvaluationPeriods"] == 1, name
        assert alarm["Statistic"] in {"Sum", "Maximum"}, name
        assert alarm["TreatMissingData"] == "notBreaching", name


def test_alarms_on_measurements_keep_their_state_without_data(resources: Resources) -> None:
    for name, (metric, operator, threshold, hours, statistic) in MEASUREMENTS.items():
        alarm = resources[name]["Properties"]
        assert watched(alarm) == ("SconesUnlimited", metric, OURS), name
        assert (alarm["ComparisonOperator"], alarm["Threshold"]) == (operator, threshold), name
        assert (alarm["Period"], alarm["EvaluationPeriods"]) == (3600, hours), name
        assert alarm["Statistic"] == statistic, name
        assert alarm["TreatMissingData"] == "ignore", name


def test_slow_responses_of_the_endpoint_have_an_alarm(resources: Resources) -> None:
    alarm = resources["EndpointLatencyAlarm"]["Properties"]
    assert watched(alarm) == ("AWS/SageMaker", "ModelLatency", ENDPOINT)
    assert alarm["ExtendedStatistic"] == "p99"
    # With it the alarm would stay OK: the 99th percentile needs a thousand photos in five minutes.
    assert "EvaluateLowSampleCountPercentile" not in alarm
    assert alarm["Threshold"] == 2_000_000  # microseconds
    assert (alarm["Period"], alarm["EvaluationPeriods"]) == (300, 3)
    assert alarm["TreatMissingData"] == "notBreaching"


# ── The dashboard ──


def test_the_dashboard_shows_all_alarms_and_existing_resources(resources: Resources) -> None:
    dashboard = json.loads((REPOSITORY / "dashboard.json").read_text())
    [alarms] = [widget for widget in dashboard["widgets"] if widget["type"] == "alarm"]
    shown = {arn["Fn::GetAtt"][0] for arn in alarms["properties"]["alarms"]}
    assert shown == of_type(resources, "AWS::CloudWatch::Alarm").keys()
    named = set(re.findall(r'\{"Ref": "(\w+)"\}|\["(\w+)", "QueueName"\]', json.dumps(dashboard)))
    parameters = {"EndpointName", "MinimumAccuracy", "MaximumDrift", "MaximumReviewRate"}
    assert {ref or queue for ref, queue in named} <= resources.keys() | parameters


def test_the_dashboard_shows_what_the_alarms_watch(resources: Resources) -> None:
    dashboard = json.loads((REPOSITORY / "dashboard.json").read_text())
    drawn = [
        metric
        for widget in dashboard["widgets"]
        for metric in expand(widget["properties"].get("metrics", []))
    ]
    for name, alarm in of_type(resources, "AWS::CloudWatch::Alarm").items():
        namespace, metric, dimensions = watched(alarm)
        if dimensions:
            pairs = [part for pair in dimensions.items() for part in pair]
            assert [namespace, metric, *pairs] in drawn, name
        else:  # all functions of the account
            assert [namespace, metric] in drawn, name
            for function in FUNCTIONS:
                if "Condition" not in resources[function]:
                    row = [namespace, metric, "FunctionName", {"Ref": function}]
                    assert row in drawn, name


def expand(rows: list[list[Any]]) -> list[list[Any]]:
    """The metrics of a widget without their options, and without CloudWatch's shorthand: "." is the
    field of the row above, "..." are all fields of the row above that are not given."""
    found: list[list[Any]] = []
    for row in rows:
        fields = [each for each in row if not (isinstance(each, dict) and "label" in each)]
        if fields[0] == "...":
            above, given = found[-1], fields[1:]
            fields = above[: len(above) - len(given)] + given
        found.append([found[-1][i] if field == "." else field for i, field in enumerate(fields)])
    return found


def test_widgets_of_the_dashboard_do_not_overlap() -> None:
    dashboard = json.loads((REPOSITORY / "dashboard.json").read_text())
    cells = [
        (x, y)
        for widget in dashboard["widgets"]
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_alarms_are_mailed_only_if_an_address_was_given(
    stack: dict[str, Any], resources: Resources
) -> None:
    [(name, subscription)] = of_type(resources, "AWS::SNS::Subscription").items()
    assert resources[name]["Condition"] == "HasAlarmEmail"
    assert stack["Conditions"]["HasAlarmEmail"] == {
        "Fn::Not": [{"Fn::Equals": [{"Ref": "AlarmEmail"}, ""]}]
    }
    assert subscription == {
        "TopicArn": {"Ref": "AlarmsTopic"},
        "Protocol": "email",
        "Endpoint": {"Ref": "AlarmEmail"},
    }


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


# ── The linters ──
