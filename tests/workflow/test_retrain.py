"""Retraining on the local cloud: lock, messages and baselines are real, SageMaker is played back.

What SageMaker answers is in faults.json. tests/stack/test_retrain_model.py compares the arguments
of its calls with AWS's service models.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.retraining import Retraining, copied, publish
from tests.workflow.conftest import Stack, standard_only, wait_until
from tests.workflow.test_review import answer, at, review, unsure

pytestmark = standard_only

BASELINE = "baselines/scones-vehicle-classifier/2026.11.21-0330.json"
SAGEMAKER = "arn:aws:sagemaker:us-east-1:000000000000:"
RUN = {
    "training_image": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.13-gpu",
    "training_code": "0123456789abcdef",
    "dataset": "3bb5f2a2c1aa",
    "serving_image": "000000000000.dkr.ecr.us-east-1.amazonaws.com/scones:1",
}
MODEL = "scones-vehicle-classifier"
ALARM = {
    "source": "aws.cloudwatch",
    "detail-type": "CloudWatch Alarm State Change",
    "detail": {"alarmName": "scones-unlimited-DriftAlarm-1ABC", "state": {"value": "ALARM"}},
}


@pytest.fixture
def retraining(stack: Stack) -> Iterator[Retraining]:
    queue = stack.sqs.create_queue(QueueName="alarms")["QueueUrl"]
    arn = stack.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    statement = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}
    statement |= {"Principal": {"Service": "sns.amazonaws.com"}}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    stack.sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    topic = stack.cloud.client("sns").subscribe(
        TopicArn=stack.outputs["AlarmsTopicArn"],
        Protocol="sqs",
        Endpoint=arn["Attributes"]["QueueArn"],
        ReturnSubscriptionArn=True,
    )["SubscriptionArn"]
    publish(stack, RUN)
    with copied(stack, "DeployModelStateMachineArn", "deployment") as deployment:
        found = Retraining(stack, deployment, queue, stack.outputs["RetrainingTableName"])
        found.forget()
        found.label()
        yield found
    found.forget()
    publish(stack, {})
    stack.cloud.client("sns").unsubscribe(SubscriptionArn=topic)
    stack.sqs.delete_queue(QueueUrl=queue)


@pytest.fixture
def metadata(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """metadata.json of every challenger, where its evaluation leaves it."""
    body = b'{"baseline": {"count": 900}}'
    start = Stack.start

    def start_with_metadata(self: Stack, event: dict[str, Any], machine: str | None = None) -> str:
        execution = start(self, event, machine)
        started = self.stepfunctions.describe_execution(executionArn=execution)["startDate"]
        for second in (0, 1, -1):
            moment = started.timestamp() + second
            stamp = started.fromtimestamp(moment, started.tzinfo).strftime("%Y%m%d%H%M%S")
            key = f"reports/{stamp}/metadata.json"
            self.s3.put_object(Bucket=self.outputs["TrainingBucketName"], Key=key, Body=body)
        return execution

    monkeypatch.setattr(Stack, "start", start_with_metadata)
    return body


@pytest.mark.parametrize("case", ["Serves", "ServesOnInstances"])
def test_better_model_is_put_in_service(retraining: Retraining, metadata: bytes, case: str) -> None:
    stack = retraining.stack
    stack.s3.delete_object(Bucket=stack.bucket, Key=BASELINE)
    described, last = retraining.run(case, ALARM)
    assert described["status"] == "SUCCEEDED", (described.get("error"), described.get("cause"))
    assert last == "RetrainingEnded"
    [(subject, text)] = retraining.messages()
    assert subject == "Scones Unlimited: a new model serves"
    assert "2026.11.21-0330 replaces 1.2.0: 30 of 900 photos are classified better" in text
    assert stack.s3.get_object(Bucket=stack.bucket, Key=BASELINE)["Body"].read() == metadata
    assert retraining.lock["outcome"] == "serves: 2026.11.21-0330"


def test_model_that_is_no_better_is_rejected_and_explained(
    retraining: Retraining, metadata: bytes
) -> None:
    stack = retraining.stack
    stack.s3.delete_object(Bucket=stack.bucket, Key=BASELINE)
    described, last = retraining.run("Refused", ALARM)
    assert (described["status"], last) == ("SUCCEEDED", "RetrainingEnded")
    [(subject, text)] = retraining.messages()
    assert subject == "Scones Unlimited: the model in service stays"
    assert "no better than chance explains" in text
    assert "model-package/scones-vehicle-classifier/8 (Rejected)" in text
    listed = stack.s3.list_objects_v2(Bucket=stack.bucket, Prefix=BASELINE)
    assert listed["KeyCount"] == 0


def test_model_that_aws_rolls_back_is_explained(retraining: Retraining, metadata: bytes) -> None:
    described, _ = retraining.run("RolledBackByAws", {"by": "anna"})
    assert described["status"] == "SUCCEEDED"
    [(subject, text)] = retraining.messages()
    assert subject == "Scones Unlimited: the new model was rolled back"
    assert "AWS rolled the update back: alarm EndpointServerErrorsAlarm" in text


def test_nothing_is_trained_before_a_training_run_is_published(retraining: Retraining) -> None:
    publish(retraining.stack, {})
    described, _ = retraining.run("Refused", {"by": "anna"})
    assert described["status"] == "SUCCEEDED"
    [(subject, text)] = retraining.messages()
    assert subject == "Scones Unlimited: nothing to retrain with"
    assert "by anna" in text
    publish(retraining.stack, RUN)  # and nobody need wait a day
    assert retraining.run("Refused", ALARM)[0]["status"] == "SUCCEEDED"
    assert retraining.lock["outcome"].startswith("rejected")


@contextmanager
def in_alarm(stack: Stack, resource: str) -> Iterator[str]:
    """An alarm of the stack, by its name, in ALARM."""
    cloudwatch, name = stack.cloud.client("cloudwatch"), stack.physical_name(resource)
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a test")
    try:
        yield name
    finally:
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="a test")


def test_model_with_which_alarms_go_to_alarm_is_rolled_back(
    retraining: Retraining, metadata: bytes
) -> None:
    with in_alarm(retraining.stack, "EndpointServerErrorsAlarm") as name:
        described, _ = retraining.run("RolledBackOnAlarms", {})
    assert described["status"] == "SUCCEEDED", (described.get("error"), described.get("cause"))
    told = dict(retraining.messages())
    assert name in told["Scones Unlimited: the new model was rolled back"]


def test_rollback_that_fails_is_reported(retraining: Retraining, metadata: bytes) -> None:
    with in_alarm(retraining.stack, "EndpointLatencyAlarm"):
        described, last = retraining.run("RollbackFails", {})
    assert (described["error"], last) == ("RollbackFailed", "RetrainingFailed")
    told = dict(retraining.messages())
    assert "no capacity" in told["Scones Unlimited: retraining failed"]


@pytest.mark.parametrize("alarm", ["EndpointServerErrorsAlarm", "EndpointClientErrorsAlarm"])
def test_alarms_that_the_model_did_not_cause_roll_nothing_back(
    retraining: Retraining, metadata: bytes, alarm: str
) -> None:
    """It was in ALARM before; or callers do wrong."""
    case = "Serves" if alarm == "EndpointServerErrorsAlarm" else "RolledBackOnAlarms"
    with in_alarm(retraining.stack, alarm):
        retraining.run(case, {})
    assert retraining.lock["outcome"] == "serves: 2026.11.21-0330"


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("TrainingFails", "no spot instance in time"),
        ("EndpointFails", "the container did not answer"),
        ("EndpointIsBusy", "the endpoint is Updating: retrain when it is InService"),
    ],
)
def test_what_fails_is_told_and_another_may_try(
    retraining: Retraining, metadata: bytes, case: str, words: str
) -> None:
    described, last = retraining.run(case, {"by": "anna"})
    assert (described["status"], last) == ("FAILED", "RetrainingFailed")
    assert words in described["cause"]
    [(subject, text)] = retraining.messages()
    assert subject == "Scones Unlimited: retraining failed"
    assert words in text
    assert described["executionArn"] in text
    assert retraining.ends("Refused", {"by": "anna"}) == "rejected"


def test_alarms_start_one_a_day_and_people_as_many_as_they_like(
    retraining: Retraining, metadata: bytes
) -> None:
    assert retraining.ends("Refused", ALARM) == "rejected"
    for event in (ALARM, {"by": "schedule"}):
        assert retraining.ends("Refused", event) == "skipped"
    assert retraining.ends("Refused", {"by": "anna"}) == "rejected"
    assert len(retraining.messages()) == 2


def test_alarm_that_is_still_in_alarm_the_next_day_retrains_again_if_a_photo_was_labelled(
    retraining: Retraining, metadata: bytes
) -> None:
    daily = {"by": "daily schedule"}
    assert retraining.ends("Refused", ALARM) == "rejected"
    assert retraining.ends("Refused", daily) == "skipped"
    assert len(retraining.messages()) == 1
    with in_alarm(retraining.stack, "DriftAlarm") as alarm:
        assert retraining.ends("Refused", daily) == "skipped"
        retraining.next_day()
        assert retraining.ends("Refused", daily) == "not retrained"
        retraining.label()
        assert retraining.ends("Refused", daily) == "rejected"
    assert retraining.lock["started_by"] == f"{alarm} still in ALARM"


@pytest.mark.parametrize("event", [ALARM, {"by": "schedule"}])
def test_nothing_is_trained_on_what_was_learned_already(
    retraining: Retraining, metadata: bytes, event: dict[str, Any]
) -> None:
    """What nobody asked for ends before the first job, and says why; a person's start trains."""
    assert retraining.ends("Refused", ALARM) == "rejected"
    retraining.messages()
    retraining.next_day()
    assert retraining.ends("Refused", event) == "not retrained"
    [(subject, text)] = retraining.messages()
    assert subject == "Scones Unlimited: no new labels to train on"
    assert "no photo was labelled since the last retraining began, 20" in text
    assert retraining.lock["outcome"].startswith("not retrained: no photo was labelled since")
    assert retraining.ends("Refused", {"by": "anna"}) == "rejected"


