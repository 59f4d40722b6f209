"""Retraining on the local cloud: turns, messages and baselines are real, SageMaker is played back.

What SageMaker answers is in faults.json. tests/stack/test_retrain_model.py holds the arguments of
its calls against AWS's service models.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.permissions import allowed, refused, without
from tests.workflow.conftest import Stack, plain, standard_only, wait_until
from tests.workflow.test_review import answer, at, review, unsure

pytestmark = standard_only

BUCKET = "scones-unlimited-training-000000000000-us-east-1"
BASELINE = "baselines/scones-vehicle-classifier/2026.11.21-0330.json"
SAGEMAKER = "arn:aws:sagemaker:us-east-1:000000000000:"
MODEL = "scones-vehicle-classifier"
ALARM = {
    "source": "aws.cloudwatch",
    "detail-type": "CloudWatch Alarm State Change",
    "detail": {"alarmName": "scones-unlimited-DriftAlarm-1ABC", "state": {"value": "ALARM"}},
}


@dataclass
class Retraining:
    """The workflow, a copy of it that waits for seconds only, and what its topic is told."""

    stack: Stack
    copy: str
    queue: str
    table: str

    def run(self, case: str, event: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Retrain as faults.json plays SageMaker back; the execution, and the states it entered."""
        execution = self.stack.start(event, f"{self.copy}#{case}")
        described = self.stack.ended(execution)
        names = [
            event["stateEnteredEventDetails"]["name"]
            for event in self.stack.history(execution)
            if "stateEnteredEventDetails" in event
        ]
        return described, names

    @property
    def turn(self) -> dict[str, Any]:
        """The one item."""
        [item] = self.stack.dynamodb.scan(TableName=self.table, ConsistentRead=True)["Items"]
        return {name: plain(value) for name, value in item.items()}

    def forget(self) -> None:
        """As if nobody had ever retrained, or labelled a photo."""
        self.stack.dynamodb.delete_item(TableName=self.table, Key={"name": {"S": "retraining"}})

    def label(self) -> None:
        """As if a photo had been labelled a second ago, as RecordReview notes it."""
        self.stack.dynamodb.update_item(
            TableName=self.table,
            Key={"name": {"S": "retraining"}},
            UpdateExpression="SET labelled_at = :now",
            ExpressionAttributeValues={":now": {"N": str(int(time.time()) - 1)}},
        )

    def next_day(self) -> None:
        """As if a day had passed since the last retraining began."""
        earlier = {"paused_until", "labelled_at", "learned_until"} & self.turn.keys()
        self.stack.dynamodb.update_item(
            TableName=self.table,
            Key={"name": {"S": "retraining"}},
            UpdateExpression=f"SET {', '.join(f'{name} = {name} - :day' for name in earlier)}",
            ExpressionAttributeValues={":day": {"N": str(24 * 3600)}},
        )

    def messages(self) -> list[tuple[str, str]]:
        """Subject and text of what the topic was told since."""
        found = []
        sqs = self.stack.sqs
        while received := sqs.receive_message(QueueUrl=self.queue).get("Messages"):
            for message in received:
                body = json.loads(message["Body"])
                found.append((body["Subject"], body["Message"]))
                sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return found


@pytest.fixture
def retraining(stack: Stack) -> Iterator[Retraining]:
    true = stack.stepfunctions.describe_state_machine(
        stateMachineArn=stack.outputs["RetrainModelStateMachineArn"]
    )
    quick = json.loads(true["definition"])
    for state in quick["States"].values():
        if state["Type"] == "Wait":
            state["Seconds"] = 1
    copy: str = stack.stepfunctions.create_state_machine(
        name="retraining", definition=json.dumps(quick), roleArn=true["roleArn"], type=true["type"]
    )["stateMachineArn"]
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
    stack.s3.create_bucket(Bucket=BUCKET)
    found = Retraining(stack, copy, queue, stack.outputs["RetrainingTableName"])
    found.forget()
    found.label()
    yield found
    found.forget()
    stack.cloud.client("sns").unsubscribe(SubscriptionArn=topic)
    stack.sqs.delete_queue(QueueUrl=queue)
    stack.stepfunctions.delete_state_machine(stateMachineArn=copy)


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
            self.s3.put_object(Bucket=BUCKET, Key=f"retraining/{stamp}/metadata.json", Body=body)
        return execution

    stack.s3.create_bucket(Bucket=BUCKET)
    monkeypatch.setattr(Stack, "start", start_with_metadata)
    return body


