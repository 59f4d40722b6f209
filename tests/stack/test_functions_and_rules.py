"""The functions and workflows of the stack, and the rules, queue and schedules that start them."""

import json
from typing import Any

import pytest

from tests.support.functions import load_module
from tests.support.template import FUNCTIONS, Resources, attribute, of_type

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


# ── Rules ──

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
    "brokenRule": (
        {
            "Name": {"Fn::Sub": "${AWS::StackName}-topic-broken"},
            "EventBusName": {"Ref": "EventBus"},
            "EventPattern": {
                "source": ["scones-unlimited"],
                "detail-type": ["Photo Classified"],
                "detail": {"status": ["accepted"], "label": ["broken"]},
            },
        },
        {"Ref": "brokenTopic"},
        "TopicsDeadLetterQueue",
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
        assert not {"Input", "InputPath"} & target.keys()
        assert ("InputTransformer" in target) == ("Topic" in str(starts))


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


# ── Retraining ──


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
