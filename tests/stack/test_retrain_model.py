"""Retraining: every path, and every argument, checked with AWS's service models.

Each test gives the responses of AWS. tests/workflow takes the same paths on the local cloud.
"""

import json
from typing import Any

import pytest

from tests.support.state_machines import all_states, tasks
from tests.support.walk import Failure, Walk, read

ACCOUNT, REGION = "123456789012", "eu-west-1"
ENDPOINT = "scones-vehicle-classifier"
BUCKET = "scones-unlimited-trainingbucket-1abc"
DRIFT_ALARM = "scones-unlimited-DriftAlarm-1X"
SUBSTITUTIONS = {
    "Partition": "aws",
    "EndpointName": ENDPOINT,
    "AccuracyAlarmName": "scones-unlimited-AccuracyAlarm-1X",
    "AccuracyDropAlarmName": "scones-unlimited-AccuracyDropAlarm-1X",
    "DriftAlarmName": DRIFT_ALARM,
    "ConfidenceThreshold": "0.95",
    "PhotosBucketName": "scones-unlimited-photosbucket-1abc",
    "TrainingBucketName": BUCKET,
    "TrainingRunParameterName": "/scones-unlimited/training-run",
    "TrainingInstance": "ml.g5.xlarge",
    "SageMakerRoleArn": f"arn:aws:iam::{ACCOUNT}:role/stack-SageMakerRole-1X",
    "DeployModelStateMachineArn": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:Deploy-1X",
    "RetrainingTableName": "scones-unlimited-RetrainingTable-1ABC",
    "AlarmsTopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms",
}
MACHINE = read("retrain_model", SUBSTITUTIONS)
GATE = {
    "accepted": True,
    "reason": "30 of 900 photos are classified better, 9 worse (p = 0.001)",
    "photos": 900,
    "champion": 0.9012,
    "challenger": 0.9245,
    "name": ENDPOINT,
    "version": "2026.11.21-0330",
    "threshold": 0.93,
    "commit": "0123456789abcdef",
    "properties": {"version": "2026.11.21-0330", "dataset": "abc", "test_photos": "0.92"},
}
REFUSED = GATE | {"accepted": False, "reason": "no better than chance explains"}
RUN = {
    "training_image": f"763104351884.dkr.ecr.{REGION}.amazonaws.com/pytorch-training:2.13-gpu",
    "training_code": "0123456789abcdef",
    "dataset": "0badcafe0000",
    "serving_image": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/scones:2",
}
JOB, STAMP = f"{ENDPOINT}-20261121033015", "20261121033015"
CHAMPION = f"{ENDPOINT}-20261001000000"  # its endpoint configuration and its model
PACKAGE = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/{ENDPOINT}/"
ALARM = {"source": "aws.cloudwatch", "detail": {"alarmName": DRIFT_ALARM}}
DAILY, SCHEDULE, ANNA = {"by": "daily schedule"}, {"by": "schedule"}, {"by": "anna"}
IN_ALARM = {"MetricAlarms": [{"AlarmName": DRIFT_ALARM}]}
QUIET: dict[str, Any] = {"MetricAlarms": []}
NOON, LATER = {"N": "1795262400"}, {"N": "1795262401"}  # 2026-11-21T12:00:00Z, a second later
UNLEARNED = {"labelled_at": NOON}  # the item of the lock: labelled, and never retrained
LEARNED = {"labelled_at": NOON, "learned_until": LATER}
LOCKED = Failure("DynamoDB.ConditionalCheckFailedException", "")


def job(kind: str, name: str, status: str = "Completed", **more: Any) -> dict[str, Any]:
    return {f"{kind}JobName": name, f"{kind}JobStatus": status} | more


def deployed(outcome: str, reason: str = "") -> dict[str, Any]:
    return {"Output": {"outcome": outcome, "reason": reason, "package": f"{PACKAGE}8"}}