@pytest.mark.parametrize(
    ("case", "update"),
    [("Serves", "UpdateEndpoint"), ("ServesOnInstances", "UpdateEndpointOnInstances")],
)
def test_better_model_is_put_in_service(
    retraining: Retraining, metadata: bytes, case: str, update: str
) -> None:
    stack = retraining.stack
    stack.s3.delete_object(Bucket=stack.bucket, Key=BASELINE)
    described, names = retraining.run(case, ALARM)
    assert described["status"] == "SUCCEEDED", (described.get("error"), described.get("cause"))
    assert update in names
    assert names[-1] == "ChallengerServes"
    [(subject, text)] = retraining.messages()
    assert subject == "Scones Unlimited: a new model serves"
    assert "2026.11.21-0330 replaces 1.2.0: 30 of 900 photos are named better" in text
    assert stack.s3.get_object(Bucket=stack.bucket, Key=BASELINE)["Body"].read() == metadata
    assert retraining.turn["outcome"] == "serves: 2026.11.21-0330"


def test_model_that_is_no_better_is_refused_and_explained(
    retraining: Retraining, metadata: bytes
) -> None:
    stack = retraining.stack
    stack.s3.delete_object(Bucket=stack.bucket, Key=BASELINE)
    described, names = retraining.run("Refused", ALARM)
    assert (described["status"], names[-1]) == ("SUCCEEDED", "ChallengerRefused")
    assert not {"CreateModel", "UpdateEndpoint", "KeepBaseline"} & set(names)
    [(subject, text)] = retraining.messages()
    assert subject == "Scones Unlimited: the model stays"
    assert "no better than chance explains" in text
    listed = stack.s3.list_objects_v2(Bucket=stack.bucket, Prefix="baselines/")
    assert listed["KeyCount"] == 0


def test_model_that_aws_rolls_back_is_rejected(retraining: Retraining, metadata: bytes) -> None:
    described, names = retraining.run("RolledBack", {"by": "anna"})
    assert (described["status"], names[-1]) == ("SUCCEEDED", "ChallengerTakenBack")
    assert "RejectChallenger" in names
    [(_, text)] = retraining.messages()
    assert "AWS rolled the update back: alarm scones-vehicle-classifier-errors" in text


@contextmanager
def ringing(stack: Stack, resource: str) -> Iterator[str]:
    """An alarm of the stack, by its name, in ALARM."""
    cloudwatch, name = stack.cloud.client("cloudwatch"), stack.physical_name(resource)
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a test")
    try:
        yield name
    finally:
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="a test")


def test_model_under_which_alarms_ring_is_taken_back(
    retraining: Retraining, metadata: bytes
) -> None:
    with ringing(retraining.stack, "EndpointServerErrorsAlarm") as name:
        described, names = retraining.run("TakenBack", {})
    assert described["status"] == "SUCCEEDED", (described.get("error"), described.get("cause"))
    assert names[-1] == "ChallengerTakenBack"
    assert names.index("GoBack") < names.index("SeeChampion") < names.index("NotifyRolledBack")
    told = dict(retraining.messages())
    assert name in told["Scones Unlimited: the new model was taken back"]


def test_way_back_that_fails_is_told(retraining: Retraining, metadata: bytes) -> None:
    with ringing(retraining.stack, "EndpointLatencyAlarm"):
        described, names = retraining.run("RollbackFails", {})
    assert (described["error"], names[-1]) == ("WayBackFailed", "RetrainingFailed")
    told = dict(retraining.messages())
    assert "no capacity" in told["Scones Unlimited: retraining failed"]


@pytest.mark.parametrize("alarm", ["EndpointServerErrorsAlarm", "EndpointClientErrorsAlarm"])
def test_alarms_that_the_model_is_not_to_blame_for_take_nothing_back(
    retraining: Retraining, metadata: bytes, alarm: str
) -> None:
    """It rang before; or callers do wrong."""
    case = "Serves" if alarm == "EndpointServerErrorsAlarm" else "TakenBack"
    with ringing(retraining.stack, alarm):
        assert retraining.run(case, {})[1][-1] == "ChallengerServes"


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
    described, names = retraining.run(case, {"by": "anna"})
    assert (described["status"], names[-1]) == ("FAILED", "RetrainingFailed")
    assert words in described["cause"]
    [(subject, text)] = retraining.messages()
    assert subject == "Scones Unlimited: retraining failed"
    assert words in text
    assert "TrainingJobStatus" not in text
    assert described["executionArn"] in text
    assert retraining.run("Refused", {"by": "anna"})[1][-1] == "ChallengerRefused"


