"""The alarms of the stack, and the dashboard that shows them."""

import json
import re
from typing import Any

import pytest

from tests.support.repository import REPOSITORY
from tests.support.template import FUNCTIONS, Resources, attribute, of_type

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
            ("TopicsDeadLettersAlarm", "TopicsDeadLetterQueue"),
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
    others = {"EndpointLatencyAlarm", "brokenShareAlarm"}
    assert alarms.keys() == {*FAULTS, *MEASUREMENTS, *others}
    for name, alarm in alarms.items():
        assert len(str(alarm["AlarmDescription"]).split()) >= 15, name
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


def test_a_high_share_of_a_label_with_a_topic_goes_to_alarm(resources: Resources) -> None:
    alarm = resources["brokenShareAlarm"]["Properties"]
    assert watched(alarm) == ("SconesUnlimited", "LabelShare", OURS | {"label": "broken"})
    assert alarm["Threshold"] == {"Ref": "MaximumLabelShare"}
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    assert (alarm["Period"], alarm["EvaluationPeriods"]) == (3600, 1)
    assert (alarm["Statistic"], alarm["TreatMissingData"]) == ("Maximum", "ignore")


def test_slow_responses_of_the_endpoint_have_an_alarm(resources: Resources) -> None:
    alarm = resources["EndpointLatencyAlarm"]["Properties"]
    assert watched(alarm) == ("AWS/SageMaker", "ModelLatency", ENDPOINT)
    assert alarm["ExtendedStatistic"] == "p99"
    # With it the alarm would stay OK: the 99th percentile needs a thousand photos in five minutes.
    assert "EvaluateLowSampleCountPercentile" not in alarm
    assert alarm["Threshold"] == 2_000_000  # microseconds
    assert (alarm["Period"], alarm["EvaluationPeriods"]) == (300, 3)
    assert alarm["TreatMissingData"] == "notBreaching"


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


# ── The dashboard ──


def widgets(*, conditions: bool = True) -> list[dict[str, Any]]:
    """The widgets of the dashboard, if all its conditions are true or false."""
    dashboard = json.loads((REPOSITORY / "dashboard.json").read_text())
    return [
        widget["Fn::If"][1 if conditions else 2] if "Fn::If" in widget else widget
        for widget in dashboard["widgets"]
    ]


def test_the_dashboard_shows_all_alarms_and_existing_resources(resources: Resources) -> None:
    alarms = [widget for widget in widgets() if widget["type"] == "alarm"]
    shown = {arn["Fn::GetAtt"][0] for each in alarms for arn in each["properties"]["alarms"]}
    # CloudFormation cannot list the alarms of Fn::ForEach: the widget of their metric shows them.
    assert shown | {"brokenShareAlarm"} == of_type(resources, "AWS::CloudWatch::Alarm").keys()
    text = json.dumps(widgets())
    named = set(re.findall(r'\{"Ref": "(\w+)"\}|\["(\w+)", "QueueName"\]', text))
    parameters = {
        *("EndpointName", "MinimumAccuracy", "MaximumDrift", "MaximumReviewRate"),
        "MaximumLabelShare",
    }
    assert {ref or queue for ref, queue in named} <= resources.keys() | parameters


@pytest.mark.parametrize("conditions", [True, False])
def test_the_dashboard_shows_nothing_that_the_stack_does_not_have(
    resources: Resources, conditions: bool
) -> None:
    text = json.dumps(widgets(conditions=conditions))
    for name, resource in resources.items():
        if resource.get("Condition") in ("HasDispatch", "HasTopics") and not conditions:
            assert f'"{name}"' not in text, name


def test_the_dashboard_shows_what_the_alarms_watch(resources: Resources) -> None:
    drawn = [
        metric for widget in widgets() for metric in expand(widget["properties"].get("metrics", []))
    ]
    for name, alarm in of_type(resources, "AWS::CloudWatch::Alarm").items():
        namespace, metric, dimensions = watched(alarm)
        if name == "brokenShareAlarm":
            [search] = [str(each) for each in drawn if "SEARCH" in str(each)]
            assert "SconesUnlimited" in search
            assert "LabelShare" in search
        elif dimensions:
            pairs = [part for pair in dimensions.items() for part in pair]
            assert [namespace, metric, *pairs] in drawn, name
        else:  # all functions of the account
            assert [namespace, metric] in drawn, name
            for function in FUNCTIONS:
                if resources[function].get("Condition") in (None, "HasDispatch"):
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


@pytest.mark.parametrize("conditions", [True, False])
def test_widgets_of_the_dashboard_do_not_overlap(conditions: bool) -> None:
    cells = [
        (x, y)
        for widget in widgets(conditions=conditions)
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