def answers(gate: dict[str, Any] = GATE, **others: Any) -> dict[str, Any]:
    """What AWS answers."""
    artifact = f"s3://{BUCKET}/jobs/{JOB}/output/model.tar.gz"
    container = {"Image": "old", "ModelDataUrl": f"s3://{BUCKET}/jobs/old/output/model.tar.gz"}
    return {
        "DescribeModelAlarms": IN_ALARM,
        "AcquireLock": {"Attributes": UNLEARNED},
        "ReadTrainingRun": {"Parameter": {"Value": json.dumps(RUN)}},
        "DescribeEndpoint": {"EndpointStatus": "InService", "EndpointConfigName": CHAMPION},
        "DescribeConfiguration": {"ProductionVariants": [{"ModelName": CHAMPION}]},
        "DescribeChampion": {"PrimaryContainer": {"ModelPackageName": f"{PACKAGE}7"}},
        "DescribeChampionPackage": {
            "InferenceSpecification": {"Containers": [container]},
            "CustomerMetadataProperties": {"version": "1.2.0", "dataset": "3bb5f2a2c1aa"},
        },
        "DescribeStaging": [
            job("Processing", f"{JOB}-stage", "InProgress"),
            job("Processing", f"{JOB}-stage"),
        ],
        "DescribeTraining": [
            job("Training", JOB, "InProgress", SecondaryStatus="Training"),
            job(
                "Training",
                JOB,
                SecondaryStatus="Completed",
                ModelArtifacts={"S3ModelArtifacts": artifact},
            ),
        ],
        "DescribeEvaluation": [
            job("Processing", f"{JOB}-evaluate", "InProgress"),
            job("Processing", f"{JOB}-evaluate"),
        ],
        "ReadGate": {"Body": json.dumps(gate)},
        "DeployModel": deployed("serves" if gate["accepted"] else "rejected"),
    } | others


def retrain(given: dict[str, Any], event: dict[str, Any] = ALARM) -> Walk:
    return Walk(MACHINE, given, event)


FAILED_STAGING = job(
    "Processing",
    f"{JOB}-stage",
    "Failed",
    FailureReason="AlgorithmError: See job logs for more information",
    ExitMessage="stage: no photo is labelled",
)
NO_SPOT = job("Training", JOB, "Stopped", SecondaryStatus="MaxWaitTimeExceeded")
UNPUBLISHED = {"Parameter": {"Value": "{}"}}
# The responses, who starts it, and the result: the start of the outcome, an error, or nothing.
WAYS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "serves": (answers(), ALARM, "serves: 2026.11.21-0330"),
    "refused": (answers(REFUSED), ALARM, "rejected: no better"),
    "rolled back": (
        answers(DeployModel=deployed("rolled back", "the latency alarm")),
        ANNA,
        "rolled back: the latency alarm",
    ),
    "another runs": (answers(AcquireLock=LOCKED), ALARM, ""),
    "nothing is labelled": (
        answers(AcquireLock={"Attributes": LEARNED}),
        ALARM,
        "not retrained: no photo was labelled since",
    ),
    "nothing is published": (
        answers(ReadTrainingRun=UNPUBLISHED),
        ANNA,
        "not retrained: no training run is published",
    ),
    "still in alarm": (answers(REFUSED), DAILY, "rejected: no better"),
    "no alarm": (answers(DescribeModelAlarms=QUIET), DAILY, ""),
    "endpoint is not ready": (
        answers(DescribeEndpoint={"EndpointStatus": "Updating", "EndpointConfigName": "x"}),
        ALARM,
        "EndpointNotReady",
    ),
    "job fails": (answers(DescribeStaging=FAILED_STAGING), ALARM, "JobFailed"),
    "no spot instance": (answers(DescribeTraining=NO_SPOT), ALARM, "JobFailed"),
    "deployment fails": (
        answers(
            DeployModel=Failure(
                "States.TaskFailed",
                json.dumps(
                    {"Error": "RollbackFailed", "Cause": "no capacity", "Input": "x" * 2000}
                ),
            )
        ),
        ALARM,
        "States.TaskFailed",
    ),
}
SILENT = ("another runs", "no alarm")  # nothing happens