def test_alarms_start_one_a_day_and_people_as_many_as_they_like(
    retraining: Retraining, metadata: bytes
) -> None:
    assert retraining.run("Refused", ALARM)[1][-1] == "ChallengerRefused"
    for event in (ALARM, {"by": "schedule"}):
        assert retraining.run("Refused", event)[1][-1] == "AlreadyRunning"
    assert retraining.run("Refused", {"by": "anna"})[1][-1] == "ChallengerRefused"
    assert len(retraining.messages()) == 2


def test_alarm_that_still_rings_the_next_day_retrains_again_if_a_photo_was_labelled(
    retraining: Retraining, metadata: bytes
) -> None:
    clock = {"by": "clock"}
    assert retraining.run("Refused", ALARM)[1][-1] == "ChallengerRefused"
    assert retraining.run("Refused", clock)[1][-1] == "NothingRings"
    assert len(retraining.messages()) == 1
    with ringing(retraining.stack, "DriftAlarm") as alarm:
        assert retraining.run("Refused", clock)[1][-1] == "AlreadyRunning"
        retraining.next_day()
        assert retraining.run("Refused", clock)[1][-1] == "NothingLabelled"
        retraining.label()
        assert retraining.run("Refused", clock)[1][-1] == "ChallengerRefused"
    assert retraining.turn["started_by"] == f"{alarm} still in ALARM"


@pytest.mark.parametrize("event", [ALARM, {"by": "schedule"}])
def test_nothing_is_trained_on_what_was_learned_already(
    retraining: Retraining, metadata: bytes, event: dict[str, Any]
) -> None:
    """What nobody asked for ends before the first job, and says why; a person's start trains."""
    assert retraining.run("Refused", ALARM)[1][-1] == "ChallengerRefused"
    retraining.messages()
    retraining.next_day()
    described, names = retraining.run("Refused", event)
    assert (described["status"], names[-1]) == ("SUCCEEDED", "NothingLabelled")
    assert "DescribeEndpoint" not in names
    [(subject, text)] = retraining.messages()
    assert subject == "Scones Unlimited: nothing new to learn from"
    assert "no photo was labelled since the last retraining began, 20" in text
    assert retraining.turn["outcome"].startswith("not retrained: no photo was labelled since")
    assert retraining.run("Refused", {"by": "anna"})[1][-1] == "ChallengerRefused"


def test_nothing_is_trained_before_the_first_label(retraining: Retraining) -> None:
    retraining.forget()
    assert retraining.run("Refused", ALARM)[1][-1] == "NothingLabelled"
    [(_, text)] = retraining.messages()
    assert "no photo was labelled yet" in text


def test_answer_of_a_reviewer_starts_the_next_retraining_the_same_day(
    retraining: Retraining, metadata: bytes
) -> None:
    """Given after the alarm, which rings on; the correction of it starts another, a day later."""
    retraining.forget()
    assert retraining.run("Refused", ALARM)[1][-1] == "NothingLabelled"
    photo = unsure(retraining.stack)
    with ringing(retraining.stack, "DriftAlarm"):
        for seconds, label in enumerate(("bicycle", "motorcycle")):
            review(retraining.stack, answer(photo.image_id, label, at(seconds)))
            labelled_at = retraining.turn["labelled_at"]
            wait_until(lambda noted=labelled_at: time.time() >= noted + 1, "the next second")
            assert retraining.run("Refused", {"by": "clock"})[1][-1] == "ChallengerRefused"
            retraining.next_day()
            assert retraining.run("Refused", {"by": "clock"})[1][-1] == "NothingLabelled"


def test_what_failed_is_tried_again_without_a_new_label(
    retraining: Retraining, metadata: bytes
) -> None:
    assert retraining.run("TrainingFails", ALARM)[1][-1] == "RetrainingFailed"
    retraining.next_day()
    assert retraining.run("Refused", ALARM)[1][-1] == "ChallengerRefused"


def test_storm_of_alarms_starts_one(retraining: Retraining) -> None:
    """By the rule, but for the source, which only AWS may give; the one that has its turn fails."""
    stack = retraining.stack
    events = stack.cloud.client("events")
    machine = stack.outputs["RetrainModelStateMachineArn"]
    rule = stack.physical_name("RetrainModelStateMachineModelAlarm")
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
        {"alarmName": "scones-unlimited-DeadLettersAlarm-4", "state": {"value": "ALARM"}},
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


# ── Who may do what ──