def test_nothing_is_trained_before_the_first_label(retraining: Retraining) -> None:
    retraining.forget()
    assert retraining.ends("Refused", ALARM) == "not retrained"
    [(_, text)] = retraining.messages()
    assert "no photo was labelled yet" in text


def test_answer_of_a_reviewer_starts_the_next_retraining_the_same_day(
    retraining: Retraining, metadata: bytes
) -> None:
    """Given after the alarm, which stays in ALARM; its correction starts another, a day later."""
    retraining.forget()
    assert retraining.ends("Refused", ALARM) == "not retrained"
    photo = unsure(retraining.stack)
    with in_alarm(retraining.stack, "DriftAlarm"):
        for seconds, label in enumerate(("bicycle", "motorcycle")):
            review(retraining.stack, answer(photo.image_id, label, at(seconds)))
            labelled_at = retraining.lock["labelled_at"]
            wait_until(lambda noted=labelled_at: time.time() >= noted + 1, "the next second")
            assert retraining.ends("Refused", {"by": "daily schedule"}) == "rejected"
            retraining.next_day()
            assert retraining.ends("Refused", {"by": "daily schedule"}) == "not retrained"


def test_what_failed_is_tried_again_without_a_new_label(
    retraining: Retraining, metadata: bytes
) -> None:
    assert retraining.ends("TrainingFails", ALARM) == "failed"
    retraining.next_day()
    assert retraining.ends("Refused", ALARM) == "rejected"