def walk(way: str) -> Walk:
    given, event, _ = WAYS[way]
    return retrain(given, event)


def outcome(walk: Walk) -> str:
    return str(walk.calls["ReleaseLock"]["ExpressionAttributeValues"][":outcome"]["S"])


@pytest.mark.parametrize("way", WAYS)
def test_every_path_ends_with_its_outcome(way: str) -> None:
    end, taken = WAYS[way][2], walk(way)
    if way in SILENT:
        assert taken.visited[-1] == "RetrainingSkipped"
        assert not {"Notify", "ReleaseLock"} & taken.calls.keys()
    elif taken.failure:
        assert taken.failure.error == end
        assert outcome(taken) == f"failed: {end}"
        assert taken.visited.count("Notify") == 1
    else:
        assert outcome(taken).startswith(end)
        assert taken.visited[-5:] == [
            "DescribeRelease",
            "DescribeHistory",
            "ReleaseLock",
            "HasFailed",
            "RetrainingEnded",
        ]
        assert taken.visited.count("Notify") == 1


def test_every_state_is_on_one_of_the_paths() -> None:
    visited = {name for way in WAYS for name in walk(way).visited}
    assert visited == all_states(MACHINE).keys()


TASKS = tasks(MACHINE).keys()


@pytest.mark.parametrize("failing", sorted(TASKS - {"Notify", "ReleaseLock"}))
def test_any_failure_is_reported_and_releases_the_lock(failing: str) -> None:
    taken = retrain(answers(**{failing: Failure("Some.Error", "the cause\n" * 500)}), DAILY)
    after = ["Notify", "DescribeRelease", "DescribeHistory", "ReleaseLock", "HasFailed"]
    assert taken.visited[-6:-1] == after
    assert taken.failure
    assert "Some.Error" in taken.calls["Notify"]["Message"]


def test_a_timeout_is_reported_without_a_cause() -> None:
    taken = retrain(answers(DeployModel=Failure("States.Timeout", None)))
    assert "failed: States.Timeout, . Execution" in message(taken)
    assert outcome(taken) == "failed: States.Timeout"


def test_a_message_that_cannot_be_sent_fails_the_retraining_and_releases_the_lock() -> None:
    taken = retrain(answers(Notify=Failure("SNS.NotFound", "no topic")))
    assert taken.failure
    assert taken.failure.error == "SNS.NotFound"
    assert outcome(taken).startswith("serves")


def test_a_lock_that_another_execution_holds_by_now_is_not_released() -> None:
    assert retrain(answers(ReleaseLock=LOCKED)).visited[-1] == "RetrainingEnded"


# ── What a person reads ──


def message(taken: Walk) -> str:
    return str(taken.calls["Notify"]["Message"])


def test_messages_say_what_happened_and_why() -> None:
    served = message(retrain(answers(), ANNA))
    for words in ("by anna", "2026.11.21-0330 replaces 1.2.0", GATE["reason"], "92.45%", "90.12%"):
        assert str(words) in served
    assert f"s3://{BUCKET}/reports/{STAMP}/report.md" in served
    assert "threshold is 0.93, the stack uses 0.95" in served
    refused = message(walk("refused"))
    for words in (f"alarm {DRIFT_ALARM}", "no better than chance", f"{PACKAGE}8 (Rejected)"):
        assert words in refused
    assert "was rolled back: the latency alarm" in message(walk("rolled back"))
    assert f"({DRIFT_ALARM} still in ALARM)" in message(walk("still in alarm"))
    assert "Run `make launch ARGS=publish` once" in message(walk("nothing is published"))


def test_the_message_about_a_failed_job_has_its_name_and_reason() -> None:
    said = message(walk("job fails"))
    assert f"{JOB}-stage is Failed: AlgorithmError" in said
    assert "stage: no photo is labelled" in said
    assert f"{JOB} is Stopped: MaxWaitTimeExceeded" in message(walk("no spot instance"))