def calls(stack: Stack) -> set[tuple[str, str]]:
    """Action and resource of every call that the workflow makes."""
    table = stack.outputs["RetrainingTableName"]
    job, config = f"{SAGEMAKER}{{}}/{MODEL}-20261121033015", f"{SAGEMAKER}endpoint-config/{MODEL}-1"
    rule = "arn:aws:events:us-east-1:000000000000:rule/StepFunctionsGetEventsForSageMaker{}JobsRule"
    found = {
        ("dynamodb:UpdateItem", f"arn:aws:dynamodb:us-east-1:000000000000:table/{table}"),
        ("sns:Publish", stack.outputs["AlarmsTopicArn"]),
        ("s3:GetObject", f"arn:aws:s3:::{BUCKET}/retraining/20261121033015/gate.json"),
        ("s3:PutObject", f"arn:aws:s3:::{stack.bucket}/{BASELINE}"),
        ("sagemaker:UpdateEndpoint", f"{SAGEMAKER}endpoint/{MODEL}"),
        ("sagemaker:DescribeEndpoint", f"{SAGEMAKER}endpoint/{MODEL}"),
        ("sagemaker:CreateEndpointConfig", config),
        ("sagemaker:DescribeEndpointConfig", config),
        ("sagemaker:UpdateEndpoint", config),
        ("sagemaker:CreateModelPackage", f"{SAGEMAKER}model-package-group/{MODEL}"),
    }
    for kind in ("training", "processing"):
        for verb in ("Create", "Describe", "Stop"):
            found.add((f"sagemaker:{verb}{kind.title()}Job", job.format(f"{kind}-job")))
        for verb in ("PutTargets", "PutRule", "DescribeRule"):
            found.add((f"events:{verb}", rule.format(kind.title())))
    for verb in ("Create", "Describe", "Update"):
        found.add((f"sagemaker:{verb}ModelPackage", f"{SAGEMAKER}model-package/{MODEL}/8"))
    for verb in ("Create", "Describe"):
        found.add((f"sagemaker:{verb}Model", job.format("model")))
    for kind in ("training-job", "processing-job", "model", "endpoint-config"):
        found.add(("sagemaker:AddTags", job.format(kind)))
    return found


def test_workflow_may_do_what_it_does_and_no_more(stack: Stack) -> None:
    for action, resource in calls(stack):
        assert allowed(stack, "RetrainModelRole", action, resource), (action, resource)
    for action, resource in (
        ("sagemaker:DeleteEndpoint", f"{SAGEMAKER}endpoint/{MODEL}"),
        ("sagemaker:UpdateEndpoint", f"{SAGEMAKER}endpoint/another"),
        ("sagemaker:CreateTrainingJob", f"{SAGEMAKER}training-job/another-1"),
        ("s3:PutObject", f"arn:aws:s3:::{stack.bucket}/uploads/42/bike.jpg"),
        ("s3:GetObject", f"arn:aws:s3:::{stack.bucket}/uploads/42/bike.jpg"),
        ("iam:PassRole", "arn:aws:iam::000000000000:role/another"),
        (
            "dynamodb:UpdateItem",
            f"arn:aws:dynamodb:us-east-1:000000000000:table/{stack.outputs['PredictionsTableName']}",
        ),
    ):
        assert not allowed(stack, "RetrainModelRole", action, resource), (action, resource)


@pytest.mark.parametrize(
    ("policy", "action"),
    [
        ("TakeTurns", "dynamodb:UpdateItem"),
        ("Notify", "sns:Publish"),
        ("ReadReports", "s3:GetObject"),
        ("ReadReports", "s3:PutObject"),
        ("TrainAndEvaluate", "sagemaker:CreateTrainingJob"),
        ("TrainAndEvaluate", "sagemaker:AddTags"),
        ("RegisterModels", "sagemaker:UpdateModelPackage"),
        ("UpdateTheEndpoint", "sagemaker:UpdateEndpoint"),
    ],
)
def test_workflow_needs_every_policy(stack: Stack, policy: str, action: str) -> None:
    with without(stack, "RetrainModelRole", policy, action):
        assert refused(stack, "RetrainModelRole", calls(stack)) == {action}


def test_rule_may_start_this_workflow_only(stack: Stack) -> None:
    role, start = "RetrainModelStateMachineModelAlarmRole", "states:StartExecution"
    assert allowed(stack, role, start, stack.outputs["RetrainModelStateMachineArn"])
    assert not allowed(stack, role, start, stack.state_machine)