def test_storm_of_alarms_starts_one(retraining: Retraining) -> None:
    """By the rule, but for its source, which only AWS may give. Without SageMaker, one fails."""
    stack = retraining.stack
    events = stack.cloud.client("events")
    machine = stack.outputs["RetrainModelStateMachineArn"]
    rule = stack.physical_name("ModelAlarmRule")
    pattern = json.loads(events.describe_rule(Name=rule)["EventPattern"])
    assert pattern["source"] == ["aws.cloudwatch"]
    events.put_rule(Name="storm", EventPattern=json.dumps(pattern | {"source": ["test"]}))
    targets = events.list_targets_by_rule(Rule=rule)["Targets"]
    events.put_targets(Rule="storm", Targets=targets)
    entry = {"Source": "test", "DetailType": ALARM["detail-type"]}
    alarms = ("AccuracyAlarm-1", "AccuracyDropAlarm-2", "DriftAlarm-3", "DriftAlarm-3")
    details = [
        {"alarmName": f"scones-unlimited-{name}", "state": {"value": "ALARM"}} for name in alarms
    ]
    details += [
        {"alarmName": "scones-unlimited-UploadsDeadLettersAlarm-4", "state": {"value": "ALARM"}},
        {"alarmName": "another-DriftAlarm-5", "state": {"value": "ALARM"}},
        {"alarmName": "scones-unlimited-DriftAlarm-3", "state": {"value": "OK"}},
    ]
    put = events.put_events(Entries=[entry | {"Detail": json.dumps(detail)} for detail in details])
    assert put["FailedEntryCount"] == 0

    def started() -> list[str]:
        listed = stack.stepfunctions.list_executions(stateMachineArn=machine)["executions"]
        return [each["executionArn"] for each in listed]

    executions = wait_until(lambda: started() if len(started()) >= 4 else None, "four executions")
    assert len(executions) == 4
    events.remove_targets(Rule="storm", Ids=[target["Id"] for target in targets])
    events.delete_rule(Name="storm")
    ends = sorted(stack.ended(execution)["status"] for execution in executions)
    assert ends == ["FAILED", "SUCCEEDED", "SUCCEEDED", "SUCCEEDED"]