def test_the_message_about_a_failed_deployment_has_its_cause() -> None:
    said = message(walk("deployment fails"))
    assert "States.TaskFailed, no capacity. Execution" in said
    assert "xx" not in said


@pytest.mark.parametrize(
    "cause", ["Rate exceeded", "", '{"Status": "Stopped"}', '{"Cause": "cut', "{"]
)
def test_the_message_has_the_cause_if_it_is_plain_text(cause: str) -> None:
    given = answers(DeployModel=Failure("States.TaskFailed", cause))
    assert f"States.TaskFailed, {cause}. Execution" in message(retrain(given))


# ── What is trained, compared and deployed ──


def test_a_retraining_uses_the_published_training_run() -> None:
    calls = walk("serves").calls
    for state, image in (("StageDataset", "ImageUri"), ("EvaluateModel", "ImageUri")):
        assert calls[state]["AppSpecification"][image] == RUN["training_image"]
        code = calls[state]["ProcessingInputs"][0]["S3Input"]["S3Uri"]
        assert code == f"s3://{BUCKET}/code/{RUN['training_code']}/"
    training = calls["TrainModel"]
    assert training["AlgorithmSpecification"]["TrainingImage"] == RUN["training_image"]
    assert calls["DeployModel"]["Input"]["model"]["image"] == RUN["serving_image"]


def test_the_next_retraining_adds_to_the_dataset_of_this_one() -> None:
    calls = walk("serves").calls
    [output] = calls["StageDataset"]["ProcessingOutputConfig"]["Outputs"]
    folder = calls["DeployModel"]["Input"]["model"]["properties"]["dataset"]
    assert output["S3Output"]["S3Uri"] == f"s3://{BUCKET}/datasets/{folder}/"
    for trained_on, base in (("3bb5f2a2c1aa", RUN["dataset"]), (folder, folder)):
        given = answers()
        given["DescribeChampionPackage"]["CustomerMetadataProperties"]["dataset"] = trained_on
        inputs = retrain(given).calls["StageDataset"]["ProcessingInputs"]
        assert inputs[1]["S3Input"]["S3Uri"] == f"s3://{BUCKET}/datasets/{base}/"


@pytest.mark.parametrize("gate", [GATE, REFUSED])
def test_the_gate_decides_what_the_deployment_does(gate: dict[str, Any]) -> None:
    request = retrain(answers(gate)).calls["DeployModel"]["Input"]
    assert request["approval"] == {"accepted": gate["accepted"], "reason": gate["reason"]}
    assert request["model"]["artifact"] == f"s3://{BUCKET}/jobs/{JOB}/output/model.tar.gz"
    assert request["model"]["report"] == f"reports/{STAMP}"
    assert not {"variant", "scaling"} & request.keys()  # the endpoint keeps its variant


def test_make_delete_finds_the_names_of_a_retraining() -> None:
    calls = walk("serves").calls
    tags = [
        {"Key": "project", "Value": "scones-unlimited"},
        {"Key": "endpoint", "Value": ENDPOINT},
    ]
    for state, kind in (
        ("StageDataset", "Processing"),
        ("TrainModel", "Training"),
        ("EvaluateModel", "Processing"),
    ):
        assert calls[state][f"{kind}JobName"].startswith(JOB), state
        assert calls[state]["Tags"] == tags, state


# ── Who starts it, and only what is new is learned from ──


@pytest.mark.parametrize(
    ("event", "automatic"),
    [(ALARM, True), (DAILY, True), (SCHEDULE, True), (ANNA, False), ({}, False)],
)
def test_automatic_starts_wait_a_day_and_people_do_not(
    event: dict[str, Any], automatic: bool
) -> None:
    lock = retrain(answers(), event).calls["AcquireLock"]
    until = lock["ExpressionAttributeNames"]["#until"]
    assert until == ("paused_until" if automatic else "running_until")


def test_the_daily_schedule_reads_the_alarms_that_start_a_retraining() -> None:
    names = [SUBSTITUTIONS[f"{alarm}AlarmName"] for alarm in ("Accuracy", "AccuracyDrop", "Drift")]
    assert walk("still in alarm").calls["DescribeModelAlarms"]["AlarmNames"] == names


@pytest.mark.parametrize(
    ("lock", "trains"),
    [
        ({}, False),
        (UNLEARNED, True),
        (LEARNED, False),
        ({"learned_until": LATER}, False),
        ({"labelled_at": LATER, "learned_until": NOON}, True),
        ({"labelled_at": NOON, "learned_until": NOON}, True),  # if there is doubt
    ],
)
def test_only_people_can_retrain_without_new_labels(lock: dict[str, Any], trains: bool) -> None:
    given = answers(AcquireLock={"Attributes": lock})
    for event in (ALARM, DAILY, SCHEDULE):
        taken = retrain(given, event)
        assert ("TrainModel" in taken.visited) == trains
        if not trains:  # no job was started, so the next start need not wait
            assert "DescribeEndpoint" not in taken.visited
            release = taken.calls["ReleaseLock"]["UpdateExpression"]
            assert "paused_until = :now" in release
            assert "learned_until" not in release
    for event in (ANNA, {}):
        assert "TrainModel" in retrain(given, event).visited


@pytest.mark.parametrize(
    ("lock", "words"),
    [
        (LEARNED, "no photo was labelled since the last retraining began, 2026-11-21T12:00:01Z"),
        ({}, "no photo was labelled yet"),
    ],
)
def test_the_message_says_what_is_missing_for_a_retraining(
    lock: dict[str, Any], words: str
) -> None:
    taken = retrain(answers(AcquireLock={"Attributes": lock}))
    assert message(taken).startswith(f"Not retrained (alarm {DRIFT_ALARM}): {words}.")
    assert outcome(taken) == f"not retrained: {words}"


def test_labels_are_new_if_they_came_after_the_last_retraining_began() -> None:
    """Labels that come during a training are new for the next one. A failed training used none."""
    now = walk("serves").calls["AcquireLock"]["ExpressionAttributeValues"][":now"]
    for way in ("serves", "refused", "rolled back"):
        release = walk(way).calls["ReleaseLock"]
        assert "learned_until = :began" in release["UpdateExpression"]
        assert "paused_until" not in release["UpdateExpression"]
        assert release["ExpressionAttributeValues"][":began"] == now
    failed = walk("job fails").calls["ReleaseLock"]
    assert failed["UpdateExpression"] == (
        "SET running_until = :now, outcome = :outcome"
        ", history = list_append(:this, if_not_exists(history, :none))"
    )
    [kept] = failed["ExpressionAttributeValues"][":this"]["L"]
    assert kept["M"]["outcome"]["S"].startswith("failed: ")
    assert ":began" not in failed["ExpressionAttributeValues"]


def test_the_lock_keeps_the_time_of_the_newest_label() -> None:
    lock = walk("serves").calls["AcquireLock"]
    assert lock["ReturnValues"] == "ALL_NEW"
    for name in ("labelled_at", "learned_until"):
        assert name not in lock["UpdateExpression"]


def test_a_daily_schedule_starts_a_retraining_every_day() -> None:
    """The next start may come some seconds early, or this one some seconds late."""
    values = walk("still in alarm").calls["AcquireLock"]["ExpressionAttributeValues"]
    assert int(values[":paused"]["N"]) <= int(values[":now"]["N"]) + 24 * 3600 - 60


def test_all_waits_of_a_retraining_fit_into_its_timeout() -> None:
    calls = sum(30 * 5 + 30 for name in TASKS - {"DeployModel"})
    jobs = 3600 + (3600 + 7200) + 3600 + 3 * 1800  # with the start of their instances
    deployment = all_states(MACHINE)["DeployModel"]["TimeoutSeconds"]
    assert calls + jobs + deployment < MACHINE["TimeoutSeconds"]
